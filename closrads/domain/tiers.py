"""An ad account's access tier at Meta."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KnownTier:
    """An ad account's access tier, as a run has learned it."""

    points: int
    """The points that Meta allows in five minutes."""
    proven_at: datetime
    """When a run last proved it."""
