"""Every write of the ledger is done, its answer does not come, and boto3 repeats it: it must not meet itself.

`tests.slow.contract.test_ledger_repetitions` does the same at a socket that stays silent until boto3's time is up.
"""

from collections.abc import Callable, Mapping
from inspect import getmembers, isfunction
from typing import Any

import pytest

from closrads.domain.changes import ChangeState, LastRecheck, UnexplainedPause
from closrads.domain.request import Action
from closrads.domain.tiers import KnownTier
from closrads.ledger.changes import Ledger
from closrads.ledger.leases import Leases
from closrads.ledger.runs import Runs
from sandbox.aws import SILENT
from tests.ledger.conftest import HISTORY, ME, OTHER, SOON, a_change, a_progress, a_shared_run, calls
from tests.ledger_world import leases, ledger, runs
from tests.world import START, World

Call = Callable[[World], Any]
PAUSE = UnexplainedPause("501", "Broad", {"601": "One"}, START)
READS = {
    "Ledger": {
        "open_changes", "changes_of", "changes_between", "changes_in_effect", "last_recheck", "previous_outcomes",
        "known_tier", "newest_changes", "last_changes", "last_to_undo", "prepared_since",
    },
    "Leases": {"is_held", "holder_of", "last_sync"},
    "Runs": {"exists", "newest", "opened", "progress"},
}  # fmt: skip


def nothing(_: World) -> None:
    """Prepare nothing."""


def acquire(world: World, run_id: str = ME) -> dict[str, str]:
    """Lease a campaign."""
    return leases(world).acquire(["veterans"], run_id, SOON, Action.SYNC, "one")


def claim(world: World, run_id: str = ME) -> str:
    """Claim a scheduled time."""
    return leases(world).claim_time("key", run_id, SOON)


def release(world: World) -> dict[str, str]:
    """Release the campaign; return who keeps another run from leasing it."""
    leases(world).release(["veterans"], ME, "one")
    return acquire(world, OTHER)


def complete(world: World) -> str:
    """Complete the scheduled time; return who has it when another run claims it."""
    leases(world).complete_time("key", ME)
    return claim(world, OTHER)


def release_time(world: World) -> str:
    """Release the scheduled time; return who has it when another run claims it."""
    leases(world).release_time("key", ME)
    return claim(world, OTHER)


def move(world: World) -> Any:
    """Record the first step of a change; return the state that the ledger has then, or the error."""
    (answer,) = ledger(world).move([(a_change(), ChangeState.WRITTEN)])
    return getattr(answer, "state", answer)


def open_run(world: World) -> Any:
    """Open a shared run; return whether it is this one."""
    return runs(world).open(a_shared_run()) == a_shared_run()


WRITES: Mapping[str, tuple[Call, str, Call, Any]] = {
    "Ledger.prepare": (nothing, "TransactWriteItems", lambda world: ledger(world).prepare([a_change()]), [None]),
    "Ledger.move": (
        lambda world: ledger(world).prepare([a_change()]),
        "TransactWriteItems",
        move,
        ChangeState.WRITTEN,
    ),
    "Ledger.mark_reported": (
        lambda world: ledger(world).prepare([a_change()]),
        "UpdateItem",
        lambda world: ledger(world).mark_reported(a_change()),
        None,
    ),
    "Ledger.keep_ads": (
        lambda world: ledger(world).prepare([a_change()]),
        "TransactWriteItems",
        lambda world: ledger(world).keep_ads([a_change()]),
        [None],
    ),
    "Ledger.record_recheck": (
        nothing, "PutItem", lambda world: ledger(world).record_recheck("veterans", LastRecheck(START)), None,
    ),
    "Ledger.keep_unexplained": (
        nothing, "PutItem", lambda world: ledger(world).keep_unexplained("veterans", PAUSE), None,
    ),
    "Ledger.forget_unexplained": (
        lambda world: ledger(world).keep_unexplained("veterans", PAUSE),
        "DeleteItem",
        lambda world: ledger(world).forget_unexplained("veterans", "501"),
        None,
    ),
    "Ledger.record_deferred": (
        nothing, "PutItem", lambda world: ledger(world).record_deferred("veterans", ["501"]), None,
    ),
    "Ledger.record_demand": (
        nothing, "PutItem", lambda world: ledger(world).record_demand("veterans", HISTORY), None,
    ),
    "Ledger.forget_demand": (
        lambda world: ledger(world).record_demand("veterans", HISTORY),
        "DeleteItem",
        lambda world: ledger(world).forget_demand("veterans"),
        None,
    ),
    "Ledger.keep_tier": (
        nothing, "PutItem", lambda world: ledger(world).keep_tier("act_111", KnownTier(60, START)), None,
    ),
    "Leases.acquire": (nothing, "TransactWriteItems", acquire, {}),
    "Leases.release": (
        acquire,
        "TransactWriteItems",
        release,
        {},
    ),
    "Leases.claim_time": (nothing, "PutItem", claim, ME),
    "Leases.complete_time": (
        claim,
        "UpdateItem",
        complete,
        ME,
    ),
    "Leases.release_time": (
        claim,
        "DeleteItem",
        release_time,
        OTHER,
    ),
    "Runs.begin": (nothing, "PutItem", lambda world: runs(world).begin(ME, Action.SYNC, ["veterans"]), None),
    "Runs.end": (open_run, "UpdateItem", lambda world: runs(world).end(ME, {"success": True}), None),
    "Runs.end_quietly": (open_run, "UpdateItem", lambda world: runs(world).end_quietly(ME), None),
    "Runs.forget": (open_run, "DeleteItem", lambda world: runs(world).forget(ME), None),
    "Runs.open": (nothing, "PutItem", open_run, True),
    "Runs.begin_campaign": (
        open_run, "UpdateItem", lambda world: runs(world).begin_campaign(ME, "veterans"), (0, None),
    ),
    "Runs.save_progress": (open_run, "PutItem", lambda world: runs(world).save_progress(ME, a_progress()), None),
    "Runs.claim_end": (open_run, "UpdateItem", lambda world: runs(world).claim_end(ME, SOON, "one"), None),
}  # fmt: skip
"""By method: what precedes it, DynamoDB's operation, the call, and what it returns when nothing is lost."""


@pytest.mark.parametrize("name", WRITES)
def test_a_repetition_is_not_taken_for_another_run(retrying: World, name: str) -> None:
    """What it returns and what is kept is as if the answer had come."""
    before, operation, call, answer = WRITES[name]
    before(retrying)
    earlier = calls(retrying, operation)
    retrying.sandbox.aws.fail("dynamodb", operation, SILENT, applied=True)

    assert call(retrying) == answer

    further = 2 if name == "Leases.release" else 1  # its proof is a call of the same kind
    assert calls(retrying, operation) - earlier == further + 1


@pytest.mark.parametrize("kind", [Ledger, Leases, Runs])
def test_no_write_is_left_out(kind: type) -> None:
    """A new method is a read, or stands above."""
    methods = {name for name, _ in getmembers(kind, isfunction) if not name.startswith("_")}
    writes = {name.partition(".")[2] for name in WRITES if name.startswith(f"{kind.__name__}.")}

    assert methods == writes | READS[kind.__name__]
