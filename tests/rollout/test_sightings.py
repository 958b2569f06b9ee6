"""When ads were last seen on: whatever has seen that, or caused it, Meta's pause from before explains no later one.

In each test the activity log has no row of a person, so that its last one is a pause by Meta.
"""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest

from closrads import config
from closrads.domain import health
from closrads.domain.adsets import Ad, AdFinding
from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.errors import MetaTransientError
from closrads.ledger.changes import Ledger
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.steps import republish
from sandbox.meta import Ad as MetaAd
from sandbox.meta import faults
from sandbox.meta.activity_log import META, PERSON
from tests.ledger_world import RECHECK, later, ledger, left_behind, one_adset, result_of
from tests.log_lines import logged
from tests.world import LIVE, START, VETERANS, World

MINUTE = 60.0
HOUR = 3600.0
ELSEWHERE = {"geo_locations": {"regions": [{"key": "3878"}]}}


@pytest.fixture
def adset(world: World) -> str:
    """Return the id of an ad set of three ads that a sync is to change."""
    world.campaign("FL")
    world.meta.accounts["act_111"].activities.missing = lambda row: row.actor is not META
    return world.adset(ads=3)


def first_ad(world: World, adset: str) -> MetaAd:
    """Return the ad that all of this is about."""
    ad: MetaAd = world.meta.ads_of(adset)[0]
    return ad


def paused_and_on_again(world: World, adset: str) -> None:
    """Let Meta pause the ad, and a person switch it on."""
    later(world, MINUTE)
    world.meta.meta_pauses(first_ad(world, adset).id, with_issue=False)
    later(world, MINUTE)
    world.meta.person_repairs_ad(first_ad(world, adset).id)
    later(world, MINUTE)


def paused_by_a_person(world: World, adset: str) -> None:
    """Have a person pause the ad."""
    later(world, MINUTE)
    world.meta.person_pauses(first_ad(world, adset).id)
    later(world, MINUTE)


def with_unreadable(ad_id: str) -> Callable[[Ad], AdFinding]:
    """Return a judge of ads that cannot read one of them."""
    examine = health._examine
    return lambda ad: examine(replace(ad, unreadable="An odd row") if ad.id == ad_id else ad)


@pytest.mark.parametrize("why", ["campaign off", "ad set paused"])
def test_a_follow_up(world: World, adset: str, why: str) -> None:
    """Of all things, a log that is a quarter of an hour late: no row is missing."""
    world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",), account="act_222")
    world.run(LIVE)
    log, ad = world.meta.accounts["act_111"].activities, first_ad(world, adset)
    log.missing, log.delay = None, 15 * MINUTE
    later(world, HOUR)
    world.meta.meta_pauses(ad.id, with_issue=False)
    later(world, 5 * MINUTE)
    assert result_of(world, RECHECK)["unexplained"]
    if why == "campaign off":
        world.put({"campaigns/veterans/enabled": "false"})
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    else:
        world.meta.person_pauses(adset)
    later(world, 11 * MINUTE)
    assert [pause["switched_on"] for pause in result_of(world, LIVE)["unexplained"]] == [[ad.id]]
    paused_by_a_person(world, adset)

    result_of(world, RECHECK)

    assert ad.status == "PAUSED"


def test_a_recheck_before_one_by_hand(world: World, adset: str) -> None:
    """That names the run whose change it is about."""
    run_id = world.run(LIVE)["run_id"]
    paused_and_on_again(world, adset)
    result_of(world, RECHECK)
    paused_by_a_person(world, adset)

    result_of(world, {**RECHECK, "run_id": run_id})

    assert first_ad(world, adset).status == "PAUSED"


def test_an_incomplete_recheck(world: World, adset: str) -> None:
    """An ad of another ad set cannot be read."""
    other = world.adset("Other")
    world.run(LIVE)
    paused_and_on_again(world, adset)
    with patch.object(health, "_examine", with_unreadable(first_ad(world, other).id)):
        results = {each["name"]: each["result"] for each in result_of(world, RECHECK)["campaigns"][0]["adsets"]}
    assert results == {"Broad": "unchanged", "Other": "unverified"}
    paused_by_a_person(world, adset)

    result_of(world, RECHECK)

    assert first_ad(world, adset).status == "PAUSED"


def test_a_look_at_a_change_that_stays_open(world: World, adset: str) -> None:
    """One of its ads cannot be read."""
    world.run(LIVE)
    left_behind(world, adset, ChangeState.REPUBLISHED)
    with patch.object(health, "_examine", with_unreadable(world.meta.ads_of(adset)[1].id)):
        paused_and_on_again(world, adset)
        (recovery,) = result_of(world, RECHECK)["recovered"]
        assert recovery["state"] == "republished"
        paused_by_a_person(world, adset)

        result_of(world, RECHECK)

    assert first_ad(world, adset).status == "PAUSED"


