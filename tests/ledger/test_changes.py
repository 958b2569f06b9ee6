"""The changes of ad sets in the ledger: written down first, moved along the machine, kept for the next runs."""

import json
import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from closrads.domain.adsets import Ad
from closrads.domain.changes import (
    TRANSITIONS,
    Change,
    ChangeState,
    LastRecheck,
    PreviousOutcomes,
    RevertStreak,
    RollbackReason,
    UnexplainedPause,
)
from closrads.domain.damping import DemandHistory
from closrads.domain.request import Action
from closrads.errors import LedgerError, LedgerItemTooLargeError
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.ledger.records import KEPT_FOR
from sandbox import Sandbox
from sandbox.aws import DROPPED, LEDGER_TABLE
from tests.ledger.conftest import FLORIDA, GEORGIA, ME, OTHER, SERVER_ERROR, THIRD, a_change, calls, cancel
from tests.ledger.strategies import changes
from tests.ledger_world import FINAL, OPEN, entries, ledger, move, prepare, recorded
from tests.world import START, FakeTime, World


class TestPrepare:
    """A change is written down before anything is sent to Meta."""

    def test_it_is_open_from_then_on(self, world: World) -> None:
        """Whatever happens next, the next run finds it; and nothing lets it expire."""
        change = a_change()
        prepare(ledger(world), change)

        assert ledger(world).open_changes("veterans") == (change,)
        (item,) = world.sandbox.aws.ledger()
        assert (item["pk"], item["sk"]) == ("CAMPAIGN#veterans", f"CHANGE#{ME}#501")
        assert "expires_at" not in item

    def test_an_ad_set_is_changed_once_a_run(self, world: World) -> None:
        """A second time is refused; what is written down stays."""
        prepare(ledger(world), a_change())
        later = a_change(prepared_at=START + timedelta(seconds=1), changed_at=START + timedelta(seconds=1))

        with pytest.raises(LedgerError, match="501 already has a change in this run"):
            prepare(ledger(world), later)
        assert ledger(world).open_changes("veterans") == (a_change(),)

    @pytest.mark.parametrize("state", [state for state in ChangeState if state is not ChangeState.PREPARED])
    def test_only_what_was_not_written_is_prepared_again(self, world: World, state: ChangeState) -> None:
        """Meta refused the first try, for want of quota say: the second takes its place, whole."""
        recorded(world, a_change(), state)
        again = a_change(prepared_at=START + timedelta(minutes=5), changed_at=START + timedelta(minutes=5), ads=())

        if state is ChangeState.NOT_WRITTEN:
            prepare(ledger(world), again)
            assert ledger(world).changes_of("veterans", ME) == (again,)
            assert "expires_at" not in world.sandbox.aws.ledger()[0]
        else:
            with pytest.raises(LedgerError, match="already has a change in this run"):
                prepare(ledger(world), again)

    def test_a_lost_answer_is_no_second_change(self, retrying: World) -> None:
        """It was written down and the answer lost: boto3 asks again, and all is well."""
        retrying.sandbox.aws.fail("dynamodb", "TransactWriteItems", DROPPED, applied=True)
        prepare(ledger(retrying), a_change())

        assert calls(retrying, "TransactWriteItems") == 2
        assert len(retrying.sandbox.aws.ledger()) == 1

    def test_other_runs_ad_sets_and_campaigns_do_not_mind(self, world: World) -> None:
        """The same ad set in another run, another ad set in this one: each has its own item."""
        changes = (a_change(), a_change(run_id=OTHER), a_change(id="502"), a_change(campaign="truckers"))
        for change in changes:
            prepare(ledger(world), change)

        assert len(world.sandbox.aws.ledger()) == len(changes)
        assert ledger(world).changes_of("veterans", ME) == (changes[0], changes[2])

    def test_thousands_of_excluded_zips_fit(self, world: World) -> None:
        """Five thousand of them, before and after, are nothing to be afraid of."""
        zips = [
            {"key": f"US:{90210 - number:05}", "name": f"{90210 - number:05}", "primary_city_id": 2418779 + 7 * number,
             "region_id": 3847, "country": "US"}
            for number in range(5000)
        ]  # fmt: skip
        targeting = {"geo_locations": {"regions": [GEORGIA]}, "excluded_geo_locations": {"zips": zips}}
        change = a_change(targeting=targeting, after={**targeting, "geo_locations": {"regions": [FLORIDA]}})
        prepare(ledger(world), change)

        assert ledger(world).open_changes("veterans") == (change,)

    @pytest.mark.parametrize("where", ["before", "after"])
    def test_what_does_not_fit_is_refused_by_itself(self, world: World, where: str) -> None:
        """It is the ad set's own trouble, which says nothing of the others, and nothing is written down."""
        noise = random.Random(1).randbytes(250_000).hex()  # noqa: S311 - it only has to be hard to pack
        huge = {"geo_locations": {"regions": [GEORGIA]}, "noise": noise + noise[::-1]}
        change = a_change(**{"targeting" if where == "before" else "after": huge})

        with pytest.raises(LedgerItemTooLargeError, match="501 is too large"):
            prepare(ledger(world), change)
        assert world.sandbox.aws.ledger() == []

    def test_a_name_may_look_like_part_of_an_expression(self, world: World) -> None:
        """What stands in the item is data."""
        change = a_change(name="#until #state :now", ads=(Ad("601", "#until", "ACTIVE", "ACTIVE"),))
        prepare(ledger(world), change)

        assert ledger(world).open_changes("veterans") == (change,)

    def test_many_ads_with_long_names_do_not_push_it_over_the_edge(self, world: World) -> None:
        """What is too large because of them is refused as too large, not as a ledger that cannot be written."""
        noise = random.Random(1).randbytes(165_000).hex()  # noqa: S311 - the same
        ads = tuple(Ad(f"6{number:02}", "🦊" * 400, "ACTIVE", "ACTIVE") for number in range(50))
        change = a_change(targeting={"geo_locations": {"regions": [GEORGIA]}, "noise": noise + noise[::-1]}, ads=ads)

        with pytest.raises(LedgerItemTooLargeError):
            prepare(ledger(world), change)


