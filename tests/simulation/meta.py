"""Meta as the simulation sees it: the sandbox's stand-in, with links between ads and lead forms, and people's hands."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from sandbox.meta import MISSING_LEAD_FORM, Ad, AdSet, MetaWorld, Operation
from sandbox.meta import targeting as rules
from sandbox.meta.regions import KEY_BY_STATE, STATE_BY_KEY
from sandbox.meta.service import Fault
from sandbox.server import Reply
from tests.simulation.story import Deed, Echo, Effect, Fate

Regions = frozenset[str]
"""Region keys."""

DISAPPROVED = {
    "level": "AD",
    "error_code": 2490427,
    "error_summary": "Rejected",
    "error_message": "The ad was rejected.",
    "error_type": "HARD_ERROR",
}


def regions_of(states: str) -> Regions:
    """Return the keys of states such as "FL GA"."""
    return frozenset(KEY_BY_STATE[state] for state in states.split())


def states_of(regions: Regions) -> str:
    """Return region keys as states, such as "FL GA"."""
    return " ".join(sorted(STATE_BY_KEY[key] for key in regions))


def regions_in(targeting: dict[str, Any]) -> Regions:
    """Return the region keys of a targeting."""
    return frozenset(rules.region_keys(targeting))


def apart_from_regions(targeting: dict[str, Any]) -> dict[str, Any]:
    """Return what of a targeting a client may set, without the regions."""
    rest = {name: value for name, value in targeting.items() if not name.startswith("effective_")}
    geo = {name: value for name, value in targeting["geo_locations"].items() if name != "regions"}
    return {**rest, "geo_locations": geo}


@dataclass
class Link:
    """The link between an ad and its lead form."""

    fate: Fate
    sound: set[Regions]
    """The regions that it was sound with; with these a re-publish mends it."""
    pending_since: float | None = None
    """The write that no re-publish has followed, if any."""
    broken_since: float | None = None
    breaks_at: float | None = None
    """When it is going to break, if it is."""
    was_written: bool = False
    relapses: int = 0
    """How many it has had."""

    @property
    def is_sound(self) -> bool:
        """Whether it is neither broken nor waiting for a re-publish."""
        return self.pending_since is None and self.broken_since is None


@dataclass
class Observer:
    """Who is told what happens at Meta, at the moment it does."""

    targeting_written: Callable[[AdSet, dict[str, Any]], None]
    """The ad set, and the targeting that it had before."""
    ad_switched_on: Callable[[Ad, str], None]
    """The ad, and its status before."""
    link_broke: Callable[[Ad], None]
    adset_read: Callable[[AdSet], None]
    ads_read: Callable[[AdSet], None]
    scripted: Callable[[Operation], Fault | None]
    """Returns what to answer instead."""


@dataclass(frozen=True)
class Hand:
    """What a person wants of an ad or ad set, and since when."""

    wanted: Any
    at: float


@dataclass
class People:
    """What people want, which the product must not undo."""

    ads_on: dict[str, Hand] = field(default_factory=dict)
    """By ad: whether it shall run; an ad that was deleted or archived is not in here."""
    edits: dict[str, dict[str, Hand]] = field(default_factory=dict)
    """By ad set and name of the setting: what a person gave it."""


class SimulatedMeta(MetaWorld):
    """Meta with links.

    A targeting write by the API leaves the link of every ad that is switched on pending: it breaks after a while unless
    a re-publish confirms it. A broken link is mended by a re-publish while the regions are ones that the ad was sound
    with before. What people do in Ads Manager leaves links as they are.
    """

    def __init__(self, now: Callable[[], float], after: Callable[[float, Callable[[], None]], None]) -> None:
        super().__init__(now)
        self._after = after
        self.links: dict[str, Link] = {}
        self.people = People()
        self.echoes: dict[str, Echo] = {}
        self.named: dict[str, Ad | AdSet] = {}
        """Ads and ad sets by name."""
        self.observer: Observer | None = None

    # --- building

    def build_adset(self, campaign: str, name: str, states: str, echo: Echo) -> None:
        """Add an ad set without ads."""
        adset_id = self.add_adset(campaign, name, states, ads=0)
        self.named[name] = self.adsets[adset_id]
        self.echoes[adset_id] = echo

    def build_ad(
        self, adset: str, name: str, status: str = "ACTIVE", fate: Fate | None = None, *, disapproved: bool = False
    ) -> Ad:
        """Add an ad with a sound link, and note what people want of it."""
        parent = self._adset(adset)
        ad = self._ads[self.add_ad(parent.id, name, status, issues=[DISAPPROVED] if disapproved else ())]
        others = (self.links[other.id].sound for other in parent.ads if other.id in self.links)
        sound = {regions_in(parent.targeting)}.union(*others)
        self.links[ad.id] = Link(fate or Fate(), sound)
        self.people.ads_on[ad.id] = Hand(status == "ACTIVE", self.now())
        self.named[name] = ad
        return ad

    def _adset(self, name: str) -> AdSet:
        adset = self.named[name]
        assert isinstance(adset, AdSet)
        return adset

    # --- what people do

    def by_hand(self, deed: Deed, target: str, value: str) -> bool:
        """Do what a person does; return False if that is impossible by now."""
        node = self.named.get(target)
        if node is None or node.status in {"DELETED", "ARCHIVED"}:
            return False
        now, people = self.now(), self.people
        match deed, node:
            case Deed.PAUSE_AD, Ad():
                node.status = "PAUSED"
                people.ads_on[node.id] = Hand(wanted=False, at=now)
            case Deed.SWITCH_ON_AD, Ad():
                node.status = "ACTIVE"
                people.ads_on[node.id] = Hand(wanted=True, at=now)
                self._republished(node)
            case Deed.DELETE_AD | Deed.ARCHIVE_AD, Ad():
                node.status = "DELETED" if deed is Deed.DELETE_AD else "ARCHIVED"
                del people.ads_on[node.id]
            case Deed.ADD_AD, AdSet() if value not in self.named:
                self.build_ad(target, value)
            case Deed.PAUSE_ADSET | Deed.SWITCH_ON_ADSET, AdSet():
                node.status = "PAUSED" if deed is Deed.PAUSE_ADSET else "ACTIVE"
            case Deed.EDIT_AGE, AdSet():
                self._edit(node, {"age_range": [int(value), 65]}, "age_range")
            case Deed.EDIT_REGIONS, AdSet():
                regions = [{"key": key} for key in sorted(regions_of(value))]
                self._edit(node, {"geo_locations": {**node.targeting["geo_locations"], "regions": regions}}, "regions")
                for ad in node.ads:
                    self.links[ad.id].sound.add(regions_of(value))
            case _:
                return False
        node.updated_time = now
        return True

    def _edit(self, adset: AdSet, change: dict[str, Any], setting: str) -> None:
        adset.targeting = rules.normalised(adset.targeting | change)
        self.people.edits.setdefault(adset.id, {})[setting] = Hand(_setting(adset.targeting, setting), self.now())

    # --- links

    def _targeting_written(self, adset: AdSet) -> None:
        """Leave the links of the ads that are switched on pending."""
        for ad in adset.ads:
            link = self.links[ad.id]
            if ad.status == "ACTIVE" and link.broken_since is None:
                link.pending_since, link.was_written = self.now(), True
                self._will_break(ad)

    def _republished(self, ad: Ad) -> None:
        link, regions = self.links[ad.id], regions_in(ad.adset.targeting)
        if link.broken_since is not None and regions not in link.sound:
            self._will_break(ad)  # again
            return
        link.broken_since = link.pending_since = None
        ad.issues = [issue for issue in ad.issues if issue != MISSING_LEAD_FORM]
        if link.fate.stubborn and regions not in link.sound:
            return  # it looks confirmed, and breaks nevertheless
        link.breaks_at = None
        link.sound.add(regions)
        if link.was_written and link.relapses < link.fate.relapses:
            link.relapses += 1
            self._will_break(ad)

    def _will_break(self, ad: Ad) -> None:
        """Break the link after a while, unless something changes that."""
        link = self.links[ad.id]
        moment = link.breaks_at = self.now() + link.fate.seconds

        def break_link() -> None:
            if link.breaks_at == moment and ad.status == "ACTIVE":
                link.breaks_at = link.pending_since = None
                link.broken_since = link.broken_since or self.now()
                _break(ad, link.fate, self.now())
                if self.observer is not None:
                    self.observer.link_broke(ad)

        self._after(link.fate.seconds, break_link)

    # --- the protocol

    def perform(self, operation: Operation, token: str | None, proof: str | None) -> Reply:
        """Handle one operation, and tell the observer of what it reads and writes."""
        observer, node = self.observer, self.find(operation.object_id)
        targeting = node.targeting if isinstance(node, AdSet) else None
        status = node.status if isinstance(node, Ad) else ""
        reply = super().perform(operation, token, proof)
        if observer is None or node is None:
            return reply
        if operation.method == "GET" and reply.status == HTTPStatus.OK:
            self._tell_of_read(operation, observer)
        elif isinstance(node, AdSet) and targeting is not None and node.targeting != targeting:
            self._targeting_written(node)
            observer.targeting_written(node, targeting)
        elif isinstance(node, Ad) and operation.applied and operation.params.get("status") == "ACTIVE":
            self._republished(node)
            observer.ad_switched_on(node, status)
        return self._echoed(operation, reply) if operation.kind == "adset" and operation.method == "POST" else reply

    def fault_for(self, operation: Operation) -> Fault | None:
        """Return the story's fault for this operation."""
        return None if self.observer is None else self.observer.scripted(operation)

    def _tell_of_read(self, operation: Operation, observer: Observer) -> None:
        node = self.find(operation.object_id)
        edge = operation.path.partition("/")[2]
        match node:
            case AdSet():
                (observer.ads_read if edge else observer.adset_read)(node)
            case None:
                pass
            case Ad():
                observer.ads_read(node.adset)
            case _:
                for adset in node.adsets:
                    (observer.ads_read if edge == "ads" else observer.adset_read)(adset)

    def _echoed(self, operation: Operation, reply: Reply) -> Reply:
        """Return the answer to a targeting write as this ad set's quirk has it."""
        if reply.status != HTTPStatus.OK or b'"targeting"' not in (reply.body or b""):
            return reply
        content = json.loads(reply.body or b"")
        match self.echoes[operation.object_id]:
            case Echo.SAME:
                return reply
            case Echo.COMPUTED_KEY:
                content["targeting"]["targeting_optimization"] = "none"
            case Echo.SPELLING:
                content["targeting"]["brand_safety_content_filter_levels"] = ["facebook_standard"]
            case Echo.BARE:
                content = {"success": True}
        return replace(reply, body=json.dumps(content).encode())


def _setting(targeting: dict[str, Any], name: str) -> Any:
    return regions_in(targeting) if name == "regions" else targeting[name]


def _break(ad: Ad, fate: Fate, now: float) -> None:
    if fate.effect is not Effect.PAUSED_SILENTLY and MISSING_LEAD_FORM not in ad.issues:
        ad.issues.append(dict(MISSING_LEAD_FORM))
    if fate.effect is not Effect.WITH_ISSUES:
        ad.status = "PAUSED"
    if fate.moves_updated_time:
        ad.updated_time = now
