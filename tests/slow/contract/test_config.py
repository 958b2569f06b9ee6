"""`tests.test_config`, over HTTP."""

from tests.test_config import *  # noqa: F403 - its tests and their fixtures
