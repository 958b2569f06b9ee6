"""PURE: which ad sets are left alone because a pattern of `skip_adsets` matches their name.

Patterns are those of Python's `fnmatch`: `*` for any text, `?` for one character, `[ab]` for one of several. Case,
repeated blanks, invisible characters and the encoding of accented letters do not matter (a name copied from a file on a
Mac may have the letter and the accent apart): to change an ad set that should be left alone is worse than to leave one
too many alone.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase, translate
from unicodedata import normalize

_NEVER = "(?!)"
"""The regular expression that `translate` returns for an empty character set, such as `[b-a]`."""


def matching_pattern(names: Iterable[str], patterns: Iterable[str]) -> str:
    """Return the first pattern that matches or equals one of an ad set's names; empty if there is none."""
    known = tuple(names)
    return next((pattern for pattern in patterns if any(_matches(name, pattern) for name in known)), "")


def unmatched_patterns(patterns: Iterable[str], names: Sequence[Iterable[str]]) -> tuple[str, ...]:
    """Return the patterns that match none of the names of any ad set."""
    return tuple(pattern for pattern in patterns if not any(matching_pattern(each, [pattern]) for each in names))


def is_usable(pattern: str) -> bool:
    """Return whether every `[` of a pattern is closed, and no set is empty; `[[]` is a literal bracket."""
    return not _has_unclosed_set(pattern) and _NEVER not in translate(pattern)


def _matches(name: str, pattern: str) -> bool:
    name, pattern = _folded(name), _folded(pattern)
    return name == pattern or fnmatchcase(name, pattern)  # the name itself may contain brackets


def _folded(text: str) -> str:
    seen = "".join(char for char in text if char.isprintable() or char.isspace())
    return normalize("NFC", " ".join(seen.split()).casefold())


def _has_unclosed_set(pattern: str) -> bool:
    start = pattern.find("[")
    while start >= 0:
        first = start + 2 if pattern[start + 1 : start + 2] == "!" else start + 1
        end = pattern.find("]", first + 1)  # as the first character of a set, ] is literal
        if end < 0:
            return True
        start = pattern.find("[", end)
    return False
