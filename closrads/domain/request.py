"""PURE: an event → `RunRequest`. A dry run is the default; an event with anything unknown in it is refused."""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from closrads.errors import EventError


class Action(StrEnum):
    """What a run does."""

    SYNC = "sync"
    RECHECK = "recheck"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A validated event."""

    action: Action
    dry_run: bool
    campaigns: tuple[str, ...] | None = None
    """Campaign slugs; None for every enabled campaign."""
    validate: bool = False
    force: frozenset[str] = frozenset()
    """Names of the limits that are lifted for this run."""
    notify: bool = True
    scheduled: datetime | None = None
    """The scheduled time; a run completes at most once per scheduled time."""
    run_id: str | None = None
    """The run to undo or to recheck; None for each campaign's last run."""
    reason: str = ""
    """`PUSH` for a recheck that Meta's push has caused; empty otherwise."""
    plan_id: str = ""
    """The only plan that a live sync may carry out; empty for any."""
    opens: bool = False
    """Whether this invocation only opens the run, which several invocations then share."""

    @property
    def follows_schedule(self) -> bool:
        """Whether it is a live sync of all campaigns that a schedule has started."""
        is_whole = self.action is Action.SYNC and not self.dry_run and self.campaigns is None
        return is_whole and self.scheduled is not None

    @property
    def is_by_hand(self) -> bool:
        """Whether a person has started it, rather than a schedule, a workflow or a push."""
        return self.scheduled is None and not self.reason and not self.opens

    @property
    def time_key(self) -> str:
        """The scheduled time and what is to run then: a combination that runs once."""
        which = ",".join(sorted(self.campaigns)) if self.campaigns else "*"
        return f"{self.action}#{self.scheduled:%Y-%m-%dT%H:%M:%SZ}#{which}"

    def to_json(self) -> dict[str, Any]:
        """Return the request as a JSON object; equal requests give equal objects."""
        scheduled = self.scheduled and self.scheduled.isoformat()
        fields = {**asdict(self), "force": sorted(self.force), "scheduled": scheduled}
        for name in ("reason", "plan_id"):
            if not fields[name]:
                del fields[name]  # unknown to an older version, which may resume a shared run
        return fields


@dataclass(frozen=True, slots=True)
class StepRequest:
    """A validated event for one step of an open run."""

    run_id: str
    campaign: str | None
    """Slug of the campaign to process; None to close the run."""


PUSH = "push"
"""The only `reason`: Meta has pushed a notice of a change."""
LIFTABLE_LIMITS = frozenset({"max_removed_pct", "reverted_before", "add_after_days", "remove_after_days"})
_KEYS = frozenset(
    {
        "action", "dry_run", "campaigns", "validate", "force", "run_id", "plan_id", "notify", "scheduled", "step",
        "reason",
    }
)  # fmt: skip
_PLAN_ID = re.compile("[0-9a-f]{16}")
"""The form of a `Plan.id`."""
_STEPS = ("open", "part", "close")
_KEYS_OF_STEP = {"part": frozenset({"step", "run_id", "campaigns"}), "close": frozenset({"step", "run_id"})}


def parse_step(event: Any) -> StepRequest | None:
    """Validate an event for one step of an open run; return None for any other event.

    Raises
    ------
    EventError
        Lists every problem of the event.
    """
    step = event.get("step") if isinstance(event, dict) else None
    if not isinstance(step, str) or step not in _KEYS_OF_STEP:
        return None
    keys = _KEYS_OF_STEP[step]
    problems = [
        f"{key}: belongs to the step open, or to no event; the step {step} knows {', '.join(sorted(keys))}"
        for key in sorted(map(str, event.keys() - keys))
    ]
    run_id, campaigns = event.get("run_id"), event.get("campaigns")
    if not (isinstance(run_id, str) and run_id):
        problems.append("run_id: must be the id that the step open has answered")
    if step == "part" and not (isinstance(campaigns, list) and len(campaigns) == 1 and isinstance(campaigns[0], str)):
        problems.append("campaigns: must be a list of one campaign")
    if problems:
        raise EventError(problems)
    return StepRequest(str(run_id), campaigns[0] if campaigns else None)


