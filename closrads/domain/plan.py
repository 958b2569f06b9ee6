"""PURE: the decision for each ad set, and which plans are refused."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.adsets import AdFinding, AdSetSnapshot
from closrads.domain.changes import PreviousOutcomes, RevertStreak
from closrads.domain.damping import damped
from closrads.domain.health import unpaid_ads
from closrads.domain.opt_out import matching_pattern
from closrads.domain.settings import CampaignConfig, Limits
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import (
    category_conflicts,
    geo_conflicts,
    misnamed_regions,
    reaches_beyond_states,
    region_keys,
    regions_besides,
    states,
)
from closrads.errors import CHECK_REGIONS, ConfigError, PlanRefusedError
from closrads.state_mapper import Region

MIN_STATES_FOR_PERCENTAGE = 10
"""Minimum number of targeted states for a percentage of them to mean anything."""
END_MARGIN = timedelta(minutes=15)
"""Time before the end of an ad set in which it is no longer changed; no invocation lasts longer.

Meta refuses to re-publish the ads of an ended one (Marketing API "Error Codes", 1487007), so a rollback must be over.
"""
_NOT_RUNNING = frozenset({Result.NOT_ACTIVE, Result.ENDED})
_SETTINGS_IGNORED = frozenset({Result.ENDED, Result.OPTED_OUT})
"""Results of ad sets whose settings are not reported, because nobody needs to change them."""
_KEEPS_STATES = frozenset(
    {
        Result.SKIPPED_PREFLIGHT, Result.NEEDS_ATTENTION, Result.DEFERRED, Result.HELD, Result.REVERTED, Result.FAILED,
        Result.OPTED_OUT,
    }
)  # fmt: skip
"""Results of ad sets that still target the states from before, whatever was wanted."""
_AS_DECIDED = frozenset({Result.UPDATED, Result.UNCHANGED})
"""Results of ad sets that target the states of their decision."""
MAX_REVERT_STREAK = 2
"""Consecutive reverts after which an ad set is left alone: each attempt restarts its learning phase."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen to one ad set; `UPDATED` means that it is to be written."""

    adset: AdSetSnapshot
    result: Result
    regions: tuple[Region, ...]
    """The regions that the demand asks for, or an undo."""
    issues: tuple[str, ...] = ()
    replaces: frozenset[str] | None = None
    """Region keys that the ad set must still target for the decision to apply; None for any."""
    reverts: RevertStreak | None = None
    """The ad set's revert streak; None if its last change was kept."""
    adds_only: bool = False
    """Whether regions are only added, and none is removed."""
    waiting: frozenset[str] = frozenset()
    """Keys of the regions that are neither added nor removed yet (see `damping`)."""

    @property
    def new_regions(self) -> tuple[Region, ...]:
        """The regions that the ad set is to target: the requested ones that need not wait, and those that it keeps."""
        if not self.adds_only and not self.waiting:
            return self.regions
        asked, present = _keys(self.regions), region_keys(self.adset.targeting)
        wanted = damped(asked, present, self.waiting | present if self.adds_only else self.waiting)
        regions = (region for region in self.regions if str(region["key"]) in wanted)
        return (*regions, *regions_besides(self.adset.targeting, asked | (present - wanted)))

    @property
    def wanted(self) -> frozenset[str]:
        """The keys of the regions that the ad set is to target."""
        return _keys(self.new_regions)

    @property
    def is_change(self) -> bool:
        """Whether the ad set is to be written."""
        return self.result is Result.UPDATED

    @property
    def removes_states(self) -> bool:
        """Whether the ad set is to lose states that it targets now."""
        return self.is_change and not region_keys(self.adset.targeting) <= self.wanted

    def to_result(self, result: Result | None = None, issues: Collection[str] = ()) -> AdSetResult:
        """Return the ad set's result: `result` if the decision was carried out, else the decision's own."""
        final = result or self.result
        asked, wanted, present = _keys(self.regions), self.wanted, region_keys(self.adset.targeting)
        targeted = wanted if final in _AS_DECIDED else present if final in _KEEPS_STATES and present else asked
        return AdSetResult(
            id=self.adset.id,
            name=self.adset.name,
            result=final,
            added=states(wanted - present) if self.is_change else (),
            removed=states(present - wanted) if self.is_change else (),
            ads=len(self.adset.ads),
            issues=self.issues + tuple(issues),
            meta_campaign_id=self.adset.meta_campaign_id,
            missing=states(asked - targeted),
            extra=states(targeted - asked),
            learning_since=self.adset.learning_since if self.is_change else None,
            reaches_beyond=self.result not in _SETTINGS_IGNORED and reaches_beyond_states(self.adset.targeting),
        )


def _keys(regions: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(region["key"]) for region in regions)  # Meta may return numbers


