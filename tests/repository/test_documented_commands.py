"""The command lines of the documents: what AWS, SAM and this program take, letter by letter."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from samtranslator.yaml_helper import yaml_parse
from typer.main import get_command

from closrads.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OF_EVERY_COMMAND = {"--query", "--output", "--region"}
"""Options that the AWS CLI takes with every operation."""
STARTS = r"(?:aws|sam (?:deploy|delete|remote)|(?:\.venv/bin/)?python -m closrads) "


def commands_of(document: Path) -> list[str]:
    """Return the command lines of a document: those in its shell blocks, and those between backticks in its text."""
    text = document.read_text()
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    found = [
        match[1] for line in lines if (match := re.search(rf"(?:^ *|\$\()({STARTS}.*?)\)?(?: +#.*| > .*)?$", line))
    ]
    return found + re.findall(rf"`({STARTS}[^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


COMMANDS = sorted({line for document in DOCUMENTS for line in commands_of(document)})


def options_of(words: list[str]) -> dict[str, list[str]]:
    """Return the options of a command with their values."""
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("-"):
            options[word] = []
        elif options:
            options[next(reversed(options))].append(word)
    return options


def complaints_of_aws(words: list[str]) -> list[str]:
    """Say what the AWS CLI would have against a command, by the model of the service that it is made from."""
    name, operation, *rest = words
    if name not in session().get_available_services():
        return [f"{name} is no service"]
    model = session().get_service_model(name)
    if operation == "wait":
        waiters = session().get_waiter_model(name)
        named = {xform_name(each, "-"): waiters.get_waiter(each).operation for each in waiters.waiter_names}
        operation, rest = xform_name(named[rest[0]], "-"), rest[1:]
    operations = {xform_name(each, "-"): each for each in model.operation_names}
    if operation not in operations:
        return [f"{operation} is no operation of {name}"]
    shape = model.operation_model(operations[operation]).input_shape
    known = {f"--{xform_name(member, '-')}" for member in shape.members} | OF_EVERY_COMMAND
    needed = {f"--{xform_name(member, '-')}" for member in shape.required_members}
    given = options_of(rest).keys()
    return [f"{each} is no option" for each in given - known] + [f"{each} is missing" for each in needed - given]


@cache
def parameters_of_template() -> dict[str, dict[str, Any]]:
    """Return the parameters that a deployment may have."""
    parameters: dict[str, dict[str, Any]] = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    return parameters


@cache
def session() -> Any:
    """Return the models of AWS's services."""
    return botocore.session.get_session()


def complaints_of_sam(words: list[str]) -> list[str]:
    """Say what is wrong with a deployment: parameters that the template does not have, or values it refuses."""
    parameters = parameters_of_template()
    wrong = []
    for pair in options_of(words).get("--parameter-overrides", []):
        name, _, value = pair.partition("=")
        parameter = parameters.get(name, {"AllowedValues": []})
        fits = value in parameter.get("AllowedValues", [value])
        if not (fits and re.fullmatch(parameter.get("AllowedPattern", ".*"), value.strip('"'))):
            wrong.append(f"{pair} is refused")
    return wrong


def complaints_of_closrads(words: list[str]) -> list[str]:
    """Say which command or option this program does not have."""
    name, *rest = words
    commands = get_command(app).commands  # type: ignore[attr-defined] # of a group
    if name not in commands:
        return [f"{name} is no command"]
    known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
    return [f"{each} is no option" for each in options_of(rest).keys() - known]


def complaints(line: str) -> list[str]:
    """Say what is wrong with a command line; nothing if it can be typed as it stands."""
    words = shlex.split(line)
    if words[0] == "aws":
        return complaints_of_aws(words[1:])
    return complaints_of_sam(words) if words[0] == "sam" else complaints_of_closrads(words[3:])


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_can_be_typed_as_it_stands(line: str) -> None:
    """Who is in a hurry copies it."""
    if "…" in line or line.endswith("-m closrads COMMAND"):
        pytest.skip("is about commands, and none itself")

    assert complaints(line) == []


@pytest.mark.parametrize(
    "line",
    [
        "aws dynamo list-tables",
        "aws dynamodb list-table",
        "aws dynamodb list-tables --limits 3",
        "aws dynamodb update-table --deletion-protection-enabled",
        "aws dynamodb wait table-exists",
        "sam deploy --config-env prod --parameter-overrides Stage=prod Schedule=ON",
        "sam deploy --config-env prod --parameter-overrides Stage=prod Schedules=on",
        "sam deploy --config-env prod --parameter-overrides Stage=prod 'ScheduleExpression=\"5 o clock\"'",
        "python -m closrads go",
        "python -m closrads history --days 2026-11-28",
    ],
)
def test_a_slip_would_be_noticed(line: str) -> None:
    """A wrong service, operation, option, parameter or value, and an option that is missing."""
    assert complaints(line)


def test_the_runbooks_commands_are_among_them() -> None:
    """Each way back has its commands."""
    section = (ROOT / "docs" / "runbook.md").read_text().split("\n## Back\n")[1]
    ways = re.split(r"\n### ", section)[1:]

    assert len(ways) == 6
    assert [way.splitlines()[0] for way in ways if "```bash" not in way] == []


def test_moving_takes_few_commands_and_says_what_one_sees() -> None:
    """From the old script's file to the first live run; and the old one is off before the new one writes."""
    text = (ROOT / "docs" / "moving.md").read_text()
    steps = re.split(r"^\*\*\d", text, flags=re.MULTILINE)[1:]
    commands = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]

    assert len(commands) <= 10
    assert [step[:30] for step in steps if "```bash" not in step or "You see" not in step] == []
    live = [command for command in commands if re.search("Schedules=ON|live|resync", command)]
    assert (commands[0], live) == ("crontab -l", [commands[-1]])
