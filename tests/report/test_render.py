"""The report: what it says, to whom, in which order, and that names cannot break it."""

import re
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from html import escape, unescape
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.domain.damping import WaitingState
from closrads.domain.request import LIFTABLE_LIMITS, Action
from closrads.domain.results import GraphUsage, RunResult
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.fleet import NO_RESULT
from closrads.redaction import Secret
from closrads.report import render
from closrads.report.render import DARK, LIGHT, TILE_MAP, Colours, Report, build_report
from closrads.report.wording.appendix import APPENDIX
from closrads.state_mapper import fb_region_to_usps

NEW_YORK = ZoneInfo("America/New_York")
UPDATED = AdSetResult("501", "Broad", Result.UPDATED, added=("FL", "GA"), removed=("TX",), ads=4)
UNCHANGED = AdSetResult("502", "Narrow", Result.UNCHANGED)
VETERANS = SyncReport("veterans", "Veterans", dry_run=False, adsets=(UPDATED, UNCHANGED), active_states=("FL", "GA"))
RUN = RunResult(
    run_id="20260504T033000Z-0123abcd",
    action=Action.SYNC,
    dry_run=False,
    started_at=datetime(2026, 5, 4, 3, 30, tzinfo=UTC),
    duration_ms=4210,
    campaigns=(VETERANS,),
)
EARLIER = "20260502T103000Z-4567cdef"
MISSING_FORM = "Ad “Video” (901): WITH_ISSUES: Missing lead form: Choose a form. (#3390001)"


def report(*adsets: AdSetResult, dry_run: bool = False, action: Action = Action.SYNC, **changes: Any) -> Report:
    """Build the report of a run with one campaign."""
    campaign = replace(VETERANS, adsets=adsets or VETERANS.adsets, dry_run=dry_run, **changes)
    return build_report(replace(RUN, action=action, campaigns=(campaign,), dry_run=dry_run), NEW_YORK)


def later(action: Action, *adsets: AdSetResult, dry_run: bool = False, **changes: Any) -> Report:
    """Build the report of a recheck or an undo, which know no demand."""
    campaign = SyncReport("veterans", "Veterans", dry_run, adsets, about_run=EARLIER)
    campaign = replace(campaign, **changes)
    return build_report(replace(RUN, action=action, campaigns=(campaign,), dry_run=dry_run), NEW_YORK)


def recovery(state: ChangeState, *issues: str, name: str = "Broad", run_id: str = EARLIER) -> Recovery:
    """Build what became of an earlier run's change."""
    return Recovery(run_id, "501", name, ChangeState.PREPARED, state, issues)


def boxes(mail: Report) -> dict[str, str]:
    """Return the boxes' titles with their tones, in order."""
    found = re.findall(r'<h2 class="(\w+)-ink"[^>]*>([^<]*)</h2>', mail.html)
    return {unescape(title): tone for tone, title in found}


def headline(mail: Report) -> str:
    """Return the first sentence."""
    found = re.search(r"<h1[^>]*>([^<]*)</h1>", mail.html)
    assert found
    return unescape(found[1])


def tone(mail: Report) -> str:
    """Return the tone of the first sentence."""
    found = re.search(r'<h1 class="(\w+)-ink"', mail.html)
    assert found
    return found[1]


def told(mail: Report) -> str:
    """Return the text part without the appendix."""
    return mail.text.partition(f"--- {APPENDIX} ---")[0]


def ended(result: Result, *issues: str, name: str = "Broad", adset_id: str = "501") -> AdSetResult:
    """Build the result of an ad set that ended in this way."""
    return AdSetResult(adset_id, name, result, added=("FL",), issues=issues)


