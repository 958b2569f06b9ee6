"""The service that performs operations: what is scripted to go wrong, who may ask, and what it costs."""

import dataclasses
from collections.abc import Callable

from sandbox.meta import graph
from sandbox.meta.faults import Refused
from sandbox.meta.model import Operation, Request
from sandbox.meta.state import State
from sandbox.server import Delivery, Reply

Matcher = str | Callable[[Operation], bool]


@dataclasses.dataclass
class Fault:
    """A scripted fault that still waits for its operations."""

    reply: Reply
    on: Matcher
    times: int | None
    skip: int
    applied: bool

    def matches(self, operation: Operation) -> bool:
        """Tell whether this operation is meant, used up or not."""
        if callable(self.on):
            return self.on(operation)
        return self.on in {"any", operation.kind, f"{operation.method} {operation.kind}"}


class Service(State):
    """Performs operations on what exists, with the faults that are scripted, and keeps the record of every call."""

    def clear(self) -> None:
        """Let nothing exist, nothing be scripted and nothing have been asked."""
        super().clear()
        self._faults: list[Fault] = []
        self.requests: list[Request] = []
        self.on_request: Callable[[Operation], None] | None = None

    # --- scripting

    def fail(
        self, reply: Reply, on: Matcher = "any", times: int | None = 1, skip: int = 0, *, applied: bool = False
    ) -> None:
        """Answer matching operations with `reply`.

        Parameters
        ----------
        reply
            One of `sandbox.meta.faults`, or any other `Reply`.
        on
            "POST adset", "POST ad", "GET adset", "GET ad", "GET adsets", "GET ads", "GET campaign", ... match an
            operation, alone or as an item of a batch; "batch" matches the envelope of a batch; "any" whatever comes
            first (of a batch, the envelope). Or a function of an `Operation` that says whether it is meant; it is asked
            about envelopes too, as operations of kind "batch" with an empty path.
            A fault of the connection (dropped, stalled, truncated) on an item takes the whole batch answer with it.
        times
            How often; None for always.
        skip
            How many matching operations go well before.
        applied
            Do what was asked first: the answer is lost, the write is not.
        """
        with self.lock:
            self._faults.append(Fault(reply, on, times, skip, applied))

    def clear_faults(self) -> None:
        """Take back every scripted fault that still waits."""
        with self.lock:
            self._faults.clear()

    def fault_for(self, operation: Operation) -> Fault | None:
        """Return the scripted fault for this operation, used up by one."""
        for fault in tuple(self._faults):
            if fault.times != 0 and fault.matches(operation) and self._is_due(fault):
                return fault
        return None

    def _is_due(self, fault: Fault) -> bool:
        """Count one matching operation; tell whether it is to fail."""
        with self.lock:
            if fault.times == 0:  # another thread was faster
                return False
            if fault.skip:
                fault.skip -= 1
                return False
            if fault.times is not None:
                fault.times -= 1
            return True

    # --- the record

    @property
    def round_trips(self) -> int:
        """How many HTTP exchanges there were."""
        return len(self.requests)

    @property
    def operations(self) -> list[Operation]:
        """Every operation in order, those of batches included."""
        return [operation for request in self.requests for operation in request.operations]

    @property
    def writes(self) -> list[Operation]:
        """The operations that changed something, whatever was answered."""
        return [operation for operation in self.operations if operation.applied]

    @property
    def points(self) -> int:
        """The score of all operations: 1 for a read, 3 for a write, refused or not."""
        return sum(operation.points for operation in self.operations)

    # --- performing

    def perform(self, operation: Operation, token: str | None, proof: str | None) -> Reply:
        """Perform one operation and return the answer. Hooks and matchers are called without holding the lock."""
        operation.kind = self.kind_of(operation.path)
        if self.on_request is not None:
            self.on_request(operation)
        fault = self.fault_for(operation)
        if fault is not None and not fault.applied:
            reply = fault.reply
        else:
            with self.lock:
                reply = self._answer(operation, token, proof)
            if fault is not None:
                reply = fault.reply
        operation.status = reply.status if reply.delivery is Delivery.WHOLE else 0
        if "input_token" in operation.params:  # the record holds no token
            operation.params["input_token"] = "***"
        return reply

    def _answer(self, operation: Operation, token: str | None, proof: str | None) -> Reply:
        usage: tuple[tuple[str, str], ...] = ()
        now = self.now()
        try:
            self.authenticate(token, proof)
            node = self.find(operation.object_id)
            if node is not None and node.account.quota is not None:
                account, quota = node.account, node.account.quota
                active = account.active_ads(now)
                refusal = quota.charge(operation.points, active)
                usage = quota.headers(account.id, active)
                if refusal is not None:
                    raise Refused(refusal)  # noqa: TRY301 - all refusals leave by the same way
            reply = graph.answer(self, operation, token or "", now)
        except Refused as refused:
            reply = refused.reply
        return dataclasses.replace(reply, headers=reply.headers + usage) if usage else reply
