"""Texts about the states in the demand: unknown, unreadable, with too few leads, waiting."""

from collections.abc import Sequence

from closrads.domain.damping import WaitingState
from closrads.domain.results import RunResult
from closrads.report.wording.kinds import Kind, Who
from closrads.report.wording.phrases import date_of

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
    "Waiting to see whether demand lasts",
    Who.NOBODY,
    (),
    "Each change of states makes Meta learn again, so states are added or removed only once that has lasted. Days "
    "without a live run do not count.",
)
COUNTS_ANEW = Kind(
    "grey",
    "The wait starts over",
    Who.NOBODY,
    (),
    "What CLOSRADS had recorded of the days before could not be read. The ads keep the states they have until the days "
    "have passed.",
)
COUNTS_ANEW_TEXT = "has started counting again for how long each state has been wanted"
TOO_FEW_LEADS = "Too few leads to count as wanted"


def waits(names: Sequence[str], waiting: WaitingState, result: RunResult) -> str:
    """Return what is done with states that wait like `waiting`, as a predicate about their campaign.

    A dry run counts its day as if it were live, so its text adds the condition under which the date is right.
    """
    is_one = len(names) == 1
    who = names[0] if is_one else f"{', '.join(names[:-1])} and {names[-1]}"
    they, stay, have = ("it", "stays", "has") if is_one else ("they", "stay", "have")
    what, wanted = ("add", "wanted") if waiting.is_wanted else ("remove", "unwanted")
    due, since = date_of(waiting.due, result), date_of(waiting.since, result)
    will, condition = ("would", ", with a live run every day from today on") if result.dry_run else ("will", "")
    return f"{will} {what} {who} on {due} if {they} {stay} {wanted}, as {they} {have} been since {since}{condition}"


def unreadable_states(entries: Sequence[str]) -> str:
    """Return the text about a campaign whose demand has entries that are no state's name."""
    what = (
        "a name from CLOSRTECH that is not a state" if len(entries) == 1 else "names from CLOSRTECH that are not states"
    )
    return f"has {what}: {_quoted(entries)}"


def unknown_states(codes: Sequence[str]) -> str:
    """Return the text about a campaign with demand in states that Meta has no region for."""
    what = "a state" if len(codes) == 1 else "states"
    return f"has {what} from CLOSRTECH that Meta does not know: {_quoted(codes)}"


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f"“{text}”" for text in texts)
