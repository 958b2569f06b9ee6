"""A stand-in for AWS: moto's server on 127.0.0.1, with a record of the calls and of the mails.

moto keeps its state in globals of the process: two sandboxes that run at the same time share parameters and identities,
and starting or resetting one empties them for both.
"""

import copy
import json
import logging
import os
import socket
import threading
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from email import message_from_bytes, policy
from http import HTTPStatus
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import moto.dynamodb.models
from boto3.dynamodb.types import Binary, TypeDeserializer
from botocore.config import Config
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.server import POLL_SECONDS
from sandbox.ses import SesAccount

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

REGION = "us-east-1"
ACCESS_KEY = "AKIAFAKESANDBOX00000"
SECRET_KEY = "fake-secret-key"
PARAMETER_PATH = "/closrads/sandbox"
CONTAINER_PARAMETER_PATH = "/closrads/container"
LEDGER_TABLE = "closrads-sandbox"
CONTAINER_HOST = "host.docker.internal"
"""The name under which a container reaches this machine."""

DROPPED = "connection dropped"
"""Given to `AwsWorld.fail` as the code: no answer at all, the connection closes."""

_SECURE = ("closrtech/email", "closrtech/password", "access_token", "meta/app_secret")
_LISTS = ("fb_campaign_ids", "email/recipients")


@dataclass(frozen=True)
class Mail:
    """One mail that SES took."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class AwsRequest:
    """One call: the service's name as boto3 spells it, and the operation (or method and path, see `_named`)."""

    service: str
    operation: str


@dataclass
class _Fault:
    request: AwsRequest
    code: str
    status: int
    times: int | None
    skip: int
    applied: bool

    def matches(self, request: AwsRequest) -> bool:
        return self.request.service in {"any", request.service} and self.request.operation in {"any", request.operation}


