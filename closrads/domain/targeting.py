"""PURE: reading and changing Meta's raw `targeting` object (Marketing API, "Basic Targeting")."""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from closrads.state_mapper import Region, fb_region_to_usps, is_region_name, is_state

Targeting = Mapping[str, Any]
RESTRICTED_CATEGORIES = frozenset({"HOUSING", "EMPLOYMENT", "FINANCIAL_PRODUCTS_SERVICES", "CREDIT"})
"""Special ad categories that do not allow excluded locations (Marketing API "Special Ad Categories")."""
_DESCRIPTIONS = {
    "countries": "takes in the whole country",
    "country_groups": "takes in a group of countries",
    "cities": "names cities",
    "zips": "names zip codes",
    "places": "names places",
    "custom_locations": "names addresses or pins",
    "geo_markets": "names markets",
}


def regions_of(targeting: Targeting) -> list[Any]:
    """Return the entries of the targeted regions, each unmodified."""
    return _entries(targeting, "geo_locations", "regions")


def region_keys(targeting: Targeting) -> frozenset[str]:
    """Return the keys of all targeted regions."""
    return _keys(regions_of(targeting))


def regions_besides(targeting: Targeting, keys: Collection[str]) -> tuple[Any, ...]:
    """Return the entries of the targeted regions whose keys are not among `keys`, each unmodified."""
    return tuple(entry for entry in regions_of(targeting) if not _keys([entry]) <= set(keys))


def states(keys: Collection[str]) -> tuple[str, ...]:
    """Return the sorted USPS codes of region keys."""
    return tuple(sorted(map(fb_region_to_usps, keys)))


def signed(added: Iterable[str], removed: Iterable[str]) -> str:
    """Return a change of states as `+FL −TX`."""
    return " ".join([*(f"+{code}" for code in added), *(f"−{code}" for code in removed)])


def misnamed_regions(targeting: Targeting) -> tuple[str, ...]:
    """Return a message for each targeted region whose name at Meta contradicts our table.

    Such a region's key does not mean what we assume. An entry without a name is not checked.
    """
    return tuple(
        f"Meta shows region {region['key']}, which should be {states({str(region['key'])})[0]}, as “{region['name']}”"
        for region in regions_of(targeting)
        if isinstance(region, Mapping)
        and region.get("name")
        and not is_region_name(str(region.get("key")), str(region["name"]))
    )


def geo_conflicts(targeting: Targeting, wanted: Collection[str]) -> tuple[str, ...]:
    """Return why the regions of this targeting cannot be replaced by `wanted`, and what to change by hand.

    Meta refuses a country together with one of its regions (100/1487756), and a city or zip code together with its
    region; a person has added these deliberately. Locations outside the US do not conflict. An unknown kind of location
    counts as a conflict.
    """
    unreadable = unreadable_locations(targeting)
    return (*unreadable, *_inclusion_conflicts(targeting), *_exclusion_conflicts(targeting, wanted))


def unreadable_locations(targeting: Targeting) -> tuple[str, ...]:
    """Return a message for each group of locations in a form that no regions can be set in."""
    return tuple(
        f"Its {group} cannot be read: look at its locations in Ads Manager"
        for group in ("geo_locations", "excluded_geo_locations")
        if not isinstance(targeting.get(group) or {}, Mapping)
    )


def _inclusion_conflicts(targeting: Targeting) -> Iterator[str]:
    for kind in sorted(_group(targeting, "geo_locations")):
        entries = _entries(targeting, "geo_locations", kind)
        if kind == "location_types":
            continue
        if kind == "regions":
            foreign = [entry for entry in entries if _is_abroad(entry) or not _is_us_state(entry)]
            if foreign:
                names = ", ".join(
                    str(entry.get("name") or entry.get("key") if isinstance(entry, Mapping) else entry)
                    for entry in foreign
                )
                yield f"Its targeting names regions that are no US states ({names}): take them out in Ads Manager"
        elif not all(map(_is_abroad, entries)):
            what = _DESCRIPTIONS.get(kind, f"uses “{kind}”")
            yield f"Its targeting {what}: take that out in Ads Manager and target states only"


def _exclusion_conflicts(targeting: Targeting, wanted: Collection[str]) -> Iterator[str]:
    excluded = _keys(_entries(targeting, "excluded_geo_locations", "regions"))
    if met := excluded & set(wanted):
        yield f"It excludes {', '.join(states(met))}, where there is demand: take the exclusion out in Ads Manager"
    countries = _entries(targeting, "excluded_geo_locations", "countries")
    groups = _entries(targeting, "excluded_geo_locations", "country_groups")
    if groups or not all(map(_is_abroad, countries)):
        yield "It excludes the whole country: take the exclusion out in Ads Manager"


