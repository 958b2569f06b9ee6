"""`Sandbox`: Meta, CLOSRTECH and AWS, started together."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from sandbox.aws import (
    ACCESS_KEY,
    CONTAINER_PARAMETER_PATH,
    LEDGER_TABLE,
    PARAMETER_PATH,
    REGION,
    SECRET_KEY,
    AwsWorld,
)
from sandbox.closrtech import ClosrtechWorld
from sandbox.meta import MetaWorld
from sandbox.scenarios import SCENARIOS

_LOCAL = "127.0.0.1"


class Sandbox:
    """Everything that the daily job talks to, over real HTTP, in threads of this process. A context manager.

    `now` returns the time in seconds and drives everything at Meta that depends on time. Port 0 means any free port.
    `aws` defaults to moto, whose state is global to the process (see `sandbox.moto_aws`).
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        *,
        meta_port: int = 0,
        closrtech_port: int = 0,
        aws_port: int = 0,
        aws: AwsWorld | None = None,
    ) -> None:
        self.meta = MetaWorld(now, meta_port)
        self.closrtech = ClosrtechWorld(closrtech_port)
        self.aws = aws or _moto(aws_port)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for world in (self.meta, self.closrtech, self.aws):
                running.callback(world.stop)
                world.start()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def reset(self) -> None:
        """Clear all worlds: campaigns, faults, mails, parameters, ledger items and recorded requests."""
        for world in (self.meta, self.closrtech, self.aws):
            world.reset()

    def load(self, scenario: str) -> None:
        """Reset, then build a scenario of `sandbox.scenarios.SCENARIOS`."""
        if scenario not in SCENARIOS:
            raise KeyError(f"no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}")
        self.reset()
        SCENARIOS[scenario](self)

    @staticmethod
    def foreign_variables(environment: Mapping[str, str]) -> list[str]:
        """Return the variables that would make a process bypass the sandbox or behave differently in it."""
        prefixes = ("AWS_", "CLOSRADS_", "POWERTOOLS_")
        return [
            name
            for name in environment
            if name.startswith(prefixes) or name == "DRY_RUN" or name.upper().endswith("_PROXY")
        ]

    def environment(self, host: str = _LOCAL) -> dict[str, str]:
        """Return the environment variables for a process that reaches this machine as `host`."""
        return {
            "CLOSRADS_STAGE": "sandbox",
            "CLOSRADS_PARAMETER_PATH": PARAMETER_PATH if host == _LOCAL else CONTAINER_PARAMETER_PATH,
            "CLOSRADS_LEDGER_TABLE": LEDGER_TABLE,
            "CLOSRADS_PUSH_QUEUE": self.aws.push_queue_url,
            "CLOSRADS_GRAPH_URL": self.meta.url.replace(_LOCAL, host),
            "CLOSRADS_TIMEZONE": "America/New_York",
            "CLOSRADS_SCHEDULE": "cron(30 6 * * ? *)",  # as in template.yaml
            "AWS_ENDPOINT_URL": self.aws.url.replace(_LOCAL, host),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": os.devnull,  # ignore the profiles of this machine
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "POWERTOOLS_SERVICE_NAME": "closrads",
        }


def _moto(port: int) -> AwsWorld:
    from sandbox.moto_aws import MotoAws  # noqa: PLC0415 - moto takes a second to import

    return MotoAws(port)
