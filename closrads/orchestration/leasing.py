"""Leases: a live run works only on campaigns that no other run holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from closrads.clock import MAX_RUN_SECONDS, Clock
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.settings import CampaignConfig
from closrads.domain.sync_report import SyncReport
from closrads.errors import LedgerError
from closrads.meta.graph import RESERVED_SECONDS
from closrads.observability import logger
from closrads.orchestration.context import Run

LEASE_MARGIN = timedelta(seconds=30)
"""Time by which a lease outlives its run, because clocks differ."""
BUSY_WAIT_SECONDS, MAX_BUSY_SHARE = 15.0, 0.5
"""Seconds between a scheduled sync's attempts to lease a campaign, and the share of its time that it spends on them.

A recheck, which a push from Meta may start at any time, takes seconds, or minutes if it waits for quota or rolls back.
"""


def lease_until(clock: Clock) -> datetime:
    """Return the expiry of this invocation's leases: a time by which it has certainly ended."""
    return clock.now() + timedelta(seconds=min(clock.remaining(), MAX_RUN_SECONDS)) + LEASE_MARGIN


def acquire(slugs: Sequence[str], run: Run, until: datetime) -> dict[str, str]:
    """Lease the free campaigns; return the id of the run that holds each of the others, by slug.

    A scheduled sync retries for half of its time: a recheck in progress must not cost it the day.
    """
    busy = run.leases.acquire(slugs, run.run_id, until, run.request.action)
    if run.request.scheduled and run.request.action is Action.SYNC:
        reserved = max(run.clock.remaining() * (1 - MAX_BUSY_SHARE), RESERVED_SECONDS)
        while busy and run.clock.remaining() - BUSY_WAIT_SECONDS >= reserved:
            run.clock.sleep(BUSY_WAIT_SECONDS)
            busy = run.leases.acquire(list(busy), run.run_id, until, run.request.action)
    return busy


def release(slugs: Sequence[str], run: Run, invocation: str = "") -> None:
    """Release the leases of campaigns."""
    try:
        run.leases.release(slugs, run.run_id, invocation)
    except LedgerError as error:
        logger.error("ledger.lease_kept", extra={"campaigns": slugs, "error": str(error)})  # until it expires


def release_time(run: Run) -> None:
    """Release the run's claim of its scheduled time, if it has one: a later delivery may do what this run could not."""
    if run.request.scheduled:
        run.leases.release_time(run.request.time_key, run.run_id)


def left_to_holder(campaign: CampaignConfig, holder: str, run: Run) -> SyncReport:
    """Return the report of a campaign that another run holds, and that is left to that run."""
    return replace(run.new_report(campaign), left_to=holder)


def leave_to(holder: str, result: RunResult) -> RunResult:
    """Return the result of a run that leaves everything to another one."""
    logger.warning("run.left", extra={"left_to": holder})
    return replace(result, left_to=holder)
