"""Simulated duration and cost of a run over very many campaigns, from measured calls and published prices.

    python -m scripts.fleet_simulation

The share of one campaign is measured: the real handler on the sandbox, at a stated latency. The duration of a run over
all campaigns, including waits for Meta's quota, is then simulated per ad account, in the workflow's order.
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
"""Seconds per round trip to Meta, and per item of a batch."""

QUOTA_POINTS, QUOTA_SECONDS = 9_000, 300.0
"""Quota of one ad account (Marketing API "Rate Limiting", full access)."""
LARGEST_PAYLOAD = 262_144
"""Maximum payload between two states in bytes (Step Functions Developer Guide, "Quotas")."""
STANDARD_PARAMETERS = 10_000
"""Maximum number per account and Region (Systems Manager "Endpoints and quotas"); more require the advanced tier."""
PARAMETERS_PER_CAMPAIGN, PAGE, PAGE_SECONDS = 3, 10, 0.03
PAGES_PER_SECOND = 40.0
"""Default quota of all readers together (Systems Manager "Endpoints and quotas"); a campaign's call reads one page."""

# Prices of us-east-1, November 2026, without free tiers. Step Functions: 1,000 transitions; Lambda: a GB-second and
# a million requests; DynamoDB on demand: a million write and read units; CloudWatch Logs: a GB ingested.
DOLLARS_PER_TRANSITION = 0.025 / 1_000
DOLLARS_PER_GB_SECOND, DOLLARS_PER_INVOCATION = 0.0000166667, 0.20 / 1_000_000
DOLLARS_PER_WRITE_UNIT, DOLLARS_PER_READ_UNIT = 0.625 / 1_000_000, 0.125 / 1_000_000
DOLLARS_PER_LOG_GB = 0.50
FUNCTION_GB = 0.5

TRANSITIONS_PER_CALL, TRANSITIONS_PER_WAIT = 3, 3
"""States per call (work, choice, end) and per wait (choice, wait, work)."""
TRANSITIONS_PER_ACCOUNT, TRANSITIONS_OF_RUN = 2, 14
"""States per ad account (map and end) and per run (around the map of the accounts, including the recheck)."""
WRITE_UNITS_PER_CHANGE, WRITE_UNITS_PER_CAMPAIGN, READ_UNITS_PER_CAMPAIGN = 20, 8, 8
"""Per change, four transactional writes of up to 2 kB and an index entry; per campaign, its lease and its progress."""


@dataclass(frozen=True)
class Share:
    """The measured share of one campaign in a run."""

    seconds: float
    round_trips: int
    points: int
    log_bytes: int
    changes: int


@dataclass(frozen=True)
class Fleet:
    """A business and a day."""

    name: str
    accounts: Sequence[int]
    """Number of campaigns of each ad account."""
    changing: float
    """Share of campaigns whose demand has changed."""
    at_once: int
    """Number of ad accounts that the workflow processes concurrently."""


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
    """The points of an ad account over the last five minutes."""

    spent: deque[tuple[float, int]] = field(default_factory=deque)

    def wait(self, now: float, points: int) -> float:
        """Return the seconds until `points` are available."""
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
    """The outcome of a simulated run."""

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
        """Total cost in dollars."""
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
    """Simulate a day, and return its row of the table."""
    day = simulate(fleet, quiet, changing, rechecked)
    return (
        f"| {fleet.name} | {day.seconds / 60:.0f} | {day.waits:,} | {day.function_seconds / 3600:.1f} | "
        f"{day.transitions:,} | {day.dollars:.2f} | {payload_bytes(fleet) / 1000:.0f} |"
    )


def simulate(fleet: Fleet, quiet: Share, changing: Share, rechecked: Share) -> Day:
    """Simulate a run and its recheck, without the half hour between them."""
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
    """Process all ad accounts with this concurrency; return the seconds until the last one is finished."""
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
    """Return the size of the largest payload: the response of the opening step, with slugs of 20 characters."""
    numbers = iter(range(sum(fleet.accounts)))
    accounts = [[f"campaign-number-{next(numbers):04}" for _ in range(count)] for count in fleet.accounts]
    return len(json.dumps(accounts))


def most_campaigns() -> int:
    """Return the maximum number of campaigns, in accounts of ten, for which that payload is small enough."""
    thousand = payload_bytes(Fleet("", [10] * 100, 0.0, 1))
    return 1_000 * LARGEST_PAYLOAD // thousand


def measure() -> tuple[Share, Share, Share]:
    """Measure one campaign's share on a quiet day, on one when all of its ad sets change, and in its recheck."""
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

        share("sync", "FL GA")  # warms up the fakes, whose services take a second each at first use
        return share("sync", "FL GA"), share("sync", "FL OH"), share("recheck", "FL OH")


def invoke(event: Any) -> Any:
    """Call the real handler with an event."""
    return handler.handle(event, Clock(remaining=lambda: 900.0))


if __name__ == "__main__":
    main()
