"""The AWS in memory over HTTP, faster than moto.

It speaks the JSON protocols of DynamoDB and of the Parameter Store, and what `SendEmail` of SES takes.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from botocore import xform_name

from sandbox.aws import AwsRequest
from sandbox.memory_aws import MemoryAws
from sandbox.memory_aws.errors import AwsError
from sandbox.server import HttpRequest, Reply, Server

_SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSSM": "ssm"}
"""By the beginning of the header `X-Amz-Target`."""
_MAIL = "/v2/email/outbound-emails"


class MemoryAwsOverHttp(MemoryAws):
    """A `MemoryAws` that other processes reach, too."""

    def __init__(self) -> None:
        self._server = Server(self._answer)
        super().__init__()

    @property
    def url(self) -> str:
        """The endpoint URL for every service, without a trailing slash."""
        return self._server.url

    def start(self) -> None:
        """Listen on 127.0.0.1."""
        self._server.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.stop()

    def _answer(self, http: HttpRequest) -> Reply:
        request = _named(http)
        if request is None:
            return Reply(HTTPStatus.NOT_FOUND)
        perform = partial(getattr(self.service(request.service), xform_name(request.operation)), **request.params)
        try:
            answer = self.exchange(request, perform)
        except AwsError as error:
            content = {"__type": error.code, "message": error.message, **error.members}
            return Reply(error.status, _written(content), headers=(("x-amzn-errortype", error.code),))
        return Reply(body=_written(answer))


def _named(http: HttpRequest) -> AwsRequest | None:
    """Return the call; None if it is none of those that are spoken here."""
    target = next((value for name, value in http.headers.items() if name.lower() == "x-amz-target"), "")
    prefix, _, operation = target.partition(".")
    if prefix in _SERVICES:
        call = _read(json.loads(http.body))
        call.pop("ClientRequestToken", None)  # that a transaction is not repeated matters to clients that repeat calls
        return AwsRequest(_SERVICES[prefix], operation, call)
    if (http.method, http.path) == ("POST", _MAIL):
        call = json.loads(http.body)
        if "Raw" in call["Content"]:
            call["Content"]["Raw"]["Data"] = b64decode(call["Content"]["Raw"]["Data"])
        return AwsRequest("sesv2", "SendEmail", call)
    return None


def _read(value: Any) -> Any:
    """Return parameters with their binary attributes decoded."""
    match value:
        case {"B": str(encoded), **rest} if not rest:
            return {"B": b64decode(encoded)}
        case Mapping():
            return {name: _read(each) for name, each in value.items()}
        case list():
            return [_read(each) for each in value]
    return value


def _written(content: Any) -> bytes:
    return json.dumps(content, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Return what JSON has no word for as AWS's protocols write it."""
    if isinstance(value, datetime):
        return value.timestamp()
    return b64encode(bytes(value)).decode()
