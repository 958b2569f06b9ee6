"""The meter of an ad account's quota: pure, so mostly by properties, and once against the stand-in's own count."""

import json
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import permutations
from threading import Lock
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.tiers import KnownTier
from closrads.meta.rate_limit import PROVEN_FOR, RESERVATION_RETRY_SECONDS, AccountQuota, seconds_to_regain_access
from sandbox.meta import quota as stand_in
from sandbox.meta.quota import Quota
from tests.world import START, FakeTime

LIMITED, FULL = "development_access", "standard_access"
SCORE, USE_CASE, APP = "X-Ad-Account-Usage", "X-Business-Use-Case-Usage", "X-App-Usage"

Headers = Mapping[str, str]


def score(percent: float, seconds: float | None = None, tier: str | None = LIMITED) -> dict[str, str]:
    """Give the header of the account's score."""
    stated = {"acc_id_util_pct": percent, "reset_time_duration": seconds, "ads_api_access_tier": tier}
    return {SCORE: json.dumps({name: value for name, value in stated.items() if value is not None})}


def use_case(percent: float = 0, minutes: float = 0, name: str = "call_count") -> dict[str, str]:
    """Give the header of the use cases' hour, with the figures in the second of two entries of the second object."""
    calm = {"call_count": 1, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 0}
    entry = calm | {name: percent, "estimated_time_to_regain_access": minutes}
    return {USE_CASE: json.dumps({"1": [calm], "2": [calm, entry]})}


def kind(name: str, percent: int = 100) -> dict[str, Any]:
    """Give a use case's entry by its type; a full one says when it has access again."""
    minutes = 0 if percent < 100 else 5
    return stand_in.use_case(name, percent, minutes)


def app(percent: float, name: str = "call_count") -> dict[str, str]:
    """Give the header of the app's hour."""
    return {APP: json.dumps({"call_count": 1, "total_time": 1, "total_cputime": 1} | {name: percent})}


def meter(time: FakeTime, *answers: Headers) -> AccountQuota:
    """Return a meter that has learned from these answers, two seconds apart."""
    quota = AccountQuota("act_111", time.clock.now)
    for headers in answers:
        time.sleep(2)
        quota.update(headers)
    return quota


@pytest.fixture
def time() -> FakeTime:
    """Return a time of its own, without a sandbox."""
    return FakeTime()


class TestTheTier:
    """What the account is allowed at all."""

    def test_without_headers_the_smallest_is_assumed(self, time: FakeTime) -> None:
        """Headers come only after enough calls, and limits hold all the same."""
        quota = meter(time, {}, {"Content-Type": "application/json"})

        assert (quota.limit, quota.seconds_until(60), quota.seconds_until(61)) == (None, 0, math.inf)
        quota.count(20)
        assert (quota.seconds_until(40), quota.seconds_until(41)) == (0, 300)

    @pytest.mark.parametrize(("tier", "points"), [(LIMITED, 60), (FULL, 9_000)])
    @pytest.mark.parametrize("header", [SCORE, USE_CASE, "x-ad-account-usage", "X-BUSINESS-USE-CASE-USAGE"])
    def test_either_header_tells_it(self, time: FakeTime, header: str, tier: str, points: int) -> None:
        """A tier allows so many points in a window, and one more never."""
        told: Any = {"ads_api_access_tier": tier}
        quota = meter(time, {header: json.dumps({"1": [told]} if "usiness" in header.lower() else told)})

        assert quota.limit == points
        assert (quota.seconds_until(points), quota.seconds_until(points + 1)) == (0, math.inf)

    def test_too_many_for_the_tier_stay_too_many_during_a_block(self, time: FakeTime) -> None:
        """Nobody should wait for what will not come."""
        assert meter(time, score(100, 60)).seconds_until(61) == math.inf

    def test_the_lower_of_two_holds(self, time: FakeTime) -> None:
        """Where the headers of one answer disagree, the cautious reading is right."""
        other = {USE_CASE: json.dumps({"1": [{"ads_api_access_tier": LIMITED}]})}

        assert meter(time, score(1, tier=FULL) | other).limit == 60

    def test_a_newer_one_replaces_it(self, time: FakeTime) -> None:
        """An app may be granted more while we run."""
        assert meter(time, score(1), score(1, tier=FULL)).limit == 9_000

    def test_one_of_a_new_name_is_the_smallest_until_a_known_one_comes(self, time: FakeTime) -> None:
        """Too slow is better than blocked in the middle of a rollback."""
        assert meter(time, score(1, tier="premium_access")).limit == 60
        assert meter(time, score(1, tier="premium_access"), score(1, tier=FULL)).limit == 9_000
        assert meter(time, score(1, tier=FULL), score(1, tier="premium_access")).limit == 9_000


