"""The receiver of Meta's pushes: what `Webhook` adds, who may do what, and that it is one way with the code."""

import json
from typing import Any

import pytest

from closrads import push_queue, webhook
from closrads.domain.metrics import PUSH_RECEIVED, PUSH_REFUSED
from sandbox.aws import PUSH_QUEUE_PROPERTIES
from sandbox.meta import webhooks
from tests.template.stack import ARN, Deploy, Json, Stack, alarms_of, heard_by, of_type, series
from tests.template.test_rights import rights_of
from tests.webhook_world import SECRET, VERIFY_TOKEN, Receiver
from tests.world import START, World

ADDED = {
    "WebhookFunction": "AWS::Lambda::Function",
    "WebhookFunctionRole": "AWS::IAM::Role",
    "WebhookFunctionUrl": "AWS::Lambda::Url",
    "WebhookFunctionUrlPublicPermissions": "AWS::Lambda::Permission",
    "WebhookFunctionURLInvokeAllowPublicAccess": "AWS::Lambda::Permission",
    "WebhookLogs": "AWS::Logs::LogGroup",
    "Pushes": "AWS::SQS::Queue",
    "LostPushes": "AWS::SQS::Queue",
    "TakePushes": "AWS::IAM::Policy",
    "PushesToSync": "AWS::Lambda::EventSourceMapping",
    "PushRefused": "AWS::CloudWatch::Alarm",
    "PushSilence": "AWS::CloudWatch::Alarm",
}
PARAMETER = ARN % ("ssm", "parameter/closrads/prod/meta/")


@pytest.fixture
def with_webhook(deploy: Deploy) -> Stack:
    """Give the resources of a stack with the receiver."""
    return deploy(Stage="prod", Webhook="true")


def test_it_adds_exactly_these_resources(deploy: Deploy, with_webhook: Stack) -> None:
    """And changes no other, but for what the function and the dashboard must know."""
    without = deploy(Stage="prod")

    assert {name: each["Type"] for name, each in with_webhook.items() if name not in without} == ADDED
    assert {name for name in without if with_webhook[name] != without[name]} == {"SyncFunction", "Dashboard"}


def test_the_receiver_can_read_two_parameters_and_ask_and_nothing_more(with_webhook: Stack, world: World) -> None:
    """Whoever takes it over can have ad sets looked at, and learns no token."""
    rights = rights_of(with_webhook, "WebhookFunctionRole")
    receiver = Receiver(world)
    push = webhooks.notification({"111": [{"field": "with_issues_ad_objects"}]}, START.timestamp())

    assert receiver.answer(webhooks.signed(push, SECRET))["statusCode"] == 200
    assert receiver.answer(webhooks.verification(VERIFY_TOKEN, "1"))["statusCode"] == 200

    assert rights == {
        ("ssm:GetParameters", f"{PARAMETER}webhook_verify_token"),
        ("ssm:GetParameters", f"{PARAMETER}app_secret"),
        ("sqs:SendMessage", "${Pushes.Arn}"),  # SendMessageBatch takes that right (SQS API permissions reference)
        ("logs:CreateLogStream", "${WebhookLogs.Arn}"),
        ("logs:PutLogEvents", "${WebhookLogs.Arn}"),
    }
    called = {(call.service, call.operation) for call in world.sandbox.aws.requests}
    assert called == {("ssm", "GetParameters"), ("sqs", "SendMessageBatch")}


