"""Values that the ledger keeps, as Hypothesis draws them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import Ad, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RevertStreak
from closrads.domain.damping import DemandHistory, Streak
from closrads.domain.request import Action, RunRequest
from closrads.state_mapper import all_states

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
targetings = st.dictionaries(st.text(), json_values, max_size=4)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as asked
ads = st.builds(Ad, names, names, st.just("ACTIVE"), st.just("ACTIVE"))
snapshots = st.builds(AdSetSnapshot, names, names, names, names, targetings, st.lists(ads, max_size=3).map(tuple))
memories = st.builds(RevertStreak, st.frozensets(names, max_size=4), st.integers(1, 99))
changes = st.builds(
    Change, names, names, st.sampled_from(Action), snapshots, targetings, st.just(ChangeState.PREPARED), moments,
    moments, st.none() | memories,
)  # fmt: skip
streaks = st.builds(Streak, st.dates(), st.integers(0, 31))
states = st.sampled_from(sorted(all_states()))
histories = st.builds(DemandHistory, st.dates(), st.frozensets(states), st.dictionaries(states, streaks))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
several = st.lists(texts, max_size=3).map(tuple)
outcomes = st.builds(AdSetResult, texts, texts, st.sampled_from(Result), several, several, st.integers(0, 99), several)
recoveries = st.builds(
    Recovery, texts, texts, texts, st.sampled_from(ChangeState), st.sampled_from(ChangeState), several
)
requests = st.builds(
    RunRequest, st.sampled_from(Action), st.booleans(), st.none() | several, st.booleans(), st.frozensets(texts),
    st.booleans(), st.none() | moments, st.none() | texts, st.just(True),
)  # fmt: skip
