"""Which scheduled syncs mail their report, and what their reports sum up."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, ReportedFailures, UnexplainedPause
from closrads.domain.mail_policy import (
    LOOKBACK_DAYS,
    MAX_FAILURES,
    REPEATED_AFTER,
    failures_of,
    is_recheck_due,
    lookback_start,
    plan_report,
    reported_with,
    without_later_reports,
)
from closrads.domain.request import Action
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.runs import RunRecord
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport

NEW_YORK = ZoneInfo("America/New_York")
MIDNIGHT = datetime(2026, 5, 4, tzinfo=NEW_YORK)
VETERANS = SyncReport("veterans", "Veterans", dry_run=False, adsets=(AdSetResult("1", "Broad", Result.UNCHANGED),))


def sync(hour: float, campaign: SyncReport = VETERANS, mail: MailOutcome = MailOutcome.NOT_ASKED) -> RunRecord:
    """Return a scheduled sync so many hours after the day's midnight."""
    at = MIDNIGHT + timedelta(hours=hour)
    result = RunResult(f"{hour}", Action.SYNC, dry_run=False, started_at=at, duration_ms=1, campaigns=(campaign,))
    return RunRecord(result.run_id, Action.SYNC, ("veterans",), at, at, replace(result, mail=mail), scheduled=at)


def told(hour: float, campaign: SyncReport = VETERANS) -> RunRecord:
    """Return one that has mailed."""
    return sync(hour, campaign, MailOutcome.SENT)


def is_due(now: RunRecord, *earlier: RunRecord) -> bool:
    """Tell whether the report of a run is due; the earlier ones are given newest first."""
    assert now.result is not None
    assert now.scheduled is not None
    return plan_report(now.result, now.scheduled, earlier, NEW_YORK).is_due


def summed_up(now: RunRecord, *earlier: RunRecord) -> list[str]:
    """Return the ids of the runs that its report sums up."""
    assert now.result is not None
    assert now.scheduled is not None
    plan = plan_report(now.result, now.scheduled, earlier, NEW_YORK)
    assert plan.is_due
    return [result.run_id for result in plan.earlier]


def with_adset(result: Result, *issues: str, adset_id: str = "1") -> SyncReport:
    """Return a campaign with an ad set that has come to this."""
    return replace(VETERANS, adsets=(AdSetResult(adset_id, "Broad", result, issues=issues),))


def recovered(found: ChangeState, state: ChangeState, *issues: str) -> SyncReport:
    """Return a campaign with an earlier run's change."""
    return replace(VETERANS, recovered=(Recovery("r", "1", "Broad", found, state, issues),))


