"""Pictures of the report, of every kind of day or of given pages: `python -m scripts.mail_pictures [PAGE.html …]`.

They land in `build/mails/`. With `--readme` it takes one only, the README's `docs/report.png`: what a phone shows
first of the mail of a day with trouble, at two pixels a point. Needs a Chromium.
"""

import re
import sys
from pathlib import Path

from sandbox.browser import Browser, find_chromium
from tests.report.mails import mails

OUTPUT = Path("build/mails")
README, README_DAY = Path("docs/report.png"), "red"
PHONE = (390, 800)
"""Points."""
SCREENS = {"320": (320, 1.0), "390": (390, 1.0), "1200": (1200, 1.0), "1200-at-200-percent": (1200, 2.0)}
"""Widths in points, and the zoom."""
STYLES = re.compile(r"<style>.*?</style>", re.DOTALL)


def main() -> None:
    """Take them."""
    program = find_chromium()
    if not program:
        sys.exit("There is no Chromium here: install one, or name it in the variable CHROMIUM")
    if sys.argv[1:] == ["--readme"]:
        take_for_readme(program)
    else:
        take_all(program)


def take_for_readme(program: str) -> None:
    """Take the first screen of one mail, sharp enough for a screen of today."""
    with Browser(program) as browser:
        browser.show(mails()[README_DAY].html, PHONE[0] * 2, zoom=2)
        browser.picture(README, max_height=PHONE[1])
    print(README)


def take_all(program: str) -> None:
    """Take each page on every screen, in light and in dark, and as mail programs darken it."""
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
