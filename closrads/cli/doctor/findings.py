"""Checks and their findings; a failing check never stops the others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from closrads.cli.environment import ACCESS_DENIED_CODES
from closrads.errors import (
    ClosradsError,
    LedgerError,
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
)
from closrads.meta.error_codes import TOKEN_DEAD
from closrads.redaction import one_line

PUSH = "put the right one with `push-config`"
BEHIND_TOKEN = "not checked: Meta does not accept the token"  # noqa: S105 - a message
NO_ANSWER = "check whether this machine reaches Meta (network, CLOSRADS_GRAPH_URL); then try again in some minutes"
MAX_NAMES = 3
"""Maximum number of names in a list of parameters or checks."""


class Verdict(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """Runs are not affected, or the check could not be made."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check, and the remedy."""

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    name: str
    run: Callable[[], Iterator[Finding]]
    required_permission: str = ""
    """The AWS permission that the operator needs for it."""


Clients = Mapping[str, Any]


def ok(check: str, said: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(check, Verdict.OK, said)


def warning(check: str, said: str, remedy: str = "") -> Finding:
    """Return a finding that the operator should know about, or of a check that could not be made."""
    return Finding(check, Verdict.WARNING, said, remedy)


def failed(check: str, said: str, remedy: str) -> Finding:
    """Return a finding of a problem that makes runs fail, now or soon."""
    return Finding(check, Verdict.FAILED, said, remedy)


def run_check(check: Check) -> list[Finding]:
    """Run a check and return its findings; an exception becomes a finding, too."""
    try:
        return list(check.run())
    except Exception as error:  # noqa: BLE001 - a failing check must not hide the findings of the others
        return [error_finding(check, error)]


def error_finding(check: Check, error: Exception) -> Finding:
    """Return the finding for a check that raised an exception."""
    if isinstance(error, LedgerError) and isinstance(error.__context__, ClientError):
        error = error.__context__  # it names the missing permission
    said = one_line(str(error))
    match error:
        case ClientError() if (code := error.response["Error"]["Code"]) in ACCESS_DENIED_CODES:
            remedy = f"ask for the permission {check.required_permission}"
            return warning(check.name, f"not checked: you lack the permission ({code})", remedy)
        case ClientError() | BotoCoreError():
            remedy = "check the credentials and the Region of this shell (AWS_PROFILE, AWS_REGION), and the network"
            what = "AWS refuses" if isinstance(error, ClientError) else "AWS cannot be reached"
            return failed(check.name, f"{what}: {said}", remedy)
        case MetaError() if error.code == TOKEN_DEAD:
            return failed(check.name, BEHIND_TOKEN, "fix the token first")
        case ClosradsError():
            return failed(check.name, said, _next_step(error))
    said = one_line(f"not checked: unexpected {type(error).__name__}: {error}")
    return warning(check.name, said, "this is a defect of `doctor`; all else is checked")


def _next_step(error: ClosradsError) -> str:
    match error:
        case MetaAccessError():
            return "check the token and its permissions"
        case MetaLostAnswerError():
            return NO_ANSWER
        case MetaInvalidError():
            return "look at Meta's reason"
    return "look at the reason; try again in some minutes"


def merge_token_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Merge into one the findings of all checks that an invalid token prevented."""
    behind = [finding for finding in findings if finding.said == BEHIND_TOKEN]
    if not behind:
        return list(findings)
    is_reported = any(each.check.startswith("token ") and each.verdict is Verdict.FAILED for each in findings)
    names = summarize_names([finding.check for finding in behind])
    merged = Finding(names, Verdict.WARNING if is_reported else Verdict.FAILED, BEHIND_TOKEN, behind[0].remedy)
    return [merged if finding is behind[0] else finding for finding in findings if finding not in behind[1:]]


def summarize_names(names: Sequence[str]) -> str:
    """Return the first of several names, and how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def not_checked(name: str, missing: str) -> Check:
    """Return a check that only says that something missing prevents it."""
    return check_returning(warning(name, f"not checked without {missing}", "fix that first"))


def check_returning(finding: Finding) -> Check:
    """Return a check with a finding that is already known."""
    return Check(finding.check, partial(iter, [finding]))
