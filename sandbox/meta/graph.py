"""The operations of the Graph API: nodes, edges, writes, search, token inspection."""

import copy
import json
from typing import Any

from sandbox.meta import edits, faults, post_processing, targeting
from sandbox.meta.activity_log import OWN
from sandbox.meta.faults import Refused
from sandbox.meta.field_expansion import parse_fields
from sandbox.meta.model import GONE, Account, Ad, AdSet, Operation
from sandbox.meta.reading import Reader, has_edge, json_param
from sandbox.meta.regions import NAME_BY_KEY, search_result
from sandbox.meta.state import State
from sandbox.meta.subscriptions import APP_ID, EDGES
from sandbox.server import Reply

WRITABLE_STATUSES = frozenset({"ACTIVE", "PAUSED", "ARCHIVED", "DELETED"})
LEGACY_PARAMETERS = frozenset({"callback", "date_format", "method", "_method"})


def answer(state: State, operation: Operation, token: str, now: float) -> Reply:
    """Perform an operation at the time `now` and return Meta's response; raise `Refused` for an error."""
    if "ids" in operation.params:
        raise Refused(faults.IDS_GONE)
    if not LEGACY_PARAMETERS.isdisjoint(operation.params):
        raise Refused(faults.LEGACY_FEATURE)
    match operation.method, operation.kind:
        case (("GET" | "POST"), kind) if kind in EDGES:
            return state.subscriptions.answer(operation, token)
        case "GET", "search":
            return faults.answer(_search(operation.params))
        case "GET", "debug_token":
            return faults.answer(_debug_token(state, operation.params, now))
        case "GET", _:
            return faults.answer(_get(state, operation, Reader(state, token, now)))
        case "POST", "adset":
            return _post_adset(state, operation, Reader(state, token, now), now)
        case "POST", "ad":
            return _post_ad(state, operation, Reader(state, token, now), now)
    state.node(operation.object_id)
    raise Refused(faults.error(100, None, f"Unsupported {operation.method.lower()} request"))


def _get(state: State, operation: Operation, reader: Reader) -> dict[str, Any]:
    if not operation.path:
        raise Refused(faults.error(100, None, "Unsupported get request"))
    node = state.node(operation.object_id)
    fields = parse_fields(operation.params.get("fields", ""))
    edge = operation.path.partition("/")[2]
    if not edge:
        result = reader.node(node, fields)
    elif has_edge(node, edge):
        result = reader.edge(node, edge, operation.params, fields)
    else:
        raise Refused(faults.error(2500, None, f"Unknown path components: /{edge}"))
    if state.max_rows is not None and reader.rows > state.max_rows:
        raise Refused(state.too_much_data)
    return result


def _post_adset(state: State, operation: Operation, reader: Reader, now: float) -> Reply:
    adset = state.node(operation.object_id)
    assert isinstance(adset, AdSet)  # noqa: S101 - guaranteed by the operation's kind
    _refuse_if_held(state, adset.account)
    if adset.effective_status in GONE:
        raise Refused(faults.ADSET_DELETED)
    changes = _common_changes(operation.params)
    if "targeting" in operation.params:
        changes["targeting"] = targeting.accepted(adset, operation.params["targeting"])
    if not adset.account.audience_terms_accepted and adset.targeting.get("custom_audiences"):
        raise Refused(faults.TERMS_NOT_ACCEPTED)
    if _validate_only(operation.params):
        return faults.SUCCESS
    if "targeting" in changes:
        sent = changes.pop("targeting")
        stored = sent if state.store_oddity is None else state.store_oddity(copy.deepcopy(sent))
        edits.write_targeting(adset, stored, OWN, now)
    return _apply(operation, adset, changes, reader, now)