class TestAnUntoldTier:
    """What no header tells is learned from what Meta answers and refuses, or recalled from earlier runs."""

    def answer(self, time: FakeTime, quota: AccountQuota, points: int) -> None:
        """Send a call that Meta answers at once."""
        quota.count(points)
        quota.answered(points, time.clock.now())

    def points_to_prove(self, quota: AccountQuota) -> int:
        """Return how many points have yet to be answered."""
        with quota.proof() as points_to_prove:
            return points_to_prove()

    def test_more_than_the_smallest_allows_proves_the_larger_one(self, time: FakeTime) -> None:
        """One point more is enough, if all of them are of one window."""
        quota = meter(time)
        self.answer(time, quota, 60)
        assert (quota.limit, self.points_to_prove(quota)) == (None, 1)

        self.answer(time, quota, 1)

        assert (quota.limit, self.points_to_prove(quota)) == (9_000, 0)
        assert quota.seconds_until(9_000 - 61) == 0

    def test_what_was_sent_a_window_ago_proves_nothing(self, time: FakeTime) -> None:
        """However late it was answered."""
        quota = meter(time)
        sent_at = time.clock.now()
        time.sleep(20)
        quota.answered(60, sent_at)
        time.sleep(280)
        self.answer(time, quota, 60)

        assert (quota.limit, self.points_to_prove(quota)) == (None, 1)

    def test_a_refusal_proves_the_smallest_one(self, time: FakeTime) -> None:
        """It is blocked for five minutes; what was answered before proves nothing any more."""
        quota = meter(time)
        self.answer(time, quota, 60)

        assert quota.refused() == 300

        assert (quota.limit, quota.seconds_until(1), self.points_to_prove(quota)) == (60, 300, 0)
        time.sleep(1)
        self.answer(time, quota, 1)
        assert quota.limit == 60

    def test_a_refusal_beyond_the_smallest_is_that_of_the_larger_one(self, time: FakeTime) -> None:
        """It is blocked for a minute."""
        quota = meter(time)
        self.answer(time, quota, 61)

        assert [quota.refused() for _ in range(2)] == [60, 60]

        assert (quota.limit, quota.seconds_until(1)) == (9_000, 60)

    def test_what_a_header_tells_needs_no_proof(self, time: FakeTime) -> None:
        """Neither answers nor refusals change it."""
        quota = meter(time, score(0))
        self.answer(time, quota, 61)
        assert (quota.limit, quota.needs_recall, self.points_to_prove(quota)) == (60, False, 0)

        quota = meter(time, score(0, tier=FULL))
        assert (quota.refused(), quota.limit, quota.seconds_until(9_000)) == (None, 9_000, 0)

    def test_nothing_is_begun_during_a_proof_and_none_is_begun_amid_something(self, time: FakeTime) -> None:
        """A block would leave it half done."""
        quota = meter(time)
        with quota.proof() as points_to_prove:
            assert points_to_prove() == 61
            assert (quota.reserve(1), quota.seconds_until(70)) == (False, RESERVATION_RETRY_SECONDS)
            assert self.points_to_prove(quota) == 0

        assert quota.reserve(1)
        assert self.points_to_prove(quota) == 0
        quota.release(1)
        assert self.points_to_prove(quota) == 61

    @pytest.mark.parametrize("points", [60, 9_000])
    def test_what_is_recalled_counts(self, time: FakeTime, points: int) -> None:
        """It is no news, unless this run knows better."""
        quota = meter(time)
        assert quota.needs_recall
        tier = KnownTier(points, time.clock.now())

        quota.recall(tier)

        assert (quota.limit, quota.needs_recall, quota.tier_to_record) == (points, False, None)
        assert self.points_to_prove(quota) == 0

    def test_what_this_run_knows_goes_before_what_is_recalled(self, time: FakeTime) -> None:
        """And later runs are to recall it."""
        quota = meter(time)
        self.answer(time, quota, 61)
        assert quota.tier_to_record is None, "nobody has asked for what was known before"
        proven_at = time.clock.now()
        time.sleep(10)

        quota.recall(KnownTier(60, START))

        assert quota.limit == 9_000
        assert quota.tier_to_record == KnownTier(9_000, proven_at)

    def test_nothing_recalled_and_nothing_learned_is_no_news(self, time: FakeTime) -> None:
        """The next run begins as this one did."""
        quota = meter(time)
        quota.recall(None)

        assert (quota.limit, quota.tier_to_record) == (None, None)

    @pytest.mark.parametrize("recalled", [None, KnownTier(60, START)])
    def test_a_header_that_comes_late_is_news(self, time: FakeTime, recalled: KnownTier | None) -> None:
        """The next run has none at its start either."""
        quota = meter(time)
        quota.recall(recalled)

        quota.update(score(0, tier=FULL))

        assert quota.tier_to_record == KnownTier(9_000, time.clock.now())

    def test_the_smallest_is_put_to_the_test_again_after_a_week(self, time: FakeTime) -> None:
        """The account may have been granted more; if not, that is remembered for another week."""
        quota = meter(time)
        quota.recall(KnownTier(60, time.clock.now() - PROVEN_FOR))
        assert (quota.limit, quota.tier_to_record, self.points_to_prove(quota)) == (60, None, 61)

        quota.refused()

        assert (quota.tier_to_record, self.points_to_prove(quota)) == (KnownTier(60, time.clock.now()), 0)

    def test_the_larger_one_is_not(self, time: FakeTime) -> None:
        """A refusal would show that it is no longer granted."""
        quota = meter(time)
        quota.recall(KnownTier(9_000, time.clock.now() - 10 * PROVEN_FOR))

        assert self.points_to_prove(quota) == 0
        assert (quota.refused(), quota.limit, quota.tier_to_record) == (300, 60, KnownTier(60, time.clock.now()))


