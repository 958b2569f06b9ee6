"""A mail as Outlook on the desktop lays it out, which uses Word: the page less what that ignores."""

import re

from tests.report.features import facts

OUTLOOK = "outlook/windows"
_ONLY_ON = {
    "max-width": {"table"},
    "padding": {"td", "th"},
    "border": {"td", "th", "table"},
}
"""Properties that Word heeds on these elements only (the notes of `caniemail.json`)."""
_TAG = re.compile(r'<(\w+)([^<>]*?) style="([^"]*)"')
_STYLES = re.compile(r"(?<!</xml>)<style>.*?</style>", re.DOTALL)


def in_outlook(html: str) -> str:
    """Return a page with its conditional comments in effect, less the settings of Office, which are XML."""
    html = re.sub(r"<xml>.*?</xml>", "", html)
    return html.replace("<!--[if mso]>", "").replace("<![endif]-->", "")


def without_styles(html: str) -> str:
    """Return a page as Gmail shows mail of other accounts: without its style element, and so without its dark mode."""
    return _STYLES.sub("", html).replace('content="light dark"', 'content="light"')


def as_word(html: str) -> str:
    """Return a page that a browser lays out about as Word does.

    Word has no media queries, which is all that our style element is made of, and neither long words nor the columns of
    a table are broken or fixed by a style.
    """
    return _TAG.sub(_without_the_ignored, in_outlook(without_styles(html)))


def _without_the_ignored(found: re.Match[str]) -> str:
    tag, others, style = found.groups()
    kept = ";".join(each for each in style.split(";") if _is_heeded(tag, each.partition(":")[0].strip()))
    return f'<{tag}{others} style="{kept}"'


def _is_heeded(tag: str, name: str) -> bool:
    if name.partition("-")[0] in _ONLY_ON or name in _ONLY_ON:
        return tag in _ONLY_ON.get(name, _ONLY_ON.get(name.partition("-")[0], set()))
    return facts().get(f"css-{name}", {}).get(OUTLOOK, "y")[0] != "n"
