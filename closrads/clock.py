"""Time as something that is passed in, so that a test never waits and every wait knows the deadline."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

REPORT_SECONDS = 5.0
"""Of an invocation, no single call may last into these: the report is still to be sent."""
MIN_TIMEOUT_SECONDS = 1.0
"""However late it is, a call gets so long."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _no_deadline() -> float:
    return math.inf


@dataclass(frozen=True, slots=True)
class Clock:
    """The three things a run asks of time."""

    now: Callable[[], datetime] = _utc_now
    """The present, in UTC."""
    sleep: Callable[[float], None] = time.sleep
    """Waits the given number of seconds."""
    remaining: Callable[[], float] = _no_deadline
    """Seconds until the invocation is cut off."""

    def bounded_timeout(self, seconds: float) -> float:
        """Return a time-out of so many seconds, or less where the invocation does not last that long."""
        return max(min(seconds, self.remaining() - REPORT_SECONDS), MIN_TIMEOUT_SECONDS)
