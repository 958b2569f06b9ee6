"""Answers that never end, which no time-out between two bytes stops, and hosts that cannot be reached."""

import threading
import time
from io import StringIO

import pytest

from closrads import clock
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosradsError, ClosrtechError, MetaLostAnswerError
from closrads.meta import graph as graph_api
from closrads.redaction import Secret
from sandbox import closrtech
from sandbox.server import Delivery, Reply
from tests.meta.test_graph import PAUSE
from tests.test_closrtech_client import ask
from tests.world import World


def test_an_answer_that_trickles_does_not_hold_up_the_run(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps the time-out between bytes from ever coming; the whole answer has a limit too."""
    monkeypatch.setattr(graph_api, "TIMEOUT_SECONDS", (1, 0.2))
    monkeypatch.setattr(clock, "MIN_TIMEOUT_SECONDS", 0.2)
    world.meta.fail(Reply(delivery=Delivery.TRICKLED), on="POST adset")
    ended = threading.Event()

    def end() -> None:
        ended.wait(1.5)
        while not ended.wait(0.05):
            world.meta.release()

    guard = threading.Thread(target=end)
    guard.start()
    started = time.monotonic()

    try:
        with pytest.raises(MetaLostAnswerError):
            world.api().post(adset, PAUSE)
    finally:
        taken = time.monotonic() - started
        ended.set()
        guard.join()

    assert taken < 1


def test_an_endless_trickle_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no connection open for ever."""
    monkeypatch.setattr("closrads.closrtech_client.TIMEOUT_SECONDS", 0.05)
    world.sandbox.closrtech.misbehave(closrtech.TRICKLED)

    with pytest.raises(ClosrtechError, match="gave no answer"):
        ask(world)


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
