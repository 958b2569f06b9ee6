"""The subject, the preview and the first sentence of a report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from closrads.redaction import one_line
from closrads.report.boxes import QUIET, is_all_opted_out, is_empty, reported_counts, stopped_by_switch
from closrads.report.content import Box, Item
from closrads.report.wording.adsets import RESTORE_FAILED
from closrads.report.wording.kinds import Who
from closrads.report.wording.phrases import day_of, of_several, several
from closrads.report.wording.plans import PLAN_PAUSED, PLAN_STALE_HEADLINE, PLAN_STALE_SUBJECT
from closrads.report.wording.summary import (
    ACTIONS,
    ALL_BUSY,
    ALL_LEFT_TO,
    AS_DEMANDED,
    COUNTED_OF,
    LOOK_NOW,
    NO_CAMPAIGN,
    NO_CHANGE,
    NOTHING,
    NOTHING_BEGUN,
    NOTHING_DONE,
    NOTHING_TO_DO,
    NOTHING_TODAY,
    TELL_OPERATOR,
    would_be,
)
from closrads.report.wording.switches import OFF_MIDWAY, PAUSED, how_long

MAX_OUTCOME_CHARS = 70
"""Maximum length of the outcome in a subject: about what a phone shows."""
MAX_PREVIEW_CHARS = 160
_MAX_NAMES = 2
"""Maximum number of names before “and N more”; a single further name is listed as well."""
_MAX_NAME_CHARS = 40
_MAX_SUBJECT_NAME_CHARS = 25
_NOT_COUNTED = frozenset({Result.UNCHANGED, Result.ENDED, Result.OPTED_OUT})


# --- the subject


def outcome(result: RunResult, boxes: Sequence[Box]) -> str:
    """Return the outcome for the subject, with its sign."""
    if result.left_to:
        return "✓ Left to another run"
    action = ACTIONS[result.action]
    if lost := _not_restored(result):
        return f"✗ NOT RESTORED in {names(lost, _MAX_SUBJECT_NAME_CHARS)}" + (f" ({action})" if action else "")
    prefix = f"{action}: " if action else ""
    if failed := [campaign.campaign_name for campaign in result.campaigns if not campaign.success]:
        return f"✗ {prefix}{names(failed, _MAX_SUBJECT_NAME_CHARS)} failed"
    if result.plan_refused:
        return f"⚠ {_short([PLAN_STALE_SUBJECT.capitalize()], list(_asides(result)))}"
    counts = [f"{count} {word}" for word, count in _counts(result, boxes).items()]
    if result.paused_since and result.is_paused:
        left = [PLAN_PAUSED] if result.is_plan_paused else []
        counts = [*left, PAUSED.format(day_of(result.paused_since, result)), *counts]
    elif off := _off_midway(result):
        counts = [f"{names([*off.values()], _MAX_SUBJECT_NAME_CHARS)} switched off", *counts]
    if needs := needs_you(boxes):
        counts = [needs, *counts]
    sign = "✓" if is_fine(result) else "⚠"
    nothing = NOTHING_DONE if _is_all_left(result) else NOTHING[result.action]
    return f"{sign} {prefix}{_short(counts or [nothing], list(_asides(result)))}"


def _short(counts: Sequence[str], asides: Sequence[str]) -> str:
    """Return the counts and asides, truncated to the first of them if they exceed `MAX_OUTCOME_CHARS`."""
    for number in range(len(asides), -1, -1):
        text = "; ".join([", ".join(counts), *asides[:number]]) + (" and more" if number < len(asides) else "")
        if len(text) <= MAX_OUTCOME_CHARS:
            return text
    shown = list(counts)
    while len(shown) > 1 and len(", ".join(shown)) + len(" and more") > MAX_OUTCOME_CHARS:
        shown.pop()
    return f"{', '.join(shown)} and more"


def names(all_names: Sequence[str], max_chars: int = _MAX_NAME_CHARS) -> str:
    """Return the first of several names, and how many more there are."""
    count = _MAX_NAMES if len(all_names) > _MAX_NAMES + 1 else len(all_names)
    shown = ", ".join(one_line(name, max_chars) for name in all_names[:count])
    return f"{shown} and {len(all_names) - count} more" if len(all_names) > count else shown


def needs_you(boxes: Iterable[Box]) -> str:
    """Return how many things need the reader; empty if none does."""
    items = [item for box in boxes if _is_yours(box) for item in box.items]
    count = sum(item.count for item in items)
    nouns = {item.noun for item in items}
    campaigns = [name for item in items for name in item.campaign.split(", ")]
    if len(nouns) > 1 or (nouns == {"campaign"} and len(set(campaigns)) < len(campaigns)):
        nouns = {"thing"}  # also for several items about one campaign
    noun = "".join(nouns)
    return f"{several(count, noun)} need{'s' if count == 1 else ''} you" if count else ""


def _is_yours(box: Box) -> bool:
    return box.who == Who.YOU


def _counts(result: RunResult, boxes: Sequence[Box]) -> dict[str, int]:
    """Return the counts of the whole run by label, without ad sets that are fine or already counted as needing you."""
    counted = COUNTED_OF[result.action]
    elsewhere = _COUNTED_AS_NEEDS if needs_you(boxes) else frozenset[Result]()
    found: Counter[str] = Counter()
    for campaign in result.campaigns:
        for each, count in reported_counts(result, campaign).items():
            if each not in _NOT_COUNTED | elsewhere:
                found[counted[each]] += count
    return {would_be(result, word): found[word] for word in counted.values() if found[word]}


_COUNTED_AS_NEEDS = frozenset(
    {
        Result.SKIPPED_PREFLIGHT, Result.FAILED, Result.SUPERSEDED, Result.UNVERIFIED, Result.ROLLBACK_FAILED,
        Result.NOT_ACTIVE, Result.NEEDS_ATTENTION,
    }
)  # fmt: skip
"""Results that are not counted again if the subject says that something needs the reader."""


def _asides(result: RunResult) -> Iterator[str]:
    """Yield the facts that are not about this run's own changes."""
    recovered = [recovery.state.is_open for campaign in result.campaigns for recovery in campaign.recovered]
    for is_open, word in ((False, "finished for"), (True, "open from")):
        if is_open in recovered:
            yield f"{recovered.count(is_open)} {word} an earlier run"
    if left := [campaign.campaign_name for campaign in result.campaigns if campaign.left_to]:
        yield f"left to another run: {names(left)}"
    if result.paused_since and not result.is_paused:
        yield PAUSED.format(day_of(result.paused_since, result))
    off = [switch for switch in result.switched_off if switch.slug and switch.slug not in _off_midway(result)]
    if len(off) <= _MAX_NAMES:
        yield from (f"off: {one_line(each.name, _MAX_NAME_CHARS)}, {how_long(each, result)}" for each in off)
    else:
        yield f"off: {names([each.name for each in off])}"


