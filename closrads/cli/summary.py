"""PURE: the result of a run as lines for a terminal."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from closrads.cli.completion import DEFAULT_STAGE
from closrads.cli.labels import WORDINGS, enumerated
from closrads.cli.terminal import PROGRAM
from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.drift import Drift
from closrads.domain.results import MailOutcome, RunResult
from closrads.domain.sync_report import SyncReport
from closrads.domain.targeting import signed
from closrads.report.wording.phrases import several
from closrads.report.wording.summary import would_be

MAX_UNCHANGED = 5
"""Maximum number of unchanged ad sets that are listed individually."""


@dataclass(frozen=True, slots=True)
class Line:
    """The table row of an ad set."""

    name: str
    word: str
    states: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CampaignSummary:
    """One campaign of a run."""

    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    errors: tuple[str, ...]


def drift(found: Drift) -> str:
    """Return how somebody else changed the states of an ad set, and who."""
    what = f": {signs}" if (signs := signed(found.added, found.removed)) else ""
    when = f" at {found.at:%Y-%m-%d %H:%M} UTC" if found.at else ""
    return f"its states were changed by {found.by or 'somebody else'}{when}{what}"


def counted(result: RunResult) -> str:
    """Return the counts as text; empty for a failed run without any."""
    wording = WORDINGS[result.action]
    found: Counter[str] = Counter()
    for outcome, number in result.outcomes().items():
        found[would_be(result, wording.counted[outcome])] += number
    if found:
        return enumerated(found)
    if result.left_to:
        return "nothing was done"
    if result.is_paused:
        return "nothing was started"
    return wording.nothing if result.success else ""


def headline(result: RunResult) -> str:
    """Return the first line: the kind of run, its outcome, and its counts."""
    kind = f"{'Dry run' if result.dry_run else 'Live run'}, {result.action}"
    how = "FAILED" if result.has_failed else "plan refused" if result.plan_refused else ""
    end = ": ".join(filter(None, (how, counted(result))))
    return f"{kind}: {end}, in {result.duration_ms / 1000:.1f} s"


def learning(result: RunResult) -> str:
    """Return how many learning phases restart, and which were still in progress; empty if none restarts."""
    if not (count := result.restarts_learning):
        return ""
    restart = "would restart" if result.dry_run else "restarts" if count == 1 else "restart"
    still = [_with_day(adset.name, adset.learning_since) for adset in result.still_learning]
    named = f"; {len(still)} had not left it yet: {', '.join(still)}" if still else ""
    return f"{several(count, 'ad set')} {restart} Meta's learning phase{named}"


def _with_day(name: str, since: str | None) -> str:
    return f"{name} (since {since[:10]})" if since else name


def meaning_of_signs(result: RunResult) -> str:
    """Return the meaning of + and − in this run; empty if they are today's changes, or if there are none."""
    changes = (adset.added or adset.removed for campaign in result.campaigns for adset in campaign.adsets)
    return WORDINGS[result.action].signs if any(changes) else ""


def switches(result: RunResult) -> Iterator[str]:
    """Yield what is paused or switched off, and since when."""
    for switch in result.switched_off:
        since = f"since {switch.since:%Y-%m-%d %H:%M} UTC"
        yield f"Off {since}: {switch.slug}" if switch.slug else f"Paused {since}: nothing new starts"


def footline(result: RunResult, stage: str, *, is_kept: bool) -> str:
    """Return the last lines: how to carry out a dry run's plan, the run's id, and its number of calls."""
    changes = any(campaign.adsets_updated for campaign in result.campaigns)
    of_stage = "" if stage == DEFAULT_STAGE else f" --stage {stage}"
    plan = f"Plan {result.plan_id}: {PROGRAM} run live --plan {result.plan_id}{of_stage}\n"
    approval = plan if result.dry_run and result.plan_id and changes else ""
    kept = ", in the history" if is_kept else ""
    mail = "no mail" if result.mail is MailOutcome.NOT_ASKED else f"mail {result.mail.replace('_', ' ')}"
    if result.mail_refused:
        mail += f", but SES refused {', '.join(result.mail_refused)}"
    return f"{approval}Run {result.run_id}{kept} · {mail} · {several(result.graph.round_trips, 'call')} to Meta"


