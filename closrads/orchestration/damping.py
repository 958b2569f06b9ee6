"""Damping: the ledger's history of a campaign's demand, by which a state waits before it is added or removed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from closrads.domain.changes import PreviousOutcomes
from closrads.domain.damping import DemandHistory, lifted, observed
from closrads.domain.sync_report import SyncReport
from closrads.errors import LedgerError
from closrads.observability import logger
from closrads.orchestration.context import CampaignContext
from closrads.rollout.job import Job


def damped(
    context: CampaignContext, report: SyncReport, previous: PreviousOutcomes
) -> tuple[SyncReport, DemandHistory | None]:
    """Return what the campaign's syncs, including this one, have found wanted; None without damping.

    A live sync records that before it changes anything, so that its day counts however it ends; but not yet that limits
    are lifted, for its plan may be refused. While no state is removed, none stops waiting for its removal. The report
    tells if what was recorded before is of no use.
    """
    run, job, limits = context.run, context.job, context.campaign.limits
    stored = previous.demand
    if not limits.is_damped:
        if previous.has_demand_item and not run.request.dry_run:
            _keep_history(job, partial(job.ledger.forget_demand, job.campaign))
        return report, None
    day = (run.opened_at or run.clock.now()).astimezone(run.settings.timezone).date()
    if stored is not None and not stored.is_plausible(day):
        stored = None
    if previous.has_demand_item and stored is None:
        logger.warning("ledger.demand_unreadable", extra={"campaign": job.campaign, "hint": "The count begins anew"})
        report = replace(report, counts_anew=True)
    found = partial(observed, stored, report.active_states, day, is_complete=not report.unreadable_states)
    certain = found(limits)
    if not (run.request.dry_run or certain.decides_as(stored)):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, certain))
    force = run.request.force - {"remove_after_days"} if report.unreadable_states else run.request.force
    return report, found(lifted(limits, force))


def record_lifted(context: CampaignContext, history: DemandHistory | None) -> None:
    """Record for a live sync whose plan is not refused which states no longer wait because it has lifted limits."""
    run, job = context.run, context.job
    if history and run.request.force and not (run.request.dry_run or run.refused):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, history))


def _keep_history(job: Job, keep: Callable[[], None]) -> None:
    """Bring the recorded history up to date; if that fails, the day does not count."""
    try:
        keep()
    except LedgerError as error:
        logger.warning("ledger.demand_not_kept", extra={"campaign": job.campaign, "error": str(error)})
