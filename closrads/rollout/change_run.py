"""The run of a change through its states, and the only sequence in which a targeting is written.

Every write, forward or rollback, in a run, a recovery or a recheck, goes through the same steps: write the regions onto
a fresh read, re-publish every running ad, wait, verify. A step takes the changes that are ready for it and returns each
in its next state; `_judged_forward`, `_judged_foreign` and `judged_back` decide on it from what the step found.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from closrads.concurrency import in_background, map_concurrently
from closrads.domain.adset_results import Result
from closrads.domain.adsets import LONG_AGO, Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import TRANSITIONS, Change, ChangeState, RollbackReason, UnexplainedPause
from closrads.domain.health import StatusChange, responsible_for, switched_off_by_meta
from closrads.domain.request import Action
from closrads.domain.targeting import misnamed_regions, region_keys
from closrads.errors import (
    AdSetChangedError,
    ClosradsError,
    LedgerError,
    MetaError,
    MetaOutcomeUnknownError,
    MetaRegionNameError,
    most_severe,
)
from closrads.facebook_client import (
    Republished,
    RepublishFailure,
    Verification,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    verify_ads_after_republish,
)
from closrads.ledger.changes import Ledger
from closrads.meta.adsets import read_adsets
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.meta.targeting_write import FRESH_SECONDS
from closrads.observability import log_defect, logger
from closrads.rollout.budget import points_needed, seconds_needed

WRITES_AT_ONCE = 10
"""Maximum number of concurrent writes in a wave; `rate_limit.MAX_CONCURRENT_CALLS` limits those of an ad account."""
RESULTS = {
    ChangeState.VERIFIED: Result.UPDATED,
    ChangeState.ROLLED_BACK: Result.REVERTED,
    ChangeState.ROLLBACK_FAILED: Result.ROLLBACK_FAILED,
    ChangeState.SUPERSEDED: Result.SUPERSEDED,
}
"""The result of an ad set, by the state in which its change ended; any other state means unverified."""
REAPPLIED = "Its ads broke in a rollback that was cut off: its new states were set again, and rolled back once more"
NEVER_TOOK_EFFECT = "This change never took effect: its ads broke for another reason"
VERIFY_ROUNDS = 2
"""The second round is for ads that were switched on during the first."""


@dataclass(frozen=True, slots=True)
class Job:
    """The context of a run on one campaign."""

    campaign: str
    """The campaign's slug."""
    run_id: str
    action: Action
    api: GraphApi
    ledger: Ledger
    wait_seconds: float
    """Seconds between a re-publish and its verification."""
    refuse_if_switched_off: Callable[[], None]
    """Called before each wave: raises a `PausedError` if nothing new may be begun, a `ConfigError` if it is unknown."""
    skip_adsets: tuple[str, ...] = ()
    """Patterns of the names of ad sets of which no change may be begun."""
    spaces_attempts: bool = False
    """Whether what was tried in vain is tried again at growing intervals only: in a recheck that nobody asked for."""

    def seconds_needed(self, adsets: Sequence[AdSetSnapshot]) -> float:
        """Return the seconds that these ad sets may take in total, including their rollback and the mail."""
        return seconds_needed(self.api, adsets, self.wait_seconds)

    def recall_tier(self, adsets: Sequence[AdSetSnapshot]) -> None:
        """Have the quota recall what earlier runs have learned of the access tier, if these ad sets depend on it."""
        quota = self.api.quota
        if quota.needs_recall and quota.seconds_until(points_needed(adsets)):
            try:
                quota.recall(self.ledger.known_tier(self.api.ad_account_id))
            except LedgerError as error:
                logger.warning("ledger.tier_unread", extra={"error": str(error)})

    def keep_tier(self) -> None:
        """Have later runs recall what this one has learned of the ad account's access tier, if that is new."""
        quota = self.api.quota
        if tier := quota.news:
            try:
                self.ledger.keep_tier(self.api.ad_account_id, tier)
            except LedgerError as error:
                logger.warning("ledger.tier_not_kept", extra={"error": str(error)})
            else:
                quota.recall(tier)

    def has_capacity(self, adsets: Sequence[AdSetSnapshot]) -> bool:
        """Return whether time and quota suffice to write these ad sets, and to roll them back."""
        in_time = self.api.clock.remaining() >= self.seconds_needed(adsets)
        return in_time and not self.api.quota.seconds_until(points_needed(adsets))


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
    """The ads that the change is responsible for: those that ran before, and those that it has re-published since."""
    resumes_rollback: bool = False
    """Whether an earlier run was cut off during the rollback, perhaps between its write and its re-publish."""
    never_took_effect: bool = False
    """Whether the new regions have never been seen at Meta: if ads are broken, it is not because of this change."""
    confirmed: frozenset[str] = frozenset()
    """Ids of the ads whose re-publish Meta has confirmed since the last write."""
    failures: tuple[RepublishFailure, ...] = ()
    """Re-publishes since the last write that were refused, or whose response was lost."""
    findings: tuple[AdFinding, ...] = ()
    """Health of the ads at the last verification."""
    log: tuple[StatusChange, ...] = ()
    """Status changes from the activity log, as last read."""
    stored: frozenset[str] = frozenset()
    """The region keys that Meta returned for our last write, even if others were sent."""
    is_foreign: bool = False
    """Whether somebody else has set the current regions: they are left alone, but the ads are still protected."""
    unknown: MetaOutcomeUnknownError | None = None
    """Why the outcome of the write is unknown; None if it is known."""
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
        is_known = self.reason is RollbackReason.ALREADY_BACK and self.change.reason
        return replace(self.change, before=before, reason=self.change.reason if is_known else self.reason)

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
        """The ad set before the change, with the ads that the change is responsible for as the ones that ran."""
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
        """The ads to re-publish without a confirmed re-publish, such as one whose pause the log explains only now."""
        return tuple(ad for ad in self.to_republish if ad.id not in self.confirmed)

    @property
    def unconfirmed(self) -> tuple[Ad, ...]:
        """The running ads whose re-publish Meta has not confirmed since the last write."""
        # A disapproved ad does not run, and Meta refuses its re-publish (Marketing API "Error Codes", 2490427).
        running = (ad for ad in self.now.active_ads if ad.effective_status != "DISAPPROVED")
        return tuple(ad for ad in running if ad.id not in self.confirmed)

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
        """Return the run as one whose regions somebody else has set."""
        return replace(self.with_issues(issue), is_foreign=True, unknown=None)

    def refused(self, *errors: MetaError) -> "ChangeRun":
        """Return the run with further errors of Meta."""
        return replace(self, refusals=self.refusals + errors)

    def written(self, adset: AdSetSnapshot) -> "ChangeRun":
        """Return the run after a write that returned `adset`; no re-publish is confirmed any more."""
        stored = region_keys(adset.targeting)
        return replace(self, now=adset, stored=stored, unknown=None, confirmed=frozenset(), failures=(), findings=())

    def republished(self, outcome: Republished) -> "ChangeRun":
        """Return the run after a re-publish."""
        run = self.refused(*(failure.error for failure in outcome.failures))
        known = {ad.id for ad in self.protected}
        added = (ad for ad in self.now.ads if ad.id in outcome.confirmed and ad.id not in known)
        return replace(
            run,
            confirmed=self.confirmed | outcome.confirmed,
            failures=outcome.failures,
            protected=(*self.protected, *(replace(ad, status="ACTIVE") for ad in added)),
        )

    def reread(self, adset: AdSetSnapshot) -> "ChangeRun":
        """Return the run with the ads of a new read; the targeting is still the written one."""
        return replace(self, now=replace(self.now, ads=adset.ads, read_at=adset.read_at))

    def unread(self, error: MetaError) -> "ChangeRun":
        """Return the run after a failed read of its ads: without it, no ad may be re-published."""
        failures = tuple(RepublishFailure(ad, error) for ad in self.to_republish)
        return self.republished(Republished(frozenset(), failures))

    def verified(self, verification: Verification) -> "ChangeRun":
        """Return the run after a verification."""
        now = replace(self.now, ads=verification.ads) if verification.ads else self.now
        protected = responsible_for(self.protected, now.ads, verification.log, self.change.prepared_at)
        return replace(
            self, now=now, protected=protected, findings=verification.findings, log=verification.log or self.log
        )


