"""Time that passes only when everybody waits, for the code under test, its threads and the sandbox."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from threading import Condition
from typing import Any, ParamSpec, Self, TypeVar

from closrads.clock import Clock

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
"""A Monday, 06:30 in New York."""
DEADLOCK_SECONDS = 60.0
P = ParamSpec("P")
T = TypeVar("T")


class FakeTime:
    """Virtual time: it stands still while any thread works, and goes on to the next wake-up when all of them wait.

    It knows the main thread and those of its `pool`.
    """

    def __init__(self) -> None:
        self.changed = Condition()
        self.reset()

    def reset(self) -> None:
        """Go back to the start, with the 15 minutes that an invocation has."""
        self._now = START.timestamp()
        self.deadline = self._now + 900
        self.waits: list[float] = []
        """What was slept, in order."""
        self._awake = 1
        self._wake_ups: list[float] = []

    def seconds(self) -> float:
        """Return the present as the sandbox wants it."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Sleep; what several threads sleep at once passes together."""
        self.waits.append(seconds)
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait for something that takes so long."""
        self.reach(self._now + seconds)

    def reach(self, moment: float) -> None:
        """Wait for a moment, unless it has passed."""
        with self.changed:
            if moment > self._now:
                self._wake_ups.append(moment)
                self.change_awake(-1)
            while moment > self._now:
                if not self.changed.wait(DEADLOCK_SECONDS):
                    raise TimeoutError("a thread waits for something else than time, such as a lock of one that sleeps")

    def pass_by(self, seconds: float) -> None:
        """Let time pass without anybody waiting."""
        self._now += seconds

    def next_day(self) -> None:
        """Go on a day, to an invocation that has its whole time."""
        self._now += 86_400
        self.deadline = self._now + 900

    @property
    def clock(self) -> Clock:
        """The same time as the code under test wants it."""
        return Clock(
            now=lambda: datetime.fromtimestamp(self._now, UTC),
            sleep=self.sleep,
            remaining=lambda: self.deadline - self._now,
        )

    def pool(self, max_workers: int) -> "Pool":
        """Return an executor whose threads live in this time."""
        return Pool(self, max_workers)

    def change_awake(self, number: int) -> None:
        """Count threads that begin or cease to work, `changed` being held; if none is left, go to the next wake-up."""
        self._awake += number
        if self._awake <= 0 and self._wake_ups:
            self._now = max(self._now, min(self._wake_ups))
            waiting = [moment for moment in self._wake_ups if moment > self._now]
            self._awake += len(self._wake_ups) - len(waiting)
            self._wake_ups = waiting
            self.changed.notify_all()


_threads = ThreadPoolExecutor(1_000)
"""Those of all pools: to start one for each call takes longer than most calls."""


class Pool:
    """Stand-in for `ThreadPoolExecutor` in virtual time: a call counts as awake from `submit` on, or from its turn."""

    def __init__(self, time: FakeTime, max_workers: int) -> None:
        self._time = time
        self._max_workers = max_workers
        self._waiting: deque[Callable[[], None]] = deque()
        self._futures: list[Future[Any]] = []
        self._working = 0
        self._owner_waits = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call the function."""
        future: Future[T] = Future()
        self._futures.append(future)
        call = partial(self._call, future, partial(function, *args, **kwargs))
        with self._time.changed:
            if self._working == self._max_workers:
                self._waiting.append(call)
                return future
            self._working += 1
            self._time.change_awake(1)
        _threads.submit(call)
        return future

    def _call(self, future: Future[T], function: Callable[[], T]) -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - a future holds whatever was raised
            self._go_on()
            future.set_exception(error)
        else:
            self._go_on()
            future.set_result(result)

    def _go_on(self) -> None:
        """Start the next call, or let the thread go to sleep."""
        with self._time.changed:
            if self._waiting:
                _threads.submit(self._waiting.popleft())
                return
            self._working -= 1
            if self._working or not self._owner_waits:
                self._time.change_awake(-1)  # else the owner is awake in its place

    def join(self, seconds: float) -> None:
        """Wait for all calls, in real time, if an interrupt has kept the owner from doing so."""
        wait(self._futures, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._time.changed:
            if self._working:
                self._owner_waits = True
                self._time.change_awake(-1)
        wait(self._futures)
