"""A run that several invocations share, by the real handler: what they come to, whatever becomes of one of them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import GraphUsage
from closrads.domain.runs import CampaignProgress
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError, ConfigError, EventError, LedgerError, SyncFailed
from closrads.fleet import MAX_TRIES, NO_RESULT, QUOTA_PATIENCE_SECONDS, RESUMED_FOR
from closrads.ledger.leases import Leases
from sandbox.aws import DROPPED
from sandbox.meta import Breakage, Operation, faults
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import (
    EARLIER,
    RECHECK,
    entries,
    later,
    leases,
    ledger,
    left_behind,
    metric,
    only_reads,
    planned,
    recorded,
    runs,
)
from tests.world import LIVE, VETERANS, World

CAMPAIGNS = {"mortgage": "act_222", "truckers": "act_111", "veterans": "act_111"}
META_CAMPAIGNS = {slug: f"12020000000000080{number}" for number, slug in enumerate(CAMPAIGNS)}
DRY = {**OPEN, "dry_run": True}


@pytest.fixture
def adsets(world: World) -> dict[str, list[str]]:
    """Set up three campaigns in two ad accounts, two ad sets each, all to be changed; return the ids by campaign."""
    for slug, account in CAMPAIGNS.items():
        world.campaign("FL GA", slug, [META_CAMPAIGNS[slug]], account)
    return {
        slug: [world.adset(name, campaign=META_CAMPAIGNS[slug]) for name in ("Broad", "Lookalike")]
        for slug in CAMPAIGNS
    }


@pytest.fixture
def many(world: World) -> list[str]:
    """Set up a campaign on the Limited tier with more ad sets than its quota allows at once; return their ids."""
    world.campaign("FL GA", "veterans", [VETERANS], "act_111")
    world.meta.add_account("act_111", "limited")
    return [world.adset(f"Ad set {number}") for number in range(8)]


def states(world: World, adsets: dict[str, list[str]]) -> list[str]:
    """Return what each ad set targets, in the order of the campaigns."""
    return [" ".join(sorted(world.meta.states(adset))) for ids in adsets.values() for adset in ids]


def part(run_id: str, slug: str = "veterans") -> dict[str, Any]:
    """Return the event of one campaign's share."""
    return {"step": "part", "run_id": run_id, "campaigns": [slug]}


def close(run_id: str) -> dict[str, Any]:
    """Return the event of the end."""
    return {"step": "close", "run_id": run_id}


def kept(world: World, run_id: str) -> dict[str, Any]:
    """Return what the ledger keeps of a run."""
    (item,) = entries(world, run_id, pk="RUN")
    return item


