"""What must hold: the clauses that a story is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Clause(StrEnum):
    """What must hold."""

    # at every step
    WRITTEN_DOWN = "no targeting write at Meta without an open ledger item of that ad set"
    KNOWN_REGIONS = "only regions are written that are wanted today or that the ad set had before"
    WAITED = "no state is added or removed before it was wanted or unwanted on as many days as the limits ask for"
    KEPT = "no sync takes away a state if the partner has named one that nobody knows"
    ONLY_REGIONS = "a targeting write changes nothing but regions"
    NOT_IN_VAIN = "no regions are put back once more only because Meta has rejected an ad"
    EDITS_STAND = "no targeting write overwrites a person's edit that a fresh read would have shown"
    PAUSES_STAND = "no ad is switched on that a person had paused before the read on which that is based"
    ONE_WRITER = "never two invocations write the same campaign at once"
    TRANSITIONS = "a change goes from state to state only as the table says"
    ONE_AT_A_TIME = "no change of an ad set is begun while another one is open"
    STOP = "once everything is paused, or a campaign is off, no ad set's change is begun"
    HELD_BACK = "once Meta has refused a change for a reason of the whole ad account, the run begins no other there"
    LEFT_ALONE = "no change is begun of an ad set that is in process, or that its special ad category does not allow"
    OPTED_OUT = "nothing is written to an ad set that is to be left alone"
    LEFT_OUT = "no sync begins a change of an ad set that an operator had it leave alone before"
    FEW = "no sync changes more ad sets of a campaign than the limit allows"
    DRY = "a dry run changes nothing at Meta, and no change in the ledger"
    APPROVED = "a run with an approved plan begins a change of that plan, from its regions, and none if it is stale"
    LEDGER_TRUE = "a final state in the ledger is the truth at Meta"

    # at the end of each run
    TOLD = "what is not as it should be is named in the run's mail, or was named before and nothing else was said since"
    TRUTHFUL = "no mail calls an ad set updated, unchanged or restored whose state is otherwise"
    WHERE_TOLD = "of an ad set that was put back, a sync's result tells that it targets its states from before"
    STOP_TOLD = "a mail says that everything is paused, and which campaigns are off"
    ACCOUNT_TOLD = "a mail says, once of each campaign, for what reason Meta refuses the writes of an ad account"
    LEARNING_TOLD = "the mail of a sync or an undo says, once, how many ad sets restart Meta's learning phase anew"
    REACH_TOLD = (
        "the mail of a sync or an undo names each ad set that Meta may show outside its states, and is not green"
    )
    HEEDED = "after a notice that was taken, its ad account is looked at, or its message waits or is known to be lost"
    PROMPT = (
        "a message waits ten seconds, or for the minute between two rechecks, or five for a run that has the campaign"
    )
    NOTICES_BUNDLED = "notices have a campaign looked at once a minute at most"
    SIGNED = "the receiver takes what Meta has signed of late, and asks for nothing on account of anything else"
    FAILURE_TOLD = "a recheck that fails to look at something mails that, unless one has in the day before"
    EDIT_TOLD = "a mail says that somebody else had set regions over which its run wrote, and who, if the log shows it"
    NOBODY_BLAMED = "no mail says that somebody else has changed an ad set, if nobody has set its regions or removed it"
    NO_DEFECT = "no run ends with an unexpected error"
    IN_TIME = "no run is cut off at its deadline"

    # at the end of the story, two days after the last fault
    RUNS = "every ad that ran, and that nobody paused, runs and has a sound link"
    STAYS_OFF = "no ad runs that a person paused"
    EDITS_KEPT = "no edit of a person is lost"
    REGIONS = "each ad set has wanted regions, its original ones, or a person's"
    FOLLOWS = "an ad set that nothing stands against has today's wanted regions"
    CLOSED = "nothing stays open in the ledger"


TRANSITIONS: Mapping[str, frozenset[str]] = {
    "": frozenset({"prepared"}),
    "prepared": frozenset({"written", "rolling_back", "superseded", "not_written"}),
    "written": frozenset({"republished", "rolling_back", "superseded"}),
    "republished": frozenset({"verified", "rolling_back", "superseded"}),
    "verified": frozenset({"rolling_back"}),
    "rolling_back": frozenset({"rolled_back", "rollback_failed", "superseded"}),
    "rolled_back": frozenset({"rolling_back"}),
    "rollback_failed": frozenset({"rolling_back"}),
    "superseded": frozenset({"rolling_back"}),
    "not_written": frozenset({"prepared"}),
}
"""From which state a change may go to which; staying in one is always allowed. Final states are left by a recheck that
finds broken ads, and `not_written` by the same run, which tries again."""

OPEN = frozenset({"prepared", "written", "republished", "rolling_back", "rollback_failed"})
GOOD = frozenset({"updated", "unchanged", "reverted"})
"""Results that say of an ad set that all is well with it."""


@dataclass(frozen=True)
class Violation:
    """A clause that did not hold."""

    clause: Clause
    at: float
    """Seconds since the story's first midnight."""
    about: str
    """The ad set, ad or run."""
    why: str

    def __str__(self) -> str:
        return f"VIOLATED: {self.clause}\n  {self.about}: {self.why}"
