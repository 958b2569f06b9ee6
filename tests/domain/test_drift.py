"""Drift: which states somebody else has set, and who that was, whatever people and runs do one after another."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason
from closrads.domain.drift import Drift, TargetingEdit, UnattributedDrift, attributed, find_drift, reaches_back
from closrads.domain.request import Action
from closrads.redaction import MAX_NAME_CHARS
from closrads.state_mapper import build_fb_regions
from tests.world import START

HOUR = timedelta(hours=1)
APP, OTHER = "111222333444555", "900000000000001"
STATES = ("FL", "GA", "OH", "TX")
V, B, S, N = ChangeState.VERIFIED, ChangeState.ROLLED_BACK, ChangeState.SUPERSEDED, ChangeState.NOT_WRITTEN
some_states = st.frozensets(st.sampled_from(STATES), min_size=1)


def geo(states: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Return a targeting."""
    return {"geo_locations": {"regions": build_fb_regions(sorted(states))}}


def change(  # noqa: PLR0913 - all but two have defaults
    before: str,
    after: str,
    hours: float = 0,
    state: ChangeState = V,
    *,
    run_id: str = "",
    reason: RollbackReason | None = None,
) -> Change:
    """Return a change of an ad set so many hours after the beginning, which took a minute."""
    at = START + hours * HOUR
    adset = AdSetSnapshot("501", "Broad", "900", "ACTIVE", geo(before.split()))
    done, after_targeting = at + timedelta(minutes=1), geo(after.split())
    run = run_id or f"run {hours:g}"
    return Change("veterans", run, Action.SYNC, adset, after_targeting, state, at, done, reason=reason)


def edit(hours: float, name: str = "Jane Example", app_id: str = OTHER, adset_id: str = "501") -> TargetingEdit:
    """Return a row of the log so many hours after the beginning."""
    return TargetingEdit(adset_id, START + hours * HOUR, name, app_id)


OWN = change("GA OH", "FL OH", 24, run_id="today")
"""Today's change, which has found GA and OH."""


class TestTrace:
    """What is drift, and what is not."""

    @pytest.mark.parametrize(
        ("before", "drift"),
        [
            pytest.param(change("TX", "FL OH"), Drift(("GA",), ("FL",)), id="other states than were set"),
            pytest.param(change("GA OH", "FL"), Drift(("GA", "OH"), ("FL",)), id="the states from before it"),
            pytest.param(change("TX", "GA OH"), None, id="as it was set: the demand has changed"),
            pytest.param(change("FL", "TX", state=B), Drift(("GA", "OH"), ("FL",)), id="others than were put back"),
            pytest.param(change("GA OH", "FL", state=B), None, id="as it was put back"),
            pytest.param(change("FL", "GA OH", state=B), None, id="put back, and done late by Meta"),
            pytest.param(change("TX", "FL", state=S), Drift(), id="left to somebody before: TX or FL was replaced"),
            pytest.param(change("TX", "GA OH", state=S), None, id="left to somebody before, and set to its states"),
            pytest.param(change("TX", "FL", state=N), None, id="never written: nothing of ours is there"),
            pytest.param(change("TX", "FL", 25), None, id="of a later run"),
        ],
    )
    def test_it_is_what_our_last_change_has_not_left(self, before: Change, drift: Drift | None) -> None:
        found = find_drift([OWN, before], "today")
        assert (found and found.drift) == drift

    def test_an_ad_set_that_was_never_changed_has_none(self) -> None:
        assert find_drift([OWN], "today") is None
        assert find_drift([change("TX", "FL")], "today") is None
        assert find_drift([], "today") is None

    def test_the_last_change_counts(self) -> None:
        """By the time at which it has come to its state, in whatever order they are found."""
        changes = [change("TX", "GA OH", 1), change("GA OH", "FL", 2), change("FL", "TX", 3, N), OWN]
        for given_ in (changes, changes[::-1]):
            found = find_drift(given_, "today")
            assert found is not None
            assert found.drift == Drift(("GA", "OH"), ("FL",))
            assert found.ours == (OWN, changes[1])

    def test_one_that_was_never_seen_may_have_left_what_was_there(self) -> None:
        """Then the one before it is still in effect."""
        unseen = change("TX", "FL", 2, B, reason=RollbackReason.OUTCOME_UNKNOWN)
        assert find_drift([OWN, unseen, change("FL", "GA OH", 1)], "today") is None
        assert find_drift([OWN, unseen, change("FL", "OH", 1)], "today") is not None
        assert not reaches_back([OWN, unseen], "today")
        assert reaches_back([OWN, unseen, change("FL", "OH", 1)], "today")

    def test_how_far_back_must_be_looked(self) -> None:
        assert not reaches_back([], "today")
        assert not reaches_back([OWN], "today")
        assert not reaches_back([OWN, change("FL", "TX", 3, N)], "today")
        assert not reaches_back([change("FL", "TX", 3)], "today")
        assert reaches_back([OWN, change("FL", "TX", 3)], "today")
        assert reaches_back([replace(OWN, state=S)], "today")
        assert not reaches_back([OWN], None)
        assert reaches_back([replace(OWN, state=S)], None)

    @pytest.mark.parametrize("run_id", ["today", None])
    def test_a_superseded_change_has_met_somebody_since_it_began(self, run_id: str | None) -> None:
        own = replace(OWN, state=S)
        found = find_drift([change("TX", "FL", 3, S), own], run_id)
        assert found == UnattributedDrift("501", Drift(), own.prepared_at - timedelta(minutes=1), None, (own,))


