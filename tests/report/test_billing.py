"""What the mail says of ads that Meta does not run for want of billing details (Marketing API reference "Ad")."""

import pytest

from tests.ledger_world import becomes_of
from tests.world import LIVE, World


@pytest.mark.parametrize(("states", "result"), [("FL", "unchanged"), ("TX", "updated")])
def test_who_must_act_is_told(world: World, states: str, result: str) -> None:
    """The ad set follows the demand, and its running is not taken for granted."""
    world.campaign("FL")
    adset = world.adset("Broad", states)
    one, _ = world.meta.ads_of(adset)
    one.effective_status = "PENDING_BILLING_INFO"

    assert becomes_of(world, LIVE) == {"Broad": result}

    assert world.meta.states(adset) == {"FL"}
    mail = world.sandbox.aws.mails[-1]
    assert "1 ad needs you: Broad: ad 1 (Veterans) does not run, because Meta waits for billing details." in mail.text
    assert "NOT RUNNING: BILLING" in mail.text
    assert "Nothing to do" not in mail.text


def test_an_ad_that_is_off_needs_no_billing(world: World) -> None:
    """Nobody is sent to pay for it."""
    world.campaign("FL")
    one, _ = world.meta.ads_of(world.adset("Broad", "FL"))
    world.meta.person_pauses(one.id)
    one.effective_status = "PENDING_BILLING_INFO"

    assert becomes_of(world, LIVE) == {"Broad": "unchanged"}

    assert "Nothing to do" in world.sandbox.aws.mails[-1].text
