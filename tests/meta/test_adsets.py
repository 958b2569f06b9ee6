"""Ad sets read again with all their ads: many at once, and true together."""

import pytest

from closrads.domain.adsets import AdSetSnapshot
from closrads.errors import MetaError, MetaTransientError
from closrads.meta.adsets import read_adsets
from sandbox import faults
from sandbox.server import Reply
from tests.world import VETERANS, World, ids


@pytest.fixture
def many(world: World) -> list[AdSetSnapshot]:
    """Give thirty ad sets with one ad each."""
    world.campaign("FL GA OH")
    for number in range(30):
        world.adset(f"Ad set {number:02}", "TX", ads=1)
    found = world.snapshots()
    world.meta.requests.clear()
    return found


def test_many_ad_sets_are_read_again_in_few_round_trips(world: World, many: list[AdSetSnapshot]) -> None:
    """Each with its ads, as it is now, with the time of the reading."""
    world.time.sleep(60)
    world.meta.change_by_hand(many[3].id, {"age_min": 21})
    world.meta.pause_by_hand(many[28].ads[0].id)

    now = read_adsets(world.api(), many)

    assert list(now) == [each.id for each in many]
    found = [each for each in now.values() if isinstance(each, AdSetSnapshot)]
    assert {each.name: each.meta_campaign_id for each in found} == {each.name: VETERANS for each in many}
    assert [each.name for each in found if each.targeting.get("age_min") == 21] == ["Ad set 03"]
    assert [each.name for each in found if not each.active_ads] == ["Ad set 28"]
    assert {each.read_at for each in found} == {world.time.clock.now()}
    assert [len(request.operations) for request in world.meta.requests] == [50, 10]


@pytest.mark.parametrize("what", ["", "/ads"], ids=["itself", "its ads"])
def test_one_that_cannot_be_read_again_says_nothing_of_the_others(
    world: World, many: list[AdSetSnapshot], what: str
) -> None:
    """Each ad set stands alone; half of one is none."""
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.path == many[7].id + what, times=None)

    now = read_adsets(world.api(), many)

    assert [many[index].name for index in range(30) if isinstance(now[many[index].id], MetaError)] == ["Ad set 07"]


@pytest.mark.parametrize("reply", ids([("null", faults.NULL_ITEM), ("down", faults.SERVICE_UNAVAILABLE)]))
def test_one_without_an_answer_says_nothing_of_the_others(
    world: World, many: list[AdSetSnapshot], reply: Reply
) -> None:
    """Also where it is asked for again and again."""
    world.meta.fail(reply, on=lambda call: call.path == many[7].id, times=None)

    now = read_adsets(world.api(), many)

    assert [many[index].name for index in range(30) if isinstance(now[many[index].id], MetaError)] == ["Ad set 07"]


def test_one_without_an_answer_at_first_is_asked_for_again(world: World, many: list[AdSetSnapshot]) -> None:
    """And what is returned was all true within a few seconds."""
    world.meta.fail(faults.NULL_ITEM, on=lambda call: call.path == many[7].id)

    now = read_adsets(world.api(), many)

    assert all(isinstance(each, AdSetSnapshot) for each in now.values())
    found = now[many[7].id]
    assert isinstance(found, AdSetSnapshot)
    assert (world.time.clock.now() - found.read_at).total_seconds() <= 5


def test_a_picture_that_takes_too_long_is_none(world: World, many: list[AdSetSnapshot]) -> None:
    """What was read seconds apart may never have been true together."""
    world.slow_down(6)

    now = read_adsets(world.api(), many[:2])

    assert {type(each) for each in now.values()} == {MetaTransientError}
    assert all("could not be read within 5 s" in str(each) for each in now.values())
    assert world.meta.round_trips == 3


def test_long_lists_of_ads_are_read_again_to_their_end(world: World, many: list[AdSetSnapshot]) -> None:
    """An ad on the second page is one to protect too."""
    for number in range(4):
        world.meta.add_ad(many[0].id, f"More {number}")
    world.meta.page_size = 2

    (now,) = read_adsets(world.api(), many[:1]).values()

    assert isinstance(now, AdSetSnapshot)
    assert [ad.id for ad in now.ads] == [ad.id for ad in world.meta.ads_of(many[0].id)]
