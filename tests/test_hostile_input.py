"""What comes from outside may be anything: names, numbers, errors, whole answers. None of it does any harm."""

import json
import random
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from closrads.closrtech_client import MAX_CODE_CHARS, MAX_ENTRIES
from closrads.domain.adset_results import MAX_ISSUES, AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import MAX_RESULT_BYTES, MailOutcome, RunResult
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError, EventError, SyncFailed
from closrads.meta import graph as graph_api
from closrads.observability import MAX_LINE_BYTES, logger
from closrads.redaction import MAX_ERROR_CHARS, MAX_NAME_CHARS, MAX_TEXT_CHARS, one_line
from closrads.report.render import MAX_HTML_BYTES, MAX_TEXT_BYTES, Report, build_report, encoded_size
from closrads.report.subject import MAX_OUTCOME_CHARS
from closrads.state_mapper import is_unreadable
from sandbox.meta import Breakage, faults, oddities
from sandbox.server import Reply
from tests.ledger_world import entries, result_of, runs
from tests.sweeps import sampled
from tests.world import LIVE, VETERANS, World, ids

TRUCKERS = "120200000000000901"
NEW_YORK = ZoneInfo("America/New_York")
LARGEST_EVENT = 262_144
"""Bytes that CloudWatch takes as one event."""
LONGEST_SUBJECT = MAX_OUTCOME_CHARS + 60

HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute breakers": '"\' onmouseover="alert(1)" x=\'<a href=javascript:alert(1)>',
    "closing tags": "</td></tr></table></body></html><!-- <![CDATA[",
    "new lines": "Broad\r\nBcc: all@example.test\n\n.\n\x0b\x0c\x1c\x85\u2028\u2029x",
    "control characters": "\x00\x07\x08\x1b[31mred\x1b[0m\x7f\x9b",
    "direction": "abc\u202egpj.exe\u2066\u2067\u2069\u200f\u061c\u202d",
    "zero width": "Br\u200bo\u2060ad\ufeff\u00ad\u180e\U000e0041",
    "nothing but unseen": "\u200b\u2060\ufeff",
    "halves of characters": "a \ud83d broken \udc00 pair",
    "huge": "A<&\"' " * 350_000,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1fa\U0001f1f8",
    "template": "{{ 7*7 }} {% raw %} ${7*7} %(x)s {0}",
    "json": '"}],"errors":[],"success":true,{"a":"\\',
}
ANY_HOSTILE = pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
TAGS = {
    "html", "head", "meta", "title", "style", "body", "div", "p", "h1", "h2", "table", "tr", "td", "th", "strong",
    "span", "a", "ol", "li", "br",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "style", "class", "role", "aria-label", "aria-hidden", "href", "scope",
    "align", "valign", "width", "cellspacing", "cellpadding", "xmlns:o",
}  # fmt: skip
ADS_MANAGER = (
    "https://adsmanager.facebook.com/adsmanager/manage/adsets?act=",
    "https://adsmanager.facebook.com/adsmanager/manage/ads?act=",
)
FOR_OUTLOOK = re.compile(
    r'\[if mso\]>(<table role="presentation" width="\d+" cellspacing="0" cellpadding="0"><tr><td>|</td></tr></table>|'
    r"<xml><o:OfficeDocumentSettings>[\w<>/:]+</xml><style>[\w,{}:;.-]+</style>)"
    r"<!\[endif\]"
)


