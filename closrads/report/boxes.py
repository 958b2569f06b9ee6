"""The boxes of a report: what needs a person, who must act and how; and what needs no action."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import signed
from closrads.redaction import MAX_ERROR_CHARS, one_line
from closrads.report.content import Box, Item, Link
from closrads.report.wording.ads import AD_OFF, AD_ON_AGAIN, OFF_ADS_TEXT, ON_AGAIN_TEXT, AdIssue, ad_issue
from closrads.report.wording.adsets import (
    BEYOND_STATES,
    BEYOND_STATES_TEXT,
    NOT_RESTORED_TEXT,
    RESTORE_FAILED,
    RESTORED_TEXT,
    TRIED_STATES,
    adset_issue,
)
from closrads.report.wording.campaigns import (
    ALL_OPTED_OUT,
    ALL_OPTED_OUT_TEXT,
    EMPTY,
    EMPTY_TEXT,
    LEFT_TO,
    LEFT_TO_TEXT,
    NO_EFFECT,
    NO_EFFECT_TEXT,
    NOBODY_LEFT,
    NOBODY_LEFT_TEXT,
    campaign_error,
    midway,
)
from closrads.report.wording.demand import (
    COUNTS_ANEW,
    COUNTS_ANEW_TEXT,
    UNKNOWN_STATES,
    UNREADABLE_STATES,
    WAITING,
    unknown_states,
    unreadable_states,
    waits,
)
from closrads.report.wording.drift import LEFT_BY
from closrads.report.wording.earlier_runs import (
    OLD_RESTORE_FAILED,
    OPEN,
    RECOVERED,
    STILL_OPEN,
    recovery_text,
    with_one_off,
)
from closrads.report.wording.kinds import Kind, Who
from closrads.report.wording.phrases import day_and_time, day_of, in_the_past, of_several
from closrads.report.wording.plans import PLAN_STALE, PLAN_STALE_TEXT
from closrads.report.wording.switches import (
    NOT_BEGUN,
    OFF,
    OFF_LONG,
    OFF_MIDWAY,
    OFF_TEXT,
    PAUSED_KIND,
    PAUSED_MIDWAY,
    PAUSED_TEXT,
    STOPPED_BY_SWITCH,
    how_long,
    is_long_off,
)
from closrads.state_mapper import is_state, usps_to_fb_region

MAX_ID_CHARS = 60
MAX_WITH_ADS = 3
"""Maximum number of ad sets in an item whose ads are named as well; Ads Manager shows those of any others."""
QUIET = frozenset({Result.UPDATED, Result.UNCHANGED})
UNCERTAIN = frozenset({Result.ROLLBACK_FAILED, Result.UNVERIFIED, Result.SUPERSEDED})
TONES = ("red", "orange", "grey")
"""From the most to the least serious one."""
_NOUNS = ("ad", "ad set", "campaign", "setting", "")
_ABOUT_ADS = frozenset({Result.SKIPPED_PREFLIGHT, Result.UPDATED, Result.UNCHANGED})
"""Results of ad sets for which issues of ads, if there are any, are reported instead of the ad set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reported fact, before it is assigned to a box."""

    kind: Kind
    item: Item


def boxes_of(findings: Iterable[Finding]) -> tuple[Box, ...]:
    """Return the boxes of all findings: first those that need the reader, and the most serious ones first."""
    by_kind: dict[Kind, list[Item]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding.item)

    def rank(kind: Kind) -> tuple[bool, bool, int, int, int]:
        noun = _NOUNS.index(by_kind[kind][0].noun)
        is_others = kind.who is not Who.YOU
        return kind != RESTORE_FAILED, is_others, TONES.index(kind.tone), list(Who).index(kind.who), noun

    return tuple(
        Box(kind.tone, kind.title, kind.who, kind.steps, kind.note, _grouped(by_kind[kind]))
        for kind in sorted(by_kind, key=rank)
    )


def findings_of(result: RunResult) -> Iterator[Finding]:
    """Yield everything that belongs in a box."""
    yield from _switches(result)
    for campaign in result.campaigns:
        yield from _of_campaign(result, campaign)
        stopped = stopped_by_switch(result, campaign)  # reported once, for the campaign
        for adset in campaign.adsets:
            if adset not in stopped:
                yield from _of_adset(result, campaign, adset)
        for adset in campaign.reaching_beyond:
            link = adset_link(campaign, adset)
            yield Finding(BEYOND_STATES, Item(line(campaign.campaign_name), "ad set", BEYOND_STATES_TEXT, (link,)))
    if result.notices:
        yield Finding(NO_EFFECT, Item("CLOSRADS", "setting", NO_EFFECT_TEXT, count=len(result.notices)))


def _switches(result: RunResult) -> Iterator[Finding]:
    if result.paused_since:
        yield Finding(PAUSED_KIND, Item("CLOSRADS", "", PAUSED_TEXT.format(day_of(result.paused_since, result))))
    for switch in result.switched_off:
        if switch.slug:
            kind = OFF_LONG if is_long_off(switch, result) else OFF
            yield Finding(kind, Item(line(switch.name), "campaign", OFF_TEXT.format(how_long(switch, result))))


def _of_campaign(result: RunResult, campaign: SyncReport) -> Iterator[Finding]:
    name = line(campaign.campaign_name)
    yield from _stops(result, campaign, name)
    for recovery in campaign.recovered:
        yield _of_recovery(result, campaign, recovery)
    for pause in campaign.unexplained:
        said_of = OFF_ADS_TEXT.format(day_of(pause.since, result))
        for ad_id, ad_name in pause.ads.items():
            link = ad_link(campaign, ad_name, ad_id, pause.adset_name)
            is_on = ad_id in pause.switched_on
            yield Finding(
                AD_ON_AGAIN if is_on else AD_OFF, Item(name, "ad", ON_AGAIN_TEXT if is_on else said_of, (link,))
            )
    if unreadable := campaign.unreadable_states:
        unreadable = tuple(map(line, unreadable))
        yield Finding(UNREADABLE_STATES, Item(name, "campaign", unreadable_states(unreadable)))
    if unmapped := [code for code in campaign.unmapped_states if code not in campaign.unreadable_states]:
        unmapped = [*map(line, unmapped)]
        yield Finding(UNKNOWN_STATES, Item(name, "campaign", unknown_states(unmapped)))
    yield from _waiting(result, campaign, name)
    if campaign.left_to:
        yield Finding(LEFT_TO, Item(name, "campaign", LEFT_TO_TEXT))
    yield from _of_opt_outs(result, campaign)
    if is_empty(result, campaign):
        yield Finding(EMPTY, Item(name, "campaign", EMPTY_TEXT))


def _stops(result: RunResult, campaign: SyncReport, name: str) -> Iterator[Finding]:
    """Yield why a campaign was not changed, or not completely."""
    for error in campaign.campaign_errors:
        said = campaign_error(error)
        if not result.dry_run and campaign.with_result(Result.UPDATED, *UNCERTAIN):
            said = midway(said)
        yield Finding(said.kind, Item(name, "campaign", said.text))
    if campaign.switched_off and stopped_by_switch(result, campaign):
        text = OFF_MIDWAY if campaign.switched_off.slug else PAUSED_MIDWAY
        yield Finding(STOPPED_BY_SWITCH, Item(name, "campaign", text))
    if campaign.refused:
        yield Finding(PLAN_STALE, Item(name, "campaign", PLAN_STALE_TEXT))


def _waiting(result: RunResult, campaign: SyncReport, name: str) -> Iterator[Finding]:
    groups: dict[WaitingState, list[str]] = {}
    for waiting in campaign.waiting:
        groups.setdefault(replace(waiting, state=""), []).append(state_name(waiting.state))
    for group, states in groups.items():
        yield Finding(WAITING, Item(name, "campaign", waits(states, group, result)))
    if campaign.counts_anew:
        yield Finding(COUNTS_ANEW, Item(name, "campaign", COUNTS_ANEW_TEXT))


def state_name(code: str) -> str:
    """Return a state's name; the code itself, redacted, if it is not a state's."""
    region = usps_to_fb_region(code) if is_state(code) else None
    return region["name"] if region else line(code)


def _of_opt_outs(result: RunResult, campaign: SyncReport) -> Iterator[Finding]:
    name = line(campaign.campaign_name)
    if campaign.unmatched_patterns:
        yield Finding(NOBODY_LEFT, Item(name, "campaign", NOBODY_LEFT_TEXT))
    if is_all_opted_out(result, campaign):
        yield Finding(ALL_OPTED_OUT, Item(name, "campaign", ALL_OPTED_OUT_TEXT))


def _of_recovery(result: RunResult, campaign: SyncReport, recovery: Recovery) -> Finding:
    name, links = line(campaign.campaign_name), (adset_link(campaign, recovery),)
    if recovery.state is ChangeState.ROLLBACK_FAILED:
        text = RESTORED_TEXT if _has_old_states(recovery.issues) else OLD_RESTORE_FAILED
        ads = _ads_with_issues(recovery.issues)
        of = tuple(ad_link(campaign, each.name, each.id, "") for each in ads)
        return Finding(RESTORE_FAILED, Item(name, "ad set", _with_ads(text, ads), links, ads=of))
    text = _superseded_by(result, recovery.drift) or recovery_text(recovery.state, recovery.issues)
    kind = RECOVERED if not recovery.state.is_open else OPEN if result.dry_run else STILL_OPEN
    return Finding(kind, Item(name, "ad set", text, links))


def _of_adset(result: RunResult, campaign: SyncReport, adset: AdSetResult) -> Iterator[Finding]:
    if adset.result in QUIET and not adset.issues:
        return
    name, link = line(campaign.campaign_name), adset_link(campaign, adset)
    ads = _ads_with_issues(adset.issues)
    if adset.result in _ABOUT_ADS and ads:
        named = frozenset[str]().union(*(pause.ads for pause in campaign.unexplained))
        for issue in ads:
            if issue.said.kind is AD_OFF and issue.id in named:  # reported with the pause, which also says since when
                continue
            yield Finding(
                issue.said.kind,
                Item(name, "ad", issue.said.text, (ad_link(campaign, issue.name, issue.id, adset.name),)),
            )
        return
    others = tuple(text for text in adset.issues if not ad_issue(text))
    said = adset_issue(result.action, adset.result, others)
    text, detail = said.text, said.detail
    if adset.result is Result.ROLLBACK_FAILED:
        text, detail = _not_restored(adset)
    if adset.result is Result.SUPERSEDED:
        text = _superseded_by(result, adset.drift) or text
    text = _with_ads(text, ads, is_over=adset.result is Result.REVERTED)
    of = [ad_link(campaign, each.name, each.id, "") for each in ads if said.kind.who is Who.YOU]
    kind = replace(said.kind, note=with_one_off(said.kind.note, adset.issues))
    yield Finding(kind, Item(name, "ad set", text, (link,), detail=detail, ads=tuple(of)))


def _ads_with_issues(issues: Iterable[str]) -> tuple[AdIssue, ...]:
    """Return what the issues of an ad set say of its ads, each ad once."""
    return tuple({issue.id: issue for text in issues if (issue := ad_issue(text))}.values())


def _with_ads(text: str, ads: Sequence[AdIssue], *, is_over: bool = False) -> str:
    """Return a text about an ad set, followed by what is, or was, the matter with its ads."""
    said = (f"its ad {line(ad.name)} {in_the_past(ad.said.text) if is_over else ad.said.text}" for ad in ads)
    return f"{text}: {'; '.join(said)}" if ads else text


def _superseded_by(result: RunResult, drift: Drift | None) -> str:
    """Return who set the states that superseded a change; empty if unknown."""
    return LEFT_BY.format(line(drift.by), day_and_time(drift.at, result)) if drift and drift.by and drift.at else ""


def _not_restored(adset: AdSetResult) -> tuple[str, str]:
    """Return the text and the detail about an ad set whose rollback could not be confirmed."""
    if _has_old_states(adset.issues):
        return RESTORED_TEXT, ""
    tried = signs(adset.added, adset.removed)
    return NOT_RESTORED_TEXT, TRIED_STATES.format(tried) if tried else ""


def _has_old_states(issues: Iterable[str]) -> bool:
    """Return whether a rollback that failed has put the states back, so that only ads have a problem."""
    return any("targeting was restored" in issue for issue in issues)


def is_empty(result: RunResult, campaign: SyncReport) -> bool:
    """Return whether a campaign should follow demand, but has no ad set that can, now or later."""
    return (
        follows_demand(result, campaign)
        and not (campaign.switched_off or campaign.campaign_errors or campaign.refused)
        and campaign.count(*Result) == campaign.adsets_ended
    )


def is_all_opted_out(result: RunResult, campaign: SyncReport) -> bool:
    """Return whether a campaign should follow demand, but every ad set that can is opted out."""
    return follows_demand(result, campaign) and campaign.adsets_opted_out > 0 and not campaign.adsets_processed


def stopped_by_switch(result: RunResult, campaign: SyncReport) -> tuple[AdSetResult, ...]:
    """Return the ad sets that a sync did not start because a person had switched CLOSRADS or the campaign off."""
    if result.action is not Action.SYNC or not campaign.switched_off:
        return ()
    deferred = campaign.with_result(Result.DEFERRED)
    return tuple(adset for adset in deferred if any(issue.startswith(NOT_BEGUN) for issue in adset.issues))


def reported_counts(result: RunResult, campaign: SyncReport) -> dict[Result, int]:
    """Return the number of ad sets by reported result: those that a switch stopped count as not started."""
    found = {each: campaign.count(each) for each in Result}
    stopped = len(stopped_by_switch(result, campaign))
    found[Result.DEFERRED] -= stopped
    found[Result.HELD] += stopped
    return found


def follows_demand(result: RunResult, campaign: SyncReport) -> bool:
    """Return whether a run makes a campaign follow today's demand."""
    return result.action is Action.SYNC and not campaign.left_to


