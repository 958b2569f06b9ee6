"""What is said of earlier runs: what they left open, and what they changed."""

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
RECOVERY_TEXTS = {
    ChangeState.VERIFIED: "was finished, and its ads are healthy",
    ChangeState.ROLLED_BACK: "was put back as before, and its ads are healthy",
    ChangeState.SUPERSEDED: "was changed by somebody else since, and was left like that",
    ChangeState.NOT_WRITTEN: "had not been changed",
}
STILL_OPEN_TEXT = "could neither be finished nor undone yet"
OLD_RESTORE_FAILED = "could not be put back as before, since an earlier run"
CHANGED_BEFORE = Kind("grey", "Changed since the last daily report", Who.NOBODY)
