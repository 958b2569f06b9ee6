"""What Meta keeps: accounts, campaigns, ad sets, ads; and what the sandbox notes down of each call."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.activity_log import ActivityLog
from sandbox.meta.breakage import Breakage, Damage
from sandbox.meta.quota import READ_POINTS, WRITE_POINTS, Quota

GONE = frozenset({"ARCHIVED", "DELETED"})
"""Left out of every list that does not ask for them."""
COUNTED_SECONDS = 60.0


@dataclass(kw_only=True, eq=False)
class Account:
    """An ad account with its share of Meta's limits."""

    id: str
    quota: Quota | None
    """None if nothing is counted and no answer tells of a limit."""
    name: str = "Example Leads"
    status: int = 1
    """`account_status`: 1 is active, 2 is disabled (Marketing API reference "Ad Account")."""
    controls: dict[str, Any] | None = None
    """What the edge "account_controls" holds: limits above those of the ad sets."""
    audience_terms_accepted: bool = True
    """False: ad sets with custom audiences cannot be edited until a person accepts the terms."""
    shows_usage: bool = True
    """False: the limits hold, and no header ever tells of them ("Headers appear only after enough calls")."""
    other_usage: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Entries of other quotas that the usage header shows beside this account's own, by object id."""
    tasks: tuple[str, ...] = ("ADVERTISE", "ANALYZE", "DRAFT", "MANAGE")
    """What the owner of the token may do."""
    campaigns: "list[Campaign]" = field(default_factory=list, repr=False)
    default_breakage: "Callable[[Ad], Breakage | None] | None" = field(default=None, repr=False)
    """How ads break that have no breakage of their own; None if they do not."""
    read_lag: float = 0.0
    """For so many seconds after a write, reads of the object show it as it was before."""
    activities: ActivityLog = field(default_factory=ActivityLog, repr=False)
    _active_ads: tuple[float, int] = (-math.inf, 0)

    def active_ads(self, now: float) -> int:
        """Return how many ads run, counted anew every minute as the limits need no more."""
        counted_at, number = self._active_ads
        if now - counted_at >= COUNTED_SECONDS:
            number = sum(ad.effective_status == "ACTIVE" for ad in self.ads)
            self._active_ads = now, number
        return number

    @property
    def account(self) -> "Account":
        """Itself: every object has an account."""
        return self

    @property
    def adsets(self) -> "list[AdSet]":
        """The ad sets of all its campaigns."""
        return [adset for campaign in self.campaigns for adset in campaign.adsets]

    @property
    def ads(self) -> "list[Ad]":
        """The ads of all its campaigns."""
        return [ad for campaign in self.campaigns for ad in campaign.ads]


@dataclass(kw_only=True, eq=False)
class _Delivering:
    """What campaigns, ad sets and ads share: a status of their own that parents, issues and Meta overrule."""

    id: str
    name: str
    status: str = "ACTIVE"
    issues: list[dict[str, Any]] = field(default_factory=list)
    created_time: float = 0.0
    updated_time: float = 0.0
    overruled: str | None = None
    """What Meta's processing or review makes of the effective status, if anything."""
    past: list[tuple[float, Any]] = field(default_factory=list, repr=False)
    """Copies of it as it was, each with the time until which reads show it instead."""

    def remember(self, now: float, lag: float) -> None:
        """Keep what it is like now, for reads that lag behind."""
        self.past = [(until, before) for until, before in self.past if until > now]
        if lag:
            before = copy.copy(self)
            before.issues, before.past = list(self.issues), []
            self.past.append((now + lag, before))

    def seen(self, now: float) -> Any:
        """Return what a read shows at a time: itself, or as it was."""
        return next((before for until, before in self.past if now < until), self)

    def _inherited(self) -> str | None:
        """Return the effective status that a parent which does not run imposes."""
        return None

    @property
    def effective_status(self) -> str:
        """The status that counts. Set it to overrule what follows from the rest, or to None to stop that."""
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
        """The ads of all its ad sets."""
        return [ad for adset in self.adsets for ad in adset.ads]


@dataclass(kw_only=True, eq=False)
class AdSet(_Delivering):
    """An ad set; `targeting` is what a read of it shows."""

    campaign: Campaign
    targeting: dict[str, Any]
    last_significant_edit: float = 0.0
    learning: str | None = "SUCCESS"
    """None: a read has no `learning_stage_info`."""
    start_time: float | None = None
    end_time: float | None = None
    budget_remaining: int = 5_000
    """In cents. Neither this at 0 nor a past `end_time` shows in the effective status."""
    ads: "list[Ad]" = field(default_factory=list, repr=False)

    @property
    def account(self) -> Account:
        """The account of its campaign."""
        return self.campaign.account

    def is_ended(self, now: float) -> bool:
        """Tell whether its end or that of its campaign is past."""
        ends = (self.end_time, self.campaign.stop_time)
        return any(end is not None and end <= now for end in ends)

    def _inherited(self) -> str | None:
        return _imposed(self.campaign.effective_status, "CAMPAIGN")


@dataclass(kw_only=True, eq=False)
class Ad(_Delivering):
    """An ad; `breakage` is what a targeting write of its ad set does to it."""

    adset: AdSet
    review_feedback: dict[str, Any] | None = None
    breakage: Breakage | None = None
    damage: Damage | None = None

    @property
    def account(self) -> Account:
        """The account of its campaign."""
        return self.adset.account

    def _inherited(self) -> str | None:
        # The configured status of the ad set: its processing and its issues are not its ads'.
        return _imposed(self.adset.campaign.effective_status, "CAMPAIGN") or _imposed(self.adset.status, "ADSET")


def _imposed(status: str, parent: str) -> str | None:
    if status == "ACTIVE":
        return None
    return f"{parent}_PAUSED" if status == "PAUSED" else status


Node = Account | Campaign | AdSet | Ad


@dataclass
class Operation:
    """One call of the Graph API, alone or as an item of a batch; `params` are decoded and hold no token."""

    method: str
    path: str
    """Without version and outer slashes, such as `120210000000000017/ads`."""
    params: dict[str, str]
    kind: str = "unknown"
    """adset, ad, campaign, account; the edge that is listed (adsets, ads, campaigns); search, debug_token; batch."""
    status: int = 0
    """HTTP status of the answer; 0 until there is one, and where the client gets none."""
    applied: bool = False
    """It changed something at Meta, whatever the answer says."""

    @property
    def object_id(self) -> str:
        """The id that the path starts with."""
        return self.path.partition("/")[0]

    @property
    def points(self) -> int:
        """What Meta's score counts for it."""
        return READ_POINTS if self.method == "GET" else WRITE_POINTS


@dataclass
class Request:
    """One HTTP exchange. A batch has its items as operations, any other request has itself as the only one."""

    method: str
    path: str
    params: dict[str, str]
    operations: list[Operation] = field(default_factory=list)
    status: int = 0
    """HTTP status of the answer; 0 where the client gets none."""
