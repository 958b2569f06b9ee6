"""What a run knows of unexplained pauses."""

from dataclasses import replace

from closrads.domain.changes import UnexplainedPause
from closrads.rollout.known_pauses import KnownPauses
from tests.world import START

ONE = UnexplainedPause("501", "Broad", {"11": "Spring"}, START)
OTHER = UnexplainedPause("501", "Broad", {"12": "Summer"}, START)
FAR = UnexplainedPause("502", "Narrow", {"21": "Autumn"}, START)
BOTH = {**ONE.ads, **OTHER.ads}


def named(pauses: KnownPauses, *before: UnexplainedPause) -> dict[str, list[str]]:
    """Return the ids of the ads that a report names, by ad set id."""
    return {pause.adset_id: sorted(pause.ads) for pause in pauses.named(before)}


def test_until_the_recorded_ones_are_read_the_report_keeps_what_it_has() -> None:
    """With what this run has found, which may be in the same ad set."""
    assert named(KnownPauses(), ONE, FAR) == {"501": ["11"], "502": ["21"]}
    assert named(KnownPauses({"501": OTHER}), ONE, FAR) == {"501": ["11", "12"], "502": ["21"]}


def test_then_the_recorded_ones_count() -> None:
    """Another run may have ended those of the report."""
    pauses = KnownPauses({"501": OTHER})
    pauses.recall([ONE])

    assert named(pauses, FAR) == {"501": ["11", "12"]}


def test_those_without_ads_that_are_off_are_not_named() -> None:
    """They are only followed."""
    pauses = KnownPauses()
    pauses.recall([replace(ONE, ads={}, on_again={"11": START}), FAR])

    assert named(pauses) == {"502": ["21"]}
    assert pauses.all is not None
    assert "501" in pauses.all


def test_what_an_earlier_invocation_has_switched_on_stays_named() -> None:
    """Even if a later invocation of the run has seen the ad on."""
    pauses = KnownPauses()
    pauses.recall([replace(ONE, ads={}, on_again={"11": START})])

    assert named(pauses, replace(ONE, switched_on=frozenset({"11"}))) == {"501": ["11"]}


def test_what_becomes_of_them_replaces_what_was() -> None:
    """Those that are over go."""
    pauses = KnownPauses()
    pauses.recall([ONE, FAR])

    pauses.update({"501": None, "502": replace(FAR, ads={"22": "Winter"})})

    assert named(pauses) == {"502": ["22"]}


def test_only_those_of_ad_sets_that_were_read_or_found() -> None:
    """A recheck reads but some."""
    pauses = KnownPauses({"501": ONE})
    third = replace(FAR, adset_id="503")
    pauses.recall([FAR, third])

    pauses.name_only({"503"})

    assert named(pauses) == {"501": ["11"], "503": ["21"]}
