"""PURE: Meta's rows → ad sets, ads and rows of the activity log."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from closrads.domain.adsets import GONE_STATUSES, Ad, AdIssue, AdSetSnapshot
from closrads.domain.drift import TargetingEdit
from closrads.domain.health import Actor, StatusChange
from closrads.errors import MetaInvalidError
from closrads.meta.error_codes import JsonObject, parse_json
from closrads.meta.targeting_write import has_targeting
from closrads.redaction import MAX_NAME_CHARS, one_line

_STATUS_EVENTS = frozenset({"update_ad_run_status", "update_ad_run_status_to_be_set_after_review"})
_TARGETING_EVENT = "update_ad_set_target_spec"
_VALUES = ("old_value", "new_value")
_SWITCHED_OFF, _SWITCHED_ON = frozenset({"inactive", "paused"}), frozenset({"active"})
_IN_PROCESS = "pending process"
"""Status after somebody's edit of an ad, until the next row shows its result."""
_IN_REVIEW = "pending review"
_META = frozenset({"meta", "facebook"})
_IN_LEARNING = frozenset({"LEARNING", "FAIL"})


def parse_adset(row: JsonObject, campaign_id: str, ads: Mapping[str, Ad], read_at: datetime) -> AdSetSnapshot:
    """Return an ad set with its ads; raise a `MetaInvalidError` if the row is not usable.

    Only a targeting that is not usable becomes a `flaw` of the ad set: a campaign's other ad sets need not wait for it.
    """
    adset_id = text_of(row, "id")
    flaw = _flaw(row)
    return AdSetSnapshot(
        id=adset_id,
        name=_name(row, adset_id),
        meta_campaign_id=campaign_id,
        effective_status=_adset_status(row),
        targeting={} if flaw else row["targeting"],
        ads=tuple(ads.values()),
        read_at=read_at,
        end_time=_end_time(row),
        account_id=str(account) if isinstance(account := row.get("account_id"), str | int) else "",
        special_ad_categories=_categories(row),
        learning_since=_learning_since(row),
        full_name=str(row.get("name") or adset_id),
        flaw=flaw,
    )


def parse_whole_adset(row: JsonObject, campaign_id: str, ads: Mapping[str, Ad], read_at: datetime) -> AdSetSnapshot:
    """Return an ad set as `parse_adset` does, but raise a `MetaInvalidError` for a flaw, too."""
    adset = parse_adset(row, campaign_id, ads, read_at)
    if adset.flaw:
        raise MetaInvalidError(adset.flaw)
    return adset


def _adset_status(row: JsonObject) -> str:
    """Return an ad set's effective status; that of a paused one need not show that its Meta campaign is gone."""
    own, campaign = text_of(row, "effective_status"), row.get("campaign")
    of_campaign = str(campaign.get("effective_status")) if isinstance(campaign, dict) else ""
    return of_campaign if of_campaign in GONE_STATUSES and own not in GONE_STATUSES else own


def _flaw(row: JsonObject) -> str:
    """Return why a row's targeting is not usable; empty if it is."""
    what = ""
    if not has_targeting(row):
        what = "without a targeting that can be read"
    elif not isinstance(row["targeting"].get("geo_locations") or {}, dict):
        what = "with locations that cannot be read"
    return what and f"Meta lists ad set {row['id']} {what}: open it in Ads Manager, check its audience and publish it"


def parse_ad(row: JsonObject) -> Ad:
    """Return an ad; raise a `MetaInvalidError` if the row is not usable."""
    return Ad(
        id=text_of(row, "id"),
        name=_name(row, row["id"]),
        status=text_of(row, "status" if row.get("status") else "configured_status"),
        effective_status=text_of(row, "effective_status"),
        issues=tuple(map(_issue, _list_of_objects(row, "issues_info"))),
        review_feedback=one_line("; ".join(_leaves(row.get("ad_review_feedback")))),
        adset_issues=_adset_issues(row),
    )


def parse_listed_ad(row: JsonObject) -> Ad:
    """Return an ad of a campaign's list, marked as unreadable if its row is not usable: that concerns one ad set only.

    Raises
    ------
    MetaInvalidError
        The row has no usable id.
    """
    try:
        return parse_ad(row)
    except MetaInvalidError as error:
        ad_id = text_of(row, "id")
        status = next((known for known in ("ACTIVE", "PAUSED") if row.get("status") == known), "UNKNOWN")
        return Ad(ad_id, _name(row, ad_id), status, "UNKNOWN", unreadable=str(error))


def _adset_issues(row: JsonObject) -> str:
    adset = row.get("adset")
    if not isinstance(adset, dict) or adset.get("effective_status") != "WITH_ISSUES":
        return ""
    return (
        one_line("; ".join(str(_issue(issue)) for issue in _list_of_objects(adset, "issues_info"))) or "no reason given"
    )


def _categories(row: JsonObject) -> tuple[str, ...]:
    campaign = row.get("campaign")
    categories = campaign.get("special_ad_categories") if isinstance(campaign, dict) else None
    return tuple(each for each in categories if isinstance(each, str)) if isinstance(categories, list) else ()


