"""Which states wait: pure, so by properties over arbitrary weeks of demand."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.damping import DemandHistory, Streak, WaitingState, damped, lifted, observed, waiting_states
from closrads.domain.settings import Limits
from closrads.state_mapper import all_states

FIRST = date(2026, 11, 1)
STATES = ("FL", "GA", "OH", "TX")
demands = st.frozensets(st.sampled_from(STATES))
days_apart = st.integers(1, 4)
days = st.lists(st.tuples(days_apart, demands), min_size=1, max_size=12)
"""Days with a sync: how long after the one before, and what is wanted."""
limits = st.builds(Limits, add_after_days=st.integers(0, 4), remove_after_days=st.integers(0, 4))


def on(day: int) -> date:
    """Return a day of November 2026."""
    return date(2026, 11, day)


def after(weeks: Sequence[tuple[int, frozenset[str]]], limit: Limits) -> list[DemandHistory]:
    """Return the history after each day."""
    histories: list[DemandHistory] = []
    day = FIRST
    for apart, wanted in weeks:
        day += timedelta(days=apart)
        histories.append(observed(histories[-1] if histories else None, wanted, day, limit))
    return histories


def in_a_row(weeks: Sequence[tuple[int, frozenset[str]]], state: str) -> int:
    """Return on how many days before the last one a state was already as wanted or unwanted as on the last."""
    is_wanted = [state in wanted for _, wanted in reversed(weeks)]
    return next((number for number, each in enumerate(is_wanted) if each is not is_wanted[0]), len(weeks)) - 1


class TestHistory:
    """Which states wait after some days."""

    @given(days, limits)
    def test_a_state_waits_until_it_was_so_on_as_many_days_before(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits
    ) -> None:
        """No day earlier and no day later, whichever days had no sync; the count is of the days with one."""
        history = after(weeks, limit)[-1]

        for state in all_states():
            asked = limit.add_after_days if state in weeks[-1][1] else limit.remove_after_days
            assert (state in history.waiting) is (in_a_row(weeks, state) < asked), state

    @given(days)
    def test_without_limits_nothing_waits(self, weeks: list[tuple[int, frozenset[str]]]) -> None:
        """Then what is targeted is what is wanted."""
        history = after(weeks, Limits())[-1]

        assert history.waiting == {}
        assert damped(history.wanted, {"AK", "TX"}, history.waiting) == (history.wanted or {"AK", "TX"})

    @given(days, limits)
    def test_a_second_sync_of_a_day_changes_nothing(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits
    ) -> None:
        """However many there are."""
        history = after(weeks, limit)[-1]

        assert observed(history, weeks[-1][1], history.day, limit) == history

    @given(days, limits, st.integers(1, 3))
    def test_a_clock_that_was_put_back_counts_nothing(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits, earlier: int
    ) -> None:
        """Such as by another time zone."""
        history = after(weeks, limit)[-1]

        assert observed(history, weeks[-1][1], history.day - timedelta(days=earlier), limit) == history

    @given(days, limits, st.integers(1, 300))
    def test_days_without_a_sync_count_for_nothing(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits, missed: int
    ) -> None:
        """Neither do they end a streak."""
        next_day, much_later = (
            observed(after(weeks, limit)[-1], weeks[-1][1], FIRST + timedelta(days=80 + apart), limit)
            for apart in (0, missed)
        )

        assert much_later.decides_as(next_day)

    @given(days, limits)
    def test_a_history_that_decides_as_before_need_not_be_stored(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits
    ) -> None:
        """Whether its day is kept or not, the days after it decide the same."""
        stored: DemandHistory | None = None
        for apart, history in zip((apart for apart, _ in weeks), after(weeks, limit), strict=True):
            day = history.day
            now = observed(stored, history.wanted, day, limit)
            assert now.waiting == history.waiting, apart
            stored = stored if now.decides_as(stored) else now

    @given(days, limits)
    def test_a_state_that_flips_back_counts_from_one(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits
    ) -> None:
        """On each day, whatever waits has a streak that began when it last changed."""
        histories = after(weeks, limit)
        for before, now in pairwise(histories):
            for state in now.wanted ^ before.wanted:
                assert now.waiting.get(state, Streak(now.day, 1)) == Streak(now.day, 1)

    def test_the_same_day_may_change_its_mind(self) -> None:
        """A sync by hand finds another demand than the morning's: the count begins with it."""
        limit = Limits(add_after_days=2)
        morning = after([(1, frozenset()), (1, frozenset({"FL"}))], limit)[-1]
        noon = observed(morning, (), morning.day, limit)
        evening = observed(noon, {"FL"}, morning.day, limit)

        assert "FL" not in noon.waiting
        assert evening.waiting == {"FL": Streak(on(3), 1)}

    def test_a_limit_that_is_changed_holds_for_what_waits(self) -> None:
        """A lower one lets go at once; a higher one does not take back what has waited long enough."""
        two, five = Limits(add_after_days=2), Limits(add_after_days=5)
        waiting = after([(1, frozenset()), (1, frozenset({"FL"})), (1, frozenset({"FL"}))], two)[-1]
        over = observed(waiting, {"FL"}, on(5), two)

        assert "FL" not in observed(waiting, {"FL"}, on(5), Limits(add_after_days=1)).waiting
        assert "FL" in observed(waiting, {"FL"}, on(5), five).waiting
        assert "FL" not in observed(over, {"FL"}, on(6), five).waiting

    def test_what_a_feed_may_have_meant_is_left_open(self) -> None:
        """With entries that cannot be read, the others' streaks neither go on nor end, and what is named counts."""
        limit = Limits(add_after_days=2, remove_after_days=2)
        before = after([(1, frozenset({"FL"})), (1, frozenset({"FL", "GA"}))], limit)[-1]

        history = observed(before, {"GA", "OH"}, on(4), limit, is_complete=False)

        assert history.wanted == {"FL", "GA", "OH"}
        assert {state: history.waiting[state] for state in STATES} == {
            "FL": Streak(on(2), 2), "GA": Streak(on(3), 2), "OH": Streak(on(4), 1), "TX": Streak(on(2), 2)
        }  # fmt: skip
        first = observed(None, {"GA"}, on(4), limit, is_complete=False)
        assert (first.waiting["GA"], first.waiting["TX"]) == (Streak(on(4), 1), Streak(on(4), 0))

    def test_a_day_in_the_future_is_no_history(self) -> None:
        """No day would count before it; a day ahead is what another time zone makes."""
        history = DemandHistory(on(10), frozenset(), {})

        assert history.is_plausible(on(9))
        assert not history.is_plausible(on(8))


