"""What libraries log leaves the process without secrets, and is not lost with them."""

import json
import logging
from base64 import b64encode
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from closrads.observability import MAX_LINE_BYTES, _RedactingFilter, _RedactingFormatter
from closrads.redaction import Secret, redact_all

TOKEN = "EAAFAKESYSTEMUSER"
ODD_TOKEN = 'EAAq7ZkFAKEODD+/=x9-\\ta"il"7Wv'


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


@pytest.mark.parametrize("indent", [None, 4], ids=["one line", "as with POWERTOOLS_DEV"])
@pytest.mark.parametrize(
    "text",
    [
        "nothing special",
        f"the token {ODD_TOKEN}",
        f"the end of it {ODD_TOKEN[-12:]}",
        f"in a URL {quote(ODD_TOKEN, safe='')}",
        f"in Base64 {b64encode(ODD_TOKEN.encode()).decode()}",
        "https://example.test/?access_token=something&x=1",
        "50 % of = nothing & #1",
        'said "no"',
        "back\\slash",
        "two\nlines",
        "Zoë −",
        "half of a pair: \ud83d",
    ],
)
def test_a_line_is_what_redacting_each_of_its_strings_gives(text: str, indent: int | None) -> None:
    """Also where they are searched all at once."""
    serializer: Any = partial(json.dumps, indent=indent, ensure_ascii=False, separators=(",", ":"))
    Secret(ODD_TOKEN)
    said: dict[str, Any] = {"message": text, text: 1.5, "nested": [None, True, {"deep": [text]}]}

    line = _RedactingFormatter(json_serializer=serializer).serialize(said)

    expected = json.dumps(redact_all(said), ensure_ascii=False, separators=(",", ":"))
    assert line == expected.encode(errors="backslashreplace").decode()


def test_a_long_line_is_bounded() -> None:
    """Even if nothing in it has to be redacted."""
    line = _RedactingFormatter().serialize({"message": "x" * MAX_LINE_BYTES})

    assert len(line) <= MAX_LINE_BYTES
