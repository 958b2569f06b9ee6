"""Canaries and waves: who goes together, who waits, and when a campaign is stopped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.changes import ChangeState
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import Result
from closrads.domain.targeting import _build_new_targeting
from closrads.errors import SyncFailed
from closrads.ledger.changes import Ledger
from closrads.rollout.rollout import Caution
from closrads.sync import _time_key
from sandbox.aws import DROPPED
from sandbox.meta import Breakage, Operation, faults
from sandbox.meta.targeting import codes
from sandbox.server import Reply
from tests.ledger_world import RECHECK, entries, leases, only_reads, recorded_state, result_of
from tests.world import LIVE, MORTGAGE_1, World

GOOD = Result.UPDATED
BAD = (Result.REVERTED, Result.ROLLBACK_FAILED, Result.UNVERIFIED)
UNTRIED = tuple(result for result in Result if result not in {GOOD, *BAD})
WAVES = st.lists(st.lists(st.sampled_from(Result), max_size=8), max_size=8)


def cautious(*history: Sequence[Result], wave_size: int = 25) -> Caution:
    """Return the caution after these waves, none of which may have stopped it."""
    caution = Caution(wave_size)
    for wave in history:
        assert caution.note(wave) == ""
    return caution


class TestCaution:
    """How many go together next, and whether any do."""

    def test_one_good_update_opens_the_way(self) -> None:
        """The first goes alone, then as many as the limit says."""
        assert cautious(wave_size=7).size == 1
        assert cautious([GOOD], wave_size=7).size == 7

    @pytest.mark.parametrize("bad", BAD)
    def test_two_bad_canaries_in_a_row_stop_the_campaign(self, bad: Result) -> None:
        """What cannot be shown to be well counts as bad too."""
        caution = cautious([bad])

        assert caution.size == 1
        assert caution.note([bad]).startswith("Stopped: 2 ad sets in a row")

    def test_a_bad_canary_and_a_good_one_say_nothing_of_the_next(self) -> None:
        """Only two in a row count."""
        caution = cautious([Result.REVERTED], [GOOD], [Result.REVERTED], [GOOD])

        assert caution.note([Result.REVERTED]) == ""
        assert caution.note([Result.REVERTED])

    def test_a_wave_parts_two_that_went_alone(self) -> None:
        """What most of a wave has shown counts more than what was before it."""
        assert cautious([GOOD], [Result.REVERTED], [GOOD, GOOD, Result.REVERTED]).note([Result.REVERTED]) == ""

    def test_a_good_second_canary_opens_the_way(self) -> None:
        """One bad ad set never blocks the others."""
        assert cautious([Result.REVERTED], [GOOD]).size == 25

    @pytest.mark.parametrize("untried", UNTRIED)
    def test_what_was_not_tried_says_nothing(self, untried: Result) -> None:
        """Neither good nor bad: the next is a canary as before, and two bad ones around it are in a row."""
        assert cautious([untried], [untried], [untried]).size == 1
        assert cautious([Result.REVERTED], [untried]).note([Result.REVERTED])
        assert cautious([GOOD], [untried] * 20).size == 25

    @given(WAVES)
    def test_the_way_stays_open(self, waves: list[list[Result]]) -> None:
        """A campaign that was proven good is stopped by a bad wave only, never sent back to canaries."""
        caution = cautious([GOOD])
        for wave in waves:
            caution.note(wave)
            assert caution.size == 25

    @given(WAVES)
    def test_only_what_was_put_back_stops(self, waves: list[list[Result]]) -> None:
        """However many are refused, skipped or deferred, nothing is stopped for them."""
        caution = Caution(25)
        for wave in waves:
            assert caution.note([result for result in wave if result not in BAD]) == ""

    @given(st.integers(0, 20), st.integers(0, 20), st.lists(st.sampled_from(UNTRIED), max_size=5), st.randoms())
    def test_half_of_a_wave_stops_the_campaign(self, good: int, bad: int, untried: list[Result], random: Any) -> None:
        """Of those that were tried, in any order; the figures are in the message."""
        wave = [GOOD] * good + [BAD[number % len(BAD)] for number in range(bad)] + untried
        random.shuffle(wave)

        said = cautious([GOOD]).note(wave)

        if good + bad > 1:
            assert bool(said) is (bad >= good)
            assert not said or f"{bad} of the {good + bad} ad sets" in said


# --- through the handler


@dataclass
class Business:
    """One campaign that wants Florida, of ad sets in Texas with names of one letter, and ways to see what happens."""

    world: World
    ids: dict[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    """The last run's."""

    def adsets(self, names: str, bad: str = "", ads: int = 2, breakage: Breakage | None = None) -> None:
        """Add an ad set for each name; those that are named in `bad` have to be put back."""
        for name in names:
            effect = Breakage.stubborn() if name in bad else breakage
            self.ids[name] = self.world.adset(name, "TX", ads=ads, breakage=effect)

    def heal(self, names: str) -> None:
        """Let ad sets no longer break."""
        for name in names:
            for ad in self.world.meta.ads_of(self.ids[name]):
                ad.breakage = None

    def want(self, demand: str) -> None:
        """Let CLOSRTECH ask for other states."""
        self.world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = dict.fromkeys(codes(demand), 5)

    def run(self, event: Any = LIVE) -> dict[str, str]:
        """Run an event and return the names with each result, whether the run failed or not."""
        self.world.meta.requests.clear()
        self.world.time.waits.clear()
        self.result = result_of(self.world, event)
        return self.came_to

    @property
    def came_to(self) -> dict[str, str]:
        """The names with each result: "A B C"."""
        found: dict[str, list[str]] = {}
        for campaign in self.result["campaigns"]:
            for adset in campaign["adsets"]:
                found.setdefault(adset["result"], []).append(adset["name"])
        return {result: " ".join(sorted(names)) for result, names in found.items()}

    @property
    def errors(self) -> str:
        """What was wrong with the last run, in lines."""
        return "\n".join(error for campaign in self.result["campaigns"] for error in campaign["errors"])

    def issues(self, name: str) -> str:
        """Return what the last result says of an ad set."""
        adsets = [adset for campaign in self.result["campaigns"] for adset in campaign["adsets"]]
        (issues,) = (adset["issues"] for adset in adsets if adset["name"] == name)
        return "\n".join(issues)

    # --- what Meta saw

    def names(self, operations: Iterable[Operation]) -> str:
        """Return the ad sets that operations are about, once each, by name: those of a wave come in any order."""
        owners = {ad.id: ad.adset.id for ad in self.world.meta.ads.values()}
        by_id = {adset_id: name for name, adset_id in self.ids.items()}
        found = (by_id.get(owners.get(operation.object_id, operation.object_id)) for operation in operations)
        return " ".join(sorted({name for name in found if name}))

    def batches(self, first: str) -> list[str]:
        """Return the ad sets of each batch whose first call is such a one."""
        batches = [request.operations for request in self.world.meta.requests if request.path == ""]
        return [self.names(batch) for batch in batches if f"{batch[0].method} {batch[0].kind}" == first]

    @property
    def waves(self) -> list[str]:
        """The ad sets that were re-published together, wave after wave."""
        return self.batches("POST ad")

    @property
    def written(self) -> str:
        """The ad sets that were written."""
        return self.names(operation for operation in self.world.meta.writes if operation.kind == "adset")

    @property
    def refused(self) -> list[Operation]:
        """The calls that Meta refused."""
        return [operation for operation in self.world.meta.operations if operation.status != 200]

    def assert_nothing_half_done(self) -> None:
        """Check that each ad set is as it was or as wanted, its ads re-published after each write and healthy."""
        self.assert_all_republished()
        self.world.meta.settle()
        updated = self.came_to.get("updated", "").split()
        for name, adset_id in self.ids.items():
            assert self.world.meta.states(adset_id) == ({"FL"} if name in updated else {"TX"}), name
            assert {ad.effective_status for ad in self.world.meta.ads_of(adset_id)} <= {"ACTIVE"}, name
        self.assert_nothing_open()

    def assert_all_republished(self) -> None:
        """Check that each ad was re-published after the last write of its ad set."""
        stale: dict[str, str] = {}
        for write in self.world.meta.writes:
            if write.kind == "adset":
                stale |= {ad.id: write.object_id for ad in self.world.meta.ads_of(write.object_id)}
            else:
                stale.pop(write.object_id, None)
        assert stale == {}

    def assert_nothing_open(self) -> None:
        """Check that the next run has nothing to finish or to undo."""
        assert [item["sk"] for item in self.world.sandbox.aws.ledger() if "open_since" in item] == []


