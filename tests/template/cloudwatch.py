"""CloudWatch's evaluation of alarms, as the CloudWatch User Guide documents it, over metrics that a test makes up.

Sources: "Alarm evaluation" (states, M of N, alarms over several days), "Alarm evaluation window" (a sliding window that
each evaluation moves on), "Configuring how CloudWatch alarms treat missing data" (the evaluation range), "Alarm warm-up
periods", and "Using math expressions" (`FILL`, `SUM`). What they leave open is in `Reading`: a test tries every one.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from operator import attrgetter, ge, gt, lt
from typing import TypeAlias

from tests.template.stack import Json, Series, series_of

MINUTE, HOUR, DAY = 60, 3600, 86_400
"""Seconds."""
OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
Value: TypeAlias = float | None
"""Of one period; None if there is no data."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": ge,
    "GreaterThanThreshold": gt,
    "LessThanThreshold": lt,
}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {"Sum": sum, "Maximum": max, "Minimum": min}
_FILL = re.compile(r"FILL\((\w+), (\d+)\)")
_ONE_WITHOUT_THE_OTHER = re.compile(r"IF\(FILL\((\w+), 0\) > 0 AND FILL\((\w+), 0\) < 1, 1, 0\)")
_SUM_OF_FILLED = re.compile(r"SUM\(FILL\(METRICS\(\), (\d+)\)\)")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; times are in seconds."""

    at: float
    """Its timestamp."""
    value: float
    seen: float
    """When CloudWatch has it."""


@dataclass
class Metrics:
    """What has been told of each metric."""

    points: dict[Series, list[Point]] = field(default_factory=dict)

    def add(self, metric: Series, point: Point) -> None:
        """Add a value, wherever it belongs in time."""
        insort(self.points.setdefault(metric, []), point, key=attrgetter("at"))

    def told(self, metric: Series, statistic: str) -> "Told":
        """Return the statistic of a metric of which nothing more is told."""
        return Told(self.points.get(metric, ()), _STATISTICS[statistic])

    def changes(self, metric: Series, period: int, count: int) -> set[int]:
        """Return the minutes at which one of the last `count` periods may have another value than a minute before."""
        return {
            -int(-moment // MINUTE) * MINUTE
            for point in self.points.get(metric, [])
            for moment in (
                point.seen,
                *(point.at + back * period + late for back in range(count + 1) for late in (0, 1)),
            )
        }


class Told:
    """One statistic of a metric, period by period."""

    def __init__(self, points: Sequence[Point], statistic: Callable[[Sequence[float]], float]) -> None:
        self._points = points
        self._times = [point.at for point in points]
        self._statistic = statistic
        self._settled: dict[tuple[float, float], Value] = {}
        """Values of periods about which everything has been told."""

    def values(self, edges: Sequence[float], now: float) -> list[Value]:
        """Return the statistic of each period between two edges, as far as its values have come by `now`."""
        settled = self._settled
        return [settled[each] if each in settled else self._value(*each, now) for each in pairwise(edges)]

    def _value(self, start: float, end: float, now: float) -> Value:
        first = bisect_left(self._times, start)
        last = bisect_left(self._times, end, first)
        values = [point.value for point in self._points[first:last] if point.seen <= now]
        value = self._statistic(values) if values else None
        if len(values) == last - first and end <= now:
            self._settled[start, end] = value
        return value


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read what AWS leaves open."""

    extra_periods: int
    """How much longer than its evaluation periods an alarm's evaluation range is."""
    fills_nothing: bool
    """Whether `FILL` gives values for a metric that has none in the whole range."""
    minute: int
    """Of the hour, at which an alarm over several days is evaluated."""


READINGS = (Reading(0, False, 3), Reading(2, True, 59))


def state_after(state: str, breaching: Sequence[bool | None], periods: int, to_alarm: int, missing: str) -> str:
    """Return an alarm's state after an evaluation.

    Parameters
    ----------
    breaching
        Of each period of the evaluation range, the oldest first; None if its data is missing.
    periods, to_alarm
        N and M of "M out of N".
    missing
        `TreatMissingData`.
    """
    real = [each for each in breaching if each is not None][-periods:]
    filled = periods - len(real)
    bad = sum(real) + filled * (missing == "breaching")
    if bad >= to_alarm:
        return ALARM
    if not filled or missing in {"breaching", "notBreaching"}:
        return OK
    if not all(real):
        return OK
    if missing == "ignore":
        return state
    return ALARM if real else UNKNOWN