@pytest.mark.usefixtures("adsets")
class TestWholeRun:
    """From the opening to the report."""

    def test_every_campaign_is_brought_up_to_date_and_one_report_tells_of_all(
        self, world: World, adsets: dict[str, list[str]]
    ) -> None:
        """One mail, with every campaign in it."""
        answer = Workflow(world).run(OPEN)

        assert states(world, adsets) == ["FL GA"] * 6
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("✓ 6 updated")
        assert all(name in mail.text for name in ("Mortgage", "Truckers", "Veterans"))
        assert (answer["campaigns"], answer["adsets_updated"], answer["mail"]) == (3, 6, "sent")
        assert kept(world, answer["run_id"])["success"] is True

    @pytest.mark.parametrize("later", ["2026-05-05T10:30:00Z", "2026-05-04T11:30:00Z"])
    def test_campaigns_of_an_ad_account_go_together(self, world: World, later: str) -> None:
        """They share its quota, so the workflow takes them one after the other, and another one first each time."""
        first = world.run({**OPEN, "scheduled": "2026-05-04T10:30:00Z"})["accounts"]
        second = world.run({**OPEN, "scheduled": later})["accounts"]

        assert sorted([first, second]) == [
            [["mortgage"], ["truckers", "veterans"]],
            [["mortgage"], ["veterans", "truckers"]],
        ]

    def test_what_is_switched_off_or_not_named_is_left_out(self, world: World) -> None:
        """As in a run of one invocation."""
        world.put({"campaigns/truckers/enabled": "false"})

        assert world.run(OPEN)["accounts"] == [["mortgage"], ["veterans"]]
        assert world.run({**OPEN, "campaigns": ["mortgage"]})["accounts"] == [["mortgage"]]

    def test_a_switch_below_a_misspelled_slug_is_told_of(self, world: World) -> None:
        """The invocation that writes the report does not read it, so that which opens the run hands it on."""
        world.put({"campaigns/vetrans/enabled": "false"})

        Workflow(world).run(OPEN)

        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ 6 updated")
        assert "did you mean veterans?" in mail.text

    def test_looking_is_the_default(self, world: World, adsets: dict[str, list[str]]) -> None:
        """A workflow that is started with {} writes nothing at Meta, keeps no lease, and says that it is a dry run."""
        answer = Workflow(world).run({"step": "open"})

        assert states(world, adsets) == ["TX"] * 6
        assert world.meta.writes == []
        assert entries(world, "LEASE") == []
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("[DRY RUN] ✓ 6 would be updated")
        assert answer["adsets_updated"] == 6

    def test_a_dry_run_is_nothing_to_undo(self, world: World) -> None:
        """The ledger keeps it for the invocations that share it, but it changed nothing."""
        run_id = Workflow(world).run(DRY)["run_id"]

        with pytest.raises(SyncFailed, match="knows no live run"):
            world.run({"action": "undo", "run_id": run_id, "campaigns": ["veterans"]})

    def test_what_is_passed_on_is_small(self, world: World) -> None:
        """Step Functions passes 256 KiB at most, and this is for hundreds of campaigns."""
        workflow = Workflow(world)
        workflow.run(OPEN)

        assert max(len(json.dumps(answer)) for answer in workflow.answers) < 500

    def test_a_campaign_costs_one_page_of_parameters_however_many_there_are(self, world: World) -> None:
        """A page holds ten, and Parameter Store answers only forty requests a second; what is paused is read anew."""
        for number in range(30):
            world.campaign("FL", f"more-{number}", [f"1202000000000007{number:02}"], f"act_9{number}")
        run_id = world.run(OPEN)["run_id"]
        world.run(part(run_id))
        before = len(world.sandbox.aws.requests)

        world.run(part(run_id, "mortgage"))

        asked = [call for call in world.sandbox.aws.requests[before:] if call.service == "ssm"]
        of_two_waves = ["GetParameters"] * 2
        assert [call.operation for call in asked] == ["GetParameters", "GetParametersByPath", *of_two_waves]

    def test_the_recheck_is_announced_by_the_opening(self, world: World) -> None:
        """Of a live sync only, for the same scheduled time, so that it too runs once; a campaign may be off by then."""
        recheck = world.run({**OPEN, "campaigns": ["veterans"]})["recheck"]

        assert recheck == {
            "step": "open", "action": "recheck", "dry_run": False, "notify": True,
            "scheduled": "2026-05-04T10:30:00+00:00",
        }  # fmt: skip
        assert "scheduled" not in world.run({"step": "open", "dry_run": False})["recheck"]
        assert world.run(DRY)["recheck"] is None
        assert world.run(recheck)["recheck"] is None

    def test_the_recheck_puts_back_what_broke_since(self, world: World, adsets: dict[str, list[str]]) -> None:
        """And only that; its report comes for news only."""
        sick = adsets["truckers"][0]
        for ad in world.meta.ads_of(sick):
            ad.breakage = Breakage.late(600)
        workflow = Workflow(world)
        run_id = workflow.run(OPEN)["run_id"]
        recheck = workflow.answers[0]["recheck"]
        later(world, 1800)

        answer = workflow.run(recheck)
        again = workflow.run(recheck)

        assert states(world, adsets) == ["FL GA", "FL GA", "TX", "FL GA", "FL GA", "FL GA"]
        assert (answer["adsets_reverted"], answer["mail"]) == (1, "sent")
        assert answer["run_id"] == again["run_id"] != run_id
        assert [mail.subject.split(" · ")[0] for mail in world.sandbox.aws.mails] == [
            "✓ 6 updated",
            "⚠ second look: 1 put back",
        ]

    def test_it_can_be_undone(self, world: World, adsets: dict[str, list[str]]) -> None:
        """By a workflow too, campaign by campaign."""
        run_id = Workflow(world).run(OPEN)["run_id"]
        later(world, 60)

        answer = Workflow(world).run({**OPEN, "action": "undo", "run_id": run_id})

        assert states(world, adsets) == ["TX"] * 6
        assert answer["adsets_updated"] == 6
        assert world.sandbox.aws.mails[-1].subject.startswith("✓ undo: 6 put back")


