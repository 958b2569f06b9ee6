"""Which run holds which campaign, and which run has taken a scheduled time."""

from collections.abc import Sequence
from datetime import datetime

from closrads.domain.request import Action
from closrads.ledger.dynamodb import MAX_TRANSACTION_OPERATIONS, Item, Table
from closrads.ledger.records import expiry, lease_key, scheduled_key, seconds_of


class Leases:
    """One run per campaign at a time, and one per scheduled time; a lease expires by itself.

    Every method raises `LedgerError` if DynamoDB does not do what it is asked.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(
        self, slugs: Sequence[str], run_id: str, until: datetime, action: Action, invocation: str = ""
    ) -> dict[str, str]:
        """Take the campaigns that are free for one run; return the others with the run that holds each.

        Invocations that share a run are told apart by `invocation`.
        """
        values: Item = {":me": _holder(run_id, invocation), ":until": seconds_of(until), ":now": self._now}
        update = "SET holder = :me, #until = :until"
        if action is Action.SYNC:
            update, values[":run_id"] = f"{update}, last_sync = :run_id", run_id
        free = "attribute_not_exists(holder) OR holder = :me OR #until < :now"
        refused = self._update(slugs, free, update, values)
        return {slug: str(there["holder"]).partition("#")[0] for slug, there in refused.items()}

    def release(self, slugs: Sequence[str], run_id: str, invocation: str = "") -> None:
        """Give campaigns back; a lease that another run has taken meanwhile stays."""
        self._update(slugs, "holder = :me", "REMOVE holder, #until", {":me": _holder(run_id, invocation)})

    def is_held(self, slug: str, run_id: str) -> bool:
        """Tell whether an invocation of this run is at work on the campaign."""
        lease = self._table.get(lease_key(slug)) or {}
        holder, until = str(lease.get("holder", "")), int(lease.get("until", 0))
        return holder.partition("#")[0] == run_id and until >= self._now

    def last_sync(self, slug: str) -> str:
        """Return the id of the live sync that last had the campaign, empty for none."""
        return str((self._table.get(lease_key(slug)) or {}).get("last_sync", ""))

    def claim_time(self, key: str, run_id: str, until: datetime) -> str:
        """Take a scheduled time for a run and return the run that has it: another one, if that ended or still lives.

        A run that neither ended nor has time left is dead, and loses its claim.
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
        """Record that the run which took this scheduled time has ended; does nothing for another run."""
        values = {":run_id": run_id, ":ended": True}
        self._table.update_if(scheduled_key(key), "SET ended = :ended", "run_id = :run_id", values)

    def release_time(self, key: str, run_id: str) -> None:
        """Let another delivery have the scheduled time that the run took."""
        self._table.delete_if(scheduled_key(key), "run_id = :run_id", {":run_id": run_id})

    @property
    def _now(self) -> int:
        return seconds_of(self._table.clock.now())

    def _update(self, slugs: Sequence[str], condition: str, expression: str, values: Item) -> dict[str, Item]:
        """Update the leases for which the condition holds; return the others with what is there."""
        refused: dict[str, Item] = {}
        for start in range(0, len(slugs), MAX_TRANSACTION_OPERATIONS):
            batch = slugs[start : start + MAX_TRANSACTION_OPERATIONS]
            groups = [[self._table.update_operation(lease_key(slug), expression, condition, values)] for slug in batch]
            refused |= {batch[index]: there for index, there in self._table.write_allowed(groups).items()}
        return refused


def _holder(run_id: str, invocation: str) -> str:
    return f"{run_id}#{invocation}" if invocation else run_id
