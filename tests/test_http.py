"""Answers are read to their end, within a time and a size; no socket is needed to see that."""

from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from closrads import http
from closrads.http import AnswerTooLargeError, BoundedAdapter

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
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the present of the adapter, in seconds, which a test may change."""
    seconds = [100.0]
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[[BytesIO], requests.Response]:
    """Return a way to have a body read, as the adapter of a session would, in ten seconds and a hundred bytes."""

    def send(body: BytesIO) -> requests.Response:
        def answer(_: HTTPAdapter, request: requests.PreparedRequest, **options: object) -> requests.Response:
            assert options["stream"] is True
            response = requests.Response()
            response.raw = HTTPResponse(body, preload_content=False)
            response.request = request
            return response

        monkeypatch.setattr(HTTPAdapter, "send", answer)
        return BoundedAdapter(10, 100).send(requests.Request("GET", SECRET_URL).prepare())

    return send


@pytest.mark.parametrize("pieces", [[], [b""], [b"one"], [b"on", b"e ", b"body"], [b"x" * 100]])
def test_a_body_is_in_memory_when_it_is_returned(
    now: list[float], send: Callable[[BytesIO], requests.Response], pieces: list[bytes]
) -> None:
    """In however many pieces it comes; a hundred bytes are allowed."""
    assert now
    assert send(Trickle(pieces)).raw.read() == b"".join(pieces)


def test_a_body_that_trickles_is_given_up(now: list[float], send: Callable[[BytesIO], requests.Response]) -> None:
    """Each piece comes in time, and yet the whole would take for ever."""
    pieces = 0

    def wait() -> None:
        nonlocal pieces
        pieces += 1
        now[0] += 3

    with pytest.raises(requests.Timeout):
        send(Trickle([b"x"] * 50, wait))

    assert pieces == 4


def test_a_body_that_takes_all_of_the_time_is_taken(
    now: list[float], send: Callable[[BytesIO], requests.Response]
) -> None:
    """Ten seconds are allowed."""

    def wait() -> None:
        now[0] = 110

    assert send(Trickle([b"late"], wait)).raw.read() == b"late"


def test_a_body_that_is_too_large_is_given_up(now: list[float], send: Callable[[BytesIO], requests.Response]) -> None:
    """Not one piece more is read than shows it."""
    assert now
    pieces = 0

    def count() -> None:
        nonlocal pieces
        pieces += 1

    with pytest.raises(AnswerTooLargeError):
        send(Trickle([b"x" * 51] * 50, count))

    assert pieces == 2


def test_a_body_that_breaks_off_shows_no_address(
    now: list[float], send: Callable[[BytesIO], requests.Response]
) -> None:
    """urllib3's own text has the URL in it, and the URL has the token in it."""
    assert now

    def break_off() -> None:
        raise ProtocolError(SECRET_URL)

    with pytest.raises(requests.ConnectionError) as caught:
        send(Trickle([], break_off))

    assert str(caught.value) == "ProtocolError"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
