"""The checks of Meta campaigns and of their ad sets."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from closrads.cli.doctor.findings import Check, Finding, error_finding, failed, ok, warning
from closrads.domain.adsets import GONE_STATUSES
from closrads.domain.opt_out import matching_pattern, unmatched_patterns
from closrads.domain.settings import CampaignConfig
from closrads.domain.targeting import RESTRICTED_CATEGORIES
from closrads.errors import MetaError, MetaInvalidError
from closrads.facebook_client import ADSETS_PER_PAGE
from closrads.meta.campaigns import identify
from closrads.meta.error_codes import TOKEN_DEAD, JsonObject
from closrads.meta.graph import GraphApi, Operation, has_id
from closrads.redaction import one_line


def check_meta_campaigns(account: str, campaigns: Sequence[CampaignConfig], api: GraphApi) -> Iterator[Finding]:
    """Check the Meta campaigns of an ad account, in one batch."""
    owners = {meta_id: campaign.slug for campaign in campaigns for meta_id in campaign.fb_campaign_ids}
    # Only campaigns have an objective, so Meta refuses the id of an ad set or an ad.
    query = {"fields": "id,name,account_id,effective_status,objective,special_ad_categories"}
    answers = api.batch([Operation("GET", meta_id, query, has_id) for meta_id in owners], reserve=math.inf)
    for (meta_id, slug), answer in zip(owners.items(), answers, strict=True):
        name = f"Meta campaign {meta_id}"
        parameter = f"campaigns/{slug}/fb_campaign_ids"
        if isinstance(answer, MetaError):
            if answer.code == TOKEN_DEAD:
                raise answer
            if not isinstance(answer, MetaInvalidError):
                yield replace(error_finding(Check(name, partial(iter, ())), answer), said=f"of {slug}: {answer}")
                continue
            said = identify(api, meta_id) or str(answer)
            yield failed(name, f"of {slug}: {said}", f"correct {parameter}, or let the token's owner see it")
            continue
        title, status = one_line(str(answer.get("name"))), one_line(str(answer.get("effective_status")))
        if f"act_{answer.get('account_id')}" != account:
            said = f"of {slug}: “{title}” belongs to act_{answer.get('account_id')}, not to {account}"
            yield failed(name, one_line(said), f"correct {parameter} or campaigns/{slug}/fb_ad_account_id")
        elif status in GONE_STATUSES:
            yield failed(name, f"of {slug}: “{title}” is {status.lower()}", f"take it out of {parameter}")
        elif status == "ACTIVE" and (restricted := _restricted_categories(answer)):
            yield warning(
                name,
                f"of {slug}: “{title}” is in a special ad category ({', '.join(restricted)})",
                "runs leave alone its ad sets with excluded locations, which Meta does not allow there",
            )
        elif status == "ACTIVE":
            yield ok(name, f"of {slug}: “{title}”")
        else:
            yield warning(
                name,
                f"of {slug}: “{title}” is {status.lower()}",
                "its ad sets are not active, so runs leave them alone",
            )


def _restricted_categories(campaign: JsonObject) -> list[str]:
    categories = campaign.get("special_ad_categories")
    return (
        [each for each in map(str, categories) if each in RESTRICTED_CATEGORIES] if isinstance(categories, list) else []
    )


def check_opt_outs(campaign: CampaignConfig, api: GraphApi) -> Iterator[Finding]:
    """Check that each pattern of `skip_adsets` matches an ad set, on or off, and that not all ad sets are matched."""
    name = f"ad sets left alone: {campaign.slug}"
    parameter = f"campaigns/{campaign.slug}/skip_adsets"
    names: list[str] = []
    for meta_id in campaign.fb_campaign_ids:
        names += (str(row.get("name")) for row in api.get_all(f"{meta_id}/adsets", {"fields": "name"}, ADSETS_PER_PAGE))
    alone = [each for each in names if matching_pattern([each], campaign.skip_adsets)]
    said = one_line(f"{len(alone)} of {len(names)}: {', '.join(alone) or 'none'}")
    if unmatched := unmatched_patterns(campaign.skip_adsets, [names]):
        which = one_line(", ".join(f"“{pattern}”" for pattern in unmatched))
        yield warning(name, f"{said}; no ad set matches {which}", f"correct it in {parameter}, or take it out")
    elif len(alone) == len(names):
        yield warning(name, f"{said}, so nothing follows the demand", f"change {parameter}, or switch the campaign off")
    else:
        yield ok(name, said)
