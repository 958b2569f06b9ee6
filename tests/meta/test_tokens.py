"""What Meta says of an access token."""

from typing import Any

import pytest

from closrads.meta.tokens import read_app_id
from sandbox import faults
from tests.world import World


@pytest.mark.parametrize("app_id", [None, ["1"]])
def test_an_app_may_stay_unknown(world: World, app_id: Any) -> None:
    """Meta refuses, or says nothing that can be used."""
    world.meta.fail(faults.answer({"data": {"app_id": app_id}}), on="GET debug_token")
    assert read_app_id(world.api()) == ""
    world.meta.fail(faults.PERMISSION_MISSING, on="GET debug_token")
    assert read_app_id(world.api()) == ""
