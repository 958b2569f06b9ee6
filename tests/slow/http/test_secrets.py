"""No secret goes where it should not: other hosts, proxies, and the logs of boto3."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from closrads import config, notifier
from closrads.closrtech_client import get_demand
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosrtechError, MetaError, MetaLostAnswerError
from closrads.facebook_client import init_api
from closrads.ledger import dynamodb
from closrads.meta import graph
from closrads.meta.graph import Operation, is_confirmed
from closrads.redaction import Secret
from sandbox.server import HttpRequest, Reply, Server
from tests.slow.http.tls import served_by_tls
from tests.test_secrets import APP_SECRET, EMAIL, PASSWORD, TOKEN, Leaks
from tests.world import LIVE, FakeTime, World


@contextmanager
def self_signed(folder: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Serve https with a certificate that nobody vouches for; yield address, certificate and the requests seen."""
    seen: list[str] = []
    with served_by_tls(answering(seen), folder) as (url, certificate):
        yield url, certificate, seen


def answering(seen: list[str]) -> Callable[[HttpRequest], Reply]:
    """Return a server's answers that would do for Meta and for CLOSRTECH, and note down whatever it is sent."""

    def answer(http: HttpRequest) -> Reply:
        seen.append(f"{http.method} {http.path} {http.query} {dict(http.headers)} {http.body!r}")
        return Reply(body=b'{"id": "1", "success": true}' if "/v" in http.path else b'{"FL": 5}')

    return answer


@pytest.fixture
def trap() -> Iterator[tuple[Server, list[str]]]:
    """Run a server that answers everything and keeps what it was told."""
    seen: list[str] = []
    server = Server(answering(seen))
    server.start()
    yield server, seen
    server.stop()


def ask_meta(time: FakeTime, url: str) -> Any:
    """Read something from a Meta at this address."""
    api = init_api(Secret(TOKEN), "act_111", app_secret=Secret(APP_SECRET), graph_url=url, clock=time.clock)
    return api.get("1", {"fields": "id"})


def ask_closrtech(time: FakeTime, url: str) -> Any:
    """Read the demand from a CLOSRTECH at this address."""
    return get_demand("CODE", login=ClosrtechLogin(url, Secret(EMAIL), Secret(PASSWORD)), clock=time.clock)


PARTNERS = pytest.mark.parametrize("ask", [ask_meta, ask_closrtech], ids=["meta", "closrtech"])


@PARTNERS
def test_a_certificate_that_nobody_vouches_for_is_refused(
    fake_time: FakeTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[FakeTime, str], Any]
) -> None:
    """Whoever is in between gets no request, also if the environment calls the certificate a good one."""
    fake_time.reset()
    with self_signed(tmp_path) as (url, certificate, seen):
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(certificate))
        with pytest.raises(MetaLostAnswerError if ask is ask_meta else ClosrtechError, match="SSLError"):
            ask(fake_time, url)
        assert seen == []

        assert requests.get(f"{url}/x", verify=str(certificate), timeout=5).status_code == 200  # the server does work
        assert len(seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_of_metas_is_followed(
    world: World, trap: tuple[Server, list[str]], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to another host or port, and not with the token in the address: what is there is not Meta."""
    monkeypatch.setattr(graph, "ATTEMPTS", 1)
    world.campaign("FL")
    adset = world.adset()
    server, seen = trap
    location = f"{server.url}/v26.0/{adset}?access_token={world.meta.token}"
    world.meta.fail(Reply(status, headers=(("Location", location),)), on="any", times=None)
    api = world.api()

    with pytest.raises(MetaLostAnswerError):
        api.get(adset, {"fields": "id"})
    with pytest.raises(MetaLostAnswerError):
        api.post(adset, {"status": "PAUSED"})
    (item,) = api.batch([Operation("POST", adset, {"status": "PAUSED"}, is_confirmed)])

    assert isinstance(item, MetaError)
    assert seen == []


@pytest.mark.parametrize("status", [301, 303, 307, 308])
def test_no_redirect_of_closrtechs_is_followed(world: World, trap: tuple[Server, list[str]], status: int) -> None:
    """Whatever the kind of redirect, the login stays here."""
    server, seen = trap
    world.sandbox.closrtech.misbehave(Reply(status, headers=(("Location", f"{server.url}/demand.php"),)))

    with pytest.raises(ClosrtechError):
        ask_closrtech(world.time, world.sandbox.closrtech.url)

    assert seen == []


def test_no_proxy_of_the_environment_sees_a_run(
    world: World, trap: tuple[Server, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for Meta, not for CLOSRTECH, and not for AWS, whose answers hold every parameter."""
    server, seen = trap
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, server.url)
        monkeypatch.setenv(name.lower(), server.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for client in (config._parameter_store, dynamodb._dynamodb, notifier._ses):
        client.cache_clear()  # they are to be made in this environment
    world.campaign("FL")
    world.adset()

    result = world.run(LIVE)

    assert (result["success"], result["mail"]) == (True, "sent")
    assert seen == []
    assert requests.get("http://feed.example.test/", timeout=5).status_code == 200  # the trap does work
    assert len(seen) == 1


@PARTNERS
def test_no_login_of_a_netrc_is_sent(
    fake_time: FakeTime,
    trap: tuple[Server, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[FakeTime, str], Any],
) -> None:
    """A file that lies about for another program is nobody's business."""
    fake_time.reset()
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server, seen = trap

    assert ask(fake_time, server.url)
    assert "Authorization" not in "".join(seen)
    requests.get(server.url, timeout=5)
    assert "Authorization" in seen[-1]  # it would have been found


def test_the_very_first_call_shows_none(business: Leaks, capfd: pytest.CaptureFixture[str]) -> None:
    """When the parameters come in, nobody knows yet what is a secret: so botocore must not log what it receives."""
    logging.getLogger("botocore.parsers").setLevel(logging.DEBUG)

    business.run({})

    assert business.found(capfd) == []
