"""Who may subscribe to pushes, and with which token."""

import json
from typing import Any

import pytest

from sandbox.meta import MetaWorld
from sandbox.meta.front_door import FrontDoor
from sandbox.meta.subscriptions import APP_ID
from sandbox.server import HttpRequest
from tests.sandbox.conftest import InProcess

APP_TOKEN = f"{APP_ID}|fake-app-secret"


def test_each_call_takes_its_own_token(quiet_meta: MetaWorld) -> None:
    """An app token for the app, another for an ad account; without one, nothing."""
    quiet_meta.subscriptions.app_token = APP_TOKEN

    def ask(path: str, token: str) -> Any:
        request = HttpRequest("GET", f"/v26.0/{path}", {"access_token": token}, {}, b"")
        return json.loads(FrontDoor(quiet_meta)(request).body or b"null")

    assert ask(f"{APP_ID}/subscriptions", APP_TOKEN) == {"data": []}
    assert ask(f"{APP_ID}/subscriptions", quiet_meta.token)["error"]["code"] == 15
    assert ask("act_111/subscribed_apps", quiet_meta.token) == {"data": []}
    assert ask("act_111/subscribed_apps", APP_TOKEN)["error"]["code"] == 200
    assert ask("act_111/subscribed_apps", "")["error"]["code"] == 190


@pytest.mark.parametrize("app", ["", "1"])
def test_an_account_is_subscribed_to_an_app(quiet_meta: MetaWorld, client: InProcess, app: str) -> None:
    """Its id must be given, and be that of the token's app."""
    assert client.post("act_111/subscribed_apps", app_id=app)["error"]["code"] == 100
    assert quiet_meta.subscriptions.accounts == set()
