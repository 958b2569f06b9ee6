"""An ad that is off, and nobody knows why, is not called healthy in any sentence of a mail."""

import pytest

from closrads.domain.changes import ChangeState
from sandbox.meta import Operation
from tests.ledger_world import RECHECK, becomes_of, left_behind, result_of
from tests.world import LIVE, World


def test_in_a_run(world: World) -> None:
    """It is put back as before, and the other ads are well."""
    world.campaign("FL")
    adset = world.adset("Broad")
    pause_silently(world, adset, at="GET ads", skip=1)

    assert becomes_of(world, LIVE) == {"Broad": "reverted"}

    text = world.sandbox.aws.mails[-1].text
    assert "The states from before are back, and all other ads are healthy." in text
    assert "the ads are healthy" not in text


@pytest.mark.parametrize(
    ("shows", "said"),
    [
        ("as wanted", "was finished, and its other ads are healthy"),
        ("as before", "was put back as before, and its other ads are healthy"),
    ],
)
def test_in_a_recovery(world: World, shows: str, said: str) -> None:
    """What another run has left is brought to its end."""
    world.campaign("FL")
    adset = world.adset("Broad")
    left_behind(world, adset, ChangeState.PREPARED, shows)
    pause_silently(world, adset, at="GET ads", skip=0)

    assert result_of(world, RECHECK)["success"]

    text = world.sandbox.aws.mails[-1].text
    assert said in text
    assert "its ads are healthy" not in text.partition("--- Details")[0]


def pause_silently(world: World, adset: str, *, at: str, skip: int) -> None:
    """Have one ad be off from such a read on, of which the activity log says nothing."""
    calls = iter(range(1000))

    def watch(operation: Operation) -> None:
        if f"{operation.method} {operation.kind}" == at and next(calls) == skip:
            world.meta.on_request = None
            world.meta.ads_of(adset)[0].status = "PAUSED"

    world.meta.on_request = watch


def test_one_ad_is_one_ad(world: World) -> None:
    """A recheck that finds it off counts it once."""
    world.campaign("FL")
    adset = world.adset("Broad")
    assert becomes_of(world, LIVE) == {"Broad": "updated"}
    world.meta.ads_of(adset)[0].status = "PAUSED"

    assert becomes_of(world, RECHECK) == {"Broad": "unchanged"}

    mail = world.sandbox.aws.mails[-1]
    assert "1 ad needs you" in mail.subject
    assert mail.text.count("Broad: ad 1 in Broad (Veterans)") == 1
