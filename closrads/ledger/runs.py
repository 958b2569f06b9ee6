"""Live runs and their results, and the progress of runs that several invocations share."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from closrads.domain.adsets import LONG_AGO
from closrads.domain.request import Action
from closrads.domain.runs import CampaignProgress, RunRecord, SharedRun
from closrads.ledger.dynamodb import LAST_KEY, Table
from closrads.ledger.records import (
    expiry,
    progress_item,
    progress_key,
    progress_of,
    progress_partition,
    result_item,
    run_key,
    run_record_of,
    seconds_of,
    shared_run_item,
    shared_run_of,
)

_QUIET_KEPT_FOR = timedelta(days=2)
"""Retention of a shared run without news: longer than its workflow can be started again, and then run."""


class Runs:
    """The stored runs.

    Every method raises a `LedgerError` if DynamoDB fails.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, run_id: str, action: Action, slugs: Sequence[str], scheduled: datetime | None = None) -> None:
        """Record the start of a live run; `scheduled` as in `RunRecord`."""
        now = self._table.clock.now()
        item = {
            **run_key(run_id),
            "action": action.value,
            "campaigns": list(slugs),
            "started_at": now.isoformat(),
            "expires_at": expiry(now),
            **({"scheduled": scheduled.isoformat()} if scheduled else {}),
        }
        self._table.put(item)

    def end(self, run_id: str, result: Mapping[str, Any]) -> None:
        """Record the end of a run with its result, which must be redacted; details are dropped if it is too large."""
        values = {
            ":ended_at": self._table.clock.now().isoformat(),
            ":success": result["success"],
            ":result": result_item(result),
        }
        update = "SET ended_at = :ended_at, success = :success, #result = :result"
        self._table.update_if(run_key(run_id), update, "attribute_exists(pk)", values)

    def forget(self, run_id: str) -> None:
        """Delete a live run that found nothing to report."""
        self._table.delete_if(run_key(run_id), "attribute_exists(pk)", {})

    def end_quietly(self, run_id: str) -> None:
        """Record the end of a shared run that found nothing to report; it is not listed, and is deleted soon.

        Until then, repeated invocations, or those of another execution for the same scheduled time, see that it has
        ended.
        """
        now = self._table.clock.now()
        values = {":ended_at": now.isoformat(), ":quiet": True, ":expires_at": seconds_of(now + _QUIET_KEPT_FOR)}
        update = "SET ended_at = :ended_at, is_quiet = :quiet, expires_at = :expires_at"
        self._table.update_if(run_key(run_id), update, "attribute_exists(pk)", values)

    def exists(self, run_id: str) -> bool:
        """Return whether there was a live run with this id."""
        item = self._table.get(run_key(run_id))
        return item is not None and not item.get("dry_run")

    def newest(self, first: str = "0", last: str = LAST_KEY) -> Iterator[RunRecord]:
        """Yield the live runs from id `first` to id `last`, newest first; pages are read lazily."""
        items = self._table.newest("RUN", first, last)
        return (run_record_of(item) for item in items if not (item.get("dry_run") or item.get("is_quiet")))

    def open(self, run: SharedRun) -> SharedRun:
        """Record a run that several invocations will share, unless it exists; return the stored run."""
        there = self._table.put_if(shared_run_item(run), "attribute_not_exists(pk)", {})
        return (there and shared_run_of(there)) or run

    def opened(self, run_id: str) -> SharedRun | None:
        """Return the shared run with this id; None if there is none."""
        item = self._table.get(run_key(run_id))
        return shared_run_of(item) if item else None

    def begin_campaign(self, run_id: str, slug: str) -> tuple[int, CampaignProgress | None]:
        """Record that an invocation starts work on a campaign of a shared run.

        Return how many earlier invocations have started since the last saved progress, and that progress.
        """
        now = self._table.clock.now()
        update = "SET begun_at = :now, expires_at = :expires_at, begun_by = :me ADD begun_times :one"
        values = {":now": now.isoformat(), ":expires_at": expiry(now), ":me": self._table.writer, ":one": 1}
        before = self._table.update(progress_key(run_id, slug), update, values)
        # If the response was lost and the write is retried, this invocation is counted already.
        is_repetition = before.get("begun_by") == self._table.writer
        return int(before.get("begun_times", 0)) - is_repetition, progress_of(before)

    def save_progress(self, run_id: str, progress: CampaignProgress) -> None:
        """Save the progress of a campaign of a shared run."""
        self._table.put(progress_item(run_id, progress, self._table.clock.now()))

    def progress(self, run_id: str) -> dict[str, CampaignProgress]:
        """Return the progress of a shared run's campaigns, by slug."""
        found = {item["sk"]: progress_of(item) for item in self._table.query(progress_partition(run_id))}
        return {slug: progress for slug, progress in found.items() if progress is not None}

    def claim_end(self, run_id: str, until: datetime, invocation: str) -> datetime | None:
        """Claim the closing of a shared run for one invocation, until the time `until`.

        Return None if it was claimed, else the time until which another invocation holds the claim: `LONG_AGO` if the
        run has already ended.
        """
        now = seconds_of(self._table.clock.now())
        there = self._table.update_if(
            run_key(run_id),
            "SET ended_by = :me, ending_until = :until ADD ends_begun :one",
            "attribute_exists(pk) AND attribute_not_exists(ended_at) AND "
            "(attribute_not_exists(ended_by) OR ending_until < :now)",
            {":me": invocation, ":now": now, ":until": seconds_of(until), ":one": 1},
        )
        # If the response was lost and the write is retried, this invocation has the claim already.
        if there is None or ("ended_at" not in there and there.get("ended_by") == invocation):
            return None
        return LONG_AGO if "ended_at" in there else datetime.fromtimestamp(int(there["ending_until"]), UTC)
