"""Meta's objects: accounts, campaigns, ad sets, ads; and the records of calls."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.activity_log import ActivityLog
from sandbox.meta.breakage import Breakage, Damage
from sandbox.meta.quota import READ_POINTS, WRITE_POINTS, Quota

GONE = frozenset({"ARCHIVED", "DELETED"})
"""Statuses that lists omit by default."""
COUNTED_SECONDS = 60.0


@dataclass(kw_only=True, eq=False)
class Account:
    """An ad account and its share of Meta's limits."""

    id: str
    quota: Quota | None
    """None for no limits and no usage headers."""
    name: str = "Example Leads"
    status: int = 1
    """`account_status`: 1 is active, 2 is disabled (Marketing API reference "Ad Account")."""
    controls: dict[str, Any] | None = None
    """Content of the edge "account_controls": restrictions that override those of the ad sets."""
    audience_terms_accepted: bool = True
    """Whether ad sets with custom audiences can be edited; otherwise, a person must accept the terms first."""
    shows_usage: bool = True
    """Whether responses have usage headers ("Headers appear only after enough calls"); limits apply regardless."""
    other_usage: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Entries of other quotas in the usage header, by object id."""
    tasks: tuple[str, ...] = ("ADVERTISE", "ANALYZE", "DRAFT", "MANAGE")
    """Tasks of the token's owner."""
    campaigns: "list[Campaign]" = field(default_factory=list, repr=False)
    default_breakage: "Callable[[Ad], Breakage | None] | None" = field(default=None, repr=False)
    """Breakage of ads that have none of their own; None if they do not break."""
    read_lag: float = 0.0
    """Seconds for which reads of an object still show its state before a write."""
    activities: ActivityLog = field(default_factory=ActivityLog, repr=False)
    _active_ads: tuple[float, int] = (-math.inf, 0)

    def active_ads(self, now: float) -> int:
        """Return the number of running ads, cached for a minute, which is sufficient for the limits."""
        counted_at, number = self._active_ads
        if now - counted_at >= COUNTED_SECONDS:
            number = sum(ad.effective_status == "ACTIVE" for ad in self.ads)
            self._active_ads = now, number
        return number

    @property
    def account(self) -> "Account":
        """The account itself, as for every object."""
        return self

    @property
    def adsets(self) -> "list[AdSet]":
        """The ad sets of all of its campaigns."""
        return [adset for campaign in self.campaigns for adset in campaign.adsets]

    @property
    def ads(self) -> "list[Ad]":
        """The ads of all of its campaigns."""
        return [ad for campaign in self.campaigns for ad in campaign.ads]


@dataclass(kw_only=True, eq=False)
class _Delivering:
    """Common attributes of campaigns, ad sets and ads: a configured status that parents, issues and Meta override."""

    id: str
    name: str
    status: str = "ACTIVE"
    issues: list[dict[str, Any]] = field(default_factory=list)
    created_time: float = 0.0
    updated_time: float = 0.0
    overruled: str | None = None
    """Effective status set by Meta's processing or review; None if it is derived."""
    past: list[tuple[float, Any]] = field(default_factory=list, repr=False)
    """Earlier states, each with the time until which reads show it."""

    def remember(self, now: float, lag: float) -> None:
        """Save the current state for lagging reads."""
        self.past = [(until, before) for until, before in self.past if until > now]
        if lag:
            before = copy.copy(self)
            before.issues, before.past = list(self.issues), []
            self.past.append((now + lag, before))

    def seen(self, now: float) -> Any:
        """Return the object as a read at this time shows it: its current or an earlier state."""
        return next((before for until, before in self.past if now < until), self)

    def _inherited(self) -> str | None:
        """Return the effective status imposed by a parent that does not run; None if there is none."""
        return None

    @property
    def effective_status(self) -> str:
        """The effective status; set it to override the derived value, or to None to restore that."""
        if self.overruled is not None:
            return self.overruled
        if self.status != "ACTIVE":
            return self.status
        inherited = self._inherited()
        if inherited is not None:
            return inherited
        return "WITH_ISSUES" if any(issue.get("error_type") == "HARD_ERROR" for issue in self.issues) else "ACTIVE"

    @effective_status.setter
    def effective_status(self, value: str | None) -> None:
        self.overruled = value


