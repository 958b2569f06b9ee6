"""The conductor: recovery → demand → regions → snapshots → plan → waves. It alone knows both CLOSRTECH and Meta."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.concurrency import in_background, map_concurrently
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, PreviousOutcomes, UnexplainedPause
from closrads.domain.health import check_ad_health, still_unexplained
from closrads.domain.plan import Decision, decide, defer_beyond, hold, prioritize, refuse_implausible, remaining
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import AdSetResult, Recovery, Result, RunResult, SyncReport
from closrads.domain.settings import CampaignConfig, Settings
from closrads.errors import ClosradsError, ConfigError, LedgerError, MetaError, MetaRateLimitError, PlanRefusedError
from closrads.facebook_client import get_active_adsets, init_api, read_adsets, read_status_changes
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.runs import Runs
from closrads.meta.graph import UsageMeter
from closrads.meta.rate_limit import AccountQuota
from closrads.observability import log_defect, logger
from closrads.redaction import redact_all
from closrads.rollout.budget import points_needed
from closrads.rollout.change_run import Job
from closrads.rollout.recovery import recheck, recover, report_open
from closrads.rollout.rollout import carry_out, validate
from closrads.state_mapper import build_fb_regions, is_state

WITHOUT_REASON_SECONDS = 60
"""The pause before what was deferred is gone on with, where nobody says how long to wait."""
MAX_RUN_SECONDS = 900.0
"""Lambda cuts off every invocation then (Lambda Developer Guide, "Quotas")."""
LEASE_MARGIN = timedelta(seconds=30)
"""A lease outlives its run by this much, for clocks differ."""
BUSY_ATTEMPTS, BUSY_WAIT_SECONDS = 4, 15.0
"""How often, and how far apart, a scheduled sync asks for a campaign that is held; a recheck takes seconds."""
CAMPAIGNS_AT_ONCE = 10
"""CLOSRADS campaigns, and Meta campaigns of one of them that are read."""
RECHECKED_FOR = timedelta(days=1)
"""Ads that break later than this after a change are no matter of that change, unless somebody names its run."""
MAX_RECHECK_GAP = timedelta(days=7)
"""After so long without a recheck that could look, older changes are left to the daily runs."""


@dataclass(frozen=True, slots=True)
class Done:
    """What earlier invocations of the same run have done with; in a run of one invocation nothing."""

    completed: Mapping[str, AdSetResult] = field(default_factory=dict)
    """By the id of the ad set."""
    waves: Sequence[Sequence[AdSetResult]] = ()
    """How their waves went."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one invocation's campaigns have in common."""

    run_id: str
    request: RunRequest
    settings: Settings
    clock: Clock
    table: Table
    """Of the ledger."""
    patience: float = math.inf
    """The most seconds to wait for Meta's quota."""
    opened_at: datetime | None = None
    """When the run was opened, if several invocations share it."""
    meter: UsageMeter = field(default_factory=UsageMeter)
    _quotas: dict[str, AccountQuota] = field(default_factory=dict)

    def quota(self, account: str) -> AccountQuota:
        """Return an ad account's quota: campaigns may share one."""
        return self._quotas.setdefault(account, AccountQuota(self.clock.now, self.patience))

    @property
    def ledger(self) -> Ledger:
        """The changes of ad sets."""
        return Ledger(self.table)

    @property
    def leases(self) -> Leases:
        """Who is at work on which campaign."""
        return Leases(self.table)

    @property
    def runs(self) -> Runs:
        """What is kept of runs."""
        return Runs(self.table)

    def lease_until(self) -> datetime:
        """Return when this invocation is sure to be over."""
        return self.clock.now() + timedelta(seconds=min(self.clock.remaining(), MAX_RUN_SECONDS)) + LEASE_MARGIN


def run_sync(run_id: str, request: RunRequest, settings: Settings, clock: Clock) -> RunResult:
    """Do what the request asks for, campaign by campaign; one's failure never stops another.

    A live run handles only campaigns that no other run is at work on, and a scheduled time only once; `end_run` is to
    be called when its report is out.

    Raises
    ------
    ConfigError
        The ledger has no table, and the request cannot do without.
    """
    if not settings.ledger_table and not (request.dry_run and request.action is Action.SYNC):
        raise ConfigError(["CLOSRADS_LEDGER_TABLE: must be set: only a dry run of a sync can do without the ledger"])
    started = clock.now()
    run = Run(run_id, request, settings, clock, Table(settings.ledger_table, clock))
    campaigns = chosen_campaigns(request, settings, run.table)
    result = RunResult(run_id, request.action, request.dry_run, started, 0, (), force=request.force)
    if request.dry_run:
        reports = map_concurrently(lambda campaign: _sync_campaign(campaign, run), campaigns, CAMPAIGNS_AT_ONCE)
        result = replace(result, campaigns=tuple(reports))
    else:
        result = _run_live(result, campaigns, run)
    took = round((clock.now() - started).total_seconds() * 1000)
    return replace(result, duration_ms=took, graph=run.meter.reading())


