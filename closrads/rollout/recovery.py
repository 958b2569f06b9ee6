"""Recovers changes that earlier runs left open, and rechecks changes whose ads may have broken since."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import GONE_STATUSES, Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason, UnexplainedPause
from closrads.domain.drift import TargetingEdit
from closrads.domain.health import (
    StatusChange,
    broke_while_off,
    compare_ads,
    pauses_to_explain,
    responsible_for,
)
from closrads.domain.targeting import misnamed_regions, reaches_beyond_states, region_keys, states
from closrads.errors import LedgerError, MetaError
from closrads.meta.activity_log import read_status_changes, read_targeting_edits
from closrads.meta.adsets import read_adsets
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.meta.tokens import read_app_id
from closrads.observability import log_defect, logger
from closrads.rollout.budget import points_needed, reserve_capacity
from closrads.rollout.change_run import RESULTS, ChangeRun, begin
from closrads.rollout.forward import carry_through
from closrads.rollout.guards import merged
from closrads.rollout.job import Job
from closrads.rollout.pauses import end_pauses, keep_unexplained_pauses
from closrads.rollout.rollback import announce_rollback, roll_back

LONGEST_INTERVAL = timedelta(hours=4)
"""Maximum time after which a failed rollback is tried again, or ads that broke again after one are repaired."""
_ROLLING_BACK = frozenset({ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED})
_TAKEN_AWAY = _ROLLING_BACK | {ChangeState.ROLLED_BACK, ChangeState.SUPERSEDED}
"""States in which the new regions are not to be in place any more."""


class Course(Enum):
    """How an open change proceeds, given what is at Meta."""

    FINISH = auto()
    """The new regions are in place, and no ad is broken: re-publish and verify."""
    RESTORE = auto()
    """Restore the original regions."""
    CONFIRM = auto()
    """The original regions are in place, and this change has broken no ad: re-publish and verify."""
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
    is_broken = any(finding.health is AdHealth.BROKEN for finding in findings)
    if now.effective_status in GONE_STATUSES:
        return Course.CLOSE
    if is_set_by_others:
        return Course.LEAVE
    if present in change.our_regions:
        is_as_sent = present == change.new_regions and not misnamed_regions(now.targeting)
        cannot_stay = is_broken or change.state in _ROLLING_BACK or not is_as_sent
        return Course.RESTORE if cannot_stay else Course.FINISH
    if present == change.old_regions:
        return Course.RESTORE if is_broken and not change.may_be_unwritten else Course.CONFIRM
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
    for batch, why_none in _batches(job, due, wave_size):
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


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a recheck has found, and left."""

    results: tuple[AdSetResult, ...]
    paused: frozenset[str]
    """Ids of the ads that are off, of those that the changes are responsible for."""
    pauses: tuple[UnexplainedPause, ...]
    """The recorded pauses without the ads that are on again."""


def recheck(  # noqa: PLR0913 - what to check, and what is already known about it
    job: Job,
    changes: Sequence[Change],
    wave_size: int,
    pauses: Sequence[UnexplainedPause],
    *,
    dry_run: bool,
    now: Mapping[str, AdSetSnapshot] | None = None,
) -> Rechecked:
    """Check the ads of changed ad sets again, in whatever state the change ended; roll back where ads broke since.

    Ad sets that were archived or deleted have no results.

    Parameters
    ----------
    changes
        Several changes of one ad set come newest first; the one whose regions are in place is checked.
    pauses
        The recorded unexplained pauses; those that have been reported already are no news.
    now
        The ad sets by id, if they have just been read; None to read them.
    """
    results: list[AdSetResult] = []
    runs: list[ChangeRun] = []
    by_adset: dict[str, list[Change]] = {}
    for change in changes:
        by_adset.setdefault(change.before.id, []).append(change)
    for batch, why_none in _batches(job, [newest for newest, *_ in by_adset.values()], wave_size):
        if why_none and now is None:
            results += (_result(change, Result.DEFERRED, (why_none,)) for change in batch)
        else:
            adsets = [by_adset[change.before.id] for change in batch]
            looked_at, seen = _recheck_batch(job, adsets, pauses, now, dry_run=dry_run, why_none=why_none)
            results += looked_at
            runs += seen
    off = (ad.id for run in runs for ad in run.now.ads if not ad.is_on and ad.id in {each.id for each in run.protected})
    return Rechecked(tuple(results), frozenset(off), end_pauses(job, pauses, runs, dry_run=dry_run))


