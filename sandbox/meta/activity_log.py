"""Meta's activity log: who changed what, and when.

Fields, event types and categories are those of the reference of the edge "activities" and of Meta's SDK
(`adobjects/adactivity.py`). The words in `extra_data`, the legacy object types and the several rows of one pause are as
in answers that users of the API have published. How long rows take to appear is not published, and a status change has
been seen without any row (facebook-python-business-sdk #296): hence the settings.
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
"""That of every ad account here."""


@dataclass(frozen=True)
class Actor:
    """Who acts; `rule` names the advertiser's automated rule that does, which the log shows as Meta."""

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
    """A type of event, with the name that people read, its category and its object's type under its old name."""

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
    """What becomes `extra_data`, but for the rule."""
    parents: tuple[str, ...]
    """The ids of the ad set and the campaign that the object belongs to."""


@dataclass
class ActivityLog:
    """The log of one ad account, and how well it is kept."""

    rows: list[Activity] = field(default_factory=list)
    """By time, the oldest first."""
    delay: float = 0.0
    """Seconds until a row can be read."""
    spread: float = 0.0
    """Seconds between the first and the last row that one change of an ad's status makes."""
    missing: Callable[[Activity], bool] | None = None
    """Which rows are never written; None for all are."""
    widest: float | None = None
    """The longest window in seconds that can be read at once; None for no limit."""
    too_wide: Reply = faults.UNKNOWN_ERROR
    """The answer to a read of a longer one."""
    oid: Literal["honoured", "ignored", "refused"] = "honoured"
    """What becomes of the filter `oid`, of which clients tell different things."""

    def add(self, activity: Activity) -> None:
        """Write a row, unless it is one that shall be missing."""
        if self.missing is not None and self.missing(activity):
            return
        if not self.rows or self.rows[-1].time <= activity.time:
            self.rows.append(activity)
        else:
            insort(self.rows, activity, key=lambda row: row.time)

    def between(self, since: float, until: float, now: float) -> Iterator[Activity]:
        """Return the rows of a window that can be read now, the newest first."""
        return (row for row in reversed(self.rows) if since <= row.time <= until and row.time + self.delay <= now)


def _event_time(row: Activity) -> str:
    return datetime.fromtimestamp(int(row.time), UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _local_time(row: Activity) -> str:
    return datetime.fromtimestamp(row.time, TIME_ZONE).strftime("%m/%d/%Y at %I:%M %p")


def _extra_data(row: Activity) -> str:
    rule = row.actor.rule
    told = {"rule_info": {"rule_id": int(row.actor.id), "rule_name": rule}} if rule is not None else {}
    return json.dumps({**row.extra, **told}, separators=(",", ":"))


# A value of None leaves the key out.
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
    "tool": lambda _: None,  # new in 2026; no value of it has been published
}
