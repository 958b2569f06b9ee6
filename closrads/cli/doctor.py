"""`doctor`: whether everything that a run needs is there, and what to do where it is not. It only reads."""

import json
from dataclasses import asdict, replace
from functools import partial
from io import StringIO

import boto3
from rich.text import Text

from closrads.cli import environment
from closrads.cli.checks import Check, Finding, Known, Verdict, check_parameters, checks_of, findings_of, folded
from closrads.cli.log import logged_to
from closrads.cli.parameters import read_parameters
from closrads.cli.terminal import FAILED, shown, table, waiting
from closrads.concurrency import map_concurrently

AT_ONCE = 10
PATIENCE_SECONDS = 30.0
"""For one question; nothing is asked twice."""
NARROW = 100
"""Columns; with fewer the names have none of their own."""
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


def doctor(stage: str, *, to_json: bool) -> int:
    """Make all checks, show what they found, and return the exit status."""
    with waiting("Looking at the parameters, CLOSRTECH, Meta, SES and the ledger"):
        findings = examined(stage)
    healthy = not any(finding.verdict is Verdict.FAILED for finding in findings)
    if to_json:
        print(json.dumps({"stage": stage, "ok": healthy, "checks": [asdict(finding) for finding in findings]}))  # noqa: T201 - for machines
    else:
        _show(stage, findings)
    return 0 if healthy else FAILED


def examined(stage: str) -> list[Finding]:
    """Return what all checks of a stage found."""
    place = environment.place_of(stage)
    clients = {name: boto3.client(name, config=environment.AWS_CLIENT) for name in ("ssm", "sesv2", "dynamodb")}
    clock = replace(environment.clock(), remaining=lambda: PATIENCE_SECONDS)
    known = Known()
    with environment.entered(place), logged_to(StringIO()):
        read = partial(read_parameters, clients["ssm"], place.path)
        findings = findings_of(
            Check("parameters", partial(check_parameters, place, read, known), "ssm:GetParametersByPath")
        )
        checks = list(checks_of(place, known, clients, clock))
        for found in map_concurrently(findings_of, checks, AT_ONCE):
            findings += found
    return folded(findings)


def _show(stage: str, findings: list[Finding]) -> None:
    out = shown()
    narrow = out.width < NARROW
    rows = table("", "found, and what to do") if narrow else table("", "check", "found, and what to do")
    for finding in findings:
        remedy = f"\n→ {finding.remedy}" if finding.remedy else ""
        cells = [f"{finding.check}: {finding.said}{remedy}"] if narrow else [finding.check, f"{finding.said}{remedy}"]
        rows.add_row(Text(finding.verdict, _STYLES[finding.verdict]), *cells)
    out.print(rows)
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    names = {Verdict.OK: "ok", Verdict.WARNING: "warnings" if counts[Verdict.WARNING] > 1 else "warning"}
    said = ", ".join(f"{number} {names.get(verdict, verdict)}" for verdict, number in counts.items() if number)
    out.print(f"\nStage {stage}: {said}", style="bold red" if counts[Verdict.FAILED] else "bold")
