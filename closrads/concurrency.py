"""Concurrent calls; the only place that starts threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_concurrently(function: Callable[[Item], Result], items: Sequence[Item], max_workers: int) -> list[Result]:
    """Return the function's result for each item, in the order of the items, with at most `max_workers` calls at once.

    All calls run to completion, even if one raises; then the first error, in the order of the items, is raised.
    """
    if len(items) <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(max_workers, len(items))) as pool:
        calls = [pool.submit(function, item) for item in items]
    return [call.result() for call in calls]


@contextmanager
def in_background(function: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Run the function concurrently with the `with` body; yield its future, which is done when the body is left."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)
