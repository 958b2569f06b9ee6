"""Comparison of our table of regions with Meta's own search."""

from collections.abc import Mapping

from closrads.errors import ClosradsError
from closrads.meta.graph import RESERVED_SECONDS, GraphApi
from closrads.state_mapper import Region

STATE_NAMES = (
    "AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, DE Delaware, "
    "FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, IN Indiana, IA Iowa, KS Kansas, KY Kentucky, "
    "LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, MI Michigan, MN Minnesota, MS Mississippi, MO Missouri, "
    "MT Montana, NE Nebraska, NV Nevada, NH New Hampshire, NJ New Jersey, NM New Mexico, NY New York, "
    "NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon, PA Pennsylvania, RI Rhode Island, "
    "SC South Carolina, SD South Dakota, TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington, "
    "WV West Virginia, WI Wisconsin, WY Wyoming"
)
CODES = {name: code for code, _, name in (entry.partition(" ") for entry in STATE_NAMES.split(", "))}
DC_KEY = "3851"
"""DC is recognized by its key: Meta's spelling of its name varies (Washington D. C., District of Columbia, …)."""


def meta_regions(api: GraphApi, *, reserve: float = RESERVED_SECONDS) -> tuple[dict[str, Region], list[str]]:
    """Return Meta's regions of the 50 states and DC by USPS code, and the other regions that it lists for the US.

    Waits spare the last `reserve` seconds of the API's clock.

    Raises
    ------
    ClosradsError
        The call fails, or the list lacks a state.
    """
    query = {"type": "adgeolocation", "location_types": ["region"], "country_code": "US", "q": ""}
    rows = api.get_all("search", query, page_size=1000, reserve=reserve)
    regions: dict[str, Region] = {}
    others = []
    for row in rows:
        code = "DC" if row["key"] == DC_KEY else CODES.get(row["name"])
        if row.get("country_code") != "US" or code is None or code in regions:
            others.append(f"{row['key']} {row['name']}")
        else:
            regions[code] = {"key": row["key"], "name": row["name"], "country": "US"}
    if missing := sorted({*CODES.values(), "DC"} - regions.keys()):
        raise ClosradsError(
            f"Meta's list has no region for {', '.join(missing)}, but has {', '.join(others) or 'nothing'} that is "
            "not recognised. Nothing was written; look at the list by hand"
        )
    return regions, others


def region_differences(ours: Mapping[str, Region], theirs: Mapping[str, Region]) -> list[str]:
    """Return one line for each state that differs; DC's name may differ."""
    lines = []
    for code in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(code), theirs.get(code)
        same_key = one and other and one["key"] == other["key"]
        if not same_key or (code != "DC" and one != other):
            lines.append(f"{code}: the file has {one}, Meta has {other}")
    return lines
