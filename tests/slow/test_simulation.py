"""More stories from seeds than the fast tests have time for."""

import subprocess
import sys

import pytest

from tests.simulation.test_simulation import STORIES

ALL, TOGETHER = 3_000, 190


@pytest.mark.parametrize("first", range(STORIES, ALL, TOGETHER))
def test_stories_from_seeds(first: int) -> None:
    """No clause is violated; `python -m tests.simulation --seed N --shrink` prints the story of one that fails."""
    # In one process: the other slow tests, which run beside it, wait for real servers.
    end = min(first + TOGETHER, ALL)
    command = [sys.executable, "-m", "tests.simulation", "--seeds", f"{first}..{end}", "--jobs", "1"]
    played = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert (played.returncode, played.stderr) == (0, ""), played.stdout + played.stderr
    assert f"{end - first} stories" in played.stdout
