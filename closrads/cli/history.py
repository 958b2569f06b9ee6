"""`history`: what each live run did, from the ledger."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from zoneinfo import ZoneInfo

from rich.console import Console

from closrads.cli import completion, environment
from closrads.cli.history_view import (
    Aftermath,
    change_json,
    change_line,
    drifts_of,
    end_of,
    errors_of,
    ids_of_day,
    of_campaign,
    outcome,
    refusals_of,
    run_json,
    undone_runs,
    without_end,
)
from closrads.cli.runs import WHERE_IDS_ARE
from closrads.cli.summary import learning
from closrads.cli.terminal import CommandError, UsageError, known_ones, say, stdout_console, table, waiting
from closrads.domain.changes import Change, ChangeState
from closrads.domain.runs import RunRecord
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.runs import Runs

Changes = dict[str, list[Change]]
"""Changes by run id."""


def history(  # noqa: PLR0913 - the command's options
    stage: str, *, slug: str | None, run_id: str | None, day: date | None, limit: int, to_json: bool
) -> None:
    """Show the live runs, newest first; for one run or one campaign, also the change of each ad set."""
    if run_id and day:
        raise UsageError("--run and --day: give one of them")
    with waiting("Reading the ledger"):
        place = environment.locate_stage(stage)
        table = place.ledger_table()
        ledger = Ledger(table)
        between = (run_id, run_id) if run_id else ids_of_day(day, place.zone) if day else ()
        known: set[str] = set()
        newest = _collecting_campaigns(known, Runs(table).newest(*between))
        found = (run for run in newest if slug is None or slug in run.campaigns)
        runs = [of_campaign(run, slug) if slug else run for run in islice(found, limit)]
        endings = {run.run_id: _without_end(table, run) for run in runs if run.result is None}
        changes: Changes = {}
        aftermath = Aftermath((), {})
        if runs and (slug or run_id):
            slugs = [slug] if slug else sorted({each for run in runs for each in run.campaigns})
            first, last = runs[-1].run_id, runs[0].run_id
            for change in (change for each in slugs for change in ledger.changes_between(each, first, last)):
                changes.setdefault(change.run_id, []).append(change)
            aftermath = _aftermath(table, first)
    if not runs:
        _refuse_unknown(stage, slug, run_id, known)
    if to_json:
        _print_json(runs, changes, aftermath, detailed=bool(slug or run_id))
    elif not runs:
        say(f"No live run{f' of {slug}' if slug else ''}{f' on {day}' if day else ' yet'}, in stage {stage}")
    else:
        _print(runs, endings, changes, aftermath, place.zone, detailed=bool(slug or run_id))
        if len(runs) == limit and not run_id:
            say(f"The newest {limit}; --limit shows more, --day one day", style="dim")


def _refuse_unknown(stage: str, slug: str | None, run_id: str | None, known: Collection[str]) -> None:
    """Raise if the run or the campaign does not exist; `known` are the campaigns of the runs that were read."""
    if run_id and not known:
        raise CommandError(f"There is no live run {run_id} in the ledger of stage {stage}: {WHERE_IDS_ARE}")
    if run_id:
        raise UsageError(f"The run did not include {slug}, only {', '.join(sorted(known))}")
    there = {*known, *(completion.campaigns("") if slug else ())}
    if there and slug and slug not in there:
        raise UsageError(f"Stage {stage} has no campaign {slug}: {known_ones(slug, there)}")


def _collecting_campaigns(known: set[str], runs: Iterable[RunRecord]) -> Iterator[RunRecord]:
    """Yield the runs; as a side effect, add their campaigns to `known`."""
    for run in runs:
        known.update(run.campaigns)
        yield run


def _without_end(table: Table, run: RunRecord) -> str:
    ledger = Ledger(table)
    changes = (change for slug in run.campaigns for change in ledger.changes_of(slug, run.run_id))
    later = (each for each in Runs(table).newest(run.run_id) if each.run_id != run.run_id)
    return without_end(run, changes, later)


def _aftermath(table: Table, first: str) -> Aftermath:
    """Return what the runs since `first` did to each other's changes."""
    ledger, runs = Ledger(table), list(Runs(table).newest(first))
    undone = {
        (slug, about, change.before.id): run.run_id
        for run in runs
        for slug, about in undone_runs(run).items()
        for change in ledger.changes_of(slug, run.run_id)
        if change.state is ChangeState.VERIFIED
    }
    return Aftermath(runs, undone)


def _print_json(runs: Sequence[RunRecord], changes: Changes, aftermath: Aftermath, *, detailed: bool) -> None:
    rows = []
    for run in runs:
        own = [change_json(change, aftermath) for change in changes.get(run.run_id, ())]
        rows.append(run_json(run) | ({"changes": own} if detailed else {}))
    print(json.dumps(rows))  # noqa: T201 - for machines


def _print(  # noqa: PLR0913 - everything to show
    runs: Sequence[RunRecord],
    endings: Mapping[str, str],
    changes: Changes,
    aftermath: Aftermath,
    zone: ZoneInfo,
    *,
    detailed: bool,
) -> None:
    out = stdout_console()
    if not detailed:
        _print_runs(out, runs, endings, zone)
        return
    for index, run in enumerate(runs):
        if index:
            out.print()
        out.print(f"{_when(run, zone)}  {run.action}  {run.run_id}  {end_of(run)}", style="bold", soft_wrap=True)
        out.print(f"{', '.join(run.campaigns)}: {outcome(run, endings.get(run.run_id, ''))}")
        if run.result and (said := learning(run.result)):
            out.print(said)
        for error in errors_of(run):
            out.print(f"✗ {error}", style="red")
        for refusal in refusals_of(run):
            out.print(f"⚠ {refusal}", style="yellow")
        for found in drifts_of(run):
            out.print(f"⚠ {found}", style="yellow")
        if own := changes.get(run.run_id):
            rows = table("campaign", "ad set", "states", "state")
            for change in own:
                rows.add_row(*change_line(change, aftermath))
            out.print(rows)


def _print_runs(out: Console, runs: Sequence[RunRecord], endings: Mapping[str, str], zone: ZoneInfo) -> None:
    rows = table("run", "action", "campaigns", "what it did", "end")
    for run in runs:
        did = outcome(run, endings.get(run.run_id, ""))
        rows.add_row(f"{_when(run, zone)}\n{run.run_id}", run.action, "\n".join(run.campaigns), did, end_of(run))
    out.print(rows)
    out.print(f"\ntimes are in {zone.key}; --run ID shows each ad set's change", style="dim")


def _when(run: RunRecord, zone: ZoneInfo) -> str:
    return f"{run.started_at.astimezone(zone):%a %Y-%m-%d %H:%M}"
