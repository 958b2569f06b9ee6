"""The ledger of ad set changes: each change is recorded before its write at Meta, and tracked to a final state.

One table. Each campaign has a partition with its lease, its changes and the outcomes of its last run; decisions about a
campaign are based on strongly consistent reads of that partition. The local index `open` lists the open changes.

=====================  ===============================  =======================================================
pk                     sk                               item
=====================  ===============================  =======================================================
``CAMPAIGN#<slug>``    ``LEASE``                        the run that holds the campaign, the expiry, and the last sync
``CAMPAIGN#<slug>``    ``CHANGE#<run>#<ad set>``        one ad set's change: its state, the targeting before and after
``CAMPAIGN#<slug>``    ``MEMORY#<ad set>``              the ad set's revert streak
``CAMPAIGN#<slug>``    ``MEMORY#deferred``              the ad sets that the last run deferred
``CAMPAIGN#<slug>``    ``MEMORY#demand``                which states were wanted, and for how long: only with damping
``CAMPAIGN#<slug>``    ``RECHECKED``                    the start of the last complete recheck, and the failures of
                                                        later ones that a report has named
``CAMPAIGN#<slug>``    ``MEMORY#unexplained#<ad set>``  the ad set's ads that were paused by an unknown actor
``ACCOUNT#<id>``       ``TIER``                         what is known of an ad account's access tier at Meta
``RUN``                ``<run>``                        a live run and, once it has ended, its result; a dry run only if
                                                        several invocations share it
``PARTS#<run>``        ``<slug>``                       the progress of one campaign in such a run
``PLAN``               ``<plan>``                       the plan of a dry run, which a live run may be held to
``SCHEDULED``          ``<action>#<time>#<campaigns>``  the run that claimed a scheduled time, and whether it has ended
=====================  ===============================  =======================================================
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from closrads.domain.changes import Change, ChangeState, LastRecheck, PreviousOutcomes, RollbackReason, UnexplainedPause
from closrads.domain.damping import DemandHistory
from closrads.domain.request import Action
from closrads.domain.runs import RUN_ID_TIME
from closrads.domain.tiers import KnownTier
from closrads.errors import LedgerError, LedgerItemTooLargeError
from closrads.ledger.dynamodb import LAST_KEY, AtomicWrite, Item, Table
from closrads.ledger.records import (
    MAX_ITEM_BYTES,
    UNEXPLAINED,
    ads_item,
    campaign_key,
    change_item,
    change_key,
    change_of,
    deferred_key,
    demand_item,
    demand_key,
    demand_of,
    expiry,
    max_bytes,
    open_since,
    recheck_item,
    recheck_of,
    rechecked_key,
    reverts_item,
    reverts_key,
    reverts_of,
    size_of,
    tier_item,
    tier_key,
    tier_of,
    unexplained_item,
    unexplained_key,
    unexplained_of,
)
from closrads.observability import logger

STARTED_AGAIN_WITHIN = timedelta(days=1)
"""Maximum time between the scheduled time in the id of a shared run and a change in that run."""
ROLLED_BACK_WITHIN = timedelta(days=7)
"""Maximum time between a run and a rollback of its change, for the rollback to be rechecked."""
MAX_CHANGES_SCANNED = 3_000
"""Maximum number of a campaign's changes that are read to find the newest ones of an ad set: about 5 MB."""
_COUNTED_REASONS = frozenset({None, RollbackReason.ADS_BROKEN, RollbackReason.PAUSE_UNEXPLAINED})
"""Rollback reasons that count for the revert streak; None is that of changes recorded before reasons were stored."""