DRAWN = [(old, new) for old, targets in TRANSITIONS.items() for new in sorted(targets)]
NOT_DRAWN = [(old, new) for old in ChangeState for new in ChangeState if new not in TRANSITIONS[old]]


class TestMove:
    """A change comes from one state to the next."""

    @pytest.mark.parametrize(("old", "new"), DRAWN)
    def test_each_step_is_written_down(self, world: World, old: ChangeState, new: ChangeState) -> None:
        """The state and its time; what is open is in the index and never expires, what is final is not and does."""
        change = recorded(world, a_change(), old)
        world.time.pass_by(7)

        moved = move(ledger(world), change, new)

        assert moved == replace(change, state=new, changed_at=START + timedelta(seconds=7))
        assert ledger(world).changes_of("veterans", ME) == (moved,)
        assert ledger(world).open_changes("veterans") == ((moved,) if new in OPEN else ())
        (item,) = entries(world, "CHANGE#")
        assert ("open_since" in item, "expires_at" in item) == (new in OPEN, new in FINAL)
        if new in FINAL:
            assert item["expires_at"] == int((START + timedelta(seconds=7) + KEPT_FOR).timestamp())

    @pytest.mark.parametrize(("old", "new"), NOT_DRAWN)
    def test_a_step_that_the_machine_lacks_is_refused(self, world: World, old: ChangeState, new: ChangeState) -> None:
        """DynamoDB is not even asked, so no defect of a caller can skip the re-publish or the verification."""
        change = recorded(world, a_change(), old)
        before = world.sandbox.aws.ledger()
        world.sandbox.aws.requests.clear()

        with pytest.raises(LedgerError, match=f"cannot go from {old} to {new}"):
            move(ledger(world), change, new)

        assert world.sandbox.aws.requests == []
        assert world.sandbox.aws.ledger() == before

    @pytest.mark.parametrize("there", [state for state in ChangeState if state is not ChangeState.ROLLING_BACK])
    @pytest.mark.parametrize("new", [ChangeState.ROLLED_BACK, ChangeState.SUPERSEDED])
    def test_from_another_state_than_it_is_in(self, world: World, there: ChangeState, new: ChangeState) -> None:
        """Another run has it: hands off, and no revert is counted either."""
        recorded(world, a_change(), there)
        before = world.sandbox.aws.ledger()
        world.time.pass_by(1)

        with pytest.raises(LedgerError, match="501 is not rolling_back any more"):
            move(ledger(world), a_change(state=ChangeState.ROLLING_BACK), new)
        assert world.sandbox.aws.ledger() == before

    def test_what_was_never_written_down_cannot_move(self, world: World) -> None:
        """No item comes into being without its targeting."""
        with pytest.raises(LedgerError):
            move(ledger(world), a_change(), ChangeState.WRITTEN)
        assert world.sandbox.aws.ledger() == []

    @pytest.mark.parametrize(
        ("old", "new", "times"),
        [
            (ChangeState.PREPARED, ChangeState.WRITTEN, []),
            (ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK, [2]),
            (ChangeState.REPUBLISHED, ChangeState.VERIFIED, []),
        ],
    )
    @pytest.mark.parametrize("fault", [SERVER_ERROR, (DROPPED,)])
    def test_a_lost_answer_is_no_other_run(
        self, retrying: World, old: ChangeState, new: ChangeState, times: list[int], fault: Any
    ) -> None:
        """The step was taken and the answer lost: boto3 asks again, and finds it taken."""
        reverts = RevertStreak(frozenset({"3852"}), 1)
        change = recorded(retrying, a_change(reverts=reverts), old)
        retrying.sandbox.aws.requests.clear()
        retrying.sandbox.aws.fail("dynamodb", "TransactWriteItems", *fault, applied=True)

        moved = move(ledger(retrying), change, new)

        assert calls(retrying, "TransactWriteItems") == 2
        assert ledger(retrying).changes_of("veterans", ME) == (moved,)
        assert [item["times"] for item in entries(retrying, "MEMORY#")] == times

    def test_a_conflict_is_tried_again_soon(self, world: World) -> None:
        """Meta has been written: what became of that is worth another try."""
        change = recorded(world, a_change())
        cancel(world, ["TransactionConflict"])

        move(ledger(world), change, ChangeState.WRITTEN)

        assert world.time.waits == [0.1]
        assert entries(world, "CHANGE#")[0]["state"] == "written"

    @pytest.mark.parametrize("reason", RollbackReason)
    def test_why_it_is_rolled_back_is_kept_with_the_step(self, world: World, reason: RollbackReason) -> None:
        """A later run goes on with a rollback, and has to know whether the regions are to be written."""
        change = recorded(world, a_change(), ChangeState.WRITTEN)

        rolling_back = move(ledger(world), replace(change, reason=reason), ChangeState.ROLLING_BACK)
        failed = move(ledger(world), replace(rolling_back, reason=None), ChangeState.ROLLBACK_FAILED)

        assert failed.state is ChangeState.ROLLBACK_FAILED
        (found,) = ledger(world).open_changes("veterans")
        assert found.reason is reason

    def test_a_further_rollback_has_its_own_reason(self, world: World) -> None:
        """What was wrong the first time says nothing about the second."""
        change = recorded(world, a_change(reason=RollbackReason.ADS_BROKEN), ChangeState.ROLLED_BACK)

        move(ledger(world), replace(change, reason=RollbackReason.ALREADY_BACK), ChangeState.ROLLING_BACK)

        (found,) = ledger(world).open_changes("veterans")
        assert found.reason is RollbackReason.ALREADY_BACK


