"""The clients, and the scripting of their calls."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.aws import (
    DROPPED,
    LEDGER_TABLE,
    PUSH_QUEUE,
    PUSH_QUEUE_PROPERTIES,
    REGION,
    SILENT,
    AwsRequest,
    AwsWorld,
)
from sandbox.memory_aws.cloudformation import CloudFormation
from sandbox.memory_aws.deployed import CloudWatch, Lambda, Scheduler, Sns, Sqs
from sandbox.memory_aws.dynamodb import DynamoDb
from sandbox.memory_aws.errors import AwsError, ClientExceptions
from sandbox.memory_aws.fifo import FifoQueue
from sandbox.memory_aws.logs import Logs
from sandbox.memory_aws.ses import Ses
from sandbox.memory_aws.ssm import Ssm

Answer = dict[str, Any]
Hook = Callable[[str, str], None]

_RETRIED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_RETRIED_STATUSES = frozenset({500, 502, 503, 504})
_TOKENS: Mapping[str, tuple[str, str]] = {
    "query": ("LastEvaluatedKey", "ExclusiveStartKey"),
    "get_parameters_by_path": ("NextToken", "NextToken"),
    "describe_parameters": ("NextToken", "NextToken"),
}
"""For paginated operations, the fields of the next page's token in the response and in the request."""


