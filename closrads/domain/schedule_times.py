"""PURE: the next start of an EventBridge Scheduler schedule (its User Guide, "Schedule types")."""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

MAX_MONTHS = 9 * 12
"""Number of months to search for a time: 29 February may be eight years away, across 2100."""
SCHEDULE_OFF = "OFF"
"""Replaces an expression if the schedule is off."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SATURDAY = 7
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, in local time."""

    minutes: Sequence[int]
    hours: Sequence[int]
    days: Callable[[int, int], frozenset[int]]
    """Returns the days of a month, given the year and the month."""
    months: frozenset[int]
    years: frozenset[int]

    def next_time(self, zone: ZoneInfo, now: datetime) -> datetime | None:
        """Return the first time after `now`, in `zone`; None if there is none within `MAX_MONTHS`.

        A time that daylight saving skips is skipped; one that it repeats counts once (User Guide, "Daylight savings
        time").
        """
        later = (
            moment for moment in self._times(zone, now.astimezone(zone).date()) if moment.timestamp() > now.timestamp()
        )
        return next(later, None)

    def _times(self, zone: ZoneInfo, first: date) -> Iterator[datetime]:
        for index in range(MAX_MONTHS):
            year, month = divmod(first.year * 12 + first.month - 1 + index, 12)
            if year not in self.years or month + 1 not in self.months:
                continue
            for day, hour, minute in product(sorted(self.days(year, month + 1)), self.hours, self.minutes):
                moment = datetime(year, month + 1, day, hour, minute, tzinfo=zone)
                if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment.replace(tzinfo=None):
                    yield moment


def parse_schedule(expression: str) -> Cron | timedelta:
    """Return a cron expression, or the interval of a rate expression.

    Raises
    ------
    ValueError
        The expression is malformed, or has a form that the User Guide does not describe.
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return timedelta(**{f"{rate[2]}s": int(rate[1])})
    cron = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression)
    if not cron:
        raise ValueError(f"{expression} is no schedule")
    minutes, hours, of_month, months, of_week, years = map(str.upper, cron.groups())
    if (of_month == "?") is (of_week == "?"):
        raise ValueError("one of the two days must be ?")
    return Cron(
        sorted(_numbers(minutes, 0, 59)),
        sorted(_numbers(hours, 0, 23)),
        _days_of_week(of_week) if of_month == "?" else _days_of_month(of_month),
        _numbers(months, 1, 12, _MONTHS),
        _numbers(years, _FIRST_YEAR, _LAST_YEAR),
    )


def _numbers(field: str, low: int, high: int, names: Sequence[str] = ()) -> frozenset[int]:
    """Return the numbers of a field such as `*`, `5,7`, `MON-FRI`, `15/30`; `names` are those from `low` on."""
    found: set[int] = set()
    for item in field.split(","):
        parts = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", item)
        if not parts:
            raise ValueError(f"{item} is no number")
        first, last, step = parts.groups()
        start = low if first == "*" else _number(first, low, high, names)
        end = _number(last, low, high, names) if last else high if first == "*" or step else start
        numbers = range(start, end + 1, int(step or 1))
        if not numbers:
            raise ValueError(f"{item} ends before it begins")
        found.update(numbers)
    return frozenset(found)


def _number(text: str, low: int, high: int, names: Sequence[str]) -> int:
    number = names.index(text) + low if text in names else int(text)
    if not low <= number <= high:
        raise ValueError(f"{text} is not between {low} and {high}")
    return number


def _days_of_month(field: str) -> Callable[[int, int], frozenset[int]]:
    items = field.split(",")
    nearest = [_number(item[:-1], 1, 31, ()) for item in items if item.endswith("W")]
    numbered = [item for item in items if item != "L" and not item.endswith("W")]
    numbers = _numbers(",".join(numbered), 1, 31) if numbered else frozenset()

    def days(year: int, month: int) -> frozenset[int]:
        last = monthrange(year, month)[1]
        found = {day for day in numbers if day <= last}
        found |= {_nearest_weekday(year, month, day) for day in nearest if day <= last}
        return frozenset(found | ({last} if "L" in items else set()))

    return days


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Return the day from Monday to Friday that is nearest to a day, in the same month."""
    last = monthrange(year, month)[1]
    near = (day, day - 1, day + 1, day - 2, day + 2)
    return next(each for each in near if 1 <= each <= last and date(year, month, each).isoweekday() <= 5)  # noqa: PLR2004 - Friday


def _days_of_week(field: str) -> Callable[[int, int], frozenset[int]]:
    items = field.split(",")
    special = [parts for item in items if (parts := re.fullmatch(r"(\w+)(?:#([1-5])|L)", item))]
    numbered = [(_number(parts[1], 1, 7, _WEEKDAYS), int(parts[2]) - 1 if parts[2] else -1) for parts in special]
    marked = {parts[0] for parts in special}
    ranges = [item for item in items if item not in {*marked, "L"}]
    weekdays = _numbers(",".join(ranges), 1, 7, _WEEKDAYS) if ranges else frozenset()
    weekdays |= {_SATURDAY} if "L" in items else set()

    def days(year: int, month: int) -> frozenset[int]:
        by_weekday: dict[int, list[int]] = {}
        for day in range(1, monthrange(year, month)[1] + 1):
            by_weekday.setdefault(date(year, month, day).isoweekday() % 7 + 1, []).append(day)
        found = {day for weekday in weekdays for day in by_weekday[weekday]}
        return frozenset(found.union(*(by_weekday[weekday][index : index + 1 or None] for weekday, index in numbered)))

    return days
