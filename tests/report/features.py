"""What of HTML and CSS a mail uses, under the names that caniemail.com gives it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

FACTS = Path(__file__).with_name("caniemail.json")
"""Made by `scripts/caniemail_facts.py`: what the mail programs below support of all that the mails use."""
CLIENTS = (
    "gmail/desktop-webmail", "gmail/android", "outlook/windows", "outlook/outlook-com", "apple-mail/macos",
    "apple-mail/ios", "yahoo/desktop-webmail", "yahoo/android",
)  # fmt: skip

_SLUGS = {
    "<h1>": "html-h1-h6",
    "<h2>": "html-h1-h6",
    "<ol>": "html-lists",
    "<li>": "html-lists",
    "<tr>": "html-table",
    "<td>": "html-table",
    "<th>": "html-table",
    "border-left": "css-border",
    "border-color": "css-border",
    "[style]": "html-style-attribute",
    "meta color-scheme": "html-meta-color-scheme",
    "<!-- -->": "html-comments",
    "<!doctype html>": "html-doctype",
    "!important": "css-important",
    ".class": "css-selector-class",
    ":root": "css-pseudo-class-root",
    "@media (prefers-color-scheme)": "css-at-media-prefers-color-scheme",
    "@media": "css-at-media",
    "display:none": "css-display-none",
}
"""Where caniemail's name does not follow from ours."""


def slug_of(feature: str) -> str:
    """Return caniemail's name of a feature, whether or not it has it."""
    if slug := _SLUGS.get(feature):
        return slug
    if feature.startswith("<"):
        return f"html-{feature.strip('<>')}"
    return f"html-{feature[1:-1]}" if feature.startswith("[") else f"css-{feature}"


class _Reader(HTMLParser):
    """Collects the features of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.features: set[str] = set()
        self._in_style = False
        self.feed(html)

    def handle_decl(self, decl: str) -> None:
        self.features.add(f"<!{decl.lower()}>")

    def handle_comment(self, data: str) -> None:
        self.features.add("<!-- -->")
        if data.startswith("[if mso]>"):
            self.features |= _Reader(data.removeprefix("[if mso]>").removesuffix("<![endif]")).features

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self.features.add(f"<{tag}>")
        for name, value in attrs:
            self.features.add(f"[{name}]")
            if name == "style":
                self._declarations(value or "")
            if (tag, name) == ("meta", "name"):
                self.features.add(f"meta {value}")

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            return
        for query in re.findall(r"@[^{]*", data):
            self.features |= {query.split()[0], re.sub(r":[^)]*\)", ")", query.strip())}
        for selectors, declarations in re.findall(r"([^{}]*)\{([^{}]*)\}", data):
            for selector in selectors.strip().split(","):
                self.features.add(".class" if re.fullmatch(r"\.[\w-]+", selector.strip()) else selector.strip())
            self._declarations(declarations)

    def _declarations(self, text: str) -> None:
        for name, value in re.findall(r"([\w-]+)\s*:\s*([^;]+)", text):
            self.features.add(name)
            if name == "display":
                self.features.add(f"display:{value.strip()}")
            if "!important" in value:
                self.features.add("!important")


def features_of(html: str) -> set[str]:
    """Return every element, attribute, property, selector and rule of a page."""
    return _Reader(html).features


def facts() -> dict[str, dict[str, str]]:
    """Return by caniemail's name of a feature what each mail program does with it."""
    features: dict[str, dict[str, str]] = json.loads(FACTS.read_text(encoding="utf-8"))["features"]
    return features
