"""No deploy switches on what was off: the schedules over the deploys of a stack's life, by the documents' commands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.ministack import Ministack, why_not_here
from tests.slow.deploy.sam import ROOT, SamStacks, empty_package, why_no_sam

README = (ROOT / "README.md").read_text()
FIRST, GOING_LIVE, CHANGED_HOUR, STOPPED = (
    re.search(rf"`?(sam deploy --config-env prod[^`\n]*{mark}[^`\n]*)", README)[1]  # type: ignore[index] # fails if it is gone
    for mark in ("AlertEmail", "Schedules=ON", "ScheduleExpression", "Schedules=OFF")
)
AS_IT_IS = "sam deploy --config-env prod"


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[SamStacks]:
    """Start an AWS that holds nothing yet."""
    if reason := why_not_here() or why_no_sam():
        pytest.skip(reason)
    with Ministack() as aws:
        yield SamStacks(aws, tmp_path, empty_package(tmp_path))


def test_a_stack_runs_by_itself_only_when_told_so(stacks: SamStacks) -> None:
    """From the first deploy to the last, both schedules are in one state, and only a deploy that says so turns it."""
    later = CHANGED_HOUR.replace("cron(0 5", "cron(0 7")
    assert later != CHANGED_HOUR
    off, on = (dict.fromkeys(("SyncFunctionDaily", "SyncFunctionRecheck"), state) for state in ("DISABLED", "ENABLED"))

    seen = []
    for command in (FIRST, CHANGED_HOUR, GOING_LIVE, later, AS_IT_IS, STOPPED, CHANGED_HOUR, AS_IT_IS):
        stacks.run(command)
        seen.append((command, stacks.states()))

    expected = [off] * 2 + [on] * 3 + [off] * 3
    assert [states for _, states in seen] == expected, seen
