"""The report: what it says, in which order, and that names cannot break it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.changes import ChangeState
from closrads.domain.request import LIFTABLE_LIMITS, Action
from closrads.domain.results import AdSetResult, GraphUsage, Recovery, Result, RunResult, SyncReport
from closrads.redaction import Secret
from closrads.report.render import DARK, LIGHT, TILE_MAP, Colours, Report, build_report
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


def ended(result: Result, *issues: str, name: str = "Broad") -> AdSetResult:
    """Build the result of an ad set that ended in this way."""
    return AdSetResult("501", name, result, added=("FL",), issues=issues)


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

    def test_subject_headline_and_green_box(self) -> None:
        """The outcome comes first, then the day."""
        mail = report()

        assert mail.subject == "CLOSRADS ✓ 1 updated · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert "Veterans ran: 1 ad set updated." in part
            assert "ALL CAMPAIGNS RAN WITHOUT ISSUES" in part.upper()

    def test_the_date_is_that_of_the_configured_time_zone(self) -> None:
        """03:30 UTC on the 4th is still the evening of the 3rd in New York."""
        for part in (report().html, report().text):
            assert "Sunday 3 May 2026, 23:30 (America/New_York)" in part

    def test_states_per_ad_set_and_for_the_campaign(self) -> None:
        """Added and removed per ad set, and all active states."""
        mail = report()

        assert "Broad (updated): +FL +GA −TX" in mail.text
        assert "Active states today, by CLOSRTECH's demand (2): FL, GA" in mail.text
        assert "Broad updated +FL +GA −TX" in seen(mail.html)
        assert "Active states today, by CLOSRTECH's demand (2): FL, GA" in seen(mail.html)
        assert "Narrow" not in mail.text

    def test_counts(self) -> None:
        """The five counts that everybody looks for are always there."""
        counts = "2 ad sets: 1 updated, 1 unchanged, 0 skipped before the run, 0 put back as before, 0 deferred"

        assert counts in report().text
        assert counts in seen(report().html)

    def test_an_ad_set_that_is_not_active_is_not_counted_as_one_that_ran(self) -> None:
        """As in the result's `adsets_processed`."""
        assert "1 ad set: 0 updated, 1 unchanged," in report(UNCHANGED, ended(Result.NOT_ACTIVE)).text

    def test_nothing_to_change(self) -> None:
        """A day without changes says so."""
        assert report(UNCHANGED).subject == "CLOSRADS ✓ nothing to change · Sun 3 May"

    def test_a_campaign_without_ad_sets(self) -> None:
        """It says so instead of counting to zero."""
        mail = build_report(replace(RUN, campaigns=(replace(VETERANS, adsets=()),)), NEW_YORK)

        assert "It has no active ad set." in mail.text
        assert "0 ad sets" not in mail.text

    def test_the_tile_map_shows_each_state_once(self) -> None:
        """51 tiles; active, added and removed ones can be told apart without colour."""
        tiles = " ".join(TILE_MAP).replace("..", "").split()
        assert sorted(tiles) == sorted(fb_region_to_usps(str(key)) for key in range(3843, 3894))

        shown = re.findall(r"<td[^>]*>([^<]*)</td>", report(active_states=("FL", "GA", "OH")).html)
        assert [tile for tile in shown if tile.strip("+−").isupper() and len(tile.strip("+−")) == 2] == [
            "OH", "+GA", "−TX", "+FL",
        ]  # fmt: skip


def test_dry_run_is_marked_everywhere() -> None:
    """Nobody takes a dry run for the real thing."""
    mail = report(dry_run=True)

    assert "Broad (would be updated): +FL" in mail.text
    assert "Broad would be updated +FL" in seen(mail.html)

    assert mail.subject.startswith("[DRY RUN] CLOSRADS ✓ 1 would be updated")
    assert "DRY RUN" in seen(mail.html)
    assert "DRY RUN" in mail.text.splitlines()[0]
    assert "1 would be updated" in seen(mail.html)


