"""Sends the report through SES. A failure to send is a warning; it never fails the run."""

from collections.abc import Sequence
from datetime import datetime
from email.utils import formataddr, parseaddr
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from closrads.domain.request import Action
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.settings import EmailConfig
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError
from closrads.observability import logger
from closrads.report.render import Report, build_report
from closrads.report.wording.campaigns import NO_RUN, NO_SYNC_BY_HAND, NO_UNDO

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

_CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=10, proxies={})
_UTF8 = "UTF-8"
FROM_NAME = "CLOSRADS"
_REFUSALS = frozenset({"MessageRejected", "BadRequestException"})
"""Error codes for a mail that nobody gets because SES refuses one of the recipients (SES API v2, "SendEmail")."""


@cache
def _ses() -> "SESV2Client":
    client: SESV2Client = boto3.client("sesv2", config=_CLIENT_CONFIG)
    return client


def prepare() -> None:
    """Create the SES client ahead of its first use."""
    _ses()


def notify(  # noqa: PLR0913 - what a report is made of
    result: RunResult,
    email: EmailConfig | None,
    timezone: ZoneInfo,
    schedule: str,
    earlier: Sequence[RunResult] = (),
    *,
    stage: str = "",
) -> tuple[MailOutcome, Sequence[str]]:
    """Mail the report of a run, or log its text if `email` is None; the other parameters are as in `build_report`.

    Return the outcome, and the recipients whom SES refused although others got the report.
    """
    try:
        report = build_report(result, timezone, schedule, earlier, stage=stage)
        if email is None:
            logger.info("report.text", extra={"subject": report.subject, "text": report.text})
            return MailOutcome.NOT_CONFIGURED, ()
        refused = _send(report, email)
    except (BotoCoreError, ClientError) as error:
        logger.warning("mail.failed", extra={"error": str(error), "subject": report.subject, "text": report.text})
        return MailOutcome.FAILED, ()
    except Exception:  # noqa: BLE001 - ads may have changed: a defect in the report must not hide the run's result
        logger.exception("mail.defect")
        return MailOutcome.FAILED, ()
    return MailOutcome.SENT, refused


def notify_of_failure(  # noqa: PLR0913 - the run, why it failed, and what a report is made of
    run_id: str,
    error: ClosradsError,
    started_at: datetime,
    contact: tuple[EmailConfig | None, ZoneInfo],
    schedule: str,
    *,
    action: Action,
    is_scheduled: bool,
) -> None:
    """Mail that a live sync or undo could not be done; without a known recipient, only log it."""
    email, timezone = contact
    if email is not None:
        what = NO_UNDO if action is Action.UNDO else NO_RUN if is_scheduled else NO_SYNC_BY_HAND
        failed = SyncReport("", "CLOSRADS", dry_run=False, campaign_errors=(f"{what}: {error}",))
        notify(
            RunResult(run_id, action, dry_run=False, started_at=started_at, duration_ms=0, campaigns=(failed,)),
            email,
            timezone,
            schedule,
        )


def _with_name(sender: str) -> str:
    """Return the sender with a display name, which inboxes show: its own, or a default."""
    name, address = parseaddr(sender)
    return sender if name else formataddr((FROM_NAME, address))


def _send(report: Report, email: EmailConfig) -> Sequence[str]:
    """Send the report to all recipients at once or, if SES refuses that, to each alone; return the refused ones."""
    try:
        _send_to(email.recipients, report, email)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _REFUSALS or len(email.recipients) == 1:
            raise
        refused = [recipient for recipient in email.recipients if not _is_sent_to(recipient, report, email)]
        if len(refused) == len(email.recipients):
            raise
        return refused
    return ()


def _is_sent_to(recipient: str, report: Report, email: EmailConfig) -> bool:
    """Send the report to one of several recipients; log it and return False if that fails."""
    try:
        _send_to([recipient], report, email)
    except (BotoCoreError, ClientError) as error:
        logger.warning("mail.refused", extra={"recipient": recipient, "error": str(error)})
        return False
    return True


def _send_to(recipients: Sequence[str], report: Report, email: EmailConfig) -> None:
    answer = _ses().send_email(
        FromEmailAddress=_with_name(email.sender),
        ReplyToAddresses=[email.reply_to] if email.reply_to else [],
        Destination={"ToAddresses": list(recipients)},
        Content={
            "Simple": {
                "Subject": {"Data": report.subject, "Charset": _UTF8},
                "Body": {
                    "Html": {"Data": report.html, "Charset": _UTF8},
                    "Text": {"Data": report.text, "Charset": _UTF8},
                },
                "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
            }
        },
    )
    logger.info("mail.sent", extra={"message_id": answer["MessageId"], "recipients": len(recipients)})
