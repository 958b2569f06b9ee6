"""The business of the sandbox, and the commands as somebody in a shell calls them."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
import typer.testing
from typer.testing import CliRunner, Result

from closrads.cli import environment, runs
from closrads.cli.app import app
from closrads.ledger import dynamodb
from sandbox import Sandbox
from tests.world import FakeTime

Call = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Build the commands from the app once, as a process does, and not for each call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture
def business(sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """Return the sandbox on a day on which demand has moved; files are written to a folder of the test's own."""
    sandbox.load("change day")
    monkeypatch.setattr(environment, "clock", lambda: fake_time.clock)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "LOGS", tmp_path / "build/log")
    monkeypatch.setattr(dynamodb, "_config", dynamodb._config)  # a command changes it for its whole process
    return sandbox


@pytest.fixture
def call(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a way to call a command, which checks that it shows no secret and no traceback."""
    monkeypatch.setenv("COLUMNS", "160")

    def called(*arguments: object, typed: str | None = None) -> Result:
        result = CliRunner().invoke(app, [*map(str, arguments)], input=typed)
        said = result.output + result.stderr
        for secret in (business.meta.token, business.closrtech.password):
            assert secret not in said + repr(result.exception)
        assert "Traceback" not in said
        assert isinstance(result.exception, SystemExit | None), repr(result.exception)
        return result

    return called


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a person in front of the terminal."""
    monkeypatch.setattr("closrads.cli.terminal.is_interactive", lambda: True)
