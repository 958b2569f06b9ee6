"""An ad account that delivers nothing, although its ad sets and ads go on to look active."""

from typing import Any

import pytest

from sandbox.meta import faults
from tests.ledger_world import RECHECK, later, result_of
from tests.world import LIVE, World

BILLS = "No ad of the ad account act_111 runs: Meta says that it has unpaid bills"


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set in today's states, whose ad account had unpaid bills when a recheck looked."""
    world.campaign("FL")
    adset = world.adset(states="FL")
    world.meta.accounts["act_111"].status = 3
    assert result_of(world, RECHECK)["success"]
    later(world, 1800)
    world.sandbox.aws.mails.clear()
    return adset


@pytest.mark.parametrize("wanted", ["FL", "FL GA"], ids=["a quiet day", "a change day"])
def test_no_ad_is_said_to_run(world: World, adset: str, wanted: str) -> None:
    """Who can settle it is told, and nothing is changed meanwhile."""
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = dict.fromkeys(wanted.split(), 5)

    result = result_of(world, LIVE)

    assert not result["success"]
    assert BILLS in result["campaigns"][0]["errors"][0]
    assert (world.meta.states(adset), world.meta.writes) == ({"FL"}, [])
    (mail,) = world.sandbox.aws.mails
    assert mail.subject.startswith("✗ Veterans failed")
    assert "Open Ads Manager: Meta shows at the top what it wants." in mail.text


@pytest.mark.parametrize("status", [1, 9])
@pytest.mark.usefixtures("adset")
def test_once_it_is_settled_the_next_run_goes_on(world: World, status: int) -> None:
    """Meta is asked anew, and only because a recheck has found it so."""
    world.meta.accounts["act_111"].status = status
    world.meta.requests.clear()

    assert result_of(world, LIVE)["success"]

    assert [call.kind for call in world.meta.operations].count("account") == 1
    world.time.next_day()
    result_of(world, RECHECK)
    world.meta.requests.clear()
    result_of(world, LIVE)
    assert "account" not in {call.kind for call in world.meta.operations}


NO_WORD = [
    faults.PERMISSION_MISSING,
    faults.answer({"id": "act_111"}),
    faults.answer({"id": "1", "account_status": {}}),
]


@pytest.mark.parametrize("trouble", NO_WORD)
@pytest.mark.usefixtures("adset")
def test_what_meta_does_not_say_keeps_nobody_from_anything(world: World, trouble: Any) -> None:
    """The run goes on as on any other day."""
    world.meta.fail(trouble, on="GET account")

    assert result_of(world, LIVE)["success"]


@pytest.mark.usefixtures("adset")
def test_it_is_looked_for_once_a_day(world: World) -> None:
    """With the token; what was found is kept by the rechecks of the rest of the day."""
    world.meta.requests.clear()

    result_of(world, RECHECK)

    assert world.meta.operations == []
    assert BILLS in result_of(world, LIVE)["campaigns"][0]["errors"][0]


@pytest.mark.parametrize("trouble", NO_WORD)
@pytest.mark.usefixtures("adset")
def test_a_recheck_that_gets_no_word_forgets_nothing(world: World, trouble: Any) -> None:
    """The next run asks for itself."""
    world.time.next_day()
    world.meta.fail(trouble, on="GET account")
    result_of(world, RECHECK)

    assert BILLS in result_of(world, LIVE)["campaigns"][0]["errors"][0]
