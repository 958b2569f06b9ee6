"""What should happen to each ad set, and which plans are refused: pure, so mostly by properties."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import LONG_AGO, Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import PreviousOutcomes, RevertStreak
from closrads.domain.damping import damped
from closrads.domain.plan import (
    _KEEPS_STATES,
    Decision,
    decide,
    defer_beyond,
    hold,
    leave_opted_out,
    missing_and_extra,
    pinned,
    prioritize,
    refuse_implausible,
    refuse_no_states,
    refuse_other_account,
    remaining,
    states_before,
    with_gaps,
)
from closrads.domain.settings import CampaignConfig, Limits
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import region_keys
from closrads.errors import CHECK_REGIONS, ConfigError, PlanRefusedError
from closrads.redaction import Secret
from closrads.state_mapper import build_fb_regions, fb_region_to_usps

ALL_CODES = [fb_region_to_usps(str(key)) for key in range(3843, 3894)]
some_states = st.sets(st.sampled_from(ALL_CODES), min_size=1)


def targeting(codes: Any, **geo: Any) -> dict[str, Any]:
    """Build a targeting for these states, with other keys beside the regions."""
    return {"age_min": 18, "geo_locations": {"regions": build_fb_regions(codes), **geo}}


def adset(codes: Any, adset_id: str = "1", **changes: Any) -> AdSetSnapshot:
    """Build a healthy, active ad set for these states."""
    ad = Ad("9", "Video", "ACTIVE", "ACTIVE")
    values = {"effective_status": "ACTIVE", "targeting": targeting(codes), "ads": (ad,)} | changes
    return AdSetSnapshot(id=adset_id, name="Broad", meta_campaign_id="900", **values)


def decided(codes: Any, wanted: Any, **changes: Any) -> Decision:
    """Decide for an ad set that targets `codes` where `wanted` is in demand."""
    return decide(adset(codes, **changes), build_fb_regions(wanted), ())


def damped_decision(codes: Any, wanted: Any, waiting: Any, **more: Any) -> Decision:
    """Decide the same while some states wait."""
    keys = frozenset(region["key"] for region in build_fb_regions(waiting))
    return decide(adset(codes), build_fb_regions(wanted), (), waiting=keys, **more)


class TestDecide:
    """What should happen to one ad set."""

    @given(some_states, some_states)
    def test_a_change_adds_and_removes_exactly_the_difference(self, present: set[str], wanted: set[str]) -> None:
        """What is added and removed leads from the present states to the wanted ones."""
        result = decided(present, wanted).to_result()

        assert (present | set(result.added)) - set(result.removed) == wanted
        assert not set(result.added) & present
        assert set(result.removed) <= present
        assert result.result is (Result.UNCHANGED if present == wanted else Result.UPDATED)

    @given(some_states, some_states)
    def test_what_keeps_its_states_only_gains(self, present: set[str], wanted: set[str]) -> None:
        """Nothing is removed, each entry that is kept stays as it is, and what is covered already is no change."""
        decision = decide(adset(present), build_fb_regions(wanted), (), adds_only=True)
        result = decision.to_result()

        assert set(result.added) == wanted - present
        assert result.removed == ()
        assert result.result is (Result.UNCHANGED if wanted <= present else Result.UPDATED)
        new = [*map(str, decision.new_regions)]
        assert sorted(new) == sorted(map(str, build_fb_regions(present | wanted)))

    @given(some_states, st.randoms())
    def test_the_order_of_regions_is_no_change(self, wanted: set[str], random: Any) -> None:
        """The same states in another order are not written: each write restarts learning."""
        shuffled = targeting(wanted)
        random.shuffle(shuffled["geo_locations"]["regions"])

        assert decided(wanted, wanted, targeting=shuffled).result is Result.UNCHANGED

    @pytest.mark.parametrize("status", ["IN_PROCESS", "WITH_ISSUES", "PAUSED", "BRAND_NEW"])
    def test_only_active_ad_sets_are_changed(self, status: str) -> None:
        """An ad set that is not active now is listed with what Meta says."""
        decision = decided(["TX"], ["FL"], effective_status=status)

        assert (decision.result, decision.issues) == (Result.NOT_ACTIVE, (f"Meta says {status}",))

    @pytest.mark.parametrize(
        ("left", "result"),
        [
            pytest.param(timedelta(minutes=-1), Result.ENDED, id="over"),
            pytest.param(timedelta(minutes=15), Result.ENDED, id="too soon for a rollback"),
            pytest.param(timedelta(minutes=15, seconds=1), Result.UPDATED, id="time enough"),
        ],
    )
    def test_what_ends_within_a_quarter_of_an_hour_is_left_alone(self, left: timedelta, result: Result) -> None:
        """Its ads could not be re-published after a rollback; and nobody need hear of its other flaws."""
        now = datetime(2026, 5, 4, tzinfo=UTC)
        reaching = {**targeting(["TX"]), "targeting_automation": {"individual_setting": {"geo": 1}}}
        decision = decided(["TX"], ["FL"], targeting=reaching, read_at=now, end_time=now + left)

        assert decision.result is result
        assert decision.to_result().reaches_beyond is (result is Result.UPDATED)

    def test_an_ad_set_that_cannot_be_read_needs_a_person(self) -> None:
        """With what is wrong with it."""
        decision = decided([], ["FL"], flaw="Its targeting is no object")

        assert (decision.result, decision.issues) == (Result.NEEDS_ATTENTION, ("Its targeting is no object",))

    def test_a_key_that_means_another_place_is_left_alone(self) -> None:
        """Nobody knows what would be written; only an undo, which puts back what was there, may take it away."""
        misnamed = targeting(["TX"])
        misnamed["geo_locations"]["regions"][0]["name"] = "Ontario"
        present = region_keys(misnamed)
        change = decided(["TX"], ["FL"], targeting=misnamed)
        undo = decide(adset(["TX"], targeting=misnamed), build_fb_regions(["FL"]), (), present)

        assert change.result is Result.NEEDS_ATTENTION
        assert ("Ontario" in change.issues[0], change.issues[1:]) == (True, (CHECK_REGIONS,))
        assert (undo.result, undo.issues, undo.replaces) == (Result.UPDATED, (), present)

    def test_an_exclusion_that_its_category_forbids_matters_only_to_a_write(self) -> None:
        """Meta would refuse it; what has its states already runs on."""
        excluding = {**targeting(["TX"]), "excluded_geo_locations": {"cities": [{"key": "5", "country": "US"}]}}
        housing = {"targeting": excluding, "special_ad_categories": ("HOUSING",)}
        change = decided(["TX"], ["FL"], **housing)

        assert change.result is Result.NEEDS_ATTENTION
        assert "special ad category" in change.issues[0]
        assert decided(["TX"], ["TX"], **housing).result is Result.UNCHANGED
        assert decided(["TX"], ["FL"], targeting=excluding).result is Result.UPDATED

    def test_its_result_says_which_ad_set_it_is(self) -> None:
        """With how many ads, and all that has been said of it."""
        planned = replace(decided(["TX"], ["FL"], adset_id="7"), issues=("Before",))
        result = planned.to_result(Result.FAILED, ["After"])

        assert (result.id, result.name, result.meta_campaign_id) == ("7", "Broad", "900")
        assert (result.ads, result.issues) == (1, ("Before", "After"))

    def test_a_broken_ad_leaves_the_ad_set_alone(self) -> None:
        """The ad is named with its error, whether there would be a change or not."""
        finding = AdFinding(Ad("9", "Video", "ACTIVE", "WITH_ISSUES"), AdHealth.BROKEN, "Missing lead form (#3390001)")

        for wanted in (["TX"], ["FL"]):
            decision = decide(adset(["TX"]), build_fb_regions(wanted), (finding,))
            assert decision.result is Result.SKIPPED_PREFLIGHT
            assert decision.issues == ("Ad “Video” (9): Missing lead form (#3390001)",)

    @pytest.mark.parametrize("wanted", [["TX"], ["FL"]])
    def test_a_reach_beyond_the_states_is_kept_and_said(self, wanted: list[str]) -> None:
        """Whatever becomes of the ad set; it is no obstacle."""
        reaching = {**targeting(["TX"]), "targeting_automation": {"individual_setting": {"geo": 1}}}
        decision = decided(["TX"], wanted, targeting=reaching)

        assert decision.result in {Result.UPDATED, Result.UNCHANGED}
        assert decision.issues == ()
        assert all(decision.to_result(result).reaches_beyond for result in Result)

    def test_since_when_an_ad_set_has_been_learning_is_said_of_a_change_only(self) -> None:
        """What stays as it is goes on learning."""
        for wanted, since in ((["TX"], None), (["FL"], "2026-05-03T00:00:00+00:00")):
            decision = decided(["TX"], wanted, learning_since="2026-05-03T00:00:00+00:00")
            assert decision.to_result().learning_since == since

    def test_nothing_is_said_of_where_an_ended_ad_set_would_be_shown(self) -> None:
        """It is not shown."""
        reaching = {**targeting(["TX"]), "targeting_automation": {"individual_setting": {"geo": 1}}}
        decision = decided(["TX"], ["FL"], targeting=reaching, end_time=LONG_AGO, read_at=LONG_AGO)

        assert decision.result is Result.ENDED
        assert not decision.to_result().reaches_beyond

    def test_contradictory_targeting_needs_a_person(self) -> None:
        """It is left alone and listed, with what to change by hand."""
        decision = decided(["TX"], ["FL"], targeting=targeting(["TX"], zips=[{"key": "US:44101"}]))

        assert decision.result is Result.NEEDS_ATTENTION
        assert decision.issues == (
            "Its targeting names zip codes: take that out in Ads Manager and target states only",
        )
        assert (decision.to_result().added, decision.to_result().removed) == ((), ())

    @given(some_states, some_states, some_states)
    @example({"TX"}, {"FL"}, {"TX"})
    @example({"TX"}, {"FL"}, {"GA"})
    @example({"TX"}, {"TX"}, {"GA"})
    def test_a_change_that_is_to_replace_certain_states_replaces_no_others(
        self, present: set[str], wanted: set[str], replaced: set[str]
    ) -> None:
        """What a person or a later run has set since stays, unless it is what is wanted."""
        decision = decide(adset(present), build_fb_regions(wanted), (), region_keys(targeting(replaced)))

        if present == wanted:
            assert decision.result is Result.UNCHANGED
        elif present == replaced:
            assert decision.is_change
            assert decision.replaces == region_keys(targeting(replaced))
        else:
            assert decision.result is Result.NEEDS_ATTENTION
            assert "changed since" in decision.issues[0]


class TestWaiting:
    """States that are not added yet, or not removed yet."""

    @given(present=some_states, wanted=some_states, waiting=some_states, adds_only=st.booleans())
    def test_the_regions_are_those_of_the_damped_states(
        self, *, present: set[str], wanted: set[str], waiting: set[str], adds_only: bool
    ) -> None:
        """Each once; what waits stays as it is, and so does what is kept for another reason."""
        decision = damped_decision(present, wanted, waiting, adds_only=adds_only)

        keys = [region["key"] for region in decision.new_regions]
        target = damped(wanted, present, waiting | present if adds_only else waiting)
        assert sorted(map(fb_region_to_usps, keys)) == sorted(target)

    def test_what_waits_is_no_conflict(self) -> None:
        """An exclusion is told of when the state is to be added."""
        excluding = targeting(["FL"]) | {"excluded_geo_locations": {"regions": build_fb_regions(["GA"])}}
        (georgia,) = build_fb_regions(["GA"])
        regions = build_fb_regions(["FL", "GA"])

        waits = decide(adset(["FL"], targeting=excluding), regions, (), waiting=frozenset({georgia["key"]}))
        comes = decide(adset(["FL"], targeting=excluding), regions, ())

        assert (waits.result, comes.result) == (Result.UNCHANGED, Result.NEEDS_ATTENTION)

    def test_what_an_invocation_that_died_has_done_is_off_by_what_waits(self) -> None:
        """Its result comes from the ledger, which does not tell that; others are known, or are not as decided now."""
        written, failed = AdSetResult("1", "Broad", Result.UPDATED), AdSetResult("2", "Broad", Result.FAILED)
        gone, moved = AdSetResult("3", "Broad", Result.UPDATED), AdSetResult("4", "Broad", Result.UPDATED)
        decisions = [
            damped_decision(["FL", "TX"], ["FL", "GA"], waiting=["GA", "TX"]),
            replace(damped_decision(["FL", "TX"], ["FL", "GA"], waiting=["GA", "TX"]), adset=adset(["FL", "TX"], "2")),
            replace(decided(["FL"], ["GA"]), adset=adset(["FL"], "4")),
        ]

        assert with_gaps({"1": written, "2": failed, "3": gone, "4": moved}, decisions) == {
            "1": replace(written, missing=("GA",), extra=("TX",)), "2": failed, "3": gone, "4": moved,
        }  # fmt: skip

    @pytest.mark.parametrize("read", [["FL", "GA"], ["TX", "GA"]], ids=["before its rollback", "after it"])
    def test_what_was_put_back_has_its_states_from_before(self, read: list[str]) -> None:
        """A recheck does not know what is wanted."""
        reverted = AdSetResult("1", "Broad", Result.REVERTED, added=("FL",), removed=("TX",))

        assert with_gaps({"1": reverted}, [decided(read, ["FL", "OH"])]) == {
            "1": replace(reverted, missing=("FL", "OH"), extra=("GA", "TX"))
        }

    def test_what_was_put_back_and_paused_since_has_its_states_from_before_too(self) -> None:
        """It was not read again, so that only its own change says what these are."""
        reverted = AdSetResult("1", "Broad", Result.REVERTED, added=("FL",), removed=("TX",))

        assert with_gaps({"1": reverted}, []) == {"1": replace(reverted, missing=("FL",), extra=("TX",))}

    def test_what_was_updated_and_paused_since_has_the_states_that_it_was_given(self) -> None:
        """It lacks none of those that were added."""
        updated = AdSetResult("1", "Broad", Result.UPDATED, added=("FL",), removed=("TX",))

        assert with_gaps({"1": updated}, []) == {"1": updated}

    def test_only_ad_sets_that_can_be_changed_say_what_is_asked_for(self) -> None:
        """Another one gets no state on the day that would be told."""
        decisions = [
            decided(["FL", "TX"], ["FL", "GA"]),
            decided(["OH"], ["FL", "GA"]),
            decided(["UT"], ["FL", "GA"], effective_status="WITH_ISSUES"),
        ]

        assert missing_and_extra(decisions) == (frozenset({"FL", "GA"}), frozenset({"OH", "TX"}))


class TestRunningNow:
    """What an ad set targets at the end of the run, by how that differs from what is wanted."""

    @pytest.mark.parametrize(
        "result",
        [
            Result.SKIPPED_PREFLIGHT,
            Result.NEEDS_ATTENTION,
            Result.DEFERRED,
            Result.HELD,
            Result.REVERTED,
            Result.FAILED,
        ],
    )
    def test_what_was_left_as_it_was_is_off_by_the_whole_difference(self, result: Result) -> None:
        """Whether or not a change was begun."""
        planned = decided(["FL", "TX"], ["FL", "NY"])

        for ended in (planned.to_result(result), replace(planned, result=result).to_result()):
            assert (ended.missing, ended.extra) == (("NY",), ("TX",))

    @pytest.mark.parametrize("result", [each for each in Result if each not in _KEEPS_STATES])
    def test_of_others_nothing_is_claimed(self, result: Result) -> None:
        """They target what is wanted, do not run, or nobody knows."""
        ended = decided(["FL", "TX"], ["FL", "NY"]).to_result(result)

        assert (ended.missing, ended.extra) == ((), ())

    @pytest.mark.parametrize("result", Result)
    def test_what_it_keeps_is_not_wanted_but_runs(self, result: Result) -> None:
        """While an entry of the demand cannot be read, Texas stays in, and the report must not hide that."""
        decision = decide(adset(["FL", "TX"]), build_fb_regions(["FL", "NY"]), (), adds_only=True)
        ended = decision.to_result(result)
        runs_there = result in _KEEPS_STATES | {Result.UPDATED, Result.UNCHANGED}

        assert ended.extra == (("TX",) if runs_there else ())
        assert ended.missing == (("NY",) if result in _KEEPS_STATES else ())

    def test_an_ad_set_without_states_runs_elsewhere(self) -> None:
        """Such as in the whole country: then no state is missing."""
        ended = decided([], ["FL"]).to_result(Result.NEEDS_ATTENTION)

        assert (ended.missing, ended.extra) == ((), ())

    @pytest.mark.parametrize(
        ("result", "off_by"),
        [
            pytest.param(Result.UPDATED, (("GA",), ("TX",)), id="what waits was left out"),
            pytest.param(Result.DEFERRED, (("GA", "NY"), ("OH", "TX")), id="nothing was done"),
            pytest.param(Result.UNVERIFIED, ((), ()), id="nobody knows"),
        ],
    )
    def test_what_waits_is_off_too(self, result: Result, off_by: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        """Georgia is not added yet, and Texas is not removed yet."""
        planned = damped_decision(["FL", "OH", "TX"], ["FL", "GA", "NY"], waiting=["GA", "TX"])
        ended = planned.to_result(result)

        assert (ended.added, ended.removed) == (("NY",), ("OH",))
        assert (ended.missing, ended.extra) == off_by

    def test_an_ad_set_for_which_all_waits_is_unchanged(self) -> None:
        """And told to be off by that."""
        ended = damped_decision(["FL", "TX"], ["FL", "GA"], waiting=["GA", "TX"]).to_result()

        assert (ended.result, ended.missing, ended.extra) == (Result.UNCHANGED, ("GA",), ("TX",))

    def test_the_states_of_a_campaign_are_those_of_the_ad_sets_that_run(self) -> None:
        """An ad set that is over targets nobody."""
        decisions = [decided(["FL", "TX"], ["NY"]), decided(["OH"], ["NY"], effective_status="WITH_ISSUES")]

        assert states_before(decisions) == ("FL", "TX")


class TestEarlierRuns:
    """What earlier runs have left of each ad set."""

    WANTED = build_fb_regions(["FL"])

    def changes(self, *ids: str) -> list[Decision]:
        """Decide for ad sets with these ids, which target other states."""
        return [decide(adset(["TX"], adset_id=adset_id), self.WANTED, ()) for adset_id in ids]

    def reverts(self, times: int, codes: str = "FL") -> RevertStreak:
        """Return that an ad set was put back so many times for these states."""
        return RevertStreak(region_keys(targeting(codes.split())), times)

    def test_what_was_put_back_goes_last_and_keeps_its_streak(self) -> None:
        """The order is otherwise as it was."""
        streaks = {"1": self.reverts(1), "3": self.reverts(5, "FL GA")}

        found = prioritize(self.changes("1", "2", "3", "4"), PreviousOutcomes(streaks), ())

        assert [(decision.adset.id, decision.reverts) for decision in found] == [
            ("2", None),
            ("4", None),
            ("1", streaks["1"]),
            ("3", streaks["3"]),
        ]
        assert all(decision.is_change for decision in found)

    def test_what_was_deferred_goes_first_unless_it_was_put_back(self) -> None:
        """It has waited longest; but what may break again spoils nobody's turn."""
        previous = PreviousOutcomes({"3": self.reverts(1)}, frozenset({"2", "3", "9"}))

        found = prioritize(self.changes("1", "2", "3", "4"), previous, ())

        assert [decision.adset.id for decision in found] == ["2", "1", "4", "3"]

    def test_what_loses_states_goes_before_what_only_wins_some(self) -> None:
        """Among those with the same turn; what is no change keeps nobody waiting."""
        wanted = build_fb_regions(["FL", "GA"])
        states = {"1": "FL", "2": "FL TX", "3": "FL", "4": "GA TX", "5": "FL TX", "6": "FL", "7": "FL GA"}
        decisions = [decide(adset(codes.split(), adset_id=each), wanted, ()) for each, codes in states.items()]
        previous = PreviousOutcomes({each: self.reverts(1, "FL GA") for each in "56"}, frozenset({"3", "4"}))

        found = prioritize(decisions, previous, ())

        assert "".join(decision.adset.id for decision in found) == "43" + "2" + "17" + "56"

    def test_with_an_entry_that_cannot_be_read_nothing_is_lost(self) -> None:
        """So no ad set goes before the others for that."""
        (decision,) = [decide(adset(["TX"]), self.WANTED, (), adds_only=True)]

        assert not decision.removes_states

    @pytest.mark.parametrize(
        ("reverts", "force", "result"),
        [
            pytest.param((1, "FL"), (), Result.UPDATED, id="once"),
            pytest.param((2, "FL"), (), Result.NEEDS_ATTENTION, id="twice"),
            pytest.param((9, "FL"), (), Result.NEEDS_ATTENTION, id="more often"),
            pytest.param((2, "FL GA"), (), Result.UPDATED, id="for more states"),
            pytest.param((2, "GA"), (), Result.UPDATED, id="for other states"),
            pytest.param((2, "FL"), ("max_removed_pct",), Result.NEEDS_ATTENTION, id="another limit is lifted"),
            pytest.param((2, "FL"), ("reverted_before",), Result.UPDATED, id="the limit is lifted"),
        ],
    )
    def test_what_was_put_back_too_often_for_the_same_states_is_left_alone(
        self, reverts: tuple[int, str], force: tuple[str, ...], result: Result
    ) -> None:
        """Until the states change or somebody insists."""
        (decision,) = prioritize(self.changes("1"), PreviousOutcomes({"1": self.reverts(*reverts)}), force)

        assert decision.result is result
        assert bool(decision.issues) is (result is Result.NEEDS_ATTENTION)

    def test_what_is_no_change_keeps_its_place(self) -> None:
        """An ad set that is as wanted, or is left alone for its ads, is not called reverted."""
        decisions = [decided(["FL"], ["FL"]), decided(["TX"], ["FL"], effective_status="PAUSED")]

        assert prioritize(decisions, PreviousOutcomes({"1": self.reverts(2)}), ()) == tuple(decisions)

    @given(
        st.lists(st.integers(0, 20).map(str), unique=True),
        st.dictionaries(st.integers(0, 20).map(str), st.integers(1, 3)),
    )
    def test_nobody_is_lost(self, ids: list[str], times: dict[str, int]) -> None:
        """Every decision is there once, whatever happened before."""
        streaks = {adset_id: self.reverts(count) for adset_id, count in times.items()}

        found = prioritize(self.changes(*ids), PreviousOutcomes(streaks), ())

        assert sorted(decision.adset.id for decision in found) == sorted(ids)

    def test_an_ad_set_with_an_open_change_is_held(self) -> None:
        """Until that is finished or undone, no other is begun, and nobody calls it right; all else is as decided."""
        decisions = [
            *self.changes("1", "2"),
            decided(["FL"], ["FL"], adset_id="3"),
            decided(["TX"], ["FL"], adset_id="4", effective_status="WITH_ISSUES"),
        ]

        held = hold(decisions, {"2", "3", "4"})

        assert [decision.result for decision in held] == [
            Result.UPDATED, Result.HELD, Result.HELD, Result.NOT_ACTIVE
        ]  # fmt: skip
        assert all("still open" in decision.issues[0] for decision in held[1:3])

    def test_what_an_earlier_invocation_has_done_is_not_done_again(self) -> None:
        """All else remains, in its order."""
        changes = self.changes("1", "2", "3", "4")

        assert remaining(changes, {"2", "4", "9"}) == (changes[0], changes[2])


