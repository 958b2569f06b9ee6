"""One ad set's change on its way: what each step is allowed to do, how it is judged, and what the ledger is told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.changes import TRANSITIONS, Change, ChangeState, RollbackReason
from closrads.domain.health import Actor, StatusChange
from closrads.domain.request import Action
from closrads.domain.tiers import KnownTier
from closrads.errors import (
    LedgerError,
    MetaFatalError,
    MetaInvalidError,
    MetaOutcomeUnknownError,
    MetaRegionNameError,
)
from closrads.facebook_client import Republished, RepublishFailure, Verification, rollback_geo
from closrads.ledger.changes import Ledger
from closrads.rollout import change_run
from closrads.rollout.change_run import (
    NEVER_TOOK_EFFECT,
    ChangeRun,
    Job,
    begin,
    carry_through,
    judged_back,
    record,
    roll_back,
    write,
)
from sandbox.meta import Breakage, Operation, faults
from sandbox.meta.post_processing import is_truly_healthy
from tests.ledger_world import EARLIER, ledger, planned, recorded, recorded_state
from tests.log_lines import logged
from tests.world import START, World

WAIT = 3.0
TEXAS, FLORIDA, GEORGIA = "3886", "3852", "3853"
ONE, TWO = Ad("601", "One", "ACTIVE", "ACTIVE"), Ad("602", "Two", "ACTIVE", "ACTIVE")
LATE, OFF = Ad("603", "Late", "PAUSED", "PAUSED"), Ad("604", "Off", "PAUSED", "PAUSED")
S, R = ChangeState, RollbackReason


def targeting(*keys: str) -> dict[str, Any]:
    """Return a targeting of these regions."""
    return {"geo_locations": {"regions": [{"key": key} for key in keys]}}


def run_in(state: ChangeState, *keys: str, **more: Any) -> ChangeRun:
    """Return a change from Texas to Florida in a state, whose ad set was last seen with these regions."""
    before = AdSetSnapshot("501", "Broad", "900", "ACTIVE", targeting(TEXAS), (ONE, TWO))
    change = Change("veterans", EARLIER, Action.SYNC, before, targeting(FLORIDA), state, START, START)
    now = replace(before, targeting=targeting(*keys))
    return replace(begin(change, now), **({"confirmed": frozenset({"601", "602"})} | more))


def found(health: AdHealth) -> tuple[AdFinding, ...]:
    """Return that one ad does so, and the other one well."""
    return AdFinding(ONE, health, "why"), AdFinding(TWO, AdHealth.HEALTHY)


FAILURE = RepublishFailure(ONE, MetaInvalidError("Meta refuses it"))


class TestJudgedWrite:
    """What becomes of a change by what Meta returns for its write."""

    def test_what_was_sent_is_kept(self) -> None:
        """Region by region, by Meta's keys."""
        run = run_in(S.WRITTEN, FLORIDA, stored=frozenset({FLORIDA}))

        assert change_run._judged_write(run) == run

    def test_other_states_are_put_back(self) -> None:
        """And the report says why."""
        judged = change_run._judged_write(run_in(S.WRITTEN, GEORGIA, stored=frozenset({GEORGIA})))

        assert (judged.reason, judged.error) == (R.STORED_DIFFERENTLY, None)
        assert judged.issues == ("Meta stored different states than were sent",)

    def test_a_key_that_means_another_state_is_put_back(self) -> None:
        """And stops the campaign: every ad set would get it."""
        run = run_in(S.WRITTEN, stored=frozenset({FLORIDA}))
        now = {"geo_locations": {"regions": [{"key": FLORIDA, "name": "Texas", "country": "US"}]}}

        judged = change_run._judged_write(replace(run, now=replace(run.now, targeting=now)))

        assert judged.reason is R.STORED_DIFFERENTLY
        assert isinstance(judged.error, MetaRegionNameError)
        assert judged.issues == (str(judged.error),)
        assert "Texas" in judged.issues[0]


