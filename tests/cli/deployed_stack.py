"""A deployed stack, as CloudFormation describes it, and who gets its alarms."""

import json
from collections.abc import Callable
from typing import Any

from sandbox import Sandbox

Change = Callable[[Sandbox], object]
ON_CALL = "oncall@example.test"
DAILY = {"ScheduleExpression": "cron(30 6 * * ? *)", "ScheduleExpressionTimezone": "America/New_York"}
RECHECK = {**DAILY, "ScheduleExpression": "cron(15/30 * * * ? *)"}
RESOURCES: dict[str, dict[str, Any]] = {
    "SyncFunctionRole": {"Type": "AWS::IAM::Role"},
    "SyncFunctionDaily": {"Type": "AWS::Scheduler::Schedule", "Properties": DAILY},
    "SyncFunctionRecheck": {"Type": "AWS::Scheduler::Schedule", "Properties": RECHECK},
    "MissedRuns": {"Type": "AWS::SQS::Queue"},
    "FailedRuns": {"Type": "AWS::SQS::Queue"},
    "Strange": {"Type": "AWS::SQS::Queue"},
    "Alerts": {"Type": "AWS::SNS::Topic"},
    "RunFailed": {"Type": "AWS::CloudWatch::Alarm"},
    "Silence": {"Type": "AWS::CloudWatch::Alarm"},
}
PHYSICAL = "closrads-prod-{}-1A2B3C"
TOPIC = "arn:aws:sns:us-east-1:123456789012:closrads-prod-Alerts-1A2B3C"


def deploy(
    sandbox: Sandbox,
    stage: str = "prod",
    resources: dict[str, dict[str, Any]] = RESOURCES,
    sender_identity: str | None = "example.test",
) -> None:
    """Deploy a stack of a stage; without a sender's identity, one of a template from before there was any."""
    parameters = {"SenderIdentity": {"Default": sender_identity}} if sender_identity else {}
    template = {"Parameters": parameters, "Resources": resources, "Outputs": {}}
    client = sandbox.aws.client("cloudformation")
    client.create_stack(StackName=f"closrads-{stage}", TemplateBody=json.dumps(template))


def subscribe(address: str = ON_CALL, protocol: str = "email", *, confirmed: bool = True) -> Change:
    """Return what subscribes somebody to the alarms."""

    def change(sandbox: Sandbox) -> None:
        client = sandbox.aws.client("sns")
        client.subscribe(TopicArn=TOPIC, Protocol=protocol, Endpoint=address)
        if confirmed:
            client.confirm_subscription(TopicArn=TOPIC, Token=address)

    return change
