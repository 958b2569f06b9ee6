"""The geographical rules of Meta's `targeting` object, from its targeting references."""

import json
from collections.abc import Iterable
from typing import Any

from sandbox.meta import faults
from sandbox.meta.faults import Refused
from sandbox.meta.model import AdSet
from sandbox.meta.regions import KEY_BY_STATE, NAME_BY_KEY, region

MAX_REGIONS = 200
LOCATION_TYPES = {"home", "recent"}
RESTRICTED_CATEGORIES = {"HOUSING", "EMPLOYMENT", "FINANCIAL_PRODUCTS_SERVICES", "CREDIT"}
"""CREDIT is the name of FINANCIAL_PRODUCTS_SERVICES until 2025 ("Special Ad Categories")."""
ADVANTAGE_MIN_AGE, ADVANTAGE_MAX_AGE = 25, 65

# Locations smaller than a region, which overlap with the region around them.
_SMALLER = (
    "cities", "zips", "places", "custom_locations", "geo_markets", "electoral_districts", "political_districts",
    "location_cluster_ids", "metro_areas", "subcities", "neighborhoods", "subneighborhoods", "large_geo_areas",
    "medium_geo_areas", "small_geo_areas",
)  # fmt: skip
_LARGER = ("countries", "country_groups")
_FORBIDDEN_WITH_CATEGORY = (
    "zips", "subcities", "neighborhoods", "metro_areas", "small_geo_areas", "subneighborhoods", "electoral_districts",
)  # fmt: skip


def codes(states: str | Iterable[str]) -> list[str]:
    """Return state codes from a string such as "FL GA" or from any iterable."""
    return states.split() if isinstance(states, str) else list(states)


def realistic(states: str | Iterable[str], *, reaches_beyond: bool = False) -> dict[str, Any]:
    """Return the raw targeting of a US lead-form ad set, including the keys that a careless client loses.

    If it `reaches_beyond` its states, Meta may show the ads to people in the rest of the country who take an interest
    in them (Marketing API "Advanced Targeting", "Reach people interested in selected cities and regions").
    """
    individual = {"age": 1, "gender": 1} | ({"geo": 1} if reaches_beyond else {})
    return normalised(
        {
            "age_max": 65,
            "age_min": 18,
            "age_range": [30, 65],
            "brand_safety_content_filter_levels": ["FACEBOOK_STANDARD"],
            "effective_facebook_positions": ["feed", "marketplace"],
            "effective_publisher_platforms": ["facebook", "instagram"],
            "excluded_custom_audiences": [],
            "facebook_positions": ["feed", "marketplace"],
            "geo_locations": {
                "location_types": ["home", "recent"],
                "regions": [{"key": KEY_BY_STATE[state]} for state in codes(states)],
            },
            "publisher_platforms": ["facebook", "instagram"],
            "targeting_automation": {"advantage_audience": 1, "individual_setting": individual},
            "user_age_unknown": None,
        }
    )


def region_keys(targeting: dict[str, Any]) -> set[str]:
    """Return the keys of the included regions."""
    return {str(each["key"]) for each in targeting.get("geo_locations", {}).get("regions", [])}


def normalised(targeting: dict[str, Any]) -> dict[str, Any]:
    """Return the targeting as Meta returns it: regions with name and country, sorted by name as in Ads Manager.

    Everything except the regions is shared with the original.
    """
    result = dict(targeting)
    for name in ("geo_locations", "excluded_geo_locations"):
        geo = result.get(name)
        if geo and "regions" in geo:
            keys = {str(each["key"]) for each in geo["regions"]}
            result[name] = geo | {"regions": [region(key) for key in sorted(keys, key=NAME_BY_KEY.__getitem__)]}
    if "messenger_positions" in result:  # Meta silently drops this placement since v26.0
        result["messenger_positions"] = [each for each in result["messenger_positions"] if each != "story"]
    return result


def accepted(adset: AdSet, text: str) -> dict[str, Any]:
    """Return the targeting that results from a write of `text`, or raise `Refused`."""
    try:
        targeting = json.loads(text)
    except ValueError:
        targeting = None
    if not isinstance(targeting, dict):
        raise _refusal("param targeting must be a JSON object")
    _check_form(targeting)
    _check_overlap(targeting)
    _check_categories(targeting, adset.campaign.special_ad_categories)
    _check_controls(targeting, (adset.account.controls or {}).get("audience_controls") or {})
    _check_rest(targeting)
    computed = {key: value for key, value in adset.targeting.items() if key.startswith("effective_")}
    return normalised(targeting | computed)


