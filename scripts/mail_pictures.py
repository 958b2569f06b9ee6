"""Pictures of the report, of every kind of day or of given pages: `python -m scripts.mail_pictures [PAGE.html …]`.

They land in `build/mails/`. Needs a Chromium.
"""

import re
import sys
from pathlib import Path

from sandbox.browser import Browser, find_chromium
from tests.report.mails import mails

OUTPUT = Path("build/mails")
SCREENS = {"320": (320, 1.0), "390": (390, 1.0), "1200": (1200, 1.0), "1200-at-200-percent": (1200, 2.0)}
"""Widths in points, and the zoom."""
STYLES = re.compile(r"<style>.*?</style>", re.DOTALL)


def main() -> None:
    """Take them."""
    program = find_chromium()
    if not program:
        sys.exit("There is no Chromium here: install one, or name it in the variable CHROMIUM")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    pages = {Path(name).stem: Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]}
    pages = pages or {name.replace(" ", "-"): mail.html for name, mail in mails().items()}
    with Browser(program) as browser:
        for name, html in pages.items():
            for screen, (width, zoom) in SCREENS.items():
                for mode in ("light", "dark"):
                    browser.show(html, width, dark=mode == "dark", zoom=zoom)
                    browser.picture(OUTPUT / f"{name}-{screen}-{mode}.png")
            browser.invert(on=True)
            browser.show(STYLES.sub("", html).replace('content="light dark"', 'content="light"'), 390)
            browser.picture(OUTPUT / f"{name}-390-inverted.png")
            browser.invert(on=False)
            print(name)


if __name__ == "__main__":
    main()
