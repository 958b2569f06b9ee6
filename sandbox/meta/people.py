"""Changes by people, other programs and Meta itself, outside of the API client under test."""

import copy
from typing import Any

from sandbox.meta import edits, post_processing
from sandbox.meta.activity_log import PERSON, RULE, Actor
from sandbox.meta.breakage import Breakage, Damage, Effect
from sandbox.meta.model import Account, Ad, AdSet, Campaign
from sandbox.meta.recording import record_creation, record_duration
from sandbox.meta.regions import KEY_BY_STATE
from sandbox.meta.state import State
from sandbox.meta.targeting import codes, normalised, region_keys


class People(State):
    """Actions of others: they appear in the activity log, but not in the record of requests."""

    # --- people; `by` may be another program instead

    def person_pauses(self, object_id: str, by: Actor = PERSON) -> None:
        """Pause an ad, ad set or campaign in Ads Manager."""
        self._set_status(object_id, "PAUSED", by)

    def person_activates(self, object_id: str, by: Actor = PERSON) -> None:
        """Activate an ad, ad set or campaign in Ads Manager; a pending link of an ad stays pending."""
        node = self._set_status(object_id, "ACTIVE", by)
        if isinstance(node, Ad):
            with self.at_present() as now:
                post_processing.switched_on(node, now)

    def person_archives(self, object_id: str, by: Actor = PERSON) -> None:
        """Archive an ad, ad set or campaign."""
        self._set_status(object_id, "ARCHIVED", by)

    def person_deletes(self, object_id: str, by: Actor = PERSON) -> None:
        """Delete an ad, ad set or campaign; as at Meta, it can still be read by id."""
        self._set_status(object_id, "DELETED", by)

    def person_repairs_ad(self, ad_id: str, by: Actor = PERSON) -> None:
        """Select an ad's lead form again and activate the ad, which repairs its link in any case."""
        with self.at_present() as now:
            ad = self._ads[ad_id]
            post_processing.repaired(ad)
            edits.set_status(ad, "ACTIVE", by, now)

    def person_adds_ad(self, adset_id: str, name: str, status: str = "ACTIVE", by: Actor = PERSON) -> str:
        """Add an ad to an ad set; return its id."""
        with self.at_present() as now:
            ad = self._ads[self.add_ad(adset_id, name, status)]
            record_creation(ad, by, now)
            if status == "ACTIVE":
                post_processing.switched_on(ad, now)
            return ad.id

    def person_edits_targeting(
        self,
        adset_id: str,
        changes: dict[str, Any] | None = None,
        *,
        states: str | None = None,
        published: bool = False,
        by: Actor = PERSON,
    ) -> None:
        """Replace top-level keys of the targeting, such as `age_min`, or its `states` ("FL GA").

        Meta validates the ads as after any other write, unless the person has `published` them together with the ad
        set.
        """
        with self.at_present() as now:
            adset = self.adsets[adset_id]
            new = copy.deepcopy(adset.targeting | (changes or {}))
            if states is not None:
                regions = [{"key": KEY_BY_STATE[code]} for code in codes(states)]
                new["geo_locations"] = new.get("geo_locations", {}) | {"regions": regions}
            edits.write_targeting(adset, normalised(new), by, now, published=published)

    def person_moves_end_date(self, adset_id: str, end_time: float | None, by: Actor = PERSON) -> None:
        """Change the end time of an ad set; None for no end."""
        with self.at_present() as now:
            adset = self.adsets[adset_id]
            record_duration(adset, adset.end_time, end_time, by, now)
            adset.remember(now, adset.account.read_lag)
            adset.end_time, adset.updated_time = end_time, now

    def change_by_hand(self, adset_id: str, targeting_changes: dict[str, Any]) -> None:
        """Replace top-level keys of the targeting in Ads Manager, which publishes the ads, too."""
        self.person_edits_targeting(adset_id, targeting_changes, published=True)

    def pause_by_hand(self, ad_id: str) -> None:
        """Pause an ad in Ads Manager."""
        self.person_pauses(ad_id)

    # --- programs

    def rule_pauses(self, object_id: str) -> None:
        """Pause an object by an advertiser's automated rule, which the log shows as Meta with the rule's name."""
        self._set_status(object_id, "PAUSED", RULE)

    def spend(self, account_id: str, points: int) -> None:
        """Spend quota of an ad account, as another program."""
        with self.lock:
            if (quota := self.accounts[account_id].quota) is not None:
                quota.spend(points)

    # --- Meta

    def meta_pauses(self, ad_id: str, *, with_issue: bool, moves_updated_time: bool = True) -> None:
        """Pause a running ad as Meta, with or without error 3390001; a re-publish repairs it."""
        effect = Effect.PAUSED_WITH_ISSUES if with_issue else Effect.PAUSED
        self._break(ad_id, Breakage.lost_link(effect=effect, moves_updated_time=moves_updated_time))

    def meta_breaks(self, ad_id: str, *, moves_updated_time: bool = True) -> None:
        """Give a running ad error 3390001; a re-publish repairs it."""
        self._break(ad_id, Breakage.lost_link(moves_updated_time=moves_updated_time))

    def _break(self, ad_id: str, breakage: Breakage) -> None:
        with self.at_present() as now:
            ad = self._ads[ad_id]
            ad.damage = Damage(breakage, region_keys(ad.adset.targeting), now)
            post_processing.settle(ad, now)

    def _set_status(self, object_id: str, status: str, by: Actor) -> Campaign | AdSet | Ad:
        with self.at_present() as now:
            node = self.node(object_id)
            if isinstance(node, Account):
                raise TypeError("an ad account has no status that people set")
            edits.set_status(node, status, by, now)
            return node
