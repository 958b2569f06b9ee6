"""Edits of what exists, whoever makes them."""

from typing import Any

from sandbox.meta import post_processing
from sandbox.meta.breakage import Effect
from sandbox.meta.model import Ad, AdSet
from sandbox.meta.targeting import region_keys


def write_targeting(adset: AdSet, new: dict[str, Any], now: float, *, published: bool) -> None:
    """Replace the targeting, which restarts learning.

    Meta validates the ads again, and may break them, unless they were `published` together with the ad set, as Ads
    Manager does. Targeting that stays as it was is no edit.
    """
    if new == adset.targeting:
        return
    before, after = region_keys(adset.targeting), region_keys(new)
    adset.targeting = new
    adset.updated_time = adset.last_significant_edit = now
    adset.learning = "LEARNING"
    if not published:
        for ad in adset.ads:
            post_processing.time_passed(ad, now)
            post_processing.targeting_written(ad, before, after, now)


def pause(ad: Ad, now: float) -> None:
    """Pause an ad as a person does. From then on the pause is the person's, even if Meta had paused the ad before."""
    post_processing.time_passed(ad, now)
    if ad.damage is not None and ad.damage.breakage.effect is Effect.PAUSED:
        ad.damage = None
    ad.status, ad.updated_time = "PAUSED", now