class MemoryAws(AwsWorld):
    """AWS in memory.

    Attributes
    ----------
    now
        Returns the time in seconds.
    before, after
        Called with service and operation around each attempt of a call, without `lock` held: they may wait, and change
        anything. A `ConnectionError` that they raise loses the call or its response; any other exception propagates to
        the caller.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.now = now
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.reset()

    def start(self) -> None:
        """Do nothing: it is always available."""

    def stop(self) -> None:
        """Do nothing: there are no resources to release."""

    @property
    def url(self) -> str:
        """An address at which nothing listens."""
        return "http://aws.example.test"

    def client(self, name: str, *, config: Config | None = None, **_: Any) -> "MemoryClient":
        """Return a boto3-compatible client.

        It makes as many attempts as its configuration or the variable `AWS_MAX_ATTEMPTS` says, by default one, without
        waits in between.
        """
        retries = getattr(config, "retries", None) or {}
        attempts = retries.get("total_max_attempts") or int(os.environ.get("AWS_MAX_ATTEMPTS", "1"))
        return MemoryClient(self, name, attempts)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make `boto3.client` return clients of this AWS, within the `with` body."""
        with patch.object(boto3, "client", self.client):
            yield

    def service(self, name: str) -> Any:
        """Return the state of a service, whose methods are its operations."""
        return self._services[name]

    def _empty(self) -> None:
        deployed = {
            "cloudwatch": CloudWatch(), "lambda": Lambda(), "logs": Logs(), "scheduler": Scheduler(), "sns": Sns(),
            "sqs": Sqs(self.now),
        }  # fmt: skip
        self._services = {
            **deployed,
            "cloudformation": CloudFormation(deployed),
            "dynamodb": DynamoDb(),
            "ssm": Ssm(lambda: self.now()),  # noqa: PLW0108 - `now` may be replaced
            "sesv2": Ses(lambda: self.ses, self.mails),
        }
        self.before = self.after = _nothing
        self.service("sqs").make(PUSH_QUEUE, PUSH_QUEUE_PROPERTIES)
        keys = {"pk": "HASH", "sk": "RANGE"}
        open_keys = {"pk": "HASH", "open_since": "RANGE"}
        dynamodb: DynamoDb = self.service("dynamodb")
        dynamodb.create_table(
            TableName=LEDGER_TABLE,
            KeySchema=_key_schema(keys),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys | open_keys],
            LocalSecondaryIndexes=[
                {
                    "IndexName": "open",
                    "KeySchema": _key_schema(open_keys),
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        backup = {"PointInTimeRecoveryEnabled": True}
        dynamodb.update_continuous_backups(TableName=LEDGER_TABLE, PointInTimeRecoverySpecification=backup)

    @property
    def push_queue(self) -> FifoQueue:
        """The queue of Meta's pushes."""
        queue: FifoQueue = self.service("sqs").fifo[self.push_queue_url]
        return queue

    def copied(self) -> Any:
        """Return all of DynamoDB, which `restore` takes; it is to be pickled, for it is no copy by itself."""
        return self._services["dynamodb"]

    def restore(self, dynamodb: Any) -> None:
        """Let DynamoDB hold what was copied, and nothing else."""
        self._services["dynamodb"] = dynamodb

    def _put_parameter(self, name: str, value: str, kind: str) -> None:
        with self.lock:
            self.service("ssm").put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)

    def _delete_parameter(self, name: str) -> None:
        with self.lock:
            self.service("ssm").delete_parameters(Names=[name])

    def _ledger_items(self) -> list[dict[str, Any]]:
        return list(self.service("dynamodb").items_of(LEDGER_TABLE))

    def exchange(self, request: AwsRequest, perform: Callable[[], Answer]) -> Answer:
        """Handle one attempt of a call.

        Raises
        ------
        AwsError
            The service or a scripted fault refuses the call.
        ConnectionError
            The call or its response is lost.
        """
        tell = self.on_exchange or _nobody
        tell("before")
        self.before(request.service, request.operation)
        fault = self.fault_for(request)
        answer: Answer = {}
        refusal: AwsError | None = None
        if fault is None or fault.applied:
            with self.lock:
                try:
                    answer = perform()
                except AwsError as error:
                    refusal = error
        tell("after")
        self.after(request.service, request.operation)
        if fault is not None:
            if fault.code in {DROPPED, SILENT}:
                raise ConnectionAbortedError(fault.code)
            raise AwsError(fault.code, "injected by the sandbox", fault.status, **fault.members)
        if refusal is not None:
            raise refusal
        return answer


class MemoryClient:
    """A boto3-compatible client for one service of a `MemoryAws`."""

    def __init__(self, aws: MemoryAws, service: str, attempts: int) -> None:
        self._aws = aws
        self._service = service
        self._attempts = attempts
        self.exceptions = _exceptions(service)
        self.meta = SimpleNamespace(region_name=REGION, endpoint_url=aws.url)

    def __getattr__(self, name: str) -> Callable[..., Answer]:
        """Return an operation."""
        if name.startswith("_") or not hasattr(self._aws.service(self._service), name):
            raise AttributeError(name)
        operation = partial(self._call, name, "".join(word.capitalize() for word in name.split("_")))
        setattr(self, name, operation)
        return operation

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def get_paginator(self, name: str) -> SimpleNamespace:
        """Return a paginator."""
        return SimpleNamespace(paginate=partial(self._pages, name, *_TOKENS[name]))

    def _pages(self, name: str, next_page: str, asked_by: str, **call: Any) -> Iterator[Answer]:
        ask = getattr(self, name)
        answer = ask(**call)
        yield answer
        while next_page in answer:
            answer = ask(**call, **{asked_by: answer[next_page]})
            yield answer

    def _call(self, name: str, operation: str, **call: Any) -> Answer:
        if operation == "Query" and self._aws.query_limit is not None:
            call["Limit"] = self._aws.query_limit
        perform = partial(getattr(self._aws.service(self._service), name), **call)
        if operation == "TransactWriteItems":
            perform = partial(_once, perform, [])
        attempt = 1
        while True:
            try:
                answer = self._aws.exchange(AwsRequest(self._service, operation, call), perform)
            except AwsError as error:
                if attempt == self._attempts or not _is_retried(error):
                    raise self._raised(error, operation, attempt) from None
            except ConnectionError as error:
                if attempt == self._attempts:
                    raise ConnectionClosedError(endpoint_url=self._aws.url, error=error) from None
            else:
                return answer | {"ResponseMetadata": _metadata(200, attempt)}
            attempt += 1

    def _raised(self, error: AwsError, operation: str, attempt: int) -> ClientError:
        response: Any = {
            "Error": {"Code": error.code, "Message": error.message},
            "ResponseMetadata": _metadata(error.status, attempt),
            "message": error.message,
            **error.members,
        }
        return self.exceptions.from_code(error.code)(response, operation)


_exceptions = cache(ClientExceptions)


def _once(perform: Callable[[], Answer], answers: list[Answer]) -> Answer:
    """Perform a transaction unless an earlier attempt at it has succeeded, however late that arrives.

    boto3 sends one `ClientRequestToken` with all attempts at a call, and for ten minutes DynamoDB applies such a
    transaction once (API reference "TransactWriteItems").
    """
    if not answers:
        answers.append(perform())
    return answers[0]


def _metadata(status: int, attempt: int) -> dict[str, Any]:
    return {"RequestId": "memory", "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": attempt - 1}


def _is_retried(error: AwsError) -> bool:
    return error.status in _RETRIED_STATUSES or error.code in _RETRIED_CODES


def _key_schema(keys: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]


def _nobody(_: str) -> None:
    """Ignore the call."""


def _nothing(_service: str, _operation: str) -> None:
    """Do nothing."""
