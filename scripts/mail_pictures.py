"""Pictures of the report for every kind of day, or of given pages: `python -m scripts.mail_pictures [PAGE.html …]`.

They are saved in `build/mails/`: on a phone and in a window, light, dark, darkened by the mail program, and as Outlook
on the desktop lays them out. With `--readme`, only the README's `docs/report.png` is created: the first phone screen of
a mail about a day with trouble, at two pixels per point; `pngquant --force --ext .png 32 docs/report.png` makes it a
fifth as large. Requires Chromium.
"""

import sys
from pathlib import Path

from sandbox.browser import Browser, find_chromium
from tests.report.mails import mails
from tests.report.scenarios import scenario_mails
from tests.report.word import as_word, without_styles

OUTPUT = Path("build/mails")
README, README_DAY = Path("docs/report.png"), "trouble"
PHONE = (375, 715)
"""Width and height in points."""
WIDTHS = (PHONE[0], 800)


def main() -> None:
    """Create the pictures."""
    program = find_chromium()
    if not program:
        sys.exit("There is no Chromium here: install one, or name it in the variable CHROMIUM")
    if sys.argv[1:] == ["--readme"]:
        take_for_readme(program)
    else:
        take_all(program)


def take_for_readme(program: str) -> None:
    """Create the picture of the first screen of one mail, at high resolution."""
    with Browser(program) as browser:
        browser.show(scenario_mails()[README_DAY].html, PHONE[0] * 2, zoom=2)
        browser.picture(README, max_height=PHONE[1])
    print(README)


def take_all(program: str) -> None:
    """Create the pictures of each page."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    pages = {Path(name).stem: Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]}
    pages = pages or {name.replace(" ", "-"): mail.html for name, mail in (mails() | scenario_mails()).items()}
    with Browser(program) as browser:
        for name, html in pages.items():
            for width in WIDTHS:
                for mode in ("light", "dark"):
                    browser.show(html, width, dark=mode == "dark")
                    browser.picture(OUTPUT / f"{name}-{width}-{mode}.png")
                browser.invert(on=True)
                browser.show(without_styles(html), width)
                browser.picture(OUTPUT / f"{name}-{width}-forced-dark.png")
                browser.invert(on=False)
            browser.show(as_word(html), WIDTHS[-1])
            browser.picture(OUTPUT / f"{name}-{WIDTHS[-1]}-word.png")
            print(name)


if __name__ == "__main__":
    main()
