"""What a run needs to change the ad sets of one campaign."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.request import Action
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.meta.graph import GraphApi
from closrads.observability import logger
from closrads.rollout.budget import points_needed, seconds_needed
from closrads.rollout.known_pauses import KnownPauses


@dataclass(frozen=True, slots=True)
class Job:
    """The context of a run on one campaign."""

    campaign: str
    """The campaign's slug."""
    run_id: str
    action: Action
    api: GraphApi
    ledger: Ledger
    wait_seconds: float
    """Seconds between a re-publish and its verification."""
    refuse_if_switched_off: Callable[[], None]
    """Called before each wave: raises a `PausedError` if nothing new may be started, a `ConfigError` if unknown."""
    skip_adsets: tuple[str, ...] = ()
    """Patterns of the names of ad sets that must not be changed."""
    other_campaigns: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By id of a Meta campaign, the slugs of the other campaigns that list it: after a renaming, the old or new one."""
    backs_off: bool = False
    """Whether failed attempts are repeated at growing intervals only, as in a recheck that no person has started."""
    pauses: KnownPauses = field(default_factory=KnownPauses)

    def seconds_needed(self, adsets: Sequence[AdSetSnapshot]) -> float:
        """Return the seconds that these ad sets may take in total, including their rollback and the mail."""
        return seconds_needed(self.api, adsets, self.wait_seconds)

    def recall_tier(self, adsets: Sequence[AdSetSnapshot]) -> None:
        """Tell the quota what earlier runs have learned of the access tier, if these ad sets depend on it."""
        quota = self.api.quota
        if quota.needs_recall and quota.seconds_until(points_needed(adsets)):
            try:
                quota.recall(self.ledger.known_tier(self.api.ad_account_id))
            except LedgerError as error:
                logger.warning("ledger.tier_unread", extra={"error": str(error)})

    def keep_tier(self) -> None:
        """Record for later runs what this one has learned of the ad account's access tier, if that is new."""
        quota = self.api.quota
        if tier := quota.tier_to_record:
            try:
                self.ledger.keep_tier(self.api.ad_account_id, tier)
            except LedgerError as error:
                logger.warning("ledger.tier_not_kept", extra={"error": str(error)})
            else:
                quota.recall(tier)

    def has_capacity(self, adsets: Sequence[AdSetSnapshot]) -> bool:
        """Return whether time and quota suffice to write these ad sets, and to roll them back."""
        in_time = self.api.clock.remaining() >= self.seconds_needed(adsets)
        return in_time and not self.api.quota.seconds_until(points_needed(adsets))
