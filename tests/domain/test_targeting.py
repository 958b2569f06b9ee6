"""Reading Meta's targeting, and building a new one: pure, so mostly by properties."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.targeting import (
    _build_new_targeting,
    category_conflicts,
    control_conflicts,
    geo_conflicts,
    misnamed_regions,
    reaches_beyond_states,
    region_keys,
    regions_besides,
    signed,
    states,
    with_regions_of,
    without_computed,
)
from closrads.state_mapper import Region, build_fb_regions, fb_region_to_usps

ALL_CODES = [fb_region_to_usps(str(key)) for key in range(3843, 3894)]
some_states = st.sets(st.sampled_from(ALL_CODES), min_size=1)
some_regions = st.lists(st.sampled_from(ALL_CODES), min_size=1, max_size=6, unique=True).map(build_fb_regions)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
other_keys = st.sampled_from(
    ["age_min", "user_age_unknown", "targeting_automation", "excluded_geo_locations", "effective", "geo", "regions"]
) | st.text(max_size=6).filter(lambda name: not name.startswith("effective_") and name != "geo_locations")
geo_locations = st.dictionaries(
    st.sampled_from(["regions", "location_types", "countries", "cities"]) | st.text(max_size=5), json_values, max_size=4
)
targetings = st.builds(
    lambda rest, computed, geo: {**rest, **computed, **geo},
    st.dictionaries(other_keys, json_values, max_size=6),
    st.dictionaries(st.text(max_size=5).map("effective_{}".format), json_values, max_size=3),
    st.just({}) | st.fixed_dictionaries({"geo_locations": st.none() | geo_locations}),
)


def targeting(codes: Any, **geo: Any) -> dict[str, Any]:
    """Build a targeting for these states, with other keys beside the regions."""
    return {"age_min": 18, "geo_locations": {"regions": build_fb_regions(codes), **geo}}


class TestRegionKeys:
    """Which regions are targeted."""

    @given(some_states, st.randoms())
    def test_neither_order_nor_spelling_counts(self, codes: set[str], random: Any) -> None:
        """Meta answers in its own order, and a name or a country more or less is no other region."""
        regions = [{"key": region["key"], "name": "?"} for region in build_fb_regions(codes)]
        random.shuffle(regions)

        assert region_keys({"geo_locations": {"regions": regions}}) == region_keys(targeting(codes))

    @given(some_states, some_states)
    def test_different_states_have_different_keys(self, one: set[str], other: set[str]) -> None:
        """Whose the regions are is judged by nothing else."""
        assert (region_keys(targeting(one)) == region_keys(targeting(other))) is (one == other)

    @given(some_states)
    def test_states_and_keys_lead_to_each_other(self, codes: set[str]) -> None:
        """The report names what the targeting has."""
        assert states(region_keys(targeting(codes))) == tuple(sorted(codes))

    def test_a_key_that_is_a_number_is_the_same_key(self) -> None:
        """JSON knows both."""
        assert region_keys({"geo_locations": {"regions": [{"key": 3886}]}}) == region_keys(targeting(["TX"]))

    @pytest.mark.parametrize("geo", [None, {}, {"regions": None}, {"regions": []}])
    def test_a_targeting_without_regions_has_no_keys(self, geo: Any) -> None:
        """An audience without a place is possible."""
        assert region_keys({"geo_locations": geo}) == region_keys({}) == frozenset()

    def test_a_key_that_is_no_state_is_shown_as_it_is(self) -> None:
        """It is not hidden."""
        assert states({"3886", "99"}) == ("99", "TX")

    @pytest.mark.parametrize(
        ("added", "removed", "shown"),
        [(["FL", "GA"], ["TX"], "+FL +GA −TX"), ([], ["TX"], "−TX"), (["FL"], [], "+FL"), ([], [], "")],
    )
    def test_a_change_is_shown_with_signs(self, added: list[str], removed: list[str], shown: str) -> None:
        """The added states come first, each list in its own order."""
        assert signed(added, removed) == shown

    def test_the_other_regions_stay_as_they_are(self) -> None:
        """With whatever Meta shows of them, and also those that cannot be read."""
        others = [{"key": 3852, "name": "Florida", "new": 1}, "3853", None]
        mixed = {"geo_locations": {"regions": [*build_fb_regions(["TX"]), *others]}}

        assert regions_besides(mixed, ["3886"]) == tuple(others)
        assert regions_besides(mixed, ["3886", "3852", "3853", "None"]) == ()
        assert regions_besides({}, []) == ()


class TestMisnamedRegions:
    """Keys that do not mean what they are taken for."""

    def test_the_key_and_both_names_are_said(self) -> None:
        """A person can look it up."""
        targeted = targeting(["FL", "TX"])
        targeted["geo_locations"]["regions"][1] = {"key": 3886, "name": "Ontario"}

        assert misnamed_regions(targeted) == ("Meta shows region 3886, which should be TX, as “Ontario”",)

    @pytest.mark.parametrize("region", [{"key": "3886"}, {"key": "3886", "name": ""}, {"name": ""}, "3886", None])
    def test_what_has_no_name_says_nothing(self, region: Any) -> None:
        """Meta may omit it."""
        assert misnamed_regions({"geo_locations": {"regions": [region]}}) == ()


class TestNewTargeting:
    """What is sent."""

    @given(targetings, some_regions)
    def test_only_the_regions_change(self, old: dict[str, Any], regions: list[Region]) -> None:
        """All other keys stay, null values and unknown ones included; what Meta computes is not sent back."""
        new = _build_new_targeting(old, regions)

        kept = {key: value for key, value in old.items() if not key.startswith("effective_")}
        assert new.pop("geo_locations") == {**(kept.pop("geo_locations", None) or {}), "regions": regions}
        assert new == kept

    @given(targetings, some_regions)
    def test_the_old_targeting_is_not_touched(self, old: dict[str, Any], regions: list[Region]) -> None:
        """What a rollback needs shares nothing with what is written, at any depth."""
        before, wanted = copy.deepcopy(old), copy.deepcopy(regions)

        clear_all(_build_new_targeting(old, regions))

        assert (old, regions) == (before, wanted)

    @given(targetings, some_regions, some_regions)
    def test_the_last_regions_count(self, old: dict[str, Any], first: list[Region], last: list[Region]) -> None:
        """Building on what was built gives the same as building at once, so equal demand gives equal bytes."""
        assert _build_new_targeting(_build_new_targeting(old, first), last) == _build_new_targeting(old, last)

    @given(targetings, some_regions, some_regions)
    def test_the_old_regions_on_what_is_there_are_the_old_targeting(
        self, old: dict[str, Any], before: list[Region], wanted: list[Region]
    ) -> None:
        """With nobody's edit in between, a rollback is exact."""
        start = _build_new_targeting(old, before)

        assert _build_new_targeting(_build_new_targeting(start, wanted), before) == start

    @given(targetings, some_regions, some_regions, other_keys, json_values)
    def test_an_edit_in_between_survives_the_old_regions(
        self, old: dict[str, Any], before: list[Region], wanted: list[Region], key: str, value: Any
    ) -> None:
        """A person's age limit is theirs, whoever has the regions."""
        start = _build_new_targeting(old, before)
        edited = {**_build_new_targeting(start, wanted), key: value}

        assert _build_new_targeting(edited, before) == {**start, key: value}

    @given(targetings, some_regions)
    def test_its_regions_are_those_that_were_asked_for(self, old: dict[str, Any], regions: list[Region]) -> None:
        """Whatever was there before."""
        assert region_keys(_build_new_targeting(old, regions)) == {region["key"] for region in regions}

    @pytest.mark.parametrize(
        ("geo", "left"),
        [
            pytest.param({}, {}, id="no other locations"),
            pytest.param({"cities": [{"key": "1"}]}, {"geo_locations": {"cities": [{"key": "1"}]}}, id="others"),
        ],
    )
    def test_without_regions_nothing_empty_is_sent(self, geo: dict[str, Any], left: dict[str, Any]) -> None:
        """A rollback to the custom audience alone must not be refused for an empty list, or for empty locations."""
        assert _build_new_targeting(targeting(["FL"], **geo), []) == {"age_min": 18, **left}


