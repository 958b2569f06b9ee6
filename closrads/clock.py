"""Time as an injected dependency: tests never wait, and every wait knows the invocation's deadline."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_RUN_SECONDS = 900.0
"""Maximum duration of an invocation (Lambda Developer Guide, "Quotas")."""
REPORT_SECONDS = 5.0
"""Last seconds of an invocation, into which no single call may extend: they are reserved for the report."""
MIN_TIMEOUT_SECONDS = 1.0
"""Shortest timeout of a call, however little time remains."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _no_deadline() -> float:
    return math.inf


@dataclass(frozen=True, slots=True)
class Clock:
    """The current time, waiting, and the invocation's deadline."""

    now: Callable[[], datetime] = _utc_now
    """Returns the current time in UTC."""
    sleep: Callable[[float], None] = time.sleep
    """Waits for a number of seconds."""
    remaining: Callable[[], float] = _no_deadline
    """Returns the seconds until the invocation's deadline."""

    def bounded_timeout(self, seconds: float, reserve: float = REPORT_SECONDS) -> float:
        """Return a timeout of at most `seconds` that spares the invocation's last `reserve` seconds.

        It is never shorter than `MIN_TIMEOUT_SECONDS`.
        """
        return max(min(seconds, self.remaining() - reserve), MIN_TIMEOUT_SECONDS)
