"""An undo: every ad set that a run changed goes back to where it was, with the same four layers."""

from contextlib import nullcontext
from typing import Any

import pytest

from closrads import config
from closrads.domain.changes import ChangeState, RevertStreak
from closrads.domain.request import Action
from closrads.errors import SyncFailed
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Operation, faults, oddities
from tests.ledger_world import (
    EARLIER,
    UNDO,
    becomes_of,
    entries,
    later,
    leases,
    ledger,
    left_behind,
    one_adset,
    only_reads,
    recorded_state,
    result_of,
    runs,
    statuses,
)
from tests.world import LIVE, World

HOUR = 3600.0


def updated(world: World, *states: str, demand: str = "FL") -> tuple[str, list[str]]:
    """Update an ad set from each of these states, and return the run and the ad sets, an hour later."""
    world.campaign(demand)
    adsets = [world.adset(f"From {before}", before) for before in states or ("TX",)]
    run = world.run(LIVE)
    assert [adset["result"] for adset in run["campaigns"][0]["adsets"]] == ["updated"] * len(adsets)
    later(world, HOUR)
    world.meta.requests.clear()
    world.sandbox.aws.mails.clear()
    return str(run["run_id"]), adsets


def geo(*keys: str) -> dict[str, Any]:
    """Return the targeting of a person's choice of states."""
    return {"geo_locations": {"location_types": ["home", "recent"], "regions": [{"key": key} for key in keys]}}