def clear_all(value: Any) -> None:
    """Empty every list and object in a JSON value."""
    if isinstance(value, list | dict):
        for each in [*value.values()] if isinstance(value, dict) else [*value]:
            clear_all(each)
        value.clear()


class TestRegionsOfAnother:
    """A targeting with the regions that Meta's answer shows."""

    @given(targetings, some_states)
    def test_only_the_regions_are_the_others(self, one: dict[str, Any], codes: set[str]) -> None:
        """An answer may spell the rest otherwise than a read does."""
        other = {**targeting(codes), "age_min": 65, "spelled": "otherwise"}

        found = with_regions_of(one, other)

        assert found["geo_locations"]["regions"] == other["geo_locations"]["regions"]
        others = {kind: entries for kind, entries in found.pop("geo_locations").items() if kind != "regions"}
        assert others == {k: v for k, v in (one.get("geo_locations") or {}).items() if k != "regions"}
        assert found == {key: value for key, value in one.items() if key != "geo_locations"}

    @pytest.mark.parametrize("geo", [None, {}, {"regions": None}])
    def test_another_without_regions_leaves_none(self, geo: Any) -> None:
        """That is what Meta says is stored."""
        assert region_keys(with_regions_of(targeting(["TX"]), {"geo_locations": geo})) == frozenset()


