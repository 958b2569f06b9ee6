"""One ad set's change on its way: write, re-publish, verify, roll back."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from closrads.concurrency import in_background
from closrads.domain.adsets import AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.request import Action
from closrads.domain.results import Result
from closrads.domain.targeting import region_keys
from closrads.errors import (
    AdSetChangedError,
    ClosradsError,
    LedgerError,
    MetaError,
    MetaOutcomeUnknownError,
    most_severe,
)
from closrads.facebook_client import (
    Rollback,
    Undoing,
    refresh,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    verify_ads_after_republish,
)
from closrads.ledger.changes import Ledger
from closrads.meta.graph import GraphApi
from closrads.meta.targeting_write import Written
from closrads.observability import log_defect, logger
from closrads.rollout.budget import points_needed, seconds_needed


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
        return most_severe(self.refused) or self.unrecorded


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


RESULTS = {
    ChangeState.VERIFIED: Result.UPDATED,
    ChangeState.ROLLED_BACK: Result.REVERTED,
    ChangeState.ROLLBACK_FAILED: Result.ROLLBACK_FAILED,
    ChangeState.SUPERSEDED: Result.SUPERSEDED,
    None: Result.UNVERIFIED,
}
"""What a change's end means for its ad set."""


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
        with in_background(lambda: _note_all(job, written, ChangeState.WRITTEN)):
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
        with in_background(lambda: _note_all(job, republished, ChangeState.REPUBLISHED)):
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
    has_capacity = _has_capacity(job, unmended)
    if unmended and has_capacity:
        for attempt in unmended:
            attempt.issues = told[attempt.adset.id]
        _go_there_again(job, unmended)
        _go_back(job, unmended)
    for attempt in attempts:
        if attempt.end is ChangeState.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": attempt.adset.id, "issues": attempt.issues})
    # What there was no room for stays as one that was cut off, so that another run takes the whole way.
    _note_all(job, [attempt for attempt in attempts if has_capacity or attempt not in unmended])


def _has_capacity(job: Job, attempts: Sequence[Attempt]) -> bool:
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