class TestJudgedForward:
    """What becomes of a change whose ads were verified."""

    @pytest.mark.parametrize(
        ("more", "state", "reason"),
        [
            ({}, S.VERIFIED, None),
            ({"findings": found(AdHealth.PENDING)}, S.VERIFIED, None),
            ({"findings": found(AdHealth.BROKEN)}, S.REPUBLISHED, R.ADS_BROKEN),
            ({"findings": found(AdHealth.UNEXPLAINED)}, S.REPUBLISHED, R.PAUSE_UNEXPLAINED),
            ({"failures": (FAILURE,)}, S.REPUBLISHED, R.NOT_CONFIRMED),
            ({"failures": (FAILURE,), "findings": found(AdHealth.BROKEN)}, S.REPUBLISHED, R.ADS_BROKEN),
            ({"findings": found(AdHealth.UNREADABLE)}, S.REPUBLISHED, None),
            ({"confirmed": frozenset({"602"})}, S.REPUBLISHED, None),
        ],
    )
    def test_in_a_run(self, more: dict[str, Any], state: ChangeState, reason: RollbackReason | None) -> None:
        """Only what every re-publish was confirmed of and a later look has seen well is at its end."""
        judged = change_run._judged_forward(run_in(S.REPUBLISHED, FLORIDA, **more), keep_unexplained=False)

        assert (judged.state, judged.reason) == (state, reason)
        assert bool(judged.issues) is bool(more) or state is S.VERIFIED

    def test_later_an_unexplained_pause_is_no_reason_to_roll_back(self) -> None:
        """In recovery the regions stay, and the ad is named."""
        run = run_in(S.REPUBLISHED, FLORIDA, findings=found(AdHealth.UNEXPLAINED))

        judged = change_run._judged_forward(run, keep_unexplained=True)

        assert (judged.state, judged.reason) == (S.VERIFIED, None)
        assert "601" in " ".join(judged.issues)


class TestJudgedBack:
    """How a rollback ended."""

    @pytest.mark.parametrize("health", [None, AdHealth.PENDING, AdHealth.UNEXPLAINED])
    def test_proven(self, health: AdHealth | None) -> None:
        """The regions are back, all that runs is confirmed, nothing is broken; what is off is not called well."""
        judged = judged_back(run_in(S.ROLLING_BACK, TEXAS, findings=found(health) if health else ()))

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
        ],
    )
    def test_not_proven(self, keys: tuple[str, ...], more: dict[str, Any]) -> None:
        """However healthy the ads look: a link that nobody has confirmed is pending."""
        judged = judged_back(run_in(S.ROLLING_BACK, *keys, **more))

        assert judged.state is S.ROLLBACK_FAILED
        assert any("NOT restored" in issue for issue in judged.issues) is (keys != (TEXAS,))

    def test_an_ad_that_a_change_cannot_have_broken(self) -> None:
        """The change was never written, so that it is closed; but only if all else is certain."""
        run = run_in(S.ROLLING_BACK, TEXAS, findings=found(AdHealth.BROKEN), never_took_effect=True)

        assert (judged_back(run).state, judged_back(run).issues[0]) == (S.ROLLED_BACK, NEVER_TOOK_EFFECT)
        assert judged_back(replace(run, failures=(FAILURE,))).state is S.ROLLBACK_FAILED


class TestJudgedForeign:
    """What becomes of a change whose regions are somebody else's."""

    @pytest.mark.parametrize(
        ("more", "is_closed"),
        [
            ({}, True),
            ({"findings": found(AdHealth.BROKEN)}, True),
            ({"findings": found(AdHealth.UNEXPLAINED)}, True),
            ({"failures": (FAILURE,)}, False),
            ({"confirmed": frozenset({"602"})}, False),
            ({"findings": found(AdHealth.UNREADABLE)}, False),
        ],
    )
    @pytest.mark.parametrize("state", [S.PREPARED, S.WRITTEN, S.ROLLING_BACK])
    def test_its_ads_have_to_be_protected(self, state: ChangeState, more: dict[str, Any], *, is_closed: bool) -> None:
        """Confirmed and read: then it is closed, whatever the ads do under regions that are not ours."""
        judged = change_run._judged_foreign(run_in(state, GEORGIA, **more))

        assert judged.state is (S.SUPERSEDED if is_closed else state)