class Markup(HTMLParser):
    """Reads a mail as a mail program does, and holds that it is well-formed and without anything active."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        assert not any("url" in (value or "") for _, value in attrs)
        assert all((value or "").startswith(ADS_MANAGER) for name, value in attrs if name == "href")
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        assert FOR_OUTLOOK.fullmatch(data)


def assert_fit_to_read(subject: str, html: str, text: str, most: int = 1_000_000) -> None:
    """Hold that a mail is safe to show and to send."""
    assert subject.isprintable()
    assert len(subject) <= LONGEST_SUBJECT
    Markup(html)
    for part in (html, text):
        assert part.replace("\n", "").isprintable()
        assert len(part) < most


def assert_fit_to_keep(world: World, log: StringIO) -> None:
    """Hold that the log, the mails and the ledger of what has run so far are safe and within bounds."""
    for line in log.getvalue().removesuffix("\n").split("\n"):
        assert isinstance(json.loads(line), dict)
        assert len(line.encode()) <= LARGEST_EVENT
    assert world.sandbox.aws.mails
    for mail in world.sandbox.aws.mails:
        assert_fit_to_read(mail.subject, mail.html, mail.text)
    for change in entries(world, "CHANGE#"):
        for name in (change["name"], *(ad["name"] for ad in change["ads"])):
            assert name.isprintable()
            assert 0 < len(name) <= MAX_NAME_CHARS


# --- Meta's texts


@ANY_HOSTILE
def test_a_name_does_no_harm_on_its_way_through_everything(
    world: World, log: StringIO, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    """Ad sets and ads called so are changed, put back, left alone and refused as any other, and said to be so."""
    world.campaign("FL")
    world.adset(text, adset_id="1")
    world.adset(text, adset_id="2", breakage=Breakage.stubborn())
    world.adset(text, adset_id="3")
    world.meta.adsets["3"].ads[0].issues.append(
        {"error_code": 1, "error_summary": text, "error_message": text, "error_type": "HARD_ERROR"}
    )
    world.adset(text, adset_id="4")
    world.meta.fail(
        faults.error(100, 1, text, user_message=text),
        on=lambda operation: (operation.method, operation.path) == ("POST", "4"),
        times=None,
    )

    result = result_of(world, LIVE)

    outcomes = {adset["id"]: adset["result"] for adset in result["campaigns"][0]["adsets"]}
    assert outcomes == {"1": "updated", "2": "reverted", "3": "skipped_preflight", "4": "failed"}
    states = {item["adset"]: item["state"] for item in entries(world, "CHANGE#")}
    assert states == {"1": "verified", "2": "rolled_back", "4": "not_written"}
    assert len(json.dumps(result)) < 100_000
    assert_fit_to_keep(world, log)
    assert "Logging error" not in capfd.readouterr().err


def test_a_harmless_name_stays_as_it_is(world: World) -> None:
    """Letters of any script, signs and emoji are what people give names of."""
    world.campaign("FL")
    world.adset("Été - 日本 · שלום & Co. <35+> 🇺🇸", adset_id="1")

    (adset,) = world.run()["campaigns"][0]["adsets"]

    assert adset["name"] == "Été - 日本 · שלום & Co. <35+> 🇺🇸"


def test_a_name_of_which_nothing_can_be_seen_is_replaced_by_the_id(world: World) -> None:
    """A heading without a name tells nobody what to look at."""
    world.campaign("FL")
    world.adset("\u200b\u2060", adset_id="1")

    (adset,) = world.run()["campaigns"][0]["adsets"]

    assert adset["name"] == "1"


def test_ten_thousand_issues_are_told_in_short(world: World, log: StringIO) -> None:
    """An ad with them is broken, and the report says so in a few lines."""
    world.campaign("FL")
    adset = world.meta.adsets[world.adset()]
    issue = {"error_code": 7, "error_summary": "Trouble", "error_message": "x" * 300, "error_type": "SOFT_ERROR"}
    adset.ads[0].issues += [issue] * 10_000
    adset.ads[0].issues.append({**issue, "error_code": 3390001})

    (result,) = world.run(LIVE)["campaigns"][0]["adsets"]

    assert result["result"] == "skipped_preflight"
    assert len(str(result)) < 2_000
    assert_fit_to_keep(world, log)


def test_hundreds_of_broken_ads_are_told_in_short(world: World, log: StringIO) -> None:
    """Of one ad set's troubles the first are listed, and the rest counted."""
    world.campaign("FL")
    adset = world.meta.adsets[world.adset(ads=300)]
    for ad in adset.ads:
        ad.issues.append({"error_code": 7, "error_summary": "T" * 5_000, "error_type": "HARD_ERROR"})

    (result,) = world.run(LIVE)["campaigns"][0]["adsets"]

    assert len(result["issues"]) == MAX_ISSUES
    assert result["issues"][-1] == f"and {300 - MAX_ISSUES + 1} more"
    assert max(map(len, result["issues"])) <= MAX_TEXT_CHARS
    assert_fit_to_keep(world, log)


