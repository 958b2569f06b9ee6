"""Guards around each step: a defect affects only the change in which it occurs, which is then rolled back."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from closrads.concurrency import map_concurrently
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.observability import log_defect
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.job import Job

WRITES_AT_ONCE = 10
"""Maximum number of concurrent writes in a wave; `rate_limit.MAX_CONCURRENT_CALLS` limits those of an ad account."""


def run_each(
    step: Callable[[ChangeRun], ChangeRun], runs: Sequence[ChangeRun], ready: Callable[[ChangeRun], bool]
) -> list[ChangeRun]:
    """Run a step concurrently for each change that is ready for it."""
    chosen = [run for run in runs if ready(run)]
    done = map_concurrently(partial(guarded, step), chosen, WRITES_AT_ONCE)
    return merged(runs, done)


def run_batch(
    job: Job,
    step: Callable[[Job, Sequence[ChangeRun]], list[ChangeRun]],
    runs: Sequence[ChangeRun],
    ready: Callable[[ChangeRun], bool],
) -> list[ChangeRun]:
    """Run a step for all changes that are ready for it; after an unexpected exception, for each of them alone."""
    chosen = [run for run in runs if ready(run)]
    if not chosen:
        return list(runs)
    try:
        done = step(job, chosen)
    except Exception as error:  # noqa: BLE001 - ads may be unprotected, so a defect must not end the run
        done = (
            [run for one in chosen for run in run_batch(job, step, [one], ready)]
            if len(chosen) > 1
            else [_defective(chosen[0], log_defect(error))]
        )
    return merged(runs, done)


def guarded(step: Callable[[ChangeRun], ChangeRun], run: ChangeRun) -> ChangeRun:
    """Run a step for one change."""
    try:
        return step(run)
    except Exception as error:  # noqa: BLE001 - a defect must not stop the others, and this one is rolled back
        return _defective(run, log_defect(error))


def _defective(run: ChangeRun, defect: str) -> ChangeRun:
    """Return a change after an unexpected exception: to be rolled back or, in a rollback, with that as failed."""
    if run.state is ChangeState.ROLLING_BACK:
        return run.with_issues(f"Its rollback did not end: {defect}").in_state(ChangeState.ROLLBACK_FAILED)
    return run.failed(RollbackReason.DEFECT, defect)


def merged(runs: Iterable[ChangeRun], done: Iterable[ChangeRun]) -> list[ChangeRun]:
    """Return the runs, each replaced by its counterpart in `done` if there is one."""
    by_id = {run.id: run for run in done}
    return [by_id.get(run.id, run) for run in runs]
