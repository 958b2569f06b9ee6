"""The process is killed: before and after every HTTP exchange of a run, of its recovery, of an undo, of a recheck."""

from typing import Any

import pytest

from sandbox import Breakage
from tests.slow.crash.conftest import Say, Workers
from tests.slow.crash.harness import (
    ADS,
    BREAKS,
    DAY,
    HOUR,
    MINUTE,
    OLD,
    ONE_MORE,
    PLAIN,
    RECHECK,
    RIGHT,
    STUBBORN,
    SYNC,
    WANTED,
    Killed,
    Watched,
    followed,
    hold_to_it,
    killed,
    met,
    opened,
    ran,
    watched,
)

KILLS_IN_A_ROW = 2
"""With six, no new state turns up any more; that takes minutes."""


def kill_everywhere(workers: Workers, whole: Watched, state: Any, event: Any, seconds: float) -> list[Killed]:
    """Kill a run at every moment that another has passed through; return what is left, equal states once.

    What goes on side by side does so in another order each time, so one or two may end before their moment comes.
    """
    kills = workers.each(killed, [(state, event, seconds, seen) for seen in whole.seen])
    assert sum(kill.reached for kill in kills) >= len(kills) - 4
    return list({kill.exact: kill for kill in kills}.values())


@pytest.fixture(scope="module")
def first(workers: Workers) -> Watched:
    """Return a run that nobody disturbs."""
    return workers.one(watched, workers.one(opened), SYNC, 0)


@pytest.fixture(scope="module")
def kills(workers: Workers, first: Watched) -> list[Killed]:
    """Return what kills of that run leave, equal states once."""
    return kill_everywhere(workers, first, workers.one(opened), SYNC, 0)


@pytest.fixture(scope="module")
def next_day(workers: Workers, kills: list[Killed]) -> list[Watched]:
    """Return the next day's run after each of them."""
    known = frozenset(kill.rough for kill in kills)
    return workers.each(followed, [(kill.state, SYNC, DAY, known) for kill in kills])


def test_a_run_killed_at_every_point(first: Watched, kills: list[Killed], next_day: list[Watched], say: Say) -> None:
    """The next day's run finishes or undoes what it finds, wherever the first was cut off."""
    say(f"{len(first.seen)} points, {len(kills)} different states left")
    hold_to_it([problem for run in (first, *next_day) for problem in run.problems])
    assert [run.states for run in next_day if run.states != first.states] == []
    assert first.states == {**{name: set(WANTED.split()) for name in ADS}, STUBBORN: set(OLD.split())}
    assert len(first.seen) > 60


def mended(workers: Workers, runs: list[Watched], known: set[str]) -> tuple[int, list[str]]:
    """Kill the runs of one day everywhere, those of the next too, and so on; return the number of points and problems.

    A kill leaves what is there at its moment. So each run goes on to its end, and all that it passed through is where
    another day's run starts from; equal states count once.
    """
    points, problems = 0, []
    for day in range(2, KILLS_IN_A_ROW + 1):
        points += sum(len(run.seen) for run in runs)
        new = {seen.rough: seen.state for run in runs for seen in run.seen if seen.state is not None}
        known.update(new)
        runs = workers.each(followed, [(state, SYNC, day * DAY, frozenset(known)) for state in new.values()])
        problems += [problem for run in runs for problem in run.problems]
    return points, problems


def test_a_recovery_killed_at_every_point(
    workers: Workers, kills: list[Killed], next_day: list[Watched], say: Say
) -> None:
    """A run that takes up a killed one's work may be killed as well: the one after it mends what both have left."""
    known = {kill.rough for kill in kills}
    points, problems = mended(workers, next_day, known)
    say(f"{points} points, {len(known)} different states left")
    hold_to_it(problems)
    assert points > 1000


def test_an_undo_killed_at_every_point(workers: Workers, say: Say) -> None:
    """Asked again, it ends with everything as it was before the run that it undoes."""
    run = workers.one(ran, workers.one(opened, ONE_MORE), SYNC, 0)
    state, undo = run.state, {"action": "undo", "dry_run": False, "run_id": run.endings[0].result["run_id"]}
    whole = workers.one(watched, state, undo, HOUR)
    kills = kill_everywhere(workers, whole, state, undo, HOUR)
    again = workers.each(followed, [(kill.state, undo, 2 * HOUR) for kill in kills])
    say(f"{len(whole.seen)} points, {len(kills)} different states left")
    hold_to_it([problem for run in (whole, *again) for problem in run.problems])
    before = {**{name: set(OLD.split()) for name in ONE_MORE}, RIGHT: set(WANTED.split())}
    assert [run.states for run in (whole, *again) if run.states != before] == []
    assert len(whole.seen) > 50


def test_a_recheck_killed_at_every_point(workers: Workers, say: Say) -> None:
    """One ad has broken ten minutes after the run; the next recheck ends what this one has begun."""
    late = {**ADS, PLAIN: (Breakage.late(10 * MINUTE), None)}
    state = workers.one(ran, workers.one(opened, late), SYNC, 0).state
    whole = workers.one(watched, state, RECHECK, 30 * MINUTE)
    kills = kill_everywhere(workers, whole, state, RECHECK, 30 * MINUTE)
    again = workers.each(followed, [(kill.state, RECHECK, 2 * HOUR) for kill in kills])
    say(f"{len(whole.seen)} points, {len(kills)} different states left")
    hold_to_it([problem for run in (whole, *again) for problem in run.problems])
    assert len(whole.seen) > 20


def test_a_rollback_killed_at_every_point(workers: Workers, say: Say) -> None:
    """A rollback is a write too: an ad that was well before it may break if it is not re-published after it."""
    first = workers.one(watched, workers.one(opened, {STUBBORN: (Breakage.stubborn(), BREAKS)}), SYNC, 0, ())
    left = {seen.rough: seen.state for seen in first.seen if seen.state is not None}
    known = set(left)
    next_day = workers.each(followed, [(state, SYNC, DAY, frozenset(known)) for state in left.values()])
    points, problems = mended(workers, next_day, known)
    say(f"{len(first.seen) + points} points, {len(known)} different states left")
    hold_to_it([*(problem for run in (first, *next_day) for problem in run.problems), *problems])
    assert points > 200


@pytest.mark.parametrize("hand", ["pauses an ad", "changes other targeting", "changes the states"])
def test_a_person_comes_in_between(workers: Workers, kills: list[Killed], say: Say, hand: str) -> None:
    """Whatever state a kill has left: what a person then does to an ad set stays."""
    left = {kill.rough: kill.state for kill in kills}
    runs = [run for run in workers.each(met, [(state, hand) for state in left.values()]) if run is not None]
    say(f"in {len(runs)} of {len(left)} different states")
    hold_to_it([problem for run in runs for problem in run.problems])
    # All but those in which nothing had been begun, and among them each state that a change can be cut off in.
    assert len(runs) >= len(left) - 2
    assert frozenset().union(*(run.found for run in runs)) >= {"prepared", "written", "republished", "rolling_back"}
