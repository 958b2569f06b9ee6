"""Which run has which campaign, and which run has taken a scheduled time."""

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from closrads import concurrency
from closrads.domain.request import Action, RunRequest
from closrads.errors import SyncFailed
from sandbox.meta import Breakage, Operation
from tests.business import Business
from tests.fake_time import Pool
from tests.ledger_world import entries, later, leases, metric, only_reads
from tests.world import LIVE, MORTGAGE_1

SCHEDULED = {**LIVE, "scheduled": "2026-05-04T10:30:00Z"}
OTHER = "20260504T102900Z-00000000"
"""A run that is at work at the same time, or was."""


class TestLeases:
    """One run at a time for each campaign."""

    @pytest.fixture
    def two(self, business: Business) -> Business:
        """Return a business with two campaigns, of which another run has taken the veterans."""
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        business.ids["X"] = business.world.adset("X", campaign=MORTGAGE_1)
        business.adsets("A")
        self.take(business, "veterans")
        return business

    def take(self, business: Business, *slugs: str, seconds: float = 100) -> None:
        """Have another run take campaigns."""
        now = business.world.time.clock.now()
        assert leases(business.world).acquire(slugs, OTHER, now + timedelta(seconds=seconds), Action.SYNC) == {}

    def test_a_campaign_that_another_run_is_at_work_on_is_left_to_it(self, two: Business) -> None:
        """The others are done, and the report says so."""
        assert two.run() == {"updated": "X"}
        assert two.result["left_to"] == ""
        assert {each["slug"]: each["left_to"] for each in two.result["campaigns"]} == {
            "truckers": "",
            "veterans": OTHER,
        }
        assert two.result["success"]
        assert two.written == "X"
        assert len(two.world.sandbox.closrtech.requests) == 1
        assert len(two.world.sandbox.aws.mails) == 1

    def test_a_run_that_finds_nothing_free_leaves(self, two: Business, capsys: pytest.CaptureFixture[str]) -> None:
        """Nobody is asked anything, no mail goes out, nothing is counted, and that is no failure."""
        self.take(two, "truckers")

        answer = two.world.run(LIVE)

        assert (answer["left_to"], answer["campaigns"], answer["success"]) == (OTHER, [], True)
        assert answer["mail"] == "not_asked"
        assert (two.world.meta.requests, two.world.sandbox.closrtech.requests) == ([], [])
        assert two.world.sandbox.aws.mails == []
        assert '"_aws"' not in capsys.readouterr().out
        assert entries(two.world, "", pk="RUN") == []

    def test_a_lease_of_a_run_that_died_ends(self, two: Business) -> None:
        """Once it cannot be alive any more."""
        two.world.time.pass_by(101)

        assert two.run() == {"updated": "A X"}

    def test_at_its_end_a_run_gives_everything_back(self, business: Business) -> None:
        """Whether it went well or not."""
        business.adsets("AB", breakage=Breakage.incurable())

        business.run()

        (lease,) = entries(business.world, "LEASE")
        assert not {"holder", "until"} & lease.keys()
        assert lease["last_sync"] == business.result["run_id"]

    def test_a_lease_outlives_the_invocation_a_little(self, business: Business) -> None:
        """As long as the run may still be at work, however short its time is, nobody else comes."""
        business.adsets("A")
        business.world.time.deadline = business.world.time.seconds() + 100
        leases: list[Any] = []
        business.world.meta.on_request = lambda _: leases.extend(entries(business.world, "LEASE"))

        business.run()

        assert {lease["holder"] for lease in leases} == {business.result["run_id"]}
        assert {lease["until"] - business.world.time.deadline for lease in leases} == {30}

    def test_a_dry_run_needs_no_lease(self, two: Business) -> None:
        """It looks at what another run is at work on, and takes nothing from it."""
        with only_reads(two.world):
            answer = two.world.run({"scheduled": SCHEDULED["scheduled"]})

        assert answer["left_to"] == ""
        assert [campaign["adsets_updated"] for campaign in answer["campaigns"]] == [1, 1]

    @pytest.mark.parametrize("event", [{"action": "recheck"}, {"action": "undo"}, LIVE])
    def test_every_live_action_takes_a_lease(self, business: Business, event: Any) -> None:
        """A recheck that rolls back and a sync at once would be in each other's way."""
        business.adsets("A")
        self.take(business, "veterans")

        assert business.world.run({**LIVE, **event})["left_to"] == OTHER

    @pytest.mark.parametrize("skip", [0, 1], ids=["the time", "the run"])
    def test_without_the_ledger_nothing_is_begun(self, business: Business, skip: int) -> None:
        """Neither Meta nor CLOSRTECH is asked; each campaign says why, in the mail too."""
        business.adsets("A")
        business.world.sandbox.aws.fail("dynamodb", "PutItem", "InternalServerError", 500, None, skip=skip)

        with pytest.raises(SyncFailed, match="Veterans: The ledger cannot be written"):
            business.world.run(SCHEDULED)

        assert (business.world.meta.requests, business.world.sandbox.closrtech.requests) == ([], [])
        assert len(business.world.sandbox.aws.mails) == 1
        assert not [lease for lease in entries(business.world, "LEASE") if "holder" in lease]

    def test_a_lease_whose_answer_was_lost_is_given_back(self, business: Business) -> None:
        """The run fails, and the next one does not have to wait for a dead lease to expire."""
        business.adsets("A")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, applied=True)
        with pytest.raises(SyncFailed):
            business.world.run(LIVE)

        assert business.run() == {"updated": "A"}

    def test_a_lease_that_cannot_be_given_back_ends_by_itself(self, business: Business) -> None:
        """The run went well and says so; another one waits until the lease is over."""
        business.adsets("A")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, skip=5)

        assert business.run() == {"updated": "A"}
        first = business.result["run_id"]
        assert business.world.run(LIVE)["left_to"] == first
        later(business.world, 931)
        assert business.run() == {"unchanged": "A"}

    @pytest.mark.usefixtures("interruptible")
    def test_an_interrupted_run_keeps_its_leases(self, two: Business, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends only the main thread at once: the others may write until the process is gone."""
        world, gone, holders, pools = two.world, threading.Event(), list[str](), list[Pool]()
        two.world.time.pass_by(101)

        def new_pool(max_workers: int) -> Pool:
            pools.append(world.time.pool(max_workers))
            return pools[-1]

        def write(operation: Operation) -> None:
            if operation.method == "POST":
                if not gone.is_set():
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    gone.wait(30)
                holders.extend(lease.get("holder", "") for lease in entries(world, "LEASE"))

        world.meta.on_request = write
        monkeypatch.setattr(concurrency, "ThreadPoolExecutor", new_pool)
        with pytest.raises(KeyboardInterrupt):
            world.run(LIVE)
        gone.set()
        for pool in pools:
            pool.join(30)

        (run_id,) = set(holders)
        assert run_id
        assert world.run(LIVE)["left_to"] == run_id
        later(world, 931)
        assert two.run() == {"unchanged": "A X"}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have a signal interrupt the main thread, which it does not if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestScheduledTime:
    """What runs for one time of the schedule runs to its end once."""

    def test_the_second_delivery_does_nothing(self, business: Business, capsys: pytest.CaptureFixture[str]) -> None:
        """No call, no mail, no count: it names the run that did it."""
        business.adsets("A")
        assert business.run(SCHEDULED) == {"updated": "A"}
        first = business.result["run_id"]
        business.world.sandbox.closrtech.requests.clear()
        business.world.meta.requests.clear()
        capsys.readouterr()

        for again in (SCHEDULED, {**SCHEDULED, "scheduled": "2026-05-04T06:30:00-04:00"}):
            answer = business.world.run(again)

            assert (answer["left_to"], answer["campaigns"], answer["success"]) == (first, [], True)
        assert (business.world.meta.requests, business.world.sandbox.closrtech.requests) == ([], [])
        assert len(business.world.sandbox.aws.mails) == 1
        assert '"_aws"' not in capsys.readouterr().out

    def test_days_later_neither(self, business: Business) -> None:
        """What has ended has ended, however late the second delivery is."""
        business.run(SCHEDULED)
        first = business.result["run_id"]
        business.world.time.next_day()

        assert business.world.run(SCHEDULED)["left_to"] == first

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"scheduled": "2026-05-05T10:30:00Z"}, id="another time"),
            pytest.param({"action": "recheck"}, id="another action"),
            pytest.param({"campaigns": ["veterans"]}, id="named campaigns"),
            pytest.param({"dry_run": True}, id="a dry run"),
        ],
    )
    def test_what_is_something_else_runs(self, business: Business, other: dict[str, Any]) -> None:
        """Only the same thing at the same time is the same."""
        business.adsets("A")
        business.run(SCHEDULED)

        assert business.world.run({**SCHEDULED, **other})["left_to"] == ""

    def test_without_a_time_every_run_is_its_own(self, business: Business) -> None:
        """A run by hand can be repeated at will."""
        business.adsets("A")

        assert business.run() == {"updated": "A"}
        assert business.run() == {"unchanged": "A"}

    def test_a_dry_run_takes_no_time_away(self, business: Business) -> None:
        """The live run of the same time is still to come."""
        business.adsets("A")
        with only_reads(business.world):
            business.world.run({"scheduled": SCHEDULED["scheduled"]})

        assert business.run(SCHEDULED) == {"updated": "A"}

    def test_a_run_that_fails_has_come_to_its_end_too(self, business: Business) -> None:
        """It has said what was wrong; a second delivery would only say it again."""
        business.adsets("A")
        business.world.sandbox.closrtech.demand.clear()
        business.run(SCHEDULED)
        assert business.errors

        assert business.world.run(SCHEDULED)["left_to"] == business.result["run_id"]

    def test_a_run_that_died_is_taken_up(self, business: Business) -> None:
        """Once it cannot be alive any more; before that it may be."""
        business.adsets("A")
        now = business.world.time.clock.now()
        request = RunRequest(Action.SYNC, dry_run=False, scheduled=now)
        until = now + timedelta(seconds=930)
        assert leases(business.world).claim_time(request.time_key, OTHER, until) == OTHER
        assert leases(business.world).acquire(["veterans"], OTHER, until, Action.SYNC) == {}

        business.world.time.pass_by(60)
        assert business.world.run(SCHEDULED)["left_to"] == OTHER
        assert business.world.meta.requests == []

        business.world.time.pass_by(900)
        business.world.time.deadline = business.world.time.seconds() + 900
        assert business.run(SCHEDULED) == {"updated": "A"}

    def test_a_run_that_found_all_campaigns_taken_has_not_done_it(self, business: Business) -> None:
        """The next delivery takes the time up, as soon as they are free."""
        business.adsets("A")
        until = business.world.time.clock.now() + timedelta(seconds=500)
        leases(business.world).acquire(["veterans"], OTHER, until, Action.SYNC)
        (campaign,) = business.world.run(SCHEDULED)["campaigns"]
        assert campaign["left_to"] == OTHER

        later(business.world, 101)
        assert business.run(SCHEDULED) == {"updated": "A"}

    def test_a_daily_run_that_waited_in_vain_says_so(
        self, business: Business, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its mail is expected: without one, nobody would know that the day's update has not come."""
        business.adsets("A")
        leases(business.world).acquire(
            ["veterans"], OTHER, business.world.time.clock.now() + timedelta(days=1), Action.SYNC
        )

        answer = business.world.run(SCHEDULED)

        assert (answer["left_to"], answer["mail"], business.world.meta.requests) == ("", "sent", [])
        assert business.world.sandbox.aws.mails[-1].subject.startswith("⚠ nothing done; left to another run: Veterans")
        assert metric(capsys.readouterr().out, "RunSucceeded") == 0

    @pytest.mark.parametrize(("remaining", "waits"), [(900, 30), (40, 1), (30, 1), (29, 0)])
    def test_it_waits_for_a_campaign_only_while_time_allows(
        self, business: Business, remaining: float, waits: int
    ) -> None:
        """What another run holds may come free within a quarter of a minute; half of the time is for the work."""
        world = business.world
        leases(world).acquire(["veterans"], OTHER, world.time.clock.now() + timedelta(days=1), Action.SYNC)
        began = world.time.seconds()
        world.time.deadline = began + remaining

        (campaign,) = world.run(SCHEDULED)["campaigns"]
        assert campaign["left_to"] == OTHER
        assert (world.time.seconds() - began) // 15 == waits

    def test_a_recheck_that_waits_for_quota_does_not_cost_the_day(self, business: Business) -> None:
        """A push has asked for it just before the daily run; Meta says that quota is back in five minutes."""
        business.adsets("A")
        until = business.world.time.clock.now() + timedelta(minutes=5)
        assert leases(business.world).acquire(["veterans"], OTHER, until, Action.RECHECK) == {}

        assert business.run(SCHEDULED) == {"updated": "A"}

    def test_an_end_that_cannot_be_noted_is_no_failure(self, business: Business) -> None:
        """Nothing is lost but the proof: a delivery after the lease's end looks again, and finds all done."""
        business.adsets("A")
        business.world.sandbox.aws.fail("dynamodb", "UpdateItem", "InternalServerError", 500, None, skip=1)

        assert business.world.run(SCHEDULED)["success"]
        business.world.sandbox.aws.clear_faults()
        business.world.time.pass_by(960)
        business.world.time.deadline = business.world.time.seconds() + 900
        assert business.run(SCHEDULED) == {"unchanged": "A"}
