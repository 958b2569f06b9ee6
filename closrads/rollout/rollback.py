"""Rolls changes back: restores the original regions, and decides in `assess_rollback` whether that is proven."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from closrads.domain.adsets import LONG_AGO, AdHealth
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.domain.health import is_rejected
from closrads.domain.targeting import region_keys
from closrads.errors import AdSetChangedError, MetaError
from closrads.facebook_client import rollback_geo
from closrads.meta.graph import RESERVED_SECONDS
from closrads.observability import logger
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.guards import merged, run_batch, run_each
from closrads.rollout.job import Job
from closrads.rollout.recording import record
from closrads.rollout.steps import protect_ads, republish, verify

NEVER_TOOK_EFFECT = "This change never took effect: its ads broke for another reason"
REAPPLIED = "Its ads broke in a rollback that was cut off: its new states were set again, and rolled back once more"


def roll_back(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Roll back the changes that have a reason for it, and record the outcome."""
    runs = run_batch(job, announce_rollback, runs, lambda run: run.reason is not None and not run.is_foreign)
    runs = _restore(job, runs)
    if interrupted := [run.in_state(ChangeState.ROLLING_BACK) for run in runs if _is_broken_by_interruption(run)]:
        if job.has_capacity([run.now for run in interrupted]):
            interrupted = _restore(job, run_each(partial(_reapply, job), interrupted, _is_rolling_back))
        runs = merged(runs, interrupted)  # without capacity, the next run resumes the rollback
    for run in runs:
        if run.state is ChangeState.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": run.id, "issues": run.issues})
    return record(job, runs)


def announce_rollback(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Record that changes are being rolled back, before the writes."""
    for run in runs:
        if run.state is not ChangeState.ROLLING_BACK:
            logger.warning("adset.rollback", extra={"adset": run.id, "reasons": run.issues})
    rolling_back = ChangeState.ROLLING_BACK
    return record(job, [run if run.state is rolling_back else run.in_state(rolling_back) for run in runs])


def _restore(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Restore the original regions and prove it; if somebody else has set the regions, only protect the ads."""
    step = partial(run_batch, job)
    runs = run_each(partial(_restore_regions, job), runs, _needs_rollback_write)
    runs = step(protect_ads, runs, lambda run: _is_rolling_back(run) and run.is_foreign)
    return step(_prove_rollback, runs, lambda run: _is_rolling_back(run) and not run.is_foreign)


def _is_rolling_back(run: ChangeRun) -> bool:
    return run.state is ChangeState.ROLLING_BACK


def _needs_rollback_write(run: ChangeRun) -> bool:
    return _is_rolling_back(run) and not (run.is_foreign or run.needs_no_write)


def _restore_regions(job: Job, run: ChangeRun) -> ChangeRun:
    """Restore the original regions within the current targeting; if Meta refuses, the ads are still protected."""
    change = run.change
    now = replace(run.now, read_at=LONG_AGO)  # forces a new read: a person may have changed the ad set since the write
    try:
        adset = rollback_geo(job.api, change.before, now, {change.new_regions, run.stored}, repeats=True)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaError as error:
        # Its re-publishes no longer count: the links to the forms may be pending again. Nor does the last read.
        run = replace(run.refused(error), now=now, confirmed=frozenset(), failures=())
        what = "It is NOT known whether its states are as before" if run.unknown else "Its states were NOT restored"
        return run.with_issues(f"{what}: {error}")
    return run.written(adset)


def _prove_rollback(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    done = verify(job, record(job, republish(job, runs, RESERVED_SECONDS)), RESERVED_SECONDS)
    return [assess_rollback(run) for run in done]


def assess_rollback(run: ChangeRun) -> ChangeRun:
    """Decide on a rollback: only what Meta has confirmed and a later read has shown counts as restored."""
    broken, uncertain = run.with_health(AdHealth.BROKEN), (*run.with_health(AdHealth.UNREADABLE), *run.failures)
    is_restored = run.unknown is None and region_keys(run.now.targeting) == run.change.old_regions
    if is_restored and broken and run.never_took_effect and not _is_uncertain_of_others(run):
        # The change before this one explains the broken ads, and its own recheck rolls it back.
        return run.with_issues(NEVER_TOOK_EFFECT, *map(str, broken)).in_state(ChangeState.ROLLED_BACK)
    if broken or uncertain or run.unconfirmed or not is_restored:
        lead = "Its targeting was restored, but not all ads are well" if is_restored else "Its states were NOT restored"
        leads = () if run.unknown else (lead,)  # why nobody knows has been said
        return run.with_issues(*leads, *map(str, (*broken, *uncertain))).in_state(ChangeState.ROLLBACK_FAILED)
    ads = "its ads are healthy" if not run.unexplained else "all other ads are healthy"
    return run.with_issues(f"Its targeting was restored and {ads}").in_state(ChangeState.ROLLED_BACK)


def _is_uncertain_of_others(run: ChangeRun) -> bool:
    """Return whether any ad is uncertain besides the broken ones, whose re-publish Meta may refuse."""
    broken = {finding.ad.id for finding in run.with_health(AdHealth.BROKEN)}
    ads = (*(failure.ad for failure in run.failures), *run.unconfirmed)
    return bool(run.with_health(AdHealth.UNREADABLE)) or any(ad.id not in broken for ad in ads)


def _is_broken_by_interruption(run: ChangeRun) -> bool:
    """Return whether ads stay broken although the regions are back and Meta has confirmed every re-publish.

    Like any other write, that of the interrupted rollback may have broken them. Then they were last healthy under the
    new regions, not under the original ones.
    """
    is_back = region_keys(run.now.targeting) == run.change.old_regions
    failed = run.state is ChangeState.ROLLBACK_FAILED and run.resumes_rollback
    broken = [finding for finding in run.with_health(AdHealth.BROKEN) if not is_rejected(finding)]
    return failed and is_back and bool(broken) and not run.refusals


def _reapply(job: Job, run: ChangeRun) -> ChangeRun:
    """Set the new regions again, under which the ads were healthy before the rollback, and re-publish the ads."""
    change = run.change
    run = replace(run, issues=(REAPPLIED,), reason=RollbackReason.ADS_BROKEN, needs_no_write=False)
    now = replace(run.now, read_at=LONG_AGO)
    with_new_regions = replace(change.before, targeting=change.after)
    try:
        adset = rollback_geo(job.api, with_new_regions, now, {change.old_regions}, repeats=False)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaError as error:
        return run.refused(error).with_issues(str(error))
    return republish(job, [run.written(adset)], RESERVED_SECONDS)[0]
