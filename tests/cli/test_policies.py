"""`docs/policies`: the rights of whoever calls the commands, against the calls that these make."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from closrads.cli import completion
from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE, AwsRequest
from sandbox.scenarios import SENDER
from tests.cli.conftest import Call
from tests.cli.deployed_stack import RESOURCES, deploy, subscribe
from tests.cli.test_runs import LIVE, forget_parameters, live_run
from tests.template.stack import listed
from tests.template.test_rights import PARTS, life
from tests.world import FakeTime, World

ROOT = Path(__file__).resolve().parents[2]
Right: TypeAlias = tuple[str, str]
"""An action, and the ARN of what it is done to."""
POLICY = json.loads((ROOT / "docs/policies/commands.json").read_text())
PAGE = (ROOT / "docs/commands.md").read_text()


def needed(call: AwsRequest) -> Iterator[Right]:
    """Say which rights a call takes (Service Authorization Reference)."""
    service = "ses" if call.service == "sesv2" else call.service
    if call.operation == "TransactWriteItems":
        for kind, part in (pair for item in call.params["TransactItems"] for pair in item.items()):
            yield f"dynamodb:{PARTS[kind]}", _arn(service, f"table/{part['TableName']}")
    elif call.operation == "GetParameters":
        yield from (("ssm:GetParameters", _arn(service, f"parameter{name}")) for name in call.params["Names"])
    else:
        yield f"{service}:{call.operation}", _target(service, call)


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:us-east-1:123456789012:{name}"


def _target(service: str, call: AwsRequest) -> str:  # noqa: C901 - one case for each kind of resource
    match call.params:
        case {"TableName": table}:
            index = call.params.get("IndexName")
            name = f"table/{table}/index/{index}" if index else f"table/{table}"
        case {"Path": path} | {"Name": path} if service == "ssm":
            name = f"parameter{path}"
        case {"StackName": stack}:
            name = f"stack/{stack}/0a1b2c3d"
        case {"FromEmailAddress": address} | {"EmailIdentity": address}:
            name = f"identity/{address}"
        case {"ConfigurationSetName": chosen}:
            name = f"configuration-set/{chosen}"
        case {"logGroupName": group}:
            name = f"log-group:{group}"
        case {"FunctionName": function}:
            name = f"function:{function}"
        case {"Name": schedule}:
            name = f"schedule/default/{schedule}"
        case {"QueueUrl": url}:
            name = url.rpartition("/")[2]
        case {"TopicArn": topic}:
            name = topic.rpartition(":")[2]
        case _:
            assert call.operation in {"GetAccount", "DescribeAlarms"}, call
            return "*"
    return _arn(service, name)


def statements_for(right: Right) -> list[str]:
    """Name the statements that allow a right."""
    action, arn = right
    return [
        statement["Sid"]
        for statement in POLICY["Statement"]
        if action in listed(statement["Action"])
        and any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
    ]


def calls_of(sandbox: Sandbox, since: int = 0) -> set[Right]:
    """Give the rights that the recorded calls take, from one of them on."""
    return {right for call in sandbox.aws.requests[since:] for right in needed(call)}


@pytest.fixture
def deployed(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox as stage prod, with everything that doctor looks at."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    function = {"Type": "AWS::Lambda::Function", "Properties": {"Code": f"{business.meta.url}/package"}}
    group = {"Type": "AWS::Logs::LogGroup"}
    deploy(business, "prod", {**RESOURCES, "SyncFunction": function, "SyncLogs": group})
    subscribe()(business)
    business.aws.ses.default_configuration_sets = {SENDER: "daily"}
    business.aws.ses.configuration_sets = {"daily": True}
    business.aws.requests.clear()
    return business


def documented() -> dict[str, set[str]]:
    """Give the statements that the page names for each command."""
    rows = re.findall(r"^\| `([\w-]+)` \| ((?:`\w+`(?:, )?)+) \|$", PAGE, re.MULTILINE)
    return {command: set(re.findall(r"`(\w+)`", names)) for command, names in rows}


class TestCommands:
    """What each of them takes."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("push-config", "more.toml", "--yes"),
            ("config", "show"),
            ("pull-config",),
            ("doctor",),
            ("run", LIVE, "--yes"),
            ("history", "--campaign", "veterans"),
            ("logs",),
            ("undo", "THE RUN", "--yes"),
            ("pause",),
            ("resume", "veterans"),
            ("completion",),
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_its_calls_are_allowed_by_the_statements_that_are_named(
        self, call: Call, deployed: Sandbox, arguments: tuple[str, ...], tmp_path: Path
    ) -> None:
        """No call fails for want of a right, and nobody gives more than is needed."""
        (tmp_path / "more.toml").write_text('[limits]\nwave_size = "5"\n')
        run_id = live_run(call)
        if arguments[0] == "resume":
            call("pause", "veterans")
        forget_parameters()
        since = len(deployed.aws.requests)
        if arguments[0] == "completion":
            completion.campaigns("")
        else:
            call(*(run_id if each == "THE RUN" else each for each in arguments))

        rights = calls_of(deployed, since)
        assert rights
        assert {right for right in rights if not statements_for(right)} == set()
        used = {name for right in rights for name in statements_for(right)}
        assert used <= documented()[arguments[0]]
        assert documented()[arguments[0]] - used <= {"FindTheStack"}

    def test_where_the_ledger_is_is_asked_of_the_stack(
        self, call: Call, deployed: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless the shell says it."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
        call("history")

        rights = calls_of(deployed)
        assert {name for right in rights for name in statements_for(right)} == {"FindTheStack"}


class TestPolicy:
    """What is allowed altogether."""

    def test_nothing_is_allowed_that_nothing_calls(
        self, call: Call, deployed: Sandbox, fake_time: FakeTime, tmp_path: Path
    ) -> None:
        """A right without a call helps nobody but an intruder."""
        (tmp_path / "more.toml").write_text('[limits]\nwave_size = "5"\n')
        undo = ("undo", live_run(call), "--yes")
        for arguments in (("push-config", "more.toml", "--yes"), ("doctor",), ("logs",), undo):
            call(*arguments)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("CLOSRADS_LEDGER_TABLE")
            call("history")
        rights = calls_of(deployed)
        deployed.reset()
        forget_parameters()
        for _ in life(World(deployed, fake_time)):
            pass
        rights |= calls_of(deployed)

        used = {(name, action) for action, arn in rights for name in statements_for((action, arn))}
        allowed = {(each["Sid"], action) for each in POLICY["Statement"] for action in listed(each["Action"])}
        assert {right for right in rights if not statements_for(right)} == set()
        assert used == allowed
        patterns = {pattern for each in POLICY["Statement"] for pattern in listed(each["Resource"])}
        spare = {"arn:aws:ses:*:*:configuration-set/*"}
        assert {pattern for pattern in patterns if not any(fnmatchcase(arn, pattern) for _, arn in rights)} <= spare

    def test_every_statement_allows_closrads_only(self) -> None:
        """Mail has no names of ours, and two calls take no resource (Service Authorization Reference)."""
        for statement in POLICY["Statement"]:
            assert statement["Effect"] == "Allow"
            resources: list[Any] = listed(statement["Resource"])
            assert "*" not in "".join(listed(statement["Action"]))
            if resources == ["*"]:
                assert listed(statement["Action"]) == ["cloudwatch:DescribeAlarms", "ses:GetAccount"]
            else:
                assert all("closrads" in each or ":ses:" in each for each in resources)

    def test_the_tables_of_the_sandbox_are_called_like_those_of_a_stack(self) -> None:
        """Else the check above would be of no use."""
        assert LEDGER_TABLE.startswith("closrads-")
