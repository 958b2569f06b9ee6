"""From Meta's push to the ad set put back: through the receiver, the queue and the function, in virtual time."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from closrads.domain.pushes import LEFT_SECONDS, MIN_GAP_SECONDS, WINDOW_SECONDS
from closrads.domain.request import Action
from closrads.errors import ConfigError, EventError, SyncFailed
from sandbox.aws import PUSH_QUEUE_PROPERTIES
from sandbox.meta import Breakage, faults
from tests.conftest import FIGURE
from tests.ledger_world import EARLIER, leases, ledger
from tests.webhook_world import Receiver, rechecks
from tests.world import LIVE, MORTGAGE_1, World

LATE = 1200.0
"""Seconds after its update at which Meta breaks an ad."""
DELAY = PUSH_QUEUE_PROPERTIES["DelaySeconds"]


@pytest.fixture
def receiver(world: World) -> Receiver:
    """Return the way of a push in a business of one campaign that wants Florida."""
    world.campaign("FL")
    receiver = Receiver(world)
    receiver.meta.subscribe("act_111")
    return receiver


def status_changed(receiver: Receiver, account: str = "111", times: int = 1) -> None:
    """Have Meta push so many changes of an account that nobody else knows of."""
    change = {"field": "field_changed", "value": {"object_id": "1", "changed_fields": ["effective_status"]}}
    receiver.meta.push({account: [change] * times})
    receiver.meta.run()


def synced(world: World) -> None:
    """Have the daily run change everything, and Meta push what comes of it."""
    world.run(LIVE)
    world.meta.requests.clear()


def lines(log: StringIO) -> list[dict[str, Any]]:
    """Return the log's lines."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


class TestSeconds:
    """What it is for."""

    def test_an_ad_that_breaks_late_is_put_back_within_half_a_minute(
        self, receiver: Receiver, record_property: Callable[[str, object], None]
    ) -> None:
        """At 150 ms a call, and with Meta's notice of it; the report says why there was a recheck."""
        world = receiver.world
        adset = world.adset(breakage=Breakage.late(LATE))
        others = [world.adset(f"Other {number}") for number in range(59)]
        synced(world)
        assert world.meta.states(adset) == {"FL"}
        receiver.meta.changes()  # what the run itself has caused
        world.slow_down(0.15)
        world.time.pass_by(LATE + 1)
        noticed = world.time.seconds()

        assert receiver.meta.run() == 1
        receiver.run_queue(60)

        took = world.time.seconds() - noticed
        record_property(FIGURE, f"{took:.1f} s from Meta's notice to restored, of 60 ad sets, at 150 ms a call")
        assert world.meta.states(adset) == {"TX"}
        assert all(world.meta.states(other) == {"FL"} for other in others)
        assert took <= 30
        mail = world.sandbox.aws.mails[-1]
        assert "triggered by a notice from Meta" in mail.text
        assert "triggered by a notice from Meta" in mail.html

    def test_meta_repeats_what_could_not_be_taken(self, receiver: Receiver) -> None:
        """The queue cannot be reached at first: the notice is not lost, and a repetition of it costs nothing."""
        world = receiver.world
        adset = world.adset(breakage=Breakage.late(LATE))
        synced(world)
        receiver.meta.changes()
        world.time.pass_by(LATE + 1)
        world.sandbox.aws.fail("sqs", "SendMessageBatch", "ServiceUnavailable", 503, times=4)

        assert [receiver.meta.run() for _ in range(2)] == [0, 0]
        assert receiver.queue.messages == []
        world.time.pass_by(60)
        assert receiver.meta.run() == 1
        receiver.meta.push({"111": [{"field": "field_changed"}]})
        receiver.meta.run()
        receiver.run_queue(60)

        assert world.meta.states(adset) == {"TX"}
        assert len(receiver.results) == 1

    def test_a_thousand_notices_in_a_second_cost_one_recheck(self, receiver: Receiver, log: StringIO) -> None:
        """Of each account, also if the second falls into two windows, or Meta sends them in any order and twice."""
        world = receiver.world
        world.campaign("FL", "mortgage", (MORTGAGE_1,), "act_222")
        world.adset()
        world.adset(campaign=MORTGAGE_1)
        synced(world)
        world.time.pass_by(WINDOW_SECONDS - world.time.seconds() % WINDOW_SECONDS - 0.5)
        for _ in range(500):
            status_changed(receiver, "111")
            status_changed(receiver, "act_222")
            world.time.pass_by(0.002)

        assert receiver.invocations == 1000
        begun = world.time.seconds()
        receiver.run_queue(MIN_GAP_SECONDS - 1)
        assert [sorted(line["action"] for line in rechecks(lines(log)))] == [["recheck"]]
        (first, *_) = receiver.results
        assert first == {"batchItemFailures": []}

        receiver.run_queue(3600)

        assert len(rechecks(lines(log))) == 2, "the second window's notices are looked at a minute later"
        assert world.time.seconds() - begun >= MIN_GAP_SECONDS
        assert receiver.queue.messages == []

    def test_a_flood_of_an_hour_costs_one_recheck_a_minute(self, receiver: Receiver, log: StringIO) -> None:
        """The message that waits stands for all that come meanwhile."""
        receiver.world.adset()
        synced(receiver.world)
        start = receiver.world.time.seconds()
        while receiver.world.time.seconds() < start + 600:
            status_changed(receiver, times=5)
            receiver.run_queue(1)
            receiver.world.time.pass_by(1)
        receiver.run_queue(3600)

        assert 9 <= len(rechecks(lines(log))) <= 12
        assert receiver.queue.dead == []


