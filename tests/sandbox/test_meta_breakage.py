"""What becomes of ads after a targeting write, variant by variant."""

from collections.abc import Callable
from datetime import datetime

import pytest

from sandbox.meta import MISSING_LEAD_FORM, SOFT_WARNING, Ad, Breakage, Effect, MetaWorld
from tests.sandbox.conftest import CAMPAIGN, Clock, Graph

FLORIDA, OHIO = "3852", "3878"


class Patient:
    """One ad of an ad set in Florida, and what a client can do to it."""

    def __init__(self, meta: MetaWorld, graph: Graph, breakage: Breakage) -> None:
        self._graph = graph
        self._adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=breakage)
        self._ad: Ad = meta.ads_of(self._adset)[0]

    def update(self) -> None:
        """Write another state."""
        assert self._graph.set_states(self._adset, OHIO)[0] == 200

    def roll_back(self) -> None:
        """Write the old state."""
        assert self._graph.set_states(self._adset, FLORIDA)[0] == 200

    def republish(self) -> None:
        """Send status=ACTIVE."""
        assert self._graph.post(self._ad.id, status="ACTIVE")[0] == 200

    def look(self) -> str:
        """Read the ad; tell its effective status, or the kind of error that it shows."""
        _, content = self._graph.get(f"{self._adset}/ads", fields="status,effective_status,issues_info")
        (row,) = content["data"]
        if row["effective_status"] == "WITH_ISSUES":
            assert row["issues_info"] == [MISSING_LEAD_FORM]
            assert row["status"] == "ACTIVE"
        elif row["effective_status"] == "PAUSED":
            assert row["status"] == "PAUSED"
            assert "issues_info" not in row
        elif "issues_info" in row:
            assert row["issues_info"] == [SOFT_WARNING]
            return "SOFT_ERROR"
        return str(row["effective_status"])


@pytest.fixture
def patient(meta: MetaWorld, graph: Graph) -> Callable[[Breakage], Patient]:
    """Return a maker of patients."""
    return lambda breakage: Patient(meta, graph, breakage)


MakePatient = Callable[[Breakage], Patient]


def test_nothing_breaks_without_a_write(patient: MakePatient) -> None:
    """The breakage of an ad is only what a targeting write does to it."""
    ad = patient(Breakage.incurable())
    ad.republish()
    assert ad.look() == "ACTIVE"


def test_an_equal_write_breaks_nothing(meta: MetaWorld, graph: Graph) -> None:
    """Targeting that does not change is not validated anew."""
    raw = {"geo_locations": {"regions": [{"key": FLORIDA}]}}
    adset = meta.add_adset(CAMPAIGN, "Raw", targeting=raw, breakage=Breakage.incurable())
    graph.set_states(adset, FLORIDA)
    meta.settle()
    assert {ad.effective_status for ad in meta.ads_of(adset)} == {"ACTIVE"}


def test_ordinary(patient: MakePatient) -> None:
    """A re-publish in time repairs it."""
    ad = patient(Breakage.ordinary())
    ad.update()
    ad.republish()
    assert ad.look() == "ACTIVE"


def test_ordinary_forgotten(patient: MakePatient) -> None:
    """Without a re-publish it breaks; then only the old targeting with a re-publish helps."""
    ad = patient(Breakage.ordinary())
    ad.update()
    assert ad.look() == "WITH_ISSUES"
    ad.republish()
    assert ad.look() == "WITH_ISSUES"
    ad.roll_back()
    assert ad.look() == "WITH_ISSUES"
    ad.republish()
    assert ad.look() == "ACTIVE"


def test_a_rollback_marks_again(patient: MakePatient) -> None:
    """A rollback is a targeting write too: without a re-publish of its own it breaks the ad."""
    ad = patient(Breakage.ordinary())
    ad.update()
    ad.republish()
    ad.roll_back()
    assert ad.look() == "WITH_ISSUES"


def test_stubborn(patient: MakePatient) -> None:
    """Broken although re-published; the old targeting alone is not enough."""
    ad = patient(Breakage.stubborn())
    ad.update()
    ad.republish()
    assert ad.look() == "WITH_ISSUES"
    ad.roll_back()
    assert ad.look() == "WITH_ISSUES"
    ad.republish()
    assert ad.look() == "ACTIVE"


