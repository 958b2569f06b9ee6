"""How much a report says: it fits, whatever there is to tell, and what it leaves out it counts."""

import re
from collections.abc import Iterable
from dataclasses import replace
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import AdSetResult, Recovery, Result, RunResult, SyncReport
from closrads.report.render import MAX_HTML_BYTES, MAX_TEXT_BYTES, Report, build_report, encoded_size, html_of, text_of
from closrads.report.sections import content_of
from closrads.report.subject import MAX_OUTCOME_CHARS, MAX_PREVIEW_CHARS
from closrads.report.truncate import HTML_TRUNCATIONS, TEXT_TRUNCATIONS, fitting, truncated
from closrads.state_mapper import fb_region_to_usps
from tests.report.mails import MISSING_FORM, NEW_YORK, RESULTS, UNCHANGED, UPDATED, adsets, campaign, run

EVERY_STATE = tuple(fb_region_to_usps(str(key)) for key in range(3843, 3894))
HUGE = "\U0001f4a5<&\"'=" * 400
"""Each character of it takes four bytes as it is, or twelve of them on its way, or five as an entity."""


def mail(result: RunResult) -> Report:
    """Return the mail about a run."""
    return build_report(result, NEW_YORK)


def preview(of: Report) -> str:
    """Return what a list of mails shows beside the subject."""
    hidden = re.search(r'mso-hide:all;">(.*?)&#847;', of.html)
    assert hidden
    return unescape(hidden[1])


def worst(text: str, campaigns: int, count: int, *, states: Iterable[str] = EVERY_STATE) -> RunResult:
    """Return a run in which everything went wrong in every way, and each thing has this for a name and a reason."""
    states = tuple(states)
    results = tuple(
        AdSetResult(
            str(number) * 20, text, result, states, states, issues=tuple(f"{n}{number}{text}" for n in range(12))
        )
        for result in Result
        for number in range(count)
    )
    recovered = tuple(
        Recovery(f"{text}{number}", str(number), text, state, state, (f"{number}{text}",) * 12)
        for state in ChangeState
        for number in range(count)
    )
    one = SyncReport(
        "slug", text, dry_run=False, adsets=results, active_states=states, unmapped_states=(text,) * count,
        campaign_errors=(text,) * count, recovered=recovered, about_run=text, fb_ad_account_id=f"act_{'1' * 20}",
    )  # fmt: skip
    left = SyncReport("other", text, dry_run=False, left_to=text)
    return replace(run(*[one] * campaigns, left), run_id=text, force=frozenset({"max_removed_pct", "reverted_before"}))


@pytest.mark.parametrize("name", RESULTS)
def test_every_kind_of_day_fits(name: str) -> None:
    """Also where it is about hundreds of ad sets or campaigns; and it is shown as it is sent."""
    parts = mail(RESULTS[name])

    assert encoded_size(parts.html) <= MAX_HTML_BYTES
    assert encoded_size(parts.text) <= MAX_TEXT_BYTES


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(("campaigns", "count"), [(1, 9), (12, 1)])
def test_the_worst_fits(action: Action, campaigns: int, count: int) -> None:
    """Everything wrong, everywhere, with the longest names there are."""
    parts = mail(replace(worst(HUGE, campaigns, count), action=action))

    assert encoded_size(parts.html) <= MAX_HTML_BYTES
    assert encoded_size(parts.text) <= MAX_TEXT_BYTES
    assert len(parts.subject) < MAX_OUTCOME_CHARS + 60


@settings(deadline=None, max_examples=25)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: text * 20),
    campaigns=st.integers(1, 9),
    count=st.integers(0, 2),
    states=st.sets(st.sampled_from(EVERY_STATE)),
)
def test_anything_fits(text: str, campaigns: int, count: int, states: set[str]) -> None:
    """However many there are, and whatever they are called."""
    parts = mail(worst(text, campaigns, count, states=sorted(states)))

    assert encoded_size(parts.html) <= MAX_HTML_BYTES
    assert encoded_size(parts.text) <= MAX_TEXT_BYTES


def test_the_last_fold_has_room_to_spare() -> None:
    """It is taken as it is, so the worst must fit, and well."""
    for count in (1, 9):
        least = truncated(content_of(worst(HUGE, 9, count), NEW_YORK), HTML_TRUNCATIONS[-1])
        html, text = html_of(least), text_of(least)

        assert encoded_size(html) <= MAX_HTML_BYTES * 2 / 3
        assert encoded_size(text) <= MAX_TEXT_BYTES / 2


def test_where_nothing_fits_the_least_is_said() -> None:
    """A mail that is too long is better than none."""
    story = content_of(RESULTS["500 ad sets changed"], NEW_YORK)

    assert fitting(story, HTML_TRUNCATIONS, html_of, encoded_size, 1) == html_of(truncated(story, HTML_TRUNCATIONS[-1]))


