"""Logging and metrics: one JSON object per line, without secrets."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from closrads.redaction import one_line, redact, redact_all, shorten

SERVICE = "closrads"
NAMESPACE = "CLOSRADS"

_NOISY_LOGGERS = ("boto3", "botocore", "facebook_business", "requests", "urllib3")
"""At DEBUG these log requests and bodies, including the token and every decrypted parameter."""

MAX_LINE_BYTES = 250_000
"""Maximum length of a log line; CloudWatch accepts events of 256 kB (CloudWatch Logs User Guide, "Quotas")."""


class _RedactingFormatter(LambdaPowertoolsFormatter):
    """Powertools' JSON formatter, with secrets redacted in every field and the line bounded in length."""

    def serialize(self, log: Any) -> str:
        text = super().serialize(log)
        if _is_plain(text) and len(text) <= MAX_LINE_BYTES and redact(text) == text:
            return text
        entry = redact_all(json.loads(text))  # after a round trip, every value is plain JSON
        line = _line(entry)
        for limit in (20_000, 2_000, 200):
            if len(line) > MAX_LINE_BYTES:
                line = _line(_truncate(entry, limit))
        return line.decode()


def _is_plain(text: str) -> bool:
    """Return whether JSON text contains its strings verbatim, so that a search of the text covers all of them."""
    return text.isascii() and "\\" not in text and "\n" not in text  # line breaks: Powertools indents in development


def _line(entry: Any) -> bytes:
    """Return JSON in UTF-8; lone surrogates, which UTF-8 cannot encode, become JSON escapes."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _truncate(value: Any, limit: int) -> Any:
    """Return a JSON-like value with its strings and lists truncated."""
    if isinstance(value, str):
        return shorten(value, limit)
    if isinstance(value, dict):
        return {shorten(key, limit): _truncate(item, limit) for key, item in list(value.items())[:limit]}
    return [_truncate(item, limit) for item in value[: limit // 100]] if isinstance(value, list) else value


class _RedactingFilter(logging.Filter):
    """Redacts the records of other libraries, which go through the root logger's handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


logger = Logger(service=SERVICE, logger_formatter=_RedactingFormatter(use_rfc3339=True))


def begin_invocation(**keys: Any) -> None:
    """Reset the logger for an invocation: put `keys` on every line, and limit other libraries to warnings."""
    logger.structure_logs(**keys)
    noisy = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _NOISY_LOGGERS]
    for name in (*_NOISY_LOGGERS, *noisy):
        other = logging.getLogger(name)
        if other.level != logging.WARNING:  # each setLevel clears the logging module's cache for all loggers
            other.setLevel(logging.WARNING)
    for handler in (*logging.root.handlers, logging.lastResort):
        if handler and not any(isinstance(known, _RedactingFilter) for known in handler.filters):
            handler.addFilter(_RedactingFilter())


def log_defect(error: Exception) -> str:
    """Log an unexpected exception with its traceback, and return its one-line description for the report."""
    logger.error("defect", exc_info=error)
    return one_line(f"Unexpected {type(error).__name__}: {error}")


def emit_metrics(counts: Mapping[str, int], stage: str) -> None:
    """Print counts as one line in CloudWatch's Embedded Metric Format; nothing if `counts` is empty."""
    if counts:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        metrics.set_default_dimensions(stage=stage)
        for name, count in counts.items():
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
        metrics.flush_metrics()
