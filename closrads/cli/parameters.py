"""`push-config` and `pull-config`: copy a stage's parameters from a file and to a file."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from closrads.cli.environment import AWS_CLIENT, parameter_path
from closrads.cli.parameter_files import (
    DRY_RUN,
    Difference,
    ParameterFile,
    ParameterType,
    UnreadableFileError,
    as_toml,
    differences,
    read_env,
    read_toml,
    shown_values,
    type_of,
    warnings_about,
)
from closrads.cli.terminal import (
    FAILED,
    CommandError,
    UsageError,
    confirm,
    read_text,
    say,
    stdout_console,
    table,
    waiting,
)
from closrads.domain.settings import Settings
from closrads.errors import ConfigError
from closrads.parameters import parse_settings
from closrads.redaction import Secret, redact
from closrads.report.wording.phrases import several

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient


def push_config(  # noqa: PLR0913 - the command's options
    file: Path, stage: str, *, dry_run: bool, kms_key: str, yes: bool, to_json: bool, verbose: bool
) -> int:
    """Put the parameters of a file, after showing the changes and asking for confirmation; return the exit status.

    With a `kms_key`, every secret in the file is put again: the key of an existing one cannot be read.
    """
    path = parameter_path(stage)
    wanted = _read(file)
    for name, value in wanted.values.items():
        if type_of(name) is ParameterType.SECURE_STRING:
            Secret(value)  # registers the value for redaction
    with waiting("Reading the parameters"):
        store: SSMClient = boto3.client("ssm", config=AWS_CLIENT)
        there = read_parameters(store, path)
    _refuse_stray_switches(path, wanted, _settings(path, wanted, there).notices)
    changes = differences(there, wanted.values, rewrite_secrets=bool(kms_key))
    puts_unasked = yes and changes and not dry_run
    if puts_unasked:  # before any output, because writing to a closed pipe, as with `| head`, ends the command
        _put(store, path, changes, kms_key)
    if to_json:
        names = {"path": path, "dry_run": dry_run, "changes": [change.name for change in changes]}
        print(json.dumps({**names, "left_out": wanted.left_out}))  # noqa: T201 - for machines
    else:
        _show(path, changes, wanted)
        if verbose and (stay := sorted(there.keys() - wanted.values.keys())):
            say(f"not in the file, so unchanged: {', '.join(stay)}")
        if wanted.left_out:
            say(f"left out, not parameters: {', '.join(wanted.left_out)}")
    for warning in warnings_about(wanted):
        say(warning, style="yellow")
    if puts_unasked or not changes or dry_run:
        return 0
    if not confirm(f"Store {several(len(changes), 'parameter')} under {path}?"):
        return FAILED
    _put(store, path, changes, kms_key)
    return 0


def _settings(path: str, wanted: ParameterFile, there: Mapping[str, str]) -> Settings:
    """Return the settings that the stage would have, or raise a `CommandError`."""
    try:
        return parse_settings(path, {**there, **wanted.values}, {})
    except ConfigError as error:
        is_incomplete = any(problem.endswith("is missing") for problem in error.problems)
        hint = (
            ": the file must contain what is missing; for an .env, that includes CLOSRTECH_BASE_URL"
            if is_incomplete
            else ""
        )
        if is_incomplete and (strays := [name for name in wanted.left_out if name != DRY_RUN]):
            hint += f". Left out, perhaps misspelled: {', '.join(strays)}"
        raise CommandError(f"{error}\nNothing was stored{hint}") from None


def _refuse_stray_switches(path: str, wanted: ParameterFile, notices: Sequence[str]) -> None:
    """Refuse a file that would switch a campaign that does not exist; only mention existing switches of this kind."""
    names = [f"{path}/{name}" for name in wanted.values]
    refused = [notice for notice in notices if any(name.startswith(f"{notice.partition(': ')[0]}/") for name in names)]
    if refused:
        raise CommandError("\n".join([*refused, "Nothing was stored"]))
    for notice in notices:
        say(notice)


def pull_config(stage: str, file: Path | None, *, to_json: bool) -> None:
    """Write a stage's parameters as TOML, or as JSON, with secrets as ***."""
    if file and file.exists():
        raise CommandError(f"{file} already exists: name another file, or remove it")
    path = parameter_path(stage)
    with waiting("Reading the parameters"):
        there = read_parameters(boto3.client("ssm", config=AWS_CLIENT), path)
    if not there:
        raise CommandError(f"There are no parameters under {path}. Are these the right stage and the right Region?")
    text = json.dumps(shown_values(there), indent=2) + "\n" if to_json else as_toml(there)
    if file:
        file.write_text(text)
        say(f"{several(len(there), 'parameter')} of {path} written to {file}, secrets as ***")
    else:
        print(text, end="")  # noqa: T201 - for a file or a pipe


def _read(file: Path) -> ParameterFile:
    text = read_text(file)
    try:
        found = read_toml(text) if file.suffix == ".toml" else read_env(text)
    except UnreadableFileError as error:
        raise UsageError(f"{file}: {error}") from None
    if not found.values:
        raise UsageError(
            f"{file}: contains no parameters. A TOML file must be named .toml; any other is read as an .env"
        )
    return found


def read_parameters(store: "SSMClient", path: str) -> dict[str, str]:
    """Return a stage's parameters by name below its path; the values of secret ones are registered for redaction."""
    pages = store.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    there = {found["Name"].removeprefix(f"{path}/"): found["Value"] for page in pages for found in page["Parameters"]}
    for name, value in there.items():
        if type_of(name) is ParameterType.SECURE_STRING:
            Secret(value)
    return there


def _show(path: str, changes: list[Difference], wanted: ParameterFile) -> None:
    out = stdout_console()
    if changes:
        out.print(f"{path}: {several(len(changes), 'change')}", style="bold")
        rows = table("parameter", "now", "then")
        for change in changes:
            rows.add_row(*(redact(text) for text in (change.name, *change.display_values)))
        out.print(rows)
    else:
        out.print(f"{path}: nothing to change in {several(len(wanted.values), 'parameter')}")


def _put(store: "SSMClient", path: str, changes: list[Difference], kms_key: str) -> None:
    put_secret = partial(store.put_parameter, KeyId=kms_key) if kms_key else store.put_parameter
    done = 0
    try:
        with waiting(f"Storing {several(len(changes), 'parameter')}"):
            for change in changes:
                name, kind = f"{path}/{change.name}", type_of(change.name)
                put = put_secret if kind.value == ParameterType.SECURE_STRING.value else store.put_parameter
                put(Name=name, Value=change.after, Type=kind.value, Overwrite=True)
                done += 1
    finally:
        rest = "" if done == len(changes) else " Run it again to store the rest."
        say(f"{done} of {len(changes)} stored.{rest} A warm function uses the old values for up to five minutes.")
