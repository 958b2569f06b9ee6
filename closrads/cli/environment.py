"""The resources of a stage: its parameters, its ledger and its time zone."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from closrads.cli import completion
from closrads.cli.terminal import SET_CREDENTIALS, CommandError, UsageError
from closrads.clock import MAX_RUN_SECONDS, Clock
from closrads.ledger.dynamodb import Table, use_long_timeouts

AWS_CLIENT = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
CALL_SECONDS = 30.0
"""Time limit of a check's calls to Meta and CLOSRTECH, too short for a retry."""
ACCESS_DENIED_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
"""Error codes of AWS's services for a missing permission."""
_STAGE, _PATH, _TABLE, _ZONE = (f"CLOSRADS_{name}" for name in ("STAGE", "PARAMETER_PATH", "LEDGER_TABLE", "TIMEZONE"))


@dataclass(frozen=True, slots=True)
class StageLocation:
    """The resources of a stage."""

    stage: str
    path: str
    """Path of the parameters."""
    table: str
    """Name of the ledger's table; empty if it is unknown."""
    why_no_table: str
    """Why the table is unknown; empty if it is known."""
    timezone: str
    """Name of the time zone; empty if it is unknown."""
    forbidden: bool = False
    """Whether the table is unknown because of a missing permission."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which times are displayed; raise a `CommandError` if the name is invalid."""
        try:
            return ZoneInfo(self.timezone or "UTC")
        except (LookupError, OSError, ValueError):
            raise CommandError(f"{_ZONE} is not a time zone such as America/New_York") from None

    def ledger_table(self) -> Table:
        """Return the ledger's table; raise a `CommandError` if it is unknown."""
        if not self.table:
            raise CommandError(self.why_no_table)
        return Table(self.table, Clock())

    def variables(self) -> dict[str, str]:
        """Return the stage's environment variables of the function."""
        variables = {_STAGE: self.stage, _PATH: self.path, _TABLE: self.table, _ZONE: self.timezone}
        return {name: value for name, value in variables.items() if value}


def stack_name(stage: str) -> str:
    """Return the name of a stage's stack."""
    return f"closrads-{stage}"


def parameter_path(stage: str) -> str:
    """Return the path of a stage's parameters; `CLOSRADS_PARAMETER_PATH` overrides the default.

    Raises
    ------
    UsageError
        The stage is not a valid name, cannot be deployed, or is not the one that this shell is set up for.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", stage):
        raise UsageError(f"{stage!r} is not a stage: give its name alone, such as prod")
    named = os.environ.get(_STAGE)
    if named and named != stage:
        raise UsageError(
            f"This shell is set up for stage {named} ({_STAGE}): use --stage {named}, or unset the variable"
        )
    path, known = os.environ.get(_PATH, "").rstrip("/"), completion.stages("")
    if not path and known and stage not in known:
        near = get_close_matches(stage.lower(), known, 1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"There is no stage {stage}: {guess}samconfig.toml has {' and '.join(known)}")
    return path or f"/closrads/{stage}"


def locate_stage(stage: str) -> StageLocation:
    """Return the resources of a stage, from this shell's environment variables or else from its deployed stack.

    From then on, this process uses longer timeouts for the ledger.
    """
    use_long_timeouts()
    path, table, timezone = parameter_path(stage), os.environ.get(_TABLE, ""), os.environ.get(_ZONE, "")
    if table:
        return StageLocation(stage, path, table, "", timezone)
    name = stack_name(stage)
    client: Any = boto3.client("cloudformation", config=AWS_CLIENT)
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        remedy = SET_CREDENTIALS if isinstance(error, NoCredentialsError) else f"Deploy, or set {_TABLE}"
        why = f"The ledger's table is named by the stack {name}, which cannot be read: {error}. {remedy}"
        if code == "ValidationError":  # what CloudFormation answers if there is no such stack
            where = f"There is no stack {name} in {client.meta.region_name}, so the ledger's table is unknown"
            why = f"{where}. Check --stage and the Region, deploy the stack, or set {_TABLE}"
        forbidden = code in ACCESS_DENIED_CODES
        return StageLocation(stage, path, "", why, timezone, forbidden)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", ())}
    table = outputs.get("LedgerTable", "")
    why = "" if table else f"The stack {name} has no output LedgerTable: deploy it again, or set {_TABLE}"
    return StageLocation(stage, path, table, why, timezone or given.get("ScheduleTimezone", ""))


@contextmanager
def function_environment(place: StageLocation) -> Iterator[None]:
    """Set the environment variables of the stage's function in this process, within the `with` body."""
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
    """Return a clock with the deadline of a Lambda invocation that starts now."""
    end = time.monotonic() + MAX_RUN_SECONDS
    return Clock(remaining=lambda: end - time.monotonic())
