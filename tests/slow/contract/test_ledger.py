"""`tests.test_ledger`, over HTTP."""

from tests.test_ledger import *  # noqa: F403 - its tests and their fixtures
