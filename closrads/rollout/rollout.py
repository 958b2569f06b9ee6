"""The order of a campaign's changes: a canary first, then waves, as far as Meta, time and quota go along."""

from collections.abc import Sequence
from dataclasses import dataclass

from closrads.domain.plan import Decision
from closrads.domain.results import AdSetResult, Result
from closrads.errors import ClosradsError, LedgerError, MetaAccessError, MetaPolicyError, MetaRateLimitError
from closrads.observability import logger
from closrads.rollout.budget import points_needed, reserve_capacity
from closrads.rollout.change_run import Job
from closrads.rollout.wave import Outcome, apply_wave, validate_change

BAD_ALONE = 2
"""So many that went alone, one after the other, and had to be put back mean that Meta breaks everything today."""
BAD_SHARE = 0.5
"""Of a wave that was put back: from here on the rest is not tried."""
_COULD_NOT = "had to be put back or could not be verified"
_STOPPED_BEFORE = "The campaign was stopped before its turn"
_PUT_BACK = frozenset({Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED})
"""What was begun and could not be left as wanted, or not be shown to be well."""


@dataclass(slots=True)
class Caution:
    """How many ad sets may go together next, and whether any may; PURE."""

    wave_size: int
    proven: bool = False
    """Whether an update has proven good today."""
    bad_in_a_row: int = 0
    """Of those that went alone, how many of the last had to be put back."""

    @property
    def size(self) -> int:
        """How many may go together."""
        return self.wave_size if self.proven else 1

    def note(self, results: Sequence[Result]) -> str:
        """Take in what became of a wave, and return why the campaign should stop, if it should."""
        tried = [result for result in results if result is Result.UPDATED or result in _PUT_BACK]
        bad = sum(result in _PUT_BACK for result in tried)
        if len(tried) == 1:
            self.bad_in_a_row = self.bad_in_a_row + 1 if bad else 0
        elif tried:
            self.bad_in_a_row = 0
        self.proven = self.proven or bool(tried and not bad)
        if self.bad_in_a_row >= BAD_ALONE:
            return f"Stopped: {BAD_ALONE} ad sets in a row {_COULD_NOT}, so Meta may break every one today"
        if len(tried) > 1 and bad >= BAD_SHARE * len(tried):
            return f"Stopped: {bad} of the {len(tried)} ad sets of a wave {_COULD_NOT}"
        return ""


def carry_out(
    job: Job, changes: Sequence[Decision], wave_size: int, earlier: Sequence[Sequence[Result]] = ()
) -> tuple[dict[str, AdSetResult], str]:
    """Make the changes in waves; return what became of each, by ad set, and why the campaign was stopped, if it was.

    Parameters
    ----------
    earlier
        What became of the waves that earlier invocations of the same run have made.
    """
    results: dict[str, AdSetResult] = {}
    caution = Caution(wave_size)
    for wave_before in earlier:
        if stop := caution.note(wave_before):
            return _leave(changes, Result.HELD, _STOPPED_BEFORE), stop
    queue = list(changes)
    while queue:
        adsets = [change.adset for change in queue[: caution.size]]
        room = reserve_capacity(job.api, adsets, job.wait_seconds)
        if room.never:
            change = queue.pop(0)
            results[change.adset.id] = change.to_result(Result.NEEDS_ATTENTION, (room.why_none,))
            continue
        if not room.size:
            return results | _leave(queue, Result.DEFERRED, room.why_none), ""
        wave = queue[: room.size]
        try:
            outcomes = apply_wave(job, wave)
        finally:
            job.api.quota.release(points_needed(adsets[: room.size]))
        throttled = [key for key, outcome in outcomes.items() if len(wave) > 1 and _was_throttled(outcome)]
        outcomes = {key: outcome for key, outcome in outcomes.items() if key not in throttled}
        queue = [change for change in wave if change.adset.id not in outcomes] + queue[room.size :]
        for outcome in outcomes.values():
            _log(outcome.result)
            results[outcome.result.id] = outcome.result
        stop = caution.note([outcome.result.result for outcome in outcomes.values()]) if queue else ""
        rest, why, stop = _what_trouble_means([outcome.trouble for outcome in outcomes.values()], stop)
        if why:
            return results | _leave(queue, rest, why), stop
        caution.proven &= set(outcomes) == {change.adset.id for change in wave}  # what goes alone can wait
    return results, ""


def validate(job: Job, changes: Sequence[Decision]) -> tuple[dict[str, AdSetResult], str]:
    """Have Meta validate the changes, and change nothing; return as `carry_out` does."""
    results: dict[str, AdSetResult] = {}
    for number, change in enumerate(changes, start=1):
        outcome = validate_change(job.api, change)
        results[change.adset.id] = outcome.result
        rest, why, stop = _what_trouble_means([outcome.trouble], "")
        if why:
            return results | _leave(changes[number:], rest, why), stop
    return results, ""


def _was_throttled(outcome: Outcome) -> bool:
    return isinstance(outcome.trouble, MetaRateLimitError) and outcome.result.result is Result.DEFERRED


def _what_trouble_means(troubles: Sequence[ClosradsError | None], stop: str) -> tuple[Result, str, str]:
    """Return what the rest becomes and why, empty if it goes on; and why the campaign is stopped, if it is."""
    grave = [error for error in troubles if isinstance(error, MetaAccessError | MetaPolicyError | LedgerError)]
    if grave or stop:
        stop = stop or f"Stopped: {grave[0]}"
        return Result.HELD, _STOPPED_BEFORE, stop
    throttled = [error for error in troubles if isinstance(error, MetaRateLimitError)]
    return Result.DEFERRED, str(throttled[0]) if throttled else "", ""


def _leave(changes: Sequence[Decision], result: Result, why: str) -> dict[str, AdSetResult]:
    return {change.adset.id: change.to_result(result, (why,)) for change in changes}


def _log(result: AdSetResult) -> None:
    logger.info("adset.result", extra={"adset": result.id, "result": result.result.value, "issues": result.issues})
