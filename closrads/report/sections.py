"""PURE: `RunResult` → the complete content of the report, in order; `truncate` limits its size.

Every text from outside is a redacted line, so it may be truncated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import TypeVar
from zoneinfo import ZoneInfo

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from closrads.redaction import one_line
from closrads.report.boxes import (
    MAX_ID_CHARS,
    QUIET,
    TONES,
    UNCERTAIN,
    boxes_of,
    findings_of,
    follows_demand,
    is_empty,
    line,
    reported_counts,
    signs,
)
from closrads.report.content import Box, Content, Demand, Fact, Row, Section
from closrads.report.subject import (
    MAX_PREVIEW_CHARS,
    campaign_is_fine,
    headline,
    is_fine,
    names,
    outcome,
    preview,
)
from closrads.report.wording.appendix import REASONS, api_notice, token_notice
from closrads.report.wording.demand import TOO_FEW_LEADS
from closrads.report.wording.drift import DRIFT, drift
from closrads.report.wording.footer import next_run
from closrads.report.wording.phrases import clock_time, day_of, several
from closrads.report.wording.plans import plan_notice
from closrads.report.wording.summary import (
    ABOUT,
    COUNTED_OF,
    LEFT_ALONE,
    LIFTED,
    LIFTED_FOR_REMOVAL,
    learning,
    nothing_removed,
    would_be,
)
from closrads.report.wording.switches import how_long

MIN_STATES_FOR_MAP = 4
"""Number of differing states from which on a map is drawn."""
MAX_ROWS = 12
"""Maximum number of campaigns with a line each, whatever their outcome."""
MAX_PROBLEMS = 2
"""Maximum number of different problems in a campaign's row."""
_MAX_LEARNING_NAME_CHARS = 40
Drifted = TypeVar("Drifted", AdSetResult, Recovery)
_MAX_GROUPS = 2
"""Maximum number of different changes in a campaign's row."""
_NOT_RUNNING = frozenset({Result.NOT_ACTIVE, Result.ENDED})
_SIGNS = {"red": "✗", "orange": "⚠", "green": "✓", "grey": "·"}


def content_of(result: RunResult, timezone: ZoneInfo, schedule: str = "", stage: str = "") -> Content:
    """Return the complete content of the report on a run; the parameters are those of `build_report`."""
    local = result.started_at.astimezone(timezone)
    result = _in_zone(result, timezone)
    day = f"{local:%a} {local.day} {local:%b}"
    boxes = boxes_of(findings_of(result))
    rows, quiet = _rows(result)
    calm = tuple(box for box in boxes if not box.who and box.tone == "grey")
    loud = tuple(box for box in boxes if box not in calm)
    return Content(
        subject=f"{'[DRY RUN] ' if result.dry_run else ''}{outcome(result, boxes)} · {day}",
        preview=one_line(preview(result, boxes, _names_and_texts(rows)), MAX_PREVIEW_CHARS),
        dry_run=result.dry_run,
        tone=_tone(result, loud),
        headline=headline(result, boxes),
        about=ABOUT[result.action],
        date=f"{local:%A} {local.day} {local:%B %Y}, {clock_time(local)}",
        lifted=_lifted(result),
        boxes=loud,
        rows=rows,
        learning=learning(result, names([_learning(result, each, timezone) for each in result.still_learning], 80)),
        notes=calm,
        sections=tuple(_sections(result, is_short=not quiet)),
        quiet=quiet,
        raw=tuple(_raw(result, stage)),
        next_run=next_run(result, schedule, timezone),
        footer=_footer(result, timezone),
    )


def _lifted(result: RunResult) -> str:
    """Return what the run may do because limits were lifted, except what unreadable demand forbids."""
    lifted = result.force
    unread = [campaign.campaign_name for campaign in result.campaigns if campaign.unreadable_states]
    but = ""
    if unread and lifted & LIFTED_FOR_REMOVAL:
        is_everywhere = len(unread) == len(result.campaigns)
        but = nothing_removed("" if is_everywhere else names(unread))
        lifted -= LIFTED_FOR_REMOVAL if is_everywhere else frozenset()
    return "; ".join(filter(None, (*(LIFTED.get(limit, limit) for limit in sorted(lifted)), but)))


