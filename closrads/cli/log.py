"""Redirection of the function's log when it runs in a shell."""

import json
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


MAIL_TROUBLE = frozenset({"mail.failed", "mail.refused", "mail.defect"})
"""Messages of the log that say why somebody did not get the report."""


class Noting(TextIOBase):
    """A stream of log lines that keeps why the report could not be mailed."""

    def __init__(self) -> None:
        self.mail_trouble: list[str] = []

    def write(self, text: str) -> int:
        """Look at some lines, each of which is written at once."""
        for line in text.splitlines():
            if any(f'"{message}"' in line for message in MAIL_TROUBLE):
                said = json.loads(line)
                self.mail_trouble.append(str(said.get("error") or said.get("exception_name")))
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