@pytest.fixture
def business(world: World) -> Business:
    """Return a business that goes in waves of four."""
    world.campaign("FL")
    world.put({"limits/wave_size": "4"})
    return Business(world)


class TestWaves:
    """Who goes together."""

    def test_a_canary_goes_alone_then_waves(self, business: Business) -> None:
        """Each wave is re-published in one batch, waited for once and looked at in one batch."""
        business.adsets("ABCDEFGHIJ")

        assert business.run() == {"updated": "A B C D E F G H I J"}
        assert business.waves == business.batches("GET ads") == ["A", "B C D E", "F G H I", "J"]
        assert business.world.time.waits == [3, 3, 3, 3]
        business.assert_nothing_half_done()

    def test_nothing_of_a_wave_begins_before_the_last_one_is_seen_through(self, business: Business) -> None:
        """The order of the layers, wave by wave."""
        business.adsets("ABC")

        business.run()

        kinds = [
            "+".join(f"{operation.method} {operation.kind}" for operation in request.operations)
            for request in business.world.meta.requests
        ]
        assert sorted(kinds[:2]) == ["GET ads", "GET adsets"]
        assert kinds[2:] == [
            *("POST adset", "POST ad+POST ad", "GET ads"),
            *("POST adset", "POST adset", "POST ad+POST ad+POST ad+POST ad", "GET ads+GET ads"),
        ]

    def test_what_was_read_long_ago_is_read_again_before_a_write(self, business: Business) -> None:
        """A wave in one batch; what is no older than a few seconds is not."""
        business.world.put({"limits/verify_wait_seconds": "2"})
        business.adsets("ABCDEFGHIJKLMN")

        assert business.run() == {"updated": "A B C D E F G H I J K L M N"}
        assert business.waves == ["A", "B C D E", "F G H I", "J K L M", "N"]
        assert business.batches("GET adset") == ["J K L M", "N"]

    def test_what_is_to_be_read_again_and_cannot_be_keeps_no_other_from_its_turn(self, business: Business) -> None:
        """Only the one that Meta does not show is not updated."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", business.ids["C"]), times=None
        )

        assert business.run() == {"updated": "A B D E", "failed": "C"}
        business.assert_nothing_half_done()

    def test_what_is_to_be_read_again_and_brings_no_answer_keeps_no_other_from_its_turn(
        self, business: Business
    ) -> None:
        """The same where trying again may help, and does not."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.NULL_ITEM, on=lambda call: (call.method, call.path) == ("GET", business.ids["C"]), times=None
        )

        assert business.run() == {"updated": "A B D E", "failed": "C"}

    def test_a_wave_of_many_ads_takes_several_batches(self, business: Business) -> None:
        """More ads than fit into one batch, and still one wait."""
        business.adsets("ABC", ads=30)

        assert business.run() == {"updated": "A B C"}
        assert business.waves in (["A", "B C", "B"], ["A", "B C", "C"])
        assert business.world.time.waits == [3, 3]
        business.assert_nothing_half_done()

    def test_what_turns_out_to_be_no_change_proves_nothing(self, business: Business) -> None:
        """A person has done the second one when its turn comes: the next is the canary."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCD", bad="A")

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset":
                business.world.meta.on_request = None
                business.world.meta.change_by_hand(business.ids["B"], {"geo_locations": {"regions": [{"key": "3852"}]}})

        business.world.meta.on_request = person_comes

        assert business.run() == {"reverted": "A", "unchanged": "B", "updated": "C D"}
        assert business.waves == ["A", "A", "C", "D"]

    def test_ad_sets_of_two_meta_campaigns_share_a_canary_and_waves(self, world: World) -> None:
        """A campaign is what has one feed, however many Meta campaigns it has."""
        world.campaign("FL", meta_campaigns=("120200000000000900", MORTGAGE_1))
        business = Business(world)
        business.adsets("AB")
        for name in "CD":
            business.ids[name] = world.adset(name, campaign=MORTGAGE_1)

        assert business.run() == {"updated": "A B C D"}
        assert business.waves == ["A", "B C D"]

    def test_each_campaign_has_a_canary_of_its_own(self, business: Business) -> None:
        """What one has proven says nothing about another, and one that is stopped does not stop the other."""
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        for name in "XYZ":
            business.ids[name] = business.world.adset(name, campaign=MORTGAGE_1, breakage=Breakage.stubborn())
        business.adsets("ABC")

        assert business.run() == {"reverted": "X Y", "held": "Z", "updated": "A B C"}
        assert business.errors.startswith("Stopped: 2 ad sets in a row")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("seconds", [0.2, 0.7, 2])
    def test_no_ad_set_waits_long_for_its_republish(self, business: Business, seconds: float) -> None:
        """A wave is written side by side, so ads that break soon after a write do not."""
        business.adsets("ABCDEFGHI", breakage=Breakage.ordinary(seconds=5 * seconds))
        business.world.slow_down(seconds)

        assert business.run() == {"updated": "A B C D E F G H I"}
        assert business.waves == ["A", "B C D E", "F G H I"]
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        ("reply", "call", "seconds"),
        [
            pytest.param(faults.throttled_account(300), "GET", 20, id="throttled look"),
            pytest.param(faults.SERVICE_UNAVAILABLE, "GET", 4, id="look at a bad moment"),
            pytest.param(faults.throttled_account(300), "POST", 20, id="throttled write"),
            pytest.param(faults.DROPPED, "POST", 4, id="lost write"),
        ],
    )
    def test_trouble_with_one_ad_set_does_not_keep_the_others_waiting(
        self, business: Business, reply: Reply, call: str, seconds: float
    ) -> None:
        """What is written is re-published before anything is waited for."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=seconds))
        times = 1 if seconds > 10 else 2
        business.world.meta.fail(
            reply, on=lambda operation: (operation.method, operation.path) == (call, business.ids["C"]), times=times
        )

        assert business.run() == {"updated": "A B C D"}
        business.assert_all_republished()

    def test_an_ad_set_that_somebody_changed_does_not_keep_the_others_waiting(self, business: Business) -> None:
        """A person comes behind a lost write: what is of ours is re-published first."""
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=7))
        adset = business.ids["C"]
        business.world.meta.fail(faults.DROPPED, on=lambda call: (call.method, call.path) == ("POST", adset))

        def person_comes(call: Operation) -> None:
            if (call.method, call.path) == ("POST", adset):
                business.world.meta.on_request = None
                business.world.meta.change_by_hand(adset, {"age_max": 40})

        business.world.meta.on_request = person_comes

        assert business.run() == {"updated": "A B D", "superseded": "C"}


