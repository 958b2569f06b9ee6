"""Nodes, edges, field expansion, paging, search and the token check."""

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from sandbox.meta import SOFT_WARNING, MetaWorld, faults
from tests.sandbox.conftest import CAMPAIGN, Clock, Graph


class TestNodes:
    """`GET /{id}`."""

    def test_an_ad_set_shows_its_fields(self, meta: MetaWorld, graph: Graph) -> None:
        """The id is always there, absent values leave their key out, regions carry name and country."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "OH DC")
        status, content = graph.get(adset, fields="name,status,effective_status,targeting,issues_info,campaign{name}")
        assert status == 200
        assert content["id"] == adset
        assert (content["name"], content["status"], content["effective_status"]) == ("Broad", "ACTIVE", "ACTIVE")
        assert "issues_info" not in content
        assert content["campaign"] == {"id": CAMPAIGN, "name": "Leads"}
        assert content["targeting"]["geo_locations"]["regions"] == [
            {"key": "3878", "name": "Ohio", "country": "US"},
            {"key": "3851", "name": "Washington D. C.", "country": "US"},
        ]
        assert content["targeting"] == meta.targeting(adset)
        assert None in content["targeting"].values()
        assert any(key.startswith("effective_") for key in content["targeting"])

    @pytest.mark.parametrize("slash", ["", "/"])
    def test_every_kind_answers_with_and_without_slash(self, meta: MetaWorld, graph: Graph, slash: str) -> None:
        """Campaign, account and ad are nodes like the ad set."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        ad = meta.ads_of(adset)[0]
        assert graph.get(f"{CAMPAIGN}{slash}", fields="special_ad_categories") == (
            200,
            {"special_ad_categories": [], "id": CAMPAIGN},
        )
        assert graph.get(f"act_111{slash}", fields="account_id")[1] == {"account_id": "111", "id": "act_111"}
        assert graph.get(f"{ad.id}{slash}", fields="adset_id")[1] == {"adset_id": adset, "id": ad.id}
        assert graph.get(adset + slash) == (200, {"id": adset})

    def test_an_ad_shows_issues_review_and_form(self, meta: MetaWorld, graph: Graph) -> None:
        """`issues_info` is there when there are some; a creative answers a nested request."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=0)
        feedback = {"global": {"SOME_POLICY": "Explained"}}
        ad = meta.add_ad(adset, "Video", issues=[SOFT_WARNING], review_feedback=feedback)
        _, content = graph.get(ad, fields="effective_status,issues_info,ad_review_feedback,creative{object_story_spec}")
        assert content["effective_status"] == "ACTIVE"
        assert content["issues_info"] == [SOFT_WARNING]
        assert content["ad_review_feedback"] == feedback
        assert "lead_gen_form_id" in str(content["creative"])
        assert "id" not in content["creative"]

    def test_statuses_of_parents_come_through(self, meta: MetaWorld) -> None:
        """A paused parent shows in its children, and nothing shows in a parent."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        (ad, _) = meta.ads_of(adset)
        meta.adsets[adset].status = "PAUSED"
        assert ad.effective_status == "ADSET_PAUSED"
        meta.campaigns[CAMPAIGN].status = "PAUSED"
        assert ad.effective_status == "CAMPAIGN_PAUSED"
        assert meta.adsets[adset].effective_status == "PAUSED"
        ad.effective_status = "IN_PROCESS"
        assert ad.effective_status == "IN_PROCESS"

    def test_unknown_id(self, graph: Graph) -> None:
        """An object that is not there or not ours is 100/33."""
        reply = graph.get("120299999999999999")
        assert graph.error(reply) == (400, 100, 33)
        assert reply[1]["error"]["type"] == "GraphMethodException"

    @pytest.mark.parametrize(
        ("path", "params", "error"),
        [
            (CAMPAIGN, {"fields": "nothing_like_it"}, (400, 100, None)),
            (CAMPAIGN, {"fields": "id,adsets{id"}, (400, 2500, None)),
            (CAMPAIGN, {"fields": "adsets.limit{id}"}, (400, 2500, None)),
            (CAMPAIGN, {"fields": "id,,name"}, (400, 2500, None)),
            (CAMPAIGN, {"fields": "id}"}, (400, 2500, None)),
            (f"{CAMPAIGN}/insights", {}, (400, 2500, None)),
            (f"{CAMPAIGN}/adsets", {"limit": "0"}, (400, 100, None)),
            (f"{CAMPAIGN}/adsets", {"after": "no cursor"}, (400, 2642, None)),
            (f"{CAMPAIGN}/adsets", {"effective_status": "ACTIVE"}, (400, 100, None)),
            (f"{CAMPAIGN}/adsets", {"effective_status": '["DELETED"]'}, (400, 100, None)),
            ("", {}, (400, 100, None)),
            ("", {"ids": CAMPAIGN}, (500, 100, None)),
        ],
    )
    def test_refused_reads(
        self, graph: Graph, path: str, params: dict[str, str], error: tuple[int, int, int | None]
    ) -> None:
        """What cannot be parsed is refused; reading by `?ids=` is gone, with HTTP 500."""
        assert graph.error(graph.get(path, **params)) == error