def _off_midway(result: RunResult) -> dict[str, str]:
    """Return the names of the campaigns that were switched off before a sync had finished them, by slug."""
    return {each.slug: each.campaign_name for each in result.campaigns if stopped_by_switch(result, each)}


# --- the first sentence


def headline(result: RunResult, boxes: Sequence[Box]) -> str:
    """Return a sentence that says whether the reader must do something, and what."""
    yours = [box for box in boxes if _is_yours(box)]
    if lost := next((box for box in yours if box.title == RESTORE_FAILED.title), None):
        return LOOK_NOW.format(_first_of(lost, yours))
    if result.plan_refused and not result.has_failed:
        also = f" {needs_you(yours)}: {_first_of(yours[0], yours)}." if yours else ""
        return PLAN_STALE_HEADLINE + also
    if yours:
        return f"{needs_you(yours)}: {_first_of(yours[0], yours)}."
    others = [box for box in boxes if box.who]
    if others and others[0].tone == "red":
        return TELL_OPERATOR.format(_first_of(others[0], others))
    if boxes and result.has_failed:
        return NOTHING_TODAY.format(_first_of(boxes[0], boxes[:1]))
    return _nothing_to_do(result)


def _about(item: Item) -> str:
    if not item.links:
        return f"{item.campaign} {item.text}"
    name = one_line(item.links[0].name, _MAX_NAME_CHARS)
    return f"{name} ({one_line(item.campaign, _MAX_NAME_CHARS)}) {item.text}"