def chosen_campaigns(request: RunRequest, settings: Settings, table: Table) -> list[CampaignConfig]:
    """Return the campaigns of a run: those that the request is for, and those switched off that are not done with.

    Switched off is only the following of demand: what is open is finished or undone, and what was changed is rechecked.
    """
    chosen = settings.chosen(request.campaigns)
    if request.campaigns is not None or not settings.ledger_table:
        return chosen
    ledger = Ledger(table)

    def has_business(campaign: CampaignConfig) -> bool:
        if ledger.open_changes(campaign.slug):
            return True
        since = recheck_since(ledger, campaign.slug, table.clock.now())
        return request.action is Action.RECHECK and bool(ledger.newest_changes(campaign.slug, since))

    try:
        return chosen + [campaign for campaign in settings.campaigns if not campaign.enabled and has_business(campaign)]
    except LedgerError as error:  # which the campaigns that are switched on report as well
        logger.error("ledger.open_changes_unread", extra={"error": str(error)})
        return chosen


def end_run(result: RunResult, request: RunRequest, settings: Settings, clock: Clock) -> None:
    """Keep the result of a run that the ledger knows, and note that its scheduled time is done with.

    Of a recheck without news nothing is kept: there are 48 a day.
    """
    if result.left_to or (result.dry_run and not request.opens):
        return
    table = Table(settings.ledger_table, clock)
    try:
        if result.is_news:
            Runs(table).end(result.run_id, redact_all(result.to_json()))
        else:
            Runs(table).forget(result.run_id)
        if request.scheduled and not request.opens:
            Leases(table).complete_time(_time_key(request), result.run_id)
    except LedgerError as error:
        logger.error("ledger.run_not_ended", extra={"error": str(error)})


def _run_live(result: RunResult, campaigns: Sequence[CampaignConfig], run: Run) -> RunResult:
    """Do what no other run has done or is doing."""
    request, leases = run.request, run.leases
    until = run.lease_until()
    slugs = [campaign.slug for campaign in campaigns]
    mine = slugs
    try:
        if request.scheduled:
            holder = leases.claim_time(_time_key(request), run.run_id, until)
            if holder != run.run_id:
                mine = []
                return _leave_to(holder, result)
        busy = _acquire(slugs, run, until)
        mine = [slug for slug in slugs if slug not in busy]
        if busy and not mine:
            if request.scheduled:
                leases.release_time(_time_key(request), run.run_id)
            return _leave_to(min(busy.values()), result)
        run.runs.begin(run.run_id, request.action, mine)
        reports = map_concurrently(
            lambda campaign: (
                _sync_campaign(campaign, run)
                if campaign.slug in mine
                else replace(_nothing_yet(campaign, dry_run=False), left_to=busy[campaign.slug])
            ),
            campaigns,
            CAMPAIGNS_AT_ONCE,
        )
    except LedgerError as error:
        reports = [
            replace(_nothing_yet(campaign, dry_run=False), campaign_errors=(str(error),)) for campaign in campaigns
        ]
    finally:
        release(mine, run)
    return replace(result, campaigns=tuple(reports))


def _acquire(slugs: Sequence[str], run: Run, until: datetime) -> dict[str, str]:
    """Take the campaigns that are free; return the others with the run that holds each.

    A scheduled sync waits a little: a recheck that is at work just then must not cost it its day.
    """
    busy = run.leases.acquire(slugs, run.run_id, until, run.request.action)
    if run.request.scheduled and run.request.action is Action.SYNC:
        for _ in range(BUSY_ATTEMPTS - 1):
            if not busy:
                break
            run.clock.sleep(BUSY_WAIT_SECONDS)
            busy = run.leases.acquire(list(busy), run.run_id, until, run.request.action)
    return busy


def _nothing_yet(campaign: CampaignConfig, *, dry_run: bool) -> SyncReport:
    return SyncReport(campaign.slug, campaign.name, dry_run, fb_ad_account_id=campaign.fb_ad_account_id)


