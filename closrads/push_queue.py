"""The queue between the receiver of Meta's pushes and the function that rechecks: an SQS FIFO queue."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.config import push_queue_url
from closrads.domain.pushes import Message, body_of, deduplication_id
from closrads.errors import QueueError

MAX_BATCH = 10
"""SQS API reference, "SendMessageBatch"."""


def prepare() -> None:
    """Create the client ahead of its first use."""
    _sqs()


@cache
def _sqs() -> Any:
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}, proxies={})
    return boto3.client("sqs", config=config)


def send(accounts: Collection[str], now: datetime) -> None:
    """Send one message for each ad account; the queue drops repetitions within the same window.

    Raises
    ------
    QueueError
        Not all messages are in the queue.
    """
    for batch in _batches(sorted(accounts)):
        entries = [
            {
                "Id": str(number),
                "MessageBody": body_of(account),
                "MessageGroupId": account,
                "MessageDeduplicationId": deduplication_id(account, now),
            }
            for number, account in enumerate(batch)
        ]
        try:
            answer = _sqs().send_message_batch(QueueUrl=push_queue_url(), Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise QueueError(f"The queue of pushes cannot be reached: {error}") from None
        if answer.get("Failed"):
            raise QueueError(f"The queue of pushes refuses: {answer['Failed'][0].get('Code')}")


def delay(message: Message, seconds: int) -> None:
    """Have a message delivered again after `seconds` instead of the queue's visibility timeout.

    Raises
    ------
    QueueError
        It will be delivered again after that timeout.
    """
    try:
        _sqs().change_message_visibility(
            QueueUrl=push_queue_url(), ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )
    except (BotoCoreError, ClientError) as error:
        raise QueueError(f"A message of the queue of pushes cannot be put off: {error}") from None


def _batches(items: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, MAX_BATCH)):
        yield batch
