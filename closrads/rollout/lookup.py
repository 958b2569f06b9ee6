"""Looks up what is at Meta of changes that earlier runs have made or left open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RollbackReason, seen_with
from closrads.domain.drift import TargetingEdit
from closrads.domain.health import (
    StatusChange,
    broke_while_off,
    compare_ads,
    is_rejected,
    pauses_to_explain,
    responsible_for,
)
from closrads.domain.targeting import region_keys
from closrads.errors import MetaError
from closrads.meta.activity_log import read_status_changes, read_targeting_edits
from closrads.meta.adsets import read_adsets
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.meta.tokens import read_app_id
from closrads.rollout.budget import points_needed, reserve_capacity
from closrads.rollout.change_run import ChangeRun, begin
from closrads.rollout.job import Job

ROLLING_BACK = frozenset({ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED})
"""States in which the original regions are being restored."""
_TAKEN_AWAY = ROLLING_BACK | {ChangeState.ROLLED_BACK, ChangeState.SUPERSEDED}
"""States in which the new regions are not to be in place any more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A change, and what is at Meta now."""

    change: Change
    now: AdSetSnapshot
    log: tuple[StatusChange, ...] = ()
    is_set_by_others: bool = False
    """Whether the new regions, which had been taken away, are there again because somebody else has set them."""

    @property
    def id(self) -> str:
        """The ad set's id."""
        return self.change.before.id

    @property
    def has_pauses_to_explain(self) -> bool:
        """Whether the activity log has to explain who paused an ad."""
        before, now = self.change.before, self.now.ads
        ran = now if self.change.state.is_open else before.active_ads
        return bool(pauses_to_explain(ran, now) or broke_while_off(before.ads, now))

    @property
    def is_new_again(self) -> bool:
        """Whether the new regions are there although they had been taken away, or were to be."""
        return self.change.state in _TAKEN_AWAY and region_keys(self.now.targeting) == self.change.new_regions

    @property
    def protected(self) -> tuple[Ad, ...]:
        """The ads that the change is responsible for."""
        return responsible_for(self.change.before.active_ads, self.now.ads, self.log, self.change.prepared_at)

    @property
    def findings(self) -> tuple[AdFinding, ...]:
        """The health of the ads."""
        found = compare_ads(self.protected, self.now.ads, self.log, self.change.prepared_at)
        has_nothing_to_restore = self.is_protected or self.is_unwritten
        return tuple(map(_left_to_follow_up, found)) if has_nothing_to_restore else found

    @property
    def is_protected(self) -> bool:
        """Whether the current regions are somebody else's, and a rollback has already stopped at them."""
        return self.is_foreign and self.change.state is ChangeState.SUPERSEDED

    @property
    def is_unwritten(self) -> bool:
        """Whether the original regions are in place, as a recovery had already found them."""
        return self.is_back and self.change.was_found_unwritten

    @property
    def needs_no_write(self) -> bool:
        """Whether the original regions are in place, and writing them once more would help no broken ad."""
        broken = (finding for finding in self.findings if finding.health is AdHealth.BROKEN)
        return self.is_unwritten or (self.is_back and all(map(is_rejected, broken)))

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else has set the current regions."""
        present = region_keys(self.now.targeting)
        return self.is_set_by_others or present not in {*self.change.our_regions, self.change.old_regions}

    @property
    def is_back(self) -> bool:
        """Whether the original regions are in place."""
        return region_keys(self.now.targeting) == self.change.old_regions

    @property
    def run(self) -> ChangeRun:
        """The run of the change, to be resumed."""
        return begin(self.change, self.now, self.log)


def _left_to_follow_up(finding: AdFinding) -> AdFinding:
    """Return a paused ad that Meta has broken as unexplained: the next sync then switches it on, and reports it."""
    is_off = finding.health is AdHealth.BROKEN and finding.ad.status == "PAUSED"
    return replace(finding, health=AdHealth.UNEXPLAINED) if is_off else finding


def look_up(
    job: Job,
    adsets: Sequence[Sequence[Change]],
    known: Mapping[str, AdSetSnapshot] | None = None,
    reserve: float = RESERVED_SECONDS,
) -> dict[str, Seen | MetaError]:
    """Read ad sets with all their ads, each given by its changes, newest first; return the change that is in place.

    The activity log is read if it has to explain an ad's pause or tell who has set regions. In an open change, every
    pause needs that: the run that died may have missed an ad that somebody switched on.
    """
    adsets = [[seen_with(each, job.pauses.by_adset.get(each.before.id)) for each in changes] for changes in adsets]
    newest = [first.before for first, *_ in adsets]
    read: Mapping[str, AdSetSnapshot | MetaError] = known or read_adsets(job.api, newest)
    seen = [
        Seen(_in_place(changes, now), now)
        for before, changes in zip(newest, adsets, strict=True)
        if isinstance(now := read[before.id], AdSetSnapshot)
    ]
    paused = [each.change for each in seen if each.has_pauses_to_explain]
    since = min((change.prepared_at for change in paused), default=None)
    log = read_status_changes(job.api, since, reserve=reserve) if since else ()
    set_by_others = _set_by_others(job.api, [each.change for each in seen if each.is_new_again])
    set_by_others |= changed_by_other_campaigns(job, [each.change for each in seen]).keys()
    found = {each.id: replace(each, log=log, is_set_by_others=each.id in set_by_others) for each in seen}
    unread = {before.id: error for before in newest if isinstance(error := read[before.id], MetaError)}
    return {**found, **unread}


def changed_by_other_campaigns(job: Job, changes: Sequence[Change]) -> dict[str, Change]:
    """Return the later change of each ad set, by id, that another campaign with the same Meta campaign has made.

    In Meta's activity log, these look like our own.
    """
    shared = {each.before.id: each for each in changes if job.other_campaigns.get(each.before.meta_campaign_id)}
    if not shared:
        return {}
    since = min(change.prepared_at for change in shared.values())
    slugs = {slug for change in shared.values() for slug in job.other_campaigns[change.before.meta_campaign_id]}
    theirs = (change for slug in sorted(slugs) for change in job.ledger.prepared_since(slug, since))
    ours = {adset_id: change.prepared_at for adset_id, change in shared.items()}
    later = [change for change in theirs if change.prepared_at > ours.get(change.before.id, change.prepared_at)]
    return {change.before.id: change for change in sorted(later, key=lambda change: change.prepared_at)}


def _in_place(changes: Sequence[Change], now: AdSetSnapshot) -> Change:
    """Return the newest of an ad set's changes whose new regions are in place; the newest of all if there is none."""
    present = region_keys(now.targeting)
    return next((change for change in changes if change.new_regions == present), changes[0])


