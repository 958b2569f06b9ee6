"""`tests.sandbox.test_aws`, over HTTP."""

from tests.sandbox.test_aws import *  # noqa: F403 - its tests and their fixtures
