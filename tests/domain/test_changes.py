"""The machine of one change: which steps there are, and where they lead."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adsets import Ad, AdSetSnapshot
from closrads.domain.changes import (
    FINAL_STATES,
    TRANSITIONS,
    Change,
    ChangeState,
    LastRecheck,
    RevertStreak,
    RollbackReason,
    UnexplainedPause,
    recheck_since,
    seen_by,
)
from closrads.domain.request import Action
from closrads.state_mapper import build_fb_regions
from tests.world import START

STEPS = """
prepared        -> written not_written rolling_back superseded
written         -> republished rolling_back superseded
republished     -> verified rolling_back superseded
verified        -> rolling_back
rolling_back    -> rolled_back rollback_failed superseded
rolled_back     -> rolling_back
rollback_failed -> rolling_back
superseded      -> rolling_back
not_written     ->
"""
"""Written down a second time: what a change may do is decided here too, and not only copied from the table."""
DRAWN = {
    (ChangeState(state.strip()), ChangeState(target))
    for state, targets in (line.split("->") for line in STEPS.strip().splitlines())
    for target in targets.split()
}
states = st.sampled_from(ChangeState)


def a_change(state: ChangeState = ChangeState.PREPARED, **more: Any) -> Change:
    """Build a change of an ad set from Georgia and Ohio to Florida."""
    geo = {"regions": build_fb_regions(["GA", "OH"])}
    before = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {"geo_locations": geo})
    after = {"geo_locations": {"regions": build_fb_regions(["FL"])}}
    return Change("veterans", "run", Action.SYNC, before, after, state, START, START, **more)


def reachable(start: ChangeState, without: frozenset[ChangeState] = frozenset()) -> set[ChangeState]:
    """Return the states to which steps lead, on ways that avoid some."""
    found: set[ChangeState] = set()
    ahead = [start]
    while ahead:
        for state in TRANSITIONS[ahead.pop()] - found - without:
            found.add(state)
            ahead.append(state)
    return found


class TestTransitions:
    """The table of steps."""

    def test_it_has_the_steps_that_are_drawn_and_no_other(self) -> None:
        """A step more is a way around a proof, a step less a change that cannot be recorded."""
        assert {(state, target) for state, targets in TRANSITIONS.items() for target in targets} == DRAWN

    def test_each_state_has_its_row(self) -> None:
        """A new state has to say where it leads."""
        assert TRANSITIONS.keys() == set(ChangeState)

    def test_it_cannot_be_changed(self) -> None:
        """Nobody adds a step at run time."""
        with pytest.raises(TypeError):
            TRANSITIONS[ChangeState.NOT_WRITTEN] = frozenset(ChangeState)  # type: ignore[index] # that is what is tested

    def test_every_state_can_be_reached(self) -> None:
        """From the first one, which nothing leads back to."""
        assert reachable(ChangeState.PREPARED) == set(ChangeState) - {ChangeState.PREPARED}

    @given(states)
    def test_an_open_change_can_come_to_an_end(self, state: ChangeState) -> None:
        """Whatever it has met with."""
        assert state in FINAL_STATES or reachable(state) & FINAL_STATES

    @given(states)
    def test_whatever_may_be_at_meta_can_be_rolled_back(self, state: ChangeState) -> None:
        """Also when it has ended: ads break late, and regions come late."""
        may_be_at_meta = state is not ChangeState.NOT_WRITTEN

        assert (ChangeState.ROLLING_BACK in {state, *reachable(state)}) is may_be_at_meta

    def test_nothing_is_verified_that_was_not_republished(self) -> None:
        """The link of an ad to its lead form is pending until Meta has confirmed a re-publish."""
        assert ChangeState.VERIFIED not in reachable(ChangeState.PREPARED, frozenset({ChangeState.REPUBLISHED}))

    def test_nothing_is_rolled_back_that_was_not_announced(self) -> None:
        """A crash amid a rollback must leave a trace of it."""
        after_a_rollback = {ChangeState.ROLLED_BACK, ChangeState.ROLLBACK_FAILED}

        assert not after_a_rollback & reachable(ChangeState.PREPARED, frozenset({ChangeState.ROLLING_BACK}))

    def test_only_what_was_never_sent_is_called_not_written(self) -> None:
        """Once Meta may have it, no step leads back to that."""
        assert {state for state, target in DRAWN if target is ChangeState.NOT_WRITTEN} == {ChangeState.PREPARED}


class TestOpen:
    """Which states are for a later run to see to."""

    def test_four_states_are_final(self) -> None:
        """All else is open, and stands in every report."""
        final = {"verified", "rolled_back", "superseded", "not_written"}

        assert set(FINAL_STATES) == final
        assert {state for state in ChangeState if not state.is_open} == final


class TestMoved:
    """A change in its next state."""

    @given(states, states, st.timedeltas(timedelta(0), timedelta(days=400)))
    def test_it_takes_the_steps_of_the_table_and_no_other(
        self, old: ChangeState, new: ChangeState, later: timedelta
    ) -> None:
        """Of all pairs; nothing else of the change becomes another."""
        change = a_change(old, reason=RollbackReason.ADS_BROKEN)

        if (old, new) in DRAWN:
            moved = change.moved(new, START + later)
            assert (moved.state, moved.changed_at) == (new, START + later)
            assert replace(moved, state=old, changed_at=START) == change
        else:
            with pytest.raises(ValueError, match=f"cannot go from {old} to {new}"):
                change.moved(new, START + later)

    @given(st.data())
    def test_no_walk_leaves_the_table(self, data: st.DataObject) -> None:
        """However long a change is rolled back, rechecked and rolled back again."""
        change = a_change()
        for _ in range(12):
            steps = sorted(TRANSITIONS[change.state])
            if not steps:
                assert change.state is ChangeState.NOT_WRITTEN
                break
            change = change.moved(data.draw(st.sampled_from(steps)), START)

        assert (change.old_regions, change.new_regions) == (a_change().old_regions, a_change().new_regions)


def test_old_and_new_regions_are_those_before_and_after() -> None:
    """Whose the targeting is, is judged by these."""
    assert a_change().old_regions == {region["key"] for region in build_fb_regions(["GA", "OH"])}
    assert a_change().new_regions == {region["key"] for region in build_fb_regions(["FL"])}


class TestJoining:
    """The unexplained pauses of one ad set from two days."""

    EARLIER = UnexplainedPause("501", "Broad", {"11": "Spring", "12": "Summer"}, START, is_reported=True)

    def test_all_ads_are_in_it_since_the_earlier_day(self) -> None:
        """In whatever order they are joined; an ad has the name that it had last."""
        later = UnexplainedPause("501", "Broad", {"12": "Autumn", "13": "Winter"}, START + timedelta(days=1))

        joined = later.joining(self.EARLIER)

        assert joined == replace(later, ads={"11": "Spring", "12": "Autumn", "13": "Winter"}, since=START)
        assert self.EARLIER.joining(later).since == START
        assert later.joining(None) is later

    def test_each_ad_was_seen_on_when_the_later_pause_says(self) -> None:
        """It may have been switched on again since the earlier one."""
        noon = START + timedelta(hours=2)
        earlier = replace(self.EARLIER, seen_on={"11": START, "12": START})

        assert replace(self.EARLIER, seen_on={"12": noon}).joining(earlier).seen_on == {"11": START, "12": noon}

    @pytest.mark.parametrize(
        ("ads", "reported", "is_reported"),
        [
            pytest.param(["11"], True, True, id="one of them again"),
            pytest.param(["11", "12"], True, True, id="the same"),
            pytest.param(["11", "13"], True, False, id="another one"),
            pytest.param(["11"], False, False, id="none was told"),
        ],
    )
    def test_it_is_told_once_all_of_it_is(self, ads: list[str], *, reported: bool, is_reported: bool) -> None:
        """A recheck names an ad once."""
        later = UnexplainedPause("501", "Broad", dict.fromkeys(ads, "?"), START, is_reported=reported)

        assert later.joining(replace(self.EARLIER, is_reported=reported)).is_reported is is_reported


@pytest.mark.parametrize(
    ("recorded", "is_reported"), [({"12": "Summer"}, True), ({"13": "Autumn"}, False)], ids=["part of it", "another"]
)
def test_what_is_recorded_of_a_reported_pause_stands(recorded: dict[str, str], *, is_reported: bool) -> None:
    """Another run may have ended a part of it; the later sighting counts."""
    told = UnexplainedPause("501", "Broad", {"11": "Spring", "12": "Summer"}, START, seen_on={"12": START})
    now = replace(told, ads=recorded, seen_on={"11": START})

    assert told.reported(now) == replace(now, is_reported=is_reported, seen_on={"11": START, "12": START})


def test_a_pause_is_read_in_utc() -> None:
    """And not in the zone of the machine."""
    pause = UnexplainedPause.from_json(
        {"adset_id": "501", "adset_name": "Broad", "ads": [], "since": "2026-05-04T12:30:00+02:00"}
    )

    assert pause.since == datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    assert pause.since.tzinfo is UTC


@pytest.mark.parametrize(
    ("days_ago", "days"),
    [
        pytest.param(None, 4, id="never"),
        pytest.param(1, 2, id="yesterday"),
        pytest.param(3, 4, id="the longest gap"),
        pytest.param(10, 4, id="a longer gap"),
        pytest.param(-1, 1, id="a clock that was wrong"),
    ],
)
def test_a_recheck_goes_back_a_day_before_the_last_one(days_ago: int | None, days: int) -> None:
    """A gap of three days at most is made up for."""
    last = None if days_ago is None else LastRecheck(START - timedelta(days=days_ago))

    assert recheck_since(last, START) == START - timedelta(days=days)


class TestSeenByARecheck:
    """A recheck looked at two ads, one of which was off by then."""

    LAST = LastRecheck(START + timedelta(hours=1), unseen=frozenset({"602"}))

    @pytest.mark.parametrize(
        ("last", "state", "changed_after", "hours"),
        [
            pytest.param(LAST, ChangeState.VERIFIED, 0.5, (1, 0), id="before it"),
            pytest.param(LAST, ChangeState.VERIFIED, 1.5, (0, 0), id="changed since"),
            pytest.param(LAST, ChangeState.ROLLBACK_FAILED, 0.5, (0, 0), id="open, and so not rechecked"),
            pytest.param(replace(LAST, unseen=None), ChangeState.VERIFIED, 0.5, (0, 0), id="not known what was off"),
            pytest.param(replace(LAST, at=START), ChangeState.VERIFIED, 0, (0, 0), id="at the time of the change"),
            pytest.param(None, ChangeState.VERIFIED, 0.5, (0, 0), id="none yet"),
        ],
    )
    def test_what_was_not_off_was_on(
        self, last: LastRecheck | None, state: ChangeState, changed_after: float, hours: tuple[int, int]
    ) -> None:
        """At the time of the recheck at least."""
        change = replace(self.change(START), state=state, changed_at=START + timedelta(hours=changed_after))

        seen = seen_by(change, last).before.ads

        assert {ad.id: ad.seen_on - START for ad in seen} == {
            "601": timedelta(hours=hours[0]),
            "602": timedelta(hours=hours[1]),
        }

    def test_a_later_look_counts(self) -> None:
        """Such as that of a rollback."""
        late = START + timedelta(hours=2)

        assert [ad.seen_on for ad in seen_by(self.change(late), self.LAST).before.ads] == [late, late]

    def change(self, seen_on: datetime) -> Change:
        """Return a change that is responsible for two ads, which it last saw on at a certain time."""
        change = a_change(ChangeState.VERIFIED)
        ads = tuple(Ad(ad_id, "Ad", "ACTIVE", "ACTIVE", seen_on=seen_on) for ad_id in ("601", "602"))
        return replace(change, before=replace(change.before, ads=ads))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, RevertStreak(frozenset({"3852"}), 1)),
        (RevertStreak(frozenset({"3852"}), 4), RevertStreak(frozenset({"3852"}), 5)),
        (RevertStreak(frozenset({"3853"}), 4), RevertStreak(frozenset({"3852"}), 1)),
        (RevertStreak(frozenset({"3852", "3853"}), 4), RevertStreak(frozenset({"3852"}), 1)),
    ],
    ids=["first", "same regions", "other regions", "fewer regions"],
)
def test_a_streak_is_one_of_equal_regions(before: RevertStreak | None, after: RevertStreak) -> None:
    """Other regions may well hold."""
    assert a_change(reverts=before).next_reverts == after
