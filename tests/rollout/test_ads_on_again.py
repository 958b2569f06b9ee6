"""Ads of unexplained pauses that are on again: they are followed for a day, for they may go off once more."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest

from closrads.domain.changes import Change, ChangeState, PreviousOutcomes, UnexplainedPause
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.meta.adsets import read_adsets
from closrads.rollout.job import Job
from closrads.rollout.lookup import batches
from sandbox.meta import Ad, faults
from sandbox.meta.activity_log import META, Activity
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, entries, later, ledger, left_behind, one_adset, result_of
from tests.log_lines import logged
from tests.world import LIVE, World

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0


@pytest.fixture
def two_off(world: World) -> list[str]:
    """Return the ids of two ads of one ad set that are off; a recheck has told of it, and nobody knows by whom."""
    world.campaign("FL")
    adset = world.adset(ads=3)
    world.run(LIVE)
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    off = [ad.id for ad in world.meta.ads_of(adset)[:2]]
    for ad_id in off:
        world.meta.person_pauses(ad_id)
    later(world, MINUTE)
    (pause,) = world.run(RECHECK)["unexplained"]
    assert [each["id"] for each in pause["ads"]] == off
    later(world, MINUTE)
    world.sandbox.aws.mails.clear()
    return off


def recorded(world: World) -> list[str]:
    """Return the ids of the ads that the ledger says are off."""
    return [ad_id for pause in ledger(world).previous_outcomes("veterans").unexplained for ad_id in pause.ads]


def test_a_recheck_tells_no_more_of_an_ad_that_is_on_again(world: World, two_off: list[str]) -> None:
    """Somebody has done what the mail asked for; only what is still off stays recorded."""
    first, second = two_off
    world.meta.person_activates(first)

    assert [each["ads"][0]["id"] for each in world.run(RECHECK)["unexplained"]] == [second]
    assert recorded(world) == [second]
    later(world, MINUTE)
    world.meta.person_activates(second)
    assert world.run(RECHECK)["unexplained"] == []
    assert (recorded(world), world.sandbox.aws.mails) == ([], [])


def test_that_it_is_off_once_more_is_news(world: World, two_off: list[str]) -> None:
    """The recheck in between has seen it on."""
    world.meta.person_activates(two_off[0])
    world.run(RECHECK)
    later(world, MINUTE)
    world.meta.person_pauses(two_off[0])

    result = world.run(RECHECK)

    assert (result["mail"], recorded(world)) == ("sent", two_off[1:] + two_off[:1])


def test_a_new_pause_is_kept_while_earlier_ones_end(world: World, two_off: list[str]) -> None:
    """One of the same ad set, by the same recheck, even if no mail names it."""
    adset = world.meta.ads[two_off[0]].adset
    (third,) = (ad.id for ad in adset.ads if ad.id not in two_off)
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    world.meta.person_pauses(third)

    (pause,) = world.run({**RECHECK, "notify": False})["unexplained"]

    assert [each["id"] for each in pause["ads"]] == recorded(world) == [third]


def test_a_dry_recheck_leaves_what_is_recorded(world: World, two_off: list[str]) -> None:
    """It only says what is so."""
    world.meta.person_activates(two_off[0])

    result = world.run({**RECHECK, "dry_run": True})

    assert [each["ads"][0]["id"] for each in result["unexplained"]] == two_off[1:]
    assert recorded(world) == two_off


def test_a_recheck_goes_on_if_the_ledger_cannot_be_told(world: World, two_off: list[str], log: StringIO) -> None:
    """The next one tries again."""
    world.meta.person_activates(two_off[0])

    with patch.object(Ledger, "keep_unexplained", side_effect=LedgerError("The ledger cannot be written")):
        result = world.run(RECHECK)

    assert (result["success"], recorded(world)) == (True, two_off)
    assert logged(log, "ledger.unexplained_not_kept", "adset")


def test_a_sync_goes_on_if_the_ledger_cannot_forget(world: World, two_off: list[str], log: StringIO) -> None:
    """The next one tries again."""
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    world.run(RECHECK)
    world.time.next_day()

    with patch.object(Ledger, "forget_unexplained", side_effect=LedgerError("The ledger cannot be written")):
        result = world.run(LIVE)

    assert (result["success"], result["unexplained"]) == (True, [])
    assert logged(log, "ledger.unexplained_not_forgotten", "adset")
    world.run(LIVE)
    assert entries(world, "MEMORY#unexplained") == []


@pytest.fixture
def back_on(world: World, two_off: list[str]) -> str:
    """Return the id of an ad that a person has switched on, as the mail asked for; rechecks look at it no more."""
    world.time.next_day()
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    assert result_of(world, LIVE)["unexplained"] == []
    later(world, MINUTE)
    world.run(RECHECK)
    later(world, MINUTE)
    world.sandbox.aws.mails.clear()
    return two_off[0]


@pytest.mark.parametrize(
    ("is_traced", "switched_on"),
    [pytest.param(False, False, id="without a trace"), pytest.param(True, True, id="Meta")],
)
def test_one_that_meta_pauses_once_more(world: World, back_on: str, *, is_traced: bool, switched_on: bool) -> None:
    """More than a day after the change: nobody but the next sync can notice it."""
    if is_traced:
        world.meta.accounts["act_111"].activities.missing = None
    world.meta.meta_pauses(back_on, with_issue=False)
    later(world, MINUTE)
    assert world.run(RECHECK)["mail"] == "not_asked"
    world.time.next_day()

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert [each["id"] for each in pause["ads"]] == [back_on]
    assert pause["switched_on"] == [back_on] * switched_on
    assert ("SWITCHED ON AGAIN" if switched_on else "SWITCHED OFF") in world.sandbox.aws.mails[-1].text


def test_one_that_its_owner_pauses_once_more(world: World, back_on: str) -> None:
    """The activity log says so."""
    world.meta.accounts["act_111"].activities.missing = None
    world.meta.person_pauses(back_on)
    world.time.next_day()

    assert (result_of(world, LIVE)["unexplained"], world.meta.ads[back_on].status) == ([], "PAUSED")


def not_metas(row: Activity) -> bool:
    """Tell whether a row is to be missing: all that are not Meta's."""
    return row.actor is not META


