"""The conductor: recovery → demand → regions → snapshots → plan → waves. It alone knows both CLOSRTECH and Meta."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from closrads.apply import Job
from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.config import Settings
from closrads.errors import ClosradsError, ConfigError, LedgerError, MetaError, PlanRefusedError, redact_all
from closrads.facebook_client import check_ad_health, get_active_adsets, init_api, refresh
from closrads.graph_api import UsageMeter
from closrads.ledger import Ledger
from closrads.model import (
    Action,
    AdSetResult,
    CampaignConfig,
    Change,
    ChangeState,
    Result,
    RunRequest,
    RunResult,
    SyncReport,
)
from closrads.observability import log_defect, logger
from closrads.parallel import side_by_side, under_way
from closrads.plan import Decision, decide, defer_beyond, hold, refuse_implausible, remember
from closrads.quota import AccountQuota
from closrads.recovery import as_found, recheck, recover
from closrads.state_mapper import build_fb_regions, is_state
from closrads.targeting import region_keys
from closrads.waves import carry_out, validate

LONGEST_RUN_SECONDS = 900.0
"""Lambda cuts off every invocation then (Lambda Developer Guide, "Quotas")."""
LEASE_MARGIN = timedelta(seconds=30)
"""A lease outlives its run by this much, for clocks differ."""
CAMPAIGNS_AT_ONCE = 10
"""CLOSRADS campaigns, and Meta campaigns of one of them that are read."""
RECHECKED_FOR = timedelta(days=1)
"""Ads that break later than this after a change are no matter of that change, unless somebody names its run."""


@dataclass(frozen=True, slots=True)
class _Run:
    run_id: str
    request: RunRequest
    settings: Settings
    clock: Clock
    ledger: Ledger
    meter: UsageMeter = field(default_factory=UsageMeter)
    quotas: dict[str, AccountQuota] = field(default_factory=dict)
    """By ad account: campaigns may share one."""


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
    run = _Run(run_id, request, settings, clock, Ledger(settings.ledger_table, clock))
    campaigns = [
        campaign
        for campaign in settings.campaigns
        if campaign.enabled and (request.campaigns is None or campaign.slug in request.campaigns)
    ]
    result = RunResult(run_id, request.action, request.dry_run, started, 0, (), force=request.force)
    if request.dry_run:
        reports = side_by_side(lambda campaign: _CampaignRun(campaign, run).go(), campaigns, CAMPAIGNS_AT_ONCE)
        result = replace(result, campaigns=tuple(reports))
    else:
        result = _run_live(result, campaigns, run)
    took = round((clock.now() - started).total_seconds() * 1000)
    return replace(result, duration_ms=took, graph=run.meter.reading())


def end_run(result: RunResult, request: RunRequest, settings: Settings, clock: Clock) -> None:
    """Keep a live run's result, and note that its scheduled time is done with."""
    if result.dry_run or result.left_to:
        return
    ledger = Ledger(settings.ledger_table, clock)
    try:
        ledger.end_run(result.run_id, redact_all(result.as_json()))
        if request.scheduled:
            ledger.end_time(_time_key(request), result.run_id)
    except LedgerError as error:
        logger.error("ledger.run_not_ended", extra={"error": str(error)})


def _run_live(result: RunResult, campaigns: Sequence[CampaignConfig], run: _Run) -> RunResult:
    """Do what no other run has done or is doing."""
    request, ledger = run.request, run.ledger
    until = run.clock.now() + timedelta(seconds=min(run.clock.remaining(), LONGEST_RUN_SECONDS)) + LEASE_MARGIN
    slugs = [campaign.slug for campaign in campaigns]
    mine = slugs
    try:
        if request.scheduled:
            holder = ledger.claim_time(_time_key(request), run.run_id, until)
            if holder != run.run_id:
                mine = []
                return _leave_to(holder, result)
        busy = ledger.lease(slugs, run.run_id, until, request.action)
        mine = [slug for slug in slugs if slug not in busy]
        if busy and not mine:
            if request.scheduled:
                ledger.give_time_back(_time_key(request), run.run_id)
            return _leave_to(min(busy.values()), result)
        ledger.begin_run(run.run_id, request.action, mine)
        reports = side_by_side(
            lambda campaign: (
                _CampaignRun(campaign, run).go()
                if campaign.slug in mine
                else SyncReport(campaign.slug, campaign.name, dry_run=False, left_to=busy[campaign.slug])
            ),
            campaigns,
            CAMPAIGNS_AT_ONCE,
        )
    except LedgerError as error:
        reports = [
            SyncReport(campaign.slug, campaign.name, dry_run=False, campaign_errors=(str(error),))
            for campaign in campaigns
        ]
    finally:
        _release(mine, run)
    return replace(result, campaigns=tuple(reports))


