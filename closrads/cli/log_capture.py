"""Captures the function's log while it runs in a shell: in a file, on the terminal, and for the progress display."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from io import TextIOBase
from typing import Any, TextIO

from closrads.observability import begin_invocation, logger


class Tee(TextIOBase):
    """A stream that writes to several others."""

    def __init__(self, *streams: TextIO | TextIOBase) -> None:
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


Entry = Mapping[str, Any]
"""One line of the log."""


class Listener(TextIOBase):
    """A stream of log lines that passes those with certain messages to handlers.

    An exception in a handler does not affect the run that writes the lines.
    """

    def __init__(self, handlers: Mapping[str, Callable[[Entry], None]]) -> None:
        self._handlers = handlers

    def write(self, text: str) -> int:
        """Process whole lines: the logger never splits a line over several writes."""
        for line in text.splitlines():
            if any(f'"message":"{message}"' in line for message in self._handlers):
                entry = json.loads(line)
                with suppress(Exception, SystemExit):  # rich raises the latter for a closed pipe: the run goes on
                    self._handlers[entry["message"]](entry)
        return len(text)


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