class _Text(HTMLParser):
    """Collects what a reader sees, and which tags were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.seen).split())


def seen(html: str) -> str:
    """Return what a reader of the HTML part sees."""
    return _Text(html).text


class TestQuietRun:
    """A run without trouble."""

    def test_outcome_first(self) -> None:
        """In the subject and in the first sentence, which says that nobody has to do anything."""
        mail = report()

        assert mail.subject == "✓ 1 updated · Sun 3 May"
        assert headline(mail) == "Nothing to do: 1 ad set updated."
        assert (tone(mail), boxes(mail)) == ("green", {})

    def test_the_date_is_that_of_the_configured_time_zone(self) -> None:
        """03:30 UTC on the 4th is still the evening of the 3rd in New York."""
        for part in (report().html, told(report())):
            assert "Sunday 3 May 2026, 11:30 pm" in part
        noon = build_report(replace(RUN, started_at=datetime(2026, 5, 4, 16, 5, tzinfo=UTC)), NEW_YORK)
        assert "12:05 pm" in noon.text

    def test_a_line_for_each_campaign(self) -> None:
        """Each change once, with the number of ad sets that have it; no zeros."""
        lines = {
            "1 of 2 ad sets: +FL +GA −TX": (UPDATED, UNCHANGED),
            "both ad sets: +FL +GA −TX": (UPDATED, UPDATED),
            "its ad set: no change, 2 states": (UNCHANGED,),
            "its ad set: changed": (replace(UPDATED, added=(), removed=()),),
            "1 of 2 ad sets: changed": (replace(UPDATED, added=(), removed=()), UNCHANGED),
            "all 3 ad sets: no change, 2 states": (UNCHANGED,) * 3,
            "1 of 4 ad sets: +FL; 1 of 4 ad sets: +GA; 2 more ad sets updated": tuple(
                replace(UPDATED, added=(code,), removed=()) for code in ("FL", "GA", "OH", "OK")
            ),
        }
        for line, adsets in lines.items():
            mail = report(*adsets)
            assert f"✓ Veterans: {line}\n" in mail.text
            assert line in seen(mail.html)

    def test_different_changes_are_told_in_the_details(self) -> None:
        """By the names of the ad sets."""
        other = replace(UPDATED, name="Other", added=("GA",), removed=())

        assert "Updated: Broad (+FL +GA −TX)\nUpdated: Other (+GA)\n" in report(UPDATED, other).text

    def test_wanted_and_running_are_one_list_if_they_agree(self) -> None:
        """And no map says again what the words do."""
        assert "Wanted today and running now (2): FL, GA\n" in report().text
        assert 'role="img"' not in report().html

    def test_nothing_to_change(self) -> None:
        """A day without changes says so."""
        assert report(UNCHANGED).subject == "✓ nothing to change · Sun 3 May"
        assert headline(report(UNCHANGED)) == "Nothing to do: all ad sets have today's states."

    def test_a_dry_run_is_marked_everywhere(self) -> None:
        """Nobody takes it for the real thing."""
        mail = report(dry_run=True)

        assert mail.subject == "[DRY RUN] ✓ 1 would be updated · Sun 3 May"
        assert "DRY RUN: nothing was changed" in seen(mail.html)
        assert "DRY RUN" in mail.text.splitlines()[0]
        assert "1 of 2 ad sets: would get +FL +GA −TX" in mail.text

    def test_why_one_gets_it(self) -> None:
        """At the end, before the appendix."""
        assert "You get this mail because" in told(report())

    def test_a_campaign_whose_ad_sets_were_left_out_is_counted(self) -> None:
        """A result may be too large to list them."""
        mail = report_of(replace(VETERANS, adsets=(), omitted={Result.UPDATED: 7, Result.UNCHANGED: 1}))

        assert "✓ Veterans: 7 of 8 ad sets updated\n" in mail.text


def report_of(*campaigns: SyncReport, **changes: Any) -> Report:
    """Build the report of a run with these campaigns."""
    return build_report(replace(RUN, campaigns=campaigns, **changes), NEW_YORK)


class TestWhatToDo:
    """What needs a person: what, where and how."""

    @pytest.mark.parametrize(
        ("reason", "title", "said"),
        [
            ("WITH_ISSUES: Missing lead form: Choose a form. (#3390001)", "Lead form lost", "has lost its lead form"),
            ("DISAPPROVED: Misleading", "Rejected by Meta", "was rejected by Meta"),
            ("is switched on, and Meta has paused it: x", "An ad with a problem", "was switched off by Meta"),
            ("was switched on before and is PAUSED now: x", "An ad with a problem", "was switched off by Meta"),
            ("could not be re-published: x", "An ad with a problem", "could not be published again"),
            ("is not re-published yet", "An ad with a problem", "has not been published again yet"),
            ("has a status that is not known here: NEW", "Could not be checked", "could not be checked"),
            ("WITH_ISSUES: Image too small (#99)", "An ad with a problem", "has a problem: Image too small"),
            ("WITH_ISSUES: see /help for token 7 (#99)", "An ad with a problem", "has a problem"),
            (
                "was on before our change, is off now, and nobody can tell by whom",
                "Switched off, and not by CLOSRADS",
                "was switched off, and Meta does not say by whom",
            ),
        ],
    )
    def test_an_ad(self, reason: str, title: str, said: str) -> None:
        """It is named with its ad set, the link leads to the ad itself, and Meta's codes stand in the appendix only."""
        mail = report(ended(Result.SKIPPED_PREFLIGHT, f"Ad “Video” (901): {reason}"), fb_ad_account_id="act_111")

        assert list(boxes(mail)) == [title]
        assert headline(mail) == f"1 ad needs you: Video (Veterans) {said}."
        assert f"* Video in Broad (Veterans) {said}\n" in mail.text
        assert escape("/manage/ads?act=111&selected_ad_ids=901") in mail.html
        assert mail.subject == "⚠ 1 ad needs you · Sun 3 May"
        assert reason in mail.text.partition(APPENDIX)[2]

    @pytest.mark.parametrize(
        ("result", "issue", "title", "said"),
        [
            (Result.FAILED, "x", "Not updated", "could not be updated"),
            (Result.UNVERIFIED, "x", "Could not be confirmed", "was changed, and its ads could not be checked after"),
            (
                Result.UNVERIFIED,
                "The ledger does not know how it ended: x",
                "Could not be confirmed",
                "was changed, but how that ended could not be recorded",
            ),
            (Result.SUPERSEDED, "x", "Changed by somebody else", "was changed by somebody else"),
            (
                Result.NEEDS_ATTENTION,
                "It excludes FL: take the exclusion out in Ads Manager",
                "Cannot follow the demand as it is set up",
                "cannot be given today's states: it excludes FL: take the exclusion out in Ads Manager",
            ),
            (Result.NEEDS_ATTENTION, "Its targeting uses “x_y”", "Needs a look", "cannot be given today's states"),
            (
                Result.NEEDS_ATTENTION,
                'It was put back on 2 runs in a row. See to its ads, then run it with "force": ["reverted_before"]',
                "Put back on two runs in a row",
                "was put back on several runs in a row",
            ),
            (
                Result.NOT_ACTIVE,
                "Meta says WITH_ISSUES",
                "Not running: Meta reports a problem",
                "does not run, because",
            ),
        ],
    )
    def test_an_ad_set(self, result: Result, issue: str, title: str, said: str) -> None:
        """It is named, with a link to it, and how it goes on."""
        mail = report(ended(result, issue), fb_ad_account_id="act_111")

        assert list(boxes(mail)) == [title]
        assert f"* Broad (Veterans) {said}" in mail.text
        assert "\nWhat to do:\n1. Open the ad set" in mail.text
        assert headline(mail).startswith("1 ad set needs you: Broad (Veterans) ")
        assert "https://adsmanager.facebook.com/adsmanager/manage/adsets?act=111&selected_adset_ids=501" in mail.text

    @pytest.mark.parametrize(
        ("result", "issue", "title"),
        [
            (
                Result.NEEDS_ATTENTION,
                "points of Meta's quota; the access tier allows 9",
                "Waits for whoever runs CLOSRADS",
            ),
            (Result.FAILED, "Unexpected KeyError: 'x'", "Not updated, for a reason inside CLOSRADS"),
            (Result.FAILED, "The ledger cannot be written", "Not updated, for a reason inside CLOSRADS"),
            (Result.FAILED, "No permission. Check meta/access_token", "Not updated, for a reason inside CLOSRADS"),
        ],
    )
    def test_what_is_not_the_readers(self, result: Result, issue: str, title: str) -> None:
        """Who must act is named, and the mail is to be forwarded."""
        mail = report(ended(result, issue))

        assert list(boxes(mail)) == [title]
        assert "Forward this mail to whoever runs CLOSRADS" in told(mail)
        assert issue in mail.text
        assert "you" not in headline(mail).split()

    @pytest.mark.parametrize(
        ("result", "issue", "title", "box_tone"),
        [
            (Result.REVERTED, MISSING_FORM, "Updated, then put back as before", "red"),
            (Result.DEFERRED, "Too little time", "Left for the next run", "grey"),
            (Result.HELD, "The campaign was stopped before its turn", "Not started", "grey"),
            (Result.HELD, "An earlier change of it is still open, and comes first", "Not started", "grey"),
            (Result.NOT_ACTIVE, "Meta says IN_PROCESS", "Still being processed by Meta", "grey"),
            (Result.ENDED, "", "Ended", "grey"),
        ],
    )
    def test_what_needs_nobody(self, result: Result, issue: str, title: str, box_tone: str) -> None:
        """It is told, with no step, and the first sentence says that there is nothing to do."""
        mail = report(ended(result, issue), UNCHANGED)

        assert boxes(mail) == {title: box_tone}
        assert "What to do" not in mail.text
        assert headline(mail).startswith("Nothing to do: ")

    @pytest.mark.parametrize("result", sorted(set(Result) - {Result.ENDED}))
    def test_an_ad_set_that_is_shown_outside_its_states(self, result: Result) -> None:
        """Nobody buys its leads from there: it is the reader's to switch off, whatever else became of the ad set."""
        mail = report(replace(ended(result), reaches_beyond=True), UNCHANGED)

        assert boxes(mail)["Shown outside its states"] == "orange"
        assert "\n* Broad (Veterans) may be shown to people outside its states\n" in told(mail)
        assert "Switch off “Reach more people likely to respond”" in told(mail)
        assert "(501): targeting_automation.individual_setting.geo is 1" in mail.text
        assert "need" in mail.subject or "✗" in mail.subject

    @pytest.mark.parametrize(
        ("since", "dry_run", "line"),
        [
            ((None,), False, "1 ad set restarts Meta's learning phase, so leads may cost more for some days"),
            ((None, None), False, "2 ad sets restart Meta's learning phase"),
            ((None,), True, "1 ad set would restart Meta's learning phase"),
            (("",), False, "for some days. 1 had not left it yet: Broad 0.\n"),
            (("2026-05-02T03:00:00+00:00", ""), False, "2 had not left it yet: Broad 0 (since 1 May), Broad 1.\n"),
            (
                ("2025-12-24T12:00:00+00:00",) * 5,
                False,
                "yet: Broad 0 (since 24 Dec 2025), Broad 1 (since 24 Dec 2025) and 3 m",
            ),
        ],
    )
    def test_the_learning_phase_in_one_line(self, since: tuple[str | None, ...], line: str, *, dry_run: bool) -> None:
        """With a name for two of those that had not left it, and the day of the configured time zone."""
        adsets = [replace(UPDATED, name=f"Broad {number}", learning_since=each) for number, each in enumerate(since)]
        mail = report(*adsets, dry_run=dry_run)

        assert line in told(mail)
        assert told(mail).count("learning phase") == 1
        assert line.strip() in seen(mail.html)

    def test_no_change_starts_no_learning_phase(self) -> None:
        """And a second look tells of none: what it puts back is in it anyway."""
        assert "learning" not in report(UNCHANGED).text
        assert "learning" not in later(Action.RECHECK, ended(Result.REVERTED, MISSING_FORM)).text

    def test_many_that_are_shown_outside_their_states(self) -> None:
        """They are told once, with a link to each; no day is green on which leads come from elsewhere."""
        adsets = [replace(ended(Result.UNCHANGED, adset_id=str(each)), reaches_beyond=True) for each in range(501, 509)]
        mail = report(*adsets, fb_ad_account_id="act_111")

        assert mail.subject == "⚠ 8 ad sets need you · Sun 3 May"
        assert tone(mail) == "orange"
        assert told(mail).count("outside its states") == 1 + len(boxes(mail))
        assert all(f"selected_adset_ids={adset.id}\n" in told(mail) for adset in adsets)

    @pytest.mark.parametrize("action", [Action.SYNC, Action.UNDO])
    def test_what_else_is_said_of_an_ad_set_that_is_as_wanted_needs_a_look(self, action: Action) -> None:
        """It is not known what it means, so it is no green line."""
        mail = report(ended(Result.UPDATED, "a reason that is new"), action=action)

        assert boxes(mail) == {"Needs a look": "orange"}
        assert tone(mail) == "orange"

    def test_what_was_put_back_is_told_with_its_reason(self) -> None:
        """As what is over."""
        mail = report(ended(Result.REVERTED, MISSING_FORM, "Its targeting was restored and its ads are healthy"))

        assert "* Broad (Veterans) could not keep its new states: its ad Video had lost its lead form\n" in mail.text
        assert mail.subject == "⚠ 1 put back as before · Sun 3 May"

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize("result", [each for each in Result if each not in {Result.UPDATED, Result.UNCHANGED}])
    def test_every_result_but_the_quiet_two_has_a_box(self, action: Action, result: Result) -> None:
        """A new result cannot be forgotten here, whatever was asked for."""
        mail = report(ended(result, "a reason"), ended(Result.UNCHANGED), action=action)

        assert "a reason" in mail.text
        assert len(boxes(mail)) == 1
        assert "Broad" in told(mail)

    def test_what_the_reader_must_do_comes_first(self) -> None:
        """And before it what is not restored; of each sort red, orange and grey, and an ad before a campaign."""
        mail = report(
            ended(Result.HELD),
            ended(Result.NEEDS_ATTENTION),
            ended(Result.SKIPPED_PREFLIGHT, MISSING_FORM),
            ended(Result.FAILED),
            ended(Result.ROLLBACK_FAILED),
            campaign_errors=("x",),
            unmapped_states=("PR",),
            recovered=(recovery(ChangeState.VERIFIED),),
        )

        assert list(boxes(mail)) == [
            "Not restored: look at this now",
            "Not updated",
            "Lead form lost",
            "Needs a look",
            "Unknown states",
            "Could not be updated",
            "Finished for an earlier run",
            "Not started",
        ]
        assert tone(mail) == "red"

    def test_several_things(self) -> None:
        """The first is named, the others are counted."""
        mail = report(
            ended(Result.SKIPPED_PREFLIGHT, MISSING_FORM, MISSING_FORM.replace("901", "902")),
            ended(Result.NEEDS_ATTENTION),
        )

        assert headline(mail) == "3 things need you: Video (Veterans) has lost its lead form, and 2 more."
        assert "* 2 ads (Veterans), each has lost its lead form:\n  - Video in Broad\n  - Video in Broad\n" in mail.text
        assert "⚠ 3 things need you" in mail.subject

    def test_the_loudest_is_one_whole_sentence(self) -> None:
        """With every ad that is named, whatever came before it, and with what to do."""
        restored = "Its targeting was restored, but not all ads are well"
        mail = report(ended(Result.ROLLBACK_FAILED, MISSING_FORM, restored))

        assert mail.subject == "✗ NOT RESTORED in Veterans · Sun 3 May"
        assert headline(mail) == (
            "Look at this now: Broad (Veterans) has its old states back, but some of its ads have a problem: "
            "its ad Video has lost its lead form."
        )
        assert "\n1. Open the ad set.\n2. Check that its ads are on" in mail.text
        known = report(ended(Result.ROLLBACK_FAILED, MISSING_FORM, restored), fb_ad_account_id="act_111")
        assert (
            "\n  Video: https://adsmanager.facebook.com/adsmanager/manage/ads?act=111&selected_ad_ids=901\n"
            in known.text
        )
        assert re.search(
            r'lost its lead form\. Open the ad: <a class="link" href="[^"]*901"[^>]*>Video</a></p>', known.html
        )
        assert "Not known: the states of Broad" in mail.text

    def test_what_was_tried_is_told_if_it_may_be_there(self) -> None:
        """To look for in Ads Manager."""
        stuck = replace(ended(Result.ROLLBACK_FAILED, "Its states were NOT restored"), removed=("TX",))

        for mail in (report(stuck), later(Action.UNDO, stuck), later(Action.RECHECK, stuck)):
            assert "may not have its old states back. The update that failed was +FL −TX" in mail.text
        assert "tried:" not in report(replace(stuck, added=(), removed=())).text

    def test_an_ad_that_is_off_since_a_change(self) -> None:
        """It may have been Meta: a person is asked."""
        since = datetime(2026, 5, 2, 12, tzinfo=UTC)
        mail = report(unexplained=(UnexplainedPause("501", "Broad", {"901": "Video"}, since),))

        assert (
            "* Video in Broad (Veterans) was switched off after a change of its ad set on 2 May, and Meta" in mail.text
        )
        assert list(boxes(mail)) == ["Switched off, and not by CLOSRADS"]

    def test_an_updated_ad_set_with_such_an_ad_is_not_green(self) -> None:
        """Green is for what is as it should be."""
        mail = report(replace(UPDATED, issues=("Ad “Video” (901): ran before, is PAUSED now, and is left so",)))

        assert (tone(mail), "✓" in mail.subject) == ("orange", False)

    def test_unknown_states_and_lifted_limits(self) -> None:
        """Both are shown, neither is an error; a limit by what it stands for."""
        campaign = replace(VETERANS, unmapped_states=("GU", "T?"))
        other = replace(VETERANS, slug="truckers", campaign_name="Truckers")
        mail = build_report(replace(RUN, campaigns=(campaign, other), force=LIFTABLE_LIMITS), NEW_YORK)

        for part in (seen(mail.html), mail.text):
            assert "Veterans has a state from CLOSRTECH that Meta does not know: “GU”" in part
            assert "Veterans has a name from CLOSRTECH that is not a state: “T?”" in part
            assert "Limits lifted for this run: states are added that would have to wait; more of the states " in part
            assert not any(limit in part for limit in LIFTABLE_LIMITS)

    def test_no_state_is_promised_to_be_taken_away_where_none_may_be(self) -> None:
        """An entry of the list that could not be read may mean any state."""
        unread = replace(VETERANS, unmapped_states=("T?",))
        other = replace(VETERANS, slug="truckers", campaign_name="Truckers")
        only = frozenset({"remove_after_days", "add_after_days"})

        def lifted(*campaigns: SyncReport, force: frozenset[str] = LIFTABLE_LIMITS) -> str:
            mail = build_report(replace(RUN, campaigns=campaigns, force=force), NEW_YORK)
            (line,) = (line for line in mail.text.splitlines() if line.startswith("Limits lifted"))
            assert line.partition(": ")[2] in seen(mail.html)
            return line.partition(": ")[2]

        assert lifted(unread, force=only) == (
            "states are added that would have to wait; no state is taken away all the same, because CLOSRTECH's list "
            "could not be read"
        )
        assert lifted(unread, other, force=only) == (
            "states are added that would have to wait; states are taken away that would have to wait; in Veterans, no "
            "state is taken away all the same, because CLOSRTECH's list could not be read"
        )
        assert (
            lifted(unread, force=frozenset({"reverted_before"})) == "ad sets that were put back twice are tried again"
        )

    def test_states_that_wait(self) -> None:
        """All that wait for the same day are told together, with the year if it is another one; it needs nobody."""
        dates = (date(2026, 5, 3), date(2026, 5, 6)), (date(2026, 12, 31), date(2027, 1, 2))
        (two, old), (may, new_year) = zip(*dates, strict=True)
        waiting = (
            WaitingState("FL", is_wanted=True, since=two, due=may),
            WaitingState("GA", is_wanted=True, since=two, due=may),
            WaitingState("OH", is_wanted=True, since=two, due=may),
            WaitingState("TX", is_wanted=False, since=old, due=new_year),
            WaitingState("<b>", is_wanted=False, since=two, due=may),
        )
        mail = report(UNCHANGED, waiting=waiting)

        for told_of in (
            "Veterans will add Florida, Georgia and Ohio on 6 May if they stay wanted, as they have been since 3 May",
            "Veterans will remove Texas on 2 Jan 2027 if it stays unwanted, as it has been since 31 Dec",
            "Veterans will remove <b> on 6 May if it stays unwanted, as it has been since 3 May",
        ):
            assert told_of in mail.text
            assert told_of in seen(mail.html)
        assert boxes(mail) == {"Waiting to see whether demand lasts": "grey"}
        assert (tone(mail), mail.subject[:20]) == ("green", "✓ nothing to change ")
        assert "its ad set: no change; waiting: +FL +GA +OH −TX −<b>" in mail.text

    def test_a_count_that_begins_anew(self) -> None:
        """It is told, and needs nobody either."""
        mail = report(UNCHANGED, counts_anew=True)

        assert "Veterans has started counting again for how long each state has been wanted" in mail.text
        assert (tone(mail), boxes(mail)) == ("green", {"The wait starts over": "grey"})

    def test_a_setting_that_does_nothing(self) -> None:
        """Its name stands in the appendix."""
        mail = build_report(
            replace(RUN, notices=("/closrads/prod/campaigns/vetrans: did you mean veterans?",)), NEW_YORK
        )

        assert boxes(mail) == {"A setting under a misspelled name": "orange"}
        assert "vetrans" not in told(mail)
        assert "vetrans: did you mean veterans?" in mail.text
        assert headline(mail) == "Nothing to do: 1 ad set updated."


