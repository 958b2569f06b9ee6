"""What is read from the activity log of an ad account."""

import pytest

from closrads.domain.health import Actor
from closrads.meta.activity_log import (
    MAX_ACTIVITY_PAGES,
    MAX_EDIT_AGE,
    MAX_PAUSE_AGE,
    read_status_changes,
    read_targeting_edits,
)
from closrads.meta.graph import GraphApi
from closrads.meta.tokens import read_app_id
from sandbox.meta.activity_log import OTHER_APP, OWN, PERSON
from tests.ledger_world import later
from tests.world import World


@pytest.fixture
def adset(world: World) -> str:
    """Give the id of the only ad set, which targets Texas and has two healthy ads."""
    world.campaign("FL GA OH")
    return world.adset("Broad", "TX")


def test_the_activity_log_is_read_from_a_time_on_to_its_end(world: World, adset: str) -> None:
    """Rows that tell nothing of ads switched on or off are left out, and so is what came before."""
    first, second = (ad.id for ad in world.meta.ads_of(adset))
    world.meta.person_pauses(first)
    world.time.sleep(300)
    since = world.time.clock.now()
    world.meta.person_pauses(second)
    world.meta.change_by_hand(adset, {"age_min": 21})
    world.meta.page_size = 1

    found = read_status_changes(world.api(), since)

    by_a_person = {(row.ad_id, row.ends_pause) for row in found if row.actor is Actor.ADVERTISER}
    assert by_a_person == {(second, True), (second, False)}  # an edit in process, then the pause
    assert {row.actor for row in found} == {Actor.ADVERTISER}


def test_of_a_long_log_only_the_newest_rows_are_read(world: World, adset: str) -> None:
    """To its end it would use up the quota that the day's changes and their rollbacks need."""
    first, second = (ad.id for ad in world.meta.ads_of(adset))
    since = world.time.clock.now()
    world.meta.person_pauses(first)
    for _ in range(2 * MAX_ACTIVITY_PAGES):
        world.meta.person_pauses(second)
        world.meta.person_activates(second)
    world.meta.page_size, world.meta.requests[:] = 1, []

    found = read_status_changes(world.api(), since)

    assert {row.ad_id for row in found} == {second}
    assert len(world.meta.requests) == MAX_ACTIVITY_PAGES


@pytest.mark.parametrize(("minutes", "is_read"), [(-1, True), (0, True), (2, False)])
def test_nobody_is_looked_for_who_came_long_ago(world: World, adset: str, minutes: float, *, is_read: bool) -> None:
    """Meta may not answer for so long a period, and then not for the last days either."""
    since = world.time.clock.now()
    (ad, _) = world.meta.ads_of(adset)
    world.meta.person_pauses(ad.id)
    later(world, MAX_PAUSE_AGE.total_seconds() + minutes * 60)

    assert bool(read_status_changes(world.api(), since)) is is_read


@pytest.mark.parametrize(("minutes", "is_read"), [(0, True), (1, False)])
def test_no_edit_is_looked_for_that_is_older_than_a_week(
    world: World, adset: str, minutes: float, *, is_read: bool
) -> None:
    """The last one counts, and Meta may not answer for so long a period."""
    since = world.time.clock.now()
    world.meta.person_edits_targeting(adset, states="GA")
    later(world, MAX_EDIT_AGE.total_seconds() + minutes * 60)

    assert bool(read_targeting_edits(world.api(), since)) is is_read


def test_edits_are_the_newest_first_whatever_the_order_of_the_log(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the log is not documented, and the last edit decides whose the locations are."""
    since = world.time.clock.now()
    world.meta.person_edits_targeting(adset, states="GA", by=PERSON)
    world.time.sleep(60)
    world.meta.person_edits_targeting(adset, states="OH", by=OTHER_APP)
    in_order = read_targeting_edits(world.api(), since)
    read = GraphApi.get_all
    monkeypatch.setattr(GraphApi, "get_all", lambda *args, **more: read(*args, **more)[::-1])

    assert read_targeting_edits(world.api(), since) == in_order
    assert [edit.name for edit in in_order] == [OTHER_APP.name, PERSON.name]


def test_edits_of_locations_are_read_from_the_log(world: World, adset: str) -> None:
    """With the app that was used, so that our own are told apart; the newest first, and not all of a long log."""
    world.meta.person_edits_targeting(adset, states="GA", by=PERSON)
    world.time.sleep(300)
    since = world.time.clock.now()
    world.meta.person_edits_targeting(adset, states="OH", by=OTHER_APP)
    world.meta.person_edits_targeting(adset, {"age_min": 30}, by=PERSON)
    world.time.sleep(60)
    world.meta.person_edits_targeting(adset, states="FL", by=OWN)

    found = read_targeting_edits(world.api(), since)

    assert [(row.adset_id, row.name, row.app_id) for row in found] == [
        (adset, actor.name, actor.application_id) for actor in (OWN, OTHER_APP)
    ]
    assert {OWN.application_id} == {read_app_id(world.api())}
    world.meta.page_size, world.meta.requests[:] = 1, []
    for states in ("TX", "GA", "OH", "FL"):
        world.meta.person_edits_targeting(adset, states=states)
    assert len(read_targeting_edits(world.api(), since)) == len(world.meta.requests) == 5
