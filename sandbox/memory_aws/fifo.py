"""A queue that is first in, first out, and Lambda's event source mapping of it.

Sources: SQS Developer Guide, "FIFO queue delivery logic" and "Exactly-once processing"; Lambda Developer Guide, "Using
Lambda with Amazon SQS".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

DEDUPLICATED_SECONDS = 300
"""So long a queue drops messages whose deduplication id it has seen, also once the first is deleted."""
MOST_RECORDS = 10


@dataclass
class QueuedMessage:
    """A message, and from when on it may be received."""

    id: str
    body: str
    group: str
    sent: float
    visible: float
    receives: int = 0


class FifoQueue:
    """One queue. A group of which a message is being processed, or is put off, waits."""

    def __init__(
        self, now: Callable[[], float], *, delay: float, visibility: float, most_receives: int | None = None
    ) -> None:
        self._now = now
        self._delay = delay
        self._visibility = visibility
        self._most_receives = most_receives
        self._ids = count(1)
        self._seen: dict[str, tuple[float, str]] = {}
        self.messages: list[QueuedMessage] = []
        self.dead: list[QueuedMessage] = []
        """What was received too often without success: the dead-letter queue."""

    def send(self, entry: Mapping[str, str]) -> str:
        """Take a message unless its deduplication id is known; return its id, or that of the known one."""
        now, key = self._now(), entry["MessageDeduplicationId"]
        seen_at, known = self._seen.get(key, (float("-inf"), ""))
        if now - seen_at < DEDUPLICATED_SECONDS:
            return known
        message_id = f"message-{next(self._ids)}"
        self._seen[key] = now, message_id
        message = QueuedMessage(message_id, entry["MessageBody"], entry["MessageGroupId"], now, now + self._delay)
        self.messages.append(message)
        return message_id

    def put_off(self, receipt: str, seconds: float) -> None:
        """Have a received message become visible so many seconds from now."""
        for message in self.messages:
            if receipt == f"{message.id}-{message.receives}":
                message.visible = self._now() + seconds

    @property
    def next_at(self) -> float:
        """When the next message may be received; infinity if there is none."""
        heads = {message.group: message.visible for message in reversed(self.messages)}  # of each group, its first
        return min(heads.values(), default=float("inf"))

    def deliver(self, function: Callable[[dict[str, Any]], Any]) -> int:
        """Call the function with what is due, one batch of it; return how many messages that were.

        What it names in `batchItemFailures`, or everything if it raises, comes again after the visibility timeout.
        """
        batch = self._receive()
        if not batch:
            return 0
        event = {"Records": [_record(message) for message in batch]}
        failed = {message.id for message in batch}
        try:
            answer = function(event)
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        finally:
            done = {message.id for message in batch} - failed
            self.messages = [message for message in self.messages if message.id not in done]
        return len(batch)

    def _receive(self) -> list[QueuedMessage]:
        now = self._now()
        blocked: set[str] = set()
        batch: list[QueuedMessage] = []
        for message in tuple(self.messages):
            if message.visible > now or message.group in blocked or len(batch) == MOST_RECORDS:
                blocked.add(message.group)
            elif self._most_receives is not None and message.receives >= self._most_receives:
                self.messages.remove(message)
                self.dead.append(message)
            else:
                message.receives += 1
                message.visible = now + self._visibility
                batch.append(message)
        return batch


def _record(message: QueuedMessage) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": f"{message.id}-{message.receives}",
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(int(message.sent * 1000)),
            "MessageGroupId": message.group,
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:closrads-sandbox-pushes.fifo",
        "awsRegion": "us-east-1",
    }
