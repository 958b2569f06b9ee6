"""`run` and `undo`: the handler in this process, with this shell's AWS credentials."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, TextIO

from typer import get_app_dir

import handler
from closrads.cli import environment
from closrads.cli.completion import EVENTS, ROOT, event_names
from closrads.cli.doctor.clock import check_clock
from closrads.cli.doctor.findings import Finding, Verdict
from closrads.cli.doctor.live_rights import missing_rights
from closrads.cli.environment import CALL_SECONDS, StageLocation
from closrads.cli.log_capture import Entry, Listener, Tee, logged_to
from closrads.cli.progress import Handlers, showing_progress
from closrads.cli.summary import campaigns, footline, headline, learning, meaning_of_signs, switches
from closrads.cli.terminal import (
    FAILED,
    INTERRUPTED,
    PROGRAM,
    CommandError,
    UsageError,
    confirm,
    known_ones,
    read_text,
    say,
    stdout_console,
    table,
    waiting,
)
from closrads.clock import Clock
from closrads.config import load_settings
from closrads.domain.request import Action, RunRequest, normalize_event, parse_event
from closrads.domain.results import RunResult
from closrads.domain.settings import Settings
from closrads.errors import LedgerError, SyncFailed
from closrads.ledger.runs import Runs
from closrads.orchestration.approval import with_options_of_plan
from closrads.orchestration.undo import refuse_undo_while_paused
from closrads.redaction import one_line
from closrads.report.wording.phrases import several

LOGS = ROOT / "build/log" if (ROOT / "pyproject.toml").is_file() else Path(get_app_dir("closrads")) / "log"
"""In the checkout, or in the user's folder of the installed commands."""
MAIL_FAILURES = ("mail.failed", "mail.refused", "mail.defect")
"""Log messages that say why a recipient did not get the report."""
_LEASE_MARGIN = timedelta(seconds=90)
"""Time after the deadline of a run by which its leases have expired, to the next full minute."""
WHERE_IDS_ARE = f"ids are at the end of each report, and in `{PROGRAM} history`"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options that several commands share."""

    yes: bool
    """Whether to skip the confirmation."""
    to_json: bool
    verbose: bool
    """Whether to show log lines as they arrive."""
    mail: bool = False
    """Whether to mail the report of a dry run, too."""


def run(event: str, stage: str, options: RunOptions, *, plan_id: str | None = None) -> int:
    """Pass an event to the handler, show the result, and return the exit status.

    A live sync without a plan id first shows its plan, and carries out exactly that. An empty plan id, as from an unset
    variable, is refused: it would allow any plan.
    """
    content = _event(event)
    if plan_id is not None and isinstance(content, dict):
        content = {**normalize_event(content), "plan_id": plan_id}
    place = environment.locate_stage(stage)
    with environment.function_environment(place):
        with waiting("Reading the parameters", quiet=options.verbose):
            settings = load_settings()
        request = _request(content, settings)
        if request.dry_run and not options.mail:
            content = {"notify": False, **normalize_event(content)}  # the event itself may still ask for the mail
        _refuse_without_ledger(request, place)
        _refuse_wrong_clock(request, settings)
        request = with_options_of_plan(request, settings, environment.clock())
        refuse_undo_while_paused(request)
        if settings.paused_since:
            since = f"{settings.paused_since:%Y-%m-%d %H:%M} UTC"
            say(
                f"Paused since {since}: nothing new starts; open changes are only finished or rolled back",
                style="yellow",
            )
        is_asked_for = not request.dry_run and not options.yes
        if is_asked_for:
            say(_intent(request, settings, place), style="bold")
        if is_asked_for and request.action is Action.SYNC and not request.plan_id:
            result = _perform_as_shown(content, request, settings, place, options)
        elif is_asked_for and not confirm("Continue?"):
            result = None
        else:
            result = _perform(content, request, place, options)
        if result is None:
            return FAILED
        lacking = _rights_missing_for_live_run(request, settings) if request.dry_run and result.success else []
    _show(result, place, options)
    for finding in lacking:
        say(f"A live run would fail: {finding.check}: {finding.said}\n→ {finding.remedy}", style="red")
    return 0 if result.success and not lacking else FAILED


def _perform_as_shown(
    event: Any, request: RunRequest, settings: Settings, place: StageLocation, options: RunOptions
) -> RunResult | None:
    """Show the plan of a live sync, ask, and carry out exactly that plan; return None if it is not confirmed.

    If the plan has changed in the meantime, the new one has to be confirmed.
    """
    event = normalize_event(event)
    looked = {**event, "dry_run": True, "notify": False}
    while True:
        preview = _perform(looked, _request(looked, settings), place, options)
        if not options.to_json:
            _show(preview, place, options)
        as_shown = {**event, "plan_id": preview.plan_id} if preview.plan_id else event
        if not preview.plan_id:
            say("The plan could not be stored, so the run may do something else; the log says why", style="yellow")
        changing = sum(campaign.adsets_updated for campaign in preview.campaigns)
        if not confirm(f"Carry out this plan, {several(changing, 'change')}, in stage {place.stage}?"):
            return None
        result = _perform(as_shown, request, place, options)
        if not result.plan_refused:
            return result
        _show(result, place, options)
        say("The plan has changed since it was shown: this is the new one", style="yellow")


def _rights_missing_for_live_run(request: RunRequest, settings: Settings) -> list[Finding]:
    clock = replace(environment.clock(), remaining=lambda: CALL_SECONDS)
    with waiting("Checking the tokens' permissions"), logged_to(StringIO()):
        return missing_rights(settings.chosen(request.campaigns), settings, clock)


def undo(run_id: str, slugs: Sequence[str], stage: str, options: RunOptions, *, dry_run: bool) -> int:
    """Show what an undo would do, ask, and do it; return the exit status."""
    place = environment.locate_stage(stage)
    with environment.function_environment(place):
        with waiting("Looking up the run", quiet=options.verbose):
            record = next(Runs(place.ledger_table()).newest(run_id, run_id), None)
            settings = load_settings()
        asked_for = RunRequest(Action.UNDO, dry_run)
        refuse_undo_while_paused(asked_for)
        _refuse_wrong_clock(asked_for, settings)
        if record is None:
            raise CommandError(f"There is no live run {run_id} in the ledger of stage {stage}: {WHERE_IDS_ARE}")
        if foreign := [slug for slug in slugs if slug not in record.campaigns]:
            had = ", ".join(record.campaigns)
            raise UsageError(f"The run did not include {', '.join(foreign)}, only {had}")
        enabled = {campaign.slug for campaign in settings.campaigns if campaign.enabled}
        if off := [slug for slug in slugs or record.campaigns if slug not in enabled]:
            say(f"Turned off, so left as they are: {', '.join(off)}", style="yellow")
        chosen = [slug for slug in slugs or record.campaigns if slug in enabled]
        if not chosen:
            raise CommandError(
                "Only campaigns that are switched on are undone: set `enabled` to true, undo, then to false again"
            )
        event = {"action": Action.UNDO.value, "run_id": run_id, "campaigns": chosen}
        looked = {**event, "dry_run": True, "notify": False}
        preview = _perform(looked, _request(looked, settings), place, options)
        changing = sum(campaign.adsets_updated for campaign in preview.campaigns)
        if dry_run or not preview.success or not changing or not options.to_json:
            _show(preview, place, options)
        if not preview.success:
            say("Nothing was undone. Choose with --campaign what can be undone now", style="red")
            return FAILED
        if dry_run or not changing:
            say("Nothing was undone" if dry_run else "There is nothing to undo")
            return 0
        if not options.yes and not confirm(f"Put {several(changing, 'ad set')} back in stage {stage}?"):
            return FAILED
        live = {**event, "dry_run": False}
        result = _perform(live, _request(live, settings), place, options)
    _show(result, place, options)
    if result.success:
        say(f"The next sync follows demand again; `{PROGRAM} pause CAMPAIGN` keeps these states", style="dim")
    return 0 if result.success else FAILED


def _event(text: str) -> Any:
    """Return the event that was given as JSON, as a file, or by the bare name of one in `events/`."""
    if text.lstrip().startswith(("{", "[")):
        source, said = "the event", text
    else:
        file = next((file for file in (Path(text), EVENTS / f"{text}.json") if file.is_file()), None)
        if file is None:
            known = known_ones(Path(text).stem, event_names())
            raise UsageError(f"{text} is neither JSON nor a file, nor one of those in events/: {known}")
        source, said = str(file), read_text(file)
    try:
        return json.loads(said)
    except json.JSONDecodeError as error:
        raise UsageError(f"{source} is not valid JSON: {error}") from None


def _request(event: Any, settings: Settings) -> RunRequest:
    if isinstance(event, dict) and "step" in event:
        raise UsageError("step: belongs to the workflow; start that, or leave step out for a run of its own")
    enabled = {campaign.slug: campaign.enabled for campaign in settings.campaigns}
    return parse_event(event, default_dry_run=settings.dry_run, enabled=enabled)


def _refuse_without_ledger(request: RunRequest, place: StageLocation) -> None:
    if place.table:
        return
    if not (request.dry_run and request.action is Action.SYNC):
        raise CommandError(place.why_no_table)
    say(f"Running without the ledger, so without what earlier runs left open: {place.why_no_table}", style="yellow")


def _refuse_wrong_clock(request: RunRequest, settings: Settings) -> None:
    """Refuse a live run by a clock that would let it take campaigns from another run that is still at work on them."""
    for finding in () if request.dry_run else check_clock(settings.graph_url, environment.clock()):
        if finding.verdict is Verdict.FAILED:
            raise CommandError(f"Nothing was begun: {finding.said}. First {finding.remedy}")


def _intent(request: RunRequest, settings: Settings, place: StageLocation) -> str:
    slugs = request.campaigns or [campaign.slug for campaign in settings.campaigns if campaign.enabled]
    of_run = f" of run {request.run_id}" if request.run_id else ""
    lifted = f", without the limits {', '.join(sorted(request.force))}" if request.force else ""
    mails = settings.email and request.notify
    mail = f" The report goes to {', '.join(settings.email.recipients)}." if mails and settings.email else ""
    of_plan = f" as of plan {request.plan_id}" if request.plan_id else ""
    what = f"LIVE {request.action}{of_run}{of_plan} in stage {place.stage}{lifted}"
    return f"{what}: it changes the targeting of ad sets at Meta, in {', '.join(slugs)}.{mail}"


def _perform(event: Any, request: RunRequest, place: StageLocation, options: RunOptions) -> RunResult:
    """Run the handler and return its result, even if the run failed.

    The log goes to a file: a run in a shell leaves none in CloudWatch.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    kind = f"{'dry' if request.dry_run else 'live'}-{request.action}"
    path = LOGS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{place.stage}-{kind}.jsonl"
    what = f"{'Dry run' if request.dry_run else 'LIVE run'}, {request.action}: asking CLOSRTECH and Meta"
    clock = environment.clock()
    failures: list[str] = []
    handlers = dict.fromkeys(MAIL_FAILURES, lambda entry: failures.append(_why(entry)))
    # The log is redirected to the very end: once it is stopped, a run's other threads may still write to it.
    with path.open("a", encoding="utf-8") as file, logged_to(_streams(file, handlers, options)):
        try:
            with _shown(what, request, options) as more:
                handlers |= more
                return RunResult.from_json(handler.handle(event, clock))
        except SyncFailed as failure:
            return RunResult.from_json(failure.result)
        except KeyboardInterrupt:
            _stop(request, clock, path, file)
        finally:
            for why in failures:
                say(f"The report was not mailed: {why}", style="red")
            say(f"log: {path}", style="dim")