@pytest.mark.parametrize(
    "issue",
    ids(
        [
            ("thousands of digits", {"error_code": "9" * 5_000}),
            ("foreign digits", {"error_code": "٣"}),
            ("not a number", {"error_code": float("nan")}),
            ("a large number", {"error_code": 10**4_000}),
            ("a list", {"error_code": [1], "error_summary": [1], "error_message": {"a": []}, "error_type": []}),
            ("true", {"error_code": True, "error_summary": False, "error_message": 5}),
            ("nothing", {"error_code": None, "error_summary": None, "error_message": None}),
        ]
    ),
)
def test_an_issue_of_a_strange_shape_is_still_an_issue(world: World, issue: dict[str, Any]) -> None:
    """Its ad set is left alone, and the others of the campaign get their states."""
    world.campaign("FL")
    broken, well = world.adset(), world.adset()
    world.meta.adsets[broken].ads[0].effective_status = "WITH_ISSUES"
    world.meta.adsets[broken].ads[0].issues.append(issue)

    outcomes = {adset["id"]: adset["result"] for adset in world.run(LIVE)["campaigns"][0]["adsets"]}

    assert outcomes == {broken: "skipped_preflight", well: "updated"}


DEEP = {"parsed": 900, "barely parsed": 9_000, "not parsed": 200_000}


def nested(levels: int) -> str:
    """Return JSON with so many lists in each other."""
    return "[" * levels + "]" * levels


def row(**more: str) -> str:
    """Return a page with one ad set as JSON, with values that are JSON themselves."""
    targeting = '{"geo_locations": {"regions": [{"key": "3886", "name": "Texas", "country": "US"}]}}'
    values = {"id": '"1"', "name": '"Broad"', "effective_status": '"ACTIVE"', "targeting": targeting} | more
    return f"""{{"data": [{{{", ".join(f'"{key}": {value}' for key, value in values.items())}}}]}}"""


ANSWERS = ids(
    [
        ("a deep targeting", lambda deep: row(targeting=f'{{"flexible_spec": {deep}}}')),
        ("deep geo locations", lambda deep: row(targeting=f'{{"geo_locations": {{"x": {deep}}}}}')),
        ("a deep name", lambda deep: row(name=deep)),
        ("a deep error", lambda deep: f'{{"error": {deep}}}'),
        ("a deep message", lambda deep: f'{{"error": {{"code": 100, "message": {deep}}}}}'),
        ("a deep trace", lambda deep: f'{{"error": {{"code": 100, "message": "no", "fbtrace_id": {deep}}}}}'),
        ("a deep page", lambda deep: f'{{"data": [], "paging": {deep}}}'),
    ]
)


