"""HTTP access to Meta's Graph API, through the official SDK's session and encoding.

The SDK is used for sending only: it treats HTML error pages as success, stops paging at an empty page, drops batch
items without a response, and fails on unusual error envelopes. The raw response decides instead: a call succeeded only
if the status is 2xx *and* the body is an object of the expected shape.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, TypeGuard, TypeVar
from urllib.parse import parse_qs, urlsplit

import requests
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from closrads.clock import REPORT_SECONDS, Clock
from closrads.domain.results import GraphUsage
from closrads.errors import (
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
)
from closrads.http import BoundedAdapter
from closrads.meta.error_codes import JsonObject, Shape, parse_answer, parse_json
from closrads.meta.rate_limit import AccountQuota
from closrads.observability import logger
from closrads.redaction import Secret, one_line

API_VERSION = "v26.0"
TIMEOUT_SECONDS = (3.05, 30.0)
"""Timeouts of the connection and of the whole response."""
MAX_BYTES = 32_000_000
"""Maximum size of a response; a page of 200 ads with long review texts is far smaller."""
MAX_BATCH = 50
ATTEMPTS = 3
RESERVED_SECONDS = 10.0
"""Last seconds of an invocation, which waits must spare: they are needed for the report."""
READ_POINTS, WRITE_POINTS = 1, 3
"""Cost of a call in points of the ad account's score (Marketing API "Rate Limiting")."""
_POINTS = {"GET": READ_POINTS, "POST": WRITE_POINTS}
_SCORE_LIMIT, _SCORE_LIMIT_PAIR = 17, (613, 1487742)
"""Code, and code with subcode, for an ad account's score that is used up (Marketing API "Rate Limiting")."""
MAX_EMPTY_PAGES = 100
"""Consecutive empty pages after which a list is given up: Meta filters after it has cut the pages, but not for ever."""
_INVALID_CURSOR = 2642
"""Code for a cursor that no longer exists (facebook-java-business-sdk #292); cursors die when items change."""
T = TypeVar("T")

_answers: ContextVar[list[requests.Response]] = ContextVar("answers")
"""The raw responses of the current exchange."""


def has_data(answer: JsonObject) -> bool:
    """Return whether a response is a page of a list of objects."""
    rows = answer.get("data")
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def has_id(answer: JsonObject) -> bool:
    """Return whether a response is an object with an id."""
    return bool(answer.get("id"))


def is_confirmed(answer: JsonObject) -> bool:
    """Return whether a response confirms a write, by a `success` flag or by the object's id."""
    return answer.get("success", has_id(answer)) is True


@dataclass(frozen=True, slots=True)
class Operation:
    """One Graph call. `path` has no version and no leading slash; `expects` checks the shape of the response."""

    method: str
    path: str
    params: Mapping[str, Any]
    expects: Shape


@dataclass(slots=True)
class UsageMeter:
    """Counts a run's usage of the Graph API, over all of its API objects and threads."""

    round_trips: int = 0
    operations: int = 0
    points: int = 0
    seconds: float = 0.0
    """Total duration of all exchanges."""
    version_warning: str = ""
    """Meta's latest warning about the end of `API_VERSION`; empty if there is none."""
    _lock: Lock = field(default_factory=Lock)

    def count(self, methods: Sequence[str], seconds: float) -> None:
        """Count one HTTP exchange that carried calls of the given methods."""
        with self._lock:
            self.round_trips += 1
            self.operations += len(methods)
            self.points += sum(_POINTS[method] for method in methods)
            self.seconds += seconds

    def reading(self) -> GraphUsage:
        """Return the counts so far."""
        return GraphUsage(self.round_trips, self.operations, self.points)


