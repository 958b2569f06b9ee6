"""`tests.sandbox.test_dynamodb`, over HTTP."""

from tests.sandbox.test_dynamodb import *  # noqa: F403 - its tests and their fixtures
