"""The Lambda handler: event in, result out. It loads the settings, calls the orchestrator and sends the report."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from closrads import config, notifier
from closrads.clock import MAX_RUN_SECONDS, Clock
from closrads.config import load_settings
from closrads.domain.metrics import PUSH_RECEIVED, run_metrics
from closrads.domain.pushes import parse_messages
from closrads.domain.request import Action, RunRequest, StepRequest, parse_event, parse_step
from closrads.domain.results import RunResult
from closrads.domain.runs import RUN_ID_TIME
from closrads.domain.settings import Settings
from closrads.errors import ClosradsError, EventError, PausedError, SyncFailed
from closrads.fleet import close_run, open_run, run_campaign
from closrads.ledger import dynamodb
from closrads.notifier import notify, notify_of_failure
from closrads.observability import begin_invocation, emit_metrics, log_defect, logger
from closrads.orchestration.approval import with_options_of_plan
from closrads.push_recheck import recheck_pushed
from closrads.redaction import redact_all
from closrads.run_end import end_run, planned_report
from closrads.sync import run_sync

if config.starts_in_lambda():  # Lambda gives a function a full CPU only while it initializes
    for _client in (config, dynamodb, notifier):
        _client.prepare()


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Carry out an event and return the result as a JSON object; `docs/events.md` describes both.

    Raises
    ------
    ConfigError, EventError
        The message lists every problem; nothing was changed. If it was a live sync, that was mailed.
    SyncFailed
        At least one campaign failed; the report has already been sent.
    """
    milliseconds = getattr(context, "get_remaining_time_in_millis", None)
    if milliseconds is not None:
        return handle(event, Clock(remaining=lambda: milliseconds() / 1000))
    deadline = time.monotonic() + MAX_RUN_SECONDS  # a manual call may have no context
    return handle(event, Clock(remaining=lambda: deadline - time.monotonic()))


def handle(event: Any, clock: Clock) -> dict[str, Any]:
    """Carry out an event with the given clock; see `lambda_handler`."""
    run_id = f"{clock.now():{RUN_ID_TIME}}-{uuid.uuid4().hex[:8]}"
    begin_invocation(run_id=run_id)
    started_at = clock.now()
    try:
        return _run(run_id, event, clock)
    except ClosradsError as error:
        logger.error("run.failed", extra={"error_type": type(error).__name__, "error": str(error)})
        _mail_failure(run_id, event, error, started_at)
        error.__context__ = None  # its own message is redacted, but that of its context may not be
        raise
    except Exception as error:  # noqa: BLE001 - Lambda would log the unredacted message
        defect = log_defect(error)
        _mail_failure(run_id, event, ClosradsError(defect), started_at)
    raise ClosradsError(defect)  # outside of the `except` block, so that it has no unredacted context


def _mail_failure(run_id: str, event: Any, error: ClosradsError, started_at: datetime) -> None:
    """Mail that a live sync or undo could not be done, unless it was already reported or the caller sees the error."""
    if isinstance(error, SyncFailed | EventError | PausedError) or not isinstance(event, Mapping):
        return
    action = event.get("action", Action.SYNC)
    is_start = event.get("step", "open") == "open" and action in (Action.SYNC, Action.UNDO)
    if is_start and event.get("dry_run") is False and event.get("notify", True) is True:
        notify_of_failure(
            run_id,
            error,
            started_at,
            config.load_contact(),
            config.daily_schedule(),
            action=Action(action),
            is_scheduled=event.get("scheduled") is not None,
        )


def _run(run_id: str, event: Any, clock: Clock) -> dict[str, Any]:
    if step := parse_step(event):
        return _run_step(step, clock)
    messages = parse_messages(event)
    settings = load_settings()
    for notice in settings.notices:
        logger.warning("settings.notice", extra={"notice": notice})
    if messages is not None:

        def recheck(event: dict[str, Any]) -> RunResult:
            request = _parse_request(event, settings)
            return _finish(run_sync(run_id, request, settings, clock), request, settings, clock)

        return recheck_pushed(messages, settings, clock, recheck)
    request = _parse_request(event, settings)
    if request.opens:
        return open_run(request, settings, clock)
    request = with_options_of_plan(request, settings, clock)
    result = _finish(run_sync(run_id, request, settings, clock), request, settings, clock)
    answer: dict[str, Any] = redact_all(result.to_json())
    return answer


def _parse_request(event: Any, settings: Settings) -> RunRequest:
    enabled = {campaign.slug: campaign.enabled for campaign in settings.campaigns}
    request = parse_event(event, default_dry_run=settings.dry_run, enabled=enabled)
    logger.info(
        "run.start",
        extra={
            "action": request.action.value,
            "dry_run": request.dry_run,
            "scheduled": request.scheduled,
            "reason": request.reason,
        },
    )
    if request.dry_run:
        logger.warning("run.dry_run", extra={"hint": "Nothing will be written; give dry_run false to write"})
    return request


def _run_step(step: StepRequest, clock: Clock) -> dict[str, Any]:
    begin_invocation(run_id=step.run_id)
    if step.campaign is not None:
        return run_campaign(step.run_id, step.campaign, load_settings([step.campaign]), clock)
    settings = load_settings([])
    return close_run(step.run_id, settings, clock, lambda result, request: _finish(result, request, settings, clock))


def _finish(result: RunResult, request: RunRequest, settings: Settings, clock: Clock) -> RunResult:
    """Report and record a run that has ended; raise `SyncFailed` if it failed.

    A run whose approved plan was refused is no success, but it has not failed either, so no alarm fires.
    """
    plan = None
    if request.notify and result.is_news:
        result, plan = planned_report(result, request, settings, clock)
    if plan is not None and plan.is_due:
        mail, refused = notify(
            result,
            settings.email,
            settings.timezone,
            config.daily_schedule(),
            plan.earlier,
            stage=settings.stage,
        )
        result = replace(result, mail=mail, mail_refused=tuple(refused))
    end_run(result, request, settings, clock)
    counts = run_metrics(result, request)
    no_push = {PUSH_RECEIVED: 0} if counts and config.push_queue_url() else {}  # an alarm on silence needs a value
    emit_metrics({**counts, **no_push}, settings.stage)
    logger.info(
        "run.end", extra={"success": result.success, "duration_ms": result.duration_ms, "mail": result.mail.value}
    )
    if result.has_failed:
        failed = [campaign for campaign in result.campaigns if not campaign.success]
        lines = (f"{campaign.campaign_name}: {'; '.join(campaign.errors)}" for campaign in failed)
        raise SyncFailed("\n".join(lines), redact_all(result.to_json()))
    return result