@contextmanager
def _shown(what: str, request: RunRequest, options: RunOptions) -> Iterator[Handlers]:
    """Show the progress of a run; yield the handlers of log entries that this needs."""
    if request.dry_run:
        with waiting(what, quiet=options.verbose):
            yield {}
    else:
        with showing_progress(request.action, what, quiet=options.verbose) as handlers:
            yield handlers


def _streams(file: TextIO, handlers: Handlers, options: RunOptions) -> Tee:
    return Tee(file, Listener(handlers), *([sys.stderr] if options.verbose else []))


def _why(entry: Entry) -> str:
    return one_line(str(entry.get("error") or entry.get("exception_name")))


def _stop(request: RunRequest, clock: Clock, path: Path, log: TextIO) -> NoReturn:
    """End this process at once, or its other threads would continue writing to Meta; the ledger allows recovery.

    The leases of its campaigns are left to expire.
    """
    try:
        if not request.dry_run:
            free = clock.now() + timedelta(seconds=clock.remaining()) + _LEASE_MARGIN
            say(
                f"The next live run after {free:%H:%M} UTC finishes or rolls back what was interrupted; until then, no "
                "other run begins anything in these campaigns",
                style="yellow",
            )
        say(f"log: {path}", style="dim")
        say("Stopped", style="red")
        log.flush()
    finally:
        os._exit(INTERRUPTED)


