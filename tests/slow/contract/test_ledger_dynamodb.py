"""`tests.ledger.test_dynamodb`, over HTTP."""

from tests.ledger.test_dynamodb import *  # noqa: F403 - its tests and their fixtures
