"""What libraries log leaves the process without secrets, and is not lost with them."""

import logging

import pytest

from closrads.observability import _RedactingFilter
from closrads.redaction import Secret

TOKEN = "EAAFAKESYSTEMUSER"


@pytest.mark.parametrize("is_error", [False, True], ids=["a line", "an error"])
def test_a_record_of_a_library_is_redacted(*, is_error: bool) -> None:
    """The message with its arguments, and the traceback if there is one."""
    Secret(TOKEN)
    error = ValueError(f"access_token={TOKEN}") if is_error else None
    exc_info = (ValueError, error, None) if error else None
    record = logging.LogRecord("urllib3", logging.DEBUG, "pool.py", 1, "GET /me?t=%s", (TOKEN,), exc_info)

    assert _RedactingFilter().filter(record)

    shown = logging.Formatter().format(record)
    assert shown.startswith("GET /me?t=")
    assert TOKEN not in shown
    assert ("ValueError" in shown) is is_error
