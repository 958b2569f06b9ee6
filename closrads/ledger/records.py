"""PURE: the frozen values ↔ the ledger's items, and the keys of the items."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from closrads.domain.adsets import LONG_AGO, Ad, AdSetSnapshot
from closrads.domain.changes import (
    Change,
    ChangeState,
    LastRecheck,
    ReportedFailures,
    RevertStreak,
    RollbackReason,
    UnexplainedPause,
)
from closrads.domain.damping import DemandHistory, Streak
from closrads.domain.json_fields import with_tuples
from closrads.domain.plan_id import Plan, PlannedChange
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import GraphUsage, RunResult, without_details
from closrads.domain.runs import CampaignProgress, RunRecord, SharedRun
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.domain.tiers import KnownTier
from closrads.redaction import redact_all

KEPT_FOR = timedelta(days=400)
"""Retention of final records: a year, and a month more to ask about it."""
PLAN_KEPT_FOR = timedelta(days=30)
"""Time for which the plan of a dry run can be approved; demand will have changed it long before."""
MAX_ITEM_BYTES = 390_000
"""Maximum size of an item; DynamoDB accepts 400 kB (Developer Guide, "Quotas")."""
UNEXPLAINED = "MEMORY#unexplained#"
DEMAND_FORMAT = 1
"""Format of the demand history's item; an item in another format is ignored, and the count starts again."""
MAX_KEPT = 2_000
"""Maximum number of ad sets in the progress of a campaign, if all of them do not fit into one item."""
Item = dict[str, Any]


# --- keys


def campaign_key(slug: str) -> str:
    """Return the partition key of a campaign."""
    return f"CAMPAIGN#{slug}"


def lease_key(slug: str) -> Item:
    """Return the key of a campaign's lease."""
    return {"pk": campaign_key(slug), "sk": "LEASE"}


def change_key(change: Change) -> Item:
    """Return the key of a change."""
    return {"pk": campaign_key(change.campaign), "sk": f"CHANGE#{change.run_id}#{change.before.id}"}


def run_key(run_id: str) -> Item:
    """Return the key of a run."""
    return {"pk": "RUN", "sk": run_id}


def progress_partition(run_id: str) -> str:
    """Return the partition key of the progress of a shared run's campaigns."""
    return f"PARTS#{run_id}"


def progress_key(run_id: str, slug: str) -> Item:
    """Return the key of the progress of one campaign in a shared run."""
    return {"pk": progress_partition(run_id), "sk": slug}


def plan_key(plan_id: str) -> Item:
    """Return the key of the plan of a dry run."""
    return {"pk": "PLAN", "sk": plan_id}


def scheduled_key(key: str) -> Item:
    """Return the key of the claim of a scheduled time."""
    return {"pk": "SCHEDULED", "sk": key}


def reverts_key(change: Change) -> Item:
    """Return the key of an ad set's revert streak."""
    return {"pk": campaign_key(change.campaign), "sk": f"MEMORY#{change.before.id}"}


def deferred_key(slug: str) -> Item:
    """Return the key of the ad sets that the last run of a campaign deferred."""
    return {"pk": campaign_key(slug), "sk": "MEMORY#deferred"}


def demand_key(slug: str) -> Item:
    """Return the key of the demand history of a campaign with damping."""
    return {"pk": campaign_key(slug), "sk": "MEMORY#demand"}


def open_since(change: Change) -> str:
    """Return the sort key of an open change in the index `open`: the oldest comes first."""
    return f"{change.prepared_at.isoformat()}#{change.before.id}"


def rechecked_key(slug: str) -> Item:
    """Return the key of a campaign's last complete recheck."""
    return {"pk": campaign_key(slug), "sk": "RECHECKED"}


def unexplained_key(slug: str, adset_id: str) -> Item:
    """Return the key of an ad set's unexplained pauses."""
    return {"pk": campaign_key(slug), "sk": f"{UNEXPLAINED}{adset_id}"}


def tier_key(account: str) -> Item:
    """Return the key of an ad account's access tier."""
    return {"pk": f"ACCOUNT#{account}", "sk": "TIER"}


# --- times and sizes


def seconds_of(time: datetime) -> int:
    """Return a time in seconds since the epoch, as DynamoDB compares it."""
    return int(time.timestamp())


