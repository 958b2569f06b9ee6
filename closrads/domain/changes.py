"""One ad set's change: the states it passes through, and what is kept of it between runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.request import Action
from closrads.domain.targeting import region_keys


class ChangeState(StrEnum):
    """How far the change of an ad set has come."""

    PREPARED = "prepared"
    """Written down; whether Meta has received the write is unknown until the next state."""
    WRITTEN = "written"
    """Meta has the new regions; the links of the ads to their lead forms are pending."""
    REPUBLISHED = "republished"
    """Meta has confirmed a re-publish of every ad that runs."""
    VERIFIED = "verified"
    """A later read has shown every ad well."""
    ROLLING_BACK = "rolling_back"
    """The regions from before are to be put back; how far that has come is unknown until the next state."""
    ROLLED_BACK = "rolled_back"
    """The regions from before are there, every re-publish was confirmed, and every ad was well afterwards."""
    ROLLBACK_FAILED = "rollback_failed"
    """One of these three could not be shown."""
    SUPERSEDED = "superseded"
    """The regions are somebody else's: neither those from before nor those of the change."""
    NOT_WRITTEN = "not_written"
    """Meta refused the write, so nothing was changed."""

    @property
    def is_open(self) -> bool:
        """Whether a later run has to finish the change or undo it."""
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
                ChangeState.ROLLING_BACK,  # the write may have been done
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
        # A recheck may find broken ads, or regions that came late, whatever a change has ended as.
        ChangeState.VERIFIED: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.ROLLED_BACK: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.SUPERSEDED: frozenset({ChangeState.ROLLING_BACK}),
        ChangeState.NOT_WRITTEN: frozenset(),
    }
)
"""The steps a change may take; every other is refused by the ledger. `docs/lifecycle.md` draws them."""


class RollbackReason(StrEnum):
    """Why a change cannot stay."""

    ADS_BROKEN = "ads_broken"
    PAUSE_UNEXPLAINED = "pause_unexplained"
    """An ad is off that ran before, and nobody can tell by whom."""
    NOT_CONFIRMED = "not_confirmed"
    """A re-publish was refused or its answer lost: the link of the ad is pending."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """Nobody knows whether the write was done."""
    STORED_DIFFERENTLY = "stored_differently"
    """Meta has stored other regions than were sent."""
    ALREADY_BACK = "already_back"
    """The regions from before are there again: only the ads have to be re-published."""
    DEFECT = "defect"
    """This package has failed."""


@dataclass(frozen=True, slots=True)
class RevertStreak:
    """How often an ad set's change was rolled back because its ads broke."""

    wanted: frozenset[str]
    """Region keys that were to be set."""
    runs: int
    """How many runs in a row were rolled back for these regions."""


@dataclass(frozen=True, slots=True)
class UnexplainedPause:
    """Ads that ran before a change and are off since, without an issue and without a trace of who did it."""

    adset_id: str
    adset_name: str
    ads: Mapping[str, str]
    """Their names, by id."""
    since: datetime
    """When the change was prepared."""


@dataclass(frozen=True, slots=True)
class PreviousOutcomes:
    """How earlier runs have left a campaign's ad sets."""

    reverted: Mapping[str, RevertStreak]
    """By the id of the ad set."""
    deferred: frozenset[str] = frozenset()
    """The ids of those that the last run left to the next."""
    unexplained: tuple[UnexplainedPause, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One ad set's change, as the ledger keeps it."""

    campaign: str
    """The slug."""
    run_id: str
    action: Action
    before: AdSetSnapshot
    """With the whole targeting, and of its ads those that were ACTIVE."""
    after: Mapping[str, Any]
    """The whole targeting that was sent."""
    state: ChangeState
    prepared_at: datetime
    changed_at: datetime
    """When it reached its state."""
    reverts: RevertStreak | None = None
    """The ad set's streak when the change was prepared."""
    reason: RollbackReason | None = None
    """Why it was rolled back, if it was."""

    @property
    def old_regions(self) -> frozenset[str]:
        """The keys of the regions from before."""
        return region_keys(self.before.targeting)

    @property
    def new_regions(self) -> frozenset[str]:
        """The keys of the regions that were sent."""
        return region_keys(self.after)

    def moved(self, state: ChangeState, at: datetime) -> "Change":
        """Return the change in its next state.

        Raises
        ------
        ValueError
            The machine has no such step.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"A change cannot go from {self.state} to {state}")
        return replace(self, state=state, changed_at=at)
