"""Rechecks changes whose ads may have broken since, in whatever state they ended."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import GONE_STATUSES, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason
from closrads.domain.targeting import reaches_beyond_states, states
from closrads.errors import LedgerError, MetaError
from closrads.meta.graph import RESERVED_SECONDS
from closrads.observability import logger
from closrads.rollout.change_run import RESULTS, ChangeRun
from closrads.rollout.guards import merged
from closrads.rollout.job import Job
from closrads.rollout.lookup import Seen, batches, changed_by_other_campaigns, look_up
from closrads.rollout.pauses import keep_unexplained_pauses, note_ads_on
from closrads.rollout.recording import record_ads
from closrads.rollout.recovery import is_due
from closrads.rollout.rollback import announce_rollback, roll_back


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a recheck has found, and left."""

    results: tuple[AdSetResult, ...]
    runs: tuple[ChangeRun, ...]
    """The changes of the ad sets that could be read, and still exist."""

    @property
    def read(self) -> frozenset[str]:
        """Ids of the ad sets that could be read, and still exist."""
        return frozenset(run.id for run in self.runs)

    def unseen(self, changes: Iterable[Change]) -> frozenset[str]:
        """Return the ids of the ads that it has not seen on, of those that changes are responsible for by now."""
        known = {ad.id for change in changes for ad in change.before.ads}
        known |= {ad.id for run in self.runs for ad in run.protected}
        return frozenset(known.difference(ad.id for run in self.runs for ad in run.now.ads if ad.is_on))


def recheck(
    job: Job,
    changes: Sequence[Change],
    wave_size: int,
    *,
    dry_run: bool,
    now: Mapping[str, AdSetSnapshot] | None = None,
) -> Rechecked:
    """Check the ads of changed ad sets again, in whatever state the change ended; roll back where ads broke since.

    Ad sets that were archived or deleted have no results, nor do those whose ads another campaign is responsible for.

    Parameters
    ----------
    changes
        Several changes of one ad set come newest first; the one whose regions are in place is checked.
    now
        The ad sets by id, if they have just been read; None to read them.
    """
    known = {each.adset_id: frozenset(each.ads) for each in job.pauses.by_adset.values() if each.is_reported}
    results: list[AdSetResult] = []
    runs: list[ChangeRun] = []
    by_adset: dict[str, list[Change]] = {}
    for change in changes:
        by_adset.setdefault(change.before.id, []).append(change)
    for adset_id, later in changed_by_other_campaigns(job, [newest for newest, *_ in by_adset.values()]).items():
        if _covers(later, by_adset[adset_id][0]):
            del by_adset[adset_id]
    for batch, why_none in batches(job, [newest for newest, *_ in by_adset.values()], wave_size):
        if why_none and now is None:
            results += (_result(change, Result.DEFERRED, (why_none,)) for change in batch)
        else:
            adsets = [by_adset[change.before.id] for change in batch]
            looked_at, seen = _recheck_batch(job, adsets, known, now, dry_run=dry_run, why_none=why_none)
            results += looked_at
            runs += seen
    note_ads_on(job, runs, dry_run=dry_run)
    return Rechecked(tuple(results), tuple(runs))


def _covers(later: Change, change: Change) -> bool:
    """Return whether a later change is responsible for all ads of another one."""
    return {ad.id for ad in change.before.ads} <= {ad.id for ad in later.before.ads}


def outcome_of(change: Change) -> AdSetResult | None:
    """Return the result of a change; None if it is open or was not written."""
    if change.state.is_open or change.state is ChangeState.NOT_WRITTEN:
        return None
    result = _result(change, RESULTS[change.state], ())
    return replace(result, reaches_beyond=reaches_beyond_states(change.before.targeting))


def _recheck_batch(  # noqa: PLR0913 - what to check, and what is already known about it
    job: Job,
    adsets: Sequence[Sequence[Change]],
    known: Mapping[str, frozenset[str]],
    now: Mapping[str, AdSetSnapshot] | None,
    *,
    dry_run: bool,
    why_none: str,
) -> tuple[list[AdSetResult], list[ChangeRun]]:
    """Check ad sets, each given by its changes, and return the results and the changes of those that still exist.

    `known` are the ads whose unexplained pauses have been reported, by ad set id. With `why_none`, there is no capacity
    to roll any ad set back.
    """
    looked_up = look_up(job, adsets, now, math.inf if why_none else RESERVED_SECONDS)
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
        if why and (waits or why_none or seen.needs_no_write):
            results[run.id] = _left_broken(run, known, (*why, why_none) if why_none else why)
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
        runs = merged(runs, done)
        keep_unexplained_pauses(job, [run for run in runs if _new_pauses(run, known)])
        results |= {run.id: _restored(run) for run in done}
        as_found = [run for run in runs if run.state is run.change.state and not run.state.is_open]
        record_ads(job, [run for run in as_found if _has_new_ads(run) or _new_pauses(run, known)])
        _clear_relapses(job, [newest for newest in looked_at if _is_well(results[newest.before.id])])
    return [results[newest.before.id] for newest in looked_at], runs


def _has_new_ads(run: ChangeRun) -> bool:
    """Return whether an ad runs by now that did not before: the change is responsible for it from now on."""
    return {ad.id for ad in run.protected} != {ad.id for ad in run.change.before.ads}


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


def _why_to_restore(seen: Seen) -> tuple[str, ...]:
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


def _left_broken(run: ChangeRun, known: Mapping[str, frozenset[str]], why: tuple[str, ...]) -> AdSetResult:
    """Return the result of an ad set with broken ads that a recheck leaves as it is, with all that is news of it."""
    new, unreadable = _new_pauses(run, known), run.with_health(AdHealth.UNREADABLE)
    result = Result.UNVERIFIED if unreadable else Result.SKIPPED_PREFLIGHT
    left = _result(run.change, result, (*why, *map(str, (*new, *unreadable))))
    is_reported = run.change.is_reported and not new and not unreadable
    return replace(left, added=(), removed=(), is_reported=is_reported)


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
