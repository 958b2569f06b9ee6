"""Leases of campaigns, and claims of scheduled times."""

from collections.abc import Sequence
from datetime import UTC, datetime

from closrads.domain.request import Action
from closrads.ledger.dynamodb import MAX_TRANSACTION_OPERATIONS, Item, Table
from closrads.ledger.records import expiry, lease_key, scheduled_key, seconds_of


class Leases:
    """Ensures one run per campaign at a time, and one per scheduled time; leases expire by themselves.

    Every method raises a `LedgerError` if DynamoDB fails.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(
        self, slugs: Sequence[str], run_id: str, until: datetime, action: Action, invocation: str = ""
    ) -> dict[str, str]:
        """Lease the free campaigns for one run; return the id of the run that holds each of the others, by slug.

        `invocation` distinguishes the invocations that share a run.
        """
        values: Item = {":me": _holder(run_id, invocation), ":until": seconds_of(until), ":now": self._now}
        update = "SET holder = :me, #until = :until"
        if action is Action.SYNC:
            update, values[":run_id"] = f"{update}, last_sync = :run_id", run_id
        free = "attribute_not_exists(holder) OR holder = :me OR #until < :now"
        refused = self._update(slugs, free, update, values)
        return {slug: str(there["holder"]).partition("#")[0] for slug, there in refused.items()}

    def release(self, slugs: Sequence[str], run_id: str, invocation: str = "") -> None:
        """Release the leases of campaigns; a lease that another run has acquired meanwhile remains."""
        self._update(slugs, "holder = :me", "REMOVE holder, #until", {":me": _holder(run_id, invocation)})

    def is_held(self, slug: str, run_id: str) -> bool:
        """Return whether an invocation of this run holds the campaign's lease."""
        held = self.holder_of(slug)
        return held is not None and held[0] == run_id

    def holder_of(self, slug: str) -> tuple[str, datetime] | None:
        """Return the run that holds the campaign's lease, and until when at the latest; None if none does."""
        lease = self._table.get(lease_key(slug)) or {}
        holder, until = str(lease.get("holder", "")), int(lease.get("until", 0))
        return (holder.partition("#")[0], datetime.fromtimestamp(until, UTC)) if holder and until >= self._now else None

    def last_sync(self, slug: str) -> str:
        """Return the id of the last live sync that leased the campaign; empty if there was none."""
        return str((self._table.get(lease_key(slug)) or {}).get("last_sync", ""))

    def claim_time(self, key: str, run_id: str, until: datetime) -> str:
        """Claim a scheduled time for a run, until the time `until`; return the id of the run that holds the claim.

        That is another run if it claimed the time earlier and has either ended or not yet reached its own `until`. A
        run that has done neither is dead and loses its claim.
        """
        item = {
            **scheduled_key(key),
            "run_id": run_id,
            "ended": False,
            "until": seconds_of(until),
            "expires_at": expiry(until),
        }
        free = "attribute_not_exists(pk) OR run_id = :run_id OR (ended = :ended AND #until < :now)"
        holder = self._table.put_if(item, free, {":run_id": run_id, ":ended": False, ":now": self._now})
        return run_id if holder is None else str(holder["run_id"])

    def complete_time(self, key: str, run_id: str) -> None:
        """Record that the run which claimed this scheduled time has ended; no effect if another run holds the claim."""
        values = {":run_id": run_id, ":ended": True}
        self._table.update_if(scheduled_key(key), "SET ended = :ended", "run_id = :run_id", values)

    def release_time(self, key: str, run_id: str) -> None:
        """Release the run's claim of a scheduled time, so that another delivery of the event can claim it."""
        self._table.delete_if(scheduled_key(key), "run_id = :run_id", {":run_id": run_id})

    @property
    def _now(self) -> int:
        return seconds_of(self._table.clock.now())

    def _update(self, slugs: Sequence[str], condition: str, expression: str, values: Item) -> dict[str, Item]:
        """Update the leases for which the condition holds; return the existing items of the others, by slug."""
        refused: dict[str, Item] = {}
        for start in range(0, len(slugs), MAX_TRANSACTION_OPERATIONS):
            batch = slugs[start : start + MAX_TRANSACTION_OPERATIONS]
            groups = [[self._table.update_operation(lease_key(slug), expression, condition, values)] for slug in batch]
            refused |= {batch[index]: there for index, there in self._table.write_allowed(groups).items()}
        return refused


def _holder(run_id: str, invocation: str) -> str:
    return f"{run_id}#{invocation}" if invocation else run_id
