"""A wave: what is read again, written down, written, and what keeps one ad set or all of them from it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from closrads.domain.adset_results import Result
from closrads.domain.adsets import LONG_AGO, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RevertStreak, RollbackReason
from closrads.domain.plan import Decision, decide
from closrads.domain.request import Action
from closrads.domain.targeting import _build_new_targeting
from closrads.errors import (
    ClosradsError,
    LedgerError,
    LedgerItemTooLargeError,
    MetaError,
    MetaInvalidError,
    MetaObjectError,
    MetaRateLimitError,
    MetaTransientError,
    PausedError,
)
from closrads.ledger.changes import Ledger
from closrads.rollout import wave
from closrads.rollout.change_run import ChangeRun, begin
from closrads.rollout.job import Job
from closrads.rollout.wave import _not_begun, _not_done, _outcome, _Switches, apply_wave, common_reason
from closrads.state_mapper import build_fb_regions
from sandbox.aws import DROPPED
from sandbox.meta import Breakage, Operation, faults
from sandbox.server import Reply
from tests.business import Business
from tests.ledger_world import EARLIER, entries, later, ledger, recorded_state
from tests.world import START, World

TEXAS, GEORGIA = "3886", "3853"


def job(world: World, refuse: Callable[[], None] = lambda: None, wait_seconds: float = 0) -> Job:
    """Return a job on the veterans."""
    return Job("veterans", EARLIER, Action.SYNC, world.api(), ledger(world), wait_seconds, refuse)


def wave_of(world: World, **more: Any) -> list[Decision]:
    """Return what was planned for the ad sets, so long ago that they have to be read again: Florida for Texas."""
    regions = build_fb_regions(["FL"])
    decisions = [decide(replace(each, read_at=LONG_AGO), regions, ()) for each in world.snapshots()]
    world.meta.requests.clear()
    return [replace(each, **more) for each in decisions]


def planned_now(world: World) -> list[Decision]:
    """Return what was planned for the ad sets, on the basis of a read right before: Florida for Texas."""
    read_at = world.time.clock.now()
    return [replace(each, adset=replace(each.adset, read_at=read_at)) for each in wave_of(world)]


class TestReadAgain:
    """A plan holds for what is there when its turn comes."""

    @pytest.mark.parametrize(
        ("more", "result", "states"),
        [
            pytest.param({}, Result.UPDATED, {"FL"}, id="as planned"),
            pytest.param({"adds_only": True}, Result.UPDATED, {"FL", "TX"}, id="states are only added"),
            pytest.param({"waiting": frozenset({TEXAS})}, Result.UPDATED, {"FL", "TX"}, id="Texas waits"),
            pytest.param({"replaces": frozenset({TEXAS})}, Result.UPDATED, {"FL"}, id="an undo of Texas"),
            pytest.param({"replaces": frozenset({GEORGIA})}, Result.NEEDS_ATTENTION, {"TX"}, id="an undo of Georgia"),
        ],
    )
    def test_each_condition_of_the_plan_still_holds(
        self, world: World, more: dict[str, Any], result: Result, states: set[str]
    ) -> None:
        """What was not to be removed is not removed because the ad set was read once more."""
        world.campaign("FL")
        adset = world.adset()

        outcomes = apply_wave(job(world), wave_of(world, **more))

        assert (outcomes[adset].result.result, world.meta.states(adset)) == (result, states)

    def test_how_often_it_was_put_back_before_is_recorded_with_it(self, world: World) -> None:
        """Otherwise an ad set that breaks each time would never be left alone."""
        world.campaign("FL")
        world.adset()

        apply_wave(job(world), wave_of(world, reverts=RevertStreak(frozenset({GEORGIA}), 1)))

        assert [entry["memory"]["times"] for entry in entries(world, "CHANGE#")] == [1]

    @pytest.mark.parametrize(
        ("fault", "first"), [(faults.SERVICE_UNAVAILABLE, None), (faults.OBJECT_MISSING, Result.FAILED)]
    )
    def test_one_that_cannot_be_read_keeps_no_other_from_its_turn(
        self, world: World, fault: Reply, first: Result | None
    ) -> None:
        """Nor does a wave wait for Meta to show it: what was read of the others would get old."""
        world.campaign("FL")
        one, two, three = adsets = [world.adset(name) for name in ("One", "Two", "Three")]
        wave = wave_of(world)
        world.meta.fail(fault, on=lambda call: (call.method, call.path) == ("GET", one), times=None)
        world.time.waits.clear()

        outcomes = apply_wave(job(world, wait_seconds=3), wave)

        expected = {one: first, two: Result.UPDATED, three: Result.UPDATED}
        assert {each: outcomes[each].result.result if each in outcomes else None for each in adsets} == expected
        assert world.time.waits == [3]

    @pytest.mark.parametrize("is_old", [False, True], ids=["a known plan", "a retry, whose plan has no time"])
    @pytest.mark.parametrize(
        ("who", "result"),
        [("a person", Result.UPDATED), ("Meta", Result.DEFERRED), ("nobody knows", Result.DEFERRED)],
    )
    def test_an_ad_that_is_paused_since_the_plan(self, world: World, who: str, result: Result, *, is_old: bool) -> None:
        """Unless a person did that, its ad set has to wait, and no other with it."""
        world.campaign("FL")
        one, two = world.adset("One"), world.adset("Two")
        plan = wave_of(world) if is_old else planned_now(world)
        ad = world.meta.ads_of(one)[0]
        world.time.sleep(60)
        world.meta.accounts["act_111"].activities.missing = lambda _: who == "nobody knows"
        if who == "Meta":
            world.meta.meta_pauses(ad.id, with_issue=False)
        else:
            world.meta.person_pauses(ad.id)
        world.time.sleep(60)

        outcomes = apply_wave(job(world), plan)

        assert (outcomes[one].result.result, outcomes[two].result.result) == (result, Result.UPDATED)
        assert (ad.status, world.meta.states(one)) == ("PAUSED", {"FL"} if result is Result.UPDATED else {"TX"})

    def test_a_pause_from_long_before_the_plan_explains_nothing(self, world: World) -> None:
        """The ad ran when it was planned, whatever the log lacks."""
        world.campaign("FL")
        one, _ = world.adset("One"), world.adset("Two")
        ad = world.meta.ads_of(one)[0]
        world.meta.person_pauses(ad.id)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        later(world, 3600)
        world.meta.person_activates(ad.id)
        plan = planned_now(world)
        world.time.sleep(60)
        world.meta.person_pauses(ad.id)

        assert apply_wave(job(world), plan)[one].result.result is Result.DEFERRED

    def test_nor_does_a_wave_wait_for_the_log(self, world: World) -> None:
        """What has just been read would get old."""
        world.campaign("FL")
        one, _ = world.adset("One"), world.adset("Two")
        plan = planned_now(world)
        world.time.sleep(60)
        world.meta.person_pauses(world.meta.ads_of(one)[0].id)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="activities", times=None)
        world.time.waits.clear()

        outcomes = apply_wave(job(world), plan)

        assert (outcomes[one].result.result, sum(world.time.waits)) == (Result.DEFERRED, 0)

    def test_a_single_one_is_waited_for(self, world: World) -> None:
        """And read once more after the wait."""
        world.campaign("FL")
        adset = world.adset()
        wave = wave_of(world)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset")

        assert apply_wave(job(world), wave)[adset].result.result is Result.UPDATED

    def test_and_no_longer_than_for_any_other_read(self, world: World) -> None:
        """Three attempts have failed by then: the time is better spent on the next ad set."""
        world.campaign("FL")
        adset = world.adset()
        wave = wave_of(world)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=None)

        assert apply_wave(job(world), wave)[adset].result.result is Result.FAILED
        assert world.time.waits == [5, 10]

    @pytest.mark.parametrize(("seconds", "is_read"), [(5.0, False), (5.1, True)])
    def test_what_was_just_read_is_written_at_once(self, world: World, seconds: float, *, is_read: bool) -> None:
        """For five seconds: a person may have changed it since."""
        world.campaign("FL")
        adset = world.adset()
        wave = planned_now(world)
        world.time.pass_by(seconds)

        assert apply_wave(job(world), wave)[adset].result.result is Result.UPDATED
        assert (world.meta.operations[0].method == "GET") is is_read

    def test_a_retry_reads_anew(self, world: World) -> None:
        """However short the wait was that Meta asked for."""
        world.campaign("FL")
        adset = world.adset()
        wave = planned_now(world)
        world.meta.fail(faults.throttled_account(2), on="POST adset")

        assert apply_wave(job(world), wave)[adset].result.result is Result.UPDATED
        assert world.time.waits[0] == 2
        calls = [call.method for call in world.meta.operations if call.path == adset]
        assert calls[:3] == ["POST", "GET", "POST"]

    @pytest.mark.parametrize(("seconds", "waits"), [(90, True), (60, False)])
    def test_a_wait_spares_the_time_for_a_rollback(self, world: World, seconds: float, *, waits: bool) -> None:
        """It is waited for nothing if too little time is left then."""
        world.campaign("FL")
        adset = world.adset()
        wave = wave_of(world)
        world.meta.fail(faults.throttled_account(45), on="POST adset")
        world.time.deadline = world.time.seconds() + seconds

        outcomes = apply_wave(job(world, wait_seconds=10), wave)

        assert outcomes[adset].result.result is (Result.UPDATED if waits else Result.DEFERRED)
        assert (45 in world.time.waits) is waits

    @pytest.mark.parametrize(("seconds", "is_begun"), [(60.0, True), (59.9, False)])
    def test_it_is_begun_if_there_is_just_time_enough(
        self, world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, *, is_begun: bool
    ) -> None:
        """For the write, and for the way back."""
        world.campaign("FL")
        adset = world.adset()
        wave = wave_of(world)
        monkeypatch.setattr(Job, "seconds_needed", lambda *_: 60.0)
        world.time.deadline = world.time.seconds() + seconds

        assert (adset in apply_wave(job(world), wave)) is is_begun
        assert (world.meta.states(adset) == {"FL"}) is is_begun

    def test_a_defect_of_the_look_is_told_of_each(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing was written."""
        world.campaign("FL")
        adsets = [world.adset(name) for name in ("One", "Two")]
        planned = wave_of(world)

        def stumble(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("no way")

        monkeypatch.setattr(wave, "read_adsets", stumble)
        outcomes = apply_wave(job(world), planned)

        assert [outcomes[each].result.result for each in adsets] == [Result.FAILED] * 2
        assert all("no way" in issue for each in adsets for issue in outcomes[each].result.issues)
        assert all(outcomes[each].result.issues for each in adsets)


INVALID, THROTTLED = MetaInvalidError("Meta refuses it", code=100), MetaRateLimitError("Meta is busy")
TRANSIENT, TOO_LARGE = MetaTransientError("no answer"), LedgerItemTooLargeError("too large")
GONE = LedgerError("The ledger is gone")
S = ChangeState
ADSET = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {"geo_locations": {"regions": [{"key": TEXAS}]}})
DECISION = decide(ADSET, build_fb_regions(["FL"]), ())


