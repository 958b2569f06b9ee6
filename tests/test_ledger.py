"""The memory between runs: leases, scheduled times, changes and what is remembered, against a real DynamoDB API."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closrads.domain.adsets import LONG_AGO, Ad, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState, RevertStreak
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import AdSetResult, GraphUsage, Recovery, Result, SyncReport
from closrads.domain.runs import CampaignProgress, SharedRun
from closrads.errors import LedgerError, LedgerItemTooLargeError, SyncFailed
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import TRANSACTION_ATTEMPTS, Table, _dynamodb
from closrads.ledger.records import KEPT_FOR, MAX_KEPT
from closrads.ledger.runs import Runs
from closrads.redaction import Secret
from sandbox import Sandbox
from sandbox.aws import DROPPED, LEDGER_TABLE
from tests.ledger_world import FINAL, OPEN, PATHS, entries, leases, ledger, move, prepare, recorded, runs
from tests.world import LIVE, START, FakeTime, World

ME, OTHER, THIRD = "20260504T103000Z-0000000a", "20260504T103000Z-0000000b", "20260504T103000Z-0000000c"
SOON = START + timedelta(minutes=15)
SERVER_ERROR = ("InternalServerError", 500)
FLORIDA, GEORGIA = {"key": "3852", "name": "Florida", "country": "US"}, {"key": "3853", "name": "Georgia"}


def a_change(**more: Any) -> Change:
    """Build a change of an ad set from Georgia to Florida."""
    before = AdSetSnapshot(
        id="501",
        name="Broad",
        meta_campaign_id="900",
        effective_status="ACTIVE",
        targeting={"geo_locations": {"regions": [GEORGIA]}, "age_min": 18, "user_age_unknown": None},
        ads=(Ad("601", "One", "ACTIVE", "ACTIVE"), Ad("602", "Zwei “ß” 🦊", "ACTIVE", "ACTIVE")),
    )
    usual: dict[str, Any] = {
        "campaign": "veterans",
        "run_id": ME,
        "action": Action.SYNC,
        "before": replace(
            before, **{name: more.pop(name) for name in ("id", "name", "targeting", "ads") if name in more}
        ),
        "after": {"geo_locations": {"regions": [FLORIDA]}},
        "state": ChangeState.PREPARED,
        "prepared_at": START,
        "changed_at": START,
    }
    return Change(**(usual | more))


def calls(world: World, operation: str) -> int:
    """Count the calls of one operation of DynamoDB."""
    return [call.operation for call in world.sandbox.aws.requests].count(operation)


@pytest.fixture
def retrying(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Return a business whose boto3 tries everything twice, as in the deployed function."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    _dynamodb.cache_clear()
    yield world
    _dynamodb().close()
    _dynamodb.cache_clear()


def cancel(world: World, *answers: Sequence[str]) -> None:
    """Have the next transactions be cancelled, each for these reasons, one for each of its parts."""
    for codes in answers:
        reasons = {"CancellationReasons": [{"Code": code} for code in codes]}
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "TransactionCanceledException", members=reasons)


class TestLease:
    """One run per campaign at a time."""

    @pytest.mark.parametrize(
        ("seconds", "who", "has_it"),
        [
            pytest.param(0, ME, ME, id="own again"),
            pytest.param(0, OTHER, ME, id="taken"),
            pytest.param(900, OTHER, ME, id="in its last second"),
            pytest.param(901, OTHER, OTHER, id="expired"),
        ],
    )
    def test_a_lease_is_its_runs_until_it_expires(self, world: World, seconds: float, who: str, has_it: str) -> None:
        """Until then another run learns who has it; after that the campaign is free for whoever comes."""
        assert leases(world).acquire(["veterans"], ME, SOON, Action.SYNC) == {}
        world.time.pass_by(seconds)

        busy = leases(world).acquire(["veterans"], who, SOON + timedelta(hours=1), Action.SYNC)

        assert busy == ({} if who == has_it else {"veterans": has_it})
        (lease,) = entries(world, "LEASE")
        assert lease["holder"] == has_it

    def test_what_is_free_is_taken_together(self, world: World) -> None:
        """Of five campaigns two are others': the three that are left are taken in one transaction."""
        slugs = ["a", "b", "c", "d", "e"]
        leases(world).acquire(["b"], OTHER, SOON, Action.SYNC)
        leases(world).acquire(["d"], THIRD, SOON, Action.SYNC)
        world.sandbox.aws.requests.clear()

        assert leases(world).acquire(slugs, ME, SOON, Action.SYNC) == {"b": OTHER, "d": THIRD}

        assert calls(world, "TransactWriteItems") == 2
        holders = {lease["pk"]: lease["holder"] for lease in entries(world, "LEASE")}
        assert holders == {f"CAMPAIGN#{slug}": {"b": OTHER, "d": THIRD}.get(slug, ME) for slug in slugs}

    def test_all_or_none_of_a_transaction(self, world: World) -> None:
        """Two runs want the same campaigns: one gets all, the other none, in whichever order each names them."""
        assert leases(world).acquire(["a", "b"], ME, SOON, Action.SYNC) == {}
        assert leases(world).acquire(["b", "a"], OTHER, SOON, Action.SYNC) == {"a": ME, "b": ME}

    def test_more_campaigns_than_a_transaction_takes(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """All are taken but those that are another run's, wherever these stand."""
        monkeypatch.setattr("closrads.ledger.dynamodb.MAX_TRANSACTION_OPERATIONS", 10)
        slugs = [f"c{number:02}" for number in range(23)]
        others = {slugs[7], slugs[15], slugs[22]}
        leases(world).acquire(sorted(others), OTHER, SOON, Action.SYNC)

        assert leases(world).acquire(slugs, ME, SOON, Action.SYNC) == dict.fromkeys(others, OTHER)

        items = entries(world, "LEASE")
        assert len(items) == 23
        assert {lease["pk"] for lease in items if lease["holder"] != ME} == {f"CAMPAIGN#{slug}" for slug in others}

    def test_a_transaction_has_as_many_parts_as_dynamodb_takes(self, world: World) -> None:
        """More than a hundred are refused."""
        assert leases(world).acquire([f"c{number:03}" for number in range(101)], ME, SOON, Action.SYNC) == {}
        assert calls(world, "TransactWriteItems") == 2

    def test_no_campaign_at_all(self, world: World) -> None:
        """Nothing is asked for nothing."""
        assert leases(world).acquire([], ME, SOON, Action.SYNC) == {}
        assert calls(world, "TransactWriteItems") == 0

    @pytest.mark.parametrize("reasons", [["TransactionConflict"], ["None", "TransactionConflict"]])
    def test_a_conflict_is_tried_again_soon(self, world: World, reasons: list[str]) -> None:
        """Two runs at the same instant: the later one waits a little longer each time."""
        cancel(world, *[reasons] * (TRANSACTION_ATTEMPTS - 1))

        assert leases(world).acquire(["a", "b"], ME, SOON, Action.SYNC) == {}

        assert world.time.waits == pytest.approx([0.1, 0.2, 0.3, 0.4])
        assert {lease["holder"] for lease in entries(world, "LEASE")} == {ME}

    @pytest.mark.parametrize(
        "answers",
        [
            pytest.param([["TransactionConflict"]] * TRANSACTION_ATTEMPTS, id="conflict without end"),
            pytest.param([["ThrottlingError"]], id="no capacity"),
            pytest.param([["TransactionConflict", "ValidationError"]], id="conflict and worse"),
        ],
    )
    def test_another_cancellation_is_an_error(self, world: World, answers: list[list[str]]) -> None:
        """Nothing is taken, and nobody waits longer than the conflicts are worth."""
        cancel(world, *answers)

        with pytest.raises(LedgerError, match="cannot be written"):
            leases(world).acquire(["a", "b"], ME, SOON, Action.SYNC)

        assert entries(world, "LEASE") == []
        assert sum(world.time.waits) <= 1

    def test_a_lost_answer_takes_no_lease_from_its_run(self, retrying: World) -> None:
        """The lease was taken and the answer lost: boto3 asks again, and the run has it."""
        retrying.sandbox.aws.fail("dynamodb", "TransactWriteItems", *SERVER_ERROR, applied=True)

        assert leases(retrying).acquire(["a", "b"], ME, SOON, Action.SYNC) == {}
        assert calls(retrying, "TransactWriteItems") == 2

    @pytest.mark.parametrize(
        ("actions", "last"),
        [
            ([], ""),
            ([Action.SYNC], "run 0"),
            ([Action.UNDO, Action.RECHECK], ""),
            ([Action.SYNC, Action.UNDO, Action.RECHECK], "run 0"),
            ([Action.SYNC, Action.UNDO, Action.SYNC], "run 2"),
        ],
    )
    def test_the_last_sync_is_remembered(self, world: World, actions: list[Action], last: str) -> None:
        """Neither a recheck nor an undo is one, and a lease that was given back is none the less remembered."""
        for number, action in enumerate(actions):
            leases(world).acquire(["veterans"], f"run {number}", SOON, action)
            leases(world).release(["veterans"], f"run {number}")

        assert leases(world).last_sync("veterans") == last
        assert leases(world).last_sync("truckers") == ""

    def test_a_refused_lease_makes_nobody_the_last_sync(self, world: World) -> None:
        """Whoever did not get the campaign has changed nothing."""
        leases(world).acquire(["veterans"], ME, SOON, Action.SYNC)
        leases(world).acquire(["veterans"], OTHER, SOON, Action.SYNC)

        assert leases(world).last_sync("veterans") == ME


class TestRelease:
    """A campaign is given back."""

    def test_it_is_free_at_once(self, world: World) -> None:
        """The next run need not wait for the lease to expire."""
        leases(world).acquire(["a", "b"], ME, SOON, Action.SYNC)
        leases(world).release(["a", "b"], ME)

        assert leases(world).acquire(["a", "b"], OTHER, SOON, Action.SYNC) == {}

    def test_only_ones_own_lease_is_given_back(self, world: World) -> None:
        """A run that outlived its lease takes nothing from the one that came after it."""
        leases(world).acquire(["veterans"], ME, SOON, Action.SYNC)
        world.time.pass_by(3600)
        leases(world).acquire(["veterans"], OTHER, SOON + timedelta(hours=2), Action.SYNC)

        leases(world).release(["veterans"], ME)

        assert leases(world).acquire(["veterans"], THIRD, SOON + timedelta(hours=2), Action.SYNC) == {"veterans": OTHER}

    def test_what_was_never_taken_leaves_no_trace(self, world: World) -> None:
        """Giving back a campaign that nobody has is nothing."""
        leases(world).release(["veterans"], ME)

        assert world.sandbox.aws.ledger() == []

    def test_one_that_cannot_be_given_back_keeps_no_other(self, world: World) -> None:
        """It has another run by now; the other campaigns are free all the same."""
        leases(world).acquire(["b"], OTHER, SOON, Action.SYNC)
        leases(world).acquire(["a", "c"], ME, SOON, Action.SYNC)

        leases(world).release(["a", "b", "c"], ME)

        assert leases(world).acquire(["a", "b", "c"], THIRD, SOON, Action.SYNC) == {"b": OTHER}


class TestScheduledTime:
    """What is scheduled for one time runs to its end once."""

    KEY = "sync#2026-05-04T10:30:00Z#*"

    def claim(self, world: World, run_id: str) -> str:
        """Claim the time for a run that has fifteen minutes."""
        return leases(world).claim_time(self.KEY, run_id, world.time.clock.now() + timedelta(minutes=15))

    @pytest.mark.parametrize(
        ("ended", "seconds", "who", "has_it"),
        [
            pytest.param(False, 60, OTHER, ME, id="the first lives"),
            pytest.param(False, 900, OTHER, ME, id="its last second"),
            pytest.param(False, 901, OTHER, OTHER, id="the first died"),
            pytest.param(True, 60, OTHER, ME, id="the first ended"),
            pytest.param(True, 86_400, OTHER, ME, id="the first ended long ago"),
            pytest.param(False, 60, ME, ME, id="the same run again"),
        ],
    )
    def test_a_second_delivery(self, world: World, seconds: float, who: str, has_it: str, *, ended: bool) -> None:
        """It gets the time only if the first died without coming to its end."""
        assert self.claim(world, ME) == ME
        if ended:
            leases(world).complete_time(self.KEY, ME)
        world.time.pass_by(seconds)

        assert self.claim(world, who) == has_it

    def test_the_one_that_takes_over_ends_it_for_all(self, world: World) -> None:
        """After a death and a second run that ended, a third delivery is left alone."""
        self.claim(world, ME)
        world.time.pass_by(901)
        self.claim(world, OTHER)
        leases(world).complete_time(self.KEY, OTHER)
        world.time.pass_by(86_400)

        assert self.claim(world, THIRD) == OTHER

    def test_it_can_be_given_back_by_the_one_that_has_it(self, world: World) -> None:
        """Then another delivery may have it at once; nobody else can give it away."""
        self.claim(world, ME)
        leases(world).release_time(self.KEY, OTHER)
        assert self.claim(world, OTHER) == ME
        leases(world).release_time(self.KEY, ME)
        assert self.claim(world, OTHER) == OTHER

    def test_a_run_that_leaves_everything_to_another_gives_it_back(self, world: World) -> None:
        """Somebody's resync has the only campaign: the next delivery of the time does the day's work."""
        world.campaign("FL")
        world.adset()
        event = {**LIVE, "scheduled": "2026-05-04T10:30:00Z"}
        leases(world).acquire(["veterans"], OTHER, SOON, Action.SYNC)
        assert world.run(event)["left_to"] == OTHER
        leases(world).release(["veterans"], OTHER)

        assert world.run(event)["campaigns"][0]["adsets_updated"] == 1

    def test_other_times_are_free(self, world: World) -> None:
        """Tomorrow's run is not today's."""
        self.claim(world, ME)

        assert leases(world).claim_time("sync#2026-05-05T10:30:00Z#*", OTHER, SOON) == OTHER

    def test_it_is_not_kept_for_ever(self, world: World) -> None:
        """DynamoDB forgets it after the time that everything final is kept."""
        self.claim(world, ME)

        assert world.sandbox.aws.ledger()[0]["expires_at"] == int((SOON + KEPT_FOR).timestamp())

    def test_a_lost_answer_takes_no_time_from_its_run(self, retrying: World) -> None:
        """The time was taken and the answer lost: boto3 asks again, and the run has it."""
        retrying.sandbox.aws.fail("dynamodb", "PutItem", DROPPED, applied=True)

        assert self.claim(retrying, ME) == ME
        assert calls(retrying, "PutItem") == 2

    def test_a_delivery_that_could_not_claim_it_does_not_end_it_for_another(self, world: World) -> None:
        """The first delivery is at work and may yet die; the second, which cannot reach the ledger, ends nothing."""
        world.campaign("FL")
        event = {**LIVE, "scheduled": "2026-05-04T10:30:00Z"}
        self.claim(world, ME)
        world.sandbox.aws.fail("dynamodb", "PutItem", *SERVER_ERROR)

        with pytest.raises(SyncFailed):
            world.run(event)
        world.time.pass_by(901)

        assert self.claim(world, OTHER) == OTHER

    def test_a_delivery_that_could_not_claim_it_leaves_it_free(self, world: World) -> None:
        """The only delivery that there was did nothing, so the next one may."""
        world.campaign("FL")
        world.adset()
        event = {**LIVE, "scheduled": "2026-05-04T10:30:00Z"}
        world.sandbox.aws.fail("dynamodb", "PutItem", *SERVER_ERROR)

        with pytest.raises(SyncFailed):
            world.run(event)

        assert world.run(event)["campaigns"][0]["adsets_updated"] == 1


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


STEPS = [step for path in PATHS.values() for step in pairwise((ChangeState.PREPARED, *path))]
AGAIN = [
    (ChangeState.VERIFIED, ChangeState.ROLLING_BACK),
    (ChangeState.ROLLBACK_FAILED, ChangeState.ROLLING_BACK),
    (ChangeState.PREPARED, ChangeState.ROLLING_BACK),
    (ChangeState.REPUBLISHED, ChangeState.SUPERSEDED),
    (ChangeState.ROLLING_BACK, ChangeState.SUPERSEDED),
]
"""What a rollback, a recheck or a recovery adds to the usual steps."""


class TestMove:
    """A change comes from one state to the next."""

    @pytest.mark.parametrize(("old", "new"), sorted({*STEPS, *AGAIN}))
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

    @pytest.mark.parametrize("there", [state for state in ChangeState if state is not ChangeState.WRITTEN])
    def test_from_another_state_than_it_is_in(self, world: World, there: ChangeState) -> None:
        """Another run has taken it up: hands off, and nothing is remembered of it either."""
        recorded(world, a_change(), there)
        before = world.sandbox.aws.ledger()
        world.time.pass_by(1)

        with pytest.raises(LedgerError, match="501 is not written any more"):
            move(ledger(world), a_change(state=ChangeState.WRITTEN), ChangeState.ROLLED_BACK)
        assert world.sandbox.aws.ledger() == before

    def test_what_was_never_written_down_cannot_move(self, world: World) -> None:
        """No item comes into being without its targeting."""
        with pytest.raises(LedgerError):
            move(ledger(world), a_change(), ChangeState.WRITTEN)
        assert world.sandbox.aws.ledger() == []

    @pytest.mark.parametrize("new", [ChangeState.WRITTEN, ChangeState.ROLLED_BACK, ChangeState.VERIFIED])
    @pytest.mark.parametrize("fault", [SERVER_ERROR, (DROPPED,)])
    def test_a_lost_answer_is_no_other_run(self, retrying: World, new: ChangeState, fault: Any) -> None:
        """The step was taken and the answer lost: boto3 asks again, and finds it taken."""
        reverts = RevertStreak(frozenset({"3852"}), 1)
        change = recorded(retrying, a_change(reverts=reverts))
        retrying.sandbox.aws.requests.clear()
        retrying.sandbox.aws.fail("dynamodb", "TransactWriteItems", *fault, applied=True)

        moved = move(ledger(retrying), change, new)

        assert calls(retrying, "TransactWriteItems") == 2
        assert ledger(retrying).changes_of("veterans", ME) == (moved,)
        times = [item["times"] for item in entries(retrying, "MEMORY#")]
        assert times == ([2] if new is ChangeState.ROLLED_BACK else [])

    def test_a_conflict_is_tried_again_soon(self, world: World) -> None:
        """Meta has been written: what became of that is worth another try."""
        change = recorded(world, a_change())
        cancel(world, ["TransactionConflict"])

        move(ledger(world), change, ChangeState.WRITTEN)

        assert world.time.waits == [0.1]
        assert entries(world, "CHANGE#")[0]["state"] == "written"

    def test_ads_that_somebody_switched_off_are_forgotten_with_the_next_step(self, world: World) -> None:
        """From then on the change is not answerable for them, whoever takes it up."""
        change = recorded(world, a_change(), ChangeState.ROLLBACK_FAILED)
        one = replace(change.before, ads=change.before.ads[:1])

        move(ledger(world), replace(change, before=one), ChangeState.ROLLING_BACK)

        (found,) = ledger(world).open_changes("veterans")
        assert found.before == one


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
        ends = [ChangeState.WRITTEN, ChangeState.WRITTEN, ChangeState.ROLLED_BACK, ChangeState.WRITTEN]

        answers = book.move(list(zip(changes, ends, strict=True)))

        assert [str(answer) for answer in answers if isinstance(answer, LedgerError)] == [
            "The change of 501 is not prepared any more: another run has it",
            "The change of 503 is not prepared any more: another run has it",
        ]
        states = [change.state for change in book.changes_of("veterans", ME)]
        assert states == ["written", "superseded", "rolled_back", "not_written"]
        assert book.previous_outcomes("veterans").reverted.keys() == {"502"}

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
        """Of sixty that end, each with its memory, the first fifty are one transaction."""
        changes = [a_change(id=f"5{n:02}") for n in range(60)]
        ledger(world).prepare(changes)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", *SERVER_ERROR)

        answers = ledger(world).move([(change, ChangeState.ROLLED_BACK) for change in changes])

        assert [isinstance(answer, LedgerError) for answer in answers] == [True] * 50 + [False] * 10
        assert len(ledger(world).previous_outcomes("veterans").reverted) == 10


class TestMemory:
    """What is remembered of an ad set whose change had to be put back."""

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

    def test_the_newest_change_of_each_ad_set(self, world: World) -> None:
        """Of those prepared since a moment, of whichever run; what came before it is nobody's business any more."""
        for number, (hours, adset) in enumerate([(-25, "501"), (-3, "501"), (-2, "502"), (-1, "501"), (0, "503")]):
            time = START + timedelta(hours=hours)
            run_id = f"{time:%Y%m%dT%H%M%SZ}-{9 - number:08}"
            recorded(world, a_change(id=adset, run_id=run_id, prepared_at=time), ChangeState.VERIFIED)

        def newest(hours: float) -> dict[str, timedelta]:
            found = ledger(world).newest_changes("veterans", START - timedelta(hours=hours))
            return {change.before.id: START - change.prepared_at for change in found}

        assert newest(24) == {"501": timedelta(hours=1), "502": timedelta(hours=2), "503": timedelta(0)}
        assert newest(1) == {"501": timedelta(hours=1), "503": timedelta(0)}
        assert newest(-0.1) == {}
        assert ledger(world).newest_changes("truckers", START - timedelta(days=2)) == ()

    @pytest.mark.parametrize("later", ChangeState)
    def test_what_came_to_nothing_hides_no_older_change(self, world: World, later: ChangeState) -> None:
        """What was not written, and what was put back, left the ad set to the change before it."""
        recorded(world, a_change(), ChangeState.VERIFIED)
        recorded(world, a_change(run_id=THIRD, prepared_at=START + timedelta(seconds=9)), later)

        (found,) = ledger(world).newest_changes("veterans", START)
        assert found.run_id == (ME if later in {ChangeState.NOT_WRITTEN, ChangeState.ROLLED_BACK} else THIRD)

    @pytest.mark.parametrize(
        "read",
        [
            lambda book: book.changes_of("veterans", ME),
            lambda book: book.open_changes("veterans"),
            lambda book: book.newest_changes("veterans", START)[:7],
            lambda book: tuple(book.previous_outcomes("veterans").reverted),
        ],
        ids=["changes_of", "open_changes", "newest_changes", "memories"],
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
        book.newest_changes("veterans", START)
        runs(world).exists(ME)

        assert len(world.sandbox.aws.requests) == 7
        assert all(call.params["ConsistentRead"] for call in world.sandbox.aws.requests)

    def test_a_run_is_known_from_its_beginning(self, world: World) -> None:
        """With what it was asked to do; its result follows, and neither is kept for ever."""
        assert not runs(world).exists(ME)
        runs(world).begin(ME, Action.UNDO, ["veterans", "truckers"])
        assert runs(world).exists(ME)
        world.time.pass_by(60)
        runs(world).end(ME, {"success": True, "campaigns": ["…"]})

        (run,) = entries(world, "", pk="RUN")
        assert (run["action"], run["campaigns"], run["success"]) == ("undo", ["veterans", "truckers"], True)
        assert (run["started_at"], run["ended_at"]) == ("2026-05-04T10:30:00+00:00", "2026-05-04T10:31:00+00:00")
        assert run["expires_at"] == int((START + KEPT_FOR).timestamp())

    def test_a_run_that_never_began_leaves_no_result(self, world: World) -> None:
        """Nobody can undo it by its id later."""
        runs(world).end(ME, {"success": False})

        assert not runs(world).exists(ME)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
targetings = st.dictionaries(st.text(), json_values, max_size=4)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as asked
ads = st.builds(Ad, names, names, st.just("ACTIVE"), st.just("ACTIVE"))
snapshots = st.builds(AdSetSnapshot, names, names, names, names, targetings, st.lists(ads, max_size=3).map(tuple))
memories = st.builds(RevertStreak, st.frozensets(names, max_size=4), st.integers(1, 99))
changes = st.builds(
    Change, names, names, st.sampled_from(Action), snapshots, targetings, st.just(ChangeState.PREPARED), moments,
    moments, st.none() | memories,
)  # fmt: skip


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


def a_shared_run(**more: Any) -> SharedRun:
    """Build a run that several invocations share."""
    return SharedRun(ME, RunRequest(Action.SYNC, dry_run=False, opens=True, **more), START, {"veterans": "Veterans"})


def a_progress(*adsets: AdSetResult, **more: Any) -> CampaignProgress:
    """Build what a campaign's share of a run has come to."""
    report = SyncReport("veterans", "Veterans", dry_run=False, adsets=adsets, **more)
    return CampaignProgress(report, GraphUsage(3, 5, 7), is_over=False)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
several = st.lists(texts, max_size=3).map(tuple)
outcomes = st.builds(AdSetResult, texts, texts, st.sampled_from(Result), several, several, st.integers(0, 99), several)
recoveries = st.builds(
    Recovery, texts, texts, texts, st.sampled_from(ChangeState), st.sampled_from(ChangeState), several
)
requests = st.builds(
    RunRequest, st.sampled_from(Action), st.booleans(), st.none() | several, st.booleans(), st.frozensets(texts),
    st.booleans(), st.none() | moments, st.none() | texts, st.just(True),
)  # fmt: skip


class TestSharedRuns:
    """Runs that several invocations share."""

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(request=requests, campaigns=st.dictionaries(names, texts, max_size=3))
    def test_a_run_comes_back_as_it_was_opened(
        self, sandbox: Sandbox, fake_time: FakeTime, request: RunRequest, campaigns: dict[str, str]
    ) -> None:
        """The later invocations know nothing of the event but what the ledger tells them."""
        sandbox.aws.reset()
        runs = Runs(Table(LEDGER_TABLE, fake_time.clock))
        run = SharedRun(ME, request, START, campaigns)

        assert runs.open(run) == run
        assert runs.opened(ME) == run

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        adsets=st.lists(outcomes, max_size=3), recovered=st.lists(recoveries, max_size=2), again=st.none() | st.just(7)
    )
    def test_what_a_campaign_has_come_to_comes_back_as_it_was(
        self,
        sandbox: Sandbox,
        fake_time: FakeTime,
        adsets: list[AdSetResult],
        recovered: list[Recovery],
        again: int | None,
    ) -> None:
        """The report is made of it, and what is done with is not done again."""
        sandbox.aws.reset()
        runs = Runs(Table(LEDGER_TABLE, fake_time.clock))
        part = a_progress(*adsets, recovered=tuple(recovered), again_in_seconds=again, unmapped_states=("XX",))

        runs.save_progress(ME, part)

        assert runs.parts(ME) == {"veterans": part}
        assert runs.begin_campaign(ME, "veterans") == (0, part)
        assert runs.parts(OTHER) == {}

    def test_begun_is_not_done(self, world: World) -> None:
        """The call after one that was cut off has to know that there was one."""
        assert [runs(world).begin_campaign(ME, "veterans") for _ in range(3)] == [(0, None), (1, None), (2, None)]
        assert runs(world).parts(ME) == {}

    def test_more_than_a_record_holds_is_cut(self, world: World) -> None:
        """What is done with is then found by its changes; what counts is that the run goes on."""
        noise = random.Random(7)  # noqa: S311 - noise that cannot be packed
        adsets = [
            AdSetResult(str(noise.getrandbits(200)), str(noise.getrandbits(600)), Result.UPDATED) for _ in range(6000)
        ]

        runs(world).save_progress(ME, a_progress(*adsets))

        assert runs(world).parts(ME)["veterans"].report.adsets == tuple(adsets[:MAX_KEPT])

    def test_a_result_of_too_many_campaigns_is_kept_without_them(self, world: World) -> None:
        """That it ended, and how, is what the next invocation asks."""
        noise = random.Random(7)  # noqa: S311 - noise that cannot be packed
        campaigns = [{"slug": str(noise.getrandbits(900)), "adsets": [], "errors": []} for _ in range(4_000)]
        runs(world).open(a_shared_run())

        runs(world).end(ME, {"success": False, "campaigns": campaigns, "recovered": []})

        (run,) = runs(world).newest()
        assert run.result == {"success": False, "campaigns": [], "recovered": []}

    def test_no_secret_is_kept(self, world: World) -> None:
        """Not even if Meta quotes it."""
        secret = Secret("EAAFAKE-quoted-by-meta")

        runs(world).save_progress(ME, a_progress(campaign_errors=(f"Meta said {secret.reveal()}",)))

        assert runs(world).parts(ME)["veterans"].report.campaign_errors == ("Meta said ***",)

    def test_one_ends_it_and_another_only_if_that_one_is_cut_off(self, world: World) -> None:
        """Else there would be two reports, or none."""
        runs(world).open(a_shared_run())

        assert runs(world).claim_end(ME, SOON, "one") is None
        assert runs(world).claim_end(ME, SOON, "one") is None, "an answer of DynamoDB was lost"
        assert runs(world).claim_end(ME, SOON, "two") == SOON
        world.time.reach(SOON.timestamp() + 1)
        assert runs(world).claim_end(ME, SOON + timedelta(minutes=15), "two") is None

    def test_what_has_ended_is_not_ended_again(self, world: World) -> None:
        """Whoever asks is told that it was long ago."""
        runs(world).open(a_shared_run())
        runs(world).end(ME, {"success": True})
        world.time.next_day()

        assert runs(world).claim_end(ME, SOON + timedelta(days=2), "one") == LONG_AGO
        run = runs(world).opened(ME)
        assert run is not None
        assert run.has_ended


class TestTrouble:
    """DynamoDB does not do what it is asked."""

    EVERYTHING: Sequence[tuple[str, str, Callable[[World], Any]]] = (
        ("PutItem", "written", lambda world: leases(world).claim_time("key", ME, SOON)),
        ("PutItem", "written", lambda world: runs(world).begin(ME, Action.SYNC, ["veterans"])),
        ("UpdateItem", "written", lambda world: runs(world).end(ME, {"success": True})),
        ("GetItem", "read", lambda world: runs(world).exists(ME)),
        ("TransactWriteItems", "written", lambda world: leases(world).acquire(["veterans"], ME, SOON, Action.SYNC)),
        ("TransactWriteItems", "written", lambda world: leases(world).release(["veterans"], ME)),
        ("UpdateItem", "written", lambda world: leases(world).complete_time("key", ME)),
        ("DeleteItem", "written", lambda world: leases(world).release_time("key", ME)),
        ("GetItem", "read", lambda world: leases(world).last_sync("veterans")),
        ("Query", "read", lambda world: ledger(world).newest_changes("veterans", START)),
        ("TransactWriteItems", "written", lambda world: prepare(ledger(world), a_change(id="502"))),
        ("TransactWriteItems", "written", lambda world: move(ledger(world), a_change(), ChangeState.WRITTEN)),
        ("Query", "read", lambda world: ledger(world).open_changes("veterans")),
        ("GetItem", "read", lambda world: ledger(world).open_changes("veterans")),
        ("Query", "read", lambda world: ledger(world).changes_of("veterans", ME)),
        ("Query", "read", lambda world: ledger(world).previous_outcomes("veterans").reverted),
        ("PutItem", "written", lambda world: ledger(world).record_deferred("veterans", ["501"])),
        ("PutItem", "written", lambda world: runs(world).open(a_shared_run())),
        ("GetItem", "read", lambda world: runs(world).opened(ME)),
        ("UpdateItem", "written", lambda world: runs(world).begin_campaign(ME, "veterans")),
        ("PutItem", "written", lambda world: runs(world).save_progress(ME, a_progress())),
        ("Query", "read", lambda world: runs(world).parts(ME)),
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
        with pytest.raises(LedgerError, match="ResourceNotFound"):
            Ledger(Table("somebody-elses", world.time.clock)).open_changes("veterans")

    def test_no_secret_in_the_text(self, world: World) -> None:
        """Not even one that stands in what DynamoDB refuses."""
        secret = Secret("somebody-elses-FAKE-table")

        with pytest.raises(LedgerError) as caught:
            prepare(Ledger(Table(secret.reveal(), world.time.clock)), a_change(id=secret.reveal()))
        assert "FAKE" not in str(caught.value)
