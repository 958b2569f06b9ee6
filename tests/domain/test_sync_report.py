"""What a run did with one campaign: counts and errors."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import Result
from closrads.domain.changes import ChangeState
from tests.domain.built_results import PAUSE, adset, recovery, report


class TestCounts:
    """Every count comes from the list of results."""

    @given(st.lists(st.sampled_from(Result), max_size=12))
    def test_each_ad_set_is_counted_once(self, found: Sequence[Result]) -> None:
        """What was active is the sum of all that became of it."""
        counts = report(*map(adset, found)).counts()

        processed = counts.pop("adsets_processed")
        not_to_be_changed = counts["adsets_not_active"] + counts["adsets_ended"] + counts["adsets_opted_out"]
        assert sum(counts.values()) == len(found)
        assert processed + not_to_be_changed == len(found)

    @pytest.mark.parametrize("result", Result)
    def test_each_result_has_its_count(self, result: Result) -> None:
        """A new result would be counted nowhere, and the report's figures would not add up."""
        counts = report(adset(result)).counts()

        assert [name for name, count in counts.items() if count and name != "adsets_processed"] == [
            {
                Result.UPDATED: "adsets_updated",
                Result.UNCHANGED: "adsets_skipped",
                Result.SKIPPED_PREFLIGHT: "adsets_skipped_preflight",
                Result.NEEDS_ATTENTION: "adsets_needs_attention",
                Result.NOT_ACTIVE: "adsets_not_active",
                Result.ENDED: "adsets_ended",
                Result.OPTED_OUT: "adsets_opted_out",
                Result.DEFERRED: "adsets_deferred",
                Result.HELD: "adsets_held",
                Result.REVERTED: "adsets_reverted",
            }.get(result, "adsets_failed")
        ]


class TestErrors:
    """What makes a campaign a failure."""

    @pytest.mark.parametrize("result", Result)
    def test_only_these_results_are_errors(self, result: Result) -> None:
        """Skipped, reverted and deferred ad sets are reported, and no failure."""
        found = report(adset(result, "Meta says so"))

        is_error = result in {Result.FAILED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED}
        assert found.errors == ((f"Broad (501): {result}: Meta says so",) if is_error else ())
        assert found.success is not is_error

    @pytest.mark.parametrize("state", ChangeState)
    def test_a_change_that_stays_open_is_an_error_until_it_is_closed(self, state: ChangeState) -> None:
        """Nothing open is silent; a dry run has left it as it was, and only tells of it."""
        found = recovery(ChangeState.WRITTEN, state)

        assert bool(report(recovered=(found,)).errors) is state.is_open
        assert report(recovered=(found,), dry_run=True).errors == ()

    def test_the_campaigns_own_errors_come_first(self) -> None:
        """Why it was aborted says more than what became of one ad set."""
        found = report(adset(Result.FAILED), campaign_errors=("The token is dead",))

        assert found.errors == ("The token is dead", "Broad (501): failed")

    def test_an_unexplained_pause_is_told_and_is_no_failure(self) -> None:
        """It may well be a person's."""
        found = report(unexplained=(PAUSE,))

        assert (found.success, found.errors) == (True, ())
