"""Edits of existing objects by any actor, recorded in the activity log."""

from typing import Any

from sandbox.meta import post_processing
from sandbox.meta.activity_log import Actor
from sandbox.meta.model import Ad, AdSet, Campaign
from sandbox.meta.recording import record_status, record_targeting
from sandbox.meta.targeting import region_keys


def write_targeting(adset: AdSet, new: dict[str, Any], actor: Actor, now: float, *, published: bool = False) -> None:
    """Replace the targeting, which restarts the learning phase.

    Meta then validates the ads again and may break them, unless they are `published` together with the ad set, as in
    Ads Manager. A write of the current targeting is not an edit.
    """
    old = adset.targeting
    if new == old:
        return
    adset.remember(now, adset.account.read_lag)
    adset.targeting = new
    adset.updated_time = adset.last_significant_edit = now
    adset.learning = "LEARNING"
    record_targeting(adset, old, new, actor, now)
    if not published:
        before, after = region_keys(old), region_keys(new)
        for ad in adset.ads:
            post_processing.time_passed(ad, now)
            post_processing.targeting_written(ad, before, after, now)


def set_status(node: Campaign | AdSet | Ad, status: str, actor: Actor, now: float) -> None:
    """Set the configured status; `post_processing` decides whether that repairs an ad."""
    if isinstance(node, Ad):
        post_processing.time_passed(node, now)
        if status != "ACTIVE":
            post_processing.switched_off(node)
    node.remember(now, node.account.read_lag)
    old, node.status = node.status, status
    node.updated_time = now
    record_status(node, old, status, actor, now)