class TestTrouble:
    """What needs a person stands above the campaigns, in its box."""

    @pytest.mark.parametrize(
        ("result", "title", "tone"),
        [
            (Result.SKIPPED_PREFLIGHT, "Skipped: broken before the run", "orange"),
            (Result.NEEDS_ATTENTION, "Needs attention", "orange"),
            (Result.REVERTED, "Updated, then put back as before", "red"),
            (Result.ROLLBACK_FAILED, "Rollback failed", "red"),
            (Result.FAILED, "Failed", "red"),
            (Result.UNVERIFIED, "Changed by somebody else, or not verified", "red"),
            (Result.SUPERSEDED, "Changed by somebody else, or not verified", "red"),
            (Result.DEFERRED, "Left for the next run", "grey"),
            (Result.HELD, "Left alone", "grey"),
            (Result.NOT_ACTIVE, "Left alone", "grey"),
        ],
    )
    def test_each_result_has_its_box(self, result: Result, title: str, tone: str) -> None:
        """The box names ad set and reason, in HTML and in text, and there is no green one beside it."""
        mail = report(ended(result, "Ad “Video” (9): Missing lead form (#3390001)"))

        assert boxes(mail) == {title: tone}
        for part in (seen(mail.html), mail.text):
            assert "Veterans · Broad (501)" in part
            assert "Ad “Video” (9): Missing lead form (#3390001)" in part
            assert part.lower().index(title.lower()) < part.lower().index("active states")
        assert "without issues" not in mail.html
        assert "✓" not in mail.subject

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (Result.ROLLBACK_FAILED, "1 ad set with a failed rollback"),
            (Result.FAILED, "1 ad set failed"),
            (Result.SUPERSEDED, "1 ad set to be looked at"),
            (Result.UNVERIFIED, "1 ad set to be looked at"),
            (Result.HELD, "1 ad set held"),
            (Result.NOT_ACTIVE, "1 ad set not active"),
        ],
    )
    def test_the_headline_counts_every_trouble(self, result: Result, words: str) -> None:
        """On a bad day it does not say that there was nothing to change."""
        assert f"{words}.\n" in report(ended(result)).text

    def test_an_ad_set_that_has_ended_is_no_trouble(self) -> None:
        """It is listed in a grey box of its own, and counted neither in the subject nor among those that ran."""
        mail = report(UNCHANGED, ended(Result.ENDED))

        assert boxes(mail)["Ended"] == "grey"
        assert "ran without issues" in seen(mail.html)
        assert "1 ad set: 0 updated, 1 unchanged," in mail.text
        assert mail.subject.startswith("CLOSRADS ✓ nothing to change ·")

    def test_a_reach_beyond_the_states_is_mentioned(self) -> None:
        """It is no trouble: the box is grey and the run is still a good one."""
        mail = report(replace(UPDATED, issues=("Its location setting lets Meta reach people outside the states",)))

        assert "Reaches beyond its states" in seen(mail.html)
        assert "without issues" in mail.html
        assert mail.subject.startswith("CLOSRADS ✓")

    @pytest.mark.parametrize("action", Action)
    @pytest.mark.parametrize("result", [each for each in Result if each not in {Result.UPDATED, Result.UNCHANGED}])
    def test_every_result_but_the_quiet_two_has_a_box(self, action: Action, result: Result) -> None:
        """A new result word cannot be forgotten here, whatever was asked for."""
        mail = report(ended(result, "a reason"), ended(Result.UNCHANGED), action=action)

        assert "a reason" in mail.text
        assert {"red", "orange", "grey"} & set(boxes(mail).values())
        assert ("green" in boxes(mail).values()) == (result is Result.ENDED)
        assert ("✓" in mail.subject) == (result is Result.ENDED)

    def test_the_graver_box_stands_higher(self) -> None:
        """Red, then orange, then grey."""
        mail = report(
            ended(Result.HELD),
            ended(Result.NEEDS_ATTENTION),
            ended(Result.FAILED),
            unmapped_states=("PR",),
            recovered=(recovery(ChangeState.VERIFIED), recovery(ChangeState.WRITTEN)),
        )

        assert list(boxes(mail).values()) == ["red", "red", "orange", "orange", "orange", "grey"]

    def test_a_stopped_campaign(self) -> None:
        """Why it was stopped stands on top, and what was not begun is named with the reason."""
        mail = report(
            ended(Result.REVERTED, "Its targeting was restored and its ads are healthy"),
            ended(Result.HELD, "The campaign was stopped before its turn"),
            campaign_errors=("Stopped: the first 2 ad sets had to be put back",),
        )

        assert list(boxes(mail)) == ["Campaigns with errors", "Updated, then put back as before", "Left alone"]
        assert mail.subject == "CLOSRADS ✗ Veterans failed · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert "Stopped: the first 2 ad sets had to be put back" in part
            assert "The campaign was stopped before its turn" in part
            assert "Veterans had errors; 1 ad set put back as before, 1 held." in part

    def test_what_was_put_back_on_two_runs_in_a_row_needs_attention(self) -> None:
        """The reason says what to do about it."""
        mail = report(ended(Result.NEEDS_ATTENTION, "It was put back on 2 runs in a row for these states"))

        assert boxes(mail) == {"Needs attention": "orange"}
        assert "It was put back on 2 runs in a row for these states" in mail.text

    def test_a_failed_rollback_comes_first(self) -> None:
        """Before campaign errors, before everything."""
        mail = report(
            ended(Result.SKIPPED_PREFLIGHT),
            ended(Result.REVERTED),
            ended(Result.ROLLBACK_FAILED),
            campaign_errors=("Stopped: token",),
        )

        titles = [unescape(title) for title in re.findall(r"<h2[^>]*>([^<]*)</h2>", mail.html)]
        assert titles == [
            "Rollback failed",
            "Campaigns with errors",
            "Updated, then put back as before",
            "Skipped: broken before the run",
            "Veterans",
        ]
        assert mail.subject == "CLOSRADS ✗ ROLLBACK FAILED in Veterans · Sun 3 May"

    def test_a_failed_campaign(self) -> None:
        """It is named in the subject and its error shown; nothing is claimed about ad sets nobody looked at."""
        campaign = SyncReport("veterans", "Veterans", dry_run=False, campaign_errors=("CLOSRTECH gave no answer",))
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)

        assert mail.subject == "CLOSRADS ✗ Veterans failed · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert "Veterans had errors" in part
            assert "CLOSRTECH gave no answer" in part
            assert "Its ad sets were not looked at." in part
            assert "The demand is not known today." in part
            assert "0 ad sets" not in part

    def test_skipped_and_reverted_are_counted_in_the_subject(self) -> None:
        """The subject tells a quiet day from a busy one."""
        mail = report(UPDATED, ended(Result.REVERTED), ended(Result.SKIPPED_PREFLIGHT))

        assert mail.subject == "CLOSRADS ⚠ 1 updated, 1 put back as before, 1 skipped · Sun 3 May"

    def test_unknown_states_and_lifted_limits(self) -> None:
        """Both are shown, neither is an error; a limit by what it stands for."""
        campaign = replace(VETERANS, unmapped_states=("GU", "PR"))
        mail = build_report(replace(RUN, campaigns=(campaign,), force=LIFTABLE_LIMITS), NEW_YORK)

        for part in (seen(mail.html), mail.text):
            assert "GU, PR" in part
            assert "Limits lifted for this run: more of the states may be taken away at once than usual; " in part
            assert "ad sets that were put back twice are tried again" in part
            assert not any(limit in part for limit in LIFTABLE_LIMITS)

    def test_no_campaign_at_all(self) -> None:
        """A run in which every campaign is switched off claims no success."""
        mail = build_report(replace(RUN, campaigns=()), NEW_YORK)

        assert "No campaign is switched on" in mail.text
        assert "without issues" not in mail.html

    def test_an_error_that_campaigns_share_is_told_once(self) -> None:
        """The same refusal of other objects is one thing to see to; another reason stays apart."""
        errors = {
            "Veterans": "Meta refuses 111/adsets: no permission [Meta 10]",
            "Truckers": "Meta refuses 222/adsets: no permission [Meta 10]",
            "Mortgage": "Meta refuses 333/adsets: gone [Meta 100]",
        }
        campaigns = [replace(VETERANS, campaign_name=name, campaign_errors=(why,)) for name, why in errors.items()]
        mail = build_report(replace(RUN, campaigns=tuple(campaigns)), NEW_YORK)

        told = mail.text.split("\n\n")[2].splitlines()[2:]
        assert told == [
            "* Veterans, Truckers",
            "    Meta refuses it: no permission [Meta 10]",
            "* Mortgage",
            "    Meta refuses 333/adsets: gone [Meta 100]",
        ]
        assert "Veterans, Truckers, Mortgage had errors;" in mail.text

    @pytest.mark.parametrize("code", ["190", "190/463"])
    def test_a_dead_token(self, code: str) -> None:
        """What to do comes before Meta's words, and the headline has the reason."""
        mail = report(campaign_errors=(f"Meta refuses 111/adsets: Session has expired [Meta {code}]. Check",))

        for part in (seen(mail.html), mail.text):
            assert "Veterans had errors (Meta no longer accepts the access token); 1 ad set updated." in part
            assert part.index("ask whoever runs CLOSRADS to renew it (code 190).") < part.index("Session has expired")

    def test_a_dead_token_beside_other_errors(self) -> None:
        """The headline does not blame it for all of them."""
        dead, other = "Meta refuses 1/ads: Expired [Meta 190]", "Meta refuses 1/ads: Trouble [Meta 1900]"
        campaigns = [replace(VETERANS, campaign_name=why, campaign_errors=(why,)) for why in (dead, other)]
        mail = build_report(replace(RUN, campaigns=tuple(campaigns)), NEW_YORK)

        assert "had errors;" in mail.text
        assert mail.text.count("ask whoever runs CLOSRADS") == 1

    def test_nothing_is_drawn_of_ad_sets_that_were_not_looked_at(self) -> None:
        """The demand is known, and that is all."""
        campaign = replace(VETERANS, adsets=(), campaign_errors=("token",))
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)

        assert "Active states today, by CLOSRTECH's demand (2): FL, GA" in mail.text
        assert 'role="img"' not in mail.html

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            (
                "WITH_ISSUES: Missing lead form: Choose a form. (#3390001)",
                "Missing lead form: Choose a form. (#3390001)",
            ),
            ("DISAPPROVED: Misleading", "disapproved: Misleading"),
            ("WITH_ISSUES", "WITH_ISSUES"),
        ],
    )
    def test_status_words_of_meta_are_left_out_where_it_gives_a_text(self, said: str, told: str) -> None:
        """A client reads the text; the word alone is better than nothing."""
        assert f"    Ad “Video” (9): {told}\n" in report(ended(Result.FAILED, f"Ad “Video” (9): {said}")).text

    def test_a_failed_rollback_lists_the_states(self) -> None:
        """To look for in Ads Manager."""
        stuck = replace(ended(Result.ROLLBACK_FAILED, "refused"), removed=("TX",))

        for mail in (report(stuck), later(Action.UNDO, stuck), later(Action.RECHECK, stuck)):
            assert "    refused\n    States that had been set: +FL −TX\n" in mail.text
            assert "States that had been set: +FL −TX" in seen(mail.html)
        assert "had been set" not in report(replace(stuck, added=(), removed=())).text


