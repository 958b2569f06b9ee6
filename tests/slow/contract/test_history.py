"""`tests.cli.test_history`, over HTTP."""

from tests.cli.test_history import *  # noqa: F403 - its tests and their fixtures
