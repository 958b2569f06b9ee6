"""`logs`: one run's lines out of CloudWatch."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from closrads.cli.logs import readable
from sandbox import Sandbox
from tests.cli.conftest import Call
from tests.cli.deployed_stack import deploy
from tests.cli.test_runs import live_run
from tests.world import FakeTime

RUN, OTHER = "20260504T103000Z-0a1b2c3d", "20260504T103100Z-ffffffff"
GROUP = "closrads-sandbox-SyncLogs-1A2B3C"
Write = Callable[..., None]


def line(message: str, second: float, run_id: str | None = RUN, level: str = "INFO", **fields: Any) -> dict[str, Any]:
    """Return a line of the function as an event of CloudWatch."""
    moment = datetime.fromtimestamp(datetime(2026, 5, 4, 10, 30, tzinfo=UTC).timestamp() + second, UTC)
    entry = {"level": level, "location": "_run:1", "message": message, "timestamp": moment.isoformat(), **fields}
    if run_id:
        entry["run_id"] = run_id
    return {"timestamp": round(moment.timestamp() * 1000), "message": json.dumps(entry) + "\n"}


@pytest.fixture
def write(business: Sandbox) -> Write:
    """Return what writes lines to the log group of the deployed stack."""
    deploy(business, "sandbox", {"SyncLogs": {"Type": "AWS::Logs::LogGroup"}})

    def written(*events: dict[str, Any]) -> None:
        client = business.aws.client("logs")
        client.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=list(events))

    return written


def test_the_lines_of_one_run(call: Call, write: Write) -> None:
    """In the order of their times, as a person reads them; others, and what is no line of ours, stay out."""
    write(
        {"timestamp": line("x", 0)["timestamp"], "message": "START RequestId: 1"},
        line("run.start", 0, dry_run=False, scheduled=None),
        line("run.start", 1, OTHER),
        line("metrics", 1, None),
        line("run.end", 3, success=True),
        line("mail.failed", 2, level="WARNING", error="it is \nrefused", subject=""),
    )

    result = call("logs", RUN)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "06:30:00 run.start dry_run=false scheduled=null",
        '06:30:02 WARNING mail.failed error="it is \\nrefused" subject=""',
        "06:30:03 run.end success=true",
    ]


def test_machines_get_the_lines_as_they_are(call: Call, write: Write) -> None:
    """One JSON object in each."""
    write(line("run.start", 0), line("run.end", 1))

    assert [json.loads(each)["message"] for each in call("logs", RUN, "--json").stdout.splitlines()] == [
        "run.start",
        "run.end",
    ]


def test_the_newest_live_run_is_meant_if_none_is_named(call: Call, write: Write) -> None:
    """And it is said which that is."""
    run_id = live_run(call)
    write(line("run.end", 3, run_id))

    result = call("logs")

    assert result.stderr == f"run {run_id}\n"
    assert "run.end" in result.stdout


def test_a_run_is_followed_until_it_ends(
    call: Call, write: Write, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is shown once, also one that arrives late."""
    write(line("run.start", 0))
    later = [[line("campaign.start", 5)], [], [line("late", 4), line("run.failed", 6, level="ERROR")]]
    pauses: list[float] = []

    def passing(seconds: float) -> None:
        pauses.append(seconds)
        write(*later.pop(0))

    monkeypatch.setattr(fake_time, "sleep", passing)
    monkeypatch.setattr("closrads.cli.environment.clock", lambda: fake_time.clock)

    result = call("logs", RUN, "--follow")

    assert result.exit_code == 0
    assert [each.split()[1] for each in result.stdout.splitlines()] == ["run.start", "campaign.start", "late", "ERROR"]
    assert pauses == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((RUN,), 1, f"{GROUP} has no line of run {RUN}. The log of a manual run is in a file"),
        (("yesterday",), 2, "yesterday is not a run's id: ids are at the end of each report"),
        ((), 1, "There is no live run in stage sandbox yet: give the id of a run"),
    ],
)
@pytest.mark.usefixtures("write")
def test_nothing_to_show(call: Call, arguments: tuple[str, ...], status: int, said: str) -> None:
    """It is said why."""
    result = call("logs", *arguments)

    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr


def test_a_stack_without_a_log_group(call: Call, business: Sandbox) -> None:
    """Nobody knows then where to look."""
    deploy(business, "sandbox", {})

    assert "The stack closrads-sandbox has no log group: deploy it again" in call("logs", RUN).stderr


def test_without_a_stack(call: Call) -> None:
    """A sandbox has none."""
    result = call("logs", RUN)

    assert result.exit_code == 1
    assert "closrads-sandbox does not exist" in result.stderr
    assert "Check --stage and the Region, or deploy the stack" in " ".join(result.stderr.split())


def test_a_long_line_is_cut() -> None:
    """A report as text fills no screen."""
    shown = readable(
        {"timestamp": "2026-05-04T10:30:00Z", "message": "report.text", "text": "x" * 9000}, ZoneInfo("UTC")
    )

    assert len(shown) == 2_000
