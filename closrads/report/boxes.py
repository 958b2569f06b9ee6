"""The boxes of a report: ad sets and campaigns that need attention, and those that were left alone."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from closrads.domain.changes import UnexplainedPause
from closrads.domain.results import AdSetResult, Recovery, Result, RunResult, SyncReport
from closrads.redaction import one_line
from closrads.report.content import AdSetLink, Box, Entry
from closrads.report.subject import (
    _MAX_ID_CHARS,
    _QUIET,
    _TOKEN_IS_DEAD,
    _empty_campaigns,
    _has_warnings,
    _is_failed_rollback,
    _label,
    _names,
    _redacted_line,
)
from closrads.report.wording import (
    EMPTY_ADVICE,
    HAD_BEEN_SET,
    OFF_ADVICE,
    PAUSED_ADVICE,
    PAUSED_TITLE,
    RECOVERY_LABELS,
    RENEW_TOKEN,
    ROLLBACK_FAILED_KIND,
    WORDINGS,
    Kind,
    day_of,
    how_long,
    is_long_off,
)

_UNCERTAIN = frozenset({Result.ROLLBACK_FAILED, Result.UNVERIFIED, Result.SUPERSEDED})
_STATUS_WORDS = {": WITH_ISSUES: ": ": ", ": DISAPPROVED: ": ": disapproved: "}
"""Replacements for Meta's statuses in messages that also describe the issue."""
_REFUSED_OBJECT = re.compile(r"(?<=Meta refuses )\S+(?=: )")


# --- the boxes


def _boxes(result: RunResult) -> Iterator[Box]:
    yield from _failed_rollbacks_box(result)
    if aborted := _failed_campaign_entries(result):
        advice = "See to the reason below. What had not begun was left as it was, and the next run tries again."
        yield Box("red", "Campaigns with errors", advice, aborted)
    yield from _switched_off(result)
    yield from _recovered(result)
    for kind in WORDINGS[result.action].kinds:
        if entries := _entries(result, kind):
            yield Box(kind.tone, kind.title, kind.advice, entries)
    if result.notices:
        advice = "The campaigns ran as if these were not there. Correct them, or delete them with the AWS CLI."
        yield Box("orange", "Parameters that do nothing", advice, tuple(map(_notice_entry, result.notices)))
    if unreadable := _campaign_entries(result, lambda c: _listed(c.unreadable_states)):
        advice = (
            "CLOSRTECH named these, and nobody can tell which states are meant. So no state is taken out of an ad set "
            "of these campaigns; states with demand are added as always. Ask CLOSRTECH to correct its answer."
        )
        yield Box("orange", "Names that could not be read", advice, unreadable)
    if unmapped := _campaign_entries(
        result, lambda c: _listed([code for code in c.unmapped_states if code not in c.unreadable_states])
    ):
        advice = (
            "CLOSRTECH named these; Meta has no region for them, so they were left out. Ask CLOSRTECH what is meant."
        )
        yield Box("orange", "Unknown states", advice, unmapped)
    yield from _unexplained(result)
    if left := _campaign_entries(result, lambda c: [f"Left to run {c.left_to}"] if c.left_to else []):
        advice = "That run is at work on them, or died less than a quarter of an hour ago: this one left them alone."
        yield Box("grey", "Left to another run", advice, left)
    if result.campaigns and result.success and not (_has_warnings(result) or _empty_campaigns(result)):
        action = WORDINGS[result.action].name
        yield Box("green", f"{f'The {action}' if action else 'All campaigns'} ran without issues", "")


def _unexplained(result: RunResult) -> Iterator[Box]:
    """Yield the boxes of ads that were switched off after a change."""
    if on := _campaign_entries(result, lambda c: [line for pause in c.unexplained for line in _switched_on(pause)]):
        advice = (
            "CLOSRADS switched these ads on: Meta had paused them after a change of their ad set, which its activity "
            "log told only later. If Meta pauses them again, select the lead form of the ad anew in Ads Manager."
        )
        yield Box("orange", "Switched on again", advice, on)
    if off := _campaign_entries(result, lambda c: [line for pause in c.unexplained for line in _pause_lines(pause)]):
        advice = (
            "These ads ran before CLOSRADS changed their ad set and are switched off since; Meta does not tell by "
            "whom. "
            "If nobody wants them off, switch them on in Ads Manager."
        )
        yield Box("orange", "Switched off, nobody knows by whom", advice, off)


def _notice_entry(notice: str) -> Entry:
    name, _, said = notice.partition(": ")
    return Entry(_redacted_line(name), "", (_redacted_line(said),))