class TestTogether:
    """The steps of many changes in few transactions."""

    def test_a_wave_is_one_transaction_a_step(self, world: World) -> None:
        """Written down and moved: two calls, whatever the number of ad sets."""
        book, changes = ledger(world), [a_change(id=f"5{number:02}") for number in range(50)]
        world.sandbox.aws.requests.clear()

        assert book.prepare(changes) == [None] * 50
        moved = book.move([(change, ChangeState.WRITTEN) for change in changes])

        assert [call.operation for call in world.sandbox.aws.requests] == ["TransactWriteItems"] * 2
        assert list(ledger(world).changes_of("veterans", ME)) == moved

    def test_one_that_another_run_has_keeps_no_other_from_its_step(self, world: World) -> None:
        """Each is refused for itself, in the order in which they were asked for, and to different states."""
        book, changes = ledger(world), [a_change(id=f"50{number}") for number in range(4)]
        book.prepare(changes)
        move(book, changes[1], ChangeState.SUPERSEDED)
        move(book, changes[3], ChangeState.NOT_WRITTEN)
        changes[2] = move(book, changes[2], ChangeState.ROLLING_BACK)
        ends = [ChangeState.WRITTEN, ChangeState.WRITTEN, ChangeState.ROLLED_BACK, ChangeState.WRITTEN]

        answers = book.move(list(zip(changes, ends, strict=True)))

        assert [str(answer) for answer in answers if isinstance(answer, LedgerError)] == [
            "The change of 501 is not prepared any more: another run has it",
            "The change of 503 is not prepared any more: another run has it",
        ]
        states = [change.state for change in book.changes_of("veterans", ME)]
        assert states == ["written", "superseded", "rolled_back", "not_written"]
        assert book.previous_outcomes("veterans").reverted.keys() == {"502"}

    def test_a_step_that_the_machine_lacks_keeps_no_other_from_its_step(self, world: World) -> None:
        """Only it is refused, in its place among the answers."""
        book, changes = ledger(world), [a_change(id=f"50{number}") for number in range(3)]
        book.prepare(changes)
        ends = [ChangeState.WRITTEN, ChangeState.VERIFIED, ChangeState.NOT_WRITTEN]

        answers = book.move(list(zip(changes, ends, strict=True)))

        assert [isinstance(answer, LedgerError) for answer in answers] == [False, True, False]
        states = [change.state for change in book.changes_of("veterans", ME)]
        assert states == ["written", "prepared", "not_written"]

    def test_one_that_is_too_large_or_there_already_keeps_no_other(self, world: World) -> None:
        """Of four, the second does not fit and the third was begun before: the others are written down."""
        noise = random.Random(1).randbytes(250_000).hex()  # noqa: S311 - it only has to be hard to pack
        changes = [a_change(id="500"), a_change(id="501", targeting={"noise": noise + noise[::-1]}), a_change(id="502")]
        recorded(world, changes[2], ChangeState.WRITTEN)

        first, second, third, fourth = ledger(world).prepare([*changes, a_change(id="503")])

        assert (first, fourth) == (None, None)
        assert isinstance(second, LedgerItemTooLargeError)
        assert "502 already has a change" in str(third)
        assert [change.before.id for change in ledger(world).changes_of("veterans", ME)] == ["500", "502", "503"]

    def test_large_ones_share_no_transaction_beyond_what_it_takes(self, world: World) -> None:
        """DynamoDB takes four megabytes at a time: thirty changes of 270 kB need three transactions."""
        noise = random.Random(1).randbytes(67_000).hex()  # noqa: S311 - the same
        changes = [a_change(id=f"5{n:02}", targeting={"noise": noise}, after={"noise": noise}) for n in range(30)]
        world.sandbox.aws.requests.clear()

        assert ledger(world).prepare(changes) == [None] * 30

        assert calls(world, "TransactWriteItems") == 3

    def test_a_transaction_that_fails_says_nothing_of_the_next(self, world: World) -> None:
        """Of sixty that end, each with its streak, the first fifty are one transaction."""
        prepared = [a_change(id=f"5{n:02}") for n in range(60)]
        ledger(world).prepare(prepared)
        rolling_back = ledger(world).move([(change, ChangeState.ROLLING_BACK) for change in prepared])
        changes = [change for change in rolling_back if isinstance(change, Change)]
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", *SERVER_ERROR)

        answers = ledger(world).move([(change, ChangeState.ROLLED_BACK) for change in changes])

        assert [isinstance(answer, LedgerError) for answer in answers] == [True] * 50 + [False] * 10
        assert len(ledger(world).previous_outcomes("veterans").reverted) == 10