class TestUndo:
    """What goes back."""

    def test_all_that_the_last_sync_changed(self, world: World) -> None:
        """Each ad set has its own states again, is re-published and verified, and the mail tells what came back."""
        run_id, adsets = updated(world, "TX", "CA NV", "GA FL")

        result = world.run(UNDO)

        assert [world.meta.states(adset) for adset in adsets] == [{"TX"}, {"CA", "NV"}, {"GA", "FL"}]
        republished = [operation.object_id for operation in world.meta.writes if operation.kind == "ad"]
        assert sorted(republished) == sorted(ad.id for adset in adsets for ad in world.meta.ads_of(adset))
        assert (result["success"], result["action"], result["mail"]) == (True, "undo", "sent")
        (campaign,) = result["campaigns"]
        assert campaign["about_run"] == run_id
        assert [(each["result"], each["added"], each["removed"]) for each in campaign["adsets"]] == [
            ("updated", ["TX"], ["FL"]),
            ("updated", ["CA", "NV"], ["FL"]),
            ("updated", ["GA"], []),
        ]
        (mail,) = world.sandbox.aws.mails
        assert mail.subject == "✓ undo: 3 put back · Mon 4 May"
        assert run_id in mail.text

    def test_the_targeting_is_exactly_as_it_was(self, world: World) -> None:
        """Not just the states: no key came or went on the way there and back."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX OH")
        before = world.meta.targeting(adset)
        world.run(LIVE)
        world.run(UNDO)

        assert world.meta.targeting(adset) == before

    def test_a_named_run(self, world: World) -> None:
        """Two syncs changed different ad sets: only what the named one changed goes back."""
        first, (one,) = updated(world, "TX")
        two = world.adset("Two", "CA")
        world.run(LIVE)

        result = world.run({**UNDO, "run_id": first})

        assert (world.meta.states(one), world.meta.states(two)) == ({"TX"}, {"FL"})
        assert result["campaigns"][0]["about_run"] == first
        assert [adset["id"] for adset in result["campaigns"][0]["adsets"]] == [one]

    def test_twice_in_a_row_is_harmless(self, world: World) -> None:
        """Who does not know whether it went through starts it again: the second one finds nothing to do."""
        _, (adset,) = updated(world)
        world.run(UNDO)
        writes = len(world.meta.writes)
        later(world, 60)

        result = world.run(UNDO)

        assert (one_adset(result)["result"], result["success"]) == ("unchanged", True)
        assert (len(world.meta.writes), world.meta.states(adset)) == (writes, {"TX"})
        assert world.sandbox.aws.mails[-1].subject == "✓ undo: nothing to put back · Mon 4 May"

    def test_an_undo_can_be_undone(self, world: World) -> None:
        """By its run id; and that one by its own, and so on."""
        _, (adset,) = updated(world, "TX OH")
        for states in ({"TX", "OH"}, {"FL"}, {"TX", "OH"}, {"FL"}):
            last = entries(world, "", pk="RUN")[-1]["sk"]
            later(world, 60)
            run = world.run({**UNDO, "run_id": last})
            assert (world.meta.states(adset), run["campaigns"][0]["about_run"]) == (states, last)

    def test_it_is_a_run_of_its_own(self, world: World) -> None:
        """With a change of its own in the ledger; the sync's stays as it was, and is the one to undo by default."""
        run_id, (adset,) = updated(world)
        undo = world.run(UNDO)["run_id"]

        assert (recorded_state(world, run_id, adset), recorded_state(world, undo, adset)) == ("verified", "verified")
        (change,) = ledger(world).changes_of("veterans", undo)
        assert change.action == "undo"
        (run,) = (item for item in entries(world, "", pk="RUN") if item["sk"] == undo)
        assert (run["action"], run["success"], run["campaigns"]) == ("undo", True, ["veterans"])
        assert leases(world).last_sync("veterans") == run_id
        assert "holder" not in entries(world, "LEASE")[0]

    def test_the_next_sync_follows_the_demand_again(self, world: World) -> None:
        """An undo is no order for tomorrow."""
        _, (adset,) = updated(world)
        world.run(UNDO)
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"From TX": "updated"}
        assert world.meta.states(adset) == {"FL"}

    def test_campaigns_by_themselves(self, world: World) -> None:
        """Each campaign's own last sync; only those that are named."""
        _, (one,) = updated(world)
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",))
        two = world.adset("Truck", "CA", campaign="120200000000000905")
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
        world.run({**LIVE, "campaigns": ["truckers"]})

        world.run({**UNDO, "campaigns": ["truckers"]})
        assert (world.meta.states(one), world.meta.states(two)) == ({"FL"}, {"CA"})
        result = world.run(UNDO)

        assert (world.meta.states(one), world.meta.states(two)) == ({"TX"}, {"CA"})
        assert len({campaign["about_run"] for campaign in result["campaigns"]}) == 2

    def test_closrtech_is_not_asked(self, world: World) -> None:
        """What was there before is in the ledger, whatever the feed says or does not say today."""
        _, (adset,) = updated(world)
        asked = len(world.sandbox.closrtech.requests)
        world.sandbox.closrtech.demand.clear()

        world.run(UNDO)

        assert world.meta.states(adset) == {"TX"}
        assert len(world.sandbox.closrtech.requests) == asked

    def test_taking_away_most_states_is_what_was_asked_for(self, world: World) -> None:
        """No limit on what a demand may take away stands in the way of an undo."""
        _, (adset,) = updated(world, "TX", demand="AL AZ AR CA CO CT DE FL GA ID IL IN")

        assert becomes_of(world, UNDO) == {"From TX": "updated"}
        assert world.meta.states(adset) == {"TX"}

    def test_canary_and_waves(self, world: World) -> None:
        """Seven ad sets, two of which break: these are put back, the others are undone."""
        world.put({"limits/wave_size": "3"})
        _, adsets = updated(world, *["TX"] * 7)
        for adset in (adsets[2], adsets[5]):
            world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()

        result = world.run(UNDO)

        ends = {each["id"]: each["result"] for each in result["campaigns"][0]["adsets"]}
        assert [ends[adset] for adset in adsets] == [
            "reverted" if number in {2, 5} else "updated" for number in range(7)
        ]
        assert [world.meta.states(adset) for adset in adsets] == [
            {"FL"} if number in {2, 5} else {"TX"} for number in range(7)
        ]

    @pytest.mark.parametrize("stay", [{"FL"}, {"GA"}])
    def test_a_custom_audience_without_any_place_before(self, world: World, stay: set[str]) -> None:
        """An ad set that reached an audience wherever it is has no state again, as before."""
        world.campaign(" ".join(stay))
        audience = {"custom_audiences": [{"id": "6001"}], "geo_locations": {"location_types": ["home", "recent"]}}
        adset = world.adset("Audience", None, targeting=audience)
        world.run(LIVE)
        assert world.meta.states(adset) == stay

        assert becomes_of(world, UNDO) == {"Audience": "updated"}
        assert world.meta.states(adset) == set()

    def test_a_key_that_meta_shows_under_another_name(self, world: World) -> None:
        """The way back is never barred by what is there now."""
        _, (adset,) = updated(world, demand="OH")
        world.meta.read_oddity = oddities.wrong_region_name("OH", "North Dakota")

        assert one_adset(world.run(UNDO))["result"] == "updated"
        assert world.meta.states(adset) == {"TX"}


