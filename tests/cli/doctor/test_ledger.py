"""`doctor` on the ledger: its table, its backup, and the open changes in it."""

import pytest
from typer.testing import CliRunner

from closrads.cli.app import app
from closrads.cli.doctor.findings import Verdict
from closrads.domain.changes import ChangeState
from sandbox import Sandbox
from sandbox.aws import DROPPED, LEDGER_TABLE
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Breaking, Case, assert_named, found

pytestmark = pytest.mark.usefixtures("empty_stack")


def no_backup(sandbox: Sandbox) -> None:
    """Switch point-in-time recovery off."""
    off = {"PointInTimeRecoveryEnabled": False}
    sandbox.aws.client("dynamodb").update_continuous_backups(
        TableName=LEDGER_TABLE, PointInTimeRecoverySpecification=off
    )


def open_change(state: ChangeState, **parameters: str) -> Breaking:
    """Return what has a live run leave a change of Veterans open, in a state, and then puts parameters."""

    def breaking(sandbox: Sandbox) -> None:
        assert CliRunner().invoke(app, ["run", '{"dry_run": false, "campaigns": ["veterans"]}', "--yes"]).exit_code == 0
        item = next(item for item in sandbox.aws.ledger() if item["sk"].startswith("CHANGE#"))
        sandbox.aws.client("dynamodb").update_item(
            TableName=LEDGER_TABLE,
            Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
            UpdateExpression="SET #state = :state, open_since = :since",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":state": {"S": state.value}, ":since": {"S": item["prepared_at"]}},
        )
        sandbox.aws.put_parameters(parameters)

    return breaking


BROKEN: dict[str, Case] = {
    "the ledger is gone": (
        lambda sandbox: sandbox.aws.client("dynamodb").delete_table(TableName=LEDGER_TABLE),
        f"ledger {LEDGER_TABLE}",
        Verdict.FAILED,
        "does not exist",
        "deploy the stack",
    ),
    "there is no table to have a backup": (
        lambda sandbox: sandbox.aws.client("dynamodb").delete_table(TableName=LEDGER_TABLE),
        "ledger backup",
        Verdict.WARNING,
        "not checked: no table",
        "fix the ledger first",
    ),
    "the backup cannot be looked at": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeContinuousBackups", "AccessDeniedException"),
        "ledger backup",
        Verdict.WARNING,
        "not checked: you lack the permission",
        "dynamodb:DescribeContinuousBackups",
    ),
    "the ledger has no backup": (no_backup, "ledger backup", Verdict.FAILED, "is off", "switch it on"),
    "the ledger cannot be queried": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", "AccessDeniedException", times=None),
        "ledger",
        Verdict.WARNING,
        "not checked: you lack the permission",
        "dynamodb:Query",
    ),
    "the open changes may not be seen": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", "AccessDeniedException", times=None),
        "open changes",
        Verdict.WARNING,
        "not checked: you lack the permission",
        "dynamodb:Query and dynamodb:GetItem",
    ),
    "the open changes cannot be read": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "Query", DROPPED, times=None),
        "open changes",
        Verdict.FAILED,
        "The ledger cannot be read",
        "try again",
    ),
    "a change is open": (
        open_change(ChangeState.WRITTEN),
        "open changes",
        Verdict.WARNING,
        "1 neither finished nor undone: “",
        "the next live run",
    ),
    "a rollback has failed": (
        open_change(ChangeState.ROLLBACK_FAILED),
        "open changes",
        Verdict.FAILED,
        "1 not proven to be as before: “",
        "Ads Manager now",
    ),
    "a change of a campaign that is off is open": (
        open_change(ChangeState.WRITTEN, **{"campaigns/veterans/enabled": "false"}),
        "open changes",
        Verdict.WARNING,
        "of veterans, ",
        "the next live run",
    ),
    "the right to see the table is missing": (
        lambda sandbox: sandbox.aws.fail("dynamodb", "DescribeTable", "AccessDeniedException"),
        "ledger",
        Verdict.WARNING,
        "you lack the permission",
        "dynamodb:DescribeTable",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_the_ledger(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


def test_a_ledger_without_its_index(call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of that name that was not made by this template."""
    monkeypatch.setenv("CLOSRADS_LEDGER_TABLE", "other")
    business.aws.client("dynamodb").create_table(
        TableName="other",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    finding = found(call)[1]["ledger other"]

    assert (finding["verdict"], finding["said"]) == ("failed", "is active, without the index `open`")
