"""A change of one ad set, runs that several invocations share, and a DynamoDB that fails on cue."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from closrads.domain.adset_results import AdSetResult
from closrads.domain.adsets import Ad, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.damping import DemandHistory, Streak
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import GraphUsage
from closrads.domain.runs import CampaignProgress, SharedRun
from closrads.domain.sync_report import SyncReport
from closrads.ledger.dynamodb import _dynamodb
from tests.world import START, World

ME, OTHER, THIRD = "20260504T103000Z-0000000a", "20260504T103000Z-0000000b", "20260504T103000Z-0000000c"
SOON = START + timedelta(minutes=15)
HISTORY = DemandHistory(START.date(), frozenset({"FL"}), {"FL": Streak(START.date(), 1)})
SERVER_ERROR = ("InternalServerError", 500)
FLORIDA, GEORGIA = {"key": "3852", "name": "Florida", "country": "US"}, {"key": "3853", "name": "Georgia"}


def a_change(**more: Any) -> Change:
    """Build a change of an ad set from Georgia to Florida."""
    before = AdSetSnapshot(
        id="501",
        name="Broad",
        meta_campaign_id="900",
        effective_status="ACTIVE",
        targeting={"geo_locations": {"regions": [GEORGIA]}, "age_min": 18, "user_age_unknown": None},
        ads=(Ad("601", "One", "ACTIVE", "ACTIVE"), Ad("602", "Zwei “ß” 🦊", "ACTIVE", "ACTIVE")),
    )
    usual: dict[str, Any] = {
        "campaign": "veterans",
        "run_id": ME,
        "action": Action.SYNC,
        "before": replace(
            before, **{name: more.pop(name) for name in ("id", "name", "targeting", "ads") if name in more}
        ),
        "after": {"geo_locations": {"regions": [FLORIDA]}},
        "state": ChangeState.PREPARED,
        "prepared_at": START,
        "changed_at": START,
    }
    return Change(**(usual | more))


def a_shared_run(**more: Any) -> SharedRun:
    """Build a run that several invocations share."""
    return SharedRun(ME, RunRequest(Action.SYNC, dry_run=False, opens=True, **more), START, {"veterans": "Veterans"})


def a_progress(*adsets: AdSetResult, **more: Any) -> CampaignProgress:
    """Build what a campaign's share of a run has come to."""
    report = SyncReport("veterans", "Veterans", dry_run=False, adsets=adsets, **more)
    return CampaignProgress(report, GraphUsage(3, 5, 7), is_over=False)


def calls(world: World, operation: str) -> int:
    """Count the calls of one operation of DynamoDB."""
    return [call.operation for call in world.sandbox.aws.requests].count(operation)


@pytest.fixture
def retrying(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a business whose boto3 tries everything twice, as in the deployed function."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    _dynamodb.cache_clear()
    yield world
    _dynamodb().close()
    _dynamodb.cache_clear()


def cancel(world: World, *answers: Sequence[str]) -> None:
    """Have the next transactions be cancelled, each for these reasons, one for each of its parts."""
    for codes in answers:
        reasons = {"CancellationReasons": [{"Code": code} for code in codes]}
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "TransactionCanceledException", members=reasons)
