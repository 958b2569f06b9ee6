"""A local AWS that deploys the template as CloudFormation does, and runs it: ministack.

It fires the schedules, runs the workflow and the packaged function, enforces the permissions of the function's role,
and stores the mails. It is installed in the environment `.venv/ministack`, with whose Python and boto3 the function
runs.
"""

import copy
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import requests
from botocore.exceptions import WaiterError

from sandbox.aws import ACCESS_KEY, REGION, SECRET_KEY, Mail, new_client
from sandbox.server import end, free_port

ENVIRONMENT = Path(__file__).resolve().parent.parent / ".venv" / "ministack"
AT_ONCE, HARDLY_EVER = "rate(0 minutes)", "rate(365 days)"
"""Schedules: due at each of ministack's polls, every ten seconds (AWS refuses it), and not due within a test."""
SCHEDULED_TIME = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:00Z}"
"""Scheduled time that the function receives: just now, as with EventBridge Scheduler."""

_START_SECONDS = 15.0
_STACK_SECONDS = 30.0
_BUCKET = "code"
_CHECKED_BY_ACTION = ("ssm:GetParametersByPath", "ssm:GetParameters", "ses:SendEmail")
"""Actions that ministack checks against the resource `*`, whatever the actual resource is."""
_AT_ONCE_BY_PATH = ('"MaxConcurrencyPath": "$.accounts_at_once"', '"MaxConcurrency": ${AccountsAtOnce}')
_ANY_ERROR = "Runtime.HandlerError"
_NOBODY = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""Environment variables that hide the profiles of this machine."""


def why_not_here() -> str:
    """Return why ministack cannot run the function on this machine; empty if it can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the package is built for Linux on x86_64"
    if not (ENVIRONMENT / "ready").exists():
        return "`make .venv/ministack/ready` has not been run"
    if not (ENVIRONMENT / "lib" / "python3.13").exists():
        return "the package is built for Python 3.13, which is not here"
    return ""


