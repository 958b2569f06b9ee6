"""How an ad breaks after the targeting of its ad set was written.

Meta accepts the write, validates the ads again later, and may lose the link between an ad and its lead form: error
3390001. Its support names one remedy, a re-publish (`status=ACTIVE`) of every ad right after the write. How long it
takes, and what the ad then looks like, nobody outside Meta has published: hence the variants.
"""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Any, Self

LONGEST_DELAY = 6 * 3600.0
"""Seconds, of the delays that `seeded_breakage` draws."""

MISSING_LEAD_FORM: dict[str, Any] = {
    "level": "AD",
    "error_code": 3390001,
    "error_summary": "Missing lead form",
    "error_message": "Choose a form for this ad. (#3390001)",
    "error_type": "HARD_ERROR",
}
SOFT_WARNING: dict[str, Any] = {
    "level": "AD",
    "error_code": 2460003,
    "error_summary": "Audience may be too narrow",
    "error_message": "A custom audience of this ad is flagged. The ad keeps running.",
    "error_type": "SOFT_ERROR",
}


class Effect(Enum):
    """What becomes of the ad."""

    WITH_ISSUES = auto()
    """Error 3390001 in `issues_info`; the configured status stays."""
    PAUSED = auto()
    """The configured status is PAUSED, and nothing explains that."""
    PAUSED_WITH_ISSUES = auto()
    """Both."""
    PENDING_REVIEW = auto()
    SOFT_ERROR = auto()
    """A warning in `issues_info`; the ad keeps running."""


class Cure(Enum):
    """What keeps the ad from breaking, or mends it."""

    REPUBLISH = auto()
    """A re-publish that comes before the ad breaks; after that, the old targeting and a re-publish."""
    REPUBLISH_AT_ANY_TIME = auto()
    """A re-publish, before the ad breaks or after it."""
    ROLLBACK_AND_REPUBLISH = auto()
    """The old targeting and then a re-publish."""
    ROLLBACK = auto()
    """The old targeting alone."""
    NONE = auto()
    """Nothing that the API offers."""


@dataclass(frozen=True)
class Breakage:
    """How an ad breaks after a targeting write, provided it is switched on.

    It breaks `seconds` after the write, when it has been read `reads` times since (both, when both are given; with
    neither, at the first look). It mends by itself `lasts` seconds after it broke.
    """

    cure: Cure
    effect: Effect = Effect.WITH_ISSUES
    seconds: float = 0.0
    reads: int = 0
    lasts: float = math.inf
    moves_updated_time: bool = True
    """Whether the ad's `updated_time` moves when it breaks, which nobody outside Meta has published."""

    @classmethod
    def ordinary(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break the ad unless it is re-published in time."""
        return cls(Cure.REPUBLISH, effect, seconds, reads)

    @classmethod
    def stubborn(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break it although it is re-published; the old targeting and a re-publish mend it."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, effect, seconds, reads)

    @classmethod
    def cured_by_rollback(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break it although it is re-published; the old targeting alone mends it."""
        return cls(Cure.ROLLBACK, effect, seconds, reads)

    @classmethod
    def incurable(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break it for good: it stays broken with the old targeting too."""
        return cls(Cure.NONE, effect, seconds, reads)

    @classmethod
    def late(cls, seconds: float = 600.0, effect: Effect = Effect.WITH_ISSUES) -> Self:
        """Break it long after every check, re-published or not; it mends like a stubborn one."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, effect, seconds)

    @classmethod
    def long_review(cls, lasts: float = 86_400.0) -> Self:
        """Send it into review, which takes so many seconds and is no damage."""
        return cls(Cure.NONE, Effect.PENDING_REVIEW, lasts=lasts)

    @classmethod
    def warning(cls) -> Self:
        """Give it a soft error; it keeps running."""
        return cls(Cure.NONE, Effect.SOFT_ERROR)

    @classmethod
    def silently_paused(cls, seconds: float = 0.0, reads: int = 0) -> Self:
        """Pause it without an issue to explain that; the old targeting and a re-publish mend it."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, Effect.PAUSED, seconds, reads)

    @classmethod
    def lost_link(
        cls, seconds: float = 0.0, effect: Effect = Effect.WITH_ISSUES, *, moves_updated_time: bool = True
    ) -> Self:
        """Break the ad unless it is re-published; a re-publish mends it even after that."""
        return cls(Cure.REPUBLISH_AT_ANY_TIME, effect, seconds, moves_updated_time=moves_updated_time)


def seeded_breakage(random: Random) -> Callable[[object], Breakage]:
    """Return a value for `Account.default_breakage`: links break after a second to six hours, in ways that are drawn.

    Short delays are as likely as long ones: the draw is even on a logarithmic scale.
    """
    effects = (Effect.WITH_ISSUES, Effect.PAUSED, Effect.PAUSED_WITH_ISSUES)

    def draw(_: object) -> Breakage:
        seconds = math.exp(random.uniform(0.0, math.log(LONGEST_DELAY)))
        return Breakage.lost_link(seconds, random.choice(effects), moves_updated_time=random.choice((True, False)))

    return draw


@dataclass
class Damage:
    """The mark that a targeting write leaves on an ad."""

    breakage: Breakage
    before: AbstractSet[str]
    """The region keys to go back to."""
    at: float
    reads: int = 0
    broken: bool = False
    paused: bool = False
    """Meta has switched the ad off, and nobody has done so since."""
    rolled_back: bool = False

    @property
    def breaks_at(self) -> float:
        """When the ad breaks, or breaks again after it was switched on, as far as the clock decides that."""
        return self.at + self.breakage.seconds