class TestTheScore:
    """Points in a window of 300 seconds: ours, and what Meta's percentage shows of others'."""

    def test_our_own_calls_count_for_a_window(self, time: FakeTime) -> None:
        """Each becomes free by itself, and the wait is for as few of them as possible."""
        quota = meter(time, score(0))
        for _ in range(3):
            quota.count(20)
            time.sleep(10)

        assert [quota.seconds_until(points) for points in (0, 1, 20, 21, 40, 41, 60)] == [
            *(0, 270, 270, 280, 280, 290, 290),
        ]
        time.sleep(270)
        quota.count(1)
        assert [quota.seconds_until(points) for points in (19, 20, 40, 60)] == [0, 10, 20, 300]

    @pytest.mark.parametrize(
        ("own", "percent", "free"),
        [
            pytest.param(0, 50, 30, id="all of it others'"),
            pytest.param(12, 50, 30, id="ours is in it"),
            pytest.param(30, 50, 30, id="all of it ours"),
            pytest.param(45, 50, 15, id="Meta has not counted all of ours"),
            pytest.param(5, 8.33, 55, id="rounded down"),
            pytest.param(5, 8.34, 55, id="rounded up"),
            pytest.param(0, 99.9, 0, id="nearly full"),
        ],
    )
    def test_the_larger_of_our_count_and_metas_holds(self, time: FakeTime, own: int, percent: float, free: int) -> None:
        """What Meta's percentage shows beyond our own points is somebody else's."""
        quota = AccountQuota("act_111", time.clock.now)
        quota.count(own)
        time.sleep(10)
        quota.update(score(percent))

        assert quota.seconds_until(free) == 0
        assert quota.seconds_until(free + 1) > 0

    def test_what_we_spend_after_metas_count_comes_on_top(self, time: FakeTime) -> None:
        """The next answer has not come yet, but the call has gone."""
        quota = meter(time, score(50))
        quota.count(20)

        assert (quota.seconds_until(10), quota.seconds_until(11)) == (0, 300)

    def test_our_expired_calls_are_not_taken_for_others(self, time: FakeTime) -> None:
        """Nor do they hide any: what Meta counts now is spent by somebody else."""
        quota = AccountQuota("act_111", time.clock.now)
        quota.count(30)
        time.sleep(300)
        quota.update(score(50))

        assert quota.seconds_until(31) == 300

    @pytest.mark.parametrize(("stated", "wait"), [(None, 300), (0, 300), (45, 45), (299.5, 299.5), (4_000, 300)])
    def test_others_points_last_until_the_score_is_reset(
        self, time: FakeTime, stated: float | None, wait: float
    ) -> None:
        """Meta states when that is; a window is the longest."""
        quota = meter(time, score(50, stated))
        assert quota.seconds_until(31) == wait

        time.sleep(wait + 100)
        assert quota.seconds_until(31) == 0

    def test_a_newer_percentage_replaces_an_older_one(self, time: FakeTime) -> None:
        """In both directions."""
        assert meter(time, score(90), score(50)).seconds_until(30) == 0
        assert meter(time, score(50), score(90)).seconds_until(30) == 300

    def test_the_items_of_a_batch_may_come_in_any_order(self, time: FakeTime) -> None:
        """The one done last shows most of what others have spent, wherever in the answer it stands."""
        for items in permutations((score(40), score(60), score(55))):
            quota = AccountQuota("act_111", time.clock.now)
            quota.count(20)
            for headers in items:
                quota.update(headers)
                time.sleep(0.01)

            assert quota.seconds_until(24) == 0
            assert quota.seconds_until(25) > 0

    @pytest.mark.parametrize(("stated", "wait"), [(60, 60), (400, 400), (None, 300)])
    @pytest.mark.parametrize("percent", [100, 250])
    def test_a_full_score_blocks_for_as_long_as_is_stated(
        self, time: FakeTime, percent: float, stated: float | None, wait: float
    ) -> None:
        """A call during the block would lengthen it."""
        quota = meter(time, score(percent, stated, FULL))

        assert (quota.seconds_until(0), quota.seconds_until(9_000)) == (wait, wait)
        time.sleep(wait)
        assert quota.seconds_until(9_000) == 0

    def test_a_block_ends_when_meta_says_so(self, time: FakeTime) -> None:
        """Meta knows better than its forecast."""
        assert meter(time, score(100, 60), score(50, 60)).seconds_until(30) == 0

    def test_a_block_outlasts_the_items_that_were_done_before_it(self, time: FakeTime) -> None:
        """The item that met the limit may stand before one that did not."""
        quota = AccountQuota("act_111", time.clock.now)
        quota.update(score(100, 60))
        quota.update(score(97, 300))

        assert quota.seconds_until(1) == 60

    @pytest.mark.parametrize(("percent", "wait"), [(89.9, 0), (90, 120), (100, 120)])
    def test_without_a_tier_a_nearly_full_score_blocks(self, time: FakeTime, percent: float, wait: float) -> None:
        """How many points the rest is nobody knows."""
        assert meter(time, score(percent, 120, tier=None)).seconds_until(1) == wait


