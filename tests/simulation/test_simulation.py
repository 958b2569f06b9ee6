"""The real handler in stories from seeds, and in those that once went wrong."""

from collections.abc import Callable, Iterator

import pytest

from tests.simulation.draw import draw
from tests.simulation.play import player
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.simulation import Simulation
from tests.simulation.story import Story

STORIES, TOGETHER = 150, 10


@pytest.fixture(scope="module")
def play() -> Iterator[Callable[[Story], Simulation]]:
    """Return what plays a story."""
    with player() as play:
        yield play


@pytest.mark.parametrize("first", range(0, STORIES, TOGETHER))
def test_stories_from_seeds(play: Callable[[Story], Simulation], first: int) -> None:
    """No clause is violated; `python -m tests.simulation --seed N --shrink` prints the story of one that fails."""
    played = {seed: play(draw(seed)) for seed in range(first, first + TOGETHER)}
    assert {seed: simulation.judge.clauses for seed, simulation in played.items() if simulation.judge.clauses} == {}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_stories_that_once_went_wrong(play: Callable[[Story], Simulation], name: str) -> None:
    """They go well now."""
    simulation = play(REGRESSIONS[name])
    assert simulation.judge.violations == [], "\n".join(map(str, simulation.notes))


def test_a_seed_decides_everything(play: Callable[[Story], Simulation]) -> None:
    """The same story goes the same way, whatever was played before it."""
    seed = 7
    once = play(draw(seed)).notes
    play(draw(seed + 1))
    assert play(draw(seed)).notes == once
