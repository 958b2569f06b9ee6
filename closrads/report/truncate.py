"""PURE: how much of a story a mail has room for. Lists become their first entries and a count, until it fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from closrads.redaction import LONGEST_ERROR, shortened
from closrads.report.content import AdSetLink, Box, Changed, Demand, Entry, Listing, Section, Story


@dataclass(frozen=True, slots=True)
class Fold:
    """How much is shown of each list, and of each text of somebody else's."""

    entries: int
    """Ad sets, or campaigns, of a box that may need a person."""
    asides: int
    """Of a box that does not, and of a listing of ad sets that were not updated."""
    lines: int
    """Of an entry."""
    sections: int
    """Campaigns of which more than a line is told."""
    maps: int
    """No map is drawn if more campaigns than these have a section."""
    adsets: int
    """Changed ad sets of a campaign."""
    rows: int
    """Campaigns of which a line is told."""
    longest: int
    """Characters."""


_ALL = 10**6
FOLDS = (
    Fold(entries=20, asides=5, lines=10, sections=12, maps=8, adsets=30, rows=300, longest=1_000),
    Fold(entries=15, asides=5, lines=4, sections=12, maps=8, adsets=20, rows=300, longest=600),
    Fold(entries=10, asides=3, lines=3, sections=12, maps=5, adsets=10, rows=300, longest=300),
    Fold(entries=8, asides=3, lines=3, sections=10, maps=5, adsets=5, rows=300, longest=200),
    Fold(entries=8, asides=2, lines=2, sections=8, maps=5, adsets=4, rows=200, longest=150),
    Fold(entries=5, asides=2, lines=2, sections=6, maps=3, adsets=3, rows=100, longest=120),
    Fold(entries=3, asides=1, lines=1, sections=5, maps=3, adsets=2, rows=40, longest=80),
    Fold(entries=1, asides=1, lines=1, sections=2, maps=1, adsets=1, rows=10, longest=40),
)
"""From what reads well to what always fits: in the last, every list and every text is short, whatever there was."""
TEXT_FOLDS = (
    Fold(_ALL, asides=_ALL, lines=_ALL, sections=_ALL, maps=_ALL, adsets=_ALL, rows=_ALL, longest=LONGEST_ERROR),
    Fold(entries=2_000, asides=2_000, lines=10, sections=1_000, maps=8, adsets=500, rows=5_000, longest=1_000),
    Fold(entries=300, asides=300, lines=10, sections=100, maps=8, adsets=100, rows=1_000, longest=1_000),
    *FOLDS,
)
"""All of it, if that is not megabytes: the text part is where the lists are that the HTML part has no room for."""


def fitting(
    story: Story, folds: Sequence[Fold], render: Callable[[Story], str], size: Callable[[str], int], most: int
) -> str:
    """Return the story with as little folded as fits into `most`; the last of `folds` is taken as it is."""
    for fold in folds[:-1]:
        part = render(folded(story, fold))
        if size(part) <= most:
            return part
    return render(folded(story, folds[-1]))


def folded(story: Story, fold: Fold) -> Story:
    """Return a story with no more of each list than `fold` allows, and the number of what was left out."""
    sections, moved = story.sections[: fold.sections], story.sections[fold.sections :]
    rows = (*moved, *story.rows)
    has_maps = len(sections) <= fold.maps
    return replace(
        story,
        boxes=tuple(_box(box, fold) for box in story.boxes),
        sections=tuple(_section(section, fold, has_map=has_maps) for section in sections),
        rows=tuple(_section(row, fold, has_map=False) for row in rows[: fold.rows]),
        more_rows=max(len(rows) - fold.rows, 0),
    )


def _box(box: Box, fold: Fold) -> Box:
    most = room = fold.asides if box.tone == "grey" else fold.entries
    entries = []
    for entry in box.entries:
        if room > 0:
            entries.append(_entry(entry, fold, room))
        room -= _size(entry)
    return replace(box, entries=tuple(entries), more=max(sum(map(_size, box.entries)) - most, 0))


def _size(entry: Entry) -> int:
    return max(entry.count, 1)


def _entry(entry: Entry, fold: Fold, room: int) -> Entry:
    lines = [shortened(line, fold.longest) for line in entry.lines]
    if len(lines) > fold.lines:
        lines[fold.lines :] = [f"and {len(lines) - fold.lines} more"]
    return replace(
        entry,
        campaign=shortened(entry.campaign, fold.longest),
        lines=tuple(lines),
        adsets=tuple(_adset(adset, fold) for adset in entry.adsets[:room]),
    )


def _adset(adset: AdSetLink, fold: Fold) -> AdSetLink:
    return replace(adset, name=shortened(adset.name, fold.longest))


def _section(section: Section, fold: Fold, *, has_map: bool) -> Section:
    return replace(
        section,
        name=shortened(section.name, fold.longest),
        demand=section.demand and _demand(section.demand, fold, has_map=has_map),
        listings=tuple(_listing(listing, fold) for listing in section.listings),
    )


def _listing(listing: Listing, fold: Fold) -> Listing:
    most = fold.adsets if listing.is_sure else fold.asides
    return replace(
        listing,
        changed=tuple(_changed(changed, fold) for changed in listing.changed[:most]),
        more=max(len(listing.changed) - most, 0),
    )


def _demand(demand: Demand, fold: Fold, *, has_map: bool) -> Demand:
    return replace(
        demand,
        active_list=shortened(demand.active_list, fold.longest),
        added_list=shortened(demand.added_list, fold.longest),
        removed_list=shortened(demand.removed_list, fold.longest),
        has_map=has_map and demand.has_map,
    )


def _changed(changed: Changed, fold: Fold) -> Changed:
    return replace(
        changed,
        adset=_adset(changed.adset, fold),
        added=shortened(changed.added, fold.longest),
        removed=shortened(changed.removed, fold.longest),
    )
