"""`doctor`: checks everything that a run needs, without changing anything."""

import json
from dataclasses import asdict, replace
from functools import partial
from io import StringIO

import boto3
from rich.text import Text

from closrads.cli import environment
from closrads.cli.checks import (
    Check,
    Finding,
    ParameterState,
    Verdict,
    check_parameters,
    checks_of,
    merge_token_findings,
    run_check,
)
from closrads.cli.log import logged_to
from closrads.cli.parameters import read_parameters
from closrads.cli.sender_right import checks_of_sender_right
from closrads.cli.stack_checks import StackState, check_stack, checks_of_stack
from closrads.cli.terminal import FAILED, stdout_console, table, waiting
from closrads.concurrency import map_concurrently

SERVICES = ("ssm", "sesv2", "dynamodb", "cloudformation", "scheduler", "sqs", "cloudwatch", "sns", "lambda")
MAX_CONCURRENT_CHECKS = 10
NARROW_COLUMNS = 100
"""On a narrower terminal, the names of the checks share a column with the findings."""
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


def doctor(stage: str, *, to_json: bool) -> int:
    """Run all checks, show their findings, and return the exit status."""
    with waiting("Looking at the parameters, CLOSRTECH, Meta, SES, the ledger and the stack"):
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
            *checks_of(place, state, clients, clock),
            *checks_of_sender_right(place, state, stack, clients),
            *checks_of_stack(place, stack, clients, clock.now()),
        ]
        for found in map_concurrently(run_check, checks, MAX_CONCURRENT_CHECKS):
            findings += found
    return merge_token_findings(findings)


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
