"""The subject, the preview and the headline of a report."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import AdSetResult, Recovery, Result, RunResult, SyncReport
from closrads.redaction import MAX_ERROR_CHARS, one_line
from closrads.report.content import Box, Entry
from closrads.report.wording import (
    DEAD_TOKEN,
    PAUSED,
    PAUSED_TITLE,
    WORDINGS,
    day_of,
    enumerated,
    how_long,
    would_be,
)

MAX_OUTCOME_CHARS = 70
"""Maximum length of the outcome in a subject: about what a phone shows."""
MAX_PREVIEW_CHARS = 160
_QUIET = frozenset({Result.UPDATED, Result.UNCHANGED})
_NOT_RUNNING = frozenset({Result.NOT_ACTIVE, Result.ENDED})
_TOKEN_IS_DEAD = re.compile(r"\[Meta 190[]/]")
_MAX_NAMES = 2
"""Maximum number of names before “and N more”; a single further name is listed as well."""
_MAX_NAME_CHARS = 40
_MAX_SUBJECT_NAME_CHARS = 25
_MAX_ID_CHARS = 60


# --- subject, preview, headline


def _outcome(result: RunResult) -> str:
    if result.left_to:
        return "left to another run"
    action = WORDINGS[result.action].name
    if failed_rollbacks := _campaigns_with_failed_rollback(result):
        return f"✗ ROLLBACK FAILED in {_names(failed_rollbacks, _MAX_SUBJECT_NAME_CHARS)}" + (
            f" ({action})" if action else ""
        )
    prefix = f"{action}: " if action else ""
    if failed := _failed(result):
        return f"✗ {prefix}{_names(failed, _MAX_SUBJECT_NAME_CHARS)} failed"
    counts = [f"{count} {word}" for word, count in _change_counts(result).items()]
    if result.paused_since and result.is_paused:
        counts = [PAUSED.format(day_of(result.paused_since, result)), *counts]
    counts = counts or [WORDINGS[result.action].nothing]
    warns = _has_warnings(_without_deferred(result)) or _only_deferred(result) or _empty_campaigns(result)
    sign = "⚠" if warns else "✓"
    return f"{sign} {prefix}{_short(counts, list(_secondary_facts(result)))}"


def _short(counts: Sequence[str], asides: Sequence[str]) -> str:
    """Return the counts and asides, truncated to the first counts if they exceed `MAX_OUTCOME_CHARS`."""
    whole = "; ".join([", ".join(counts), *asides])
    if len(whole) <= MAX_OUTCOME_CHARS:
        return whole
    shown = list(counts)
    while len(shown) > 1 and len(", ".join(shown)) + len(" and more") > MAX_OUTCOME_CHARS:
        shown.pop()
    return f"{', '.join(shown)} and more"


def _names(names: Sequence[str], max_chars: int = _MAX_NAME_CHARS) -> str:
    """Return the first of several names, and how many more there are."""
    count = _MAX_NAMES if len(names) > _MAX_NAMES + 1 else len(names)
    shown = ", ".join(one_line(name, max_chars) for name in names[:count])
    return f"{shown} and {len(names) - count} more" if len(names) > count else shown


def _preview(result: RunResult, boxes: Iterable[Box]) -> str:
    """Return the most useful facts after the outcome: problems, else changes, else the number of active states."""
    if result.left_to:
        return f"Nothing to do: run {result.left_to} reports on it"
    problems = [
        f"{_about(entry)}: {entry.lines[0] if entry.lines else entry.label}"
        for box in boxes
        if box.tone in {"red", "orange"}
        for entry in box.entries
    ]
    changes = [
        f"{campaign.campaign_name} {signs}" for campaign in result.campaigns if (signs := _changes(result, campaign))
    ]
    waiting = [
        f"{campaign.campaign_name}: {_adsets(len(deferred))} {WORDINGS[result.action].counted[Result.DEFERRED]}"
        for campaign in result.campaigns
        if (deferred := campaign.with_result(Result.DEFERRED))
    ]
    states = [
        f"{campaign.campaign_name} {len(campaign.active_states)} states"
        for campaign in result.campaigns
        if _follows_demand(result, campaign)
    ]
    names = [campaign.campaign_name for campaign in result.campaigns]
    return " · ".join(problems or [*changes, *waiting] or states or names)


def _about(entry: Entry) -> str:
    if entry.count == 1:
        return f"{entry.campaign} · {entry.adsets[0].name}"
    return f"{entry.campaign}, {_adsets(entry.count)}" if entry.count else entry.campaign


def _changes(result: RunResult, campaign: SyncReport) -> str:
    """Return the states that were, or would be, added to and removed from a campaign's ad sets, with their signs."""
    if result.action is Action.RECHECK:
        return ""
    updated = campaign.with_result(Result.UPDATED)
    signs = {f"+{code}" for adset in updated for code in adset.added}
    return " ".join(sorted(signs | {f"−{code}" for adset in updated for code in adset.removed}))


