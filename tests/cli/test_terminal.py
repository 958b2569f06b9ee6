"""How commands speak: colours, widths, errors, exit statuses."""

import tomllib
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from closrads.cli import terminal
from closrads.cli.app import app
from closrads.errors import LedgerError
from closrads.redaction import Secret

ROOT = Path(__file__).resolve().parents[2]


def refused(code: str) -> ClientError:
    """Return what boto3 raises for an answer of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "of AWS"}}, "GetParameters")


class TestErrors:
    """One text that says what to do, and a status for scripts."""

    @pytest.mark.parametrize(
        ("error", "said", "status"),
        [
            (terminal.CommandError("do this"), "do this", 1),
            (terminal.UsageError("do that"), "do that", 2),
            (NoRegionError(), "You must specify a region. Set AWS_PROFILE", 1),
            (EndpointConnectionError(endpoint_url="https://x.test"), "AWS cannot be reached: Could not connect", 1),
            (refused("ExpiredTokenException"), "Sign in again: this shell's AWS credentials have expired", 1),
            (refused("AccessDeniedException"), "Are these the right credentials and the right Region?", 1),
            (NoCredentialsError(), "Unable to locate credentials. Set AWS_PROFILE", 1),
            (PermissionError(13, "Permission denied", "file"), "file: permission denied", 1),
            (OSError("odd"), "odd", 1),
            (ZeroDivisionError("of fake-secret-0123456789"), "Unexpected ZeroDivisionError at test_terminal.py:", 1),
            (KeyboardInterrupt(), "Stopped", 130),
        ],
    )
    def test_each_kind(self, capsys: pytest.CaptureFixture[str], error: BaseException, said: str, status: int) -> None:
        """Without a secret."""
        Secret("fake-secret-0123456789")
        with pytest.raises(typer.Exit) as ended, terminal.report_errors():
            raise error

        assert ended.value.exit_code == status
        text = capsys.readouterr().err
        assert said in text
        assert "fake-secret" not in text
        assert "Traceback" not in text

    def test_what_lies_behind_an_error_has_its_hint_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The ledger's words alone do not say what to do."""
        error = LedgerError("The ledger cannot be read: Unable to locate credentials")
        error.__context__ = NoCredentialsError()
        with pytest.raises(typer.Exit), terminal.report_errors():
            raise error

        assert "Unable to locate credentials. Set AWS_PROFILE" in capsys.readouterr().err

    def test_ctrl_c_at_a_question(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """It has the status of Ctrl-C, not that of a no."""

        def interrupted(*_: object, **__: object) -> None:
            raise typer.Abort

        monkeypatch.setattr(terminal, "is_interactive", lambda: True)
        monkeypatch.setattr("typer.confirm", interrupted)
        with pytest.raises(typer.Exit) as ended, terminal.report_errors():
            terminal.confirm("Continue?")

        assert ended.value.exit_code == 130
        assert "Stopped" in capsys.readouterr().err

    def test_an_end_is_no_error(self) -> None:
        """What a command returns is left alone."""
        with pytest.raises(typer.Exit) as ended, terminal.report_errors():
            raise typer.Exit(3)
        assert ended.value.exit_code == 3

    @pytest.mark.parametrize(
        "arguments", [("doctor", "--nonsense"), ("nonsense",), ("run",), ("history", "--limit", "0")]
    )
    def test_bad_usage(self, arguments: tuple[str, ...]) -> None:
        """As every program has it."""
        assert CliRunner().invoke(app, list(arguments)).exit_code == 2


class TestLooks:
    """Colours and progress for eyes, plain text for everything else."""

    @pytest.mark.parametrize(("quiet", "shown"), [(False, True), (True, False)])
    def test_progress_can_be_kept_quiet(self, monkeypatch: pytest.MonkeyPatch, *, quiet: bool, shown: bool) -> None:
        """Where the log is shown, nothing turns beside it."""
        screen = StringIO()
        monkeypatch.setattr(terminal, "stderr_console", lambda: Console(file=screen, force_terminal=True, width=80))
        with terminal.waiting("Waiting for Meta", quiet=quiet):
            pass

        assert ("Waiting for Meta" in screen.getvalue()) is shown

    @pytest.mark.parametrize("error", [True, False])
    def test_a_pipe_is_wide_and_plain(self, monkeypatch: pytest.MonkeyPatch, *, error: bool) -> None:
        """Unless somebody says how wide it is."""
        monkeypatch.delenv("COLUMNS", raising=False)
        make: Callable[[], Console] = terminal.stderr_console if error else terminal.stdout_console
        assert (make().width, make().is_terminal) == (terminal.WIDTH_OF_A_PIPE, False)
        monkeypatch.setenv("COLUMNS", "90")
        assert make().width == 90

    def test_names_are_no_markup(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An ad set may be called [red] or :smile:, and a long one is never cut."""
        rows = terminal.table("ad set", "states")
        rows.add_row("[red]Broad[/red] :smile: " + "x" * 200, "+FL")
        console = terminal.stdout_console()
        console.print(rows)

        text = capsys.readouterr().out
        assert "[red]Broad[/red] :smile:" in text
        assert text.count("x") == 200


def test_a_question_needs_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input says whether there is one."""

    class Person:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Person())
    assert terminal.is_interactive()


def test_a_switch_takes_no_value() -> None:
    """The help shows none behind it."""
    shown = CliRunner().invoke(app, ["undo", "--help"]).output

    assert not any("<bool>" in line for line in shown.splitlines() if "--help" not in line)


def test_the_version() -> None:
    """One line, the same as in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert CliRunner().invoke(app, ["--version"]).output == f"closrads {project['version']}\n"


@pytest.mark.parametrize("name", [*get_command(app).commands])  # type: ignore[attr-defined] # it is a group
def test_every_help_says_the_exit_statuses(name: str) -> None:
    """A script needs them."""
    assert "130 stopped by Ctrl-C" in " ".join(CliRunner().invoke(app, [name, "--help"]).output.split())


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("value", "has_codes"), [("1", False), ("", True)])
def test_no_color_means_no_escape_code_at_all(monkeypatch: pytest.MonkeyPatch, value: str, *, has_codes: bool) -> None:
    """Neither bold text nor a moving cursor; set to nothing it counts as not set (no-color.org)."""
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stderr", screen := Screen())
    with terminal.waiting("Waiting for Meta"):
        terminal.say("Stopped", style="bold red")

    assert ("\x1b" in screen.getvalue()) is has_codes
    assert "Stopped" in screen.getvalue()


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("puase",), "Did you mean 'pause'?"),
        (("run", "live", "--stge", "prod"), "--stage"),
        (("doctor", "--jsno"), "--json"),
        (("webhook", "staus"), "'status'"),
    ],
)
def test_a_misspelled_command_or_option_is_told_what_is_near(words: tuple[str, ...], near: str) -> None:
    """By typer itself; the exit status says that the call makes no sense."""
    result = CliRunner().invoke(app, list(words))

    assert result.exit_code == 2
    assert near in result.stderr
