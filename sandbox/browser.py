"""A headless Chromium to render mails, controlled through its debugging pipe, without further dependencies."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
LONGEST_WAIT = 60
"""Timeout of a response, in seconds."""
_START = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(orders, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from descriptor 3, writes responses to 4, and exits when 3 is closed."""


def find_chromium() -> str | None:
    """Return the path of a Chromium, if one is installed; the variable `CHROMIUM` overrides the search."""
    return next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *NAMES))), None)


class Browser:
    """A browser with one page."""

    def __init__(self, program: str) -> None:
        self._profile = TemporaryDirectory(prefix="closrads-browser-", ignore_cleanup_errors=True)
        to_browser, self._orders = os.pipe()
        self._answers, from_browser = os.pipe()
        command = [
            program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run", "--hide-scrollbars", "--proxy-server=127.0.0.1:1",
            f"--user-data-dir={self._profile.name}",
        ]  # fmt: skip
        self._process = subprocess.Popen(  # noqa: S603 - the path comes from `find_chromium`
            [sys.executable, "-c", _START, str(to_browser), str(from_browser), *command],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._frame = ""

    def __enter__(self) -> Self:
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._frame = self._ask("Page.getFrameTree")["frameTree"]["frame"]["id"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        os.close(self._orders)
        os.close(self._answers)
        self._process.terminate()
        self._process.wait(timeout=10)
        self._profile.cleanup()

    def show(self, html: str, width: int, *, dark: bool = False, zoom: float = 1) -> None:
        """Show a page in a viewport of `width` points, with the reader's colour scheme and the browser's zoom."""
        scheme = "dark" if dark else "light"
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        metrics = {"width": round(width / zoom), "height": round(800 / zoom), "deviceScaleFactor": zoom}
        self._ask("Emulation.setDeviceMetricsOverride", **metrics, mobile=False)
        self._ask("Page.setDocumentContent", frameId=self._frame, html=html)

    def invert(self, *, on: bool) -> None:
        """Enable or disable automatic dark colours, as in mail programs that ignore `prefers-color-scheme`."""
        self._ask("Emulation.setAutoDarkModeOverride", **({"enabled": True} if on else {}))

    def evaluate(self, script: str) -> Any:
        """Return the value of a script that is evaluated on the page; of a promise, what it comes to."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def picture(self, path: Path, max_height: int = 4000) -> None:
        """Save a screenshot of the page as a PNG, cropped to `max_height` points."""
        width, height = self.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, max_height), "scale": 1}
        data = self._ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        order = {"id": self._number, "method": method, "params": params}
        if self._session:
            order["sessionId"] = self._session
        unsent = json.dumps(order).encode() + b"\0"
        while unsent:
            unsent = unsent[os.write(self._orders, unsent) :]
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> bytes:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], LONGEST_WAIT)
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("Chromium has ended, or says nothing any more")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return message
