"""What the next run makes of changes that an earlier one had begun: each is finished, undone, or left to a person."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest

from closrads.domain.adset_results import Recovery, Result
from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason
from closrads.domain.request import Action
from closrads.domain.targeting import without_computed
from closrads.errors import LedgerError, SyncFailed
from closrads.facebook_client import republish_ads
from closrads.ledger.changes import Ledger
from closrads.rollout import lookup, rechecks, recovery
from closrads.rollout.budget import Capacity
from closrads.rollout.job import Job
from closrads.rollout.lookup import Seen, _left_to_follow_up
from closrads.rollout.rechecks import outcome_of
from closrads.rollout.recovery import Course, course_of, is_due
from closrads.rollout.rollback import REAPPLIED
from sandbox import closrtech
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Operation, faults
from tests.ledger_world import (
    EARLIER,
    FINAL,
    OPEN,
    RECHECK,
    becomes_of,
    entries,
    later,
    ledger,
    left_behind,
    metric,
    move,
    one_adset,
    only_reads,
    recorded_state,
    result_of,
    runs,
    statuses,
)
from tests.log_lines import logged
from tests.world import LIVE, START, World

HOUR = 3600.0
SINCE_A_WRITE = (ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.REPUBLISHED)
SINCE_A_ROLLBACK = (ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED)
CONFIRMED = (ChangeState.WRITTEN, ChangeState.REPUBLISHED, *SINCE_A_ROLLBACK)
OLD, WANTED, OTHER = {"TX"}, {"FL"}, {"GA"}
TEXAS, FLORIDA = "3886", "3852"

Hand = Callable[[World, str], None]


def regions_written(world: World) -> set[str]:
    """Return the keys of all regions that targeting writes have sent."""
    writes = [
        operation for operation in world.meta.operations if (operation.method, operation.kind) == ("POST", "adset")
    ]
    targetings = [json.loads(write.params["targeting"]) for write in writes]
    return {region["key"] for targeting in targetings for region in targeting["geo_locations"]["regions"]}


def nobody(_: World, __: str) -> None:
    """Leave everything as it is."""


def paused(world: World, adset: str) -> None:
    """Let a person pause the first ad, a few seconds after the write."""
    world.time.pass_by(20)
    world.meta.person_pauses(world.meta.ads_of(adset)[0].id)


def paused_by_rule(world: World, adset: str) -> None:
    """Let an automated rule of the advertiser pause the first ad."""
    world.time.pass_by(HOUR)
    world.meta.rule_pauses(world.meta.ads_of(adset)[0].id)


def paused_by_somebody(world: World, adset: str) -> None:
    """Have the first ad off without a trace of who did it."""
    world.meta.accounts["act_111"].activities.missing = lambda _: True
    paused(world, adset)


def paused_by_meta(world: World, adset: str) -> None:
    """Let Meta pause the first ad without giving a reason, long after the write."""
    world.time.pass_by(HOUR)
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)


def broken_by_meta(world: World, adset: str) -> None:
    """Let Meta pause the first ad with the error of the lost lead form, long after the write."""
    world.time.pass_by(HOUR)
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=True, moves_updated_time=False)


def deleted_ad(world: World, adset: str) -> None:
    """Delete the first ad."""
    world.meta.ads_of(adset)[0].status = "DELETED"


def lost_form(world: World, adset: str) -> None:
    """Break the first ad for a reason that has nothing to do with any targeting."""
    world.meta.ads_of(adset)[0].issues.append(dict(MISSING_LEAD_FORM))


def ad_without_form_added(world: World, adset: str) -> None:
    """Add an ad that lacks its lead form."""
    world.meta.add_ad(adset, "New", issues=[MISSING_LEAD_FORM])


def rejected(world: World, adset: str) -> None:
    """Have Meta reject the first ad in a review."""
    world.meta.ads_of(adset)[0].effective_status = "DISAPPROVED"


def rejected_without_form(world: World, adset: str) -> None:
    """Have Meta reject the first ad, which lacks its lead form as well."""
    lost_form(world, adset)
    rejected(world, adset)


def disapproved_ad_added(world: World, adset: str) -> None:
    """Add an ad that Meta does not approve of."""
    world.meta.ads[world.meta.add_ad(adset, "New")].effective_status = "DISAPPROVED"


def ad_added(world: World, adset: str) -> None:
    """Add an ad that runs."""
    world.meta.person_adds_ad(adset, "New")


def age_changed(world: World, adset: str) -> None:
    """Change something else in the targeting."""
    world.meta.change_by_hand(adset, {"age_min": 21})


def states_changed(world: World, adset: str) -> None:
    """Choose other states."""
    world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})


def archived(world: World, adset: str) -> None:
    """Archive the ad set."""
    world.meta.adsets[adset].status = "ARCHIVED"


def deleted(world: World, adset: str) -> None:
    """Delete the ad set."""
    world.meta.adsets[adset].status = "DELETED"


def ad_set_paused(world: World, adset: str) -> None:
    """Pause the whole ad set."""
    world.meta.adsets[adset].status = "PAUSED"


def both(*hands: Hand) -> Hand:
    """Let several come, in this order."""

    def all_of_them(world: World, adset: str) -> None:
        for hand in hands:
            hand(world, adset)

    return all_of_them


@dataclass(frozen=True)
class Case:
    """What a run that died has left at Meta, what happened to it since, and what the next run has to make of it."""

    states: tuple[ChangeState, ...]
    shows: str
    end: ChangeState
    leaves: set[str]
    since: Hand = nobody
    breakage: Breakage | None = None
    ads: tuple[str, ...] = ("ACTIVE", "ACTIVE")
    told: str = ""
    """What the report has to say about it, among other things."""
    writes: tuple[str, ...] | None = None
    """What is written at Meta; None for anything."""
    counts: bool = False
    """Whether the ad set counts as reverted."""


BEFORE, AGAIN, AFTER = "as before", "as before again", "as wanted"
ONE, REPUBLISH = ("ad",), ("ad", "ad")
BACK = ("adset", "ad", "ad")
STUBBORN, SILENT = Breakage.stubborn(), Breakage.silently_paused(seconds=20)
INCURABLE = Breakage.incurable()
V, B, F, S = ChangeState.VERIFIED, ChangeState.ROLLED_BACK, ChangeState.ROLLBACK_FAILED, ChangeState.SUPERSEDED
PREPARED = (ChangeState.PREPARED,)
HALF, BROKEN, REJECTED = ("PAUSED", "ACTIVE"), ("WITH_ISSUES", "WITH_ISSUES"), ("DISAPPROVED", "ACTIVE")
IS_WELL, OTHERS_ARE_WELL = "Its targeting was restored and its ads are healthy", "all other ads are healthy"
NOBODY_KNOWS, META_PAUSED = "nobody can tell by whom", "Meta has paused it without giving a reason"
SOMEBODY = "Somebody changed its states"

CASES = {
    # The regions are the old ones: the write has not arrived, or did so and was taken back, or does not show yet.
    "nothing had happened": Case(PREPARED, BEFORE, B, OLD, writes=REPUBLISH, told=IS_WELL),
    "nothing, and a person changed the age": Case(PREPARED, BEFORE, B, OLD, age_changed, writes=REPUBLISH),
    "nothing, and a person paused an ad": Case(PREPARED, BEFORE, B, OLD, paused, ads=HALF, writes=ONE, told=IS_WELL),
    "nothing, and an ad is off": Case(
        PREPARED, BEFORE, B, OLD, paused_by_somebody, ads=HALF, writes=ONE, told=OTHERS_ARE_WELL
    ),
    "nothing, and a person deleted an ad": Case(
        PREPARED, BEFORE, B, OLD, deleted_ad, ads=("DELETED", "ACTIVE"), writes=ONE, told=IS_WELL
    ),
    "nothing that shows, Meta paused an ad": Case(
        PREPARED, BEFORE, B, OLD, paused_by_meta, told=META_PAUSED
    ),
    "nothing that shows, but an ad is broken": Case(
        PREPARED, BEFORE, B, OLD, lost_form, ads=("WITH_ISSUES", "ACTIVE"), told="3390001"
    ),
    "nothing, and a person added an ad": Case(
        PREPARED, BEFORE, B, OLD, ad_added, ads=("ACTIVE",) * 3, writes=("ad",) * 3
    ),
    "nothing that shows, but Meta has rejected an ad": Case(
        PREPARED, BEFORE, B, OLD, rejected, ads=REJECTED, told="DISAPPROVED", writes=ONE
    ),
    # The write had arrived.
    "written": Case(SINCE_A_WRITE, AFTER, V, WANTED, writes=REPUBLISH),
    "written, a re-publish helps": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, breakage=Breakage.ordinary(seconds=2 * 86_400), writes=REPUBLISH
    ),
    "written, in review": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, breakage=Breakage.long_review(9 * 86_400), ads=("PENDING_REVIEW",) * 2
    ),
    "written and broken": Case(SINCE_A_WRITE, AFTER, B, OLD, breakage=STUBBORN, told="3390001", counts=True),
    "written and broken for good": Case(
        SINCE_A_WRITE, AFTER, F, OLD, breakage=INCURABLE, ads=BROKEN, told="3390001"
    ),
    "written, Meta has rejected an ad": Case(
        SINCE_A_WRITE, AFTER, F, OLD, rejected, ads=REJECTED, told="DISAPPROVED", writes=("adset", "ad")
    ),
    "written, paused by Meta again and again": Case(
        SINCE_A_WRITE, AFTER, B, OLD, breakage=SILENT, told=META_PAUSED, writes=BACK, counts=True
    ),
    "written, Meta paused an ad": Case(
        SINCE_A_WRITE, AFTER, B, OLD, paused_by_meta, told=META_PAUSED, writes=BACK, counts=True
    ),
    "written, Meta paused an ad for its lost form": Case(
        SINCE_A_WRITE, AFTER, B, OLD, broken_by_meta, told="3390001", writes=BACK, counts=True
    ),
    "written, a person paused an ad": Case(SINCE_A_WRITE, AFTER, V, WANTED, paused, ads=HALF, writes=ONE),
    "written, a rule paused an ad": Case(SINCE_A_WRITE, AFTER, V, WANTED, paused_by_rule, ads=HALF, writes=ONE),
    "written, an ad is off": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, paused_by_somebody, ads=HALF, writes=ONE, told=NOBODY_KNOWS
    ),
    "written, a person deleted an ad": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, deleted_ad, ads=("DELETED", "ACTIVE"), writes=ONE
    ),
    "written, a person added an ad": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, ad_added, ads=("ACTIVE",) * 3, writes=("ad",) * 3
    ),
    "written, a person added an ad without a form": Case(
        SINCE_A_WRITE, AFTER, F, OLD, ad_without_form_added, ads=("ACTIVE", "ACTIVE", "WITH_ISSUES"), told="3390001"
    ),
    "written, a person added an ad that Meta disapproves of": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, disapproved_ad_added, ads=("ACTIVE", "ACTIVE", "DISAPPROVED"),
        writes=REPUBLISH
    ),
    "written, a person paused the ad set": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, ad_set_paused, ads=("ADSET_PAUSED",) * 2, writes=REPUBLISH
    ),
    "written, a person changed the age": Case(SINCE_A_WRITE, AFTER, V, WANTED, age_changed, writes=REPUBLISH),
    "written and broken, a person changed the age": Case(
        SINCE_A_WRITE, AFTER, B, OLD, age_changed, STUBBORN, counts=True
    ),
    "written and broken, a person paused an ad": Case(
        SINCE_A_WRITE, AFTER, B, OLD, paused, STUBBORN, ads=HALF, told=IS_WELL, counts=True
    ),
    "written and broken, an ad is off": Case(
        SINCE_A_WRITE, AFTER, B, OLD, paused_by_somebody, STUBBORN, ads=HALF, told=OTHERS_ARE_WELL, counts=True
    ),
    # Its rollback had begun.
    "to be rolled back": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, writes=BACK, counts=True),
    "to be rolled back, broken": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, breakage=STUBBORN, writes=BACK, counts=True),
    "to be rolled back, broken for good": Case(
        SINCE_A_ROLLBACK, AFTER, F, OLD, breakage=INCURABLE, ads=BROKEN, told="3390001"
    ),
    "to be rolled back, Meta has rejected an ad": Case(
        SINCE_A_ROLLBACK, AFTER, F, OLD, rejected, ads=REJECTED, told="DISAPPROVED", writes=("adset", "ad")
    ),
    "to be rolled back, silently paused by Meta": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, breakage=SILENT, writes=BACK, counts=True
    ),
    "to be rolled back, a person paused an ad": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, paused, ads=HALF, told=IS_WELL, writes=("adset", "ad"), counts=True
    ),
    "to be rolled back, an ad is off": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, paused_by_somebody, ads=HALF, told=OTHERS_ARE_WELL, writes=("adset", "ad"),
        counts=True
    ),
    "to be rolled back, a person deleted an ad": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, deleted_ad, ads=("DELETED", "ACTIVE"), told=IS_WELL, counts=True
    ),
    "to be rolled back, a person added an ad": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, ad_added, ads=("ACTIVE",) * 3, writes=(*BACK, "ad"), counts=True
    ),
    "to be rolled back, a person changed the age": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, age_changed, writes=BACK, counts=True
    ),
    # The old regions were back, and its ads not yet looked after.
    "back again": Case(CONFIRMED, AGAIN, B, OLD, writes=REPUBLISH, told=IS_WELL),
    "back again, broken": Case(CONFIRMED, AGAIN, B, OLD, breakage=STUBBORN, counts=True),
    "back again, broken for good": Case(CONFIRMED, AGAIN, F, OLD, breakage=INCURABLE, ads=BROKEN, told="3390001"),
    "back again, Meta has rejected an ad": Case(
        CONFIRMED, AGAIN, F, OLD, rejected, ads=REJECTED, told="DISAPPROVED", writes=ONE
    ),
    "back again, Meta has rejected an ad that lacks its form": Case(
        CONFIRMED, AGAIN, F, OLD, rejected_without_form, ads=REJECTED, told="3390001"
    ),
    "back again, Meta paused an ad": Case(CONFIRMED, AGAIN, B, OLD, broken_by_meta, told="3390001", counts=True),
    "back again, a person paused an ad": Case(CONFIRMED, AGAIN, B, OLD, paused, ads=HALF, writes=ONE),
    "back again, a person deleted an ad": Case(CONFIRMED, AGAIN, B, OLD, deleted_ad, ads=("DELETED", "ACTIVE")),
    "back again, a person changed the age": Case(CONFIRMED, AGAIN, B, OLD, age_changed, writes=REPUBLISH),
    "back again, broken for good, a person changed the age": Case(
        CONFIRMED, AGAIN, F, OLD, age_changed, INCURABLE, ads=BROKEN
    ),
    "back again, broken for good, a person paused an ad": Case(
        CONFIRMED, AGAIN, F, OLD, paused, INCURABLE, ads=("PAUSED", "WITH_ISSUES"), told="3390001"
    ),
    # Somebody chose other states.
    "other states": Case(OPEN, AFTER, S, OTHER, states_changed, told=SOMEBODY, writes=REPUBLISH),
    "other states, a person paused an ad": Case(
        OPEN, AFTER, S, OTHER, both(states_changed, paused), ads=HALF, told=SOMEBODY, writes=ONE
    ),
    "other states, an ad is off": Case(
        OPEN, AFTER, S, OTHER, both(states_changed, paused_by_somebody), ads=HALF, told=NOBODY_KNOWS, writes=ONE
    ),
    "other states, Meta paused an ad": Case(
        OPEN, AFTER, S, OTHER, both(broken_by_meta, states_changed), told=SOMEBODY, writes=REPUBLISH
    ),
    "other states, broken": Case(
        OPEN, AFTER, S, OTHER, both(states_changed, lost_form), ads=("WITH_ISSUES", "ACTIVE"), told="3390001",
        writes=REPUBLISH
    ),
    # It is gone.
    "archived": Case(OPEN, AFTER, S, WANTED, archived, ads=("ARCHIVED",) * 2, told="is ARCHIVED now", writes=()),
    "deleted": Case(OPEN, AFTER, S, WANTED, deleted, ads=("DELETED",) * 2, told="is DELETED now", writes=()),
}  # fmt: skip


def region(*keys: str) -> dict[str, Any]:
    """Return a targeting of these regions."""
    return {"geo_locations": {"regions": [{"key": key} for key in keys]}}


AD = Ad("601", "Video", "ACTIVE", "ACTIVE")


def change_in(state: ChangeState, hours: float = 0) -> Change:
    """Return a change from Texas to Florida, in a state that it reached so many hours after it was prepared."""
    before = AdSetSnapshot("501", "Broad", "900", "ACTIVE", region(TEXAS), (AD,))
    reached = START + timedelta(hours=hours)
    return Change("veterans", EARLIER, Action.SYNC, before, region(FLORIDA), state, START, reached)


def course(state: ChangeState, *keys: str, is_broken: bool = False, status: str = "ACTIVE") -> Course:
    """Return where a change goes of whose ad set these regions are found."""
    now = AdSetSnapshot("501", "Broad", "900", status, region(*keys), (AD,))
    health = AdHealth.BROKEN if is_broken else AdHealth.HEALTHY
    return course_of(change_in(state), now, (AdFinding(AD, health),))


class TestCourse:
    """Where an open change goes, by its state, the regions that are there, and the ads."""

    @pytest.mark.parametrize("state", OPEN)
    def test_regions_decide_whose_they_are(self, state: ChangeState) -> None:
        """Old, new, or neither; broken ads are a reason to put back what was written, and nothing else."""
        is_rolling_back = state in SINCE_A_ROLLBACK
        if_broken = Course.CONFIRM if state is P else Course.RESTORE

        assert course(state, FLORIDA) is (Course.RESTORE if is_rolling_back else Course.FINISH)
        assert course(state, FLORIDA, is_broken=True) is Course.RESTORE
        assert course(state, TEXAS) is Course.CONFIRM
        assert course(state, TEXAS, is_broken=True) is if_broken
        for others in ((), (TEXAS, FLORIDA), ("3853",)):
            assert course(state, *others) is course(state, *others, is_broken=True) is Course.LEAVE

    @pytest.mark.parametrize("state", SINCE_A_ROLLBACK)
    def test_new_regions_that_somebody_else_has_set_stay(self, state: ChangeState) -> None:
        """They look like ours; with broken ads as well."""
        now = AdSetSnapshot("501", "Broad", "900", "ACTIVE", region(FLORIDA), (AD,))

        for health in AdHealth:
            found = (AdFinding(AD, health),)
            assert course_of(change_in(state), now, found, is_set_by_others=True) is Course.LEAVE

    @pytest.mark.parametrize("state", OPEN)
    @pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
    def test_what_is_gone_is_gone(self, state: ChangeState, status: str) -> None:
        """Whatever its regions, and however its ads."""
        for key in (TEXAS, FLORIDA, "3853"):
            assert course(state, key, is_broken=True, status=status) is Course.CLOSE

    @pytest.mark.parametrize("health", [each for each in AdHealth if each is not AdHealth.BROKEN])
    def test_only_what_is_known_to_be_broken_is_put_back(self, health: AdHealth) -> None:
        """Not to know is no reason to write."""
        now = AdSetSnapshot("501", "Broad", "900", "ACTIVE", region(FLORIDA), (AD,))

        assert course_of(change_in(ChangeState.WRITTEN), now, (AdFinding(AD, health),)) is Course.FINISH


def test_what_is_known_of_a_change_whose_run_died() -> None:
    """All that its item in the ledger holds, such as a setting of the ad set that a mail has to name."""
    plain = change_in(ChangeState.VERIFIED)
    beyond = {**region(TEXAS), "targeting_automation": {"individual_setting": {"geo": 1}}}

    for targeting in (region(TEXAS), beyond):
        found = outcome_of(replace(plain, before=replace(plain.before, targeting=targeting)))
        assert found is not None
        assert (found.id, found.name, found.ads, found.meta_campaign_id) == ("501", "Broad", 1, "900")
        assert (found.result, found.added, found.removed) == (Result.UPDATED, ("FL",), ("TX",))
        assert found.reaches_beyond == (targeting is beyond)


@pytest.mark.parametrize("state", [*OPEN, ChangeState.NOT_WRITTEN])
def test_a_change_without_an_end_or_a_write_has_come_to_nothing_yet(state: ChangeState) -> None:
    """A report of a run that died would call it done otherwise."""
    assert outcome_of(change_in(state)) is None


def test_what_can_never_be_written_back_keeps_no_other_ad_set_from_it(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ad set with more ads than the access tier allows is put off by itself; for want of time, all are."""
    huge, *others = adsets = [adset, world.adset("Two"), world.adset("Three")]
    changes = [left_behind(world, each, ChangeState.WRITTEN) for each in adsets]
    working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
    why, late = "Too many ads for the access tier", "Too little time"
    asked: list[str] = []

    def capacity(_: object, queue: Sequence[AdSetSnapshot], __: float) -> Capacity:
        asked.append(queue[0].id)
        if queue[0].id == huge:
            return Capacity(0, why, never=True)
        return Capacity(0, late) if queue[0].id == others[1] else Capacity(1)

    monkeypatch.setattr(lookup, "reserve_capacity", capacity)

    found = recovery.recover(working, [*changes, changes[2]], wave_size=2)

    assert [(each.id, each.state, each.issues) for each in found] == [
        (huge, ChangeState.WRITTEN, (why,)),
        (others[0], ChangeState.VERIFIED, ()),
        *[(others[1], ChangeState.WRITTEN, (late,))] * 2,
    ]
    assert asked == [huge, *others]  # there is no more time for the others than for the first


