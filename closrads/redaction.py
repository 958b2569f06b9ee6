"""Redaction of texts that leave the process: no secrets, one line, bounded length."""

import json
import re
from html import escape
from typing import Any

HIDDEN = "***"
MIN_SECRET_CHARS = 4
"""Shorter secrets are not searched for: that would redact half of every text."""
MIN_PREFIX_CHARS = 12
"""A prefix of this length is redacted too, for secrets at least twice as long: texts may arrive truncated."""
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 600
"""Maximum length of a single text from outside."""
MAX_ERROR_CHARS = 20_000
_URL_SECRETS = re.compile(r"\b(access_token|appsecret_proof|input_token|pass|password)=[^&\s\"'\\]+", re.IGNORECASE)
_known: dict[str, re.Pattern[str]] = {}
"""The pattern of each secret, longest secret first: it may contain a shorter one."""


class Secret:
    """A secret text, visible only through `reveal()`.

    Creating one also registers its value with `redact`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= MIN_SECRET_CHARS and value not in _known:
            _register(value)

    def reveal(self) -> str:
        """Return the secret value."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def _register(secret: str) -> None:
    global _known  # noqa: PLW0603 - replaced as a whole, for other threads may be going through it
    known = {**_known, secret: _pattern(secret)}
    _known = dict(sorted(known.items(), key=lambda entry: len(entry[0]), reverse=True))


def _pattern(secret: str) -> re.Pattern[str]:
    """Return a pattern that matches a secret verbatim, URL-encoded, HTML-escaped, in JSON, or in any mixture."""
    chars = [f"(?:{_encodings(char)})" for char in secret]
    required = MIN_PREFIX_CHARS if len(secret) >= 2 * MIN_PREFIX_CHARS else len(secret)
    return re.compile("".join(chars[:required]) + "".join(f"{char}?" for char in chars[required:]))


def _encodings(char: str) -> str:
    """Return a pattern that matches every encoding of a character, including double encoding."""
    if char.isascii() and char.isalnum():
        return char
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode(errors="surrogatepass"))
    in_html = f"&(?:amp;)*(?:{escape(char)[1:-1] or '#'}|#{ord(char)}|#x{ord(char):x});"
    in_json = re.escape(json.dumps(char)[1:-1]).replace(r"\\", r"\\{1,3}")
    verbatim = {" ": r" |\+|%(?:25)*2b", "'": r"\\{0,3}'"}.get(char, re.escape(char))
    return f"(?i:{in_url}|{in_html}|{in_json}|{verbatim})"


def redact(text: str) -> str:
    """Return `text` with secrets replaced by `***`: the values of all `Secret`s, and those in a URL's query."""
    for pattern in _known.values():
        text = pattern.sub(HIDDEN, text)
    return _URL_SECRETS.sub(rf"\1={HIDDEN}", text) if "=" in text else text  # the search is slow, and most have none


def one_line(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return a text from outside as one redacted line of at most `max_chars` characters.

    Non-printable characters are dropped: they can break lines, reverse the surrounding text, or fail to encode.
    """
    seen = redact(text)[: 20 * max_chars]  # bounds the work below, even if most characters are dropped
    if not seen.isprintable():
        seen = "".join(char for char in seen if char.isprintable() or char.isspace())
    line = " ".join(seen.split())
    return shorten(line if line == text else redact(line), max_chars)


def shorten(text: str, max_chars: int) -> str:
    """Truncate a text to `max_chars`; redact it first, because a truncated secret may not be recognized."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def redact_all(value: Any) -> Any:
    """Return a JSON-like value with every string redacted, including keys."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_all(key): redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
