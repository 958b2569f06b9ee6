"""The second look: ad sets whose ads broke after their update was verified are put back."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest

from closrads import config
from closrads.domain.changes import ChangeState, RevertStreak, RollbackReason
from closrads.domain.request import Action
from closrads.domain.results import MailOutcome
from closrads.errors import LedgerError, SyncFailed
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.rollout.rollback import NEVER_TOOK_EFFECT
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Operation, faults
from sandbox.meta.activity_log import AD_STATUS, META, OWN, PERSON, Activity
from sandbox.meta.breakage import Cure, Effect
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import (
    EARLIER,
    PATHS,
    RECHECK,
    UNDO,
    becomes_of,
    entries,
    later,
    leases,
    ledger,
    left_behind,
    metric,
    move,
    one_adset,
    only_reads,
    recorded_state,
    result_of,
    rolled_back_with_lagging_log,
    statuses,
)
from tests.log_lines import logged
from tests.world import LIVE, START, VETERANS, World

HALF_AN_HOUR, HOUR = 1800.0, 3600.0
LATER = "20260504T113000Z-0000cccc"
FLORIDA = frozenset({"3852"})
LOS_ANGELES = {"cities": [{"key": "2420379", "country": "US", "region": "California", "region_id": "3847"}]}


def updated(world: World, *breakages: Breakage | None, demand: str = "FL") -> tuple[str, list[str]]:
    """Update an ad set from Texas for each of these, and return the run and the ad sets, half an hour later."""
    world.campaign(demand)
    adsets = [world.adset(f"Ad set {number}", breakage=breakage) for number, breakage in enumerate(breakages)]
    run = world.run(LIVE)
    assert [adset["result"] for adset in run["campaigns"][0]["adsets"]] == ["updated"] * len(adsets)
    later(world, HALF_AN_HOUR)
    world.meta.requests.clear()
    world.sandbox.aws.mails.clear()
    return str(run["run_id"]), adsets


def scheduled(world: World) -> dict[str, Any]:
    """Return the event of a recheck that the schedule starts now."""
    return {**RECHECK, "scheduled": f"{world.time.clock.now():%Y-%m-%dT%H:%M:%SZ}"}


def one_broke_since_its_update(world: World, wanted: str, *, now_wanted: str) -> tuple[str, str]:
    """Update two ad sets, of which one breaks, and change the demand; return their ids, the broken one's first."""
    world.campaign(wanted)
    broken, well = world.adset("Broken"), world.adset("Well")
    world.run(LIVE)
    later(world, HALF_AN_HOUR)
    world.meta.meta_breaks(world.meta.ads_of(broken)[0].id)
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = dict.fromkeys(now_wanted.split(), 5)
    return broken, well


