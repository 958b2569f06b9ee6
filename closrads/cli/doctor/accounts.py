"""The checks of an ad account: rights, access tier and audience controls."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from closrads.cli.doctor.findings import Finding, failed, ok, summarize_names, warning
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.settings import CampaignConfig
from closrads.domain.targeting import control_conflicts
from closrads.domain.tiers import KnownTier
from closrads.errors import LedgerError, MetaError, MetaInvalidError
from closrads.facebook_client import get_active_adsets
from closrads.meta.campaigns import read_audience_controls
from closrads.meta.error_codes import TOKEN_DEAD
from closrads.meta.graph import GraphApi, has_id
from closrads.meta.rate_limit import LARGEST, SMALLEST
from closrads.redaction import one_line
from closrads.rollout.budget import adsets_per_window, points_needed
from closrads.state_mapper import REGION_FILE

TASKS = frozenset({"ADVERTISE", "MANAGE"})
"""Tasks that each allow the token's owner to change ad sets (Marketing API reference "Ad Account")."""
ACTIVE_ACCOUNT = 1
TIER_NAMES: Mapping[int, str] = {SMALLEST: "Limited", LARGEST: "Full"}
"""Meta's names of the access tiers, by points in five minutes."""


def check_account(account: str, slugs: Sequence[str], api: GraphApi) -> Iterator[Finding]:
    """Check whether the token's owner may change ads in the ad account of the campaigns `slugs`."""
    name = f"ad account {account}"
    try:
        found = api.get_once(account, {"fields": "id,name,account_status,user_tasks"}, has_id)
    except MetaInvalidError as error:
        if not error.is_missing:
            raise
        names = summarize_names([f"campaigns/{slug}/fb_ad_account_id" for slug in slugs])
        remedy = f"correct {names}, or assign the ad account to the token's system user in Business Settings"
        yield failed(name, str(error), remedy)
        return
    tasks, title = found.get("user_tasks"), one_line(str(found.get("name")))
    if not isinstance(tasks, list):
        yield warning(
            name, f"{title}: Meta does not say what the token may do", "look at the system user's assets by hand"
        )
    elif TASKS.isdisjoint(tasks):
        may = one_line(", ".join(map(str, tasks))) or "nothing"
        remedy = "in Business Settings, System users, assign the ad account with “Manage campaigns”"
        yield failed(name, f"{title}: the token may not change ads (it may: {may})", remedy)
    else:
        yield ok(name, f"{title}: the token may change its ads")
    if (status := found.get("account_status")) != ACTIVE_ACCOUNT:
        yield warning(name, f"Meta says it is not active (status {status})", "look at it in Ads Manager, Billing")


def check_tier(
    account: str, campaigns: Sequence[CampaignConfig], api: GraphApi, recall: Callable[[], KnownTier | None]
) -> Iterator[Finding]:
    """Check the access tier of an ad account against its largest ad set."""
    name = f"access tier {account}"
    api.quota.max_wait_seconds = 0  # no retries
    adsets: list[AdSetSnapshot] = []
    unanswered = None
    for campaign_id in (each for campaign in campaigns for each in campaign.fb_campaign_ids):
        try:
            adsets += get_active_adsets(api, campaign_id)
        except MetaError as error:  # the check of the Meta campaign reports it
            if error.code == TOKEN_DEAD:
                raise
            if error.code is None:
                unanswered = error
    recalled = None
    if api.quota.limit is None:
        with suppress(LedgerError):  # the check of the ledger reports it
            recalled = recall()
    points = recalled.points if recalled else api.quota.limit
    if points is None and unanswered and not adsets:
        yield warning(name, f"not checked: {unanswered}", "see what is said of the ad account and its Meta campaigns")
        return
    if points is None:
        said = (
            f"not known yet: Meta's answers do not state it; runs begin with {SMALLEST} points in five minutes, "
            "and determine it at the first changes that need more"
        )
    else:
        said = f"{TIER_NAMES[points]}: {points:,} points in five minutes"
        said += f", as a run has determined on {recalled.proven_at:%Y-%m-%d}" if recalled else ""
    largest = max(adsets, key=lambda adset: len(adset.active_ads), default=None)
    if largest is None:
        yield ok(name, said)
        return
    count, needed = adsets_per_window(points or SMALLEST, largest), points_needed([largest])
    said += f"; for ad sets of {len(largest.active_ads)} ads, the most there are, that is {count} changed in this time"
    if count or points is None:
        yield ok(name, said)
    else:
        said += f": one takes {needed} points with its rollback, so runs leave it alone"
        yield warning(name, said, "ask Meta for full access, or give it fewer ads")


def check_audience_controls(account: str, api: GraphApi) -> Iterator[Finding]:
    """Check whether the audience controls of an ad account forbid any state."""
    name = f"audience controls {account}"
    try:
        controls = read_audience_controls(api)
    except MetaError as error:
        if error.code == TOKEN_DEAD:
            raise
        yield warning(name, f"not checked: {error}", "look at the audience controls in Ads Manager by hand")
        return
    regions = json.loads(REGION_FILE.read_text(encoding="utf-8")).values()
    conflicts = control_conflicts(controls, [region["key"] for region in regions])
    for said in conflicts:
        yield warning(name, said, "if there is demand there, have the audience controls changed")
    if not conflicts:
        yield ok(name, "allow all states")
