"""What mail programs make of the report, by the facts of caniemail.com."""

import pytest

from closrads.report.render import Report
from tests.report.features import CLIENTS, facts, features_of, slug_of
from tests.report.mails import mails

OUTLOOK, YAHOO = "outlook/windows", "yahoo/desktop-webmail yahoo/android"
GMAIL = "gmail/desktop-webmail gmail/android"
APPLE = "apple-mail/macos apple-mail/ios"
ALL_BUT_APPLE = f"{GMAIL} {OUTLOOK} outlook/outlook-com {YAHOO}"

ALLOWED = {
    # The dark mode of our own; without it a program shows our light colours, or turns them itself.
    "meta color-scheme": (f"{ALL_BUT_APPLE} apple-mail/ios", "the style says the same to Apple Mail on iOS"),
    "color-scheme": (ALL_BUT_APPLE, "only asks Apple Mail not to turn our colours itself"),
    "@media": (ALL_BUT_APPLE, "partial: only kinds of queries that are not used"),
    "@media (prefers-color-scheme)": (f"{GMAIL} {OUTLOOK} {YAHOO}", "the light colours are there without it"),
    "<style>": (f"{GMAIL} {OUTLOOK}", "partial: it stands in the head, is small, and holds the dark mode only"),
    "!important": (f"{GMAIL} {OUTLOOK} {YAHOO}", "partial: in lower case, with a space before, and never inline"),
    ".class": ("gmail/android", "partial: as the whole style element with other people's accounts"),
    # Structure.
    "<!doctype html>": (f"{OUTLOOK} yahoo/android", "nothing here depends on the box model that it chooses"),
    "<body>": (f"{GMAIL} outlook/outlook-com {YAHOO}", "becomes a div: a table of the page's colour stands inside"),
    "<ol>": (ALL_BUT_APPLE, "partial: only attributes of numbered lists, none of which is used"),
    "<li>": (ALL_BUT_APPLE, "partial: only attributes of numbered lists"),
    "[lang]": (YAHOO, "partial: not on cells, where it does not stand"),
    "[role]": (YAHOO, "partial: on tables, where it matters most; a map is then read code by code"),
    "[aria-label]": (YAHOO, "the states stand as text below the map"),
    "[aria-hidden]": (YAHOO, "a map is then read code by code"),
    "[width]": (OUTLOOK, "buggy for pictures, and at 120 dpi for widths in pixels: two wrappers become narrower"),
    # Looks.
    "border-left": (OUTLOOK, "partial: up to 8 px, on cells"),
    "border-color": (OUTLOOK, "partial: up to 8 px, on cells"),
    "display": (f"gmail/android {OUTLOOK} {YAHOO}", "partial: `none` works"),
    "display:none": (OUTLOOK, "partial: there is no table or picture in what is hidden; `mso-hide` says it again"),
    "font-size": (f"{OUTLOOK} {YAHOO}", "partial: all are in pixels"),
    "font-weight": (f"{OUTLOOK} {YAHOO}", "partial: only `bold`"),
    "line-height": (OUTLOOK, "buggy: the tiles have `mso-line-height-rule`, elsewhere a little more air does no harm"),
    "margin": (ALL_BUT_APPLE, "partial: none is negative or `auto`, and the body's does not matter"),
    "max-width": (OUTLOOK, "partial: a table of a fixed width, for Outlook only, stands around both"),
    "padding": (OUTLOOK, "partial: on cells; elsewhere only of 0"),
    "table-layout": (OUTLOOK, "the tiles' contents are equally wide, and nothing else has columns that matter"),
    "text-align": (f"gmail/android {OUTLOOK} {YAHOO}", "partial: only `left` and `center`"),
    "word-wrap": (
        f"{GMAIL} {OUTLOOK} yahoo/android",
        "partial or unknown: a name without a space that is longer than a line may stand out at the right in Outlook",
    ),
}
"""What is not fully supported: where, and why it is used all the same."""

NOT_IN_CANIEMAIL = {
    **dict.fromkeys(["<html>", "<head>", "<title>", "<meta>", "[charset]", "[name]", "[content]"], "any page has it"),
    **dict.fromkeys(
        ["<xml>", "<o:officedocumentsettings>", "<o:pixelsperinch>", "[xmlns:o]"], "Outlook's own: 96 points per inch"
    ),
    **dict.fromkeys(["table", "td", "th", "p", "h1", "h2", "li", "a", "span"], "selectors that only Outlook reads"),
    "<br>": "any page has it",
    "[valign]": "any program has it since the last century; without it a name stands in the middle of its row",
    "meta format-detection": "Apple's own: no links on dates and ids",
    "meta viewport": "for programs that show the page as it is; others ignore it",
    "meta supported-color-schemes": "Apple Mail's older name of `color-scheme`",
    ":root": "carries `color-scheme` only",
    "<a>": "a plain link to https works everywhere",
    "[href]": "a plain link to https works everywhere",
    "[class]": "as the class selector, which caniemail knows",
    "[style]": "its properties are looked up one by one",
    "[scope]": "for those who listen; changes no look",
    "color": "works everywhere",
    "font-family": "works everywhere; Arial and Helvetica are there or have a stand-in",
    "mso-hide": "Outlook's own",
    "mso-line-height-rule": "Outlook's own",
}


@pytest.fixture(scope="module")
def all_mails() -> dict[str, Report]:
    """Return the mail of each day."""
    return mails()


@pytest.fixture(scope="module")
def used(all_mails: dict[str, Report]) -> set[str]:
    """Return what any of the mails uses."""
    return {feature for mail in all_mails.values() for feature in features_of(mail.html)}


def test_what_is_used_is_supported_or_allowed_for_a_reason(used: set[str]) -> None:
    """Each element, attribute, property, selector and rule, in each mail program."""
    known = facts()
    falls_short = {
        feature: {client for client in CLIENTS if known[slug_of(feature)][client][0] != "y"}
        for feature in used
        if slug_of(feature) in known
    }

    assert {feature: clients for feature, clients in falls_short.items() if clients} == {
        feature: set(clients.split()) for feature, (clients, _) in ALLOWED.items()
    }


def test_what_caniemail_does_not_know_is_allowed_for_a_reason(used: set[str]) -> None:
    """Neither more nor less."""
    assert {feature for feature in used if slug_of(feature) not in facts()} == set(NOT_IN_CANIEMAIL)


def test_the_facts_are_of_what_is_used(used: set[str]) -> None:
    """Nothing is kept that nobody asks for."""
    assert set(facts()) == {slug_of(feature) for feature in used} & set(facts())


@pytest.mark.parametrize(
    ("markup", "feature"),
    [
        ("<i>x</i>", "<i>"),
        ('<p hidden="">x</p>', "[hidden]"),
        ('<p style="gap : 2px">x</p>', "gap"),
        ('<p style="display:flex">x</p>', "display:flex"),
        ("<style>@media (hover) { a:hover { top: 1px } }</style>", "@media (hover)"),
        ("<style>@media (hover) { a:hover { top: 1px } }</style>", "a:hover"),
        ("<style>@media (hover) { a:hover { top: 1px } }</style>", "top"),
        ("<style>@font-face { src: x }</style>", "@font-face"),
        ("<!--[if mso]><center><![endif]-->", "<center>"),
    ],
)
def test_a_feature_is_found(markup: str, feature: str) -> None:
    """Wherever it hides."""
    assert feature in features_of(markup)
