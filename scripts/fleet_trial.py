"""Runs the deployed workflow through a bad day of a large business, and prints its cost and its outcome.

    python -m scripts.fleet_trial

The template runs on ministack with the package as built by `sam build`. Meta's clock and the workflow's waits run a
hundred times faster (see `sandbox.fleet`), so seconds are those of this machine. The duration of one campaign is
measured separately, at a stated latency. The script fails if the promise is broken for any ad set.
"""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sandbox.fleet import SCHEDULED, Fleet, Told
from sandbox.meta import Breakage, Operation, faults
from sandbox.ministack import why_not_here

ROOT = Path(__file__).resolve().parent.parent
ACCOUNTS, CAMPAIGNS_EACH, ADSETS_EACH = 20, 10, 10
AT_ONCE = "6"
"""Concurrent ad accounts; each needs a process, and this machine has two processors."""
PATIENCE_SECONDS = 1800.0
MUCH_LATER = 20_000.0
LATENCY, LATENCY_PER_ITEM = 0.15, 0.01
"""Seconds per round trip to Meta and per item of a batch, as in `scripts.bench`."""
VERIFY_WAIT_SECONDS = "3"

CAMPAIGNS = {
    f"fleet-{number}": f"act_{(number - 1) // CAMPAIGNS_EACH + 1}11"
    for number in range(1, ACCOUNTS * CAMPAIGNS_EACH + 1)
}
TRANSITIONS_OF_ACCOUNT = 2 * 2
"""The map and the end of an ad account, in the run and in the recheck."""
LIMITED, BUSY = ("act_111",), ("act_211", "act_311", "act_411")
"""Ad accounts on the Limited tier, and those whose quota another program has nearly used up."""
BROKEN_FEED = "fleet-50"
REFUSED = 400
"""Meta's status for an exhausted quota, and for nothing else here."""
TROUBLE = (
    (faults.throttled_account(), "POST adset", 4, 200),
    (faults.SERVICE_UNAVAILABLE, "GET adsets", 10, 20),
    (faults.BAD_GATEWAY_HTML, "POST adset", 10, 300),
    (faults.UNKNOWN_ERROR, "POST ad", 20, 1000),
)
"""Scripted faults: the reply, the matching calls, how many of them, and how many succeed first."""


def main() -> None:
    """Print both tables."""
    if reason := why_not_here():
        raise SystemExit(reason)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary) / "package"
        command = ["make", "-s", "build-SyncFunction", f"ARTIFACTS_DIR={package}"]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own target
        measure_one(package)
        violations = bad_day(package)
    if violations:
        raise SystemExit("\n".join(violations))


def measure_one(package: Path) -> None:
    """Print the cost of a campaign in Lambda, Meta and Step Functions on a day with changes and on one without."""
    campaigns = dict.fromkeys([f"fleet-{number}" for number in range(1, 5)], "act_111")
    with deployed(package, campaigns, at_once="1", verify_wait_seconds=VERIFY_WAIT_SECONDS) as fleet:
        fleet.open_business(campaigns, ADSETS_EACH, ads=4)
        fleet.end_of(fleet.start({"dry_run": True}))  # so that the start of its process does not count
        fleet.remember()
        fleet.meta.latency, fleet.meta.latency_per_item = LATENCY, LATENCY_PER_ITEM
        print(f"A campaign of {ADSETS_EACH} ad sets of 4 ads, {1000 * LATENCY:.0f} ms per round trip to Meta:\n")
        print("| day | seconds | of the recheck | calls of the function | transitions | round trips | points |")
        print("|---|---|---|---|---|---|---|")
        for day, name in enumerate(("everything changes", "quiet")):
            fleet.meta.requests.clear()
            execution = fleet.start(at(day))
            if fleet.end_of(execution, PATIENCE_SECONDS) != "SUCCEEDED" or fleet.count_written() != len(fleet.before):
                raise SystemExit(f"{name}: it did not do what it should")
            told = fleet.told(execution)
            for_all = told.campaign_seconds.pop("")
            run, recheck = (median(seconds[turn] for seconds in told.campaign_seconds.values()) for turn in (0, 1))
            totals = (
                told.calls - len(for_all),
                told.item_transitions - TRANSITIONS_OF_ACCOUNT,
                fleet.meta.round_trips,
                fleet.meta.points,
            )
            each = " | ".join(f"{total / len(campaigns):g}" for total in totals)
            print(f"| {name} | {run:.2f} | {recheck:.2f} | {each} |", flush=True)
        around = told.transitions - told.item_transitions
        print(f"\nIn addition: {TRANSITIONS_OF_ACCOUNT} transitions for each ad account, {around} for the run, and")
        print(f"{len(for_all)} calls to open and close the run and its recheck, of {max(for_all):.2f} s at most.\n")


