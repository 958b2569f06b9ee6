"""A wave of ad sets through its four layers: look, update and re-publish, verify, roll back what is not well.

Each step is in the ledger before the next is taken, so that whatever dies on the way, another run can go on from there.
Whatever fails on the way, an ad set that may have been written ends verified, put back, or open and reported as such.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from closrads.errors import (
    AdSetChangedError,
    ClosradsError,
    LedgerError,
    LedgerFullError,
    MetaAccessError,
    MetaError,
    MetaOutcomeUnknownError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.facebook_client import (
    FRESH_SECONDS,
    Rollback,
    Undoing,
    _build_new_targeting,
    check_ad_health,
    gravest,
    refresh,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    validate_adset_geo,
    verify_ads_after_republish,
)
from closrads.graph_api import GraphApi
from closrads.headroom import points_needed, seconds_needed
from closrads.ledger import Ledger
from closrads.model import LONG_AGO, Action, AdHealth, AdSetResult, AdSetSnapshot, Change, ChangeState, Result
from closrads.observability import log_defect, logger
from closrads.parallel import side_by_side, under_way
from closrads.plan import Decision, decide
from closrads.targeting import region_keys
from closrads.targeting_write import Written

FRESH_FOR = timedelta(seconds=FRESH_SECONDS)
"""A snapshot older than this is taken anew before anything is written over it: a person may have come."""
WRITES_AT_ONCE = 10
"""Of one wave; how many there are at once at Meta, `quota.CALLS_AT_ONCE` bounds."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run works with on one campaign."""

    campaign: str
    """The slug."""
    run_id: str
    action: Action
    api: GraphApi
    ledger: Ledger
    wait_seconds: float
    """Between a re-publish and the look at what became of it."""

    def seconds_needed(self, adsets: Sequence[AdSetSnapshot]) -> float:
        """Return what these ad sets may take together, their rollback and the mail included."""
        return seconds_needed(self.api, adsets, self.wait_seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one ad set, and what was refused on the way: the rest of its campaign may have to stop for it."""

    result: AdSetResult
    trouble: ClosradsError | None = None


@dataclass(slots=True)
class Attempt:
    """A change that may have reached Meta, until it is in a state that can be left."""

    change: Change
    adset: AdSetSnapshot
    """As it was before, with the ads that ought to run."""
    written: Written | None = None
    issues: list[str] = field(default_factory=list)
    unsettled: MetaOutcomeUnknownError | None = None
    """Why nobody knows whether it was written."""
    to_put_back: bool = False
    is_back: bool = False
    """Whether the targeting is as before again."""
    was_cut_off: bool = False
    """Whether an earlier run died while it rolled this back."""
    end: ChangeState | None = None
    """What it came to, also if the ledger could not be told; None if that is not known: it stays open."""
    refused: list[MetaError] = field(default_factory=list)
    unrecorded: LedgerError | None = None

    @property
    def is_fit(self) -> bool:
        """Whether it was written, and nothing speaks against it yet."""
        return self.end is None and self.unsettled is None and not self.to_put_back

    @property
    def trouble(self) -> ClosradsError | None:
        """What says most about whether the campaign may go on."""
        return gravest(self.refused) or self.unrecorded


def validate_change(api: GraphApi, change: Decision) -> Outcome:
    """Have Meta validate a planned change and change nothing."""
    try:
        validate_adset_geo(api, change.adset, change.regions)
    except MetaError as error:
        return _not_done(change, error)
    return Outcome(change.as_result())


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

    side_by_side(write, attempts, WRITES_AT_ONCE)
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
        return [Outcome(planned.as_result(Result.FAILED, (issue,))) for planned in wave]
    looks: list[Decision | Outcome] = []
    for planned in wave:
        adset = now.get(planned.adset.id, planned.adset)
        if isinstance(adset, MetaTransientError) and not alone:
            continue  # to wait for it would make the others' snapshots old
        if isinstance(adset, MetaError):
            looks.append(_not_done(planned, adset))
            continue
        decision = decide(adset, planned.regions, check_ad_health(adset), planned.replaces)
        decision = replace(decision, memory=planned.memory)
        looks.append(decision if decision.is_change else Outcome(decision.as_result()))
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
                    memory=change.memory,
                ),
                change.adset,
            )
            for change in changes
        ]
        errors = job.ledger.prepare([attempt.change for attempt in attempts])
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops one ad set only
        if len(changes) > 1:
            return [begun for change in changes for begun in _prepare(job, [change], now)]
        return [Outcome(change.as_result(Result.FAILED, (log_defect(error),))) for change in changes]
    return [
        _not_done(change, error) if error else attempt
        for change, attempt, error in zip(changes, attempts, errors, strict=True)
    ]


def _write(job: Job, attempt: Attempt, *, patient: bool) -> None:
    """Raise a MetaError only if nothing was written."""
    regions = attempt.change.after["geo_locations"]["regions"]
    reserve = job.seconds_needed([attempt.adset])
    try:
        attempt.written = update_adset_geo(
            job.api, attempt.adset, regions, reserve=reserve, patient=patient, again=attempt.unsettled is not None
        )
    except AdSetChangedError as error:
        attempt.issues.append(str(error))
        attempt.end = ChangeState.SUPERSEDED
    except MetaOutcomeUnknownError as error:
        attempt.unsettled = error
        return
    except MetaError:
        raise
    except Exception as error:  # noqa: BLE001 - whether it was changed is unknown, whatever the defect
        attempt.issues.append(log_defect(error))
        attempt.to_put_back = True
    attempt.unsettled = None


def _not_done(change: Decision, error: MetaError | LedgerError) -> Outcome:
    result = Result.DEFERRED if isinstance(error, MetaRateLimitError) else Result.FAILED
    trouble = None if isinstance(error, LedgerFullError) else error
    return Outcome(change.as_result(result, (str(error),)), trouble)


RESULTS = {
    ChangeState.VERIFIED: Result.UPDATED,
    ChangeState.ROLLED_BACK: Result.REVERTED,
    ChangeState.ROLLBACK_FAILED: Result.ROLLBACK_FAILED,
    ChangeState.SUPERSEDED: Result.SUPERSEDED,
    None: Result.UNVERIFIED,
}
"""What a change's end means for its ad set."""


def _outcome(decision: Decision, attempt: Attempt) -> Outcome:
    result = decision.as_result(RESULTS[attempt.end], tuple(dict.fromkeys(attempt.issues)))
    return Outcome(result, attempt.trouble)


def see_through(job: Job, attempts: Sequence[Attempt]) -> None:
    """Bring changes that may have reached Meta to their end: re-publish, verify, put back what is not well.

    What was written is re-published at once; only then is there patience for what may not have been.
    """
    settled = [attempt for attempt in attempts if attempt.is_fit]
    _republish(job, settled)
    for attempt in attempts:
        if attempt.unsettled is not None:
            _settle(job, attempt)
    _republish(job, [attempt for attempt in attempts if attempt.is_fit and attempt not in settled])
    superseded = [attempt for attempt in attempts if attempt.end is ChangeState.SUPERSEDED and attempt.adset.ads]
    _republish_beside_somebody(job, superseded)
    _verify(job, [attempt for attempt in attempts if attempt.is_fit] + superseded)
    _note_all(job, [attempt for attempt in attempts if attempt.end is not None])
    if sick := [attempt for attempt in attempts if attempt.to_put_back]:
        put_back(job, sick)


def _settle(job: Job, attempt: Attempt) -> None:
    """Find out whether it was written, and write again if need be; if that cannot be known it has to be put back."""
    _write(job, attempt, patient=True)
    if attempt.unsettled is not None:
        attempt.issues.append(str(attempt.unsettled))
        attempt.refused.append(attempt.unsettled.trouble)
        attempt.unsettled = None
        attempt.to_put_back = True


def _republish(job: Job, attempts: Sequence[Attempt]) -> None:
    """Re-publish the ads of changed ad sets, and mark for the rollback what that was refused for."""
    adsets = [attempt.adset for attempt in attempts]
    written = [attempt for attempt in attempts if attempt.change.state is ChangeState.PREPARED]
    try:
        with under_way(lambda: _note_all(job, written, ChangeState.WRITTEN)):
            failures = republish_ads(job.api, adsets, reserve=job.seconds_needed(adsets))
    except Exception as error:  # noqa: BLE001 - they are changed and must not stay so unprotected, whatever the defect
        _mark_all(attempts, log_defect(error))
        return
    for attempt in attempts:
        failed = failures[attempt.adset.id]
        attempt.refused += [failure.error for failure in failed]
        attempt.issues += map(str, failed)
        attempt.to_put_back = bool(failed)


def _republish_beside_somebody(job: Job, attempts: Sequence[Attempt]) -> None:
    """Keep hands off the targeting; our write may have been there in between, so protect the ads that still run."""
    try:
        now = refresh(job.api, [attempt.adset for attempt in attempts])
        running = []
        for attempt in attempts:
            there = now[attempt.adset.id]
            if isinstance(there, MetaError):
                attempt.issues.append(f"Its ads were not re-published: {there}")
            else:
                still_on = {ad.id for ad in there.active_ads}
                ads = tuple(ad for ad in attempt.adset.active_ads if ad.id in still_on)
                running.append(replace(attempt.adset, ads=ads))
        failures = republish_ads(job.api, running)
    except Exception as error:  # noqa: BLE001 - what happened to the targeting is to be told in any case
        text = log_defect(error)
        for attempt in attempts:
            attempt.issues.append(f"Its ads were not re-published: {text}")
        return
    for attempt in attempts:
        failed = failures.get(attempt.adset.id, ())
        attempt.refused += [failure.error for failure in failed]
        attempt.issues += map(str, failed)


def _verify(job: Job, attempts: Sequence[Attempt]) -> None:
    """Look at the ads, and mark what is verified and what has to be put back; what cannot be told stays open."""
    adsets = [attempt.adset for attempt in attempts]
    republished = [attempt for attempt in attempts if attempt.end is None]
    reserve = job.seconds_needed(adsets) - job.wait_seconds
    try:
        with under_way(lambda: _note_all(job, republished, ChangeState.REPUBLISHED)):
            findings = verify_ads_after_republish(job.api, adsets, job.wait_seconds, reserve=reserve)
    except Exception as error:  # noqa: BLE001 - they are changed and must not stay so unverified, whatever the defect
        _mark_all([attempt for attempt in attempts if attempt.end is None], log_defect(error))
        return
    for attempt in attempts:
        seen = findings[attempt.adset.id]
        reasons = [str(finding) for finding in seen if finding.health is AdHealth.BROKEN]
        if attempt.end is not None:
            attempt.issues += reasons
            continue
        if attempt.written is not None and region_keys(attempt.written.targeting) != region_keys(attempt.change.after):
            reasons.append("Meta made other states of what was written")
        unreadable = [str(finding) for finding in seen if finding.health is AdHealth.UNREADABLE]
        attempt.issues += reasons or unreadable
        attempt.to_put_back = bool(reasons)
        attempt.end = None if reasons or unreadable else ChangeState.VERIFIED


def _mark_all(attempts: Sequence[Attempt], defect: str) -> None:
    for attempt in attempts:
        attempt.issues.append(defect)
        attempt.to_put_back = True


def put_back(job: Job, attempts: Sequence[Attempt]) -> None:
    """Roll back, and see each attempt's end noted."""
    for attempt in attempts:
        logger.warning("adset.rollback", extra={"adset": attempt.adset.id, "reasons": attempt.issues})
    _note_all(job, attempts, ChangeState.ROLLING_BACK)
    told = {attempt.adset.id: list(attempt.issues) for attempt in attempts}
    _go_back(job, attempts)
    cut_off = [attempt for attempt in attempts if attempt.was_cut_off and not attempt.refused]
    unmended = [attempt for attempt in cut_off if attempt.end is ChangeState.ROLLBACK_FAILED]
    has_room = _has_room(job, unmended)
    if unmended and has_room:
        for attempt in unmended:
            attempt.issues = told[attempt.adset.id]
        _go_there_again(job, unmended)
        _go_back(job, unmended)
    for attempt in attempts:
        if attempt.end is ChangeState.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": attempt.adset.id, "issues": attempt.issues})
    # What there was no room for stays as one that was cut off, so that another run takes the whole way.
    _note_all(job, [attempt for attempt in attempts if has_room or attempt not in unmended])


def _has_room(job: Job, attempts: Sequence[Attempt]) -> bool:
    adsets = [attempt.adset for attempt in attempts]
    in_time = job.api.clock.remaining() >= job.seconds_needed(adsets)
    return in_time and not job.api.quota.seconds_until(points_needed(adsets))


def _go_there_again(job: Job, attempts: Sequence[Attempt]) -> None:
    """Write what is being rolled back once more, over what is there now, and re-publish.

    A rollback that is cut off between its write and its re-publish breaks ads too. They are mended by the targeting
    from before that write, which is this, and a re-publish.
    """
    now = refresh(job.api, [attempt.adset for attempt in attempts])
    for attempt in attempts:
        attempt.is_back, attempt.written = False, None
        there = now[attempt.adset.id]
        if isinstance(there, AdSetSnapshot) and region_keys(there.targeting) == region_keys(attempt.adset.targeting):
            with suppress(MetaError, AdSetChangedError):  # the way back finds out what is there
                update_adset_geo(job.api, there, attempt.change.after["geo_locations"]["regions"])
    republish_ads(job.api, [attempt.adset for attempt in attempts])


def _go_back(job: Job, attempts: Sequence[Attempt]) -> None:
    undoings = [
        Undoing(attempt.adset, attempt.change.after["geo_locations"]["regions"], attempt.written, attempt.is_back)
        for attempt in attempts
    ]
    try:
        rollbacks = rollback_geo(job.api, undoings, job.wait_seconds)
    except Exception as error:  # noqa: BLE001 - nothing may hide that an ad set is not as it was
        failed = Rollback(Result.ROLLBACK_FAILED, (f"Its rollback did not end: {log_defect(error)}",))
        rollbacks = dict.fromkeys((attempt.adset.id for attempt in attempts), failed)
    for attempt in attempts:
        rollback = rollbacks[attempt.adset.id]
        attempt.issues += rollback.issues
        attempt.refused += [rollback.trouble] if rollback.trouble else []
        attempt.end = _ENDS[rollback.result]


_ENDS = {
    Result.REVERTED: ChangeState.ROLLED_BACK,
    Result.SUPERSEDED: ChangeState.SUPERSEDED,
    Result.ROLLBACK_FAILED: ChangeState.ROLLBACK_FAILED,
}


def _note_all(job: Job, attempts: Sequence[Attempt], state: ChangeState | None = None) -> None:
    """Tell the ledger that all are in one state, or each at its end.

    If it cannot be told, what is at Meta comes first: the change stays open for the next run.
    """
    moves = [(attempt, to) for attempt in attempts if (to := state or attempt.end) is not None]
    note(job, [(attempt, to) for attempt, to in moves if attempt.change.state is not to])


def note(job: Job, moves: Sequence[tuple[Attempt, ChangeState]]) -> None:
    """Tell the ledger of each attempt's next state; what it could not be told of is `unrecorded`."""
    try:
        answers = job.ledger.move([(attempt.change, to) for attempt, to in moves])
    except Exception as error:  # noqa: BLE001 - whatever the defect, what is at Meta is to be protected
        if len(moves) > 1:  # one of them trips the code: the others are told alone
            for move in moves:
                note(job, [move])
            return
        answers = [LedgerError(log_defect(error))] * len(moves)
    for (attempt, to), answer in zip(moves, answers, strict=True):
        if isinstance(answer, LedgerError):
            attempt.unrecorded = answer
            details = {"adset": attempt.adset.id, "to": to.value, "error": str(answer)}
            logger.error("ledger.unrecorded", extra=details)
        else:
            attempt.change = answer
