"""The conductor: recovery → demand → regions → snapshots → plan → waves. It alone knows both CLOSRTECH and Meta."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.concurrency import in_background, map_concurrently
from closrads.domain.adsets import LONG_AGO, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, PreviousOutcomes
from closrads.domain.health import check_ad_health
from closrads.domain.plan import Decision, decide, defer_beyond, hold, prioritize, refuse_implausible, resume
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import AdSetResult, Result, RunResult, SyncReport
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.targeting import region_keys
from closrads.errors import ClosradsError, ConfigError, LedgerError, MetaError, MetaRateLimitError, PlanRefusedError
from closrads.facebook_client import get_active_adsets, init_api, refresh
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
from closrads.rollout.recovery import outcome_of, recheck, recover, report_open
from closrads.rollout.rollout import carry_out, validate
from closrads.state_mapper import build_fb_regions, is_state

WITHOUT_REASON_SECONDS = 60
"""The pause before what was deferred is gone on with, where nobody says how long to wait."""
MAX_RUN_SECONDS = 900.0
"""Lambda cuts off every invocation then (Lambda Developer Guide, "Quotas")."""
LEASE_MARGIN = timedelta(seconds=30)
"""A lease outlives its run by this much, for clocks differ."""
CAMPAIGNS_AT_ONCE = 10
"""CLOSRADS campaigns, and Meta campaigns of one of them that are read."""
RECHECKED_FOR = timedelta(days=1)
"""Ads that break later than this after a change are no matter of that change, unless somebody names its run."""

_LEFT = frozenset({Result.DEFERRED, Result.HELD, Result.UNVERIFIED, Result.ROLLBACK_FAILED})
"""What a later invocation of the same run has to look at anew: it was not begun, or its change is open."""


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
    campaigns = settings.chosen(request.campaigns)
    result = RunResult(run_id, request.action, request.dry_run, started, 0, (), force=request.force)
    if request.dry_run:
        reports = map_concurrently(lambda campaign: _sync_campaign(campaign, run), campaigns, CAMPAIGNS_AT_ONCE)
        result = replace(result, campaigns=tuple(reports))
    else:
        result = _run_live(result, campaigns, run)
    took = round((clock.now() - started).total_seconds() * 1000)
    return replace(result, duration_ms=took, graph=run.meter.reading())


def end_run(result: RunResult, request: RunRequest, settings: Settings, clock: Clock) -> None:
    """Keep the result of a run that the ledger knows, and note that its scheduled time is done with."""
    if result.left_to or (result.dry_run and not request.opens):
        return
    table = Table(settings.ledger_table, clock)
    try:
        Runs(table).end(result.run_id, redact_all(result.to_json()))
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
        busy = leases.acquire(slugs, run.run_id, until, request.action)
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


def _sync_campaign(campaign: CampaignConfig, run: Run, earlier: SyncReport | None = None) -> SyncReport:
    """Do what the request asks for with one campaign, and report whatever stops it.

    Parameters
    ----------
    earlier
        What an earlier invocation of the same run has come to: only what it left over is gone on with.
    """
    return _CampaignRun(campaign, run, earlier).go()


class _CampaignRun:
    """One campaign on its way; `report` tells how far it has come, whatever stops it."""

    def __init__(self, campaign: CampaignConfig, run: Run, earlier: SyncReport | None) -> None:
        self._campaign = campaign
        self._run = run
        self._request = run.request
        self._is_first = earlier is None
        earlier = earlier or _nothing_yet(campaign, dry_run=run.request.dry_run)
        self._completed = {adset.id: adset for adset in earlier.adsets if adset.result not in _LEFT}
        """What this run has done with already, by the ad set's id."""
        self._previous = PreviousOutcomes({})
        self._waves_before: list[list[Result]] = []
        recovered = tuple(found for found in earlier.recovered if not found.state.is_open)
        self.report = replace(earlier, recovered=recovered, campaign_errors=(), again_in_seconds=None)

    def go(self) -> SyncReport:
        """Do it: all or nothing until the first write, ad set by ad set from there on."""
        slug = self._campaign.slug
        logger.info("campaign.start", extra={"campaign": slug})
        job = self._job()
        try:
            self._act(job)
        except MetaRateLimitError as error:
            self._add(campaign_errors=(str(error),), again_in_seconds=_pause(error.retry_after))
        except ClosradsError as error:
            self._add(campaign_errors=(str(error),))
        except Exception as error:  # noqa: BLE001 - one campaign's failure, a defect included, never stops another
            self._add(campaign_errors=(log_defect(error),))
        for problem in self.report.errors:
            logger.error("campaign.error", extra={"campaign": slug, "error": problem})
        logger.info("campaign.end", extra={"campaign": slug, "success": self.report.success})
        return self.report

    def _add(self, **findings: Any) -> None:
        self.report = replace(self.report, **findings)

    def _job(self) -> Job:
        campaign, run = self._campaign, self._run
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

    def _act(self, job: Job) -> None:
        if self._run.settings.ledger_table:
            changes = job.ledger.open_changes(job.campaign)
            wave_size = self._campaign.limits.wave_size
            found = report_open(changes) if self._request.dry_run else recover(job, changes, wave_size)
            # What this run itself had begun is told of its ad sets.
            found = tuple(each for each in found if each.state.is_open or each.run_id != job.run_id)
            self._add(recovered=self.report.recovered + found)
        if not self._is_first:
            self._take_in(self._done_before(job))
        if self._request.action is Action.RECHECK:
            self._recheck(job)
        elif self._request.action is Action.UNDO:
            self._carry_out(job, self._plan_undo(job))
        else:
            self._carry_out(job, self._plan_sync(job))

    def _done_before(self, job: Job) -> Sequence[Change]:
        """Return the changes that earlier invocations of this run have made, or put back in a recheck."""
        if self._request.action is not Action.RECHECK:
            return job.ledger.changes_of(job.campaign, job.run_id)
        began = self._run.opened_at or LONG_AGO
        changes = self._changes_to_recheck(job, also_undone=True)
        return [each for each in changes if each.changed_at >= began and each.state is not ChangeState.VERIFIED]

    def _take_in(self, changes: Sequence[Change]) -> None:
        """Settle what is done with, and note how the waves went in which it was done.

        What an invocation that was cut off had begun may have been put back for that alone, and says nothing of Meta.
        """
        waves: dict[datetime, list[Result]] = {}
        told = frozenset(self._completed)
        for change in sorted(changes, key=lambda change: change.prepared_at):
            if outcome := outcome_of(change):
                self._completed.setdefault(outcome.id, outcome)
                if outcome.id in told:
                    waves.setdefault(change.prepared_at, []).append(outcome.result)
        self._waves_before = list(waves.values())

    @property
    def _still_open(self) -> frozenset[str]:
        return frozenset(change.id for change in self.report.still_open)

    def _plan_sync(self, job: Job) -> tuple[Decision, ...]:
        campaign, limits = self._campaign, self._campaign.limits
        read = partial(get_active_adsets, job.api)
        with in_background(partial(map_concurrently, read, campaign.fb_campaign_ids, CAMPAIGNS_AT_ONCE)) as pictures:
            demand = self._demand()
        self._add(
            active_states=tuple(sorted(filter(is_state, demand))),
            unmapped_states=tuple(sorted(code for code in demand if not is_state(code))),
        )
        regions = build_fb_regions(demand)
        if not regions:
            raise PlanRefusedError(f"Meta has no region for any state with demand ({', '.join(sorted(demand))})")
        adsets = [adset for picture in pictures.result() for adset in picture]
        decisions: Sequence[Decision] = [decide(adset, regions, check_ad_health(adset)) for adset in adsets]
        refuse_implausible(decisions, limits, self._request.force)
        decisions = hold(resume(decisions, self._completed), self._still_open)
        if self._run.settings.ledger_table and any(decision.is_change for decision in decisions):
            self._previous = job.ledger.previous_outcomes(job.campaign)
            decisions = prioritize(decisions, self._previous, self._request.force)
        done = sum(bool(adset.added or adset.removed) for adset in self._completed.values())
        return defer_beyond(decisions, limits.max_adsets and max(limits.max_adsets - done, 0))

    def _demand(self) -> Collection[str]:
        """Return the states that are wanted: in one run the same for all ad sets of a campaign."""
        if self.report.active_states:
            return (*self.report.active_states, *self.report.unmapped_states)
        closrtech = self._run.settings.closrtech
        return get_demand(self._campaign.closrtech_campaign, login=closrtech, clock=self._run.clock)

    def _plan_undo(self, job: Job) -> tuple[Decision, ...]:
        """Plan to put every ad set that the run changed, and that still has what it wrote, back to where it was."""
        decisions = []
        changes = self._changes_to_undo(job)
        now = refresh(job.api, [change.before for change in changes])
        for change in changes:
            regions = (change.before.targeting.get("geo_locations") or {}).get("regions") or []
            adset = now[change.before.id]
            if isinstance(adset, MetaError):
                decisions.append(Decision(change.before, Result.FAILED, tuple(regions), (str(adset),)))
            else:
                wrote = region_keys(change.after)
                decisions.append(decide(adset, regions, check_ad_health(adset), replaces=wrote))
        return hold(resume(decisions, self._completed), self._still_open)

    def _recheck(self, job: Job) -> None:
        """Look again at what the named run changed, or at each ad set's newest change of the last day."""
        changes = [
            change
            for change in self._changes_to_recheck(job)
            if change.state is ChangeState.VERIFIED and change.before.id not in {*self._still_open, *self._completed}
        ]
        wave_size = self._campaign.limits.wave_size
        results = recheck(job, changes, wave_size, dry_run=self._request.dry_run)
        self._add(adsets=(*self._completed.values(), *results))
        self._say_when_to_go_on(job, {change.before.id: change.before for change in changes})

    def _changes_to_recheck(self, job: Job, *, also_undone: bool = False) -> Sequence[Change]:
        if run_id := self._request.run_id:
            return self._changes_of(run_id, job)
        since = self._run.clock.now() - RECHECKED_FOR
        changes = job.ledger.newest_changes(job.campaign, since, also_undone=also_undone)
        self._add(about_run=max((change.run_id for change in changes), default=""))
        return changes

    def _changes_to_undo(self, job: Job) -> list[Change]:
        run_id = self._request.run_id or self._run.leases.last_sync(job.campaign)
        if not run_id:
            raise PlanRefusedError("No live run has had this campaign yet, so there is nothing to undo")
        return [change for change in self._changes_of(run_id, job) if change.state is ChangeState.VERIFIED]

    def _changes_of(self, run_id: str, job: Job) -> Sequence[Change]:
        if not self._run.runs.exists(run_id):
            raise PlanRefusedError(f"The ledger knows no live run {run_id}: take the id from the foot of a report")
        self._add(about_run=run_id)
        return job.ledger.changes_of(job.campaign, run_id)

    def _carry_out(self, job: Job, decisions: Sequence[Decision]) -> None:
        """Make the changes, have Meta validate them, or just say them."""
        changes = [decision for decision in decisions if decision.is_change]
        results: dict[str, AdSetResult] = {}
        stopped = ""
        if not self._request.dry_run:
            results, stopped = carry_out(job, changes, self._campaign.limits.wave_size, self._waves_before)
        elif self._request.validate:
            results, stopped = validate(job, changes)
        adsets = [results.get(decision.adset.id) or decision.to_result() for decision in decisions]
        self._add(
            adsets=tuple(
                sorted((*self._completed.values(), *adsets), key=lambda each: (each.meta_campaign_id, each.id))
            ),
            campaign_errors=(stopped,) if stopped else (),
        )
        if not stopped:
            self._say_when_to_go_on(job, {change.adset.id: change.adset for change in changes})
        self._leave_to_the_next(job)

    def _say_when_to_go_on(self, job: Job, tried: Mapping[str, AdSetSnapshot]) -> None:
        """Say when what was tried, and deferred for want of time or quota, can be gone on with."""
        waiting = [tried[adset.id] for adset in self.report.with_result(Result.DEFERRED) if adset.id in tried]
        if waiting:  # and nobody knows which of them will be the first
            waits = map(job.api.quota.seconds_until, {points_needed([adset]) for adset in waiting})
            self._add(again_in_seconds=_pause(max(filter(math.isfinite, waits), default=None)))

    def _leave_to_the_next(self, job: Job) -> None:
        """Remember which ad sets the next sync is to take first."""
        deferred = [adset.id for adset in self.report.with_result(Result.DEFERRED)]
        is_sync = self._request.action is Action.SYNC and not self._request.dry_run
        if not is_sync or self._previous.deferred == frozenset(deferred):
            return
        try:
            job.ledger.record_deferred(job.campaign, deferred)
        except LedgerError as error:
            logger.warning("ledger.deferred_not_kept", extra={"campaign": job.campaign, "error": str(error)})


def _pause(stated: float | None) -> int:
    """Return the seconds to wait for quota, or a minute where it is not known what to wait for."""
    return math.ceil(stated) if stated else WITHOUT_REASON_SECONDS
