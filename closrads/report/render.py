"""PURE: `RunResult` → subject, HTML and text: first the actions needed, then the campaigns, then details.

`sections`, `boxes` and `subject` build the content with the texts of `wording`. `truncate` limits its size, and
`templates/` lay it out.
"""

from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from closrads.domain.results import RunResult
from closrads.redaction import MAX_ERROR_CHARS, one_line
from closrads.report.changes_before import changes_before
from closrads.report.content import Content, Demand
from closrads.report.sections import content_of
from closrads.report.truncate import HTML_TRUNCATIONS, TEXT_TRUNCATIONS, fitting
from closrads.report.wording.appendix import APPENDIX
from closrads.report.wording.footer import WHY_MAIL
from closrads.state_mapper import is_state, usps_to_fb_region

TEMPLATES = Path(__file__).resolve().parent / "templates"
MAX_HTML_BYTES = 90_000
"""Maximum encoded size; Gmail truncates a mail at 102 kB and hides the rest behind a link."""
MAX_TEXT_BYTES = 3_000_000
"""Maximum encoded size; SES accepts 40 MB, but nobody reads that much."""
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
"""Tile map of the states, roughly in their geographical positions."""


@dataclass(frozen=True, slots=True)
class Colours:
    """A text colour and its background."""

    ink: str
    paper: str


LIGHT = {
    "page": Colours("#202124", "#ffffff"),
    "soft": Colours("#5f6368", "#ffffff"),
    "link": Colours("#0b57d0", "#ffffff"),
    "dry": Colours("#ffffff", "#202124"),
    "red": Colours("#a3201a", "#fdecea"),
    "orange": Colours("#8a4600", "#fff4e5"),
    "green": Colours("#1b6e2f", "#e9f6ec"),
    "grey": Colours("#54585d", "#f1f3f4"),
    "active": Colours("#ffffff", "#1a5fb4"),
    "missing": Colours("#ffffff", "#8a4600"),
    "extra": Colours("#a3201a", "#fdecea"),
    "off": Colours("#5f6368", "#f1f3f4"),
}
DARK = {
    "page": Colours("#e8eaed", "#1b1c1f"),
    "soft": Colours("#b0b6bd", "#1b1c1f"),
    "link": Colours("#8ab4f8", "#1b1c1f"),
    "dry": Colours("#1b1c1f", "#e8eaed"),
    "red": Colours("#ffb4ab", "#3d1613"),
    "orange": Colours("#ffbe6b", "#382400"),
    "green": Colours("#7ddc95", "#10301a"),
    "grey": Colours("#c4c7cc", "#2b2d30"),
    "active": Colours("#0b1f3f", "#8ab4f8"),
    "missing": Colours("#382400", "#ffbe6b"),
    "extra": Colours("#ffb4ab", "#3d1613"),
    "off": Colours("#a5abb2", "#2b2d30"),
}
"""For mail programs that support `prefers-color-scheme`; the others derive theirs from the light colours."""


_TEXTS = {"why_mail": WHY_MAIL, "appendix": APPENDIX}


@dataclass(frozen=True, slots=True)
class Report:
    """The three parts of the mail."""

    subject: str
    html: str
    text: str


def build_report(
    result: RunResult,
    timezone: ZoneInfo,
    schedule: str = "",
    earlier: Sequence[RunResult] = (),
    *,
    stage: str = "",
) -> Report:
    """Return the redacted report on a run.

    Parameters
    ----------
    timezone
        The time zone of the dates and of the schedule.
    schedule
        The expression of the daily run's schedule, `OFF` if it is off; empty if unknown.
    earlier
        Earlier runs that the report sums up.
    stage
        The stage for the commands in the report; empty if unknown.
    """
    content = content_of(result, timezone, schedule, stage)
    content = replace(content, notes=(*content.notes, *changes_before(earlier, timezone)))
    return Report(
        one_line(content.subject),
        html=fitting(content, HTML_TRUNCATIONS, html_of, encoded_size, MAX_HTML_BYTES),
        text=fitting(content, TEXT_TRUNCATIONS, text_of, encoded_size, MAX_TEXT_BYTES),
    )


def encoded_size(part: str) -> int:
    """Return the size of a part in bytes, in the longer of the two transfer encodings."""
    raw = part.encode()
    return max(len(b2a_qp(raw)), len(b2a_base64(raw)) * 78 // 76)


def html_of(content: Content) -> str:
    """Return the HTML part with the content as given."""
    tile_rows = [row.split() for row in TILE_MAP]
    return _HTML.render(content=content, tile_rows=tile_rows, light=LIGHT, dark=DARK, **_TEXTS)


def text_of(content: Content) -> str:
    """Return the text part with the content as given."""
    return _TEXT.render(content=content, **_TEXTS)


def map_label(demand: Demand) -> str:
    """Return the text alternative of a map, for screen readers."""
    kinds = {
        "Wanted and running": demand.running,
        "Wanted, not running yet": demand.missing,
        "Running, not wanted": demand.extra,
    }
    sentences = [f"{kind}: {_state_names(codes)}." for kind, codes in kinds.items() if codes]
    return " ".join(["Map of the states.", *sentences])


def _state_names(codes: Iterable[str]) -> str:
    regions = [usps_to_fb_region(code) for code in codes if is_state(code)]
    return ", ".join(sorted(region["name"] for region in regions if region))


def _shown(value: Any) -> Any:
    """Return a value as the templates output it: names are free text and may contain control characters."""
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


# Compiled at import, so that a broken template fails before anything is changed at Meta.
_HTML, _TEXT, _ = map(_templates().get_template, ("report.html.j2", "report.txt.j2", "box.txt.j2"))
