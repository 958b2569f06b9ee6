"""The frozen values that all other modules speak in.

A *campaign* is one CLOSRADS campaign: a CLOSRTECH feed, one ad account and one or more *Meta campaigns*.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from closrads.errors import Secret, plain

LARGEST_ANSWER = 5_500_000
"""Bytes; Lambda takes answers of 6 MB (Lambda Developer Guide, "Quotas")."""
MOST_ISSUES = 10
"""That are told of one ad set."""
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
RUN_ID_TIME = "%Y%m%dT%H%M%SZ"
"""How the id of a run begins, so that the ids sort by time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one campaign's run, overridable below `limits/` in the Parameter Store."""

    max_removed_pct: float = 80
    """A plan that takes away more than this share of the states that are targeted now is refused."""
    wave_size: int = 25
    """Most ad sets that may be in flight at once, once an update has proven good."""
    verify_wait_seconds: float = 3
    """Pause between re-publishing an ad set's ads and reading them again."""
    max_adsets: int | None = None
    """Most ad sets of a campaign that one run changes; the rest is deferred to the next."""


@dataclass(frozen=True, slots=True)
class CampaignConfig:
    """One CLOSRADS campaign as the Parameter Store describes it."""

    name: str
    slug: str
    closrtech_campaign: str
    fb_access_token: Secret
    fb_ad_account_id: str
    fb_campaign_ids: tuple[str, ...]
    enabled: bool = True
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class ClosrtechLogin:
    """Where CLOSRTECH answers, and to whom."""

    base_url: str
    email: Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class EmailConfig:
    """Who sends the report to whom."""

    sender: str
    recipients: tuple[str, ...]


class Action(StrEnum):
    """What an event asks for."""

    SYNC = "sync"
    RECHECK = "recheck"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A validated event."""

    action: Action
    dry_run: bool
    campaigns: tuple[str, ...] | None = None
    """Slugs, or None for every enabled campaign."""
    validate: bool = False
    force: frozenset[str] = frozenset()
    """Names of the limits that are lifted for this run."""
    notify: bool = True
    scheduled: datetime | None = None
    """The schedule's time; what runs for one time runs to its end once."""
    run_id: str | None = None
    """The run to undo or to look at again; None for each campaign's last."""
    opens: bool = False
    """Whether the run is only to be opened, for several invocations to share it."""

    def as_json(self) -> dict[str, Any]:
        """Return the request as a JSON object, the same for equal requests."""
        scheduled = self.scheduled and self.scheduled.isoformat()
        return {**asdict(self), "force": sorted(self.force), "scheduled": scheduled}


@dataclass(frozen=True, slots=True)
class StepRequest:
    """A validated event that asks for a share of a run that has been opened."""

    run_id: str
    campaign: str | None
    """The slug of the campaign to work on; None to close the run."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that several invocations share, as the first of them has written it down."""

    run_id: str
    request: RunRequest
    started_at: datetime
    campaigns: Mapping[str, str]
    """The names of the campaigns that it is for, by their slugs."""
    has_ended: bool = False
    ends_begun: int = 0
    """How many invocations have set about ending it."""


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
    updated_at: datetime | None = None
    """When anybody last changed it, if Meta says."""


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
        """The ads that were asked to run; no other ad is ever re-published."""
        return tuple(ad for ad in self.ads if ad.status == "ACTIVE")


