"""Redaction of texts that leave the process: no secrets, one line, bounded length."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

HIDDEN = "***"
MIN_SECRET_CHARS = 4
"""Shorter secrets are not searched for, or half of every text would be redacted."""
MIN_PREFIX_CHARS = 12
"""Length from which a prefix of a secret is redacted as well, because texts may arrive truncated.

This applies to secrets at least twice as long, and to a suffix that is not encoded.
"""
MIN_ENCODED_CHARS = 8
"""Shorter secrets are not searched for in hexadecimal and Base64: these would be as short as a word."""
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 600
"""Maximum length of a single text from outside."""
MAX_ERROR_CHARS = 20_000
_URL_SECRETS = re.compile(r"\b(access_token|appsecret_proof|input_token|pass|password)=[^&\s\"'\\]+", re.IGNORECASE)
_URL_SECRETS_ENDS = ("token=", "proof=", "pass=", "word=")
"""One of these, case-folded, is in each match of `_URL_SECRETS`."""
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|&(?:amp;)*#")
_RUN = re.compile(r"[A-Za-z0-9]+")
_known: dict[str, "_Forms"] = {}
"""The forms of each secret, longest secret first: it may contain a shorter one."""
_needles = re.compile(r"(?!)")
"""Matches every unescaped text that contains a known secret in any form, and few others."""


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
    global _known, _needles  # noqa: PLW0603 - replaced as a whole: other threads may be iterating over them
    known = {**_known, secret: _forms(secret)}
    _known = dict(sorted(known.items(), key=lambda entry: len(entry[0]), reverse=True))
    needles = (needle for forms in _known.values() for needle in (forms.run, *forms.literals, forms.tail or forms.run))
    _needles = re.compile("|".join(map(re.escape, needles)))


@dataclass(frozen=True, slots=True)
class _Forms:
    """The patterns by which one secret is found in a text; see docs/decisions/0007."""

    run: str
    """Characters that a text must contain for `encoded` to match; letters and digits, which need no escape."""
    encoded: re.Pattern[str]
    """The secret verbatim, URL-encoded, HTML-escaped, in JSON, or in any mixture."""
    literals: tuple[str, ...]
    """The secret in hexadecimal and Base64."""
    tail: str
    """The end of the secret, also redacted without its beginning; empty if the secret is too short."""


def _forms(secret: str) -> _Forms:
    literals = _literals(secret) if len(secret) >= MIN_ENCODED_CHARS else ()
    return _Forms(
        run=max(_RUN.findall(secret[: _required(secret)]), key=len, default=""),
        encoded=_pattern(secret, _encodings),
        literals=literals,
        tail=secret[-MIN_PREFIX_CHARS:] if _required(secret) < len(secret) else "",
    )


@cache
def _escaped(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret in which even letters and digits may be escaped; slow to compile."""
    return _pattern(secret, _escapes)


def _required(secret: str) -> int:
    """Return the number of leading characters that suffice to recognize a secret."""
    return MIN_PREFIX_CHARS if len(secret) >= 2 * MIN_PREFIX_CHARS else len(secret)


def _pattern(secret: str, forms_of: Callable[[str], str]) -> re.Pattern[str]:
    """Return a pattern of a secret whose characters have these forms."""
    chars, required = [f"(?:{forms_of(char)})" for char in secret], _required(secret)
    return re.compile("".join(chars[:required]) + "".join(f"{char}?" for char in chars[required:]))


def _literals(secret: str) -> tuple[str, ...]:
    """Return a secret in hexadecimal, and in both alphabets of Base64 as the text before it may shift it."""
    raw = secret.encode(errors="surrogatepass")
    shifted = [
        encode(bytes(shift) + raw)[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6].decode()
        for encode in (b64encode, urlsafe_b64encode)
        for shift in range(3)
    ]
    return tuple(dict.fromkeys([raw.hex(), raw.hex().upper(), *shifted]))


def _encodings(char: str) -> str:
    """Return a pattern that matches every encoding of a character, including double encoding."""
    if char.isascii() and char.isalnum():
        return char
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode(errors="surrogatepass"))
    in_html = f"&(?:amp;)*(?:{escape(char)[1:-1] or '#'}|#{ord(char)}|#x{ord(char):x});"
    in_json = re.escape(json.dumps(char)[1:-1]).replace(r"\\", r"\\{1,3}")
    verbatim = {" ": r" |\+|%(?:25)*2b", "'": r"\\{0,3}'"}.get(char, re.escape(char))
    return f"(?i:{in_url}|{in_html}|{in_json}|{verbatim})"


def _escapes(char: str) -> str:
    """Return a pattern that also matches the escapes that a character does not need in a URL, HTML or JSON."""
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode(errors="surrogatepass"))
    units = char.encode("utf-16-be", errors="surrogatepass").hex()
    in_json = "".join(rf"\\{{1,3}}u{units[place : place + 4]}" for place in range(0, len(units), 4))
    return f"{_encodings(char)}|(?i:{in_url}|&(?:amp;)*#(?:{ord(char)}|x{ord(char):x});|{in_json})"


def redact(text: str) -> str:
    """Return `text` with secrets replaced by `***`: the values of all `Secret`s, and those in a URL's query."""
    may_be_escaped = "%" in text or "\\u" in text or ("&" in text and "#" in text)
    is_escaped = may_be_escaped and _ESCAPE.search(text) is not None
    if is_escaped or _needles.search(text):
        text = _without_known(text, is_escaped=is_escaped)
    return _URL_SECRETS.sub(rf"\1={HIDDEN}", text) if _may_have_url_secrets(text) else text


def _may_have_url_secrets(text: str) -> bool:
    """Return False only if a search for secrets in a URL's query, which is slow, would find none."""
    if "=" not in text:
        return False
    folded = text.casefold()
    return any(end in folded for end in _URL_SECRETS_ENDS)


def _without_known(text: str, *, is_escaped: bool) -> str:
    """Return the text with all known secrets replaced."""
    for secret, forms in _known.items():
        if is_escaped:
            text = _escaped(secret).sub(HIDDEN, text)
        elif forms.run in text:
            text = forms.encoded.sub(HIDDEN, text)
        for literal in forms.literals:
            text = text.replace(literal, HIDDEN)
        if forms.tail and forms.tail in text:
            text = _without_tail(text, secret, forms.tail)
    return text


def _without_tail(text: str, secret: str, tail: str) -> str:
    """Return the text with each occurrence of a secret's tail hidden, extended to the left as far as it matches."""
    *heads, left = text.split(tail)
    shown = [f"{head[: len(head) - _common_end(head, secret[: -len(tail)])]}{HIDDEN}" for head in heads]
    return "".join(shown) + left


def _common_end(one: str, other: str) -> int:
    """Return the length of the longest common suffix."""
    return next(
        (count for count, pair in enumerate(zip(reversed(one), reversed(other), strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


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
    """Return a text truncated to `max_chars`; redact it first, because a truncated secret may go unrecognized."""
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
