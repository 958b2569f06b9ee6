"""The orchestrator: recovery → demand → regions → snapshots → plan → rollout. Only it knows both CLOSRTECH and Meta."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

from closrads.clock import REPORT_SECONDS, Clock
from closrads.closrtech_client import get_demand
from closrads.concurrency import in_background, map_concurrently
from closrads.config import refuse_if_switched_off
from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, LastRecheck, PreviousOutcomes, recheck_since
from closrads.domain.damping import DemandHistory, lifted, observed, waiting_states
from closrads.domain.health import check_ad_health
from closrads.domain.mail_policy import failures_of
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
    remaining,
    states_before,
    with_gaps,
)
from closrads.domain.plan_id import Plan, PlannedChange, planned_changes, refusals
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import RunResult
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.switches import SwitchedOff, latest
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import reaches_beyond_states
from closrads.domain.undo import may_be_undone, why_not_undone
from closrads.errors import (
    ClosradsError,
    ConfigError,
    EventError,
    LedgerError,
    MetaError,
    MetaRateLimitError,
    PausedError,
    PlanRefusedError,
)
from closrads.facebook_client import get_active_adsets, init_api
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.plans import Plans
from closrads.ledger.runs import Runs
from closrads.meta.adsets import read_adsets
from closrads.meta.campaigns import find_gone_campaigns
from closrads.meta.graph import API_VERSION, RESERVED_SECONDS, GraphApi, UsageMeter
from closrads.meta.rate_limit import AccountQuota
from closrads.meta.tokens import read_token_end
from closrads.meta.versions import days_left
from closrads.observability import log_defect, logger
from closrads.redaction import MAX_NAME_CHARS, Secret, one_line
from closrads.rollout.budget import points_needed
from closrads.rollout.change_run import Job
from closrads.rollout.drift import with_drift
from closrads.rollout.pauses import follow_up_pauses
from closrads.rollout.recovery import recheck, recover, report_open
from closrads.rollout.rollout import Ending, carry_out, validate, withhold
from closrads.state_mapper import build_fb_regions, is_state

WITHOUT_REASON_SECONDS = 60
"""Delay before deferred work is resumed, if its reason implies no other delay."""
MAX_RUN_SECONDS = 900.0
"""Maximum duration of an invocation (Lambda Developer Guide, "Quotas")."""
LEASE_MARGIN = timedelta(seconds=30)
"""Time by which a lease outlives its run, because clocks differ."""
BUSY_WAIT_SECONDS, MAX_BUSY_SHARE = 15.0, 0.5
"""Seconds between a scheduled sync's attempts to lease a campaign, and the share of its time that it spends on them.

A recheck, which Meta's push may ask for at any time, takes seconds; but minutes if it waits for quota or rolls back.
"""
CAMPAIGNS_AT_ONCE = 10
"""Maximum number of CLOSRADS campaigns in progress, and of Meta campaigns being read for one of them."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What earlier invocations of the same run have completed; empty if there were none."""

    completed: Mapping[str, AdSetResult] = field(default_factory=dict)
    """Results by ad set id."""
    waves: Sequence[Sequence[AdSetResult]] = ()
    """The results of each of their waves."""


@dataclass(frozen=True, slots=True)
class Run:
    """The context that the campaigns of one invocation share."""

    run_id: str
    request: RunRequest
    settings: Settings
    clock: Clock
    table: Table
    """The ledger's table."""
    max_quota_wait_seconds: float = math.inf
    """Maximum time to wait for Meta's quota."""
    opened_at: datetime | None = None
    """When the run was opened; None unless several invocations share it."""
    meter: UsageMeter = field(default_factory=UsageMeter)
    planned: dict[str, tuple[PlannedChange, ...]] = field(default_factory=dict)
    """The changes that the sync of each campaign has planned, by slug; absent if it could not plan."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why none of its planned changes may be begun, by slug."""
    _quotas: dict[str, AccountQuota] = field(default_factory=dict)

    def quota(self, account: str) -> AccountQuota:
        """Return the quota of an ad account, which campaigns may share."""
        return self._quotas.setdefault(account, AccountQuota(account, self.clock.now, self.max_quota_wait_seconds))

    @property
    def ledger(self) -> Ledger:
        """The changes of ad sets."""
        return Ledger(self.table)

    @property
    def leases(self) -> Leases:
        """The leases of campaigns."""
        return Leases(self.table)

    @property
    def runs(self) -> Runs:
        """The stored runs."""
        return Runs(self.table)

    @property
    def plans(self) -> Plans:
        """The plans of dry runs."""
        return Plans(self.table)

    @property
    def plan(self) -> Plan:
        """All changes that this run has planned."""
        changes = (change for slug in sorted(self.planned) for change in self.planned[slug])
        return Plan(tuple(changes), self.request.campaigns, self.request.force)

    def lease_until(self) -> datetime:
        """Return the expiry of this invocation's leases: a time by which it has certainly ended."""
        return self.clock.now() + timedelta(seconds=min(self.clock.remaining(), MAX_RUN_SECONDS)) + LEASE_MARGIN


