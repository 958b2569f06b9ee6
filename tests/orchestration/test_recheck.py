"""A recheck beside what it rolls back: when the token ends, and what a sync says that had no time for it."""

from datetime import timedelta

import pytest

from sandbox.meta import Breakage, faults
from tests.ledger_world import RECHECK, becomes_of, later, one_adset, recorded_state, result_of
from tests.rollout.change_world import come_at
from tests.world import LIVE, START, World

HALF_AN_HOUR = 1800.0


class TestTheTokensEnd:
    """Once a day a recheck asks Meta when the token ends; the next report and a metric say so."""

    @pytest.fixture(autouse=True)
    def a_quiet_campaign(self, world: World) -> None:
        """There is nothing to look at."""
        world.campaign("TX")
        world.adset()

    def asked(self, world: World) -> int:
        """Return how often Meta was asked."""
        return sum(call.path == "debug_token" for call in world.meta.operations)

    @pytest.mark.parametrize("field", ["token_expires_at", "token_data_access_expires_at"])
    def test_it_is_asked_for_once_a_day_and_told_until_it_is_over(self, world: World, field: str) -> None:
        """The report of the daily run needs no call of its own."""
        setattr(world.meta, field, int(world.meta.now() + timedelta(days=13, hours=1).total_seconds()))
        for _ in range(3):
            assert world.run(RECHECK)["mail"] == "not_asked"
            later(world, HALF_AN_HOUR)

        assert self.asked(world) == 1
        (campaign,) = world.run(LIVE)["campaigns"]
        assert self.asked(world) == 1
        assert campaign["token_ends"] == "2026-05-17"
        assert "A Meta access token expires in 13 days" in world.sandbox.aws.mails[-1].text
        world.time.next_day()
        setattr(world.meta, field, 0)
        world.run(RECHECK)
        (campaign,) = world.run(LIVE)["campaigns"]

        assert (self.asked(world), campaign["token_ends"]) == (2, "")
        assert "access token" not in world.sandbox.aws.mails[-1].text

    def test_a_token_that_meta_refuses_has_ended(self, world: World) -> None:
        """A recheck with nothing to look at sees it hours before the daily run does."""
        world.meta.dead_tokens[world.meta.token] = faults.TOKEN_EXPIRED

        (campaign,) = world.run(RECHECK)["campaigns"]

        assert campaign["token_ends"] == f"{START:%Y-%m-%d}"

    def test_an_app_that_does_not_let_it_be_inspected(self, world: World) -> None:
        """Nothing is known then, and nothing is wrong."""
        world.meta.fail(faults.PERMISSION_MISSING, on="GET debug_token", times=None)

        result = world.run(RECHECK)

        assert (result["success"], result["campaigns"][0]["token_ends"]) == (True, "")

    def test_what_is_known_is_not_forgotten_because_meta_does_not_answer(self, world: World) -> None:
        """An outage at the moment of the question must not end the warning."""
        world.meta.token_expires_at = int(world.meta.now() + timedelta(days=3).total_seconds())
        world.run(RECHECK)
        world.time.next_day()
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET debug_token", times=None)

        assert world.run(RECHECK)["campaigns"][0]["token_ends"] == "2026-05-07"

    def test_a_time_beyond_the_calendar_never_comes(self, world: World) -> None:
        """And costs nobody a recheck."""
        world.meta.token_expires_at = 10**15

        assert world.run(RECHECK)["campaigns"][0]["token_ends"] == ""

    def test_ads_that_broke_are_restored_before_it_is_asked_for(self, world: World) -> None:
        """When the token ends can wait."""
        world.campaign("FL")
        broken = world.adset(breakage=Breakage.late(600))
        world.run(LIVE)
        later(world, HALF_AN_HOUR)
        world.meta.requests.clear()

        assert becomes_of(world, RECHECK)["Broad"] == "reverted"

        calls = [(call.method, call.path) for call in world.meta.operations]
        assert calls[-1] == ("GET", "debug_token")
        assert ("POST", broken) in calls