class TestDamped:
    """What an ad set is to target."""

    @given(demands, demands, demands)
    def test_what_waits_stays_as_it_is(
        self, wanted: frozenset[str], present: frozenset[str], waiting: frozenset[str]
    ) -> None:
        """All others are as wanted, unless nothing at all would be left."""
        target = damped(wanted, present, waiting)

        if not (wanted - waiting) | (present & waiting) | (present & wanted):
            assert target == present
        else:
            assert target & waiting == present & waiting
            assert target - waiting == wanted - waiting

    @given(demands.filter(bool), demands)
    def test_without_waiting_it_is_what_is_wanted(self, wanted: frozenset[str], present: frozenset[str]) -> None:
        """So without damping nothing is different."""
        assert damped(wanted, present, ()) == wanted


class TestLifted:
    """A run may lift the limits."""

    def test_what_is_lifted_need_not_wait_any_more(self) -> None:
        """Neither in this run nor in the next one; what is not lifted waits."""
        limit = Limits(add_after_days=3, remove_after_days=3)
        before = after([(1, frozenset({"TX"})), (1, frozenset({"FL"}))], limit)[-1]

        forced = observed(before, {"FL"}, on(4), lifted(limit, {"add_after_days"}))

        assert "FL" not in forced.waiting
        assert "TX" in forced.waiting
        assert "FL" not in observed(forced, {"FL"}, on(5), limit).waiting
        assert lifted(limit, {"remove_after_days", "add_after_days"}) == Limits()
        assert lifted(limit, {"max_removed_pct"}) == limit


class TestTold:
    """What a report says of the states that wait."""

    @given(days, limits)
    def test_a_state_is_due_when_it_no_longer_waits(
        self, weeks: list[tuple[int, frozenset[str]]], limit: Limits
    ) -> None:
        """If the demand stays as it is, and every day has a sync."""
        history = after(weeks, limit)[-1]
        told = waiting_states(history, limit, history.wanted, all_states() - history.wanted)

        assert {each.state for each in told} == history.waiting.keys()
        day, later = history.day, history
        while later.waiting:
            day += timedelta(days=1)
            later = observed(later, history.wanted, day, limit)
            assert {each.state for each in told if each.due > day} == later.waiting.keys()

    def test_only_what_would_change_is_told(self) -> None:
        """Florida is running already, and Ohio is not."""
        limit = Limits(add_after_days=2, remove_after_days=3)
        history = observed(None, {"FL", "GA"}, on(2), limit)

        assert waiting_states(history, limit, {"GA"}, {"TX"}) == (
            WaitingState("GA", is_wanted=True, since=on(2), due=on(4)),
            WaitingState("TX", is_wanted=False, since=on(2), due=on(5)),
        )

    def test_nothing_is_removed_that_the_feed_may_have_meant(self) -> None:
        """Florida was wanted before: on a day with entries that cannot be read it is not called unwanted."""
        limit = Limits(add_after_days=2, remove_after_days=2)
        history = observed(observed(None, {"FL"}, on(2), limit), {"GA"}, on(3), limit, is_complete=False)

        assert [each.state for each in waiting_states(history, limit, {"GA"}, {"FL"})] == ["GA"]
