"""What becomes of the decisions on a campaign's ad sets, and what its report says of them."""

import json
from dataclasses import replace

import pytest

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.plan import Decision
from closrads.domain.sync_report import SyncReport
from closrads.errors import SyncFailed
from closrads.orchestration.context import Completed
from closrads.orchestration.execution import delay, with_results
from sandbox.meta import faults
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import becomes_of, ledger
from tests.world import LIVE, VETERANS, World


def decision(adset_id: str, meta_campaign: str = "900", result: Result = Result.UPDATED) -> Decision:
    """Return what is to happen to an ad set."""
    return Decision(AdSetSnapshot(adset_id, f"Ad set {adset_id}", meta_campaign, "ACTIVE", {}), result, ())


class TestResults:
    """The ad sets in the report."""

    def test_each_stands_in_it_once(self) -> None:
        """With what earlier invocations have completed, else with its result, else with what was decided."""
        decisions = [decision(each) for each in "123"]
        before, now = (replace(decisions[0].to_result(), result=each) for each in (Result.REVERTED, Result.FAILED))
        results = {"1": now, "2": replace(now, id="2")}

        report = with_results(SyncReport("vets", "Vets", dry_run=False), Completed({"1": before}), decisions, results)

        found = {adset.id: adset.result for adset in report.adsets}
        assert found == {"1": Result.REVERTED, "2": Result.FAILED, "3": Result.UPDATED}
        assert len(report.adsets) == 3

    def test_those_of_a_meta_campaign_stand_together(self) -> None:
        """In whatever order they were changed."""
        decisions = [decision("3", "901"), decision("2", "900"), decision("1", "901")]
        done = Completed({"4": AdSetResult("4", "Ad set 4", Result.UPDATED, meta_campaign_id="900")})

        report = with_results(SyncReport("vets", "Vets", dry_run=False), done, decisions, {})

        assert [adset.id for adset in report.adsets] == ["2", "4", "1", "3"]


class TestValidation:
    """A dry run may have Meta judge its changes."""

    def test_validate_lets_meta_judge_and_changes_nothing(self, world: World) -> None:
        """Each change is sent for validation; a refusal is reported as the failure it would be."""
        world.campaign("FL")
        good, bad = world.adset("Good"), world.adset("Bad")
        world.meta.fail(faults.INTEREST_RETIRED, on=lambda operation: operation.object_id == bad)

        with pytest.raises(SyncFailed, match="Bad"):
            world.run({"validate": True})

        assert world.meta.writes == []
        assert {world.meta.states(adset) == {"TX"} for adset in (good, bad)} == {True}
        posts = [operation for operation in world.meta.operations if operation.method == "POST"]
        assert all(json.loads(operation.params["execution_options"]) == ["validate_only"] for operation in posts)
        assert "Good" in world.sandbox.aws.mails[-1].text


class TestDeferred:
    """What time or quota do not suffice for."""

    def test_a_throttle_that_lasts_defers_the_rest(self, world: World) -> None:
        """Quota that does not come back in time is no error: nothing is half done, the next run goes on."""
        world.campaign("FL")
        world.adset("One")
        world.adset("Two")
        world.meta.fail(faults.throttled_use_case(minutes=60), on="POST adset", times=None)

        assert becomes_of(world, LIVE) == {"One": "deferred", "Two": "deferred"}
        assert world.meta.writes == []
        assert world.time.waits == []

    def test_one_that_never_fits_into_the_quota_does_not_hide_when_to_go_on(self, world: World) -> None:
        """It was not reached, for another came first and had to wait: that one is gone on with after the wait."""
        world.campaign("FL")
        world.meta.add_account("act_111", "limited")
        world.adset("Never", ads=10)
        ledger(world).record_deferred("veterans", [world.adset("First")])
        world.meta.spend("act_111", 50)
        workflow = Workflow(world)

        workflow.run(OPEN)

        assert workflow.waits == [300]
        assert world.meta.states(world.meta.campaigns[VETERANS].adsets[1].id) == {"FL"}

    @pytest.mark.parametrize(("stated", "seconds"), [(None, 60), (0.0, 60), (0.2, 1), (300.0, 300)])
    def test_it_is_gone_on_with_after_whole_seconds(self, stated: float | None, seconds: int) -> None:
        """A minute, if nothing says how long to wait."""
        assert delay(stated) == seconds
