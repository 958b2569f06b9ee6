"""How `make mutants` chooses the tests of a mutant, and judges what they have found."""

import tomllib
from pathlib import Path

import pytest

from scripts.mutant_tests import changed_lines
from scripts.mutants import Mutation, judge, remove_stale

ONE = Mutation("closrads.domain.plan.decide", "if a > b:", "if a >= b:")
OTHER = Mutation("closrads.domain.plan.decide", 'return {"a b": 1}', 'return {"a b": 2}')


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ('issue = "It is open"', 'issue = "XXIt is openXX"', True),
        ('issue = "It is open"', 'issue = "IT IS OPEN"', True),
        ('note("score", "It is open")', 'note("SCORE", "It is open")', False),
        ('note("score", "It is open")', 'note("XXscoreXX", "It is open")', False),
        ('if kind == "a b" and x:', 'if kind == "a b" or x:', False),
        ('if kind == "a b":', 'if kind != "a b":', False),
        ('issues = ("It is open",)', "issues = None", False),
    ],
)
def test_only_letters_of_a_text_for_people_are_wording(was: str, now: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A key of one word, an operator beside a text and a text that is lost are no matter of taste."""
    assert Mutation("f", was, now).is_wording is expected


def test_what_is_listed_may_survive() -> None:
    """As long as nearly all others are killed."""
    assert judge(19, [ONE], [ONE]) == []


def test_a_survivor_that_is_not_listed_is_shown_as_it_would_be_listed() -> None:
    """Once, however many mutants make the same change."""
    (complaint,) = judge(100, [OTHER, ONE, OTHER], [ONE])

    entry = tomllib.loads(complaint.partition("\n")[2])["survivor"][0]
    assert entry == {"function": OTHER.function, "was": OTHER.was, "now": OTHER.now, "reason": ""}


def test_what_no_longer_survives_is_to_be_taken_off_the_list() -> None:
    """Else it would excuse a later mutant."""
    (complaint,) = judge(100, [], [ONE])

    assert "has not survived" in complaint


@pytest.mark.parametrize(("killed", "survivors"), [(18, [ONE]), (0, [])])
def test_too_few_were_killed(killed: int, survivors: list[Mutation]) -> None:
    """Even if each survivor has its reason; and no mutants at all is no success."""
    (complaint,) = judge(killed, survivors, survivors)

    assert "less than 95 %" in complaint


def test_a_renamed_module_leaves_neither_mutants_nor_tests_behind(tmp_path: Path) -> None:
    """A later run that keeps the results would still have mypy check it, and still run its tests."""
    root, copy = tmp_path, tmp_path / "mutants"
    for kept in (root / "closrads" / "new.py", copy / "closrads" / "new.py", copy / "closrads" / "new.py.meta"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
    (copy / "closrads" / "old.py").touch()

    remove_stale(copy, root)

    assert {path.name for path in copy.rglob("*.*")} == {"new.py", "new.py.meta"}


FUNCTION = """\
    def share(self, part: int) -> int:
        if (
            part > 1
            and self.whole
        ):
            part += 1
            return part
        for each in self.parts:
            part += sum(
                each,
                part,
            )
        match part:
            case 1:
                return 0
            case _:
                return 1
        return 2"""


@pytest.mark.parametrize(
    ("was", "now", "first", "last"),
    [
        ("part += 1", "part -= 1", "            part += 1", "            part += 1"),
        ("part > 1", "part >= 1", "        if (", "        ):"),
        ("self.parts", "None", "        for each in self.parts:", "        for each in self.parts:"),
        ("                each,\n", "", "            part += sum(", "            )"),
        ("            case 1:\n                return 0\n", "", "        match part:", "                return 1"),
        ("return 2", "return 3", "        return 2", "        return 2"),
        ("part: int)", "part: str)", "    def share(self, part: int) -> int:", "        return 2"),
    ],
)
def test_a_mutant_needs_only_the_tests_that_execute_the_changed_statement(
    was: str, now: str, first: str, last: str
) -> None:
    """Or its head, such as the condition of an `if`."""
    lines = changed_lines(FUNCTION, FUNCTION.replace(was, now, 1))

    of_function = FUNCTION.splitlines()
    assert (of_function[lines.start], of_function[lines.stop - 1]) == (first, last)
