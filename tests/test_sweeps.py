"""The list of tests that are not measured names tests that there are."""

from pathlib import Path

import pytest

from tests.sweeps import UNMEASURED

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", UNMEASURED)
def test_what_is_named_exists(name: str) -> None:
    """A test that was renamed would be measured again, at twice the time."""
    path, *inside = name.split("::")

    assert (ROOT / path).exists()
    assert not inside or f"def {inside[-1]}(" in (ROOT / path).read_text()