def expiry(now: datetime) -> int:
    """Return when a record that is final now may be deleted, in seconds since the epoch."""
    return seconds_of(now + KEPT_FOR)


def size_of(item: Item) -> int:
    """Return the size of an item in bytes, or slightly more."""
    return sum(
        len(name) + len(value if isinstance(value, bytes) else json.dumps(value)) for name, value in item.items()
    )


def max_bytes(change: Change) -> int:
    """Return an upper bound of the size of a change's item: unpacked, but at most `MAX_ITEM_BYTES`."""
    values = (change.before.targeting, change.after, ads_item(change))
    return min(sum(len(json.dumps(value)) for value in values), MAX_ITEM_BYTES)


# --- changes


def change_item(change: Change) -> Item:
    """Return the item of a change, with both complete targetings."""
    before = change.before
    return {
        **change_key(change),
        "campaign": change.campaign,
        "run_id": change.run_id,
        "action": change.action.value,
        "adset": before.id,
        "name": before.name,
        "meta_campaign": before.meta_campaign_id,
        "effective_status": before.effective_status,
        "before": _packed(before.targeting),
        "after": _packed(change.after),
        "ads": ads_item(change),
        "state": change.state.value,
        "prepared_at": change.prepared_at.isoformat(),
        "changed_at": change.changed_at.isoformat(),
        "open_since": open_since(change),
        **({"memory": reverts_item(change.reverts)} if change.reverts else {}),
    }


def change_of(item: Item) -> Change:
    """Return the change in an item."""
    return Change(
        campaign=item["campaign"],
        run_id=item["run_id"],
        action=Action(item["action"]),
        before=AdSetSnapshot(
            id=item["adset"],
            name=item["name"],
            meta_campaign_id=item["meta_campaign"],
            effective_status=item["effective_status"],
            targeting=_unpacked(item["before"]),
            ads=tuple(map(_ad_of, item["ads"])),
        ),
        after=_unpacked(item["after"]),
        state=ChangeState(item["state"]),
        prepared_at=_time(item["prepared_at"]),
        changed_at=_time(item["changed_at"]),
        reverts=reverts_of(item["memory"]) if "memory" in item else None,
        reason=RollbackReason(item["reason"]) if "reason" in item else None,
        is_reported=item.get("is_reported", False),
        stored=frozenset(item.get("stored_regions", ())),
    )


def ads_item(change: Change) -> list[dict[str, str]]:
    """Return the ads that a change is responsible for."""
    return [{"id": ad.id, "name": ad.name, "seen_on": ad.seen_on.isoformat()} for ad in change.before.active_ads]


def _ad_of(item: Item) -> Ad:
    seen_on = _time(item["seen_on"]) if "seen_on" in item else LONG_AGO  # older items lack it
    return Ad(item["id"], item["name"], "ACTIVE", "ACTIVE", seen_on=seen_on)


def reverts_item(reverts: RevertStreak) -> Item:
    """Return the item of a revert streak."""
    return {"wanted": sorted(reverts.wanted), "times": reverts.runs}


def reverts_of(item: Item) -> RevertStreak:
    """Return the revert streak in an item."""
    return RevertStreak(frozenset(item["wanted"]), int(item["times"]))


def unexplained_item(pause: UnexplainedPause) -> Item:
    """Return the item of an ad set's unexplained pauses."""
    ads = [{"id": ad_id, "name": name} for ad_id, name in pause.ads.items()]
    return {
        "adset": pause.adset_id,
        "name": pause.adset_name,
        "ads": ads,
        "since": pause.since.isoformat(),
        "is_reported": pause.is_reported,
        "switched_on": sorted(pause.switched_on),
        "seen_on": {ad_id: at.isoformat() for ad_id, at in pause.seen_on.items()},
        "on_again": {ad_id: at.isoformat() for ad_id, at in pause.on_again.items()},
    }


def unexplained_of(item: Item) -> UnexplainedPause:
    """Return the unexplained pauses in an item."""
    ads = {ad["id"]: ad["name"] for ad in item["ads"]}
    is_reported = item.get("is_reported", False)  # older items lack it, and are reported once more
    switched_on = frozenset(item.get("switched_on", ()))
    seen_on, on_again = (  # older items lack them
        {ad_id: _time(at) for ad_id, at in item.get(name, {}).items()} for name in ("seen_on", "on_again")
    )
    since = _time(item["since"])
    return UnexplainedPause(item["adset"], item["name"], ads, since, is_reported, switched_on, seen_on, on_again)


