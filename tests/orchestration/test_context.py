"""What the campaigns of a run share."""

from zoneinfo import ZoneInfo

import pytest

from closrads.clock import Clock
from closrads.domain.changes import PreviousOutcomes
from closrads.domain.plan_id import PlannedChange
from closrads.domain.request import Action, RunRequest
from closrads.domain.settings import CampaignConfig, ClosrtechLogin, Settings
from closrads.ledger.dynamodb import Table
from closrads.orchestration.context import CampaignContext, Run
from closrads.redaction import Secret
from closrads.rollout.job import Job
from tests.world import World

SECRET = Secret("fake-token")
VETS = CampaignConfig("Vets", "vets", "VND_VETERANS_LEADS", SECRET, "act_111", ("900",))
SETTINGS = Settings(
    "dev", "https://meta.test", ZoneInfo("UTC"), dry_run=True, closrtech=ClosrtechLogin("", SECRET, SECRET),
    app_secret=None, campaigns=(VETS,), email=None,
)  # fmt: skip


@pytest.fixture
def run() -> Run:
    """Return a dry run without a ledger."""
    clock = Clock()
    return Run("run", RunRequest(Action.SYNC, dry_run=True), SETTINGS, clock, Table("", clock), clock.now())


def test_campaigns_of_one_ad_account_share_its_quota(run: Run) -> None:
    """Meta counts by ad account."""
    assert run.quota("act_111") is run.quota("act_111")
    assert run.quota("act_111") is not run.quota("act_222")


def test_the_plan_is_the_same_in_whatever_order_campaigns_are_planned(run: Run) -> None:
    """They are planned at once, and the plan's id must not depend on which is first."""
    vets, trucks = (PlannedChange(slug, "1", "Broad", frozenset(), frozenset({"3852"})) for slug in ("vets", "trucks"))

    run.planned["vets"] = (vets,)
    run.planned["trucks"] = (trucks,)

    assert run.plan.changes == (trucks, vets)


def test_a_new_report_knows_only_its_campaign(run: Run) -> None:
    """Also the ad account, by which drift is looked up."""
    report = run.new_report(VETS)

    assert (report.slug, report.campaign_name, report.fb_ad_account_id) == ("vets", "Vets", "act_111")
    assert (report.dry_run, report.adsets, report.errors) == (True, (), ())


def test_without_a_ledger_nothing_is_known_of_earlier_runs(run: Run, world: World) -> None:
    """A dry run asks for no table that is not there."""
    job = Job("vets", "run", Action.SYNC, world.api(), run.ledger, 3.0, lambda: None)

    assert CampaignContext(VETS, run, job).previous_outcomes() == PreviousOutcomes({})
