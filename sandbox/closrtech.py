"""A fake of CLOSRTECH: `GET /demand.php?campaign=&email=&pass=` returns the demand by state."""

import json
import threading
from dataclasses import dataclass
from typing import Any

from sandbox.server import Delivery, HttpRequest, Reply, Served, Server

DOWN = Reply(503, b"Service Unavailable", "text/plain")
DROPPED = Reply(body=None, delivery=Delivery.DROPPED)
STALLED = Reply(body=None, delivery=Delivery.STALLED)
HTML = Reply(200, b"<html><body>Scheduled maintenance</body></html>", "text/html")
TRICKLED = Reply(delivery=Delivery.TRICKLED)
DRIPPED = Reply(delivery=Delivery.DRIPPED)
"""Headers that arrive byte by byte and never end."""
REQUEST_TIMEOUT = Reply(408, b"Request Timeout", "text/plain")
TOO_EARLY = Reply(425, b"Too Early", "text/plain")
"""Both statuses ask the client to repeat the request (RFC 9110, RFC 8470)."""
SUSPENDED = Reply(200, b'{"status":"error","message":"Account suspended"}')
"""An error with status 200, as sent by similar feeds (wc-api-python #40)."""


def huge(megabytes: int = 32) -> Reply:
    """Return a valid JSON response of this size, which a client should not hold in memory."""
    return Reply(200, b'{"TX":' + b" " * (megabytes << 20) + b"1}")


def redirected(location: str) -> Reply:
    """Return a redirect; a client must not send the password to the new location."""
    return Reply(302, headers=(("Location", location),))


@dataclass
class _Script:
    reply: Reply
    times: int | None
    campaign: str | None


class ClosrtechWorld(Served):
    """The partner's feed: its credentials, its demand, its scripted misbehaviour and the record of its requests."""

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.RLock()
        self._server = Server(self._observed(self._answer), port)
        self.reset()

    def reset(self) -> None:
        """Clear the demand, the scripts and the requests."""
        self._server.accept()
        self._server.release()
        self.on_exchange = None
        with self._lock:
            self.email = "feed@example.test"
            self.password = "FAKE-feed-password"
            self.demand: dict[str, dict[str, int]] = {}
            self.requests: list[dict[str, str]] = []
            """The query of each request, without the password."""
            self._scripts: list[_Script] = []

    def answer(
        self,
        body: Any,
        status: int = 200,
        content_type: str = "application/json",
        times: int | None = None,
        campaign: str | None = None,
    ) -> None:
        """Script the body of the next `times` responses (None: all): bytes, a string, or a value to encode as JSON.

        `campaign` restricts it to one campaign code. The credentials are not checked.
        """
        match body:
            case bytes():
                content = body
            case str():
                content = body.encode()
            case _:
                content = json.dumps(body).encode()
        self.misbehave(Reply(status, content, content_type), times, campaign)

    def misbehave(self, reply: Reply, times: int | None = None, campaign: str | None = None) -> None:
        """Script the next `times` responses (None: all): one of this module's replies, or any other."""
        with self._lock:
            self._scripts.append(_Script(reply, times, campaign))

    def _answer(self, http: HttpRequest) -> Reply:
        campaign = http.query.get("campaign", "")
        with self._lock:
            self.requests.append({name: value for name, value in http.query.items() if name != "pass"})
            for script in self._scripts:
                if script.times != 0 and script.campaign in {None, campaign}:
                    if script.times is not None:
                        script.times -= 1
                    return script.reply
            if (http.method, http.path) != ("GET", "/demand.php"):
                return _json({"error": "not found"}, 404)
            if (http.query.get("email"), http.query.get("pass")) != (self.email, self.password):
                return _json({"error": "wrong login"}, 401)
            if campaign not in self.demand:
                return _json({"error": "unknown campaign"}, 404)
            return _json(self.demand[campaign])


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode())
