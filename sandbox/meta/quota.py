"""Meta's limits per ad account, as in its Marketing API rate limiting guide, and the usage headers.

Two limits are modelled: the score (1 point per read, 3 per write, each for 300 seconds) and the hourly number of calls
of the ads management use case. Both depend on the app's access tier.
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
    """An access tier: its name in the headers, and its limits."""

    header: str
    score: int
    """Maximum points within 300 seconds."""
    block: float
    """Duration of the block once the score is reached, in seconds."""
    calls: int
    """Calls per hour, without those granted per active ad."""


# The tiers were renamed in 2026, but not in the headers: the former "standard access" is now limited.
TIERS = {
    "limited": Tier("development_access", 60, 300.0, 300),
    "full": Tier("standard_access", 9_000, 60.0, 100_000),
}
CALLS_PER_ACTIVE_AD = 40

# Templates, because a simulation needs these headers for every operation.
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
    """A sum over a sliding window."""

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
    """The usage of one ad account."""

    def __init__(self, tier: str, now: Callable[[], float]) -> None:
        self.tier = TIERS[tier]
        self._now = now
        self._score = _Window(SCORE_SECONDS)
        self._calls = _Window(HOUR)
        self._blocked_until = -math.inf

    def spend(self, points: int) -> None:
        """Spend points, as another program on the same account."""
        self._score.add(self._now(), points)

    def charge(self, points: int, active_ads: int) -> Reply | None:
        """Count one call; return Meta's refusal if it exceeds a limit."""
        now = self._now()
        self._calls.add(now, 1)
        if now >= self._blocked_until and self._score.total(now) + points <= self.tier.score:
            self._score.add(now, points)
            if self._calls.total(now) > self._call_limit(active_ads):
                return faults.error(80004, 2446079, "Too many calls to this ad-account", transient=True)
            return None
        self._blocked_until = now + self.tier.block  # a call during the block restarts it
        self._score.clear()
        return faults.error(17, 2446079, "User request limit reached", transient=True)

    def headers(
        self, account_id: str, active_ads: int, others: Mapping[str, Sequence[Mapping[str, Any]]] = _NO_OTHERS
    ) -> tuple[tuple[str, str], ...]:
        """Return the usage headers: percentages, the account's reset in seconds, the use case's block in minutes.

        The use case header includes `others`, the entries of other quotas by object id.
        """
        now = self._now()
        blocked = max(0.0, self._blocked_until - now)
        score = 1.0 if blocked else self._score.total(now) / self.tier.score
        calls = self._calls.total(now) / self._call_limit(active_ads)
        reset = math.ceil(blocked or self._score.seconds_to_zero(now))
        wait = math.ceil(self._calls.seconds_to_less(now) / 60) if calls > 1 else 0
        cpu = min(100, math.ceil(50 * calls))
        use_case = _USE_CASE % (min(100, math.ceil(100 * calls)), cpu, cpu, wait, self.tier.header)
        number = account_id.removeprefix("act_")
        use_cases = f'{{"{number}": [{use_case}]}}'
        if others:
            entries = {number: [json.loads(use_case)]}
            for object_id, more in others.items():
                entries.setdefault(object_id, []).extend(more)
            use_cases = json.dumps(entries)
        return (
            ("X-Ad-Account-Usage", _ACCOUNT % (round(100 * score, 2), reset, self.tier.header)),
            ("X-Business-Use-Case-Usage", use_cases),
        )

    def _call_limit(self, active_ads: int) -> int:
        return self.tier.calls + CALLS_PER_ACTIVE_AD * active_ads
