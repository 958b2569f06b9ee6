"""The odd answers that a story can name: what Meta, the partner and AWS have been seen to send."""

from typing import Any

from sandbox.meta import faults
from sandbox.server import Delivery, Reply

REFUSALS: dict[str, Reply] = {
    "throttled account": faults.throttled_account(120),
    "throttled use case": faults.throttled_use_case(5),
    "too many calls": faults.TOO_MANY_CALLS,
    "too many mutations": faults.TOO_MANY_MUTATIONS,
    "app limit": faults.APP_LIMIT,
    "abuse prevention": faults.ABUSE_PREVENTION,
    "policy block": faults.POLICY_BLOCK,
    "permission missing": faults.PERMISSION_MISSING,
    "token invalid": faults.TOKEN_INVALID,
    "interest retired": faults.INTEREST_RETIRED,
    "missing lead form": faults.MISSING_LEAD_FORM,
}
"""Meta says no: nothing was done."""

PUZZLES: dict[str, Reply] = {
    "503": faults.SERVICE_UNAVAILABLE,
    "unknown error": faults.UNKNOWN_ERROR,
    "unknown error 99": faults.UNKNOWN_ERROR_99,
    "transient": faults.TRANSIENT,
    "HTML 400": faults.html(400, "Facebook | Error"),
    "HTML 404": faults.html(404, "Page not found"),
    "HTML 500": faults.SERVER_ERROR_HTML,
    "HTML 502": faults.BAD_GATEWAY_HTML,
    "HTML 502 success": faults.BAD_GATEWAY_SUCCESS,
    "HTML 200": faults.OK_HTML,
    "500 empty": faults.SERVER_ERROR_EMPTY,
    "200 empty": faults.OK_EMPTY,
    "200 {}": faults.OK_EMPTY_OBJECT,
    "200 with error": faults.OK_WITH_ERROR,
    "success false": faults.SUCCESS_FALSE,
    "error as text": faults.ERROR_AS_TEXT,
    "truncated": faults.TRUNCATED,
    "dropped": faults.DROPPED,
    "time-out": Reply(body=None, delivery=Delivery.STALLED),
}
"""Whether it was done is open."""

HOLDS: dict[str, Reply] = {
    "authentication": faults.ACCOUNT_HOLD,
    "payment": faults.PAYMENT_MISSING,
    "conduct": faults.ADVERTISING_FORBIDDEN,
}
"""What Meta answers to each write of an ad account that it holds."""

OF_BATCHES: dict[str, Reply] = {
    "null item": faults.NULL_ITEM,
    "null body": faults.NULL_BODY,
    "short list": faults.SHORT_LIST,
    "no items": faults.NO_ITEMS,
    "envelope dict": faults.ENVELOPE_DICT,
}

OF_LISTS: dict[str, Reply] = {"reduce data": faults.REDUCE_DATA, "reduce data hidden": faults.REDUCE_DATA_HIDDEN}

META = REFUSALS | PUZZLES | OF_BATCHES | OF_LISTS

CLOSRTECH: dict[str, Reply] = {
    "503": Reply(503, b"Service Unavailable", "text/plain"),
    "HTML": Reply(200, b"<html><body>Scheduled maintenance</body></html>", "text/html"),
    "dropped": Reply(body=None, delivery=Delivery.DROPPED),
    "time-out": Reply(body=None, delivery=Delivery.STALLED),
    "empty": Reply(200, b"{}"),
    "all zero": Reply(200, b'{"FL":0,"GA":0,"TX":0}'),
    "garbage": Reply(200, b'{"FL":"many"}'),
    "refused": Reply(401, b'{"error":"wrong login"}'),
    "one state": Reply(200, b'{"FL":1}'),
}
"""What the partner may send instead of its demand."""

DROPPED = "connection dropped"
AWS: dict[str, tuple[str, int]] = {
    "internal error": ("InternalServerError", 500),
    "throughput exceeded": ("ProvisionedThroughputExceededException", 400),
    "dropped": (DROPPED, 500),
    "access denied": ("AccessDeniedException", 400),
}
"""Codes and statuses of AWS; the client tries again where boto3's would."""


def is_refusal(reply: Any) -> bool:
    """Tell whether an answer is an error by which Meta says that it has not done what it was asked for."""
    is_error = isinstance(reply, Reply) and (reply.body or b"").startswith(b'{"error"')
    return is_error and reply.body not in {puzzle.body for puzzle in PUZZLES.values()}
