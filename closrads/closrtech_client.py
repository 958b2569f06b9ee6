"""Client for CLOSRTECH, the partner that states how many leads it can sell per state today."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from closrads.clock import Clock
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosrtechAccessError, ClosrtechDataError, ClosrtechError
from closrads.http import AnswerTooLargeError, BoundedAdapter
from closrads.observability import logger
from closrads.redaction import one_line
from closrads.state_mapper import is_state, normalized

TIMEOUT_SECONDS = 30
"""Timeout of the connection, of each read, and of the whole response."""
MAX_BYTES = 1_000_000
"""Maximum size of a response; a complete one has 51 short entries."""
MAX_ENTRIES, MAX_CODE_CHARS = 200, 40
MAX_QUOTED_CHARS = 150
MAX_WAIT_SECONDS = 120
"""Maximum time between two attempts; if CLOSRTECH asks for more, the first error stands."""
_WHOLE_NUMBER = re.compile(r"\s*([0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3})(?:\.0{1,12})?\s*")
_TAG = re.compile(r"<[^<>]*>")
_TRANSIENT_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "closrtech/email and closrtech/password",
    HTTPStatus.FORBIDDEN: "closrtech/email and closrtech/password",
    HTTPStatus.NOT_FOUND: "the campaign's closrtech_campaign, then closrtech/base_url",
}
"""Parameters to check, by HTTP status."""


def get_demand(campaign: str, *, login: ClosrtechLogin, clock: Clock = Clock()) -> dict[str, int]:  # noqa: B008 - a frozen value
    """Return the demand by state: USPS code in upper case → number of leads, always positive.

    Makes up to three attempts, 4 and 8 seconds apart or as long as a `Retry-After` asks, while the invocation's
    deadline allows it.

    Parameters
    ----------
    campaign
        CLOSRTECH's name of the campaign, such as `VND_VETERAN_LEADS`.

    Raises
    ------
    ClosrtechDataError
        The response is malformed, empty, or zero for all states: a faulty feed, never an instruction to stop all ads.
    ClosrtechAccessError
        The credentials, the campaign or the URL are refused.
    ClosrtechError
        No attempt returned a usable response.
    """
    return Retrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(3)
        | (lambda state: state.upcoming_sleep > min(clock.remaining() - TIMEOUT_SECONDS, MAX_WAIT_SECONDS)),  # type: ignore[operator] # a plain function is a stop too
        wait=_wait,
        retry=retry_if_exception_type(ClosrtechError)
        & retry_if_not_exception_type((ClosrtechAccessError, ClosrtechDataError)),
        reraise=True,
    )(_request_demand, campaign, login, clock)


def _wait(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: 4 and 8, or what CLOSRTECH asks for if that is longer."""
    error = state.outcome and state.outcome.exception()
    asked = error.retry_after if isinstance(error, ClosrtechError) else 0
    return max(wait_exponential(multiplier=4, max=16)(state), asked)


def _request_demand(campaign: str, login: ClosrtechLogin, clock: Clock) -> dict[str, int]:
    try:
        response = _fetch(campaign, login, clock.bounded_timeout(TIMEOUT_SECONDS))
    except AnswerTooLargeError:
        raise ClosrtechDataError(f"CLOSRTECH's answer for {campaign} is larger than {MAX_BYTES} bytes") from None
    except requests.RequestException as error:
        # The original message and traceback contain the URL, which contains the password.
        logger.warning("closrtech.no_answer", extra={"campaign": campaign, "error": type(error).__name__})
        what = f"CLOSRTECH gave no answer for {campaign} ({type(error).__name__})"
        raise ClosrtechError(f"{what}: run the campaign again later") from None
    status, body = response.status_code, response.content
    if status == HTTPStatus.OK:
        return _parse_demand(campaign, body)
    logger.warning("closrtech.refused", extra={"campaign": campaign, "status": status})
    if status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ClosrtechError(
            f"CLOSRTECH is in trouble (HTTP {status} for {campaign}): run the campaign again later",
            retry_after=_seconds(response.headers.get("Retry-After", ""), clock.now()),
        )
    remedy = _REMEDIES.get(status, "closrtech/base_url")
    raise ClosrtechAccessError(
        f"CLOSRTECH refuses the request for {campaign} (HTTP {status}): check {remedy}{_quoted(body)}"
    )


