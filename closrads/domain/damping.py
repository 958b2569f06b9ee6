"""PURE: damping. A state is added, or removed, only after it has been wanted, or unwanted, on several days.

Each change of locations restarts Meta's learning phase (Meta Business Help Center, "Significant edits and the learning
phase"), so a feed that flaps costs more than a state that is added a day or two late.

A day is a calendar day in `CLOSRADS_TIMEZONE` on which a live sync started that read the demand. Further syncs of that
day do not count, and neither do days without a sync.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

from closrads.domain.settings import Limits
from closrads.state_mapper import all_states

_MAX_AHEAD = timedelta(days=1)
"""Maximum time by which a stored day may be later than today: the time zone may have been changed."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive counted days on which a state was wanted, or unwanted."""

    since: date
    """The first day."""
    days: int
    """Number of counted days, including the first and the last."""


@dataclass(frozen=True, slots=True)
class DemandHistory:
    """Which states a campaign's live syncs have found wanted: as much as decides which states have to wait."""

    day: date
    """The day of the last sync."""
    wanted: frozenset[str]
    """USPS codes of the states that were wanted then."""
    waiting: Mapping[str, Streak]
    """By USPS code, the states that have not been wanted, or unwanted, for long enough; only these wait."""

    def decides_as(self, other: "DemandHistory | None") -> bool:
        """Return whether both make the same states wait from the next day on."""
        return other is not None and (self.wanted, self.waiting) == (other.wanted, other.waiting)

    def is_plausible(self, day: date) -> bool:
        """Return whether it can have been stored by `day`: no day would count until a day in the future had come."""
        return self.day <= day + _MAX_AHEAD


@dataclass(frozen=True, slots=True)
class WaitingState:
    """A state that has to wait before it is added to ad sets, or removed from them."""

    state: str
    """USPS code."""
    is_wanted: bool
    """Whether it is to be added."""
    since: date
    """The first day on which it was wanted, or unwanted."""
    due: date
    """The day on which it is added or removed, if the demand stays so and every day has a sync."""

    def to_json(self) -> dict[str, Any]:
        """Return the waiting state as a JSON object."""
        since, due = self.since.isoformat(), self.due.isoformat()
        return {"state": self.state, "is_wanted": self.is_wanted, "since": since, "due": due}

    @classmethod
    def from_json(cls, waiting: Mapping[str, Any]) -> Self:
        """Return the waiting state from its JSON object.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key is missing, or a value is of another kind.
        """
        since, due = (date.fromisoformat(waiting[name]) for name in ("since", "due"))
        return cls(str(waiting["state"]), bool(waiting["is_wanted"]), since, due)


def lifted(limits: Limits, force: Collection[str]) -> Limits:
    """Return the limits of a run without those in `force`, so that no state waits because of them."""
    return replace(
        limits,
        add_after_days=0 if "add_after_days" in force else limits.add_after_days,
        remove_after_days=0 if "remove_after_days" in force else limits.remove_after_days,
    )


def observed(
    history: DemandHistory | None, wanted: Collection[str], day: date, limits: Limits, *, is_complete: bool = True
) -> DemandHistory:
    """Return the history after a sync on the day `day` has found the states `wanted`, given as USPS codes.

    Parameters
    ----------
    history
        The history before the sync; None if it is unknown, so that every state has to wait from `day` on.
    is_complete
        Whether all other states are unwanted. If not, because some entries of the feed could not be read, nothing is
        known about them: their streaks neither continue nor end.
    """
    seen = frozenset(all_states() if is_complete else wanted)
    if history is None:
        today, found = day, frozenset(wanted)
        streaks = {state: Streak(today, int(state in seen)) for state in all_states()}
    else:
        today, found = max(day, history.day), frozenset(wanted) | (history.wanted - seen)
        counted = seen if today > history.day else frozenset[str]()
        streaks = {
            state: replace(streak, days=streak.days + (state in counted)) for state, streak in history.waiting.items()
        }
        streaks |= dict.fromkeys(found ^ history.wanted, Streak(today, 1))
    waiting = {
        state: streak
        for state, streak in streaks.items()
        if (days := _days_to_wait(limits, is_wanted=state in found)) and streak.days <= days
    }
    return DemandHistory(today, found, waiting)


def damped(wanted: Collection[str], present: Collection[str], waiting: Collection[str]) -> frozenset[str]:
    """Return the states that an ad set is to target which targets `present` now; all in the same notation.

    A waiting state is neither added nor removed. If no state would be left to target, nothing changes.
    """
    added = set(wanted) - set(present) - set(waiting)
    kept = (set(present) & set(wanted)) | (set(present) & set(waiting))
    return frozenset((added | kept) or present)


def waiting_states(
    history: DemandHistory, limits: Limits, missing: Iterable[str], extra: Iterable[str]
) -> tuple[WaitingState, ...]:
    """Return the states that wait, among those to be added to ad sets (`missing`) and to be removed (`extra`)."""
    asked = (set(missing) & history.wanted) | (set(extra) - history.wanted)
    return tuple(_waiting_state(history, limits, state) for state in sorted(asked & history.waiting.keys()))


def _waiting_state(history: DemandHistory, limits: Limits, state: str) -> WaitingState:
    is_wanted, streak = state in history.wanted, history.waiting[state]
    days_left = _days_to_wait(limits, is_wanted=is_wanted) + 1 - streak.days
    return WaitingState(state, is_wanted, streak.since, history.day + timedelta(days=days_left))


def _days_to_wait(limits: Limits, *, is_wanted: bool) -> int:
    return limits.add_after_days if is_wanted else limits.remove_after_days
