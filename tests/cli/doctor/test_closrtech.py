"""`doctor` on CLOSRTECH: each campaign's demand."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, found, put

pytestmark = pytest.mark.usefixtures("empty_stack")

BROKEN: dict[str, Case] = {
    "the login at CLOSRTECH is wrong": (
        put(closrtech__password="FAKE-wrong-password"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "401",
        "push-config",
    ),
    "CLOSRTECH does not know the campaign": (
        put(campaigns__truckers__closrtech_campaign="VND_NOBODY"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "404",
        "push-config",
    ),
    "CLOSRTECH is down": (
        lambda sandbox: sandbox.closrtech.refuse_connections(),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "",
        "base_url",
    ),
    "CLOSRTECH wants nothing": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 0}),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "",
        "ask CLOSRTECH",
    ),
    "CLOSRTECH knows a state that Meta does not": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 1, "PR": 2}),
        "CLOSRTECH: mortgage",
        Verdict.WARNING,
        "1 state with demand; unknown: PR",
        "leave the unknown ones out",
    ),
    "CLOSRTECH knows no state that Meta does": (
        lambda sandbox: sandbox.closrtech.answer({"TX": 0, "PR": 2}),
        "CLOSRTECH: mortgage",
        Verdict.FAILED,
        "0 states with demand; unknown: PR",
        "ask CLOSRTECH; until then",
    ),
    "no state has the leads of min_demand": (
        put(limits__min_demand="1000"),
        "CLOSRTECH: truckers",
        Verdict.FAILED,
        "0 states with demand; 14 with fewer than the 1000 leads of limits/min_demand",
        "lower limits/min_demand",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_closrtech(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


def test_states_with_too_few_leads_are_no_states_with_demand(call: Call, business: Sandbox) -> None:
    """They are named apart, and the limit may be the campaign's own."""
    put(campaigns__truckers__limits__min_demand="20")(business)

    said = found(call)[1]["CLOSRTECH: truckers"]["said"]

    assert said == "3 states with demand; 11 with fewer than the 20 leads of limits/min_demand"