@pytest.mark.parametrize("seen_after", [HOUR, DAY - 2 * HOUR - 10 * MINUTE])
def test_each_time_that_it_is_seen_on_counts(world: World, back_on: str, seen_after: float) -> None:
    """Meta's pause from before the last time explains nothing, and what a person pauses after that stays off."""
    world.meta.accounts["act_111"].activities.missing = not_metas
    later(world, HOUR)
    world.meta.meta_pauses(back_on, with_issue=False)
    later(world, HOUR)
    world.meta.person_repairs_ad(back_on)
    later(world, seen_after)
    assert result_of(world, LIVE)["unexplained"] == []
    later(world, HOUR)
    world.meta.person_pauses(back_on)
    world.time.next_day()

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert (pause["switched_on"], world.meta.ads[back_on].status) == ([], "PAUSED")


def test_that_meta_pauses_it_while_a_run_goes_on(world: World, back_on: str) -> None:
    """It was seen on when it was read, not when the run has noted that."""
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    world.meta.person_pauses(back_on)
    later(world, HOUR)
    assert result_of(world, LIVE)["unexplained"]
    world.meta.person_activates(back_on)
    world.meta.accounts["act_111"].activities.missing = None
    later(world, HOUR)

    def read_slowly(*args: Any, **options: Any) -> Any:
        later(world, MINUTE)
        world.meta.meta_pauses(back_on, with_issue=False)
        later(world, MINUTE)
        return read_adsets(*args, **options)

    with patch("closrads.rollout.pauses.read_adsets", read_slowly):
        assert result_of(world, LIVE)["unexplained"] == []
    world.time.next_day()

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert pause["switched_on"] == [back_on]


def test_a_persons_pause_from_before_explains_nothing(world: World) -> None:
    """Its row appears late, and of all that came after it the log has none."""
    world.campaign("FL")
    ad: Ad = world.meta.ads_of(world.adset())[0]
    world.run(LIVE)
    log = world.meta.accounts["act_111"].activities
    log.delay = 2 * DAY
    later(world, MINUTE)
    world.meta.person_pauses(ad.id)
    log.missing = lambda _: True
    world.time.next_day()
    assert result_of(world, LIVE)["unexplained"]
    world.meta.person_activates(ad.id)
    later(world, MINUTE)
    assert result_of(world, LIVE)["unexplained"] == []
    log.delay = 0
    later(world, HOUR)
    world.meta.meta_pauses(ad.id, with_issue=False)
    later(world, HOUR)

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert ([each["id"] for each in pause["ads"]], pause["switched_on"]) == ([ad.id], [])


