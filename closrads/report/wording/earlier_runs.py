"""Texts about earlier runs: what they left open, and what they changed."""

import re
from collections.abc import Sequence

from closrads.domain.changes import ChangeState
from closrads.report.wording.kinds import Kind, Who

STILL_OPEN = Kind(
    "red",
    "Unfinished since an earlier run",
    Who.YOU,
    ("Open the ad set.", "Check that its ads are on and show no problem."),
    "The next live run tries to finish that.",
)
OPEN = Kind(
    "orange", "Unfinished since an earlier run", Who.NOBODY, (), "The next live run first finishes or undoes that."
)
RECOVERED = Kind("orange", "Finished for an earlier run", Who.NOBODY)
_RECOVERY_TEXTS = {
    ChangeState.VERIFIED: "was finished, and its ads are healthy",
    ChangeState.ROLLED_BACK: "was put back as before, and its ads are healthy",
    ChangeState.SUPERSEDED: "was changed by somebody else since, and was left like that",
    ChangeState.NOT_WRITTEN: "had not been changed",
}
_ONE_OFF = re.compile("nobody can tell by whom|all other ads are healthy")
_IS_GONE = re.compile("The ad set is (ARCHIVED|DELETED) now")
_NEVER_TOOK_EFFECT = re.compile("never took effect")
OLD_RESTORE_FAILED = "is not proven to be as it was, since an earlier run"
CHANGED_BEFORE = Kind("grey", "Changed since the last daily report", Who.NOBODY)


def recovery_text(state: ChangeState, issues: Sequence[str]) -> str:
    """Return the text about what became of a change that an earlier run left open."""
    if any(map(_NEVER_TOOK_EFFECT.search, issues)):
        return "had not been changed, and has an ad with a problem that came from something else"
    if any(map(_IS_GONE.search, issues)):
        return "was archived or deleted since, so nothing is left to do"
    return with_one_off(_RECOVERY_TEXTS.get(state, "could neither be finished nor undone yet"), issues)


def with_one_off(text: str, issues: Sequence[str]) -> str:
    """Return the text, changed from “its ads” to “its other ads are healthy” if one is off for an unknown reason."""
    is_off = any(map(_ONE_OFF.search, issues))
    return re.sub("(the|its) ads are healthy", _others, text) if is_off else text


def _others(found: re.Match[str]) -> str:
    return f"{'all' if found[1] == 'the' else 'its'} other ads are healthy"
