"""The rules of ad health: which ads are broken, and who paused an ad."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from closrads.domain.adsets import GONE_STATUSES, LONG_AGO, Ad, AdFinding, AdHealth, AdIssue, AdSetSnapshot
from closrads.domain.changes import UnexplainedPause
from closrads.redaction import one_line

MISSING_LEAD_FORM = 3390001
"""Meta has lost the link between an ad and its lead form: the error that this system guards against."""
CLOCK_TOLERANCE = timedelta(minutes=1)
"""Tolerated difference between Meta's clock and ours."""
LOG_PRECISION = timedelta(seconds=3)
"""Tolerated difference between a time in the activity log, in whole seconds, and that of a read, which may lag."""

# Ad.effective_status, Marketing API reference "Ad".
_BROKEN = frozenset({"WITH_ISSUES", "DISAPPROVED"})
_IN_PROCESS = "IN_PROCESS"
_BILLING = "PENDING_BILLING_INFO"
_PENDING = frozenset({"PENDING_REVIEW", _IN_PROCESS, "PREAPPROVED", _BILLING})
_OFF = frozenset({"PAUSED", "ADSET_PAUSED", "CAMPAIGN_PAUSED"}) | GONE_STATUSES


class Actor(StrEnum):
    """Who changed an ad's status."""

    ADVERTISER = "advertiser"
    """A person, another app, or an advertiser's automated rule."""
    META = "meta"
    UNKNOWN = "unknown"


_CLAIMS = (Actor.ADVERTISER, Actor.UNKNOWN, Actor.META)
"""Whose pause it is, if several are named: no ad may be switched on that a person may have paused."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One row of Meta's activity log: an ad was switched on or off, or somebody began to edit it."""

    ad_id: str
    at: datetime
    ends_pause: bool
    """Whether an earlier pause is over, or may be: the ad was switched on, or edited with an unknown result."""
    actor: Actor
    name: str = ""
    """The actor's name, as Meta shows it."""


def who_paused(
    ad_id: str, log: Iterable[StatusChange], since: datetime, seen_on: datetime = LONG_AGO
) -> StatusChange | None:
    """Return the log row of the pause that is in effect; None if the log has none since `since`.

    Meta logs one pause in several rows, and the end of a review, which may come hours after a person's pause of the ad,
    as its own. A pause is therefore Meta's only if all of its rows are. Meta lists the newest row first, in whole
    seconds, so of several rows of the same second the first counts.

    A missing row proves nothing: Meta omits some (facebook-python-business-sdk #296), and shows others minutes late. So
    a pause by Meta from before the ad was seen on does not count, even if it is the last row.
    """
    rows = [row for row in log if row.ad_id == ad_id and row.at >= since - CLOCK_TOLERANCE]
    newest_first = sorted(rows, key=lambda row: row.at, reverse=True)
    of_pause = takewhile(lambda row: not row.ends_pause, newest_first)
    in_effect = (row for row in of_pause if not (row.actor is Actor.META and row.at + LOG_PRECISION < seen_on))
    return min(in_effect, key=lambda row: _CLAIMS.index(row.actor), default=None)


def check_ad_health(adset: AdSetSnapshot) -> tuple[AdFinding, ...]:
    """Layer 1: return the findings on ads that are broken or have an unknown status.

    A person's pause, a pending review and a SOFT_ERROR do not count as broken.
    """
    findings = (_examine(ad) for ad in adset.ads)
    return tuple(finding for finding in findings if finding.health in {AdHealth.BROKEN, AdHealth.UNREADABLE})


def unpaid_ads(adset: AdSetSnapshot) -> tuple[AdFinding, ...]:
    """Return the findings on ads that do not run because Meta waits for billing details of the ad account.

    They do not count as broken, because a change of states has nothing to do with it.
    """
    findings = (_examine(ad) for ad in adset.active_ads if ad.effective_status == _BILLING)
    return tuple(finding for finding in findings if finding.health is AdHealth.PENDING)


def compare_ads(
    before: Collection[Ad], now: Iterable[Ad], log: Iterable[StatusChange], since: datetime
) -> tuple[AdFinding, ...]:
    """Return the health of an ad set's ads after a change of its targeting.

    Parameters
    ----------
    before
        The ads that ran before the change, for which the change is responsible.
    now
        All current ads of the ad set. The change is responsible for a lost lead form of an ad that was added since, but
        for no other issue of such an ad.
    log
        Status changes of ads from the activity log, newest first; empty if it cannot be read.
    since
        When the change was prepared.
    """
    current = {ad.id: ad for ad in now}
    rows = tuple(log)
    known = {ad.id for ad in before}
    findings = [_compare(ad, current.get(ad.id), rows, since) for ad in before]
    others = (_examine(ad) for ad in current.values() if ad.id not in known and ad.status == "ACTIVE")
    return (*findings, *(finding for finding in others if _has_lost_its_form(finding.ad)))


