"""The result of a run for one campaign."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from closrads.domain.adset_results import ERROR_RESULTS, AdSetResult, Recovery, Result
from closrads.domain.changes import UnexplainedPause
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.json_fields import fields_of
from closrads.domain.switches import SwitchedOff
from closrads.state_mapper import is_unreadable

_COUNTED_RESULTS = {
    "adsets_updated": Result.UPDATED,
    "adsets_skipped": Result.UNCHANGED,
    "adsets_skipped_preflight": Result.SKIPPED_PREFLIGHT,
    "adsets_reverted": Result.REVERTED,
    "adsets_deferred": Result.DEFERRED,
    "adsets_held": Result.HELD,
    "adsets_needs_attention": Result.NEEDS_ATTENTION,
    "adsets_not_active": Result.NOT_ACTIVE,
    "adsets_ended": Result.ENDED,
    "adsets_opted_out": Result.OPTED_OUT,
    "adsets_failed": Result.FAILED,
}
"""Each result by the name of its count; `adsets_failed` counts all `ERROR_RESULTS`."""
COUNTS = ("adsets_processed", *_COUNTED_RESULTS)
"""The names of all counts."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of one campaign. All counts are derived from `adsets`, or from `omitted` if it was left out."""

    slug: str
    campaign_name: str
    dry_run: bool
    adsets: tuple[AdSetResult, ...] = ()
    active_states: tuple[str, ...] = ()
    """USPS codes of the wanted states: those with a demand of at least `min_demand`."""
    unmapped_states: tuple[str, ...] = ()
    """Entries with demand that Meta has no region for, as CLOSRTECH names them."""
    below_min_demand: tuple[str, ...] = ()
    """USPS codes of the states whose demand is too small to count."""
    waiting: tuple[WaitingState, ...] = ()
    """The states that are not added to or removed from ad sets yet."""
    counts_anew: bool = False
    """Whether the history of the demand was unreadable, so that states start to wait again."""
    states_before: tuple[str, ...] = ()
    """USPS codes of the states that any running ad set targeted when a sync read them; empty if none was read."""
    campaign_errors: tuple[str, ...] = ()
    """Why the campaign was aborted, refused or stopped."""
    refused: str = ""
    """Why none of an approved plan was started in it, because the plan has changed; empty otherwise. Not an error."""
    recovered: tuple[Recovery, ...] = ()
    unexplained: tuple[UnexplainedPause, ...] = ()
    """Ads that were paused since an earlier change by an unknown actor."""
    about_run: str = ""
    """The run that was undone or rechecked."""
    left_to: str = ""
    """The run that holds this campaign, so that this run left it alone; empty if none does."""
    fb_ad_account_id: str = ""
    again_in_seconds: int | None = None
    """Seconds until deferred ad sets can be resumed; None if none lacked time or quota."""
    token_ends: str = ""
    """The last day of the campaign's token, as in `LastRecheck`, in ISO 8601; empty if it is None there."""
    unmatched_patterns: tuple[str, ...] = ()
    """Patterns of `skip_adsets` that no ad set's name matched; empty if the ad sets were not read."""
    switched_off: SwitchedOff | None = None
    """The switch that kept this run from starting any changes, or any more; None if none did."""
    omitted: Mapping[Result, int] = field(default_factory=dict)
    """Number of ad sets by result, if `adsets` was too large and left out; all errors count as FAILED."""

    @classmethod
    def from_json(cls, campaign: Mapping[str, Any]) -> Self:
        """Return the report from a campaign's JSON object, to which its `recovered` and `unexplained` have been added.

        `campaign_errors`, if not given, are `errors` without those of ad sets and open changes, which come last.

        Raises
        ------
        KeyError, TypeError, ValueError
            A key without a default is missing, or a value is of another kind.
        """
        listed = cls(
            **fields_of(cls, campaign)
            | {
                "adsets": tuple(map(AdSetResult.from_json, campaign.get("adsets", ()))),
                "recovered": tuple(map(Recovery.from_json, campaign.get("recovered", ()))),
                "unexplained": tuple(map(UnexplainedPause.from_json, campaign.get("unexplained", ()))),
                "waiting": tuple(map(WaitingState.from_json, campaign.get("waiting", ()))),
                "switched_off": SwitchedOff.from_json(off) if (off := campaign.get("switched_off")) else None,
            }
        )
        if not listed.adsets:
            counts = {result: int(campaign.get(name, 0)) for name, result in _COUNTED_RESULTS.items()}
            listed = replace(listed, omitted={result: count for result, count in counts.items() if count})
        if "campaign_errors" in campaign:
            return listed
        errors = tuple(campaign.get("errors", ()))
        return replace(listed, campaign_errors=errors[: max(len(errors) - len(listed.errors), 0)])

    def count(self, *results: Result) -> int:
        """Return how many ad sets ended in one of `results`, listed or not."""
        return len(self.with_result(*results)) + sum(n for result, n in self.omitted.items() if result in results)

    def with_result(self, *results: Result) -> tuple[AdSetResult, ...]:
        """Return the ad sets that ended in one of `results`."""
        return tuple(adset for adset in self.adsets if adset.result in results)

    @property
    def adsets_processed(self) -> int:
        """Ad sets that were active and not opted out, whatever their result."""
        return self.count(*Result) - self.adsets_not_active - self.adsets_ended - self.adsets_opted_out

    @property
    def adsets_updated(self) -> int:
        """Ad sets that target the wanted states now, and did not before."""
        return self.count(Result.UPDATED)

    @property
    def adsets_skipped(self) -> int:
        """Ad sets that already targeted the wanted states."""
        return self.count(Result.UNCHANGED)

    @property
    def adsets_skipped_preflight(self) -> int:
        """Ad sets with an ad that was broken before the run."""
        return self.count(Result.SKIPPED_PREFLIGHT)

    @property
    def adsets_reverted(self) -> int:
        """Ad sets that were rolled back."""
        return self.count(Result.REVERTED)

    @property
    def adsets_deferred(self) -> int:
        """Ad sets left for the next run."""
        return self.count(Result.DEFERRED)

    @property
    def adsets_held(self) -> int:
        """Ad sets not started because the campaign was stopped."""
        return self.count(Result.HELD)

    @property
    def adsets_needs_attention(self) -> int:
        """Ad sets that a person has to look at before they can be updated."""
        return self.count(Result.NEEDS_ATTENTION)

    @property
    def adsets_not_active(self) -> int:
        """Ad sets that Meta is still processing or reports issues on."""
        return self.count(Result.NOT_ACTIVE)

    @property
    def adsets_ended(self) -> int:
        """Ad sets whose end date is past."""
        return self.count(Result.ENDED)

    @property
    def adsets_opted_out(self) -> int:
        """Ad sets that are left alone because `skip_adsets` names them."""
        return self.count(Result.OPTED_OUT)

    @property
    def adsets_failed(self) -> int:
        """Ad sets that ended in an error."""
        return self.count(*ERROR_RESULTS)

    @property
    def still_open(self) -> tuple[Recovery, ...]:
        """Earlier changes that are neither finished nor rolled back."""
        return tuple(recovery for recovery in self.recovered if recovery.state.is_open)

    @property
    def ids_still_open(self) -> frozenset[str]:
        """The ids of the ad sets of those changes."""
        return frozenset(change.id for change in self.still_open)

    @property
    def drifts(self) -> tuple[tuple[AdSetResult | Recovery, Drift], ...]:
        """The ad sets and earlier changes with drift, each with its drift."""
        everything: tuple[AdSetResult | Recovery, ...] = (*self.adsets, *self.recovered)
        return tuple((each, each.drift) for each in everything if each.drift)

    @property
    def unreadable_states(self) -> tuple[str, ...]:
        """Entries with demand that may mean any state: with one of them, no state is removed."""
        return tuple(filter(is_unreadable, self.unmapped_states))

    @property
    def errors(self) -> tuple[str, ...]:
        """One line for each error of the campaign itself, each failed ad set, and each change that is still open."""
        failed = [(adset.name, adset.id, str(adset.result), adset.issues) for adset in self.with_result(*ERROR_RESULTS)]
        if not self.dry_run:
            failed += [(change.name, change.id, str(change.state), change.issues) for change in self.still_open]
        return self.campaign_errors + tuple(
            f"{name} ({adset_id}): {word}" + (f": {'; '.join(issues)}" if issues else "")
            for name, adset_id, word, issues in failed
        )

    @property
    def reaching_beyond(self) -> tuple[AdSetResult, ...]:
        """Ad sets that Meta may also show outside their states; unknown in a recheck."""
        return tuple(adset for adset in self.adsets if adset.reaches_beyond)

    def counts(self) -> dict[str, int]:
        """Return every count, by its name."""
        return {name: getattr(self, name) for name in COUNTS}

    @property
    def success(self) -> bool:
        """Whether nothing failed; skipped, reverted and deferred ad sets are not failures."""
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """Return the campaign's JSON object, without its `recovered` and `unexplained`, which stand beside it."""
        return {
            "slug": self.slug,
            "campaign_name": self.campaign_name,
            "fb_ad_account_id": self.fb_ad_account_id,
            "dry_run": self.dry_run,
            "success": self.success,
            **self.counts(),
            "active_states": list(self.active_states),
            "unmapped_states": list(self.unmapped_states),
            "below_min_demand": list(self.below_min_demand),
            "waiting": [state.to_json() for state in self.waiting],
            "counts_anew": self.counts_anew,
            "states_before": list(self.states_before),
            "errors": list(self.errors),
            "refused": self.refused,
            "about_run": self.about_run,
            "left_to": self.left_to,
            "again_in_seconds": self.again_in_seconds,
            "token_ends": self.token_ends,
            "unmatched_patterns": list(self.unmatched_patterns),
            "switched_off": self.switched_off and self.switched_off.to_json(),
            "adsets": [adset.to_json() for adset in self.adsets],
        }