def bad_day(package: Path) -> Sequence[str]:
    """Run a bad day, print its cost, and return the violations of the promise."""
    with deployed(package, CAMPAIGNS, AT_ONCE) as fleet:
        fleet.open_business(CAMPAIGNS, ADSETS_EACH)
        beyond_help = make_trouble(fleet)
        fleet.remember()
        print(f"{len(CAMPAIGNS)} campaigns of {ADSETS_EACH} ad sets over {ACCOUNTS} ad accounts, on a bad day:\n")
        print("| execution | ended | seconds | items | calls | failed | waits | waited s | transitions | payload B |")
        print("|---|---|---|---|---|---|---|---|---|---|")

        stopped = fleet.start(at(0))
        fleet.eventually(lambda: fleet.count_written() > len(fleet.before) / 3, PATIENCE_SECONDS)
        fleet.stop(stopped)
        half_way = fleet.count_written()
        print(row("stopped", "ABORTED", fleet.told(stopped)), flush=True)

        again = fleet.start(at(0))
        fleet.eventually(lambda: fleet.mails, PATIENCE_SECONDS)
        fleet.clock.pass_by(MUCH_LATER)
        ended = fleet.end_of(again, PATIENCE_SECONDS)
        print(row("started again", ended, fleet.told(again)))
        violations = fleet.violations(beyond_help)

        written = fleet.adset_writes()
        print(f"\nAd sets as wanted: {half_way} when it was stopped, {fleet.count_written()} in the end.")
        print(f"Written once: {list(written.values()).count(1)}; more often: {sum(n > 1 for n in written.values())}.")
        print(f"Round trips to Meta: {fleet.meta.round_trips:,}; points: {fleet.meta.points:,}; ", end="")
        print(f"operations that were refused: {sum(each.status == REFUSED for each in fleet.meta.operations)}.")
        for mail in fleet.mails:
            print(f"Mail of {len(mail.html.encode()):,} bytes: {mail.subject}")
        print(f"Violations of the promise: {len(violations)}.")
        return violations


def make_trouble(fleet: Fleet) -> set[str]:
    """Script the faults; return the ad sets with incurable ads."""
    for account in LIMITED:
        fleet.meta.add_account(account, "limited")
    for account in BUSY:
        fleet.meta.spend(account, 8_900)
    fleet.break_feed(BROKEN_FEED)
    for reply, on, times, skip in TROUBLE:
        fleet.meta.fail(reply, on, times, skip)
    fleet.meta.fail(faults.DROPPED, on=is_adset_write, times=10, skip=400, applied=True)
    hopeless = fleet.adsets_of("fleet-60")[2]
    stubborn = [fleet.adsets_of(f"fleet-{number}")[3] for number in range(61, 71)]
    late = [fleet.adsets_of(f"fleet-{number}")[5] for number in range(71, 81)]
    for adset in stubborn:
        fleet.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
    for adset in late:
        fleet.meta.ads_of(adset)[0].breakage = Breakage.late(MUCH_LATER)
    fleet.meta.ads_of(hopeless)[0].breakage = Breakage.incurable()
    for number in range(81, 91):
        fleet.meta.pause_by_hand(fleet.meta.ads_of(fleet.adsets_of(f"fleet-{number}")[0])[0].id)
    return {hopeless}


def is_adset_write(operation: Operation) -> bool:
    """Return whether an operation writes an ad set."""
    return (operation.method, operation.kind) == ("POST", "adset")


def row(name: str, ended: str, told: Told) -> str:
    """Return a row of the table."""
    return (
        f"| {name} | {ended} | {told.seconds:.0f} | {told.items} | {told.calls:,} | {told.failed_calls} | {told.waits} "
        f"| {told.waited_seconds:,.0f} | {told.transitions:,} | {told.largest_payload:,} |"
    )


def at(day: int) -> dict[str, object]:
    """Return the schedule's event for `day` days later."""
    scheduled = datetime.fromisoformat(str(SCHEDULED["scheduled"])) + timedelta(days=day)
    return SCHEDULED | {"scheduled": scheduled.isoformat()}


@contextmanager
def deployed(package: Path, campaigns: dict[str, str], at_once: str, **limits: str) -> Iterator[Fleet]:
    """Deploy the given campaigns with their limits."""
    with Fleet(package) as fleet:
        fleet.deploy(FleetAccountsAtOnce=at_once, FleetRecheckSeconds="1800")
        for slug, account in campaigns.items():
            fleet.add_campaign(slug, account, **limits)
        yield fleet


if __name__ == "__main__":
    main()