class TestCampaignErrors:
    """Why a campaign was not updated, and whose turn it is."""

    @pytest.mark.parametrize(
        ("error", "title", "first"),
        [
            ("Meta refuses 1/ads: Expired [Meta 190]. Check", "CLOSRADS cannot sign in to Meta", "Please tell whoever"),
            ("Meta refuses 1/ads: [Meta 190/463]", "CLOSRADS cannot sign in to Meta", "Please tell whoever runs CLOSR"),
            (NO_RESULT, "Interrupted", "Please tell whoever runs CLOSRADS: Veterans was interrupted"),
            (
                "Too many calls [Meta 80004/2446079]",
                "Meta allowed no more for now",
                "No action needed today: Veterans was not up",
            ),
            ("Too many calls [Meta 17]", "Meta allowed no more for now", "No action needed today: Veterans was not up"),
            ("No [Meta 10]. Check meta/access_token", "CLOSRADS may not change these ads", "Please tell whoever"),
            (
                "Pay. Nothing in this ad account can be changed until a person has settled that",
                "Meta has blocked changes in the ad account",
                "1 campaign needs you: Veterans was not updated, because Meta allows no changes in the ad account.",
            ),
            (
                "Do not retry: look at the account in Meta Business Support first",
                "Meta has blocked CLOSRADS",
                "1 campa",
            ),
            ("A newer CLOSRADS is needed", "CLOSRADS is out of date", "Please tell whoever runs CLOSRADS"),
            ("compare the table of regions with Meta's", "Meta's list of states has changed", "Please tell whoever"),
            (
                "Stopped: The audience controls of the ad account exclude FL",
                "The ad account forbids some states",
                "1 c",
            ),
            (
                'The demand would take away 9 of the 10. Run it with "force": ["max_removed_pct"]',
                "Too many states would be taken away",
                "1 campaign needs you: Veterans was not updated, because today's demand would take away most of the",
            ),
            ("CLOSRTECH has no demand in any state for VND_X", "No demand at all", "1 campaign needs you"),
            ("CLOSRTECH refuses the request for VND_X (HTTP 403)", "CLOSRTECH refuses CLOSRADS", "Please tell whoever"),
            ("CLOSRTECH is in trouble (HTTP 503 for VND_X)", "CLOSRTECH did not answer", "1 campaign needs you"),
            ("CLOSRTECH's answer for VND_X is odd", "CLOSRTECH's answer makes no sense", "1 campaign needs you"),
            ("Stopped: 2 ad sets in a row had to be put back", "Stopped to protect the ads", "Please tell whoever"),
            ("Meta campaign 123 (X) is deleted: take it out", "A Meta campaign is gone", "Please tell whoever"),
            ("The ledger cannot be read", "A fault inside CLOSRADS", "Please tell whoever runs CLOSRADS"),
            ("Meta gave no answer (ReadTimeout)", "Meta did not answer", "Please tell whoever runs CLOSRADS"),
            ("anything else", "Could not be updated", "Please tell whoever runs CLOSRADS: Veterans was not updated."),
        ],
    )
    def test_each_kind(self, error: str, title: str, first: str) -> None:
        """In plain words, with the raw text in the appendix."""
        mail = report_of(replace(VETERANS, adsets=(), campaign_errors=(error,)))

        assert list(boxes(mail)) == [title]
        assert headline(mail).startswith(first)
        assert mail.subject == "✗ Veterans failed · Sun 3 May"
        assert error not in told(mail)
        assert error in mail.text
        assert "✗ Veterans: not updated, its ads run as before\n" in mail.text

    def test_a_plan_that_has_become_another_one(self) -> None:
        """Nothing failed; what needs a person all the same comes after it."""
        why = "Refused: the plan is no longer the approved 1f: “Broad” (501): +FL −TX instead of +FL"
        first = "No planned change was made, because things have changed since the plan was shown: make a new plan."
        for adsets, more, row in (
            ((), "", "not updated, its ads run as before"),
            (
                (ended(Result.SKIPPED_PREFLIGHT, MISSING_FORM), replace(UNCHANGED, result=Result.HELD)),
                " 1 ad needs you: Video (Veterans) has lost its lead form.",
                "of 2: 1 with a broken ad, 1 not started; not updated, its ads run as before",
            ),
        ):
            campaign = replace(VETERANS, adsets=adsets, refused=why, states_before=("TX",))
            mail = build_report(replace(RUN, campaigns=(campaign,), plan_refused=True), NEW_YORK)

            assert headline(mail) == f"{first}{more}"
            assert mail.subject == "⚠ Plan not carried out: things have changed since it was shown · Sun 3 May"
            assert boxes(mail)["No longer what was approved"] == tone(mail) == "orange"
            assert "make a new plan and approve that" in told(mail)
            assert f"⚠ Veterans: {row}\n" in mail.text
            assert why not in told(mail)
            assert why in mail.text
            assert ("Running now (1): TX" in mail.text) == (not adsets)

    def test_an_error_that_campaigns_share_is_told_once(self) -> None:
        """In the plural."""
        campaigns = [
            replace(VETERANS, adsets=(), campaign_name=name, campaign_errors=(f"{name}: [Meta 190]",))
            for name in ("Veterans", "Truckers")
        ]
        mail = report_of(*campaigns)

        assert "* Veterans, Truckers were not updated, because Meta no longer lets CLOSRADS sign in\n" in mail.text
        assert headline(mail).endswith(
            "Veterans, Truckers were not updated, because Meta no longer lets CLOSRADS sign in."
        )

    def test_a_stopped_campaign(self) -> None:
        """What was not begun is named."""
        mail = report(
            ended(Result.REVERTED, "Its targeting was restored and its ads are healthy"),
            ended(Result.HELD, "The campaign was stopped before its turn"),
            campaign_errors=("Stopped: 2 ad sets in a row had to be put back",),
        )

        assert list(boxes(mail)) == ["Stopped to protect the ads", "Updated, then put back as before", "Not started"]
        assert "✗ Veterans: of 2: 1 put back as before, 1 not started; stopped\n" in mail.text


