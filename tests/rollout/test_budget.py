"""What is reckoned before a wave is begun: the time and the quota it may take, compared with what it takes."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import Result
from closrads.domain.adsets import Ad, AdSetSnapshot
from closrads.domain.plan import decide
from closrads.domain.request import Action
from closrads.domain.tiers import KnownTier
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.meta.graph import UsageMeter
from closrads.meta.rate_limit import RESERVATION_RETRY_SECONDS
from closrads.rollout.budget import adsets_per_window, points_needed, reserve_capacity
from closrads.rollout.job import Job
from closrads.rollout.wave import apply_wave
from closrads.state_mapper import build_fb_regions
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import Breakage
from tests.world import START, World

WAIT = 7.0
COUNTS = st.lists(st.integers(0, 120), min_size=1, max_size=30)
FOR_THE_REPORT = 10.0


def adset(ads: int, paused: int = 0) -> AdSetSnapshot:
    """Return an ad set with so many ads that run, and so many that do not."""
    running = tuple(Ad(str(number), "Video", "ACTIVE", "ACTIVE") for number in range(ads))
    off = tuple(Ad(f"p{number}", "Video", "PAUSED", "PAUSED") for number in range(paused))
    return AdSetSnapshot("1", "Broad", "900", "ACTIVE", {}, running + off)


def job(world: World, pace: float = 0) -> Job:
    """Return a job on the veterans, at a pace that Meta has kept so far."""
    api = world.api(meter=UsageMeter(round_trips=1000, seconds=1000 * pace))
    return Job("veterans", "run", Action.SYNC, api, Ledger(Table(LEDGER_TABLE, world.time.clock)), WAIT, lambda: None)


def go(job: Job, adsets: Sequence[AdSetSnapshot]) -> set[Result]:
    """Give ad sets another state together, and return what became of them."""
    wave = [decide(each, build_fb_regions(["FL"]), ()) for each in adsets]
    return {outcome.result.result for outcome in apply_wave(job, wave).values()}


@pytest.mark.parametrize("broken", [False, True], ids=["well", "broken"])
@pytest.mark.parametrize("ads", [(2,), (0, 1, 2), (30, 30, 30), (55,)], ids=str)
class TestAgainstWhatItTakes:
    """A wave that goes well, and one that is put back whole."""

    def adsets(self, world: World, ads: Sequence[int], *, broken: bool) -> list[AdSetSnapshot]:
        """Have Meta keep ad sets with so many ads, and return how they were read."""
        world.campaign("FL")
        for number, count in enumerate(ads):
            world.adset(f"N{number}", ads=count, breakage=Breakage.stubborn() if broken else None)
        found = world.snapshots()
        world.meta.requests.clear()
        return found

    def expected(self, ads: Sequence[int], *, broken: bool) -> set[Result]:
        """Return what becomes of them: without ads nothing can break."""
        return {Result.REVERTED if broken and count else Result.UPDATED for count in ads}

    @pytest.mark.parametrize("pace", [0.05, 0.3])
    def test_the_time_is_enough_and_not_lavish(
        self, world: World, ads: Sequence[int], pace: float, *, broken: bool
    ) -> None:
        """Also for the rollback; what is left over is for the report."""
        found = self.adsets(world, ads, broken=broken)
        world.slow_down(pace)
        working = job(world, pace)
        needed = working.seconds_needed(found)
        started = world.time.seconds()

        assert go(working, found) == self.expected(ads, broken=broken)

        took = world.time.seconds() - started
        assert took <= needed - FOR_THE_REPORT
        assert not broken or needed - FOR_THE_REPORT <= 2 * took

    def test_the_points_are_enough_and_not_lavish(self, world: World, ads: Sequence[int], *, broken: bool) -> None:
        """What is kept back for a rollback is little more than it costs."""
        found = self.adsets(world, ads, broken=broken)
        needed = points_needed(found)

        assert go(job(world), found) == self.expected(ads, broken=broken)

        assert world.meta.points <= needed
        assert not broken or needed <= world.meta.points + 12 * len(found)


class TestReckoning:
    """What more of anything means."""

    @given(COUNTS, st.integers(0, 120))
    def test_one_more_ad_set_never_costs_less(self, counts: list[int], more: int) -> None:
        """So the largest wave that fits can be looked for from above."""
        adsets = [adset(count) for count in counts]

        assert points_needed([*adsets, adset(more)]) == points_needed(adsets) + points_needed([adset(more)])

    @given(st.integers(0, 50), st.integers(1, 50))
    def test_ads_that_do_not_run_cost_nothing(self, ads: int, paused: int) -> None:
        """They are never re-published."""
        assert points_needed([adset(ads, paused)]) == points_needed([adset(ads)])

    def test_waits_and_pace_count(self, world: World) -> None:
        """Both looks at the ads are waited for; a slow Meta needs more time, and one whose pace is unknown some."""
        three = [adset(2)] * 3

        assert job(world).seconds_needed(three) > 2 * WAIT + FOR_THE_REPORT
        assert job(world, 2).seconds_needed(three) > job(world, 1).seconds_needed(three) + 17
        assert job(world, 1).seconds_needed([adset(51)]) > job(world, 1).seconds_needed([adset(50)])
        assert job(world, 1).seconds_needed([*three, adset(0)]) > job(world, 1).seconds_needed(three)

    @pytest.mark.parametrize(
        ("adsets", "ads", "calls"),
        [
            pytest.param(1, 0, 3 + 2, id="the verifications"),
            pytest.param(1, 50, 3 + 4, id="a full batch of ads"),
            pytest.param(1, 51, 3 + 6, id="one more"),
            pytest.param(17, 0, 51 + 2, id="two calls for each"),
            pytest.param(25, 2, 75 + 4, id="a full batch of either"),
            pytest.param(26, 0, 78 + 4, id="a batch more for the verifications"),
        ],
    )
    def test_each_call_counts_twice_at_the_pace_so_far(self, world: World, adsets: int, ads: int, calls: int) -> None:
        """Three for each ad set, and twice the batches."""
        needed = job(world, 0.5).seconds_needed([adset(ads)] * adsets)

        assert needed == pytest.approx(FOR_THE_REPORT + 2 * WAIT + calls)

    @pytest.mark.parametrize(("points", "count"), [(0, 0), (23, 0), (24, 1), (35, 1), (36, 2), (60, 4)])
    def test_of_a_window_the_last_one_leaves_room_for_its_rollback(self, points: int, count: int) -> None:
        """Twelve for one that goes well, and twenty-four for one that is put back."""
        assert adsets_per_window(points, adset(2)) == count


class TestRoom:
    """How many may be begun now."""

    def limited(self, world: World) -> Job:
        """Return a job on an account that is known to have 60 points in five minutes."""
        world.meta.add_account("act_111", "limited")
        world.campaign("FL")
        found = job(world)
        found.api.get("120200000000000900", {"fields": "id"})
        return found

    def test_what_fits_is_set_aside(self, world: World) -> None:
        """Whoever comes next can count on the rest only."""
        api = self.limited(world).api
        adsets = [adset(2)] * 4

        assert reserve_capacity(api, adsets, WAIT).size == 2
        assert api.quota.seconds_until(11) == 0
        assert api.quota.seconds_until(13) == RESERVATION_RETRY_SECONDS
        api.quota.release(48)
        assert api.quota.seconds_until(59) == 0

    def test_what_fits_never_is_said_with_the_figures(self, world: World) -> None:
        """And nothing is set aside."""
        api = self.limited(world).api

        room = reserve_capacity(api, [adset(9), adset(1)], WAIT)

        assert (room.size, room.never) == (0, True)
        assert "takes 66 points" in room.why_none
        assert api.quota.seconds_until(59) == 0

    def test_what_an_unknown_tier_may_not_allow_is_said_with_the_figures(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once Meta does not tell the tier; others of the campaign may need less."""
        api = job(world).api
        monkeypatch.setattr(type(api.quota), "seconds_until", lambda *_: math.inf)
        monkeypatch.setattr(type(api), "prove_tier", lambda *_: False)

        room = reserve_capacity(api, [adset(9), adset(1)], WAIT)

        assert (room.size, room.never) == (0, True)
        assert "takes 66 points" in room.why_none
        assert "the access tier of act_111 allows so many could not be found out" in room.why_none

    def test_what_does_not_fit_together_may_fit_alone(self, world: World) -> None:
        """The first is begun, whatever comes behind it."""
        assert reserve_capacity(self.limited(world).api, [adset(1), adset(9)], WAIT).size == 1

    def test_time_that_is_just_enough_is_enough(self, world: World) -> None:
        """To the second, for the first alone and for all."""
        working = job(world, 0.5)
        working.api.quota.recall(KnownTier(9_000, START))
        for count in (1, 3):
            world.time.deadline = world.time.seconds() + working.seconds_needed([adset(2)] * count)

            assert reserve_capacity(working.api, [adset(2)] * count, WAIT).size == count

    def test_a_wait_for_quota_is_made_if_there_is_time_for_it(self, world: World, log: StringIO) -> None:
        """Else it is said at once."""
        api = self.limited(world).api
        world.meta.spend("act_111", 50)
        api.get("120200000000000900", {"fields": "id"})
        world.time.deadline = world.time.seconds() + 320
        assert "used up" in reserve_capacity(api, [adset(2)], WAIT).why_none
        assert world.time.waits == []
        world.time.deadline = world.time.seconds() + 340

        assert reserve_capacity(api, [adset(2)] * 9, WAIT).size == 2
        assert world.time.waits == [pytest.approx(300, abs=1)]
        (line,) = (line for line in map(json.loads, log.getvalue().splitlines()) if line["message"] == "quota.wait")
        assert (line["ad_account_id"], line["wait_seconds"]) == ("act_111", world.time.waits[0])

    def test_what_another_has_set_aside_is_waited_for(self, world: World) -> None:
        """It may be given back any moment; a wait may be as long as the longest that is allowed."""
        quota = self.limited(world).api.quota
        quota.max_wait_seconds = RESERVATION_RETRY_SECONDS
        assert quota.reserve(50)

        def give_back(seconds: float) -> None:
            world.time.sleep(seconds)
            if len(world.time.waits) == 3:
                quota.release(50)

        clock = replace(world.time.clock, sleep=give_back)

        assert reserve_capacity(world.api(quota=quota, clock=clock), [adset(2)], WAIT).size == 1
        assert world.time.waits == [5, 5, 5]

    def test_what_another_keeps_is_not_waited_for_in_vain(self, world: World) -> None:
        """Only as long as there is time."""
        quota = self.limited(world).api.quota
        assert quota.reserve(50)

        assert reserve_capacity(world.api(quota=quota), [adset(2)], WAIT).size == 0
        assert world.time.seconds() <= world.time.deadline - 10 - 2 * WAIT

    @pytest.mark.parametrize(("seconds", "size"), [(24.6, 0), (24.8, 1), (25.7, 4), (26.3, 6)])
    def test_as_many_as_there_is_time_for(self, world: World, seconds: float, size: int) -> None:
        """With a pace that nobody knows yet: a tenth of a second for each call."""
        world.time.deadline = world.time.seconds() + seconds

        working = job(world)
        working.api.quota.recall(KnownTier(9_000, START))

        room = reserve_capacity(working.api, [adset(2)] * 6, WAIT)

        assert room.size == size
        assert bool(size) is not room.why_none.startswith("Too little time")
