"""PURE: `RunResult` → subject, HTML and text. What happened first, then what needs a person, then the campaigns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from closrads.errors import LONGEST_ERROR, plain
from closrads.model import Action, AdSetResult, ChangeState, Recovery, Result, RunResult, SyncReport

TEMPLATES = Path(__file__).resolve().parent / "templates"

MOST_ENTRIES = 100
"""Of one box, and of one campaign's ad sets."""
LONGEST_OUTCOME = 150
"""Of a subject."""

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


@dataclass(frozen=True, slots=True)
class _Kind:
    """Outcomes that share a box."""

    tone: str
    title: str
    advice: str
    results: tuple[Result, ...]


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

_COUNTED = {
    Result.ROLLBACK_FAILED: "with a failed rollback",
    Result.FAILED: "failed",
    Result.SUPERSEDED: "to be looked at",
    Result.UNVERIFIED: "to be looked at",
    Result.UPDATED: "updated",
    Result.REVERTED: "reverted",
    Result.SKIPPED_PREFLIGHT: "skipped",
    Result.NEEDS_ATTENTION: "need attention",
    Result.DEFERRED: "deferred",
    Result.HELD: "held",
    Result.NOT_ACTIVE: "not active",
    Result.UNCHANGED: "unchanged",
}

_LOUDEST = _Kind(
    "red",
    "Rollback failed",
    "Look at these ad sets in Ads Manager now: they are NOT proven to be as they were. Each live run tries again, but "
    "do not wait for that.",
    (Result.ROLLBACK_FAILED,),
)

