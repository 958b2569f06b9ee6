"""Compare `data/fb_region_keys.json` with Meta's own search, or regenerate it.

    python -m scripts.check_regions            prints the differences; exit status 1 if there are any
    python -m scripts.check_regions --write    writes the file

The token is read from META_ACCESS_TOKEN, the address from CLOSRADS_GRAPH_URL (default: Meta's).
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping

from closrads.cli.regions import meta_regions, region_differences
from closrads.errors import ClosradsError
from closrads.facebook_client import init_api
from closrads.parameters import is_safe_address
from closrads.redaction import Secret
from closrads.state_mapper import REGION_FILE, Region


def render(regions: Mapping[str, Region]) -> str:
    """Return the content of the file, with one line per state for readable diffs."""
    return "{\n" + ",\n".join(f'  "{code}": {json.dumps(regions[code])}' for code in sorted(regions)) + "\n}\n"


def main() -> int:
    """Run the comparison; return the exit status."""
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
    lines = region_differences(json.loads(REGION_FILE.read_text(encoding="utf-8")), theirs)
    print("\n".join(lines) if lines else f"All {len(theirs)} regions are as Meta has them.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
