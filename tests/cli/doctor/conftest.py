"""The stack that most tests of `doctor` take for granted."""

import json

import pytest

from sandbox import Sandbox


@pytest.fixture
def empty_stack(business: Sandbox) -> None:
    """Deploy a stack; `test_stack` looks at what is in it."""
    template = {"Parameters": {}, "Resources": {"Other": {"Type": "AWS::SQS::Queue"}}, "Outputs": {}}
    client = business.aws.client("cloudformation")
    client.create_stack(StackName="closrads-sandbox", TemplateBody=json.dumps(template))
