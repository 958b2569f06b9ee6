"""When Meta ends a version of its API."""

from datetime import date, timedelta

import pytest

from closrads.meta.graph import API_VERSION
from closrads.meta.versions import LIVES, SHORTEST_LIFE, days_left

TODAY = date(2026, 11, 28)


def test_an_announced_end_counts() -> None:
    """Before it and after it."""
    assert days_left("v25.0", TODAY) == 87
    assert days_left("v24.0", TODAY) == -18


def test_an_end_that_is_not_announced_is_expected_after_the_shortest_life_so_far() -> None:
    """It comes later rather than earlier."""
    assert timedelta(days=342) == SHORTEST_LIFE
    assert days_left("v26.0", date(2026, 7, 29)) == SHORTEST_LIFE.days


def test_a_warning_says_that_the_end_has_come() -> None:
    """Whatever the calendar says."""
    assert days_left("v26.0", TODAY, "The call has been auto-upgraded to v27.0") == 0


def test_of_a_version_that_somebody_has_set_by_hand_nothing_is_known() -> None:
    """It must not cost a run its report."""
    assert days_left("v99.0", TODAY) is None


@pytest.mark.parametrize("version", LIVES)
def test_no_version_ends_before_it_is_released(version: str) -> None:
    """A slip in the dates would ring for nothing, or never."""
    life = LIVES[version]

    assert life.ends is None or timedelta(days=90) < life.ends - life.released < timedelta(days=800)


def test_the_version_in_use_is_known() -> None:
    """Who raises API_VERSION writes down when it came out."""
    assert API_VERSION in LIVES
