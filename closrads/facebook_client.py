"""The steps of a change at Meta: list ad sets, check ads, update geo targeting, re-publish, verify, roll back.

Other reads are in `meta/`: ad sets again, campaigns, the activity log, tokens.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.adsets import LONG_AGO, Ad, AdFinding, AdHealth, AdSetSnapshot, with_sightings
from closrads.domain.health import (
    StatusChange,
    broke_while_off,
    check_ad_health,
    compare_ads,
    is_in_process,
    pauses_to_explain,
    responsible_for,
)
from closrads.domain.targeting import _build_new_targeting, region_keys, regions_of
from closrads.errors import (
    MetaError,
    MetaInvalidError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.meta.activity_log import read_status_changes
from closrads.meta.adsets import AD_FIELDS, ADS_PER_PAGE, ADSET_FIELDS, read_ads, reader
from closrads.meta.campaigns import identify
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import (
    MAX_BATCH,
    READ_POINTS,
    RESERVED_SECONDS,
    GraphApi,
    Operation,
    UsageMeter,
    is_confirmed,
)
from closrads.meta.parsing import parse_adset, parse_listed_ad, text_of
from closrads.meta.rate_limit import AccountQuota
from closrads.meta.targeting_write import FRESH_SECONDS, RegionWrite, TargetingWriter
from closrads.redaction import Secret
from closrads.state_mapper import Region

ADSETS_PER_PAGE = 100
FURTHER_LOOKS = 2
"""Maximum number of further verifications of ads that are in process; a review takes hours and is not awaited."""
MAX_READS = 2
"""Maximum number of reads before a batch is re-published: one more if the first took so long that it is outdated."""
_READ_STATUSES = ("ACTIVE", "IN_PROCESS", "WITH_ISSUES")
"""Only active ad sets are changed; the others are read so that the report lists them."""
OwnedAd = tuple[str, Ad]
"""An ad with the id of its ad set."""

__all__ = [
    "check_ad_health",
    "get_active_adsets",
    "init_api",
    "republish_ads",
    "rollback_geo",
    "update_adset_geo",
    "validate_adset_geo",
    "verify_ads_after_republish",
]


def init_api(  # noqa: PLR0913 - credentials, and the dependencies that a caller may inject
    access_token: Secret | str,
    ad_account_id: str,
    *,
    app_secret: Secret | None = None,
    graph_url: str | None = None,
    clock: Clock = Clock(),  # noqa: B008 - a frozen value
    meter: UsageMeter | None = None,
    quota: AccountQuota | None = None,
) -> GraphApi:
    """Return an API object for one ad account, to be passed to every call; no process-wide default is set."""
    return GraphApi(
        access_token if isinstance(access_token, Secret) else Secret(access_token),
        ad_account_id,
        app_secret=app_secret,
        graph_url=graph_url,
        clock=clock,
        meter=meter or UsageMeter(),
        quota=quota or AccountQuota(ad_account_id, clock.now),
    )


def get_active_adsets(api: GraphApi, campaign_id: str) -> tuple[AdSetSnapshot, ...]:
    """Return a Meta campaign's ad sets that are active, in process or have issues, with all their ads, sorted by id.

    Ad sets and ads are two separate lists: ads nested in ad sets would be paged per ad set.

    Raises
    ------
    MetaError
        Either list could not be read completely.
    """
    started, reserve = api.clock.now(), api.wait_reserve
    lists: list[tuple[str, JsonObject, int]] = [
        ("adsets", {"fields": ADSET_FIELDS, "effective_status": list(_READ_STATUSES)}, ADSETS_PER_PAGE),
        ("ads", {"fields": AD_FIELDS}, ADS_PER_PAGE),
    ]
    try:
        adset_rows, ad_rows = map_concurrently(
            lambda query: api.get_all(f"{campaign_id}/{query[0]}", *query[1:], reserve=reserve), lists, len(lists)
        )
    except MetaInvalidError as error:
        if said := identify(api, campaign_id):
            raise MetaInvalidError(said, code=error.code, subcode=error.subcode) from None
        raise
    ads: dict[str, dict[str, Ad]] = {}
    for row in ad_rows:
        ad = parse_listed_ad(row)
        ads.setdefault(text_of(row, "adset_id"), {})[ad.id] = ad
    # Meta has returned empty lists for campaigns with ads (facebook-python-business-sdk #112). So an ad set without ads
    # counts as unread: its own list is read before a write.
    listed = ((row, ads.get(text_of(row, "id"), {})) for row in adset_rows)
    snapshots = (parse_adset(row, campaign_id, own, started if own else LONG_AGO) for row, own in listed)
    by_id = {snapshot.id: snapshot for snapshot in snapshots}
    return tuple(by_id[adset_id] for adset_id in sorted(by_id))


def update_adset_geo(  # noqa: PLR0913 - what to write, time limits, and the state of an earlier attempt
    api: GraphApi,
    adset: AdSetSnapshot,
    regions: Sequence[Region],
    *,
    reserve: float = RESERVED_SECONDS,
    retries: bool = True,
    may_be_sent: bool = False,
) -> AdSetSnapshot:
    """Set an ad set's regions; return the ad set as read right before the write, with the regions that Meta now stores.

    If the ad set already has these regions, nothing is written. Rate limits are not retried here: the caller retries
    with a fresh snapshot. An ad set that is read again before the write must still be healthy.

    Parameters
    ----------
    reserve
        Last seconds of the invocation, which waits must spare.
    retries
        Whether to retry transient errors.
    may_be_sent
        Whether an earlier attempt may have written these regions.

    Raises
    ------
    AdSetChangedError, MetaOutcomeUnknownError, MetaError
        As `TargetingWriter.run`.
    """
    write = RegionWrite(regions, {region_keys(adset.targeting)}, accepts=_why_not_to_change)
    retried = (MetaTransientError,) if retries else ()
    return TargetingWriter(api, adset, write, reader(api), may_be_sent=may_be_sent).run(reserve, retried)


def rollback_geo(
    api: GraphApi, before: AdSetSnapshot, now: AdSetSnapshot, replaces: Collection[frozenset[str]], *, repeats: bool
) -> AdSetSnapshot:
    """Layer 4: restore the original regions within the current targeting; return the ad set as `update_adset_geo` does.

    Parameters
    ----------
    before
        The ad set before the change.
    now
        The ad set as last read.
    replaces
        The sets of region keys that the change may have stored.
    repeats
        Whether to write even if the original regions are already there: the read may predate our write.

    Raises
    ------
    AdSetChangedError, MetaOutcomeUnknownError, MetaError
        As `TargetingWriter.run`.
    """
    replaced = {*replaces, region_keys(before.targeting)}
    write = RegionWrite(regions_of(before.targeting), replaced, repeats=repeats, is_rollback=True)
    retried = (MetaTransientError, MetaRateLimitError)
    return TargetingWriter(api, now, write, reader(api)).run(RESERVED_SECONDS, retried)


def validate_adset_geo(api: GraphApi, adset: AdSetSnapshot, regions: Sequence[Region]) -> None:
    """Have Meta validate the update without applying it.

    Raises
    ------
    MetaError
        Meta refuses the update, or could not validate it.
    """
    targeting = _build_new_targeting(adset.targeting, regions)
    api.retrying(lambda: api.post(adset.id, {"targeting": targeting, "execution_options": ["validate_only"]}))


@dataclass(frozen=True, slots=True)
class RepublishFailure:
    """An ad whose re-publish was not confirmed, and why."""

    ad: Ad
    error: MetaError

    def __str__(self) -> str:
        return f"Ad “{self.ad.name}” ({self.ad.id}): could not be re-published: {self.error}"


@dataclass(frozen=True, slots=True)
class Republished:
    """The outcome of re-publishing an ad set's ads."""

    confirmed: frozenset[str]
    """Ids of the ads whose re-publish Meta has confirmed."""
    failures: tuple[RepublishFailure, ...] = ()