class TestEdges:
    """`GET /{id}/{edge}` and its paging."""

    def test_lists_leave_out_what_is_gone(self, meta: MetaWorld, graph: Graph) -> None:
        """ARCHIVED comes only when asked for, DELETED never."""
        ids = {
            status: meta.add_adset(CAMPAIGN, status, "FL", status=status)
            for status in ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED")
        }
        listed = graph.get(f"{CAMPAIGN}/adsets", summary="true")[1]
        assert [row["id"] for row in listed["data"]] == [ids["ACTIVE"], ids["PAUSED"]]
        assert listed["summary"] == {"total_count": 2}
        archived = graph.get(f"{CAMPAIGN}/adsets", effective_status=["ARCHIVED"])[1]
        assert [row["id"] for row in archived["data"]] == [ids["ARCHIVED"]]

    def test_pages_until_next_is_missing(self, meta: MetaWorld, graph: Graph) -> None:
        """The last page has cursors but no `next`; the `next` URL works and holds the token."""
        ids = [meta.add_adset(CAMPAIGN, f"Set {number}", "FL", ads=0) for number in range(5)]
        first = graph.get(f"{CAMPAIGN}/adsets", limit="3", fields="name")[1]
        assert [row["id"] for row in first["data"]] == ids[:3]
        assert f"access_token={meta.token}" in first["paging"]["next"]
        second = graph.session.get(first["paging"]["next"], timeout=5).json()
        assert [row["id"] for row in second["data"]] == ids[3:]
        assert second["data"][0]["name"] == "Set 3"
        assert "next" not in second["paging"]
        assert "after" in second["paging"]["cursors"]
        assert graph.get(f"{CAMPAIGN}/adsets", limit="3", after=first["paging"]["cursors"]["after"])[1] == {
            "data": [{"id": each} for each in ids[3:]],
            "paging": second["paging"],
        }

    def test_default_limit_is_25_and_pages_can_be_capped(self, meta: MetaWorld, graph: Graph) -> None:
        """Meta caps `limit` on some edges without saying so."""
        for number in range(26):
            meta.add_adset(CAMPAIGN, f"Set {number}", "FL", ads=0)
        assert len(graph.get(f"{CAMPAIGN}/adsets")[1]["data"]) == 25
        meta.page_size = 2
        page = graph.get(f"{CAMPAIGN}/adsets", limit="100")[1]
        assert len(page["data"]) == 2
        assert "next" in page["paging"]

    def test_empty_pages_before_rows(self, meta: MetaWorld, graph: Graph) -> None:
        """An empty page that carries `next` is not the end."""
        ids = [meta.add_adset(CAMPAIGN, f"Set {number}", "FL", ads=0) for number in range(2)]
        meta.empty_pages = 2
        pages = [graph.get(f"{CAMPAIGN}/adsets", limit="1")[1]]
        while "next" in pages[-1]["paging"]:
            pages.append(graph.session.get(pages[-1]["paging"]["next"], timeout=5).json())
        assert [[row["id"] for row in page["data"]] for page in pages] == [[], [], ids[:1], [], [], ids[1:]]

    def test_nested_ads_have_paging_of_their_own(self, meta: MetaWorld, graph: Graph) -> None:
        """A nested edge takes limit and filter, and an ad set without ads has no `ads` at all."""
        full = meta.add_adset(CAMPAIGN, "Full", "FL", ads=3)
        meta.ads_of(full)[0].status = "PAUSED"
        meta.add_adset(CAMPAIGN, "Empty", "FL", ads=0)
        fields = 'name,ads.effective_status(["ACTIVE"]).limit(1){id,status}'
        first, second = graph.get(f"{CAMPAIGN}/adsets", fields=fields)[1]["data"]
        assert "ads" not in second
        active = [ad.id for ad in meta.ads_of(full)[1:]]
        assert first["ads"]["data"] == [{"id": active[0], "status": "ACTIVE"}]
        rest = graph.session.get(first["ads"]["paging"]["next"], timeout=5).json()
        assert rest["data"] == [{"id": active[1], "status": "ACTIVE"}]

    def test_ads_of_a_whole_campaign(self, meta: MetaWorld, graph: Graph) -> None:
        """One read of a campaign gives the ads of all its ad sets."""
        adsets = [meta.add_adset(CAMPAIGN, f"Set {number}", "FL", ads=2) for number in range(2)]
        rows = graph.get(f"{CAMPAIGN}/ads", fields="adset_id")[1]["data"]
        assert [row["adset_id"] for row in rows] == [adsets[0]] * 2 + [adsets[1]] * 2
        assert len(graph.get("act_111/ads")[1]["data"]) == 4
        assert len(graph.get("act_111/adsets")[1]["data"]) == 2
        assert graph.get("act_111/campaigns")[1]["data"] == [{"id": CAMPAIGN}]
        assert graph.get(f"{meta.ads_of(adsets[0])[0].id}/ads")[0] == 400

    def test_too_much_data(self, meta: MetaWorld, graph: Graph) -> None:
        """Above a size the reply is an error that only a smaller `limit` helps against; nested rows count."""
        meta.add_adset(CAMPAIGN, "Broad", "FL", ads=3)
        meta.max_rows = 3
        url = f"{CAMPAIGN}/adsets"
        assert graph.error(graph.get(url, fields="ads{id}")) == (500, 1, None)
        assert graph.get(url, fields="ads.limit(2){id}")[0] == 200
        meta.too_much_data = faults.REDUCE_DATA_HIDDEN
        reply = graph.get(url, fields="ads{id}")
        assert graph.error(reply) == (500, 1, 99)
        assert "reduce the amount of data" not in reply[1]["error"]["message"]
        assert "reduce the amount of data" in reply[1]["error"]["error_user_msg"]


