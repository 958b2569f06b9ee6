"""One-to-one mapping between USPS state codes and Meta's region keys.

The table is `data/fb_region_keys.json`: 50 states and DC, keys 3843 to 3893 in alphabetical order of the names, with DC
between Delaware and Florida. A table in public circulation omits DC, which shifts every state after Delaware by one;
`scripts/check_regions.py` compares our table with Meta's own search.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypedDict

from closrads.observability import logger

REGION_FILE = Path(__file__).resolve().parent.parent / "data" / "fb_region_keys.json"
_KNOWN_NON_STATES = frozenset(
    {
        *("AS", "GU", "MP", "PR", "VI", "FM", "MH", "PW", "AA", "AE", "AP"),
        *("AMERICANSAMOA", "GUAM", "NORTHERNMARIANAISLANDS", "PUERTORICO", "VIRGINISLANDS", "USVIRGINISLANDS"),
        "TOTAL",
    }
)
"""Entries that are known not to be states: territories, military mail (USPS Publication 28, Appendix B), totals."""
_SEPARATORS = str.maketrans("", "", " .,_-")

_NAMES_OF_DC = ("District of Columbia", "Washington, District of Columbia")


class Region(TypedDict):
    """One entry of Meta's `geo_locations.regions`."""

    key: str
    name: str
    country: str


@cache
def _regions() -> dict[str, Region]:
    table: dict[str, Region] = json.loads(REGION_FILE.read_text(encoding="utf-8"))
    return table


@cache
def _names() -> dict[str, str]:
    """Return the code of each state by its name and by the code itself, both without separators."""
    names = {region["name"].upper().translate(_SEPARATORS): code for code, region in _regions().items()}
    return {**names, **{code: code for code in _regions()}, "DISTRICTOFCOLUMBIA": "DC"}


@cache
def _codes() -> dict[str, str]:
    return {region["key"]: code for code, region in _regions().items()}


def normalized(code: str) -> str:
    """Return the USPS code of a state, given as a code or a full name in any case; upper case for anything else."""
    upper = code.strip().upper()
    return upper if upper in _regions() else _names().get(upper.translate(_SEPARATORS), upper)


def is_state(code: str) -> bool:
    """Return whether `code`, or the full name in its place, is one of the 50 states or DC."""
    return normalized(code) in _regions()


def is_unreadable(code: str) -> bool:
    """Return whether `code` may mean any state: it is not recognized as a state, a territory or a total."""
    upper = normalized(code)
    return upper not in _regions() and upper.translate(_SEPARATORS) not in _KNOWN_NON_STATES


def all_states() -> frozenset[str]:
    """Return the USPS codes of the 50 states and DC."""
    return frozenset(_regions())


def usps_to_fb_region(code: str) -> Region | None:
    """Return Meta's region for a USPS code or a full name; log a warning and return None if there is none."""
    region = _regions().get(normalized(code))
    if region is None:
        logger.warning("state.unmapped", extra={"code": code})
        return None
    return region.copy()


def is_region_name(key: str, name: str) -> bool:
    """Return whether `name`, however spelled, fits our region with this key; True if the key is not in our table.

    Meta spells DC's name in several ways (Washington D. C., District of Columbia, …).
    """
    code = _codes().get(key)
    if code is None:
        return True
    names = {_regions()[code]["name"], *(_NAMES_OF_DC if code == "DC" else ())}
    return _letters(name) in set(map(_letters, names))


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def build_fb_regions(states: Iterable[str]) -> list[Region]:
    """Return the regions of `states`, sorted by key so that equal demand gives equal JSON; omit unknown codes."""
    regions = {region["key"]: region for code in states if (region := usps_to_fb_region(code))}
    return [regions[key] for key in sorted(regions)]


def fb_region_to_usps(key: str) -> str:
    """Return the USPS code of one of Meta's region keys, or the key itself if it is not a US state."""
    return _codes().get(key, key)