class TestCanaries:
    """What the first ad sets say about the day."""

    def test_a_second_canary_follows_a_bad_one(self, business: Business) -> None:
        """One bad ad set never blocks the others."""
        business.adsets("ABCDEF", bad="A")

        assert business.run() == {"reverted": "A", "updated": "B C D E F"}
        assert business.waves == ["A", "A", "B", "C D E F"]
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_two_bad_ones_in_a_row_stop_the_campaign(self, business: Business) -> None:
        """Meta breaks everything today: the rest is not touched, and the run fails."""
        business.adsets("ABCDEF", bad="ABCDEF")

        assert business.run() == {"reverted": "A B", "held": "C D E F"}
        assert business.written == "A B"
        assert business.errors.startswith("Stopped: 2 ad sets in a row")
        assert "stopped before its turn" in business.issues("C")
        business.assert_nothing_half_done()

    def test_a_refusal_of_one_ad_set_is_no_rollback(self, business: Business) -> None:
        """Meta refuses something about the first three: the next is a canary, and one bad one does not stop."""
        business.adsets("ABCDEFG", bad="D")
        business.world.meta.fail(
            faults.INTEREST_RETIRED,
            on=lambda call: call.method == "POST" and call.object_id in [business.ids[name] for name in "ABC"],
            times=None,
        )

        assert business.run() == {"failed": "A B C", "reverted": "D", "updated": "E F G"}
        assert business.waves == ["D", "D", "E", "F G"]
        assert "Stopped" not in business.errors

    def test_a_refusal_between_two_bad_canaries_does_not_part_them(self, business: Business) -> None:
        """They are still two in a row of those that were tried."""
        business.adsets("ABCDE", bad="AC")
        business.world.meta.fail(
            faults.AUDIENCE_FLAGGED, on=lambda call: (call.method, call.path) == ("POST", business.ids["B"])
        )

        assert business.run() == {"reverted": "A C", "failed": "B", "held": "D E"}

    def test_a_canary_whose_ads_cannot_be_read_is_none_to_follow(self, business: Business) -> None:
        """Not to know how it is after the update is as bad as to know that it is not well."""
        business.adsets("ABCDE")
        business.world.meta.fail(
            faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{business.ids['A']}/ads", times=None
        )

        assert business.run() == {"unverified": "A", "updated": "B C D E"}
        assert business.waves == ["A", "B", "C D E"]

    def test_a_rollback_that_fails_counts_like_one_that_does_not(self, business: Business) -> None:
        """Two ad sets that are worse than before are more than enough."""
        business.adsets("ABCD", breakage=Breakage.incurable())

        assert business.run() == {"rollback_failed": "A B", "held": "C D"}


