"""Meta's activity log of changes.

Fields, event types and categories follow the reference of the edge "activities" and Meta's SDK
(`adobjects/adactivity.py`). The texts in `extra_data`, the legacy object types and the multiple rows of one pause
follow responses that users of the API have published. The delay until rows appear is undocumented, and a status change
without any row has been observed (facebook-python-business-sdk #296); both are therefore configurable.
"""

import json
from bisect import insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sandbox.meta import faults
from sandbox.server import Reply

TIME_ZONE = ZoneInfo("America/New_York")
"""The time zone of every ad account here."""


@dataclass(frozen=True)
class Actor:
    """An actor; for an advertiser's automated rule, `rule` names it and the log shows Meta as the actor."""

    id: str
    name: str
    application_id: str | None = None
    application: str | None = None
    rule: str | None = None


OWN = Actor("61550000000001", "Geo Sync System User", "111222333444555", "Example Geo Sync")
"""The owner of the access token."""
PERSON = Actor("122100000000000001", "Pat Example", "900000000000001", "Ads Manager")
OTHER_APP = Actor("122100000000000002", "Example Bid Tool", "900000000000002", "Example Bid Tool")
RULE = Actor("122100000000000003", "Meta", rule="Pause costly ads")
META = Actor("0", "Meta")


@dataclass(frozen=True)
class EventType:
    """A type of event, with its display name, its category and the legacy name of its object's type."""

    name: str
    label: str
    category: str
    object_type: str


AD_STATUS = EventType("update_ad_run_status", "Ad status updated", "STATUS", "ADGROUP")
AD_STATUS_AFTER_REVIEW = EventType(
    "update_ad_run_status_to_be_set_after_review", "Ad status to be set after review", "STATUS", "ADGROUP"
)
ADSET_STATUS = EventType("update_ad_set_run_status", "Ad set status updated", "STATUS", "CAMPAIGN")
CAMPAIGN_STATUS = EventType("update_campaign_run_status", "Campaign status updated", "STATUS", "CAMPAIGN_GROUP")
TARGETING = EventType("update_ad_set_target_spec", "Ad set targeting updated", "TARGETING", "CAMPAIGN")
DURATION = EventType("update_ad_set_duration", "Ad set duration updated", "DATE", "CAMPAIGN")
AD_CREATED = EventType("create_ad", "Ad created", "AD", "ADGROUP")

CATEGORIES = frozenset(
    {
        "ACCOUNT", "AD", "AD_KEYWORDS", "AD_SET", "AUDIENCE", "BID", "BUDGET", "CAMPAIGN", "DATE", "STATUS",
        "TARGETING",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Activity:
    """One row of the log."""

    time: float
    type: EventType
    actor: Actor
    object_id: str
    object_name: str
    extra: Mapping[str, Any]
    """Content of `extra_data`, except for the rule."""
    parents: tuple[str, ...]
    """Ids of the object's ad set and campaign."""


@dataclass
class ActivityLog:
    """The log of one ad account, with configurable deficiencies."""

    rows: list[Activity] = field(default_factory=list)
    """Rows by time, oldest first."""
    delay: float = 0.0
    """Seconds until a row is visible."""
    spread: float = 0.0
    """Seconds between the first and the last row of one status change."""
    missing: Callable[[Activity], bool] | None = None
    """Predicate for rows that are never written; None if all are."""
    widest: float | None = None
    """Maximum readable window in seconds; None for no limit."""
    too_wide: Reply = faults.UNKNOWN_ERROR
    """Response to a read of a longer window."""
    oid: Literal["honoured", "ignored", "refused"] = "honoured"
    """Behaviour of the filter `oid`, on which reports by clients differ."""

    def add(self, activity: Activity) -> None:
        """Write a row, unless `missing` applies to it."""
        if self.missing is not None and self.missing(activity):
            return
        if not self.rows or self.rows[-1].time <= activity.time:
            self.rows.append(activity)
        else:
            insort(self.rows, activity, key=lambda row: row.time)

    def between(self, since: float, until: float, now: float) -> Iterator[Activity]:
        """Return the visible rows of a window, newest first."""
        return (row for row in reversed(self.rows) if since <= row.time <= until and row.time + self.delay <= now)


def _event_time(row: Activity) -> str:
    return datetime.fromtimestamp(int(row.time), UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _local_time(row: Activity) -> str:
    return datetime.fromtimestamp(row.time, TIME_ZONE).strftime("%m/%d/%Y at %I:%M %p")


def _extra_data(row: Activity) -> str:
    rule = row.actor.rule
    told = {"rule_info": {"rule_id": int(row.actor.id), "rule_name": rule}} if rule is not None else {}
    return json.dumps({**row.extra, **told}, separators=(",", ":"))


# A value of None omits the key.
FIELDS: Mapping[str, Callable[[Activity], str | None]] = {
    "event_time": _event_time,
    "event_type": lambda row: row.type.name,
    "translated_event_type": lambda row: row.type.label,
    "actor_id": lambda row: row.actor.id,
    "actor_name": lambda row: row.actor.name,
    "application_id": lambda row: row.actor.application_id,
    "application_name": lambda row: row.actor.application,
    "date_time_in_timezone": _local_time,
    "object_type": lambda row: row.type.object_type,
    "object_id": lambda row: row.object_id,
    "object_name": lambda row: row.object_name,
    "extra_data": _extra_data,
    "tool": lambda _: None,  # new in 2026; no value has been published
}
