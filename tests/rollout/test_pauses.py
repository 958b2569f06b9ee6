"""An ad is off, a newer change covers the one that broke it, and only then the activity log tells that it was Meta."""

from dataclasses import replace
from io import StringIO
from unittest.mock import patch

import pytest

from closrads import config
from closrads.domain.changes import PreviousOutcomes
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.rollout.job import Job
from sandbox.meta import Ad, Breakage, Effect, Operation, faults
from sandbox.meta.activity_log import AD_STATUS, META, OTHER_APP, Activity
from sandbox.meta.quota import Quota
from tests.ledger_world import RECHECK, entries, later, ledger, one_adset, result_of, rolled_back_with_lagging_log
from tests.log_lines import logged
from tests.world import LIVE, World

WEEK = 7 * 86_400.0
MINUTE = 60.0


@pytest.fixture
def off(world: World) -> str:
    """Return the id of such an ad."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    ad: Ad = world.meta.ads_of(adset)[0]
    later(world, MINUTE)
    world.meta.accounts["act_111"].activities.delay = WEEK
    world.meta.meta_pauses(ad.id, with_issue=False)
    world.time.next_day()
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 5, "GA": 5}
    (pause,) = world.run(LIVE)["unexplained"]
    assert ([each["id"] for each in pause["ads"]], pause["switched_on"], ad.status) == ([ad.id], [], "PAUSED")
    world.meta.accounts["act_111"].activities.delay = 0.0
    world.time.next_day()
    world.meta.requests.clear()
    return ad.id


def switched_on(world: World) -> list[str]:
    """Return the ads that the next daily run says it has switched on."""
    return [ad_id for pause in result_of(world, LIVE)["unexplained"] for ad_id in pause["switched_on"]]


def test_it_is_switched_on_and_told_of(world: World, off: str, log: StringIO) -> None:
    """The states stay: those from before may be the very ones that broke it."""
    ad = world.meta.ads[off]
    states = world.meta.states(ad.adset.id)

    assert switched_on(world) == [off]

    assert (ad.status, world.meta.states(ad.adset.id)) == ("ACTIVE", states)
    assert [operation.object_id for operation in world.meta.writes] == [off]
    assert logged(log, "ads.switched_on", "adset", "ads") == [(ad.adset.id, [off])]
    mail = world.sandbox.aws.mails[-1].text
    assert "SWITCHED ON AGAIN" in mail
    assert "SWITCHED OFF" not in mail
    for _ in range(2):
        world.time.next_day()
        assert result_of(world, LIVE)["unexplained"] == []
    assert entries(world, "MEMORY#") == []


def test_a_change_of_its_ad_set_republishes_it_as_well(world: World, off: str) -> None:
    """At once: it was off when the change was planned, and is on when that is written."""
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"OH": 5}
    adset = world.meta.ads[off].adset

    assert switched_on(world) == [off]

    calls = [(call.method, call.object_id) for call in world.meta.operations]
    since = calls[calls.index(("POST", adset.id)) + 1 :]
    assert since.index(("POST", off)) < since.index(("GET", adset.id))
    assert world.meta.states(adset.id) == {"OH"}


def test_one_that_meta_refuses_is_told_of_as_before(world: World, off: str) -> None:
    """And tried again by the next daily run."""
    world.meta.fail(faults.MISSING_LEAD_FORM, on="POST ad", times=None)

    assert switched_on(world) == []

    assert "SWITCHED OFF" in world.sandbox.aws.mails[-1].text
    world.meta.clear_faults()
    world.time.next_day()
    assert switched_on(world) == [off]


def test_a_dry_run_switches_nothing_on(world: World, off: str) -> None:
    """It only reads."""
    assert result_of(world, {**LIVE, "dry_run": True})["unexplained"][0]["switched_on"] == []
    assert world.meta.ads[off].status == "PAUSED"


def test_without_time_or_quota_for_it_nothing_is_switched_on(
    world: World, off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the next daily run."""
    monkeypatch.setattr(Job, "has_capacity", lambda *_: False)

    assert switched_on(world) == []
    assert world.meta.ads[off].status == "PAUSED"


@pytest.mark.parametrize("end", ["past", "unreadable"])
def test_an_ad_set_that_has_ended_or_cannot_be_read_is_left_alone(world: World, off: str, end: str) -> None:
    """Meta refuses to change the ads of one that has ended; that its ad is off is told all the same."""
    adset = world.meta.ads[off].adset
    world.meta.person_pauses(adset.id)  # so that it is looked up alone
    if end == "past":
        world.meta.person_moves_end_date(adset.id, world.meta.now() - MINUTE)
    else:
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=None)
    world.time.waits.clear()

    (pause,) = result_of(world, LIVE)["unexplained"]
    assert (pause["adset_id"], pause["switched_on"], world.meta.writes) == (adset.id, [], [])
    assert world.time.waits == []  # the daily run has more to do than to wait for Meta to show it


