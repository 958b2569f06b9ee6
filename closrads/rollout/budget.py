"""Time and quota needed to change ad sets, including their rollback."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from closrads.domain.adsets import AdSetSnapshot
from closrads.meta.graph import MAX_BATCH, READ_POINTS, RESERVED_SECONDS, WRITE_POINTS, GraphApi
from closrads.observability import logger

TOO_LITTLE_TIME = "Too little time was left to do it safely"
TIER_UNKNOWN = (
    "To change it and, if need be, put it back takes {} points of Meta's quota, and whether the access tier of {} "
    "allows so many could not be found out"
)
CALLS_PER_ADSET = 3
"""The write, and the read and write of a rollback; all other calls are batched."""
POINTS_PER_ADSET = 6 * READ_POINTS + 2 * WRITE_POINTS
"""The calls of `CALLS_PER_ADSET`, a read before the first write, a read-back of each write, and two verifications."""
POINTS_PER_AD = 2 * WRITE_POINTS
"""The re-publish, and another one after a rollback."""
MIN_SECONDS_PER_CALL = 0.1


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many ad sets of a queue, from its head, may be started now."""

    size: int
    why_none: str = ""
    """Why `size` is 0; empty otherwise."""
    never: bool = False
    """Whether the first ad set can never be started, or not until the access tier is known."""


def seconds_needed(api: GraphApi, adsets: Sequence[AdSetSnapshot], wait_seconds: float) -> float:
    """Return the seconds that these ad sets may take in total, including their rollback and the mail."""
    batches = math.ceil(sum(len(adset.active_ads) for adset in adsets) / MAX_BATCH)
    batches += math.ceil(2 * len(adsets) / MAX_BATCH)
    pace = max(2 * api.seconds_per_call, MIN_SECONDS_PER_CALL)
    return RESERVED_SECONDS + 2 * wait_seconds + (CALLS_PER_ADSET * len(adsets) + 2 * batches) * pace


def points_needed(adsets: Sequence[AdSetSnapshot]) -> int:
    """Return the points of Meta's quota that these ad sets may cost, including their rollback."""
    return sum(POINTS_PER_ADSET + POINTS_PER_AD * len(adset.active_ads) for adset in adsets)


def adsets_per_window(points: int, adset: AdSetSnapshot) -> int:
    """Return how many ad sets like this one can be changed with `points` in one window if none is rolled back.

    The last one must leave points for its rollback. Each costs two reads, the write, re-publishes and a verification.
    """
    spent = 3 * READ_POINTS + WRITE_POINTS * (1 + len(adset.active_ads))
    return max(0, (points - points_needed([adset])) // spent + 1)


def reserve_capacity(api: GraphApi, adsets: Sequence[AdSetSnapshot], wait_seconds: float) -> Capacity:
    """Return how many ad sets may be started and reserve their points, after a wait for quota if time allows one.

    The caller must release the `points_needed` of those ad sets when they are completed.
    """
    first = adsets[:1]
    while True:
        wait = api.quota.seconds_until(points_needed(first))
        if wait and api.prove_tier(first[0].id):
            continue
        if math.isinf(wait) and api.quota.limit is None:
            return Capacity(0, TIER_UNKNOWN.format(points_needed(first), api.ad_account_id), never=True)
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
