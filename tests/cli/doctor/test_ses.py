"""`doctor` on SES: the account, the sender and the recipients."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox
from sandbox.scenarios import SENDER
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, delete, found, ses

pytestmark = pytest.mark.usefixtures("empty_stack")


def hidden_configuration_set(sandbox: Sandbox) -> None:
    """Give the sender a configuration set that the operator may not see."""
    sandbox.aws.ses.default_configuration_sets = {SENDER: "daily"}
    sandbox.aws.fail("sesv2", "GetConfigurationSet", "AccessDeniedException", 403)


BROKEN: dict[str, Case] = {
    "SES lets mail go to nobody": (
        ses(production_access=False),
        "SES account",
        Verdict.FAILED,
        "SES sandbox",
        "production access",
    ),
    "SES lets mail go to nobody, and nobody gets any": (
        lambda sandbox: [ses(production_access=False)(sandbox), delete("email/sender", "email/recipients")(sandbox)],
        "SES account",
        Verdict.WARNING,
        "SES sandbox",
        "before you put email/recipients, request production access",
    ),
    "SES refuses a recipient": (
        ses(production_access=False),
        "SES recipients",
        Verdict.FAILED,
        "SES refuses ",
        "verify each",
    ),
    "SES has stopped the account": (
        ses(sending_enabled=False),
        "SES account",
        Verdict.FAILED,
        "may not send",
        "reputation",
    ),
    "the sender is not verified": (
        ses(identities={SENDER: False}),
        "SES sender",
        Verdict.FAILED,
        "not verified yet",
        "verify it",
    ),
    "the sender is no identity": (ses(identities={}), "SES sender", Verdict.FAILED, "not an identity", "example.test"),
    "there is no sender": (
        delete("email/sender", "email/recipients"),
        "SES sender",
        Verdict.WARNING,
        "nobody gets it by mail",
        "push-config",
    ),
    "the configuration set is gone": (
        ses(default_configuration_sets={SENDER: "daily"}),
        "configuration set daily",
        Verdict.FAILED,
        "does not exist",
        "create it",
    ),
    "the configuration set is stopped": (
        ses(default_configuration_sets={SENDER: "daily"}, configuration_sets={"daily": False}),
        "configuration set daily",
        Verdict.FAILED,
        "may not send",
        "enable",
    ),
    "the right to see SES is missing": (
        lambda sandbox: sandbox.aws.fail("sesv2", "GetAccount", "AccessDeniedException", 403),
        "SES account",
        Verdict.WARNING,
        "you lack the permission",
        "ses:GetAccount",
    ),
    "the right to see the sender is missing": (
        lambda sandbox: sandbox.aws.fail("sesv2", "GetEmailIdentity", "AccessDeniedException", 403),
        "SES sender",
        Verdict.WARNING,
        "you lack the permission",
        "ses:GetEmailIdentity",
    ),
    "the right to see the configuration set is missing": (
        hidden_configuration_set,
        "SES sender",
        Verdict.WARNING,
        "you lack the permission",
        "ses:GetConfigurationSet",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_ses(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


@pytest.mark.parametrize("identity", ["media.test", "team@news.media.test", "elsewhere.test"])
def test_recipients_in_the_sandbox_of_ses(call: Call, business: Sandbox, identity: str) -> None:
    """An address is as good as verified if a domain of it is; the others are named."""
    business.aws.put_parameters({"email/recipients": ["Media <team@news.media.test>"]})
    business.aws.ses.production_access = False
    business.aws.ses.identities[identity] = True

    _, findings = found(call)

    refused = identity == "elsewhere.test"
    assert ("SES recipients" in findings) is refused
    assert findings["SES account"]["verdict"] == ("failed" if refused else "warning")
    assert ("as all of email/recipients are" in findings["SES account"]["said"]) is not refused
    if refused:
        assert findings["SES recipients"]["said"] == "SES refuses team@news.media.test: not verified"


@pytest.mark.parametrize("identity", ["example.test", "mail.example.test"])
def test_a_sender_of_a_verified_domain(call: Call, business: Sandbox, identity: str) -> None:
    """SES lets every address of a verified domain send, and of those below it."""
    business.aws.put_parameters({"email/sender": "CLOSRADS <reports@mail.example.test>"})
    business.aws.ses.identities = {identity: True}

    _, findings = found(call)

    assert findings["SES sender"]["said"] == f"reports@mail.example.test is verified, by {identity}"


def test_the_configuration_set_that_is_there(call: Call, business: Sandbox) -> None:
    """It is named, for it may be the reason why mail does not come."""
    ses(default_configuration_sets={SENDER: "daily"}, configuration_sets={"daily": True})(business)

    assert found(call)[1]["configuration set daily"]["verdict"] == "ok"
