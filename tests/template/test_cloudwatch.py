"""The evaluation of alarms that other tests rely on, against the tables of the CloudWatch User Guide."""

import pytest

from tests.template.cloudwatch import ALARM, DAY, HOUR, MINUTE, OK, UNKNOWN, Alarm, Metrics, Point, Reading, state_after
from tests.template.stack import Json, series

BEFORE = "the state before"
METRIC = series("N", "M", {})
STRICT, WIDE = Reading(0, False, 3), Reading(2, False, 3)


@pytest.mark.parametrize(
    ("data", "to_alarm", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", 3, OK, OK, OK, OK),
        ("----0", 3, OK, OK, OK, OK),
        ("-----", 3, UNKNOWN, BEFORE, ALARM, OK),
        ("0XX-X", 3, ALARM, ALARM, ALARM, ALARM),
        ("--X--", 3, ALARM, BEFORE, ALARM, OK),
        ("0-X-X", 2, ALARM, ALARM, ALARM, ALARM),
        ("00X0X", 2, ALARM, ALARM, ALARM, ALARM),
        ("0-X--", 2, OK, OK, ALARM, OK),
        ("----0", 2, OK, OK, ALARM, OK),
        ("---X-", 2, ALARM, BEFORE, ALARM, OK),
    ],
)
def test_missing_data_is_treated_as_in_the_tables(  # noqa: PLR0913, PLR0917 - the columns of the tables
    data: str, to_alarm: int, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    """Of an alarm with three evaluation periods and an evaluation range of five; X breaches, - is missing."""
    range_ = [{"0": False, "X": True, "-": None}[each] for each in data]
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}

    assert {how: state_after(BEFORE, range_, 3, to_alarm, how) for how in expected} == expected


def alarm(*, period: int, periods: int = 1, missing: str = "notBreaching", expression: str = "", **more: Json) -> Alarm:
    """Return an alarm for one or more."""
    stated: Json = {"Metric": {"Namespace": "N", "MetricName": "M", "Dimensions": []}, "Period": period, "Stat": "Sum"}
    metrics: Json = [{"Id": "m", "MetricStat": stated, "ReturnData": not expression}]
    if expression:
        metrics.append({"Id": "e", "Expression": expression, "ReturnData": True})
    usual = {"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 1, "Metrics": metrics}
    return Alarm({**usual, "EvaluationPeriods": periods, "TreatMissingData": missing, "AlarmDescription": "", **more})


def told(*minutes: int, value: float = 1, late: int = 0) -> Metrics:
    """Return a metric that was told at these minutes, and came so many minutes late."""
    metrics = Metrics()
    for minute in minutes:
        metrics.add(METRIC, Point(minute * MINUTE, value, (minute + late) * MINUTE))
    return metrics


def minutes(rings: list[float]) -> list[float]:
    """Return moments in minutes."""
    return [ring / MINUTE for ring in rings]


def test_a_wider_evaluation_range_keeps_an_alarm_on() -> None:
    """So a second trouble is not told, although the first has left the evaluation period; unless gaps are filled."""
    twice = told(10, 20)

    assert minutes(alarm(period=300).rings(twice, 0, HOUR, STRICT)) == [11, 21]
    assert minutes(alarm(period=300).rings(twice, 0, HOUR, WIDE)) == [11]
    assert minutes(alarm(period=300, expression="FILL(m, 0)").rings(twice, 0, HOUR, WIDE)) == [11, 21]


def test_what_comes_later_than_an_alarm_looks_back_is_not_heard() -> None:
    """A window moves on each minute."""
    assert minutes(alarm(period=300, expression="FILL(m, 0)").rings(told(10, late=4), 0, HOUR, STRICT)) == [14]
    assert minutes(alarm(period=300, expression="FILL(m, 0)").rings(told(10, late=6), 0, HOUR, STRICT)) == []


def test_an_alarm_over_several_days_is_evaluated_once_an_hour_up_to_the_last_full_hour() -> None:
    """The guide's example: a failure at 10:02 is seen at 11:03."""
    over_days = alarm(period=HOUR, periods=25, DatapointsToAlarm=1)

    assert minutes(over_days.rings(told(602), 0, DAY, STRICT)) == [663]


def test_a_warm_up_delays_the_first_evaluation() -> None:
    """An alarm that misses data from the start rings only then."""
    silence = alarm(
        period=900, missing="breaching", ComparisonOperator="LessThanThreshold",
        WarmUpConfiguration={"WarmUpPeriodDurationInMinutes": 120},
    )  # fmt: skip

    assert minutes(silence.rings(Metrics(), 0, DAY, STRICT)) == [120]


@pytest.mark.parametrize("expression", ["FILL(m, 0)", "SUM(FILL(METRICS(), 0))"])
def test_a_metric_without_any_data_may_not_be_filled(expression: str) -> None:
    """Then it counts as missing."""
    filled = alarm(period=300, missing="breaching", expression=expression)
    nothing = Reading(0, fills_nothing=True, minute=3)

    assert filled.rings(Metrics(), 0, HOUR, STRICT) == []
    assert minutes(filled.rings(Metrics(), 0, HOUR, nothing)) == [0]
