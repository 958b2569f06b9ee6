"""Client for CLOSRTECH, the partner that states how many leads it can sell per state today."""

import json
import re
from http import HTTPStatus
from typing import Any

import requests
from tenacity import (
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
from closrads.state_mapper import is_state, normalised

TIMEOUT_SECONDS = 30
"""Timeout of the connection, of each read, and of the whole response."""
MAX_BYTES = 1_000_000
"""Maximum size of a response; a complete one has 51 short entries."""
MAX_ENTRIES, MAX_CODE_CHARS = 200, 40

_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "closrtech/email and closrtech/password",
    HTTPStatus.FORBIDDEN: "closrtech/email and closrtech/password",
    HTTPStatus.NOT_FOUND: "the campaign's closrtech_campaign, then closrtech/base_url",
}
"""Parameters to check, by HTTP status."""


def get_demand(campaign: str, *, login: ClosrtechLogin, clock: Clock = Clock()) -> dict[str, int]:  # noqa: B008 - a frozen value
    """Return the demand by state: USPS code in upper case → number of leads, always positive.

    Makes up to three attempts, 4 and 8 seconds apart, while the invocation's deadline allows it.

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
        stop=stop_after_attempt(3) | (lambda state: state.upcoming_sleep > clock.remaining() - TIMEOUT_SECONDS),  # type: ignore[operator] # a plain function is a stop too
        wait=wait_exponential(multiplier=4, max=16),
        retry=retry_if_exception_type(ClosrtechError)
        & retry_if_not_exception_type((ClosrtechAccessError, ClosrtechDataError)),
        reraise=True,
    )(_request_demand, campaign, login, clock)


def _request_demand(campaign: str, login: ClosrtechLogin, clock: Clock) -> dict[str, int]:
    try:
        status, body = _fetch(campaign, login, clock.bounded_timeout(TIMEOUT_SECONDS))
    except AnswerTooLargeError:
        raise ClosrtechDataError(f"CLOSRTECH's answer for {campaign} is larger than {MAX_BYTES} bytes") from None
    except requests.RequestException as error:
        # The original message and traceback contain the URL, which contains the password.
        logger.warning("closrtech.no_answer", extra={"campaign": campaign, "error": type(error).__name__})
        what = f"CLOSRTECH gave no answer for {campaign} ({type(error).__name__})"
        raise ClosrtechError(f"{what}: run the campaign again later") from None
    if status == HTTPStatus.OK:
        return _parse_demand(campaign, body)
    logger.warning("closrtech.refused", extra={"campaign": campaign, "status": status})
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ClosrtechError(f"CLOSRTECH is in trouble (HTTP {status} for {campaign}): run the campaign again later")
    remedy = _REMEDIES.get(status, "closrtech/base_url")
    raise ClosrtechAccessError(f"CLOSRTECH refuses the request for {campaign} (HTTP {status}): check {remedy}")


def _fetch(campaign: str, login: ClosrtechLogin, timeout: float) -> tuple[int, bytes]:
    query = {"campaign": campaign, "email": login.email.reveal(), "pass": login.password.reveal()}
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies and .netrc from the environment
        for scheme in ("https://", "http://"):
            session.mount(scheme, BoundedAdapter(MAX_BYTES))
        response = session.get(
            f"{login.base_url}/demand.php",
            params=query,
            timeout=timeout,
            allow_redirects=False,  # a redirect would send the credentials elsewhere
        )
        return response.status_code, response.content


def _parse_demand(campaign: str, body: bytes) -> dict[str, int]:
    """Return the demand in a response; raise a `ClosrtechDataError` if there is any doubt about it."""
    try:
        demand = _leads_by_state(body)
    except ValueError as error:
        raise ClosrtechDataError(f"CLOSRTECH's answer for {campaign} {error}; the campaign is left as it is") from None
    return {code: number for code, number in demand.items() if number > 0}


def _leads_by_state(body: bytes) -> dict[str, int]:
    """Return the number for each code; the message of a ValueError continues "CLOSRTECH's answer …"."""
    answer = _parse_json(body)
    if not isinstance(answer, tuple) or "error" in dict(answer):
        raise ValueError("is not an object of states and numbers")
    if len(answer) > MAX_ENTRIES:
        raise ValueError(f"has {len(answer)} entries, which is more than there are states")
    demand: dict[str, int] = {}
    for key, value in answer:
        code, number = normalised(key), _whole_number(value)
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
    if not any(map(is_state, demand)):
        raise ValueError("names no US state at all")
    if not any(demand.values()):
        raise ValueError("has no demand in any state, which is a fault of the feed and no instruction")
    return demand


def _parse_json(body: bytes) -> Any:
    """Parse JSON, with objects as tuples of pairs: a dictionary would hide duplicate keys."""
    try:
        return json.loads(body, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise ValueError("is an HTML page" if body.lstrip()[:1] == b"<" else "is not JSON") from None


def _whole_number(value: Any) -> int | None:
    """Return a non-negative integer, given as a JSON number or a string of digits; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,12}\s*", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None
