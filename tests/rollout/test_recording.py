"""What the ledger is told of a change, step by step."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest

from closrads.domain.changes import Change, ChangeState
from closrads.ledger.changes import Ledger
from closrads.rollout.forward import carry_through, write
from closrads.rollout.recording import _next_transition, record
from tests.ledger_world import EARLIER, recorded_state
from tests.log_lines import logged
from tests.rollout.change_world import begun, job
from tests.world import World

S = ChangeState


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
            state = _next_transition(state, goal)
            steps.append(state)

        assert steps == way

    def test_there_is_no_way_out_of_what_was_not_written(self) -> None:
        """A defect is told, instead of a step that does not exist."""
        with pytest.raises(ValueError, match="No way leads from not_written to verified"):
            _next_transition(S.NOT_WRITTEN, S.VERIFIED)
        with pytest.raises(ValueError, match="No way leads from verified to prepared"):
            _next_transition(S.VERIFIED, S.PREPARED)

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
