"""Classification of Meta's responses: an object of the expected shape, or an error by its code."""

import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from closrads.errors import (
    MetaAccessError,
    MetaAccountError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaObjectError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
    MetaVersionError,
)
from closrads.meta.rate_limit import seconds_to_regain_access
from closrads.observability import logger
from closrads.redaction import one_line

# What each of Meta's numbers is about; the code decides, never the message. Unless a line names another source, it is
# Marketing API "Error Codes", or Graph API "Handling Errors" for numbers below 1,000.
TOKEN_DEAD = 190
"""The code of every refusal of a token that has expired or been revoked ("Error Codes")."""
_BY_PAIR: Mapping[tuple[int, int | None], type[MetaError]] = {
    (1, 2853001): MetaAccessError,  # profile not linked to its page (observed)
    (17, 1885172): MetaInvalidError,  # too many changes of the spend limit: waiting does not help ("Rate Limiting")
    (613, 1487632): MetaInvalidError,  # too many changes of the budget: waiting does not help ("Rate Limiting")
    (613, 1487225): MetaInvalidError,  # too many ads created: waiting does not help ("Rate Limiting")
    (613, None): MetaPolicyError,  # abuse prevention has lowered the quota for hours ("Rate Limiting")
}
"""Codes with exactly this subcode."""
_BY_NUMBER: Mapping[type[MetaError], frozenset[int]] = {
    MetaPolicyError: frozenset(
        {
            368, 1404078, 2859015,  # blocked from the action
            1404163,  # no longer allowed to advertise
        }
    ),
    MetaAccountError: frozenset(
        {
            31, 3858385,  # the token's owner must authenticate in Ads Manager (observed since May 2026)
            1359188,  # no payment method (observed)
            2708008,  # not authorized for ads about politics
        }
    ),
    MetaVersionError: frozenset({2635}),  # ("Versioning")
    MetaRateLimitError: frozenset({2446079}),  # "Rate Limiting"
    MetaTooMuchDataError: frozenset({1504018}),  # it took Meta too long, with the code 2 or 100 (observed)
    MetaTransientError: frozenset({3910001}),  # trouble with the account, which passes
    MetaObjectError: frozenset(
        {
            33,  # missing, or no access to it
            1487007, 1487033, 1487056, 1487566, 1885088,  # ended, a date in the past, deleted, archived
            2490427, 2490468,  # a rejected ad
            1487694, 2446394, 1870088,  # a retired option of its targeting
            1870199, 1815946, 2641,  # its locations ("Basic Targeting", reference "Ad Set")
            1487756, 1487851,  # its locations overlap, or there are none (observed)
            1870189, 1870227,  # its Advantage+ audience ("Advantage+ audience")
            1870034, 1870090, 1870092,  # its audience: terms that are not accepted, with the code of a permission
            1870065, 1870165, 246003, 246004,  # its audience: disabled, too young, flagged
            2446289, 2490155, 1885557, 1815869, 2446880, 3858152,  # what one of its ads promotes
            1885502,  # a format of one of its ads (observed)
            3390001,  # the lead form of one of its ads (observed)
        }
    ),
}  # fmt: skip
"""Numbers that some responses have as the code, others as the subcode; the first match counts, before the code."""
_BY_CODE: Mapping[type[MetaError], frozenset[int]] = {
    MetaRateLimitError: frozenset({4, 17, 32, 341, 613, *range(80000, 80007), 80008, 80009, 80014}),  # "Rate Limiting"
    MetaAccessError: frozenset({3, 10, 102, 104, TOKEN_DEAD, *range(200, 300)}),
    MetaTransientError: frozenset({1, 2, 960}),  # 960: a batch timed out (observed)
}
"""Codes, whatever the subcode."""
JsonObject = dict[str, Any]
Shape = Callable[[JsonObject], bool]


def parse_answer(  # noqa: PLR0913, PLR0917 - the call, and the parts of its response
    path: str, status: int, headers: Mapping[str, str], body: Any, expects: Shape, account_id: str
) -> JsonObject:
    """Return the JSON object of a response to a call for an ad account.

    Only Meta's own error object means that the call was refused. An HTML page, an empty body or anything else that is
    not JSON of the expected shape does not come from the API, whatever its status (facebook-python-business-sdk #675).

    Raises
    ------
    MetaLostAnswerError
        The response is not usable, so the outcome of the call is unknown.
    MetaError
        Any other subclass, by Meta's error code.
    """
    answer = parse_json(body)
    if isinstance(answer, dict) and "error" in answer:
        raise _classify(path, answer["error"], headers, account_id)
    if not (HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and isinstance(answer, dict) and expects(answer)):
        raise MetaLostAnswerError(f"Meta answered HTTP {status} for {path} with something unexpected")
    return answer


def _classify(path: str, error: Any, headers: Mapping[str, str], account_id: str) -> MetaError:
    """Return the exception for one of Meta's error objects."""
    if not isinstance(error, dict):
        return MetaTransientError(f"Meta reports an error for {path}: {one_line(str(error))}")
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    said = one_line(str(error.get("error_user_msg") or error.get("message") or "no reason given"))
    texts = f"{error.get('message')} {error.get('error_user_msg')}".lower()
    kind = _kind(code, subcode, transient=error.get("is_transient") is True)
    if kind is MetaTransientError and "reduce the amount of data" in texts:
        kind = MetaTooMuchDataError  # the only error that is recognized by its message: it has no distinct code
    if kind is MetaTooMuchDataError and "/" not in path:
        kind = MetaTransientError  # only an edge of an object can be read in smaller pages
    trace = one_line(str(error.get("fbtrace_id")))
    logger.info(
        "meta.error", extra={"path": path, "code": code, "subcode": subcode, "kind": kind.__name__, "trace": trace}
    )
    retry_after = seconds_to_regain_access(headers, account_id) if kind is MetaRateLimitError else None
    return kind(f"Meta refuses {path}: {said}", code=code, subcode=subcode, retry_after=retry_after)


def _kind(code: int | None, subcode: int | None, *, transient: bool) -> type[MetaError]:
    if code is None:
        return MetaTransientError
    kind = _BY_PAIR.get((code, subcode)) or next(_matches(code, subcode), MetaInvalidError)
    passes = issubclass(kind, MetaInvalidError) and (transient or code < 0)
    return MetaTransientError if passes else kind


def _matches(code: int, subcode: int | None) -> Iterator[type[MetaError]]:
    yield from (kind for kind, numbers in _BY_NUMBER.items() if numbers & {code, subcode})
    yield from (kind for kind, codes in _BY_CODE.items() if code in codes)


def parse_json(text: Any) -> Any:
    """Parse JSON; return None if it is malformed."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
