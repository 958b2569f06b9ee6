"""The results of a run: of each ad set, of each campaign, and as a whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Self

from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.switches import SwitchedOff
from closrads.errors import ClosradsError
from closrads.redaction import MAX_NAME_CHARS, one_line
from closrads.state_mapper import is_unreadable

MAX_RESULT_BYTES = 5_500_000
"""Maximum size of the JSON; Lambda accepts a response of 6 MB (Lambda Developer Guide, "Quotas")."""
MAX_ISSUES = 10
"""Maximum number of issues of one ad set."""


class Result(StrEnum):
    """The outcome of one ad set; in a dry run, the expected one."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED_PREFLIGHT = "skipped_preflight"
    """An ad was broken before; left alone."""
    NEEDS_ATTENTION = "needs_attention"
    """Cannot be set to the states without losing what a person set up, or was reverted too often; left alone."""
    NOT_ACTIVE = "not_active"
    """`IN_PROCESS` or `WITH_ISSUES` itself; left alone."""
    ENDED = "ended"
    """Its end date, or that of its campaign, is past; left alone."""
    OPTED_OUT = "opted_out"
    """A pattern of `skip_adsets` names it; left alone, whatever its state."""
    DEFERRED = "deferred"
    """Not started, for lack of time or quota, or because of `max_adsets` or a pause; the next run processes it."""
    HELD = "held"
    """Not started, because the campaign was stopped or an earlier change of it is still open."""
    REVERTED = "reverted"
    """Updated, found broken, rolled back, and healthy again."""
    FAILED = "failed"
    """Could not be updated; it is unchanged."""
    UNVERIFIED = "unverified"
    """Updated, but its ads could not be read afterwards."""
    SUPERSEDED = "superseded"
    """Somebody else changed its targeting during the run; left as that person set it."""
    ROLLBACK_FAILED = "rollback_failed"
    """Updated, found broken, and not confirmed to be as it was before."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """An earlier run's open change, and its state after this run; a dry run leaves the state as it is."""

    run_id: str
    """The run that started the change."""
    id: str
    """The ad set's."""
    name: str
    found: ChangeState
    state: ChangeState
    issues: tuple[str, ...] = ()
    is_reported: bool = False
    """Whether a sent report has named the failed rollback that was found."""
    drift: Drift | None = None
    """How somebody else set its states, before the change or superseding it; None as in `AdSetResult`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _limited(self.issues))

    @classmethod
    def from_json(cls, recovery: Mapping[str, Any]) -> Self:
        """Return the recovery from its JSON object; raises as `SyncReport.from_json` does."""
        states = {name: ChangeState(recovery[name]) for name in ("found", "state")}
        return cls(**_fields_of(cls, recovery) | states | _drift_of(recovery))

    def to_json(self) -> dict[str, Any]:
        """Return the recovery as a JSON object, with a drift only if there is one."""
        return _json_of(self)


ERROR_RESULTS = frozenset({Result.FAILED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED})


@dataclass(frozen=True, slots=True)
class AdSetResult:
    """The result of one ad set; states are USPS codes."""

    id: str
    name: str
    result: Result
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    ads: int = 0
    """Number of its ads."""
    issues: tuple[str, ...] = ()
    meta_campaign_id: str = ""
    missing: tuple[str, ...] = ()
    """Wanted states that it does not target at the end of the run; empty if there are none, or if that is unknown."""
    extra: tuple[str, ...] = ()
    """Unwanted states that it targets at the end of the run; empty if there are none, or if that is unknown.

    In a dry run, `added` are still missing, and `removed` are still targeted.
    """
    is_reported: bool = False
    """Whether a recheck found it in the same state as an earlier one, which a report has named."""
    learning_since: str | None = None
    """As in `AdSetSnapshot`, if the ad set was to be changed."""
    reaches_beyond: bool = False
    """Whether one of its settings also lets Meta show its ads outside its states."""
    drift: Drift | None = None
    """How somebody else changed its states since our last change; None if nobody is known to have done so."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "issues", _limited(self.issues))

    @classmethod
    def from_json(cls, adset: Mapping[str, Any]) -> Self:
        """Return the result from its JSON object; raises as `SyncReport.from_json` does."""
        return cls(**_fields_of(cls, adset) | {"result": Result(adset["result"])} | _drift_of(adset))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object, with a drift only if there is one."""
        return _json_of(self)


def _json_of(value: "AdSetResult | Recovery") -> dict[str, Any]:
    found = asdict(value)
    del found["drift"]
    return found | ({"drift": value.drift.to_json()} if value.drift else {})


def _drift_of(value: Mapping[str, Any]) -> dict[str, Drift]:
    return {"drift": Drift.from_json(value["drift"])} if value.get("drift") else {}


def _limited(issues: Sequence[str]) -> tuple[str, ...]:
    """Return the issues as shown to a person: they quote Meta's messages, and there may be thousands."""
    if len(issues) > MAX_ISSUES:
        issues = (*issues[: MAX_ISSUES - 1], f"and {len(issues) - MAX_ISSUES + 1} more")
    return tuple(map(one_line, issues))


