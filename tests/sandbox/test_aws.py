"""AWS: parameters, mails, records and injected errors."""

from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sandbox import AwsWorld, Mail, Sandbox
from sandbox.aws import DROPPED, LEDGER_TABLE, AwsRequest

SENDER = "reports@example.test"


@pytest.fixture
def aws(sandbox: Sandbox) -> AwsWorld:
    """Return an empty AWS."""
    return sandbox.aws


def read(aws: AwsWorld, path: str) -> dict[str, tuple[str, str]]:
    """Return type and value of every parameter under a path."""
    pages = aws.client("ssm").get_paginator("get_parameters_by_path")
    found: dict[str, tuple[str, str]] = {}
    for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True):
        for each in page["Parameters"]:
            found[each["Name"].removeprefix(f"{path}/")] = (each["Type"], each["Value"])
    return found


def test_parameters(aws: AwsWorld) -> None:
    """Types follow the names; the container's copy names the host as a container sees it."""
    aws.put_parameters(
        {
            "closrtech/base_url": "http://127.0.0.1:8099",
            "closrtech/password": "fake",
            "campaigns/veterans/fb_access_token": "EAAFAKE",
            "campaigns/veterans/fb_campaign_ids": ["1", "2"],
            "email/recipients": "a@example.test",
        }
    )
    aws.put_parameters({"closrtech/password": "changed"})
    host = read(aws, "/closrads/sandbox")
    assert host == {
        "closrtech/base_url": ("String", "http://127.0.0.1:8099"),
        "closrtech/password": ("SecureString", "changed"),
        "campaigns/veterans/fb_access_token": ("SecureString", "EAAFAKE"),
        "campaigns/veterans/fb_campaign_ids": ("StringList", "1,2"),
        "email/recipients": ("StringList", "a@example.test"),
    }
    container = read(aws, "/closrads/container")
    assert container == host | {"closrtech/base_url": ("String", "http://host.docker.internal:8099")}
    aws.delete_parameters("closrtech/password", "email/recipients")
    assert len(read(aws, "/closrads/sandbox")) == len(read(aws, "/closrads/container")) == 3


class TestParameterStore:
    """As Powertools and the commands read and write it."""

    def test_pages_of_ten(self, aws: AwsWorld) -> None:
        """Each but the last tells how to ask for the next."""
        aws.put_parameters({f"limits/{number:02}": "1" for number in range(23)})
        client = aws.client("ssm")
        first = client.get_parameters_by_path(Path="/closrads/sandbox", Recursive=True)

        assert (len(first["Parameters"]), bool(first["NextToken"])) == (10, True)
        pages = client.get_paginator("get_parameters_by_path").paginate(Path="/closrads/sandbox", Recursive=True)
        assert [len(page["Parameters"]) for page in pages] == [10, 10, 3]
        assert len(read(aws, "/closrads/sandbox")) == 23

    def test_one_level_or_all(self, aws: AwsWorld) -> None:
        """A path is no beginning of a name."""
        aws.put_parameters({"a": "1", "b/c": "1"})
        client = aws.client("ssm")

        one = client.get_parameters_by_path(Path="/closrads/sandbox")["Parameters"]
        assert [each["Name"] for each in one] == ["/closrads/sandbox/a"]
        assert client.get_parameters_by_path(Path="/closrads/sand", Recursive=True)["Parameters"] == []

    def test_a_secret_is_decrypted_on_demand(self, aws: AwsWorld) -> None:
        """Else nobody learns it."""
        aws.put_parameters({"meta/access_token": "EAAFAKE"})
        client, name = aws.client("ssm"), "/closrads/sandbox/meta/access_token"

        assert client.get_parameter(Name=name)["Parameter"]["Value"] != "EAAFAKE"
        assert client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "EAAFAKE"

    def test_putting(self, aws: AwsWorld) -> None:
        """What is there is replaced only by who says so, and counted."""
        client, name = aws.client("ssm"), "/closrads/sandbox/a"

        assert client.put_parameter(Name=name, Value="1", Type="String")["Version"] == 1
        with pytest.raises(client.exceptions.ParameterAlreadyExists):
            client.put_parameter(Name=name, Value="2", Type="String")
        assert client.put_parameter(Name=name, Value="2", Type="String", Overwrite=True)["Version"] == 2
        assert read(aws, "/closrads/sandbox") == {"a": ("String", "2")}

    def test_what_is_not_there(self, aws: AwsWorld) -> None:
        """Alone it is an error, among others it is named."""
        aws.put_parameters({"a": "1"})
        client = aws.client("ssm")
        names = ["/closrads/sandbox/a", "/closrads/sandbox/none"]

        with pytest.raises(client.exceptions.ParameterNotFound):
            client.get_parameter(Name=names[1])
        found = client.get_parameters(Names=names)
        assert ([each["Name"] for each in found["Parameters"]], found["InvalidParameters"]) == (names[:1], names[1:])
        with pytest.raises(client.exceptions.ParameterNotFound):
            client.delete_parameter(Name=names[1])
        gone = client.delete_parameters(Names=names)
        assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (names[:1], names[1:])


