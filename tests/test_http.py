"""Bodies are read to their end, within a size and a time; with real servers: `tests/slow/http/test_limits.py`."""

from collections.abc import Callable
from io import BytesIO
from socket import socketpair

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from closrads.http import AnswerTooLargeError, BoundedAdapter, _Response

SECRET_URL = "https://example.test/?access_token=EAAFAKE"


class Trickle(BytesIO):
    """A body that comes in pieces, before each of which something happens."""

    def __init__(self, pieces: list[bytes], before_each: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._pieces = iter(pieces)
        self._before_each = before_each

    def read1(self, _: int | None = -1, /) -> bytes:
        """Return the next piece, none at the end."""
        self._before_each()
        return next(self._pieces, b"")

    read = read1


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[[BytesIO], requests.Response]:
    """Return a way to have a body read, as the adapter of a session would, and at most a hundred bytes."""

    def send(body: BytesIO) -> requests.Response:
        def answer(_: HTTPAdapter, request: requests.PreparedRequest, **options: object) -> requests.Response:
            assert options["stream"] is True
            response = requests.Response()
            response.raw = HTTPResponse(body, preload_content=False)
            response.request = request
            return response

        monkeypatch.setattr(HTTPAdapter, "send", answer)
        return BoundedAdapter(100).send(requests.Request("GET", SECRET_URL).prepare())

    return send


@pytest.mark.parametrize("pieces", [[], [b""], [b"one"], [b"on", b"e ", b"body"], [b"x" * 100]])
def test_a_body_is_in_memory_when_it_is_returned(
    send: Callable[[BytesIO], requests.Response], pieces: list[bytes]
) -> None:
    """In however many pieces it comes; a hundred bytes are allowed."""
    assert send(Trickle(pieces)).raw.read() == b"".join(pieces)


def test_a_body_that_is_too_large_is_given_up(send: Callable[[BytesIO], requests.Response]) -> None:
    """Not one piece more is read than shows it."""
    pieces = 0

    def count() -> None:
        nonlocal pieces
        pieces += 1

    with pytest.raises(AnswerTooLargeError):
        send(Trickle([b"x" * 51] * 50, count))

    assert pieces == 2


@pytest.mark.parametrize(
    ("failure", "raised", "text"),
    [
        pytest.param(ProtocolError, requests.ConnectionError, "ProtocolError", id="breaks off"),
        pytest.param(TimeoutError, requests.ReadTimeout, "", id="comes too late"),
    ],
)
def test_a_body_that_does_not_come_shows_no_address(
    send: Callable[[BytesIO], requests.Response],
    failure: type[Exception],
    raised: type[requests.RequestException],
    text: str,
) -> None:
    """urllib3's own exception has the URL in it, and the URL has the token in it."""

    def fail() -> None:
        raise failure(SECRET_URL)

    with pytest.raises(raised) as caught:
        send(Trickle([], fail))

    assert str(caught.value) == text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_comes_before_the_deadline_is_read_with_the_time_that_is_left() -> None:
    """Each read may take what the ones before it have left, so all of them together end at the deadline."""
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
        ours.settimeout(60)
        answer = _Response(ours)
        answer.begin()
        assert answer.status == requests.codes.ok
        assert answer.read() == b"body"
        left = ours.gettimeout()
        assert left is not None
        assert left < 60
        answer.close()


def test_what_comes_after_the_deadline_is_not_read() -> None:
    """Even if it has arrived: something always does while an answer trickles."""
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        ours.settimeout(0)
        answer = _Response(ours)
        with pytest.raises(TimeoutError):
            answer.begin()
        answer.close()
