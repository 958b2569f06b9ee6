"""PURE: `RunResult` → all there is to tell of it, in order; how much of that a mail has room for is `report_fold`'s.

Every text of somebody else's in here is one line without secrets, so it may be cut.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from closrads.errors import LONGEST_ERROR, plain
from closrads.model import Action, AdSetResult, ChangeState, Recovery, Result, RunResult, SyncReport
from closrads.report_words import (
    DEAD_TOKEN,
    DONE,
    HAD_BEEN_SET,
    LIFTED,
    LOUDEST,
    NOT_CERTAIN,
    NOT_CHANGED,
    RECOVERY_LABELS,
    RENEW_TOKEN,
    WORDINGS,
    Kind,
)

LONGEST_OUTCOME = 70
"""Of a subject: what a phone shows, or not much more."""
LONGEST_PREVIEW = 160
FEW = 8
"""Campaigns of which each has a section of its own, changed or not."""

_QUIET = frozenset({Result.UPDATED, Result.UNCHANGED})
_UNCERTAIN = frozenset({Result.ROLLBACK_FAILED, Result.UNVERIFIED, Result.SUPERSEDED})
_STATUS_WORDS = {": WITH_ISSUES: ": ": ", ": DISAPPROVED: ": ": disapproved: "}
"""Meta's, where it says in words as well what is wrong."""
_TOKEN_IS_DEAD = re.compile(r"\[Meta 190[]/]")
_REFUSED_OBJECT = re.compile(r"(?<=Meta refuses )\S+(?=: )")
_TONES = ("red", "orange", "grey", "green")
_NAMED = 2
"""So many names stand in a sentence, and one more if it is the last; the others are counted."""
_LONGEST_NAMED = 40
_LONGEST_IN_SUBJECT = 25
_LONGEST_ID = 60


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
class Story:
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


def story_of(result: RunResult, timezone: ZoneInfo) -> Story:
    """Return all there is to tell about a run; dates are in `timezone`."""
    local = result.started_at.astimezone(timezone)
    day = f"{local:%a} {local.day} {local:%b}"
    boxes = tuple(sorted(_boxes(result), key=lambda box: _TONES.index(box.tone)))
    sections = [_section(result, campaign) for campaign in result.campaigns]
    many = len(sections) > FEW
    return Story(
        subject=f"{'[DRY RUN] ' if result.dry_run else ''}CLOSRADS {_outcome(result)} · {day}",
        preview=plain(_preview(result, boxes), LONGEST_PREVIEW),
        dry_run=result.dry_run,
        headline=_headline(result),
        date=f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({timezone.key})",
        lifted="; ".join(LIFTED.get(limit, limit) for limit in sorted(result.force)),
        totals=f"{len(sections)} campaigns, {_counted(result, result.campaigns)}" if many else "",
        boxes=boxes,
        sections=tuple(section for section in sections if section.listings or not many),
        rows=tuple(section for section in sections if many and not section.listings),
        more_rows=0,
        foot=f"Run {plain(result.run_id, _LONGEST_ID)} · {result.duration_ms / 1000:.1f} s · "
        f"{result.graph.round_trips} call{'' if result.graph.round_trips == 1 else 's'} to Meta",
    )


# --- the first words


def _outcome(result: RunResult) -> str:
    if result.left_to:
        return "left to another run"
    action = WORDINGS[result.action].name
    if stuck := _stuck(result):
        return f"✗ ROLLBACK FAILED in {_names(stuck, _LONGEST_IN_SUBJECT)}" + (f" ({action})" if action else "")
    prefix = f"{action}: " if action else ""
    if failed := _failed(result):
        return f"✗ {prefix}{_names(failed, _LONGEST_IN_SUBJECT)} failed"
    counts = [f"{count} {word}" for word, count in _news(result).items()] or [WORDINGS[result.action].nothing]
    return f"{'⚠' if _troubled(_without_what_waits(result)) else '✓'} {prefix}{_short(counts, list(_asides(result)))}"


