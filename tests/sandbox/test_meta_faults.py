"""Faults on demand: each arrives as a client sees it."""

import json
import threading

import pytest
import requests

from sandbox.meta import MetaWorld, Operation, faults
from sandbox.server import Reply
from tests.sandbox.conftest import CAMPAIGN, Graph


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.THROTTLED_ACCOUNT, (400, 17, 2446079)),
        (faults.THROTTLED_USE_CASE, (400, 80004, 2446079)),
        (faults.TOO_MANY_CALLS, (400, 613, 1487742)),
        (faults.TOO_MANY_MUTATIONS, (400, 613, 5044001)),
        (faults.ABUSE_PREVENTION, (400, 613, None)),
        (faults.APP_LIMIT, (400, 4, None)),
        (faults.TOKEN_INVALID, (400, 190, None)),
        (faults.PASSWORD_CHANGED, (400, 190, 460)),
        (faults.TOKEN_EXPIRED, (400, 190, 463)),
        (faults.PERMISSION_MISSING, (403, 200, None)),
        (faults.CAPABILITY_MISSING, (400, 10, None)),
        (faults.POLICY_BLOCK, (400, 368, None)),
        (faults.UNKNOWN_ERROR, (500, 1, None)),
        (faults.UNKNOWN_ERROR_99, (500, 1, 99)),
        (faults.SERVICE_UNAVAILABLE, (503, 2, None)),
        (faults.TRANSIENT, (400, 3910001, None)),
        (faults.INTEREST_RETIRED, (400, 100, 1487694)),
        (faults.AUDIENCE_FLAGGED, (400, 100, 246003)),
        (faults.LOCATION_RESTRICTED, (400, 2641, None)),
        (faults.MISSING_LEAD_FORM, (400, 100, 3390001)),
        (faults.OK_WITH_ERROR, (200, 2, None)),
    ],
)
def test_error_envelopes(meta: MetaWorld, graph: Graph, fault: Reply, expected: tuple[int, int, int | None]) -> None:
    """Every error has Meta's envelope, once, and then the call goes through."""
    meta.fail(fault, on="GET campaign")
    assert graph.error(graph.get(CAMPAIGN)) == expected
    assert graph.get(CAMPAIGN)[0] == 200


def test_optional_parts_of_the_envelope() -> None:
    """`error_data` comes as an object, as text that is JSON, and as text that is not; absent parts have no key."""
    bodies = [faults.ERROR_DATA_OBJECT, faults.ERROR_DATA_TEXT, faults.ERROR_DATA_NOT_JSON, faults.TRANSIENT]
    found = [json.loads(reply.body or b"")["error"] for reply in bodies]
    assert [type(each.get("error_data")) for each in found] == [dict, str, str, type(None)]
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(found[2]["error_data"])
    assert found[3]["is_transient"] is True
    assert set(json.loads(faults.ABUSE_PREVENTION.body or b"")["error"]) == {"message", "type", "code", "fbtrace_id"}


def test_throttles_say_how_long(meta: MetaWorld, graph: Graph) -> None:
    """The use case waits in minutes, the account in seconds."""
    meta.fail(faults.throttled_use_case(minutes=7))
    header = json.loads(graph.raw("GET", CAMPAIGN).headers["X-Business-Use-Case-Usage"])
    assert header["111"][0]["estimated_time_to_regain_access"] == 7
    meta.fail(faults.throttled_account(seconds=60))
    header = json.loads(graph.raw("GET", CAMPAIGN).headers["X-Ad-Account-Usage"])
    assert (header["acc_id_util_pct"], header["reset_time_duration"]) == (100, 60)


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (faults.UNAVAILABLE_TEXT, 503, "Service Unavailable"),
        (faults.SERVER_ERROR_HTML, 500, "<html><body><h1>Sorry, something went wrong.</h1></body></html>"),
        (faults.BAD_GATEWAY_HTML, 502, "<html><body><h1>Bad Gateway</h1></body></html>"),
        (faults.SERVER_ERROR_EMPTY, 500, ""),
        (faults.OK_EMPTY, 200, ""),
        (faults.OK_EMPTY_OBJECT, 200, "{}"),
        (faults.OK_HTML, 200, "<html><body><h1>Log in to continue</h1></body></html>"),
        (faults.SUCCESS_FALSE, 200, '{"success":false}'),
        (faults.ERROR_AS_TEXT, 500, '{"error":"Something went wrong"}'),
    ],
)
def test_answers_that_are_no_answers(meta: MetaWorld, graph: Graph, fault: Reply, status: int, text: str) -> None:
    """Edge servers and empty bodies, as they are."""
    meta.fail(fault)
    reply = graph.raw("GET", CAMPAIGN)
    assert (reply.status_code, reply.text) == (status, text)