def _headline(result: RunResult) -> str:
    if result.left_to:
        run_id = one_line(result.left_to, _MAX_ID_CHARS)
        return f"Everything was left to run {run_id}, which is at work on it or has done it."
    if not (result.campaigns or result.paused_since):
        return "No campaign is switched on, so nothing was done."
    action = WORDINGS[result.action].name
    of = f"{action.capitalize()} of " if action else ""
    failed, facts = _failed(result), [_counts_sentence(result), *_secondary_facts(result)]
    if failed and not any(campaign.adsets for campaign in result.campaigns):
        facts = facts[1:]
    if failed_rollbacks := _campaigns_with_failed_rollback(result):
        lead, sign = f"ROLLBACK FAILED in {_names(failed_rollbacks)}: look at it in Ads Manager now", "; "
    elif failed:
        lead, sign = f"{of}{_names(failed)} had errors{_why(result)}", "; "
    else:
        mine = [campaign.campaign_name for campaign in result.campaigns if not campaign.left_to]
        everyone = len(mine) == len(result.campaigns) > 1
        lead, sign = f"{of}{('all campaigns' if of else 'All campaigns') if everyone else _names(mine)} ran", ": "
    if result.paused_since and result.is_paused and not failed:
        lead, sign = PAUSED_TITLE.format(day_of(result.paused_since, result)), "; "
        facts = [_counts_sentence(result)] * bool(_change_counts(result)) + list(_secondary_facts(result))
    return f"{sign.join([lead, '; '.join(facts)]) if facts else lead}."


def _why(result: RunResult) -> str:
    """Return the reason for the errors in parentheses, if all errors share one that a client understands."""
    errors = [error for campaign in result.campaigns for error in campaign.errors]
    return f" ({DEAD_TOKEN})" if all(map(_TOKEN_IS_DEAD.search, errors)) else ""


def _counts_sentence(result: RunResult) -> str:
    """Return the counts of the whole run as a clause of a sentence."""
    if not (counts := _change_counts(result)):
        return WORDINGS[result.action].nothing
    (word, count), *others = counts.items()
    return ", ".join([f"{_adsets(count)} {word}", *(f"{count} {word}" for word, count in others)])


def _adsets(count: int) -> str:
    return f"{count} ad set{'' if count == 1 else 's'}"


def _secondary_facts(result: RunResult) -> Iterator[str]:
    """Yield the facts that are not about this run's own changes."""
    recovered = [recovery.state.is_open for campaign in result.campaigns for recovery in campaign.recovered]
    for is_open, word in ((False, "recovered"), (True, "open")):
        if is_open in recovered:
            yield f"{recovered.count(is_open)} {word} from an earlier run"
    if left := [campaign.campaign_name for campaign in result.campaigns if campaign.left_to]:
        yield f"left to another run: {_names(left)}"
    if result.paused_since and not result.is_paused:
        yield PAUSED.format(day_of(result.paused_since, result))
    off = [switch for switch in result.switched_off if switch.slug]
    if len(off) <= _MAX_NAMES:
        yield from (f"off: {one_line(each.name, _MAX_NAME_CHARS)}, {how_long(each, result)}" for each in off)
    else:
        yield f"off: {_names([each.name for each in off])}"


# --- results and counts


