"""How easily a mail reads: its first screen as what is read in the eighth grade, and each of its sentences too."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from closrads.report.wording.kinds import Kind, Statement
from tests.report.mails import mails
from tests.report.reading import first_screen, grade
from tests.report.scenarios import scenario_mails
from tests.report.texts import wording_values

HIGHEST = 8.0
HIGHEST_OF_A_SENTENCE = 9.0
"""A sentence of few words may have one that is long."""
NO_SENTENCES = {"long names", "hostile names"}
"""Days of which the names are made up to be a nuisance."""


def texts() -> Iterator[str]:
    """Yield every sentence of `wording` about things that need somebody, or that do not."""

    def found_in(value: Any) -> Iterator[Kind | Statement]:
        if isinstance(value, Statement):
            yield from (value, value.kind)
        elif isinstance(value, Kind):
            yield value
        elif isinstance(value, dict | tuple):
            for each in value.values() if isinstance(value, dict) else value:
                yield from found_in(each)

    for found in dict.fromkeys(each for value in wording_values() for each in found_in(value)):
        if isinstance(found, Statement):
            yield f"It {found.text}."
        else:
            for text in (*found.steps, found.note):
                yield from (part for part in re.split(r"(?<=[.!])\s+", text) if part)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat on the mat.", -1.45),
        ("Open the ad. Press Publish.", 1.91),
        ("It is a responsibility.", 12.52),
        ("CLOSRADS's ad xqzy", 1.31),
    ],
)
def test_the_formula(text: str, expected: float) -> None:
    """By hand: 0.39 words per sentence + 11.8 syllables per word - 15.59."""
    assert grade(text) == pytest.approx(expected, abs=0.01)


def test_the_first_screen_is_what_is_read_first() -> None:
    """Without headings, dates, tables and details."""
    page = first_screen(mails()["orange"].html)

    assert page.startswith("3 things need you: Static - Sunrise Rig")
    assert "Press Publish." in page
    for other in ("Lead form lost", "2026", "What to do", "+NE", "Wanted today", "Next run"):
        assert other not in page


def test_every_mail_reads_easily() -> None:
    """Of every kind of day, made up or played in the sandbox."""
    pages = {name: first_screen(mail.html) for name, mail in (mails() | scenario_mails()).items()}

    grades = {name: grade(page) for name, page in pages.items() if name not in NO_SENTENCES}
    assert {name: found for name, found in grades.items() if found > HIGHEST} == {}


def test_every_sentence_reads_easily() -> None:
    """Also those that none of these days needs."""
    found = set(texts())

    assert len(found) > 120
    assert {text: grade(text) for text in found if grade(text) > HIGHEST_OF_A_SENTENCE} == {}
