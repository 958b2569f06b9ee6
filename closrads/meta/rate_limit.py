"""PURE: the remaining quota of one ad account, from our own usage and from Meta's usage headers.

The account's score is limited in points and tracked exactly. Of the hourly quotas, those of a use case and of the app,
Meta states only percentages: there a share is kept in reserve.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore, RLock
from typing import Any

from closrads.domain.tiers import KnownTier

WINDOW = timedelta(seconds=300)
"""Sliding window over which points are counted (Marketing API "Rate Limiting")."""
POINTS_BY_TIER: Mapping[str, int] = {"development_access": 60, "standard_access": 9_000}
"""Points per window, by the tier's name in the headers (Marketing API "Rate Limiting")."""
SMALLEST, LARGEST = min(POINTS_BY_TIER.values()), max(POINTS_BY_TIER.values())
BLOCKED_FOR: Mapping[int, timedelta] = {SMALLEST: timedelta(seconds=300), LARGEST: timedelta(seconds=60)}
"""Duration of the block once the score is used up, by points per window (Marketing API "Rate Limiting")."""
PROVEN_FOR = timedelta(days=7)
"""Time after which a recalled small tier is tested again, because it may have been raised."""
MAX_USAGE_PCT = 90.0
"""Usage, of a quota that is known as a percentage only, at which nothing new is started. An hour allows at least 300
calls and 40 per active ad (Marketing API "Rate Limiting"); the last tenth is reserved for rollbacks."""
MAX_CONCURRENT_CALLS = 20
"""Maximum number of concurrent calls per ad account; Meta allows 100 changes per second (Marketing API "Rate
Limiting")."""
RESERVATION_RETRY_SECONDS = 5.0
"""Delay before points that others have reserved are requested again: about the duration of a wave."""
_FULL_PCT = 100.0
_BATCH_WINDOW = timedelta(seconds=1)
"""Headers that arrive within this time may be of one batch. Its items run in any order, so the highest usage counts."""
_MAX_AMOUNT = 1_000_000
"""Maximum plausible number of percent, seconds or minutes; anything above is ignored."""
_HEADERS = ("x-ad-account-usage", "x-business-use-case-usage", "x-app-usage")
_USE_CASE = "ads_management"
_HOURLY = ("call_count", "total_cputime", "total_time")
_REGAIN_MINUTES = "estimated_time_to_regain_access"
_RESET_SECONDS = "reset_time_duration"
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class _Unavailable:
    """Points that are unavailable until a given time; infinity means that all calls are blocked."""

    points: float
    until: datetime
    observed_at: datetime


