"""A Lambda function URL: HTTP requests become events in payload format 2.0, and answers become responses.

Source: Lambda Developer Guide, "Invoking Lambda function URLs" and "Function URL quotas".
"""

from base64 import b64encode
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import requests

from sandbox.server import HttpRequest, Reply

MOST_BYTES = 6 * 1024 * 1024
"""Maximum size of a request: a larger one is refused before the function begins."""
_TEXTS = ("text/", "application/json", "application/xml", "application/javascript")
"""Content types whose bodies arrive as they are; others arrive in Base64."""


class FunctionUrl:
    """Calls a function for each HTTP request."""

    def __init__(self, function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._function = function

    def __call__(self, request: HttpRequest) -> Reply:
        """Answer a request."""
        if len(request.body) > MOST_BYTES:
            return Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b'{"message":"Request Too Long"}')
        answer = self._function(event_of(request))
        return Reply(answer["statusCode"], answer["body"].encode(), answer["headers"]["content-type"])


def deliver_to(url: str) -> Callable[[HttpRequest], int]:
    """Return what sends a request to an address and returns the status; a failure is a `ConnectionError`."""

    def deliver(request: HttpRequest) -> int:
        address = f"{url}{request.path}?{urlencode(request.query)}"
        headers = dict(request.headers)
        try:
            return requests.request(request.method, address, headers=headers, data=request.body, timeout=10).status_code
        except requests.RequestException as error:
            raise ConnectionError(str(error)) from None

    return deliver


def event_of(request: HttpRequest) -> dict[str, Any]:
    """Return the event for a request; names of headers are in lower case, and a missing body is left out."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    encoded = not headers.get("content-type", "").startswith(_TEXTS)
    body = b64encode(request.body) if encoded else request.body
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": request.path,
        "headers": headers,
        "requestContext": {"http": {"method": request.method, "path": request.path, "sourceIp": "192.0.2.1"}},
        "isBase64Encoded": encoded,
    }
    if request.query:
        event["queryStringParameters"] = dict(request.query)
    if request.body:
        event["body"] = body.decode(errors="replace")
    return event
