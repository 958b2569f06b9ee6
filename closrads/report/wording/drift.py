"""Texts about states that somebody else has set."""

from collections.abc import Mapping, Sequence

from closrads.domain.adset_results import Result
from closrads.domain.drift import Drift
from closrads.domain.results import RunResult
from closrads.report.wording.phrases import day_and_time, day_of

DRIFT = "Changed by somebody else"
"""Label of the fact that says who set other states since the last update, and which."""
LEFT_BY = "was changed by {} on {}, and was left like that"
"""Text for an ad set that somebody else changed, at a known time, before its own change was complete."""
_SOMEBODY = "Somebody"
_DRIFT_ENDS: Mapping[Result | None, tuple[str, str]] = {
    Result.UPDATED: ("; it has today's states again", "; they have today's states again"),
    Result.REVERTED: ("; it was left like that", "; they were left like that"),
    Result.FAILED: ("; it was left like that", "; they were left like that"),
}
"""What became of the states that somebody else had set, in the singular and in the plural."""


def drift(result: RunResult, of: str, count: int, drifts: Sequence[Drift], ended: Result | None) -> str:
    """Return who changed the states of ad sets, how and when, and what became of that.

    Parameters
    ----------
    of
        The names of the ad sets.
    count
        Their number.
    drifts
        The drift of each, all with the same actor or with an unknown one.
    ended
        The result of all of them; None for changes that an earlier run had started.
    """
    who = drifts[0].by or _SOMEBODY
    where = f"{of}" if count == 1 else f"{count} ad sets ({of})"
    did = {_done(each.added, each.removed) for each in drifts}
    known = did.pop() if len(did) == 1 else ""
    what = f"{known} in {where}" if known else f"changed the states of {where}"
    unknown = "" if drifts[0].by else ", and Meta does not say who"
    end = _DRIFT_ENDS.get(ended, ("", ""))[count > 1]
    return f"{who} {what} {_when(drifts, result)}{unknown}{end}"


def _done(added: Sequence[str], removed: Sequence[str]) -> str:
    did = (f"{verb} {', '.join(codes)}" for verb, codes in (("took out", removed), ("added", added)) if codes)
    return " and ".join(did)


def _when(drifts: Sequence[Drift], result: RunResult) -> str:
    times = sorted(each.at for each in drifts if each.at)
    if not times:
        return "since the last update"
    if len(drifts) == 1:
        return f"on {day_and_time(times[0], result)}"
    first, last = day_of(times[0], result), day_of(times[-1], result)
    return f"on {first}" if first == last else f"between {first} and {last}"
