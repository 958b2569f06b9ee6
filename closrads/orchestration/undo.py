"""Undo: the regions from before a run are restored, with the same protection as in a sync."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from closrads.config import refuse_if_switched_off
from closrads.domain.adset_results import Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import check_ad_health
from closrads.domain.plan import Decision, decide, hold, refuse_other_account, remaining
from closrads.domain.request import Action, RunRequest
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import regions_of
from closrads.domain.undo import may_be_undone, why_not_undone
from closrads.errors import MetaError, PausedError, PlanRefusedError
from closrads.meta.adsets import read_adsets
from closrads.orchestration.context import CampaignContext, Completed
from closrads.orchestration.execution import carried_out
from closrads.orchestration.recheck import last_recheck, recheck_first, refuse_unknown_run


def refuse_undo_while_paused(request: RunRequest) -> None:
    """Refuse a live undo while everything is paused: it is a person's wish, not a repair that must go on.

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


def undo(context: CampaignContext, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Restore the original regions of every ad set that the run changed and that still has the run's regions."""
    run, job = context.run, context.job
    run_id = run.request.run_id or run.leases.last_sync(job.campaign)
    if not run_id:
        raise PlanRefusedError(why_not_undone("", None, job.campaign, run.settings.stage))
    report = replace(report, about_run=run_id)
    refuse_unknown_run(run_id, run)
    found = run.ledger.changes_of(job.campaign, run_id)
    if not run.request.run_id and not any(map(may_be_undone, found)):
        changed = run.ledger.last_to_undo(job.campaign)
        raise PlanRefusedError(why_not_undone(run_id, changed, job.campaign, run.settings.stage))
    changes = [change for change in found if change.state is ChangeState.VERIFIED]
    yield report
    read = read_adsets(job.api, [change.before for change in changes])
    adsets: Sequence[AdSetSnapshot] = [adset for adset in read.values() if isinstance(adset, AdSetSnapshot)]
    refuse_other_account(context.campaign, adsets)
    previous = context.previous_outcomes()
    job.pauses.recall(previous.unexplained)
    adsets, restored, previous = recheck_first(context, adsets, last_recheck(context), previous, done)
    read |= {adset.id: adset for adset in adsets}
    job.pauses.also_name(read.keys())
    done = replace(done, completed={**done.completed, **restored})
    yield replace(report, adsets=tuple(done.completed.values()))
    decisions = [_decision(change, read[change.before.id]) for change in changes]
    to_begin = hold(remaining(decisions, done.completed), report.ids_still_open | context.open_elsewhere)
    yield carried_out(context, report, done, to_begin)


def _decision(change: Change, now: AdSetSnapshot | MetaError) -> Decision:
    regions = regions_of(change.before.targeting)
    if isinstance(now, MetaError):
        return Decision(change.before, Result.FAILED, tuple(regions), (str(now),))
    return decide(now, regions, check_ad_health(now), replaces=change.new_regions)
