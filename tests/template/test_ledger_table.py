"""The deployed ledger: the table that everything is tested with, and one that is not lost."""

from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE
from tests.template.stack import ARN, Deploy, Json
from tests.template.test_rights import rights_of


def test_it_has_the_shape_that_everything_is_tested_with(stack: dict[str, Json], sandbox: Sandbox) -> None:
    """What the sandbox lets through, the deployed table takes as well: same keys, same index."""

    def shape(table: Json) -> Json:
        return {
            "keys": table["KeySchema"],
            "types": {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]},
            "indexes": {
                each["IndexName"]: (each["KeySchema"], each["Projection"]) for each in table["LocalSecondaryIndexes"]
            },
            "global": table.get("GlobalSecondaryIndexes", []),
        }

    sandboxed = sandbox.aws.client("dynamodb").describe_table(TableName=LEDGER_TABLE)["Table"]

    assert shape(stack["Ledger"]["Properties"]) == shape(sandboxed)


def test_the_open_changes_of_a_campaign_are_found_by_a_local_index(stack: dict[str, Json]) -> None:
    """Only a local index can be read consistently, and only open changes, which alone have its key, are in it."""
    table = stack["Ledger"]["Properties"]

    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert table["LocalSecondaryIndexes"] == [
        {
            "IndexName": "open",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "open_since", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]
    assert "GlobalSecondaryIndexes" not in table


def test_the_ledger_outlives_accidents(stack: dict[str, Json], stage: str) -> None:
    """Neither a deleted or changed stack nor, in prod, a slip in the console loses the way back."""
    ledger = stack["Ledger"]

    assert (ledger["DeletionPolicy"], ledger["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert ledger["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["Properties"]["DeletionProtectionEnabled"] is (stage == "prod")
    assert "TableName" not in ledger["Properties"], "a second stack, or a table left behind, would collide with it"


def test_a_table_that_is_there_is_taken_instead_of_a_new_one(deploy: Deploy) -> None:
    """The function is told its name, and may do with it what it may do with one that the stack made."""
    new, old = deploy(), deploy(LedgerTable="left-behind")
    arn = ARN % ("dynamodb", "table/left-behind")

    def rights(stack: dict[str, Json]) -> set[tuple[str, str]]:
        all_rights = rights_of(stack, "SyncFunctionRole")
        return {(action, resource) for action, resource in all_rights if action.startswith("dynamodb:")}

    assert new.keys() - old.keys() == {"Ledger"}
    assert old["SyncFunction"]["Properties"]["Environment"]["Variables"]["CLOSRADS_LEDGER_TABLE"] == "left-behind"
    assert rights(old) == {(action, resource.replace("${Ledger.Arn}", arn)) for action, resource in rights(new)}


def test_the_ledger_costs_by_use_and_forgets(stack: dict[str, Json]) -> None:
    """An idle table costs next to nothing, and what has expired goes by itself."""
    table = stack["Ledger"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
