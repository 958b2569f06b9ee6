"""PURE: `RunResult` → the complete content of the report, in order; `truncate` limits its size.

Every text from outside is a redacted line, so it may be truncated.
"""

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from closrads.domain.request import Action
from closrads.domain.results import Result, RunResult, SyncReport
from closrads.redaction import one_line
from closrads.report.boxes import _UNCERTAIN, _boxes, _link, _signed
from closrads.report.content import ChangedAdSet, Content, Demand, Listing, Section
from closrads.report.subject import (
    _MAX_ID_CHARS,
    MAX_PREVIEW_CHARS,
    _counted,
    _counts,
    _follows_demand,
    _headline,
    _label,
    _outcome,
    _preview,
    _redacted_line,
)
from closrads.report.wording import (
    LIFTED,
    NOT_CERTAIN,
    NOT_CHANGED,
    REASONS,
    WORDINGS,
    api_notice,
    enumerated,
    token_notice,
)

MAX_SECTIONS = 8
"""Maximum number of campaigns that get a section each; of more, only those with changes do."""
_TONES = ("red", "orange", "grey", "green")


def content_of(result: RunResult, timezone: ZoneInfo) -> Content:
    """Return the complete content of the report on a run; dates are in `timezone`."""
    local = result.started_at.astimezone(timezone)
    switches = (replace(switch, since=switch.since.astimezone(timezone)) for switch in result.switched_off)
    result = replace(result, switched_off=tuple(switches))
    day = f"{local:%a} {local.day} {local:%b}"
    boxes = tuple(sorted(_boxes(result), key=lambda box: _TONES.index(box.tone)))
    sections = [_section(result, campaign) for campaign in result.campaigns]
    many = len(sections) > MAX_SECTIONS
    return Content(
        subject=f"{'[DRY RUN] ' if result.dry_run else ''}CLOSRADS {_outcome(result)} · {day}",
        preview=one_line(_preview(result, boxes), MAX_PREVIEW_CHARS),
        dry_run=result.dry_run,
        headline=_headline(result),
        date=f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({timezone.key})",
        lifted="; ".join(LIFTED.get(limit, limit) for limit in sorted(result.force)),
        totals=f"{len(sections)} campaigns, {_counted(result, result.campaigns)}" if many else "",
        boxes=boxes,
        sections=tuple(section for section in sections if section.listings or not many),
        rows=tuple(section for section in sections if many and not section.listings),
        more_rows=0,
        notice=" ".join(filter(None, (token_notice(result.token_days_left), api_notice(result.api_days_left)))),
        footer=f"Run {one_line(result.run_id, _MAX_ID_CHARS)} · {REASONS.get(result.reason, '')}"
        f"{result.duration_ms / 1000:.1f} s · "
        f"{result.graph.round_trips} call{'' if result.graph.round_trips == 1 else 's'} to Meta",
    )


# --- the campaigns


def _section(result: RunResult, campaign: SyncReport) -> Section:
    return Section(
        _redacted_line(campaign.campaign_name),
        tuple(_lines(result, campaign)),
        _summary(result, campaign),
        _demand(campaign) if _shows_demand(result, campaign) else None,
        tuple(_listings(result, campaign)),
    )


def _shows_demand(result: RunResult, campaign: SyncReport) -> bool:
    """Return whether the demand is shown: a campaign that was off from the start did not ask for it."""
    return _follows_demand(result, campaign) and bool(campaign.active_states or not campaign.switched_off)


def _listings(result: RunResult, campaign: SyncReport) -> Iterator[Listing]:
    """Yield separate listings of confirmed, uncertain and planned changes; for a recheck, one of its run's changes."""
    signs = WORDINGS[result.action].signs
    if result.action is Action.RECHECK:
        kinds = [(signs, True, frozenset(Result))]
    else:
        done = frozenset({Result.UPDATED})
        others = frozenset(Result) - done - _UNCERTAIN
        kinds = [(signs, True, done), (NOT_CERTAIN, False, _UNCERTAIN), (NOT_CHANGED, False, others)]
    for title, is_certain, results in kinds:
        changed = tuple(
            ChangedAdSet(
                _link(campaign, adset),
                _label(result, adset),
                _signed("+", adset.added),
                _signed("−", adset.removed),
            )
            for adset in campaign.with_result(*results)
            if adset.added or adset.removed
        )
        if changed:
            yield Listing(title, changed, is_certain)


def _demand(campaign: SyncReport) -> Demand:
    updated = campaign.with_result(Result.UPDATED)
    active = frozenset(map(_redacted_line, campaign.active_states))
    added = frozenset(_redacted_line(code) for adset in updated for code in adset.added) & active
    removed = frozenset(_redacted_line(code) for adset in updated for code in adset.removed) - active
    active_list, added_list, removed_list = (", ".join(sorted(codes)) for codes in (active, added, removed))
    return Demand(active, added, removed, active_list, added_list, removed_list, has_map=bool(campaign.adsets))


def _lines(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    if campaign.left_to:
        yield f"Left to run {one_line(campaign.left_to, _MAX_ID_CHARS)}."
        return
    if campaign.about_run:
        yield WORDINGS[result.action].about.format(one_line(campaign.about_run, _MAX_ID_CHARS))
    if campaign.adsets:
        yield _counted(result, [campaign])
    elif campaign.switched_off:
        yield "Nothing new was begun in it."
    elif campaign.campaign_errors:
        yield "Its ad sets were not looked at."
    else:
        yield WORDINGS[result.action].no_adsets


def _summary(result: RunResult, campaign: SyncReport) -> str:
    if campaign.left_to:
        return "left to another run"
    counts = enumerated(_counts(result, campaign.adsets))
    if campaign.campaign_errors:
        return f"had errors, {counts}" if counts else "had errors"
    if campaign.switched_off:
        return f"nothing new was begun{counts and f', {counts}'}"
    return counts or "no active ad set"
