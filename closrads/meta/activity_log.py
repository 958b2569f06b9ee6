"""Reads the activity log of an ad account: who switched ads on or off, and who edited locations."""

import math
from datetime import datetime, timedelta

from closrads.domain.drift import TargetingEdit
from closrads.domain.health import CLOCK_TOLERANCE, StatusChange
from closrads.errors import MetaError
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.meta.parsing import parse_status_change, parse_targeting_edit
from closrads.observability import logger

ACTIVITIES_PER_PAGE = 100
MAX_ACTIVITY_PAGES = 5
"""Maximum number of pages of the activity log that are read: the log of a busy ad account would use up the quota."""
MAX_PAUSE_AGE = timedelta(days=30)
"""Maximum period in which pauses are looked for; for a longer one, Meta may not answer for a busy ad account."""
MAX_EDIT_AGE = timedelta(days=7)
"""Period in which edits are looked for, because the last one counts; for a longer one, Meta may not answer."""
_ACTIVITY_FIELDS = "event_time,event_type,object_id,actor_name,extra_data"
_EDIT_FIELDS = f"{_ACTIVITY_FIELDS},application_id"


def read_status_changes(
    api: GraphApi, since: datetime, *, reserve: float = RESERVED_SECONDS
) -> tuple[StatusChange, ...]:
    """Return the ad status changes in the ad account's activity log since `since`, newest first.

    What is older than `MAX_PAUSE_AGE`, or beyond `MAX_ACTIVITY_PAGES`, is left out: a row may always be missing. Empty
    if the log cannot be read (Marketing API reference "Ad Account Activities").
    """
    first = max(since, api.clock.now() - MAX_PAUSE_AGE) - CLOCK_TOLERANCE
    params = {"fields": _ACTIVITY_FIELDS, "category": "STATUS", "since": int(first.timestamp())}
    path = f"{api.ad_account_id}/activities"
    try:
        rows = api.get_all(path, params, ACTIVITIES_PER_PAGE, reserve=reserve, max_pages=MAX_ACTIVITY_PAGES)
    except MetaError as error:
        logger.warning("meta.no_activity_log", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return ()
    return tuple(change for row in rows if (change := parse_status_change(row)) is not None)


def read_targeting_edits(api: GraphApi, since: datetime) -> tuple[TargetingEdit, ...]:
    """Return the edits of locations in the ad account's activity log since `since`, newest first, without retries.

    What is older than `MAX_EDIT_AGE`, or beyond `MAX_ACTIVITY_PAGES`, is left out. Empty if the log cannot be read,
    which takes `ads_read` (Marketing API reference "Ad Account Activities").
    """
    first = max(since, api.clock.now() - MAX_EDIT_AGE)
    params = {"fields": _EDIT_FIELDS, "category": "TARGETING", "since": int(first.timestamp())}
    path = f"{api.ad_account_id}/activities"
    try:
        rows = api.get_all(path, params, ACTIVITIES_PER_PAGE, reserve=math.inf, max_pages=MAX_ACTIVITY_PAGES)
    except MetaError as error:
        logger.warning("meta.no_activity_log", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return ()
    edits = (edit for row in rows if (edit := parse_targeting_edit(row)) is not None)
    return tuple(sorted(edits, key=lambda edit: edit.at, reverse=True))