def decide(  # noqa: PLR0911, PLR0913 - one return per decision; everything that a decision depends on
    adset: AdSetSnapshot,
    regions: Sequence[Region],
    unhealthy_ads: Collection[AdFinding],
    replaces: frozenset[str] | None = None,
    *,
    adds_only: bool = False,
    waiting: frozenset[str] = frozenset(),
) -> Decision:
    """Return the decision for one ad set.

    Parameters
    ----------
    regions
        The regions that are asked for.
    unhealthy_ads
        Findings of layer 1; with any, the ad set is skipped.
    replaces
        Region keys that the ad set must still target to be changed; None for any.
    adds_only
        Whether regions are only added, and none is removed.
    waiting
        Keys of the regions that are neither added nor removed yet.
    """
    issues = tuple(map(str, unpaid_ads(adset)))
    decision = Decision(adset, Result.UPDATED, tuple(regions), issues, replaces, adds_only=adds_only, waiting=waiting)
    present = region_keys(adset.targeting)
    if adset.is_ended(END_MARGIN):
        return replace(decision, result=Result.ENDED)
    if adset.flaw:
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=(adset.flaw,))
    if adset.effective_status != "ACTIVE":
        return replace(decision, result=Result.NOT_ACTIVE, issues=(f"Meta says {adset.effective_status}",))
    if unhealthy_ads:
        return replace(decision, result=Result.SKIPPED_PREFLIGHT, issues=tuple(map(str, unhealthy_ads)))
    if replaces is None and (misnamed := misnamed_regions(adset.targeting)):  # an undo may remove such a region
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=(*misnamed, CHECK_REGIONS))
    if conflicts := geo_conflicts(adset.targeting, decision.wanted):
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=conflicts)
    if present == decision.wanted:
        return replace(decision, result=Result.UNCHANGED)
    if conflicts := category_conflicts(adset.targeting, adset.special_ad_categories):
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=conflicts)
    if replaces is not None and present != replaces:
        issue = "Its states were changed since, by a later run or a person: it stays as it is now"
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=(issue,))
    return decision


