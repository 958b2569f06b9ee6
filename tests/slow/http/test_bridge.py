"""A container's way to the sandbox on Linux, tried with another address of this machine in place of Docker's bridge."""

import sys
from urllib.parse import urlsplit

import pytest
import requests

from sandbox import Sandbox
from sandbox.bridge import Bridge, bridge_address

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Docker Desktop forwards by itself")
THERE = "127.0.0.2"


def test_what_comes_over_the_bridge_is_answered(running_sandbox: Sandbox) -> None:
    """More than once, and not after the end."""
    port = urlsplit(running_sandbox.meta.url).port
    assert port
    url = f"http://{THERE}:{port}/v26.0/me"
    with Bridge(THERE, [port]):
        answers = [requests.get(url, timeout=30).status_code for _ in range(3)]
    direct = requests.get(f"{running_sandbox.meta.url}/v26.0/me", timeout=30)

    assert answers == [direct.status_code] * 3
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)


def test_where_nothing_listens_the_connection_ends() -> None:
    """As it would without a bridge."""
    with Bridge(THERE, [9]), pytest.raises(requests.ConnectionError):
        requests.get(f"http://{THERE}:9/", timeout=30)


def test_the_address_of_an_interface() -> None:
    """And none, where there is no such interface."""
    assert bridge_address("lo") == "127.0.0.1"
    assert bridge_address("no-such-bridge") is None
