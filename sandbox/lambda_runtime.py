"""The real Lambda runtime without containers: AWS's runtime emulator and AWS's runtime client.

Both are installed in the environment `.venv/sam`. The function sees its own package, the runtime client and what the
real runtime provides (boto3), but nothing of this project's environments.
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
"""The environment of SAM CLI; None if it is missing."""
HANDLER = "handler.lambda_handler"

_CLIENT = ("awslambdaric", "runtime_client*.so", "simplejson", "snapshot_restore_py.py")
_OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
_INVOCATIONS = "2015-03-31/functions/function/invocations"
_START_SECONDS = 10.0
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)")
_OF_THE_EMULATOR = re.compile(r"(START|END|REPORT) RequestId: |\d\d \w{3} \d{4} \S+ \[\w+\] \(rapid\) ")
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


def why_not_here() -> str:
    """Return why the runtime cannot run on this machine; empty if it can."""
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
        A folder as built by `sam build`.
    environment
        The function's environment variables.
    seconds
        The function's timeout.
    """

    def __init__(self, package: Path, environment: Mapping[str, str], seconds: int = 900) -> None:
        self._package = package
        self._environment = environment
        self._seconds = seconds
        self._seen = 0

    def __enter__(self) -> Self:
        assert SITE_PACKAGES is not None, why_not_here()  # noqa: S101 - the caller has checked
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
            # Without site packages: the client and the runtime's own packages are in a separate folder.
            *(str(SITE_PACKAGES.parents[2] / "bin" / "python"), "-S", "-m", "awslambdaric", HANDLER),
        ]
        with self._log_path.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - runs AWS's emulator and our function
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
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",  # as in the template's LoggingConfig
                    "AWS_LAMBDA_LOG_LEVEL": "INFO",
                    "PYTHONPATH": str(client),
                    "PYTHONDONTWRITEBYTECODE": "1",  # a function's folder is read-only in Lambda
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
        """Return the function's response or `{"errorType": …, "errorMessage": …}`; the emulator's text on a timeout."""
        self._seen = self._log_path.stat().st_size
        with requests.Session() as session:
            session.trust_env = False  # ignore proxies from the environment
            answer = session.post(self._url, json=event, timeout=self._seconds + 30)
        try:
            return json.loads(answer.text)
        except ValueError:
            return answer.text

    @property
    def log(self) -> str:
        """The output of the emulator and the function so far."""
        return self._log_path.read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The function's output since the start of the last invocation, without the emulator's own lines."""
        log = self._log_path.read_bytes()[self._seen :].decode()
        return [line for line in log.splitlines() if not _OF_THE_EMULATOR.match(line)]

    @property
    def init_seconds(self) -> float:
        """Duration of the init phase of the first invocation."""
        found = _INIT.search(self.log)
        if found is None:
            raise RuntimeError(f"no init phase in the log:\n{self.log[-2000:]}")
        return float(found[1]) / 1000

    @property
    def inits(self) -> int:
        """Number of init phases; a warm invocation has none."""
        return len(_INIT.findall(self.log))

    @property
    def pid(self) -> int:
        """The function's process id, available after the first invocation."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        (child,) = (child for task in tasks for child in task.read_text().split())
        return int(child)

    @property
    def resident_megabytes(self) -> float:
        """Resident memory of that process."""
        found = _RESIDENT.search(Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None  # noqa: S101 - every live process has such a line
        return int(found[1]) / 1024
