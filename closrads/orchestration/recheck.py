"""Recheck: rolls back changes whose ads have broken since; as an action, and at the start of a sync or an undo."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import (
    RECHECKED_FOR,
    Change,
    ChangeState,
    LastRecheck,
    PreviousOutcomes,
    recheck_since,
    seen_by,
)
from closrads.domain.mail_policy import failures_of
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import reaches_beyond_states
from closrads.errors import LedgerError, MetaAccountError, PlanRefusedError
from closrads.meta.adsets import read_adsets
from closrads.meta.campaigns import why_not_delivering
from closrads.meta.tokens import read_token_end
from closrads.observability import logger
from closrads.orchestration.context import CampaignContext, Completed, Run
from closrads.orchestration.execution import with_next_try
from closrads.rollout import rechecks
from closrads.rollout.job import Job
from closrads.rollout.recording import record_ads

MAX_UNSEEN = 2_000
"""Maximum number of ads that a recheck has not seen on for which that is recorded: about 40 kB."""


def recheck(context: CampaignContext, report: SyncReport, done: Completed) -> Iterator[SyncReport]:
    """Recheck the ad sets that the requested run changed, or all changes of the last day that are in effect."""
    campaign, run, job = context.campaign, context.run, context.job
    began = run.clock.now()
    last = run.ledger.last_recheck(job.campaign)
    found = changes_to_recheck(run, job.campaign, last)
    report = replace(report, about_run=run.request.run_id or max((change.run_id for change in found), default=""))
    yield report
    skipped = {*report.ids_still_open, *done.completed}
    changes = [
        change
        for change in _with_last_look(run, job.campaign, found, last)
        if not (change.state.is_open or change.state is ChangeState.NOT_WRITTEN) and change.before.id not in skipped
    ]
    if changes:
        job.pauses.recall(job.ledger.previous_outcomes(job.campaign).unexplained)
    wave_size, dry_run = campaign.limits.wave_size, run.request.dry_run
    rechecked = rechecks.recheck(job, changes, wave_size, dry_run=dry_run)
    job.pauses.also_name(rechecked.read)
    report = replace(report, adsets=(*done.completed.values(), *rechecked.results))
    report = with_next_try(job, report, {change.before.id: change.before for change in changes})
    is_recorded = not dry_run and not run.request.run_id
    token_ends, delivers = (last.token_ends, last.account_delivers) if last else (None, True)
    if is_recorded and (last is None or last.at.date() < began.date()):  # once a day is enough
        why_not = why_not_delivering(job.api)
        delivers = delivers if why_not is None else not why_not
        token_ends = read_token_end(job.api, token_ends)
    yield replace(report, token_ends=token_ends.isoformat() if token_ends else "")
    is_complete = is_recorded and not report.with_result(Result.DEFERRED, Result.UNVERIFIED)
    unseen = rechecked.unseen(found)
    if is_complete:
        reported = last.reported if last and failures_of(report) else None
        known = unseen if len(unseen) <= MAX_UNSEEN else None
        job.ledger.record_recheck(job.campaign, LastRecheck(began, token_ends, reported, delivers, known))
    if not dry_run and not (is_complete and len(unseen) <= MAX_UNSEEN):
        record_ads(job, [each for each in rechecked.runs if not each.state.is_open and each.unrecorded is None])


def _with_last_look(run: Run, slug: str, found: Sequence[Change], last: LastRecheck | None) -> list[Change]:
    """Return the changes with what the last recheck has seen of their ads; one by hand may be about older changes."""
    if last is None or not run.request.run_id:
        return [seen_by(change, last) for change in found]
    covered = {change.before.id for change in run.ledger.changes_in_effect(slug, last.at - RECHECKED_FOR)}
    return [seen_by(change, last) if change.before.id in covered else change for change in found]


def changes_to_recheck(run: Run, slug: str, last: LastRecheck | None) -> Sequence[Change]:
    """Return the last changes of the ad sets that the requested run changed, or those of the last day.

    Raises
    ------
    PlanRefusedError
        The requested live run does not exist.
    """
    if run.request.run_id:
        refuse_unknown_run(run.request.run_id, run)
        return run.ledger.last_changes(slug, run.request.run_id)
    return run.ledger.changes_in_effect(slug, recheck_since(last, run.clock.now()))


def refuse_unknown_run(run_id: str, run: Run) -> None:
    """Refuse to look at a run that does not exist.

    Raises
    ------
    PlanRefusedError
        There was no such live run.
    """
    if not run.runs.exists(run_id):
        raise PlanRefusedError(f"The ledger knows no live run {run_id}: take the id from the foot of a report")


def last_recheck(context: CampaignContext) -> LastRecheck | None:
    """Return the campaign's last recheck; None in a dry run of another action, which rechecks nothing."""
    if context.run.request.dry_run or not context.run.settings.ledger_table:
        return None
    return context.job.ledger.last_recheck(context.job.campaign)


