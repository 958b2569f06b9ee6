"""Predefined error responses, for `MetaWorld.fail`, `MetaWorld.dead_tokens` and the fake's own refusals.

Codes and shapes follow Meta's error reference and responses that users of the API have published. Errors are classified
by `code` and `error_subcode`; the messages here are not Meta's, which change without notice, too.
"""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from sandbox.server import Delivery, Reply

TRACE = "AfakeTrace0001"

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Refused(Exception):  # noqa: N818 - a refusal is a response, not an error of ours
    """Raised to return this reply instead of performing the operation."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body)
        self.reply = reply


@dataclass(frozen=True)
class NullItem(Reply):
    """A null item in a batch response: Meta returns it for items that remain when a batch times out."""


@dataclass(frozen=True)
class ShortList(Reply):
    """A batch response without its last `missing` items."""

    missing: int = 1


def answer(content: Any, status: int = HTTPStatus.OK, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a reply with JSON content."""
    return Reply(status, _encode(content).encode(), headers=headers)


SUCCESS = answer({"success": True})
"""A write that took effect, or would have."""


def error(  # noqa: PLR0913 - the fields of Meta's error envelope
    code: int,
    subcode: int | None = None,
    message: str = "Something went wrong",
    *,
    status: int = HTTPStatus.BAD_REQUEST,
    kind: str = "OAuthException",
    transient: bool | None = None,
    data: Any = None,
    user_title: str | None = None,
    user_message: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return an error in Meta's envelope; everything except message, type, code and trace id is optional."""
    envelope = {
        "message": f"(#{code}) {message}",
        "type": kind,
        "code": code,
        "error_subcode": subcode,
        "is_transient": transient,
        "error_data": data,
        "error_user_title": user_title,
        "error_user_msg": user_message,
        "fbtrace_id": TRACE,
    }
    return answer({"error": {key: value for key, value in envelope.items() if value is not None}}, status, headers)


def html(status: int, text: str) -> Reply:
    """Return an HTML page, as sent by the edge servers in front of the API."""
    return Reply(status, f"<html><body><h1>{text}</h1></body></html>".encode(), "text/html")


# --- throttling: HTTP 400, never 429


def throttled_use_case(minutes: int = 5, account: str = "111") -> Reply:
    """Return a hit of the ads management use case's hourly limit; its header states the remaining block in minutes."""
    usage = {
        "type": "ads_management",
        "call_count": 100,
        "total_cputime": 30,
        "total_time": 30,
        "estimated_time_to_regain_access": minutes,
        "ads_api_access_tier": "development_access",
    }
    return error(
        80004,
        2446079,
        "There have been too many calls to this ad-account",
        transient=True,
        headers=(("X-Business-Use-Case-Usage", json.dumps({account: [usage]})),),
    )


def throttled_account(seconds: int = 300) -> Reply:
    """Return a hit of the ad account's score limit; its header states the remaining block in seconds."""
    usage = {
        "acc_id_util_pct": 100.0,
        "reset_time_duration": seconds,
        "ads_api_access_tier": "development_access",
    }
    return error(
        17, 2446079, "User request limit reached", transient=True, headers=(("X-Ad-Account-Usage", json.dumps(usage)),)
    )


THROTTLED_ACCOUNT = throttled_account()
THROTTLED_USE_CASE = throttled_use_case()
THROTTLED_ACCOUNT_BARE = replace(THROTTLED_ACCOUNT, headers=())
THROTTLED_USE_CASE_BARE = replace(THROTTLED_USE_CASE, headers=())
"""Without headers, which appear only after enough calls (Graph API "Rate Limits")."""
TOO_MANY_CALLS = error(613, 1487742, "Too many calls from this ad account", transient=True)
TOO_MANY_MUTATIONS = error(613, 5044001, "Too many mutations per second", transient=True)
ABUSE_PREVENTION = error(613, None, "Calls to this api have exceeded the rate limit")
APP_LIMIT = error(4, None, "Application request limit reached", transient=True)

# --- tokens, permissions, policy

TOKEN_INVALID = error(190, None, "Invalid OAuth access token")
PASSWORD_CHANGED = error(190, 460, "The session has been invalidated because the user changed their password")
TOKEN_EXPIRED = error(190, 463, "The session has expired")
PERMISSION_MISSING = error(200, None, "Permissions error", status=HTTPStatus.FORBIDDEN)
CAPABILITY_MISSING = error(10, None, "Application does not have permission for this action")
POLICY_BLOCK = error(368, None, "The action attempted has been deemed abusive or is otherwise disallowed")

ACCOUNT_HOLD_400 = error(31, 3858385, "The account must be authenticated", user_message="Open Ads Manager to verify")
ACCOUNT_HOLD = replace(ACCOUNT_HOLD_400, status=HTTPStatus.OK)
"""Writes are refused until the token's owner has visited Ads Manager; observed with HTTP 200 in 2026."""
PAYMENT_MISSING = error(100, 1359188, "No payment method", user_message="Add a payment method to the ad account")
"""Observed by a user of the API; every change of the ad account is refused until a person has added one."""
ADVERTISING_FORBIDDEN = error(1404163, None, "You are no longer allowed to advertise or to manage ads")
NOT_AUTHORIZED_FOR_POLITICS = error(2708008, None, "The token's owner is not authorised for ads about politics")
"""Marketing API "Error Codes"."""

# --- versions and features that have gone

VERSION_RETIRED = error(2635, None, "A version that is still supported must stand in the path")
IDS_GONE = error(100, None, "The ids parameter is gone", status=HTTPStatus.INTERNAL_SERVER_ERROR)
"""Returned by all versions since October 2026, with this status."""
LEGACY_FEATURE = error(100, None, "This feature is no longer available")
"""v27.0 calls the feature legacy; the actual error has not been published."""

# --- errors that pass

UNKNOWN_ERROR = error(1, None, "An unknown error occurred", status=HTTPStatus.INTERNAL_SERVER_ERROR)
UNKNOWN_ERROR_99 = error(1, 99, "An unknown error occurred", status=HTTPStatus.INTERNAL_SERVER_ERROR)
SERVICE_UNAVAILABLE = error(2, None, "Service temporarily unavailable", status=HTTPStatus.SERVICE_UNAVAILABLE)
TRANSIENT = error(3910001, None, "There was a problem with the account, try later", transient=True)
BATCH_TIMED_OUT = error(960, None, "Request aborted. This could happen if a dependent request failed")
REDUCE_DATA = error(
    1, None, "Please reduce the amount of data you're asking for", status=HTTPStatus.INTERNAL_SERVER_ERROR
)
REDUCE_DATA_HIDDEN = error(
    1,
    99,
    "An unknown error occurred",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    user_message="Please reduce the amount of data you're asking for",
)

REQUEST_TIMED_OUT = error(2, 1504018, "Your request timed out", status=HTTPStatus.INTERNAL_SERVER_ERROR)
REQUEST_TIMED_OUT_100 = error(100, 1504018, "Your request timed out", user_message="Try a smaller date range")
"""Observed with HTTP 400 and the code of an invalid parameter (OWOX/owox-data-marts #837); a smaller `limit` helps."""

# --- the object is refused

OBJECT_MISSING = error(100, 33, "Unsupported request: object does not exist", kind="GraphMethodException")
ADSET_ENDED = error(100, 1487007, "The ad set has ended: change its end date first")
ADSET_DELETED = error(100, 1487056, "The ad set was deleted and cannot be edited")
CAMPAIGN_DELETED = error(100, 1487566, "The campaign was deleted and cannot be edited")
TERMS_NOT_ACCEPTED = error(
    200,
    1870034,
    "The terms for custom audiences have not been accepted",
    user_message="Accept the terms for custom audiences in Ads Manager",
)
"""Marketing API "Error Codes": it has the code of a missing permission, but only ad sets with audiences meet it."""
FORMATS_UNAVAILABLE = error(100, 1885502, "An ad of this ad set cannot be shown in any of its formats")
POST_UNAVAILABLE = error(100, 2446289, "The post that this ad promotes is not available")
CURSOR_INVALID = error(2642, None, "Invalid cursors values")
"""The cursor of a list that has changed since (facebook-java-business-sdk #292, Graph API "Paginated Results")."""
INTEREST_RETIRED = error(100, 1487694, "The targeting option is no longer available")
AUDIENCE_FLAGGED = error(100, 246003, "The custom audience can no longer be used")
LOCATION_RESTRICTED = error(2641, None, "The location is restricted")
MISSING_LEAD_FORM = error(100, 3390001, "Missing lead form (#3390001)")
ERROR_DATA_OBJECT = error(100, 1487694, "Invalid parameter", data={"blame_field_specs": [["targeting"]]})
ERROR_DATA_TEXT = error(100, 1487694, "Invalid parameter", data='{"blame_field":"targeting"}')
ERROR_DATA_NOT_JSON = error(100, 1487694, "Invalid parameter", data="the field targeting is to blame")

# --- answers that are no answers

ERROR_PAGE_400 = Reply(
    HTTPStatus.BAD_REQUEST,
    b"<html><head><title>Facebook | Error</title></head><body>Sorry, something went wrong.</body></html>",
    "text/html",
)
"""Observed for oversized requests (facebook-python-business-sdk #675); the request may have taken effect."""
UNAVAILABLE_TEXT = Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"Service Unavailable", "text/plain")
SERVER_ERROR_HTML = html(500, "Sorry, something went wrong.")
SERVER_ERROR_EMPTY = Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
BAD_GATEWAY_HTML = html(502, "Bad Gateway")
BAD_GATEWAY_SUCCESS = html(502, "The request was a success, but the gateway was not")
OK_EMPTY = Reply()
OK_EMPTY_OBJECT = answer({})
OK_HTML = html(200, "Log in to continue")
OK_WITH_ERROR = error(2, None, "Service temporarily unavailable", status=HTTPStatus.OK)
SUCCESS_FALSE = answer({"success": False})
ERROR_AS_TEXT = answer({"error": "Something went wrong"}, HTTPStatus.INTERNAL_SERVER_ERROR)
TRUNCATED = Reply(body=b'{"success":true,"and":"more that never arrives"}', delivery=Delivery.TRUNCATED)
DROPPED = Reply(body=None, delivery=Delivery.DROPPED)


DRIPPED = Reply(delivery=Delivery.DRIPPED)
"""Headers that arrive byte by byte and never end."""


TOO_MUCH_DATA = (
    REDUCE_DATA,
    UNKNOWN_ERROR_99,
    REDUCE_DATA_HIDDEN,
    REQUEST_TIMED_OUT,
    REQUEST_TIMED_OUT_100,
    ERROR_PAGE_400,
    SERVER_ERROR_HTML,
)
"""All observed errors for a page that is too large, for `MetaWorld.too_much_data`."""


def stalled(seconds: float) -> Reply:
    """Return silence for some seconds (or until `MetaWorld.release`), followed by a closed connection."""
    return Reply(body=None, delivery=Delivery.STALLED, seconds=seconds)


STALLED = Reply(body=None, delivery=Delivery.STALLED)

# --- batches: the first two for one item, the others for the whole answer (`on="batch"`)

NULL_ITEM = NullItem(body=b"null")
NULL_BODY = Reply(body=None)
SHORT_LIST = ShortList()
NO_ITEMS = answer([])
ENVELOPE_DICT = answer({"data": []})
ENVELOPE_TEXT = answer("Something went wrong")
