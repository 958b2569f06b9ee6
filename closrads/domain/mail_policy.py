"""PURE: which runs mail their report: the first scheduled sync of each day, and later syncs and rechecks with news."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import dropwhile
from zoneinfo import ZoneInfo

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, ReportedFailures
from closrads.domain.request import Action
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.runs import RunRecord
from closrads.domain.sync_report import SyncReport

LOOKBACK_DAYS = 1
"""Number of days, before the day of a run in local time, whose syncs the run is compared with."""
_WRITTEN = frozenset(
    {Result.UPDATED, Result.REVERTED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED}
)  # fmt: skip
"""Results of ad sets whose targeting the run has written, or tried to."""
REPEATED_AFTER = timedelta(days=1)
"""Time after which a failure that persists is reported again by a recheck."""
MAX_FAILURES = 2_000
"""Maximum number of failures of a campaign that are remembered; beyond it, only those of its last report are."""
_FAILURE_CHARS = 12
"""Length of a failure's hash, in hexadecimal digits."""
_NOT_CHECKED = (Result.DEFERRED, Result.UNVERIFIED)
"""Results of ad sets that a recheck could not check."""
_CALM = frozenset({Result.UPDATED, Result.UNCHANGED, Result.ENDED, Result.OPTED_OUT})
"""Results that need no action, unless the ad set has an issue."""
_PUT_OFF = frozenset({Result.DEFERRED, Result.HELD})
_IN_PROCESS = ("Meta says IN_PROCESS",)
_NUMBER = re.compile(r"\d+")
Problem = tuple[str, ...]
"""Identifies a problem; equal for the same problem in two runs."""


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """Whether the report of a run is mailed, and which earlier runs it sums up."""

    is_due: bool = True
    earlier: tuple[RunResult, ...] = ()
    """The results of the scheduled syncs that it sums up, oldest first.

    For a daily report, those since the last one; for any other, those whose own mail could not be sent.
    """


def lookback_start(scheduled: datetime, timezone: ZoneInfo) -> datetime:
    """Return the start of the period whose runs are needed to plan the report of a run."""
    day = _day(scheduled, timezone) - timedelta(days=LOOKBACK_DAYS)
    return datetime.combine(day, time.min, timezone).astimezone(UTC)


def plan_report(result: RunResult, scheduled: datetime, runs: Iterable[RunRecord], timezone: ZoneInfo) -> ReportPlan:
    """Return whether the report of a scheduled sync is due, and what it sums up.

    The first report of a day, in local time, is always due: it sums up the syncs since the previous daily report. A
    later one is due if this run has changed anything, or if an earlier run has whose report could not be sent. It is
    also due if there is a problem that the last report did not name, or that was absent from a run in between.

    Parameters
    ----------
    result
        As it will be recorded, redacted.
    runs
        The runs in the ledger since `lookback_start`, newest first; only as many as needed are read.
    """
    today, unsent, before = _day(scheduled, timezone), list[RunResult](), list[RunResult]()
    last_day: date | None = None
    for at, earlier in _syncs(runs, scheduled):
        day = _day(at, timezone)
        if day == today and _was_sent(earlier):
            known = frozenset(_problems(earlier)).intersection(*map(_problems, unsent))
            failed = (each for each in reversed(unsent) if each.mail is MailOutcome.FAILED)
            lost = tuple(each for each in failed if any(map(_number_written, each.campaigns)))
            is_due = bool(lost) or _has_changes(result) or not known.issuperset(_problems(result))
            return ReportPlan(is_due, lost)
        if day == today:
            unsent.append(earlier)
        elif last_day in {None, day}:
            last_day = day
            before.append(earlier)
        else:
            break
    return ReportPlan(earlier=(*_after_the_daily_report(before[::-1]), *reversed(unsent)))


def _syncs(runs: Iterable[RunRecord], scheduled: datetime) -> Iterator[tuple[datetime, RunResult]]:
    """Yield the completed earlier scheduled syncs of all campaigns, with their scheduled times."""
    for run in runs:
        if run.scheduled is not None and run.scheduled < scheduled and run.result is not None:
            yield run.scheduled, run.result


def _after_the_daily_report(results: Sequence[RunResult]) -> Iterator[RunResult]:
    """Yield the results of a day that came after its daily report."""
    after = list(dropwhile(lambda result: not _was_sent(result), results))
    yield from after[1:] if after else results


def _day(moment: datetime, timezone: ZoneInfo) -> date:
    return moment.astimezone(timezone).date()


def _was_sent(result: RunResult) -> bool:
    """Return whether the report of a run was sent, by mail or to the log."""
    return result.mail in {MailOutcome.SENT, MailOutcome.NOT_CONFIGURED}


# --- news


def _has_changes(result: RunResult) -> bool:
    """Return whether a run changed anything, or finished or rolled back an earlier run's change."""
    finished = (not each.state.is_open for campaign in result.campaigns for each in campaign.recovered)
    return any(finished) or any(map(_number_written, result.campaigns))


def _number_written(campaign: SyncReport) -> int:
    """Return the number of ad sets that were written, excluding repeated attempts that a report has named."""
    tried_again = sum(adset.is_reported for adset in campaign.with_result(*_WRITTEN))
    return campaign.count(*_WRITTEN) - tried_again


