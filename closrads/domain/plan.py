"""PURE: what should happen to each ad set, and which plans are refused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from closrads.domain.adsets import AdFinding, AdSetSnapshot
from closrads.domain.changes import PreviousOutcomes, RevertStreak
from closrads.domain.results import AdSetResult, Result
from closrads.domain.settings import Limits
from closrads.domain.targeting import geo_conflicts, reaches_beyond_states, region_keys, states
from closrads.errors import PlanRefusedError
from closrads.state_mapper import Region

BEYOND_STATES = "Its location setting lets Meta reach people outside the states (targeting_automation)"
PERCENT_COUNTS_FROM = 10
"""With fewer targeted states a percentage says nothing."""
REVERTED_TOO_OFTEN = 2
"""After so many runs in a row that had to put an ad set back it is left alone: each try restarts its learning phase."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What should happen to one ad set; `UPDATED` means: write."""

    adset: AdSetSnapshot
    result: Result
    regions: tuple[Region, ...]
    issues: tuple[str, ...] = ()
    replaces: frozenset[str] | None = None
    """Region keys that the ad set must still have for the decision to hold; None for any."""
    reverts: RevertStreak | None = None
    """That its last change had to be put back."""

    @property
    def wanted(self) -> frozenset[str]:
        """The keys of the regions it should have."""
        return frozenset(str(region["key"]) for region in self.regions)  # Meta may show numbers

    @property
    def is_change(self) -> bool:
        """Whether something is to be written."""
        return self.result is Result.UPDATED

    def to_result(self, result: Result | None = None, issues: Collection[str] = ()) -> AdSetResult:
        """Return the decision as an outcome: its own, or what the attempt to carry it out has shown."""
        wanted, present = self.wanted, region_keys(self.adset.targeting)
        return AdSetResult(
            id=self.adset.id,
            name=self.adset.name,
            result=result or self.result,
            added=states(wanted - present) if self.is_change else (),
            removed=states(present - wanted) if self.is_change else (),
            ads=len(self.adset.ads),
            issues=self.issues + tuple(issues),
            meta_campaign_id=self.adset.meta_campaign_id,
        )


def decide(
    adset: AdSetSnapshot,
    regions: Sequence[Region],
    unhealthy_ads: Collection[AdFinding],
    replaces: frozenset[str] | None = None,
) -> Decision:
    """Decide for one ad set, given the wanted regions and the ads that are not fit for a change.

    With `replaces`, only an ad set that still has those regions is changed.
    """
    notes = (BEYOND_STATES,) if reaches_beyond_states(adset.targeting) else ()
    decision = Decision(adset, Result.UPDATED, tuple(regions), notes, replaces)
    present = region_keys(adset.targeting)
    if adset.effective_status != "ACTIVE":
        return replace(decision, result=Result.NOT_ACTIVE, issues=(f"Meta says {adset.effective_status}",))
    if unhealthy_ads:
        return replace(decision, result=Result.SKIPPED_PREFLIGHT, issues=tuple(map(str, unhealthy_ads)))
    if conflicts := geo_conflicts(adset.targeting, decision.wanted):
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=conflicts)
    if present == decision.wanted:
        return replace(decision, result=Result.UNCHANGED)
    if replaces is not None and present != replaces:
        issue = "Its states were changed since, by a later run or a person: it stays as it is now"
        return replace(decision, result=Result.NEEDS_ATTENTION, issues=(issue,))
    return decision


def prioritize(
    decisions: Sequence[Decision], previous: PreviousOutcomes, force: Collection[str]
) -> tuple[Decision, ...]:
    """Let what was deferred go first and what was put back last; leave alone what was put back too often.

    Too often is on `REVERTED_TOO_OFTEN` runs in a row for the same states.
    """
    fresh, reverted = [], []
    for decision in sorted(decisions, key=lambda decision: decision.adset.id not in previous.deferred):
        reverts = previous.reverted.get(decision.adset.id)
        if reverts is None or not decision.is_change:
            fresh.append(decision)
        elif (
            reverts.runs >= REVERTED_TOO_OFTEN and reverts.wanted == decision.wanted and "reverted_before" not in force
        ):
            issue = (
                f"It was put back on {reverts.runs} runs in a row for these states, so it is left alone until the "
                'demand changes. See to its ads, then run it with "force": ["reverted_before"]'
            )
            fresh.append(replace(decision, result=Result.NEEDS_ATTENTION, issues=(issue,)))
        else:
            reverted.append(replace(decision, reverts=reverts))
    return (*fresh, *reverted)


def remaining(decisions: Sequence[Decision], completed: Collection[str]) -> tuple[Decision, ...]:
    """Leave out the ad sets, given by id, that this run has done with in an earlier invocation."""
    return tuple(decision for decision in decisions if decision.adset.id not in completed)


def hold(decisions: Sequence[Decision], still_open: Collection[str]) -> tuple[Decision, ...]:
    """Hold back every ad set, given by id, with an earlier change that is neither finished nor undone."""
    issue = "An earlier change of it is still open, and comes first"
    return tuple(
        replace(decision, result=Result.HELD, issues=(issue,))
        if decision.result in {Result.UPDATED, Result.UNCHANGED} and decision.adset.id in still_open
        else decision
        for decision in decisions
    )


def refuse_implausible(decisions: Sequence[Decision], limits: Limits, force: Collection[str]) -> None:
    """Refuse a plan that would take away too large a share of the states a campaign targets now.

    A feed that has lost most of its states looks like a feed that has lost its mind; the all-zero answer is only its
    extreme. With fewer than `PERCENT_COUNTS_FROM` targeted states nothing is refused.

    Raises
    ------
    PlanRefusedError
        With the figures, and how to have the plan carried out all the same.
    """
    considered = [decision for decision in decisions if decision.result in {Result.UPDATED, Result.UNCHANGED}]
    targeted = frozenset[str]().union(*(region_keys(decision.adset.targeting) for decision in considered))
    wanted = {region["key"] for decision in considered for region in decision.regions}
    removed = targeted - wanted
    if len(targeted) < PERCENT_COUNTS_FROM or "max_removed_pct" in force:
        return
    share = 100 * len(removed) / len(targeted)
    if share > limits.max_removed_pct:
        raise PlanRefusedError(
            f"The demand would take away {len(removed)} of the {len(targeted)} states targeted now "
            f"({share:.0f} % > {limits.max_removed_pct:g} %): {', '.join(states(removed))}. If that is right, run it "
            'with "force": ["max_removed_pct"]; if not, ask CLOSRTECH'
        )


def defer_beyond(decisions: Sequence[Decision], most: int | None) -> tuple[Decision, ...]:
    """Leave all changes after the first `most` for the next run."""
    if most is None:
        return tuple(decisions)
    changes = [decision for decision in decisions if decision.is_change]
    late = {decision.adset.id for decision in changes[most:]}
    return tuple(
        replace(decision, result=Result.DEFERRED, issues=(f"max_adsets allows {most} changes a run",))
        if decision.adset.id in late
        else decision
        for decision in decisions
    )
