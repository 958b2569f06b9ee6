"""The ledger: each change of an ad set is written down before Meta is asked to make it, and followed to its end.

One table. Each campaign has a partition with its lease, its changes and how the last run left its ad sets; whatever
decides about a campaign is read from there with strong consistency. Open changes stand in the local index `open`.

=====================  ===============================  =======================================================
pk                     sk                               what it is
=====================  ===============================  =======================================================
``CAMPAIGN#<slug>``    ``LEASE``                        which run holds the campaign, until when; the last sync
``CAMPAIGN#<slug>``    ``CHANGE#<run>#<ad set>``        one ad set's change, its state, the targeting before and after
``CAMPAIGN#<slug>``    ``MEMORY#<ad set>``              that its last change was rolled back
``CAMPAIGN#<slug>``    ``MEMORY#deferred``              which ad sets the last run deferred
``RUN``                ``<run>``                        a live run, and its result once it has ended; a dry run only if
                                                        several invocations share it
``PARTS#<run>``        ``<slug>``                       what has come of a campaign of such a run
``SCHEDULED``          ``<action>#<time>#<campaigns>``  which run took a scheduled time, and whether it ended
=====================  ===============================  =======================================================
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from closrads.domain.changes import Change, ChangeState, PreviousOutcomes
from closrads.domain.request import Action
from closrads.domain.runs import RUN_ID_TIME
from closrads.errors import LedgerError, LedgerFullError
from closrads.ledger.dynamodb import Item, Step, Table
from closrads.ledger.records import (
    MAX_ITEM_BYTES,
    ads_item,
    campaign_key,
    change_item,
    change_key,
    change_of,
    deferred_key,
    expiry,
    max_bytes,
    next_reverts,
    open_since,
    reverts_item,
    reverts_key,
    reverts_of,
    size_of,
)
from closrads.observability import logger

STARTED_AGAIN_WITHIN = timedelta(days=1)
"""The id of a run that several invocations share bears its scheduled time; its changes may be later by so much."""
_CAME_TO_NOTHING = frozenset({ChangeState.NOT_WRITTEN, ChangeState.ROLLED_BACK})


class Ledger:
    """The changes of ad sets, and how the last run left them.

    Every method raises `LedgerError` if DynamoDB does not do what it is asked.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def prepare(self, changes: Sequence[Change]) -> list[LedgerError | None]:
        """Write changes down before anything is sent to Meta; return what kept each of them from it.

        It is a `LedgerFullError` where the targeting is too large.
        """
        items = [change_item(change) for change in changes]
        errors: list[LedgerError | None] = [
            LedgerFullError(f"The targeting of {item['adset']} is too large for the ledger: make it smaller")
            if size_of(item) > MAX_ITEM_BYTES
            else None
            for item in items
        ]
        fitting = [index for index, error in enumerate(errors) if error is None]
        steps = [self._first_step(changes[index], items[index]) for index in fitting]
        for index, error in zip(fitting, self._table.take(steps), strict=True):
            errors[index] = error
        return errors

    def move(self, changes: Sequence[tuple[Change, ChangeState]]) -> list[Change | LedgerError]:
        """Take each change from its state to another; return it as it is then, or what kept it from that.

        That a change was rolled back is kept with its ad set, in the same transaction, until one is verified. A change
        that is no longer in the state it was in stays as it is: another run has it.
        """
        now = self._table.clock.now()
        errors = self._table.take([self._next_step(change, state, now) for change, state in changes])
        moved: list[Change | LedgerError] = []
        for (change, state), error in zip(changes, errors, strict=True):
            if error is None:
                names = {"adset": change.before.id, "from": change.state.value, "to": state.value}
                logger.info("ledger.move", extra=names)
            moved.append(error or replace(change, state=state, changed_at=now))
        return moved

    def open_changes(self, slug: str) -> tuple[Change, ...]:
        """Return the campaign's changes that are neither finished nor undone, the oldest first."""
        keys = self._table.query(campaign_key(slug), index="open")
        items = [self._table.get({"pk": key["pk"], "sk": key["sk"]}) for key in keys]
        return tuple(change_of(item) for item in items if item is not None)

    def changes_of(self, slug: str, run_id: str) -> tuple[Change, ...]:
        """Return what a run changed in a campaign, in the order of the ad sets' ids."""
        return tuple(map(change_of, self._table.query(campaign_key(slug), f"CHANGE#{run_id}#")))

    def changes_between(self, slug: str, first: str, last: str) -> tuple[Change, ...]:
        """Return what the runs from one id to another changed in a campaign, in the order of the runs."""
        return tuple(map(change_of, self._table.query(campaign_key(slug), "CHANGE#", since=first, until=last)))

    def newest_changes(self, slug: str, since: datetime, *, also_undone: bool = False) -> tuple[Change, ...]:
        """Return each ad set's newest change that did not come to nothing, as far as it was prepared since then."""
        passed_over = {ChangeState.NOT_WRITTEN} if also_undone else _CAME_TO_NOTHING
        items = self._table.query(campaign_key(slug), "CHANGE#", since=f"{since - STARTED_AGAIN_WITHIN:{RUN_ID_TIME}}")
        changes = sorted(map(change_of, items), key=lambda change: change.prepared_at)
        mattering = [change for change in changes if change.prepared_at >= since and change.state not in passed_over]
        return tuple({change.before.id: change for change in mattering}.values())

    def previous_outcomes(self, slug: str) -> PreviousOutcomes:
        """Return how the last run left the campaign's ad sets."""
        items = {item["sk"]: item for item in self._table.query(campaign_key(slug), "MEMORY#")}
        deferred = items.pop(deferred_key(slug)["sk"], {}).get("adsets", ())
        return PreviousOutcomes(
            {sk.removeprefix("MEMORY#"): reverts_of(item) for sk, item in items.items()}, frozenset(deferred)
        )

    def record_deferred(self, slug: str, adsets: Sequence[str]) -> None:
        """Record which ad sets, given by id, the next run should take first; none is fine too."""
        item = {**deferred_key(slug), "adsets": list(adsets), "expires_at": expiry(self._table.clock.now())}
        self._table.put(item)

    def _first_step(self, change: Change, item: Item) -> Step:
        put = self._table.put_operation(
            item,
            "attribute_not_exists(pk) OR #state = :not_written OR (#state = :prepared AND prepared_at = :prepared_at)",
            {
                ":not_written": ChangeState.NOT_WRITTEN.value,
                ":prepared": ChangeState.PREPARED.value,
                ":prepared_at": item["prepared_at"],
            },
        )
        return Step([put], max_bytes(change), f"{change.before.id} already has a change in this run")

    def _next_step(self, change: Change, state: ChangeState, now: datetime) -> Step:
        update = "SET #state = :to, changed_at = :now"
        values: Item = {":from": change.state.value, ":to": state.value, ":now": now.isoformat()}
        if state in {change.state, ChangeState.ROLLING_BACK}:  # taken up anew, perhaps with fewer ads to protect
            update, values[":ads"] = f"{update}, ads = :ads", ads_item(change)
        if not state.is_open:
            update, values[":expires_at"] = f"{update}, expires_at = :expires_at REMOVE open_since", expiry(now)
        elif not change.state.is_open:
            update, values[":open_since"] = f"{update}, open_since = :open_since REMOVE expires_at", open_since(change)
        condition = "#state = :from OR (#state = :to AND changed_at = :now)"
        operations = [self._table.update_operation(change_key(change), update, condition, values)]
        key = reverts_key(change)
        if change.action is Action.SYNC and state is ChangeState.ROLLED_BACK:
            reverts = {**reverts_item(next_reverts(change)), "expires_at": expiry(now)}
            operations.append(self._table.put_operation(key | reverts))
        elif change.action is Action.SYNC and state is ChangeState.VERIFIED and change.reverts is not None:
            operations.append(self._table.delete_operation(key))
        refusal = f"The change of {change.before.id} is not {change.state} any more: another run has it"
        return Step(operations, max_bytes(change), refusal)
