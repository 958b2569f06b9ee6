"""Which run holds which campaign, and which run has taken a scheduled time."""

from datetime import timedelta

import pytest

from closrads.domain.request import Action
from closrads.errors import LedgerError, SyncFailed
from closrads.ledger.dynamodb import TRANSACTION_ATTEMPTS
from closrads.ledger.records import KEPT_FOR
from sandbox.aws import DROPPED
from tests.ledger.conftest import ME, OTHER, SERVER_ERROR, SOON, THIRD, calls, cancel
from tests.ledger_world import entries, leases
from tests.world import LIVE, World


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

    @pytest.mark.parametrize(
        "reasons",
        [
            ["TransactionConflict"],
            ["None", "TransactionConflict"],
            ["ThrottlingError", "None"],
            ["TransactionConflict", "ProvisionedThroughputExceeded"],
        ],
    )
    def test_a_conflict_is_tried_again_soon(self, world: World, reasons: list[str]) -> None:
        """Two runs at the same instant, or a table that is busy: it waits a little longer each time."""
        cancel(world, *[reasons] * (TRANSACTION_ATTEMPTS - 1))

        assert leases(world).acquire(["a", "b"], ME, SOON, Action.SYNC) == {}

        assert world.time.waits == pytest.approx([0.1, 0.2, 0.3, 0.4])
        assert {lease["holder"] for lease in entries(world, "LEASE")} == {ME}

    @pytest.mark.parametrize(
        "answers",
        [
            pytest.param([["TransactionConflict"]] * TRANSACTION_ATTEMPTS, id="conflict without end"),
            pytest.param([["ThrottlingError"]] * TRANSACTION_ATTEMPTS, id="no capacity without end"),
            pytest.param([["ThrottlingError", "ItemCollectionSizeLimitExceeded"]], id="no capacity and worse"),
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
        assert world.run(event)["campaigns"][0]["left_to"] == OTHER
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
