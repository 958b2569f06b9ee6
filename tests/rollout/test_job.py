"""What a campaign's job knows of time and quota."""

from io import StringIO
from typing import Any

import pytest

from closrads.domain.tiers import KnownTier
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from tests.log_lines import logged
from tests.rollout.change_world import job
from tests.world import START, World


class TestCapacity:
    """Whether there is time and quota to write ad sets, and to roll them back."""

    @pytest.mark.parametrize(("spare", "wait", "suffices"), [(0, 0, True), (-0.001, 0, False), (60, 1, False)])
    def test_both_have_to_suffice(
        self, world: World, monkeypatch: pytest.MonkeyPatch, spare: float, wait: float, *, suffices: bool
    ) -> None:
        """To the last second, and without waiting for quota."""
        working = job(world)
        left = working.api.clock.remaining()
        monkeypatch.setattr("closrads.rollout.job.seconds_needed", lambda *_: left - spare)
        monkeypatch.setattr(type(working.api.quota), "seconds_until", lambda *_: wait)

        assert working.has_capacity(()) is suffices

    @pytest.mark.parametrize(
        ("wait", "is_recalled", "is_asked"), [(1, False, True), (0, False, False), (1, True, False)]
    )
    def test_the_ledger_is_asked_for_the_tier_once_if_it_matters(
        self, world: World, monkeypatch: pytest.MonkeyPatch, wait: float, *, is_recalled: bool, is_asked: bool
    ) -> None:
        """On an ordinary day, what is known of the quota is enough, and a round trip is saved."""
        working = job(world)
        asked: list[str] = []
        monkeypatch.setattr(Ledger, "known_tier", lambda _, account: asked.append(account))
        monkeypatch.setattr(type(working.api.quota), "seconds_until", lambda *_: wait)
        if is_recalled:
            working.api.quota.recall(None)

        working.recall_tier(())

        assert asked == ["act_111"] * is_asked

    def test_what_was_learned_of_the_tier_is_kept_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """From then on it is what was recalled, so it is no news any more."""
        working, tier = job(world), KnownTier(9_000, START)
        kept: list[Any] = []
        recalled: list[Any] = []
        monkeypatch.setattr(Ledger, "keep_tier", lambda _, account, tier: kept.append((account, tier)))
        monkeypatch.setattr(type(working.api.quota), "tier_to_record", tier)
        monkeypatch.setattr(type(working.api.quota), "recall", lambda _, tier: recalled.append(tier))

        working.keep_tier()

        assert (kept, recalled) == ([("act_111", tier)], [tier])

    def test_a_ledger_that_does_not_know_the_tier_stops_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch, log: StringIO
    ) -> None:
        """It is a help, not a condition; the log says what is missing."""
        working = job(world)

        def fail(*_: Any) -> None:
            raise LedgerError("The ledger cannot be reached")

        monkeypatch.setattr(Ledger, "known_tier", fail)
        monkeypatch.setattr(Ledger, "keep_tier", fail)
        monkeypatch.setattr(type(working.api.quota), "seconds_until", lambda *_: 1)
        monkeypatch.setattr(type(working.api.quota), "tier_to_record", KnownTier(9_000, START))

        working.recall_tier(())
        working.keep_tier()

        assert logged(log, "ledger.tier_unread", "error") == [("The ledger cannot be reached",)]
        assert logged(log, "ledger.tier_not_kept", "error") == [("The ledger cannot be reached",)]
