"""PURE: the box of a daily report on what runs have changed since the last one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from closrads.domain.adset_results import Result
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from closrads.report.boxes import line, signs
from closrads.report.content import Box, Item
from closrads.report.wording.earlier_runs import CHANGED_BEFORE
from closrads.report.wording.phrases import several, time_of, times
from closrads.report.wording.summary import COUNTED

MAX_CHANGES = 6
"""Number of the latest changes of a campaign that are listed individually."""
_CHANGED = (Result.UPDATED, Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED, Result.SUPERSEDED)


def changes_before(earlier: Sequence[RunResult], timezone: ZoneInfo) -> Iterator[Box]:
    """Yield a box with a line for each campaign changed by the `earlier` runs, oldest first; none without changes."""
    by_campaign: dict[str, tuple[str, list[str]]] = {}
    for result in earlier:
        for campaign in result.campaigns:
            if changes := ", ".join(_changes(campaign)):
                _, lines = by_campaign.setdefault(campaign.slug, (line(campaign.campaign_name), []))
                lines.append(f"{time_of(result.started_at.astimezone(timezone))}, {changes}")
    if by_campaign:
        items = tuple(Item(name, "campaign", _text(lines)) for name, lines in by_campaign.values())
        yield Box(CHANGED_BEFORE.tone, CHANGED_BEFORE.title, CHANGED_BEFORE.who, (), CHANGED_BEFORE.note, items)


def _text(lines: Sequence[str]) -> str:
    omitted = len(lines) - MAX_CHANGES
    shown = [f"{times(omitted)} before", *lines[-MAX_CHANGES:]] if omitted > 0 else lines
    return f"was changed {times(len(lines))}: {'; '.join(shown)}"


def _changes(campaign: SyncReport) -> Iterator[str]:
    """Yield counts of a campaign's ad sets, by outcome; a very large result may lack the details."""
    counts = Counter[str]()
    for result in _CHANGED:
        counts[COUNTED[result]] += campaign.count(result)
    for word, count in counts.items():
        if count:
            states = _states(campaign) if word == COUNTED[Result.UPDATED] else ""
            yield f"{several(count, 'ad set')} {word}{states}"


def _states(campaign: SyncReport) -> str:
    """Return the states that most of the updated ad sets gained and lost."""
    groups = Counter(signs(adset.added, adset.removed) for adset in campaign.with_result(Result.UPDATED))
    (change, _), *_ = groups.most_common(1) or [("", 0)]
    return f" ({change}{' and others' if len(groups) > 1 else ''})" if change else ""
