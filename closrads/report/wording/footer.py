"""Texts at the end of the mail: the next run, and why the reader gets the mail."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.schedule_times import SCHEDULE_OFF, parse_schedule
from closrads.report.wording.kinds import OPERATOR
from closrads.report.wording.phrases import clock_time, day_of

WHY_MAIL = f"You get this mail because CLOSRADS sets the states of your ads. To stop these mails, ask {OPERATOR}."
NO_NEXT_RUN = "No next run: the daily schedule is off."
CLOCKS_DIFFER = timedelta(minutes=1)
"""Time after the end of a run within which a scheduled start may be its own, and so does not count as the next."""


def next_run(result: RunResult, schedule: str, timezone: ZoneInfo) -> str:
    """Return when the next daily run starts; empty if the schedule is unknown or invalid."""
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
