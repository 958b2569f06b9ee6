"""The result of a run as a whole."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Self

from closrads.domain.adset_results import MAX_ISSUES, AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.json_fields import fields_of
from closrads.domain.request import Action
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import COUNTS, SyncReport
from closrads.errors import ClosradsError
from closrads.redaction import MAX_NAME_CHARS, one_line

MAX_RESULT_BYTES = 5_500_000
"""Maximum size of the JSON; Lambda accepts a response of 6 MB (Lambda Developer Guide, "Quotas")."""
_WRITTEN = (Result.UPDATED, Result.REVERTED)
"""Results of a sync or an undo whose ad sets were changed, even if only briefly; errors are not included."""
_BY_CAMPAIGN = ("recovered", "unexplained")
"""Lists beside the campaigns in JSON, whose entries have the slug of their campaign."""


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
        return cls(**{name: int(value) for name, value in fields_of(cls, usage).items()})


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
    """The run to which everything was left: it has the same scheduled time, or holds all campaigns; empty if none."""
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
            **fields_of(cls, result)
            | {
                "action": Action(result["action"]),
                "started_at": datetime.fromisoformat(result["started_at"]).astimezone(UTC),
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
        """Whether no campaign had an error and, if a plan was approved, it was carried out."""
        return not (self.has_failed or self.plan_refused or self.is_plan_paused)

    @property
    def has_failed(self) -> bool:
        """Whether a campaign ended in an error, so that the alarms fire."""
        return self.omitted_failed or not all(campaign.success for campaign in self.campaigns)

    @property
    def restarts_learning(self) -> int:
        """Number of ad sets whose learning phase restarts, as it does with each change of states.

        See Meta Business Help Center, "Significant edits and the learning phase". Those of a recheck are already in it.
        """
        is_recheck = self.action is Action.RECHECK
        return 0 if is_recheck else sum(campaign.count(*_WRITTEN) for campaign in self.campaigns)

    @property
    def still_learning(self) -> tuple[AdSetResult, ...]:
        """The ad sets among those of `restarts_learning` that had not left the learning phase."""
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
        switches = [campaign.switched_off for campaign in self.campaigns]
        return all(switches) or any(switch is not None and not switch.slug for switch in switches)

    @property
    def is_plan_paused(self) -> bool:
        """Whether a pause kept a live run from its approved plan, or from the rest of it."""
        return bool(self.plan_id) and self.is_paused

    @property
    def is_news(self) -> bool:
        """Whether to report it; False for a recheck without news, and for a run that left everything to another one."""
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
        sums = {name: sum(each[name] for each in counts) for name in COUNTS}
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
            "campaigns": [campaign.to_json() for campaign in self.campaigns],
            "recovered": [
                {**recovery.to_json(), "campaign": campaign.slug}
                for campaign in self.campaigns
                for recovery in campaign.recovered
            ],
            "unexplained": [
                {**pause.to_json(), "campaign": campaign.slug}
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
    is_new_pause = not all(each.is_reported for each in campaign.unexplained)
    return is_new or is_new_pause or bool(campaign.campaign_errors) or any(map(_is_news, campaign.recovered))


def _is_news(recovery: Recovery) -> bool:
    """Return whether a recovery is anything but another failed attempt at a rollback that a report has named."""
    return not (recovery.is_reported and recovery.found is recovery.state is ChangeState.ROLLBACK_FAILED)


def _of_campaign(slug: str, result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return one campaign's entries of a list beside the campaigns."""
    return [entry for entry in result.get(name, ()) if entry["campaign"] == slug]


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
