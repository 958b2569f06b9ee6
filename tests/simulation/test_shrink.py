"""A story that fails becomes smaller for as long as it fails."""

from tests.simulation.draw import draw
from tests.simulation.shrink import shrink
from tests.simulation.story import Crash, Story

SEED = next(seed for seed in range(1000) if any(isinstance(event, Crash) for event in draw(seed).events))


def has_a_crash(story: Story) -> bool:
    """Stand for a violation that takes one crash and one ad set with an ad."""
    return any(isinstance(event, Crash) for event in story.events) and any(each.ads for each in story.world.adsets)


def test_nothing_is_left_that_the_failure_does_not_take() -> None:
    """One event, one ad set, one ad; and no more invocations than are always spared."""
    story = shrink(draw(SEED), has_a_crash)
    assert [type(event) for event in story.events] == [Crash]
    assert [len(adset.ads) for adset in story.world.adsets] == [1]


def test_it_still_fails() -> None:
    """Whatever the budget, what comes back is a story that fails."""
    for most in (0, 1, 10, 100):
        assert has_a_crash(shrink(draw(SEED), has_a_crash, most))


def test_the_quiet_days_stay() -> None:
    """Without them nobody could find what is wrong."""
    drawn = draw(SEED)
    quiet = [run for run in drawn.runs if run.at >= drawn.calm]
    assert [run.name for run in shrink(drawn, has_a_crash).runs if run.at >= drawn.calm] == [run.name for run in quiet]
