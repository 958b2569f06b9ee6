"""The alarms: what they listen to, when they ring, and whom they tell what."""

import re

import pytest

from closrads.domain.metrics import (
    API_DAYS_LEFT,
    MAIL_FAILED,
    RECHECK_SUCCEEDED,
    ROLLBACK_FAILED,
    RUN_SUCCEEDED,
    TOKEN_DAYS_LEFT,
)
from closrads.observability import NAMESPACE
from closrads.report.wording.appendix import API_NOTICE_DAYS, TOKEN_NOTICE_DAYS
from tests.template.stack import AWS_EMITS, ROOT, Deploy, Json, Series, alarms_of, heard_by, series

ONE_IS_ENOUGH = {
    "RunFailed": ("AWS/Lambda", "Errors", "Sum"),
    "MissedRun": ("AWS/SQS", "NumberOfMessagesSent", "Sum"),
    "LostRun": ("AWS/SQS", "NumberOfMessagesSent", "Sum"),
    "RollbackFailed": (NAMESPACE, ROLLBACK_FAILED, "Sum"),
    "MailFailed": (NAMESPACE, MAIL_FAILED, "Sum"),
}
SILENCES = {"Silence": RUN_SUCCEEDED, "RecheckSilence": RECHECK_SUCCEEDED}


def heard(alarm: Json) -> Json:
    """Give the only `MetricStat` of an alarm."""
    (stated,) = (each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each)
    return stated


def metric(alarm: Json) -> tuple[str, str, str]:
    """Name the metric of an alarm, and its statistic."""
    stated = heard(alarm)
    return stated["Metric"]["Namespace"], stated["Metric"]["MetricName"], stated["Stat"]


def test_every_alarm_reaches_a_person_and_says_what_to_do_first(stack: dict[str, Json]) -> None:
    """An alarm goes to the topic, which CloudWatch may publish to only without the AWS-managed key."""
    for alarm in alarms_of(stack).values():
        assert alarm["AlarmActions"] == [{"Ref": "Alerts"}]
        assert " First " in alarm["AlarmDescription"]
        assert len(alarm["AlarmDescription"]) < 1024
    assert "KmsMasterKeyId" not in stack["Alerts"]["Properties"]


def test_an_address_is_subscribed_when_it_is_given(deploy: Deploy) -> None:
    """The alarms of a stack with AlertEmail go to that address."""
    subscription = deploy(AlertEmail="on-call@example.com")["AlertSubscription"]["Properties"]

    assert subscription == {"TopicArn": {"Ref": "Alerts"}, "Protocol": "email", "Endpoint": "on-call@example.com"}


def test_every_alarm_listens_to_a_metric_that_is_emitted(stack: dict[str, Json], emitted: set[Series]) -> None:
    """An alarm with another name, or with one dimension more or less than the metric, hears nothing, for ever."""
    heard = [(name, each) for name, alarm in alarms_of(stack).items() for each in heard_by(alarm)]

    assert [(name, each) for name, each in heard if each not in emitted | AWS_EMITS] == []
    assert len({each for _, each in heard}) == len(heard), "two alarms listen to the same"


@pytest.mark.parametrize(("alarm", "queue"), [("MissedRun", "MissedRuns"), ("LostRun", "FailedRuns")])
def test_each_queue_has_its_alarm(stack: dict[str, Json], alarm: str, queue: str) -> None:
    """What could not be started and what failed are two things, and each alarm sends its reader to the right queue."""
    watching = stack[alarm]["Properties"]

    assert heard_by(watching) == [series("AWS/SQS", "NumberOfMessagesSent", {"QueueName": f"${{{queue}.QueueName}}"})]
    assert f"${{{queue}.QueueName}}" in watching["AlarmDescription"]


@pytest.mark.parametrize("name", SILENCES)
@pytest.mark.parametrize(
    ("fleet", "hours"),
    [("false", {"Silence": 26, "RecheckSilence": 3}), ("true", {"Silence": 30, "RecheckSilence": 36})],
)
def test_silence_rings_in_time_and_not_at_the_first_deploy(
    deploy: Deploy, name: str, fleet: str, hours: dict[str, int]
) -> None:
    """Missing data is bad news, once as much time has passed as the alarm looks back, or all that CloudWatch allows."""
    silence = deploy(Schedules="ON", Fleet=fleet)[name]["Properties"]
    period = heard(silence)["Period"]

    assert metric(silence) == (NAMESPACE, SILENCES[name], "Sum")
    assert silence["EvaluationPeriods"] * period == hours[name] * 3600
    assert period >= 3600 or hours[name] <= 24, "CloudWatch lets shorter periods look back one day at most"
    assert silence["TreatMissingData"] == "breaching"
    assert (silence["ComparisonOperator"], silence["Threshold"]) == ("LessThanThreshold", 1)
    minutes = 2880 if (name, fleet) == ("RecheckSilence", "true") else hours[name] * 60
    assert silence["WarmUpConfiguration"] == {
        "WarmUpPeriodDurationInMinutes": minutes,
        "OnlyStartEvaluatingAfterWarmUpPeriodEnds": True,
    }