class TestTheHour:
    """Percentages of a use case's and of the app's hour: nothing can be reckoned, so a share is kept."""

    @pytest.mark.parametrize("name", ["call_count", "total_cputime", "total_time"])
    @pytest.mark.parametrize("header", [use_case, app])
    def test_the_last_tenth_is_kept(self, time: FakeTime, header: Any, name: str) -> None:
        """A block without a stated end is one of a window, then the next answer tells anew."""
        quota = meter(time, header(89.9, name=name))
        assert quota.seconds_until(1) == 0

        time.sleep(2)
        quota.update(header(90, name=name))
        assert (quota.limit, quota.seconds_until(0), quota.seconds_until(50)) == (None, 300, 300)

        time.sleep(300)
        assert quota.seconds_until(1) == 0

    @pytest.mark.parametrize(
        ("objects", "wait"),
        [
            pytest.param({"111": [kind("ads_insights")], "222": [kind("pages")]}, 0, id="other kinds"),
            pytest.param(
                {"111": [kind("ads_management", 3)], "222": [kind("ads_management")]}, 0, id="another account"
            ),
            pytest.param({"111": [kind("ads_insights"), kind("ads_management")]}, 300, id="ours among others"),
            pytest.param({"222": [kind("ads_management")]}, 300, id="nothing by the account's number"),
        ],
    )
    def test_only_ads_management_of_this_account_counts(
        self, time: FakeTime, objects: dict[str, list[Any]], wait: float
    ) -> None:
        """By its number; Meta documents the key as a business, so without our number any of ads_management counts."""
        headers = {USE_CASE: json.dumps(objects)}

        assert meter(time, headers).seconds_until(1) == wait
        assert seconds_to_regain_access(headers, "act_111") == (wait or None)

    def test_the_tier_of_another_quota_says_nothing(self, time: FakeTime) -> None:
        """Each of them may have a tier of its own."""
        entries = [kind("ads_insights") | {"ads_api_access_tier": LIMITED}]

        assert meter(time, {USE_CASE: json.dumps({"111": entries})}).limit is None

    @pytest.mark.parametrize("percent", [0, 90, 100])
    def test_a_stated_time_to_regain_access_is_the_block(self, time: FakeTime, percent: float) -> None:
        """In minutes, be it longer or shorter than a window."""
        assert meter(time, use_case(percent, minutes=2)).seconds_until(1) == 120
        assert meter(time, use_case(percent, minutes=40)).seconds_until(1) == 2_400

    @pytest.mark.parametrize("minutes", [0, 40])
    def test_a_newer_header_lifts_the_block(self, time: FakeTime, minutes: float) -> None:
        """A window slides: what was used up an hour ago comes back."""
        assert meter(time, use_case(95, minutes), use_case(80)).seconds_until(1) == 0

    @pytest.mark.parametrize("block", [score(100, 300), use_case(95), app(95)])
    def test_another_kind_of_header_does_not_lift_it(self, time: FakeTime, block: Headers) -> None:
        """Each kind speaks for itself, the account's score too."""
        for calm in (score(10), use_case(10), app(10), {}):
            wait = 0 if calm.keys() == block.keys() else 298
            assert meter(time, block, calm).seconds_until(1) == wait

    def test_the_longest_of_all_waits_counts(self, time: FakeTime) -> None:
        """Every limit has to allow the wave."""
        quota = meter(time, score(50, 200) | use_case(95, minutes=3) | app(10))

        assert (quota.seconds_until(1), quota.seconds_until(31)) == (180, 200)


