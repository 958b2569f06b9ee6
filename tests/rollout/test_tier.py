"""An ad account whose answers never tell its access tier: nothing is begun that the smallest tier would cut off.

Meta sends usage headers only after enough calls (Graph API "Rate Limits"); its limits hold all the same.
"""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from closrads.domain.tiers import KnownTier
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.meta.rate_limit import PROVEN_FOR
from sandbox.meta import faults
from tests.business import Business
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, ledger
from tests.log_lines import logged
from tests.world import MORTGAGE_1, World

LIMITED, FULL = 60, 9_000
MANY = "ABCDEFGHIJKLMNOP"


def silent(world: World, tier: str, account: str = "act_111") -> None:
    """Let an ad account have a tier that no header tells."""
    world.meta.add_account(account, tier).shows_usage = False


def known(world: World) -> int | None:
    """Return the points that the ledger remembers."""
    tier = ledger(world).known_tier("act_111")
    return tier.points if tier else None


def remember(world: World, points: int, age: timedelta = timedelta()) -> None:
    """Let an earlier run have learned the tier."""
    ledger(world).keep_tier("act_111", KnownTier(points, world.time.clock.now() - age))


def next_day(business: Business, demand: str) -> None:
    """Go on to the next day, on which other states are wanted."""
    business.world.time.next_day()
    business.want(demand)


def proofs(business: Business) -> int:
    """Count the reads that only put the tier to the test."""
    return sum(operation.params.get("fields") == "id" for operation in business.world.meta.operations)


class TestLimited:
    """Sixty points in five minutes."""

    @pytest.mark.parametrize("bad", ["", "A"])
    def test_no_ad_set_is_left_half_done(self, business: Business, bad: str) -> None:
        """One read too many, while nothing is in progress, shows the tier; the next run knows it from the start."""
        silent(business.world, "limited")
        business.adsets(MANY, bad=bad)

        came_to = business.run()

        assert set(came_to) == {"updated", "deferred"} | ({"reverted"} if bad else set())
        assert len(came_to["updated"].split()) > 5
        assert business.result["success"]
        business.assert_nothing_half_done()
        assert [operation.params.get("fields") for operation in business.refused] == ["id"]
        assert known(business.world) == LIMITED

        business.world.time.next_day()
        business.heal(bad)
        assert set(business.run()) == {"updated", "unchanged"}
        assert business.refused == []
        business.assert_all_republished()

    def test_what_the_tier_never_allows_is_not_begun(self, business: Business) -> None:
        """That it does not is found out first."""
        silent(business.world, "limited")
        business.adsets("A", ads=9)

        assert business.run() == {"needs_attention": "A"}
        assert "the access tier allows 60 in five minutes" in business.issues("A")
        assert business.written == ""

    def test_two_campaigns_of_one_account_learn_it_together(self, business: Business) -> None:
        """Nothing is put to the test while the other is at work."""
        silent(business.world, "limited")
        business.world.campaign("FL", slug="truckers", meta_campaigns=(MORTGAGE_1,))
        for name in "UVWXYZ":
            business.ids[name] = business.world.adset(name, campaign=MORTGAGE_1)
        business.adsets("ABCDEF")

        came_to = business.run()

        assert set(came_to) <= {"updated", "deferred"}
        assert len(business.refused) <= 1
        business.assert_nothing_half_done()

    def test_a_run_of_several_invocations(self, business: Business) -> None:
        """Each of them knows what the one before has learned."""
        silent(business.world, "limited")
        business.adsets("ABCDEFGH")
        workflow = Workflow(business.world)

        answer = workflow.run(OPEN)

        assert answer["adsets_updated"] == 8
        assert len(business.refused) == 1
        assert all(0 < wait <= 300 for wait in workflow.waits)
        business.assert_all_republished()


