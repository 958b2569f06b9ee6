"""PURE: what a run did, in the words and lines of a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from closrads.domain.request import Action
from closrads.domain.results import MailOutcome, Result
from closrads.report.wording import DONE, WORDINGS, Wording

MAX_UNCHANGED = 5
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


def several(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _wording(result: Mapping[str, Any]) -> Wording:
    return WORDINGS[Action(result["action"])]


def _as_it_was_meant(word: str, run: Mapping[str, Any]) -> str:
    """Return a word for what was done: a dry run only says what would be."""
    return f"would be {word}" if run["dry_run"] and word in DONE else word


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
    """Return the counts as a text, empty if there is nothing to count in a run that failed."""
    found: Counter[str] = Counter()
    for word, number in counts(result).items():
        found[_as_it_was_meant(_wording(result).counted[Result(word)], result)] += number
    if found:
        return ", ".join(f"{number} {word}" for word, number in found.items())
    if result["left_to"]:
        return "nothing was done"
    return _wording(result).nothing if result["success"] else ""


def headline(result: Mapping[str, Any]) -> str:
    """Return the first line: what kind of run, how it ended, what it did."""
    kind = f"{'Dry run' if result['dry_run'] else 'Live run'}, {result['action']}"
    end = ": ".join(filter(None, ("" if result["success"] else "FAILED", counted(result))))
    return f"{kind}: {end}, in {result['duration_ms'] / 1000:.1f} s"


def meaning_of_signs(result: Mapping[str, Any]) -> str:
    """Return what + and − mean in this run, empty if that is the change of today or there are none."""
    changes = (adset["added"] or adset["removed"] for campaign in result["campaigns"] for adset in campaign["adsets"])
    return _wording(result).signs.rstrip(":") if any(changes) else ""


def footline(result: Mapping[str, Any], *, is_kept: bool) -> str:
    """Return the last line: how to find the run again, and what it cost."""
    kept = ", in the history" if is_kept else ""
    mail = "no mail" if result["mail"] == MailOutcome.NOT_ASKED else f"mail {result['mail'].replace('_', ' ')}"
    return f"Run {result['run_id']}{kept} · {mail} · {several(result['graph']['round_trips'], 'call')} to Meta"


def campaigns(result: Mapping[str, Any]) -> Iterator[CampaignSummary]:
    """Yield each campaign of a run."""
    for campaign in result["campaigns"]:
        lines = [_line(adset, result) for adset in campaign["adsets"]]
        usual = _wording(result).labels[Result.UNCHANGED]
        unchanged = [line for line in lines if line.word == usual and not line.reasons]
        notes = []
        if len(unchanged) > MAX_UNCHANGED:
            lines = [line for line in lines if line not in unchanged]
            notes.append(f"and {len(unchanged)} ad sets {usual}")
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
        if not (campaign["adsets"] or notes or campaign["errors"]):
            notes.append(_wording(result).no_adsets)
        yield CampaignSummary(campaign["campaign_name"], tuple(lines), tuple(notes), tuple(campaign["errors"]))


def _line(adset: Mapping[str, Any], result: Mapping[str, Any]) -> Line:
    word = _as_it_was_meant(_wording(result).labels[Result(adset["result"])], result)
    return Line(adset["name"], word, states(adset["added"], adset["removed"]), tuple(adset["issues"]))