@pytest.mark.parametrize("levels", list(DEEP.values()), ids=list(DEEP))
@pytest.mark.parametrize("answer", sampled(ANSWERS, one_in=3))
def test_deeply_nested_answers_stop_one_campaign_at_most(world: World, log: StringIO, levels: int, answer: Any) -> None:
    """The other gets its states, and the report goes out."""
    world.campaign("FL")
    world.campaign("GA", slug="truckers", meta_campaigns=(TRUCKERS,))
    other = world.adset(campaign=TRUCKERS)
    reply = Reply(body=answer(nested(levels)).encode())
    world.meta.fail(reply, on=lambda operation: operation.path == f"{VETERANS}/adsets", times=None)

    result_of(world, LIVE)

    assert world.meta.states(other) == {"GA"}
    assert len(world.sandbox.aws.mails) == 1
    assert_fit_to_keep(world, log)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issues_info", "Missing lead form"),
        ("issues_info", {"data": []}),
        ("issues_info", ["3390001"]),
        ("status", None),
        ("status", ["ACTIVE"]),
        ("effective_status", None),
        ("effective_status", "ACT\u202eIVE"),
    ],
    ids=str,
)
def test_an_ad_that_cannot_be_read_costs_only_its_own_ad_set_the_day(
    world: World, log: StringIO, field: str, value: Any
) -> None:
    """Whether it is broken cannot be told, so its ad set is left alone; the others get their states."""
    world.campaign("FL")
    odd, well = world.adset(), world.adset()
    world.meta.read_oddity = oddities.replaced(world.meta.ads_of(odd)[0].id, field, value)

    result = result_of(world, LIVE)

    found = {adset["id"]: adset for adset in result["campaigns"][0]["adsets"]}
    outcomes = {adset_id: adset["result"] for adset_id, adset in found.items()}
    assert outcomes == {odd: "skipped_preflight", well: "updated"}
    assert (world.meta.states(odd), world.meta.states(well)) == ({"TX"}, {"FL"})
    assert field in found[odd]["issues"][0]
    assert_fit_to_keep(world, log)


@pytest.mark.parametrize(
    "more",
    ids(
        [
            ("a number for an id", {"id": "5"}),
            ("an id of many lines", {"id": json.dumps("1\n2")}),
            ("a huge id", {"id": json.dumps("1" * 5_000)}),
            ("a huge status", {"effective_status": json.dumps("ACTIVE" * 100_000)}),
            ("a status turned around", {"effective_status": json.dumps("ACT\u202eIVE")}),
            ("a key twice", {"id": '"1", "id": []'}),
        ]
    ),
)
def test_an_ad_set_without_usable_marks_stops_its_campaign(world: World, log: StringIO, more: dict[str, str]) -> None:
    """Half a picture is no picture: nothing is written, and the error is a short one."""
    world.campaign("FL")
    world.meta.fail(Reply(body=row(**more).encode()), on="GET adsets", times=None)

    result = result_of(world, LIVE)

    assert "Meta lists" in result["campaigns"][0]["errors"][0]
    assert len(str(result)) < 5_000
    assert world.meta.writes == []
    assert_fit_to_keep(world, log)


def test_numbers_that_are_none_in_a_targeting_do_not_stop_the_others(world: World) -> None:
    """JSON as Python reads it knows more numbers than JSON; they go back as they came."""
    world.campaign("FL")
    world.adset(adset_id="1")
    world.meta.adsets["1"].targeting["age_min"] = 10**400
    world.adset(adset_id="2")

    outcomes = {adset["id"]: adset["result"] for adset in result_of(world, LIVE)["campaigns"][0]["adsets"]}

    assert outcomes["2"] == "updated"


