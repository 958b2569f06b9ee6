"""How much a report says: it fits, whatever there is to tell, and what it leaves out it counts."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from closrads.domain.results import RunResult
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.report.render import MAX_HTML_BYTES, MAX_TEXT_BYTES, Report, build_report, encoded_size, html_of, text_of
from closrads.report.sections import content_of
from closrads.report.subject import MAX_OUTCOME_CHARS, MAX_PREVIEW_CHARS
from closrads.report.truncate import HTML_TRUNCATIONS, TEXT_TRUNCATIONS, fitting, truncated
from closrads.state_mapper import fb_region_to_usps
from tests.report.mails import MISSING_FORM, NEW_YORK, RESULTS, UNCHANGED, UPDATED, adsets, campaign, run
from tests.sweeps import sampled

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


@pytest.mark.parametrize("action", sampled(Action, one_in=len(Action)))
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


@pytest.mark.sweep
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
    """What is left out is counted, and named in the appendix and in the text part."""

    def test_ad_sets_in_trouble(self) -> None:
        """The first ones with a link, the number of the others, and all names in the appendix."""
        broken = adsets(60, Result.FAILED, "x")
        parts = mail(run(campaign("Veterans", broken)))

        assert "<strong>60 ad sets</strong> (Veterans), each could not be updated: " in parts.html
        assert "and 57 more, named at the end of this mail" in parts.html
        assert parts.html.count("selected_adset_ids") == 3
        for part in (parts.html, parts.text):
            assert all(f"{adset.name} ({adset.id})" in part for adset in broken)
        assert "57 more" not in parts.text

    @pytest.mark.parametrize(
        ("count", "listed"), [(5_000, 5_000), pytest.param(12_000, 2_000, marks=pytest.mark.sweep)]
    )
    def test_thousands_in_trouble(self, count: int, listed: int) -> None:
        """The text part has them all for as many as an ad account takes, and beyond that the first thousands."""
        broken = [
            AdSetResult(str(number), "Broad", Result.FAILED, issues=(f"{number}: {MISSING_FORM}", "a second line"))
            for number in range(count)
        ]
        parts = mail(run(campaign("Veterans", broken)))

        assert parts.text.count("  - Broad") == listed
        assert (f"and {count - listed} more" in parts.text) == (listed < count)

    def test_changed_ad_sets(self) -> None:
        """They are many on most days, so each change is told once."""
        parts = mail(run(campaign("Veterans", adsets(60, UPDATED))))

        assert parts.text.count("+NE") == 1
        assert "all 60 ad sets: +NE +NY +WV −AR −CA −KS" in parts.html

    def test_many_campaigns(self) -> None:
        """Those without trouble share a line, and have one each in the details."""
        parts = mail(RESULTS["300 campaigns changed"])

        for part in (parts.html, parts.text):
            assert part.index("Campaign 299") < part.index("The other 299 campaigns")
            assert "✓ Campaign 298: all 10 ad sets: +NE +NY +WV −AR −CA −KS" in part
        assert "The other 299 campaigns: 2990 ad sets updated\n" in parts.text
        assert parts.text.count("=== Campaign ") == 1
        assert (
            "All 20 campaigns: no change\n"
            in mail(run(*(campaign(f"C{number}", adsets(1, UNCHANGED)) for number in range(20)))).text
        )

    @pytest.mark.sweep
    def test_more_campaigns_than_lines(self) -> None:
        """They are counted too."""
        parts = mail(run(*(campaign(f"Campaign {number}", adsets(1, UNCHANGED)) for number in range(5_000))))

        assert "and 4600 more" in parts.html
        assert "Campaign 4999: its ad set: no change" in parts.text

    def test_the_least_is_counted_everywhere(self) -> None:
        """Boxes, campaigns, details and the appendix."""
        story = content_of(worst("x", 30, 2), NEW_YORK)
        least = truncated(story, HTML_TRUNCATIONS[-1])

        assert (least.more_boxes, least.more_rows, least.more_sections) == (
            len(story.boxes) - 6, len(story.rows) - 10, len(story.sections) - 2,
        )  # fmt: skip
        assert least.more_raw == len(story.raw) - 2
        assert not least.names_all
        for part in (html_of(least), text_of(least)):
            assert all(f"and {more} more" in part for more in (least.more_boxes, least.more_rows, least.more_raw))

    def test_a_map_is_drawn_where_there_is_space(self) -> None:
        """Else the words say it."""
        late = [campaign(f"C{number}", adsets(1, Result.DEFERRED)) for number in range(5)]

        assert mail(run(*late[:4])).html.count('role="img"') == 4
        assert mail(run(*late)).html.count('role="img"') == 0

    def test_facts_of_a_campaign(self) -> None:
        """Different changes of many ad sets."""
        many = [replace(adset, added=(f"S{number}",)) for number, adset in enumerate(adsets(30, UPDATED))]
        states = [f"S{number}" for number in range(30)]
        parts = mail(run(campaign("V", many, states)))

        assert "and 23 more" in parts.html
        assert "(+S29 −AR −CA −KS)" in parts.text


class TestFirstWords:
    """What a list of mails shows."""

    @pytest.mark.parametrize("name", ["green", "nothing to change", "orange", "red", "rollback failed", "dead token"])
    def test_a_subject_is_short(self, name: str) -> None:
        """And begins with the outcome."""
        subject = mail(RESULTS[name]).subject

        assert len(subject) <= 50
        assert subject[0] in "✓⚠✗"

    def test_a_long_subject_keeps_what_matters(self) -> None:
        """The loudest counts come first, and the day is always there."""
        every = [adset for result in Result for adset in adsets(100, result)]
        lost = {Result.FAILED, Result.SUPERSEDED, Result.UNVERIFIED, Result.ROLLBACK_FAILED}
        calm = [adset for adset in every if adset.result not in lost]
        off = [SwitchedOff(datetime(2026, 5, 1, tzinfo=UTC), str(number), "N" * 30) for number in range(3)]
        subject = mail(replace(run(campaign("Veterans", calm)), switched_off=tuple(off))).subject

        assert subject == ("⚠ 300 ad sets need you, 100 updated, 100 put back as before and more · Mon 4 May")

    def test_many_campaigns_are_not_all_named(self) -> None:
        """Two are, and the others counted."""
        failed = [replace(campaign(f"Campaign {number}"), campaign_errors=("x",)) for number in range(9)]

        assert mail(run(*failed)).subject == "✗ Campaign 0, Campaign 1 and 7 more failed · Mon 4 May"
        off = [SwitchedOff(datetime(2026, 5, 1, tzinfo=UTC), str(number), f"C{number}") for number in range(5)]
        many_off = mail(replace(run(campaign("Veterans", adsets(1, UPDATED))), switched_off=tuple(off)))
        assert many_off.subject == "⚠ 1 updated; off: C0, C1 and 3 more · Mon 4 May"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("green", "Veterans: all 3 ad sets: +NE +NY +WV −AR −CA −KS · Truckers: both ad sets: no change"),
            ("orange", "Static - Sunrise Rig (Truckers) has lost its lead form · Broad 30+ (Mortgage) cannot be given"),
            ("dead token", "Mortgage, Truckers were not updated, because Meta no longer lets CLOSRADS sign in"),
            ("failed campaign", "Truckers was not updated, because CLOSRTECH has no demand in any state"),
        ],
    )
    def test_the_preview_says_the_next_most_useful_thing(self, name: str, words: str) -> None:
        """What needs a person, or else what changed."""
        assert preview(mail(RESULTS[name])).startswith(words)

    def test_there_is_always_a_preview(self) -> None:
        """Or the body would be shown in its place."""
        assert preview(mail(replace(run(), left_to="run-7"))).startswith("No action needed: everything was left to")

    def test_the_preview_is_short_and_nothing_stands_behind_it(self) -> None:
        """What follows it in a list is blank for as long as any list is wide."""
        parts = mail(RESULTS["500 ad sets in trouble"])

        assert len(preview(parts)) <= MAX_PREVIEW_CHARS
        assert len(re.findall("&#847;&zwnj;&nbsp;", parts.html)) == 80
