"""What a run counts for CloudWatch: the alarms listen to nothing else."""

from typing import Any

import pytest

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.metrics import new_failed_rollbacks, run_metrics
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
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


def counts(result: RunResult, **asked: Any) -> dict[str, int]:
    """Count a run for which `asked` was asked: by default, for everything and by the schedule."""
    usual: dict[str, Any] = {"action": result.action, "dry_run": result.dry_run, "scheduled": START}
    return run_metrics(result, RunRequest(**{**usual, **asked}))


BAD = report(Result.FAILED)
GOOD = report(
    *[Result.UPDATED] * 3, *[Result.SKIPPED_PREFLIGHT] * 2, Result.REVERTED, active_states=("FL", "GA"),
    recovered=(ChangeState.VERIFIED,),
)  # fmt: skip
LEFT = report(left_to="other")
OFF = report(switched_off=SwitchedOff(START, "a"))
PUT_OFF = report(Result.DEFERRED, Result.HELD, Result.ENDED)


def test_a_sync_counts_what_it_did() -> None:
    """Over all campaigns."""
    assert counts(run(GOOD, GOOD, mail=MailOutcome.SENT)) == {
        "RunSucceeded": 1,
        "RunFailed": 0,
        "AdSetsUpdated": 6,
        "AdSetsSkippedPreflight": 4,
        "AdSetsReverted": 2,
        "RollbackFailed": 0,
        "StatesWithDemand": 4,
        "MailFailed": 0,
    }


@pytest.mark.parametrize(
    ("campaigns", "succeeded"),
    [
        pytest.param([BAD], 0, id="failed"),
        pytest.param([BAD, GOOD], 1, id="one failed, which rings by itself"),
        pytest.param([report(Result.UNCHANGED)], 1, id="nothing to change"),
        pytest.param([report()], 1, id="no ad set"),
        pytest.param([report(Result.SKIPPED_PREFLIGHT)], 1, id="looked at and left alone"),
        pytest.param([PUT_OFF], 0, id="everything put off"),
        pytest.param([report(Result.DEFERRED, Result.UPDATED)], 1, id="something put off"),
        pytest.param([LEFT], 0, id="left to another run"),
        pytest.param([OFF, BAD], 0, id="one is off, the other one failed"),
        pytest.param([LEFT, PUT_OFF, OFF, BAD, GOOD], 1, id="one campaign is enough"),
        pytest.param([report(campaign_errors=("refused",))], 0, id="aborted"),
        pytest.param([], 0, id="no campaign is switched on"),
    ],
)
@pytest.mark.parametrize("asked", [{}, {"scheduled": None}, {"opens": True}], ids=["scheduled", "by hand", "shared"])
def test_a_full_sync_in_which_something_could_be_done_is_a_sign_of_life(
    campaigns: list[SyncReport], succeeded: int, asked: dict[str, Any]
) -> None:
    """The silence alarm waits for it, and a person must be able to silence it by hand."""
    assert counts(run(*campaigns), **asked)["RunSucceeded"] == succeeded


@pytest.mark.parametrize(
    ("campaigns", "succeeded", "of_shared"),
    [
        pytest.param([report(Result.UNCHANGED), report(Result.REVERTED)], 1, 1, id="all was looked at"),
        pytest.param([report()], 1, 1, id="there was nothing to look at"),
        pytest.param([], 1, 1, id="no campaign is switched on"),
        pytest.param([report(), BAD], 0, 1, id="one failed"),
        pytest.param([report(), LEFT], 0, 1, id="one was left to another run"),
        pytest.param([report(), report(Result.UNCHANGED, Result.DEFERRED)], 0, 1, id="not looked at all of one"),
        pytest.param([report(), report(Result.HELD)], 0, 1, id="one was stopped"),
        pytest.param([BAD], 0, 0, id="failed"),
    ],
)
def test_a_recheck_that_looked_at_all_it_should_is_a_sign_of_life(
    campaigns: list[SyncReport], succeeded: int, of_shared: int
) -> None:
    """Of its own; among the hundreds of a shared run, one fails every day."""
    recheck = run(*campaigns, action=Action.RECHECK)

    assert counts(recheck)["RecheckSucceeded"] == succeeded
    assert counts(recheck, opens=True)["RecheckSucceeded"] == of_shared
    assert "RunSucceeded" not in counts(recheck)


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        (Action.SYNC, {"campaigns": ("a",)}),
        (Action.RECHECK, {"campaigns": ("a",)}),
        (Action.RECHECK, {"run_id": "r"}),
        (Action.UNDO, {}),
    ],
)
def test_a_run_about_something_is_no_sign_of_life(action: Action, asked: dict[str, Any]) -> None:
    """It says nothing of all the rest, neither good nor bad."""
    assert counts(run(GOOD, action=action), **asked).keys() & {"RunSucceeded", "RecheckSucceeded"} == set()


def test_a_sync_that_a_pause_kept_from_everything_is_neither_good_nor_bad() -> None:
    """No sign of life, or nobody would notice a pause that was forgotten; and no failure, for a person wanted it."""
    everything = SwitchedOff(START)
    found = counts(run(report(switched_off=everything), switched_off=(everything,)))

    assert "RunSucceeded" not in found
    assert found["RunFailed"] == 0


def test_what_ends_counts_down() -> None:
    """The days of Meta's API version, and of the token that ends first; of what does not end there is no metric."""
    found = counts(run(report(token_ends="2026-05-20"), report(token_ends="2026-05-30"), api_days_left=30))

    assert (found["DaysUntilApiVersionEnds"], found["DaysUntilTokenEnds"]) == (30, 16)


def test_what_went_wrong_counts() -> None:
    """Whatever else went well."""
    found = counts(run(GOOD, BAD, mail=MailOutcome.FAILED))

    assert (found["RunFailed"], found["MailFailed"]) == (1, 1)


def test_a_dry_run_counts_as_one_and_as_nothing_else() -> None:
    """It has changed nothing."""
    assert counts(run(GOOD, BAD, dry_run=True)) == {"DryRunCompleted": 1, "MailFailed": 0}


def test_what_was_left_to_another_run_counts_nothing() -> None:
    """The other one counts."""
    assert counts(run(left_to="other")) == {}


def test_each_failed_rollback_counts_whichever_run_began_it() -> None:
    """Of this run's ad sets and of earlier changes; of a shared run they have been counted as they happened."""
    failed = report(Result.ROLLBACK_FAILED, recovered=(ChangeState.ROLLBACK_FAILED, ChangeState.ROLLED_BACK))

    assert counts(run(GOOD, failed))["RollbackFailed"] == 2
    assert counts(run(GOOD, failed), opens=True)["RollbackFailed"] == 0


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
