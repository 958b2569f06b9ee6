"""Screenshots of the report for every kind of day, or of given pages: `python -m scripts.mail_pictures [PAGE.html …]`.

They are saved in `build/mails/`. With `--readme`, only the README's `docs/report.png` is created: the first phone
screen of a mail about a day with trouble, at two pixels per point. Requires Chromium.
"""

import re
import sys
from pathlib import Path

from sandbox.browser import Browser, find_chromium
from tests.report.mails import mails

OUTPUT = Path("build/mails")
README, README_DAY = Path("docs/report.png"), "orange"
PHONE = (390, 800)
"""Width and height in points."""
SCREENS = {"320": (320, 1.0), "390": (390, 1.0), "1200": (1200, 1.0), "1200-at-200-percent": (1200, 2.0)}
"""Width in points and zoom, by name."""
STYLES = re.compile(r"<style>.*?</style>", re.DOTALL)


def main() -> None:
    """Create the screenshots."""
    program = find_chromium()
    if not program:
        sys.exit("There is no Chromium here: install one, or name it in the variable CHROMIUM")
    if sys.argv[1:] == ["--readme"]:
        take_for_readme(program)
    else:
        take_all(program)


def take_for_readme(program: str) -> None:
    """Create the screenshot of the first screen of one mail, at high resolution."""
    with Browser(program) as browser:
        browser.show(mails()[README_DAY].html, PHONE[0] * 2, zoom=2)
        browser.picture(README, max_height=PHONE[1])
    print(README)


def take_all(program: str) -> None:
    """Create a screenshot of each page for every screen: light, dark, and darkened by the mail program."""
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
