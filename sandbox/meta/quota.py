"""Meta's limits per ad account, as its Marketing API rate limiting guide gives them, and the headers that tell of them.

Two are kept: the score (a read is 1 point, a write 3; what is spent is free again 300 seconds later) and the hourly
number of calls of the ads management use case. Both depend on the access tier of the app.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sandbox.meta import faults
from sandbox.server import Reply

READ_POINTS, WRITE_POINTS = 1, 3
SCORE_SECONDS, HOUR = 300.0, 3600.0


@dataclass(frozen=True)
class Tier:
    """An access tier: the name that headers give it, and its limits."""

    header: str
    score: int
    """Points within 300 seconds."""
    block: float
    """Seconds without access once the score is reached."""
    calls: int
    """Calls per hour, before those that active ads add."""


# The names changed in 2026, the values in the headers did not: what was "standard access" is now limited.
TIERS = {
    "limited": Tier("development_access", 60, 300.0, 300),
    "full": Tier("standard_access", 9_000, 60.0, 100_000),
}
CALLS_PER_ACTIVE_AD = 40

# Templates, because a simulation asks for these headers with every operation.
_ACCOUNT = '{"acc_id_util_pct": %s, "reset_time_duration": %d, "ads_api_access_tier": "%s"}'
_USE_CASE = (
    '{"type": "ads_management", "call_count": %d, "total_cputime": %d, "total_time": %d, '
    '"estimated_time_to_regain_access": %d, "ads_api_access_tier": "%s"}'
)


_NO_OTHERS: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({})


def use_case(kind: str, percent: int, minutes: int = 0) -> dict[str, Any]:
    """Return an entry of the usage header for another quota, such as "pages" or "ads_insights"."""
    usage = {"type": kind, "call_count": percent, "total_cputime": percent, "total_time": percent}
    return usage | {"estimated_time_to_regain_access": minutes}


class _Window:
    """A sum over the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, now: float, amount: int) -> None:
        self._entries.append((now, amount))
        self._total += amount

    def total(self, now: float) -> int:
        while self._entries and self._entries[0][0] <= now - self._seconds:
            self._total -= self._entries.popleft()[1]
        return self._total

    def seconds_to_zero(self, now: float) -> float:
        return self._entries[-1][0] + self._seconds - now if self.total(now) else 0.0

    def seconds_to_less(self, now: float) -> float:
        return self._entries[0][0] + self._seconds - now if self.total(now) else 0.0

    def clear(self) -> None:
        self._entries.clear()
        self._total = 0


class Quota:
    """What one ad account has spent."""

    def __init__(self, tier: str, now: Callable[[], float]) -> None:
        self.tier = TIERS[tier]
        self._now = now
        self._score = _Window(SCORE_SECONDS)
        self._calls = _Window(HOUR)
        self._blocked_until = -math.inf

    def spend(self, points: int) -> None:
        """Use points, as another program that works on the same account would."""
        self._score.add(self._now(), points)

    def charge(self, points: int, active_ads: int) -> Reply | None:
        """Count one call; return Meta's refusal when it is one too many."""
        now = self._now()
        self._calls.add(now, 1)
        if now >= self._blocked_until and self._score.total(now) + points <= self.tier.score:
            self._score.add(now, points)
            if self._calls.total(now) > self._call_limit(active_ads):
                return faults.error(80004, 2446079, "Too many calls to this ad-account", transient=True)
            return None
        self._blocked_until = now + self.tier.block  # a call during the block starts it anew
        self._score.clear()
        return faults.error(17, 2446079, "User request limit reached", transient=True)

    def headers(
        self, account_id: str, active_ads: int, others: Mapping[str, Sequence[Mapping[str, Any]]] = _NO_OTHERS
    ) -> tuple[tuple[str, str], ...]:
        """Return the usage headers: percentages, the account's reset in seconds, the use case's wait in minutes.

        The header of use cases shows `others` too: entries of other quotas, by object id.
        """
        now = self._now()
        blocked = max(0.0, self._blocked_until - now)
        score = 1.0 if blocked else self._score.total(now) / self.tier.score
        calls = self._calls.total(now) / self._call_limit(active_ads)
        reset = math.ceil(blocked or self._score.seconds_to_zero(now))
        wait = math.ceil(self._calls.seconds_to_less(now) / 60) if calls > 1 else 0
        cpu = min(100, math.ceil(50 * calls))
        use_case = _USE_CASE % (min(100, math.ceil(100 * calls)), cpu, cpu, wait, self.tier.header)
        entries = {account_id.removeprefix("act_"): [use_case]}
        for object_id, more in others.items():
            entries.setdefault(object_id, []).extend(map(json.dumps, more))
        use_cases = ", ".join(f'"{object_id}": [{", ".join(each)}]' for object_id, each in entries.items())
        return (
            ("X-Ad-Account-Usage", _ACCOUNT % (round(100 * score, 2), reset, self.tier.header)),
            ("X-Business-Use-Case-Usage", f"{{{use_cases}}}"),
        )

    def _call_limit(self, active_ads: int) -> int:
        return self.tier.calls + CALLS_PER_ACTIVE_AD * active_ads