class TestConflicts:
    """Which targeting cannot simply get other regions."""

    @pytest.mark.parametrize(
        ("geo", "said"),
        [
            ({"countries": ["US"]}, "the whole country"),
            ({"countries": ["CA", "US"]}, "the whole country"),
            ({"country_groups": ["worldwide"]}, "group of countries"),
            ({"cities": [{"key": "2430536", "country": "US", "radius": 10}]}, "cities"),
            ({"cities": [{"key": "2430536"}]}, "cities"),
            ({"zips": [{"key": "US:44101"}]}, "zip codes"),
            ({"places": [{"key": "5"}]}, "places"),
            ({"custom_locations": [{"latitude": 1, "longitude": 2}]}, "addresses or pins"),
            ({"geo_markets": [{"key": "COMSCORE_MARKET:2001"}]}, "markets"),
            ({"electoral_districts": [{"key": "US:OH01"}]}, "electoral_districts"),
            ({"something_new": True}, "something_new"),
            ({"location_types": ["home"], "zips": [{"key": "US:44101"}]}, "zip codes"),
        ],
    )
    def test_locations_that_a_person_chose_inside_the_us(self, geo: dict[str, Any], said: str) -> None:
        """Each kind is named in words."""
        (conflict,) = geo_conflicts(targeting(["TX"], **geo), {"3852"})

        assert said in conflict

    @pytest.mark.parametrize(
        "geo",
        [
            {},
            {"location_types": ["home", "recent"]},
            {"countries": ["CA"]},
            {"countries": [], "cities": [], "zips": None},
            {"cities": [{"key": "296875", "country": "CA"}]},
            {"zips": [{"key": "CA:K1A"}, {"key": "GB:EC1A:1"}]},
        ],
    )
    def test_what_is_in_nobodys_way(self, geo: dict[str, Any]) -> None:
        """Empty lists and places certainly outside the US are no conflict."""
        assert geo_conflicts(targeting(["TX"], **geo), {"3852"}) == ()

    def test_a_foreign_region_would_be_lost(self) -> None:
        """Replacing the regions must not drop a province that a person chose."""
        mixed = targeting(["TX"])
        mixed["geo_locations"]["regions"].append({"key": "527", "name": "Ontario", "country": "CA"})

        assert "(Ontario)" in geo_conflicts(mixed, {"3886"})[0]

    @pytest.mark.parametrize("geo", [None, {}])
    def test_targeting_without_any_place(self, geo: Any) -> None:
        """An audience without a place can be given one."""
        assert geo_conflicts({"geo_locations": geo}, {"3852"}) == ()
        assert region_keys({"geo_locations": geo}) == region_keys({}) == frozenset()

    @pytest.mark.parametrize(
        ("region", "named"),
        [
            ({"key": "500"}, "500"),
            ({"key": "3886x", "name": ""}, "3886x"),
            ({"key": "3886", "country": "CA"}, "3886"),
            ("3886", "3886"),
            (None, "None"),
        ],
    )
    def test_a_region_that_is_no_us_state_would_be_lost(self, region: Any, named: str) -> None:
        """What is not known here, or contradicts what is, is not replaced."""
        strange = targeting(["TX"])
        strange["geo_locations"]["regions"].append(region)

        assert f"no US states ({named})" in geo_conflicts(strange, {"3886"})[0]

    @pytest.mark.parametrize("group", ["geo_locations", "excluded_geo_locations"])
    def test_locations_that_are_no_object(self, group: str) -> None:
        """Nobody knows what they allow, so a person has to look."""
        conflicts = geo_conflicts({group: "everywhere"}, {"3886"})

        assert f"Its {group} cannot be read: look at its locations in Ads Manager" in conflicts

    def test_an_exclusion_that_meets_the_demand(self) -> None:
        """A state that is both wanted and excluded is a contradiction; one that is only excluded is not."""
        excluding = {**targeting(["TX"]), "excluded_geo_locations": {"regions": build_fb_regions(["FL", "GA"])}}

        assert geo_conflicts(excluding, {"3886"}) == ()
        assert "excludes FL," in geo_conflicts(excluding, {"3852"})[0]

    @pytest.mark.parametrize("excluded", [{"countries": ["US"]}, {"country_groups": ["worldwide"]}])
    def test_an_excluded_country(self, excluded: dict[str, Any]) -> None:
        """Excluding the US excludes every state."""
        excluding = {**targeting(["TX"]), "excluded_geo_locations": excluded}

        assert "excludes the whole country" in geo_conflicts(excluding, {"3886"})[0]

    def test_an_excluded_city_is_a_persons_choice(self) -> None:
        """A state without one of its cities is what Meta has exclusions for."""
        excluding = {**targeting(["TX"]), "excluded_geo_locations": {"cities": [{"key": "5", "country": "US"}]}}

        assert geo_conflicts(excluding, {"3886"}) == ()

    @pytest.mark.parametrize("group", ["geo_locations", "excluded_geo_locations"])
    def test_locations_that_cannot_be_read(self, group: str) -> None:
        """Nobody knows what a write would take away."""
        (conflict,) = geo_conflicts({**targeting(["TX"]), group: ["US"]}, {"3852"})

        assert conflict.startswith(f"Its {group} cannot be read")


