"""What a run did: totals, what is news, and what the handler returns."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import ERROR_RESULTS, MAX_ISSUES, Result
from closrads.domain.changes import ChangeState
from closrads.domain.damping import WaitingState
from closrads.domain.request import Action
from closrads.domain.results import MAX_RESULT_BYTES, GraphUsage, RunResult, without_details
from closrads.domain.sync_report import SyncReport
from tests.domain.built_results import PAUSE, adset, recovery, report, run
from tests.world import START

results = st.lists(st.sampled_from(Result), max_size=12)


class TestTotals:
    """What is counted over all campaigns."""

    @given(st.lists(results, max_size=3))
    def test_the_totals_are_those_of_all_campaigns(self, found: list[list[Result]]) -> None:
        """And how many campaigns failed."""
        campaigns = [report(*map(adset, each)) for each in found]

        totals = run(*campaigns).totals()

        assert totals["campaigns"] == len(campaigns)
        assert totals["success"] is not bool(totals["campaigns_failed"])
        assert totals["campaigns_failed"] == sum(bool(ERROR_RESULTS & set(each)) for each in found)
        assert totals["adsets_updated"] == sum(each.count(Result.UPDATED) for each in found)

    def test_one_failed_campaign_makes_the_run_a_failure(self) -> None:
        """The others are none the less done."""
        good, bad = report(adset(Result.UPDATED)), report(campaign_errors=("no",))

        assert run(good).success
        assert not run(good, bad).success

    def test_costs_add_up(self) -> None:
        """Of several invocations."""
        assert GraphUsage(1, 2, 3) + GraphUsage(10, 20, 30) == GraphUsage(11, 22, 33)


class TestLearning:
    """Whose learning phase starts anew."""

    @pytest.mark.parametrize("result", Result)
    def test_that_of_each_ad_set_whose_states_were_changed(self, result: Result) -> None:
        """If only for a moment; what ended in an error is told for itself."""
        broad = replace(adset(result), learning_since="")
        changed = result in {Result.UPDATED, Result.REVERTED}

        found = run(report(broad, adset(result)), report(adset(Result.UPDATED)))

        assert found.restarts_learning == 1 + 2 * changed
        assert found.still_learning == (broad,) * changed
        assert found.to_json()["restarts_learning"] == found.restarts_learning

    def test_not_that_of_what_a_recheck_puts_back(self) -> None:
        """Since the change that it puts back it has been in it."""
        assert run(report(adset(Result.REVERTED)), action=Action.RECHECK).restarts_learning == 0

    def test_a_result_without_details_still_has_the_number(self) -> None:
        """But not who they are."""
        kept = RunResult.from_json(without_details(run(report(adset(Result.UPDATED))).to_json()))

        assert (kept.restarts_learning, kept.still_learning) == (1, ())


class TestNews:
    """Whether a person should hear of a run."""

    def test_every_sync_and_undo_is_news(self) -> None:
        """Silence would look like a run that did not happen."""
        assert run().is_news
        assert run(action=Action.UNDO).is_news

    def test_what_another_run_does_is_not(self) -> None:
        """That one sends its own report."""
        assert not run(left_to="other").is_news

    @pytest.mark.parametrize(
        ("campaign", "is_news"),
        [
            pytest.param(report(adset(Result.UNCHANGED)), False, id="all as it was"),
            pytest.param(report(adset(Result.UNCHANGED, "an ad is in review")), True, id="something to say"),
            pytest.param(report(adset(Result.REVERTED)), True, id="put back"),
            pytest.param(report(campaign_errors=("The token is dead",)), True, id="could not look"),
            pytest.param(report(unexplained=(PAUSE,)), True, id="an ad is off, and nobody was told"),
            pytest.param(report(unexplained=(replace(PAUSE, is_reported=True),)), False, id="an ad is off as before"),
            pytest.param(
                report(recovered=(recovery(ChangeState.WRITTEN, ChangeState.VERIFIED),)), True, id="finished something"
            ),
            pytest.param(
                report(recovered=(recovery(ChangeState.WRITTEN, ChangeState.ROLLBACK_FAILED),)), True, id="failed at it"
            ),
            pytest.param(
                report(recovered=(recovery(*[ChangeState.ROLLBACK_FAILED] * 2),)),
                True,
                id="failed, and nobody was told",
            ),
            pytest.param(
                report(recovered=(replace(recovery(*[ChangeState.ROLLBACK_FAILED] * 2), is_reported=True),)),
                False,
                id="failed as before",
            ),
            pytest.param(
                report(recovered=(recovery(ChangeState.ROLLBACK_FAILED, ChangeState.ROLLED_BACK),)),
                True,
                id="got there in the end",
            ),
        ],
    )
    def test_a_recheck_is_news_only_with_news(self, campaign: SyncReport, *, is_news: bool) -> None:
        """There are many of them a day; a dry one was asked for by somebody."""
        quiet = report()

        assert run(quiet, campaign, action=Action.RECHECK).is_news is is_news
        assert run(quiet, campaign, action=Action.RECHECK, dry_run=True).is_news


class TestJson:
    """What the handler returns."""

    def test_it_has_all_that_was_done(self) -> None:
        """As plain JSON, with what is told of pauses that nobody can explain."""
        recovered = recovery(ChangeState.WRITTEN, ChangeState.VERIFIED, "fine")
        whole = run(report(adset(Result.UPDATED), recovered=(recovered,), unexplained=(PAUSE,)), force=frozenset("ba"))

        answer = json.loads(json.dumps(whole.to_json()))

        assert (answer["started_at"], answer["action"], answer["success"]) == ("2026-05-04T10:30:00.000Z", "sync", True)
        assert answer["force"] == ["a", "b"]
        assert answer["campaigns"][0]["adsets"][0]["result"] == "updated"
        assert answer["campaigns"][0]["success"] is True
        (found,) = answer["recovered"]
        assert (found["campaign"], found["state"], found["issues"]) == ("veterans", "verified", ["fine"])
        assert answer["unexplained"] == [
            {
                "adset_id": "501",
                "adset_name": "Broad",
                "ads": [{"id": "601", "name": "Spring"}],
                "since": START.isoformat(),
                "switched_on": [],
                "campaign": "veterans",
            }
        ]

    def test_one_that_is_too_large_keeps_its_counts_and_first_errors(self) -> None:
        """Lambda takes six megabytes, and the invocation must not fail for its answer."""
        adsets = [adset(Result.FAILED, *["x" * 600] * MAX_ISSUES) for _ in range(1_200)]
        assert len(json.dumps([each.issues for each in adsets])) > MAX_RESULT_BYTES

        answer = run(report(*adsets, unexplained=(PAUSE,))).to_json()

        (campaign,) = answer["campaigns"]
        assert (campaign["adsets_failed"], campaign["adsets"], len(campaign["errors"])) == (1_200, [], MAX_ISSUES)
        assert (answer["recovered"], answer["unexplained"]) == ([], [])
        assert len(json.dumps(answer)) < 20_000

    def test_one_that_just_fits_keeps_its_details(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """To the byte."""
        whole = run(report(adset()))
        answer = whole.to_json()
        size = len(json.dumps(answer))

        monkeypatch.setattr("closrads.domain.results.MAX_RESULT_BYTES", size)
        assert whole.to_json() == answer
        monkeypatch.setattr("closrads.domain.results.MAX_RESULT_BYTES", size - 1)
        assert whole.to_json() == without_details(answer)

    def test_without_details_the_result_itself_stays_as_it_is(self) -> None:
        """Whoever holds it still has them."""
        waiting = WaitingState("FL", is_wanted=True, since=START.date(), due=START.date())
        answer = run(report(adset(), waiting=(waiting,))).to_json()

        (campaign,) = without_details(answer)["campaigns"]
        assert (campaign["adsets"], campaign["waiting"]) == ([], [])
        assert len(answer["campaigns"][0]["adsets"]) == 1


def test_a_run_tells_its_time_in_milliseconds() -> None:
    """As JSON has no finer use for it."""
    assert run(started_at=START + timedelta(microseconds=1_234)).to_json()["started_at"] == "2026-05-04T10:30:00.001Z"
