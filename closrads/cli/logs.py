"""`logs`: the log of one run, from CloudWatch."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from rich.console import Console

from closrads.cli import environment
from closrads.cli.environment import AWS_CLIENT, StageLocation
from closrads.cli.runs import WHERE_IDS_ARE
from closrads.cli.terminal import CommandError, UsageError, say, stdout_console, waiting
from closrads.domain.runs import RUN_ID_TIME
from closrads.ledger.runs import Runs
from closrads.redaction import one_line

POLL_SECONDS = 2.0
LATE = timedelta(minutes=1)
"""Maximum delay of a line behind later ones; clocks differ by less."""
LONGEST_RUN = timedelta(days=1)
"""Maximum duration of a run; one that several invocations share may take hours."""
_ENDS = frozenset({"run.end", "run.failed"})
"""Messages of the last line of a run."""
_STYLES = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow"}
_SHOWN_APART = frozenset({"level", "location", "message", "timestamp", "service", "run_id"})


@dataclass(slots=True)
class LogReader:
    """Reads the lines of one run."""

    client: Any
    group: str
    run_id: str
    since: datetime
    _seen: set[str] = field(default_factory=set)

    def new_lines(self, until: datetime | None = None) -> Iterator[str]:
        """Yield the lines that have not been yielded before, in chronological order."""
        query: dict[str, Any] = {
            "logGroupName": self.group,
            "filterPattern": f'{{ $.run_id = "{self.run_id}" }}',
            "startTime": _milliseconds(self.since),
        }
        if until:
            query["endTime"] = _milliseconds(until)
        events = []
        token: dict[str, str] = {}
        while True:  # a page may be empty although a later one is not
            answer = self.client.filter_log_events(**query, **token)
            events += [event for event in answer["events"] if event["eventId"] not in self._seen]
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        for event in sorted(events, key=lambda event: event["timestamp"]):
            self._seen.add(event["eventId"])
            self.since = max(self.since, datetime.fromtimestamp(event["timestamp"] / 1000, UTC) - LATE)
            yield event["message"]


def logs(stage: str, run_id: str | None, *, follow: bool, to_json: bool) -> None:
    """Print the log of a run, by default the newest live one; with `follow`, new lines until the run ends."""
    place = environment.locate_stage(stage)
    with waiting("Looking for the run and its log"):
        run_id = run_id or _newest(place)
        started = _start_of(run_id)
        reader = LogReader(boto3.client("logs", config=AWS_CLIENT), _log_group(place), run_id, started - LATE)
        lines = list(reader.new_lines(None if follow else started + LONGEST_RUN))
    if not lines and not follow:
        raise CommandError(
            f"{reader.group} has no line of run {run_id}. The log of a manual run is in a file on the "
            "machine where it was started, and old lines are deleted (LogRetentionDays)"
        )
    out, sleep = stdout_console(), environment.clock().sleep
    while True:
        has_ended = False
        for line in lines:
            has_ended |= _print(out, line, place.zone, to_json=to_json)
        if has_ended or not follow:
            return
        sleep(POLL_SECONDS)
        lines = list(reader.new_lines())


def _newest(place: StageLocation) -> str:
    record = next(Runs(place.ledger_table()).newest(), None)
    if record is None:
        raise CommandError(f"There is no live run in stage {place.stage} yet: give the id of a run")
    say(f"run {record.run_id}", style="dim")
    return record.run_id


def _start_of(run_id: str) -> datetime:
    try:
        return datetime.strptime(run_id.partition("-")[0], RUN_ID_TIME).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{one_line(run_id)} is not a run's id: {WHERE_IDS_ARE}") from None


def _log_group(place: StageLocation) -> str:
    client: Any = boto3.client("cloudformation", config=AWS_CLIENT)
    found = client.describe_stack_resources(StackName=environment.stack_name(place.stage))["StackResources"]
    groups = [each["PhysicalResourceId"] for each in found if each["ResourceType"] == "AWS::Logs::LogGroup"]
    if not groups:
        raise CommandError(f"The stack {environment.stack_name(place.stage)} has no log group: deploy it again")
    group: str = groups[0]
    return group


def _print(out: Console, line: str, zone: ZoneInfo, *, to_json: bool) -> bool:
    """Print a line, and return whether it is the last one of a run."""
    entry: Mapping[str, Any] = json.loads(line)
    if to_json:
        print(line.rstrip())  # noqa: T201 - for machines
    else:
        out.print(readable(entry, zone), style=_STYLES.get(str(entry.get("level")), ""), soft_wrap=True)
    return entry.get("message") in _ENDS


def readable(entry: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Return a log line for a person: time, level unless it is INFO, message, fields."""
    moment = datetime.fromisoformat(str(entry["timestamp"])).astimezone(zone)
    level = "" if entry.get("level") == "INFO" else f"{entry.get('level')} "
    fields = " ".join(f"{name}={_text(value)}" for name, value in entry.items() if name not in _SHOWN_APART)
    return one_line(f"{moment:%H:%M:%S} {level}{entry.get('message')} {fields}", 2_000).rstrip()


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
