"""Ad sets and ads as Meta shows them, and what their health is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AdIssue:
    """One entry of Meta's `issues_info`."""

    code: int | None
    summary: str
    message: str
    type: str | None
    """`HARD_ERROR`, `SOFT_ERROR`, or None: Meta does not always say."""

    def __str__(self) -> str:
        text = self.summary if self.message in {"", self.summary} else f"{self.summary}: {self.message}"
        return text if self.code is None or f"#{self.code}" in text else f"{text} (#{self.code})"


@dataclass(frozen=True, slots=True)
class Ad:
    """One ad as it was read."""

    id: str
    name: str
    status: str
    """What was asked for: `ACTIVE`, `PAUSED`, …"""
    effective_status: str
    """What is: also reflects parents, review and processing."""
    issues: tuple[AdIssue, ...] = ()
    review_feedback: str = ""


@dataclass(frozen=True, slots=True)
class AdSetSnapshot:
    """One ad set with all its ads, as read before anything is written."""

    id: str
    name: str
    meta_campaign_id: str
    effective_status: str
    targeting: Mapping[str, Any]
    """Meta's raw object, untouched: typed objects lose keys on the way back."""
    ads: tuple[Ad, ...] = ()
    read_at: datetime = LONG_AGO
    """When the reading began."""

    @property
    def active_ads(self) -> tuple[Ad, ...]:
        """The ads that are switched on."""
        return tuple(ad for ad in self.ads if ad.status == "ACTIVE")


class AdHealth(StrEnum):
    """How an ad does. Not knowing is neither good nor bad."""

    HEALTHY = "healthy"
    """Delivers, or is off because a person or a parent wants it so."""
    PENDING = "pending"
    """In review or in process: not broken, not proven."""
    UNREADABLE = "unreadable"
    """Could not be read, or Meta says something this package does not know."""
    UNEXPLAINED = "unexplained"
    """Ran before a change and is off now, without an issue and without a trace of who did it."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class AdFinding:
    """What a read of one ad showed."""

    ad: Ad
    health: AdHealth
    reason: str = ""

    def __str__(self) -> str:
        return f"Ad “{self.ad.name}” ({self.ad.id}): {self.reason}"
