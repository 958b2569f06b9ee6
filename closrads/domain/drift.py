"""PURE: drift, the difference that somebody else has made to the states of an ad set since our last change."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import CLOCK_TOLERANCE
from closrads.domain.targeting import states
from closrads.redaction import MAX_NAME_CHARS, one_line


@dataclass(frozen=True, slots=True)
class Drift:
    """How somebody else changed the states of an ad set, as USPS codes, and who."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """Both relative to the result of our last change; both empty if this or that change was superseded."""
    by: str = ""
    """The names in Meta's activity log, the last actor's last; empty if unknown."""
    at: datetime | None = None
    """When it was last changed; None if unknown."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", one_line(self.by, MAX_NAME_CHARS))

    def to_json(self) -> dict[str, Any]:
        """Return the drift as a JSON object."""
        at = self.at.isoformat() if self.at else None
        return {"added": list(self.added), "removed": list(self.removed), "by": self.by, "at": at}

    @classmethod
    def from_json(cls, drift: Mapping[str, Any]) -> Self:
        """Return the drift from its JSON object; raise a `KeyError`, `TypeError` or `ValueError` if it is none."""
        at = drift["at"] and datetime.fromisoformat(drift["at"]).astimezone(UTC)
        return cls(tuple(drift["added"]), tuple(drift["removed"]), drift["by"], at)


@dataclass(frozen=True, slots=True)
class TargetingEdit:
    """One row of Meta's activity log: somebody changed the locations of an ad set."""

    adset_id: str
    at: datetime
    name: str
    """The actor's name, as Meta shows it."""
    app_id: str
    """The app that was used; empty if Meta does not say."""
    is_certain: bool = True
    """Whether the row shows that locations differ, and not only that it cannot be read."""


@dataclass(frozen=True, slots=True)
class UnattributedDrift:
    """A drift before its actor is looked up in the activity log."""

    adset_id: str
    drift: Drift
    since: datetime
    """Earliest time of the drift."""
    until: datetime | None
    """Latest time of the drift; None for now."""
    ours: tuple[Change, ...]
    """Our own changes of the ad set at that time."""


def reaches_back(changes: Sequence[Change], run_id: str | None) -> bool:
    """Return whether these changes, the newest of an ad set, suffice for `find_drift`."""
    own = _change_of(changes, run_id)
    if own is None or own.state is ChangeState.SUPERSEDED:
        return own is not None
    return any(not each.was_never_seen for each in _earlier_changes(own, changes))


def find_drift(changes: Sequence[Change], run_id: str | None) -> UnattributedDrift | None:
    """Return the drift that a change of an ad set encountered; None if there was none.

    An ad set that was never changed before has no drift.

    Parameters
    ----------
    changes
        The newest changes of the ad set, in any order.
    run_id
        The run whose change is examined; None for the newest superseded change.
    """
    own = _change_of(changes, run_id)
    if own is None:
        return None
    if own.state is ChangeState.SUPERSEDED:
        return UnattributedDrift(own.before.id, Drift(), own.prepared_at - CLOCK_TOLERANCE, None, (own,))
    earlier = tuple(_in_effect(_earlier_changes(own, changes)))
    found = own.old_regions
    if not earlier or any(found in _may_have_left(change) for change in earlier):
        return None
    left = earlier[0].new_regions if earlier[0].state is ChangeState.VERIFIED else earlier[0].old_regions
    if earlier[0].state is ChangeState.SUPERSEDED:  # before or after its write: unknown what somebody else replaced
        left = found
    drift = Drift(states(found - left), states(left - found))
    since, until = earlier[0].prepared_at - CLOCK_TOLERANCE, own.prepared_at + CLOCK_TOLERANCE
    return UnattributedDrift(own.before.id, drift, since, until, (own, *earlier))


def attributed(found: UnattributedDrift, edits: Iterable[TargetingEdit], app_id: str) -> Drift | None:
    """Return the drift with its actor, as far as the log tells; None if there is nothing to report.

    Nothing is reported if a change was superseded by an unknown actor, because its result already says so, or if the
    last edit was our own: then Meta has applied an earlier write late.

    Parameters
    ----------
    edits
        Rows of the activity log, newest first; empty if it could not be read.
    app_id
        The app that our token belongs to; empty if unknown.
    """
    rows = (row for row in edits if row.adset_id == found.adset_id and _is_within(found, row.at))
    # Rows of our own changes are dropped. With our app known, any other row of ours is a write that was applied late.
    others = [row for row in rows if not (_is_ours(row, found.ours, app_id) and _is_during(row.at, found.ours))]
    last = max(others, key=lambda row: row.at, default=None)
    if last is None:
        return found.drift if found.until else None
    if _is_ours(last, found.ours, app_id):
        return None
    # The log does not say who set which states, so everybody who edited them is named.
    people = [row.name for row in sorted(others, key=lambda row: row.at) if not _is_ours(row, found.ours, app_id)]
    return replace(found.drift, by=_listed([name for name in people if name != last.name] + [last.name]), at=last.at)


def _listed(names: Iterable[str]) -> str:
    *first, last = dict.fromkeys(filter(None, names)) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _change_of(changes: Iterable[Change], run_id: str | None) -> Change | None:
    if run_id is not None:
        return next((change for change in changes if change.run_id == run_id), None)
    superseded = (change for change in changes if change.state is ChangeState.SUPERSEDED)
    return max(superseded, key=lambda change: change.prepared_at, default=None)


def _earlier_changes(own: Change, changes: Iterable[Change]) -> list[Change]:
    """Return the changes before `own` that may have been written, newest first."""
    before = (change for change in changes if change.run_id != own.run_id and change.prepared_at < own.prepared_at)
    written = (change for change in before if change.state is not ChangeState.NOT_WRITTEN)
    return sorted(written, key=lambda change: (change.changed_at, change.prepared_at), reverse=True)


def _in_effect(newest_first: Iterable[Change]) -> Iterator[Change]:
    """Yield the newest change, and the older ones that it may have left in effect."""
    for change in newest_first:
        yield change
        if not change.was_never_seen:
            return


def _may_have_left(change: Change) -> Collection[frozenset[str]]:
    """Return the sets of region keys that a change may have left: Meta may apply a rolled-back write late."""
    if change.state is ChangeState.VERIFIED:
        return {change.new_regions}
    return {change.old_regions, change.new_regions}


def _is_within(found: UnattributedDrift, at: datetime) -> bool:
    return found.since <= at and (found.until is None or at <= found.until)


def _is_ours(row: TargetingEdit, ours: Iterable[Change], app_id: str) -> bool:
    """Return whether a row is our own: by its app or, if ours is unknown, by its time."""
    return row.app_id == app_id if app_id else _is_during(row.at, ours)


def _is_during(at: datetime, ours: Iterable[Change]) -> bool:
    """Return whether one of our changes was in progress at a time of Meta's clock."""
    return any(change.prepared_at - CLOCK_TOLERANCE <= at <= change.changed_at + CLOCK_TOLERANCE for change in ours)