def test_one_that_cannot_be_looked_up_keeps_no_other_from_its_end(world: World, adset: str) -> None:
    """Whichever comes first, in a recovery and in a recheck."""
    adsets = [adset, world.adset("Two")]
    begun = [left_behind(world, each, ChangeState.WRITTEN) for each in adsets]
    working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", adset), times=None)

    one, two = recovery.recover(working, begun, 5)
    ended = [replace(change, state=V) for change in begun]
    first, second = rechecks.recheck(working, ended, 5, dry_run=True).results

    assert (one.state, two.state) == (ChangeState.WRITTEN, V)
    assert one.issues[0].startswith("It could not be looked up at Meta: ")
    assert (first.result, second.result) == (Result.UNVERIFIED, Result.UNCHANGED)
    assert first.issues[0].startswith("Its ads could not be read: ")


def test_one_that_is_gone_keeps_no_other_from_its_second_look(world: World, adset: str) -> None:
    """It is passed over, and not told of."""
    gone, there = [left_behind(world, each, V) for each in (adset, world.adset("Two"))]
    working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
    world.meta.adsets[adset].status = "ARCHIVED"

    (found,) = rechecks.recheck(working, [gone, there], 5, dry_run=True).results

    assert (found.id, found.result) == (there.before.id, Result.UNCHANGED)


