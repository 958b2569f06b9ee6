"""Lambda's event source mapping of a queue that is first in, first out, at any endpoint of SQS.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS". What fails comes again after the visibility timeout.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

MOST_RECORDS = 10


class EventSource:
    """Takes messages from a queue, which it creates, and calls a function with them."""

    def __init__(self, sqs: Any, name: str, properties: Mapping[str, Any]) -> None:
        attributes = {each: str(value).lower() for each, value in properties.items() if each != "RedrivePolicy"}
        self._sqs = sqs
        self._url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def poll(self, function: Callable[[dict[str, Any]], Any], seconds: float) -> int:
        """Wait so long at most for messages, call the function with the first, and return how many they were."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=MOST_RECORDS, WaitTimeSeconds=1
            ).get("Messages", [])
            if found:
                self._call(function, found)
                return len(found)
        return 0

    def _call(self, function: Callable[[dict[str, Any]], Any], found: list[dict[str, str]]) -> None:
        records = [
            {
                "messageId": each["MessageId"],
                "receiptHandle": each["ReceiptHandle"],
                "body": each["Body"],
                "eventSource": "aws:sqs",
            }
            for each in found
        ]
        answer = json.loads(json.dumps(function({"Records": records})))
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for each in found:
            if each["MessageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=each["ReceiptHandle"])
