"""A defect in one ad set's step stays with that ad set, and leaves none of them unprotected."""

from dataclasses import replace
from io import StringIO
from types import ModuleType
from typing import Any

import pytest

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.facebook_client import rollback_geo
from closrads.rollout import forward, steps
from closrads.rollout.recording import record
from closrads.rollout.rollback import roll_back
from tests.ledger_world import EARLIER, recorded_state
from tests.log_lines import logged
from tests.rollout.change_world import assert_well, begun, go, job
from tests.world import World

S, R = ChangeState, RollbackReason


class TestGuards:
    """A mistake of this package in one ad set's step, forward and back."""

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize(
        ("module", "function"),
        [(forward, "update_adset_geo"), (steps, "republish_ads"), (steps, "verify_ads_after_republish")],
    )
    def test_forward(
        self, world: World, module: ModuleType, function: str, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others are verified; that one is put back, as far as it can be proven."""
        world.campaign("FL")
        adsets = [world.adset(name) for name in ("One", "Two", "Three")[:count]]
        right = getattr(module, function)
        is_back: list[bool] = []

        def stumble(api: Any, subject: Any, *args: Any, **more: Any) -> Any:
            concerned = [getattr(each, "id", each) for each in (subject if not hasattr(subject, "id") else [subject])]
            if adsets[1] in concerned and not is_back:
                is_back.extend([True] * (len(concerned) == 1))
                raise ZeroDivisionError("a defect")
            return right(api, subject, *args, **more)

        monkeypatch.setattr(module, function, stumble)

        done = go(world, *adsets)

        assert [run.state for run in done] == [S.VERIFIED, S.ROLLED_BACK, S.VERIFIED][:count]
        assert done[1].reason is R.DEFECT
        assert "Unexpected ZeroDivisionError" in " ".join(done[1].issues)
        assert [world.meta.states(each) for each in adsets] == [{"FL"}, {"TX"}, {"FL"}][:count]
        for each in adsets:
            assert_well(world, each)

    def test_back(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
        """Nobody knows how that rollback ended, and it says so; the other one is proven."""
        other = world.adset("Two")
        right = rollback_geo

        def stumble(api: Any, before: AdSetSnapshot, *args: Any, **more: Any) -> Any:
            if before.id == adset:
                raise ZeroDivisionError("a defect")
            return right(api, before, *args, **more)

        monkeypatch.setattr("closrads.rollout.rollback.rollback_geo", stumble)
        runs = [replace(run, state=S.WRITTEN).failed(R.ADS_BROKEN, "broken") for run in begun(world, adset, other)]

        done = roll_back(job(world), record(job(world), runs))

        assert [run.state for run in done] == [S.ROLLBACK_FAILED, S.ROLLED_BACK]
        assert "Its rollback did not end" in " ".join(done[0].issues)
        assert recorded_state(world, EARLIER, adset) == S.ROLLBACK_FAILED
        assert logged(log, "adset.rollback", "adset", "reasons") == [(adset, ["broken"]), (other, ["broken"])]
        assert logged(log, "adset.rollback_failed", "adset", "issues") == [(adset, [*done[0].issues])]