@dataclass(kw_only=True, eq=False)
class Campaign(_Delivering):
    """A Meta campaign."""

    account: Account
    start_time: float | None = None
    stop_time: float | None = None
    special_ad_categories: tuple[str, ...] = ()
    adsets: "list[AdSet]" = field(default_factory=list, repr=False)

    @property
    def ads(self) -> "list[Ad]":
        """The ads of all of its ad sets."""
        return [ad for adset in self.adsets for ad in adset.ads]


@dataclass(kw_only=True, eq=False)
class AdSet(_Delivering):
    """An ad set; `targeting` has the form in which it is read."""

    campaign: Campaign
    targeting: dict[str, Any]
    last_significant_edit: float = 0.0
    learning: str | None = "SUCCESS"
    """None omits `learning_stage_info` from reads."""
    start_time: float | None = None
    end_time: float | None = None
    budget_remaining: int = 5_000
    """In cents. Neither a budget of 0 nor a past `end_time` affects the effective status."""
    ads: "list[Ad]" = field(default_factory=list, repr=False)

    @property
    def account(self) -> Account:
        """The account of the campaign."""
        return self.campaign.account

    def is_ended(self, now: float) -> bool:
        """Return whether the end of the ad set or of its campaign is past; the time zero is none."""
        ends = (self.end_time, self.campaign.stop_time)
        return any(end is not None and 0 < end <= now for end in ends)

    def _inherited(self) -> str | None:
        return _imposed(self.campaign.effective_status, "CAMPAIGN")


@dataclass(kw_only=True, eq=False)
class Ad(_Delivering):
    """An ad; `breakage` is the effect of a write of its ad set's targeting."""

    adset: AdSet
    review_feedback: dict[str, Any] | None = None
    breakage: Breakage | None = None
    damage: Damage | None = None

    @property
    def account(self) -> Account:
        """The account of the campaign."""
        return self.adset.account

    def _inherited(self) -> str | None:
        # The ad set's configured status: its processing and issues do not affect its ads.
        return _imposed(self.adset.campaign.effective_status, "CAMPAIGN") or _imposed(self.adset.status, "ADSET")


def _imposed(status: str, parent: str) -> str | None:
    if status == "ACTIVE":
        return None
    return f"{parent}_PAUSED" if status == "PAUSED" else status


Node = Account | Campaign | AdSet | Ad


@dataclass
class Operation:
    """One call of the Graph API, single or batched; `params` are decoded and contain no token."""

    method: str
    path: str
    """Path without version and outer slashes, such as `120210000000000017/ads`."""
    params: dict[str, str]
    kind: str = "unknown"
    """adset, ad, campaign, account; adsets, ads, campaigns for listed edges; search, debug_token; batch."""
    status: int = 0
    """HTTP status of the response; 0 before it is sent, or if the client receives none."""
    applied: bool = False
    """Whether the call changed anything at Meta, regardless of the response."""

    @property
    def object_id(self) -> str:
        """The object id at the start of the path."""
        return self.path.partition("/")[0]

    @property
    def points(self) -> int:
        """Points of the call in Meta's score."""
        return READ_POINTS if self.method == "GET" else WRITE_POINTS


@dataclass
class Request:
    """One HTTP exchange. The operations of a batch are its items; any other request is its own only operation."""

    method: str
    path: str
    params: dict[str, str]
    operations: list[Operation] = field(default_factory=list)
    status: int = 0
    """HTTP status of the response; 0 if the client receives none."""
