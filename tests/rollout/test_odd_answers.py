"""The promise under answers of Meta that are in order, each by itself, but come late, come short or contradict."""

from collections.abc import Callable
from threading import Thread

import pytest

from closrads.facebook_client import update_adset_geo
from closrads.meta.rate_limit import MAX_CONCURRENT_CALLS
from closrads.state_mapper import build_fb_regions
from sandbox.meta import Breakage, Operation, faults, oddities
from sandbox.meta.breakage import AUDIENCE_DELETED
from tests.ledger_world import RECHECK, UNDO, becomes_of, later, one_adset, recorded_state, result_of, statuses
from tests.world import LIVE, World


class TestStoredOtherwise:
    """Meta takes a write, and leaves out one of its states; then it does not let the states from before go back."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return the id of such an ad set, an hour later."""
        world.campaign("FL GA")
        adset = world.adset()
        world.meta.store_oddity = oddities.without_state("FL")
        world.meta.fail(
            faults.SERVICE_UNAVAILABLE,
            on=lambda call: (call.method, call.kind) == ("POST", "adset") and world.meta.states(adset) == {"GA"},
            times=None,
        )
        assert one_adset(result_of(world, LIVE))["result"] == "rollback_failed"
        assert world.meta.states(adset) == {"GA"}
        world.meta.clear_faults()
        later(world, 3600)
        return adset

    def test_what_could_not_go_back_at_once_goes_back_later(self, world: World, adset: str) -> None:
        """The states that are there are nobody's: not the wanted ones, not those from before, and not a person's."""
        result = result_of(world, RECHECK)

        assert [each["state"] for each in result["recovered"]] == ["rolled_back"]
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE", "ACTIVE"])

    def test_other_states_that_a_person_sets_meanwhile_stay(self, world: World, adset: str) -> None:
        """Neither what was sent nor what was stored."""
        world.meta.person_edits_targeting(adset, states="OH")

        assert [each["state"] for each in result_of(world, RECHECK)["recovered"]] == ["superseded"]
        assert world.meta.states(adset) == {"OH"}


class TestManyAds:
    """More ads than fit into one batch: the later ones are republished long after their ad sets were read."""

    def test_a_pause_while_those_before_are_republished(self, world: World) -> None:
        """An ad that a person pauses meanwhile stays off."""
        world.campaign("FL")
        adsets = [world.adset(f"Broad {number:02}", ads=3) for number in range(26)]
        last = world.meta.ads_of(adsets[-1])[-1]
        world.slow_down(4)
        first_of_the_wave = world.meta.ads_of(adsets[1])[0].id

        def watch(operation: Operation) -> None:
            if (operation.method, operation.object_id) == ("POST", first_of_the_wave):
                world.meta.on_request = None
                world.meta.person_pauses(last.id)

        world.meta.on_request = watch

        result = result_of(world, LIVE)

        assert (last.status, result["success"]) == ("PAUSED", True)
        assert [world.meta.states(adset) for adset in adsets] == [{"FL"}] * len(adsets)


