"""One ad set's change: its states, and what is kept of it between runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.request import Action


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
class RevertStreak:
    """That an ad set's last change had to be put back."""

    wanted: frozenset[str]
    """Region keys that were to be set."""
    runs: int
    """How many runs in a row it was put back for these regions."""


@dataclass(frozen=True, slots=True)
class PreviousOutcomes:
    """What earlier runs have left to be known of a campaign's ad sets."""

    reverted: Mapping[str, RevertStreak]
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
    reverts: RevertStreak | None = None
    """What was remembered of the ad set when the change was prepared."""
