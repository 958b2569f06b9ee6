"""Who gets which pushes: an app's subscriptions, and the ad accounts that are subscribed to the app.

Sources: Meta's guides "Ads Webhooks" and "Webhooks from Meta", Graph API reference "Application Subscriptions": the
first takes an app token, the second one of somebody who may manage the ad account, and without the second nothing is
delivered.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta import faults
from sandbox.meta.faults import Refused
from sandbox.meta.model import Operation
from sandbox.server import Reply

APP_ID = "111222333444555"
CHALLENGE = "1158201444"
EDGES = ("subscriptions", "subscribed_apps")


@dataclass
class Subscriptions:
    """The subscriptions of the one app that there is."""

    app_token: str = ""
    """`{app id}|{app secret}`; empty if nobody has it."""
    of_app: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By object, as a read shows them."""
    accounts: set[str] = field(default_factory=set)
    """Ids of the ad accounts that are subscribed to the app."""
    call_back: Callable[[str, str, str], str] | None = None
    """Calls a callback URL with a verify token and a challenge, and returns the body of its answer."""

    def answer(self, operation: Operation, token: str) -> Reply:
        """Perform a call of one of `EDGES`."""
        node, _, edge = operation.path.partition("/")
        if edge == "subscriptions":
            if node != APP_ID or token != self.app_token:
                raise Refused(faults.error(15, None, "This method must be called with an app access_token."))
            return self._subscribe(operation) if operation.method == "POST" else _page([*self.of_app.values()])
        if token == self.app_token:
            raise Refused(faults.error(200, None, "A user access token is required"))
        if operation.method == "POST":
            if operation.params.get("app_id") != APP_ID:
                raise Refused(faults.error(100, None, "Param app_id must be the id of the app"))
            self.accounts.add(node)
            operation.applied = True
            return faults.SUCCESS
        return _page([{"id": APP_ID, "name": "Example Geo Sync"}] if node in self.accounts else [])

    def _subscribe(self, operation: Operation) -> Reply:
        params = operation.params
        url = params["callback_url"]
        if self.call_back is None or self.call_back(url, params["verify_token"], CHALLENGE) != CHALLENGE:
            raise Refused(faults.error(2200, None, "Callback verification failed"))
        fields = [{"name": name, "version": "v26.0"} for name in params["fields"].split(",")]
        include_values = json.loads(params["include_values"])
        self.of_app[params["object"]] = {
            "object": params["object"], "callback_url": url, "active": True, "fields": fields,
            "include_values": include_values,
        }  # fmt: skip
        operation.applied = True
        params["verify_token"] = "***"  # the record contains no secrets
        return faults.SUCCESS


def _page(rows: list[dict[str, Any]]) -> Reply:
    return faults.answer({"data": rows})