def with_options_of_plan(request: RunRequest, settings: Settings, clock: Clock) -> RunRequest:
    """Return the request with the campaigns and the lifted limits of the plan that it approves, unless it has its own.

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
    run = Run(run_id, request, settings, clock, Table(settings.ledger_table, clock))
    campaigns = chosen_campaigns(request, settings, run.table)
    result = RunResult(
        run_id, request.action, request.dry_run, started, 0, (), force=request.force, notices=settings.notices,
        reason=request.reason, plan_id=request.plan_id,
    )  # fmt: skip
    if request.dry_run:
        reports = map_concurrently(lambda campaign: _sync_campaign(campaign, run), campaigns, CAMPAIGNS_AT_ONCE)
        result = replace(result, campaigns=tuple(reports), plan_id=_keep_plan(run))
    else:
        result = _run_live(result, campaigns, run)
    took = round((clock.now() - started).total_seconds() * 1000)
    left = days_left(API_VERSION, started.date(), run.meter.version_warning)
    found = (campaign.switched_off for campaign in result.campaigns)
    return replace(
        result,
        duration_ms=took,
        graph=run.meter.reading(),
        api_days_left=left,
        switched_off=latest((*settings.switched_off, *found)),
    )


def _keep_plan(run: Run) -> str:
    """Keep the plan of a dry run of a sync and return its id; empty if it could not be kept."""
    if run.request.action is not Action.SYNC or not run.settings.ledger_table:
        return ""
    try:
        run.plans.keep(run.plan)
    except LedgerError as error:
        logger.warning("ledger.plan_not_kept", extra={"error": str(error), "hint": "It cannot be approved"})
        return ""
    return run.plan.id


def refuse_undo_while_paused(request: RunRequest) -> None:
    """Refuse a live undo while everything is paused: it writes because a person asks for it, not to mend anything.

    Raises
    ------
    PausedError
        Says what to do.
    ConfigError
        It is unknown whether everything is paused.
    """
    if request.action is not Action.UNDO or request.dry_run:
        return
    try:
        refuse_if_switched_off()
    except PausedError as error:
        raise PausedError(
            f"Nothing was undone: CLOSRADS is paused since {error.since:%Y-%m-%d %H:%M} UTC, by the parameter "
            "`paused`. First `python -m closrads resume`, then undo",
            error.since,
        ) from None


def chosen_campaigns(request: RunRequest, settings: Settings, table: Table) -> list[CampaignConfig]:
    """Return the campaigns of a run: the requested ones, and disabled ones with open changes or changes to recheck.

    A disabled campaign no longer follows demand, but its open changes are completed and its latest changes rechecked.
    """
    chosen = settings.chosen(request.campaigns)
    if request.campaigns is not None or not settings.ledger_table:
        return chosen
    ledger = Ledger(table)

    def has_unfinished_work(campaign: CampaignConfig) -> bool:
        try:
            if ledger.open_changes(campaign.slug):
                return True
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
    until = run.lease_until()
    slugs = [campaign.slug for campaign in campaigns]
    mine = slugs
    try:
        if request.scheduled:
            holder = leases.claim_time(request.time_key, run.run_id, until)
            if holder != run.run_id:
                mine = []
                return _leave_to(holder, result)
        busy = _acquire(slugs, run, until)
        mine = [slug for slug in slugs if slug not in busy]
        if busy and not mine and not request.plan_id:
            if request.scheduled:
                leases.release_time(request.time_key, run.run_id)
            return _leave_to(min(busy.values()), result)
        run.runs.begin(run.run_id, request.action, mine, request.scheduled if request.follows_schedule else None)
        if request.plan_id:
            reports = _sync_as_approved(campaigns, busy, run)
        else:
            reports = map_concurrently(
                lambda campaign: (
                    _sync_campaign(campaign, run) if campaign.slug in mine else _left(campaign, busy[campaign.slug])
                ),
                campaigns,
                CAMPAIGNS_AT_ONCE,
            )
        reports = [*reports_with_drift(run, reports)]
    except LedgerError as error:
        reports = [
            replace(_nothing_yet(campaign, dry_run=False), campaign_errors=(str(error),)) for campaign in campaigns
        ]
    except KeyboardInterrupt:
        mine = []  # other threads may be writing until the process ends, so the leases are left to expire
        raise
    finally:
        release(mine, run)
    return replace(result, campaigns=tuple(reports), plan_refused=bool(run.refused))


def _sync_as_approved(campaigns: Sequence[CampaignConfig], busy: Mapping[str, str], run: Run) -> list[SyncReport]:
    """Plan every campaign, then carry all plans out if together they are the approved one; else begin nothing new.

    What earlier runs left open is recovered, and what broke since is rolled back, before the plans are made.
    """
    in_progress = {each.slug: _reports(each, run) for each in campaigns if each.slug not in busy}

    def plan(campaign: CampaignConfig) -> SyncReport:
        report = _left(campaign, busy.get(campaign.slug, ""))
        for stage in in_progress.get(campaign.slug, ()):
            report = stage
            if campaign.slug in run.planned:
                break
        return report

    def carry_out_plan(report: SyncReport) -> SyncReport:
        for stage in in_progress.get(report.slug, ()):
            report = stage
        return replace(report, refused=run.refused.get(report.slug, ""))

    try:
        planned = map_concurrently(plan, campaigns, CAMPAIGNS_AT_ONCE)
        if run.plan.id != run.request.plan_id and not run.settings.paused_since:  # paused, no campaign plans anything
            run.refused.update(_refusals(campaigns, run))
            for slug, why in run.refused.items():
                logger.warning("plan.refused", extra={"campaign": slug, "why": why})
        reports = map_concurrently(carry_out_plan, planned, CAMPAIGNS_AT_ONCE)
    finally:
        for stages in in_progress.values():
            stages.close()
    names = {each.slug: each.name for each in run.settings.campaigns}
    unplanned = sorted(run.refused.keys() - {report.slug for report in reports})
    return reports + [
        SyncReport(slug, names.get(slug, slug), dry_run=False, refused=run.refused[slug]) for slug in unplanned
    ]


def _refusals(campaigns: Sequence[CampaignConfig], run: Run) -> dict[str, str]:
    """Return why campaigns must not be changed, by slug, now that the plan is not the approved one."""
    plan_id, slugs = run.request.plan_id, [each.slug for each in campaigns]
    try:
        approved = run.plans.find(plan_id) or Plan(())
    except LedgerError as error:  # what has been recovered by now must be reported
        return dict.fromkeys(
            slugs, f"Refused: the plan is no longer the approved {plan_id}; how it differs is not known: {error}"
        )
    return refusals(plan_id, approved, run.plan, slugs)


def reports_with_drift(run: Run, reports: Sequence[SyncReport]) -> tuple[SyncReport, ...]:
    """Return the reports of a live run with what somebody else did to the states of its ad sets, if time allows."""
    if run.clock.remaining() < REPORT_SECONDS:
        return tuple(reports)

    def api_of(slug: str) -> tuple[GraphApi, Secret]:
        campaign = next(campaign for campaign in run.settings.campaigns if campaign.slug == slug)
        return _job(campaign, run).api, campaign.fb_access_token

    return with_drift(run.ledger, run.run_id, run.request.action, reports, api_of)


def _acquire(slugs: Sequence[str], run: Run, until: datetime) -> dict[str, str]:
    """Lease the free campaigns; return the id of the run that holds each of the others, by slug.

    A scheduled sync retries for half of its time: a recheck in progress must not cost it the day.
    """
    busy = run.leases.acquire(slugs, run.run_id, until, run.request.action)
    if run.request.scheduled and run.request.action is Action.SYNC:
        kept = max(run.clock.remaining() * (1 - MAX_BUSY_SHARE), RESERVED_SECONDS)
        while busy and run.clock.remaining() - BUSY_WAIT_SECONDS >= kept:
            run.clock.sleep(BUSY_WAIT_SECONDS)
            busy = run.leases.acquire(list(busy), run.run_id, until, run.request.action)
    return busy


def _nothing_yet(campaign: CampaignConfig, *, dry_run: bool) -> SyncReport:
    return SyncReport(campaign.slug, campaign.name, dry_run, fb_ad_account_id=campaign.fb_ad_account_id)


def _left(campaign: CampaignConfig, holder: str) -> SyncReport:
    return replace(_nothing_yet(campaign, dry_run=False), left_to=holder)


def _leave_to(holder: str, result: RunResult) -> RunResult:
    logger.warning("run.left", extra={"left_to": holder})
    return replace(result, left_to=holder)


def release(slugs: Sequence[str], run: Run, invocation: str = "") -> None:
    """Release the leases of campaigns."""
    try:
        run.leases.release(slugs, run.run_id, invocation)
    except LedgerError as error:
        logger.error("ledger.lease_kept", extra={"campaigns": slugs, "error": str(error)})  # until it expires


def _sync_campaign(
    campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None, resume: Callable[[], Completed] = Completed
) -> SyncReport:
    """Carry out the request for one campaign; errors are reported, not raised.

    Parameters
    ----------
    earlier
        The campaign's report by earlier invocations of the same run.
    resume
        Returns what those have completed; called once open changes have been recovered.
    """
    *_, report = _reports(campaign, run, earlier, resume)
    return report


def _reports(
    campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None, resume: Callable[[], Completed] = Completed
) -> Generator[SyncReport, None, None]:
    """Carry out the request for one campaign, and yield the report after each stage; see `_sync_campaign`."""
    logger.info("campaign.start", extra={"campaign": campaign.slug})
    report = replace(
        earlier or _nothing_yet(campaign, dry_run=run.request.dry_run),
        campaign_errors=(),
        again_in_seconds=None,
        switched_off=None,
    )
    try:
        for stage in _stages(campaign, run, report, resume):
            report = stage  # if an error stops the campaign, the latest report is kept
            yield report
    except MetaRateLimitError as error:
        report = replace(report, campaign_errors=(str(error),), again_in_seconds=_pause(error.retry_after))
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
    try:
        for stage in _stages_of(job, campaign, run, report, resume):
            report = stage
            yield report
        yield _with_new_pauses(run, job, report)
    finally:
        if not run.request.dry_run:
            job.keep_tier()


def _stages_of(
    job: Job, campaign: CampaignConfig, run: Run, report: SyncReport, resume: Callable[[], Completed]
) -> Iterator[SyncReport]:
    report = replace(report, recovered=_recovered(campaign, run, job, report))
    yield report
    if run.request.action is not Action.RECHECK and (off := _switched_off(campaign, run)):
        yield replace(report, switched_off=off)
        return
    done = resume()
    match run.request.action:
        case Action.RECHECK:
            yield from _recheck(campaign, run, job, report, done)
        case Action.UNDO:
            yield from _undo(campaign, run, job, report, done)
        case _:
            yield from _sync(campaign, run, job, report, done)


def _switched_off(campaign: CampaignConfig, run: Run) -> SwitchedOff | None:
    """Return what keeps anything new from being begun in a campaign; while all is paused, a dry run still looks."""
    applies = (each for each in run.settings.switched_off if each.slug == campaign.slug or not run.request.dry_run)
    return next((each for each in applies if each.slug in {"", campaign.slug}), None)


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
        campaign.skip_adsets if run.request.action is Action.SYNC else (),  # a person who undoes a run means all of it
        run.request.action is Action.RECHECK and not run.request.is_by_hand,
    )


def _recovered(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport) -> tuple[Recovery, ...]:
    """Finish or roll back the open changes of earlier runs; a dry run only lists them."""
    closed = tuple(recovery for recovery in report.recovered if not recovery.state.is_open)
    if not run.settings.ledger_table:
        return closed
    changes = job.ledger.open_changes(job.campaign)
    found = report_open(changes) if run.request.dry_run else recover(job, changes, campaign.limits.wave_size)
    # Changes of this very run are reported as results of its ad sets.
    return closed + tuple(each for each in found if each.state.is_open or each.run_id != job.run_id)


def _sync(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Make every active ad set target the states with demand."""
    read = partial(get_active_adsets, job.api)
    with in_background(partial(map_concurrently, read, campaign.fb_campaign_ids, CAMPAIGNS_AT_ONCE)) as reading:
        report = _with_demand(campaign, run, report)
    yield report
    keeps = bool(report.unreadable_states)
    if keeps:
        logger.warning(
            "demand.unreadable",
            extra={"campaign": job.campaign, "entries": report.unreadable_states, "hint": "No state will be removed"},
        )
    _refuse_no_states(campaign, report)
    regions = build_fb_regions(report.active_states)
    adsets = sorted((adset for listed in reading.result() for adset in listed), key=lambda adset: adset.id)
    _refuse_other_account(campaign, adsets)
    gone = _gone_campaigns(campaign, job, adsets)
    previous = job.ledger.previous_outcomes(job.campaign) if run.settings.ledger_table else PreviousOutcomes({})
    last = _last_recheck(run, job)
    restored, previous = _rechecked(campaign, run, job, previous, adsets, last, done)
    done = replace(done, completed={**done.completed, **restored})
    report = replace(report, token_ends=_iso(last.token_ends if last else None), adsets=tuple(done.completed.values()))
    yield report
    unexplained = follow_up_pauses(job, previous.unexplained, adsets, dry_run=run.request.dry_run)
    report = replace(report, unexplained=unexplained)
    yield report
    report, history = _damped(campaign, run, job, report, previous)
    waiting = frozenset(region["key"] for region in build_fb_regions(history.waiting if history else ()))
    decisions: Sequence[Decision] = [
        decide(adset, regions, check_ad_health(adset), keeps=keeps, waiting=waiting) for adset in adsets
    ]
    decisions = leave_opted_out(decisions, job.skip_adsets)
    done = replace(done, completed=with_gaps(done.completed, decisions))
    report = replace(
        report,
        adsets=tuple(done.completed.values()),
        states_before=states_before(decisions),
        waiting=waiting_states(history, campaign.limits, *missing_and_extra(decisions)) if history else (),
        unmatched_patterns=unmatched_patterns(job.skip_adsets, [adset.name for adset in adsets]),
    )
    yield report
    try:
        refuse_implausible(decisions, campaign.limits, run.request.force)
    except PlanRefusedError:
        if done.completed:  # or these few would be taken for all
            left = withhold([each for each in decisions if each.is_change]).results
            yield _with_results(report, done, decisions, left)
        raise
    decisions = hold(remaining(decisions, done.completed), _still_open(report))
    decisions = prioritize(decisions, previous, run.request.force)
    changed = sum(bool(adset.added or adset.removed) for adset in done.completed.values())
    most = campaign.limits.max_adsets
    decisions = defer_beyond(decisions, most and max(most - changed, 0))
    if run.request.plan_id:
        decisions = pinned(decisions)
    run.planned[job.campaign] = planned_changes(job.campaign, decisions)
    yield report
    if history and run.request.force and not (run.request.dry_run or run.refused):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, history))
    report = _carried_out(campaign, run, job, report, done, decisions)
    _record_deferred(run, job, report, previous)
    yield replace(report, campaign_errors=report.campaign_errors + gone)


