"""What a daily report says of the changes of the syncs since the last one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from closrads.domain.adset_results import AdSetResult, Result
from closrads.domain.results import RunResult
from closrads.domain.sync_report import SyncReport
from closrads.report.changes_before import MAX_CHANGES
from closrads.report.render import MAX_HTML_BYTES, build_report, encoded_size
from tests.report.mails import NEW_YORK, RESULTS, campaign, run
from tests.report.test_words import FORBIDDEN

TITLE = "CHANGED SINCE THE LAST DAILY REPORT"


def changed(
    *results: Result, name: str = "Veterans", added: tuple[str, ...] = (), removed: tuple[str, ...] = ()
) -> SyncReport:
    """Return a campaign with ad sets that ended so."""
    adsets = [
        AdSetResult(str(number), f"Ad set {number}", result, added, removed) for number, result in enumerate(results)
    ]
    return campaign(name, adsets)


def at(hours: float, *campaigns: SyncReport) -> RunResult:
    """Return a run so many hours before that of the mail."""
    now = run(*campaigns)
    return replace(now, started_at=now.started_at - timedelta(hours=hours))


def said(*earlier: RunResult) -> str:
    """Return the lines of the box in the text part."""
    text = build_report(run(campaign("Veterans")), NEW_YORK, earlier=earlier).text
    return text.partition(TITLE)[2].partition("\n\n")[0].strip()


def test_each_campaign_has_a_line() -> None:
    """With the times of the schedule's zone, oldest first."""
    both = (Result.UPDATED, Result.UPDATED)
    assert said(
        at(20, changed(*both, added=("IL",), removed=("CT", "MN"))),
        at(16, changed(Result.UNCHANGED, name="Truckers"), changed(Result.UNCHANGED)),
        at(3, changed(Result.REVERTED, Result.UPDATED, added=("NY",)), changed(*both, name="Truckers")),
    ).splitlines() == [
        (
            "* Veterans was changed twice: Sun 10:30 am, 2 ad sets updated (+IL −CT −MN); "
            "Mon 3:30 am, 1 ad set updated (+NY), 1 ad set put back as before"
        ),
        "* Truckers was changed once: Mon 3:30 am, 2 ad sets updated",
    ]


def test_ad_sets_with_different_changes() -> None:
    """Most of them tell for all."""
    some = campaign(
        "Veterans",
        [
            AdSetResult(str(number), "Broad", Result.UPDATED, added=(code,))
            for number, code in enumerate(("GA", "GA", "TX"))
        ],
    )
    assert said(at(1, some)) == "* Veterans was changed once: Mon 5:30 am, 3 ad sets updated (+GA and others)"


def test_an_unproven_rollback_is_told() -> None:
    """As in its own mail."""
    assert "1 ad set not restored, 1 ad set to be looked at" in said(
        at(1, changed(Result.ROLLBACK_FAILED, Result.UNVERIFIED))
    )


def test_of_many_changes_the_latest_are_told() -> None:
    """The others are counted."""
    runs = [at(24 - number, changed(Result.UPDATED, added=("IL",))) for number in range(MAX_CHANGES + 3)]

    text = said(*runs)

    assert text.startswith("* Veterans was changed 9 times: 3 times before; Sun 9:30 am, ")
    assert text.count("updated") == MAX_CHANGES


def test_a_result_without_details_still_counts() -> None:
    """It was too large to be kept."""
    large = replace(campaign("Veterans"), omitted={Result.UPDATED: 3000})
    assert said(at(1, large)) == "* Veterans was changed once: Mon 5:30 am, 3000 ad sets updated"


@pytest.mark.parametrize("name", RESULTS)
def test_nothing_changed_says_nothing(name: str) -> None:
    """Whatever the day itself was like."""
    today = RESULTS[name]
    quiet = at(1, changed(Result.UNCHANGED))

    assert build_report(today, NEW_YORK, earlier=[quiet]) == build_report(today, NEW_YORK)


@pytest.mark.parametrize("name", RESULTS)
def test_it_is_a_note_among_the_details(name: str) -> None:
    """Neither the subject nor what needs a person is another; the words are a client's, and the mail still fits."""
    today, states = RESULTS[name], tuple(sorted({"AL", "CA", "FL", "GA", "NY", "OH", "SC", "TX"}))
    earlier = [at(24 - hour, changed(*[Result.UPDATED] * 9, added=states)) for hour in range(23)]
    mail, without = build_report(today, NEW_YORK, earlier=earlier), build_report(today, NEW_YORK)

    assert mail.subject == without.subject
    assert encoded_size(mail.html) <= MAX_HTML_BYTES
    assert mail.text.partition("\n\n")[2].partition("\n")[0] == without.text.partition("\n\n")[2].partition("\n")[0]
    box = mail.text.partition(TITLE)[2].partition("\n\n")[0]
    assert box
    assert not FORBIDDEN.search(box)
