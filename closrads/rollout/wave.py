"""Applies a wave of planned changes: reads the ad sets again, records, writes and completes their changes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from closrads.clock import MAX_RUN_SECONDS
from closrads.concurrency import map_concurrently
from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import LONG_AGO, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason
from closrads.domain.health import Actor, check_ad_health, pauses_to_explain, who_paused
from closrads.domain.plan import Decision, decide, leave_opted_out
from closrads.domain.targeting import _build_new_targeting
from closrads.errors import (
    ClosradsError,
    ConfigError,
    LedgerError,
    LedgerItemTooLargeError,
    MetaError,
    MetaFatalError,
    MetaInvalidError,
    MetaObjectError,
    MetaRateLimitError,
    MetaTransientError,
    PausedError,
)
from closrads.facebook_client import validate_adset_geo
from closrads.meta.activity_log import read_status_changes
from closrads.meta.adsets import read_adsets
from closrads.meta.graph import GraphApi
from closrads.meta.targeting_write import FRESH_SECONDS
from closrads.observability import log_defect
from closrads.rollout.change_run import RESULTS, ChangeRun, begin
from closrads.rollout.forward import carry_through, write
from closrads.rollout.guards import WRITES_AT_ONCE
from closrads.rollout.job import Job
from closrads.rollout.pauses import keep_unexplained_pauses

MAX_EQUAL_REFUSALS = 3
"""Consecutive ad sets refused for the same general reason after which no further one is tried."""
_VARIABLE_PARTS = re.compile(r"\d+|“[^”]*”|\"[^\"]*\"")
"""The parts of a message from Meta that differ between ad sets: ids and quoted names."""
_PAUSED_SINCE_PLANNED = "An ad was paused during the run, and it is not known that a person did that"
Reason = tuple[int | None, str]
"""What equal refusals have in common: Meta's code, and its subcode or message."""
FRESH_FOR = timedelta(seconds=FRESH_SECONDS)
"""Maximum age, at a write, of the read of the ad set that it is based on, and of the switches that allow it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one ad set, and what it implies for the others of the campaign."""

    result: AdSetResult
    error: ClosradsError | None = None
    """The most severe error, which may stop the rest of the campaign."""
    is_isolated: bool = False
    """Whether the reason of a failure is specific to this ad set."""
    transient_error: MetaRateLimitError | MetaTransientError | None = None
    """The temporary error because of which it was not started; None if there was none."""


@dataclass(slots=True)
class _Switches:
    """The switches of one wave: read before its first write, and again before a write that comes much later."""

    job: Job
    _read_at: datetime = LONG_AGO
    _are_on: bool = True

    def refuse_if_off(self) -> None:
        """Read the switches; raise as `Job.refuse_if_switched_off` does."""
        read_at = self.job.api.clock.now()
        self.job.refuse_if_switched_off()
        self._read_at = read_at

    def allow_write(self) -> bool:
        """Return whether one more write may be started; False stays False. Safe to call concurrently."""
        if self._are_on and self.job.api.clock.now() - self._read_at > FRESH_FOR:
            try:
                self.refuse_if_off()
            except (PausedError, ConfigError):
                self._are_on = False
        return self._are_on


def validate_change(api: GraphApi, change: Decision) -> Outcome:
    """Have Meta validate a planned change without applying it."""
    try:
        validate_adset_geo(api, change.adset, change.new_regions)
    except MetaError as error:
        return _not_done(change, error)
    return Outcome(change.to_result())


def apply_wave(job: Job, wave: Sequence[Decision]) -> dict[str, Outcome]:
    """Apply planned changes together, if a fresh read still calls for them; return the outcomes by ad set id.

    An ad set without an outcome was not started, for a temporary reason or one that concerns the whole campaign, such
    as a pause in the middle of the wave. Only a wave of a single ad set waits for Meta: in a larger one, that would
    delay the re-publish of all the others.

    Raises
    ------
    PausedError, ConfigError
        Nothing new may be started, or that is unknown; none of the wave was.
    """
    if len(wave) > 1:
        return _apply_together(job, wave)
    planned = wave[0]

    def attempt() -> dict[str, Outcome]:
        nonlocal planned
        outcomes = _apply_together(job, [planned])
        planned = replace(planned, adset=replace(planned.adset, read_at=LONG_AGO))  # a retry must read it again
        for outcome in outcomes.values():
            if outcome.transient_error:
                raise outcome.transient_error
        return outcomes

    reserve = max(job.seconds_needed([planned.adset]), job.api.wait_reserve)
    try:
        return job.api.retrying(attempt, reserve=reserve)
    except (MetaRateLimitError, MetaTransientError) as error:
        return {planned.adset.id: _not_done(planned, error)}


