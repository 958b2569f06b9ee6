"""What is done with Meta: read ad sets, check their ads, update the geo targeting, re-publish, verify, roll back."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.health import (
    CLOCK_TOLERANCE,
    StatusChange,
    check_ad_health,
    compare_ads,
    is_in_process,
    pauses_to_explain,
)
from closrads.domain.targeting import _build_new_targeting, region_keys
from closrads.errors import (
    MetaError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
)
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import (
    MAX_BATCH,
    READ_POINTS,
    RESERVED_SECONDS,
    GraphApi,
    Operation,
    UsageMeter,
    has_data,
    has_id,
    is_confirmed,
)
from closrads.meta.parsing import parse_ad, parse_adset, parse_status_change, text_of
from closrads.meta.rate_limit import AccountQuota
from closrads.meta.targeting_write import FRESH_SECONDS, RegionWrite, TargetingWriter
from closrads.observability import logger
from closrads.redaction import Secret
from closrads.state_mapper import Region

ADSETS_PER_PAGE = 100
ADS_PER_PAGE = 200
ACTIVITIES_PER_PAGE = 100
FURTHER_LOOKS = 2
"""At ads that are in process; a review takes hours and is not waited for."""

_ADSET_FIELDS = "id,name,effective_status,targeting"
_AD_FIELDS = "id,adset_id,name,status,effective_status,issues_info,ad_review_feedback"
_ACTIVITY_FIELDS = "event_time,event_type,object_id,actor_name,extra_data"
_READ_STATUSES = ("ACTIVE", "IN_PROCESS", "WITH_ISSUES")
"""Only active ad sets are changed; the other two would otherwise vanish from the report without a word."""

__all__ = [
    "check_ad_health",
    "get_active_adsets",
    "init_api",
    "read_adsets",
    "read_status_changes",
    "republish_ads",
    "rollback_geo",
    "update_adset_geo",
    "validate_adset_geo",
    "verify_ads_after_republish",
]


def init_api(  # noqa: PLR0913 - who calls, and the parts that a caller may replace
    access_token: Secret | str,
    ad_account_id: str,
    *,
    app_secret: Secret | None = None,
    graph_url: str | None = None,
    clock: Clock = Clock(),  # noqa: B008 - a frozen value
    meter: UsageMeter | None = None,
    quota: AccountQuota | None = None,
) -> GraphApi:
    """Return an api object for one ad account, to be passed to every call; nothing process-wide is set."""
    return GraphApi(
        access_token if isinstance(access_token, Secret) else Secret(access_token),
        ad_account_id,
        app_secret=app_secret,
        graph_url=graph_url,
        clock=clock,
        meter=meter or UsageMeter(),
        quota=quota or AccountQuota(clock.now),
    )


def get_active_adsets(api: GraphApi, campaign_id: str) -> tuple[AdSetSnapshot, ...]:
    """Return a Meta campaign's active ad sets with all their ads, and those that are in process or have issues.

    One list of ad sets and one of ads, every page of each: ads nested in ad sets would come with a paging of their own.

    Raises
    ------
    MetaError
        If anything of it cannot be read; half a picture is no picture.
    """
    started, reserve = api.clock.now(), api.seconds_not_for_waits
    lists: list[tuple[str, JsonObject, int]] = [
        ("adsets", {"fields": _ADSET_FIELDS, "effective_status": list(_READ_STATUSES)}, ADSETS_PER_PAGE),
        ("ads", {"fields": _AD_FIELDS}, ADS_PER_PAGE),
    ]
    adset_rows, ad_rows = map_concurrently(
        lambda query: api.get_all(f"{campaign_id}/{query[0]}", query[1], query[2], reserve=reserve), lists, len(lists)
    )
    ads: dict[str, dict[str, Ad]] = {}
    for row in ad_rows:
        ad = parse_ad(row)
        ads.setdefault(text_of(row, "adset_id"), {})[ad.id] = ad
    snapshots = (parse_adset(row, campaign_id, ads.get(text_of(row, "id"), {}), started) for row in adset_rows)
    by_id = {snapshot.id: snapshot for snapshot in snapshots}
    return tuple(by_id[adset_id] for adset_id in sorted(by_id))


def read_adsets(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], *, reserve: float = RESERVED_SECONDS
) -> dict[str, AdSetSnapshot | MetaError]:
    """Read ad sets with all their ads again, each with all of it within seconds; return them, or why not, by id.

    No wait touches the last `reserve` seconds; if that is infinite, nothing is waited for.
    """
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for start in range(0, len(adsets), MAX_BATCH // 2):
        now |= _read_batch(api, adsets[start : start + MAX_BATCH // 2], reserve)
    return now


def update_adset_geo(  # noqa: PLR0913 - what to write, and what the caller knows of time and of earlier calls
    api: GraphApi,
    adset: AdSetSnapshot,
    regions: Sequence[Region],
    *,
    reserve: float = RESERVED_SECONDS,
    patient: bool = True,
    may_be_sent: bool = False,
) -> AdSetSnapshot:
    """Set an ad set's regions; return it as read right before the write, with the targeting that Meta stores now.

    The same set of regions is not written again. A rate limit is not waited for: the caller starts again with a fresh
    snapshot. What is read anew before the write must still be healthy.

    Parameters
    ----------
    reserve
        Seconds of the invocation that no wait may touch.
    patient
        Whether to wait and try again when Meta is in trouble.
    may_be_sent
        Whether an earlier call may have written these regions.

    Raises
    ------
    AdSetChangedError, MetaOutcomeUnknownError, MetaError
        As `TargetingWriter.run`.
    """
    write = RegionWrite(regions, {region_keys(adset.targeting)}, accepts=_why_not_to_change)
    retried = (MetaTransientError,) if patient else ()
    return TargetingWriter(api, adset, write, _reader(api), may_be_sent=may_be_sent).run(reserve, retried)


def rollback_geo(
    api: GraphApi, before: AdSetSnapshot, now: AdSetSnapshot, replaces: Collection[frozenset[str]], *, repeats: bool
) -> AdSetSnapshot:
    """Layer 4: put the regions from before onto the targeting that is there; return the ad set as `update_adset_geo`.

    Parameters
    ----------
    before
        The ad set as it was before the change.
    now
        As it was read last.
    replaces
        The sets of region keys that the change may have left there.
    repeats
        Whether to write although the regions from before are there: the read may be older than our write.

    Raises
    ------
    AdSetChangedError, MetaOutcomeUnknownError, MetaError
        As `TargetingWriter.run`.
    """
    regions = (before.targeting.get("geo_locations") or {}).get("regions") or []
    write = RegionWrite(regions, {*replaces, region_keys(before.targeting)}, repeats=repeats)
    retried = (MetaTransientError, MetaRateLimitError)
    return TargetingWriter(api, now, write, _reader(api)).run(RESERVED_SECONDS, retried)


def validate_adset_geo(api: GraphApi, adset: AdSetSnapshot, regions: Sequence[Region]) -> None:
    """Have Meta validate the update without making it.

    Raises
    ------
    MetaError
        With Meta's own verdict.
    """
    targeting = _build_new_targeting(adset.targeting, regions)
    api.retrying(lambda: api.post(adset.id, {"targeting": targeting, "execution_options": ["validate_only"]}))


@dataclass(frozen=True, slots=True)
class RepublishFailure:
    """An ad that Meta did not re-publish, and why."""

    ad: Ad
    error: MetaError

    def __str__(self) -> str:
        return f"Ad “{self.ad.name}” ({self.ad.id}): could not be re-published: {self.error}"


@dataclass(frozen=True, slots=True)
class Republished:
    """What became of the re-publish of an ad set's ads."""

    confirmed: frozenset[str]
    """The ids of the ads of which Meta has confirmed it."""
    failures: tuple[RepublishFailure, ...] = ()


