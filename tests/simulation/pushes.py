"""Meta's pushes in a story: what Meta sends, the receiver, the queue, and the rechecks that its messages cause.

The receiver is the real one behind a function URL, and the queue that of the template. Events call the receiver's
invocations "receiver 1", "receiver 2", …, and the rechecks "push 1", "push 2", …; once it is calm, they have other
names, so that nothing goes wrong in them.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from closrads import webhook
from closrads.clock import Clock
from sandbox.function_url import event_of
from sandbox.memory_aws.fifo import FifoQueue
from sandbox.meta.webhooks import OK, Change, Webhooks, notification, signed
from sandbox.server import HttpRequest
from tests.simulation.border import Invocation
from tests.simulation.judge import RECEIVE
from tests.simulation.judge_state import Outcome
from tests.simulation.kernel import Process, current_task
from tests.simulation.story import HOUR, MINUTE, START, Hint, Notice, Push, Run, Transit

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

SECRET, VERIFY_TOKEN = "fake-app-secret-0123456789", "fake-verify-token-0123456789"
RECEIVER_SECONDS = 10.0
"""The receiver's time-out."""
AT_ONCE = 2
"""Invocations that the queue causes side by side."""
REPLAYED_AFTER = 39 * HOUR
FLOOD = 20
UNRELATED = "spend_cap"
_LAST_DELIVERY = 20 * MINUTE
"""So long before the end the last recheck begins, so that none is cut short by the end."""


class _FailedError(Exception):
    """An invocation that the queue has caused has failed: its messages come again."""