class TestMachine:
    """Steps that exist, and those that do not."""

    def test_every_step_is_one_of_the_table(self) -> None:
        """Each that it has is taken, each that it lacks is refused."""
        for state, following in TRANSITIONS.items():
            for goal in ChangeState:
                if goal in following:
                    assert run_in(state, FLORIDA).in_state(goal).state is goal
                else:
                    with pytest.raises(ValueError, match=f"cannot go from {state} to {goal}"):
                        run_in(state, FLORIDA).in_state(goal)

    @pytest.mark.parametrize("state", [state for state in ChangeState if state.is_open])
    def test_it_is_resumed_from_its_state(self, state: ChangeState) -> None:
        """Only of a rollback it matters whether an earlier run was cut off in it."""
        run = run_in(state, FLORIDA)

        assert (run.state, run.protected, run.resumes_rollback) == (state, (ONE, TWO), state is S.ROLLING_BACK)

    @pytest.mark.parametrize(
        ("known", "recorded"), [(None, R.ALREADY_BACK), (R.ADS_BROKEN, R.ADS_BROKEN), (R.DEFECT, R.DEFECT)]
    )
    def test_why_it_was_rolled_back_is_not_forgotten(
        self, known: RollbackReason | None, recorded: RollbackReason
    ) -> None:
        """A recovery that finds nothing left to write must not make it one that was never written."""
        run = run_in(S.ROLLING_BACK, TEXAS)
        run = replace(run, change=replace(run.change, reason=known)).failed(R.ALREADY_BACK)

        assert run.to_record.reason is recorded

    def test_the_first_reason_stands(self) -> None:
        """What comes on top of it is told, and does not hide it."""
        run = run_in(S.WRITTEN, FLORIDA).failed(R.ADS_BROKEN, "broken").failed(R.DEFECT, "a defect")

        assert (run.reason, run.issues) == (R.ADS_BROKEN, ("broken", "a defect"))

    def test_a_write_leaves_no_confirmation(self) -> None:
        """Every link is pending again."""
        unknown = MetaOutcomeUnknownError("No answer", MetaInvalidError("none"))
        run = run_in(S.WRITTEN, TEXAS, failures=(FAILURE,), findings=found(AdHealth.BROKEN), unknown=unknown)
        after = replace(run.now, targeting=targeting(FLORIDA))

        written = run.written(after)

        assert written.unconfirmed == (ONE, TWO)
        assert (written.now, written.unknown) == (after, None)
        assert (written.failures, written.findings, written.stored) == ((), (), frozenset({FLORIDA}))

    def test_an_ad_that_it_switches_on_is_its_own_from_then_on(self) -> None:
        """Whoever looks at the change later has to protect it like those that ran before."""
        run = run_in(S.WRITTEN, FLORIDA, failures=(FAILURE,))
        run = replace(run, now=replace(run.now, ads=(ONE, TWO, LATE, OFF)))

        after = run.republished(Republished(frozenset({"602", "603"}), ()))

        assert after.protected == (ONE, TWO, replace(LATE, status="ACTIVE"))
        assert (after.confirmed, after.failures) == (frozenset({"601", "602", "603"}), ())

    def test_a_new_read_of_the_ads_leaves_the_written_targeting(self) -> None:
        """Meta may show an older one for a while, and what was sent is what has to be put back."""
        run = run_in(S.WRITTEN, FLORIDA)
        read = replace(run.now, targeting=targeting(TEXAS), ads=(ONE,), read_at=START)

        assert run.reread(read).now == replace(run.now, ads=(ONE,), read_at=START)

    def test_a_verification_that_shows_nothing_leaves_what_is_known(self) -> None:
        """Ads that cannot be read are still there, and who paused one is not forgotten."""
        row = StatusChange("601", START, switched_on=False, actor=Actor.META)
        run = run_in(S.REPUBLISHED, FLORIDA, log=(row,))

        blind = run.verified(Verification(found(AdHealth.UNREADABLE)))
        seen = run.verified(Verification((), (ONE,), (row, row)))

        assert (blind.now.ads, blind.findings, blind.log) == ((ONE, TWO), found(AdHealth.UNREADABLE), (row,))
        assert (seen.now.ads, seen.findings, seen.log) == ((ONE,), (), (row, row))

    def test_an_ad_that_ran_meanwhile_is_protected_from_then_on(self) -> None:
        """It was off before, and Meta has paused it since: a rollback has to switch it on again."""
        off = Ad("699", "New", "PAUSED", "PAUSED")
        row = StatusChange(off.id, START, switched_on=False, actor=Actor.META)
        run = run_in(S.REPUBLISHED, FLORIDA)

        seen = run.verified(Verification((), (ONE, TWO, off), (row,)))

        assert seen.protected == (*run.protected, replace(off, status="ACTIVE"))
        assert off in seen.to_republish

    def test_the_most_severe_refusal_decides_whether_the_campaign_goes_on(self) -> None:
        """None of them is lost; a ledger that could not be told counts only if Meta has refused nothing."""
        invalid, fatal, unrecorded = MetaInvalidError("no"), MetaFatalError("blocked"), LedgerError("gone")
        run = run_in(S.WRITTEN, FLORIDA, unrecorded=unrecorded)

        assert run.error is unrecorded
        assert run.refused(invalid).error is invalid
        assert run.refused(fatal).refused(invalid).error is fatal
        assert run.refused(fatal, invalid).refusals == (fatal, invalid)


