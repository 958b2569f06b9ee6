"""DynamoDB as the ledger needs it: the same in memory as at any other server of its protocol."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import AwsWorld, Sandbox
from sandbox.aws import LEDGER_TABLE

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
ITEM: dict[str, Any] = {
    **KEY, "holder": {"S": "me"}, "amount": {"N": "5"}, "flag": {"BOOL": True}, "state": {"S": "written"},
    "things": {"L": [{"S": "a"}]}, "tags": {"SS": ["x", "y"]}, "packed": {"B": b"\x00\x01"}, "nothing": {"NULL": True},
}  # fmt: skip


class Table:
    """The ledger's table, with short ways to call."""

    def __init__(self, aws: AwsWorld) -> None:
        self.client = aws.client("dynamodb")

    def __call__(self, operation: str, **call: Any) -> dict[str, Any]:
        """Call an operation on the table; keywords with an underscore in front are expression values."""
        values = {f":{name[1:]}": call.pop(name) for name in list(call) if name.startswith("_")}
        if values:
            call["ExpressionAttributeValues"] = values
        answer: dict[str, Any] = getattr(self.client, operation)(TableName=LEDGER_TABLE, **call)
        return answer

    def item(self, key: dict[str, Any] = KEY) -> dict[str, Any] | None:
        """Return what is there."""
        found: dict[str, Any] | None = self("get_item", Key=key, ConsistentRead=True).get("Item")
        return found

    def fill(self, *sort_keys: str, **more: Any) -> None:
        """Put items with these sort keys."""
        for sort_key in sort_keys:
            self("put_item", Item={"pk": {"S": "p"}, "sk": {"S": sort_key}, **more})

    def sort_keys(self, condition: str = "pk = :p", **call: Any) -> list[str]:
        """Return the sort keys that one query finds."""
        found = self("query", KeyConditionExpression=condition, _p={"S": "p"}, **call)
        assert found["Count"] == len(found["Items"])
        return [item["sk"]["S"] for item in found["Items"]]

    def refused(self, operation: str, **call: Any) -> Any:
        """Return the answer of a call that has to be refused."""
        with pytest.raises(ClientError) as caught:
            self(operation, **call)
        return caught.value.response


@pytest.fixture
def table(sandbox: Sandbox) -> Table:
    """Return the table, with one item in it."""
    table = Table(sandbox.aws)
    table("put_item", Item=ITEM)
    return table


def code_of(response: Any) -> str:
    """Return the code of an error."""
    return str(response["Error"]["Code"])


def test_items_come_back_as_they_were(table: Table) -> None:
    """Whatever is in them, and nothing where there is none."""
    found = table.item()

    assert found is not None
    assert found | {"tags": None} == ITEM | {"tags": None}
    assert sorted(found["tags"]["SS"]) == ["x", "y"]
    assert table.item({"pk": {"S": "p"}, "sk": {"S": "other"}}) is None