amounts = st.one_of(st.integers(0, 120), st.floats(0, 120).map(lambda value: round(value, 2)))
tiers = st.sampled_from([LIMITED, FULL, None])
answers = st.one_of(
    st.builds(score, amounts, st.none() | st.integers(0, 400), tiers),
    st.builds(use_case, amounts, st.sampled_from([0, 0, 1, 7])),
    st.builds(app, amounts),
)
histories = st.lists(st.one_of(answers, st.integers(0, 40), st.sampled_from([0.5, 2.0, 30.0, 299.0])))


def lived(history: list[Any]) -> tuple[AccountQuota, FakeTime]:
    """Return a meter after answers (headers), calls of our own (points) and pauses (seconds, as float)."""
    time = FakeTime()
    quota = AccountQuota("act_111", time.clock.now)
    for event in history:
        if isinstance(event, int):
            quota.count(event)
        elif isinstance(event, float):
            time.sleep(event)
        else:
            quota.update(event)
    return quota, time


class TestProperties:
    """What holds whatever happened before."""

    @given(histories, st.integers(0, 70), st.integers(0, 70))
    def test_more_points_never_wait_less(self, history: list[Any], points: int, more: int) -> None:
        """And no wait is negative."""
        quota, _ = lived(history)

        assert 0 <= quota.seconds_until(points) <= quota.seconds_until(points + more)

    @given(histories, st.integers(0, 60))
    def test_the_wait_is_enough_and_not_too_long(self, history: list[Any], points: int) -> None:
        """After it the points may be spent, a moment before they may not."""
        quota, time = lived(history)

        wait = quota.seconds_until(points)
        if wait:
            time.sleep(wait - 0.001)
            assert quota.seconds_until(points) == pytest.approx(0.001, abs=1e-5)
            time.sleep(0.001)
        assert quota.seconds_until(points) == 0

    @given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 400)), min_size=1))
    def test_our_own_count_keeps_each_window_within_the_limit(self, wishes: list[tuple[int, int]]) -> None:
        """Whoever spends only what is allowed never exceeds the limit in any 300 seconds."""
        quota, time = lived([score(0)])
        spent: list[tuple[float, int]] = []
        for points, pause in wishes:
            time.sleep(pause)
            if quota.seconds_until(points) == 0:
                quota.count(points)
                spent.append((time.seconds(), points))

        assert spent
        for end, _ in spent:
            assert sum(points for moment, points in spent if end - 300 < moment <= end) <= 60

    @given(
        st.sampled_from(["limited", "full"]),
        st.lists(
            st.tuples(
                st.integers(0, 50),
                st.integers(0, 800).map(lambda quarters: quarters / 4),
                st.lists(st.integers(1, 60), max_size=4),
            ),
            max_size=20,
        ),
    )
    def test_who_waits_as_told_is_never_refused(self, tier: str, days: list[tuple[int, float, list[int]]]) -> None:
        """With others at work on the account too, as long as they rest between Meta's last answer and our calls."""
        time = FakeTime()
        meta, quota = Quota(tier, time.seconds), AccountQuota("act_111", time.clock.now)
        for others, pause, calls in days:
            meta.spend(others)
            time.sleep(pause)
            quota.update(dict(meta.headers("act_111", active_ads=50)))
            for points in calls:
                time.sleep(quota.seconds_until(points))
                quota.count(points)
                assert meta.charge(points, active_ads=50) is None