def refuse_blocked_account(context: CampaignContext, last: LastRecheck | None) -> None:
    """Refuse to call well, or to change, what does not run whatever its states: an ad account may be blocked.

    Rechecks look for that once a day; only if they have found it, is Meta asked whether it still is so.

    Raises
    ------
    MetaAccountError
        Says why no ad of the ad account runs.
    """
    if last and not last.account_delivers and (why_not := why_not_delivering(context.job.api)):
        raise MetaAccountError(why_not)


def recheck_first(
    context: CampaignContext,
    adsets: Sequence[AdSetSnapshot],
    last: LastRecheck | None,
    previous: PreviousOutcomes,
    done: Completed,
) -> tuple[Sequence[AdSetSnapshot], dict[str, AdSetResult], PreviousOutcomes]:
    """Recheck the latest changes before new ones cover them, including those of earlier invocations of this run.

    Return the ad sets as they are after that; the results of those that were rolled back, whose rollback has not ended,
    or that would have been rolled back with more time or quota, by id; and the previous outcomes after that.
    """
    run, job = context.run, context.job
    if run.request.dry_run or not run.settings.ledger_table:
        return adsets, {}, previous
    now = {adset.id: adset for adset in adsets if not adset.flaw}
    since = recheck_since(last, run.clock.now())
    changes = [
        seen_by(change, last)
        for change in job.ledger.changes_in_effect(job.campaign, since)
        if change.before.id in now
        and not change.state.is_open
        and (change.run_id != job.run_id or change.before.id in done.completed)
    ]
    if not changes:
        return adsets, {}, previous
    wave_size = context.campaign.limits.wave_size
    results = rechecks.recheck(job, changes, wave_size, dry_run=False, now=now).results
    unfinished = _unfinished(job, results)
    restored = {
        each.id: replace(each, reaches_beyond=reaches_beyond_states(now[each.id].targeting))
        for each in results
        if each.result in {Result.REVERTED, Result.ROLLBACK_FAILED, Result.SKIPPED_PREFLIGHT} or each.id in unfinished
    }
    protected = [now[each.id] for each in results if each.result is Result.SUPERSEDED]
    now |= {key: adset for key, adset in read_adsets(job.api, protected).items() if isinstance(adset, AdSetSnapshot)}
    adsets = [now.get(adset.id, adset) for adset in adsets]
    try:
        return adsets, restored, job.ledger.previous_outcomes(job.campaign)
    except LedgerError as error:  # the rollbacks must be reported, and this run leaves their ad sets alone
        logger.warning("ledger.outcomes_unread", extra={"campaign": job.campaign, "error": str(error)})
        return adsets, restored, previous


def _unfinished(job: Job, results: Sequence[AdSetResult]) -> frozenset[str]:
    """Return the ids of the ad sets whose rollback is recorded as begun, but not as ended: it comes first.

    Others are unverified because their ads could not be read, so that nothing was begun.
    """
    unverified = frozenset(each.id for each in results if each.result is Result.UNVERIFIED)
    try:
        return unverified and unverified & {change.before.id for change in job.ledger.open_changes(job.campaign)}
    except LedgerError as error:
        logger.warning("ledger.open_changes_unread", extra={"campaign": job.campaign, "error": str(error)})
        return unverified