class TestWantedAndRunning:
    """Two facts, two words, and each state that differs is marked."""

    LEFT = AdSetResult("503", "Late", Result.DEFERRED, missing=("GA",), extra=("AR",))

    def test_what_was_left_runs_in_the_old_states(self) -> None:
        """Not in those of today's demand."""
        mail = report(self.LEFT)

        for part in (seen(mail.html), mail.text):
            assert "Wanted today (2): FL, GA" in part
            assert "Running now (2): AR, FL" in part
            assert "Wanted, not running yet: GA" in part
            assert "Running, not wanted: AR" in part

    def test_how_widely_a_state_differs(self) -> None:
        """A state may run in some ad sets and not in others."""
        mail = report(self.LEFT, UPDATED)

        assert "Running now (3): AR, FL, GA\n" in mail.text
        assert "Wanted, not running yet: GA (in 1 of 2 ad sets)\n" in mail.text

    def test_a_refused_plan_tells_what_runs(self) -> None:
        """Nothing is drawn as if the demand were there."""
        mail = report_of(replace(VETERANS, adsets=(), campaign_errors=("x",), states_before=("FL", "OH", "TX")))

        assert "Running now (3): FL, OH, TX\n" in mail.text
        assert "Wanted, not running yet: GA\nRunning, not wanted: OH, TX\n" in mail.text

    def test_what_was_not_looked_at_is_not_known(self) -> None:
        """Neither the demand, if there was none, nor what runs."""
        mail = report_of(replace(VETERANS, adsets=(), campaign_errors=("x",)))
        none = report_of(replace(VETERANS, adsets=(), active_states=(), campaign_errors=("x",)))
        runs = report_of(replace(VETERANS, active_states=(), adsets=(), campaign_errors=("x",), states_before=("FL",)))

        few = report_of(replace(VETERANS, adsets=(replace(UPDATED, result=Result.REVERTED),), campaign_errors=("x",)))

        assert "Wanted today (2): FL, GA\nRunning now: as before; this run did not look\n" in mail.text
        assert "Wanted today (2): FL, GA\nRunning now: as before; this run did not look\n" in few.text
        assert "Wanted today" not in none.text
        assert "Wanted today: not known\nRunning now (1): FL\n" in runs.text

    def test_a_dry_run_has_changed_nothing(self) -> None:
        """What would be added does not run yet."""
        mail = report(UPDATED, dry_run=True)

        assert "Wanted, not running yet: FL, GA\nRunning, not wanted: TX\n" in mail.text

    def test_a_map_where_it_says_more(self) -> None:
        """From four states that differ on; told apart without colour, and in words for those who do not see it."""
        off = replace(self.LEFT, missing=("FL", "GA"), extra=("OH", "TX"))
        mail = report(off, active_states=("FL", "GA", "OR"))

        assert (
            'aria-label="Map of the states. Wanted and running: Oregon. Wanted, not running yet: Florida, Georgia. '
            'Running, not wanted: Ohio, Texas."' in mail.html
        )
        shown = re.findall(r"<td[^>]*>([^<]*)</td>", mail.html)
        assert [tile for tile in shown if re.fullmatch(r"[+−]?[A-Z]{2}", tile)] == ["OR", "−OH", "+GA", "−TX", "+FL"]
        assert 'role="img"' not in report(replace(off, extra=("OH",)), active_states=("FL", "GA", "OR")).html

    def test_the_tile_map_has_each_state_once(self) -> None:
        """51 tiles."""
        tiles = " ".join(TILE_MAP).replace("..", "").split()
        assert sorted(tiles) == sorted(fb_region_to_usps(str(key)) for key in range(3843, 3894))