def republish_ads(
    api: GraphApi, ads: Mapping[str, Collection[Ad]], *, reserve: float = RESERVED_SECONDS
) -> dict[str, Republished]:
    """Layer 2: set these ads, given by the id of their ad set, to ACTIVE again, and no other.

    Before every further attempt the ads are read: one that a person has switched off or deleted since is left alone,
    and is no failure.
    """
    confirmed: dict[str, set[str]] = {adset_id: set() for adset_id in ads}
    failed: dict[str, RepublishFailure] = {}
    pending = {adset_id: list(each) for adset_id, each in ads.items()}
    is_first = True

    def attempt() -> None:
        nonlocal pending, is_first
        if not is_first:
            pending = _still_on(api, pending)
        is_first = False
        todo = [(adset_id, ad) for adset_id, each in pending.items() for ad in each]
        operations = [Operation("POST", ad.id, {"status": "ACTIVE"}, is_confirmed) for _, ad in todo]
        outcomes = api.batch(operations, reserve=math.inf)
        passing: list[MetaError] = []
        pending = {}
        failed.clear()
        for (adset_id, ad), outcome in zip(todo, outcomes, strict=True):
            if not isinstance(outcome, MetaError):
                confirmed[adset_id].add(ad.id)
                continue
            failed[ad.id] = RepublishFailure(ad, outcome)
            pending.setdefault(adset_id, []).append(ad)
            if isinstance(outcome, MetaTransientError | MetaRateLimitError):
                passing.append(outcome)
        if passing:
            raise max(passing, key=lambda error: error.retry_after or 0)

    with suppress(MetaError):  # what is left has its reason in `failed`
        api.retrying(attempt, reserve=reserve)
    if pending:
        with suppress(MetaError):  # else the failures stand
            pending = _still_on(api, pending)
    return {
        adset_id: Republished(frozenset(done), tuple(failed[ad.id] for ad in pending.get(adset_id, ())))
        for adset_id, done in confirmed.items()
    }


