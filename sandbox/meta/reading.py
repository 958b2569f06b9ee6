"""Reads: nodes, edges and paging, as in Meta's Graph API guides."""

import base64
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime, strftime
from typing import Any, TypeVar
from urllib.parse import urlencode

from sandbox.meta import activity_log, faults, post_processing
from sandbox.meta.activity_log import CATEGORIES, Activity
from sandbox.meta.breakage import MISSING_LEAD_FORM
from sandbox.meta.faults import Refused
from sandbox.meta.field_expansion import Field, unparse
from sandbox.meta.model import GONE, Account, Ad, AdSet, Campaign, Node
from sandbox.meta.state import State

DEFAULT_LIMIT = 25
ACTIVITY_DAYS = 7
"""Default window of the activity log in days."""
STATUSES = frozenset(
    {
        "ACTIVE", "PAUSED", "DELETED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
        "CAMPAIGN_PAUSED", "ARCHIVED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES",
    }
)  # fmt: skip


_PARENTS = (Campaign, AdSet)

Row = TypeVar("Row")


def _when(seconds: float) -> str:
    return _second(int(seconds))


@lru_cache
def _second(seconds: int) -> str:
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


def _optional_time(seconds: float | None) -> str | None:
    return None if seconds is None else _when(seconds)


def _learning_stage(adset: AdSet) -> dict[str, Any] | None:
    """Return the learning phase (Marketing API reference "Ad Campaign Learning Stage Info"); times are Unix seconds."""
    if adset.learning is None:
        return None
    return {
        "status": adset.learning,
        "conversions": 63 if adset.learning == "SUCCESS" else 0,
        "last_sig_edit_ts": int(adset.last_significant_edit),
    }


def _creative(ad: Ad) -> dict[str, Any]:
    lost = MISSING_LEAD_FORM in ad.issues
    form = {} if lost else {"value": {"lead_gen_form_id": f"9{ad.id[1:]}"}}
    return {
        "id": f"8{ad.id[1:]}",
        "object_story_spec": {"link_data": {"call_to_action": {"type": "SIGN_UP", **form}}},
    }


# A value of None omits the key, as Meta does.
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
        "start_time": lambda campaign: _optional_time(campaign.start_time),
        "stop_time": lambda campaign: _optional_time(campaign.stop_time),
        "special_ad_categories": lambda campaign: list(campaign.special_ad_categories),
    },
    AdSet: _COMMON
    | {
        "account_id": lambda adset: adset.account.id.removeprefix("act_"),
        "campaign_id": lambda adset: adset.campaign.id,
        "campaign": lambda adset: adset.campaign,
        "targeting": lambda adset: adset.targeting,
        "optimization_goal": lambda _: "LEAD_GENERATION",
        "destination_type": lambda _: "ON_AD",
        "billing_event": lambda _: "IMPRESSIONS",
        "special_ad_categories": lambda adset: list(adset.campaign.special_ad_categories),
        "start_time": lambda adset: _optional_time(adset.start_time),
        "end_time": lambda adset: _optional_time(adset.end_time),
        "daily_budget": lambda _: "5000",
        "budget_remaining": lambda adset: str(adset.budget_remaining),
        "learning_stage_info": _learning_stage,
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
    Account: ("campaigns", "adsets", "ads", "activities", "account_controls"),
    Campaign: ("adsets", "ads"),
    AdSet: ("ads", "activities"),
    Ad: (),
}


def has_edge(node: Node, name: str) -> bool:
    """Return whether this kind of object has an edge of this name."""
    return name in _EDGES[type(node)]


def json_param(params: Mapping[str, str], name: str, default: Any) -> Any:
    """Return a JSON parameter; raise `Refused` if it is malformed."""
    if name not in params:
        return default
    try:
        return json.loads(params[name])
    except ValueError:
        raise Refused(faults.error(100, None, f"param {name} must be JSON")) from None