def _set_by_others(api: GraphApi, changes: Sequence[Change]) -> frozenset[str]:
    """Return the ids of the ad sets whose locations were last edited by somebody else, as far as is known."""
    known = {each.before.id for each in changes if each.reason is RollbackReason.SET_BY_OTHERS}
    # A rollback that has ended is in the log itself. One that has not may never have been written.
    since = {
        each.before.id: each.changed_at if each.state.is_open else each.prepared_at
        for each in changes
        if each.before.id not in known
    }
    if not since:
        return frozenset(known)
    last: dict[str, TargetingEdit] = {}
    for edit in read_targeting_edits(api, min(since.values())):
        last.setdefault(edit.adset_id, edit)
    edits = [last[adset_id] for adset_id, at in since.items() if adset_id in last and last[adset_id].at >= at]
    app_id = read_app_id(api) if edits else ""
    others = {edit.adset_id for edit in edits if app_id and edit.app_id != app_id and edit.is_certain}
    return frozenset(known | others)


def batches(job: Job, changes: Sequence[Change], wave_size: int) -> Iterator[tuple[Sequence[Change], str]]:
    """Yield batches of changes that capacity allows, and the changes without capacity, with the reason."""
    rest = list(changes)
    while rest:
        adsets = [change.before for change in rest[:wave_size]]
        job.recall_tier(adsets)
        capacity = reserve_capacity(job.api, adsets, job.wait_seconds)
        if not capacity.size:
            size = 1 if capacity.never else len(rest)
            yield rest[:size], capacity.why_none
            rest = rest[size:]
            continue
        try:
            yield rest[: capacity.size], ""
        finally:
            job.api.quota.release(points_needed(adsets[: capacity.size]))
        rest = rest[capacity.size :]
