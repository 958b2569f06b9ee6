"""PURE: Meta's pushes, and the messages with which the receiver requests rechecks.

A push is only a hint that something has changed in an ad account: it contains neither the new state, nor a guarantee
that it is current (Meta's guides "Ads Webhooks" and "Webhooks from Meta").
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from closrads.errors import EventError
from closrads.redaction import Secret

FIELDS = ("effective_status", "with_issues_ad_objects", "in_process_ad_objects")
"""The fields of an ad account that show that an ad stops or leaves review ("Ads Webhooks")."""
MAX_BODY_BYTES = 2_000_000
"""Maximum size of a push; one with 1,000 changes, Meta's maximum, has about 300 kB."""
MAX_AGE, MAX_AHEAD = timedelta(hours=38), timedelta(hours=1)
"""Meta repeats a push for 36 hours ("Webhooks from Meta"); an older or future one is a replay."""
WINDOW_SECONDS = 8
"""Within such a window, only the first push about an ad account leads to a message in the queue.

Shorter than the delay of the queue (template.yaml), so that the message is delivered after the last of them.
"""
MIN_GAP_SECONDS = 60
"""Minimum time between rechecks of a campaign that are caused by pushes."""
LEFT_SECONDS = 300
"""Delay of a message if another run holds its campaign; a run takes at most 15 minutes."""
_STATUS = "effective_status"
_CHANGED = "field_changed"
"""The field name under which changes of `effective_status` arrive."""
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_ACCOUNT = re.compile(r"(?:act_)?([0-9]{1,30})")


class PushError(ValueError):
    """A push that is signed, but malformed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message from the queue: something has changed in an ad account."""

    id: str
    receipt: str
    """The receipt handle, needed to delay the message."""
    account: str
    """`act_…`; empty if the body is malformed."""


def is_signed(body: bytes, signature: str, secret: Secret) -> bool:
    """Return, in constant time, whether a value of `X-Hub-Signature-256` is the signature of the raw body."""
    expected = hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature_of(signature).encode())


def signature_of(header: str) -> str:
    """Return the hexadecimal digest in a value of `X-Hub-Signature-256`; empty if there is none."""
    found = _SIGNATURE.fullmatch(header)
    return found[1] if found else ""


def accounts_of(body: bytes, now: datetime) -> frozenset[str]:
    """Return the ad accounts, as `act_…`, for which a push reports a changed status or an issue.

    Changes of other fields are ignored. An account's id comes with or without its prefix.

    Raises
    ------
    PushError
        It is not a push about ad accounts, or too old to be a repetition by Meta.
    """
    try:
        push = json.loads(body)
    except (ValueError, RecursionError):
        raise PushError("not JSON") from None
    if not isinstance(push, dict) or push.get("object") != "ad_account":
        raise PushError("not about ad accounts")
    entries = push.get("entry")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PushError("without entries")
    fresh = [entry for entry in entries if _is_fresh(entry.get("time"), now)]
    if entries and not fresh:
        raise PushError("too old")
    found = (_ACCOUNT.fullmatch(str(entry.get("id"))) for entry in fresh if _fields(entry) & {*FIELDS, _CHANGED})
    return frozenset(f"act_{account[1]}" for account in found if account)


def _is_fresh(sent: Any, now: datetime) -> bool:
    earliest, latest = (now - MAX_AGE).timestamp(), (now + MAX_AHEAD).timestamp()
    return isinstance(sent, int | float) and earliest <= sent <= latest


def _fields(entry: Mapping[str, Any]) -> set[str]:
    """Return the fields in an entry, which has only their names unless the subscription includes values."""
    changes, names = entry.get("changes"), entry.get("changed_fields")
    found = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    for change in changes if isinstance(changes, list) else ():
        if isinstance(change, dict) and isinstance(field := change.get("field"), str) and _is_relevant(field, change):
            found.add(field)
    return found


def _is_relevant(field: str, change: Mapping[str, Any]) -> bool:
    value = change.get("value")
    named = value.get("changed_fields") if field == _CHANGED and isinstance(value, dict) else None
    return named is None or (isinstance(named, list) and _STATUS in named)


def body_of(account: str) -> str:
    """Return the body of a message about an ad account."""
    return json.dumps({"ad_account": account})


def deduplication_id(account: str, now: datetime) -> str:
    """Return the ad account and the window: of messages with the same id, the queue accepts one in five minutes."""
    return f"{account}-{int(now.timestamp()) // WINDOW_SECONDS}"


def parse_messages(event: Any) -> tuple[Message, ...] | None:
    """Return the messages in an event of Lambda's event source mapping; None for any other event.

    Raises
    ------
    EventError
        The records are not those of a queue.
    """
    if not isinstance(event, dict) or "Records" not in event:
        return None
    try:
        return tuple(_messages(event["Records"]))
    except (AttributeError, KeyError, TypeError):
        raise EventError(["Records: must be the messages of the queue of pushes"]) from None


def _messages(records: Sequence[Mapping[str, str]]) -> Iterator[Message]:
    for record in records:
        if record["eventSource"] != "aws:sqs":
            raise KeyError
        try:
            account = json.loads(record["body"])["ad_account"]
        except (ValueError, TypeError, KeyError, RecursionError):
            account = ""
        yield Message(record["messageId"], record["receiptHandle"], account if isinstance(account, str) else "")
