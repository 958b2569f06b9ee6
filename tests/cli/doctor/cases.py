"""Something is wrong, and what `doctor` says about it."""

import json
from collections.abc import Callable
from typing import Any

from closrads.cli.doctor.findings import Verdict
from sandbox import Sandbox
from tests.cli.conftest import Call

Breaking = Callable[[Sandbox], object]
Case = tuple[Breaking, str, Verdict, str, str]
"""What breaks something, the check that says so, its verdict, and parts of what it says and of the remedy."""
VETERANS = "120210000000001100"


def put(**parameters: str) -> Breaking:
    """Return what puts parameters."""
    return lambda sandbox: sandbox.aws.put_parameters(
        {name.replace("__", "/"): text for name, text in parameters.items()}
    )


def delete(*names: str) -> Breaking:
    """Return what deletes parameters."""
    return lambda sandbox: sandbox.aws.delete_parameters(*names)


def _attributes(target: Callable[[Sandbox], object], attributes: dict[str, Any]) -> Breaking:
    def breaking(sandbox: Sandbox) -> None:
        for name, value in attributes.items():
            setattr(target(sandbox), name, value)

    return breaking


def meta(**attributes: Any) -> Breaking:
    """Return what sets attributes of Meta."""
    return _attributes(lambda sandbox: sandbox.meta, attributes)


def account(**attributes: Any) -> Breaking:
    """Return what sets attributes of an ad account."""
    return _attributes(lambda sandbox: sandbox.meta.accounts["act_111"], attributes)


def campaign(**attributes: Any) -> Breaking:
    """Return what sets attributes of a Meta campaign."""
    return _attributes(lambda sandbox: sandbox.meta.campaigns[VETERANS], attributes)


def ses(**attributes: Any) -> Breaking:
    """Return what sets attributes of the account at SES."""
    return _attributes(lambda sandbox: sandbox.aws.ses, attributes)


def found(call: Call) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status and the findings by name."""
    result = call("doctor", "--json")
    answer = json.loads(result.stdout)
    assert answer["ok"] is (result.exit_code == 0)
    return result.exit_code, {each["check"]: each for each in answer["checks"]}


def assert_named(case: Case, call: Call, sandbox: Sandbox) -> None:
    """Assert that a line says what is wrong and how to repair it; only what is wrong for sure makes the status 1."""
    breaking, check, verdict, said, remedy = case
    breaking(sandbox)

    status, findings = found(call)

    assert findings[check]["verdict"] == verdict
    assert said in findings[check]["said"]
    assert remedy in findings[check]["remedy"]
    assert all(each["remedy"] for each in findings.values() if each["verdict"] != "ok")
    assert status == int(any(each["verdict"] == "failed" for each in findings.values()))
