"""Reading: field expansion, nodes, edges and paging, as in Meta's Graph API guides."""

import base64
import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import gmtime, strftime
from typing import Any
from urllib.parse import urlencode

from sandbox.meta import faults, post_processing
from sandbox.meta.breakage import MISSING_LEAD_FORM
from sandbox.meta.faults import Refused
from sandbox.meta.model import GONE, Account, Ad, AdSet, Campaign, Node
from sandbox.meta.state import State

DEFAULT_LIMIT = 25
STATUSES = frozenset(
    {
        "ACTIVE", "PAUSED", "DELETED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
        "CAMPAIGN_PAUSED", "ARCHIVED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES",
    }
)  # fmt: skip


@dataclass
class Field:
    """One element of a `fields` expression: `ads.limit(50){id,status}`."""

    name: str
    params: dict[str, str] = field(default_factory=dict)
    children: "list[Field]" = field(default_factory=list)


def parse_fields(text: str) -> list[Field]:
    """Parse a `fields` expression; raise `Refused` with Meta's code 2500 when it is none."""
    parser = _Parser(text)
    fields = parser.fields() if text.strip() else []
    parser.expect_end()
    return fields


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def fields(self) -> list[Field]:
        found = [self._field()]
        while self._take(","):
            found.append(self._field())
        return found

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise self._error()

    def _field(self) -> Field:
        result = Field(self._name())
        while self._take("."):
            name = self._name()
            result.params[name] = self._argument()
        if self._take("{"):
            result.children = self.fields()
            if not self._take("}"):
                raise self._error()
        return result

    def _name(self) -> str:
        match = re.compile(r"\s*(\w+)").match(self._text, self._at)
        if match is None:
            raise self._error()
        self._at = match.end()
        return match[1]

    def _argument(self) -> str:
        match = re.compile(r"\(([^()]*)\)").match(self._text, self._at)
        if match is None:
            raise self._error()
        self._at = match.end()
        return match[1]

    def _take(self, mark: str) -> bool:
        match = re.compile(rf"\s*{re.escape(mark)}").match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _error(self) -> Refused:
        return Refused(faults.error(2500, None, f"Syntax error in fields at character {self._at}"))


def _when(seconds: float) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S+0000", gmtime(seconds))


_COMMON: dict[str, Callable[[Any], Any]] = {
    "id": lambda node: node.id,
    "name": lambda node: node.name,
    "status": lambda node: node.status,
    "configured_status": lambda node: node.status,
    "effective_status": lambda node: node.effective_status,
    "created_time": lambda node: _when(node.created_time),
    "updated_time": lambda node: _when(node.updated_time),
    "issues_info": lambda node: node.issues or None,
}


def _creative(ad: Ad) -> dict[str, Any]:
    lost = MISSING_LEAD_FORM in ad.issues
    form = {} if lost else {"value": {"lead_gen_form_id": f"9{ad.id[1:]}"}}
    return {
        "id": f"8{ad.id[1:]}",
        "object_story_spec": {"link_data": {"call_to_action": {"type": "SIGN_UP", **form}}},
    }


# A value of None leaves the key out, as Meta does.
FIELDS: dict[type[Node], dict[str, Callable[[Any], Any]]] = {
    Account: {
        "id": lambda account: account.id,
        "account_id": lambda account: account.id.removeprefix("act_"),
        "name": lambda account: account.name,
        "account_status": lambda account: account.status,
        "user_tasks": lambda account: list(account.tasks),
        "currency": lambda _: "USD",
        "timezone_name": lambda _: "America/New_York",
    },
    Campaign: _COMMON
    | {
        "account_id": lambda campaign: campaign.account.id.removeprefix("act_"),
        "objective": lambda _: "OUTCOME_LEADS",
        "special_ad_categories": lambda campaign: list(campaign.special_ad_categories),
    },
    AdSet: _COMMON
    | {
        "account_id": lambda adset: adset.account.id.removeprefix("act_"),
        "campaign_id": lambda adset: adset.campaign.id,
        "campaign": lambda adset: adset.campaign,
        "targeting": lambda adset: copy.deepcopy(adset.targeting),
        "optimization_goal": lambda _: "LEAD_GENERATION",
        "destination_type": lambda _: "ON_AD",
        "billing_event": lambda _: "IMPRESSIONS",
        "special_ad_categories": lambda adset: list(adset.campaign.special_ad_categories),
        "learning_stage_info": lambda adset: {
            "status": adset.learning,
            "conversions": 63 if adset.learning == "SUCCESS" else 0,
            "last_sig_edit_ts": int(adset.last_significant_edit),
        },
    },
    Ad: _COMMON
    | {
        "account_id": lambda ad: ad.account.id.removeprefix("act_"),
        "campaign_id": lambda ad: ad.adset.campaign.id,
        "campaign": lambda ad: ad.adset.campaign,
        "adset_id": lambda ad: ad.adset.id,
        "adset": lambda ad: ad.adset,
        "ad_review_feedback": lambda ad: ad.review_feedback,
        "creative": _creative,
    },
}


