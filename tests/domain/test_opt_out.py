"""Which ad sets the patterns of `skip_adsets` name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.opt_out import is_usable, matching_pattern, unmatched_patterns

NAMES = st.text(st.sampled_from("aB [](!)-*?\\^"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("Evergreen", "Evergreen", True),
        ("Evergreen", "evergreen", True),
        ("EVERGREEN", "Evergreen", True),
        ("Evergreen 2", "Evergreen", False),
        ("Evergreen 2", "Evergreen*", True),
        ("The Evergreen", "Evergreen*", False),
        ("Test A", "Test ?", True),
        ("Test AB", "Test ?", False),
        ("A, B", "A? B", True),
        ("Test  A ", "test a", True),
        ("[TEST] Broad", "[TEST] Broad", True),
        ("T Broad", "[TEST] Broad", True),
        ("[TEST] Broad", "[[]TEST] *", True),
        ("A1", "A[12]", True),
        ("A3", "A[12]", False),
        ("A3", "A[!12]", True),
        ("Straße", "STRASSE", True),
        ("Cafe\u0301 1", "Caf\u00e9*", True),
        ("CAF\u00c9 1", "cafe\u0301 ?", True),
        ("", "*", True),
        ("Ever\u200bgreen", "Evergreen", True),
        ("Evergreen", "Ever\u200bgreen*", True),
        ("\U0001f469\u200d\U0001f4bb Coders", "\U0001f469\u200d\U0001f4bb coders", True),
        ("Line\nbreak", "line break", True),
    ],
)
def test_a_name_and_a_pattern(name: str, pattern: str, *, matches: bool) -> None:
    """As `fnmatch` has it, whatever the case, the blanks and the encoding, and always by the name itself."""
    assert matching_pattern([name], [pattern]) == (pattern if matches else "")


@given(NAMES, st.lists(NAMES, max_size=3))
def test_whatever_a_name_contains_it_is_its_own_pattern(name: str, others: list[str]) -> None:
    """Who copies a name from Ads Manager means that ad set."""
    assert matching_pattern([name], [*others, name])
    assert name not in unmatched_patterns([*others, name], [[name]])


def test_the_first_pattern_counts() -> None:
    """Of whichever name; and each that nothing matches is named, in its order."""
    assert matching_pattern(["Br…", "Broad"], ["x", "*d", "*"]) == "*d"
    assert unmatched_patterns(["Br…", "*d", "x"], [["Br…", "Broad"]]) == ("x",)
    assert matching_pattern(["Broad"], ["x", "b*", "*"]) == "b*"
    assert unmatched_patterns(["x", "b*", "y"], [["Broad"], ["Narrow"]]) == ("x", "y")
    assert unmatched_patterns([], [["Broad"]]) == ()


@pytest.mark.parametrize(
    ("pattern", "usable"),
    [
        ("*", True),
        ("Evergreen [12]", True),
        ("[[]TEST]", True),
        ("[a]", True),
        ("[[]", True),
        ("[a][[]", True),
        ("[]]", True),
        ("[!]]x", True),
        ("[a][b", False),
        ("[a][]", False),
        ("[TEST", False),
        ("[]", False),
        ("[!]", False),
        ("[z-a]", False),
    ],
)
def test_a_pattern_that_no_name_can_match(pattern: str, *, usable: bool) -> None:
    """Python takes an open bracket for the sign itself; who writes one has more likely forgotten the other."""
    assert is_usable(pattern) == usable
