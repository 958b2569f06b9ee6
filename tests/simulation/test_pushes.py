"""Meta's pushes in stories: the real receiver, and products that do what a clause about pushes forbids."""

import math
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from closrads import webhook
from closrads.clock import Clock
from closrads.config import push_queue_url
from closrads.errors import ClosradsError
from tests.simulation.border import current_invocation
from tests.simulation.clauses import Clause
from tests.simulation.draw import PUSHED, draw
from tests.simulation.kernel import sleep
from tests.simulation.play import player
from tests.simulation.simulation import Simulation
from tests.simulation.story import (
    DAY,
    HOUR,
    MINUTE,
    AdSetSpec,
    AdSpec,
    At,
    CampaignSpec,
    Crash,
    Effect,
    Event,
    Fate,
    Hint,
    Notice,
    Push,
    Run,
    Story,
    Transit,
    World,
)
from tests.simulation.test_judge import BEGIN, Product, product

Recheck = Callable[[dict[str, Any]], dict[str, Any]]

DONE: dict[str, Any] = {"batchItemFailures": []}


def told(left_to: str = "", errors: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the result of a recheck that has found everything well, or that mails why not."""
    campaign = {"slug": "veterans", "campaign_name": "Veterans", "left_to": left_to, "errors": errors, "adsets": []}
    run = {"left_to": "", "action": "recheck", "mail": "sent" if errors else "not_asked"}
    return {**run, "campaigns": [campaign], "recovered": []}


def looks(_: dict[str, Any]) -> dict[str, Any]:
    """Look at the campaign, and find everything well."""
    current_invocation().results.append(told())
    return DONE


def again(event: dict[str, Any]) -> dict[str, Any]:
    """Have every message come again."""
    return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in event["Records"]]}


def put_off(event: dict[str, Any], seconds: int) -> dict[str, Any]:
    """Have every message come again after so many seconds."""
    for each in event["Records"]:
        boto3.client("sqs").change_message_visibility(
            QueueUrl=push_queue_url(), ReceiptHandle=each["receiptHandle"], VisibilityTimeout=seconds
        )
    return again(event)


def notice(hint: Hint = Hint.NOTHING, after: float = 100.0) -> Notice:
    """Return a push that comes so long after the first run has begun."""
    return Notice(At(BEGIN + after), hint, "act_111")


def one_by_one(*rechecks: Recheck) -> Recheck:
    """Return what does one after the other, and the last for ever."""
    left = list(rechecks)

    def recheck(event: dict[str, Any]) -> dict[str, Any]:
        return (left.pop(0) if len(left) > 1 else left[0])(event)

    return recheck


def violated(recheck: Recheck, *events: Event) -> set[Clause]:
    """Have a product answer the queue's messages; return what the judge has against it."""
    return played(recheck, *events).judge.clauses


def played(recheck: Recheck, *events: Event, seed: int = 0) -> Simulation:
    """Have a product answer the queue's messages in a story of one campaign."""
    change = product(Product.change, "updated", 1)

    def handle(event: dict[str, Any], clock: Clock) -> dict[str, Any]:
        return recheck(event) if "Records" in event else change(event, clock)

    campaign = CampaignSpec("veterans", "act_111", "FL", (AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),)),))
    runs = tuple(Run(f"day {day + 1}", day * DAY + BEGIN) for day in range(3))
    with player(handle) as play:
        return play(Story(seed, World((campaign,), push_after=1.0), runs, events, DAY))


