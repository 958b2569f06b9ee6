"""Rechecks that Meta's pushes ask for: each message names an ad account, whose campaigns are looked at again."""

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
from closrads.push_queue import put_off

Event = dict[str, Any]


def recheck_pushed(
    messages: Sequence[Message], settings: Settings, clock: Clock, recheck: Callable[[Event], RunResult]
) -> dict[str, Any]:
    """Recheck the campaigns of the ad accounts that messages name, in one run; return which messages must come again.

    Those are the messages of accounts with a campaign that was rechecked less than `MIN_GAP_SECONDS` ago, or that
    another run holds. An account without an enabled campaign costs nothing.

    Parameters
    ----------
    recheck
        Carries out an event.

    Raises
    ------
    ConfigError
        No ledger table is configured.
    SyncFailed
        A campaign failed; all messages come again after the queue's visibility timeout.
    """
    if not settings.ledger_table:
        raise ConfigError(["CLOSRADS_LEDGER_TABLE: must be set: a recheck cannot do without the ledger"])
    ledger = Ledger(Table(settings.ledger_table, clock))
    accounts = {message.account: _campaigns(message.account, settings) for message in messages}
    delays = {account: _seconds_to_wait(campaigns, ledger, clock) for account, campaigns in accounts.items()}
    due = [each.slug for account, campaigns in accounts.items() if not delays[account] for each in campaigns]
    logger.info("push.messages", extra={"count": len(messages), "accounts": delays, "campaigns": due})
    _put_off(messages, delays)
    if due:
        result = recheck({"action": Action.RECHECK.value, "dry_run": False, "campaigns": due, "reason": PUSH})
        left = {each.fb_ad_account_id: LEFT_SECONDS for each in result.campaigns if each.left_to}
        if result.left_to:
            left = {account: LEFT_SECONDS for account in accounts if not delays[account]}
        _put_off(messages, left)
        delays |= left
    again = [{"itemIdentifier": message.id} for message in messages if delays[message.account]]
    return {"batchItemFailures": again}


def _campaigns(account: str, settings: Settings) -> list[CampaignConfig]:
    return [each for each in settings.chosen(None) if each.fb_ad_account_id == account]


def _seconds_to_wait(campaigns: Iterable[CampaignConfig], ledger: Ledger, clock: Clock) -> int:
    """Return in how many seconds all campaigns may be rechecked; 0 if they may be now.

    Any recheck counts: a push is as likely to tell of what that one has seen. What it has not seen waits, but is kept.
    """
    last = [recheck for campaign in campaigns if (recheck := ledger.last_recheck(campaign.slug))]
    waits = [MIN_GAP_SECONDS - (clock.now() - recheck.at).total_seconds() for recheck in last]
    return max(math.ceil(max(waits, default=0)), 0)


def _put_off(messages: Iterable[Message], delays: Mapping[str, int]) -> None:
    for message in messages:
        if seconds := delays.get(message.account):
            try:
                put_off(message, seconds)
            except QueueError as error:
                logger.warning("push.not_put_off", extra={"error": str(error)})
