"""Days on which anything may go wrong, in any order: the promise holds, and the report tells the truth."""

import copy
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closrads.errors import ConfigError, SyncFailed
from sandbox import Breakage, Sandbox, faults
from sandbox.aws import DROPPED
from sandbox.meta import Operation
from sandbox.meta.targeting import region_keys
from tests.world import LIVE, FakeTime, World

OLD, WANTED = "TX FL GA", "FL GA OH NY"
SERVER_ERROR = 500

REFUSALS = [
    faults.THROTTLED_ACCOUNT, faults.THROTTLED_USE_CASE, faults.TOO_MANY_CALLS, faults.APP_LIMIT, faults.POLICY_BLOCK,
    faults.PERMISSION_MISSING, faults.TOKEN_INVALID, faults.INTEREST_RETIRED, faults.MISSING_LEAD_FORM,
]  # fmt: skip
"""Nothing was done."""
PUZZLES = [
    faults.UNKNOWN_ERROR, faults.SERVICE_UNAVAILABLE, faults.BAD_GATEWAY_HTML, faults.BAD_GATEWAY_SUCCESS,
    faults.SERVER_ERROR_EMPTY, faults.OK_HTML, faults.OK_EMPTY, faults.OK_EMPTY_OBJECT, faults.OK_WITH_ERROR,
    faults.TRUNCATED, faults.DROPPED, faults.stalled(0.01), faults.ERROR_AS_TEXT,
]  # fmt: skip
"""Whether it was done is open."""
BREAKAGES = [None, Breakage.ordinary(), Breakage.stubborn(), Breakage.cured_by_rollback(), Breakage.silently_paused()]


@dataclass(frozen=True)
class MetaFault:
    """Something goes wrong with some calls of one kind."""

    reply: Any
    on: str
    skip: int
    times: int
    applied: bool


@dataclass(frozen=True)
class AwsFault:
    """The same at AWS."""

    service: str
    code: tuple[Any, int]
    skip: int
    times: int
    applied: bool


@dataclass(frozen=True)
class Slow:
    """A call after which much time has passed."""

    call: int
    seconds: float


ENDS = {"verified", "rolled_back", "superseded", "not_written"}
CALLS = ["POST adset", "POST ad", "GET adset", "GET adsets", "GET ads", "batch", "any"]
meta_faults = st.builds(
    MetaFault,
    st.sampled_from(REFUSALS),
    st.sampled_from(CALLS),
    st.integers(0, 8),
    st.integers(1, 5),
    st.just(value=False),
) | st.builds(
    MetaFault, st.sampled_from(PUZZLES), st.sampled_from(CALLS), st.integers(0, 8), st.integers(1, 5), st.booleans()
)
codes = st.sampled_from([("InternalServerError", 500), ("ProvisionedThroughputExceededException", 400), (DROPPED, 500)])
aws_faults = st.builds(
    AwsFault,
    st.sampled_from(["dynamodb", "dynamodb", "dynamodb", "sesv2"]),
    codes,
    st.integers(0, 25),
    st.integers(1, 4),
    st.booleans(),
)
slow_calls = st.builds(Slow, st.integers(1, 40), st.sampled_from([7.0, 31.0, 200.0]))
bad_days = st.lists(meta_faults | aws_faults | slow_calls, min_size=1, max_size=5)
schedules = st.lists(bad_days, min_size=1, max_size=2)


def build(sandbox: Sandbox, time: FakeTime, breakages: list[Breakage | None]) -> World:
    """Open a business whose ad sets all have to be changed, some of which will not have it."""
    sandbox.reset()
    time.reset()
    world = World(sandbox, time)
    world.put({"limits/wave_size": "3"})
    world.campaign(dict.fromkeys(WANTED.split(), 5))
    for number, breakage in enumerate(breakages):
        adset = world.adset(f"Ad set {number}", OLD, ads=1 + number % 2, breakage=breakage)
        if number == 1:
            sandbox.meta.add_ad(adset, "Paused by a person", status="PAUSED")
    return world