def _refuse_other_account(campaign: CampaignConfig, adsets: Sequence[AdSetSnapshot]) -> None:
    """Refuse ad sets of another ad account: its quota and its activity log are not the ones that a run looks at.

    Raises
    ------
    ConfigError
        Names the ad account, and the parameters to check.
    """
    parameters = f"campaigns/{campaign.slug}"
    for adset in adsets:
        if adset.account_id and f"act_{adset.account_id}" != campaign.fb_ad_account_id:
            said = (
                f"is {campaign.fb_ad_account_id}, but “{adset.name}” ({adset.id}) of Meta campaign "
                f"{adset.meta_campaign_id} belongs to act_{adset.account_id}. Nothing was changed: correct it, or "
                f"{parameters}/fb_campaign_ids"
            )
            raise ConfigError([f"{parameters}/fb_ad_account_id: {said}"])


def _with_new_pauses(run: Run, job: Job, report: SyncReport) -> SyncReport:
    """Add the unexplained pauses that this run has found."""
    if run.request.dry_run or not any(adset.added or adset.removed for adset in report.adsets):
        return report
    known = {pause.adset_id: pause for pause in report.unexplained}
    kept = {pause.adset_id: pause for pause in job.ledger.previous_outcomes(job.campaign).unexplained}
    return replace(report, unexplained=tuple((known | kept).values()))


