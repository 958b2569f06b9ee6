"""The sandbox as a set of servers: ports, threads, connections, and clients that vanish."""

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError

from sandbox import AwsWorld, ClosrtechWorld, MetaWorld, Sandbox, closrtech, faults
from tests.sandbox.conftest import CAMPAIGN, Graph
from tests.sandbox.test_aws import put


def test_starting_and_stopping_twice() -> None:
    """Nothing is left behind: no port, no thread."""
    before = threading.active_count()
    for _ in range(2):
        with Sandbox() as sandbox:
            urls = (sandbox.meta.url, sandbox.closrtech.url, sandbox.aws.url)
            session = requests.Session()
            assert session.get(f"{sandbox.closrtech.url}/", timeout=5).status_code == 404
        for url in urls:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)).close()
        session.close()
    for _ in range(100):  # a thread that has served its last request needs a moment to end
        if threading.active_count() <= before:
            break
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_failed_start_stops_what_was_started(sandbox: Sandbox) -> None:
    """A port that is taken stops the whole, and frees the others."""
    taken = urlsplit(sandbox.closrtech.url).port or 0
    other = Sandbox(closrtech_port=taken)
    with pytest.raises(OSError, match="in use"):
        other.__enter__()
    with pytest.raises(requests.ConnectionError):
        requests.get(other.meta.url, timeout=5)


@pytest.mark.parametrize("name", ["meta", "closrtech"])
def test_a_client_that_vanishes(sandbox: Sandbox, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in the middle of a request nor while it is served does it leave a trace."""
    world: MetaWorld | ClosrtechWorld = getattr(sandbox, name)
    address = ("127.0.0.1", urlsplit(world.url).port)
    head = b"POST /v26.0/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(head + b"status=")
    done = threading.Event()
    with socket.create_connection(address) as client:
        world.on_exchange = lambda moment: client.close() if moment == "before" else done.set()
        client.sendall(head + b" " * 100)
        assert done.wait(5)
    requests.get(world.url, timeout=5).close()
    assert len(world.requests) == 2
    assert capfd.readouterr() == ("", "")


def test_trickle(partner: ClosrtechWorld) -> None:
    """Bytes come one at a time for as long as the client likes, which no time-out between bytes ends."""
    partner.misbehave(closrtech.TRICKLED)
    with requests.get(f"{partner.url}/demand.php", stream=True, timeout=5) as reply:
        trickle = reply.iter_content(1)
        assert [next(trickle) for _ in range(3)] == [b" "] * 3
        partner.release()
        assert set(trickle) <= {b" "}


def test_a_stalled_answer_is_released(meta: MetaWorld, graph: Graph) -> None:
    """The server stays silent past the client's time-out; meanwhile others are served."""
    meta.fail(faults.STALLED)
    with pytest.raises(requests.ReadTimeout):
        requests.get(graph.url(CAMPAIGN), timeout=(5, 0.02))
    assert graph.get(CAMPAIGN)[0] == 200
    meta.fail(faults.STALLED)
    meta.on_request = lambda _: meta.release()
    with pytest.raises(requests.ConnectionError):
        graph.get(CAMPAIGN)


def test_a_slow_answer(meta: MetaWorld, graph: Graph) -> None:
    """It comes whole, after its time and not before; a release lets it come at once."""
    meta.fail(None, after=0.05)
    reply = graph.raw("GET", CAMPAIGN)
    assert (reply.status_code, reply.json()) == (200, {"id": CAMPAIGN})
    assert reply.elapsed.total_seconds() >= 0.05
    meta.fail(None, after=60)
    meta.on_request = lambda _: meta.release()
    assert graph.get(CAMPAIGN)[0] == 200


def test_headers_that_never_end(meta: MetaWorld, graph: Graph) -> None:
    """Every byte comes before a time-out that counts the silence, and the answer never does."""
    meta.fail(faults.DRIPPED)
    host, _, port = meta.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"GET /v26.0/{CAMPAIGN} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        received = b""
        while received.count(b"-") < 3:
            received += connection.recv(64)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\n" not in received
    assert graph.get(CAMPAIGN)[0] == 200


def test_connections_refused_in_the_middle_of_a_request(meta: MetaWorld, graph: Graph) -> None:
    """A hook may take the server away under the client's hands."""
    meta.on_request = lambda _: meta.refuse_connections()
    with pytest.raises(requests.ConnectionError):
        graph.get(CAMPAIGN)
    meta.accept_connections()


def test_connections_are_kept_alive(meta: MetaWorld, graph: Graph) -> None:
    """One connection serves many requests, without waiting for delayed acknowledgements (40 ms each)."""
    assert min(graph.raw("GET", CAMPAIGN).elapsed.total_seconds() for _ in range(20)) < 0.04
    (pool,) = graph.session.adapters["http://"].poolmanager.pools._container.values()  # type: ignore[attr-defined]
    assert pool.num_connections == 1
    assert meta.round_trips == 20


def test_a_client_of_aws_that_vanishes(aws: AwsWorld, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in the middle of a call nor while it is served does it leave a trace."""
    address = ("127.0.0.1", urlsplit(aws.url).port)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(head + b"{")
    done = threading.Event()
    with socket.create_connection(address) as client:
        aws.on_exchange = lambda moment: client.close() if moment == "before" else done.set()
        client.sendall(head + b" " * 100)
        assert done.wait(5)
    put(aws, "a")
    assert [request.operation for request in aws.requests] == ["POST /", "PutItem"]
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_query_protocol(aws: AwsWorld) -> None:
    """Older services speak XML, and boto3 reads the injected code from it."""
    aws.fail("cloudformation", "any", "AccessDenied", 403)
    with pytest.raises(ClientError) as caught:
        aws.client("cloudformation").describe_stacks(StackName="closrads-prod")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
