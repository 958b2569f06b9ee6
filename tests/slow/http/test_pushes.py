"""Meta's pushes over real sockets: a server, an SQS with its own clock, and the two functions."""

from collections.abc import Iterator
from typing import Any

import pytest

import handler
from closrads import config, notifier, push_queue, webhook
from closrads.ledger import dynamodb
from sandbox import Sandbox
from sandbox.aws import PUSH_QUEUE, PUSH_QUEUE_PROPERTIES
from sandbox.event_source import EventSource
from sandbox.function_url import FunctionUrl, deliver_to
from sandbox.meta import Breakage, webhooks
from sandbox.meta.webhooks import Webhooks
from sandbox.server import HttpRequest, Server
from tests.world import FakeTime

SECRET = "fake-app-secret-0123456789"
LATE = 1200.0


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """Return the sandbox with fresh clients, and with what the receiver needs."""
    for client in (config._parameter_store, dynamodb._dynamodb, notifier._ses, push_queue._sqs, webhook._ssm):
        client.cache_clear()
    webhook._cached = None
    sandbox.load("change day")
    sandbox.aws.put_parameters({"meta/app_secret": SECRET, "meta/webhook_verify_token": "fake-verify-token"})
    return sandbox


@pytest.fixture
def url(sandbox: Sandbox, fake_time: FakeTime) -> Iterator[str]:
    """Serve the receiver."""
    assert sandbox.meta.requests == []
    server = Server(FunctionUrl(lambda event: webhook.handle(event, fake_time.clock.now())))
    server.start()
    yield server.url
    server.stop()


def test_a_notice_goes_all_the_way(sandbox: Sandbox, url: str, fake_time: FakeTime) -> None:
    """An ad that broke twenty minutes after its update is put back within seconds of Meta's notice."""
    adset = next(each for each in sandbox.meta.adsets.values() if each.name == "First Home - Renters")
    adset.ads[2].breakage = Breakage.late(LATE)
    before = sandbox.meta.states(adset.id)
    queue = EventSource(sandbox.aws.client("sqs"), PUSH_QUEUE, {**PUSH_QUEUE_PROPERTIES, "DelaySeconds": 1})
    handler.handle({"dry_run": False}, fake_time.clock)
    assert sandbox.meta.states(adset.id) != before
    pushes = Webhooks(sandbox.meta, deliver_to(url), SECRET)
    pushes.subscribe("act_222")
    fake_time.pass_by(LATE)
    fake_time.deadline = fake_time.seconds() + 900
    results: list[Any] = []

    def recheck(event: Any) -> Any:
        results.append(handler.handle(event, fake_time.clock))
        return results[-1]

    assert pushes.run() == 1
    assert queue.poll(recheck, 30) == 1

    assert results == [{"batchItemFailures": []}]
    assert sandbox.meta.states(adset.id) == before
    assert queue.poll(lambda _: pytest.fail("it is done with"), 2) == 0


def test_hostile_requests_over_http(sandbox: Sandbox, url: str, fake_time: FakeTime) -> None:
    """Wrong signatures, large bodies and visitors, as they really arrive; and a receiver that is not there."""
    deliver = deliver_to(url)
    push = webhooks.notification({"111": []}, fake_time.seconds())
    queue = EventSource(sandbox.aws.client("sqs"), PUSH_QUEUE, PUSH_QUEUE_PROPERTIES)

    assert deliver(webhooks.signed(push, SECRET)) == 200
    assert deliver(webhooks.verification("fake-verify-token", "1")) == 200
    assert deliver(webhooks.verification("another", "1")) == 403
    assert deliver(webhooks.signed(push, "another")) == 403
    assert deliver(HttpRequest("POST", "/", {}, {}, push)) == 403
    assert deliver(HttpRequest("GET", "/", {}, {}, b"")) == 403
    assert deliver(webhooks.signed(b"x" * 5_000_000, SECRET)) == 403
    assert deliver(webhooks.signed(b"x" * 10_000_000, SECRET)) == 413
    assert queue.poll(lambda _: pytest.fail("nothing was asked for"), 1) == 0
    with pytest.raises(ConnectionError):
        deliver_to("http://127.0.0.1:1")(webhooks.signed(push, SECRET))
