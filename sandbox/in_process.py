"""The sandbox without sockets: requests are answered in the calling thread, and waits take no real time.

Meta and CLOSRTECH are replaced below requests, AWS below boto3. Requests to other addresses are sent normally.
"""

from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.client import RemoteDisconnected, responses
from io import BytesIO
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from sandbox.memory_aws import MemoryAws
from sandbox.sandbox import Sandbox
from sandbox.server import Delivery, HttpRequest, Reply, Server, decode_form

FIRST_PORT = 801
"""First port number of the fake addresses, at which nothing listens."""
_ENDLESS = frozenset({Delivery.TRICKLED, Delivery.DRIPPED})
"""Of these only the client makes an end."""
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

Wait = Callable[[float], None]
"""Lets a number of seconds pass."""


class InProcessSandbox(Sandbox):
    """A `Sandbox` that replaces Meta, CLOSRTECH and AWS for this process only, within its context.

    `now` returns the time in seconds; `wait` lets time pass where a response takes time.
    """

    def __init__(self, now: Callable[[], float], wait: Wait) -> None:
        self.memory_aws = MemoryAws(now)
        super().__init__(now, aws=self.memory_aws)
        self._servers: list[InProcessServer] = []

        def in_process(server: Server) -> InProcessServer:
            self._servers.append(InProcessServer(server, FIRST_PORT + len(self._servers), wait))
            return self._servers[-1]

        self.meta.serve_with(in_process)
        self.closrtech.serve_with(in_process)

    def __enter__(self) -> Self:
        super().__enter__()
        over_sockets = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:
            for server in self._servers:
                if str(request.url).startswith(f"{server.url}/"):
                    return adapter.build_response(request, server.exchange(request, how["timeout"]))
            return over_sockets(adapter, request, **how)

        self._running.enter_context(patch.object(HTTPAdapter, "send", send))
        self._running.enter_context(self.memory_aws.installed())
        return self


class InProcessServer(Server):
    """A server without a socket, at an address of this machine where nothing listens."""

    def __init__(self, server: Server, port: int, wait: Wait) -> None:
        super().__init__(server.answer, port, server.now)
        self._wait = wait

    def start(self) -> None:
        """Accept connections."""
        self._refusing = False

    def stop(self) -> None:
        """Refuse connections."""
        self._refusing = True

    refuse = stop
    accept = start

    def exchange(self, request: requests.PreparedRequest, timeout: Any) -> urllib3.HTTPResponse:
        """Return the response to a request, or raise the exception that requests would raise."""
        if self._refusing:
            refusal = NewConnectionError(
                self._pool(), "Failed to establish a new connection: [Errno 111] Connection refused"
            )
            raise requests.ConnectionError(MaxRetryError(self._pool(), request.path_url, refusal), request=request)
        try:
            reply = self.answer(_received(request))
        except ConnectionError as error:
            raise requests.ConnectionError(ProtocolError("Connection aborted.", error), request=request) from None
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        silence = reply.after + (reply.seconds if reply.delivery is Delivery.STALLED else 0)
        if silence >= patience or reply.delivery in _ENDLESS:
            self._wait(patience)
            timed_out = ReadTimeoutError(self._pool(), request.path_url, f"Read timed out. (read timeout={patience})")
            raise requests.ReadTimeout(timed_out, request=request)
        self._wait(silence)
        if reply.delivery in {Delivery.STALLED, Delivery.DROPPED}:
            gone = RemoteDisconnected("Remote end closed connection without response")
            raise requests.ConnectionError(ProtocolError("Connection aborted.", gone), request=request)
        return self._response(reply)

    def _pool(self) -> Any:
        """Return the pool that an error names, which takes longer to make than a request."""
        return urllib3.HTTPConnectionPool("127.0.0.1", self.port)

    def _response(self, reply: Reply) -> urllib3.HTTPResponse:
        body = b"" if reply.body is None or reply.status in _WITHOUT_BODY else reply.body
        headers = {
            "Date": formatdate(self.now(), usegmt=True),
            "Content-Type": reply.content_type,
            **dict(reply.headers),
            "Content-Length": str(len(body)),
        }
        return urllib3.HTTPResponse(
            BytesIO(body if reply.delivery is Delivery.WHOLE else body[: len(body) // 2]),
            headers,
            int(reply.status),
            reason=responses.get(reply.status),
            preload_content=False,
            decode_content=False,
        )


def _received(request: requests.PreparedRequest) -> HttpRequest:
    """Return a request as the server receives it."""
    url = urlsplit(request.path_url)
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    return HttpRequest(str(request.method), url.path, decode_form(url.query), dict(request.headers), content)
