"""What Meta pushes to a subscriber, and how it goes on when nobody takes it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.meta import Breakage, MetaWorld, webhooks
from sandbox.meta.webhooks import Webhooks
from sandbox.server import HttpRequest
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

SECRET = "fake-app-secret"


class Subscriber:
    """An endpoint that remembers what it was sent, and answers as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[HttpRequest] = []

    def __call__(self, request: HttpRequest) -> int:
        """Take a request."""
        self.received.append(request)
        return self.status

    @property
    def entries(self) -> list[Any]:
        """The entries of all pushes."""
        return [entry for request in self.received for entry in json.loads(request.body)["entry"]]

    @property
    def changes(self) -> list[Any]:
        """The changes of all pushes."""
        return [change for entry in self.entries for change in entry["changes"]]


@pytest.fixture
def adset(quiet_meta: MetaWorld) -> str:
    """Add an ad set with one ad that breaks when its targeting was written."""
    return quiet_meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=Breakage.lost_link(1200))


@pytest.fixture
def ad(quiet_meta: MetaWorld, adset: str) -> str:
    """Return its ad."""
    return quiet_meta.ads_of(adset)[0].id


@pytest.fixture
def subscriber() -> Subscriber:
    """Return an endpoint."""
    return Subscriber()


@pytest.fixture
def pushes(quiet_meta: MetaWorld, adset: str, subscriber: Subscriber) -> Webhooks:
    """Subscribe the endpoint to the ad account, which has one ad set."""
    assert adset in quiet_meta.adsets
    hooks = Webhooks(quiet_meta, subscriber, SECRET)
    hooks.subscribe("act_111")
    return hooks


def test_the_endpoint_proves_itself(pushes: Webhooks, subscriber: Subscriber) -> None:
    """A GET with the token and a challenge; what it answers is its own affair."""
    subscriber.status = 403
    assert pushes.verify("a-token", "42") == 403
    (request,) = subscriber.received
    assert (request.method, request.query) == (
        "GET",
        {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": "a-token"},
    )


def test_the_signature() -> None:
    """HMAC-SHA256 over the raw body."""
    request = webhooks.signed(b'{"object":"ad_account","entry":[]}', "test_app_secret")
    expected = "sha256=f14c80760c5dba274c0974b3a1d35a431e26ac3d70b54fc4419f08576bcc921f"
    assert request.headers["X-Hub-Signature-256"] == expected


def test_nothing_happened(pushes: Webhooks, subscriber: Subscriber) -> None:
    """Silence says nothing either way."""
    assert pushes.run() == 0
    assert subscriber.received == []


def test_an_ad_that_breaks_late(  # noqa: PLR0913, PLR0917 - fixtures
    client: InProcess, clock: Clock, pushes: Webhooks, subscriber: Subscriber, adset: str, ad: str
) -> None:
    """Its status has changed, not into what; the issue has its code as a text."""
    client.set_states(adset, "OH")
    clock.advance(1199)
    assert pushes.run() == 0
    clock.advance(31)
    assert pushes.run() == 1
    (entry,) = subscriber.entries
    assert (entry["id"], entry["time"]) == ("111", int(clock()))
    assert entry["changes"] == [
        {
            "field": "field_changed",
            "value": {"object_id": ad, "object_type": "ad", "changed_fields": ["effective_status"]},
        },
        {
            "field": "with_issues_ad_objects",
            "value": {
                "id": ad,
                "level": "AD",
                "error_code": "3390001",
                "error_summary": "Missing lead form",
                "error_message": "Choose a form for this ad. (#3390001)",
            },
        },
    ]
    assert pushes.run() == 0


def test_a_parent_reaches_its_children(
    quiet_meta: MetaWorld, pushes: Webhooks, subscriber: Subscriber, adset: str, ad: str
) -> None:
    """One pause of a campaign is a change of everything below it; a new ad is no change of one."""
    quiet_meta.person_adds_ad(adset, "New")
    quiet_meta.person_pauses(CAMPAIGN)
    pushes.run()
    changed = [change["value"]["object_id"] for change in subscriber.changes]
    assert changed == [CAMPAIGN, adset, ad]


def test_what_leaves_processing(quiet_meta: MetaWorld, pushes: Webhooks, subscriber: Subscriber, adset: str) -> None:
    """It says with which status, in words."""
    quiet_meta.adsets[adset].effective_status = "IN_PROCESS"
    pushes.run()
    quiet_meta.adsets[adset].effective_status = None
    pushes.run()
    assert subscriber.changes[-1] == {
        "field": "in_process_ad_objects",
        "value": {"id": adset, "level": "AD_SET", "status_name": "Active"},
    }


def test_many_changes_and_accounts(quiet_meta: MetaWorld, pushes: Webhooks, subscriber: Subscriber, ad: str) -> None:
    """Several accounts share a push, of accounts that nobody knows too; a thousand changes fill one."""
    change = webhooks.status_changed(quiet_meta.ads[ad])
    pushes.push({"111": [change] * 999, "act_999": [change] * 2})
    assert pushes.run() == 2
    assert [(entry["id"], len(entry["changes"])) for entry in subscriber.entries] == [
        ("111", 999),
        ("act_999", 1),
        ("act_999", 1),
    ]


def test_the_same_again_and_backwards(quiet_meta: MetaWorld, pushes: Webhooks, subscriber: Subscriber, ad: str) -> None:
    """What comes twice, or in another order, is signed like everything else."""
    quiet_meta.meta_breaks(ad)
    changes = pushes.changes()
    pushes.push(changes)
    pushes.push({account: each[::-1] for account, each in changes.items()})
    assert pushes.run() == 2
    first, second = (json.loads(request.body)["entry"][0]["changes"] for request in subscriber.received)
    assert first == second[::-1]


def down(_: HttpRequest) -> int:
    """Refuse the connection."""
    raise ConnectionError


@pytest.mark.parametrize("endpoint", [lambda _: 500, lambda _: 204, down])
def test_a_push_is_repeated_until_it_is_taken(
    quiet_meta: MetaWorld, clock: Clock, ad: str, endpoint: Callable[[HttpRequest], int]
) -> None:
    """At once, then ever more seldom, for 36 hours; only 200 counts as taken."""
    attempts: list[float] = []

    def deliver(request: HttpRequest) -> int:
        attempts.append(clock())
        return endpoint(request)

    hooks = Webhooks(quiet_meta, deliver, SECRET)
    hooks.subscribe("act_111")
    quiet_meta.meta_breaks(ad)
    start = clock()
    for _ in range(2 * 36 * 60):
        assert hooks.run() == 0
        clock.advance(60)
    assert [attempt - start for attempt in attempts[:5]] == [0, 60, 120, 240, 480]
    assert 18 * 3600 < attempts[-1] - start <= 36 * 3600


def test_what_was_taken_is_not_sent_again(
    quiet_meta: MetaWorld, clock: Clock, pushes: Webhooks, subscriber: Subscriber, ad: str
) -> None:
    """A failure, a repetition with the same body, and silence."""
    quiet_meta.meta_breaks(ad)
    subscriber.status = 503
    assert pushes.run() == 0
    subscriber.status = 200
    clock.advance(60)
    assert pushes.run() == 1
    clock.advance(3600)
    assert pushes.run() == 0
    assert len({request.body for request in subscriber.received}) == 1
