"""`tests.ledger.test_repetitions`, over HTTP: boto3 gives up a silent socket after the product's own time-out."""

import pytest

from tests.ledger.test_repetitions import *  # noqa: F403 - its tests and their fixtures


@pytest.fixture(autouse=True)
def patient_clients() -> None:
    """Have boto3 wait no longer than in the deployed function."""