class TestBrokenSince:
    """Ads that were healthy when the run ended and are not any more."""

    def test_also_after_a_run_that_was_started_again_long_after_its_time(self, world: World) -> None:
        """What counts is when it changed the ad set, not the scheduled time that its id bears."""
        world.campaign("FL")
        sick = world.adset(breakage=Breakage.late(600))
        workflow = Workflow(world)
        workflow.run(OPEN | {"scheduled": f"{START - timedelta(hours=23):%Y-%m-%dT%H:%M:%SZ}"})
        later(world, HALF_AN_HOUR)

        workflow.run(workflow.answers[0]["recheck"])

        world.meta.settle()
        assert (world.meta.states(sick), statuses(world, sick)) == ({"TX"}, ["ACTIVE"] * 2)

    @pytest.mark.parametrize("breakage", [Breakage.late(600), Breakage.late(1799)], ids=["long ago", "just now"])
    def test_it_is_put_back(self, world: World, breakage: Breakage) -> None:
        """Targeting and ads are as before the sync, it is verified, recorded, remembered and told; the others stay."""
        run_id, (sick, well) = updated(world, breakage, None)

        result = world.run(RECHECK)

        world.meta.settle()
        assert (world.meta.states(sick), statuses(world, sick)) == ({"TX"}, ["ACTIVE"] * 2)
        assert world.meta.states(well) == {"FL"}
        assert {operation.object_id for operation in world.meta.writes if operation.kind == "adset"} == {sick}
        assert (recorded_state(world, run_id, sick), recorded_state(world, run_id, well)) == ("rolled_back", "verified")
        assert ledger(world).previous_outcomes("veterans").reverted == {sick: RevertStreak(FLORIDA, 1)}
        assert (result["success"], result["mail"]) == (True, "sent")
        (campaign,) = result["campaigns"]
        assert campaign["about_run"] == run_id
        assert [adset["result"] for adset in campaign["adsets"]] == ["reverted", "unchanged"]
        assert (campaign["adsets"][0]["added"], campaign["adsets"][0]["removed"]) == (["FL"], ["TX"])
        (mail,) = world.sandbox.aws.mails
        assert mail.subject == "⚠ second look: 1 put back · Mon 4 May"
        assert f"Ad set 0 ({sick})" in mail.text
        assert "3390001" in mail.text
        assert "Its targeting was restored and its ads are healthy" in mail.text

    def test_it_is_put_back_once(self, world: World) -> None:
        """A second recheck finds nothing to do, and nothing to tell."""
        updated(world, Breakage.late(600))
        world.run(RECHECK)
        later(world, 60)
        writes = len(world.meta.writes)

        result = world.run(RECHECK)

        assert (one_adset(result)["result"], result["mail"]) == ("unchanged", "not_asked")
        assert len(world.meta.writes) == writes
        assert len(world.sandbox.aws.mails) == 1

    def test_what_people_changed_besides_stays(self, world: World) -> None:
        """Only the states go back: the age that somebody set since, and an ad that somebody paused, are theirs."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.meta.change_by_hand(adset, {"age_min": 21})
        paused = world.meta.ads_of(adset)[1]
        world.meta.pause_by_hand(paused.id)

        result = world.run(RECHECK)

        assert one_adset(result)["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}
        assert world.meta.targeting(adset)["age_min"] == 21
        assert paused.status == "PAUSED"
        assert paused.id not in {operation.object_id for operation in world.meta.writes}

    def test_a_city_that_a_person_has_added_elsewhere_stays(self, world: World) -> None:
        """Meta decides whether the states from before go with it: here they do."""
        _, (adset,) = updated(world, Breakage.late(60))
        geo = world.meta.targeting(adset)["geo_locations"]
        world.meta.change_by_hand(adset, {"geo_locations": {**geo, **LOS_ANGELES}})

        assert becomes_of(world, RECHECK) == {"Ad set 0": "reverted"}

        assert world.meta.states(adset) == {"TX"}
        assert world.meta.targeting(adset)["geo_locations"].items() >= LOS_ANGELES.items()
        assert statuses(world, adset) == ["ACTIVE", "ACTIVE"]

    def test_a_city_in_the_states_from_before_is_named_as_the_reason(self, world: World) -> None:
        """Meta refuses a city together with its state, and a person has to choose."""
        _, (adset,) = updated(world, Breakage.late(60))
        geo = world.meta.targeting(adset)["geo_locations"]
        dallas = {"key": "2441296", "name": "Dallas", "country": "US", "region": "Texas", "region_id": "3886"}
        world.meta.change_by_hand(adset, {"geo_locations": {**geo, "cities": [dallas]}})

        result = one_adset(result_of(world, RECHECK))

        assert result["result"] == "rollback_failed"
        issue = next(issue for issue in result["issues"] if "NOT restored: " in issue)
        assert "names cities: take that out in Ads Manager" in issue
        assert "1487756" in issue

    def test_states_that_a_person_has_changed_since_stay(self, world: World) -> None:
        """Its broken ads are re-published, once; that they stay broken is told, and no reason to do it again."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})

        results = [one_adset(result_of(world, RECHECK))["result"] for _ in range(2)]

        assert (world.meta.states(adset), world.written_adsets()) == ({"GA"}, [])
        assert len(world.meta.writes) == 2  # each ad
        assert (results, recorded_state(world, run_id, adset)) == (["superseded", "unchanged"], "superseded")
        assert "3390001" in world.sandbox.aws.mails[0].text

    @pytest.mark.parametrize(
        "locations", [{"countries": ["CA"]}, {"countries": ["US"]}, {"cities": [{"key": "2418779"}]}], ids=str
    )
    def test_so_does_what_is_no_state_at_all(self, world: World, locations: dict[str, Any]) -> None:
        """A person has taken all of them away: that is not what Meta has stored of ours."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.meta.change_by_hand(adset, {"geo_locations": locations})

        assert one_adset(result_of(world, RECHECK))["result"] == "superseded"

        assert (world.meta.targeting(adset)["geo_locations"], world.written_adsets()) == (locations, [])
        assert recorded_state(world, run_id, adset) == "superseded"

    def test_an_ad_that_stays_broken_there_is_told_of_once(self, world: World) -> None:
        """And once more if it breaks again after it was well."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})

        def mailed() -> str:
            later(world, HALF_AN_HOUR)
            return str(result_of(world, scheduled(world))["mail"])

        assert [mailed() for _ in range(4)] == ["sent", "sent", "not_asked", "not_asked"]
        for ad in world.meta.ads_of(adset):
            world.meta.person_repairs_ad(ad.id)
        assert mailed() == "not_asked"
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        assert mailed() == "sent"

    def test_so_it_is_in_a_campaign_that_has_been_switched_off_since(self, world: World) -> None:
        """Only the following of the demand is off; without anything changed there of late, it is passed over."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.put({"campaigns/veterans/enabled": "false"})
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",), account="act_222")
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}
        later(world, 5 * 86_400)
        assert [each["slug"] for each in world.run(RECHECK)["campaigns"]] == ["truckers"]

    def test_an_ad_that_a_recheck_has_seen_run_is_looked_after(self, world: World) -> None:
        """It was off when the change was made, and nothing else would tell that it ever ran."""
        world.campaign("FL")
        adset = world.adset()
        ad = world.meta.ads_of(adset)[0]
        world.meta.person_pauses(ad.id)
        later(world, HOUR)
        world.run(LIVE)
        world.meta.person_activates(ad.id)
        later(world, HALF_AN_HOUR)
        assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        later(world, HALF_AN_HOUR)
        world.meta.meta_pauses(ad.id, with_issue=False)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE", "ACTIVE"])

    def test_it_goes_on_if_the_ledger_cannot_be_told_of_it(self, world: World, log: StringIO) -> None:
        """The next one tries again."""
        _, (adset,) = updated(world, None)
        world.meta.person_adds_ad(adset, "New")

        with patch.object(Ledger, "keep_ads", side_effect=LedgerError("The ledger cannot be written")):
            assert one_adset(world.run(RECHECK))["result"] == "unchanged"

        assert logged(log, "ledger.ads_not_kept", "adset") == [(adset,)]

    def test_a_persons_pause_minutes_after_a_recheck_has_seen_the_ad_on(self, world: World) -> None:
        """Meta had paused it before, as the log says; that a person has since, it says only later."""
        _, (adset,) = updated(world, None)
        ad = world.meta.ads_of(adset)[0]
        world.meta.meta_pauses(ad.id, with_issue=False)
        later(world, 60)
        world.meta.person_repairs_ad(ad.id)
        later(world, 60)
        activities = world.meta.accounts["act_111"].activities
        activities.rows = [row for row in activities.rows if row.actor is META]
        activities.missing = lambda _: True
        assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        later(world, 60)
        world.meta.person_pauses(ad.id)

        for _ in range(2):
            later(world, 60)
            assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        assert ad.status == "PAUSED"

    def test_the_end_of_a_review_is_nobodys_pause(self, world: World) -> None:
        """A person had paused the ad before the change; that the log is read because of another one changes nothing."""
        world.campaign("FL")
        adset = world.adset()
        mine, other = world.meta.ads_of(adset)
        world.meta.person_pauses(mine.id)
        later(world, HOUR)
        world.run(LIVE)
        later(world, HALF_AN_HOUR)
        row = {"old_value": "Pending Review", "new_value": "Inactive", "type": "run_status"}
        at = world.time.seconds() - 60
        world.meta.accounts["act_111"].activities.add(
            Activity(at, AD_STATUS, META, mine.id, mine.name, row, (adset, VETERANS))
        )
        world.meta.person_pauses(other.id)

        assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        assert statuses(world, adset) == ["PAUSED", "PAUSED"]

    def test_an_ad_that_meta_paused_is_switched_on_where_a_person_has_set_the_states(self, world: World) -> None:
        """Tomorrow nobody would know any more that it was Meta."""
        _, (adset,) = updated(world, None)
        for ad in world.meta.ads_of(adset):
            world.meta.meta_pauses(ad.id, with_issue=False)
        world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})

        assert becomes_of(world, RECHECK) == {"Ad set 0": "superseded"}
        assert (world.meta.states(adset), statuses(world, adset)) == ({"GA"}, ["ACTIVE"] * 2)

    def test_a_rollback_that_fails_is_loud_and_tried_again(self, world: World) -> None:
        """The recheck fails, first thing in its mail; the next day's sync begins with it."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")

        with pytest.raises(SyncFailed, match="rollback_failed"):
            world.run(RECHECK)

        assert recorded_state(world, run_id, adset) == "rollback_failed"
        assert world.sandbox.aws.mails[-1].subject == "✗ NOT RESTORED in Veterans (second look) · Mon 4 May"
        world.time.next_day()
        result = result_of(world, {**LIVE, "campaigns": ["veterans"]})
        assert [(each["found"], each["state"]) for each in result["recovered"]] == [("rollback_failed", "rolled_back")]

    def test_it_is_not_looked_at_before_an_open_change_of_it_has_its_end(self, world: World) -> None:
        """What stays open is told as that, and not once more as something to put back."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset", times=2)
        for _ in range(2):
            result = result_of(world, RECHECK)
            later(world, 60)

        assert [each["state"] for each in result["recovered"]] == ["rollback_failed"]
        assert result["campaigns"][0]["adsets"] == []
        assert recorded_state(world, run_id, adset) == "rollback_failed"

    def test_nor_by_the_name_of_an_earlier_run(self, world: World) -> None:
        """A later run's change of it is still open: putting back the earlier one would be a second change on top."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        left_behind(
            world, adset, ChangeState.ROLLING_BACK, "as before", run_id="20260504T110000Z-0000cccc", states="GA"
        )
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.path == adset)

        result = result_of(world, {**RECHECK, "run_id": run_id})

        assert [each["state"] for each in result["recovered"]] == ["rolling_back"]
        assert (result["campaigns"][0]["adsets"], world.meta.writes) == ([], [])

    def test_what_was_put_back_counts_as_a_try(self, world: World) -> None:
        """Put back by two rechecks in a row: the third day leaves the ad set alone."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.run(RECHECK)
        world.time.next_day()
        assert becomes_of(world, LIVE) == {"Ad set 0": "updated"}
        later(world, HALF_AN_HOUR)
        assert becomes_of(world, RECHECK) == {"Ad set 0": "reverted"}
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Ad set 0": "needs_attention"}
        assert world.meta.states(adset) == {"TX"}

    def test_more_than_go_together(self, world: World) -> None:
        """Seven ad sets in waves of two: the four that broke are put back, each with its own ads."""
        world.put({"limits/wave_size": "2"})
        breakages = [Breakage.late(600), None, Breakage.late(600), None, None, Breakage.late(600), Breakage.late(600)]
        _, adsets = updated(world, *breakages)

        results = becomes_of(world, RECHECK)

        assert list(results.values()) == ["reverted" if breakage else "unchanged" for breakage in breakages]
        for adset, breakage in zip(adsets, breakages, strict=True):
            assert world.meta.states(adset) == ({"TX"} if breakage else {"FL"})
            assert statuses(world, adset) == ["ACTIVE"] * 2

    def test_an_undo_is_looked_at_again_too(self, world: World) -> None:
        """Ads that break after it: what the undo had put back goes back to what it was before the undo."""
        world.campaign("FL")
        adset = world.adset("Broad")
        world.run(LIVE)
        world.time.pass_by(60)
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.late(600)
        undo = world.run(UNDO)
        later(world, HALF_AN_HOUR)

        result = world.run(RECHECK)

        assert (result["campaigns"][0]["about_run"], one_adset(result)["result"]) == (undo["run_id"], "reverted")
        assert (world.meta.states(adset), statuses(world, adset)) == ({"FL"}, ["ACTIVE"] * 2)
        assert ledger(world).previous_outcomes("veterans").reverted == {}

    def test_the_mail_of_a_sync_says_where_it_runs_now(self, world: World) -> None:
        """In the states from before its change, whatever the sync then gives the others."""
        broken, well = one_broke_since_its_update(world, "FL", now_wanted="FL OH")

        result_of(world, LIVE)

        assert (world.meta.states(broken), world.meta.states(well)) == ({"TX"}, {"FL", "OH"})
        text = world.sandbox.aws.mails[-1].text
        assert "Running now (3): FL, OH, TX" in text
        assert "Wanted, not running yet: FL, OH (in 1 of 2 ad sets)" in text
        assert "Running, not wanted: TX (in 1 of 2 ad sets)" in text

    def test_where_all_run_is_told_although_the_plan_is_refused(self, world: World) -> None:
        """It was put back before the demand turned out to be implausible; the other one was not even begun."""
        one_broke_since_its_update(world, "AL AK AZ AR CA CO CT DE GA FL", now_wanted="OH")

        adsets = result_of(world, LIVE)["campaigns"][0]["adsets"]

        assert [(each["name"], each["result"]) for each in adsets] == [("Broken", "reverted"), ("Well", "held")]
        assert [(each["missing"], len(each["extra"])) for each in adsets] == [(["OH"], 1), (["OH"], 10)]
        assert "Running now (11): AK, AL, AR, AZ, CA, CO, CT, DE, FL, GA, TX" in world.sandbox.aws.mails[-1].text

    def test_what_was_put_back_is_told_whatever_the_ledger_does_then(self, world: World) -> None:
        """What it knows of the others was read before."""
        broken, well = one_broke_since_its_update(world, "FL", now_wanted="FL OH")
        read = Ledger.previous_outcomes

        def fail_once(ledger: Ledger, slug: str) -> Any:
            if world.meta.states(broken) == {"TX"}:
                fails.undo()
                raise LedgerError("The ledger cannot be read")
            return read(ledger, slug)

        with pytest.MonkeyPatch.context() as fails:
            fails.setattr(Ledger, "previous_outcomes", fail_once)
            result = result_of(world, LIVE)

        assert {each["name"]: each["result"] for each in result["campaigns"][0]["adsets"]} == {
            "Broken": "reverted", "Well": "updated",
        }  # fmt: skip
        assert (world.meta.states(broken), world.meta.states(well)) == ({"TX"}, {"FL", "OH"})

    @pytest.mark.parametrize("wanted", ["FL", "FL GA"], ids=["the same demand", "another demand"])
    def test_a_sync_changes_nothing_on_top_of_a_rollback_whose_end_is_not_recorded(
        self, world: World, wanted: str
    ) -> None:
        """Nor does it say that the states from before the rollback run: that change is still open, and comes first."""
        world.campaign(wanted)
        adset = world.adset()
        left_behind(world, adset, ChangeState.ROLLED_BACK)
        later(world, HALF_AN_HOUR)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, 1, skip=2)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], result["success"]) == ("unverified", False)
        assert (world.meta.states(adset), world.written_adsets()) == ({"TX"}, [adset])
        assert [change.state for change in ledger(world).open_changes("veterans")] == [ChangeState.ROLLING_BACK]
        assert "Wanted today and running now" not in world.sandbox.aws.mails[-1].text
        world.time.next_day()
        assert [each["state"] for each in result_of(world, LIVE)["recovered"]] == ["rolled_back"]
        assert world.meta.states(adset) == {*wanted.split()}

    def test_nor_if_the_ledger_does_not_tell_what_is_open(self, world: World) -> None:
        """Whatever could not be verified may be."""
        world.campaign("FL GA")
        adset = world.adset()
        left_behind(world, adset, ChangeState.ROLLED_BACK)
        later(world, HALF_AN_HOUR)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, 1, skip=2)
        with patch.object(Ledger, "open_changes", side_effect=[(), LedgerError("throttled"), ()]):
            result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("unverified", {"TX"})

    @pytest.mark.parametrize("undo", [False, True], ids=["sync", "undo"])
    def test_an_ad_that_meta_pauses_after_the_plan_is_left_to_the_change_that_broke_it(
        self, world: World, *, undo: bool
    ) -> None:
        """A new change would not be responsible for an ad that was off before, and nobody would look at it again."""
        world.put({"limits/verify_wait_seconds": "6"})
        run_id, (first, second) = updated(world, None, None)
        broken = world.meta.ads_of(second)[0].id
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}

        def meta_comes(operation: Operation) -> None:
            if (operation.method, operation.object_id) == ("POST", first):
                world.meta.on_request = None
                world.meta.meta_pauses(broken, with_issue=False)

        world.meta.on_request = meta_comes
        result = result_of(world, {**LIVE, "action": "undo", "run_id": run_id} if undo else LIVE)

        adsets = {adset["id"]: adset["result"] for adset in result["campaigns"][0]["adsets"]}
        assert adsets == {first: "updated", second: "deferred"}
        assert "not known that a person did that" in world.sandbox.aws.mails[-1].text
        later(world, HALF_AN_HOUR)
        world.run(RECHECK)
        assert (world.meta.states(second), statuses(world, second)) == ({"TX"}, ["ACTIVE"] * 2)

    @pytest.mark.parametrize("between", [None, RECHECK], ids=["at once", "after a recheck"])
    def test_an_ad_that_meta_pauses_under_a_persons_states_is_switched_on_by_the_next_sync(
        self, world: World, between: dict[str, Any] | None
    ) -> None:
        """The states are not ours to take back, and a new change would not be responsible for an ad that was off."""
        _, (adset,) = updated(world, None)
        world.meta.person_edits_targeting(adset, states="OH")
        ad = world.meta.ads_of(adset)[0]
        world.meta.meta_breaks(ad.id)
        assert one_adset(result_of(world, RECHECK))["result"] == "superseded"
        later(world, HALF_AN_HOUR)
        world.meta.meta_pauses(ad.id, with_issue=False)
        later(world, HALF_AN_HOUR)
        if between:
            world.run(between)
            assert ad.name in world.sandbox.aws.mails[-1].text

        result = result_of(world, LIVE)

        (pause,) = result["unexplained"]
        assert (pause["switched_on"], ad.status) == ([ad.id], "ACTIVE")
        assert (one_adset(result)["result"], world.meta.states(adset)) == ("updated", {"FL"})

    def test_a_sync_sees_an_ad_that_it_has_just_repaired_as_it_is_then(self, world: World) -> None:
        """Where a person has set the states, the ads are republished: nobody is asked to mend them."""
        _, (adset,) = updated(world, None)
        world.meta.person_edits_targeting(adset, states="OH")
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("updated", {"FL"})
        assert statuses(world, adset) == ["ACTIVE"] * 2
        assert "needs you" not in world.sandbox.aws.mails[-1].text

    def test_what_was_put_back_is_told_although_the_run_ends_right_after(self, world: World) -> None:
        """The ledger can be read no more."""
        world.campaign("FL")
        broken = world.adset("Broken")
        world.run(LIVE)
        later(world, 1800)
        world.meta.meta_breaks(world.meta.ads_of(broken)[0].id)

        with patch("closrads.sync.follow_up_pauses", side_effect=LedgerError("The ledger cannot be read")):
            (campaign,) = result_of(world, LIVE)["campaigns"]

        assert "The ledger cannot be read" in campaign["errors"][0]
        assert [each["result"] for each in campaign["adsets"]] == ["reverted"]


class TestBrokenAgain:
    """Ads that break again and again under the states from before: each attempt validates all ads anew."""

    def test_the_interval_between_attempts_doubles_up_to_four_hours(self, world: World) -> None:
        """A day of rechecks writes a few times; of each relapse and of each attempt one mail tells, with what to do."""
        _, (adset,) = updated(world, Breakage.recurring(600))
        results = []
        for _ in range(48):
            result = one_adset(answer := world.run(scheduled(world)))
            results.append((result["result"], answer["mail"]))
            later(world, HALF_AN_HOUR)

        restored = [number for number, (result, _) in enumerate(results) if result == "reverted"]
        assert restored == [0, 2, 6, 14, 22, 30, 38, 46]
        assert [call.path for call in world.meta.writes].count(adset) == len(restored)
        told = [number for number, (_, mail) in enumerate(results) if mail == "sent"]
        assert told == [0, 1, 2, 3, 6, 7, 14, 15, 22, 23, 30, 31, 38, 39, 46, 47]
        assert {results[number][0] for number in told if number not in restored} == {"skipped_preflight"}

    def test_what_meta_rejects_in_a_review_is_put_back_once(self, world: World) -> None:
        """No write of states gives an ad Meta's approval; once somebody else has got it, the rollback is finished."""
        run_id, (adset,) = updated(world, None)
        rejected = world.meta.ads_of(adset)[0]
        rejected.effective_status = "DISAPPROVED"
        for _ in range(24):
            result_of(world, scheduled(world))
            later(world, HALF_AN_HOUR)

        assert recorded_state(world, run_id, adset) == "rollback_failed"
        assert [call.path for call in world.meta.writes].count(adset) == len(world.sandbox.aws.mails) == 1

        rejected.effective_status = None
        later(world, 4 * HOUR)
        world.run(scheduled(world))

        assert recorded_state(world, run_id, adset) == "rolled_back"
        assert [call.path for call in world.meta.writes].count(adset) == 1

    def test_what_meta_rejects_after_a_rollback_is_only_told_of(self, world: World) -> None:
        """By rechecks once, and by a sync, which changes nothing."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.run(scheduled(world))
        world.meta.ads_of(adset)[0].effective_status = "DISAPPROVED"
        world.meta.requests.clear()
        results = []
        for _ in range(12):
            later(world, HALF_AN_HOUR)
            answer = world.run(scheduled(world))
            results.append((one_adset(answer)["result"], answer["mail"]))

        assert results == [("skipped_preflight", "sent"), *[("skipped_preflight", "not_asked")] * 11]
        assert one_adset(world.run(LIVE))["result"] == "skipped_preflight"
        assert recorded_state(world, run_id, adset) == "rolled_back"
        assert not world.meta.writes

    def test_other_ads_are_put_back_beside_a_rejected_one(self, world: World) -> None:
        """Also if the regions were back before any rollback: the write had been made nevertheless."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.WRITTEN, "as before again")
        rejected, other = world.meta.ads_of(adset)
        rejected.effective_status = "DISAPPROVED"
        for _ in range(2):
            assert result_of(world, RECHECK)["recovered"][0]["state"] == "rollback_failed"
        assert adset not in [call.path for call in world.meta.writes]

        other.issues.append(dict(MISSING_LEAD_FORM))
        result_of(world, RECHECK)

        assert adset in [call.path for call in world.meta.writes]

    def test_what_else_happens_there_is_told(self, world: World) -> None:
        """An ad in a state that nobody knows, and one that is off without a trace."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.run(scheduled(world))
        rejected, other = world.meta.ads_of(adset)
        rejected.effective_status = "DISAPPROVED"
        later(world, HALF_AN_HOUR)
        assert world.run(scheduled(world))["mail"] == "sent"

        other.effective_status = "NEW_STATUS"
        later(world, HALF_AN_HOUR)
        answer = result_of(world, scheduled(world))
        assert (one_adset(answer)["result"], answer["mail"]) == ("unverified", "sent")
        assert "NEW_STATUS" in str(one_adset(answer)["issues"])

        other.effective_status = None
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        world.meta.meta_pauses(other.id, with_issue=False)
        later(world, HALF_AN_HOUR)
        answer = world.run(scheduled(world))
        assert (one_adset(answer)["result"], answer["mail"]) == ("skipped_preflight", "sent")
        assert "nobody can tell by whom" in str(one_adset(answer)["issues"])

    def test_an_ad_that_meta_has_paused_as_well_is_put_back(self, world: World) -> None:
        """It lacks more than Meta's approval."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.run(scheduled(world))
        paused = world.meta.ads_of(adset)[0]
        world.meta.meta_pauses(paused.id, with_issue=False)
        paused.effective_status = "DISAPPROVED"

        assert one_adset(result_of(world, RECHECK))["result"] == "rollback_failed"
        paused.effective_status = None
        world.run(RECHECK)

        assert recorded_state(world, run_id, adset) == "rolled_back"
        assert statuses(world, adset) == ["ACTIVE"] * 2

    def test_a_sync_repairs_it_before_another_change_covers_it(self, world: World) -> None:
        """An ad that Meta paused would look like a person's to the plan, and stay off."""
        _, (adset,) = updated(world, Breakage(Cure.ROLLBACK_AND_REPUBLISH, Effect.PAUSED, 600, recurs=True))
        assert one_adset(world.run(scheduled(world)))["result"] == "reverted"
        later(world, HALF_AN_HOUR)

        result = one_adset(world.run(LIVE))

        assert (result["result"], statuses(world, adset)) == ("reverted", ["ACTIVE"] * 2)

    def test_what_was_told_of_one_ad_set_is_not_of_another(self, world: World) -> None:
        """Of two that broke and were put back, the one that is well stays unknown, and the other is told of once."""
        _, (_, other) = updated(world, Breakage.recurring(600), Breakage.late(600))
        world.run(scheduled(world))
        later(world, HALF_AN_HOUR)

        told = world.run(scheduled(world))
        later(world, 1)
        again = world.run(scheduled(world))

        assert [each["result"] for each in told["campaigns"][0]["adsets"]] == ["skipped_preflight", "unchanged"]
        assert (told["mail"], again["mail"]) == ("sent", "not_asked")
        assert statuses(world, other) == ["ACTIVE"] * 2

    def test_a_mail_that_does_not_leave_tells_nothing(self, world: World) -> None:
        """The next recheck tells of the relapse instead."""
        _, (_,) = updated(world, Breakage.recurring(600))
        world.run(scheduled(world))
        later(world, HALF_AN_HOUR)
        with patch("handler.notify", return_value=(MailOutcome.FAILED, [])):
            assert one_adset(world.run(scheduled(world)))["result"] == "skipped_preflight"
        later(world, 1)

        assert world.run(scheduled(world))["mail"] == "sent"
        assert "Choose its lead form under Destination" in world.sandbox.aws.mails[-1].text

    def test_what_was_well_in_between_is_told_again(self, world: World) -> None:
        """A person has mended it, and thinks so still."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.run(scheduled(world))
        ad = world.meta.ads_of(adset)[0].id
        said = []
        for deed in (world.meta.meta_breaks, world.meta.person_repairs_ad, world.meta.meta_breaks, lambda _: None):
            later(world, 300)
            deed(ad)
            result = world.run(scheduled(world))
            said.append((one_adset(result)["result"], result["mail"]))

        broken, well = ("skipped_preflight", "sent"), ("unchanged", "not_asked")
        assert said == [broken, well, broken, ("skipped_preflight", "not_asked")]
        assert (one_adset(result)["added"], one_adset(result)["removed"]) == ([], [])  # it waits: nothing was written

    def test_a_ledger_that_cannot_be_told_is_no_failure(self, world: World, log: StringIO) -> None:
        """All ads are well; another relapse is told with the next attempt."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.run(scheduled(world))
        (change,) = ledger(world).changes_in_effect("veterans", START)
        ledger(world).mark_reported(change)
        later(world, 300)
        with patch.object(Ledger, "mark_reported", side_effect=LedgerError("The ledger cannot be written")):
            assert one_adset(world.run(scheduled(world)))["result"] == "unchanged"

        said = logged(log, "ledger.relapse_not_forgotten", "adset", "error")
        assert said == [(adset, "The ledger cannot be written")]
        (change,) = ledger(world).changes_in_effect("veterans", START)
        assert change.is_reported

    def test_a_recheck_by_hand_does_not_wait(self, world: World) -> None:
        """Whoever starts one wants the ads repaired now."""
        _, (adset,) = updated(world, Breakage.recurring(600))
        world.run(scheduled(world))
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert statuses(world, adset) == ["ACTIVE"] * 2


