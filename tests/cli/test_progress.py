"""What a person sees while a live run goes on."""

import json
from io import StringIO
from typing import NoReturn

import pytest
from rich.console import Console

from closrads.cli import progress
from closrads.cli.log_capture import Entry, Listener
from closrads.domain.request import Action
from sandbox import Sandbox
from tests.cli.conftest import Call
from tests.cli.test_runs import LIVE, live_run

TRUCKERS = '{"dry_run": false, "campaigns": ["truckers"]}'


def test_a_pipe_gets_a_line_for_each_wave_and_each_ad_set(call: Call) -> None:
    """With how many are to come: first one ad set alone, then the others together."""
    lines = [each for each in call("run", LIVE, "--yes").stderr.splitlines() if each.startswith("veterans: ")]

    assert lines[:3] == ["veterans: wave 1: 1 ad set, 2 after that", lines[1], "veterans: wave 2: 2 ad sets"]
    assert lines[1].startswith("veterans: 1 of 3: ")
    assert [line.rpartition(": ")[2] for line in lines if " of 3: " in line] == ["updated"] * 3


def test_the_words_are_those_of_the_action(call: Call) -> None:
    """An undo puts back."""
    run_id = live_run(call, TRUCKERS)

    assert "truckers: 2 of 2: " in (said := call("undo", run_id, "--yes").stderr)
    assert said.count(": put back") == 2


@pytest.mark.parametrize("arguments", [("dry-run",), (LIVE, "--yes", "--verbose")])
def test_nothing_where_nothing_is_changed_or_the_log_is_shown(call: Call, arguments: tuple[str, ...]) -> None:
    """The lines of the log say the same."""
    assert "veterans: wave" not in call("run", *arguments).stderr


def test_a_terminal_gets_a_bar(call: Call, monkeypatch: pytest.MonkeyPatch, business: Sandbox) -> None:
    """One for each campaign, below what is being done."""
    assert business.meta.writes == []
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "stderr_console", lambda: console)

    assert call("run", TRUCKERS, "--yes").exit_code == 0

    shown = screen.getvalue()
    assert "LIVE run, sync" in shown
    assert "truckers: 2 of 2: " in shown
    assert "2/2" in shown
    assert "/100" not in shown


def test_a_reader_that_goes_away_stops_no_run() -> None:
    """Rich ends the program where nobody reads what it prints; the ad sets are not to suffer from that."""
    heard: list[Entry] = []

    def gone(entry: Entry) -> NoReturn:
        heard.append(entry)
        raise SystemExit(1)

    line = json.dumps({"message": "wave.start"}, separators=(",", ":"))
    assert Listener({"wave.start": gone}).write(f"{line}\n") == len(line) + 1
    assert heard == [{"message": "wave.start"}]


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """An ad set may be called [red], and have a line break."""
    with progress.showing_progress(Action.SYNC, "asking") as handlers:
        handlers["wave.start"]({"campaign": "veterans", "adsets": 1, "left": 0})
        handlers["adset.result"]({"campaign": "veterans", "adset_name": "[red]\nBroad", "result": "reverted"})

    assert capsys.readouterr().err.splitlines()[1].startswith("veterans: 1 of 1: [red] Broad: ")
