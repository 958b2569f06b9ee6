"""Terminal output, prompts, progress and error handling of all commands."""

import os
import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from closrads.errors import ClosradsError, ConfigError, EventError
from closrads.redaction import one_line, redact

PROGRAM = "closrads" if Path(sys.argv[0]).stem == "closrads" else "python -m closrads"
"""How these commands are called."""
DEPLOY_FIRST = "Check --stage and the Region, or deploy the stack: README, “Go live”"
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""Error codes of AWS's services for temporary credentials that have ended."""
SIGN_IN_AGAIN = "Sign in again: this shell's AWS credentials have expired"
CHECK_CREDENTIALS = "Are these the right credentials and the right Region?"
WIDTH_OF_A_PIPE = 120
FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130
"""Exit statuses."""
SET_CREDENTIALS = "Set AWS_PROFILE, or AWS_REGION and credentials, in this shell"


class CommandError(Exception):
    """A command cannot be carried out; the message says what to do."""

    status = FAILED


class UsageError(CommandError):
    """A command was called with invalid arguments."""

    status = BAD_USAGE


def known_ones(word: str, known: Collection[str]) -> str:
    """Return a text that lists the known words instead of an unknown one, beginning with the nearest."""
    near = get_close_matches(word.lower(), sorted(known), 1)
    there_are = f"here are {', '.join(sorted(known)) or 'none'}"
    return f"did you mean {near[0]}? T{there_are}" if near else f"t{there_are}"


def stdout_console() -> Console:
    """Return the console for results: standard output, with escape codes only on a terminal and without NO_COLOR."""
    return _console(error=False)


def stderr_console() -> Console:
    """Return the console for everything but results, so that a pipe receives results only."""
    return _console(error=True)


def _console(*, error: bool) -> Console:
    # Markup and emoji codes are off: texts from outside must not be interpreted as such.
    # rich would take NO_COLOR to allow bold text and a moving cursor.
    force_terminal = False if os.environ.get("NO_COLOR") else None
    console = Console(stderr=error, highlight=False, markup=False, emoji=False, force_terminal=force_terminal)
    if not console.file.isatty() and not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001 - rich's own view of the environment
        console.width = WIDTH_OF_A_PIPE
    return console


def say(text: str, style: str = "") -> None:
    """Print a message to standard error; long lines are wrapped on a terminal only."""
    console = stderr_console()
    console.print(text, style=style or None, soft_wrap=not console.is_terminal)


def table(*columns: str) -> Table:
    """Return an empty table in the common style; its cells are wrapped, never truncated."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show a spinner with a description and the elapsed time, on a terminal only."""
    console = stderr_console()
    spinner = (
        Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=console,
            transient=True,
            redirect_stdout=False,  # printed metrics must go to the log
        )
        if console.is_terminal and not quiet
        else None
    )  # fmt: skip
    with spinner or nullcontext():
        if spinner:
            spinner.add_task(what, total=None)
        yield


def is_interactive() -> bool:
    """Return whether a person can answer a question."""
    return sys.stdin.isatty()


def confirm(question: str) -> bool:
    """Ask for confirmation; if not interactive, print a hint about `--yes` and return False."""
    if not is_interactive():
        say("Nobody is there to confirm: give --yes", style="red")
        return False
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def read_text(file: Path) -> str:
    """Return the content of a file that the user named; raise a `UsageError` if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8-sig")  # editors put a byte order mark first
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not a text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {str(error.strerror).lower()}") from None


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn an exception into a redacted message without a traceback, and an exit status."""
    try:
        yield
    except (typer.Exit, BrokenPipeError):  # typer handles both; the latter comes from `| head`
        raise
    except KeyboardInterrupt:
        _exit("Stopped", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the default handler would print an unredacted traceback
        _exit(*_message_and_status(error))


def _exit(text: str, status: int) -> NoReturn:
    say(redact(text), style="red")
    raise typer.Exit(status) from None


def _message_and_status(error: Exception) -> tuple[str, int]:
    """Return the message for an exception, and the exit status."""
    # botocore is slow to import, and already loaded if one of its exceptions is raised.
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError  # noqa: PLC0415

    message, status = str(error), FAILED
    match error:
        case CommandError():
            status = error.status
        case EventError():
            message, status = f"The event is invalid:\n{error}", BAD_USAGE
        case ConfigError():
            message = f"{error}\n`doctor` says more; `push-config` stores parameters"
        case NoCredentialsError() | NoRegionError():
            pass
        case ClientError():
            code = error.response["Error"]["Code"]
            is_missing = code == "ValidationError" and "does not exist" in message
            remedy = DEPLOY_FIRST if is_missing else SIGN_IN_AGAIN if code in EXPIRED_CODES else CHECK_CREDENTIALS
            message = f"AWS refused: {error}. {remedy}"
        case BotoCoreError():
            message = f"AWS cannot be reached: {error}. Check the network and this shell's AWS_ variables"
        case OSError():
            message = f"{error.filename}: {str(error.strerror).lower()}" if error.filename else message
        case ClosradsError():
            pass
        case _:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            message = one_line(f"Unexpected {type(error).__name__} at {where}: {error}. This is a bug in CLOSRADS")
    is_unconfigured = any(isinstance(cause, NoCredentialsError | NoRegionError) for cause in _causes(error))
    if is_unconfigured and SET_CREDENTIALS not in message:
        message = f"{message.rstrip('.')}. {SET_CREDENTIALS}"
    return message, status


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its chain of contexts."""
    while error is not None:
        yield error
        error = error.__context__
