"""What earlier runs have left at Meta: changes that were never finished, and changes whose ads broke afterwards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adsets import Ad, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import check_ad_health, compare_ads, still_to_protect
from closrads.domain.results import AdSetResult, Recovery, Result
from closrads.domain.targeting import region_keys, states
from closrads.errors import MetaError
from closrads.facebook_client import read_ads, refresh
from closrads.observability import log_defect, logger
from closrads.rollout.budget import points_needed, reserve_capacity
from closrads.rollout.change_run import RESULTS, Attempt, Job, note, put_back, see_through

_GONE = frozenset({"ARCHIVED", "DELETED"})
_ROLLING_BACK = frozenset({ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED})


def report_open(changes: Sequence[Change]) -> tuple[Recovery, ...]:
    """Report open changes without touching them."""
    return tuple(_recovery(change, change.state, ()) for change in changes)


def recover(job: Job, changes: Sequence[Change], wave_size: int) -> tuple[Recovery, ...]:
    """Look up each open change at Meta and finish it, undo it, or leave the ad set to whoever changed it since."""
    recoveries: list[Recovery] = []
    for part, why_none in _parts(job, changes, wave_size):
        if why_none:
            recoveries += (_recovery(change, change.state, (why_none,)) for change in part)
        else:
            recoveries += _recover_together(job, part)
    for recovery in recoveries:
        logger.warning(
            "change.recovered",
            extra={
                "adset": recovery.id,
                "run": recovery.run_id,
                "found": recovery.found.value,
                "state": recovery.state.value,
                "issues": recovery.issues,
            },
        )
    return tuple(recoveries)


def _parts(job: Job, changes: Sequence[Change], wave_size: int) -> Iterator[tuple[Sequence[Change], str]]:
    """Yield as many changes at a time as there is room for, or those that there is none for, with the reason."""
    rest = list(changes)
    while rest:
        adsets = [change.before for change in rest[:wave_size]]
        room = reserve_capacity(job.api, adsets, job.wait_seconds)
        if not room.size:
            size = 1 if room.never else len(rest)
            yield rest[:size], room.why_none
            rest = rest[size:]
            continue
        try:
            yield rest[: room.size], ""
        finally:
            job.api.quota.release(points_needed(adsets[: room.size]))
        rest = rest[room.size :]


def _recover_together(job: Job, changes: Sequence[Change]) -> list[Recovery]:
    attempts: dict[str, Attempt] = {}
    unseen: dict[str, str] = {}
    now = refresh(job.api, [change.before for change in changes])
    for change in changes:
        there = now[change.before.id]
        if isinstance(there, MetaError):
            unseen[change.before.id] = f"It could not be looked up at Meta: {there}"
            continue
        try:
            attempts[change.before.id] = _take_up(change, there)
        except Exception as error:  # noqa: BLE001 - a defect leaves this change open, and the others are taken up
            unseen[change.before.id] = log_defect(error)
    # Before anything is written, for what Meta does to the ads from now on is these changes' doing too.
    note(job, [(attempt, attempt.change.state) for attempt in attempts.values()])
    unseen |= {adset_id: str(attempt.unrecorded) for adset_id, attempt in attempts.items() if attempt.unrecorded}
    see_through(job, [attempt for attempt in attempts.values() if attempt.unrecorded is None])
    return [
        _recovery(change, change.state, (unseen[change.before.id],))
        if change.before.id in unseen
        else _recovery(change, *_state_and_issues(attempts[change.before.id]))
        for change in changes
    ]


def _state_and_issues(attempt: Attempt) -> tuple[ChangeState, tuple[str, ...]]:
    """Return the state that the ledger knows, for other runs go by that; a rollback that failed is told in any case."""
    issues = tuple(dict.fromkeys(attempt.issues))
    if attempt.unrecorded is not None:
        issues += (f"It will be looked at once more, for the ledger could not be told: {attempt.unrecorded}",)
    if attempt.end is ChangeState.ROLLBACK_FAILED:
        return attempt.end, issues
    return attempt.change.state, issues


def _take_up(change: Change, now: AdSetSnapshot) -> Attempt:
    """Return the change as an attempt at the point where it has to be gone on with; PURE."""
    protected = still_to_protect(change, now.ads)
    attempt = Attempt(replace(change, before=protected.adset), protected.adset, issues=list(protected.notes))
    attempt.was_cut_off = change.state is ChangeState.ROLLING_BACK
    present = region_keys(now.targeting)
    if now.effective_status in _GONE:
        attempt.issues.append(f"The ad set is {now.effective_status} now")
        attempt.adset = replace(attempt.adset, ads=())
        attempt.end = ChangeState.SUPERSEDED
    elif present == region_keys(change.before.targeting):
        attempt.is_back = attempt.to_put_back = True
        if change.state is ChangeState.PREPARED and _is_well(protected.adset, now):
            attempt.issues.append("Nothing had been changed")
            attempt.to_put_back = False
            attempt.end = ChangeState.NOT_WRITTEN
    elif present != region_keys(change.after):
        attempt.issues.append("Somebody changed its states meanwhile: they stay as they are now")
        attempt.end = ChangeState.SUPERSEDED
    elif change.state in _ROLLING_BACK:
        attempt.to_put_back = True
    return attempt


def _is_well(protected: AdSetSnapshot, now: AdSetSnapshot) -> bool:
    """Tell whether every ad that ought to run does."""
    sick = {finding.ad.id for finding in check_ad_health(now)}
    return {ad.id for ad in protected.ads} <= {ad.id for ad in now.active_ads} - sick


def _recovery(change: Change, state: ChangeState, issues: tuple[str, ...]) -> Recovery:
    return Recovery(change.run_id, change.before.id, change.before.name, change.state, state, issues)


def outcome_of(change: Change) -> AdSetResult | None:
    """Return what a change has come to, None if it is open or nothing was changed."""
    if change.state.is_open or change.state is ChangeState.NOT_WRITTEN:
        return None
    return _result(change, RESULTS[change.state], ())


def recheck(job: Job, changes: Sequence[Change], wave_size: int, *, dry_run: bool) -> tuple[AdSetResult, ...]:
    """Look again at ad sets that were changed and verified, and put back those whose ads broke since."""
    results: list[AdSetResult] = []
    for part, why_none in _parts(job, changes, wave_size):
        if why_none:
            results += (_result(change, Result.DEFERRED, (why_none,)) for change in part)
        else:
            results += _recheck_together(job, part, dry_run=dry_run)
    return tuple(results)


def _recheck_together(job: Job, changes: Sequence[Change], *, dry_run: bool) -> list[AdSetResult]:
    ads = read_ads(job.api, [change.before.id for change in changes])
    looks = [_look_again(change, ads[change.before.id]) for change in changes]
    if not dry_run:
        sick = [look.attempt for look in looks if look.attempt.to_put_back]
        # Only with the ledger's knowledge: else no other run would look at an ad set whose way back is cut off.
        note(job, [(attempt, ChangeState.ROLLING_BACK) for attempt in sick])
        put_back(job, [attempt for attempt in sick if attempt.unrecorded is None])
    return [_result(look.attempt.change, look.result, look.issues) for look in looks]


@dataclass(frozen=True, slots=True)
class _Look:
    attempt: Attempt
    seen: Result
    """What the ads show; if that is `REVERTED`, it is what would be."""

    @property
    def result(self) -> Result:
        """What became of the ad set; what the ledger could not be told of needs another look."""
        if self.attempt.unrecorded is not None and self.attempt.end is not ChangeState.ROLLBACK_FAILED:
            return Result.UNVERIFIED
        return self.seen if self.attempt.end is None else RESULTS[self.attempt.end]

    @property
    def issues(self) -> tuple[str, ...]:
        """What there is to say about it."""
        issues = tuple(dict.fromkeys(self.attempt.issues))
        return issues if self.attempt.unrecorded is None else (*issues, str(self.attempt.unrecorded))


def _look_again(change: Change, ads: Mapping[str, Ad] | MetaError) -> _Look:
    """Judge the ads of a change that was verified; PURE."""
    if isinstance(ads, MetaError):
        return _Look(Attempt(change, change.before, issues=[f"Its ads could not be read: {ads}"]), Result.UNVERIFIED)
    protected = still_to_protect(change, ads.values())
    attempt = Attempt(replace(change, before=protected.adset), protected.adset, issues=list(protected.notes))
    findings = compare_ads(protected.adset, ads)
    bad = [finding for finding in findings if finding.health is AdHealth.BROKEN]
    unclear = [finding for finding in findings if finding.health is AdHealth.UNREADABLE]
    attempt.issues += map(str, bad or unclear)
    attempt.to_put_back = bool(bad)
    return _Look(attempt, Result.REVERTED if bad else Result.UNVERIFIED if unclear else Result.UNCHANGED)


def _result(change: Change, result: Result, issues: tuple[str, ...]) -> AdSetResult:
    """Return an outcome, with the states that the change had added and taken away."""
    before, after = region_keys(change.before.targeting), region_keys(change.after)
    return AdSetResult(
        id=change.before.id,
        name=change.before.name,
        result=result,
        added=states(after - before),
        removed=states(before - after),
        ads=len(change.before.ads),
        issues=issues,
        meta_campaign_id=change.before.meta_campaign_id,
    )
