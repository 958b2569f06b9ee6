"""The product's border in the simulation: each exchange with the outside takes virtual time and can go wrong."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from io import BytesIO
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import UUID

import boto3
import requests
from requests.structures import CaseInsensitiveDict

import handler
from closrads import concurrency, config, notifier, observability, push_queue, redaction, run_end, webhook
from closrads.domain.results import RunResult
from closrads.ledger import dynamodb
from closrads.push_recheck import recheck_pushed
from closrads.report import render
from sandbox.aws import LEDGER_TABLE, PARAMETER_PATH, PUSH_QUEUE, REGION, AwsRequest, Mail
from sandbox.memory_aws import MemoryAws
from sandbox.memory_aws.errors import AwsError
from sandbox.server import Delivery, HttpRequest, decode_form
from tests.simulation.answers import is_refusal
from tests.simulation.kernel import Killed, Pool, Process, current_task, sleep
from tests.simulation.story import Run

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

META, CLOSRTECH = "https://meta.example.test", "https://closrtech.example.test"
AWS_SECONDS, CLOSRTECH_SECONDS = 0.01, 0.5
AWS_TIMEOUT = 3.0
CALM_PACE = 1.0
"""Seconds that an exchange with Meta takes at most, on average, once the faults have stopped."""
PARAMETERS_KEPT = 300.0
"""Seconds that a warm container remembers the parameters."""
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One exchange of an invocation with the outside."""

    invocation: "Invocation"
    labels: frozenset[str]
    """What a story may call it."""
    what: str
    """For the timeline."""
    sent: float
    is_late: bool = False
    """It takes effect when the client no longer waits for the answer."""
    is_unheard: bool = False
    """It takes effect, and is answered with something else."""


class Invocation(Process):
    """One run of the handler: what it has asked and seen so far."""

    def __init__(self, run: Run, simulation: "Simulation", earlier: "Invocation | None" = None) -> None:
        """Begin an invocation of a run; `earlier` is the one before it, if several share the run."""
        super().__init__(run.name)
        self.run = run
        self.simulation = simulation
        self.started = simulation.kernel.now
        self.deadline = self.started + run.seconds
        self.random: Random = earlier.random if earlier else Random(f"{simulation.story.seed} {run.name}")
        self.calls: Counter[str] = earlier.calls if earlier else Counter()
        """By label, how many exchanges of the run have begun."""
        self.operations: Counter[int] = earlier.operations if earlier else Counter()
        """By an answer's number in the story, how many operations it was meant for."""
        self.views: dict[str, float] = {}
        """When the targeting of an ad set, or the ads of one ("… ads"), were last read."""
        self.wanted: dict[str, frozenset[str]] = simulation.demand_of(run)
        """By campaign, the region keys of the demand that was last served to the run, by whichever invocation."""
        self.log_asked_at = self.log_told_at = 0.0
        """When it last asked for the activity log, and of when what is that it last heard from it."""
        self.logs_asked: dict[str, float] = {}
        """By ad account, when it last asked for its log of edits."""
        self.logs_read: dict[str, float] = earlier.logs_read if earlier else {}
        """By ad account, when the run last got its log of edits; under the empty name when it got its own app."""
        self.has_ledger_trouble: bool = earlier.has_ledger_trouble if earlier else False
        """Whether the ledger once refused the run, or did not answer in time."""
        self.was_crashed = False
        self.crashed_at: float | None = None
        self.mails: list[Mail] = earlier.mails if earlier else []
        self.refused_mails: list[str] = earlier.refused_mails if earlier else []
        """Why SES did not take a mail, at each such attempt."""
        self.results: list[dict[str, Any]] = []
        """The results of rechecks that a push has caused: the answer to the queue does not hold them."""

    def exchange(
        self, service: str, labels: Sequence[str], what: str, timeout: float, perform: Callable[["Call"], T]
    ) -> T:
        """Do something outside: after a time, which others use, and not at all if this process is dead by then.

        Raises
        ------
        TimeoutError
            It took longer than `timeout`; what was asked for may be done by now, or later.
        """
        self.check()
        simulation = self.simulation
        call = Call(self, frozenset((service, "any", *labels)), what, simulation.kernel.now)
        for label in call.labels:
            self.calls[label] += 1
        numbers = {label: self.calls[label] for label in call.labels} if simulation.is_disturbed(self.name) else {}
        simulation.note(self.name, f"→ {what}")
        if numbers:
            simulation.deeds_during(self, numbers, after=False)
            self._perhaps_crash(numbers, after=False)
        seconds = (numbers and simulation.slowness(self, numbers)) or self._pace(service)
        until_effect = seconds * self.random.uniform(0.3, 0.9)
        if until_effect >= timeout:
            simulation.kernel.after(until_effect, lambda: _late(perform, call))
            sleep(timeout)
            raise TimeoutError
        sleep(until_effect)
        result = perform(replace(call, is_unheard=seconds > timeout))
        # Meta may do twice what it has begun, but never begins what it has refused.
        for delay in () if not numbers or is_refusal(result) else simulation.again(self, numbers):
            simulation.kernel.after(delay, lambda: _late(perform, call))
        if numbers:
            simulation.deeds_during(self, numbers, after=True)
            self._perhaps_crash(numbers, after=True)
        sleep(min(seconds, timeout) - until_effect)
        if seconds > timeout:
            raise TimeoutError
        return result

    def _pace(self, service: str) -> float:
        story = self.simulation.story
        pace = story.world.pace if self.run.at < story.calm else min(story.world.pace, CALM_PACE)
        mean = {"meta": pace, "closrtech": CLOSRTECH_SECONDS}.get(service, AWS_SECONDS)
        return mean * self.random.uniform(0.5, 1.5)

    def _perhaps_crash(self, numbers: dict[str, int], *, after: bool) -> None:
        if self.simulation.crashes(self, numbers, after=after):
            self.was_crashed, self.crashed_at = True, self.simulation.kernel.now
            self.simulation.note(self.name, "✗ crashes")
            self.kill()
            self.simulation.end_dead(self)
            raise Killed


