"""Drift since our last changes, from the ledger and Meta's activity log.

It is determined after all changes and affects nothing else: what cannot be read stays unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from closrads.concurrency import map_concurrently
from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import Change
from closrads.domain.drift import Drift, TargetingEdit, UnattributedDrift, attributed, find_drift, reaches_back
from closrads.domain.request import Action
from closrads.domain.runs import RUN_ID_TIME
from closrads.domain.sync_report import SyncReport
from closrads.errors import LedgerError
from closrads.ledger.changes import STARTED_AGAIN_WITHIN, Ledger
from closrads.meta.activity_log import read_targeting_edits
from closrads.meta.graph import READ_POINTS, RESERVED_SECONDS, GraphApi
from closrads.meta.tokens import read_app_id
from closrads.observability import log_defect, logger

AT_ONCE = 10
"""Maximum number of concurrent reads, one for each campaign or ad account."""
SPARED_SECONDS = 2 * RESERVED_SECONDS
"""Last seconds of an invocation, in which the activity log is no longer read."""
_BEGUN = frozenset({Result.UPDATED, Result.REVERTED, Result.FAILED, Result.UNVERIFIED, Result.ROLLBACK_FAILED})
"""Results of a sync that may have a change in the ledger, other than superseded ones."""

Key = tuple[str, str | None]
"""The id of an ad set, and the run of the change in question; None for its newest superseded change."""
Log = tuple[Sequence[TargetingEdit], str]
"""Rows of the activity log, and the id of our app."""


def with_drift(
    ledger: Ledger,
    run_id: str,
    action: Action,
    reports: Sequence[SyncReport],
    api_of: Callable[[str], GraphApi],
) -> tuple[SyncReport, ...]:
    """Return the reports of a live run with the drift that it encountered, and its actors.

    The ledger is read once per campaign with changes, the activity log once per ad account with drift.

    Parameters
    ----------
    api_of
        Returns the API object of a campaign, given by its slug.
    """
    try:
        found = map_concurrently(lambda report: _traces(ledger, run_id, action, report), reports, AT_ONCE)
        logs = _read_logs(reports, found, api_of)
        return tuple(
            _attributed(report, run_id, action, traces, logs[report.fb_ad_account_id]) if traces else report
            for report, traces in zip(reports, found, strict=True)
        )
    except Exception as error:  # noqa: BLE001 - all changes are done: a defect here must not make the run a failure
        log_defect(error)
        return tuple(reports)


def _traces(ledger: Ledger, run_id: str, action: Action, report: SyncReport) -> Mapping[Key, UnattributedDrift]:
    """Return the drift of a campaign's ad sets; the ledger is read only if there may be any."""
    everything: tuple[AdSetResult | Recovery, ...] = (*report.adsets, *report.recovered)
    keys = {key for outcome in everything if (key := _key(outcome, run_id, action))}
    missing: dict[str, set[str | None]] = {}
    for adset_id, of_run in keys:
        missing.setdefault(adset_id, set()).add(of_run)
    changes: dict[str, list[Change]] = {adset_id: [] for adset_id in missing}

    def find() -> dict[Key, UnattributedDrift]:
        return {key: found for key in keys if (found := find_drift(changes[key[0]], key[1]))}

    oldest_run = ""
    try:
        for change in ledger.newest_changes(report.slug, changes) if keys else ():
            if change.run_id < oldest_run:
                break
            adset_id = change.before.id
            changes[adset_id].append(change)
            if all(reaches_back(changes[adset_id], of_run) for of_run in missing.get(adset_id, ())):
                missing.pop(adset_id, None)
            if missing or oldest_run:
                continue
            if not (since := [drift.since for drift in find().values() if drift.until]):
                break
            # Not of somebody else if a run that was opened before the last change has made another one after it.
            oldest_run = f"{min(since) - STARTED_AGAIN_WITHIN:{RUN_ID_TIME}}"
    except LedgerError as error:
        logger.warning("ledger.drift_unread", extra={"campaign": report.slug, "error": str(error)})
        return {}
    return find()


def _key(outcome: AdSetResult | Recovery, run_id: str, action: Action) -> Key | None:
    """Return the key of the drift to look for; None if it is already known, or if there cannot be any."""
    if outcome.drift:
        return None
    if isinstance(outcome, Recovery):
        return None if outcome.state.is_open else (outcome.id, outcome.run_id)  # the run that died could not report it
    if outcome.result is Result.SUPERSEDED:
        return outcome.id, None if action is Action.RECHECK else run_id
    may_have_drift = action is Action.SYNC and outcome.result in _BEGUN and (outcome.added or outcome.removed)
    return (outcome.id, run_id) if may_have_drift else None


def _read_logs(
    reports: Sequence[SyncReport],
    found: Sequence[Mapping[Key, UnattributedDrift]],
    api_of: Callable[[str], GraphApi],
) -> dict[str, Log]:
    """Return the activity log of each ad account with drift, as far as time and quota allow to read it."""
    slugs: dict[str, str] = {}
    traces: dict[str, list[UnattributedDrift]] = {}
    for report, of_campaign in zip(reports, found, strict=True):
        if of_campaign:
            slugs.setdefault(report.fb_ad_account_id, report.slug)
            traces.setdefault(report.fb_ad_account_id, []).extend(of_campaign.values())
    logs = map_concurrently(lambda account: _read_log(api_of(slugs[account]), traces[account]), [*traces], AT_ONCE)
    return dict(zip(traces, logs, strict=True))


def _read_log(api: GraphApi, traces: Sequence[UnattributedDrift]) -> Log:
    if api.clock.remaining() < SPARED_SECONDS or api.quota.seconds_until(READ_POINTS):
        return (), ""
    adsets = {each.adset_id for each in traces}
    found = read_targeting_edits(api, min(each.since for each in traces))
    edits = [edit for edit in found if edit.adset_id in adsets]
    return edits, read_app_id(api) if edits else ""


def _attributed(
    report: SyncReport, run_id: str, action: Action, traces: Mapping[Key, UnattributedDrift], log: Log
) -> SyncReport:
    drifts = {key: attributed(found, *log) for key, found in traces.items()}

    def drift_of(outcome: AdSetResult | Recovery) -> Drift | None:
        key = _key(outcome, run_id, action)
        return drifts.get(key) if key else outcome.drift

    return replace(
        report,
        adsets=tuple(replace(adset, drift=drift_of(adset)) for adset in report.adsets),
        recovered=tuple(replace(recovery, drift=drift_of(recovery)) for recovery in report.recovered),
    )