def category_conflicts(targeting: Targeting, categories: Collection[str]) -> tuple[str, ...]:
    """Return why Meta would refuse to write this targeting in a campaign of these special ad categories."""
    restricted = sorted(RESTRICTED_CATEGORIES.intersection(categories))
    excluded = _group(targeting, "excluded_geo_locations")
    if not restricted or not any(value for kind, value in excluded.items() if kind != "location_types"):
        return ()
    named = ", ".join(restricted)
    said = f"It excludes locations, which the special ad category of its Meta campaign ({named}) does not allow"
    return (f"{said}: take the exclusion out in Ads Manager",)


def control_conflicts(controls: Mapping[str, Any], wanted: Collection[str]) -> tuple[str, ...]:
    """Return why `audience_controls`, which apply to all ad sets of an ad account, forbid some of the wanted regions.

    Their locations have the same form as those of a targeting (Marketing API reference "Ad Account, Account Controls").
    """
    excluded = _keys(_entries(controls, "excluded_geo_locations", "regions")) & set(wanted)
    allowed = _group(controls, "geo_locations")
    countries = _entries(controls, "geo_locations", "countries")
    everywhere = not any(allowed.values()) or not all(map(_is_abroad, countries)) or allowed.get("country_groups")
    missing = frozenset[str]() if everywhere else set(wanted) - region_keys(controls)
    return tuple(
        f"The audience controls of the ad account {what} {', '.join(states(keys))}: whoever manages the ad account can "
        "change that in Ads Manager, Advertising settings, Account controls"
        for what, keys in (("exclude", excluded), ("do not include", missing))
        if keys
    )


def reaches_beyond_states(targeting: Targeting) -> bool:
    """Return whether Meta may also show ads to people elsewhere in the country who are interested in the regions.

    Marketing API "Advanced Targeting", "Reach people interested in selected cities and regions": only with regions.
    """
    geo = _group(_group(targeting, "targeting_automation"), "individual_setting").get("geo")
    return geo in (1, "1") and bool(region_keys(targeting))


def with_regions_of(targeting: Targeting, other: Targeting) -> dict[str, Any]:
    """Return `targeting` with the regions of `other`, each entry unmodified."""
    return {
        **targeting,
        "geo_locations": {
            **(targeting.get("geo_locations") or {}),
            "regions": regions_of(other),
        },
    }


def without_computed(targeting: Targeting) -> dict[str, Any]:
    """Return the targeting without the `effective_*` keys, which Meta computes and refuses in a write."""
    return {key: value for key, value in targeting.items() if not key.startswith("effective_")}


def _group(targeting: Targeting, name: str) -> Mapping[str, Any]:
    """Return an object within the targeting, such as a group of locations; empty if it cannot be read."""
    group = targeting.get(name) or {}
    return group if isinstance(group, Mapping) else {}


def _entries(targeting: Targeting, group: str, kind: str) -> list[Any]:
    entries = _group(targeting, group).get(kind) or []
    return entries if isinstance(entries, list) else [entries]


def _keys(regions: list[Any]) -> frozenset[str]:
    return frozenset(str(region.get("key") if isinstance(region, dict) else region) for region in regions)


def _is_us_state(region: Any) -> bool:
    return isinstance(region, Mapping) and is_state(fb_region_to_usps(str(region.get("key"))))


def _is_abroad(entry: Any) -> bool:
    """Return whether a location is certainly outside the US: by its `country`, its "XX:" prefix or its country code."""
    country = entry
    if isinstance(entry, Mapping):
        country = entry.get("country") or str(entry.get("key")).partition(":")[0]
    return isinstance(country, str) and len(country) == len("US") and country.isalpha() and country.upper() != "US"


def _build_new_targeting(targeting: Targeting, regions: Sequence[Region]) -> dict[str, Any]:
    """Return a deep copy of `targeting` with `regions` and without Meta's computed keys; PURE.

    Without regions, it has no list of them, and no locations if there are no others: with a custom audience, none are
    needed (Marketing API "Basic Targeting"), but an empty list may be refused.
    """
    new = copy.deepcopy(without_computed(targeting))
    locations = {**(new.pop("geo_locations", None) or {}), "regions": [dict(region) for region in regions]}
    if not regions:
        del locations["regions"]
    return {**new, "geo_locations": locations} if locations else new
