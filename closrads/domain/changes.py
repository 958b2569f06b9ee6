"""The change of one ad set: its state machine, and what is stored about it between runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from closrads.domain.adsets import LONG_AGO, AdSetSnapshot, with_sightings
from closrads.domain.damping import DemandHistory
from closrads.domain.request import Action
from closrads.domain.targeting import region_keys


class ChangeState(StrEnum):
    """The progress of an ad set's change."""

    PREPARED = "prepared"
    """Recorded in the ledger; whether Meta has received the write is unknown until the next state."""
    WRITTEN = "written"
    """Meta has stored the new regions; the links between the ads and their lead forms are pending."""
    REPUBLISHED = "republished"
    """Meta has confirmed the re-publish of every running ad."""
    VERIFIED = "verified"
    """A later read has shown every ad to be healthy."""
    ROLLING_BACK = "rolling_back"
    """The original regions are being restored; the progress is unknown until the next state."""
    ROLLED_BACK = "rolled_back"
    """The original regions are restored, every re-publish is confirmed, and every ad was healthy afterwards.

    Or the change was never written, and an ad is broken for another reason.
    """
    ROLLBACK_FAILED = "rollback_failed"
    """At least one condition of `ROLLED_BACK` could not be confirmed."""
    SUPERSEDED = "superseded"
    """Somebody else has set the regions since, perhaps to those of the change once more."""
    NOT_WRITTEN = "not_written"
    """Meta refused the write; nothing was changed."""

    @property
    def is_open(self) -> bool:
        """Whether a later run must finish or roll back the change."""
        return self not in FINAL_STATES


FINAL_STATES = frozenset(
    {ChangeState.VERIFIED, ChangeState.ROLLED_BACK, ChangeState.SUPERSEDED, ChangeState.NOT_WRITTEN}
)

TRANSITIONS: Mapping[ChangeState, frozenset[ChangeState]] = MappingProxyType(
    {
        ChangeState.PREPARED: frozenset(
            {
                ChangeState.WRITTEN,
                ChangeState.NOT_WRITTEN,
                ChangeState.ROLLING_BACK,  # the write may have taken effect
                ChangeState.SUPERSEDED,
            }
        ),
        ChangeState.WRITTEN: frozenset(
            {
                ChangeState.REPUBLISHED,
                ChangeState.ROLLING_BACK,
                ChangeState.SUPERSEDED,
            }
        ),
        ChangeState.REPUBLISHED: frozenset(
            {
                ChangeState.VERIFIED,
                ChangeState.ROLLING_BACK,
                ChangeState.SUPERSEDED,
            }
        ),
        ChangeState.ROLLING_BACK: frozenset(
            {
                ChangeState.ROLLED_BACK,
                ChangeState.ROLLBACK_FAILED,
                ChangeState.SUPERSEDED,
            }
        ),
        ChangeState.ROLLBACK_FAILED: frozenset({ChangeState.ROLLING_BACK}),
        # A recheck may find broken ads, or a write that Meta applied late, after any final state.
        ChangeState.VERIFIED: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.ROLLED_BACK: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.SUPERSEDED: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.NOT_WRITTEN: frozenset(),
    }
)
"""The allowed transitions, drawn in `docs/lifecycle.md`; the ledger refuses any other."""


RECHECKED_FOR = timedelta(days=1)
"""Time after a change during which rechecks cover it; later rechecks do so only if they name its run."""
MAX_RECHECK_GAP = timedelta(days=3)
"""Maximum gap without a complete recheck that the next one makes up for; daily runs handle older changes."""


class RollbackReason(StrEnum):
    """Why a change is rolled back."""

    ADS_BROKEN = "ads_broken"
    PAUSE_UNEXPLAINED = "pause_unexplained"
    """An ad that ran before is paused, and the actor is unknown."""
    NOT_CONFIRMED = "not_confirmed"
    """A re-publish was refused or its response was lost: the link of the ad to its lead form is pending."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """Whether the write took effect is unknown."""
    STORED_DIFFERENTLY = "stored_differently"
    """Meta stored different regions than were sent, or shows them under the names of other places."""
    ALREADY_BACK = "already_back"
    """The original regions are already restored; only the ads must be re-published."""
    UNWRITTEN = "unwritten"
    """As `ALREADY_BACK`; and the new regions were never seen, so that they do not explain a broken ad."""
    SET_BY_OTHERS = "set_by_others"
    """Somebody else has set the new regions again: only the ads are protected."""
    DEFECT = "defect"
    """An unexpected exception was raised in this package."""


@dataclass(frozen=True, slots=True)
class RevertStreak:
    """Consecutive runs in which an ad set's change was rolled back because its ads broke."""

    wanted: frozenset[str]
    """Keys of the regions that were to be set."""
    runs: int
    """Number of consecutive rollbacks for these regions."""


