"""The CloudWatch metrics of a run."""

from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import MailOutcome, Result, RunResult, SyncReport

RUN_SUCCEEDED = "RunSucceeded"
RUN_FAILED = "RunFailed"
DRY_RUN_COMPLETED = "DryRunCompleted"
ADSETS_UPDATED = "AdSetsUpdated"
ADSETS_SKIPPED_PREFLIGHT = "AdSetsSkippedPreflight"
ADSETS_REVERTED = "AdSetsReverted"
ROLLBACK_FAILED = "RollbackFailed"
STATES_WITH_DEMAND = "StatesWithDemand"
MAIL_FAILED = "MailFailed"


def run_metrics(result: RunResult, *, is_shared: bool = False) -> dict[str, int]:
    """Return a run's counts by metric name; empty if the run was left to another one.

    `RunSucceeded` counts live syncs only: the silence alarm fires when it is missing. With `is_shared` (several
    invocations share the run), one successful campaign makes the run a success, and failed rollbacks are left out
    because `new_failed_rollbacks` has already counted them.
    """
    if result.left_to:
        return {}
    mail_failed = int(result.mail is MailOutcome.FAILED)
    if result.dry_run:
        return {DRY_RUN_COMPLETED: 1, MAIL_FAILED: mail_failed}
    campaigns = result.campaigns
    succeeded = any(campaign.success for campaign in campaigns) if is_shared else result.success
    return {
        **({RUN_SUCCEEDED: int(succeeded)} if result.action is Action.SYNC else {}),
        RUN_FAILED: int(not result.success),
        ADSETS_UPDATED: sum(campaign.adsets_updated for campaign in campaigns),
        ADSETS_SKIPPED_PREFLIGHT: sum(campaign.adsets_skipped_preflight for campaign in campaigns),
        ADSETS_REVERTED: sum(campaign.adsets_reverted for campaign in campaigns),
        ROLLBACK_FAILED: 0 if is_shared else sum(map(_failed_rollbacks, campaigns)),
        STATES_WITH_DEMAND: sum(len(campaign.active_states) for campaign in campaigns),
        MAIL_FAILED: mail_failed,
    }


def new_failed_rollbacks(report: SyncReport, earlier: SyncReport | None) -> dict[str, int]:
    """Return the number of rollbacks that failed since an earlier report of the same run; empty if there are none."""
    count = _failed_rollbacks(report) - (_failed_rollbacks(earlier) if earlier else 0)
    return {ROLLBACK_FAILED: count} if count > 0 and not report.dry_run else {}


def _failed_rollbacks(campaign: SyncReport) -> int:
    recovered = sum(recovery.state is ChangeState.ROLLBACK_FAILED for recovery in campaign.recovered)
    return len(campaign.with_result(Result.ROLLBACK_FAILED)) + recovered
