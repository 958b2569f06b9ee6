"""PURE: truncation of a report's content until it fits: lists are reduced to their first entries and a count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from closrads.redaction import MAX_ERROR_CHARS, shorten
from closrads.report.content import AdSetLink, Box, ChangedAdSet, Content, Demand, Entry, Listing, Section


@dataclass(frozen=True, slots=True)
class Truncation:
    """Maximum lengths of the lists, and of the texts from outside."""

    entries: int
    """Ad sets or campaigns in a box that may need attention."""
    minor: int
    """Ad sets or campaigns in a box that does not, and ad sets in a listing of changes that were not made."""
    lines: int
    """Lines of an entry."""
    sections: int
    """Campaigns with a section."""
    maps: int
    """Sections; with more of them, no map is drawn."""
    adsets: int
    """Changed ad sets of a campaign."""
    rows: int
    """Campaigns with a table row."""
    max_chars: int
    """Characters of a text."""


_ALL = 10**6
HTML_TRUNCATIONS = (
    Truncation(entries=20, minor=5, lines=10, sections=12, maps=8, adsets=30, rows=300, max_chars=1_000),
    Truncation(entries=15, minor=5, lines=4, sections=12, maps=8, adsets=20, rows=300, max_chars=600),
    Truncation(entries=10, minor=3, lines=3, sections=12, maps=5, adsets=10, rows=300, max_chars=300),
    Truncation(entries=8, minor=3, lines=3, sections=10, maps=5, adsets=5, rows=300, max_chars=200),
    Truncation(entries=8, minor=2, lines=2, sections=8, maps=5, adsets=4, rows=200, max_chars=150),
    Truncation(entries=5, minor=2, lines=2, sections=6, maps=3, adsets=3, rows=100, max_chars=120),
    Truncation(entries=3, minor=1, lines=1, sections=5, maps=3, adsets=2, rows=40, max_chars=80),
    Truncation(entries=1, minor=1, lines=1, sections=2, maps=1, adsets=1, rows=10, max_chars=40),
)
"""From the most readable to the smallest, which always fits because every list and every text is short."""
TEXT_TRUNCATIONS = (
    Truncation(
        _ALL, minor=_ALL, lines=_ALL, sections=_ALL, maps=_ALL, adsets=_ALL, rows=_ALL, max_chars=MAX_ERROR_CHARS
    ),
    Truncation(entries=2_000, minor=2_000, lines=10, sections=1_000, maps=8, adsets=500, rows=5_000, max_chars=1_000),
    Truncation(entries=300, minor=300, lines=10, sections=100, maps=8, adsets=100, rows=1_000, max_chars=1_000),
    *HTML_TRUNCATIONS,
)
"""The first truncates almost nothing: the text part has the complete lists that do not fit into the HTML part."""


def fitting(
    content: Content,
    truncations: Sequence[Truncation],
    render: Callable[[Content], str],
    size: Callable[[str], int],
    limit: int,
) -> str:
    """Return the content, rendered with the first truncation whose `size` is within `limit`, or else with the last."""
    for truncation in truncations[:-1]:
        part = render(truncated(content, truncation))
        if size(part) <= limit:
            return part
    return render(truncated(content, truncations[-1]))


def truncated(content: Content, truncation: Truncation) -> Content:
    """Return the content with each list truncated, and the number of omitted entries."""
    sections, moved = content.sections[: truncation.sections], content.sections[truncation.sections :]
    rows = (*moved, *content.rows)
    has_maps = len(sections) <= truncation.maps
    return replace(
        content,
        boxes=tuple(_box(box, truncation) for box in content.boxes),
        sections=tuple(_section(section, truncation, has_map=has_maps) for section in sections),
        rows=tuple(_section(row, truncation, has_map=False) for row in rows[: truncation.rows]),
        more_rows=max(len(rows) - truncation.rows, 0),
    )


def _box(box: Box, truncation: Truncation) -> Box:
    limit = remaining = truncation.minor if box.tone == "grey" else truncation.entries
    entries = []
    for entry in box.entries:
        if remaining > 0:
            entries.append(_entry(entry, truncation, remaining))
        remaining -= _size(entry)
    return replace(box, entries=tuple(entries), more=max(sum(map(_size, box.entries)) - limit, 0))


def _size(entry: Entry) -> int:
    return max(entry.count, 1)


def _entry(entry: Entry, truncation: Truncation, remaining: int) -> Entry:
    lines = [shorten(line, truncation.max_chars) for line in entry.lines]
    if len(lines) > truncation.lines:
        lines[truncation.lines :] = [f"and {len(lines) - truncation.lines} more"]
    return replace(
        entry,
        campaign=shorten(entry.campaign, truncation.max_chars),
        lines=tuple(lines),
        adsets=tuple(_adset(adset, truncation) for adset in entry.adsets[:remaining]),
    )


def _adset(adset: AdSetLink, truncation: Truncation) -> AdSetLink:
    return replace(adset, name=shorten(adset.name, truncation.max_chars))


def _section(section: Section, truncation: Truncation, *, has_map: bool) -> Section:
    return replace(
        section,
        name=shorten(section.name, truncation.max_chars),
        demand=section.demand and _demand(section.demand, truncation, has_map=has_map),
        listings=tuple(_listing(listing, truncation) for listing in section.listings),
    )


def _listing(listing: Listing, truncation: Truncation) -> Listing:
    limit = truncation.adsets if listing.is_certain else truncation.minor
    return replace(
        listing,
        changed=tuple(_changed(changed, truncation) for changed in listing.changed[:limit]),
        more=max(len(listing.changed) - limit, 0),
    )


def _demand(demand: Demand, truncation: Truncation, *, has_map: bool) -> Demand:
    return replace(
        demand,
        active_list=shorten(demand.active_list, truncation.max_chars),
        added_list=shorten(demand.added_list, truncation.max_chars),
        removed_list=shorten(demand.removed_list, truncation.max_chars),
        has_map=has_map and demand.has_map,
    )


def _changed(changed: ChangedAdSet, truncation: Truncation) -> ChangedAdSet:
    return replace(
        changed,
        adset=_adset(changed.adset, truncation),
        added=shorten(changed.added, truncation.max_chars),
        removed=shorten(changed.removed, truncation.max_chars),
    )