class Pushes:
    """What Meta pushes, and what comes of it."""

    def __init__(self, simulation: "Simulation", queue: FifoQueue) -> None:
        self._simulation = simulation
        self._queue = queue
        self._after = simulation.story.world.push_after or 0.0
        self._transits = {event.nth: event for event in simulation.story.events if isinstance(event, Push)}
        self._meta = Webhooks(simulation.meta, self._request, SECRET)
        for account in simulation.meta.accounts:
            self._meta.subscribe(account)
        self._sent = self._received = self._delivered = self._busy = 0
        self._is_looking = False

    # --- Meta

    def changed(self) -> None:
        """Have Meta push what has just changed, and what will have once that is processed."""
        kernel, processing = self._simulation.kernel, self._simulation.meta.processing
        if not self._is_looking:
            self._is_looking = True
            kernel.after(self._after, self._look)
        if processing:
            kernel.after(processing + self._after, self._look)

    def _look(self) -> None:
        self._is_looking = False
        changes = self._meta.changes()
        if not changes:
            return
        self._sent += 1
        match self._transits.get(self._sent):
            case Push(transit=Transit.LOST):
                self._simulation.note("Meta", "loses a push")
            case Push(transit=Transit.LATE, seconds=seconds):
                self._simulation.note("Meta", f"pushes late by {seconds:g} s")
                self._simulation.kernel.after(seconds, lambda: self._push(changes))
            case Push(seconds=seconds):
                self._push(changes)
                self._simulation.kernel.after(seconds, lambda: self._push(changes))
            case None:
                self._push(changes)

    def _push(self, changes: dict[str, list[Change]]) -> None:
        self._meta.push(changes)
        self._send()

    def _send(self) -> None:
        """Have Meta send what is due, and look again when more is."""

        def send() -> None:
            self._meta.run()
            if self._meta.next_at < float("inf"):
                self._simulation.kernel.at(self._meta.next_at, self._send)

        self._simulation.kernel.spawn(Process("Meta's pushes"), send)

    def notice(self, notice: Notice) -> None:
        """Have a push come that has no news."""
        self._simulation.note("a push", f"is about {notice.hint}")
        kernel, account = self._simulation.kernel, notice.account.removeprefix("act_")
        changes = {account: [_change_of("1")]}
        match notice.hint:
            case Hint.NOTHING:
                self._push(changes)
            case Hint.ALL_ACCOUNTS:
                self._push({each.removeprefix("act_"): [_change_of("1")] for each in self._simulation.meta.accounts})
            case Hint.UNKNOWN_ACCOUNT:
                self._push({"999": [_change_of("1")]})
            case Hint.UNRELATED:
                self._push({account: [{"field": UNRELATED, "value": {}}]})
            case Hint.FLOOD:
                for second in range(FLOOD):
                    kernel.after(second, lambda: self._push(changes))
            case Hint.FORGED:
                forged = signed(notification(changes, kernel.now), "wrong")
                self._by_somebody(forged)
            case Hint.REPLAY:
                replay = signed(notification(changes, kernel.now - REPLAYED_AFTER), SECRET)
                self._by_somebody(replay)

    def _by_somebody(self, request: HttpRequest) -> None:
        def send() -> None:
            self._request(request)

        self._simulation.kernel.spawn(Process("somebody"), send)

    # --- the receiver

    def _request(self, request: HttpRequest) -> int:
        """Have the receiver answer; return the status, 0 if it dies."""
        self._received += 1
        simulation, arrived = self._simulation, self._simulation.kernel.now
        run = Run(self._name("receiver", self._received), arrived - START, RECEIVE, seconds=RECEIVER_SECONDS)
        invocation = Invocation(run, simulation)
        outcome = self._invoked(invocation, event_of(request), _receive)
        status = outcome.result["statusCode"] if outcome is not None and outcome.result else 0
        entries = json.loads(request.body)["entry"]
        is_genuine = request.headers == signed(request.body, SECRET).headers
        is_fresh = all(entry["time"] > arrived - REPLAYED_AFTER for entry in entries)
        accounts = {
            f"act_{entry['id']}" for entry in entries if any(each["field"] != UNRELATED for each in entry["changes"])
        }
        simulation.judge.pushes.push_received(
            invocation, status, accounts if is_genuine and is_fresh else set(), is_taken=is_genuine and is_fresh
        )
        if status == OK:
            simulation.judge.pushes.notices_heeded(self._queue)
        return status

    # --- the queue

    def attend(self) -> None:
        """Have the queue's next message delivered when it is due."""
        if self._queue.next_at < float("inf"):
            self._simulation.kernel.at(self._queue.next_at, self._poll)

    def _poll(self) -> None:
        now, end = self._simulation.kernel.now, START + self._simulation.story.end
        if self._busy < AT_ONCE and self._queue.next_at <= now < end - _LAST_DELIVERY:
            self._busy += 1
            self._simulation.kernel.spawn(Process("the queue"), self._take)

    def _take(self) -> None:
        with suppress(_FailedError):
            self._queue.deliver(self._recheck)
        self._busy -= 1
        self._simulation.judge.pushes.notices_heeded(self._queue)
        self.attend()

    def _recheck(self, event: dict[str, Any]) -> dict[str, Any]:
        """Hand messages to the product; return its answer.

        Raises
        ------
        _FailedError
            There is none.
        """
        self.attend()  # others may be due soon
        self._delivered += 1
        simulation = self._simulation
        run = Run(self._name("push", self._delivered), simulation.kernel.now - START, "recheck")
        simulation.perhaps_forget_parameters(run)
        simulation.judge.run_begins(run)
        invocation = Invocation(run, simulation)
        simulation.judge.pushes.messages_come(
            invocation, {_account(record): _sent_at(record) for record in event["Records"]}
        )
        outcome = self._invoked(invocation, event)
        simulation.judge.call_ends(invocation, outcome)
        if outcome is None or outcome.error is not None:
            simulation.judge.pushes.messages_failed(_account(record) for record in event["Records"])
            self._told(invocation, outcome.result if outcome else None, outcome)
            raise _FailedError
        assert outcome.result is not None
        again = {each["itemIdentifier"] for each in outcome.result["batchItemFailures"]}
        put_off = {_account(each) for each in event["Records"] if each["messageId"] in again}
        done = {_account(each) for each in event["Records"]} - put_off
        result = invocation.results[-1] if invocation.results else None
        simulation.judge.pushes.messages_done(invocation, done, put_off, result)
        self._told(invocation, result, outcome)
        return outcome.result

    def _told(self, invocation: Invocation, result: dict[str, Any] | None, outcome: Outcome | None) -> None:
        if result is None or outcome is None:
            return
        ended = replace(outcome, result=result)
        self._simulation.note(invocation.name, f"its recheck: {ended}")
        invocation.run = replace(invocation.run, campaigns=tuple(each["slug"] for each in result["campaigns"]))
        self._simulation.judge.run_ends(invocation, ended)

    # ---

    def _name(self, what: str, number: int) -> str:
        is_calm = self._simulation.kernel.now >= START + self._simulation.story.calm
        return f"calm {what} {number}" if is_calm else f"{what} {number}"

    def _invoked(
        self, invocation: Invocation, event: dict[str, Any], product: Callable[[Any, Clock], Any] | None = None
    ) -> Outcome | None:
        """Hand a function an event and wait; return the outcome, None if it dies."""
        task, ends = current_task(), list[Outcome | None]()

        def end(outcome: Outcome | None) -> None:
            ends.append(outcome)
            task.wake()

        self._simulation.invoke(invocation, event, end, product)
        while not ends:
            task.park()
        return ends[0]


def _account(record: dict[str, Any]) -> str:
    account: str = json.loads(record["body"])["ad_account"]
    return account


def _sent_at(record: dict[str, Any]) -> float:
    return int(record["attributes"]["SentTimestamp"]) / 1000


def _receive(event: Any, clock: Clock) -> dict[str, Any]:
    return webhook.handle(event, clock.now())


def _change_of(object_id: str) -> Change:
    value = {"object_id": object_id, "object_type": "ad", "changed_fields": ["effective_status"]}
    return {"field": "field_changed", "value": value}
