"""Rows of the activity log for changes."""

from typing import Any

from sandbox.meta import activity_log
from sandbox.meta.activity_log import META, Activity, Actor, EventType
from sandbox.meta.model import Ad, AdSet, Campaign

# The log has display texts, not the values of the API.
_WORDS = {
    "ACTIVE": "Active",
    "PAUSED": "Inactive",
    "ARCHIVED": "Archived",
    "DELETED": "Deleted",
    "PENDING_REVIEW": "Pending Review",
}
_PROCESSING = "Pending Process"


def record_status(node: Campaign | AdSet | Ad, old: str, new: str, actor: Actor, now: float) -> None:
    """Record a change of status.

    Processing an ad makes several rows: three for a change, two for a re-publish. Meta's own changes make one row.
    """
    before, after = _WORDS.get(old, old), _WORDS.get(new, new)
    if isinstance(node, Ad) and actor is not META:
        _record_processing(node, before, after, actor, now)
    elif old != new:
        types = {Campaign: activity_log.CAMPAIGN_STATUS, AdSet: activity_log.ADSET_STATUS, Ad: activity_log.AD_STATUS}
        _record(node, types[type(node)], actor, now, _run_status(node, before, after))


def _record_processing(ad: Ad, before: str, after: str, actor: Actor, now: float) -> None:
    if before == after != "Active":
        return
    status, spread = activity_log.AD_STATUS, ad.account.activities.spread
    _record(ad, status, actor, now, _run_status(ad, before, _PROCESSING))
    if before != after:
        extra = {**_run_status(ad, before, after), "campaign_id": {"new": int(ad.adset.id)}}
        _record(ad, activity_log.AD_STATUS_AFTER_REVIEW, actor, now + spread / 2, extra)
    _record(ad, status, actor, now + spread, _run_status(ad, _PROCESSING, after))


def _run_status(node: Campaign | AdSet | Ad, before: str, after: str) -> dict[str, Any]:
    extra: dict[str, Any] = {"old_value": before, "new_value": after, "type": "run_status"}
    # Ad sets were formerly called campaigns, and still are in the rows of ads.
    return extra | ({"campaign_id": int(node.adset.id)} if isinstance(node, Ad) else {})


def record_targeting(adset: AdSet, before: dict[str, Any], after: dict[str, Any], actor: Actor, now: float) -> None:
    """Record a replacement of an ad set's targeting."""
    extra = {"old_value": _described(before), "new_value": _described(after), "type": "targets_spec"}
    _record(adset, activity_log.TARGETING, actor, now, extra)


def record_creation(ad: Ad, actor: Actor, now: float) -> None:
    """Record the creation of an ad."""
    _record(ad, activity_log.AD_CREATED, actor, now, {"campaign_id": int(ad.adset.id)})


def record_duration(adset: AdSet, before: float | None, after: float | None, actor: Actor, now: float) -> None:
    """Record a change of an ad set's end time."""
    extra = {"old_value": before, "new_value": after, "type": "duration"}
    _record(adset, activity_log.DURATION, actor, now, extra)


def _described(targeting: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the targeting as the log describes it: as texts, which no client can write back."""
    regions = [str(each.get("name")) for each in (targeting.get("geo_locations") or {}).get("regions", [])]
    ages = f"{targeting.get('age_min', 18)} - {targeting.get('age_max', 65)}"
    return [
        {"content": "Location - Living in:", "children": [f"United States: {', '.join(regions)}"]},
        {"content": "Age:", "children": [ages]},
    ]


def _record(node: Campaign | AdSet | Ad, kind: EventType, actor: Actor, time: float, extra: dict[str, Any]) -> None:
    parents: tuple[str, ...] = ()
    match node:
        case AdSet():
            parents = (node.campaign.id,)
        case Ad():
            parents = (node.adset.id, node.adset.campaign.id)
    node.account.activities.add(Activity(time, kind, actor, node.id, node.name, extra, parents))
