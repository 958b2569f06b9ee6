"""Reads the fields of a dataclass from a JSON object."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def fields_of(kind: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in a JSON object for the fields of a dataclass, with lists as tuples."""
    return with_tuples({each.name: value[each.name] for each in fields(kind) if each.name in value})


def with_tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its lists as tuples."""
    return {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