def test_an_answer_of_metas_that_is_too_large_is_not_held_in_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run says so, and goes on with the other campaign."""
    monkeypatch.setattr(graph_api, "MAX_BYTES", 100_000)
    world.campaign("FL")
    world.campaign("GA", slug="truckers", meta_campaigns=(TRUCKERS,))
    other = world.adset(campaign=TRUCKERS)
    reply = Reply(body=b'{"data": [' + b" " * 50_000_000 + b"]}")
    world.meta.fail(reply, on=lambda operation: operation.path == f"{VETERANS}/adsets", times=None)

    result = result_of(world, LIVE)

    assert "AnswerTooLargeError" in result["campaigns"][1]["errors"][0]
    assert world.meta.states(other) == {"GA"}


# --- CLOSRTECH's codes


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"FL": 1, "X" * (MAX_CODE_CHARS + 1): 1}, "cannot be a state"),
        ({"FL": 1, "X" * 900_000: 1}, "cannot be a state"),
        ({"FL": 1, "F\u200bL": 1}, "cannot be a state"),
        ({"FL": 1, "\u202eLF": 1}, "cannot be a state"),
        ({"FL": 1, "G\x00A": 1}, "cannot be a state"),
        ({"FL": 1, "\ud83d": 1}, "cannot be a state"),
        ({"FL": 1, "a\nb": 1}, "cannot be a state"),
        ({"FL": 1, **{f"X{number}": 1 for number in range(MAX_ENTRIES)}}, f"{MAX_ENTRIES + 1} entries"),
        ({"FL": 1, "<script>": "many"}, "no whole number"),
    ],
)
def test_codes_that_cannot_be_states_are_refused_in_short(
    world: World, log: StringIO, body: dict[str, Any], said: str
) -> None:
    """A feed that sends them has lost its mind, so it moves no ads; its words come out bounded and readable."""
    world.campaign("FL")
    adset = world.adset()
    world.sandbox.closrtech.answer(body)

    result = result_of(world, LIVE)

    (error,) = result["campaigns"][0]["errors"]
    assert said in error
    assert error.isprintable()
    assert len(error) < 300
    assert world.meta.states(adset) == {"TX"}
    assert_fit_to_keep(world, log)


def test_markup_for_an_unknown_state_is_shown_as_text(world: World, log: StringIO) -> None:
    """A short one passes for a code that Meta does not know, as it may be a territory."""
    world.campaign({"FL": 1, "<b onclick=x>{{ 7*7 }}": 2})
    world.adset()

    assert world.run(LIVE)["campaigns"][0]["unmapped_states"] == ["<B ONCLICK=X>{{ 7*7 }}"]
    assert_fit_to_keep(world, log)
    assert "{{ 7*7 }}" in world.sandbox.aws.mails[0].html.upper()


# --- the event


def deep_list(levels: int) -> list[Any]:
    """Return so many lists in each other, as the runtime would hand them over."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "event",
    ids(
        [
            ("a deep value", {"campaigns": deep_list(5_000)}),
            ("a deep stranger", {"x": deep_list(5_000)}),
            ("a deep list", deep_list(5_000)),
            ("a deep action", {"action": deep_list(5_000)}),
            ("a huge key", {"x" * 5_000_000: 1}),
            ("huge slugs", {"campaigns": ["<script>" * 100_000] * 5}),
            ("a slug of many lines", {"campaigns": ["a\n\u202eb\ud83d"]}),
            ("many keys", {f"key {number}": 1 for number in range(20_000)}),
            ("a number that is none", {"dry_run": float("nan")}),
            ("a huge time", {"scheduled": "9" * 1_000_000}),
            ("a huge year", {"scheduled": "9999-12-31T23:59:59-23:59"}),
        ]
    ),
)
def test_an_event_that_is_none_is_refused_in_short(world: World, log: StringIO, event: Any) -> None:
    """The error says what is wrong in no more than fits into an answer and a line of the log."""
    world.campaign("FL")

    with pytest.raises(EventError) as caught:
        world.run(event)

    assert len(str(caught.value)) <= MAX_ERROR_CHARS
    for line in log.getvalue().splitlines():
        assert len(line.encode()) <= LARGEST_EVENT
        json.loads(line)
    assert world.meta.requests == []


# --- the log


