"""What a client reads: plain words everywhere but in the appendix, whatever happened, and short enough for a phone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import unescape
from itertools import chain
from pathlib import Path

import pytest

from closrads import errors
from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.report.render import build_report
from closrads.report.wording.appendix import APPENDIX
from closrads.report.wording.campaigns import _CAMPAIGN_ERRORS
from closrads.report.wording.jargon import without_jargon
from closrads.report.wording.kinds import Kind, Statement
from tests.report.mails import NEW_YORK, RESULTS, STATES, campaign, run
from tests.report.texts import wording_values

FORBIDDEN = re.compile(
    r"force|max_\w+|HTTP|VND_|meta/access_token|fb_\w+|/adsets\b(?!\?)|\bquotas?\b|act_1|\bledger\b|\bheld\b|"
    r"\bdeferred\b|\broll(?:ed )?backs?\b|\brechecks?\b|America/|\d{8,}|\btokens?\b|\bparameters?\b|\bSES\b|\bAPI\b|"
    r'\[Meta|\(#\d|WITH_ISSUES|DISAPPROVED|PAUSED\b|IN_PROCESS|re-?publish|pre-?flight|"',
    re.IGNORECASE,
)
"""What no client understands. Links may contain ids; a reader sees their texts."""
RAW = (
    ('The demand would take away 9 of the 10 states targeted now (90 % > 80 %): FL. Run it with "force": '
    '["max_removed_pct"]; if not, ask CLOSRTECH'),
    ("Refused: the plan is no longer the approved 0a1b2c3d4e5f6789: it was made with other `campaigns` or `force`. "
    "None of its changes was begun. Make a new dry run, and approve its plan"),
    "CLOSRTECH is in trouble (HTTP 503 for VND_VETERAN_LEADS): run the campaign again later",
    "CLOSRTECH refuses the request for VND_X (HTTP 401): check closrtech/password. CLOSRTECH says: “no token”",
    ("Meta refuses 120210000000000001/adsets: no permission [Meta 10]. Check meta/access_token (or the campaign's "
    "fb_access_token) and that its system user may manage the ad account"),
    "Meta's quota for act_111 is used up, and there is too little time to wait for it",
    ("To change it and, if need be, put it back takes 90 points of Meta's quota; the access tier allows 60 in five "
    "minutes. Ask Meta for full access, or give it fewer ads"),
    "The ledger cannot be written: ProvisionedThroughputExceededException",
    "Unexpected KeyError: 'regions'",
    "An earlier change of it is still open, and comes first",
    "max_adsets allows 3 changes a run",
    "No state has the 9 leads that limits/min_demand asks for, only fewer (FL, OH). If that is right, lower the limit",
    'It was put back on 2 runs in a row for these states. See to its ads, then run it with "force": ["reverted_before"',
    "Meta lists ad set 120210000000010003 without targeting: open it in Ads Manager, check its audience and publish it",
    "Its rollback did not end: Unexpected TypeError",
    "Its states were NOT restored: Meta refuses 120210000000010003: Try later [Meta 2]",
    "campaigns/veterans/fb_ad_account_id: is act_111, but “Broad” (120210000000010003) belongs to act_222",
    "Ad “Video” (120210000000010137): could not be re-published: Meta refuses 120210000000010137: no [Meta 100]",
    "Ad “Video” (120210000000010137): was on before our change, is off now, and nobody can tell by whom",
    "Ad “Video” (120210000000010137): WITH_ISSUES: Policy: see https://example.test/policy (#1885316)",
    "Ad “Video” (120210000000010137): has a status that is not known here: NEW_WORD",
    "Meta says WITH_ISSUES",
    "Meta says IN_PROCESS",
)  # fmt: skip
"""Texts as the product has them for an ad set or a campaign."""
SINCE = "2026-05-02T10:30:00+00:00"


def reads(result: RunResult) -> tuple[str, ...]:
    """Return what a reader sees of a mail without its appendix: the subject, the preview and both parts."""
    mail = build_report(result, NEW_YORK)
    body = mail.html.partition("</head>")[2].partition(APPENDIX)[0]
    seen = unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)))
    text = re.sub(r"https://\S+", "", mail.text.partition(f"--- {APPENDIX}")[0])
    return mail.subject, seen.replace("100%", ""), text


def jargon(result: RunResult) -> set[str]:
    """Return the forbidden words of a mail."""
    return set(chain.from_iterable(FORBIDDEN.findall(part) for part in reads(result)))


@pytest.mark.parametrize("name", [name for name in RESULTS if name not in {"hostile names", "long names"}])
def test_no_mail_of_any_day_has_a_word_of_an_engineer(name: str) -> None:
    """Names are people's own, so the days whose names are made up to be a nuisance are left out."""
    assert jargon(RESULTS[name]) == set()


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("raw", RAW)
def test_no_reason_has_one(raw: str, action: Action) -> None:
    """Of an ad set whatever became of it, of a change that was left open, and of a campaign."""
    adsets = [
        AdSetResult(str(number), "Broad", result, issues=(raw,), learning_since=SINCE, reaches_beyond=True)
        for number, result in enumerate(Result)
    ]
    recovered = [Recovery("run", "5", "Narrow", state, state, (raw,)) for state in ChangeState]
    whole = replace(campaign("Veterans", adsets), recovered=tuple(recovered), campaign_errors=(raw,), refused=raw)

    for dry_run in (True, False):
        assert jargon(replace(run(whole, action=action), dry_run=dry_run, notices=(raw,), left_to="")) == set()


