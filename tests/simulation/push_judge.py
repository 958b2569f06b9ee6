"""What must hold of the pushes of Meta and of the rechecks that they cause; the judge asks here."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.memory_aws.fifo import FifoQueue
from tests.simulation.clauses import Clause
from tests.simulation.story import START

if TYPE_CHECKING:
    from tests.simulation.border import Invocation
    from tests.simulation.simulation import Simulation

RETAINED = 4 * 3600.0
"""How long the queue of pushes keeps a message."""
QUEUE_SECONDS, HIDDEN_SECONDS = 10.0, 1800.0
"""The delay of the queue, and for how long it hides a message that is delivered."""
HELD_SECONDS = 300.0
"""When a message comes again whose campaign another run holds."""
GAP, GAP_TOLERANCE = 60.0, 10.0
"""Least seconds between the beginnings of two rechecks of a campaign that pushes cause: the time of the first is noted,
and that of the second compared, some calls later."""
DUE_TOLERANCE = 5.0


class PushJudge:
    """Holds what becomes of pushes against the clauses."""

    def __init__(self, simulation: "Simulation", violated: Callable[[Clause, str, str], None]) -> None:
        self._simulation = simulation
        self._violated = violated
        self._due: dict[str, float] = {}
        """By ad account, when a message that was put off has to come again."""
        self._deliverable_at = START
        """When an invocation last ended that the queue had caused: until then, its messages may have had to wait."""
        self._noticed: dict[str, float] = {}
        """By ad account, when the last notice arrived that was taken, and that no recheck has followed yet."""
        self._heeded: dict[str, float] = {}
        """By ad account, when the last recheck of all its campaigns began that a notice caused."""
        self._pushed: dict[str, float] = {}
        """By campaign, the same, if all of it could be looked at."""

    @property
    def _now(self) -> float:
        return self._simulation.kernel.now

    def push_received(self, invocation: "Invocation", status: int, accounts: set[str], *, is_taken: bool) -> None:
        """Judge how the receiver has answered a push; `is_taken` says whether it may take it, 0 that it has died.

        Parameters
        ----------
        accounts
            The ad accounts of which it tells something that matters.
        """
        may_fail = {0, 503} if self._simulation.has_trouble(invocation.name) else set()
        if status not in ({200} if is_taken else {400, 403}) | may_fail:
            self._violated(Clause.SIGNED, invocation.name, f"it answers {status}")
        if not accounts and invocation.calls["sqs"]:
            self._violated(Clause.SIGNED, invocation.name, "it asks for a recheck")
        if status == HTTPStatus.OK:
            self._noticed.update(dict.fromkeys(accounts, invocation.started))

    def messages_come(self, invocation: "Invocation", sent: Mapping[str, float]) -> None:
        """Judge when the queue delivers messages, by ad account when they were sent."""
        for account, at in sent.items():
            due = max(self._due.get(account, START), at + QUEUE_SECONDS, self._deliverable_at)
            if self._now > due + DUE_TOLERANCE:
                self._violated(Clause.PROMPT, account, f"{invocation.name} begins {self._now - due:.0f} s too late")
            if len(sent) > 1:  # it may put off one of them at once, and go on with the others
                self._due[account] = max(due, self._now + GAP)

    def messages_failed(self, accounts: Iterable[str]) -> None:
        """Note that a recheck has failed: its messages come again once the queue no longer hides them."""
        self._deliverable_at = self._now
        self._due.update(dict.fromkeys(accounts, self._now + HIDDEN_SECONDS))

    def messages_done(
        self, invocation: "Invocation", accounts: set[str], put_off: set[str], result: dict[str, Any] | None
    ) -> None:
        """Judge that messages about ad accounts have been worked off or put off.

        Parameters
        ----------
        result
            That of the recheck, if there was one.
        """
        began, self._deliverable_at = invocation.started, self._now
        reports = {each["slug"]: each for each in (result["campaigns"] if result else ())}
        is_held = result is not None and bool(result["left_to"])
        held = {slug for slug, each in reports.items() if is_held or each["left_to"]}
        for campaign in self._simulation.story.world.campaigns:
            if campaign.account in put_off:
                wait = HELD_SECONDS if is_held or campaign.slug in held else GAP
                wait = HIDDEN_SECONDS if self._simulation.has_trouble(invocation.name) else wait
                self._due[campaign.account] = max(self._due.get(campaign.account, START), self._now + wait)
        looked_at = {slug for slug, each in reports.items() if not (each["left_to"] or each["errors"])}
        for campaign in self._simulation.story.world.campaigns:
            if campaign.account not in accounts or campaign.slug in looked_at:
                continue
            if self._simulation.is_surely_enabled(campaign.slug, began):
                self._violated(Clause.HEEDED, campaign.slug, f"{invocation.name} does not look at it")
        self._heeded.update(dict.fromkeys(accounts, began))
        for slug in sorted(looked_at):
            before = self._pushed.pop(slug, START)
            if began - before < GAP - GAP_TOLERANCE:
                self._violated(Clause.NOTICES_BUNDLED, slug, f"{invocation.name} looks after {began - before:.0f} s")
            if all(each["result"] not in {"deferred", "unverified"} for each in reports[slug]["adsets"]):
                self._pushed[slug] = began

    def notices_heeded(self, queue: FifoQueue) -> None:
        """Judge whether a recheck has followed the notices of each ad account, or is going to."""
        waiting = {message.group for message in queue.messages if self._now - message.sent < RETAINED}
        lost = {message.group for message in queue.dead}
        for account, arrived in tuple(self._noticed.items()):
            if self._heeded.get(account, 0.0) >= arrived or account in lost:
                del self._noticed[account]
            elif account not in waiting:
                del self._noticed[account]
                self._violated(Clause.HEEDED, account, f"no recheck follows the notice {self._now - arrived:.0f} s ago")
