"""One invocation of the handler in a process of its own, forked where everything is imported: a warm container."""

import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import handler
from closrads.clock import Clock

SECONDS = 900.0
"""What Lambda gives an invocation."""
SHIFT = "SHIFT"
"""The variable with the `shift` of the invocation that warms up."""


@dataclass(frozen=True)
class Ending:
    """How an invocation ended."""

    result: dict[str, Any] = field(default_factory=dict)
    """What the handler returned; empty if it did not return."""
    error: str = ""
    """The name of the exception that it raised."""
    text: str = ""
    """Its traceback."""
    killed: bool = False


def invoke(answer: Connection, environment: dict[str, str], event: Any, shift: float) -> None:
    """Hand an event to the handler, at a time that differs by `shift` seconds, and send the ending."""
    os.environ.clear()
    os.environ.update(environment)
    answer.send(ending_of(event, shift))


def ending_of(event: Any, shift: float) -> Ending:
    """Hand an event to the handler, at a time that differs by `shift` seconds, and return the ending."""
    end = time.time() + SECONDS
    clock = Clock(
        now=lambda: datetime.fromtimestamp(time.time() + shift, UTC),
        remaining=lambda: end - time.time(),
    )
    try:
        return Ending(result=handler.handle(event, clock))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test tells
        return Ending(error=type(error).__name__, text=traceback.format_exc())


def log_nowhere() -> None:
    """Write nothing to the standard output any more, neither here nor in the processes that are forked from here."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
