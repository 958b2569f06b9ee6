"""The real Lambda runtime on this machine, without containers: AWS's emulator and AWS's runtime client.

Both come with the environment `.venv/sam`. The function sees its own package, the runtime client and what the real
runtime brings (boto3), and nothing of this project's environments.
"""

import json
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import requests

from sandbox.server import end, free_port

SITE_PACKAGES = next(Path(__file__).resolve().parent.parent.glob(".venv/sam/lib/python3.*/site-packages"), None)
"""Of SAM CLI; None where its environment is missing."""
HANDLER = "handler.lambda_handler"

_CLIENT = ("awslambdaric", "runtime_client*.so", "simplejson", "snapshot_restore_py.py")
_OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
_INVOCATIONS = "2015-03-31/functions/function/invocations"
_START_SECONDS = 10.0
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)")
_OF_THE_EMULATOR = re.compile(r"(START|END|REPORT) RequestId: |\d\d \w{3} \d{4} \S+ \[\w+\] \(rapid\) ")
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


def why_not_here() -> str:
    """Return why the runtime cannot run on this machine, empty if it can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the package is built for Linux on x86_64"
    if SITE_PACKAGES is None:
        return "`make .venv/sam/ready` has not been run"
    if SITE_PACKAGES.parent.name != "python3.13":
        return "the package is built for Python 3.13, which is not here"
    return ""


class LambdaRuntime:
    """A function in its runtime, for one invocation at a time. A context manager.

    Parameters
    ----------
    package
        A folder as `sam build` makes it.
    environment
        The function's variables.
    seconds
        The function's time-out.
    """

    def __init__(self, package: Path, environment: Mapping[str, str], seconds: int = 900) -> None:
        self._package = package
        self._environment = environment
        self._seconds = seconds
        self._seen = 0

    def __enter__(self) -> Self:
        assert SITE_PACKAGES is not None, why_not_here()  # noqa: S101 - the caller has asked
        self._folder = tempfile.TemporaryDirectory()
        client = Path(self._folder.name)
        for pattern in (*_CLIENT, *_OF_THE_RUNTIME):
            for path in SITE_PACKAGES.glob(pattern):
                (client / path.name).symlink_to(path)
        emulator = SITE_PACKAGES / "samcli" / "local" / "rapid" / "aws-lambda-rie-x86_64"
        address, runtime_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._url = f"http://{address}/{_INVOCATIONS}"
        self._log_path = client / "log"
        command = [
            *(str(emulator), "--log-level", "info"),
            *("--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_address),
            # Without site packages: the client and what the runtime brings are in a folder of their own.
            *(str(SITE_PACKAGES.parents[2] / "bin" / "python"), "-S", "-m", "awslambdaric", HANDLER),
        ]
        with self._log_path.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - AWS's emulator, our function
                command,
                cwd=self._package,
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": "/nonexistent",
                    "TZ": ":UTC",
                    "LANG": "en_US.UTF-8",
                    "LAMBDA_TASK_ROOT": str(self._package),
                    "AWS_LAMBDA_FUNCTION_NAME": "closrads-sandbox-sync",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                    "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._seconds),
                    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",  # the template's LoggingConfig
                    "AWS_LAMBDA_LOG_LEVEL": "INFO",
                    "PYTHONPATH": str(client),
                    "PYTHONDONTWRITEBYTECODE": "1",  # where a function lies nothing can be written
                    **self._environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        host, port = address.split(":")
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection((host, int(port)), 1):
                return self
            time.sleep(0.02)
        self.__exit__()
        raise RuntimeError("the Lambda runtime emulator does not listen")

    def __exit__(self, *_: object) -> None:
        end(self._process)
        self._folder.cleanup()

    def invoke(self, event: Any) -> Any:
        """Return the function's answer, or `{"errorType": …, "errorMessage": …}`; of a time-out the emulator's text."""
        self._seen = self._log_path.stat().st_size
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            answer = session.post(self._url, json=event, timeout=self._seconds + 30)
        try:
            return json.loads(answer.text)
        except ValueError:
            return answer.text

    @property
    def log(self) -> str:
        """What the emulator and the function have written so far."""
        return self._log_path.read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        """What the function has written since the last invocation began, without the emulator's own lines."""
        log = self._log_path.read_bytes()[self._seen :].decode()
        return [line for line in log.splitlines() if not _OF_THE_EMULATOR.match(line)]

    @property
    def init_seconds(self) -> float:
        """How long the init phase took that the first invocation needed."""
        found = _INIT.search(self.log)
        if found is None:
            raise RuntimeError(f"no init phase in the log:\n{self.log[-2000:]}")
        return float(found[1]) / 1000

    @property
    def inits(self) -> int:
        """How many init phases there were; an invocation that finds the function warm needs none."""
        return len(_INIT.findall(self.log))

    @property
    def pid(self) -> int:
        """The process that the function runs in, once it has been invoked."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        (child,) = (child for task in tasks for child in task.read_text().split())
        return int(child)

    @property
    def resident_megabytes(self) -> float:
        """How much memory that process holds now."""
        found = _RESIDENT.search(Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None  # noqa: S101 - every process that lives has such a line
        return int(found[1]) / 1024