OPEN = recovered(ChangeState.WRITTEN, ChangeState.WRITTEN)
OFF = UnexplainedPause("1", "Broad", {"7": "Video"}, MIDNIGHT)
TOLD_BEFORE = with_adset(Result.ROLLBACK_FAILED, "broken again")
NEWS = {
    "a change": (VETERANS, with_adset(Result.UPDATED)),
    "a rollback": (VETERANS, with_adset(Result.REVERTED)),
    "one that failed again": (with_adset(Result.ROLLBACK_FAILED), with_adset(Result.ROLLBACK_FAILED)),
    "finished for an earlier run": (OPEN, recovered(ChangeState.WRITTEN, ChangeState.VERIFIED)),
    "an open change": (VETERANS, OPEN),
    "another state of it": (OPEN, recovered(ChangeState.WRITTEN, ChangeState.ROLLBACK_FAILED)),
    "a broken ad": (VETERANS, with_adset(Result.SKIPPED_PREFLIGHT, "broken")),
    "a broken ad of another ad set": (
        with_adset(Result.SKIPPED_PREFLIGHT, "broken"),
        with_adset(Result.SKIPPED_PREFLIGHT, "broken", adset_id="2"),
    ),
    "another issue": (with_adset(Result.SKIPPED_PREFLIGHT, "broken"), with_adset(Result.SKIPPED_PREFLIGHT, "gone")),
    "an issue of an ad set that is as wanted": (VETERANS, with_adset(Result.UNCHANGED, "reaches beyond")),
    "an ad set with issues": (VETERANS, with_adset(Result.NOT_ACTIVE, "Meta says WITH_ISSUES")),
    "a failure": (VETERANS, with_adset(Result.FAILED, "no")),
    "the campaign's failure": (VETERANS, replace(VETERANS, campaign_errors=("CLOSRTECH does not answer",))),
    "another one": (
        replace(VETERANS, campaign_errors=("CLOSRTECH does not answer",)),
        replace(VETERANS, campaign_errors=("Meta does not answer",)),
    ),
    "a state that is none": (VETERANS, replace(VETERANS, unmapped_states=("PR",))),
    "an ad that is off": (
        VETERANS,
        replace(VETERANS, unexplained=(OFF,)),
    ),
    "an ad that was switched on again": (
        replace(VETERANS, unexplained=(OFF,)),
        replace(VETERANS, unexplained=(replace(OFF, switched_on=frozenset({"7"})),)),
    ),
    "a count that has begun anew": (VETERANS, replace(VETERANS, counts_anew=True)),
    "put off": (VETERANS, with_adset(Result.DEFERRED, "quota")),
    "a pattern that names no ad set": (VETERANS, replace(VETERANS, unmatched_patterns=("Test*",))),
    "shown outside its states": (
        VETERANS,
        replace(VETERANS, adsets=(replace(VETERANS.adsets[0], reaches_beyond=True),)),
    ),
    "no ad set": (VETERANS, replace(VETERANS, adsets=())),
    "failures of which only the number is kept": (
        replace(VETERANS, adsets=(), omitted={Result.FAILED: 1}),
        replace(VETERANS, adsets=(), omitted={Result.FAILED: 2}),
    ),
}
"""What the last report has told, and what there is now."""
NO_NEWS = {
    "all as before": (VETERANS, VETERANS),
    "trouble that is over": (with_adset(Result.SKIPPED_PREFLIGHT, "broken"), VETERANS),
    "the same but for a number": (
        replace(VETERANS, campaign_errors=("again in 12 minutes",)),
        replace(VETERANS, campaign_errors=("again in 7 minutes",)),
    ),
    "others put off": (with_adset(Result.DEFERRED), with_adset(Result.HELD, adset_id="2")),
    "in process": (VETERANS, with_adset(Result.NOT_ACTIVE, "Meta says IN_PROCESS")),
    "never touched": (VETERANS, with_adset(Result.OPTED_OUT, "Test*")),
    "put back in vain, as was told": (
        TOLD_BEFORE,
        replace(TOLD_BEFORE, adsets=(replace(TOLD_BEFORE.adsets[0], is_reported=True),)),
    ),
    "at its end": (VETERANS, with_adset(Result.ENDED)),
    "left to another run": (VETERANS, replace(VETERANS, adsets=(), left_to="20260504T103000Z-00000000")),
    "only numbers, and nothing wrong": (VETERANS, replace(VETERANS, adsets=(), omitted={Result.UNCHANGED: 9})),
}


class TestLaterOnADay:
    """The daily report is out."""

    @pytest.mark.parametrize("name", NEWS)
    def test_news(self, name: str) -> None:
        """It is mailed, and once it was, it is news no more, unless it is a change."""
        before, now = NEWS[name]

        assert is_due(sync(9, now), told(8, before))
        is_change = name in {"a change", "a rollback", "one that failed again", "finished for an earlier run"}
        assert is_due(sync(10, now), told(9, now), told(8, before)) == is_change

    @pytest.mark.parametrize("name", NO_NEWS)
    def test_no_news(self, name: str) -> None:
        """Nobody is bothered."""
        before, now = NO_NEWS[name]

        assert not is_due(sync(9, now), told(8, before))

    def test_a_pause_and_a_setting_without_effect(self) -> None:
        """They are the whole run's."""
        off = SwitchedOff(MIDNIGHT)
        record = sync(9)
        assert record.result is not None
        for result in (replace(record.result, switched_off=(off,)), replace(record.result, notices=("no effect",))):
            now, before = (
                replace(record, result=result),
                replace(told(8), result=replace(result, mail=MailOutcome.SENT)),
            )
            assert is_due(now, told(8))
            assert not is_due(now, before)

    def test_trouble_that_was_away_for_a_while_is_news_again(self) -> None:
        """Somebody has mended it, and it is broken once more."""
        ill = with_adset(Result.SKIPPED_PREFLIGHT, "broken")

        assert not is_due(sync(10, ill), sync(9, ill), told(8, ill))
        assert is_due(sync(10, ill), sync(9), told(8, ill))

    def test_changes_whose_mail_was_lost_are_told_by_the_next_run(self) -> None:
        """Oldest first; there is nothing to make up for without changes, or if no mail was to be sent."""
        changed = with_adset(Result.UPDATED)
        lost = [
            sync(11, mail=MailOutcome.FAILED),
            sync(10, changed, MailOutcome.FAILED),
            sync(9.5, changed, MailOutcome.NOT_ASKED),
            sync(9, changed, MailOutcome.FAILED),
        ]

        assert summed_up(sync(12), *lost, told(8, changed)) == ["9", "10"]
        assert not is_due(sync(12), lost[0], told(8, changed))
        assert summed_up(sync(12, changed), lost[0], told(8)) == []

    @pytest.mark.parametrize("mail", [MailOutcome.SENT, MailOutcome.NOT_CONFIGURED])
    def test_a_report_in_the_log_is_one(self, mail: MailOutcome) -> None:
        """As without an address there is no other."""
        assert not is_due(sync(9), sync(8, mail=mail))

    def test_no_more_runs_are_asked_for_than_are_needed(self) -> None:
        """The ledger hands them out page by page."""

        def runs() -> Iterator[RunRecord]:
            yield sync(10)
            yield told(9)
            pytest.fail("asked for more")

        now = sync(11)
        assert now.result is not None
        assert now.scheduled is not None
        assert not plan_report(now.result, now.scheduled, runs(), NEW_YORK).is_due


