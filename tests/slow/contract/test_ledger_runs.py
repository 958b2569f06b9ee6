"""`tests.ledger.test_runs`, over HTTP."""

from tests.ledger.test_runs import *  # noqa: F403 - its tests and their fixtures