class TestGreen:
    """Only if everything that should run does."""

    def test_a_campaign_without_an_active_ad_set(self) -> None:
        """It says so instead of counting to zero."""
        mail = report_of(replace(VETERANS, adsets=()))

        assert boxes(mail) == {"No active ad set": "orange"}
        assert headline(mail) == "1 campaign needs you: Veterans has no active ad set."
        assert "⚠ Veterans: no active ad set\n" in mail.text
        assert " 0 " not in told(mail)

    def test_only_what_has_ended(self) -> None:
        """Nothing follows the demand there either."""
        assert "⚠ Veterans: no active ad set\n" in report(ended(Result.ENDED)).text

    def test_an_ad_set_that_has_ended_beside_others(self) -> None:
        """It is no trouble."""
        mail = report(UNCHANGED, ended(Result.ENDED))

        assert (tone(mail), mail.subject) == ("green", "✓ nothing to change · Sun 3 May")

    @pytest.mark.parametrize(
        ("results", "dry_run", "sign"),
        [
            ([Result.DEFERRED, Result.UNCHANGED], False, "⚠"),
            ([Result.DEFERRED, Result.UPDATED], False, "✓"),
            ([Result.DEFERRED], True, "✓"),
            ([Result.UNCHANGED], False, "✓"),
        ],
    )
    def test_a_live_run_that_could_do_nothing_of_what_it_wanted_warns(
        self,
        results: list[Result],
        dry_run: bool,  # noqa: FBT001 - a parameter
        sign: str,
    ) -> None:
        """To leave some for the next run is ordinary; to leave all of them is not."""
        assert f"{sign} " in report(*map(ended, results), dry_run=dry_run).subject

    def test_paused(self) -> None:
        """Who can resume it is named."""
        since = datetime(2026, 4, 30, 12, tzinfo=UTC)
        switch = SwitchedOff(since)
        mail = report_of(replace(VETERANS, adsets=(), switched_off=switch), switched_off=(switch,))

        assert mail.subject == "⚠ paused since 30 Apr · Sun 3 May"
        assert headline(mail) == "CLOSRADS has been paused since 30 Apr: nothing new was begun."
        assert "To resume updates, ask whoever runs CLOSRADS." in mail.text
        assert "· Veterans: paused\n" in mail.text
        amid = report_of(replace(VETERANS, switched_off=switch), switched_off=(switch,))
        assert headline(amid) == "CLOSRADS has been paused since 30 Apr: 1 ad set updated."

    def test_paused_midway(self) -> None:
        """What was not begun is not promised to the next run, and why is said once, of all campaigns."""
        switch = SwitchedOff(datetime(2026, 4, 30, 12, tzinfo=UTC))
        put_off = [
            ended(Result.DEFERRED, "Not begun: CLOSRADS is paused, since 2026-05-04 03:31 UTC", name=f"Ad set {number}")
            for number in range(3)
        ]
        veterans = replace(VETERANS, adsets=(UPDATED, put_off[0], put_off[1]), switched_off=switch)
        truckers = replace(veterans, slug="truckers", campaign_name="Truckers", adsets=(put_off[2],))
        mail = report_of(veterans, truckers, switched_off=(switch,))

        assert mail.subject == "⚠ paused since 30 Apr, 1 updated, 3 not started · Sun 3 May"
        assert headline(mail) == "CLOSRADS has been paused since 30 Apr: 1 ad set updated, 3 not started."
        assert told(mail).count("paused by then") == 1
        assert "* Veterans, Truckers were not finished, because CLOSRADS was paused by then\n" in mail.text
        assert "· Veterans: 1 of 3 ad sets: +FL +GA −TX; 2 not started; paused\n" in mail.text
        assert "next run" not in told(mail)
        assert "Veterans · Ad set 0 (501), Ad set 1 (501): deferred: Not begun: CLOSRADS is paused" in mail.text

    def test_switched_off_midway(self) -> None:
        """By the switch of the campaign; what was deferred for another reason is left for the next run as ever."""
        off = SwitchedOff(datetime(2026, 5, 3, 12, tzinfo=UTC), "veterans", "Veterans")
        put_off = ended(Result.DEFERRED, "Not begun: the campaign is switched off, since 2026-05-03 12:00 UTC")
        late = ended(Result.DEFERRED, "Only 1 ad set is changed in a run", name="Late", adset_id="509")
        other = replace(VETERANS, slug="truckers", campaign_name="Truckers", adsets=(UNCHANGED,))
        mail = report_of(
            replace(VETERANS, adsets=(UPDATED, put_off, late), switched_off=off), other, switched_off=(off,)
        )

        assert mail.subject == "⚠ Veterans switched off, 1 updated, 1 left for the next run and more · Sun 3 May"
        assert headline(mail) == (
            "Veterans was switched off during the run: 1 ad set updated, 1 left for the next run, 1 not started."
        )
        assert "* Veterans was switched off during the run\n" in mail.text
        assert "* Late (Veterans) was not reached\n" in mail.text

    @pytest.mark.parametrize(
        ("day", "title", "how_long"),
        [(1, "Updates off", "since 1 May"), (-9, "Updates off for a long time", "for 12 days")],
    )
    def test_a_campaign_that_is_off(self, day: int, title: str, how_long: str) -> None:
        """More visible the longer it lasts."""
        since = datetime(2026, 5, 1, 12, tzinfo=UTC) if day == 1 else datetime(2026, 4, 21, 12, tzinfo=UTC)
        off = SwitchedOff(since, "truckers", "Truckers")
        truckers = SyncReport("truckers", "Truckers", dry_run=False, switched_off=off)
        mail = report_of(VETERANS, truckers, switched_off=(off,))

        assert list(boxes(mail)) == [title]
        assert f"· Truckers: off {how_long}\n" in mail.text
        assert mail.subject == f"⚠ 1 updated; off: Truckers, {how_long} · Sun 3 May"
        assert headline(mail) == "Nothing to do: 1 ad set updated."
        assert headline(report_of(replace(VETERANS, adsets=(UNCHANGED,)), truckers, switched_off=(off,))) == (
            "Nothing to do: no states had to be changed."
        )

    def test_no_campaign_at_all(self) -> None:
        """A run in which every campaign is switched off claims no success."""
        mail = report_of()

        assert headline(mail) == "Updates are off for every campaign, so nothing was done."
        assert tone(mail) == "grey"


