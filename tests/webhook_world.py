"""Meta that pushes, the receiver, the queue and the function behind it, in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from closrads import push_queue, webhook
from closrads.domain.request import PUSH
from sandbox.function_url import FunctionUrl, event_of
from sandbox.meta.webhooks import Webhooks
from sandbox.server import HttpRequest
from tests.world import World

SECRET, VERIFY_TOKEN = "fake-app-secret-0123456789", "fake-verify-token-0123456789"


@dataclass
class Receiver:
    """The way of a push, from Meta to a recheck."""

    world: World
    results: list[dict[str, Any]] = field(default_factory=list)
    """What the queue's deliveries have answered."""
    invocations: int = 0
    """Number of the calls of the receiver."""

    def __post_init__(self) -> None:
        webhook._cached = None
        webhook._ssm.cache_clear()
        push_queue._sqs.cache_clear()
        self.world.put({"meta/app_secret": SECRET, "meta/webhook_verify_token": VERIFY_TOKEN})
        self.meta = Webhooks(self.world.meta, lambda request: self.url(request).status, SECRET)

    @property
    def queue(self) -> Any:
        """The queue."""
        return self.world.sandbox.aws.push_queue  # type: ignore[attr-defined] # only the one in memory has it

    @property
    def url(self) -> FunctionUrl:
        """The receiver behind its URL."""
        return FunctionUrl(self.handle)

    def handle(self, event: Any) -> dict[str, Any]:
        """Hand an event to the receiver."""
        self.invocations += 1
        return webhook.handle(event, self.world.time.clock.now())

    def answer(self, request: HttpRequest) -> dict[str, Any]:
        """Return the receiver's answer to a request."""
        return self.handle(event_of(request))

    def run_queue(self, until: float, function: Callable[[Any], dict[str, Any]] | None = None) -> None:
        """Deliver what the queue has, as it becomes due, for so many seconds."""
        end = self.world.time.seconds() + until
        while self.queue.next_at <= end:
            time = self.world.time
            time.pass_by(max(self.queue.next_at - time.seconds(), 0))
            time.deadline = time.seconds() + 900
            if not self.queue.deliver(function or self._run):
                return

    def _run(self, event: Any) -> dict[str, Any]:
        self.results.append(self.world.run(event))
        return self.results[-1]


def rechecks(printed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the log lines of the runs that pushes have caused."""
    return [line for line in printed if line.get("message") == "run.start" and line.get("reason") == PUSH]
