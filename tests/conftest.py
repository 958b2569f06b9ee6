"""One sandbox for the whole session, emptied for each test, and time that passes only when somebody waits."""

import os
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from closrads import config
from closrads.observability import logger
from sandbox import Sandbox
from tests.world import FakeTime, World

ROOT = Path(__file__).resolve().parent.parent

FIGURE = "figure"
"""A property of a test that is printed at the end of the test run."""

settings.register_profile("untimed", deadline=None)  # how long a case takes depends on what else the machine does
settings.register_profile(  # to find one failing case is enough, and it must be the same in each run
    "mutants", settings.get_profile("untimed"), derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def fake_time() -> FakeTime:
    """Return the clock that the sandbox and the code under test share."""
    return FakeTime()


@pytest.fixture(scope="session")
def running_sandbox(fake_time: FakeTime) -> Iterator[Sandbox]:
    """Start Meta, CLOSRTECH and AWS over HTTP."""
    with Sandbox(now=fake_time.seconds) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, empty, with the environment pointing at it."""
    running_sandbox.reset()
    fake_time.reset()
    for name in running_sandbox.foreign_variables(os.environ):
        monkeypatch.delenv(name)
    for name, value in running_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # boto3 sleeps between its own attempts
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    return running_sandbox


@pytest.fixture
def world(sandbox: Sandbox, fake_time: FakeTime) -> World:
    """Return a small business in an empty sandbox."""
    return World(sandbox, fake_time)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package the way SAM does."""
    folder = tmp_path_factory.mktemp("package")
    command = ["make", "build-SyncFunction", f"ARTIFACTS_DIR={folder}"]
    build = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603 - our own target
    if build.returncode:
        pytest.fail(f"the package could not be built:\n{build.stdout}", pytrace=False)
    return folder


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Catch the log as it leaves the process: after formatting and redaction."""
    stream = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, also of tests that ran in another process."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == FIGURE:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {line}")