@pytest.mark.parametrize("waits", [False, True])
def test_only_a_recheck_that_nobody_asked_for_waits_with_a_failed_rollback(
    world: World, adset: str, *, waits: bool
) -> None:
    """Any other run tries again at once."""
    change = left_behind(world, adset, F)
    change = replace(change, prepared_at=change.changed_at - timedelta(hours=1))
    working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)

    (found,) = recovery.recover(replace(working, backs_off=waits), [change], 5)

    assert found.state is (F if waits else B)


def test_what_has_just_been_read_is_not_read_again(world: World, adset: str) -> None:
    """A daily run knows its ad sets before it looks for ads that broke since."""
    change = left_behind(world, adset, ChangeState.VERIFIED)
    now = {each.id: each for each in world.snapshots()}
    working = Job("veterans", "later", Action.SYNC, world.api(), ledger(world), 0, lambda: None)
    world.meta.requests.clear()

    (found,) = rechecks.recheck(working, [change], 5, dry_run=False, now=now).results

    assert (found.result, world.meta.operations) == (Result.UNCHANGED, [])


def test_the_pause_of_an_ad_that_a_finished_change_did_not_touch_is_not_looked_up(world: World, adset: str) -> None:
    """Only its own ads may have been stopped by it, and each look into the log of an ad account costs quota."""
    change = left_behind(world, adset, ChangeState.VERIFIED)
    world.meta.add_ad(adset, "Draft", status="PAUSED")
    working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)

    (found,) = rechecks.recheck(working, [change], 5, dry_run=False).results

    assert found.result is Result.UNCHANGED
    assert "activities" not in {call.kind for call in world.meta.operations}


@pytest.mark.parametrize(
    ("seconds", "result", "waits"),
    [
        pytest.param(900, Result.REVERTED, 5, id="time"),
        pytest.param(30, Result.UNCHANGED, None, id="too little time"),
    ],
)
def test_the_activity_log_is_waited_for_only_if_the_ad_set_can_be_put_back_then(
    world: World, adset: str, seconds: float, result: Result, waits: float | None
) -> None:
    """It says that Meta has paused an ad; without time for a rollback, it can wait until the next recheck."""
    change = left_behind(world, adset, ChangeState.VERIFIED)
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)
    now = {each.id: each for each in world.snapshots()}
    working = Job("veterans", "later", Action.SYNC, world.api(), ledger(world), 10, lambda: None)
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET activities")
    world.time.deadline = world.time.seconds() + seconds

    (found,) = rechecks.recheck(working, [change], 5, dry_run=False, now=now).results

    assert found.result is result
    assert next(iter(world.time.waits), None) == waits


SICK, OFF = replace(AD, effective_status="WITH_ISSUES"), replace(AD, status="PAUSED", effective_status="PAUSED")
IS_SICK = "Ad “Video” (601): WITH_ISSUES: Meta gives no reason"
REFUSED, IS_REFUSED = replace(AD, effective_status="DISAPPROVED"), IS_SICK.replace("WITH_ISSUES", "DISAPPROVED")
W, P = ChangeState.WRITTEN, ChangeState.PREPARED
ADS_BROKEN, DIFFERENT = RollbackReason.ADS_BROKEN, RollbackReason.STORED_DIFFERENTLY


def seen(state: ChangeState, key: str, ad: Ad = AD, name: str = "", **more: Any) -> Seen:
    """Return a change from Texas to Florida in a state, and what its ad set shows now."""
    targeting = {"geo_locations": {"regions": [{"key": key, "name": name}]}}
    now = AdSetSnapshot("501", "Broad", "900", "ACTIVE", targeting, (ad,))
    return Seen(change_in(state), replace(now, **more))


