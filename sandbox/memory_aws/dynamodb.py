"""DynamoDB in memory: tables with a partition key, a sort key and local secondary indexes, all keys being strings.

Reads are strongly consistent, and writes never conflict; time to live is an ordinary attribute. The limits are those of
the Developer Guide ("Quotas").
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sandbox.memory_aws.errors import AwsError
from sandbox.memory_aws.expressions import (
    Bindings,
    Expression,
    Item,
    KeyCondition,
    Value,
    check_bindings,
    condition_of,
    invalid,
    key_condition_of,
    update_of,
)

LARGEST_ITEM = 400 * 1024
LARGEST_PAGE = 1024 * 1024
LARGEST_TRANSACTION = 100
LARGEST_TRANSACTION_BYTES = 4 * 1024 * 1024
LONGEST_PARTITION_KEY = 2048
LONGEST_SORT_KEY = 1024

Key = tuple[str, str]
_Place = tuple[str, str]
"""Position of an item in an index: the index's sort key, then the table's."""


@dataclass(frozen=True, slots=True)
class _Write:
    """The effect of a write on an item; an `after` of None deletes it."""

    table: "_Table"
    key: Key
    before: Item | None
    after: Item | None
    size: int = 0
    """Of the item after it."""
    touched: frozenset[str] = frozenset()
    """Names of the attributes that an update sets or removes."""


@dataclass
class _Index:
    """One order of a table's items: that of the table itself or of a local index."""

    sort_key: str
    keys_only: bool = False
    partitions: dict[str, list[_Place]] = field(default_factory=dict)

    def add(self, key: Key, item: Item) -> None:
        if self.sort_key in item:
            insort(self.partitions.setdefault(key[0], []), (item[self.sort_key]["S"], key[1]))

    def remove(self, key: Key, item: Item) -> None:
        if self.sort_key in item:
            places = self.partitions[key[0]]
            del places[bisect_left(places, (item[self.sort_key]["S"], key[1]))]


class _Table:
    """A table and its items."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.description = description
        self.partition_key, self.sort_key = _key_names(description["KeySchema"])
        self.items: dict[Key, Item] = {}
        self.sizes: dict[Key, int] = {}
        self.order = _Index(self.sort_key)
        self.indexes = {
            index["IndexName"]: _Index(
                _key_names(index["KeySchema"])[1], index["Projection"]["ProjectionType"] == "KEYS_ONLY"
            )
            for index in description.get("LocalSecondaryIndexes", ())
        }
        self.is_backed_up = False

    @property
    def key_names(self) -> tuple[str, str]:
        return self.partition_key, self.sort_key

    def key_of(self, item: Item) -> Key:
        """Return an item's key; refuse an invalid one."""
        partition, sort = (self._key_value(name, item) for name in self.key_names)
        if len(partition.encode()) > LONGEST_PARTITION_KEY:
            invalid("One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit")
        if len(sort.encode()) > LONGEST_SORT_KEY:
            invalid("One or more parameter values were invalid: Size of rangekey has exceeded the maximum size limit")
        return partition, sort

    def exact_key(self, key: Item) -> Key:
        """Return a key that is given without an item; refuse an invalid one."""
        if key.keys() != set(self.key_names):
            invalid("The provided key element does not match the schema")
        return self.key_of(key)

    def _key_value(self, name: str, item: Item) -> str:
        value = item.get(name)
        if value is None:
            invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
        if "S" not in value:
            invalid(f"One or more parameter values were invalid: Type mismatch for key {name} expected: S")
        if not value["S"]:
            invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        return str(value["S"])

    def checked_size(self, item: Item) -> int:
        """Return an item's size; refuse what cannot stand in this table."""
        for index in self.indexes.values():
            if index.sort_key in item:
                self._key_value(index.sort_key, item)
        size = size_of(item)
        if size > LARGEST_ITEM:
            invalid("Item size has exceeded the maximum allowed size")
        return size

    def apply(self, write: _Write) -> None:
        """Apply a validated write."""
        orders = (self.order, *self.indexes.values())
        if write.before is not None:
            for order in orders:
                order.remove(write.key, write.before)
            del self.items[write.key], self.sizes[write.key]
        if write.after is not None:
            self.items[write.key], self.sizes[write.key] = write.after, write.size
            for order in orders:
                order.add(write.key, write.after)


