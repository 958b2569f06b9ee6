"""The promise under answers of Meta that are in order, each by itself, but come late, come short or contradict."""

from sandbox.meta import Operation
from tests.ledger_world import result_of
from tests.world import LIVE, World


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
