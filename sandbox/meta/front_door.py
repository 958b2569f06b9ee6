"""The HTTP layer: translates exchanges into operations and back, single or batched, as in Meta's batch guide."""

import dataclasses
import json
import re
import time
from collections import Counter
from typing import Any

from sandbox.meta import faults
from sandbox.meta.faults import NullItem, Refused, ShortList
from sandbox.meta.model import Operation, Request
from sandbox.meta.service import Service
from sandbox.server import Delivery, HttpRequest, Reply, decode_form

MAX_BATCH = 50
OLDEST_VERSION = 25
SEVERAL_ADSETS = faults.error(100, None, "A batch cannot update several ad sets of one campaign")
_VERSIONED = re.compile(r"/v(\d+)\.\d+(?:/(.*))?$")


@dataclasses.dataclass(frozen=True)
class _Login:
    """An access token and its proof."""

    token: str | None
    proof: str | None


@dataclasses.dataclass(frozen=True)
class _Item:
    """One item of a batch."""

    operation: Operation
    login: _Login


class FrontDoor:
    """Handles HTTP requests for the service, and records each."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, http: HttpRequest) -> Reply:
        """Handle one HTTP request; the service's latency includes the time that this takes."""
        latency = self._service.latency, self._service.latency_per_item
        started = time.monotonic() if any(latency) else 0.0
        params = http.query | http.form
        scheme, _, token = http.headers.get("Authorization", "").partition(" ")
        login = _take_login(params, token if scheme in {"Bearer", "OAuth"} else None)
        version, path = _split(http.path)
        batch = params.pop("batch", None) if http.method == "POST" and not path else None
        request = Request(http.method, path, params)
        with self._service.lock:
            self._service.requests.append(request)
        if version == 0:
            reply = faults.VERSION_RETIRED
        elif batch is None:
            operation = Operation(http.method, path, params)
            request.operations.append(operation)
            reply = self._one(operation, login, version)
        else:
            reply = self._batch(request, batch, login, version)
        request.status = reply.status if reply.delivery is Delivery.WHOLE else 0
        if any(latency):
            items = len(request.operations) if batch is not None else 0
            time.sleep(max(latency[0] + latency[1] * items - (time.monotonic() - started), 0))
        return self._signed(reply, version)

    def _one(self, operation: Operation, login: _Login, version: int) -> Reply:
        # Calls to a retired version are upgraded if nothing has changed since; writes of ad sets usually have.
        if version < OLDEST_VERSION and operation.method != "GET":
            return self._refuse(operation, faults.VERSION_RETIRED)
        return self._service.perform(operation, login.token, login.proof)

    def _signed(self, reply: Reply, version: int) -> Reply:
        """Add the headers of every response by Meta."""
        served = max(version, OLDEST_VERSION)
        headers = [("x-fb-trace-id", faults.TRACE), ("facebook-api-version", f"v{served}.0")]
        warning = self._service.version_warning
        if 0 < version < served and warning is None:
            warning = f"The call has been auto-upgraded to v{served}.0"
        if warning is not None:
            headers.append(("x-ad-api-version-warning", warning))
        return dataclasses.replace(reply, headers=(*reply.headers, *headers))

    def _batch(self, request: Request, text: str, login: _Login, version: int) -> Reply:
        with self._service.lock:
            fault = self._service.fault_for(Operation("POST", "", {}, "batch"))
        try:
            self._service.authenticate(login.token, login.proof)
            items = _items(text, login)
        except Refused as refused:
            return refused.reply if fault is None or fault.reply is None else fault.reply
        request.operations += [item.operation for item in items]
        missing = fault.reply.missing if fault is not None and isinstance(fault.reply, ShortList) else 0
        undone = 0 if fault is None or fault.reply is None or fault.applied else missing or len(items)
        replies = self._perform(items[: len(items) - undone], version)
        lost = next((reply for reply in replies if reply.delivery is not Delivery.WHOLE), None)
        if lost is not None:
            return lost
        if fault is not None and fault.reply is not None and not missing:
            return dataclasses.replace(fault.reply, after=fault.after)
        bare = request.params.get("include_headers") == "false"
        after = sum(reply.after for reply in replies) + (fault.after if fault is not None else 0.0)
        answer = faults.answer([_rendered(reply, bare=bare) for reply in replies[: len(items) - missing]])
        return dataclasses.replace(answer, after=after) if after else answer

    def _perform(self, items: list[_Item], version: int) -> list[Reply]:
        campaigns = [self._updated_campaign(item.operation) for item in items]
        counts = Counter(campaigns)
        return [
            # The batch guide allows only one ad set per campaign; whether and how Meta enforces that is undocumented.
            self._refuse(item.operation, SEVERAL_ADSETS)
            if campaign is not None and counts[campaign] > 1
            else self._one(item.operation, item.login, version)
            for item, campaign in zip(items, campaigns, strict=True)
        ]

    def _updated_campaign(self, operation: Operation) -> str | None:
        adset = self._service.adsets.get(operation.path) if operation.method == "POST" else None
        return None if adset is None else adset.campaign.id

    def _refuse(self, operation: Operation, reply: Reply) -> Reply:
        operation.kind, operation.status = self._service.kind_of(operation.path), reply.status
        return reply


def _split(path: str) -> tuple[int, str]:
    """Return the major version (0 if absent) and the remaining path."""
    match = _VERSIONED.match(path)
    if match is None:
        return 0, path.strip("/")
    return int(match[1]), (match[2] or "").strip("/")


def _take_login(params: dict[str, str], token: str | None) -> _Login:
    """Extract token and proof from the parameters, which are recorded; `token` is the default."""
    return _Login(params.pop("access_token", token), params.pop("appsecret_proof", None))


def _items(text: str, login: _Login) -> list[_Item]:
    """Parse the items of a batch, whose values are percent-encoded once more than the form."""
    try:
        items = json.loads(text)
        result = [_item(item, login) for item in items]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(faults.error(100, None, "batch must be a JSON list of requests")) from None
    if len(result) > MAX_BATCH:
        text = f"Too many requests in batch message. Maximum batch size is {MAX_BATCH}"
        raise Refused(faults.error(5, None, text, kind="GraphBatchException"))
    return result


def _item(item: dict[str, Any], login: _Login) -> _Item:
    path, _, query = item["relative_url"].partition("?")
    params = decode_form(query) | decode_form(item.get("body", ""))
    own = _take_login(params, item.get("access_token"))
    _, path = _split("/" + path.lstrip("/"))  # the version is optional here
    return _Item(Operation(item["method"], path, params), login if own.token is None else own)


def _rendered(reply: Reply, *, bare: bool) -> dict[str, Any] | None:
    if isinstance(reply, NullItem):
        return None
    item: dict[str, Any] = {"code": int(reply.status)}
    if not bare:
        headers = (("Content-Type", reply.content_type), *reply.headers)
        item["headers"] = [{"name": name, "value": value} for name, value in headers]
    return item | {"body": None if reply.body is None else reply.body.decode()}