# --- with Meta and the ledger


def job(world: World) -> Job:
    """Return a job on the veterans."""
    return Job("veterans", EARLIER, Action.SYNC, world.api(), ledger(world), WAIT, lambda: None)


def begun(world: World, *adsets: str) -> list[ChangeRun]:
    """Return changes to Florida that are written down and begin now, as a run begins them."""
    snapshots = {each.id: each for each in world.snapshots()}
    runs = [begin(recorded(world, planned(world, adset)), snapshots[adset]) for adset in adsets]
    world.meta.requests.clear()
    return runs


def go(world: World, *adsets: str) -> list[ChangeRun]:
    """Take changes to their end."""
    working = job(world)
    return carry_through(working, [write(working, run) for run in begun(world, *adsets)])


def come_at(world: World, call: str, act: Callable[[], None], number: int = 1) -> None:
    """Have something happen right before such a call, counted from 1 and without those that read a whole campaign."""
    calls = iter(range(1, 10_000))

    def watch(operation: Operation) -> None:
        is_meant = f"{operation.method} {operation.kind}" == call and operation.object_id not in world.meta.campaigns
        if is_meant and next(calls) == number:
            act()

    world.meta.on_request = watch


def republished(world: World) -> list[str]:
    """Return the ids of the ads that were sent a re-publish, in order."""
    return [call.object_id for call in world.meta.operations if (call.method, call.kind) == ("POST", "ad")]


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set whose every link has to be confirmed after a write, within an hour."""
    world.campaign("FL")
    world.meta.accounts["act_111"].default_breakage = lambda _: Breakage.lost_link(3600)
    return world.adset("Broad")


def assert_well(world: World, adset: str) -> None:
    """Check that each ad that is switched on runs and will go on."""
    world.time.pass_by(2 * 3600)
    world.meta.settle()
    assert [ad.name for ad in world.meta.ads_of(adset) if ad.status == "ACTIVE" and not is_truly_healthy(ad)] == []


class TestRecord:
    """What the ledger is told."""

    def test_each_state_on_the_way(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Step by step, as whoever finds the change later has to be able to read it."""
        steps: list[ChangeState] = []
        working = job(world)
        move = working.ledger.move

        def watch(_: Ledger, moves: Sequence[tuple[Change, ChangeState]]) -> Any:
            steps.extend(state for _, state in moves)
            return move(moves)

        monkeypatch.setattr(Ledger, "move", watch)

        (run,) = carry_through(working, [write(working, each) for each in begun(world, adset)])

        assert steps == [S.WRITTEN, S.REPUBLISHED, S.VERIFIED]
        assert (run.state, run.change.state, recorded_state(world, EARLIER, adset)) == (S.VERIFIED,) * 3

    @pytest.mark.parametrize(
        ("state", "goal", "way"),
        [
            (S.PREPARED, S.VERIFIED, [S.WRITTEN, S.REPUBLISHED, S.VERIFIED]),
            (S.PREPARED, S.ROLLED_BACK, [S.ROLLING_BACK, S.ROLLED_BACK]),
            (S.ROLLBACK_FAILED, S.SUPERSEDED, [S.ROLLING_BACK, S.SUPERSEDED]),
            (S.VERIFIED, S.ROLLBACK_FAILED, [S.ROLLING_BACK, S.ROLLBACK_FAILED]),
        ],
    )
    def test_by_the_shortest_way(self, state: ChangeState, goal: ChangeState, way: list[ChangeState]) -> None:
        """Also where several steps could not be told one by one."""
        steps = []
        while state is not goal:
            state = change_run._next_on_the_way(state, goal)
            steps.append(state)

        assert steps == way

    def test_there_is_no_way_out_of_what_was_not_written(self) -> None:
        """A defect is told, instead of a step that does not exist."""
        with pytest.raises(ValueError, match="No way leads from not_written to verified"):
            change_run._next_on_the_way(S.NOT_WRITTEN, S.VERIFIED)
        with pytest.raises(ValueError, match="No way leads from verified to prepared"):
            change_run._next_on_the_way(S.VERIFIED, S.PREPARED)

    def test_what_could_not_be_told_is_told_with_the_next_step(self, world: World, adset: str, log: StringIO) -> None:
        """Until then the change knows why, and so does the log."""
        (run,) = begun(world, adset)
        working = job(world)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500)

        (written,) = record(working, [run.in_state(S.WRITTEN)])
        assert (written.change.state, written.state) == (S.PREPARED, S.WRITTEN)
        assert "The ledger cannot be written" in str(written.unrecorded)
        said = logged(log, "ledger.unrecorded", "adset", "to", "error")
        assert said == [(adset, "written", str(written.unrecorded))]

        (republished,) = record(working, [written.in_state(S.REPUBLISHED)])
        assert (republished.unrecorded, recorded_state(world, EARLIER, adset)) == (None, S.REPUBLISHED)

    def test_a_defect_with_one_leaves_the_others_recorded(
        self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only its own change stays behind."""
        runs = begun(world, adset, world.adset("Two"), world.adset("Three"))
        working = job(world)
        move = working.ledger.move

        def stumble(_: Ledger, moves: Sequence[tuple[Change, ChangeState]]) -> Any:
            if any(change.before.name == "Two" for change, _ in moves):
                raise ZeroDivisionError("a defect")
            return move(moves)

        monkeypatch.setattr(Ledger, "move", stumble)

        done = record(working, [run.in_state(S.WRITTEN) for run in runs])

        assert [run.change.state for run in done] == [S.WRITTEN, S.PREPARED, S.WRITTEN]
        assert [run.unrecorded is None for run in done] == [True, False, True]


class TestGuards:
    """A defect in one ad set's step stays with that ad set, and leaves none of them unprotected."""

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize("function", ["update_adset_geo", "republish_ads", "verify_ads_after_republish"])
    def test_forward(self, world: World, function: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """The others are verified; that one is put back, as far as it can be proven."""
        world.campaign("FL")
        adsets = [world.adset(name) for name in ("One", "Two", "Three")[:count]]
        right = getattr(change_run, function)
        is_back: list[bool] = []

        def stumble(api: Any, subject: Any, *args: Any, **more: Any) -> Any:
            concerned = [getattr(each, "id", each) for each in (subject if not hasattr(subject, "id") else [subject])]
            if adsets[1] in concerned and not is_back:
                is_back.extend([True] * (len(concerned) == 1))
                raise ZeroDivisionError("a defect")
            return right(api, subject, *args, **more)

        monkeypatch.setattr(change_run, function, stumble)

        done = go(world, *adsets)

        assert [run.state for run in done] == [S.VERIFIED, S.ROLLED_BACK, S.VERIFIED][:count]
        assert done[1].reason is R.DEFECT
        assert "Unexpected ZeroDivisionError" in " ".join(done[1].issues)
        assert [world.meta.states(each) for each in adsets] == [{"FL"}, {"TX"}, {"FL"}][:count]
        for each in adsets:
            assert_well(world, each)

    def test_back(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
        """Nobody knows how that rollback ended, and it says so; the other one is proven."""
        other = world.adset("Two")
        right = rollback_geo

        def stumble(api: Any, before: AdSetSnapshot, *args: Any, **more: Any) -> Any:
            if before.id == adset:
                raise ZeroDivisionError("a defect")
            return right(api, before, *args, **more)

        monkeypatch.setattr(change_run, "rollback_geo", stumble)
        runs = [replace(run, state=S.WRITTEN).failed(R.ADS_BROKEN, "broken") for run in begun(world, adset, other)]

        done = roll_back(job(world), record(job(world), runs))

        assert [run.state for run in done] == [S.ROLLBACK_FAILED, S.ROLLED_BACK]
        assert "Its rollback did not end" in " ".join(done[0].issues)
        assert recorded_state(world, EARLIER, adset) == S.ROLLBACK_FAILED
        assert logged(log, "adset.rollback", "adset", "reasons") == [(adset, ["broken"]), (other, ["broken"])]
        assert logged(log, "adset.rollback_failed", "adset", "issues") == [(adset, [*done[0].issues])]


class TestCapacity:
    """Whether there is time and quota to write ad sets, and to roll them back."""

    @pytest.mark.parametrize(("spare", "wait", "suffices"), [(0, 0, True), (-0.001, 0, False), (60, 1, False)])
    def test_both_have_to_suffice(
        self, world: World, monkeypatch: pytest.MonkeyPatch, spare: float, wait: float, *, suffices: bool
    ) -> None:
        """To the last second, and without waiting for quota."""
        working = job(world)
        left = working.api.clock.remaining()
        monkeypatch.setattr(change_run, "seconds_needed", lambda *_: left - spare)
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
        monkeypatch.setattr(type(working.api.quota), "news", tier)
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
        monkeypatch.setattr(type(working.api.quota), "news", KnownTier(9_000, START))

        working.recall_tier(())
        working.keep_tier()

        assert logged(log, "ledger.tier_unread", "error") == [("The ledger cannot be reached",)]
        assert logged(log, "ledger.tier_not_kept", "error") == [("The ledger cannot be reached",)]


class TestPatience:
    """How long a step waits for Meta."""

    def test_a_first_write_is_sent_once(self, world: World, adset: str) -> None:
        """While it was tried again, the ads of all others that are already written would be without protection."""
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="POST adset", times=None)
        (run,) = [write(job(world), each) for each in begun(world, adset)]

        assert run.unknown is not None
        assert [call.object_id for call in world.meta.operations if call.method == "POST"] == [adset]
        assert world.time.waits == []

    def test_what_meta_refuses_is_left_as_it_is(self, world: World, adset: str) -> None:
        """Nothing was written, so there is nothing to re-publish, to verify or to roll back."""
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.NOT_WRITTEN, None)
        assert run.issues == (str(run.error),)
        assert [call.object_id for call in world.meta.operations] == [adset]

    @pytest.mark.parametrize("call", ["POST adset", "GET adset"])
    def test_a_second_write_leaves_the_time_for_a_rollback(self, world: World, adset: str, call: str) -> None:
        """However long Meta does not answer."""
        working = job(world)
        (run,) = begun(world, adset)
        run = replace(run, unknown=MetaOutcomeUnknownError("No answer", MetaInvalidError("none")))
        needed = working.seconds_needed([run.now])
        world.time.deadline = world.time.seconds() + needed + 5
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=call, times=None)

        change_run._write(working, run, patient=True)

        assert working.api.clock.remaining() >= needed

    @pytest.mark.parametrize("call", ["GET ads", "POST ad"])
    def test_without_time_to_spare_no_step_waits(self, world: World, adset: str, call: str) -> None:
        """Neither for the read before a re-publish, nor for the re-publish, nor for the verification."""
        working = replace(job(world), wait_seconds=0)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(6)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=call, times=None)
        world.time.waits.clear()
        left = working.api.clock.remaining()

        (run,) = change_run._republish(working, [run], left)
        change_run._verify(working, [run], left)

        assert set(world.time.waits) <= {working.wait_seconds}