class TestOutcome:
    """What the end of one change means for its ad set, and for the others."""

    @pytest.mark.parametrize(
        ("state", "more", "result", "is_isolated"),
        [
            (S.VERIFIED, {}, Result.UPDATED, True),
            (S.ROLLED_BACK, {"reason": RollbackReason.ADS_BROKEN}, Result.REVERTED, False),
            (S.ROLLED_BACK, {"reason": RollbackReason.ADS_BROKEN, "refusals": (INVALID,)}, Result.REVERTED, False),
            (S.ROLLED_BACK, {"reason": RollbackReason.NOT_CONFIRMED, "refusals": (INVALID,)}, Result.REVERTED, True),
            (
                S.ROLLED_BACK,
                {"reason": RollbackReason.NOT_CONFIRMED, "refusals": (INVALID, TRANSIENT)},
                Result.REVERTED,
                False,
            ),
            (S.ROLLBACK_FAILED, {"reason": RollbackReason.ADS_BROKEN}, Result.ROLLBACK_FAILED, False),
            (S.REPUBLISHED, {}, Result.UNVERIFIED, False),
            (S.SUPERSEDED, {}, Result.SUPERSEDED, False),
        ],
    )
    def test_each_end(self, state: ChangeState, more: dict[str, Any], result: Result, *, is_isolated: bool) -> None:
        """A refused re-publish is that ad set's own trouble, if Meta has answered."""
        change = Change("veterans", EARLIER, Action.SYNC, ADSET, ADSET.targeting, S.WRITTEN, START, START)
        run = replace(begin(change, ADSET), state=state, issues=("said", "said", "more"), **more)

        found, unrecorded = (_outcome(DECISION, each) for each in (run, replace(run, unrecorded=GONE)))

        assert (found.result.result, found.result.issues) == (result, ("said", "more"))
        assert (found.is_isolated, found.error) == (is_isolated, run.error)
        assert unrecorded.is_isolated is is_isolated
        assert unrecorded.error is (run.error or GONE)
        if state is S.ROLLBACK_FAILED:
            assert unrecorded.result == found.result
        else:
            assert unrecorded.result.result is Result.UNVERIFIED
            assert unrecorded.result.issues[2:] == ("The ledger does not know how it ended: The ledger is gone",)

    @pytest.mark.parametrize(
        ("error", "result", "passed_on", "is_temporary"),
        [
            (INVALID, Result.FAILED, True, False),
            (THROTTLED, Result.DEFERRED, True, True),
            (TRANSIENT, Result.FAILED, True, True),
            (TOO_LARGE, Result.FAILED, False, False),
        ],
    )
    def test_what_was_not_begun(
        self, error: ClosradsError, result: Result, *, passed_on: bool, is_temporary: bool
    ) -> None:
        """A targeting that is too large for the ledger says nothing of the others."""
        done = _not_done(DECISION, error)

        assert (done.result.result, done.result.issues) == (result, (str(error),))
        assert (done.error, done.transient_error) == (error if passed_on else None, None)
        if isinstance(error, MetaError):
            begun = _not_begun(DECISION, error)
            assert begun.transient_error is (error if is_temporary else None)
            assert replace(begun, transient_error=None) == done

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (MetaInvalidError("no", code=100, subcode=1885), (100, "1885")),
            (MetaObjectError("no", code=100), None),
            (THROTTLED, None),
            (None, None),
        ],
    )
    def test_what_equal_refusals_have_in_common(
        self, error: ClosradsError | None, reason: tuple[int | None, str] | None
    ) -> None:
        """Meta's codes, if the reason is not one ad set's own."""
        assert common_reason(error, "Broad") == reason

    def test_without_a_subcode_ids_and_names_do_not_part_equal_refusals(self) -> None:
        """All the other words have to be the same, and the code."""
        said = ("Broad (501) has no “Pixel”", "Narrow (502) has no “Tag”", "Broad (501) is too “Broad”")
        one, same, another = (
            common_reason(MetaInvalidError(text), name)
            for text, name in zip(said, ("Broad", "Narrow", "Broad"), strict=True)
        )

        assert one == same != another