def _leave_to(holder: str, result: RunResult) -> RunResult:
    logger.warning("run.left", extra={"left_to": holder})
    return replace(result, left_to=holder)


def release(slugs: Sequence[str], run: Run, invocation: str = "") -> None:
    """Give campaigns back that were leased."""
    try:
        run.leases.release(slugs, run.run_id, invocation)
    except LedgerError as error:
        logger.error("ledger.lease_kept", extra={"campaigns": slugs, "error": str(error)})  # until it expires


def _time_key(request: RunRequest) -> str:
    which = ",".join(sorted(request.campaigns)) if request.campaigns else "*"
    return f"{request.action}#{request.scheduled:%Y-%m-%dT%H:%M:%SZ}#{which}"


def _sync_campaign(
    campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None, resume: Callable[[], Done] = Done
) -> SyncReport:
    """Do what the request asks for with one campaign, and report whatever stops it.

    Parameters
    ----------
    earlier
        What earlier invocations of the same run have reported of the campaign.
    resume
        Returns what they have done with, once what was left open has been recovered.
    """
    logger.info("campaign.start", extra={"campaign": campaign.slug})
    report = replace(
        earlier or _nothing_yet(campaign, dry_run=run.request.dry_run), campaign_errors=(), again_in_seconds=None
    )
    try:
        for stage in _stages(campaign, run, report, resume):
            report = stage  # the last one is reported, whatever stops it
    except MetaRateLimitError as error:
        report = replace(report, campaign_errors=(str(error),), again_in_seconds=_pause(error.retry_after))
    except ClosradsError as error:
        report = replace(report, campaign_errors=(str(error),))
    except Exception as error:  # noqa: BLE001 - one campaign's failure, a defect included, never stops another
        report = replace(report, campaign_errors=(log_defect(error),))
    for problem in report.errors:
        logger.error("campaign.error", extra={"campaign": campaign.slug, "error": problem})
    logger.info("campaign.end", extra={"campaign": campaign.slug, "success": report.success})
    return report


def _stages(campaign: CampaignConfig, run: Run, report: SyncReport, resume: Callable[[], Done]) -> Iterator[SyncReport]:
    """Go through a campaign's run and yield the report as far as it has come."""
    job = _job(campaign, run)
    report = replace(report, recovered=_recovered(campaign, run, job, report))
    yield report
    if not campaign.enabled and run.request.action is not Action.RECHECK:
        return
    done = resume()
    match run.request.action:
        case Action.RECHECK:
            yield from _recheck(campaign, run, job, report, done)
        case Action.UNDO:
            yield from _undo(campaign, run, job, report, done)
        case Action.SYNC:
            yield from _sync(campaign, run, job, report, done)


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
    return Job(campaign.slug, run.run_id, run.request.action, api, run.ledger, campaign.limits.verify_wait_seconds)


def _recovered(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport) -> tuple[Recovery, ...]:
    """Finish or undo what earlier runs have left open; in a dry run only name it."""
    closed = tuple(recovery for recovery in report.recovered if not recovery.state.is_open)
    if not run.settings.ledger_table:
        return closed
    changes = job.ledger.open_changes(job.campaign)
    found = report_open(changes) if run.request.dry_run else recover(job, changes, campaign.limits.wave_size)
    # What this run itself had begun is told of its ad sets.
    return closed + tuple(each for each in found if each.state.is_open or each.run_id != job.run_id)


def _sync(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Done) -> Iterator[SyncReport]:
    """Make every active ad set target the states with demand."""
    read = partial(get_active_adsets, job.api)
    with in_background(partial(map_concurrently, read, campaign.fb_campaign_ids, CAMPAIGNS_AT_ONCE)) as reading:
        demand = _demand(campaign, run, report)
    report = replace(
        report,
        active_states=tuple(sorted(filter(is_state, demand))),
        unmapped_states=tuple(sorted(code for code in demand if not is_state(code))),
    )
    yield report
    regions = build_fb_regions(demand)
    if not regions:
        raise PlanRefusedError(f"Meta has no region for any state with demand ({', '.join(sorted(demand))})")
    adsets = [adset for of_campaign in reading.result() for adset in of_campaign]
    previous = job.ledger.previous_outcomes(job.campaign) if run.settings.ledger_table else PreviousOutcomes({})
    restored, previous = _rechecked(campaign, run, job, previous, adsets)
    done = replace(done, completed={**done.completed, **restored})
    unexplained = _unexplained(run, job, previous.unexplained, adsets)
    report = replace(report, unexplained=unexplained, adsets=tuple(done.completed.values()))
    yield report
    decisions: Sequence[Decision] = [decide(adset, regions, check_ad_health(adset)) for adset in adsets]
    refuse_implausible(decisions, campaign.limits, run.request.force)
    decisions = hold(remaining(decisions, done.completed), _still_open(report))
    decisions = prioritize(decisions, previous, run.request.force)
    changed = sum(bool(adset.added or adset.removed) for adset in done.completed.values())
    most = campaign.limits.max_adsets
    decisions = defer_beyond(decisions, most and max(most - changed, 0))
    report = _carried_out(campaign, run, job, report, done, decisions)
    _record_deferred(run, job, report, previous)
    yield _with_new_pauses(run, job, report)


