"""More stories from seeds than the fast tests have time for."""

import pytest

from tests.simulation.draw import draw
from tests.simulation.play import player
from tests.simulation.test_simulation import STORIES

ALL, TOGETHER = 450, 50


@pytest.mark.parametrize("first", range(STORIES, ALL, TOGETHER))
def test_stories_from_seeds(first: int) -> None:
    """No clause is violated; `python -m tests.simulation --seed N --shrink` prints the story of one that fails."""
    with player() as play:
        clauses = {seed: play(draw(seed)).judge.clauses for seed in range(first, first + TOGETHER)}
    assert {seed: violated for seed, violated in clauses.items() if violated} == {}