def test_one_call_is_one_call() -> None:
    """At the foot."""
    mail = build_report(replace(RUN, graph=GraphUsage(1, 1, 1)), NEW_YORK)

    assert "Run 20260504T033000Z-0123abcd · 4.2 s · 1 call to Meta" in mail.text


class TestAdsManager:
    """Links to what a reader has to look at."""

    @pytest.mark.parametrize("account", ["", "act_", 'act_1"onclick=', "act_\uff11"])
    def test_an_account_that_is_none(self, account: str) -> None:
        """No link is better than a wrong one."""
        mail = report(ended(Result.FAILED), fb_ad_account_id=account)

        assert "href" not in mail.html
        assert "https:" not in mail.text

    def test_the_result_names_the_account(self) -> None:
        """For who makes such a link from the handler's answer."""
        campaign = replace(VETERANS, fb_ad_account_id="act_111")

        assert replace(RUN, campaigns=(campaign,)).to_json()["campaigns"][0]["fb_ad_account_id"] == "act_111"

    def test_an_ad_set_without_a_name(self) -> None:
        """There is something to read and to press on."""
        assert ">501</a>" in report(ended(Result.FAILED, name="\u200b"), fb_ad_account_id="act_111").html


class TestColours:
    """Ink on paper, by WCAG 2.2, in both modes."""

    @pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
    def test_every_ink_can_be_read_on_its_paper(self, mode: dict[str, Colours]) -> None:
        """Also a box's plain text, links and counts, which have the page's colours."""
        pairs = [(colours.ink, colours.paper) for colours in mode.values()]
        pairs += [
            (mode[ink].ink, mode[tone].paper)
            for ink in ("page", "soft", "link")
            for tone in ("red", "orange", "green", "grey")
        ]

        assert [(ink, paper) for ink, paper in pairs if contrast(ink, paper) < 4.5] == []

    def test_both_modes_have_the_same_colours(self) -> None:
        """Else something keeps its light colour in the dark."""
        assert list(LIGHT) == list(DARK)

    def test_contrast(self) -> None:
        """The known ends of the scale, and WCAG's own example of just enough."""
        assert contrast("#000000", "#ffffff") == pytest.approx(21)
        assert contrast("#ffffff", "#ffffff") == pytest.approx(1)
        assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def contrast(ink: str, paper: str) -> float:
    """Return WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(ink), luminance(paper)))
    return (lighter + 0.05) / (darker + 0.05)


class TestEarlierRuns:
    """Changes that an earlier run has left open."""

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (ChangeState.VERIFIED, "was finished, and its ads are healthy"),
            (ChangeState.ROLLED_BACK, "was put back as before, and its ads are healthy"),
            (ChangeState.SUPERSEDED, "was changed by somebody else since, and was left like that"),
            (ChangeState.NOT_WRITTEN, "had not been changed"),
        ],
    )
    def test_brought_to_an_end(self, state: ChangeState, words: str) -> None:
        """It is no error, but no quiet day either."""
        mail = report(recovered=(recovery(state, "a reason"),))

        assert boxes(mail) == {"Finished for an earlier run": "orange"}
        assert mail.subject == "⚠ 1 updated; 1 finished for an earlier run · Sun 3 May"
        assert f"* Broad (Veterans) {words}\n" in mail.text
        assert f"Veterans · Broad (501): prepared by run {EARLIER}, now {state}: a reason" in mail.text

    @pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
    def test_an_ad_set_that_is_gone(self, status: str) -> None:
        """Nobody is said to have changed its states, or is asked to see to it."""
        mail = report(recovered=(recovery(ChangeState.SUPERSEDED, f"The ad set is {status} now"),))

        assert "* Broad (Veterans) was archived or deleted since, so nothing is left to do\n" in mail.text

    @pytest.mark.parametrize(
        "state", [ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.ROLLING_BACK]
    )
    def test_still_open(self, state: ChangeState) -> None:
        """What a live run cannot bring to an end is an error, and a person looks."""
        mail = report(recovered=(recovery(state), recovery(ChangeState.VERIFIED)))

        assert boxes(mail) == {"Unfinished since an earlier run": "red", "Finished for an earlier run": "orange"}
        assert mail.subject == "✗ Veterans failed · Sun 3 May"
        assert headline(mail).startswith("1 ad set needs you: Broad (Veterans) could neither be finished nor undone")

    def test_in_a_dry_run(self) -> None:
        """Nobody has looked at them yet: that is no error of this run."""
        mail = report(recovered=(recovery(ChangeState.WRITTEN),), dry_run=True)

        assert boxes(mail) == {"Unfinished since an earlier run": "orange"}
        assert mail.subject == "[DRY RUN] ⚠ 1 would be updated; 1 open from an earlier run · Sun 3 May"

    def test_states_that_are_back_are_not_called_lost(self) -> None:
        """Only an ad has a problem, and it is named."""
        restored = "Its targeting was restored, but not all ads are well"
        mail = report(recovered=(recovery(ChangeState.ROLLBACK_FAILED, MISSING_FORM, restored),))

        assert (
            "* Broad (Veterans) has its old states back, but some of its ads have a problem: its ad Video has lost "
            "its lead form\n"
        ) in mail.text

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_what_could_not_be_restored_stays_the_loudest(self, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
        """As long as it is open it comes first, as on its first day."""
        mail = report(
            campaign_errors=("Stopped: x",), recovered=(recovery(ChangeState.ROLLBACK_FAILED),), dry_run=dry_run
        )

        assert list(boxes(mail)) == ["Not restored: look at this now", "Could not be updated"]
        assert mail.subject.endswith("✗ NOT RESTORED in Veterans · Sun 3 May")
        assert headline(mail).startswith("Look at this now: Broad (Veterans) is not proven to be as it was")

    def test_only_the_campaigns_concerned_are_named(self) -> None:
        """Another campaign's trouble does not blur it."""
        stuck = replace(VETERANS, recovered=(recovery(ChangeState.ROLLBACK_FAILED),))
        other = replace(VETERANS, campaign_name="Truckers", recovered=(recovery(ChangeState.WRITTEN),))

        assert report_of(other, stuck).subject == "✗ NOT RESTORED in Veterans · Sun 3 May"


