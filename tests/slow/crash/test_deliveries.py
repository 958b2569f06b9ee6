"""The same event several times: at the same moment, an hour later, and after a delivery that died half-way."""

from typing import Any

import pytest

from tests.slow.crash.conftest import Say, Workers
from tests.slow.crash.harness import (
    CANARY,
    HOUR,
    MINUTE,
    ONE_MORE,
    PARTLY_PAUSED,
    PLAIN,
    STUBBORN,
    SYNC,
    crowd,
    hold_to_it,
    killed,
    opened,
    ran,
    watched,
)

SCHEDULED = {**SYNC, "scheduled": "2026-05-04T10:30:00Z"}
ONCE = {CANARY: 1, STUBBORN: 2, PARTLY_PAUSED: 1, PLAIN: 1}
"""Targeting writes of one run: one ad set is put back."""


@pytest.mark.parametrize("event", [SYNC, SCHEDULED], ids=["without a time", "for one time"])
@pytest.mark.parametrize("count", [2, 5])
def test_at_the_same_moment(workers: Workers, event: Any, count: int) -> None:
    """One run does the work and mails; the others name it and leave."""
    both = workers.one(crowd, workers.one(opened, ONE_MORE), event, count)
    assert [ending.text for ending in both.endings if not ending.result] == []
    (at_work,) = (ending.result["run_id"] for ending in both.endings if ending.result["campaigns"])
    assert [ending.result["left_to"] for ending in both.endings].count(at_work) == count - 1
    assert both.written == ONCE
    assert both.mails == 1
    hold_to_it(both.problems)


def test_an_hour_later(workers: Workers) -> None:
    """A time that was dealt with is left alone, without another mail."""
    first = workers.one(ran, workers.one(opened, ONE_MORE), SCHEDULED, 0)
    again = workers.one(ran, first.state, SCHEDULED, HOUR)
    assert again.endings[0].result["left_to"] == first.endings[0].result["run_id"]
    assert (first.mails, again.mails) == (1, 0)
    assert (first.written, again.written) == (ONCE, {})


def test_after_a_delivery_that_died(workers: Workers, say: Say) -> None:
    """A minute later nobody knows that it is dead; an hour later its work is taken up, and reported."""
    state = workers.one(opened, ONE_MORE)
    whole = workers.one(watched, state, SCHEDULED, 0)
    calls = [f"{seen.point.moment} {seen.call}" for seen in whole.seen]
    taken = calls.index("after dynamodb PutItem")
    numbers = range(0, len(calls) - 1, 5)  # without the last: nothing is left to do after it
    kills = workers.each(killed, [(state, SCHEDULED, 0, whole.seen[number]) for number in numbers])
    soon = workers.each(ran, [(kill.state, SCHEDULED, MINUTE) for kill in kills])
    later = workers.each(ran, [(run.state, SCHEDULED, HOUR) for run in soon])
    for number, kill, early, late in zip(numbers, kills, soon, later, strict=True):
        if not kill.reached:  # what goes on side by side does so in another order each time
            continue
        left_alone = early.endings[0].result.get("left_to", "") != ""
        assert left_alone == (number >= taken), calls[number]
        assert not left_alone or (early.mails, early.written) == (0, {}), calls[number]
        assert early.mails + late.mails == 1, calls[number]
        hold_to_it([f"killed {calls[number]}: {problem}" for problem in late.problems])
    say(f"{len(numbers)} points")
    assert sum(kill.reached for kill in kills) > 10
