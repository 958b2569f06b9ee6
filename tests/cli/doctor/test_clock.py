"""`doctor` on this machine's clock."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, found

pytestmark = pytest.mark.usefixtures("empty_stack")

BROKEN: dict[str, Case] = {
    "Meta gives no answer": (
        lambda sandbox: sandbox.meta.refuse_connections(),
        "clock",
        Verdict.WARNING,
        "no answer with a date",
        "by hand",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_the_clock(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


@pytest.mark.parametrize(("seconds", "said"), [(45, "45 s ahead of Meta"), (-45, "45 s behind Meta")])
def test_a_clock_that_is_wrong(
    call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch, seconds: int, said: str
) -> None:
    """Leases go by this machine's clock."""
    here = business.meta.now()
    monkeypatch.setattr(business.meta._server, "now", lambda: here - seconds)

    finding = found(call)[1]["clock"]

    assert (finding["verdict"], said in finding["said"]) == ("failed", True)
