"""Workers with a sandbox each, and a way to say figures."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import pytest

from tests.conftest import FIGURE
from tests.slow.crash import harness

Answer = TypeVar("Answer")

Say = Callable[[str], None]


class Workers:
    """As many processes as this machine has processors."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def one(self, question: Callable[..., Answer], *arguments: Any, **more: Any) -> Answer:
        """Ask one of them."""
        return self._pool.submit(question, *arguments, **more).result()

    def each(self, question: Callable[..., Answer], cases: Iterable[tuple[Any, ...]]) -> list[Answer]:
        """Ask them all; the answers come in the order of the cases."""
        return [asked.result() for asked in [self._pool.submit(question, *case) for case in cases]]


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Start the worker processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, harness.begin) as pool:
        yield Workers(pool)


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    """Return a way to have a line printed at the end of the test run."""
    return lambda line: record_property(FIGURE, line)
