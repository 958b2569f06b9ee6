"""Every text that the mail's reader sees outside the appendix, and the translation of raw texts into plain ones.

The reader is a client who knows Ads Manager, and nothing of AWS or of Meta's API. What is raw stands in the appendix.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from closrads.domain.changes import ChangeState
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.request import PUSH, Action
from closrads.domain.results import Result, RunResult
from closrads.domain.schedule_times import SCHEDULE_OFF, parse_schedule
from closrads.domain.switches import SwitchedOff

OPERATOR = "whoever runs CLOSRADS"
APPENDIX = "Details for whoever runs CLOSRADS"
"""Title of the appendix, below which nothing is translated."""
JARGON = re.compile(
    r"\w_\w|/|\\|\bHTTP|https?:|\bact_?\d|\d{6}|\[Meta|\(#?\d+\)|#\d|[{}\[\]\"`=]|\b(?:API|AWS|SSM|SES|JSON|DynamoDB|"
    r"held|deferred|ledger|quotas?|roll(?:ed )?backs?|rechecks?|tokens?|parameters?|access tier|re-?publish(?:ed)?|"
    r"pre-?flight|invocation|lease|webhook|max_\w+|force|Unexpected \w+)\b|America/",
    re.IGNORECASE,
)
"""What a client does not understand. No text that passes through `plain` contains it."""


class Who(StrEnum):
    """Who must act."""

    YOU = "you"
    OPERATOR = "operator"
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What several things in a report have in common: how serious it is, who must act, and how."""

    tone: str
    """`red`, `orange` or `grey`."""
    title: str
    who: Who
    steps: tuple[str, ...] = ()
    """What to do, at most three; without any, nobody needs to do anything."""
    note: str = ""
    """What a reader should know beside the steps."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a raw text means to the reader."""

    kind: Kind
    text: str
    """What is said of the thing, as a predicate such as “has lost its lead form”."""
    detail: str = ""
    """What the first sentence of the mail leaves out, with the punctuation before it."""


# --- ads