class TestTheFirstOfADay:
    """It is always mailed."""

    def test_what_does_not_count(self) -> None:
        """A run of another kind, one that died, one that is scheduled later or at the same time, a mail that failed."""
        by_hand = replace(told(8), scheduled=None)
        died = replace(told(7), result=None)
        failed = sync(6, mail=MailOutcome.FAILED)

        assert summed_up(sync(9), told(10), told(9), by_hand, died, failed) == ["6"]

    def test_it_sums_up_what_came_after_the_last_one(self) -> None:
        """Oldest first; the days before that are over."""
        yesterday = [sync(-1), told(-3), sync(-4), told(-20), sync(-21, mail=MailOutcome.FAILED)]

        assert summed_up(sync(1), *yesterday, told(-25), sync(-26)) == ["-4", "-3", "-1"]

    def test_of_a_day_without_any_report_all_is_summed_up(self) -> None:
        """No mail has told of it."""
        assert summed_up(sync(1), sync(-1), sync(-2)) == ["-2", "-1"]

    @pytest.mark.parametrize("hours", [24, 23.5, 24.5])
    def test_of_a_daily_schedule_nothing_is_summed_up(self, hours: float) -> None:
        """The run of the day before has told everything itself."""
        assert summed_up(sync(6.5), told(6.5 - hours)) == []

    @given(st.integers(0, 60 * 24 * 400))
    def test_it_lookback_start_a_midnight(self, minutes: int) -> None:
        """In the schedule's time zone, also when the clocks change."""
        moment = MIDNIGHT + timedelta(minutes=minutes)
        asked = lookback_start(moment, NEW_YORK)
        since = asked.astimezone(NEW_YORK)

        assert asked.tzinfo is UTC  # as the ledger sorts runs
        assert (since.hour, since.minute) == (0, 0)
        assert (moment.date() - since.date()).days == LOOKBACK_DAYS


def is_told(campaign: SyncReport, before: ReportedFailures | None, now: datetime = MIDNIGHT) -> bool:
    """Tell whether the report of a recheck that found this is due, after reports that have named some failures."""
    recheck = RunResult("run", Action.RECHECK, dry_run=False, started_at=now, duration_ms=1, campaigns=(campaign,))
    return is_recheck_due(recheck, {"veterans": before} if before else {}, now)


NOT_CHECKED = {
    "the campaign's failure": replace(VETERANS, campaign_errors=("Meta does not answer",)),
    "too little time": with_adset(Result.DEFERRED, "quota"),
    "an answer that nobody understands": with_adset(Result.UNVERIFIED, "new word"),
    "an open change that stays so": OPEN,
}
"""What keeps a recheck from looking at everything."""
ROLLBACK_FAILED = ChangeState.ROLLBACK_FAILED