@pytest.mark.parametrize("end", ["archived", "deleted", "unknown to Meta"])
def test_it_is_told_of_no_more_once_its_ad_set_is_gone(world: World, off: str, end: str) -> None:
    """Nobody can switch it on any more."""
    adset = world.meta.ads[off].adset.id
    if end == "archived":
        world.meta.person_archives(adset)
    elif end == "deleted":
        world.meta.person_deletes(adset)
    else:
        world.meta.person_pauses(adset)  # so that it is looked up alone
        world.meta.fail(faults.OBJECT_MISSING, on="GET adset", times=None)

    assert result_of(world, LIVE)["unexplained"] == []
    assert entries(world, "MEMORY#") == []


def test_in_an_ad_set_that_is_to_be_left_alone_nothing_is_switched_on(world: World, off: str) -> None:
    """That its ad is off is told until it is on, or gone."""
    world.put({"campaigns/veterans/skip_adsets": "broad*"})
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert ([each["id"] for each in pause["ads"]], pause["switched_on"], world.meta.writes) == ([off], [], [])
    assert "SWITCHED OFF" in world.sandbox.aws.mails[-1].text


def test_what_a_person_has_paused_since_stays_off(world: World, off: str) -> None:
    """The newest row of the log counts."""
    world.meta.person_repairs_ad(off)
    later(world, MINUTE)
    world.meta.person_pauses(off)
    later(world, MINUTE)

    assert result_of(world, LIVE)["unexplained"] == []
    assert world.meta.ads[off].status == "PAUSED"


@pytest.mark.parametrize("is_reported", [True, False])
def test_a_persons_pause_that_the_log_does_not_show_yet(world: World, off: str, *, is_reported: bool) -> None:
    """Its last row is then Meta's pause, which the last sync has ended: the ad stays off, and that is told."""
    (recorded,) = ledger(world).previous_outcomes("veterans").unexplained
    ledger(world).keep_unexplained("veterans", replace(recorded, is_reported=is_reported))
    assert switched_on(world) == [off]
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    log = world.meta.accounts["act_111"].activities
    log.rows = [row for row in log.rows if row.actor is META]
    later(world, 5 * MINUTE)
    world.meta.person_pauses(off)
    later(world, MINUTE)

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert (pause["switched_on"], world.meta.ads[off].status) == ([], "PAUSED")


def test_what_a_run_has_switched_on_is_not_told_of_by_the_next(world: World, off: str) -> None:
    """A person has paused the ad since, and the partner is down: the mail says that it is off."""
    (recorded,) = ledger(world).previous_outcomes("veterans").unexplained
    ledger(world).keep_unexplained("veterans", replace(recorded, is_reported=False))
    assert switched_on(world) == [off]
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    world.meta.person_pauses(off)
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": -1}
    world.time.next_day()

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert pause["switched_on"] == []
    assert "SWITCHED ON AGAIN" not in world.sandbox.aws.mails[-1].text


def test_a_persons_pause_that_the_recheck_of_a_sync_finds_first(world: World) -> None:
    """It records the pause, and the sync then follows that up: neither may take Meta's earlier pause for it."""
    adset = rolled_back_with_lagging_log(world)
    ad = world.meta.ads_of(adset)[0]
    later(world, MINUTE)
    world.meta.person_pauses(ad.id)
    later(world, MINUTE)

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert (pause["adset_id"], pause["switched_on"], ad.status) == (adset, [], "PAUSED")


def test_a_long_log_does_not_cost_the_day_its_quota(world: World, off: str) -> None:
    """A pause that nobody explains is looked for each day, and a small access tier allows few reads."""
    world.meta.accounts["act_111"].quota = Quota("limited", world.time.seconds)
    world.meta.accounts["act_111"].activities.missing = lambda row: row.object_id == off
    now = world.time.seconds()
    log = world.meta.accounts["act_111"].activities
    log.rows = [Activity(now - 7_000 + row, AD_STATUS, OTHER_APP, "777", "Other", {}, ()) for row in range(7_000)]
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"OH": 5}
    world.time.waits.clear()

    result = result_of(world, LIVE)

    assert one_adset(result)["result"] == "updated"
    assert [each["id"] for pause in result["unexplained"] for each in pause["ads"]] == [off]
    assert world.time.waits == [3.0]


def test_it_is_told_although_the_ledger_can_be_neither_written_nor_read_any_more(world: World) -> None:
    """Nobody else would know that an ad is off in an ad set that was put back."""
    world.campaign("FL")
    adset = world.adset(breakage=Breakage.stubborn(Effect.PAUSED, seconds=1))
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    read = Ledger.previous_outcomes

    def fail_after_the_change(ledger: Ledger, slug: str) -> PreviousOutcomes:
        if world.written_adsets():
            raise LedgerError("The ledger cannot be read")
        return read(ledger, slug)

    fails = LedgerError("The ledger cannot be written")
    with (
        patch.object(Ledger, "previous_outcomes", fail_after_the_change),
        patch.object(Ledger, "keep_unexplained", side_effect=fails),
    ):
        (pause,) = result_of(world, LIVE)["unexplained"]

    assert pause["adset_id"] == adset
    assert [each["id"] for each in pause["ads"]] == [ad.id for ad in world.meta.ads_of(adset) if ad.status == "PAUSED"]
    assert entries(world, "MEMORY#unexplained") == []