def _gone_campaigns(campaign: CampaignConfig, job: Job, adsets: Sequence[AdSetSnapshot]) -> tuple[str, ...]:
    """Return why Meta campaigns without ad sets will never have any again; usually, Meta need not be asked."""
    have_adsets = {adset.meta_campaign_id for adset in adsets}
    empty = [campaign_id for campaign_id in campaign.fb_campaign_ids if campaign_id not in have_adsets]
    remedy = f"take it out of campaigns/{campaign.slug}/fb_campaign_ids, and put the id of its successor there"
    return tuple(f"{what}: {remedy}" for what in find_gone_campaigns(job.api, empty).values()) if empty else ()


def _with_demand(campaign: CampaignConfig, run: Run, report: SyncReport) -> SyncReport:
    """Add the states with demand, which are the same for all invocations of a run."""
    if report.active_states:
        return report
    demand = get_demand(campaign.closrtech_campaign, login=run.settings.closrtech, clock=run.clock)
    found = {code for code in demand if is_state(code)}
    wanted = {code for code in found if demand[code] >= campaign.limits.min_demand}
    return replace(
        report,
        active_states=tuple(sorted(wanted)),
        unmapped_states=tuple(sorted(demand.keys() - found)),
        below_min_demand=tuple(sorted(found - wanted)),
    )


