"""Discrete-event kernel: greenlets in virtual time, with an order that the seed decides where the time does not."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from types import TracebackType
from typing import Any, Self

import greenlet


class Killed(BaseException):
    """Raised inside a process that was killed, at each point where it would have had an effect on others."""


class Process:
    """A set of tasks that live and die together, such as one invocation with its concurrent branches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.tasks: list[Task] = []

    def check(self) -> None:
        """Raise `Killed` if this process is dead."""
        if not self.alive:
            raise Killed

    def kill(self) -> None:
        """Kill every task but the running one, which dies at its next `check`."""
        self.alive = False
        for task in self.tasks:
            if not task.is_running:
                task.wake()


class Task:
    """A thread of control in virtual time; it runs until it sleeps or parks."""

    def __init__(self, kernel: "Kernel", process: Process, function: Callable[[], None]) -> None:
        self.kernel = kernel
        self.process = process
        self._greenlet = greenlet.greenlet(function, kernel.hub)
        self._greenlet.task = self
        self._ticket = 0

    @property
    def is_running(self) -> bool:
        """Whether this is the task that has control."""
        return bool(greenlet.getcurrent() is self._greenlet)

    def wake(self, delay: float = 0.0) -> None:
        """Continue after `delay` seconds; supersedes an earlier call."""
        self._ticket += 1
        ticket = self._ticket

        def resume() -> None:
            if ticket == self._ticket and not self._greenlet.dead:
                self._greenlet.switch()

        self.kernel.after(delay, resume)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        if self.kernel.skip(seconds):
            self._ticket += 1  # as `wake` does
        else:
            self.wake(seconds)
            self.park()

    def park(self) -> None:
        """Give control away until somebody calls `wake`."""
        self.kernel.hub.switch()
        self.process.check()


class Kernel:
    """An agenda of callbacks, ordered by time and, at equal times, by the seed."""

    def __init__(self, seed: int, now: float) -> None:
        self.now = now
        """Seconds since the epoch."""
        self.hub = greenlet.getcurrent()
        self._order = Random(seed)
        self._numbers = itertools.count()
        self._agenda: list[tuple[float, float, int, Callable[[], None]]] = []
        self._until = float("-inf")

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Call `action` at a time; a time that has passed means now."""
        entry = (max(moment, self.now), self._order.random(), next(self._numbers), action)
        heapq.heappush(self._agenda, entry)

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Call `action` in `delay` seconds."""
        self.at(self.now + delay, action)

    def skip(self, delay: float) -> bool:
        """Go `delay` seconds on if nothing is on the agenda until then; return whether it was so."""
        moment = max(self.now + delay, self.now)
        if moment > self._until or (self._agenda and self._agenda[0][0] <= moment):
            return False
        self._order.random()  # as an entry of the agenda would have taken
        self.now = moment
        return True

    def spawn(self, process: Process, function: Callable[[], None]) -> Task:
        """Start a task of a process; one of a dead process never begins."""

        def body() -> None:
            if process.alive:
                function()

        task = Task(self, process, body)
        process.tasks.append(task)
        task.wake()
        return task

    def run(self, until: float = float("inf")) -> None:
        """Work off the agenda, including what is added on the way, up to a time."""
        self._until = until
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, _, action = heapq.heappop(self._agenda)
            action()


def current_task() -> Task:
    """Return the task that is running; there must be one."""
    task: Task | None = getattr(greenlet.getcurrent(), "task", None)
    assert task is not None, "only a task of the simulation may wait"
    return task


def sleep(seconds: float) -> None:
    """Let virtual time pass for the running task; raise `Killed` if its process dies meanwhile."""
    task = current_task()
    task.process.check()
    task.sleep(seconds)


class Pool:
    """Stand-in for `ThreadPoolExecutor` whose workers are tasks of the running process."""

    def __init__(self, max_workers: int) -> None:
        self._free = max_workers
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0
        self._is_awaited = False
        self._owner = current_task()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            self._owner.process.check()
            self._is_awaited = True
            self._owner.park()

    def submit(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Have a worker call the function; return its future, which is done when the pool is left."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args))
            except BaseException as error:  # noqa: BLE001 - a future holds whatever was raised
                future.set_exception(error)
            self._running -= 1
            self._free += 1
            self._start()
            if self._is_awaited and not self._running:
                self._owner.wake()

        self._waiting.append(work)
        self._start()
        return future

    def _start(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            self._running += 1
            self._owner.kernel.spawn(self._owner.process, self._waiting.popleft())
