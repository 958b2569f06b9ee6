"""The last steps of a run: decide whether to report its result, and record it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from closrads.clock import MAX_RUN_SECONDS, REPORT_SECONDS, Clock
from closrads.domain.adset_results import Result
from closrads.domain.changes import MAX_RECHECK_GAP, ChangeState, LastRecheck, recheck_since
from closrads.domain.mail_policy import (
    ReportPlan,
    failures_of,
    is_recheck_due,
    lookback_start,
    plan_report,
    reported_with,
    without_later_reports,
)
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.runs import RUN_ID_TIME, RunRecord
from closrads.domain.settings import Settings
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError, LedgerError
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.runs import Runs
from closrads.observability import log_defect, logger
from closrads.redaction import redact_all
from closrads.rollout.recovery import report_open

MAX_RUNS_SCANNED = 100
"""Maximum number of runs that are read to find removed campaigns if there was no daily run the day before."""
_TOLD = frozenset({MailOutcome.SENT, MailOutcome.NOT_CONFIGURED})
"""Outcomes of the mail after which nothing has to be told again: without a mail, the result is all that there is."""


def planned_report(
    result: RunResult, request: RunRequest, settings: Settings, clock: Clock
) -> tuple[RunResult, ReportPlan]:
    """Return the result to report, and whether its report is due and what it sums up.

    If the ledger cannot be read, the report is due. The result of a scheduled sync also includes campaigns that have
    been removed with open changes.
    """
    table = Table(settings.ledger_table, clock)
    read: list[RunRecord] = []
    try:
        if result.action is Action.RECHECK and not result.dry_run:
            return result, _planned_recheck(result, table, clock)
        if request.scheduled is None or not request.follows_schedule:
            return result, ReportPlan()
        first = f"{lookback_start(request.scheduled, settings.timezone):{RUN_ID_TIME}}"
        recorded = RunResult.from_json(redact_all(result.to_json()))
        runs = _kept(_in_time(Runs(table).newest(first), clock), read)
        plan = plan_report(recorded, request.scheduled, runs, settings.timezone)
        if not any(map(_names_all_removed, read)):
            read += _up_to_the_last_daily_run(_in_time(Runs(table).newest(last=first), clock))
        known = {report.slug for report in result.campaigns} | {each.slug for each in settings.campaigns}
        removed = [report for slug, report in sorted(_campaigns_of(read).items()) if slug not in known]
        left = [each for each in (_left_open(report, Ledger(table)) for report in removed) if each is not None]
        return replace(result, campaigns=(*result.campaigns, *left)), plan
    except ClosradsError as error:
        logger.warning("ledger.runs_unread", extra={"error": str(error)})
    except Exception as error:  # noqa: BLE001 - ads may have changed: a defect must not suppress the report
        log_defect(error)
    return result, ReportPlan()


def _kept(runs: Iterator[RunRecord], read: list[RunRecord]) -> Iterator[RunRecord]:
    """Yield the runs, and keep those that have been read."""
    for run in runs:
        read.append(run)
        yield run


def _names_all_removed(run: RunRecord) -> bool:
    """Return whether a run's result has the campaigns that had been removed before it with open changes."""
    return run.scheduled is not None and run.result is not None and bool(run.result.campaigns)


def _up_to_the_last_daily_run(runs: Iterator[RunRecord]) -> Iterator[RunRecord]:
    """Yield the newest runs until one names the campaigns that had been removed before it."""
    for run in islice(runs, MAX_RUNS_SCANNED):
        yield run
        if _names_all_removed(run):
            return


def _campaigns_of(runs: Sequence[RunRecord]) -> dict[str, SyncReport]:
    """Return the newest report of each campaign, by slug; an empty one if all runs with it have died."""
    reports = [report for run in runs if run.result for report in run.result.campaigns]
    reports += [SyncReport(slug, slug, dry_run=False) for run in runs for slug in run.campaigns]
    return {report.slug: report for report in reversed(reports)}


def _left_open(report: SyncReport, ledger: Ledger) -> SyncReport | None:
    """Return the report of a removed campaign with its open changes, which no run can finish; None if it has none."""
    changes = ledger.open_changes(report.slug)
    if not changes:
        return None
    error = (
        f"Removed with open changes: put the parameters campaigns/{report.slug}/… back, with `enabled` false, until a "
        "run has finished these changes; or close them by hand (docs/runbook.md, “rollback_failed”)"
    )
    return SyncReport(
        report.slug,
        report.campaign_name,
        dry_run=False,
        campaign_errors=(error,),
        recovered=report_open(changes),
        fb_ad_account_id=report.fb_ad_account_id,
    )


