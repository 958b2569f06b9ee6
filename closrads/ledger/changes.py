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
``CAMPAIGN#<slug>``    ``RECHECKED``                    when all that had to be looked at was last looked at
``CAMPAIGN#<slug>``    ``MEMORY#unexplained#<ad set>``  its ads that are off without a trace of who did it
``RUN``                ``<run>``                        a live run, and its result once it has ended; a dry run only if
                                                        several invocations share it
``PARTS#<run>``        ``<slug>``                       what has come of a campaign of such a run
``SCHEDULED``          ``<action>#<time>#<campaigns>``  which run took a scheduled time, and whether it ended
=====================  ===============================  =======================================================
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from closrads.domain.changes import Change, ChangeState, PreviousOutcomes, RollbackReason, UnexplainedPause
from closrads.domain.request import Action
from closrads.domain.runs import RUN_ID_TIME
from closrads.errors import LedgerError, LedgerFullError
from closrads.ledger.dynamodb import Item, Step, Table
from closrads.ledger.records import (
    MAX_ITEM_BYTES,
    UNEXPLAINED,
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
    rechecked_key,
    reverts_item,
    reverts_key,
    reverts_of,
    size_of,
    unexplained_item,
    unexplained_key,
    unexplained_of,
)
from closrads.observability import logger

STARTED_AGAIN_WITHIN = timedelta(days=1)
"""The id of a run that several invocations share bears its scheduled time; its changes may be later by so much."""


_COUNTED = frozenset({None, RollbackReason.ADS_BROKEN, RollbackReason.PAUSE_UNEXPLAINED})
"""Rollbacks that say something about the ad set; of changes from before the reason was kept none is known."""


ROLLED_BACK_WITHIN = timedelta(days=3)
"""A change that is rolled back later than so long after its run is looked at no more."""


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

        A step that the machine does not have is refused. That a change was rolled back is kept with its ad set, in the
        same transaction, until one is verified. A change
        that is no longer in the state it was in stays as it is: another run has it.
        """
        now = self._table.clock.now()
        answers: list[Change | LedgerError] = []
        steps: dict[int, Step] = {}
        for index, (change, state) in enumerate(changes):
            try:
                answers.append(change.moved(state, now))
            except ValueError as no_such_step:
                answers.append(LedgerError(str(no_such_step)))
            else:
                steps[index] = self._next_step(change, state, now)
        for index, error in zip(steps, self._table.take(list(steps.values())), strict=True):
            change, state = changes[index]
            if error is None:
                names = {"adset": change.before.id, "from": change.state.value, "to": state.value}
                logger.info("ledger.move", extra=names)
            else:
                answers[index] = error
        return answers

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

    def newest_changes(self, slug: str, since: datetime) -> tuple[Change, ...]:
        """Return each ad set's newest change that may have been written, as far as anything became of it since then.

        A rollback in a later run counts: its write, too, may break ads.
        """
        items = self._table.query(campaign_key(slug), "CHANGE#", since=f"{since - ROLLED_BACK_WITHIN:{RUN_ID_TIME}}")
        changes = sorted(map(change_of, items), key=lambda change: change.prepared_at)
        newest = {change.before.id: change for change in changes if change.state is not ChangeState.NOT_WRITTEN}
        return tuple(change for change in newest.values() if change.changed_at >= since)

    def last_recheck(self, slug: str) -> datetime | None:
        """Return when a recheck of the campaign has last looked at all that it had to, None if never."""
        item = self._table.get(rechecked_key(slug))
        return datetime.fromisoformat(item["at"]) if item else None

    def record_recheck(self, slug: str, at: datetime) -> None:
        """Record that a recheck that began at a time has looked at all that it had to."""
        self._table.put({**rechecked_key(slug), "at": at.isoformat(), "expires_at": expiry(at)})

    def previous_outcomes(self, slug: str) -> PreviousOutcomes:
        """Return how earlier runs have left the campaign's ad sets."""
        items = {item["sk"]: item for item in self._table.query(campaign_key(slug), "MEMORY#")}
        deferred = items.pop(deferred_key(slug)["sk"], {}).get("adsets", ())
        unexplained = [items.pop(sk) for sk in sorted(items) if sk.startswith(UNEXPLAINED)]
        return PreviousOutcomes(
            reverted={sk.removeprefix("MEMORY#"): reverts_of(item) for sk, item in items.items()},
            deferred=frozenset(deferred),
            unexplained=tuple(map(unexplained_of, unexplained)),
        )

    def keep_unexplained(self, slug: str, pause: UnexplainedPause) -> None:
        """Keep which ads of an ad set are off without a trace of who did it."""
        item = {**unexplained_key(slug, pause.adset_id), **unexplained_item(pause)}
        self._table.put(item | {"expires_at": expiry(self._table.clock.now())})

    def forget_unexplained(self, slug: str, adset_id: str) -> None:
        """Forget an ad set's unexplained pauses: the ads are on again, or it is known who did it."""
        self._table.delete_if(unexplained_key(slug, adset_id), "attribute_exists(pk)", {})

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
        update = "SET #state = :to, changed_at = :now, ads = :ads"
        values: Item = {
            ":from": change.state.value,
            ":to": state.value,
            ":now": now.isoformat(),
            ":ads": ads_item(change),
        }
        if state is ChangeState.ROLLING_BACK and change.reason is not None:
            update, values[":reason"] = f"{update}, reason = :reason", change.reason.value
        if not state.is_open:
            update, values[":expires_at"] = f"{update}, expires_at = :expires_at REMOVE open_since", expiry(now)
        elif not change.state.is_open:
            update, values[":open_since"] = f"{update}, open_since = :open_since REMOVE expires_at", open_since(change)
        condition = "#state = :from OR (#state = :to AND changed_at = :now)"
        operations = [self._table.update_operation(change_key(change), update, condition, values)]
        key = reverts_key(change)
        if change.action is Action.SYNC and state is ChangeState.ROLLED_BACK and change.reason in _COUNTED:
            reverts = {**reverts_item(next_reverts(change)), "expires_at": expiry(now)}
            operations.append(self._table.put_operation(key | reverts))
        elif change.action is Action.SYNC and state is ChangeState.VERIFIED and change.reverts is not None:
            operations.append(self._table.delete_operation(key))
        refusal = f"The change of {change.before.id} is not {change.state} any more: another run has it"
        return Step(operations, max_bytes(change), refusal)