def test_it_does_not_say_since_when_another_is_off(world: World, two_off: list[str]) -> None:
    """That one is off since a later change."""
    (other,) = (ad.id for ad in world.meta.ads[two_off[0]].adset.ads if ad.id not in two_off)
    world.time.next_day()
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    assert result_of(world, LIVE)["unexplained"] == []
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 5, "GA": 5}
    later(world, HOUR)
    changed = result_of(world, LIVE)["started_at"]
    later(world, MINUTE)
    world.meta.person_pauses(other)
    later(world, MINUTE)

    (pause,) = world.run(RECHECK)["unexplained"]

    assert pause["since"][:19] >= changed[:19]


def test_a_recheck_names_no_ad_that_it_has_not_read(world: World, two_off: list[str]) -> None:
    """Nobody was told of it, and somebody has switched it on; the change of its ad set is long ago."""
    (pause,) = ledger(world).previous_outcomes("veterans").unexplained
    ledger(world).keep_unexplained("veterans", replace(pause, is_reported=False))
    for _ in range(2):
        later(world, DAY)
        with patch.object(Ledger, "keep_unexplained"):
            world.run({**RECHECK, "notify": False})
    other = world.adset("Other")
    world.run({**LIVE, "notify": False})
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    later(world, MINUTE)
    world.sandbox.aws.mails.clear()

    result = world.run(RECHECK)

    assert (one_adset(result)["id"], result["unexplained"], world.sandbox.aws.mails) == (other, [], [])


def test_a_recheck_that_cannot_record_it_names_it_no_more(world: World, two_off: list[str]) -> None:
    """Neither by mail, nor in its result."""
    world.meta.person_activates(two_off[0])
    world.sandbox.aws.mails.clear()

    with patch.object(Ledger, "keep_unexplained", side_effect=LedgerError("The ledger cannot be written")):
        result = world.run(RECHECK)

    assert [each["id"] for pause in result["unexplained"] for each in pause["ads"]] == two_off[1:]
    assert world.sandbox.aws.mails == []


