"""The alarms: what they listen to, when they ring, and whom they tell what."""

import pytest

from closrads.domain.metrics import MAIL_FAILED, ROLLBACK_FAILED, RUN_SUCCEEDED
from closrads.observability import NAMESPACE
from tests.template.stack import AWS_EMITS, Deploy, Json, Series, alarms_of, heard_by, series

ONE_IS_ENOUGH = {
    "RunFailed": ("AWS/Lambda", "Errors", "Sum"),
    "MissedRun": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "LostRun": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "RollbackFailed": (NAMESPACE, ROLLBACK_FAILED, "Sum"),
    "MailFailed": (NAMESPACE, MAIL_FAILED, "Sum"),
}


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

    assert watching["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    assert f"${{{queue}.QueueName}}" in watching["AlarmDescription"]


def test_silence_rings_after_a_day_and_not_at_the_first_deploy(deploy: Deploy) -> None:
    """Missing data is bad news, over the 25 hours of an autumn day and one more, once the first of them have passed."""
    silence = deploy(Stage="prod")["Silence"]["Properties"]
    hours = silence["EvaluationPeriods"] * silence["Period"] / 3600

    assert (silence["MetricName"], silence["Statistic"]) == (RUN_SUCCEEDED, "Sum")
    assert silence["Period"] >= 3600, "CloudWatch lets shorter periods look back one day at most"
    assert hours == 26
    assert silence["TreatMissingData"] == "breaching"
    assert (silence["ComparisonOperator"], silence["Threshold"]) == ("LessThanThreshold", 1)
    assert silence["WarmUpConfiguration"] == {"WarmUpPeriodDurationInMinutes": hours * 60}


def test_one_sign_of_trouble_is_enough_and_none_is_fine(stack: dict[str, Json]) -> None:
    """An alarm rings at the first error, lost run or failed rollback, and not for want of data between daily runs."""
    alarms = alarms_of(stack)
    alarms.pop("Silence", None)
    alarms.pop("FleetFailed", None)

    assert alarms.keys() == {*ONE_IS_ENOUGH, "NearTimeout"}
    for name, metric in ONE_IS_ENOUGH.items():
        alarm = alarms[name]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == metric
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert {(each["EvaluationPeriods"], each["TreatMissingData"]) for each in alarms.values()} == {(1, "notBreaching")}


def test_a_workflow_that_does_not_end_well_is_noticed(deploy: Deploy) -> None:
    """Failed, timed out or stopped by somebody, one of each is enough; no execution is no news."""
    alarm = deploy(Fleet="true")["FleetFailed"]["Properties"]
    (shown,) = (each for each in alarm["Metrics"] if each["ReturnData"])
    added = [each["MetricStat"] for each in alarm["Metrics"] if not each["ReturnData"]]

    assert shown["Expression"] == "SUM(METRICS())"
    assert heard_by(alarm) == [
        series("AWS/States", name, {"StateMachineArn": "${FleetRun}"})
        for name in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")
    ]
    assert {(each["Stat"], each["Period"]) for each in added} == {("Sum", 300)}
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching")


def test_a_long_run_is_noticed_before_it_is_cut_off(stack: dict[str, Json]) -> None:
    """The alarm stands at four fifths of the time-out, whatever that is."""
    alarm = stack["NearTimeout"]["Properties"]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Lambda", "Duration", "Maximum")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Threshold"] == 0.8 * stack["SyncFunction"]["Properties"]["Timeout"] * 1000


@pytest.mark.parametrize("alarm", ["RunFailed", "NearTimeout"])
def test_what_is_told_late_is_still_heard(stack: dict[str, Json], alarm: str) -> None:
    """Lambda dates its metrics back to the start of the run.

    An alarm that looks back less than the longest run takes would miss just those that were cut off. Five minutes more
    are for the way of the metric; and it must be over when the recheck comes, so that this one can ring by itself.
    """
    timeout = stack["SyncFunction"]["Properties"]["Timeout"]

    assert timeout + 300 <= stack[alarm]["Properties"]["Period"] < 30 * 60