def let_go_wrong(world: World, day: list[Any]) -> None:
    """Script the faults of a day."""
    slow: list[Slow] = []
    for fault in day:
        match fault:
            case MetaFault():
                world.meta.fail(fault.reply, fault.on, fault.times, fault.skip, applied=fault.applied)
            case AwsFault():
                code, status = fault.code
                applied = fault.applied and status == SERVER_ERROR
                world.sandbox.aws.fail(
                    fault.service, "any", code, status, fault.times, skip=fault.skip, applied=applied
                )
            case Slow():
                slow.append(fault)
    calls = iter(range(1, 1_000_000))

    def pass_time(_: Operation) -> None:
        call = next(calls)
        for each in slow:
            if each.call == call:
                world.time.pass_by(each.seconds)

    world.meta.on_request = pass_time


def all_is_well_again(world: World) -> None:
    """Take back all faults."""
    world.meta.clear_faults()
    world.sandbox.aws.clear_faults()
    world.meta.on_request = None


def run(world: World) -> dict[str, Any]:
    """Run the daily job, and return what the ledger keeps of it: nothing if it could not be told."""
    with suppress(SyncFailed, ConfigError):
        world.run(LIVE)
    day = f"{world.time.clock.now():%Y-%m-%d}"
    newest = [item for item in world.sandbox.aws.ledger() if item["pk"] == "RUN"][-1:]
    kept = [item["result"] for item in newest if item.get("ended_at", "") >= day]
    result: dict[str, Any] = json.loads(zlib.decompress(kept[0])) if kept else {"campaigns": []}
    return result


def broken_promises(world: World, before: dict[str, Any]) -> Iterator[str]:
    """Judge what a good day after bad ones has left."""
    world.meta.settle()
    for item in world.sandbox.aws.ledger():
        if "open_since" in item:
            yield f"left open: {item['sk']}: {item['state']}"
    for adset in world.meta.adsets.values():
        old = before[adset.id]
        if world.meta.states(adset.id) not in (set(OLD.split()), set(WANTED.split())):
            yield f"{adset.name} is in {world.meta.states(adset.id)}"
        if {**adset.targeting, "geo_locations": None} != {**old, "geo_locations": None}:
            yield f"{adset.name} has other targeting than before"
        for ad in adset.ads:
            if ad.name == "Paused by a person" and ad.status != "PAUSED":
                yield f"{ad.name} was woken"
            if ad.name != "Paused by a person" and (ad.effective_status != "ACTIVE" or ad.issues):
                yield f"{ad.name} is {ad.effective_status} {ad.issues}"


def lies(world: World, result: dict[str, Any], before: dict[str, Any]) -> Iterator[str]:
    """Compare what a run says of each ad set with what is there."""
    still_open = {change["id"] for change in result.get("recovered", ()) if change["state"] not in ENDS}
    for campaign in result["campaigns"]:
        for said in campaign["adsets"]:
            adset = world.meta.adsets[said["id"]]
            keys = region_keys(adset.targeting)
            is_old = keys == region_keys(before[adset.id])
            healthy = all(ad.effective_status == "ACTIVE" for ad in adset.ads if ad.name != "Paused by a person")
            match said["result"]:
                case "updated" | "unchanged" if world.meta.states(adset.id) != set(WANTED.split()) or not healthy:
                    yield f"{adset.name} is said to be {said['result']}, and is not as wanted"
                case "reverted" | "deferred" | "failed" if not is_old or not healthy:
                    yield f"{adset.name} is said to be {said['result']}, and is not as it was"
                case "held" if adset.id not in still_open and not (is_old and healthy):
                    yield f"{adset.name} is said to be {said['result']}, and is not as it was"


@settings(
    max_examples=settings().max_examples * 3 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    breakages=st.lists(st.sampled_from(BREAKAGES), min_size=2, max_size=5),
    schedule=schedules,
)
def test_after_bad_days_a_good_one_leaves_every_ad_set_as_it_was_or_as_wanted(
    sandbox: Sandbox,
    fake_time: FakeTime,
    capsys: pytest.CaptureFixture[str],
    breakages: list[Breakage | None],
    schedule: list[list[Any]],
) -> None:
    """Try one schedule."""
    world = build(sandbox, fake_time, breakages)
    before = {adset.id: copy.deepcopy(adset.targeting) for adset in world.meta.adsets.values()}

    for day in schedule:
        let_go_wrong(world, day)
        result = run(world)
        all_is_well_again(world)
        world.meta.settle()
        assert list(lies(world, result, before)) == []
        world.time.next_day()
    result = run(world)
    capsys.readouterr()

    assert list(broken_promises(world, before)) == []
    assert len(result["campaigns"][0]["adsets"]) == len(breakages)
    assert list(lies(world, result, before)) == []
