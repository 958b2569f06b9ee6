"""A run that several invocations share: one opens it, others process its campaigns in turn, one closes it.

They communicate only through the ledger, so any of them may die, run twice, or run again much later.
"""

import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from closrads.clock import Clock
from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.changes import Change, ChangeState
from closrads.domain.metrics import API_DAYS_LEFT, new_failed_rollbacks
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import GraphUsage, RunResult
from closrads.domain.runs import RUN_ID_TIME, CampaignProgress, SharedRun
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.switches import latest
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError, ConfigError, EventError, LedgerError
from closrads.ledger.changes import STARTED_AGAIN_WITHIN, Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.runs import Runs
from closrads.meta.graph import API_VERSION
from closrads.meta.versions import days_left
from closrads.observability import emit_metrics, logger
from closrads.orchestration.context import Completed, Run
from closrads.orchestration.execution import DEFAULT_DELAY_SECONDS
from closrads.orchestration.leasing import lease_until, release
from closrads.orchestration.recheck import changes_to_recheck
from closrads.orchestration.undo import refuse_undo_while_paused
from closrads.rollout.rechecks import outcome_of
from closrads.sync import _sync_campaign, chosen_campaigns, reports_with_drift

RESUMED_FOR = timedelta(hours=4)
"""Time after the opening of a run during which its deferred ad sets are resumed; later, the next run takes them."""
QUOTA_PATIENCE_SECONDS = 30.0
"""Maximum time to wait for quota within an invocation; the workflow waits longer at no cost."""
MAX_TRIES = 3
"""Invocations that may die on the same work before it is given up, because the next one would probably die as well."""
_UNFINISHED = frozenset({Result.DEFERRED, Result.HELD, Result.UNVERIFIED, Result.ROLLBACK_FAILED})
"""Results that a later invocation of the run processes again: not started, or with an open change."""
NO_RESULT = (
    "Nothing is known of what became of it: the function failed or was cut off while at work on it, or another run had "
    "it all the time. The next run first finishes or undoes what is half done"
)


def open_run(request: RunRequest, settings: Settings, clock: Clock) -> dict[str, Any]:
    """Record a run, and return its id and the campaigns to process, grouped by ad account.

    A run opened again, for the same request and scheduled time, is the same run, without its completed campaigns.

    Raises
    ------
    EventError
        The scheduled time is more than a day ago, or an undo names no run.
    PausedError
        The request is an undo, and everything is paused.
    """
    refuse_undo_while_paused(request)
    now = clock.now()
    if request.action is Action.UNDO and request.run_id is None:
        raise EventError(["run_id: must name the run to undo, for another sync may come between two campaigns"])
    if request.scheduled and now - request.scheduled > STARTED_AGAIN_WITHIN:
        raise EventError(["scheduled: is more than a day ago; leave it out, and it is a run of today"])
    table = _table(settings, clock)
    campaigns = chosen_campaigns(request, settings, table)
    names = {campaign.slug: campaign.name for campaign in campaigns}
    runs = Runs(table)
    off = tuple(switch for switch in settings.switched_off if switch.slug)
    run = runs.open(SharedRun(_run_id(request, now), request, now, names, off, notices=settings.notices))
    by_slug = runs.progress(run.run_id)
    over = {slug for slug, progress in by_slug.items() if progress.is_over} if not run.has_ended else set(names)
    left = [campaign for campaign in campaigns if campaign.slug in run.campaigns and campaign.slug not in over]
    logger.info("run.opened", extra={"run": run.run_id, "campaigns": len(names), "left": len(left)})
    return {
        "run_id": run.run_id,
        "dry_run": request.dry_run,
        "has_ended": run.has_ended,
        "campaigns": len(names),
        "accounts": _by_account(left, _rotation(request.scheduled or now)),
        "recheck": _recheck_after(request),
    }


def run_campaign(run_id: str, slug: str, settings: Settings, clock: Clock) -> dict[str, Any]:
    """Process one campaign of an open run; return its counts, and when to resume it if anything is deferred."""
    table = _table(settings, clock)
    opened = _opened(run_id, Runs(table))
    if slug not in opened.campaigns:
        raise EventError([f"campaigns: {slug!r} is none of run {run_id}"])
    if opened.has_ended:
        return _answer(run_id, slug, None)
    run = Run(run_id, opened.request, settings, clock, table, opened.started_at, QUOTA_PATIENCE_SECONDS)
    if opened.request.dry_run:
        return _work_on(slug, opened, run)
    invocation = _invocation()
    try:
        busy = run.leases.acquire([slug], run_id, lease_until(clock), opened.request.action, invocation)
    except LedgerError:
        release([slug], run, invocation)  # it may have been acquired, and would block others until it expires
        raise
    if busy:
        logger.warning("campaign.busy", extra={"campaign": slug, "left_to": busy[slug]})
        again = DEFAULT_DELAY_SECONDS if _is_in_time(opened, run, DEFAULT_DELAY_SECONDS) else None
        return {**_answer(run_id, slug, None), "again_in_seconds": again}
    try:
        return _work_on(slug, opened, run)
    finally:
        release([slug], run, invocation)


