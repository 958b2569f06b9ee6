"""The values that are kept ↔ the items of the table: nothing is lost on the way, and nothing grows beyond what fits."""

import json
import random
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import LONG_AGO
from closrads.domain.changes import Change, ChangeState, RollbackReason, UnexplainedPause
from closrads.domain.damping import DemandHistory, Streak, WaitingState
from closrads.ledger.records import (
    KEPT_FOR,
    MAX_ITEM_BYTES,
    _packed,
    _unpacked,
    change_item,
    change_key,
    change_of,
    demand_item,
    demand_of,
    expiry,
    max_bytes,
    open_since,
    progress_item,
    progress_of,
    result_item,
    reverts_of,
    run_record_of,
    shared_run_item,
    shared_run_of,
    size_of,
    unexplained_item,
    unexplained_key,
    unexplained_of,
)
from closrads.state_mapper import all_states
from tests.ledger.conftest import GEORGIA, ME, a_change, a_progress, a_shared_run
from tests.ledger.strategies import changes, histories, json_values, moments, names
from tests.world import START

pauses = st.builds(
    UnexplainedPause,
    names,
    names,
    st.dictionaries(names, names, max_size=3),
    moments,
    st.booleans(),
    st.frozensets(names, max_size=2),
    st.dictionaries(names, moments, max_size=3),
    st.dictionaries(names, moments, max_size=3),
)


def noise(size: int) -> str:
    """Return a text that cannot be packed."""
    half = random.Random(1).randbytes(size // 2).hex()  # noqa: S311 - it only has to be hard to pack
    return half + half[::-1]


class TestChanges:
    """One ad set's change."""

    @given(changes, st.sampled_from(ChangeState), st.none() | st.sampled_from(RollbackReason))
    def test_a_change_comes_back_from_its_item(
        self, change: Change, state: ChangeState, reason: RollbackReason | None
    ) -> None:
        """Also in any later state, and with the reason that the step to its rollback has added."""
        item = change_item(replace(change, state=state)) | ({} if reason is None else {"reason": reason.value})

        assert change_of(item) == replace(change, state=state, reason=reason)

    @given(changes)
    def test_an_item_takes_no_more_than_is_reckoned_with(self, change: Change) -> None:
        """A transaction is filled by what its items take at most."""
        item = change_item(change)
        overhead_of_packing = 11

        assert len(item["before"]) + len(item["after"]) <= max_bytes(change) + 2 * overhead_of_packing
        assert size_of(item) >= len(item["before"]) + len(item["after"])

    def test_what_cannot_be_packed_is_reckoned_with_as_far_as_it_fits(self) -> None:
        """A larger one is refused before it gets into a transaction."""
        change = a_change(targeting={"geo_locations": {"regions": [GEORGIA]}, "noise": noise(900_000)})

        assert max_bytes(change) == MAX_ITEM_BYTES
        assert size_of(change_item(change)) > MAX_ITEM_BYTES

    def test_each_change_has_a_place_of_its_own(self) -> None:
        """By campaign, run and ad set."""
        places = [
            change_key(change)
            for change in (a_change(), a_change(campaign="truckers"), a_change(run_id="r"), a_change(id="502"))
        ]

        assert len({(place["pk"], place["sk"]) for place in places}) == 4

    @given(st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), unique=True, min_size=2, max_size=6))
    def test_open_changes_sort_by_the_time_they_were_prepared(self, ages: list[timedelta]) -> None:
        """The index sorts texts; fractions of a second must not upset their order."""
        prepared = [a_change(prepared_at=START + age) for age in ages]

        assert sorted(prepared, key=open_since) == sorted(prepared, key=lambda change: change.prepared_at)


def test_when_each_ad_was_seen_on_is_kept() -> None:
    """In an older item it is not."""
    change = a_change()
    (one, two), at = change.before.ads, START + timedelta(seconds=1.5)
    item = change_item(replace(change, before=replace(change.before, ads=(replace(one, seen_on=at), two))))

    assert [ad.seen_on for ad in change_of(item).before.ads] == [at, LONG_AGO]
    older = item | {"ads": [{key: ad[key] for key in ("id", "name")} for ad in item["ads"]]}
    assert [ad.seen_on for ad in change_of(older).before.ads] == [LONG_AGO, LONG_AGO]


class TestUnexplainedPauses:
    """Ads that are off, and nobody can tell by whom."""

    @given(pauses)
    def test_they_come_back_from_their_item(self, pause: UnexplainedPause) -> None:
        """Whatever the ads are called."""
        item = unexplained_key("veterans", pause.adset_id) | unexplained_item(pause)

        assert unexplained_of(item) == pause

    def test_of_an_older_item_nobody_knows_when_the_ads_were_seen_on(self) -> None:
        times = {"601": START}
        pause = UnexplainedPause("501", "Broad", {"601": "One"}, START, seen_on=times, on_again=times)
        item = unexplained_item(pause)
        older = {name: value for name, value in item.items() if name not in {"seen_on", "on_again"}}

        assert unexplained_of(older) == replace(pause, seen_on={}, on_again={})