def _damped(
    campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, previous: PreviousOutcomes
) -> tuple[SyncReport, DemandHistory | None]:
    """Return what the campaign's syncs, including this one, have found wanted; None without damping.

    A live sync records that before it changes anything, so that its day counts however it ends; but not yet that limits
    are lifted, for its plan may be refused. While no state is removed, none stops waiting for its removal. The report
    tells if what was recorded before is of no use.
    """
    stored = previous.demand
    if not campaign.limits.is_damped:
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
    certain = found(campaign.limits)
    if not (run.request.dry_run or certain.decides_as(stored)):
        _keep_history(job, partial(job.ledger.record_demand, job.campaign, certain))
    force = run.request.force - {"remove_after_days"} if report.unreadable_states else run.request.force
    return report, found(lifted(campaign.limits, force))


def _keep_history(job: Job, keep: Callable[[], None]) -> None:
    """Bring the recorded history up to date; if that fails, the day does not count."""
    try:
        keep()
    except LedgerError as error:
        logger.warning("ledger.demand_not_kept", extra={"campaign": job.campaign, "error": str(error)})


def _refuse_no_states(campaign: CampaignConfig, report: SyncReport) -> None:
    """Refuse to follow a demand that leaves no state to target.

    Raises
    ------
    PlanRefusedError
        Says what there is instead.
    """
    if report.active_states:
        return
    if few := report.below_min_demand:
        raise PlanRefusedError(
            f"No state has the {campaign.limits.min_demand} leads that limits/min_demand asks for, only fewer "
            f"({', '.join(few)}). If that is right, lower the limit; if not, ask CLOSRTECH"
        )
    raise PlanRefusedError(f"Meta has no region for any state with demand ({', '.join(report.unmapped_states)})")


