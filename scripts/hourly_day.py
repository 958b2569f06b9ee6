"""What a day costs on which a sync comes every hour: mails, calls to Meta and to the ledger, in virtual time.

    python -m scripts.hourly_day

The real handler runs in this process against the sandbox: three campaigns of ten ad sets, as in `scripts.bench`.
"""

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import handler
from closrads.clock import Clock
from closrads.config import _parameter_store
from closrads.errors import SyncFailed
from closrads.observability import logger
from sandbox import Sandbox
from sandbox.in_process import InProcessSandbox

MIDNIGHT = datetime(2026, 5, 4, tzinfo=ZoneInfo("America/New_York"))
HOURS = range(24)
CAMPAIGNS = {"veterans": "act_111", "truckers": "act_111", "mortgage": "act_222"}
ADSETS, ADS = 10, 4
RUN_SECONDS = 900.0
Deed = Callable[[Sandbox], None]


class VirtualTime:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.seconds = MIDNIGHT.timestamp()
        self.deadline = 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        """The same time as the handler wants it."""
        return Clock(
            now=lambda: datetime.fromtimestamp(self.seconds, UTC),
            sleep=self.wait,
            remaining=lambda: self.deadline - self.seconds,
        )


def wants(slug: str, states: str) -> Deed:
    """Return what changes the demand of a campaign."""

    def change(sandbox: Sandbox) -> None:
        sandbox.closrtech.demand[slug] = dict.fromkeys(states.split(), 5)

    return change


def break_an_ad(sandbox: Sandbox) -> None:
    """Have Meta break an ad."""
    sandbox.meta.meta_breaks(next(iter(sandbox.meta.ads)))


@dataclass(frozen=True)
class Day:
    """A schedule, and what happens before some of its hours."""

    name: str
    hours: tuple[int, ...]
    deeds: Mapping[int, Deed]


EVENTFUL: Mapping[int, Deed] = {
    9: wants("veterans", "FL GA OH"),
    13: break_an_ad,
    15: wants("mortgage", "FL GA NY OH"),
}
DAYS = (
    Day("one run, nothing happens", (6,), {}),
    Day("24 runs, nothing happens", tuple(HOURS), {}),
    Day("one run, the demand has moved", (6,), {6: wants("veterans", "FL GA OH")}),
    Day("24 runs, the demand moves twice, an ad breaks after its update", tuple(HOURS), EVENTFUL),
)


def main() -> None:
    """Print the table."""
    logger.registered_handler.stream = io.StringIO()  # type: ignore[attr-defined] # its type says Handler
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    print("| a day | runs | mails | round trips | points | requests to the ledger |")
    print("|---|---|---|---|---|---|")
    time = VirtualTime()
    with InProcessSandbox(lambda: time.seconds, time.wait) as sandbox:
        os.environ.update(sandbox.environment())
        for day in DAYS:
            print(row(day, sandbox, time), flush=True)


def row(day: Day, sandbox: Sandbox, time: VirtualTime) -> str:
    """Play a day and return its row of the table; the day before has had its report, and is not counted."""
    build(sandbox)
    run(time, day.hours[0] - 24)
    meta, aws = sandbox.meta, sandbox.aws
    before = meta.round_trips, meta.points, len(aws.mails), len(aws.requests)
    for hour in day.hours:
        if deed := day.deeds.get(hour):
            deed(sandbox)
        run(time, hour)
    ledger = sum(call.service == "dynamodb" for call in aws.requests[before[3] :])
    trips, points, mails = meta.round_trips - before[0], meta.points - before[1], len(aws.mails) - before[2]
    return f"| {day.name} | {len(day.hours)} | {mails} | {trips} | {points:,} | {ledger} |"


def build(sandbox: Sandbox) -> None:
    """Set up the business, whose ad sets have the states that are wanted."""
    sandbox.reset()
    sandbox.aws.verify_sender("reports@example.test")
    parameters: dict[str, Any] = {
        "closrtech/base_url": sandbox.closrtech.url,
        "closrtech/email": sandbox.closrtech.email,
        "closrtech/password": sandbox.closrtech.password,
        "meta/access_token": sandbox.meta.token,
        "email/sender": "reports@example.test",
        "email/recipients": ["owner@example.test"],
    }
    for number, (slug, account) in enumerate(CAMPAIGNS.items(), start=1):
        wants(slug, "FL GA TX")(sandbox)
        sandbox.meta.add_account(account, "full")
        parts = 2 if slug == "mortgage" else 1
        ids = [sandbox.meta.add_campaign(f"12021000000000{number}{part}00", account) for part in range(1, parts + 1)]
        for adset in range(ADSETS):
            sandbox.meta.add_adset(ids[adset % parts], f"Ad set {number}/{adset}", "FL GA TX", ads=ADS)
        parameters |= {
            f"campaigns/{slug}/closrtech_campaign": slug,
            f"campaigns/{slug}/fb_ad_account_id": account,
            f"campaigns/{slug}/fb_campaign_ids": ids,
        }
    sandbox.aws.put_parameters(parameters)
    _parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types


def run(time: VirtualTime, hour: int) -> None:
    """Hand the handler what the schedule sends."""
    at = MIDNIGHT + timedelta(hours=hour)
    time.seconds = at.timestamp()
    time.deadline = time.seconds + RUN_SECONDS
    try:
        handler.handle({"dry_run": False, "scheduled": at.astimezone(UTC).isoformat()}, time.clock)
    except SyncFailed as failure:
        raise SystemExit(str(failure)) from None


if __name__ == "__main__":
    main()
