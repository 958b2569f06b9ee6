"""Ad sets and ads as Meta returns them, and the health of ads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
GONE_STATUSES = frozenset({"ARCHIVED", "DELETED"})
"""Final statuses (Marketing API "Manage Your Ad Object's Status"), which only people set."""


@dataclass(frozen=True, slots=True)
class AdIssue:
    """One entry of Meta's `issues_info`."""

    code: int | None
    summary: str
    message: str
    type: str | None
    """`HARD_ERROR`, `SOFT_ERROR`, or None if Meta omits it."""

    def __str__(self) -> str:
        text = self.summary if self.message in {"", self.summary} else f"{self.summary}: {self.message}"
        return text if self.code is None or f"#{self.code}" in text else f"{text} (#{self.code})"


@dataclass(frozen=True, slots=True)
class Ad:
    """One ad, as read from Meta."""

    id: str
    name: str
    status: str
    """The configured status: `ACTIVE`, `PAUSED`, …"""
    effective_status: str
    """The actual status, which also reflects the parents, review and processing."""
    issues: tuple[AdIssue, ...] = ()
    review_feedback: str = ""
    unreadable: str = ""
    """Why Meta's row of the ad is not usable; empty if it is."""
    adset_issues: str = ""
    """What Meta reports as wrong with the whole ad set; empty if nothing, or if that was not read."""
    seen_on: datetime = field(default=LONG_AGO, compare=False)
    """When a change last saw it on, of which it is one of the ads; `LONG_AGO` if that is not known."""

    @property
    def is_on(self) -> bool:
        """Whether it is neither paused nor gone, however well it is."""
        return self.status == "ACTIVE" and self.effective_status != "PAUSED"


def with_sightings(ads: Iterable[Ad], seen_on: Mapping[str, datetime]) -> tuple[Ad, ...]:
    """Return ads with times, by ad id, at which they were seen on; of each, the latest counts."""
    return tuple(replace(ad, seen_on=max(ad.seen_on, seen_on.get(ad.id, LONG_AGO))) for ad in ads)


@dataclass(frozen=True, slots=True)
class AdSetSnapshot:
    """One ad set with all its ads, as read before any write."""

    id: str
    name: str
    meta_campaign_id: str
    effective_status: str
    targeting: Mapping[str, Any]
    """Meta's raw object, unmodified: typed objects lose keys in a round trip."""
    ads: tuple[Ad, ...] = ()
    read_at: datetime = LONG_AGO
    """When the read started."""
    end_time: datetime | None = None
    """When the ad set or its campaign ends, whichever is earlier; None if neither does. No status reflects it."""
    account_id: str = ""
    """The ad account's number, without `act_`; empty if Meta omits it."""
    special_ad_categories: tuple[str, ...] = ()
    """The campaign's, such as `HOUSING`."""
    learning_since: str | None = None
    """Start of the learning phase that it has not left, in ISO 8601, empty if Meta does not say; None otherwise."""
    full_name: str = ""
    """The name as Meta returns it, for patterns only: `name`, which reports show, is redacted and may be cut."""
    flaw: str = ""
    """Why the targeting cannot be used, and is empty here; empty if it can."""

    @property
    def active_ads(self) -> tuple[Ad, ...]:
        """The ads whose configured status is ACTIVE."""
        return tuple(ad for ad in self.ads if ad.status == "ACTIVE")

    @property
    def names(self) -> tuple[str, str]:
        """The name as reports show it, and as Meta returns it: a pattern may be copied from either."""
        return self.name, self.full_name

    def is_ended(self, margin: timedelta = timedelta(0)) -> bool:
        """Return whether the ad set had ended when it was read, or would within `margin` from then."""
        return self.end_time is not None and self.end_time <= self.read_at + margin


class AdHealth(StrEnum):
    """The health of an ad. An unknown state is neither healthy nor broken."""

    HEALTHY = "healthy"
    """Delivers, or is off because a person paused it or its parent is off."""
    PENDING = "pending"
    """In review or in process: not broken, but not verified either."""
    UNREADABLE = "unreadable"
    """Could not be read, or has a status that this package does not know."""
    UNEXPLAINED = "unexplained"
    """Ran before a change and is paused now, without an issue and without a known actor."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class AdFinding:
    """The health of one ad at one read."""

    ad: Ad
    health: AdHealth
    reason: str = ""

    def __str__(self) -> str:
        return f"Ad “{self.ad.name}” ({self.ad.id}): {self.reason}"
