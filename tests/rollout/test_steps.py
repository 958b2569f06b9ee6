"""The steps after every write: which ads are re-published by which read, and when the regions are somebody else's."""

from dataclasses import replace
from typing import Any

import pytest

from closrads.domain.adsets import AdHealth
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.meta.activity_log import read_status_changes
from closrads.rollout.change_run import begin
from closrads.rollout.forward import carry_through, write
from closrads.rollout.steps import _assess_foreign, republish, verify
from sandbox.meta import Breakage, Operation, faults
from tests.rollout.change_world import (
    FAILURE,
    GEORGIA,
    assert_well,
    begun,
    come_at,
    found,
    go,
    job,
    republished,
    run_in,
)
from tests.world import START, World

S, R = ChangeState, RollbackReason


class TestUnreadable:
    """Where no ad ran, one may have been added or switched on since."""

    def test_an_ad_set_whose_ads_are_all_off_is_verified_once_they_are_read(self, world: World, adset: str) -> None:
        """Until then its change stays open: the link of the ad that a person has added is pending."""
        for ad in world.meta.ads_of(adset):
            ad.status = "PAUSED"
        (run,) = begun(world, adset)
        run = write(job(world), run)
        world.meta.add_ad(adset, "New")
        trouble = world.meta.fail(faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{adset}/ads", times=None)

        (run,) = carry_through(job(world), [run])

        assert run.change.state is S.REPUBLISHED
        assert "Service temporarily unavailable" in run.issues[0]
        trouble.end()
        (run,) = carry_through(job(world), [run])
        assert run.change.state is S.VERIFIED
        assert_well(world, adset)


class TestRepublish:
    """Which ads are set to ACTIVE again, and by which read."""

    def test_a_read_of_this_moment_is_not_repeated(self, world: World, adset: str) -> None:
        """On an ordinary day the write's own read is fresh enough."""
        (run,) = go(world, adset)

        assert run.state is S.VERIFIED
        assert [f"{call.method} {call.kind}" for call in world.meta.operations] == [
            "POST adset", "POST ad", "POST ad", "GET ads",
        ]  # fmt: skip

    @pytest.mark.parametrize(("seconds", "is_read"), [(5.0, False), (5.1, True)])
    def test_an_older_one_is(self, world: World, adset: str, seconds: float, *, is_read: bool) -> None:
        """More than five seconds, and a person may have come: whom that read shows to be off stays off."""
        theirs, other = world.meta.ads_of(adset)
        working = job(world)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(seconds)
        if is_read:
            world.meta.person_pauses(theirs.id)

        (run,) = carry_through(working, [run])

        assert run.state is S.VERIFIED
        assert republished(world) == ([other.id] if is_read else [theirs.id, other.id])
        assert theirs.status == ("PAUSED" if is_read else "ACTIVE")
        reads = [call.kind for call in world.meta.operations if call.method == "GET"]
        assert (reads.count("ads"), reads.count("adset")) == (2 if is_read else 1, 0)

    @pytest.mark.parametrize(("seconds", "is_read"), [(5.0, False), (5.1, True)])
    def test_an_ad_that_is_off_is_switched_on_by_a_fresh_log_only(
        self, world: World, adset: str, seconds: float, *, is_read: bool
    ) -> None:
        """A person may have switched it on and off again since the log said that Meta had paused it."""
        (run,) = begun(world, adset)
        ad = world.meta.ads_of(adset)[0]
        world.meta.meta_pauses(ad.id, with_issue=False)
        working = job(world)
        (now,) = world.snapshots()
        run = begin(run.change, now, read_status_changes(working.api, START))
        world.meta.requests.clear()
        world.time.pass_by(seconds)
        if is_read:
            world.meta.person_repairs_ad(ad.id)
            world.meta.person_pauses(ad.id)

        republish(working, [run], 0)

        assert ad.status == ("PAUSED" if is_read else "ACTIVE")
        assert [call.kind for call in world.meta.operations].count("activities") == is_read

    def test_without_that_read_nothing_is_switched_on(self, world: World, adset: str) -> None:
        """It cannot be known what a person has paused: the regions go back as far as they can, and it stays open."""
        working = job(world)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(6)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET ads", times=None)

        (run,) = carry_through(working, [run])

        assert (run.state, run.reason) == (S.ROLLBACK_FAILED, R.NOT_CONFIRMED)
        assert republished(world) == []

    def test_an_ad_that_is_switched_on_meanwhile(self, world: World, adset: str) -> None:
        """Between the re-publish and the verification: it is re-published as well, and looked at once more."""
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        come_at(world, "GET ads", lambda: world.meta.person_activates(late))

        (run,) = go(world, adset)

        assert run.state is S.VERIFIED
        assert republished(world).count(late) == 1
        assert_well(world, adset)

    def test_an_ad_that_is_switched_on_where_none_ran(self, world: World) -> None:
        """An ad set without a running ad is looked at again like any other."""
        world.campaign("FL")
        adset = world.adset("Idle", ads=0)
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        come_at(world, "GET ads", lambda: world.meta.person_activates(late))

        (run,) = go(world, adset)

        assert (run.state, republished(world)) == (S.VERIFIED, [late])

    def test_an_ad_that_is_added_where_there_was_none(self, world: World) -> None:
        """Right before the write, after the read on which that is based."""
        world.campaign("FL")
        adset = world.adset("Empty", ads=0)
        come_at(world, "POST adset", lambda: world.meta.person_adds_ad(adset, "New"))

        (run,) = go(world, adset)

        (new,) = world.meta.ads_of(adset)
        assert (run.state, republished(world)) == (S.VERIFIED, [new.id])
        assert_well(world, adset)

    def test_an_ad_that_is_added_meanwhile(self, world: World, adset: str) -> None:
        """The same."""
        come_at(world, "GET ads", lambda: world.meta.person_adds_ad(adset, "New"))

        (run,) = go(world, adset)

        assert (run.state, len(republished(world))) == (S.VERIFIED, 3)
        assert_well(world, adset)

    def test_an_ad_comes_before_each_look(self, world: World, adset: str) -> None:
        """Each is re-published, the one that came before the last look as well."""
        numbers = iter(range(10))

        def add(operation: Operation) -> None:
            if (operation.method, operation.path) == ("GET", f"{adset}/ads"):
                world.meta.person_adds_ad(adset, f"New {next(numbers)}")

        world.meta.on_request = add

        go(world, adset)

        assert sorted(republished(world)) == sorted(ad.id for ad in world.meta.ads_of(adset))
        assert_well(world, adset)

    def test_an_ad_that_meta_disapproves_of_is_not_sent_one(self, world: World, adset: str) -> None:
        """It does not run, and Meta refuses: that a person's new ad was rejected is no reason to put anything back."""
        rejected = world.meta.add_ad(adset, "Rejected")
        (run,) = begun(world, adset)
        world.meta.ads[rejected].effective_status = "DISAPPROVED"
        working = job(world)
        world.time.pass_by(6)
        run = replace(run, change=replace(run.change, before=replace(run.change.before, ads=run.now.ads[:2])))
        run = replace(run, protected=run.now.ads[:2])

        (run,) = carry_through(working, [replace(run, state=S.WRITTEN, now=replace(run.now, read_at=START))])

        assert rejected not in republished(world)
        assert run.state is S.VERIFIED

    def test_one_that_was_off_is_never_sent_one(self, world: World, adset: str) -> None:
        """Neither forward nor back."""
        off = world.meta.add_ad(adset, "Retired", status="PAUSED")
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()

        (run,) = go(world, adset)

        assert run.state is S.ROLLED_BACK
        assert off not in republished(world)

    @pytest.mark.parametrize("call", ["GET ads", "POST ad"])
    def test_without_time_to_spare_no_step_waits(self, world: World, adset: str, call: str) -> None:
        """Neither for the read before a re-publish, nor for the re-publish, nor for the verification."""
        working = replace(job(world), wait_seconds=0)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(6)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=call, times=None)
        world.time.waits.clear()
        left = working.api.clock.remaining()

        (run,) = republish(working, [run], left)
        verify(working, [run], left)

        assert set(world.time.waits) <= {working.wait_seconds}


