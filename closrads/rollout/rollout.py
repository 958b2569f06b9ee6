"""The rollout of a campaign's changes: a canary, then waves, and the rules that stop it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.plan import Decision
from closrads.domain.targeting import control_conflicts
from closrads.errors import (
    ClosradsError,
    ConfigError,
    LedgerError,
    MetaError,
    MetaFatalError,
    MetaInvalidError,
    MetaObjectError,
    MetaRateLimitError,
    PausedError,
)
from closrads.meta.campaigns import read_audience_controls
from closrads.meta.error_codes import JsonObject
from closrads.observability import logger
from closrads.rollout.budget import points_needed, reserve_capacity
from closrads.rollout.job import Job
from closrads.rollout.wave import MAX_EQUAL_REFUSALS, Outcome, Reason, apply_wave, common_reason, validate_change

MAX_FAILED_CANARIES = 2
"""Consecutive failed canaries that stop the rollout: Meta may break every ad set today."""
MAX_FAILED_SHARE = 0.5
"""Share of failed ad sets in a wave that stops the rollout."""
RESTRICTED_LOCATION = 2641
"""Marketing API "Error Codes"."""
_COULD_NOT = "had to be put back or could not be verified"
_STOPPED_BEFORE = "The campaign was stopped before its turn"
_FAILED = frozenset({Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED})
"""Results of changes that were started but are not in place and verified."""


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """How a rollout ended."""

    results: Mapping[str, AdSetResult]
    """By ad set id."""
    stopped: str = ""
    """Why the campaign was stopped; empty if it was not."""
    paused: PausedError | None = None
    """The pause because of which the remaining ad sets were deferred; None if there was none."""


@dataclass(frozen=True, slots=True)
class WavePolicy:
    """Decides the size of the next wave, and whether the rollout must stop, from the waves so far."""

    wave_size: int
    """Maximum size of a wave."""
    proven: bool = False
    """Whether an update has been verified in this run."""
    failed_canaries: int = 0
    """Consecutive failed canaries."""
    refusals: tuple[Reason, ...] = ()
    """Meta's reasons for the latest consecutive refusals that are not specific to an ad set."""
    stop: str = ""
    """Why the campaign must be stopped; empty if it may continue."""

    @property
    def size(self) -> int:
        """The size of the next wave."""
        return self.wave_size if self.proven else 1

    def after(self, outcomes: Sequence[Outcome]) -> "WavePolicy":
        """Return the policy after a wave with these outcomes."""
        tried = [
            outcome.result.result
            for outcome in outcomes
            if outcome.result.result is Result.UPDATED or (outcome.result.result in _FAILED and not outcome.is_isolated)
        ]
        failed = sum(result in _FAILED for result in tried)
        canaries = self.failed_canaries
        if tried:
            canaries = canaries + 1 if len(tried) == 1 and failed else 0
        refusals = _refusals(self.refusals, outcomes)
        stop = ""
        if canaries >= MAX_FAILED_CANARIES:
            stop = f"Stopped: {MAX_FAILED_CANARIES} ad sets in a row {_COULD_NOT}, so Meta may break every one today"
        elif len(tried) > 1 and failed >= MAX_FAILED_SHARE * len(tried):
            stop = f"Stopped: {failed} of the {len(tried)} ad sets of a wave {_COULD_NOT}"
        elif len(refusals) >= MAX_EQUAL_REFUSALS:
            said = next(outcome.error for outcome in reversed(outcomes) if isinstance(outcome.error, MetaInvalidError))
            stop = f"Stopped: {MAX_EQUAL_REFUSALS} ad sets in a row were refused for the same reason: {said}"
        proven = self.proven or bool(tried and not failed)
        return replace(self, proven=proven, failed_canaries=canaries, refusals=refusals, stop=stop)


def carry_out(
    job: Job, changes: Sequence[Decision], wave_size: int, earlier: Sequence[Sequence[AdSetResult]] = ()
) -> RolloutResult:
    """Apply the changes in waves, until all are done or nothing new may be started.

    Parameters
    ----------
    earlier
        The results of the waves that earlier invocations of the same run have applied.
    """
    results: dict[str, AdSetResult] = {}
    restrictions = _Restrictions(job)
    policy = WavePolicy(wave_size)
    for wave_before in earlier:
        policy = policy.after([Outcome(result) for result in wave_before])
        if policy.stop:
            return RolloutResult(_leave(changes, Result.HELD, _STOPPED_BEFORE), policy.stop)
    queue = list(changes)
    while queue:
        adsets = [change.adset for change in queue[: policy.size]]
        job.recall_tier(adsets)
        capacity = reserve_capacity(job.api, adsets, job.wait_seconds)
        if capacity.never:
            change = queue.pop(0)
            result = Result.DEFERRED if job.api.quota.limit is None else Result.NEEDS_ATTENTION
            results[change.adset.id] = change.to_result(result, (capacity.why_none,))
            continue
        if not capacity.size:
            return RolloutResult(results | _leave(queue, Result.DEFERRED, capacity.why_none))
        wave = queue[: capacity.size]
        sizes = {"campaign": job.campaign, "adsets": len(wave), "left": len(queue) - len(wave)}
        logger.info("wave.start", extra=sizes)
        try:
            outcomes = apply_wave(job, wave)
        except (PausedError, ConfigError) as error:
            return _not_begun(results, queue, error)
        finally:
            job.api.quota.release(points_needed(adsets[: capacity.size]))
        outcomes = {key: outcome for key, outcome in outcomes.items() if not outcome.transient_error}
        queue = [change for change in wave if change.adset.id not in outcomes] + queue[capacity.size :]
        for outcome in outcomes.values():
            _log(job.campaign, outcome.result)
            results[outcome.result.id] = outcome.result
        policy = policy.after(list(outcomes.values()))
        stop = restrictions.explain(wave, list(outcomes.values())) or (policy.stop if queue else "")
        rest, why, stop = _result_for_rest([outcome.error for outcome in outcomes.values()], stop)
        if why:
            return RolloutResult(results | _leave(queue, rest, why), stop)
        if set(outcomes) != {change.adset.id for change in wave}:
            policy = replace(policy, proven=False)  # only a single ad set can wait for Meta
    return RolloutResult(results)