def concerns_all(error: ClosradsError | None) -> bool:
    """Return whether an error for one ad set would also occur for all others of its campaign."""
    return isinstance(error, LedgerError | MetaFatalError | MetaRateLimitError)


def common_reason(error: ClosradsError | None, name: str) -> Reason | None:
    """Return what makes this refusal equal to those of other ad sets; None if its reason is specific to this one.

    A code without a subcode may mean anything, so the message decides, apart from ids and the ad set's name.
    """
    if not isinstance(error, MetaInvalidError) or isinstance(error, MetaObjectError):
        return None
    said = _VARIABLE_PARTS.sub("", str(error).replace(name, "")) if error.subcode is None else str(error.subcode)
    return error.code, said


def _apply_together(job: Job, wave: Sequence[Decision]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    changes: dict[str, Decision] = {}
    for read in _read_again(job, wave):
        if isinstance(read, Outcome):
            outcomes[read.result.id] = read
        else:
            changes[read.adset.id] = read
    switches = _Switches(job)
    if changes:
        switches.refuse_if_off()
    if job.api.clock.remaining() < job.seconds_needed([change.adset for change in changes.values()]):
        return outcomes
    prepared: list[ChangeRun] = []
    for begun in _prepare(job, list(changes.values()), job.api.clock.now()):
        if isinstance(begun, Outcome):
            outcomes[begun.result.id] = begun
        else:
            prepared.append(begun)
    refused = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    done = carry_through(job, _send(job, prepared, refused, switches))
    keep_unexplained_pauses(job, done)
    for run in done:
        change = changes[run.id]
        if run.state is not ChangeState.NOT_WRITTEN:
            outcomes[run.id] = _outcome(change, run)
        elif run.refusals:
            outcomes[run.id] = _not_begun(change, run.refusals[-1])
    return outcomes


def _send(
    job: Job, prepared: Sequence[ChangeRun], refused: list[ClosradsError], switches: _Switches
) -> list[ChangeRun]:
    """Write changes concurrently; no write is started after an error that concerns the whole campaign.

    The same applies once somebody has paused the campaign, as the first writes of a wave may have taken long.
    """
    reasons: list[Reason | None] = []

    def send(run: ChangeRun) -> ChangeRun:
        is_refusing_all = any(reason and reasons.count(reason) >= MAX_EQUAL_REFUSALS for reason in list(reasons))
        is_stopped = is_refusing_all or any(map(concerns_all, list(refused)))
        if is_stopped or not switches.allow_write():
            return run.in_state(ChangeState.NOT_WRITTEN)
        done = write(job, run)
        if done.state is ChangeState.NOT_WRITTEN and done.error is not None:
            refused.append(done.error)
            reasons.append(common_reason(done.error, done.change.before.name))
        return done

    return map_concurrently(send, prepared, WRITES_AT_ONCE)


def _read_again(job: Job, wave: Sequence[Decision]) -> list[Decision | Outcome]:
    """Return each planned change based on a fresh snapshot, or its outcome if it is no longer to be changed.

    In a wave of several, an ad set whose read fails with a transient error is omitted.
    """
    oldest = job.api.clock.now() - FRESH_FOR
    alone = len(wave) == 1
    reserve = job.seconds_needed([wave[0].adset]) if alone else math.inf
    try:
        now = read_adsets(job.api, [each.adset for each in wave if each.adset.read_at < oldest], reserve=reserve)
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops these ad sets only
        issue = log_defect(error)
        return [Outcome(planned.to_result(Result.FAILED, (issue,))) for planned in wave]
    unclear = _with_unclear_pauses(job, wave, now, reserve)
    current: list[Decision | Outcome] = []
    for planned in wave:
        adset = now.get(planned.adset.id, planned.adset)
        if isinstance(adset, MetaTransientError) and not alone:
            continue  # waiting for it would make the others' snapshots stale
        if isinstance(adset, MetaError):
            not_read = _not_begun if isinstance(adset, MetaRateLimitError) else _not_done
            current.append(not_read(planned, adset))
            continue
        if adset.id in unclear:
            current.append(Outcome(planned.to_result(Result.DEFERRED, (_PAUSED_SINCE_PLANNED,))))
            continue
        decision = decide(
            adset, planned.regions, check_ad_health(adset), planned.replaces,
            adds_only=planned.adds_only, waiting=planned.waiting,
        )  # fmt: skip
        (decision,) = leave_opted_out([replace(decision, reverts=planned.reverts)], job.skip_adsets)
        current.append(decision if decision.is_change else Outcome(decision.to_result()))
    return current


def _with_unclear_pauses(
    job: Job, wave: Sequence[Decision], now: Mapping[str, AdSetSnapshot | MetaError], reserve: float
) -> frozenset[str]:
    """Return the ids of the ad sets with an ad that has been paused since the plan, as far as is known not by a person.

    A new change would not be responsible for that ad, and would cover the change that may be.
    """
    oldest = job.api.clock.now() - timedelta(seconds=MAX_RUN_SECONDS)
    paused = {
        planned.adset.id: (max(planned.adset.read_at, oldest), ads)
        for planned in wave
        if isinstance(adset := now.get(planned.adset.id), AdSetSnapshot)
        and (ads := pauses_to_explain(planned.adset.active_ads, adset.ads))
    }
    if not paused:
        return frozenset()
    log = read_status_changes(job.api, min(since for since, _ in paused.values()), reserve=reserve)

    def is_persons(ad_id: str, since: datetime) -> bool:
        row = who_paused(ad_id, log, since)
        return row is not None and row.actor is Actor.ADVERTISER

    return frozenset(
        adset_id for adset_id, (since, ads) in paused.items() if not all(is_persons(ad_id, since) for ad_id in ads)
    )


def _prepare(job: Job, changes: Sequence[Decision], now: datetime) -> list[ChangeRun | Outcome]:
    """Record the changes before their writes; return the run of each, or its outcome if it was not recorded."""
    try:
        prepared = [
            Change(
                campaign=job.campaign,
                run_id=job.run_id,
                action=job.action,
                before=change.adset,
                after=_build_new_targeting(change.adset.targeting, change.new_regions),
                state=ChangeState.PREPARED,
                prepared_at=now,
                changed_at=now,
                reverts=change.reverts,
            )
            for change in changes
        ]
        errors = job.ledger.prepare(prepared)
    except Exception as error:  # noqa: BLE001 - nothing was written: a defect stops one ad set only
        if len(changes) > 1:
            return [begun for change in changes for begun in _prepare(job, [change], now)]
        return [Outcome(change.to_result(Result.FAILED, (log_defect(error),))) for change in changes]
    return [
        _not_done(decision, error) if error else begin(change, decision.adset)
        for decision, change, error in zip(changes, prepared, errors, strict=True)
    ]


def _not_begun(change: Decision, error: MetaError) -> Outcome:
    """Return the outcome of a change that failed before its write."""
    transient_error = error if isinstance(error, MetaRateLimitError | MetaTransientError) else None
    return replace(_not_done(change, error), transient_error=transient_error)


def _not_done(change: Decision, error: ClosradsError) -> Outcome:
    result = Result.DEFERRED if isinstance(error, MetaRateLimitError) else Result.FAILED
    passed_on = None if isinstance(error, LedgerItemTooLargeError) else error
    return Outcome(change.to_result(result, (str(error),)), passed_on)


def _outcome(decision: Decision, run: ChangeRun) -> Outcome:
    end, issues = RESULTS.get(run.state, Result.UNVERIFIED), tuple(dict.fromkeys(run.issues))
    was_refused = run.reason is RollbackReason.NOT_CONFIRMED and all(
        isinstance(error, MetaInvalidError) for error in run.refusals
    )
    is_well = end is Result.UPDATED
    if run.unrecorded is not None and end is not Result.ROLLBACK_FAILED:
        end, issues = Result.UNVERIFIED, (*issues, f"The ledger does not know how it ended: {run.unrecorded}")
    return Outcome(decision.to_result(end, issues), run.error, is_isolated=was_refused or is_well)