class TestLeftToAnotherRun:
    """Two runs never work on one campaign."""

    def test_one_campaign(self) -> None:
        """It is named, and nothing else is claimed about it."""
        left = SyncReport("truckers", "Truckers", dry_run=False, left_to="run-7")
        mail = report_of(VETERANS, left)

        assert boxes(mail) == {"Left to another run": "grey"}
        assert mail.subject == "✓ 1 updated; left to another run: Truckers · Sun 3 May"
        assert "· Truckers: left to another run\n" in mail.text
        assert "Truckers: left to run run-7" in mail.text.partition(APPENDIX)[2]

    @pytest.mark.parametrize(
        "off", [(), (replace(SyncReport("x", "X", dry_run=False), switched_off=SwitchedOff(RUN.started_at, "x", "X")),)]
    )
    def test_every_campaign(self, off: tuple[SyncReport, ...]) -> None:
        """Today's update has not come: no green sign, and nothing is said of states that nobody has looked at."""
        mail = report_of(SyncReport("truckers", "Truckers", dry_run=False, left_to="run-7"), *off)

        assert mail.subject.startswith("⚠ nothing done; left to another run: Truckers")
        assert headline(mail).startswith("No ad set was looked at: another run was still working")

    def test_the_whole_run(self) -> None:
        """Nothing of it may sound as if it had run."""
        mail = report_of(left_to="run-7")

        assert mail.subject == "✓ Left to another run · Sun 3 May"
        assert headline(mail).startswith("No action needed: everything was left to another run")
        assert "Left to run run-7" in mail.text


HEALTHY = AdSetResult("502", "Narrow", Result.UNCHANGED, added=("GA",), removed=("OH",))


class TestRecheck:
    """A second look at what a run changed."""

    def test_put_back(self) -> None:
        """What broke is told; what is still healthy is not listed."""
        healthy = [SyncReport(f"c{n}", f"C{n}", dry_run=False, adsets=(HEALTHY,)) for n in range(3)]
        broken = SyncReport("v", "Veterans", dry_run=False, adsets=(ended(Result.REVERTED, MISSING_FORM), HEALTHY))
        mail = report_of(broken, *healthy, action=Action.RECHECK)

        assert mail.subject == "⚠ second look: 1 put back · Sun 3 May"
        assert boxes(mail) == {"Broke after the update, put back as before": "red"}
        assert "* Broad (Veterans) broke after it was updated: its ad Video had lost its lead form\n" in mail.text
        assert "⚠ Veterans: 1 of 2 ad sets put back\n✓ The other 3 campaigns: still healthy\n" in mail.text
        assert "C1" not in mail.text

    def test_one_healthy_campaign(self) -> None:
        """It has its line."""
        assert "✓ Veterans: both ad sets still healthy\n" in later(Action.RECHECK, HEALTHY, HEALTHY).text

    def test_the_demand_is_no_matter_of_it(self) -> None:
        """Neither a map nor the word that the demand is not known."""
        for action in (Action.RECHECK, Action.UNDO):
            assert "anted" not in told(later(action, HEALTHY, active_states=("FL",)))

    def test_a_dry_run_says_what_would_be(self) -> None:
        """Nothing was put back."""
        mail = later(Action.RECHECK, ended(Result.REVERTED, "broken"), HEALTHY, dry_run=True)

        assert mail.subject == "[DRY RUN] ⚠ second look: 1 would be put back · Sun 3 May"

    def test_all_healthy(self) -> None:
        """A good end."""
        mail = later(Action.RECHECK, HEALTHY, dry_run=True)

        assert mail.subject == "[DRY RUN] ✓ second look: nothing to put back · Sun 3 May"
        assert headline(mail) == "Nothing to do: there was nothing to put back."

    def test_an_ad_that_no_longer_runs(self) -> None:
        """Its ad set stays, and a person is told: it may have been Meta."""
        note = "Ad “Video” (901): ran before, is PAUSED now, and is left so"
        mail = later(Action.RECHECK, replace(HEALTHY, issues=(note,)), HEALTHY)

        assert mail.subject == "⚠ second look: 1 ad needs you · Sun 3 May"
        assert "* Video in Narrow (Veterans) was on before, and is off now\n" in mail.text
        unclear = later(Action.RECHECK, replace(HEALTHY, issues=("x",)))
        assert "* Narrow (Veterans) has an ad that no longer runs\n" in unclear.text
        assert "⚠" in unclear.subject

    def test_not_looked_at(self) -> None:
        """That is no news of the ads."""
        mail = later(Action.RECHECK, ended(Result.DEFERRED, "Too little time"))

        assert boxes(mail) == {"Not looked at again": "grey"}

    def test_nothing_to_look_at(self) -> None:
        """No run has changed the campaign yet."""
        assert "✓ Veterans: no ad set to look at\n" in later(Action.RECHECK, about_run="", dry_run=True).text

    def test_errors(self) -> None:
        """The loudest first, then the failed campaign, each with the action."""
        failed = later(Action.RECHECK, campaign_errors=("The ledger cannot be read",))
        stuck = later(Action.RECHECK, ended(Result.ROLLBACK_FAILED))

        assert failed.subject == "✗ second look: Veterans failed · Sun 3 May"
        assert stuck.subject == "✗ NOT RESTORED in Veterans (second look) · Sun 3 May"

    def test_left_to_another(self) -> None:
        """Nobody has looked."""
        assert "⚠" in later(Action.RECHECK, left_to="run-7").subject