class TestRepublish:
    """Which ads are set to ACTIVE again, and by which read."""

    def test_a_read_of_this_moment_is_not_repeated(self, world: World, adset: str) -> None:
        """On an ordinary day the write's own read is fresh enough."""
        (run,) = go(world, adset)

        assert run.state is S.VERIFIED
        assert [f"{call.method} {call.kind}" for call in world.meta.operations] == [
            "POST adset", "POST ad", "POST ad", "GET ads",
        ]  # fmt: skip

    @pytest.mark.parametrize(("seconds", "is_read"), [(5.0, False), (5.1, True)])
    def test_an_older_one_is(self, world: World, adset: str, seconds: float, *, is_read: bool) -> None:
        """More than five seconds, and a person may have come: whom that read shows to be off stays off."""
        theirs, other = world.meta.ads_of(adset)
        working = job(world)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(seconds)
        if is_read:
            world.meta.person_pauses(theirs.id)

        (run,) = carry_through(working, [run])

        assert run.state is S.VERIFIED
        assert republished(world) == ([other.id] if is_read else [theirs.id, other.id])
        assert theirs.status == ("PAUSED" if is_read else "ACTIVE")

    def test_without_that_read_nothing_is_switched_on(self, world: World, adset: str) -> None:
        """It cannot be known what a person has paused: the regions go back as far as they can, and it stays open."""
        working = job(world)
        (run,) = [write(working, each) for each in begun(world, adset)]
        world.time.pass_by(6)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET ads", times=None)

        (run,) = carry_through(working, [run])

        assert (run.state, run.reason) == (S.ROLLBACK_FAILED, R.NOT_CONFIRMED)
        assert republished(world) == []

    def test_an_ad_that_is_switched_on_meanwhile(self, world: World, adset: str) -> None:
        """Between the re-publish and the verification: it is re-published as well, and looked at once more."""
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        come_at(world, "GET ads", lambda: world.meta.person_activates(late))

        (run,) = go(world, adset)

        assert run.state is S.VERIFIED
        assert republished(world).count(late) == 1
        assert_well(world, adset)

    def test_an_ad_that_is_switched_on_where_none_ran(self, world: World) -> None:
        """An ad set without a running ad is looked at again like any other."""
        world.campaign("FL")
        adset = world.adset("Idle", ads=0)
        late = world.meta.add_ad(adset, "Late", status="PAUSED")
        come_at(world, "GET ads", lambda: world.meta.person_activates(late))

        (run,) = go(world, adset)

        assert (run.state, republished(world)) == (S.VERIFIED, [late])

    def test_an_ad_that_is_added_meanwhile(self, world: World, adset: str) -> None:
        """The same."""
        come_at(world, "GET ads", lambda: world.meta.person_adds_ad(adset, "New"))

        (run,) = go(world, adset)

        assert (run.state, len(republished(world))) == (S.VERIFIED, 3)
        assert_well(world, adset)

    def test_an_ad_comes_before_each_look(self, world: World, adset: str) -> None:
        """Each is re-published, the one that came before the last look as well."""
        numbers = iter(range(10))

        def add(operation: Operation) -> None:
            if (operation.method, operation.path) == ("GET", f"{adset}/ads"):
                world.meta.person_adds_ad(adset, f"New {next(numbers)}")

        world.meta.on_request = add

        go(world, adset)

        assert sorted(republished(world)) == sorted(ad.id for ad in world.meta.ads_of(adset))
        assert_well(world, adset)

    def test_an_ad_that_meta_disapproves_of_is_not_sent_one(self, world: World, adset: str) -> None:
        """It does not run, and Meta refuses: that a person's new ad was rejected is no reason to put anything back."""
        rejected = world.meta.add_ad(adset, "Rejected")
        (run,) = begun(world, adset)
        world.meta.ads[rejected].effective_status = "DISAPPROVED"
        working = job(world)
        world.time.pass_by(6)
        run = replace(run, change=replace(run.change, before=replace(run.change.before, ads=run.now.ads[:2])))
        run = replace(run, protected=run.now.ads[:2])

        (run,) = carry_through(working, [replace(run, state=S.WRITTEN, now=replace(run.now, read_at=START))])

        assert rejected not in republished(world)
        assert run.state is S.VERIFIED

    def test_one_that_was_off_is_never_sent_one(self, world: World, adset: str) -> None:
        """Neither forward nor back."""
        off = world.meta.add_ad(adset, "Retired", status="PAUSED")
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()

        (run,) = go(world, adset)

        assert run.state is S.ROLLED_BACK
        assert off not in republished(world)