class TestRevertStreak:
    """How often in a row an ad set's change was rolled back."""

    SAME, ELSE = frozenset({"3852"}), frozenset({"3853"})

    @pytest.mark.parametrize(
        ("before", "state", "action", "after"),
        [
            pytest.param(None, "rolled_back", "sync", RevertStreak(SAME, 1), id="put back for the first time"),
            pytest.param(
                RevertStreak(SAME, 1), "rolled_back", "sync", RevertStreak(SAME, 2), id="for the same states again"
            ),
            pytest.param(RevertStreak(SAME, 7), "rolled_back", "sync", RevertStreak(SAME, 8), id="and again"),
            pytest.param(RevertStreak(ELSE, 7), "rolled_back", "sync", RevertStreak(SAME, 1), id="for other states"),
            pytest.param(RevertStreak(SAME, 1), "verified", "sync", None, id="a success forgets it"),
            pytest.param(RevertStreak(ELSE, 1), "verified", "sync", None, id="one with other states too"),
            pytest.param(None, "verified", "sync", None, id="nothing to forget"),
            pytest.param(
                RevertStreak(SAME, 1), "rollback_failed", "sync", RevertStreak(SAME, 1), id="not before it is back"
            ),
            pytest.param(
                RevertStreak(SAME, 1), "superseded", "sync", RevertStreak(SAME, 1), id="not for a person's doing"
            ),
            pytest.param(
                RevertStreak(SAME, 1), "not_written", "sync", RevertStreak(SAME, 1), id="not if nothing was tried"
            ),
            pytest.param(
                RevertStreak(SAME, 1), "rolled_back", "undo", RevertStreak(SAME, 1), id="an undo says nothing of a sync"
            ),
            pytest.param(RevertStreak(SAME, 1), "verified", "undo", RevertStreak(SAME, 1), id="even if it succeeds"),
        ],
    )
    def test_it_is_kept_with_the_step(
        self, world: World, before: RevertStreak | None, state: str, action: str, after: RevertStreak | None
    ) -> None:
        """It counts runs in a row for the same states, in the same transaction as the change's end."""
        if before is not None:  # an earlier run has put the ad set back so often for these states
            regions = [{"key": key} for key in before.wanted]
            earlier = RevertStreak(before.wanted, before.runs - 1) if before.runs > 1 else None
            first = a_change(run_id=OTHER, after={"geo_locations": {"regions": regions}}, reverts=earlier)
            recorded(world, first, ChangeState.ROLLED_BACK)
        assert ledger(world).previous_outcomes("veterans").reverted == ({} if before is None else {"501": before})

        recorded(world, a_change(reverts=before, action=Action(action)), ChangeState(state))

        assert ledger(world).previous_outcomes("veterans").reverted == ({} if after is None else {"501": after})

    @pytest.mark.parametrize(
        ("reason", "counts"),
        [
            (RollbackReason.ADS_BROKEN, True),
            (RollbackReason.PAUSE_UNEXPLAINED, True),
            (RollbackReason.NOT_CONFIRMED, False),
            (RollbackReason.OUTCOME_UNKNOWN, False),
            (RollbackReason.STORED_DIFFERENTLY, False),
            (RollbackReason.ALREADY_BACK, False),
            (RollbackReason.UNWRITTEN, False),
            (RollbackReason.SET_BY_OTHERS, False),
            (RollbackReason.DEFECT, False),
        ],
    )
    @pytest.mark.parametrize("streak", [None, RevertStreak(SAME, 1)], ids=["first", "again"])
    def test_only_what_the_ads_did_counts(
        self, world: World, reason: RollbackReason, streak: RevertStreak | None, *, counts: bool
    ) -> None:
        """A lost answer or a defect is no reason to leave an ad set alone from tomorrow on."""
        change = recorded(world, a_change(reverts=streak), ChangeState.WRITTEN)
        for state in (ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK):
            change = move(ledger(world), replace(change, reason=reason), state)

        runs = 1 if streak is None else 2
        assert ledger(world).previous_outcomes("veterans").reverted == (
            {"501": RevertStreak(self.SAME, runs)} if counts else {}
        )

    def test_every_reason_is_decided_about(self) -> None:
        """A new reason must be put into one of both groups above."""
        assert len(RollbackReason) == 9

    def test_it_is_of_one_ad_set_of_one_campaign(self, world: World) -> None:
        """Others are not burdened with it, and it expires in the end."""
        recorded(world, a_change(), ChangeState.ROLLED_BACK)
        recorded(world, a_change(id="502"), ChangeState.VERIFIED)

        assert ledger(world).previous_outcomes("veterans").reverted.keys() == {"501"}
        assert ledger(world).previous_outcomes("truckers").reverted == {}
        assert entries(world, "MEMORY#")[0]["expires_at"] == int((START + KEPT_FOR).timestamp())

    def test_it_is_not_written_without_the_step(self, world: World) -> None:
        """A transaction that fails leaves neither."""
        change = recorded(world, a_change(), ChangeState.ROLLING_BACK)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", *SERVER_ERROR)

        with pytest.raises(LedgerError):
            move(ledger(world), change, ChangeState.ROLLED_BACK)

        assert ledger(world).previous_outcomes("veterans").reverted == {}
        assert ledger(world).open_changes("veterans") == (change,)


