"""What all commands have in common: how they speak, ask, wait and fail."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from closrads.errors import ClosradsError, ConfigError, EventError
from closrads.redaction import one_line, redact

WIDTH_OF_A_PIPE = 120
FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses."""
SET_CREDENTIALS = "Set AWS_PROFILE, or AWS_REGION and credentials, in this shell"


class CommandError(Exception):
    """A command cannot do what it is asked to; the text says what to do."""

    status = FAILED


class UsageError(CommandError):
    """A command was called in a way that makes no sense."""

    status = BAD_USAGE


def shown() -> Console:
    """Return where results go: standard output, with colours only on a terminal and without NO_COLOR."""
    return _console(error=False)


def told() -> Console:
    """Return where everything else goes, so that a pipe gets results only."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    # What others have written must not be taken for markup.
    console = Console(stderr=error, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001 - rich's own view of the environment
        console.width = WIDTH_OF_A_PIPE
    return console


def say(text: str, style: str = "") -> None:
    """Tell a person something beside the results; lines are broken for eyes, but not for programs."""
    console = told()
    console.print(text, style=style or None, soft_wrap=not console.is_terminal)


def table(*columns: str) -> Table:
    """Return an empty table of the commands' common form; no cell of it is ever cut."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Say on a terminal what is waited for, and for how long already."""
    console = told()
    spinner = (
        Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=console,
            transient=True,
            redirect_stdout=False,  # metrics are printed, and belong to the log
        )
        if console.is_terminal and not quiet
        else None
    )  # fmt: skip
    with spinner or nullcontext():
        if spinner:
            spinner.add_task(what, total=None)
        yield


def is_somebody_there() -> bool:
    """Tell whether a question would be read by a person."""
    return sys.stdin.isatty()


def agreed(question: str) -> bool:
    """Ask a person for a yes; without one the answer is no, and how a script says yes is told."""
    if not is_somebody_there():
        say("Nobody is there to ask: give --yes", style="red")
        return False
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def text_of(file: Path) -> str:
    """Return what stands in a file that somebody named."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {str(error.strerror).lower()}") from None


@contextmanager
def explained() -> Iterator[None]:
    """Say in one text what went wrong and what to do: no traceback, no secret, and an exit status for scripts."""
    try:
        yield
    except (typer.Exit, BrokenPipeError):  # the last is `| head`, which typer knows
        raise
    except KeyboardInterrupt:
        _give_up("Stopped", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last place where a secret in a text can be stopped
        _give_up(*_explanation(error))


def _give_up(text: str, status: int) -> NoReturn:

    say(redact(text), style="red")
    raise typer.Exit(status) from None


def _explanation(error: Exception) -> tuple[str, int]:
    """Return what to say of an error, and the exit status."""
    # Slow to import, and loaded by the time that something of it is raised.
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError  # noqa: PLC0415

    said, status = str(error), FAILED
    match error:
        case CommandError():
            status = error.status
        case EventError():
            said, status = f"The event is not understood:\n{error}", BAD_USAGE
        case ConfigError():
            said = f"{error}\n`doctor` tells more; `push-config` puts parameters"
        case NoCredentialsError() | NoRegionError():
            pass
        case ClientError():
            said = f"AWS refuses: {error}. Are these the right credentials and the right Region?"
        case BotoCoreError():
            said = f"AWS cannot be asked: {error}. Check the network and this shell's AWS_ variables"
        case OSError():
            said = f"{error.filename}: {str(error.strerror).lower()}" if error.filename else said
        case ClosradsError():
            pass
        case _:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            said = one_line(f"Unexpected {type(error).__name__} at {where}: {error}. This is a defect of CLOSRADS")
    lacks = any(isinstance(cause, NoCredentialsError | NoRegionError) for cause in _causes(error))
    if lacks and SET_CREDENTIALS not in said:
        said = f"{said.rstrip('.')}. {SET_CREDENTIALS}"
    return said, status


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    while error is not None:
        yield error
        error = error.__context__
