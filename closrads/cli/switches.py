"""`pause` and `resume`: the switches that keep new changes from being started, in a stage or in one campaign."""

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple

import boto3

from closrads.cli import environment
from closrads.cli.environment import AWS_CLIENT, parameter_path
from closrads.cli.parameters import read_parameters
from closrads.cli.terminal import CommandError, UsageError, known_ones, say, stdout_console, waiting
from closrads.domain.settings import Limits
from closrads.errors import ConfigError, LedgerError
from closrads.ledger.leases import Leases
from closrads.parameters import PAUSED, parse_boolean, parse_settings

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


class _Switch(NamedTuple):
    """The parameter that switches everything off, or one campaign."""

    name: str
    stops: bool
    """The value that means off."""
    what: str

    @classmethod
    def of(cls, slug: str | None, stage: str) -> "_Switch":
        """Return the switch of a campaign, or of the stage."""
        if slug is None:
            return cls(PAUSED, stops=True, what=f"stage {stage}")
        return cls(f"campaigns/{slug}/enabled", stops=False, what=f"campaign {slug} of stage {stage}")

    def since(self, store: "SSMClient", path: str) -> str:
        """Return since when it has been off; empty if it is on."""
        found = store.get_parameters(Names=[f"{path}/{self.name}"])["Parameters"]
        if not found or parse_boolean(found[0]["Value"]) is not self.stops:
            return ""
        return f"since {found[0]['LastModifiedDate'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"

    def put(self, store: "SSMClient", path: str, *, stop: bool) -> None:
        """Switch off, or on."""
        value = "true" if stop is self.stops else "false"
        store.put_parameter(Name=f"{path}/{self.name}", Value=value, Type="String", Overwrite=True)


def pause(slug: str | None, stage: str) -> None:
    """Pause everything or one campaign, and print the active runs."""
    path, switch, store = parameter_path(stage), _Switch.of(slug, stage), boto3.client("ssm", config=AWS_CLIENT)
    out = stdout_console()
    with waiting("Pausing"):
        if slug is not None:
            _refuse_unknown(slug, stage, read_parameters(store, path))
        since = switch.since(store, path)
        if not since:
            switch.put(store, path, stop=True)
    out.print(f"Already paused {since}: {switch.what}" if since else f"Paused: {switch.what} starts nothing new")
    with waiting("Looking for active runs"):
        lines = _at_work(slug, stage, read_parameters(store, path))
    for line in lines:
        out.print(line)


def resume(slug: str | None, stage: str) -> None:
    """Resume everything or one campaign, and print what is still off."""
    path, switch, store = parameter_path(stage), _Switch.of(slug, stage), boto3.client("ssm", config=AWS_CLIENT)
    with waiting("Resuming"):
        there = read_parameters(store, path)
        if slug is not None:
            _refuse_unknown(slug, stage, there)
            _refuse_incomplete(path, {**there, switch.name: "true"})
        since = switch.since(store, path)
        if since:
            switch.put(store, path, stop=False)
    out = stdout_console()
    if since:
        warm = "" if slug is None else "; a warm function notices within five minutes"
        out.print(f"Resumed: {switch.what}, paused {since}. The next run continues{warm}")
    else:
        out.print(f"Not paused: {switch.what}")
    if slug is not None and (still := _Switch.of(None, stage).since(store, path)):
        out.print(f"But all of stage {stage} is paused, {still}: resume that too", style="yellow")
    elif slug is None:
        for off in (
            each for each in _slugs(there) if parse_boolean(there.get(f"campaigns/{each}/enabled", "true")) is False
        ):
            out.print(f"Still off: campaign {off}, {_Switch.of(off, stage).since(store, path)}", style="yellow")


def _slugs(there: Mapping[str, str]) -> list[str]:
    return sorted({name.split("/")[1] for name in there if name.startswith("campaigns/")})


def _refuse_unknown(slug: str, stage: str, there: Mapping[str, str]) -> None:
    if slug not in (known := _slugs(there)):
        raise UsageError(f"Stage {stage} has no campaign {slug}: {known_ones(slug, known)}")


def _refuse_incomplete(path: str, wanted: Mapping[str, str]) -> None:
    """Refuse to switch on an incomplete campaign, which would make every run fail."""
    try:
        parse_settings(path, wanted, {})
    except ConfigError as error:
        raise CommandError(f"{error}\nNothing was resumed, because every run would refuse these parameters") from None


def _at_work(slug: str | None, stage: str, there: Mapping[str, str]) -> list[str]:
    """Return a line for each active run, with the latest time at which it stops."""
    usual = there.get("limits/wave_size", str(Limits().wave_size))
    lines = []
    try:
        leases = Leases(environment.locate_stage(stage).ledger_table())
        for each in [slug] if slug else _slugs(there):
            if held := leases.holder_of(each):
                size = there.get(f"campaigns/{each}/limits/wave_size", usual)
                most = "1 ad set" if size == "1" else f"{size} ad sets"
                lines.append(
                    f"Active on {each}: run {held[0]}. It finishes or rolls back what it has begun, at most {most}, "
                    f"by {held[1]:%H:%M:%S} UTC at the latest"
                )
    except (CommandError, LedgerError) as error:
        say(f"It is unknown whether a run is active. {error}", style="yellow")
        return []
    return lines or ["No run is active"]
