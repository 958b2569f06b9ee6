"""The checks of what is deployed: schedules, queues of failed runs, alarms, and who receives them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError

from closrads.cli.doctor.deployed_code import NAME, check_code
from closrads.cli.doctor.findings import Check, Clients, Finding, failed, not_checked, ok, summarize_names, warning
from closrads.cli.environment import StageLocation, stack_name
from closrads.domain.schedule_times import parse_schedule
from closrads.redaction import one_line

PROD = "prod"
"""The only stage whose schedules are on by default (template.yaml)."""
PENDING = "PendingConfirmation"
"""Replaces a subscription's ARN until its owner has confirmed it (SNS API reference, "Subscribe")."""
DEPLOY = "deploy the stack: README, “Go live”"
_SCHEDULES = {"SyncFunctionDaily": "schedule daily run", "SyncFunctionRecheck": "schedule recheck"}
_SCHEDULES_OF_FLEET = {"FleetRunDaily": "schedule daily run"}
"""The workflow does its own rechecks, and the function's schedules are off."""
_QUEUES = {
    "MissedRuns": ("runs that a schedule could not start", "start them by hand, a sync before its recheck"),
    "FailedRuns": ("runs that failed, or that Lambda never started", "do what the alarm LostRun says"),
    "LostPushes": (
        "notices of Meta whose recheck failed again and again",
        "do what the alarm RunFailed says, then purge it",
    ),
}


@dataclass(slots=True)
class StackState:
    """The resources of the stage's stack; filled in by `check_stack`."""

    resources: Mapping[str, Mapping[str, str]] | None = None
    """By type, the physical ids by logical id; None if they are unknown."""

    def of_type(self, kind: str) -> Mapping[str, str]:
        """Return the physical ids of the resources of a type, by logical id."""
        return (self.resources or {}).get(kind, {})