def republish_ads(
    api: GraphApi,
    ads: Mapping[str, Collection[Ad]],
    *,
    read_at: datetime | None = None,
    reserve: float = RESERVED_SECONDS,
) -> dict[str, Republished]:
    """Layer 2: set the given ads, by ad set id, to ACTIVE again; return the outcome by ad set id.

    Before every retry, and before each batch that comes more than `FRESH_SECONDS` after `read_at` (now if None), the
    ads are read again: one that a person has paused or deleted since is left alone, and does not count as a failure.
    """
    confirmed: dict[str, set[str]] = {adset_id: set() for adset_id in ads}
    failed: dict[str, RepublishFailure] = {}
    pending = [(adset_id, ad) for adset_id, each in ads.items() for ad in each]
    seen_at = read_at or api.clock.now()

    def attempt() -> None:
        nonlocal pending, seen_at
        todo, pending = pending, []
        transient: list[MetaError] = []
        for start in range(0, len(todo), MAX_BATCH):
            batch = todo[start : start + MAX_BATCH]
            for (adset_id, ad), outcome in _republish_batch(api, batch, failed.keys(), seen_at, reserve):
                if not isinstance(outcome, MetaError):
                    confirmed[adset_id].add(ad.id)
                    continue
                failed[ad.id] = RepublishFailure(ad, outcome)
                pending.append((adset_id, ad))
                if isinstance(outcome, MetaTransientError | MetaRateLimitError):
                    transient.append(outcome)
        seen_at = LONG_AGO
        if transient:
            raise max(transient, key=lambda error: error.retry_after or 0)

    with suppress(MetaError):  # `failed` has the error of each remaining ad
        api.retrying(attempt, reserve=reserve)
    if pending:
        with suppress(MetaError):  # if the ads cannot be read, all failures remain
            pending = _still_on(api, pending, failed.keys())
    return {
        adset_id: Republished(frozenset(done), tuple(failed[ad.id] for owner, ad in pending if owner == adset_id))
        for adset_id, done in confirmed.items()
    }