def test_the_function_may_take_what_is_in_the_queue(with_webhook: Stack) -> None:
    """Lambda takes and deletes messages with the function's own rights; it puts them off itself."""
    policy = with_webhook["TakePushes"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert policy["Roles"] == [{"Ref": "SyncFunctionRole"}]
    assert {action.removeprefix("sqs:") for action in statement["Action"]} == {
        "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility",
    }  # fmt: skip
    assert statement["Resource"] == {"Fn::GetAtt": ["Pushes", "Arn"]}
    assert with_webhook["PushesToSync"]["DependsOn"] == "TakePushes"


def test_the_url_is_open_to_meta_and_so_to_everybody(with_webhook: Stack) -> None:
    """Meta cannot sign as AWS does; both permissions are needed since October 2025."""
    permissions = of_type(with_webhook, "AWS::Lambda::Permission").values()

    assert with_webhook["WebhookFunctionUrl"]["Properties"]["AuthType"] == "NONE"
    assert {each["Action"] for each in permissions} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert {each["Principal"] for each in permissions} == {"*"}
    assert all(each.get("FunctionUrlAuthType") == "NONE" or each["InvokedViaFunctionUrl"] for each in permissions)


@pytest.mark.parametrize(("alone", "reserved"), [("true", 5), ("false", None)])
def test_a_flood_leaves_others_their_concurrency(deploy: Deploy, alone: str, reserved: int | None) -> None:
    """Unless the account cannot reserve any."""
    function = deploy(Webhook="true", OneAtATime=alone)["WebhookFunction"]["Properties"]

    assert function.get("ReservedConcurrentExecutions") == reserved


def test_the_receiver_has_what_its_code_reads(with_webhook: Stack) -> None:
    """The same names as those of the function, and the same package with another entrance."""
    function, sync = (with_webhook[name]["Properties"] for name in ("WebhookFunction", "SyncFunction"))
    variables = function["Environment"]["Variables"]

    assert function["Handler"] == f"{webhook.__name__}.{webhook.lambda_handler.__name__}"
    assert function["Code"] == sync["Code"]
    assert variables.items() <= sync["Environment"]["Variables"].items()
    assert variables["CLOSRADS_PUSH_QUEUE"] == {"Ref": "Pushes"}
    assert function["LoggingConfig"]["LogGroup"] == {"Ref": "WebhookLogs"}


def test_the_queue_is_as_the_code_counts_on(with_webhook: Stack) -> None:
    """Its stand-in is like it; a message that fails comes again when its invocation is certainly over.

    While the function is throttled, Lambda holds a message for that timeout (Developer Guide, "Handling errors
    for an SQS event source"): for the longest run, and then for its own.
    """
    queue, mapping = (with_webhook[name]["Properties"] for name in ("Pushes", "PushesToSync"))
    mine = {name: queue[name] for name in ("FifoQueue", "DelaySeconds", "VisibilityTimeout")}

    assert mine | {"RedrivePolicy": {"maxReceiveCount": queue["RedrivePolicy"]["maxReceiveCount"]}} == {
        **PUSH_QUEUE_PROPERTIES
    }
    assert queue["VisibilityTimeout"] >= 2 * with_webhook["SyncFunction"]["Properties"]["Timeout"]
    assert queue["MessageRetentionPeriod"] > queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert "ContentBasedDeduplication" not in queue, "the id has the window in it"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == push_queue.MAX_BATCH


def test_its_alarms_hear_what_is_emitted(with_webhook: Stack, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """By the names and dimensions that the receiver prints, in the stage's own environment."""
    receiver = Receiver(world)
    push = webhooks.notification({"111": []}, START.timestamp())
    for secret in (SECRET, "another-fake-secret"):
        receiver.answer(webhooks.signed(push, secret))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    dimensions = {"service": "closrads", "stage": "prod"}

    assert {key for line in printed for key in line if key.startswith("Push")} == {PUSH_RECEIVED, PUSH_REFUSED}
    assert {key for line in printed for key in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]} == {*dimensions}
    alarms = alarms_of(with_webhook)
    assert heard_by(alarms["PushRefused"]) == [series("CLOSRADS", PUSH_REFUSED, dimensions)]
    assert heard_by(alarms["PushSilence"]) == [
        series("CLOSRADS", "AdSetsUpdated", dimensions),
        series("CLOSRADS", PUSH_RECEIVED, dimensions),
    ]


@pytest.mark.parametrize("name", ["PushRefused", "PushSilence"])
def test_its_alarms_reach_a_person(with_webhook: Stack, name: str) -> None:
    """And say what to do first; each is on the dashboard."""
    alarm = with_webhook[name]["Properties"]

    assert alarm["AlarmActions"] == [{"Ref": "Alerts"}]
    assert " First " in alarm["AlarmDescription"]
    assert len(alarm["AlarmDescription"]) < 1024
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")
    assert f"${{{name}.Arn}}" in dashboard(with_webhook)


def dashboard(stack: Stack) -> Any:
    """Give the alarms that the dashboard shows."""
    body: Json = json.loads(stack["Dashboard"]["Properties"]["DashboardBody"])
    (shown,) = (each["properties"]["alarms"] for each in body["widgets"] if each["type"] == "alarm")
    return shown


def test_silence_is_three_days_with_changes_and_without_a_push(with_webhook: Stack) -> None:
    """A quiet week is none."""
    alarm = with_webhook["PushSilence"]["Properties"]
    periods = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}

    assert [each["Expression"] for each in alarm["Metrics"] if each["ReturnData"]] == [
        "IF(FILL(updated, 0) > 0 AND FILL(pushes, 0) < 1, 1, 0)"
    ]
    assert (periods, alarm["EvaluationPeriods"]) == ({86400}, 3)
