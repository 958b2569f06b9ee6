"""Texts of the subject, of the first sentence, of the campaigns' lines, and of what stands between them."""

from collections.abc import Mapping

from closrads.domain.adset_results import Result
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.report.wording.kinds import OPERATOR
from closrads.report.wording.phrases import several

ACTIONS = {Action.SYNC: "", Action.RECHECK: "second look", Action.UNDO: "undo"}
NOTHING = {
    Action.SYNC: "nothing to change",
    Action.RECHECK: "nothing to put back",
    Action.UNDO: "nothing to put back",
}
COUNTED: Mapping[Result, str] = {
    Result.UPDATED: "updated",
    Result.REVERTED: "put back as before",
    Result.FAILED: "not updated",
    Result.SUPERSEDED: "to be looked at",
    Result.UNVERIFIED: "to be looked at",
    Result.ROLLBACK_FAILED: "not restored",
    Result.SKIPPED_PREFLIGHT: "with a broken ad",
    Result.NEEDS_ATTENTION: "to be looked at",
    Result.NOT_ACTIVE: "not active",
    Result.DEFERRED: "left for the next run",
    Result.HELD: "not started",
}
"""Labels after a count, the most important first; unchanged, ended and opted-out ad sets are not counted."""
LEFT_ALONE = "left alone, as you wish"
COUNTED_OF = {
    Action.SYNC: COUNTED,
    Action.RECHECK: {**COUNTED, Result.REVERTED: "put back", Result.DEFERRED: "not looked at"},
    Action.UNDO: {
        **COUNTED,
        Result.UPDATED: "put back",
        Result.REVERTED: "not put back",
        Result.NEEDS_ATTENTION: "not put back",
        Result.DEFERRED: "not reached",
    },
}
DONE = frozenset({"updated", "put back"})
"""Labels that a dry run prefixes with “would be”."""


def would_be(result: RunResult, word: str) -> str:
    """Return the label of an outcome, as “would be …” if a dry run only predicts it."""
    return f"would be {word}" if result.dry_run and word in DONE else word


LOOK_NOW = "Look at this now: {}."
TELL_OPERATOR = f"Please tell {OPERATOR}: {{}}."
NOTHING_TODAY = "No action needed today: {}."
NOTHING_TO_DO = "Nothing to do: {}."
ALL_LEFT_TO = "No action needed: everything was left to another run, which is working on all of this or has done so."
ALL_BUSY = (
    "No ad set was looked at: another run was still working on every campaign, or had just crashed there. The next run "
    "sets today's states."
)
NOTHING_DONE = "nothing done"
NOTHING_BEGUN = "nothing new was begun"
NO_CAMPAIGN = "Updates are off for every campaign, so nothing was done."
NO_CHANGE = "no states had to be changed"
AS_DEMANDED = "all ad sets have today's states"
ABOUT = {
    Action.SYNC: "",
    Action.RECHECK: "These ad sets were updated by an earlier run and were looked at again.",
    Action.UNDO: "An undo gives ad sets the states from before an earlier run.",
}
LIFTED = {
    "max_removed_pct": "more of the states may be taken away at once than usual",
    "reverted_before": "ad sets that were put back twice are tried again",
    "add_after_days": "states are added that would have to wait",
    "remove_after_days": "states are taken away that would have to wait",
}
"""What a run may do without a limit, by the name of that limit."""
LIFTED_FOR_REMOVAL = frozenset({"max_removed_pct", "remove_after_days"})
"""The limits on removing states."""


def nothing_removed(of: str) -> str:
    """Return that no state is removed although a limit was lifted; `of` names the campaigns, and is empty for all."""
    where = f"in {of}, " if of else ""
    return f"{where}no state is taken away all the same, because CLOSRTECH's list could not be read"


def learning(result: RunResult, still: str) -> str:
    """Return what the changes mean for Meta's learning phase; empty if there are none.

    `still` names the ad sets that had not left it.
    """
    if not (count := result.restarts_learning):
        return ""
    restarts = "would restart" if result.dry_run else "restarts" if count == 1 else "restart"
    said = f"{several(count, 'ad set')} {restarts} Meta's learning phase, so leads may cost more for some days."
    return f"{said} {len(result.still_learning)} had not left it yet: {still}." if still else said