class AdHealth(StrEnum):
    """How an ad does. What cannot be told is neither good nor bad."""

    HEALTHY = "healthy"
    """Delivers, or is off because a person or a parent wants it so."""
    PENDING = "pending"
    """In review or in process: not broken, not proven."""
    UNREADABLE = "unreadable"
    """Could not be read, or Meta says something this package does not know."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class AdFinding:
    """What a look at one ad showed."""

    ad: Ad
    health: AdHealth
    reason: str = ""

    def __str__(self) -> str:
        return f"Ad “{self.ad.name}” ({self.ad.id}): {self.reason}"


class Result(StrEnum):
    """What became of one ad set. In a dry run: what would become of it."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED_PREFLIGHT = "skipped_preflight"
    """An ad was broken before; left alone."""
    NEEDS_ATTENTION = "needs_attention"
    """Cannot be set to the states without losing what a person set up, or was reverted too often; left alone."""
    NOT_ACTIVE = "not_active"
    """`IN_PROCESS` or `WITH_ISSUES` itself; left alone."""
    DEFERRED = "deferred"
    """Not started, for want of time or quota or because of `max_adsets`; the next run takes it."""
    HELD = "held"
    """Not started, because the campaign was stopped or an earlier change of it is still open."""
    REVERTED = "reverted"
    """Updated, found broken, put back and healthy again."""
    FAILED = "failed"
    """Could not be updated; it is as it was."""
    UNVERIFIED = "unverified"
    """Updated, but its ads could not be read afterwards."""
    SUPERSEDED = "superseded"
    """Somebody else changed its targeting during the run; left as that person wants it."""
    ROLLBACK_FAILED = "rollback_failed"
    """Updated, found broken, and not proven to be back as it was."""


class ChangeState(StrEnum):
    """How far the change of an ad set has come; the ledger's words."""

    PREPARED = "prepared"
    """Written down; whether Meta has got the write is unknown until the next state."""
    WRITTEN = "written"
    REPUBLISHED = "republished"
    VERIFIED = "verified"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    SUPERSEDED = "superseded"
    """Somebody else changed the ad set."""
    NOT_WRITTEN = "not_written"
    """Meta refused, so nothing was changed."""

    @property
    def is_open(self) -> bool:
        """Whether the next run has to finish or undo it."""
        return self in _OPEN


_OPEN = frozenset(
    {
        ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.ROLLING_BACK,
        ChangeState.ROLLBACK_FAILED,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """That an ad set's last change had to be put back."""

    wanted: frozenset[str]
    """Region keys that were to be set."""
    times: int
    """How many runs in a row it was put back for these regions."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What earlier runs have left to be known of a campaign's ad sets."""

    put_back: Mapping[str, Memory]
    """By the id of the ad set."""
    deferred: frozenset[str] = frozenset()
    """The ids of those that the last run left to the next."""


@dataclass(frozen=True, slots=True)
class Change:
    """One ad set's change, as the ledger keeps it."""

    campaign: str
    """The slug."""
    run_id: str
    action: Action
    before: AdSetSnapshot
    """With the whole targeting, and of its ads those that were ACTIVE and that nobody else has switched off since."""
    after: Mapping[str, Any]
    """The whole targeting that was sent."""
    state: ChangeState
    prepared_at: datetime
    changed_at: datetime
    """When it reached its state."""
    memory: Memory | None = None
    """What was remembered of the ad set when the change was prepared."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a run found of an earlier run's open change, and what it made of it; in a dry run the two are the same."""

    run_id: str
    """The run that had begun the change."""
    id: str
    """The ad set's."""
    name: str
    found: ChangeState
    state: ChangeState
    issues: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _to_tell(self.issues))


ERROR_RESULTS = frozenset({Result.FAILED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED})


@dataclass(frozen=True, slots=True)
class AdSetResult:
    """What a run did with one ad set; states are USPS codes."""

    id: str
    name: str
    result: Result
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    ads: int = 0
    """How many ads it has."""
    issues: tuple[str, ...] = ()
    meta_campaign_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _to_tell(self.issues))


def _to_tell(issues: Sequence[str]) -> tuple[str, ...]:
    """Return what a person is told of an ad set's issues: Meta's words are in them, and there may be thousands."""
    if len(issues) > MOST_ISSUES:
        issues = (*issues[: MOST_ISSUES - 1], f"and {len(issues) - MOST_ISSUES + 1} more")
    return tuple(map(plain, issues))


