"""Access to one DynamoDB table: items as Python values, conditional writes, transactions."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.clock import Clock
from closrads.errors import LedgerError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MAX_TRANSACTION_OPERATIONS = 100
"""Developer Guide, "Quotas"."""
MAX_TRANSACTION_BYTES = 3_900_000
"""Maximum size of all items in a transaction; DynamoDB accepts 4 MB (Developer Guide, "Quotas")."""
TRANSACTION_ATTEMPTS = 5
_TRANSIENT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Cancellation reasons after which a later attempt may succeed (API Reference, "TransactWriteItems")."""

LAST_KEY = "\N{DEL}"
"""Sorts after every character of a key."""
_SHORT_OF_TIME_SECONDS = 20.0
"""With less time remaining, calls are not retried: all attempts of a call without a response take about 10 seconds."""
_NO_TABLE = (
    "its table does not exist in this Region. Check the Region and CLOSRADS_LEDGER_TABLE; if both are right, deploy "
    "the stack anew: README.md, “Go live”"
)
_RESERVED_WORDS = ("state", "until", "result")
"""Attribute names that an expression must write as `#name` (Developer Guide, "Reserved words")."""

_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize
_client_lock = Lock()
"""Creating clients with boto3 is not thread-safe."""

Item = dict[str, Any]
Operation = dict[str, Any]
"""One entry of `TransactItems`."""

_SHORT_TIMEOUTS = Config(connect_timeout=1, read_timeout=2, proxies={})
"""For the function, which runs in the table's Region and has little time."""
_LONG_TIMEOUTS = Config(connect_timeout=10, read_timeout=20, proxies={}, retries={"total_max_attempts": 3})
"""For a person's machine, whose connection may be slow."""
_config = _SHORT_TIMEOUTS


def use_long_timeouts() -> None:
    """Make this process wait longer for each response of DynamoDB, from now on."""
    global _config  # noqa: PLW0603 - for the clients of all threads
    _config = _LONG_TIMEOUTS
    _dynamodb.cache_clear()


@cache
def _dynamodb(*, short_of_time: bool = False) -> "DynamoDBClient":
    config = _config
    if short_of_time:
        config = config.merge(Config(read_timeout=1, retries={"total_max_attempts": 1}))
    client: DynamoDBClient = boto3.client("dynamodb", config=config)
    return client


def prepare() -> None:
    """Create the client ahead of its first use, including the data files that it loads lazily."""
    _dynamodb().get_paginator("query")


@dataclass(frozen=True, slots=True)
class AtomicWrite:
    """Operations that take effect together or not at all."""

    operations: Sequence[Operation]
    max_bytes: int
    """Upper bound of the size of the affected items."""
    refusal: str
    """Error message if one of the conditions does not hold."""