def test_each_fold_is_smaller_than_the_one_before() -> None:
    """Else there would be a step that cannot help."""
    limits = [tuple(getattr(fold, name) for name in fold.__dataclass_fields__) for fold in TEXT_TRUNCATIONS]

    assert all(all(a >= b for a, b in zip(x, y, strict=True)) and x > y for x, y in pairwise(limits))


class TestFolded:
    """What is left out is counted, and stands in the text part."""

    def test_ad_sets_in_trouble(self) -> None:
        """The first ones by name, each with a link, and the number of the others."""
        broken = adsets(60, Result.SKIPPED_PREFLIGHT, MISSING_FORM)
        parts = mail(run(campaign("Veterans", broken)))

        assert "and 40 more, listed in this mail's plain-text version" in parts.html
        assert "Veterans, 60 ad sets" in parts.html
        assert parts.html.count("Missing lead form: Choose a form. (#3390001)</p>") == 1
        assert parts.html.count("selected_adset_ids") == 20
        assert all(f"({adset.id})" in parts.text for adset in broken)
        assert "more" not in parts.text

    @pytest.mark.parametrize(("count", "listed"), [(5_000, 5_000), (12_000, 2_000)])
    def test_thousands_in_trouble(self, count: int, listed: int) -> None:
        """The text part has them all for as many as an ad account takes, and beyond that the first thousands."""
        broken = [
            AdSetResult(str(number), "Broad", Result.FAILED, issues=(f"{number}: {MISSING_FORM}", "a second line"))
            for number in range(count)
        ]
        parts = mail(run(campaign("Veterans", broken)))

        assert parts.text.count("* Veterans") == listed
        assert (f"and {count - listed} more" in parts.text) == (listed < count)

    def test_changed_ad_sets(self) -> None:
        """They are many on most days, so fewer of them are named."""
        changed = adsets(60, UPDATED)
        parts = mail(run(campaign("Veterans", changed)))

        assert "and 30 more, listed in this mail's plain-text version" in parts.html
        assert all(f"  {adset.name} (updated): +NE" in parts.text for adset in changed)

    def test_what_needs_nobody_takes_less_room(self) -> None:
        """Nobody has to do anything about a deferred ad set."""
        parts = mail(run(campaign("Veterans", adsets(60, Result.DEFERRED, "Too little time"))))

        assert parts.html.count("and 55 more, listed") == 2
        assert parts.text.count("    - ") == 60
        assert parts.text.count(" (deferred to the next run): +NE") == 60

    def test_the_lines_of_an_entry(self) -> None:
        """The first reasons are told."""
        story = content_of(run(campaign("V", adsets(1, Result.FAILED, "a", "b", "c", "d", "e"))), NEW_YORK)

        (box,) = truncated(story, HTML_TRUNCATIONS[2]).boxes
        assert box.entries[0].lines == ("a", "b", "c", "and 2 more")

    def test_boxes_with_several_entries(self) -> None:
        """What is said apart is folded together: the room is the box's."""
        broken = [adset for number in range(5) for adset in adsets(3, Result.FAILED, f"reason {number}", start=number)]
        story = content_of(run(campaign("V", broken)), NEW_YORK)

        (box,) = truncated(story, HTML_TRUNCATIONS[3]).boxes
        assert [(entry.count, len(entry.adsets)) for entry in box.entries] == [(3, 3), (3, 3), (3, 2)]
        assert box.more == 7

    def test_many_campaigns(self) -> None:
        """Totals first, then trouble, then those with changes, then a line each; no map where there is no room."""
        parts = mail(RESULTS["300 campaigns changed"])
        totals = (
            "300 campaigns, 3000 ad sets: 2990 updated, 9 unchanged, 1 skipped before the run, 0 put back as before"
        )

        for part in (parts.html, parts.text):
            assert part.index(totals) < part.index("Active states")
        assert 'role="img"' not in parts.html
        assert len(re.findall("<h2", parts.html)) == 12
        assert "<tr><td>Campaign 298</td><td>10 updated</td></tr>" in parts.html
        assert "<tr><td>Campaign 299</td><td>1 skipped, 9 unchanged</td></tr>" in parts.html
        assert "=== Campaign 298 ===" in parts.text
        assert "Campaign 299: 1 skipped, 9 unchanged" in parts.text

    def test_quiet_campaigns_among_many(self) -> None:
        """A line is enough for each, however few have changes."""
        parts = mail(RESULTS["300 campaigns quiet"])

        assert parts.html.count('role="img"') == 4
        assert parts.html.count("<td>10 unchanged</td>") == 295
        assert parts.text.count(": 10 unchanged\n") == 295

    def test_more_campaigns_than_lines(self) -> None:
        """They are counted too."""
        parts = mail(run(*(campaign(f"Campaign {number}", adsets(1, UNCHANGED)) for number in range(5_000))))

        assert re.search(r"and 4\d00 more, listed in this mail's plain-text version", parts.html)
        assert "Campaign 4999: 1 unchanged" in parts.text

    def test_what_a_line_says_of_a_campaign(self) -> None:
        """Nothing is hidden because a campaign has no section."""
        quiet = [campaign(f"Quiet {number}", adsets(1, UNCHANGED)) for number in range(9)]
        parts = mail(
            run(
                *quiet,
                campaign("Empty"),
                replace(campaign("Left"), left_to="run-7"),
                replace(campaign("Dead"), campaign_errors=("token",)),
                replace(campaign("Stopped", adsets(1, Result.HELD)), campaign_errors=("token",)),
            )
        )

        for line in (
            "Empty: no active ad set",
            "Left: left to another run",
            "Dead: had errors",
            "Stopped: had errors, 1 held",
        ):
            assert f"\n{line}\n" in parts.text


