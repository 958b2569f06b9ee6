"""Which changes an undo takes back, and what is said if there is none in the last run."""

from datetime import UTC, datetime

import pytest

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.request import Action
from closrads.domain.undo import may_be_undone, why_not_undone

S = ChangeState


def changed(state: ChangeState) -> Change:
    """Return a change in this state."""
    at, adset = datetime(2026, 5, 4, 10, 30, tzinfo=UTC), AdSetSnapshot("501", "Broad", "900", "ACTIVE", {})
    return Change("veterans", "earlier", Action.SYNC, adset, {}, state, at, at)


@pytest.mark.parametrize("state", ChangeState)
def test_what_is_or_may_be_in_effect_can_be_undone(state: ChangeState) -> None:
    """What was put back, not written or left to somebody is nothing to undo."""
    assert may_be_undone(changed(state)) is (state not in {S.ROLLED_BACK, S.NOT_WRITTEN, S.SUPERSEDED})


class TestWhyNot:
    """An undo that names no run."""

    def test_nothing_was_changed(self) -> None:
        """A person has to do it."""
        assert why_not_undone("", None, "veterans", "").startswith("There is nothing to undo: ")

    @pytest.mark.parametrize(("stage", "option"), [("", ""), ("staging", " --stage staging")])
    def test_an_earlier_run_has_to_be_named(self, stage: str, option: str) -> None:
        """By a command that can be copied."""
        said = why_not_undone("last", changed(S.VERIFIED), "veterans", stage)

        assert "in the last live sync, last: " in said
        assert "is earlier, of 2026-05-04 10:30 UTC" in said
        assert f"`python -m closrads undo earlier --campaign veterans{option}`" in said
        assert '"run_id": "earlier"' in said
