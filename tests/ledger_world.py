"""Builders for what an earlier run has left in the ledger and at Meta, and ways to see what became of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from closrads.domain.changes import Change, ChangeState, RevertStreak
from closrads.domain.request import Action
from closrads.domain.targeting import _build_new_targeting
from closrads.errors import LedgerError, SyncFailed
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.runs import Runs
from closrads.state_mapper import build_fb_regions
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import Breakage, Effect
from sandbox.meta.activity_log import META
from sandbox.meta.targeting import codes
from tests.world import VETERANS, World

EARLIER = "20260503T103000Z-0000aaaa"
"""A run before the one that is tested."""
RECHECK, UNDO = ({"action": action, "dry_run": False} for action in ("recheck", "undo"))
OPEN = tuple(state for state in ChangeState if state.is_open)
FINAL = tuple(state for state in ChangeState if not state.is_open)
PATHS: Mapping[ChangeState, tuple[ChangeState, ...]] = {
    ChangeState.PREPARED: (),
    ChangeState.NOT_WRITTEN: (ChangeState.NOT_WRITTEN,),
    ChangeState.SUPERSEDED: (ChangeState.SUPERSEDED,),
    ChangeState.WRITTEN: (ChangeState.WRITTEN,),
    ChangeState.REPUBLISHED: (ChangeState.WRITTEN, ChangeState.REPUBLISHED),
    ChangeState.VERIFIED: (ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.VERIFIED),
    ChangeState.ROLLING_BACK: (ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.ROLLING_BACK),
    ChangeState.ROLLED_BACK: (ChangeState.WRITTEN, ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK),
    ChangeState.ROLLBACK_FAILED: (ChangeState.WRITTEN, ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED),
}
"""How a change comes from `PREPARED` to a state."""


def later(world: World, seconds: float) -> None:
    """Go on to an invocation that comes so much later and has its whole time."""
    world.time.pass_by(seconds)
    world.time.deadline = world.time.seconds() + 900


def ledger(world: World) -> Ledger:
    """Return the ledger as a run uses it."""
    return Ledger(table(world))


def leases(world: World) -> Leases:
    """Return the leases as a run uses them."""
    return Leases(table(world))


def runs(world: World) -> Runs:
    """Return what is kept of runs, as a run uses it."""
    return Runs(table(world))


def table(world: World) -> Table:
    """Return the ledger's table as a run uses it."""
    return Table(LEDGER_TABLE, world.time.clock)


def planned(  # noqa: PLR0913 - all but the first two have a default
    world: World,
    adset: str,
    states: str = "FL",
    *,
    run_id: str = EARLIER,
    action: Action = Action.SYNC,
    slug: str = "veterans",
    reverts: RevertStreak | None = None,
    campaign: str = VETERANS,
) -> Change:
    """Return what a run writes down before it gives an ad set these states."""
    (before,) = (snapshot for snapshot in world.snapshots(campaign) if snapshot.id == adset)
    now = world.time.clock.now()
    after = _build_new_targeting(before.targeting, build_fb_regions(codes(states)))
    before = replace(before, ads=before.active_ads)
    return Change(slug, run_id, action, before, after, ChangeState.PREPARED, now, now, reverts)


def recorded(world: World, change: Change, state: ChangeState = ChangeState.PREPARED) -> Change:
    """Write a change down and take it to a state."""
    book = ledger(world)
    prepare(book, change)
    for step in PATHS[state]:
        change = move(book, change, step)
    return change


def prepare(book: Ledger, change: Change) -> None:
    """Write one change down, or raise what kept it from it."""
    (error,) = book.prepare([change])
    if error is not None:
        raise error


def move(book: Ledger, change: Change, state: ChangeState) -> Change:
    """Take one change to another state, or raise what kept it from it."""
    (answer,) = book.move([(change, state)])
    if isinstance(answer, LedgerError):
        raise answer
    return answer


def left_behind(world: World, adset: str, state: ChangeState, shows: str = "as wanted", **more: Any) -> Change:
    """Return the change of a run that died at this state, of which Meta shows the targeting as before or as wanted.

    As before may also be: again, after it had been as wanted.
    """
    change = planned(world, adset, **more)
    api = world.api()
    recorded(world, change)
    if shows != "as before":
        api.post(adset, {"targeting": change.after})
    if shows == "as before again":
        before = {key: value for key, value in change.before.targeting.items() if not key.startswith("effective_")}
        api.post(adset, {"targeting": before})
    for step in PATHS[state]:
        change = move(ledger(world), change, step)
    world.meta.requests.clear()
    return change


def entries(world: World, prefix: str, pk: str = "") -> list[dict[str, Any]]:
    """Return the ledger's items whose sort key begins so."""
    return [item for item in world.sandbox.aws.ledger() if item["sk"].startswith(prefix) and pk in {"", item["pk"]}]


def recorded_state(world: World, run_id: str, adset: str) -> str:
    """Return what the ledger says of a run's change of an ad set."""
    (item,) = entries(world, f"CHANGE#{run_id}#{adset}")
    return str(item["state"])


def result_of(world: World, event: Any) -> dict[str, Any]:
    """Run an event live and return the result, whether the run failed or not."""
    try:
        return world.run(event)
    except SyncFailed as failure:
        return failure.result


def becomes_of(world: World, event: Any) -> dict[str, str]:
    """Run an event and return what became of each ad set, by name."""
    return {adset["name"]: adset["result"] for adset in result_of(world, event)["campaigns"][0]["adsets"]}


def one_adset(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the only ad set that a result is about."""
    (adset,) = (adset for campaign in result["campaigns"] for adset in campaign["adsets"])
    return dict(adset)


def metric(printed: str, name: str) -> float:
    """Return a metric's value from what a run printed."""
    (line,) = (json.loads(line) for line in printed.splitlines() if '"_aws"' in line)
    return float(line[name][0])


def statuses(world: World, adset: str) -> list[str]:
    """Return the status of each of an ad set's ads, as far as they can be read."""
    return [ad.effective_status for ad in world.meta.ads_of(adset)]


@contextmanager
def only_reads(world: World) -> Iterator[None]:
    """Hold that neither Meta nor the ledger is written, but for the plan that a dry run may be approved by."""

    def kept() -> list[dict[str, Any]]:
        return [item for item in world.sandbox.aws.ledger() if item["pk"] != "PLAN"]

    ledger_before, calls_before = kept(), len(world.sandbox.aws.requests)
    meta_before = len(world.meta.operations)
    yield
    assert {operation.method for operation in world.meta.operations[meta_before:]} <= {"GET"}
    calls = {call.operation for call in world.sandbox.aws.requests[calls_before:] if call.service == "dynamodb"}
    assert calls <= {"GetItem", "Query", "PutItem"}
    assert kept() == ledger_before


def rolled_back_with_lagging_log(world: World) -> str:
    """Return an ad set whose ads a rollback has switched on again; the log shows only Meta's pauses before that."""
    world.campaign("FL")
    log = world.meta.accounts["act_111"].activities
    log.missing = lambda row: (row.actor, row.extra.get("new_value")) != (META, "Inactive")
    adset = world.adset(breakage=Breakage.cured_by_rollback(Effect.PAUSED_WITH_ISSUES))
    assert one_adset(result_of(world, {"action": "sync", "dry_run": False}))["result"] == "reverted"
    return adset