@pytest.mark.usefixtures("adsets")
class TestOnce:
    """Whatever is delivered twice, started again or cut off."""

    def test_opened_twice_it_is_one_run(self, world: World) -> None:
        """The second workflow takes part in the first one's run, and finds less and less to do."""
        first, second = world.run(OPEN), world.run(OPEN)
        world.run(part(first["run_id"], "truckers"))

        assert second == first
        assert world.run(OPEN)["accounts"] == [["mortgage"], ["veterans"]]

    def test_two_workflows_change_nothing_twice_and_send_one_mail(self, world: World) -> None:
        """The second goes through the motions."""
        Workflow(world).run(OPEN)
        written = len(world.meta.writes)

        answer = Workflow(world).run(OPEN)

        assert (answer["has_ended"], answer["again_in_seconds"]) == (True, None)
        assert len(world.meta.writes) == written
        assert len(world.sandbox.aws.mails) == 1

    def test_what_is_too_long_ago_is_not_opened_again(self, world: World) -> None:
        """Its recheck would not find what it changes now."""
        world.run(OPEN)
        world.time.next_day()
        later(world, 1)

        with pytest.raises(EventError, match="scheduled: is more than a day ago"):
            world.run(OPEN)

    def test_another_request_for_the_same_time_is_another_run(self, world: World, adsets: dict[str, list[str]]) -> None:
        """A dry run at the time of the schedule does not take the place of the live one."""
        dry = Workflow(world).run(DRY)
        live = Workflow(world).run(OPEN)

        assert dry["run_id"] != live["run_id"]
        assert states(world, adsets) == ["FL GA"] * 6

    def test_a_campaign_that_is_over_is_not_worked_on_again(self, world: World) -> None:
        """Not even read, and the answer is the same."""
        run_id = world.run(OPEN)["run_id"]
        first = world.run(part(run_id))
        exchanges = len(world.meta.requests)

        assert world.run(part(run_id)) == first
        assert len(world.meta.requests) == exchanges

    def test_a_campaign_of_a_run_that_has_ended_is_left_alone(self, world: World) -> None:
        """A call that comes after the report would change what the report does not tell."""
        run_id = world.run(OPEN)["run_id"]
        with pytest.raises(SyncFailed):
            world.run(close(run_id))

        answer = world.run(part(run_id))

        assert answer["again_in_seconds"] is None
        assert world.meta.writes == []

    def test_a_campaign_that_another_run_has_is_waited_for(self, world: World) -> None:
        """Two runs never work on one campaign at a time, and a minute later the other may be over."""
        run_id = world.run(OPEN)["run_id"]
        until = world.time.clock.now() + timedelta(minutes=5)
        leases(world).acquire(["veterans"], EARLIER, until, Action.SYNC)

        assert world.run(part(run_id))["again_in_seconds"] == 60
        assert world.meta.requests == []

        later(world, 301)
        assert world.run(part(run_id))["adsets_updated"] == 2

    def test_two_invocations_of_one_run_are_two(self, world: World) -> None:
        """Step Functions gives up on a call that takes too long, which goes on all the same."""
        run_id = world.run(OPEN)["run_id"]
        until = world.time.clock.now() + timedelta(minutes=5)
        leases(world).acquire(["veterans"], run_id, until, Action.SYNC, "another")

        assert world.run(part(run_id))["again_in_seconds"] == 60

    def test_only_one_closes_it(self, world: World) -> None:
        """The other is told when to look whether the first has been retired, and takes over if it has not."""
        workflow = Workflow(world)
        run_id = workflow.call(OPEN)["run_id"]
        for slug in CAMPAIGNS:
            workflow.call(part(run_id, slug))
        runs(world).claim_end(run_id, world.time.clock.now() + timedelta(seconds=40), "another")

        answer = workflow.call(close(run_id))

        assert 40 <= answer["again_in_seconds"] <= 42
        assert world.sandbox.aws.mails == []
        assert workflow.call_until_done(close(run_id))["mail"] == "sent"


