"""Which tests execute what a mutant changes, and whether one of them fails; for `scripts.mutants`.

mutmut starts pytest anew for each mutant, with all tests that call its function. Here pytest collects once. Then each
mutant has a process that is forked from that one, with everything imported, and that ends with the first failure: of
the tests that execute the changed statement, those come first that have killed other mutants of the function, then the
quickest.
"""

import ast
import gc
import os
import pickle
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NoReturn

import pytest
from coverage import Coverage

MIN_SECONDS_OF_TEST = 4.0
TIMES_AS_LONG = 10.0
"""A test is in a loop if it takes so many times as much CPU time as without a mutant, and so many seconds at least."""
_FAILED = 70
"""Exit status of a forked process in which not a test has failed, but this module."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutant, and what of its function it changes."""

    name: str
    """As mutmut knows it."""
    function: str
    path: Path
    """The file with the mutants, in which its function is there without a change, too."""
    lines: range
    """Lines of the latter; if a test executes none of them, the mutant cannot make a difference to it."""
    tests: tuple[str, ...]
    """The files and classes with the tests that are to kill it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    killer: str | None
    """The test that failed; None if all passed."""
    is_reached: bool
    """Whether any test executes what it changes."""
    is_timeout: bool
    """Whether a test was in a loop."""
    seconds: float
    """CPU time."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A forked process that has ended."""

    output: bytes
    is_timeout: bool
    seconds: float


class _TestFailedError(BaseException):
    """A test has failed; the argument is its node id."""


def changed_lines(was: str, now: str) -> range:
    """Return the lines of a function, counted from 0, of which at least one is executed if what differs is.

    That is the statement with the difference, or its head if that alone differs, as the condition of an `if` does.
    """
    old, new = was.splitlines(), now.splitlines()
    shorter = min(len(old), len(new))
    first = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    alike = next((i for i in range(shorter - first) if old[-1 - i] != new[-1 - i]), shorter - first)
    last = max(first, len(old) - alike - 1)
    # Under a condition, a method may be parsed as it is indented; so its first line is the second one.
    tree = ast.parse("\n".join(["if True:", *(" " + line for line in old)]))
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno - 2 <= first and last <= (node.end_lineno or 0) - 2
    ]
    innermost = around[-1]  # ast.walk goes inwards
    begin, end = innermost.lineno - 2, (innermost.end_lineno or 0) - 1
    body = getattr(innermost, "body", [])
    if body and len(around) > 2 and last < body[0].lineno - 2:  # noqa: PLR2004 - not of the function itself
        end = body[0].lineno - 2
    return range(max(begin, 0), end)


def run_forked(tasks: Iterable[Callable[[], bytes]], jobs: int) -> Iterator[tuple[int, _Ended]]:
    """Run each task in a process of its own, so many at a time, and yield its number and what it returned.

    A task is taken from the iterable when it can be started. Raises RuntimeError if one raises an exception.
    """
    running: dict[int, tuple[int, IO[bytes]]] = {}
    for number, task in enumerate(tasks):
        if len(running) == jobs:
            yield _wait_for_one(running)
        output = TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        if not (pid := os.fork()):
            _run(task, output)
        running[pid] = number, output
    while running:
        yield _wait_for_one(running)


def _wait_for_one(running: dict[int, tuple[int, IO[bytes]]]) -> tuple[int, _Ended]:
    pid, status, usage = os.wait3(0)
    number, file = running.pop(pid)
    with file:
        file.seek(0)
        output = file.read()
    code = os.waitstatus_to_exitcode(status)
    if code == _FAILED:
        raise RuntimeError(output.decode())
    # pytest's faulthandler ends a process in which a test hangs with 1.
    return number, _Ended(output, code in {1, -signal.SIGPROF}, usage.ru_utime + usage.ru_stime)