class TestForeign:
    """Regions that are neither the old nor ours."""

    def edit(self, world: World, adset: str) -> None:
        """Have a person choose Georgia, whose write re-validates the ads like any other."""
        world.meta.person_edits_targeting(adset, states="GA")

    def test_a_person_comes_before_a_second_attempt(self, world: World, adset: str) -> None:
        """Hands off the regions, but our write may have been there in between: the ads are protected."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        come_at(world, "GET adset", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.SUPERSEDED, {"GA"})
        assert "Somebody changed the states" in run.issues[0]
        assert sorted(republished(world)) == [ad.id for ad in world.meta.ads_of(adset)]
        assert world.written_adsets() == [adset]
        assert_well(world, adset)

    def test_a_person_comes_before_the_rollback(self, world: World, adset: str) -> None:
        """However few seconds before: what is there is read anew."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        come_at(world, "GET ads", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert (run.state, world.meta.states(adset)) == (S.SUPERSEDED, {"GA"})
        assert "Somebody changed the states" in " ".join(run.issues)
        assert world.written_adsets() == [adset]

    def test_it_stays_open_until_its_ads_are_protected(self, world: World, adset: str) -> None:
        """A refused re-publish is a pending link, whosever the regions are."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST ad", times=None)
        come_at(world, "GET adset", lambda: self.edit(world, adset))

        (run,) = go(world, adset)

        assert run.state.is_open
        assert "could not be re-published" in " ".join(run.issues)
        assert world.meta.states(adset) == {"GA"}


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


class TestUnexplained:
    """An ad that is off without a trace of who did it."""

    def test_in_a_run_the_regions_go_back_and_the_ad_stays_off(self, world: World, adset: str) -> None:
        """That is safe either way, and never called healthy."""
        off, other = world.meta.ads_of(adset)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        come_at(world, "GET ads", lambda: world.meta.person_pauses(off.id))

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.ROLLED_BACK, R.PAUSE_UNEXPLAINED)
        assert [finding.ad.id for finding in run.unexplained] == [off.id]
        assert "all other ads are healthy" in run.issues[-1]
        assert (off.status, world.meta.states(adset)) == ("PAUSED", {"TX"})
        assert republished(world)[2:] == [other.id]

    def test_a_persons_pause_is_no_reason(self, world: World, adset: str) -> None:
        """The log names one."""
        theirs, _ = world.meta.ads_of(adset)
        come_at(world, "GET ads", lambda: world.meta.person_pauses(theirs.id))

        (run,) = go(world, adset)

        assert (run.state, theirs.status, world.meta.states(adset)) == (S.VERIFIED, "PAUSED", {"FL"})

    def test_metas_pause_is_one(self, world: World, adset: str) -> None:
        """The regions go back, and the ad is switched on again."""
        paused, _ = world.meta.ads_of(adset)
        come_at(world, "GET ads", lambda: world.meta.meta_pauses(paused.id, with_issue=False))

        (run,) = go(world, adset)

        assert (run.state, run.reason) == (S.ROLLED_BACK, R.ADS_BROKEN)
        assert (paused.status, world.meta.states(adset)) == ("ACTIVE", {"TX"})
        assert_well(world, adset)