def _last_recheck(run: Run, job: Job) -> LastRecheck | None:
    """Return the campaign's last recheck; None in a dry run, which rechecks nothing."""
    return None if run.request.dry_run or not run.settings.ledger_table else job.ledger.last_recheck(job.campaign)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _rechecked(  # noqa: PLR0913, PLR0917 - the context, and what is known so far
    campaign: CampaignConfig,
    run: Run,
    job: Job,
    previous: PreviousOutcomes,
    adsets: Sequence[AdSetSnapshot],
    last: LastRecheck | None,
    done: Completed,
) -> tuple[dict[str, AdSetResult], PreviousOutcomes]:
    """Recheck the latest changes before new ones supersede them, and those of earlier invocations of the same run.

    Return the results of the ad sets that were rolled back, or would have been with more time or quota, by id, and the
    previous outcomes after that.
    """
    if run.request.dry_run or not run.settings.ledger_table:
        return {}, previous
    now = {adset.id: adset for adset in adsets if not adset.flaw}
    since = recheck_since(last, run.clock.now())
    changes = [
        change
        for change in job.ledger.changes_in_effect(job.campaign, since)
        if change.before.id in now
        and not change.state.is_open
        and (change.run_id != job.run_id or change.before.id in done.completed)
    ]
    if not changes:
        return {}, previous
    results = recheck(job, changes, campaign.limits.wave_size, previous.reported_pauses, dry_run=False, now=now)
    restored = {
        each.id: replace(each, reaches_beyond=reaches_beyond_states(now[each.id].targeting))
        for each in results
        if each.result in {Result.REVERTED, Result.ROLLBACK_FAILED, Result.SKIPPED_PREFLIGHT}
    }
    try:
        return restored, job.ledger.previous_outcomes(job.campaign)
    except LedgerError as error:  # what was put back must be reported, and is not touched again by this run
        logger.warning("ledger.outcomes_unread", extra={"campaign": job.campaign, "error": str(error)})
        return restored, previous


