"""What a stage is called where: its parameters, its ledger, its time zone."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from closrads.cli.terminal import SET_CREDENTIALS, CommandError, UsageError
from closrads.clock import Clock
from closrads.ledger.dynamodb import Table
from closrads.sync import MAX_RUN_SECONDS

AWS_CLIENT = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
"""How AWS's services call it that somebody lacks a right."""
_STAGE, _PATH, _TABLE, _ZONE = (f"CLOSRADS_{name}" for name in ("STAGE", "PARAMETER_PATH", "LEDGER_TABLE", "TIMEZONE"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage has what."""

    stage: str
    path: str
    """Of its parameters."""
    table: str
    """Of its ledger; empty if it is not known."""
    why_no_table: str
    timezone: str
    """Empty if it is not known."""
    forbidden: bool = False
    """The ledger's table is not known for want of a right."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the times that people are shown; raise `CommandError` if it is none."""
        try:
            return ZoneInfo(self.timezone or "UTC")
        except (LookupError, OSError, ValueError):
            raise CommandError(f"{_ZONE} is not a time zone such as America/New_York") from None

    def ledger_table(self) -> Table:
        """Return the ledger's table to look things up in; raise `CommandError` if there is none."""
        if not self.table:
            raise CommandError(self.why_no_table)
        return Table(self.table, Clock())

    def variables(self) -> dict[str, str]:
        """Return the function's environment, as far as it is of the stage."""
        variables = {_STAGE: self.stage, _PATH: self.path, _TABLE: self.table, _ZONE: self.timezone}
        return {name: value for name, value in variables.items() if value}


def parameter_path(stage: str) -> str:
    """Return the path of a stage's parameters, which this shell may name itself."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", stage):
        raise UsageError(f"{stage!r} is no stage: give its name alone, such as prod")
    named = os.environ.get(_STAGE)
    if named and named != stage:
        raise UsageError(f"This shell is set up for stage {named} ({_STAGE}): give --stage {named}, or unset it")
    return os.environ.get(_PATH, "").rstrip("/") or f"/closrads/{stage}"


def place_of(stage: str) -> Place:
    """Return where a stage has what: as this shell's variables say, else as its stack was deployed."""
    path, table, timezone = parameter_path(stage), os.environ.get(_TABLE, ""), os.environ.get(_ZONE, "")
    if table:
        return Place(stage, path, table, "", timezone)
    name = f"closrads-{stage}"
    client: Any = boto3.client("cloudformation", config=AWS_CLIENT)
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        remedy = SET_CREDENTIALS if isinstance(error, NoCredentialsError) else f"Deploy, or set {_TABLE}"
        why = f"The ledger's table is named by the stack {name}, which cannot be read: {error}. {remedy}"
        forbidden = isinstance(error, ClientError) and error.response["Error"]["Code"] in NOT_ALLOWED
        return Place(stage, path, "", why, timezone, forbidden)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}
    table = outputs.get("LedgerTable", "")
    why = "" if table else f"The stack {name} has no output LedgerTable: deploy it anew, or set {_TABLE}"
    return Place(stage, path, table, why, timezone or given.get("ScheduleTimezone", ""))


@contextmanager
def entered(place: Place) -> Iterator[None]:
    """Give this process the environment of the stage's function."""
    variables = place.variables()
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def clock() -> Clock:
    """Return the time that a run by hand has: as much as in Lambda."""
    end = time.monotonic() + MAX_RUN_SECONDS
    return Clock(remaining=lambda: end - time.monotonic())