class TestUndo:
    """A run taken back."""

    def test_put_back(self) -> None:
        """The signs are those of the undo."""
        mail = later(Action.UNDO, UPDATED, replace(HEALTHY, added=(), removed=()))

        assert mail.subject == "✓ undo: 1 put back · Sun 3 May"
        assert "An undo gives ad sets the states from before an earlier run." in mail.text
        assert "✓ Veterans: 1 of 2 ad sets: +FL +GA −TX\n" in mail.text
        assert f"Veterans: undo of run {EARLIER}" in mail.text

    def test_already_as_before(self) -> None:
        """Then there was nothing to do."""
        assert "✓ Veterans: its ad set already as before\n" in later(Action.UNDO, HEALTHY).text

    def test_a_dry_run_says_what_would_be(self) -> None:
        """Nothing was put back."""
        assert later(Action.UNDO, UPDATED, dry_run=True).subject == "[DRY RUN] ✓ undo: 1 would be put back · Sun 3 May"

    def test_not_put_back(self) -> None:
        """Two ways to the same end are counted together and explained apart."""
        mail = later(
            Action.UNDO,
            ended(Result.NEEDS_ATTENTION, "Its states were changed since, by a later run or a person"),
            ended(Result.REVERTED, MISSING_FORM),
            ended(Result.DEFERRED),
            ended(Result.HELD),
        )

        assert mail.subject == "⚠ undo: 2 not put back, 1 not reached, 1 not started · Sun 3 May"
        assert list(boxes(mail)) == ["Not undone", "Not undone yet"]
        assert "stays as it is now: its states were changed since, by a later run or a person" in mail.text


any_name = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


class TestNames:
    """Names come from people."""

    @given(any_name, any_name, st.sampled_from(Action))
    def test_names_stay_text(self, name: str, issue: str, action: Action) -> None:
        """No name opens a tag, breaks a line of the text part, or adds a header to the mail."""

        def mail_of(name: str, issue: str) -> Report:
            campaign = replace(
                VETERANS,
                campaign_name=name,
                adsets=(ended(Result.REVERTED, issue, name=name), replace(UPDATED, name=name)),
                recovered=(
                    recovery(ChangeState.VERIFIED, issue, name=name, run_id=name),
                    recovery(ChangeState.ROLLBACK_FAILED, issue, name=name, run_id=name),
                ),
                about_run=name,
            )
            left = replace(VETERANS, campaign_name=name, left_to=name)
            return build_report(replace(RUN, action=action, campaigns=(campaign, left)), NEW_YORK)

        mail, plain = mail_of(name, issue), mail_of("Broad", "x")

        assert _Text(mail.html).tags == _Text(plain.html).tags
        assert len(mail.text.splitlines()) == len(plain.text.splitlines())
        assert mail.subject.isprintable()

    def test_html_in_a_name_is_shown_as_it_is(self) -> None:
        """A name with a tag in it reads as typed."""
        mail = report(ended(Result.REVERTED, name="<script>alert(1)</script> & Co"))

        assert "<script>" not in mail.html
        assert "<script>alert(1)</script> & Co" in seen(mail.html)
        assert "<script>alert(1)</script> & Co" in mail.text

    def test_a_name_cannot_inject_a_header(self) -> None:
        """The subject is one line, whatever a campaign is called."""
        campaign = replace(VETERANS, campaign_name="Vets\r\nBcc: a@example.test", campaign_errors=("x",))
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)

        assert mail.subject == "✗ Vets Bcc: a@example.test failed · Sun 3 May"

    def test_a_secret_in_a_name_is_blanked_out(self) -> None:
        """Every text that leaves passes the same filter, the mail too."""
        secret = Secret("EAAFAKE<PLANTED>&token")
        mail = report(ended(Result.FAILED, f"see {secret.reveal()}", name=secret.reveal()))

        for part in (mail.subject, mail.html, unescape(mail.html), mail.text):
            assert "PLANTED" not in part


def test_a_plan_can_be_approved_at_the_end() -> None:
    """The command stands in the appendix of a dry run's report, if it would change anything and was kept."""
    told_of = "run `python -m closrads run live --plan 0a1b2c3d4e5f6789 --stage dev`"
    changing = replace(RUN, dry_run=True, plan_id="0a1b2c3d4e5f6789", campaigns=(replace(VETERANS, dry_run=True),))
    quiet = replace(changing, campaigns=(replace(VETERANS, dry_run=True, adsets=(ended(Result.UNCHANGED),)),))

    _, _, after = build_report(changing, NEW_YORK, stage="dev").text.partition(APPENDIX)

    assert told_of in after
    assert '{"action": "sync", "dry_run": false, "plan_id": "0a1b2c3d4e5f6789"}' in after
    for without in (quiet, replace(changing, plan_id=""), replace(changing, dry_run=False)):
        assert "--plan" not in build_report(without, NEW_YORK).text


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (119, "ends in about 119 days"),
        (1, "ends in about 1 day."),
        (0, "has been retired"),
        (-3, "has been retired"),
        (120, ""),
        (None, ""),
    ],
)
def test_the_end_of_metas_api_is_told_at_the_end(days: int | None, words: str) -> None:
    """To whoever runs CLOSRADS, while there is time, and after everything that concerns the ads."""
    mail = build_report(replace(RUN, api_days_left=days), NEW_YORK)

    for part in (mail.text, mail.html):
        before, _, after = part.partition(APPENDIX)
        assert ("The version of Meta" in after) == bool(words)
        assert words in after
        assert "The version of Meta" not in before
    assert "✗" not in mail.subject


def test_every_template_is_compiled_at_import() -> None:
    """Compiled with the first report, a broken one would fail when ad sets have been changed already."""
    spec = spec_from_file_location("render_imported_anew", render.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    environment = module._HTML.environment
    assert {name for _, name in environment.cache} == set(environment.list_templates())
