"""A fake of AWS: scripting, recording and inspection, independent of the transport.

`sandbox.memory_aws` serves the calls within this process, `sandbox.moto_aws` over HTTP.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import boto3
from boto3.dynamodb.types import Binary, TypeDeserializer
from botocore.config import Config

from sandbox.ses import SesAccount

REGION = "us-east-1"
ACCESS_KEY = "AKIAFAKESANDBOX00000"
SECRET_KEY = "fake-secret-key"
PARAMETER_PATH = "/closrads/sandbox"
CONTAINER_PARAMETER_PATH = "/closrads/container"
LEDGER_TABLE = "closrads-sandbox"
PUSH_QUEUE = "closrads-sandbox-pushes.fifo"
PUSH_QUEUE_PROPERTIES: Mapping[str, Any] = {
    "FifoQueue": True,
    "DelaySeconds": 10,
    "VisibilityTimeout": 1800,
    "RedrivePolicy": {"maxReceiveCount": 6},
}
"""As in the template."""
CONTAINER_HOST = "host.docker.internal"
"""Host name by which a container reaches this machine."""

DROPPED = "connection dropped"
"""Error code for `AwsWorld.fail`: the connection closes without a response."""
SILENT, SILENT_SECONDS = "no response", 5.0
"""Error code for `AwsWorld.fail`: nothing is sent for so long that the client gives up, then the connection closes.