class TestSigns:
    """What + and − mean depends on what became of the ad set."""

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (Result.REVERTED, "Not changed; + and − are what was wanted:\n  Broad (put back as before): +FL"),
            (Result.DEFERRED, "Not changed; + and − are what was wanted:\n  Broad (deferred to the next run): +FL"),
            (Result.FAILED, "Not changed; + and − are what was wanted:\n  Broad (failed): +FL"),
            (Result.ROLLBACK_FAILED, "+ and − are what had been tried:\n  Broad (rollback failed): +FL"),
            (Result.UNVERIFIED, "+ and − are what had been tried:\n  Broad (not verified): +FL"),
            (Result.SUPERSEDED, "+ and − are what had been tried:\n  Broad (changed by somebody else): +FL"),
        ],
    )
    def test_what_was_not_updated_is_told_apart(self, result: Result, words: str) -> None:
        """Nobody reads that it has the new states."""
        mail = report(ended(result), UPDATED)

        assert words in mail.text
        assert mail.text.index("Broad (updated): +FL +GA −TX") < mail.text.index(words)
        assert " ".join(words.replace("\n ", "").replace("(", "").replace("):", "").split()) in seen(mail.html)
        assert mail.html.count('class="plus"') == 1

    def test_of_an_undo(self) -> None:
        """What it put back, and what it did not."""
        mail = later(Action.UNDO, UPDATED, ended(Result.REVERTED))

        assert "+ and − are what the undo adds and takes away:\n  Broad (put back): +FL +GA −TX\n" in mail.text
        assert "Not changed; + and − are what was wanted:\n  Broad (not put back): +FL\n" in mail.text

    def test_of_a_recheck(self) -> None:
        """They are those of the run that it looks at, whatever is found."""
        mail = later(Action.RECHECK, ended(Result.REVERTED), HEALTHY)

        assert "+ and − are what that run had added and taken away:\n  Broad (put back): +FL\n  Narrow" in mail.text
        assert "Not changed" not in mail.text