class TestTakeOver:
    """From which state an open change goes on, and why it is put back."""

    @pytest.mark.parametrize(
        ("found", "state", "reason", "issues"),
        [
            (seen(P, FLORIDA), W, None, ()),
            (seen(W, FLORIDA), W, None, ()),
            (seen(W, FLORIDA, SICK), W, ADS_BROKEN, (IS_SICK,)),
            (seen(W, TEXAS), W, RollbackReason.ALREADY_BACK, ()),
            (seen(W, TEXAS, SICK), W, ADS_BROKEN, (IS_SICK,)),
            (seen(W, TEXAS, REFUSED), W, ADS_BROKEN, (IS_REFUSED,)),
            (seen(P, TEXAS), P, RollbackReason.UNWRITTEN, ()),
            (seen(P, TEXAS, SICK), P, RollbackReason.UNWRITTEN, (IS_SICK,)),
            (seen(F, FLORIDA), ChangeState.ROLLING_BACK, ADS_BROKEN, ()),
            (seen(W, "3853"), W, None, ("Somebody changed its states meanwhile: they stay as they are now",)),
            (seen(W, FLORIDA, effective_status="ARCHIVED"), S, None, ("The ad set is ARCHIVED now",)),
        ],
    )
    def test_each_course(
        self, found: Seen, state: ChangeState, reason: RollbackReason | None, issues: tuple[str, ...]
    ) -> None:
        """Each with what the report says of it."""
        run = recovery._resume(found)

        assert (run.state, run.reason, run.issues) == (state, reason, issues)
        assert run.is_foreign is ("3853" in str(found.now.targeting))

    def test_a_key_that_means_another_state_is_put_back(self) -> None:
        """As Meta stored it so; with a broken ad, that is why, for an undo must not be refused for good."""
        plain = recovery._resume(seen(W, FLORIDA, name="Texas"))
        sick = recovery._resume(seen(W, FLORIDA, SICK, name="Texas"))

        assert (plain.reason, sick.reason) == (DIFFERENT, ADS_BROKEN)
        assert "Texas" in plain.issues[0]
        assert sick.issues == (*plain.issues, IS_SICK)

    @pytest.mark.parametrize(
        ("known", "is_broken", "reason"),
        [
            (None, False, ADS_BROKEN),
            (DIFFERENT, False, DIFFERENT),
            (DIFFERENT, True, ADS_BROKEN),
            (RollbackReason.ALREADY_BACK, False, ADS_BROKEN),
            (RollbackReason.UNWRITTEN, False, ADS_BROKEN),
        ],
    )
    def test_what_an_earlier_run_had_against_it_stands(
        self, known: RollbackReason | None, reason: RollbackReason, *, is_broken: bool
    ) -> None:
        """Unless an ad is broken now; that it was back already is no reason to write."""
        change = replace(change_in(ChangeState.ROLLING_BACK), reason=known)

        assert recovery._reason_to_restore(change, ADS_BROKEN, is_broken=is_broken) is reason

    def test_why_it_was_rolled_back_is_not_forgotten(self) -> None:
        """A recovery that finds nothing left to write must not make it one that was never written."""
        change = replace(change_in(ChangeState.ROLLING_BACK), reason=DIFFERENT)

        run = recovery._resume(replace(seen(W, TEXAS), change=change))

        assert (run.reason, run.needs_no_write) == (DIFFERENT, True)

    def test_an_ad_that_is_broken_now_is_why_it_is_put_back(self) -> None:
        """Whatever an earlier run had against it."""
        change = replace(change_in(ChangeState.ROLLING_BACK), reason=DIFFERENT)

        assert recovery._resume(replace(seen(W, FLORIDA, SICK), change=change)).reason is ADS_BROKEN


class TestWhyToRestore:
    """Why a recheck puts regions back."""

    @pytest.mark.parametrize(
        ("found", "why"),
        [
            (seen(V, FLORIDA), 0),
            (seen(V, FLORIDA, OFF), 0),
            (seen(V, FLORIDA, SICK), 1),
            (seen(B, TEXAS, SICK), 1),
            (seen(B, TEXAS), 0),
            (seen(B, FLORIDA), 1),
            (seen(B, FLORIDA, SICK), 2),
            (seen(V, "3853", SICK), 1),
            (seen(S, "3853", SICK), 0),
            (seen(S, FLORIDA, SICK), 1),
            (seen(V, FLORIDA, SICK, end_time=START, read_at=START), 0),
        ],
    )
    def test_only_for_a_broken_ad_or_a_late_write(self, found: Seen, why: int) -> None:
        """Where somebody else has set the regions, the ads are protected once; what has ended is left alone."""
        late = "The states that had been rolled back are there again: Meta has done the write late"
        expected: list[list[tuple[str, ...]]] = [[()], [(IS_SICK,), (late,)], [(late, IS_SICK)]]

        assert rechecks._why_to_restore(found) in expected[why]

    def test_the_newest_change_whose_regions_are_in_place_is_looked_at(self) -> None:
        """A later one that was put back has not broken its ads; without any in place, it is the newest."""
        older, newest = replace(change_in(V), run_id="older"), replace(change_in(B), after=region("3853"))
        oldest = replace(older, run_id="oldest")

        changes = [newest, older, oldest]
        there, gone = (lookup._in_place(changes, seen(V, key).now) for key in (FLORIDA, "3861"))

        assert (there, gone) == (older, newest)


class TestRecheck:
    """What a recheck makes of what it has found."""

    @pytest.mark.parametrize(
        ("found", "hours", "spaced", "result", "issues"),
        [
            (seen(V, FLORIDA), 0, True, Result.UNCHANGED, ()),
            (seen(V, FLORIDA, SICK), 1, True, Result.REVERTED, (IS_SICK,)),
            (seen(V, "3853", SICK), 0, True, Result.SUPERSEDED, (IS_SICK,)),
            (seen(B, TEXAS, SICK), 1, True, Result.SKIPPED_PREFLIGHT, (IS_SICK,)),
            (seen(B, TEXAS, SICK), 0, True, Result.REVERTED, (IS_SICK,)),
            (seen(B, TEXAS, SICK), 1, False, Result.REVERTED, (IS_SICK,)),
            (seen(V, FLORIDA, replace(AD, unreadable="no row")), 0, True, Result.UNVERIFIED, ("no row",)),
        ],
    )
    def test_in_a_dry_run(  # noqa: PLR0913 - a row of the table
        self,
        world: World,
        found: Seen,
        hours: float,
        result: Result,
        issues: tuple[str, ...],
        *,
        spaced: bool,
    ) -> None:
        """Only what was put back less than its interval ago waits, and only if nobody has asked for the recheck."""
        change = replace(found.change, prepared_at=START - timedelta(hours=hours), is_reported=True)
        working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
        working = replace(working, backs_off=spaced)

        (told,) = rechecks.recheck(working, [change], 5, dry_run=True, now={"501": found.now}).results

        assert told.result is result
        assert len(told.issues) == len(issues)
        assert all(part in issue for part, issue in zip(issues, told.issues, strict=True))
        assert told.is_reported is (result is Result.SKIPPED_PREFLIGHT)

    def test_what_cannot_be_put_back_now_says_why(self, world: World) -> None:
        """Beside what is broken."""
        found = seen(V, FLORIDA, SICK)
        working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
        world.time.deadline = world.time.seconds() + 1

        (told,) = rechecks.recheck(working, [found.change], 5, dry_run=False, now={"501": found.now}).results

        assert told.result is Result.SKIPPED_PREFLIGHT
        sick, no_time = told.issues
        assert IS_SICK in sick
        assert no_time == "Too little time was left to do it safely"

    @pytest.mark.parametrize(
        ("state", "is_reported", "marked"), [(B, True, [False]), (B, False, []), (V, True, [False]), (V, False, [])]
    )
    def test_what_is_well_again_may_be_told_anew(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        state: ChangeState,
        marked: list[bool],
        *,
        is_reported: bool,
    ) -> None:
        """Nothing is written for all the others, at each recheck of a day."""
        found = seen(state, TEXAS if state is B else FLORIDA)
        written: list[bool] = []
        monkeypatch.setattr(Ledger, "mark_reported", lambda _, __, *, is_reported=True: written.append(is_reported))
        working = Job("veterans", "later", Action.RECHECK, world.api(), ledger(world), 0, lambda: None)
        change = replace(found.change, is_reported=is_reported)

        rechecks.recheck(working, [change], 5, dry_run=False, now={"501": found.now})

        assert written == marked


class TestTold:
    """What a recheck and a recovery say of an ad set."""

    @pytest.mark.parametrize("is_reported", [True, False])
    def test_what_is_open(self, *, is_reported: bool) -> None:
        """As it was found, and whether a report has told of it: a failed rollback is no news each time."""
        (told,) = recovery.report_open([replace(change_in(F), is_reported=is_reported)])

        assert told == Recovery(EARLIER, "501", "Broad", F, F, (), is_reported=is_reported)

    @pytest.mark.parametrize(
        ("ad", "known", "result", "issues"),
        [
            (AD, {}, Result.UNCHANGED, 0),
            (SICK, {}, Result.UNCHANGED, 1),
            (OFF, {}, Result.UNCHANGED, 1),
            (OFF, {"501": frozenset({"601"})}, Result.UNCHANGED, 0),
            (OFF, {"501": frozenset({"602"})}, Result.UNCHANGED, 1),
            (replace(AD, unreadable="no row"), {}, Result.UNVERIFIED, 1),
        ],
    )
    def test_what_is_left_as_it_is(self, ad: Ad, known: dict[str, frozenset[str]], result: Result, issues: int) -> None:
        """A pause that nobody can explain is told once."""
        found = seen(V, FLORIDA, ad)

        told = rechecks._rechecked(replace(found.run, findings=found.findings), known)

        assert (told.result, len(told.issues)) == (result, issues)
        assert all("601" in issue for issue in told.issues)

    @pytest.mark.parametrize(
        ("state", "is_recorded", "restored", "recovered"),
        [
            (B, True, Result.REVERTED, ChangeState.ROLLING_BACK),
            (B, False, Result.UNVERIFIED, ChangeState.ROLLING_BACK),
            (F, True, Result.ROLLBACK_FAILED, F),
            (F, False, Result.ROLLBACK_FAILED, F),
            (S, True, Result.SUPERSEDED, ChangeState.ROLLING_BACK),
            (ChangeState.ROLLING_BACK, False, Result.UNVERIFIED, ChangeState.ROLLING_BACK),
            (ChangeState.ROLLING_BACK, True, Result.UNVERIFIED, ChangeState.ROLLING_BACK),
        ],
    )
    def test_what_was_put_back(
        self, state: ChangeState, restored: Result, recovered: ChangeState, *, is_recorded: bool
    ) -> None:
        """A failed rollback is one whatever the ledger knows; all else counts only once it is recorded."""
        run = seen(ChangeState.ROLLING_BACK, TEXAS).run.with_issues("said", "said")
        run = replace(run, state=state, unrecorded=None if is_recorded else LedgerError("The ledger is gone"))

        told, (recorded, issues) = rechecks._restored(run), recovery._state_and_issues(run)

        assert (told.result, recorded) == (restored, recovered)
        assert told.issues == (("said",) if is_recorded else ("said", "The ledger is gone"))
        assert (issues[0], len(issues)) == ("said", 2 - is_recorded)
        assert is_recorded or issues[1].endswith("The ledger is gone")


