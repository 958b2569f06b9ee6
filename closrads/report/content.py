"""The content of a report, as values that the templates lay out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """An ad or an ad set, and its link to Ads Manager."""

    name: str
    url: str
    """Empty if it is unknown."""
    where: str = ""
    """The ad set that contains the ad; empty if unknown, and for ad sets."""


@dataclass(frozen=True, slots=True)
class Item:
    """A statement about one thing, or about several of the same campaign."""

    campaign: str
    noun: str
    """`ad`, `ad set` or `campaign`."""
    text: str
    """A predicate, such as “has lost its lead form”."""
    links: tuple[Link, ...] = ()
    """The ads or ad sets; empty if it is about the campaign."""
    count: int = 1
    """Number of things, including those that truncation has removed from `links`."""
    detail: str = ""
    """The end of the text, with its leading punctuation; the first sentence of the mail omits it."""
    ads: tuple[Link, ...] = ()
    """The ads to look at, for an ad set that needs a person."""


@dataclass(frozen=True, slots=True)
class Box:
    """Items of a kind: who must act, and how."""

    tone: str
    """`red`, `orange` or `grey`."""
    title: str
    who: str
    """Who must act, as in `wording.kinds.Who`."""
    steps: tuple[str, ...]
    note: str
    items: tuple[Item, ...] = ()
    more: int = 0
    """Number of things that are not listed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line about a campaign."""

    tone: str
    """`red`, `orange`, `green` or `grey`."""
    sign: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Demand:
    """The states that a campaign should target, and those that it does, as USPS codes."""

    running: frozenset[str]
    """Wanted, and targeted by all ad sets."""
    missing: frozenset[str]
    """Wanted, and not targeted by all ad sets."""
    extra: frozenset[str]
    """Not wanted, and targeted by at least one ad set."""
    has_map: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its value."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """The details of one campaign."""

    name: str
    facts: tuple[Fact, ...]
    demand: Demand | None
    """None if there is no map to draw."""
    more: int = 0
    """Number of facts that are not listed."""


@dataclass(frozen=True, slots=True)
class Content:
    """The complete content of a report, in its order."""

    subject: str
    preview: str
    """The preview text that mail programs show next to the subject."""
    dry_run: bool
    tone: str
    """That of the headline."""
    headline: str
    about: str
    """What a run other than the daily one did; empty for that."""
    date: str
    lifted: str
    """What the run was allowed to do because limits were lifted; empty if none were."""
    boxes: tuple[Box, ...]
    """What needs a person."""
    rows: tuple[Row, ...]
    learning: str
    """What the changes mean for Meta's learning phase; empty if there were none."""
    notes: tuple[Box, ...]
    """What needs no action."""
    sections: tuple[Section, ...]
    quiet: tuple[Row, ...]
    """Lines of campaigns without problems, if these share one in `rows`."""
    raw: tuple[str, ...]
    """The appendix: raw texts and ids, for whoever runs CLOSRADS."""
    next_run: str
    """When the next run starts; empty if unknown."""
    footer: str
    more_boxes: int = 0
    more_rows: int = 0
    more_sections: int = 0
    more_quiet: int = 0
    more_raw: int = 0
    names_all: bool = True
    """Whether the appendix names everything that is not listed in the boxes."""
