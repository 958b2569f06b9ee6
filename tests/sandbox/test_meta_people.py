"""What people, other programs and Meta do to ads and ad sets, and what the activity log says of it."""

import json
from typing import Any

import pytest

from sandbox.meta import MISSING_LEAD_FORM, Breakage, Effect, MetaWorld
from sandbox.meta.activity_log import OTHER_APP
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

LOG = "act_111/activities"


@pytest.fixture
def adset(quiet_meta: MetaWorld) -> str:
    """Add an ad set with one ad."""
    return quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1)


@pytest.fixture
def ad(quiet_meta: MetaWorld, adset: str) -> str:
    """Return its ad."""
    return quiet_meta.ads_of(adset)[0].id


def newest(client: InProcess) -> dict[str, Any]:
    """Return the newest row of the log."""
    row: dict[str, Any] = client.get(LOG, limit="1")["data"][0]
    return row | {"extra_data": json.loads(row["extra_data"])}


@pytest.mark.parametrize(
    ("kind", "event_type", "object_type"),
    [
        ("ad", "update_ad_run_status", "ADGROUP"),
        ("adset", "update_ad_set_run_status", "CAMPAIGN"),
        ("campaign", "update_campaign_run_status", "CAMPAIGN_GROUP"),
    ],
)
@pytest.mark.parametrize(
    ("act", "status", "word"),
    [
        ("person_pauses", "PAUSED", "Inactive"),
        ("person_archives", "ARCHIVED", "Archived"),
        ("person_deletes", "DELETED", "Deleted"),
        ("rule_pauses", "PAUSED", "Inactive"),
    ],
)
def test_switching_something_off(  # noqa: PLR0913, PLR0917 - fixtures
    quiet_meta: MetaWorld,
    client: InProcess,
    clock: Clock,
    adset: str,
    ad: str,
    kind: str,
    event_type: str,
    object_type: str,
    act: str,
    status: str,
    word: str,
) -> None:
    """Each kind of object has its event and its old name; the ads below no longer run."""
    object_id = {"ad": ad, "adset": adset, "campaign": CAMPAIGN}[kind]
    clock.advance(60)
    getattr(quiet_meta, act)(object_id)
    shown = client.get(object_id, fields="status,updated_time")
    assert (shown["status"], shown["updated_time"]) == (status, clock.text(clock()))
    assert client.get(f"{adset}/ads", effective_status=["ACTIVE"])["data"] == []
    row = newest(client)
    assert (row["event_type"], row["object_type"], row["object_id"]) == (event_type, object_type, object_id)
    assert row["extra_data"]["new_value"] == word
    assert ("rule_info" in row["extra_data"]) is (act == "rule_pauses")
    assert (row["actor_name"] == "Meta") is (act == "rule_pauses")
    assert quiet_meta.requests[0].method == "GET"  # it was nobody's request


def test_switching_something_on(quiet_meta: MetaWorld, client: InProcess, adset: str, ad: str) -> None:
    """A person wakes what a person paused."""
    for object_id in (adset, ad):
        quiet_meta.person_pauses(object_id)
        quiet_meta.person_activates(object_id)
        assert newest(client)["extra_data"]["new_value"] == "Active"
    assert quiet_meta.truly_healthy(ad)


def test_an_account_is_not_switched_off(quiet_meta: MetaWorld) -> None:
    """A slip in a script is no change at Meta."""
    with pytest.raises(TypeError):
        quiet_meta.person_pauses("act_111")


def test_another_program(quiet_meta: MetaWorld, client: InProcess, ad: str) -> None:
    """Whoever acts stands in the log, with the application."""
    quiet_meta.person_pauses(ad, by=OTHER_APP)
    assert newest(client)["application_name"] == OTHER_APP.application


def test_adding_an_ad(quiet_meta: MetaWorld, client: InProcess, adset: str, ad: str) -> None:
    """It runs beside the others."""
    added = quiet_meta.person_adds_ad(adset, "Carousel")
    assert [row["id"] for row in client.get(f"{adset}/ads")["data"]] == [ad, added]
    assert (newest(client)["event_type"], newest(client)["object_id"]) == ("create_ad", added)
    assert quiet_meta.truly_healthy(added)
    assert not quiet_meta.truly_healthy(quiet_meta.person_adds_ad(adset, "Draft", status="PAUSED"))


