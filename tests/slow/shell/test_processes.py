"""The commands, and what else is started, as processes of their own."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from closrads.cli import completion
from sandbox import SCENARIOS, Sandbox
from tests.cli.test_completion import BASH
from tests.cli.test_parameters import puts
from tests.cli.test_runs import LIVE
from tests.fake_time import FakeTime

FISH = shutil.which("fish")
ROOT = Path(__file__).resolve().parents[3]


def test_the_commands_are_there() -> None:
    """As a process, which is how everybody starts them; the help names them."""
    shown = subprocess.run([sys.executable, "-m", "closrads", "--help"], capture_output=True, text=True, check=True)

    assert {"push-config", "pull-config"} <= set(shown.stdout.split())


def test_a_reader_that_goes_away(legacy: Path, sandbox: Sandbox) -> None:
    """`| head -1` keeps nothing from being put."""
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "closrads", "push-config", str(legacy), "--yes", "--stage", "sandbox"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own program
    os.close(theirs)

    assert "9 of 9 stored" in done.stderr
    assert puts(sandbox) == 9


@pytest.mark.skipif(BASH is None, reason="it is evaluated by bash")
def test_bash_completes(business: Sandbox, tmp_path: Path) -> None:
    """The printed text makes `closrads` a command, from any folder, that completes itself."""
    assert BASH is not None
    program = """
        eval "$1"
        for line in 'closrads pu' 'closrads run re' 'closrads history --campaign t' 'closrads doctor --stage '; do
            read -ra COMP_WORDS <<< "$line"
            [[ $line == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _closrads_offer
            echo "${COMPREPLY[*]}"
        done
        complete -p closrads
        closrads history --limit 1
    """
    assert business.aws.requests == []
    done = subprocess.run(  # noqa: S603 - our own text
        [BASH, "--norc", "-c", program, "bash", completion.script(completion.Shell.BASH)],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[:4] == [
        "push-config pull-config",
        "recheck resync-one-campaign",
        "truckers",
        "dev prod",
    ]
    assert "_closrads_offer closrads" in done.stdout
    assert done.stderr.strip() == "No live run yet, in stage sandbox"


@pytest.mark.parametrize(
    ("line", "offered"),
    [("closrads pu", ["push-config", "pull-config"]), ("closrads history --campaign t", ["truckers"])],
)
def test_fish_is_offered_words(business: Sandbox, line: str, offered: list[str]) -> None:
    """By what the printed text calls; fish itself need not be here."""
    assert business.aws.requests == []
    asked = {
        completion.VARIABLE: "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    }
    command = [sys.executable, "-m", "closrads"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **asked}, capture_output=True, text=True, check=True)  # noqa: S603 - our own program

    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == offered
    assert asked.keys() <= set(completion.script(completion.Shell.FISH).replace("=", " ").split())


@pytest.mark.skipif(FISH is None, reason="it is evaluated by fish")
def test_fish_completes(business: Sandbox, tmp_path: Path) -> None:
    """The printed text makes `closrads` a command, from any folder, that completes itself."""
    assert FISH is not None
    assert business.aws.requests == []
    program = (
        f"{completion.script(completion.Shell.FISH)}\ncomplete --do-complete 'closrads run re'\nclosrads --version"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [FISH, "--no-config", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert {"recheck", "resync-one-campaign"} <= set(done.stdout.split())
    assert "closrads 0.2.0" in done.stdout


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "closrads", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b"".join(_read(ours))
        process.wait()
    os.close(ours)
    return written.decode()


def _read(terminal_end: int) -> Iterator[bytes]:
    try:
        while piece := os.read(terminal_end, 65536):
            yield piece
    except OSError:  # how Linux says that the other end is closed
        return


def test_a_terminal_gets_colours_and_progress(business: Sandbox) -> None:
    """Escape sequences, and what is waited for."""
    assert business.aws.requests == []
    written = on_a_terminal(["doctor"], {**os.environ, "TERM": "xterm-256color"})

    assert "\x1b[32mok" in written
    assert "Checking the parameters" in written


def test_no_color_is_respected(business: Sandbox) -> None:
    """As https://no-color.org has it."""
    assert business.aws.requests == []
    written = on_a_terminal(["doctor"], {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"})

    assert "\x1b" not in written
    assert "Stage sandbox" in written
    helped = on_a_terminal(["--help"], {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "\x1b" not in helped
    assert "push-config" in helped


def test_a_terminal_without_utf_8(business: Sandbox) -> None:
    """What the run did is shown all the same."""
    assert business.aws.requests == []
    surroundings = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "closrads", "run", "dry-run"],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert b" -" in done.stdout


def test_the_region_of_the_aws_cli(business: Sandbox) -> None:
    """`AWS_REGION` alone is enough, though boto3 does not read it."""
    assert business.aws.requests == []
    surroundings = {name: value for name, value in os.environ.items() if name != "AWS_DEFAULT_REGION"}
    surroundings["AWS_REGION"] = "us-east-1"
    done = subprocess.run(
        [sys.executable, "-m", "closrads", "history"],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.strip()) == (0, "No live run yet, in stage sandbox")


def test_a_python_without_what_the_commands_need() -> None:
    """One sentence says which one has it."""
    command = [sys.executable, "-S", "-m", "closrads", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own program

    assert done.returncode == 1
    assert done.stderr == "This Python has no typer: run `make cli`, then call .venv/bin/python -m closrads\n"


def test_help_is_quick() -> None:
    """Nothing is imported for it that only a command needs: boto3 and Meta's SDK take as long again."""
    program = "import sys, closrads.__main__, closrads.cli.app; print(*sys.modules)"
    modules = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"boto3", "botocore", "requests", "facebook_business", "handler"}.isdisjoint(modules)


def test_stopped_means_that_nothing_more_is_written(business: Sandbox, fake_time: FakeTime, tmp_path: Path) -> None:
    """Ctrl-C while Meta is slow with a write: the process is gone before Meta answers, and says little."""
    fake_time.reach(time.time())  # a process of its own has the real clock, which must agree with Meta's
    held, gone = threading.Event(), threading.Event()

    def hold(moment: str) -> None:
        if moment == "after" and business.meta.writes and not gone.is_set():
            held.set()
            gone.wait(30)

    business.meta.on_exchange = hold
    program = (  # a background process of a shell would ignore Ctrl-C
        "import pathlib, runpy, signal, sys; from closrads.cli import runs;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); runs.LOGS = pathlib.Path(sys.argv.pop(1));"
        "runpy.run_module('closrads', run_name='__main__')"
    )
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, str(tmp_path), "run", LIVE, "--yes"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert held.wait(30)
            process.send_signal(signal.SIGINT)
            shown, told = process.communicate(timeout=30)
        finally:
            process.kill()
            gone.set()

    assert (process.returncode, shown) == (130, "")
    assert [line.partition(" ")[0] for line in told.splitlines() if ": wave 1: " not in line] == [
        "The",
        "log:",
        "Stopped",
    ]
    assert all("holder" in item for item in business.aws.ledger() if item["sk"] == "LEASE")


def test_importing_it_creates_nothing_but_the_logger() -> None:
    """No client, no settings, no environment is needed to import it."""
    code = (
        "import socket, boto3; socket.socket = boto3.client = boto3.Session = None; import handler;"
        "from closrads import config, notifier;"
        "assert not config._parameter_store.cache_info().currsize + notifier._ses.cache_info().currsize"
    )
    command, environment = [sys.executable, "-c", code], {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603 - written above

    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program(tmp_path: Path, number: signal.Signals) -> None:
    """It prints exports, writes the file for containers, lists the scenarios, and ends on a signal."""
    command = [sys.executable, "-m", "sandbox", "--scenario", "quiet day"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        lines = []
        for line in run.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        (mails,) = (line.rpartition(" ")[2].strip() for line in lines if "in a browser" in line)
        assert "None yet." in requests.get(mails, timeout=30).text
        run.send_signal(number)
    assert run.returncode == 0
    assert "export CLOSRADS_PARAMETER_PATH=/closrads/sandbox\n" in lines
    assert any(".venv/bin/python -m closrads push-config build/sandbox.env" in line for line in lines)
    assert all(any(name in line for line in lines) for name in SCENARIOS)
    content = json.loads((tmp_path / "build/sandbox-env.json").read_text())
    assert content["Parameters"]["CLOSRADS_PARAMETER_PATH"] == "/closrads/container"
    assert "export CLOSRADS_PARAMETER_PATH=/closrads/sandbox\n" in (tmp_path / "build/sandbox.sh").read_text()
    assert "VETERANS_FB_CAMPAIGN_ID=120210000000001100\n" in (tmp_path / "build/sandbox.env").read_text()
