"""PURE: what `history` shows of runs and of their changes, and what later runs did to these."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from closrads.cli.summary import counted, drift
from closrads.domain.changes import Change, ChangeState
from closrads.domain.request import Action
from closrads.domain.runs import RUN_ID_TIME, RunRecord
from closrads.domain.targeting import region_keys, signed, states
from closrads.report.wording.phrases import several

Undone = Mapping[tuple[str, str, str], str]
"""The undo that restored an ad set, by campaign, undone run and ad set."""


def ids_of_day(day: date, zone: ZoneInfo) -> tuple[str, str]:
    """Return the bounds of the run ids of a day in a time zone."""
    first, last = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    return f"{first.astimezone(UTC):{RUN_ID_TIME}}", f"{last.astimezone(UTC):{RUN_ID_TIME}}"


def end_of(run: RunRecord) -> str:
    """Return how a run ended."""
    if run.result is None:
        return "not ended"
    if run.result.has_failed:
        return "FAILED"
    if run.result.plan_refused:
        return "plan refused"
    return "paused" if run.result.is_paused else "ok"


def of_campaign(run: RunRecord, slug: str) -> RunRecord:
    """Return a run reduced to one campaign."""
    result = run.result and replace(
        run.result, campaigns=tuple(each for each in run.result.campaigns if each.slug == slug)
    )
    return replace(run, campaigns=(slug,), result=result)


def without_end(run: RunRecord, changes: Iterable[Change], later: Iterable[RunRecord]) -> str:
    """Return the description of a run without a recorded end.

    A campaign has one run at a time: if a later run has completed one of its campaigns, the run died.
    """
    if any(change.state.is_open for change in changes):
        return "it died or is still running; the next live run finishes or rolls back its open changes"
    if any(each.ended_at and not set(run.campaigns).isdisjoint(each.campaigns) for each in later):
        return "it died; it has no open changes"
    return "it died or is still running; it has no open changes"


def outcome(run: RunRecord, if_without_end: str) -> str:
    """Return the counts of a run as text."""
    if run.result is None:
        return if_without_end
    errors = errors_of(run)
    return "; ".join(filter(None, (counted(run.result), several(len(errors), "error") if errors else "")))


def errors_of(run: RunRecord) -> list[str]:
    """Return the errors of a run."""
    campaigns = run.result.campaigns if run.result else ()
    return [f"{each.slug}: {error}" for each in campaigns for error in each.errors]


def refusals_of(run: RunRecord) -> list[str]:
    """Return why a run did not carry out its approved plan, and what differs from it."""
    campaigns = run.result.campaigns if run.result else ()
    return [f"{each.slug}: {each.refused}" for each in campaigns if each.refused]


def drifts_of(run: RunRecord) -> list[str]:
    """Return the drift that a run found, one line per ad set."""
    campaigns = run.result.campaigns if run.result else ()
    return [f"{each.slug}: {of.name}: {drift(found)}" for each in campaigns for of, found in each.drifts]


def undone_runs(run: RunRecord) -> dict[str, str]:
    """Return the run that an undo restored, by campaign."""
    if run.action is not Action.UNDO or run.result is None:
        return {}
    return {each.slug: each.about_run for each in run.result.campaigns if each.about_run}


class Aftermath:
    """What happened to changes after they were made."""

    def __init__(self, runs: Iterable[RunRecord], undone: Undone) -> None:
        self._undone = undone
        self._runs: dict[str, list[RunRecord]] = {}
        for run in sorted(runs, key=lambda run: run.started_at):
            for slug in run.campaigns:
                self._runs.setdefault(slug, []).append(run)

    def of(self, change: Change) -> str:
        """Return what happened to a change later, and in which run; empty if nothing did."""
        if undo := self._undone.get((change.campaign, change.run_id, change.before.id)):
            return f"undone by {undo}"
        if change.state.is_open:
            return "the next live run finishes it or rolls it back"
        mover = self._run_holding(change.campaign, change.changed_at)
        if mover is None or mover.run_id == change.run_id:
            return ""
        return f"by {mover.action} {mover.run_id}"

    def _run_holding(self, slug: str, moment: datetime) -> RunRecord | None:
        """Return the run that held the campaign at the time; there is only one at a time."""
        runs = self._runs.get(slug, [])
        index = bisect_right(runs, moment, key=lambda run: run.started_at)
        return runs[index - 1] if index else None


def states_of(change: Change) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the states that a change added and removed."""
    before, after = region_keys(change.before.targeting), region_keys(change.after)
    return states(after - before), states(before - after)


def change_line(change: Change, aftermath: Aftermath) -> tuple[str, str, str, str]:
    """Return the table cells of a change: campaign, ad set, states, outcome."""
    state = change.state.value.replace("_", " ")
    if change.state is ChangeState.VERIFIED:
        state = "done"
    later = aftermath.of(change)
    return change.campaign, change.before.name, signed(*states_of(change)), f"{state}, {later}" if later else state


def run_json(run: RunRecord) -> dict[str, Any]:
    """Return a run as a JSON object."""
    return {
        "run_id": run.run_id,
        "action": run.action.value,
        "campaigns": list(run.campaigns),
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "success": run.result.success if run.result else None,
        "counts": run.result.outcomes() if run.result else {},
        "restarts_learning": run.result.restarts_learning if run.result else 0,
        "still_learning": {each.id: each.learning_since for each in run.result.still_learning} if run.result else {},
        "drift": drifts_of(run),
    }


def change_json(change: Change, aftermath: Aftermath) -> dict[str, Any]:
    """Return a change as a JSON object."""
    added, removed = states_of(change)
    return {
        "campaign": change.campaign,
        "adset": change.before.id,
        "name": change.before.name,
        "added": added,
        "removed": removed,
        "state": change.state.value,
        "changed_at": change.changed_at.isoformat(),
        "later": aftermath.of(change),
    }