class TestDue:
    """When a recheck tries a failed rollback again."""

    @pytest.mark.parametrize(
        ("failed_after", "now", "due"),
        [
            (1, 1, False),
            (1, 1.99, False),
            (1, 2, True),
            (3, 5.9, False),
            (3, 6, True),
            (11.5, 15.4, False),
            (11.5, 15.5, True),
        ],
    )
    def test_each_time_after_twice_as_long_or_four_hours(self, failed_after: float, now: float, *, due: bool) -> None:
        """Hours since the change was prepared: every try is a write, which may break again what it mends."""
        change = change_in(ChangeState.ROLLBACK_FAILED, failed_after)

        assert is_due(change, START + timedelta(hours=now)) is due

    @pytest.mark.parametrize(
        ("back_after", "now", "due"), [(1, 1.99, False), (1, 2, True), (9, 12.99, False), (9, 13, True)]
    )
    def test_ads_that_broke_again_wait_four_hours_at_most(self, back_after: float, now: float, *, due: bool) -> None:
        """A rollback was proven before: the write does not break them each time."""
        change = change_in(ChangeState.ROLLED_BACK, back_after)

        assert is_due(change, START + timedelta(hours=now)) is due

    @pytest.mark.parametrize("state", [state for state in OPEN if state is not ChangeState.ROLLBACK_FAILED])
    def test_all_else_that_is_open_is_due_at_once(self, state: ChangeState) -> None:
        """Its ads may be unprotected."""
        assert is_due(change_in(state, 1), START + timedelta(hours=1))


@pytest.fixture
def adset(world: World) -> str:
    """Return the id of the only ad set."""
    world.campaign("FL")
    return world.adset("Interrupted")


def recovered(result: dict[str, Any]) -> dict[str, Any]:
    """Return the only change that was recovered."""
    (recovery,) = result["recovered"]
    return dict(recovery)


@pytest.mark.parametrize(
    ("state", "case"),
    [pytest.param(state, case, id=f"{state}-{name}") for name, case in CASES.items() for state in case.states],
)
def test_what_becomes_of_an_open_change(world: World, state: ChangeState, case: Case) -> None:
    """The next day's run brings it to its end, whichever action it was asked for, and says so."""
    world.campaign("FL")
    adset = world.adset("Interrupted", breakage=case.breakage)
    left_behind(world, adset, state, case.shows)
    case.since(world, adset)
    by_hand = world.meta.targeting(adset)["age_min"]
    world.time.next_day()

    result = result_of(world, RECHECK)

    world.meta.settle()
    assert recorded_state(world, EARLIER, adset) == case.end
    assert world.meta.states(adset) == case.leaves
    assert tuple(statuses(world, adset)) == case.ads
    assert world.meta.targeting(adset)["age_min"] == by_hand
    if case.writes is not None:
        assert tuple(operation.kind for operation in world.meta.writes) == case.writes
    assert len(ledger(world).open_changes("veterans")) == (0 if case.end in FINAL else 1)
    assert case.counts == bool(ledger(world).previous_outcomes("veterans").reverted)

    recovery = recovered(result)
    assert {name: recovery[name] for name in ("campaign", "run_id", "id", "name", "found", "state")} == {
        "campaign": "veterans", "run_id": EARLIER, "id": adset, "name": "Interrupted", "found": state,
        "state": case.end,
    }  # fmt: skip
    assert case.told in " | ".join(recovery["issues"])
    assert result["success"] == (case.end in FINAL)
    mail = world.sandbox.aws.mails[-1]
    assert f"Interrupted ({adset})" in mail.text
    assert EARLIER in mail.text
    assert case.told in mail.text
    assert ("NOT RESTORED" in mail.subject) == (case.end is F)


