"""Barriers in the report, as axe-core finds them in a browser; skipped where there is no Chromium."""

import json
from importlib.resources import files

import pytest

from sandbox.browser import Browser
from tests.report.mails import RESULTS, mails
from tests.report.scenarios import STORIES, scenario_mails

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
NOT_OF_A_MAIL = {
    "landmark-one-main": "a mail is shown inside a page that has a main part of its own",
    "region": "as above: a landmark for each part would be one of somebody else's page",
}
"""Rules for whole web pages, each with the reason why it is none for a mail."""


def barriers(browser: Browser, *only: str) -> list[str]:
    """Return each barrier on the page that is shown: the rule, the element, and what is wrong; by some rules or all."""
    rules = {"runOnly": only} if only else {"rules": {rule: {"enabled": False} for rule in NOT_OF_A_MAIL}}
    options = {**rules, "resultTypes": ["violations"]}
    if not browser.evaluate("'axe' in window"):
        browser.evaluate(f"{AXE};0")
    found = browser.evaluate(f"axe.run(document, {json.dumps(options)}).then(result => result.violations)")
    return [f"{rule['id']}: {node['html']}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("name", [*RESULTS, *STORIES])
def test_no_mail_has_a_barrier(browser: Browser, name: str) -> None:
    """By all of axe's rules of WCAG 2.2, A and AA, and of best practice; in the dark only colours differ."""
    mail = mails()[name] if name in RESULTS else scenario_mails()[name]
    browser.show(mail.html, 375)
    assert barriers(browser) == []

    browser.show(mail.html, 375, dark=True)
    assert barriers(browser, "color-contrast") == []


@pytest.mark.parametrize(
    ("markup", "rule"),
    [
        ('<a href="https://example.test"></a>', "link-name"),
        ('<p style="color:#999999">grey words</p>', "color-contrast"),
        ('<div role="img">x</div>', "role-img-alt"),
        ("<ol><p>x</p></ol>", "list"),
        ("<h1>x</h1><h4>y</h4>", "heading-order"),
        ('<p lang="xx-none">x</p>', "valid-lang"),
    ],
)
def test_a_barrier_is_found(browser: Browser, markup: str, rule: str) -> None:
    """Else the test above proves nothing."""
    browser.show(f'<!doctype html><html lang="en"><title>x</title><body>{markup}', 375)

    assert rule in {barrier.partition(":")[0] for barrier in barriers(browser)}