The client repeats the call although the first one may have taken effect (DynamoDB Developer Guide, "Error retries and
exponential backoff"). In memory, no time passes.
"""

_SECURE = ("closrtech/email", "closrtech/password", "access_token", "meta/app_secret", "verify_token")
_LISTS = ("fb_campaign_ids", "skip_adsets", "email/recipients")


@dataclass(frozen=True)
class Mail:
    """One mail that SES has accepted."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    html: str
    text: str
    reply_to: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers, by name and value."""


@dataclass(frozen=True)
class AwsRequest:
    """One call. `service` is spelled as in boto3; `params` are not compared."""

    service: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass
class ScriptedFault:
    """A scripted error, and the calls that it still applies to."""

    request: AwsRequest
    code: str
    status: int
    times: int | None
    skip: int
    applied: bool
    members: Mapping[str, Any]

    def matches(self, request: AwsRequest) -> bool:
        """Return whether the fault applies to this call."""
        return self.request.service in {"any", request.service} and self.request.operation in {"any", request.operation}


class AwsWorld(ABC):
    """SSM, SES and DynamoDB: their state, their scripted faults and the record of every call."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held during each call."""
        self.mails: list[Mail] = []
        self.requests: list[AwsRequest] = []
        self.ses = SesAccount()
        self._faults: list[ScriptedFault] = []
        self.on_exchange: Callable[[str], None] | None = None
        """See `sandbox.server.Served.on_exchange`."""
        self.query_limit: int | None = None
        """Maximum number of items that a DynamoDB query returns per page; None for no limit other than the size."""

    @abstractmethod
    def start(self) -> None:
        """Start with empty services."""

    @abstractmethod
    def stop(self) -> None:
        """Stop."""

    def reset(self) -> None:
        """Empty every service except for the ledger's table, and clear the mails, the calls and the faults."""
        with self.lock:
            self._empty()
            self.mails.clear()
            self.requests.clear()
            self.ses = SesAccount()
            self._faults.clear()
            self.on_exchange = None
            self.query_limit = None

    @abstractmethod
    def _empty(self) -> None:
        """Empty every service, and create the ledger's table."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The endpoint URL for every service, without a trailing slash."""

    @property
    def push_queue_url(self) -> str:
        """The URL of the queue of Meta's pushes."""
        return f"https://sqs.{REGION}.amazonaws.com/123456789012/{PUSH_QUEUE}"

    @abstractmethod
    def client(self, name: str) -> Any:
        """Return a boto3-compatible client, which does not retry."""

    def put_parameters(self, values: Mapping[str, str | Iterable[str]]) -> None:
        """Put parameters, named relative to the path, for processes on this machine and for containers.

        The containers' copy refers to this machine as `CONTAINER_HOST`. Lists become comma-separated text. The calls
        are not recorded.
        """
        for name, given in values.items():
            value = given if isinstance(given, str) else ",".join(given)
            kind = "SecureString" if name.endswith(_SECURE) else "StringList" if name.endswith(_LISTS) else "String"
            self._put_parameter(f"{PARAMETER_PATH}/{name}", value, kind)
            in_container = value.replace("//127.0.0.1:", f"//{CONTAINER_HOST}:")
            self._put_parameter(f"{CONTAINER_PARAMETER_PATH}/{name}", in_container, kind)

    def delete_parameters(self, *names: str) -> None:
        """Delete parameters, named relative to the path, under both paths."""
        for name in names:
            for path in (PARAMETER_PATH, CONTAINER_PARAMETER_PATH):
                self._delete_parameter(f"{path}/{name}")

    @abstractmethod
    def _put_parameter(self, name: str, value: str, kind: str) -> None:
        """Put a parameter of the given type under its full name."""

    @abstractmethod
    def _delete_parameter(self, name: str) -> None:
        """Delete the parameter with this full name, if it exists."""

    def verify_sender(self, address: str) -> None:
        """Verify an address as a sender; SES refuses all others."""
        self.ses.identities[address] = True

    def ledger(self) -> list[dict[str, Any]]:
        """Return all items of the ledger, sorted by key."""
        with self.lock:
            items = self._ledger_items()
        read = TypeDeserializer().deserialize
        plain = [{name: _plain(read(value)) for name, value in item.items()} for item in items]
        return sorted(plain, key=lambda item: (item["pk"], item["sk"]))

    @abstractmethod
    def _ledger_items(self) -> list[dict[str, Any]]:
        """Return all items of the ledger, in DynamoDB's JSON."""

    def fail(  # noqa: PLR0913 - all but the first three have defaults
        self,
        service: str,
        operation: str,
        code: str,
        status: int = 400,
        times: int | None = 1,
        *,
        applied: bool = False,
        skip: int = 0,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Script an error for the next `times` calls (None: all calls) of an operation.

        `code` is an AWS error code, `DROPPED` or `SILENT`. "any" matches every service or operation. `skip` matching
        calls succeed first. With `applied`, the operation takes effect before it fails. `members` are further fields of
        the error response.
        """
        with self.lock:
            self._faults.append(
                ScriptedFault(AwsRequest(service, operation), code, status, times, skip, applied, members or {})
            )

    def clear_faults(self) -> None:
        """Remove all scripted faults."""
        with self.lock:
            self._faults.clear()

    def fault_for(self, request: AwsRequest) -> ScriptedFault | None:
        """Record a call, and return the scripted fault that applies to it, with its remaining count reduced."""
        with self.lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times == 0 or not fault.matches(request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
            return None


def new_client(name: str, url: str) -> Any:
    """Return a boto3 client with fake credentials for the given endpoint, which does not retry."""
    return boto3.session.Session().client(
        name,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )


def _plain(value: Any) -> Any:
    """Convert an attribute to built-in types."""
    match value:
        case Binary():
            return value.value  # type: ignore[attr-defined] # the stubs leave it out
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list() | set():
            return type(value)(map(_plain, value))
        case dict():
            return {name: _plain(each) for name, each in value.items()}
    return value


def mail_of(call: Mapping[str, Any]) -> Mail:
    """Return the mail in the parameters of `SendEmail`."""
    destination = call.get("Destination", {})
    recipients = tuple(address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses", ()))
    sender = call.get("FromEmailAddress", "")
    content = call["Content"]
    if "Simple" in content:
        simple = content["Simple"]
        html, text = (simple["Body"].get(part, {}).get("Data", "") for part in ("Html", "Text"))
        headers = tuple((header["Name"], header["Value"]) for header in simple.get("Headers", ()))
        reply_to = tuple(call.get("ReplyToAddresses", ()))
        return Mail(sender, recipients, simple["Subject"]["Data"], html, text, reply_to, headers)
    message = message_from_bytes(content["Raw"]["Data"], policy=policy.default)
    bodies = {kind: message.get_body((kind,)) for kind in ("html", "plain")}
    html, text = (part.get_content() if part is not None else "" for part in bodies.values())
    return Mail(
        sender or str(message["From"]), recipients or (str(message["To"]),), str(message["Subject"]), html, text
    )