def _learning(result: RunResult, adset: AdSetResult, timezone: ZoneInfo) -> str:
    """Return the name of an ad set in its learning phase, and its start if known."""
    name = one_line(adset.name, _MAX_LEARNING_NAME_CHARS)
    if not adset.learning_since:
        return name
    return f"{name} (since {day_of(datetime.fromisoformat(adset.learning_since).astimezone(timezone), result)})"


def _in_zone(result: RunResult, timezone: ZoneInfo) -> RunResult:
    """Return the result with the displayed times converted to `timezone`."""

    def local(each: Drifted) -> Drifted:
        if each.drift is None or each.drift.at is None:
            return each
        return replace(each, drift=replace(each.drift, at=each.drift.at.astimezone(timezone)))

    return replace(
        result,
        switched_off=tuple(replace(switch, since=switch.since.astimezone(timezone)) for switch in result.switched_off),
        campaigns=tuple(
            replace(
                campaign,
                adsets=tuple(map(local, campaign.adsets)),
                recovered=tuple(map(local, campaign.recovered)),
            )
            for campaign in result.campaigns
        ),
    )


def _names_and_texts(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    return ((row.name, row.text) for row in rows)


def _tone(result: RunResult, boxes: Sequence[Box]) -> str:
    if is_fine(result) and result.campaigns:
        return "green"
    return min((box.tone for box in boxes), key=TONES.index, default="grey")


# --- one line per campaign


def _rows(result: RunResult) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return the lines of the campaigns, and those of the campaigns that share one.

    If there are many campaigns, and after a recheck, those without problems share a line.
    """
    rows = [_row(result, campaign) for campaign in result.campaigns if campaign.slug]
    fine = [row for row in rows if row.tone == "green"]
    if len(fine) < 2 or (result.action is not Action.RECHECK and len(rows) <= MAX_ROWS):  # noqa: PLR2004
        return tuple(rows), ()
    others = tuple(row for row in rows if row.tone != "green")
    which = "The other" if others else "All"
    shared = Row("green", _SIGNS["green"], f"{which} {len(fine)} campaigns", _shared(result))
    return (*others, shared), () if result.action is Action.RECHECK else tuple(fine)


def _shared(result: RunResult) -> str:
    if result.action is Action.RECHECK:
        return "still healthy"
    updated = sum(campaign.count(Result.UPDATED) for campaign in result.campaigns if campaign_is_fine(result, campaign))
    word = would_be(result, COUNTED_OF[result.action][Result.UPDATED])
    return f"{several(updated, 'ad set')} {word}" if updated else "no change"


def _row(result: RunResult, campaign: SyncReport) -> Row:
    tone = _tone_of(result, campaign)
    return Row(tone, _SIGNS[tone], line(campaign.campaign_name), "; ".join(_row_parts(result, campaign)))


def _tone_of(result: RunResult, campaign: SyncReport) -> str:
    if not campaign.success:
        return "red"
    if campaign.left_to or campaign.switched_off:
        return "grey"
    return "green" if campaign_is_fine(result, campaign) else "orange"


def _row_parts(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    if campaign.left_to:
        yield "left to another run"
        return
    if campaign.with_result(Result.UPDATED):
        yield from _changes(result, campaign)
    if problems := _problems(result, campaign):
        total, (word, count) = campaign.adsets_processed, next(iter(problems.items()))
        if campaign.with_result(Result.UPDATED):
            yield _counted(problems)
        elif len(problems) == 1:
            yield f"{_of_all(count, total)} {word}"
        else:
            yield f"of {total}: {_counted(problems)}"
    if end := _row_end(result, campaign):
        yield end
    if campaign.waiting:
        adds = [each.state for each in campaign.waiting if each.is_wanted]
        removes = [each.state for each in campaign.waiting if not each.is_wanted]
        yield f"waiting: {signs(adds, removes)}"
    if count := campaign.adsets_opted_out:
        yield f"{several(count, 'more ad set') if campaign.adsets_processed else _all(count)} {LEFT_ALONE}"


def _problems(result: RunResult, campaign: SyncReport) -> dict[str, int]:
    """Return the numbers of ad sets that are not as wanted, by label; unlisted ad sets include updated ones."""
    counted = COUNTED_OF[result.action]
    quiet = {Result.UNCHANGED, Result.ENDED, Result.OPTED_OUT} | ({Result.UPDATED} if campaign.adsets else set())
    found = Counter[str]()
    for each, count in reported_counts(result, campaign).items():
        if each not in quiet:
            found[would_be(result, counted[each])] += count
    return {word: found[word] for word in (would_be(result, each) for each in counted.values()) if found[word]}


def _counted(problems: Mapping[str, int]) -> str:
    """Return the first `MAX_PROBLEMS` counts, and how many more ad sets there are."""
    shown = [f"{count} {word}" for word, count in problems.items()][:MAX_PROBLEMS]
    more = sum([*problems.values()][MAX_PROBLEMS:])
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _row_end(result: RunResult, campaign: SyncReport) -> str:
    total = campaign.adsets_processed
    if campaign.switched_off:
        return _off(result, campaign)
    if is_empty(result, campaign):
        return "no active ad set"
    if campaign.campaign_errors:
        as_before = "" if campaign.still_open else ", its ads run as before"
        return "stopped" if total else f"not updated{as_before}"
    if campaign.refused:
        return "not updated, its ads run as before"
    if not campaign.count(*Result):
        return "no ad set to look at"
    return _unchanged(result, campaign) if total and campaign.count(Result.UNCHANGED) == total else ""


def _off(result: RunResult, campaign: SyncReport) -> str:
    off = next((switch for switch in result.switched_off if switch.slug == campaign.slug), None)
    return f"off {how_long(off, result)}" if off else "paused"


def _unchanged(result: RunResult, campaign: SyncReport) -> str:
    if result.action is Action.RECHECK:
        return f"{_all(campaign.adsets_processed)} still healthy"
    if result.action is Action.UNDO:
        return f"{_all(campaign.adsets_processed)} already as before"
    if campaign.waiting:
        return f"{_all(campaign.adsets_processed)}: no change"
    return f"{_all(campaign.adsets_processed)}: no change, {several(len(campaign.active_states), 'state')}"


def _all(count: int) -> str:
    return {1: "its ad set", 2: "both ad sets"}.get(count, f"all {count} ad sets")


def _of_all(count: int, total: int) -> str:
    return _all(count) if count == total else f"{count} of {several(total, 'ad set')}"


def _changes(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    """Yield each different change of a campaign once, with the number of ad sets."""
    groups = Counter(signs(adset.added, adset.removed) for adset in campaign.with_result(Result.UPDATED))
    for change, count in groups.most_common(_MAX_GROUPS):
        said = f"would {'get' if change else 'be'} " if result.dry_run else ""
        yield f"{_of_all(count, campaign.adsets_processed)}: {said}{change or 'changed'}"
    if others := sum(groups.values()) - sum(count for _, count in groups.most_common(_MAX_GROUPS)):
        yield f"{several(others, 'more ad set')} {would_be(result, 'updated')}"


# --- the details


def _sections(result: RunResult, *, is_short: bool) -> Iterator[Section]:
    """Yield the details of each campaign; if there are many, those without problems show only their drift."""
    for campaign in result.campaigns:
        name, drifts = line(campaign.campaign_name), tuple(_drifts(result, campaign))
        if not is_short and campaign_is_fine(result, campaign):
            if drifts:
                yield Section(name, drifts, None)
        elif facts := (*_facts(result, campaign), *drifts):
            yield Section(name, facts, _demand(result, campaign))


def _drifts(result: RunResult, campaign: SyncReport) -> Iterator[Fact]:
    """Yield the drift of ad sets: one fact for each actor and result."""
    groups: dict[tuple[str, Result | None], list[tuple[str, Drift]]] = {}
    for each, found in campaign.drifts:
        ended = each.result if isinstance(each, AdSetResult) else None
        # A superseded change has a box, which names the actor.
        if ended is not Result.SUPERSEDED and not (isinstance(each, Recovery) and each.state is ChangeState.SUPERSEDED):
            groups.setdefault((found.by, ended), []).append((line(each.name), found))
    for (_, ended), adsets in groups.items():
        drifts = [of for _, of in adsets]
        yield Fact(DRIFT, drift(result, names([name for name, _ in adsets]), len(adsets), drifts, ended))


def _facts(result: RunResult, campaign: SyncReport) -> Iterator[Fact]:
    if follows_demand(result, campaign) and not (campaign.switched_off and not campaign.active_states):
        yield from _state_facts(result, campaign)
        yield from _too_few_leads(campaign)
    if result.action is not Action.RECHECK:
        groups: dict[str, list[str]] = {}
        for adset in campaign.with_result(Result.UPDATED):
            groups.setdefault(signs(adset.added, adset.removed), []).append(line(adset.name))
        changed = campaign.with_result(Result.UPDATED)
        if len(groups) > 1 or len(changed) < campaign.adsets_processed:
            for change, of in groups.items():
                word = would_be(result, COUNTED_OF[result.action][Result.UPDATED]).capitalize()
                yield Fact(word, f"{names(of)} ({change})" if change else names(of))


def _state_facts(result: RunResult, campaign: SyncReport) -> Iterator[Fact]:
    """Yield two separate facts: the states wanted today, and the states targeted now."""
    wanted, running = frozenset(map(line, campaign.active_states)), _running(result, campaign)
    missing, extra = _gaps(result, campaign)
    unknown = names([line(adset.name) for adset in campaign.with_result(*UNCERTAIN)])
    if running == wanted and not (missing or extra or unknown):
        yield Fact(f"Wanted today and running now ({len(wanted)})", _codes(wanted))
        return
    if wanted:
        yield Fact(f"Wanted today ({len(wanted)})", _codes(wanted))
    elif running:
        yield Fact("Wanted today", "not known")
    if running is not None:
        yield Fact(f"Running now ({len(running)})", _codes(running))
    elif wanted and not unknown:
        yield Fact("Running now", "as before; this run did not look")
    for label, where in (("Wanted, not running yet", missing), ("Running, not wanted", extra)):
        if where and wanted and running:
            yield Fact(label, "; ".join(f"{_codes(codes)}{how_widely}" for how_widely, codes in where.items()))
    if unknown:
        yield Fact("Not known", f"the states of {unknown}")


def _too_few_leads(campaign: SyncReport) -> Iterator[Fact]:
    if campaign.below_min_demand:
        yield Fact(f"{TOO_FEW_LEADS} ({len(campaign.below_min_demand)})", _codes(map(line, campaign.below_min_demand)))


def _running(result: RunResult, campaign: SyncReport) -> frozenset[str] | None:
    """Return the states that any running ad set targets now; None if the run did not look at them."""
    adsets = [adset for adset in campaign.adsets if adset.result not in _NOT_RUNNING | UNCERTAIN]
    is_partial = campaign.campaign_errors or campaign.refused  # some may have been rolled back before that
    if is_partial and not adsets and campaign.with_result(*UNCERTAIN):
        return None
    if is_partial and not (adsets and campaign.states_before):
        return frozenset(map(line, campaign.states_before)) or None
    if not adsets:
        return None
    wanted = frozenset(map(line, campaign.active_states))
    return frozenset[str]().union(
        *((wanted - set(_missing(result, adset))) | set(_extra(result, adset)) for adset in adsets)
    )


def _missing(result: RunResult, adset: AdSetResult) -> tuple[str, ...]:
    planned = adset.added if result.dry_run and adset.result is Result.UPDATED else ()
    return tuple(map(line, (*planned, *adset.missing)))


def _extra(result: RunResult, adset: AdSetResult) -> tuple[str, ...]:
    planned = adset.removed if result.dry_run and adset.result is Result.UPDATED else ()
    return tuple(map(line, (*planned, *adset.extra)))


def _gaps(result: RunResult, campaign: SyncReport) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the wanted states that are not running, and the running ones that are not wanted, by share of ad sets."""
    adsets = [adset for adset in campaign.adsets if adset.result not in _NOT_RUNNING | UNCERTAIN]
    if not adsets:
        wanted, before = (frozenset(map(line, codes)) for codes in (campaign.active_states, campaign.states_before))
        return _by_share(wanted - before, 1), _by_share(before - wanted, 1)
    missing = (code for adset in adsets for code in _missing(result, adset))
    extra = (code for adset in adsets for code in _extra(result, adset))
    return _by_share(missing, len(adsets)), _by_share(extra, len(adsets))


def _by_share(codes: Iterable[str], total: int) -> dict[str, list[str]]:
    """Return the states by the share of ad sets in which they occur, as a text; it is empty for all ad sets."""
    shares: dict[str, list[str]] = {}
    for code, count in sorted(Counter(codes).items()):
        shares.setdefault("" if count == total else f" (in {count} of {total} ad sets)", []).append(code)
    return shares


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(sorted(codes))


def _demand(result: RunResult, campaign: SyncReport) -> Demand | None:
    """Return the demand for a map; None if there is little to show."""
    if not follows_demand(result, campaign) or not campaign.active_states or _running(result, campaign) is None:
        return None
    missing, extra = (frozenset(chain.from_iterable(where.values())) for where in _gaps(result, campaign))
    if len(missing | extra) < MIN_STATES_FOR_MAP:
        return None
    return Demand(frozenset(map(line, campaign.active_states)) - missing, missing, extra, has_map=True)


# --- the appendix


def _raw(result: RunResult, stage: str) -> Iterator[str]:
    """Yield the raw texts and ids behind the boxes."""
    if result.dry_run and any(campaign.count(Result.UPDATED) for campaign in result.campaigns):
        yield from filter(None, [plan_notice(one_line(result.plan_id, MAX_ID_CHARS), stage)])
    yield from filter(None, (token_notice(result.token_days_left), api_notice(result.api_days_left)))
    if reason := REASONS.get(result.reason):
        yield reason
    for campaign in result.campaigns:
        yield from _raw_campaign(result, campaign)
    yield from map(line, result.notices)
    if result.left_to:
        yield f"Left to run {one_line(result.left_to, MAX_ID_CHARS)}"


def _raw_campaign(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    name = line(campaign.campaign_name)
    for error in campaign.campaign_errors:
        yield f"{name}: {line(error)}"
    if campaign.refused:
        yield f"{name}: {line(campaign.refused)}"
    for recovery in campaign.recovered:
        run_id = one_line(recovery.run_id, MAX_ID_CHARS)
        became = f"{recovery.found} by run {run_id}, now {recovery.state}"
        yield f"{name} · {_named(recovery)}: {_with_issues(became, recovery.issues)}"
    yield from _raw_adsets(name, campaign)
    yield from _raw_drifts(name, campaign)
    if beyond := campaign.reaching_beyond:
        setting = "targeting_automation.individual_setting.geo is 1, so it may be shown outside its states"
        yield f"{name} · {', '.join(map(_named, beyond))}: {setting}"
    for pause in campaign.unexplained:
        ads = ", ".join(f"“{line(ad)}” ({one_line(ad_id, MAX_ID_CHARS)})" for ad_id, ad in pause.ads.items())
        yield f"{name} · {line(pause.adset_name)} ({one_line(pause.adset_id, MAX_ID_CHARS)}): off since {ads}"
    if campaign.left_to:
        yield f"{name}: left to run {one_line(campaign.left_to, MAX_ID_CHARS)}"
    if campaign.about_run:
        yield f"{name}: {result.action} of run {one_line(campaign.about_run, MAX_ID_CHARS)}"
    for pattern in campaign.unmatched_patterns:
        yield f"{name}: campaigns/{campaign.slug}/skip_adsets: no ad set that is on now matches “{line(pattern)}”"


def _raw_adsets(campaign: str, report: SyncReport) -> Iterator[str]:
    """Yield the raw texts of ad sets; ad sets with equal texts share a line."""
    groups: dict[tuple[str, tuple[str, ...]], list[AdSetResult]] = {}
    for adset in report.adsets:
        if adset.result not in QUIET or adset.issues:
            groups.setdefault((str(adset.result), adset.issues), []).append(adset)
    for (word, issues), adsets in groups.items():
        yield f"{campaign} · {', '.join(map(_named, adsets))}: {_with_issues(word, issues)}"


def _raw_drifts(campaign: str, report: SyncReport) -> Iterator[str]:
    """Yield the drift of ad sets; ad sets with equal drift share a line."""
    groups: dict[str, list[AdSetResult | Recovery]] = {}
    for each, found in report.drifts:
        what = f"{signs(found.added, found.removed)} by {line(found.by) or 'unknown'}".strip()
        groups.setdefault(what, []).append(each)
    for what, of in groups.items():
        yield f"{campaign} · {', '.join(map(_named, of))}: drift {what}"


def _named(of: AdSetResult | Recovery) -> str:
    return f"{line(of.name)} ({one_line(of.id, MAX_ID_CHARS)})"


def _with_issues(word: str, issues: Iterable[str]) -> str:
    return ": ".join(filter(None, (word, "; ".join(map(line, issues)))))


def _footer(result: RunResult, timezone: ZoneInfo) -> str:
    run_id = one_line(result.run_id, MAX_ID_CHARS)
    calls = several(result.graph.round_trips, "call")
    return f"Run {run_id} · {result.duration_ms / 1000:.1f} s · {calls} to Meta · {timezone.key}"
