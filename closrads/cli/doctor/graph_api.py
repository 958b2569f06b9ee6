"""The checks of the table of regions, and of the version of the Graph API."""

import json
import math
from collections.abc import Iterator
from datetime import date

from closrads.cli.doctor.findings import Finding, failed, ok, warning
from closrads.cli.regions import meta_regions, region_differences
from closrads.errors import MetaError
from closrads.meta.graph import API_VERSION, GraphApi, has_id
from closrads.meta.versions import LIVES, days_left
from closrads.report.wording.appendix import API_NOTICE_DAYS
from closrads.state_mapper import REGION_FILE

END_IS_NEAR_DAYS = 30
"""Days before the announced end of a version of Meta's API in which the finding is a failure."""
VERSION_GONE = 2635
"""Code of a call to a version that has ended (Marketing API "Error Codes")."""


def check_regions(api: GraphApi) -> Iterator[Finding]:
    """Compare our table of regions with Meta's search."""
    theirs, _ = meta_regions(api, reserve=math.inf)
    if lines := region_differences(json.loads(REGION_FILE.read_text(encoding="utf-8")), theirs):
        more = f" and {len(lines) - 1} more" if lines[1:] else ""
        yield failed("regions", f"{lines[0]}{more}", "`python -m scripts.check_regions --write`, review, deploy")
    else:
        yield ok("regions", f"all {len(theirs)} are as Meta has them")


def check_version(account: str, api: GraphApi, today: date) -> Iterator[Finding]:
    """Check whether the version of Meta's API has ended or may end soon.

    Meta's header warns only after the end; until then, the announced or the expected end counts.
    """
    name = f"Graph API {API_VERSION}"
    remedy = "read Meta's changelog, update facebook-business and API_VERSION in closrads/meta/graph.py, test, deploy"
    try:
        api.get_once(account, {"fields": "id"}, has_id)
    except MetaError as error:
        if error.code == VERSION_GONE:
            yield failed(name, str(error), remedy)
            return
    if api.version_warning:
        yield failed(name, f"Meta warns: {api.version_warning}", remedy)
        return
    life, left = LIVES[API_VERSION], days_left(API_VERSION, today)
    if life.ends:
        said = f"Meta has announced its end for {life.ends}, {left} days from today"
    else:
        said = f"released {life.released}, no end announced, no warning from Meta: expected to end in about {left} days"
    if left is None or left >= API_NOTICE_DAYS:
        yield ok(name, said)
    elif life.ends and left <= END_IS_NEAR_DAYS:
        yield failed(name, said, remedy)
    else:
        yield warning(name, said, remedy)
