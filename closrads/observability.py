"""Log lines and metrics: one JSON object a line, few metrics, and no secret in any of them."""

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

_CHATTY = ("boto3", "botocore", "facebook_business", "requests", "urllib3")
"""At DEBUG these print request lines and bodies, and with them the token and every decrypted parameter."""


MAX_LINE_BYTES = 250_000
"""Bytes; CloudWatch takes events of 256 kB (CloudWatch Logs User Guide, "Quotas")."""


class _RedactingFormatter(LambdaPowertoolsFormatter):
    """Powertools' JSON line with every secret blanked out, whatever part of the record it came in with."""

    def serialize(self, log: Any) -> str:
        entry = redact_all(json.loads(super().serialize(log)))  # by now everything in it is text
        line = _line(entry)
        for most in (20_000, 2_000, 200):
            if len(line) > MAX_LINE_BYTES:
                line = _line(_cut(entry, most))
        return line.decode()


def _line(entry: Any) -> bytes:
    """Return JSON in UTF-8; half a character, which has no place there, is written as JSON's own escape."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _cut(value: Any, most: int) -> Any:
    """Return a JSON-like value with the beginnings of its texts and lists."""
    if isinstance(value, str):
        return shorten(value, most)
    if isinstance(value, dict):
        return {shorten(key, most): _cut(item, most) for key, item in list(value.items())[:most]}
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
    return one_line(f"Unexpected {type(error).__name__}: {error}")


def emit_metrics(counts: Mapping[str, int], stage: str) -> None:
    """Print counts as one EMF line (CloudWatch Embedded Metric Format); print nothing if there are none."""
    if counts:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        metrics.set_default_dimensions(stage=stage)
        for name, count in counts.items():
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
        metrics.flush_metrics()