def _refusal(message: str, subcode: int | None = None) -> Refused:
    return Refused(
        faults.error(
            100,
            subcode,
            f"Invalid parameter: {message}",
            transient=False,
            data='{"blame_field":"targeting"}' if subcode else {"blame_field_specs": [["targeting"]]},
            user_title="Targeting can't be used",
            user_message=message,
        )
    )


def _check_form(targeting: dict[str, Any]) -> None:
    geo, excluded = (targeting.get(name) or {} for name in ("geo_locations", "excluded_geo_locations"))
    if not isinstance(geo, dict) or not isinstance(excluded, dict):
        raise _refusal("geo_locations and excluded_geo_locations must be objects")
    # With a custom audience, no location is needed. That an empty list of them is not the same is our own assumption.
    may_have_none = bool(targeting.get("custom_audiences")) and "regions" not in geo
    if not any(geo.get(kind) for kind in (*_LARGER, "regions", *_SMALLER)) and not may_have_none:
        raise _refusal("at least one location is needed", 1487851)
    for part in (geo, excluded):
        regions = part.get("regions", [])
        if len(regions) > MAX_REGIONS:
            raise _refusal(f"more than {MAX_REGIONS} regions")
        if not all(isinstance(each, dict) and str(each.get("key")) in NAME_BY_KEY for each in regions):
            raise _refusal("a region key is unknown")
    if "location_types" in geo and set(geo["location_types"]) != LOCATION_TYPES:
        raise _refusal("location_types can only be home and recent", 1870199)


def _check_overlap(targeting: dict[str, Any]) -> None:
    geo = targeting.get("geo_locations") or {}
    excluded = targeting.get("excluded_geo_locations") or {}
    regions = region_keys(targeting)
    if not regions:
        return
    larger = geo.get("country_groups") or "US" in geo.get("countries", [])
    smaller = any(_inside(each, regions) for kind in _SMALLER for each in geo.get(kind, []))
    contradiction = (
        "US" in excluded.get("countries", [])
        or excluded.get("country_groups")
        or regions & {str(each["key"]) for each in excluded.get("regions", [])}
    )
    if larger or smaller or contradiction:
        raise _refusal("Locations overlap, remove one.", 1487756)


def _inside(location: Any, regions: set[str]) -> bool:
    """Return whether a location is in one of the regions; one within an unspecified state of the US is."""
    if not isinstance(location, dict):
        return True
    key = str(location.get("key", ""))
    country = location.get("country", key.partition(":")[0] if ":" in key else "US")
    if country not in {"US", "COMSCORE_MARKET", "DMA"}:
        return False
    return str(location.get("region_id", "")) in regions | {""}


def _check_categories(targeting: dict[str, Any], categories: Iterable[str]) -> None:
    if RESTRICTED_CATEGORIES.isdisjoint(categories):
        return
    if any((targeting.get("excluded_geo_locations") or {}).values()):
        raise _refusal("the special ad category does not allow to exclude locations")
    if any((targeting.get("geo_locations") or {}).get(kind) for kind in _FORBIDDEN_WITH_CATEGORY):
        raise _refusal("the special ad category does not allow locations this small")


def _check_controls(targeting: dict[str, Any], controls: dict[str, Any]) -> None:
    """Refuse regions that the account's audience controls forbid (Marketing API reference "Account Controls").

    Unconfirmed: that Meta refuses them instead of delivering in the overlap only, and with which code.
    """
    regions = region_keys(targeting)
    excluded = region_keys({"geo_locations": controls.get("excluded_geo_locations") or {}})
    allowed = controls.get("geo_locations") or {}
    only = region_keys(controls) if allowed and "US" not in allowed.get("countries", []) else regions
    if regions & excluded or regions - only:
        raise _refusal("the audience controls of the ad account do not allow these locations")


def _check_rest(targeting: dict[str, Any]) -> None:
    computed = [key for key in targeting if key.startswith("effective_")]
    if computed:
        # Unconfirmed: that Meta refuses these.
        raise _refusal(f"{computed[0]} is computed and cannot be written")
    if "connections" in targeting:
        raise _refusal("connections are no longer available", 1870088)
    if "explore" in (targeting.get("instagram_positions") or []):
        raise _refusal("the placement explore is no longer available")
    if "video_feeds" in (targeting.get("facebook_positions") or []):
        raise _refusal("the placement video_feeds is no longer available")
    if (targeting.get("targeting_automation") or {}).get("advantage_audience") == 1 and (
        targeting.get("age_max", ADVANTAGE_MAX_AGE) < ADVANTAGE_MAX_AGE
        or targeting.get("age_min", 0) > ADVANTAGE_MIN_AGE
    ):
        raise _refusal("the age limits do not go with the Advantage+ audience", 1870189)
