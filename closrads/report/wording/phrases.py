"""Times, counts and grammatical forms, for all parts of the mail and for the commands."""

from datetime import date, datetime

from closrads.domain.results import RunResult


def day_of(moment: datetime, result: RunResult) -> str:
    """Return the day of a moment, with its year if that is not the run's."""
    return f"{moment.day} {moment:%b}" + (f" {moment.year}" if moment.year != result.started_at.year else "")


def clock_time(moment: datetime) -> str:
    """Return the time of day, such as “6:30 am”."""
    return f"{moment.hour % 12 or 12}:{moment:%M} {'ap'[moment.hour // 12]}m"


def day_and_time(moment: datetime, result: RunResult) -> str:
    """Return the day of a moment, as `day_of` does, and its time of day."""
    return f"{day_of(moment, result)}, {clock_time(moment)}"


def time_of(moment: datetime) -> str:
    """Return the weekday and the time of a moment, such as “Mon 6:30 am”."""
    return f"{moment:%a} {clock_time(moment)}"


def date_of(day: date, result: RunResult) -> str:
    """Return a day, with its year if that is not the run's."""
    return f"{day.day} {day:%b}" + (f" {day.year}" if day.year != result.started_at.year else "")


def several(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural if needed."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def times(count: int) -> str:
    """Return how often something happened."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def of_several(text: str) -> str:
    """Return a predicate about one thing in its plural form."""
    verb, _, rest = text.partition(" ")
    return f"{ {'was': 'were', 'has': 'have', 'is': 'are', 'contains': 'contain'}.get(verb, verb) } {rest}"


def in_the_past(text: str) -> str:
    """Return a predicate in the past tense."""
    verb, _, rest = text.partition(" ")
    return f"{ {'has': 'had', 'is': 'was'}.get(verb, verb) } {rest}"