def outcome_of(change: Change) -> AdSetResult | None:
    """Return the result of a change; None if it is open or was not written."""
    if change.state.is_open or change.state is ChangeState.NOT_WRITTEN:
        return None
    result = _result(change, RESULTS[change.state], ())
    return replace(result, reaches_beyond=reaches_beyond_states(change.before.targeting))


def _batches(job: Job, changes: Sequence[Change], wave_size: int) -> Iterator[tuple[Sequence[Change], str]]:
    """Yield batches of changes that capacity allows, and the changes without capacity, with the reason."""
    rest = list(changes)
    while rest:
        adsets = [change.before for change in rest[:wave_size]]
        job.recall_tier(adsets)
        capacity = reserve_capacity(job.api, adsets, job.wait_seconds)
        if not capacity.size:
            size = 1 if capacity.never else len(rest)
            yield rest[:size], capacity.why_none
            rest = rest[size:]
            continue
        try:
            yield rest[: capacity.size], ""
        finally:
            job.api.quota.release(points_needed(adsets[: capacity.size]))
        rest = rest[capacity.size :]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A change, and what is at Meta now."""

    change: Change
    now: AdSetSnapshot
    log: tuple[StatusChange, ...] = ()
    is_set_by_others: bool = False
    """Whether the new regions, which had been taken away, are there again because somebody else has set them."""

    @property
    def id(self) -> str:
        """The ad set's id."""
        return self.change.before.id

    @property
    def has_pauses_to_explain(self) -> bool:
        """Whether the activity log has to explain who paused an ad."""
        before, now = self.change.before, self.now.ads
        ran = now if self.change.state.is_open else before.active_ads
        return bool(pauses_to_explain(ran, now) or broke_while_off(before.ads, now))

    @property
    def is_new_again(self) -> bool:
        """Whether the new regions are there although they had been taken away, or were to be."""
        return self.change.state in _TAKEN_AWAY and region_keys(self.now.targeting) == self.change.new_regions

    @property
    def protected(self) -> tuple[Ad, ...]:
        """The ads that the change is responsible for."""
        return responsible_for(self.change.before.active_ads, self.now.ads, self.log, self.change.prepared_at)

    @property
    def findings(self) -> tuple[AdFinding, ...]:
        """The health of the ads."""
        found = compare_ads(self.protected, self.now.ads, self.log, self.change.prepared_at)
        return tuple(map(_left_to_follow_up, found)) if self.is_protected else found

    @property
    def is_protected(self) -> bool:
        """Whether the current regions are somebody else's, and a rollback has already stopped at them."""
        return self.is_foreign and self.change.state is ChangeState.SUPERSEDED

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else has set the current regions."""
        present = region_keys(self.now.targeting)
        return self.is_set_by_others or present not in {*self.change.our_regions, self.change.old_regions}

    @property
    def is_back(self) -> bool:
        """Whether the original regions are in place."""
        return region_keys(self.now.targeting) == self.change.old_regions

    @property
    def run(self) -> ChangeRun:
        """The run of the change, to be resumed."""
        return begin(self.change, self.now, self.log)


def _left_to_follow_up(finding: AdFinding) -> AdFinding:
    """Return a paused ad that Meta has broken as unexplained: the next sync then switches it on, and reports it."""
    is_off = finding.health is AdHealth.BROKEN and finding.ad.status == "PAUSED"
    return replace(finding, health=AdHealth.UNEXPLAINED) if is_off else finding


def _look_up(
    job: Job,
    adsets: Sequence[Sequence[Change]],
    known: Mapping[str, AdSetSnapshot] | None = None,
    reserve: float = RESERVED_SECONDS,
) -> dict[str, _Seen | MetaError]:
    """Read ad sets with all their ads, each given by its changes, newest first; return the change that is in place.

    The activity log is read if it has to explain an ad's pause or tell who has set regions. In an open change, every
    pause needs that: the run that died may have missed an ad that somebody switched on.
    """
    newest = [first.before for first, *_ in adsets]
    read: Mapping[str, AdSetSnapshot | MetaError] = known or read_adsets(job.api, newest)
    seen = [
        _Seen(_in_place(changes, now), now)
        for before, changes in zip(newest, adsets, strict=True)
        if isinstance(now := read[before.id], AdSetSnapshot)
    ]
    paused = [each.change for each in seen if each.has_pauses_to_explain]
    since = min((change.prepared_at for change in paused), default=None)
    log = read_status_changes(job.api, since, reserve=reserve) if since else ()
    set_by_others = _set_by_others(job.api, [each.change for each in seen if each.is_new_again])
    found = {each.id: replace(each, log=log, is_set_by_others=each.id in set_by_others) for each in seen}
    unread = {before.id: error for before in newest if isinstance(error := read[before.id], MetaError)}
    return {**found, **unread}


def _in_place(changes: Sequence[Change], now: AdSetSnapshot) -> Change:
    """Return the newest of an ad set's changes whose new regions are in place; the newest of all if there is none."""
    present = region_keys(now.targeting)
    return next((change for change in changes if change.new_regions == present), changes[0])