class GraphApi:
    """A thread-safe client with one token for one ad account.

    Transient errors and rate limits are retried: three attempts, 5 and 10 seconds apart or after the time that Meta
    states, while the invocation's deadline allows it. No other error is retried. The SDK's process-wide default API and
    its crash reporter are not used.
    """

    def __init__(  # noqa: PLR0913 - credentials, address and the injected dependencies
        self,
        access_token: Secret,
        ad_account_id: str,
        *,
        app_secret: Secret | None,
        graph_url: str | None,
        clock: Clock,
        meter: UsageMeter,
        quota: AccountQuota,
    ) -> None:
        session = FacebookSession(
            access_token=access_token.reveal(),
            app_secret=app_secret.reveal() if app_secret else None,
            timeout=TIMEOUT_SECONDS,
        )
        if app_secret:
            Secret(session.appsecret_proof)  # registers it with `redact`
        if graph_url:
            session.GRAPH = graph_url
        session.requests.trust_env = False  # ignore proxies and .netrc from the environment
        session.requests.max_redirects = 0  # a redirect would send the token elsewhere
        adapter = BoundedAdapter(MAX_BYTES)
        for scheme in ("https://", "http://"):
            session.requests.mount(scheme, adapter)
        session.requests.hooks["response"].append(self._record_response)
        self._session = session
        self._api = FacebookAdsApi(session, api_version=API_VERSION)
        self.access_token = access_token
        self.ad_account_id = ad_account_id
        self.clock = clock
        self.quota = quota
        self.version_warning = ""
        """Meta's latest warning about the end of `API_VERSION`; empty if there is none."""
        self._meter = meter
        self._page_sizes: dict[str, int] = {}
        """The largest page size that may still work, by edge; absent until a page of that edge has failed."""

    @property
    def wait_reserve(self) -> float:
        """Last seconds of the invocation that waits before the first write must spare."""
        return max(RESERVED_SECONDS, self.clock.remaining() - self.quota.max_wait_seconds)

    @property
    def seconds_per_call(self) -> float:
        """Average duration of an HTTP exchange in this run; 0 before the first."""
        return self._meter.seconds / max(self._meter.round_trips, 1)

    def get(
        self, path: str, params: Mapping[str, Any], expects: Shape = has_id, *, reserve: float = RESERVED_SECONDS
    ) -> JsonObject:
        """Read one object or page, with retries."""
        return self.retrying(lambda: self.get_once(path, params, expects), reserve=reserve)

    def get_once(self, path: str, params: Mapping[str, Any], expects: Shape) -> JsonObject:
        """Read one object or page, without retries."""
        return self._once("GET", path, params, expects, REPORT_SECONDS)

    def get_all(
        self,
        path: str,
        params: Mapping[str, Any],
        page_size: int,
        *,
        reserve: float = RESERVED_SECONDS,
        max_pages: int | None = None,
    ) -> list[JsonObject]:
        """Read every row of a list, in smaller pages if Meta does not answer a larger one.

        With `max_pages`, no more pages are read.

        Meta reports a page that is too large in many ways, even as an unknown error or an HTML page
        (facebook-python-business-sdk #675). So a page that keeps failing is halved, down to a single row: a list that
        cannot be read at all takes ten round trips, three for a page of 200 and one for each smaller size. Later lists
        of the same edge start with the size that worked. Without time to wait, a page is halved only if the error says
        that it is too large.

        Only a missing `paging.next` ends a list: any page may be short or empty (Graph API "Paginated Results"). If
        Meta refuses a later page because the list has changed since the first, the list is read from the start once.
        """
        try:
            return self._pages(path, params, page_size, reserve, max_pages)
        except MetaInvalidError as error:
            if error.code != _INVALID_CURSOR:
                raise
            return self._pages(path, params, page_size, reserve, max_pages)

    def _pages(
        self, path: str, params: Mapping[str, Any], page_size: int, reserve: float, max_pages: int | None
    ) -> list[JsonObject]:
        rows: list[JsonObject] = []
        cursor: str | None = None
        empty = 0
        seen: set[str | None] = set()
        retried: tuple[type[MetaError], ...] = (MetaTransientError, MetaRateLimitError)
        while True:
            position = {"after": cursor} if cursor else {}
            query = self._in_pages(Operation("GET", path, {**params, "limit": page_size, **position}, has_data))
            attempt = partial(self.get_once, path, query.params, has_data)
            try:
                page = self.retrying(attempt, reserve=reserve, errors=retried)
            except MetaTransientError as error:
                may_be_too_large = isinstance(error, MetaTooMuchDataError) or self.clock.remaining() > reserve
                if query.params["limit"] == 1 or not may_be_too_large:
                    raise
                self._halve_pages(query)
                retried = (MetaRateLimitError,)
                continue
            retried = (MetaTransientError, MetaRateLimitError)
            rows += page["data"]
            seen.add(cursor)
            if not (page.get("paging") or {}).get("next") or len(seen) == max_pages:
                return rows
            empty = 0 if page["data"] else empty + 1
            if empty == MAX_EMPTY_PAGES:
                raise MetaTransientError(f"Meta's list {path} goes on, with nothing but empty pages")
            cursor = _next_cursor(page["paging"])
            if cursor is None or cursor in seen:
                raise MetaTransientError(f"Meta's list {path} goes on, but not to a new page")

    def post(self, path: str, params: Mapping[str, Any], *, call_reserve: float = REPORT_SECONDS) -> JsonObject:
        """Write without retries: after a lost response, only the caller can find out whether the write took effect.

        With `call_reserve`, the call itself spares these last seconds of the invocation: see `batch`.
        """
        return self._once("POST", path, params, is_confirmed, call_reserve)

    def batch(
        self,
        operations: Sequence[Operation],
        *,
        reserve: float = RESERVED_SECONDS,
        call_reserve: float = REPORT_SECONDS,
    ) -> list[JsonObject | MetaError]:
        """Send independent calls in batches and return the outcome of each, in the order of the operations.

        Items that fail with a transient error or a rate limit are retried. Writes must therefore be idempotent, and no
        two may update ad sets of the same Meta campaign (Graph API "Batch Requests", limitations).

        Parameters
        ----------
        reserve
            Last seconds of the invocation, which waits must spare.
        call_reserve
            Last seconds of the invocation, which a call that Meta does not answer must spare, so that the time for a
            rollback is left. A call may always take twice the average.
        """
        outcomes: list[JsonObject | MetaError] = []
        for start in range(0, len(operations), MAX_BATCH):
            outcomes += self._batch_with_retries(operations[start : start + MAX_BATCH], reserve, call_reserve)
        return outcomes

    def prove_tier(self, object_id: str) -> bool:
        """Determine the ad account's access tier by reading one of its objects; return whether this run has learned it.

        Nothing is read if the tier is known, or while anything is in progress. Otherwise, one more point is spent than
        the smallest tier allows within its window. Only the larger tier permits that, and a refused read leaves nothing
        half done.
        """
        read = Operation("GET", object_id, {"fields": "id"}, has_id)
        is_new = False
        with self.quota.proof() as points_to_prove:
            while points := points_to_prove():
                try:
                    answers = self._batch_once([read] * min(points, MAX_BATCH), RESERVED_SECONDS)
                except MetaError as error:
                    answers = [error]
                failures = [answer for answer in answers if isinstance(answer, MetaError)]
                is_new = not points_to_prove()
                if failures and not is_new:
                    logger.warning("quota.tier_unknown", extra={"error": str(failures[0])})
                    break
        if is_new:
            found = {"ad_account_id": self.ad_account_id, "points": self.quota.limit}
            logger.info("quota.tier_proven", extra=found)
        return is_new

    def retrying(
        self,
        attempt: Callable[[], T],
        *,
        reserve: float = RESERVED_SECONDS,
        errors: tuple[type[MetaError], ...] = (MetaTransientError, MetaRateLimitError),
    ) -> T:
        """Return the result of `attempt`, which is retried until attempts or time run out; raise its last error.

        Parameters
        ----------
        reserve
            Last seconds of the invocation, which waits must spare.
        errors
            Exceptions that are retried.
        """

        def out_of_time(state: RetryCallState) -> bool:
            return state.upcoming_sleep > self.clock.remaining() - reserve

        return Retrying(
            sleep=self.clock.sleep,
            stop=stop_after_attempt(ATTEMPTS) | out_of_time,  # type: ignore[operator] # a plain function is a stop too
            wait=_wait,
            retry=retry_if_exception(lambda error: isinstance(error, errors) and _is_retryable(error)),
            before_sleep=self._log_retry,
            reraise=True,
        )(attempt)

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning(
            "meta.retry",
            extra={
                "ad_account_id": self.ad_account_id,
                "error": str(error),
                "attempt": state.attempt_number,
                "wait_seconds": state.upcoming_sleep,
            },
        )

    def _batch_with_retries(
        self, operations: Sequence[Operation], reserve: float, call_reserve: float
    ) -> list[JsonObject | MetaError]:
        outcomes: dict[int, JsonObject | MetaError] = {}
        pending = list(range(len(operations)))

        def attempt() -> None:
            nonlocal pending
            sent = [self._in_pages(operations[index]) for index in pending]
            try:
                answers = self._batch_once(sent, call_reserve)
            except MetaError as error:
                answers = [error] * len(pending)
            for operation, answer in zip(sent, answers, strict=True):
                if isinstance(answer, MetaTransientError):
                    self._halve_pages(operation)
            outcomes.update(zip(pending, answers, strict=True))
            pending = [index for index in pending if _is_retryable(outcomes[index])]
            errors = [answer for answer in answers if _is_retryable(answer)]
            if errors:
                raise max(errors, key=lambda error: error.retry_after or 0)

        with suppress(MetaError):  # `outcomes` has the error of each item
            self.retrying(attempt, reserve=reserve)
        return [outcomes[index] for index in range(len(operations))]

    def _in_pages(self, operation: Operation) -> Operation:
        """Return a read of a list with the page size that works for its edge; any other operation unchanged."""
        limit = operation.params.get("limit", 0)
        size = min(limit, self._page_sizes.get(_edge(operation), limit))
        return replace(operation, params={**operation.params, "limit": size}) if limit else operation

    def _halve_pages(self, operation: Operation) -> None:
        """From now on, read lists of this operation's edge in pages of at most half its size."""
        if limit := operation.params.get("limit"):
            edge = _edge(operation)
            self._page_sizes[edge] = min(self._page_sizes.get(edge, limit), max(limit // 2, 1))

    def _batch_once(self, operations: Sequence[Operation], call_reserve: float) -> list[JsonObject | MetaError]:
        batch = self._api.new_batch()
        for operation in operations:
            batch.add(operation.method, operation.path, params=dict(operation.params))
        sent_at = self.clock.now()
        answer = self._exchange(batch.execute, [operation.method for operation in operations], call_reserve)
        items = parse_json(answer.text)
        if not isinstance(items, list):
            self._parse("batch", answer.status_code, answer.headers, answer.text, lambda _: False)
        items += [None] * (len(operations) - len(items))
        return [self._parse_item(operation, item, sent_at) for operation, item in zip(operations, items, strict=False)]

    def _parse_item(self, operation: Operation, item: Any, sent_at: datetime) -> JsonObject | MetaError:
        """Return the outcome of one item of a batch; a null or missing item counts as a lost response."""
        if not isinstance(item, dict) or not isinstance(item.get("code"), int):
            return MetaLostAnswerError(f"Meta left {operation.path} out of its answer to a batch")
        headers = {
            str(header["name"]): header["value"]
            for header in item.get("headers") or ()
            if isinstance(header, dict) and header.keys() >= {"name", "value"}
        }
        self.quota.update(headers)
        try:
            answer = self._parse(operation.path, item["code"], headers, item.get("body"), operation.expects)
        except MetaError as error:
            return error
        self.quota.answered(_POINTS[operation.method], sent_at)
        return answer

    def _once(
        self, method: str, path: str, params: Mapping[str, Any], expects: Shape, call_reserve: float
    ) -> JsonObject:
        sent_at = self.clock.now()
        answer = self._exchange(
            lambda: self._api.call(method, tuple(path.split("/")), params=dict(params)), [method], call_reserve
        )
        found = self._parse(path, answer.status_code, answer.headers, answer.text, expects)
        self.quota.answered(_POINTS[method], sent_at)
        return found

    def _parse(self, path: str, status: int, headers: Mapping[str, str], body: Any, expects: Shape) -> JsonObject:
        try:
            return parse_answer(path, status, headers, body, expects, self.ad_account_id)
        except MetaRateLimitError as error:
            if error.code == _SCORE_LIMIT or (error.code, error.subcode) == _SCORE_LIMIT_PAIR:
                block = self.quota.refused()
                error.retry_after = error.retry_after or block  # any call during the block would lengthen it
            raise

    def _exchange(self, send: Callable[[], Any], methods: Sequence[str], call_reserve: float) -> requests.Response:
        """Send through the SDK and return the raw response, however the SDK interprets it."""
        answers: list[requests.Response] = []
        started = self.clock.now()  # includes the wait for other calls of the account, as the next call will wait too
        with self.quota.calls:
            remaining = self.clock.remaining()
            if remaining <= REPORT_SECONDS:
                raise MetaTransientError("No time is left for another call to Meta: the report is still to be sent")
            spared = max(min(call_reserve, remaining - 2 * self.seconds_per_call), REPORT_SECONDS)
            self._session.timeout = tuple(self.clock.bounded_timeout(seconds, spared) for seconds in TIMEOUT_SECONDS)
            self.quota.count(sum(_POINTS[method] for method in methods))
            token = _answers.set(answers)
            try:
                send()
            except requests.RequestException as error:
                # The original message and traceback contain the URL, which contains the token.
                raise MetaLostAnswerError(f"Meta gave no answer ({type(error).__name__})") from None
            except Exception:
                # Meta reported an error, or the SDK could not parse the response: the caller judges the raw one.
                if not answers:
                    raise
            finally:
                _answers.reset(token)
                self._meter.count(methods, (self.clock.now() - started).total_seconds())
        return answers[-1]

    def _record_response(self, response: requests.Response, *_: Any, **__: Any) -> None:
        _answers.get().append(response)
        self.quota.update(response.headers)
        if warning := response.headers.get("x-ad-api-version-warning"):
            self.version_warning = self._meter.version_warning = one_line(warning)
            logger.warning("meta.version_warning", extra={"warning": warning, "api_version": API_VERSION})


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    stated = error.retry_after if isinstance(error, MetaRateLimitError) else None
    return stated if stated is not None else wait_exponential(multiplier=5, max=20)(state)


def _is_retryable(outcome: object) -> TypeGuard[MetaError]:
    is_temporary = isinstance(outcome, MetaTransientError | MetaRateLimitError)
    return is_temporary and not isinstance(outcome, MetaTooMuchDataError)


def _edge(operation: Operation) -> str:
    return operation.path.rpartition("/")[2]


def _next_cursor(paging: Mapping[str, Any]) -> str | None:
    cursor = (paging.get("cursors") or {}).get("after")
    if not cursor:
        cursor = parse_qs(urlsplit(str(paging["next"])).query).get("after", [None])[0]
    return str(cursor) if cursor else None
