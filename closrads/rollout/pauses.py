"""Ads that were paused after a change, without an issue and without a known actor: recorded, then followed up."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from closrads.domain.adsets import GONE_STATUSES, LONG_AGO, Ad, AdSetSnapshot
from closrads.domain.changes import UnexplainedPause
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
    """Record the ads that were paused by an unknown actor: every sync reports them until they are explained.

    They are added to those of earlier changes, which a new change does not find: the ads were already off before it.
    """
    found = []
    for run in runs:
        if ads := {finding.ad.id: finding.ad.name for finding in run.unexplained}:
            seen_on = {ad.id: ad.seen_on for ad in run.protected if ad.id in ads}
            name, since = run.change.before.name, run.change.prepared_at
            found.append(UnexplainedPause(run.id, name, ads, since, seen_on=seen_on))
    now = job.pauses.add(found)
    if job.pauses.is_read:
        _keep(job, now)
    elif now:  # what is recorded must not be lost
        logger.error("ledger.unexplained_not_kept", extra={"adset": [pause.adset_id for pause in now]})


def note_ads_on(job: Job, runs: Iterable[ChangeRun], *, dry_run: bool) -> None:
    """Note which ads of unexplained pauses are on again, and record that, unless it is a dry run.

    That one is off once more is left to the next sync, which also looks for an explanation.

    Parameters
    ----------
    runs
        The changes of the ad sets that have just been read.
    """
    read = {run.id: run.now for run in runs if run.now.read_at > LONG_AGO}  # not after a write that failed
    on = {adset_id: {ad.id for ad in adset.ads if ad.is_on} for adset_id, adset in read.items()}
    known = {adset_id: pause for adset_id, pause in job.pauses.by_adset.items() if adset_id in read}
    now = {each: pause.followed({}, on[each], read[each].read_at) for each, pause in known.items()}
    _update(job, now, dry_run=dry_run)


def _update(job: Job, now: Mapping[str, UnexplainedPause | None], *, dry_run: bool) -> None:
    """Take in what has become of pauses, given by ad set id; record the differences, unless it is a dry run."""
    changed = {adset_id: pause for adset_id, pause in now.items() if pause != job.pauses.by_adset.get(adset_id)}
    job.pauses.update(changed)
    if not dry_run:
        _keep(job, [pause for pause in changed.values() if pause is not None])
        _forget(job, [adset_id for adset_id, pause in changed.items() if pause is None])


def _keep(job: Job, pauses: Collection[UnexplainedPause]) -> None:
    for pause in pauses:
        try:
            job.ledger.keep_unexplained(job.campaign, pause)
        except LedgerError as error:
            logger.error("ledger.unexplained_not_kept", extra={"adset": pause.adset_id, "error": str(error)})


def _forget(job: Job, adsets: Sequence[str]) -> None:
    for adset_id in adsets:
        try:
            job.ledger.forget_unexplained(job.campaign, adset_id)
        except LedgerError as error:
            logger.error("ledger.unexplained_not_forgotten", extra={"adset": adset_id, "error": str(error)})


def follow_up_pauses(job: Job, adsets: Sequence[AdSetSnapshot], *, dry_run: bool) -> None:
    """Look for an explanation of the known unexplained pauses, and record what has become of them.

    Ads that Meta has paused are switched on again; they are reported until a later run has seen them on. An ad that is
    on again is followed for another day. A dry run changes neither ads nor ledger.

    Parameters
    ----------
    adsets
        The ad sets that have just been read.
    """
    pauses = [*job.pauses.by_adset.values()]
    if not pauses:
        return
    now: dict[str, AdSetSnapshot | MetaError] = {adset.id: adset for adset in adsets if adset.ads}
    unlisted = [pause for pause in pauses if pause.adset_id not in now]  # such as one that a person has switched off
    stubs = [AdSetSnapshot(each.adset_id, each.adset_name, "", "", {}, _ads_of(each)) for each in unlisted]
    now |= read_adsets(job.api, stubs, reserve=math.inf)
    since = [pause.since for pause in pauses if _has_ads_off(pause, now[pause.adset_id])]
    log = read_status_changes(job.api, min(since)) if since else ()
    still = {pause.adset_id: _still_unexplained(pause, now[pause.adset_id], log) for pause in pauses}
    _update(job, still, dry_run=dry_run)
    if not dry_run:
        _switch_on_again(job, [pause for pause in still.values() if pause is not None], now, log)


def _ads_of(pause: UnexplainedPause) -> tuple[Ad, ...]:
    """Return the ads of the pause, so that one that Meta does not list is asked for."""
    return tuple(Ad(ad_id, pause.ads.get(ad_id, ""), "ACTIVE", "") for ad_id in (*pause.ads, *pause.on_again))


def _has_ads_off(pause: UnexplainedPause, now: AdSetSnapshot | MetaError) -> bool:
    """Return whether an ad of the pause is off, which only the activity log can explain."""
    ads = () if isinstance(now, MetaError) else now.ads
    return any(ad.status == "PAUSED" and (ad.id in pause.ads or ad.id in pause.on_again) for ad in ads)


def _still_unexplained(
    pause: UnexplainedPause, now: AdSetSnapshot | MetaError, log: Sequence[StatusChange]
) -> UnexplainedPause | None:
    """Return what is left of the pause; all of it if its ad set exists but cannot be read."""
    if isinstance(now, MetaError):
        return None if now.is_missing else pause
    return None if now.effective_status in GONE_STATUSES else still_unexplained(pause, now, log)


def _switch_on_again(
    job: Job,
    pauses: Sequence[UnexplainedPause],
    now: Mapping[str, AdSetSnapshot | MetaError],
    log: Sequence[StatusChange],
) -> None:
    """Re-publish the ads that Meta has paused, as the activity log shows only now.

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
    at = job.api.clock.now()  # what was before does not explain a later pause
    done: Mapping[str, Republished] = {}
    if ads and job.has_capacity([adsets[adset_id] for adset_id in ads]):
        done = republish_ads(job.api, ads)
    on = {adset_id: outcome.confirmed for adset_id, outcome in done.items()}
    for adset_id, each in on.items():
        logger.warning("ads.switched_on", extra={"adset": adset_id, "ads": sorted(each)})
    noted = [
        replace(pause, switched_on=ids, seen_on={**pause.seen_on, **dict.fromkeys(ids, at)})
        for pause in pauses
        if (ids := on.get(pause.adset_id, frozenset()))
    ]
    _update(job, {pause.adset_id: pause for pause in noted}, dry_run=False)