class TestFull:
    """Nine thousand points in five minutes."""

    def test_slow_only_at_first(self, business: Business) -> None:
        """What is too much for the smallest tier is read once, and then nothing waits; the second run knows it."""
        silent(business.world, "full")
        business.world.put({"limits/wave_size": "25"})
        business.adsets(MANY, ads=4)

        assert business.run() == {"updated": " ".join(MANY)}
        assert set(business.world.time.waits) == {3}
        assert business.refused == []
        assert 0 < proofs(business) <= LIMITED
        assert known(business.world) == FULL

        next_day(business, "FL GA")
        assert business.run() == {"updated": " ".join(MANY)}
        assert len(business.world.time.waits) == 2
        assert proofs(business) == 0

    def test_an_ad_set_of_many_ads(self, business: Business) -> None:
        """More than the smallest tier allows at all is begun once the tier is proven."""
        silent(business.world, "full")
        business.adsets("A", ads=9)

        assert business.run() == {"updated": "A"}
        assert proofs(business) == LIMITED + 1 - 2

    def test_a_run_of_several_invocations(self, business: Business) -> None:
        """It need not wait at all."""
        silent(business.world, "full")
        business.adsets(MANY)
        workflow = Workflow(business.world)

        assert workflow.run(OPEN)["adsets_updated"] == len(MANY)
        assert workflow.waits == []

    def test_a_quiet_day_asks_nothing(self, business: Business) -> None:
        """Neither the ledger nor Meta."""
        silent(business.world, "full")
        business.run()

        assert proofs(business) == 0
        assert known(business.world) is None

    @pytest.mark.parametrize(
        "fault", [faults.BAD_GATEWAY_HTML, faults.PERMISSION_MISSING], ids=["no answer", "no right"]
    )
    def test_a_proof_that_fails(self, business: Business, fault: Any) -> None:
        """What is not known to be allowed is not begun; the rest is done as slowly as the smallest tier wants it."""
        silent(business.world, "full")
        business.adsets("A", ads=9)
        business.adsets("B")
        business.world.meta.fail(fault, on=lambda operation: operation.params.get("fields") == "id", times=None)

        assert business.run() == {"deferred": "A", "updated": "B"}
        assert "takes 66 points of Meta's quota" in business.issues("A")
        assert "whether the access tier of act_111 allows so many could not be found out" in business.issues("A")
        assert known(business.world) is None

    def test_a_recheck_recalls_it_too(self, business: Business) -> None:
        """Twenty ad sets are looked at again together."""
        silent(business.world, "full")
        business.adsets(MANY)
        business.run()
        business.world.time.pass_by(1200)

        business.run(RECHECK)

        assert (proofs(business), business.refused) == (0, [])

    def test_a_proof_without_an_answer(self, business: Business) -> None:
        """The same holds for all reads of it together."""
        silent(business.world, "full")
        business.adsets("A", ads=9)
        business.world.meta.fail(faults.BAD_GATEWAY_HTML, on="batch", times=None)

        assert business.run() == {"deferred": "A"}


class TestChanged:
    """What is remembered has become wrong."""

    def test_a_smaller_tier_than_remembered(self, business: Business) -> None:
        """The refusal shows it; once the block is over, what was written is re-published. It never happens again."""
        remember(business.world, FULL)
        silent(business.world, "limited")
        business.adsets(MANY)

        business.run()

        assert business.refused
        business.assert_nothing_half_done()
        assert known(business.world) == LIMITED
        for _ in range(3):
            business.world.time.next_day()
            business.run()
            assert business.refused == []
        assert business.came_to == {"unchanged": " ".join(MANY)}
        business.assert_nothing_open()

    @pytest.mark.parametrize(("age", "is_tested"), [(timedelta(days=1), False), (PROVEN_FOR, True)])
    def test_a_larger_tier_than_remembered(self, business: Business, age: timedelta, *, is_tested: bool) -> None:
        """After a week it is put to the test again, where changes would have to wait."""
        remember(business.world, LIMITED, age)
        silent(business.world, "full")
        business.adsets(MANY)

        business.run()

        assert bool(proofs(business)) is is_tested
        assert known(business.world) == (FULL if is_tested else LIMITED)

    def test_one_that_is_still_small_is_not_tested_again_for_a_week(self, business: Business) -> None:
        """A single read is refused for it."""
        remember(business.world, LIMITED, PROVEN_FOR)
        silent(business.world, "limited")
        business.adsets(MANY)

        business.run()
        assert len(business.refused) == 1
        next_day(business, "FL GA")
        business.run()

        assert business.refused == []

    @pytest.mark.parametrize(("remembered", "tier"), [(FULL, "limited"), (LIMITED, "full")])
    def test_what_a_header_says_wins(self, business: Business, remembered: int, tier: str) -> None:
        """Nothing is asked or written then."""
        remember(business.world, remembered)
        business.world.meta.add_account("act_111", tier)
        business.adsets(MANY)
        business.world.sandbox.aws.requests.clear()

        business.run()

        assert (proofs(business), business.refused) == (0, [])
        assert "ACCOUNT#" not in str([call.params for call in business.world.sandbox.aws.requests])

    def test_a_header_that_comes_late_corrects_what_was_recalled(self, business: Business) -> None:
        """The next run, without headers at its start, knows it."""
        silent(business.world, "full")
        remember(business.world, LIMITED)
        business.adsets("A", ads=9)
        business.adsets("BC")
        account = business.world.meta.accounts["act_111"]

        def show(_: Any) -> None:
            account.shows_usage = account.shows_usage or bool(business.world.meta.writes)

        business.world.meta.on_request = show
        business.run()

        assert known(business.world) == FULL


class TestLedgerTrouble:
    """What is known of the tier is a help, not a condition."""

    @pytest.mark.parametrize("method", ["known_tier", "keep_tier"])
    def test_it_cannot_be_read_or_kept(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, log: StringIO, method: str
    ) -> None:
        """The run goes on as one that knows nothing, and says so in the log."""
        silent(business.world, "full")
        business.adsets(MANY)

        def fail(*_: Any) -> None:
            raise LedgerError("The ledger cannot be reached")

        monkeypatch.setattr(Ledger, method, fail)

        assert business.run() == {"updated": " ".join(MANY)}
        message = {"known_tier": "ledger.tier_unread", "keep_tier": "ledger.tier_not_kept"}[method]
        assert {*logged(log, message, "error")} == {("The ledger cannot be reached",)}
