"""The sandbox over HTTP, and the package as SAM builds it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped] # it has no types

from sandbox import Sandbox
from tests.world import FakeTime

ROOT = Path(__file__).resolve().parents[2]
LONGEST = (
    "/deploy/",
    "/crash/",
    "/test_simulation.py",
    "/browser/test_mail.py",
    "/contract/test_secrets.py",
    "/contract/test_doctor.py",
    "/runtime/",
)
"""What takes longest, by parts of paths: what begins last must be short, or a processor idles at the end.

Deployments come first, because they wait for most of their time: others have the processors meanwhile.
"""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Any:
    """Keep each file in one process, with two exceptions."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    file_of = scheduler._split_scope

    def unit_of(nodeid: str) -> str:
        if "/crash/" in nodeid:
            return "crash"  # they share processes, which take as long to start as some of them to run
        if "/test_simulation.py" in nodeid:
            return nodeid  # they share nothing, and one after the other they take longer than all the rest
        return str(file_of(nodeid))

    scheduler._split_scope = unit_of
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    def rank(item: pytest.Item) -> int:
        return next((at for at, part in enumerate(LONGEST) if part in item.path.as_posix()), len(LONGEST))

    items.sort(key=rank)


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