def close_run(
    run_id: str, settings: Settings, clock: Clock, finish: Callable[[RunResult, RunRequest], RunResult]
) -> dict[str, Any]:
    """Combine the results of all campaigns of an open run, and `finish` it, once.

    The answer has `again_in_seconds` if another invocation is closing it at the moment.

    Raises
    ------
    ClosradsError
        `MAX_TRIES` invocations have died while closing it.
    """
    table = _table(settings, clock)
    opened = _opened(run_id, Runs(table))
    run = Run(run_id, opened.request, settings, clock, table, opened.started_at)
    by_slug = run.runs.progress(run_id)
    unknown = [slug for slug in opened.campaigns if slug not in by_slug or not by_slug[slug].is_over]
    if unknown and not opened.has_ended:
        if any(run.leases.is_held(slug, run_id) for slug in unknown):
            return {"run_id": run_id, "has_ended": False, "again_in_seconds": DEFAULT_DELAY_SECONDS}
        by_slug = run.runs.progress(run_id)  # the holder of a lease may have saved its progress since
    if opened.ends_begun >= MAX_TRIES and not opened.has_ended:
        raise ClosradsError(
            f"Run {run_id} was to be closed {MAX_TRIES} times, and the function died each time: its log says why. "
            f"What became of each ad set stands in the ledger: python -m closrads history --run {run_id}"
        )
    if others_until := run.runs.claim_end(run_id, lease_until(clock), _invocation()):
        rest = math.ceil((others_until - clock.now()).total_seconds())
        return {"run_id": run_id, "has_ended": rest < 0, "again_in_seconds": rest + 1 if rest >= 0 else None}
    gathered = _gather(opened, by_slug, settings, clock.now())
    reports = tuple(_without_ads_on_again(report, run.ledger) for report in gathered.campaigns)
    result = finish(replace(gathered, campaigns=reports), opened.request)
    mail = {"mail": result.mail.value, "mail_refused": list(result.mail_refused)}
    return {"run_id": run_id, "has_ended": True, "again_in_seconds": None, **mail, **result.totals()}


def _without_ads_on_again(report: SyncReport, ledger: Ledger) -> SyncReport:
    """Return a campaign's report without the pauses of ads that a recheck, but not this run, has seen on again."""
    try:
        recorded = ledger.previous_outcomes(report.slug).unexplained if report.unexplained else ()
    except LedgerError as error:  # reports too much rather than nothing
        logger.warning("ledger.outcomes_unread", extra={"campaign": report.slug, "error": str(error)})
        return report
    on_again = frozenset(ad_id for pause in recorded for ad_id in pause.on_again)
    left = (pause.without(on_again - pause.switched_on) for pause in report.unexplained)
    return replace(report, unexplained=tuple(pause for pause in left if pause and pause.ads))


def _invocation() -> str:
    return uuid.uuid4().hex[:8]


def _run_id(request: RunRequest, now: datetime) -> str:
    """Return a run id, which is the same for the same request at the same scheduled time."""
    same = json.dumps(request.to_json(), sort_keys=True)
    tail = sha256(same.encode()).hexdigest() if request.scheduled else uuid.uuid4().hex
    return f"{request.scheduled or now:{RUN_ID_TIME}}-{tail[:8]}"


def _recheck_after(request: RunRequest) -> dict[str, Any] | None:
    """Return the event that opens the recheck of a live sync, for the campaigns that are enabled by then."""
    if request.action is not Action.SYNC or request.dry_run:
        return None
    again: dict[str, Any] = {"step": "open", "action": Action.RECHECK.value, "dry_run": False, "notify": request.notify}
    if request.scheduled:
        again["scheduled"] = request.scheduled.isoformat()
    return again


def _rotation(start: datetime) -> int:
    """Return a number that grows by one with each day, and with each hour within a day."""
    return start.toordinal() + start.hour


def _by_account(campaigns: Sequence[CampaignConfig], rotation: int) -> list[list[str]]:
    """Return the campaigns of each ad account, rotated, because the last ones may get no quota."""
    accounts: dict[str, list[str]] = {}
    for campaign in campaigns:
        accounts.setdefault(campaign.fb_ad_account_id, []).append(campaign.slug)
    return [slugs[rotation % len(slugs) :] + slugs[: rotation % len(slugs)] for slugs in accounts.values()]


def _table(settings: Settings, clock: Clock) -> Table:
    if not settings.ledger_table:
        raise ConfigError(["CLOSRADS_LEDGER_TABLE: must be set: what invocations share stands in the ledger"])
    return Table(settings.ledger_table, clock)


