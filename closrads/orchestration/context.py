"""The context of a run and of each of its campaigns, which all parts of the orchestrator share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from closrads.clock import Clock
from closrads.domain.adset_results import AdSetResult
from closrads.domain.changes import PreviousOutcomes
from closrads.domain.plan_id import Plan, PlannedChange
from closrads.domain.request import RunRequest
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.sync_report import SyncReport
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.plans import Plans
from closrads.ledger.runs import Runs
from closrads.meta.graph import UsageMeter
from closrads.meta.rate_limit import AccountQuota
from closrads.rollout.job import Job

CAMPAIGNS_AT_ONCE = 10
"""Maximum number of CLOSRADS campaigns in progress, and of Meta campaigns being read for one of them."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What earlier invocations of the same run have completed; empty if there were none."""

    completed: Mapping[str, AdSetResult] = field(default_factory=dict)
    """Results by ad set id."""
    waves: Sequence[Sequence[AdSetResult]] = ()
    """The results of each of their waves."""


@dataclass(frozen=True, slots=True)
class Run:
    """The context that the campaigns of one invocation share."""

    run_id: str
    request: RunRequest
    settings: Settings
    clock: Clock
    table: Table
    """The ledger's table."""
    started_at: datetime
    """When the run started, in the first of the invocations that share it."""
    max_quota_wait_seconds: float = math.inf
    """Maximum time to wait for Meta's quota."""
    meter: UsageMeter = field(default_factory=UsageMeter)
    planned: dict[str, tuple[PlannedChange, ...]] = field(default_factory=dict)
    """The changes that the sync of each campaign has planned, by slug; absent if it could not plan."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why none of the planned changes may be started, by slug of the campaign."""
    _quotas: dict[str, AccountQuota] = field(default_factory=dict)

    def quota(self, account: str) -> AccountQuota:
        """Return the quota of an ad account, which campaigns may share."""
        return self._quotas.setdefault(account, AccountQuota(account, self.clock.now, self.max_quota_wait_seconds))

    @property
    def ledger(self) -> Ledger:
        """The changes of ad sets."""
        return Ledger(self.table)

    @property
    def leases(self) -> Leases:
        """The leases of campaigns."""
        return Leases(self.table)

    @property
    def runs(self) -> Runs:
        """The stored runs."""
        return Runs(self.table)

    @property
    def plans(self) -> Plans:
        """The plans of dry runs."""
        return Plans(self.table)

    @property
    def plan(self) -> Plan:
        """All changes that this run has planned."""
        changes = (change for slug in sorted(self.planned) for change in self.planned[slug])
        return Plan(tuple(changes), self.request.campaigns, self.request.force)

    def new_report(self, campaign: CampaignConfig) -> SyncReport:
        """Return the empty report of a campaign."""
        account = campaign.fb_ad_account_id
        return SyncReport(campaign.slug, campaign.name, self.request.dry_run, fb_ad_account_id=account)


@dataclass(frozen=True, slots=True)
class CampaignContext:
    """The context of everything that a run does for one campaign."""

    campaign: CampaignConfig
    run: Run
    job: Job
    """What the rollout of its changes needs."""
    open_elsewhere: frozenset[str] = frozenset()
    """Ids of the ad sets that had open changes of another campaign with the same Meta campaign when this one began."""

    def previous_outcomes(self) -> PreviousOutcomes:
        """Return what the ledger knows of earlier runs; nothing without a ledger, as in a dry run."""
        if not self.run.settings.ledger_table:
            return PreviousOutcomes({})
        return self.job.ledger.previous_outcomes(self.campaign.slug)