@pytest.mark.parametrize(
    "value",
    ids(
        [
            ("a huge text", "x" * 2_000_000),
            ("a huge text of wide characters", "\U0001f468" * 500_000),
            ("a huge text that needs escapes", '"\n' * 500_000),
            ("half a character", "a \ud83d"),
            ("many texts", ["x" * 1_000] * 5_000),
            ("texts in texts", {"a": [{"b": ["x" * 1_000] * 100}] * 100}),
            ("many names", {f"name {number}": "x" * 100 for number in range(20_000)}),
            ("line ends of all kinds", "a\r\n\x0b\x85\u2028b"),
        ]
    ),
)
def test_a_line_of_the_log_is_one_bounded_line(log: StringIO, value: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """CloudWatch takes so much as one event; what says what it is about stays."""
    logger.info("report.text", extra={"text": value})

    (line, end) = log.getvalue().split("\n")
    entry = json.loads(line)
    assert end == ""
    assert (entry["message"], entry["level"]) == ("report.text", "INFO")
    assert len(line.encode()) <= MAX_LINE_BYTES <= LARGEST_EVENT
    assert "text" in entry
    assert capfd.readouterr().err == ""


def test_the_traceback_of_a_huge_error_is_one_bounded_line(log: StringIO) -> None:
    """Its beginning says where it was."""
    try:
        int("<\n" * 1_000_000)
    except ValueError:
        logger.exception("defect")

    (line, end) = log.getvalue().split("\n")
    assert end == ""
    assert len(line.encode()) <= LARGEST_EVENT
    assert "Traceback" in json.loads(line)["exception"]


# --- the result


def result_with(count: int, issue: str, outcome: Result = Result.FAILED) -> RunResult:
    """Return a run's result with so many ad sets in trouble."""
    adsets = tuple(
        AdSetResult(str(number), issue[:MAX_NAME_CHARS], outcome, ("FL",), ("TX",), issues=(issue,) * 30)
        for number in range(count)
    )
    recovered = tuple(
        Recovery("run", str(number), "Broad", ChangeState.WRITTEN, ChangeState.WRITTEN, (issue,) * 30)
        for number in range(count)
    )
    campaign = SyncReport("veterans", "Veterans", dry_run=False, adsets=adsets, recovered=recovered)
    started = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    return RunResult("run", Action.SYNC, False, started, 5, (campaign,), mail=MailOutcome.SENT)


def noise(length: int) -> str:
    """Return a text that cannot be packed."""
    letters = random.Random(1)  # noqa: S311 - it only has to look random
    return "".join(chr(letters.randrange(0x4E00, 0x9FA5)) for _ in range(length))


def test_an_answer_fits_through_lambdas_door() -> None:
    """With too much to tell it has the counts and the first errors, and no run is lost for its words."""
    answer = result_with(150, noise(600)).to_json()

    assert len(json.dumps(answer)) <= MAX_RESULT_BYTES
    (campaign,) = answer["campaigns"]
    assert (campaign["adsets_failed"], campaign["adsets"], campaign["success"]) == (150, [], False)
    assert len(campaign["errors"]) == MAX_ISSUES
    assert answer["recovered"] == []
    assert answer["mail"] == "sent"


def test_an_answer_that_fits_is_whole() -> None:
    """Hundreds of ad sets are no reason to leave anything out."""
    answer = result_with(300, "Meta refuses it").to_json()

    assert len(answer["campaigns"][0]["adsets"]) == len(answer["recovered"]) == 300


def test_a_result_that_is_too_large_for_the_ledger_is_kept_without_details(world: World) -> None:
    """A run of which the ledger does not know the end would be taken for one that died."""
    runs(world).begin("run", Action.SYNC, ["veterans"])

    result = result_with(1, "x").to_json()
    result["campaigns"][0]["adsets"][0]["issues"] = [noise(200_000)]

    runs(world).end("run", result)

    (kept,) = entries(world, "run", pk="RUN")
    assert len(kept["result"]) < 10_000
    assert kept["success"] is False


def test_the_words_of_a_failed_run_fit_into_an_answer(world: World) -> None:
    """Lambda's caller gets the error's text."""
    world.campaign("FL")
    for _ in range(60):
        world.adset()
    world.meta.fail(faults.error(100, 1, "x" * 5_000), on="POST adset", times=None)

    with pytest.raises(SyncFailed) as caught:
        world.run(LIVE)

    assert len(str(caught.value)) <= MAX_ERROR_CHARS


def test_an_error_is_bounded_wherever_it_comes_from() -> None:
    """All of ours are, secrets taken out before."""
    assert len(str(ClosradsError("x" * 1_000_000))) == MAX_ERROR_CHARS


# --- the report


def mail_about(name: str, issue: str, count: int = 1) -> Report:
    """Return the mail about a run in which everything has this name, and everything went wrong."""
    result = result_with(count, issue)
    (campaign,) = result.campaigns
    adsets = tuple(
        replace(adset, name=name, result=list(Result)[number % len(Result)])
        for number, adset in enumerate(campaign.adsets * (len(Result) if count == 1 else 1))
    )
    recovered = tuple(replace(recovery, name=name, run_id=name) for recovery in campaign.recovered)
    campaign = replace(
        campaign,
        campaign_name=name,
        adsets=adsets,
        recovered=recovered,
        campaign_errors=(issue,),
        unmapped_states=(name,),
        active_states=("FL", name),
    )
    return build_report(replace(result, campaigns=(campaign,)), NEW_YORK)


PLAIN = mail_about("Broad", "x")


ASTRAL = "𝕊0𝕒𝌀0𝌀0𝕒0𝕊𝌀𝌀𝕒𝕕𝕚𝕜𝕛𝕝𝕞𝕟𝕞𝕞𝕞𝕡𝕢𝕡𝕡𝕤𝕥𝕤𝕤𝕧𝕨𝕩𝕪𝕫"  # noqa: RUF001
"""Characters of twelve bytes each in a mail."""


@given(st.text(max_size=60).filter(is_unreadable), st.text(max_size=60))
@example(ASTRAL, ASTRAL)
@example(ASTRAL * 5, ASTRAL * 50)
def test_a_report_is_safe_whatever_the_names(name: str, issue: str) -> None:
    """Any characters there are: no markup but our own, nothing unseen, one line for a subject.

    The structure is that of any other report if the lists are not cut, which they are by the size of the names.
    """
    mail = mail_about(name, issue)
    with patch("closrads.report.render.MAX_HTML_BYTES", sys.maxsize):
        uncut = mail_about(name, issue)

    assert encoded_size(mail.html) <= MAX_HTML_BYTES
    for each in (mail, uncut):
        assert_fit_to_read(each.subject, each.html, each.text)
    assert Markup(uncut.html).tags == Markup(PLAIN.html).tags
    assert len(mail.text.splitlines()) == len(PLAIN.text.splitlines())


@ANY_HOSTILE
def test_a_report_is_safe_for_each_known_trick(text: str) -> None:
    """Those that people have thought of, beside those that chance finds."""
    mail = mail_about(text[:2_000], text[:2_000])

    assert_fit_to_read(mail.subject, mail.html, mail.text)


@pytest.mark.sweep
def test_a_report_about_thousands_lists_the_first() -> None:
    """A mail that is too large is no mail; who wants all of it reads the text part."""
    mail = mail_about("Broad", "x" * 700, count=2_000)

    assert_fit_to_read(mail.subject, mail.html, mail.text)
    assert encoded_size(mail.html) <= MAX_HTML_BYTES
    assert encoded_size(mail.text) <= MAX_TEXT_BYTES
    assert re.search(r"and 1,?\d\d\d more", mail.html)
    assert "Broad (1999)" in mail.text


@given(st.text(max_size=200), st.integers(2, 100))
def test_plain_text_is_one_bounded_line_and_stays_so(text: str, most: int) -> None:
    """Nothing unseen is left, whatever there was; doing it twice changes nothing."""
    shown = one_line(text, most)

    assert shown.isprintable()
    assert len(shown) <= most
    assert one_line(shown, most) == shown


def test_the_interpreter_is_left_as_it_was() -> None:
    """Nobody has raised a limit to get through the tests above."""
    assert (sys.getrecursionlimit(), sys.get_int_max_str_digits()) == (1_000, 4_300)
