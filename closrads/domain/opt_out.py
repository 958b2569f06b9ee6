"""PURE: which ad sets are left alone because a pattern of `skip_adsets` names them.

A pattern is one of Python's `fnmatch`: `*` for any text, `?` for one character, `[ab]` for one of several. Case does
not count, nor do runs of blanks: to change an ad set that somebody wanted left alone is worse than to leave one more.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase, translate

_NEVER = "(?!)"
"""What `translate` makes of a character set that no character is in, such as `[b-a]`."""


def matching_pattern(name: str, patterns: Iterable[str]) -> str:
    """Return the first pattern that an ad set's name matches or is; empty if there is none."""
    return next((pattern for pattern in patterns if _matches(name, pattern)), "")


def unmatched_patterns(patterns: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns that no name matches."""
    return tuple(pattern for pattern in patterns if not any(_matches(name, pattern) for name in names))


def is_usable(pattern: str) -> bool:
    """Return whether every `[` of a pattern is closed, and its characters can occur; `[[]` is the sign itself."""
    return not _is_left_open(pattern) and _NEVER not in translate(pattern)


def _matches(name: str, pattern: str) -> bool:
    name, pattern = _folded(name), _folded(pattern)
    return name == pattern or fnmatchcase(name, pattern)  # a name may have brackets of its own


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _is_left_open(pattern: str) -> bool:
    start = pattern.find("[")
    while start >= 0:
        first = start + 2 if pattern[start + 1 : start + 2] == "!" else start + 1
        end = pattern.find("]", first + 1)  # as the first character of a set, it closes nothing
        if end < 0:
            return True
        start = pattern.find("[", end)
    return False
