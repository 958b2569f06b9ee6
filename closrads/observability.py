"""Log lines and metrics: one JSON object a line, few metrics, and no secret in any of them."""

import json
import logging
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from closrads.errors import plain, redact, redact_all, shortened
from closrads.model import Action, ChangeState, MailOutcome, Result, RunResult, SyncReport

SERVICE = "closrads"
NAMESPACE = "CLOSRADS"

RUN_SUCCEEDED = "RunSucceeded"
RUN_FAILED = "RunFailed"
DRY_RUN_COMPLETED = "DryRunCompleted"
ADSETS_UPDATED = "AdSetsUpdated"
ADSETS_SKIPPED_PREFLIGHT = "AdSetsSkippedPreflight"
ADSETS_REVERTED = "AdSetsReverted"
ROLLBACK_FAILED = "RollbackFailed"
STATES_WITH_DEMAND = "StatesWithDemand"
MAIL_FAILED = "MailFailed"

_CHATTY = ("boto3", "botocore", "facebook_business", "requests", "urllib3")
"""At DEBUG these print request lines and bodies, and with them the token and every decrypted parameter."""


LARGEST_LINE = 250_000
"""Bytes; CloudWatch takes events of 256 kB (CloudWatch Logs User Guide, "Quotas")."""


class _RedactingFormatter(LambdaPowertoolsFormatter):
    """Powertools' JSON line with every secret blanked out, whatever part of the record it came in with."""

    def serialize(self, log: Any) -> str:
        entry = redact_all(json.loads(super().serialize(log)))  # by now everything in it is text
        line = _line(entry)
        for most in (20_000, 2_000, 200):
            if len(line) > LARGEST_LINE:
                line = _line(_cut(entry, most))
        return line.decode()


def _line(entry: Any) -> bytes:
    """Return JSON in UTF-8; half a character, which has no place there, is written as JSON's own escape."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _cut(value: Any, most: int) -> Any:
    """Return a JSON-like value with the beginnings of its texts and lists."""
    if isinstance(value, str):
        return shortened(value, most)
    if isinstance(value, dict):
        return {shortened(key, most): _cut(item, most) for key, item in list(value.items())[:most]}
    return [_cut(item, most) for item in value[: most // 100]] if isinstance(value, list) else value


class _RedactingFilter(logging.Filter):
    """The same for records of other libraries, which go through the handlers of the root logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


logger = Logger(service=SERVICE, logger_formatter=_RedactingFormatter(use_rfc3339=True))


def begin_invocation(**keys: Any) -> None:
    """Start an invocation's log: forget the last one's keys, put `keys` on every line, silence the libraries."""
    logger.structure_logs(**keys)
    for name in (*_CHATTY, *logging.root.manager.loggerDict):
        if name.partition(".")[0] in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    for handler in (*logging.root.handlers, logging.lastResort):
        if handler and not any(isinstance(known, _RedactingFilter) for known in handler.filters):
            handler.addFilter(_RedactingFilter())


def log_defect(error: Exception) -> str:
    """Log a defect of this package with its traceback, and return what a report says of it."""
    logger.error("defect", exc_info=error)
    return plain(f"Unexpected {type(error).__name__}: {error}")


def emit_metrics(result: RunResult, stage: str, *, is_shared: bool = False) -> None:
    """Print the run's metrics as one EMF line (CloudWatch Embedded Metric Format).

    `RunSucceeded` counts live syncs only: it is what the silence alarm listens for. Of a run that several invocations
    share, one campaign that succeeded is a sign of life among hundreds, and `emit_rollbacks_failed` has told the rest.
    """
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.set_default_dimensions(stage=stage)

    def count(name: str, value: int) -> None:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)

    if result.left_to:
        return
    if result.dry_run:
        count(DRY_RUN_COMPLETED, 1)
    else:
        if result.action is Action.SYNC:
            is_well = any(each.success for each in result.campaigns) if is_shared else result.success
            count(RUN_SUCCEEDED, int(is_well))
        count(RUN_FAILED, int(not result.success))
        count(ADSETS_UPDATED, sum(campaign.adsets_updated for campaign in result.campaigns))
        count(ADSETS_SKIPPED_PREFLIGHT, sum(campaign.adsets_skipped_preflight for campaign in result.campaigns))
        count(ADSETS_REVERTED, sum(campaign.adsets_reverted for campaign in result.campaigns))
        count(ROLLBACK_FAILED, 0 if is_shared else sum(map(_rollbacks_failed, result.campaigns)))
        count(STATES_WITH_DEMAND, sum(len(campaign.active_states) for campaign in result.campaigns))
    count(MAIL_FAILED, int(result.mail is MailOutcome.FAILED))
    metrics.flush_metrics()


def emit_rollbacks_failed(report: SyncReport, earlier: SyncReport | None, stage: str) -> None:
    """Print at once how many rollbacks have failed since an earlier report of the same run, for that cannot wait."""
    count = _rollbacks_failed(report) - (_rollbacks_failed(earlier) if earlier else 0)
    if count > 0 and not report.dry_run:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        metrics.set_default_dimensions(stage=stage)
        metrics.add_metric(name=ROLLBACK_FAILED, unit=MetricUnit.Count, value=count)
        metrics.flush_metrics()


def _rollbacks_failed(campaign: SyncReport) -> int:
    recovered = sum(recovery.state is ChangeState.ROLLBACK_FAILED for recovery in campaign.recovered)
    return len(campaign.with_result(Result.ROLLBACK_FAILED)) + recovered