class TestHints:
    """A notice is a hint, never a fact."""

    def test_a_notice_without_news_writes_nothing(self, receiver: Receiver) -> None:
        """The recheck reads Meta, finds everything well and says nothing."""
        world = receiver.world
        world.adset()
        synced(world)
        mails = len(world.sandbox.aws.mails)

        status_changed(receiver)
        receiver.run_queue(60)

        assert world.meta.writes == []
        assert world.meta.requests
        assert len(world.sandbox.aws.mails) == mails

    def test_no_hint_is_lost_between_two_rechecks(self, receiver: Receiver) -> None:
        """An ad breaks just after the recheck of the first has read, within the same minute: it is put back as well."""
        world = receiver.world
        first = world.adset("First", breakage=Breakage.late(LATE))
        second = world.adset("Second", breakage=Breakage.late(LATE + DELAY + 8))
        synced(world)
        receiver.meta.changes()
        world.time.pass_by(LATE + 1)
        receiver.meta.run()
        receiver.run_queue(DELAY)
        assert (world.meta.states(first), world.meta.states(second)) == ({"TX"}, {"FL"})

        world.time.pass_by(3)
        assert receiver.meta.run() == 1
        receiver.run_queue(MIN_GAP_SECONDS + DELAY)

        assert world.meta.states(second) == {"TX"}

    def test_the_last_notice_before_a_delivery_is_in_it(self) -> None:
        """A window is over before its message is delivered, even if the clocks of two containers differ by a second."""
        assert WINDOW_SECONDS + 1 < DELAY

    def test_unknown_accounts_cost_nothing(self, receiver: Receiver) -> None:
        """No run, no mail, no call to Meta; the message is done with. So is one that nobody understands."""
        world = receiver.world
        world.adset()
        synced(world)
        mails = len(world.sandbox.aws.mails)
        status_changed(receiver, "999")
        receiver.queue.send({"MessageBody": "nonsense", "MessageGroupId": "x", "MessageDeduplicationId": "x"})

        receiver.run_queue(60)

        assert receiver.results == [{"batchItemFailures": []}]
        assert (world.meta.requests, len(world.sandbox.aws.mails)) == ([], mails)
        assert receiver.queue.messages == []

    def test_a_campaign_that_is_switched_off_is_left_to_the_schedule(self, receiver: Receiver) -> None:
        """The recheck of every half hour still looks at what was changed before."""
        receiver.world.adset()
        synced(receiver.world)
        receiver.world.put({"campaigns/veterans/enabled": "false"})

        status_changed(receiver)
        receiver.run_queue(60)

        assert receiver.results == [{"batchItemFailures": []}]

    def test_both_campaigns_of_an_account_are_looked_at(self, receiver: Receiver, log: StringIO) -> None:
        """A notice names the account alone."""
        receiver.world.campaign("FL", "truckers", (MORTGAGE_1,))
        synced(receiver.world)

        status_changed(receiver)
        receiver.run_queue(60)

        (line,) = [line for line in lines(log) if line.get("message") == "push.messages"]
        assert sorted(line["campaigns"]) == ["truckers", "veterans"]


