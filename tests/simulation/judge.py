"""Holds a story against the clauses: the safety clauses at every step, the others at the end of a run or of the story.

The judge sees the truth (what is at Meta, what people want, what is in the ledger, which mails went out) and from the
product only what leaves it: its calls, its ledger items, its results and its mails.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sandbox.aws import Mail
from sandbox.meta import Ad, AdSet
from sandbox.meta.activity_log import PERSON
from sandbox.meta.model import Account
from tests.simulation.clauses import OPEN, TRANSITIONS, Clause, Violation
from tests.simulation.demands import Demands
from tests.simulation.judge_state import AdSetFile, Ailment, Failures, Outcome, Plan, Refusal
from tests.simulation.meta import CONTROLS, Hand, Link, Regions, apart_from_regions, regions_in, regions_of, states_of
from tests.simulation.push_judge import PushJudge
from tests.simulation.said import Said, failures_of, texts
from tests.simulation.story import DAY, START, Effect, Fate, Log, Run
from tests.simulation.unobservable import FRESH_SECONDS, REPUBLISH_SECONDS, Unobservable

if TYPE_CHECKING:
    from tests.simulation.border import Call, Invocation
    from tests.simulation.simulation import Simulation


SLOW_ENOUGH = 600.0
"""Who re-publishes within so many seconds of a write is in time."""
UNDER_WAY_SECONDS = 12.0
"""What is begun was allowed so long before at most: a read of the switch and two writes of the ledger may time out."""
REPAIRED_AFTER = 4 * 3600.0
"""An ad that breaks again after a repair is repaired once more so long after it at the latest."""
MEMORY_SECONDS = 300.0
"""How long a warm container remembers parameters."""
RECEIVE = "receive"
"""The action of an invocation that takes a push."""
LOOKED_AT_FOR = DAY
"""How long rechecks look at what was written."""


class Judge:
    """Holds a story against the clauses."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self.violations: list[Violation] = []
        self._files: dict[str, AdSetFile] = {}
        self._posts: dict[str, list[Invocation]] = {}
        """By campaign, the invocations that wrote to it, each time one followed another."""
        self._seen: dict[tuple[str, str], set[Ailment]] = {}
        """By invocation and ad set, what was wrong when it last read the ads."""
        self._unread: set[tuple[str, float]] = set()
        """The ad sets that could not be read, and when."""
        self._unreadable: set[tuple[str, str]] = set()
        """Each invocation with each ad set that it once could not read."""
        self._seen_running: dict[str, tuple[float, Invocation]] = {}
        """By ad, of when what is that a run has last seen it switched on."""
        self._seen_off: dict[str, float] = {}
        """By ad that runs have seen off and not on since, of when what is that they first saw."""
        self._switched_on: dict[str, float] = {}
        """By ad, when a run last did so."""
        self._refused: dict[tuple[str, str], Refusal] = {}
        """By invocation and campaign, the refusal that concerns the whole ad account."""
        self._at_begin: dict[str, tuple[float, dict[str, set[Ailment]]]] = {}
        """By run, when it began, and what was wrong with each ad set then."""
        self._begun_as: dict[str, tuple[float, dict[str, set[Ailment]]]] = {}
        """The same, by what the events of one shared run have in common."""
        self._plans: dict[str, Plan] = {}
        """By the run that is to carry it out."""
        self._left_out: dict[tuple[str, str], Callable[[AdSet], bool]] = {}
        """By campaign and parameter, which ad sets are to be left alone by now."""
        self._last_looks = {"sync": 0.0, "recheck": 0.0}
        self._written: set[tuple[str, str]] = set()
        """Each invocation with each ad set whose targeting it wrote."""
        self._demands = Demands(simulation.story)
        self.pushes = PushJudge(simulation, self._violated)
        self._failures: dict[str, Failures] = {}
        """By campaign."""
        self._mails: list[tuple[float, str]] = []
        """The texts of all mails, and when they were sent."""

    @property
    def _now(self) -> float:
        return self._simulation.kernel.now

    @property
    def clauses(self) -> set[Clause]:
        """The clauses that were violated."""
        return {violation.clause for violation in self.violations}

    @property
    def _lag(self) -> float:
        return self._simulation.story.world.read_lag

    def _violated(self, clause: Clause, about: str, why: str) -> None:
        violation = Violation(clause, self._now - START, about, why)
        self.violations.append(violation)
        self._simulation.note("!", str(violation).replace("\n", ""))

    # --- the truth

    def belongs(self, adset_id: str, name: str, campaign: str, *, is_opted_out: bool = False) -> None:
        """Get to know an ad set."""
        adset = self._simulation.meta.adsets[adset_id]
        file = AdSetFile(name, campaign, {regions_in(adset.targeting)}, is_opted_out=is_opted_out)
        of_campaign = ((by, is_left_out) for (slug, by), is_left_out in self._left_out.items() if slug == campaign)
        file.left_out = {by: self._now for by, is_left_out in of_campaign if is_left_out(adset)}
        self._files[adset_id] = file

    def left_out(self, campaign: str, is_left_out: Callable[[AdSet], bool], by: str) -> None:
        """Note that ad sets of a campaign are to be left alone from now on, and no others, by a certain parameter."""
        self._left_out[campaign, by] = is_left_out
        for adset_id, file in self._files.items():
            if file.campaign == campaign and is_left_out(self._simulation.meta.adsets[adset_id]):
                file.left_out.setdefault(by, self._now)
            elif file.campaign == campaign:
                file.left_out.pop(by, None)

    def campaign_of(self, adset_id: str) -> str:
        """Return the campaign of an ad set."""
        return self._files[adset_id].campaign

    def plan_shown(self, run: Run, result: dict[str, Any]) -> None:
        """Note the plan that a dry run has shown for another run to carry out."""
        changes, wanted = {}, {}
        for campaign in result["campaigns"]:
            for adset in campaign["adsets"]:
                if adset["result"] == "updated":
                    before = regions_in(self._simulation.meta.adsets[adset["id"]].targeting)
                    added, removed = (regions_of(" ".join(adset[name])) for name in ("added", "removed"))
                    changes[adset["id"]] = before, (before | added) - removed
                    wanted[adset["id"]] = regions_of(" ".join(campaign["active_states"]))
        self._plans[run.name] = Plan(self._now, changes, wanted)

    def _ailments(self, adset: AdSet) -> set[Ailment]:
        """Return what is wrong with the ads that people want to run, as far as it shows or could be known."""
        meta = self._simulation.meta
        found = set()
        for ad in adset.ads:
            hand, link = meta.people.ads_on.get(ad.id), meta.links[ad.id]
            if hand is None or not hand.wanted or self._ran_unseen(ad, hand):
                continue
            if link.broken_since is not None and (ad.issues or ad.status != "ACTIVE"):
                is_silent = link.fate.effect is Effect.PAUSED_SILENTLY
                is_unexplained = is_silent and not meta.tells_of_pause(ad)
                found.add(Ailment(ad.name, "broken", link.broke_at, is_unexplained, is_silent))
            elif ad.id in meta.rejected_since and ad.id not in meta.reviewed_for_people:
                found.add(Ailment(ad.name, "rejected", meta.rejected_since[ad.id]))
            elif link.pending_since is not None:
                found.add(Ailment(ad.name, "pending", link.pending_since))
        return found

    def _ran_unseen(self, ad: Ad, hand: Hand) -> bool:
        """Unobservable.RAN_UNSEEN."""
        seen, by = self._seen_running.get(ad.id, (START, None))
        died_at_once = by is not None and by.crashed_at is not None and by.crashed_at < seen + FRESH_SECONDS
        if (seen >= hand.at and not died_at_once) or ad.status != "PAUSED":
            return False
        link = self._simulation.meta.links[ad.id]
        ran_for_seconds = (
            0 <= link.broke_at - hand.at < REPUBLISH_SECONDS and link.fate.effect is Effect.PAUSED_SILENTLY
        )
        return ran_for_seconds or not self._simulation.meta.tells_of_pause(ad)

    # --- at every step

    def refused(self, adset: AdSet, why: str) -> None:
        """Note that Meta has refused a change for a reason of the whole ad account; rollbacks are tried regardless."""
        file = self._files[adset.id]
        key = self._call.invocation.name, file.campaign
        earlier = self._refused.get(key)
        is_first = earlier is None or earlier.heard_by.was_crashed
        if is_first and "prepared" in file.changes.values() and not self._call.is_late:
            self._refused[key] = Refusal(why, why != CONTROLS, self._call.invocation)

    def controls_read(self, account: Account) -> None:
        """Note that a run knows the audience controls, which a refusal may be for: its words do not tell them all."""
        for campaign in self._simulation.story.world.campaigns:
            refusal = self._refused.get((self._call.invocation.name, campaign.slug))
            if refusal is not None and campaign.account == account.id:
                refusal.is_understood = True

    def adset_read(self, adset: AdSet) -> None:
        """Note of when what is that an invocation has last seen of an ad set's targeting."""
        if not (self._call.is_late or self._call.is_unheard):
            self._call.invocation.views[adset.id] = self._now - self._lag

    def adset_unread(self, adset: AdSet) -> None:
        """Note that a read of an ad set shows nothing: one of its ads in the same batch is no use then."""
        self._unread.add((adset.id, self._now))
        self._unreadable.add((self._call.invocation.name, adset.id))

    def ads_read(self, adset: AdSet) -> None:
        """Note of when what is that an invocation has last seen of an ad set's ads, and what was wrong with them."""
        if self._call.is_late or self._call.is_unheard or (adset.id, self._now) in self._unread:
            return
        invocation, seen = self._call.invocation, self._now - self._lag
        invocation.views[f"{adset.id} ads"] = seen
        for ad in adset.ads:
            self.ad_read(ad)
        ailments = {ailment for ailment in self._ailments(adset) if ailment.since <= seen}
        self._seen[invocation.name, adset.id] = ailments

    def ad_read(self, ad: Ad) -> None:
        """Note of when what is that an invocation has last seen of one ad: others may have broken since."""
        if self._call.is_late or self._call.is_unheard:
            return
        invocation, seen = self._call.invocation, self._now - self._lag
        if ad.status == "ACTIVE":
            self._seen_running[ad.id] = seen, invocation
            self._seen_off.pop(ad.id, None)
        else:
            self._seen_off.setdefault(ad.id, seen)

    @property
    def _call(self) -> "Call":
        call = self._simulation.acting
        assert call is not None
        return call

    def targeting_written(self, adset: AdSet, before: dict[str, Any]) -> None:
        """Judge a targeting write that has just taken effect."""
        call, file = self._call, self._files[adset.id]
        new, old = regions_in(adset.targeting), regions_in(before)
        self._left_alone(call, file)
        if not file.is_open and not call.is_late:
            self._violated(Clause.WRITTEN_DOWN, adset.name, f"{call.invocation.name} writes {states_of(new)}")
        wanted = call.invocation.wanted.get(file.campaign)
        is_forward = new == wanted or self._is_towards(call, adset, old, wanted)
        file.known |= {old} | self._simulation.meta.people.have_set_regions.get(adset.id, set())
        if is_forward or new in file.known:
            file.known.add(new)
        else:
            self._violated(Clause.KNOWN_REGIONS, adset.name, f"{call.invocation.name} writes {states_of(new)}")
        goes_back = file.replaced == (call.invocation.name, new)  # if the ledger could not be told that it does
        file.replaced = call.invocation.name, old
        if self._is_planned(call, adset) and not goes_back:
            self._judge_waited(call, adset, old, new)
            if old - new and self._simulation.keeps(call.invocation, file.campaign):
                self._violated(Clause.KEPT, adset.name, f"{call.invocation.name} takes away {states_of(old - new)}")
        for setting in self._overwritten(adset, before, is_forward=is_forward):
            self._judge_overwritten(call, adset, file, setting)
        if is_forward:  # rightly in place of a person's: what they had set is history from now on
            edit = self._simulation.meta.people.edits.get(adset.id, {}).pop("regions", None)
            if edit is not None and self._is_drift(call, adset.id, edit, old):
                file.overwritten[call.invocation.name] = edit
        is_rollback = "rolling_back" in file.changes.values()  # to regions that may be wanted again by now
        file.has_late_write, file.went_back = call.is_late, is_rollback or not is_forward
        file.had_late_write = file.had_late_write or call.is_late
        file.writes.append(self._now)
        file.written_by = call.invocation.name
        self._written.add((call.invocation.name, adset.id))
        self._one_writer(call, file.campaign)

    def _judge_overwritten(self, call: "Call", adset: AdSet, file: AdSetFile, setting: str) -> None:
        edit = self._simulation.meta.people.edits.get(adset.id, {}).get(setting)
        if edit is None:
            self._violated(Clause.ONLY_REGIONS, adset.name, f"{call.invocation.name} changes {setting}")
        elif edit.at > call.sent - FRESH_SECONDS - self._lag:
            file.pardons.add((Unobservable.EDIT_IN_FLIGHT, setting, edit.at))
        elif setting == "regions" and self._looks_like_ours(call.invocation, adset, edit, file):
            file.pardons.add((Unobservable.SET_AGAIN, setting, edit.at))
        else:
            age = f"edited {call.sent - edit.at:.1f} s before the write was sent"
            self._violated(Clause.EDITS_STAND, adset.name, f"{call.invocation.name} overwrites {setting}, {age}")

    def targeting_repeated(self, adset: AdSet) -> None:
        """Note a targeting write that has set what was there: regions that a person chose just before are ours too."""
        file = self._files[adset.id]
        self._left_alone(self._call, file)
        file.went_back = file.went_back or "rolling_back" in file.changes.values()
        seen = self._seen.get((self._call.invocation.name, adset.id), set())
        # What has been switched on because its pause came too late is repaired like the others.
        others = {what for _, what, _ in file.pardons} & {ad.name for ad in adset.ads if ad.issues}
        if seen and not self._call.is_late and all(ailment.what == "rejected" for ailment in seen) and not others:
            self._violated(Clause.NOT_IN_VAIN, adset.name, f"{self._call.invocation.name} writes what is there")
        if regions_in(adset.targeting) == self._call.invocation.wanted.get(file.campaign):
            self._simulation.meta.people.edits.get(adset.id, {}).pop("regions", None)

    def _is_towards(self, call: "Call", adset: AdSet, old: Regions, wanted: Regions | None) -> bool:
        """Tell whether a write leads to the wanted regions as far as what waits or must be kept allows."""
        is_whole = not self._simulation.keeps(call.invocation, self._files[adset.id].campaign)
        if wanted is None or (is_whole and not self._simulation.story.world.damping_days):
            return False
        new = regions_in(adset.targeting)
        is_right = new - old <= wanted and not (old - new) & wanted
        return call.is_late or (self._is_of_sync(call, adset) and (is_right or self._is_edit_in_flight(call, adset)))

    def _is_planned(self, call: "Call", adset: AdSet) -> bool:
        """Tell whether a write is that of a sync's plan, and was made for what it has met."""
        return self._is_of_sync(call, adset) and not (call.is_late or self._is_edit_in_flight(call, adset))

    def _is_of_sync(self, call: "Call", adset: AdSet) -> bool:
        return "prepared" in self._files[adset.id].changes.values() and call.invocation.run.action == "sync"

    def _is_edit_in_flight(self, call: "Call", adset: AdSet) -> bool:
        """Tell whether the run may not have seen a person's regions, from which a write would lead elsewhere."""
        edit = self._simulation.meta.people.edits.get(adset.id, {}).get("regions")
        return edit is not None and edit.at > call.sent - FRESH_SECONDS - self._lag

    def _judge_waited(self, call: "Call", adset: AdSet, old: Regions, new: Regions) -> None:
        world, run, campaign = self._simulation.story.world, call.invocation.run, self._files[adset.id].campaign
        asked = [(key, True, world.add_after_days) for key in new - old]
        asked += [(key, False, world.remove_after_days) for key in old - new]
        for key, is_wanted, days in sorted(asked):
            waited = self._demands.days_before(run, campaign, key, is_wanted=is_wanted)
            if waited < days:
                said = f"{run.name} {'adds' if is_wanted else 'removes'} {states_of(frozenset({key}))}"
                self._violated(Clause.WAITED, adset.name, f"{said} after {waited} days, not {days}")

    def demand_read(self, invocation: "Invocation", campaign: str) -> None:
        """Note what a live sync was told to be wanted."""
        is_whole = not self._simulation.keeps(invocation, campaign)
        self._demands.read(invocation.run, campaign, invocation.wanted[campaign], is_whole=is_whole)

    def _is_drift(self, call: "Call", adset_id: str, edit: Hand, old: Regions) -> bool:
        """Tell whether a run could have seen that regions are a person's, and not what an earlier change had left."""
        file, seen = self._files[adset_id], call.invocation.views.get(adset_id, START)
        return not call.is_late and edit.wanted == old and edit.at < seen and bool(file.left) and old not in file.left

    def _looks_like_ours(self, invocation: "Invocation", adset: AdSet, edit: Hand, file: AdSetFile) -> bool:
        """Tell whether a run has asked in vain who had set regions that one of our own changes was to set."""
        has_asked = invocation.logs_asked.get(adset.account.id, START) > edit.at
        return edit.wanted in file.to_set and has_asked and not self._is_shown(invocation, adset, edit)

    def _is_shown(self, invocation: "Invocation", adset: AdSet, edit: Hand) -> bool:
        """Tell whether the activity log, as a run has read it, shows that it was a person who set regions."""
        read_at = min(invocation.logs_read.get(each, START) for each in ("", adset.account.id))
        return read_at > edit.at and self._simulation.meta.tells_of_edit(adset, edit.at, read_at)

    def _overwritten(self, adset: AdSet, before: dict[str, Any], *, is_forward: bool) -> Iterator[str]:
        """Yield the settings that a write takes away from a person, or that it should not touch."""
        old_rest, new_rest = apart_from_regions(before), apart_from_regions(adset.targeting)
        yield from (
            name for name in sorted(old_rest.keys() | new_rest.keys()) if old_rest.get(name) != new_rest.get(name)
        )
        edit = self._simulation.meta.people.edits.get(adset.id, {}).get("regions")
        if edit is not None and edit.wanted == regions_in(before) and not is_forward:
            yield "regions"  # the wanted regions may replace a person's, old ones may not

    def ad_switched_on(self, ad: Ad, status: str) -> None:
        """Judge a `status=ACTIVE` that has just taken effect; `status` is what the ad had before."""
        call, file = self._call, self._files[ad.adset.id]
        hand = self._simulation.meta.people.ads_on.get(ad.id)
        self._switched_on[ad.id] = self._now
        self._left_alone(call, file)
        self._one_writer(call, file.campaign)
        if hand is None or hand.wanted or status == "ACTIVE" or hand.is_ambiguous:
            return  # Unobservable.PAUSED_WHILE_BROKEN, if that is why
        if self._is_pause_pardoned(ad, hand, file):
            return  # it has been running since, whoever paused it now
        seen = call.invocation.views.get(f"{ad.adset.id} ads", 0.0)
        age = call.sent - hand.at
        if call.is_late or (hand.at >= seen and age <= REPUBLISH_SECONDS + self._lag):
            file.pardons.add((Unobservable.PAUSE_IN_FLIGHT, ad.name, hand.at))
            return
        if self._simulation.meta.blames_meta(ad):
            file.pardons.add((Unobservable.LOG_MISLEADS, ad.name, hand.at))
            return
        log_at = call.invocation.log_told_at
        was_off = self._seen_off.get(ad.id, call.sent) <= log_at
        if was_off and call.sent - REPUBLISH_SECONDS - self._lag <= log_at < hand.at:
            file.pardons.add((Unobservable.PAUSED_AGAIN, ad.name, hand.at))
            return
        why = f"{call.invocation.name} switches it on, paused {age:.1f} s before that was sent"
        self._violated(Clause.PAUSES_STAND, ad.name, f"{why}; its ads were last read {call.sent - seen:.1f} s before")

    def _is_pause_pardoned(self, ad: Ad, hand: Hand, file: AdSetFile) -> bool:
        reasons = (Unobservable.PAUSE_IN_FLIGHT, Unobservable.LOG_MISLEADS, Unobservable.PAUSED_AGAIN)
        return not file.pardons.isdisjoint((reason, ad.name, hand.at) for reason in reasons)

    def _left_alone(self, call: "Call", file: AdSetFile) -> None:
        if call.invocation.run.dry:
            self._violated(Clause.DRY, file.name, f"{call.invocation.name} writes to it")
        if file.is_opted_out:
            self._violated(Clause.OPTED_OUT, file.name, f"{call.invocation.name} writes to it")

    def _one_writer(self, call: "Call", campaign: str) -> None:
        posts = self._posts.setdefault(campaign, [])
        if posts and posts[-1] is call.invocation:
            return
        if call.invocation in posts and not call.is_late:
            self._violated(Clause.ONE_WRITER, campaign, f"{posts[-1].name} and {call.invocation.name} write by turns")
        posts.append(call.invocation)

    def change_noted(
        self, invocation: "Invocation", key: str, adset_id: str, state: str, regions: tuple[Regions, Regions]
    ) -> None:
        """Judge the state of a change that stands in the ledger, with the regions before it and after."""
        file = self._files[adset_id]
        before = file.changes.get(key, "")
        if state == before:
            return
        if invocation.run.dry:
            self._violated(Clause.DRY, file.name, f"{invocation.name} notes that its change is {state}")
        file.changes[key] = state
        file.to_set.add(regions[1])
        file.begun.setdefault(key, self._now)
        self._simulation.note(invocation.name, f"  ledger: {file.name} {before or 'nothing'} → {state}")
        if not before:
            self._begun_first(key, file)
        if state == "prepared" and not before:
            self._prepared(invocation, key, adset_id, file, regions)
        if state == "prepared":
            self._begun(invocation, self._simulation.meta.adsets[adset_id], file)
        if state not in TRANSITIONS[before]:
            self._violated(Clause.TRANSITIONS, file.name, f"{before} → {state}")
        if state not in OPEN:
            self._ended(invocation, key, adset_id, state, regions)

    def _ended(
        self, invocation: "Invocation", key: str, adset_id: str, state: str, regions: tuple[Regions, Regions]
    ) -> None:
        """Judge the final state of a change."""
        file, (before, after) = self._files[adset_id], regions
        file.closed_by[key] = invocation.name
        if state in {"verified", "rolled_back"}:
            self._regions_true(adset_id, state, file.begun[key], after if state == "verified" else before)
        if state != "not_written":
            # Unobservable.APPLIED_LATE: what was put back may come again, and so may what was there before.
            file.left = frozenset({after}) if state == "verified" else file.left | {before, after}
        was_never_written = file.written_at is None or file.written_at < file.begun[key]
        if state in {"rolled_back", "not_written"} and was_never_written:
            return  # what broke meanwhile broke after an earlier change, which is looked at again
        if state != "superseded":
            self._ledger_true(invocation, adset_id, state, file.begun[key])

    def _begun_first(self, key: str, file: AdSetFile) -> None:
        """Judge a change that the ledger has not had before, by what goes on otherwise."""
        stopped_at = self._simulation.stopped_at(file.campaign)
        if stopped_at is not None and self._now - stopped_at > UNDER_WAY_SECONDS:
            self._violated(Clause.STOP, file.name, f"begun {self._now - stopped_at:.0f} s after it was stopped")
        if not OPEN.isdisjoint(state for other, state in file.changes.items() if other != key):
            self._violated(Clause.ONE_AT_A_TIME, file.name, f"{key} is begun, and another one is open")

    def _prepared(
        self, invocation: "Invocation", key: str, adset_id: str, file: AdSetFile, change: tuple[Regions, Regions]
    ) -> None:
        """Judge a change that has just been noted, by what the run was asked for."""
        if plan := self._plans.get(invocation.name):
            self._as_approved(invocation, adset_id, file, plan, change)
        if invocation.run.action != "sync":
            return
        for since in file.left_out.values():
            if invocation.started > since + MEMORY_SECONDS:
                said = f"{invocation.name} begins it, {invocation.started - since:.0f} s after it was to be left alone"
                self._violated(Clause.LEFT_OUT, file.name, said)
        most, run_id = self._simulation.story.world.max_adsets, key.split("#")[1]
        begun = [each for each in self._files.values() if each.campaign == file.campaign]
        count = sum(other.startswith(f"CHANGE#{run_id}#") for each in begun for other in each.changes)
        if most is not None and count > most:
            self._violated(Clause.FEW, invocation.name, f"it begins {count} changes")

    def _as_approved(
        self, invocation: "Invocation", adset_id: str, file: AdSetFile, plan: Plan, change: tuple[Regions, Regions]
    ) -> None:
        """Judge a change that a run with an approved plan has begun."""
        for stale in self._stale(invocation, plan):
            self._violated(Clause.APPROVED, file.name, f"begun, although {stale}")
        if change != (planned := plan.changes.get(adset_id)):
            self._violated(Clause.APPROVED, file.name, "begun, and it is none of the plan")
        elif planned[0] != regions_in(self._simulation.meta.adsets[adset_id].targeting):
            edit = self._simulation.meta.people.edits.get(adset_id, {}).get("regions")
            if edit is None or edit.at < self._now - UNDER_WAY_SECONDS - self._lag:
                self._violated(Clause.APPROVED, file.name, "begun, although it has other regions than in the plan")

    def _stale(self, invocation: "Invocation", plan: Plan) -> Iterator[str]:
        """Yield why a plan is another one by what the run has heard and what people had done before it began."""
        began, _ = self._at_begin[invocation.name]
        may_wait = self._simulation.story.world.damping_days > 0
        for adset_id, (before, after) in plan.changes.items():
            file = self._files[adset_id]
            # Another demand may ask for the same changes if a state has to wait, or may not be taken away.
            wanted = plan.wanted[adset_id]
            may_be_same = may_wait or wanted != after or self._simulation.keeps(invocation, file.campaign)
            if wanted != invocation.wanted.get(file.campaign) and not may_be_same:
                yield f"another demand is wanted for {file.name} than in the plan"
            edit = self._simulation.meta.people.edits.get(adset_id, {}).get("regions")
            if edit is not None and plan.at < edit.at < began - self._lag and edit.wanted != before:
                yield f"a person has given {file.name} other regions than in the plan"

    def _begun(self, invocation: "Invocation", adset: AdSet, file: AdSetFile) -> None:
        refusal = self._refused.get((invocation.name, file.campaign))
        if refusal is not None and refusal.is_known:
            self._violated(Clause.HELD_BACK, file.name, f"begun, although Meta said: {refusal.why}")
        since = self._simulation.meta.processing_since.get(adset.id, self._now)
        if self._now - since > UNDER_WAY_SECONDS + self._lag:
            self._violated(Clause.LEFT_ALONE, file.name, f"begun, although in process since {self._now - since:.0f} s")
        if self._simulation.meta.is_forbidden(adset):
            self._violated(Clause.LEFT_ALONE, file.name, "begun, although it excludes locations")

    def _regions_true(self, adset_id: str, state: str, begun: float, expected: Regions) -> None:
        """Judge whether an ad set has the regions that the state of its change tells of, unless somebody set others."""
        file, present = self._files[adset_id], regions_in(self._simulation.meta.adsets[adset_id].targeting)
        edit = self._simulation.meta.people.edits.get(adset_id, {}).get("regions")
        if present == expected or file.has_late_write or (edit is not None and edit.at >= begun):
            return
        self._violated(Clause.LEDGER_TRUE, file.name, f"{state}, but it has {states_of(present)}")

    def _ledger_true(self, invocation: "Invocation", adset_id: str, state: str, begun: float) -> None:
        file, adset = self._files[adset_id], self._simulation.meta.adsets[adset_id]
        if file.has_late_write:
            return
        seen = self._seen.get((invocation.name, adset_id), set())
        delay = adset.account.activities.delay
        for ailment in sorted(self._ailments(adset), key=lambda ailment: ailment.ad):
            was_asked = ailment.is_silent and ailment.since <= invocation.log_asked_at
            is_untold = was_asked and invocation.log_told_at < ailment.since + delay
            if ailment.is_unexplained or is_untold:
                continue  # Unobservable.PAUSED_WITHOUT_REASON: it has to be told of, and holds nothing up
            if ailment.since >= begun and (ailment.what == "pending" or ailment in seen):
                self._violated(Clause.LEDGER_TRUE, file.name, f"{state}, but {ailment.ad} is {ailment.what}")

    # --- at the end of each run

    def run_begins(self, run: Run) -> None:
        """Note how things stand when a run begins."""
        ailments = {adset.id: self._ailments(adset) for adset in self._simulation.meta.adsets.values()}
        # A double delivery of a shared run joins it, and may tell what that has found before.
        key = f"{run.action} {run.scheduled}" if run.shared and run.scheduled is not None else run.name
        self._at_begin[run.name] = self._begun_as.setdefault(key, (self._now, ailments))

    def mail_sent(self, invocation: "Invocation", mail: Mail) -> None:
        """Note a mail when it leaves, for a run may die before it ends; that of a dry run says nothing of live ones."""
        if not invocation.run.dry:
            self._mails.append((self._now, f"{mail.subject}\n{mail.text}"))

    def call_ends(self, invocation: "Invocation", outcome: Outcome | None) -> None:
        """Judge how an invocation has ended; a run has one of them, or shares itself among several."""
        if invocation.was_crashed and not invocation.run.dry:
            self._told_before_it_died(invocation)
        if outcome is None and not invocation.was_crashed:
            self._violated(Clause.IN_TIME, invocation.name, f"{invocation.run.seconds:g} s were not enough")
        defects = str((outcome and outcome.error) or "")
        if "Unexpected " in defects:
            start = defects.index("Unexpected ")
            self._violated(Clause.NO_DEFECT, invocation.name, defects[start : start + 200])

    def _told_before_it_died(self, invocation: "Invocation") -> None:
        """Note of which ad sets the mails of a run have told that has died since: they name an ad if it is not well."""
        text = "".join(mail.text for mail in invocation.mails)
        for adset_id, file in self._files.items():
            if any(ailment.ad in text for ailment in self._ailments(self._simulation.meta.adsets[adset_id])):
                file.told.ill_at = self._now

    def run_ends(self, invocation: "Invocation", outcome: Outcome) -> None:
        """Judge what a run has said; `invocation` is its last one."""
        began, at_begin = self._at_begin[invocation.name]
        result = outcome.result
        defects = str(outcome.error or "") + str(result or "")
        if "Unexpected " in defects:
            start = defects.index("Unexpected ")
            self._violated(Clause.NO_DEFECT, invocation.name, defects[start : start + 200])
        if result is None or result["left_to"]:
            return
        is_whole = not (invocation.run.campaigns or invocation.run.about)  # a push has one ad account looked at
        if invocation.run.action == "sync" or is_whole:
            action = "sync" if invocation.run.action == "sync" else "recheck"
            self._last_looks[action] = max(self._last_looks[action], began)
        self._demands.ends(invocation.run, result)
        is_quiet = invocation.run.action == "sync" and not outcome.mails and result["mail"] == "not_asked"
        if is_quiet and not self._mails_of_today:
            self._violated(Clause.TOLD, invocation.name, "it sends no mail, and today there was none")
        reports = tuple(mail for mail in outcome.mails if "CLOSRADS failed" not in mail.subject)
        self._judge_stop_told(invocation, (self._mails_of_today,) if is_quiet else texts(reports))
        self._judge_account_told(invocation, outcome.mails, result)
        self._judge_reach_told(invocation, outcome.mails, result)
        self._judge_learning_told(invocation, outcome.mails, result)
        self._judge_where_told(invocation, result)
        self._judge_failures_told(invocation, result)
        said = Said(result, outcome.mails, was_refused=bool(invocation.refused_mails), is_quiet=is_quiet)
        for adset_id, file in self._files.items():
            self._judge_telling(invocation, said, adset_id, file, at_begin.get(adset_id, set()))
            self._judge_edit_told(invocation, said, adset_id, file)

    def _judge_edit_told(self, invocation: "Invocation", said: "Said", adset_id: str, file: AdSetFile) -> None:
        """Judge what a run has said of the regions that a person had set before."""
        told, meta = said.changed_by(file.name), self._simulation.meta
        was_touched = adset_id in meta.people.have_set_regions or meta.is_gone(meta.adsets[adset_id])
        if told and not was_touched and not file.had_late_write:
            self._violated(Clause.NOBODY_BLAMED, file.name, f"{invocation.name} says: {told}")
        edit = file.overwritten.get(invocation.name)
        for key, left in tuple(file.to_be_told.items()):
            if file.changes[key] not in OPEN:
                del file.to_be_told[key]
                edit = left if edit is None and file.closed_by.get(key) == invocation.name else edit
        if edit is not None and not told and file.is_open:
            file.to_be_told |= {key: edit for key, state in file.changes.items() if state in OPEN}
            return
        if edit is None or not said.has_mail_about(adset_id) or invocation.has_ledger_trouble:
            return
        is_shown = self._is_shown(invocation, meta.adsets[adset_id], edit)
        if not told or (is_shown and PERSON.name not in told):
            who = f", and that it was {PERSON.name}" if is_shown else ""
            why = f"no mail of {invocation.name} says that somebody had set {states_of(edit.wanted)}{who}"
            self._violated(Clause.EDIT_TOLD, file.name, why)

    @property
    def _midnight(self) -> float:
        """When the day began, in the schedule's time zone as well."""
        return self._now - (self._now - START) % DAY

    @property
    def _mails_of_today(self) -> str:
        """What the mails of the day say: a sync without news adds nothing to them."""
        return "\n".join(text for at, text in self._mails if at >= self._midnight)

    def _judge_stop_told(self, invocation: "Invocation", mails: tuple[str, ...]) -> None:
        """Judge whether a mail names what was off before the run could have remembered anything else."""
        for slug in ("", *sorted({file.campaign for file in self._files.values()})):
            since = self._simulation.switched_off_at(slug)
            began, _ = self._at_begin[invocation.name]
            if since is None or since > began - MEMORY_SECONDS:
                continue
            for mail in mails:
                if (slug or "paused since") not in mail.lower():
                    self._violated(Clause.STOP_TOLD, invocation.name, f"its mail does not say so of {slug or 'all'}")

    def _judge_account_told(self, invocation: "Invocation", mails: tuple[Mail, ...], result: dict[str, Any]) -> None:
        text = "".join(mail.text for mail in mails)
        if result["mail"] == "failed" or (invocation.run.action == "recheck" and not mails):
            return  # Unobservable.MAIL_REFUSED; or another try to put back what was told of before
        is_quiet = not mails and result["mail"] == "not_asked"
        heard = {each.why: each.heard_by for (name, _), each in self._refused.items() if name == invocation.name}
        for why in sorted(why for why, by in heard.items() if not by.was_crashed):
            if why not in (self._mails_of_today if is_quiet else text):
                self._violated(Clause.ACCOUNT_TOLD, invocation.name, f"no mail of it says: {why}")
            times = max((len(re.findall(f"Stopped: .*{re.escape(why)}", mail.text)) for mail in mails), default=0)
            if times > sum(any(why in error for error in each["errors"]) for each in result["campaigns"]):
                self._violated(Clause.ACCOUNT_TOLD, invocation.name, f"its mail says {times} times: {why}")

    def _judge_reach_told(self, invocation: "Invocation", mails: tuple[Mail, ...], result: dict[str, Any]) -> None:
        adsets = [adset for each in result["campaigns"] for adset in each["adsets"]]
        ours = [adset for adset in adsets if adset["result"] not in {"ended", "opted_out"}]
        beyond = [
            adset["name"]
            for adset in ours
            if self._simulation.meta.reaches_beyond(adset["id"]) and not self._was_edited_since(invocation, adset["id"])
        ]
        if invocation.run.action == "recheck" or not beyond:
            return
        for mail in mails[-1:]:  # one before it says that the run could not be begun
            told = "".join(part for part in mail.text.split("\n\n") if "people outside its states" in part)
            if mail.subject.startswith("✓"):
                self._violated(Clause.REACH_TOLD, invocation.name, f"its subject is “{mail.subject}”")
            for name in beyond:
                if name not in told:
                    self._violated(Clause.REACH_TOLD, name, f"the mail of {invocation.name} does not say so")

    def _judge_learning_told(self, invocation: "Invocation", mails: tuple[Mail, ...], result: dict[str, Any]) -> None:
        updated = {
            adset["id"] for each in result["campaigns"] for adset in each["adsets"] if adset["result"] == "updated"
        }
        written = {adset_id for name, adset_id in self._written if name == invocation.name} & updated
        for mail in mails[-1:]:
            told = re.findall(r"(\d+) ad sets? restarts? Meta's learning phase", mail.text)
            if written and (len(told) != 1 or int(told[0]) < len(written)):
                said = f"{len(written)} ad sets have been written, and its mail says {' and '.join(told) or 'nothing'}"
                self._violated(Clause.LEARNING_TOLD, invocation.name, said)

    def _judge_where_told(self, invocation: "Invocation", result: dict[str, Any]) -> None:
        """Judge the states in which ad sets run according to a result; the mail and its map are made of these."""
        campaigns = result["campaigns"] if invocation.run.action == "sync" else ()
        for campaign in campaigns:
            for adset in campaign["adsets"] if campaign.get("states_before") else ():  # else nothing is told
                targeted = {*campaign["active_states"]} - {*adset["missing"]} | {*adset["extra"]}
                if adset["result"] == "reverted" and (targeted & {*adset["added"]} or {*adset["removed"]} - targeted):
                    why = f"{invocation.name} says that it runs in {' '.join(sorted(targeted))}"
                    self._violated(Clause.WHERE_TOLD, adset["name"], why)

    def _judge_failures_told(self, invocation: "Invocation", result: dict[str, Any]) -> None:
        """Judge whether a recheck tells of what it could not look at."""
        for campaign in result["campaigns"] if invocation.run.action == "recheck" else ():
            slug, failures = campaign["slug"], failures_of(campaign, result)
            known = self._told_failures(slug)
            if failures and result["mail"] == "sent":
                self._failures[slug] = Failures(self._now, known | failures)
            elif failures - known and result["mail"] == "not_asked" and not invocation.has_ledger_trouble:
                said = ", ".join(sorted(failures - known))
                self._violated(Clause.FAILURE_TOLD, slug, f"{invocation.name} does not say: {said}")
            elif not failures and not invocation.run.about and self._was_told_before(invocation, slug):
                self._failures.pop(slug, None)

    def _was_told_before(self, invocation: "Invocation", slug: str) -> bool:
        """Tell whether failures were mailed before a run began; what another has told since still stands."""
        return slug in self._failures and self._failures[slug].mailed_at <= self._at_begin[invocation.name][0]

    def _told_failures(self, slug: str) -> frozenset[str]:
        """Return what mails have named of a campaign's failures, the last one within a day; each is kept known so."""
        failures = self._failures.get(slug)
        return failures.known if failures is not None and self._now - failures.mailed_at < DAY else frozenset()

    def _judge_telling(
        self, invocation: "Invocation", said: "Said", adset_id: str, file: AdSetFile, at_begin: set[Ailment]
    ) -> None:
        is_ill, is_named, is_good = said.of(adset_id, file)
        if is_ill and is_named:
            file.told.ill_at = self._now
        elif is_good and (file.told.ill_at or START) <= self._at_begin[invocation.name][0]:
            file.told.ill_at = None  # what another run has told since this one began still stands
        if not self._concerns(invocation, said, file):
            return
        if invocation.run.action == "sync":
            result = said.result(adset_id)
            file.is_held = result == "held" or (file.is_held and result == "deferred")  # still waits for its turn
        if is_ill and said.is_quiet and file.told.ill_at is not None and file.told.ill_at >= self._midnight:
            return  # the mails of a day say of each ad set once what is not as it should be
        adset = self._simulation.meta.adsets[adset_id]
        known = self._known(invocation, adset, file, at_begin, is_ill=is_ill)
        facts = [
            f"{ailment.ad} is {ailment.what} since {self._now - ailment.since:.0f} s"
            for ailment in sorted(self._ailments(adset), key=lambda ailment: ailment.ad)
            if self._must_be_told(ailment, file, known)
        ]
        if self._is_forbidden_today(invocation, adset, file):
            facts.append("Meta forbids to change it")
        if file.is_open:
            facts.append(f"its change is {min(OPEN.intersection(file.changes.values()))}")
        if facts and file.told.ill_at is None and not (is_ill and said.is_unmailed):
            clause = Clause.TRUTHFUL if is_good else Clause.TOLD
            self._violated(
                clause, file.name, f"{invocation.name} says “{said.result(adset_id)}”, but {'; '.join(facts)}"
            )

    def _known(
        self, invocation: "Invocation", adset: AdSet, file: AdSetFile, at_begin: set[Ailment], *, is_ill: bool
    ) -> set[Ailment]:
        """Return what a run knows, or should know, to be wrong with an ad set; `is_ill` is what it says itself."""
        key = invocation.name, adset.id
        seen = self._seen.get(key)
        if seen is not None and not (invocation.run.action == "sync" and not self._delivers(adset)):
            return seen
        says_that_it_could_not_look = is_ill and seen is None and key in self._unreadable
        must_know = self._is_to_be_looked_at(invocation, adset, file) and not says_that_it_could_not_look
        return at_begin if must_know else set()

    def _is_forbidden_today(self, invocation: "Invocation", adset: AdSet, file: AdSetFile) -> bool:
        wanted = invocation.wanted.get(file.campaign, regions_in(adset.targeting))
        is_looked_at = self._is_to_be_looked_at(invocation, adset, file) and invocation.run.action == "sync"
        is_kept = self._simulation.keeps(invocation, file.campaign)  # what need not be changed today is not told of
        may_wait = self._simulation.story.world.damping_days > 0 or is_kept
        if self._was_edited_since(invocation, adset.id):
            return False  # Unobservable.AFTER_LAST_LOOK
        is_off = wanted != regions_in(adset.targeting) and not may_wait
        return is_looked_at and is_off and self._simulation.meta.is_forbidden(adset)

    def _was_edited_since(self, invocation: "Invocation", adset_id: str) -> bool:
        """Tell whether a person has edited the regions of an ad set since the run last read it."""
        edit = self._simulation.meta.people.edits.get(adset_id, {}).get("regions")
        return edit is not None and edit.at >= invocation.views.get(adset_id, START)

    def _must_be_told(self, ailment: Ailment, file: AdSetFile, known: set[Ailment]) -> bool:
        if file.told.ill_at is not None and file.told.ill_at >= ailment.since:
            return False
        if ailment.what == "pending":
            return not file.has_late_write
        return ailment in known

    def _concerns(self, invocation: "Invocation", said: "Said", file: AdSetFile) -> bool:
        """Tell whether a run had to do with an ad set: not if it was asked for a campaign that is off."""
        off_since = self._simulation.switched_off_at(file.campaign)
        was_off = off_since is not None and off_since < self._at_begin[invocation.name][0]
        is_asked_for = said.concerns(file.campaign, invocation.run.campaigns)
        is_its_own = is_asked_for and not (invocation.run.campaigns and was_off)
        return is_its_own and not self._is_in_other_hands(invocation, file)

    def _is_to_be_looked_at(self, invocation: "Invocation", adset: AdSet, file: AdSetFile) -> bool:
        if invocation.run.action == "sync":
            return self._delivers(adset) and self._simulation.is_enabled(file.campaign) and not file.left_out
        was_written = (
            file.written_at is not None and self._at_begin[invocation.name][0] - file.written_at < LOOKED_AT_FOR
        )
        return invocation.run.action == "recheck" and not invocation.run.about and was_written

    def _is_in_other_hands(self, invocation: "Invocation", file: AdSetFile) -> bool:
        """Tell whether another run is at work, or was after this one's turn: Unobservable.AFTER_LAST_LOOK."""
        began = self._at_begin[invocation.name][0]
        was = file.written_at is not None and file.written_at > began and file.written_by != invocation.name
        return was or self._somebody_works_on(file.campaign)

    def _somebody_works_on(self, campaign: str) -> bool:
        live = (other for other in self._simulation.live if other.run.action != RECEIVE)
        return any(campaign in other.wanted or other.run.action != "sync" for other in live)

    # --- at the end of the story

    def end(self) -> None:
        """Judge what is left two days after the last fault."""
        meta = self._simulation.meta
        for adset_id, file in self._files.items():
            adset = meta.adsets[adset_id]
            is_over = not self._delivers(adset) and not meta.is_gone(adset)
            begun = (file.begun[key] for key, state in file.changes.items() if state in OPEN)
            # Unobservable.AFTER_LAST_LOOK: a change of the last run, which has told that it ran out of quota.
            is_last = min(begun, default=0.0) > max(self._last_looks.values())
            is_over = is_over or (
                is_last and file.told.ill_at is not None and self._simulation.story.world.tier is not None
            )
            if file.is_open and not is_over and not self._is_beyond_help(adset, file):
                self._violated(Clause.CLOSED, file.name, f"it has a change that is {sorted(file.changes.values())}")
            for ad in adset.ads:
                self._judge_ad(ad, meta.links[ad.id], file)
            self._judge_edits(adset, file)
            self._judge_regions(adset, file)

    def _judge_ad(self, ad: Ad, link: Link, file: AdSetFile) -> None:
        hand = self._simulation.meta.people.ads_on.get(ad.id)
        if hand is None or not self._delivers(ad.adset) or (hand.wanted and file.is_opted_out):
            return
        if not hand.wanted:
            is_pardoned = hand.is_ambiguous or self._is_pause_pardoned(ad, hand, file)
            if ad.status == "ACTIVE" and not is_pardoned:
                self._violated(Clause.STAYS_OFF, ad.name, "a person paused it, and it runs")
            return
        if link.is_sound or self._ran_unseen(ad, hand) or self._is_left_rejected(ad, file):
            return
        if link.broken_since is not None and self._is_excused(ad, link, link.broken_since, file):
            return
        what = "broken" if link.broken_since is not None else "pending"
        self._violated(Clause.RUNS, ad.name, f"its link is {what}")

    def _is_excused(self, ad: Ad, link: Link, since: float, file: AdSetFile) -> bool:
        meta = self._simulation.meta
        delay = ad.account.activities.delay if link.fate.effect is Effect.PAUSED_SILENTLY else 0.0
        is_followed = self._simulation.is_enabled(file.campaign)  # else only rechecks look at it
        looks = [at for action, at in self._last_looks.items() if action == "recheck" or is_followed]
        if link.broke_at + delay + self._lag > max(looks):
            return True  # Unobservable.AFTER_LAST_LOOK; perhaps once more
        is_silent = link.fate.effect is Effect.PAUSED_SILENTLY and not meta.tells_of_pause(ad)
        edit = meta.people.edits.get(ad.adset.id, {}).get("regions")
        is_under_a_persons = edit is not None and edit.wanted == regions_in(ad.adset.targeting)
        waits = file.went_back and max(looks) - self._switched_on.get(ad.id, 0.0) < REPAIRED_AFTER
        # Unobservable.PAUSED_WITHOUT_REASON, .UNDER_REGIONS_OF_A_PERSON, .NOT_DUE, .NEVER_SOUND, .COVERED
        is_beyond_help = (
            is_silent
            or is_under_a_persons
            or waits
            or self._was_never_sound(ad, file)
            or self._is_covered(ad, since, file)
        )
        looks_well = ad.status == "ACTIVE" and not ad.issues and (link.breaks_at or 0.0) > self._now
        return (is_beyond_help and file.told.ill_at is not None) or (looks_well and self._was_never_sound(ad, file))

    def _is_left_rejected(self, ad: Ad, file: AdSetFile) -> bool:
        """Unobservable.REJECTED."""
        return ad.id in self._simulation.meta.rejected_since and file.told.ill_at is not None

    def _was_never_sound(self, ad: Ad, file: AdSetFile) -> bool:
        link = self._simulation.meta.links[ad.id]
        return file.went_back and link.fate.stubborn and regions_in(ad.adset.targeting) not in link.sound

    def _is_covered(self, ad: Ad, since: float, file: AdSetFile) -> bool:
        link = self._simulation.meta.links[ad.id]
        was_written_since = file.written_at is not None and since < file.written_at
        told_late = link.fate.stubborn or self._simulation.meta.log is not Log.COMPLETE
        was_tried = self._switched_on.get(ad.id, START) > since and regions_in(ad.adset.targeting) not in link.sound
        is_over = was_tried or bool(file.left_out) or not self._simulation.is_enabled(file.campaign)
        return was_written_since and told_late and is_over and link.fate.effect is Effect.PAUSED_SILENTLY

    def _is_beyond_help(self, adset: AdSet, file: AdSetFile) -> bool:
        since = {ad.id: self._simulation.meta.links[ad.id].broken_since for ad in adset.ads}
        if any(self._is_left_rejected(ad, file) for ad in adset.ads):
            return True
        return file.told.ill_at is not None and any(
            self._was_never_sound(ad, file) or ((at := since[ad.id]) is not None and self._is_covered(ad, at, file))
            for ad in adset.ads
        )

    def _delivers(self, adset: AdSet) -> bool:
        return adset.status == adset.campaign.status == "ACTIVE" and not adset.is_ended(self._now)

    def _judge_edits(self, adset: AdSet, file: AdSetFile) -> None:
        for setting, edit in self._simulation.meta.people.edits.get(adset.id, {}).items():
            if setting == "regions" or (Unobservable.EDIT_IN_FLIGHT, setting, edit.at) in file.pardons:
                continue
            if adset.targeting.get(setting) != edit.wanted:
                self._violated(Clause.EDITS_KEPT, file.name, f"{setting} is {adset.targeting.get(setting)}")

    def _judge_regions(self, adset: AdSet, file: AdSetFile) -> None:
        regions = regions_in(adset.targeting)
        edit = self._simulation.meta.people.edits.get(adset.id, {}).get("regions")
        fit = file.known | ({edit.wanted} if edit is not None else set())
        if regions not in fit:
            self._violated(Clause.REGIONS, file.name, f"it has {states_of(regions)}")
        wanted = regions_of(self._simulation.demand(file.campaign))
        if regions != wanted and self._nothing_stands_against(adset, file):
            self._violated(
                Clause.FOLLOWS, file.name, f"it has {states_of(regions)}, and {states_of(wanted)} are wanted"
            )

    def _nothing_stands_against(self, adset: AdSet, file: AdSetFile) -> bool:
        if file.is_opted_out or file.left_out:
            return False
        is_easy = self._is_easy(adset)
        if file.is_held:
            others = [each for each, other in self._files.items() if other.campaign == file.campaign]
            is_easy = is_easy and all(self._is_easy(self._simulation.meta.adsets[each]) for each in others)
        edit = self._simulation.meta.people.edits.get(adset.id, {}).get("regions")
        return is_easy and self._delivers(adset) and self._simulation.is_enabled(file.campaign) and edit is None

    def _is_easy(self, adset: AdSet) -> bool:
        links = [self._simulation.meta.links[ad.id] for ad in adset.ads]
        is_calm = all(link.is_sound and _is_easy(link.fate) for link in links)
        is_forbidden = self._simulation.meta.is_forbidden(adset)
        is_fine = not any(ad.issues or ad.id in self._simulation.meta.to_reject for ad in adset.ads)
        return is_calm and not is_forbidden and is_fine


def _is_easy(fate: Fate) -> bool:
    """Tell whether an ad gives a run no reason to roll back."""
    return not fate.stubborn and not fate.relapses and fate.seconds >= SLOW_ENOUGH
