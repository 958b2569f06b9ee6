"""A run that several invocations share: each is cut off at every moment, or comes twice, and the run goes on."""

from typing import Any

import pytest

from tests.slow.crash.conftest import Say, Workers
from tests.slow.crash.harness import (
    HOUR,
    MINUTE,
    ONE_MORE,
    STUBBORN,
    SYNC,
    State,
    crowd,
    gone_on,
    hold_to_it,
    moments,
    opened,
)

OPEN = {**SYNC, "step": "open", "scheduled": "2026-05-04T10:30:00Z"}
STEPS = ("open", "part", "close")


def calls(workers: Workers, state: State) -> list[dict[str, Any]]:
    """Return the workflow's calls for one campaign; the id of its run is the same whoever opens it."""
    (ending,) = workers.one(gone_on, state, [OPEN], 0).endings
    run_id = ending.result["run_id"]
    return [OPEN, {"step": "part", "run_id": run_id, "campaigns": ["veterans"]}, {"step": "close", "run_id": run_id}]


def test_every_invocation_cut_off_at_every_moment(workers: Workers, say: Say) -> None:
    """An hour later the workflow goes on with the call that was cut off: each ad set is told of once, in one report."""
    state = workers.one(opened, ONE_MORE)
    workflow = calls(workers, state)
    left: list[tuple[State, int]] = []
    for number, event in enumerate(workflow):
        done, states = workers.one(moments, state, event, number * MINUTE)
        left += [(cut, number) for cut in states]
        state = done.state
    ends = workers.each(gone_on, [(cut, workflow[number:], HOUR) for cut, number in left])
    say(f"{len(left)} different states left")
    hold_to_it(
        [f"{cut.story}: {problem}" for (cut, _), end in zip(left, ends, strict=True) for problem in end.problems]
    )
    mails = []
    for (cut, number), end in zip(left, ends, strict=True):
        assert [ending.text for ending in end.endings if not ending.result] == [], cut.story
        if STEPS[number] != "close":
            last = end.endings[-1].result
            told = (last["adsets_updated"] + last["adsets_reverted"], last["adsets_skipped"], end.mails)
            assert told == (len(ONE_MORE) - 1, 1, 1), cut.story
        else:
            mails.append(end.mails)
    assert mails == [1] * (len(mails) - 1) + [0], "a report is sent again unless the ledger knows that it was sent"
    assert len(left) > 20


@pytest.mark.parametrize("number", range(3), ids=STEPS)
def test_at_the_same_moment(workers: Workers, number: int) -> None:
    """Two workflows make the same call: one does it, nothing is done twice, and both come to their end."""
    state = workers.one(opened, ONE_MORE)
    workflow = calls(workers, state)
    before = workers.one(gone_on, state, workflow[:number], 0)

    both = workers.one(crowd, before.state, workflow[number], 2)
    rest = workers.one(gone_on, both.state, workflow[number:], 2 * MINUTE)

    assert [ending.text for run in (both, rest) for ending in run.endings if not ending.result] == []
    assert before.mails + both.mails + rest.mails == 1
    written = [run.written.get(STUBBORN, 0) for run in (before, both, rest)]
    assert sum(written) == 2, "it is put back once"
    hold_to_it(rest.problems)


def test_a_workflow_that_is_stopped_leaves_nothing_to_the_next_day(workers: Workers) -> None:
    """What nobody goes on with, an ordinary run finishes or undoes, whichever run had begun it."""
    state = workers.one(opened, ONE_MORE)
    workflow = calls(workers, state)
    _, states = workers.one(moments, workers.one(gone_on, state, workflow[:1], 0).state, workflow[1], MINUTE)

    days = workers.each(gone_on, [(cut, [SYNC], 24 * HOUR) for cut in states])

    hold_to_it([f"{cut.story}: {problem}" for cut, day in zip(states, days, strict=True) for problem in day.problems])
    assert {day.mails for day in days} == {1}