class TestStaysOpen:
    """What can be neither finished nor undone today."""

    @pytest.mark.parametrize("state", OPEN)
    @pytest.mark.parametrize(
        "fault",
        [faults.SERVICE_UNAVAILABLE, faults.OBJECT_MISSING, faults.TOKEN_INVALID, faults.OK_HTML, faults.DROPPED],
    )
    def test_an_ad_set_that_cannot_be_looked_up(self, world: World, adset: str, state: ChangeState, fault: Any) -> None:
        """It stays as it is, at Meta and in the ledger, the run fails, and the next run takes it up."""
        left_behind(world, adset, state)
        before = entries(world, "CHANGE#")
        world.meta.fail(fault, on="GET adset", times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["found"], recovered(result)["state"]) == (state, state)
        assert "could not be looked up at Meta" in recovered(result)["issues"][0]
        assert not result["success"]
        assert "Interrupted" in result["campaigns"][0]["errors"][0]
        assert world.meta.writes == []
        told = {"is_reported": True} if state is F else {}
        assert entries(world, "CHANGE#") == [entry | told for entry in before]
        world.meta.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, RECHECK))["state"] in {"verified", "rolled_back"}

    def test_ads_that_cannot_be_read_afterwards(self, world: World, adset: str) -> None:
        """It is re-published and not proven: it stays open, and is looked at once more tomorrow."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{adset}/ads", skip=1, times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("republished", False)
        world.meta.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, RECHECK))["state"] == "verified"

    def test_it_is_held_and_the_others_go_on(self, world: World, adset: str) -> None:
        """No run makes a second change of an ad set whose first has no end."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.adset("Other")
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", adset))
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": "held", "Other": "updated"}
        assert world.meta.states(adset) == WANTED
        assert len(entries(world, "CHANGE#")) == 2
        assert "An earlier change of it is still open" in world.sandbox.aws.mails[-1].text

    def test_with_too_little_time_nothing_is_begun(self, world: World, adset: str) -> None:
        """Recovery needs time for a rollback too: else it waits for the next run, and says so."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.time.next_day()
        world.time.deadline = world.time.seconds() + 12

        result = result_of(world, LIVE)

        assert (recovered(result)["state"], result["success"]) == ("written", False)
        assert "Too little time" in recovered(result)["issues"][0]
        assert world.meta.writes == []

    def test_a_failed_rollback_is_tried_again_and_told_aloud_until_it_succeeds(
        self, world: World, adset: str, capsys: pytest.CaptureFixture[str], log: StringIO
    ) -> None:
        """Every day: first in the mail, a metric, a critical line, a failed run; then all is quiet again."""
        world.meta.adsets[adset].ads[0].breakage = Breakage.incurable()
        subject = "✗ NOT RESTORED in Veterans · "
        for day in ("Mon 4 May", "Tue 5 May", "Wed 6 May"):
            result = result_of(world, LIVE)

            assert (result["success"], world.meta.states(adset)) == (False, OLD)
            assert metric(capsys.readouterr().out, "RollbackFailed") == 1
            mail = world.sandbox.aws.mails[-1]
            assert mail.subject == subject + day
            assert mail.text.index("NOT RESTORED") < mail.text.index(f"Interrupted ({adset})")
            assert '"CRITICAL"' in log.getvalue()
            assert [each["found"] for each in result["recovered"]] == ["rollback_failed"] * (day != "Mon 4 May")
            log.truncate(0)
            world.time.next_day()

        world.meta.adsets[adset].ads[0].issues.clear()
        world.meta.adsets[adset].ads[0].damage = world.meta.adsets[adset].ads[0].breakage = None
        result = result_of(world, LIVE)

        assert (result["success"], recovered(result)["state"]) == (True, "rolled_back")
        assert metric(capsys.readouterr().out, "RollbackFailed") == 0
        assert '"CRITICAL"' not in log.getvalue()
        assert world.meta.states(adset) == WANTED
        world.time.next_day()
        assert result_of(world, LIVE)["recovered"] == []


class TestAround:
    """Recovery within a run."""

    @pytest.mark.parametrize("state", OPEN)
    @pytest.mark.parametrize(
        "event", [{}, {"validate": True}, {"action": "recheck"}, {"action": "undo", "run_id": EARLIER}]
    )
    def test_a_dry_run_names_what_is_open_and_writes_nothing(
        self, world: World, adset: str, state: ChangeState, event: dict[str, Any]
    ) -> None:
        """Neither at Meta nor in the ledger; that something is open is no failure of the dry run."""
        left_behind(world, adset, state)
        runs(world).begin(EARLIER, Action.SYNC, ["veterans"])
        world.time.next_day()

        with only_reads(world):
            result = world.run(event)

        assert (recovered(result)["found"], recovered(result)["state"]) == (state, state)
        assert (result["success"], result["mail"]) == (True, "sent")
        assert f"Interrupted ({adset})" in world.sandbox.aws.mails[-1].text
        assert world.sandbox.aws.mails[-1].subject.startswith("[DRY RUN] ")

    def test_it_comes_before_anybody_is_asked_for_the_demand(self, world: World, adset: str) -> None:
        """CLOSRTECH is down for days: the open change does not wait for it."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.sandbox.closrtech.misbehave(closrtech.DOWN)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert recovered(result)["state"] == "rolled_back"
        assert not result["success"]
        assert world.meta.states(adset) == OLD
        assert "was put back as before, and its ads are healthy" in world.sandbox.aws.mails[-1].text

    @pytest.mark.parametrize(
        ("state", "breakage", "shows", "result", "leaves"),
        [
            (ChangeState.WRITTEN, None, AFTER, "unchanged", WANTED),
            (ChangeState.PREPARED, None, BEFORE, "updated", WANTED),
            (ChangeState.ROLLING_BACK, None, AFTER, "updated", WANTED),
            (ChangeState.REPUBLISHED, STUBBORN, AFTER, "reverted", OLD),
        ],
    )
    def test_the_sync_goes_on_from_what_it_has_left(  # noqa: PLR0913, PLR0917 - a row of the table
        self, world: World, state: ChangeState, breakage: Breakage | None, shows: str, result: str, leaves: set[str]
    ) -> None:
        """What was finished need not be done again; what was undone is tried anew."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=breakage)
        left_behind(world, adset, state, shows)
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": result}
        assert world.meta.states(adset) == leaves
        assert ledger(world).open_changes("veterans") == ()

    def test_what_was_put_back_in_recovery_counts_for_the_next_try(self, world: World) -> None:
        """Put back by recovery, put back again the same day: the third day leaves it alone."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=Breakage.stubborn())
        left_behind(world, adset, ChangeState.WRITTEN)
        world.time.next_day()
        assert becomes_of(world, LIVE) == {"Interrupted": "reverted"}
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": "needs_attention"}
        assert world.meta.states(adset) == OLD

    def test_each_of_many_open_changes_is_brought_to_its_own_end(self, world: World, log: StringIO) -> None:
        """More than go together at once, each left at another state; the log has all of it."""
        world.campaign("FL")
        world.put({"limits/wave_size": "2"})
        adsets = [world.adset(f"Ad set {number}") for number in range(len(OPEN))]
        for adset, state in zip(adsets, OPEN, strict=True):
            left_behind(world, adset, state)
        world.time.next_day()

        result = result_of(world, RECHECK)

        ends = {each["found"]: each["state"] for each in result["recovered"]}
        assert ends == dict.fromkeys(SINCE_A_WRITE, "verified") | dict.fromkeys(SINCE_A_ROLLBACK, "rolled_back")
        assert [each["id"] for each in result["recovered"]] == adsets
        assert result["success"]
        assert logged(log, "change.recovered", "adset", "run", "found", "state", "issues") == [
            (each["id"], each["run_id"], each["found"], each["state"], each["issues"]) for each in result["recovered"]
        ]

    def test_two_runs_with_an_open_change_of_one_ad_set(self, world: World, adset: str) -> None:
        """It should not come to that; if it does, both come to an end and the ad set is as one of them had it."""
        left_behind(world, adset, ChangeState.WRITTEN)
        later(world, HOUR)
        left_behind(world, adset, ChangeState.WRITTEN, states="GA", run_id="20260504T113000Z-0000bbbb")
        world.time.next_day()

        first = result_of(world, RECHECK)
        world.time.next_day()
        second = result_of(world, RECHECK)

        assert len(first["recovered"]) == 2
        assert world.meta.states(adset) == OTHER
        assert ledger(world).open_changes("veterans") == ()
        assert len(second["recovered"]) < 2

    @pytest.mark.parametrize("event", [LIVE, RECHECK])
    @pytest.mark.parametrize("state", OPEN)
    def test_a_campaign_that_was_switched_off_since_is_brought_to_its_end(
        self, world: World, adset: str, state: ChangeState, event: dict[str, Any]
    ) -> None:
        """Off is only the following of demand: nobody asks for it, and no other ad set is changed."""
        left_behind(world, adset, state)
        other = world.adset("Other")
        world.put({"campaigns/veterans/enabled": "false"})
        world.time.next_day()

        result = result_of(world, event)

        assert recovered(result)["state"] in {"verified", "rolled_back"}
        assert result["success"]
        assert {each["result"] for each in result["campaigns"][0]["adsets"]} <= {"unchanged"}
        assert world.meta.states(other) == OLD
        assert world.sandbox.closrtech.requests == []
        assert f"Interrupted ({adset})" in world.sandbox.aws.mails[-1].text
        world.time.next_day()
        assert result_of(world, LIVE)["campaigns"] == []

    def test_a_campaign_that_is_off_is_taken_up_if_nobody_can_tell_what_is_open(self, world: World, adset: str) -> None:
        """Else an open change would be forgotten on the day on which the ledger does not answer."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.put({"campaigns/veterans/enabled": "false"})
        world.time.next_day()
        world.sandbox.aws.fail("dynamodb", "Query", "InternalServerError", 500, None)

        result = result_of(world, LIVE)

        assert not result["success"]
        assert result["campaigns"][0]["errors"]

    def test_an_open_change_of_a_campaign_that_is_off_stands_in_every_report(self, world: World, adset: str) -> None:
        """Until it has an end: each run fails, and none is a tick."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.put({"campaigns/veterans/enabled": "false"})
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset", times=None)
        for _ in range(3):
            world.time.next_day()

            result = result_of(world, LIVE)

            assert (recovered(result)["state"], result["success"]) == ("rollback_failed", False)
            assert world.sandbox.aws.mails[-1].subject.startswith("✗ NOT RESTORED in Veterans")

    def test_a_run_of_named_campaigns_leaves_the_others_alone(self, world: World, adset: str) -> None:
        """It was asked for one campaign."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))
        world.time.next_day()

        assert result_of(world, {**LIVE, "campaigns": ["truckers"]})["recovered"] == []
        assert (world.meta.writes, recorded_state(world, EARLIER, adset)) == ([], "written")

    @pytest.mark.parametrize(
        ("reason", "counts"),
        [
            (reason, reason in {RollbackReason.ADS_BROKEN, RollbackReason.PAUSE_UNEXPLAINED})
            for reason in RollbackReason
            if reason is not RollbackReason.SET_BY_OTHERS  # these regions stay
        ],
    )
    def test_why_it_was_to_be_rolled_back_stands(
        self, world: World, adset: str, reason: RollbackReason, *, counts: bool
    ) -> None:
        """A rollback that died is finished by the next run; only ads that broke count against the ad set."""
        change = left_behind(world, adset, ChangeState.REPUBLISHED)
        move(ledger(world), replace(change, reason=reason), ChangeState.ROLLING_BACK)
        world.time.next_day()

        assert recovered(result_of(world, RECHECK))["state"] == "rolled_back"
        nothing_written = {RollbackReason.ALREADY_BACK, RollbackReason.UNWRITTEN}
        is_counted = counts or reason in nothing_written  # our regions have come late: nobody knows why
        assert bool(ledger(world).previous_outcomes("veterans").reverted) is is_counted

    def test_an_undo_that_died_is_recovered_like_any_other(self, world: World, adset: str) -> None:
        """Its change goes the same way; it teaches nothing of a sync."""
        world.meta.adsets[adset].ads[0].breakage = Breakage.stubborn()
        left_behind(world, adset, ChangeState.WRITTEN, action=Action.UNDO)
        world.time.next_day()

        assert recovered(result_of(world, RECHECK))["state"] == "rolled_back"
        assert world.meta.states(adset) == OLD
        assert ledger(world).previous_outcomes("veterans").reverted == {}


class TestCutShort:
    """A rollback that died between its write, which may break ads like any other, and the re-publish against that."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set whose old regions were put back a minute before its ads lost their forms over it."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=Breakage.lost_link(60))
        change = left_behind(world, adset, ChangeState.ROLLING_BACK)
        republish_ads(world.api(), {adset: change.before.ads})
        world.api().post(adset, {"targeting": without_computed(change.before.targeting)})
        world.meta.requests.clear()
        return adset

    def test_its_ads_are_mended_where_the_regions_are(self, world: World, adset: str) -> None:
        """The new regions are not needed for that; the ad set is as before, its links are confirmed."""
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("rolled_back", True)
        world.time.pass_by(HOUR)
        assert (world.meta.states(adset), statuses(world, adset)) == (OLD, ["ACTIVE"] * 2)
        assert regions_written(world) <= {TEXAS}

    @pytest.mark.parametrize("changes", [{"age_min": 21}, {"custom_audiences": [{"id": "6001"}]}])
    def test_what_people_changed_besides_stays(self, world: World, adset: str, changes: dict[str, Any]) -> None:
        """The ledger's targeting is a day old: not all of it is to be written over what is there now."""
        world.time.pass_by(HOUR)
        world.meta.change_by_hand(adset, changes)
        by_hand = world.meta.targeting(adset)
        world.time.next_day()

        result_of(world, RECHECK)

        assert world.meta.targeting(adset) == by_hand

    def test_an_ad_that_a_person_paused_stays_paused(self, world: World, adset: str) -> None:
        """However often the other one is re-published."""
        world.time.pass_by(HOUR)
        by_hand = world.meta.ads_of(adset)[0]
        world.meta.person_pauses(by_hand.id)
        world.time.next_day()

        result_of(world, RECHECK)

        assert by_hand.status == "PAUSED"
        assert by_hand.id not in {operation.object_id for operation in world.meta.writes}

    @pytest.mark.parametrize("fault", [faults.POLICY_BLOCK, faults.INTEREST_RETIRED, faults.SERVICE_UNAVAILABLE])
    def test_a_refused_republish_keeps_it_open(self, world: World, adset: str, fault: Any) -> None:
        """However the ads look: their links are pending, and somebody has to know."""
        world.meta.fail(fault, on="POST ad", times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("rollback_failed", False)
        assert world.meta.states(adset) == OLD
        world.meta.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, LIVE))["state"] == "rolled_back"