@pytest.mark.usefixtures("many")
class TestLeftOver:
    """What one invocation has no quota or time for."""

    def test_it_waits_outside_and_goes_on(self, world: World, many: list[str]) -> None:
        """Each call ends soon, says how long quota takes, and in the end every ad set is updated and told of once."""
        workflow = Workflow(world)

        answer = workflow.run(OPEN)

        assert [world.meta.states(adset) for adset in many] == [{"FL", "GA"}] * 8
        assert answer["adsets_updated"] == 8
        assert [wait for wait in workflow.waits if not 0 < wait <= 300] == []
        assert workflow.waits
        assert max(world.time.waits) <= QUOTA_PATIENCE_SECONDS
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("✓ 8 updated")
        assert kept(world, answer["run_id"])["success"] is True

    def test_after_some_hours_the_rest_is_left_to_the_next_run(self, world: World) -> None:
        """Else a day's run would run into the next one's."""
        run_id = world.run(OPEN)["run_id"]
        later(world, RESUMED_FOR.total_seconds() + 1)

        answer = world.run(part(run_id))

        assert answer["adsets_deferred"] > 0
        assert answer["again_in_seconds"] is None

    def test_a_campaign_that_could_not_be_read_for_want_of_quota_is_read_later(self, world: World) -> None:
        """It is a wait and no failure."""
        run_id = world.run(OPEN)["run_id"]
        world.meta.fail(faults.THROTTLED_ACCOUNT, times=6)

        first = world.run(part(run_id))

        assert first["again_in_seconds"] > 0
        answer = Workflow(world).run(OPEN)
        assert "failed" not in answer
        assert answer["adsets_updated"] == 8

    def test_max_adsets_is_no_reason_to_come_again(self, world: World) -> None:
        """It is a wish, not a want."""
        world.meta.add_account("act_111", None)
        world.put({"campaigns/veterans/limits/max_adsets": "2"})
        run_id = world.run(OPEN)["run_id"]

        answer = world.run(part(run_id))

        assert (answer["adsets_updated"], answer["adsets_deferred"]) == (2, 6)
        assert answer["again_in_seconds"] is None

    def test_max_adsets_counts_what_the_run_has_changed_before(self, world: World) -> None:
        """However many invocations it takes."""
        world.put({"campaigns/veterans/limits/max_adsets": "5"})

        answer = Workflow(world).run(OPEN)

        assert (answer["adsets_updated"], answer["adsets_deferred"]) == (5, 3)

    def test_also_a_change_of_it_that_is_still_open(self, world: World, many: list[str]) -> None:
        """Whatever becomes of it, its ad set has been changed."""
        world.put({"campaigns/veterans/limits/max_adsets": "5"})
        unread = many[0]

        def reads_it(call: Operation) -> bool:
            return call.method == "GET" and unread in call.path and bool(world.written_adsets())

        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=reads_it, times=None)

        answer = Workflow(world).run(OPEN)

        assert {change.before.id for change in ledger(world).open_changes("veterans")} == {unread}
        assert ("failed" in answer, len(set(world.written_adsets()))) == (True, 5)

    def test_what_breaks_while_the_run_waits_is_in_its_report(self, world: World) -> None:
        """The first invocation had nothing to change there, and a later one reads it again."""
        unchanged = world.adset("Unchanged", "FL GA")
        run_id = world.run(OPEN)["run_id"]
        wait = world.run(part(run_id))["again_in_seconds"]
        world.meta.meta_pauses(world.meta.ads_of(unchanged)[0].id, with_issue=True)
        later(world, wait)

        answer = Workflow(world).call_until_done(part(run_id))
        world.run(close(run_id))

        assert (answer["adsets_updated"], answer["adsets_skipped_preflight"]) == (8, 1)
        assert "Unchanged" in world.sandbox.aws.mails[-1].text

    def test_what_a_recheck_puts_back_while_the_run_waits_is_in_its_report(self, world: World, many: list[str]) -> None:
        """It had been updated by then, and is not updated any more."""
        run_id = world.run(OPEN)["run_id"]
        wait = world.run(part(run_id))["again_in_seconds"]
        world.meta.meta_breaks(world.meta.ads_of(many[0])[0].id)
        later(world, wait)
        world.run(RECHECK)
        assert world.meta.states(many[0]) == {"TX"}
        later(world, wait)

        answer = Workflow(world).call_until_done(part(run_id))
        world.run(close(run_id))

        assert (answer["adsets_updated"], answer["adsets_reverted"]) == (7, 1)
        assert world.meta.states(many[0]) == {"TX"}
        assert "7 updated" in world.sandbox.aws.mails[-1].subject

    def test_what_was_put_back_is_not_tried_again_in_the_same_run(self, world: World) -> None:
        """Once a run is enough: each try restarts its learning phase."""
        fragile = world.adset("Fragile", breakage=Breakage.stubborn())

        answer = Workflow(world).run(OPEN)

        assert (answer["adsets_updated"], answer["adsets_reverted"]) == (8, 1)
        writes = [operation for operation in world.meta.writes if operation.object_id == fragile]
        assert len(writes) == 2