class TestSwitches:
    """Whether one more write may be begun."""

    @pytest.mark.parametrize(("seconds", "times"), [(5.0, 1), (5.1, 2)])
    def test_they_are_read_again_after_five_seconds(self, world: World, seconds: float, times: int) -> None:
        """No later, or a pause would come too late; no sooner, for each read takes time."""
        read: list[None] = []
        switches = _Switches(job(world, lambda: read.append(None)))
        switches.refuse_if_off()
        world.time.pass_by(seconds)

        assert [switches.allow_write(), switches.allow_write()] == [True, True]
        assert len(read) == times

    def test_once_something_is_off_no_write_is_begun(self, world: World) -> None:
        """Whatever a later look might find: the rest of the wave was planned before the pause."""
        answers = iter([True, False])

        def refuse() -> None:
            if not next(answers, True):
                raise PausedError("Everything is paused", START)

        switches = _Switches(job(world, refuse))
        switches.refuse_if_off()
        world.time.pass_by(6)

        assert [switches.allow_write(), switches.allow_write()] == [False, False]


class TestSend:
    """When a wave ends amid its writes."""

    @pytest.mark.parametrize(
        ("reasons", "sent"),
        [
            pytest.param("aaaaa", 3, id="three for the same reason"),
            pytest.param("aabba", 5, id="two each"),
            pytest.param("ababa", 5, id="three in the end"),
            pytest.param("abaabb", 4, id="three, and another in between"),
        ],
    )
    def test_the_third_equal_refusal_ends_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, reasons: str, sent: int
    ) -> None:
        """Not an earlier one, which may be about its ad set alone."""
        change = Change("veterans", EARLIER, Action.SYNC, ADSET, ADSET.targeting, S.PREPARED, START, START)
        answers = iter(reasons)

        def refuse(_: Job, run: ChangeRun) -> ChangeRun:
            return run.refused(MetaInvalidError(next(answers), code=100)).in_state(S.NOT_WRITTEN)

        monkeypatch.setattr(wave, "write", refuse)
        monkeypatch.setattr(wave, "WRITES_AT_ONCE", 1)

        done = wave._send(job(world), [begin(change, ADSET)] * len(reasons), [], _Switches(job(world)))

        assert [run.state for run in done] == [S.NOT_WRITTEN] * len(reasons)
        assert [bool(run.refusals) for run in done] == [True] * sent + [False] * (len(reasons) - sent)