def check_stack(place: StageLocation, clients: Clients, state: StackState) -> Iterator[Finding]:
    """List the resources of the stage's stack, and store them in `state`."""
    name = f"stack {stack_name(place.stage)}"
    cloudformation = clients["cloudformation"]
    try:
        found = cloudformation.describe_stack_resources(StackName=stack_name(place.stage))["StackResources"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        said = f"does not exist in {cloudformation.meta.region_name}: nothing starts by itself"
        yield warning(name, said, f"check --stage and the Region; {DEPLOY}")
        return
    by_type: dict[str, dict[str, str]] = {}
    for each in found:
        by_type.setdefault(each["ResourceType"], {})[each["LogicalResourceId"]] = each.get("PhysicalResourceId", "")
    state.resources = by_type
    yield ok(name, f"{len(found)} resources")


def checks_of_stack(place: StageLocation, state: StackState, clients: Clients, now: datetime) -> Iterator[Check]:
    """Yield the checks of what is deployed; `check_stack` must have run before."""
    if state.resources is None:
        yield not_checked("schedules, queues, alarms", f"the stack {stack_name(place.stage)}")
        return
    if function := state.of_type("AWS::Lambda::Function").get("SyncFunction"):
        yield Check(NAME, partial(check_code, function, clients), "lambda:GetFunction")
    schedules = state.of_type("AWS::Scheduler::Schedule")
    for logical, name in (_SCHEDULES_OF_FLEET if "FleetRunDaily" in schedules else _SCHEDULES).items():
        if physical := schedules.get(logical):
            run = partial(check_schedule, name, physical, clients, now, is_prod=place.stage == PROD)
            yield Check(name, run, "scheduler:GetSchedule")
    for logical, url in state.of_type("AWS::SQS::Queue").items():
        if logical in _QUEUES:
            yield Check(f"queue {logical}", partial(check_queue, logical, url, clients), "sqs:GetQueueAttributes")
    if alarms := state.of_type("AWS::CloudWatch::Alarm"):
        yield Check("alarms", partial(check_alarms, alarms, clients), "cloudwatch:DescribeAlarms")
    for topic in state.of_type("AWS::SNS::Topic").values():
        yield Check("alerts", partial(check_alerts, topic, clients), "sns:ListSubscriptionsByTopic")


def check_schedule(name: str, schedule: str, clients: Clients, now: datetime, *, is_prod: bool) -> Iterator[Finding]:
    """Check whether a schedule is on, and when it next starts."""
    try:
        found = clients["scheduler"].get_schedule(Name=schedule)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield _gone(name, "EventBridge Scheduler")
        return
    expression = one_line(found["ScheduleExpression"])
    if found.get("State", "ENABLED") != "ENABLED":
        if is_prod:
            remedy = "to switch the schedules on, deploy with Schedules=ON"
            yield warning(name, f"is off: nothing starts by itself ({expression})", remedy)
        else:
            yield ok(name, "is off")
        return
    try:
        zone = ZoneInfo(found.get("ScheduleExpressionTimezone", "UTC"))
        times = parse_schedule(expression)
    except (LookupError, OSError, ValueError):
        remedy = "look at it in EventBridge Scheduler"
        yield warning(name, f"is on; its next start cannot be computed here: {expression}", remedy)
        return
    if isinstance(times, timedelta):
        yield ok(name, f"every {expression.removeprefix('rate(').removesuffix(')')}")
    elif moment := times.next_time(zone, now):
        yield ok(name, f"next on {moment:%a} {moment.day} {moment:%b %Y, %H:%M} ({zone.key})")
    else:
        yield failed(name, f"never starts again: {expression}", f"give another schedule, and {DEPLOY}")


def check_queue(queue: str, url: str, clients: Clients) -> Iterator[Finding]:
    """Check whether a dead-letter queue is empty."""
    name = f"queue {queue}"
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
    what, remedy = _QUEUES[queue]
    if number := sum(int(found[count]) for count in counts):
        yield warning(
            name, f"{number} waiting: {what}", f"read each in the SQS console; {remedy}; then purge the queue"
        )
    else:
        yield ok(name, "empty")


def check_alarms(alarms: Mapping[str, str], clients: Clients) -> Iterator[Finding]:
    """Check whether an alarm is firing, and whether its actions are on; `alarms` are physical by logical names."""
    answer = clients["cloudwatch"].describe_alarms(AlarmNames=list(alarms.values()), MaxRecords=100)
    found = {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
    findings = [finding for logical, name in alarms.items() if (finding := _problem_of(logical, found.get(name)))]
    yield from findings or [ok("alarms", f"none of {len(alarms)} is in ALARM")]


def _problem_of(logical: str, alarm: Mapping[str, Any] | None) -> Finding | None:
    name = f"alarm {logical}"
    if alarm is None:
        return _gone(name, "CloudWatch")
    if alarm["StateValue"] == "ALARM":
        said = f"has been in ALARM since {alarm['StateUpdatedTimestamp'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return failed(name, said, "do what its text says: docs/runbook.md, “By alarm”")
    if not alarm.get("ActionsEnabled", True):
        return warning(name, "notifies nobody: its actions are off", "enable them in the CloudWatch console")
    return None


def check_alerts(topic: str, clients: Clients) -> Iterator[Finding]:
    """Check whether somebody receives the alarms; a subscription counts once its owner has confirmed it."""
    name = "alerts"
    found = clients["sns"].list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = [_recipient(each) for each in found if each["SubscriptionArn"].startswith("arn:")]
    pending = [_recipient(each) for each in found if each["SubscriptionArn"] == PENDING]
    confirm = (
        "follow the link in the email from AWS; if it is gone, subscribe again: aws sns subscribe "
        f"--topic-arn {topic} --protocol email --notification-endpoint ADDRESS"
    )
    if not confirmed and not pending:
        yield warning(name, "nobody receives the alarms", f"deploy with AlertEmail=ADDRESS; {confirm}")
    elif not confirmed:
        yield warning(name, f"nobody receives the alarms: not confirmed by {summarize_names(pending)}", confirm)
    elif pending:
        said = f"the alarms go to {summarize_names(confirmed)}; not confirmed by {summarize_names(pending)}"
        yield warning(name, said, confirm)
    else:
        yield ok(name, f"the alarms go to {summarize_names(confirmed)}")


def _recipient(subscription: Mapping[str, str]) -> str:
    """Return an email address, or only the protocol: other endpoints may contain a secret, such as a chat's URL."""
    is_mail = subscription["Protocol"] == "email"
    return one_line(subscription["Endpoint"]) if is_mail else f"a subscription by {subscription['Protocol']}"


def _gone(name: str, service: str) -> Finding:
    said = f"does not exist: the stack has it, but {service} does not know it"
    return failed(name, said, "somebody has deleted it: detect the stack's drift in the CloudFormation console")