class Reader:
    """Renders the response to one request; `rows` counts its rows, for Meta's limit on its size."""

    def __init__(self, state: State, token: str, now: float) -> None:
        self._state = state
        self._token = token
        self._now = now
        self.rows = 0

    def node(self, node: Node, fields: Sequence[Field]) -> dict[str, Any]:
        """Return one object with the requested fields; its id is always included."""
        if isinstance(node, Ad):
            post_processing.looked_at(node, self._now)
        shown = self.rendered(node if isinstance(node, Account) else node.seen(self._now), fields)
        return self._state.read_oddity(copy.deepcopy(shown)) if self._state.read_oddity is not None else shown

    def echo(self, node: Node, fields: Sequence[Field]) -> dict[str, Any]:
        """Return an object right after a write; this does not count as a read."""
        shown = self.rendered(node, fields)
        return self._state.echo_oddity(copy.deepcopy(shown)) if self._state.echo_oddity is not None else shown

    def edge(self, node: Node, name: str, params: Mapping[str, str], fields: Sequence[Field]) -> dict[str, Any]:
        """Return one page of an edge."""
        if name == "activities":
            return self._activities(node, params, fields)
        if name == "account_controls":
            return {"data": [] if node.account.controls is None else [node.account.controls]}
        found: list[Campaign | AdSet | Ad] = getattr(node, name)
        for each in found:
            if isinstance(each, Ad):
                post_processing.settle(each, self._now)
        wanted = _wanted_statuses(params)
        rows = [each for each in found if each.seen(self._now).effective_status in wanted]
        omitted = self._state.hidden | (self._state.unlisted if isinstance(node, Campaign) else set())
        rows = [each for each in rows if each.id not in omitted]
        if name == "adsets" and "is_completed" in params:
            # Documented as a filter by completed status; whether that is Ads Manager's "Completed" is unknown.
            completed = params["is_completed"] in {"true", "1"}
            rows = [each for each in rows if isinstance(each, AdSet) and each.is_ended(self._now) is completed]
        return self._page(f"{node.id}/{name}", rows, params, lambda row: self.node(row, fields))

    def _activities(self, node: Node, params: Mapping[str, str], fields: Sequence[Field]) -> dict[str, Any]:
        log = node.account.activities
        for ad in node.account.ads:
            post_processing.time_passed(ad, self._now)
        unknown = [each.name for each in fields if each.name not in activity_log.FIELDS]
        if unknown:
            raise Refused(faults.error(100, None, f"Tried accessing nonexisting field ({unknown[0]}) on AdActivity"))
        since = _moment(params, "since", self._now - ACTIVITY_DAYS * 86_400)
        until = _moment(params, "until", self._now)
        if log.widest is not None and until - since > log.widest:
            raise Refused(log.too_wide)
        is_wanted = _wanted_activities(node, params, log.oid)
        rows = [row for row in log.between(since, until, self._now) if is_wanted(row)]
        names = [each.name for each in fields] or list(activity_log.FIELDS)

        def rendered(row: Activity) -> dict[str, Any]:
            shown = {name: activity_log.FIELDS[name](row) for name in names}
            return {name: value for name, value in shown.items() if value is not None}

        return self._page(f"{node.id}/activities", rows, params, rendered)

    def _page(
        self, path: str, rows: Sequence[Row], params: Mapping[str, str], render: Callable[[Row], dict[str, Any]]
    ) -> dict[str, Any]:
        limit = _limit(params)
        if self._state.page_size is not None:
            limit = min(limit, self._state.page_size)
        blanks, start = _read_cursor(params.get("after"))
        blank = blanks < self._state.empty_pages
        page = [] if blank else rows[start : start + limit]
        reply: dict[str, Any] = {"data": [render(each) for each in page]}
        self.rows += len(page)
        more = blank or start + limit < len(rows)
        if page or more:
            after = _cursor(blanks + 1, start) if blank else _cursor(0, start + len(page))
            reply["paging"] = {"cursors": {"before": _cursor(0, start), "after": after}}
            if more:
                query = {"access_token": self._token, **params, "limit": str(limit), "after": after}
                reply["paging"]["next"] = f"{self._state.url}/{self._state.version}/{path}?{urlencode(query)}"
        if params.get("summary", "false") not in {"false", "0", ""}:
            reply["summary"] = {"total_count": len(rows)}
        return reply

    def rendered(self, node: Node, fields: Sequence[Field]) -> dict[str, Any]:
        """Return an object with the requested fields, without counting it as a read."""
        result: dict[str, Any] = {}
        readers = FIELDS[type(node)]
        for each in fields:
            read = readers.get(each.name)
            value = self._nested(node, each) if read is None else read(node)
            if value is None:
                continue
            if isinstance(value, _PARENTS):
                value = self.rendered(value, each.children)
            elif each.children and read is not None and isinstance(value, dict):
                names = {child.name for child in each.children}
                value = {key: part for key, part in value.items() if key in names}
            result[each.name] = value
        result["id"] = node.id
        return result

    def _nested(self, node: Node, nested: Field) -> dict[str, Any] | None:
        """Return a page of an edge among the fields; None if it is empty."""
        if not has_edge(node, nested.name):
            text = f"Tried accessing nonexisting field ({nested.name}) on node type ({type(node).__name__})"
            raise Refused(faults.error(100, None, text))
        params = {**nested.params, **({"fields": unparse(nested.children)} if nested.children else {})}
        page = self.edge(node, nested.name, params, nested.children)
        return page if page["data"] or "paging" in page else None


