"""The workflow over many campaigns in the deployed stack: a whole day, and when it is stopped, doubled or bereaved."""

from collections import Counter
from collections.abc import Iterator
from threading import Event

import pytest

from sandbox.fleet import SCHEDULED, WANTED, Fleet
from sandbox.meta import Breakage, Operation
from sandbox.ministack import AT_ONCE, why_not_here

CAMPAIGNS = {f"fleet-{number}": f"act_{(number + 2) // 3}11" for number in range(1, 13)}
"""Three in each of four ad accounts."""
LIMITED_ACCOUNT = "act_211"
MUCH_LATER = 20_000.0
"""Seconds: more than a run takes here."""


def in_accounts(*accounts: str) -> dict[str, str]:
    """Return the campaigns of these ad accounts."""
    return {slug: account for slug, account in CAMPAIGNS.items() if account in accounts}


def once_each(fleet: Fleet) -> "Counter[str]":
    """Return what `adset_writes` is if every ad set was written, and none a second time."""
    return Counter(dict.fromkeys(fleet.before, 1))


@pytest.fixture(scope="module")
def deployed_fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Deploy the template with `Fleet` on, in an AWS of its own."""
    if reason := why_not_here():
        pytest.skip(reason)
    with Fleet(request.getfixturevalue("package")) as fleet:
        fleet.deploy()
        for slug, account in CAMPAIGNS.items():
            fleet.add_campaign(slug, account)
        yield fleet


@pytest.fixture
def fleet(deployed_fleet: Fleet) -> Iterator[Fleet]:
    """Return the fleet; afterwards nothing of it is still at work."""
    yield deployed_fleet
    for execution in deployed_fleet.executions():
        deployed_fleet.end_of(execution)


def test_a_day(fleet: Fleet) -> None:
    """The schedule starts it; whatever a campaign meets with, each ad set ends well, and one mail tells of all."""
    fleet.open_business(CAMPAIGNS, adsets=2)
    fleet.meta.add_account(LIMITED_ACCOUNT, "limited")
    fleet.break_feed("fleet-1")
    (paused, *_) = fleet.meta.ads_of(fleet.adsets_of("fleet-2")[0])
    fleet.meta.pause_by_hand(paused.id)
    spoilt, late = fleet.adsets_of("fleet-7")[0], fleet.adsets_of("fleet-10")[1]
    fleet.meta.ads_of(spoilt)[0].breakage = Breakage.stubborn()
    fleet.meta.ads_of(late)[0].breakage = Breakage.late(MUCH_LATER)
    fleet.remember()

    earlier = len(fleet.executions())
    fleet.deploy(ScheduleExpression=AT_ONCE, FleetRecheckSeconds="300")
    (execution,) = fleet.eventually(lambda: fleet.executions()[earlier:])
    fleet.deploy(FleetRecheckSeconds="300")
    fleet.eventually(lambda: fleet.mails)
    fleet.clock.pass_by(MUCH_LATER)
    ending = fleet.end_of(execution)
    fleet.deploy()

    assert ending == "FAILED", "a campaign failed, and the alarm is to ring"
    assert fleet.violations() == []
    as_before = {adset for adset in fleet.before if fleet.meta.states(adset) != set(WANTED)}
    assert as_before == {*fleet.adsets_of("fleet-1"), spoilt, late}
    report, recheck = fleet.mails
    assert report.subject.startswith("✗ Fleet 1 failed")
    assert recheck.subject.startswith("⚠ second look: 1 put back")
    assert fleet.meta.ads[paused.id].status == "PAUSED"
    stats = fleet.stats(execution)
    assert stats.waits > 0, "the account on the Limited tier had to wait"
    assert {operation.status for operation in fleet.meta.operations} == {200}, "so no quota was overspent"
    assert stats.largest_payload < 2_000
    once = {adset: 1 for adset in fleet.before if adset not in as_before}
    assert fleet.adset_writes() == {**once, spoilt: 2, late: 2}


def test_stopped_half_way_and_started_again(fleet: Fleet) -> None:
    """It goes on where it was: nothing is changed twice, and the one report tells of all; once over, it stays over."""
    campaigns = in_accounts("act_311", "act_411")
    fleet.open_business(campaigns, adsets=2)
    fleet.remember()
    event = SCHEDULED | {"campaigns": list(campaigns)}
    stopped = fleet.start(event)
    fleet.eventually(fleet.adset_writes)

    fleet.stop(stopped)
    half_way = fleet.adset_writes()
    endings = [fleet.end_of(fleet.start(event)) for _ in range(2)]

    assert fleet.end_of(stopped) == "ABORTED"
    assert 0 < len(half_way) < len(fleet.before)
    assert endings == ["SUCCEEDED"] * 2
    assert fleet.adset_writes() == once_each(fleet)
    assert fleet.violations() == []
    (mail,) = fleet.mails
    assert mail.subject.startswith("✓ 12 updated")


def test_a_function_dies_at_work(fleet: Fleet) -> None:
    """Its campaign waits until the lease has run out; then what was half done is ended, and the others are done."""
    campaigns = in_accounts("act_411")
    fleet.open_business(campaigns, adsets=2)
    fleet.remember()
    died = Event()

    def die_while_writing(operation: Operation) -> None:
        if (operation.method, operation.kind) == ("POST", "adset") and not died.is_set():
            fleet.aws.kill_functions()
            died.set()

    fleet.meta.on_request = die_while_writing
    execution = fleet.start(SCHEDULED | {"campaigns": list(campaigns)})
    assert fleet.eventually(died.is_set)

    assert fleet.end_leases() == 1
    ending = fleet.end_of(execution)

    assert ending == "SUCCEEDED"
    assert fleet.stats(execution).failed_calls == 1
    assert fleet.adset_writes() == once_each(fleet)
    assert fleet.violations() == []
    (mail,) = fleet.mails
    assert mail.subject.startswith("✓ 6 updated")


def test_a_call_is_given_up_while_the_function_is_at_work(fleet: Fleet) -> None:
    """The next call leaves the campaign to the one before, and what that has done is not done again."""
    campaigns = [*in_accounts("act_411")][:1]
    fleet.open_business(dict.fromkeys(campaigns, "act_411"), adsets=2)
    fleet.remember()
    fleet.meta.latency = 0.3

    with fleet.impatient(2):
        execution = fleet.start(SCHEDULED | {"campaigns": campaigns})
        ending = fleet.end_of(execution)

    assert ending == "SUCCEEDED"
    assert fleet.stats(execution).failed_calls > 0
    assert fleet.adset_writes() == once_each(fleet)
    assert fleet.violations() == []
    (mail,) = fleet.mails
    assert mail.subject.startswith("✓ 2 updated")


def test_started_twice_at_the_same_moment(fleet: Fleet) -> None:
    """Both are the same run: while one is at work on a campaign the other waits, and one of them reports."""
    campaigns = in_accounts("act_411")
    fleet.open_business(campaigns, adsets=1)
    fleet.remember()
    fleet.meta.latency = 0.3
    event = SCHEDULED | {"campaigns": list(campaigns)}

    executions = [fleet.start(event) for _ in range(2)]
    endings = [fleet.end_of(execution) for execution in executions]

    assert endings == ["SUCCEEDED"] * 2, [fleet.failures(execution) for execution in executions]
    assert sum(fleet.stats(execution).waits for execution in executions) > 0
    assert fleet.adset_writes() == once_each(fleet)
    assert fleet.violations() == []
    assert len(fleet.mails) == 1


def test_a_dry_run(fleet: Fleet) -> None:
    """It says what would change in one mail, writes nothing, and has no recheck."""
    campaigns = in_accounts("act_411")
    fleet.open_business(campaigns, adsets=1)

    ending = fleet.end_of(fleet.start({"dry_run": True, "campaigns": list(campaigns)}))

    assert ending == "SUCCEEDED"
    assert fleet.meta.writes == []
    (mail,) = fleet.mails
    assert mail.subject.startswith("[DRY RUN] ✓ 3 would be updated")