class TestRechecks:
    """Half an hour after half an hour, what fails may be the same."""

    def test_all_well(self) -> None:
        """Nobody is bothered."""
        assert not is_told(VETERANS, None)

    @pytest.mark.parametrize("name", NOT_CHECKED)
    def test_what_lasts_is_told_once_a_day(self, name: str) -> None:
        """It is news when it begins."""
        failing, day = NOT_CHECKED[name], REPEATED_AFTER
        told_of = reported_with(None, failing, MIDNIGHT)

        assert is_told(failing, None)
        assert not is_told(failing, told_of)
        assert not is_told(failing, told_of, MIDNIGHT + day - timedelta(minutes=1))
        assert is_told(failing, told_of, MIDNIGHT + day)

    @pytest.mark.parametrize(
        ("report", "is_known"),
        [
            pytest.param(sync(1, mail=MailOutcome.SENT), False, id="a sync has said that all is well"),
            pytest.param(sync(1, mail=MailOutcome.NOT_CONFIGURED), False, id="or written so into the log"),
            pytest.param(sync(-1, mail=MailOutcome.SENT), True, id="it had said so before"),
            pytest.param(sync(1), True, id="it said nothing"),
            pytest.param(sync(1, mail=MailOutcome.FAILED), True, id="nobody heard it"),
            pytest.param(sync(1, replace(VETERANS, slug="truckers"), MailOutcome.SENT), True, id="of others"),
        ],
    )
    def test_after_another_report_it_is_news_again(self, report: RunRecord, *, is_known: bool) -> None:
        """Otherwise what lasts would look as if it were over."""
        named = {"veterans": reported_with(None, NOT_CHECKED["too little time"], MIDNIGHT)}

        assert report.result is not None
        assert bool(without_later_reports(named, [report.result])) is is_known
        recheck = replace(report.result, action=Action.RECHECK)
        assert without_later_reports(named, [recheck]) == named

    def test_a_report_counts_from_when_its_run_ended(self) -> None:
        """What was named at that very moment may have been named before."""
        named = {"veterans": reported_with(None, NOT_CHECKED["too little time"], MIDNIGHT)}
        began = MIDNIGHT - timedelta(minutes=5)
        report = RunResult(
            "1", Action.SYNC, dry_run=False, started_at=began, duration_ms=300_000, campaigns=(VETERANS,)
        )
        report = replace(report, mail=MailOutcome.SENT)

        assert without_later_reports(named, [report]) == {}
        assert without_later_reports(named, [replace(report, duration_ms=299_999)]) == named

    def test_it_hides_nothing_else(self) -> None:
        """Nor another failure of another kind."""
        before = reported_with(None, NOT_CHECKED["too little time"], MIDNIGHT)
        deferred = NOT_CHECKED["too little time"].adsets
        reverted = AdSetResult("2", "Narrow", Result.REVERTED)
        finished = recovered(ChangeState.WRITTEN, ChangeState.VERIFIED).recovered

        assert not is_told(replace(VETERANS, adsets=deferred), before)
        assert is_told(replace(VETERANS, adsets=(*deferred, reverted)), before)
        assert is_told(replace(VETERANS, adsets=deferred, recovered=finished), before)
        for other in ("the campaign's failure", "an open change that stays so"):
            assert is_told(replace(NOT_CHECKED[other], adsets=deferred), before)

    @pytest.mark.parametrize(
        ("found", "state", "is_failure"),
        [
            (ChangeState.WRITTEN, ChangeState.WRITTEN, True),
            (ChangeState.WRITTEN, ChangeState.VERIFIED, False),
            (ChangeState.WRITTEN, ROLLBACK_FAILED, False),
            (ROLLBACK_FAILED, ROLLBACK_FAILED, False),
        ],
    )
    def test_an_open_change_fails_if_it_comes_no_further(
        self, found: ChangeState, state: ChangeState, *, is_failure: bool
    ) -> None:
        """That a rollback has failed is remembered with the change."""
        assert bool(failures_of(recovered(found, state))) is is_failure

    def test_two_failures_that_take_turns_are_known_both(self) -> None:
        """They would be news each time."""
        one, other = NOT_CHECKED["too little time"], NOT_CHECKED["an answer that nobody understands"]
        first = reported_with(None, one, MIDNIGHT)
        both = reported_with(first, other, MIDNIGHT + REPEATED_AFTER / 2)
        a_day_later = reported_with(first, other, MIDNIGHT + REPEATED_AFTER)

        assert both == ReportedFailures(MIDNIGHT + REPEATED_AFTER / 2, failures_of(one) | failures_of(other))
        assert a_day_later.failures == failures_of(other)

    @pytest.mark.parametrize(("number", "are_all_known"), [(MAX_FAILURES // 2, True), (MAX_FAILURES // 2 + 1, False)])
    def test_the_memory_does_not_grow_for_ever(self, number: int, *, are_all_known: bool) -> None:
        """What one report has named is kept whole, as it may be the same the next time."""
        one, other = (
            replace(
                VETERANS,
                adsets=tuple(AdSetResult(f"{kind}{each}", "A", Result.UNVERIFIED) for each in range(number)),
            )
            for kind in "ab"
        )
        first = reported_with(None, one, MIDNIGHT)
        second = reported_with(first, other, MIDNIGHT)

        assert len(first.failures) == number
        assert second.failures == failures_of(other) | (first.failures if are_all_known else frozenset())

    def test_numbers_make_no_other_reason_but_ids_do(self) -> None:
        """A message may have minutes in it."""
        known = reported_with(None, with_adset(Result.DEFERRED, "Again in 5 min"), MIDNIGHT)

        assert not is_told(with_adset(Result.DEFERRED, "Again in 35 min"), known)
        assert is_told(with_adset(Result.DEFERRED, "Again in 5 min", adset_id="2"), known)