class TestClauses:
    """Each is violated by what it forbids, and by nothing that it allows."""

    @pytest.mark.parametrize("hint", Hint)
    def test_a_recheck_after_each_notice(self, hint: Hint) -> None:
        """Whatever comes, the receiver asks for one only if it should."""
        events = [notice(hint, after) for after in (100.0, 400.0)]
        last = [0.0]

        def once_a_minute(event: dict[str, Any]) -> dict[str, Any]:
            began = current_invocation().started
            if began < last[0] + MINUTE:
                return put_off(event, math.ceil(last[0] + MINUTE - began))
            last[0] = began
            return looks(event)

        assert violated(once_a_minute, *events) == set()

    def test_a_message_must_not_be_done_with_before_anybody_has_looked(self) -> None:
        assert violated(lambda _: DONE, notice()) == {Clause.HEEDED}

    @pytest.mark.parametrize("result", [told(left_to="another run"), told(errors=("Meta is down",))])
    def test_a_look_that_was_none_does_not_count(self, result: dict[str, Any]) -> None:
        def recheck(_: dict[str, Any]) -> dict[str, Any]:
            current_invocation().results.append(result)
            return DONE

        assert violated(recheck, notice()) == {Clause.HEEDED}

    def test_a_message_may_come_again(self) -> None:
        """After a failure that is when the queue no longer hides it; after six of them its loss is known."""

        def fails(_: dict[str, Any]) -> dict[str, Any]:
            raise ClosradsError("Meta is down")

        assert violated(one_by_one(fails, again, looks), notice()) == {Clause.PROMPT}  # it may not wait so long …
        assert violated(one_by_one(fails, fails, looks), notice()) == set()  # … unless something has failed
        assert violated(fails, notice()) == set()

    @pytest.mark.parametrize(("seconds", "expected"), [(60, set()), (90, {Clause.PROMPT})])
    def test_a_message_must_not_wait_for_long(self, seconds: int, expected: set[Clause]) -> None:
        assert violated(one_by_one(lambda event: put_off(event, seconds), looks), notice()) == expected

    @pytest.mark.parametrize(("after", "expected"), [(120.0, {Clause.NOTICES_BUNDLED}), (170.0, set())])
    def test_two_rechecks_of_a_campaign_must_not_follow_each_other_at_once(
        self, after: float, expected: set[Clause]
    ) -> None:
        assert violated(looks, notice(), notice(after=after)) == expected

    @pytest.mark.parametrize("hint", [Hint.FORGED, Hint.REPLAY])
    def test_what_meta_has_not_signed_must_not_be_taken(self, hint: Hint) -> None:
        with patch.object(webhook, "handle", lambda *_: {"statusCode": 200}):
            assert violated(looks, notice(hint)) == {Clause.SIGNED}

    def test_what_was_taken_must_not_be_forgotten(self) -> None:
        with patch.object(webhook, "handle", lambda *_: {"statusCode": 200}):
            assert violated(looks, notice()) == {Clause.HEEDED}

    def test_what_meta_has_signed_must_not_be_refused(self) -> None:
        with patch.object(webhook, "handle", lambda *_: {"statusCode": 403}):
            assert violated(looks, notice()) == {Clause.SIGNED}


@pytest.mark.parametrize("seed", range(4))
def test_messages_of_two_accounts_are_worked_on_side_by_side(seed: int) -> None:
    """Also if the second becomes due while the first keeps a recheck busy, whatever the order of events at one time."""

    def recheck(event: dict[str, Any]) -> dict[str, Any]:
        sleep(600)
        return looks(event)

    notes = played(recheck, notice(), notice(Hint.UNKNOWN_ACCOUNT, 100.5), seed=seed).notes
    first, second = ([note.at for note in notes if note.who == name] for name in ("push 1", "push 2"))
    assert first[0] < second[0] < first[0] + 1


LATE = Fate(20 * MINUTE, Effect.PAUSED_WITH_ISSUE, stubborn=True)


class TestReal:
    """The real function behind the real receiver."""

    @pytest.fixture
    def play(self) -> Iterator[Callable[..., Simulation]]:
        """Return what plays a story of one ad that breaks twenty minutes after its update, with these events."""
        with player() as play:
            campaign = CampaignSpec(
                "veterans", "act_111", "FL", (AdSetSpec("Alder", "TX", (AdSpec("Alder 1", fate=LATE),)),)
            )
            runs = tuple(Run(f"day {day + 1}", day * DAY + BEGIN) for day in range(3))
            yield lambda *events: play(Story(0, World((campaign,), push_after=1.0), runs, events, DAY))

    def restored(self, simulation: Simulation) -> float:
        """Return how long after its break the ad set was put back for the first time."""
        (broke, *_) = (note.at for note in simulation.notes if note.what.startswith("breaks Alder 1"))
        (back, *_) = (note.at for note in simulation.notes if note.what.endswith("→ rolled_back"))
        assert simulation.judge.violations == []
        return back - broke

    def test_an_ad_that_breaks_late_is_put_back_within_half_a_minute(self, play: Callable[..., Simulation]) -> None:
        assert self.restored(play()) <= 30

    def test_a_push_may_come_late_or_twice_or_never(self, play: Callable[..., Simulation]) -> None:
        assert self.restored(play(Push(1, Transit.TWICE, 5.0))) <= 30
        assert HOUR < self.restored(play(Push(1, Transit.LATE, HOUR))) <= HOUR + 30
        assert self.restored(play(Push(1, Transit.LOST))) > 12 * HOUR  # the next sync looks

    def test_meta_repeats_what_the_receiver_has_not_answered(self, play: Callable[..., Simulation]) -> None:
        """And a recheck that dies comes again, half an hour later."""
        assert self.restored(play(Crash("receiver 1", "sqs", 1, after=False))) <= 30
        assert 0.5 * HOUR < self.restored(play(Crash("push 1", "POST adset", 1, after=True))) <= 0.5 * HOUR + 60


def test_some_seeds_have_pushes() -> None:
    """And the others the story that they always had."""
    count = sum(draw(seed).world.push_after is not None for seed in range(500))
    assert 0.5 * PUSHED < count / 500 < 2 * PUSHED