_WRITTEN = (Result.UPDATED, Result.REVERTED)
"""Results of a sync or an undo whose ad sets were changed, even if only briefly; errors are not included."""
_COUNTED_RESULTS = {
    "adsets_updated": Result.UPDATED,
    "adsets_skipped": Result.UNCHANGED,
    "adsets_skipped_preflight": Result.SKIPPED_PREFLIGHT,
    "adsets_reverted": Result.REVERTED,
    "adsets_deferred": Result.DEFERRED,
    "adsets_held": Result.HELD,
    "adsets_needs_attention": Result.NEEDS_ATTENTION,
    "adsets_not_active": Result.NOT_ACTIVE,
    "adsets_ended": Result.ENDED,
    "adsets_opted_out": Result.OPTED_OUT,
    "adsets_failed": Result.FAILED,
}
"""Each result by the name of its count; `adsets_failed` counts all `ERROR_RESULTS`."""
_COUNTS = ("adsets_processed", *_COUNTED_RESULTS)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of one campaign. All counts are derived from `adsets`, or from `omitted` if it was left out."""

    slug: str
    campaign_name: str
    dry_run: bool
    adsets: tuple[AdSetResult, ...] = ()
    active_states: tuple[str, ...] = ()
    """USPS codes of the wanted states: those with a demand of at least `min_demand`."""
    unmapped_states: tuple[str, ...] = ()
    """Entries with demand that Meta has no region for, as CLOSRTECH names them."""
    below_min_demand: tuple[str, ...] = ()
    """USPS codes of the states whose demand is too small to count."""
    waiting: tuple[WaitingState, ...] = ()
    """The states that are not added to or removed from ad sets yet."""
    counts_anew: bool = False
    """Whether the count of the days that states have waited was unreadable, so that it starts again."""
    states_before: tuple[str, ...] = ()
    """USPS codes of the states that any running ad set targeted when a sync read them; empty if none was read."""
    campaign_errors: tuple[str, ...] = ()
    """Why the campaign was aborted, refused or stopped."""
    refused: str = ""
    """Why nothing of an approved plan was begun in it: the plan has become another one. That is no error."""
    recovered: tuple[Recovery, ...] = ()
    unexplained: tuple[UnexplainedPause, ...] = ()
    """Ads that were paused since an earlier change by an unknown actor."""
    about_run: str = ""
    """The run that was undone or rechecked."""
    left_to: str = ""
    """The run that holds this campaign, so that this run left it alone; empty if none does."""
    fb_ad_account_id: str = ""
    again_in_seconds: int | None = None
    """Seconds until deferred ad sets can be resumed; None if none lacked time or quota."""
    token_ends: str = ""
    """The last day of the campaign's token, as in `LastRecheck`, in ISO 8601; empty if it is None there."""
    unmatched_patterns: tuple[str, ...] = ()
    """Patterns of `skip_adsets` that no ad set's name matched; empty if the ad sets were not read."""
    switched_off: SwitchedOff | None = None
    """The switch that kept this run from starting any changes, or any more; None if none did."""
    omitted: Mapping[Result, int] = field(default_factory=dict)
    """Number of ad sets by result, if `adsets` was too large and left out; all errors count as FAILED."""

    @classmethod
    def from_json(cls, campaign: Mapping[str, Any]) -> Self:
        """Return the report from a campaign's JSON object, to which its `recovered` and `unexplained` have been added.

        `campaign_errors`, if not given, are `errors` without those of ad sets and open changes, which come last.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key without a default is missing, or a value is of another kind.
        """
        listed = cls(
            **_fields_of(cls, campaign)
            | {
                "adsets": tuple(map(AdSetResult.from_json, campaign.get("adsets", ()))),
                "recovered": tuple(map(Recovery.from_json, campaign.get("recovered", ()))),
                "unexplained": tuple(map(_pause_of, campaign.get("unexplained", ()))),
                "waiting": tuple(map(WaitingState.from_json, campaign.get("waiting", ()))),
                "switched_off": SwitchedOff.from_json(off) if (off := campaign.get("switched_off")) else None,
            }
        )
        if not listed.adsets:
            counts = {result: int(campaign.get(name, 0)) for name, result in _COUNTED_RESULTS.items()}
            listed = replace(listed, omitted={result: count for result, count in counts.items() if count})
        if "campaign_errors" in campaign:
            return listed
        errors = tuple(campaign.get("errors", ()))
        return replace(listed, campaign_errors=errors[: max(len(errors) - len(listed.errors), 0)])

    def count(self, *results: Result) -> int:
        """Return how many ad sets ended in one of `results`, listed or not."""
        return len(self.with_result(*results)) + sum(n for result, n in self.omitted.items() if result in results)

    def with_result(self, *results: Result) -> tuple[AdSetResult, ...]:
        """Return the ad sets that ended in one of `results`."""
        return tuple(adset for adset in self.adsets if adset.result in results)

    @property
    def adsets_processed(self) -> int:
        """Ad sets that were active and not opted out, whatever became of them."""
        return self.count(*Result) - self.adsets_not_active - self.adsets_ended - self.adsets_opted_out

    @property
    def adsets_updated(self) -> int:
        """Ad sets that target the wanted states now, and did not before."""
        return self.count(Result.UPDATED)

    @property
    def adsets_skipped(self) -> int:
        """Ad sets that already targeted the wanted states."""
        return self.count(Result.UNCHANGED)

    @property
    def adsets_skipped_preflight(self) -> int:
        """Ad sets with an ad that was broken before the run."""
        return self.count(Result.SKIPPED_PREFLIGHT)

    @property
    def adsets_reverted(self) -> int:
        """Ad sets that were rolled back."""
        return self.count(Result.REVERTED)

    @property
    def adsets_deferred(self) -> int:
        """Ad sets left for the next run."""
        return self.count(Result.DEFERRED)

    @property
    def adsets_held(self) -> int:
        """Ad sets not started because the campaign was stopped."""
        return self.count(Result.HELD)

    @property
    def adsets_needs_attention(self) -> int:
        """Ad sets that a person has to look at before they can be updated."""
        return self.count(Result.NEEDS_ATTENTION)

    @property
    def adsets_not_active(self) -> int:
        """Ad sets that Meta is still processing or reports issues on."""
        return self.count(Result.NOT_ACTIVE)

    @property
    def adsets_ended(self) -> int:
        """Ad sets whose end date is past."""
        return self.count(Result.ENDED)

    @property
    def adsets_opted_out(self) -> int:
        """Ad sets that are left alone because `skip_adsets` names them."""
        return self.count(Result.OPTED_OUT)

    @property
    def adsets_failed(self) -> int:
        """Ad sets that ended in an error."""
        return self.count(*ERROR_RESULTS)

    @property
    def still_open(self) -> tuple[Recovery, ...]:
        """Earlier changes that are neither finished nor rolled back."""
        return tuple(recovery for recovery in self.recovered if recovery.state.is_open)

    @property
    def drifts(self) -> tuple[tuple[AdSetResult | Recovery, Drift], ...]:
        """The ad sets and earlier changes with drift, each with its drift."""
        everything: tuple[AdSetResult | Recovery, ...] = (*self.adsets, *self.recovered)
        return tuple((told, told.drift) for told in everything if told.drift)

    @property
    def unreadable_states(self) -> tuple[str, ...]:
        """Entries with demand that may mean any state: with one of them, no state is removed."""
        return tuple(filter(is_unreadable, self.unmapped_states))

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each error of the campaign itself, each failed ad set, and each change that is still open."""
        failed = [(adset.name, adset.id, str(adset.result), adset.issues) for adset in self.with_result(*ERROR_RESULTS)]
        if not self.dry_run:
            failed += [(change.name, change.id, str(change.state), change.issues) for change in self.still_open]
        return self.campaign_errors + tuple(
            f"{name} ({adset_id}): {word}" + (f": {'; '.join(issues)}" if issues else "")
            for name, adset_id, word, issues in failed
        )

    @property
    def reaching_beyond(self) -> tuple[AdSetResult, ...]:
        """Ad sets that Meta may also show outside their states; a recheck does not look for them."""
        return tuple(adset for adset in self.adsets if adset.reaches_beyond)

    def counts(self) -> dict[str, int]:
        """Return every count, by its name."""
        return {name: getattr(self, name) for name in _COUNTS}

    @property
    def success(self) -> bool:
        """Whether nothing failed; skipped, reverted and deferred ad sets are not failures."""
        return not self.errors


class MailOutcome(StrEnum):
    """The outcome of sending the report."""

    SENT = "sent"
    NOT_CONFIGURED = "not_configured"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class GraphUsage:
    """A run's usage of the Graph API."""

    round_trips: int = 0
    """HTTP exchanges."""
    operations: int = 0
    """Graph calls; the items of a batch count one by one."""
    points: int = 0
    """Meta's ad-account score: a read is 1, a write 3 (Marketing API Rate Limiting)."""

    def __add__(self, other: "GraphUsage") -> "GraphUsage":
        return GraphUsage(
            self.round_trips + other.round_trips, self.operations + other.operations, self.points + other.points
        )

    @classmethod
    def from_json(cls, usage: Mapping[str, Any]) -> Self:
        """Return the usage from its JSON object, or from the numbers of a DynamoDB item."""
        return cls(**{name: int(value) for name, value in _fields_of(cls, usage).items()})


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run: what the handler returns and the report shows."""

    run_id: str
    action: Action
    dry_run: bool
    started_at: datetime
    duration_ms: int
    campaigns: tuple[SyncReport, ...]
    graph: GraphUsage = GraphUsage()
    mail: MailOutcome = MailOutcome.NOT_ASKED
    mail_refused: tuple[str, ...] = ()
    """Recipients whom SES refused although others got the report."""
    force: frozenset[str] = frozenset()
    """Names of the limits that were lifted."""
    left_to: str = ""
    """The run that everything was left to: it has the same scheduled time, or holds all campaigns; empty if none."""
    notices: tuple[str, ...] = ()
    """As in `Settings`."""
    api_days_left: int | None = None
    """Days until Meta no longer serves the version of its API that is used here; None if unknown."""
    switched_off: tuple[SwitchedOff, ...] = ()
    """What is switched off, whether or not it affected this run."""
    reason: str = ""
    """As in `RunRequest`."""
    plan_id: str = ""
    """The id of the plan that a dry run made, or that a live run was to carry out; empty if there is none."""
    plan_refused: bool = False
    """Whether the plan was no longer the approved one, so that no change was started."""
    omitted_failed: bool = False
    """Whether a campaign failed that was left out because the result was too large."""

    @classmethod
    def from_json(cls, result: Any) -> Self:
        """Return the run whose `to_json` is `result`; `started_at` to the millisecond, its precision in JSON.

        Keys whose fields have a default may be missing, as in older results. If the result was stored without
        details, its counts and `success` are still right.

        Raises
        ------
        ClosradsError
            `result` is not the result of a run.
        """
        try:
            return cls._from_json(result)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ClosradsError(
                f"Not the result of a run, {error!r}: {one_line(str(result), MAX_NAME_CHARS)}"
            ) from error

    @classmethod
    def _from_json(cls, result: Mapping[str, Any]) -> Self:
        campaigns = tuple(
            SyncReport.from_json(
                campaign | {name: _of_campaign(campaign["slug"], result, name) for name in _BY_CAMPAIGN}
            )
            for campaign in result["campaigns"]
        )
        listed = cls(
            **_fields_of(cls, result)
            | {
                "action": Action(result["action"]),
                "started_at": _time(result["started_at"]),
                "campaigns": campaigns,
                "graph": GraphUsage.from_json(result.get("graph", {})),
                "mail": MailOutcome(result.get("mail", MailOutcome.NOT_ASKED)),
                "force": frozenset(result.get("force", ())),
                "switched_off": tuple(map(SwitchedOff.from_json, result.get("switched_off", ()))),
            }
        )
        return replace(listed, omitted_failed=listed.success and not result.get("success", True))

    @property
    def success(self) -> bool:
        """Whether every campaign went without an error, and an approved plan was carried out."""
        return not (self.has_failed or self.plan_refused or self.is_plan_paused)

    @property
    def has_failed(self) -> bool:
        """Whether a campaign ended in an error, so that the alarms fire."""
        return self.omitted_failed or not all(campaign.success for campaign in self.campaigns)

    @property
    def restarts_learning(self) -> int:
        """Number of ad sets whose learning phase restarts, as it does with each change of states.

        Meta Business Help Center, "Significant edits and the learning phase". A recheck's ad sets are in it already.
        """
        is_recheck = self.action is Action.RECHECK
        return 0 if is_recheck else sum(campaign.count(*_WRITTEN) for campaign in self.campaigns)

    @property
    def still_learning(self) -> tuple[AdSetResult, ...]:
        """Those ad sets that had not left the learning phase before."""
        written = (adset for campaign in self.campaigns for adset in campaign.with_result(*_WRITTEN))
        return tuple(adset for adset in written if adset.learning_since is not None)

    @property
    def paused_since(self) -> datetime | None:
        """When everything was paused; None if it is not."""
        return next((switch.since for switch in self.switched_off if not switch.slug), None)

    @property
    def is_paused(self) -> bool:
        """Whether a pause kept a live run from its work, so that it counts as neither a success nor a failure."""
        if not self.switched_off or self.dry_run or self.action is Action.RECHECK:
            return False
        kept = [campaign.switched_off for campaign in self.campaigns]
        return all(kept) or any(switch is not None and not switch.slug for switch in kept)

    @property
    def is_plan_paused(self) -> bool:
        """Whether a pause kept a live run from its approved plan, or from the rest of it."""
        return bool(self.plan_id) and self.is_paused

    @property
    def is_news(self) -> bool:
        """Whether to report it: not a recheck without news, and not what was left to another run."""
        is_quiet = self.action is Action.RECHECK and not self.dry_run and not any(map(_has_news, self.campaigns))
        return not self.left_to and not is_quiet

    @property
    def token_days_left(self) -> int | None:
        """Days until the first of the campaigns' tokens expires, 0 if one has; None if none is known to expire."""
        ends = [date.fromisoformat(each.token_ends) for each in self.campaigns if each.token_ends]
        return max((min(ends) - self.started_at.date()).days, 0) if ends else None

    def outcomes(self) -> dict[Result, int]:
        """Return the number of ad sets by result, of all campaigns, in the order of `Result` and without zeros."""
        counts = {result: sum(campaign.count(result) for campaign in self.campaigns) for result in Result}
        return {result: count for result, count in counts.items() if count}

    def totals(self) -> dict[str, Any]:
        """Return the number of campaigns, the number of failed ones, and the sums of their counts."""
        counts = [campaign.counts() for campaign in self.campaigns]
        failed = sum(not campaign.success for campaign in self.campaigns)
        sums = {name: sum(each[name] for each in counts) for name in _COUNTS}
        return {"success": self.success, "campaigns": len(counts), "campaigns_failed": failed, **sums}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that the handler returns; if it is too large, without details."""
        answer = {
            "run_id": self.run_id,
            "action": self.action.value,
            "dry_run": self.dry_run,
            "success": self.success,
            "started_at": self.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration_ms": self.duration_ms,
            "campaigns": [_campaign_json(campaign) for campaign in self.campaigns],
            "recovered": [
                {**recovery.to_json(), "campaign": campaign.slug}
                for campaign in self.campaigns
                for recovery in campaign.recovered
            ],
            "unexplained": [
                {**_pause_json(pause), "campaign": campaign.slug}
                for campaign in self.campaigns
                for pause in campaign.unexplained
            ],
            "restarts_learning": self.restarts_learning,
            "mail": self.mail.value,
            "mail_refused": list(self.mail_refused),
            "graph": asdict(self.graph),
            "force": sorted(self.force),
            "switched_off": [switch.to_json() for switch in self.switched_off],
            "left_to": self.left_to,
            "notices": list(self.notices),
            "reason": self.reason,
            "plan_id": self.plan_id,
            "plan_refused": self.plan_refused,
        }
        return answer if len(json.dumps(answer)) <= MAX_RESULT_BYTES else without_details(answer)


def _has_news(campaign: SyncReport) -> bool:
    """Return whether a recheck of a campaign found something new, or changed the state of something known."""
    found = [each for each in campaign.adsets if each.result is not Result.UNCHANGED or each.issues]
    is_new = not all(each.is_reported for each in found)
    return is_new or bool(campaign.campaign_errors) or any(map(_is_news, campaign.recovered))


def _is_news(recovery: Recovery) -> bool:
    """Return whether a recovery is more than one more failed attempt at a rollback that a report has named."""
    return not (recovery.is_reported and recovery.found is recovery.state is ChangeState.ROLLBACK_FAILED)


def _pause_json(pause: UnexplainedPause) -> dict[str, Any]:
    ads = [{"id": ad_id, "name": name} for ad_id, name in pause.ads.items()]
    return {
        "adset_id": pause.adset_id,
        "adset_name": pause.adset_name,
        "ads": ads,
        "since": pause.since.isoformat(),
        "switched_on": sorted(pause.switched_on),
    }


def _pause_of(pause: Mapping[str, Any]) -> UnexplainedPause:
    ads = {ad["id"]: ad["name"] for ad in pause["ads"]}
    switched_on = frozenset(pause.get("switched_on", ()))  # older results lack it
    return UnexplainedPause(pause["adset_id"], pause["adset_name"], ads, _time(pause["since"]), switched_on=switched_on)


def _campaign_json(campaign: SyncReport) -> dict[str, Any]:
    return {
        "slug": campaign.slug,
        "campaign_name": campaign.campaign_name,
        "fb_ad_account_id": campaign.fb_ad_account_id,
        "dry_run": campaign.dry_run,
        "success": campaign.success,
        **campaign.counts(),
        "active_states": list(campaign.active_states),
        "unmapped_states": list(campaign.unmapped_states),
        "below_min_demand": list(campaign.below_min_demand),
        "waiting": [state.to_json() for state in campaign.waiting],
        "counts_anew": campaign.counts_anew,
        "states_before": list(campaign.states_before),
        "errors": list(campaign.errors),
        "refused": campaign.refused,
        "about_run": campaign.about_run,
        "left_to": campaign.left_to,
        "again_in_seconds": campaign.again_in_seconds,
        "token_ends": campaign.token_ends,
        "unmatched_patterns": list(campaign.unmatched_patterns),
        "switched_off": campaign.switched_off and campaign.switched_off.to_json(),
        "adsets": [adset.to_json() for adset in campaign.adsets],
    }


def without_details(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result in JSON, reduced to its counts and first errors."""
    campaigns = [
        {
            **campaign,
            **{name: [] for name in ("adsets", "waiting") if name in campaign},  # older results lack the second
            "errors": [one_line(error) for error in campaign["errors"][:MAX_ISSUES]],
            **({"refused": one_line(campaign["refused"])} if "refused" in campaign else {}),
        }
        for campaign in result["campaigns"]
    ]
    return {**result, "campaigns": campaigns, "recovered": [], "unexplained": []}


_BY_CAMPAIGN = ("recovered", "unexplained")
"""Lists beside the campaigns in JSON, whose entries have the slug of their campaign."""


def _of_campaign(slug: str, result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return one campaign's entries of a list beside the campaigns."""
    return [entry for entry in result.get(name, ()) if entry["campaign"] == slug]


def _fields_of(kind: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in a JSON object for the fields of a dataclass, with lists as tuples."""
    known = {each.name: value[each.name] for each in fields(kind) if each.name in value}
    return {name: tuple(part) if isinstance(part, list) else part for name, part in known.items()}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