def pauses_to_explain(before: Iterable[Ad], now: Iterable[Ad]) -> frozenset[str]:
    """Return the ids of the ads that ran before and are paused now, for which the activity log has to be read."""
    paused = {ad.id for ad in now if ad.status == "PAUSED"}
    return frozenset(ad.id for ad in before if ad.id in paused)


def broke_while_off(before: Iterable[Ad], now: Iterable[Ad]) -> frozenset[str]:
    """Return the ids of paused ads that did not run before and have lost their lead form since.

    Somebody may have switched them on in between; only the activity log shows that.
    """
    then = {ad.id: ad for ad in before}
    return frozenset(
        ad.id
        for ad in now
        if ad.status == "PAUSED"
        and _has_lost_its_form(ad)
        and ((was := then.get(ad.id)) is None or not (was.status == "ACTIVE" or _has_lost_its_form(was)))
    )


def switched_off_by_meta(
    before: Iterable[Ad], now: Iterable[Ad], log: Iterable[StatusChange], since: datetime
) -> tuple[Ad, ...]:
    """Return the ads that ran before the change and that Meta has paused since."""
    current = {ad.id: ad for ad in now}
    rows = tuple(log)
    pairs = ((ad, current.get(ad.id)) for ad in before)
    return tuple(
        there
        for ad, there in pairs
        if there is not None and there.status == "PAUSED" and _compare(ad, there, rows, since).health is AdHealth.BROKEN
    )


def responsible_for(
    before: Sequence[Ad], now: Sequence[Ad], log: Iterable[StatusChange], since: datetime
) -> tuple[Ad, ...]:
    """Return the ads that a change is responsible for: those that ran before it, and those that have run since.

    If Meta has paused an ad that was off before the change, somebody must have switched it on in between.
    """
    ran = {ad.id for ad in before}
    rows = tuple(log)
    pauses = {ad.id: who_paused(ad.id, rows, since) for ad in now if ad.status == "PAUSED" and ad.id not in ran}
    ran_since = (ad for ad in now if (row := pauses.get(ad.id)) is not None and row.actor is Actor.META)
    return (*before, *(replace(ad, status="ACTIVE") for ad in ran_since))


def still_unexplained(
    pause: UnexplainedPause, adset: AdSetSnapshot, log: Iterable[StatusChange]
) -> UnexplainedPause | None:
    """Return `pause` as its ads are now; None if none of them is left to follow.

    An ad is explained if it is gone, or if the activity log shows that the advertiser has paused it since it was last
    seen on. One that is on again is followed for another day: whatever paused it may pause it once more.
    """
    off = {ad.id: ad.name for ad in adset.ads if ad.status == "PAUSED"}
    on = frozenset(ad.id for ad in adset.ads if ad.is_on)
    gone = {*pause.ads, *pause.on_again} - {ad.id for ad in adset.ads if ad.status not in GONE_STATUSES}
    rows = tuple(log)

    def is_explained(ad_id: str) -> bool:
        seen_on = pause.seen_on.get(ad_id, LONG_AGO)
        return _is_by_advertiser(who_paused(ad_id, rows, pause.since, seen_on), seen_on)

    left = pause.without({*gone, *filter(is_explained, off)})
    return left and left.followed(off, on, adset.read_at)


def explained_as_metas(pause: UnexplainedPause, ads: Iterable[Ad], log: Iterable[StatusChange]) -> tuple[Ad, ...]:
    """Return the ads of `pause` that are still paused, and that Meta has paused according to the activity log."""
    rows = tuple(log)
    return tuple(
        ad
        for ad in ads
        if ad.id in pause.ads
        and ad.status == "PAUSED"
        and (row := who_paused(ad.id, rows, pause.since, pause.seen_on.get(ad.id, LONG_AGO))) is not None
        and row.actor is Actor.META
    )


def running(ads: Iterable[Ad]) -> tuple[Ad, ...]:
    """Return the ads that run, and have nothing wrong with them."""
    return tuple(
        ad for ad in ads if ad.status == ad.effective_status == "ACTIVE" and _examine(ad).health is AdHealth.HEALTHY
    )


