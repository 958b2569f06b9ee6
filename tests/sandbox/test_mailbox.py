"""The page with the mails of the sandbox."""

from http import HTTPStatus

import pytest

from sandbox.aws import Mail
from sandbox.mailbox import page

MAILS = [
    Mail("reports@example.test", ("owner@example.test",), f"Day {day} <✓>", f"<p>html {day}</p>", f"text {day}")
    for day in (1, 2)
]


def test_the_newest_stands_first() -> None:
    """With its recipients; what is in a subject is no markup."""
    status, _, body = page("/", MAILS)
    shown = body.decode()

    assert status == HTTPStatus.OK
    assert shown.index("Day 2 &lt;✓&gt;") < shown.index("Day 1 &lt;✓&gt;")
    assert "owner@example.test" in shown


def test_there_may_be_none() -> None:
    """And a page that waits for one."""
    assert b"None yet." in page("/", [])[2]
    assert b'http-equiv="refresh"' in page("/", [])[2]


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [("/2", "text/html", "<p>html 2</p>"), ("/1.txt", "text/plain", "Subject: Day 1 <✓>\n\ntext 1")],
)
def test_each_can_be_read(path: str, kind: str, body: str) -> None:
    """As a mail program shows it, and as text."""
    status, content_type, found = page(path, MAILS)

    assert (status, content_type.partition(";")[0], found.decode()) == (HTTPStatus.OK, kind, body)


@pytest.mark.parametrize("path", ["/3", "/0", "/favicon.ico", "/../1"])
def test_there_is_nothing_else(path: str) -> None:
    """No file of this machine either."""
    assert page(path, MAILS)[0] == HTTPStatus.NOT_FOUND
