"""The check of the parameters in the Parameter Store."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from closrads.cli.doctor.findings import PUSH, Finding, failed, ok, warning
from closrads.cli.environment import StageLocation
from closrads.domain.settings import Settings
from closrads.errors import ConfigError
from closrads.parameters import PAUSED, parse_boolean, parse_settings

MISSING = "?"
_PLACEHOLDERS = {
    "closrtech/base_url": "https://closrtech.invalid",
    "closrtech/email": MISSING,
    "closrtech/password": MISSING,
    "meta/access_token": MISSING,
}
"""Values for missing parameters, so that the others can be checked."""


@dataclass(slots=True)
class ParameterState:
    """The parameters, as far as they are valid; filled in by `check_parameters`."""

    settings: Settings | None = None
    """None if even the valid parameters do not form settings."""
    values: Mapping[str, str] = field(default_factory=dict)
    """All parameters, by name below the stage's path."""
    broken: frozenset[str] = frozenset()
    """Groups with placeholders for missing parameters: `closrtech`, `meta`."""


def check_parameters(
    place: StageLocation, read: Callable[[], Mapping[str, str]], state: ParameterState
) -> Iterator[Finding]:
    """Read the settings as the function does, and store the valid ones in `state`."""
    name, values = "parameters", read()
    if not values:
        yield failed(name, f"there are none below {place.path}", "check --stage and the Region, then `push-config`")
        return
    state.values = values
    try:
        state.settings = parse_settings(place.path, values, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            full, _, said = problem.partition(": ")
            what = full.removeprefix(f"{place.path}/")
            yield failed(what, said, _remedy_for(what, said, place.path))
        state.settings, state.broken = _valid_settings(place.path, values, error.problems)
        yield from _stray_switches(place.path, state)
        return
    yield from _stray_switches(place.path, state)
    enabled = [campaign.slug for campaign in state.settings.campaigns if campaign.enabled]
    off = [campaign.slug for campaign in state.settings.campaigns if not campaign.enabled]
    said = f"{len(values)} below {place.path}; campaigns: {', '.join(enabled) or 'none'}"
    if off:
        said += f"; switched off: {', '.join(off)}"
    if not enabled:
        yield warning(name, f"{said}: a run does nothing", "set a campaign's `enabled` to true")
    elif parse_boolean(values.get(PAUSED, "false")):
        yield warning(name, f"{said}; all of it is paused: no targeting is changed", "`resume`, unless that is wanted")
    else:
        yield ok(name, said)


def _stray_switches(path: str, state: ParameterState) -> Iterator[Finding]:
    """Name the switches that were meant for a campaign and are below no campaign's slug."""
    for notice in state.settings.notices if state.settings else ():
        folder, _, said = notice.partition(": ")
        below = folder.removeprefix(f"{path}/")
        names = " ".join(f"{path}/{name}" for name in sorted(state.values) if name.startswith(f"{below}/"))
        remedy = f"put it below the right campaign, and delete this: aws ssm delete-parameters --names {names}"
        yield failed(below, said, remedy)


def _valid_settings(
    path: str, values: Mapping[str, str], problems: Sequence[str]
) -> tuple[Settings | None, frozenset[str]]:
    """Return the settings without the faulty parameters, and the groups in which placeholders replace them."""
    faulty = {problem.partition(": ")[0].removeprefix(f"{path}/") for problem in problems}
    dropped = tuple(f"{_scope_of(name)}/" for name in faulty)
    valid = {name: value for name, value in values.items() if not f"{name}/".startswith(dropped)}
    placeholders = {name: value for name, value in _PLACEHOLDERS.items() if name in faulty}
    broken = frozenset(name.split("/")[0] for name in placeholders)
    variables = {name: value for name, value in os.environ.items() if name not in faulty}
    try:
        return parse_settings(path, {**placeholders, **valid}, variables), broken
    except ConfigError:
        return None, broken


def _scope_of(name: str) -> str:
    """Return the prefix of the parameters that are useless without this one: its campaign, all of email, or itself."""
    parts = name.split("/")
    return "/".join(parts[: {"campaigns": 2, "email": 1}.get(parts[0], len(parts))])


def _remedy_for(name: str, said: str, path: str) -> str:
    if name.startswith("CLOSRADS_") or name == "DRY_RUN":
        return "correct or unset this variable of your shell"
    if "is not a parameter" in said:
        return f"delete it: aws ssm delete-parameter --name {path}/{name}"
    return PUSH
