"""`doctor` on what is deployed: the schedules, the queues, the alarms, and who gets them."""

import re
from pathlib import Path

import pytest

from closrads.cli.doctor.stack import _QUEUES, _SCHEDULES
from sandbox import Sandbox
from tests.cli.conftest import Call
from tests.cli.deployed_stack import DAILY, ON_CALL, PHYSICAL, RESOURCES, TOPIC, Change, deploy, subscribe
from tests.cli.doctor.cases import found

PAGE = (Path(__file__).resolve().parents[3] / "docs/commands.md").read_text()


@pytest.fixture
def deployed(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox as stage prod, with its stack, whose alarms somebody gets."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    deploy(business)
    subscribe()(business)
    return business


def schedule(logical: str = "SyncFunctionDaily", **changes: str) -> Change:
    """Return what changes a schedule."""
    name = PHYSICAL.format(logical)
    return lambda sandbox: sandbox.aws.client("scheduler").update_schedule(Name=name, **changes)


def message(queue: str) -> Change:
    """Return what puts a message into a queue."""
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/{PHYSICAL.format(queue)}"
    return lambda sandbox: sandbox.aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")


def forbidden(service: str, operation: str, code: str = "AccessDeniedException") -> Change:
    """Return what takes a right away."""
    return lambda sandbox: sandbox.aws.fail(service, operation, code, 403, times=None)


def ringing(sandbox: Sandbox) -> None:
    """Have an alarm ring."""
    name = PHYSICAL.format("RunFailed")
    sandbox.aws.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="1 >= 1")


def test_all_is_well(call: Call, deployed: Sandbox) -> None:
    """Each line says what a person wants to know, not only that it is well."""
    assert deployed.meta.operations == []
    status, findings = found(call)

    assert status == 0
    said = {name: each["said"] for name, each in findings.items() if each["verdict"] == "ok"}
    assert (
        said.items()
        >= {
            "stack closrads-prod": "9 resources",
            "SES permission": "the function may send as example.test only",
            "schedule daily run": "next on Tue 5 May 2026, 06:30 (America/New_York)",
            "schedule recheck": "next on Mon 4 May 2026, 06:45 (America/New_York)",
            "queue MissedRuns": "empty",
            "queue FailedRuns": "empty",
            "alarms": "none of 2 is in ALARM",
            "alerts": f"the alarms go to {ON_CALL}",
        }.items()
    )
    assert not [name for name in findings if "Strange" in name]


def test_the_page_lists_what_is_looked_at(call: Call, deployed: Sandbox) -> None:
    """Each line is one of a kind that the table of `doctor` names."""
    assert deployed.meta.operations == []
    section = PAGE.split("\n## `doctor`\n")[1].split("\n## ")[0]
    listed = " ".join(re.findall(r"^\| (.+?) \|", section, re.MULTILINE)).lower()

    assert {
        name for name in found(call)[1] if not re.search(rf"\b{name.split()[0].strip(':').lower()}", listed)
    } == set()