class AccountQuota:
    """The remaining quota of one ad account (Marketing API "Rate Limiting"); thread-safe.

    Meta sends usage headers only after enough calls (Graph API "Rate Limits"). The tier is taken from a header of this
    run, else from what the run itself has proven, else from what an earlier run has learned. As long as it is unknown,
    no more is started than the smallest tier allows.
    """

    def __init__(self, account_id: str, now: Callable[[], datetime], max_wait_seconds: float = math.inf) -> None:
        self._account_id = account_id
        self._now = now
        self.max_wait_seconds = max_wait_seconds
        """Maximum time to wait for quota; work that would have to wait longer is deferred."""
        self._lock = RLock()
        self._reserved = 0
        self.calls = BoundedSemaphore(MAX_CONCURRENT_CALLS)
        """Must be held during each call."""
        self.writes = BoundedSemaphore(MAX_CONCURRENT_CALLS)
        """Must be held from the read of a targeting to its write: with more writers, one might have to wait for its
        turn in between, and its read would be out of date."""
        self._limit: int | None = None
        self._is_stated = False
        self._proven_at: datetime | None = None
        self._recalled: KnownTier | None = None
        self._has_recalled = False
        self._is_proving = False
        self._answered: deque[tuple[datetime, int]] = deque()
        self._own: deque[tuple[datetime, int]] = deque()
        self._unavailable: dict[str, _Unavailable] = {}

    @property
    def limit(self) -> int | None:
        """The tier's points per window; None as long as the tier is unknown."""
        return self._limit

    @property
    def needs_recall(self) -> bool:
        """Whether what earlier runs have learned of the tier could be of use."""
        return not (self._is_stated or self._has_recalled)

    def recall(self, tier: KnownTier | None) -> None:
        """Take over what earlier runs have learned of the tier; this run may know better already."""
        with self._lock:
            self._recalled, self._has_recalled = tier, True
            if tier is not None and self._limit is None:
                self._limit = tier.points

    @property
    def tier_to_record(self) -> KnownTier | None:
        """What this run has learned of the tier and later runs should recall; None if they know it already."""
        with self._lock:
            was_refused = self._limit == SMALLEST and self._proven_at is not None
            if self._limit is None or not (self._has_recalled or was_refused):
                return None
            is_same = self._recalled is not None and self._recalled.points == self._limit
            if is_same and (self._proven_at is None or not self._is_outdated):
                return None
            return KnownTier(self._limit, self._proven_at or self._now())

    def answered(self, points: int, sent_at: datetime) -> None:
        """Learn from a call that Meta has not refused: a window with enough of them proves the larger tier."""
        with self._lock:
            self._answered.append((sent_at + WINDOW, points))
            if not self._is_stated and self._limit != LARGEST and self._points_answered() > SMALLEST:
                self._limit, self._proven_at = LARGEST, self._now()

    def refused(self) -> float | None:
        """Learn from a call that Meta has refused because the score is used up; return the seconds of the block.

        If Meta has answered more in this window than the smallest tier allows, the larger one is used up. Nothing is
        learned, and the block is unknown (None), if headers have stated the tier: then they state the block, too.
        """
        with self._lock:
            if self._is_stated:
                return None
            if self._points_answered() <= SMALLEST:
                self._limit, self._proven_at = SMALLEST, self._now()
                self._answered.clear()
            now, block = self._now(), BLOCKED_FOR[self._limit or SMALLEST]
            self._set_unavailable("score", _Unavailable(math.inf, now + block, now))
            return block.total_seconds()

    @contextmanager
    def proof(self) -> Iterator[Callable[[], int]]:
        """Keep others from starting anything while the tier is tested.

        Yield a function that returns how many more points Meta must answer to prove the larger tier. It returns 0 if
        the tier is known, or if anything is in progress, which a block would leave half done.
        """
        with self._lock:
            is_due = self._points_to_prove() > 0 and not (self._is_proving or self._reserved)
            self._is_proving = self._is_proving or is_due
        try:
            yield self._points_to_prove if is_due else lambda: 0
        finally:
            if is_due:
                self._is_proving = False

    def _points_to_prove(self) -> int:
        with self._lock:
            is_open = self._limit is None or (self._proven_at is None and self._is_outdated)
            return 0 if self._is_stated or not is_open else SMALLEST + 1 - self._points_answered()

    @property
    def _is_outdated(self) -> bool:
        tier = self._recalled
        return tier is not None and tier.points == SMALLEST and self._now() - tier.proven_at >= PROVEN_FOR

    def _points_answered(self) -> int:
        """Return the points of the calls sent within the last window that Meta has answered."""
        now = self._now()
        while self._answered and self._answered[0][0] <= now:
            self._answered.popleft()
        return sum(points for _, points in self._answered)

    def count(self, points: int) -> None:
        """Count the points of one of our own calls, when it is sent."""
        with self._lock:
            self._own.append((self._now() + WINDOW, points))

    def update(self, headers: Mapping[str, str]) -> None:
        """Update the usage from the headers of a response, or of one item of a batch."""
        account, use_cases, app = _usage(headers, self._account_id)
        with self._lock:
            now = self._now()
            while self._own and self._own[0][0] <= now:
                self._own.popleft()
            # An unknown tier counts as the smallest one: slow is better than blocked during a rollback.
            known = self._limit or SMALLEST
            tiers = [entry.get("ads_api_access_tier") for entry in (account, *use_cases)]
            limits = [POINTS_BY_TIER.get(tier, known) for tier in tiers if isinstance(tier, str)]
            self._limit = min(limits, default=self._limit)
            self._is_stated = self._is_stated or bool(limits)
            self._set_unavailable("score", self._used_by_others(account, now))
            self._set_unavailable("use case", _hourly_block(use_cases, now))
            self._set_unavailable("app", _hourly_block([app], now))

    def seconds_until(self, points: int) -> float:
        """Return the seconds until `points` may be spent; infinity if the tier never allows so many in one window.

        An unknown tier counts as the smallest one. A block without a stated end lasts for one window; the next response
        after it updates the usage.
        """
        with self._lock:
            if self._is_proving:
                return RESERVATION_RETRY_SECONDS
            limit: float = self._limit or SMALLEST
            if points > limit:
                return math.inf
            free = limit - points - self._reserved
            if free < 0:
                return RESERVATION_RETRY_SECONDS
            # From the latest expiry to the earliest: the first entry that exceeds the free points has to expire.
            entries = [*self._own, *((each.until, each.points) for each in self._unavailable.values())]
            for until, spent in sorted(entries, reverse=True):
                free -= spent
                if free < 0:
                    return max(0.0, (until - self._now()).total_seconds())
            return 0.0

    def reserve(self, points: int) -> bool:
        """Reserve points if they may be spent now; return whether they were reserved."""
        with self._lock:
            if self.seconds_until(points):
                return False
            self._reserved += points
            return True

    def release(self, points: int) -> None:
        """Release reserved points, whether spent or not: `count` has counted those that were spent."""
        with self._lock:
            self._reserved -= points

    def _set_unavailable(self, kind: str, new: _Unavailable | None) -> None:
        if new:
            old = self._unavailable.get(kind, new)
            self._unavailable[kind] = max(old, new) if new.observed_at - old.observed_at < _BATCH_WINDOW else new

    def _used_by_others(self, account: JsonObject, now: datetime) -> _Unavailable | None:
        """Return the points of the score that others have used: everything beyond our own count."""
        percent = _maximum([account], "acc_id_util_pct")
        if percent is None:
            return None
        reset = timedelta(seconds=_maximum([account], _RESET_SECONDS) or WINDOW.total_seconds())
        if percent >= (_FULL_PCT if self._limit else MAX_USAGE_PCT):
            return _Unavailable(math.inf, now + reset, now)
        others = round(percent / 100 * (self._limit or 0)) - sum(points for _, points in self._own)
        return _Unavailable(max(others, 0), now + min(reset, WINDOW), now)


