"""What a run asks of Meta and of AWS: counts, for a regression in them costs every user time and quota every day.

`make bench` shows what the counts mean in seconds.
"""

from collections import Counter
from typing import Any

import pytest

from closrads.errors import EventError
from closrads.ledger import dynamodb
from sandbox.meta import MetaWorld
from tests.world import LIVE, World

OLD, NEW = "FL GA TX", "FL GA OH"
WANTED = dict.fromkeys(NEW.split(), 5)


def business(world: World, *, adsets: int, ads: int, states: str, parts: tuple[int, ...] = (1, 1, 2)) -> None:
    """Build a campaign for each number of Meta campaigns, with so many ad sets each."""
    for number, count in enumerate(parts, start=1):
        ids = [f"12021000000000{number}{part}00" for part in range(count)]
        world.campaign(WANTED, slug=f"c{number}", meta_campaigns=ids, account=f"act_{number}")
        for adset in range(adsets):
            world.adset(f"Ad set {number}/{adset}", states, campaign=ids[adset % count], ads=ads)


def cost(meta: MetaWorld) -> tuple[int, int, int]:
    """Return round trips, Graph operations and points."""
    return meta.round_trips, len(meta.operations), meta.points


def aws_calls(world: World) -> Counter[str]:
    """Return how often each operation of AWS was called."""
    return Counter(call.operation for call in world.sandbox.aws.requests)


class TestMeta:
    """What a run asks of Meta, in as few round trips as Meta allows."""

    def test_a_quiet_day_is_two_reads_per_meta_campaign(self, world: World) -> None:
        """Thirty ad sets in four Meta campaigns: their ad sets and their ads, each list in one page."""
        business(world, adsets=10, ads=4, states=NEW)

        world.run(LIVE)

        assert cost(world.meta) == (8, 8, 8)

    def test_a_change_day(self, world: World) -> None:
        """A canary of three round trips, then a wave of one write each and two batches for all."""
        business(world, adsets=10, ads=4, states=OLD, parts=(1,))

        result = world.run(LIVE)

        reads, canary, wave = 2, 3, 9 + 2
        assert result["graph"]["round_trips"] == world.meta.round_trips == reads + canary + wave
        assert len(world.meta.operations) == reads + 10 * (1 + 4 + 1)
        assert world.meta.points == reads + 10 * (3 + 4 * 3 + 1)
        assert world.time.waits == [3] * 2

    def test_snapshots_that_have_grown_old_are_read_once_more(self, world: World) -> None:
        """Of a hundred ad sets, those of the third wave and later: two reads each, fifty to a round trip."""
        business(world, adsets=100, ads=2, states=OLD, parts=(1,))

        world.run(LIVE)

        reads, canary, fresh_wave, old_waves = 2, 3, 25 + 2, [1 + 25 + 2, 1 + 25 + 2, 1 + 24 + 2]
        assert world.meta.round_trips == reads + canary + fresh_wave + sum(old_waves)
        assert world.meta.points == reads + 100 * (3 + 2 * 3 + 1) + 74 * 2

    @pytest.mark.parametrize(("adsets", "ads", "pages"), [(100, 2, 1 + 1), (101, 2, 2 + 2), (1000, 1, 10 + 5)])
    def test_large_campaigns_are_read_in_full_pages(self, world: World, adsets: int, ads: int, pages: int) -> None:
        """A hundred ad sets to a page, and two hundred ads."""
        business(world, adsets=adsets, ads=ads, states=NEW, parts=(1,))

        world.run(LIVE)

        assert world.meta.round_trips == pages

    def test_drift_is_two_reads_per_ad_account(self, world: World) -> None:
        """However many ad sets a person has changed: the activity log, and which app of its rows is ours."""
        business(world, adsets=10, ads=2, states=OLD, parts=(2,))
        world.run(LIVE)
        world.time.next_day()
        for adset in world.meta.adsets.values():
            world.meta.person_edits_targeting(adset.id, states=OLD, published=True)
        before = world.meta.round_trips

        result = world.run(LIVE)

        reads, canary, wave, drift = 2 * 2, 3, 9 + 2, 1 + 1
        assert result["graph"]["round_trips"] == world.meta.round_trips - before == reads + canary + wave + drift

    def test_an_ad_that_was_off_costs_nothing_more(self, world: World) -> None:
        """It is never re-published."""
        business(world, adsets=1, ads=4, states=OLD, parts=(1,))
        for ad in list(world.meta.ads.values())[:3]:
            ad.status = "PAUSED"

        world.run(LIVE)

        assert len([operation for operation in world.meta.writes if operation.kind == "ad"]) == 1


class TestAws:
    """What a run asks of AWS, and whether it makes clients that it does not need."""

    def test_a_quiet_day(self, world: World) -> None:
        """Parameters in pages of ten; per campaign what is open, and what earlier runs have left and changed."""
        business(world, adsets=10, ads=4, states=NEW)

        world.run(LIVE)

        assert aws_calls(world) == {
            "GetParametersByPath": 2,
            "TransactWriteItems": 2,  # leases taken and given back
            "PutItem": 1,
            "Query": 3 * 3,
            "GetItem": 3,  # when each was rechecked last
            "UpdateItem": 1,
            "SendEmail": 1,
        }

    def test_a_change_day(self, world: World) -> None:
        """A wave takes as many transactions as an ad set that goes alone: one for each step."""
        business(world, adsets=26, ads=1, states=OLD, parts=(1,))

        world.run(LIVE)

        steps = len(("prepared", "written", "republished", "verified"))
        assert aws_calls(world)["TransactWriteItems"] == 2 + 2 * steps
        assert aws_calls(world)["Query"] == 3 + 1  # what this run has left
        assert "UpdateItem" not in aws_calls(world) - Counter({"UpdateItem": 1})

    @pytest.mark.parametrize("event", [{"action": "dance"}, {"campaigns": ["nobody"]}])
    def test_a_refused_event_makes_no_client_but_for_the_parameters(
        self, world: World, event: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the ledger's nor the mail's: each takes a tenth of a second at the first use."""
        business(world, adsets=1, ads=1, states=NEW, parts=(1,))

        def no_client() -> None:
            pytest.fail("a client was made")

        monkeypatch.setattr(dynamodb, "_dynamodb", no_client)
        monkeypatch.setattr("closrads.notifier._ses", no_client)
        with pytest.raises(EventError):
            world.run(event)
