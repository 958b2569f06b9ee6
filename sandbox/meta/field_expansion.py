"""The `fields` parameter with nested fields, as in the Graph API guide "Field Expansion"."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sandbox.meta import faults
from sandbox.meta.faults import Refused


@dataclass(frozen=True)
class Field:
    """One element of a `fields` expression: `ads.limit(50){id,status}`."""

    name: str
    params: Mapping[str, str]
    children: "tuple[Field, ...]"


@lru_cache
def parse_fields(text: str) -> tuple[Field, ...]:
    """Parse a `fields` expression; raise `Refused` with Meta's code 2500 if it is malformed."""
    parser = _Parser(text)
    fields = parser.fields() if text.strip() else ()
    parser.expect_end()
    return fields


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def fields(self) -> tuple[Field, ...]:
        found = [self._field()]
        while self._take(","):
            found.append(self._field())
        return tuple(found)

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise self._error()

    def _field(self) -> Field:
        name = self._name()
        params = {}
        children: tuple[Field, ...] = ()
        while self._take("."):
            param = self._name()
            params[param] = self._argument()
            if param == "as":
                raise Refused(faults.LEGACY_FEATURE)
        if self._take("{"):
            children = self.fields()
            if not self._take("}"):
                raise self._error()
        return Field(name, params, children)

    def _name(self) -> str:
        match = re.compile(r"\s*(\w+)").match(self._text, self._at)
        if match is None:
            raise self._error()
        self._at = match.end()
        return match[1]

    def _argument(self) -> str:
        match = re.compile(r"\(([^()]*)\)").match(self._text, self._at)
        if match is None:
            raise self._error()
        self._at = match.end()
        return match[1]

    def _take(self, mark: str) -> bool:
        match = re.compile(rf"\s*{re.escape(mark)}").match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _error(self) -> Refused:
        return Refused(faults.error(2500, None, f"Syntax error in fields at character {self._at}"))


def unparse(fields: Sequence[Field]) -> str:
    """Return the expression for these fields, the inverse of `parse_fields`."""
    return ",".join(
        each.name
        + "".join(f".{name}({value})" for name, value in each.params.items())
        + (f"{{{unparse(each.children)}}}" if each.children else "")
        for each in fields
    )