class TestSearch:
    """`GET /search`."""

    def test_lists_all_regions(self, graph: Graph) -> None:
        """An empty query with a large limit lists the 51 regions of the US."""
        params: dict[str, Any] = {"type": "adgeolocation", "location_types": ["region"], "q": "", "country_code": "US"}
        rows = graph.get("search", **params, limit="1000")[1]["data"]
        assert len(rows) == 51
        keys = {row["name"]: row["key"] for row in rows}
        # The anchors that Meta's own documentation shows.
        anchors = {"Alabama": "3843", "California": "3847", "Florida": "3852", "Texas": "3886", "Wyoming": "3893"}
        assert anchors.items() <= keys.items()
        assert graph.get("search", **params | {"q": "Ohi"})[1]["data"][0]["key"] == "3878"
        assert len(graph.get("search", **params, limit="2")[1]["data"]) == 2
        assert graph.get("search", **params | {"country_code": "CA"})[1]["data"] == []
        assert graph.get("search", **params | {"location_types": ["city"]})[1]["data"] == []

    def test_looks_up_keys(self, graph: Graph) -> None:
        """`adgeolocationmeta` names known keys and leaves out others."""
        found = graph.get("search", type="adgeolocationmeta", regions=[3878, 1])[1]["data"]["regions"]
        assert {key: row["name"] for key, row in found.items()} == {"3878": "Ohio"}

    def test_needs_a_type(self, graph: Graph) -> None:
        """Without a type there is nothing to search, and broken JSON is refused."""
        assert graph.error(graph.get("search")) == (400, 100, None)
        assert graph.error(graph.get("search", type="adgeolocationmeta", regions="[")) == (400, 100, None)


