"""Texts about a pause, and about campaigns that are off."""

from datetime import timedelta

from closrads.domain.results import RunResult
from closrads.domain.switches import SwitchedOff
from closrads.report.wording.kinds import OPERATOR, Kind, Who
from closrads.report.wording.phrases import day_of

PAUSED = "paused since {}"
PAUSED_KIND = Kind(
    "orange",
    "Updates paused",
    Who.OPERATOR,
    (f"To resume updates, ask {OPERATOR}.",),
    "The ads keep running in the states they have.",
)
PAUSED_TEXT = f"has been {PAUSED}: no new changes are made"
OFF = Kind(
    "grey",
    "Updates off",
    Who.NOBODY,
    (),
    f"The ads keep running in the states they have until {OPERATOR} turns updates on again.",
)
OFF_LONG = Kind(
    "orange",
    "Updates off for a long time",
    Who.OPERATOR,
    (f"To have its states follow the demand, ask {OPERATOR} to turn it on.",),
    "The ads keep running in the states they have, whatever the demand.",
)
OFF_TEXT = "has been off in CLOSRADS {}"
LONG_OFF = timedelta(days=7)
"""Time after which a campaign that is off is shown more prominently, because it may have been forgotten."""
STOPPED_BY_SWITCH = Kind(
    "grey",
    "Stopped before the end",
    Who.NOBODY,
    (),
    f"Ad sets that were not started keep the states from before until {OPERATOR} turns updates on again.",
)
PAUSED_MIDWAY = "was not finished, because CLOSRADS was paused by then"
OFF_MIDWAY = "was switched off during the run"
NOT_BEGUN = "Not begun: "
"""Beginning of an issue that says that a switch kept the ad set from being started."""


def is_long_off(switch: SwitchedOff, result: RunResult) -> bool:
    """Return whether a campaign has been off for so long that it may have been forgotten."""
    return bool(switch.slug) and result.started_at - switch.since > LONG_OFF


def how_long(switch: SwitchedOff, result: RunResult) -> str:
    """Return since when, or for how many days, a campaign has been off."""
    if is_long_off(switch, result):
        return f"for {(result.started_at - switch.since).days} days"
    return f"since {day_of(switch.since, result)}"