def begin(change: Change, now: AdSetSnapshot) -> ChangeRun:
    """Return the run of a recorded change, to be resumed from its state."""
    is_rolling_back = change.state is ChangeState.ROLLING_BACK
    return ChangeRun(change, change.state, now, change.before.active_ads, resumes_rollback=is_rolling_back)


# --- forward


def write(job: Job, run: ChangeRun) -> ChangeRun:
    """Write a change without retries. After a transient error, the outcome stays unknown for now."""
    return _guarded(partial(_write, job, patient=False), run)


def carry_through(job: Job, runs: Sequence[ChangeRun], *, keep_unexplained: bool = False) -> list[ChangeRun]:
    """Complete changes that may have been written: re-publish, verify, roll back those that cannot stay.

    Confirmed writes are re-published first; only then are the unknown ones retried. With `keep_unexplained`, an ad that
    was paused by an unknown actor is no reason to roll back.
    """
    verify_forward = partial(_verify_forward, keep_unexplained=keep_unexplained)
    step = partial(_run_batch, job)
    runs = step(_republish_forward, runs, _is_written)
    runs = _run_each(partial(_write, job, patient=True), runs, lambda run: run.unknown is not None)
    runs = step(_republish_forward, runs, _is_written)
    runs = step(_protect_ads, runs, lambda run: run.is_foreign and run.state.is_open)
    runs = step(verify_forward, runs, lambda run: run.state is ChangeState.REPUBLISHED and run.is_on_course)
    runs = record(job, runs)
    return roll_back(job, runs)