def test_a_recheck_tells_it_although_the_ledger_fails_at_its_end(world: World) -> None:
    """It has put the ad set back, and would otherwise call its ads healthy."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    later(world, MINUTE)
    broken, paused = world.meta.ads_of(adset)
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    world.meta.meta_breaks(broken.id)
    world.meta.meta_pauses(paused.id, with_issue=False)
    fails = LedgerError("The ledger cannot be written")

    with patch.object(Ledger, "keep_unexplained", side_effect=fails), patch.object(Ledger, "record_recheck") as last:
        last.side_effect = fails
        result = result_of(world, RECHECK)

    assert one_adset(result)["result"] == "reverted"
    assert [each["id"] for pause in result["unexplained"] for each in pause["ads"]] == [paused.id]
    assert f"{paused.name} in " in world.sandbox.aws.mails[-1].text


def test_a_recheck_tells_what_a_sync_found_and_told_nobody(world: World) -> None:
    """The newer change is not responsible for the ad, so the recheck does not find the pause by itself."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    later(world, MINUTE)
    ad = world.meta.ads_of(adset)[0]
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    world.meta.meta_pauses(ad.id, with_issue=False)
    world.time.next_day()
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 5, "GA": 5}
    assert world.run({**LIVE, "notify": False})["unexplained"]
    later(world, MINUTE)
    world.sandbox.aws.mails.clear()

    result = world.run(RECHECK)

    assert (one_adset(result)["result"], result["mail"]) == ("unchanged", "sent")
    assert f"{ad.name} in " in world.sandbox.aws.mails[-1].text
    later(world, MINUTE)
    assert world.run(RECHECK)["mail"] == "not_asked"


def test_a_persons_pause_right_after_a_republish_stays(world: World) -> None:
    """Of the two pauses, the log only has Meta's, which the re-publish of a rollback has ended."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    later(world, MINUTE)
    world.meta.accounts["act_111"].activities.missing = lambda row: row.actor is not META
    ad = world.meta.ads_of(adset)[0]
    world.meta.meta_pauses(ad.id, with_issue=False)
    later(world, MINUTE)

    def person_comes(operation: Operation) -> None:
        if operation.path == f"{adset}/ads" and ad.id in {write.object_id for write in world.meta.writes[before:]}:
            world.meta.on_request = None
            world.meta.person_pauses(ad.id)

    before = len(world.meta.writes)
    world.meta.on_request = person_comes
    result = world.run(RECHECK)
    later(world, MINUTE)
    world.run(RECHECK)
    world.time.next_day()
    (pause,) = result_of(world, LIVE)["unexplained"]

    assert (one_adset(result)["result"], pause["switched_on"], ad.status) == ("reverted", [], "PAUSED")


def test_what_is_told_then_joins_what_was_known(world: World, off: str) -> None:
    """Of two ads of one ad set, the newer pause does not hide the older one, nor the older one the newer."""
    adset = world.meta.ads[off].adset
    (other,) = (ad.id for ad in adset.ads if ad.id != off)
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    world.meta.accounts["act_111"].activities.rows.clear()
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"OH": 5}
    read = Ledger.previous_outcomes

    def person_comes(operation: Operation) -> None:
        if operation.path == f"{adset.id}/ads" and world.written_adsets():
            world.meta.on_request = None
            world.meta.person_pauses(other)

    def fail_after_the_change(ledger: Ledger, slug: str) -> PreviousOutcomes:
        if world.written_adsets():
            raise LedgerError("The ledger cannot be read")
        return read(ledger, slug)

    world.meta.on_request = person_comes
    with patch.object(Ledger, "previous_outcomes", fail_after_the_change):
        (pause,) = result_of(world, LIVE)["unexplained"]

    assert {each["id"] for each in pause["ads"]} == {off, other}


@pytest.mark.parametrize("why", ["paused", "off", "no demand"])
def test_it_is_told_and_followed_up_although_nothing_new_may_begin(world: World, off: str, why: str) -> None:
    """In a campaign that is off as well: only the following of the demand is."""
    if why == "no demand":
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": -1}
    else:
        world.put({"paused": "true"} if why == "paused" else {"campaigns/veterans/enabled": "false"})
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",), account="act_222")
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    world.sandbox.aws.mails.clear()

    result = result_of(world, LIVE)

    (pause,) = result["unexplained"]
    is_followed = why != "no demand"
    assert pause["switched_on"] == ([off] if is_followed else [])
    assert world.meta.ads[off].status == ("ACTIVE" if is_followed else "PAUSED")
    assert ("SWITCHED ON AGAIN" if is_followed else "SWITCHED OFF") in world.sandbox.aws.mails[-1].text