class AwsWorld:
    """SSM, SES, DynamoDB and all else that moto has, with fake credentials."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._clients: dict[str, Any] = {}
        self.lock = threading.RLock()
        """Held during each call: moto checks a condition and writes in two steps."""
        self.mails: list[Mail] = []
        self.requests: list[AwsRequest] = []
        self.ses = SesAccount()
        self._faults: list[_Fault] = []
        self.on_exchange: Callable[[str], None] | None = None
        """As `sandbox.server.Served.on_exchange`."""

    def start(self) -> None:
        """Listen on 127.0.0.1, with nothing in it."""
        if self._server is None:
            logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no access log
            application = _Recorder(self, DomainDispatcherApplication(create_backend_app))
            self._server = make_server(
                "127.0.0.1", self._port, application, threaded=True, request_handler=MotoRequestHandler
            )
            self._port = self._server.server_port
            self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
            self._thread.start()
            with patch.dict(os.environ):
                for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):  # moto's first use of boto3 fails on an unknown one
                    os.environ.pop(name, None)
                self.reset()

    def stop(self) -> None:
        """Close the port and the clients."""
        if self._server is not None:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def reset(self) -> None:
        """Empty every service but for the ledger's table, and forget the mails, the calls and the faults."""
        with self.lock:
            moto_api_backend.reset()
            _create_ledger()
            self.mails.clear()
            self.requests.clear()
            self.ses = SesAccount()
            self._faults.clear()
            self.on_exchange = None

    @property
    def url(self) -> str:
        """The endpoint URL for every service, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    def client(self, name: str) -> Any:
        """Return a boto3 client of this AWS; it is kept, and closed by `stop`."""
        if name not in self._clients:
            self._clients[name] = new_client(name, self.url)
        return self._clients[name]

    def put_parameters(self, values: Mapping[str, str | Iterable[str]]) -> None:
        """Put parameters, named relative to the path, under the paths of the host and of containers.

        The container's copy names this machine as a container sees it. Lists become comma-separated text. No calls are
        recorded for this.
        """
        for name, given in values.items():
            value = given if isinstance(given, str) else ",".join(given)
            self._put(f"{PARAMETER_PATH}/{name}", value)
            self._put(f"{CONTAINER_PARAMETER_PATH}/{name}", value.replace("//127.0.0.1:", f"//{CONTAINER_HOST}:"))

    def _put(self, name: str, value: str) -> None:
        kind = "SecureString" if name.endswith(_SECURE) else "StringList" if name.endswith(_LISTS) else "String"
        _moto("ssm").put_parameter(
            name=name,
            description="",
            value=value,
            parameter_type=kind,
            allowed_pattern="",
            keyid="alias/aws/ssm" if kind == "SecureString" else "",
            overwrite=True,
            tags=[],
            data_type="text",
            tier=None,
            policies=None,
        )

    def delete_parameters(self, *names: str) -> None:
        """Delete parameters, named relative to the path, under both paths."""
        paths = (PARAMETER_PATH, CONTAINER_PARAMETER_PATH)
        _moto("ssm").delete_parameters([f"{path}/{name}" for name in names for path in paths])

    def verify_sender(self, address: str) -> None:
        """Let SES send from this address; it refuses every other."""
        _moto("ses").verify_email_identity(address)
        self.ses.identities[address] = True

    def ledger(self) -> list[dict[str, Any]]:
        """Return all items of the ledger in the order of their keys."""
        with self.lock:
            items = [item.to_json()["Attributes"] for item in _moto("dynamodb").tables[LEDGER_TABLE].all_items()]
        read = TypeDeserializer().deserialize
        plain = [{name: _plain(read(value)) for name, value in item.items()} for item in items]
        return sorted(plain, key=lambda item: (item["pk"], item["sk"]))

    def fail(  # noqa: PLR0913 - all but the first three have a default
        self,
        service: str,
        operation: str,
        code: str,
        status: int = 400,
        times: int | None = 1,
        *,
        applied: bool = False,
        skip: int = 0,
    ) -> None:
        """Answer the next `times` calls (None: all) of an operation with an AWS error of this code, or with `DROPPED`.

        "any" stands for every service or operation.
        `applied` does what was asked first; `skip` calls go well before.
        """
        with self.lock:
            self._faults.append(_Fault(AwsRequest(service, operation), code, status, times, skip, applied))

    def clear_faults(self) -> None:
        """Take back every scripted fault that still waits."""
        with self.lock:
            self._faults.clear()

    def fault_for(self, request: AwsRequest) -> _Fault | None:
        """Note a call down, and return the scripted fault for it, used up by one."""
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
    """Return a boto3 client of a stand-in for AWS, with fake credentials; it tries everything once."""
    return boto3.session.Session().client(
        name,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )


def _moto(service: str) -> Any:
    """Return moto's state of a service, imported at the first use: some services take a second."""
    return get_backend(service)[DEFAULT_ACCOUNT_ID][REGION]


