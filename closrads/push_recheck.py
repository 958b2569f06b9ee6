"""Turns messages about Meta's pushes into rechecks: each names an ad account, whose campaigns are rechecked."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from closrads.clock import Clock
from closrads.domain.pushes import LEFT_SECONDS, MIN_GAP_SECONDS, Message
from closrads.domain.request import PUSH, Action
from closrads.domain.results import RunResult
from closrads.domain.settings import CampaignConfig, Settings
from closrads.errors import ConfigError, QueueError
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.observability import logger
from closrads.push_queue import delay

Event = dict[str, Any]


def recheck_pushed(
    messages: Sequence[Message], settings: Settings, clock: Clock, recheck: Callable[[Event], RunResult]
) -> dict[str, Any]:
    """Recheck the campaigns of the ad accounts in messages, in one run; return the messages to be delivered again.

    These are the messages about accounts with a campaign that was rechecked less than `MIN_GAP_SECONDS` ago, or that
    another run holds. An account without an enabled campaign needs no recheck.

    Parameters
    ----------
    recheck
        Carries out an event.

    Raises
    ------
    ConfigError
        No ledger table is configured.
    SyncFailed
        A campaign failed; all messages are delivered again after the queue's visibility timeout.
    """
    if not settings.ledger_table:
        raise ConfigError(["CLOSRADS_LEDGER_TABLE: must be set: a recheck cannot do without the ledger"])
    ledger = Ledger(Table(settings.ledger_table, clock))
    accounts = {message.account: _campaigns(message.account, settings) for message in messages}
    delays = {account: _seconds_to_wait(campaigns, ledger, clock) for account, campaigns in accounts.items()}
    due = [each.slug for account, campaigns in accounts.items() if not delays[account] for each in campaigns]
    logger.info("push.messages", extra={"count": len(messages), "accounts": delays, "campaigns": due})
    _delay(messages, delays)
    if due:
        result = recheck({"action": Action.RECHECK.value, "dry_run": False, "campaigns": due, "reason": PUSH})
        left = {each.fb_ad_account_id: LEFT_SECONDS for each in result.campaigns if each.left_to}
        if result.left_to:
            left = {account: LEFT_SECONDS for account in accounts if not delays[account]}
        _delay(messages, left)
        delays |= left
    again = [{"itemIdentifier": message.id} for message in messages if delays[message.account]]
    return {"batchItemFailures": again}


def _campaigns(account: str, settings: Settings) -> list[CampaignConfig]:
    return [each for each in settings.chosen(None) if each.fb_ad_account_id == account]


def _seconds_to_wait(campaigns: Iterable[CampaignConfig], ledger: Ledger, clock: Clock) -> int:
    """Return the seconds until all campaigns may be rechecked; 0 for now.

    Any recheck counts, because it has probably seen what the push is about. If not, the message is only delayed.
    """
    last = [recheck for campaign in campaigns if (recheck := ledger.last_recheck(campaign.slug))]
    waits = [MIN_GAP_SECONDS - (clock.now() - recheck.at).total_seconds() for recheck in last]
    return max(math.ceil(max(waits, default=0)), 0)


def _delay(messages: Iterable[Message], delays: Mapping[str, int]) -> None:
    for message in messages:
        if seconds := delays.get(message.account):
            try:
                delay(message, seconds)
            except QueueError as error:
                logger.warning("push.not_put_off", extra={"error": str(error)})
