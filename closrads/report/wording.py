"""The texts of the report: labels of actions and results, the boxes they appear in, and the advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from closrads.domain.changes import ChangeState
from closrads.domain.request import PUSH, Action
from closrads.domain.results import Result, RunResult
from closrads.domain.switches import SwitchedOff


@dataclass(frozen=True, slots=True)
class Kind:
    """Results that share a box."""

    tone: str
    title: str
    advice: str
    results: tuple[Result, ...]


LABELS = {
    Result.UPDATED: "updated",
    Result.UNCHANGED: "unchanged",
    Result.SKIPPED_PREFLIGHT: "skipped before the run",
    Result.NEEDS_ATTENTION: "needs attention",
    Result.NOT_ACTIVE: "not active now",
    Result.ENDED: "ended",
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
    Result.UNCHANGED: "unchanged",
}
ROLLBACK_FAILED_KIND = Kind(
    "red",
    "Rollback failed",
    "Look at these ad sets in Ads Manager now: they are NOT proven to be as they were. Each live run tries again, but "
    "do not wait for that.",
    (Result.ROLLBACK_FAILED,),
)
KINDS = (
    Kind(
        "red",
        "Failed",
        "These ad sets could not be updated and are as they were. See to the reason below; the next run tries again.",
        (Result.FAILED,),
    ),
    Kind(
        "red",
        "Changed by somebody else, or not verified",
        "Look at these ad sets in Ads Manager: this run could not confirm what they target, or how their ads do.",
        (Result.SUPERSEDED, Result.UNVERIFIED),
    ),
    Kind(
        "red",
        "Updated, then put back as before",
        "The update could not be kept, for the reason below. The targeting was restored and the ads are healthy: only "
        "not updated today. If the same ad is named again tomorrow, look at it in Ads Manager.",
        (Result.REVERTED,),
    ),
    Kind(
        "orange",
        "Skipped: broken before the run",
        "These ad sets have an ad that was broken before, so they were left alone. Repair that ad in Ads Manager; the "
        "next run tries again.",
        (Result.SKIPPED_PREFLIGHT,),
    ),
    Kind(
        "orange",
        "Needs attention",
        "These ad sets cannot follow the demand until somebody does what is said below.",
        (Result.NEEDS_ATTENTION,),
    ),
    Kind(
        "grey",
        "Reaches beyond its states",
        "Meta may show these ads outside the states as well; it was set so in Ads Manager and is left as it is.",
        (Result.UPDATED, Result.UNCHANGED),
    ),
    Kind(
        "grey",
        "Left for the next run",
        "Nothing is wrong with these ad sets: this run did not get to them, for the reason below. They are as they "
        "were, and the next run takes them first.",
        (Result.DEFERRED,),
    ),
    Kind(
        "grey",
        "Left alone",
        "These ad sets were not touched, for the reason below.",
        (Result.HELD, Result.NOT_ACTIVE),
    ),
    Kind(
        "grey",
        "Ended",
        "The end date of these ad sets, or of their Meta campaign, is past, so they were left alone. If one is to run "
        "again, give it a later end in Ads Manager; the next run takes it.",
        (Result.ENDED,),
    ),
)


def _kinds_but(*others: Kind) -> tuple[Kind, ...]:
    """Return the kinds of a sync, except for those that `others` replace, followed by `others`."""
    replaced = {result for other in others for result in other.results}
    return tuple(kind for kind in KINDS if replaced.isdisjoint(kind.results)) + others


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts for an action and its results."""

    name: str
    labels: Mapping[Result, str]
    """Label of a single ad set, by result."""
    counted: Mapping[Result, str]
    """Label after a count, by result; the most important results first."""
    always: tuple[Result, ...]
    """Results whose count is shown even if it is zero."""
    kinds: tuple[Kind, ...]
    nothing: str
    """Text for a run without changes."""
    no_adsets: str
    """Text for a campaign without ad sets."""
    about: str = ""
    """Text that names the run concerned; `{}` stands for its id."""
    signs: str = ""
    """Meaning of + and −; empty if they are today's changes."""
    noted: str = ""
    """Label of an unchanged ad set with issues; empty if such issues are harmless."""


