"""The queue that is first in, first out, as SQS and Lambda document it."""

from typing import Any

import pytest

from sandbox.memory_aws.fifo import DEDUPLICATED_SECONDS, FifoQueue
from tests.sandbox.conftest import Clock


@pytest.fixture
def queue(clock: Clock) -> FifoQueue:
    """Return a queue with a delay, which gives a message up after two attempts."""
    return FifoQueue(clock, delay=10, visibility=100, most_receives=2)


def send(queue: FifoQueue, key: str, group: str = "a") -> str:
    """Put a message into the queue."""
    return queue.send({"MessageBody": key, "MessageGroupId": group, "MessageDeduplicationId": key})


class Function:
    """Remembers what it was called with, and fails what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.receipts: dict[str, str] = {}
        self.fails: set[str] = set()

    def __call__(self, event: Any) -> Any:
        """Take a batch."""
        bodies = {record["messageId"]: record["body"] for record in event["Records"]}
        self.receipts |= {record["body"]: record["receiptHandle"] for record in event["Records"]}
        self.bodies += bodies.values()
        failed = [message_id for message_id, body in bodies.items() if body in self.fails]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def test_each_message_waits_for_the_delay(queue: FifoQueue, clock: Clock) -> None:
    """Then it comes, in its order."""
    function = Function()
    send(queue, "first")
    send(queue, "second")
    assert queue.deliver(function) == 0
    clock.advance(10)

    assert queue.deliver(function) == 2
    assert function.bodies == ["first", "second"]
    assert queue.messages == []


def test_what_it_has_seen_is_dropped_for_five_minutes(queue: FifoQueue, clock: Clock) -> None:
    """Also once the first is delivered and deleted; the sender cannot tell."""
    first = send(queue, "same")
    clock.advance(10)
    queue.deliver(Function())

    assert send(queue, "same") == first
    assert queue.messages == []
    clock.advance(DEDUPLICATED_SECONDS)
    assert send(queue, "same") != first


def test_a_group_waits_for_its_first(queue: FifoQueue, clock: Clock) -> None:
    """What failed comes after the visibility timeout or when it is put off to, and holds its group up, not others."""
    function = Function()
    function.fails = {"first"}
    send(queue, "first")
    clock.advance(10)
    queue.deliver(function)
    send(queue, "second")
    send(queue, "other", "b")
    clock.advance(10)
    assert queue.deliver(function) == 1
    assert function.bodies == ["first", "other"]

    queue.put_off(function.receipts["first"], 5)
    assert queue.next_at == clock() + 5
    clock.advance(5)
    function.fails = set()
    assert queue.deliver(function) == 2
    assert function.bodies[-2:] == ["first", "second"]


def test_what_fails_too_often_is_put_aside(queue: FifoQueue, clock: Clock) -> None:
    """An exception fails the whole batch."""

    def broken(_: Any) -> None:
        raise RuntimeError

    send(queue, "first")
    clock.advance(10)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            queue.deliver(broken)
        clock.advance(100)

    assert queue.deliver(broken) == 0
    assert [message.body for message in queue.dead] == ["first"]
    assert queue.next_at == float("inf")


def test_a_batch_has_ten_messages(queue: FifoQueue, clock: Clock) -> None:
    """At most, and of several groups."""
    for number in range(12):
        send(queue, str(number), str(number % 3))
    clock.advance(10)

    assert queue.deliver(Function()) == 10
    assert queue.deliver(Function()) == 2
