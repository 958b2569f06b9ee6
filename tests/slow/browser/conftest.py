"""One browser for all tests of a file: starting one takes as long as most of them."""

from collections.abc import Iterator

import pytest

from sandbox.browser import Browser, find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser; skip where there is none."""
    program = find_chromium()
    if not program:
        pytest.skip("there is no Chromium here to lay the report out (apt-get install chromium)")
    with Browser(program) as browser:
        yield browser
