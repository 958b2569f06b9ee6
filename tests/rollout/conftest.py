"""The ad set of tests on one change."""

import pytest

from sandbox.meta import Breakage
from tests.world import World


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set whose every link has to be confirmed after a write, within an hour."""
    world.campaign("FL")
    world.meta.accounts["act_111"].default_breakage = lambda _: Breakage.lost_link(3600)
    return world.adset("Broad")
