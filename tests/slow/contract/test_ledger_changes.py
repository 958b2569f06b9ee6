"""`tests.ledger.test_changes`, over HTTP."""

from tests.ledger.test_changes import *  # noqa: F403 - its tests and their fixtures