def simple(html: str | None, text: str | None) -> dict[str, Any]:
    """Return the content of a mail with a HTML part, a text part or both."""
    parts = {"Html": html, "Text": text}
    body = {name: {"Data": data} for name, data in parts.items() if data is not None}
    return {"Simple": {"Subject": {"Data": "Subject ✓"}, "Body": body}}


def send(aws: AwsWorld, content: dict[str, Any], sender: str = SENDER) -> None:
    """Send a mail."""
    destination = {"ToAddresses": ["a@example.test"], "CcAddresses": ["b@example.test"]}
    aws.client("sesv2").send_email(FromEmailAddress=sender, Destination=destination, Content=content)


def test_mails(aws: AwsWorld) -> None:
    """Both parts of a mail are kept, moto alone keeps one."""
    aws.verify_sender(SENDER)
    send(aws, simple("<p>Hello</p>", "Hello"))
    send(aws, simple(None, "Only text"))
    recipients = ("a@example.test", "b@example.test")
    assert aws.mails == [
        Mail(SENDER, recipients, "Subject ✓", "<p>Hello</p>", "Hello"),
        Mail(SENDER, recipients, "Subject ✓", "", "Only text"),
    ]


def test_raw_mails(aws: AwsWorld) -> None:
    """A MIME message is taken apart."""
    aws.verify_sender(SENDER)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "c@example.test", "Raw"
    message.set_content("Hello")
    message.add_alternative("<p>Hello</p>", subtype="html")
    aws.client("sesv2").send_email(Content={"Raw": {"Data": message.as_bytes()}}, FromEmailAddress=SENDER)
    assert aws.mails == [Mail(SENDER, ("c@example.test",), "Raw", "<p>Hello</p>\n", "Hello\n")]


def test_an_unverified_sender_is_refused(aws: AwsWorld) -> None:
    """Only mails that SES took are kept."""
    with pytest.raises(ClientError, match="not verified"):
        send(aws, simple(None, "Hello"), "nobody@example.test")
    assert aws.mails == []


def test_the_record(aws: AwsWorld) -> None:
    """Calls are noted with the names that boto3 uses; what the sandbox does itself is not."""
    aws.put_parameters({"closrtech/base_url": "https://feed.example.test"})
    aws.verify_sender(SENDER)
    aws.client("ssm").get_parameters_by_path(Path="/closrads/sandbox")
    send(aws, simple(None, "Hello"))
    aws.client("sesv2").get_account()
    aws.client("dynamodb").list_tables()
    assert aws.requests == [
        AwsRequest("ssm", "GetParametersByPath"),
        AwsRequest("sesv2", "SendEmail"),
        AwsRequest("sesv2", "GetAccount"),
        AwsRequest("dynamodb", "ListTables"),
    ]


@pytest.mark.parametrize(
    ("service", "operation"), [("ssm", "GetParametersByPath"), ("dynamodb", "ListTables"), ("sesv2", "SendEmail")]
)
def test_injected_errors(aws: AwsWorld, service: str, operation: str) -> None:
    """The error arrives in boto3 with its code and status, as often as told."""
    calls: dict[str, Any] = {
        "ssm": lambda: aws.client("ssm").get_parameters_by_path(Path="/closrads/sandbox"),
        "dynamodb": lambda: aws.client("dynamodb").list_tables(),
        "sesv2": lambda: send(aws, simple(None, "Hello")),
    }
    aws.verify_sender(SENDER)
    aws.fail(service, operation, "ThrottlingException", status=429, times=1)
    with pytest.raises(ClientError) as caught:
        calls[service]()
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    calls[service]()
    aws.fail(service, operation, "AccessDeniedException", times=None)
    for _ in range(2):
        with pytest.raises(ClientError, match="AccessDenied"):
            calls[service]()