@dataclass(frozen=True)
class Alarm:
    """An alarm as the template has it."""

    properties: Json

    def __post_init__(self) -> None:
        assert self.periods * self.period <= 7 * DAY, "CloudWatch looks back seven days at most"
        assert self.period >= HOUR or self.periods * self.period <= DAY, (
            "and one day, if a period is shorter than an hour"
        )

    @property
    def text(self) -> str:
        """What the mail says."""
        return str(self.properties["AlarmDescription"])

    @cached_property
    def periods(self) -> int:
        """N of "M out of N"."""
        return int(self.properties["EvaluationPeriods"])

    @cached_property
    def _stated(self) -> Mapping[str, Json]:
        return {each["Id"]: each["MetricStat"] for each in self.properties["Metrics"] if "MetricStat" in each}

    @cached_property
    def period(self) -> int:
        """Seconds of one period, which all metrics of an alarm share."""
        (period,) = {int(each["Period"]) for each in self._stated.values()}
        return period

    @cached_property
    def _series(self) -> Mapping[str, Series]:
        """The metrics by their ids."""
        return {name: series_of(each) for name, each in self._stated.items()}

    def promise(self) -> tuple[float, float]:
        """Return the seconds after a trouble, or after the last sign of life, between which its text says it rings."""
        if found := re.search(r"this fires within (\d+) minutes", self.text):
            return 0, int(found[1]) * MINUTE
        found = re.match(r"For (\d+)(?: to (\d+))? hours,", self.text)
        assert found, f"it does not say when it fires: {self.text}"
        least = int(found[1]) * HOUR
        return least, int(found[2]) * HOUR if found[2] else least + 10 * MINUTE

    def rings(self, metrics: Metrics, start: float, end: float, reading: Reading) -> list[float]:
        """Return the moments at which a message goes out: whenever the alarm goes on, and never while it stays on."""
        state, rings = UNKNOWN, []
        warm_up = self.properties.get("WarmUpConfiguration", {"WarmUpPeriodDurationInMinutes": 0})
        start += int(warm_up["WarmUpPeriodDurationInMinutes"]) * MINUTE
        over_days = self.periods * self.period > DAY
        if over_days:
            start += (reading.minute * MINUTE - start) % HOUR
        moments = range(int(start), int(end), HOUR if over_days else MINUTE)
        told = {name: metrics.told(self._series[name], each["Stat"]) for name, each in self._stated.items()}
        for now in moments if over_days else self._changes(metrics, moments, reading):
            before, state = state, self._state(told, now, state, reading, now - now % HOUR if over_days else now)
            if state == ALARM != before:
                rings.append(float(now))
        return rings

    def _changes(self, metrics: Metrics, moments: range, reading: Reading) -> list[int]:
        """Leave out the moments at which the evaluation must come to what it came to a minute before."""
        count = self.periods + reading.extra_periods
        some = (metrics.changes(each, self.period, count) for each in self._series.values())
        return [*moments[:1], *sorted(moment for moment in set().union(*some) if moments.start < moment < moments.stop)]

    def _state(self, told: Mapping[str, Told], now: float, state: str, reading: Reading, until: float) -> str:
        count = self.periods + reading.extra_periods
        edges = [until - self.period * back for back in range(count, -1, -1)]
        values = {name: each.values(edges, now) for name, each in told.items()}
        is_bad = self._is_bad
        shown = [None if value is None else is_bad(value) for value in self._shown(values, reading)]
        return state_after(state, shown, self.periods, self._to_alarm, self.properties["TreatMissingData"])

    @cached_property
    def _to_alarm(self) -> int:
        return int(self.properties.get("DatapointsToAlarm", self.periods))

    @cached_property
    def _is_bad(self) -> Callable[[float], bool]:
        compare, threshold = _COMPARISONS[self.properties["ComparisonOperator"]], float(self.properties["Threshold"])
        return lambda value: compare(value, threshold)

    @cached_property
    def _shown(self) -> Callable[[Mapping[str, Sequence[Value]], Reading], Sequence[Value]]:
        """What gives the values that are compared, from those of each metric."""
        (shown,) = (each for each in self.properties["Metrics"] if each["ReturnData"])
        if "MetricStat" in shown:
            name = shown["Id"]
            return lambda values, _: values[name]
        if one := _FILL.fullmatch(shown["Expression"]):
            filled, by = one[1], float(one[2])
            return lambda values, reading: _filled(values[filled], by, reading)
        if pair := _ONE_WITHOUT_THE_OTHER.fullmatch(shown["Expression"]):
            return partial(_one_without_the_other, pair.groups())
        every = _SUM_OF_FILLED.fullmatch(shown["Expression"])
        assert every, f"this evaluation does not know {shown['Expression']}"
        return partial(_sum_of_filled, float(every[1]))


def _one_without_the_other(
    names: Sequence[str], values: Mapping[str, Sequence[Value]], reading: Reading
) -> Sequence[Value]:
    one_by_one = zip(*(_filled(values[name], 0, reading) for name in names), strict=True)
    return [None if one is None or other is None else float(one > 0 and other < 1) for one, other in one_by_one]


def _sum_of_filled(by: float, values: Mapping[str, Sequence[Value]], reading: Reading) -> Sequence[Value]:
    columns = zip(*(_filled(each, by, reading) for each in values.values()), strict=True)
    known = ([value for value in column if value is not None] for column in columns)
    return [sum(column) if column else None for column in known]


def _filled(values: Sequence[Value], by: float, reading: Reading) -> Sequence[Value]:
    if reading.fills_nothing and all(value is None for value in values):
        return values
    return [by if value is None else value for value in values]
