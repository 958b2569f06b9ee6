"""Sends the report through SES. A failure to send is a warning and never fails the run."""

from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.settings import EmailConfig
from closrads.observability import logger
from closrads.report.render import Report, build_report

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

_CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=10, proxies={})
_UTF8 = "UTF-8"


@cache
def _ses() -> "SESV2Client":
    client: SESV2Client = boto3.client("sesv2", config=_CLIENT_CONFIG)
    return client


def prepare() -> None:
    """Create the SES client ahead of its first use."""
    _ses()


def notify(result: RunResult, email: EmailConfig | None, timezone: ZoneInfo) -> MailOutcome:
    """Mail the report of a run, or log its text if `email` is None; return the outcome."""
    try:
        report = build_report(result, timezone)
        if email is None:
            logger.info("report.text", extra={"subject": report.subject, "text": report.text})
            return MailOutcome.NOT_CONFIGURED
        _send(report, email)
    except (BotoCoreError, ClientError) as error:
        logger.warning("mail.failed", extra={"error": str(error), "subject": report.subject, "text": report.text})
        return MailOutcome.FAILED
    except Exception:  # noqa: BLE001 - ads may have changed: a defect in the report must not hide the run's result
        logger.exception("mail.defect")
        return MailOutcome.FAILED
    return MailOutcome.SENT


def _send(report: Report, email: EmailConfig) -> None:
    answer = _ses().send_email(
        FromEmailAddress=email.sender,
        Destination={"ToAddresses": list(email.recipients)},
        Content={
            "Simple": {
                "Subject": {"Data": report.subject, "Charset": _UTF8},
                "Body": {
                    "Html": {"Data": report.html, "Charset": _UTF8},
                    "Text": {"Data": report.text, "Charset": _UTF8},
                },
            }
        },
    )
    logger.info("mail.sent", extra={"message_id": answer["MessageId"], "recipients": len(email.recipients)})
