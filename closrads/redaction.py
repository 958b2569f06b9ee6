"""How texts are made fit to leave: without secrets, on one line, of bounded length."""

import json
import re
from html import escape
from typing import Any

HIDDEN = "***"
SHORTEST_SEARCHED = 4
"""A shorter secret is no secret, and searching for it would blank out half of every text."""
BEGINNING = 12
"""So many of the first characters of a secret of at least twice the length are hidden too: texts come in cut."""
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 600
"""Of what somebody else says about one thing."""
MAX_ERROR_CHARS = 20_000
_URL_SECRETS = re.compile(r"\b(access_token|appsecret_proof|input_token|pass|password)=[^&\s\"'\\]+", re.IGNORECASE)
_known: dict[str, re.Pattern[str]] = {}


class Secret:
    """A text that shows itself to nobody who does not ask with `reveal()`.

    Making one also teaches `redact` to find it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= SHORTEST_SEARCHED and value not in _known:
            _known[value] = _pattern(value)

    def reveal(self) -> str:
        """Return the secret itself; only for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret as it is, URL-encoded, HTML-escaped, inside JSON, and in any mixture of these."""
    forms = [f"(?:{_forms(char)})" for char in secret]
    needed = BEGINNING if len(secret) >= 2 * BEGINNING else len(secret)
    return re.compile("".join(forms[:needed]) + "".join(f"{form}?" for form in forms[needed:]))


def _forms(char: str) -> str:
    """Return a pattern for each way to write a character, also where it was encoded twice."""
    if char.isascii() and char.isalnum():
        return char
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode(errors="surrogatepass"))
    in_html = f"&(?:amp;)*(?:{escape(char)[1:-1] or '#'}|#{ord(char)}|#x{ord(char):x});"
    in_json = re.escape(json.dumps(char)[1:-1]).replace(r"\\", r"\\{1,3}")
    as_it_is = {" ": r" |\+|%(?:25)*2b", "'": r"\\{0,3}'"}.get(char, re.escape(char))
    return f"(?i:{in_url}|{in_html}|{in_json}|{as_it_is})"


def redact(text: str) -> str:
    """Return `text` without any secret: those known by value, and those that stand in a URL's query."""
    for secret in sorted(_known, key=len, reverse=True):
        text = _known[secret].sub(HIDDEN, text)
    return _URL_SECRETS.sub(rf"\1={HIDDEN}", text) if "=" in text else text  # the search is slow, and most have none


def one_line(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return a text of somebody else's as one line to show: without secrets, and of `most` characters at most.

    Characters that cannot be seen are left out: they can break lines, turn the text around them, or not be written.
    """
    seen = redact(text)[: 20 * max_chars]  # enough to see so much of it, and no megabytes
    if not seen.isprintable():
        seen = "".join(char for char in seen if char.isprintable() or char.isspace())
    line = " ".join(seen.split())
    return shorten(line if line == text else redact(line), max_chars)


def shorten(text: str, max_chars: int) -> str:
    """Return the beginning of a text that is too long; secrets are to be out of it before, for none is found cut."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def redact_all(value: Any) -> Any:
    """Return the JSON-like `value` with every text in it redacted, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