LOST_FORM = Kind(
    "orange",
    "Lead form lost",
    Who.YOU,
    (
        "Open the ad and press Edit.",
        "Choose its lead form under Destination.",
        "Press Publish. The next run then gives its ad set today's states.",
    ),
)
REJECTED = Kind(
    "orange",
    "Rejected by Meta",
    Who.YOU,
    (
        "Open the ad: Meta shows what it objects to.",
        "Correct that and press Publish, or request a review.",
        "Once Meta has approved it, the next run gives its ad set today's states.",
    ),
)
AD_PROBLEM = Kind(
    "orange",
    "An ad with a problem",
    Who.YOU,
    (
        "Open the ad: Meta shows the problem at the top.",
        "Correct it and press Publish.",
        "The next run then gives its ad set today's states.",
    ),
)
AD_OFF = Kind(
    "orange",
    "Switched off, and not by CLOSRADS",
    Who.YOU,
    ("Open the ad.", "If it should run, switch it on. If not, there is nothing to do."),
)
AD_ON_AGAIN = Kind(
    "orange",
    "Switched on again",
    Who.NOBODY,
    (),
    "Meta had paused these ads after a change, and its activity log told so only later. If Meta pauses them again, "
    "select the lead form of the ad anew in Ads Manager.",
)
ON_AGAIN_TEXT = "was switched on again"
AD_UNKNOWN = Kind(
    "orange",
    "Could not be checked",
    Who.YOU,
    ("Open the ad, and look whether it is on and shows no problem.",),
)
_AD_REASONS = (
    (re.compile(r"3390001|lead form", re.IGNORECASE), Said(LOST_FORM, "has lost its lead form")),
    (re.compile(r"^DISAPPROVED\b|disapproved", re.IGNORECASE), Said(REJECTED, "was rejected by Meta")),
    (re.compile(r"nobody can tell by whom"), Said(AD_OFF, "was switched off, and Meta does not say by whom")),
    (re.compile(r"ran before, is PAUSED"), Said(AD_OFF, "was on before, and is off now")),
    (re.compile(r"Meta has paused it|is PAUSED now"), Said(AD_PROBLEM, "was switched off by Meta")),
    (re.compile(r"could not be re-published"), Said(AD_PROBLEM, "could not be published again")),
    (re.compile(r"is not re-published yet"), Said(AD_PROBLEM, "has not been published again yet")),
    (re.compile(r"a status that is not known|cannot be read|not be read"), Said(AD_UNKNOWN, "could not be checked")),
)
_AD_ISSUE = re.compile(r"Ad “(.*?)” \((\w*)\): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AdIssue:
    """A raw issue that is about an ad."""

    name: str
    id: str
    said: Said


def ad_issue(issue: str) -> AdIssue | None:
    """Return what a raw issue says of an ad; None if it is about the ad set."""
    if not (found := _AD_ISSUE.fullmatch(issue)):
        return None
    name, ad_id, reason = found.groups()
    for pattern, said in _AD_REASONS:
        if pattern.search(reason):
            return AdIssue(name, ad_id, said)
    quoted = plain(re.sub(r"^[A-Z_]+: ", "", re.sub(r" ?\(#\d+\)", "", reason)))
    return AdIssue(name, ad_id, Said(AD_PROBLEM, f"has a problem: {quoted}" if quoted else "has a problem"))


# --- ad sets

RUNS_AS_BEFORE = "The ads still run in the states from before."
_TRIED_AGAIN = "The next run tries again."
RESTORE_FAILED = Kind(
    "red",
    "Not restored: look at this now",
    Who.YOU,
    (
        "Open the ad set.",
        "Check that its ads are on and show no problem; if a lead form is missing, choose it again and publish.",
        "Check that its states are right.",
    ),
    "Each live run tries again, but do not wait for that.",
)
NOT_CONFIRMED = Kind(
    "red",
    "Could not be confirmed",
    Who.YOU,
    ("Open the ad set.", "Check that its ads are on and show no problem, and that its states are right."),
)
NOT_UPDATED = Kind(
    "red",
    "Not updated",
    Who.YOU,
    ("Open the ad set: Meta says at the top what is wrong. If it says nothing, wait.",),
    f"{RUNS_AS_BEFORE} {_TRIED_AGAIN}",
)
NOT_UPDATED_OPERATOR = Kind(
    "red",
    "Not updated, for a reason inside CLOSRADS",
    Who.OPERATOR,
    (f"Forward this mail to {OPERATOR}: the reason is at its end.",),
    f"{RUNS_AS_BEFORE} {_TRIED_AGAIN}",
)
PUT_BACK = Kind(
    "red",
    "Updated, then put back as before",
    Who.NOBODY,
    (),
    f"The states from before are back, and the ads are healthy. {_TRIED_AGAIN}",
)
NEEDS_CHANGE = Kind(
    "orange",
    "Cannot follow the demand as it is set up",
    Who.YOU,
    ("Open the ad set and press Edit.", "Under Locations, do what is said here.", "Press Publish."),
    f"{RUNS_AS_BEFORE} The next run then sets today's states.",
)
NEEDS_LOOK = replace(
    NEEDS_CHANGE,
    title="Needs a look",
    steps=("Open the ad set: look whether its ads and its locations are as you want them.",),
)
PUT_BACK_OFTEN = Kind(
    "orange",
    "Put back day after day",
    Who.YOU,
    ("Open the ad set and correct its ads.", f"Ask {OPERATOR} to try these states once more."),
    "Nothing is tried again until the demand changes.",
)
OPERATOR_ADSET = Kind(
    "orange",
    "Waits for whoever runs CLOSRADS",
    Who.OPERATOR,
    (f"Forward this mail to {OPERATOR}: the reason is at its end.",),
    RUNS_AS_BEFORE,
)
ADSET_PROBLEM = Kind(
    "orange",
    "Not running: Meta reports a problem",
    Who.YOU,
    ("Open the ad set: Meta shows the problem at the top.", "Correct it and press Publish."),
    "The next run then sets today's states.",
)
IN_PROCESS = Kind("grey", "Still being processed by Meta", Who.NOBODY, (), _TRIED_AGAIN)
ENDED = Kind(
    "grey", "Ended", Who.NOBODY, (), "The end date is past. To run again, an ad set needs a later one, in Ads Manager."
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
STOPPED_BY_SWITCH = Kind(
    "grey",
    "Stopped before the end",
    Who.NOBODY,
    (),
    f"What was not begun runs in the states from before, and waits until {OPERATOR} lets CLOSRADS go on.",
)
PAUSED_MIDWAY = "was not finished, because CLOSRADS was paused by then"
OFF_MIDWAY = "was switched off during the run"
NOT_BEGUN = "Not begun: "
"""Beginning of the reason why an ad set was deferred by a switch, and not to the next run."""
NOT_STARTED = Kind("grey", "Not started", Who.NOBODY, (), f"{RUNS_AS_BEFORE} {_TRIED_AGAIN}")
BEYOND_STATES = Kind(
    "orange",
    "Shown outside its states",
    Who.YOU,
    (
        "Open the ad set, press Edit and go to Locations.",
        "Switch off “Reach more people likely to respond”. Its name may also begin with “Reach people interested in”.",
        "Press Publish.",
    ),
    "With this setting, Meta also shows the ads to people in other states. Nobody buys their leads. "
    "CLOSRADS leaves the setting to you.",
)
BEYOND_STATES_TEXT = "may be shown to people outside its states"
NOT_LOOKED_AT = Kind("grey", "Not looked at again", Who.NOBODY, (), "The ads were healthy after the update.")

_RESULT_KINDS = {
    Result.ROLLBACK_FAILED: Said(RESTORE_FAILED, "is not proven to be as it was"),
    Result.UNVERIFIED: Said(NOT_CONFIRMED, "was changed, and its ads could not be checked afterwards"),
    Result.SUPERSEDED: Said(NOT_CONFIRMED, "was changed by somebody else during the run, and was left like that"),
    Result.FAILED: Said(NOT_UPDATED, "could not be updated"),
    Result.REVERTED: Said(PUT_BACK, "could not keep its new states"),
    Result.NEEDS_ATTENTION: Said(NEEDS_LOOK, "cannot be given today's states"),
    Result.SKIPPED_PREFLIGHT: Said(AD_PROBLEM, "has an ad with a problem"),
    Result.NOT_ACTIVE: Said(ADSET_PROBLEM, "does not run, because Meta reports a problem with it"),
    Result.ENDED: Said(ENDED, "has ended"),
    Result.OPTED_OUT: Said(OPTED_OUT, "is not changed, because its name is on the list of ad sets to leave alone"),
    Result.DEFERRED: Said(LEFT_FOR_NEXT, "was not reached"),
    Result.HELD: Said(NOT_STARTED, "was not started, because its campaign was stopped before its turn"),
    Result.UPDATED: Said(NEEDS_LOOK, "has its states, but something is to be looked at"),
    Result.UNCHANGED: Said(NEEDS_LOOK, "has its states, but something is to be looked at"),
}
_BY_ACTION: Mapping[Action, Mapping[Result, Said]] = {
    Action.SYNC: {},
    Action.RECHECK: {
        Result.REVERTED: Said(
            replace(
                PUT_BACK,
                title="Broke after the update, put back as before",
                note="The states from before are back and the ads are healthy. The next run tries again.",
            ),
            "broke after it was updated",
        ),
        Result.UNVERIFIED: Said(NOT_CONFIRMED, "was changed before, and whether its ads still run is not known"),
        Result.DEFERRED: Said(NOT_LOOKED_AT, "could not be looked at again"),
        Result.HELD: Said(NOT_LOOKED_AT, "could not be looked at again"),
        Result.UPDATED: Said(AD_OFF, "has an ad that no longer runs"),
        Result.UNCHANGED: Said(AD_OFF, "has an ad that no longer runs"),
    },
    Action.UNDO: {
        Result.REVERTED: Said(
            replace(
                PUT_BACK,
                title="Not undone",
                note="The undo did not work for the reason given: the states are what they were before the undo.",
            ),
            "could not be undone",
        ),
        Result.NEEDS_ATTENTION: Said(
            Kind("orange", "Not undone", Who.NOBODY, (), "Nothing was changed there."), "stays as it is now"
        ),
        Result.DEFERRED: Said(
            Kind("grey", "Not undone yet", Who.OPERATOR, (f"Ask {OPERATOR} to start the undo again.",)),
            "was not reached",
        ),
        Result.HELD: Said(
            Kind("grey", "Not undone yet", Who.OPERATOR, (f"Ask {OPERATOR} to start the undo again.",)),
            "was not started",
        ),
    },
}
_ADSET_ISSUES = (
    (re.compile(r"Meta says IN_PROCESS"), Said(IN_PROCESS, "is still being processed by Meta")),
    (re.compile(r"was put back on \d+ runs"), Said(PUT_BACK_OFTEN, "was put back on several runs in a row")),
    (re.compile(r"^An earlier change of it is still open"), Said(NOT_STARTED, "waits for an earlier change of it")),
    (re.compile(r"Unexpected|ledger", re.IGNORECASE), Said(NOT_UPDATED_OPERATOR, "could not be updated")),
    (
        re.compile(r"table of regions|meta/access_token|newer CLOSRADS"),
        Said(NOT_UPDATED_OPERATOR, "could not be updated"),
    ),
    (
        re.compile(r"Ask Meta for full access|access tier"),
        Said(OPERATOR_ADSET, "has more ads than Meta allows at once"),
    ),
)
_TELLS_ALL = frozenset(
    {
        Result.REVERTED, Result.ROLLBACK_FAILED, Result.SUPERSEDED, Result.DEFERRED, Result.ENDED, Result.OPTED_OUT,
    }
)  # fmt: skip
"""Results of which the reason adds nothing for the reader."""


def adset_issue(action: Action, result: Result, issues: tuple[str, ...]) -> Said:
    """Return what the reader is told of an ad set with this result and these raw issues, none of them about an ad."""
    said = _BY_ACTION[action].get(result) or _RESULT_KINDS[result]
    if result in _TELLS_ALL:
        return said
    for pattern, known in _ADSET_ISSUES:
        if any(map(pattern.search, issues)) and result not in {Result.UNVERIFIED, Result.UPDATED, Result.UNCHANGED}:
            return known
    told = [text for issue in issues if (text := plain(issue))]
    if result is Result.NEEDS_ATTENTION and told:
        return Said(
            said.kind if action is Action.UNDO else NEEDS_CHANGE,
            said.text,
            f": {'; '.join(re.sub('^It', 'it', each) for each in told)}",
        )
    return said


# --- campaigns

_FORWARD = f"Forward this mail to {OPERATOR}: the reason is at its end."


def _operator(title: str, *steps: str, tone: str = "red") -> Kind:
    return Kind(tone, title, Who.OPERATOR, steps or (_FORWARD,), f"{RUNS_AS_BEFORE} {_TRIED_AGAIN}")


def _you(title: str, *steps: str) -> Kind:
    return Kind("red", title, Who.YOU, steps, f"{RUNS_AS_BEFORE} {_TRIED_AGAIN}")


def _partner(title: str) -> Kind:
    return _you(title, "If it happens again tomorrow, ask CLOSRTECH.")


NO_RUN = "The daily run could not be done"
"""Beginning of the error of a run that did not come as far as to its report."""
_CAMPAIGN_ERRORS = tuple(
    (re.compile(pattern, re.IGNORECASE), Said(kind, text))
    for pattern, kind, text in (
        (
            NO_RUN,
            Kind("red", NO_RUN, Who.OPERATOR, (_FORWARD,), "The ads are left as they are until the next run."),
            "could not do the daily run",
        ),
        (
            "^Nothing is known",
            Kind(
                "red",
                "Cut off while at work",
                Who.OPERATOR,
                (_FORWARD,),
                "The next run first finishes or undoes what is half done.",
            ),
            "was cut off, and nobody knows how much was done by then",
        ),
        (
            r"\[Meta (?:4|17|32|341|800\d\d)[]/]",
            Kind(
                "red",
                "Meta allowed no more for now",
                Who.NOBODY,
                (),
                f"{RUNS_AS_BEFORE} Meta limits how much may be done in an hour. {_TRIED_AGAIN}",
            ),
            "was not updated, because Meta allowed no more calls for now",
        ),
        (
            r"\[Meta 190[]/]",
            _operator("CLOSRADS cannot sign in to Meta", f"Forward this mail to {OPERATOR}: a new Meta key is needed."),
            "was not updated, because Meta no longer lets CLOSRADS sign in",
        ),
        (
            r"meta/access_token",
            _operator("CLOSRADS may not change these ads", f"Forward this mail to {OPERATOR}: Meta denies it access."),
            "was not updated, because Meta denies CLOSRADS access",
        ),
        (
            r"Nothing in this ad account can be changed",
            _you(
                "Meta has blocked changes in the ad account",
                "Open Ads Manager: Meta shows at the top what it wants.",
                "Do that; the next run then goes on.",
            ),
            "was not updated, because Meta allows no changes in the ad account",
        ),
        (
            r"Meta Business Support",
            _you("Meta has blocked CLOSRADS", "Open Meta Business Support and look at the account there."),
            "was not updated, because Meta blocks changes",
        ),
        (r"newer CLOSRADS is needed", _operator("CLOSRADS is out of date"), "was not updated"),
        (r"table of regions", _operator("Meta's list of states has changed"), "was stopped"),
        (
            r"audience controls",
            _you(
                "The ad account forbids some states",
                "In the settings of Ads Manager, open Account controls.",
                "Allow the states that you want to advertise in.",
            ),
            "was stopped, because a setting of the ad account forbids some of today's states",
        ),
        (
            r"The demand would take away",
            _you(
                "Too many states would be taken away",
                "Ask CLOSRTECH whether its demand is right.",
                f"If it is, ask {OPERATOR} to allow it for one run.",
            ),
            "was not updated, because today's demand would take away most of the states",
        ),
        (
            r"limits/min_demand",
            _you(
                "Too few leads in every state",
                "Ask CLOSRTECH whether that is right.",
                f"If it is, ask {OPERATOR} to count states with fewer leads.",
            ),
            "was not updated, for no state has enough leads to count as wanted",
        ),
        (
            r"no demand in any state|no region for any state|empty",
            _you("No demand at all", "Ask CLOSRTECH whether that is right: its list of states is empty."),
            "was not updated, because CLOSRTECH has no demand in any state",
        ),
        (
            r"CLOSRTECH refuses",
            _operator("CLOSRTECH refuses CLOSRADS"),
            "was not updated, because CLOSRTECH refuses to tell its demand",
        ),
        (
            r"CLOSRTECH (?:gave no answer|is in trouble)",
            _partner("CLOSRTECH did not answer"),
            "was not updated, because CLOSRTECH did not tell its demand",
        ),
        (
            r"CLOSRTECH's answer",
            _partner("CLOSRTECH's answer makes no sense"),
            "was not updated, because CLOSRTECH's answer could not be used",
        ),
        (
            r"^Stopped: \d+ (?:ad sets|of the)",
            Kind(
                "red",
                "Stopped to protect the ads",
                Who.OPERATOR,
                (f"Forward this mail to {OPERATOR}: today, Meta may refuse each update or break its ads.",),
                "What had not begun runs in the states from before.",
            ),
            "was stopped, because the first updates did not work",
        ),
        (
            r"^Meta campaign \d+ \(.*\) (?:is|was)|take it out of campaigns/",
            Kind(
                "red",
                "A Meta campaign is gone",
                Who.OPERATOR,
                (f"Tell {OPERATOR} which Meta campaign takes its place, if any.",),
                "Everything else ran.",
            ),
            "contains a Meta campaign that was deleted or archived",
        ),
        (
            r"ledger|Parameter Store|whether CLOSRADS is paused|Unexpected",
            _operator("A fault inside CLOSRADS"),
            "was not updated, because CLOSRADS had a fault",
        ),
        (
            r"(?:Meta gave no answer|Meta reports an error|Meta answered)",
            _operator("Meta did not answer", f"If it happens again tomorrow, forward this mail to {OPERATOR}."),
            "was not updated, because Meta did not answer",
        ),
    )
)
_OTHER_ERROR = Said(_operator("Could not be updated"), "was not updated")


def campaign_error(error: str) -> Said:
    """Return what the reader is told of a raw error that concerns a whole campaign."""
    return next((said for pattern, said in _CAMPAIGN_ERRORS if pattern.search(error)), _OTHER_ERROR)


PLAN_STALE = Kind(
    "orange",
    "No longer what was approved",
    Who.OPERATOR,
    (
        f"Forward this mail to {OPERATOR}: what differs is at its end.",
        "To have it done before the next daily run, make a new plan and approve that.",
    ),
    "This run has made none of these changes; an earlier one may have. The daily run needs no approval: the next one "
    "sets the states of its day.",
)
"""Of a plan that has become another one, so that nothing of it was begun; nothing has failed."""
PLAN_PAUSED = "plan was not completed"
PLAN_STALE_TEXT = "was not updated, for the changes are no longer those that were approved"
PLAN_STALE_SUBJECT = "plan not carried out: things have changed since it was shown"
PLAN_STALE_HEADLINE = (
    "No planned change was made, because things have changed since the plan was shown: make a new plan."
)
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
UNKNOWN_STATES = Kind(
    "orange",
    "Unknown states",
    Who.YOU,
    ("Ask CLOSRTECH what is meant.",),
    "They were left out, because Meta cannot target them.",
)
UNREADABLE_STATES = Kind(
    "orange",
    "State names that could not be read",
    Who.YOU,
    ("Ask CLOSRTECH to correct its list.",),
    "No state is taken out of these ad sets until the list is right; states with demand are added as always.",
)
WAITING = Kind(
    "grey",
    "Waiting to see whether it lasts",
    Who.NOBODY,
    (),
    "Each change of states makes Meta learn again, so a change is made once it has lasted. Days without a live run "
    "do not count.",
)
COUNTS_ANEW = Kind(
    "grey",
    "The wait starts over",
    Who.NOBODY,
    (),
    "What CLOSRADS had noted of the days before could not be read. The ads keep the states they have until the days "
    "have passed.",
)
COUNTS_ANEW_TEXT = "has started counting again for how long each state has been wanted"
TOO_FEW_LEADS = "Too few leads to count as wanted"
NO_EFFECT = Kind("orange", "A setting that does nothing", Who.OPERATOR, (_FORWARD,), "The campaigns ran all the same.")
NOBODY_LEFT = Kind(
    "grey",
    "A name to leave alone that no ad set has",
    Who.OPERATOR,
    (f"Forward this mail to {OPERATOR}: the name is at its end.",),
    "If such an ad set is only switched off, there is nothing to do. If a name is misspelt, the ad set that was meant "
    "is changed like the others.",
)
ALL_OPTED_OUT = Kind(
    "orange",
    "Every ad set is left alone",
    Who.OPERATOR,
    (f"If some should follow the demand, ask {OPERATOR} to change the names that are left alone.",),
    "Nothing follows the demand there.",
)
LEFT_TO = Kind("grey", "Left to another run", Who.NOBODY, (), "Another run is at work there, or was just now.")
EMPTY = Kind(
    "orange",
    "No active ad set",
    Who.YOU,
    ("To have a campaign run, switch on its ad sets or their Meta campaign in Ads Manager.",),
    "Nothing follows the demand there.",
)
PAUSED_KIND = Kind(
    "orange", "Paused", Who.OPERATOR, (f"To go on, ask {OPERATOR} to resume it.",), "The ads keep the states they have."
)
OFF_LONG = Kind(
    "orange", "Off for a long time", Who.OPERATOR, (f"To have a campaign run, ask {OPERATOR} to switch it on.",),
    "The ads keep the states they have, whatever the demand.",
)  # fmt: skip
OFF = Kind("grey", "Off", Who.NOBODY, (), f"The ads keep their states until {OPERATOR} switches the campaign on.")
CHANGED_BEFORE = Kind("grey", "Changed since the last daily report", Who.NOBODY)
OFF_ADS_TEXT = "has been off since a change of its ad set on {}, and Meta does not say by whom"


# --- what somebody else did

DRIFT = "Changed by somebody else"
"""Label of who set other states since the last update, and which."""
LEFT_BY = "was changed by {} on {}, and was left like that"
"""What is said of an ad set that somebody else changed at a known time before its own change was done."""
_SOMEBODY = "Somebody"
_DRIFT_ENDS: Mapping[Result | None, tuple[str, str]] = {
    Result.UPDATED: ("; it has today's states again", "; they have today's states again"),
    Result.REVERTED: ("; it was left like that", "; they were left like that"),
    Result.FAILED: ("; it was left like that", "; they were left like that"),
}
"""What became of the states that somebody else had set, of one ad set and of several."""


def drift(result: RunResult, of: str, count: int, drifts: Sequence[Drift], ended: Result | None) -> str:
    """Return who changed the states of ad sets, how and when, and what became of that.

    Parameters
    ----------
    of
        The names of the ad sets.
    count
        Their number.
    drifts
        What was done to each, by the same person or by nobody knows whom.
    ended
        The result of all of them; None of changes that an earlier run had begun.
    """
    who = drifts[0].by or _SOMEBODY
    where = f"{of}" if count == 1 else f"{count} ad sets ({of})"
    did = {_done(each.added, each.removed) for each in drifts}
    what = f"{did.pop()} in {where}" if len(did) == 1 else f"changed the states of {where}"
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


# --- words of the first line and the subject

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
"""Words after a count, the most important first; what is unchanged, has ended or is opted out is not counted."""
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
"""Words that a dry run prefixes with “would be”."""
ABOUT = {
    Action.SYNC: "",
    Action.RECHECK: "These ad sets were updated within the last day and were looked at again.",
    Action.UNDO: "An undo gives ad sets the states from before an earlier run.",
}
LIFTED = {
    "max_removed_pct": "more of the states may be taken away at once than usual",
    "reverted_before": "ad sets that were put back twice are tried again",
    "add_after_days": "states are added that would have to wait",
    "remove_after_days": "states are taken away that would have to wait",
}
"""What a run may do, by the limit that was lifted."""
PAUSED = "paused since {}"
LONG_OFF = timedelta(days=7)
"""Time after which a campaign that is off is told more visibly: it may have been forgotten."""
REASONS = {PUSH: "The second look was asked for by a notice from Meta"}
"""Why a run began."""
TOKEN_NOTICE_DAYS = 14
"""Days before the end of a token from which the report names it, as the alarm TokenEnds does."""
API_NOTICE_DAYS = 120
"""Days before the end of a version of Meta's API from which the report names it, as the alarm ApiVersionEnds does."""
WHY_MAIL = f"You get this mail because CLOSRADS sets the states of your ads. To stop these mails, ask {OPERATOR}."
NO_NEXT_RUN = "No next run: the daily schedule is off."
CLOCKS_DIFFER = timedelta(minutes=1)
"""Time after the end of a run within which a scheduled one counts as begun: it may be the one that has just ended."""


def plain(text: str) -> str:
    """Return a raw text as one for the reader; empty if it contains what only an engineer understands."""
    return "" if JARGON.search(text) else text


def day_of(moment: datetime, result: RunResult) -> str:
    """Return the day of a moment, with its year if that is not the run's."""
    return f"{moment.day} {moment:%b}" + (f" {moment.year}" if moment.year != result.started_at.year else "")


def clock_time(moment: datetime) -> str:
    """Return the time of day, such as “6:30 am”."""
    return f"{moment.hour % 12 or 12}:{moment:%M} {'ap'[moment.hour // 12]}m"


def day_and_time(moment: datetime, result: RunResult) -> str:
    """Return the day of a moment, as `day_of` does, and its time of day."""
    return f"{day_of(moment, result)}, {clock_time(moment)}"


def next_run(result: RunResult, schedule: str, timezone: ZoneInfo) -> str:
    """Return when the next daily run begins; empty if its schedule is not known, or is none."""
    if schedule == SCHEDULE_OFF:
        return NO_NEXT_RUN
    try:
        times = parse_schedule(schedule)
    except ValueError:
        return ""
    if isinstance(times, timedelta):
        when = f"within {schedule.removeprefix('rate(').removesuffix(')')}"
    else:
        ended = result.started_at + timedelta(milliseconds=result.duration_ms)
        moment = times.next_time(timezone, ended + CLOCKS_DIFFER)
        if moment is None:
            return NO_NEXT_RUN
        days = (moment.date() - ended.astimezone(timezone).date()).days
        day = {0: "today, ", 1: "tomorrow, "}.get(days, "")
        when = f"{day}{moment:%a} {day_of(moment, result)}, about {clock_time(moment)}"
    if result.paused_since:
        then = " It changes no states while CLOSRADS is paused."
    elif result.action is Action.UNDO and not result.dry_run:
        then = f" It follows the demand again. If these states should stay, tell {OPERATOR} before that."
    else:
        then = ""
    return f"Next run: {when}.{then}"


def date_of(day: date, result: RunResult) -> str:
    """Return a day, with its year if that is not the run's."""
    return f"{day.day} {day:%b}" + (f" {day.year}" if day.year != result.started_at.year else "")


def waits(names: Sequence[str], waiting: WaitingState, result: RunResult) -> str:
    """Return what is done with states that wait for the same reason as `waiting`, as a predicate of their campaign.

    A dry run counts its day as if it were live, so it adds on which condition the date holds.
    """
    is_one = len(names) == 1
    who = names[0] if is_one else f"{', '.join(names[:-1])} and {names[-1]}"
    they, stay, have = ("it", "stays", "has") if is_one else ("they", "stay", "have")
    what, wanted = ("add", "wanted") if waiting.is_wanted else ("remove", "unwanted")
    due, since = date_of(waiting.due, result), date_of(waiting.since, result)
    will, condition = ("would", ", with a live run every day from today on") if result.dry_run else ("will", "")
    return f"{will} {what} {who} on {due} if {they} {stay} {wanted}, as {they} {have} been since {since}{condition}"


def is_long_off(switch: SwitchedOff, result: RunResult) -> bool:
    """Return whether a campaign has been off for so long that somebody may have forgotten it."""
    return bool(switch.slug) and result.started_at - switch.since > LONG_OFF


def how_long(switch: SwitchedOff, result: RunResult) -> str:
    """Return since when, or for how many days, a campaign has been off."""
    if is_long_off(switch, result):
        return f"for {(result.started_at - switch.since).days} days"
    return f"since {day_of(switch.since, result)}"


def would_be(result: RunResult, word: str) -> str:
    """Return a word for an outcome, as “would be …” if a dry run has not brought it about."""
    return f"would be {word}" if result.dry_run and word in DONE else word


def unreadable_states(entries: Sequence[str]) -> str:
    """Return what is said of a campaign with entries of its demand that are no state's name."""
    what = "a name from CLOSRTECH that is no state" if len(entries) == 1 else "names from CLOSRTECH that are no states"
    return f"has {what}: {_quoted(entries)}"


def unknown_states(codes: Sequence[str]) -> str:
    """Return what is said of a campaign with demand in states that Meta has no region for."""
    what = "a state" if len(codes) == 1 else "states"
    return f"has {what} from CLOSRTECH that Meta does not know: {_quoted(codes)}"


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f"“{text}”" for text in texts)


def of_several(text: str) -> str:
    """Return a predicate of one thing as that of several."""
    verb, _, rest = text.partition(" ")
    return f"{ {'was': 'were', 'has': 'have', 'is': 'are', 'contains': 'contain'}.get(verb, verb) } {rest}"


def in_the_past(text: str) -> str:
    """Return a predicate as one of what is over."""
    verb, _, rest = text.partition(" ")
    return f"{ {'has': 'had', 'is': 'was'}.get(verb, verb) } {rest}"


def learning(result: RunResult, still: str) -> str:
    """Return what the changes mean for Meta's learning phase; empty without any. `still` names who had not left it."""
    if not (count := result.restarts_learning):
        return ""
    starts = "would start" if result.dry_run else "starts" if count == 1 else "start"
    said = f"{several(count, 'ad set')} {starts} Meta's learning phase again, so leads may cost more for some days."
    return f"{said} {len(result.still_learning)} had not left it yet: {still}." if still else said


def several(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def times(count: int) -> str:
    """Return how often something happened."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def time_of(moment: datetime) -> str:
    """Return the weekday and the time of a moment, such as “Mon 6:30 am”."""
    return f"{moment:%a} {clock_time(moment)}"


def plan_notice(plan_id: str, stage: str) -> str:
    """Return how whoever runs CLOSRADS has the plan of a dry run carried out; empty if it cannot be approved.

    The command names its stage, for the shell of whoever copies it may work on another one.
    """
    if not plan_id:
        return ""
    event = f'{{"action": "sync", "dry_run": false, "plan_id": "{plan_id}"}}'
    of_stage = f" --stage {stage}" if stage else ""
    return (
        f"Plan {plan_id}: to carry out exactly these changes, run "
        f"`python -m closrads run live --plan {plan_id}{of_stage}`, or hand the function {event}. "
        "If they have become others by then, nothing is changed."
    )


def token_notice(days_left: int | None) -> str:
    """Return what whoever runs CLOSRADS has to do about a token that ends; empty while there is time."""
    if days_left is None or days_left >= TOKEN_NOTICE_DAYS:
        return ""
    when = f"in {several(days_left, 'day')}" if days_left > 0 else "today, or has ended"
    return (
        f"An access token of Meta ends {when}, and then nothing is updated or checked. Run "
        "the command doctor, which names it, and put a new one that never expires."
    )


def api_notice(days_left: int | None) -> str:
    """Return what whoever runs CLOSRADS has to do about the version of Meta's API; empty while there is time."""
    if days_left is None or days_left >= API_NOTICE_DAYS:
        return ""
    when = f"ends in about {several(days_left, 'day')}" if days_left > 0 else "has come to its end"
    return (
        f"The version of Meta's API that CLOSRADS uses {when}. Get the latest state of CLOSRADS, deploy it, and run "
        "its command doctor."
    )
