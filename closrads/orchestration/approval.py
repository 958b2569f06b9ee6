"""Approval: keeps the plan of a dry run, and makes a live run that names it carry out that plan or nothing new."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.plan_id import Plan, refusals
from closrads.domain.request import Action, RunRequest
from closrads.domain.settings import Settings
from closrads.domain.sync_report import SyncReport
from closrads.errors import EventError, LedgerError
from closrads.ledger.dynamodb import Table
from closrads.ledger.plans import Plans
from closrads.observability import logger
from closrads.orchestration.context import CAMPAIGNS_AT_ONCE, Run
from closrads.redaction import MAX_NAME_CHARS, one_line


def keep_plan(run: Run) -> str:
    """Keep the plan of a dry run of a sync and return its id; empty if it could not be kept."""
    if run.request.action is not Action.SYNC or not run.settings.ledger_table:
        return ""
    try:
        run.plans.keep(run.plan)
    except LedgerError as error:
        logger.warning("ledger.plan_not_kept", extra={"error": str(error), "hint": "It cannot be approved"})
        return ""
    return run.plan.id


def with_options_of_plan(request: RunRequest, settings: Settings, clock: Clock) -> RunRequest:
    """Return the request with the campaigns and lifted limits of the plan that it approves, unless it names its own.

    Raises
    ------
    EventError
        There is no such plan.
    """
    if not request.plan_id or not settings.ledger_table:
        return request
    plan = Plans(Table(settings.ledger_table, clock)).find(request.plan_id)
    if plan is None:
        known = "those of the dry runs of the last 30 days are"
        remedy = "Take the id from the end of a dry run's report, or make a new dry run, and approve its plan"
        raise EventError([f"plan_id: no plan {one_line(request.plan_id, MAX_NAME_CHARS)} is known; {known}. {remedy}"])
    campaigns = plan.campaigns if request.campaigns is None else request.campaigns
    return replace(request, campaigns=campaigns, force=request.force or plan.force)


def sync_as_approved(
    reports: Sequence[SyncReport], in_progress: Mapping[str, Generator[SyncReport, None, None]], run: Run
) -> list[SyncReport]:
    """Plan every campaign; then carry all plans out if together they are the approved one, or else start nothing new.

    Before that, open changes of earlier runs are recovered, and changes whose ads have broken since are rolled back.

    Parameters
    ----------
    reports
        The report of each campaign so far.
    in_progress
        The syncs by slug, without those of campaigns that another run holds; each yields its report after each stage.
    """

    def plan(report: SyncReport) -> SyncReport:
        for stage in in_progress.get(report.slug, ()):
            report = stage
            if report.slug in run.planned:
                break
        return report

    def carry_out_plan(report: SyncReport) -> SyncReport:
        for stage in in_progress.get(report.slug, ()):
            report = stage
        return replace(report, refused=run.refused.get(report.slug, ""))

    try:
        planned = map_concurrently(plan, reports, CAMPAIGNS_AT_ONCE)
        if run.plan.id != run.request.plan_id and not run.settings.paused_since:  # paused, no campaign plans anything
            run.refused.update(_refusals([report.slug for report in reports], run))
            for slug, why in run.refused.items():
                logger.warning("plan.refused", extra={"campaign": slug, "why": why})
        done = map_concurrently(carry_out_plan, planned, CAMPAIGNS_AT_ONCE)
    finally:
        for stages in in_progress.values():
            stages.close()
    names = {each.slug: each.name for each in run.settings.campaigns}
    unplanned = sorted(run.refused.keys() - {report.slug for report in done})
    return done + [
        SyncReport(slug, names.get(slug, slug), dry_run=False, refused=run.refused[slug]) for slug in unplanned
    ]


def _refusals(slugs: Sequence[str], run: Run) -> dict[str, str]:
    """Return why campaigns must not be changed, by slug, now that the plan is not the approved one."""
    plan_id = run.request.plan_id
    try:
        approved = run.plans.find(plan_id) or Plan(())
    except LedgerError as error:  # what has been recovered by now must be reported
        return dict.fromkeys(
            slugs, f"Refused: the plan is no longer the approved {plan_id}; how it differs is not known: {error}"
        )
    return refusals(plan_id, approved, run.plan, slugs)
