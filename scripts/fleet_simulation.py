"""What a run over very many campaigns would take and cost: a simulation from measured calls and published prices.

    python -m scripts.fleet_simulation

One campaign's share is measured: the real handler on the sandbox, at a stated latency. How long a run over all of them
takes, and where Meta's quota makes it wait, is then simulated ad account by ad account, as the workflow takes them.
"""

import heapq
import io
import json
import os
import platform
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import handler
from closrads.clock import Clock
from closrads.observability import logger
from sandbox import Sandbox

ADSETS, ADS = 10, 4
LATENCY, PER_ITEM = 0.15, 0.01
"""Seconds of a round trip to Meta, and of each item of a batch."""

QUOTA_POINTS, QUOTA_SECONDS = 9_000, 300.0
"""Of one ad account (Marketing API "Rate Limiting", full access)."""
LARGEST_PAYLOAD = 262_144
"""Bytes between two states (Step Functions Developer Guide, "Quotas")."""
STANDARD_PARAMETERS = 10_000
"""Of an account and Region (Systems Manager "Endpoints and quotas"); more need the advanced tier."""
PARAMETERS_PER_CAMPAIGN, PAGE, PAGE_SECONDS = 3, 10, 0.03
PAGES_PER_SECOND = 40.0
"""Of all readers together, by default (Systems Manager "Endpoints and quotas"); each call for a campaign reads one."""

# Of us-east-1, November 2026, without the free tiers. Step Functions: a thousand transitions; Lambda: a GB-second,
# a million requests; DynamoDB on demand: a million write and read units; CloudWatch Logs: a GB taken in.
DOLLARS_PER_TRANSITION = 0.025 / 1_000
DOLLARS_PER_GB_SECOND, DOLLARS_PER_INVOCATION = 0.0000166667, 0.20 / 1_000_000
DOLLARS_PER_WRITE_UNIT, DOLLARS_PER_READ_UNIT = 0.625 / 1_000_000, 0.125 / 1_000_000
DOLLARS_PER_LOG_GB = 0.50
FUNCTION_GB = 0.5

TRANSITIONS_PER_CALL, TRANSITIONS_PER_WAIT = 3, 3
"""Work on it, is something left, done with it; and is something left, wait for it, work on it."""
TRANSITIONS_PER_ACCOUNT, TRANSITIONS_OF_RUN = 2, 14
"""The map of its campaigns and its end; the states around the map of the accounts, those of the recheck included."""
WRITE_UNITS_PER_CHANGE, WRITE_UNITS_PER_CAMPAIGN, READ_UNITS_PER_CAMPAIGN = 20, 8, 8
"""A change: four transactional writes of at most two kB and an index entry. A campaign: its lease and its part."""


@dataclass(frozen=True)
class Share:
    """One campaign's share of a run, measured."""

    seconds: float
    round_trips: int
    points: int
    log_bytes: int
    changes: int


@dataclass(frozen=True)
class Fleet:
    """A business, and a day."""

    name: str
    accounts: Sequence[int]
    """How many campaigns each ad account has."""
    changing: float
    """The share of campaigns whose demand has changed."""
    at_once: int
    """Ad accounts that the workflow works on side by side."""


FLEETS = (
    Fleet("1,000 campaigns, quiet", [10] * 100, 0.0, 10),
    Fleet("1,000 campaigns, all change", [10] * 100, 1.0, 10),
    Fleet("the same, 50 accounts at once", [10] * 100, 1.0, 50),
    Fleet("the same in one ad account", [1_000], 1.0, 10),
    Fleet("10,000 campaigns, a tenth changes", [10] * 1_000, 0.1, 50),
    Fleet("10,000 campaigns, all change", [10] * 1_000, 1.0, 50),
    Fleet("the same, 200 accounts at once", [10] * 1_000, 1.0, 200),
)