_KINDS = (
    _Kind(
        "red",
        "Failed",
        "These ad sets cannot be updated, for the reason below, and are as they were.",
        (Result.FAILED,),
    ),
    _Kind(
        "red",
        "Changed by somebody else, or not verified",
        "Look at these ad sets in Ads Manager: this run could not confirm what they target, or how their ads do.",
        (Result.SUPERSEDED, Result.UNVERIFIED),
    ),
    _Kind(
        "red",
        "Updated, then rolled back",
        "The update could not be kept, for the reason below. The targeting was restored: not updated today.",
        (Result.REVERTED,),
    ),
    _Kind(
        "orange",
        "Skipped: broken before the run",
        "These ad sets have an ad that was broken before. Repair it in Ads Manager; the next run tries again.",
        (Result.SKIPPED_PREFLIGHT,),
    ),
    _Kind(
        "orange",
        "Needs attention",
        "These ad sets cannot follow the demand until somebody does what is said below.",
        (Result.NEEDS_ATTENTION,),
    ),
    _Kind(
        "grey",
        "Reaches beyond its states",
        "Meta may show these ads outside the states as well; it was set so in Ads Manager and is left as it is.",
        (Result.UPDATED, Result.UNCHANGED),
    ),
    _Kind(
        "grey",
        "Left for later",
        "These ad sets were not touched.",
        (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
    ),
)


def _kinds_but(*others: _Kind) -> tuple[_Kind, ...]:
    """Return the kinds of a sync with some of them replaced."""
    instead = {other.results: other for other in others}
    return tuple(instead.get(kind.results, kind) for kind in _KINDS)


@dataclass(frozen=True, slots=True)
class _Wording:
    """How an action and its outcomes are told."""

    name: str
    labels: Mapping[Result, str]
    """Of one ad set."""
    counted: Mapping[Result, str]
    """Of several, those first that a reader must not miss."""
    always: tuple[Result, ...]
    """What is counted for a campaign even if there is none of it."""
    kinds: tuple[_Kind, ...]
    nothing: str
    no_adsets: str
    about: str = ""
    """With a place for the id of the run that is meant."""
    signs: str = ""
    """What + and − mean, if that is not the change of today."""
    noted: str = ""
    """What an ad set is called that stayed as it was and has notes; empty if they are no trouble."""


_OF_RECHECK = {Result.UNCHANGED: "still healthy", Result.REVERTED: "put back", Result.DEFERRED: "not looked at"}
_OF_UNDO = {
    Result.UPDATED: "put back",
    Result.UNCHANGED: "already as before",
    Result.REVERTED: "not put back",
    Result.NEEDS_ATTENTION: "not put back",
    Result.DEFERRED: "deferred",
}

_WORDINGS = {
    Action.SYNC: _Wording(
        name="",
        labels=_LABELS,
        counted=_COUNTED,
        always=(Result.UPDATED, Result.UNCHANGED, Result.SKIPPED_PREFLIGHT, Result.REVERTED, Result.DEFERRED),
        kinds=_KINDS,
        nothing="nothing to change",
        no_adsets="It has no active ad set.",
    ),
    Action.RECHECK: _Wording(
        name="recheck",
        labels=_LABELS | _OF_RECHECK,
        counted=_COUNTED | _OF_RECHECK,
        always=(Result.UNCHANGED, Result.REVERTED),
        kinds=_kinds_but(
            _Kind(
                "red",
                "Broken since the update",
                "Ads of these ad sets were healthy when the run ended and broke later, so the update cannot stay.",
                (Result.REVERTED,),
            ),
            _Kind(
                "orange",
                "Ads that no longer run",
                "They ran before the update and do not now. They were left so, for somebody may want it: if nobody "
                "does, switch them on in Ads Manager.",
                (Result.UPDATED, Result.UNCHANGED),
            ),
            _Kind(
                "grey",
                "Not looked at",
                "Start the recheck again for these ad sets.",
                (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
            ),
        ),
        nothing="nothing to put back",
        no_adsets="There was nothing to look at again.",
        about="Looked again at run {}.",
        signs="+ and − are what that run had added and taken away:",
        noted="with an ad that no longer runs",
    ),
    Action.UNDO: _Wording(
        name="undo",
        labels=_LABELS | _OF_UNDO | {Result.SKIPPED_PREFLIGHT: "skipped before the undo"},
        counted=_COUNTED | _OF_UNDO,
        always=(Result.UPDATED,),
        kinds=_kinds_but(
            _Kind(
                "red",
                "Not put back: the undo could not be kept",
                "For the reason below, the targeting is again what it was before the undo.",
                (Result.REVERTED,),
            ),
            _Kind(
                "orange",
                "Skipped: broken before the undo",
                "These ad sets have a broken ad. Repair it in Ads Manager, then start the undo again.",
                (Result.SKIPPED_PREFLIGHT,),
            ),
            _Kind("orange", "Not put back", "These ad sets stay as they are now.", (Result.NEEDS_ATTENTION,)),
            _Kind(
                "grey",
                "Not put back yet",
                "These ad sets were not touched. Start the undo again for them.",
                (Result.DEFERRED, Result.HELD, Result.NOT_ACTIVE),
            ),
        ),
        nothing="nothing to put back",
        no_adsets="There was nothing to put back.",
        about="Undo of run {}.",
        signs="+ and − are what the undo adds and takes away:",
    ),
}

_DONE = frozenset({"updated", "put back"})
"""What only would be in a dry run."""
_QUIET = frozenset({Result.UPDATED, Result.UNCHANGED})
_TONES = ("red", "orange", "grey", "green")
_RECOVERY_LABELS = {
    ChangeState.VERIFIED: "finished and healthy",
    ChangeState.ROLLED_BACK: "put back, its ads are healthy",
    ChangeState.SUPERSEDED: "changed by somebody else since, left so",
    ChangeState.NOT_WRITTEN: "had not been changed",
}


@dataclass(frozen=True, slots=True)
class _Section:
    """One campaign below the boxes."""

    campaign: SyncReport
    lines: tuple[str, ...]
    follows_demand: bool
    changed: tuple[AdSetResult, ...]
    """The ad sets with other states than before, or the first of them."""
    not_listed: int
    """How many more there are."""


def build_report(result: RunResult, timezone: ZoneInfo) -> Report:
    """Return the mail about a run, with every secret blanked out; dates are in `timezone`."""
    local = result.started_at.astimezone(timezone)
    view = {
        "result": result,
        "headline": _headline(result),
        "date": f"{local:%A} {local.day} {local:%B %Y, %H:%M} ({timezone.key})",
        "boxes": sorted(map(_cut, _boxes(result)), key=lambda box: _TONES.index(box.tone)),
        "sections": [_section(result, campaign) for campaign in result.campaigns],
        "signs": _WORDINGS[result.action].signs,
        "label": lambda adset: _label(result, adset),
        "tile_rows": [row.split() for row in TILE_MAP],
    }
    day = f"{local:%a} {local.day} {local:%b}"
    outcome = plain(_outcome(result), LONGEST_OUTCOME)
    subject = f"{'[DRY RUN] ' if result.dry_run else ''}CLOSRADS {outcome} · {day}"
    return Report(subject, html=_HTML.render(view), text=_TEXT.render(view))


def _cut(box: Box) -> Box:
    if len(box.entries) <= MOST_ENTRIES:
        return box
    more = (f"and {len(box.entries) - MOST_ENTRIES} more", ())
    return replace(box, entries=(*box.entries[:MOST_ENTRIES], more))


def _states_of(campaign: SyncReport, change: str) -> frozenset[str]:
    """Return the states that were added to, or removed from, at least one ad set."""
    return frozenset(code for adset in campaign.with_result(Result.UPDATED) for code in getattr(adset, change))


def _label(result: RunResult, adset: AdSetResult) -> str:
    return _noted(result, adset) or _would(result, _WORDINGS[result.action].labels[adset.result])


def _would(result: RunResult, word: str) -> str:
    return f"would be {word}" if result.dry_run and word in _DONE else word


def _outcome(result: RunResult) -> str:
    if result.left_to:
        return "left to another run"
    action = _WORDINGS[result.action].name
    if stuck := _stuck(result):
        return f"✗ ROLLBACK FAILED in {', '.join(stuck)}" + (f" ({action})" if action else "")
    prefix = f"{action}: " if action else ""
    if failed := _failed(result):
        return f"✗ {prefix}{', '.join(failed)} failed"
    mark = "⚠" if _troubled(result) else "✓"
    return f"{mark} {prefix}{'; '.join([_told(result), *_asides(result)])}"


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


def _told(result: RunResult) -> str:
    """Return the counts of the whole run, without what stayed as it was."""
    wording = _WORDINGS[result.action]
    counts = _counts(result, [adset for campaign in result.campaigns for adset in campaign.adsets])
    counts.pop(wording.counted[Result.UNCHANGED], None)
    return _enumerated(counts) or wording.nothing


def _asides(result: RunResult) -> Iterator[str]:
    """Yield what there is to tell beside the ad sets of this run."""
    recovered = [recovery.state.is_open for campaign in result.campaigns for recovery in campaign.recovered]
    for is_open, word in ((False, "recovered"), (True, "open")):
        if is_open in recovered:
            yield f"{recovered.count(is_open)} {word} from an earlier run"
    if left := [campaign.campaign_name for campaign in result.campaigns if campaign.left_to]:
        yield f"left to another run: {', '.join(left)}"


def _counts(result: RunResult, adsets: Iterable[AdSetResult]) -> dict[str, int]:
    """Return how many ad sets there are of each kind, those first that a reader must not miss."""
    wording = _WORDINGS[result.action]
    words = Counter(_noted(result, adset) or wording.counted[adset.result] for adset in adsets)
    return {_would(result, word): words[word] for word in (*wording.counted.values(), wording.noted) if words[word]}


def _noted(result: RunResult, adset: AdSetResult) -> str:
    return _WORDINGS[result.action].noted if adset.issues and adset.result in _QUIET else ""


def _enumerated(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _campaign_counts(result: RunResult, campaign: SyncReport) -> str:
    """Return the counts that everybody looks for, and the others where there is something to count."""
    wording = _WORDINGS[result.action]
    adsets = [adset for adset in campaign.adsets if adset.result is not Result.NOT_ACTIVE]
    counts = {_would(result, wording.counted[outcome]): 0 for outcome in wording.always} | _counts(result, adsets)
    in_full = {wording.counted[Result.SKIPPED_PREFLIGHT]: wording.labels[Result.SKIPPED_PREFLIGHT]}
    told = _enumerated({in_full.get(word, word): count for word, count in counts.items()})
    return f"{len(adsets)} ad set{'' if len(adsets) == 1 else 's'}: {told}"


def _headline(result: RunResult) -> str:
    if result.left_to:
        return f"Everything was left to run {result.left_to}, which is at work on it or has done it."
    if not result.campaigns:
        return "No campaign is switched on, so nothing was done."
    action = _WORDINGS[result.action].name
    of = f"{action.capitalize()} of " if action else ""
    failed, told = _failed(result), [f"ad sets: {_told(result)}", *_asides(result)]
    if failed and not any(campaign.adsets for campaign in result.campaigns):
        told = told[1:]
    if stuck := _stuck(result):
        lead = f"ROLLBACK FAILED in {', '.join(stuck)}: look at it in Ads Manager now"
    elif failed:
        lead = f"{of}{', '.join(failed)} had errors"
    else:
        mine = [campaign.campaign_name for campaign in result.campaigns if not campaign.left_to]
        everyone = len(mine) == len(result.campaigns) > 1
        lead = f"{of}{('all campaigns' if of else 'All campaigns') if everyone else ', '.join(mine)} ran"
    return "; ".join([lead, *told]) + "."


def _troubled(result: RunResult) -> bool:
    return any(
        campaign.unmapped_states
        or campaign.recovered
        or campaign.left_to
        or any(adset.result not in _QUIET or _noted(result, adset) for adset in campaign.adsets)
        for campaign in result.campaigns
    )


def _boxes(result: RunResult) -> Iterator[Box]:
    yield from _loudest(result)
    aborted = tuple((c.campaign_name, c.campaign_errors) for c in result.campaigns if c.campaign_errors)
    if aborted:
        yield Box("red", "Campaigns with errors", "What had not begun was left as it was.", aborted)
    yield from _recovered(result)
    for kind in _WORDINGS[result.action].kinds:
        if entries := _entries(result, kind):
            yield Box(kind.tone, kind.title, kind.advice, entries)
    unmapped = tuple((c.campaign_name, (", ".join(c.unmapped_states),)) for c in result.campaigns if c.unmapped_states)
    if unmapped:
        yield Box("orange", "Unknown states", "CLOSRTECH named these; Meta has no region for them.", unmapped)
    left = tuple((c.campaign_name, (f"Left to run {c.left_to}",)) for c in result.campaigns if c.left_to)
    if left:
        advice = "That run is at work on them, or died less than a quarter of an hour ago: this one left them alone."
        yield Box("grey", "Left to another run", advice, left)
    if result.campaigns and result.success and not _troubled(result):
        action = _WORDINGS[result.action].name
        yield Box("green", f"{f'The {action}' if action else 'All campaigns'} ran without issues", "")


def _loudest(result: RunResult) -> Iterator[Box]:
    before = tuple(
        (_heading(campaign, recovery, f"rollback of run {recovery.run_id} failed"), recovery.issues)
        for campaign in result.campaigns
        for recovery in campaign.recovered
        if _is_stuck(recovery)
    )
    if entries := _entries(result, _LOUDEST) + before:
        yield Box(_LOUDEST.tone, _LOUDEST.title, _LOUDEST.advice, entries)


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
    who = f"{'Earlier runs' if len(runs) > 1 else 'An earlier run'} ({', '.join(runs)})"
    entries = tuple(
        (_heading(campaign, recovery, _RECOVERY_LABELS.get(recovery.state, "still open")), recovery.issues)
        for campaign, recovery in found
    )
    return Box(tone, title, f"{who} did not bring these changes to an end. {advice}", entries)


def _entries(result: RunResult, kind: _Kind) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (_heading(campaign, adset, _label(result, adset)), adset.issues)
        for campaign in result.campaigns
        for adset in campaign.with_result(*kind.results)
        if adset.issues or adset.result not in _QUIET
    )


def _heading(campaign: SyncReport, adset: AdSetResult | Recovery, label: str) -> str:
    return f"{campaign.campaign_name} · {adset.name} ({adset.id}), {label}"


def _section(result: RunResult, campaign: SyncReport) -> _Section:
    follows_demand = result.action is Action.SYNC and not campaign.left_to
    changed = tuple(adset for adset in campaign.adsets if adset.added or adset.removed)
    not_listed = max(len(changed) - MOST_ENTRIES, 0)
    return _Section(campaign, tuple(_lines(result, campaign)), follows_demand, changed[:MOST_ENTRIES], not_listed)


def _lines(result: RunResult, campaign: SyncReport) -> Iterator[str]:
    if campaign.left_to:
        yield f"Left to run {campaign.left_to}."
        return
    if campaign.about_run:
        yield _WORDINGS[result.action].about.format(campaign.about_run)
    if campaign.adsets:
        yield _campaign_counts(result, campaign)
    elif campaign.campaign_errors:
        yield "Its ad sets were not looked at."
    else:
        yield _WORDINGS[result.action].no_adsets


def _shown(value: Any) -> Any:
    """Return what a template puts in: names come from people, control characters included."""
    return plain(value, LONGEST_ERROR) if isinstance(value, str) else value


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["added"] = lambda campaign: _states_of(campaign, "added")
    environment.filters["removed"] = lambda campaign: _states_of(campaign, "removed")
    return environment


# At the start, for a template that cannot be compiled is to be found before anything is changed.
_HTML, _TEXT = map(_templates().get_template, ("report.html.j2", "report.txt.j2"))
