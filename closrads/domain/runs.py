"""Runs as the ledger keeps them, and the progress of runs that several invocations share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from closrads.domain.request import Action, RunRequest
from closrads.domain.results import GraphUsage, RunResult, SyncReport

RUN_ID_TIME = "%Y%m%dT%H%M%SZ"
"""How the id of a run begins, so that the ids sort by time."""


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A run that several invocations share, as the first of them has written it down."""

    run_id: str
    request: RunRequest
    started_at: datetime
    campaigns: Mapping[str, str]
    """The names of the campaigns that it is for, by their slugs."""
    has_ended: bool = False
    ends_begun: int = 0
    """How many invocations have set about ending it."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A live run as it is remembered."""

    run_id: str
    action: Action
    campaigns: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    """None if it died, or is still at work; so is `result`."""
    result: RunResult | None


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """What one campaign's share of an open run has come to."""

    report: SyncReport
    graph: GraphUsage
    is_over: bool
    """Whether nothing more is to be done on the campaign in this run."""