def test_what_a_rollback_switches_on_is_not_named(world: World) -> None:
    """One ad broke, another is off; the log says during the rollback that it was Meta."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    later(world, MINUTE)
    broken, paused = world.meta.ads_of(adset)
    world.meta.meta_breaks(broken.id)
    world.meta.meta_pauses(paused.id, with_issue=False)
    world.meta.accounts["act_111"].activities.delay = 11.0
    later(world, 10)

    result = result_of(world, RECHECK)

    assert (paused.status, result["unexplained"], recorded(world)) == ("ACTIVE", [], [])


def explained_late(world: World) -> Ad:
    """Return an ad that Meta has paused, which its log says only after a later change has covered the first."""
    world.campaign("FL")
    ad: Ad = world.meta.ads_of(world.adset())[0]
    world.run(LIVE)
    log = world.meta.accounts["act_111"].activities
    log.delay = 7 * DAY
    later(world, MINUTE)
    world.meta.meta_pauses(ad.id, with_issue=False)
    world.time.next_day()
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 5, "GA": 5}
    assert world.run({**LIVE, "notify": False})["unexplained"]
    log.delay = 0.0
    world.time.next_day()
    return ad


class TestFleet:
    """A recheck comes between a campaign's part and the close of its run."""

    @pytest.fixture
    def part(self, world: World) -> tuple[Ad, Workflow, str]:
        """Return an ad that a part has found off, Meta's row being late; the workflow; and the id of its run."""
        world.campaign("FL")
        ad: Ad = world.meta.ads_of(world.adset())[0]
        world.run(LIVE)
        log = world.meta.accounts["act_111"].activities
        log.missing = not_metas
        world.time.next_day()
        log.delay = HOUR
        world.meta.meta_pauses(ad.id, with_issue=False)
        later(world, MINUTE)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 5, "GA": 5}
        workflow = Workflow(world)
        opened = workflow.call({**OPEN, "scheduled": world.time.clock.now().isoformat()})
        workflow.call_until_done({"step": "part", "run_id": opened["run_id"], "campaigns": ["veterans"]})
        assert recorded(world) == [ad.id]
        later(world, MINUTE)
        world.meta.person_repairs_ad(ad.id)
        later(world, MINUTE)
        world.run({**RECHECK, "notify": False})
        world.sandbox.aws.mails.clear()
        return ad, workflow, opened["run_id"]

    def test_what_a_recheck_has_noted_stands(self, world: World, part: tuple[Ad, Workflow, str]) -> None:
        """A person then pauses the ad, which may not be taken for Meta's pause from before."""
        ad, workflow, run_id = part
        workflow.call_until_done({"step": "close", "run_id": run_id})
        later(world, MINUTE)
        world.meta.person_pauses(ad.id)
        world.time.next_day()

        (pause,) = result_of(world, LIVE)["unexplained"]

        assert (pause["switched_on"], ad.status) == ([], "PAUSED")

    @pytest.mark.parametrize("is_readable", [True, False])
    def test_the_mail_does_not_call_it_off(
        self, world: World, part: tuple[Ad, Workflow, str], *, is_readable: bool
    ) -> None:
        """Unless the ledger cannot say what has become of it."""
        ad, workflow, run_id = part
        read = Ledger.previous_outcomes
        fails = [] if is_readable else [LedgerError("The ledger cannot be read")]

        def read_or_fail(ledger: Ledger, slug: str) -> PreviousOutcomes:
            if fails:
                raise fails.pop()
            return read(ledger, slug)

        with patch.object(Ledger, "previous_outcomes", read_or_fail):
            workflow.call_until_done({"step": "close", "run_id": run_id})

        assert (f"{ad.name} in " in world.sandbox.aws.mails[-1].text) is not is_readable

    def test_what_it_does_not_name_is_not_taken_for_told(self, world: World, part: tuple[Ad, Workflow, str]) -> None:
        """A recheck has found two ads off in between, and has told nobody."""
        ad, workflow, run_id = part
        (other,) = (each for each in ad.adset.ads if each is not ad)
        for each in (ad, other):
            world.meta.person_pauses(each.id)
        later(world, MINUTE)
        world.run({**RECHECK, "notify": False})
        workflow.call_until_done({"step": "close", "run_id": run_id})
        later(world, MINUTE)
        world.sandbox.aws.mails.clear()

        assert world.run(RECHECK)["mail"] == "sent"

        assert f"{other.name} in " in world.sandbox.aws.mails[-1].text

    def test_what_the_run_has_switched_on_is_named(self, world: World) -> None:
        """Although a recheck has seen it on since."""
        ad = explained_late(world)
        workflow = Workflow(world)
        opened = workflow.call({**OPEN, "scheduled": world.time.clock.now().isoformat()})
        workflow.call_until_done({"step": "part", "run_id": opened["run_id"], "campaigns": ["veterans"]})
        assert ad.status == "ACTIVE"
        later(world, MINUTE)
        world.run({**RECHECK, "notify": False})
        world.sandbox.aws.mails.clear()

        workflow.call_until_done({"step": "close", "run_id": opened["run_id"]})

        assert "SWITCHED ON AGAIN" in world.sandbox.aws.mails[-1].text

    def test_what_an_earlier_part_of_a_recheck_has_found_is_named_and_told(self, world: World) -> None:
        """The next part goes on with the other ad sets."""
        world.campaign("FL")
        first, other = world.adset(), world.adset("Other")
        world.run(LIVE)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        ad: Ad = world.meta.ads_of(first)[0]
        later(world, MINUTE)
        world.meta.person_pauses(ad.id)
        later(world, MINUTE)
        parts = list[str]()

        def without_quota_at_first(job: Job, changes: Sequence[Change], size: int) -> Iterator[Any]:
            parts.append(job.run_id)
            if len(parts) > 1:
                yield from batches(job, changes, size)
            else:
                yield [each for each in changes if each.before.id == first], ""
                yield [each for each in changes if each.before.id == other], "There is no quota"

        workflow = Workflow(world)
        world.sandbox.aws.mails.clear()
        with patch("closrads.rollout.rechecks.batches", without_quota_at_first):
            scheduled = world.time.clock.now().isoformat()
            opened = workflow.call({**OPEN, "action": "recheck", "scheduled": scheduled})
            workflow.call_until_done({"step": "part", "run_id": opened["run_id"], "campaigns": ["veterans"]})
            workflow.call_until_done({"step": "close", "run_id": opened["run_id"]})
        (mail,) = world.sandbox.aws.mails
        later(world, MINUTE)

        assert (len(parts), f"{ad.name} in " in mail.text) == (2, True)
        assert world.run(RECHECK)["mail"] == "not_asked"