class DynamoDb:
    """The operations of DynamoDB, with boto3's names, parameters and responses."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def items_of(self, table: str) -> Iterator[Item]:
        """Yield a table's items."""
        yield from self._tables[table].items.values()

    # --- tables

    def create_table(self, **description: Any) -> dict[str, Any]:
        """Create a table, which is active immediately."""
        name = description["TableName"]
        if name in self._tables:
            raise AwsError("ResourceInUseException", f"Table already exists: {name}")
        billing = {"BillingMode": description.pop("BillingMode", "PROVISIONED")}
        self._tables[name] = _Table(description | {"TableStatus": "ACTIVE", "BillingModeSummary": billing})
        return {"TableDescription": self._described(name)}

    def delete_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Delete a table with all of its items."""
        description = self._described(TableName)
        del self._tables[TableName]
        return {"TableDescription": description | {"TableStatus": "DELETING"}}

    def describe_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        """Return the description of a table."""
        return {"Table": self._described(TableName)}

    def list_tables(self) -> dict[str, Any]:
        """Return the tables' names."""
        return {"TableNames": sorted(self._tables)}

    def describe_continuous_backups(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        """Return whether a table has point-in-time recovery."""
        if TableName not in self._tables:
            raise AwsError("TableNotFoundException", f"Table not found: {TableName}")
        status = "ENABLED" if self._tables[TableName].is_backed_up else "DISABLED"
        recovery = {"PointInTimeRecoveryStatus": status}
        backups = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}
        return {"ContinuousBackupsDescription": backups}

    def update_continuous_backups(
        self,
        *,
        TableName: str,  # noqa: N803
        PointInTimeRecoverySpecification: Mapping[str, bool],  # noqa: N803
    ) -> dict[str, Any]:
        """Enable or disable a table's point-in-time recovery."""
        self._table(TableName).is_backed_up = PointInTimeRecoverySpecification["PointInTimeRecoveryEnabled"]
        return self.describe_continuous_backups(TableName=TableName)

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise AwsError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
        return self._tables[name]

    def _described(self, name: str) -> dict[str, Any]:
        table = self._table(name)
        return {**table.description, "ItemCount": len(table.items)}

    # --- items

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: N803
        """Return an item."""
        del ConsistentRead  # always consistent
        table = self._table(TableName)
        item = table.items.get(table.exact_key(Key))
        return {} if item is None else {"Item": dict(item)}

    def put_item(self, *, ReturnValues: str = "NONE", **call: Any) -> dict[str, Any]:  # noqa: N803
        """Put an item, replacing any existing one."""
        return self._written(self._put(call), ReturnValues)

    def delete_item(self, *, ReturnValues: str = "NONE", **call: Any) -> dict[str, Any]:  # noqa: N803
        """Delete an item, if it exists."""
        return self._written(self._delete(call), ReturnValues)

    def update_item(self, *, ReturnValues: str = "NONE", **call: Any) -> dict[str, Any]:  # noqa: N803
        """Update attributes of an item, which is created if it does not exist."""
        return self._written(self._update(call), ReturnValues)

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Apply all writes or none.

        A cancellation for want of capacity, in which a single reason is a `ThrottlingError` or
        `ProvisionedThroughputExceeded` (guregu/dynamo #203), is scripted with `AwsWorld.fail`.
        """
        if len(TransactItems) > LARGEST_TRANSACTION:
            invalid(
                "1 validation error detected at 'transactItems' failed to satisfy constraint: Member must have length "
                f"less than or equal to {LARGEST_TRANSACTION}."
            )
        calls = [call for part in TransactItems for call in part.values()]
        if len({self._place(call) for call in calls}) < len(calls):
            invalid("Transaction request cannot include multiple operations on one item")
        writes: list[_Write] = []
        reasons: list[dict[str, Any]] = []
        for part in TransactItems:
            ((kind, call),) = part.items()
            try:
                writes.append(self._part(kind, call))
                reasons.append({"Code": "None"})
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                reasons.append({"Code": "ConditionalCheckFailed", "Message": error.message, **error.members})
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            raise AwsError("TransactionCanceledException", message, CancellationReasons=reasons)
        sizes = (max(write.table.sizes.get(write.key, 0), write.size) for write in writes)
        if sum(sizes) > LARGEST_TRANSACTION_BYTES:
            invalid("Collection size of the transaction's items has exceeded the maximum allowed size of 4 MB")
        for write in writes:
            write.table.apply(write)
        return {}

    def _place(self, call: Mapping[str, Any]) -> tuple[str, Key]:
        table = self._table(call["TableName"])
        return call["TableName"], table.key_of(call.get("Item") or call["Key"])

    def _part(self, kind: str, call: Mapping[str, Any]) -> _Write:
        match kind:
            case "Put":
                return self._put(call)
            case "Update":
                return self._update(call)
            case "Delete":
                return self._delete(call)
            case "ConditionCheck":
                write = self._delete(call)
                return _Write(write.table, write.key, write.before, write.before, size_of(write.before or {}))
        raise NotImplementedError(kind)

    def _put(self, call: Mapping[str, Any]) -> _Write:
        table, key, before, _ = self._found(call)
        item = dict(call["Item"])
        return _Write(table, key, before, item, table.checked_size(item))

    def _delete(self, call: Mapping[str, Any]) -> _Write:
        table, key, before, _ = self._found(call)
        return _Write(table, key, before, None)

    def _update(self, call: Mapping[str, Any]) -> _Write:
        update = update_of(call["UpdateExpression"])
        table, key, before, bindings = self._found(call, update)
        start: Item = before or call["Key"]
        item = dict(start)
        names = [name(bindings) for name, _ in update.assignments]
        if len(set(names)) < len(names):
            invalid("Invalid UpdateExpression: Two document paths overlap with each other")
        for name, (_, assignment) in zip(names, update.assignments, strict=True):
            if name in table.key_names:
                invalid(
                    "One or more parameter values were invalid: "
                    f"Cannot update attribute {name}. This attribute is part of the key"
                )
            value = assignment(start, bindings)
            if value is None:
                item.pop(name, None)
            else:
                item[name] = value
        return _Write(table, key, before, item, table.checked_size(item), frozenset(names))

    def _found(self, call: Mapping[str, Any], *others: Expression) -> tuple[_Table, Key, Item | None, Bindings]:
        """Return the table, key, item and bindings of a write; refuse it if its condition does not hold."""
        table = self._table(call["TableName"])
        key = table.key_of(call["Item"]) if "Item" in call else table.exact_key(call["Key"])
        before = table.items.get(key)
        bindings = _bindings_of(call)
        condition = condition_of(call["ConditionExpression"]) if "ConditionExpression" in call else None
        check_bindings(bindings, *others, *([condition] if condition else []))
        if condition is not None and not condition.holds(before or {}, bindings):
            shows = before and call.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            members: dict[str, Any] = {"Item": dict(before or {})} if shows else {}
            raise AwsError("ConditionalCheckFailedException", "The conditional request failed", **members)
        return table, key, before, bindings

    def _written(self, write: _Write, wanted: str) -> dict[str, Any]:
        write.table.apply(write)
        shown = write.after if wanted.endswith("NEW") else write.before
        if wanted == "NONE" or not shown:
            return {}
        if wanted.startswith("UPDATED"):
            shown = {name: value for name, value in shown.items() if name in write.touched}
        return {"Attributes": dict(shown)} if shown else {}

    # --- queries

    def query(self, *, TableName: str, KeyConditionExpression: str, **call: Any) -> dict[str, Any]:  # noqa: N803
        """Return a page of a partition's items in the order of their sort key."""
        table = self._table(TableName)
        index = self._index(table, call.get("IndexName"))
        bindings = _bindings_of(call)
        condition = key_condition_of(KeyConditionExpression)
        check_bindings(bindings, condition)
        partition, places = _places(table, index, condition, bindings)
        if not call.get("ScanIndexForward", True):
            places = places[::-1]
        if start := call.get("ExclusiveStartKey"):
            at = (start[index.sort_key]["S"], start[table.sort_key]["S"])
            forward = call.get("ScanIndexForward", True)
            places = [place for place in places if (place > at if forward else place < at)]
        items: list[Item] = []
        size = 0
        for _, sort in places:
            item = table.items[partition, sort]
            size += table.sizes[partition, sort]
            if items and size > LARGEST_PAGE:
                break
            items.append(item)
            if len(items) == call.get("Limit"):
                break
        names = {*table.key_names, index.sort_key}
        answer: dict[str, Any] = {
            "Items": [{name: item[name] for name in names} if index.keys_only else dict(item) for item in items],
            "Count": len(items),
            "ScannedCount": len(items),
        }
        if len(items) < len(places) or len(items) == call.get("Limit"):
            answer["LastEvaluatedKey"] = {name: items[-1][name] for name in names}
        return answer

    @staticmethod
    def _index(table: _Table, name: str | None) -> _Index:
        if name is None:
            return table.order
        if name not in table.indexes:
            invalid(f"The table does not have the specified index: {name}")
        return table.indexes[name]


def size_of(item: Item) -> int:
    """Return the size of an item in bytes, as DynamoDB counts it (Developer Guide, "Item sizes and formats")."""
    return len("".join(item).encode()) + sum(map(_value_size, item.values()))


def _value_size(value: Value) -> int:
    ((kind, what),) = value.items()
    match kind:
        case "S":
            size = len(what.encode())
        case "B":
            size = len(what)
        case "N":
            size = len(what.strip("-0.").replace(".", "")) // 2 + 2
        case "L":
            size = 3 + len(what) + sum(map(_value_size, what))
        case "M":
            size = 3 + size_of(what) + len(what)
        case "SS" | "NS" | "BS":
            size = sum(map(len, what))
        case _:
            size = 1
    return size


def _key_names(schema: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    by_kind = {each["KeyType"]: each["AttributeName"] for each in schema}
    return by_kind["HASH"], by_kind.get("RANGE", "")


def _bindings_of(call: Mapping[str, Any]) -> Bindings:
    for what in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        if what in call and not call[what]:
            invalid(f"{what} must not be empty")
    return Bindings(call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {}))


def _places(table: _Table, index: _Index, condition: KeyCondition, bindings: Bindings) -> tuple[str, Sequence[_Place]]:
    """Return the partition of a query, and the positions in the requested range of its sort key."""
    partition = (condition.partition({}, bindings) or {}).get("S")
    if partition is None or condition.key_name(bindings) != table.partition_key:
        invalid("Query condition missed key schema element: " + table.partition_key)
    places = index.partitions.get(partition, [])
    if condition.sort_name is None:
        return partition, places
    if condition.sort_name(bindings) != index.sort_key:
        invalid("Query condition missed key schema element: " + index.sort_key)
    bounds = [(bound({}, bindings) or {})["S"] for bound in condition.bounds]
    first, last = _stretch(condition.sort_operator, places, bounds)
    return partition, places[first:last]


def _stretch(operator: str, places: Sequence[_Place], bounds: Sequence[str]) -> tuple[int, int]:
    """Return the index of the first position in the range, and that after the last one."""
    start, end = _begin_of(places, bounds[0]), _end_of(places, bounds[0])
    match operator:
        case "BETWEEN":
            if bounds[0] > bounds[1]:
                invalid("Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater")
            return start, _end_of(places, bounds[1])
        case "begins_with":
            return start, bisect_right(places, bounds[0], key=lambda place: place[0][: len(bounds[0])])
    stretches = {
        "=": (start, end),
        "<": (0, start),
        "<=": (0, end),
        ">": (end, len(places)),
        ">=": (start, len(places)),
    }
    if operator not in stretches:
        invalid(f"Invalid operator used in KeyConditionExpression: {operator}")
    return stretches[operator]


def _begin_of(places: Sequence[_Place], sort_key: str) -> int:
    return bisect_left(places, sort_key, key=itemgetter(0))


def _end_of(places: Sequence[_Place], sort_key: str) -> int:
    return bisect_right(places, sort_key, key=itemgetter(0))
