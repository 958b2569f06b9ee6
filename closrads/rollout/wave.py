"""A wave of ad sets through its four layers: look, update and re-publish, verify, roll back what is not well.

Each step is in the ledger before the next is taken, so that whatever dies on the way, another run can go on from there.
Whatever fails on the way, an ad set that may have been written ends verified, put back, or open and reported as such.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from closrads.concurrency import map_concurrently
from closrads.domain.adsets import LONG_AGO
from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import check_ad_health
from closrads.domain.plan import Decision, decide
from closrads.domain.results import AdSetResult, Result
from closrads.domain.targeting import _build_new_targeting
from closrads.errors import (
    ClosradsError,
    LedgerError,
    LedgerFullError,
    MetaAccessError,
    MetaError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.facebook_client import FRESH_SECONDS, refresh, validate_adset_geo
from closrads.meta.graph import GraphApi
from closrads.observability import log_defect
from closrads.rollout.change_run import RESULTS, Attempt, Job, _write, see_through

FRESH_FOR = timedelta(seconds=FRESH_SECONDS)
"""A snapshot older than this is taken anew before anything is written over it: a person may have come."""
WRITES_AT_ONCE = 10
"""Of one wave; how many there are at once at Meta, `quota.CALLS_AT_ONCE` bounds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ad set, and what was refused on the way: the rest of its campaign may have to stop for it."""

    result: AdSetResult
    trouble: ClosradsError | None = None


def validate_change(api: GraphApi, change: Decision) -> Outcome:
    """Have Meta validate a planned change and change nothing."""
    try:
        validate_adset_geo(api, change.adset, change.regions)
    except MetaError as error:
        return _not_done(change, error)
    return Outcome(change.to_result())


def apply_wave(job: Job, wave: Sequence[Decision]) -> dict[str, Outcome]:
    """Carry out planned changes together, as far as they still are changes; return what became of each, by ad set.

    One that is missing in the answer was not begun, for trouble that will pass or that concerns all. Only one that goes
    alone waits for Meta: of several, all others would have to wait for their re-publish.
    """
    if len(wave) > 1:
        return _apply_together(job, wave)
    planned = wave[0]

    def attempt() -> dict[str, Outcome]:
        nonlocal planned
        outcomes = _apply_together(job, [planned])
        planned = replace(planned, adset=replace(planned.adset, read_at=LONG_AGO))  # a wait is long enough for a person
        for outcome in outcomes.values():
            if isinstance(outcome.trouble, MetaRateLimitError) and outcome.result.result is Result.DEFERRED:
                raise outcome.trouble
        return outcomes

    reserve = max(job.seconds_needed([planned.adset]), job.api.seconds_not_for_waits)
    try:
        return job.api.retrying(attempt, reserve=reserve, errors=(MetaRateLimitError,))
    except MetaRateLimitError as error:
        return {planned.adset.id: _not_done(planned, error)}


def _apply_together(job: Job, wave: Sequence[Decision]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    changes: dict[str, Decision] = {}
    for look in _look_again(job, wave):
        if isinstance(look, Outcome):
            outcomes[look.result.id] = look
        else:
            changes[look.adset.id] = look
    if job.api.clock.remaining() < job.seconds_needed([change.adset for change in changes.values()]):
        return outcomes
    attempts: list[Attempt] = []
    for begun in _prepare(job, list(changes.values()), job.api.clock.now()):
        if isinstance(begun, Outcome):
            outcomes[begun.result.id] = begun
        else:
            attempts.append(begun)

    def write(attempt: Attempt) -> None:
        """If Meta is in trouble, the attempt stays unsettled until others are re-published."""
        if any(concerns_all(outcome.trouble) for outcome in list(outcomes.values())):
            attempt.end = ChangeState.NOT_WRITTEN
            return
        try:
            _write(job, attempt, patient=False)
        except MetaError as error:
            attempt.end = ChangeState.NOT_WRITTEN
            outcomes[attempt.adset.id] = _not_done(changes[attempt.adset.id], error)

    map_concurrently(write, attempts, WRITES_AT_ONCE)
    see_through(job, attempts)
    written = [attempt for attempt in attempts if attempt.end is not ChangeState.NOT_WRITTEN]
    return outcomes | {attempt.adset.id: _outcome(changes[attempt.adset.id], attempt) for attempt in written}


def _look_again(job: Job, wave: Sequence[Decision]) -> list[Decision | Outcome]:
    """Return each planned change as it is by a fresh snapshot, or what became of it if it is none any more.

    One of several that cannot be read for the moment is left out.
    """
    oldest = job.api.clock.now() - FRESH_FOR
    alone = len(wave) == 1
    reserve = job.seconds_needed([wave[0].adset]) if alone else math.inf
    try:
        now = refresh(job.api, [each.adset for each in wave if each.adset.read_at < oldest], reserve=reserve)
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops these ad sets only
        issue = log_defect(error)
        return [Outcome(planned.to_result(Result.FAILED, (issue,))) for planned in wave]
    looks: list[Decision | Outcome] = []
    for planned in wave:
        adset = now.get(planned.adset.id, planned.adset)
        if isinstance(adset, MetaTransientError) and not alone:
            continue  # to wait for it would make the others' snapshots old
        if isinstance(adset, MetaError):
            looks.append(_not_done(planned, adset))
            continue
        decision = decide(adset, planned.regions, check_ad_health(adset), planned.replaces)
        decision = replace(decision, reverts=planned.reverts)
        looks.append(decision if decision.is_change else Outcome(decision.to_result()))
    return looks


def concerns_all(trouble: ClosradsError | None) -> bool:
    """Tell whether trouble with one ad set is trouble for all of its campaign."""
    return isinstance(trouble, LedgerError | MetaAccessError | MetaPolicyError | MetaRateLimitError)


def _prepare(job: Job, changes: Sequence[Decision], now: datetime) -> list[Attempt | Outcome]:
    """Write down what is going to be written; return each attempt, or why it is none."""
    try:
        attempts = [
            Attempt(
                Change(
                    campaign=job.campaign,
                    run_id=job.run_id,
                    action=job.action,
                    before=change.adset,
                    after=_build_new_targeting(change.adset.targeting, change.regions),
                    state=ChangeState.PREPARED,
                    prepared_at=now,
                    changed_at=now,
                    reverts=change.reverts,
                ),
                change.adset,
            )
            for change in changes
        ]
        errors = job.ledger.prepare([attempt.change for attempt in attempts])
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops one ad set only
        if len(changes) > 1:
            return [begun for change in changes for begun in _prepare(job, [change], now)]
        return [Outcome(change.to_result(Result.FAILED, (log_defect(error),))) for change in changes]
    return [
        _not_done(change, error) if error else attempt
        for change, attempt, error in zip(changes, attempts, errors, strict=True)
    ]


def _not_done(change: Decision, error: MetaError | LedgerError) -> Outcome:
    result = Result.DEFERRED if isinstance(error, MetaRateLimitError) else Result.FAILED
    trouble = None if isinstance(error, LedgerFullError) else error
    return Outcome(change.to_result(result, (str(error),)), trouble)


def _outcome(decision: Decision, attempt: Attempt) -> Outcome:
    result = decision.to_result(RESULTS[attempt.end], tuple(dict.fromkeys(attempt.issues)))
    return Outcome(result, attempt.trouble)