def _run(task: Callable[[], bytes], output: IO[bytes]) -> NoReturn:
    """Run a task in this process, and end it."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    try:
        output.write(task())
        output.flush()
    except BaseException:  # noqa: BLE001 - whatever it is, it must not go on in the copy of the caller
        output.write(traceback.format_exc().encode())
        output.flush()
        os._exit(_FAILED)
    os._exit(0)


class MutantTests:
    """A pytest plug-in that runs the tests against mutants."""

    def __init__(self, mutants: Sequence[Mutant], jobs: int, judge: Callable[[Verdict], None]) -> None:
        """Take the mutants, the number of processes, and what is to be called for each mutant."""
        self._mutants = mutants
        self._jobs = jobs
        self._judge = judge
        self._items: dict[str, pytest.Item] = {}
        self._seconds: dict[str, float] = {}
        """CPU time of each test."""
        self._tests: defaultdict[tuple[Path, int], set[str]] = defaultdict(set)
        """The tests that execute a line of a file."""
        self._killed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How many mutants of a function each test has killed."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the mutants instead of the tests."""
        if session.testsfailed:
            raise session.Interrupted(f"{session.testsfailed} errors while the tests were collected")
        self._items = {item.nodeid: item for item in session.items}
        gc.freeze()
        self._survey()
        self._check_without_mutant()
        tests = [self._tests_of(mutant) for mutant in self._mutants]
        # Survivors take longest: what few tests reach comes first, and shows which tests kill.
        order = sorted(range(len(tests)), key=lambda i: len(tests[i]))

        def tasks() -> Iterator[Callable[[], bytes]]:
            for i in order:
                yield partial(self._first_failure, self._mutants[i].name, self._sorted(self._mutants[i], tests[i]))

        for number, ended in run_forked(tasks(), self._jobs):
            mutant, reached = self._mutants[order[number]], bool(tests[order[number]])
            killer = ended.output.decode() or None
            if killer:
                self._killed[mutant.function][killer] += 1
            self._judge(Verdict(mutant, killer, reached, ended.is_timeout, ended.seconds))
        return True

    def pytest_exception_interact(self, node: pytest.Item, call: pytest.CallInfo[None]) -> NoReturn:
        """End at the first failure."""
        raise _TestFailedError(node.nodeid) from call.excinfo and call.excinfo.value

    def _survey(self) -> None:
        """Run the tests without a mutant, and note what they execute and how long they take."""
        tests = list(self._items)
        parts = [tests[i :: self._jobs] for i in range(self._jobs)]
        for _, ended in run_forked([partial(self._measured, part) for part in parts], self._jobs):
            seconds, executed = pickle.loads(ended.output)  # noqa: S301 - from our own process
            self._seconds |= seconds
            for place, numbers in executed.items():
                self._tests[place].update(tests[number] for number in numbers)

    def _measured(self, tests: Sequence[str]) -> bytes:
        """Run these tests, and return the seconds of each and the numbers of those that execute each line."""
        number_of = {test: number for number, test in enumerate(self._items)}
        wanted = {(mutant.path, line) for mutant in self._mutants for line in mutant.lines}
        paths = {path for path, _ in wanted}
        coverage = Coverage(data_file=None, config_file=False, include=[str(path) for path in paths])
        seconds = {}
        coverage.start()
        for test, following in zip_longest(tests, tests[1:]):
            coverage.switch_context(str(number_of[test]))
            started = time.process_time()
            self._run_test(test, following)
            seconds[test] = time.process_time() - started
        coverage.stop()
        executed = {
            (path, line): [int(context) for context in contexts if context]
            for path in paths
            for line, contexts in coverage.get_data().contexts_by_lineno(str(path)).items()
            if (path, line) in wanted
        }
        return pickle.dumps((seconds, executed))

    def _check_without_mutant(self) -> None:
        """Raise RuntimeError if a test fails in a forked process anyway: every mutant would seem to be killed."""
        quickest = min(self._items, key=self._seconds.__getitem__)
        for _, ended in run_forked([partial(self._first_failure, "", [quickest])], 1):
            if ended.output or ended.is_timeout:
                raise RuntimeError(f"{quickest} fails without a mutant")

    def _tests_of(self, mutant: Mutant) -> set[str]:
        reached = {test for line in mutant.lines for test in self._tests[mutant.path, line]}
        return {test for test in reached if test.startswith(mutant.tests)}

    def _sorted(self, mutant: Mutant, tests: Iterable[str]) -> list[str]:
        killed = self._killed[mutant.function]
        return sorted(tests, key=lambda test: (-killed[test], self._seconds[test]))

    def _first_failure(self, mutant: str, tests: Sequence[str]) -> bytes:
        """Return the name of the first test that fails; empty if all pass."""
        from mutmut.mutation.trampoline import set_mutant_under_test  # noqa: PLC0415 - only the layer `mutants` has it

        set_mutant_under_test(mutant)
        try:
            for test, following in zip_longest(tests, tests[1:]):
                patience = max(MIN_SECONDS_OF_TEST, TIMES_AS_LONG * self._seconds[test])
                signal.setitimer(signal.ITIMER_PROF, patience)  # its signal ends the process
                self._run_test(test, following)
        except _TestFailedError as error:
            return str(error).encode()
        return b""

    def _run_test(self, test: str, following: str | None) -> None:
        item = self._items[test]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following and self._items[following])
