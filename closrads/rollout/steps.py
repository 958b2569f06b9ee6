"""The steps after every write of a targeting: re-publish every running ad, wait, verify.

They are the same for an update and its rollback, in a run, a recovery and a recheck. Each takes the changes that are
ready for it, and returns them with its findings.
"""

from collections.abc import Sequence
from datetime import timedelta

from closrads.domain.adsets import LONG_AGO, AdHealth, AdSetSnapshot
from closrads.domain.changes import ChangeState
from closrads.errors import MetaError
from closrads.facebook_client import republish_ads, verify_ads_after_republish
from closrads.meta.activity_log import read_status_changes
from closrads.meta.adsets import read_ads, read_adsets
from closrads.meta.graph import RESERVED_SECONDS
from closrads.meta.targeting_write import FRESH_SECONDS
from closrads.rollout.change_run import ChangeRun
from closrads.rollout.guards import merged
from closrads.rollout.job import Job

VERIFY_ROUNDS = 2
"""Maximum number of verifications; the second is for ads that were switched on during the first."""


def republish(job: Job, runs: Sequence[ChangeRun], reserve: float) -> list[ChangeRun]:
    """Re-publish the ads that run according to a fresh read, and those that Meta has paused by a fresh activity log."""
    read_at = job.api.clock.now()
    oldest = read_at - timedelta(seconds=FRESH_SECONDS)
    stale = {run.id: run.now.active_ads for run in runs if run.now.read_at < oldest}
    read = read_ads(job.api, stale, reserve) if stale else {}
    unread = [run.unread(error) for run in runs if isinstance(error := read.get(run.id), MetaError)]
    fresh = [
        run if ads is None else run.reread(ads, read_at)
        for run in runs
        if not isinstance(ads := read.get(run.id), MetaError)
    ]
    fresh = _with_fresh_log(job, fresh, reserve)
    read_at = min((run.now.read_at for run in fresh), default=LONG_AGO)
    began = job.api.clock.now()
    outcomes = republish_ads(job.api, {run.id: run.to_republish for run in fresh}, read_at=read_at, reserve=reserve)
    return merged(runs, [*unread, *(run.republished(outcomes[run.id], began) for run in fresh)])


def _with_fresh_log(job: Job, runs: Sequence[ChangeRun], reserve: float) -> list[ChangeRun]:
    """Read the activity log again if an old one says that Meta has paused an ad which would now be switched on."""
    read_at = job.api.clock.now()
    oldest = read_at - timedelta(seconds=FRESH_SECONDS)
    stale = [run for run in runs if run.log_read_at < oldest and any(not ad.is_on for ad in run.to_republish)]
    if not stale:
        return list(runs)
    log = read_status_changes(job.api, min(run.change.prepared_at for run in stale), reserve=reserve)
    return merged(runs, [run.reading_log(log, read_at) for run in stale])


def verify(job: Job, runs: Sequence[ChangeRun], reserve: float) -> list[ChangeRun]:
    """Verify the ads; if some turn out to lack a re-publish, re-publish and verify these once more."""
    done = {run.id: run for run in runs}
    pending = list(runs)  # somebody may have added an ad to an ad set that had none
    for _ in range(VERIFY_ROUNDS):
        if not pending:
            break
        since = {run.id: run.change.prepared_at for run in pending}
        before = [run.before for run in pending]
        seen = verify_ads_after_republish(job.api, before, job.wait_seconds, since=since, reserve=reserve)
        done |= {run.id: run.verified(seen[run.id]) for run in pending}
        late = [done[run.id] for run in pending if done[run.id].overlooked and not done[run.id].failures]
        pending = republish(job, late, reserve)
        done |= {run.id: run for run in pending}
    return [done[run.id] for run in runs]


def protect_ads(job: Job, runs: Sequence[ChangeRun]) -> list[ChangeRun]:
    """Re-publish and verify the ads without touching the regions: our own write may have preceded another's."""
    read = read_adsets(job.api, [run.now for run in runs])
    seen = [run.written(adset) for run in runs if isinstance(adset := read[run.id], AdSetSnapshot)]
    unseen = [
        run.with_issues(f"Its ads were not re-published: {error}")
        for run in runs
        if isinstance(error := read[run.id], MetaError)
    ]
    done = verify(job, republish(job, seen, RESERVED_SECONDS), RESERVED_SECONDS)
    return [_assess_foreign(run) for run in done] + unseen


def _assess_foreign(run: ChangeRun) -> ChangeRun:
    """Mark a change as superseded once its ads are verified; otherwise it stays open."""
    run = run.with_issues(*map(str, run.with_health(AdHealth.BROKEN, AdHealth.UNEXPLAINED)))
    uncertain = (*run.failures, *run.with_health(AdHealth.UNREADABLE))
    if uncertain or run.unconfirmed:
        return run.with_issues(*map(str, uncertain))
    return run.in_state(ChangeState.SUPERSEDED)