def _late(perform: Callable[[Call], Any], call: Call) -> None:
    """Do what the client no longer waits for."""
    with suppress(AwsError, ConnectionError):
        perform(replace(call, is_late=True))


def current_invocation() -> Invocation:
    """Return the invocation that is running."""
    process = current_task().process
    assert isinstance(process, Invocation)
    return process


# --- HTTP


@dataclass(frozen=True)
class _Received(HttpRequest):
    """A request whose form nobody has to encode and to decode: that takes a sixth of a story's time."""

    fields: dict[str, str]

    @property
    def form(self) -> dict[str, str]:
        """The fields of the form."""
        return self.fields


def _request(  # noqa: PLR0913 - the parameters of requests
    session: requests.Session,
    method: str,
    url: str,
    params: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    timeout: Any,
    **_: Any,
) -> requests.Response:
    """Stand in for `Session.request`: raise what requests would, and return what it would.

    How requests encodes what it sends, and what the product's adapter makes of an answer, is tested elsewhere.
    """
    limit = float(timeout[1] if isinstance(timeout, tuple) else timeout)
    invocation = current_invocation()
    is_meta = url.startswith(META)
    address = urlsplit(url)
    query = decode_form(address.query) | _texts({**session.params, **(params or {})})  # type: ignore[dict-item] # or bytes
    request = _Received(method.upper(), address.path, query, {}, b"", _texts(data or {}))
    kernel = invocation.simulation.kernel
    until = kernel.now + limit
    try:
        reply = invocation.simulation.http(invocation, request, limit, is_meta=is_meta)
    except TimeoutError:
        raise requests.ReadTimeout from None
    if reply.delivery is Delivery.STALLED:
        sleep(until - kernel.now)  # the product's limit is on the whole of an exchange
        raise requests.ReadTimeout
    if reply.delivery is not Delivery.WHOLE:
        raise requests.ConnectionError
    response = requests.Response()
    response.status_code = int(reply.status)
    response.headers = CaseInsensitiveDict((*reply.headers, ("Content-Type", reply.content_type)))
    response.raw = BytesIO(reply.body or b"")
    response.url, response.encoding = url, "utf-8"
    for hook in session.hooks["response"]:
        hook(response)
    return response


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


# --- AWS


class SimulatedAws(MemoryAws):
    """AWS in memory whose calls belong to invocations."""

    def exchange(self, request: AwsRequest, perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Handle one attempt at a call."""
        invocation = current_invocation()
        return invocation.simulation.aws(invocation, request, perform)


# --- all of it


@dataclass
class _Metrics:
    """Stand-in for Powertools' metrics, which would print a line for each run."""

    namespace: str = ""
    service: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)

    def set_default_dimensions(self, **dimensions: str) -> None:
        """Take the dimensions."""

    def add_metric(self, **metric: Any) -> None:
        """Take a metric."""

    def flush_metrics(self) -> None:
        """Print nothing."""


