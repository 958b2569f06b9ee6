"""`doctor` on Meta's access tokens."""

import pytest

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox, faults
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, found, meta

pytestmark = pytest.mark.usefixtures("empty_stack")

BROKEN: dict[str, Case] = {
    "the token has expired": (
        lambda sandbox: sandbox.meta.dead_tokens.update({sandbox.meta.token: faults.TOKEN_EXPIRED}),
        "token meta/access_token",
        Verdict.FAILED,
        "[Meta 190/463]",
        "generate one that never expires",
    ),
    "the token is not valid": (
        lambda sandbox: sandbox.meta.fail(
            faults.answer({"data": {"is_valid": False, "error": {"code": 190, "message": "It was revoked"}}}),
            on="GET debug_token",
        ),
        "token meta/access_token",
        Verdict.FAILED,
        "is not valid: It was revoked",
        "generate one that never expires",
    ),
    "the token may not ask about itself": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(100, None, "An app access token is needed"), on="GET debug_token"
        ),
        "token meta/access_token",
        Verdict.WARNING,
        "not checked: Meta refuses debug_token",
        "Debugger",
    ),
    "the token is a person's": (
        meta(token_type="USER"),
        "token meta/access_token",
        Verdict.FAILED,
        "of a person",
        "system user",
    ),
    "the token is a page's": (
        meta(token_type="PAGE"),
        "token meta/access_token",
        Verdict.FAILED,
        "is of no system user: PAGE",
        "system user",
    ),
    "nobody knows whose the token is": (
        meta(token_type=None),
        "token meta/access_token",
        Verdict.WARNING,
        "whose",
        "Debugger",
    ),
    "the token will expire": (
        lambda sandbox: setattr(sandbox.meta, "token_expires_at", int(sandbox.meta.now() + 59.5 * 86_400)),
        "token meta/access_token",
        Verdict.FAILED,
        "expires on 2026-07-02, in 59 days",
        "never expires",
    ),
    "the token's access to data will end": (
        lambda sandbox: setattr(sandbox.meta, "token_data_access_expires_at", int(sandbox.meta.now() + 86_400)),
        "token meta/access_token",
        Verdict.FAILED,
        "in 1 days",
        "never expires",
    ),
    "the token may only read": (
        meta(token_scopes=["ads_read"]),
        "token meta/access_token",
        Verdict.FAILED,
        "lacks the permission",
        "ads_management",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_token(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


def test_each_token_is_looked_at(call: Call, business: Sandbox) -> None:
    """A campaign's own token is named by its parameter."""
    business.meta.tokens.add("EAAFAKETRUCKERS")
    business.aws.put_parameters({"campaigns/truckers/fb_access_token": "EAAFAKETRUCKERS"})

    _, findings = found(call)

    assert findings["token campaigns/truckers/fb_access_token"]["verdict"] == "ok"
    assert findings["token meta/access_token"]["verdict"] == "ok"


def own_tokens(token: str) -> dict[str, str]:
    """Return the parameters that give each campaign a token of its own."""
    return {f"campaigns/{slug}/fb_access_token": token for slug in ("mortgage", "truckers", "veterans")}


def test_a_shared_token_that_nobody_uses(call: Call, business: Sandbox) -> None:
    """It is looked at all the same, and that its renewal renews nothing is said."""
    business.aws.put_parameters({**own_tokens(business.meta.token), "meta/access_token": "EAAFAKERENEWED"})

    status, findings = found(call)

    own = "token campaigns/mortgage/fb_access_token, campaigns/truckers/fb_access_token, "
    assert findings[f"{own}campaigns/veterans/fb_access_token"]["verdict"] == "ok"
    assert (status, findings["token meta/access_token"]["verdict"]) == (1, "failed")
    assert findings["meta/access_token"]["verdict"] == "warning"
    assert "used by no campaign" in findings["meta/access_token"]["said"]


def test_one_token_in_several_parameters(call: Call, business: Sandbox) -> None:
    """All of them are to be renewed, so they are named, or counted."""
    business.aws.put_parameters(own_tokens(business.meta.token))

    status, findings = found(call)

    (name,) = (name for name in findings if name.startswith("token "))
    assert (status, findings[name]["verdict"]) == (0, "ok")
    assert name.startswith("token meta/access_token, campaigns/mortgage/fb_access_token, ")
    assert name.endswith(" and 1 more")
    assert findings["meta/access_token"]["verdict"] == "warning"


def test_what_hangs_on_a_dead_token_is_one_line(call: Call, business: Sandbox) -> None:
    """The remedy is the token's, and no parameter is blamed that may be right."""
    business.meta.dead_tokens[business.meta.token] = faults.TOKEN_EXPIRED

    _, findings = found(call)

    behind = [each for each in findings.values() if "does not accept the token" in each["said"]]
    assert [(each["verdict"], each["remedy"]) for each in behind] == [("warning", "fix the token first")]
    assert behind[0]["check"].startswith("ad account act_")
    assert [name for name, each in findings.items() if each["verdict"] == "failed"] == ["token meta/access_token"]
