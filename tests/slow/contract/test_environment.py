"""`tests.cli.test_environment`, over HTTP."""

from tests.cli.test_environment import *  # noqa: F403 - its tests and their fixtures
