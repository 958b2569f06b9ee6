"""The dashboard: a month at a glance, of metrics that there are."""

import json
from itertools import combinations
from typing import Any

import pytest

from closrads.domain.metrics import API_DAYS_LEFT, TOKEN_DAYS_LEFT
from tests.template.stack import AWS_EMITS, Json, Series, alarms_of, series

Widget = dict[str, Any]


@pytest.fixture
def body(stack: dict[str, Json]) -> Json:
    """Read what CloudWatch is given, but for the names that only a deployed stack knows."""
    return json.loads(stack["Dashboard"]["Properties"]["DashboardBody"])


def of_kind(body: Json, kind: str) -> list[Json]:
    """Give the properties of all widgets of one type."""
    return [widget["properties"] for widget in body["widgets"] if widget["type"] == kind]


def shown_by(widget: Json) -> list[Series]:
    """Give the metrics of a widget; a dot stands for what is above it."""
    shown = []
    above: list[str] = []
    for metric in widget["metrics"]:
        names = [name for name in metric if isinstance(name, str)]
        above = [above[place] if name == "." else name for place, name in enumerate(names)]
        namespace, name, *dimensions = above
        shown.append(series(namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))))
    return shown


def test_it_shows_what_is_emitted_all_of_it_and_nothing_else(
    body: Json,
    emitted: set[Series],
    fleet: bool,  # noqa: FBT001
) -> None:
    """A metric by another name is an empty graph, which looks like good news; one that is left out is not seen."""
    shown = {metric for widget in of_kind(body, "metric") for metric in shown_by(widget)}

    assert shown - emitted - AWS_EMITS == set()
    assert emitted - shown == set()
    assert any(namespace == "AWS/States" for namespace, _, _ in shown) == fleet
    assert {each for each in AWS_EMITS if each[0] == "AWS/Lambda"} <= shown, "a run that dies prints no metric itself"


def test_it_shows_every_alarm_of_its_stage(body: Json, stack: dict[str, Json]) -> None:
    """Also the one that exists with the schedules on only: an unknown name would keep the stack from deploying."""
    (widget,) = of_kind(body, "alarm")

    assert sorted(widget["alarms"]) == sorted(f"${{{name}.Arn}}" for name in alarms_of(stack))


def test_it_says_how_to_read_it(body: Json, stage: str) -> None:
    """Somebody who sees it for the first time learns what should be 0 and where to look."""
    (text,) = (widget["markdown"] for widget in of_kind(body, "text"))

    assert text.startswith(f"## CLOSRADS {stage}\n")
    assert [name for name in ("Skipped", "Reverted", "Rollback failed", "${SyncLogs}") if name not in text] == []


def test_it_shows_a_month_by_days(body: Json) -> None:
    """One bar for the run of the day; the largest count of states is that run's, for a recheck asks for none."""
    by_day = [widget for widget in of_kind(body, "metric") if widget["view"] == "timeSeries"]
    (totals,) = (widget for widget in of_kind(body, "metric") if widget["view"] == "singleValue")

    stats = {"StatesWithDemand": "Maximum", "Duration": "Maximum", API_DAYS_LEFT: "Minimum", TOKEN_DAYS_LEFT: "Minimum"}
    assert (body["start"], body["periodOverride"]) == ("-P1M", "inherit")
    assert {widget["period"] for widget in by_day} == {24 * 3600}
    assert (totals["stat"], totals["setPeriodToTimeRange"]) == ("Sum", True)
    for widget in by_day:
        (stat,) = {stats.get(name, "Sum") for _, name, _ in shown_by(widget)}
        assert widget["stat"] == stat


def test_the_lines_beside_the_duration_are_where_they_say(body: Json, stack: dict[str, Json]) -> None:
    """They move with the time-out and with the alarm."""
    (marked,) = (widget for widget in of_kind(body, "metric") if "annotations" in widget)
    lines = {line["label"]: line["value"] for line in marked["annotations"]["horizontal"]}

    assert {name for _, name, _ in shown_by(marked)} == {"Duration"}
    assert lines == {
        "NearTimeout": stack["NearTimeout"]["Properties"]["Threshold"],
        "cut off": stack["SyncFunction"]["Properties"]["Timeout"] * 1000,
    }


def test_each_widget_has_a_place_of_its_own(body: Json) -> None:
    """The page is 24 columns wide, and nothing lies upon something else."""

    def overlap(one: Widget, other: Widget) -> bool:
        return all(
            one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
            for start, size in (("x", "width"), ("y", "height"))
        )

    assert max(widget["x"] + widget["width"] for widget in body["widgets"]) == 24
    assert [(one, other) for one, other in combinations(body["widgets"], 2) if overlap(one, other)] == []


def test_it_stays_free_of_charge_and_to_itself(body: Json, stack: dict[str, Json]) -> None:
    """A dashboard counts as one of an account's free ones up to 50 metrics; names are shared by all Regions."""
    widgets = of_kind(body, "metric")

    assert sum(len(shown_by(widget)) for widget in widgets) <= 50
    assert {widget["region"] for widget in widgets} == {"${AWS::Region}"}
    assert stack["Dashboard"]["Properties"]["DashboardName"] == "${AWS::StackName}-${AWS::Region}"