def latest_of(one: Mapping[str, datetime], other: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return the later of two times by each key."""
    return {key: max(one.get(key, LONG_AGO), other.get(key, LONG_AGO)) for key in {**one, **other}}


@dataclass(frozen=True, slots=True)
class UnexplainedPause:
    """Ads of one ad set that ran before a change and were paused since, without an issue and without a known actor."""

    adset_id: str
    adset_name: str
    ads: Mapping[str, str]
    """Names of the ads that are off, by ad id."""
    since: datetime
    """When the change was prepared."""
    is_reported: bool = False
    """Whether a sent report has named these ads; a recheck names them only once."""
    switched_on: frozenset[str] = frozenset()
    """Ids of those that this run has switched on again, as the activity log now shows that Meta paused them."""
    seen_on: Mapping[str, datetime] = field(default_factory=dict)
    """When each was last seen on, by ad id, as far as is known."""
    on_again: Mapping[str, datetime] = field(default_factory=dict)
    """When each ad that is on again was first seen so, by ad id; it is followed for `RECHECKED_FOR` after that."""

    @classmethod
    def from_json(cls, pause: Mapping[str, Any]) -> Self:
        """Return the pause from its JSON object; raise a `KeyError`, `TypeError` or `ValueError` if it is none."""
        ads = {ad["id"]: ad["name"] for ad in pause["ads"]}
        since = datetime.fromisoformat(pause["since"]).astimezone(UTC)
        switched_on = frozenset(pause.get("switched_on", ()))  # older results lack it
        return cls(pause["adset_id"], pause["adset_name"], ads, since, switched_on=switched_on)

    def to_json(self) -> dict[str, Any]:
        """Return the pause as a JSON object of a run's result, without what only later runs need."""
        return {
            "adset_id": self.adset_id,
            "adset_name": self.adset_name,
            "ads": [{"id": ad_id, "name": name} for ad_id, name in self.ads.items()],
            "since": self.since.isoformat(),
            "switched_on": sorted(self.switched_on),
        }

    def joining(self, earlier: "UnexplainedPause | None") -> "UnexplainedPause":
        """Return the pause merged with an earlier one of the same ad set, as reported if all of its ads have been."""
        if earlier is None:
            return self
        ads = {**earlier.ads, **self.ads}
        on_again = {**earlier.on_again, **self.on_again}
        return replace(
            self,
            ads=ads,
            since=min(earlier.since, self.since) if earlier.ads else self.since,
            is_reported=earlier.is_reported and self.ads.keys() <= earlier.ads.keys(),
            seen_on=latest_of(earlier.seen_on, self.seen_on),
            on_again={ad_id: at for ad_id, at in on_again.items() if ad_id not in ads},
        )

    def reported(self, recorded: "UnexplainedPause") -> "UnexplainedPause":
        """Return what to record of the pause after a report has named it, given what is recorded by then."""
        is_reported = recorded.is_reported or recorded.ads.keys() <= self.ads.keys()
        return replace(recorded, is_reported=is_reported, seen_on=latest_of(self.seen_on, recorded.seen_on))

    def followed(self, off: Mapping[str, str], on: Collection[str], now: datetime) -> "UnexplainedPause | None":
        """Return the pause as its ads are now; None if none of them is left to follow.

        An ad that is off once more has not been reported as such.

        Parameters
        ----------
        off
            Names of the ads that are off, by ad id.
        on
            Ids of the ads that are on.
        now
            When they have been read.
        """
        seen = {ad_id: now for ad_id in (*self.ads, *self.on_again) if ad_id in on}
        off_again = {ad_id: off[ad_id] for ad_id in self.on_again if ad_id in off}
        on_again = {ad_id: at for ad_id, at in {**seen, **self.on_again}.items() if ad_id not in off_again}
        pause = replace(
            self,
            ads={ad_id: name for ad_id, name in self.ads.items() if ad_id not in seen} | off_again,
            is_reported=self.is_reported and not off_again,
            seen_on=latest_of(self.seen_on, seen),
            on_again=on_again,
        )
        return pause.without({ad_id for ad_id in seen if now - on_again[ad_id] >= RECHECKED_FOR})

    def without(self, ads: Collection[str]) -> "UnexplainedPause | None":
        """Return the pause without some ads, given by id; None if none is left."""
        off = {ad_id: name for ad_id, name in self.ads.items() if ad_id not in ads}
        on_again = {ad_id: at for ad_id, at in self.on_again.items() if ad_id not in ads}
        return replace(self, ads=off, on_again=on_again) if off or on_again else None


@dataclass(frozen=True, slots=True)
class ReportedFailures:
    """What has kept a campaign's rechecks from checking everything, and has been named by a report."""

    at: datetime
    """When a report last named it."""
    failures: frozenset[str]
    """As `mail_policy.failures_of` returns them."""


@dataclass(frozen=True, slots=True)
class LastRecheck:
    """A campaign's last complete recheck."""

    at: datetime
    token_ends: date | None = None
    """The last day of the campaign's token; None if it never ends, or if Meta does not say."""
    reported: ReportedFailures | None = None
    """The reported failures of this recheck and of later ones; None if there are none."""
    account_delivers: bool = True
    """Whether the ad account delivered ads on that day, as far as Meta says."""
    unseen: frozenset[str] | None = None
    """Ids of the ads that it has not seen on, of those that the changes of its period are responsible for.

    None if not known.
    """


def recheck_since(last: LastRecheck | None, now: datetime) -> datetime:
    """Return the start of the period whose changes are rechecked: `RECHECKED_FOR` before the last complete recheck.

    So every change is rechecked once it is a day old, even after a gap between rechecks of up to `MAX_RECHECK_GAP`.
    Without any recheck, that gap is assumed.
    """
    earliest = now - MAX_RECHECK_GAP
    return min(now, max(last.at if last else earliest, earliest)) - RECHECKED_FOR


@dataclass(frozen=True, slots=True)
class PreviousOutcomes:
    """What earlier runs recorded about a campaign's ad sets."""

    reverted: Mapping[str, RevertStreak]
    """By ad set id."""
    deferred: frozenset[str] = frozenset()
    """Ids of the ad sets that the last run deferred."""
    unexplained: tuple[UnexplainedPause, ...] = ()
    """Also those whose ads are all on again, as long as these are followed."""
    demand: DemandHistory | None = None
    """None if nothing is recorded, or if what is recorded cannot be read."""
    has_demand_item: bool = False
    """Whether anything is recorded of the demand."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one ad set, as the ledger stores it."""

    campaign: str
    """The campaign's slug."""
    run_id: str
    action: Action
    before: AdSetSnapshot
    """The ad set with its complete targeting; of its ads, only those that were ACTIVE."""
    after: Mapping[str, Any]
    """The complete targeting that is sent."""
    state: ChangeState
    prepared_at: datetime
    changed_at: datetime
    """When the current state was reached."""
    reverts: RevertStreak | None = None
    """The ad set's revert streak when the change was prepared."""
    reason: RollbackReason | None = None
    """Why the change was rolled back; None if it was not."""
    is_reported: bool = False
    """Whether a sent report has named its failed rollback, or ads that broke and are left; rechecks do so only once."""
    stored: frozenset[str] = frozenset()
    """The keys of the regions that Meta stored at our last write; empty if it stored what was sent, or if not known."""

    @property
    def old_regions(self) -> frozenset[str]:
        """The keys of the original regions."""
        return region_keys(self.before.targeting)

    @property
    def new_regions(self) -> frozenset[str]:
        """The keys of the regions that are sent."""
        return region_keys(self.after)

    @property
    def our_regions(self) -> frozenset[frozenset[str]]:
        """The keys of the regions that the change has set, or that Meta has stored instead."""
        return frozenset({self.new_regions, self.stored or self.new_regions})

    @property
    def next_reverts(self) -> RevertStreak:
        """The ad set's revert streak after a rollback of this change."""
        if self.reverts is None or self.reverts.wanted != self.new_regions:
            return RevertStreak(self.new_regions, 1)
        return replace(self.reverts, runs=self.reverts.runs + 1)

    @property
    def was_never_seen(self) -> bool:
        """Whether the change was rolled back without its regions ever having been seen at Meta."""
        is_back = self.state is ChangeState.ROLLED_BACK
        return self.was_found_unwritten or (is_back and self.reason is RollbackReason.OUTCOME_UNKNOWN)

    @property
    def was_found_unwritten(self) -> bool:
        """Whether a recovery found the original regions in place, and nothing had ever shown the new ones."""
        return self.state is ChangeState.ROLLED_BACK and self.reason is RollbackReason.UNWRITTEN

    @property
    def may_be_unwritten(self) -> bool:
        """Whether the new regions may never have been written, so that they do not explain a broken ad."""
        return self.state is ChangeState.PREPARED or self.reason is RollbackReason.UNWRITTEN

    def moved(self, state: ChangeState, at: datetime) -> "Change":
        """Return the change in `state`, which it reached at the time `at`.

        Raises
        ------
        ValueError
            `TRANSITIONS` does not allow it.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"A change cannot go from {self.state} to {state}")
        return replace(self, state=state, changed_at=at)


def seen_by(change: Change, last: LastRecheck | None) -> Change:
    """Return a change that the last recheck covered with what that has seen of its ads."""
    if last is None or last.unseen is None or change.state.is_open or change.changed_at > last.at:
        return change
    return _seen(change, {ad.id: last.at for ad in change.before.ads if ad.id not in last.unseen})


def seen_with(change: Change, pause: UnexplainedPause | None) -> Change:
    """Return a change with what is known of its ads from an unexplained pause."""
    return change if pause is None else _seen(change, pause.seen_on)


def _seen(change: Change, seen_on: Mapping[str, datetime]) -> Change:
    return replace(change, before=replace(change.before, ads=with_sightings(change.before.ads, seen_on)))
