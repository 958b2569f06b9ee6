"""AWS: parameters, mails, records and injected errors."""

from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import AwsWorld, Mail, Sandbox
from sandbox.aws import AwsRequest

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
    aws.client("sesv2").list_email_identities()
    aws.client("dynamodb").list_tables()
    assert aws.requests == [
        AwsRequest("ssm", "GetParametersByPath"),
        AwsRequest("sesv2", "SendEmail"),
        AwsRequest("sesv2", "POST /v2/email/list-identities"),
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