def test_a_republish_for_a_change_that_stays_open(world: World, adset: str) -> None:
    """Somebody else has set the regions, and Meta refuses the re-publish of another ad."""
    other = world.meta.ads_of(adset)[1].id
    left_behind(world, adset, ChangeState.WRITTEN)
    world.api().post(adset, {"targeting": ELSEWHERE})
    later(world, MINUTE)
    world.meta.meta_pauses(first_ad(world, adset).id, with_issue=False)
    later(world, MINUTE)
    refusal = {"on": lambda call: call.method == "POST" and call.object_id == other, "times": None}
    world.meta.fail(faults.MISSING_LEAD_FORM, **refusal)
    (recovery,) = result_of(world, RECHECK)["recovered"]
    assert (recovery["state"], first_ad(world, adset).status) == ("written", "ACTIVE")
    paused_by_a_person(world, adset)

    result_of(world, RECHECK)

    assert first_ad(world, adset).status == "PAUSED"


class Died(BaseException):
    """The process is gone."""


def test_a_rollback_that_dies_while_it_waits(world: World, adset: str) -> None:
    """After its re-publish, before its verification."""
    world.run(LIVE)
    later(world, MINUTE)
    world.meta.meta_pauses(first_ad(world, adset).id, with_issue=False)
    later(world, MINUTE)
    with patch("closrads.rollout.rollback.verify", side_effect=Died), pytest.raises(Died):
        world.run(RECHECK)
    assert first_ad(world, adset).status == "ACTIVE"
    later(world, 20 * MINUTE)
    paused_by_a_person(world, adset)

    result_of(world, RECHECK)

    assert first_ad(world, adset).status == "PAUSED"


def test_a_write_that_fails_takes_no_sighting_back(world: World, adset: str) -> None:
    """Nor does it end the following of an ad: nothing could be read after it."""
    world.run(LIVE)
    ad, broken, _ = world.meta.ads_of(adset)
    log = world.meta.accounts["act_111"].activities
    log.missing = lambda _: True
    later(world, MINUTE)
    world.meta.meta_pauses(ad.id, with_issue=False)
    later(world, MINUTE)
    assert result_of(world, RECHECK)["unexplained"]
    world.meta.person_repairs_ad(ad.id)
    world.meta.meta_breaks(broken.id)
    later(world, MINUTE)
    world.meta.fail(faults.ADSET_ENDED, on="POST adset", times=None)

    def fail(_api: object, ran: dict[str, object], _reserve: float) -> dict[str, MetaTransientError]:
        return dict.fromkeys(ran, MetaTransientError("No answer"))

    with patch("closrads.rollout.steps.read_ads", fail), patch("closrads.facebook_client.read_ads", fail):
        assert one_adset(result_of(world, RECHECK))["result"] == "rollback_failed"

    (pause,) = ledger(world).previous_outcomes("veterans").unexplained
    assert all(at >= START for at in (*pause.seen_on.values(), *pause.on_again.values()))


def test_a_persons_row_from_before_a_sighting_does_not_hide_metas_pause(world: World, adset: str) -> None:
    """A person has paused the ad and switched it on again, of which the log has no row."""
    world.run(LIVE)
    log, ad = world.meta.accounts["act_111"].activities, first_ad(world, adset)
    log.missing = None
    later(world, HOUR)
    world.meta.person_pauses(ad.id)
    later(world, HOUR)
    log.missing = lambda row: row.actor is PERSON
    world.meta.person_activates(ad.id)
    later(world, HOUR)
    world.run(RECHECK)
    later(world, HOUR)
    world.meta.meta_pauses(ad.id, with_issue=False)
    later(world, HOUR)

    assert [each["id"] for pause in result_of(world, RECHECK)["unexplained"] for each in pause["ads"]] == [ad.id]


def test_of_two_pauses_the_later_sighting_counts() -> None:
    """In whatever order they are joined."""
    early, late = {"11": START}, {"11": START.replace(hour=23), "12": START}
    one = UnexplainedPause("1", "Broad", {"11": "Spring"}, START, seen_on=early)
    other = replace(one, seen_on=late)

    assert one.joining(other).seen_on == other.joining(one).seen_on == late


def test_an_older_change_that_is_still_in_effect(world: World, adset: str) -> None:
    """A newer one was never written; the older one is more than a day old."""
    world.run(LIVE)
    later(world, 20 * HOUR)
    run_id = f"{world.time.clock.now():%Y%m%dT%H%M%SZ}-0000bbbb"
    left_behind(world, adset, ChangeState.PREPARED, "as before", states="GA", run_id=run_id)
    later(world, MINUTE)
    (recovery,) = result_of(world, RECHECK)["recovered"]
    assert recovery["state"] == "rolled_back"
    later(world, 5 * HOUR)
    paused_and_on_again(world, adset)
    result_of(world, RECHECK)
    paused_by_a_person(world, adset)

    result_of(world, RECHECK)

    assert first_ad(world, adset).status == "PAUSED"