class TestOneRun:
    """What holds for a run as a whole, however many invocations share it."""

    def test_two_in_a_row_that_had_to_be_put_back_stop_the_campaign(self, world: World) -> None:
        """Else on a day on which Meta breaks everything each ad set would have its turn, one an invocation."""
        world.campaign("FL GA")
        world.meta.add_account("act_111", "limited")
        for number in range(6):
            world.adset(f"Ad set {number}", ads=6, breakage=Breakage.stubborn())
        workflow = Workflow(world)

        answer = workflow.run(OPEN)

        assert len(workflow.waits) >= 1, "one at a time"
        assert "Stopped: 2 ad sets in a row" in answer["failed"]
        assert len(set(world.written_adsets())) == 2

    @pytest.mark.parametrize(("is_told", "held"), [(True, 1), (False, 0)], ids=["it came back", "it was cut off"])
    def test_what_an_earlier_call_had_put_back_counts(self, world: World, *, is_told: bool, held: int) -> None:
        """Unless the call was cut off: then that may be why."""
        world.campaign("FL GA", "veterans", [META_CAMPAIGNS["veterans"]])
        adsets = [world.adset(f"Ad set {number}", campaign=META_CAMPAIGNS["veterans"]) for number in range(3)]
        run_id = world.run(OPEN)["run_id"]
        runs(world).begin_campaign(run_id, "veterans")
        for adset in adsets[:2]:
            change = planned(world, adset, "FL GA", run_id=run_id, campaign=META_CAMPAIGNS["veterans"])
            recorded(world, change, ChangeState.ROLLED_BACK)
            later(world, 1)
        if is_told:
            seen = tuple(AdSetResult(adset, "Put back", Result.REVERTED) for adset in adsets[:2])
            report = SyncReport("veterans", "Veterans", dry_run=False, adsets=seen, again_in_seconds=60)
            runs(world).save_progress(run_id, CampaignProgress(report, GraphUsage(), is_over=False))

        answer = world.run(part(run_id))

        assert (answer["adsets_reverted"], answer["adsets_held"]) == (2, held)
        assert len(world.written_adsets()) == 1 - held

    def test_the_demand_is_that_of_its_first_invocation(self, world: World, many: list[str]) -> None:
        """Hours may lie between two of them, and half of the ad sets on other states is nobody's wish."""
        run_id = world.run(OPEN)["run_id"]
        later(world, world.run(part(run_id))["again_in_seconds"])
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"NY": 5}

        Workflow(world).run(OPEN)

        assert [world.meta.states(adset) for adset in many] == [{"FL", "GA"}] * 8

    def test_what_was_unclear_and_is_well_is_told_as_well(self, world: World) -> None:
        """The report comes at the end, so it tells how it ended."""
        world.campaign("FL GA", "veterans", [META_CAMPAIGNS["veterans"]])
        unclear = world.adset("Unclear", campaign=META_CAMPAIGNS["veterans"])
        run_id = world.run(OPEN)["run_id"]
        runs(world).begin_campaign(run_id, "veterans")
        cut_off(world, run_id, unclear, "written")
        seen = AdSetResult(unclear, "Unclear", Result.UNVERIFIED)
        report = SyncReport("veterans", "Veterans", dry_run=False, adsets=(seen,), again_in_seconds=60)
        runs(world).save_progress(run_id, CampaignProgress(report, GraphUsage(), is_over=False))

        answer = world.run(part(run_id))

        assert (answer["adsets_updated"], answer["adsets_failed"]) == (1, 0)

    def test_a_wait_that_outlasts_the_run_is_not_waited(self, world: World, many: list[str]) -> None:
        """One throttled account would else cost all others their report."""
        run_id = world.run(OPEN)["run_id"]
        later(world, RESUMED_FOR.total_seconds() - 30)

        answer = world.run(part(run_id))

        assert answer["adsets_deferred"] > 0
        assert answer["again_in_seconds"] is None
        assert many

    def test_what_came_to_no_end_is_told_of(self, world: World, many: list[str]) -> None:
        """A campaign with a call that is still to come is not one that went well."""
        run_id = world.run(OPEN)["run_id"]
        assert world.run(part(run_id))["again_in_seconds"] is not None

        with pytest.raises(SyncFailed, match="Nothing is known"):
            world.run(close(run_id))
        assert many