nothing_told: Any = st.sampled_from(
    [None, True, False, "100", "", -1, -0.5, math.nan, math.inf, -math.inf, 10**400, 1e300, 1_000_001, [], {}, [100]]
)
amount_names = ["acc_id_util_pct", "call_count", "total_cputime", "total_time", "estimated_time_to_regain_access"]
empty_entries: Any = st.fixed_dictionaries(
    {"ads_api_access_tier": st.sampled_from([None, 5, True, [], {}, [LIMITED]]), "reset_time_duration": st.just(40)},
    optional=dict.fromkeys(amount_names, nothing_told),
)
garbage = nothing_told | empty_entries
garbage_headers = st.fixed_dictionaries(
    {
        SCORE: garbage.map(json.dumps),
        APP: garbage.map(json.dumps),
        USE_CASE: st.lists(garbage, max_size=3).map(lambda entries: json.dumps({"1": entries, "2": 100, "3": {}})),
    }
)
anything: Any = st.recursive(
    nothing_told | amounts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*amount_names, "ads_api_access_tier"]), inner, max_size=3)
    ),
    max_leaves=8,
)


class TestGarbage:
    """Headers are read for our own good: nothing in them may end a run."""

    @given(garbage_headers)
    def test_what_tells_nothing_changes_nothing(self, headers: Headers) -> None:
        """An unreadable header neither blocks nor lifts a block."""
        told = [score(50, 200), use_case(minutes=2), app(10)]
        before, _ = lived([*told, 2.0])
        after, _ = lived([*told, 2.0, headers])
        fresh, _ = lived([headers])

        assert after.limit == before.limit == 60
        for points in (0, 31, 61):
            assert after.seconds_until(points) == before.seconds_until(points)
        assert (fresh.limit, fresh.seconds_until(60)) == (None, 0)
        assert seconds_to_regain_access(headers, "act_111") is None

    @given(
        st.dictionaries(
            st.sampled_from([SCORE, USE_CASE, APP, "", 5]),
            st.one_of(anything.map(json.dumps), st.text(max_size=5), st.binary(max_size=5), anything),
            max_size=3,
        )
    )
    def test_nothing_raises(self, headers: Any) -> None:
        """Not even what no header can be: a batch's items are JSON of any shape."""
        quota, _ = lived([headers])
        seconds = seconds_to_regain_access(headers, "act_111")

        assert quota.seconds_until(1) >= 0
        assert seconds is None or 0 < seconds < math.inf

    def test_a_deeply_nested_header_is_ignored(self, time: FakeTime) -> None:
        """The parser gives up on it."""
        assert meter(time, {SCORE: "[" * 200_000}).limit is None

    def test_a_sound_figure_beside_garbage_counts(self, time: FakeTime) -> None:
        """One bad entry does not hide the others."""
        entries = [None, {"call_count": "x"}, {"call_count": 95, "total_time": math.nan}]

        assert meter(time, {USE_CASE: json.dumps({"1": 5, "2": entries})}).seconds_until(1) == 300


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="no headers"),
        pytest.param(use_case(minutes=4), 240, id="minutes of a use case"),
        pytest.param({USE_CASE.lower(): use_case(minutes=4)[USE_CASE]}, 240, id="in lower case"),
        pytest.param(score(100, 90), 90, id="seconds of the account"),
        pytest.param(score(99.9, 90), None, id="an account that is not full"),
        pytest.param(score(100), None, id="a full account that states no time"),
        pytest.param(use_case(minutes=1) | score(100, 90), 90, id="the longer of both is the account's"),
        pytest.param(use_case(minutes=2) | score(100, 90), 120, id="the longer of both is the use case's"),
        pytest.param(use_case(100) | app(100), None, id="percentages state no time"),
    ],
)
def test_the_time_to_regain_access(headers: Headers, seconds: float | None) -> None:
    """Only a time that Meta states is one to wait for after a refusal."""
    assert seconds_to_regain_access(headers, "act_111") == seconds


def test_several_threads_share_a_meter() -> None:
    """Ad sets may be worked on side by side: no call is lost, and nobody meets the figures half changed."""
    inside = Lock()

    def now() -> datetime:
        assert inside.acquire(blocking=False), "two threads are at work at once"
        sleep(0)  # lets another thread run
        inside.release()
        return START

    quota = AccountQuota("act_111", now)

    def work(_: int) -> None:
        for _ in range(10):
            quota.count(3)
            quota.update(score(0, tier=FULL))
            quota.seconds_until(9_000)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    free = 9_000 - 4 * 10 * 3
    assert (quota.seconds_until(free), quota.seconds_until(free + 1)) == (0, 300)