class TestBadWaves:
    """How many of a wave may break."""

    def test_half_of_a_wave_stops_the_campaign(self, business: Business) -> None:
        """Those that are well stay updated, the broken ones are put back, the rest is held."""
        business.adsets("ABCDEFGH", bad="CE")

        assert business.run() == {"updated": "A B D", "reverted": "C E", "held": "F G H"}
        assert business.errors == ("Stopped: 2 of the 4 ad sets of a wave had to be put back or could not be verified")
        assert business.written == "A B C D E"
        business.assert_nothing_half_done()

    def test_less_than_half_does_not(self, business: Business) -> None:
        """One bad one in each wave of four: all others are updated, and the run succeeds."""
        business.adsets("ABCDEFGHI", bad="CF")

        assert business.run() == {"updated": "A B D E G H I", "reverted": "C F"}
        assert business.result["success"]
        business.assert_nothing_half_done()

    def test_those_of_a_wave_are_put_back_together(self, business: Business) -> None:
        """Three of eight: one batch of re-publishes and one wait for them all."""
        business.world.put({"limits/wave_size": "8"})
        business.adsets("ABCDEFGHI", bad="CEG")

        assert business.run() == {"updated": "A B D F H I", "reverted": "C E G"}
        assert business.waves == ["A", "B C D E F G H I", "C E G"]
        assert business.world.time.waits == [3, 3, 3]

    def test_two_that_went_alone_stop_the_campaign_too(self, business: Business) -> None:
        """Where waves are of one."""
        business.world.put({"limits/wave_size": "1"})
        business.adsets("ABCDEFG", bad="BDE")

        assert business.run() == {"updated": "A C", "reverted": "B D E", "held": "F G"}
        assert business.errors.startswith("Stopped: 2 ad sets in a row")

    @pytest.mark.parametrize("bad", ["AB", "BC", "C"])
    def test_with_nothing_left_nothing_is_stopped(self, business: Business, bad: str) -> None:
        """What was put back is reported, and is no failure of the campaign."""
        business.adsets("AB" if bad == "AB" else "ABC", bad=bad)

        assert set(business.run()) <= {"reverted", "updated"}
        assert business.result["success"]