@dataclass
class Account:
    """An ad account's points over the last five minutes."""

    spent: deque[tuple[float, int]] = field(default_factory=deque)

    def wait(self, now: float, points: int) -> float:
        """Return the seconds until so many points are free."""
        while self.spent and self.spent[0][0] + QUOTA_SECONDS <= now:
            self.spent.popleft()
        over = sum(each for _, each in self.spent) + points - QUOTA_POINTS
        for moment, each in self.spent:
            if over <= 0:
                return 0.0
            over -= each
            if over <= 0:
                return moment + QUOTA_SECONDS - now
        return 0.0


@dataclass
class Day:
    """What a simulated run comes to."""

    seconds: float = 0.0
    function_seconds: float = 0.0
    invocations: int = 0
    transitions: int = 0
    waits: int = 0
    write_units: int = 0
    read_units: int = 0
    log_bytes: int = 0

    @property
    def dollars(self) -> float:
        """What it costs."""
        return (
            self.transitions * DOLLARS_PER_TRANSITION
            + self.function_seconds * FUNCTION_GB * DOLLARS_PER_GB_SECOND
            + self.invocations * DOLLARS_PER_INVOCATION
            + self.write_units * DOLLARS_PER_WRITE_UNIT
            + self.read_units * DOLLARS_PER_READ_UNIT
            + self.log_bytes / 1e9 * DOLLARS_PER_LOG_GB
        )


def main() -> None:
    """Print the tables."""
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    quiet, changing, rechecked = measure()
    print(f"Measured: one campaign of {ADSETS} ad sets with {ADS} ads each, at {1000 * LATENCY:.0f} ms a round trip\n")
    print("| a campaign's share | seconds | round trips | points | log bytes |\n|---|---|---|---|---|")
    for name, share in (("quiet", quiet), ("all change", changing), ("recheck", rechecked)):
        print(f"| {name} | {share.seconds:.2f} | {share.round_trips} | {share.points} | {share.log_bytes:,} |")
    print("\nSimulated: a run with its recheck, without the half hour between them\n")
    print("| fleet | minutes | waits for quota | function hours | transitions | dollars | largest payload, kB |")
    print("|---|---|---|---|---|---|---|")
    for fleet in FLEETS:
        print(line(fleet, quiet, changing, rechecked), flush=True)
    print(
        f"\nCeilings: {STANDARD_PARAMETERS // PARAMETERS_PER_CAMPAIGN:,} campaigns by the number of parameters; "
        f"{most_campaigns():,} by what may be passed between two states"
    )


def line(fleet: Fleet, quiet: Share, changing: Share, rechecked: Share) -> str:
    """Simulate a day, and return its line of the table."""
    day = simulate(fleet, quiet, changing, rechecked)
    return (
        f"| {fleet.name} | {day.seconds / 60:.0f} | {day.waits:,} | {day.function_seconds / 3600:.1f} | "
        f"{day.transitions:,} | {day.dollars:.2f} | {payload_bytes(fleet) / 1000:.0f} |"
    )


def simulate(fleet: Fleet, quiet: Share, changing: Share, rechecked: Share) -> Day:
    """Go through a run and its recheck, without the half hour between them."""
    campaigns = sum(fleet.accounts)
    day = Day(transitions=TRANSITIONS_OF_RUN, invocations=4)
    reading = campaigns * PARAMETERS_PER_CAMPAIGN / PAGE * PAGE_SECONDS
    number = 0
    shares: list[list[Share]] = []
    for count in fleet.accounts:
        change = [(number + each) % 100 < 100 * fleet.changing for each in range(count)]
        shares.append([changing if each else quiet for each in change])
        number += count
    for works in (shares, [[rechecked] * count for count in fleet.accounts]):
        day.seconds += reading + work_off(works, fleet.at_once, day)
        day.function_seconds += 2 * reading
    return day


