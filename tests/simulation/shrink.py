"""Makes a story that violates a clause smaller, for as long as it still violates it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tests.simulation.draw import LAST_RECHECK, SYNC_AT
from tests.simulation.story import (
    DAY,
    HOUR,
    AdSpec,
    Again,
    Answer,
    Crash,
    Echo,
    Fate,
    Operator,
    Run,
    Slow,
    Story,
    World,
)

T = TypeVar("T")
MOST_TRIALS = 600
MOST_SECONDS = 600.0


def shrink(
    story: Story,
    fails: Callable[[Story], bool],
    most_trials: int = MOST_TRIALS,
    now: Callable[[], float] = time.monotonic,
) -> Story:
    """Return the smallest story for which `fails` is still true, as it is for `story`.

    After `MOST_SECONDS`, as `now` tells them, or `most_trials`, it is the smallest that was found until then.
    """
    trials, end = 0, now() + MOST_SECONDS
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _candidates(story):
            trials += 1
            if trials > most_trials or now() > end:
                return story
            if fails(candidate):
                story, is_smaller = candidate, True
                break
    return story


def _candidates(story: Story) -> Iterator[Story]:
    """Yield smaller stories, the much smaller ones first."""
    for events in _without_parts(story.events):
        yield replace(story, events=events)
    days = sorted({_day_of(run) for run in story.runs if run.at < story.calm})
    for day in days:
        yield replace(story, runs=tuple(run for run in story.runs if _day_of(run) != day or run.at >= story.calm))
    for runs in _without_parts([run for run in story.runs if _may_be_dropped(run, story)]):
        kept = [run for run in story.runs if run in runs or not _may_be_dropped(run, story)]
        yield replace(story, runs=tuple(kept))
    for world in _smaller_worlds(story.world):
        gone = {each.slug for each in story.world.campaigns} - {each.slug for each in world.campaigns}
        left = (each for each in story.events if not (isinstance(each, Operator) and each.campaign in gone))
        yield replace(story, world=world, events=tuple(left))
    for runs in _simpler_runs(story.runs):
        yield replace(story, runs=runs)
    for number, event in enumerate(story.events):
        for simpler in _simpler(event):
            yield replace(story, events=_with(story.events, number, simpler))


def _simpler_runs(runs: tuple[Run, ...]) -> Iterator[tuple[Run, ...]]:
    for number, run in enumerate(runs):
        if run.plan_age is not None:
            yield _with(runs, number, replace(run, plan_age=None))
        if run.about:
            yield _with(runs, number, replace(run, about=""))
    if any(run.shared for run in runs):
        yield tuple(replace(run, shared=False) for run in runs)
    for number, run in enumerate(runs):
        if run.cold or run.seconds != Run("", 0).seconds:
            yield _with(runs, number, replace(run, cold=False, seconds=Run("", 0).seconds))


def _day_of(run: Run) -> int:
    """Return the day whose sync and looks a run belongs to."""
    return int((run.at - SYNC_AT + HOUR) // DAY)


def _may_be_dropped(run: Run, story: Story) -> bool:
    """Spare the last look of each day and the quiet days: without them nobody could find what is wrong."""
    return run.at < story.calm and abs((run.at - SYNC_AT) % DAY - LAST_RECHECK) > 1


def _without_parts(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Yield the items without a half, a quarter, … and at last without each single one."""
    size = (len(items) + 1) // 2
    while size:
        for start in range(0, len(items), size):
            yield (*items[:start], *items[start + size :])
        size //= 2


def _with(items: Sequence[T], number: int, item: T) -> tuple[T, ...]:
    return (*items[:number], item, *items[number + 1 :])


def _smaller_worlds(world: World) -> Iterator[World]:
    for number, campaign in enumerate(world.campaigns):
        if len(world.campaigns) > 1:
            yield replace(world, campaigns=(*world.campaigns[:number], *world.campaigns[number + 1 :]))
        if campaign.skips:
            yield replace(world, campaigns=_with(world.campaigns, number, replace(campaign, skips=())))
        for adsets in filter(None, _without_parts(campaign.adsets)):
            yield replace(world, campaigns=_with(world.campaigns, number, replace(campaign, adsets=adsets)))
        for index, adset in enumerate(campaign.adsets):
            changed: list[Any] = [
                replace(adset, ads=(*adset.ads[:place], *adset.ads[place + 1 :])) for place in range(len(adset.ads))
            ]
            changed += [
                replace(adset, ads=_with(adset.ads, place, simpler))
                for place, ad in enumerate(adset.ads)
                for simpler in _simpler_ads(ad)
            ]
            changed += [replace(adset, echo=Echo.SAME)] if adset.echo is not Echo.SAME else []
            changed += [replace(adset, excludes="")] if adset.excludes else []
            for each in changed:
                adsets = _with(campaign.adsets, index, each)
                yield replace(world, campaigns=_with(world.campaigns, number, replace(campaign, adsets=adsets)))
    plain = World(())
    for field in (
        "wave_size",
        "tier",
        "shows_usage",
        "pace",
        "log",
        "read_lag",
        "processing",
        "review",
        "min_demand",
        "add_after_days",
        "remove_after_days",
        "max_adsets",
        "verify_wait",
        "push_after",
    ):
        if getattr(world, field) != getattr(plain, field):
            yield replace(world, **{field: getattr(plain, field)})


def _simpler_ads(ad: AdSpec) -> Iterator[AdSpec]:
    simplest = Fate()
    if ad.fate != simplest:
        yield replace(ad, fate=simplest)
    for field in ("seconds", "effect", "stubborn", "relapses", "moves_updated_time"):
        if getattr(ad.fate, field) != getattr(simplest, field):
            yield replace(ad, fate=replace(ad.fate, **{field: getattr(simplest, field)}))
    if ad.broken:
        yield replace(ad, broken=False)
    if ad.rejected:
        yield replace(ad, rejected=False)


def _simpler(event: Any) -> Iterator[Any]:
    match event:
        case Answer():
            if event.skip:
                yield replace(event, skip=0)
            if event.times > 1:
                yield replace(event, times=1)
            if event.applied:
                yield replace(event, applied=False)
        case Crash() | Slow() | Again() if event.nth > 1:
            yield replace(event, nth=1)