def test_what_is_opted_out_is_left_alone_whatever_was_decided() -> None:
    """Its result names the pattern; others keep theirs."""
    ours = replace(decided(["FL"], ["GA"]), adset=replace(adset(["FL"]), name="Ours"))
    theirs = replace(decided(["FL"], ["GA"]), adset=replace(adset(["FL"]), name="Test 1"))

    kept, left = leave_opted_out([ours, theirs], ["Old*", "Test*"])

    assert kept is ours
    assert left == replace(theirs, result=Result.OPTED_OUT, issues=("Its name matches “Test*” of skip_adsets",))


def test_a_change_that_is_pinned_replaces_the_regions_that_it_was_planned_from() -> None:
    """What is no change replaces nothing."""
    change, other = decided(["FL", "TX"], ["GA"]), decided(["FL"], ["FL"])

    pinned_change, same = pinned([change, other])

    assert pinned_change == replace(change, replaces=region_keys(targeting(["FL", "TX"])))
    assert same is other


class TestRefusal:
    """Plans that would take away too much."""

    @given(some_states, some_states, st.integers(0, 100))
    @example(set(ALL_CODES[:10]), set(ALL_CODES[:2]), 80)
    @example(set(ALL_CODES[:10]), {ALL_CODES[10]}, 100)
    @example(set(ALL_CODES[:10]), set(ALL_CODES[:2]), 79)
    def test_the_share_decides(self, present: set[str], wanted: set[str], limit: int) -> None:
        """Refused exactly if ten or more states are targeted and too large a share of them would go."""
        decisions = [decided(present, wanted)]
        share = 100 * len(present - wanted) / len(present)

        try:
            refuse_implausible(decisions, Limits(max_removed_pct=limit), ())
        except PlanRefusedError:
            assert len(present) >= 10
            assert share > limit
        else:
            assert len(present) < 10 or share <= limit

    def test_the_message_has_the_figures_and_the_way_out(self) -> None:
        """A person can tell from it whether the feed or the limit is wrong."""
        decisions = [decided(ALL_CODES[:10], ["TX"])]

        with pytest.raises(PlanRefusedError) as caught:
            refuse_implausible(decisions, Limits(), ())

        assert "10 of the 10 states targeted now (100 % > 80 %)" in str(caught.value)
        assert '"force": ["max_removed_pct"]' in str(caught.value)

    def test_force_lifts_the_limit(self) -> None:
        """Asked for by name, the plan goes through."""
        refuse_implausible([decided(ALL_CODES[:10], ["TX"])], Limits(), {"max_removed_pct"})

    def test_all_ad_sets_of_a_campaign_count_together(self) -> None:
        """Two ad sets with five states each are a campaign with ten."""
        halves = [decided(ALL_CODES[:5], ["TX"]), decided(ALL_CODES[5:10], ["TX"])]

        with pytest.raises(PlanRefusedError):
            refuse_implausible(halves, Limits(), ())

    def test_an_ad_set_that_is_left_alone_does_not_count(self) -> None:
        """What is not touched loses nothing."""
        left = decided(ALL_CODES[:20], ["TX"], effective_status="IN_PROCESS")

        refuse_implausible([left, decided(["TX", "FL"], ["TX"])], Limits(), ())

    def test_no_ad_sets_no_refusal(self) -> None:
        """A campaign without ad sets is a quiet one."""
        refuse_implausible([], Limits(), ())


