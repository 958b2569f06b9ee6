"""The orchestrator: recovery → demand → regions → snapshots → plan → rollout. Only it knows both CLOSRTECH and Meta.

Read it from top to bottom: a run, then one of its campaigns, then the sync of that campaign. Its parts are in
`orchestration/`: leasing, approval, damping, execution, recheck, undo.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from closrads.clock import REPORT_SECONDS, Clock
from closrads.closrtech_client import get_demand
from closrads.concurrency import in_background, map_concurrently
from closrads.config import refuse_if_switched_off
from closrads.domain.adset_results import Recovery
from closrads.domain.adsets import LONG_AGO, AdSetSnapshot
from closrads.domain.changes import PreviousOutcomes, recheck_since
from closrads.domain.damping import waiting_states
from closrads.domain.health import check_ad_health
from closrads.domain.opt_out import unmatched_patterns
from closrads.domain.plan import (
    Decision,
    decide,
    defer_beyond,
    hold,
    leave_opted_out,
    missing_and_extra,
    pinned,
    prioritize,
    refuse_implausible,
    refuse_no_states,
    refuse_other_account,
    remaining,
    states_before,
    with_gaps,
)
from closrads.domain.plan_id import planned_changes
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import RunResult
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.switches import SwitchedOff, latest
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError, ConfigError, LedgerError, MetaRateLimitError, PlanRefusedError
from closrads.facebook_client import get_active_adsets, init_api
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.meta.campaigns import find_gone_campaigns
from closrads.meta.graph import API_VERSION, GraphApi
from closrads.meta.versions import days_left
from closrads.observability import log_defect, logger
from closrads.orchestration.approval import keep_plan, sync_as_approved
from closrads.orchestration.context import CAMPAIGNS_AT_ONCE, CampaignContext, Completed, Run
from closrads.orchestration.damping import damped, record_lifted
from closrads.orchestration.execution import carried_out, delay, record_deferred, with_results
from closrads.orchestration.leasing import acquire, lease_until, leave_to, left_to_holder, release, release_time
from closrads.orchestration.recheck import last_recheck, recheck, recheck_first, refuse_blocked_account
from closrads.orchestration.undo import refuse_undo_while_paused, undo
from closrads.rollout.drift import with_drift
from closrads.rollout.job import Job
from closrads.rollout.pauses import follow_up_pauses
from closrads.rollout.recovery import recover, report_open
from closrads.rollout.rollout import withhold
from closrads.state_mapper import build_fb_regions, is_state

# --- a run


def run_sync(run_id: str, request: RunRequest, settings: Settings, clock: Clock) -> RunResult:
    """Carry out a request for all of its campaigns; the failure of one never stops another.

    A live run leaves campaigns that another run holds to that run, and runs once per scheduled time. After its report
    has been sent, `end_run` must be called.

    Raises
    ------
    ConfigError
        No ledger table is configured, and the request requires one.
    PausedError
        The request is an undo, and everything is paused.
    """
    refuse_undo_while_paused(request)
    if not settings.ledger_table and not (request.dry_run and request.action is Action.SYNC):
        raise ConfigError(["CLOSRADS_LEDGER_TABLE: must be set: only a dry run of a sync can do without the ledger"])
    started = clock.now()
    run = Run(run_id, request, settings, clock, Table(settings.ledger_table, clock), started)
    campaigns = chosen_campaigns(request, settings, run.table)
    result = RunResult(
        run_id, request.action, request.dry_run, started, 0, (), force=request.force, notices=settings.notices,
        reason=request.reason, plan_id=request.plan_id,
    )  # fmt: skip
    if request.dry_run:
        reports = map_concurrently(lambda campaign: _sync_campaign(campaign, run), campaigns, CAMPAIGNS_AT_ONCE)
        result = replace(result, campaigns=tuple(reports), plan_id=keep_plan(run))
    else:
        result = _run_live(result, campaigns, run)
    took = round((clock.now() - started).total_seconds() * 1000)
    api_days_left = days_left(API_VERSION, started.date(), run.meter.version_warning)
    found = (campaign.switched_off for campaign in result.campaigns)
    return replace(
        result,
        duration_ms=took,
        graph=run.meter.reading(),
        api_days_left=api_days_left,
        switched_off=latest((*settings.switched_off, *found)),
    )


def chosen_campaigns(request: RunRequest, settings: Settings, table: Table) -> list[CampaignConfig]:
    """Return the campaigns of a run: the requested ones, and disabled ones with unfinished work.

    A disabled campaign no longer follows demand, but its open changes are completed, its latest changes rechecked, and
    its unexplained pauses followed up.
    """
    chosen = settings.chosen(request.campaigns)
    if request.campaigns is not None or not settings.ledger_table:
        return chosen
    ledger = Ledger(table)

    def has_unfinished_work(campaign: CampaignConfig) -> bool:
        try:
            if ledger.open_changes(campaign.slug):
                return True
            if request.action is Action.SYNC:
                return bool(ledger.previous_outcomes(campaign.slug).unexplained)
            since = recheck_since(ledger.last_recheck(campaign.slug), table.clock.now())
            return request.action is Action.RECHECK and bool(ledger.changes_in_effect(campaign.slug, since))
        except LedgerError as error:  # included, so that the campaign reports the error
            logger.error("ledger.open_changes_unread", extra={"campaign": campaign.slug, "error": str(error)})
            return True

    off = (campaign for campaign in settings.campaigns if not campaign.enabled)
    return chosen + [campaign for campaign in off if has_unfinished_work(campaign)]


def _run_live(result: RunResult, campaigns: Sequence[CampaignConfig], run: Run) -> RunResult:
    """Run the campaigns that no other run holds, unless another run has claimed the scheduled time."""
    request, leases = run.request, run.leases
    until = lease_until(run.clock)
    slugs = [campaign.slug for campaign in campaigns]
    mine = slugs
    try:
        if request.scheduled:
            holder = leases.claim_time(request.time_key, run.run_id, until)
            if holder != run.run_id:
                mine = []
                return leave_to(holder, result)
        busy = acquire(slugs, run, until)
        mine = [slug for slug in slugs if slug not in busy]
        if busy and not mine and not request.plan_id:
            release_time(run)
            if not (request.scheduled and request.action is Action.SYNC):  # this one's report is expected
                return leave_to(min(busy.values()), result)
        run.runs.begin(run.run_id, request.action, mine, request.scheduled if request.follows_schedule else None)
        if request.plan_id:
            before = [left_to_holder(campaign, busy.get(campaign.slug, ""), run) for campaign in campaigns]
            in_progress = {each.slug: _reports(each, run) for each in campaigns if each.slug in mine}
            reports = sync_as_approved(before, in_progress, run)
        else:

            def sync_or_leave(campaign: CampaignConfig) -> SyncReport:
                if campaign.slug in busy:
                    return left_to_holder(campaign, busy[campaign.slug], run)
                return _sync_campaign(campaign, run)

            reports = map_concurrently(sync_or_leave, campaigns, CAMPAIGNS_AT_ONCE)
        reports = [*reports_with_drift(run, reports)]
    except LedgerError as error:
        reports = [replace(run.new_report(campaign), campaign_errors=(str(error),)) for campaign in campaigns]
    except KeyboardInterrupt:
        mine = []  # other threads may go on writing until the process ends, so the leases must expire on their own
        raise
    finally:
        release(mine, run)
    return replace(result, campaigns=tuple(reports), plan_refused=bool(run.refused))


def reports_with_drift(run: Run, reports: Sequence[SyncReport]) -> tuple[SyncReport, ...]:
    """Return the reports of a live run with what somebody else did to the states of its ad sets, if time allows."""
    if run.clock.remaining() < REPORT_SECONDS:
        return tuple(reports)

    def api_of(slug: str) -> GraphApi:
        return _job(next(campaign for campaign in run.settings.campaigns if campaign.slug == slug), run).api

    return with_drift(run.ledger, run.run_id, run.request.action, reports, api_of)


# --- one of its campaigns


def _sync_campaign(
    campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None, resume: Callable[[], Completed] = Completed
) -> SyncReport:
    """Carry out the request for one campaign; errors are reported, not raised.

    Parameters
    ----------
    earlier
        The campaign's report by earlier invocations of the same run.
    resume
        Returns what those invocations have completed; called after open changes have been recovered.
    """
    *_, report = _reports(campaign, run, earlier, resume)
    return report


def _reports(
    campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None, resume: Callable[[], Completed] = Completed
) -> Generator[SyncReport, None, None]:
    """Carry out the request for one campaign, and yield the report after each stage; see `_sync_campaign`."""
    logger.info("campaign.start", extra={"campaign": campaign.slug})
    report = replace(earlier or run.new_report(campaign), campaign_errors=(), again_in_seconds=None, switched_off=None)
    try:
        for stage in _stages(campaign, run, report, resume):
            report = stage  # if an error stops the campaign, the latest report is kept
            yield report
    except MetaRateLimitError as error:
        report = replace(report, campaign_errors=(str(error),), again_in_seconds=delay(error.retry_after))
    except ClosradsError as error:
        report = replace(report, campaign_errors=(str(error),))
    except Exception as error:  # noqa: BLE001 - even a defect in one campaign must not stop another
        report = replace(report, campaign_errors=(log_defect(error),))
    for problem in report.errors:
        logger.error("campaign.error", extra={"campaign": campaign.slug, "error": problem})
    logger.info("campaign.end", extra={"campaign": campaign.slug, "success": report.success})
    yield report


def _stages(
    campaign: CampaignConfig, run: Run, report: SyncReport, resume: Callable[[], Completed]
) -> Iterator[SyncReport]:
    """Carry out the request for one campaign, and yield the report after each stage."""
    job = _job(campaign, run)
    context = CampaignContext(campaign, run, job, _open_elsewhere(campaign, run, job))
    if run.request.action is not Action.SYNC:  # the others read some ad sets only
        job.pauses.to_name = {pause.adset_id for pause in report.unexplained}
    try:
        for stage in _stages_of_action(context, report, resume):
            yield replace(stage, unexplained=job.pauses.named(report.unexplained))
    finally:
        if not run.request.dry_run:
            context.job.keep_tier()


def _stages_of_action(
    context: CampaignContext, report: SyncReport, resume: Callable[[], Completed]
) -> Iterator[SyncReport]:
    """Recover what earlier runs have left open, then carry out the action, unless the campaign is switched off."""
    action = context.run.request.action
    report = replace(report, recovered=_recovered(context, report))
    yield report
    done = resume()
    if action is not Action.RECHECK and (off := _switched_off(context)):
        others = (adset for adset in report.adsets if adset.id not in done.completed)
        report = replace(report, switched_off=off, adsets=(*with_gaps(done.completed, ()).values(), *others))
        yield report
        context.job.pauses.recall(context.previous_outcomes().unexplained)
        follow_up_pauses(context.job, (), dry_run=context.run.request.dry_run)
        yield report
        return
    match action:
        case Action.RECHECK:
            yield from recheck(context, report, done)
        case Action.UNDO:
            yield from undo(context, report, done)
        case _:
            yield from _sync(context, report, done)


def _job(campaign: CampaignConfig, run: Run) -> Job:
    account = campaign.fb_ad_account_id
    api = init_api(
        campaign.fb_access_token,
        account,
        app_secret=run.settings.app_secret,
        graph_url=run.settings.graph_url,
        clock=run.clock,
        meter=run.meter,
        quota=run.quota(account),
    )
    return Job(
        campaign.slug,
        run.run_id,
        run.request.action,
        api,
        run.ledger,
        campaign.limits.verify_wait_seconds,
        partial(refuse_if_switched_off, campaign.slug),
        campaign.skip_adsets if run.request.action is Action.SYNC else (),  # an undo restores the whole run
        _other_campaigns(campaign.slug, run.settings.campaigns),
        run.request.action is Action.RECHECK and not run.request.is_by_hand,
    )


def _other_campaigns(slug: str, campaigns: Iterable[CampaignConfig]) -> dict[str, list[str]]:
    """Return the slugs of the other campaigns that list a Meta campaign, by its id."""
    others: dict[str, list[str]] = {}
    for campaign in campaigns:
        for meta_campaign in campaign.fb_campaign_ids if campaign.slug != slug else ():
            others.setdefault(meta_campaign, []).append(campaign.slug)
    return others


def _open_elsewhere(campaign: CampaignConfig, run: Run, job: Job) -> frozenset[str]:
    """Return the ids of the ad sets that another campaign with the same Meta campaign has left open.

    They are looked up before the ad sets are read: that campaign's recovery may take place at the same time.
    """
    slugs = {slug for meta_campaign in campaign.fb_campaign_ids for slug in job.other_campaigns.get(meta_campaign, ())}
    found = (job.ledger.open_changes(slug) for slug in sorted(slugs) if run.settings.ledger_table)
    return frozenset(change.before.id for changes in found for change in changes)


def _recovered(context: CampaignContext, report: SyncReport) -> tuple[Recovery, ...]:
    """Finish or roll back the open changes of earlier runs; a dry run only lists them."""
    run, job = context.run, context.job
    closed = tuple(recovery for recovery in report.recovered if not recovery.state.is_open)
    if not run.settings.ledger_table:
        return closed
    changes = job.ledger.open_changes(job.campaign)
    if changes:
        _recall_pauses(context)
    found = report_open(changes) if run.request.dry_run else recover(job, changes, context.campaign.limits.wave_size)
    # Changes of this very run are reported as results of its ad sets.
    return closed + tuple(each for each in found if each.state.is_open or each.run_id != job.run_id)


def _recall_pauses(context: CampaignContext) -> None:
    """Read the recorded pauses, if possible: the recovery of open changes must not wait for that."""
    try:
        context.job.pauses.recall(context.previous_outcomes().unexplained)
    except LedgerError as error:
        logger.warning("ledger.outcomes_unread", extra={"campaign": context.campaign.slug, "error": str(error)})


def _switched_off(context: CampaignContext) -> SwitchedOff | None:
    """Return the switch that forbids new changes in a campaign; a pause of everything does not stop a dry run."""
    slug, run = context.campaign.slug, context.run
    applies = (each for each in run.settings.switched_off if each.slug == slug or not run.request.dry_run)
    return next((each for each in applies if each.slug in {"", slug}), None)


# --- its sync


def _sync(context: CampaignContext, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Make every active ad set target the states with demand."""
    campaign, run, job = context.campaign, context.run, context.job
    read = partial(get_active_adsets, job.api)
    with in_background(partial(map_concurrently, read, campaign.fb_campaign_ids, CAMPAIGNS_AT_ONCE)) as reading:
        previous = context.previous_outcomes()
        job.pauses.recall(previous.unexplained)
        yield report
        report = _with_demand(context, report)
    yield report
    refuse_no_states(report, campaign.limits)
    found = (adset for listed in reading.result() for adset in listed)
    adsets: Sequence[AdSetSnapshot] = sorted(found, key=lambda adset: adset.id)
    refuse_other_account(campaign, adsets)
    gone = _gone_campaigns(context, adsets)

    last = last_recheck(context)
    adsets, restored, previous = recheck_first(context, adsets, last, previous, done)
    done = replace(done, completed={**done.completed, **restored})
    token_ends = last.token_ends.isoformat() if last and last.token_ends else ""
    report = replace(report, token_ends=token_ends, adsets=tuple(done.completed.values()))
    yield report
    refuse_blocked_account(context, last)
    # Those of a rollback were read before it, and its ads may have been paused since: they are read again.
    current = [adset for adset in adsets if adset.id not in restored]
    follow_up_pauses(job, current, dry_run=run.request.dry_run)
    yield report

    report, history = damped(context, report, previous)
    regions = build_fb_regions(report.active_states)
    waiting = frozenset(region["key"] for region in build_fb_regions(history.waiting if history else ()))
    adds_only = bool(report.unreadable_states)
    decisions: Sequence[Decision] = [
        decide(adset, regions, check_ad_health(adset), adds_only=adds_only, waiting=waiting) for adset in adsets
    ]
    on_again = {pause.adset_id for pause in job.pauses.named(()) if pause.switched_on}
    decisions = [_to_be_read_again(decision) if decision.adset.id in on_again else decision for decision in decisions]
    decisions = leave_opted_out(decisions, job.skip_adsets)
    done = replace(done, completed=with_gaps(done.completed, decisions))
    report = replace(
        report,
        adsets=tuple(done.completed.values()),
        states_before=states_before(decisions),
        waiting=waiting_states(history, campaign.limits, *missing_and_extra(decisions)) if history else (),
        unmatched_patterns=unmatched_patterns(job.skip_adsets, [adset.names for adset in adsets]),
    )
    yield report
    try:
        refuse_implausible(decisions, campaign.limits, run.request.force)
    except PlanRefusedError:
        if done.completed:  # a report with only these ad sets would look complete
            results = withhold([each for each in decisions if each.is_change]).results
            yield with_results(report, done, decisions, results)
        raise

    decisions = _in_order(context, decisions, report, previous, done)
    run.planned[job.campaign] = planned_changes(job.campaign, decisions)
    yield report  # with the plan that may have to be the approved one
    record_lifted(context, history)
    report = carried_out(context, report, done, decisions)
    record_deferred(context, report, previous)
    yield replace(report, campaign_errors=report.campaign_errors + gone)