def _republish_batch(
    api: GraphApi, ads: Sequence[OwnedAd], tried: Collection[str], seen_at: datetime, reserve: float
) -> list[tuple[OwnedAd, JsonObject | MetaError]]:
    """Set the ads of one batch to ACTIVE, if nobody has paused them since `seen_at`; return the outcome of each."""
    for _ in range(MAX_READS):
        if (api.clock.now() - seen_at).total_seconds() <= FRESH_SECONDS:
            break
        seen_at = api.clock.now()
        try:
            ads = _still_on(api, ads, tried)
        except MetaError as error:
            return [(each, error) for each in ads]
    operations = [Operation("POST", ad.id, {"status": "ACTIVE"}, is_confirmed) for _, ad in ads]
    outcomes = api.batch(operations, reserve=math.inf, call_reserve=reserve)
    return list(zip(ads, outcomes, strict=True))


@dataclass(frozen=True, slots=True)
class Verification:
    """The health of an ad set's ads after a re-publish."""

    findings: tuple[AdFinding, ...]
    ads: tuple[Ad, ...] = ()
    """All ads as read; empty if they could not be read."""
    log: tuple[StatusChange, ...] = ()
    """Status changes from the activity log; empty if it was not needed or could not be read."""
    error: str = ""
    """Why the ads could not be read; empty if they could."""
    read_at: datetime = LONG_AGO
    """When the read started."""


def verify_ads_after_republish(
    api: GraphApi,
    adsets: Sequence[AdSetSnapshot],
    wait_seconds: float = 3,
    *,
    since: Mapping[str, datetime] | None = None,
    reserve: float = RESERVED_SECONDS,
) -> dict[str, Verification]:
    """Layer 3: wait as long as time allows, read the ads again, and return their health by ad set id.

    Ads that cannot be read are unreadable: neither healthy nor broken. Ad sets with ads in process are read up to
    `FURTHER_LOOKS` more times, unless that would use reserved time or quota, or an ad is broken and its rollback comes
    first.

    Parameters
    ----------
    adsets
        The ad sets before the change, with their ads.
    wait_seconds
        Seconds to wait before each read.
    since
        Start of each change, from which the activity log counts, by ad set id; now if None.
    reserve
        Last seconds of the invocation, which further reads must spare.
    """
    if not adsets:
        return {}
    began = since or {adset.id: api.clock.now() for adset in adsets}
    api.clock.sleep(min(wait_seconds, max(api.clock.remaining() - RESERVED_SECONDS, 0)))
    seen = _verify_once(api, adsets, began, reserve)
    for _ in range(FURTHER_LOOKS):
        adsets = [_with_sightings(adset, seen[adset.id]) for adset in adsets]
        in_process = [adset for adset in adsets if any(map(is_in_process, seen[adset.id].findings))]
        broken = any(finding.health is AdHealth.BROKEN for each in seen.values() for finding in each.findings)
        in_time = api.clock.remaining() - wait_seconds >= reserve
        if not in_process or broken or not in_time or api.quota.seconds_until(len(in_process) * READ_POINTS):
            break
        api.clock.sleep(wait_seconds)
        again = _verify_once(api, in_process, began, reserve)
        seen |= {adset_id: each for adset_id, each in again.items() if each.ads}
    return seen


