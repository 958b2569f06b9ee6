"""One sandbox for the whole session, emptied for each test, and time that passes only when somebody waits."""

import gc
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from io import StringIO
from typing import NoReturn

import pytest
from hypothesis import Phase, settings

from closrads import concurrency, config, notifier, redaction
from closrads.ledger import dynamodb
from closrads.observability import logger
from sandbox import Sandbox
from sandbox.in_process import InProcessSandbox
from tests.business import Business
from tests.sweeps import UNMEASURED
from tests.world import FakeTime, World

LIBRARIES = ("aws_lambda_powertools", "boto3", "botocore", "facebook_business", "requests", "tenacity", "urllib3")

FIGURE = "figure"
"""A property of a test that is printed at the end of the test run."""

# Neither chance nor what else the machine does decides whether a test passes. Others are for the search for more:
# pytest --hypothesis-profile random
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.register_profile("quick", settings.get_profile("repeatable"), max_examples=20)  # `make test`
settings.register_profile(  # one failing case is enough to notice a mutant, and nearly all show early
    "mutants", settings.get_profile("repeatable"), phases=(Phase.explicit, Phase.generate), max_examples=20
)
settings.load_profile("repeatable")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is not to be measured, for `-m` and for pytest-cov."""
    if item.nodeid.startswith(UNMEASURED):
        item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that lives to the end: half of its time, a thirtieth of all."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fake_time() -> FakeTime:
    """Return the clock that the sandbox and the code under test share."""
    return FakeTime()


@pytest.fixture
def running_sandbox(fake_time: FakeTime) -> Iterator[Sandbox]:
    """Have Meta, CLOSRTECH and AWS answer in this process."""
    with InProcessSandbox(fake_time.seconds, fake_time.wait) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse sockets and processes: a test that needs one belongs to `tests/slow`."""
    for target, name in ((socket.socket, "connect"), (socket.socket, "bind"), (subprocess, "Popen")):
        monkeypatch.setattr(target, name, _refused)


def _refused(*_: object, **__: object) -> NoReturn:
    pytest.fail("a fast test reaches for a socket or a process")


@pytest.fixture(autouse=True)
def no_known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin without the secrets of others, for every text is searched for each of them."""
    monkeypatch.setattr(redaction, "_known", {})
    monkeypatch.setattr(redaction, "_needles", redaction._needles)


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
    monkeypatch.setattr(concurrency, "ThreadPoolExecutor", fake_time.pool)
    for client in (config._parameter_store, dynamodb._dynamodb, notifier._ses):
        client.cache_clear()
    return running_sandbox


@pytest.fixture
def world(sandbox: Sandbox, fake_time: FakeTime) -> World:
    """Return a small business in an empty sandbox."""
    return World(sandbox, fake_time)


@pytest.fixture
def business(world: World) -> Business:
    """Return a business that goes in waves of four."""
    world.campaign("FL")
    world.put({"limits/wave_size": "4"})
    return Business(world)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Catch the log as it leaves the process: after formatting and redaction."""
    stream = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


@pytest.fixture
def libraries_log() -> Iterator[StringIO]:
    """Catch what a root handler such as the runtime's is given, with every library's logger at DEBUG."""
    stream = StringIO()
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LIBRARIES]
    loggers = [
        *map(logging.getLogger, {*names, *LIBRARIES, "botocore.parsers", "urllib3.connectionpool"}),
    ]
    levels = [each.level for each in loggers]
    handler = logging.StreamHandler(stream)
    logging.root.addHandler(handler)
    for each in loggers:
        each.setLevel(logging.DEBUG)
    yield stream
    logging.root.removeHandler(handler)
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


@pytest.hookimpl(trylast=True)  # Hypothesis marks its tests before
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that are most likely to notice mutmut's mutant, and the quick ones: one failure will do."""
    mutant = os.environ.get("MUTANT_UNDER_TEST", "")
    if "__mutmut_" in mutant:
        own = f"test_{mutant.split('.')[2]}.py"
        items.sort(
            key=lambda item: (item.path.name != own, item.path.parent.name != "domain", "hypothesis" in item.keywords)
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, also of tests that ran in another process."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == FIGURE:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {line}")
