"""`push-config` and `pull-config`: a stage's parameters, out of a file and into one."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from closrads.cli.parameter_files import (
    Difference,
    Kind,
    ParameterFile,
    UnreadableFileError,
    as_toml,
    differences,
    kind_of,
    read_env,
    read_toml,
)
from closrads.config import parse_settings
from closrads.errors import ConfigError, Secret, redact

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

Stage = Annotated[str, typer.Option(help="Whose parameters: they lie below /closrads/STAGE.")]


def push_config(
    file: Annotated[Path, typer.Argument(help="A TOML file, or the .env of the system before this one.")],
    stage: Stage,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the names of what changes as JSON.")] = False,
) -> None:
    """Put the parameters that FILE names. Others stay as they are; once more changes nothing."""
    path = f"/closrads/{stage}"
    told = Console(stderr=True, highlight=False)
    with _explained(told):
        wanted = _read(file)
        for name, value in wanted.values.items():
            if kind_of(name) is Kind.SECURE_STRING:
                Secret(value)  # from here on no text can show it
        store: SSMClient = boto3.client("ssm")
        there = _parameters(store, path)
        try:
            parse_settings(path, {**there, **wanted.values}, {})
        except ConfigError as error:
            hint = "Nothing was put: what is missing has to stand in the file, in an .env CLOSRTECH_BASE_URL too"
            raise UnreadableFileError(f"{error}\n{hint}") from None
        changes = differences(there, wanted.values)
        if as_json:
            names = {"path": path, "dry_run": dry_run, "changes": [change.name for change in changes]}
            print(json.dumps({**names, "left_out": wanted.left_out}))  # noqa: T201 - for machines
        else:
            _show(path, changes, wanted, there)
        if not changes or dry_run:
            return
        if not (yes or _agreed(told, len(changes))):
            raise typer.Exit(1)
        _put(store, path, changes, told)


def pull_config(
    stage: Stage,
    file: Annotated[Path | None, typer.Argument(help="Where to; without it the text is printed.")] = None,
) -> None:
    """Write a stage's parameters as a TOML file, with secrets as ***, which `push-config` leaves as they are."""
    told = Console(stderr=True, highlight=False)
    with _explained(told):
        if file and file.exists():
            raise UnreadableFileError(f"{file} exists: name another file, or remove it")
        path = f"/closrads/{stage}"
        there = _parameters(boto3.client("ssm"), path)
        if not there:
            raise UnreadableFileError(f"{path}: there are no parameters. Is that the stage, and the right Region?")
        text = as_toml(there)
        if file:
            file.write_text(text)
        else:
            print(text, end="")  # noqa: T201 - for a file or a pipe


@contextmanager
def _explained(told: Console) -> Iterator[None]:
    """Say what went wrong without a traceback, and without a secret."""
    try:
        yield
    except (UnreadableFileError, OSError, UnicodeDecodeError) as error:
        told.print(redact(str(error)), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except (BotoCoreError, ClientError) as error:
        text = f"AWS refuses: {error}. Are these the right credentials and the right Region?"
        told.print(redact(text), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _read(file: Path) -> ParameterFile:
    text = file.read_text()
    found = read_toml(text) if file.suffix == ".toml" else read_env(text)
    if not found.values:
        raise UnreadableFileError(f"{file}: names no parameter. Its name must end in .toml unless it is an .env")
    return found


def _parameters(store: "SSMClient", path: str) -> dict[str, str]:
    pages = store.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    there = {found["Name"].removeprefix(f"{path}/"): found["Value"] for page in pages for found in page["Parameters"]}
    for name, value in there.items():
        if kind_of(name) is Kind.SECURE_STRING:
            Secret(value)
    return there


def _show(path: str, changes: list[Difference], wanted: ParameterFile, there: Mapping[str, str]) -> None:
    shown = Console(highlight=False)
    if changes:
        table = Table("parameter", "now", "then", title=f"{path}: {len(changes)} to be put", title_justify="left")
        for change in changes:
            table.add_row(*(redact(text) for text in (change.name, *change.shown)))
        shown.print(table, markup=False)
    else:
        shown.print(f"{path}: nothing to do, {len(wanted.values)} parameters are as the file says", markup=False)
    if stay := sorted(there.keys() - wanted.values.keys()):
        shown.print(f"not in the file, stay as they are: {', '.join(stay)}", markup=False)
    if wanted.left_out:
        shown.print(f"no parameters, left out: {', '.join(wanted.left_out)}", markup=False)


def _is_somebody_there() -> bool:
    return sys.stdin.isatty()


def _agreed(told: Console, count: int) -> bool:
    if not _is_somebody_there():
        told.print("Nobody is there to ask: give --yes", style="red")
        return False
    return typer.confirm(f"Put {count} parameters?", err=True)


def _put(store: "SSMClient", path: str, changes: list[Difference], told: Console) -> None:
    done = 0
    try:
        for change in changes:
            name = f"{path}/{change.name}"
            store.put_parameter(Name=name, Value=change.after, Type=kind_of(change.name).value, Overwrite=True)
            done += 1
    finally:
        rest = "" if done == len(changes) else " Once more puts the rest."
        told.print(f"{done} of {len(changes)} put.{rest} A warm function keeps the old ones for five minutes at most.")