def _is_kept(result: RunResult, place: StageLocation) -> bool:
    """Return whether `history` shows the run."""
    try:
        return bool(place.table) and Runs(place.ledger_table()).exists(result.run_id)
    except LedgerError:
        return False


def _show(result: RunResult, place: StageLocation, options: RunOptions) -> None:
    if options.to_json:
        print(json.dumps(result.to_json()))  # noqa: T201 - for machines
        return
    out = stdout_console()
    out.print(headline(result), style="bold" if result.success else "bold red")
    if result.left_to:
        out.print(f"Everything was left to run {result.left_to}, which has the same scheduled time or is still running")
    for warning in (*result.notices, *switches(result)):
        out.print(warning, style="yellow")
    for said in filter(None, (learning(result), meaning_of_signs(result))):
        out.print(said)
    for campaign in campaigns(result):
        out.print(f"\n{campaign.title}", style="bold")
        if campaign.lines:
            rows = table("ad set", "result", "states and notes")
            for line in campaign.lines:
                rows.add_row(line.name, line.word, "\n".join(filter(None, (line.states, *line.reasons))))
            out.print(rows)
        for note in campaign.notes:
            out.print(note)
        for error in campaign.errors:
            out.print(f"✗ {error}", style="red")
    out.print(f"\n{footline(result, place.stage, is_kept=_is_kept(result, place))}")