@dataclass(frozen=True, slots=True)
class Verification:
    """How an ad set's ads do after a re-publish."""

    findings: tuple[AdFinding, ...]
    ads: tuple[Ad, ...] = ()
    """All ads as they were read, empty if they could not be."""
    log: tuple[StatusChange, ...] = ()
    """What the activity log tells of them, as far as it was needed."""


def verify_ads_after_republish(
    api: GraphApi,
    adsets: Sequence[AdSetSnapshot],
    wait_seconds: float = 3,
    *,
    since: datetime | None = None,
    reserve: float = RESERVED_SECONDS,
) -> dict[str, Verification]:
    """Layer 3: wait, as far as time allows, read the ads again, and return how they do now, by the id of the ad set.

    If the ads cannot be read, each is unreadable, which says neither good nor bad. Ad sets with ads that Meta is still
    processing are read again, `FURTHER_LOOKS` times at most, if neither time nor quota is needed for something else,
    and nothing is broken: that is to be put back first.

    Parameters
    ----------
    adsets
        As they were before the change, with the ads that ran.
    since
        When the change began; the activity log is asked from then on.
    """
    if not adsets:
        return {}
    began = since or api.clock.now()
    api.clock.sleep(min(wait_seconds, max(api.clock.remaining() - RESERVED_SECONDS, 0)))
    seen = _verify_once(api, adsets, began, reserve)
    for _ in range(FURTHER_LOOKS):
        in_process = [adset for adset in adsets if any(map(is_in_process, seen[adset.id].findings))]
        broken = any(finding.health is AdHealth.BROKEN for each in seen.values() for finding in each.findings)
        in_time = api.clock.remaining() - wait_seconds >= reserve
        if not in_process or broken or not in_time or api.quota.seconds_until(len(in_process) * READ_POINTS):
            break
        api.clock.sleep(wait_seconds)
        again = _verify_once(api, in_process, began, reserve)
        seen |= {adset_id: each for adset_id, each in again.items() if each.ads}
    return seen


