"""Meta's pushes about ad accounts, as in its guides "Ads Webhooks" and "Webhooks".

A push is a hint: it names what has changed, but not the new value, and may arrive repeatedly, in any order, and up to
36 hours late. Delays and timeouts are undocumented; here, pushes are sent when `Webhooks.run` is called.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.model import Ad, AdSet, Campaign
from sandbox.meta.world import MetaWorld
from sandbox.server import HttpRequest

MOST_CHANGES = 1_000
"""Maximum number of changes in a push; Meta guarantees no number."""
RETRIED_SECONDS = 36 * 3600.0
FIRST_RETRY_SECONDS = 60.0
"""Delay before the third attempt (the second is immediate); it doubles with each further attempt."""
OK = 200

Change = dict[str, Any]
_TYPES = {Campaign: ("campaign", "CAMPAIGN"), AdSet: ("adset", "AD_SET"), Ad: ("ad", "AD")}


def verification(token: str, challenge: str, path: str = "/") -> HttpRequest:
    """Return the request by which Meta verifies a subscriber's endpoint."""
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
    return HttpRequest("GET", path, query, {}, b"")


def signed(body: bytes, secret: str, path: str = "/") -> HttpRequest:
    """Return a push with this body, signed with the app secret."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
    return HttpRequest("POST", path, {}, headers, body)


def notification(changes: dict[str, list[Change]], sent_at: float) -> bytes:
    """Return the body of a push: the changes by ad account. Its `time` is that of sending, not of any change."""
    entries = [{"id": account, "time": int(sent_at), "changes": each} for account, each in changes.items()]
    return json.dumps({"object": "ad_account", "entry": entries}, separators=(",", ":")).encode()


def status_changed(node: Campaign | AdSet | Ad) -> Change:
    """Return the change for a new effective status, which it does not name."""
    value = {
        "object_id": node.id,
        "object_type": _TYPES[type(node)][0],
        "changed_fields": ["effective_status"],
    }
    return {"field": "field_changed", "value": value}


def has_issue(node: Campaign | AdSet | Ad, issue: dict[str, Any]) -> Change:
    """Return the change for an issue; its code is a string here, but a number in `issues_info`."""
    value = {
        "id": node.id,
        "level": _TYPES[type(node)][1],
        "error_code": str(issue["error_code"]),
        "error_summary": issue["error_summary"],
        "error_message": issue["error_message"],
    }
    return {"field": "with_issues_ad_objects", "value": value}


def is_processed(node: Campaign | AdSet | Ad) -> Change:
    """Return the change for an object that has left processing."""
    status = node.effective_status.replace("_", " ").capitalize()
    value = {"id": node.id, "level": _TYPES[type(node)][1], "status_name": status}
    return {"field": "in_process_ad_objects", "value": value}


@dataclass
class _Push:
    """A push that waits for its first or next attempt."""

    body: bytes
    made_at: float
    due: float
    attempts: int = 0


@dataclass
class Webhooks:
    """Watches the subscribed ad accounts, and pushes changes until the subscriber accepts them."""

    world: MetaWorld
    deliver: Callable[[HttpRequest], int]
    """Delivers a request to the subscriber and returns the status; a `ConnectionError` counts as a failed attempt."""
    secret: str
    path: str = "/"
    most_changes: int = MOST_CHANGES
    _known: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = field(default_factory=dict)
    _waiting: list[_Push] = field(default_factory=list)

    def verify(self, token: str, challenge: str = "1158201444") -> int:
        """Verify the endpoint; return the status."""
        return self.deliver(verification(token, challenge, self.path))

    def subscribe(self, account_id: str) -> None:
        """Watch an ad account from now on."""
        self._known[account_id] = {node.id: _state(node) for node in self._nodes(account_id)}

    def changes(self) -> dict[str, list[Change]]:
        """Return the changes since the last call, by number of the ad account."""
        found: dict[str, list[Change]] = {}
        for account_id, known in self._known.items():
            nodes = self._nodes(account_id)
            changes = [change for node in nodes for change in _changes(node, known.get(node.id))]
            self._known[account_id] = {node.id: _state(node) for node in nodes}
            if changes:
                found[account_id.removeprefix("act_")] = changes
        return found

    def push(self, changes: dict[str, list[Change]]) -> None:
        """Queue arbitrary changes, even of unknown accounts, in as many pushes as necessary."""
        now = self.world.now()
        singles = [(account, change) for account, each in changes.items() for change in each]
        for start in range(0, len(singles), self.most_changes):
            part: dict[str, list[Change]] = {}
            for account, change in singles[start : start + self.most_changes]:
                part.setdefault(account, []).append(change)
            self._waiting.append(_Push(notification(part, now), now, now))

    @property
    def next_at(self) -> float:
        """When the next push is due; infinity if none waits."""
        return min((push.due for push in self._waiting), default=float("inf"))

    def run(self) -> int:
        """Push new changes and due retries; return the number of accepted pushes."""
        self.push(self.changes())
        now = self.world.now()
        due = [push for push in self._waiting if push.due <= now]
        self._waiting = [push for push in self._waiting if push.due > now]
        return sum(map(self._attempt, due))

    def _attempt(self, push: _Push) -> bool:
        try:
            status = self.deliver(signed(push.body, self.secret, self.path))
        except ConnectionError:
            status = 0
        if status == OK:
            return True
        now = self.world.now()
        push.due = now + FIRST_RETRY_SECONDS * 2 ** (push.attempts - 1) if push.attempts else now
        push.attempts += 1
        if push.due - push.made_at <= RETRIED_SECONDS:
            self._waiting.append(push)
        return False

    def _nodes(self, account_id: str) -> list[Campaign | AdSet | Ad]:
        account = self.world.accounts[account_id]
        ads = [ad for ad in self.world.ads.values() if ad.account is account]  # with everything due applied
        return [*account.campaigns, *account.adsets, *ads]


def _state(node: Campaign | AdSet | Ad) -> tuple[str, tuple[int, ...]]:
    return node.effective_status, tuple(issue["error_code"] for issue in node.issues)


def _changes(node: Campaign | AdSet | Ad, before: tuple[str, tuple[int, ...]] | None) -> Iterable[Change]:
    if before is None:  # a new object is not a change
        return
    status, codes = before
    if node.effective_status != status:
        yield status_changed(node)
        if status == "IN_PROCESS":
            yield is_processed(node)
    for issue in node.issues:
        if issue["error_code"] not in codes:
            yield has_issue(node, issue)