def remembering(now: AdSetSnapshot, earlier: AdSetSnapshot) -> AdSetSnapshot:
    """Return an ad set as now, with the time at which an earlier read has seen each of its ads run."""
    ran = {ad.id: ad.seen_on for ad in earlier.ads if ad.seen_on > LONG_AGO}
    ran |= {ad.id: earlier.read_at for ad in running(earlier.ads)}
    return replace(now, ads=tuple(replace(ad, seen_on=ran.get(ad.id, ad.seen_on)) for ad in now.ads))


def is_rejected(finding: AdFinding) -> bool:
    """Return whether a broken ad only lacks Meta's approval, which no write of regions can give it."""
    ad = finding.ad
    lacks_more = not ad.is_on or ad.adset_issues or _has_lost_its_form(ad)
    return finding.health is AdHealth.BROKEN and ad.effective_status == "DISAPPROVED" and not lacks_more


def is_in_process(finding: AdFinding) -> bool:
    """Return whether Meta is still processing an ad; that takes seconds, whereas a review takes hours."""
    return finding.health is AdHealth.PENDING and finding.reason == _IN_PROCESS


def _compare(before: Ad, now: Ad | None, log: Sequence[StatusChange], since: datetime) -> AdFinding:
    if now is None or now.status in GONE_STATUSES:
        return AdFinding(before, AdHealth.HEALTHY)
    return _examine_paused(before, now, log, since) if now.status == "PAUSED" else _examine(now)


def _examine_paused(before: Ad, now: Ad, log: Sequence[StatusChange], since: datetime) -> AdFinding:
    """Return the health of a paused ad, by who paused it."""
    row = who_paused(now.id, log, since, before.seen_on)
    if _is_by_advertiser(row, before.seen_on):
        return AdFinding(now, AdHealth.HEALTHY)
    if _examine(now).health is AdHealth.BROKEN:
        why = _reasons(now.issues) or _why_broken(now)
        return AdFinding(now, AdHealth.BROKEN, f"was switched on before and is PAUSED now: {why}")
    if row is not None and row.actor is Actor.META:
        return AdFinding(now, AdHealth.BROKEN, "was switched on before, and Meta has paused it without giving a reason")
    return AdFinding(now, AdHealth.UNEXPLAINED, "was on before our change, is off now, and nobody can tell by whom")


def _is_by_advertiser(row: StatusChange | None, seen_on: datetime) -> bool:
    """Return whether a log row explains a pause as the advertiser's; one from before the ad was seen on does not."""
    return row is not None and row.actor is Actor.ADVERTISER and row.at + CLOCK_TOLERANCE >= seen_on


def _has_lost_its_form(ad: Ad) -> bool:
    return any(issue.code == MISSING_LEAD_FORM for issue in ad.issues)


def _examine(ad: Ad) -> AdFinding:
    if ad.unreadable:
        return AdFinding(ad, AdHealth.UNREADABLE, ad.unreadable)
    if why := _why_broken(ad):
        return AdFinding(ad, AdHealth.BROKEN, why)
    if ad.effective_status in _PENDING:
        return AdFinding(ad, AdHealth.PENDING, ad.effective_status)
    if ad.effective_status == "ACTIVE" or ad.effective_status in _OFF:
        return AdFinding(ad, AdHealth.HEALTHY)
    return AdFinding(ad, AdHealth.UNREADABLE, f"has a status that is not known here: {ad.effective_status}")


def _why_broken(ad: Ad) -> str:
    """Return what is wrong with an ad; empty if it is not broken."""
    if ad.status == "ACTIVE" and ad.effective_status == "PAUSED":
        # "Ads Webhooks", effective_status: the configured status distinguishes a user's pause from one by the system.
        return f"is switched on, and Meta has paused it: {_reasons(ad.issues) or 'no reason given'}"
    serious = [issue for issue in ad.issues if issue.type == "HARD_ERROR" or issue.code == MISSING_LEAD_FORM]
    if serious or ad.effective_status in _BROKEN:
        return (
            f"{ad.effective_status}: {_reasons(serious or ad.issues) or ad.review_feedback or 'Meta gives no reason'}"
        )
    if ad.adset_issues and ad.status == "ACTIVE":
        return f"WITH_ISSUES: its whole ad set has issues: {ad.adset_issues}"
    return ""


def _reasons(issues: Sequence[AdIssue]) -> str:
    return one_line("; ".join(map(str, issues)))
