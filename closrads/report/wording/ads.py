"""Texts of the boxes about ads."""

import re
from dataclasses import dataclass

from closrads.report.wording.jargon import without_jargon
from closrads.report.wording.kinds import Kind, Statement, Who

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
    "Meta had paused these ads after a change, and its activity log showed this only later. If Meta pauses them "
    "again, choose the ad's lead form again in Ads Manager.",
)
ON_AGAIN_TEXT = "was switched on again"
OFF_ADS_TEXT = "was switched off after a change of its ad set on {}, and Meta does not say by whom"
AD_UNKNOWN = Kind(
    "orange",
    "Could not be checked",
    Who.YOU,
    ("Open the ad, and check whether it is on and shows no problem.",),
)
UNPAID = Kind(
    "orange",
    "Not running: billing",
    Who.YOU,
    ("In Ads Manager, open Billing & payments.", "Complete what Meta asks for there; the ads then run by themselves."),
)
_AD_REASONS = (
    (re.compile(r"^PENDING_BILLING_INFO$"), Statement(UNPAID, "does not run, because Meta waits for billing details")),
    (re.compile(r"3390001|lead form", re.IGNORECASE), Statement(LOST_FORM, "has lost its lead form")),
    (re.compile(r"^DISAPPROVED\b|disapproved", re.IGNORECASE), Statement(REJECTED, "was rejected by Meta")),
    (re.compile(r"nobody can tell by whom"), Statement(AD_OFF, "was switched off, and Meta does not say by whom")),
    (re.compile(r"ran before, is PAUSED"), Statement(AD_OFF, "was on before, and is off now")),
    (re.compile(r"Meta has paused it|is PAUSED now"), Statement(AD_PROBLEM, "was switched off by Meta")),
    (re.compile(r"could not be re-published"), Statement(AD_PROBLEM, "could not be published again")),
    (re.compile(r"is not re-published yet"), Statement(AD_PROBLEM, "has not been published again yet")),
    (
        re.compile(r"a status that is not known|cannot be read|not be read"),
        Statement(AD_UNKNOWN, "could not be checked"),
    ),
)
_AD_ISSUE = re.compile(r"Ad “(.*?)” \((\w*)\): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AdIssue:
    """A raw issue that is about an ad."""

    name: str
    id: str
    said: Statement


def ad_issue(issue: str) -> AdIssue | None:
    """Return the statement about an ad that a raw issue contains; None if it is about the ad set."""
    if not (found := _AD_ISSUE.fullmatch(issue)):
        return None
    name, ad_id, reason = found.groups()
    for pattern, said in _AD_REASONS:
        if pattern.search(reason):
            return AdIssue(name, ad_id, said)
    quoted = without_jargon(re.sub(r"^[A-Z_]+: ", "", re.sub(r" ?\(#\d+\)", "", reason)))
    return AdIssue(name, ad_id, Statement(AD_PROBLEM, f"has a problem: {quoted}" if quoted else "has a problem"))
