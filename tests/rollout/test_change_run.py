"""One ad set's change as a value: which states follow which, and what each step leaves known of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from closrads.domain.adsets import Ad, AdHealth
from closrads.domain.changes import TRANSITIONS, ChangeState, RollbackReason
from closrads.domain.health import Actor, StatusChange
from closrads.errors import LedgerError, MetaFatalError, MetaInvalidError, MetaOutcomeUnknownError
from closrads.facebook_client import Republished, Verification
from tests.rollout.change_world import FAILURE, FLORIDA, ONE, TEXAS, TWO, found, run_in, targeting
from tests.world import START

LATE, OFF = Ad("603", "Late", "PAUSED", "PAUSED"), Ad("604", "Off", "PAUSED", "PAUSED")
S, R = ChangeState, RollbackReason


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

        after = run.republished(Republished(frozenset({"602", "603"}), ()), START)

        assert after.protected == (ONE, TWO, replace(LATE, status="ACTIVE"))
        assert (after.confirmed, after.failures) == (frozenset({"601", "602", "603"}), ())

    def test_an_ad_that_it_sees_run_is_its_own_as_well(self) -> None:
        """Without anything wrong with it; and of each ad it knows when it last saw it on."""
        run = run_in(S.WRITTEN, FLORIDA)
        odd = (replace(LATE, status="ACTIVE", effective_status=status) for status in ("PENDING_REVIEW", "PAUSED"))
        on, paused = replace(LATE, status="ACTIVE", effective_status="ACTIVE"), replace(TWO, status="PAUSED")
        at = START + timedelta(minutes=1)

        for others in odd:
            assert run.seeing(replace(run.now, ads=(ONE, others))).protected == (ONE, TWO)
        seen = run.seeing(replace(run.now, ads=(ONE, paused, on, OFF), read_at=at))

        assert seen.protected == (ONE, TWO, on)
        assert [ad.seen_on for ad in seen.protected] == [at, run.now.read_at, at]
        later = seen.verified(Verification((), (paused, on), read_at=at + timedelta(seconds=3)))
        assert [ad.seen_on for ad in later.protected] == [at, run.now.read_at, at + timedelta(seconds=3)]

    def test_so_is_one_that_an_earlier_read_of_a_write_has_seen_run(self) -> None:
        """Though it is off by now, and nobody else knows that it ran."""
        run, at = run_in(S.WRITTEN, FLORIDA), START + timedelta(minutes=1)
        ran = replace(LATE, seen_on=at)

        seen = run.seeing(replace(run.now, ads=(ONE, ran, OFF), read_at=at + timedelta(seconds=3)))

        assert seen.protected == (ONE, TWO, replace(ran, status="ACTIVE"))
        assert seen.protected[-1].seen_on == at

    def test_a_new_read_of_the_ads_leaves_the_written_targeting(self) -> None:
        """Meta may show an older one for a while, and what was sent is what has to be put back."""
        run = run_in(S.WRITTEN, FLORIDA)
        read = replace(run.now, targeting=targeting(TEXAS), ads=(ONE,), read_at=START)

        assert run.reread(read.ads, read.read_at).now == replace(run.now, ads=(ONE,), read_at=START)

    def test_a_verification_that_shows_nothing_leaves_what_is_known(self) -> None:
        """Ads that cannot be read are still there, and who paused one is not forgotten."""
        row = StatusChange("601", START, ends_pause=False, actor=Actor.META)
        run = run_in(S.REPUBLISHED, FLORIDA, log=(row,))

        blind = run.verified(Verification(found(AdHealth.UNREADABLE)))
        seen = run.verified(Verification((), (ONE,), (row, row)))

        assert (blind.now.ads, blind.findings, blind.log) == ((ONE, TWO), found(AdHealth.UNREADABLE), (row,))
        assert (seen.now.ads, seen.findings, seen.log) == ((ONE,), (), (row, row))

    def test_an_ad_that_ran_meanwhile_is_protected_from_then_on(self) -> None:
        """It was off before, and Meta has paused it since: a rollback has to switch it on again."""
        off = Ad("699", "New", "PAUSED", "PAUSED")
        row = StatusChange(off.id, START, ends_pause=False, actor=Actor.META)
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
