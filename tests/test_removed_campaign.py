"""A campaign whose parameters were deleted while a change of it was open: no run can finish it, and none is silent."""

from datetime import timedelta
from io import StringIO
from typing import Any

import boto3
import pytest

from closrads import config
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import faults
from tests.ledger_world import EARLIER, ledger, left_behind, result_of, runs
from tests.world import LIVE, MORTGAGE_1, START, World

NAMES = ("closrtech_campaign", "fb_ad_account_id", "fb_campaign_ids")


def day(number: int) -> dict[str, Any]:
    """Return the event of the daily run so many days later."""
    return {**LIVE, "scheduled": (START + timedelta(days=number)).isoformat()}


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set whose rollback has failed, of a campaign that was removed since; another one is well."""
    world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
    world.adset("Rig", "FL", campaign=MORTGAGE_1)
    world.campaign("FL")
    adset = world.adset("Broad")
    world.meta.fail(faults.PERMISSION_MISSING, on="POST ad", times=None)
    assert not result_of(world, day(0))["success"]
    world.sandbox.aws.delete_parameters(*(f"campaigns/veterans/{name}" for name in NAMES))
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    world.time.next_day()
    return adset


def test_it_stands_in_each_daily_report(world: World, adset: str) -> None:
    """Until somebody has put the campaign back, or closed the change by hand."""
    for number in (1, 2, 3):
        result = result_of(world, day(number))

        (removed,) = (each for each in result["campaigns"] if each["slug"] == "veterans")
        assert (removed["success"], result["success"]) == (False, False)
        mail = world.sandbox.aws.mails[-1]
        assert "NOT RESTORED" in mail.subject
        assert "Veterans was removed from CLOSRADS with a change unfinished" in mail.text
        assert f"selected_adset_ids={adset}" in mail.text
        assert "its ads run as before" not in mail.text
        world.time.next_day()


@pytest.mark.parametrize("by_hand", [False, True], ids=["none at all", "one by hand"])
@pytest.mark.parametrize("days", [2, 5, 30])
def test_after_days_without_a_scheduled_run_too(world: World, adset: str, days: int, *, by_hand: bool) -> None:
    """The schedule may have been off, and the last report is longer ago than others are compared with."""
    if by_hand:
        world.run(LIVE)
    for _ in range(1, days):
        world.time.next_day()

    result = result_of(world, day(days))

    assert (result["success"], "NOT RESTORED" in world.sandbox.aws.mails[-1].subject) == (False, True)
    assert f"selected_adset_ids={adset}" in world.sandbox.aws.mails[-1].text


def test_also_if_no_run_with_it_has_ended(world: World) -> None:
    """A run that died has left its change open, and no report; its record names its campaigns."""
    world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
    world.adset("Rig", "FL", campaign=MORTGAGE_1)
    world.campaign("FL")
    adset = world.adset("Broad")
    runs(world).begin(EARLIER, Action.SYNC, ["truckers", "veterans"], START - timedelta(days=1))
    left_behind(world, adset, ChangeState.WRITTEN)
    world.sandbox.aws.delete_parameters(*(f"campaigns/veterans/{name}" for name in NAMES))
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

    result = result_of(world, day(0))

    assert [(each["slug"], each["success"]) for each in result["campaigns"]] == [
        ("truckers", True),
        ("veterans", False),
    ]
    assert "removed from CLOSRADS with a change unfinished" in world.sandbox.aws.mails[-1].text


def test_once_it_is_closed_no_more_is_said(world: World, adset: str) -> None:
    """As the runbook says how."""
    (change,) = ledger(world).open_changes("veterans")
    key = {"pk": {"S": "CAMPAIGN#veterans"}, "sk": {"S": f"CHANGE#{change.run_id}#{adset}"}}
    boto3.client("dynamodb").delete_item(TableName=LEDGER_TABLE, Key=key)

    result = result_of(world, day(1))

    assert [each["slug"] for each in result["campaigns"]] == ["truckers"]
    assert result["success"]


def test_a_ledger_that_cannot_tell_is_no_failure(world: World, adset: str, log: StringIO) -> None:
    """The report leaves nevertheless."""
    assert adset
    world.sandbox.aws.fail("dynamodb", "GetItem", "InternalServerError", times=None, skip=1)

    result = result_of(world, day(1))

    assert ([each["slug"] for each in result["campaigns"]], result["mail"]) == (["truckers"], "sent")
    assert "ledger.runs_unread" in log.getvalue()