def test_the_raw_text_is_in_the_appendix() -> None:
    """For whoever has to act on it."""
    mail = build_report(run(replace(campaign("Veterans"), campaign_errors=RAW)), NEW_YORK)

    for part in (unescape(mail.html), mail.text):
        appendix = part.rpartition(APPENDIX)[2]
        assert all(raw in appendix for raw in RAW)


def test_every_remedy_of_metas_errors_is_known() -> None:
    """A new one is not to end as “was not updated” alone."""
    remedies = {
        kind.remedy for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MetaError)
    } - {""}

    assert remedies
    for remedy in remedies:
        said = reads(run(replace(campaign("Veterans"), campaign_errors=(remedy,))))[2]
        assert "COULD NOT BE UPDATED" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It excludes FL, where there is demand: take the exclusion out in Ads Manager", True),
        ("Its targeting uses “new_kind”: take that out", False),
        ("see https://example.test", False),
        ("HTTP 503", False),
        ("No permission [Meta 10]", False),
        ("120210000000010003", False),
        ("the ledger", False),
        ("a scoreboard with rolling backdrops", True),
    ],
)
def test_what_passes_as_plain(text: str, shown: bool) -> None:  # noqa: FBT001 - a parameter
    """A raw text is shown as it is only if nothing in it is an engineer's."""
    assert without_jargon(text) == (text if shown else "")


def test_no_text_points_to_what_no_mail_program_shows() -> None:
    """Nobody opens a mail's plain-text part."""
    templates = Path(build_report.__code__.co_filename).parent / "templates"

    assert "plain-text" not in "".join(path.read_text(encoding="utf-8") for path in templates.iterdir())


def test_names_of_states_are_no_jargon() -> None:
    """They are listed on every day."""
    assert all(without_jargon(code) for code in STATES)


def kinds_in(value: object) -> Iterator[Kind]:
    """Yield every kind in a value of `wording`."""
    if isinstance(value, Kind):
        yield value
    elif isinstance(value, Statement):
        yield value.kind
    elif isinstance(value, Mapping):
        yield from chain.from_iterable(map(kinds_in, value.values()))
    elif isinstance(value, tuple):
        yield from chain.from_iterable(map(kinds_in, value))


def test_no_note_says_it_of_what_may_be_several() -> None:
    """A note stands below all ad sets or campaigns of its kind, and so do the texts that campaigns share."""
    notes = {kind.note for kind in kinds_in(tuple(wording_values()))}
    shared = {said.text for _, said in _CAMPAIGN_ERRORS}

    assert min(len(notes), len(shared)) >= 20
    of_another = ("its activity log", "its day", "CLOSRTECH refused to send its", "did not send its")
    wrong = {
        text
        for text in notes | shared
        if re.search(r"\bits?\b", text, re.IGNORECASE) and not any(each in text for each in of_another)
    }
    assert wrong == set()