class TestTheLastSyncChangedNothing:
    """Who asks for the last run to be undone is told which one to name; nobody expects an older one to be undone."""

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_it_says_which_run_to_name(self, world: World, dry_run: bool) -> None:  # noqa: FBT001
        """With the command; carried out, that undoes it."""
        run_id, (adset,) = updated(world)
        world.time.next_day()
        quiet = world.run(LIVE)["run_id"]
        world.time.next_day()

        with only_reads(world) if dry_run else nullcontext():
            result = result_of(world, {**UNDO, "dry_run": dry_run})

        (error,) = result["campaigns"][0]["errors"]
        assert f"nothing to undo in the last live sync, {quiet}: " in error
        assert f"The last one that changed it is {run_id}, of 2026-05-04 10:30 UTC." in error
        assert f"`python -m closrads undo {run_id} --campaign veterans --stage sandbox`" in error
        assert f'"run_id": "{run_id}"' in error
        assert world.meta.states(adset) == {"FL"}
        mail = world.sandbox.aws.mails[-1]
        assert "Veterans was not undone, because the last run left nothing changed there" in mail.text
        assert becomes_of(world, {**UNDO, "run_id": run_id}) == {"From TX": "updated"}
        assert world.meta.states(adset) == {"TX"}

    def test_what_was_put_back_since_is_nothing_to_undo(self, world: World) -> None:
        """The run before it is named."""
        run_id, (adset,) = updated(world)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.run(LIVE)
        later(world, HOUR)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        world.run({"action": "recheck", "dry_run": False})

        result = result_of(world, UNDO)

        assert f"undo {run_id} --campaign" in result["campaigns"][0]["errors"][0]
        assert world.meta.states(adset) == {"FL"}

    def test_what_is_still_open_is_not_nothing(self, world: World) -> None:
        """An older run is not offered, before a run has finished what the last one began."""
        updated(world)
        (adset,) = world.meta.adsets
        world.time.next_day()
        change = left_behind(world, adset, ChangeState.WRITTEN, states="GA", run_id="20260505T103000Z-0000bbbb")
        leases(world).acquire(["veterans"], change.run_id, world.time.clock.now(), Action.SYNC)
        runs(world).begin(change.run_id, Action.SYNC, ["veterans"])
        later(world, HOUR)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=None)

        result = result_of(world, UNDO)

        (error,) = result["campaigns"][0]["errors"]
        assert "written: It could not be looked up" in error

    def test_there_never_was_a_change(self, world: World) -> None:
        """What to do instead is said, whether there was a run or not."""
        world.campaign("FL")
        adset = world.adset("Fine", "FL")
        for _ in range(2):
            (error,) = result_of(world, UNDO)["campaigns"][0]["errors"]
            assert "no live sync has changed this campaign, or what it changed was put back" in error
            assert "set them in Ads Manager" in error
            world.run(LIVE)
            later(world, HOUR)

        assert world.meta.states(adset) == {"FL"}

    def test_only_then_the_ledger_is_asked_for_more(self, world: World) -> None:
        """An undo of what the last sync changed reads what it read before."""
        updated(world)
        world.sandbox.aws.requests.clear()

        world.run(UNDO)

        queries = [call.params for call in world.sandbox.aws.requests if call.operation == "Query"]
        assert not any(query.get("ScanIndexForward") is False for query in queries)


