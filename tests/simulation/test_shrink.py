"""A story that fails becomes smaller for as long as it fails."""

from dataclasses import replace
from itertools import count

from tests.simulation.draw import CROWD, draw
from tests.simulation.shrink import MOST_SECONDS, MOST_TRIALS, shrink
from tests.simulation.story import At, Change, Crash, Operator, Story

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


def test_a_campaign_goes_with_what_is_done_to_it() -> None:
    """Else a story would tell of a campaign that it does not have."""
    stories = map(draw, range(1000))
    several = next(each for each in stories if has_a_crash(each) and len(each.world.campaigns) > 1)
    holds = [Operator(At(0.0), Change.HOLD, "conduct", each.slug) for each in several.world.campaigns]

    def fails(story: Story) -> bool:
        slugs = {each.slug for each in story.world.campaigns}
        assert {each.campaign for each in story.events if isinstance(each, Operator)} <= {"", *slugs}
        return has_a_crash(story) and all(each in story.events or each.campaign not in slugs for each in holds)

    assert len(shrink(replace(several, events=(*several.events, *holds)), fails).world.campaigns) == 1


def test_it_ends_in_time() -> None:
    """Then it returns the smallest story so far, which fails too."""
    minutes = count(step=60)
    tried = []

    def fails(story: Story) -> bool:
        tried.append(story)
        return has_a_crash(story)

    assert has_a_crash(shrink(draw(SEED), fails, now=lambda: float(next(minutes))))
    assert len(tried) == MOST_SECONDS / 60


def test_most_ad_sets_of_a_crowd_go_at_once() -> None:
    """Each story of a crowd takes seconds: to leave out one ad set after the other would take a quarter of an hour."""
    crowded = next(story for seed in range(1000) if len((story := draw(seed)).world.adsets) == CROWD)
    crowded = replace(crowded, events=())
    tried = []

    def fails(story: Story) -> bool:
        tried.append(len(story.world.adsets))
        return story.runs == crowded.runs

    assert len(shrink(crowded, fails).world.adsets) == 1
    assert tried.index(1) < MOST_TRIALS / 4