class TestMemory:
    """Ad sets that had to be put back on other days."""

    def test_those_that_were_put_back_go_last(self, business: Business) -> None:
        """So they are neither canaries nor spoil the others' waves."""
        business.world.put({"limits/wave_size": "1"})
        business.adsets("ABCDEF", bad="AC")
        assert business.run() == {"reverted": "A C", "updated": "B D E F"}
        business.adsets("XYZ")
        business.world.time.next_day()

        assert business.run() == {"reverted": "A C", "updated": "X Y Z", "unchanged": "B D E F"}
        assert business.waves == ["X", "Y", "Z", "A", "A", "C", "C"]

    def test_after_two_runs_in_a_row_it_is_left_alone(self, business: Business) -> None:
        """Each try restarts its learning phase; a person has to look, and is told what to do."""
        business.adsets("ABC", bad="A")
        for _ in range(2):
            assert "A" in business.run()["reverted"]
            business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B C"}
        assert business.written == ""
        assert "put back on 2 runs in a row" in business.issues("A")
        assert '"force": ["reverted_before"]' in business.issues("A")
        assert business.result["success"]

    def twice_put_back(self, business: Business) -> None:
        """Let A be put back on two days; on the third it would be well."""
        business.adsets("AB", bad="A")
        for _ in range(2):
            business.run()
            business.world.time.next_day()
        business.heal("A")

    def test_force_tries_it_again(self, business: Business) -> None:
        """Once a person has seen to it."""
        self.twice_put_back(business)

        assert business.run({**LIVE, "force": ["reverted_before"]}) == {"updated": "A", "unchanged": "B"}

    def test_another_demand_tries_it_again(self, business: Business) -> None:
        """Other states may do no harm."""
        self.twice_put_back(business)
        business.want("FL GA")

        assert business.run() == {"updated": "A B"}

    def test_it_is_left_alone_only_for_the_same_states_twice(self, business: Business) -> None:
        """Put back for one demand and then for another: the count starts anew."""
        business.adsets("AB", bad="A")
        for demand in ("FL", "GA", "OH", "GA"):
            business.want(demand)
            assert business.run() == {"reverted": "A", "updated": "B"}
            business.world.time.next_day()
        assert business.run() == {"reverted": "A", "unchanged": "B"}
        business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B"}

    def test_a_success_is_forgotten_with_what_was_before(self, business: Business) -> None:
        """Once bad, then good, then bad: that is the first time in a row."""
        business.adsets("AB", bad="A")
        business.run()
        business.world.time.next_day()
        business.heal("A")
        assert business.run() == {"updated": "A", "unchanged": "B"}
        assert entries(business.world, "MEMORY#") == []
        for demand in ("TX", "FL"):
            business.want(demand)
            business.world.time.next_day()
            for ad in business.world.meta.ads_of(business.ids["A"]):
                ad.breakage = Breakage.stubborn() if demand == "FL" else None
            business.run()
        business.world.time.next_day()

        assert "A" in business.run()["reverted"]

    def test_a_failed_try_by_force_counts_on(self, business: Business) -> None:
        """After the third time it is left alone as before."""
        business.adsets("AB", bad="A")
        for force in ([], [], ["reverted_before"]):
            assert "A" in business.run({**LIVE, "force": force})["reverted"]
            business.world.time.next_day()

        assert business.run() == {"needs_attention": "A", "unchanged": "B"}
        assert "put back on 3 runs in a row" in business.issues("A")

    def test_a_dry_run_says_so_too_and_remembers_nothing(self, business: Business) -> None:
        """What would become of it is what a live run would make of it."""
        business.adsets("AB", bad="A")
        business.run()
        business.world.time.next_day()
        with only_reads(business.world):
            assert business.world.run({})["campaigns"][0]["adsets_updated"] == 1
        assert "A" in business.run()["reverted"]
        business.world.time.next_day()
        with only_reads(business.world):
            assert business.world.run({})["campaigns"][0]["adsets_needs_attention"] == 1


