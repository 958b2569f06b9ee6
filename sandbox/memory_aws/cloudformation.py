"""CloudFormation in memory: existing stacks, with the outputs, parameters and resources of their templates."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.memory_aws.errors import AwsError

_SERVICES = {
    "AWS::CloudWatch::Alarm": "cloudwatch",
    "AWS::Lambda::Function": "lambda",
    "AWS::Logs::LogGroup": "logs",
    "AWS::SNS::Topic": "sns",
    "AWS::SQS::Queue": "sqs",
    "AWS::Scheduler::Schedule": "scheduler",
}
"""Services whose `make` creates the resources of a type; other resources are only listed."""


class CloudFormation:
    """The operations on stacks, with boto3's names, parameters and responses."""

    def __init__(self, services: Mapping[str, Any]) -> None:
        self._services = services
        self._stacks: dict[str, dict[str, Any]] = {}
        self._resources: dict[str, list[dict[str, Any]]] = {}

    def create_stack(self, *, StackName: str, TemplateBody: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Create a stack from a JSON template whose outputs and properties are literals."""
        template = json.loads(TemplateBody)
        self._stacks[StackName] = {
            "StackName": StackName,
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [
                {"OutputKey": name, "OutputValue": output["Value"]} for name, output in template["Outputs"].items()
            ],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": parameter["Default"]}
                for name, parameter in template["Parameters"].items()
            ],
        }
        self._resources[StackName] = [
            {
                "StackName": StackName,
                "LogicalResourceId": logical,
                "PhysicalResourceId": self._make(f"{StackName}-{logical}-1A2B3C", resource),
                "ResourceType": resource["Type"],
                "ResourceStatus": "CREATE_COMPLETE",
            }
            for logical, resource in template["Resources"].items()
        ]
        return {"StackId": StackName}

    def _make(self, name: str, resource: Mapping[str, Any]) -> str:
        service = self._services.get(_SERVICES.get(resource["Type"], ""))
        return service.make(name, resource.get("Properties", {})) if service else name

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        """Return one stack."""
        self._refuse_unknown(StackName)
        return {"Stacks": [self._stacks[StackName]]}

    def describe_stack_resources(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        """Return the resources of one stack, at most 100 (API reference, "DescribeStackResources")."""
        self._refuse_unknown(StackName)
        return {"StackResources": self._resources[StackName][:100]}

    def _refuse_unknown(self, stack: str) -> None:
        if stack not in self._stacks:
            raise AwsError("ValidationError", f"Stack with id {stack} does not exist")
