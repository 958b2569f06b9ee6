"""Situations that users of the API have reported, and that its documentation describes."""

import json
from typing import Any

import pytest

from sandbox.meta import MetaWorld, faults
from sandbox.meta.quota import use_case
from sandbox.server import Reply
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

ACCOUNT = "act_111"
DAY = 86_400


@pytest.fixture
def adset(quiet_meta: MetaWorld) -> str:
    """Add an ad set with one ad."""
    return quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1)


@pytest.fixture
def ad(quiet_meta: MetaWorld, adset: str) -> str:
    """Return its ad."""
    return quiet_meta.ads_of(adset)[0].id


class TestEnded:
    """Ad sets that are over look like all others (meta-ads-mcp #34, facebook-nodejs-business-sdk #41)."""

    @pytest.mark.parametrize("whose", ["ad set", "campaign"])
    def test_it_stays_active_and_its_ads_cannot_be_edited(  # noqa: PLR0913, PLR0917 - fixtures
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str, ad: str, whose: str
    ) -> None:
        """The targeting can be written all the same; when the end is moved, all is as before."""
        if whose == "ad set":
            quiet_meta.adsets[adset].end_time = clock()
        else:
            quiet_meta.campaigns[CAMPAIGN].stop_time = clock()
        (row,) = client.get(f"{CAMPAIGN}/adsets", effective_status=["ACTIVE"], fields="effective_status")["data"]
        assert row == {"id": adset, "effective_status": "ACTIVE"}
        client.set_states(adset, "OH")
        assert client.error("POST", ad, status="ACTIVE") == (400, 100, 1487007)
        assert client.post(ad) == {"success": True}  # it asks for nothing
        quiet_meta.adsets[adset].end_time = quiet_meta.campaigns[CAMPAIGN].stop_time = clock() + 1
        client.republish(ad)

    def test_the_dates(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """They are read as text with an offset; without an end there is no key."""
        assert client.get(adset, fields="start_time,end_time,budget_remaining") == {
            "id": adset,
            "budget_remaining": "5000",
        }
        quiet_meta.adsets[adset].start_time = quiet_meta.campaigns[CAMPAIGN].start_time = clock() - DAY
        quiet_meta.adsets[adset].end_time = quiet_meta.campaigns[CAMPAIGN].stop_time = clock() + DAY
        assert client.get(adset, fields="start_time,end_time") == {
            "id": adset,
            "start_time": clock.text(clock() - DAY),
            "end_time": clock.text(clock() + DAY),
        }
        assert client.get(CAMPAIGN, fields="start_time,stop_time")["stop_time"] == clock.text(clock() + DAY)

    def test_scheduled_and_exhausted_ones_are_active(
        self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str, ad: str
    ) -> None:
        """No status says that an ad set has not begun, or that its money is spent."""
        quiet_meta.adsets[adset].start_time = clock() + DAY
        quiet_meta.adsets[adset].budget_remaining = 0
        client.set_states(adset, "OH")
        client.republish(ad)
        assert client.get(ad, fields="effective_status")["effective_status"] == "ACTIVE"

    def test_the_filter_by_completion(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, adset: str) -> None:
        """Those that are over, or those that are not."""
        ended = quiet_meta.add_adset(CAMPAIGN, "Ended", "FL")
        quiet_meta.adsets[ended].end_time = clock() - 1
        assert client.get(f"{CAMPAIGN}/adsets", is_completed="true")["data"] == [{"id": ended}]
        assert client.get(f"{CAMPAIGN}/adsets", is_completed="false")["data"] == [{"id": adset}]

    @pytest.mark.parametrize(("kind", "subcode"), [("adset", 1487056), ("campaign", 1487566)])
    def test_ads_of_what_was_deleted(  # noqa: PLR0913, PLR0917 - fixtures
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, ad: str, kind: str, subcode: int
    ) -> None:
        """The refusal says which parent is gone."""
        quiet_meta.person_deletes(adset if kind == "adset" else CAMPAIGN)
        assert client.error("POST", ad, status="ACTIVE") == (400, 100, subcode)


class TestAccount:
    """What is true of a whole ad account."""

    def test_whose_an_object_is(self, client: InProcess, adset: str, ad: str) -> None:
        """Everything tells its account, by number."""
        for object_id in (CAMPAIGN, adset, ad):
            assert client.get(object_id, fields="account_id")["account_id"] == "111"

    def test_controls(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """None, or one object with the limits and how far they are applied."""
        assert client.get(f"{ACCOUNT}/account_controls") == {"data": []}
        controls = {
            "audience_controls": {"excluded_geo_locations": {"regions": [{"key": "3886"}]}},
            "status": "APPLICATION_IN_PROGRESS",
        }
        quiet_meta.accounts[ACCOUNT].controls = controls
        assert client.get(f"{ACCOUNT}/account_controls") == {"data": [controls]}
        assert client.error("GET", f"{CAMPAIGN}/account_controls") == (400, 2500, None)

    @pytest.mark.parametrize(
        "controls",
        [
            {"excluded_geo_locations": {"regions": [{"key": "3878"}]}},
            {"geo_locations": {"regions": [{"key": "3886"}]}},
            {"geo_locations": {"countries": ["CA"]}},
        ],
    )
    def test_audience_controls_bind_every_ad_set(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, controls: dict[str, Any]
    ) -> None:
        """A state that they exclude or do not include is refused (assumed: Meta documents no error for it)."""
        quiet_meta.accounts[ACCOUNT].controls = {"audience_controls": controls}
        targeting = json.dumps({"geo_locations": {"regions": [{"key": "3878"}]}})
        assert client.error("POST", adset, targeting=targeting) == (400, 100, None)
        quiet_meta.accounts[ACCOUNT].controls = {"audience_controls": {"geo_locations": {"countries": ["US"]}}}
        client.set_states(adset, "OH")

    @pytest.mark.parametrize("hold", [faults.ACCOUNT_HOLD, faults.PAYMENT_MISSING])
    def test_a_held_account(self, quiet_meta: MetaWorld, client: InProcess, adset: str, ad: str, hold: Reply) -> None:
        """Every write of its ad sets and ads is refused, and all is read as before; other accounts go on."""
        other = quiet_meta.add_adset(quiet_meta.add_campaign("120210000000000990", "act_222"), "Other", "FL")
        quiet_meta.holds[ACCOUNT] = hold
        before = client.get(adset, fields="effective_status,targeting")
        for object_id, change in ((adset, {"name": "New"}), (ad, {"status": "ACTIVE"})):
            assert client.error("POST", object_id, **change)[0] == hold.status
        assert client.get(adset, fields="effective_status,targeting") == before
        client.set_states(other, "OH")
        quiet_meta.holds.clear()
        client.set_states(adset, "OH")

    def test_terms_that_were_not_accepted(self, quiet_meta: MetaWorld, client: InProcess, adset: str) -> None:
        """They concern the ad sets with such an audience alone (Marketing API "Error Codes", 200/1870034)."""
        raw: dict[str, Any] = {"geo_locations": {"regions": [{"key": "3852"}]}, "custom_audiences": [{"id": "1"}]}
        concerned = quiet_meta.add_adset(CAMPAIGN, "Lookalike", targeting=raw)
        quiet_meta.accounts[ACCOUNT].audience_terms_accepted = False
        assert client.error("POST", concerned, targeting=raw) == (400, 200, 1870034)
        client.set_states(adset, "OH")
        quiet_meta.accounts[ACCOUNT].audience_terms_accepted = True
        client.set_states(concerned, "OH")

    @pytest.mark.parametrize(
        ("fault", "subcode"), [(faults.FORMATS_UNAVAILABLE, 1885502), (faults.POST_UNAVAILABLE, 2446289)]
    )
    def test_one_object_alone_is_refused(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, fault: Reply, subcode: int
    ) -> None:
        """What is wrong with one ad or ad set says nothing about the next (facebook-nodejs-business-sdk #62)."""
        other = quiet_meta.add_adset(CAMPAIGN, "Other", "FL")
        quiet_meta.fail(fault, on=lambda operation: operation.object_id == adset, times=None)
        assert client.error("POST", adset, name="New") == (400, 100, subcode)
        client.set_states(other, "OH")

    def test_other_quotas_stand_in_the_same_header(self, quiet_meta: MetaWorld, client: InProcess) -> None:
        """Of other types and other objects, one of them unknown (Graph API "Rate Limits", types of use cases)."""
        quiet_meta.accounts[ACCOUNT].other_usage = {
            "111": [use_case("ads_insights", 100), use_case("something_new", 100, minutes=30)],
            "1790000000000001": [use_case("pages", 97)],
        }
        header = json.loads(dict(client.raw("GET", ACCOUNT).headers)["X-Business-Use-Case-Usage"])
        assert {key: [entry["type"] for entry in entries] for key, entries in header.items()} == {
            "111": ["ads_management", "ads_insights", "something_new"],
            "1790000000000001": ["pages"],
        }
        assert header["111"][0]["call_count"] == 1
        assert header["111"][2]["estimated_time_to_regain_access"] == 30
        assert "ads_api_access_tier" not in header["1790000000000001"][0]


class TestReading:
    """Reads that fail although nothing is wrong with the objects."""

    @pytest.mark.parametrize("form", faults.TOO_MUCH_DATA, ids=lambda form: f"{form.status} {form.body[:30]}")
    def test_too_much_data(self, quiet_meta: MetaWorld, client: InProcess, clock: Clock, form: Reply) -> None:
        """A smaller page helps, waiting and trying again do not."""
        for number in range(4):
            quiet_meta.add_adset(CAMPAIGN, f"Set {number}", "FL", ads=0)
        quiet_meta.max_rows, quiet_meta.too_much_data = 2, form
        for _ in range(2):
            reply = client.raw("GET", f"{CAMPAIGN}/adsets", limit="4")
            assert (reply.status, reply.body) == (form.status, form.body)
            clock.advance(600)
        first = client.get(f"{CAMPAIGN}/adsets", limit="2")
        after = first["paging"]["cursors"]["after"]
        assert len(first["data"] + client.get(f"{CAMPAIGN}/adsets", limit="2", after=after)["data"]) == 4

    def test_an_ad_set_where_a_campaign_belongs(self, client: InProcess, adset: str) -> None:
        """An ad set has no ad sets, and none of a campaign's fields."""
        assert client.error("GET", f"{adset}/adsets", fields="id") == (400, 2500, None)
        assert client.error("GET", adset, fields="stop_time") == (400, 100, None)

    @pytest.mark.parametrize("stage", [None, "FAIL", "WAIVING"])
    def test_the_learning_stage(self, quiet_meta: MetaWorld, client: InProcess, adset: str, stage: str | None) -> None:
        """It may be unknown, or have no entry at all; an edit restarts it."""
        quiet_meta.adsets[adset].learning = stage
        shown = client.get(adset, fields="learning_stage_info")
        assert shown.get("learning_stage_info", {}).get("status") == stage
        client.set_states(adset, "OH")
        assert client.get(adset, fields="learning_stage_info")["learning_stage_info"]["status"] == "LEARNING"


class TestVersions:
    """Versions that have ended, and features that go (Marketing API "Versioning", v27.0 announcement)."""

    def test_a_retired_version_reads_and_does_not_write(
        self, quiet_meta: MetaWorld, client: InProcess, adset: str, ad: str
    ) -> None:
        """Reads are upgraded and say so, writes fail, in batches too."""
        reply = client.raw("GET", adset, version="v24.0")
        assert (reply.status, dict(reply.headers)["facebook-api-version"]) == (200, "v25.0")
        assert "v25.0" in dict(reply.headers)["x-ad-api-version-warning"]
        assert client.error("POST", adset, name="New", version="v24.0") == (400, 2635, None)
        items = [
            {"method": "GET", "relative_url": adset},
            {"method": "POST", "relative_url": ad, "body": "status=ACTIVE"},
        ]
        assert [item["code"] for item in client.post("", batch=items, version="v24.0")] == [200, 400]
        assert quiet_meta.writes == []
        assert [operation.kind for operation in quiet_meta.operations] == ["adset", "adset", "adset", "ad"]

    @pytest.mark.parametrize("version", ["v25.0", "v26.0", "v27.0"])
    def test_versions_that_are_served(self, client: InProcess, adset: str, version: str) -> None:
        """Without a warning, and under their own number."""
        reply = client.raw("POST", adset, name="New", version=version)
        assert reply.status == 200
        assert dict(reply.headers)["facebook-api-version"] == version
        assert "x-ad-api-version-warning" not in dict(reply.headers)

    @pytest.mark.parametrize(
        "params",
        [
            {"date_format": "U"},
            {"method": "DELETE"},
            {"_method": "DELETE"},
            {"callback": "show"},
            {"fields": "name.as(title)"},
            {"fields": "id,ads.limit(5).as(first){id}"},
        ],
    )
    def test_legacy_features(self, client: InProcess, adset: str, params: dict[str, str]) -> None:
        """None of them works any more, whatever the version."""
        for version in ("v25.0", "v27.0"):
            assert client.error("GET", adset, version=version, **params) == (400, 100, None)

    def test_several_ids_at_once(self, client: InProcess, adset: str) -> None:
        """Gone as well, and answered as a fault of the server."""
        assert client.error("GET", "", ids=adset) == (500, 100, None)
