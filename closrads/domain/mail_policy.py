"""PURE: which scheduled syncs mail their report. After the first report of a day, only those with news do."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import dropwhile
from zoneinfo import ZoneInfo

from closrads.domain.results import AdSetResult, MailOutcome, Result, RunResult, SyncReport
from closrads.domain.runs import RunRecord

LOOKS_BACK_DAYS = 1
"""Number of local days before a run's own whose syncs it is compared with."""
_WRITTEN = frozenset(
    {Result.UPDATED, Result.REVERTED, Result.UNVERIFIED, Result.SUPERSEDED, Result.ROLLBACK_FAILED}
)  # fmt: skip
"""Results of ad sets that the run has written, or tried to."""
_CALM = frozenset({Result.UPDATED, Result.UNCHANGED, Result.ENDED, Result.OPTED_OUT})
"""Results that, without an issue, ask nothing of anybody."""
_PUT_OFF = frozenset({Result.DEFERRED, Result.HELD})
_IN_PROCESS = ("Meta says IN_PROCESS",)
_NUMBER = re.compile(r"\d+")
Trouble = tuple[str, ...]
"""What identifies one thing that is not as it should be: equal for the same thing in two runs."""


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """Whether the report of a run is mailed, and which earlier runs it sums up."""

    is_due: bool = True
    earlier: tuple[RunResult, ...] = ()
    """The results of scheduled syncs whose changes it sums up, oldest first.

    Of a daily report, those since the last one; of another one, those whose own mail could not be sent.
    """


def looks_back_to(scheduled: datetime, timezone: ZoneInfo) -> datetime:
    """Return the time since which runs have to be known to plan the report of a run."""
    day = _day(scheduled, timezone) - timedelta(days=LOOKS_BACK_DAYS)
    return datetime.combine(day, time.min, timezone).astimezone(UTC)


def plan_report(result: RunResult, scheduled: datetime, runs: Iterable[RunRecord], timezone: ZoneInfo) -> ReportPlan:
    """Return whether the report of a scheduled sync is due, and what it sums up.

    The first report of a local day always is: it is the daily one, and sums up the syncs since the one before it. The
    later ones of the day are due if something was changed, also by a run whose own mail could not be sent since, or if
    something is wrong that the last one has not told. It is untold again once a run in between was without it.

    Parameters
    ----------
    result
        As it will be recorded, redacted.
    runs
        The runs that the ledger knows since `looks_back_to`, newest first; no more are taken than are needed.
    """
    today, untold, before = _day(scheduled, timezone), list[RunResult](), list[RunResult]()
    last_day: date | None = None
    for at, earlier in _syncs(runs, scheduled):
        day = _day(at, timezone)
        if day == today and _has_left(earlier):
            known = frozenset(_troubles(earlier)).intersection(*map(_troubles, untold))
            failed = (each for each in reversed(untold) if each.mail is MailOutcome.FAILED)
            lost = tuple(each for each in failed if any(map(_number_written, each.campaigns)))
            is_due = bool(lost) or _has_changes(result) or not known.issuperset(_troubles(result))
            return ReportPlan(is_due, lost)
        if day == today:
            untold.append(earlier)
        elif last_day in {None, day}:
            last_day = day
            before.append(earlier)
        else:
            break
    return ReportPlan(earlier=(*_after_the_daily_report(before[::-1]), *reversed(untold)))


def _syncs(runs: Iterable[RunRecord], scheduled: datetime) -> Iterator[tuple[datetime, RunResult]]:
    """Yield the earlier scheduled syncs of all campaigns that have ended, with their scheduled times."""
    for run in runs:
        if run.scheduled is not None and run.scheduled < scheduled and run.result is not None:
            yield run.scheduled, run.result


def _after_the_daily_report(results: Sequence[RunResult]) -> Iterator[RunResult]:
    """Yield what a day's daily report, its first one, could not tell."""
    after = list(dropwhile(lambda result: not _has_left(result), results))
    yield from after[1:] if after else results


def _day(moment: datetime, timezone: ZoneInfo) -> date:
    return moment.astimezone(timezone).date()


def _has_left(result: RunResult) -> bool:
    """Return whether the report of a run went out, by mail or to the log."""
    return result.mail in {MailOutcome.SENT, MailOutcome.NOT_CONFIGURED}


# --- news


def _has_changes(result: RunResult) -> bool:
    """Return whether a run has changed anything, or finished or undone what an earlier one had begun."""
    finished = (not each.state.is_open for campaign in result.campaigns for each in campaign.recovered)
    return any(finished) or any(map(_number_written, result.campaigns))


def _number_written(campaign: SyncReport) -> int:
    """Return the number of ad sets that were written, without another try at what a report has told."""
    tried_again = sum(adset.is_reported for adset in campaign.with_result(*_WRITTEN))
    return campaign.count(*_WRITTEN) - tried_again


def _troubles(result: RunResult) -> Iterator[Trouble]:
    """Yield everything that is not as it should be at the end of a run."""
    yield from (("off", switch.slug, switch.since.isoformat()) for switch in result.switched_off)
    yield from (("notice", notice) for notice in result.notices)
    for campaign in result.campaigns:
        yield from ((campaign.slug, *trouble) for trouble in _troubles_of(campaign))


def _troubles_of(campaign: SyncReport) -> Iterator[Trouble]:
    yield from (("error", _alike(error)) for error in campaign.campaign_errors)
    yield from (("states", entry) for entry in campaign.unmapped_states)
    yield from (("pattern", pattern) for pattern in campaign.unmatched_patterns)
    yield from (("beyond its states", adset.id) for adset in campaign.reaching_beyond)
    yield from (
        ("ad set", adset.id, adset.result, *map(_alike, adset.issues)) for adset in campaign.adsets if _is_ill(adset)
    )
    yield from (
        (result.value, str(count)) for result, count in campaign.omitted.items() if result not in _CALM | _PUT_OFF
    )
    yield from (("open", change.id, change.state, *map(_alike, change.issues)) for change in campaign.still_open)
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


def _is_ill(adset: AdSetResult) -> bool:
    if adset.result in _PUT_OFF | {Result.OPTED_OUT} or (
        adset.result is Result.NOT_ACTIVE and adset.issues == _IN_PROCESS
    ):
        return False
    return adset.result not in _CALM or bool(adset.issues)


def _alike(text: str) -> str:
    """Return a message without its numbers: minutes to wait, or states lost, may be others each time."""
    return _NUMBER.sub("#", text)
