"""Damping: keeps the history of a campaign's demand in the ledger, which decides how long a state has to wait."""

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
    """Return the report, and the history of the demand including this sync; None without damping.

    A live sync records the history before it changes anything, so that its day counts no matter how the sync ends. It
    does not record yet that limits are lifted, because its plan may still be refused. While unreadable demand forbids
    removals, no state stops waiting for its removal. The report says if the stored history could not be used.
    """
    run, job, limits = context.run, context.job, context.campaign.limits
    stored = previous.demand
    if not limits.is_damped:
        if previous.has_demand_item and not run.request.dry_run:
            _keep_history(job, partial(job.ledger.forget_demand, job.campaign))
        return report, None
    day = run.started_at.astimezone(run.settings.timezone).date()
    if stored is not None and not stored.is_plausible(day):
        stored = None
    if previous.has_demand_item and stored is None:
        logger.warning("ledger.demand_unreadable", extra={"campaign": job.campaign, "hint": "The count begins anew"})
        report = replace(report, counts_anew=True)
    found = partial(observed, stored, report.active_states, day, is_complete=not report.unreadable_states)
    regular = found(limits)
    if not (run.request.dry_run or regular.decides_as(stored)):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, regular))
    force = run.request.force - {"remove_after_days"} if report.unreadable_states else run.request.force
    return report, found(lifted(limits, force))


def record_lifted(context: CampaignContext, history: DemandHistory | None) -> None:
    """Record which states no longer wait because this live sync has lifted limits, unless its plan was refused."""
    run, job = context.run, context.job
    if history and run.request.force and not (run.request.dry_run or run.refused):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, history))


def _keep_history(job: Job, update: Callable[[], None]) -> None:
    """Update the stored history; if that fails, the day does not count."""
    try:
        update()
    except LedgerError as error:
        logger.warning("ledger.demand_not_kept", extra={"campaign": job.campaign, "error": str(error)})