def test_editing_the_targeting(quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
    """One key, or the states; the rest stays as it is."""
    before = quiet_meta.targeting(adset)
    quiet_meta.person_edits_targeting(adset, {"age_min": 21})
    assert quiet_meta.targeting(adset) == before | {"age_min": 21}
    assert newest(client)["extra_data"]["new_value"][1]["children"] == ["21 - 65"]
    quiet_meta.person_edits_targeting(adset, states="GA TX")
    assert quiet_meta.states(adset) == {"GA", "TX"}
    after = quiet_meta.targeting(adset)
    assert after["geo_locations"].keys() == before["geo_locations"].keys()
    assert after["age_min"] == 21


def test_moving_the_end(quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
    """The log has it under another category than a pause."""
    quiet_meta.person_moves_end_date(adset, clock() + 60)
    assert quiet_meta.adsets[adset].end_time == clock() + 60
    (row,) = client.get(LOG, category="DATE")["data"]
    assert row["event_type"] == "update_ad_set_duration"


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("with_issue", [True, False])
def test_metas_pause(  # noqa: PLR0913 - fixtures
    quiet_meta: MetaWorld, client: InProcess, clock: Clock, ad: str, *, with_issue: bool, moves: bool
) -> None:
    """With or without an explanation, with or without a new time; a re-publish ends it."""
    clock.advance(60)
    quiet_meta.meta_pauses(ad, with_issue=with_issue, moves_updated_time=moves)
    shown = client.get(ad, fields="status,effective_status,issues_info,updated_time,created_time")
    assert (shown["status"], shown["effective_status"]) == ("PAUSED", "PAUSED")
    assert shown.get("issues_info") == ([MISSING_LEAD_FORM] if with_issue else None)
    assert (shown["updated_time"] > shown["created_time"]) is moves
    row = newest(client)
    assert (row["actor_id"], row["extra_data"]["new_value"]) == ("0", "Inactive")
    assert not quiet_meta.truly_healthy(ad)
    client.republish(ad)
    assert client.get(ad, fields="effective_status,issues_info") == {"id": ad, "effective_status": "ACTIVE"}
    assert quiet_meta.truly_healthy(ad)


def test_metas_breakage(quiet_meta: MetaWorld, client: InProcess, ad: str) -> None:
    """The configured status stays, the log says nothing, and a person can repair it."""
    quiet_meta.meta_breaks(ad)
    shown = client.get(ad, fields="status,effective_status,issues_info")
    assert (shown["status"], shown["effective_status"]) == ("ACTIVE", "WITH_ISSUES")
    assert client.get(LOG)["data"] == []
    quiet_meta.person_repairs_ad(ad)
    assert quiet_meta.truly_healthy(ad)


def test_meta_leaves_alone_what_is_off(quiet_meta: MetaWorld, client: InProcess, ad: str) -> None:
    """An ad that a person paused shows nothing of Meta's."""
    quiet_meta.person_pauses(ad)
    quiet_meta.meta_pauses(ad, with_issue=True)
    assert client.get(ad, fields="status,issues_info") == {"id": ad, "status": "PAUSED"}


def test_a_pause_that_a_person_takes_over(quiet_meta: MetaWorld, client: InProcess, clock: Clock) -> None:
    """An ad that Meta paused and a person pauses too stays off when Meta's reason is gone."""
    adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=Breakage.cured_by_rollback(Effect.PAUSED, 1))
    (ad,) = quiet_meta.ads_of(adset)
    client.set_states(adset, "OH")
    clock.advance(1)
    assert client.get(ad.id, fields="status")["status"] == "PAUSED"
    quiet_meta.person_pauses(ad.id)
    client.set_states(adset, "FL")
    assert client.get(ad.id, fields="status")["status"] == "PAUSED"
