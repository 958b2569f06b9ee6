"""`tests.test_secrets`, over HTTP."""

from tests.test_secrets import *  # noqa: F403 - its tests and their fixtures