def _to_be_read_again(decision: Decision) -> Decision:
    """Return a decision that needs a new read before its change, because this run has switched on ads meanwhile."""
    return replace(decision, adset=replace(decision.adset, read_at=LONG_AGO))


def _with_demand(context: CampaignContext, report: SyncReport) -> SyncReport:
    """Add the states with demand, which are the same for all invocations of a run."""
    if report.active_states:
        return report
    campaign, run = context.campaign, context.run
    demand = get_demand(campaign.closrtech_campaign, login=run.settings.closrtech, clock=run.clock)
    found = {code for code in demand if is_state(code)}
    wanted = {code for code in found if demand[code] >= campaign.limits.min_demand}
    report = replace(
        report,
        active_states=tuple(sorted(wanted)),
        unmapped_states=tuple(sorted(demand.keys() - found)),
        below_min_demand=tuple(sorted(found - wanted)),
    )
    if report.unreadable_states:
        logger.warning(
            "demand.unreadable",
            extra={"campaign": campaign.slug, "entries": report.unreadable_states, "hint": "No state will be removed"},
        )
    return report


def _gone_campaigns(context: CampaignContext, adsets: Sequence[AdSetSnapshot]) -> tuple[str, ...]:
    """Return an error for each Meta campaign that is gone; only campaigns without ad sets need a call to Meta."""
    campaign = context.campaign
    have_adsets = {adset.meta_campaign_id for adset in adsets}
    empty = [campaign_id for campaign_id in campaign.fb_campaign_ids if campaign_id not in have_adsets]
    remedy = f"take it out of campaigns/{campaign.slug}/fb_campaign_ids, and put the id of its successor there"
    gone = find_gone_campaigns(context.job.api, empty) if empty else {}
    return tuple(f"{what}: {remedy}" for what in gone.values())


def _in_order(
    context: CampaignContext,
    decisions: Sequence[Decision],
    report: SyncReport,
    previous: PreviousOutcomes,
    done: Completed,
) -> Sequence[Decision]:
    """Return the decisions that remain, in order of execution; ad sets that must wait are held or deferred."""
    request, most = context.run.request, context.campaign.limits.max_adsets
    decisions = hold(remaining(decisions, done.completed), report.ids_still_open | context.open_elsewhere)
    decisions = prioritize(decisions, previous, request.force)
    changed = sum(bool(adset.added or adset.removed) for adset in done.completed.values())
    changed += sum(change.run_id == context.run.run_id for change in report.still_open)
    decisions = defer_beyond(decisions, most and max(most - changed, 0))
    return pinned(decisions) if request.plan_id else decisions
