"""What the AWS in memory says of a stack has the shape that boto3's own model gives it."""

import json
from typing import Any

import botocore.session
import pytest

from sandbox.memory_aws import MemoryAws

RESOURCES = {
    "Daily": {"Type": "AWS::Scheduler::Schedule", "Properties": {"ScheduleExpression": "rate(1 day)"}},
    "Missed": {"Type": "AWS::SQS::Queue"},
    "Alerts": {"Type": "AWS::SNS::Topic"},
    "Failed": {"Type": "AWS::CloudWatch::Alarm"},
    "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Code": "https://s3.example.test/code"}},
    "Role": {"Type": "AWS::IAM::Role"},
    "Logs": {"Type": "AWS::Logs::LogGroup"},
}


def shaped(value: Any, shape: Any) -> None:
    """Check that a response has no member that the model does not have."""
    if shape.type_name == "structure":
        assert value.keys() <= shape.members.keys() | {"ResponseMetadata"}
        for name in value.keys() - {"ResponseMetadata"}:
            shaped(value[name], shape.members[name])
    elif shape.type_name == "list":
        for each in value:
            shaped(each, shape.member)


@pytest.mark.parametrize(
    ("service", "operation", "asks"),
    [
        ("cloudformation", "DescribeStackResources", lambda _: {"StackName": "s"}),
        ("cloudformation", "DescribeStacks", lambda _: {"StackName": "s"}),
        ("lambda", "GetFunction", lambda ids: {"FunctionName": ids["Function"]}),
        (
            "logs",
            "FilterLogEvents",
            lambda ids: {"logGroupName": ids["Logs"], "filterPattern": '{ $.run_id = "r" }', "startTime": 0},
        ),
        ("scheduler", "GetSchedule", lambda ids: {"Name": ids["Daily"]}),
        ("sqs", "GetQueueAttributes", lambda ids: {"QueueUrl": ids["Missed"], "AttributeNames": ["All"]}),
        ("sns", "ListSubscriptionsByTopic", lambda ids: {"TopicArn": ids["Alerts"]}),
        ("cloudwatch", "DescribeAlarms", lambda ids: {"AlarmNames": [ids["Failed"]]}),
    ],
)
def test_an_answer_is_what_boto3_knows(service: str, operation: str, asks: Any) -> None:
    """Names of members, at every depth; and those of the parameters."""
    aws = MemoryAws()
    template = {"Parameters": {}, "Resources": RESOURCES, "Outputs": {}}
    aws.client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))
    listed = aws.client("cloudformation").describe_stack_resources(StackName="s")["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}
    aws.client("sns").subscribe(TopicArn=ids["Alerts"], Protocol="email", Endpoint="oncall@example.test")
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    call = asks(ids)

    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    answer = getattr(aws.client(service), name)(**call)

    assert model.input_shape is not None
    assert call.keys() <= model.input_shape.members.keys()
    shaped(answer, model.output_shape)