def test_one_sign_of_trouble_is_enough_and_none_is_fine(stack: dict[str, Json]) -> None:
    """An alarm rings at the first error, lost run or failed rollback, and not for want of data between daily runs."""
    alarms = alarms_of(stack)
    for other in (*SILENCES, "FleetFailed", "ApiVersionEnds", "TokenEnds"):
        alarms.pop(other, None)

    assert alarms.keys() == {*ONE_IS_ENOUGH, "NearTimeout"}
    for name, expected in ONE_IS_ENOUGH.items():
        alarm = alarms[name]
        assert metric(alarm) == expected
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert {(each["DatapointsToAlarm"], each["TreatMissingData"]) for each in alarms.values()} == {(1, "notBreaching")}


def test_what_fails_every_hour_rings_once(deploy: Deploy) -> None:
    """An alarm stays on until an hour has passed without, with the longest run and what is told late.

    Not much longer, or what comes hours later would not ring. Its text says how long.
    """
    alarms = alarms_of(deploy(Stage="prod", Schedules="ON", Webhook="true", Fleet="true"))
    held = {name: alarm for name, alarm in alarms.items() if "DatapointsToAlarm" in alarm}
    for alarm in held.values():
        (period,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
        minutes = alarm["EvaluationPeriods"] * period // 60

        assert 60 + 15 + 15 < minutes < 120
        assert "stays on while" in " ".join(alarm["AlarmDescription"].split())
        assert f"within {minutes} minutes of each other" in alarm["AlarmDescription"]
    assert held.keys() == {*ONE_IS_ENOUGH, "NearTimeout", "FleetFailed", "PushRefused"}


def test_a_workflow_that_does_not_end_well_is_noticed(deploy: Deploy) -> None:
    """Failed, timed out or stopped by somebody, one of each is enough; no execution is no news."""
    alarm = deploy(Fleet="true")["FleetFailed"]["Properties"]
    (shown,) = (each for each in alarm["Metrics"] if each["ReturnData"])
    added = [each["MetricStat"] for each in alarm["Metrics"] if not each["ReturnData"]]

    assert shown["Expression"] == "SUM(FILL(METRICS(), 0))"
    assert heard_by(alarm) == [
        series("AWS/States", name, {"StateMachineArn": "${FleetRun}"})
        for name in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")
    ]
    assert {(each["Stat"], each["Period"]) for each in added} == {("Sum", 900)}
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert (alarm["DatapointsToAlarm"], alarm["TreatMissingData"]) == (1, "notBreaching")


def test_a_long_run_is_noticed_before_it_is_cut_off(stack: dict[str, Json]) -> None:
    """The alarm stands at four fifths of the time-out, whatever that is."""
    alarm = stack["NearTimeout"]["Properties"]

    assert metric(alarm) == ("AWS/Lambda", "Duration", "Maximum")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Threshold"] == 0.8 * stack["SyncFunction"]["Properties"]["Timeout"] * 1000


@pytest.mark.parametrize("alarm", ["RunFailed", "NearTimeout"])
def test_what_is_told_late_is_still_heard(stack: dict[str, Json], alarm: str) -> None:
    """Lambda dates its metrics back to the start of the run.

    An alarm whose periods are shorter than the longest run would promise to ring before that has ended. Five minutes
    more are for the way of the metric.
    """
    timeout = stack["SyncFunction"]["Properties"]["Timeout"]

    assert timeout + 300 <= heard(stack[alarm]["Properties"])["Period"]


@pytest.mark.parametrize(
    ("name", "listens_to", "days"),
    [("ApiVersionEnds", API_DAYS_LEFT, API_NOTICE_DAYS), ("TokenEnds", TOKEN_DAYS_LEFT, TOKEN_NOTICE_DAYS)],
)
def test_an_end_is_told_by_alarm_and_mail_from_the_same_day(
    stack: dict[str, Json], name: str, listens_to: str, days: int
) -> None:
    """Once it is so, it stays so until a run says otherwise, whether runs come or not."""
    alarm = stack[name]["Properties"]

    assert metric(alarm) == (NAMESPACE, listens_to, "Minimum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", days)
    assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "ignore")


def test_every_alarm_is_in_the_runbook(deploy: Deploy) -> None:
    """Whoever is woken by its name finds it there."""
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page.partition("## By word")[0], re.MULTILINE)

    assert sorted(rows) == sorted(alarms_of(deploy(Stage="prod", Schedules="ON", Webhook="true", Fleet="true")))