def _with_new_pauses(run: Run, job: Job, report: SyncReport) -> SyncReport:
    """Add the pauses that nobody can explain and that came to light in this run."""
    if run.request.dry_run or not any(adset.added or adset.removed for adset in report.adsets):
        return report
    known = {pause.adset_id: pause for pause in report.unexplained}
    kept = {pause.adset_id: pause for pause in job.ledger.previous_outcomes(job.campaign).unexplained}
    return replace(report, unexplained=tuple((known | kept).values()))


def _demand(campaign: CampaignConfig, run: Run, report: SyncReport) -> Collection[str]:
    """Return the states that are wanted: in one run the same for all ad sets of a campaign."""
    if report.active_states:
        return (*report.active_states, *report.unmapped_states)
    return get_demand(campaign.closrtech_campaign, login=run.settings.closrtech, clock=run.clock)


def _rechecked(
    campaign: CampaignConfig, run: Run, job: Job, previous: PreviousOutcomes, adsets: Sequence[AdSetSnapshot]
) -> tuple[dict[str, AdSetResult], PreviousOutcomes]:
    """Look at what was changed since the last recheck, before a new change covers it.

    Return what had to be restored, by the id of the ad set, and how the ad sets have been left by that.
    """
    if run.request.dry_run or not run.settings.ledger_table:
        return {}, previous
    now = {adset.id: adset for adset in adsets}
    since = recheck_since(job.ledger, job.campaign, run.clock.now())
    changes = [
        change
        for change in job.ledger.newest_changes(job.campaign, since)
        if change.before.id in now and not change.state.is_open and change.run_id != job.run_id
    ]
    if not changes:
        return {}, previous
    known = {pause.adset_id: frozenset(pause.ads) for pause in previous.unexplained}
    results = recheck(job, changes, campaign.limits.wave_size, known, dry_run=False, now=now)
    restored = {each.id: each for each in results if each.result in {Result.REVERTED, Result.ROLLBACK_FAILED}}
    return restored, job.ledger.previous_outcomes(job.campaign)


def _unexplained(
    run: Run, job: Job, pauses: Sequence[UnexplainedPause], adsets: Sequence[AdSetSnapshot]
) -> tuple[UnexplainedPause, ...]:
    """Return which ads are still off without a trace of who did it, and forget the others."""
    if not pauses:
        return ()
    ads = {adset.id: adset.ads for adset in adsets}
    log = read_status_changes(job.api, min(pause.since for pause in pauses))
    still = {pause.adset_id: still_unexplained(pause, ads.get(pause.adset_id, ()), log) for pause in pauses}
    for adset_id, pause in still.items():
        if pause is None and not run.request.dry_run:
            job.ledger.forget_unexplained(job.campaign, adset_id)
    return tuple(pause for pause in still.values() if pause is not None)


def _undo(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Done) -> Iterator[SyncReport]:
    """Put every ad set that the run changed, and that still has what it wrote, back to where it was."""
    run_id = run.request.run_id or run.leases.last_sync(job.campaign)
    if not run_id:
        raise PlanRefusedError("No live run has had this campaign yet, so there is nothing to undo")
    report = replace(report, about_run=run_id)
    changes = [change for change in _changes_of(run_id, run, job.campaign) if change.state is ChangeState.VERIFIED]
    yield report
    read = read_adsets(job.api, [change.before for change in changes])
    adsets = [adset for adset in read.values() if isinstance(adset, AdSetSnapshot)]
    previous = job.ledger.previous_outcomes(job.campaign) if run.settings.ledger_table else PreviousOutcomes({})
    restored, previous = _rechecked(campaign, run, job, previous, adsets)
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


