"""The partner: demand, login and misbehaviour."""

import pytest
import requests

from sandbox import ClosrtechWorld, Sandbox, closrtech
from sandbox.server import Reply


@pytest.fixture
def partner(sandbox: Sandbox) -> ClosrtechWorld:
    """Return the partner with demand for one campaign."""
    sandbox.closrtech.demand["VND_TRUCKER_LEADS"] = {"TX": 12, "NY": 0}
    return sandbox.closrtech


def ask(partner: ClosrtechWorld, changes: dict[str, str] | None = None, read_timeout: float = 5) -> requests.Response:
    """Ask for demand, with a right login unless it is changed."""
    query = {"campaign": "VND_TRUCKER_LEADS", "email": partner.email, "pass": partner.password} | (changes or {})
    return requests.get(f"{partner.url}/demand.php", params=query, timeout=(5, read_timeout))


def test_demand(partner: ClosrtechWorld) -> None:
    """States and numbers come as one JSON object; the record leaves the password out."""
    reply = ask(partner)
    assert (reply.status_code, reply.json()) == (200, {"TX": 12, "NY": 0})
    assert partner.requests == [{"campaign": "VND_TRUCKER_LEADS", "email": partner.email}]


def test_refusals(partner: ClosrtechWorld) -> None:
    """A wrong login is 401, an unknown campaign 404, another path too."""
    assert ask(partner, {"email": "nobody@example.test"}).status_code == 401
    assert ask(partner, {"pass": "wrong"}).status_code == 401
    assert ask(partner, {"campaign": "VND_UNKNOWN"}).status_code == 404
    assert requests.get(f"{partner.url}/other.php", timeout=5).status_code == 404


@pytest.mark.parametrize(
    ("body", "text"), [(b"\xff", "\xff"), ("not JSON", "not JSON"), ({"TX": -1}, '{"TX": -1}'), (None, "null")]
)
def test_any_answer(partner: ClosrtechWorld, body: object, text: str) -> None:
    """Bytes and text go out as they are, all else as JSON."""
    partner.answer(body, status=202, content_type="text/plain; charset=latin-1", times=1)
    reply = ask(partner)
    assert (reply.status_code, reply.text) == (202, text)
    assert ask(partner).status_code == 200


def test_for_one_campaign(partner: ClosrtechWorld) -> None:
    """A script can concern one campaign only, for ever."""
    partner.answer({}, campaign="VND_OTHER")
    assert ask(partner).json() == {"TX": 12, "NY": 0}
    assert [ask(partner, {"campaign": "VND_OTHER"}).json() for _ in range(2)] == [{}, {}]


def test_down_and_html(partner: ClosrtechWorld) -> None:
    """An outage, and a maintenance page with status 200."""
    partner.misbehave(closrtech.DOWN, times=1)
    partner.misbehave(closrtech.HTML, times=1)
    assert ask(partner).status_code == 503
    page = ask(partner)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")


def test_redirect(partner: ClosrtechWorld) -> None:
    """A client that follows shows in the record."""
    partner.misbehave(closrtech.redirected(f"{partner.url}/elsewhere"), times=1)
    assert ask(partner).history[0].status_code == 302
    assert len(partner.requests) == 2


def test_huge(partner: ClosrtechWorld) -> None:
    """A body of the size asked for."""
    partner.misbehave(closrtech.huge(megabytes=2))
    reply = ask(partner)
    assert len(reply.content) > 2 << 20
    assert reply.json() == {"TX": 1}


def test_dropped(partner: ClosrtechWorld) -> None:
    """No answer at all."""
    partner.misbehave(closrtech.DROPPED)
    with pytest.raises(requests.ConnectionError):
        ask(partner)


def test_stalled(partner: ClosrtechWorld) -> None:
    """Silence, longer than the client waits."""
    partner.misbehave(closrtech.STALLED)
    with pytest.raises(requests.ReadTimeout):
        ask(partner, read_timeout=0.02)


@pytest.mark.parametrize(
    ("reply", "status"), [(closrtech.REQUEST_TIMEOUT, 408), (closrtech.TOO_EARLY, 425), (closrtech.SUSPENDED, 200)]
)
def test_refusals_in_unusual_forms(partner: ClosrtechWorld, reply: Reply, status: int) -> None:
    """None of them is a demand, and the next answer is."""
    partner.misbehave(reply, times=1)
    first, second = ask(partner), ask(partner)
    assert (first.status_code, second.status_code) == (status, 200)
    assert first.content == reply.body


def test_refused_connections(partner: ClosrtechWorld) -> None:
    """The port closes and opens again."""
    partner.refuse_connections()
    with pytest.raises(requests.ConnectionError):
        ask(partner)
    partner.accept_connections()
    assert ask(partner).status_code == 200
