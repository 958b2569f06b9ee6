"""`docs/commands.md` names what there is, and all of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from closrads.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/commands.md").read_text()
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined] # it is a group
SECTIONS = {
    match[1]: match[2] for match in re.finditer(r"^## `([\w-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}


def options(command: Any) -> set[str]:
    """Return the names of a command's options, the short ones too."""
    return {name for each in command.params if each.param_type_name == "option" for name in each.opts}


def named(text: str) -> set[str]:
    """Return the options that a text names between backticks."""
    return set(re.findall(r"`(--?[a-z][a-z-]*)`", text))


def test_every_command_has_a_section() -> None:
    """And none that is gone has one."""
    assert SECTIONS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_named(name: str) -> None:
    """In the command's section; a short name there or where the common ones stand."""
    common = named(PAGE.partition("\n## ")[0])
    there = options(COMMANDS[name])

    assert named(SECTIONS[name]) - {"--help", "-h"} <= there
    assert {option for option in there if option.startswith("--")} <= named(SECTIONS[name])
    assert there <= named(SECTIONS[name]) | common


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_named(name: str) -> None:
    """As the help names it."""
    for each in COMMANDS[name].params:
        if each.param_type_name == "argument":
            label = each.metavar or each.name.upper()
            assert re.search(rf"\| `\[?{re.escape(label).replace('|', chr(92) * 2 + '|')}\]?` \|", SECTIONS[name]), (
                label
            )


def test_every_example_can_be_called() -> None:
    """Its command exists, and so do its options."""
    calls = re.findall(r"^\$ python -m closrads ([\w-]+)([^|\n]*)", PAGE, re.MULTILINE)
    assert {name for name, _ in calls} == COMMANDS.keys() - {"completion"}
    for name, rest in calls:
        assert set(re.findall(r"--[a-z-]+", rest)) <= options(COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_an_example(name: str) -> None:
    """Whoever reads it sees how the command is called."""
    assert f"python -m closrads {name}" in COMMANDS[name].epilog
