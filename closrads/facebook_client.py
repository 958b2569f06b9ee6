"""What is done with Meta: read ad sets, check their ads, update the geo targeting, re-publish, verify, roll back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.health import _is_in_process, compare_ads
from closrads.domain.results import Result
from closrads.domain.targeting import (
    Targeting,
    _build_new_targeting,
    geo_conflicts,
    region_keys,
    same_but_for_regions,
    same_targeting,
    without_computed,
)
from closrads.errors import (
    AdSetChangedError,
    MetaError,
    MetaInvalidError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
    most_severe,
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
from closrads.meta.parsing import _ad, _text, parse_adset
from closrads.meta.rate_limit import AccountQuota
from closrads.meta.targeting_write import TargetingWrite, Written, read_targeting
from closrads.observability import log_defect
from closrads.redaction import Secret
from closrads.state_mapper import Region

ADSETS_PER_PAGE = 100
ADS_PER_PAGE = 200
FURTHER_LOOKS = 2
"""At ads that are in process; a review takes hours and is not waited for."""
FRESH_SECONDS = 5.0
"""A picture that took longer to take may show things that were never true together."""
_ADSET_FIELDS = "id,name,effective_status,targeting"
_AD_FIELDS = "id,adset_id,name,status,effective_status,issues_info,ad_review_feedback,updated_time"
_READ_STATUSES = ("ACTIVE", "IN_PROCESS", "WITH_ISSUES")
"""Only active ad sets are changed; the other two would otherwise vanish from the report without a word."""


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
        ad = _ad(row)
        ads.setdefault(_text(row, "adset_id"), {})[ad.id] = ad
    snapshots = (parse_adset(row, campaign_id, ads.get(_text(row, "id"), {}), started) for row in adset_rows)
    by_id = {snapshot.id: snapshot for snapshot in snapshots}
    return tuple(by_id[adset_id] for adset_id in sorted(by_id))


def refresh(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], *, reserve: float = RESERVED_SECONDS
) -> dict[str, AdSetSnapshot | MetaError]:
    """Read ad sets with their ads again, each with all of it within seconds; return them, or why not, by ad set.

    No wait touches the last `reserve` seconds; if that is infinite, nothing is waited for.
    """
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for start in range(0, len(adsets), MAX_BATCH // 2):
        now |= _refresh_together(api, adsets[start : start + MAX_BATCH // 2], reserve)
    return now


def _refresh_together(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], reserve: float
) -> dict[str, AdSetSnapshot | MetaError]:
    now: dict[str, AdSetSnapshot | MetaError] = {}
    unread = adsets

    def attempt() -> None:
        nonlocal unread
        started = api.clock.now()
        read = _read_again(api, unread)
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


def _read_again(api: GraphApi, adsets: Sequence[AdSetSnapshot]) -> dict[str, AdSetSnapshot | MetaError]:
    """Read once, for what takes another attempt is no picture of one moment any more."""
    started = api.clock.now()
    operations = [Operation("GET", adset.id, {"fields": _ADSET_FIELDS}, has_id) for adset in adsets]
    operations += [_ads_of(adset.id) for adset in adsets]
    answers = api.batch(operations, reserve=math.inf)
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for adset, row, page in zip(adsets, answers[: len(adsets)], answers[len(adsets) :], strict=True):
        try:
            if isinstance(row, MetaError):
                raise row
            ads = {ad.id: ad for ad in map(_ad, _all_rows(api, f"{adset.id}/ads", page, math.inf))}
            now[adset.id] = parse_adset(row, adset.meta_campaign_id, ads, started)
        except MetaError as error:
            now[adset.id] = error
    return now


def update_adset_geo(  # noqa: PLR0913 - what to write, and what the caller knows of time and of earlier calls
    api: GraphApi,
    adset: AdSetSnapshot,
    regions: Sequence[Region],
    *,
    reserve: float = RESERVED_SECONDS,
    patient: bool = True,
    again: bool = False,
) -> Written:
    """Set an ad set's regions, and return its targeting as Meta stores it now, which may be something else.

    The same set of regions is not written again. A rate limit is not waited for: in the minutes until it ends more may
    change than the targeting, so the caller starts again with a fresh snapshot.

    Parameters
    ----------
    adset
        A snapshot just taken: what changed since would be overwritten. Before every further attempt the ad set is read,
        and what is there decides whether to write.
    reserve
        Seconds of the invocation that no wait may touch.
    patient
        Whether to wait and try again when Meta is in trouble.
    again
        Whether an earlier call may have written it.

    Raises
    ------
    AdSetChangedError
        Somebody else has changed the targeting since the snapshot; it was left as that person wants it.
    MetaOutcomeUnknownError
        The write may have been done, and Meta cannot be asked.
    MetaError
        The write was not done.
    """
    wanted = {region["key"] for region in regions}
    if conflicts := geo_conflicts(adset.targeting, wanted):
        raise MetaInvalidError("; ".join(conflicts))
    if region_keys(adset.targeting) == wanted:
        return Written(adset.targeting, certain=True)
    after = _build_new_targeting(adset.targeting, regions)
    write = TargetingWrite(api, adset.id, before=adset.targeting, after=after, again=again)
    return write.make(reserve, (MetaTransientError,) if patient else ())


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


def republish_ads(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], *, reserve: float = RESERVED_SECONDS
) -> dict[str, tuple[RepublishFailure, ...]]:
    """Layer 2: set every ad that was ACTIVE in its snapshot to ACTIVE again, and no other; return the failures."""
    ads = [(adset.id, ad) for adset in adsets for ad in adset.active_ads]
    outcomes = api.batch(
        [Operation("POST", ad.id, {"status": "ACTIVE"}, is_confirmed) for _, ad in ads], reserve=reserve
    )
    failures: dict[str, tuple[RepublishFailure, ...]] = {adset.id: () for adset in adsets}
    for (adset_id, ad), outcome in zip(ads, outcomes, strict=True):
        if isinstance(outcome, MetaError):
            failures[adset_id] += (RepublishFailure(ad, outcome),)
    return failures


def verify_ads_after_republish(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], wait_seconds: float = 3, *, reserve: float = RESERVED_SECONDS
) -> dict[str, tuple[AdFinding, ...]]:
    """Layer 3: wait, as far as time allows, read the ads again, and return what each looks like now, by ad set.

    An ad is broken if it has issues that count, or is no longer switched on though it was in the snapshot. If the ads
    cannot be read, each is unreadable, which says neither good nor bad. Ad sets with ads that Meta is still processing
    are looked at again, `FURTHER_LOOKS` times at most, if neither time nor quota is needed for something else, and
    nothing is broken: that is to be put back first.
    """
    with_ads = [adset for adset in adsets if adset.ads]
    if with_ads:
        api.clock.sleep(min(wait_seconds, max(api.clock.remaining() - RESERVED_SECONDS, 0)))
    ads = read_ads(api, [adset.id for adset in with_ads], reserve=reserve)
    findings = {adset.id: compare_ads(adset, ads[adset.id]) if adset.ads else () for adset in adsets}
    for _ in range(FURTHER_LOOKS):
        unsettled = [adset for adset in with_ads if any(map(_is_in_process, findings[adset.id]))]
        broken = any(finding.health is AdHealth.BROKEN for found in findings.values() for finding in found)
        in_time = api.clock.remaining() - wait_seconds >= reserve
        if not unsettled or broken or not in_time or api.quota.seconds_until(len(unsettled) * READ_POINTS):
            break
        api.clock.sleep(wait_seconds)
        again = read_ads(api, [adset.id for adset in unsettled], reserve=reserve)
        findings |= {
            adset.id: compare_ads(adset, seen)
            for adset in unsettled
            if not isinstance(seen := again[adset.id], MetaError)
        }
    return findings


def read_ads(
    api: GraphApi, adset_ids: Sequence[str], *, reserve: float = RESERVED_SECONDS
) -> dict[str, dict[str, Ad] | MetaError]:
    """Read all ads of some ad sets, in as few round trips as there are batches; return them, or why not, by ad set."""
    page = {"fields": _AD_FIELDS, "limit": ADS_PER_PAGE}
    answers = api.batch(
        [Operation("GET", f"{adset_id}/ads", page, has_data) for adset_id in adset_ids], reserve=reserve
    )
    ads: dict[str, dict[str, Ad] | MetaError] = {}
    for adset_id, answer in zip(adset_ids, answers, strict=True):
        try:
            ads[adset_id] = {ad.id: ad for ad in map(_ad, _all_rows(api, f"{adset_id}/ads", answer, reserve))}
        except MetaError as error:
            ads[adset_id] = error
    return ads


def _ads_of(adset_id: str) -> Operation:
    return Operation("GET", f"{adset_id}/ads", {"fields": _AD_FIELDS, "limit": ADS_PER_PAGE}, has_data)


def _all_rows(api: GraphApi, path: str, answer: JsonObject | MetaError, reserve: float) -> list[JsonObject]:
    """Return the rows of a first page if it is the only one, else read the list again page by page."""
    if isinstance(answer, MetaError) and not isinstance(answer, MetaTooMuchDataError):
        raise answer
    if isinstance(answer, MetaTooMuchDataError) or (answer.get("paging") or {}).get("next"):
        return api.get_all(path, {"fields": _AD_FIELDS}, ADS_PER_PAGE, reserve=reserve)
    rows: list[JsonObject] = answer["data"]
    return rows


@dataclass(frozen=True, slots=True)
class Rollback:
    """How a rollback ended: `REVERTED`, `ROLLBACK_FAILED` or `SUPERSEDED`, and what there is to say about it."""

    result: Result
    issues: tuple[str, ...] = ()
    trouble: MetaError | None = None
    """What Meta refused on the way."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """A change that is to be put back."""

    adset: AdSetSnapshot
    """As it was before, with the ads that ought to run."""
    regions: Sequence[Region]
    """What was to be written."""
    written: Written | None = None
    """The targeting as it was after the write; None if nobody knows whether the write arrived. Unless all of it is
    certainly ours, only the regions are put back."""
    is_back: bool = False
    """Whether the targeting is as before again, so that only the ads need care."""


def rollback_geo(api: GraphApi, undoings: Sequence[Undoing], wait_seconds: float = 3) -> dict[str, Rollback]:
    """Layer 4: put back the targeting of each snapshot, re-publish, verify; return how it ended, by ad set.

    An ad set that has neither the snapshot's targeting now nor ours was changed by somebody else and is left alone.
    """
    ended: dict[str, Rollback] = {}
    for undoing in undoings:
        try:
            failed = None if undoing.is_back else _put_back(api, undoing)
        except Exception as error:  # noqa: BLE001 - the others are to be put back whatever the defect
            failed = Rollback(Result.ROLLBACK_FAILED, (f"Its targeting was NOT restored: {log_defect(error)}",))
        if failed is not None:
            ended[undoing.adset.id] = failed
    restored = [undoing.adset for undoing in undoings if undoing.adset.id not in ended]
    failures = republish_ads(api, restored)
    findings = verify_ads_after_republish(api, restored, wait_seconds)
    return ended | {adset.id: _restored(failures[adset.id], findings[adset.id]) for adset in restored}


def _put_back(api: GraphApi, undoing: Undoing) -> Rollback | None:
    """Write the old targeting; return how the rollback ended if it has."""
    adset, written = undoing.adset, undoing.written
    try:
        current = read_targeting(api, adset.id)
        before = _what_to_put_back(adset, undoing.regions, written, current)
        ours = (written.targeting,) if written is not None and written.certain else ()
        write = TargetingWrite(api, adset.id, before=current, after=before, ours=ours)
        current = write.make(RESERVED_SECONDS, (MetaTransientError, MetaRateLimitError)).targeting
    except AdSetChangedError as error:
        return Rollback(Result.SUPERSEDED, (str(error),))
    except MetaError as error:
        what = (
            "It is NOT known whether its targeting is as before"
            if written is None
            else "Its targeting was NOT restored"
        )
        return Rollback(Result.ROLLBACK_FAILED, (f"{what}: {error}",), error)
    if region_keys(current) != region_keys(adset.targeting):
        return Rollback(Result.ROLLBACK_FAILED, ("Its targeting was NOT restored: Meta made something else of it",))
    return None


def _restored(failures: Sequence[RepublishFailure], findings: Sequence[AdFinding]) -> Rollback:
    """Judge the ads of an ad set whose targeting is as before again."""
    sick = [finding for finding in findings if finding.health in {AdHealth.BROKEN, AdHealth.UNREADABLE}]
    healthy = {finding.ad.id for finding in findings if finding.health is AdHealth.HEALTHY}
    unsure = [failure for failure in failures if failure.ad.id not in healthy]
    trouble = most_severe([failure.error for failure in failures])
    if sick or unsure:
        issues = ("Its targeting was restored, but not all ads:", *map(str, sick), *map(str, unsure))
        return Rollback(Result.ROLLBACK_FAILED, issues, trouble)
    return Rollback(Result.REVERTED, ("Its targeting was restored and its ads are healthy",), trouble)


def _what_to_put_back(
    adset: AdSetSnapshot, regions: Sequence[Region], written: Written | None, current: Targeting
) -> JsonObject:
    """Return the targeting to write over `current`, also if that looks as before: a read may be older than the write.

    Raises
    ------
    AdSetChangedError
        What is there is somebody else's.
    """
    certain = written is not None and written.certain
    if written is not None and written.certain:
        ours = same_targeting(current, written.targeting)
    else:
        ours = region_keys(current) == {region["key"] for region in regions}
    if not (ours or same_targeting(current, adset.targeting)):
        raise AdSetChangedError(f"Somebody changed the targeting of {adset.id} meanwhile: it stays as it is now")
    if certain or same_but_for_regions(current, adset.targeting):
        return without_computed(adset.targeting)
    old_regions = (adset.targeting.get("geo_locations") or {}).get("regions") or []
    return _build_new_targeting(current, old_regions)