def normalize_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event in this system's format; it may also be given as EventBridge's "Scheduled Event"."""
    if event.get("detail-type") == "Scheduled Event" and event.get("source") in ("aws.events", "aws.scheduler"):
        return {"scheduled": event["time"]} if "time" in event else {}
    return event


def parse_event(event: Any, *, default_dry_run: bool, enabled: Mapping[str, bool]) -> RunRequest:
    """Validate an event.

    Parameters
    ----------
    event
        An event of this system, or EventBridge's "Scheduled Event", which means a sync with the defaults.
    default_dry_run
        The default of `dry_run`.
    enabled
        Whether each known campaign is enabled, by slug.

    Raises
    ------
    EventError
        Lists every problem of the event.
    """
    if not isinstance(event, dict):
        raise EventError(["The event must be a JSON object; {} is a run with all defaults"])
    return _EventReader(normalize_event(event)).request(default_dry_run=default_dry_run, enabled=enabled)


class _EventReader:
    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self._problems: list[str] = []

    def request(self, *, default_dry_run: bool, enabled: Mapping[str, bool]) -> RunRequest:
        for key in sorted(map(str, self._event.keys() - _KEYS)):
            self._problems.append(f"{key}: unknown key; known are {', '.join(sorted(_KEYS))}")
        dry_run = self._boolean("dry_run", default=default_dry_run)
        step = self._value("step", f"one of {', '.join(_STEPS)}", lambda value: value == "open")
        request = RunRequest(
            action=self._action(),
            dry_run=dry_run,
            campaigns=self._campaigns(enabled),
            validate=self._boolean("validate", default=False),
            force=frozenset(self._texts("force") or ()),
            notify=self._boolean("notify", default=True),
            scheduled=self._time("scheduled"),
            run_id=self._value("run_id", "a run's id", lambda value: isinstance(value, str) and bool(value)),
            reason=self._value("reason", f"{PUSH}, or left out", lambda value: value == PUSH) or "",
            plan_id=self._plan_id(),
            opens=step is not None,
        )
        if request.validate and not dry_run:
            self._problems.append("validate: belongs to a dry run; give dry_run true, or leave validate out")
        if request.validate and request.action is not Action.SYNC:
            self._problems.append("validate: belongs to the action sync")
        for limit in sorted(request.force - LIFTABLE_LIMITS):
            known = ", ".join(sorted(LIFTABLE_LIMITS))
            self._problems.append(f"force: {limit!r} is no limit that can be lifted: {known}")
        if request.force and request.action is not Action.SYNC:
            self._problems.append("force: belongs to the action sync")
        if request.reason and request.action is not Action.RECHECK:
            self._problems.append("reason: belongs to the action recheck")
        if request.run_id and request.action is Action.SYNC:
            self._problems.append("run_id: belongs to the actions undo and recheck")
        if request.plan_id:
            self._check_plan(request)
        if self._problems:
            raise EventError(self._problems)
        return request

    def _plan_id(self) -> str:
        wanted = "a plan's id, 16 of the characters 0 to 9 and a to f: it is at the end of a dry run's report"
        return self._value("plan_id", wanted, _is_plan_id) or ""

    def _check_plan(self, request: RunRequest) -> None:
        """Add a problem if the request has a plan id and cannot have one."""
        if request.dry_run:
            self._problems.append("plan_id: belongs to a live run, which carries the plan out; give dry_run false")
        if request.action is not Action.SYNC:
            self._problems.append("plan_id: belongs to the action sync")
        if request.opens:
            self._problems.append(
                "plan_id: is not for the workflow, which plans campaign by campaign; give the event to the function "
                "itself, or use `python -m closrads run live --plan ID`"
            )

    def _value(self, key: str, wanted: str, accept: Callable[[Any], bool]) -> Any:
        value = self._event.get(key)
        if key in self._event and not accept(value):
            self._problems.append(f"{key}: must be {wanted}")
            return None
        return value

    def _boolean(self, key: str, *, default: bool) -> bool:
        value = self._value(key, "true or false without quotes", lambda value: isinstance(value, bool))
        return default if value is None else value

    def _texts(self, key: str) -> Collection[str] | None:
        texts: Collection[str] | None = self._value(
            key,
            "a list of texts",
            lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
        )
        return texts

    def _action(self) -> Action:
        known = [action.value for action in Action]
        return Action(self._value("action", f"one of {', '.join(known)}", lambda value: value in known) or "sync")

    def _campaigns(self, enabled: Mapping[str, bool]) -> tuple[str, ...] | None:
        slugs = self._texts("campaigns")
        if slugs is None:
            return None
        if not slugs:
            self._problems.append("campaigns: is empty; leave it out for every enabled campaign")
        for slug in slugs:
            if slug not in enabled:
                self._problems.append(f"campaigns: {slug!r} is unknown; known are {', '.join(sorted(enabled))}")
            elif not enabled[slug]:
                self._problems.append(f"campaigns: {slug!r} is switched off by its parameter `enabled`")
        return tuple(dict.fromkeys(slugs))

    def _time(self, key: str) -> datetime | None:
        text = self._value(key, "a time such as 2026-05-04T10:30:00Z", lambda value: isinstance(value, str))
        if text is None:
            return None
        with suppress(ValueError, OverflowError):
            time = datetime.fromisoformat(text)
            if time.tzinfo is not None:
                return time.astimezone(UTC)
        self._problems.append(f"{key}: must be a time such as 2026-05-04T10:30:00Z")
        return None


def _is_plan_id(value: Any) -> bool:
    return isinstance(value, str) and _PLAN_ID.fullmatch(value) is not None