class TestScriptedFaults:
    """Errors and lost answers, before and after the call was done."""

    def test_applied(self, aws: AwsWorld) -> None:
        """The item is there although the answer is an error."""
        aws.fail("dynamodb", "PutItem", "InternalServerError", status=500, applied=True)
        with pytest.raises(ClientError, match="InternalServerError"):
            put(aws, "a")
        assert [item["sk"] for item in aws.ledger()] == ["a"]

    @pytest.mark.parametrize("applied", [True, False])
    def test_dropped(self, aws: AwsWorld, *, applied: bool) -> None:
        """The connection closes at once, and the next call finds the server well."""
        aws.fail("dynamodb", "PutItem", DROPPED, applied=applied)
        with pytest.raises(ConnectionClosedError):
            put(aws, "a")
        put(aws, "b")
        assert [item["sk"] for item in aws.ledger()] == (["a", "b"] if applied else ["b"])

    def test_a_mail_whose_answer_is_lost(self, aws: AwsWorld) -> None:
        """It was sent."""
        aws.verify_sender(SENDER)
        aws.fail("sesv2", "SendEmail", DROPPED, applied=True)
        with pytest.raises(ConnectionClosedError):
            send(aws, simple(None, "Hello"))
        assert len(aws.mails) == 1

    @pytest.mark.parametrize(("service", "operation"), [("any", "any"), ("dynamodb", "any"), ("any", "PutItem")])
    def test_any_and_skip(self, aws: AwsWorld, service: str, operation: str) -> None:
        """The first matching call goes well, the second does not, the third does."""
        aws.fail(service, operation, "InternalServerError", skip=1)
        put(aws, "a")
        with pytest.raises(ClientError, match="InternalServerError"):
            put(aws, "b")
        put(aws, "c")
        assert [item["sk"] for item in aws.ledger()] == ["a", "c"]

    def test_any_operation_of_another_service(self, aws: AwsWorld) -> None:
        """A fault of one service is none of another."""
        aws.fail("ssm", "any", "InternalServerError")
        put(aws, "a")


def put(aws: AwsWorld, sk: str, **more: Any) -> None:
    """Put an item into the ledger."""
    item = {"pk": {"S": "campaign"}, "sk": {"S": sk}} | more
    aws.client("dynamodb").put_item(TableName=LEDGER_TABLE, Item=item)


class TestLedger:
    """The table that is always there."""

    def test_items(self, aws: AwsWorld) -> None:
        """They come back in plain values, by key."""
        put(aws, "b", list={"L": [{"N": "1.5"}, {"NULL": True}]}, map={"M": {"yes": {"BOOL": True}}})
        put(aws, "a", number={"N": "12"}, set={"SS": ["x"]}, packed={"B": b"\0"})
        assert aws.ledger() == [
            {"pk": "campaign", "sk": "a", "number": 12, "set": {"x"}, "packed": b"\0"},
            {"pk": "campaign", "sk": "b", "list": [1.5, None], "map": {"yes": True}},
        ]
        assert "Decimal" not in str(aws.ledger())
        assert type(aws.ledger()[0]["packed"]) is bytes

    def test_the_index(self, aws: AwsWorld) -> None:
        """It holds what is open, oldest first, by keys only; paying is by request."""
        put(aws, "a", open_since={"S": "2026-05-05"}, state={"S": "written"})
        put(aws, "b")
        put(aws, "c", open_since={"S": "2026-05-04"})
        found = aws.client("dynamodb").query(
            TableName=LEDGER_TABLE,
            IndexName="open",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "campaign"}},
        )["Items"]
        assert [item["sk"]["S"] for item in found] == ["c", "a"]
        assert found[0].keys() == {"pk", "sk", "open_since"}
        table = aws.client("dynamodb").describe_table(TableName=LEDGER_TABLE)["Table"]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    def test_a_reset_empties_it(self, aws: AwsWorld) -> None:
        """The table stays, and its making is no call."""
        put(aws, "a")
        aws.reset()
        assert aws.ledger() == []
        assert aws.requests == []
        put(aws, "b")

    def test_a_condition_lets_one_in(self, aws: AwsWorld) -> None:
        """Of calls at the same moment, exactly one finds the item missing."""
        client = aws.client("dynamodb")

        def take(number: int) -> bool:
            item = {"pk": {"S": "lease"}, "sk": {"S": "x"}, "holder": {"N": str(number)}}
            try:
                client.put_item(TableName=LEDGER_TABLE, Item=item, ConditionExpression="attribute_not_exists(pk)")
            except client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(take, range(24))) == 1

    def test_a_transaction_is_all_or_nothing(self, aws: AwsWorld) -> None:
        """Updates, puts and deletes that came before the part that fails leave no trace; without it all are done."""
        put(aws, "updated", number={"N": "1"})
        put(aws, "replaced", number={"N": "1"})
        put(aws, "deleted", number={"N": "1"})
        before = aws.ledger()
        client = aws.client("dynamodb")

        def key(sk: str) -> dict[str, Any]:
            return {"pk": {"S": "campaign"}, "sk": {"S": sk}}

        parts: list[Any] = [
            {"Put": {"Item": key("new")}},
            {"Put": {"Item": key("replaced")}},
            {"Delete": {"Key": key("deleted")}},
            {
                "Update": {
                    "Key": key("updated"),
                    "UpdateExpression": "SET #n = :n",
                    "ExpressionAttributeNames": {"#n": "number"},
                    "ExpressionAttributeValues": {":n": {"N": "2"}},
                }
            },
        ]
        fails = {"ConditionCheck": {"Key": key("none"), "ConditionExpression": "attribute_exists(pk)"}}
        for part in (*parts, fails):
            next(iter(part.values()))["TableName"] = LEDGER_TABLE
        with pytest.raises(client.exceptions.TransactionCanceledException):
            client.transact_write_items(TransactItems=[*parts, fails])
        assert aws.ledger() == before

        client.transact_write_items(TransactItems=parts)
        assert [(item["sk"], item.get("number")) for item in aws.ledger()] == [
            ("new", None),
            ("replaced", None),
            ("updated", 2),
        ]


