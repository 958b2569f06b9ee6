"""The labels of results on a terminal; `docs/lifecycle.md` explains the results."""

from collections.abc import Mapping
from dataclasses import dataclass

from closrads.domain.adset_results import Result
from closrads.domain.request import Action

LABELS = {
    Result.UPDATED: "updated",
    Result.UNCHANGED: "unchanged",
    Result.SKIPPED_PREFLIGHT: "skipped in pre-flight",
    Result.NEEDS_ATTENTION: "needs attention",
    Result.NOT_ACTIVE: "not active now",
    Result.ENDED: "ended",
    Result.OPTED_OUT: "left alone as configured",
    Result.DEFERRED: "deferred to the next run",
    Result.HELD: "held",
    Result.REVERTED: "put back as before",
    Result.FAILED: "failed",
    Result.UNVERIFIED: "not verified",
    Result.SUPERSEDED: "changed by somebody else",
    Result.ROLLBACK_FAILED: "rollback failed",
}
COUNTED = {
    Result.ROLLBACK_FAILED: "with a failed rollback",
    Result.FAILED: "failed",
    Result.SUPERSEDED: "to be looked at",
    Result.UNVERIFIED: "to be looked at",
    Result.UPDATED: "updated",
    Result.REVERTED: "put back as before",
    Result.SKIPPED_PREFLIGHT: "skipped",
    Result.NEEDS_ATTENTION: "needing attention",
    Result.DEFERRED: "deferred",
    Result.HELD: "held",
    Result.NOT_ACTIVE: "not active",
    Result.ENDED: "ended",
    Result.OPTED_OUT: "left alone as configured",
    Result.UNCHANGED: "unchanged",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts for an action and its results."""

    labels: Mapping[Result, str]
    """Label of a single ad set, by result."""
    counted: Mapping[Result, str]
    """Label after a count, by result; the most important results first."""
    nothing: str
    """Text for a run without changes."""
    no_adsets: str
    """Text for a campaign without ad sets."""
    signs: str = ""
    """Meaning of + and −; empty if they are today's changes."""


_OF_RECHECK = {
    Result.UNCHANGED: "still healthy",
    Result.REVERTED: "put back",
    Result.SKIPPED_PREFLIGHT: "broken again",
    Result.DEFERRED: "not checked",
}
_OF_UNDO = {
    Result.UPDATED: "put back",
    Result.UNCHANGED: "already as before",
    Result.REVERTED: "not put back",
    Result.NEEDS_ATTENTION: "not put back",
    Result.DEFERRED: "deferred",
}
WORDINGS = {
    Action.SYNC: Wording(LABELS, COUNTED, "nothing to change", "no active ad set"),
    Action.RECHECK: Wording(
        LABELS | _OF_RECHECK,
        COUNTED | _OF_RECHECK,
        "nothing to put back",
        "nothing to check again",
        "+ and − show what that run had added and removed",
    ),
    Action.UNDO: Wording(
        LABELS | _OF_UNDO | {Result.SKIPPED_PREFLIGHT: "skipped in pre-flight"},
        COUNTED | _OF_UNDO,
        "nothing to put back",
        "nothing to put back",
        "+ and − show what the undo adds and removes",
    ),
}


def enumerated(counts: Mapping[str, int]) -> str:
    """Return counts with their labels, such as “3 updated, 1 failed”."""
    return ", ".join(f"{count} {word}" for word, count in counts.items())