class TestTrouble:
    """What stops a campaign amid a wave."""

    @pytest.mark.parametrize(
        ("reply", "refused", "rest"),
        [
            pytest.param(faults.POLICY_BLOCK, "failed", "held", id="policy"),
            pytest.param(faults.PERMISSION_MISSING, "failed", "held", id="permission"),
            pytest.param(faults.TOKEN_EXPIRED, "failed", "held", id="token"),
            pytest.param(faults.throttled_use_case(60), "deferred", "deferred", id="throttled"),
        ],
    )
    @pytest.mark.parametrize("good", [0, 1, 2, 4], ids=lambda good: f"{good} good")
    def test_what_concerns_the_account_ends_it_all(
        self, business: Business, reply: Reply, refused: str, rest: str, good: int
    ) -> None:
        """What is written is seen through; besides those under way at the time nothing is sent."""
        business.adsets("ABCDEFGH")
        business.world.meta.fail(reply, on="POST adset", skip=good, times=None)

        came_to = business.run()

        left = set("ABCDEFGH") - set(business.written.split())
        assert set(came_to) <= {"updated", refused, rest}
        assert came_to.get("updated", "") == business.written
        assert 1 <= len(business.refused) <= 4, [(call.kind, call.path) for call in business.world.meta.operations]
        assert refused == rest or business.names(business.refused) == came_to["failed"]
        assert {"F", "G", "H"} <= left & set(came_to[rest])
        assert business.errors.startswith("Stopped: Meta refuses") is (rest == "held")
        business.assert_nothing_half_done()

    def test_a_look_that_takes_the_time_of_the_write_defers_it(self, business: Business) -> None:
        """Nothing is begun that could not be put back."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("AB")
        time = business.world.time

        def take_long(asked: Operation) -> None:
            if (asked.method, asked.path) == ("GET", business.ids["B"]):
                time.deadline = time.seconds() + 12

        business.world.meta.on_request = take_long

        assert business.run() == {"updated": "A", "deferred": "B"}
        assert business.written == "A"
        business.assert_nothing_half_done()

    def test_of_a_large_wave_only_those_under_way_are_refused(self, business: Business) -> None:
        """Ten are sent at once; behind the first refusal nothing more is."""
        business.world.put({"limits/wave_size": "25"})
        business.adsets("ABCDEFGHIJKLMNOPQ")
        business.world.meta.fail(faults.POLICY_BLOCK, on="POST adset", skip=1, times=None)

        came_to = business.run()

        assert came_to["updated"] == "A"
        assert 1 <= len(business.refused) <= 10
        assert len(came_to["failed"].split()) == len(business.refused)
        assert len(came_to["held"].split()) == 16 - len(business.refused)

    @pytest.mark.parametrize("reply", [faults.POLICY_BLOCK, faults.PERMISSION_MISSING, faults.throttled_use_case(60)])
    def test_a_refused_look_ends_the_wave_too(self, business: Business, reply: Reply) -> None:
        """Nothing of it is begun."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDEFGH")
        business.world.meta.fail(
            reply, on=lambda call: (call.method, call.path) == ("GET", business.ids["D"]), times=None
        )

        came_to = business.run()

        assert set(came_to) in ({"updated", "failed", "held"}, {"updated", "deferred"})
        assert came_to["updated"] == business.written == "A"
        assert len(business.refused) == 1
        business.assert_nothing_half_done()

    def test_a_refusal_of_one_ad_set_ends_nothing(self, business: Business) -> None:
        """What Meta says against C it does not say against the others."""
        business.adsets("ABCDEFGH")
        business.world.meta.fail(
            faults.INTEREST_RETIRED, on=lambda call: (call.method, call.path) == ("POST", business.ids["C"])
        )

        assert business.run() == {"updated": "A B D E F G H", "failed": "C"}
        assert recorded_state(business.world, business.result["run_id"], business.ids["C"]) == ChangeState.NOT_WRITTEN
        assert "Stopped" not in business.errors
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        ("reply", "came_to"),
        [
            (faults.POLICY_BLOCK, {"updated": "A", "failed": "B", "held": "C D"}),
            (faults.throttled_use_case(60), {"updated": "A", "deferred": "B C D"}),
        ],
        ids=["policy", "throttled"],
    )
    def test_a_validation_is_stopped_likewise(
        self, business: Business, reply: Reply, came_to: Mapping[str, str]
    ) -> None:
        """What is refused to one is not asked for the next."""
        business.adsets("ABCD")
        business.world.meta.fail(reply, on="POST adset", skip=1, times=None)

        assert business.run({"validate": True}) == came_to
        assert len(business.refused) == 1
        assert business.errors.startswith("Stopped: Meta refuses") is ("held" in came_to)

    @pytest.mark.parametrize(
        ("steps", "came_to"),
        [
            pytest.param(0, {"failed": "A", "held": "B C D E F G H"}, id="canary"),
            pytest.param(4, {"updated": "A", "failed": "B C D E", "held": "F G H"}, id="wave"),
        ],
    )
    def test_without_the_ledger_nothing_is_written(
        self, business: Business, steps: int, came_to: Mapping[str, str]
    ) -> None:
        """Changes that cannot be written down are not made, and no others are tried."""
        business.adsets("ABCDEFGH")
        business.world.sandbox.aws.fail(
            "dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=1 + steps
        )

        assert business.run() == came_to

        assert business.written == came_to.get("updated", "")
        assert business.errors.startswith("Stopped: The ledger cannot be written")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("code", ["InternalServerError", DROPPED])
    def test_a_ledger_that_fails_after_the_write_does_not_keep_the_ads_from_protection(
        self, business: Business, code: str
    ) -> None:
        """What is at Meta comes first: re-published and verified; the change stays open, and the campaign stops."""
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=2))
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", code, 500, None, skip=2)

        assert business.run() == {"unverified": "A", "held": "B C D"}
        assert business.errors.startswith("Stopped: The ledger cannot be written")
        assert "The ledger does not know how it ended" in business.errors
        run_id = business.result["run_id"]
        assert recorded_state(business.world, run_id, business.ids["A"]) == ChangeState.PREPARED
        business.world.meta.settle()
        assert {ad.effective_status for ad in business.world.meta.ads_of(business.ids["A"])} == {"ACTIVE"}

        business.world.sandbox.aws.clear_faults()
        business.world.time.next_day()
        assert business.run() == {"unchanged": "A", "updated": "B C D"}
        assert [recovery["state"] for recovery in business.result["recovered"]] == [ChangeState.VERIFIED]

    def test_a_ledger_that_fails_amid_a_wave_stops_the_campaign(self, business: Business) -> None:
        """What was begun is seen through, and is in the ledger to be looked at once more."""
        business.adsets("ABCDEFGH")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=6)

        assert business.run() == {"updated": "A", "unverified": "B C D E", "held": "F G H"}

        assert business.errors.startswith("Stopped: The ledger cannot be written")
        opened = [item for item in entries(business.world, "CHANGE#") if "open_since" in item]
        assert {item["name"] for item in opened} == {"B", "C", "D", "E"}
        business.world.sandbox.aws.clear_faults()
        business.world.time.next_day()
        assert set(business.run()) == {"updated", "unchanged"}
        business.assert_nothing_open()

    @pytest.mark.parametrize("others", ["A B", "A B D E"])
    def test_a_defect_before_a_write_is_one_ad_sets(
        self, business: Business, others: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What trips the code over one ad set of a wave keeps no other from being changed."""
        business.adsets("".join(sorted({*others.split(), "C"})))

        def defective(targeting: Any, regions: Any) -> Any:
            if targeting["name_of_test"] == "C":
                raise KeyError("a defect")
            return _build_new_targeting(targeting, regions)

        for name, adset_id in business.ids.items():
            business.world.meta.adsets[adset_id].targeting["name_of_test"] = name
        monkeypatch.setattr("closrads.rollout.wave._build_new_targeting", defective)

        assert business.run() == {"updated": others, "failed": "C"}
        assert "Unexpected KeyError" in business.issues("C")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("skip", [0, 3], ids=["canary", "wave"])
    def test_a_defect_in_the_ledger_does_not_keep_the_ads_from_protection(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, skip: int
    ) -> None:
        """Not even a mistake of this package leaves an ad set in between, or hides what was done before it."""
        business.adsets("ABCDEFGH")
        move, calls = Ledger.move, iter(range(100))

        def defective(book: Ledger, moves: Any) -> Any:
            if next(calls) >= skip:
                raise KeyError("CancellationReasons")
            return move(book, moves)

        monkeypatch.setattr(Ledger, "move", defective)

        came_to = business.run()

        business.assert_all_republished()
        assert set(business.written.split()) <= {name for names in came_to.values() for name in names.split()}

    def test_one_lost_word_to_the_ledger_is_made_up_for(self, business: Business) -> None:
        """It is told with the next step, so nothing stays open, and the campaign goes on."""
        business.adsets("ABCD")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, skip=2)

        assert business.run() == {"updated": "A B C D"}
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_a_targeting_too_large_for_the_ledger_is_that_ad_sets_trouble(
        self, business: Business, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is left alone, and the others are updated."""
        business.adsets("ABCD")
        business.world.meta.adsets[business.ids["B"]].targeting["unheard_of"] = "".join(map(str, range(2000)))
        monkeypatch.setattr("closrads.ledger.changes.MAX_ITEM_BYTES", 3000)

        assert business.run() == {"updated": "A C D", "failed": "B"}
        assert "too large for the ledger" in business.issues("B")
        assert "Stopped" not in business.errors
        business.assert_nothing_half_done()
