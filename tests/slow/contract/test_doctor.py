"""`tests.cli.test_doctor`, over HTTP."""

from tests.cli.test_doctor import *  # noqa: F403 - its tests and their fixtures