class TestAccess:
    """Tokens, proofs and versions."""

    def test_the_token_may_come_three_ways(self, meta: MetaWorld, graph: Graph) -> None:
        """Query, form and Authorization header are all accepted."""
        url = graph.url(CAMPAIGN)
        for scheme in ("Bearer", "OAuth"):
            header = {"Authorization": f"{scheme} {meta.token}"}
            assert graph.session.get(url, headers=header, timeout=5).status_code == 200
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        form = {"access_token": meta.token, "name": "New"}
        assert graph.session.post(graph.url(adset), data=form, timeout=5).json() == {"success": True}

    def test_wrong_and_missing_tokens(self, meta: MetaWorld, graph: Graph) -> None:
        """A wrong token is 190 with HTTP 400, a dead one has a subcode."""
        wrong = graph.session.get(graph.url(CAMPAIGN), params={"access_token": "EAAFAKEWRONG"}, timeout=5)
        assert graph.error((wrong.status_code, wrong.json())) == (400, 190, None)
        missing = graph.session.get(graph.url(CAMPAIGN), timeout=5)
        assert missing.status_code == 400
        meta.dead_tokens[meta.token] = faults.TOKEN_EXPIRED
        assert graph.error(graph.get(CAMPAIGN)) == (400, 190, 463)

    def test_the_proof_is_checked_when_there_is_a_secret(self, meta: MetaWorld, graph: Graph) -> None:
        """The proof is the HMAC-SHA256 of the token under the app secret."""
        meta.app_secret = "fake-app-secret"
        meta.token = "EAAFAKE"
        right = "1d78f11143fbaedd33b677d15ad9ade17050596d92b0204376e8a76075a2e7de"
        assert graph.error(graph.get(CAMPAIGN)) == (400, 100, None)
        assert graph.error(graph.get(CAMPAIGN, appsecret_proof="0" * 64)) == (400, 100, None)
        assert graph.get(CAMPAIGN, appsecret_proof=right)[0] == 200
        header = {"Authorization": f"Bearer {meta.token}"}
        reply = graph.session.get(graph.url(CAMPAIGN), params={"appsecret_proof": right}, headers=header, timeout=5)
        assert reply.status_code == 200

    def test_debug_token(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """A system user's token never expires (0); expired and unknown ones say so with HTTP 200."""
        good = graph.get("debug_token", input_token=meta.token)[1]["data"]
        assert (good["is_valid"], good["type"], good["expires_at"]) == (True, "SYSTEM_USER", 0)
        meta.token_expires_at = int(clock()) + 60
        assert graph.get("debug_token", input_token=meta.token)[1]["data"]["expires_at"] == meta.token_expires_at
        meta.dead_tokens["EAAFAKEOLD"] = faults.TOKEN_EXPIRED
        status, old = graph.get("debug_token", input_token="EAAFAKEOLD")
        assert (status, old["data"]["is_valid"], old["data"]["error"]["subcode"]) == (200, False, 463)
        unknown = graph.get("debug_token", input_token="EAAFAKEUNKNOWN")[1]["data"]
        assert (unknown["is_valid"], unknown["error"]["code"]) == (False, 190)

    def test_unversioned_calls_fail(self, meta: MetaWorld, graph: Graph) -> None:
        """A version must stand in the path."""
        reply = graph.session.get(f"{meta.url}/{CAMPAIGN}", params={"access_token": meta.token}, timeout=5)
        assert graph.error((reply.status_code, reply.json())) == (400, 2635, None)

    def test_headers_of_every_answer(self, meta: MetaWorld, graph: Graph) -> None:
        """A trace id is always there, the version warning when there is one."""
        reply = graph.raw("GET", CAMPAIGN)
        assert reply.headers["x-fb-trace-id"]
        assert "x-ad-api-version-warning" not in reply.headers
        meta.version_warning = "The call has been auto-upgraded to v27.0"
        assert graph.raw("GET", "1").headers["x-ad-api-version-warning"] == meta.version_warning

    def test_the_record_holds_no_token(self, meta: MetaWorld, graph: Graph) -> None:
        """What is noted of requests can be printed."""
        graph.get(CAMPAIGN, fields="id", appsecret_proof="fake-proof")
        graph.get("debug_token", input_token=meta.token)
        graph.batch({"method": "GET", "relative_url": f"{CAMPAIGN}?access_token={meta.token}"})
        requests.get(graph.url(CAMPAIGN), headers={"Authorization": f"Bearer {meta.token}"}, timeout=5).close()
        assert meta.round_trips == 4
        assert meta.token not in str(meta.requests)
        assert "fake-proof" not in str(meta.requests)


def test_whose_a_token_is(meta: MetaWorld, graph: Graph) -> None:
    """A person's token, one whose access to data ends, one that may only read."""
    meta.token_type, meta.token_data_access_expires_at, meta.token_scopes = "USER", 1_800_000_000, ["ads_read"]
    data = graph.get("debug_token", input_token=meta.token)[1]["data"]

    assert (data["type"], data["data_access_expires_at"], data["scopes"]) == ("USER", 1_800_000_000, ["ads_read"])


def test_what_a_token_may_do(meta: MetaWorld, graph: Graph) -> None:
    """Each ad account tells it, and whether it is active."""
    meta.accounts["act_111"].tasks, meta.accounts["act_111"].status = ("ANALYZE",), 2
    answer = graph.get("act_111", fields="user_tasks,account_status")[1]

    assert answer == {"id": "act_111", "user_tasks": ["ANALYZE"], "account_status": 2}


def test_the_date_of_an_answer_is_the_worlds(graph: Graph, clock: Clock) -> None:
    """Whoever compares clocks compares with this one."""
    date = parsedate_to_datetime(graph.raw("GET", "act_111").headers["Date"])

    assert date.timestamp() == int(clock.seconds)