class TestLeftAlone:
    """What stays as it is."""

    @pytest.mark.parametrize("who", ["a later run", "a person"])
    def test_states_that_were_changed_since(self, world: World, who: str) -> None:
        """The undo would take away what came after: it needs a person's attention, and the others go back."""
        run_id, (changed, other) = updated(world, "TX", "CA")
        if who == "a person":
            world.meta.change_by_hand(changed, geo("3853"))
        else:
            world.meta.adsets[other].status = "PAUSED"
            world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
            world.run(LIVE)
            world.meta.adsets[other].status = "ACTIVE"

        result = world.run({**UNDO, "run_id": run_id})

        ends = {adset["id"]: adset["result"] for adset in result["campaigns"][0]["adsets"]}
        assert ends == {changed: "needs_attention", other: "updated"}
        assert (world.meta.states(changed), world.meta.states(other)) == ({"GA"}, {"CA"})
        assert result["success"]
        assert "its states were changed since, by a later run or a person" in world.sandbox.aws.mails[-1].text

    def test_states_that_are_changed_while_it_is_at_work(self, world: World) -> None:
        """A person comes after the plan was made: the second ad set is looked at again before its turn."""
        _, (one, two) = updated(world, "TX", "CA")

        def person_comes(operation: Operation) -> None:
            if operation.method == "POST" and operation.object_id == one:
                world.meta.on_request = None
                world.time.pass_by(30)
                world.meta.change_by_hand(two, geo("3853"))

        world.meta.on_request = person_comes

        assert becomes_of(world, UNDO) == {"From TX": "updated", "From CA": "needs_attention"}
        assert world.meta.states(two) == {"GA"}

    def test_what_people_changed_besides(self, world: World) -> None:
        """Only the states go back: age and audience are as a person wants them now."""
        _, (adset,) = updated(world)
        world.meta.change_by_hand(adset, {"age_min": 21, "custom_audiences": [{"id": "6001"}]})
        by_hand = world.meta.targeting(adset)

        assert becomes_of(world, UNDO) == {"From TX": "updated"}

        now = world.meta.targeting(adset)
        assert world.meta.states(adset) == {"TX"}
        assert {**now, "geo_locations": None} == {**by_hand, "geo_locations": None}

    @pytest.mark.parametrize("when", ["before the sync", "since the sync"])
    def test_an_ad_that_a_person_paused(self, world: World, when: str) -> None:
        """It is not switched on, whenever that was."""
        world.campaign("FL")
        adset = world.adset()
        if when == "before the sync":
            paused = world.meta.add_ad(adset, "Retired", status="PAUSED")
            world.run(LIVE)
        else:
            world.run(LIVE)
            paused = world.meta.ads_of(adset)[0].id
            world.meta.pause_by_hand(paused)
        later(world, HOUR)
        world.meta.requests.clear()

        assert becomes_of(world, UNDO) == {"Broad": "updated"}
        assert world.meta.ads[paused].status == "PAUSED"
        assert paused not in {operation.object_id for operation in world.meta.writes}

    def test_a_broken_ad(self, world: World) -> None:
        """Layer 1 holds for an undo too: an ad set with an ad that has broken days later is not touched, and named."""
        run_id, (sick, _) = updated(world, "TX", "CA")
        later(world, 25 * HOUR)
        world.run({"action": "recheck", "dry_run": False})
        world.meta.ads_of(sick)[0].issues.append(dict(MISSING_LEAD_FORM))

        result = world.run({**UNDO, "run_id": run_id})

        assert [each["result"] for each in result["campaigns"][0]["adsets"]] == ["skipped_preflight", "updated"]
        assert world.meta.states(sick) == {"FL"}
        assert "3390001" in world.sandbox.aws.mails[-1].text

    def test_an_ad_that_the_change_has_broken(self, world: World) -> None:
        """Within a day it is the change's doing: the ad set goes back for that, and there is nothing left to undo."""
        run_id, (adset,) = updated(world)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)

        result = world.run(UNDO)

        assert one_adset(result)["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE"] * 2)
        assert recorded_state(world, run_id, adset) == "rolled_back"

    @pytest.mark.parametrize("status", ["PAUSED", "ARCHIVED", "DELETED"])
    def test_an_ad_set_that_does_not_run_any_more(self, world: World, status: str) -> None:
        """It is left as it is, and its status told."""
        _, (adset,) = updated(world)
        world.meta.adsets[adset].status = status

        result = world.run(UNDO)

        assert (one_adset(result)["result"], world.meta.writes) == ("not_active", [])
        assert status in world.sandbox.aws.mails[-1].text

    def test_a_place_that_overlaps_the_states_of_before(self, world: World) -> None:
        """Somebody has excluded Texas since: it is left alone, with what to do."""
        _, (adset,) = updated(world)
        world.meta.change_by_hand(adset, {"excluded_geo_locations": {"regions": [{"key": "3886"}]}})

        assert one_adset(world.run(UNDO))["result"] == "needs_attention"
        assert world.meta.states(adset) == {"FL"}

    @pytest.mark.parametrize("state", [state for state in ChangeState if not state.is_open and state != "verified"])
    def test_what_the_run_did_not_keep(self, world: World, state: ChangeState) -> None:
        """What was put back, not written or left to somebody is nothing to undo."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, state)
        runs(world).begin(EARLIER, Action.SYNC, ["veterans"])
        later(world, HOUR)

        result = world.run({**UNDO, "run_id": EARLIER})

        assert (result["campaigns"][0]["adsets"], result["success"], world.meta.writes) == ([], True, [])

    def test_an_ad_set_that_cannot_be_read(self, world: World) -> None:
        """It failed, as it was; the others go back."""
        _, (unread, other) = updated(world, "TX", "CA")
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.path == unread, times=None)

        assert becomes_of(world, UNDO) == {"From TX": "failed", "From CA": "updated"}
        assert (world.meta.states(unread), world.meta.states(other)) == ({"FL"}, {"CA"})

    def test_a_change_that_stays_open(self, world: World) -> None:
        """A rollback of the sync's change failed and fails again: the ad set is held, the other one goes back."""
        world.campaign("FL")
        stuck = world.adset("Stuck", breakage=Breakage.incurable())
        other = world.adset("Other")
        run_id = result_of(world, LIVE)["run_id"]
        later(world, HOUR)

        result = result_of(world, {**UNDO, "run_id": run_id})

        assert [(each["id"], each["state"]) for each in result["recovered"]] == [(stuck, "rollback_failed")]
        assert {each["id"]: each["result"] for each in result["campaigns"][0]["adsets"]} == {other: "updated"}
        assert not result["success"]

    def test_a_later_change_that_stays_open(self, world: World) -> None:
        """A later run's change has no end yet and cannot be looked up: no undo of the earlier one on top of that."""
        run_id, (adset,) = updated(world)
        left_behind(world, adset, ChangeState.PREPARED, "as before", run_id="20260504T113000Z-0000cccc", states="GA")
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", adset))

        result = result_of(world, {**UNDO, "run_id": run_id})

        assert [each["state"] for each in result["recovered"]] == ["prepared"]
        assert (one_adset(result)["result"], world.meta.states(adset)) == ("held", {"FL"})

    def test_a_change_that_the_undo_itself_finishes_first(self, world: World) -> None:
        """The sync died after its write: recovery verifies it, and then it goes back."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.WRITTEN)
        runs(world).begin(EARLIER, Action.SYNC, ["veterans"])
        later(world, HOUR)

        result = world.run({**UNDO, "run_id": EARLIER})

        assert [each["state"] for each in result["recovered"]] == ["verified"]
        assert (one_adset(result)["result"], world.meta.states(adset)) == ("updated", {"TX"})


class TestBreaks:
    """Ads that break during the undo."""

    def test_it_goes_back_to_what_it_was_before_the_undo(self, world: World) -> None:
        """The sync's states with healthy ads are better than the old ones with broken ads."""
        run_id, (adset,) = updated(world)
        before = world.meta.targeting(adset)
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.stubborn()

        result = world.run(UNDO)

        assert (one_adset(result)["result"], result["success"]) == ("reverted", True)
        assert (world.meta.targeting(adset), statuses(world, adset)) == (before, ["ACTIVE"] * 2)
        assert recorded_state(world, result["run_id"], adset) == "rolled_back"
        assert recorded_state(world, run_id, adset) == "verified"
        assert "the states are what they were before the undo" in world.sandbox.aws.mails[-1].text

    def test_a_pause_that_nobody_can_explain_is_in_its_report(self, world: World) -> None:
        """The states are back, and the ad that went off meanwhile is told of by the undo itself, not the day after."""
        _, (adset,) = updated(world)
        world.meta.fail(faults.PERMISSION_MISSING, on="GET activities", times=None)
        ad = world.meta.ads_of(adset)[0]
        ad.breakage = Breakage.silently_paused(seconds=2)

        result = world.run(UNDO)

        assert one_adset(result)["result"] == "reverted"
        assert [ad["id"] for pause in result["unexplained"] for ad in pause["ads"]] == [ad.id]
        assert "SWITCHED OFF, AND NOT BY CLOSRADS" in world.sandbox.aws.mails[-1].text

    def test_it_teaches_nothing_of_the_demand(self, world: World) -> None:
        """Neither an undo that failed nor one that went well changes what is remembered of the syncs."""
        _, (adset,) = updated(world)
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        world.run(UNDO)
        assert ledger(world).previous_outcomes("veterans").reverted == {}
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.time.next_day()
        assert becomes_of(world, LIVE) == {"From TX": "reverted"}
        previous_outcomes = {adset: RevertStreak(frozenset({"3853"}), 1)}
        assert ledger(world).previous_outcomes("veterans").reverted == previous_outcomes
        world.meta.ads_of(adset)[0].breakage = None
        first = entries(world, "", pk="RUN")[0]["sk"]
        later(world, 60)

        assert becomes_of(world, {**UNDO, "run_id": first}) == {"From TX": "updated"}
        assert ledger(world).previous_outcomes("veterans").reverted == previous_outcomes

    def test_a_rollback_that_fails(self, world: World) -> None:
        """It is the loudest line, and the next run goes on with it."""
        _, (adset,) = updated(world)
        world.meta.ads_of(adset)[0].breakage = Breakage.incurable()

        with pytest.raises(SyncFailed, match="rollback_failed"):
            world.run(UNDO)

        assert world.meta.states(adset) == {"FL"}
        assert world.sandbox.aws.mails[-1].subject == "✗ NOT RESTORED in Veterans (undo) · Mon 4 May"
        assert [change.action for change in ledger(world).open_changes("veterans")] == ["undo"]


