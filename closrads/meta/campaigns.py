"""Reads campaigns themselves, and the audience controls of their ad account."""

import math
from collections.abc import Sequence

from closrads.domain.adsets import GONE_STATUSES
from closrads.errors import MetaError
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import GraphApi, Operation, has_data, has_id
from closrads.observability import logger
from closrads.redaction import MAX_NAME_CHARS, one_line

_NOT_DELIVERING = {
    "2": "is disabled",
    "3": "has unpaid bills",
    "7": "is under review for risks",
    "100": "is about to be closed",
    "101": "is closed",
}
"""By `account_status`; 1 is active, and 9 is the time that Meta gives to pay."""


def identify(api: GraphApi, object_id: str) -> str:
    """Return what kind of object an id belongs to that is not a campaign's, and what to do; empty if unknown.

    An ad set has no `adset_id`, and neither an ad set nor an ad has a list of ad sets (Marketing API references).
    """
    fields = {"ad": "id,name,adset_id,campaign_id", "ad set": "id,name,campaign_id"}
    reads = [Operation("GET", object_id, {"fields": each}, has_id) for each in fields.values()]
    answers = api.batch(reads, reserve=math.inf)
    for kind, answer in zip(fields, answers, strict=True):
        if not isinstance(answer, MetaError):
            name, campaign = one_line(str(answer.get("name"))), one_line(str(answer.get("campaign_id")))
            return (
                f"{object_id} is the id of the {kind} “{name}”, not of a Meta campaign. Put its campaign's id into "
                f"fb_campaign_ids: {campaign}"
            )
    return ""


def find_gone_campaigns(api: GraphApi, campaign_ids: Sequence[str]) -> dict[str, str]:
    """Return a message for each Meta campaign that is archived or deleted, by id; any other is left out.

    Meta lists no ad sets for them, just as for a campaign that is only paused. One that cannot be read is left out.
    """
    query = {"fields": "id,name,effective_status"}
    answers = api.batch([Operation("GET", each, query, has_id) for each in campaign_ids], reserve=math.inf)
    gone: dict[str, str] = {}
    for campaign_id, answer in zip(campaign_ids, answers, strict=True):
        if isinstance(answer, MetaError):
            continue
        status = str(answer.get("effective_status"))
        if status in GONE_STATUSES:
            name = one_line(str(answer.get("name") or campaign_id), MAX_NAME_CHARS)
            gone[campaign_id] = f"Meta campaign {campaign_id} ({name}) is {status.lower()}"
    return gone


def why_not_delivering(api: GraphApi) -> str | None:
    """Return why the ad account delivers no ads; empty if it does, None if Meta does not say.

    No status of an ad or ad set shows that (Marketing API reference "Ad Account").
    """
    try:
        account = api.get_once(api.ad_account_id, {"fields": "id,account_status"}, has_id)
    except MetaError as error:
        logger.warning("meta.no_account_status", extra={"ad_account_id": api.ad_account_id, "error": str(error)})
        return None
    status = str(account.get("account_status"))
    if status in _NOT_DELIVERING:
        return f"No ad of the ad account {api.ad_account_id} runs: Meta says that it {_NOT_DELIVERING[status]}"
    return "" if status.isdigit() else None


def read_audience_controls(api: GraphApi) -> JsonObject:
    """Return the `audience_controls` of the ad account, which bind all of its ad sets; empty if there are none.

    Raises
    ------
    MetaError
        They could not be read.
    """
    page = api.get_once(f"{api.ad_account_id}/account_controls", {"fields": "audience_controls"}, has_data)
    controls = [row.get("audience_controls") for row in page["data"]]
    return next((each for each in controls if isinstance(each, dict)), {})