_OF_RECHECK = {Result.UNCHANGED: "still healthy", Result.REVERTED: "put back", Result.DEFERRED: "not looked at"}
_OF_UNDO = {
    Result.UPDATED: "put back",
    Result.UNCHANGED: "already as before",
    Result.REVERTED: "not put back",
    Result.NEEDS_ATTENTION: "not put back",
    Result.DEFERRED: "deferred",
}
WORDINGS = {
    Action.SYNC: Wording(
        name="",
        labels=LABELS,
        counted=COUNTED,
        always=(Result.UPDATED, Result.UNCHANGED, Result.SKIPPED_PREFLIGHT, Result.REVERTED, Result.DEFERRED),
        kinds=KINDS,
        nothing="nothing to change",
        no_adsets="It has no active ad set.",
    ),
    Action.RECHECK: Wording(
        name="recheck",
        labels=LABELS | _OF_RECHECK,
        counted=COUNTED | _OF_RECHECK,
        always=(Result.UNCHANGED, Result.REVERTED),
        kinds=_kinds_but(
            Kind(
                "red",
                "Broken since the update",
                "Ads of these ad sets were healthy when the run ended and broke later, so the update cannot stay. Look "
                "at the ad that is named below in Ads Manager.",
                (Result.REVERTED,),
            ),
            Kind(
                "orange",
                "Ads that no longer run",
                "They ran before the update and do not now. They were left so, for somebody may want it: if nobody "
                "does, switch them on in Ads Manager.",
                (Result.UPDATED, Result.UNCHANGED),
            ),
            Kind(
                "grey",
                "Not looked at",
                "Start the recheck again for these ad sets.",
                (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
            ),
        ),
        nothing="nothing to put back",
        no_adsets="There was nothing to look at again.",
        about="Looked again at run {}.",
        signs="+ and − are what that run had added and taken away:",
        noted="with an ad that no longer runs",
    ),
    Action.UNDO: Wording(
        name="undo",
        labels=LABELS | _OF_UNDO | {Result.SKIPPED_PREFLIGHT: "skipped before the undo"},
        counted=COUNTED | _OF_UNDO,
        always=(Result.UPDATED,),
        kinds=_kinds_but(
            Kind(
                "red",
                "Not put back: the undo could not be kept",
                "For the reason below, the targeting is again what it was before the undo.",
                (Result.REVERTED,),
            ),
            Kind(
                "orange",
                "Skipped: broken before the undo",
                "These ad sets have a broken ad. Repair it in Ads Manager, then start the undo again.",
                (Result.SKIPPED_PREFLIGHT,),
            ),
            Kind("orange", "Not put back", "These ad sets stay as they are now.", (Result.NEEDS_ATTENTION,)),
            Kind(
                "grey",
                "Not put back yet",
                "These ad sets were not touched. Start the undo again for them.",
                (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
            ),
        ),
        nothing="nothing to put back",
        no_adsets="There was nothing to put back.",
        about="Undo of run {}.",
        signs="+ and − are what the undo adds and takes away:",
    ),
}
DONE = frozenset({"updated", "put back"})
"""Labels that a dry run prefixes with “would be”."""
LIFTED = {
    "max_removed_pct": "more of the states may be taken away at once than usual",
    "reverted_before": "ad sets that were put back twice are tried again",
}
"""What a run may do, by the limit that was lifted."""
PAUSED = "paused since {}"
PAUSED_TITLE = "Paused since {}: no targeting is changed"
PAUSED_ADVICE = (
    "What has been begun is brought to its end, and ads that break are still put right. The ad sets keep the states "
    "that they have until whoever runs CLOSRADS resumes it."
)
OFF_ADVICE = (
    "The ad sets of these campaigns keep the states that they have, whatever the demand, until whoever runs CLOSRADS "
    "switches them on."
)
EMPTY_ADVICE = (
    "No ad set of these campaigns is active in Ads Manager, so nothing follows the demand there. If that is not "
    "wanted, switch the ad sets on, or their Meta campaign."
)
LONG_OFF = timedelta(days=7)
"""Time after which a campaign that is off is told more visibly: it may have been forgotten."""
REASONS = {PUSH: "asked for by a notice from Meta · "}
"""Why a run began, in the foot of its report."""
DEAD_TOKEN = "Meta no longer accepts the access token"  # noqa: S105 - no secret
RENEW_TOKEN = f"{DEAD_TOKEN}: ask whoever runs CLOSRADS to renew it (code 190)."
HAD_BEEN_SET = "States that had been set: {}"
"""For an ad set that may still have the states of a failed change."""
NOT_CHANGED = "Not changed; + and − are what was wanted:"
NOT_CERTAIN = "Not known to be as before, nor as wanted; + and − are what had been tried:"
API_NOTICE_DAYS = 120
"""Days before the end of a version of Meta's API from which the report names it, as the alarm ApiVersionEnds does."""
RECOVERY_LABELS = {
    ChangeState.VERIFIED: "finished and healthy",
    ChangeState.ROLLED_BACK: "put back, its ads are healthy",
    ChangeState.SUPERSEDED: "changed by somebody else since, left so",
    ChangeState.NOT_WRITTEN: "had not been changed",
}


def day_of(moment: datetime, result: RunResult) -> str:
    """Return the day of a moment, with its year if that is not the run's."""
    return f"{moment.day} {moment:%b}" + (f" {moment.year}" if moment.year != result.started_at.year else "")


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


def enumerated(counts: Mapping[str, int]) -> str:
    """Return counts by their words as part of a sentence."""
    return ", ".join(f"{count} {word}" for word, count in counts.items())


TOKEN_NOTICE_DAYS = 14


def token_notice(days_left: int | None) -> str:
    """Return what whoever runs CLOSRADS has to do about a token that ends; empty while there is time."""
    if days_left is None or days_left >= TOKEN_NOTICE_DAYS:
        return ""
    when = f"in {days_left} day{'' if days_left == 1 else 's'}" if days_left > 0 else "today, or has ended"
    return (
        f"For whoever runs CLOSRADS: an access token of Meta ends {when}, and then nothing is updated or checked. Run "
        "the command doctor, which names it, and put a new one that never expires."
    )


def api_notice(days_left: int | None) -> str:
    """Return what whoever runs CLOSRADS has to do about the version of Meta's API; empty while there is time."""
    if days_left is None or days_left >= API_NOTICE_DAYS:
        return ""
    when = f"ends in about {days_left} day{'' if days_left == 1 else 's'}" if days_left > 0 else "has come to its end"
    return (
        f"For whoever runs CLOSRADS: the version of Meta's API that it uses {when}. Get the latest state of CLOSRADS, "
        "deploy it, and run its command doctor."
    )
