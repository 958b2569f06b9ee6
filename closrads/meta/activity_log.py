"""Reads the activity log of an ad account: who switched ads on or off, and who edited locations."""

import math
from datetime import datetime

from closrads.domain.drift import TargetingEdit
from closrads.domain.health import CLOCK_TOLERANCE, StatusChange
from closrads.errors import MetaError
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.meta.parsing import parse_status_change, parse_targeting_edit
from closrads.observability import logger

ACTIVITIES_PER_PAGE = 100
MAX_ACTIVITY_PAGES = 5
"""Maximum number of pages of the activity log that are read for the name of a person."""
_ACTIVITY_FIELDS = "event_time,event_type,object_id,actor_name,extra_data"
_EDIT_FIELDS = f"{_ACTIVITY_FIELDS},application_id"


def read_status_changes(
    api: GraphApi, since: datetime, *, reserve: float = RESERVED_SECONDS
) -> tuple[StatusChange, ...]:
    """Return the ad status changes in the ad account's activity log since `since`, newest first.

    Empty if the log cannot be read (Marketing API reference "Ad Account Activities").
    """
    params = {"fields": _ACTIVITY_FIELDS, "category": "STATUS", "since": int((since - CLOCK_TOLERANCE).timestamp())}
    try:
        rows = api.get_all(f"{api.ad_account_id}/activities", params, ACTIVITIES_PER_PAGE, reserve=reserve)
    except MetaError as error:
        logger.warning("meta.no_activity_log", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return ()
    return tuple(change for row in rows if (change := parse_status_change(row)) is not None)


def read_targeting_edits(api: GraphApi, since: datetime) -> tuple[TargetingEdit, ...]:
    """Return the edits of locations in the ad account's activity log since `since`, newest first, without retries.

    Empty if the log cannot be read, which takes `ads_read` (Marketing API reference "Ad Account Activities").
    """
    params = {"fields": _EDIT_FIELDS, "category": "TARGETING", "since": int(since.timestamp())}
    path = f"{api.ad_account_id}/activities"
    try:
        rows = api.get_all(path, params, ACTIVITIES_PER_PAGE, reserve=math.inf, max_pages=MAX_ACTIVITY_PAGES)
    except MetaError as error:
        logger.warning("meta.no_activity_log", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return ()
    return tuple(edit for row in rows if (edit := parse_targeting_edit(row)) is not None)
