"""One deployed stack for the whole session, emptied for each test."""

import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
from boto3.dynamodb.types import TypeDeserializer
from samtranslator.yaml_helper import yaml_parse

from sandbox import ClosrtechWorld, Mail, MetaWorld
from sandbox.ministack import HARDLY_EVER, Ministack, localized, why_not_here
from tests.world import VETERANS, FakeTime

ROOT = Path(__file__).resolve().parents[3]
SAM_CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())["prod"]
NAME = SAM_CONFIG["global"]["parameters"]["stack_name"]
PARAMETERS = {
    **dict(pair.split("=") for pair in SAM_CONFIG["deploy"]["parameters"]["parameter_overrides"]),
    "AlertEmail": "oncall@example.test",
    "Schedules": "ON",
    "ScheduleExpression": HARDLY_EVER,
    "RecheckScheduleExpression": HARDLY_EVER,
}
SENDER, RECIPIENTS = "reports@example.test", ("owner@example.test", "buyer@example.test")
CODE = "VND_VETERAN_LEADS"
PATIENCE_SECONDS = 30.0

T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """Look until there is something, and return it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < end, f"nothing came of it in {PATIENCE_SECONDS:g} s"
        time.sleep(0.1)
    return found


@dataclass
class Deployed:
    """The stack, all that it talks to, and short-cuts to run and to look."""

    aws: Ministack
    meta: MetaWorld
    closrtech: ClosrtechWorld
    time: FakeTime
    """Meta's; the function has the real one."""
    template: Mapping[str, Any]
    _mails_before: int = 0
    _lines_before: int = 0
    _parameters: dict[str, str] = field(default_factory=dict)

    def put_parameters(self) -> None:
        """Put what the README's "Go live" puts, with its command; a warm function remembers it."""
        values = {
            "closrtech/base_url": self.closrtech.url,
            "closrtech/email": self.closrtech.email,
            "closrtech/password": self.closrtech.password,
            "meta/access_token": self.meta.token,
            "campaigns/veterans/closrtech_campaign": CODE,
            "campaigns/veterans/fb_ad_account_id": "act_111",
            "campaigns/veterans/fb_campaign_ids": [VETERANS],
            "email/sender": SENDER,
            "email/recipients": list(RECIPIENTS),
            "limits/verify_wait_seconds": 0.2,
        }
        lines = (f"{name.replace('/', '.')} = {json.dumps(value)}\n" for name, value in values.items())
        stage = self.outputs["ParameterPath"].removeprefix("/closrads/")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "closrads.toml"
            file.write_text("".join(lines))
            command = [sys.executable, "-m", "closrads", "push-config", str(file), "--stage", stage, "--yes"]
            subprocess.run(command, cwd=ROOT, env=self.aws.environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
        self.aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)

    def set(self, **parameters: str) -> None:
        """Deploy with these parameters, all others as in `PARAMETERS`."""
        self._parameters = PARAMETERS | parameters
        capabilities = [SAM_CONFIG["deploy"]["parameters"]["capabilities"]]
        self.description = self.aws.deploy(NAME, self.template, self._parameters, capabilities)

    def reset(self) -> None:
        """Leave a business with one campaign whose demand is Florida and Georgia, and nothing of what was before."""
        if self._parameters != PARAMETERS:
            self.set()
        self.meta.reset()
        self.closrtech.reset()
        self.closrtech.demand[CODE] = {"FL": 5, "GA": 7}
        self.meta.add_campaign(VETERANS)
        for item in self.ledger:
            key = {name: {"S": item[name]} for name in ("pk", "sk")}
            self.aws.client("dynamodb").delete_item(TableName=self.outputs["LedgerTable"], Key=key)
        self.receive(self.outputs["FailedRunsUrl"])
        self._mails_before, self._lines_before = 0, 0
        self._mails_before, self._lines_before = len(self.mails), len(self.log)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """What the stack tells of itself."""
        return {each["OutputKey"]: each["OutputValue"] for each in self.description["Outputs"]}

    @cached_property
    def resources(self) -> dict[str, Any]:
        """Its resources by logical id."""
        found = self.aws.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
        return {each["LogicalResourceId"]: each for each in found}

    def name(self, logical_id: str) -> str:
        """Return the name that a resource was given."""
        return str(self.resources[logical_id]["PhysicalResourceId"])

    def invoke(self, event: Any) -> dict[str, Any]:
        """Run an event by hand, and return the answer or the error."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.outputs["FunctionName"], Payload=json.dumps(event))
        return dict(json.load(answer["Payload"]))

    def send(self, event: Any) -> None:
        """Have an event run without waiting for it, as the schedules do."""
        function = self.outputs["FunctionName"]
        self.aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))

    def receive(self, queue_url: str, wait_seconds: int = 0) -> list[dict[str, Any]]:
        """Take the messages from a queue, and return their bodies."""
        sqs = self.aws.client("sqs")
        answer = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=wait_seconds, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    @property
    def mails(self) -> list[Mail]:
        """The mails of this test."""
        return self.aws.mails[self._mails_before :]

    @property
    def log(self) -> list[dict[str, Any]]:
        """What the function has logged in this test; an invocation's lines come when it has ended."""
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        texts = [
            event["message"]
            for page in pages.paginate(logGroupName=self.outputs["LogGroup"])
            for event in page["events"]
            if event["message"].startswith("{")
        ]
        return [json.loads(text) for text in texts][self._lines_before :]

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of the log with this message."""
        return [line for line in self.log if line.get("message") == message]

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """All items of the ledger."""
        answer = self.aws.client("dynamodb").scan(TableName=self.outputs["LedgerTable"])
        read = TypeDeserializer().deserialize
        return [{name: read(value) for name, value in item.items()} for item in answer["Items"]]

    @property
    def open_changes(self) -> list[str]:
        """The sort keys of the changes of Veterans that stand in the index `open`."""
        answer = self.aws.client("dynamodb").query(
            TableName=self.outputs["LedgerTable"],
            IndexName="open",
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "CAMPAIGN#veterans"}},
        )
        return [item["sk"]["S"] for item in answer["Items"]]


@pytest.fixture(scope="session")
def deployed(request: pytest.FixtureRequest) -> Iterator[Deployed]:
    """Deploy the template to stage prod, with the package as `sam build` makes it."""
    if reason := why_not_here():
        pytest.skip(reason)
    package = request.getfixturevalue("package")  # built only where it can run
    clock = FakeTime()
    meta, closrtech = MetaWorld(clock.seconds), ClosrtechWorld()
    with ExitStack() as running:
        for world in (meta, closrtech):
            running.callback(world.stop)
            world.start()
        aws = running.enter_context(Ministack())
        template = yaml_parse((ROOT / "template.yaml").read_text())
        uploaded = aws.upload(package, ROOT / "statemachine" / "fleet.asl.json")
        stack = Deployed(aws, meta, closrtech, clock, localized(template, uploaded, meta.url, aws.url))
        stack.set()
        stack.put_parameters()
        yield stack


@pytest.fixture
def stack(deployed: Deployed) -> Deployed:
    """Return the stack with nothing of an earlier test in it."""
    deployed.reset()
    return deployed