class TestRuns:
    """Runs and their results."""

    def run(self, result: dict[str, Any]) -> Any:
        """Return the result of a run as it is kept."""
        return json.loads(zlib.decompress(result_item(result)))

    def test_a_result_of_usual_size_is_kept_whole(self) -> None:
        """With everything that was done."""
        result = {"success": True, "campaigns": [{"slug": "a", "adsets": [{"id": "1"}], "errors": []}], "recovered": []}

        assert self.run(result) == result

    def test_of_a_result_that_is_too_large_the_details_are_left_out(self) -> None:
        """What counts is that it ended, how, and the figures."""
        campaign = {"slug": "a", "adsets_updated": 7, "adsets": [{"id": noise(900_000)}], "errors": []}
        result = {"success": True, "campaigns": [campaign], "recovered": [{}], "unexplained": [{}]}

        assert self.run(result) == {
            "success": True,
            "campaigns": [campaign | {"adsets": []}],
            "recovered": [],
            "unexplained": [],
        }

    def test_a_run_that_has_not_ended_has_no_result(self) -> None:
        """It died, or is still at work."""
        item = {"sk": ME, "action": "undo", "campaigns": [], "started_at": START.isoformat()}

        record = run_record_of(item)

        assert (record.run_id, record.ended_at, record.result) == (ME, None, None)

    def test_a_run_of_one_invocation_is_no_shared_run(self) -> None:
        """Nobody else has a share in it, and an invocation that asks for one is refused."""
        item = shared_run_item(a_shared_run())

        assert shared_run_of(item) == a_shared_run()
        assert shared_run_of({name: value for name, value in item.items() if name != "request"}) is None


class TestDemand:
    """What a campaign's syncs have found wanted."""

    @given(histories)
    def test_all_of_it_comes_back(self, history: DemandHistory) -> None:
        """The count goes on with it on the next day."""
        assert demand_of(demand_item(history)) == history

    def test_the_longest_one_is_small(self) -> None:
        """On the first day every state waits, each with a streak of its own."""
        waiting = {state: Streak(START.date() - timedelta(days=n), n) for n, state in enumerate(sorted(all_states()))}

        assert size_of(demand_item(DemandHistory(START.date(), all_states(), waiting))) < 1_024

    @given(st.dictionaries(st.sampled_from(["format", "day", "demand"]), json_values | st.binary(max_size=20)))
    def test_what_is_no_history_is_none(self, broken: dict[str, Any]) -> None:
        """Whatever it is, it raises nothing."""
        item = demand_item(DemandHistory(START.date(), frozenset({"FL"}), {})) | broken

        assert demand_of(item) is None or not broken.keys() - {"format", "day"}

    @pytest.mark.parametrize(
        "demand",
        [
            {"wanted": ["FL"]},
            {"wanted": None, "waiting": {}},
            {"wanted": [], "waiting": []},
            {"wanted": [], "waiting": {"FL": 5}},
            {"wanted": [], "waiting": {"FL": ["2026-05-04", "many"]}},
            {"wanted": [], "waiting": {"FL": ["2026-05-04", float("inf")]}},
        ],
        ids=str,
    )
    def test_a_part_that_is_missing_or_of_another_kind(self, demand: Any) -> None:
        """Nothing of it is taken for true."""
        item = demand_item(DemandHistory(START.date(), frozenset(), {}))

        assert demand_of(item | {"demand": _packed(demand)}) is None

    def test_a_version_without_damping_can_go_on(self) -> None:
        """To it, the item is the revert streak of an ad set that does not exist."""
        assert reverts_of(demand_item(DemandHistory(START.date(), frozenset(), {}))).runs == 0


class TestProgress:
    """What a campaign's share of a run has come to."""

    def test_everything_in_a_report_comes_back(self) -> None:
        """The mail is made of it, hours later and in another process."""
        part = a_progress(
            AdSetResult("501", "Broad", Result.REVERTED, ("FL",), ("GA",), 2, ("broken",), "900"),
            recovered=(Recovery("run", "502", "Narrow", ChangeState.WRITTEN, ChangeState.VERIFIED, ("fine",)),),
            unexplained=(UnexplainedPause("503", "Wide", {"601": "One"}, START),),
            active_states=("FL",),
            unmapped_states=("PR",),
            below_min_demand=("TX",),
            waiting=(WaitingState("GA", is_wanted=True, since=START.date(), due=START.date()),),
            counts_anew=True,
            campaign_errors=("held",),
            again_in_seconds=60,
        )

        assert progress_of(progress_item(ME, part, START)) == part

    def test_a_report_from_before_pauses_were_told_can_be_read(self) -> None:
        """A run may begin with one version of this package and end with the next."""
        item = progress_item(ME, a_progress(), START)
        report = {name: value for name, value in _unpacked(item["report"]).items() if name != "unexplained"}

        assert progress_of(item | {"report": _packed(report)}) == a_progress()

    def test_a_campaign_that_was_only_begun_has_come_to_nothing(self) -> None:
        """The invocation that began it was cut off."""
        assert progress_of({"begun_at": START.isoformat(), "begun_times": 1}) is None


def test_what_is_final_is_kept_for_more_than_a_year() -> None:
    """DynamoDB deletes by a time in whole seconds."""
    assert expiry(START) == int((START + KEPT_FOR).timestamp())
    assert timedelta(days=365) < KEPT_FOR
