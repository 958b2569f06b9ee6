"""`doctor` on which identities of SES the function may send as."""

import pytest

from sandbox import Sandbox
from sandbox.scenarios import SENDER
from tests.cli.conftest import Call
from tests.cli.deployed_stack import deploy
from tests.cli.doctor.cases import found

DEPLOY = "sam deploy --config-env prod --parameter-overrides Stage=prod SenderIdentity="


@pytest.fixture
def prod(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox as stage prod, still without a stack."""
    monkeypatch.setenv("CLOSRADS_STAGE", "prod")
    return business


@pytest.mark.parametrize(
    ("allowed", "identities", "verdict", "said", "remedy"),
    [
        ("*", {"example.test": True}, "warning", "as any identity", f"allow only example.test: {DEPLOY}example.test"),
        ("*", {SENDER: True, "example.test": True}, "warning", "as any identity", f"{DEPLOY}{SENDER}"),
        ("*", {}, "warning", "as any identity", f"{DEPLOY}example.test"),
        ("example.test", {"example.test": True}, "ok", "may send as example.test only", ""),
        (SENDER, {"example.test": True}, "ok", f"may send as {SENDER} only", ""),
        ("other.test", {"example.test": True}, "failed", "does not belong to: no report", f"{DEPLOY}example.test"),
    ],
)
def test_out_of_the_sandbox(  # noqa: PLR0913, PLR0917 - fixtures and the case
    call: Call, prod: Sandbox, allowed: str, identities: dict[str, bool], verdict: str, said: str, remedy: str
) -> None:
    """One's own identity is enough: the address if it is verified itself, else its domain."""
    deploy(prod, sender_identity=allowed)
    prod.aws.ses.identities = identities

    finding = found(call)[1]["SES permission"]

    assert (finding["verdict"], finding["remedy"].endswith(remedy)) == (verdict, True)
    assert said in finding["said"]


@pytest.mark.parametrize(
    ("allowed", "verdict", "remedy"),
    [("*", "ok", ""), ("example.test", "failed", f"allow any until the account is out of it: {DEPLOY}'*'")],
)
def test_in_the_sandbox(call: Call, prod: Sandbox, allowed: str, verdict: str, remedy: str) -> None:
    """There, SES wants the right to the recipients' identities as well."""
    deploy(prod, sender_identity=allowed)
    prod.aws.ses.production_access = False

    finding = found(call)[1]["SES permission"]

    assert (finding["verdict"], finding["remedy"]) == (verdict, remedy)


def test_what_other_checks_say(call: Call, prod: Sandbox) -> None:
    """Without a stack, with one of an older template, and without a sender there is nothing to compare."""
    assert "SES permission" not in found(call)[1]
    deploy(prod, sender_identity=None)
    assert "SES permission" not in found(call)[1]
    deploy(prod)
    prod.aws.client("ssm").delete_parameters(
        Names=[f"/closrads/sandbox/email/{name}" for name in ("sender", "recipients")]
    )
    assert "SES permission" not in found(call)[1]


def test_without_the_right_to_look(call: Call, prod: Sandbox) -> None:
    """It says which rights it takes."""
    deploy(prod)
    prod.aws.fail("cloudformation", "DescribeStacks", "AccessDenied", 403, times=None)

    assert "cloudformation:DescribeStacks" in str(found(call)[1]["SES permission"])
