"""Writes to ad sets and ads, and what Meta refuses."""

from typing import Any

import pytest

from sandbox.meta import MetaWorld
from tests.sandbox.conftest import CAMPAIGN, Clock, Graph

US_OHIO = {"regions": [{"key": "3878"}]}


class TestAdSets:
    """`POST /{adset}`."""

    def test_targeting_is_replaced_as_a_whole(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """What is not sent is gone; regions read back by name; learning starts again."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL GA")
        clock.advance(60)
        assert graph.set_states(adset, "3878", "3847") == (200, {"success": True})
        assert meta.states(adset) == {"CA", "OH"}
        targeting = meta.targeting(adset)
        assert [each["name"] for each in targeting["geo_locations"]["regions"]] == ["California", "Ohio"]
        assert "age_range" not in targeting
        _, content = graph.get(adset, fields="updated_time,created_time,learning_stage_info")
        assert content["updated_time"] > content["created_time"]
        assert content["updated_time"].endswith("+0000")
        assert content["learning_stage_info"] == {
            "status": "LEARNING",
            "conversions": 0,
            "last_sig_edit_ts": int(clock()),
        }
        assert [write.kind for write in meta.writes] == ["adset"]

    def test_writing_back_what_was_read_restores_it_exactly(self, meta: MetaWorld, graph: Graph) -> None:
        """A rollback with the computed keys taken out leaves the ad set as it was."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL GA")
        before = meta.targeting(adset)
        sent = {key: value for key, value in before.items() if not key.startswith("effective_")}
        changed = sent | {"geo_locations": {"regions": [{"key": "3878"}], "location_types": ["home", "recent"]}}
        assert graph.post(adset, targeting=changed)[0] == 200
        assert meta.states(adset) == {"OH"}
        assert graph.post(adset, targeting=sent)[0] == 200
        assert meta.targeting(adset) == before

    def test_read_after_write(self, meta: MetaWorld, graph: Graph) -> None:
        """`fields` in the form answers with the object instead of the flag."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        _, content = graph.set_states(adset, "3878", fields="name,targeting{geo_locations}")
        assert content["name"] == "Broad"
        assert content["targeting"] == {
            "geo_locations": {"regions": [{"key": "3878", "name": "Ohio", "country": "US"}]}
        }

    def test_validate_only_changes_nothing_and_costs_a_write(self, meta: MetaWorld, graph: Graph) -> None:
        """A dry run gets the verdict of the real call."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        options = {"execution_options": ["validate_only"]}
        assert graph.set_states(adset, "3878", **options) == (200, {"success": True})
        assert graph.error(graph.set_states(adset, "1", **options)) == (400, 100, None)
        assert graph.error(graph.post(adset, execution_options=["include_recommendations"])) == (400, 100, None)
        assert graph.post(meta.ads_of(adset)[0].id, status="PAUSED", **options)[0] == 200
        assert meta.states(adset) == {"FL"}
        assert meta.ads_of(adset)[0].status == "ACTIVE"
        assert meta.writes == []
        assert meta.points == 12

    @pytest.mark.parametrize(
        ("targeting", "error"),
        [
            ("no JSON", (100, None)),
            ([], (100, None)),
            ({"geo_locations": "US"}, (100, None)),
            ({}, (100, 1487851)),
            ({"geo_locations": {"regions": []}}, (100, 1487851)),
            ({"geo_locations": US_OHIO | {"countries": ["US"]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"country_groups": ["worldwide"]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"cities": [{"key": "2490299"}]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"zips": [{"key": "US:44101"}]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"cities": [{"key": "1", "region_id": "3878"}]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"geo_markets": [{"key": "COMSCORE_MARKET:1"}]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"location_cluster_ids": ["1"]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO, "excluded_geo_locations": US_OHIO}, (100, 1487756)),
            ({"geo_locations": US_OHIO, "excluded_geo_locations": {"countries": ["US"]}}, (100, 1487756)),
            ({"geo_locations": US_OHIO | {"location_types": ["home"]}}, (100, 1870199)),
            ({"geo_locations": {"regions": [{"key": "3878"}] * 201}}, (100, None)),
            ({"geo_locations": {"regions": [{"key": "3894"}]}}, (100, None)),
            ({"geo_locations": {"regions": ["3878"]}}, (100, None)),
            ({"geo_locations": US_OHIO, "effective_publisher_platforms": ["facebook"]}, (100, None)),
            ({"geo_locations": US_OHIO, "connections": []}, (100, 1870088)),
            ({"geo_locations": US_OHIO, "instagram_positions": ["explore"]}, (100, None)),
            ({"geo_locations": US_OHIO, "facebook_positions": ["video_feeds"]}, (100, None)),
            (
                {"geo_locations": US_OHIO, "targeting_automation": {"advantage_audience": 1}, "age_max": 60},
                (100, 1870189),
            ),
        ],
    )
    def test_refused_targeting(
        self, meta: MetaWorld, graph: Graph, targeting: Any, error: tuple[int, int | None]
    ) -> None:
        """Each rule has its code, and a refused write changes nothing."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        assert graph.error(graph.post(adset, targeting=targeting)) == (400, *error)
        assert meta.states(adset) == {"FL"}
        assert meta.writes == []

    @pytest.mark.parametrize(
        "targeting",
        [
            {"custom_audiences": [{"id": "1"}]},
            {"geo_locations": {"countries": ["US"]}},
            {"geo_locations": US_OHIO | {"countries": ["CA"]}},
            {"geo_locations": US_OHIO | {"cities": [{"key": "1", "region_id": "3886"}]}},
            {"geo_locations": US_OHIO | {"zips": [{"key": "CA:K1A"}]}},
            {"geo_locations": US_OHIO | {"location_types": ["recent", "home"]}},
            {"geo_locations": US_OHIO, "excluded_geo_locations": {"regions": [{"key": "3886"}]}},
            {"geo_locations": US_OHIO, "instagram_positions": ["explore_home"]},
        ],
    )
    def test_accepted_targeting(self, meta: MetaWorld, graph: Graph, targeting: Any) -> None:
        """What looks like a contradiction and is none goes through."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        assert graph.post(adset, targeting=targeting) == (200, {"success": True})

    def test_a_retired_placement_is_dropped_silently(self, meta: MetaWorld, graph: Graph) -> None:
        """Messenger stories vanish on write, so the read-back differs from what was sent."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        graph.post(adset, targeting={"geo_locations": US_OHIO, "messenger_positions": ["story", "inbox"]})
        assert meta.targeting(adset)["messenger_positions"] == ["inbox"]

    def test_special_ad_categories(self, meta: MetaWorld, graph: Graph) -> None:
        """Campaigns for housing and the like allow states, but no exclusions and nothing small."""
        campaign = meta.add_campaign("120210000000000200", special_ad_categories=["FINANCIAL_PRODUCTS_SERVICES"])
        adset = meta.add_adset(campaign, "Refi", "FL")
        assert graph.set_states(adset, "3878")[0] == 200
        excluded = {"regions": [{"key": "3886"}]}
        for targeting in (
            {"geo_locations": US_OHIO, "excluded_geo_locations": excluded},
            {"geo_locations": {"zips": [{"key": "US:44101"}]}},
        ):
            assert graph.error(graph.post(adset, targeting=targeting)) == (400, 100, None)

    def test_error_data_comes_in_two_forms(self, meta: MetaWorld, graph: Graph) -> None:
        """Meta sends it as an object and, for some subcodes, as a string of JSON."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        overlap = graph.post(adset, targeting={"geo_locations": US_OHIO | {"countries": ["US"]}})[1]["error"]
        unknown = graph.set_states(adset, "1")[1]["error"]
        assert isinstance(overlap["error_data"], str)
        assert isinstance(unknown["error_data"], dict)
        assert overlap["fbtrace_id"]

    def test_a_deleted_ad_set_cannot_be_edited(self, meta: MetaWorld, graph: Graph) -> None:
        """It still exists, but only to be read."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", status="DELETED")
        assert graph.error(graph.set_states(adset, "3878")) == (400, 100, 1487056)

    def test_other_objects_and_methods(self, meta: MetaWorld, graph: Graph) -> None:
        """Campaigns are not written here, nothing is deleted, and unknown ids stay unknown."""
        assert graph.error(graph.post(CAMPAIGN, status="PAUSED")) == (400, 100, None)
        assert graph.error(graph.post("120299999999999999")) == (400, 100, 33)
        reply = graph.raw("DELETE", CAMPAIGN)
        assert graph.error((reply.status_code, reply.json())) == (400, 100, None)
        assert meta.campaigns[CAMPAIGN].status == "ACTIVE"

    def test_a_person_in_ads_manager(self, meta: MetaWorld) -> None:
        """A change by hand shows like any other, and is no request."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
        meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3886"}]}})
        assert meta.states(adset) == {"TX"}
        assert meta.adsets[adset].learning == "LEARNING"
        assert meta.requests == []

    def test_states_or_targeting(self, meta: MetaWorld) -> None:
        """An ad set is made from states or from raw targeting, not from both or none."""
        with pytest.raises(TypeError):
            meta.add_adset(CAMPAIGN, "Neither")
        raw = {"geo_locations": {"countries": ["US"]}, "unknown_to_us": None}
        assert meta.targeting(meta.add_adset(CAMPAIGN, "Raw", targeting=raw)) == raw


class TestAds:
    """`POST /{ad}`."""

    def test_republish(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """`status=ACTIVE` is a write, also when the ad is active already."""
        (ad, _) = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL"))
        clock.advance(60)
        assert graph.post(f"{ad.id}/", status="ACTIVE") == (200, {"success": True})
        assert ad.updated_time == clock()
        assert [write.object_id for write in meta.writes] == [ad.id]

    def test_read_after_write(self, meta: MetaWorld, graph: Graph) -> None:
        """`fields` works on ads as well."""
        (ad, _) = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad", "FL"))
        assert graph.post(ad.id, status="PAUSED", fields="effective_status")[1] == {
            "effective_status": "PAUSED",
            "id": ad.id,
        }

    @pytest.mark.parametrize(
        ("effective_status", "changes", "error"),
        [
            ("DISAPPROVED", {"status": "ACTIVE"}, (400, 100, 2490427)),
            ("ARCHIVED", {"status": "ACTIVE"}, (400, 100, 1885088)),
            ("ACTIVE", {"status": "WITH_ISSUES"}, (400, 100, None)),
        ],
    )
    def test_refused(
        self,
        meta: MetaWorld,
        graph: Graph,
        effective_status: str,
        changes: dict[str, str],
        error: tuple[int, int, int | None],
    ) -> None:
        """Rejected ads cannot be turned on, archived ones only renamed or deleted."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=0)
        ad = meta.add_ad(adset, "Video", effective_status=effective_status)
        assert graph.error(graph.post(ad, **changes)) == error
        assert graph.post(ad, name="Renamed") == (200, {"success": True})
        assert graph.post(ad, status="DELETED") == (200, {"success": True})
        assert graph.post(ad) == (200, {"success": True})
        assert len(meta.writes) == 2