def test_cured_by_rollback(patient: MakePatient) -> None:
    """Broken although re-published; the old targeting alone is enough."""
    ad = patient(Breakage.cured_by_rollback())
    ad.update()
    ad.republish()
    assert ad.look() == "WITH_ISSUES"
    ad.roll_back()
    assert ad.look() == "ACTIVE"


def test_incurable(patient: MakePatient) -> None:
    """Nothing helps."""
    ad = patient(Breakage.incurable())
    ad.update()
    ad.republish()
    assert ad.look() == "WITH_ISSUES"
    ad.roll_back()
    ad.republish()
    assert ad.look() == "WITH_ISSUES"


def test_late(patient: MakePatient, clock: Clock) -> None:
    """Every check finds it healthy, ten minutes later it is not."""
    ad = patient(Breakage.late(600))
    ad.update()
    ad.republish()
    clock.advance(599)
    assert ad.look() == "ACTIVE"
    clock.advance(1)
    assert ad.look() == "WITH_ISSUES"
    ad.roll_back()
    ad.republish()
    clock.advance(600)
    assert ad.look() == "ACTIVE"


def test_long_review(patient: MakePatient, clock: Clock) -> None:
    """A review lasts and ends, whatever anybody does."""
    ad = patient(Breakage.long_review(3600))
    ad.update()
    ad.republish()
    assert ad.look() == "PENDING_REVIEW"
    clock.advance(3600)
    assert ad.look() == "ACTIVE"


def test_warning(patient: MakePatient) -> None:
    """A soft error is there, and the ad runs."""
    ad = patient(Breakage.warning())
    ad.update()
    ad.republish()
    assert ad.look() == "SOFT_ERROR"


def test_silently_paused(patient: MakePatient) -> None:
    """The ad is paused and shows no issue; each re-publish without the old targeting lasts until the next look."""
    ad = patient(Breakage.silently_paused())
    ad.update()
    ad.republish()
    assert ad.look() == "PAUSED"
    ad.republish()
    assert ad.look() == "PAUSED"
    ad.roll_back()
    ad.republish()
    assert ad.look() == "ACTIVE"


@pytest.mark.parametrize("effect", [Effect.PAUSED, Effect.SOFT_ERROR, Effect.PENDING_REVIEW])
def test_effects_mend_without_trace(patient: MakePatient, effect: Effect) -> None:
    """What a breakage did to the ad is gone with it."""
    ad = patient(Breakage.cured_by_rollback(effect))
    ad.update()
    assert ad.look() == effect.name
    ad.roll_back()
    assert ad.look() == "ACTIVE"


def test_after_some_reads(patient: MakePatient) -> None:
    """The first reads after the write still find it healthy."""
    ad = patient(Breakage.stubborn(reads=2))
    ad.update()
    assert [ad.look() for _ in range(4)] == ["ACTIVE", "ACTIVE", "WITH_ISSUES", "WITH_ISSUES"]


def test_paging_is_no_second_read(meta: MetaWorld, graph: Graph) -> None:
    """An ad is read when its page is, not with every page."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=3, breakage=Breakage.stubborn(reads=1))
    graph.set_states(adset, OHIO)
    page = graph.get(f"{adset}/ads", limit="1", fields="effective_status")[1]
    found = [row["effective_status"] for row in page["data"]]
    while "next" in page["paging"]:
        page = graph.session.get(page["paging"]["next"], timeout=5).json()
        found += [row["effective_status"] for row in page["data"]]
    assert found == ["ACTIVE"] * 3


def test_a_republish_after_the_time_is_too_late(patient: MakePatient, clock: Clock) -> None:
    """With a delay by the clock, being in time is measured by the clock, looked at or not."""
    ad = patient(Breakage.ordinary(seconds=5))
    ad.update()
    clock.advance(5)
    ad.republish()
    assert ad.look() == "WITH_ISSUES"


def test_what_the_test_sees_without_reading(meta: MetaWorld, graph: Graph, clock: Clock) -> None:
    """`ads` follows the clock and is no read; `settle` brings out what still waits."""
    timed = meta.add_adset(CAMPAIGN, "Timed", "FL", ads=1, breakage=Breakage.late(60))
    waiting = meta.add_adset(CAMPAIGN, "Waiting", "FL", ads=1, breakage=Breakage.ordinary(reads=3))
    graph.set_states(timed, OHIO)
    graph.set_states(waiting, OHIO)
    clock.advance(60)
    assert meta.ads_of(timed)[0].effective_status == "WITH_ISSUES"
    assert meta.ads_of(waiting)[0].effective_status == "ACTIVE"
    meta.settle()
    assert meta.ads_of(waiting)[0].effective_status == "WITH_ISSUES"


def test_read_after_write_cannot_foresee_it(meta: MetaWorld, graph: Graph) -> None:
    """Meta validates an ad after its answer; a broken ad has lost its form."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=Breakage.stubborn())
    (ad,) = meta.ads_of(adset)
    graph.set_states(adset, OHIO)
    _, content = graph.post(ad.id, status="ACTIVE", fields="effective_status")
    assert content["effective_status"] == "ACTIVE"
    _, content = graph.get(ad.id, fields="effective_status,creative")
    assert content["effective_status"] == "WITH_ISSUES"
    assert "lead_gen_form_id" not in str(content["creative"])


