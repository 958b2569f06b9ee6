"""Where the function's log lines go when it works in a shell."""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOBase
from typing import Any, TextIO

from closrads.observability import begin_invocation, logger


class Tee(TextIOBase):
    """Writes to several streams."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        """Write to each."""
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush each."""
        for stream in self._streams:
            stream.flush()


@contextmanager
def logged_to(stream: Any) -> Iterator[None]:
    """Send the log, and the metrics, which are printed, to a stream; what other libraries say holds no secret."""
    begin_invocation()
    handler: Any = logger.registered_handler
    before = handler.stream
    handler.stream = stream
    try:
        with redirect_stdout(stream):
            yield
    finally:
        handler.stream = before
