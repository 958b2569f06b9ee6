"""A change on its way back: what is proven, and what a rollback leaves alone."""

from dataclasses import replace
from typing import Any

import pytest

from closrads.domain.adsets import AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import ChangeState, RollbackReason
from closrads.errors import AdSetChangedError, ClosradsError, MetaError, MetaInvalidError, MetaOutcomeUnknownError
from closrads.rollout import rollback
from closrads.rollout.rollback import NEVER_TOOK_EFFECT, assess_rollback
from sandbox.meta import Breakage, faults
from tests.rollout.change_world import (
    FAILURE,
    FLORIDA,
    ONE,
    TEXAS,
    TWO,
    assert_well,
    come_at,
    found,
    go,
    job,
    republished,
    run_in,
)
from tests.world import World

S, R = ChangeState, RollbackReason
LOST = MetaOutcomeUnknownError("Lost", MetaInvalidError("Meta does not answer"))


class TestJudgedBack:
    """How a rollback ended."""

    @pytest.mark.parametrize("health", [None, AdHealth.PENDING, AdHealth.UNEXPLAINED])
    def test_proven(self, health: AdHealth | None) -> None:
        """The regions are back, all that runs is confirmed, nothing is broken; what is off is not called well."""
        judged = assess_rollback(run_in(S.ROLLING_BACK, TEXAS, findings=found(health) if health else ()))

        assert judged.state is S.ROLLED_BACK
        assert ("its ads are healthy" in judged.issues[-1]) is (health is not AdHealth.UNEXPLAINED)

    @pytest.mark.parametrize(
        ("keys", "more"),
        [
            ((FLORIDA,), {}),
            ((TEXAS, FLORIDA), {}),
            ((TEXAS,), {"failures": (FAILURE,)}),
            ((TEXAS,), {"confirmed": frozenset({"602"})}),
            ((TEXAS,), {"findings": found(AdHealth.BROKEN)}),
            ((TEXAS,), {"findings": found(AdHealth.UNREADABLE)}),
            ((TEXAS,), {"unknown": LOST}),
        ],
    )
    def test_not_proven(self, keys: tuple[str, ...], more: dict[str, Any]) -> None:
        """However healthy the ads look: a link that nobody has confirmed is pending."""
        judged = assess_rollback(run_in(S.ROLLING_BACK, *keys, **more))

        assert judged.state is S.ROLLBACK_FAILED
        assert any("NOT restored" in issue for issue in judged.issues) is (keys != (TEXAS,))

    def test_an_ad_that_a_change_cannot_have_broken(self) -> None:
        """The change was never written, so that it is closed; Meta need not take the re-publish of a broken ad."""
        run = run_in(S.ROLLING_BACK, TEXAS, findings=found(AdHealth.BROKEN), never_took_effect=True)
        refused = replace(run, failures=(FAILURE,), confirmed=frozenset({TWO.id}))

        for ended in (assess_rollback(run), assess_rollback(refused)):
            assert ended.state is S.ROLLED_BACK
            assert ended.issues == (NEVER_TOOK_EFFECT, *map(str, run.with_health(AdHealth.BROKEN)))

    @pytest.mark.parametrize(
        "more",
        [
            {"failures": (replace(FAILURE, ad=TWO),)},
            {"confirmed": frozenset({ONE.id})},
            {"findings": (*found(AdHealth.BROKEN)[:1], AdFinding(TWO, AdHealth.UNREADABLE))},
        ],
    )
    def test_of_all_other_ads_all_has_to_be_certain(self, more: dict[str, Any]) -> None:
        """Their links may be pending."""
        run = run_in(S.ROLLING_BACK, TEXAS, findings=found(AdHealth.BROKEN), never_took_effect=True)

        assert assess_rollback(replace(run, **more)).state is S.ROLLBACK_FAILED