class TestFirstWords:
    """What a list of mails shows."""

    def test_a_long_subject_keeps_what_matters(self) -> None:
        """The loudest counts come first, and the day is always there."""
        every = [adset for result in Result for adset in adsets(100, result)]
        calm = [
            adset
            for adset in every
            if adset.result not in {Result.FAILED, Result.SUPERSEDED, Result.UNVERIFIED, Result.ROLLBACK_FAILED}
        ]
        subject = mail(run(campaign("Veterans", calm))).subject

        assert subject == "CLOSRADS ⚠ 100 updated, 100 put back as before, 100 skipped and more · Mon 4 May"

    def test_many_campaigns_are_not_all_named(self) -> None:
        """Two are, and the others counted."""
        failed = [replace(campaign(f"Campaign {number}"), campaign_errors=("x",)) for number in range(9)]

        assert mail(run(*failed)).subject == "CLOSRADS ✗ Campaign 0, Campaign 1 and 7 more failed · Mon 4 May"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("green", "Veterans +NE +NY +WV −AR −CA −KS · Mortgage +NE −AR −CA −KS"),
            ("nothing to change", "Veterans 30 states · Truckers 15 states"),
            ("red", "Veterans · Spouses and Family: Ad “Static - Sunrise Rig” (120210000000010137): Missing lead form"),
            ("orange", "Truckers · Owner Operators: Ad “Static - Sunrise Rig” (120210000000010137): Missing lead form"),
            ("deferred", "Veterans +NE +NY +WV −AR −CA −KS · Veterans: 9 ad sets deferred"),
            ("dead token", "Mortgage, Truckers: Meta no longer accepts the access token"),
            ("recheck", "Veterans · Broad 30+: Ad “Static - Sunrise Rig”"),
            ("failed campaign", "Truckers: CLOSRTECH has no demand in any state"),
        ],
    )
    def test_the_preview_says_the_next_most_useful_thing(self, name: str, words: str) -> None:
        """Trouble by name, or else what changed, or else what is."""
        assert preview(mail(RESULTS[name])).startswith(words)

    def test_the_preview_of_a_group(self) -> None:
        """By number, for names of many help nobody."""
        assert preview(mail(run(campaign("Veterans", adsets(7, Result.FAILED, "x"))))) == "Veterans, 7 ad sets: x"

    @pytest.mark.parametrize("action", [Action.SYNC, Action.UNDO])
    def test_the_preview_claims_no_change_that_was_not_made(self, action: Action) -> None:
        """What is deferred is not told with signs."""
        deferred = replace(run(campaign("Veterans", adsets(2, Result.DEFERRED, "x"))), action=action)

        assert preview(mail(deferred)) == "Veterans: 2 ad sets deferred"

    def test_the_preview_without_a_reason(self) -> None:
        """Then it is at least said what became of it."""
        (failed,) = adsets(1, Result.FAILED)

        assert preview(mail(run(campaign("Veterans", [failed])))) == "Veterans · Broad 30+: failed"

    def test_other_previews(self) -> None:
        """There is always one, or the body would be shown in its place."""
        left = replace(run(), left_to="run-7")
        recheck = replace(run(campaign("Veterans", adsets(1, UNCHANGED))), action=Action.RECHECK)

        assert preview(mail(left)) == "Nothing to do: run run-7 reports on it"
        assert preview(mail(recheck)) == "Veterans"

    def test_the_preview_is_short_and_nothing_stands_behind_it(self) -> None:
        """What follows it in a list is blank for as long as any list is wide."""
        parts = mail(RESULTS["500 ad sets in trouble"])

        assert len(preview(parts)) <= MAX_PREVIEW_CHARS
        assert len(re.findall("&#847;&zwnj;&nbsp;", parts.html)) == 80
