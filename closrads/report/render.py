"""PURE: `RunResult` → subject, HTML and text. What happened first, then what needs a person, then the campaigns.

What is said is in `report_story`, in the words of `report_words`; how much of it in `report_fold`; how it looks in
`templates/`.
"""

from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from closrads.domain.results import RunResult
from closrads.redaction import MAX_ERROR_CHARS, one_line
from closrads.report.content import Content, Demand
from closrads.report.sections import content_of
from closrads.report.truncate import HTML_TRUNCATIONS, TEXT_TRUNCATIONS, fitting
from closrads.state_mapper import is_state, usps_to_fb_region

TEMPLATES = Path(__file__).resolve().parent / "templates"
MAX_HTML_BYTES = 90_000
"""Bytes on their way; Gmail cuts a mail off at 102 kB and hides the rest behind a link."""
MAX_TEXT_BYTES = 3_000_000
"""Bytes on their way; SES takes 40 MB, and nobody reads one."""
TILE_MAP = (
    "AK .. .. .. .. .. .. .. .. .. ME",
    ".. .. .. .. .. .. .. .. .. VT NH",
    "WA ID MT ND MN IL WI MI NY RI MA",
    "OR NV WY SD IA IN OH PA NJ CT ..",
    "CA UT CO NE MO KY WV VA MD DE ..",
    ".. AZ NM KS AR TN NC SC DC .. ..",
    ".. .. .. OK LA MS AL GA .. .. ..",
    "HI .. .. TX .. .. .. .. FL .. ..",
)
"""The states where a reader looks for them, one tile each."""


@dataclass(frozen=True, slots=True)
class Colours:
    """What is written, and what it is written on."""

    ink: str
    paper: str


LIGHT = {
    "page": Colours("#202124", "#ffffff"),
    "soft": Colours("#5f6368", "#ffffff"),
    "link": Colours("#0b57d0", "#ffffff"),
    "plus": Colours("#1e7b34", "#ffffff"),
    "minus": Colours("#b3261e", "#ffffff"),
    "dry": Colours("#ffffff", "#202124"),
    "red": Colours("#a3201a", "#fdecea"),
    "orange": Colours("#8a4600", "#fff4e5"),
    "green": Colours("#1b6e2f", "#e9f6ec"),
    "grey": Colours("#54585d", "#f1f3f4"),
    "active": Colours("#ffffff", "#1a5fb4"),
    "added": Colours("#ffffff", "#1b6e2f"),
    "removed": Colours("#a3201a", "#fdecea"),
    "off": Colours("#5f6368", "#f1f3f4"),
}
DARK = {
    "page": Colours("#e8eaed", "#1b1c1f"),
    "soft": Colours("#b0b6bd", "#1b1c1f"),
    "link": Colours("#8ab4f8", "#1b1c1f"),
    "plus": Colours("#7ddc95", "#1b1c1f"),
    "minus": Colours("#ffb4ab", "#1b1c1f"),
    "dry": Colours("#1b1c1f", "#e8eaed"),
    "red": Colours("#ffb4ab", "#3d1613"),
    "orange": Colours("#ffbe6b", "#382400"),
    "green": Colours("#7ddc95", "#10301a"),
    "grey": Colours("#c4c7cc", "#2b2d30"),
    "active": Colours("#0b1f3f", "#8ab4f8"),
    "added": Colours("#06260f", "#7ddc95"),
    "removed": Colours("#ffb4ab", "#3d1613"),
    "off": Colours("#a5abb2", "#2b2d30"),
}
"""For the mail programs that ask; the others make their own of the light ones."""


@dataclass(frozen=True, slots=True)
class Report:
    """A mail's three parts."""

    subject: str
    html: str
    text: str


def build_report(result: RunResult, timezone: ZoneInfo) -> Report:
    """Return the mail about a run, with every secret blanked out; dates are in `timezone`."""
    content = content_of(result, timezone)
    return Report(
        one_line(content.subject),
        html=fitting(content, HTML_TRUNCATIONS, html_of, as_sent, MAX_HTML_BYTES),
        text=fitting(content, TEXT_TRUNCATIONS, text_of, as_sent, MAX_TEXT_BYTES),
    )


def as_sent(part: str) -> int:
    """Return how many bytes of a mail a part takes, in the worse of the two encodings."""
    raw = part.encode()
    return max(len(b2a_qp(raw)), len(b2a_base64(raw)) * 78 // 76)


def html_of(content: Content) -> str:
    """Return the HTML part that tells a story as it is."""
    return _HTML.render(content=content, tile_rows=[row.split() for row in TILE_MAP], light=LIGHT, dark=DARK)


def text_of(content: Content) -> str:
    """Return the text part that tells a story as it is."""
    return _TEXT.render(content=content)


def map_label(demand: Demand, gained: str, lost: str) -> str:
    """Return in words what a map shows, for who hears it."""
    kinds = {"With demand": demand.active, gained: demand.added, lost: demand.removed}
    told = [f"{kind}: {_state_names(codes)}." for kind, codes in kinds.items() if codes]
    return " ".join(["Map of the states.", *told])


def _state_names(codes: Iterable[str]) -> str:
    regions = [usps_to_fb_region(code) for code in codes if is_state(code)]
    return ", ".join(sorted(region["name"] for region in regions if region))


def _shown(value: Any) -> Any:
    """Return what a template puts in: names come from people, control characters included."""
    return one_line(value, MAX_ERROR_CHARS) if isinstance(value, str) and not isinstance(value, Markup) else value


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["map_label"] = map_label
    return environment


# At the start, for a template that cannot be compiled is to be found before anything is changed.
_HTML, _TEXT = map(_templates().get_template, ("report.html.j2", "report.txt.j2"))