def _opened(run_id: str, runs: Runs) -> SharedRun:
    opened = runs.opened(run_id)
    if opened is None:
        raise EventError([f"run_id: the ledger knows no run {run_id} that was opened for several invocations"])
    return opened


def _work_on(slug: str, opened: SharedRun, run: Run) -> dict[str, Any]:
    campaign = next((each for each in run.settings.campaigns if each.slug == slug), None)
    times, before = run.runs.begin_campaign(run.run_id, slug)
    if before and before.is_over:
        return _answer(run.run_id, slug, before)
    earlier = before.report if before else None
    report = SyncReport(slug, opened.campaigns[slug], run.request.dry_run)
    if times >= MAX_TRIES:
        report = replace(earlier or report, campaign_errors=(NO_RESULT,), again_in_seconds=None)
    elif campaign:
        known = earlier or (report if times else None)
        resume = partial(_done_before, slug, run, known) if known else Completed
        report = _sync_campaign(campaign, run, known, resume)
        if not run.request.dry_run:
            (report,) = reports_with_drift(run, [report])
    else:
        taken_away = ("Its parameters were taken away since the run was opened",)
        report = replace(earlier or report, campaign_errors=taken_away, again_in_seconds=None)
    again = report.again_in_seconds
    graph = run.meter.reading() + before.graph if before else run.meter.reading()
    progress = CampaignProgress(report, graph, is_over=again is None or not _is_in_time(opened, run, again))
    warned = {API_DAYS_LEFT: 0} if run.meter.version_warning else {}
    emit_metrics({**new_failed_rollbacks(report, earlier), **warned}, run.settings.stage)
    run.runs.save_progress(run.run_id, progress)
    return _answer(run.run_id, slug, progress)


def _done_before(slug: str, run: Run, earlier: SyncReport) -> Completed:
    """Return what earlier invocations of the run have completed in a campaign, and the results of their waves.

    A change of an interrupted wave may have been rolled back only because of the interruption, so it does not count.
    """
    # A sync reads unchanged ad sets again anyway, and their ads may have broken since.
    left = _UNFINISHED if run.request.action is Action.RECHECK else _UNFINISHED | {Result.UNCHANGED}
    completed = {adset.id: adset for adset in earlier.adsets if adset.result not in left}
    reported = frozenset(completed)
    waves: dict[datetime, list[AdSetResult]] = {}
    for change in sorted(_changes_before(slug, run), key=lambda change: change.prepared_at):
        if outcome := outcome_of(change):
            known = completed.setdefault(outcome.id, outcome)
            if known.result is Result.UPDATED and outcome.result is not known.result:  # a recheck has put it back since
                completed[outcome.id] = outcome
            if outcome.id in reported:
                waves.setdefault(change.prepared_at, []).append(outcome)
    return Completed(completed, list(waves.values()))


def _changes_before(slug: str, run: Run) -> Sequence[Change]:
    """Return the changes that earlier invocations of the run have made or, in a recheck, rolled back."""
    if run.request.action is not Action.RECHECK:
        return run.ledger.changes_of(slug, run.run_id)
    changes = changes_to_recheck(run, slug, run.ledger.last_recheck(slug))
    return [each for each in changes if each.changed_at >= run.started_at and each.state is not ChangeState.VERIFIED]


def _is_in_time(opened: SharedRun, run: Run, seconds: float) -> bool:
    """Return whether the run may still be resumed after a wait."""
    return run.clock.now() + timedelta(seconds=seconds) <= opened.started_at + RESUMED_FOR


def _answer(run_id: str, slug: str, progress: CampaignProgress | None) -> dict[str, Any]:
    """Return what the workflow needs: counts, and whether to resume the campaign."""
    again = progress.report.again_in_seconds if progress and not progress.is_over else None
    counts = progress.report.counts() if progress else {}
    return {"run_id": run_id, "campaign": slug, "again_in_seconds": again, **counts}


def _gather(opened: SharedRun, by_slug: Mapping[str, CampaignProgress], settings: Settings, now: datetime) -> RunResult:
    """Return the result of the whole run; PURE."""
    reports = []
    for slug, name in opened.campaigns.items():
        progress = by_slug.get(slug)
        report = progress.report if progress else SyncReport(slug, name, opened.request.dry_run)
        unknown = () if progress and progress.is_over else (NO_RESULT,)
        reports.append(replace(report, campaign_errors=report.campaign_errors + unknown))
    found = (report.switched_off for report in reports)
    return RunResult(
        run_id=opened.run_id,
        action=opened.request.action,
        dry_run=opened.request.dry_run,
        started_at=opened.started_at,
        duration_ms=round((now - opened.started_at).total_seconds() * 1000),
        campaigns=tuple(reports),
        graph=sum((progress.graph for progress in by_slug.values()), GraphUsage()),
        force=opened.request.force,
        notices=opened.notices,
        api_days_left=days_left(API_VERSION, now.date()),
        switched_off=latest((*opened.switched_off, *found, *settings.switched_off)),
    )
