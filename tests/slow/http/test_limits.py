"""Answers that never end, and hosts that cannot be reached."""

import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
import requests

from closrads import clock
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosradsError, ClosrtechError, MetaLostAnswerError
from closrads.http import BoundedAdapter
from closrads.meta import graph as graph_api
from closrads.redaction import Secret
from sandbox import closrtech
from sandbox.server import Delivery, Reply
from tests.meta.test_graph import PAUSE
from tests.slow.http.tls import served_by_tls
from tests.test_closrtech_client import ask
from tests.world import World

SLOW = pytest.mark.parametrize("delivery", [Delivery.TRICKLED, Delivery.DRIPPED], ids=["body", "headers"])
"""A byte every few milliseconds, for ever: no timeout between two bytes ever comes."""


@pytest.fixture
def ended_after(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Callable[[], float]]:
    """Let 0.2 s suffice for an answer; return a way to tell the seconds since. After 2 s the servers give up."""
    monkeypatch.setattr(graph_api, "TIMEOUT_SECONDS", (1, 0.2))
    monkeypatch.setattr("closrads.closrtech_client.TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(clock, "MIN_TIMEOUT_SECONDS", 0.2)
    ended = threading.Event()

    def end() -> None:
        ended.wait(2)
        while not ended.wait(0.05):
            world.meta.release()
            world.sandbox.closrtech.release()

    guard = threading.Thread(target=end)
    guard.start()
    started = time.monotonic()
    yield lambda: time.monotonic() - started
    ended.set()
    guard.join()


@SLOW
def test_metas_answer_has_one_deadline(
    world: World, adset: str, ended_after: Callable[[], float], delivery: Delivery
) -> None:
    """It applies to the whole answer, headers included."""
    world.meta.fail(Reply(delivery=delivery), on="POST adset", times=1)

    with pytest.raises(MetaLostAnswerError, match="ReadTimeout"):
        world.api().post(adset, PAUSE)

    assert ended_after() < 1.5
    assert world.api().get(adset, {"fields": "id"})["id"] == adset


@SLOW
def test_closrtechs_answer_has_one_deadline(world: World, ended_after: Callable[[], float], delivery: Delivery) -> None:
    """Each of the three attempts is cut off."""
    world.sandbox.closrtech.misbehave(Reply(delivery=delivery))

    with pytest.raises(ClosrtechError, match="ReadTimeout"):
        ask(world)

    assert ended_after() < 1.5


@SLOW
def test_an_encrypted_answer_has_one_deadline(tmp_path: Path, delivery: Delivery) -> None:
    """TLS has a read of its own."""
    with (
        served_by_tls(lambda _: Reply(delivery=delivery), tmp_path) as (url, certificate),
        requests.Session() as session,
    ):
        session.mount("https://", BoundedAdapter(1_000))
        started = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.get(url, timeout=0.2, verify=str(certificate))
    assert time.monotonic() - started < 1.5


def test_a_connection_is_used_again(world: World, adset: str) -> None:
    """What is left of one answer's time does not limit the next."""
    api = world.api()
    for _ in range(3):
        api.get(adset, {"fields": "id"})
    (pool,) = api._session.requests.adapters["http://"].poolmanager.pools._container.values()
    assert (pool.num_connections, pool.num_requests) == (1, 3)


@pytest.mark.parametrize("trouble", ["refused", "dropped", "unresolved"])
def test_no_exception_shows_the_password(world: World, trouble: str, log: StringIO) -> None:
    """Neither the error, nor what it was raised from, nor the log shows the login."""
    login = ClosrtechLogin(world.login.base_url, Secret("who+@example.test"), Secret("FAKE p&ss/word"))
    if trouble == "refused":
        login = ClosrtechLogin("http://127.0.0.1:1", login.email, login.password)
    elif trouble == "unresolved":
        login = ClosrtechLogin("https://feed.example.test", login.email, login.password)
    else:
        world.sandbox.closrtech.misbehave(closrtech.DROPPED)

    with pytest.raises(ClosradsError) as caught:
        ask(world, login)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    shown = str(caught.value) + log.getvalue()
    assert not any(secret in shown for secret in ("FAKE p&ss/word", "FAKE+p%26ss", "who+@example", "who%2B%40"))
