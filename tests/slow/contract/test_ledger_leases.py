"""`tests.ledger.test_leases`, over HTTP."""

from tests.ledger.test_leases import *  # noqa: F403 - its tests and their fixtures