ENVIRONMENT = {
    "CLOSRADS_STAGE": "simulation",
    "CLOSRADS_PARAMETER_PATH": PARAMETER_PATH,
    "CLOSRADS_LEDGER_TABLE": LEDGER_TABLE,
    "CLOSRADS_PUSH_QUEUE": f"https://sqs.{REGION}.amazonaws.com/123456789012/{PUSH_QUEUE}",
    "CLOSRADS_GRAPH_URL": META,
    "CLOSRADS_TIMEZONE": "UTC",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_MAX_ATTEMPTS": "3",
    "POWERTOOLS_SERVICE_NAME": "closrads",
}
_CACHED = (config._parameter_store, dynamodb._dynamodb, notifier._ses, push_queue._sqs, webhook._ssm)


_KINDS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    str: lambda value: {"S": value},
    bool: lambda value: {"BOOL": value},
    int: lambda value: {"N": str(value)},
    bytes: lambda value: {"B": value},
}
_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "S": str,
    "BOOL": bool,
    "N": Decimal,
    "B": bytes,
    "L": lambda values: [_deserialized_value(value) for value in values],
    "M": lambda item: _deserialized(item),  # noqa: PLW0108 - defined below
}


def _serialized(item: Mapping[str, Any]) -> dict[str, Any]:
    """Do what boto3 does with plain values, in a fraction of its time."""
    return {name: _KINDS.get(type(value), dynamodb._serialize)(value) for name, value in item.items()}


def _deserialized(item: Mapping[str, Any]) -> dict[str, Any]:
    """Undo that."""
    return {name: _deserialized_value(value) for name, value in item.items()}


def _deserialized_value(value: dict[str, Any]) -> Any:
    ((kind, what),) = value.items()
    return _VALUES[kind](what) if kind in _VALUES else dynamodb._deserialize(value)  # type: ignore[arg-type] # any kind


def _plain(value: Any) -> Any:
    """Return a JSON-like value with lists for tuples, as `redact_all` does."""
    return json.loads(json.dumps(value))


def _uuid4() -> UUID:
    return UUID(int=current_invocation().random.getrandbits(128), version=4)


def _recheck_and_keep(
    messages: Any, settings: Any, clock: Any, recheck: Callable[[dict[str, Any]], RunResult]
) -> dict[str, Any]:
    """Recheck as the product does, and have the invocation keep the result for the judge."""

    def recheck_and_keep(event: dict[str, Any]) -> RunResult:
        result = recheck(event)
        current_invocation().results.append(result.to_json())
        return result

    return recheck_pushed(messages, settings, clock, recheck_and_keep)


@contextmanager
def installed(aws: SimulatedAws, *, logs: bool = False) -> Iterator[None]:
    """Have the product work in the simulation: its clients, its threads, its ids and its log."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, ENVIRONMENT, clear=True))
        for target, name, replacement in (
            (requests.Session, "request", _request),
            (boto3, "client", aws.client),
            (concurrency, "ThreadPoolExecutor", Pool),
            (observability, "EphemeralMetrics", _Metrics),
            (handler, "redact_all", _plain),
            (run_end, "redact_all", _plain),
            (redaction, "redact", str),  # a third of a run's time, and its own tests are elsewhere
            (render, "html_of", lambda _: ""),  # the text part says the same
            (handler, "recheck_pushed", _recheck_and_keep),
            (webhook, "time", SimpleNamespace(monotonic=lambda: current_task().kernel.now)),
            (dynamodb, "_serialized", _serialized),
            (dynamodb, "_deserialized", _deserialized),
        ):
            stack.enter_context(patch.object(target, name, replacement))
        stack.enter_context(patch("uuid.uuid4", _uuid4))
        if not logs:
            stack.enter_context(patch.object(observability.logger._logger, "disabled", True))
            for module in (handler, webhook):
                stack.enter_context(patch.object(module, "begin_invocation", lambda **_: None))
        for cached in _CACHED:
            cached.cache_clear()
            stack.callback(cached.cache_clear)
        yield


def forget_parameters() -> None:
    """Have the product read its parameters anew, as in a new container."""
    webhook._cached = None
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
