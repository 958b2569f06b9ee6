"""One DynamoDB table: every page is read, with strong consistency, and every failure is a `LedgerError`."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from closrads.domain.changes import ChangeState, LastRecheck, UnexplainedPause
from closrads.domain.request import Action
from closrads.domain.tiers import KnownTier
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.redaction import Secret
from sandbox.aws import DROPPED
from tests.ledger.conftest import (
    GEORGIA,
    HISTORY,
    ME,
    OTHER,
    SERVER_ERROR,
    SOON,
    a_change,
    a_progress,
    a_shared_run,
    calls,
)
from tests.ledger_world import leases, ledger, move, prepare, recorded, runs
from tests.world import START, World

PAUSE = UnexplainedPause("501", "Broad", {"601": "One"}, START)


class TestReading:
    """What is read is all of it, and as it is now."""

    def test_every_page_is_read(self, world: World) -> None:
        """DynamoDB answers with a megabyte at a time: five changes of 300 kB are more than that, and all come."""
        for number in range(5):
            noise = random.Random(number).randbytes(140_000).hex()  # noqa: S311 - it only has to be hard to pack
            targeting = {"geo_locations": {"regions": [GEORGIA]}, "noise": noise + noise[::-1]}
            prepare(ledger(world), a_change(id=f"50{number}", targeting=targeting))
        world.sandbox.aws.requests.clear()

        assert [change.before.id for change in ledger(world).changes_of("veterans", ME)] == [f"50{n}" for n in range(5)]
        assert calls(world, "Query") > 1
        assert len(ledger(world).open_changes("veterans")) == 5

    @pytest.mark.parametrize(
        "read",
        [
            lambda book: book.changes_of("veterans", ME),
            lambda book: book.open_changes("veterans"),
            lambda book: book.changes_in_effect("veterans", START)[:7],
            lambda book: tuple(book.previous_outcomes("veterans").reverted),
        ],
        ids=["changes_of", "open_changes", "changes_in_effect", "previous_outcomes"],
    )
    def test_no_page_is_the_last_until_dynamodb_says_so(self, world: World, read: Callable[[Ledger], Any]) -> None:
        """However few items DynamoDB answers with at a time, all come."""
        state = ChangeState.ROLLED_BACK
        for number in range(7):
            recorded(world, a_change(id=f"50{number}"), state)
            recorded(world, a_change(id=f"60{number}", run_id=OTHER), ChangeState.ROLLBACK_FAILED)

        whole = read(ledger(world))
        world.sandbox.aws.query_limit = 2

        assert read(ledger(world)) == whole
        assert len(whole) == 7

    def test_all_is_read_with_strong_consistency(self, world: World) -> None:
        """What another run wrote a moment ago decides: no read may be behind it."""
        recorded(world, a_change())
        world.sandbox.aws.requests.clear()
        book = ledger(world)
        book.open_changes("veterans")
        book.changes_of("veterans", ME)
        book.previous_outcomes("veterans")
        leases(world).last_sync("veterans")
        book.changes_in_effect("veterans", START)
        book.last_recheck("veterans")
        runs(world).exists(ME)

        assert len(world.sandbox.aws.requests) == 8
        assert all(call.params["ConsistentRead"] for call in world.sandbox.aws.requests)


class TestTrouble:
    """DynamoDB does not do what it is asked."""

    EVERYTHING: Sequence[tuple[str, str, Callable[[World], Any]]] = (
        ("PutItem", "written", lambda world: leases(world).claim_time("key", ME, SOON)),
        ("PutItem", "written", lambda world: runs(world).begin(ME, Action.SYNC, ["veterans"])),
        ("UpdateItem", "written", lambda world: runs(world).end(ME, {"success": True})),
        ("UpdateItem", "written", lambda world: runs(world).end_quietly(ME)),
        ("GetItem", "read", lambda world: runs(world).exists(ME)),
        ("TransactWriteItems", "written", lambda world: leases(world).acquire(["veterans"], ME, SOON, Action.SYNC)),
        ("TransactWriteItems", "written", lambda world: leases(world).release(["veterans"], ME)),
        ("UpdateItem", "written", lambda world: leases(world).complete_time("key", ME)),
        ("DeleteItem", "written", lambda world: leases(world).release_time("key", ME)),
        ("GetItem", "read", lambda world: leases(world).last_sync("veterans")),
        ("Query", "read", lambda world: ledger(world).changes_in_effect("veterans", START)),
        ("TransactWriteItems", "written", lambda world: prepare(ledger(world), a_change(id="502"))),
        ("TransactWriteItems", "written", lambda world: move(ledger(world), a_change(), ChangeState.WRITTEN)),
        ("Query", "read", lambda world: ledger(world).open_changes("veterans")),
        ("GetItem", "read", lambda world: ledger(world).open_changes("veterans")),
        ("Query", "read", lambda world: ledger(world).changes_of("veterans", ME)),
        ("Query", "read", lambda world: ledger(world).previous_outcomes("veterans").reverted),
        ("PutItem", "written", lambda world: ledger(world).record_deferred("veterans", ["501"])),
        ("PutItem", "written", lambda world: ledger(world).record_recheck("veterans", LastRecheck(START))),
        ("GetItem", "read", lambda world: ledger(world).last_recheck("veterans")),
        ("PutItem", "written", lambda world: ledger(world).keep_unexplained("veterans", PAUSE)),
        ("DeleteItem", "written", lambda world: ledger(world).forget_unexplained("veterans", "501")),
        ("PutItem", "written", lambda world: ledger(world).record_demand("veterans", HISTORY)),
        ("DeleteItem", "written", lambda world: ledger(world).forget_demand("veterans")),
        ("GetItem", "read", lambda world: ledger(world).known_tier("act_111")),
        ("PutItem", "written", lambda world: ledger(world).keep_tier("act_111", KnownTier(60, START))),
        ("PutItem", "written", lambda world: runs(world).open(a_shared_run())),
        ("GetItem", "read", lambda world: runs(world).opened(ME)),
        ("UpdateItem", "written", lambda world: runs(world).begin_campaign(ME, "veterans")),
        ("PutItem", "written", lambda world: runs(world).save_progress(ME, a_progress())),
        ("Query", "read", lambda world: runs(world).progress(ME)),
        ("UpdateItem", "written", lambda world: runs(world).claim_end(ME, SOON, "one")),
    )

    @pytest.mark.parametrize("fault", [SERVER_ERROR, ("AccessDeniedException", 400), (DROPPED,)])
    @pytest.mark.parametrize(("operation", "verb", "call"), EVERYTHING)
    def test_every_failure_is_a_ledger_error(
        self, world: World, operation: str, verb: str, call: Callable[[World], Any], fault: Any
    ) -> None:
        """It says what could not be done, and hides what boto3 knows behind no chain of exceptions."""
        recorded(world, a_change())
        world.sandbox.aws.fail("dynamodb", operation, *fault)

        with pytest.raises(LedgerError, match=f"The ledger cannot be {verb}: ") as caught:
            call(world)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize(("left", "attempts"), [(900, 2), (21, 2), (19, 1)])
    def test_near_the_end_it_is_asked_once(self, retrying: World, left: float, attempts: int) -> None:
        """The seconds that further attempts take belong to the report."""
        change = recorded(retrying, a_change())
        retrying.time.deadline = retrying.time.seconds() + left
        retrying.sandbox.aws.requests.clear()
        retrying.sandbox.aws.fail("dynamodb", "TransactWriteItems", DROPPED, times=None)

        with pytest.raises(LedgerError):
            move(ledger(retrying), change, ChangeState.WRITTEN)

        assert calls(retrying, "TransactWriteItems") == attempts

    def test_a_table_that_does_not_exist(self, world: World) -> None:
        """A slip in the deployment says so."""
        with pytest.raises(LedgerError, match="its table does not exist in this Region"):
            Ledger(Table("somebody-elses", world.time.clock)).open_changes("veterans")

    def test_no_secret_in_the_text(self, world: World) -> None:
        """Not even one that stands in what DynamoDB refuses."""
        secret = Secret("somebody-elses-FAKE-table")

        with pytest.raises(LedgerError) as caught:
            prepare(Ledger(Table(secret.reveal(), world.time.clock)), a_change(id=secret.reveal()))
        assert "FAKE" not in str(caught.value)
