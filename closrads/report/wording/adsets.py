"""Texts of the boxes about ad sets."""

import re
from collections.abc import Mapping
from dataclasses import replace

from closrads.domain.adset_results import Result
from closrads.domain.request import Action
from closrads.report.wording.ads import AD_OFF, AD_PROBLEM
from closrads.report.wording.jargon import without_jargon
from closrads.report.wording.kinds import FORWARD, OPERATOR, RUNS_AS_BEFORE, TRIED_AGAIN, Kind, Statement, Who

RESTORE_FAILED = Kind(
    "red",
    "Not restored: look at this now",
    Who.YOU,
    (
        "Open the ad set.",
        "Check that its ads are on and show no problem: choose a missing lead form again, edit a rejected ad, publish.",
        "Check that its states are those from before the failed update; if not, set them back.",
    ),
    "Each daily run tries again, but do not wait for that.",
)
RESTORED_TEXT = "has its old states back, but some of its ads have a problem"
NOT_RESTORED_TEXT = "may not have its old states back"
TRIED_STATES = ". The update that failed was {}"
NOT_CONFIRMED = Kind(
    "red",
    "Could not be confirmed",
    Who.YOU,
    ("Open the ad set.", "Check that its ads are on and show no problem, and that its states are right."),
)
CHANGED_BY_OTHERS = replace(NOT_CONFIRMED, title="Changed by somebody else")
NOT_UPDATED = Kind(
    "red",
    "Not updated",
    Who.YOU,
    ("Open the ad set: Meta says at the top what is wrong. If it shows nothing, wait.",),
    f"{RUNS_AS_BEFORE} {TRIED_AGAIN}",
)
NOT_UPDATED_OPERATOR = Kind(
    "red",
    "Not updated, for a reason inside CLOSRADS",
    Who.OPERATOR,
    (FORWARD,),
    f"{RUNS_AS_BEFORE} {TRIED_AGAIN}",
)
PUT_BACK = Kind(
    "red",
    "Updated, then put back as before",
    Who.NOBODY,
    (),
    "The states from before are back, and the ads are healthy. An update is tried on two runs.",
)
NEEDS_CHANGE = Kind(
    "orange",
    "Cannot follow the demand as it is set up",
    Who.YOU,
    ("Open the ad set and press Edit.", "Under Locations, make the change described above.", "Press Publish."),
    f"{RUNS_AS_BEFORE} The next run then sets today's states.",
)
NEEDS_LOOK = replace(
    NEEDS_CHANGE,
    title="Needs a look",
    steps=("Open the ad set: check whether its ads and its locations are as you want them.",),
)
PUT_BACK_OFTEN = Kind(
    "orange",
    "Put back on two runs in a row",
    Who.YOU,
    ("Open the ad set and correct its ads.", f"Ask {OPERATOR} to try these states once more."),
    "Nothing is tried again until the demand changes.",
)
OPERATOR_ADSET = Kind(
    "orange",
    "Waits for whoever runs CLOSRADS",
    Who.OPERATOR,
    (FORWARD,),
    RUNS_AS_BEFORE,
)
ADSET_PROBLEM = Kind(
    "orange",
    "Not running: Meta reports a problem",
    Who.YOU,
    ("Open the ad set: Meta shows the problem at the top.", "Correct it and press Publish."),
    "The next run then sets today's states.",
)
IN_PROCESS = Kind("grey", "Still being processed by Meta", Who.NOBODY, (), TRIED_AGAIN)
ENDED = Kind(
    "grey",
    "Ended",
    Who.NOBODY,
    (),
    "The end date of the ad set or Meta campaign has passed or is minutes away. To run again, an ad set needs a later "
    "one, in Ads Manager.",
)
OPTED_OUT = Kind(
    "grey",
    "Left alone, as you wish",
    Who.NOBODY,
    (),
    f"Ad sets that are left alone keep their states. To have an ad set follow the demand, ask {OPERATOR}.",
)
LEFT_FOR_NEXT = Kind(
    "grey",
    "Left for the next run",
    Who.NOBODY,
    (),
    f"{RUNS_AS_BEFORE} The next run takes these first.",
)
NOT_STARTED = Kind("grey", "Not started", Who.NOBODY, (), f"{RUNS_AS_BEFORE} {TRIED_AGAIN}")
BEYOND_STATES = Kind(
    "orange",
    "Shown outside its states",
    Who.YOU,
    (
        "Open the ad set, press Edit and go to Locations.",
        "Switch off “Reach more people likely to respond”. Its name may also begin with “Reach people interested in”.",
        "Press Publish.",
    ),
    "With this setting, Meta also shows the ads to people in other states, whose leads cannot be sold. "
    "CLOSRADS leaves the setting to you.",
)
BEYOND_STATES_TEXT = "may be shown to people outside its states"
NOT_LOOKED_AT = Kind("grey", "Not looked at again", Who.NOBODY, (), "The ads were healthy after the update.")
_RESULT_KINDS = {
    Result.ROLLBACK_FAILED: Statement(RESTORE_FAILED, "is not proven to be as it was"),
    Result.UNVERIFIED: Statement(NOT_CONFIRMED, "was changed, and its ads could not be checked afterwards"),
    Result.SUPERSEDED: Statement(CHANGED_BY_OTHERS, "was changed by somebody else, and was left like that"),
    Result.FAILED: Statement(NOT_UPDATED, "could not be updated"),
    Result.REVERTED: Statement(PUT_BACK, "could not keep its new states"),
    Result.NEEDS_ATTENTION: Statement(NEEDS_LOOK, "cannot be given today's states"),
    Result.SKIPPED_PREFLIGHT: Statement(AD_PROBLEM, "has an ad with a problem"),
    Result.NOT_ACTIVE: Statement(ADSET_PROBLEM, "does not run, because Meta reports a problem with it"),
    Result.ENDED: Statement(ENDED, "has ended"),
    Result.OPTED_OUT: Statement(OPTED_OUT, "is not changed, because its name is on the list of ad sets to leave alone"),
    Result.DEFERRED: Statement(LEFT_FOR_NEXT, "was not reached"),
    Result.HELD: Statement(NOT_STARTED, "was not started, because its campaign was stopped before its turn"),
    Result.UPDATED: Statement(NEEDS_LOOK, "has its states, but something needs checking"),
    Result.UNCHANGED: Statement(NEEDS_LOOK, "has its states, but something needs checking"),
}
_BY_ACTION: Mapping[Action, Mapping[Result, Statement]] = {
    Action.SYNC: {},
    Action.RECHECK: {
        Result.REVERTED: Statement(
            replace(PUT_BACK, title="Broke after the update, put back as before"),
            "broke after it was updated",
        ),
        Result.UNVERIFIED: Statement(NOT_CONFIRMED, "was changed before, and whether its ads still run is not known"),
        Result.DEFERRED: Statement(NOT_LOOKED_AT, "could not be looked at again"),
        Result.HELD: Statement(NOT_LOOKED_AT, "could not be looked at again"),
        Result.UPDATED: Statement(AD_OFF, "has an ad that no longer runs"),
        Result.UNCHANGED: Statement(AD_OFF, "has an ad that no longer runs"),
    },
    Action.UNDO: {
        Result.REVERTED: Statement(
            replace(
                PUT_BACK,
                title="Not undone",
                note="The undo did not work for the reason given: the states are what they were before the undo.",
            ),
            "could not be undone",
        ),
        Result.NEEDS_ATTENTION: Statement(
            Kind("orange", "Not undone", Who.NOBODY, (), "Nothing was changed there."), "stays as it is now"
        ),
        Result.DEFERRED: Statement(
            Kind("grey", "Not undone yet", Who.OPERATOR, (f"Ask {OPERATOR} to start the undo again.",)),
            "was not reached",
        ),
        Result.HELD: Statement(
            Kind("grey", "Not undone yet", Who.OPERATOR, (f"Ask {OPERATOR} to start the undo again.",)),
            "was not started",
        ),
    },
}
_ADSET_ISSUES = (
    (re.compile(r"Meta says IN_PROCESS"), Statement(IN_PROCESS, "is still being processed by Meta")),
    (re.compile(r"was put back on \d+ runs"), Statement(PUT_BACK_OFTEN, "was put back on several runs in a row")),
    (
        re.compile(r"^An earlier change of it is still open"),
        Statement(NOT_STARTED, "waits for an earlier change of it"),
    ),
    (re.compile(r"Unexpected|ledger", re.IGNORECASE), Statement(NOT_UPDATED_OPERATOR, "could not be updated")),
    (
        re.compile(r"table of regions|meta/access_token|newer CLOSRADS"),
        Statement(NOT_UPDATED_OPERATOR, "could not be updated"),
    ),
    (
        re.compile(r"Ask Meta for full access|access tier"),
        Statement(OPERATOR_ADSET, "has more ads than Meta allows at once"),
    ),
)
_UNRECORDED = Statement(NOT_CONFIRMED, "was changed, but how that ended could not be recorded")
_APPLIED_LATE = Statement(PUT_BACK, "had states that had been rolled back before: Meta had applied them late")
_SELF_EXPLANATORY = frozenset(
    {
        Result.REVERTED, Result.ROLLBACK_FAILED, Result.SUPERSEDED, Result.DEFERRED, Result.ENDED, Result.OPTED_OUT,
    }
)  # fmt: skip
"""Results whose reason adds nothing for the reader."""


def adset_issue(action: Action, result: Result, issues: tuple[str, ...]) -> Statement:
    """Return the statement about an ad set with this result and these raw issues, none of which is about an ad."""
    said = _BY_ACTION[action].get(result) or _RESULT_KINDS[result]
    if result is Result.REVERTED and any(issue.startswith("The states that had been rolled back") for issue in issues):
        return _APPLIED_LATE
    if result in _SELF_EXPLANATORY:
        return said
    if result is Result.UNVERIFIED and any(issue.startswith("The ledger") for issue in issues):
        return _UNRECORDED
    for pattern, known in _ADSET_ISSUES:
        if any(map(pattern.search, issues)) and result not in {Result.UNVERIFIED, Result.UPDATED, Result.UNCHANGED}:
            return known
    readable = [text for issue in issues if (text := without_jargon(issue))]
    if result is Result.NEEDS_ATTENTION and readable:
        return Statement(
            said.kind if action is Action.UNDO else NEEDS_CHANGE,
            said.text,
            f": {'; '.join(re.sub('^It', 'it', each) for each in readable)}",
        )
    return said