class TestQuiet:
    """Nothing is wrong, or nothing is to be done about it."""

    @pytest.mark.parametrize(
        "breakage", [None, Breakage.long_review(9 * 86_400), Breakage.warning(), Breakage.late(1e6)]
    )
    def test_healthy_ads(self, world: World, breakage: Breakage | None) -> None:
        """Not a word, not a write; a review and a warning are no damage."""
        run_id, (adset,) = updated(world, breakage)

        result = world.run(RECHECK)

        assert one_adset(result)["result"] == "unchanged"
        assert (result["success"], result["mail"], result["campaigns"][0]["about_run"]) == (True, "not_asked", run_id)
        assert world.sandbox.aws.mails == []
        assert world.meta.writes == []
        assert recorded_state(world, run_id, adset) == "verified"

    def test_nothing_ever_ran(self, world: World) -> None:
        """A recheck of a new installation has nothing to say."""
        world.campaign("FL")
        world.adset()

        result = world.run(RECHECK)

        assert (result["success"], result["campaigns"][0]["adsets"], result["mail"]) == (True, [], "not_asked")
        assert [call.path for call in world.meta.operations] == ["act_111", "debug_token"]

    def test_a_sync_that_changed_nothing(self, world: World) -> None:
        """There is nothing to look at again."""
        world.campaign("TX")
        world.adset()
        world.run(LIVE)
        world.meta.requests.clear()

        assert world.run(RECHECK)["campaigns"][0]["adsets"] == []
        assert [call.path for call in world.meta.operations] == ["act_111", "debug_token"]

    @pytest.mark.parametrize("hand", ["person_pauses", "rule_pauses", "person_deletes", "person_archives"])
    def test_an_ad_that_a_person_has_done_away_with(self, world: World, hand: str) -> None:
        """It is theirs to decide: nothing is put back, nothing is switched on, and nobody is asked."""
        _, (adset,) = updated(world, None)
        ad = world.meta.ads_of(adset)[0]
        getattr(world.meta, hand)(ad.id)

        result = world.run(RECHECK)

        assert (one_adset(result)["result"], result["mail"], result["unexplained"]) == ("unchanged", "not_asked", [])
        assert (ad.status != "ACTIVE", world.meta.writes) == (True, [])

    def test_an_ad_that_a_person_paused_while_meta_reviewed_it(self, world: World) -> None:
        """The log shows the end of the review as Meta's own change; the pause is a person's all the same."""
        _, (adset,) = updated(world, Breakage.long_review(2 * HOUR))
        ad = world.meta.ads_of(adset)[0]
        world.meta.person_pauses(ad.id)
        later(world, HOUR)
        text = {"old_value": "Pending Review", "new_value": "Inactive"}
        ended = Activity(world.time.seconds(), AD_STATUS, META, ad.id, ad.name, text, (adset,))
        world.meta.accounts["act_111"].activities.add(ended)
        later(world, HALF_AN_HOUR)

        result = one_adset(result_of(world, RECHECK))

        assert (result["result"], ad.status, world.meta.states(adset)) == ("unchanged", "PAUSED", {"FL"})
        assert world.meta.writes == []

    @pytest.mark.parametrize("hand", ["person_deletes", "person_archives"])
    @pytest.mark.parametrize("of", ["ad set", "Meta campaign"])
    def test_an_ad_set_that_is_gone(self, world: World, of: str, hand: str) -> None:
        """Nobody can mend what was broken in it, or is asked whether an ad of it should run."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        broken, off = world.meta.ads_of(adset)
        world.meta.meta_breaks(broken.id)
        world.meta.person_pauses(off.id)
        getattr(world.meta, hand)(adset if of == "ad set" else VETERANS)

        result = world.run(RECHECK)

        assert (result["campaigns"][0]["adsets"], result["mail"], result["unexplained"]) == ([], "not_asked", [])
        assert world.meta.writes == []

    def test_an_ad_that_is_off_and_nobody_knows_why(self, world: World) -> None:
        """It stays off, nothing is put back, and one mail asks whether somebody wanted it, not one every half hour."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        ad = world.meta.ads_of(adset)[0]
        world.meta.person_pauses(ad.id)
        for mail in ("sent", "not_asked", "not_asked"):
            result = world.run(RECHECK)

            assert (one_adset(result)["result"], result["mail"]) == ("unchanged", mail)
            assert [pause["adset_id"] for pause in result["unexplained"]] == [adset]
            assert (ad.status, world.meta.writes) == ("PAUSED", [])
            later(world, HALF_AN_HOUR)
        assert ad.name in world.sandbox.aws.mails[-1].text
        assert len(world.sandbox.aws.mails) == 1

    def test_ads_that_go_off_one_after_the_other_under_different_changes(self, world: World) -> None:
        """The second does not make anybody forget the first, which was off before the change that broke the second."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        first, second = world.meta.ads_of(adset)
        world.meta.person_pauses(first.id)
        world.run(RECHECK)
        world.time.next_day()
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"OH": 5}
        assert one_adset(world.run(LIVE))["result"] == "updated"
        world.meta.person_pauses(second.id)
        later(world, HALF_AN_HOUR)

        (pause,) = world.run(RECHECK)["unexplained"]

        assert [ad["id"] for ad in pause["ads"]] == [first.id, second.id]
        assert [name in world.sandbox.aws.mails[-1].text for name in (first.name, second.name)] == [True, True]

    @pytest.mark.parametrize("failure", ["dies before its mail", "is refused by SES"])
    def test_a_report_that_never_left_is_made_up_for(self, world: World, failure: str) -> None:
        """Only what a report has told is known; the next recheck tells it, and the one after that is silent."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        ad = world.meta.ads_of(adset)[0]
        world.meta.person_pauses(ad.id)
        if failure == "is refused by SES":
            with patch("handler.notify", return_value=(MailOutcome.FAILED, [])):
                world.run(RECHECK)
        else:
            with patch("handler.notify", side_effect=SystemExit), pytest.raises(SystemExit):
                world.run(RECHECK)
        later(world, HALF_AN_HOUR)

        assert [world.run(RECHECK)["mail"] for _ in range(2)] == ["sent", "not_asked"]
        assert ad.name in world.sandbox.aws.mails[-1].text

    @pytest.mark.parametrize("seconds", [30, 1200])
    def test_an_ad_that_meta_paused(self, world: World, seconds: float) -> None:
        """Whenever it was: the ad set goes back and the ad runs again."""
        _, (adset,) = updated(world, Breakage.silently_paused(seconds))

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE"] * 2)

    def test_ads_that_cannot_be_read(self, world: World) -> None:
        """Neither good nor bad: nothing is put back, the run fails, and a later one can look again."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET ads", times=None)

        with pytest.raises(SyncFailed, match="unverified"):
            world.run(RECHECK)

        assert world.meta.writes == []
        assert recorded_state(world, run_id, adset) == "verified"
        text = world.sandbox.aws.mails[-1].text
        assert "was changed before, and whether its ads still run is not known" in text
        assert "could not be checked afterwards" not in text, "they were, after the update"
        world.meta.clear_faults()
        later(world, 60)
        assert one_adset(world.run(RECHECK))["result"] == "reverted"

    def test_ads_in_a_state_that_nobody_knows(self, world: World) -> None:
        """Meta has a new word for something: a person has to look, and nothing is put back for it."""
        run_id, (adset,) = updated(world, None)
        rows = [
            {"id": ad.id, "name": ad.name, "status": "ACTIVE", "effective_status": "NEW_WORD"}
            for ad in world.meta.ads_of(adset)
        ]
        world.meta.fail(faults.answer({"data": rows}), on="GET ads")

        assert one_adset(result_of(world, RECHECK))["result"] == "unverified"
        assert (world.meta.writes, recorded_state(world, run_id, adset)) == ([], "verified")
        assert "NEW_WORD" in world.sandbox.aws.mails[-1].text

    def test_one_that_cannot_be_read_does_not_keep_the_others(self, world: World) -> None:
        """The other ad set is put back."""
        _, (one, two) = updated(world, Breakage.late(600), Breakage.late(600))
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.path == f"{one}/ads", times=None)

        assert becomes_of(world, RECHECK) == {"Ad set 0": "unverified", "Ad set 1": "reverted"}
        assert (world.meta.states(one), world.meta.states(two)) == ({"FL"}, {"TX"})

    def test_too_little_time(self, world: World) -> None:
        """Nothing is begun that could not be brought to an end."""
        updated(world, Breakage.late(600))
        world.time.deadline = world.time.seconds() + 12

        result = world.run(RECHECK)

        assert (one_adset(result)["result"], world.meta.writes) == ("deferred", [])
        assert "Too little time" in world.sandbox.aws.mails[-1].text


class TestDryRun:
    """A look that must not write."""

    @pytest.mark.parametrize("event", [{"action": "recheck"}, {"action": "recheck", "dry_run": True}])
    def test_it_says_what_it_would_put_back(self, world: World, event: dict[str, Any]) -> None:
        """Also if the event does not say: looking is the default. Neither Meta nor the ledger is written."""
        _, (sick, _) = updated(world, Breakage.late(600), None)

        with only_reads(world):
            result = world.run(event)

        assert [adset["result"] for adset in result["campaigns"][0]["adsets"]] == ["reverted", "unchanged"]
        assert (result["dry_run"], result["success"], result["mail"]) == (True, True, "sent")
        assert "would be put back" in world.sandbox.aws.mails[-1].subject
        assert world.meta.states(sick) == {"FL"}

    def test_it_does_not_say_that_states_of_somebody_else_would_be_put_back(self, world: World) -> None:
        """They would stay; only the ads would be re-published."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})

        with only_reads(world):
            result = result_of(world, {"action": "recheck"})

        assert one_adset(result)["result"] == "superseded"
        assert "3390001" in world.sandbox.aws.mails[-1].text
        assert "would be put back" not in world.sandbox.aws.mails[-1].subject

    def test_the_environment_decides_where_the_event_does_not(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With DRY_RUN=false a bare recheck puts back."""
        _, (adset,) = updated(world, Breakage.late(600))
        monkeypatch.setenv("DRY_RUN", "false")

        assert one_adset(world.run({"action": "recheck"}))["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}


class TestWhatIsLookedAt:
    """Which changes."""

    def test_a_day_later_it_is_no_matter_of_that_change(self, world: World) -> None:
        """Older than a day at the last recheck: not looked at again, unless somebody names the run."""
        run_id, (adset,) = updated(world, Breakage.late(25 * HOUR))
        later(world, 24 * HOUR)
        assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        later(world, HOUR)
        assert world.run(RECHECK)["campaigns"][0]["adsets"] == []

        result = world.run({**RECHECK, "run_id": run_id})

        assert (one_adset(result)["result"], result["campaigns"][0]["about_run"]) == ("reverted", run_id)
        assert world.meta.states(adset) == {"TX"}

    def test_up_to_a_day_it_is(self, world: World) -> None:
        """The last minute of that day."""
        updated(world, Breakage.late(600))
        later(world, 24 * HOUR - HALF_AN_HOUR - 60)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"

    def test_a_resync_in_between_hides_nothing(self, world: World) -> None:
        """A second sync that found nothing to do, and a third that failed: the first one's changes still count."""
        updated(world, Breakage.late(7200))
        later(world, HALF_AN_HOUR)
        world.run(LIVE)
        world.sandbox.closrtech.demand.clear()
        result_of(world, LIVE)
        later(world, 2 * HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"

    def test_a_later_write_that_meta_refused_hides_nothing(self, world: World) -> None:
        """The refused one changed nothing: what stands at Meta is what the one before it wrote."""
        _, (adset,) = updated(world, Breakage.late(2700))
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        assert becomes_of(world, LIVE) == {"Ad set 0": "failed"}
        later(world, HALF_AN_HOUR)

        assert becomes_of(world, RECHECK) == {"Ad set 0": "reverted"}
        assert world.meta.states(adset) == {"TX"}

    def test_the_newest_change_of_an_ad_set_counts(self, world: World) -> None:
        """Two syncs with other demand: what is put back is what the second wrote, to what the first had."""
        _, (adset,) = updated(world, None)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.late(600)
        second = world.run(LIVE)["run_id"]
        later(world, HALF_AN_HOUR)

        result = world.run(RECHECK)

        assert (one_adset(result)["result"], result["campaigns"][0]["about_run"]) == ("reverted", second)
        assert world.meta.states(adset) == {"FL"}

    def test_what_was_put_back_is_looked_at_too(self, world: World) -> None:
        """The write of a rollback may break ads as well; if it has not, there is not a word."""
        world.campaign("FL")
        world.adset("Fragile", breakage=Breakage.stubborn())
        world.run(LIVE)
        later(world, HALF_AN_HOUR)
        world.meta.requests.clear()

        result = world.run(RECHECK)

        assert (one_adset(result)["result"], result["mail"]) == ("unchanged", "not_asked")
        assert {operation.method for operation in world.meta.operations} == {"GET"}

    @pytest.mark.parametrize("arrives", [False, True], ids=["never", "late"])
    def test_a_write_that_was_never_seen_hides_nothing(self, world: World, *, arrives: bool) -> None:
        """A killed run left Georgia prepared: broken ads are the sync's matter, unless Georgia comes after all."""
        _, (adset,) = updated(world, None if arrives else Breakage.late(HOUR + 60))
        lost = left_behind(world, adset, ChangeState.PREPARED, "as before", run_id=LATER, states="GA")
        assert world.run(RECHECK)["recovered"][0]["state"] == "rolled_back"
        if arrives:
            world.api().post(adset, {"targeting": lost.after})
        later(world, HOUR)

        result = world.run(RECHECK)

        assert one_adset(result)["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"FL"} if arrives else {"TX"}, ["ACTIVE"] * 2)

    @pytest.mark.parametrize("seconds", [60, HALF_AN_HOUR + 4], ids=["before", "while it is closed"])
    def test_an_ad_broke_and_a_write_was_never_seen(self, world: World, seconds: float) -> None:
        """It broke after the sync, so that the sync's change is rolled back: the lost one had nothing to do with it."""
        _, (adset,) = updated(world, Breakage.late(seconds))
        left_behind(world, adset, ChangeState.PREPARED, "as before", run_id=LATER, states="GA")

        result = world.run(RECHECK)

        (lost,) = result["recovered"]
        assert (lost["state"], NEVER_TOOK_EFFECT in lost["issues"]) == ("rolled_back", True)
        assert one_adset(result)["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE"] * 2)

    @pytest.mark.parametrize("state", [ChangeState.PREPARED, ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED])
    def test_meta_refuses_to_republish_what_broke(self, world: World, state: ChangeState) -> None:
        """Nor does it matter whether an earlier recovery of the lost write was cut off, or could not be proven."""
        _, (adset,) = updated(world, Breakage.late(60))
        lost = left_behind(world, adset, ChangeState.PREPARED, "as before", run_id=LATER, states="GA")
        if state is not ChangeState.PREPARED:
            lost = replace(lost, reason=RollbackReason.UNWRITTEN)
            for step in PATHS[state]:
                lost = move(ledger(world), lost, step)
        world.meta.fail(faults.MISSING_LEAD_FORM, on="POST ad", times=2)

        result = world.run(RECHECK)

        assert [each["state"] for each in result["recovered"]] == ["rolled_back"]
        assert one_adset(result)["result"] == "reverted"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE"] * 2)

    def test_only_a_write_that_was_never_seen(self, world: World) -> None:
        """No change set these regions: the ads are re-published, told of once, and left to the daily run."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.PREPARED, "as before", states="FL")
        world.meta.ads_of(adset)[0].issues.append(dict(MISSING_LEAD_FORM))

        results = []
        for _ in range(3):
            results.append(world.run(scheduled(world)))
            later(world, HOUR)

        assert [recovery["state"] for recovery in results[0]["recovered"]] == ["rolled_back"]
        assert [one_adset(each)["result"] for each in results[1:]] == ["skipped_preflight"] * 2
        assert [each["success"] for each in results] == [True] * 3
        assert [operation.kind for operation in world.meta.operations if operation.method == "POST"] == ["ad"] * 2
        assert [each["mail"] for each in results] == ["sent", "not_asked", "not_asked"]

    def test_an_ad_that_meta_pauses_there_is_switched_on_by_the_next_sync(self, world: World) -> None:
        """A rollback would restore nothing, and the change of the next sync would not be responsible for the ad."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.PREPARED, "as before", states="FL")
        world.run(scheduled(world))
        later(world, HOUR)
        world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)

        world.run(scheduled(world))
        later(world, 3 * 86_400)
        result = world.run(LIVE)

        assert [len(pause["switched_on"]) for pause in result["unexplained"]] == [1]
        assert statuses(world, adset) == ["ACTIVE", "ACTIVE"]

    def test_what_was_never_written_is_not_looked_at(self, world: World) -> None:
        """Meta refused the write: nothing of it is there."""
        world.campaign("FL")
        world.adset()
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        assert becomes_of(world, LIVE) == {"Broad": "failed"}
        later(world, HALF_AN_HOUR)

        assert world.run(RECHECK)["campaigns"][0]["adsets"] == []

    def test_a_run_whose_ad_set_a_later_one_has_changed(self, world: World) -> None:
        """Even if it has the same states again: those from before the earlier run are not what was there last.

        What broke there since is the later run's to roll back.
        """
        run_id, (covered, own) = updated(world, None, None)
        world.meta.person_pauses(own)
        for states in ("GA", "FL"):
            world.time.next_day()
            world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {states: 5}
            world.run(LIVE)
        world.meta.person_activates(own)
        for adset in (covered, own):
            world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)

        result = result_of(world, {**RECHECK, "run_id": run_id})

        found = {each["id"]: each["result"] for each in result["campaigns"][0]["adsets"]}
        assert found == {covered: "reverted", own: "reverted"}
        assert (world.meta.states(covered), world.meta.states(own)) == ({"GA"}, {"TX"})

    def test_a_later_write_that_was_never_seen_covers_nothing(self, world: World) -> None:
        """Nor does one that Meta has refused."""
        run_id, (adset,) = updated(world, None)
        left_behind(world, adset, ChangeState.NOT_WRITTEN, "as before", run_id=LATER, states="GA")
        later(world, HOUR)
        unseen = left_behind(world, adset, ChangeState.PREPARED, "as before", run_id=f"{LATER}d", states="GA")
        for state in (ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK):
            unseen = move(ledger(world), replace(unseen, reason=RollbackReason.OUTCOME_UNKNOWN), state)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)

        assert one_adset(result_of(world, {**RECHECK, "run_id": run_id}))["result"] == "reverted"

    def test_an_unknown_run(self, world: World) -> None:
        """It is an error that says what to do, and nothing is looked at."""
        updated(world, Breakage.late(600))

        with pytest.raises(SyncFailed, match=f"knows no live run {EARLIER}: take the id from the foot of a report"):
            world.run({**RECHECK, "run_id": EARLIER})

        assert world.meta.operations == []
        assert EARLIER in world.sandbox.aws.mails[-1].text

    def test_a_dry_run_is_no_live_run(self, world: World) -> None:
        """Its id stands at the foot of a report too; it changed nothing."""
        world.campaign("FL")
        world.adset()
        run_id = world.run({})["run_id"]

        with pytest.raises(SyncFailed, match="knows no live run"):
            world.run({**RECHECK, "run_id": run_id})

    def test_a_run_of_another_campaign(self, world: World) -> None:
        """It is known, and did nothing here."""
        run_id, _ = updated(world, Breakage.late(600))
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

        result = world.run({**RECHECK, "run_id": run_id, "campaigns": ["truckers"]})

        assert (result["campaigns"][0]["adsets"], result["success"]) == ([], True)
        assert world.meta.operations == []

    def test_each_campaign_by_itself(self, world: World) -> None:
        """The last run of each, which need not be the same."""
        updated(world, Breakage.late(7200))
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",))
        world.adset("Truck", campaign="120200000000000905", breakage=Breakage.late(600))
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
        world.run({**LIVE, "campaigns": ["truckers"]})
        later(world, 2 * HOUR)

        result = world.run(RECHECK)

        assert [one["adsets_reverted"] for one in result["campaigns"]] == [1, 1]
        assert len({one["about_run"] for one in result["campaigns"]}) == 2

    def test_the_recheck_itself_leaves_no_change_behind(self, world: World) -> None:
        """It is recorded as a run, takes the lease and gives it back, and does not become the run to undo."""
        run_id, _ = updated(world, Breakage.late(600))
        recheck = world.run(RECHECK)["run_id"]

        assert {item["run_id"] for item in entries(world, "CHANGE#")} == {run_id}
        (run,) = (item for item in entries(world, "", pk="RUN") if item["sk"] == recheck)
        assert (run["action"], run["success"]) == ("recheck", True)
        assert leases(world).last_sync("veterans") == run_id
        assert "holder" not in entries(world, "LEASE")[0]

    def test_a_campaign_that_another_run_has(self, world: World) -> None:
        """The sync is still at work: the recheck leaves, and says nothing."""
        updated(world, Breakage.late(600))
        until = START + timedelta(days=1)
        Leases(Table(LEDGER_TABLE, world.time.clock)).acquire(["veterans"], EARLIER, until, Action.SYNC)

        result = world.run(RECHECK)

        assert (result["left_to"], result["mail"], world.meta.operations) == (EARLIER, "not_asked", [])


