"""The check of this machine's clock."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import requests

from closrads.cli.doctor.findings import Finding, failed, ok, warning
from closrads.clock import Clock
from closrads.orchestration.leasing import LEASE_MARGIN


def check_clock(url: str, clock: Clock) -> Iterator[Finding]:
    """Compare this machine's clock with the date of a response from Meta: leases and signatures depend on it."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(f"{url}/", timeout=5, allow_redirects=False, stream=True)
            date_there = parsedate_to_datetime(answer.headers["Date"])
        except (requests.RequestException, LookupError, ValueError) as error:
            said = f"not checked: no answer with a date from Meta ({type(error).__name__})"
            yield warning("clock", said, "look at the network, or compare the clock by hand")
            return
    off = round((clock.now() - date_there).total_seconds())
    if abs(off) > LEASE_MARGIN.total_seconds():
        way = "ahead of" if off > 0 else "behind"
        remedy = "let this machine keep its time by NTP, and run nothing from it until it does"
        yield failed("clock", f"this machine is {abs(off)} s {way} Meta", remedy)
    else:
        yield ok("clock", f"within {abs(off)} s of Meta's")
