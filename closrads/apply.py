"""A wave of ad sets through its four layers: look, update and re-publish, verify, roll back what is not well.

Each step is in the ledger before the next is taken, so that whatever dies on the way, another run can go on from there.
Whatever fails on the way, an ad set that may have been written ends verified, put back, or open and reported as such.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from closrads.errors import (
    AdSetChangedError,
    ClosradsError,
    LedgerError,
    LedgerFullError,
    MetaError,
    MetaOutcomeUnknownError,
    MetaRateLimitError,
)
from closrads.facebook_client import (
    Rollback,
    Undoing,
    Written,
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
from closrads.graph_api import LARGEST_BATCH, READ_POINTS, RESERVED_SECONDS, WRITE_POINTS, GraphApi
from closrads.ledger import Ledger
from closrads.model import Action, AdHealth, AdSetResult, AdSetSnapshot, Change, ChangeState, Result
from closrads.observability import log_defect, logger
from closrads.plan import Decision, decide
from closrads.targeting import region_keys

TOO_LITTLE_TIME = "Too little time was left to update it safely"
WRITING_SECONDS = 3.0
"""An ad set that was written waits no longer than this for the others of its wave: a re-publish helps best at once."""
CALLS_PER_ADSET = 5
"""Read it and its ads, write it, and for a rollback read it and write it again; its ads are handled in batches."""
POINTS_PER_ADSET = 6 * READ_POINTS + 2 * WRITE_POINTS
"""The same with a read back of each write, and two verifications of its ads."""
POINTS_PER_AD = 2 * WRITE_POINTS
"""It is re-published, and once more after a rollback."""
LEAST_SECONDS_PER_CALL = 0.1


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
        batches = math.ceil(sum(len(adset.active_ads) for adset in adsets) / LARGEST_BATCH)
        calls = CALLS_PER_ADSET * len(adsets) + 2 * (batches + math.ceil(len(adsets) / LARGEST_BATCH))
        pace = max(2 * self.api.seconds_per_call, LEAST_SECONDS_PER_CALL)
        return RESERVED_SECONDS + 2 * self.wait_seconds + calls * pace


def points_needed(adsets: Sequence[AdSetSnapshot]) -> int:
    """Return what these ad sets may cost of Meta's quota, their rollback included."""
    return sum(POINTS_PER_ADSET + POINTS_PER_AD * len(adset.active_ads) for adset in adsets)


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
    to_put_back: bool = False
    is_back: bool = False
    """Whether the targeting is as before again."""
    end: ChangeState | None = None
    """What it came to, also if the ledger could not be told; None if that is not known: it stays open."""
    refused: list[MetaError] = field(default_factory=list)
    unrecorded: LedgerError | None = None

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

    Each ad set is read again right before its write, for a person may have come. One that is missing in the answer was
    not begun: the others would have had to wait for it too long.
    """
    outcomes: dict[str, Outcome] = {}
    begun: list[tuple[Decision, Attempt]] = []
    started = job.api.clock.now()
    for planned in wave:
        waited = (job.api.clock.now() - started).total_seconds()
        if begun and (waited > WRITING_SECONDS or any(outcome.trouble for outcome in outcomes.values())):
            break
        came_of_it = _begin(job, planned, wave, alone=not begun)
        if isinstance(came_of_it, Outcome):
            outcomes[planned.adset.id] = came_of_it
        else:
            begun.append(came_of_it)
    see_through(job, [attempt for _, attempt in begun])
    return outcomes | {attempt.adset.id: _outcome(decision, attempt) for decision, attempt in begun}


def _begin(job: Job, planned: Decision, wave: Sequence[Decision], *, alone: bool) -> Outcome | tuple[Decision, Attempt]:
    """Look and write; a rate limit is waited for only while no other ad set waits for its re-publish."""
    reserve = job.seconds_needed([decision.adset for decision in wave])
    try:
        if not alone:
            return _look_and_write(job, planned, reserve)
        return job.api.retrying(
            lambda: _look_and_write(job, planned, reserve), reserve=reserve, errors=(MetaRateLimitError,)
        )
    except (MetaError, LedgerError) as error:
        return _not_done(planned, error)
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops this ad set only
        return Outcome(planned.as_result(Result.FAILED, (log_defect(error),)))


def _look_and_write(job: Job, planned: Decision, reserve: float) -> Outcome | tuple[Decision, Attempt]:
    """Raise a MetaError or LedgerError only if nothing was written."""
    adset = refresh(job.api, planned.adset)
    decision = decide(adset, planned.regions, check_ad_health(adset), planned.replaces)
    if not decision.is_change:
        return Outcome(decision.as_result())
    if job.api.clock.remaining() < reserve:
        return Outcome(decision.as_result(Result.DEFERRED, (TOO_LITTLE_TIME,)))
    now = job.api.clock.now()
    attempt = Attempt(
        Change(
            campaign=job.campaign,
            run_id=job.run_id,
            action=job.action,
            before=adset,
            after=_build_new_targeting(adset.targeting, planned.regions),
            state=ChangeState.PREPARED,
            prepared_at=now,
            changed_at=now,
            memory=planned.memory,
        ),
        adset,
    )
    job.ledger.prepare(attempt.change)
    try:
        attempt.written = update_adset_geo(job.api, adset, planned.regions, reserve=reserve)
    except AdSetChangedError as error:
        attempt.issues.append(str(error))
        attempt.end = ChangeState.SUPERSEDED
    except MetaOutcomeUnknownError as error:
        attempt.issues.append(str(error))
        attempt.refused.append(error.trouble)
        attempt.to_put_back = True
    except MetaError:
        _note(job, attempt, ChangeState.NOT_WRITTEN)
        raise
    except Exception as error:  # noqa: BLE001 - whether it was changed is unknown, whatever the defect
        attempt.issues.append(log_defect(error))
        attempt.to_put_back = True
    else:
        _note(job, attempt, ChangeState.WRITTEN)
    return decision, attempt


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
    """Bring changes that may have reached Meta to their end: re-publish, verify, put back what is not well."""
    for attempt in attempts:
        if attempt.end is ChangeState.SUPERSEDED:
            _protect_ads_only(job, attempt)
        elif attempt.end is not None:
            _note(job, attempt, attempt.end)
    fit = [attempt for attempt in attempts if attempt.end is None and not attempt.to_put_back]
    if fit:
        _protect(job, fit)
    if sick := [attempt for attempt in attempts if attempt.to_put_back]:
        put_back(job, sick)


def _protect(job: Job, attempts: Sequence[Attempt]) -> None:
    """Re-publish and verify, and mark what has to be put back."""
    adsets = [attempt.adset for attempt in attempts]
    reserve = job.seconds_needed(adsets)
    for attempt in attempts:
        if attempt.change.state is ChangeState.PREPARED:
            _note(job, attempt, ChangeState.WRITTEN)
    try:
        failures = republish_ads(job.api, adsets, reserve=reserve)
        for attempt in attempts:
            _note(job, attempt, ChangeState.REPUBLISHED)
        findings = verify_ads_after_republish(job.api, adsets, job.wait_seconds, reserve=reserve - job.wait_seconds)
    except Exception as error:  # noqa: BLE001 - they are changed and must not stay so unverified, whatever the defect
        text = log_defect(error)
        for attempt in attempts:
            attempt.issues.append(text)
            attempt.to_put_back = True
        return
    for attempt in attempts:
        failed, seen = failures[attempt.adset.id], findings[attempt.adset.id]
        attempt.refused += [failure.error for failure in failed]
        reasons = [str(failure) for failure in failed]
        reasons += [str(finding) for finding in seen if finding.health is AdHealth.BROKEN]
        if attempt.written is not None and region_keys(attempt.written.targeting) != region_keys(attempt.change.after):
            reasons.append("Meta made other states of what was written")
        unreadable = [str(finding) for finding in seen if finding.health is AdHealth.UNREADABLE]
        attempt.issues += reasons or unreadable
        attempt.to_put_back = bool(reasons)
        if not (reasons or unreadable):
            attempt.end = ChangeState.VERIFIED
            _note(job, attempt, ChangeState.VERIFIED)


def _protect_ads_only(job: Job, attempt: Attempt) -> None:
    """Keep hands off the targeting; our write may have been there in between, so protect the ads that still run."""
    try:
        running = {ad.id for ad in refresh(job.api, attempt.adset).active_ads}
        adset = replace(attempt.adset, ads=tuple(ad for ad in attempt.adset.active_ads if ad.id in running))
        failures = republish_ads(job.api, [adset])[adset.id]
        findings = verify_ads_after_republish(job.api, [adset], job.wait_seconds)[adset.id]
    except Exception as error:  # noqa: BLE001 - what happened to the targeting is to be told in any case
        issue = str(error) if isinstance(error, MetaError) else log_defect(error)
        attempt.issues.append(f"Its ads were not re-published: {issue}")
    else:
        attempt.issues += map(str, failures)
        attempt.issues += [str(finding) for finding in findings if finding.health is AdHealth.BROKEN]
        attempt.refused += [failure.error for failure in failures]
    _note(job, attempt, ChangeState.SUPERSEDED)


def put_back(job: Job, attempts: Sequence[Attempt]) -> None:
    """Roll back, and see each attempt's end noted."""
    for attempt in attempts:
        logger.warning("adset.rollback", extra={"adset": attempt.adset.id, "reasons": attempt.issues})
        _note(job, attempt, ChangeState.ROLLING_BACK)
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
        if attempt.end is ChangeState.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": attempt.adset.id, "issues": attempt.issues})
        _note(job, attempt, attempt.end)


_ENDS = {
    Result.REVERTED: ChangeState.ROLLED_BACK,
    Result.SUPERSEDED: ChangeState.SUPERSEDED,
    Result.ROLLBACK_FAILED: ChangeState.ROLLBACK_FAILED,
}


def _note(job: Job, attempt: Attempt, state: ChangeState) -> None:
    """Tell the ledger. If it cannot be told, what is at Meta comes first: the change stays open for the next run."""
    if attempt.change.state is state:
        return
    try:
        attempt.change = job.ledger.move(attempt.change, state)
    except LedgerError as error:
        attempt.unrecorded = error
        logger.error("ledger.unrecorded", extra={"adset": attempt.adset.id, "to": state.value, "error": str(error)})
