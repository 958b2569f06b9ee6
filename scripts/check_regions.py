"""Compare `data/fb_region_keys.json` with Meta's own search, or write it anew from there.

    python -m scripts.check_regions            says what differs; exit status 1 if anything does
    python -m scripts.check_regions --write    writes the file

The token comes from META_ACCESS_TOKEN, the address from CLOSRADS_GRAPH_URL (default: Meta's).
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping

from closrads.config import is_safe_address
from closrads.errors import ClosradsError, Secret
from closrads.facebook_client import init_api
from closrads.graph_api import GraphApi
from closrads.state_mapper import REGION_FILE, Region

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
"""DC is known by its key: how Meta spells its name (Washington D. C., District of Columbia, …) is not settled."""


def meta_regions(api: GraphApi) -> tuple[dict[str, Region], list[str]]:
    """Return Meta's regions of the 50 states and DC by USPS code, and what else it lists for the US.

    Raises
    ------
    ClosradsError
        Meta cannot be asked, or a state is missing or there twice.
    """
    rows = api.get_all(
        "search", {"type": "adgeolocation", "location_types": ["region"], "country_code": "US", "q": ""}, page_size=1000
    )
    regions: dict[str, Region] = {}
    strangers = []
    for row in rows:
        code = "DC" if row["key"] == DC_KEY else CODES.get(row["name"])
        if row.get("country_code") != "US" or code is None or code in regions:
            strangers.append(f"{row['key']} {row['name']}")
        else:
            regions[code] = {"key": row["key"], "name": row["name"], "country": "US"}
    if missing := sorted({*CODES.values(), "DC"} - regions.keys()):
        raise ClosradsError(
            f"Meta's list has no region for {', '.join(missing)}, but has {', '.join(strangers) or 'nothing'} that is "
            "not recognised. Nothing was written; look at the list by hand"
        )
    return regions, strangers


def differences(ours: Mapping[str, Region], theirs: Mapping[str, Region]) -> list[str]:
    """Say what differs, one line a state; DC's name may."""
    lines = []
    for code in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(code), theirs.get(code)
        same_key = one and other and one["key"] == other["key"]
        if not same_key or (code != "DC" and one != other):
            lines.append(f"{code}: the file has {one}, Meta has {other}")
    return lines


def render(regions: Mapping[str, Region]) -> str:
    """Return the file's text: one line a state, so that a change shows as one line."""
    return "{\n" + ",\n".join(f'  "{code}": {json.dumps(regions[code])}' for code in sorted(regions)) + "\n}\n"


def main() -> int:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m scripts.check_regions", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the file from Meta's answer")
    options = parser.parse_args()
    token = os.environ.get("META_ACCESS_TOKEN", "")
    if not token:
        print("META_ACCESS_TOKEN is not set: give the system user's token", file=sys.stderr)
        return 2
    address = os.environ.get("CLOSRADS_GRAPH_URL")
    if address and not is_safe_address(address):
        print("CLOSRADS_GRAPH_URL must be a plain https:// address: the token travels in the URL", file=sys.stderr)
        return 2
    try:
        theirs, strangers = meta_regions(init_api(Secret(token), "none", graph_url=address))
    except ClosradsError as error:
        print(error, file=sys.stderr)
        return 2
    if strangers:
        print(f"Not recognised in Meta's list, and left out: {', '.join(strangers)}")
    if options.write:
        REGION_FILE.write_text(render(theirs), encoding="utf-8")
        print(f"{len(theirs)} regions written to {REGION_FILE.name}")
        return 0
    lines = differences(json.loads(REGION_FILE.read_text(encoding="utf-8")), theirs)
    print("\n".join(lines) if lines else f"All {len(theirs)} regions are as Meta has them.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
