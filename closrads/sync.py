"""The conductor: demand → regions → snapshots → plan → apply. It alone knows both CLOSRTECH and Meta."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from closrads.apply import TOO_LITTLE_TIME, Outcome, apply_change, seconds_needed, validate_change
from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.config import Settings
from closrads.errors import (
    ClosradsError,
    MetaAccessError,
    MetaPolicyError,
    MetaRateLimitError,
    PlanRefusedError,
)
from closrads.facebook_client import check_ad_health, get_active_adsets, init_api
from closrads.graph_api import GraphApi, UsageMeter
from closrads.model import AdSetResult, CampaignConfig, Result, RunRequest, RunResult, SyncReport
from closrads.observability import log_defect, logger
from closrads.plan import Decision, decide, defer_beyond, refuse_implausible
from closrads.state_mapper import build_fb_regions, is_state


@dataclass(frozen=True, slots=True)
class _Run:
    request: RunRequest
    settings: Settings
    clock: Clock
    meter: UsageMeter


def run_sync(run_id: str, request: RunRequest, settings: Settings, clock: Clock) -> RunResult:
    """Bring every campaign that the request names in line with its demand; one's failure never stops another."""
    started = clock.now()
    run = _Run(request, settings, clock, UsageMeter())
    reports = tuple(
        _sync_campaign(campaign, run)
        for campaign in settings.campaigns
        if campaign.enabled and (request.campaigns is None or campaign.slug in request.campaigns)
    )
    return RunResult(
        run_id=run_id,
        action=request.action,
        dry_run=request.dry_run,
        started_at=started,
        duration_ms=round((clock.now() - started).total_seconds() * 1000),
        campaigns=reports,
        graph=run.meter.reading(),
        force=request.force,
    )


def _sync_campaign(campaign: CampaignConfig, run: _Run) -> SyncReport:
    """Do one campaign: all or nothing until the first write, ad set by ad set from there on."""
    report = SyncReport(campaign.slug, campaign.name, run.request.dry_run)
    logger.info("campaign.start", extra={"campaign": campaign.slug})
    try:
        demand = get_demand(campaign.closrtech_campaign, login=run.settings.closrtech, clock=run.clock)
        report = replace(
            report,
            active_states=tuple(sorted(filter(is_state, demand))),
            unmapped_states=tuple(sorted(code for code in demand if not is_state(code))),
        )
        api = init_api(
            campaign.fb_access_token,
            campaign.fb_ad_account_id,
            app_secret=run.settings.app_secret,
            graph_url=run.settings.graph_url,
            clock=run.clock,
            meter=run.meter,
        )
        decisions = _plan(api, campaign, demand, run.request)
        adsets, stopped = _carry_out(decisions, _carrier(api, campaign, run))
        report = replace(report, adsets=adsets, campaign_errors=(stopped,) if stopped else ())
    except ClosradsError as error:
        report = replace(report, campaign_errors=(str(error),))
    except Exception as error:  # noqa: BLE001 - one campaign's failure, a defect included, never stops another
        report = replace(report, campaign_errors=(log_defect(error),))
    for problem in report.errors:
        logger.error("campaign.error", extra={"campaign": campaign.slug, "error": problem})
    logger.info("campaign.end", extra={"campaign": campaign.slug, "success": report.success})
    return report


def _plan(api: GraphApi, campaign: CampaignConfig, demand: dict[str, int], request: RunRequest) -> tuple[Decision, ...]:
    regions = build_fb_regions(demand)
    if not regions:
        raise PlanRefusedError(f"Meta has no region for any state with demand ({', '.join(sorted(demand))})")
    adsets = [adset for meta_id in campaign.fb_campaign_ids for adset in get_active_adsets(api, meta_id)]
    decisions = [decide(adset, regions, check_ad_health(adset)) for adset in adsets]
    refuse_implausible(decisions, campaign.limits, request.force)
    return defer_beyond(decisions, campaign.limits.max_adsets)


def _carrier(api: GraphApi, campaign: CampaignConfig, run: _Run) -> Callable[[Decision], Outcome]:
    """Return what is done with each change: make it, have Meta validate it, or just say it."""
    wait_seconds = campaign.limits.verify_wait_seconds

    def apply(change: Decision) -> Outcome:
        if run.clock.remaining() < seconds_needed(wait_seconds):
            return Outcome(change.as_result(Result.DEFERRED, (TOO_LITTLE_TIME,)))
        return apply_change(api, change, wait_seconds)

    if not run.request.dry_run:
        return apply
    if run.request.validate:
        return lambda change: validate_change(api, change)
    return lambda change: Outcome(change.as_result())


def _carry_out(
    decisions: Sequence[Decision], carrier: Callable[[Decision], Outcome]
) -> tuple[tuple[AdSetResult, ...], str]:
    """Return what became of each ad set, and why the campaign was stopped, if it was."""
    results: list[AdSetResult] = []
    stopped, rest, why = "", Result.HELD, ""
    for decision in decisions:
        if not decision.is_change:
            result = decision.as_result()
        elif why:
            result = decision.as_result(rest, (why,))
        else:
            outcome = carrier(decision)
            result = outcome.result
            if isinstance(outcome.trouble, MetaRateLimitError):
                rest, why = Result.DEFERRED, str(outcome.trouble)
            elif isinstance(outcome.trouble, MetaAccessError | MetaPolicyError):
                why = "The campaign was stopped before its turn"
                stopped = f"Stopped: {outcome.trouble}"
        logger.info("adset.result", extra={"adset": result.id, "result": result.result.value, "issues": result.issues})
        results.append(result)
    return tuple(results), stopped