class TestCategories:
    """Special ad categories that do not allow to exclude locations."""

    @pytest.mark.parametrize(
        ("excluded", "categories", "said"),
        [
            ({"cities": [{"key": "5"}]}, ["HOUSING"], "(HOUSING)"),
            ({"cities": [{"key": "5"}]}, ["NONE", "HOUSING", "CREDIT"], "(CREDIT, HOUSING)"),
            ({"location_types": ["home"], "regions": [{"key": "3886"}]}, ["EMPLOYMENT"], "(EMPLOYMENT)"),
            ({"cities": [{"key": "5"}]}, ["NONE"], ""),
            ({"cities": [{"key": "5"}]}, [], ""),
            ({"cities": [], "location_types": ["home"]}, ["HOUSING"], ""),
            ({"location_types": ["home"]}, ["HOUSING"], ""),
            (None, ["HOUSING"], ""),
        ],
    )
    def test_an_exclusion_conflicts_with_some_of_them(self, excluded: Any, categories: list[str], said: str) -> None:
        """An empty one excludes nothing, and what kinds of location are meant is no location."""
        found = category_conflicts({**targeting(["TX"]), "excluded_geo_locations": excluded}, categories)

        assert len(found) == bool(said)
        assert said in "".join(found)


class TestControls:
    """What binds all ad sets of an ad account."""

    WANTED = ("3852", "3886")

    @pytest.mark.parametrize(
        ("controls", "said"),
        [
            ({}, []),
            ({"geo_locations": None, "excluded_geo_locations": None}, []),
            ({"geo_locations": {"regions": []}}, []),
            ({"geo_locations": {"countries": ["US"]}}, []),
            ({"geo_locations": {"countries": ["CA", "US"], "regions": build_fb_regions(["TX"])}}, []),
            ({"geo_locations": {"country_groups": ["worldwide"]}}, []),
            ({"geo_locations": {"regions": build_fb_regions(["FL", "GA", "TX"])}}, []),
            ({"geo_locations": {"regions": build_fb_regions(["GA", "TX"])}}, ["do not include FL:"]),
            ({"geo_locations": {"countries": ["CA"]}}, ["do not include FL, TX:"]),
            ({"excluded_geo_locations": {"regions": build_fb_regions(["GA"])}}, []),
            ({"excluded_geo_locations": {"regions": build_fb_regions(["FL", "GA"])}}, ["exclude FL:"]),
            (
                {
                    "geo_locations": {"regions": build_fb_regions(["TX"])},
                    "excluded_geo_locations": {"regions": build_fb_regions(["TX"])},
                },
                ["exclude TX:", "do not include FL:"],
            ),
        ],
    )
    def test_the_states_that_they_forbid_are_named(self, controls: dict[str, Any], said: list[str]) -> None:
        """And no state that is not in demand."""
        found = control_conflicts(controls, self.WANTED)

        assert [text.partition("ad account ")[2][: len(part)] for text, part in zip(found, said, strict=True)] == said


