"""A change on its way forward: how each write and each verification is judged, and how long a write waits."""

from dataclasses import replace
from typing import Any

import pytest

from closrads.domain.adsets import AdHealth
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.errors import MetaInvalidError, MetaOutcomeUnknownError, MetaRegionNameError
from closrads.ledger.changes import Ledger
from closrads.rollout.forward import _assess_verification, _assess_write, _write, carry_through, write
from sandbox.meta import faults
from tests.rollout.change_world import (
    FAILURE,
    FLORIDA,
    GEORGIA,
    WAIT,
    assert_well,
    begun,
    come_at,
    found,
    go,
    job,
    republished,
    run_in,
)
from tests.world import World

S, R = ChangeState, RollbackReason


class TestJudgedWrite:
    """What becomes of a change by what Meta returns for its write."""

    def test_what_was_sent_is_kept(self) -> None:
        """Region by region, by Meta's keys."""
        run = run_in(S.WRITTEN, FLORIDA, stored=frozenset({FLORIDA}))

        assert _assess_write(run) == run

    def test_other_states_are_put_back(self) -> None:
        """And the report says why."""
        judged = _assess_write(run_in(S.WRITTEN, GEORGIA, stored=frozenset({GEORGIA})))

        assert (judged.reason, judged.error) == (R.STORED_DIFFERENTLY, None)
        assert judged.issues == ("Meta stored different states than were sent",)

    def test_a_key_that_means_another_state_is_put_back(self) -> None:
        """And stops the campaign: every ad set would get it."""
        run = run_in(S.WRITTEN, stored=frozenset({FLORIDA}))
        now = {"geo_locations": {"regions": [{"key": FLORIDA, "name": "Texas", "country": "US"}]}}

        judged = _assess_write(replace(run, now=replace(run.now, targeting=now)))

        assert judged.reason is R.STORED_DIFFERENTLY
        assert isinstance(judged.error, MetaRegionNameError)
        assert judged.issues == (str(judged.error),)
        assert "Texas" in judged.issues[0]


class TestJudgedForward:
    """What becomes of a change whose ads were verified."""

    @pytest.mark.parametrize(
        ("more", "state", "reason"),
        [
            ({}, S.VERIFIED, None),
            ({"findings": found(AdHealth.PENDING)}, S.VERIFIED, None),
            ({"findings": found(AdHealth.BROKEN)}, S.REPUBLISHED, R.ADS_BROKEN),
            ({"findings": found(AdHealth.UNEXPLAINED)}, S.REPUBLISHED, R.PAUSE_UNEXPLAINED),
            ({"failures": (FAILURE,)}, S.REPUBLISHED, R.NOT_CONFIRMED),
            ({"failures": (FAILURE,), "findings": found(AdHealth.BROKEN)}, S.REPUBLISHED, R.ADS_BROKEN),
            ({"findings": found(AdHealth.UNREADABLE)}, S.REPUBLISHED, None),
            ({"confirmed": frozenset({"602"})}, S.REPUBLISHED, None),
        ],
    )
    def test_in_a_run(self, more: dict[str, Any], state: ChangeState, reason: RollbackReason | None) -> None:
        """Only what every re-publish was confirmed of and a later look has seen well is at its end."""
        judged = _assess_verification(run_in(S.REPUBLISHED, FLORIDA, **more), keep_unexplained=False)

        assert (judged.state, judged.reason) == (state, reason)
        assert bool(judged.issues) is bool(more) or state is S.VERIFIED

    def test_later_an_unexplained_pause_is_no_reason_to_roll_back(self) -> None:
        """In recovery the regions stay, and the ad is named."""
        run = run_in(S.REPUBLISHED, FLORIDA, findings=found(AdHealth.UNEXPLAINED))

        judged = _assess_verification(run, keep_unexplained=True)

        assert (judged.state, judged.reason) == (S.VERIFIED, None)
        assert "601" in " ".join(judged.issues)


