"""Runs as the ledger stores them, and the progress of runs that several invocations share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from closrads.domain.request import Action, RunRequest
from closrads.domain.results import GraphUsage, RunResult
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport

RUN_ID_TIME = "%Y%m%dT%H%M%SZ"
"""Format of the start of a run id, so that run ids sort by time."""


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A run that several invocations share, as the first of them recorded it."""

    run_id: str
    request: RunRequest
    started_at: datetime
    campaigns: Mapping[str, str]
    """Names of the run's campaigns, by slug."""
    switched_off: tuple[SwitchedOff, ...] = ()
    """The campaigns that were off when the run was opened."""
    has_ended: bool = False
    ends_begun: int = 0
    """Number of invocations that have started to close the run."""
    notices: tuple[str, ...] = ()
    """As in `Settings`, of which the other invocations read only some campaigns."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A live run, as the ledger stores it."""

    run_id: str
    action: Action
    campaigns: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    """None if the run died or is still in progress, as is `result`."""
    result: RunResult | None
    scheduled: datetime | None = None
    """The scheduled time of a sync of all campaigns; None for any other run, and in records of older versions."""


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """The progress of one campaign in an open run."""

    report: SyncReport
    graph: GraphUsage
    is_over: bool
    """Whether this run has finished with the campaign."""