class TestLedgerTrouble:
    """DynamoDB fails while a recheck is at work."""

    def test_without_the_ledger_nothing_is_written_at_meta(self, world: World) -> None:
        """The run fails and says why."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.sandbox.aws.fail("dynamodb", "Query", "InternalServerError", 500, None)

        with pytest.raises(SyncFailed, match="The ledger cannot be read"):
            world.run(RECHECK)
        assert (world.meta.writes, world.meta.states(adset)) == ([], {"FL"})

    def test_a_rollback_that_cannot_be_written_down_is_not_begun(self, world: World) -> None:
        """Whoever dies in the midst of it would leave nothing to find: the run fails, and a later one puts it back."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=1)

        with pytest.raises(SyncFailed, match="ledger"):
            world.run(RECHECK)

        assert (world.meta.writes, recorded_state(world, run_id, adset)) == ([], "verified")

    def test_a_pause_that_cannot_be_written_down_is_told_again(self, world: World, log: StringIO) -> None:
        """Nothing is lost: the next recheck finds it anew."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        world.meta.person_pauses(world.meta.ads_of(adset)[0].id)
        world.sandbox.aws.fail("dynamodb", "PutItem", "InternalServerError", 500, None, skip=1)

        assert result_of(world, RECHECK)["mail"] == "sent"
        assert ledger(world).previous_outcomes("veterans").unexplained == ()
        ((of, error),) = logged(log, "ledger.unexplained_not_kept", "adset", "error")
        assert (of, "The ledger cannot be written" in error) == (adset, True)
        world.sandbox.aws.clear_faults()
        later(world, HALF_AN_HOUR)

        assert world.run(RECHECK)["mail"] == "sent"
        assert [pause.adset_id for pause in ledger(world).previous_outcomes("veterans").unexplained] == [adset]

    def test_a_sync_that_changes_nothing_tells_of_it_as_well(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It begins with a recheck, and has no other news."""
        _, (adset,) = updated(world, None)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        world.meta.person_pauses(world.meta.ads_of(adset)[0].id)

        def fail(*_: Any) -> None:
            raise LedgerError("The ledger cannot be written")

        monkeypatch.setattr(Ledger, "keep_unexplained", fail)
        result = result_of(world, LIVE)

        assert one_adset(result)["result"] == "unchanged"
        assert [pause["adset_id"] for pause in result["unexplained"]] == [adset]
        assert "1 ad needs you" in world.sandbox.aws.mails[-1].subject

    def test_an_end_that_cannot_be_written_down_is_told(self, world: World) -> None:
        """It was put back; that the ledger does not know of it is an error, and has its end later."""
        run_id, (adset,) = updated(world, Breakage.late(600))
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=2)

        result = result_of(world, RECHECK)

        assert (world.meta.states(adset), recorded_state(world, run_id, adset)) == ({"TX"}, "rolling_back")
        assert (one_adset(result)["result"], result["success"]) == ("unverified", False)
        assert "The ledger cannot be written" in world.sandbox.aws.mails[-1].text
        world.sandbox.aws.clear_faults()
        world.time.next_day()
        assert [each["state"] for each in result_of(world, RECHECK)["recovered"]] == ["rolled_back"]

    def test_a_failed_rollback_is_loud_whatever_the_ledger_does(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """That the ledger could not be told of it as well makes it no smaller."""
        _, (adset,) = updated(world, Breakage.late(600))
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=2)
        capsys.readouterr()

        result = result_of(world, RECHECK)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("rollback_failed", {"FL"})
        assert world.sandbox.aws.mails[-1].subject.startswith("✗ NOT RESTORED in Veterans")
        assert metric(capsys.readouterr().out, "RollbackFailed") == 1