def campaigns(result: RunResult) -> Iterator[CampaignSummary]:
    """Yield each campaign of a run."""
    wording = WORDINGS[result.action]
    for campaign in result.campaigns:
        lines = [_line(adset, result) for adset in campaign.adsets]
        usual = wording.labels[Result.UNCHANGED]
        unchanged = [line for line in lines if line.word == usual and not line.reasons]
        notes = []
        if len(unchanged) > MAX_UNCHANGED:
            lines = [line for line in lines if line not in unchanged]
            notes.append(f"and {len(unchanged)} ad sets {usual}")
        if campaign.unmapped_states:
            notes.append(f"Meta has no region for: {', '.join(campaign.unmapped_states)}")
        if campaign.unreadable_states:
            notes.append(f"no state is removed, because these cannot be read: {', '.join(campaign.unreadable_states)}")
        if beyond := [adset.name for adset in campaign.reaching_beyond]:
            said = (
                "may be shown outside the states: turn off in Ads Manager, under Locations, that it reaches more people"
            )
            notes.append(f"{said}: {', '.join(beyond)}")
        notes += _of_damping(campaign)
        notes += _of_opt_outs(campaign)
        if campaign.about_run:
            notes.append(f"about run {campaign.about_run}")
        if campaign.left_to:
            notes.append(f"left alone: run {campaign.left_to} is working on it")
        notes += [
            f"from run {change.run_id}: {change.name} was {change.found}, is {change.state}".replace("_", " ")
            + (f"; {drift(change.drift)}" if change.drift else "")
            for change in campaign.recovered
        ]
        if off := campaign.switched_off:
            notes.append("nothing new was begun" if off.slug else "paused")  # its meaning was printed before
        if not (campaign.count(*Result) or notes or campaign.errors or campaign.refused):
            notes.append(wording.no_adsets)
        refused = (campaign.refused,) if campaign.refused else ()
        yield CampaignSummary(campaign.campaign_name, tuple(lines), tuple(notes), (*campaign.errors, *refused))


def _of_damping(campaign: SyncReport) -> Iterator[str]:
    """Yield what the limits on demand hold back today."""
    if campaign.below_min_demand:
        yield f"too few leads to count (limits/min_demand): {', '.join(campaign.below_min_demand)}"
    alike = defaultdict[tuple[bool, date, date], list[str]](list)
    for each in campaign.waiting:
        alike[each.is_wanted, each.since, each.due].append(each.state)
    condition = ", with a live run every day from today on" if campaign.dry_run else ""  # a dry run counts no day
    for (is_wanted, since, due), codes in alike.items():
        what, done = ("wanted", "added") if is_wanted else ("unwanted", "removed")
        yield f"waiting: {', '.join(codes)}: {what} since {since}, to be {done} on {due} if it stays so{condition}"
    if campaign.counts_anew:
        yield "the ledger's count of days could not be read, so it starts again"


def _of_opt_outs(campaign: SyncReport) -> Iterator[str]:
    """Yield the warnings about the `skip_adsets` of a campaign."""
    if campaign.unmatched_patterns:
        patterns = ", ".join(f"“{pattern}”" for pattern in campaign.unmatched_patterns)
        yield f"no ad set that is on now matches {patterns} of campaigns/{campaign.slug}/skip_adsets"
    if campaign.adsets_opted_out and not campaign.adsets_processed:
        yield "every ad set is left alone as configured, so nothing follows the demand"


def _line(adset: AdSetResult, result: RunResult) -> Line:
    word = would_be(result, WORDINGS[result.action].labels[adset.result])
    reasons = (*adset.issues, *([drift(adset.drift)] if adset.drift else []))
    return Line(adset.name, word, signed(adset.added, adset.removed), reasons)
