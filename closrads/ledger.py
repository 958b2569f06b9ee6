"""The memory between runs: who is at work on a campaign, and what is being done to which ad set. DynamoDB.

One table. Each campaign has a partition with its lease, its changes and what is remembered of its ad sets; whatever
decides about a campaign is read from there with strong consistency. Open changes stand in the local index `open`.

=====================  ===============================  =======================================================
pk                     sk                               what it is
=====================  ===============================  =======================================================
``CAMPAIGN#<slug>``    ``LEASE``                        who is at work on the campaign, until when; the last run
``CAMPAIGN#<slug>``    ``CHANGE#<run>#<ad set>``        one ad set's change, its state, the targeting before and after
``CAMPAIGN#<slug>``    ``MEMORY#<ad set>``              that its last change had to be put back
``CAMPAIGN#<slug>``    ``MEMORY#deferred``              which ad sets the last run left to the next
``RUN``                ``<run>``                        a live run, and its result once it has ended; a dry run only if
                                                        several invocations share it
``PARTS#<run>``        ``<slug>``                       a campaign's share of such a run
``SCHEDULED``          ``<action>#<time>#<campaigns>``  which run took a scheduled time, and whether it ended
=====================  ===============================  =======================================================
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.clock import Clock
from closrads.errors import LedgerError, LedgerFullError
from closrads.model import (
    LONG_AGO,
    RUN_ID_TIME,
    Action,
    Change,
    ChangeState,
    OpenRun,
    Part,
    Remembered,
    RunRecord,
)
from closrads.observability import logger
from closrads.records import (
    LARGEST_RECORD,
    Item,
    ads_item,
    campaign_key,
    change_item,
    change_key,
    change_of,
    expiry,
    lease_key,
    memory_item,
    memory_of,
    most_bytes,
    next_memory,
    open_run_item,
    open_run_of,
    open_since,
    part_item,
    part_key,
    part_of,
    result_item,
    run_key,
    run_record_of,
    seconds_of,
    size_of,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

STARTED_AGAIN_WITHIN = timedelta(days=1)
"""The id of a run that several invocations share bears its scheduled time; its changes may be later by so much."""
LARGEST_TRANSACTION = 100
"""Parts (Developer Guide, "Quotas")."""
LARGEST_TRANSACTION_BYTES = 3_900_000
"""Of all items that it touches; DynamoDB takes 4 MB (Developer Guide, "Quotas")."""
TRANSACTION_ATTEMPTS = 5

_DEFERRED = "MEMORY#deferred"
_CAME_TO_NOTHING = frozenset({ChangeState.NOT_WRITTEN, ChangeState.ROLLED_BACK})
_LAST = "\N{DEL}"
"""Sorts behind every character of a key."""
_HURRIED_BELOW = 20.0
"""Seconds left of the invocation: a call that DynamoDB does not answer takes about ten with all attempts."""
_pack, _unpack = TypeSerializer().serialize, TypeDeserializer().deserialize


@cache
def _dynamodb(*, hurried: bool = False) -> "DynamoDBClient":
    config = Config(connect_timeout=1, read_timeout=2, proxies={})
    if hurried:
        config = config.merge(Config(read_timeout=1, retries={"total_max_attempts": 1}))
    client: DynamoDBClient = boto3.client("dynamodb", config=config)
    return client


_making_clients = Lock()
"""They are not to be made in several threads at once."""


class Ledger:
    """The ledger in one table, as one run uses it.

    Every method raises `LedgerError` if DynamoDB does not do what it is asked.
    """

    def __init__(self, table: str, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        if table:
            self._pages = _dynamodb().get_paginator("query")  # which loads a file, so not in several threads at once

    # --- runs

    def claim_time(self, key: str, run_id: str, until: datetime) -> str:
        """Take a scheduled time for a run, and return the run that has it: another one, if that ended or still lives.

        A run that died is one that neither ended nor has time left.
        """
        item = {
            "pk": "SCHEDULED",
            "sk": key,
            "run_id": run_id,
            "ended": False,
            "until": seconds_of(until),
            "expires_at": expiry(until),
        }
        free = "attribute_not_exists(pk) OR run_id = :run_id OR (ended = :ended AND #until < :now)"
        holder = self._write_if(
            "put_item",
            free,
            {":run_id": run_id, ":ended": False, ":now": seconds_of(self._clock.now())},
            names={"#until": "until"},
            Item=_item(item),
        )
        return run_id if holder is None else str(holder["run_id"])

    def end_time(self, key: str, run_id: str) -> None:
        """Note that the run has come to its end, if it is the one that took this scheduled time."""
        self._write_if(
            "update_item",
            "run_id = :run_id",
            {":run_id": run_id, ":ended": True},
            Key=_item({"pk": "SCHEDULED", "sk": key}),
            UpdateExpression="SET ended = :ended",
        )

    def give_time_back(self, key: str, run_id: str) -> None:
        """Let another delivery have the scheduled time that the run took."""
        self._write_if(
            "delete_item", "run_id = :run_id", {":run_id": run_id}, Key=_item({"pk": "SCHEDULED", "sk": key})
        )

    def begin_run(self, run_id: str, action: Action, slugs: Sequence[str]) -> None:
        """Note that a live run has begun."""
        now = self._clock.now()
        item = {
            "pk": "RUN",
            "sk": run_id,
            "action": action.value,
            "campaigns": list(slugs),
            "started_at": now.isoformat(),
            "expires_at": expiry(now),
        }
        self._put(item)

    def end_run(self, run_id: str, result: Mapping[str, Any]) -> None:
        """Keep the result, which must hold no secret, of a run that has begun; if it is too large, without details."""
        self._write_if(
            "update_item",
            "attribute_exists(pk)",
            {
                ":ended_at": self._clock.now().isoformat(),
                ":success": result["success"],
                ":result": result_item(result),
            },
            names={"#result": "result"},
            Key=_item(run_key(run_id)),
            UpdateExpression="SET ended_at = :ended_at, success = :success, #result = :result",
        )

    def knows(self, run_id: str) -> bool:
        """Tell whether there was such a live run."""
        item = self._get(run_key(run_id))
        return item is not None and not item.get("dry_run")

    # --- runs that several invocations share

    def open_run(self, run: OpenRun) -> OpenRun:
        """Write a run down for others to take part in, and return it; if it is known already, as it is."""
        item = open_run_item(run)
        there = self._write_if("put_item", "attribute_not_exists(pk)", {}, Item=_item(item))
        return (there and open_run_of(there)) or run

    def opened_run(self, run_id: str) -> OpenRun | None:
        """Return a run that several invocations share, None if there is none of this id."""
        item = self._get(run_key(run_id))
        return open_run_of(item) if item else None

    def begin_part(self, run_id: str, slug: str) -> tuple[int, Part | None]:
        """Note that a campaign's share of a run is worked on; return how often it was begun since anything came of it.

        And what has come of it so far.
        """
        now = self._clock.now()
        with _speaking_of("written"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=_item(part_key(run_id, slug)),
                UpdateExpression="SET begun_at = :now, expires_at = :expires_at ADD begun_times :one",
                ExpressionAttributeValues=_item({":now": now.isoformat(), ":expires_at": expiry(now), ":one": 1}),
                ReturnValues="ALL_OLD",
            )
        before = _plain(answer.get("Attributes", {}))
        return int(before.get("begun_times", 0)), part_of(before)

    def keep_part(self, run_id: str, part: Part) -> None:
        """Keep what a campaign's share of a run has come to."""
        self._put(part_item(run_id, part, self._clock.now()))

    def parts(self, run_id: str) -> dict[str, Part]:
        """Return what has come of a run's campaigns so far, by their slugs."""
        found = {item["sk"]: part_of(item) for item in self._query(f"PARTS#{run_id}")}
        return {slug: part for slug, part in found.items() if part is not None}

    def claim_end(self, run_id: str, until: datetime, invocation: str) -> datetime | None:
        """Let one invocation end an open run; return until when another one is at it, None if none is.

        One that has ended was ended long ago.
        """
        there = self._write_if(
            "update_item",
            "attribute_exists(pk) AND attribute_not_exists(ended_at) AND "
            "(attribute_not_exists(ended_by) OR ended_by = :me OR ending_until < :now)",
            {":me": invocation, ":now": seconds_of(self._clock.now()), ":until": seconds_of(until), ":one": 1},
            Key=_item(run_key(run_id)),
            UpdateExpression="SET ended_by = :me, ending_until = :until ADD ends_begun :one",
        )
        if there is None:
            return None
        return LONG_AGO if "ended_at" in there else datetime.fromtimestamp(int(there["ending_until"]), UTC)

    def runs(self, first: str = "0", last: str = _LAST) -> Iterator[RunRecord]:
        """Yield the live runs from one id to another, the newest first; no more is read than is asked for."""
        query: Any = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": _item({":pk": "RUN", ":first": first, ":last": last}),
            "ScanIndexForward": False,
        }
        with _speaking_of("read"):
            for page in self._pages.paginate(**query):
                items = map(_plain, page["Items"])
                yield from (run_record_of(item) for item in items if not item.get("dry_run"))

    # --- leases

    def lease(
        self, slugs: Sequence[str], run_id: str, until: datetime, action: Action, invocation: str = ""
    ) -> dict[str, str]:
        """Take the campaigns that are free for one run; return the others with the run that has them.

        Of a run that several invocations share, each is known by a name of its own.
        """
        values: Item = {
            ":me": _holder(run_id, invocation),
            ":until": seconds_of(until),
            ":now": seconds_of(self._clock.now()),
        }
        update = "SET holder = :me, #until = :until"
        if action is Action.SYNC:
            update, values[":run_id"] = f"{update}, last_sync = :run_id", run_id
        free = "attribute_not_exists(holder) OR holder = :me OR #until < :now"
        refused = self._update_leases(slugs, free, update, values)
        return {slug: str(there["holder"]).partition("#")[0] for slug, there in refused.items()}

    def release(self, slugs: Sequence[str], run_id: str, invocation: str = "") -> None:
        """Give campaigns back; a lease that is another run's by now stays."""
        held = {":me": _holder(run_id, invocation)}
        self._update_leases(slugs, "holder = :me", "REMOVE holder, #until", held)

    def _update_leases(self, slugs: Sequence[str], condition: str, update: str, values: Item) -> dict[str, Item]:
        """Update the leases for which the condition holds; return the others with what is there."""
        refused: dict[str, Item] = {}
        for start in range(0, len(slugs), LARGEST_TRANSACTION):
            some = slugs[start : start + LARGEST_TRANSACTION]
            parts = [
                self._part("Update", condition, values, Key=_item(lease_key(slug)), UpdateExpression=update)
                for slug in some
            ]
            refused |= {some[index]: there for index, there in self._write_allowed([[part] for part in parts]).items()}
        return refused

    def is_held(self, slug: str, run_id: str) -> bool:
        """Tell whether an invocation of this run is at work on the campaign."""
        lease = self._get(lease_key(slug)) or {}
        holder, until = str(lease.get("holder", "")), int(lease.get("until", 0))
        return holder.partition("#")[0] == run_id and until >= seconds_of(self._clock.now())

    def last_sync(self, slug: str) -> str:
        """Return the id of the live sync that last had the campaign, empty for none."""
        return str((self._get(lease_key(slug)) or {}).get("last_sync", ""))

    # --- changes

    def prepare(self, changes: Sequence[Change]) -> list[LedgerError | None]:
        """Write changes down before anything is sent to Meta; return what kept each of them from it.

        It is a `LedgerFullError` where the targeting is too large.
        """
        items = [change_item(change) for change in changes]
        errors: list[LedgerError | None] = [
            LedgerFullError(f"The targeting of {item['adset']} is too large for the ledger: make it smaller")
            if size_of(item) > LARGEST_RECORD
            else None
            for item in items
        ]
        fitting = [index for index, error in enumerate(errors) if error is None]
        steps = [self._first_step(changes[index], items[index]) for index in fitting]
        for index, error in zip(fitting, self._take(steps), strict=True):
            errors[index] = error
        return errors

    def _first_step(self, change: Change, item: Item) -> "_Step":
        put = self._part(
            "Put",
            "attribute_not_exists(pk) OR #state = :not_written OR (#state = :prepared AND prepared_at = :prepared_at)",
            {
                ":not_written": ChangeState.NOT_WRITTEN.value,
                ":prepared": ChangeState.PREPARED.value,
                ":prepared_at": item["prepared_at"],
            },
            Item=_item(item),
        )
        return _Step([put], most_bytes(change), f"{change.before.id} already has a change in this run")

    def move(self, changes: Sequence[tuple[Change, ChangeState]]) -> list[Change | LedgerError]:
        """Take each change from its state to another; return it as it is then, or what kept it from that.

        What was put back is remembered of its ad set, in the same transaction; what was verified is forgotten. A change
        that is no longer in the state it was in stays as it is: somebody else is at work on it.
        """
        now = self._clock.now()
        errors = self._take([self._next_step(change, state, now) for change, state in changes])
        moved: list[Change | LedgerError] = []
        for (change, state), error in zip(changes, errors, strict=True):
            if error is None:
                names = {"adset": change.before.id, "from": change.state.value, "to": state.value}
                logger.info("ledger.move", extra=names)
            moved.append(error or replace(change, state=state, changed_at=now))
        return moved

    def _next_step(self, change: Change, state: ChangeState, now: datetime) -> "_Step":
        key = change_key(change)
        update = "SET #state = :to, changed_at = :now"
        values: Item = {":from": change.state.value, ":to": state.value, ":now": now.isoformat()}
        if state in {change.state, ChangeState.ROLLING_BACK}:  # taken up anew, perhaps with fewer ads to protect
            update, values[":ads"] = f"{update}, ads = :ads", ads_item(change)
        if not state.is_open:
            update, values[":expires_at"] = f"{update}, expires_at = :expires_at REMOVE open_since", expiry(now)
        elif not change.state.is_open:
            update, values[":open_since"] = f"{update}, open_since = :open_since REMOVE expires_at", open_since(change)
        parts = [
            self._part(
                "Update",
                "#state = :from OR (#state = :to AND changed_at = :now)",
                values,
                Key=_item(key),
                UpdateExpression=update,
            )
        ]
        memory_key = {"pk": key["pk"], "sk": f"MEMORY#{change.before.id}"}
        if change.action is Action.SYNC and state is ChangeState.ROLLED_BACK:
            memory = {**memory_item(next_memory(change)), "expires_at": expiry(now)}
            parts.append({"Put": {"TableName": self._table, "Item": _item(memory_key | memory)}})
        elif change.action is Action.SYNC and state is ChangeState.VERIFIED and change.memory is not None:
            parts.append({"Delete": {"TableName": self._table, "Key": _item(memory_key)}})
        refusal = f"The change of {change.before.id} is not {change.state} any more: another run has it"
        return _Step(parts, most_bytes(change), refusal)

    def open_changes(self, slug: str) -> tuple[Change, ...]:
        """Return the campaign's changes that are neither finished nor undone, the oldest first."""
        keys = self._query(campaign_key(slug), index="open")
        items = [self._get({"pk": key["pk"], "sk": key["sk"]}) for key in keys]
        return tuple(change_of(item) for item in items if item is not None)

    def changes_of(self, slug: str, run_id: str) -> tuple[Change, ...]:
        """Return what a run changed in a campaign, in the order of the ad sets' ids."""
        return tuple(map(change_of, self._query(campaign_key(slug), f"CHANGE#{run_id}#")))

    def changes_between(self, slug: str, first: str, last: str) -> tuple[Change, ...]:
        """Return what the runs from one id to another changed in a campaign, in the order of the runs."""
        return tuple(map(change_of, self._query(campaign_key(slug), "CHANGE#", since=first, until=last)))

    def newest_changes(self, slug: str, since: datetime, *, also_undone: bool = False) -> tuple[Change, ...]:
        """Return each ad set's newest change that did not come to nothing, as far as it was prepared since then."""
        passed_over = {ChangeState.NOT_WRITTEN} if also_undone else _CAME_TO_NOTHING
        items = self._query(campaign_key(slug), "CHANGE#", since=f"{since - STARTED_AGAIN_WITHIN:{RUN_ID_TIME}}")
        changes = sorted(map(change_of, items), key=lambda change: change.prepared_at)
        mattering = [change for change in changes if change.prepared_at >= since and change.state not in passed_over]
        return tuple({change.before.id: change for change in mattering}.values())

    def remembered(self, slug: str) -> Remembered:
        """Return what is remembered of the campaign's ad sets."""
        items = {item["sk"]: item for item in self._query(campaign_key(slug), "MEMORY#")}
        deferred = items.pop(_DEFERRED, {}).get("adsets", ())
        return Remembered(
            {sk.removeprefix("MEMORY#"): memory_of(item) for sk, item in items.items()}, frozenset(deferred)
        )

    def remember_deferred(self, slug: str, adsets: Sequence[str]) -> None:
        """Remember which ad sets, given by id, the next run should take first; none is fine too."""
        item = {
            "pk": campaign_key(slug),
            "sk": _DEFERRED,
            "adsets": list(adsets),
            "expires_at": expiry(self._clock.now()),
        }
        self._put(item)

    # --- DynamoDB

    @property
    def _client(self) -> "DynamoDBClient":
        """What near the end of the invocation tries once, and not for long: the report is still to be sent."""
        with _making_clients:
            return _dynamodb(hurried=True) if self._clock.remaining() < _HURRIED_BELOW else _dynamodb()

    def _put(self, item: Item) -> None:
        with _speaking_of("written"):
            self._client.put_item(TableName=self._table, Item=_item(item))

    def _get(self, key: Item) -> Item | None:
        with _speaking_of("read"):
            answer = self._client.get_item(TableName=self._table, Key=_item(key), ConsistentRead=True)
        return _plain(answer["Item"]) if "Item" in answer else None

    def _query(self, pk: str, prefix: str = "", *, since: str = "", until: str = "", index: str = "") -> list[Item]:
        """Return a partition's items whose sort key begins with `prefix` and goes on with something in between."""
        condition, values = "pk = :pk", {":pk": pk}
        if prefix:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": prefix + since, ":last": prefix + until + _LAST}
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": _item(values),
            "ConsistentRead": True,
        }
        if index:
            query["IndexName"] = index
        with _speaking_of("read"):
            return [_plain(item) for page in self._pages.paginate(**query) for item in page["Items"]]

    def _write_if(
        self, operation: str, condition: str, values: Item, names: dict[str, str] | None = None, **more: Any
    ) -> Item | None:
        """Write on a condition; return None if that was done, what is there instead if not."""
        if names:
            more["ExpressionAttributeNames"] = names
        if values:
            more["ExpressionAttributeValues"] = _item(values)
        client = self._client
        with _speaking_of("written"):
            try:
                getattr(client, operation)(
                    TableName=self._table,
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,
                )
            except client.exceptions.ConditionalCheckFailedException as refusal:
                answer: Any = refusal.response
                return _plain(answer.get("Item", {}))
        return None

    def _take(self, steps: Sequence["_Step"]) -> list[LedgerError | None]:
        """Take each step, in as few transactions as possible; return what kept each of them from being taken."""
        errors: list[LedgerError | None] = []
        for some in _transactions(steps):
            try:
                refused = self._write_allowed([step.parts for step in some])
            except LedgerError as error:
                errors += [error] * len(some)
            else:
                errors += [LedgerError(step.refusal) if i in refused else None for i, step in enumerate(some)]
        return errors

    def _part(self, kind: str, condition: str, values: Item, **what: Any) -> Item:
        """Return a part of a transaction: something to write on a condition."""
        expressions = condition + what.get("UpdateExpression", "")
        names = {f"#{name}": name for name in ("state", "until") if f"#{name}" in expressions}
        return {
            kind: {
                "TableName": self._table,
                "ConditionExpression": condition,
                **({"ExpressionAttributeNames": names} if names else {}),
                "ExpressionAttributeValues": _item(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **what,
            }
        }

    def _write_allowed(self, groups: Sequence[Sequence[Any]]) -> dict[int, Item]:
        """Write all groups of parts whose conditions hold; return what is there instead of the others, by index."""
        refused: dict[int, Item] = {}
        while allowed := [index for index in range(len(groups)) if index not in refused]:
            owners = [index for index in allowed for _ in groups[index]]
            reasons = self._transact([part for index in allowed for part in groups[index]])
            refusals = {
                owner: _plain(reason.get("Item", {}))
                for owner, reason in zip(owners, reasons, strict=False)
                if reason["Code"] == "ConditionalCheckFailed"
            }
            if not refusals:
                break
            refused |= refusals
        return refused

    def _transact(self, parts: Sequence[Any]) -> list[Any]:
        """Write all parts or none; return the reasons against it, one for each part, empty if all was done."""
        attempt = 0
        while True:
            attempt += 1
            client = self._client
            with _speaking_of("written"):
                try:
                    client.transact_write_items(TransactItems=parts)
                except client.exceptions.TransactionCanceledException as refusal:
                    reasons: list[Any] = refusal.response["CancellationReasons"]
                    codes = {reason["Code"] for reason in reasons} - {"None"}
                    if "ConditionalCheckFailed" in codes:
                        return reasons
                    if codes != {"TransactionConflict"} or attempt == TRANSACTION_ATTEMPTS:
                        raise
                else:
                    return []
            self._clock.sleep(0.1 * attempt)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is written when a change comes to its next state: all of it or nothing."""

    parts: Sequence[Any]
    """Of a transaction."""
    size: int
    """The most bytes that its change takes."""
    refusal: str
    """What to say if the change is not in the state it was in."""


def _transactions(steps: Sequence[_Step]) -> Iterator[Sequence[_Step]]:
    """Yield as many steps at a time as one transaction takes."""
    some: list[_Step] = []
    parts = size = 0
    for step in steps:
        parts, size = parts + len(step.parts), size + step.size
        if some and (parts > LARGEST_TRANSACTION or size > LARGEST_TRANSACTION_BYTES):
            yield some
            some, parts, size = [], len(step.parts), step.size
        some.append(step)
    if some:
        yield some


@contextmanager
def _speaking_of(verb: str) -> Iterator[None]:
    """Turn what boto3 raises into a `LedgerError`."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LedgerError(f"The ledger cannot be {verb}: {error}") from None


def _holder(run_id: str, invocation: str) -> str:
    return f"{run_id}#{invocation}" if invocation else run_id


def _item(plain: Mapping[str, Any]) -> Any:
    return {name: _pack(value) for name, value in plain.items()}


def _plain(item: Mapping[str, Any]) -> Item:
    values = {name: _unpack(value) for name, value in item.items()}
    return {
        name: bytes(value) if isinstance(value, Binary) else value  # type: ignore[call-overload] # its stub lacks that
        for name, value in values.items()
    }