def _is_written(run: ChangeRun) -> bool:
    return run.state is ChangeState.WRITTEN and run.is_on_course


def _write(job: Job, run: ChangeRun, *, patient: bool) -> ChangeRun:
    regions = run.change.after.get("geo_locations", {}).get("regions", [])
    reserve = job.seconds_needed([run.now])
    may_be_sent = run.unknown is not None
    try:
        adset = update_adset_geo(job.api, run.now, regions, reserve=reserve, patient=patient, may_be_sent=may_be_sent)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaOutcomeUnknownError as error:
        if not patient:
            return replace(run, unknown=error)
        run = replace(run, unknown=None).refused(error.cause)
        return run.failed(RollbackReason.OUTCOME_UNKNOWN, str(error))
    except MetaError as error:
        return run.refused(error).in_state(ChangeState.NOT_WRITTEN).with_issues(str(error))
    return _judged_write(run.written(adset).in_state(ChangeState.WRITTEN))


def _judged_write(run: ChangeRun) -> ChangeRun:
    """Decide on a write by the regions that Meta has returned: their keys, and the names that it gives them."""
    if run.stored != run.change.new_regions:
        return run.failed(RollbackReason.STORED_DIFFERENTLY, "Meta stored different states than were sent")
    if misnamed := misnamed_regions(run.now.targeting):
        error = MetaRegionNameError("; ".join(misnamed))
        return run.refused(error).failed(RollbackReason.STORED_DIFFERENTLY, str(error))
    return run