class TestAdsThatNoListHas:
    """A list omits ads that exist: not to be listed is not to be deleted."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set whose ads Meta switches off after each write, without an issue, until it is rolled back."""
        world.campaign("FL")
        return world.adset("Broad", breakage=Breakage.silently_paused(1))

    @pytest.fixture
    def hide(self, world: World, adset: str) -> Callable[[int], None]:
        """Return a function that has all lists omit so many ads, from the first write of the ad set on."""

        def hide(count: int) -> None:
            def watch(operation: Operation) -> None:
                if (operation.method, operation.kind) == ("POST", "adset"):
                    world.meta.hidden |= {ad.id for ad in world.meta.ads_of(adset)[:count]}

            world.meta.on_request = watch

        return hide

    @pytest.mark.parametrize("count", [1, 2])
    def test_after_the_update(self, world: World, adset: str, hide: Callable[[int], None], count: int) -> None:
        """An ad that nobody has seen well is not called healthy, and its ad set goes back."""
        hide(count)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], result["success"]) == ("reverted", True)
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE", "ACTIVE"])

    def test_in_a_recheck(self, world: World, adset: str) -> None:
        """The same half an hour later."""
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.silently_paused(600)
        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        world.meta.hidden |= {ad.id for ad in world.meta.ads_of(adset)}
        later(world, 1800)

        assert becomes_of(world, RECHECK) == {"Broad": "reverted"}

        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE", "ACTIVE"])

    def test_one_that_cannot_be_read_either(self, world: World, adset: str, hide: Callable[[int], None]) -> None:
        """It is told that nobody knows, and the change stays open."""
        hide(1)
        world.meta.fail(faults.ERROR_PAGE_400, on="GET ad", times=None)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], result["success"]) == ("unverified", False)
        assert recorded_state(world, result["run_id"], adset) == "republished"

    @pytest.mark.parametrize("is_known", [True, False])
    def test_one_that_a_person_has_deleted(self, world: World, *, is_known: bool) -> None:
        """It is gone, whether Meta still shows it by its id or not."""
        world.campaign("FL")
        adset = world.adset("Broad")
        gone, _ = world.meta.ads_of(adset)

        def watch(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("POST", "ad"):
                world.meta.on_request = None
                world.meta.person_deletes(gone.id)

        world.meta.on_request = watch
        if not is_known:
            world.meta.fail(faults.OBJECT_MISSING, on="GET ad", times=None)

        assert becomes_of(world, LIVE) == {"Broad": "updated"}

        assert world.meta.states(adset) == {"FL"}


class TestIssuesOfAWholeAdSet:
    """After a write, Meta finds something wrong with the ad set itself; its ads look as before."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set that Meta finds fault with as long as it has its new states."""
        world.campaign("FL")
        return world.adset("Broad")

    @staticmethod
    def find_fault(world: World, adset: str, *, mends: bool = True) -> None:
        """Give the ad set an issue with its next write, which a further one takes away again."""

        def watch(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("POST", "adset"):
                found = not world.meta.adsets[adset].issues or not mends
                world.meta.adsets[adset].issues = [AUDIENCE_DELETED] if found else []

        world.meta.on_request = watch

    def test_in_a_run(self, world: World, adset: str) -> None:
        """It goes back, and the mail says why."""
        self.find_fault(world, adset)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("reverted", {"TX"})
        assert world.meta.adsets[adset].effective_status == "ACTIVE"
        assert "its whole ad set has issues: Audience deleted" in world.sandbox.aws.mails[-1].text

    def test_in_a_recheck(self, world: World, adset: str) -> None:
        """Minutes later as well."""
        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        world.meta.adsets[adset].issues = [AUDIENCE_DELETED]
        self.find_fault(world, adset)
        later(world, 1800)

        assert becomes_of(world, RECHECK) == {"Broad": "reverted"}

        assert (world.meta.states(adset), world.meta.adsets[adset].issues) == ({"TX"}, [])

    def test_that_no_rollback_mends(self, world: World, adset: str) -> None:
        """Its old states are back, and somebody is told to look at it."""
        self.find_fault(world, adset, mends=False)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("rollback_failed", {"TX"})
        assert "some of its ads have a problem" in world.sandbox.aws.mails[-1].text


class TestAnAdSetWithoutAnyLocation:
    """A custom audience needs none (Marketing API "Basic Targeting")."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set with an audience and nothing else."""
        world.campaign("FL")
        return world.adset("Audience", None, targeting={"age_min": 25, "custom_audiences": [{"id": "7"}]})

    def test_it_goes_back_to_none(self, world: World, adset: str) -> None:
        """Its targeting is exactly the one from before."""
        before = dict(world.meta.targeting(adset))
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.stubborn()

        assert becomes_of(world, LIVE) == {"Audience": "reverted"}

        assert world.meta.targeting(adset) == before

    def test_it_is_undone(self, world: World, adset: str) -> None:
        """Just so."""
        before = dict(world.meta.targeting(adset))
        assert becomes_of(world, LIVE) == {"Audience": "updated"}

        assert becomes_of(world, UNDO) == {"Audience": "updated"}

        assert world.meta.targeting(adset) == before


class TestManyWriters:
    """More campaigns write in one ad account than Meta gets calls at once."""

    def test_what_a_person_edits_before_its_turn_stays(self, world: World) -> None:
        """An ad set is read when it is its turn to be written, not before."""
        world.campaign("FL")
        adset = world.adset("Broad")
        api = world.api()
        (before,) = world.snapshots()
        for _ in range(MAX_CONCURRENT_CALLS):
            api.quota.writes.acquire()
        writer = Thread(target=update_adset_geo, args=(api, before, build_fb_regions(["FL"])))
        writer.start()
        writer.join(0.2)
        assert world.meta.states(adset) == {"TX"}
        world.time.pass_by(8)
        world.meta.person_edits_targeting(adset, {"age_min": 22}, published=True)

        api.quota.writes.release()
        writer.join()

        assert (world.meta.states(adset), world.meta.targeting(adset)["age_min"]) == ({"FL"}, 22)