def _leave_to(holder: str, result: RunResult) -> RunResult:
    logger.warning("run.left", extra={"left_to": holder})
    return replace(result, left_to=holder)


def _release(slugs: Sequence[str], run: _Run) -> None:
    try:
        run.ledger.release(slugs, run.run_id)
    except LedgerError as error:
        logger.error("ledger.lease_kept", extra={"campaigns": slugs, "error": str(error)})  # until it expires


def _time_key(request: RunRequest) -> str:
    which = ",".join(sorted(request.campaigns)) if request.campaigns else "*"
    return f"{request.action}#{request.scheduled:%Y-%m-%dT%H:%M:%SZ}#{which}"


class _CampaignRun:
    """One campaign on its way; `report` tells how far it has come, whatever stops it."""

    def __init__(self, campaign: CampaignConfig, run: _Run) -> None:
        self._campaign = campaign
        self._run = run
        self._request = run.request
        self.report = SyncReport(campaign.slug, campaign.name, run.request.dry_run)

    def go(self) -> SyncReport:
        """Do it: all or nothing until the first write, ad set by ad set from there on."""
        slug = self._campaign.slug
        logger.info("campaign.start", extra={"campaign": slug})
        try:
            self._act(self._job())
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
            quota=run.quotas.setdefault(account, AccountQuota(run.clock.now)),
        )
        return Job(campaign.slug, run.run_id, run.request.action, api, run.ledger, campaign.limits.verify_wait_seconds)

    def _act(self, job: Job) -> None:
        if self._run.settings.ledger_table:
            changes = job.ledger.open_changes(job.campaign)
            wave_size = self._campaign.limits.wave_size
            self._add(recovered=as_found(changes) if self._request.dry_run else recover(job, changes, wave_size))
        if self._request.action is Action.RECHECK:
            self._recheck(job)
        elif self._request.action is Action.UNDO:
            self._carry_out(job, self._plan_undo(job))
        else:
            self._carry_out(job, self._plan_sync(job))

    @property
    def _still_open(self) -> frozenset[str]:
        return frozenset(change.id for change in self.report.still_open)

    def _plan_sync(self, job: Job) -> tuple[Decision, ...]:
        campaign, limits = self._campaign, self._campaign.limits
        read = partial(get_active_adsets, job.api)
        with under_way(partial(side_by_side, read, campaign.fb_campaign_ids, CAMPAIGNS_AT_ONCE)) as pictures:
            demand = get_demand(campaign.closrtech_campaign, login=self._run.settings.closrtech, clock=self._run.clock)
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
        decisions = hold(decisions, self._still_open)
        if self._run.settings.ledger_table and any(decision.is_change for decision in decisions):
            decisions = remember(decisions, job.ledger.memories(job.campaign), self._request.force)
        return defer_beyond(decisions, limits.max_adsets)

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
        return hold(decisions, self._still_open)

    def _recheck(self, job: Job) -> None:
        """Look again at what the named run changed, or at each ad set's newest change of the last day."""
        if run_id := self._request.run_id:
            changes = self._changes_of(run_id, job)
        else:
            changes = job.ledger.newest_changes(job.campaign, self._run.clock.now() - RECHECKED_FOR)
            self._add(about_run=max((change.run_id for change in changes), default=""))
        changes = [
            change
            for change in changes
            if change.state is ChangeState.VERIFIED and change.before.id not in self._still_open
        ]
        wave_size = self._campaign.limits.wave_size
        self._add(adsets=recheck(job, changes, wave_size, dry_run=self._request.dry_run))

    def _changes_to_undo(self, job: Job) -> list[Change]:
        run_id = self._request.run_id or job.ledger.last_sync(job.campaign)
        if not run_id:
            raise PlanRefusedError("No live run has had this campaign yet, so there is nothing to undo")
        return [change for change in self._changes_of(run_id, job) if change.state is ChangeState.VERIFIED]

    def _changes_of(self, run_id: str, job: Job) -> Sequence[Change]:
        if not job.ledger.knows(run_id):
            raise PlanRefusedError(f"The ledger knows no live run {run_id}: take the id from the foot of a report")
        self._add(about_run=run_id)
        return job.ledger.changes_of(job.campaign, run_id)

    def _carry_out(self, job: Job, decisions: Sequence[Decision]) -> None:
        """Make the changes, have Meta validate them, or just say them."""
        changes = [decision for decision in decisions if decision.is_change]
        results: dict[str, AdSetResult] = {}
        stopped = ""
        if not self._request.dry_run:
            results, stopped = carry_out(job, changes, self._campaign.limits.wave_size)
        elif self._request.validate:
            results, stopped = validate(job, changes)
        adsets = [results.get(decision.adset.id) or decision.as_result() for decision in decisions]
        self._add(
            adsets=tuple(sorted(adsets, key=lambda adset: (adset.meta_campaign_id, adset.id))),
            campaign_errors=(stopped,) if stopped else (),
        )
