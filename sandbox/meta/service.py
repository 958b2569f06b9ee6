"""The service that performs operations, with scripted faults, authentication and quotas."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress

from sandbox.meta import graph
from sandbox.meta.faults import Refused
from sandbox.meta.model import Operation, Request
from sandbox.meta.state import State
from sandbox.server import Delivery, Reply

Matcher = str | Callable[[Operation], bool]


@dataclasses.dataclass
class Fault:
    """A scripted fault; see `Service.fail`."""

    reply: Reply | None
    on: Matcher
    times: int | None = 1
    skip: int = 0
    applied: bool = False
    later: float | None = None
    after: float = 0.0

    def end(self) -> None:
        """End the fault: matching operations succeed from now on."""
        self.times = 0

    def matches(self, operation: Operation) -> bool:
        """Return whether the fault applies to this kind of operation, whether or not it is used up."""
        if callable(self.on):
            return self.on(operation)
        if operation.kind == "batch":
            return self.on in {"any", "batch"}
        return self.on in {"any", operation.method, operation.kind, f"{operation.method} {operation.kind}"}


class Service(State):
    """Performs operations with the scripted faults, and records every call."""

    def clear(self) -> None:
        """Clear all objects, scripts and records."""
        super().clear()
        self._faults: list[Fault] = []
        self.requests: list[Request] = []
        self.on_request: Callable[[Operation], None] | None = None

    # --- scripting

    def fail(  # noqa: PLR0913 - all but the first have defaults
        self,
        reply: Reply | None,
        on: Matcher = "any",
        times: int | None = 1,
        skip: int = 0,
        *,
        applied: bool = False,
        later: float | None = None,
        after: float = 0.0,
    ) -> Fault:
        """Script the reply to matching operations; return the fault, which can be ended.

        Parameters
        ----------
        reply
            One of `sandbox.meta.faults`, or any other `Reply`; None for the normal response.
        on
            "POST adset", "POST ad", "GET adset", "GET ad", "GET adsets", "GET ads", "GET campaign", … match an
            operation, single or batched, and so do "POST" and "GET"; "batch" matches the envelope of a batch; "any"
            matches the first that occurs (for a batch, the envelope). Alternatively a predicate of an `Operation`,
            which is also called for envelopes, as operations of kind "batch" with an empty path. A connection fault
            (dropped, stalled, truncated) of an item affects the response to the whole batch.
        times
            Number of operations; None for all.
        skip
            Number of matching operations that succeed first.
        applied
            Whether the operation takes effect although the reply says otherwise.
        later
            Seconds after which the operation takes effect: instead of now or, with `applied`, a second time. Without a
            `reply`, the response confirms it immediately.
        after
            Delay of the response in seconds.
        """
        fault = Fault(reply, on, times, skip, applied, later, after)
        with self.lock:
            self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        """Remove all scripted faults."""
        with self.lock:
            self._faults.clear()

    def fault_for(self, operation: Operation) -> Fault | None:
        """Return the scripted fault that applies to this operation, with its remaining count reduced."""
        for fault in tuple(self._faults):
            if fault.times != 0 and fault.matches(operation) and self._is_due(fault):
                return fault
        return None

    def _is_due(self, fault: Fault) -> bool:
        """Count one matching operation; return whether it is to fail."""
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
        """Number of HTTP exchanges."""
        return len(self.requests)

    @property
    def operations(self) -> list[Operation]:
        """All operations in order, including those of batches."""
        return [operation for request in self.requests for operation in request.operations]

    @property
    def writes(self) -> list[Operation]:
        """The operations that changed anything, regardless of the response."""
        return [operation for operation in self.operations if operation.applied]

    @property
    def points(self) -> int:
        """Total score of all operations: 1 per read, 3 per write, including refused ones."""
        return sum(operation.points for operation in self.operations)

    # --- performing

    def perform(self, operation: Operation, token: str | None, proof: str | None) -> Reply:
        """Perform one operation and return the response. Hooks and matchers are called without the lock held."""
        operation.kind = self.kind_of(operation.path)
        if self.on_request is not None:
            self.on_request(operation)
        fault = self.fault_for(operation)
        with self.lock:  # `at_present` would do, but is noticeably slower in a simulation
            now = self.now()
            self.catch_up(now)
            if fault is None:
                reply = self._answer(operation, token, proof, now)
            else:
                reply = self._faulty(operation, fault, token, proof, now)
        operation.status = reply.status if reply.delivery is Delivery.WHOLE else 0
        if "input_token" in operation.params:  # the record contains no tokens
            operation.params["input_token"] = "***"
        return reply

    def _faulty(self, operation: Operation, fault: Fault, token: str | None, proof: str | None, now: float) -> Reply:
        reply = fault.reply
        if fault.applied or (reply is None and fault.later is None):
            true_answer = self._answer(operation, token, proof, now)
            reply = reply or true_answer
        elif reply is None:
            dry = {"execution_options": json.dumps(["validate_only"])}
            reply = self._answer(dataclasses.replace(operation, params=operation.params | dry), token, proof, now)
        if fault.later is not None:

            def perform(at: float) -> None:
                with suppress(Refused):
                    self.authenticate(token, proof)
                    graph.answer(self, operation, token or "", at)

            self.schedule(now + fault.later, perform)
        return dataclasses.replace(reply, after=fault.after) if fault.after else reply

    def _answer(self, operation: Operation, token: str | None, proof: str | None, now: float) -> Reply:
        usage: tuple[tuple[str, str], ...] = ()
        try:
            self.authenticate(token, proof)
            node = self.find(operation.object_id)
            if node is not None and node.account.quota is not None:
                account, quota = node.account, node.account.quota
                active = account.active_ads(now)
                refusal = quota.charge(operation.points, active)
                if account.shows_usage:
                    usage = quota.headers(account.id, active, account.other_usage)
                if refusal is not None:
                    raise Refused(refusal)  # noqa: TRY301 - all refusals are handled in the same place
            reply = graph.answer(self, operation, token or "", now)
        except Refused as refused:
            reply = refused.reply
        return dataclasses.replace(reply, headers=reply.headers + usage) if usage else reply
