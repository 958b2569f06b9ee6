"""One running sandbox for all tests, emptied before each, with a clock that the test moves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox import Sandbox
from sandbox.in_process import InProcessSandbox
from sandbox.meta import MetaWorld

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