class TestBrokenByInterruption:
    """A rollback cut off after its write has broken the ads, and no re-publish under its regions repairs them."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set whose ads, once the rollback has broken them, are repaired only under the new regions."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=Breakage.ordinary(seconds=60))
        change = left_behind(world, adset, ChangeState.ROLLING_BACK)
        republish_ads(world.api(), {adset: change.before.ads})
        world.api().post(adset, {"targeting": without_computed(change.before.targeting)})
        world.meta.requests.clear()
        return adset

    def test_the_change_is_applied_and_rolled_back_once_more(self, world: World, adset: str) -> None:
        """Each time with a re-publish: the ad set is as before, its ads are healthy and stay so."""
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("rolled_back", True)
        assert recovered(result)["issues"] == [REAPPLIED, "Its targeting was restored and its ads are healthy"]
        world.time.pass_by(HOUR)
        assert (world.meta.states(adset), statuses(world, adset)) == (OLD, ["ACTIVE"] * 2)

    def test_only_once(self, world: World, adset: str) -> None:
        """An ad that even this does not repair is reported; later runs do not set the new regions again."""
        for ad in world.meta.ads_of(adset):
            assert ad.damage is not None
            ad.breakage = ad.damage.breakage = Breakage.incurable()
        world.time.next_day()
        assert recovered(result_of(world, RECHECK))["state"] == "rollback_failed"
        world.meta.requests.clear()
        world.time.next_day()

        assert recovered(result_of(world, LIVE))["state"] == "rollback_failed"
        assert regions_written(world) == {TEXAS}

    def test_also_if_they_break_only_once_they_are_republished(self, world: World, adset: str) -> None:
        """The regions were back when the recovery looked; after the new ones, they have to be restored again."""

        def break_then(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("POST", "ad"):
                for ad in world.meta.ads_of(adset):
                    ad.issues = [dict(MISSING_LEAD_FORM)]

        world.meta.on_request = break_then

        assert recovered(result_of(world, RECHECK))["state"] == "rollback_failed"
        assert (regions_written(world), world.meta.states(adset)) == ({FLORIDA, TEXAS}, OLD)

    def test_a_person_who_comes_meanwhile_has_the_last_word(self, world: World, adset: str) -> None:
        """Each write is based on a new read: a person's states stay, whichever read is the first to show them."""
        world.time.next_day()
        reads = iter(range(1, 1000))
        texas_and_ohio = {"geo_locations": {"regions": [{"key": "3886"}, {"key": "3878"}]}}

        def come_after_the_first_look(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("GET", "adset") and next(reads) == 3:
                world.meta.person_edits_targeting(adset, texas_and_ohio)

        world.meta.on_request = come_after_the_first_look

        result = result_of(world, RECHECK)

        assert recovered(result)["state"] == "superseded"
        assert (FLORIDA in regions_written(world), world.meta.states(adset)) == (False, {"TX", "OH"})

    @pytest.mark.parametrize("calls", range(1, 6))
    def test_without_time_it_is_not_begun(self, world: World, adset: str, calls: int) -> None:
        """Time runs out during the first attempt; the next day does all of it."""
        world.time.next_day()
        count = iter(range(1, 1000))

        def time_runs_out(_: Operation) -> None:
            if next(count) == calls:
                world.time.deadline = world.time.seconds() + 12

        world.meta.on_request = time_runs_out
        assert recovered(result_of(world, RECHECK))["state"] == "rolling_back"
        assert (FLORIDA in regions_written(world), world.meta.states(adset)) == (False, OLD)
        world.meta.on_request = None
        world.time.next_day()

        assert recovered(result_of(world, RECHECK))["state"] == "rolled_back"
        world.time.pass_by(HOUR)
        assert (world.meta.states(adset), statuses(world, adset)) == (OLD, ["ACTIVE"] * 2)

    def test_not_after_a_refusal(self, world: World, adset: str) -> None:
        """Meta blocks the re-publish by policy: more writes would only make it worse."""
        world.meta.fail(faults.POLICY_BLOCK, on="POST ad", times=None)
        world.time.next_day()

        result_of(world, RECHECK)

        assert (FLORIDA in regions_written(world), world.meta.states(adset)) == (False, OLD)

    @pytest.mark.parametrize("applied", [False, True])
    def test_a_lost_answer_to_it(self, world: World, adset: str, *, applied: bool) -> None:
        """Whatever became of the write of the new regions, the original ones are put back after it."""
        world.meta.fail(
            faults.BAD_GATEWAY_HTML,
            on=lambda operation: operation.method == "POST" and FLORIDA in operation.params.get("targeting", ""),
            times=None,
            applied=applied,
        )
        world.time.next_day()

        result_of(world, RECHECK)

        assert world.meta.states(adset) == OLD


class TestWhosePause:
    """An ad that a person paused is never switched on again, however often its ad set is put back."""

    def test_a_pause_between_two_tries(self, world: World, adset: str) -> None:
        """The rollback fails for days because of one ad; the other, which a person pauses meanwhile, stays paused."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.incurable()
        result_of(world, LIVE)
        world.time.pass_by(3 * HOUR)
        world.meta.person_pauses(two.id)
        world.meta.requests.clear()

        for _ in range(4):
            world.time.next_day()
            assert recovered(result_of(world, LIVE))["state"] == "rollback_failed"
        assert two.status == "PAUSED"
        assert two.id not in {operation.object_id for operation in world.meta.writes}

    def test_a_pause_before_a_recheck_whose_rollback_fails(self, world: World, adset: str) -> None:
        """Paused between the sync and the recheck, whose rollback fails; the next day's succeeds."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.late(1200)
        assert becomes_of(world, LIVE) == {"Interrupted": "updated"}
        world.time.pass_by(900)
        world.meta.person_pauses(two.id)
        later(world, 900)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        assert becomes_of(world, RECHECK) == {"Interrupted": "rollback_failed"}

        for _ in range(2):
            world.time.next_day()
            result_of(world, {**LIVE, "notify": False})
            assert two.status == "PAUSED"
        assert ledger(world).open_changes("veterans") == ()

    def test_an_ad_that_a_person_had_paused_before(self, world: World, adset: str) -> None:
        """It was not ACTIVE when the change was written down, so it is nobody's to re-publish."""
        retired = world.meta.add_ad(adset, "Retired", status="PAUSED")
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.time.next_day()
        result_of(world, RECHECK)

        assert world.meta.ads[retired].status == "PAUSED"
        assert retired not in {operation.object_id for operation in world.meta.writes}

    def test_a_draft_that_came_later(self, world: World, adset: str) -> None:
        """It is off, and stays off."""
        left_behind(world, adset, ChangeState.WRITTEN)
        new = world.meta.add_ad(adset, "New", status="PAUSED")
        world.time.next_day()
        result_of(world, RECHECK)

        assert new not in {operation.object_id for operation in world.meta.writes}

    @pytest.mark.parametrize("shown", [True, False], ids=["in the log", "without a trace"])
    def test_an_ad_that_ran_only_after_the_run_had_died(self, world: World, adset: str, *, shown: bool) -> None:
        """Our write has broken it too: it runs again, if the log shows that Meta paused it, and else stays as it is."""
        world.meta.accounts["act_111"].activities.missing = lambda _: not shown
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        left_behind(world, adset, ChangeState.WRITTEN)
        world.meta.person_activates(late)
        world.time.pass_by(HOUR)
        world.meta.meta_pauses(late, with_issue=True)
        world.time.next_day()

        result = result_of(world, RECHECK)

        (status,) = (ad.status for ad in world.meta.ads_of(adset) if ad.id == late)
        expected = ("rolled_back", OLD, "ACTIVE") if shown else ("verified", WANTED, "PAUSED")
        assert (recovered(result)["state"], world.meta.states(adset), status) == expected

    @pytest.mark.parametrize("shown", [True, False], ids=["in the log", "without a trace"])
    def test_an_ad_that_ran_when_the_next_run_came(self, world: World, adset: str, *, shown: bool) -> None:
        """The write of the rollback breaks it, and Meta pauses it silently: it runs again, or is told."""
        world.meta.accounts["act_111"].activities.missing = lambda _: not shown
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.meta.person_activates(late)
        later(world, HOUR)
        world.meta.echo_oddity = lambda _: {
            "id": adset
        }  # so that the ads are read between the write and the re-publish

        def meta_comes(operation: Operation) -> None:
            if operation.method == "GET" and world.meta.writes:
                world.meta.on_request = None
                world.meta.meta_pauses(late, with_issue=False)

        world.meta.on_request = meta_comes
        world.meta.requests.clear()

        result = result_of(world, RECHECK)

        told = [pause["adset_id"] for pause in result["unexplained"]]
        expected: tuple[str, list[str]] = ("ACTIVE", []) if shown else ("PAUSED", [adset])
        assert recovered(result)["state"] == "rolled_back"
        assert (world.meta.ads[late].status, told) == expected

    def test_what_nobody_can_explain_is_told_until_it_is_on_again(self, world: World, adset: str) -> None:
        """In each run's result and mail, and in no revert streak; then not a word more, and after a day it is over."""
        left_behind(world, adset, ChangeState.WRITTEN)
        paused_by_somebody(world, adset)
        off = world.meta.ads_of(adset)[0]
        for _ in range(3):
            world.time.next_day()

            (pause,) = result_of(world, LIVE)["unexplained"]

            assert (pause["adset_id"], [ad["id"] for ad in pause["ads"]]) == (adset, [off.id])
            assert off.name in world.sandbox.aws.mails[-1].text
        world.meta.person_activates(off.id)
        world.time.next_day()

        assert result_of(world, LIVE)["unexplained"] == []
        world.time.next_day()
        assert result_of(world, LIVE)["unexplained"] == []
        assert entries(world, "MEMORY#") == []

    def test_what_nobody_can_explain_is_told_although_the_ledger_cannot_be_read(self, world: World, adset: str) -> None:
        """The recovery has gone on without it; what is recorded of earlier pauses is not overwritten."""
        left_behind(world, adset, ChangeState.WRITTEN)
        paused_by_somebody(world, adset)

        with patch.object(Ledger, "previous_outcomes", side_effect=LedgerError("The ledger cannot be read")):
            result = result_of(world, LIVE)

        (campaign,), (recovery,), (pause,) = result["campaigns"], result["recovered"], result["unexplained"]
        assert "The ledger cannot be read" in campaign["errors"][0]
        assert (recovery["state"], pause["adset_id"]) == ("verified", adset)
        assert f"{pause['ads'][0]['name']} in " in world.sandbox.aws.mails[-1].text
        assert entries(world, "MEMORY#unexplained") == []

    @pytest.mark.parametrize("trouble", [None, faults.SERVICE_UNAVAILABLE], ids=["read", "unreadable"])
    def test_it_is_still_told_while_its_ad_set_is_off(self, world: World, adset: str, trouble: Any) -> None:
        """The list of running ad sets does not have it then, which explains nothing; once it is deleted, it is gone."""
        left_behind(world, adset, ChangeState.WRITTEN)
        paused_by_somebody(world, adset)
        world.time.next_day()
        result_of(world, LIVE)
        world.meta.person_pauses(adset)
        if trouble:
            world.meta.fail(trouble, on="GET adset", times=None)
        for _ in range(2):
            world.time.next_day()

            assert [pause["adset_id"] for pause in result_of(world, LIVE)["unexplained"]] == [adset]

        world.meta.clear_faults()
        world.meta.person_deletes(adset)
        world.time.next_day()
        assert result_of(world, LIVE)["unexplained"] == []
        assert entries(world, "MEMORY#") == []

    def test_it_is_told_no_more_once_meta_does_not_know_its_ad_set(self, world: World, adset: str) -> None:
        """There is nothing left that anybody could switch on."""
        left_behind(world, adset, ChangeState.WRITTEN)
        paused_by_somebody(world, adset)
        world.time.next_day()
        result_of(world, LIVE)
        world.meta.person_pauses(adset)
        world.meta.fail(faults.OBJECT_MISSING, on="GET adset", times=None)
        world.time.next_day()

        assert result_of(world, LIVE)["unexplained"] == []

    def test_without_the_right_to_read_the_log_nothing_is_switched_on(self, world: World, adset: str) -> None:
        """The rule still holds, more cautiously: the regions stay, the ad stays off, and it is told."""
        left_behind(world, adset, ChangeState.WRITTEN)
        paused_by_meta(world, adset)
        world.meta.fail(faults.PERMISSION_MISSING, on=lambda call: call.path == "act_111/activities", times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], world.meta.states(adset)) == ("verified", WANTED)
        assert statuses(world, adset) == ["PAUSED", "ACTIVE"]
        assert [pause["adset_id"] for pause in result["unexplained"]] == [adset]
        world.meta.clear_faults()


