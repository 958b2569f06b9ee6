"""One ad set's change in progress, as an immutable value: its state, and everything known about it.

Only `forward.py` and `rollback.py` write a targeting: they write the regions onto a fresh read, then take the steps of
`steps.py`. Each step returns the value in its next state, and `recording.py` records that in the ledger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from closrads.domain.adset_results import Result
from closrads.domain.adsets import LONG_AGO, Ad, AdFinding, AdHealth, AdSetSnapshot, with_sightings
from closrads.domain.changes import TRANSITIONS, Change, ChangeState, RollbackReason
from closrads.domain.health import StatusChange, responsible_for, running, switched_off_by_meta
from closrads.domain.targeting import region_keys
from closrads.errors import ClosradsError, LedgerError, MetaError, MetaOutcomeUnknownError, most_severe
from closrads.facebook_client import Republished, RepublishFailure, Verification

RESULTS = {
    ChangeState.VERIFIED: Result.UPDATED,
    ChangeState.ROLLED_BACK: Result.REVERTED,
    ChangeState.ROLLBACK_FAILED: Result.ROLLBACK_FAILED,
    ChangeState.SUPERSEDED: Result.SUPERSEDED,
}
"""The result of an ad set, by the state in which its change ended; any other state means unverified."""


@dataclass(frozen=True, slots=True)
class ChangeRun:
    """A change in progress, as an immutable value; each step returns the next one."""

    change: Change
    """The change as recorded in the ledger."""
    state: ChangeState
    """Current state, even if not yet recorded."""
    now: AdSetSnapshot
    """The ad set as last read, with all its ads."""
    protected: tuple[Ad, ...]
    """The ads that the change is responsible for: those that ran before, and those that it has seen run since."""
    resumes_rollback: bool = False
    """Whether an earlier run was cut off during the rollback, perhaps between its write and its re-publish."""
    needs_no_write: bool = False
    """Whether the original regions are in place, and writing them once more would help no broken ad."""
    never_took_effect: bool = False
    """Whether the new regions have never been seen at Meta, so that this change cannot have broken any ad."""
    confirmed: frozenset[str] = frozenset()
    """Ids of the ads whose re-publish Meta has confirmed since the last write."""
    failures: tuple[RepublishFailure, ...] = ()
    """Re-publishes since the last write that were refused, or whose response was lost."""
    findings: tuple[AdFinding, ...] = ()
    """Health of the ads at the last verification."""
    log: tuple[StatusChange, ...] = ()
    """Status changes from the activity log, as last read."""
    log_read_at: datetime = LONG_AGO
    """When the activity log was read, or shortly before that."""
    stored: frozenset[str] = frozenset()
    """The region keys that our last write has set, as far as is known, even if others were sent."""
    is_foreign: bool = False
    """Whether somebody else has set the current regions: they are left alone, but the ads are still protected."""
    unknown: MetaOutcomeUnknownError | None = None
    """Why the outcome of the last write is unknown, and so the regions are; None if they are known."""
    reason: RollbackReason | None = None
    """Why the change is to be rolled back; None if it is not."""
    issues: tuple[str, ...] = ()
    """Messages for the report."""
    refusals: tuple[MetaError, ...] = ()
    """Meta's errors so far."""
    unrecorded: LedgerError | None = None
    """Why the current state could not be recorded; None if it could."""

    @property
    def id(self) -> str:
        """The ad set's id."""
        return self.change.before.id

    @property
    def to_record(self) -> Change:
        """The change with everything that the ledger has yet to record, except for the state."""
        before = replace(self.change.before, ads=self.protected)
        is_as_sent = self.stored in {self.change.new_regions, self.change.old_regions}
        return replace(
            self.change, before=before, reason=self.reason, stored=frozenset() if is_as_sent else self.stored
        )

    @property
    def has_unrecorded_sightings(self) -> bool:
        """Whether an ad has been seen on later than the ledger knows."""
        known = {ad.id: ad.seen_on for ad in self.change.before.ads}
        return any(ad.seen_on > known.get(ad.id, LONG_AGO) for ad in self.protected)

    @property
    def error(self) -> ClosradsError | None:
        """The error that decides whether the campaign may continue; None if there is none."""
        return most_severe(self.refusals) or self.unrecorded

    @property
    def is_on_course(self) -> bool:
        """Whether the change can still go forward."""
        return self.reason is None and self.unknown is None and not self.is_foreign

    @property
    def before(self) -> AdSetSnapshot:
        """The ad set before the change, with all ads that the change is responsible for as those that ran."""
        known = {ad.id for ad in self.protected}
        off = (ad for ad in self.change.before.ads if ad.id not in known)
        return replace(self.change.before, ads=(*self.protected, *off))

    @property
    def to_republish(self) -> tuple[Ad, ...]:
        """Every running ad without a confirmed re-publish, and every ad that Meta has paused since the change began."""
        off = switched_off_by_meta(self.protected, self.now.ads, self.log, self.change.prepared_at)
        return tuple({ad.id: ad for ad in (*self.unconfirmed, *off)}.values())

    @property
    def overlooked(self) -> tuple[Ad, ...]:
        """Ads that still need a re-publish, such as one whose pause the activity log has only now explained."""
        return tuple(ad for ad in self.to_republish if ad.id not in self.confirmed)

    @property
    def unconfirmed(self) -> tuple[Ad, ...]:
        """The running ads whose re-publish Meta has not confirmed since the last write."""
        # A disapproved ad does not run, and Meta refuses its re-publish (Marketing API "Error Codes", 2490427).
        eligible = (ad for ad in self.now.active_ads if ad.effective_status != "DISAPPROVED")
        return tuple(ad for ad in eligible if ad.id not in self.confirmed)

    @property
    def unexplained(self) -> tuple[AdFinding, ...]:
        """Findings on ads that were paused by an unknown actor since the change began."""
        return self.with_health(AdHealth.UNEXPLAINED)

    def with_health(self, *healths: AdHealth) -> tuple[AdFinding, ...]:
        """Return the findings with one of `healths`."""
        return tuple(finding for finding in self.findings if finding.health in healths)

    def in_state(self, state: ChangeState) -> "ChangeRun":
        """Return the run in `state`.

        Raises
        ------
        ValueError
            `TRANSITIONS` does not allow it.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"A change cannot go from {self.state} to {state}")
        return replace(self, state=state)

    def with_issues(self, *issues: str) -> "ChangeRun":
        """Return the run with further messages."""
        return replace(self, issues=self.issues + issues)

    def failed(self, reason: RollbackReason, *issues: str) -> "ChangeRun":
        """Return the run as one to be rolled back; an earlier reason takes precedence."""
        return replace(self.with_issues(*issues), reason=self.reason or reason)

    def foreign(self, issue: str) -> "ChangeRun":
        """Return the run as one whose regions somebody else has set: its ads are now examined under these."""
        return replace(self, issues=(issue,), is_foreign=True, unknown=None)

    def refused(self, *errors: MetaError) -> "ChangeRun":
        """Return the run with further errors of Meta, one of which may leave the outcome of a write unknown."""
        unknown = next((error for error in errors if isinstance(error, MetaOutcomeUnknownError)), self.unknown)
        return replace(self, refusals=self.refusals + errors, unknown=unknown)

    def written(self, adset: AdSetSnapshot) -> "ChangeRun":
        """Return the run after a write, ours or another one, that left `adset`; no re-publish counts any more."""
        stored = self.stored if self.is_foreign else region_keys(adset.targeting)
        run = self.seeing(adset)
        return replace(run, stored=stored, unknown=None, confirmed=frozenset(), failures=(), findings=())

    def republished(self, outcome: Republished, at: datetime) -> "ChangeRun":
        """Return the run after a re-publish that began at a given time; since then, the confirmed ads have been on."""
        run = self.refused(*(failure.error for failure in outcome.failures))
        on = (replace(ad, status="ACTIVE") for ad in self.now.ads if ad.id in outcome.confirmed)
        run = replace(run, confirmed=self.confirmed | outcome.confirmed, failures=outcome.failures).protecting(on)
        return run.with_sightings(dict.fromkeys(outcome.confirmed, at))

    def protecting(self, ads: Iterable[Ad]) -> "ChangeRun":
        """Return the run as responsible for further ads."""
        known = {ad.id for ad in self.protected}
        return replace(self, protected=(*self.protected, *(ad for ad in ads if ad.id not in known)))

    def seeing(self, adset: AdSetSnapshot) -> "ChangeRun":
        """Return the run after a read of its ad set: it is responsible for the ads that have run by now as well."""
        ran = (replace(ad, status="ACTIVE") for ad in adset.ads if ad.seen_on > LONG_AGO)
        run = replace(self, now=adset).protecting((*running(adset.ads), *ran))
        return run.with_sightings({ad.id: adset.read_at if ad.is_on else ad.seen_on for ad in adset.ads})

    def with_sightings(self, seen_on: Mapping[str, datetime]) -> "ChangeRun":
        """Return the run with times at which ads were on, by ad id; the latest of each counts."""
        return replace(self, protected=with_sightings(self.protected, seen_on))

    def reread(self, ads: tuple[Ad, ...], read_at: datetime) -> "ChangeRun":
        """Return the run with the ads of a new read; the targeting is still the written one."""
        return self.seeing(replace(self.now, ads=ads, read_at=read_at))

    def reading_log(self, log: tuple[StatusChange, ...], read_at: datetime) -> "ChangeRun":
        """Return the run with a newly read activity log."""
        return replace(self, log=log, log_read_at=read_at)

    def unread(self, error: MetaError) -> "ChangeRun":
        """Return the run after a failed read of its ads: without it, no ad may be re-published."""
        failures = tuple(RepublishFailure(ad, error) for ad in self.to_republish)
        return self.republished(Republished(frozenset(), failures), LONG_AGO)

    def verified(self, verification: Verification) -> "ChangeRun":
        """Return the run after a verification."""
        run = self.reread(verification.ads, verification.read_at) if verification.ads else self
        protected = responsible_for(run.protected, run.now.ads, verification.log, self.change.prepared_at)
        findings = verification.findings
        if verification.error and not findings:  # none ran, but somebody may have switched one on, or added one
            findings = tuple(AdFinding(ad, AdHealth.UNREADABLE, verification.error) for ad in self.now.ads)
        if verification.log:
            run = run.reading_log(verification.log, verification.read_at)
        return replace(run, protected=protected, findings=findings)


def begin(change: Change, now: AdSetSnapshot, log: tuple[StatusChange, ...] = ()) -> ChangeRun:
    """Return the run of a recorded change, to be resumed from its state."""
    protected = responsible_for(change.before.active_ads, now.ads, log, change.prepared_at)
    is_rolling_back = change.state is ChangeState.ROLLING_BACK
    run = ChangeRun(
        change,
        change.state,
        now,
        protected,
        resumes_rollback=is_rolling_back,
        stored=change.stored or change.new_regions,
    )
    return run.reading_log(log, now.read_at).seeing(now)
