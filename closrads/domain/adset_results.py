"""The results of a run for single ad sets, and for the changes that earlier runs left open."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from closrads.domain.changes import ChangeState
from closrads.domain.drift import Drift
from closrads.domain.json_fields import fields_of
from closrads.redaction import one_line

MAX_ISSUES = 10
"""Maximum number of issues of one ad set."""


class Result(StrEnum):
    """The outcome of one ad set; in a dry run, the expected one."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED_PREFLIGHT = "skipped_preflight"
    """An ad was broken before; left alone."""
    NEEDS_ATTENTION = "needs_attention"
    """Cannot be set to the states without losing what a person set up, or was reverted too often; left alone."""
    NOT_ACTIVE = "not_active"
    """`IN_PROCESS` or `WITH_ISSUES` itself; left alone."""
    ENDED = "ended"
    """Its end date, or that of its campaign, is past; left alone."""
    OPTED_OUT = "opted_out"
    """A pattern of `skip_adsets` matches its name; left alone, whatever its state."""
    DEFERRED = "deferred"
    """Not started, for lack of time or quota, or because of `max_adsets` or a pause; the next run processes it."""
    HELD = "held"
    """Not started, because the campaign was stopped or an earlier change of it is still open."""
    REVERTED = "reverted"
    """Updated, found broken, rolled back, and healthy again."""
    FAILED = "failed"
    """Could not be updated; it is unchanged."""
    UNVERIFIED = "unverified"
    """Updated, but its ads could not be read afterwards."""
    SUPERSEDED = "superseded"
    """Somebody else changed its targeting during the run; left as that person set it."""
    ROLLBACK_FAILED = "rollback_failed"
    """Updated, found broken, and not confirmed to be as it was before."""


ERROR_RESULTS = frozenset({Result.FAILED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED})


@dataclass(frozen=True, slots=True)
class AdSetResult:
    """The result of one ad set; states are USPS codes."""

    id: str
    name: str
    result: Result
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    ads: int = 0
    """Number of its ads."""
    issues: tuple[str, ...] = ()
    meta_campaign_id: str = ""
    missing: tuple[str, ...] = ()
    """Wanted states that it does not target at the end of the run; empty if there are none, or if unknown."""
    extra: tuple[str, ...] = ()
    """Unwanted states that it targets at the end of the run; empty if there are none, or if unknown.

    In a dry run, `added` are still missing, and `removed` are still targeted.
    """
    is_reported: bool = False
    """Whether a recheck found it in a state that a report of an earlier one has already named."""
    learning_since: str | None = None
    """As in `AdSetSnapshot`, if the ad set was to be changed."""
    reaches_beyond: bool = False
    """Whether one of its settings also lets Meta show its ads outside its states."""
    drift: Drift | None = None
    """How somebody else changed its states since our last change; None if nobody did, as far as known."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _limited(self.issues))

    @classmethod
    def from_json(cls, adset: Mapping[str, Any]) -> Self:
        """Return the result from its JSON object; raises as `SyncReport.from_json` does."""
        return cls(**fields_of(cls, adset) | {"result": Result(adset["result"])} | _drift_of(adset))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object, with a drift only if there is one."""
        return _json_of(self)


@dataclass(frozen=True, slots=True)
class Recovery:
    """An earlier run's open change, and its state after this run; a dry run leaves the state as it is."""

    run_id: str
    """The run that started the change."""
    id: str
    """The ad set's."""
    name: str
    found: ChangeState
    state: ChangeState
    issues: tuple[str, ...] = ()
    is_reported: bool = False
    """Whether a sent report has named the failed rollback that was found."""
    drift: Drift | None = None
    """How somebody else set its states, before the change or superseding it; None as in `AdSetResult`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _limited(self.issues))

    @classmethod
    def from_json(cls, recovery: Mapping[str, Any]) -> Self:
        """Return the recovery from its JSON object; raises as `SyncReport.from_json` does."""
        states = {name: ChangeState(recovery[name]) for name in ("found", "state")}
        return cls(**fields_of(cls, recovery) | states | _drift_of(recovery))

    def to_json(self) -> dict[str, Any]:
        """Return the recovery as a JSON object, with a drift only if there is one."""
        return _json_of(self)


def _json_of(value: "AdSetResult | Recovery") -> dict[str, Any]:
    found = asdict(value)
    del found["drift"]
    return found | ({"drift": value.drift.to_json()} if value.drift else {})


def _drift_of(value: Mapping[str, Any]) -> dict[str, Drift]:
    return {"drift": Drift.from_json(value["drift"])} if value.get("drift") else {}


def _limited(issues: Sequence[str]) -> tuple[str, ...]:
    """Return the issues as shown to a person: they quote Meta's messages, and there may be thousands."""
    if len(issues) > MAX_ISSUES:
        issues = (*issues[: MAX_ISSUES - 1], f"and {len(issues) - MAX_ISSUES + 1} more")
    return tuple(map(one_line, issues))