def _planned_recheck(result: RunResult, table: Table, clock: Clock) -> ReportPlan:
    """Return whether the report of a recheck is due; the ledger is read only if the recheck has failed somewhere."""
    failed = (campaign.slug for campaign in result.campaigns if failures_of(campaign))
    last = {slug: Ledger(table).last_recheck(slug) for slug in failed}
    reported = {slug: each.reported for slug, each in last.items() if each and each.reported}
    if reported:
        first = min(each.at for each in reported.values()) - timedelta(seconds=MAX_RUN_SECONDS)
        runs = _in_time(Runs(table).newest(f"{first:{RUN_ID_TIME}}"), clock)
        reported = without_later_reports(reported, [run.result for run in runs if run.result])
    return ReportPlan(is_due=is_recheck_due(result, reported, clock.now()))


def _in_time(runs: Iterator[RunRecord], clock: Clock) -> Iterator[RunRecord]:
    """Yield the runs while time remains for the report itself; then raise a `LedgerError`."""
    while clock.remaining() >= REPORT_SECONDS:
        run = next(runs, None)
        if run is None:
            return
        yield run
    raise LedgerError("There is no time to read more of the earlier runs: the report is still to be sent")


def end_run(result: RunResult, request: RunRequest, settings: Settings, clock: Clock) -> None:
    """Record the result of a run, and that its scheduled time is completed.

    A recheck without news is deleted instead, as there are 48 per day; a shared one is kept for some days, as other
    invocations may still read it.
    """
    if result.left_to or (result.dry_run and not request.opens):
        return
    table = Table(settings.ledger_table, clock)
    try:
        if result.is_news:
            Runs(table).end(result.run_id, redact_all(result.to_json()))
            _mark_reported(result, Ledger(table))
            _keep_failures(result, Ledger(table), clock)
        elif request.opens:
            Runs(table).end_quietly(result.run_id)
        else:
            Runs(table).forget(result.run_id)
        if request.scheduled and not request.opens:
            Leases(table).complete_time(request.time_key, result.run_id)
    except LedgerError as error:
        logger.error("ledger.run_not_ended", extra={"error": str(error)})


def _mark_reported(result: RunResult, ledger: Ledger) -> None:
    """Record which pauses, failed rollbacks and relapses the report has named, so that they are no longer news."""
    if result.mail not in _TOLD:
        return
    for campaign in result.campaigns:
        failed = {adset.id for adset in campaign.with_result(Result.ROLLBACK_FAILED)}
        failed |= {each.id for each in campaign.still_open if not each.is_reported}
        for change in ledger.open_changes(campaign.slug) if failed else ():
            if change.state is ChangeState.ROLLBACK_FAILED and change.before.id in failed and not change.is_reported:
                ledger.mark_reported(change)
        left = campaign.with_result(Result.SKIPPED_PREFLIGHT, Result.UNCHANGED)
        relapsed = {each.id for each in left if each.issues and not each.is_reported}
        # Those keep it themselves.
        relapsed -= {pause.adset_id for pause in campaign.unexplained if not pause.is_reported}
        if result.action is Action.RECHECK and relapsed:
            since = recheck_since(ledger.last_recheck(campaign.slug), result.started_at)
            for change in ledger.changes_in_effect(campaign.slug, since):
                if change.before.id in relapsed and not change.state.is_open:
                    ledger.mark_reported(change)
        _mark_pauses_reported(campaign, ledger)


def _mark_pauses_reported(campaign: SyncReport, ledger: Ledger) -> None:
    """Record that pauses have been reported; what another run has recorded of them since then stands."""
    new = [pause for pause in campaign.unexplained if not pause.is_reported]
    recorded = {each.adset_id: each for each in ledger.previous_outcomes(campaign.slug).unexplained} if new else {}
    for pause in new:
        ledger.keep_unexplained(campaign.slug, pause.reported(recorded.get(pause.adset_id, pause)))


def _keep_failures(result: RunResult, ledger: Ledger, clock: Clock) -> None:
    """Record which failures the report of a recheck has named; the next recheck without any forgets them."""
    if result.action is not Action.RECHECK or result.mail not in _TOLD:
        return
    now = clock.now()
    for campaign in filter(failures_of, result.campaigns):
        last = ledger.last_recheck(campaign.slug) or LastRecheck(now - MAX_RECHECK_GAP)  # as `recheck_since` assumes
        reported = reported_with(last.reported, campaign, now)
        ledger.record_recheck(campaign.slug, replace(last, reported=reported))
