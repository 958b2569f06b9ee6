"""The report as a browser lays it out; skipped where there is no Chromium."""

from pathlib import Path

import pytest

from closrads.report.render import Report
from sandbox.browser import Browser
from tests.report.mails import RESULTS, mails
from tests.report.scenarios import STORIES, scenario_mails
from tests.report.word import as_word, without_styles

MAILS = mails()
CALM = {
    "green", "nothing to change", "500 ad sets changed", "undo", "quiet day", "change day", "breaks late", "throttled",
    "undone",
}  # fmt: skip
"""Days on which nothing is wrong."""
LOOK = """(() => {
  const shown = element => element.getClientRects().length > 0;
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());)
    if (node.data.trim() && shown(node.parentElement)) texts.push(node.parentElement);
  const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = rgb(colour).map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (rgb(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = element => {
    const [dark, light] = [getComputedStyle(element).color, paper(element)].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const kinds = "h1,h2,p,li,th,td";
  const leaves = [...document.querySelectorAll(kinds)]
    .filter(element => shown(element) && element.textContent.trim() && !element.querySelector(kinds));
  const boxes = leaves.map(element => [element, element.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const range = document.createRange();
  const sticksOut = element => {
    range.selectNodeContents(element);
    const [inner, outer] = [range.getBoundingClientRect(), element.getBoundingClientRect()];
    return inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
  };
  const name = element => element.textContent.trim().slice(0, 40);
  return {
    width: document.documentElement.scrollWidth,
    overlapping: boxes.flatMap(([a, x], at) =>
      boxes.slice(at + 1).filter(([, y]) => meet(x, y)).map(([b]) => `${name(a)} / ${name(b)}`)),
    stickingOut: leaves.filter(sticksOut).map(name),
    illegible: texts.filter(element => contrast(element) < 4.5)
      .map(element => `${name(element)}: ${contrast(element)}`),
    paper: paper(document.querySelector("table.page")),
    seen: texts.length,
    beginning: document.body.innerText.trim().slice(0, 40),
    unread: [...document.querySelectorAll("[role=img]")].filter(map => !map.getAttribute("aria-label")).length,
  };
})()"""
"""What a reader would see of a page, and what of it is wrong."""
HEIGHTS = """(() => {
  const details = [...document.querySelectorAll("h2")].find(heading => heading.textContent === "Details");
  const bottom = document.querySelector("div[lang]").getBoundingClientRect().bottom;
  return [bottom, details ? details.getBoundingClientRect().top : null];
})()"""
"""Points that a mail takes, and those before its details; None if it has none."""
TILES = """[...document.querySelectorAll("[role=img] table")].map(table => {
  const sizes = [...table.querySelectorAll("td")].map(tile => tile.getBoundingClientRect());
  return [...new Set(sizes.map(size => `${Math.round(size.width)} x ${Math.round(size.height)}`))];
})"""
"""The different sizes of the tiles, by map."""


@pytest.mark.parametrize("screen", [(320, 1.0), (1200, 1.0), (1200, 2.0)], ids=["320", "1200", "1200 at 200 %"])
@pytest.mark.parametrize("name", MAILS)
def test_all_of_it_fits_and_can_be_read(browser: Browser, name: str, screen: tuple[int, float]) -> None:
    """Light and dark: nothing beyond the right edge, over something else, or too pale."""
    width, zoom = screen
    for dark, paper in ((False, "rgb(255, 255, 255)"), (True, "rgb(27, 28, 31)")):
        browser.show(MAILS[name].html, width, dark=dark, zoom=zoom)
        look = browser.evaluate(LOOK)

        assert look["width"] <= width / zoom
        assert (look["overlapping"], look["stickingOut"], look["illegible"]) == ([], [], [])
        assert look["paper"] == paper
        assert look["seen"] > 5


@pytest.mark.parametrize("name", ["orange", "hostile names"])
def test_it_does_without_its_style_element(browser: Browser, name: str) -> None:
    """Gmail and Outlook drop it, and then the page is light whatever the reader asked for."""
    browser.show(without_styles(MAILS[name].html), 320, dark=True)
    look = browser.evaluate(LOOK)

    assert look["width"] <= 320
    assert (look["overlapping"], look["stickingOut"], look["illegible"]) == ([], [], [])
    assert look["paper"] == "rgb(255, 255, 255)"


def test_the_preview_is_not_seen(browser: Browser) -> None:
    """It is for the list of mails; a mail begins with what happened, and each map says what it shows."""
    browser.show(MAILS["green"].html, 390)
    look = browser.evaluate(LOOK)

    assert look["beginning"].startswith("Nothing to do: 6 ad sets updated.")
    browser.show(MAILS["red"].html, 390)
    assert browser.evaluate(LOOK)["unread"] == 0


@pytest.mark.parametrize("name", [*RESULTS, *STORIES])
def test_how_much_a_phone_shows(browser: Browser, name: str) -> None:
    """A quiet or an ordinary day takes one screen; of a bad one, what has to be done takes two."""
    browser.show(mail_of(name).html, 375)
    whole, details = browser.evaluate(HEIGHTS)

    if name in CALM:
        assert whole <= 700
    assert (whole if details is None else details) <= 1_400


def mail_of(name: str) -> Report:
    """Return the mail of a kind of day, or of a story."""
    return MAILS[name] if name in MAILS else scenario_mails()[name]


@pytest.mark.parametrize("name", ["green", "trouble", "dry run"])
def test_a_program_that_darkens_it_itself_keeps_it_legible(browser: Browser, name: str, tmp_path: Path) -> None:
    """As Gmail does, which drops our own dark mode: it is another picture than the light one, and than ours."""
    pictures = {}
    for mode in ("light", "dark", "forced"):
        browser.invert(on=mode == "forced")
        html = without_styles(mail_of(name).html) if mode == "forced" else mail_of(name).html
        browser.show(html, 375, dark=mode == "dark")
        browser.picture(tmp_path / f"{mode}.png")
        pictures[mode] = (tmp_path / f"{mode}.png").read_bytes()
    browser.invert(on=False)

    assert len(set(pictures.values())) == 3


@pytest.mark.parametrize("name", [name for name in [*RESULTS, *STORIES] if name != "long names"])
def test_outlook_on_the_desktop_lays_it_out_too(browser: Browser, name: str) -> None:
    """By what Word ignores: all of it fits, and the tiles of a map are even. Only long words it breaks nowhere."""
    browser.show(as_word(mail_of(name).html), 800)
    look = browser.evaluate(LOOK)
    tiles = browser.evaluate(TILES)

    assert look["width"] <= 800
    assert (look["overlapping"], look["stickingOut"], look["illegible"]) == ([], [], [])
    assert [len(sizes) for sizes in tiles] == [1] * len(tiles)


@pytest.mark.parametrize(
    ("markup", "wrong"),
    [
        ('<h1 style="width:900px">x</h1>', "width"),
        ('<h1>x</h1><p style="margin-top:-30px">y</p>', "overlapping"),
        ('<h1 style="width:20px;height:9px">words words</h1>', "stickingOut"),
        ('<h1 style="color:#888888">x</h1>', "illegible"),
    ],
)
def test_what_is_wrong_is_found(browser: Browser, markup: str, wrong: str) -> None:
    """Else the tests above prove nothing."""
    browser.show(f"<!doctype html><body>{markup}", 320)
    look = browser.evaluate(LOOK)

    assert look[wrong] > 320 if wrong == "width" else look[wrong]
