"""The CloudWatch metrics of a run."""

from closrads.domain.adset_results import Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.sync_report import SyncReport

RUN_SUCCEEDED = "RunSucceeded"
RECHECK_SUCCEEDED = "RecheckSucceeded"
RUN_FAILED = "RunFailed"
DRY_RUN_COMPLETED = "DryRunCompleted"
ADSETS_UPDATED = "AdSetsUpdated"
ADSETS_SKIPPED_PREFLIGHT = "AdSetsSkippedPreflight"
ADSETS_REVERTED = "AdSetsReverted"
ROLLBACK_FAILED = "RollbackFailed"
STATES_WITH_DEMAND = "StatesWithDemand"
MAIL_FAILED = "MailFailed"
API_DAYS_LEFT = "DaysUntilApiVersionEnds"
TOKEN_DAYS_LEFT = "DaysUntilTokenEnds"  # noqa: S105 - the name of a metric
PUSH_RECEIVED = "PushReceived"
PUSH_REFUSED = "PushRefused"


def run_metrics(result: RunResult, request: RunRequest) -> dict[str, int]:
    """Return a run's counts by metric name; empty if everything was left to another run.

    If several invocations share the run, failed rollbacks are left out: `new_failed_rollbacks` has counted them.
    """
    if result.left_to:
        return {}
    mail_failed = int(result.mail is MailOutcome.FAILED)
    if result.dry_run:
        return {DRY_RUN_COMPLETED: 1, MAIL_FAILED: mail_failed}
    campaigns = result.campaigns
    return {
        **_heartbeat(result, request),
        RUN_FAILED: int(result.has_failed),
        ADSETS_UPDATED: sum(campaign.adsets_updated for campaign in campaigns),
        ADSETS_SKIPPED_PREFLIGHT: sum(campaign.adsets_skipped_preflight for campaign in campaigns),
        ADSETS_REVERTED: sum(campaign.adsets_reverted for campaign in campaigns),
        ROLLBACK_FAILED: 0 if request.opens else sum(map(_failed_rollbacks, campaigns)),
        STATES_WITH_DEMAND: sum(len(campaign.active_states) for campaign in campaigns),
        MAIL_FAILED: mail_failed,
        **({} if result.api_days_left is None else {API_DAYS_LEFT: result.api_days_left}),
        **({} if result.token_days_left is None else {TOKEN_DAYS_LEFT: result.token_days_left}),
    }


def _heartbeat(result: RunResult, request: RunRequest) -> dict[str, int]:
    """Return the metric whose absence triggers an alarm; empty for a run of selected campaigns.

    A sync counts if it could follow the demand of at least one campaign. The failure of the others has its own alarm;
    if it also kept this one on, nobody would notice that the schedule has stopped as well. A full sync by hand counts
    like a scheduled one, so that an operator can end the alarm. A recheck counts if it has checked everything that it
    should. If several invocations share it, one campaign is enough: among hundreds, one fails every day.
    """
    if request.campaigns is not None or request.run_id is not None:
        return {}
    match result.action:
        case Action.SYNC if result.is_paused or result.plan_refused:  # neither a success nor a failure
            return {}
        case Action.SYNC:
            return {RUN_SUCCEEDED: int(any(map(_was_worked_on, result.campaigns)))}
        case Action.RECHECK:
            enough = any if request.opens and result.campaigns else all
            return {RECHECK_SUCCEEDED: int(enough(map(_was_looked_at, result.campaigns)))}
    return {}


def _was_worked_on(campaign: SyncReport) -> bool:
    """Return whether a sync could follow a campaign's demand, for at least one ad set if there are any."""
    put_off = campaign.count(Result.DEFERRED, Result.HELD)
    is_free = not campaign.left_to and campaign.switched_off is None
    return campaign.success and is_free and (not put_off or put_off < campaign.adsets_processed)


def _was_looked_at(campaign: SyncReport) -> bool:
    """Return whether a recheck checked everything in a campaign that it should."""
    return campaign.success and not campaign.left_to and not campaign.count(Result.DEFERRED, Result.HELD)


def new_failed_rollbacks(report: SyncReport, earlier: SyncReport | None) -> dict[str, int]:
    """Return the number of rollbacks that failed since an earlier report of the same run; empty if there are none."""
    count = _failed_rollbacks(report) - (_failed_rollbacks(earlier) if earlier else 0)
    return {ROLLBACK_FAILED: count} if count > 0 and not report.dry_run else {}


def _failed_rollbacks(campaign: SyncReport) -> int:
    recovered = sum(recovery.state is ChangeState.ROLLBACK_FAILED for recovery in campaign.recovered)
    return len(campaign.with_result(Result.ROLLBACK_FAILED)) + recovered