def test_the_gateway_that_says_success() -> None:
    """The page contains the word that a careless client looks for."""
    assert faults.BAD_GATEWAY_SUCCESS.status == 502
    assert b"success" in (faults.BAD_GATEWAY_SUCCESS.body or b"")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.DROPPED, requests.ConnectionError),
        (faults.TRUNCATED, requests.exceptions.ChunkedEncodingError),
        (faults.stalled(0.02), requests.ConnectionError),
    ],
)
@pytest.mark.parametrize("applied", [False, True])
def test_lost_answers(meta: MetaWorld, graph: Graph, fault: Reply, error: type[Exception], *, applied: bool) -> None:
    """The connection breaks, before or after the write was applied: the client cannot tell."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    meta.fail(fault, on="POST adset", applied=applied)
    with pytest.raises(error):
        graph.set_states(adset, "3878")
    assert meta.states(adset) == ({"OH"} if applied else {"FL"})
    assert len(meta.writes) == applied
    assert meta.requests[0].status == 0


def test_an_item_takes_the_batch_with_it(meta: MetaWorld, graph: Graph) -> None:
    """A connection cannot break for one item only: all were done, none is answered."""
    ads = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL"))
    meta.fail(faults.DROPPED, on="POST ad")
    with pytest.raises(requests.ConnectionError):
        graph.batch(*({"method": "POST", "relative_url": ad.id, "body": "status=ACTIVE"} for ad in ads))
    assert len(meta.writes) == 1


def test_refused_connections(meta: MetaWorld, graph: Graph) -> None:
    """The port closes and opens again; connections that were kept alive are cut."""
    assert graph.get(CAMPAIGN)[0] == 200
    meta.refuse_connections()
    with pytest.raises(requests.ConnectionError):
        graph.get(CAMPAIGN)
    meta.accept_connections()
    assert graph.get(CAMPAIGN)[0] == 200


def test_times_and_skip(meta: MetaWorld, graph: Graph) -> None:
    """A fault lets some go, hits some, and is used up; None never is."""
    meta.fail(faults.UNKNOWN_ERROR, on="GET campaign", skip=1, times=2)
    assert [graph.get(CAMPAIGN)[0] for _ in range(4)] == [200, 500, 500, 200]
    meta.fail(faults.UNKNOWN_ERROR, on="campaign", times=None)
    assert [graph.get(CAMPAIGN)[0] for _ in range(3)] == [500] * 3


def test_the_hook_changes_the_world_in_between(meta: MetaWorld, graph: Graph) -> None:
    """Somebody pauses the ad set just before it is read."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")

    def pause(operation: Operation) -> None:
        if operation.kind == "adset":
            meta.adsets[adset].status = "PAUSED"

    meta.on_request = pause
    assert graph.get(CAMPAIGN, fields="status")[1]["status"] == "ACTIVE"
    assert graph.get(adset, fields="status")[1]["status"] == "PAUSED"


def test_latency(meta: MetaWorld, graph: Graph) -> None:
    """A round trip takes as long as it is told to, and next to nothing otherwise."""
    graph.get(CAMPAIGN)
    fastest = min(graph.raw("GET", CAMPAIGN).elapsed.total_seconds() for _ in range(10))
    assert fastest < 0.04
    meta.latency = 0.02
    assert graph.raw("GET", CAMPAIGN).elapsed.total_seconds() >= 0.02


def test_many_clients_at_once(meta: MetaWorld, graph: Graph) -> None:
    """Every call of every thread is noted and answered."""
    (ad, _) = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL"))

    def work() -> None:
        client = Graph(meta)
        for _ in range(10):
            assert client.post(ad.id, status="ACTIVE")[0] == 200
        client.session.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (meta.round_trips, len(meta.writes)) == (80, 80)
    assert graph.get(ad.id)[0] == 200