def test_what_a_recovery_finds_is_told_once(world: World) -> None:
    """The change stays open, as Meta refuses the re-publish of another ad under somebody else's regions."""
    world.campaign("FL")
    adset = world.adset()
    ad, other = world.meta.ads_of(adset)
    left_behind(world, adset, ChangeState.WRITTEN)
    world.api().post(adset, {"targeting": {"geo_locations": {"regions": [{"key": "3878"}]}}})
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    later(world, MINUTE)
    world.meta.person_pauses(ad.id)
    world.meta.fail(
        faults.MISSING_LEAD_FORM, on=lambda call: call.method == "POST" and call.object_id == other.id, times=None
    )
    mails = []
    for _ in range(3):
        later(world, HOUR)
        world.sandbox.aws.mails.clear()
        result = result_of(world, RECHECK | {"scheduled": world.time.clock.now().isoformat()})
        mails.append((result["recovered"][0]["state"], len(world.sandbox.aws.mails)))

    assert mails == [("written", 1), ("written", 0), ("written", 0)]


def test_a_relapse_beside_a_pause_is_told_once(world: World) -> None:
    """Until the next attempt to restore the ad set."""
    world.campaign("FL")
    adset = world.adset(ads=3)
    world.run(LIVE)
    later(world, HOUR)
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    off, broken, _ = world.meta.ads_of(adset)
    world.meta.person_pauses(off.id)
    later(world, MINUTE)
    assert result_of(world, RECHECK)["unexplained"]
    later(world, HOUR)
    world.meta.meta_breaks(broken.id)
    assert one_adset(result_of(world, RECHECK))["result"] == "reverted"
    later(world, 10 * MINUTE)
    world.meta.meta_breaks(broken.id)
    mails = []
    for _ in range(3):
        later(world, 5 * MINUTE)
        world.sandbox.aws.mails.clear()
        result_of(world, RECHECK | {"scheduled": world.time.clock.now().isoformat()})
        mails.append(len(world.sandbox.aws.mails))

    assert mails == [1, 0, 0]


def test_an_empty_list_of_ads_forgets_nothing(world: World, two_off: list[str]) -> None:
    """Meta returns one now and then; its ad set is off, and so it is read for the sake of the pause alone."""
    adset = world.meta.ads[two_off[0]].adset.id
    for _ in range(2):
        world.time.next_day()
    world.meta.person_pauses(adset)

    with patch("closrads.meta.adsets._ads_of", lambda _api, ids, _answers, _reserve: dict.fromkeys(ids, ())):
        (pause,) = result_of(world, LIVE)["unexplained"]

    assert [each["id"] for each in pause["ads"]] == recorded(world) == two_off


def test_an_undo_names_no_ad_that_it_has_not_read(world: World, two_off: list[str]) -> None:
    """Somebody has switched it on, in another ad set."""
    for _ in range(2):
        world.time.next_day()
    world.meta.person_pauses(world.meta.ads[two_off[0]].adset.id)
    world.adset("Other")
    assert world.run(LIVE)["unexplained"]
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    later(world, HOUR)

    assert result_of(world, {"action": "undo", "dry_run": False})["unexplained"] == []


def test_a_recheck_that_stops_names_no_ad_that_it_has_not_read(world: World, two_off: list[str]) -> None:
    """Somebody has switched it on; the recheck knows of it, as there was something to recover."""
    for ad_id in two_off:
        world.meta.person_activates(ad_id)
    later(world, MINUTE)
    left_behind(world, world.adset("Other"), ChangeState.REPUBLISHED)

    with patch.object(Ledger, "changes_in_effect", side_effect=LedgerError("The ledger cannot be read")):
        result = result_of(world, RECHECK)

    assert "The ledger cannot be read" in result["campaigns"][0]["errors"][0]
    assert result["unexplained"] == []


def test_a_write_that_failed_once_is_made_up_for(world: World) -> None:
    """Of what the run has switched on: at its end, when it records that it has been reported."""
    ad = explained_late(world)
    world.meta.accounts["act_111"].activities.missing = not_metas
    keep = Ledger.keep_unexplained
    fails = [LedgerError("The ledger cannot be written")]

    def fail_once(ledger: Ledger, slug: str, pause: UnexplainedPause) -> None:
        if ad.status == "ACTIVE" and fails:
            raise fails.pop()
        keep(ledger, slug, pause)

    with patch.object(Ledger, "keep_unexplained", fail_once):
        assert world.run(LIVE)["unexplained"]
    later(world, MINUTE)
    world.meta.person_pauses(ad.id)
    world.time.next_day()

    (pause,) = result_of(world, LIVE)["unexplained"]

    assert (fails, pause["switched_on"], ad.status) == ([], [], "PAUSED")
