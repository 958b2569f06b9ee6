"""Meta's rows → ad sets and ads."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from closrads.domain.adsets import Ad, AdIssue, AdSetSnapshot
from closrads.errors import MetaInvalidError
from closrads.meta.error_codes import JsonObject
from closrads.meta.targeting_write import has_targeting
from closrads.redaction import MAX_NAME_CHARS, one_line


def parse_adset(row: JsonObject, campaign_id: str, ads: Mapping[str, Ad], read_at: datetime) -> AdSetSnapshot:
    adset_id = _text(row, "id")
    if not has_targeting(row):
        raise MetaInvalidError(f"Meta lists ad set {adset_id} without its targeting")
    return AdSetSnapshot(
        id=adset_id,
        name=_name(row, adset_id),
        meta_campaign_id=campaign_id,
        effective_status=_text(row, "effective_status"),
        targeting=row["targeting"],
        ads=tuple(ads.values()),
        read_at=read_at,
    )


def _ad(row: JsonObject) -> Ad:
    return Ad(
        id=_text(row, "id"),
        name=_name(row, row["id"]),
        status=_text(row, "status" if row.get("status") else "configured_status"),
        effective_status=_text(row, "effective_status"),
        issues=tuple(map(_issue, _list_of_objects(row, "issues_info"))),
        review_feedback=one_line("; ".join(_leaves(row.get("ad_review_feedback")))),
        updated_at=_time(row.get("updated_time")),
    )


def _time(text: Any) -> datetime | None:
    """Return a time that Meta states, None if it cannot be read."""
    with suppress(TypeError, ValueError):
        time = datetime.fromisoformat(text)
        return time if time.tzinfo else None
    return None


def _issue(issue: JsonObject) -> AdIssue:
    code = str(issue.get("error_code"))
    return AdIssue(
        code=int(code) if re.fullmatch("-?[0-9]{1,12}", code) else None,
        summary=one_line(str(issue.get("error_summary") or "Issue")),
        message=one_line(str(issue.get("error_message") or "")),
        type=issue.get("error_type"),
    )


def _name(row: JsonObject, instead: str) -> str:
    """Return a name as it can be shown and stored: people give it, and it may be anything."""
    return one_line(str(row.get("name") or ""), MAX_NAME_CHARS) or instead


def _leaves(value: Any) -> Iterable[str]:
    """Yield the texts of Meta's review feedback, which nests them by scope, placement and policy."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from (f"{name}: {item}",) if isinstance(item, str) else _leaves(item)


def _list_of_objects(row: JsonObject, key: str) -> list[JsonObject]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MetaInvalidError(f"Meta lists an object whose {key} cannot be read")
    return value


def _text(row: JsonObject, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARS or not value.isprintable():
        raise MetaInvalidError(f"Meta lists an object without a usable {key}")
    return value