def test_one_call_is_one_call() -> None:
    """At the foot."""
    mail = build_report(replace(RUN, graph=GraphUsage(1, 1, 1)), NEW_YORK)

    assert mail.text.endswith(" · 1 call to Meta")


class TestAdsManager:
    """Links to what a reader has to look at."""

    URL = "https://adsmanager.facebook.com/adsmanager/manage/adsets?act=111&selected_adset_ids=501"

    def test_a_changed_ad_set(self) -> None:
        """Its name leads to it."""
        assert f'<li><a class="link" href="{escape(self.URL)}"' in report(fb_ad_account_id="act_111").html

    @pytest.mark.parametrize(
        "changes",
        [
            {"adsets": (ended(Result.FAILED, "a reason"),)},
            {"adsets": (ended(Result.DEFERRED, "a reason"), ended(Result.DEFERRED, "a reason", name="Other"))},
            {"recovered": (recovery(ChangeState.WRITTEN),)},
        ],
    )
    def test_an_ad_set_in_a_box(self, changes: dict[str, Any]) -> None:
        """By its name in the HTML part, in full in the text part."""
        campaign = replace(VETERANS, fb_ad_account_id="act_111", active_states=(), **changes)
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)

        assert re.search(rf'<a class="link" href="{re.escape(escape(self.URL))}"[^>]*>Broad</a>', mail.html)
        assert f"    {self.URL}\n" in mail.text

    @pytest.mark.parametrize("account", ["", "act_", 'act_1"onclick=', "act_\uff11"])
    def test_an_account_that_is_none(self, account: str) -> None:
        """No link is better than a wrong one."""
        assert "href" not in report(fb_ad_account_id=account).html

    def test_the_result_names_the_account(self) -> None:
        """For who makes such a link from the handler's answer."""
        campaign = replace(VETERANS, fb_ad_account_id="act_111")

        assert replace(RUN, campaigns=(campaign,)).to_json()["campaigns"][0]["fb_ad_account_id"] == "act_111"

    def test_an_ad_set_without_a_name(self) -> None:
        """There is something to read and to press on."""
        assert ">501</a>" in report(replace(UPDATED, name="\u200b"), fb_ad_account_id="act_111").html


