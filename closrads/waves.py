"""The order of a campaign's changes: a canary first, then waves, as far as Meta, time and quota go along."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from closrads.apply import TOO_LITTLE_TIME, Job, apply_wave, points_needed, validate_change
from closrads.errors import ClosradsError, LedgerError, MetaAccessError, MetaPolicyError, MetaRateLimitError
from closrads.model import AdSetResult, AdSetSnapshot, Result
from closrads.observability import logger
from closrads.plan import Decision

BAD_CANARIES = 2
"""So many in a row that had to be put back mean that Meta breaks everything today."""
BAD_SHARE = 0.5
"""Of a wave that was put back: from here on the rest is not tried."""
_PUT_BACK = frozenset({Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED})
"""What was begun and could not be left as wanted, or not be shown to be well."""


@dataclass(slots=True)
class Caution:
    """How many ad sets may go together next, and whether any may; PURE."""

    wave_size: int
    proven: bool = False
    """Whether an update has proven good today."""
    bad_canaries: int = 0

    @property
    def size(self) -> int:
        """How many may go together."""
        return self.wave_size if self.proven else 1

    def note(self, results: Sequence[Result]) -> str:
        """Take in what became of a wave, and return why the campaign must stop, if it must."""
        tried = [result for result in results if result is Result.UPDATED or result in _PUT_BACK]
        bad = sum(result in _PUT_BACK for result in tried)
        if not tried:
            return ""
        if not self.proven:
            self.bad_canaries = self.bad_canaries + 1 if bad else 0
            self.proven = not bad
            if self.bad_canaries == BAD_CANARIES:
                return (
                    f"Stopped: the first {BAD_CANARIES} ad sets had to be put back, so Meta may break every one today"
                )
        elif len(tried) > 1 and bad >= BAD_SHARE * len(tried):
            return f"Stopped: {bad} of the {len(tried)} ad sets of a wave had to be put back"
        return ""


def carry_out(job: Job, changes: Sequence[Decision], wave_size: int) -> tuple[dict[str, AdSetResult], str]:
    """Make the changes in waves; return what became of each, by ad set, and why the campaign was stopped, if it was."""
    results: dict[str, AdSetResult] = {}
    caution = Caution(wave_size)
    queue = list(changes)
    while queue:
        size = _how_many_fit(job, [change.adset for change in queue[: caution.size]])
        if isinstance(size, _NotNow):
            if size.never:
                change = queue.pop(0)
                results[change.adset.id] = change.as_result(Result.NEEDS_ATTENTION, (size.why,))
                continue
            results |= _leave(queue, Result.DEFERRED, size.why)
            break
        wave = queue[:size]
        outcomes = apply_wave(job, wave)
        queue = [change for change in wave if change.adset.id not in outcomes] + queue[size:]
        for outcome in outcomes.values():
            _log(outcome.result)
            results[outcome.result.id] = outcome.result
        stop = caution.note([outcome.result.result for outcome in outcomes.values()])
        rest, why, stop = _what_trouble_means([outcome.trouble for outcome in outcomes.values()], stop)
        if why:
            return results | _leave(queue, rest, why), stop
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


@dataclass(frozen=True, slots=True)
class _NotNow:
    """Why not even one ad set may be begun."""

    why: str
    never: bool = False


def _how_many_fit(job: Job, adsets: Sequence[AdSetSnapshot]) -> int | _NotNow:
    """Return how many of the ad sets may go together now, after a wait for quota if there is time for one."""
    api = job.api
    wait = api.quota.seconds_until(points_needed(adsets[:1]))
    if math.isinf(wait):
        return _NotNow(
            f"To update it and, if need be, put it back takes {points_needed(adsets[:1])} points of Meta's quota; the "
            f"access tier allows {api.quota.limit} in five minutes. Ask Meta for full access, or give it fewer ads",
            never=True,
        )
    if api.clock.remaining() - wait < job.seconds_needed(adsets[:1]):
        why = f"Meta's quota for {api.ad_account_id} is used up, and there is too little time to wait for it"
        return _NotNow(why if wait else TOO_LITTLE_TIME)
    if wait:
        logger.warning("quota.wait", extra={"ad_account_id": api.ad_account_id, "wait_seconds": wait})
        api.clock.sleep(wait)
    for size in range(len(adsets), 1, -1):
        fits_quota = api.quota.seconds_until(points_needed(adsets[:size])) == 0
        if fits_quota and api.clock.remaining() >= job.seconds_needed(adsets[:size]):
            return size
    return 1


def _what_trouble_means(troubles: Sequence[ClosradsError | None], stop: str) -> tuple[Result, str, str]:
    """Return what the rest becomes and why, empty if it goes on; and why the campaign is stopped, if it is."""
    grave = [error for error in troubles if isinstance(error, MetaAccessError | MetaPolicyError | LedgerError)]
    if grave or stop:
        stop = stop or f"Stopped: {grave[0]}"
        return Result.HELD, "The campaign was stopped before its turn", stop
    throttled = [error for error in troubles if isinstance(error, MetaRateLimitError)]
    return Result.DEFERRED, str(throttled[0]) if throttled else "", ""


def _leave(changes: Sequence[Decision], result: Result, why: str) -> dict[str, AdSetResult]:
    return {change.adset.id: change.as_result(result, (why,)) for change in changes}


def _log(result: AdSetResult) -> None:
    logger.info("adset.result", extra={"adset": result.id, "result": result.result.value, "issues": result.issues})
