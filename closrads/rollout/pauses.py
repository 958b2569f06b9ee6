"""Ads that were paused after a change, without an issue and without a known actor: recorded, then followed up."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from closrads.domain.adsets import GONE_STATUSES, AdSetSnapshot
from closrads.domain.changes import UnexplainedPause, with_ads_off
from closrads.domain.health import StatusChange, explained_as_metas, still_unexplained
from closrads.domain.opt_out import matching_pattern
from closrads.errors import LedgerError, MetaError
from closrads.facebook_client import Republished, republish_ads
from closrads.meta.activity_log import read_status_changes
from closrads.meta.adsets import read_adsets
from closrads.observability import logger
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.job import Job


def keep_unexplained_pauses(job: Job, runs: Iterable[ChangeRun]) -> None:
    """Record the ads that were paused by an unknown actor; every report lists them until they are explained.

    They are added to those of earlier changes, which a new change does not find: the ads were already off before it.
    """
    found: dict[str, UnexplainedPause] = {}
    for run in runs:
        if ads := {finding.ad.id: finding.ad.name for finding in run.unexplained}:
            seen_on = {ad.id: ad.seen_on for ad in run.protected if ad.id in ads}
            name, since = run.change.before.name, run.change.prepared_at
            found[run.id] = UnexplainedPause(run.id, name, ads, since, seen_on=seen_on)
    if not found:
        return
    job.new_pauses.update(found)
    try:
        earlier = {each.adset_id: each for each in job.ledger.previous_outcomes(job.campaign).unexplained}
    except LedgerError as error:
        logger.error("ledger.unexplained_not_kept", extra={"adsets": [*found], "error": str(error)})
        return
    _keep(job, [pause.joining(earlier.get(adset_id)) for adset_id, pause in found.items()])


def _keep(job: Job, pauses: Sequence[UnexplainedPause]) -> None:
    try:
        for pause in pauses:
            job.ledger.keep_unexplained(job.campaign, pause)
    except LedgerError as error:
        adsets = [pause.adset_id for pause in pauses]
        logger.error("ledger.unexplained_not_kept", extra={"adsets": adsets, "error": str(error)})


def note_ads_on(
    job: Job, pauses: Sequence[UnexplainedPause], runs: Iterable[ChangeRun], *, dry_run: bool
) -> tuple[UnexplainedPause, ...]:
    """Return the pauses with ads that are still off; record which ads are on again, unless it is a dry run.

    Parameters
    ----------
    pauses
        Those that earlier runs have recorded.
    runs
        The changes of the ad sets that have just been read.
    """
    now = job.api.clock.now()
    known = _known_pauses(job, pauses)
    on = {run.id: {ad.id for ad in run.now.ads if ad.is_on} for run in runs}
    left = {pause.adset_id: pause.followed({}, on.get(pause.adset_id, ()), now) for pause in known}
    if not dry_run:
        _record(job, known, left)
    return with_ads_off(left.values())


def _known_pauses(job: Job, recorded: Iterable[UnexplainedPause]) -> Sequence[UnexplainedPause]:
    """Return the recorded pauses, joined with those that this run has found since they were read."""
    known = {pause.adset_id: pause for pause in recorded}
    for adset_id, pause in job.new_pauses.items():
        known[adset_id] = pause.joining(known.get(adset_id))
    return [*known.values()]


def _record(job: Job, before: Iterable[UnexplainedPause], now: Mapping[str, UnexplainedPause | None]) -> None:
    """Record what has become of pauses, given by ad set id."""
    changed = {pause.adset_id: now[pause.adset_id] for pause in before if now[pause.adset_id] != pause}
    _keep(job, [pause for pause in changed.values() if pause is not None])
    _forget(job, [adset_id for adset_id, pause in changed.items() if pause is None])


def _forget(job: Job, adsets: Sequence[str]) -> None:
    try:
        for adset_id in adsets:
            job.ledger.forget_unexplained(job.campaign, adset_id)
    except LedgerError as error:
        logger.error("ledger.unexplained_not_forgotten", extra={"adsets": adsets, "error": str(error)})


def follow_up_pauses(
    job: Job, pauses: Sequence[UnexplainedPause], adsets: Sequence[AdSetSnapshot], *, dry_run: bool
) -> tuple[UnexplainedPause, ...]:
    """Return the pauses that are still unexplained or that Meta has caused; record what has become of them.

    Ads that Meta has paused are switched on again; they are reported until a later run has seen them on. An ad that is
    on again is followed for another day. A dry run changes neither ads nor ledger.

    Parameters
    ----------
    pauses
        Those that earlier runs have recorded.
    adsets
        The ad sets that have just been read.
    """
    pauses = _known_pauses(job, pauses)
    if not pauses:
        return ()
    now: dict[str, AdSetSnapshot | MetaError] = {adset.id: adset for adset in adsets if adset.ads}
    unlisted = [pause for pause in pauses if pause.adset_id not in now]  # such as one that a person has switched off
    stubs = [AdSetSnapshot(each.adset_id, each.adset_name, "", "", {}) for each in unlisted]
    now |= read_adsets(job.api, stubs, reserve=math.inf)
    since = [pause.since for pause in pauses if _has_ads_off(pause, now[pause.adset_id])]
    log = read_status_changes(job.api, min(since)) if since else ()
    at = job.api.clock.now()
    still = {pause.adset_id: _still_unexplained(pause, now[pause.adset_id], log, at) for pause in pauses}
    left = with_ads_off(still.values())
    if dry_run:
        return left
    _record(job, pauses, still)
    job.new_pauses.clear()  # they are among `pauses`
    return _switch_on_again(job, left, now, log)


def _has_ads_off(pause: UnexplainedPause, now: AdSetSnapshot | MetaError) -> bool:
    """Return whether an ad of the pause is off, which only the activity log can explain."""
    ads = () if isinstance(now, MetaError) else now.ads
    return any(ad.status == "PAUSED" and (ad.id in pause.ads or ad.id in pause.on_again) for ad in ads)


def _still_unexplained(
    pause: UnexplainedPause, now: AdSetSnapshot | MetaError, log: Sequence[StatusChange], at: datetime
) -> UnexplainedPause | None:
    """Return what is left of the pause; all of it if its ad set exists but cannot be read."""
    if isinstance(now, MetaError):
        return None if now.is_missing else pause
    return None if now.effective_status in GONE_STATUSES else still_unexplained(pause, now.ads, log, at)


def _switch_on_again(
    job: Job,
    pauses: Sequence[UnexplainedPause],
    now: Mapping[str, AdSetSnapshot | MetaError],
    log: Sequence[StatusChange],
) -> tuple[UnexplainedPause, ...]:
    """Re-publish the ads that Meta has paused, as the activity log shows only now; return the pauses with these noted.

    The change that broke such an ad may have been followed by a later one, which is not responsible for it. The regions
    stay as they are: those from before the newest change may be the very ones that broke the ad.
    """
    adsets = {
        each.id: each
        for each in now.values()
        if isinstance(each, AdSetSnapshot) and not (each.is_ended() or matching_pattern(each.names, job.skip_adsets))
    }
    found = {
        pause.adset_id: explained_as_metas(pause, adsets[pause.adset_id].ads, log)
        for pause in pauses
        if pause.adset_id in adsets
    }
    ads = {adset_id: each for adset_id, each in found.items() if each}
    done: Mapping[str, Republished] = {}
    if ads and job.has_capacity([adsets[adset_id] for adset_id in ads]):
        done = republish_ads(job.api, ads)
    on = {adset_id: outcome.confirmed for adset_id, outcome in done.items()}
    for adset_id, each in on.items():
        logger.warning("ads.switched_on", extra={"adset": adset_id, "ads": sorted(each)})
    at = job.api.clock.now()  # what was before does not explain a later pause
    left = [
        replace(pause, switched_on=ids, seen_on={**pause.seen_on, **dict.fromkeys(ids, at)})
        for pause in pauses
        for ids in [on.get(pause.adset_id, frozenset())]
    ]
    _keep(job, [pause for pause in left if pause.switched_on])
    return tuple(left)
