"""When the report says that the next run begins."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.switches import SwitchedOff
from closrads.report.render import build_report
from tests.report.mails import DAILY, GREEN, NEW_YORK


def at(*time: int, took: int = 8_000) -> RunResult:
    """Return a run that begins at this time, in UTC, and takes so many milliseconds."""
    return replace(GREEN, started_at=datetime(*time, tzinfo=UTC), duration_ms=took)  # type: ignore[misc, arg-type] # its parts


def said(result: RunResult, schedule: str) -> list[str]:
    """Return what a mail says of the next run, which is the same in both of its parts."""
    mail = build_report(result, NEW_YORK, schedule)
    lines = [line for line in mail.text.splitlines() if "ext run: " in line]
    assert [line in mail.html for line in lines] == [True] * len(lines)
    return lines


@pytest.mark.parametrize(
    ("result", "schedule", "expected"),
    [
        (at(2026, 11, 28, 11, 30), DAILY, "tomorrow, Sun 29 Nov, about 6:30 am"),
        (at(2026, 11, 28, 11, 29, 59, took=0), DAILY, "tomorrow, Sun 29 Nov, about 6:30 am"),
        (at(2026, 11, 28, 4, 0), DAILY, "tomorrow, Sat 28 Nov, about 6:30 am"),
        (at(2026, 11, 28, 5, 0), DAILY, "today, Sat 28 Nov, about 6:30 am"),
        (at(2026, 11, 27, 11, 30), "cron(5 16 ? * MON-THU *)", "Mon 30 Nov, about 4:05 pm"),
        (at(2026, 12, 31, 11, 30), DAILY, "tomorrow, Fri 1 Jan 2027, about 6:30 am"),
        (at(2026, 10, 31, 10, 30), DAILY, "tomorrow, Sun 1 Nov, about 6:30 am"),
        (at(2026, 11, 28, 4, 59, 50, took=20_000), DAILY, "today, Sat 28 Nov, about 6:30 am"),
        (at(2026, 11, 28, 11, 30), "rate(12 hours)", "within 12 hours"),
    ],
    ids=[
        "after the daily run", "by a clock that is late", "by hand in the evening", "by hand before the daily run",
        "not on Fridays", "next year", "daylight saving ends", "ended on the next day", "a rate",
    ],
)  # fmt: skip
def test_when_it_is(result: RunResult, schedule: str, expected: str) -> None:
    """In the business's time zone, with the day in words where it is near."""
    assert said(result, schedule) == [f"Next run: {expected}."]


@pytest.mark.parametrize("action", Action)
def test_it_is_the_same_after_every_kind_of_run(action: Action) -> None:
    """A second look or an undo moves no schedule, and a dry run neither."""
    for dry_run in (True, False):
        result = replace(at(2026, 11, 28, 14, 0), action=action, dry_run=dry_run)
        (line,) = said(result, DAILY)
        assert line.startswith("Next run: tomorrow, Sun 29 Nov, about 6:30 am.")
        assert ("It follows the demand again" in line) is (action is Action.UNDO and not dry_run)


def test_while_paused_it_begins_and_changes_nothing() -> None:
    """The schedule is not what a pause stops; a campaign that is off is no matter of it."""
    result = at(2026, 11, 28, 11, 30)
    off = SwitchedOff(result.started_at, "veterans", "Veterans")

    assert said(replace(result, switched_off=(off,)), DAILY) == ["Next run: tomorrow, Sun 29 Nov, about 6:30 am."]
    assert said(replace(result, switched_off=(SwitchedOff(result.started_at),)), DAILY) == [
        "Next run: tomorrow, Sun 29 Nov, about 6:30 am. It changes no states while CLOSRADS is paused."
    ]


@pytest.mark.parametrize("schedule", ["OFF", "cron(30 6 * * ? 2025)"])
def test_there_may_be_none(schedule: str) -> None:
    """The schedules are off, or have come to their end."""
    assert said(at(2026, 11, 28, 11, 30), schedule) == ["No next run: the daily schedule is off."]


@pytest.mark.parametrize("schedule", ["", "at(2026-11-28T10:00:00)", "cron(x 6 * * ? *)"])
def test_it_is_not_guessed(schedule: str) -> None:
    """Where no stack tells it, or it is none that can be read."""
    assert said(at(2026, 11, 28, 11, 30), schedule) == []


def test_after_an_undo_the_next_run_follows_the_demand_again() -> None:
    """Whoever asked for the undo should not find it overwritten in the morning."""
    (line,) = said(replace(at(2026, 11, 28, 14, 0), action=Action.UNDO), DAILY)

    assert line.endswith(" If these states should stay, tell whoever runs CLOSRADS before that.")