class TestConditions:
    """When a write is done."""

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ("attribute_exists(pk)", True),
            ("attribute_exists(absent)", False),
            ("attribute_not_exists(absent)", True),
            ("attribute_not_exists(holder)", False),
            ("holder = :me", True),
            ("holder <> :me", False),
            ("absent <> :me", True),
            ("absent = :me", False),
            ("holder < :me", False),
            ("holder <= :me", True),
            ("amount < :six", True),
            ("amount > :six", False),
            ("amount < :ten", True),
            ("amount = :five", True),
            ("amount = :text", False),
            ("absent < :six", False),
            ("amount BETWEEN :five AND :six", True),
            ("amount BETWEEN :six AND :ten", False),
            ("holder IN (:text, :me)", True),
            ("holder IN (:text, :six)", False),
            ("begins_with(holder, :m)", True),
            ("begins_with(holder, :text)", False),
            ("flag = :yes", True),
            ("nothing = :null", True),
            ("tags = :tags", True),
            ("packed = :bytes", True),
            ("NOT holder = :me", False),
            ("holder = :text OR amount = :five", True),
            ("holder = :text OR holder = :me AND amount = :six", False),
            ("(holder = :me OR holder = :text) AND amount = :five", True),
            ("attribute_not_exists(pk) OR #state = :written", True),
        ],
    )
    def test_a_write_is_done_if_its_condition_holds(self, table: Table, condition: str, *, holds: bool) -> None:
        """And else there is no trace of it."""
        known = {
            ":me": {"S": "me"}, ":m": {"S": "m"}, ":text": {"S": "5"}, ":five": {"N": "5.0"}, ":six": {"N": "6"},
            ":ten": {"N": "10"}, ":yes": {"BOOL": True}, ":null": {"NULL": True}, ":tags": {"SS": ["y", "x"]},
            ":bytes": {"B": b"\x00\x01"}, ":written": {"S": "written"},
        }  # fmt: skip
        words = condition.replace("(", " ").replace(")", " ").replace(",", " ").split()
        values = {name: value for name, value in known.items() if name in words}
        call: dict[str, Any] = {"Item": KEY, "ConditionExpression": condition}
        if values:
            call["ExpressionAttributeValues"] = values
        if "#state" in words:
            call["ExpressionAttributeNames"] = {"#state": "state"}

        if holds:
            table("put_item", **call)
            assert table.item() == KEY
        else:
            response = table.refused("put_item", **call)
            assert code_of(response) == "ConditionalCheckFailedException"
            assert table.item() != KEY

    @pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
    def test_what_is_there_instead_is_shown_on_demand(self, table: Table, operation: str) -> None:
        """To whoever asks for it, and if there is something."""
        call: dict[str, Any] = {"Item": KEY} if operation == "put_item" else {"Key": KEY}
        if operation == "update_item":
            call["UpdateExpression"] = "REMOVE amount"
        call |= {"ConditionExpression": "holder = :you", "_you": {"S": "you"}}
        shows = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

        assert table.refused(operation, **call, **shows)["Item"]["holder"] == {"S": "me"}
        assert "Item" not in table.refused(operation, **call)
        table("delete_item", Key=KEY)
        assert not table.refused(operation, **call, **shows).get("Item")

    def test_it_has_a_class_of_its_own(self, table: Table) -> None:
        """By which the ledger tells it from trouble."""
        with pytest.raises(table.client.exceptions.ConditionalCheckFailedException):
            table("delete_item", Key=KEY, ConditionExpression="attribute_not_exists(pk)")


class TestUpdates:
    """Attributes of an item, changed where it is."""

    def test_set_remove_and_add(self, table: Table) -> None:
        """All of it from what was there before."""
        table(
            "update_item",
            Key=KEY,
            UpdateExpression="SET holder = :you, clone = holder, amount = amount + :one, "
            "later = if_not_exists(later, :one) REMOVE flag, absent ADD tries :one",
            _you={"S": "you"},
            _one={"N": "1"},
        )

        found = table.item() or {}
        assert {name: found.get(name) for name in ("holder", "clone", "amount", "later", "tries", "flag")} == {
            "holder": {"S": "you"},
            "clone": {"S": "me"},
            "amount": {"N": "6"},
            "later": {"N": "1"},
            "tries": {"N": "1"},
            "flag": None,
        }

    def test_an_item_that_is_not_there_is_made(self, table: Table) -> None:
        """With its key."""
        key = {"pk": {"S": "p"}, "sk": {"S": "new"}}
        table("update_item", Key=key, UpdateExpression="ADD times :one", _one={"N": "1"})
        table("update_item", Key=key, UpdateExpression="ADD times :one", _one={"N": "1"})

        assert table.item(key) == key | {"times": {"N": "2"}}

    @pytest.mark.parametrize(
        ("wanted", "shown"),
        [
            ("NONE", None),
            ("ALL_OLD", {"holder": "me", "amount": "5"}),
            ("ALL_NEW", {"holder": "you", "amount": "5"}),
            ("UPDATED_OLD", {"holder": "me", "amount": None}),
            ("UPDATED_NEW", {"holder": "you", "amount": None}),
        ],
    )
    def test_what_an_update_shows(self, table: Table, wanted: str, shown: dict[str, str | None] | None) -> None:
        """Before or after, all of it or what was changed."""
        update = "SET holder = :you"
        answer = table("update_item", Key=KEY, UpdateExpression=update, ReturnValues=wanted, _you={"S": "you"})

        found = answer.get("Attributes")
        assert shown == (
            found and {"holder": found["holder"]["S"], "amount": found["amount"]["N"] if "amount" in found else None}
        )

    def test_nothing_is_shown_of_what_was_not_there(self, table: Table) -> None:
        """As a first delivery finds it."""
        key = {"pk": {"S": "p"}, "sk": {"S": "new"}}
        answer = table("update_item", Key=key, UpdateExpression="SET x = :x", ReturnValues="ALL_OLD", _x={"S": "x"})

        assert not answer.get("Attributes")