def missing_and_extra(decisions: Iterable[Decision]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the USPS codes of the states to be added to ad sets that can be changed, and to be removed."""
    missing, extra = set[str](), set[str]()
    for decision in decisions:
        if decision.result in _AS_DECIDED:
            asked, present = _keys(decision.regions), region_keys(decision.adset.targeting)
            missing |= asked - present
            extra |= present - asked
    return frozenset(states(missing)), frozenset(states(extra))


def leave_opted_out(decisions: Sequence[Decision], skip_adsets: Collection[str]) -> tuple[Decision, ...]:
    """Leave alone every ad set whose name matches one of the patterns, whatever was decided."""
    return tuple(
        replace(decision, result=Result.OPTED_OUT, issues=(f"Its name matches “{pattern}” of skip_adsets",))
        if (pattern := matching_pattern(decision.adset.names, skip_adsets))
        else decision
        for decision in decisions
    )


def states_before(decisions: Iterable[Decision]) -> tuple[str, ...]:
    """Return the USPS codes of the states that any running ad set targets before the run."""
    running = (decision.adset.targeting for decision in decisions if decision.result not in _NOT_RUNNING)
    return states(frozenset[str]().union(*map(region_keys, running)))


def prioritize(
    decisions: Sequence[Decision], previous: PreviousOutcomes, force: Collection[str]
) -> tuple[Decision, ...]:
    """Order the decisions by `_priority`, and add the revert streaks.

    An ad set that was reverted on `MAX_REVERT_STREAK` consecutive runs for the same states needs attention instead.
    """
    known: list[Decision] = []
    for decision in decisions:
        reverts = previous.reverted.get(decision.adset.id)
        if reverts is None or not decision.is_change:
            known.append(decision)
        elif reverts.runs >= MAX_REVERT_STREAK and reverts.wanted == decision.wanted and "reverted_before" not in force:
            issue = (
                f"It was put back on {reverts.runs} runs in a row for these states, so it is left alone until the "
                'demand changes. See to its ads, then run it with "force": ["reverted_before"]'
            )
            known.append(replace(decision, result=Result.NEEDS_ATTENTION, issues=(issue,)))
        else:
            known.append(replace(decision, reverts=reverts))
    return tuple(sorted(known, key=lambda decision: _priority(decision, previous.deferred)))


def _priority(decision: Decision, deferred: Collection[str]) -> tuple[bool, bool, bool]:
    """Return the sort key of a decision; the smallest key comes first.

    Ad sets that the last run reverted come last, because they may break again. Of the others, those that it deferred
    come first, so that each has its turn sooner or later. Among equals, ad sets that lose states come first: a lead
    that nobody buys costs money, and one that is not generated yet costs nothing.
    """
    return decision.reverts is not None, decision.adset.id not in deferred, not decision.removes_states


def pinned(decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the decisions with each change restricted to the regions that it was planned from."""
    return tuple(
        replace(decision, replaces=region_keys(decision.adset.targeting)) if decision.is_change else decision
        for decision in decisions
    )


def with_gaps(completed: Mapping[str, AdSetResult], decisions: Iterable[Decision]) -> dict[str, AdSetResult]:
    """Return the results of ad sets that this run has completed, by id, with their missing and extra states filled in.

    These results come from a recheck, which does not know the demand, or from the ledger's record of an invocation that
    died. An updated ad set may lack states that still wait. A reverted one has its states from before the change, no
    matter whether it was read before its rollback, after it, or not at all because somebody has paused it since.
    """
    now = {each.adset.id: each for each in decisions}
    return {adset_id: _with_gap(result, now.get(adset_id)) for adset_id, result in completed.items()}


def _with_gap(result: AdSetResult, now: Decision | None) -> AdSetResult:
    if now is None:
        is_back = result.result is Result.REVERTED
        return replace(result, missing=result.added, extra=result.removed) if is_back else result
    if result.result is Result.UPDATED and now.result is Result.UNCHANGED:
        known = now.to_result()
        return replace(result, missing=known.missing, extra=known.extra)
    if result.result is Result.REVERTED:
        asked = set(states(_keys(now.regions)))
        targeted = (set(states(region_keys(now.adset.targeting))) - set(result.added)) | set(result.removed)
        return replace(result, missing=tuple(sorted(asked - targeted)), extra=tuple(sorted(targeted - asked)))
    return result


def remaining(decisions: Sequence[Decision], completed: Collection[str]) -> tuple[Decision, ...]:
    """Return the decisions without those of the completed ad sets, given by id."""
    return tuple(decision for decision in decisions if decision.adset.id not in completed)


def hold(decisions: Sequence[Decision], still_open: Collection[str]) -> tuple[Decision, ...]:
    """Hold every ad set, given by id, that still has an open change from an earlier run."""
    issue = "An earlier change of it is still open, and comes first"
    return tuple(
        replace(decision, result=Result.HELD, issues=(issue,))
        if decision.result in {Result.UPDATED, Result.UNCHANGED} and decision.adset.id in still_open
        else decision
        for decision in decisions
    )


def refuse_no_states(report: SyncReport, limits: Limits) -> None:
    """Refuse to follow a demand that leaves no state to target.

    Raises
    ------
    PlanRefusedError
        Says what there is instead.
    """
    if report.active_states:
        return
    if few := report.below_min_demand:
        raise PlanRefusedError(
            f"No state has the {limits.min_demand} leads that limits/min_demand asks for, only fewer "
            f"({', '.join(few)}). If that is right, lower the limit; if not, ask CLOSRTECH"
        )
    raise PlanRefusedError(f"Meta has no region for any state with demand ({', '.join(report.unmapped_states)})")


def refuse_other_account(campaign: CampaignConfig, adsets: Iterable[AdSetSnapshot]) -> None:
    """Refuse ad sets of another ad account: a run looks at the quota and the activity log of the configured one only.

    Raises
    ------
    ConfigError
        Names the ad account, and the parameters to check.
    """
    parameters = f"campaigns/{campaign.slug}"
    for adset in adsets:
        if adset.account_id and f"act_{adset.account_id}" != campaign.fb_ad_account_id:
            said = (
                f"is {campaign.fb_ad_account_id}, but “{adset.name}” ({adset.id}) of Meta campaign "
                f"{adset.meta_campaign_id} belongs to act_{adset.account_id}. Nothing was changed: correct it, or "
                f"{parameters}/fb_campaign_ids"
            )
            raise ConfigError([f"{parameters}/fb_ad_account_id: {said}"])


def refuse_implausible(decisions: Sequence[Decision], limits: Limits, force: Collection[str]) -> None:
    """Refuse a plan that would remove too large a share of the states that a campaign targets now.

    A feed that has lost most of its states is probably faulty; an all-zero response is only the extreme case. With
    fewer than `MIN_STATES_FOR_PERCENTAGE` targeted states, nothing is refused.

    Raises
    ------
    PlanRefusedError
        Names the figures, and how to force the plan.
    """
    considered = [decision for decision in decisions if decision.result in {Result.UPDATED, Result.UNCHANGED}]
    targeted = frozenset[str]().union(*(region_keys(decision.adset.targeting) for decision in considered))
    wanted = frozenset[str]().union(*(decision.wanted for decision in considered))
    removed = targeted - wanted
    if len(targeted) < MIN_STATES_FOR_PERCENTAGE or "max_removed_pct" in force:
        return
    share = 100 * len(removed) / len(targeted)
    if share > limits.max_removed_pct:
        raise PlanRefusedError(
            f"The demand would take away {len(removed)} of the {len(targeted)} states targeted now "
            f"({share:.0f} % > {limits.max_removed_pct:g} %): {', '.join(states(removed))}. If that is right, run it "
            'with "force": ["max_removed_pct"]; if not, ask CLOSRTECH'
        )


def defer_beyond(decisions: Sequence[Decision], limit: int | None) -> tuple[Decision, ...]:
    """Defer all changes after the first `limit` to the next run; with None, defer none."""
    if limit is None:
        return tuple(decisions)
    changes = [decision for decision in decisions if decision.is_change]
    late = {decision.adset.id for decision in changes[limit:]}
    return tuple(
        replace(decision, result=Result.DEFERRED, issues=(f"max_adsets allows {limit} changes a run",))
        if decision.adset.id in late
        else decision
        for decision in decisions
    )
