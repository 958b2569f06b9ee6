"""Findings of checks that could not be made."""

from typing import Any

import pytest

from closrads.cli.doctor.findings import Check, Verdict, run_check
from sandbox import Sandbox
from sandbox.aws import DROPPED
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, found

pytestmark = pytest.mark.usefixtures("empty_stack")

BROKEN: dict[str, Case] = {
    "the right to read parameters is missing": (
        lambda sandbox: sandbox.aws.fail("ssm", "GetParametersByPath", "AccessDeniedException"),
        "parameters",
        Verdict.WARNING,
        "you lack the permission",
        "ssm:GetParametersByPath",
    ),
    "the credentials are wrong": (
        lambda sandbox: sandbox.aws.fail("ssm", "GetParametersByPath", "UnrecognizedClientException"),
        "parameters",
        Verdict.FAILED,
        "AWS refuses",
        "AWS_PROFILE",
    ),
    "AWS gives no answer": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeTable", DROPPED, times=None),
        "ledger",
        Verdict.FAILED,
        "AWS cannot be reached",
        "Region",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_that_cannot_be_made(call: Call, business: Sandbox, name: str) -> None:
    """One line says why, and what to do."""
    assert_named(BROKEN[name], call, business)


def test_what_is_not_known_is_not_guessed(call: Call, business: Sandbox) -> None:
    """Without the parameters nobody knows whether there is a sender."""
    business.aws.fail("ssm", "GetParametersByPath", "AccessDeniedException")

    assert "not checked" in found(call)[1]["SES sender"]["said"]


def test_a_defect_in_a_check_is_a_warning() -> None:
    """It is one line, and no end of all."""

    def defective() -> Any:
        raise KeyError("surprise")

    (finding,) = run_check(Check("odd", defective))

    assert (finding.verdict, finding.said) == (Verdict.WARNING, "not checked: unexpected KeyError: 'surprise'")