BROKEN: dict[str, tuple[Change, str, str, str, str]] = {
    "a schedule is off": (
        schedule(State="DISABLED"),
        "schedule daily run", "warning", "is off: nothing starts by itself", "deploy with Schedules=ON",
    ),
    "a schedule never comes again": (
        schedule(ScheduleExpression="cron(30 6 * * ? 2025)"),
        "schedule daily run", "failed", "never starts again: cron(30 6 * * ? 2025)", "give another schedule",
    ),
    "a schedule cannot be read": (
        schedule("SyncFunctionRecheck", ScheduleExpression="cron(30 6 LW * ? *)"),
        "schedule recheck", "warning", "its next start cannot be computed here: cron(30 6 LW", "EventBridge",
    ),
    "a schedule's time zone is not known here": (
        schedule(ScheduleExpressionTimezone="Mars/Olympus"),
        "schedule daily run", "warning", "cannot be computed", "EventBridge",
    ),
    "a schedule was deleted": (
        lambda sandbox: sandbox.aws.client("scheduler").delete_schedule(Name=PHYSICAL.format("SyncFunctionDaily")),
        "schedule daily run", "failed", "EventBridge Scheduler does not know it", "drift",
    ),
    "a schedule may not be seen": (
        forbidden("scheduler", "GetSchedule"),
        "schedule daily run", "warning", "you lack the permission", "scheduler:GetSchedule",
    ),
    "a schedule cannot be asked for": (
        forbidden("scheduler", "GetSchedule", "InternalServerException"),
        "schedule daily run", "failed", "AWS refuses", "AWS_PROFILE",
    ),
    "a run could not be started": (
        message("MissedRuns"),
        "queue MissedRuns", "warning", "1 waiting: runs that a schedule could not start", "start them by hand",
    ),
    "a run failed": (message("FailedRuns"), "queue FailedRuns", "warning", "1 waiting: runs that failed", "purge"),
    "a queue may not be seen": (
        forbidden("sqs", "GetQueueAttributes", "AccessDenied"),
        "queue MissedRuns", "warning", "you lack the permission", "sqs:GetQueueAttributes",
    ),
    "an alarm rings": (ringing, "alarm RunFailed", "failed", "has been in ALARM since 2026-05-01 00:00 UTC", "runbook"),
    "an alarm tells nobody": (
        lambda sandbox: sandbox.aws.client("cloudwatch").disable_alarm_actions(AlarmNames=[PHYSICAL.format("Silence")]),
        "alarm Silence", "warning", "its actions are off", "enable them",
    ),
    "an alarm was deleted": (
        lambda sandbox: sandbox.aws.client("cloudwatch").delete_alarms(AlarmNames=[PHYSICAL.format("Silence")]),
        "alarm Silence", "failed", "CloudWatch does not know it", "drift",
    ),
    "the alarms may not be seen": (
        forbidden("cloudwatch", "DescribeAlarms", "AccessDenied"),
        "alarms", "warning", "you lack the permission", "cloudwatch:DescribeAlarms",
    ),
    "one of two has not confirmed": (
        subscribe("second@example.test", confirmed=False),
        "alerts", "warning", f"go to {ON_CALL}; not confirmed by second@example.test", "aws sns subscribe",
    ),
    "who gets the alarms may not be seen": (
        forbidden("sns", "ListSubscriptionsByTopic", "AuthorizationError"),
        "alerts", "warning", "you lack the permission", "sns:ListSubscriptionsByTopic",
    ),
    "the stack may not be seen": (
        forbidden("cloudformation", "DescribeStackResources", "AccessDenied"),
        "stack", "warning", "you lack the permission", "cloudformation:DescribeStackResources",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_with_what_to_do(call: Call, deployed: Sandbox, name: str) -> None:
    """One line says so, and all else is looked at as ever."""
    breaking, check, verdict, said, remedy = BROKEN[name]
    breaking(deployed)

    status, findings = found(call)

    assert findings[check]["verdict"] == verdict
    assert said in findings[check]["said"]
    assert remedy in findings[check]["remedy"]
    assert all(each["remedy"] for each in findings.values() if each["verdict"] != "ok")
    assert status == int(verdict == "failed")
    assert {findings[other]["verdict"] for other in ("clock", "SES sender", "regions")} == {"ok"}


@pytest.mark.parametrize("confirmed", [None, False], ids=["nobody is subscribed", "nobody has confirmed"])
def test_nobody_gets_the_alarms(
    call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch, *, confirmed: bool | None
) -> None:
    """It is worth a warning before the first of them rings."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    deploy(business)
    if confirmed is not None:
        subscribe(confirmed=confirmed)(business)

    status, findings = found(call)

    assert (status, findings["alerts"]["verdict"]) == (0, "warning")
    assert findings["alerts"]["said"].startswith("nobody receives the alarms")
    assert (ON_CALL in findings["alerts"]["said"]) is (confirmed is False)
    assert TOPIC in findings["alerts"]["remedy"]


def test_the_address_of_a_chat_is_not_shown(call: Call, deployed: Sandbox) -> None:
    """It may be the key to it."""
    subscribe("https://chat.example.test/hook/SECRET", "https")(deployed)

    assert found(call)[1]["alerts"]["said"] == f"the alarms go to {ON_CALL}, a subscription by https"


def test_a_rate_has_no_time_of_day(call: Call, deployed: Sandbox) -> None:
    """When it began to count, nobody knows for sure."""
    schedule(ScheduleExpression="rate(2 hours)")(deployed)

    assert found(call)[1]["schedule daily run"]["said"] == "every 2 hours"


def test_the_schedule_of_a_fleet(call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins the workflow, and the function's own are off for that."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    off = {name: {**RESOURCES[name], "Properties": {**DAILY, "State": "DISABLED"}} for name in _SCHEDULES}
    deploy(business, resources={**off, "FleetRunDaily": RESOURCES["SyncFunctionDaily"]})

    _, findings = found(call)

    assert findings["schedule daily run"]["said"].startswith("next on Tue 5 May")
    assert "schedule recheck" not in findings


@pytest.mark.parametrize(("state", "said"), [("DISABLED", "is off"), ("ENABLED", "next on")])
def test_in_other_stages_the_schedules_may_be_off(call: Call, business: Sandbox, state: str, said: str) -> None:
    """There runs are by hand, unless somebody has deployed with Schedules=ON."""
    daily = {**RESOURCES["SyncFunctionDaily"], "Properties": {**DAILY, "State": state}}
    deploy(business, "sandbox", {"SyncFunctionDaily": daily})

    _, findings = found(call)

    finding = findings["schedule daily run"]
    assert (finding["verdict"], said in finding["said"]) == ("ok", True)
    assert findings.keys().isdisjoint({"schedule recheck", "alarms", "alerts", *(f"queue {name}" for name in _QUEUES)})


def test_without_a_stack(call: Call, business: Sandbox) -> None:
    """The rest is looked at, for a stage may be run by hand before it is deployed."""
    assert business.meta.operations == []
    status, findings = found(call)

    assert status == 0
    assert findings["stack closrads-sandbox"]["said"].startswith("does not exist in us-east-1")
    assert "not checked" in findings["schedules, queues, alarms"]["said"]
    assert findings["clock"]["verdict"] == "ok"


def test_a_refused_stack_is_said_by_its_error(call: Call, deployed: Sandbox) -> None:
    """Not every error means that there is none."""
    forbidden("cloudformation", "DescribeStackResources", "ExpiredToken")(deployed)

    assert found(call)[1]["stack"]["verdict"] == "failed"


def test_notices_that_were_given_up_are_told_of(call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a stack with the receiver of Meta's pushes."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    deploy(business, resources={"LostPushes": {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": True}}})
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/{PHYSICAL.format('LostPushes')}"
    business.aws.client("sqs").send_message(QueueUrl=url, MessageBody="{}")

    _, findings = found(call)

    assert "RunFailed" in findings["queue LostPushes"]["remedy"]