def _grouped(items: Sequence[Item]) -> tuple[Item, ...]:
    """Merge items with the same text: those about things in one campaign, and those about campaigns themselves."""
    groups: dict[tuple[str, str, str, str], list[Item]] = {}
    for item in items:
        of = "" if item.noun == "campaign" else item.campaign
        groups.setdefault((of, item.noun, item.text, item.detail), []).append(item)
    return tuple(_together(group) for group in groups.values())


def _together(group: Sequence[Item]) -> Item:
    """Return one item for several with the same text."""
    first, count = group[0], sum(item.count for item in group)
    if first.noun == "campaign" and len(group) > 1:
        campaigns = ", ".join(item.campaign for item in group)
        return replace(first, campaign=campaigns, text=of_several(first.text), count=count)
    return replace(
        first,
        links=tuple(link for item in group for link in item.links),
        ads=tuple(ad for item in group for ad in item.ads) if count <= MAX_WITH_ADS else (),
        count=count,
    )


def adset_link(campaign: SyncReport, adset: AdSetResult | Recovery) -> Link:
    """Return the link to an ad set."""
    return _link(campaign, "adsets", "selected_adset_ids", adset.name, adset.id)


def ad_link(campaign: SyncReport, name: str, ad_id: str, adset_name: str) -> Link:
    """Return the link to an ad."""
    return replace(_link(campaign, "ads", "selected_ad_ids", name, ad_id), where=line(adset_name))


def _link(campaign: SyncReport, page: str, key: str, name: str, object_id: str) -> Link:
    account = campaign.fb_ad_account_id.removeprefix("act_")
    url = f"https://adsmanager.facebook.com/adsmanager/manage/{page}?act={account}&{key}={object_id}"
    known = all(number.isascii() and number.isdigit() for number in (account, object_id))
    return Link(line(name) or one_line(object_id, MAX_ID_CHARS), url * known)


def line(text: str) -> str:
    """Return a text from outside as a redacted line."""
    return one_line(text, MAX_ERROR_CHARS)


def signs(added: Iterable[str], removed: Iterable[str]) -> str:
    """Return a change of states as `+FL −TX`, redacted."""
    return signed(map(one_line, added), map(one_line, removed))