class TestDeferred:
    """Ad sets that a run left to the next."""

    def test_the_next_run_takes_them_first(self, business: Business) -> None:
        """Else the last ones might never have their turn."""
        business.world.put({"limits/max_adsets": "2", "limits/wave_size": "1"})
        business.adsets("ABCDE")
        assert business.run() == {"updated": "A B", "deferred": "C D E"}
        business.world.time.next_day()
        business.want("GA")

        assert business.run() == {"updated": "C D", "deferred": "A B E"}
        business.world.time.next_day()
        assert business.run() == {"updated": "A B", "unchanged": "C D", "deferred": "E"}

    def test_what_was_done_is_no_longer_remembered(self, business: Business) -> None:
        """The order is then as it was."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.run()
        business.world.time.next_day()
        assert business.run() == {"updated": "B", "unchanged": "A"}
        business.world.time.next_day()
        business.want("GA")

        assert business.run() == {"updated": "A", "deferred": "B"}

    def test_a_dry_run_leaves_it_as_it_is(self, business: Business) -> None:
        """It says what the next live run would take first, and that stays so."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.run()
        business.world.time.next_day()
        business.want("GA")

        with only_reads(business.world):
            answer = business.world.run({"dry_run": True})

        assert [each["name"] for each in answer["campaigns"][0]["adsets"] if each["result"] == "updated"] == ["B"]

    def test_a_ledger_that_cannot_note_it_is_no_failure(self, business: Business) -> None:
        """They have their turn all the same, only not first."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("AB")
        business.world.sandbox.aws.fail("dynamodb", "PutItem", "InternalServerError", 500, times=None, skip=1)

        assert business.run() == {"updated": "A", "deferred": "B"}
        assert business.result["success"]


class TestQuota:
    """Meta allows only so many points in five minutes; an account of the limited tier sixty."""

    @pytest.mark.parametrize("bad", ["", "A"])
    def test_a_limited_account_is_never_asked_too_much(self, business: Business, bad: str) -> None:
        """Whole ad sets are updated, after waits as the deadline allows; the rest is left to the next runs."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGHIJKLMNOP", bad=bad)

        came_to = business.run()

        assert len(came_to["updated"].split()) > 8
        assert came_to["deferred"]
        assert "Meta's quota for act_111 is used up" in business.issues(came_to["deferred"][0])
        assert business.result["success"]
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()
        assert business.refused == []
        business.world.time.next_day()
        business.heal(bad)
        assert set(business.run()) == {"updated", "unchanged"}
        assert business.refused == []

    def test_with_too_little_time_for_a_wait_the_rest_is_deferred_at_once(self, business: Business) -> None:
        """Nobody waits for what cannot be finished then."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGH")
        business.world.time.deadline = business.world.time.seconds() + 290

        came_to = business.run()

        assert set(came_to) == {"updated", "deferred"}
        assert set(business.world.time.waits) == {3}
        business.assert_nothing_half_done()

    def test_what_others_have_used_counts(self, business: Business) -> None:
        """Another program is at work on the account: its points are waited for before anything is begun."""
        business.world.meta.add_account("act_111", "limited")
        business.world.meta.spend("act_111", 50)
        business.adsets("AB")

        assert business.run() == {"updated": "A B"}
        assert business.world.time.waits[0] == pytest.approx(300, abs=10)
        assert business.refused == []

    def test_two_campaigns_of_one_account_share_its_quota(self, business: Business) -> None:
        """What one has used the other does not have."""
        business.world.meta.add_account("act_111", "limited")
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        for name in "XYZ":
            business.ids[name] = business.world.adset(name, campaign=MORTGAGE_1)
        business.adsets("ABC")

        assert business.run() == {"updated": "A B C X Y Z"}
        assert business.refused == []
        assert max(business.world.time.waits) > 200

    @pytest.mark.parametrize(("ads", "result"), [(8, "updated"), (9, "needs_attention")])
    def test_what_the_tier_never_allows_is_not_begun(self, business: Business, ads: int, result: str) -> None:
        """Sixty points are enough for eight ads, rollback included; with more the advice is what a person can do."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("A", ads=ads)
        business.adsets("B")

        came_to = business.run()

        assert came_to.get(result, "")[:1] == "A"
        assert "B" in came_to["updated"]
        assert business.refused == []
        if result == "needs_attention":
            assert "takes 66 points" in business.issues("A")
            assert "the access tier allows 60 in five minutes" in business.issues("A")
            assert "Ask Meta for full access, or give it fewer ads" in business.issues("A")
            assert business.names(business.world.meta.writes) == "B"

    def test_a_full_account_hardly_ever_waits(self, business: Business) -> None:
        """The wave is as large as the limit says."""
        business.world.put({"limits/wave_size": "25"})
        business.adsets("ABCDEFGHIJKLMN", ads=4)

        assert business.run() == {"updated": "A B C D E F G H I J K L M N"}
        assert business.world.time.waits == [3, 3]

    def test_a_wave_is_as_large_as_the_quota_allows(self, business: Business) -> None:
        """Others have left room for two of the wave of four."""
        business.adsets("ABCDE")
        business.world.meta.spend("act_111", 9_000 - 14 - 60)

        assert business.run() == {"updated": "A B C D E"}
        assert [len(wave.split()) for wave in business.waves][:2] == [1, 2]
        assert business.refused == []

    def test_a_recheck_keeps_within_the_quota_too(self, business: Business) -> None:
        """The ads of ten ad sets break later: they are put back as the quota allows, and never half."""
        business.world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGHIJ", breakage=Breakage.late(600))
        business.run()
        business.world.time.pass_by(1200)
        business.world.time.deadline = business.world.time.seconds() + 900

        business.run(RECHECK)

        assert business.refused == []