class TestNoStates:
    """A demand that leaves nothing to target."""

    def test_any_state_is_enough(self) -> None:
        """However many others count for nothing."""
        refuse_no_states(
            SyncReport("vets", "Vets", dry_run=False, active_states=("FL",), below_min_demand=("TX",)), Limits()
        )

    def test_too_few_leads_in_each(self) -> None:
        """The refusal names the limit and the states, for the limit may be wrong."""
        report = SyncReport("vets", "Vets", dry_run=False, below_min_demand=("FL", "TX"), unmapped_states=("ZZ",))

        with pytest.raises(PlanRefusedError, match=r"the 7 leads that limits/min_demand asks for.*\(FL, TX\)"):
            refuse_no_states(report, Limits(min_demand=7))

    def test_states_that_meta_does_not_know(self) -> None:
        """The refusal names them."""
        report = SyncReport("vets", "Vets", dry_run=False, unmapped_states=("PR", "ZZ"))

        with pytest.raises(PlanRefusedError, match=r"\(PR, ZZ\)"):
            refuse_no_states(report, Limits())


class TestOtherAccount:
    """Ad sets are changed with the quota and the log of the ad account that the parameters name."""

    campaign = CampaignConfig("Vets", "vets", "VND_VETERANS_LEADS", Secret("fake-token"), "act_111", ("900",))

    @pytest.mark.parametrize("account", ["111", ""])
    def test_its_own_are_not_refused(self, account: str) -> None:
        """Nor those of which Meta does not say whose they are."""
        refuse_other_account(self.campaign, [adset(["TX"], account_id=account)])

    def test_one_of_another_is_enough(self) -> None:
        """The refusal names both accounts and the parameters."""
        adsets = [adset(["TX"], account_id="111"), adset(["TX"], adset_id="2", account_id="222")]

        with pytest.raises(ConfigError, match=r"campaigns/vets/fb_ad_account_id: is act_111.*\(2\).*act_222"):
            refuse_other_account(self.campaign, adsets)


@given(st.integers(0, 6), st.integers(1, 4))
def test_only_so_many_changes_a_run(changes: int, most: int) -> None:
    """The first changes are made, the others deferred, and what does not change stays as decided."""
    decisions = [decide(adset(["TX"], adset_id=str(n)), build_fb_regions(["FL"]), ()) for n in range(changes)]
    decisions.insert(changes // 2, decided(["FL"], ["FL"], adset_id="same"))

    found = [(decision.adset.id, decision.result, decision.issues) for decision in defer_beyond(decisions, most)]

    said = (f"max_adsets allows {most} changes a run",)
    expected: list[Any] = [(str(n), Result.UPDATED, ()) for n in range(min(changes, most))]
    expected += [(str(n), Result.DEFERRED, said) for n in range(most, changes)]
    expected.insert(changes // 2, ("same", Result.UNCHANGED, ()))
    assert found == expected
    assert defer_beyond(decisions, None) == tuple(decisions)
