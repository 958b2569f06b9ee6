"""Meta's score per ad account, and the headers that tell of it."""

import json

import pytest

from sandbox.meta import MetaWorld
from sandbox.meta.quota import Quota
from tests.sandbox.conftest import CAMPAIGN, Clock, Graph


def usage(graph: Graph, path: str) -> tuple[float, int, str]:
    """Return percentage, reset in seconds and tier as the header gives them after a read."""
    header = json.loads(graph.raw("GET", path).headers["X-Ad-Account-Usage"])
    return header["acc_id_util_pct"], header["reset_time_duration"], header["ads_api_access_tier"]


def test_reads_and_writes_cost(meta: MetaWorld, graph: Graph, clock: Clock) -> None:
    """A read is 1 of the 60 points of the limited tier, a write 3; after 300 s they are free again."""
    meta.add_account("act_111", "limited")
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    assert usage(graph, CAMPAIGN) == (1.67, 300, "development_access")
    graph.set_states(adset, "3878")
    clock.advance(100)
    assert usage(graph, adset) == (8.33, 300, "development_access")
    clock.advance(200)
    assert usage(graph, CAMPAIGN) == (3.33, 300, "development_access")
    assert meta.points == 6


def test_the_full_tier_has_more(meta: MetaWorld, graph: Graph) -> None:
    """9000 points, under the old name that the headers keep."""
    meta.spend("act_111", 4499)
    assert usage(graph, CAMPAIGN) == (50.0, 300, "standard_access")


def test_blocked_when_full(meta: MetaWorld, graph: Graph, clock: Clock) -> None:
    """The limited tier blocks for 300 s; a call in between starts the block anew; other accounts go on."""
    meta.add_account("act_111", "limited")
    meta.add_campaign("120210000000000900", "act_222")
    meta.spend("act_111", 60)
    assert graph.error(graph.get(CAMPAIGN)) == (400, 17, 2446079)
    assert graph.get("120210000000000900")[0] == 200
    clock.advance(299)
    assert graph.error(graph.get(CAMPAIGN)) == (400, 17, 2446079)
    header = json.loads(graph.raw("GET", CAMPAIGN).headers["X-Ad-Account-Usage"])
    assert (header["acc_id_util_pct"], header["reset_time_duration"]) == (100, 300)
    clock.advance(299)
    assert graph.get(CAMPAIGN)[0] == 400
    clock.advance(300)
    assert graph.get(CAMPAIGN)[0] == 200


def test_the_full_tier_blocks_for_a_minute(meta: MetaWorld, graph: Graph, clock: Clock) -> None:
    """Full access is back after 60 s."""
    meta.spend("act_111", 9000)
    assert graph.get(CAMPAIGN)[0] == 400
    clock.advance(60)
    assert graph.get(CAMPAIGN)[0] == 200


def test_a_batch_counts_item_by_item(meta: MetaWorld, graph: Graph) -> None:
    """The items that still fit are done, the others refused."""
    meta.add_account("act_111", "limited")
    meta.spend("act_111", 58)
    _, items = graph.batch(*[{"method": "GET", "relative_url": CAMPAIGN}] * 4)
    assert [item["code"] for item in items] == [200, 200, 400, 400]


def test_the_hourly_use_case_limit(clock: Clock) -> None:
    """300 calls and 40 per active ad in an hour; the wait is told in minutes."""
    quota = Quota("limited", clock)
    for _ in range(34):
        for _ in range(10):
            assert quota.charge(0, active_ads=1) is None
        clock.advance(60)
    refusal = quota.charge(0, active_ads=1)
    assert refusal is not None
    assert json.loads(refusal.body or b"")["error"]["code"] == 80004
    use_case = json.loads(dict(quota.headers("act_111", 1))["X-Business-Use-Case-Usage"])["111"][0]
    assert use_case["call_count"] == 100
    assert use_case["estimated_time_to_regain_access"] == 26


@pytest.mark.parametrize("path", ["search?type=adgeolocationmeta", "120299999999999999"])
def test_no_account_no_usage(graph: Graph, path: str) -> None:
    """What belongs to no ad account has no usage headers."""
    assert "X-Ad-Account-Usage" not in graph.raw("GET", path).headers


def test_limits_that_no_header_tells_of(meta: MetaWorld, graph: Graph) -> None:
    """They hold all the same, and the refusal does not say how long."""
    meta.add_account("act_111", "limited").shows_usage = False
    meta.spend("act_111", 59)
    replies = [graph.raw("GET", CAMPAIGN) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 400]
    assert not any("usage" in name.lower() for reply in replies for name in reply.headers)


def test_an_account_without_limits(meta: MetaWorld, graph: Graph) -> None:
    """Nothing is refused, and no answer says a word of usage."""
    meta.add_account("act_111", None)
    meta.spend("act_111", 100_000)
    assert "X-Ad-Account-Usage" not in graph.raw("GET", CAMPAIGN).headers
