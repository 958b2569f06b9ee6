"""What an answer may show instead of an object, for `MetaWorld.read_oddity` and `MetaWorld.echo_oddity`.

Users of the API have published that what is read differs from what was written: keys that Meta computes, values that it
spells differently, and region keys under another name (kai-cmo-harness #48). That one row of a list lacks a field, or
has it with a wrong type, is our own assumption.
"""

from typing import Any

from sandbox.meta.regions import KEY_BY_STATE
from sandbox.meta.state import Oddity


def computed_key(shown: dict[str, Any]) -> dict[str, Any]:
    """Show a targeting with one more key than it has."""
    if "targeting" in shown:
        shown["targeting"]["targeting_optimization"] = "none"
    return shown


def other_spelling(shown: dict[str, Any]) -> dict[str, Any]:
    """Show a targeting with its values spelled differently: numbers for keys, small letters, another order."""
    targeting = shown.get("targeting", {})
    for region in targeting.get("geo_locations", {}).get("regions", []):
        region["key"] = int(region["key"])
    targeting.get("geo_locations", {}).get("regions", []).reverse()
    levels = "brand_safety_content_filter_levels"
    if levels in targeting:
        targeting[levels] = [level.lower() for level in targeting[levels]]
    return shown


def wrong_region_name(state: str, name: str) -> Oddity:
    """Show the region of a state ("OH") under another name than its own."""

    def renamed(shown: dict[str, Any]) -> dict[str, Any]:
        for region in shown.get("targeting", {}).get("geo_locations", {}).get("regions", []):
            if region["key"] == KEY_BY_STATE[state]:
                region["name"] = name
        return shown

    return renamed


def replaced(object_id: str, field: str, value: Any = None) -> Oddity:
    """Show a field of one object with another value, or without one not at all."""

    def odd(shown: dict[str, Any]) -> dict[str, Any]:
        if shown["id"] == object_id:
            shown.pop(field, None)
            if value is not None:
                shown[field] = value
        return shown

    return odd