def _why_not_to_change(adset: AdSetSnapshot) -> str:
    return "; ".join(map(str, check_ad_health(adset)))


def _still_on(api: GraphApi, ads: Sequence[OwnedAd], tried: Collection[str]) -> list[OwnedAd]:
    """Return the ads that nobody has paused or deleted since they were read; raise a `MetaError` if unreadable.

    `tried` has the ids of those for which a re-publish has been sent.
    """
    ran: dict[str, list[Ad]] = {}
    for adset_id, ad in ads:
        ran.setdefault(adset_id, []).append(ad)
    read = read_ads(api, ran, math.inf)
    current: dict[str, Ad] = {}
    for now in read.values():
        if isinstance(now, MetaError):
            raise now
        current |= {ad.id: ad for ad in now}
    return [
        (owner, ad)
        for owner, ad in ads
        if ad.id in current and _is_left_on(ad, current[ad.id], was_tried=ad.id in tried)
    ]


def _is_left_on(ad: Ad, now: Ad, *, was_tried: bool) -> bool:
    """Return whether an ad is on, or still off as Meta has paused it.

    After a re-publish whose response was lost, somebody may have paused the ad. If one of its issues is gone, that is
    so; if it never had any, nothing shows it, and the verification decides by the activity log.
    """
    issues, left = ({issue.code for issue in each.issues} for each in (ad, now))
    return now.status == "ACTIVE" or (now.status == ad.status and (issues <= left if issues else not was_tried))


def _verify_once(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], since: Mapping[str, datetime], reserve: float
) -> dict[str, Verification]:
    read_at = api.clock.now()
    ads = read_ads(api, {adset.id: adset.active_ads for adset in adsets}, reserve)
    needs_log = any(
        not isinstance(now := ads[adset.id], MetaError)
        and (pauses_to_explain(adset.active_ads, now) or broke_while_off(adset.ads, now))
        for adset in adsets
    )
    first = min(since[adset.id] for adset in adsets)
    log = read_status_changes(api, first, reserve=math.inf) if needs_log else ()
    found = ((adset.id, _verification(adset, ads[adset.id], log, since[adset.id])) for adset in adsets)
    return {adset_id: replace(verification, read_at=read_at) for adset_id, verification in found}


def _with_sightings(adset: AdSetSnapshot, seen: Verification) -> AdSetSnapshot:
    """Return the ad set before its change, with the time at which each ad that ran then has last been seen on."""
    ran = {ad.id for ad in adset.active_ads}
    on = {ad.id: seen.read_at for ad in seen.ads if ad.is_on and ad.id in ran}
    return replace(adset, ads=with_sightings(adset.ads, on))


def _verification(
    adset: AdSetSnapshot, now: tuple[Ad, ...] | MetaError, log: tuple[StatusChange, ...], since: datetime
) -> Verification:
    if isinstance(now, MetaError):
        unknown = tuple(AdFinding(ad, AdHealth.UNREADABLE, str(now)) for ad in adset.active_ads)
        return Verification(unknown, error=str(now))
    findings = compare_ads(responsible_for(adset.active_ads, now, log, since), now, log, since)
    return Verification(findings, with_sightings(now, {ad.id: ad.seen_on for ad in adset.ads}), log)