class TestReading:
    """What a run asks of the past."""

    def test_open_changes_come_oldest_first(self, world: World) -> None:
        """Of all runs, by the time they were prepared; what came later goes on from what came earlier."""
        times = [timedelta(days=1), timedelta(0), timedelta(microseconds=500_000), timedelta(seconds=1)]
        for number, age in enumerate(times):
            change = a_change(id=f"50{number}", run_id=f"run {number}", prepared_at=START + age)
            recorded(world, change, OPEN[number])
        for number, state in enumerate(FINAL):
            recorded(world, a_change(id=f"60{number}"), state)
        recorded(world, a_change(campaign="truckers"))

        assert [change.before.id for change in ledger(world).open_changes("veterans")] == ["501", "502", "503", "500"]

    def test_the_newest_change_of_each_ad_set(self, world: World) -> None:
        """Of those that have reached their state since a moment, of whichever run."""
        for number, (hours, adset) in enumerate([(-25, "501"), (-3, "501"), (-2, "502"), (-1, "501"), (0, "503")]):
            time = START + timedelta(hours=hours)
            run_id = f"{time:%Y%m%dT%H%M%SZ}-{9 - number:08}"
            change = a_change(id=adset, run_id=run_id, prepared_at=time, changed_at=time)
            prepare(ledger(world), change)

        def newest(hours: float) -> dict[str, timedelta]:
            found = ledger(world).changes_in_effect("veterans", START - timedelta(hours=hours))
            return {change.before.id: START - change.prepared_at for change in found}

        assert newest(24) == {"501": timedelta(hours=1), "502": timedelta(hours=2), "503": timedelta(0)}
        assert newest(1) == {"501": timedelta(hours=1), "503": timedelta(0)}
        assert newest(-0.1) == {}
        assert ledger(world).changes_in_effect("truckers", START - timedelta(days=2)) == ()

    def test_the_last_changes_of_the_ad_sets_of_a_run(self, world: World) -> None:
        """By later runs too, and by a shared one whose id is older; not of ad sets that the run has not changed."""
        for adset in ("501", "502", "503"):
            recorded(world, a_change(id=adset), ChangeState.VERIFIED)
        recorded(world, a_change(id="504"), ChangeState.NOT_WRITTEN)
        older = f"{START - timedelta(hours=20):%Y%m%dT%H%M%SZ}-0000000a"
        for number, (adset, run) in enumerate([("502", older), ("503", THIRD), ("504", THIRD), ("505", THIRD)], 1):
            at = START + timedelta(seconds=number)
            recorded(world, a_change(id=adset, run_id=run, prepared_at=at, changed_at=at), ChangeState.VERIFIED)

        found = ledger(world).last_changes("veterans", ME)

        assert {change.before.id: change.run_id for change in found} == {"501": ME, "502": older, "503": THIRD}
        assert ledger(world).last_changes("truckers", ME) == ()

    def test_the_newest_changes_of_some_ad_sets(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """From the newest run to the oldest, and not of all times."""
        for number, adset in enumerate(["501", "502", "501", "503", "501"]):
            prepare(ledger(world), a_change(id=adset, run_id=f"run {number}"))

        def newest() -> list[tuple[str, str]]:
            changes = ledger(world).newest_changes("veterans", {"501", "502"})
            return [(change.run_id, change.before.id) for change in changes]

        assert newest() == [("run 4", "501"), ("run 2", "501"), ("run 1", "502"), ("run 0", "501")]
        monkeypatch.setattr("closrads.ledger.changes.MAX_CHANGES_SCANNED", 3)
        assert newest() == [("run 4", "501"), ("run 2", "501")]

    def test_a_change_of_an_earlier_day_that_was_rolled_back_since_is_among_them(self, world: World) -> None:
        """That rollback was a write too, and its ads may break as late as after any other."""
        prepared_at = START - timedelta(days=2)
        change = a_change(run_id=f"{prepared_at:%Y%m%dT%H%M%SZ}-0000000a", prepared_at=prepared_at)
        change = recorded(world, change, ChangeState.ROLLED_BACK)

        assert ledger(world).changes_in_effect("veterans", START - timedelta(hours=1)) == (change,)

    @pytest.mark.parametrize("later", ChangeState)
    def test_what_was_not_written_hides_no_older_change(self, world: World, later: ChangeState) -> None:
        """Whatever else it has ended as, Meta may have it, and it is looked at."""
        recorded(world, a_change(), ChangeState.VERIFIED)
        recorded(world, a_change(run_id=THIRD, prepared_at=START + timedelta(seconds=9)), later)

        (found,) = ledger(world).changes_in_effect("veterans", START)
        assert found.run_id == (ME if later is ChangeState.NOT_WRITTEN else THIRD)

    @pytest.mark.parametrize("reason", RollbackReason)
    def test_what_was_never_seen_at_meta_comes_with_the_change_before_it(
        self, world: World, reason: RollbackReason
    ) -> None:
        """Either may be in effect. A change that was really rolled back is looked at alone."""
        recorded(world, a_change(), ChangeState.VERIFIED)
        newer = a_change(run_id=THIRD, prepared_at=START + timedelta(seconds=9))
        recorded(world, replace(newer, reason=reason), ChangeState.ROLLED_BACK)

        found = [change.run_id for change in ledger(world).changes_in_effect("veterans", START)]

        unseen = {RollbackReason.UNWRITTEN, RollbackReason.OUTCOME_UNKNOWN}
        assert found == ([THIRD, ME] if reason in unseen else [THIRD])

    def test_only_the_newest_change_has_to_be_recent(self, world: World) -> None:
        """The write that was never seen may have broken the ads just now."""
        older = a_change(prepared_at=START - timedelta(days=2), changed_at=START - timedelta(days=2))
        prepare(ledger(world), older)
        newer = replace(a_change(run_id=THIRD), reason=RollbackReason.UNWRITTEN)
        recorded(world, newer, ChangeState.ROLLED_BACK)

        assert [change.run_id for change in ledger(world).changes_in_effect("veterans", START)] == [THIRD, ME]

    @pytest.mark.parametrize("ends", [None, date(2026, 7, 1)])
    def test_when_a_recheck_has_last_looked_at_all(self, world: World, ends: date | None) -> None:
        """The last time counts, of the campaign that it was about; it is not kept for ever."""
        assert ledger(world).last_recheck("veterans") is None
        for minutes in (0, 30):
            ledger(world).record_recheck("veterans", LastRecheck(START + timedelta(minutes=minutes), ends))

        assert ledger(world).last_recheck("veterans") == LastRecheck(START + timedelta(minutes=30), ends)
        assert ledger(world).last_recheck("truckers") is None
        (item,) = entries(world, "RECHECKED")
        assert item["expires_at"] == int((START + timedelta(minutes=30) + KEPT_FOR).timestamp())

    def test_what_was_found_wanted_is_of_the_last_sync(self, world: World) -> None:
        """Of its campaign, beside the outcomes of ad sets; it is not kept for ever, and can be forgotten."""
        assert ledger(world).previous_outcomes("veterans") == PreviousOutcomes({})
        first, last = (DemandHistory(date(2026, 5, day), frozenset({"FL"}), {}) for day in (3, 4))
        for history in (first, last):
            ledger(world).record_demand("veterans", history)

        assert ledger(world).previous_outcomes("veterans") == PreviousOutcomes({}, demand=last, has_demand_item=True)
        assert ledger(world).previous_outcomes("truckers").demand is None
        (item,) = entries(world, "MEMORY#demand")
        assert item["expires_at"] == int((START + KEPT_FOR).timestamp())
        for _ in range(2):
            ledger(world).forget_demand("veterans")

        assert ledger(world).previous_outcomes("veterans") == PreviousOutcomes({})

    def test_what_was_deferred_is_of_the_last_run(self, world: World) -> None:
        """What an earlier run left to the next has had its turn by now."""
        assert ledger(world).previous_outcomes("veterans").deferred == frozenset()
        ledger(world).record_deferred("veterans", ["501", "502"])
        ledger(world).record_deferred("veterans", ["503"])

        assert ledger(world).previous_outcomes("veterans").deferred == {"503"}
        assert ledger(world).previous_outcomes("truckers").deferred == frozenset()


class TestUnexplainedPauses:
    """Ads that are off since a change, and nobody can tell by whom."""

    def pause(self, adset_id: str = "501", **ads: str) -> UnexplainedPause:
        """Build what is kept of an ad set."""
        return UnexplainedPause(adset_id, "Broad “ß”", ads or {"601": "One"}, START)

    def test_they_are_kept_until_they_are_forgotten(self, world: World) -> None:
        """Each ad set's for itself, in the order of their ids; the newest word counts."""
        ledger(world).keep_unexplained("veterans", self.pause("502"))
        ledger(world).keep_unexplained("veterans", self.pause("501", **{"601": "One", "602": "Two"}))
        ledger(world).keep_unexplained("veterans", self.pause("501", **{"602": "Two"}))
        ledger(world).keep_unexplained("truckers", self.pause("503"))

        kept = ledger(world).previous_outcomes("veterans").unexplained
        assert kept == (self.pause("501", **{"602": "Two"}), self.pause("502"))

        ledger(world).forget_unexplained("veterans", "502")
        assert ledger(world).previous_outcomes("veterans").unexplained == kept[:1]
        assert [item["pk"] for item in entries(world, "MEMORY#")] == ["CAMPAIGN#truckers", "CAMPAIGN#veterans"]

    def test_to_forget_what_is_not_kept_is_nothing(self, world: World) -> None:
        """Another run may have been faster."""
        ledger(world).forget_unexplained("veterans", "501")

        assert world.sandbox.aws.ledger() == []

    def test_they_say_nothing_of_reverts_or_of_what_was_deferred(self, world: World) -> None:
        """All three stand side by side, and none is taken for another."""
        recorded(world, a_change(id="501"), ChangeState.ROLLED_BACK)
        ledger(world).record_deferred("veterans", ["502"])
        ledger(world).keep_unexplained("veterans", self.pause("503"))

        found = ledger(world).previous_outcomes("veterans")

        assert found.reverted.keys() == {"501"}
        assert found.deferred == {"502"}
        assert found.unexplained == (self.pause("503"),)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes)
