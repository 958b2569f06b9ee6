"""Two CLOSRADS campaigns with the same Meta campaign, one after the other: each ad set is the present one's."""

from typing import Any

import pytest

from closrads import config, sync
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import ChangeState
from closrads.facebook_client import get_active_adsets
from tests.ledger_world import (
    RECHECK,
    entries,
    later,
    ledger,
    left_behind,
    move,
    one_adset,
    planned,
    recorded,
    recorded_state,
    result_of,
    statuses,
)
from tests.world import LIVE, VETERANS, World


def move_to_vets(world: World, demand: str = "FL") -> None:
    """Disable the campaign, and give its Meta campaign to another one, as in a renaming."""
    world.sandbox.closrtech.demand["VND_VETS_LEADS"] = {demand: 5}
    world.put(
        {
            "campaigns/veterans/enabled": "false",
            "campaigns/vets/closrtech_campaign": "VND_VETS_LEADS",
            "campaigns/vets/fb_ad_account_id": "act_111",
            "campaigns/vets/fb_campaign_ids": [VETERANS],
        }
    )
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types


def by_campaign(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outcome of each campaign, by slug."""
    return {campaign["slug"]: campaign for campaign in result["campaigns"]}


def states_in(world: World, slug: str) -> list[str]:
    """Return the states of a campaign's changes, from the oldest to the newest."""
    return [item["state"] for item in entries(world, "CHANGE#") if item["pk"].endswith(slug)]


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set of the campaign."""
    world.campaign("FL")
    return world.adset()


def test_a_recheck_leaves_what_the_other_campaign_has_set(world: World, adset: str) -> None:
    """The very states that had been put back: in the activity log, they are by our own app, and no write came late."""
    world.run(LIVE)
    later(world, 600)
    world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
    result_of(world, RECHECK)
    assert world.meta.states(adset) == {"TX"}
    move_to_vets(world)
    world.time.next_day()
    result_of(world, LIVE)
    assert world.meta.states(adset) == {"FL"}
    later(world, 1800)

    result = result_of(world, RECHECK)

    assert world.meta.states(adset) == {"FL"}
    assert by_campaign(result)["vets"]["adsets"][0]["result"] == "unchanged"
    assert not by_campaign(result).get("veterans", {}).get("adsets")


def test_late_damage_is_put_back_by_the_campaign_that_has_set_the_states(world: World, adset: str) -> None:
    """The earlier campaign, whose change is in its day of rechecks as well, has nothing to put back."""
    world.run(LIVE)
    move_to_vets(world, "GA")
    later(world, 600)
    result_of(world, LIVE)
    world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
    later(world, 600)

    result_of(world, RECHECK)

    assert world.meta.states(adset) == {"FL"}
    assert (states_in(world, "veterans"), states_in(world, "vets")) == (["verified"], ["rolled_back"])


def test_before_the_other_campaign_has_set_anything_the_first_one_puts_back(world: World, adset: str) -> None:
    """What it broke is its own to mend."""
    world.run(LIVE)
    move_to_vets(world)
    world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
    later(world, 600)

    result_of(world, RECHECK)

    assert world.meta.states(adset) == {"TX"}
    assert states_in(world, "veterans") == ["rolled_back"]


def test_an_open_change_that_the_other_campaign_has_followed_is_superseded(world: World, adset: str) -> None:
    """Its rollback would take away what was set since."""
    change = left_behind(world, adset, ChangeState.ROLLBACK_FAILED, shows="as before")
    move_to_vets(world)
    world.put({"campaigns/veterans/fb_campaign_ids": "7"})  # so that it is not waited for
    later(world, 600)
    world.run({**LIVE, "campaigns": ["vets"]})
    assert world.meta.states(adset) == {"FL"}
    later(world, 600)

    result_of(world, LIVE)

    assert world.meta.states(adset) == {"FL"}
    assert recorded_state(world, change.run_id, adset) == "superseded"


def test_an_open_change_comes_first(world: World, adset: str) -> None:
    """The other campaign leaves the ad set alone until the first one's change is finished or undone."""
    left_behind(world, adset, ChangeState.ROLLING_BACK)
    move_to_vets(world, "GA")

    held = result_of(world, {**LIVE, "campaigns": ["vets"]})

    assert one_adset(held)["result"] == "held"
    assert world.meta.states(adset) == {"FL"}
    result_of(world, RECHECK)
    assert world.meta.states(adset) == {"TX"}
    assert one_adset(result_of(world, {**LIVE, "campaigns": ["vets"]}))["result"] == "updated"
    assert world.meta.states(adset) == {"GA"}


def test_an_ad_that_the_later_change_is_not_responsible_for_is_switched_on(world: World, adset: str) -> None:
    """Meta had paused it between the two changes, without an issue; the states are the other campaign's."""
    world.run(LIVE)
    later(world, 600)
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)
    later(world, 300)
    move_to_vets(world, "GA")
    world.run(LIVE)
    later(world, 1800)

    result_of(world, RECHECK)

    assert (world.meta.states(adset), statuses(world, adset)) == ({"GA"}, ["ACTIVE", "ACTIVE"])


def test_a_change_that_was_never_written_takes_nothing_over(world: World, adset: str) -> None:
    """The run of the other campaign died before its write, so what breaks is the first one's to put back."""
    world.run(LIVE)
    move_to_vets(world, "GA")
    later(world, 600)
    recorded(world, planned(world, adset, "GA", run_id="20260504T104000Z-0000bbbb", slug="vets"))
    later(world, 600)
    result_of(world, RECHECK)
    assert states_in(world, "vets") == ["rolled_back"]
    world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
    later(world, 1800)

    result_of(world, RECHECK)

    assert world.meta.states(adset) == {"TX"}


def test_it_makes_no_difference_if_both_are_disabled(world: World, adset: str) -> None:
    """The later change counts."""
    world.run(LIVE)
    later(world, 600)
    world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
    result_of(world, RECHECK)
    move_to_vets(world)
    world.time.next_day()
    world.run(LIVE)
    world.put({"campaigns/vets/enabled": "false"})
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    later(world, 1800)

    result_of(world, RECHECK)

    assert world.meta.states(adset) == {"FL"}
    assert (states_in(world, "veterans"), states_in(world, "vets")) == (["rolled_back"], ["verified"])


def test_a_recovery_at_the_same_time_is_waited_for(world: World, adset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other campaign has read the ad set before the first one puts its states back, and is not to write then."""
    change = left_behind(world, adset, ChangeState.ROLLING_BACK)
    move_to_vets(world, "GA")
    read = get_active_adsets

    def read_then_recover(*args: Any) -> tuple[AdSetSnapshot, ...]:
        found = read(*args)
        world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3886"}]}})
        move(ledger(world), change, ChangeState.ROLLED_BACK)
        return found

    monkeypatch.setattr(sync, "get_active_adsets", read_then_recover)

    assert one_adset(result_of(world, {**LIVE, "campaigns": ["vets"]}))["result"] == "held"
    assert world.meta.states(adset) == {"TX"}
