"""PURE: `RunResult` → subject, HTML and text. What happened first, then what needs a person, then the campaigns."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from closrads.errors import redact
from closrads.model import AdSetResult, Result, RunResult, SyncReport

TEMPLATES = Path(__file__).resolve().parent / "templates"

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

_LABELS = {
    Result.UPDATED: "updated",
    Result.UNCHANGED: "unchanged",
    Result.SKIPPED_PREFLIGHT: "skipped before the run",
    Result.NEEDS_ATTENTION: "needs attention",
    Result.NOT_ACTIVE: "not active now",
    Result.DEFERRED: "deferred to the next run",
    Result.HELD: "held",
    Result.REVERTED: "reverted",
    Result.FAILED: "failed",
    Result.UNVERIFIED: "not verified",
    Result.SUPERSEDED: "changed by somebody else",
    Result.ROLLBACK_FAILED: "rollback failed",
}


_QUIET = frozenset({Result.UPDATED, Result.UNCHANGED})


@dataclass(frozen=True, slots=True)
class Report:
    """A mail's three parts."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """One highlighted list; `tone` is `red`, `orange`, `green` or `grey`."""

    tone: str
    title: str
    advice: str
    entries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What it is about, and what there is to say about it."""


_BOXES = (
    (
        "red",
        "Rollback failed",
        "Look at these ad sets in Ads Manager now: they are NOT proven to be as they were.",
        (Result.ROLLBACK_FAILED,),
    ),
    ("red", "Failed", "These ad sets could not be updated and are as they were.", (Result.FAILED,)),
    (
        "red",
        "Changed by somebody else, or not verified",
        "Look at these ad sets in Ads Manager: what they target now was not confirmed by this run.",
        (Result.SUPERSEDED, Result.UNVERIFIED),
    ),
    (
        "red",
        "Updated, then rolled back",
        "The update could not be kept, for the reason below. The targeting was restored: not updated today.",
        (Result.REVERTED,),
    ),
    (
        "orange",
        "Skipped: broken before the run",
        "These ad sets have an ad that was broken before. Repair it in Ads Manager; the next run tries again.",
        (Result.SKIPPED_PREFLIGHT,),
    ),
    (
        "orange",
        "Needs attention",
        "The targeting of these ad sets cannot follow the demand until somebody changes it by hand.",
        (Result.NEEDS_ATTENTION,),
    ),
    (
        "grey",
        "Reaches beyond its states",
        "Meta may show these ads outside the states as well; it was set so in Ads Manager and is left as it is.",
        (Result.UPDATED, Result.UNCHANGED),
    ),
    (
        "grey",
        "Left for later",
        "These ad sets were not touched.",
        (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
    ),
)


def build_report(result: RunResult, timezone: ZoneInfo) -> Report:
    """Return the mail about a run, with every secret blanked out; dates are in `timezone`."""
    local = result.started_at.astimezone(timezone)
    view = {
        "result": result,
        "headline": _headline(result),
        "date": f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({timezone.key})",
        "boxes": tuple(_boxes(result)),
        "labels": _LABELS,
        "tile_rows": [row.split() for row in TILE_MAP],
    }
    day = f"{local:%a} {local.day} {local:%b}"
    subject = _one_line(f"{'[DRY RUN] ' if result.dry_run else ''}CLOSRADS {_outcome(result)} · {day}")
    templates = _templates()
    return Report(
        subject=redact(subject),
        html=redact(templates.get_template("report.html.j2").render(view)),
        text=redact(templates.get_template("report.txt.j2").render(view)),
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["added"] = lambda campaign: _states_of(campaign, "added")
    environment.filters["removed"] = lambda campaign: _states_of(campaign, "removed")
    environment.filters["counts"] = _campaign_counts
    environment.filters["oneline"] = _one_line
    return environment


def _states_of(campaign: SyncReport, change: str) -> frozenset[str]:
    """Return the states that were added to, or removed from, at least one ad set."""
    return frozenset(code for adset in campaign.with_result(Result.UPDATED) for code in getattr(adset, change))


def _outcome(result: RunResult) -> str:
    stuck = [campaign.campaign_name for campaign in result.campaigns if campaign.with_result(Result.ROLLBACK_FAILED)]
    failed = [campaign.campaign_name for campaign in result.campaigns if not campaign.success]
    if stuck:
        return f"✗ ROLLBACK FAILED in {', '.join(stuck)}"
    if failed:
        return f"✗ {', '.join(failed)} failed"
    counts = _counts(result)
    return f"{'⚠' if _troubled(result) else '✓'} {counts}"


def _counts(result: RunResult) -> str:
    def total(*results: Result) -> int:
        return sum(len(campaign.with_result(*results)) for campaign in result.campaigns)

    parts = [
        (total(Result.ROLLBACK_FAILED), "with a failed rollback"),
        (total(Result.FAILED), "failed"),
        (total(Result.SUPERSEDED, Result.UNVERIFIED), "to be looked at"),
        (total(Result.UPDATED), "would be updated" if result.dry_run else "updated"),
        (total(Result.REVERTED), "reverted"),
        (total(Result.SKIPPED_PREFLIGHT), "skipped"),
        (total(Result.NEEDS_ATTENTION), "need attention"),
        (total(Result.DEFERRED), "deferred"),
        (total(Result.HELD), "held"),
        (total(Result.NOT_ACTIVE), "not active"),
    ]
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "nothing to change"


def _campaign_counts(campaign: SyncReport) -> str:
    """Return the counts that everybody looks for, and the others where there is something to count."""
    usual = [
        (campaign.adsets_updated, "would be updated" if campaign.dry_run else "updated"),
        (campaign.adsets_skipped, "unchanged"),
        (campaign.adsets_skipped_preflight, "skipped before the run"),
        (campaign.adsets_reverted, "reverted"),
        (campaign.adsets_deferred, "deferred"),
    ]
    unusual = [
        (campaign.adsets_held, "held"),
        (campaign.adsets_needs_attention, "need attention"),
        (campaign.adsets_failed, "failed"),
    ]
    counts = usual + [(count, word) for count, word in unusual if count]
    ad_sets = f"{campaign.adsets_processed} ad set{'' if campaign.adsets_processed == 1 else 's'}"
    return f"{ad_sets}: " + ", ".join(f"{count} {word}" for count, word in counts)


def _headline(result: RunResult) -> str:
    if not result.campaigns:
        return "No campaign is switched on, so nothing was done."
    failed = [campaign.campaign_name for campaign in result.campaigns if not campaign.success]
    done = _counts(result)
    if failed:
        looked_at = any(campaign.adsets for campaign in result.campaigns)
        return f"{', '.join(failed)} had errors" + (f"; ad sets: {done}." if looked_at else ".")
    return (
        f"{'All campaigns' if len(result.campaigns) > 1 else result.campaigns[0].campaign_name} ran; ad sets: {done}."
    )


def _troubled(result: RunResult) -> bool:
    return any(adset.result not in _QUIET for campaign in result.campaigns for adset in campaign.adsets) or any(
        campaign.unmapped_states for campaign in result.campaigns
    )


def _boxes(result: RunResult) -> Iterator[Box]:
    loudest, *others = (_box(result, *definition) for definition in _BOXES)
    if loudest.entries:
        yield loudest
    aborted = tuple((c.campaign_name, c.campaign_errors) for c in result.campaigns if c.campaign_errors)
    if aborted:
        yield Box("red", "Campaigns with errors", "What had not begun was left as it was.", aborted)
    yield from (box for box in others if box.entries)
    unmapped = tuple((c.campaign_name, (", ".join(c.unmapped_states),)) for c in result.campaigns if c.unmapped_states)
    if unmapped:
        yield Box("orange", "Unknown states", "CLOSRTECH named these; Meta has no region for them.", unmapped)
    if result.campaigns and result.success and not _troubled(result):
        yield Box("green", "All campaigns ran without issues", "")


def _box(result: RunResult, tone: str, title: str, advice: str, results: tuple[Result, ...]) -> Box:
    entries = tuple(
        (_heading(campaign, adset), adset.issues)
        for campaign in result.campaigns
        for adset in campaign.with_result(*results)
        if adset.issues or adset.result not in _QUIET
    )
    return Box(tone, title, advice, entries)


def _heading(campaign: SyncReport, adset: AdSetResult) -> str:
    return f"{campaign.campaign_name} · {adset.name} ({adset.id}), {_LABELS[adset.result]}"


def _one_line(text: str) -> str:
    """Return a text fit for a mail header or one line: names come from people, control characters included."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
