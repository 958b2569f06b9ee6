"""Batches: envelope, items, and what Meta does not allow in them."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.meta import MetaWorld, Operation, faults
from sandbox.server import Reply
from tests.sandbox.conftest import CAMPAIGN, Graph

OTHER_CAMPAIGN = "120210000000000200"


def item(method: str, url: str, **body: Any) -> dict[str, str]:
    """Return a batch item; its body is percent-encoded the way Meta's SDK does it."""
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    text = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
    return {"method": method, "relative_url": url} | ({"body": text} if text else {})


def states(adset_id: str, key: str) -> dict[str, str]:
    """Return an item that writes one state."""
    return item("POST", f"{adset_id}/", targeting={"geo_locations": {"regions": [{"key": key}]}})


def contents(reply: tuple[int, Any]) -> list[Any]:
    """Return code and decoded body of each item."""
    assert reply[0] == 200
    return [(each["code"], json.loads(each["body"])) for each in reply[1]]


def test_items_are_answered_in_order_and_fail_alone(meta: MetaWorld, graph: Graph) -> None:
    """Reads and writes mix, with or without version; an error concerns its item only."""
    adset = meta.add_adset(CAMPAIGN, "A & B = 100%", "FL")
    (ad, _) = meta.ads_of(adset)
    reply = graph.batch(
        item("GET", f"{adset}/?fields=name%2Cstatus"),
        item("GET", "120299999999999999"),
        item("POST", f"/v26.0/{ad.id}/", status="ACTIVE"),
        item("GET", f"{CAMPAIGN}/adsets?effective_status=%5B%22ACTIVE%22%5D&limit=5&fields=id"),
        states(adset, "3878"),
    )
    first, missing, written, listed, targeted = contents(reply)
    assert first == (200, {"name": "A & B = 100%", "status": "ACTIVE", "id": adset})
    assert (missing[0], missing[1]["error"]["error_subcode"]) == (400, 33)
    assert written == (200, {"success": True})
    assert listed[1]["data"] == [{"id": adset}]
    assert targeted == (200, {"success": True})
    assert meta.states(adset) == {"OH"}


def test_the_record(meta: MetaWorld, graph: Graph) -> None:
    """A batch is one round trip; each of its items is an operation with its own points."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    (ad, _) = meta.ads_of(adset)
    seen: list[str] = []
    meta.on_request = lambda operation: seen.append(operation.kind)
    graph.batch(item("POST", ad.id, status="ACTIVE"), item("GET", f"{adset}/ads"))
    assert meta.round_trips == 1
    assert meta.operations == [
        Operation("POST", ad.id, {"status": "ACTIVE"}, "ad", 200, applied=True),
        Operation("GET", f"{adset}/ads", {}, "ads", 200, applied=False),
    ]
    assert [write.object_id for write in meta.writes] == [ad.id]
    assert meta.points == 4
    assert seen == ["ad", "ads"]


def test_headers_are_inside_the_items(meta: MetaWorld, graph: Graph) -> None:
    """Usage stands in each item, unless headers are not wanted."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    (answer,) = graph.batch(item("GET", adset))[1]
    names = [header["name"] for header in answer["headers"]]
    assert {"Content-Type", "X-Ad-Account-Usage", "X-Business-Use-Case-Usage"} <= set(names)
    assert "X-Ad-Account-Usage" not in graph.raw("POST", "", batch=[item("GET", adset)]).headers
    (bare,) = graph.batch(item("GET", adset), include_headers="false")[1]
    assert set(bare) == {"code", "body"}


def test_tokens_per_item(meta: MetaWorld, graph: Graph) -> None:
    """An item may have a token of its own; the one of the envelope is needed anyway."""
    meta.tokens.add("EAAFAKESECOND")
    meta.dead_tokens["EAAFAKEOLD"] = faults.PASSWORD_CHANGED
    good = {**item("GET", CAMPAIGN), "access_token": "EAAFAKESECOND"}
    reply = graph.batch(good, item("GET", f"{CAMPAIGN}?access_token=EAAFAKEOLD"), item("GET", CAMPAIGN))
    assert [code for code, _ in contents(reply)] == [200, 400, 200]
    meta.token = "EAAFAKEOLD"
    assert graph.error(graph.batch(good)) == (400, 190, 460)


@pytest.mark.parametrize("batch", ["no JSON", "7", '["no item"]', '[{"method": "GET"}]'])
def test_malformed(graph: Graph, batch: str) -> None:
    """An envelope that cannot be read fails as a whole."""
    assert graph.error(graph.post("", batch=batch)) == (400, 100, None)