class TestBack:
    """A rollback is a write like any other."""

    def test_an_edit_of_something_else_survives_it(self, world: World, adset: str) -> None:
        """The old regions go onto the targeting that is there, as it is by then."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        come_at(world, "GET ads", lambda: world.meta.person_edits_targeting(adset, {"age_min": 22}))

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.ROLLED_BACK, {"TX"})
        assert world.meta.targeting(adset)["age_min"] == 22
        assert_well(world, adset)

    @pytest.mark.parametrize("reply", [faults.SERVICE_UNAVAILABLE, faults.ERROR_PAGE_400, faults.OK_EMPTY_OBJECT])
    @pytest.mark.parametrize("applied", [True, False])
    def test_an_unknown_outcome_is_looked_up(self, world: World, adset: str, reply: Any, *, applied: bool) -> None:
        """A read that is older than the forward write shows the same: only a confirmed write counts."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        world.meta.fail(reply, on="POST adset", skip=1, applied=applied)

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.ROLLED_BACK, {"TX"})
        assert_well(world, adset)

    def test_ads_are_protected_where_its_outcome_stays_unknown(self, world: World, adset: str) -> None:
        """The write may be done yet: links that were confirmed before it are pending again."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.stubborn()
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="POST adset", skip=1)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset", skip=1)

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.ROLLBACK_FAILED, {"FL"})
        assert "NOT" in " ".join(run.issues)
        assert republished(world).count(two.id) == 2

    def test_what_nobody_knows_to_be_written_is_taken_back(self, world: World, adset: str) -> None:
        """Meta falls silent behind the write and comes to itself before the rollback."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=7)

        (run,) = go(world, adset)

        assert (run.reason, world.meta.states(adset)) == (R.OUTCOME_UNKNOWN, {"TX"})
        assert run.issues[0].startswith("Nobody knows whether the write")
        assert run.state is S.ROLLED_BACK
        assert_well(world, adset)

    def test_what_nobody_could_take_back_is_not_called_restored(self, world: World, adset: str) -> None:
        """The last read shows the old states, and is older than the write: later ones of the ads alone do not count."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=10)

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.ROLLBACK_FAILED, {"FL"})
        assert run.issues[1].startswith("It is NOT known whether its states are as before")
        assert not any("was restored" in issue for issue in run.issues)

    def test_what_has_to_be_put_back_is_recorded_before_it_is(self, world: World, adset: str) -> None:
        """With its reason: whoever finds it half done goes on from there."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        seen: list[tuple[str, str]] = []

        def look() -> None:
            (item,) = (item for item in world.sandbox.aws.ledger() if item["sk"].startswith("CHANGE#"))
            seen.append((item["state"], item["reason"]))

        come_at(world, "POST adset", look, number=2)

        go(world, adset)

        assert seen == [(S.ROLLING_BACK, R.ADS_BROKEN)]


class TestRefusedBack:
    """What is said and kept of a write that goes back and that Meta does not take."""

    def stumble(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[tuple[AdSetSnapshot, Any, bool]]:
        """Have that write fail, and return the list of what was to be written, over what, and how patiently."""
        calls = []

        def fail(_: Any, adset: AdSetSnapshot, __: Any, over: Any, *, repeats: bool) -> None:
            calls.append((adset, over, repeats))
            raise error

        monkeypatch.setattr(rollback, "rollback_geo", fail)
        return calls

    @pytest.mark.parametrize(
        ("error", "unknown", "said"),
        [
            (MetaInvalidError("Refused"), None, "Its states were NOT restored: Refused"),
            (MetaInvalidError("Refused"), LOST, "It is NOT known whether its states are as before: Refused"),
            (LOST, None, "It is NOT known whether its states are as before: Lost"),
            (LOST, LOST, "It is NOT known whether its states are as before: Lost"),
        ],
    )
    def test_whether_its_states_are_known(
        self,
        world: World,
        error: MetaError,
        unknown: MetaOutcomeUnknownError | None,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The links of its ads may be pending anew, so what was known of them counts no more."""
        calls = self.stumble(monkeypatch, error)
        going_back = run_in(S.ROLLING_BACK, FLORIDA, reason=R.ADS_BROKEN, unknown=unknown, failures=(FAILURE,))

        run = rollback._restore_regions(job(world), going_back)

        over = {frozenset({FLORIDA})}
        assert calls == [(run.change.before, over, True)]
        assert run.issues == (said,)
        assert (run.refusals, run.confirmed, run.failures) == ((error,), frozenset(), ())

    @pytest.mark.parametrize("error", [AdSetChangedError("Somebody was here"), MetaInvalidError("Refused"), LOST])
    def test_the_way_there_and_back_once_more(
        self, world: World, error: ClosradsError, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The new regions are tried once, over the old ones; those that are back already have to go back again."""
        calls = self.stumble(monkeypatch, error)
        run = run_in(S.ROLLING_BACK, TEXAS, reason=R.ALREADY_BACK, needs_no_write=True, issues=("Before",))

        tried = rollback._reapply(job(world), run)

        assert calls == [(replace(run.change.before, targeting=run.change.after), {frozenset({TEXAS})}, False)]
        assert tried.issues == ((str(error),) if tried.is_foreign else (rollback.REAPPLIED, str(error)))
        assert tried.reason is R.ADS_BROKEN
        assert tried.is_foreign is isinstance(error, AdSetChangedError)
        assert tried.refusals == (() if tried.is_foreign else (error,))
        assert tried.unknown is (error if error is LOST else None)
