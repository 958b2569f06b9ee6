"""Ad sets that a person wants left alone: never touched by a sync, and always told of."""

from typing import Any

import pytest

from closrads import config
from closrads.domain.changes import ChangeState
from sandbox.meta.targeting import realistic
from tests.ledger_world import RECHECK, UNDO, later, left_behind
from tests.world import LIVE, World

SKIP = "campaigns/veterans/skip_adsets"


def skip(world: World, *patterns: str) -> None:
    """Put the patterns, for the next run."""
    world.put({SKIP: list(patterns)})
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types


def results(answer: dict[str, Any]) -> dict[str, str]:
    """Return the result of each ad set by its name."""
    return {adset["name"]: adset["result"] for each in answer["campaigns"] for adset in each["adsets"]}


def operations(world: World, adset: str) -> list[str]:
    """Return what was written to an ad set and to its ads."""
    own = {adset, *(ad.id for ad in world.meta.ads_of(adset))}
    return [operation.object_id for operation in world.meta.writes if operation.object_id in own]


class TestASync:
    """Neither its states nor its ads."""

    @pytest.mark.parametrize("event", [LIVE, {}, {"validate": True}], ids=["live", "dry", "validate"])
    def test_an_ad_set_is_left_alone(self, world: World, event: dict[str, Any]) -> None:
        """It is listed as such, and the others follow the demand."""
        world.campaign("FL")
        alone, other = world.adset("Evergreen 1"), world.adset("Broad")
        skip(world, "evergreen*")

        answer = world.run(event)

        assert results(answer) == {"Evergreen 1": "opted_out", "Broad": "updated"}
        assert (operations(world, alone), world.meta.states(alone)) == ([], {"TX"})
        assert world.meta.states(other) == ({"FL"} if event == LIVE else {"TX"})
        (campaign,) = answer["campaigns"]
        assert (campaign["adsets_opted_out"], campaign["adsets_processed"], answer["success"]) == (1, 1, True)
        assert campaign["adsets"][0]["issues"] == ["Its name matches “evergreen*” of skip_adsets"]
        (mail,) = world.sandbox.aws.mails
        assert "1 more ad set left alone, as you wish" in mail.text
        assert (
            "Evergreen 1 (Veterans) is not changed, because its name is on the list of ad sets to leave alone"
            in mail.text
        )
        assert mail.subject.removeprefix("[DRY RUN] ").startswith("✓ 1 ")

    @pytest.mark.parametrize(
        ("name", "pattern"),
        [
            ("Broad " * 50 + "[keep]", "*keep]"),
            ("Broad " * 50 + "[keep]", ("Broad " * 50)[:199] + "…"),
            ("\U0001f469\u200d\U0001f4bb Coders", "\U0001f469\u200d\U0001f4bb Coders"),
            ("from ?pass=1 keep", "*pass=1 keep"),
        ],
        ids=["the end of a long name", "a long name as reports show it", "what reports leave out", "what they hide"],
    )
    def test_what_counts_is_the_name_at_meta(self, world: World, name: str, pattern: str) -> None:
        """Reports show a part of it only; a pattern may be copied from either."""
        world.campaign("FL")
        alone, other = world.adset(name), world.adset("Other")
        skip(world, pattern)

        answer = world.run(LIVE)

        assert (operations(world, alone), world.meta.states(alone)) == ([], {"TX"})
        assert world.meta.states(other) == {"FL"}
        assert answer["campaigns"][0]["unmatched_patterns"] == []

    def test_it_is_no_part_of_a_plan(self, world: World) -> None:
        """Who opts one out after the dry run has another plan."""
        world.campaign("FL")
        world.adset("Evergreen"), world.adset("Broad")
        before = world.run()["plan_id"]
        skip(world, "Evergreen")

        assert world.run()["plan_id"] != before

    @pytest.mark.parametrize("state", ["broken", "paused", "ended", "shown outside its states"])
    def test_whatever_its_state(self, world: World, state: str) -> None:
        """Nobody is asked to see to an ad set that is none of our business; one that is off is not even read."""
        world.campaign("FL")
        world.adset("Broad", "FL")
        reaching = realistic("TX", reaches_beyond=state == "shown outside its states")
        alone = world.adset("Evergreen", None, targeting=reaching)
        if state == "ended":
            world.meta.person_moves_end_date(alone, world.time.seconds() - 60)
        if state == "broken":
            world.meta.meta_breaks(world.meta.ads_of(alone)[0].id)
        if state == "paused":
            world.meta.person_pauses(alone)
        skip(world, "Evergreen")

        answer = world.run(LIVE)

        assert results(answer).get("Evergreen", "not read") == ("not read" if state == "paused" else "opted_out")
        assert operations(world, alone) == []
        assert world.sandbox.aws.mails[-1].subject.startswith("✓")

    def test_a_name_that_changes_during_the_run(self, world: World) -> None:
        """Its next read, before the write, shows that it is to be left alone."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "10"})
        _, second = world.adset("A"), world.adset("B")
        skip(world, "Evergreen")

        def rename(_: str) -> None:
            if world.written_adsets():
                world.meta.on_exchange = None
                world.meta.adsets[second].name = "Evergreen"

        world.meta.on_exchange = rename

        assert results(world.run(LIVE)) == {"A": "updated", "Evergreen": "opted_out"}
        assert world.meta.states(second) == {"TX"}


class TestTold:
    """What whoever runs CLOSRADS has to know of the patterns."""

    def test_a_pattern_that_matches_nothing(self, world: World) -> None:
        """It may be misspelled; the run is as good as ever, for the ad set that is meant may be off."""
        world.campaign("FL")
        world.adset("Broad")
        skip(world, "Evergren*", "Other")

        answer = world.run(LIVE)

        assert answer["campaigns"][0]["unmatched_patterns"] == ["Evergren*", "Other"]
        (mail,) = world.sandbox.aws.mails
        assert "A NAME ON THE LEAVE-ALONE LIST MATCHES NO AD SET" in mail.text
        assert "* Veterans has a name on its leave-alone list that matches no active ad set\n" in mail.text
        assert f"{SKIP}: no ad set that is on now matches “Evergren*”" in mail.text
        assert mail.subject.startswith("✓ 1 updated")

    def test_everything_is_left_alone(self, world: World) -> None:
        """That is not green: nothing follows the demand."""
        world.campaign("FL")
        world.adset("A"), world.adset("B")
        skip(world, "*")

        answer = world.run(LIVE)

        assert (results(answer), world.meta.writes) == ({"A": "opted_out", "B": "opted_out"}, [])
        assert answer["success"]
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ nothing to change")
        assert "EVERY AD SET IS LEFT ALONE" in mail.text
        assert "⚠ Veterans: both ad sets left alone, as you wish" in mail.text
        assert "all ad sets have today's states" not in mail.text

    def test_on_a_quiet_day(self, world: World) -> None:
        """The sentence on top is true of the ad set that is left alone as well."""
        world.campaign("FL")
        world.adset("Broad", "FL"), world.adset("Evergreen", "TX")
        skip(world, "Evergreen")

        world.run(LIVE)

        (mail,) = world.sandbox.aws.mails
        assert "Nothing to do: no states had to be changed." in mail.text
        assert "✓ Veterans: its ad set: no change, 1 state; 1 more ad set left alone, as you wish" in mail.text


class TestWhatWasBegun:
    """Opting out does not leave an ad set worse than it is."""

    @pytest.mark.parametrize("event", [LIVE, RECHECK])
    def test_an_open_change_is_recovered(self, world: World, event: dict[str, Any]) -> None:
        """Its ads' links are pending until it is."""
        world.campaign("FL")
        adset = world.adset("Evergreen")
        left_behind(world, adset, ChangeState.WRITTEN)
        skip(world, "Evergreen")

        answer = world.run(event)

        assert [(each["name"], each["state"]) for each in answer["recovered"]] == [("Evergreen", "verified")]
        assert all(world.meta.truly_healthy(ad.id) for ad in world.meta.ads_of(adset))

    @pytest.mark.parametrize("event", [LIVE, RECHECK])
    def test_what_breaks_later_is_put_back(self, world: World, event: dict[str, Any]) -> None:
        """A change of the last day is ours, whatever was wished since."""
        world.campaign("FL")
        adset = world.adset("Evergreen")
        world.run(LIVE)
        later(world, 1800)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        skip(world, "Evergreen")

        answer = world.run(event)

        assert (results(answer), world.meta.states(adset)) == ({"Evergreen": "reverted"}, {"TX"})

    def test_an_undo_is_asked_for(self, world: World) -> None:
        """Who opts an ad set out because a run has changed it wants it back as it was."""
        world.campaign("FL")
        adset = world.adset("Evergreen")
        world.run(LIVE)
        later(world, 1800)
        skip(world, "Evergreen")

        assert results(world.run(UNDO)) == {"Evergreen": "updated"}
        assert world.meta.states(adset) == {"TX"}