def test_more_than_fifty(meta: MetaWorld, graph: Graph) -> None:
    """Fifty items go, one more fails the envelope and nothing is done."""
    (ad, _) = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL"))
    items = [item("POST", ad.id, status="ACTIVE")] * 51
    assert graph.error(graph.batch(*items)) == (400, 5, None)
    assert meta.writes == []
    assert len(graph.batch(*items[:50])[1]) == 50


def test_two_ad_sets_of_one_campaign(meta: MetaWorld, graph: Graph) -> None:
    """The batch guide allows one ad set of a campaign; other campaigns and reads are not affected."""
    meta.add_campaign(OTHER_CAMPAIGN)
    first, second = (meta.add_adset(CAMPAIGN, name, "FL") for name in "AB")
    other = meta.add_adset(OTHER_CAMPAIGN, "C", "FL")
    reply = graph.batch(states(first, "3878"), states(other, "3878"), states(second, "3878"), item("GET", first))
    assert [code for code, _ in contents(reply)] == [400, 200, 400, 200]
    assert contents(reply)[0][1]["error"]["code"] == 100
    assert [meta.states(each) for each in (first, second, other)] == [{"FL"}, {"FL"}, {"OH"}]
    assert [operation.status for operation in meta.operations] == [400, 200, 400, 200]


class TestFaults:
    """One item, or the whole answer, goes wrong."""

    @pytest.fixture
    def ads(self, meta: MetaWorld) -> list[str]:
        """Add three ads."""
        return [ad.id for ad in meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL", ads=3))]

    @pytest.fixture
    def items(self, ads: list[str]) -> list[dict[str, str]]:
        """Return a re-publish of each."""
        return [item("POST", ad, status="ACTIVE") for ad in ads]

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (faults.NULL_ITEM, None),
            (faults.NULL_BODY, {"code": 200, "body": None}),
            (faults.BAD_GATEWAY_HTML, {"code": 502, "body": "<html><body><h1>Bad Gateway</h1></body></html>"}),
        ],
    )
    @pytest.mark.parametrize("applied", [False, True])
    def test_one_item(  # noqa: PLR0913 - fixtures
        self, meta: MetaWorld, graph: Graph, items: list[Any], fault: Reply, expected: Any, *, applied: bool
    ) -> None:
        """The second item is answered wrongly, done or not done; the others are fine."""
        meta.fail(fault, on="POST ad", skip=1, applied=applied)
        reply = graph.batch(*items, include_headers="false")[1]
        assert reply[1] == expected
        assert [reply[0]["code"], reply[2]["code"]] == [200, 200]
        assert len(meta.writes) == 2 + applied

    def test_by_function(self, meta: MetaWorld, graph: Graph, ads: list[str], items: list[Any]) -> None:
        """A function picks its operation."""
        meta.fail(faults.MISSING_LEAD_FORM, on=lambda operation: operation.object_id == ads[2])
        assert [code for code, _ in contents(graph.batch(*items))] == [200, 200, 400]

    @pytest.mark.parametrize(("applied", "writes"), [(False, 2), (True, 3)])
    def test_short_list(self, meta: MetaWorld, graph: Graph, items: list[Any], writes: int, *, applied: bool) -> None:
        """The last item is not answered, done or not done."""
        meta.fail(faults.SHORT_LIST, on="batch", applied=applied)
        assert len(graph.batch(*items)[1]) == 2
        assert len(meta.writes) == writes
        assert len(meta.operations) == 3

    @pytest.mark.parametrize(
        ("fault", "body"),
        [(faults.NO_ITEMS, []), (faults.ENVELOPE_DICT, {"data": []}), (faults.ENVELOPE_TEXT, "Something went wrong")],
    )
    @pytest.mark.parametrize("applied", [False, True])
    def test_whole_answer(  # noqa: PLR0913 - fixtures
        self, meta: MetaWorld, graph: Graph, items: list[Any], fault: Reply, body: Any, *, applied: bool
    ) -> None:
        """An envelope that is no list of items."""
        meta.fail(fault, on="batch", applied=applied)
        assert graph.batch(*items) == (200, body)
        assert len(meta.writes) == (3 if applied else 0)

    def test_any_hits_the_envelope(self, meta: MetaWorld, graph: Graph, items: list[Any]) -> None:
        """A throttle of the whole call."""
        meta.fail(faults.BATCH_TIMED_OUT)
        assert graph.error(graph.batch(*items)) == (400, 960, None)
        assert graph.batch(*items)[0] == 200

    def test_latency_per_item(self, meta: MetaWorld, graph: Graph, items: list[Any]) -> None:
        """Each item takes its time."""
        meta.latency_per_item = 0.005
        assert graph.raw("POST", "", batch=items).elapsed.total_seconds() >= 0.015
