"""The checks of Meta that a stage needs: each token, ad account and Meta campaign once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from closrads.cli.doctor.accounts import check_account, check_audience_controls, check_tier
from closrads.cli.doctor.findings import Check, check_returning, not_checked, summarize_names, warning
from closrads.cli.doctor.graph_api import check_regions, check_version
from closrads.cli.doctor.meta_campaigns import check_meta_campaigns, check_opt_outs
from closrads.cli.doctor.parameters import MISSING, ParameterState
from closrads.cli.doctor.tokens import check_token
from closrads.cli.environment import StageLocation
from closrads.clock import Clock
from closrads.domain.settings import CampaignConfig, Settings
from closrads.domain.tiers import KnownTier
from closrads.facebook_client import init_api
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.meta.graph import GraphApi
from closrads.redaction import Secret

SHARED_TOKEN = "meta/access_token"  # noqa: S105 - the name of a parameter
GRAPH_URL = "CLOSRADS_GRAPH_URL"


def api_for(campaign: CampaignConfig, settings: Settings, clock: Clock) -> GraphApi:
    """Return an API object for a campaign's ad account."""
    return init_api(
        campaign.fb_access_token,
        campaign.fb_ad_account_id,
        app_secret=settings.app_secret,
        graph_url=settings.graph_url,
        clock=clock,
    )


def checks_of_meta(place: StageLocation, settings: Settings, state: ParameterState, clock: Clock) -> Iterator[Check]:
    """Yield the checks of what the enabled campaigns use at Meta."""
    by_token: dict[Secret, list[CampaignConfig]] = {}
    by_account: dict[tuple[Secret, str], list[CampaignConfig]] = {}
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        if campaign.fb_access_token.reveal() == MISSING:
            yield not_checked(f"Meta: {campaign.slug}", "meta/…")
            continue
        by_token.setdefault(campaign.fb_access_token, []).append(campaign)
        by_account.setdefault((campaign.fb_access_token, campaign.fb_ad_account_id), []).append(campaign)
    yield from _checks_of_tokens(by_token, settings, state, clock)
    for (_, account), campaigns in by_account.items():
        api = api_for(campaigns[0], settings, clock)
        yield Check(f"ad account {account}", partial(check_account, account, [each.slug for each in campaigns], api))
        recall = partial(_known_tier, account, place, clock)
        tier_api = api_for(campaigns[0], settings, clock)
        yield Check(f"access tier {account}", partial(check_tier, account, campaigns, tier_api, recall))
        yield Check(f"audience controls {account}", partial(check_audience_controls, account, api))
        for campaign in (each for each in campaigns if each.skip_adsets):
            yield Check(f"ad sets left alone: {campaign.slug}", partial(check_opt_outs, campaign, api))
        yield Check(f"Meta campaigns of {account}", partial(check_meta_campaigns, account, campaigns, api))
    for campaign, *_ in list(by_token.values())[:1]:
        api = api_for(campaign, settings, clock)
        yield Check("regions", partial(check_regions, api))
        yield Check("Graph API", partial(check_version, campaign.fb_ad_account_id, api, clock.now().date()))


def _checks_of_tokens(
    by_token: Mapping[Secret, Sequence[CampaignConfig]], settings: Settings, state: ParameterState, clock: Clock
) -> Iterator[Check]:
    """Yield a check of each token, named by the parameters that hold it, including an unused shared one."""
    shared = state.values.get(SHARED_TOKEN, "").strip()
    users = [(token, campaign) for token, campaigns in by_token.items() for campaign in campaigns]
    holders: dict[Secret, list[str]] = {Secret(shared): [SHARED_TOKEN]} if shared and users else {}
    is_used = False
    for token, campaign in users:
        own = f"campaigns/{campaign.slug}/fb_access_token"
        if state.values.get(own, "").strip():
            holders.setdefault(token, []).append(own)
        else:
            is_used = True
    for token, parameters in holders.items():
        name = f"token {summarize_names(parameters)}"
        api = api_for(replace(users[0][1], fb_access_token=token), settings, clock)
        yield Check(name, partial(check_token, name, token, api, clock.now()))
    if shared and users and not is_used:
        said = "is used by no campaign: each has an fb_access_token of its own"
        remedy = "put a new token into each of those, or delete them: aws ssm delete-parameter"
        yield check_returning(warning(SHARED_TOKEN, said, remedy))


def _known_tier(account: str, place: StageLocation, clock: Clock) -> KnownTier | None:
    return Ledger(Table(place.table, clock)).known_tier(account) if place.table else None
