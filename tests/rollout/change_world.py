"""Builders of changes in every state, and ways to take them to their end with Meta and the ledger."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.request import Action
from closrads.errors import MetaInvalidError
from closrads.facebook_client import RepublishFailure
from closrads.rollout.change_run import ChangeRun, begin
from closrads.rollout.forward import carry_through, write
from closrads.rollout.job import Job
from sandbox.meta import Operation
from sandbox.meta.post_processing import is_truly_healthy
from tests.ledger_world import EARLIER, ledger, planned, recorded
from tests.world import START, World

WAIT = 3.0
TEXAS, FLORIDA, GEORGIA = "3886", "3852", "3853"
ONE, TWO = Ad("601", "One", "ACTIVE", "ACTIVE"), Ad("602", "Two", "ACTIVE", "ACTIVE")
FAILURE = RepublishFailure(ONE, MetaInvalidError("Meta refuses it"))


def targeting(*keys: str) -> dict[str, Any]:
    """Return a targeting of these regions."""
    return {"geo_locations": {"regions": [{"key": key} for key in keys]}}


def run_in(state: ChangeState, *keys: str, **more: Any) -> ChangeRun:
    """Return a change from Texas to Florida in a state, whose ad set was last seen with these regions."""
    before = AdSetSnapshot("501", "Broad", "900", "ACTIVE", targeting(TEXAS), (ONE, TWO))
    change = Change("veterans", EARLIER, Action.SYNC, before, targeting(FLORIDA), state, START, START)
    now = replace(before, targeting=targeting(*keys))
    return replace(begin(change, now), **({"confirmed": frozenset({"601", "602"})} | more))


def found(health: AdHealth) -> tuple[AdFinding, ...]:
    """Return that one ad does so, and the other one well."""
    return AdFinding(ONE, health, "why"), AdFinding(TWO, AdHealth.HEALTHY)


def job(world: World) -> Job:
    """Return a job on the veterans."""
    return Job("veterans", EARLIER, Action.SYNC, world.api(), ledger(world), WAIT, lambda: None)


def begun(world: World, *adsets: str) -> list[ChangeRun]:
    """Return changes to Florida that are written down and begin now, as a run begins them."""
    snapshots = {each.id: each for each in world.snapshots()}
    runs = [begin(recorded(world, planned(world, adset)), snapshots[adset]) for adset in adsets]
    world.meta.requests.clear()
    return runs


def go(world: World, *adsets: str) -> list[ChangeRun]:
    """Take changes to their end."""
    working = job(world)
    return carry_through(working, [write(working, run) for run in begun(world, *adsets)])


def come_at(world: World, call: str, act: Callable[[], None], number: int = 1) -> None:
    """Have something happen right before such a call, counted from 1 and without those that read a whole campaign."""
    calls = iter(range(1, 10_000))

    def watch(operation: Operation) -> None:
        is_meant = f"{operation.method} {operation.kind}" == call and operation.object_id not in world.meta.campaigns
        if is_meant and next(calls) == number:
            act()

    world.meta.on_request = watch


def republished(world: World) -> list[str]:
    """Return the ids of the ads that were sent a re-publish, in order."""
    return [call.object_id for call in world.meta.operations if (call.method, call.kind) == ("POST", "ad")]


def assert_well(world: World, adset: str) -> None:
    """Check that each ad that is switched on runs and will go on."""
    world.time.pass_by(2 * 3600)
    world.meta.settle()
    assert [ad.name for ad in world.meta.ads_of(adset) if ad.status == "ACTIVE" and not is_truly_healthy(ad)] == []
