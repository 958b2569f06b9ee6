"""A small HTTP/1.1 server on 127.0.0.1: keep-alive, one thread per connection, and every kind of broken response.

It is based on the standard library because no web framework lets an application stop in the middle of a body, send
nothing at all, or close the connection.
"""

import math
import socket
import subprocess
import sys
import threading
import time
from binascii import a2b_qp
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit

STOP_SECONDS = 5.0
TRICKLE_SECONDS = 0.02
POLL_SECONDS = 0.01
"""Interval at which a listening thread checks whether to stop."""


class Delivery(Enum):
    """How a response reaches the client."""

    WHOLE = auto()
    TRUNCATED = auto()
    """Content-Length announces the whole body, half of it is sent, then the connection closes."""
    DROPPED = auto()
    """The connection closes without a response."""
    STALLED = auto()
    """Nothing is sent until `Reply.seconds` have passed or the server is released; then the connection closes."""
    TRICKLED = auto()
    """The headers arrive, then one space at a time, until the server is released or the client gives up."""
    DRIPPED = auto()
    """The headers arrive byte by byte, until the server is released or the client gives up."""


@dataclass(frozen=True)
class Reply:
    """One response. A `body` of None is an empty body over HTTP, and null inside a batch of Meta's."""

    status: int = HTTPStatus.OK
    body: bytes | None = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery.WHOLE
    seconds: float = math.inf
    after: float = 0.0
    """Seconds until the response starts; less if the server is released."""


@dataclass(frozen=True)
class HttpRequest:
    """One request as received; `path` is undecoded and has no query."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form body; empty for any other body."""
        if "application/x-www-form-urlencoded" not in self.headers.get("Content-Type", ""):
            return {}
        return decode_form(self.body.decode())


def decode_form(text: str) -> dict[str, str]:
    """Decode a query string or form body; of several equal names, the last wins."""
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {_unquoted(name): _unquoted(value) for name, _, value in pairs}


