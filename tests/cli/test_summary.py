"""A run's result in the words and lines of a terminal."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from closrads.cli import summary
from closrads.cli.history_view import Aftermath
from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.results import GraphUsage, MailOutcome, RunResult, without_details
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.report.wording.phrases import several


def result(*adsets: AdSetResult, dry_run: bool = False, action: Action = Action.SYNC, **more: Any) -> RunResult:
    """Return the result of a run of one campaign."""
    report = SyncReport("veterans", "Veterans", dry_run, adsets, **more)
    return RunResult("run", action, dry_run, datetime(2026, 5, 4, tzinfo=UTC), 1500, (report,))


def adset(name: str, word: Result = Result.UNCHANGED, **more: Any) -> AdSetResult:
    """Return what became of an ad set."""
    return AdSetResult(name, name, word, **more)


EVERY = tuple(adset(word, word) for word in Result)


def test_every_word_is_counted() -> None:
    """In the order of the words, which is by importance; nothing is left out."""
    assert summary.counted(result(*EVERY)) == (
        "1 updated, 1 unchanged, 1 skipped, 1 needing attention, 1 not active, 1 ended, 1 left alone as configured, "
        "1 deferred, 1 held, 1 put back as before, 1 failed, 2 to be looked at, 1 with a failed rollback"
    )


def test_a_result_without_details_is_counted() -> None:
    """A very large one keeps its counts only, and there errors are one number."""
    kept = RunResult.from_json(without_details(result(*EVERY).to_json()))

    assert summary.counted(kept) == (
        "1 updated, 1 unchanged, 1 skipped, 1 needing attention, 1 not active, 1 ended, 1 left alone as configured, "
        "1 deferred, 1 held, 1 put back as before, 4 failed"
    )


def test_a_campaign_without_details_is_not_one_without_ad_sets() -> None:
    """Nothing is said of ad sets that are counted but not listed."""
    (campaign,) = summary.campaigns(RunResult.from_json(without_details(result(adset("Broad")).to_json())))

    assert (campaign.lines, campaign.notes) == ((), ())


@pytest.mark.parametrize(
    ("adsets", "dry_run", "said"),
    [
        ((), False, ""),
        ((None,), False, "1 ad set restarts Meta's learning phase"),
        ((None, None), False, "2 ad sets restart Meta's learning phase"),
        (
            ("2026-05-03T10:30:00+00:00", ""), True,
            "2 ad sets would restart Meta's learning phase; 2 had not left it yet: Broad 0 (since 2026-05-03), Broad 1",
        ),
    ],
)  # fmt: skip
def test_the_learning_phase_has_one_line(adsets: tuple[str | None, ...], said: str, *, dry_run: bool) -> None:
    """It names everybody who had not left it."""
    found = [adset(f"Broad {number}", Result.UPDATED, learning_since=each) for number, each in enumerate(adsets)]
    assert summary.learning(result(adset("Right"), *found, dry_run=dry_run)) == said


def test_ad_sets_that_are_shown_outside_their_states_stand_in_one_note() -> None:
    """With what to switch off."""
    run = result(adset("Broad", reaches_beyond=True), adset("Narrow", reaches_beyond=True), adset("Third"))
    (campaign,) = summary.campaigns(run)

    said = "may be shown outside the states: turn off in Ads Manager, under Locations, that it reaches more people"
    assert campaign.notes == (f"{said}: Broad, Narrow",)


@pytest.mark.parametrize(
    ("action", "dry_run", "said"),
    [
        (Action.SYNC, True, "Dry run, sync: 1 would be updated, in 1.5 s"),
        (Action.SYNC, False, "Live run, sync: 1 updated, in 1.5 s"),
        (Action.UNDO, True, "Dry run, undo: 1 would be put back, in 1.5 s"),
        (Action.UNDO, False, "Live run, undo: 1 put back, in 1.5 s"),
    ],
)
def test_the_first_line(action: Action, said: str, *, dry_run: bool) -> None:
    """It never lets a dry run look like a live one."""
    assert summary.headline(result(adset("Broad", Result.UPDATED), action=action, dry_run=dry_run)) == said


def test_the_first_line_of_a_failure() -> None:
    """It says so before anything else."""
    assert summary.headline(result(campaign_errors=("Boom",))) == "Live run, sync: FAILED, in 1.5 s"


def test_the_first_line_of_a_paused_run() -> None:
    """Whether there was anything to change, it has not looked."""
    paused = SwitchedOff(datetime(2026, 5, 3, tzinfo=UTC))
    run = replace(result(switched_off=paused), switched_off=(paused,))

    assert summary.headline(run) == "Live run, sync: nothing was started, in 1.5 s"


def test_the_first_line_of_a_run_without_ad_sets() -> None:
    """In the words of the report."""
    assert summary.headline(result(action=Action.RECHECK)) == "Live run, recheck: nothing to put back, in 1.5 s"


def test_what_is_called_the_same_is_counted_together() -> None:
    """A word stands once."""
    two = (adset("A", Result.UNVERIFIED), adset("B", Result.SUPERSEDED))
    assert summary.counted(result(*two)) == "2 to be looked at"


@pytest.mark.parametrize(("number", "said"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls")])
def test_one_is_one(number: int, said: str) -> None:
    """And all else is several."""
    assert several(number, "call") == said


@pytest.mark.parametrize(
    ("mail", "said"), [(MailOutcome.NOT_ASKED, "no mail"), (MailOutcome.NOT_CONFIGURED, "mail not configured")]
)
def test_the_last_line(mail: MailOutcome, said: str) -> None:
    """Who wanted no mail reads of none."""
    one = replace(result(adset("Broad")), mail=mail, graph=GraphUsage(round_trips=1))
    assert summary.footline(one, "prod", is_kept=True) == f"Run run, in the history · {said} · 1 call to Meta"


@pytest.mark.parametrize(("number", "lines", "notes"), [(5, 5, ()), (6, 0, ("and 6 ad sets unchanged",))])
def test_many_unchanged_ad_sets_are_a_number(number: int, lines: int, notes: tuple[str, ...]) -> None:
    """But none about which something is to be said."""
    unchanged = [adset(f"Ad set {each}") for each in range(number)]
    (campaign,) = summary.campaigns(result(*unchanged, adset("Odd", issues=("look",)), adset("New", Result.UPDATED)))

    assert [line.name for line in campaign.lines[-2:]] == ["Odd", "New"]
    assert (len(campaign.lines), campaign.notes) == (lines + 2, notes)


def test_a_refused_recipient_is_named() -> None:
    """Beside what became of the mail for the others."""
    one = replace(result(), mail=MailOutcome.SENT, mail_refused=("buyer@example.test",))

    assert "mail sent, but SES refused buyer@example.test" in summary.footline(one, "prod", is_kept=True)


def test_what_earlier_runs_left_is_told() -> None:
    """With the run that left it, and what has become of it."""
    recovery = Recovery("earlier", "1", "Broad", ChangeState.WRITTEN, ChangeState.ROLLED_BACK)
    (campaign,) = summary.campaigns(result(recovered=(recovery,)))

    assert campaign.notes == ("from run earlier: Broad was written, is rolled back",)


def test_what_has_no_region_and_what_cannot_be_read_is_told() -> None:
    """The second also says that nothing is removed."""
    (campaign,) = summary.campaigns(result(unmapped_states=("PR", "TEXS")))

    assert campaign.notes == (
        "Meta has no region for: PR, TEXS",
        "no state is removed, because these cannot be read: TEXS",
    )


def test_what_waits_is_told() -> None:
    """Since when and until when, in one line for states alike, and what has too few leads to be wanted."""
    waiting = (
        WaitingState("FL", is_wanted=True, since=date(2026, 11, 2), due=date(2026, 11, 4)),
        WaitingState("TX", is_wanted=False, since=date(2026, 11, 3), due=date(2026, 11, 5)),
        WaitingState("WY", is_wanted=True, since=date(2026, 11, 2), due=date(2026, 11, 4)),
    )
    (campaign,) = summary.campaigns(result(waiting=waiting, below_min_demand=("OH", "UT"), counts_anew=True))

    assert campaign.notes == (
        "too few leads to count (limits/min_demand): OH, UT",
        "waiting: FL, WY: wanted since 2026-11-02, to be added on 2026-11-04 if it stays so",
        "waiting: TX: unwanted since 2026-11-03, to be removed on 2026-11-05 if it stays so",
        "the ledger's count of days could not be read, so it starts again",
    )
    (dry,) = summary.campaigns(result(dry_run=True, waiting=waiting[1:2]))
    (note,) = dry.notes
    assert note.endswith("to be removed on 2026-11-05 if it stays so, with a live run every day from today on")


def test_nothing_is_known_before_the_first_run() -> None:
    """A change that no known run made has no later story."""
    assert Aftermath((), {})._run_holding("veterans", datetime(2026, 5, 4, tzinfo=UTC)) is None


def test_how_a_plan_is_carried_out() -> None:
    """The command stands above the last line of a dry run, if there is something to carry out and it was kept."""
    changing = replace(result(adset("Broad", Result.UPDATED), dry_run=True), plan_id="0a1b2c3d4e5f6789")
    quiet = replace(result(adset("Broad", Result.UNCHANGED), dry_run=True), plan_id="0a1b2c3d4e5f6789")

    first, _ = summary.footline(changing, "prod", is_kept=False).splitlines()
    assert first == "Plan 0a1b2c3d4e5f6789: python -m closrads run live --plan 0a1b2c3d4e5f6789"
    elsewhere, _ = summary.footline(changing, "dev", is_kept=False).splitlines()
    assert elsewhere == f"{first} --stage dev"
    for other in (quiet, replace(changing, plan_id=""), replace(changing, dry_run=False)):
        assert summary.footline(other, "prod", is_kept=False).startswith("Run run")


def test_what_is_left_alone_by_wish() -> None:
    """A pattern that names nothing is told, and that nothing follows the demand."""
    (found,) = summary.campaigns(result(adset("Evergreen", Result.OPTED_OUT), unmatched_patterns=("A*", "B")))

    assert [line.word for line in found.lines] == ["left alone as configured"]
    assert found.notes == (
        "no ad set that is on now matches “A*”, “B” of campaigns/veterans/skip_adsets",
        "every ad set is left alone as configured, so nothing follows the demand",
    )


def test_who_else_has_changed_states_is_told() -> None:
    """Of an ad set beside its issues, of an earlier change beside its state."""
    at = datetime(2026, 5, 3, 13, 30, tzinfo=UTC)
    one = adset("Broad", Result.UPDATED, issues=("look",), drift=Drift(("GA",), ("OH",), "Jane Example", at))
    two = adset("Narrow", Result.UPDATED, drift=Drift((), ("OH",)))
    earlier = Recovery(
        "run 1", "3", "Old", ChangeState.WRITTEN, ChangeState.SUPERSEDED, drift=Drift((), (), "Jane", at)
    )

    (campaign,) = summary.campaigns(result(one, two, recovered=(earlier,)))

    assert [line.reasons for line in campaign.lines] == [
        ("look", "its states were changed by Jane Example at 2026-05-03 13:30 UTC: +GA −OH"),
        ("its states were changed by somebody else: −OH",),
    ]
    assert campaign.notes == (
        "from run run 1: Old was written, is superseded; its states were changed by Jane at 2026-05-03 13:30 UTC",
    )