def _campaigns_with_failed_rollback(result: RunResult) -> list[str]:
    """Return the names of the campaigns with a failed rollback, in this run or still open from an earlier one."""
    return [
        campaign.campaign_name
        for campaign in result.campaigns
        if campaign.with_result(Result.ROLLBACK_FAILED) or any(map(_is_failed_rollback, campaign.recovered))
    ]


def _is_failed_rollback(recovery: Recovery) -> bool:
    return recovery.state is ChangeState.ROLLBACK_FAILED


def _failed(result: RunResult) -> list[str]:
    return [campaign.campaign_name for campaign in result.campaigns if not campaign.success]


def _without_deferred(result: RunResult) -> RunResult:
    """Return a sync without the ad sets and campaigns that another run handles, which need no attention."""
    if result.action is not Action.SYNC:
        return result
    campaigns = (
        replace(
            campaign, left_to="", adsets=tuple(each for each in campaign.adsets if each.result is not Result.DEFERRED)
        )
        for campaign in result.campaigns
    )
    return replace(result, campaigns=tuple(campaigns))


def _only_deferred(result: RunResult) -> bool:
    """Return whether a live sync had ad sets to change and had to leave all of them for the next run."""
    found = {adset.result for campaign in result.campaigns for adset in campaign.adsets}
    is_live_sync = result.action is Action.SYNC and not result.dry_run
    return is_live_sync and Result.DEFERRED in found and Result.UPDATED not in found


def _has_warnings(result: RunResult) -> bool:
    return bool(result.notices or result.switched_off) or any(
        campaign.unmapped_states
        or campaign.recovered
        or campaign.unexplained
        or campaign.left_to
        or campaign.switched_off
        or any(adset.result not in {*_QUIET, Result.ENDED} or _note_label(result, adset) for adset in campaign.adsets)
        for campaign in result.campaigns
    )


def _change_counts(result: RunResult) -> dict[str, int]:
    """Return the counts of the whole run, without unchanged and ended ad sets."""
    counts = _counts(result, [adset for campaign in result.campaigns for adset in campaign.adsets])
    for outcome in (Result.UNCHANGED, Result.ENDED):
        counts.pop(WORDINGS[result.action].counted[outcome], None)
    return counts


def _counts(result: RunResult, adsets: Iterable[AdSetResult]) -> dict[str, int]:
    """Return the number of ad sets by label, the most important labels first."""
    wording = WORDINGS[result.action]
    words = Counter(_note_label(result, adset) or wording.counted[adset.result] for adset in adsets)
    return {would_be(result, word): words[word] for word in (*wording.counted.values(), wording.noted) if words[word]}


def _note_label(result: RunResult, adset: AdSetResult) -> str:
    return WORDINGS[result.action].noted if adset.issues and adset.result in _QUIET else ""


def _label(result: RunResult, adset: AdSetResult) -> str:
    return _note_label(result, adset) or would_be(result, WORDINGS[result.action].labels[adset.result])


def _counted(result: RunResult, campaigns: Iterable[SyncReport]) -> str:
    """Return the number of ad sets, and the counts that are always shown or not zero."""
    wording = WORDINGS[result.action]
    adsets = [adset for campaign in campaigns for adset in campaign.adsets if adset.result not in _NOT_RUNNING]
    counts = {would_be(result, wording.counted[outcome]): 0 for outcome in wording.always} | _counts(result, adsets)
    in_full = {wording.counted[Result.SKIPPED_PREFLIGHT]: wording.labels[Result.SKIPPED_PREFLIGHT]}
    return f"{_adsets(len(adsets))}: {enumerated({in_full.get(word, word): n for word, n in counts.items()})}"


def _empty_campaigns(result: RunResult) -> list[SyncReport]:
    """Return the campaigns that are to follow demand and have no ad set that could, now or later."""
    return [
        campaign
        for campaign in result.campaigns
        if _follows_demand(result, campaign)
        and not (campaign.switched_off or campaign.campaign_errors)
        and campaign.count(*Result) == campaign.adsets_ended
    ]


def _follows_demand(result: RunResult, campaign: SyncReport) -> bool:
    return result.action is Action.SYNC and not campaign.left_to


def _redacted_line(text: str) -> str:
    return one_line(text, MAX_ERROR_CHARS)
