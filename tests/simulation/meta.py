"""Meta as the simulation sees it: the sandbox's stand-in, with links between ads and lead forms, and people's hands."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

from sandbox.meta import MISSING_LEAD_FORM, Ad, AdSet, MetaWorld, Operation, faults
from sandbox.meta import targeting as rules
from sandbox.meta.activity_log import META, PERSON, RULE, Activity, Actor
from sandbox.meta.model import GONE, Account, Campaign
from sandbox.meta.recording import record_status
from sandbox.meta.regions import KEY_BY_STATE, STATE_BY_KEY
from sandbox.meta.service import Fault
from sandbox.server import Reply
from tests.simulation.answers import HOLDS
from tests.simulation.story import AdSetSpec, AdSpec, Deed, Echo, Effect, Fate, Log

LOG_DELAY = 600.0
"""Seconds until an entry of a delayed activity log can be read."""
MISSING = 0.3
"""The share of the entries that a gappy one lacks."""

CONTROLS = "audience controls"
"""Words of a refusal for the account-wide audience controls."""

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
    broke_at: float = 0.0
    """When it last broke: a broken one breaks again when it is re-published in vain."""
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
    targeting_repeated: Callable[[AdSet], None]
    """The ad set, which had this targeting already."""
    ad_switched_on: Callable[[Ad, str], None]
    """The ad, and its status before."""
    link_broke: Callable[[Ad], None]
    adset_read: Callable[[AdSet], None]
    adset_unread: Callable[[AdSet], None]
    ads_read: Callable[[AdSet], None]
    ad_read: Callable[[Ad], None]
    """All four also of a read whose answer nobody waits for any more."""
    refused: Callable[[AdSet, str], None]
    """The ad set whose targeting was not written for a reason of its whole account, and words of that reason."""
    controls_read: Callable[[Account], None]
    scripted: Callable[[Operation], Fault | None]
    """Returns what to answer instead."""


@dataclass(frozen=True)
class Hand:
    """What a person wants of an ad or ad set, and since when."""

    wanted: Any
    at: float
    is_ambiguous: bool = False
    """The ad was broken when the person paused it."""


@dataclass
class People:
    """What people want, which the product must not undo."""

    ads_on: dict[str, Hand] = field(default_factory=dict)
    """By ad: whether it shall run; an ad that was deleted or archived is not in here."""
    edits: dict[str, dict[str, Hand]] = field(default_factory=dict)
    """By ad set and name of the setting: what a person gave it."""
    have_set_regions: dict[str, set[Regions]] = field(default_factory=dict)
    """By ad set, the regions that a person ever gave it."""


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
        self.log = Log.COMPLETE
        self.processing = 0.0
        self.processing_since: dict[str, float] = {}
        """By ad set, since when it is shown as in process."""
        self.review = 0.0
        self._reviewed_since: dict[str, float] = {}
        """By ad, since when it is in review."""
        self.to_reject: set[str] = set()
        """The ads that do not pass a review."""
        self.rejected_since: dict[str, float] = {}
        """By ad, since when it is rejected."""
        self.reviewed_for_people: set[str] = set()
        """The ads whose last review began for what a person had done, and not for a write."""
        self._shows_nothing = False
        """Whether the current call is answered by the story, so that nobody sees anything."""

    # --- building

    def build_adset(self, campaign: str, spec: AdSetSpec) -> None:
        """Add an ad set without ads."""
        targeting = rules.realistic(spec.states, reaches_beyond=spec.reaches_beyond)
        if spec.excludes:
            excluded = {"regions": [{"key": key} for key in regions_of(spec.excludes)]}
            targeting = rules.normalised(targeting | {"excluded_geo_locations": excluded})
        adset_id = self.add_adset(campaign, spec.name, targeting=targeting, ads=0)
        self.named[spec.name] = self.adsets[adset_id]
        self.adsets[adset_id].learning = spec.learning or None
        self.echoes[adset_id] = spec.echo

    def build_ad(self, adset: str, spec: AdSpec, by: Actor | None = None) -> None:
        """Add an ad with a sound link, and note what people want of it."""
        parent = self._adset(adset)
        if by is not None:
            ad_id = self.person_adds_ad(parent.id, spec.name, spec.status, by)
            self._review(self._ads[ad_id])
        else:
            ad_id = self.add_ad(parent.id, spec.name, spec.status, issues=[DISAPPROVED] if spec.broken else ())
        ad = self._ads[ad_id]
        self.to_reject |= {ad_id} if spec.rejected else set()
        others = (self.links[other.id].sound for other in parent.ads if other.id in self.links)
        sound = {regions_in(parent.targeting)}.union(*others)
        self.links[ad.id] = Link(spec.fate, sound)
        self.people.ads_on[ad.id] = Hand(spec.status == "ACTIVE", self.now())
        self.named[spec.name] = ad

    def _adset(self, name: str) -> AdSet:
        adset = self.named[name]
        assert isinstance(adset, AdSet)
        return adset

    # --- what holds for an ad account

    def hold(self, account: str, reason: str) -> None:
        """Refuse each write of an account for a reason; with an empty one, refuse none any more."""
        self.holds.pop(account, None)
        if reason:
            self.holds[account] = HOLDS[reason]

    def control(self, account: str, states: str) -> None:
        """Allow only these states in an account; with an empty text, all."""
        regions = [{"key": key} for key in regions_of(states)]
        controls = {"audience_controls": {"geo_locations": {"regions": regions}}}
        self.accounts[account].controls = controls if states else None

    def is_gone(self, adset: AdSet) -> bool:
        """Tell whether an ad set has been deleted or archived."""
        return _is_gone(adset)

    def is_forbidden(self, adset: AdSet) -> bool:
        """Tell whether the special ad category of its campaign forbids what an ad set's targeting has."""
        return bool(adset.campaign.special_ad_categories and adset.targeting.get("excluded_geo_locations"))

    def reaches_beyond(self, adset_id: str) -> bool:
        """Tell whether an ad set may be shown outside its states."""
        targeting = self.adsets[adset_id].targeting
        return "geo" in targeting["targeting_automation"]["individual_setting"] and bool(regions_in(targeting))

    # --- what people do

    def by_hand(self, deed: Deed, target: str, value: str) -> bool:
        """Do what a person does; return False if that is impossible by now."""
        match deed, self.named.get(target):
            case _, node if node is None or _is_gone(node):
                return False
            case _, Ad() as ad:
                return self._handle_ad(deed, ad)
            case Deed.ADD_AD | Deed.COPY_ADSET, _ if value in self.named:
                return False
            case _, AdSet() as adset:
                return self._handle_adset(deed, adset, value)
        return False

    def _handle_ad(self, deed: Deed, ad: Ad) -> bool:
        match deed:
            case Deed.PAUSE_AD | Deed.PAUSE_AD_BY_RULE if ad.status == "ACTIVE":
                self._processed(ad)
                self.person_pauses(ad.id, RULE if deed is Deed.PAUSE_AD_BY_RULE else PERSON)
                self.people.ads_on[ad.id] = Hand(wanted=False, at=self.now(), is_ambiguous=bool(ad.issues))
            case Deed.SWITCH_ON_AD:
                self.person_activates(ad.id)
                self.people.ads_on[ad.id] = Hand(wanted=True, at=self.now())
                if self.links[ad.id].broken_since is None:
                    self.links[ad.id].sound.add(regions_in(ad.adset.targeting))
                self._republished(ad)
            case Deed.DELETE_AD | Deed.ARCHIVE_AD:
                self._removed_ad(ad)
                (self.person_deletes if deed is Deed.DELETE_AD else self.person_archives)(ad.id)
            case _:
                return False
        return True

    def _handle_campaign(self, deed: Deed, campaign: Campaign) -> bool:
        match deed:
            case Deed.PAUSE_CAMPAIGN:
                self.person_pauses(campaign.id)
            case Deed.SWITCH_ON_CAMPAIGN:
                self.person_activates(campaign.id)
            case Deed.DELETE_CAMPAIGN:
                self.person_deletes(campaign.id)
                for adset in campaign.adsets:
                    self._removed(adset)
            case _:
                return False
        return True

    def _removed(self, adset: AdSet) -> None:
        """Note that nobody wants anything any more of an ad set."""
        self._processed(adset)
        for ad in adset.ads:
            self._removed_ad(ad)

    def _removed_ad(self, ad: Ad) -> None:
        self._processed(ad)
        self._reviewed_since.pop(ad.id, None)
        self.rejected_since.pop(ad.id, None)
        ad.overruled = None
        self.people.ads_on.pop(ad.id, None)

    def _handle_adset(self, deed: Deed, adset: AdSet, value: str) -> bool:
        match deed:
            case Deed.DELETE_ADSET | Deed.ARCHIVE_ADSET:
                (self.person_deletes if deed is Deed.DELETE_ADSET else self.person_archives)(adset.id)
                self._removed(adset)
            case Deed.COPY_ADSET:
                self._copy(adset, value)
                self.build_ad(value, AdSpec(f"{value} 1"), by=PERSON)
            case Deed.ADD_AD:
                self.build_ad(adset.name, AdSpec(value), by=PERSON)
            case Deed.PAUSE_ADSET:
                self._processed(adset)
                self.person_pauses(adset.id)
            case Deed.SWITCH_ON_ADSET:
                self.person_activates(adset.id)
            case Deed.MOVE_END:
                self.person_moves_end_date(adset.id, self.now() + float(value))
            case Deed.EDIT_AGE:
                self._edit(adset, "age_range", [int(value), 65])
            case Deed.EDIT_REGIONS | Deed.TARGET_COUNTRY:
                self._edit_locations(adset, regions_of(value), whole=deed is Deed.TARGET_COUNTRY)
            case _:
                return self._handle_campaign(deed, adset.campaign)
        return True

    def _copy(self, adset: AdSet, name: str) -> None:
        self.build_adset(adset.campaign.id, AdSetSpec(name, states_of(regions_in(adset.targeting)), ()))
        edits, copy = self.people.edits.get(adset.id, {}), self._adset(name)
        if not regions_in(adset.targeting):  # it targets the whole country, and so does its copy
            copy.targeting = copy.targeting | {"geo_locations": adset.targeting["geo_locations"]}
            self.people.edits[copy.id] = {setting: edits[setting] for setting in ("geo_locations", "regions")}

    def _edit(self, adset: AdSet, setting: str, wanted: Any) -> None:
        self.person_edits_targeting(adset.id, {setting: wanted}, published=True)
        self.people.edits.setdefault(adset.id, {})[setting] = Hand(wanted, self.now())

    def _edit_locations(self, adset: AdSet, wanted: Regions, *, whole: bool) -> None:
        is_there = wanted == regions_in(adset.targeting)
        geo = {name: value for name, value in adset.targeting["geo_locations"].items() if name == "location_types"}
        geo |= {"countries": ["US"]} if whole else {"regions": [{"key": key} for key in wanted]}
        edits = self.people.edits.setdefault(adset.id, {})
        edits.pop("geo_locations", None)
        self.person_edits_targeting(adset.id, {"geo_locations": geo}, published=True)
        if whole:
            edits["geo_locations"] = Hand(geo, self.now())
        for ad in adset.ads:
            self._review(ad)
            self._published(self.links[ad.id], wanted)
        if not is_there:  # else, whose they were before, they are
            self.people.have_set_regions.setdefault(adset.id, set()).add(wanted)
            edits["regions"] = Hand(wanted, self.now())

    # --- processing

    def _process(self, node: Ad | AdSet) -> None:
        """Show an ad set or ad as in process for a while (Marketing API "Post-Processing for Ad Creation and Edits").

        Further writes are accepted meanwhile.
        """
        if not self.processing or node.id in self._reviewed_since:
            return
        node.overruled = "IN_PROCESS"
        moment = self.processing_since[node.id] = self.now()

        def end() -> None:
            if self.processing_since.get(node.id) == moment:
                self._processed(node)

        self._after(self.processing, end)

    def _processed(self, node: Ad | AdSet) -> None:
        if self.processing_since.pop(node.id, None) is not None:
            node.overruled = None

    def _review(self, ad: Ad, *, by_person: bool = True) -> None:
        """Put an ad that is switched on into review for a while; it stays there if a person pauses it."""
        if not self.review or ad.status != "ACTIVE":
            return
        (self.reviewed_for_people.add if by_person else self.reviewed_for_people.discard)(ad.id)
        if ad.id not in self._reviewed_since:
            record_status(ad, "ACTIVE", "PENDING_REVIEW", META, self.now())
        self.processing_since.pop(ad.id, None)
        ad.overruled = "PENDING_REVIEW"
        self.rejected_since.pop(ad.id, None)
        moment = self._reviewed_since[ad.id] = self.now()

        def end() -> None:
            if self._reviewed_since.get(ad.id) == moment:
                del self._reviewed_since[ad.id]
                ad.remember(self.now(), ad.account.read_lag)
                record_status(ad, "PENDING_REVIEW", ad.status, META, self.now())
                ad.overruled = "DISAPPROVED" if ad.id in self.to_reject else None
                if ad.overruled:
                    self.rejected_since[ad.id] = self.now()

        self._after(self.review, end)

    # --- links

    def _targeting_written(self, adset: AdSet) -> None:
        """Leave the links of the ads that are switched on pending."""
        self._process(adset)
        for ad in adset.ads:
            self._review(ad, by_person=False)
            link = self.links[ad.id]
            if ad.status == "ACTIVE" and link.broken_since is None:
                link.pending_since, link.was_written = self.now(), True
                self._will_break(ad)

    def _published(self, link: Link, regions: Regions) -> None:
        """Take note that a person set regions in Ads Manager, which publishes the ads with them."""
        link.sound.add(regions)
        if link.is_sound:
            link.breaks_at = None

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
                link.broke_at = self.now()
                link.broken_since = link.broken_since or link.broke_at
                self._processed(ad)
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
        if operation.method == "GET":
            if reply.status == HTTPStatus.OK and not self._shows_nothing:
                self._tell_of_read(operation, observer)
            elif isinstance(node, AdSet) and operation.kind == "adset":
                observer.adset_unread(node)
        elif isinstance(node, AdSet) and targeting is not None and node.targeting != targeting:
            self._targeting_written(node)
            observer.targeting_written(node, targeting)
        elif isinstance(node, AdSet) and operation.applied and "targeting" in operation.params:
            observer.targeting_repeated(node)
        elif isinstance(node, Ad) and operation.applied and operation.params.get("status") == "ACTIVE":
            self._republished(node)
            self._process(node)
            observer.ad_switched_on(node, status)
        elif isinstance(node, AdSet) and (why := self._refusal_of_all(node, reply)):
            observer.refused(node, why)
        return self._echoed(operation, reply) if operation.kind == "adset" and operation.method == "POST" else reply

    def _refusal_of_all(self, adset: AdSet, reply: Reply) -> str:
        """Return words of the reason for which Meta would refuse such a write of any ad set; empty if there is none."""
        hold = self.holds.get(adset.account.id)
        if hold is not None and reply.body == hold.body:
            error = json.loads(hold.body or b"")["error"]
            return str(error.get("error_user_msg", error["message"]))
        return CONTROLS if CONTROLS.encode() in (reply.body or b"") else ""

    def fault_for(self, operation: Operation) -> Fault | None:
        """Return the story's fault for this operation."""
        fault = None if self.observer is None else self.observer.scripted(operation)
        if operation.kind == "activities" and self.log is Log.FORBIDDEN:
            fault = Fault(faults.PERMISSION_MISSING, "activities")
        self._shows_nothing = fault is not None
        return fault

    def keep_log(self, log: Log, seed: int) -> None:
        """Keep the activity log of all accounts in a certain way."""
        self.log = log
        for account in self.accounts.values():
            if log is Log.DELAYED:
                account.activities.delay = LOG_DELAY
            if log is Log.GAPPY:
                account.activities.missing = partial(_is_missing, Random(seed))

    def tells_of_pause(self, ad: Ad) -> bool:
        """Tell whether the activity log shows by now that it was Meta who last paused an ad."""
        log, at = ad.account.activities, self.links[ad.id].broke_at
        return self.log is not Log.FORBIDDEN and any(
            row.object_id == ad.id and _is_pause_by_meta(row) for row in log.between(at, at, self.now())
        )

    def blames_meta(self, ad: Ad) -> bool:
        """Tell whether the last entry about an ad in an activity log with gaps is a pause by Meta."""
        entries = (row for row in ad.account.activities.between(0, self.now(), self.now()) if row.object_id == ad.id)
        last = next(entries, None)
        return self.log is Log.GAPPY and last is not None and _is_pause_by_meta(last)

    def tells_of_edit(self, adset: AdSet, at: float, read_at: float) -> bool:
        """Tell whether the activity log showed at a time that a person had changed an ad set's targeting at another."""
        rows = adset.account.activities.between(at, at, read_at)
        return any(row.object_id == adset.id and row.actor is PERSON for row in rows)

    def _tell_of_read(self, operation: Operation, observer: Observer) -> None:
        node = self.find(operation.object_id)
        edge = operation.path.partition("/")[2]
        match node:
            case Account():
                if edge == "account_controls":
                    observer.controls_read(node)
            case AdSet():
                (observer.ads_read if edge else observer.adset_read)(node)
            case None:
                pass
            case Ad():
                observer.ad_read(node)
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


def _is_gone(node: Ad | AdSet) -> bool:
    """Tell whether an ad or ad set has been deleted or archived, or what it is in."""
    adset = node.adset if isinstance(node, Ad) else node
    return not GONE.isdisjoint({node.status, adset.status, adset.campaign.status})


def _is_pause_by_meta(row: Activity) -> bool:
    """Tell whether Meta has paused an ad: not if it has ended the review of one that was off."""
    ends_review = row.extra.get("old_value") == "Pending Review"
    return row.actor is META and row.extra.get("new_value") == "Inactive" and not ends_review


def _is_missing(random: Random, _: Activity) -> bool:
    return random.random() < MISSING


def _break(ad: Ad, fate: Fate, now: float) -> None:
    ad.remember(now, ad.account.read_lag)
    if fate.effect is not Effect.PAUSED_SILENTLY and MISSING_LEAD_FORM not in ad.issues:
        ad.issues = [*ad.issues, dict(MISSING_LEAD_FORM)]
    if fate.effect is not Effect.WITH_ISSUES:
        record_status(ad, ad.status, "PAUSED", META, now)
        ad.status = "PAUSED"
    if fate.moves_updated_time:
        ad.updated_time = now