class TestRefusals:
    """What cannot be undone at all."""

    def test_an_unknown_run(self, world: World) -> None:
        """It is an error that says what to do."""
        _, (adset,) = updated(world)

        with pytest.raises(SyncFailed, match=f"knows no live run {EARLIER}: take the id from the foot of a report"):
            world.run({**UNDO, "run_id": EARLIER})
        assert (world.meta.writes, world.meta.states(adset)) == ([], {"FL"})

    def test_nothing_ever_ran(self, world: World) -> None:
        """There is nothing to undo, and who asks for it should know."""
        world.campaign("FL")
        world.adset()

        with pytest.raises(SyncFailed, match="nothing to undo"):
            world.run(UNDO)
        assert world.meta.operations == []

    def test_ad_sets_of_another_account(self, world: World) -> None:
        """It writes like any other run."""
        _, (adset,) = updated(world)
        world.put({"campaigns/veterans/fb_ad_account_id": "act_222"})
        config._parameter_store.cache_clear()

        with pytest.raises(SyncFailed, match="fb_ad_account_id"):
            world.run(UNDO)
        assert world.meta.states(adset) == {"FL"}

    @pytest.mark.parametrize("event", [{"action": "undo"}, {"action": "undo", "dry_run": True}])
    def test_a_dry_run_says_what_would_go_back_and_writes_nothing(self, world: World, event: dict[str, Any]) -> None:
        """It is the default; neither Meta nor the ledger is written, and the live undo then does just that."""
        run_id, (adset,) = updated(world)

        with only_reads(world):
            dry = world.run(event)

        assert dry["campaigns"][0]["about_run"] == run_id
        assert (dry["dry_run"], dry["mail"], world.meta.states(adset)) == (True, "sent", {"FL"})
        assert world.sandbox.aws.mails[-1].subject == "[DRY RUN] ✓ undo: 1 would be put back · Mon 4 May"
        assert one_adset(dry) == one_adset(world.run(UNDO))

    @pytest.mark.parametrize("operation", ["any", "Query", "PutItem", "TransactWriteItems"])
    def test_without_the_ledger(self, world: World, operation: str) -> None:
        """Nothing is written at Meta, and the report says why."""
        _, (adset,) = updated(world)
        world.sandbox.aws.fail("dynamodb", operation, "InternalServerError", 500, None)

        with pytest.raises(SyncFailed, match="The ledger cannot be"):
            world.run(UNDO)
        assert (world.meta.writes, world.meta.states(adset)) == ([], {"FL"})
        assert "The ledger cannot be" in world.sandbox.aws.mails[-1].text