def read_status_changes(
    api: GraphApi, since: datetime, *, reserve: float = RESERVED_SECONDS
) -> tuple[StatusChange, ...]:
    """Return what the ad account's activity log tells of ads switched on or off since then, the newest first.

    Empty if it cannot be read (Marketing API reference "Ad Account Activities").
    """
    params = {"fields": _ACTIVITY_FIELDS, "category": "STATUS", "since": int((since - CLOCK_TOLERANCE).timestamp())}
    try:
        rows = api.get_all(f"{api.ad_account_id}/activities", params, ACTIVITIES_PER_PAGE, reserve=reserve)
    except MetaError as error:
        logger.warning("meta.no_activity_log", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return ()
    return tuple(change for row in rows if (change := parse_status_change(row)) is not None)


def _why_not_to_change(adset: AdSetSnapshot) -> str:
    return "; ".join(map(str, check_ad_health(adset)))


def _reader(api: GraphApi) -> Callable[[AdSetSnapshot], AdSetSnapshot]:
    """Return what reads an ad set with all its ads, once."""

    def read(adset: AdSetSnapshot) -> AdSetSnapshot:
        there = read_adsets(api, [adset], reserve=math.inf)[adset.id]
        if isinstance(there, MetaError):
            raise there
        return there

    return read


def _read_batch(api: GraphApi, adsets: Sequence[AdSetSnapshot], reserve: float) -> dict[str, AdSetSnapshot | MetaError]:
    now: dict[str, AdSetSnapshot | MetaError] = {}
    unread = adsets

    def attempt() -> None:
        nonlocal unread
        started = api.clock.now()
        read = _read_once(api, unread)
        if (api.clock.now() - started).total_seconds() > FRESH_SECONDS:
            raise MetaTransientError(f"Ad sets and their ads could not be read within {FRESH_SECONDS:g} s")
        now.update(read)
        passing = {
            adset_id: error
            for adset_id, error in read.items()
            if isinstance(error, MetaTransientError | MetaRateLimitError)
        }
        unread = [adset for adset in unread if adset.id in passing]
        if passing:
            raise next(iter(passing.values()))

    try:
        api.retrying(attempt, reserve=reserve)
    except MetaError as error:
        now |= {adset.id: now.get(adset.id, error) for adset in unread}
    return now


def _read_once(api: GraphApi, adsets: Sequence[AdSetSnapshot]) -> dict[str, AdSetSnapshot | MetaError]:
    """Read without a further attempt, after which it would be no picture of one moment any more."""
    started = api.clock.now()
    operations = [Operation("GET", adset.id, {"fields": _ADSET_FIELDS}, has_id) for adset in adsets]
    operations += [_list_ads(adset.id) for adset in adsets]
    answers = api.batch(operations, reserve=math.inf)
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for adset, row, page in zip(adsets, answers[: len(adsets)], answers[len(adsets) :], strict=True):
        try:
            if isinstance(row, MetaError):
                raise row
            ads = {ad.id: ad for ad in map(parse_ad, _all_rows(api, f"{adset.id}/ads", page, math.inf))}
            now[adset.id] = parse_adset(row, adset.meta_campaign_id, ads, started)
        except MetaError as error:
            now[adset.id] = error
    return now


def _read_ads(api: GraphApi, adset_ids: Sequence[str], reserve: float) -> dict[str, tuple[Ad, ...] | MetaError]:
    """Read all ads of some ad sets, in as few round trips as there are batches; return them, or why not, by ad set."""
    answers = api.batch([_list_ads(adset_id) for adset_id in adset_ids], reserve=reserve)
    ads: dict[str, tuple[Ad, ...] | MetaError] = {}
    for adset_id, answer in zip(adset_ids, answers, strict=True):
        try:
            rows = _all_rows(api, f"{adset_id}/ads", answer, reserve)
            ads[adset_id] = tuple({ad.id: ad for ad in map(parse_ad, rows)}.values())
        except MetaError as error:
            ads[adset_id] = error
    return ads


def _list_ads(adset_id: str) -> Operation:
    return Operation("GET", f"{adset_id}/ads", {"fields": _AD_FIELDS, "limit": ADS_PER_PAGE}, has_data)


def _all_rows(api: GraphApi, path: str, answer: JsonObject | MetaError, reserve: float) -> list[JsonObject]:
    """Return the rows of a first page if it is the only one, else read the list again page by page."""
    if isinstance(answer, MetaError) and not isinstance(answer, MetaTooMuchDataError):
        raise answer
    if isinstance(answer, MetaTooMuchDataError) or (answer.get("paging") or {}).get("next"):
        return api.get_all(path, {"fields": _AD_FIELDS}, ADS_PER_PAGE, reserve=reserve)
    rows: list[JsonObject] = answer["data"]
    return rows


def _still_on(api: GraphApi, ads: Mapping[str, Collection[Ad]]) -> dict[str, list[Ad]]:
    """Return those of the ads that nobody has switched off or deleted since they were read; raise a MetaError."""
    read = _read_ads(api, list(ads), math.inf)
    still: dict[str, list[Ad]] = {}
    for adset_id, each in ads.items():
        now = read[adset_id]
        if isinstance(now, MetaError):
            raise now
        statuses = {ad.id: ad.status for ad in now}
        # One that Meta has switched off is to be switched on, whatever its status is by now.
        still[adset_id] = [ad for ad in each if ad.id in statuses and statuses[ad.id] in {"ACTIVE", ad.status}]
    return still


def _verify_once(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], since: datetime, reserve: float
) -> dict[str, Verification]:
    ads = _read_ads(api, [adset.id for adset in adsets], reserve)
    needs_log = any(
        not isinstance(now := ads[adset.id], MetaError) and pauses_to_explain(adset.active_ads, now) for adset in adsets
    )
    log = read_status_changes(api, since, reserve=math.inf) if needs_log else ()
    return {adset.id: _verification(adset, ads[adset.id], log, since) for adset in adsets}


def _verification(
    adset: AdSetSnapshot, now: tuple[Ad, ...] | MetaError, log: tuple[StatusChange, ...], since: datetime
) -> Verification:
    if isinstance(now, MetaError):
        return Verification(tuple(AdFinding(ad, AdHealth.UNREADABLE, str(now)) for ad in adset.active_ads))
    return Verification(compare_ads(adset.active_ads, now, log, since), now, log)
