"""Deviations of read objects, for `MetaWorld.read_oddity` and `MetaWorld.echo_oddity`, and of stored targetings.

Users of the API have published that reads differ from what was written: computed keys, differently spelled values, and
region keys with a different name (kai-cmo-harness #48). A missing or mistyped field in a single row of a list is our
own assumption.
"""

from typing import Any

from sandbox.meta.regions import KEY_BY_STATE
from sandbox.meta.state import Oddity


def computed_key(shown: dict[str, Any]) -> dict[str, Any]:
    """Add a computed key to the targeting."""
    if "targeting" in shown:
        shown["targeting"]["targeting_optimization"] = "none"
    return shown


def other_spelling(shown: dict[str, Any]) -> dict[str, Any]:
    """Spell the targeting's values differently: numeric keys, lower case, another order."""
    targeting = shown.get("targeting", {})
    for region in targeting.get("geo_locations", {}).get("regions", []):
        region["key"] = int(region["key"])
    targeting.get("geo_locations", {}).get("regions", []).reverse()
    levels = "brand_safety_content_filter_levels"
    if levels in targeting:
        targeting[levels] = [level.lower() for level in targeting[levels]]
    return shown


def wrong_region_name(state: str, name: str) -> Oddity:
    """Return an oddity that gives the region of a state ("OH") a wrong name."""

    def renamed(shown: dict[str, Any]) -> dict[str, Any]:
        for region in shown.get("targeting", {}).get("geo_locations", {}).get("regions", []):
            if region["key"] == KEY_BY_STATE[state]:
                region["name"] = name
        return shown

    return renamed


def without_state(state: str) -> Oddity:
    """Return an oddity that leaves a state ("OH") out of a targeting."""

    def lacking(targeting: dict[str, Any]) -> dict[str, Any]:
        regions = targeting["geo_locations"]["regions"]
        regions[:] = [region for region in regions if str(region["key"]) != KEY_BY_STATE[state]]
        return targeting

    return lacking


def replaced(object_id: str, field: str, value: Any = None) -> Oddity:
    """Return an oddity that replaces a field of one object, or omits it if the value is None."""

    def odd(shown: dict[str, Any]) -> dict[str, Any]:
        if shown["id"] == object_id:
            shown.pop(field, None)
            if value is not None:
                shown[field] = value
        return shown

    return odd