def _unquoted(text: str) -> str:
    # Percent-encoding is quoted-printable with another escape character; binascii decodes that in C, which is faster.
    if "%" not in text:
        return text.replace("+", " ")
    quoted = text.replace("+", " ").replace("=", "=3D").replace("%", "=")
    return a2b_qp(quoted.encode()).decode(errors="replace")


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def end(process: "subprocess.Popen[Any]") -> None:
    """Terminate a process that was started here; kill it if it does not end."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """Serves `answer` on a port of 127.0.0.1 until `stop`."""

    def __init__(
        self, answer: Callable[[HttpRequest], Reply], port: int = 0, now: Callable[[], float] = time.time
    ) -> None:
        self.answer = answer
        self.now = now
        self._released = threading.Event()
        self._listener: _Listener | None = None
        self._refusing = False
        self._lock = threading.RLock()
        self.port = port

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on a free port the first time, and on the same port after a `stop`."""
        with self._lock:
            if self._listener is None:
                self._released.clear()
                self._listener = _Listener(self, self._released)
                self.port = self._listener.server_address[1]
                self._thread = threading.Thread(target=self._listener.serve_forever, args=(POLL_SECONDS,), daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        with self._lock:
            self._refusing = False
            if self._listener is not None:
                self._released.set()
                self._listener.shutdown()
                self._thread.join()
                self._listener.server_close()
                self._listener.hang_up()
                self._listener = None

    def refuse(self) -> None:
        """Refuse every connection, as after `stop`, until `accept`."""
        with self._lock:
            self.stop()
            self._refusing = True

    def accept(self) -> None:
        """Listen again after `refuse`."""
        with self._lock:
            if self._refusing:
                self._refusing = False
                self.start()

    def release(self) -> None:
        """End every stalled or trickling response now."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()
            if self._listener is not None:
                self._listener.released = self._released


def _nobody(_: str) -> None:
    """Ignore the exchange."""


class Served:
    """Base class of the fakes that run on a `Server`."""

    _server: Server
    on_exchange: Callable[[str], None] | None = None
    """Called in the serving thread for each HTTP exchange.

    The argument is "before" when the request has arrived but has no effect yet, and "after" when it has taken effect
    but the response has not been sent. A `ConnectionError` that it raises closes the connection at that point.
    """

    def _observed(self, answer: Callable[[HttpRequest], Reply]) -> Callable[[HttpRequest], Reply]:
        """Return `answer` with calls of `on_exchange` around it."""

        def observed(http: HttpRequest) -> Reply:
            tell = self.on_exchange or _nobody
            tell("before")
            reply = answer(http)
            tell("after")
            return reply

        return observed

    def serve_with(self, other: Callable[[Server], Server]) -> None:
        """Replace the server."""
        self._server = other(self._server)

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return self._server.url

    def start(self) -> None:
        """Listen on 127.0.0.1."""
        self._server.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._server.stop()

    def refuse_connections(self) -> None:
        """Refuse every connection until `accept_connections` or a reset."""
        self._server.refuse()

    def accept_connections(self) -> None:
        """Listen again, on the same port."""
        self._server.accept()

    def release(self) -> None:
        """End every stalled or trickling response now."""
        self._server.release()


class _Listener(ThreadingMixIn, TCPServer):
    """The listening socket and its open connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: Server, released: threading.Event) -> None:
        self.owner = owner
        self.released = released
        self._connections: dict[Any, threading.Thread | None] = {}
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", owner.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections[request] = threading.current_thread()
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._connections.pop(request, None)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """Close the clients' keep-alive connections, and wait for their threads (except for the calling one)."""
        own = threading.current_thread()
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # its thread or its client has closed it first
                    continue
            self._changed.wait_for(lambda: {own}.issuperset(self._connections.values()), STOP_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection, which many tests provoke."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads one request, writes one response, and keeps the connection open for the next."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each response on a kept-alive connection can be delayed by 40 ms
    wbufsize = -1  # sends the status line, headers and body in one packet

    def _answer(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client has gone; an incomplete request has no effect
            self.close_connection = True
            return
        headers = dict(self.headers.items())
        request = HttpRequest(self.command, url.path, decode_form(url.query), headers, body)
        released = self.server.released  # a release during this request applies to it
        self._send(self.server.owner.answer(request), released)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that http.server looks for

    def _send(self, reply: Reply, released: threading.Event) -> None:
        self.close_connection |= reply.delivery is not Delivery.WHOLE
        if reply.after:
            released.wait(reply.after)
        if reply.delivery is Delivery.STALLED:
            released.wait(None if math.isinf(reply.seconds) else reply.seconds)
        elif reply.delivery is Delivery.TRICKLED:
            self._send_head(reply, {"Connection": "close"})
            self._drip(b" ", released)
        elif reply.delivery is Delivery.DRIPPED:
            self.wfile.write(f"{self.protocol_version} {reply.status} OK\r\nX-Slow: ".encode())
            self._drip(b"-", released)
        elif reply.delivery is not Delivery.DROPPED:
            body = reply.body or b""
            self._send_head(reply, {"Content-Length": str(len(body))})
            self.wfile.write(body if reply.delivery is Delivery.WHOLE else body[: len(body) // 2])

    def _drip(self, byte: bytes, released: threading.Event) -> None:
        self.wfile.flush()
        while not released.wait(TRICKLE_SECONDS):
            self.wfile.write(byte)
            self.wfile.flush()

    def _send_head(self, reply: Reply, framing: dict[str, str]) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in (*reply.headers, *framing.items()):
            self.send_header(name, value)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the `Date` header of a response."""
        return super().date_time_string(self.server.owner.now() if timestamp is None else timestamp)

    def log_message(self, *_: Any) -> None:
        """Disable the access log: the URLs contain tokens and passwords."""
