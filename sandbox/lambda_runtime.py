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

SITE_PACKAGES = next(Path(__file__).resolve().parent.parent.glob(".venv/sam/lib/python3.*/site-packages"), None)
"""Of SAM CLI; None where its environment is missing."""
HANDLER = "handler.lambda_handler"

_CLIENT = ("awslambdaric", "runtime_client*.so", "simplejson", "snapshot_restore_py.py")
_OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
_INVOCATIONS = "2015-03-31/functions/function/invocations"
_START_SECONDS = 10.0
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)")


def why_not_here() -> str:
    """Return why the runtime cannot run on this machine, empty if it can."""
    if sys.platform != "linux":
        return "the Lambda runtime needs Linux"
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

    def __enter__(self) -> Self:
        assert SITE_PACKAGES is not None, why_not_here()  # noqa: S101 - the caller has asked
        self._folder = tempfile.TemporaryDirectory()
        client = Path(self._folder.name)
        for pattern in (*_CLIENT, *_OF_THE_RUNTIME):
            for path in SITE_PACKAGES.glob(pattern):
                (client / path.name).symlink_to(path)
        machine = "arm64" if platform.machine() == "aarch64" else "x86_64"
        emulator = SITE_PACKAGES / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{machine}"
        address, runtime_address = _free_address(), _free_address()
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
                    "PYTHONPATH": str(client),
                    "PYTHONDONTWRITEBYTECODE": "1",  # where a function lies nothing can be written
                    **self._environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        host, port = address.split(":")
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection((host, int(port)), 1):
                return self
            time.sleep(0.02)
        self.__exit__()
        raise RuntimeError("the Lambda runtime emulator does not listen")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def invoke(self, event: Any) -> Any:
        """Return the function's answer, or `{"errorType": …, "errorMessage": …}`; of a time-out the emulator's text."""
        answer = requests.post(self._url, json=event, timeout=self._seconds + 30)
        try:
            return json.loads(answer.text)
        except ValueError:
            return answer.text

    @property
    def log(self) -> str:
        """What the emulator and the function have written so far."""
        return self._log_path.read_text(errors="replace")

    @property
    def init_seconds(self) -> float:
        """How long the init phase took that the first invocation needed."""
        found = _INIT.search(self.log)
        if found is None:
            raise RuntimeError(f"no init phase in the log:\n{self.log[-2000:]}")
        return float(found[1]) / 1000


def _free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
