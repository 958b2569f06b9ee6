"""Reads the fields of a dataclass from a JSON object."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def fields_of(kind: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in a JSON object for the fields of a dataclass, with lists as tuples."""
    known = {each.name: value[each.name] for each in fields(kind) if each.name in value}
    return {name: tuple(part) if isinstance(part, list) else part for name, part in known.items()}