def _hourly_block(entries: Sequence[JsonObject], now: datetime) -> _Unavailable | None:
    minutes, percent = _maximum(entries, _REGAIN_MINUTES), _maximum(entries, *_HOURLY)
    if minutes is None and percent is None:
        return None
    regain = timedelta(minutes=minutes or 0)
    blocked = regain or (percent or 0) >= MAX_USAGE_PCT
    return _Unavailable(math.inf if blocked else 0, now + (regain or WINDOW), now)


def seconds_to_regain_access(headers: Mapping[str, str], account_id: str) -> float | None:
    """Return the longest time until the ad account regains access in Meta's usage headers; None if they state none.

    See Marketing API "Rate Limiting".
    """
    account, use_cases, _ = _usage(headers, account_id)
    full = (_maximum([account], "acc_id_util_pct") or 0) >= _FULL_PCT
    seconds = _maximum([account], _RESET_SECONDS) if full else None
    return max(seconds or 0, 60 * (_maximum(use_cases, _REGAIN_MINUTES) or 0)) or None


def _usage(headers: Mapping[str, str], account_id: str) -> tuple[JsonObject, list[JsonObject], JsonObject]:
    """Return the usage of the ad account's score, of its `ads_management` use case, and of the app.

    The header of the use cases lists each type of up to 32 objects, by id. Each type of each object is a quota of its
    own, and all of our calls are of `ads_management` (Graph API "Rate Limits"). The ids are documented as businesses',
    and were observed to be ad accounts', too: if this account is not among them, all objects count.
    """
    lowered = {str(name).lower(): value for name, value in headers.items()}
    account, objects, app = (_json_object(lowered.get(name)) for name in _HEADERS)
    own = account_id.removeprefix("act_")
    lists = [objects[own]] if own in objects else list(objects.values())
    entries = (entry for each in lists if isinstance(each, list) for entry in each if isinstance(entry, dict))
    return account, [entry for entry in entries if entry.get("type", _USE_CASE) == _USE_CASE], app


def _maximum(entries: Iterable[JsonObject], *names: str) -> float | None:
    """Return the largest plausible amount under any of the names; None if there is none."""
    values = [entry.get(name) for entry in entries for name in names]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return max((float(value) for value in numbers if 0 <= value <= _MAX_AMOUNT), default=None)


def _json_object(text: Any) -> JsonObject:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