def _wanted_statuses(params: Mapping[str, str]) -> frozenset[str]:
    wanted = json_param(params, "effective_status", None)
    if wanted is None:
        return STATUSES - GONE
    if not isinstance(wanted, list) or not STATUSES.issuperset(wanted) or "DELETED" in wanted:
        raise Refused(faults.error(100, None, "effective_status must be a JSON list of known statuses without DELETED"))
    return frozenset(wanted)


def _wanted_activities(node: Node, params: Mapping[str, str], oid: str) -> Callable[[Activity], bool]:
    """Return the filter of a read of activities."""
    category = params.get("category")
    if category is not None and category not in CATEGORIES:
        raise Refused(faults.error(100, None, f"category must be one of {', '.join(sorted(CATEGORIES))}"))
    if oid == "refused" and "oid" in params:
        raise Refused(faults.error(100, None, "Unsupported parameter oid"))
    objects: set[str] | None = None
    children = True
    if not isinstance(node, Account):
        # Unconfirmed: that the log of an ad set includes the rows of its ads.
        objects = {node.id}
    elif oid == "honoured" and ("oid" in params or "extra_oids" in params):
        objects = {params.get("oid", ""), *json_param(params, "extra_oids", [])}
        children = params.get("add_children", "false") in {"true", "1"}

    def is_wanted(row: Activity) -> bool:
        return (
            category in {None, row.type.category}
            and params.get("uid") in {None, row.actor.id}
            and (objects is None or row.object_id in objects or (children and not objects.isdisjoint(row.parents)))
        )

    return is_wanted


def _moment(params: Mapping[str, str], name: str, default: float) -> float:
    """Parse a time in epoch seconds or a date, which means midnight UTC."""
    text = params.get(name)
    if text is None:
        return default
    if text.isdecimal():
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(faults.error(100, None, f"{name} must be a date or a time stamp")) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or int(text) == 0:
        raise Refused(faults.error(100, None, "limit must be a positive integer"))
    return int(text)


def _cursor(blanks: int, start: int) -> str:
    return base64.urlsafe_b64encode(f"{blanks}:{start}".encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> tuple[int, int]:
    """Return the number of empty pages before, and the index of the next row."""
    if text is None:
        return 0, 0
    try:
        blanks, start = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(":")
        return int(blanks), int(start)
    except ValueError:
        raise Refused(faults.CURSOR_INVALID) from None
