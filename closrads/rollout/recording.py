"""Records in the ledger each state that a change goes through, in order."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from closrads.domain.changes import TRANSITIONS, Change, ChangeState
from closrads.errors import LedgerError
from closrads.observability import log_defect, logger
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.job import Job


def record(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Record the state of each change, one transition at a time, and what has been seen of the ads of open ones.

    A ledger error does not stop the work at Meta, which has priority: the change then stays open for a later run.
    """
    done = {run.id: replace(run, unrecorded=None) for run in runs}
    while behind := [run for run in done.values() if run.change.state is not run.state and run.unrecorded is None]:
        moves = [(run.to_record, _next_transition(run.change.state, run.state)) for run in behind]
        for run, (_, to), answer in zip(behind, moves, _move(job, moves), strict=True):
            if isinstance(answer, LedgerError):
                details = {"adset": run.id, "to": to.value, "error": str(answer)}
                logger.error("ledger.unrecorded", extra=details)
                done[run.id] = replace(run, unrecorded=answer)
            else:
                done[run.id] = replace(run, change=answer)
    still_open = [run for run in done.values() if run.state.is_open and run.unrecorded is None]
    seen = record_ads(job, [run for run in still_open if run.has_unrecorded_sightings])
    done |= {run.id: run for run in seen}
    return [done[run.id] for run in runs]


def record_ads(job: Job, runs: Iterable[ChangeRun]) -> list[ChangeRun]:
    """Record which ads changes are responsible for, and when each was last seen on.

    Without that, a later run might take an earlier pause by Meta for one that a person has made since.
    """
    to_record = [(run, run.to_record) for run in runs]
    if not to_record:
        return []
    try:
        errors = job.ledger.keep_ads([change for _, change in to_record])
    except Exception as error:  # noqa: BLE001 - a defect must not stop the protection of ads at Meta
        errors = [LedgerError(log_defect(error))] * len(to_record)
    for (run, _), why in zip(to_record, errors, strict=True):
        if why is not None:
            logger.warning("ledger.ads_not_kept", extra={"adset": run.id, "error": str(why)})
    recorded = [pair for pair, why in zip(to_record, errors, strict=True) if why is None]
    return [replace(run, change=replace(run.change, before=change.before)) for run, change in recorded]


def as_recorded(runs: Iterable[ChangeRun], recorded: Iterable[ChangeRun]) -> list[ChangeRun]:
    """Return the runs with the recorded changes of their counterparts; what the ledger lacks is recorded later."""
    changes = {run.id: run.change for run in recorded}
    return [replace(run, change=changes[run.id]) for run in runs]


def _move(job: Job, moves: Sequence[tuple[Change, ChangeState]]) -> list[Change | LedgerError]:
    """Record one transition of each change; after an unexpected exception, of each of them alone."""
    try:
        return job.ledger.move(moves)
    except Exception as error:  # noqa: BLE001 - a defect must not stop the protection of ads at Meta
        defect = log_defect(error)
    if len(moves) == 1:
        return [LedgerError(defect)]
    return [answer for move in moves for answer in _move(job, [move])]


def _next_transition(state: ChangeState, goal: ChangeState) -> ChangeState:
    """Return the first transition of the shortest path from one state to another."""
    paths = deque([(step, step) for step in sorted(TRANSITIONS[state])])
    seen = set(TRANSITIONS[state])
    while paths:
        first, at = paths.popleft()
        if at is goal:
            return first
        paths += ((first, step) for step in sorted(TRANSITIONS[at] - seen))
        seen |= TRANSITIONS[at]
    raise ValueError(f"No way leads from {state} to {goal}")