def _set_by_others(api: GraphApi, changes: Sequence[Change]) -> frozenset[str]:
    """Return the ids of the ad sets whose locations were last edited by somebody else, as far as is known."""
    known = {each.before.id for each in changes if each.reason is RollbackReason.SET_BY_OTHERS}
    # A rollback that has ended is in the log itself. One that has not may never have been written.
    since = {
        each.before.id: each.changed_at if each.state.is_open else each.prepared_at
        for each in changes
        if each.before.id not in known
    }
    if not since:
        return frozenset(known)
    last: dict[str, TargetingEdit] = {}
    for edit in read_targeting_edits(api, min(since.values())):
        last.setdefault(edit.adset_id, edit)
    edits = [last[adset_id] for adset_id, at in since.items() if adset_id in last and last[adset_id].at >= at]
    app_id = read_app_id(api) if edits else ""
    others = {edit.adset_id for edit in edits if app_id and edit.app_id != app_id and edit.is_certain}
    return frozenset(known | others)


def _recover_batch(job: Job, changes: Sequence[Change]) -> list[Recovery]:
    looked_up = _look_up(job, [[change] for change in changes])
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


def _resume(seen: _Seen) -> ChangeRun:
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
        run = replace(run, never_took_effect=seen.change.may_be_unwritten)
        run = run.failed(RollbackReason.ALREADY_BACK, *broken)
    elif run.state is ChangeState.PREPARED:
        run = run.in_state(ChangeState.WRITTEN)
    return run


def _reason_to_restore(change: Change, otherwise: RollbackReason, *, is_broken: bool) -> RollbackReason:
    """Return why regions are restored: if no ad is broken now, the earlier run's reason still applies."""
    known = change.reason not in {None, RollbackReason.ALREADY_BACK}
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


def _recheck_batch(  # noqa: PLR0913 - what to check, and what is already known about it
    job: Job,
    adsets: Sequence[Sequence[Change]],
    pauses: Sequence[UnexplainedPause],
    now: Mapping[str, AdSetSnapshot] | None,
    *,
    dry_run: bool,
    why_none: str,
) -> tuple[list[AdSetResult], list[ChangeRun]]:
    """Check ad sets, each given by its changes, and return the results and the changes of those that still exist.

    With `why_none`, there is no capacity to roll any of them back.
    """
    looked_up = _look_up(job, adsets, now, math.inf if why_none else RESERVED_SECONDS)
    known = {pause.adset_id: frozenset(pause.ads) for pause in pauses if pause.is_reported}
    results: dict[str, AdSetResult] = {}
    runs: list[ChangeRun] = []
    to_restore: list[ChangeRun] = []
    for change, *_ in adsets:
        seen = looked_up[change.before.id]
        if isinstance(seen, MetaError):
            issue = f"Its ads could not be read: {seen}"
            results[change.before.id] = _result(change, Result.UNVERIFIED, (issue,))
            continue
        if seen.now.effective_status in GONE_STATUSES:  # nobody can mend anything in it, or needs to
            continue
        run = replace(seen.run, findings=seen.findings)
        runs.append(run)
        why = _why_to_restore(seen)
        waits = job.backs_off and seen.is_back and not is_due(seen.change, job.api.clock.now())
        if why and (waits or why_none or (seen.is_back and seen.change.was_found_unwritten)):
            left = _result(run.change, Result.SKIPPED_PREFLIGHT, (*why, why_none) if why_none else why)
            results[run.id] = replace(left, added=(), removed=(), is_reported=change.is_reported)
        elif why:
            reason = RollbackReason.SET_BY_OTHERS if seen.is_set_by_others else RollbackReason.ADS_BROKEN
            to_restore.append(replace(run.failed(reason, *why), is_foreign=seen.is_set_by_others))
            results[run.id] = _result(run.change, Result.SUPERSEDED if seen.is_foreign else Result.REVERTED, why)
        else:
            results[run.id] = _rechecked(run, known)
    looked_at = [newest for newest, *_ in adsets if newest.before.id in results]
    if not dry_run:
        # A rollback starts only if it is recorded: otherwise no later run would finish it if this one is cut off.
        announced = announce_rollback(job, to_restore)
        done = roll_back(job, [run for run in announced if run.unrecorded is None])
        done += [run for run in announced if run.unrecorded is not None]
        keep_unexplained_pauses(job, [run for run in (*done, *runs) if _new_pauses(run, known)])
        results |= {run.id: _restored(run) for run in done}
        runs = merged(runs, done)
        as_found = [run for run in runs if run.state is run.change.state and not run.state.is_open]
        _record_seen(job, [run for run in as_found if _has_new_ads(run) or _new_pauses(run, known)])
        _clear_relapses(job, [newest for newest in looked_at if _is_well(results[newest.before.id])])
    return [results[newest.before.id] for newest in looked_at], runs