class TestFailedRollbacks:
    """A rollback that failed is told of at once, and then no more until the next daily run."""

    @pytest.fixture
    def failing(self, world: World) -> str:
        """Return the id of an ad set whose rollback goes on failing; the run that noted it has told nobody."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.ROLLBACK_FAILED)
        for ad in world.meta.ads_of(adset):
            world.meta.meta_breaks(ad.id)
        world.meta.fail(faults.MISSING_LEAD_FORM, on="POST ad", times=None)
        later(world, HALF_AN_HOUR)
        return adset

    def test_a_failure_that_no_report_has_told_is_news(self, world: World, failing: str) -> None:
        """The run that noted it died before its mail; once told, another try that fails like it is none."""
        mails = []
        for _ in range(3):
            mails.append(result_of(world, RECHECK)["mail"])
            later(world, HALF_AN_HOUR)

        assert mails == ["sent", "not_asked", "not_asked"]
        assert failing in world.sandbox.aws.mails[0].text

    def test_a_mail_that_failed_has_told_nobody(self, world: World, failing: str) -> None:
        """So the next recheck tries again."""
        with patch("handler.notify", return_value=(MailOutcome.FAILED, [])):
            result_of(world, RECHECK)
        later(world, HALF_AN_HOUR)
        assert result_of(world, RECHECK)["mail"] == "sent"
        assert failing in world.sandbox.aws.mails[-1].text

    def test_what_a_daily_run_has_told_is_known(self, world: World, failing: str) -> None:
        """Its mail names each open change."""
        result_of(world, LIVE)
        later(world, HALF_AN_HOUR)

        assert result_of(world, RECHECK)["mail"] == "not_asked"
        assert failing in world.sandbox.aws.mails[-1].text


def test_an_ad_that_ran_since_its_update_is_repaired(world: World) -> None:
    """It was off before, and is off again without its form: only the log shows that it ran in between."""
    world.campaign("FL")
    adset = world.adset("Broad", ads=0)
    late = world.meta.add_ad(adset, "Late", status="PAUSED")
    world.run(LIVE)
    world.meta.person_activates(late)
    world.time.pass_by(60)
    world.meta.meta_pauses(late, with_issue=True)
    later(world, HALF_AN_HOUR)

    assert one_adset(world.run(RECHECK))["result"] == "reverted"
    assert (world.meta.states(adset), statuses(world, adset)) == ({"TX"}, ["ACTIVE"])


def test_a_persons_pause_that_the_log_does_not_show_yet(world: World) -> None:
    """Its last row is then Meta's pause of before, which the run had ended: the ad stays off, and that is told."""
    adset = rolled_back_with_lagging_log(world)
    ad = world.meta.ads_of(adset)[0]
    assert ad.status == "ACTIVE"
    world.meta.person_pauses(ad.id)
    later(world, HALF_AN_HOUR)

    result = result_of(world, RECHECK)

    assert (one_adset(result)["result"], ad.status) == ("unchanged", "PAUSED")
    assert [pause["adset_id"] for pause in result["unexplained"]] == [adset]


