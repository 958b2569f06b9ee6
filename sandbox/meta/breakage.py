"""How an ad breaks after a write of its ad set's targeting.

Meta accepts the write, validates the ads again later, and may lose the link between an ad and its lead form: error
3390001. The only remedy that its support names is to re-publish (`status=ACTIVE`) every ad right after the write. The
delay, and the resulting status of the ad, are undocumented; hence the variants.
"""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Any, Self

LONGEST_DELAY = 6 * 3600.0
"""Maximum delay that `seeded_breakage` draws, in seconds."""

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


AUDIENCE_DELETED: dict[str, Any] = {
    "level": "AD_SET",
    "error_code": 2446446,
    "error_summary": "Audience deleted",
    "error_message": "This ad set uses an audience that no longer exists.",
    "error_type": "HARD_ERROR",
}
"""An issue of a whole ad set, which its ads do not show (observed). The ad set is `WITH_ISSUES` then, which is how the
processing of an edit may end (Marketing API "Post-Processing for Ad Creation and Edits")."""


class Effect(Enum):
    """How a broken ad appears."""

    WITH_ISSUES = auto()
    """Error 3390001 in `issues_info`; the configured status is unchanged."""
    PAUSED = auto()
    """The configured status is PAUSED, without an explanation."""
    PAUSED_WITH_ISSUES = auto()
    """The configured status is PAUSED, with error 3390001 in `issues_info`."""
    PENDING_REVIEW = auto()
    SOFT_ERROR = auto()
    """A warning in `issues_info`; the ad keeps running."""


class Cure(Enum):
    """What prevents or repairs the breakage."""

    REPUBLISH = auto()
    """Before the ad breaks, a re-publish; afterwards, the original targeting and a re-publish."""
    REPUBLISH_AT_ANY_TIME = auto()
    """A re-publish, before or after the ad breaks."""
    ROLLBACK_AND_REPUBLISH = auto()
    """The original targeting, followed by a re-publish."""
    ROLLBACK = auto()
    """The original targeting alone."""
    NONE = auto()
    """Nothing that the API offers."""


@dataclass(frozen=True)
class Breakage:
    """How an ad that is switched on breaks after a write of the targeting.

    It breaks once `seconds` have passed since the write and it has been read `reads` times (with neither, at the first
    read). It recovers by itself `lasts` seconds later.
    """

    cure: Cure
    effect: Effect = Effect.WITH_ISSUES
    seconds: float = 0.0
    reads: int = 0
    lasts: float = math.inf
    moves_updated_time: bool = True
    """Whether breaking changes the ad's `updated_time`, which is undocumented."""
    recurs: bool = False
    """Whether it breaks again in the same way after each repair."""

    @classmethod
    def ordinary(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break the ad unless it is re-published in time."""
        return cls(Cure.REPUBLISH, effect, seconds, reads)

    @classmethod
    def stubborn(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break the ad even if it is re-published; the original targeting and a re-publish repair it."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, effect, seconds, reads)

    @classmethod
    def cured_by_rollback(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break the ad even if it is re-published; the original targeting alone repairs it."""
        return cls(Cure.ROLLBACK, effect, seconds, reads)

    @classmethod
    def incurable(cls, effect: Effect = Effect.WITH_ISSUES, seconds: float = 0.0, reads: int = 0) -> Self:
        """Break the ad permanently, even with the original targeting."""
        return cls(Cure.NONE, effect, seconds, reads)

    @classmethod
    def late(cls, seconds: float = 600.0, effect: Effect = Effect.WITH_ISSUES) -> Self:
        """Break the ad long after every check, even if it is re-published; the cure is that of a stubborn one."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, effect, seconds)

    @classmethod
    def recurring(cls, seconds: float) -> Self:
        """Break the ad this long after every write and repair; the original targeting and a re-publish repair it."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, seconds=seconds, recurs=True)

    @classmethod
    def long_review(cls, lasts: float = 86_400.0) -> Self:
        """Put the ad into a review of this duration in seconds, which is not a breakage."""
        return cls(Cure.NONE, Effect.PENDING_REVIEW, lasts=lasts)

    @classmethod
    def warning(cls) -> Self:
        """Give the ad a soft error; it keeps running."""
        return cls(Cure.NONE, Effect.SOFT_ERROR)

    @classmethod
    def silently_paused(cls, seconds: float = 0.0, reads: int = 0) -> Self:
        """Pause the ad without an issue; the original targeting and a re-publish repair it."""
        return cls(Cure.ROLLBACK_AND_REPUBLISH, Effect.PAUSED, seconds, reads)

    @classmethod
    def lost_link(
        cls, seconds: float = 0.0, effect: Effect = Effect.WITH_ISSUES, *, moves_updated_time: bool = True
    ) -> Self:
        """Break the ad unless it is re-published; a later re-publish repairs it."""
        return cls(Cure.REPUBLISH_AT_ANY_TIME, effect, seconds, moves_updated_time=moves_updated_time)


def seeded_breakage(random: Random) -> Callable[[object], Breakage]:
    """Return a value for `Account.default_breakage`: links break after one second to six hours, in random ways.

    The delay is log-uniformly distributed, so that short delays are as likely as long ones.
    """
    effects = (Effect.WITH_ISSUES, Effect.PAUSED, Effect.PAUSED_WITH_ISSUES)

    def draw(_: object) -> Breakage:
        seconds = math.exp(random.uniform(0.0, math.log(LONGEST_DELAY)))
        return Breakage.lost_link(seconds, random.choice(effects), moves_updated_time=random.choice((True, False)))

    return draw


@dataclass
class Damage:
    """The pending effect of a targeting write on an ad."""

    breakage: Breakage
    before: AbstractSet[str]
    """The original region keys, which repair the ad."""
    at: float
    reads: int = 0
    broken: bool = False
    paused: bool = False
    """Whether Meta has paused the ad, and nobody else has since."""
    rolled_back: bool = False

    @property
    def breaks_at(self) -> float:
        """When the ad breaks, or breaks again after it was switched on, as far as that depends on time."""
        return self.at + self.breakage.seconds