class Table:
    """A DynamoDB table, accessed within the deadline of one invocation.

    Every method raises a `LedgerError` if DynamoDB fails.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self.clock = clock
        self.writer = uuid.uuid4().hex
        """Identifies the writes of this invocation."""
        if name:
            self._pages = _dynamodb().get_paginator("query")  # loads a data file, which is not thread-safe

    def put(self, item: Item) -> None:
        """Write an item, replacing any existing one."""
        with _ledger_errors("written"):
            self._client.put_item(TableName=self._name, Item=_serialized(item))

    def put_if(self, item: Item, condition: str, values: Item) -> Item | None:
        """Write an item if the condition holds; return None if it was written, else the existing item."""
        return self._write_if("put_item", condition, values, Item=_serialized(item))

    def update(self, key: Item, expression: str, values: Item) -> Item:
        """Update an item and return its old attributes; empty if it did not exist."""
        with _ledger_errors("written"):
            answer = self._client.update_item(
                TableName=self._name,
                Key=_serialized(key),
                UpdateExpression=expression,
                ExpressionAttributeValues=_serialized(values),
                ReturnValues="ALL_OLD",
            )
        return _deserialized(answer.get("Attributes", {}))

    def update_if(self, key: Item, expression: str, condition: str, values: Item) -> Item | None:
        """Update an item if the condition holds; return None if it was updated, else the existing item."""
        return self._write_if("update_item", condition, values, Key=_serialized(key), UpdateExpression=expression)

    def delete_if(self, key: Item, condition: str, values: Item) -> Item | None:
        """Delete an item if the condition holds; return None if it was deleted, else the existing item."""
        return self._write_if("delete_item", condition, values, Key=_serialized(key))

    def get(self, key: Item) -> Item | None:
        """Read an item with strong consistency; return None if it does not exist."""
        with _ledger_errors("read"):
            answer = self._client.get_item(TableName=self._name, Key=_serialized(key), ConsistentRead=True)
        return _deserialized(answer["Item"]) if "Item" in answer else None

    def query(self, pk: str, prefix: str = "", *, since: str = "", until: str = "", index: str = "") -> list[Item]:
        """Read a partition's items with strong consistency, in the order of their sort keys.

        With `prefix`, only those whose sort key starts with it, and whose remaining key is from `since` to `until`.
        """
        condition, values = "pk = :pk", {":pk": pk}
        if prefix:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": prefix + since, ":last": prefix + until + LAST_KEY}
        return list(self._items(condition, values, {"ConsistentRead": True} | ({"IndexName": index} if index else {})))

    def newest(self, pk: str, first: str, last: str) -> Iterator[Item]:
        """Yield a partition's items with sort keys from `first` to `last` in descending order, read page by page.

        The reads are strongly consistent.
        """
        condition, values = "pk = :pk AND sk BETWEEN :first AND :last", {":pk": pk, ":first": first, ":last": last}
        return self._items(condition, values, {"ScanIndexForward": False, "ConsistentRead": True})

    def put_operation(self, item: Item, condition: str = "", values: Item | None = None) -> Operation:
        """Return a put of an item as an operation of a transaction."""
        return {"Put": self._operation(condition, "", values, Item=_serialized(item))}

    def update_operation(self, key: Item, expression: str, condition: str, values: Item) -> Operation:
        """Return an update of an item as an operation of a transaction."""
        what = {"Key": _serialized(key), "UpdateExpression": expression}
        return {"Update": self._operation(condition, expression, values, **what)}

    def delete_operation(self, key: Item) -> Operation:
        """Return a deletion of an item as an operation of a transaction."""
        return {"Delete": self._operation("", "", None, Key=_serialized(key))}

    def apply(self, writes: Sequence[AtomicWrite]) -> list[LedgerError | None]:
        """Apply each write, in as few transactions as possible; return the error of each, None if it was applied."""
        errors: list[LedgerError | None] = []
        for batch in _transactions(writes):
            try:
                refused = self.write_allowed([write.operations for write in batch])
            except LedgerError as error:
                errors += [error] * len(batch)
            else:
                errors += [LedgerError(write.refusal) if i in refused else None for i, write in enumerate(batch)]
        return errors

    def write_allowed(self, groups: Sequence[Sequence[Operation]]) -> dict[int, Item]:
        """Write the groups of operations whose conditions hold; return the existing items of the others, by index.

        All groups together must fit into one transaction.
        """
        refused: dict[int, Item] = {}
        while allowed := [index for index in range(len(groups)) if index not in refused]:
            owners = [index for index in allowed for _ in groups[index]]
            reasons = self._transact([operation for index in allowed for operation in groups[index]])
            refusals = {
                owner: _deserialized(reason.get("Item", {}))
                for owner, reason in zip(owners, reasons, strict=False)
                if reason["Code"] == "ConditionalCheckFailed"
            }
            if not refusals:
                break
            refused |= refusals
        return refused

    @property
    def _client(self) -> "DynamoDBClient":
        with _client_lock:
            return _dynamodb(short_of_time=True) if self._is_short_of_time else _dynamodb()

    @property
    def _is_short_of_time(self) -> bool:
        """Whether retries of a call could use up the time reserved for the report."""
        return self.clock.remaining() < _SHORT_OF_TIME_SECONDS

    def _items(self, condition: str, values: Item, more: Mapping[str, Any]) -> Iterator[Item]:
        query: Any = {
            "TableName": self._name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": _serialized(values),
            **more,
        }
        with _ledger_errors("read"):
            for page in self._pages.paginate(**query):
                yield from map(_deserialized, page["Items"])

    def _write_if(self, method: str, condition: str, values: Item, **what: Any) -> Item | None:
        client = self._client
        with _ledger_errors("written"):
            try:
                getattr(client, method)(**self._operation(condition, what.get("UpdateExpression", ""), values, **what))
            except client.exceptions.ConditionalCheckFailedException as refusal:
                answer: Any = refusal.response
                return _deserialized(answer.get("Item", {}))
        return None

    def _operation(self, condition: str, expression: str, values: Item | None, **what: Any) -> Operation:
        names = {f"#{name}": name for name in _RESERVED_WORDS if f"#{name}" in condition + expression}
        return {
            "TableName": self._name,
            **({"ConditionExpression": condition} if condition else {}),
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if condition else {}),
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": _serialized(values)} if values else {}),
            **what,
        }

    def _transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Apply all operations or none; return the cancellation reason of each, empty if they were applied."""
        attempt = 0
        while True:
            attempt += 1
            client = self._client
            with _ledger_errors("written"):
                try:
                    client.transact_write_items(TransactItems=operations)  # type: ignore[arg-type] # built by `_operation`
                except client.exceptions.TransactionCanceledException as refusal:
                    reasons: list[Any] = refusal.response["CancellationReasons"]
                    codes = {reason["Code"] for reason in reasons} - {"None"}
                    if "ConditionalCheckFailed" in codes:
                        return reasons
                    if not codes <= _TRANSIENT_REASONS or attempt == TRANSACTION_ATTEMPTS:
                        raise
                else:
                    return []
            self.clock.sleep(0.1 * attempt)


def _transactions(writes: Iterable[AtomicWrite]) -> Iterator[Sequence[AtomicWrite]]:
    """Yield the writes in batches that each fit into one transaction."""
    batch: list[AtomicWrite] = []
    count = size = 0
    for write in writes:
        count, size = count + len(write.operations), size + write.max_bytes
        if batch and (count > MAX_TRANSACTION_OPERATIONS or size > MAX_TRANSACTION_BYTES):
            yield batch
            batch, count, size = [], len(write.operations), write.max_bytes
        batch.append(write)
    if batch:
        yield batch


@contextmanager
def _ledger_errors(verb: str) -> Iterator[None]:
    """Translate boto3's exceptions into a `LedgerError`."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        is_gone = isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException"
        raise LedgerError(f"The ledger cannot be {verb}: {_NO_TABLE if is_gone else error}") from None


def _serialized(item: Mapping[str, Any]) -> Any:
    return {name: _serialize(value) for name, value in item.items()}


def _deserialized(item: Mapping[str, Any]) -> Item:
    values = {name: _deserialize(value) for name, value in item.items()}
    return {
        name: bytes(value) if isinstance(value, Binary) else value  # type: ignore[call-overload] # its stub lacks that
        for name, value in values.items()
    }