class TestLedgerTrouble:
    """DynamoDB fails while a run is at work."""

    @pytest.mark.parametrize("operation", ["any", "Query", "PutItem", "TransactWriteItems"])
    def test_without_the_ledger_nothing_is_written_at_meta(self, world: World, adset: str, operation: str) -> None:
        """The run fails, its report says why, and the mail goes out."""
        left_behind(world, adset, ChangeState.WRITTEN, states="GA")
        other = world.adset("Other")
        world.sandbox.aws.fail("dynamodb", operation, "InternalServerError", 500, None)
        world.time.next_day()

        with pytest.raises(SyncFailed, match="The ledger cannot be"):
            world.run(LIVE)

        assert world.written_adsets() == []
        assert world.meta.states(other) == OLD
        assert "The ledger cannot be" in world.sandbox.aws.mails[-1].text
        assert world.sandbox.aws.mails[-1].subject.startswith("✗ Veterans failed")

    @pytest.mark.parametrize("state", OPEN)
    def test_what_cannot_be_noted_is_brought_to_its_end_at_meta(
        self, world: World, adset: str, state: ChangeState
    ) -> None:
        """What is open was written down, so its ads are protected; nothing is changed on top of it."""
        left_behind(world, adset, state)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=1)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert (recovered(result)["state"], result["success"]) == (state, False)
        assert "the ledger could not be told" in " ".join(recovered(result)["issues"])
        assert one_adset(result)["result"] == "held"
        assert world.meta.states(adset) == (OLD if state in SINCE_A_ROLLBACK else WANTED)
        assert {call.object_id for call in world.meta.writes if call.kind == "ad"} == {
            ad.id for ad in world.meta.ads_of(adset)
        }
        world.sandbox.aws.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, LIVE))["state"] in {"verified", "rolled_back"}
        assert world.meta.states(adset) == OTHER

    def test_one_step_that_cannot_be_noted_does_not_undo_a_later_change(self, world: World, adset: str) -> None:
        """The rollback was done and could not be noted: the next day's run ends with what is wanted all the same."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, 1, skip=2)
        world.time.next_day()
        result_of(world, LIVE)
        world.time.next_day()
        result_of(world, RECHECK)

        verified = [item for item in entries(world, "CHANGE#") if item["state"] == "verified"]
        assert world.meta.states(adset) == (WANTED if verified else OLD)
        assert len(world.written_adsets()) == 1 + len(verified)

    def test_a_failed_rollback_is_loud_whatever_the_ledger_does(
        self, world: World, adset: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """That the ledger could not be told of it as well makes it no smaller."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=2)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], world.meta.states(adset)) == ("rollback_failed", WANTED)
        assert world.sandbox.aws.mails[-1].subject.startswith("✗ NOT RESTORED in Veterans")
        assert metric(capsys.readouterr().out, "RollbackFailed") == 1

    def test_a_defect_leaves_one_change_open_and_takes_up_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What stumbles over one change stops neither the others nor the report."""
        world.campaign("FL")
        adsets = [world.adset(name) for name in ("One", "Two")]
        for adset in adsets:
            left_behind(world, adset, ChangeState.WRITTEN)

        def stumble(change: Change, now: AdSetSnapshot, findings: Sequence[AdFinding], **more: bool) -> Course:
            if change.before.id == adsets[0]:
                raise ZeroDivisionError("a defect")
            return course_of(change, now, findings, **more)

        monkeypatch.setattr("closrads.rollout.recovery.course_of", stumble)

        result = result_of(world, LIVE)

        assert [each["state"] for each in result["recovered"]] == ["written", "verified"]
        assert "ZeroDivisionError" in result["recovered"][0]["issues"][0]
        assert not result["success"]

    @pytest.mark.parametrize("step", [ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.VERIFIED])
    def test_a_defect_in_the_ledger_leaves_no_ad_set_unprotected(
        self, world: World, step: ChangeState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three ad sets are written, and noting one of them down stumbles: all are re-published and verified."""
        world.campaign("FL")
        adsets = [world.adset(name, breakage=Breakage.ordinary(seconds=60)) for name in ("One", "Two", "Three")]
        move = Ledger.move

        def stumble(book: Ledger, moves: Sequence[tuple[Change, ChangeState]]) -> Any:
            if any(change.before.id == adsets[1] and state is step for change, state in moves):
                raise ZeroDivisionError("a defect")
            return move(book, moves)

        monkeypatch.setattr(Ledger, "move", stumble)

        result = result_of(world, LIVE)

        world.time.pass_by(120)
        assert [world.meta.states(adset) for adset in adsets] == [WANTED] * 3
        assert [statuses(world, adset) for adset in adsets] == [["ACTIVE"] * 2] * 3
        assert len(result["campaigns"][0]["adsets"]) == 3
        assert {item["name"] for item in entries(world, "CHANGE#") if item["state"] != "verified"} == {"Two"}


def test_the_log_tells_of_each_open_change_what_became_of_it(world: World, log: StringIO) -> None:
    """Also if there was no time for it."""
    working = Job("veterans", "later", Action.SYNC, world.api(), ledger(world), 0, lambda: None)
    world.time.deadline = world.time.seconds() + 1

    recovery.recover(working, [change_in(ChangeState.WRITTEN)], 5)

    told = ("501", EARLIER, "written", "written", ["Too little time was left to do it safely"])
    assert logged(log, "change.recovered", "adset", "run", "found", "state", "issues") == [told]


@pytest.mark.parametrize(
    ("health", "status", "expected"),
    [
        (AdHealth.BROKEN, "PAUSED", AdHealth.UNEXPLAINED),
        (AdHealth.BROKEN, "ACTIVE", AdHealth.BROKEN),
        (AdHealth.HEALTHY, "PAUSED", AdHealth.HEALTHY),
        (AdHealth.HEALTHY, "ACTIVE", AdHealth.HEALTHY),
    ],
)
def test_only_a_paused_ad_that_is_broken_is_left_to_the_next_sync(
    health: AdHealth, status: str, expected: AdHealth
) -> None:
    """That sync switches it on; what is on and broken needs a person, and a person's pause stands."""
    ad = Ad("601", "One", status, status)

    assert _left_to_follow_up(AdFinding(ad, health)).health is expected
