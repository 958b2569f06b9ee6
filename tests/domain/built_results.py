"""Results with what a test needs, and the usual in all the rest."""

from typing import Any

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from tests.world import START

PAUSE = UnexplainedPause("501", "Broad", {"601": "Spring"}, START)


def adset(result: Result = Result.UNCHANGED, *issues: str) -> AdSetResult:
    """Build what became of one ad set."""
    return AdSetResult("501", "Broad", result, issues=issues)


def recovery(found: ChangeState, state: ChangeState, *issues: str) -> Recovery:
    """Build what became of an earlier change."""
    return Recovery("run", "501", "Broad", found, state, issues)


def report(*adsets: AdSetResult, **more: Any) -> SyncReport:
    """Build what a run did with one campaign."""
    return SyncReport(**{"slug": "veterans", "campaign_name": "Veterans", "dry_run": False, "adsets": adsets, **more})


def run(*campaigns: SyncReport, **more: Any) -> RunResult:
    """Build a live run."""
    usual: dict[str, Any] = {"run_id": "r", "action": Action.SYNC, "dry_run": False, "started_at": START}
    return RunResult(**{**usual, "duration_ms": 4210, "campaigns": campaigns, **more})