def localized(
    template: Mapping[str, Any], uploaded: Mapping[str, Mapping[str, str]], graph_url: str, aws_url: str
) -> dict[str, Any]:
    """Return a copy of the template that ministack can deploy and run, with these replacements only.

    ==============================  ===================================================================================
    replaced                        by, and why
    ==============================  ===================================================================================
    `CodeUri`, `DefinitionUri`      the uploaded objects (see `Ministack.upload`), as `sam package` does
    `CLOSRADS_GRAPH_URL`            the fake of Meta
    `AWS_ENDPOINT_URL`              ministack; empty would mean the real AWS
    `SyncFailed` in the workflow    the name that ministack gives to every error of a function (`_ANY_ERROR`)
    its `MaxConcurrencyPath`        the number itself: ministack's Distributed Map does not support paths
    `<aws.scheduler.…>` in events   a time: only the real EventBridge Scheduler fills it in
    the schedules' AllowedPattern   nothing, so that they can be `AT_ONCE` instead of after a minute
    the metrics of each alarm       the first of them: ministack does not support metric math
    `Resource` of three actions     `*` in addition, the only resource that ministack checks (`_CHECKED_BY_ACTION`)
    ==============================  ===================================================================================
    """
    local = copy.deepcopy(dict(template))
    function, workflow = (local["Resources"][name]["Properties"] for name in ("SyncFunction", "FleetRun"))
    function["CodeUri"] = dict(uploaded["CodeUri"])
    local["Resources"]["WebhookFunction"]["Properties"]["CodeUri"] = dict(uploaded["CodeUri"])
    workflow["DefinitionUri"] = dict(uploaded["DefinitionUri"])
    function["Environment"]["Variables"] |= {"CLOSRADS_GRAPH_URL": graph_url, "AWS_ENDPOINT_URL": aws_url}
    for event in (*function["Events"].values(), *workflow["Events"].values()):
        properties = event["Properties"]
        properties["Input"] = properties["Input"].replace("<aws.scheduler.scheduled-time>", SCHEDULED_TIME)
        local["Parameters"][properties["ScheduleExpression"]["Ref"]].pop("AllowedPattern", None)
    for resource in local["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            alarm = resource["Properties"]
            stated = next(each["MetricStat"] for each in alarm.pop("Metrics") if "MetricStat" in each)
            alarm |= {**stated["Metric"], "Period": stated["Period"], "Statistic": stated["Stat"]}
    for policy in local["Resources"]["SyncFunctionRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Action"] in _CHECKED_BY_ACTION:
                statement["Resource"].append("*")
    return local


class Ministack:
    """An empty ministack, running on 127.0.0.1. A context manager.

    Each second that a Step Functions workflow waits, in a Wait state or before a retry, takes `wait_scale` seconds.
    """

    def __init__(self, wait_scale: float = 1.0) -> None:
        self._wait_scale = wait_scale
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder, port = Path(self._folder.name), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log_path = folder / "log"
        with self._log_path.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - runs the environment's own interpreter with our arguments
                [str(ENVIRONMENT / "bin" / "python"), "-m", "ministack"],
                cwd=folder,
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(folder),
                    "TMPDIR": str(folder),
                    "GATEWAY_PORT": str(port),
                    "BIND_HOST": "127.0.0.1",
                    "MINISTACK_HOST": "127.0.0.1",
                    "MINISTACK_REGION": REGION,
                    "AUTH": "true",  # enforce the policies of roles
                    "AWS_ACCESS_KEY_ID": ACCESS_KEY,  # the administrator's
                    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                    "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
                    "SFN_WAIT_SCALE": str(self._wait_scale),
                    "SFTP_ENABLED": "0",
                    "IOT_MTLS_ENABLED": "0",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(requests.RequestException):
                self._get("health")
                return self
            time.sleep(0.02)
        log_text = self.log
        self.__exit__()
        raise RuntimeError(f"ministack does not start:\n{log_text[-2000:]}")

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        end(self._process)
        self._folder.cleanup()

    def client(self, name: str) -> Any:
        """Return a boto3 client with administrator permissions; it is cached, and closed at the end."""
        if name not in self._clients:
            with patch.dict(os.environ, _NOBODY, clear=True):
                self._clients[name] = new_client(name, self.url)
        return self._clients[name]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of a process with administrator permissions."""
        return {
            **_NOBODY,
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def upload(self, package: Path, workflow: Path) -> dict[str, dict[str, str]]:
        """Upload a package and a workflow definition to a bucket, and return the matching template properties."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in sorted(path for path in package.rglob("*") if path.is_file()):
                zipped.write(path, path.relative_to(package))
        definition = workflow.read_text().replace("SyncFailed", _ANY_ERROR).replace(*_AT_ONCE_BY_PATH)
        contents = {
            "CodeUri": ("package.zip", archive.getvalue()),
            "DefinitionUri": (workflow.name, definition.encode()),
        }
        self.client("s3").create_bucket(Bucket=_BUCKET)
        for key, content in contents.values():
            self.client("s3").put_object(Bucket=_BUCKET, Key=key, Body=content)
        return {name: {"Bucket": _BUCKET, "Key": key} for name, (key, _) in contents.items()}

    def deploy(
        self, stack: str, template: Mapping[str, Any], parameters: Mapping[str, str], capabilities: Sequence[str]
    ) -> dict[str, Any]:
        """Create or update a stack by a change set, as `sam deploy` does; return its description.

        An update terminates running invocations: unlike Lambda, ministack stops a function that it changes.
        """
        cloudformation = self.client("cloudformation")
        known = [each["StackName"] for each in cloudformation.describe_stacks()["Stacks"]]
        kind = "UPDATE" if stack in known else "CREATE"
        patience = {"Delay": 0.1, "MaxAttempts": int(_STACK_SECONDS / 0.1)}
        change = cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=f"change-{time.time_ns()}",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=capabilities,
        )["Id"]
        created = cloudformation.get_waiter("change_set_create_complete")
        done = cloudformation.get_waiter(f"stack_{kind.lower()}_complete")
        try:
            created.wait(ChangeSetName=change, WaiterConfig=patience)
            cloudformation.execute_change_set(ChangeSetName=change)
            done.wait(StackName=stack, WaiterConfig=patience)
        except WaiterError as error:
            events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason')}" for each in events]
            raise RuntimeError("\n".join([str(error), *reasons])) from None
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return dict(description)

    def kill_functions(self) -> None:
        """Kill every process of a function, idle or busy: invocations in progress end without a response."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it may have ended meanwhile
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self._process.pid:
                    os.kill(int(folder.name), signal.SIGKILL)

    @property
    def mails(self) -> list[Mail]:
        """The mails that SES has accepted, in order."""
        return [
            Mail(mail["Source"], tuple(mail["To"]), mail["Subject"], mail["BodyHtml"] or "", mail["BodyText"])
            for account in self._get("ses/messages")["messages"].values()
            for mail in account
        ]

    @property
    def log(self) -> str:
        """The output of ministack itself so far."""
        return self._log_path.read_text(errors="replace")

    def _get(self, what: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # ignore proxies from the environment
            return session.get(f"{self.url}/_ministack/{what}", timeout=5).json()
