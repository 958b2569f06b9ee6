"""`doctor` on the parameters: as the function reads them, and what depends on a wrong one."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox
from sandbox.scenarios import SENDER
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, delete, found, put

pytestmark = pytest.mark.usefixtures("empty_stack")


def nothing(sandbox: Sandbox) -> None:
    """Take all parameters away."""
    sandbox.aws.reset()
    sandbox.aws.verify_sender(SENDER)


BROKEN: dict[str, Case] = {
    "nothing is there": (
        nothing,
        "parameters",
        Verdict.FAILED,
        "there are none below /closrads/sandbox",
        "push-config",
    ),
    "a parameter is missing": (
        delete("campaigns/veterans/fb_ad_account_id"),
        "campaigns/veterans/fb_ad_account_id",
        Verdict.FAILED,
        "is missing",
        "push-config",
    ),
    "a parameter is misspelled": (
        put(meta__acces_token="x"),
        "meta/acces_token",
        Verdict.FAILED,
        "did you mean meta/access_token?",
        "aws ssm delete-parameter --name /closrads/sandbox/meta/acces_token",
    ),
    "a switch is below a misspelled slug": (
        put(campaigns__vetrans__enabled="false"),
        "campaigns/vetrans",
        Verdict.FAILED,
        "did you mean veterans?",
        "aws ssm delete-parameters --names /closrads/sandbox/campaigns/vetrans/enabled",
    ),
    "a switch is below a misspelled slug, and more is wrong": (
        put(campaigns__vetrans__enabled="false", meta__acces_token="x"),
        "campaigns/vetrans",
        Verdict.FAILED,
        "did you mean veterans?",
        "/closrads/sandbox/campaigns/vetrans/enabled",
    ),
    "all campaigns are off": (
        put(campaigns__veterans__enabled="no", campaigns__truckers__enabled="no", campaigns__mortgage__enabled="no"),
        "parameters",
        Verdict.WARNING,
        "switched off: mortgage, truckers, veterans: a run does nothing",
        "enabled",
    ),
    "everything is paused": (put(paused="true"), "parameters", Verdict.WARNING, "all of it is paused", "resume"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_the_parameters(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


@pytest.mark.parametrize(
    ("missing", "unchecked", "checked"),
    [
        ("closrtech/password", {"CLOSRTECH: veterans", "CLOSRTECH: mortgage"}, {"ad account act_111", "regions"}),
        ("meta/access_token", {"Meta: veterans", "Meta: mortgage"}, {"CLOSRTECH: veterans", "clock"}),
        ("email/recipients", set(), {"CLOSRTECH: veterans", "ad account act_222", "SES sender"}),
    ],
)
def test_without_a_shared_parameter(
    call: Call, business: Sandbox, missing: str, unchecked: set[str], checked: set[str]
) -> None:
    """What it is needed for is said not to be checked, and the rest is."""
    business.aws.delete_parameters(missing)

    status, findings = found(call)

    assert (status, findings[missing]["said"].partition(":")[0]) == (1, "is missing")
    assert {findings[check]["verdict"] for check in unchecked} <= {"warning"}
    assert all("not checked" in findings[check]["said"] for check in unchecked)
    assert {findings[check]["verdict"] for check in checked} == {"ok"}


def test_parameters_that_say_nothing_together(call: Call, business: Sandbox) -> None:
    """Where every campaign is wrong, there is nothing to ask CLOSRTECH or Meta for."""
    business.aws.delete_parameters(
        *(f"campaigns/{slug}/fb_campaign_ids" for slug in ("veterans", "truckers", "mortgage"))
    )

    _, findings = found(call)

    assert findings["CLOSRTECH and Meta"]["verdict"] == "warning"
    assert findings["clock"]["verdict"] == "ok"


def test_a_campaign_that_is_off_is_not_looked_at(call: Call, business: Sandbox) -> None:
    """It may be incomplete, and that is said."""
    business.aws.put_parameters({"campaigns/truckers/enabled": "false", "campaigns/truckers/fb_campaign_ids": "9"})

    status, findings = found(call)

    assert status == 0
    assert findings["parameters"]["said"].endswith("campaigns: mortgage, veterans; switched off: truckers")
    assert "CLOSRTECH: truckers" not in findings
    assert "Meta campaign 9" not in findings