def _post_ad(state: State, operation: Operation, reader: Reader, now: float) -> Reply:
    ad = state.node(operation.object_id)
    assert isinstance(ad, Ad)  # noqa: S101 - guaranteed by the operation's kind
    _refuse_if_held(state, ad.account)
    changes = _common_changes(operation.params)
    post_processing.time_passed(ad, now)
    if ad.adset.campaign.status == "DELETED":
        raise Refused(faults.CAMPAIGN_DELETED)
    if ad.adset.status == "DELETED":
        raise Refused(faults.ADSET_DELETED)
    if ad.adset.is_ended(now) and changes:
        raise Refused(faults.ADSET_ENDED)
    if ad.effective_status in GONE and changes.keys() - {"name"} and changes != {"status": "DELETED"}:
        raise Refused(faults.error(100, 1885088, "An archived ad can only be renamed or deleted"))
    if ad.effective_status == "DISAPPROVED" and changes.get("status") == "ACTIVE":
        raise Refused(faults.error(100, 2490427, "A rejected ad cannot be turned on"))
    if _validate_only(operation.params):
        return faults.SUCCESS
    reply = _apply(operation, ad, changes, reader, now)
    if changes.get("status") == "ACTIVE":
        post_processing.republished(ad, now)
    return reply


def _refuse_if_held(state: State, account: Account) -> None:
    if account.id in state.holds:
        raise Refused(state.holds[account.id])


def _common_changes(params: dict[str, str]) -> dict[str, Any]:
    changes: dict[str, Any] = {name: params[name] for name in ("name", "status") if name in params}
    if changes.get("status", "ACTIVE") not in WRITABLE_STATUSES:
        raise Refused(faults.error(100, None, "status must be one of ACTIVE, PAUSED, ARCHIVED, DELETED"))
    return changes


def _validate_only(params: dict[str, str]) -> bool:
    options = json_param(params, "execution_options", [])
    if options == ["include_recommendations"]:
        raise Refused(faults.error(100, None, "include_recommendations cannot be used alone"))
    return "validate_only" in options


def _apply(operation: Operation, node: AdSet | Ad, changes: dict[str, Any], reader: Reader, now: float) -> Reply:
    node.name = changes.get("name", node.name)
    if "status" in changes:
        edits.set_status(node, changes["status"], OWN, now)
    if changes or "targeting" in operation.params:
        node.updated_time = now
        operation.applied = True
    if "fields" in operation.params:  # read-after-write precedes Meta's processing, so it cannot show breakage
        return faults.answer(reader.echo(node, parse_fields(operation.params["fields"])))
    return faults.SUCCESS


def _search(params: dict[str, str]) -> dict[str, Any]:
    match params.get("type"):
        case "adgeolocationmeta":
            keys = [str(key) for key in json_param(params, "regions", [])]
            return {"data": {"regions": {key: search_result(key) for key in keys if key in NAME_BY_KEY}}}
        case "adgeolocation":
            return {"data": _regions(params)}
    raise Refused(faults.error(100, None, "The parameter type is required and must be known"))


def _regions(params: dict[str, str]) -> list[dict[str, object]]:
    if "region" not in json_param(params, "location_types", ["region"]):
        return []
    if params.get("country_code", "US") != "US":
        return []
    wanted = params.get("q", "").casefold()
    found = [search_result(key) for key, name in NAME_BY_KEY.items() if name.casefold().startswith(wanted)]
    return found[: int(params.get("limit", "25"))]


def _debug_token(state: State, params: dict[str, str], now: float) -> dict[str, Any]:
    token = params.get("input_token", "")
    data: dict[str, Any] = {"app_id": APP_ID, "application": "Example Geo Sync", "is_valid": True}
    refusal = state.token_refusal(token)
    if refusal is not None:
        envelope = json.loads(refusal.body or b"")["error"]
        problem = {"code": envelope["code"], "message": envelope["message"]}
        if "error_subcode" in envelope:
            problem["subcode"] = envelope["error_subcode"]
        return {"data": data | {"is_valid": False, "error": problem, "scopes": []}}
    data |= {
        "type": state.token_type,
        "issued_at": int(now) - 86_400,
        "expires_at": state.token_expires_at,
        "data_access_expires_at": state.token_data_access_expires_at,
        "user_id": "61550000000001",
        "scopes": list(state.token_scopes),
    }
    return {"data": data}