class TestJudgedForeign:
    """What becomes of a change whose regions are somebody else's."""

    @pytest.mark.parametrize(
        ("more", "is_closed"),
        [
            ({}, True),
            ({"findings": found(AdHealth.BROKEN)}, True),
            ({"findings": found(AdHealth.UNEXPLAINED)}, True),
            ({"failures": (FAILURE,)}, False),
            ({"confirmed": frozenset({"602"})}, False),
            ({"findings": found(AdHealth.UNREADABLE)}, False),
        ],
    )
    @pytest.mark.parametrize("state", [S.PREPARED, S.WRITTEN, S.ROLLING_BACK])
    def test_its_ads_have_to_be_protected(self, state: ChangeState, more: dict[str, Any], *, is_closed: bool) -> None:
        """Confirmed and read: then it is closed, whatever the ads do under regions that are not ours."""
        judged = _assess_foreign(run_in(state, GEORGIA, **more))

        assert judged.state is (S.SUPERSEDED if is_closed else state)


class TestForeign:
    """Regions that are neither the old nor ours."""

    def edit(self, world: World, adset: str) -> None:
        """Have a person choose Georgia, whose write re-validates the ads like any other."""
        world.meta.person_edits_targeting(adset, states="GA")

    def test_a_person_comes_before_a_second_attempt(self, world: World, adset: str) -> None:
        """Hands off the regions, but our write may have been there in between: the ads are protected."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        come_at(world, "GET adset", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.SUPERSEDED, {"GA"})
        assert "Somebody changed the states" in run.issues[0]
        assert sorted(republished(world)) == [ad.id for ad in world.meta.ads_of(adset)]
        assert world.written_adsets() == [adset]
        assert_well(world, adset)

    def test_a_person_comes_before_the_rollback(self, world: World, adset: str) -> None:
        """However few seconds before: what is there is read anew."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        come_at(world, "GET ads", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.SUPERSEDED, {"GA"})
        assert "Somebody changed the states" in " ".join(run.issues)
        assert world.written_adsets() == [adset]

    def test_it_stays_open_until_its_ads_are_protected(self, world: World, adset: str) -> None:
        """A refused re-publish is a pending link, whosever the regions are."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST ad", times=None)
        come_at(world, "GET adset", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert run.state.is_open
        assert "could not be re-published" in " ".join(run.issues)
        assert world.meta.states(adset) == {"GA"}