class TestDeadline:
    """An invocation ends when it ends."""

    def open(self, business: Business, seconds: float, pace: float, count: int = 20, bad: int = 0) -> None:
        """Have so many seconds, and so many ad sets, some of them bad; each exchange with Meta takes `pace`."""
        for number in range(1, count + 1):
            is_bad = bad and number % bad == 0
            business.ids[f"N{number}"] = business.world.adset(
                f"N{number}", breakage=Breakage.stubborn() if is_bad else None
            )
        business.world.slow_down(pace)
        business.world.time.deadline = business.world.time.seconds() + seconds

    @pytest.mark.parametrize("bad", [0, 5], ids=["well", "every fifth bad"])
    @pytest.mark.parametrize(("seconds", "pace"), [(25, 0.05), (30, 0.1), (40, 0.3), (60, 0.5), (90, 1.5)])
    def test_whatever_is_begun_is_finished_in_time(
        self, business: Business, seconds: float, pace: float, bad: int
    ) -> None:
        """Some are updated, the rest is deferred, none is half done, and there is time left for the mail."""
        self.open(business, seconds, pace, bad=bad)

        came_to = business.run()

        assert came_to["updated"]
        assert came_to.get("deferred") or seconds > 30
        assert set(came_to) <= {"updated", "deferred"} | ({"reverted", "held"} if bad else set())
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()
        assert len(business.world.sandbox.aws.mails) == 1

    def test_sixty_ad_sets_in_twenty_five_seconds(self, business: Business) -> None:
        """What fits is done, and the next run goes on."""
        business.world.put({"limits/wave_size": "25"})
        self.open(business, 25, 0.1, count=60)

        came_to = business.run()

        assert len(came_to["updated"].split()) >= 3
        assert came_to["deferred"]
        assert "Too little time" in business.issues(came_to["deferred"].split()[0])
        assert business.result["success"]
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("seconds", [5, 11, 16])
    def test_with_too_little_time_for_anything_nothing_is_begun(self, business: Business, seconds: float) -> None:
        """All are deferred, unread and unwritten."""
        self.open(business, seconds, 0.1, count=5)

        assert business.run() == {"deferred": "N1 N2 N3 N4 N5"}
        assert sorted(operation.kind for operation in business.world.meta.operations) == ["ads", "adsets"]
        assert entries(business.world, "CHANGE#") == []

    def test_hardly_an_ad_set_is_looked_at_in_vain(self, business: Business) -> None:
        """A wave is as large as there is time for: who is looked at is written, but for the last wave at most."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        self.open(business, 45, 0.1)

        came_to = business.run()

        assert came_to["deferred"]
        assert len(business.batches("GET adset")) <= len(business.waves)

    def test_a_call_that_becomes_slow_amid_a_wave_is_reckoned_with(self, business: Business) -> None:
        """From the third ad set on everything takes two seconds: what is begun can still be put back."""
        self.open(business, 50, 0.05, bad=3)

        def slower(operation: Operation) -> None:
            if (operation.method, operation.path) == ("POST", business.ids["N3"]):
                business.world.slow_down(2)

        business.world.meta.on_request = slower

        assert business.run()["deferred"]
        assert business.world.time.seconds() <= business.world.time.deadline - 10
        business.assert_nothing_half_done()


class TestTrouble:
    """What stops a campaign amid a wave."""

    @pytest.mark.parametrize(
        ("reply", "refused", "rest"),
        [
            pytest.param(faults.POLICY_BLOCK, "failed", "held", id="policy"),
            pytest.param(faults.PERMISSION_MISSING, "failed", "held", id="permission"),
            pytest.param(faults.TOKEN_EXPIRED, "failed", "held", id="token"),
            pytest.param(faults.throttled_use_case(60), "deferred", "deferred", id="throttled"),
        ],
    )
    @pytest.mark.parametrize("good", [0, 1, 2, 4], ids=lambda good: f"{good} good")
    def test_what_concerns_the_account_ends_it_all(
        self, business: Business, reply: Reply, refused: str, rest: str, good: int
    ) -> None:
        """What is written is seen through; besides those under way at the time nothing is sent."""
        business.adsets("ABCDEFGH")
        business.world.meta.fail(reply, on="POST adset", skip=good, times=None)

        came_to = business.run()

        left = set("ABCDEFGH") - set(business.written.split())
        assert set(came_to) <= {"updated", refused, rest}
        assert came_to.get("updated", "") == business.written
        assert 1 <= len(business.refused) <= 4, [(call.kind, call.path) for call in business.world.meta.operations]
        assert refused == rest or business.names(business.refused) == came_to["failed"]
        assert {"F", "G", "H"} <= left & set(came_to[rest])
        assert business.errors.startswith("Stopped: Meta refuses") is (rest == "held")
        business.assert_nothing_half_done()

    def test_of_a_large_wave_only_those_under_way_are_refused(self, business: Business) -> None:
        """Ten are sent at once; behind the first refusal nothing more is."""
        business.world.put({"limits/wave_size": "25"})
        business.adsets("ABCDEFGHIJKLMNOPQ")
        business.world.meta.fail(faults.POLICY_BLOCK, on="POST adset", skip=1, times=None)

        came_to = business.run()

        assert came_to["updated"] == "A"
        assert 1 <= len(business.refused) <= 10
        assert len(came_to["failed"].split()) == len(business.refused)
        assert len(came_to["held"].split()) == 16 - len(business.refused)

    @pytest.mark.parametrize("reply", [faults.POLICY_BLOCK, faults.PERMISSION_MISSING, faults.throttled_use_case(60)])
    def test_a_refused_look_ends_the_wave_too(self, business: Business, reply: Reply) -> None:
        """Nothing of it is begun."""
        business.world.put({"limits/verify_wait_seconds": "6"})
        business.adsets("ABCDEFGH")
        business.world.meta.fail(
            reply, on=lambda call: (call.method, call.path) == ("GET", business.ids["D"]), times=None
        )

        came_to = business.run()

        assert set(came_to) in ({"updated", "failed", "held"}, {"updated", "deferred"})
        assert came_to["updated"] == business.written == "A"
        assert len(business.refused) == 1
        business.assert_nothing_half_done()

    def test_a_refusal_of_one_ad_set_ends_nothing(self, business: Business) -> None:
        """What Meta says against C it does not say against the others."""
        business.adsets("ABCDEFGH")
        business.world.meta.fail(
            faults.INTEREST_RETIRED, on=lambda call: (call.method, call.path) == ("POST", business.ids["C"])
        )

        assert business.run() == {"updated": "A B D E F G H", "failed": "C"}
        assert recorded_state(business.world, business.result["run_id"], business.ids["C"]) == ChangeState.NOT_WRITTEN
        assert "Stopped" not in business.errors
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        ("reply", "rest"), [(faults.POLICY_BLOCK, "held"), (faults.throttled_use_case(60), "deferred")]
    )
    def test_a_validation_is_stopped_likewise(self, business: Business, reply: Reply, rest: str) -> None:
        """What is refused to one is not asked for the next."""
        business.adsets("ABCD")
        business.world.meta.fail(reply, on="POST adset", skip=1, times=None)

        if rest == "held":
            with pytest.raises(SyncFailed, match=r"Veterans: Stopped: Meta refuses .*; B \("):
                business.world.run({"validate": True})
        else:
            assert business.run({"validate": True}) == {"updated": "A", "deferred": "B C D"}
        assert len(business.refused) == 1

    @pytest.mark.parametrize(
        ("steps", "came_to"),
        [
            pytest.param(0, {"failed": "A", "held": "B C D E F G H"}, id="canary"),
            pytest.param(4, {"updated": "A", "failed": "B C D E", "held": "F G H"}, id="wave"),
        ],
    )
    def test_without_the_ledger_nothing_is_written(
        self, business: Business, steps: int, came_to: Mapping[str, str]
    ) -> None:
        """Changes that cannot be written down are not made, and no others are tried."""
        business.adsets("ABCDEFGH")
        business.world.sandbox.aws.fail(
            "dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=1 + steps
        )

        assert business.run() == came_to

        assert business.written == came_to.get("updated", "")
        assert business.errors.startswith("Stopped: The ledger cannot be written")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("code", ["InternalServerError", DROPPED])
    def test_a_ledger_that_fails_after_the_write_does_not_keep_the_ads_from_protection(
        self, business: Business, code: str
    ) -> None:
        """What is at Meta comes first: re-published and verified; the change stays open, and the campaign stops."""
        business.adsets("ABCD", breakage=Breakage.ordinary(seconds=2))
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", code, 500, None, skip=2)

        assert business.run() == {"updated": "A", "held": "B C D"}
        assert business.errors.startswith("Stopped: The ledger cannot be written")
        run_id = business.result["run_id"]
        assert recorded_state(business.world, run_id, business.ids["A"]) == ChangeState.PREPARED
        business.world.meta.settle()
        assert {ad.effective_status for ad in business.world.meta.ads_of(business.ids["A"])} == {"ACTIVE"}

        business.world.sandbox.aws.clear_faults()
        business.world.time.next_day()
        assert business.run() == {"unchanged": "A", "updated": "B C D"}
        assert [recovery["state"] for recovery in business.result["recovered"]] == [ChangeState.VERIFIED]

    def test_a_ledger_that_fails_amid_a_wave_stops_the_campaign(self, business: Business) -> None:
        """What was begun is seen through, and is in the ledger to be looked at once more."""
        business.adsets("ABCDEFGH")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=6)

        assert business.run() == {"updated": "A B C D E", "held": "F G H"}

        assert business.errors.startswith("Stopped: The ledger cannot be written")
        opened = [item for item in entries(business.world, "CHANGE#") if "open_since" in item]
        assert {item["name"] for item in opened} == {"B", "C", "D", "E"}
        business.world.sandbox.aws.clear_faults()
        business.world.time.next_day()
        assert set(business.run()) == {"updated", "unchanged"}
        business.assert_nothing_open()

    def test_a_defect_before_a_write_is_one_ad_sets(self, business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
        """What trips the code over one ad set of a wave keeps no other from being changed."""
        business.adsets("ABCDE")

        def defective(targeting: Any, regions: Any) -> Any:
            if targeting["name_of_test"] == "C":
                raise KeyError("a defect")
            return _build_new_targeting(targeting, regions)

        for name, adset_id in business.ids.items():
            business.world.meta.adsets[adset_id].targeting["name_of_test"] = name
        monkeypatch.setattr("closrads.rollout.wave._build_new_targeting", defective)

        assert business.run() == {"updated": "A B D E", "failed": "C"}
        assert "Unexpected KeyError" in business.issues("C")
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("skip", [0, 3], ids=["canary", "wave"])
    def test_a_defect_in_the_ledger_does_not_keep_the_ads_from_protection(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, skip: int
    ) -> None:
        """Not even a mistake of this package leaves an ad set in between, or hides what was done before it."""
        business.adsets("ABCDEFGH")
        move, calls = Ledger.move, iter(range(100))

        def defective(book: Ledger, moves: Any) -> Any:
            if next(calls) >= skip:
                raise KeyError("CancellationReasons")
            return move(book, moves)

        monkeypatch.setattr(Ledger, "move", defective)

        came_to = business.run()

        business.assert_all_republished()
        assert set(business.written.split()) <= {name for names in came_to.values() for name in names.split()}

    def test_one_lost_word_to_the_ledger_is_made_up_for(self, business: Business) -> None:
        """The next step is taken down, so nothing stays open; the campaign stops all the same."""
        business.adsets("ABCD")
        business.world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, skip=2)

        assert business.run() == {"updated": "A", "held": "B C D"}
        business.assert_nothing_half_done()

    def test_a_targeting_too_large_for_the_ledger_is_that_ad_sets_trouble(
        self, business: Business, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is left alone, and the others are updated."""
        business.adsets("ABCD")
        business.world.meta.adsets[business.ids["B"]].targeting["unheard_of"] = "".join(map(str, range(2000)))
        monkeypatch.setattr("closrads.ledger.changes.MAX_ITEM_BYTES", 3000)

        assert business.run() == {"updated": "A C D", "failed": "B"}
        assert "too large for the ledger" in business.issues("B")
        assert "Stopped" not in business.errors
        business.assert_nothing_half_done()


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
        business.world.time.pass_by(931)
        assert business.run() == {"unchanged": "A"}


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
        assert leases(business.world).claim_time(_time_key(request), OTHER, until) == OTHER
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
        until = business.world.time.clock.now() + timedelta(seconds=100)
        leases(business.world).acquire(["veterans"], OTHER, until, Action.SYNC)
        assert business.world.run(SCHEDULED)["left_to"] == OTHER

        business.world.time.pass_by(101)
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
