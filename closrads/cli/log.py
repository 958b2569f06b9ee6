"""Redirection of the function's log when it runs in a shell."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from typing import Any, TextIO

from closrads.observability import begin_invocation, logger


class Tee(TextIOBase):
    """A stream that writes to several others."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        """Write to all streams."""
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush all streams."""
        for stream in self._streams:
            stream.flush()


@contextmanager
def logged_to(stream: Any) -> Iterator[None]:
    """Redirect the log and the metrics, which are printed, to a stream, within the `with` body."""
    begin_invocation()
    handler: Any = logger.registered_handler
    before = handler.stream
    handler.stream = stream
    try:
        with redirect_stdout(stream):
            yield
    finally:
        handler.stream = before