class Ledger:
    """The changes of ad sets, and the outcomes that the next run takes into account.

    Every method raises a `LedgerError` if DynamoDB fails.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def prepare(self, changes: Sequence[Change]) -> list[LedgerError | None]:
        """Record changes before their writes at Meta; return the error of each, None if it was recorded.

        The error is a `LedgerItemTooLargeError` if the targeting is too large.
        """
        items = [change_item(change) for change in changes]
        errors: list[LedgerError | None] = [
            LedgerItemTooLargeError(f"The targeting of {item['adset']} is too large for the ledger: make it smaller")
            if size_of(item) > MAX_ITEM_BYTES
            else None
            for item in items
        ]
        fitting = [index for index, error in enumerate(errors) if error is None]
        writes = [self._insertion(changes[index], items[index]) for index in fitting]
        for index, error in zip(fitting, self._table.apply(writes), strict=True):
            errors[index] = error
        return errors

    def move(self, changes: Sequence[tuple[Change, ChangeState]]) -> list[Change | LedgerError]:
        """Move each change to its next state; return the change in that state, or the error.

        A transition that `TRANSITIONS` does not allow is refused, and so is one whose change is no longer in the given
        state, because another run has moved it. The same transaction updates the ad set's revert streak: a rollback
        extends it, a verified change ends it.
        """
        now = self._table.clock.now()
        answers: list[Change | LedgerError] = []
        writes: dict[int, AtomicWrite] = {}
        for index, (change, state) in enumerate(changes):
            try:
                answers.append(change.moved(state, now))
            except ValueError as not_allowed:
                answers.append(LedgerError(str(not_allowed)))
            else:
                writes[index] = self._transition(change, state, now)
        for index, error in zip(writes, self._table.apply(list(writes.values())), strict=True):
            change, state = changes[index]
            if error is None:
                names = {"adset": change.before.id, "from": change.state.value, "to": state.value}
                logger.info("ledger.move", extra=names)
            else:
                answers[index] = error
        return answers

    def mark_reported(self, change: Change, *, is_reported: bool = True) -> None:
        """Record whether a report has named a change's failed rollback or relapse; if not, the next report does."""
        values = {":is_reported": is_reported}
        self._table.update_if(change_key(change), "SET is_reported = :is_reported", "attribute_exists(pk)", values)

    def keep_ads(self, changes: Sequence[Change]) -> list[LedgerError | None]:
        """Record the ads that changes are responsible for by now, and when each was last seen on.

        Return the error of each, None if it was recorded.
        """
        return self._table.apply([self._with_ads(change) for change in changes])

    def open_changes(self, slug: str) -> tuple[Change, ...]:
        """Return the campaign's open changes, oldest first."""
        keys = self._table.query(campaign_key(slug), index="open")
        items = [self._table.get({"pk": key["pk"], "sk": key["sk"]}) for key in keys]
        return tuple(change_of(item) for item in items if item is not None)

    def changes_of(self, slug: str, run_id: str) -> tuple[Change, ...]:
        """Return a run's changes in a campaign, in the order of the ad set ids."""
        return tuple(map(change_of, self._table.query(campaign_key(slug), f"CHANGE#{run_id}#")))

    def changes_between(self, slug: str, first: str, last: str) -> tuple[Change, ...]:
        """Return the changes in a campaign by the runs from id `first` to id `last`, in the order of the runs."""
        return tuple(map(change_of, self._table.query(campaign_key(slug), "CHANGE#", since=first, until=last)))

    def prepared_since(self, slug: str, at: datetime) -> tuple[Change, ...]:
        """Return the changes in a campaign that were prepared after `at`, without those that were never written."""
        found = self.changes_between(slug, f"{at - STARTED_AGAIN_WITHIN:{RUN_ID_TIME}}", LAST_KEY)
        written = (each for each in found if each.state is not ChangeState.NOT_WRITTEN and not each.was_never_seen)
        return tuple(each for each in written if each.prepared_at > at)

    def newest_changes(self, slug: str, adsets: Collection[str]) -> Iterator[Change]:
        """Yield the changes of ad sets, given by id, from the newest run to the oldest; pages are read lazily."""
        items = self._table.newest(campaign_key(slug), "CHANGE#", f"CHANGE#{LAST_KEY}")
        return (change_of(item) for item in islice(items, MAX_CHANGES_SCANNED) if item["adset"] in adsets)

    def last_to_undo(self, slug: str) -> Change | None:
        """Return the newest verified change of a sync; None if the newest changes include none."""
        items = islice(self._table.newest(campaign_key(slug), "CHANGE#", f"CHANGE#{LAST_KEY}"), MAX_CHANGES_SCANNED)
        wanted = (Action.SYNC.value, ChangeState.VERIFIED.value)
        return next((change_of(item) for item in items if (item["action"], item["state"]) == wanted), None)

    def changes_in_effect(self, slug: str, since: datetime) -> tuple[Change, ...]:
        """Return each ad set's last change that may have been written, if its state has changed since `since`.

        Its rollback by a later run counts as well: the write of a rollback may break ads, too. A change that was rolled
        back without ever having been seen at Meta is followed by the ad set's change before it, which is in effect
        unless the write of the last one takes effect late.
        """
        items = self._table.query(campaign_key(slug), "CHANGE#", since=f"{since - ROLLED_BACK_WITHIN:{RUN_ID_TIME}}")
        in_effect = map(_in_effect, _by_adset(map(change_of, items)).values())
        return tuple(change for changes in in_effect if changes[0].changed_at >= since for change in changes)

    def last_changes(self, slug: str, run_id: str) -> tuple[Change, ...]:
        """Return the same of the ad sets that a run may have written, whenever that was.

        What breaks after a later run's change is that one's to roll back: its regions are not somebody else's.
        """
        own = _by_adset(self.changes_of(slug, run_id))
        if not own:
            return ()
        began = min(change.prepared_at for changes in own.values() for change in changes)
        first = min(run_id, f"{began - STARTED_AGAIN_WITHIN:{RUN_ID_TIME}}")
        found = _by_adset(self.changes_between(slug, first, LAST_KEY))
        return tuple(change for adset_id in own for change in _in_effect(found[adset_id]))

    def last_recheck(self, slug: str) -> LastRecheck | None:
        """Return the campaign's last complete recheck; None if there was none."""
        item = self._table.get(rechecked_key(slug))
        return recheck_of(item) if item else None

    def record_recheck(self, slug: str, recheck: LastRecheck) -> None:
        """Record a complete recheck."""
        self._table.put({**rechecked_key(slug), **recheck_item(recheck)})

    def previous_outcomes(self, slug: str) -> PreviousOutcomes:
        """Return what earlier runs recorded about the campaign's ad sets."""
        items = {item["sk"]: item for item in self._table.query(campaign_key(slug), "MEMORY#")}
        deferred = items.pop(deferred_key(slug)["sk"], {}).get("adsets", ())
        demand = items.pop(demand_key(slug)["sk"], None)
        unexplained = [items.pop(sk) for sk in sorted(items) if sk.startswith(UNEXPLAINED)]
        return PreviousOutcomes(
            reverted={sk.removeprefix("MEMORY#"): reverts_of(item) for sk, item in items.items()},
            deferred=frozenset(deferred),
            unexplained=tuple(map(unexplained_of, unexplained)),
            demand=demand_of(demand) if demand else None,
            has_demand_item=demand is not None,
        )

    def keep_unexplained(self, slug: str, pause: UnexplainedPause) -> None:
        """Record the ads of an ad set that were paused by an unknown actor, but not what this run did about them."""
        lasting = replace(pause, switched_on=frozenset())
        item = {**unexplained_key(slug, pause.adset_id), **unexplained_item(lasting)}
        self._table.put(item | {"expires_at": expiry(self._table.clock.now())})

    def forget_unexplained(self, slug: str, adset_id: str) -> None:
        """Delete an ad set's unexplained pauses, once none of its ads is left to follow."""
        self._table.delete_if(unexplained_key(slug, adset_id), "attribute_exists(pk)", {})

    def record_deferred(self, slug: str, adsets: Sequence[str]) -> None:
        """Record the ids of the ad sets that the next run should change first; an empty list clears them."""
        item = {**deferred_key(slug), "adsets": list(adsets), "expires_at": expiry(self._table.clock.now())}
        self._table.put(item)

    def record_demand(self, slug: str, history: DemandHistory) -> None:
        """Record what the campaign's syncs have found wanted."""
        item = {**demand_key(slug), **demand_item(history), "expires_at": expiry(self._table.clock.now())}
        self._table.put(item)

    def forget_demand(self, slug: str) -> None:
        """Delete what the campaign's syncs have found wanted, which is not kept up to date while damping is off."""
        self._table.delete_if(demand_key(slug), "attribute_exists(pk)", {})

    def known_tier(self, account: str) -> KnownTier | None:
        """Return what earlier runs have learned of an ad account's access tier at Meta; None if nothing is known."""
        item = self._table.get(tier_key(account))
        return tier_of(item) if item else None

    def keep_tier(self, account: str, tier: KnownTier) -> None:
        """Record what a run has learned of an ad account's access tier at Meta."""
        self._table.put({**tier_key(account), **tier_item(tier), "expires_at": expiry(tier.proven_at)})

    def _insertion(self, change: Change, item: Item) -> AtomicWrite:
        put = self._table.put_operation(
            item,
            "attribute_not_exists(pk) OR #state = :not_written OR (#state = :prepared AND prepared_at = :prepared_at)",
            {
                ":not_written": ChangeState.NOT_WRITTEN.value,
                ":prepared": ChangeState.PREPARED.value,
                ":prepared_at": item["prepared_at"],
            },
        )
        return AtomicWrite([put], max_bytes(change), f"{change.before.id} already has a change in this run")

    def _with_ads(self, change: Change) -> AtomicWrite:
        values: Item = {":ads": ads_item(change)}
        update = self._table.update_operation(change_key(change), "SET ads = :ads", "attribute_exists(pk)", values)
        return AtomicWrite([update], max_bytes(change), f"The change of {change.before.id} is gone")

    def _transition(self, change: Change, state: ChangeState, now: datetime) -> AtomicWrite:
        update = "SET #state = :to, changed_at = :now, ads = :ads, moved_by = :me"
        values: Item = {
            ":from": change.state.value,
            ":to": state.value,
            ":now": now.isoformat(),
            ":ads": ads_item(change),
            ":me": self._table.writer,
        }
        if state is ChangeState.ROLLING_BACK and change.reason is not None:
            update, values[":reason"] = f"{update}, reason = :reason", change.reason.value
        if change.stored:
            update, values[":stored"] = f"{update}, stored_regions = :stored", sorted(change.stored)
        if not state.is_open:
            update, values[":expires_at"] = (
                f"{update}, expires_at = :expires_at REMOVE open_since, is_reported",
                expiry(now),
            )
        elif not change.state.is_open:
            # A report may have named the relapse of its ads; if the rollback now fails, that is news again.
            update, values[":open_since"] = (
                f"{update}, open_since = :open_since REMOVE expires_at, is_reported",
                open_since(change),
            )
        # If the response was lost and the write is retried, the state is already `:to`, written by this invocation.
        condition = "#state = :from OR (#state = :to AND moved_by = :me)"
        operations = [self._table.update_operation(change_key(change), update, condition, values)]
        key = reverts_key(change)
        if change.action is Action.SYNC and state is ChangeState.ROLLED_BACK and change.reason in _COUNTED_REASONS:
            reverts = {**reverts_item(change.next_reverts), "expires_at": expiry(now)}
            operations.append(self._table.put_operation(key | reverts))
        elif change.action is Action.SYNC and state is ChangeState.VERIFIED and change.reverts is not None:
            operations.append(self._table.delete_operation(key))
        refusal = f"The change of {change.before.id} is not {change.state} any more: another run has it"
        return AtomicWrite(operations, max_bytes(change), refusal)


def _by_adset(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Return the changes that may have been written, by the id of their ad set."""
    by_adset: dict[str, list[Change]] = {}
    for change in changes:
        if change.state is not ChangeState.NOT_WRITTEN:
            by_adset.setdefault(change.before.id, []).append(change)
    return by_adset


def _in_effect(changes: Sequence[Change]) -> Sequence[Change]:
    """Return the newest of an ad set's changes, followed by the older ones that it may have left in effect."""
    newest_first = sorted(changes, key=lambda change: (change.changed_at, change.prepared_at), reverse=True)
    count = 1
    while count < len(newest_first) and newest_first[count - 1].was_never_seen:
        count += 1
    return newest_first[:count]
