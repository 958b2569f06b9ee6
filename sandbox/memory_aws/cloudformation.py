"""CloudFormation in memory: existing stacks, with the outputs and parameters of their templates."""

import json
from typing import Any

from sandbox.memory_aws.errors import AwsError


class CloudFormation:
    """The operations on stacks, with boto3's names, parameters and responses."""

    def __init__(self) -> None:
        self._stacks: dict[str, dict[str, Any]] = {}

    def create_stack(self, *, StackName: str, TemplateBody: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Create a stack from a JSON template whose outputs are literals; its resources are not created."""
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
        return {"StackId": StackName}

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        """Return one stack."""
        if StackName not in self._stacks:
            raise AwsError("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [self._stacks[StackName]]}
