"""PURE: truncation of a report's content until it fits: lists are reduced to their first entries and a count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from closrads.redaction import MAX_ERROR_CHARS, shorten
from closrads.report.content import Box, Content, Demand, Fact, Item, Link, Row, Section


@dataclass(frozen=True, slots=True)
class Truncation:
    """Maximum lengths of the lists, and of the texts from outside."""

    boxes: int
    entries: int
    """Items in a box that needs a person."""
    minor: int
    """Items in a box that needs no action."""
    rows: int
    """Campaigns with a row."""
    quiet: int
    """Campaigns that share a row and are listed below."""
    sections: int
    """Campaigns with details."""
    facts: int
    """Facts of a campaign."""
    maps: int
    """Maximum number of sections with which maps are drawn."""
    raw: int
    """Lines of the appendix."""
    max_chars: int
    """Characters of a text."""


_ALL = 10**6
HTML_TRUNCATIONS = tuple(
    Truncation(*limits)
    for limits in (
        (40, 3, 3, 40, 400, 12, 8, 4, 60, 4_000),
        (40, 3, 3, 40, 400, 12, 8, 4, 40, 600),
        (30, 3, 3, 40, 300, 8, 6, 3, 20, 300),
        (20, 3, 2, 40, 300, 8, 6, 2, 12, 200),
        (16, 3, 2, 30, 200, 6, 5, 2, 8, 150),
        (12, 2, 1, 30, 100, 4, 4, 1, 6, 120),
        (8, 2, 1, 20, 40, 3, 4, 1, 4, 80),
        (6, 1, 1, 10, 10, 2, 4, 1, 2, 40),
    )
)
"""From the mildest to the strongest, which always fits because it limits every list and every text."""
TEXT_TRUNCATIONS = (
    Truncation(_ALL, _ALL, _ALL, _ALL, _ALL, _ALL, _ALL, _ALL, _ALL, MAX_ERROR_CHARS),
    Truncation(_ALL, 2_000, 2_000, 5_000, 5_000, 1_000, 500, 8, 5_000, 10_000),
    Truncation(_ALL, 2_000, 2_000, 5_000, 5_000, 1_000, 500, 8, 5_000, 300),
    Truncation(_ALL, 300, 300, 1_000, 1_000, 100, 100, 8, 500, 300),
    *HTML_TRUNCATIONS[2:],
)
"""The first truncates almost nothing: the text part has the complete lists that do not fit into the HTML part."""


def fitting(
    content: Content,
    truncations: Sequence[Truncation],
    render: Callable[[Content], str],
    size: Callable[[str], int],
    limit: int,
) -> str:
    """Return the content rendered with the mildest truncation that fits into `limit`, else with the last one."""
    rendered = ""
    for truncation in truncations:
        rendered = render(truncated(content, truncation))
        if size(rendered) <= limit:
            break
    return rendered


def truncated(content: Content, truncation: Truncation) -> Content:
    """Return the content with lists and texts no longer than `truncation` allows."""
    chars = truncation.max_chars
    sections = content.sections[: truncation.sections]
    has_maps = sum(section.demand is not None for section in content.sections) <= truncation.maps
    return replace(
        content,
        headline=shorten(content.headline, max(chars, 160)),
        boxes=tuple(_box(box, truncation.entries, chars) for box in content.boxes[: truncation.boxes]),
        more_boxes=_left(content.boxes, truncation.boxes),
        notes=tuple(_box(box, truncation.minor, chars) for box in content.notes[: truncation.boxes]),
        rows=tuple(_row(row, chars) for row in content.rows[: truncation.rows]),
        more_rows=_left(content.rows, truncation.rows),
        sections=tuple(_section(section, truncation, has_map=has_maps) for section in sections),
        more_sections=_left(content.sections, truncation.sections),
        quiet=tuple(_row(row, chars) for row in content.quiet[: truncation.quiet]),
        more_quiet=_left(content.quiet, truncation.quiet),
        raw=tuple(shorten(text, chars) for text in content.raw[: truncation.raw]),
        more_raw=_left(content.raw, truncation.raw),
        names_all=len(content.raw) <= truncation.raw and all(len(text) <= chars for text in content.raw),
    )


def _left(listed: Sequence[object], limit: int) -> int:
    return max(len(listed) - limit, 0)


def _box(box: Box, limit: int, chars: int) -> Box:
    remaining, items = limit, []
    for item in box.items:
        if remaining <= 0:
            break
        items.append(_item(item, remaining, chars))
        remaining -= max(len(item.links), 1)
    shown = sum(len(item.links) or item.count for item in items)
    return replace(box, items=tuple(items), more=sum(item.count for item in box.items) - shown)


def _item(item: Item, remaining: int, chars: int) -> Item:
    links = tuple(_link(link, chars) for link in item.links[:remaining])
    return replace(
        item,
        campaign=shorten(item.campaign, chars),
        text=shorten(item.text, chars),
        detail=shorten(item.detail, chars),
        links=links,
        ads=tuple(_link(ad, chars) for ad in item.ads[:remaining]),
    )


def _link(link: Link, chars: int) -> Link:
    return replace(link, name=shorten(link.name, chars), where=shorten(link.where, chars))


def _row(row: Row, chars: int) -> Row:
    return replace(row, name=shorten(row.name, chars), text=shorten(row.text, max(chars, 60)))


def _section(section: Section, truncation: Truncation, *, has_map: bool) -> Section:
    facts = tuple(_fact(fact, truncation.max_chars) for fact in section.facts[: truncation.facts])
    return replace(
        section,
        name=shorten(section.name, truncation.max_chars),
        facts=facts,
        more=_left(section.facts, truncation.facts),
        demand=section.demand and _demand(section.demand, has_map=has_map),
    )


def _fact(fact: Fact, chars: int) -> Fact:
    return Fact(shorten(fact.label, chars), shorten(fact.text, chars))


def _demand(demand: Demand, *, has_map: bool) -> Demand:
    return replace(demand, has_map=has_map and demand.has_map)