def test_also_if_another_ad_breaks_meanwhile(world: World) -> None:
    """The rollback looks at the log as well, and must not find the old pause either."""
    adset = rolled_back_with_lagging_log(world)
    ad, other = world.meta.ads_of(adset)
    world.meta.person_pauses(ad.id)
    world.meta.meta_breaks(other.id)
    later(world, HALF_AN_HOUR)

    assert one_adset(result_of(world, RECHECK))["result"] == "reverted"
    assert statuses(world, adset) == ["PAUSED", "ACTIVE"]


class TestStatesThatWereRolledBack:
    """They are there again: Meta has applied the write late, or a person has set them."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set whose update was rolled back, because an ad broke."""
        _, (adset,) = updated(world, None)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        later(world, HOUR)
        return adset

    def test_a_person_who_has_set_them_keeps_them(self, world: World, adset: str) -> None:
        """After a look at the form, say; a re-publish was part of it, and a rollback might break the ads again."""
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "unchanged"
        assert world.meta.states(adset) == {"FL"}

    def test_if_meta_has_applied_the_write_late_the_mail_says_so(self, world: World, adset: str) -> None:
        """No ad has broken."""
        world.meta.person_edits_targeting(adset, states="FL", by=OWN, published=True)
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"

        text = world.sandbox.aws.mails[-1].text
        assert "had states that had been rolled back before: Meta had applied them late" in text
        assert "broke" not in text.lower()

    def test_of_a_persons_states_only_the_ads_are_repaired(self, world: World, adset: str) -> None:
        """Its ads broke again, and the states are not ours to take away."""
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        later(world, HALF_AN_HOUR)

        assert one_adset(result_of(world, RECHECK))["result"] == "superseded"
        assert (world.meta.states(adset), statuses(world, adset)) == ({"FL"}, ["ACTIVE"] * 2)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        later(world, HALF_AN_HOUR)
        assert one_adset(result_of(world, RECHECK))["result"] == "unchanged"
        assert world.meta.states(adset) == {"FL"}

    def test_also_after_a_rollback_that_failed(self, world: World) -> None:
        """The regions are back, but an ad is broken, and somebody mends it and sets the new ones again."""
        _, (adset,) = updated(world, Breakage.late(600))
        later(world, HALF_AN_HOUR)
        world.meta.fail(faults.PERMISSION_MISSING, on="POST ad")
        assert one_adset(result_of(world, RECHECK))["result"] == "rollback_failed"
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        later(world, 5 * HOUR)

        (found,) = result_of(world, RECHECK)["recovered"]

        assert (found["state"], world.meta.states(adset)) == ("superseded", {"FL"})

    @pytest.mark.parametrize("fails", [True, False], ids=["a failed rollback", "a rollback"])
    def test_also_if_the_ads_cannot_be_protected_at_once(self, world: World, *, fails: bool) -> None:
        """Later runs know whose regions they are, also when our own record is newer than the edit."""
        _, (adset,) = updated(world, None)
        ad = world.meta.ads_of(adset)[0].id
        world.meta.meta_breaks(ad)
        if fails:
            world.meta.fail(faults.PERMISSION_MISSING, on="POST ad", times=2)
        result_of(world, RECHECK)
        later(world, HALF_AN_HOUR)
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        world.meta.meta_breaks(ad)
        later(world, 5 * HOUR)
        world.meta.fail(faults.PERMISSION_MISSING, on="POST ad", times=None)
        result_of(world, RECHECK)
        world.meta.clear_faults()
        later(world, 5 * HOUR)

        (found,) = result_of(world, RECHECK)["recovered"]

        assert (found["state"], world.meta.states(adset)) == ("superseded", {"FL"})
        assert statuses(world, adset) == ["ACTIVE"] * 2

    def test_once_known_nobody_has_to_be_asked_again(self, world: World, adset: str) -> None:
        """The ledger says whose they are, and Meta may not answer at the next break."""
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        later(world, HALF_AN_HOUR)
        assert one_adset(result_of(world, RECHECK))["result"] == "superseded"
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        world.meta.fail(faults.PERMISSION_MISSING, on="GET debug_token", times=None)
        later(world, HALF_AN_HOUR)

        assert one_adset(result_of(world, RECHECK))["result"] == "unchanged"
        assert world.meta.states(adset) == {"FL"}

    def test_an_entry_that_cannot_be_read_proves_nothing(self, world: World, adset: str) -> None:
        """It may be of an edit of something else."""
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        (row, *_) = (row for row in reversed(world.meta.accounts["act_111"].activities.rows) if row.actor is PERSON)
        row.extra.clear()
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"

    @pytest.mark.parametrize("unknown", ["GET activities", "GET debug_token"])
    def test_where_nobody_knows_who_has_set_them_they_are_rolled_back(
        self, world: World, adset: str, unknown: str
    ) -> None:
        """Meta may have applied our write late, so that the links of the ads are pending."""
        world.meta.person_edits_targeting(adset, states="FL", published=True)
        world.meta.fail(faults.PERMISSION_MISSING, on=unknown, times=None)
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}

    def test_a_write_that_meta_has_applied_late_is_rolled_back(self, world: World, adset: str) -> None:
        """The log names our own app."""
        world.meta.person_edits_targeting(adset, states="GA", published=True)
        later(world, HALF_AN_HOUR)
        world.meta.person_edits_targeting(adset, states="FL", by=OWN)
        later(world, HALF_AN_HOUR)

        assert one_adset(world.run(RECHECK))["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}
