"""Named days in the life of the business, for `Sandbox.load`.

Every scenario starts from the same three campaigns: Veterans and Truckers in one ad account, Mortgage with two Meta
campaigns in another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sandbox import closrtech
from sandbox.aws import AwsWorld
from sandbox.closrtech import ClosrtechWorld
from sandbox.meta import MISSING_LEAD_FORM, AdSet, Breakage, MetaWorld, faults, targeting

SENDER = "reports@example.test"
RECIPIENTS = ("owner@example.test", "media-buyer@example.test")


class Worlds(Protocol):
    """The fakes in which a scenario is built."""

    meta: MetaWorld
    closrtech: ClosrtechWorld
    aws: AwsWorld


@dataclass(frozen=True)
class _Feed:
    """One campaign of the business."""

    slug: str
    name: str
    code: str
    account: str
    demand: dict[str, int]
    meta_campaigns: dict[str, dict[str, tuple[str, ...]]]
    """Names of ads by Meta campaign and ad set."""


def _demand(text: str) -> dict[str, int]:
    return {state: int(number) for state, number in (pair.split(":") for pair in text.split())}


def _wanted(demand: dict[str, int]) -> list[str]:
    return [state for state, leads in demand.items() if leads > 0]


_FEEDS = (
    _Feed(
        "veterans",
        "Veterans",
        "VND_VETERAN_LEADS",
        "act_111",
        _demand(
            "AL:14 AZ:22 AR:9 CA:41 CO:18 FL:55 GA:37 ID:6 IL:20 IN:12 KS:8 KY:11 LA:10 MI:19 MO:13 MS:7 NC:34 NM:5 "
            "NV:9 OH:26 OK:12 OR:10 PA:24 SC:17 TN:21 TX:60 UT:8 VA:33 WA:16 WI:11 AK:0 HI:0"
        ),
        {
            "Veterans | Leads | US": {
                "Broad 30+": ("Video - Earned It", "Static - Porch Flag", "Carousel - Three Steps"),
                "Lookalike - Closed Leads": ("Video - Earned It", "Static - Handshake"),
                "Spouses and Family": ("Video - For Both of You", "Static - Kitchen Table", "Static - Porch Flag"),
            }
        },
    ),
    _Feed(
        "truckers",
        "Truckers",
        "VND_TRUCKER_LEADS",
        "act_111",
        _demand("AL:8 AR:6 FL:19 GA:23 IL:17 IN:15 KY:9 MO:10 NC:14 OH:21 PA:12 TN:18 TX:44 CA:0 NY:0"),
        {
            "Truckers | Leads | US": {
                "Owner Operators": ("Video - Home by Friday", "Static - Sunrise Rig", "Static - Fuel Card"),
                "Company Drivers": ("Video - Home by Friday", "Carousel - Pay Per Mile"),
            }
        },
    ),
    _Feed(
        "mortgage",
        "Mortgage",
        "VND_MORTGAGE_LEADS",
        "act_222",
        _demand(
            "AZ:31 CA:72 CO:26 CT:8 DC:4 DE:5 FL:66 GA:29 MD:15 MI:18 MN:12 NC:22 NJ:20 NV:13 OH:19 OR:14 PA:23 SC:11 "
            "TN:17 TX:58 VA:25 WA:27 NY:0 MA:0"
        ),
        {
            "Mortgage | Refinance": {
                "Refi - Homeowners 35+": ("Video - Lower It", "Static - Calculator", "Static - Keys"),
                "Refi - Lookalike": ("Video - Lower It", "Carousel - Before and After"),
            },
            "Mortgage | First Home": {
                "First Home - Renters": (
                    "Video - Stop Renting",
                    "Static - Front Door",
                    "Static - Keys",
                    "Carousel - Five Myths",
                ),
            },
        },
    ),
)


def quiet_day(sandbox: Worlds) -> None:
    """Change nothing: every ad set already has the states that are wanted."""
    parameters: dict[str, str | tuple[str, ...]] = {
        "closrtech/base_url": sandbox.closrtech.url,
        "closrtech/email": sandbox.closrtech.email,
        "closrtech/password": sandbox.closrtech.password,
        "meta/access_token": sandbox.meta.token,
        "email/sender": SENDER,
        "email/recipients": RECIPIENTS,
        "limits/verify_wait_seconds": "0.5",
    }
    sandbox.aws.verify_sender(SENDER)
    for number, feed in enumerate(_FEEDS, start=1):
        sandbox.closrtech.demand[feed.code] = dict(feed.demand)
        ids = []
        for part, (name, adsets) in enumerate(feed.meta_campaigns.items(), start=1):
            ids.append(sandbox.meta.add_campaign(_campaign_id(number, part), feed.account, name))
            for adset_name, ad_names in adsets.items():
                adset = sandbox.meta.add_adset(ids[-1], adset_name, _wanted(feed.demand), ads=0)
                for ad_name in ad_names:
                    sandbox.meta.add_ad(adset, ad_name)
        parameters |= {
            f"campaigns/{feed.slug}/name": feed.name,
            f"campaigns/{feed.slug}/closrtech_campaign": feed.code,
            f"campaigns/{feed.slug}/fb_ad_account_id": feed.account,
            f"campaigns/{feed.slug}/fb_campaign_ids": tuple(ids),
        }
    sandbox.aws.put_parameters(parameters)


def _campaign_id(number: int, part: int) -> str:
    return f"12021000000000{number}{part}00"


def legacy_env(sandbox: Worlds) -> str:
    """Return the `.env` of the previous system for the same business."""
    lines = [
        "# Of the sandbox: nothing in here is real.",
        f"CLOSRTECH_BASE_URL={sandbox.closrtech.url}",
        f"CLOSRTECH_EMAIL={sandbox.closrtech.email}",
        f"CLOSRTECH_PASSWORD={sandbox.closrtech.password}",
        f"SENDER_EMAIL={SENDER}",
        f"NOTIFY_EMAIL={','.join(RECIPIENTS)}",
    ]
    for number, feed in enumerate(_FEEDS, start=1):
        ids = [_campaign_id(number, part) for part in range(1, len(feed.meta_campaigns) + 1)]
        prefix = feed.slug.upper()
        lines += [
            "",
            f"{prefix}_CLOSRTECH_CAMPAIGN={feed.code}",
            f"{prefix}_FB_ACCESS_TOKEN={sandbox.meta.token}",
            f"{prefix}_FB_AD_ACCOUNT_ID={feed.account}",
            f"{prefix}_FB_CAMPAIGN_ID{'S' if ids[1:] else ''}={','.join(ids)}",
        ]
    return "\n".join([*lines, "", "DRY_RUN=false", ""])


def change_day(sandbox: Worlds) -> None:
    """Move demand overnight: most ad sets gain and lose a few states, one is right already."""
    quiet_day(sandbox)
    _move(sandbox, "VND_VETERAN_LEADS", add="NE:7 NY:28 WV:5", remove="AR CA KS")
    _move(sandbox, "VND_TRUCKER_LEADS", add="SC:9 MS:6", remove="PA")
    _move(sandbox, "VND_MORTGAGE_LEADS", add="UT:9 IL:16", remove="CT MN")
    wanted = _wanted(sandbox.closrtech.demand["VND_MORTGAGE_LEADS"])
    _adset(sandbox, "Refi - Lookalike").targeting = targeting.realistic(wanted)


def _move(sandbox: Worlds, code: str, *, add: str, remove: str) -> None:
    demand = sandbox.closrtech.demand[code]
    demand |= dict.fromkeys(remove.split(), 0) | _demand(add)


def _adset(sandbox: Worlds, name: str) -> AdSet:
    return next(adset for adset in sandbox.meta.adsets.values() if adset.name == name)


def pre_broken_ad(sandbox: Worlds) -> None:
    """Move demand, and find one ad that lost its lead form before the run."""
    change_day(sandbox)
    _adset(sandbox, "Owner Operators").ads[1].issues.append(dict(MISSING_LEAD_FORM))


def breaks_after_update(sandbox: Worlds) -> None:
    """Move demand, and break one ad right after its ad set was changed, re-published or not."""
    change_day(sandbox)
    _adset(sandbox, "Lookalike - Closed Leads").ads[0].breakage = Breakage.stubborn()


def trouble(sandbox: Worlds) -> None:
    """Move demand, find one ad broken before the run, and break another right after its ad set was changed."""
    breaks_after_update(sandbox)
    _adset(sandbox, "Owner Operators").ads[1].issues.append(dict(MISSING_LEAD_FORM))


def breaks_late(sandbox: Worlds) -> None:
    """Move demand, and break one ad ten minutes after its ad set was changed, when all checks are over."""
    change_day(sandbox)
    _adset(sandbox, "First Home - Renters").ads[2].breakage = Breakage.late(600)


def all_zeros(sandbox: Worlds) -> None:
    """Move demand, and send nothing but zeros for Truckers: a fault of the feed, not an instruction."""
    change_day(sandbox)
    demand = sandbox.closrtech.demand["VND_TRUCKER_LEADS"]
    demand |= dict.fromkeys(demand, 0)


def dead_token(sandbox: Worlds) -> None:
    """Move demand, and reject the access token."""
    change_day(sandbox)
    sandbox.meta.dead_tokens[sandbox.meta.token] = faults.PASSWORD_CHANGED


def throttled(sandbox: Worlds) -> None:
    """Move demand, and leave the first ad account too little quota for all of its ad sets."""
    change_day(sandbox)
    sandbox.meta.add_account("act_111", "limited")
    sandbox.meta.spend("act_111", 15)


def contradictory_targeting(sandbox: Worlds) -> None:
    """Move demand, and give two ad sets locations that states cannot be added to."""
    change_day(sandbox)
    country = _adset(sandbox, "Spouses and Family")
    country.targeting["geo_locations"] = {"countries": ["US"], "location_types": ["home", "recent"]}
    excluding = _adset(sandbox, "Company Drivers")
    excluding.targeting["excluded_geo_locations"] = {"regions": [{"key": "3886", "name": "Texas", "country": "US"}]}


def closrtech_down(sandbox: Worlds) -> None:
    """Move demand, and keep the partner's server down."""
    change_day(sandbox)
    sandbox.closrtech.misbehave(closrtech.DOWN)


SCENARIOS: dict[str, Callable[[Worlds], None]] = {
    "quiet day": quiet_day,
    "change day": change_day,
    "pre-broken ad": pre_broken_ad,
    "breaks after update": breaks_after_update,
    "breaks late": breaks_late,
    "trouble": trouble,
    "all zeros": all_zeros,
    "dead token": dead_token,
    "throttled": throttled,
    "contradictory targeting": contradictory_targeting,
    "closrtech down": closrtech_down,
}
"""Scenarios by name; the first sentence of each docstring is shown to users."""
