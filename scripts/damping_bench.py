"""Learning restarts that damping saves, and the leads and the money that it costs, for a feed that flaps.

    python -m scripts.damping_bench

Nothing is called: the rule itself (`closrads/domain/damping.py`) is given the demand of many days, drawn from seeds.
The feed has three kinds of states: steady ones; ones that are wanted for some weeks and then not for some weeks; and
ones with so few leads that on one day in three there is none.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from closrads.domain.damping import DemandHistory, damped, observed
from closrads.domain.settings import Limits
from closrads.state_mapper import all_states

DAYS, SEEDS = 365, 20
STEADY, SHIFTING, FEW = 20, 10, 5
"""Number of states of each kind; the others are never wanted."""
LEADS, FEW_LEADS = 20.0, 1.1
"""Mean number of leads a day."""
CHANGE_CHANCE = 1 / 30
"""That a state which shifts does so on a day."""
FIRST_DAY = date(2026, 1, 1)
SETTINGS = (
    Limits(),
    Limits(min_demand=5),
    Limits(add_after_days=1),
    Limits(add_after_days=2),
    Limits(remove_after_days=1),
    Limits(remove_after_days=2),
    Limits(add_after_days=1, remove_after_days=1),
    Limits(add_after_days=2, remove_after_days=2),
    Limits(min_demand=5, add_after_days=1, remove_after_days=1),
)


@dataclass
class Outcome:
    """What became of an ad set, in days of one seed."""

    restarts: int = 0
    """Days on which its states were changed."""
    missed: int = 0
    """Leads in states in which it did not run."""
    run: int = 0
    """State-days in which it ran."""
    idle: int = 0
    """Of these, those without demand."""


def main() -> None:
    """Print the table."""
    print(
        f"{DAYS} days of {STEADY} steady states, {SHIFTING} that shift and {FEW} with few leads; mean of {SEEDS} seeds"
    )
    columns = ("min_demand", "add_after_days", "remove_after_days", "restarts a year", "saved", "leads missed", "idle")
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    years = [list(demand(seed)) for seed in range(SEEDS)]
    undamped = mean_of(years, Limits())
    for limits in SETTINGS:
        found = mean_of(years, limits)
        saved = 1 - found[0] / undamped[0]
        print(
            f"| {limits.min_demand} | {limits.add_after_days} | {limits.remove_after_days} | {found[0]:.0f} | "
            f"{saved:.0%} | {found[1]:.1%} | {found[2]:.1%} |"
        )


def mean_of(years: list[list[dict[str, int]]], limits: Limits) -> tuple[float, float, float]:
    """Return the restarts a year, the share of the leads that was missed, and that of the state-days without demand."""
    outcomes = [followed(year, limits) for year in years]
    return (
        sum(each.restarts for each in outcomes) / len(years),
        sum(each.missed for each in outcomes) / sum(sum(leads.values()) for year in years for leads in year),
        sum(each.idle for each in outcomes) / sum(each.run for each in outcomes),
    )


def demand(seed: int) -> Iterator[dict[str, int]]:
    """Yield the leads by state of each day; states without any are left out, as in `get_demand`."""
    random = Random(seed)  # noqa: S311 - no secret
    states = random.sample(sorted(all_states()), STEADY + SHIFTING + FEW)
    is_on = {state: random.random() < 1 / 2 for state in states}
    for _ in range(DAYS):
        leads = {}
        for number, state in enumerate(states):
            if STEADY <= number < STEADY + SHIFTING and random.random() < CHANGE_CHANCE:
                is_on[state] = not is_on[state]
            if number < STEADY or is_on[state] or number >= STEADY + SHIFTING:
                leads[state] = _poisson(random, FEW_LEADS if number >= STEADY + SHIFTING else LEADS)
        yield {state: count for state, count in leads.items() if count}


def _poisson(random: Random, mean: float) -> int:
    """Draw a number of independent events (Knuth's method)."""
    count, product, limit = 0, random.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def followed(year: list[dict[str, int]], limits: Limits) -> Outcome:
    """Return what became of an ad set that begins with the states of the first day."""
    outcome, history = Outcome(), None
    present = frozenset(state for state, leads in year[0].items() if leads >= limits.min_demand)
    for number, leads in enumerate(year):
        wanted = frozenset(state for state, count in leads.items() if count >= limits.min_demand)
        waiting: frozenset[str] = frozenset()
        if limits.is_damped:
            history = _observed(history, wanted, number, limits)
            waiting = frozenset(history.waiting)
        target = damped(wanted, present, waiting)
        outcome.restarts += target != present
        outcome.missed += sum(count for state, count in leads.items() if state not in target)
        outcome.run += len(target)
        outcome.idle += len(target - leads.keys())
        present = target
    return outcome


def _observed(history: DemandHistory | None, wanted: frozenset[str], day: int, limits: Limits) -> DemandHistory:
    return observed(history, wanted, FIRST_DAY + timedelta(days=day), limits)


if __name__ == "__main__":
    main()