def _switched_off(result: RunResult) -> Iterator[Box]:
    """Yield the boxes of what is paused or off, and of campaigns that have nothing to run."""
    if result.paused_since:
        yield Box("orange", PAUSED_TITLE.format(day_of(result.paused_since, result)), PAUSED_ADVICE)
    off = [switch for switch in result.switched_off if switch.slug]
    for tone, is_long in (("orange", True), ("grey", False)):
        if entries := tuple(
            Entry(_redacted_line(each.name), how_long(each, result), ())
            for each in off
            if is_long_off(each, result) is is_long
        ):
            yield Box(tone, "Off", OFF_ADVICE, entries)
    if empty := tuple(Entry(_redacted_line(each.campaign_name), "", ()) for each in _empty_campaigns(result)):
        yield Box("orange", "No active ad set", EMPTY_ADVICE, empty)


def _listed(codes: Sequence[str]) -> list[str]:
    """Return one line of all codes; no line if there are none."""
    return [", ".join(codes)] if codes else []


def _pause_lines(pause: UnexplainedPause) -> list[str]:
    return [
        f"Ad “{name}” ({ad_id}) in {pause.adset_name}: off since the change of {pause.since:%Y-%m-%d}"
        for ad_id, name in pause.ads.items()
        if ad_id not in pause.switched_on
    ]


def _switched_on(pause: UnexplainedPause) -> list[str]:
    return [
        f"Ad “{name}” ({ad_id}) in {pause.adset_name}"
        for ad_id, name in pause.ads.items()
        if ad_id in pause.switched_on
    ]


def _campaign_entries(result: RunResult, lines: Callable[[SyncReport], Sequence[str]]) -> tuple[Entry, ...]:
    """Return an entry for each campaign for which `lines` returns any lines."""
    return tuple(
        Entry(_redacted_line(campaign.campaign_name), "", shown)
        for campaign in result.campaigns
        if (shown := tuple(map(_redacted_line, lines(campaign))))
    )


def _failed_campaign_entries(result: RunResult) -> tuple[Entry, ...]:
    """Return the campaigns' errors; campaigns with equal errors share an entry, whichever object Meta refused."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in _campaign_entries(result, lambda c: c.campaign_errors):
        groups.setdefault(tuple(_REFUSED_OBJECT.sub("it", line) for line in entry.lines), []).append(entry)
    return tuple(
        Entry(
            _redacted_line(", ".join(entry.campaign for entry in entries)),
            "",
            _with_remedy(common if len(entries) > 1 else entries[0].lines),
        )
        for common, entries in groups.items()
    )


def _with_remedy(lines: tuple[str, ...]) -> tuple[str, ...]:
    return (RENEW_TOKEN, *lines) if any(map(_TOKEN_IS_DEAD.search, lines)) else lines


def _failed_rollbacks_box(result: RunResult) -> Iterator[Box]:
    before = tuple(
        _entry(campaign, recovery, f"rollback of run {one_line(recovery.run_id, _MAX_ID_CHARS)} failed")
        for campaign in result.campaigns
        for recovery in campaign.recovered
        if _is_failed_rollback(recovery)
    )
    if entries := (*_entries(result, ROLLBACK_FAILED_KIND), *_grouped(before)):
        yield Box(ROLLBACK_FAILED_KIND.tone, ROLLBACK_FAILED_KIND.title, ROLLBACK_FAILED_KIND.advice, entries)


def _recovered(result: RunResult) -> Iterator[Box]:
    """Yield the boxes of the changes of earlier runs, except for failed rollbacks."""
    found = [
        (campaign, recovery)
        for campaign in result.campaigns
        for recovery in campaign.recovered
        if not _is_failed_rollback(recovery)
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
    issues = tuple(map(_issue_text, adset.issues))
    if isinstance(adset, AdSetResult) and adset.result is Result.ROLLBACK_FAILED and (signs := _all_signs(adset)):
        issues += (HAD_BEEN_SET.format(signs),)
    return Entry(_redacted_line(campaign.campaign_name), label, issues, (_link(campaign, adset),), 1)


def _issue_text(issue: str) -> str:
    for word, instead in _STATUS_WORDS.items():
        issue = issue.replace(word, instead)
    return _redacted_line(issue)


def _all_signs(adset: AdSetResult) -> str:
    return " ".join(filter(None, (_signed("+", adset.added), _signed("−", adset.removed))))


def _grouped(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Merge the entries of a campaign that have the same label and lines."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[AdSetLink]] = {}
    for entry in entries:
        groups.setdefault((entry.campaign, entry.label, entry.lines), []).extend(entry.adsets)
    return tuple(Entry(*shared, tuple(adsets), len(adsets)) for shared, adsets in groups.items())


def _link(campaign: SyncReport, adset: AdSetResult | Recovery) -> AdSetLink:
    account = campaign.fb_ad_account_id.removeprefix("act_")
    url = f"https://adsmanager.facebook.com/adsmanager/manage/adsets?act={account}&selected_adset_ids={adset.id}"
    known = all(number.isascii() and number.isdigit() for number in (account, adset.id))
    return AdSetLink(
        _redacted_line(adset.name) or one_line(adset.id, _MAX_ID_CHARS), one_line(adset.id, _MAX_ID_CHARS), url * known
    )


def _signed(sign: str, codes: Iterable[str]) -> str:
    return " ".join(f"{sign}{one_line(code)}" for code in codes)