def _has_new_ads(run: ChangeRun) -> bool:
    """Return whether an ad runs by now that did not before: the change is responsible for it from now on."""
    return {ad.id for ad in run.protected} != {ad.id for ad in run.change.before.ads}


def _record_seen(job: Job, runs: Sequence[ChangeRun]) -> None:
    """Record which ads changes are responsible for, and when each was last seen on."""
    for run in runs:
        try:
            job.ledger.keep_ads(run.to_record)
        except LedgerError as error:
            logger.warning("ledger.ads_not_kept", extra={"adset": run.id, "error": str(error)})


def _is_well(result: AdSetResult) -> bool:
    return result.result is Result.UNCHANGED and not result.issues


def _clear_relapses(job: Job, well: Sequence[Change]) -> None:
    """Record that a relapse is over, for changes whose ads are healthy again: the next one will be reported."""
    for change in well:
        if change.is_reported and not change.state.is_open:
            try:
                job.ledger.mark_reported(change, is_reported=False)
            except LedgerError as error:
                logger.warning("ledger.relapse_not_forgotten", extra={"adset": change.before.id, "error": str(error)})


def _why_to_restore(seen: _Seen) -> tuple[str, ...]:
    """Return why the original regions must be restored; empty if the current ones may stay.

    If somebody else has set the regions since, the rollback leaves them alone and re-publishes the ads, once.
    """
    broken = [str(finding) for finding in seen.findings if finding.health is AdHealth.BROKEN]
    if seen.now.is_ended():  # it does not deliver, and Meta refuses the re-publish after a rollback
        return ()
    if seen.is_protected:
        return ()
    if seen.is_new_again and not seen.is_foreign and seen.change.state is ChangeState.ROLLED_BACK:
        return ("The states that had been rolled back are there again: Meta has done the write late", *broken)
    return tuple(broken)


def _new_pauses(run: ChangeRun, known: Mapping[str, frozenset[str]]) -> tuple[AdFinding, ...]:
    """Return the unexplained pauses that no report has named yet."""
    reported = known.get(run.id, frozenset())
    return tuple(each for each in run.unexplained if each.ad.id not in reported)


def _rechecked(run: ChangeRun, known: Mapping[str, frozenset[str]]) -> AdSetResult:
    """Return the result of an ad set that a recheck leaves unchanged."""
    new, unreadable = _new_pauses(run, known), run.with_health(AdHealth.UNREADABLE)
    issues = (*run.with_health(AdHealth.BROKEN), *new, *unreadable)
    result = _result(run.change, Result.UNVERIFIED if unreadable else Result.UNCHANGED, tuple(map(str, issues)))
    return replace(result, is_reported=bool(issues) and not new and not unreadable and run.change.is_reported)


def _restored(run: ChangeRun) -> AdSetResult:
    """Return the result of a rollback; if its state could not be recorded, it is unverified."""
    issues = tuple(dict.fromkeys(run.issues))
    if run.unrecorded is None:
        return _result(run.change, RESULTS.get(run.state, Result.UNVERIFIED), issues)
    result = run.state if run.state is ChangeState.ROLLBACK_FAILED else None
    return _result(run.change, RESULTS[result] if result else Result.UNVERIFIED, (*issues, str(run.unrecorded)))


def _result(change: Change, result: Result, issues: tuple[str, ...]) -> AdSetResult:
    """Return a result with the states that the change added and removed."""
    before, after = change.old_regions, change.new_regions
    return AdSetResult(
        id=change.before.id,
        name=change.before.name,
        result=result,
        added=states(after - before),
        removed=states(before - after),
        ads=len(change.before.ads),
        issues=issues,
        meta_campaign_id=change.before.meta_campaign_id,
    )
