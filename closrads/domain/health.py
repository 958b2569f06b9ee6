"""How an ad does, and which ads of a change are still to be protected."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdIssue, AdSetSnapshot
from closrads.domain.changes import Change
from closrads.errors import MetaError
from closrads.redaction import one_line

MISSING_LEAD_FORM = 3390001
"""The error this system exists for: Meta has lost the link between an ad and its lead form."""
# Ad.effective_status, Marketing API reference "Ad".
_BROKEN = frozenset({"WITH_ISSUES", "DISAPPROVED"})
_IN_PROCESS = "IN_PROCESS"
_PENDING = frozenset({"PENDING_REVIEW", _IN_PROCESS, "PREAPPROVED", "PENDING_BILLING_INFO"})
_OFF = frozenset({"PAUSED", "ADSET_PAUSED", "CAMPAIGN_PAUSED", "ARCHIVED", "DELETED"})
_BEFORE_A_WRITE, _AFTER_A_WRITE = timedelta(seconds=5), timedelta(seconds=60)
"""Within these of a change, a pause may be Meta's own; its clock and ours may differ a little."""


def check_ad_health(adset: AdSetSnapshot) -> tuple[AdFinding, ...]:
    """Layer 1: return the ads that are broken, or of which Meta says something unknown; PURE.

    A person's pause, a pending review and a SOFT_ERROR are neither.
    """
    findings = (_examine(ad) for ad in adset.ads)
    return tuple(finding for finding in findings if finding.health in {AdHealth.BROKEN, AdHealth.UNREADABLE})


@dataclass(frozen=True, slots=True)
class Protected:
    """What there still is to protect of a change made by an earlier run."""

    adset: AdSetSnapshot
    """As it was before, with those of its ads that ought to run."""
    notes: tuple[str, ...] = ()
    """What a person should know of the others."""


def still_to_protect(change: Change, now: Iterable[Ad]) -> Protected:
    """Return which ads an earlier run's change is answerable for; PURE.

    An ad that ran before and is PAUSED now was paused by Meta or by a person, and Meta does not say by whom. Only what
    happened within a minute of the change, or shows an issue and was not touched later, counts as Meta's.
    """
    current = {ad.id: ad for ad in now}
    ads, notes = [], []
    for ad in change.before.active_ads:
        there = current.get(ad.id)
        if there is not None and (there.status == "ACTIVE" or _was_paused_by_meta(change, there)):
            ads.append(ad)
        else:
            state = "is no longer listed in its ad set" if there is None else f"is {there.status} now"
            notes.append(f"Ad “{ad.name}” ({ad.id}): ran before, {state}, and is left so: somebody may want it so")
    return Protected(replace(change.before, ads=tuple(ads)), tuple(notes))


def _was_paused_by_meta(change: Change, ad: Ad) -> bool:
    if ad.status != "PAUSED":
        return False
    first, last = change.prepared_at - _BEFORE_A_WRITE, change.changed_at + _AFTER_A_WRITE
    if ad.updated_at is not None and first <= ad.updated_at <= last:
        return True
    return (ad.updated_at is None or ad.updated_at < first) and _examine(ad).health is AdHealth.BROKEN


def _is_in_process(finding: AdFinding) -> bool:
    return finding.health is AdHealth.PENDING and finding.reason == _IN_PROCESS


def compare_ads(adset: AdSetSnapshot, now: Mapping[str, Ad] | MetaError) -> tuple[AdFinding, ...]:
    """Return how the ads of a snapshot do now, given what was read of them; PURE."""
    if isinstance(now, MetaError):
        return tuple(AdFinding(ad, AdHealth.UNREADABLE, str(now)) for ad in adset.ads)
    return tuple(_compare(ad, now.get(ad.id)) for ad in adset.ads)


def _compare(before: Ad, now: Ad | None) -> AdFinding:
    if now is None:
        return AdFinding(before, AdHealth.UNREADABLE, "is no longer listed in its ad set")
    if before.status == "ACTIVE" and "PAUSED" in {now.status, now.effective_status}:
        reason = _reasons(now.issues) or "Meta gives no reason"
        return AdFinding(now, AdHealth.BROKEN, f"was switched on before and is PAUSED now: {reason}")
    return _examine(now)


def _examine(ad: Ad) -> AdFinding:
    serious = [issue for issue in ad.issues if issue.type == "HARD_ERROR" or issue.code == MISSING_LEAD_FORM]
    if serious or ad.effective_status in _BROKEN:
        reason = _reasons(serious or ad.issues) or ad.review_feedback or "Meta gives no reason"
        return AdFinding(ad, AdHealth.BROKEN, f"{ad.effective_status}: {reason}")
    if ad.effective_status in _PENDING:
        return AdFinding(ad, AdHealth.PENDING, ad.effective_status)
    if ad.effective_status == "ACTIVE" or ad.effective_status in _OFF:
        return AdFinding(ad, AdHealth.HEALTHY)
    return AdFinding(ad, AdHealth.UNREADABLE, f"has a status that is not known here: {ad.effective_status}")


def _reasons(issues: Sequence[AdIssue]) -> str:
    return one_line("; ".join(map(str, issues)))