def _short(counts: Sequence[str], asides: Sequence[str]) -> str:
    """Return the most important of it, as much as a subject has room for."""
    whole = "; ".join([", ".join(counts), *asides])
    if len(whole) <= LONGEST_OUTCOME:
        return whole
    shown = list(counts)
    while len(shown) > 1 and len(", ".join(shown)) + len(" and more") > LONGEST_OUTCOME:
        shown.pop()
    return f"{', '.join(shown)} and more"


def _names(names: Sequence[str], longest: int = _LONGEST_NAMED) -> str:
    """Return the first of many names, and how many more there are."""
    most = _NAMED if len(names) > _NAMED + 1 else len(names)
    shown = ", ".join(plain(name, longest) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _preview(result: RunResult, boxes: Iterable[Box]) -> str:
    """Return the next most useful thing after the outcome: what is in trouble, or else what changed, or what is."""
    if result.left_to:
        return f"Nothing to do: run {result.left_to} reports on it"
    troubles = [
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
    return " · ".join(troubles or [*changes, *waiting] or states or names)


def _about(entry: Entry) -> str:
    if entry.count == 1:
        return f"{entry.campaign} · {entry.adsets[0].name}"
    return f"{entry.campaign}, {_adsets(entry.count)}" if entry.count else entry.campaign


def _changes(result: RunResult, campaign: SyncReport) -> str:
    """Return the states that ad sets of a campaign have newly or no longer, or would have."""
    if result.action is Action.RECHECK:
        return ""
    updated = campaign.with_result(Result.UPDATED)
    signs = {f"+{code}" for adset in updated for code in adset.added}
    return " ".join(sorted(signs | {f"−{code}" for adset in updated for code in adset.removed}))


def _headline(result: RunResult) -> str:
    if result.left_to:
        run_id = plain(result.left_to, _LONGEST_ID)
        return f"Everything was left to run {run_id}, which is at work on it or has done it."
    if not result.campaigns:
        return "No campaign is switched on, so nothing was done."
    action = WORDINGS[result.action].name
    of = f"{action.capitalize()} of " if action else ""
    failed, told = _failed(result), [_told(result), *_asides(result)]
    if failed and not any(campaign.adsets for campaign in result.campaigns):
        told = told[1:]
    if stuck := _stuck(result):
        lead, sign = f"ROLLBACK FAILED in {_names(stuck)}: look at it in Ads Manager now", "; "
    elif failed:
        lead, sign = f"{of}{_names(failed)} had errors{_why(result)}", "; "
    else:
        mine = [campaign.campaign_name for campaign in result.campaigns if not campaign.left_to]
        everyone = len(mine) == len(result.campaigns) > 1
        lead, sign = f"{of}{('all campaigns' if of else 'All campaigns') if everyone else _names(mine)} ran", ": "
    return f"{sign.join([lead, '; '.join(told)]) if told else lead}."


def _why(result: RunResult) -> str:
    """Return the reason for the errors as part of a sentence, if it is one that everybody can be told."""
    errors = [error for campaign in result.campaigns for error in campaign.errors]
    return f" ({DEAD_TOKEN})" if all(map(_TOKEN_IS_DEAD.search, errors)) else ""


def _told(result: RunResult) -> str:
    """Return the counts of the whole run as part of a sentence."""
    if not (counts := _news(result)):
        return WORDINGS[result.action].nothing
    (word, count), *others = counts.items()
    return ", ".join([f"{_adsets(count)} {word}", *(f"{count} {word}" for word, count in others)])


def _adsets(count: int) -> str:
    return f"{count} ad set{'' if count == 1 else 's'}"


def _asides(result: RunResult) -> Iterator[str]:
    """Yield what there is to tell beside the ad sets of this run."""
    recovered = [recovery.state.is_open for campaign in result.campaigns for recovery in campaign.recovered]
    for is_open, word in ((False, "recovered"), (True, "open")):
        if is_open in recovered:
            yield f"{recovered.count(is_open)} {word} from an earlier run"
    if left := [campaign.campaign_name for campaign in result.campaigns if campaign.left_to]:
        yield f"left to another run: {_names(left)}"


# --- what became of it


def _stuck(result: RunResult) -> list[str]:
    """Return the campaigns with a rollback that failed, in this run or in an earlier one and is still open."""
    return [
        campaign.campaign_name
        for campaign in result.campaigns
        if campaign.with_result(Result.ROLLBACK_FAILED) or any(map(_is_stuck, campaign.recovered))
    ]


def _is_stuck(recovery: Recovery) -> bool:
    return recovery.state is ChangeState.ROLLBACK_FAILED


def _failed(result: RunResult) -> list[str]:
    return [campaign.campaign_name for campaign in result.campaigns if not campaign.success]


def _without_what_waits(result: RunResult) -> RunResult:
    """Return a sync without what another run does by itself: nobody has to see to it."""
    if result.action is not Action.SYNC:
        return result
    campaigns = (
        replace(
            campaign, left_to="", adsets=tuple(each for each in campaign.adsets if each.result is not Result.DEFERRED)
        )
        for campaign in result.campaigns
    )
    return replace(result, campaigns=tuple(campaigns))


def _troubled(result: RunResult) -> bool:
    return any(
        campaign.unmapped_states
        or campaign.recovered
        or campaign.left_to
        or any(adset.result not in _QUIET or _noted(result, adset) for adset in campaign.adsets)
        for campaign in result.campaigns
    )


def _news(result: RunResult) -> dict[str, int]:
    """Return the counts of the whole run, without what stayed as it was."""
    counts = _counts(result, [adset for campaign in result.campaigns for adset in campaign.adsets])
    counts.pop(WORDINGS[result.action].counted[Result.UNCHANGED], None)
    return counts


def _counts(result: RunResult, adsets: Iterable[AdSetResult]) -> dict[str, int]:
    """Return how many ad sets there are of each kind, those first that a reader must not miss."""
    wording = WORDINGS[result.action]
    words = Counter(_noted(result, adset) or wording.counted[adset.result] for adset in adsets)
    return {_would(result, word): words[word] for word in (*wording.counted.values(), wording.noted) if words[word]}


def _noted(result: RunResult, adset: AdSetResult) -> str:
    return WORDINGS[result.action].noted if adset.issues and adset.result in _QUIET else ""


def _would(result: RunResult, word: str) -> str:
    return f"would be {word}" if result.dry_run and word in DONE else word


def _label(result: RunResult, adset: AdSetResult) -> str:
    return _noted(result, adset) or _would(result, WORDINGS[result.action].labels[adset.result])


def _enumerated(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _counted(result: RunResult, campaigns: Iterable[SyncReport]) -> str:
    """Return the counts that everybody looks for, and the others where there is something to count."""
    wording = WORDINGS[result.action]
    adsets = [adset for campaign in campaigns for adset in campaign.adsets if adset.result is not Result.NOT_ACTIVE]
    counts = {_would(result, wording.counted[outcome]): 0 for outcome in wording.always} | _counts(result, adsets)
    in_full = {wording.counted[Result.SKIPPED_PREFLIGHT]: wording.labels[Result.SKIPPED_PREFLIGHT]}
    return f"{_adsets(len(adsets))}: {_enumerated({in_full.get(word, word): n for word, n in counts.items()})}"


# --- the boxes


def _boxes(result: RunResult) -> Iterator[Box]:
    yield from _loudest(result)
    if aborted := _of_failed_campaigns(result):
        advice = "See to the reason below. What had not begun was left as it was, and the next run tries again."
        yield Box("red", "Campaigns with errors", advice, aborted)
    yield from _recovered(result)
    for kind in WORDINGS[result.action].kinds:
        if entries := _entries(result, kind):
            yield Box(kind.tone, kind.title, kind.advice, entries)
    if unmapped := _of_campaigns(result, lambda c: [", ".join(c.unmapped_states)] if c.unmapped_states else []):
        advice = (
            "CLOSRTECH named these; Meta has no region for them, so they were left out. Ask CLOSRTECH what is meant."
        )
        yield Box("orange", "Unknown states", advice, unmapped)
    if left := _of_campaigns(result, lambda c: [f"Left to run {c.left_to}"] if c.left_to else []):
        advice = "That run is at work on them, or died less than a quarter of an hour ago: this one left them alone."
        yield Box("grey", "Left to another run", advice, left)
    if result.campaigns and result.success and not _troubled(result):
        action = WORDINGS[result.action].name
        yield Box("green", f"{f'The {action}' if action else 'All campaigns'} ran without issues", "")


def _of_campaigns(result: RunResult, lines: Callable[[SyncReport], Sequence[str]]) -> tuple[Entry, ...]:
    """Return an entry for each campaign of which there is something to say."""
    return tuple(
        Entry(_plain(campaign.campaign_name), "", told)
        for campaign in result.campaigns
        if (told := tuple(map(_plain, lines(campaign))))
    )


def _of_failed_campaigns(result: RunResult) -> tuple[Entry, ...]:
    """Return the reasons; one that several campaigns share is told once, whatever it was that Meta refused."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in _of_campaigns(result, lambda c: c.campaign_errors):
        groups.setdefault(tuple(_REFUSED_OBJECT.sub("it", line) for line in entry.lines), []).append(entry)
    return tuple(
        Entry(
            _plain(", ".join(entry.campaign for entry in entries)),
            "",
            _with_remedy(common if len(entries) > 1 else entries[0].lines),
        )
        for common, entries in groups.items()
    )


def _with_remedy(lines: tuple[str, ...]) -> tuple[str, ...]:
    return (RENEW_TOKEN, *lines) if any(map(_TOKEN_IS_DEAD.search, lines)) else lines


def _loudest(result: RunResult) -> Iterator[Box]:
    before = tuple(
        _entry(campaign, recovery, f"rollback of run {plain(recovery.run_id, _LONGEST_ID)} failed")
        for campaign in result.campaigns
        for recovery in campaign.recovered
        if _is_stuck(recovery)
    )
    if entries := (*_entries(result, LOUDEST), *_grouped(before)):
        yield Box(LOUDEST.tone, LOUDEST.title, LOUDEST.advice, entries)


def _recovered(result: RunResult) -> Iterator[Box]:
    """Yield what was found of earlier runs, but for the rollbacks that failed."""
    found = [
        (campaign, recovery)
        for campaign in result.campaigns
        for recovery in campaign.recovered
        if not _is_stuck(recovery)
    ]
    if left_open := [(campaign, recovery) for campaign, recovery in found if recovery.state.is_open]:
        if result.dry_run:
            tone, title = "orange", "Open from an earlier run"
            advice = "The next live run looks at these ad sets first, and finishes or undoes the changes."
        else:
            tone, title = "red", "Still open from an earlier run"
            advice = (
                "This run could neither finish nor undo them: look at these ad sets in Ads Manager. The next live run "
                "tries again."
            )
        yield _recovery_box(tone, title, advice, left_open)
    if ended := [(campaign, recovery) for campaign, recovery in found if not recovery.state.is_open]:
        yield _recovery_box("orange", "Recovered from an earlier run", "They were finished or undone now.", ended)


def _recovery_box(tone: str, title: str, advice: str, found: Sequence[tuple[SyncReport, Recovery]]) -> Box:
    runs = sorted({recovery.run_id for _, recovery in found})
    who = f"{'Earlier runs' if len(runs) > 1 else 'An earlier run'} ({_names(runs)})"
    entries = _grouped(
        _entry(campaign, recovery, RECOVERY_LABELS.get(recovery.state, "still open")) for campaign, recovery in found
    )
    return Box(tone, title, f"{who} did not bring these changes to an end. {advice}", entries)


def _entries(result: RunResult, kind: Kind) -> tuple[Entry, ...]:
    return _grouped(
        _entry(campaign, adset, _label(result, adset))
        for campaign in result.campaigns
        for adset in campaign.with_result(*kind.results)
        if adset.issues or adset.result not in _QUIET
    )


def _entry(campaign: SyncReport, adset: AdSetResult | Recovery, label: str) -> Entry:
    issues = tuple(map(_told_issue, adset.issues))
    if isinstance(adset, AdSetResult) and adset.result is Result.ROLLBACK_FAILED and (signs := _all_signs(adset)):
        issues += (HAD_BEEN_SET.format(signs),)
    return Entry(_plain(campaign.campaign_name), label, issues, (_link(campaign, adset),), 1)


def _told_issue(issue: str) -> str:
    for word, instead in _STATUS_WORDS.items():
        issue = issue.replace(word, instead)
    return _plain(issue)


def _all_signs(adset: AdSetResult) -> str:
    return " ".join(filter(None, (_signed("+", adset.added), _signed("−", adset.removed))))


def _grouped(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries of one campaign of which the same is said as one."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[AdSetLink]] = {}
    for entry in entries:
        groups.setdefault((entry.campaign, entry.label, entry.lines), []).extend(entry.adsets)
    return tuple(Entry(*said, tuple(adsets), len(adsets)) for said, adsets in groups.items())


def _link(campaign: SyncReport, adset: AdSetResult | Recovery) -> AdSetLink:
    account = campaign.fb_ad_account_id.removeprefix("act_")
    url = f"https://adsmanager.facebook.com/adsmanager/manage/adsets?act={account}&selected_adset_ids={adset.id}"
    known = all(number.isascii() and number.isdigit() for number in (account, adset.id))
    return AdSetLink(_plain(adset.name) or plain(adset.id, _LONGEST_ID), plain(adset.id, _LONGEST_ID), url * known)


# --- the campaigns


def _section(result: RunResult, campaign: SyncReport) -> Section:
    return Section(
        _plain(campaign.campaign_name),
        tuple(_lines(result, campaign)),
        _summary(result, campaign),
        _demand(campaign) if _follows_demand(result, campaign) else None,
        tuple(_listings(result, campaign)),
    )


def _follows_demand(result: RunResult, campaign: SyncReport) -> bool:
    return result.action is Action.SYNC and not campaign.left_to


def _listings(result: RunResult, campaign: SyncReport) -> Iterator[Listing]:
    """Yield what was changed apart from what was to be; a recheck tells of each what its run had changed."""
    signs = WORDINGS[result.action].signs
    if result.action is Action.RECHECK:
        kinds = [(signs, True, frozenset(Result))]
    else:
        done = frozenset({Result.UPDATED})
        others = frozenset(Result) - done - _UNCERTAIN
        kinds = [(signs, True, done), (NOT_CERTAIN, False, _UNCERTAIN), (NOT_CHANGED, False, others)]
    for title, is_sure, results in kinds:
        changed = tuple(
            Changed(
                _link(campaign, adset), _label(result, adset), _signed("+", adset.added), _signed("−", adset.removed)
            )
            for adset in campaign.with_result(*results)
            if adset.added or adset.removed
        )
        if changed:
            yield Listing(title, changed, is_sure)


def _signed(sign: str, codes: Iterable[str]) -> str:
    return " ".join(f"{sign}{plain(code)}" for code in codes)


def _demand(campaign: SyncReport) -> Demand:
    updated = campaign.with_result(Result.UPDATED)
    active = frozenset(map(_plain, campaign.active_states))
    added = frozenset(_plain(code) for adset in updated for code in adset.added) & active
    removed = frozenset(_plain(code) for adset in updated for code in adset.removed) - active
    active_list, added_list, removed_list = (", ".join(sorted(codes)) for codes in (active, added, removed))
    return Demand(active, added, removed, active_list, added_list, removed_list, has_map=bool(campaign.adsets))


def _lines(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    if campaign.left_to:
        yield f"Left to run {plain(campaign.left_to, _LONGEST_ID)}."
        return
    if campaign.about_run:
        yield WORDINGS[result.action].about.format(plain(campaign.about_run, _LONGEST_ID))
    if campaign.adsets:
        yield _counted(result, [campaign])
    elif campaign.campaign_errors:
        yield "Its ad sets were not looked at."
    else:
        yield WORDINGS[result.action].no_adsets


def _summary(result: RunResult, campaign: SyncReport) -> str:
    if campaign.left_to:
        return "left to another run"
    counts = _enumerated(_counts(result, campaign.adsets))
    if campaign.campaign_errors:
        return f"had errors, {counts}" if counts else "had errors"
    return counts or "no active ad set"


def _plain(text: str) -> str:
    return plain(text, LONGEST_ERROR)
