"""A business in real time, for the runtime's clock cannot be set; and the function in its runtime."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.lambda_runtime import LambdaRuntime
from tests.slow.runtime.business import Business

Start = Callable[..., LambdaRuntime]


@pytest.fixture(scope="package")
def running_sandbox() -> Iterator[Sandbox]:
    """Start Meta, CLOSRTECH and AWS."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def business(running_sandbox: Sandbox) -> Business:
    """Return the business on a day on which seven of its eight ad sets are to change."""
    return Business(running_sandbox)


@pytest.fixture(scope="package")
def start(package: Path, running_sandbox: Sandbox) -> Start:
    """Return what makes a runtime of its own, to be used in a `with`."""

    def new(package: Path = package, **more: int) -> LambdaRuntime:
        return LambdaRuntime(package, running_sandbox.environment(), **more)

    return new


@pytest.fixture(scope="package")
def runtime(start: Start) -> Iterator[LambdaRuntime]:
    """Return the function, cold in the first test and warm in all others: the parameters are the same in each."""
    with start() as runtime:
        yield runtime
