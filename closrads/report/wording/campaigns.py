"""Texts of the boxes about campaigns: why one was not updated, or has nothing to update."""

import re
from dataclasses import replace

from closrads.report.wording.kinds import FORWARD, OPERATOR, RUNS_AS_BEFORE, TRIED_AGAIN, Kind, Statement, Who


def _operator(title: str, *steps: str, tone: str = "red") -> Kind:
    return Kind(tone, title, Who.OPERATOR, steps or (FORWARD,), f"{RUNS_AS_BEFORE} {TRIED_AGAIN}")


def _you(title: str, *steps: str) -> Kind:
    return Kind("red", title, Who.YOU, steps, f"{RUNS_AS_BEFORE} {TRIED_AGAIN}")


def _partner(title: str) -> Kind:
    return _you(title, "If it happens again tomorrow, ask CLOSRTECH.")


NOT_BEGUN_AS_BEFORE = "Ad sets that were not started keep the states from before."
NO_RUN = "The daily run could not be done"
NO_SYNC_BY_HAND = "A sync started by hand could not be done"
NO_UNDO = "An undo could not be done"
"""Beginnings of the error of a run that failed before it had a report."""
_CAMPAIGN_ERRORS = tuple(
    (re.compile(pattern, re.IGNORECASE), Statement(kind, text))
    for pattern, kind, text in (
        *(
            (
                title,
                Kind("red", title, Who.OPERATOR, (FORWARD,), "The ads are left as they are until the next run."),
                text,
            )
            for title, text in (
                (NO_RUN, "could not do the daily run"),
                (NO_SYNC_BY_HAND, "could not do a sync that was started by hand"),
                (NO_UNDO, "could not do an undo"),
            )
        ),
        (
            "^Removed with open changes",
            Kind(
                "red",
                "Removed with a change unfinished",
                Who.OPERATOR,
                (FORWARD,),
                "CLOSRADS can neither finish nor undo the change.",
            ),
            "was removed from CLOSRADS with a change unfinished",
        ),
        (
            "^Nothing is known",
            Kind(
                "red",
                "Interrupted",
                Who.OPERATOR,
                (FORWARD,),
                "The next run first finishes or undoes what is half done.",
            ),
            "was interrupted, and nobody knows how much was done",
        ),
        (
            r"\[Meta (?:4|17|32|341|800\d\d)[]/]",
            Kind(
                "red",
                "Meta allowed no more for now",
                Who.NOBODY,
                (),
                f"{RUNS_AS_BEFORE} Meta limits how many calls are allowed in a given time. {TRIED_AGAIN}",
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
            r"^There is nothing to undo",
            Kind(
                "red",
                "Nothing was undone",
                Who.OPERATOR,
                (f"Forward this mail to {OPERATOR}: its end says what can be undone, and how.",),
                "The ads keep the states they have.",
            ),
            "was not undone, because the last run left nothing changed there",
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
            "was not updated, because no state has enough leads to count as wanted",
        ),
        (
            r"no demand in any state|no region for any state|empty",
            _you("No demand at all", "Ask CLOSRTECH whether that is right: its list of states is empty."),
            "was not updated, because CLOSRTECH has no demand in any state",
        ),
        (
            r"CLOSRTECH refuses",
            _operator("CLOSRTECH refuses CLOSRADS"),
            "was not updated, because CLOSRTECH refused to send its demand",
        ),
        (
            r"CLOSRTECH (?:gave no answer|is in trouble)",
            _partner("CLOSRTECH did not answer"),
            "was not updated, because CLOSRTECH did not send its demand",
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
                NOT_BEGUN_AS_BEFORE,
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
_OTHER_ERROR = Statement(_operator("Could not be updated"), "was not updated")


def campaign_error(error: str) -> Statement:
    """Return the statement for a raw error that concerns a whole campaign."""
    return next((said for pattern, said in _CAMPAIGN_ERRORS if pattern.search(error)), _OTHER_ERROR)


def midway(said: Statement) -> Statement:
    """Return the statement for a campaign that may have been changed in part before the error."""
    note = said.kind.note.replace(RUNS_AS_BEFORE, NOT_BEGUN_AS_BEFORE)
    return replace(said, kind=replace(said.kind, note=note), text=re.sub("^was not updated", "was stopped", said.text))


LEFT_TO = Kind("grey", "Left to another run", Who.NOBODY, (), "Another run is working there, or was until just now.")
LEFT_TO_TEXT = "was left to another run"
EMPTY = Kind(
    "orange",
    "No active ad set",
    Who.YOU,
    ("If it should run, switch on its ad sets or their Meta campaign in Ads Manager.",),
    "Nothing follows the demand there.",
)
EMPTY_TEXT = "has no active ad set"
NOBODY_LEFT = Kind(
    "grey",
    "A name on the leave-alone list matches no ad set",
    Who.OPERATOR,
    (f"Forward this mail to {OPERATOR}: the name is at its end.",),
    "If such an ad set is only switched off, there is nothing to do. If a name is misspelled, the ad set that was "
    "meant is changed like the others.",
)
NOBODY_LEFT_TEXT = "has a name on its leave-alone list that matches no active ad set"
ALL_OPTED_OUT = Kind(
    "orange",
    "Every ad set is left alone",
    Who.OPERATOR,
    (f"If some should follow the demand, ask {OPERATOR} to change the names that are left alone.",),
    "Nothing follows the demand there.",
)
ALL_OPTED_OUT_TEXT = "has only ad sets that are left alone"
NO_EFFECT = Kind(
    "orange",
    "A setting under a misspelled name",
    Who.OPERATOR,
    (FORWARD,),
    "Such a setting is ignored. If a campaign was meant to be turned off, that campaign is still being updated.",
)
NO_EFFECT_TEXT = "has no effect"
