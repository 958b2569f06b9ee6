"""Carries changes through: write, re-publish, verify; a change that cannot stay is rolled back."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from closrads.concurrency import in_background
from closrads.domain.adsets import AdHealth
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.domain.targeting import misnamed_regions, regions_of
from closrads.errors import AdSetChangedError, MetaError, MetaOutcomeUnknownError, MetaRegionNameError
from closrads.facebook_client import update_adset_geo
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.guards import guarded, run_batch, run_each
from closrads.rollout.job import Job
from closrads.rollout.recording import as_recorded, record
from closrads.rollout.rollback import roll_back
from closrads.rollout.steps import protect_ads, republish, verify


def write(job: Job, run: ChangeRun) -> ChangeRun:
    """Write a change without retries. After a transient error, its outcome stays unknown until `carry_through`."""
    return guarded(partial(_write, job, retries=False), run)


def carry_through(job: Job, runs: Sequence[ChangeRun], *, keep_unexplained: bool = False) -> list[ChangeRun]:
    """Complete changes that may have been written: re-publish, verify, roll back those that cannot stay.

    The ads of confirmed writes are re-published first; only then are writes with an unknown outcome retried. With
    `keep_unexplained`, an ad that was paused by an unknown actor is no reason to roll back.
    """
    verify_forward = partial(_verify_forward, keep_unexplained=keep_unexplained)
    step = partial(run_batch, job)
    runs = step(_republish_forward, runs, _is_written)
    runs = run_each(partial(_write, job, retries=True), runs, lambda run: run.unknown is not None)
    runs = step(_republish_forward, runs, _is_written)
    runs = step(protect_ads, runs, lambda run: run.is_foreign and run.state.is_open)
    runs = step(verify_forward, runs, lambda run: run.state is ChangeState.REPUBLISHED and run.is_on_course)
    runs = record(job, runs)
    return roll_back(job, runs)


def _is_written(run: ChangeRun) -> bool:
    return run.state is ChangeState.WRITTEN and run.is_on_course


def _write(job: Job, run: ChangeRun, *, retries: bool) -> ChangeRun:
    regions = regions_of(run.change.after)
    reserve = job.seconds_needed([run.now])
    may_be_sent = run.unknown is not None
    try:
        adset = update_adset_geo(job.api, run.now, regions, reserve=reserve, retries=retries, may_be_sent=may_be_sent)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaOutcomeUnknownError as error:
        run = replace(run, unknown=error)
        return run.refused(error.cause).failed(RollbackReason.OUTCOME_UNKNOWN, str(error)) if retries else run
    except MetaError as error:
        return run.refused(error).in_state(ChangeState.NOT_WRITTEN).with_issues(str(error))
    return _assess_write(run.written(adset).in_state(ChangeState.WRITTEN))


def _assess_write(run: ChangeRun) -> ChangeRun:
    """Decide on a write by the regions that Meta has returned: their keys, and the names that it gives them."""
    if run.stored != run.change.new_regions:
        return run.failed(RollbackReason.STORED_DIFFERENTLY, "Meta stored different states than were sent")
    if misnamed := misnamed_regions(run.now.targeting):
        error = MetaRegionNameError("; ".join(misnamed))
        return run.refused(error).failed(RollbackReason.STORED_DIFFERENTLY, str(error))
    return run


def _republish_forward(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    with in_background(partial(record, job, runs)) as recorded:
        done = republish(job, runs, job.seconds_needed([run.now for run in runs]))
    return [
        run.failed(RollbackReason.NOT_CONFIRMED, *map(str, run.failures))
        if run.failures
        else run.in_state(ChangeState.REPUBLISHED)
        for run in as_recorded(done, recorded.result())
    ]


def _verify_forward(job: Job, runs: Sequence[ChangeRun], *, keep_unexplained: bool) -> list[ChangeRun]:
    reserve = job.seconds_needed([run.now for run in runs]) - job.wait_seconds
    with in_background(partial(record, job, runs)) as recorded:
        done = verify(job, runs, reserve)
    return [
        _assess_verification(run, keep_unexplained=keep_unexplained) for run in as_recorded(done, recorded.result())
    ]


def _assess_verification(run: ChangeRun, *, keep_unexplained: bool) -> ChangeRun:
    """Decide on a change after its verification; if its ads could not be read, it stays open."""
    if bad := run.with_health(AdHealth.BROKEN):
        return run.failed(RollbackReason.ADS_BROKEN, *map(str, bad))
    if run.failures:
        return run.failed(RollbackReason.NOT_CONFIRMED, *map(str, run.failures))
    run = run.with_issues(*map(str, run.unexplained))
    if run.unexplained and not keep_unexplained:
        return run.failed(RollbackReason.PAUSE_UNEXPLAINED)
    if unreadable := run.with_health(AdHealth.UNREADABLE):
        return run.with_issues(*map(str, unreadable))
    if run.unconfirmed:
        return run.with_issues(*(f"Ad “{ad.name}” ({ad.id}): is not re-published yet" for ad in run.unconfirmed))
    return run.in_state(ChangeState.VERIFIED)
