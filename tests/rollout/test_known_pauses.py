"""What a run knows of unexplained pauses."""

from dataclasses import replace

from closrads.domain.changes import UnexplainedPause
from closrads.rollout.known_pauses import KnownPauses
from tests.world import START

ONE = UnexplainedPause("501", "Broad", {"11": "Spring"}, START)
OTHER = UnexplainedPause("501", "Broad", {"12": "Summer"}, START)
FAR = UnexplainedPause("502", "Narrow", {"21": "Autumn"}, START)


def recalled(*recorded: UnexplainedPause) -> KnownPauses:
    """Return what a run knows that has read these."""
    pauses = KnownPauses()
    pauses.recall(recorded)
    return pauses


def named(pauses: KnownPauses, *earlier: UnexplainedPause) -> dict[str, list[str]]:
    """Return the ids of the ads that a report names, by ad set id."""
    return {pause.adset_id: sorted(pause.ads) for pause in pauses.named(earlier)}


def test_until_the_recorded_ones_are_read_the_report_keeps_what_it_has() -> None:
    """Then they count: another run may have ended those of the report."""
    assert named(KnownPauses(), ONE) == {"501": ["11"]}
    assert named(recalled(FAR), ONE) == {"502": ["21"]}


def test_they_are_read_once() -> None:
    """After that, this run knows more than the ledger."""
    pauses = recalled(ONE, FAR)
    pauses.update({"501": None})

    pauses.recall([ONE, FAR])

    assert named(pauses) == {"502": ["21"]}


def test_a_new_one_joins_the_earlier_one_of_its_ad_set() -> None:
    """As which it is recorded."""
    pauses = recalled(ONE)

    assert pauses.add([OTHER, FAR]) == [OTHER.joining(ONE), FAR]
    assert named(pauses) == {"501": ["11", "12"], "502": ["21"]}


def test_those_without_ads_that_are_off_are_not_named() -> None:
    """They are only followed."""
    pauses = recalled(replace(ONE, ads={}, on_again={"11": START}), FAR)

    assert named(pauses) == {"502": ["21"]}
    assert "501" in pauses.by_adset


def test_what_an_earlier_invocation_has_switched_on_stays_named() -> None:
    """Even if a later invocation of the run has seen the ad on."""
    pauses = recalled(replace(ONE, ads={}, on_again={"11": START}))

    assert named(pauses, replace(ONE, switched_on=frozenset({"11"}))) == {"501": ["11"]}


def test_what_becomes_of_them_replaces_what_was() -> None:
    """Those that are over go."""
    pauses = recalled(ONE, FAR)

    pauses.update({"501": None, "502": replace(FAR, ads={"22": "Winter"})})

    assert named(pauses) == {"502": ["22"]}


def test_without_the_recorded_ones_a_new_one_joins_what_the_report_has() -> None:
    """And later the recorded one, if that can be read by then."""
    pauses = KnownPauses()
    pauses.add([OTHER])

    assert named(pauses, ONE, FAR) == {"501": ["11", "12"], "502": ["21"]}
    pauses.recall([ONE])
    assert named(pauses, FAR) == {"501": ["11", "12"]}


def test_a_recheck_names_those_of_ad_sets_that_were_read_or_found() -> None:
    """It reads but some, and may stop before that."""
    pauses = KnownPauses(to_name=set())
    pauses.recall([FAR, replace(FAR, adset_id="503")])
    assert named(pauses) == {}

    pauses.add([ONE])
    pauses.also_name({"503"})

    assert named(pauses) == {"503": ["21"], "501": ["11"]}