def _create_ledger() -> None:
    keys = {"pk": "HASH", "sk": "RANGE"}
    open_keys = {"pk": "HASH", "open_since": "RANGE"}
    _moto("dynamodb").create_table(
        LEDGER_TABLE,
        schema=_key_schema(keys),
        attr=[{"AttributeName": name, "AttributeType": "S"} for name in keys | open_keys],
        indexes=[
            {"IndexName": "open", "KeySchema": _key_schema(open_keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
        billing_mode="PAY_PER_REQUEST",
        throughput=None,
        global_indexes=[],
        streams=None,
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    _moto("dynamodb").update_continuous_backups(LEDGER_TABLE, {"PointInTimeRecoveryEnabled": True})


def _key_schema(keys: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]


def _plain(value: Any) -> Any:
    """Return an attribute without boto3's own types."""
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


class _Recorder:
    """WSGI middleware around moto: it notes calls, answers the scripted faults, and keeps the mails.

    moto itself keeps only the HTML part of a mail.
    """

    def __init__(self, world: AwsWorld, application: Callable[..., Iterable[bytes]]) -> None:
        self._world = world
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        tell = self._world.on_exchange or _nobody
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(length)
            if len(body) < length:
                raise ConnectionAbortedError("the client is gone; half a call asks for nothing")
            tell("before")
            request = _named(environ)
            fault = self._world.fault_for(request)
            if fault is None:
                answer = self._do(request, environ, body, start_response)
            else:
                if fault.applied:
                    self._do(request, environ, body, _nobody)
                answer = _injected(fault, environ, start_response)
            tell("after")
            if fault is not None and fault.code == DROPPED:
                raise ConnectionAbortedError(DROPPED)
        except ConnectionError:
            with suppress(OSError):  # the client may have been faster
                # The server lets a connection without an answer stay open.
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        return answer

    def _do(
        self, request: AwsRequest, environ: "WSGIEnvironment", body: bytes, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        statuses: list[str] = []

        def note_status(status: str, *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, *rest)

        if told := self._world.ses.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            status, content = told
            error = [] if status == HTTPStatus.OK else [("x-amzn-errortype", "NotFoundException")]
            start_response(f"{status} {status.phrase}", [("Content-Type", "application/json"), *error])
            return [content]
        environ["wsgi.input"] = BytesIO(body)
        with self._world.lock, _light_backups():
            answer = self._application(environ, note_status)
            if request == AwsRequest("sesv2", "SendEmail") and statuses[0].startswith("200"):
                self._world.mails.append(_mail(json.loads(body)))
        return answer


@contextmanager
def _light_backups() -> Iterator[None]:
    """Have moto back up what a transaction changes: by itself it copies the whole table, once for each part."""
    backups: dict[int, Any] = {}

    def light_copy(original: Any) -> Any:
        if isinstance(original, Table):
            if id(original) not in backups:
                backups[id(original)] = backup = copy.copy(original)
                backup.items = defaultdict(dict, {key: dict(items) for key, items in original.items.items()})
            return backups[id(original)]
        duplicate = copy.deepcopy(original)
        if isinstance(original, Item):  # it is going to be changed in place
            for backup in backups.values():
                backup.items[original.hash_key][original.range_key] = duplicate
        return duplicate

    with patch.object(moto.dynamodb.models, "copy", SimpleNamespace(deepcopy=light_copy)):
        yield


def _nobody(*_: Any) -> None:
    """Take what nobody wants to hear."""


def _injected(fault: _Fault, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):  # the query protocol
        start_response(f"{fault.status} Injected", [("Content-Type", "text/xml")])
        error = f"<Error><Type>Sender</Type><Code>{fault.code}</Code><Message>injected by the sandbox</Message></Error>"
        return [f"<ErrorResponse>{error}<RequestId>injected</RequestId></ErrorResponse>".encode()]
    headers = [("Content-Type", "application/json"), ("x-amzn-errortype", fault.code)]
    start_response(f"{fault.status} Injected", headers)
    return [json.dumps({"__type": fault.code, "message": "injected by the sandbox"}).encode()]


def _named(environ: "WSGIEnvironment") -> AwsRequest:
    """Name a call by its target header; services without one show method and path, but for the mails."""
    credential = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
    service = credential[3] if len(credential) > 3 else "unknown"  # noqa: PLR2004 - key/date/region/service
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if (method, path) == ("POST", "/v2/email/outbound-emails"):
        return AwsRequest("sesv2", "SendEmail")
    if path.startswith("/v2/email/"):
        service = "sesv2"  # it signs as "ses"
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    return AwsRequest(service, target or f"{method} {path}")


def _mail(call: dict[str, Any]) -> Mail:
    destination = call.get("Destination", {})
    recipients = tuple(address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses", ()))
    sender = call.get("FromEmailAddress", "")
    content = call["Content"]
    if "Simple" in content:
        simple = content["Simple"]
        html, text = (simple["Body"].get(part, {}).get("Data", "") for part in ("Html", "Text"))
        return Mail(sender, recipients, simple["Subject"]["Data"], html, text)
    message = message_from_bytes(b64decode(content["Raw"]["Data"]), policy=policy.default)
    bodies = {kind: message.get_body((kind,)) for kind in ("html", "plain")}
    html, text = (part.get_content() if part is not None else "" for part in bodies.values())
    return Mail(
        sender or str(message["From"]), recipients or (str(message["To"]),), str(message["Subject"]), html, text
    )