def _republish_forward(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    with in_background(partial(record, job, runs)) as recorded:
        done = _republish(job, runs, job.seconds_needed([run.now for run in runs]))
    return [
        run.failed(RollbackReason.NOT_CONFIRMED, *map(str, run.failures))
        if run.failures
        else run.in_state(ChangeState.REPUBLISHED)
        for run in _as_recorded(done, recorded.result())
    ]


def _verify_forward(job: Job, runs: Sequence[ChangeRun], *, keep_unexplained: bool) -> list[ChangeRun]:
    reserve = job.seconds_needed([run.now for run in runs]) - job.wait_seconds
    with in_background(partial(record, job, runs)) as recorded:
        done = _verify(job, runs, reserve)
    return [_judged_forward(run, keep_unexplained=keep_unexplained) for run in _as_recorded(done, recorded.result())]


def _judged_forward(run: ChangeRun, *, keep_unexplained: bool) -> ChangeRun:
    """Decide on a change after its verification; if its ads could not be read, it stays open."""
    if bad := run.with_health(AdHealth.BROKEN):
        return run.failed(RollbackReason.ADS_BROKEN, *map(str, bad))
    if run.failures:
        return run.failed(RollbackReason.NOT_CONFIRMED, *map(str, run.failures))
    run = run.with_issues(*map(str, run.unexplained))
    if run.unexplained and not keep_unexplained:
        return run.failed(RollbackReason.PAUSE_UNEXPLAINED)
    if unreadable := run.with_health(AdHealth.UNREADABLE):
        return run.with_issues(*map(str, unreadable))
    if run.unconfirmed:
        return run.with_issues(*(f"Ad “{ad.name}” ({ad.id}): is not re-published yet" for ad in run.unconfirmed))
    return run.in_state(ChangeState.VERIFIED)


def _protect_ads(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Re-publish and verify the ads without touching the regions: our write may have preceded somebody else's."""
    read = read_adsets(job.api, [run.now for run in runs])
    seen = [run.written(adset) for run in runs if isinstance(adset := read[run.id], AdSetSnapshot)]
    unseen = [
        run.with_issues(f"Its ads were not re-published: {error}")
        for run in runs
        if isinstance(error := read[run.id], MetaError)
    ]
    done = _verify(job, _republish(job, seen, RESERVED_SECONDS), RESERVED_SECONDS)
    return [_judged_foreign(run) for run in done] + unseen


def _judged_foreign(run: ChangeRun) -> ChangeRun:
    """Mark a change as superseded once its ads are verified; otherwise it stays open."""
    run = run.with_issues(*map(str, run.with_health(AdHealth.BROKEN, AdHealth.UNEXPLAINED)))
    uncertain = (*run.failures, *run.with_health(AdHealth.UNREADABLE))
    if uncertain or run.unconfirmed:
        return run.with_issues(*map(str, uncertain))
    return run.in_state(ChangeState.SUPERSEDED)


# --- back


def roll_back(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Roll back the changes that have a reason for it, and record the outcome."""
    runs = _run_batch(job, announce_rollback, runs, lambda run: run.reason is not None and not run.is_foreign)
    runs = _restore(job, runs)
    if interrupted := [run.in_state(ChangeState.ROLLING_BACK) for run in runs if _is_broken_by_interruption(run)]:
        if job.has_capacity([run.now for run in interrupted]):
            interrupted = _restore(job, _run_each(partial(_reapply, job), interrupted, _is_rolling_back))
        runs = _merged(runs, interrupted)  # without capacity, the next run resumes the rollback as this one did
    for run in runs:
        if run.state is ChangeState.ROLLBACK_FAILED:
            logger.critical("adset.rollback_failed", extra={"adset": run.id, "issues": run.issues})
    return record(job, runs)


def _restore(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Put the original regions back and prove it; where somebody else has set the regions, only protect the ads."""
    step = partial(_run_batch, job)
    runs = _run_each(partial(_put_regions_back, job), runs, _has_to_be_written_back)
    runs = step(_protect_ads, runs, lambda run: _is_rolling_back(run) and run.is_foreign)
    return step(_prove_rollback, runs, lambda run: _is_rolling_back(run) and not run.is_foreign)


def _is_broken_by_interruption(run: ChangeRun) -> bool:
    """Return whether ads stay broken although the regions are back and Meta has confirmed every re-publish.

    The write of the interrupted rollback may have broken them like any other write, and then the original regions are
    not the ones under which they were sound.
    """
    is_back = region_keys(run.now.targeting) == run.change.old_regions
    failed = run.state is ChangeState.ROLLBACK_FAILED and run.resumes_rollback
    return failed and is_back and bool(run.with_health(AdHealth.BROKEN)) and not run.refusals


def _reapply(job: Job, run: ChangeRun) -> ChangeRun:
    """Set the new regions again, under which the ads were sound before the rollback, and re-publish the ads."""
    change = run.change
    run = replace(run, issues=(REAPPLIED,), reason=RollbackReason.ADS_BROKEN)
    now = replace(run.now, read_at=LONG_AGO)
    forth = replace(change.before, targeting=change.after)
    try:
        adset = rollback_geo(job.api, forth, now, {change.old_regions}, repeats=False)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaError as error:
        return run.refused(error).with_issues(str(error))
    return _republish(job, [run.written(adset)], RESERVED_SECONDS)[0]


def _is_rolling_back(run: ChangeRun) -> bool:
    return run.state is ChangeState.ROLLING_BACK


def _has_to_be_written_back(run: ChangeRun) -> bool:
    return _is_rolling_back(run) and not run.is_foreign and run.reason is not RollbackReason.ALREADY_BACK


def announce_rollback(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Record that changes are being rolled back, before the writes."""
    for run in runs:
        if run.state is not ChangeState.ROLLING_BACK:
            logger.warning("adset.rollback", extra={"adset": run.id, "reasons": run.issues})
    rolling_back = ChangeState.ROLLING_BACK
    return record(job, [run if run.state is rolling_back else run.in_state(rolling_back) for run in runs])


def keep_unexplained_pauses(job: Job, runs: Iterable[ChangeRun]) -> None:
    """Record the ads that were paused by an unknown actor; every report lists them until they are explained.

    They join those of earlier changes: an ad that was off before a change is not among that change's own.
    """
    found = [run for run in runs if run.unexplained]
    if not found:
        return
    try:
        earlier = {each.adset_id: each for each in job.ledger.previous_outcomes(job.campaign).unexplained}
        for run in found:
            ads = {finding.ad.id: finding.ad.name for finding in run.unexplained}
            pause = UnexplainedPause(run.id, run.change.before.name, ads, run.change.prepared_at)
            job.ledger.keep_unexplained(job.campaign, pause.joining(earlier.get(run.id)))
    except LedgerError as error:
        adsets = [run.id for run in found]
        logger.error("ledger.unexplained_not_kept", extra={"adsets": adsets, "error": str(error)})


def _put_regions_back(job: Job, run: ChangeRun) -> ChangeRun:
    """Restore the original regions within the current targeting; if Meta refuses, the ads are still protected."""
    change = run.change
    now = replace(run.now, read_at=LONG_AGO)  # forces a new read: a person may have changed the ad set since the write
    try:
        adset = rollback_geo(job.api, change.before, now, {change.new_regions, run.stored}, repeats=True)
    except AdSetChangedError as error:
        return run.foreign(str(error))
    except MetaError as error:
        known = not isinstance(error, MetaOutcomeUnknownError) and run.reason is not RollbackReason.OUTCOME_UNKNOWN
        what = "Its states were NOT restored" if known else "It is NOT known whether its states are as before"
        run = replace(run, confirmed=frozenset(), failures=())  # the links may be pending anew
        return run.refused(error).with_issues(f"{what}: {error}")
    return run.written(adset)


def _prove_rollback(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    done = _verify(job, _republish(job, runs, RESERVED_SECONDS), RESERVED_SECONDS)
    return [judged_back(run) for run in done]


def judged_back(run: ChangeRun) -> ChangeRun:
    """Decide on a rollback: only what Meta has confirmed and a later read has shown counts as restored."""
    broken, uncertain = run.with_health(AdHealth.BROKEN), (*run.with_health(AdHealth.UNREADABLE), *run.failures)
    is_restored = region_keys(run.now.targeting) == run.change.old_regions
    is_certain = is_restored and not (uncertain or run.unconfirmed)
    if is_certain and broken and run.never_took_effect:  # the recheck of the change before this one rolls that back
        return run.with_issues(NEVER_TOOK_EFFECT, *map(str, broken)).in_state(ChangeState.ROLLED_BACK)
    if broken or not is_certain:
        lead = ("Its targeting was restored, but not all ads are well",)
        if not is_restored:
            lead = ("Its states were NOT restored",)
        return run.with_issues(*lead, *map(str, (*broken, *uncertain))).in_state(ChangeState.ROLLBACK_FAILED)
    ads = "its ads are healthy" if not run.unexplained else "all other ads are healthy"
    return run.with_issues(f"Its targeting was restored and {ads}").in_state(ChangeState.ROLLED_BACK)


# --- the steps after every write


def _republish(job: Job, runs: Sequence[ChangeRun], reserve: float) -> list[ChangeRun]:
    """Re-publish the ads that run according to a fresh read, and those that Meta has paused."""
    oldest = job.api.clock.now() - timedelta(seconds=FRESH_SECONDS)
    read = read_adsets(job.api, [run.now for run in runs if run.now.read_at < oldest], reserve=reserve)
    unread = [run.unread(error) for run in runs if isinstance(error := read.get(run.id), MetaError)]
    fresh = [
        run if adset is None else run.reread(adset)
        for run in runs
        if not isinstance(adset := read.get(run.id), MetaError)
    ]
    read_at = min((run.now.read_at for run in fresh), default=LONG_AGO)
    outcomes = republish_ads(job.api, {run.id: run.to_republish for run in fresh}, read_at=read_at, reserve=reserve)
    return _merged(runs, [*unread, *(run.republished(outcomes[run.id]) for run in fresh)])


def _verify(job: Job, runs: Sequence[ChangeRun], reserve: float) -> list[ChangeRun]:
    """Verify the ads; re-publish and verify once more those that turn out to need a re-publish they have not had."""
    done = {run.id: run for run in runs}
    pending = [run for run in runs if run.now.ads or run.protected]
    for _ in range(VERIFY_ROUNDS):
        if not pending:
            break
        since = min(run.change.prepared_at for run in pending)
        before = [run.before for run in pending]
        seen = verify_ads_after_republish(job.api, before, job.wait_seconds, since=since, reserve=reserve)
        done |= {run.id: run.verified(seen[run.id]) for run in pending}
        late = [done[run.id] for run in pending if done[run.id].overlooked and not done[run.id].failures]
        pending = _republish(job, late, reserve) if late else []
        done |= {run.id: run for run in pending}
    return [done[run.id] for run in runs]


# --- steps, and the ledger


def _run_each(
    step: Callable[[ChangeRun], ChangeRun], runs: Sequence[ChangeRun], ready: Callable[[ChangeRun], bool]
) -> list[ChangeRun]:
    """Run a step concurrently for each change that is ready for it."""
    chosen = [run for run in runs if ready(run)]
    done = map_concurrently(partial(_guarded, step), chosen, WRITES_AT_ONCE)
    return _merged(runs, done)


def _run_batch(
    job: Job,
    step: Callable[[Job, Sequence[ChangeRun]], list[ChangeRun]],
    runs: Sequence[ChangeRun],
    ready: Callable[[ChangeRun], bool],
) -> list[ChangeRun]:
    """Run a step for all changes that are ready for it; after an unexpected exception, for each of them alone."""
    chosen = [run for run in runs if ready(run)]
    if not chosen:
        return list(runs)
    try:
        done = step(job, chosen)
    except Exception as error:  # noqa: BLE001 - ads may be unprotected, so a defect must not end the run
        done = (
            [run for one in chosen for run in _run_batch(job, step, [one], ready)]
            if len(chosen) > 1
            else [_defective(chosen[0], log_defect(error))]
        )
    return _merged(runs, done)


def _guarded(step: Callable[[ChangeRun], ChangeRun], run: ChangeRun) -> ChangeRun:
    try:
        return step(run)
    except Exception as error:  # noqa: BLE001 - a defect must not stop the others, and this one is rolled back
        return _defective(run, log_defect(error))


def _defective(run: ChangeRun, defect: str) -> ChangeRun:
    """Return a change after an unexpected exception: to be rolled back, or with a failed rollback."""
    if run.state is ChangeState.ROLLING_BACK:
        return run.with_issues(f"Its rollback did not end: {defect}").in_state(ChangeState.ROLLBACK_FAILED)
    return replace(run, unknown=None).failed(RollbackReason.DEFECT, defect)


def _merged(runs: Iterable[ChangeRun], done: Iterable[ChangeRun]) -> list[ChangeRun]:
    by_id = {run.id: run for run in done}
    return [by_id.get(run.id, run) for run in runs]


def _as_recorded(runs: Iterable[ChangeRun], recorded: Iterable[ChangeRun]) -> list[ChangeRun]:
    """Return the runs with the recorded changes and ledger errors of their counterparts in `recorded`."""
    by_id = {run.id: run for run in recorded}
    return [replace(run, change=by_id[run.id].change, unrecorded=by_id[run.id].unrecorded) for run in runs]


def record(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Record the state of each change, one transition at a time.

    A ledger error does not stop the work at Meta, which has priority: the change stays open for a later run.
    """
    done = {run.id: replace(run, unrecorded=None) for run in runs}
    while behind := [run for run in done.values() if run.change.state is not run.state and run.unrecorded is None]:
        moves = [(run.to_record, _next_on_the_way(run.change.state, run.state)) for run in behind]
        for run, (_, to), answer in zip(behind, moves, _move(job, moves), strict=True):
            if isinstance(answer, LedgerError):
                details = {"adset": run.id, "to": to.value, "error": str(answer)}
                logger.error("ledger.unrecorded", extra=details)
                done[run.id] = replace(run, unrecorded=answer)
            else:
                done[run.id] = replace(run, change=answer)
    return [done[run.id] for run in runs]


def _move(job: Job, moves: Sequence[tuple[Change, ChangeState]]) -> list[Change | LedgerError]:
    """Record one transition of each change; after an unexpected exception, of each of them alone."""
    try:
        return job.ledger.move(moves)
    except Exception as error:  # noqa: BLE001 - a defect must not stop the protection of ads at Meta
        defect = log_defect(error)
    if len(moves) == 1:
        return [LedgerError(defect)]
    return [answer for move in moves for answer in _move(job, [move])]


def _next_on_the_way(state: ChangeState, goal: ChangeState) -> ChangeState:
    """Return the first transition of the shortest path from one state to another."""
    ways = deque([(step, step) for step in sorted(TRANSITIONS[state])])
    seen = set(TRANSITIONS[state])
    while ways:
        first, at = ways.popleft()
        if at is goal:
            return first
        ways += ((first, step) for step in sorted(TRANSITIONS[at] - seen))
        seen |= TRANSITIONS[at]
    raise ValueError(f"No way leads from {state} to {goal}")