def test_a_change_comes_back_as_it_was(sandbox: Sandbox, fake_time: FakeTime, change: Change) -> None:
    """Whatever stands in targeting, and whatever things are called: nulls, fractions, empty lists, big numbers."""
    sandbox.aws.reset()
    book = Ledger(Table(LEDGER_TABLE, fake_time.clock))
    prepare(book, change)

    (found,) = book.open_changes(change.campaign)
    assert found == change
    assert json.dumps(found.before.targeting) == json.dumps(change.before.targeting)
    assert json.dumps(found.after) == json.dumps(change.after)


class TestReported:
    """Whether a report has named a failed rollback."""

    def test_it_is_known_until_the_rollback_has_succeeded(self, world: World) -> None:
        """Another try that fails changes nothing; a later failure is another one."""
        change = a_change()
        ledger(world).prepare([change])

        def is_reported(*states: ChangeState) -> bool:
            nonlocal change
            for state in states:
                change = move(ledger(world), change, state)
            (stored,) = ledger(world).changes_of(change.campaign, change.run_id)
            return stored.is_reported

        failed = (ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED)
        assert not is_reported(*failed)
        ledger(world).mark_reported(change)
        assert is_reported(*failed)
        assert not is_reported(ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK)
        assert not is_reported(*failed)

    def test_a_relapse_that_was_told_says_nothing_of_the_next_failure(self, world: World) -> None:
        """Its mail may not leave, and then the next recheck has to tell of it."""
        change = a_change()
        ledger(world).prepare([change])
        change = move(ledger(world), change, ChangeState.ROLLING_BACK)
        change = move(ledger(world), change, ChangeState.ROLLED_BACK)
        ledger(world).mark_reported(change)

        change = move(ledger(world), change, ChangeState.ROLLING_BACK)
        move(ledger(world), change, ChangeState.ROLLBACK_FAILED)

        (stored,) = ledger(world).open_changes(change.campaign)
        assert not stored.is_reported