_COUNTS = (
    "adsets_processed", "adsets_updated", "adsets_skipped", "adsets_skipped_preflight", "adsets_reverted",
    "adsets_deferred", "adsets_held", "adsets_needs_attention", "adsets_not_active", "adsets_failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run did with one campaign. All counts come from the list of results."""

    slug: str
    campaign_name: str
    dry_run: bool
    adsets: tuple[AdSetResult, ...] = ()
    active_states: tuple[str, ...] = ()
    """USPS codes with demand that Meta has a region for."""
    unmapped_states: tuple[str, ...] = ()
    """Codes with demand that Meta has no region for."""
    campaign_errors: tuple[str, ...] = ()
    """Why the campaign was aborted, refused or stopped."""
    recovered: tuple[Recovery, ...] = ()
    about_run: str = ""
    """The run that was undone or looked at again."""
    left_to: str = ""
    """The run that is at work on this campaign now, and to which it was left."""
    fb_ad_account_id: str = ""
    again_in_seconds: int | None = None
    """When what was deferred for want of time or quota can be gone on with; None if nothing was."""

    def with_result(self, *results: Result) -> tuple[AdSetResult, ...]:
        """Return the ad sets that ended in one of `results`."""
        return tuple(adset for adset in self.adsets if adset.result in results)

    @property
    def adsets_processed(self) -> int:
        """Ad sets that were active, whatever became of them."""
        return len(self.adsets) - self.adsets_not_active

    @property
    def adsets_updated(self) -> int:
        """Ad sets that target the wanted states now and did not before."""
        return len(self.with_result(Result.UPDATED))

    @property
    def adsets_skipped(self) -> int:
        """Ad sets that already targeted the wanted states."""
        return len(self.with_result(Result.UNCHANGED))

    @property
    def adsets_skipped_preflight(self) -> int:
        """Ad sets with an ad that was broken before the run."""
        return len(self.with_result(Result.SKIPPED_PREFLIGHT))

    @property
    def adsets_reverted(self) -> int:
        """Ad sets that were put back."""
        return len(self.with_result(Result.REVERTED))

    @property
    def adsets_deferred(self) -> int:
        """Ad sets left for the next run."""
        return len(self.with_result(Result.DEFERRED))

    @property
    def adsets_held(self) -> int:
        """Ad sets not started because the campaign was stopped."""
        return len(self.with_result(Result.HELD))

    @property
    def adsets_needs_attention(self) -> int:
        """Ad sets that a person has to look at before they can be updated."""
        return len(self.with_result(Result.NEEDS_ATTENTION))

    @property
    def adsets_not_active(self) -> int:
        """Ad sets that Meta is still processing or reports issues on."""
        return len(self.with_result(Result.NOT_ACTIVE))

    @property
    def adsets_failed(self) -> int:
        """Ad sets that ended in an error."""
        return len(self.with_result(*ERROR_RESULTS))

    @property
    def still_open(self) -> tuple[Recovery, ...]:
        """Earlier changes that are neither finished nor undone."""
        return tuple(recovery for recovery in self.recovered if recovery.state.is_open)

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for the campaign's own trouble, one for each ad set that failed, one for each change left open."""
        failed = [(adset.name, adset.id, str(adset.result), adset.issues) for adset in self.with_result(*ERROR_RESULTS)]
        if not self.dry_run:
            failed += [(change.name, change.id, str(change.state), change.issues) for change in self.still_open]
        return self.campaign_errors + tuple(
            f"{name} ({adset_id}): {word}" + (f": {'; '.join(issues)}" if issues else "")
            for name, adset_id, word, issues in failed
        )

    def counts(self) -> dict[str, int]:
        """Return every count, by its name."""
        return {name: getattr(self, name) for name in _COUNTS}

    @property
    def success(self) -> bool:
        """Whether nothing failed; skipped, reverted and deferred ad sets are no failure."""
        return not self.errors


class MailOutcome(StrEnum):
    """What became of the report."""

    SENT = "sent"
    NOT_CONFIGURED = "not_configured"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class GraphUsage:
    """What a run cost at Meta."""

    round_trips: int = 0
    """HTTP exchanges."""
    operations: int = 0
    """Graph calls; the items of a batch count one by one."""
    points: int = 0
    """Meta's ad-account score: a read is 1, a write 3 (Marketing API Rate Limiting)."""

    def __add__(self, other: "GraphUsage") -> "GraphUsage":
        return GraphUsage(
            self.round_trips + other.round_trips, self.operations + other.operations, self.points + other.points
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A live run as it is remembered."""

    run_id: str
    action: Action
    campaigns: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    """None if it died, or is still at work."""
    result: dict[str, Any]
    """What the handler returned, empty without an end."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one campaign's share of an open run has come to."""

    report: SyncReport
    graph: GraphUsage
    is_over: bool
    """Whether nothing more is to be done on the campaign in this run."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run: what the handler returns and the report shows."""

    run_id: str
    action: Action
    dry_run: bool
    started_at: datetime
    duration_ms: int
    campaigns: tuple[SyncReport, ...]
    graph: GraphUsage = GraphUsage()
    mail: MailOutcome = MailOutcome.NOT_ASKED
    force: frozenset[str] = frozenset()
    """Names of the limits that were lifted."""
    left_to: str = ""
    """The run to which everything was left: it has the same scheduled time, or is at work on all campaigns."""

    @property
    def success(self) -> bool:
        """Whether every campaign went without an error."""
        return all(campaign.success for campaign in self.campaigns)

    @property
    def is_news(self) -> bool:
        """Whether a person should hear of it: not of a recheck that found nothing, nor of what another run does."""
        quiet = all(
            adset.result is Result.UNCHANGED and not adset.issues
            for campaign in self.campaigns
            for adset in campaign.adsets
        ) and not any(campaign.recovered or campaign.errors for campaign in self.campaigns)
        return not self.left_to and not (self.action is Action.RECHECK and not self.dry_run and quiet)

    def totals(self) -> dict[str, Any]:
        """Return how many campaigns there were, how many of them failed, and the counts of all together."""
        counts = [campaign.counts() for campaign in self.campaigns]
        failed = sum(not campaign.success for campaign in self.campaigns)
        sums = {name: sum(each[name] for each in counts) for name in _COUNTS}
        return {"success": self.success, "campaigns": len(counts), "campaigns_failed": failed, **sums}

    def as_json(self) -> dict[str, Any]:
        """Return the result as the JSON object that the handler's caller gets; if it is too large, without details."""
        answer = {
            "run_id": self.run_id,
            "action": self.action.value,
            "dry_run": self.dry_run,
            "success": self.success,
            "started_at": self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration_ms": self.duration_ms,
            "campaigns": [_campaign_json(campaign) for campaign in self.campaigns],
            "recovered": [
                {**asdict(recovery), "campaign": campaign.slug}
                for campaign in self.campaigns
                for recovery in campaign.recovered
            ],
            "mail": self.mail.value,
            "graph": asdict(self.graph),
            "force": sorted(self.force),
            "left_to": self.left_to,
        }
        return answer if len(json.dumps(answer)) <= LARGEST_ANSWER else without_details(answer)


def _campaign_json(campaign: SyncReport) -> dict[str, Any]:
    return {
        "slug": campaign.slug,
        "campaign_name": campaign.campaign_name,
        "fb_ad_account_id": campaign.fb_ad_account_id,
        "dry_run": campaign.dry_run,
        "success": campaign.success,
        **campaign.counts(),
        "active_states": list(campaign.active_states),
        "unmapped_states": list(campaign.unmapped_states),
        "errors": list(campaign.errors),
        "about_run": campaign.about_run,
        "left_to": campaign.left_to,
        "again_in_seconds": campaign.again_in_seconds,
        "adsets": [asdict(adset) for adset in campaign.adsets],
    }


def without_details(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as JSON with its counts and first errors only, for whom all of it is too large."""
    campaigns = [
        {**campaign, "adsets": [], "errors": [plain(error) for error in campaign["errors"][:MOST_ISSUES]]}
        for campaign in result["campaigns"]
    ]
    return {**result, "campaigns": campaigns, "recovered": []}
