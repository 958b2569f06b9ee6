"""The report: what it says, in which order, and that names cannot break it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.errors import Secret
from closrads.model import Action, AdSetResult, Result, RunResult, SyncReport
from closrads.report import TILE_MAP, Report, build_report
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


def report(*adsets: AdSetResult, dry_run: bool = False, **changes: Any) -> Report:
    """Build the report of a run with one campaign."""
    campaign = replace(VETERANS, adsets=adsets or VETERANS.adsets, dry_run=dry_run, **changes)
    return build_report(replace(RUN, campaigns=(campaign,), dry_run=dry_run), NEW_YORK)


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
            assert "Veterans ran; ad sets: 1 updated." in part
            assert "ALL CAMPAIGNS RAN WITHOUT ISSUES" in part.upper()

    def test_the_date_is_that_of_the_configured_time_zone(self) -> None:
        """03:30 UTC on the 4th is still the evening of the 3rd in New York."""
        for part in (report().html, report().text):
            assert "Sunday 3 May 2026, 23:30 (America/New_York)" in part

    def test_states_per_ad_set_and_for_the_campaign(self) -> None:
        """Added and removed per ad set, and all active states."""
        mail = report()

        assert "Broad (updated): +FL +GA -TX" in mail.text
        assert "Active states (2): FL GA" in mail.text
        assert "Broad updated +FL +GA −TX" in seen(mail.html)
        assert "2 active states: FL, GA" in seen(mail.html)
        assert "Narrow" not in mail.text

    def test_counts(self) -> None:
        """The five counts that everybody looks for are always there."""
        counts = "2 ad sets: 1 updated, 1 unchanged, 0 skipped before the run, 0 reverted, 0 deferred"

        assert counts in report().text
        assert counts in seen(report().html)

    def test_nothing_to_change(self) -> None:
        """A day without changes says so."""
        assert report(UNCHANGED).subject == "CLOSRADS ✓ nothing to change · Sun 3 May"

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

    assert mail.subject.startswith("[DRY RUN] CLOSRADS ✓ 1 would be updated")
    assert "DRY RUN" in seen(mail.html)
    assert "DRY RUN" in mail.text.splitlines()[0]
    assert "1 would be updated" in seen(mail.html)


class TestTrouble:
    """What needs a person stands above the campaigns, in its box."""

    @pytest.mark.parametrize(
        ("result", "title", "tone"),
        [
            (Result.SKIPPED_PREFLIGHT, "Skipped: broken before the run", "#b25e00"),
            (Result.NEEDS_ATTENTION, "Needs attention", "#b25e00"),
            (Result.REVERTED, "Updated, then rolled back", "#b3261e"),
            (Result.ROLLBACK_FAILED, "Rollback failed", "#b3261e"),
            (Result.FAILED, "Failed", "#b3261e"),
            (Result.UNVERIFIED, "Changed by somebody else, or not verified", "#b3261e"),
            (Result.SUPERSEDED, "Changed by somebody else, or not verified", "#b3261e"),
            (Result.DEFERRED, "Left for later", "#5f6368"),
            (Result.HELD, "Left for later", "#5f6368"),
            (Result.NOT_ACTIVE, "Left for later", "#5f6368"),
        ],
    )
    def test_each_result_has_its_box(self, result: Result, title: str, tone: str) -> None:
        """The box names ad set and reason, in HTML and in text, and there is no green one beside it."""
        mail = report(ended(result, "Ad “Video” (9): Missing lead form (#3390001)"))

        assert re.search(rf"<h2[^>]*{tone}[^>]*>{title}</h2>", mail.html)
        for part in (seen(mail.html), mail.text):
            assert "Veterans · Broad (501)" in part
            assert "Ad “Video” (9): Missing lead form (#3390001)" in part
            assert part.lower().index(title.lower()) < part.lower().index("active states")
        assert "without issues" not in mail.html
        assert "✓" not in mail.subject

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (Result.ROLLBACK_FAILED, "1 with a failed rollback"),
            (Result.FAILED, "1 failed"),
            (Result.SUPERSEDED, "1 to be looked at"),
            (Result.UNVERIFIED, "1 to be looked at"),
            (Result.HELD, "1 held"),
            (Result.NOT_ACTIVE, "1 not active"),
        ],
    )
    def test_the_headline_counts_every_trouble(self, result: Result, words: str) -> None:
        """On a bad day it does not say that there was nothing to change."""
        assert f"ad sets: {words}." in report(ended(result)).text

    def test_a_reach_beyond_the_states_is_mentioned(self) -> None:
        """It is no trouble: the box is grey and the run is still a good one."""
        mail = report(replace(UPDATED, issues=("Its location setting lets Meta reach people outside the states",)))

        assert "Reaches beyond its states" in seen(mail.html)
        assert "without issues" in mail.html
        assert mail.subject.startswith("CLOSRADS ✓")

    def test_every_result_but_the_quiet_two_has_a_box(self) -> None:
        """A new result word cannot be forgotten here."""
        for result in set(Result) - {Result.UPDATED, Result.UNCHANGED}:
            assert "a reason" in report(ended(result, "a reason")).text

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
            "Updated, then rolled back",
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

        assert mail.subject == "CLOSRADS ⚠ 1 updated, 1 reverted, 1 skipped · Sun 3 May"

    def test_unknown_states_and_lifted_limits(self) -> None:
        """Both are shown, neither is an error."""
        campaign = replace(VETERANS, unmapped_states=("GU", "PR"))
        mail = build_report(replace(RUN, campaigns=(campaign,), force=frozenset({"max_removed_pct"})), NEW_YORK)

        for part in (seen(mail.html), mail.text):
            assert "GU, PR" in part
            assert "Limits lifted for this run: max_removed_pct" in part

    def test_no_campaign_at_all(self) -> None:
        """A run in which every campaign is switched off claims no success."""
        mail = build_report(replace(RUN, campaigns=()), NEW_YORK)

        assert "No campaign is switched on" in mail.text
        assert "without issues" not in mail.html


any_name = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


class TestNames:
    """Names come from people."""

    @given(any_name, any_name)
    def test_names_stay_text(self, name: str, issue: str) -> None:
        """No name opens a tag, breaks a line of the text part, or adds a header to the mail."""
        campaign = replace(
            VETERANS, campaign_name=name, adsets=(ended(Result.REVERTED, issue, name=name), replace(UPDATED, name=name))
        )
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)
        plain = report(ended(Result.REVERTED, "x"), UPDATED)

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
        campaign = replace(VETERANS, campaign_name="Vets\r\nBcc: all@example.test", campaign_errors=("x",))
        mail = build_report(replace(RUN, campaigns=(campaign,)), NEW_YORK)

        assert mail.subject == "CLOSRADS ✗ Vets Bcc: all@example.test failed · Sun 3 May"

    def test_a_secret_in_a_name_is_blanked_out(self) -> None:
        """Every text that leaves passes the same filter, the mail too."""
        secret = Secret("EAAFAKE<PLANTED>&token")
        mail = report(ended(Result.FAILED, f"see {secret.reveal()}", name=secret.reveal()))

        for part in (mail.subject, mail.html, unescape(mail.html), mail.text):
            assert "PLANTED" not in part
