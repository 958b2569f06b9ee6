"""A local page with the mails that SES has accepted, to read them as they arrive."""

import re
from collections.abc import Callable, Sequence
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

from sandbox.aws import Mail

Page = tuple[HTTPStatus, str, bytes]
"""Status, content type and body."""
_INDEX = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>Mails of the sandbox</title><body style="font-family: sans-serif; margin: 2rem">
<h1>Mails of the sandbox</h1>{content}</body></html>"""
_ITEM = '<li><a href="/{number}">{subject}</a> to {recipients} · <a href="/{number}.txt">as text</a></li>'


def page(path: str, mails: Sequence[Mail]) -> Page:
    """Return the list of all mails, the newest first, or one of them as HTML or as text."""
    if path == "/":
        items = [
            _ITEM.format(number=number, subject=escape(mail.subject), recipients=escape(", ".join(mail.recipients)))
            for number, mail in enumerate(mails, start=1)
        ]
        content = f"<ol reversed>{''.join(reversed(items))}</ol>" if items else "<p>None yet.</p>"
        return HTTPStatus.OK, "text/html; charset=utf-8", _INDEX.format(content=content).encode()
    found = re.fullmatch(r"/([1-9][0-9]{0,5})(\.txt)?", path)
    if not found or int(found[1]) > len(mails):
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There is no such mail.\n"
    mail = mails[int(found[1]) - 1]
    if found[2]:
        return HTTPStatus.OK, "text/plain; charset=utf-8", f"Subject: {mail.subject}\n\n{mail.text}".encode()
    return HTTPStatus.OK, "text/html; charset=utf-8", mail.html.encode()


class Mailbox:
    """Serves the page on this machine only. A context manager."""

    def __init__(self, mails: Callable[[], Sequence[Mail]], port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = page(self.path, mails())
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """The address of the list."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
