"""Reads ad sets again: many in a batch, each with all of its ads, and fast enough to base a write on the result."""

import math
from collections.abc import Callable, Mapping, Sequence

from closrads.domain.adsets import GONE_STATUSES, Ad, AdSetSnapshot
from closrads.errors import MetaError, MetaRateLimitError, MetaTooMuchDataError, MetaTransientError
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import MAX_BATCH, RESERVED_SECONDS, GraphApi, Operation, has_data, has_id
from closrads.meta.parsing import parse_ad, parse_whole_adset
from closrads.meta.targeting_write import FRESH_SECONDS

ADS_PER_PAGE = 200
ADSET_FIELDS = (
    "id,name,account_id,effective_status,targeting,end_time,learning_stage_info,"
    "campaign{effective_status,stop_time,special_ad_categories}"
)
AD_FIELDS = "id,adset_id,name,status,effective_status,issues_info,ad_review_feedback"
_FIELDS_AFTER_A_WRITE = f"{AD_FIELDS},adset{{effective_status,issues_info}}"
"""An ad does not show what is wrong with its whole ad set, as the processing of an edit may find (Marketing API
"Post-Processing for Ad Creation and Edits")."""


def read_adsets(
    api: GraphApi, adsets: Sequence[AdSetSnapshot], *, reserve: float = RESERVED_SECONDS
) -> dict[str, AdSetSnapshot | MetaError]:
    """Read ad sets with all their ads again; return each ad set, or the error, by id.

    An ad set and its ads are read within `FRESH_SECONDS`. Waits spare the last `reserve` seconds of the invocation; if
    that is infinite, there are no waits.
    """
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for start in range(0, len(adsets), MAX_BATCH // 2):
        now |= _read_batch(api, adsets[start : start + MAX_BATCH // 2], reserve)
    return now


def reader(api: GraphApi) -> Callable[[AdSetSnapshot], AdSetSnapshot]:
    """Return a function that reads an ad set with all its ads, without retries."""

    def read(adset: AdSetSnapshot) -> AdSetSnapshot:
        there = read_adsets(api, [adset], reserve=math.inf)[adset.id]
        if isinstance(there, MetaError):
            raise there
        return there

    return read


def read_ads(api: GraphApi, ran: Mapping[str, Sequence[Ad]], reserve: float) -> dict[str, tuple[Ad, ...] | MetaError]:
    """Read all ads of ad sets in batches; return the ads, or the error, by ad set id.

    Parameters
    ----------
    ran
        The ads that ran when they were last seen, by ad set id.
    """
    answers = api.batch([_list_ads(adset_id) for adset_id in ran], reserve=reserve)
    return _with_unlisted(api, ran, _ads_of(api, [*ran], answers, reserve))


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
        transient = {
            adset_id: error
            for adset_id, error in read.items()
            if isinstance(error, MetaTransientError | MetaRateLimitError)
        }
        unread = [adset for adset in unread if adset.id in transient]
        if transient:
            raise next(iter(transient.values()))

    try:
        api.retrying(attempt, reserve=reserve)
    except MetaError as error:
        now |= {adset.id: now.get(adset.id, error) for adset in unread}
    return now


def _read_once(api: GraphApi, adsets: Sequence[AdSetSnapshot]) -> dict[str, AdSetSnapshot | MetaError]:
    """Read without retrying single items, which would mix reads of different times."""
    started = api.clock.now()
    operations = [Operation("GET", adset.id, {"fields": ADSET_FIELDS}, has_id) for adset in adsets]
    operations += [_list_ads(adset.id) for adset in adsets]
    answers = api.batch(operations, reserve=math.inf)
    ran = {adset.id: adset.active_ads for adset in adsets}
    listed = _ads_of(api, [adset.id for adset in adsets], answers[len(adsets) :], math.inf)
    ads = _with_unlisted(api, ran, listed)
    now: dict[str, AdSetSnapshot | MetaError] = {}
    for adset, row in zip(adsets, answers, strict=False):
        own = ads[adset.id]
        try:
            if isinstance(row, MetaError):
                raise row
            if isinstance(own, MetaError):
                raise own
            now[adset.id] = parse_whole_adset(row, adset.meta_campaign_id, {ad.id: ad for ad in own}, started)
        except MetaError as error:
            now[adset.id] = error
    return now


def _ads_of(
    api: GraphApi, adset_ids: Sequence[str], answers: Sequence[JsonObject | MetaError], reserve: float
) -> dict[str, tuple[Ad, ...] | MetaError]:
    """Return the ads in the first pages of ad sets' lists, and in those that follow."""
    ads: dict[str, tuple[Ad, ...] | MetaError] = {}
    for adset_id, answer in zip(adset_ids, answers, strict=True):
        try:
            rows = _all_rows(api, f"{adset_id}/ads", answer, reserve)
            ads[adset_id] = tuple({ad.id: ad for ad in map(parse_ad, rows)}.values())
        except MetaError as error:
            ads[adset_id] = error
    return ads


def _with_unlisted(
    api: GraphApi, ran: Mapping[str, Sequence[Ad]], listed: dict[str, tuple[Ad, ...] | MetaError]
) -> dict[str, tuple[Ad, ...] | MetaError]:
    """Return the listed ads, and those that ran and still exist although they are not listed; or the error, by ad set.

    A list omits deleted ads. But Meta has also returned empty lists for campaigns with ads
    (facebook-python-business-sdk #112), and only a read of the ad itself distinguishes the two.
    """
    there = {adset_id: {ad.id for ad in ads} for adset_id, ads in listed.items() if not isinstance(ads, MetaError)}
    unlisted = [(owner, ad) for owner, ads in ran.items() if owner in there for ad in ads if ad.id not in there[owner]]
    operations = [Operation("GET", ad.id, {"fields": _FIELDS_AFTER_A_WRITE}, has_id) for _, ad in unlisted]
    answers = api.batch(operations, reserve=math.inf)
    found = dict(listed)
    for (owner, _), answer in zip(unlisted, answers, strict=True):
        ads = found[owner]
        if isinstance(ads, MetaError) or (isinstance(answer, MetaError) and answer.is_missing):
            continue
        try:
            if isinstance(answer, MetaError):
                raise answer
            ad = parse_ad(answer)
            found[owner] = ads if GONE_STATUSES & {ad.status, ad.effective_status} else (*ads, ad)
        except MetaError as error:
            found[owner] = error
    return found


def _list_ads(adset_id: str) -> Operation:
    return Operation("GET", f"{adset_id}/ads", {"fields": _FIELDS_AFTER_A_WRITE, "limit": ADS_PER_PAGE}, has_data)


def _all_rows(api: GraphApi, path: str, answer: JsonObject | MetaError, reserve: float) -> list[JsonObject]:
    """Return the rows of a first page if it is the only one; otherwise read the list again, page by page."""
    if isinstance(answer, MetaError) and not isinstance(answer, MetaTooMuchDataError):
        raise answer
    if isinstance(answer, MetaTooMuchDataError) or (answer.get("paging") or {}).get("next"):
        return api.get_all(path, {"fields": _FIELDS_AFTER_A_WRITE}, ADS_PER_PAGE, reserve=reserve)
    rows: list[JsonObject] = answer["data"]
    return rows