class TestMap:
    """The tile map, for those who do not see it as others do."""

    def test_it_says_in_words_what_it_shows(self) -> None:
        """By the states' names, for the codes read aloud are words that mean something else."""
        mail = report(active_states=("FL", "GA", "OR"))

        label = (
            "Map of the states. With demand: Florida, Georgia, Oregon. Newly added: Florida, Georgia. "
            "Just removed: Texas."
        )
        assert f'<div role="img" aria-label="{label}"' in mail.html

    def test_the_states_stand_beside_it(self) -> None:
        """In both parts."""
        mail = report(active_states=("FL", "GA", "OR"))

        for part in (seen(mail.html).replace(" (+)", "").replace(" (−)", ""), mail.text):
            assert "Newly added: FL, GA" in part
            assert "Just removed: TX" in part

    def test_a_dry_run_has_added_nothing_yet(self) -> None:
        """It says what is to come."""
        mail = report(dry_run=True)

        assert "Newly added" not in mail.html + mail.text
        assert "To be added: FL, GA\nTo be removed: TX\n" in mail.text
        assert "To be added: Florida, Georgia. To be removed: Texas." in mail.html

    def test_nothing_new(self) -> None:
        """What an ad set gains that others already had is new; what did not happen is not."""
        mail = report(ended(Result.REVERTED), active_states=("FL",))

        assert "Newly added" not in mail.html + mail.text
        assert "Just removed" not in mail.html + mail.text
        assert ">+FL<" not in mail.html.replace("<span", "")[: mail.html.index("<ul")]


def test_deferred_ad_sets_are_told_to_be_taken_first() -> None:
    """Nobody has to worry, or to do anything."""
    mail = report(*(replace(ended(Result.DEFERRED, "Too little time", name=name), id=name) for name in ("A1", "B2")))

    assert boxes(mail) == {"Left for the next run": "grey"}
    for part in (seen(mail.html), mail.text):
        assert "They are as they were, and the next run takes them first." in part
        assert "Veterans, 2 ad sets" in part
        assert part.count("Too little time") == 1
        assert "A1 (A1)" in part


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
    results: list[Result],
    dry_run: bool,  # noqa: FBT001 - a parameter
    sign: str,
) -> None:
    """To leave some for the next run is ordinary; to leave all of them is not."""
    assert f"{sign} " in report(*map(ended, results), dry_run=dry_run).subject


