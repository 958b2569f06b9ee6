"""The schedules: when they fire, what they send, and what becomes of a run that cannot start."""

import json
import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from closrads.domain.schedule_times import SCHEDULE_OFF
from tests.template.stack import ROOT, Deploy, Json, Stack, heard_by, of_type, series

SCHEDULES = ["SyncFunctionDaily", "SyncFunctionRecheck"]
TWO_YEARS = 2 * 366


def time_of_day(stack: Stack, schedule: str) -> time:
    """Give the time at which a schedule fires every day, by EventBridge's six fields; fail if it is none."""
    expression = stack[schedule]["Properties"]["ScheduleExpression"]
    fields = re.fullmatch(r"cron\((\d+) (\d+) \* \* \? \*\)", expression)
    assert fields, f"{expression} does not fire once every day"
    return time(hour=int(fields[2]), minute=int(fields[1]))


def odd_days(at: time, zone: str) -> int:
    """Count the days of the coming two years on which a local time does not come, or comes twice."""
    today = datetime.now(tz=UTC).date()
    moments = [datetime.combine(today + timedelta(days), at, ZoneInfo(zone)) for days in range(TWO_YEARS)]
    return sum(moment.utcoffset() != moment.replace(fold=1).utcoffset() for moment in moments)


@pytest.mark.parametrize("schedules", ["ON", "OFF", None])
def test_nothing_runs_by_itself_until_a_deploy_says_so(
    deploy: Deploy,
    stage: str,
    fleet: bool,  # noqa: FBT001 - pytest gives it by its name
    schedules: str | None,
) -> None:
    """A first deploy starts nothing in any stage; daily run and recheck, or the workflow, are on together."""
    given = {"Schedules": schedules} if schedules else {}
    stack = deploy(Stage=stage, Fleet=str(fleet).lower(), **given)
    states = {name: schedule["State"] for name, schedule in of_type(stack, "AWS::Scheduler::Schedule").items()}

    awake = "ENABLED" if schedules == "ON" else "DISABLED"
    expected = dict.fromkeys(SCHEDULES, "DISABLED" if fleet else awake)
    assert states == (expected | {"FleetRunDaily": awake} if fleet else expected)


@pytest.mark.parametrize("schedule", [*SCHEDULES, "FleetRunDaily"])
def test_a_schedule_keeps_local_time_and_its_name_to_itself(deploy: Deploy, schedule: str) -> None:
    """The report's dates and all schedules share one time zone, and two stacks do not collide."""
    stack = deploy(ScheduleTimezone="America/Chicago", Fleet="true")
    properties = stack[schedule]["Properties"]

    assert properties["ScheduleExpressionTimezone"] == "America/Chicago"
    assert stack["SyncFunction"]["Properties"]["Environment"]["Variables"]["CLOSRADS_TIMEZONE"] == "America/Chicago"
    assert "Name" not in properties


@pytest.mark.parametrize("fleet", ["true", "false"])
def test_the_report_knows_when_the_next_run_is(deploy: Deploy, fleet: str) -> None:
    """The function may not ask Scheduler, so it is told; with schedules that are off, there is no next run."""
    for given, expected in (({"Schedules": "ON"}, "cron(0 9 * * ? *)"), ({}, SCHEDULE_OFF)):
        stack = deploy(ScheduleExpression="cron(0 9 * * ? *)", Fleet=fleet, **given)

        assert stack["SyncFunction"]["Properties"]["Environment"]["Variables"]["CLOSRADS_SCHEDULE"] == expected


def test_each_schedule_can_be_moved_by_itself(deploy: Deploy) -> None:
    """Each parameter moves the schedule that it is named for."""
    moved = deploy(ScheduleExpression="cron(0 9 * * ? *)", RecheckScheduleExpression="cron(45 9 * * ? *)", Fleet="true")

    assert [moved[name]["Properties"]["ScheduleExpression"] for name in [*SCHEDULES, "FleetRunDaily"]] == [
        "cron(0 9 * * ? *)",
        "cron(45 9 * * ? *)",
        "cron(0 9 * * ? *)",
    ]


def test_the_recheck_comes_every_half_hour_and_never_with_the_run(stack: dict[str, Json]) -> None:
    """Meta breaks ads minutes or hours after a change; and a recheck at the run's own minute could hold a campaign."""
    expression = stack["SyncFunctionRecheck"]["Properties"]["ScheduleExpression"]
    fields = re.fullmatch(r"cron\((\d+)/(\d+) \* \* \* \? \*\)", expression)
    assert fields, f"{expression} does not fire at regular minutes of every hour"
    minutes = set(range(int(fields[1]), 60, int(fields[2])))

    assert minutes == {15, 45}
    assert time_of_day(stack, "SyncFunctionDaily").minute not in minutes


def test_the_daily_run_comes_exactly_once_on_each_day(stack: dict[str, Json]) -> None:
    """By default it does not fall into the hour that daylight saving skips or repeats."""
    daily = stack["SyncFunctionDaily"]

    assert time_of_day(stack, "SyncFunctionDaily") == time(6, 30)
    assert odd_days(time_of_day(stack, "SyncFunctionDaily"), daily["Properties"]["ScheduleExpressionTimezone"]) == 0


@pytest.mark.parametrize("at", [time(1, 30), time(2, 30)], ids=["repeated in autumn", "skipped in spring"])
def test_an_hour_that_daylight_saving_moves_would_be_noticed(at: time) -> None:
    """Such an hour is odd on some day of two years, so the test above can fail."""
    assert odd_days(at, "America/New_York") > 0


@pytest.mark.parametrize(
    ("schedule", "action", "file"),
    [
        ("SyncFunctionDaily", "sync", "scheduled-live"),
        ("SyncFunctionRecheck", "recheck", "scheduled-recheck"),
        ("FleetRunDaily", "sync", "scheduled-live"),
    ],
)
def test_a_schedule_sends_the_event_that_is_tested(deploy: Deploy, schedule: str, action: str, file: str) -> None:
    """The file in `events/` is the schedule's own input, but for the time that Scheduler fills in."""
    target = deploy(Fleet="true")[schedule]["Properties"]["Target"]
    sent = json.loads(target["Input"])
    example = json.loads((ROOT / "events" / f"{file}.json").read_text())

    started = {"Ref": "FleetRun"} if schedule == "FleetRunDaily" else {"Fn::GetAtt": ["SyncFunction", "Arn"]}
    assert target["Arn"] == started
    assert sent.pop("scheduled") == "<aws.scheduler.scheduled-time>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", example.pop("scheduled"))
    assert sent == example == {"action": action, "dry_run": False}


@pytest.mark.parametrize("schedule", [*SCHEDULES, "FleetRunDaily"])
def test_a_run_that_cannot_start_is_kept(deploy: Deploy, schedule: str) -> None:
    """Scheduler tries again within the hour, then leaves the event where an alarm watches."""
    stack = deploy(Fleet="true")
    target = stack[schedule]["Properties"]["Target"]

    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["MissedRuns", "Arn"]}
    assert heard_by(stack["MissedRun"]["Properties"]) == [
        series("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "${MissedRuns.QueueName}"})
    ]