class TestComputedKeys:
    """What Meta computes on reading, and does not take back."""

    @given(targetings)
    def test_only_they_are_left_out(self, one: dict[str, Any]) -> None:
        """Whatever their values."""
        found = without_computed({**one, "effective_publisher_platforms": ["facebook"]})

        assert found == {key: value for key, value in one.items() if not key.startswith("effective_")}


class TestReach:
    """Whether Meta may leave the states."""

    @pytest.mark.parametrize(
        ("automation", "beyond"),
        [
            (None, False),
            ({}, False),
            ({"advantage_audience": 1}, False),
            ({"individual_setting": None}, False),
            ({"individual_setting": {"age": 1, "geo": 0}}, False),
            ({"individual_setting": {"geo": "0"}}, False),
            ({"individual_setting": {"geo": [1]}}, False),
            ({"individual_setting": {"geo": 1}}, True),
            ({"individual_setting": {"geo": "1"}}, True),
        ],
    )
    def test_only_the_setting_for_places_counts(self, automation: Any, *, beyond: bool) -> None:
        """Advantage settings for age or gender are nobody's business here."""
        there = {"geo_locations": {"regions": [{"key": "3852"}]}}
        assert reaches_beyond_states({**there, "targeting_automation": automation}) is beyond

    def test_without_a_state_it_has_no_effect(self) -> None:
        """Meta applies it to cities and regions only."""
        assert not reaches_beyond_states(
            {"geo_locations": {"countries": ["US"]}, "targeting_automation": {"individual_setting": {"geo": 1}}}
        )
