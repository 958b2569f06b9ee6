"""What DynamoDB refuses and other servers of its protocol let pass: the one in memory does not."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws import LEDGER_TABLE
from tests.sandbox.test_dynamodb import ITEM, KEY, Table, code_of, table

__all__ = ["table"]


def put(condition: str, **values: str) -> dict[str, Any]:
    """Return a put on a condition."""
    return {"Item": KEY, "ConditionExpression": condition, **{name: {"S": value} for name, value in values.items()}}


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        pytest.param("put_item", {"Item": KEY | {"open_since": {"N": "1"}}}, id="a key of the index of another type"),
        pytest.param("put_item", put("holder = :x", _x="x", _y="y"), id="a value that nobody uses"),
        pytest.param("put_item", put("holder = :x", _y="y"), id="a value that is not given"),
        pytest.param("put_item", put("attribute_exists(pk"), id="half an expression"),
        pytest.param("put_item", put("attribute_exists(pk) pk"), id="more than an expression"),
        pytest.param("put_item", put("holder ! :x", _x="x"), id="a sign that there is not"),
        pytest.param("put_item", put("holder"), id="no condition"),
        pytest.param("put_item", put("#holder = :x", _x="x"), id="a name that is not given"),
        pytest.param("put_item", put("state = :x", _x="x"), id="a reserved word"),
        pytest.param("put_item", {"Item": KEY, "ExpressionAttributeValues": {}}, id="no values at all"),
        pytest.param(
            "query",
            {"KeyConditionExpression": "pk = :x", "_x": {"S": "x"}, "IndexName": "none"},
            id="an index that is not there",
        ),
        pytest.param(
            "query",
            {"KeyConditionExpression": "pk = :x AND holder = :x", "_x": {"S": "x"}},
            id="an attribute that is no key",
        ),
        pytest.param(
            "query",
            {"KeyConditionExpression": "pk = :x AND sk <> :x", "_x": {"S": "x"}},
            id="what no order of keys can answer",
        ),
        pytest.param(
            "query",
            {"KeyConditionExpression": "pk = :b AND sk BETWEEN :b AND :a", "_a": {"S": "a"}, "_b": {"S": "b"}},
            id="an end before the beginning",
        ),
        pytest.param(
            "update_item",
            {"Key": KEY, "UpdateExpression": "ADD holder :one", "_one": {"N": "1"}},
            id="a sum of another type",
        ),
        pytest.param(
            "update_item",
            {"Key": KEY, "UpdateExpression": "ADD absent :x", "_x": {"S": "x"}},
            id="a sum of texts",
        ),
    ],
)
def test_what_makes_no_sense(table: Table, operation: str, call: dict[str, Any]) -> None:
    """It says so, and what is there stays."""
    assert code_of(table.refused(operation, **call)) == "ValidationException"
    assert table.item() == ITEM


def test_a_text_is_neither_less_nor_more_than_a_number(table: Table) -> None:
    """The condition does not hold, whichever way round."""
    for sign in ("<", ">"):
        response = table.refused("put_item", **put(f"amount {sign} :x", _x="6"))
        assert code_of(response) == "ConditionalCheckFailedException"


def test_a_transaction_has_four_megabytes(table: Table) -> None:
    """Of all items that it touches."""
    parts = [
        {
            "Put": {
                "TableName": LEDGER_TABLE,
                "Item": {"pk": {"S": "q"}, "sk": {"S": str(n)}, "x": {"S": "x" * 399_000}},
            }
        }
        for n in range(11)
    ]
    with pytest.raises(ClientError, match="4 MB"):
        table.client.transact_write_items(TransactItems=parts)

    table.client.transact_write_items(TransactItems=parts[:10])


@pytest.mark.parametrize("expression", ["SET holder.x = :x", "DELETE tags :x", "SET things[0] = :x"])
def test_what_is_not_there_in_memory_is_no_refusal(table: Table, expression: str) -> None:
    """Who needs it adds it to the stand-in."""
    with pytest.raises(NotImplementedError):
        table("update_item", Key=KEY, UpdateExpression=expression, _x={"S": "x"})


def test_a_name_that_is_no_operation(table: Table) -> None:
    """A slip in the code is one in the test too."""
    with pytest.raises(AttributeError):
        table("fetch_item", Key=KEY)
    with pytest.raises(AttributeError):
        _ = table.client.exceptions.NoSuchException