class TestRunsAtWork:
    """Notices that come while a run holds the campaign."""

    def test_what_our_own_writes_cause_becomes_one_recheck_after_the_run(self, receiver: Receiver) -> None:
        """The message is put off until the campaign is free."""
        world = receiver.world
        world.adset()
        synced(world)
        leases(world).acquire(["veterans"], EARLIER, world.time.clock.now() + timedelta(minutes=14), Action.SYNC)
        for _ in range(14):
            status_changed(receiver, times=50)
            world.time.pass_by(1)

        receiver.run_queue(780)
        assert len(receiver.results) > 1
        assert world.meta.requests == []
        assert [each for each in receiver.results if not each["batchItemFailures"]] == []
        leases(world).release(["veterans"], EARLIER)
        receiver.run_queue(LEFT_SECONDS + MIN_GAP_SECONDS)

        assert world.meta.requests
        assert receiver.queue.messages == []
        assert receiver.queue.dead == []

    def test_a_campaign_that_is_free_is_not_held_up(self, receiver: Receiver) -> None:
        """Only the message of the account that another run works on comes again."""
        world = receiver.world
        world.campaign("FL", "mortgage", (MORTGAGE_1,), "act_222")
        world.adset(campaign=MORTGAGE_1)
        synced(world)
        leases(world).acquire(["veterans"], EARLIER, world.time.clock.now() + timedelta(minutes=1), Action.SYNC)
        status_changed(receiver, "111")
        status_changed(receiver, "222")

        receiver.run_queue(60)

        (answer,) = receiver.results
        assert len(answer["batchItemFailures"]) == 1
        assert [json.loads(message.body) for message in receiver.queue.messages] == [{"ad_account": "act_111"}]
        assert ledger(world).last_recheck("mortgage") is not None
        assert ledger(world).last_recheck("veterans") is None

    def test_a_message_that_cannot_be_put_off_comes_all_the_same(self, receiver: Receiver) -> None:
        """After the visibility timeout of the queue instead."""
        world = receiver.world
        synced(world)
        world.run({"action": "recheck", "dry_run": False})
        world.sandbox.aws.fail("sqs", "ChangeMessageVisibility", "InternalFailure", 500, times=2)
        status_changed(receiver)

        receiver.run_queue(60)
        assert len(receiver.queue.messages) == 1
        receiver.run_queue(PUSH_QUEUE_PROPERTIES["VisibilityTimeout"])

        assert receiver.queue.messages == []


class TestTrouble:
    """What does not go well."""

    def test_a_recheck_that_fails_comes_again(self, receiver: Receiver) -> None:
        """The report is sent, the alarm rings, and the message is delivered once more after the visibility timeout."""
        world = receiver.world
        world.adset()
        synced(world)
        world.meta.dead_tokens[world.meta.token] = faults.PASSWORD_CHANGED
        status_changed(receiver)
        with pytest.raises(SyncFailed):
            receiver.run_queue(60)
        del world.meta.dead_tokens[world.meta.token]

        receiver.run_queue(PUSH_QUEUE_PROPERTIES["VisibilityTimeout"])

        assert receiver.results == [{"batchItemFailures": []}]
        assert receiver.queue.messages == []

    def test_it_cannot_do_without_the_ledger(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        """As no recheck can."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
        status_changed(receiver)
        with pytest.raises(ConfigError, match="CLOSRADS_LEDGER_TABLE"):
            receiver.run_queue(60)

    def test_records_of_something_else_touch_nothing(self, receiver: Receiver) -> None:
        """They are refused like every event that is none."""
        with pytest.raises(EventError):
            receiver.world.run({"Records": [{"eventSource": "aws:s3"}]})
        assert receiver.world.meta.requests == []


def test_the_queues_clock_counts_from_the_notice(receiver: Receiver) -> None:
    """A batch has the messages of ten accounts at most, and each account its own order."""
    for number in range(12):
        status_changed(receiver, str(500 + number))
    receiver.run_queue(60)

    assert receiver.results == [{"batchItemFailures": []}] * 2
