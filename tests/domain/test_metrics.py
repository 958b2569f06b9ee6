"""What a run counts for CloudWatch: the alarms listen to nothing else."""

from typing import Any

import pytest

from closrads.domain.changes import ChangeState
from closrads.domain.metrics import new_failed_rollbacks, run_metrics
from closrads.domain.request import Action
from closrads.domain.results import AdSetResult, MailOutcome, Recovery, Result, RunResult, SyncReport
from tests.world import START


def report(*found: Result, recovered: tuple[ChangeState, ...] = (), **more: Any) -> SyncReport:
    """Build what a run did with one campaign."""
    adsets = tuple(AdSetResult(str(number), "A", result) for number, result in enumerate(found))
    earlier = tuple(Recovery("r", "9", "A", ChangeState.WRITTEN, state) for state in recovered)
    return SyncReport("a", "A", **{"dry_run": False, "adsets": adsets, "recovered": earlier, **more})


def run(*campaigns: SyncReport, **more: Any) -> RunResult:
    """Build a live run."""
    usual: dict[str, Any] = {"run_id": "r", "action": Action.SYNC, "dry_run": False, "started_at": START}
    return RunResult(**{**usual, "duration_ms": 1, "campaigns": campaigns, **more})


BAD = report(Result.FAILED)
GOOD = report(
    *[Result.UPDATED] * 3, *[Result.SKIPPED_PREFLIGHT] * 2, Result.REVERTED, active_states=("FL", "GA"),
    recovered=(ChangeState.VERIFIED,),
)  # fmt: skip


def test_a_sync_counts_what_it_did() -> None:
    """Over all campaigns."""
    assert run_metrics(run(GOOD, GOOD, mail=MailOutcome.SENT)) == {
        "RunSucceeded": 1,
        "RunFailed": 0,
        "AdSetsUpdated": 6,
        "AdSetsSkippedPreflight": 4,
        "AdSetsReverted": 2,
        "RollbackFailed": 0,
        "StatesWithDemand": 4,
        "MailFailed": 0,
    }


def test_a_failure_is_no_sign_of_life() -> None:
    """The silence alarm waits for a sync that succeeded."""
    counts = run_metrics(run(GOOD, BAD, mail=MailOutcome.FAILED))

    assert (counts["RunSucceeded"], counts["RunFailed"], counts["MailFailed"]) == (0, 1, 1)


@pytest.mark.parametrize("action", [Action.RECHECK, Action.UNDO])
def test_only_a_sync_is_a_sign_of_life(action: Action) -> None:
    """A recheck every half hour would keep the silence alarm quiet for ever."""
    assert "RunSucceeded" not in run_metrics(run(GOOD, action=action))


def test_a_dry_run_counts_as_one_and_as_nothing_else() -> None:
    """It has changed nothing."""
    assert run_metrics(run(GOOD, BAD, dry_run=True)) == {"DryRunCompleted": 1, "MailFailed": 0}


def test_what_was_left_to_another_run_counts_nothing() -> None:
    """The other one counts."""
    assert run_metrics(run(left_to="other")) == {}


def test_each_failed_rollback_counts_whichever_run_began_it() -> None:
    """Of this run's ad sets and of earlier changes."""
    failed = report(Result.ROLLBACK_FAILED, recovered=(ChangeState.ROLLBACK_FAILED, ChangeState.ROLLED_BACK))

    assert run_metrics(run(GOOD, failed))["RollbackFailed"] == 2


def test_of_a_shared_run_one_campaign_that_succeeded_is_a_sign_of_life() -> None:
    """Among hundreds one fails every day; its failed rollbacks have been counted as they happened."""
    failed = report(Result.ROLLBACK_FAILED)

    counts = run_metrics(run(GOOD, failed), is_shared=True)

    assert (counts["RunSucceeded"], counts["RunFailed"], counts["RollbackFailed"]) == (1, 1, 0)
    assert run_metrics(run(failed), is_shared=True)["RunSucceeded"] == 0


@pytest.mark.parametrize(
    ("now", "earlier", "count"),
    [
        pytest.param(report(Result.ROLLBACK_FAILED), None, 1, id="the first share"),
        pytest.param(report(*[Result.ROLLBACK_FAILED] * 3), report(Result.ROLLBACK_FAILED), 2, id="two more"),
        pytest.param(report(Result.ROLLBACK_FAILED), report(Result.ROLLBACK_FAILED), 0, id="none more"),
        pytest.param(GOOD, report(Result.ROLLBACK_FAILED), 0, id="one less"),
        pytest.param(report(Result.ROLLBACK_FAILED, dry_run=True), None, 0, id="a dry run"),
    ],
)
def test_of_a_shared_run_each_failed_rollback_counts_once(
    now: SyncReport, earlier: SyncReport | None, count: int
) -> None:
    """Each share reports all that has come of its campaign so far."""
    assert new_failed_rollbacks(now, earlier) == ({"RollbackFailed": count} if count else {})
