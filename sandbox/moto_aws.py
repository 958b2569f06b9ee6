"""AWS over HTTP: moto's server on 127.0.0.1, which records calls and mails.

moto's state is global to the process: concurrent sandboxes share parameters and identities, and starting or resetting
one clears them for both.
"""

import copy
import json
import logging
import os
import socket
import threading
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from http import HTTPStatus
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import parse_qs

import moto.dynamodb.models
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.aws import (
    DROPPED,
    LEDGER_TABLE,
    REGION,
    SILENT,
    SILENT_SECONDS,
    AwsRequest,
    AwsWorld,
    ScriptedFault,
    mail_of,
    new_client,
)
from sandbox.server import POLL_SECONDS

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_FORM = "application/x-www-form-urlencoded"
"""Content type of the query protocol."""
_SES_LOOKS = {"account": "GetAccount", "identities": "GetEmailIdentity", "configuration-sets": "GetConfigurationSet"}


class MotoAws(AwsWorld):
    """All of moto's services over HTTP, with fake credentials.

    `lock` is held during each call, because moto checks a condition and writes in two separate steps.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._clients: dict[str, Any] = {}

    def start(self) -> None:
        """Listen on 127.0.0.1, with empty services."""
        if self._server is None:
            logging.getLogger("werkzeug").setLevel(logging.ERROR)  # disables the access log
            dispatcher = DomainDispatcherApplication(create_backend_app)
            # It lists all of moto's folders, hundreds, to find out whether a host is one of them.
            dispatcher.get_backend_for_host = cache(dispatcher.get_backend_for_host)
            application = _Recorder(self, dispatcher)
            self._server = make_server(
                "127.0.0.1", self._port, application, threaded=True, request_handler=MotoRequestHandler
            )
            self._port = self._server.server_port
            self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
            self._thread.start()
            with patch.dict(os.environ):
                for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):  # moto fails on an unknown profile
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

    def _empty(self) -> None:
        moto_api_backend.reset()
        _create_ledger()

    @property
    def url(self) -> str:
        """The endpoint URL for every service, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    def client(self, name: str) -> Any:
        """Return a boto3 client of this AWS; it is cached, and closed by `stop`."""
        if name not in self._clients:
            self._clients[name] = new_client(name, self.url)
        return self._clients[name]

    def _put_parameter(self, name: str, value: str, kind: str) -> None:
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

    def _delete_parameter(self, name: str) -> None:
        _moto("ssm").delete_parameters([name])

    def verify_sender(self, address: str) -> None:
        """Verify an address as a sender; SES refuses all others."""
        _moto("ses").verify_email_identity(address)
        super().verify_sender(address)

    def _ledger_items(self) -> list[dict[str, Any]]:
        return [item.to_json()["Attributes"] for item in _moto("dynamodb").tables[LEDGER_TABLE].all_items()]


def _moto(service: str) -> Any:
    """Return moto's state of a service, imported at first use, because some services take a second to import."""
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


class _Recorder:
    """WSGI middleware around moto that records calls, returns scripted faults, and stores mails.

    moto itself stores only the HTML part of a mail.
    """

    def __init__(self, world: MotoAws, application: Callable[..., Iterable[bytes]]) -> None:
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
            request = _named(environ, body)
            fault = self._world.fault_for(request)
            if fault is None:
                answer = self._do(request, environ, body, start_response)
            else:
                if fault.applied:
                    self._do(request, environ, body, _nobody)
                answer = _injected(fault, environ, start_response)
            tell("after")
            if fault is not None and fault.code in {DROPPED, SILENT}:
                time.sleep(SILENT_SECONDS if fault.code == SILENT else 0)
                raise ConnectionAbortedError(fault.code)
        except ConnectionError:
            with suppress(OSError):  # the client may have closed it first
                # The server keeps a connection without a response open.
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
        if request.operation == "Query" and self._world.query_limit is not None:
            body = json.dumps({**request.params, "Limit": self._world.query_limit}).encode()
            environ["CONTENT_LENGTH"] = str(len(body))
        if request == AwsRequest("sesv2", "SendEmail") and (
            refusal := self._world.ses.refusal(mail_of(_decoded(request.params)).recipients)
        ):
            start_response("400 Bad Request", [("Content-Type", "application/json"), ("x-amzn-errortype", refusal[0])])
            return [json.dumps({"message": refusal[1]}).encode()]
        environ["wsgi.input"] = BytesIO(body)
        with self._world.lock, _light_backups():
            answer = self._application(environ, note_status)
            if request == AwsRequest("sesv2", "SendEmail") and statuses[0].startswith("200"):
                self._world.mails.append(mail_of(_decoded(request.params)))
        return answer


@contextmanager
def _light_backups() -> Iterator[None]:
    """Make moto back up only the items that a transaction changes, instead of the whole table per operation."""
    backups: dict[int, Any] = {}

    def light_copy(original: Any) -> Any:
        if isinstance(original, Table):
            if id(original) not in backups:
                backups[id(original)] = backup = copy.copy(original)
                backup.items = defaultdict(dict, {key: dict(items) for key, items in original.items.items()})
            return backups[id(original)]
        duplicate = copy.deepcopy(original)
        if isinstance(original, Item):  # it is changed in place
            for backup in backups.values():
                backup.items[original.hash_key][original.range_key] = duplicate
        return duplicate

    with patch.object(moto.dynamodb.models, "copy", SimpleNamespace(deepcopy=light_copy)):
        yield


def _nobody(*_: Any) -> None:
    """Discard the arguments."""


def _injected(fault: ScriptedFault, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        start_response(f"{fault.status} Injected", [("Content-Type", "text/xml")])
        error = f"<Error><Type>Sender</Type><Code>{fault.code}</Code><Message>injected by the sandbox</Message></Error>"
        return [f"<ErrorResponse>{error}<RequestId>injected</RequestId></ErrorResponse>".encode()]
    headers = [("Content-Type", "application/json"), ("x-amzn-errortype", fault.code)]
    start_response(f"{fault.status} Injected", headers)
    return [json.dumps({"__type": fault.code, "message": "injected by the sandbox", **fault.members}).encode()]


def _named(environ: "WSGIEnvironment", body: bytes) -> AwsRequest:
    """Return the call, named by its target header or its form's action, else, except for SES, by method and path."""
    credential = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
    service = credential[3] if len(credential) > 3 else "unknown"  # noqa: PLR2004 - key/date/region/service
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    params = json.loads(body) if "json" in environ.get("CONTENT_TYPE", "") and body else {}
    if path.startswith("/v2/email/"):  # SES v2 is signed as "ses"
        kind = path.split("/")[3]
        look = _SES_LOOKS.get(kind) if method == "GET" else "SendEmail" if kind == "outbound-emails" else None
        return AwsRequest("sesv2", look or f"{method} {path}", params)
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    is_form = environ.get("CONTENT_TYPE", "").startswith(_FORM)
    action = parse_qs(body.decode()).get("Action", [""])[0] if is_form else ""
    return AwsRequest(service, target or action or f"{method} {path}", params)


def _decoded(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a `SendEmail` call with its raw message decoded from Base64."""
    if "Raw" in call["Content"]:
        return {**call, "Content": {"Raw": {"Data": b64decode(call["Content"]["Raw"]["Data"])}}}
    return call