def _recheck(campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Done) -> Iterator[SyncReport]:
    """Look again at what the named run changed, or at each ad set's newest change of the last day."""
    began = run.clock.now()
    found = changes_to_recheck(run, job.campaign)
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
    known = {pause.adset_id: frozenset(pause.ads) for pause in previous.unexplained}
    results = recheck(job, changes, campaign.limits.wave_size, known, dry_run=run.request.dry_run)
    report = replace(report, adsets=(*done.completed.values(), *results))
    report = _with_next_try(job, report, {change.before.id: change.before for change in changes})
    yield _with_new_pauses(run, job, report)
    could_look = not report.with_result(Result.DEFERRED, Result.UNVERIFIED)
    if could_look and not run.request.dry_run and not run.request.run_id:
        job.ledger.record_recheck(job.campaign, began)


def changes_to_recheck(run: Run, slug: str) -> Sequence[Change]:
    """Return the changes of the run that the request names, or each ad set's newest of the last day.

    Raises
    ------
    PlanRefusedError
        There was no such live run.
    """
    if run.request.run_id:
        return _changes_of(run.request.run_id, run, slug)
    return run.ledger.newest_changes(slug, recheck_since(run.ledger, slug, run.clock.now()))


def recheck_since(ledger: Ledger, slug: str, now: datetime) -> datetime:
    """Return from when on changes are to be looked at: a day before now, or before the last recheck that could look.

    So every change is looked at once more when it is a day old, however long nobody could look.
    """
    last = ledger.last_recheck(slug) or now
    return min(now, max(last, now - MAX_RECHECK_GAP)) - RECHECKED_FOR


def _changes_of(run_id: str, run: Run, slug: str) -> Sequence[Change]:
    if not run.runs.exists(run_id):
        raise PlanRefusedError(f"The ledger knows no live run {run_id}: take the id from the foot of a report")
    return run.ledger.changes_of(slug, run_id)


def _still_open(report: SyncReport) -> frozenset[str]:
    return frozenset(change.id for change in report.still_open)


def _carried_out(  # noqa: PLR0913, PLR0917 - whose changes, what is known of them, and where they are reported
    campaign: CampaignConfig, run: Run, job: Job, report: SyncReport, done: Done, decisions: Sequence[Decision]
) -> SyncReport:
    """Make the changes, have Meta validate them, or just say them."""
    changes = [decision for decision in decisions if decision.is_change]
    results: dict[str, AdSetResult] = {}
    stopped = ""
    if not run.request.dry_run:
        results, stopped = carry_out(job, changes, campaign.limits.wave_size, done.waves)
    elif run.request.validate:
        results, stopped = validate(job, changes)
    adsets = [results.get(decision.adset.id) or decision.to_result() for decision in decisions]
    report = replace(
        report,
        adsets=tuple(sorted((*done.completed.values(), *adsets), key=lambda each: (each.meta_campaign_id, each.id))),
        campaign_errors=(stopped,) if stopped else (),
    )
    return report if stopped else _with_next_try(job, report, {change.adset.id: change.adset for change in changes})


def _with_next_try(job: Job, report: SyncReport, tried: Mapping[str, AdSetSnapshot]) -> SyncReport:
    """Say when what was tried, and deferred for want of time or quota, can be gone on with."""
    waiting = [tried[adset.id] for adset in report.with_result(Result.DEFERRED) if adset.id in tried]
    if not waiting:
        return report
    waits = map(job.api.quota.seconds_until, {points_needed([adset]) for adset in waiting})  # which is first, who knows
    return replace(report, again_in_seconds=_pause(max(filter(math.isfinite, waits), default=None)))


def _record_deferred(run: Run, job: Job, report: SyncReport, previous: PreviousOutcomes) -> None:
    """Record which ad sets the next sync is to take first."""
    deferred = [adset.id for adset in report.with_result(Result.DEFERRED)]
    if run.request.dry_run or previous.deferred == frozenset(deferred):
        return
    try:
        job.ledger.record_deferred(job.campaign, deferred)
    except LedgerError as error:
        logger.warning("ledger.deferred_not_kept", extra={"campaign": job.campaign, "error": str(error)})


def _pause(stated: float | None) -> int:
    """Return the seconds to wait for quota, or a minute where it is not known what to wait for."""
    return math.ceil(stated) if stated else WITHOUT_REASON_SECONDS
