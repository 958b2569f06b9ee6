"""All that a report says, as values; the templates only lay them out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AdSetLink:
    """An ad set, and where in Ads Manager it is, if that is known."""

    name: str
    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a box: what it is about, and what there is to say about it."""

    campaign: str
    label: str
    lines: tuple[str, ...]
    adsets: tuple[AdSetLink, ...] = ()
    """Those of which the same is to be said; none if it is said of the campaign."""
    count: int = 0
    """How many they are, listed or not."""


@dataclass(frozen=True, slots=True)
class Box:
    """One highlighted list; `tone` is `red`, `orange`, `green` or `grey`."""

    tone: str
    title: str
    advice: str
    entries: tuple[Entry, ...] = ()
    more: int = 0
    """Ad sets, or campaigns, that are not listed."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An ad set, and the states of which there is something to say, with their signs."""

    adset: AdSetLink
    label: str
    added: str
    removed: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Ad sets of a campaign whose signs mean the same."""

    title: str
    """What they mean, empty if it is the change of today."""
    changed: tuple[Changed, ...]
    is_sure: bool = True
    """Whether the ad sets are so."""
    more: int = 0
    """Ad sets that are not listed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The states that a campaign ought to have today, as USPS codes: for a map, and as lists to read."""

    active: frozenset[str]
    """Those with demand."""
    added: frozenset[str]
    """Active now, and newly so for at least one ad set."""
    removed: frozenset[str]
    """No longer active, and so until now for at least one ad set."""
    active_list: str
    added_list: str
    removed_list: str
    has_map: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One campaign below the boxes."""

    name: str
    lines: tuple[str, ...]
    summary: str
    """Its counts in few words, where a line is all there is room for."""
    demand: Demand | None
    """None where it is no matter of the run."""
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """All that a report says, in its order."""

    subject: str
    preview: str
    """What a list of mails shows beside the subject."""
    dry_run: bool
    headline: str
    date: str
    lifted: str
    """What the run might do because limits were lifted."""
    totals: str
    """Of many campaigns."""
    boxes: tuple[Box, ...]
    sections: tuple[Section, ...]
    rows: tuple[Section, ...]
    """Campaigns of which a line tells enough."""
    more_rows: int
    foot: str