class TestWho:
    """The name in the log."""

    def found(self) -> UnattributedDrift:
        """Return a drift between yesterday's change and today's."""
        found = find_drift([OWN, change("TX", "FL OH")], "today")
        assert found is not None
        return found

    def window(self, edits: list[TargetingEdit]) -> list[TargetingEdit]:
        """Return the edits of the ad set by others between the two changes."""
        first, last = edit(0).at, edit(24).at
        return [each for each in edits if each.adset_id == "501" and each.app_id != APP and first <= each.at <= last]

    @pytest.mark.parametrize("app_id", [APP, ""])
    @pytest.mark.parametrize(
        ("edits", "by"),
        [
            pytest.param([], "", id="no row"),
            pytest.param([edit(3)], "Jane Example", id="one"),
            pytest.param([edit(4, "Joe"), edit(3, "Jane")], "Jane and Joe", id="the last one last"),
            pytest.param([edit(3, "Joe"), edit(3, "Jane")], "Jane and Joe", id="the first of the same second"),
            pytest.param([edit(5, "Joe"), edit(4, "Jane"), edit(3, "Joe")], "Jane and Joe", id="one of them twice"),
            pytest.param([edit(5, "A"), edit(4, "B"), edit(3, "C")], "C, B and A", id="three"),
            pytest.param([edit(5, ""), edit(4, "B")], "B", id="the last one without a name"),
            pytest.param([edit(5, "")], "", id="only one without a name"),
            pytest.param([edit(3, adset_id="502")], "", id="of another ad set"),
            pytest.param([edit(25)], "", id="after our own write"),
            pytest.param([edit(-1)], "", id="before our last change"),
            pytest.param([edit(24, "Us", APP), edit(3), edit(0, "Us", APP)], "Jane Example", id="between our own"),
            pytest.param([edit(24, "Us", APP), edit(0, "Us", APP)], "", id="only our own"),
        ],
    )
    def test_it_is_all_who_came(self, edits: list[TargetingEdit], by: str, app_id: str) -> None:
        """At the time of the last."""
        drift = attributed(self.found(), edits, app_id)
        at = max((each.at for each in self.window(edits)), default=None)
        assert drift == replace(self.found().drift, by=by, at=at)

    def test_a_person_may_come_while_a_change_is_in_progress(self) -> None:
        """With our app known, nobody else's row is taken for ours."""
        rows = [edit(0.005)]
        assert attributed(self.found(), rows, APP) == replace(self.found().drift, by="Jane Example", at=rows[0].at)
        assert attributed(self.found(), rows, "") == self.found().drift

    @pytest.mark.parametrize(
        ("seconds", "is_named"),
        [(-61, False), (-60, True), (86_460, True), (86_461, False)],
    )
    def test_metas_clock_may_differ_by_a_minute(self, seconds: int, *, is_named: bool) -> None:
        """Who came right after our last change, or right before today's, is found by Meta's clock as well."""
        row = TargetingEdit("501", START + timedelta(seconds=seconds), "Jane Example", OTHER)
        drift = attributed(self.found(), [row], APP)
        assert drift is not None
        assert drift.by == ("Jane Example" if is_named else "")

    @pytest.mark.parametrize(
        ("seconds", "is_ours"),
        [(-60, True), (120, True), (121, False), (86_339, False), (86_340, True)],
    )
    def test_without_our_app_the_time_tells_what_is_ours(self, seconds: int, *, is_ours: bool) -> None:
        """From a minute before a change was begun until a minute after its end: no person is accused of our writes."""
        row = TargetingEdit("501", START + timedelta(seconds=seconds), "Us", "")
        drift = attributed(self.found(), [row], "")
        assert drift is not None
        assert drift.by == ("" if is_ours else "Us")

    def test_our_own_late_write_is_no_drift(self) -> None:
        assert attributed(self.found(), [edit(3, "Us", APP)], APP) is None
        assert attributed(self.found(), [edit(3, "Us", APP), edit(2)], APP) is None
        assert attributed(self.found(), [edit(4), edit(3, "Us", APP)], APP) is not None

    def test_whom_the_log_does_not_name_is_no_news_of_a_superseded_change(self) -> None:
        found = find_drift([replace(OWN, state=S)], "today")
        assert found is not None
        assert attributed(found, [edit(24, "Us", APP)], APP) is None
        assert attributed(found, [], APP) is None
        assert attributed(found, [edit(24.01), edit(24, "Us", APP)], APP) == Drift(
            (), (), "Jane Example", edit(24.01).at
        )


