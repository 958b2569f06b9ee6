"""Recovers changes that earlier runs left open: finishes them, or rolls them back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from closrads.domain.adset_results import Recovery
from closrads.domain.adsets import GONE_STATUSES, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason
from closrads.domain.health import is_rejected
from closrads.domain.targeting import misnamed_regions, region_keys
from closrads.errors import MetaError
from closrads.observability import log_defect, logger
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.forward import carry_through
from closrads.rollout.job import Job
from closrads.rollout.lookup import ROLLING_BACK, Seen, batches, look_up
from closrads.rollout.pauses import keep_unexplained_pauses

LONGEST_INTERVAL = timedelta(hours=4)
"""Maximum time after which a failed rollback is tried again, or ads that broke again after one are repaired."""


class Course(Enum):
    """How an open change proceeds, given what is at Meta."""

    FINISH = auto()
    """The new regions are in place, and no ad is broken: re-publish and verify."""
    RESTORE = auto()
    """Restore the original regions."""
    CONFIRM = auto()
    """The original regions are in place, and a write would mend no ad: re-publish and verify."""
    LEAVE = auto()
    """Somebody else has set the regions: only protect the ads."""
    CLOSE = auto()
    """The ad set is archived or deleted."""


def course_of(
    change: Change, now: AdSetSnapshot, findings: Sequence[AdFinding], *, is_set_by_others: bool = False
) -> Course:
    """Return the course of a change: the regions decide who has set them, ad health decides whether ours stay.

    `is_set_by_others` says that somebody else has set the very regions that this change had set before.
    """
    present = region_keys(now.targeting)
    broken = [finding for finding in findings if finding.health is AdHealth.BROKEN]
    if now.effective_status in GONE_STATUSES:
        return Course.CLOSE
    if is_set_by_others:
        return Course.LEAVE
    if present in change.our_regions:
        is_as_sent = present == change.new_regions and not misnamed_regions(now.targeting)
        cannot_stay = bool(broken) or change.state in ROLLING_BACK or not is_as_sent
        return Course.RESTORE if cannot_stay else Course.FINISH
    if present == change.old_regions:
        may_help = not (change.may_be_unwritten or all(map(is_rejected, broken)))
        return Course.RESTORE if may_help else Course.CONFIRM
    return Course.LEAVE


def is_due(change: Change, now: datetime) -> bool:
    """Return whether a recheck should retry a rollback that failed, or after which ads broke again.

    The interval doubles with each attempt, up to `LONGEST_INTERVAL`: every attempt is a write, which may break ads
    again.
    """
    if change.state not in {ChangeState.ROLLBACK_FAILED, ChangeState.ROLLED_BACK}:
        return True
    interval = min(change.changed_at - change.prepared_at, LONGEST_INTERVAL)
    return now - change.changed_at >= interval


def report_open(changes: Sequence[Change]) -> tuple[Recovery, ...]:
    """Report open changes without changing anything."""
    return tuple(_recovery(change, change.state, ()) for change in changes)


def recover(job: Job, changes: Sequence[Change], wave_size: int) -> tuple[Recovery, ...]:
    """Finish or roll back each open change, or leave the ad set alone if somebody else has changed it since."""
    due = [change for change in changes if not job.backs_off or is_due(change, job.api.clock.now())]
    recoveries = [_recovery(change, change.state, ()) for change in changes if change not in due]
    for batch, why_none in batches(job, due, wave_size):
        if why_none:
            recoveries += (_recovery(change, change.state, (why_none,)) for change in batch)
        else:
            recoveries += _recover_batch(job, batch)
    for recovery in recoveries:
        logger.warning(
            "change.recovered",
            extra={
                "adset": recovery.id,
                "run": recovery.run_id,
                "found": recovery.found.value,
                "state": recovery.state.value,
                "issues": recovery.issues,
            },
        )
    return tuple(recoveries)


def _recover_batch(job: Job, changes: Sequence[Change]) -> list[Recovery]:
    looked_up = look_up(job, [[change] for change in changes])
    runs: list[ChangeRun] = []
    unseen: dict[str, str] = {}
    for change in changes:
        seen = looked_up[change.before.id]
        if isinstance(seen, MetaError):
            unseen[change.before.id] = f"It could not be looked up at Meta: {seen}"
            continue
        try:
            runs.append(_resume(seen))
        except Exception as error:  # noqa: BLE001 - a defect leaves this change open, but must not stop the others
            unseen[change.before.id] = log_defect(error)
    runs = carry_through(job, runs, keep_unexplained=True)
    keep_unexplained_pauses(job, runs)
    done = {run.id: run for run in runs}
    return [
        _recovery(change, change.state, (unseen[change.before.id],))
        if change.before.id in unseen
        else _recovery(change, *_state_and_issues(done[change.before.id]))
        for change in changes
    ]


def _resume(seen: Seen) -> ChangeRun:
    """Return the run of an open change, in the state from which it resumes."""
    course = course_of(seen.change, seen.now, seen.findings, is_set_by_others=seen.is_set_by_others)
    run = seen.run
    broken = [str(finding) for finding in seen.findings if finding.health is AdHealth.BROKEN]
    if run.state is ChangeState.ROLLBACK_FAILED:
        run = run.in_state(ChangeState.ROLLING_BACK)
    if course is Course.CLOSE:
        run = run.with_issues(f"The ad set is {seen.now.effective_status} now").in_state(ChangeState.SUPERSEDED)
    elif course is Course.LEAVE:
        run = run.foreign("Somebody changed its states meanwhile: they stay as they are now")
        run = replace(run, reason=RollbackReason.SET_BY_OTHERS if seen.is_set_by_others else run.reason)
    elif course is Course.RESTORE:
        misnamed = misnamed_regions(seen.now.targeting)
        otherwise = RollbackReason.STORED_DIFFERENTLY if misnamed and not broken else RollbackReason.ADS_BROKEN
        reason = _reason_to_restore(seen.change, otherwise, is_broken=bool(broken))
        run = run.failed(reason, *misnamed, *broken)
    elif course is Course.CONFIRM:
        is_unwritten = seen.change.may_be_unwritten
        otherwise = RollbackReason.ADS_BROKEN if broken else RollbackReason.ALREADY_BACK
        known = _reason_to_restore(seen.change, otherwise, is_broken=bool(broken))
        run = replace(run, needs_no_write=True, never_took_effect=is_unwritten)
        run = run.failed(RollbackReason.UNWRITTEN if is_unwritten else known, *broken)
    elif run.state is ChangeState.PREPARED:
        run = run.in_state(ChangeState.WRITTEN)
    return run


def _reason_to_restore(change: Change, otherwise: RollbackReason, *, is_broken: bool) -> RollbackReason:
    """Return why regions are restored: if no ad is broken now, the earlier run's reason still applies."""
    known = change.reason not in {None, RollbackReason.ALREADY_BACK, RollbackReason.UNWRITTEN}
    return change.reason if change.reason and known and not is_broken else otherwise


def _state_and_issues(run: ChangeRun) -> tuple[ChangeState, tuple[str, ...]]:
    """Return the recorded state, on which later runs rely, and the issues; report a failed rollback even unrecorded."""
    issues = tuple(dict.fromkeys(run.issues))
    if run.unrecorded is not None:
        issues += (f"It will be looked at once more, for the ledger could not be told: {run.unrecorded}",)
    if run.state is ChangeState.ROLLBACK_FAILED:
        return run.state, issues
    return run.change.state, issues


def _recovery(change: Change, state: ChangeState, issues: tuple[str, ...]) -> Recovery:
    return Recovery(
        change.run_id, change.before.id, change.before.name, change.state, state, issues, change.is_reported
    )
