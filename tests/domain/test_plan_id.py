"""The id of a plan, and how two plans differ."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.plan import decide
from closrads.domain.plan_id import ID_CHARS, MAX_LINES, Plan, PlannedChange, planned_changes, refusals
from closrads.state_mapper import build_fb_regions

REGIONS = {region["name"]: region["key"] for region in build_fb_regions(["FL", "GA", "TX", "OH"])}
FL, GA, TX, OH = (REGIONS[name] for name in ("Florida", "Georgia", "Texas", "Ohio"))
KEYS = st.frozensets(st.sampled_from([FL, GA, TX, OH]))


def change(number: int = 1, before: str = TX, after: str = FL, campaign: str = "veterans") -> PlannedChange:
    """Return a change of an ad set; several keys are separated by blanks."""
    return PlannedChange(campaign, str(number), f"Ad set {number}", frozenset(before.split()), frozenset(after.split()))


CHANGES = st.lists(
    st.builds(PlannedChange, st.sampled_from(["veterans", "truckers"]), st.sampled_from("123"), st.text(), KEYS, KEYS),
    max_size=5,
    unique_by=lambda each: (each.campaign, each.id),
)


def why(approved: Plan, now: Plan, *slugs: str) -> dict[str, str]:
    """Return the refusals, without what all of them have in common."""
    found = refusals(approved.id, approved, now, slugs or ("veterans",))
    said, end = f"Refused: the plan is no longer the approved {approved.id}", ". None of its changes was begun. "
    assert all(each.startswith(said) and end in each for each in found.values())
    return {slug: each.removeprefix(said).partition(end)[0].lstrip(":, ") for slug, each in found.items()}


class TestId:
    """Equal for equal plans, and for those alone."""

    def test_it_is_the_same_in_every_process(self) -> None:
        """A hash of the content, not of this process's objects."""
        assert Plan((change(),), ("veterans",), frozenset({"max_removed_pct"})).id == "4b9ad8196c95cc85"
        assert len(Plan(()).id) == ID_CHARS

    @given(CHANGES, st.randoms(use_true_random=False))
    def test_neither_order_nor_names_count(self, changes: list[PlannedChange], random: Random) -> None:
        """Meta lists ad sets as it likes, and a person may rename one."""
        shuffled = [replace(each, name="another") for each in changes]
        random.shuffle(shuffled)

        assert Plan(tuple(shuffled), ("b", "a")).id == Plan(tuple(changes), ("a", "b")).id

    @given(CHANGES, CHANGES)
    def test_another_plan_has_another_id(self, one: list[PlannedChange], other: list[PlannedChange]) -> None:
        """Whatever differs: an ad set, the regions that it starts from, those that it is to have."""
        same = {replace(each, name="") for each in one} == {replace(each, name="") for each in other}

        assert (Plan(tuple(one)).id == Plan(tuple(other)).id) == same

    @pytest.mark.parametrize(
        "other", [Plan((change(),), ("veterans",)), Plan((change(),), None, frozenset({"max_removed_pct"}))]
    )
    def test_what_was_asked_for_counts(self, other: Plan) -> None:
        """Another choice of campaigns, or a lifted limit, may come to another plan tomorrow."""
        assert Plan((change(),)).id != other.id


class TestPlannedChanges:
    """What of a campaign's decisions a person approves."""

    def test_each_ad_set_that_would_be_changed(self) -> None:
        """By the keys of the states that it has and is to have; what stays as it is needs no approval."""
        regions = build_fb_regions(["FL"])
        adsets = [
            AdSetSnapshot(number, f"Ad set {number}", "900", "ACTIVE", {"geo_locations": {"regions": [{"key": key}]}})
            for number, key in (("1", TX), ("2", FL))
        ]
        decisions = [decide(adset, regions, (), None) for adset in adsets]

        assert planned_changes("veterans", decisions) == (change(),)


class TestRefusals:
    """What is told of a plan that has become another one."""

    @pytest.mark.parametrize(
        ("now", "said"),
        [
            ((change(after=f"{FL} {GA}"),), "“Ad set 1” (1): +FL +GA −TX instead of +FL −TX"),
            ((change(before=f"{TX} {OH}"),), "“Ad set 1” (1): +FL −OH −TX instead of +FL −TX"),
            (
                (change(before=f"{TX} {OH}", after=f"{FL} {OH}"),),
                "“Ad set 1” (1): +FL −TX as approved, but it targets other states now",
            ),
            ((), "“Ad set 1” (1): +FL −TX is no longer to be done"),
            ((change(), change(2, OH)), "“Ad set 2” (2): +FL −OH is new"),
            (
                (change(2, OH),),
                "“Ad set 1” (1): +FL −TX is no longer to be done; “Ad set 2” (2): +FL −OH is new",
            ),
        ],
    )
    def test_each_ad_set_that_differs(self, now: tuple[PlannedChange, ...], said: str) -> None:
        """With its states, more or fewer."""
        assert why(Plan((change(),)), Plan(now)) == {"veterans": said}

    def test_a_campaign_as_approved_is_refused_with_the_others(self) -> None:
        """A plan is carried out as a whole or not at all; where nothing is to be changed, nothing is refused."""
        same = change(5, campaign="truckers")

        found = why(Plan((change(), same)), Plan((same,)), "veterans", "truckers", "mortgage")

        assert found == {
            "veterans": "“Ad set 1” (1): +FL −TX is no longer to be done",
            "truckers": "what differs is in veterans",
        }

    @pytest.mark.parametrize("now", [Plan((change(),), ("veterans",)), Plan((change(),), None, frozenset({"x"}))])
    def test_other_options(self, now: Plan) -> None:
        """An event that names other campaigns than the dry run's."""
        assert "leave them out" in why(Plan((change(),)), now)["veterans"]

    def test_the_order_of_the_campaigns_is_no_difference(self) -> None:
        """Only what differs is told."""
        before, now = Plan((change(),), ("a", "b")), Plan((), ("b", "a"))

        assert why(before, now) == {"veterans": "“Ad set 1” (1): +FL −TX is no longer to be done"}

    def test_other_options_hide_no_other_difference(self) -> None:
        """Not even in a campaign that this run leaves out."""
        before = Plan((change(), change(5, campaign="truckers")))

        found = why(before, Plan((change(after=GA),), ("veterans",)))

        assert found["truckers"] == "“Ad set 5” (5): +FL −TX is no longer to be done"
        assert found["veterans"].startswith("“Ad set 1” (1): +GA −TX instead of +FL −TX; it was made with other")

    def test_as_many_as_are_told_are_told_whole(self) -> None:
        """Without a number that stands for a single one."""
        said = why(Plan(()), Plan(tuple(map(change, range(100, 100 + MAX_LINES)))))["veterans"]

        assert said.count(" is new") == MAX_LINES
        assert "more" not in said

    def test_of_hundreds_the_first_are_told(self) -> None:
        """The rest is a number."""
        said = why(Plan(()), Plan(tuple(map(change, range(100, 100 + MAX_LINES + 1)))))["veterans"]

        assert said.endswith("; and 2 more")
        assert said.count(";") == MAX_LINES - 1
