"""The AWS in memory over HTTP, with real clients of boto3: `tests.ledger.test_dynamodb`, and all of a run."""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox
from sandbox.memory_http import MemoryAwsOverHttp
from tests.ledger.conftest import retrying
from tests.ledger.test_dynamodb import *  # noqa: F403 - its tests and their fixtures
from tests.world import LIVE, FakeTime, World

__all__ = ["retrying"]


@pytest.fixture(scope="module")
def running_sandbox(fake_time: FakeTime) -> Iterator[Sandbox]:
    """Start Meta, CLOSRTECH and the AWS in memory over HTTP."""
    with Sandbox(fake_time.seconds, aws=MemoryAwsOverHttp()) as sandbox:
        yield sandbox


def test_a_run_finds_all_of_it(world: World) -> None:
    """Parameters, ledger and mail."""
    world.campaign("FL")
    adset = world.adset()

    assert world.run(LIVE)["success"]

    assert world.meta.states(adset) == {"FL"}
    assert [mail.recipients for mail in world.sandbox.aws.mails] == [("owner@example.test",)]
    assert {request.service for request in world.sandbox.aws.requests} == {"ssm", "dynamodb", "sesv2"}
