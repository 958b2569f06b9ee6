"""PURE: what one ad account may still be asked, by our own count and by what Meta's usage headers tell.

The account's score has a limit in points and is reckoned to the point. Of the hour's quotas, a use case's and the
app's, only percentages are known: there a share is kept back.
"""

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore, RLock
from typing import Any

WINDOW = timedelta(seconds=300)
"""Points count for so long (Marketing API "Rate Limiting")."""
POINTS_BY_TIER: Mapping[str, int] = {"development_access": 60, "standard_access": 9_000}
"""Points per window, by the name that headers have for the tier (Marketing API "Rate Limiting")."""
BUSY_PCT = 90.0
"""From here on nothing is begun: an hour allows at least 300 calls and 40 for each active ad (Marketing API "Rate
Limiting"), and the last tenth of them is for the rollback of what is under way."""
CALLS_AT_ONCE = 20
"""Of all that work on one ad account; Meta allows 100 changes a second (Marketing API "Rate Limiting")."""
RESERVATION_RETRY_SECONDS = 5.0
"""What somebody else has set aside is looked at again so much later: a wave takes about as long."""
_FULL_PCT = 100.0
_AT_ONCE = timedelta(seconds=1)
"""What is learned within this time may be of one batch: its items are done in any order, and the last knew most."""
_MAX_AMOUNT = 1_000_000
"""Of per cent, seconds or minutes; beyond is garbage."""
_HEADERS = ("x-ad-account-usage", "x-business-use-case-usage", "x-app-usage")
_HOURLY = ("call_count", "total_cputime", "total_time")
_REGAIN_MINUTES = "estimated_time_to_regain_access"
_RESET_SECONDS = "reset_time_duration"
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class _Taken:
    """Points that nobody can have until a moment; infinitely many are a block."""

    points: float
    until: datetime
    learned: datetime


class AccountQuota:
    """What one ad account may still be asked (Marketing API "Rate Limiting"); several threads may ask and tell.

    Headers come only after enough calls (Graph API "Rate Limits"): while there are none, the limits are far away.
    """

    def __init__(self, now: Callable[[], datetime], patience: float = math.inf) -> None:
        self._now = now
        self.patience = patience
        """The most seconds to wait for it; what takes longer is deferred."""
        self._lock = RLock()
        self._reserved = 0
        self.calls = BoundedSemaphore(CALLS_AT_ONCE)
        """To be held during each call."""
        self._limit: int | None = None
        self._own: deque[tuple[datetime, int]] = deque()
        self._taken: dict[str, _Taken] = {}

    @property
    def limit(self) -> int | None:
        """The tier's points per window, None while no header has told the tier."""
        return self._limit

    def count(self, points: int) -> None:
        """Note what a call of our own costs, when it is sent."""
        with self._lock:
            self._own.append((self._now() + WINDOW, points))

    def learn(self, headers: Mapping[str, str]) -> None:
        """Note what the headers of an answer, or of one item of a batch, tell; the newest of each kind hold."""
        account, use_cases, app = _usage(headers)
        with self._lock:
            now = self._now()
            while self._own and self._own[0][0] <= now:
                self._own.popleft()
            # The first tier, if of a new name, is taken for the smallest: better slow than blocked amid a rollback.
            known = self._limit or min(POINTS_BY_TIER.values())
            tiers = [entry.get("ads_api_access_tier") for entry in (account, *use_cases)]
            told = [POINTS_BY_TIER.get(tier, known) for tier in tiers if isinstance(tier, str)]
            self._limit = min(told, default=self._limit)
            self._note("score", self._taken_of_score(account, now))
            self._note("use case", _taken_of_hour(use_cases, now))
            self._note("app", _taken_of_hour([app], now))

    def seconds_until(self, points: int) -> float:
        """Return the wait until so many points may be spent, infinite if the tier never allows them in one window.

        A block whose end nobody states counts as long as a window; the first answer after that tells anew.
        """
        with self._lock:
            limit: float = sys.maxsize if self._limit is None else self._limit
            if points > limit:
                return math.inf
            free = limit - points - self._reserved
            if free < 0:
                return RESERVATION_RETRY_SECONDS
            # From the last to become free to the first: those that there is no room for have to be waited for.
            taken = [*self._own, *((each.until, each.points) for each in self._taken.values())]
            for until, spent in sorted(taken, reverse=True):
                free -= spent
                if free < 0:
                    return max(0.0, (until - self._now()).total_seconds())
            return 0.0

    def reserve(self, points: int) -> bool:
        """Set points aside for what is about to begin, if so many may be spent now; others can count on the rest."""
        with self._lock:
            if self.seconds_until(points):
                return False
            self._reserved += points
            return True

    def release(self, points: int) -> None:
        """Give back what was set aside; what was spent of it has been counted."""
        with self._lock:
            self._reserved -= points

    def _note(self, kind: str, taken: _Taken | None) -> None:
        if taken:
            before = self._taken.get(kind, taken)
            self._taken[kind] = max(before, taken) if taken.learned - before.learned < _AT_ONCE else taken

    def _taken_of_score(self, account: JsonObject, now: datetime) -> _Taken | None:
        """Return what others have of the score: all that is beyond our own count."""
        percent = _maximum([account], "acc_id_util_pct")
        if percent is None:
            return None
        reset = timedelta(seconds=_maximum([account], _RESET_SECONDS) or WINDOW.total_seconds())
        if percent >= (_FULL_PCT if self._limit else BUSY_PCT):
            return _Taken(math.inf, now + reset, now)
        others = round(percent / 100 * (self._limit or 0)) - sum(points for _, points in self._own)
        return _Taken(max(others, 0), now + min(reset, WINDOW), now)


def _taken_of_hour(entries: Sequence[JsonObject], now: datetime) -> _Taken | None:
    minutes, percent = _maximum(entries, _REGAIN_MINUTES), _maximum(entries, *_HOURLY)
    if minutes is None and percent is None:
        return None
    regain = timedelta(minutes=minutes or 0)
    blocked = regain or (percent or 0) >= BUSY_PCT
    return _Taken(math.inf if blocked else 0, now + (regain or WINDOW), now)


def seconds_to_regain_access(headers: Mapping[str, str]) -> float | None:
    """Return the longest time that Meta's usage headers state (Marketing API "Rate Limiting"), None if they don't."""
    account, use_cases, _ = _usage(headers)
    full = (_maximum([account], "acc_id_util_pct") or 0) >= _FULL_PCT
    seconds = _maximum([account], _RESET_SECONDS) if full else None
    return max(seconds or 0, 60 * (_maximum(use_cases, _REGAIN_MINUTES) or 0)) or None


def _usage(headers: Mapping[str, str]) -> tuple[JsonObject, list[JsonObject], JsonObject]:
    """Return what the headers tell of the account, of each use case of any object, and of the app."""
    lowered = {str(name).lower(): value for name, value in headers.items()}
    account, objects, app = (_json_object(lowered.get(name)) for name in _HEADERS)
    lists = (entries for entries in objects.values() if isinstance(entries, list))
    return account, [entry for entries in lists for entry in entries if isinstance(entry, dict)], app


def _maximum(entries: Iterable[JsonObject], *names: str) -> float | None:
    """Return the largest amount that is stated under one of the names, None if there is none but garbage."""
    values = [entry.get(name) for entry in entries for name in names]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return max((float(value) for value in numbers if 0 <= value <= _MAX_AMOUNT), default=None)


def _json_object(text: Any) -> JsonObject:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