def demand_item(history: DemandHistory) -> Item:
    """Return the item of a campaign's demand history."""
    waiting = {state: [streak.since.isoformat(), streak.days] for state, streak in sorted(history.waiting.items())}
    return {
        "format": DEMAND_FORMAT,
        "day": history.day.isoformat(),
        "demand": _packed({"wanted": sorted(history.wanted), "waiting": waiting}),
        # An older version without damping would read the item as the revert streak of an ad set.
        **reverts_item(RevertStreak(frozenset(), 0)),
    }


def demand_of(item: Item) -> DemandHistory | None:
    """Return the demand history in an item; None if its format is a later one, or it is malformed."""
    try:
        if item["format"] != DEMAND_FORMAT:
            return None
        demand = _unpacked(item["demand"])
        waiting = {
            str(state): Streak(date.fromisoformat(since), int(days))
            for state, (since, days) in demand["waiting"].items()
        }
        return DemandHistory(date.fromisoformat(item["day"]), frozenset(map(str, demand["wanted"])), waiting)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zlib.error):
        return None


def recheck_item(recheck: LastRecheck) -> Item:
    """Return the item of a campaign's last complete recheck."""
    ends = {"token_ends": recheck.token_ends.isoformat()} if recheck.token_ends else {}
    return {
        "at": recheck.at.isoformat(),
        **ends,
        **_reported_item(recheck.reported),
        **({} if recheck.account_delivers else {"account_delivers": False}),
        **({} if recheck.unseen is None else {"paused": sorted(recheck.unseen)}),  # the name of older versions
        "expires_at": expiry(recheck.at),
    }


def _reported_item(reported: ReportedFailures | None) -> Item:
    """Return the attributes of reported failures; an older version ignores them, and mails each failure."""
    if reported is None:
        return {}
    return {"reported_at": reported.at.isoformat(), "reported": _packed(sorted(reported.failures))}


def recheck_of(item: Item) -> LastRecheck:
    """Return the recheck in an item."""
    ends = item.get("token_ends")
    reported = (
        ReportedFailures(_time(item["reported_at"]), frozenset(_unpacked(item["reported"])))
        if "reported" in item
        else None
    )
    delivers = item.get("account_delivers", True)
    unseen = frozenset(item["paused"]) if "paused" in item else None
    return LastRecheck(_time(item["at"]), date.fromisoformat(ends) if ends else None, reported, delivers, unseen)


def tier_item(tier: KnownTier) -> Item:
    """Return the item of an ad account's access tier."""
    return {"points": tier.points, "proven_at": tier.proven_at.isoformat()}


def tier_of(item: Item) -> KnownTier:
    """Return the access tier in an item."""
    return KnownTier(int(item["points"]), _time(item["proven_at"]))


# --- runs


def result_item(result: Mapping[str, Any]) -> bytes:
    """Return a run's result, packed; if it is too large, without details, or even without campaigns."""
    packed = _packed(result)
    if len(packed) > MAX_ITEM_BYTES:
        packed = _packed(without_details(result))
    return (
        packed
        if len(packed) <= MAX_ITEM_BYTES
        else _packed({**result, "campaigns": [], "recovered": [], "unexplained": []})
    )


def run_record_of(item: Item) -> RunRecord:
    """Return the record of the run in an item."""
    return RunRecord(
        run_id=item["sk"],
        action=Action(item["action"]),
        campaigns=tuple(item["campaigns"]),
        started_at=_time(item["started_at"]),
        ended_at=_time(item["ended_at"]) if "ended_at" in item else None,
        result=RunResult.from_json(_unpacked(item["result"])) if "result" in item else None,
        scheduled=_scheduled_of(item),
    )


def _scheduled_of(item: Item) -> datetime | None:
    """Return the scheduled time of a sync of all campaigns, in one invocation or several; None for others."""
    if shared := shared_run_of(item):
        return shared.request.scheduled if shared.request.follows_schedule else None
    return _time(item["scheduled"]) if "scheduled" in item else None