def _undo(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Restore the original regions of every ad set that the run changed and that still has the run's regions."""
    run_id = run.request.run_id or run.leases.last_sync(job.campaign)
    if not run_id:
        raise PlanRefusedError(why_not_undone("", None, campaign.slug, run.settings.stage))
    report = replace(report, about_run=run_id)
    found = _changes_of(run_id, run, job.campaign)
    if not run.request.run_id and not any(map(may_be_undone, found)):
        changed = run.ledger.last_to_undo(job.campaign)
        raise PlanRefusedError(why_not_undone(run_id, changed, campaign.slug, run.settings.stage))
    changes = [change for change in found if change.state is ChangeState.VERIFIED]
    yield report
    read = read_adsets(job.api, [change.before for change in changes])
    adsets = [adset for adset in read.values() if isinstance(adset, AdSetSnapshot)]
    _refuse_other_account(campaign, adsets)
    previous = job.ledger.previous_outcomes(job.campaign) if run.settings.ledger_table else PreviousOutcomes({})
    restored, previous = _rechecked(campaign, run, job, previous, adsets, _last_recheck(run, job), done)
    done = replace(done, completed={**done.completed, **restored})
    report = replace(report, unexplained=previous.unexplained)
    yield replace(report, adsets=tuple(done.completed.values()))
    decisions = [_undo_decision(change, read[change.before.id]) for change in changes]
    yield _carried_out(
        campaign, run, job, report, done, hold(remaining(decisions, done.completed), _still_open(report))
    )


def _undo_decision(change: Change, now: AdSetSnapshot | MetaError) -> Decision:
    regions = (change.before.targeting.get("geo_locations") or {}).get("regions") or []
    if isinstance(now, MetaError):
        return Decision(change.before, Result.FAILED, tuple(regions), (str(now),))
    return decide(now, regions, check_ad_health(now), replaces=change.new_regions)


def _recheck(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Recheck the changes of the requested run, or those of the last day that are in effect."""
    began = run.clock.now()
    last = run.ledger.last_recheck(job.campaign)
    found = changes_to_recheck(run, job.campaign, last)
    report = replace(report, about_run=run.request.run_id or max((change.run_id for change in found), default=""))
    yield report
    skipped = {*_still_open(report), *done.completed}
    changes = [
        change
        for change in found
        if not (change.state.is_open or change.state is ChangeState.NOT_WRITTEN) and change.before.id not in skipped
    ]
    previous = job.ledger.previous_outcomes(job.campaign) if changes else PreviousOutcomes({})
    report = replace(report, unexplained=previous.unexplained)
    results = recheck(job, changes, campaign.limits.wave_size, previous.reported_pauses, dry_run=run.request.dry_run)
    report = replace(report, adsets=(*done.completed.values(), *results))
    report = _with_next_try(job, report, {change.before.id: change.before for change in changes})
    is_recorded = not run.request.dry_run and not run.request.run_id
    token_ends = last.token_ends if last else None
    if is_recorded and (last is None or last.at.date() < began.date()):  # once a day is enough
        token_ends = read_token_end(job.api, campaign.fb_access_token, token_ends)
    yield replace(report, token_ends=_iso(token_ends))
    if is_recorded and not report.with_result(Result.DEFERRED, Result.UNVERIFIED):
        reported = last.reported if last and failures_of(report) else None
        job.ledger.record_recheck(job.campaign, LastRecheck(began, token_ends, reported))


def changes_to_recheck(run: Run, slug: str, last: LastRecheck | None) -> Sequence[Change]:
    """Return the changes of the requested run, or those of the last day that are in effect.

    Raises
    ------
    PlanRefusedError
        The requested live run does not exist.
    """
    if run.request.run_id:
        return _changes_of(run.request.run_id, run, slug)
    return run.ledger.changes_in_effect(slug, recheck_since(last, run.clock.now()))


def _changes_of(run_id: str, run: Run, slug: str) -> Sequence[Change]:
    if not run.runs.exists(run_id):
        raise PlanRefusedError(f"The ledger knows no live run {run_id}: take the id from the foot of a report")
    return run.ledger.changes_of(slug, run_id)


def _still_open(report: SyncReport) -> frozenset[str]:
    return frozenset(change.id for change in report.still_open)


def _carried_out(  # noqa: PLR0913, PLR0917 - the context, the report, and the decisions
    campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Completed, decisions: Sequence[Decision]
) -> SyncReport:
    """Apply the changes, have Meta validate them, or only list them; return the report with the results."""
    changes = [decision for decision in decisions if decision.is_change]
    end = Ending({})
    if campaign.slug in run.refused:
        end = withhold(changes)
    elif not run.request.dry_run:
        end = carry_out(job, changes, campaign.limits.wave_size, done.waves)
    elif run.request.validate:
        end = validate(job, changes)
    report = replace(
        _with_results(report, done, decisions, end.results),
        campaign_errors=(end.stopped,) if end.stopped else (),
        switched_off=_switch_of(campaign, end.paused),
    )
    if end.stopped or end.paused:
        return report
    return _with_next_try(job, report, {change.adset.id: change.adset for change in changes})


def _with_results(
    report: SyncReport, done: Completed, decisions: Iterable[Decision], results: Mapping[str, AdSetResult]
) -> SyncReport:
    """Return the report with the results of all ad sets: the given ones, by id, else what was decided."""
    rest = (each for each in decisions if each.adset.id not in done.completed)
    adsets = (results.get(each.adset.id) or each.to_result() for each in rest)
    listed = sorted((*done.completed.values(), *adsets), key=lambda each: (each.meta_campaign_id, each.id))
    return replace(report, adsets=tuple(listed))


def _switch_of(campaign: CampaignConfig, error: PausedError | None) -> SwitchedOff | None:
    if error is None:
        return None
    return SwitchedOff(error.since, campaign.slug, campaign.name) if error.is_of_campaign else SwitchedOff(error.since)


def _with_next_try(job: Job, report: SyncReport, tried: Mapping[str, AdSetSnapshot]) -> SyncReport:
    """Add when the ad sets that were deferred for lack of time or quota can be resumed."""
    waiting = [tried[adset.id] for adset in report.with_result(Result.DEFERRED) if adset.id in tried]
    if not waiting:
        return report
    waits = map(job.api.quota.seconds_until, {points_needed([adset]) for adset in waiting})  # any may be the next
    return replace(report, again_in_seconds=_pause(max(filter(math.isfinite, waits), default=None)))


def _record_deferred(run: Run, job: Job, report: SyncReport, previous: PreviousOutcomes) -> None:
    """Record the deferred ad sets, which the next sync changes first."""
    deferred = [adset.id for adset in report.with_result(Result.DEFERRED)]
    if run.request.dry_run or job.campaign in run.refused or previous.deferred == frozenset(deferred):
        return
    try:
        job.ledger.record_deferred(job.campaign, deferred)
    except LedgerError as error:
        logger.warning("ledger.deferred_not_kept", extra={"campaign": job.campaign, "error": str(error)})


def _pause(stated: float | None) -> int:
    """Return the delay in whole seconds, or the default if none is known."""
    return math.ceil(stated) if stated else WITHOUT_REASON_SECONDS
