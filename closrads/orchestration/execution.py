"""Execution: carries out the decisions for a campaign's ad sets, and adds their results to its report."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import PreviousOutcomes
from closrads.domain.plan import Decision
from closrads.domain.settings import CampaignConfig
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.errors import LedgerError, PausedError
from closrads.observability import logger
from closrads.orchestration.context import CampaignContext, Completed
from closrads.rollout.budget import points_needed
from closrads.rollout.job import Job
from closrads.rollout.rollout import RolloutResult, carry_out, validate, withhold

DEFAULT_DELAY_SECONDS = 60
"""Delay before deferred work is resumed, unless the reason of the deferral implies another one."""


def carried_out(
    context: CampaignContext, report: SyncReport, done: Completed, decisions: Sequence[Decision]
) -> SyncReport:
    """Apply the changes, have Meta validate them, or only list them; return the report with the results."""
    campaign, run, job = context.campaign, context.run, context.job
    changes = [decision for decision in decisions if decision.is_change]
    rollout = RolloutResult({})
    if campaign.slug in run.refused:
        rollout = withhold(changes)
    elif not run.request.dry_run:
        rollout = carry_out(job, changes, campaign.limits.wave_size, done.waves)
    elif run.request.validate:
        rollout = validate(job, changes)
    report = replace(
        with_results(report, done, decisions, rollout.results),
        campaign_errors=(rollout.stopped,) if rollout.stopped else (),
        switched_off=_switch_of(campaign, rollout.paused),
    )
    if rollout.stopped or rollout.paused:
        return report
    return with_next_try(job, report, {change.adset.id: change.adset for change in changes})


def with_results(
    report: SyncReport, done: Completed, decisions: Iterable[Decision], results: Mapping[str, AdSetResult]
) -> SyncReport:
    """Return the report with a result for each ad set: from `results`, by id, or else from its decision."""
    rest = (each for each in decisions if each.adset.id not in done.completed)
    adsets = (results.get(each.adset.id) or each.to_result() for each in rest)
    listed = sorted((*done.completed.values(), *adsets), key=lambda each: (each.meta_campaign_id, each.id))
    return replace(report, adsets=tuple(listed))


def _switch_of(campaign: CampaignConfig, error: PausedError | None) -> SwitchedOff | None:
    if error is None:
        return None
    return SwitchedOff(error.since, campaign.slug, campaign.name) if error.is_of_campaign else SwitchedOff(error.since)


def with_next_try(job: Job, report: SyncReport, tried: Mapping[str, AdSetSnapshot]) -> SyncReport:
    """Add to the report when the ad sets that were deferred for lack of time or quota can be resumed."""
    waiting = [tried[adset.id] for adset in report.with_result(Result.DEFERRED) if adset.id in tried]
    if not waiting:
        return report
    waits = map(job.api.quota.seconds_until, {points_needed([adset]) for adset in waiting})  # any may be the next
    return replace(report, again_in_seconds=delay(max(filter(math.isfinite, waits), default=None)))


def delay(stated: float | None) -> int:
    """Return the delay in whole seconds, or the default if none is known."""
    return math.ceil(stated) if stated else DEFAULT_DELAY_SECONDS


def record_deferred(context: CampaignContext, report: SyncReport, previous: PreviousOutcomes) -> None:
    """Record the deferred ad sets, which the next sync changes first."""
    run, job = context.run, context.job
    deferred = [adset.id for adset in report.with_result(Result.DEFERRED)]
    if run.request.dry_run or job.campaign in run.refused or previous.deferred == frozenset(deferred):
        return
    try:
        job.ledger.record_deferred(job.campaign, deferred)
    except LedgerError as error:
        logger.warning("ledger.deferred_not_kept", extra={"campaign": job.campaign, "error": str(error)})
