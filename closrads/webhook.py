"""The receiver of Meta's pushes, behind a Lambda function URL.

It may only read its two parameters and send messages to one queue; docs/webhook.md describes the whole path.
Answers contain no details, so that an unauthorized caller learns nothing.
"""

import os
import time
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hmac import compare_digest
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads import config, push_queue
from closrads.config import CACHE_SECONDS
from closrads.domain.metrics import PUSH_RECEIVED, PUSH_REFUSED
from closrads.domain.pushes import MAX_BODY_BYTES, PushError, accounts_of, is_signed, signature_of
from closrads.errors import ConfigError, ConfigUnavailableError, QueueError
from closrads.observability import begin_invocation, emit_metrics, log_defect, logger
from closrads.parameters import trimmed
from closrads.redaction import Secret

VERIFY_TOKEN, APP_SECRET = "meta/webhook_verify_token", "meta/app_secret"
MAX_CHALLENGE_CHARS = 200
_BASE64_GROWTH = 4 / 3

_cached: tuple[float, dict[str, Secret]] | None = None
"""When the parameters were read, by the monotonic clock, and their values."""


class _RefusedError(Exception):
    """A request is refused; the message is for the log only.

    `counts` is whether the signature was wrong; such requests are counted for the alarm.
    """

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.FORBIDDEN, *, counts: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.counts = counts


@cache
def _ssm() -> Any:
    return boto3.client(
        "ssm", config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2}, proxies={})
    )


if config.starts_in_lambda():  # Lambda gives a function a full CPU only while it initializes
    _ssm()
    push_queue.prepare()


def lambda_handler(event: Any, _context: Any) -> dict[str, Any]:
    """Answer a request to the function URL (Lambda Developer Guide, "Request payload format", version 2.0)."""
    return handle(event, datetime.now(UTC))


def handle(event: Any, now: datetime) -> dict[str, Any]:
    """Answer a request received at the given time; see `lambda_handler`.

    Nothing is raised: even a defect is answered without details, and Meta repeats what is not answered with 200.
    """
    begin_invocation()
    try:
        return _answer(HTTPStatus.OK, _respond(event, now))
    except _RefusedError as refusal:
        logger.warning("push.refused", extra={"reason": str(refusal)})
        if refusal.counts:
            emit_metrics({PUSH_REFUSED: 1}, _stage())
        return _answer(refusal.status)
    except (ConfigError, QueueError) as error:
        logger.error("push.failed", extra={"error": str(error)})
    except Exception as error:  # noqa: BLE001 - Lambda would log the unredacted message
        log_defect(error)
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE)


def _respond(event: Any, now: datetime) -> str:
    """Return the body of the response to a request; raise a `_RefusedError` if it is not accepted."""
    try:
        method = event["requestContext"]["http"]["method"]
    except (KeyError, TypeError):
        raise _RefusedError("not a request") from None
    if method == "GET":
        return _challenge(event.get("queryStringParameters") or {})
    if method != "POST":
        raise _RefusedError("method")
    body = _signed_body(event)
    try:
        accounts = accounts_of(body, now)
    except PushError as error:
        raise _RefusedError(str(error), HTTPStatus.BAD_REQUEST) from None
    push_queue.send(accounts, now)
    logger.info("push.received", extra={"accounts": len(accounts)})
    emit_metrics({PUSH_RECEIVED: 1}, _stage())
    return ""


def _challenge(query: Mapping[str, str]) -> str:
    """Return the challenge of a request with the right verify token ("Webhooks from Meta", verification requests)."""
    token, challenge = query.get("hub.verify_token", ""), query.get("hub.challenge", "")
    if query.get("hub.mode") != "subscribe" or not token or not 0 < len(challenge) <= MAX_CHALLENGE_CHARS:
        raise _RefusedError("not a verification")
    if not compare_digest(_bytes(token), _bytes(_secret(VERIFY_TOKEN).reveal())):
        raise _RefusedError("verify token")
    return challenge


def _signed_body(event: Mapping[str, Any]) -> bytes:
    """Return the raw body of a push after its signature was checked; nothing is parsed before that."""
    signature = (event.get("headers") or {}).get("x-hub-signature-256", "")
    if not signature_of(signature):
        raise _RefusedError("no signature")
    text = event.get("body") or ""
    if len(text) > MAX_BODY_BYTES * _BASE64_GROWTH:
        raise _RefusedError("size")
    try:
        body = b64decode(text, validate=True) if event.get("isBase64Encoded") else _bytes(text)
    except ValueError:
        raise _RefusedError("encoding") from None
    if len(body) > MAX_BODY_BYTES:
        raise _RefusedError("size")
    if not is_signed(body, signature, _secret(APP_SECRET)):
        raise _RefusedError("signature", counts=True)
    return body


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _secret(name: str) -> Secret:
    """Return a parameter; a warm container caches both for `CACHE_SECONDS`.

    Raises
    ------
    ConfigError
        It is missing, or cannot be read.
    """
    global _cached  # noqa: PLW0603 - per container, like the client
    if _cached is None or time.monotonic() - _cached[0] > CACHE_SECONDS:
        _cached = time.monotonic(), _read()
    if name not in _cached[1]:
        _cached = None
        raise ConfigError([f"{_path()}/{name}: is missing: put it with `push-config`"])
    return _cached[1][name]


def _read() -> dict[str, Secret]:
    names = [f"{_path()}/{name}" for name in (VERIFY_TOKEN, APP_SECRET)]
    try:
        found = _ssm().get_parameters(Names=names, WithDecryption=True)["Parameters"]
    except (BotoCoreError, ClientError) as error:
        raise ConfigUnavailableError([f"{_path()}: the Parameter Store cannot be read: {error}"]) from None
    # Empty values count as missing: with an empty key, anybody could sign.
    values = {each["Name"].removeprefix(f"{_path()}/"): trimmed(each["Value"]) for each in found}
    return {name: Secret(value) for name, value in values.items() if value}


def _path() -> str:
    return os.environ.get("CLOSRADS_PARAMETER_PATH", "").rstrip("/")


def _stage() -> str:
    return os.environ.get("CLOSRADS_STAGE", "")


def _answer(status: HTTPStatus, body: str = "") -> dict[str, Any]:
    headers = {"content-type": "text/plain", "x-content-type-options": "nosniff", "cache-control": "no-store"}
    return {"statusCode": int(status), "headers": headers, "body": body}
