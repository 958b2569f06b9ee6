"""The rights that a live run would lack: a dry run only reads, so it succeeds even with a read-only token."""

from collections.abc import Iterator, Sequence
from functools import partial

from closrads.cli.doctor.accounts import check_account
from closrads.cli.doctor.findings import Check, Finding, Verdict, run_check
from closrads.cli.doctor.meta import api_for
from closrads.cli.doctor.tokens import check_permissions
from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.settings import CampaignConfig, Settings
from closrads.redaction import Secret

MAX_CONCURRENT_CHECKS = 10


def missing_rights(campaigns: Sequence[CampaignConfig], settings: Settings, clock: Clock) -> list[Finding]:
    """Return the reasons why these campaigns' tokens may not change ads, as far as Meta says."""
    found = map_concurrently(run_check, list(_checks(campaigns, settings, clock)), MAX_CONCURRENT_CHECKS)
    return [finding for findings in found for finding in findings if finding.verdict is Verdict.FAILED]


def _checks(campaigns: Sequence[CampaignConfig], settings: Settings, clock: Clock) -> Iterator[Check]:
    by_token: dict[Secret, list[str]] = {}
    by_account: dict[tuple[Secret, str], list[CampaignConfig]] = {}
    for campaign in campaigns:
        by_token.setdefault(campaign.fb_access_token, []).append(campaign.slug)
        by_account.setdefault((campaign.fb_access_token, campaign.fb_ad_account_id), []).append(campaign)
    one_of = {campaign.fb_access_token: campaign for campaign in campaigns}
    for token, slugs in by_token.items():
        name = f"token of {', '.join(slugs)}"
        yield Check(name, partial(check_permissions, name, token, api_for(one_of[token], settings, clock)))
    for (_, account), users in by_account.items():
        slugs = [campaign.slug for campaign in users]
        run = partial(check_account, account, slugs, api_for(users[0], settings, clock))
        yield Check(f"ad account {account}", run)