def _problems(result: RunResult) -> Iterator[Problem]:
    """Yield every problem that remains at the end of a run."""
    yield from (("off", switch.slug, switch.since.isoformat()) for switch in result.switched_off)
    yield from (("notice", notice) for notice in result.notices)
    for campaign in result.campaigns:
        yield from ((campaign.slug, *problem) for problem in _problems_of(campaign))


def _problems_of(campaign: SyncReport) -> Iterator[Problem]:
    yield from (("error", _normalized(error)) for error in campaign.campaign_errors)
    yield from (("states", entry) for entry in campaign.unmapped_states)
    yield from (("pattern", pattern) for pattern in campaign.unmatched_patterns)
    yield from (("beyond its states", adset.id) for adset in campaign.reaching_beyond)
    yield from (
        ("ad set", adset.id, adset.result, *map(_normalized, adset.issues))
        for adset in campaign.adsets
        if _is_problem(adset)
    )
    yield from (
        (result.value, str(count)) for result, count in campaign.omitted.items() if result not in _CALM | _PUT_OFF
    )
    yield from (("open", change.id, change.state, *map(_normalized, change.issues)) for change in campaign.still_open)
    yield from (("pause", pause.adset_id, *sorted(pause.ads)) for pause in campaign.unexplained)
    yield from (
        ("on again", pause.adset_id, *sorted(pause.switched_on)) for pause in campaign.unexplained if pause.switched_on
    )
    if campaign.counts_anew:
        yield ("counts anew",)
    if campaign.count(*_PUT_OFF):
        yield ("put off",)
    if not (campaign.count(*Result) or campaign.campaign_errors or campaign.left_to or campaign.switched_off):
        yield ("empty",)


def _is_problem(adset: AdSetResult) -> bool:
    if adset.result in _PUT_OFF | {Result.OPTED_OUT} or (
        adset.result is Result.NOT_ACTIVE and adset.issues == _IN_PROCESS
    ):
        return False
    return adset.result not in _CALM or bool(adset.issues)


def _normalized(text: str) -> str:
    """Return a message without its numbers: minutes to wait, or states lost, may differ each time."""
    return _NUMBER.sub("#", text)


# --- rechecks


def is_recheck_due(result: RunResult, reported: Mapping[str, ReportedFailures], now: datetime) -> bool:
    """Return whether the report of a recheck is due.

    A failure that persists, such as Meta not answering, is news when it begins, and once a day after that.

    Parameters
    ----------
    reported
        What reports have named of each campaign, by slug; absent if nothing.
    """
    others = replace(result, campaigns=tuple(map(_without_failures, result.campaigns)))
    known = {slug: _known(each, now) for slug, each in reported.items()}
    return others.is_news or any(
        not failures_of(each) <= known.get(each.slug, frozenset()) for each in result.campaigns
    )


def failures_of(campaign: SyncReport) -> frozenset[str]:
    """Return what kept a recheck from checking everything in a campaign: one hash per failure, whatever its numbers."""
    found: list[Problem] = [("error", error) for error in campaign.campaign_errors]
    found += [(adset.id, adset.result, *adset.issues) for adset in campaign.with_result(*_NOT_CHECKED)]
    found += [(change.id, change.state, *change.issues) for change in campaign.recovered if _is_stuck(change)]
    return frozenset(map(_hashed, found))


def reported_with(before: ReportedFailures | None, campaign: SyncReport, now: datetime) -> ReportedFailures:
    """Return the failures that reports have named, after a report on this campaign.

    Those of the last day stay known. Otherwise, two failures that alternate would be news each time.
    """
    failures = failures_of(campaign)
    known = failures | (_known(before, now) if before else frozenset())
    return ReportedFailures(now, known if len(known) <= MAX_FAILURES else failures)


def without_later_reports(
    reported: Mapping[str, ReportedFailures], results: Iterable[RunResult]
) -> dict[str, ReportedFailures]:
    """Return what reports have named of each campaign, without campaigns that a sync or undo has reported on since.

    After a later report, a failure that persists would look as if it were over, so it is news again.
    """
    last: dict[str, datetime] = {}
    for result in results:
        if result.action is not Action.RECHECK and _was_sent(result):
            ended_at = result.started_at + timedelta(milliseconds=result.duration_ms)
            for campaign in result.campaigns:
                last[campaign.slug] = max(last.get(campaign.slug, ended_at), ended_at)
    return {slug: each for slug, each in reported.items() if slug not in last or last[slug] < each.at}


def _known(reported: ReportedFailures, now: datetime) -> frozenset[str]:
    return reported.failures if now - reported.at < REPEATED_AFTER else frozenset()


def _without_failures(campaign: SyncReport) -> SyncReport:
    return replace(
        campaign,
        campaign_errors=(),
        adsets=tuple(adset for adset in campaign.adsets if adset.result not in _NOT_CHECKED),
        recovered=tuple(change for change in campaign.recovered if not _is_stuck(change)),
    )


def _is_stuck(change: Recovery) -> bool:
    """Return whether an open change made no progress; not a failed rollback, whose change records if it is reported."""
    return change.state.is_open and change.found is change.state is not ChangeState.ROLLBACK_FAILED


def _hashed(failure: Problem) -> str:
    """Return a short hash of a failure; the numbers in its messages do not count, those of an ad set's id do."""
    where, *said = failure
    text = "\0".join([where, *map(_normalized, said)])
    return sha256(text.encode()).hexdigest()[:_FAILURE_CHARS]