def test_a_persons_change_breaks_nothing(meta: MetaWorld) -> None:
    """Ads Manager publishes the ads together with the ad set."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=Breakage.incurable())
    meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": OHIO}]}})
    meta.settle()
    assert meta.ads_of(adset)[0].effective_status == "ACTIVE"


class TestUpdatedTime:
    """When an ad was last changed, as a read of it says, whoever changed it."""

    @staticmethod
    def shown(meta: MetaWorld, graph: Graph, adset: str) -> tuple[str, float]:
        """Return an ad's status and the seconds between its making and its last change."""
        (ad,) = meta.ads_of(adset)
        (row,) = graph.get(f"{adset}/ads", fields="status,updated_time")[1]["data"]
        updated = datetime.strptime(row["updated_time"], "%Y-%m-%dT%H:%M:%S%z")
        return row["status"], updated.timestamp() - ad.created_time

    def test_a_persons_pause(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """It is shown with its time."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1)
        (ad,) = meta.ads_of(adset)
        assert self.shown(meta, graph, adset) == ("ACTIVE", 0)
        clock.advance(60)
        meta.pause_by_hand(ad.id)
        clock.advance(60)
        assert self.shown(meta, graph, adset) == ("PAUSED", 60)
        assert ad.effective_status == "PAUSED"
        assert meta.writes == []

    def test_a_write_of_the_status(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """It counts as a change, also if the status stays; a refused one does not."""
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1)
        (ad,) = meta.ads_of(adset)
        clock.advance(60)
        graph.post(ad.id, status="ACTIVE")
        clock.advance(60)
        graph.post(ad.id, status="WITH_ISSUES")
        assert self.shown(meta, graph, adset) == ("ACTIVE", 60)

    @pytest.mark.parametrize(("seconds", "reads", "after"), [(0, 0, 60), (100, 0, 110), (0, 1, 250)])
    def test_metas_silent_pause(  # noqa: PLR0913, PLR0917 - fixtures
        self, meta: MetaWorld, graph: Graph, clock: Clock, seconds: float, reads: int, after: float
    ) -> None:
        """It bears the time at which it happened, which a later look does not move."""
        breakage = Breakage.silently_paused(seconds, reads)
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=breakage)
        (ad,) = meta.ads_of(adset)
        clock.advance(10)
        graph.set_states(adset, OHIO)
        clock.advance(50)
        graph.post(ad.id, status="ACTIVE")
        clock.advance(90)
        self.shown(meta, graph, adset)
        clock.advance(100)
        assert self.shown(meta, graph, adset) == ("PAUSED", after)
        clock.advance(100)
        assert self.shown(meta, graph, adset) == ("PAUSED", after)

    def test_a_persons_pause_is_not_metas(self, meta: MetaWorld, graph: Graph, clock: Clock) -> None:
        """Meta's own pause neither covers one that a person made before it, nor ends it with its cure."""
        breakage = Breakage.cured_by_rollback(Effect.PAUSED)
        adset = meta.add_adset(CAMPAIGN, "Broad", "FL", ads=1, breakage=breakage)
        graph.set_states(adset, OHIO)
        clock.advance(60)
        meta.pause_by_hand(meta.ads_of(adset)[0].id)
        clock.advance(60)
        assert self.shown(meta, graph, adset) == ("PAUSED", 60)
        graph.set_states(adset, FLORIDA)
        assert self.shown(meta, graph, adset) == ("PAUSED", 60)