def test_what_is_said_apart_is_not_thrown_together() -> None:
    """Only ad sets of one campaign with the same reason share an entry."""
    broken = (ended(Result.FAILED, "a"), ended(Result.FAILED, "b", name="Other"))
    campaigns = tuple(replace(VETERANS, campaign_name=name, adsets=broken) for name in ("Veterans", "Truckers"))
    mail = build_report(replace(RUN, campaigns=campaigns), NEW_YORK)

    assert re.findall(r"^\* (.*)$", mail.text, re.MULTILINE) == [
        "Veterans · Broad (501), failed",
        "Veterans · Other (501), failed",
        "Truckers · Broad (501), failed",
        "Truckers · Other (501), failed",
    ]


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
            (ChangeState.VERIFIED, "finished and healthy"),
            (ChangeState.ROLLED_BACK, "put back, its ads are healthy"),
            (ChangeState.SUPERSEDED, "changed by somebody else since, left so"),
            (ChangeState.NOT_WRITTEN, "had not been changed"),
        ],
    )
    def test_brought_to_an_end(self, state: ChangeState, words: str) -> None:
        """It is no error, but no quiet day either."""
        mail = report(recovered=(recovery(state, "a reason"),))

        assert boxes(mail) == {"Recovered from an earlier run": "orange"}
        assert mail.subject == "CLOSRADS ⚠ 1 updated; 1 recovered from an earlier run · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert f"An earlier run ({EARLIER}) did not bring these changes to an end. They were finished or" in part
            assert f"Veterans · Broad (501), {words}" in part
            assert "a reason" in part

    def test_each_run_is_named_once(self) -> None:
        """Two runs may have left something."""
        found = [recovery(ChangeState.VERIFIED, run_id=run_id) for run_id in ("run-2", "run-1", "run-2")]

        assert "Earlier runs (run-1, run-2) did not" in report(recovered=tuple(found)).text

    @pytest.mark.parametrize(
        "state", [ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.ROLLING_BACK]
    )
    def test_still_open(self, state: ChangeState) -> None:
        """What a live run cannot bring to an end is an error."""
        mail = report(recovered=(recovery(state, "It could not be looked up"), recovery(ChangeState.VERIFIED)))

        assert boxes(mail) == {"Still open from an earlier run": "red", "Recovered from an earlier run": "orange"}
        assert mail.subject == "CLOSRADS ✗ Veterans failed · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert "Veterans · Broad (501), still open" in part
            assert "It could not be looked up" in part
            assert "1 recovered from an earlier run; 1 open from an earlier run." in part

    def test_in_a_dry_run(self) -> None:
        """Nobody has looked at them yet: that is no error of this run."""
        mail = report(recovered=(recovery(ChangeState.WRITTEN),), dry_run=True)

        assert boxes(mail) == {"Open from an earlier run": "orange"}
        assert mail.subject == "[DRY RUN] CLOSRADS ⚠ 1 would be updated; 1 open from an earlier run · Sun 3 May"
        assert "The next live run looks at these ad sets first" in mail.text

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_a_rollback_that_failed_stays_the_loudest(self, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
        """As long as it is open it comes first, as on its first day."""
        mail = report(
            campaign_errors=("Stopped: token",),
            recovered=(recovery(ChangeState.ROLLBACK_FAILED, "Its targeting was NOT restored"),),
            dry_run=dry_run,
        )

        assert list(boxes(mail)) == ["Rollback failed", "Campaigns with errors"]
        assert mail.subject.endswith("CLOSRADS ✗ ROLLBACK FAILED in Veterans · Sun 3 May")
        for part in (seen(mail.html), mail.text):
            assert "ROLLBACK FAILED in Veterans: look at it in Ads Manager now" in part
            assert f"Veterans · Broad (501), rollback of run {EARLIER} failed" in part
            assert "Its targeting was NOT restored" in part

    def test_only_the_campaigns_with_a_failed_rollback_are_named(self) -> None:
        """Another campaign's trouble does not blur it."""
        stuck = replace(VETERANS, recovered=(recovery(ChangeState.ROLLBACK_FAILED),))
        other = replace(VETERANS, campaign_name="Truckers", recovered=(recovery(ChangeState.WRITTEN),))
        mail = build_report(replace(RUN, campaigns=(other, stuck)), NEW_YORK)

        assert mail.subject == "CLOSRADS ✗ ROLLBACK FAILED in Veterans · Sun 3 May"


class TestLeftToAnotherRun:
    """Two runs never work on one campaign."""

    def test_one_campaign(self) -> None:
        """It is named with the other run, and nothing else is claimed about it."""
        left = SyncReport("truckers", "Truckers", dry_run=False, left_to="run-7")
        mail = build_report(replace(RUN, campaigns=(VETERANS, left)), NEW_YORK)

        assert boxes(mail) == {"Left to another run": "grey"}
        assert mail.subject == "CLOSRADS ✓ 1 updated; left to another run: Truckers · Sun 3 May"
        assert "Veterans ran: 1 ad set updated; left to another run: Truckers." in mail.text
        assert mail.text.split("=== Truckers ===\n")[1].split("\n\n")[0] == "Left to run run-7."
        for part in (seen(mail.html), mail.text):
            assert part.count("Left to run run-7") == 2
            assert "The demand is not known today." not in part

    def test_the_whole_run(self) -> None:
        """Nothing of it may sound as if it had run."""
        mail = build_report(replace(RUN, campaigns=(), left_to="run-7"), NEW_YORK)

        assert mail.subject == "CLOSRADS left to another run · Sun 3 May"
        assert "Everything was left to run run-7" in mail.text
        assert boxes(mail) == {}


HEALTHY = AdSetResult("502", "Narrow", Result.UNCHANGED, added=("GA",), removed=("OH",))


class TestRecheck:
    """A second look at what a run changed."""

    def test_put_back(self) -> None:
        """What broke is told first, what is still healthy is counted."""
        mail = later(Action.RECHECK, ended(Result.REVERTED, "Ad “Video” (9): broken"), HEALTHY, HEALTHY)

        assert mail.subject == "CLOSRADS ⚠ recheck: 1 put back · Sun 3 May"
        assert boxes(mail) == {"Broken since the update": "red"}
        for part in (seen(mail.html), mail.text):
            assert "Recheck of Veterans ran: 1 ad set put back." in part
            assert "Veterans · Broad (501), put back" in part
            assert f"Looked again at run {EARLIER}." in part
            assert "3 ad sets: 2 still healthy, 1 put back" in part
            assert "+ and − are what that run had added and taken away:" in part
        assert "  Narrow (still healthy): +GA −OH" in mail.text

    def test_the_demand_is_no_matter_of_it(self) -> None:
        """Neither a map nor the word that the demand is not known."""
        for action in (Action.RECHECK, Action.UNDO):
            mail = later(action, HEALTHY, active_states=("FL",))
            assert "demand" not in mail.text + mail.html
            assert "ctive states" not in mail.text + mail.html

    def test_a_dry_run_says_what_would_be(self) -> None:
        """Nothing was put back."""
        mail = later(Action.RECHECK, ended(Result.REVERTED, "broken"), HEALTHY, dry_run=True)

        assert mail.subject == "[DRY RUN] CLOSRADS ⚠ recheck: 1 would be put back · Sun 3 May"
        for part in (seen(mail.html), mail.text):
            assert "Veterans · Broad (501), would be put back" in part
            assert "2 ad sets: 1 still healthy, 1 would be put back" in part

    def test_all_healthy(self) -> None:
        """A good end."""
        mail = later(Action.RECHECK, HEALTHY, dry_run=True)

        assert mail.subject == "[DRY RUN] CLOSRADS ✓ recheck: nothing to put back · Sun 3 May"
        assert boxes(mail) == {"The recheck ran without issues": "green"}

    def test_an_ad_that_no_longer_runs(self) -> None:
        """Its ad set stays, and a person is told: it may have been Meta."""
        note = "Ad “Video” (9): ran before, is PAUSED now, and is left so"
        mail = later(Action.RECHECK, replace(HEALTHY, issues=(note,)), HEALTHY)

        assert mail.subject == "CLOSRADS ⚠ recheck: 1 with an ad that no longer runs · Sun 3 May"
        assert boxes(mail) == {"Ads that no longer run": "orange"}
        for part in (seen(mail.html), mail.text):
            assert note in part
            assert "2 ad sets: 1 still healthy, 0 put back, 1 with an ad that no longer runs" in part

    def test_not_looked_at(self) -> None:
        """No later run takes it by itself, so it does not say so."""
        mail = later(Action.RECHECK, ended(Result.DEFERRED, "Too little time"))

        assert boxes(mail) == {"Not looked at": "grey"}
        assert "Veterans · Broad (501), not looked at" in mail.text
        assert "next run" not in mail.text

    def test_nothing_to_look_at(self) -> None:
        """No run has changed the campaign yet."""
        mail = later(Action.RECHECK, about_run="", dry_run=True)

        assert "There was nothing to look at again." in mail.text
        assert "Looked again" not in mail.text

    def test_errors(self) -> None:
        """The loudest first, then the failed campaign, each with the action."""
        failed = later(Action.RECHECK, campaign_errors=("The ledger cannot be read",))
        stuck = later(Action.RECHECK, ended(Result.ROLLBACK_FAILED))

        assert failed.subject == "CLOSRADS ✗ recheck: Veterans failed · Sun 3 May"
        assert "Recheck of Veterans had errors." in failed.text
        assert "Its ad sets were not looked at." in failed.text
        assert stuck.subject == "CLOSRADS ✗ ROLLBACK FAILED in Veterans (recheck) · Sun 3 May"


class TestUndo:
    """A run taken back."""

    def test_put_back(self) -> None:
        """The signs are those of the undo."""
        mail = later(Action.UNDO, UPDATED, replace(HEALTHY, added=(), removed=()))

        assert mail.subject == "CLOSRADS ✓ undo: 1 put back · Sun 3 May"
        assert boxes(mail) == {"The undo ran without issues": "green"}
        for part in (seen(mail.html), mail.text):
            assert "Undo of Veterans ran: 1 ad set put back." in part
            assert f"Undo of run {EARLIER}." in part
            assert "2 ad sets: 1 put back, 1 already as before" in part
            assert "+ and − are what the undo adds and takes away:" in part
        assert "  Broad (put back): +FL +GA −TX" in mail.text

    def test_a_dry_run_says_what_would_be(self) -> None:
        """Nothing was put back."""
        mail = later(Action.UNDO, UPDATED, dry_run=True)

        assert mail.subject == "[DRY RUN] CLOSRADS ✓ undo: 1 would be put back · Sun 3 May"
        assert "  Broad (would be put back): +FL +GA −TX" in mail.text

    def test_not_put_back(self) -> None:
        """Two ways to the same end are counted together and explained apart."""
        mail = later(
            Action.UNDO,
            ended(Result.NEEDS_ATTENTION, "Its states were changed since"),
            ended(Result.REVERTED, "Ad “Video” (9): broken"),
            ended(Result.SKIPPED_PREFLIGHT),
            ended(Result.DEFERRED),
        )

        assert mail.subject == "CLOSRADS ⚠ undo: 2 not put back, 1 skipped, 1 deferred · Sun 3 May"
        assert list(boxes(mail)) == [
            "Not put back: the undo could not be kept",
            "Skipped: broken before the undo",
            "Not put back",
            "Not put back yet",
        ]
        assert "4 ad sets: 0 put back, 2 not put back, 1 skipped before the undo, 1 deferred" in mail.text
        assert "next run" not in mail.text

    def test_several_campaigns(self) -> None:
        """Nobody reads a list of all of them."""
        campaigns = [replace(VETERANS, adsets=(), campaign_name=name) for name in ("Veterans", "Truckers")]
        mail = build_report(replace(RUN, action=Action.UNDO, campaigns=tuple(campaigns)), NEW_YORK)

        assert "Undo of all campaigns ran: nothing to put back." in mail.text
        assert mail.text.count("There was nothing to put back.") == 2


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

        assert mail.subject == "CLOSRADS ✗ Vets Bcc: a@example.test failed · Sun 3 May"

    def test_a_secret_in_a_name_is_blanked_out(self) -> None:
        """Every text that leaves passes the same filter, the mail too."""
        secret = Secret("EAAFAKE<PLANTED>&token")
        mail = report(ended(Result.FAILED, f"see {secret.reveal()}", name=secret.reveal()))

        for part in (mail.subject, mail.html, unescape(mail.html), mail.text):
            assert "PLANTED" not in part


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (119, "ends in about 119 days"),
        (1, "ends in about 1 day."),
        (0, "has come to its end"),
        (-3, "has come to its end"),
        (120, ""),
        (None, ""),
    ],
)
def test_the_end_of_metas_api_is_told_at_the_end(days: int | None, words: str) -> None:
    """To whoever runs CLOSRADS, while there is time, and after everything that concerns the ads."""
    mail = build_report(replace(RUN, api_days_left=days), NEW_YORK)

    for part in (mail.text, mail.html):
        before, said, after = part.partition("For whoever runs CLOSRADS: the version of Meta")
        assert bool(said) == bool(words)
        assert words in after
        assert "Broad" in before
    assert "✗" not in mail.subject