people = st.tuples(st.just("person"), some_states, st.sampled_from(["Jane Example", "Joe Example"]))
our_runs = st.tuples(st.just("run"), some_states, st.sampled_from([V, B, N]))


@given(first=some_states, deeds=st.lists(people | our_runs, max_size=6), wanted=some_states, is_read=st.booleans())
def test_whatever_happens_the_states_that_nobody_else_has_set_are_no_drift(
    first: frozenset[str], deeds: list[tuple[str, frozenset[str], Any]], wanted: frozenset[str], *, is_read: bool
) -> None:
    """And those that somebody else has set are, with the names of all who came."""
    now, left, undone = first, None, frozenset[str]()
    names: list[str] = []
    changes: list[Change] = []
    rows: list[TargetingEdit] = []
    last: TargetingEdit | None = None

    def ours(hours: int, state: ChangeState, run_id: str) -> None:
        changes.append(change(" ".join(now), " ".join(new), hours, state, run_id=run_id))
        if state is not N:
            rows.append(edit(hours + 0.005, "Us", APP))

    for hours, (kind, new, how) in enumerate(deeds):
        if kind == "run":
            ours(hours, how, f"run {hours}")
            if how is not N:
                now, left, last, undone = (new if how is V else now), (new if how is V else now), None, new
                undone, names = new if how is B else now, []
        elif new != now:
            now, last = new, edit(hours + 0.5, how)
            rows.append(last)
            names = [*(name for name in names if name != how), how]
    new = wanted
    ours(48, V, "today")

    found = find_drift(changes, "today")
    drift = found and attributed(found, rows[::-1] if is_read else [], APP)

    if left is None or now in {left, undone}:
        assert drift is None
        return
    assert last is not None
    unnamed = Drift(tuple(sorted(now - left)), tuple(sorted(left - now)))
    assert drift == (replace(unnamed, by=" and ".join(names), at=last.at) if is_read else unnamed)


@given(
    drift=st.builds(
        Drift,
        st.lists(st.sampled_from(STATES)).map(tuple),
        st.lists(st.sampled_from(STATES)).map(tuple),
        st.text(),
        st.none() | st.datetimes(timezones=st.just(START.tzinfo)),
    )
)
def test_it_comes_back_from_json(drift: Drift) -> None:
    """For the ledger, and for whoever reads a result."""
    assert Drift.from_json(drift.to_json()) == drift


def test_times_of_other_zones_are_the_same_moment() -> None:
    """All times of results are UTC."""
    told = {"added": [], "removed": ["OH"], "by": "", "at": "2026-05-04T06:30:00-04:00"}
    assert Drift.from_json(told).at == datetime(2026, 5, 4, 10, 30, tzinfo=START.tzinfo)


def test_a_stored_time_is_read_in_utc() -> None:
    """And not in the zone of the machine."""
    at = Drift.from_json({"added": [], "removed": [], "by": "", "at": "2026-05-04T14:00:00+02:00"}).at

    assert at == datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert at.tzinfo is UTC


def test_a_long_name_in_the_log_is_cut() -> None:
    """It is told in a table."""
    assert len(Drift(by="Ann " * 500).by) <= MAX_NAME_CHARS


def test_a_change_that_begins_at_the_same_moment_is_not_an_earlier_one() -> None:
    """Two runs never work on one ad set at a time, so it tells nothing about what was there before."""
    assert not reaches_back([OWN, replace(OWN, run_id="other")], OWN.run_id)