class TestPatience:
    """How long a write waits for Meta."""

    def test_a_first_write_is_sent_once(self, world: World, adset: str) -> None:
        """While it was tried again, the ads of all others that are already written would be without protection."""
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="POST adset", times=None)
        (run,) = [write(job(world), each) for each in begun(world, adset)]

        assert run.unknown is not None
        assert [call.object_id for call in world.meta.operations if call.method == "POST"] == [adset]
        assert world.time.waits == []

    def test_what_meta_refuses_is_left_as_it_is(self, world: World, adset: str) -> None:
        """Nothing was written, so there is nothing to re-publish, to verify or to roll back."""
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.NOT_WRITTEN, None)
        assert run.issues == (str(run.error),)
        assert [call.object_id for call in world.meta.operations] == [adset]

    @pytest.mark.parametrize("call", ["POST adset", "GET adset"])
    def test_a_second_write_leaves_the_time_for_a_rollback(self, world: World, adset: str, call: str) -> None:
        """However long Meta does not answer."""
        working = job(world)
        (run,) = begun(world, adset)
        run = replace(run, unknown=MetaOutcomeUnknownError("No answer", MetaInvalidError("none")))
        needed = working.seconds_needed([run.now])
        world.time.deadline = world.time.seconds() + needed + 5
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=call, times=None)

        _write(working, run, retries=True)

        assert working.api.clock.remaining() >= needed

    @pytest.mark.parametrize(("seconds", "state"), [(24, S.VERIFIED), (21, S.REPUBLISHED)])
    def test_a_verification_leaves_the_time_for_a_rollback(
        self, world: World, adset: str, seconds: float, state: ChangeState
    ) -> None:
        """Ten seconds for the report, three to wait for its own verification; Meta does not answer at first."""
        working = job(world)
        written = [write(working, run) for run in begun(world, adset)]
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET ads")
        world.time.deadline = world.time.seconds() + seconds

        (run,) = carry_through(working, written)

        assert (run.state, run.reason) == (state, None)


class TestRefusedRepublish:
    """An ad that Meta does not take back."""

    def test_the_change_goes_back_at_once_and_says_why(
        self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The ledger never has it as re-published, and nothing is waited for before the way back."""
        refused = world.meta.ads_of(adset)[0]
        world.meta.fail(faults.PERMISSION_MISSING, on=lambda call: (call.method, call.path) == ("POST", refused.id))
        recorded: list[ChangeState] = []
        move = Ledger.move

        def watch(book: Ledger, moves: Any) -> Any:
            recorded.extend(to for _, to in moves)
            return move(book, moves)

        monkeypatch.setattr(Ledger, "move", watch)
        (run,) = go(world, adset)

        assert (run.state, run.reason, world.meta.states(adset)) == (S.ROLLED_BACK, R.NOT_CONFIRMED, {"TX"})
        assert recorded == [S.WRITTEN, S.ROLLING_BACK, S.ROLLED_BACK]
        assert world.time.waits == [WAIT]
        assert run.issues[0].startswith(f"Ad “{refused.name}” ({refused.id}): could not be re-published: Meta refuses")


class TestUnexplained:
    """An ad that is off without a trace of who did it."""

    def test_in_a_run_the_regions_go_back_and_the_ad_stays_off(self, world: World, adset: str) -> None:
        """That is safe either way, and never called healthy."""
        off, other = world.meta.ads_of(adset)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        come_at(world, "GET ads", lambda: world.meta.person_pauses(off.id))

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.ROLLED_BACK, R.PAUSE_UNEXPLAINED)
        assert [finding.ad.id for finding in run.unexplained] == [off.id]
        assert "all other ads are healthy" in run.issues[-1]
        assert (off.status, world.meta.states(adset)) == ("PAUSED", {"TX"})
        assert republished(world)[2:] == [other.id]

    def test_a_persons_pause_is_no_reason(self, world: World, adset: str) -> None:
        """The log names one."""
        theirs, _ = world.meta.ads_of(adset)
        come_at(world, "GET ads", lambda: world.meta.person_pauses(theirs.id))

        (run,) = go(world, adset)

        assert (run.state, theirs.status, world.meta.states(adset)) == (S.VERIFIED, "PAUSED", {"FL"})

    def test_metas_pause_is_one(self, world: World, adset: str) -> None:
        """The regions go back, and the ad is switched on again."""
        paused, _ = world.meta.ads_of(adset)
        come_at(world, "GET ads", lambda: world.meta.meta_pauses(paused.id, with_issue=False))

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.ROLLED_BACK, R.ADS_BROKEN)
        assert (paused.status, world.meta.states(adset)) == ("ACTIVE", {"TX"})
        assert_well(world, adset)
