"""One running sandbox for all tests, emptied before each, with a clock that the test moves."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from sandbox import Sandbox
from sandbox.in_process import InProcessSandbox
from sandbox.meta import MetaWorld
from sandbox.meta.front_door import FrontDoor
from sandbox.meta.regions import KEY_BY_STATE
from sandbox.server import HttpRequest, Reply

CAMPAIGN = "120210000000000100"


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.seconds = 1_790_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    @staticmethod
    def text(seconds: float) -> str:
        """Return a time as Meta writes it."""
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class Graph:
    """A plain client of the Graph API: what it returns is the HTTP status and the decoded JSON."""

    def __init__(self, meta: MetaWorld) -> None:
        self._meta = meta
        self.session = requests.Session()
        self.session.trust_env = False

    def url(self, path: str) -> str:
        """Return the full URL of a path."""
        return f"{self._meta.url}/v26.0/{path}"

    def get(self, path: str, **params: Any) -> tuple[int, Any]:
        """GET with the token in the query."""
        reply = self.raw("GET", path, **params)
        return reply.status_code, reply.json()

    def post(self, path: str, **data: Any) -> tuple[int, Any]:
        """POST a form, with the token in the query where Meta's SDK puts it."""
        reply = self.raw("POST", path, **data)
        return reply.status_code, reply.json()

    def raw(self, method: str, path: str, **params: Any) -> requests.Response:
        """Send a request and return the reply as it is."""
        encoded = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        token = {"access_token": self._meta.token}
        if method == "GET":
            return self.session.get(self.url(path), params=encoded | token, timeout=5)
        return self.session.request(method, self.url(path), params=token, data=encoded, timeout=5)

    def set_states(self, adset_id: str, *keys: str, **more: Any) -> tuple[int, Any]:
        """Write these region keys to an ad set."""
        targeting = {"geo_locations": {"regions": [{"key": key} for key in keys]}}
        return self.post(f"{adset_id}/", targeting=targeting, **more)

    def batch(self, *items: dict[str, str], **more: Any) -> tuple[int, Any]:
        """Send a batch."""
        return self.post("", batch=list(items), **more)

    def error(self, reply: tuple[int, Any]) -> tuple[int, int, int | None]:
        """Return HTTP status, code and subcode of an error reply."""
        status, content = reply
        return status, content["error"]["code"], content["error"].get("error_subcode")


class InProcess:
    """A client that reaches Meta without a server: every call goes through the front door in this thread."""

    def __init__(self, meta: MetaWorld) -> None:
        self._meta = meta
        self._door = FrontDoor(meta)

    def raw(self, method: str, path: str, /, *, version: str = "v26.0", **params: Any) -> Reply:
        """Send a request and return the reply as it is."""
        encoded = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        token = {"access_token": self._meta.token}
        if method == "GET":
            return self._door(HttpRequest(method, f"/{version}/{path}", encoded | token, {}, b""))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._door(HttpRequest(method, f"/{version}/{path}", token, form, urlencode(encoded).encode()))

    def get(self, path: str, **params: Any) -> Any:
        """GET, and return what the answer holds."""
        return json.loads(self.raw("GET", path, **params).body or b"null")

    def post(self, path: str, **params: Any) -> Any:
        """POST a form, and return what the answer holds."""
        return json.loads(self.raw("POST", path, **params).body or b"null")

    def republish(self, *ad_ids: str) -> None:
        """Switch ads on, which must be accepted."""
        for ad_id in ad_ids:
            assert self.post(ad_id, status="ACTIVE") == {"success": True}

    def set_states(self, adset_id: str, *codes: str) -> None:
        """Write these states to an ad set, which must be accepted."""
        regions = [{"key": KEY_BY_STATE[code]} for code in codes]
        assert self.post(adset_id, targeting={"geo_locations": {"regions": regions}}) == {"success": True}

    def error(self, method: str, path: str, /, **params: Any) -> tuple[int, int, int | None]:
        """Return HTTP status, code and subcode of a call that is refused."""
        reply = self.raw(method, path, **params)
        envelope = json.loads(reply.body or b"null")["error"]
        return reply.status, envelope["code"], envelope.get("error_subcode")


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the sandbox."""
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    """Return the sandbox, empty."""
    with InProcessSandbox(clock, clock.advance) as sandbox:
        yield sandbox


@pytest.fixture
def meta(sandbox: Sandbox) -> MetaWorld:
    """Return an empty Meta with one campaign."""
    sandbox.meta.add_campaign(CAMPAIGN)
    return sandbox.meta


@pytest.fixture
def graph(meta: MetaWorld) -> Iterator[Graph]:
    """Return a client of Meta's API."""
    client = Graph(meta)
    yield client
    client.session.close()


@pytest.fixture
def quiet_meta(clock: Clock) -> MetaWorld:
    """Return a Meta of its own with one campaign, to which nothing listens."""
    meta = MetaWorld(now=clock)
    meta.add_campaign(CAMPAIGN)
    return meta


@pytest.fixture
def client(quiet_meta: MetaWorld) -> InProcess:
    """Return a client of `quiet_meta`."""
    return InProcess(quiet_meta)
