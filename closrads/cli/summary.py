"""PURE: what a run did, in the words and lines of a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from closrads.model import Action, Result

MOST_UNCHANGED = 5
"""Ad sets that are as they should be and are still listed one by one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One ad set in a table."""

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


def states(added: Sequence[str], removed: Sequence[str]) -> str:
    """Return a change of states as `+FL −TX`."""
    return " ".join((*(f"+{code}" for code in added), *(f"−{code}" for code in removed)))


def word_for(result: str, action: str, *, dry_run: bool) -> str:
    """Return what an ad set's result is called: a dry run only says what would be."""
    if result != Result.UPDATED:
        return result.replace("_", " ")
    verb = "put back" if action == Action.UNDO else "updated"
    return f"would be {verb}" if dry_run else verb


def counts(result: Mapping[str, Any]) -> dict[str, int]:
    """Return how many ad sets ended how, by word, the most important first; also where the details were left out."""
    detailed = Counter(adset["result"] for campaign in result["campaigns"] for adset in campaign["adsets"])
    if not detailed:
        names = {"adsets_skipped": Result.UNCHANGED} | {f"adsets_{word}": word for word in Result}
        for campaign in result["campaigns"]:
            detailed.update({word: campaign[name] for name, word in names.items() if name in campaign})
    order = [*Result]
    found = sorted((order.index(Result(word)), number) for word, number in detailed.items() if number)
    return {order[index].value: number for index, number in found}


def counted(result: Mapping[str, Any]) -> str:
    """Return the counts as a text."""
    action, dry_run = result["action"], result["dry_run"]
    words = (f"{number} {word_for(word, action, dry_run=dry_run)}" for word, number in counts(result).items())
    return ", ".join(words) or "no ad sets"


def headline(result: Mapping[str, Any]) -> str:
    """Return the first line: what kind of run, how it ended, what it did."""
    kind = f"{'Dry run' if result['dry_run'] else 'Live run'}, {result['action']}"
    end = "" if result["success"] else "FAILED: "
    return f"{kind}: {end}{counted(result)}, in {result['duration_ms'] / 1000:.1f} s"


def footline(result: Mapping[str, Any]) -> str:
    """Return the last line: how to find the run again, and what it cost."""
    mail = str(result["mail"]).replace("_", " ")
    kept = "" if result["dry_run"] else ", in the history"
    return f"Run {result['run_id']}{kept} · mail {mail} · {result['graph']['round_trips']} calls to Meta"


def campaigns(result: Mapping[str, Any]) -> Iterator[CampaignSummary]:
    """Yield each campaign of a run."""
    for campaign in result["campaigns"]:
        lines = [_line(adset, result) for adset in campaign["adsets"]]
        unchanged = [line for line in lines if line.word == Result.UNCHANGED and not line.reasons]
        notes = []
        if len(unchanged) > MOST_UNCHANGED:
            lines = [line for line in lines if line not in unchanged]
            notes.append(f"and {len(unchanged)} ad sets unchanged")
        if campaign["unmapped_states"]:
            notes.append(f"Meta has no region for: {', '.join(campaign['unmapped_states'])}")
        if campaign["about_run"]:
            notes.append(f"about run {campaign['about_run']}")
        if campaign["left_to"]:
            notes.append(f"left alone: run {campaign['left_to']} is at work on it")
        notes += [
            f"from run {change['run_id']}: {change['name']} was {change['found']}, is {change['state']}".replace(
                "_", " "
            )
            for change in result["recovered"]
            if change["campaign"] == campaign["slug"]
        ]
        yield CampaignSummary(campaign["campaign_name"], tuple(lines), tuple(notes), tuple(campaign["errors"]))


def _line(adset: Mapping[str, Any], result: Mapping[str, Any]) -> Line:
    word = word_for(adset["result"], result["action"], dry_run=result["dry_run"])
    return Line(adset["name"], word, states(adset["added"], adset["removed"]), tuple(adset["issues"]))