class TestOnExchange:
    """A hook around each call."""

    def test_before_and_after(self, aws: AwsWorld) -> None:
        """Nothing is done at the first moment, all at the second."""
        seen = []
        aws.on_exchange = lambda moment: seen.append((moment, len(aws.ledger())))
        put(aws, "a")
        assert seen == [("before", 0), ("after", 1)]
        aws.reset()
        put(aws, "a")
        assert len(seen) == 2

    @pytest.mark.parametrize(("moment", "items"), [("before", 0), ("after", 1)])
    def test_a_dropped_connection(self, aws: AwsWorld, moment: str, items: int) -> None:
        """A hook may close the connection at either moment."""

        def drop(now: str) -> None:
            if now == moment:
                raise ConnectionAbortedError

        aws.on_exchange = drop
        with pytest.raises(ConnectionClosedError):
            put(aws, "a")
        aws.on_exchange = None
        assert len(aws.ledger()) == items


class TestSes:
    """What SES tells of itself."""

    def test_the_account(self, aws: AwsWorld) -> None:
        """Out of its sandbox, unless told otherwise; a reset forgets that."""
        ses = aws.client("sesv2")
        assert ses.get_account()["ProductionAccessEnabled"] is True
        aws.ses.production_access = False
        answer = ses.get_account()
        assert (answer["ProductionAccessEnabled"], answer["SendQuota"]["Max24HourSend"]) == (False, 200.0)
        aws.reset()
        assert ses.get_account()["ProductionAccessEnabled"] is True

    def test_identities(self, aws: AwsWorld) -> None:
        """Verified, pending, and not there; a configuration set is named only where there is one."""
        ses = aws.client("sesv2")
        aws.verify_sender(SENDER)
        aws.ses.identities["example.test"] = False
        aws.ses.default_configuration_sets[SENDER] = "daily"
        address, domain = (ses.get_email_identity(EmailIdentity=name) for name in (SENDER, "example.test"))
        assert (address["IdentityType"], address["VerifiedForSendingStatus"]) == ("EMAIL_ADDRESS", True)
        assert address["ConfigurationSetName"] == "daily"
        assert (domain["IdentityType"], domain["VerificationStatus"]) == ("DOMAIN", "PENDING")
        assert "ConfigurationSetName" not in domain
        with pytest.raises(ses.exceptions.NotFoundException):
            ses.get_email_identity(EmailIdentity="nobody@example.test")

    def test_configuration_sets(self, aws: AwsWorld) -> None:
        """There or not, sending or not."""
        ses = aws.client("sesv2")
        aws.ses.configuration_sets["daily"] = False
        found = ses.get_configuration_set(ConfigurationSetName="daily")
        assert found["SendingOptions"] == {"SendingEnabled": False}
        with pytest.raises(ses.exceptions.NotFoundException):
            ses.get_configuration_set(ConfigurationSetName="other")


def test_the_ledger_is_backed_up(aws: AwsWorld) -> None:
    """As the template has it."""
    found = aws.client("dynamodb").describe_continuous_backups(TableName=LEDGER_TABLE)
    recovery = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