class TestAfterALateRollback:
    """A rollback is a write, which may break ads: it is looked at again, however late it came."""

    def test_one_that_failed_for_days(self, world: World) -> None:
        """Meta refuses it for most of a week, and takes it in the end."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX")
        world.run(LIVE)
        (ad, *_) = world.meta.ads_of(adset)
        later(world, HALF_AN_HOUR)
        world.meta.meta_breaks(ad.id)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset", times=None)
        assert becomes_of(world, RECHECK)["Broad"] == "rollback_failed"
        later(world, 6 * 86_400)
        world.meta.clear_faults()
        (recovered,) = result_of(world, RECHECK)["recovered"]
        assert (recovered["state"], world.meta.states(adset)) == ("rolled_back", {"TX"})
        later(world, HALF_AN_HOUR)
        world.meta.meta_breaks(ad.id)

        assert becomes_of(world, RECHECK) == {"Broad": "reverted"}


class TestOfACertainRun:
    """A recheck that names a run looks at the ad sets that it changed, whoever has changed them since."""

    @pytest.fixture
    def first(self, world: World) -> str:
        """Return the run that a later one is going to follow."""
        world.campaign("FL")
        world.adset("Broad", "TX")
        first = str(world.run(LIVE)["run_id"])
        later(world, HALF_AN_HOUR)
        return first

    def test_a_later_change_is_rolled_back_to_what_was_before_it(self, world: World, first: str) -> None:
        """It is what the ads broke under, and nobody else's: later rechecks must not lose sight of it."""
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        last = str(world.run(LIVE)["run_id"])
        (adset,) = world.meta.adsets
        later(world, HALF_AN_HOUR)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)

        answer = world.run({**RECHECK, "run_id": first})

        assert one_adset(answer)["result"] == "reverted"
        assert "drift" not in one_adset(answer)
        assert world.meta.states(adset) == {"FL"}
        assert [recorded_state(world, run, adset) for run in (first, last)] == ["verified", "rolled_back"]

    def test_states_that_a_later_run_has_set_again_are_no_late_write(self, world: World, first: str) -> None:
        """They were rolled back once; now they are wanted, and their ads are well."""
        (adset,) = world.meta.adsets
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        assert becomes_of(world, RECHECK)["Broad"] == "reverted"
        later(world, HALF_AN_HOUR)
        world.run(LIVE)

        assert becomes_of(world, {**RECHECK, "run_id": first}) == {"Broad": "unchanged"}
        assert world.meta.states(adset) == {"FL"}


class TestBeforeASync:
    """A sync looks first at what earlier runs have changed."""

    @pytest.mark.parametrize("can_read_log", [True, False])
    def test_an_ad_that_went_off_is_told_although_there_is_no_time_for_a_rollback(
        self, world: World, *, can_read_log: bool
    ) -> None:
        """Its ad set has the wanted states, but it is not as it should be: the update may have broken the ad."""
        world.campaign("FL")
        adset = world.adset()
        world.run(LIVE)
        later(world, 3_600)
        world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)
        world.time.deadline = world.time.seconds() + 14
        if not can_read_log:
            world.meta.fail(faults.PERMISSION_MISSING, on="GET activities", times=None)

        answer = world.run(LIVE)

        assert one_adset(answer)["result"] == ("skipped_preflight" if can_read_log else "unchanged")
        assert bool(answer["unexplained"]) is not can_read_log
        assert "1 ad needs you: Broad: ad 1" in world.sandbox.aws.mails[-1].text

    def test_an_ad_that_went_off_during_a_rollback_is_told(self, world: World) -> None:
        """It was on when the sync listed the ad sets, so that list must not end the pause that the rollback has met."""
        world.campaign("FL")
        adset = world.adset()
        world.run(LIVE)
        later(world, 3_600)
        one, two = world.meta.ads_of(adset)
        world.meta.meta_breaks(one.id)
        world.meta.fail(faults.PERMISSION_MISSING, on="GET activities", times=None)
        come_at(world, "GET ads", lambda: world.meta.meta_pauses(two.id, with_issue=False), number=2)

        answer = world.run(LIVE)

        assert (one_adset(answer)["result"], world.meta.states(adset)) == ("reverted", {"TX"})
        assert [ad["name"] for pause in answer["unexplained"] for ad in pause["ads"]] == [two.name]
        assert "1 ad needs you: Broad: ad 2" in world.sandbox.aws.mails[-1].text