@pytest.mark.usefixtures("adsets")
class TestTrouble:
    """What fails."""

    def test_a_call_that_always_dies_is_given_up(self, world: World) -> None:
        """The others' report waits for it."""
        run_id = world.run(OPEN)["run_id"]
        for _ in range(MAX_TRIES):
            runs(world).begin_campaign(run_id, "veterans")

        assert world.run(part(run_id))["again_in_seconds"] is None
        assert world.meta.requests == []
        with pytest.raises(SyncFailed, match="Veterans: Nothing is known"):
            world.run(close(run_id))

    def test_a_campaign_that_is_never_free_is_given_up(self, world: World) -> None:
        """After as long as the run goes on."""
        run_id = world.run(OPEN)["run_id"]
        later(world, RESUMED_FOR.total_seconds())
        until = world.time.clock.now() + timedelta(minutes=5)
        leases(world).acquire(["veterans"], EARLIER, until, Action.SYNC)

        assert world.run(part(run_id))["again_in_seconds"] is None

    def test_nobody_closes_while_a_call_is_at_work(self, world: World) -> None:
        """What it does would be in no report."""
        run_id = world.run(OPEN)["run_id"]
        until = world.time.clock.now() + timedelta(minutes=5)
        leases(world).acquire(["veterans"], run_id, until, Action.SYNC, "another")

        assert world.run(close(run_id))["again_in_seconds"] == 60
        assert world.sandbox.aws.mails == []

    def test_a_close_that_always_dies_is_given_up(self, world: World) -> None:
        """It may die after the mail, and nobody needs the same one for ever."""
        workflow = Workflow(world)
        run_id = workflow.call(OPEN)["run_id"]
        for number in range(MAX_TRIES):
            runs(world).claim_end(run_id, world.time.clock.now(), f"number {number}")
            later(world, 1)

        with pytest.raises(ClosradsError, match=f"history --run {run_id}"):
            workflow.call(close(run_id))
        assert world.sandbox.aws.mails == []

    def test_what_a_recheck_had_put_back_when_it_was_cut_off_is_told(
        self, world: World, adsets: dict[str, list[str]]
    ) -> None:
        """The change it put back is an earlier run's."""
        sick = adsets["veterans"][0]
        for ad in world.meta.ads_of(sick):
            ad.breakage = Breakage.late(600)
        workflow = Workflow(world)
        workflow.run(OPEN)
        later(world, 1800)
        run_id = world.run(workflow.answers[0]["recheck"])["run_id"]
        world.sandbox.aws.fail("dynamodb", "PutItem", "InternalServerError", 500, skip=1)
        with pytest.raises(LedgerError):
            world.run(part(run_id))
        assert world.meta.states(sick) == {"TX"}

        answer = world.run(part(run_id))

        assert answer["adsets_reverted"] == 1

    def test_an_undo_names_its_run(self, world: World) -> None:
        """Else each campaign would undo whatever came last when its turn comes."""
        with pytest.raises(EventError, match="run_id: must name the run to undo"):
            world.run({**OPEN, "action": "undo"})

    def test_one_campaigns_failure_stops_no_other(
        self, world: World, adsets: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is in the report and in the error at the end; the next campaign of its ad account has its turn."""
        world.sandbox.closrtech.demand["VND_TRUCKERS_LEADS"] = {"FL": 0}

        answer = Workflow(world).run(OPEN)

        assert states(world, adsets) == ["FL GA", "FL GA", "TX", "TX", "FL GA", "FL GA"]
        assert answer["failed"].startswith("Truckers: ")
        (mail,) = world.sandbox.aws.mails
        assert "✗" in mail.subject
        (closed,) = (line for line in capsys.readouterr().out.splitlines() if '"RunFailed"' in line)
        assert metric(closed, "RunSucceeded") == metric(closed, "RunFailed") == 1, "it failed, and it is not silent"
        assert kept(world, answer["run_id"])["success"] is False

    def test_each_call_tells_of_metas_warning_of_the_end_of_its_api(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The one that closes the run asks Meta nothing; it tells what the calendar says."""
        run_id = world.run(OPEN)["run_id"]
        capsys.readouterr()
        world.meta.version_warning = "The call has been auto-upgraded to v27.0"

        world.run(part(run_id))

        assert metric(capsys.readouterr().out, "DaysUntilApiVersionEnds") == 0

    def test_a_call_that_never_came_back_is_told_of(self, world: World) -> None:
        """The report does not pass over a campaign of which nothing is known."""
        run_id = world.run(OPEN)["run_id"]
        world.run(part(run_id, "mortgage"))
        world.run(part(run_id, "truckers"))

        with pytest.raises(SyncFailed, match="Veterans: Nothing is known"):
            world.run(close(run_id))

        (mail,) = world.sandbox.aws.mails
        assert NO_RESULT.split(":")[0] in mail.text

    def test_what_a_call_that_was_cut_off_had_done_is_told_as_done(
        self, world: World, adsets: dict[str, list[str]]
    ) -> None:
        """By the call that goes on after it: the ledger knows what it changed."""
        answer = world.run(part(half_done(world, *adsets["veterans"])))

        assert answer["adsets_updated"] == 2
        assert [world.meta.states(adset) for adset in adsets["veterans"]] == [{"FL", "GA"}] * 2

    @pytest.mark.parametrize("switch", [{"paused": "true"}, {"campaigns/veterans/enabled": "false"}])
    def test_also_if_everything_or_the_campaign_is_off_by_then(
        self, world: World, adsets: dict[str, list[str]], switch: dict[str, Any]
    ) -> None:
        """What one of its ads suffered is told as well."""
        done, begun = adsets["veterans"]
        run_id = half_done(world, done, begun)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        world.meta.meta_pauses(world.meta.ads_of(begun)[0].id, with_issue=False)
        world.put(switch)

        answer = world.run(part(run_id))
        for slug in ("truckers", "mortgage"):
            world.run(part(run_id, slug))
        world.run({"step": "close", "run_id": run_id})

        assert answer["adsets_updated"] == 2
        assert "1 ad needs you" in world.sandbox.aws.mails[-1].subject

    def test_what_meta_had_refused_is_tried_again(self, world: World, adsets: dict[str, list[str]]) -> None:
        """Nothing was changed then, so there is nothing to tell, and it may go well now."""
        run_id = world.run(OPEN)["run_id"]
        runs(world).begin_campaign(run_id, "veterans")
        refused = planned(world, adsets["veterans"][0], "FL GA", run_id=run_id, campaign=META_CAMPAIGNS["veterans"])
        recorded(world, refused, ChangeState.NOT_WRITTEN)

        assert world.run(part(run_id))["adsets_updated"] == 2

    def test_what_an_earlier_run_had_left_open_is_recovered_and_told(
        self, world: World, adsets: dict[str, list[str]]
    ) -> None:
        """As in a run of one invocation, also if the call after it is the one that ends the campaign."""
        cut_off(world, EARLIER, adsets["veterans"][0], "written")

        Workflow(world).run(OPEN)

        (mail,) = world.sandbox.aws.mails
        assert "1 finished for an earlier run" in mail.subject

    def test_a_campaign_that_was_switched_off_meanwhile_is_left_alone(self, world: World) -> None:
        """Whoever switches it off wants it to stop."""
        run_id = world.run(OPEN)["run_id"]
        world.put({"campaigns/veterans/enabled": "false"})

        assert world.run(part(run_id))["again_in_seconds"] is None

        assert world.meta.requests == []
        Workflow(world).run(OPEN)
        (mail,) = world.sandbox.aws.mails
        assert "Veterans has been off in CLOSRADS since 4 May" in mail.text

    def test_a_campaign_that_was_taken_away_meanwhile_is_an_error(self, world: World) -> None:
        """Nobody can tell whether that was meant."""
        run_id = world.run(OPEN)["run_id"]
        names = ("closrtech_campaign", "fb_ad_account_id", "fb_campaign_ids")
        world.sandbox.aws.delete_parameters(*(f"campaigns/veterans/{name}" for name in names))

        world.run(part(run_id))

        assert world.meta.requests == []
        with pytest.raises(SyncFailed, match="Veterans: Its parameters were taken away since the run was opened"):
            world.run(close(run_id))

    def test_what_was_done_before_it_was_switched_off_is_told(self, world: World, adsets: dict[str, list[str]]) -> None:
        """It was done, whoever stopped the rest."""
        run_id = world.run(OPEN)["run_id"]
        done = AdSetResult(adsets["veterans"][0], "Completed", Result.UPDATED, ("FL",))
        report = SyncReport("veterans", "Veterans", dry_run=False, adsets=(done,), again_in_seconds=60)
        runs(world).save_progress(run_id, CampaignProgress(report, GraphUsage(), is_over=False))
        world.put({"campaigns/veterans/enabled": "false"})

        answer = world.run(part(run_id))

        assert (answer["adsets_updated"], answer["again_in_seconds"]) == (1, None)

    def test_a_rollback_that_failed_rings_at_once_and_once(
        self, world: World, adsets: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The report may come hours later."""
        run_id = world.run(OPEN)["run_id"]
        for ad in world.meta.ads_of(adsets["veterans"][0]):
            ad.breakage = Breakage.stubborn()
        world.meta.fail(
            faults.PASSWORD_CHANGED, on=lambda _: world.meta.states(adsets["veterans"][0]) != {"TX"}, times=None
        )
        capsys.readouterr()

        world.run(part(run_id))
        at_once = metric(capsys.readouterr().out, "RollbackFailed")
        with pytest.raises(SyncFailed):
            world.run(close(run_id))

        assert at_once == 1
        assert metric(capsys.readouterr().out, "RollbackFailed") == 0

    def test_without_a_ledger_it_cannot_be_opened(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not even a dry run: what the invocations say to each other stands there."""
        world.campaign("FL")
        monkeypatch.setenv("CLOSRADS_LEDGER_TABLE", "")

        with pytest.raises(ConfigError, match="CLOSRADS_LEDGER_TABLE"):
            world.run({"step": "open"})


@pytest.mark.usefixtures("adsets")
class TestEvents:
    """What the steps refuse."""

    @pytest.mark.parametrize(
        ("event", "problem"),
        [
            ({"step": "begin"}, "step: must be one of open, part, close"),
            ({"step": "part"}, "run_id: must be the id"),
            ({"step": "part", "run_id": "x"}, "campaigns: must be a list of one campaign"),
            ({"step": "part", "run_id": "x", "campaigns": ["a", "b"]}, "campaigns: must be a list of one campaign"),
            (
                {"step": "part", "run_id": "x", "campaigns": ["a"], "dry_run": False},
                "dry_run: belongs to the step open",
            ),
            ({"step": "close", "run_id": ""}, "run_id: must be the id"),
            ({"step": "close", "run_id": "x", "campaigns": ["a"]}, "campaigns: belongs to the step open"),
            ({"step": "close", "run_id": "nobody's"}, "the ledger knows no run nobody's"),
        ],
    )
    def test_what_makes_no_sense(self, world: World, event: dict[str, Any], problem: str) -> None:
        """Each with what would."""
        with only_reads(world), pytest.raises(EventError, match=problem):
            world.run(event)

    def test_a_campaign_of_another_run(self, world: World) -> None:
        """The run decides which campaigns it is for."""
        run_id = world.run({**OPEN, "campaigns": ["veterans"]})["run_id"]

        with pytest.raises(EventError, match=f"'truckers' is none of run {run_id}"):
            world.run(part(run_id, "truckers"))

    def test_a_run_of_one_invocation_has_no_parts(self, world: World) -> None:
        """Its campaigns are done, or another run's business."""
        run_id = world.run(LIVE)["run_id"]

        with pytest.raises(EventError, match=f"knows no run {run_id} that was opened"):
            world.run(close(run_id))


def cut_off(world: World, run_id: str, adset: str, state: str) -> None:
    """Leave an ad set's change as an invocation leaves it that was cut off when its change was in this state."""
    left_behind(world, adset, ChangeState(state), run_id=run_id, states="FL GA", campaign=META_CAMPAIGNS["veterans"])


def half_done(world: World, done: str, begun: str) -> str:
    """Return a run whose only call was cut off when it had changed one ad set and written another."""
    run_id: str = world.run(OPEN)["run_id"]
    runs(world).begin_campaign(run_id, "veterans")
    cut_off(world, run_id, done, "verified")
    cut_off(world, run_id, begun, "written")
    return run_id


class TestStartedTwice:
    """Two executions of the workflow for the same scheduled time, one always a step behind the other."""

    def test_a_recheck_without_news_that_the_other_has_closed(self, world: World, adsets: dict[str, list[str]]) -> None:
        """The other is through with it: there is nothing left to do, and nothing has failed."""
        Workflow(world).run(OPEN)
        event = Workflow(world).call(OPEN)["recheck"]
        one, other = Workflow(world), Workflow(world)
        run_id = one.call(event)["run_id"]
        assert other.call(event)["run_id"] == run_id
        assert one.run(event)["has_ended"]

        for slug in adsets:
            assert other.call(part(run_id, slug))["again_in_seconds"] is None
        closed = other.call(close(run_id))

        assert (closed["has_ended"], closed["again_in_seconds"]) == (True, None)
        assert len(world.sandbox.aws.mails) == 1
        assert other.call(event) == {**one.answers[0], "has_ended": True, "accounts": []}
        assert run_id not in [run.run_id for run in runs(world).newest()], "there are many, and nobody looks for them"

    @pytest.mark.usefixtures("adsets")
    def test_it_is_closed_by_one_while_the_other_ends_the_last_campaign(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the other has saved between two looks counts: nothing is reported as unknown."""
        run_id = world.run(OPEN)["run_id"]
        world.run(part(run_id, "mortgage"))
        world.run(part(run_id, "truckers"))
        is_held = Leases.is_held

        def end_before_the_look(self: Leases, slug: str, run_id: str) -> bool:
            world.run(part(run_id, slug))
            return is_held(self, slug, run_id)

        monkeypatch.setattr(Leases, "is_held", end_before_the_look)

        assert world.run(close(run_id))["campaigns_failed"] == 0

    @pytest.mark.usefixtures("adsets")
    def test_a_lease_whose_answer_was_lost_is_given_back(self, world: World) -> None:
        """Else the next invocation would wait a quarter of an hour for one that has failed."""
        run_id = world.run(OPEN)["run_id"]
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", DROPPED, applied=True)
        with pytest.raises(LedgerError):
            world.run(part(run_id))

        assert world.run(part(run_id))["adsets_updated"] == 2
