"""Waiting for several answers at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def map_concurrently(function: Callable[[Item], Answer], items: Sequence[Item], at_once: int) -> list[Answer]:
    """Return what the function makes of each item, in their order, with at most so many calls under way.

    Every call comes to its end, also when one raises; then the first error, by the order of the items, is raised.
    """
    if len(items) <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(at_once, len(items))) as pool:
        calls = [pool.submit(function, item) for item in items]
    return [call.result() for call in calls]


@contextmanager
def in_background(function: Callable[[], Answer]) -> Iterator[Future[Answer]]:
    """Have the function do its work beside the body; yield what it comes to, which is there when the body is left."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)
