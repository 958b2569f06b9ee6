"""Classification of Meta's responses: an object of the expected shape, or an error by its code."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from closrads.errors import (
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
)
from closrads.meta.rate_limit import seconds_to_regain_access
from closrads.observability import logger
from closrads.redaction import one_line

# Marketing API "Error Codes" and Graph API "Handling Errors". The code decides, never the message.
# Some responses have these numbers as the code, others as the subcode.
_POLICY_NUMBERS = frozenset({368, 1404078, 2859015})
_RATE_LIMIT_NUMBERS = frozenset({2446079})
_TRANSIENT_NUMBERS = frozenset({3910001})
_RATE_LIMIT_CODES = frozenset({4, 17, 32, 341, 613, *range(80000, 80007), 80008, 80009, 80014})
_ACCESS_CODES = frozenset({3, 10, 102, 104, 190, 2635, *range(200, 300)})
_TRANSIENT_CODES = frozenset({1, 2, 960})
_EXCEPTIONS_TO_THE_CODE: Mapping[tuple[int, int | None], type[MetaError]] = {
    (1, 2853001): MetaAccessError,  # profile not linked to its page
    (17, 1885172): MetaInvalidError,  # too many changes of the spend limit: waiting does not help
    (613, 1487632): MetaInvalidError,  # too many changes of the budget: waiting does not help
    (613, 1487225): MetaInvalidError,  # too many ads created: waiting does not help
    (613, None): MetaPolicyError,  # abuse prevention has lowered the quota for hours
}
JsonObject = dict[str, Any]
Shape = Callable[[JsonObject], bool]


def parse_answer(path: str, status: int, headers: Mapping[str, str], body: Any, expects: Shape) -> JsonObject:
    """Return the response's JSON object.

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
        raise _classify(path, answer["error"], headers)
    if not (HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and isinstance(answer, dict) and expects(answer)):
        raise MetaLostAnswerError(f"Meta answered HTTP {status} for {path} with something unexpected")
    return answer


def _classify(path: str, error: Any, headers: Mapping[str, str]) -> MetaError:
    """Return the exception for one of Meta's error objects."""
    if not isinstance(error, dict):
        return MetaTransientError(f"Meta reports an error for {path}: {one_line(str(error))}")
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    said = one_line(str(error.get("error_user_msg") or error.get("message") or "no reason given"))
    texts = f"{error.get('message')} {error.get('error_user_msg')}".lower()
    kind = _kind(code, subcode, transient=error.get("is_transient") is True)
    if kind is MetaTransientError and "reduce the amount of data" in texts:
        kind = MetaTooMuchDataError  # the only error that is recognized by its message: it has no distinct code
    trace = one_line(str(error.get("fbtrace_id")))
    logger.info(
        "meta.error", extra={"path": path, "code": code, "subcode": subcode, "kind": kind.__name__, "trace": trace}
    )
    retry_after = seconds_to_regain_access(headers) if kind is MetaRateLimitError else None
    return kind(f"Meta refuses {path}: {said}", code=code, subcode=subcode, retry_after=retry_after)


def _kind(code: int | None, subcode: int | None, *, transient: bool) -> type[MetaError]:  # noqa: PLR0911 - one return per class
    if code is None:
        return MetaTransientError
    if exception := _EXCEPTIONS_TO_THE_CODE.get((code, subcode)):
        return exception
    numbers = {code, subcode}
    if numbers & _POLICY_NUMBERS:
        return MetaPolicyError
    if code in _RATE_LIMIT_CODES or numbers & _RATE_LIMIT_NUMBERS:
        return MetaRateLimitError
    if code in _ACCESS_CODES:
        return MetaAccessError
    if transient or code in _TRANSIENT_CODES or numbers & _TRANSIENT_NUMBERS or code < 0:
        return MetaTransientError
    return MetaInvalidError


def parse_json(text: Any) -> Any:
    """Parse JSON; return None if it is malformed."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
