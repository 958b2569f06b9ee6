"""`tests.cli.test_parameters`, over HTTP."""

from tests.cli.test_parameters import *  # noqa: F403 - its tests and their fixtures