def _end_time(row: JsonObject) -> datetime | None:
    """Return when an ad set or its campaign ends; None if neither does, which old objects show as the time zero."""
    campaign = row.get("campaign")
    texts = (row.get("end_time"), campaign.get("stop_time") if isinstance(campaign, dict) else None)
    ends = (time for text in texts if (time := _time(text)) is not None and time.timestamp() > 0)
    return min(ends, default=None)


def _learning_since(row: JsonObject) -> str | None:
    """Return since when an ad set has been in its learning phase; None if it has left that, or if Meta does not say.

    Marketing API reference "Ad Campaign Learning Stage Info": `FAIL` is one that has got too few results to leave it.
    """
    info = row.get("learning_stage_info")
    if not isinstance(info, dict) or str(info.get("status")) not in _IN_LEARNING:
        return None
    seconds = str(info.get("last_sig_edit_ts"))
    is_known = re.fullmatch("[1-9][0-9]{0,10}", seconds)
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if is_known else ""


def _time(text: Any) -> datetime | None:
    """Parse one of Meta's times; return None if it is malformed or has no time zone."""
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


def _name(row: JsonObject, default: str) -> str:
    """Return a name that is safe to show and to store: names are free text."""
    return one_line(str(row.get("name") or ""), MAX_NAME_CHARS) or default


def _leaves(value: Any) -> Iterable[str]:
    """Yield the messages of Meta's review feedback, which nests them by scope, placement and policy."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from (f"{name}: {item}",) if isinstance(item, str) else _leaves(item)


def _list_of_objects(row: JsonObject, key: str) -> list[JsonObject]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MetaInvalidError(f"Meta lists an object whose {key} cannot be read")
    return value


def text_of(row: JsonObject, key: str) -> str:
    """Return a string of a row; raise a `MetaInvalidError` if it is missing, too long or not printable."""
    value = row.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARS or not value.isprintable():
        raise MetaInvalidError(f"Meta lists an object without a usable {key}")
    return value


def parse_status_change(row: JsonObject) -> StatusChange | None:
    """Return the status change in a row of the activity log; None if the row is of another kind.

    Marketing API reference "Ad Activity". Statuses are display texts, `extra_data` is a JSON string, and for an
    advertiser's automated rule the actor is Meta, but the row names the rule. When Meta ends the review of an ad that
    is off, it logs a change to off as its own, but that pauses nothing: it was off before.
    """
    extra = parse_json(row.get("extra_data"))
    at, ad_id = _time(row.get("event_time")), row.get("object_id")
    if str(row.get("event_type")) not in _STATUS_EVENTS or not isinstance(extra, dict) or at is None:
        return None
    name, status = row.get("actor_name"), extra.get("new_value")
    actor = Actor.UNKNOWN if not isinstance(name, str) or not name else Actor.ADVERTISER
    if isinstance(name, str) and name.lower() in _META and not extra.get("rule_info"):
        actor = Actor.META
    word = status.lower() if isinstance(status, str) else ""
    # The row with the edit's result may be missing, and with it a person's pause, or that the ad was switched on.
    ends_pause = word in _SWITCHED_ON or (word == _IN_PROCESS and actor is not Actor.META)
    ends_review = actor is Actor.META and str(extra.get("old_value")).lower() == _IN_REVIEW
    if not ends_pause and (word not in _SWITCHED_OFF or ends_review):
        return None
    return StatusChange(ad_id=str(ad_id), at=at, ends_pause=ends_pause, actor=actor, name=one_line(str(name or "")))


def parse_targeting_edit(row: JsonObject) -> TargetingEdit | None:
    """Return the edit of an ad set's locations in a row of the activity log; None if the row is of another kind.

    Marketing API reference "Ad Activity". `extra_data` describes the whole targeting before and after as lists of
    display texts, each with a heading such as "Location - Living in:". If it cannot be read, the row counts: it may be
    the one that is looked for.
    """
    at, adset_id, name = _time(row.get("event_time")), row.get("object_id"), row.get("actor_name")
    if row.get("event_type") != _TARGETING_EVENT or at is None:
        return None
    extra = parse_json(row.get("extra_data"))
    before, after = ((_locations(extra.get(key)) if isinstance(extra, dict) else None) for key in _VALUES)
    if before is not None and before == after:
        return None
    app_id = row.get("application_id")
    return TargetingEdit(
        adset_id=str(adset_id),
        at=at,
        name=one_line(name, MAX_NAME_CHARS) if isinstance(name, str) else "",
        app_id=str(app_id) if isinstance(app_id, str | int) else "",
        is_certain=before is not None and after is not None,
    )


def _locations(described: Any) -> list[JsonObject] | None:
    """Return the entries of a described targeting that are about locations; None if it cannot be read."""
    if not isinstance(described, list) or not all(isinstance(entry, dict) for entry in described):
        return None
    return [entry for entry in described if "location" in str(entry.get("content")).lower()]
