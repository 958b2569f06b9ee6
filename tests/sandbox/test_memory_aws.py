"""What only the AWS in memory has: hooks around each call, attempts without a wait, and a place in boto3."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox.aws import DROPPED, LEDGER_TABLE
from sandbox.memory_aws import MemoryAws

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryAws]:
    """Return an empty AWS that boto3 leads to."""
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    aws = MemoryAws()
    with aws.installed():
        yield aws


def put(attempts: int = 1) -> None:
    """Put an item."""
    config = Config(retries={"total_max_attempts": attempts})
    boto3.client("dynamodb", config=config).put_item(TableName=LEDGER_TABLE, Item=KEY)


class TestHooks:
    """A simulation delays, fails and crashes there."""

    def test_nothing_is_done_before_and_all_after(self, aws: MemoryAws) -> None:
        """They hear service and operation; the lock is free."""
        heard: list[tuple[str, str, int]] = []

        def hear(service: str, operation: str) -> None:
            heard.append((service, operation, len(aws.ledger())))

        aws.before = aws.after = hear
        put()

        assert heard == [("dynamodb", "PutItem", 0), ("dynamodb", "PutItem", 1)]

    @pytest.mark.parametrize(("moment", "items"), [("before", 0), ("after", 1)])
    def test_a_crash_comes_out_as_it_is(self, aws: MemoryAws, moment: str, items: int) -> None:
        """As if the process had died there."""

        class CrashError(BaseException):
            pass

        def crash(_service: str, _operation: str) -> None:
            raise CrashError

        setattr(aws, moment, crash)
        with pytest.raises(CrashError):
            put()

        assert len(aws.ledger()) == items

    def test_a_reset_takes_them_away(self, aws: MemoryAws) -> None:
        """With all else."""
        aws.before = lambda *_: pytest.fail("it is still there")
        aws.reset()

        put()


class TestAttempts:
    """Further attempts, as boto3 makes them."""

    @pytest.mark.parametrize(
        "code", [(DROPPED,), ("InternalServerError", 500), ("ThrottlingException", 400), ("ServiceUnavailable", 503)]
    )
    def test_what_may_pass_is_tried_again(self, aws: MemoryAws, code: tuple[str, int]) -> None:
        """Every attempt is a call of its own."""
        aws.fail("dynamodb", "PutItem", *code, times=2)
        put(attempts=3)

        assert [request.operation for request in aws.requests] == ["PutItem"] * 3
        assert len(aws.ledger()) == 1

    @pytest.mark.parametrize(
        ("code", "raised"), [(DROPPED, ConnectionClosedError), ("InternalServerError", ClientError)]
    )
    def test_as_often_as_configured(self, aws: MemoryAws, code: str, raised: type[Exception]) -> None:
        """Then the last error is raised."""
        aws.fail("dynamodb", "PutItem", code, 500, times=None)
        with pytest.raises(raised):
            put(attempts=2)

        assert len(aws.requests) == 2

    def test_a_transaction_whose_response_was_lost_is_applied_once(self, aws: MemoryAws) -> None:
        """The repetition succeeds, though its own condition no longer holds: DynamoDB knows its token."""
        aws.fail("dynamodb", "TransactWriteItems", DROPPED, times=1, applied=True)
        client = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 2}))

        new = {"TableName": LEDGER_TABLE, "Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}
        client.transact_write_items(TransactItems=[{"Put": new}])

        assert len(aws.requests) == 2
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            client.transact_write_items(TransactItems=[{"Put": new}])

    def test_what_will_not_pass_is_not(self, aws: MemoryAws) -> None:
        """Nor is a condition that did not hold."""
        aws.fail("dynamodb", "PutItem", "AccessDeniedException", 400)
        with pytest.raises(ClientError, match="AccessDenied"):
            put(attempts=3)

        assert len(aws.requests) == 1

    def test_the_variable_counts_where_nothing_is_configured(
        self, aws: MemoryAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the template sets it for the function."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        aws.fail("ssm", "any", "InternalServerError", 500)

        assert boto3.client("ssm").get_parameters_by_path(Path="/")["Parameters"] == []
        assert len(aws.requests) == 2


@pytest.mark.parametrize("value", ["", "x" * 4097])
def test_a_parameter_is_neither_empty_nor_long(aws: MemoryAws, value: str) -> None:
    """Moto lets it pass, the Parameter Store does not."""
    with pytest.raises(ClientError, match="ValidationException"):
        aws.client("ssm").put_parameter(Name="/x", Value=value, Type="String")