def work_off(accounts: Iterable[Sequence[Share]], at_once: int, day: Day) -> float:
    """Work on all ad accounts, so many side by side; return the seconds until the last is done."""
    free = [0.0] * at_once
    calls = 0
    for shares in accounts:
        now = heapq.heappop(free)
        account = Account()
        day.transitions += TRANSITIONS_PER_ACCOUNT
        for share in shares:
            if wait := account.wait(now, share.points):
                now += wait
                day.waits += 1
                day.invocations += 1
                day.transitions += TRANSITIONS_PER_WAIT
            account.spent.append((now, share.points))
            now += share.seconds
            day.function_seconds += share.seconds
            day.invocations += 1
            day.transitions += TRANSITIONS_PER_CALL
            day.write_units += WRITE_UNITS_PER_CAMPAIGN + WRITE_UNITS_PER_CHANGE * share.changes
            day.read_units += READ_UNITS_PER_CAMPAIGN
            day.log_bytes += share.log_bytes
        heapq.heappush(free, now)
        calls += len(shares)
    return max(*free, calls / PAGES_PER_SECOND)


def payload_bytes(fleet: Fleet) -> int:
    """Return the size of the largest thing that is passed on: what the opening answers, with slugs of 20 characters."""
    numbers = iter(range(sum(fleet.accounts)))
    accounts = [[f"campaign-number-{next(numbers):04}" for _ in range(count)] for count in fleet.accounts]
    return len(json.dumps(accounts))


def most_campaigns() -> int:
    """Return for how many campaigns in accounts of ten the opening's answer is small enough."""
    thousand = payload_bytes(Fleet("", [10] * 100, 0.0, 1))
    return 1_000 * LARGEST_PAYLOAD // thousand


def measure() -> tuple[Share, Share, Share]:
    """Run one campaign's share on a quiet day, on a day when all its ad sets change, and in the recheck after that."""
    lines = io.StringIO()
    logger.registered_handler.stream = lines  # type: ignore[attr-defined] # Powertools' is one of a stream
    with Sandbox() as sandbox:
        os.environ.update(sandbox.environment())
        sandbox.aws.put_parameters(
            {
                "closrtech/base_url": sandbox.closrtech.url,
                "closrtech/email": sandbox.closrtech.email,
                "closrtech/password": sandbox.closrtech.password,
                "meta/access_token": sandbox.meta.token,
                "campaigns/one/closrtech_campaign": "VND_ONE_LEADS",
                "campaigns/one/fb_ad_account_id": "act_111",
                "campaigns/one/fb_campaign_ids": [sandbox.meta.add_campaign("120210000000000100", "act_111")],
            }
        )
        for number in range(ADSETS):
            sandbox.meta.add_adset("120210000000000100", f"Ad set {number}", "FL GA", ads=ADS)
        sandbox.meta.latency, sandbox.meta.latency_per_item = LATENCY, PER_ITEM

        def share(action: str, demand: str) -> Share:
            sandbox.closrtech.demand["VND_ONE_LEADS"] = dict.fromkeys(demand.split(), 5)
            run_id = invoke({"step": "open", "action": action, "dry_run": False})["run_id"]
            meta, logged = sandbox.meta, lines.tell()
            calls, points, started = meta.round_trips, meta.points, time.perf_counter()
            answer = invoke({"step": "part", "run_id": run_id, "campaigns": ["one"]})
            return Share(
                seconds=time.perf_counter() - started,
                round_trips=meta.round_trips - calls,
                points=meta.points - points,
                log_bytes=lines.tell() - logged,
                changes=answer["adsets_updated"],
            )

        share("sync", "FL GA")  # the stand-ins take a second over the first use of each service
        return share("sync", "FL GA"), share("sync", "FL OH"), share("recheck", "FL OH")


def invoke(event: Any) -> Any:
    """Hand an event to the real handler."""
    return handler.handle(event, Clock(remaining=lambda: 900.0))


if __name__ == "__main__":
    main()
