"""What the log says, as whoever searches it finds it."""

import json
from io import StringIO
from typing import Any


def logged(log: StringIO, message: str, *keys: str) -> list[tuple[Any, ...]]:
    """Return the values of these keys in each line with this message; a line without one of them is an error."""
    lines = map(json.loads, log.getvalue().splitlines())
    return [tuple(line[key] for key in keys) for line in lines if line["message"] == message]