def plan_item(plan: Plan, now: datetime) -> Item:
    """Return the item of a plan, redacted; it may be too large for the ledger."""
    names = redact_all({change.id: change.name for change in plan.changes})
    changes = [
        [change.campaign, change.id, names[change.id], sorted(change.before), sorted(change.after)]
        for change in plan.changes
    ]
    content = {"changes": changes, "campaigns": plan.campaigns, "force": sorted(plan.force)}
    return {**plan_key(plan.id), "plan": _packed(content), "expires_at": seconds_of(now + PLAN_KEPT_FOR)}


def plan_of(item: Item) -> Plan:
    """Return the plan in an item."""
    content = _unpacked(item["plan"])
    campaigns = content["campaigns"]
    return Plan(
        tuple(
            PlannedChange(slug, adset_id, name, frozenset(before), frozenset(after))
            for slug, adset_id, name, before, after in content["changes"]
        ),
        campaigns if campaigns is None else tuple(campaigns),
        frozenset(content["force"]),
    )


def shared_run_item(run: SharedRun) -> Item:
    """Return the item of a run that several invocations share."""
    return {
        **run_key(run.run_id),
        "action": run.request.action.value,
        "dry_run": run.request.dry_run,
        "campaigns": list(run.campaigns),
        "names": _packed(list(run.campaigns.values())),
        "request": _packed(run.request.to_json()),
        "notices": list(run.notices),
        "off": _packed([switch.to_json() for switch in run.switched_off]),
        "started_at": run.started_at.isoformat(),
        "expires_at": expiry(run.started_at),
    }


def shared_run_of(item: Item) -> SharedRun | None:
    """Return the shared run in an item; None if it is the run of a single invocation."""
    if "request" not in item:
        return None
    request = with_tuples(_unpacked(item["request"]))
    return SharedRun(
        run_id=item["sk"],
        request=RunRequest(
            **{
                **request,
                "action": Action(request["action"]),
                "force": frozenset(request["force"]),
                "scheduled": request["scheduled"] and _time(request["scheduled"]),
            }
        ),
        started_at=_time(item["started_at"]),
        campaigns=dict(zip(item["campaigns"], _unpacked(item["names"]), strict=True)),
        switched_off=tuple(map(SwitchedOff.from_json, _unpacked(item["off"]) if "off" in item else ())),
        has_ended="ended_at" in item,
        ends_begun=int(item.get("ends_begun", 0)),
        notices=tuple(item.get("notices", ())),
    )


def progress_item(run_id: str, progress: CampaignProgress, now: datetime) -> Item:
    """Return the item of a campaign's progress in a run, redacted, and truncated to fit."""
    packed = _packed(redact_all(_report_item(progress.report)))
    if len(packed) > MAX_ITEM_BYTES:
        report = progress.report
        few = replace(report, adsets=report.adsets[:MAX_KEPT], recovered=report.recovered[:MAX_KEPT])
        packed = _packed(redact_all(_report_item(few)))
    return {
        **progress_key(run_id, progress.report.slug),
        "begun_at": now.isoformat(),
        "report": packed,
        "graph": asdict(progress.graph),
        "is_over": progress.is_over,
        "expires_at": expiry(now),
    }


def _report_item(report: SyncReport) -> Item:
    """Return the fields of a report in a form that an older version, still running during a deployment, can read."""
    item = {
        **asdict(replace(report, adsets=(), recovered=(), unexplained=(), waiting=())),
        "adsets": [adset.to_json() for adset in report.adsets],
        "recovered": [recovery.to_json() for recovery in report.recovered],
        "unexplained": [unexplained_item(pause) for pause in report.unexplained],
        "waiting": [state.to_json() for state in report.waiting],
    }
    del item["omitted"], item["switched_off"]
    if report.switched_off is not None:
        item["switched_off"] = report.switched_off.to_json()
    return item


def progress_of(item: Item) -> CampaignProgress | None:
    """Return the progress of a campaign in an item; None if none has been saved yet."""
    if "report" not in item:
        return None
    packed = _unpacked(item["report"])
    unexplained = tuple(map(unexplained_of, packed.pop("unexplained", ())))
    report = replace(SyncReport.from_json(packed), unexplained=unexplained)
    return CampaignProgress(report, GraphUsage.from_json(item["graph"]), bool(item["is_over"]))


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), level=9)


def _unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