def _seconds(retry_after: str, now: datetime) -> float:
    """Return the seconds that a `Retry-After` means, given as a number or as a date (RFC 9110, 10.2.3); else 0."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return int(retry_after)
    with suppress(ValueError, OverflowError):
        moment = parsedate_to_datetime(retry_after)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return 0


def _fetch(campaign: str, login: ClosrtechLogin, timeout: float) -> requests.Response:
    query = {"campaign": campaign, "email": login.email.reveal(), "pass": login.password.reveal()}
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies and .netrc from the environment
        for scheme in ("https://", "http://"):
            session.mount(scheme, BoundedAdapter(MAX_BYTES))
        return session.get(
            f"{login.base_url}/demand.php",
            params=query,
            timeout=timeout,
            allow_redirects=False,  # a redirect would send the credentials elsewhere
        )


def _parse_demand(campaign: str, body: bytes) -> dict[str, int]:
    """Return the demand in a response; raise a `ClosrtechDataError` if there is any doubt about it."""
    try:
        demand = _leads_by_state(body)
    except ValueError as error:
        what = f"CLOSRTECH's answer for {campaign} {error}; the campaign is left as it is"
        quoted = _quoted(body) if isinstance(error, _NoFeedError) else ""
        raise ClosrtechDataError(what + quoted) from None
    return {code: number for code, number in demand.items() if number > 0}


class _NoFeedError(ValueError):
    """The response is not a list of states, so its own words are worth quoting."""


def _quoted(body: bytes) -> str:
    """Return a sentence that quotes a response, redacted and shortened; empty if it has no words."""
    text = body.decode(errors="replace")
    quote = one_line(_TAG.sub(" ", text) if _is_html(body) else text, MAX_QUOTED_CHARS)
    return f". CLOSRTECH says: “{quote}”" if any(map(str.isalpha, quote)) else ""


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


def _leads_by_state(body: bytes) -> dict[str, int]:
    """Return the number for each code; the message of a ValueError continues "CLOSRTECH's answer …"."""
    answer = _parse_json(body)
    if not isinstance(answer, tuple) or "error" in dict(answer):
        raise _NoFeedError("is not an object of states and numbers")
    if len(answer) > MAX_ENTRIES:
        raise ValueError(f"has {len(answer)} entries, which is more than there are states")
    if answer and not any(is_state(key) for key, _ in answer):
        raise _NoFeedError("names no US state at all")
    demand: dict[str, int] = {}
    for key, value in answer:
        code, number = normalized(key), _whole_number(value)
        named = repr(one_line(key, MAX_CODE_CHARS))
        if len(code) > MAX_CODE_CHARS or not code.isprintable():
            raise ValueError(f"names {named}, which cannot be a state")
        if number is None:
            raise ValueError(f"has no whole number, zero or more, for {named}")
        if code in demand:
            raise ValueError(f"names {named} twice")
        demand[code] = number
    if not demand:
        raise ValueError("is empty")
    if not any(demand.values()):
        raise ValueError("has no demand in any state, which is a fault of the feed and no instruction")
    return demand


def _parse_json(body: bytes) -> Any:
    """Parse JSON, with objects as tuples of pairs: a dictionary would hide duplicate keys."""
    try:
        return json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise _NoFeedError("is an HTML page" if _is_html(body) else "is not JSON") from None


def _whole_number(value: Any) -> int | None:
    """Return a whole number, zero or more, given as a JSON number or as text like "1,200.0"; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and (match := _WHOLE_NUMBER.fullmatch(value)):
        return int(match[1].replace(",", ""))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None
