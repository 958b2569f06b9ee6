"""Whether time and Meta's quota suffice for ad sets to be changed and, if need be, put back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from closrads.domain.adsets import AdSetSnapshot
from closrads.meta.graph import MAX_BATCH, READ_POINTS, RESERVED_SECONDS, WRITE_POINTS, GraphApi
from closrads.observability import logger

TOO_LITTLE_TIME = "Too little time was left to do it safely"
CALLS_PER_ADSET = 3
"""Write it, and for a rollback read it and write it again; all else is read and re-published in batches."""
POINTS_PER_ADSET = 6 * READ_POINTS + 2 * WRITE_POINTS
"""The same, with a read before, a read back of each write, and two verifications of its ads."""
POINTS_PER_AD = 2 * WRITE_POINTS
"""It is re-published, and once more after a rollback."""
MIN_SECONDS_PER_CALL = 0.1


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many of the ad sets that wait, counted from the first, may be begun now."""

    size: int
    why_none: str = ""
    never: bool = False
    """Whether the first of them can never be begun."""


def seconds_needed(api: GraphApi, adsets: Sequence[AdSetSnapshot], wait_seconds: float) -> float:
    """Return what these ad sets may take together, their rollback and the mail included."""
    batches = math.ceil(sum(len(adset.active_ads) for adset in adsets) / MAX_BATCH)
    batches += math.ceil(2 * len(adsets) / MAX_BATCH)
    pace = max(2 * api.seconds_per_call, MIN_SECONDS_PER_CALL)
    return RESERVED_SECONDS + 2 * wait_seconds + (CALLS_PER_ADSET * len(adsets) + 2 * batches) * pace


def points_needed(adsets: Sequence[AdSetSnapshot]) -> int:
    """Return what these ad sets may cost of Meta's quota, their rollback included."""
    return sum(POINTS_PER_ADSET + POINTS_PER_AD * len(adset.active_ads) for adset in adsets)


def reserve_capacity(api: GraphApi, adsets: Sequence[AdSetSnapshot], wait_seconds: float) -> Capacity:
    """Find out how many may be begun, after a wait for quota if there is time for one, and set their points aside.

    The caller gives back `points_needed` of those when they are done with.
    """
    first = adsets[:1]
    while True:
        wait = api.quota.seconds_until(points_needed(first))
        if math.isinf(wait):
            why = (
                f"To change it and, if need be, put it back takes {points_needed(first)} points of Meta's quota; the "
                f"access tier allows {api.quota.limit} in five minutes. Ask Meta for full access, or give it fewer ads"
            )
            return Capacity(0, why, never=True)
        in_time = api.clock.remaining() - wait >= seconds_needed(api, first, wait_seconds)
        if wait > api.quota.max_wait_seconds or not in_time:
            why = f"Meta's quota for {api.ad_account_id} is used up, and there is too little time to wait for it"
            return Capacity(0, why if wait else TOO_LITTLE_TIME)
        if wait:
            logger.warning("quota.wait", extra={"ad_account_id": api.ad_account_id, "wait_seconds": wait})
            api.clock.sleep(wait)
        for size in range(len(adsets), 0, -1):
            in_time = api.clock.remaining() >= seconds_needed(api, adsets[:size], wait_seconds)
            if in_time and api.quota.reserve(points_needed(adsets[:size])):
                return Capacity(size)