_EDGES: dict[type[Node], tuple[str, ...]] = {
    Account: ("campaigns", "adsets", "ads"),
    Campaign: ("adsets", "ads"),
    AdSet: ("ads",),
    Ad: (),
}


def has_edge(node: Node, name: str) -> bool:
    """Tell whether this kind of object has an edge of this name."""
    return name in _EDGES[type(node)]


def json_param(params: Mapping[str, str], name: str, default: Any) -> Any:
    """Return a parameter that is JSON; raise `Refused` when it is not."""
    if name not in params:
        return default
    try:
        return json.loads(params[name])
    except ValueError:
        raise Refused(faults.error(100, None, f"param {name} must be JSON")) from None


class Reader:
    """Renders what one request asks for; `rows` counts what a reply holds, for Meta's limit on its size."""

    def __init__(self, state: State, token: str) -> None:
        self._state = state
        self._token = token
        self.rows = 0

    def node(self, node: Node, fields: Sequence[Field]) -> dict[str, Any]:
        """Return one object with the fields asked for; its id is always there."""
        if isinstance(node, Ad):
            post_processing.looked_at(node, self._state.now())
        return self.rendered(node, fields)

    def edge(self, node: Node, name: str, params: Mapping[str, str], fields: Sequence[Field]) -> dict[str, Any]:
        """Return one page of the objects on an edge."""
        found: list[Campaign | AdSet | Ad] = getattr(node, name)
        for each in found:
            if isinstance(each, Ad):
                post_processing.settle(each, self._state.now())
        wanted = _wanted_statuses(params)
        rows = [each for each in found if each.effective_status in wanted]
        limit = _limit(params)
        if self._state.page_size is not None:
            limit = min(limit, self._state.page_size)
        blanks, start = _read_cursor(params.get("after"))
        blank = blanks < self._state.empty_pages
        page = [] if blank else rows[start : start + limit]
        reply: dict[str, Any] = {"data": [self.node(each, fields) for each in page]}
        self.rows += len(page)
        more = blank or start + limit < len(rows)
        if page or more:
            after = _cursor(blanks + 1, start) if blank else _cursor(0, start + len(page))
            reply["paging"] = {"cursors": {"before": _cursor(0, start), "after": after}}
            if more:
                query = {"access_token": self._token, **params, "limit": str(limit), "after": after}
                version = self._state.version
                reply["paging"]["next"] = f"{self._state.url}/{version}/{node.id}/{name}?{urlencode(query)}"
        if params.get("summary", "false") not in {"false", "0", ""}:
            reply["summary"] = {"total_count": len(rows)}
        return reply

    def rendered(self, node: Node, fields: Sequence[Field]) -> dict[str, Any]:
        """Return an object with the fields asked for, without counting it as a read."""
        result: dict[str, Any] = {}
        for each in fields:
            if has_edge(node, each.name):
                params = each.params | ({"fields": _unparse(each.children)} if each.children else {})
                page = self.edge(node, each.name, params, each.children)
                if page["data"] or "paging" in page:
                    result[each.name] = page
                continue
            read = FIELDS[type(node)].get(each.name)
            if read is None:
                text = f"Tried accessing nonexisting field ({each.name}) on node type ({type(node).__name__})"
                raise Refused(faults.error(100, None, text))
            value = read(node)
            if isinstance(value, Node):
                value = self.rendered(value, each.children)
            elif each.children and isinstance(value, dict):
                names = {child.name for child in each.children}
                value = {key: part for key, part in value.items() if key in names}
            if value is not None:
                result[each.name] = value
        return result | {"id": node.id}


def _unparse(fields: Sequence[Field]) -> str:
    return ",".join(
        each.name
        + "".join(f".{name}({value})" for name, value in each.params.items())
        + (f"{{{_unparse(each.children)}}}" if each.children else "")
        for each in fields
    )


def _wanted_statuses(params: Mapping[str, str]) -> frozenset[str]:
    wanted = json_param(params, "effective_status", None)
    if wanted is None:
        return STATUSES - GONE
    if not isinstance(wanted, list) or not STATUSES.issuperset(wanted) or "DELETED" in wanted:
        raise Refused(faults.error(100, None, "effective_status must be a JSON list of known statuses without DELETED"))
    return frozenset(wanted)


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or int(text) == 0:
        raise Refused(faults.error(100, None, "limit must be a positive integer"))
    return int(text)


def _cursor(blanks: int, start: int) -> str:
    return base64.urlsafe_b64encode(f"{blanks}:{start}".encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> tuple[int, int]:
    """Return how many empty pages came before, and where the rows go on."""
    if text is None:
        return 0, 0
    try:
        blanks, start = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(":")
        return int(blanks), int(start)
    except ValueError:
        raise Refused(faults.error(100, None, "Invalid cursors values were provided")) from None