def test_what_a_recheck_has_left_to_another_campaign_was_not_seen(world: World) -> None:
    """So the log's row of a person still explains the pause, although the ad has lost its form as well."""
    world.campaign("FL")
    adset = world.adset(ads=3)
    world.run(LIVE)
    truckers = {"closrtech_campaign": "VND_TRUCKERS_LEADS", "fb_ad_account_id": "act_111", "enabled": "false"}
    world.put({f"campaigns/truckers/{name}": value for name, value in truckers.items()})
    world.put({"campaigns/truckers/fb_campaign_ids": [VETERANS]})
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    later(world, HOUR)
    run_id = f"{world.time.clock.now():%Y%m%dT%H%M%SZ}-0000bbbb"
    left_behind(world, adset, ChangeState.PREPARED, "as before", states="GA", run_id=run_id, slug="truckers")
    later(world, MINUTE)
    world.meta.meta_breaks(first_ad(world, adset).id)
    paused_by_a_person(world, adset)
    result_of(world, {**RECHECK, "campaigns": ["veterans"]})
    later(world, 5 * MINUTE)
    result_of(world, RECHECK)
    later(world, 25 * MINUTE)

    result_of(world, {**RECHECK, "campaigns": ["veterans"]})

    assert first_ad(world, adset).status == "PAUSED"


def test_rechecks_with_a_stuck_rollback_do_not_record_every_ad_set(world: World, adset: str) -> None:
    """Of the others, the recheck itself keeps what it has seen."""
    ids = [adset, *(world.adset(f"Other {number}") for number in range(5))]
    world.run(LIVE)
    later(world, HOUR)
    ad = first_ad(world, ids[0])
    world.meta.meta_breaks(ad.id)
    world.meta.fail(
        faults.MISSING_LEAD_FORM, on=lambda call: call.method == "POST" and call.object_id == ad.id, times=None
    )
    assert "rollback_failed" in {each["result"] for each in result_of(world, RECHECK)["campaigns"][0]["adsets"]}
    later(world, HOUR)

    with patch.object(Ledger, "keep_ads", autospec=True, side_effect=Ledger.keep_ads) as keep:
        result_of(world, {**RECHECK, "scheduled": world.time.clock.now().isoformat()})

    assert sum(len(call.args[1]) for call in keep.mock_calls) <= 1


def test_a_defect_while_they_are_recorded_stops_no_rollback(world: World, adset: str, log: StringIO) -> None:
    """It only is logged."""
    world.run(LIVE)
    later(world, MINUTE)
    world.meta.meta_breaks(first_ad(world, adset).id)
    later(world, MINUTE)

    def republish_slowly(*parts: Any) -> list[ChangeRun]:
        world.time.pass_by(1)
        return republish(*parts)

    with (
        patch.object(Ledger, "keep_ads", side_effect=RuntimeError("A defect")),
        patch("closrads.rollout.rollback.republish", republish_slowly),
    ):
        result = result_of(world, RECHECK)

    assert (one_adset(result)["result"], result["campaigns"][0]["errors"]) == ("reverted", [])
    assert logged(log, "ledger.ads_not_kept", "adset")


def test_one_that_a_recheck_has_only_seen_off_was_not_seen_on(world: World) -> None:
    """It was off before the change, somebody has switched it on since, and Meta has paused it before any look.

    The log is read only because of another ad, which a person has paused.
    """
    world.campaign("FL")
    adset = world.adset(ads=3)
    ad, broken, other = world.meta.ads_of(adset)
    world.meta.pause_by_hand(ad.id)
    world.run(LIVE)
    later(world, HOUR)
    world.meta.meta_breaks(broken.id)
    scheduled = {**RECHECK, "scheduled": world.time.clock.now().isoformat()}
    assert one_adset(result_of(world, scheduled))["result"] == "reverted"
    later(world, MINUTE)
    world.meta.person_activates(ad.id)
    later(world, MINUTE)
    world.meta.meta_pauses(ad.id, with_issue=False)
    world.meta.person_pauses(other.id)
    later(world, MINUTE)
    scheduled = {**RECHECK, "scheduled": world.time.clock.now().isoformat()}
    assert one_adset(result_of(world, scheduled))["result"] == "skipped_preflight"
    later(world, 2 * HOUR)

    scheduled = {**RECHECK, "scheduled": world.time.clock.now().isoformat()}
    assert (one_adset(result_of(world, scheduled))["result"], ad.status) == ("reverted", "ACTIVE")