def _not_begun(
    results: dict[str, AdSetResult], queue: Sequence[Decision], error: PausedError | ConfigError
) -> RolloutResult:
    """Return the result of a rollout that must not start anything more, or does not know whether it may: a failure."""
    if isinstance(error, PausedError):
        return RolloutResult(results | _leave(queue, Result.DEFERRED, str(error)), paused=error)
    return RolloutResult(results | _leave(queue, Result.HELD, _STOPPED_BEFORE), f"Stopped: {error}")


def withhold(changes: Sequence[Decision]) -> RolloutResult:
    """Hold all of the changes."""
    return RolloutResult(_leave(changes, Result.HELD, _STOPPED_BEFORE))


def validate(job: Job, changes: Sequence[Decision]) -> RolloutResult:
    """Have Meta validate the changes without applying them."""
    results: dict[str, AdSetResult] = {}
    restrictions = _Restrictions(job)
    for number, change in enumerate(changes, start=1):
        outcome = validate_change(job.api, change)
        results[change.adset.id] = outcome.result
        rest, why, stop = _result_for_rest([outcome.error], restrictions.explain([change], [outcome]))
        if why:
            return RolloutResult(results | _leave(changes[number:], rest, why), stop)
    return RolloutResult(results)


@dataclass(slots=True)
class _Restrictions:
    """The audience controls of the ad account, which are read once Meta has refused an update."""

    job: Job
    _controls: JsonObject | None = None
    """None until they have been read."""

    def explain(self, changes: Sequence[Decision], outcomes: Sequence[Outcome]) -> str:
        """Return why the campaign must be stopped if the controls explain a refused update; empty if they do not."""
        if not any(map(_may_be_restricted, outcomes)):
            return ""
        if self._controls is None:
            try:
                self._controls = read_audience_controls(self.job.api)
            except MetaError as error:
                logger.warning("meta.no_account_controls", extra={"error": str(error)})
                self._controls = {}
        wanted = frozenset[str]().union(*(change.wanted for change in changes))
        conflicts = control_conflicts(self._controls, wanted)
        return f"Stopped: {'; '.join(conflicts)}" if conflicts else ""


def _may_be_restricted(outcome: Outcome) -> bool:
    """Return whether Meta has refused an update for a reason that may lie above the ad set."""
    error = outcome.error
    if outcome.result.result is Result.UPDATED or not isinstance(error, MetaInvalidError):
        return False
    return not isinstance(error, MetaObjectError) or error.code == RESTRICTED_LOCATION


def _refusals(before: tuple[Reason, ...], outcomes: Sequence[Outcome]) -> tuple[Reason, ...]:
    """Return the reasons of the latest consecutive equal refusals; those specific to one ad set are ignored."""
    latest = before
    for outcome in outcomes:
        if outcome.result.result is Result.UPDATED:
            latest = ()
        elif outcome.result.result is Result.FAILED and (reason := common_reason(outcome.error, outcome.result.name)):
            latest = (*latest, reason) if latest[-1:] in {(), (reason,)} else (reason,)
    return latest


def _result_for_rest(errors: Sequence[ClosradsError | None], stop: str) -> tuple[Result, str, str]:
    """Return the result of the ad sets that remain, its reason, and why the campaign is stopped.

    Without a reason, the rollout continues; without the last text, it ends but the campaign is not stopped.
    """
    severe = [error for error in errors if isinstance(error, MetaFatalError | LedgerError)]
    if severe or stop:
        stop = stop or f"Stopped: {severe[0]}"
        return Result.HELD, _STOPPED_BEFORE, stop
    throttled = [error for error in errors if isinstance(error, MetaRateLimitError)]
    return Result.DEFERRED, str(throttled[0]) if throttled else "", ""


def _leave(changes: Sequence[Decision], result: Result, why: str) -> dict[str, AdSetResult]:
    return {change.adset.id: change.to_result(result, (why,)) for change in changes}


def _log(campaign: str, result: AdSetResult) -> None:
    what = {"campaign": campaign, "adset": result.id, "adset_name": result.name}
    logger.info("adset.result", extra={**what, "result": result.result.value, "issues": result.issues})
