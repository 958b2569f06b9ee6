"""What became of one ad set, and what is told of it."""

from closrads.domain.adset_results import MAX_ISSUES, Result
from closrads.domain.changes import ChangeState
from tests.domain.built_results import adset, recovery


def test_of_many_issues_the_first_are_told() -> None:
    """With how many more there are."""
    issues = [f"issue {number}" for number in range(1000)]

    for told in (adset(Result.FAILED, *issues).issues, recovery(*[ChangeState.WRITTEN] * 2, *issues).issues):
        assert told == (*issues[: MAX_ISSUES - 1], f"and {1000 - MAX_ISSUES + 1} more")


def test_as_many_as_are_told_are_told_whole() -> None:
    """Each on one line."""
    told = adset(Result.FAILED, *["two\nlines"] * MAX_ISSUES).issues

    assert told == ("two lines",) * MAX_ISSUES