def _first_of(box: Box, boxes: Sequence[Box]) -> str:
    """Return the text of a box's first item; if there are others in these boxes, it is brief and gives their number."""
    first = box.items[0]
    rest = sum(item.count for each in boxes for item in each.items) - (1 if first.links else first.count)
    brief = replace(first, text=first.text.partition(": ")[0])
    return f"{_about(brief)}, and {rest} more" if rest else _about(first)


def _nothing_to_do(result: RunResult) -> str:
    if result.left_to:
        return ALL_LEFT_TO
    counts = _counts(result, ())
    (word, count), *others = counts.items() or [("", 0)]
    said = ", ".join([f"{several(count, 'ad set')} {word}", *(f"{number} {each}" for each, number in others)])
    if result.paused_since and result.is_paused:
        so = f", so the {PLAN_PAUSED}" if result.is_plan_paused else ""
        paused = f"CLOSRADS has been {PAUSED.format(day_of(result.paused_since, result))}{so}"
        return f"{paused}: {said if counts else NOTHING_BEGUN}."
    if off := _off_midway(result):
        return f"{names([*off.values()])} {OFF_MIDWAY if len(off) == 1 else of_several(OFF_MIDWAY)}: {said}."
    if not result.campaigns:
        return NO_CAMPAIGN
    if _is_all_left(result):
        return ALL_BUSY
    return NOTHING_TO_DO.format(said if counts else _quiet(result))


def _is_all_left(result: RunResult) -> bool:
    """Return whether every campaign that is switched on was left to another run."""
    on = [campaign for campaign in result.campaigns if not campaign.switched_off]
    return bool(on) and all(campaign.left_to for campaign in on)


def _quiet(result: RunResult) -> str:
    if result.action is not Action.SYNC:
        return f"there was {NOTHING[result.action]}"
    left = [each for each in result.campaigns if each.left_to or each.switched_off or each.adsets_opted_out]
    is_waiting = any(campaign.waiting for campaign in result.campaigns)
    if left or is_waiting or not is_fine(result):
        return NO_CHANGE
    return AS_DEMANDED


def preview(result: RunResult, boxes: Sequence[Box], rows: Iterable[tuple[str, str]]) -> str:
    """Return the most useful facts after the subject: what needs a person, or else the rows of the campaigns."""
    needs = [_about(item) for box in boxes if box.who for item in box.items]
    return " · ".join(needs or [f"{name}: {text}" for name, text in rows] or [headline(result, boxes)])


# --- what is fine


def is_fine(result: RunResult) -> bool:
    """Return whether everything runs as it should: only then is the report green."""
    if result.notices or result.switched_off or not result.success or _is_all_left(result):
        return False
    return (result.dry_run or not _only_deferred(result)) and all(
        campaign_is_fine(result, campaign) for campaign in result.campaigns
    )


def _only_deferred(result: RunResult) -> bool:
    """Return whether a live sync had ad sets to change and had to defer all of them."""
    found = {adset.result for campaign in result.campaigns for adset in campaign.adsets}
    return result.action is Action.SYNC and Result.DEFERRED in found and Result.UPDATED not in found


def campaign_is_fine(result: RunResult, campaign: SyncReport) -> bool:
    """Return whether a campaign runs as it should, or will after the next run."""
    calm = {*QUIET, Result.ENDED, Result.OPTED_OUT} | ({Result.DEFERRED} if result.action is Action.SYNC else set())
    noteworthy = (
        campaign.unmapped_states
        or campaign.refused
        or campaign.recovered
        or campaign.unexplained
        or campaign.switched_off
        or (campaign.left_to and result.action is not Action.SYNC)
        or is_empty(result, campaign)
        or campaign.reaching_beyond
        or is_all_opted_out(result, campaign)
    )
    return (
        campaign.success
        and not noteworthy
        and all(adset.result in calm and not _is_noted(adset) for adset in campaign.adsets)
    )


def _is_noted(adset: AdSetResult) -> bool:
    """Return whether an ad set is as wanted, but has an issue."""
    return adset.result in QUIET and bool(adset.issues)


def _not_restored(result: RunResult) -> list[str]:
    """Return the names of the campaigns with a failed rollback, in this run or still open from an earlier one."""
    return [
        campaign.campaign_name
        for campaign in result.campaigns
        if campaign.count(Result.ROLLBACK_FAILED)
        or any(recovery.state is ChangeState.ROLLBACK_FAILED for recovery in campaign.recovered)
    ]
