"""The sandbox over HTTP, and the package as SAM builds it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox import Sandbox
from tests.world import FakeTime

ROOT = Path(__file__).resolve().parents[2]
LONGEST = ("test_simulation.py", "test_kills.py", "test_mail.py")
"""The files that take longest: what begins last must be short, or a processor idles at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True)
def nothing_outside() -> None:
    """Allow what fast tests must not do."""


@pytest.fixture(scope="session")
def clients() -> Iterator[dict[object, Any]]:
    """Keep boto3's clients for later tests: to make one takes as long as several calls."""
    made: dict[object, Any] = {}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(autouse=True)
def patient_clients(clients: dict[object, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have boto3 wait as long as a busy machine may take: the product's own time-outs are for AWS."""
    new_client = boto3.client

    def patient_client(name: str, *, config: Config, **more: Any) -> Any:
        config = config.merge(Config(connect_timeout=60, read_timeout=60))
        surroundings = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
        what_makes_it = (name, boto3.DEFAULT_SESSION, *map(repr, (sorted(vars(config).items()), more, surroundings)))
        if what_makes_it not in clients:
            clients[what_makes_it] = new_client(name, config=config, **more)
        return clients[what_makes_it]

    monkeypatch.setattr(boto3, "client", patient_client)


@pytest.fixture(scope="session")
def running_sandbox(fake_time: FakeTime) -> Iterator[Sandbox]:
    """Start Meta, CLOSRTECH and AWS over HTTP."""
    with Sandbox(fake_time.seconds) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package the way SAM does."""
    folder = tmp_path_factory.mktemp("package")
    command = ["make", "build-SyncFunction", f"ARTIFACTS_DIR={folder}"]
    build = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603 - our own target
    if build.returncode:
        pytest.fail(f"the package could not be built:\n{build.stdout}", pytrace=False)
    return folder