def update(expression: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the update of the item that is there, with one value."""
    return {"Key": KEY, "UpdateExpression": expression, "_x": value}


class TestRefusals:
    """Calls that make no sense change nothing."""

    @pytest.mark.parametrize(
        ("operation", "call"),
        [
            pytest.param("put_item", {"Item": {"pk": {"S": "p"}}}, id="no sort key"),
            pytest.param("put_item", {"Item": {"pk": {"S": "p"}, "sk": {"S": ""}}}, id="an empty key"),
            pytest.param("put_item", {"Item": {"pk": {"S": "p"}, "sk": {"N": "1"}}}, id="a key of another type"),
            pytest.param("put_item", {"Item": {"pk": {"S": "p"}, "sk": {"S": "x" * 1025}}}, id="a long sort key"),
            pytest.param("put_item", {"Item": {"pk": {"S": "x" * 2049}, "sk": {"S": "s"}}}, id="a long partition key"),
            pytest.param("put_item", {"Item": KEY | {"open_since": {"S": ""}}}, id="an empty key of the index"),
            pytest.param("put_item", {"Item": KEY | {"x": {"S": "x" * 410_000}}}, id="a large item"),
            pytest.param("get_item", {"Key": {"pk": {"S": "p"}}}, id="half a key"),
            pytest.param("update_item", update("SET sk = :x", {"S": "x"}), id="a change of the key"),
            pytest.param("update_item", update("SET state = :x", {"S": "x"}), id="a reserved word"),
            pytest.param("update_item", update("SET a = :x, a = :x", {"S": "x"}), id="twice the same"),
            pytest.param("update_item", update("SET a = :x SET b = :x", {"S": "x"}), id="a section twice"),
            pytest.param("update_item", update("SET a = absent, b = :x", {"S": "x"}), id="a copy of nothing"),
            pytest.param("update_item", update("SET holder = holder + :x", {"N": "1"}), id="a sum with a text"),
            pytest.param("update_item", update("SET x = :x", {"S": "x" * 410_000}), id="an item that becomes large"),
            pytest.param("query", {"KeyConditionExpression": "sk = :x", "_x": {"S": "x"}}, id="no partition"),
        ],
    )
    def test_what_makes_no_sense(self, table: Table, operation: str, call: dict[str, Any]) -> None:
        """It says so, and what is there stays."""
        response = table.refused(operation, **call)

        assert code_of(response) == "ValidationException"
        assert (table.item() or {})["holder"] == {"S": "me"}

    @pytest.mark.parametrize(
        ("operation", "call"),
        [
            ("put_item", {"Item": KEY}),
            ("get_item", {"Key": KEY}),
            ("query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}),
            ("describe_table", {}),
        ],
    )
    def test_a_table_that_is_not_there(self, table: Table, operation: str, call: dict[str, Any]) -> None:
        """As after a slip in a name."""
        with pytest.raises(table.client.exceptions.ResourceNotFoundException):
            getattr(table.client, operation)(TableName="somebody-elses", **call)

    def test_just_small_enough(self, table: Table) -> None:
        """Names, values and the parts of lists count, in bytes."""
        table("put_item", Item=KEY | {"x": {"S": "ä" * 200_000}})
        table("put_item", Item=KEY | {"x": {"L": [{"M": {"y": {"B": b"x" * 400_000}}}]}})


class TestTransactions:
    """Several writes, all of them or none."""

    def parts(self, *parts: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the parts of a transaction on the table."""
        return [{kind: {"TableName": LEDGER_TABLE, **what}} for part in parts for kind, what in part.items()]

    def test_the_reasons_against_it(self, table: Table) -> None:
        """One for each part, in their order, with what is there where that was asked for."""
        table.fill("other")
        other, new = ({"pk": {"S": "p"}, "sk": {"S": name}} for name in ("other", "new"))
        free = {"ConditionExpression": "attribute_not_exists(pk)"}
        parts = self.parts(
            {"Put": {"Item": KEY | {"x": {"S": "1"}}, **free, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
            {"Put": {"Item": new, **free}},
            {"Delete": {"Key": other, **free}},
        )
        with pytest.raises(table.client.exceptions.TransactionCanceledException) as caught:
            table.client.transact_write_items(TransactItems=parts)

        response: Any = caught.value.response
        reasons = response["CancellationReasons"]
        failed, none = "ConditionalCheckFailed", "None"
        assert [reason["Code"] for reason in reasons] == [failed, none, failed]
        assert [reason.get("Item", {}).get("holder") for reason in reasons] == [{"S": "me"}, None, None]
        assert f"[{failed}, {none}, {failed}]" in str(caught.value)
        assert table.sort_keys() == ["other", "s"]

    def test_one_item_at_most_once(self, table: Table) -> None:
        """Else nobody knew what comes of it."""
        parts = self.parts({"Put": {"Item": KEY}}, {"Delete": {"Key": KEY}})
        with pytest.raises(ClientError, match="multiple operations on one item"):
            table.client.transact_write_items(TransactItems=parts)

        assert table.item() != KEY

    @pytest.mark.parametrize("count", [100, 101])
    def test_a_hundred_parts_at_most(self, table: Table, count: int) -> None:
        """One more and none is done."""
        parts = self.parts(
            *({"Put": {"Item": {"pk": {"S": "q"}, "sk": {"S": f"{number:03}"}}}} for number in range(count))
        )
        if count > 100:
            with pytest.raises(ClientError, match="less than or equal to 100"):
                table.client.transact_write_items(TransactItems=parts)
        else:
            table.client.transact_write_items(TransactItems=parts)

        found = table("query", KeyConditionExpression="pk = :q", _q={"S": "q"})["Items"]
        assert len(found) == (100 if count == 100 else 0)

    def test_a_part_that_makes_no_sense(self, table: Table) -> None:
        """None of the others is done."""
        new = {"pk": {"S": "p"}, "sk": {"S": "new"}}
        parts = self.parts({"Put": {"Item": new}}, {"Put": {"Item": KEY | {"open_since": {"S": ""}}}})
        with pytest.raises(ClientError):
            table.client.transact_write_items(TransactItems=parts)

        assert table.sort_keys() == ["s"]

    @pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
    def test_a_cancellation_is_scripted(self, table: Table, sandbox: Sandbox, code: str) -> None:
        """It gives its reason for the part that another call was at, or that came too fast (guregu/dynamo #203)."""
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": code}]}
        sandbox.aws.fail("dynamodb", "TransactWriteItems", "TransactionCanceledException", members=reasons)
        parts = self.parts({"Put": {"Item": KEY}}, {"Put": {"Item": KEY | {"sk": {"S": "t"}}}})
        with pytest.raises(table.client.exceptions.TransactionCanceledException) as caught:
            table.client.transact_write_items(TransactItems=parts)

        response: Any = caught.value.response
        assert response["CancellationReasons"] == reasons["CancellationReasons"]
        assert table.item() != KEY


class TestQueries:
    """A partition in the order of its sort keys."""

    NAMES = ("B", "a", "a#1", "a#2", "a-", "b", "ä", "\U0001f98a")

    @pytest.fixture
    def full(self, table: Table) -> Table:
        """Return the table with several items in one partition, put in no order, and one in another."""
        table("delete_item", Key=KEY)
        table.fill(*reversed(self.NAMES))
        table("put_item", Item={"pk": {"S": "q"}, "sk": {"S": "a"}})
        return table

    def test_the_order_is_that_of_bytes(self, full: Table) -> None:
        """Either way round."""
        assert full.sort_keys() == list(self.NAMES)
        assert full.sort_keys(ScanIndexForward=False) == list(reversed(self.NAMES))

    @pytest.mark.parametrize(
        ("condition", "values", "expected"),
        [
            ("sk = :a", {"_a": "a"}, ["a"]),
            ("sk < :a", {"_a": "a#1"}, ["B", "a"]),
            ("sk <= :a", {"_a": "a#1"}, ["B", "a", "a#1"]),
            ("sk > :a", {"_a": "b"}, ["ä", "\U0001f98a"]),
            ("sk >= :a", {"_a": "b"}, ["b", "ä", "\U0001f98a"]),
            ("sk BETWEEN :a AND :b", {"_a": "a#", "_b": "a-"}, ["a#1", "a#2", "a-"]),
            ("begins_with(sk, :a)", {"_a": "a#"}, ["a#1", "a#2"]),
            ("sk = :a", {"_a": "none"}, []),
        ],
    )
    def test_a_stretch_of_it(self, full: Table, condition: str, values: dict[str, str], expected: list[str]) -> None:
        """By each operator."""
        given = {name: {"S": value} for name, value in values.items()}

        assert full.sort_keys(f"pk = :p AND {condition}", **given) == expected

    @pytest.mark.parametrize("forward", [True, False])
    def test_page_after_page(self, full: Table, forward: bool) -> None:  # noqa: FBT001 - pytest gives it by its name
        """Each begins behind the last; what boto3 pages through is everything."""
        pages = full.client.get_paginator("query").paginate(
            TableName=LEDGER_TABLE,
            KeyConditionExpression="pk = :p",
            ExpressionAttributeValues={":p": {"S": "p"}},
            ScanIndexForward=forward,
            Limit=3,
        )
        found = [[item["sk"]["S"] for item in page["Items"]] for page in pages]

        assert [len(page) for page in found if page] == [3, 3, 2]
        assert [name for page in found for name in page] == list(self.NAMES)[:: 1 if forward else -1]

    def test_a_page_has_a_megabyte(self, table: Table) -> None:
        """Then the next is to be asked for."""
        table.fill(*"abcde", blob={"B": b"x" * 300_000})
        answer = table("query", KeyConditionExpression="pk = :p", _p={"S": "p"})

        assert len(answer["Items"]) < 6
        assert set(answer["LastEvaluatedKey"]) == {"pk", "sk"}

    def test_the_index_holds_what_has_its_key(self, full: Table) -> None:
        """In its own order, with equal keys in that of the table; it follows every change."""
        for name, since in (("a", "2"), ("b", "1"), ("B", "2")):
            full.fill(name, open_since={"S": since}, more={"S": "x"})
        condition = "pk = :p AND open_since >= :first"

        assert full.sort_keys(IndexName="open") == ["b", "B", "a"]
        assert full.sort_keys(condition, IndexName="open", ConsistentRead=True, _first={"S": "2"}) == ["B", "a"]
        answer = full("query", KeyConditionExpression="pk = :p", _p={"S": "p"}, IndexName="open", Limit=1)
        assert answer["Items"] == [{"pk": {"S": "p"}, "sk": {"S": "b"}, "open_since": {"S": "1"}}]
        assert set(answer["LastEvaluatedKey"]) == {"pk", "sk", "open_since"}

        full("delete_item", Key={"pk": {"S": "p"}, "sk": {"S": "a"}})
        full("update_item", Key={"pk": {"S": "p"}, "sk": {"S": "b"}}, UpdateExpression="REMOVE open_since")
        assert full.sort_keys(IndexName="open") == ["B"]

    def test_what_has_expired_may_still_be_there(self, table: Table) -> None:
        """DynamoDB takes days to delete it, so nobody may rely on that."""
        table.fill("old", expires_at={"N": "1"})

        assert "old" in table.sort_keys()
