"""The command `doctor`: runs all checks and shows what they find."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from io import StringIO

import boto3
from rich.text import Text

from closrads.cli import environment
from closrads.cli.doctor.clock import check_clock
from closrads.cli.doctor.closrtech import checks_of_closrtech
from closrads.cli.doctor.findings import Check, Clients, Finding, Verdict, merge_token_findings, not_checked, run_check
from closrads.cli.doctor.ledger import checks_of_ledger
from closrads.cli.doctor.meta import GRAPH_URL, checks_of_meta
from closrads.cli.doctor.parameters import ParameterState, check_parameters
from closrads.cli.doctor.sender_right import checks_of_sender_right
from closrads.cli.doctor.ses import checks_of_ses
from closrads.cli.doctor.stack import StackState, check_stack, checks_of_stack
from closrads.cli.environment import StageLocation
from closrads.cli.log_capture import logged_to
from closrads.cli.parameters import read_parameters
from closrads.cli.terminal import FAILED, stdout_console, table, waiting
from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.parameters import META_GRAPH_URL, is_safe_address

SERVICES = ("ssm", "sesv2", "dynamodb", "cloudformation", "scheduler", "sqs", "cloudwatch", "sns", "lambda")
MAX_CONCURRENT_CHECKS = 10
NARROW_COLUMNS = 100
"""On a narrower terminal, the names of the checks share a column with the findings."""
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


def doctor(stage: str, *, to_json: bool) -> int:
    """Run all checks, show their findings, and return the exit status."""
    with waiting("Checking the parameters, CLOSRTECH, Meta, SES, the ledger and the stack"):
        findings = run_checks(stage)
    healthy = not any(finding.verdict is Verdict.FAILED for finding in findings)
    if to_json:
        print(json.dumps({"stage": stage, "ok": healthy, "checks": [asdict(finding) for finding in findings]}))  # noqa: T201 - for machines
    else:
        _show(stage, findings)
    return 0 if healthy else FAILED


def run_checks(stage: str) -> list[Finding]:
    """Run all checks of a stage and return their findings."""
    place = environment.locate_stage(stage)
    clients = {name: boto3.client(name, config=environment.AWS_CLIENT) for name in SERVICES}
    clock = replace(environment.clock(), remaining=lambda: environment.CALL_SECONDS)
    state, stack = ParameterState(), StackState()
    with environment.function_environment(place), logged_to(StringIO()):
        read = partial(read_parameters, clients["ssm"], place.path)
        first = [
            Check("parameters", partial(check_parameters, place, read, state), "ssm:GetParametersByPath"),
            Check("stack", partial(check_stack, place, clients, stack), "cloudformation:DescribeStackResources"),
        ]
        findings = [finding for found in map_concurrently(run_check, first, len(first)) for finding in found]
        checks = [
            *_checks(place, state, clients, clock),
            *checks_of_sender_right(place, state, stack, clients),
            *checks_of_stack(place, stack, clients, clock.now()),
        ]
        for found in map_concurrently(run_check, checks, MAX_CONCURRENT_CHECKS):
            findings += found
    return merge_token_findings(findings)


def _checks(place: StageLocation, state: ParameterState, clients: Clients, clock: Clock) -> Iterator[Check]:
    """Yield the checks of everything that the parameters name; `check_parameters` must have run before."""
    settings = state.settings
    graph_url = os.environ.get(GRAPH_URL) or META_GRAPH_URL
    meta_is_known = is_safe_address(graph_url)
    if settings is None:
        yield not_checked("CLOSRTECH and Meta", f"parameters below {place.path}")
    else:
        yield from checks_of_closrtech(settings, state, clock)
        yield from (
            checks_of_meta(place, settings, state, clock) if meta_is_known else [not_checked("Meta", GRAPH_URL)]
        )
    yield from checks_of_ses(place, state, clients)
    yield from checks_of_ledger(place, settings, clients, clock)
    yield Check("clock", partial(check_clock, graph_url, clock)) if meta_is_known else not_checked("clock", GRAPH_URL)


def _show(stage: str, findings: list[Finding]) -> None:
    out = stdout_console()
    narrow = out.width < NARROW_COLUMNS
    rows = table("", "found, and what to do") if narrow else table("", "check", "found, and what to do")
    for finding in findings:
        remedy = f"\n→ {finding.remedy}" if finding.remedy else ""
        cells = [f"{finding.check}: {finding.said}{remedy}"] if narrow else [finding.check, f"{finding.said}{remedy}"]
        rows.add_row(Text(finding.verdict, _STYLES[finding.verdict]), *cells)
    out.print(rows)
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    names = {Verdict.OK: "ok", Verdict.WARNING: "warnings" if counts[Verdict.WARNING] > 1 else "warning"}
    totals = ", ".join(f"{number} {names.get(verdict, verdict)}" for verdict, number in counts.items() if number)
    out.print(f"\nStage {stage}: {totals}", style="bold red" if counts[Verdict.FAILED] else "bold")
