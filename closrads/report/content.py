"""The content of a report, as values that the templates only lay out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdSetLink:
    """An ad set and its link to Ads Manager."""

    name: str
    id: str
    url: str
    """Empty if it is unknown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a box: ad sets of a campaign, or the campaign itself, and the lines about them."""

    campaign: str
    label: str
    lines: tuple[str, ...]
    adsets: tuple[AdSetLink, ...] = ()
    """The ad sets that the entry is about; empty if it is about the campaign."""
    count: int = 0
    """Number of ad sets, including those that truncation has removed from `adsets`."""


@dataclass(frozen=True, slots=True)
class Box:
    """One highlighted list; `tone` is `red`, `orange`, `green` or `grey`."""

    tone: str
    title: str
    advice: str
    entries: tuple[Entry, ...] = ()
    more: int = 0
    """Number of ad sets or campaigns that are not listed."""


@dataclass(frozen=True, slots=True)
class ChangedAdSet:
    """An ad set and its added and removed states, each with its sign."""

    adset: AdSetLink
    label: str
    added: str
    removed: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Ad sets of a campaign whose signs have the same meaning."""

    title: str
    """The meaning of the signs; empty if they are today's changes."""
    changed: tuple[ChangedAdSet, ...]
    is_certain: bool = True
    """Whether the ad sets are known to be in this state."""
    more: int = 0
    """Number of ad sets that are not listed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The states that a campaign should target today, as USPS codes, for the map and as text."""

    active: frozenset[str]
    """States with demand."""
    added: frozenset[str]
    """Active states that were added to at least one ad set."""
    removed: frozenset[str]
    """Inactive states that were removed from at least one ad set."""
    active_list: str
    added_list: str
    removed_list: str
    has_map: bool


@dataclass(frozen=True, slots=True)
class Section:
    """The section of one campaign."""

    name: str
    lines: tuple[str, ...]
    summary: str
    """The campaign's counts, for a table row instead of a section."""
    demand: Demand | None
    """None if the run does not follow demand."""
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """The complete content of a report, in its order."""

    subject: str
    preview: str
    """The preview text that mail programs show next to the subject."""
    dry_run: bool
    headline: str
    date: str
    lifted: str
    """What the run was allowed to do because limits were lifted; empty if none were."""
    totals: str
    """Counts over all campaigns; empty if there are few."""
    boxes: tuple[Box, ...]
    sections: tuple[Section, ...]
    rows: tuple[Section, ...]
    """Campaigns that get a table row instead of a section."""
    more_rows: int
    """Number of rows that are not listed."""
    notice: str
    """For whoever runs CLOSRADS; empty if there is nothing to do."""
    footer: str
