"""The link between an ad and its lead form, which every targeting write puts into question."""

from datetime import datetime
from random import Random

import pytest

from sandbox.meta import Breakage, Effect, MetaWorld
from sandbox.meta.breakage import LONGEST_DELAY, seeded_breakage
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess

DELAY = 60


@pytest.fixture
def linked(quiet_meta: MetaWorld) -> MetaWorld:
    """Return a Meta in which every link that is not confirmed breaks after a minute."""
    quiet_meta.accounts["act_111"].default_breakage = lambda _: Breakage.lost_link(DELAY)
    return quiet_meta


@pytest.fixture
def adset(linked: MetaWorld) -> str:
    """Add an ad set in Florida with two ads, of which the second is off."""
    adset = linked.add_adset(CAMPAIGN, "Broad", "FL", ads=1)
    linked.add_ad(adset, "Off", status="PAUSED")
    return adset


@pytest.fixture
def on(linked: MetaWorld, adset: str) -> str:
    """Return the ad that is on."""
    return linked.ads_of(adset)[0].id


@pytest.fixture
def off(linked: MetaWorld, adset: str) -> str:
    """Return the ad that is off."""
    return linked.ads_of(adset)[1].id


def shown(client: InProcess, ad: str) -> str:
    """Return an ad's effective status as a read shows it."""
    return str(client.get(ad, fields="effective_status")["effective_status"])


class TestPending:
    """What puts a link into question, and what confirms it."""

    def test_a_write_puts_it_into_question(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """The ad looks well for as long as the delay, and is not."""
        client.set_states(adset, "OH")
        clock.advance(DELAY - 1)
        assert shown(client, on) == "ACTIVE"
        assert not linked.link_is_confirmed(on)
        assert not linked.truly_healthy(on)
        clock.advance(1)
        assert shown(client, on) == "WITH_ISSUES"

    def test_a_republish_confirms_it(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """For good, or until the next write."""
        client.set_states(adset, "OH")
        client.republish(on)
        assert linked.truly_healthy(on)
        clock.advance(10 * DELAY)
        assert shown(client, on) == "ACTIVE"
        client.set_states(adset, "FL")
        assert not linked.link_is_confirmed(on)

    def test_a_republish_before_the_write_confirms_nothing(
        self, linked: MetaWorld, client: InProcess, adset: str, on: str
    ) -> None:
        """It comes after the write or not at all."""
        client.republish(on)
        client.set_states(adset, "OH")
        assert not linked.link_is_confirmed(on)

    def test_a_republish_repairs_it_even_late(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """A broken link is not lost for ever."""
        client.set_states(adset, "OH")
        clock.advance(DELAY)
        assert shown(client, on) == "WITH_ISSUES"
        client.republish(on)
        assert (shown(client, on), linked.truly_healthy(on)) == ("ACTIVE", True)

    def test_a_refused_republish_confirms_nothing(
        self, linked: MetaWorld, client: InProcess, adset: str, on: str
    ) -> None:
        """Neither does a dry run of it, or one of another status."""
        client.set_states(adset, "OH")
        client.error("POST", on, status="WITH_ISSUES")
        client.post(on, status="ACTIVE", execution_options=["validate_only"])
        client.post(on, name="Renamed")
        assert not linked.link_is_confirmed(on)

    def test_a_persons_edit_counts_like_any_other(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """Unless the person publishes the ads together with the ad set."""
        linked.person_edits_targeting(adset, {"age_min": 21}, published=True)
        assert linked.link_is_confirmed(on)
        linked.person_edits_targeting(adset, {"age_min": 25})
        assert not linked.link_is_confirmed(on)
        clock.advance(DELAY)
        assert shown(client, on) == "WITH_ISSUES"

    def test_without_the_mode_nothing_breaks(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """By default only ads with a breakage of their own do."""
        linked.accounts["act_111"].default_breakage = None
        client.set_states(adset, "OH")
        clock.advance(DELAY)
        assert (shown(client, on), linked.link_is_confirmed(on)) == ("ACTIVE", True)

    def test_a_breakage_of_its_own_goes_before(self, linked: MetaWorld, client: InProcess, clock: Clock) -> None:
        """A stubborn ad breaks although it was re-published, and heals with its old states and a re-publish."""
        adset = linked.add_adset(CAMPAIGN, "Stubborn", "FL", ads=1, breakage=Breakage.stubborn(seconds=5))
        (ad,) = linked.ads_of(adset)
        client.set_states(adset, "OH")
        client.republish(ad.id)
        assert not linked.link_is_confirmed(ad.id)
        clock.advance(5)
        assert shown(client, ad.id) == "WITH_ISSUES"
        client.set_states(adset, "FL")
        client.republish(ad.id)
        assert (shown(client, ad.id), linked.truly_healthy(ad.id)) == ("ACTIVE", True)

    @pytest.mark.parametrize("breakage", [Breakage.warning(), Breakage.long_review()])
    def test_a_review_and_a_warning_are_no_lost_link(
        self, linked: MetaWorld, client: InProcess, breakage: Breakage
    ) -> None:
        """They are nothing to repair."""
        adset = linked.add_adset(CAMPAIGN, "Reviewed", "FL", ads=1, breakage=breakage)
        (ad,) = linked.ads_of(adset)
        client.set_states(adset, "OH")
        linked.settle()
        assert linked.link_is_confirmed(ad.id)
        assert linked.truly_healthy(ad.id)


class TestOff:
    """Ads that are off, and those that somebody switches on."""

    def test_an_ad_that_is_off_is_not_validated(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, off: str
    ) -> None:
        """Once the validation of the others is over, it can be switched on without harm."""
        client.set_states(adset, "OH")
        client.republish(linked.ads_of(adset)[0].id)
        linked.person_activates(off)
        clock.advance(DELAY)
        assert (shown(client, off), linked.truly_healthy(off)) == ("ACTIVE", True)

    def test_an_ad_switched_on_in_between_is_pending_too(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, off: str
    ) -> None:
        """A person's click confirms no link; the minute counts from there."""
        client.set_states(adset, "OH")
        clock.advance(DELAY // 2)
        linked.person_activates(off)
        assert not linked.link_is_confirmed(off)
        clock.advance(DELAY // 2)
        assert shown(client, off) == "ACTIVE"
        clock.advance(DELAY // 2)
        assert shown(client, off) == "WITH_ISSUES"

    def test_a_review_of_another_ad_puts_no_link_in_doubt(
        self, linked: MetaWorld, client: InProcess, adset: str, on: str, off: str
    ) -> None:
        """An ad switched on meanwhile has nothing to wait for."""
        linked.ads[on].breakage = Breakage.long_review()
        client.set_states(adset, "OH")
        linked.person_activates(off)
        assert linked.link_is_confirmed(off)

    def test_an_ad_added_in_between_is_pending_too(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str
    ) -> None:
        """The same holds for a new one."""
        client.set_states(adset, "OH")
        added = linked.person_adds_ad(adset, "New")
        assert not linked.link_is_confirmed(added)
        client.republish(added)
        clock.advance(DELAY)
        assert linked.truly_healthy(added)

    def test_an_ad_that_a_person_pauses_does_not_break(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """Its link waits until it is switched on again, and then has its whole time."""
        client.set_states(adset, "OH")
        linked.person_pauses(on)
        clock.advance(10 * DELAY)
        assert client.get(on, fields="issues_info,status") == {"id": on, "status": "PAUSED"}
        linked.person_activates(on)
        clock.advance(DELAY - 1)
        assert shown(client, on) == "ACTIVE"
        clock.advance(1)
        assert shown(client, on) == "WITH_ISSUES"

    def test_a_click_does_not_repair(
        self, linked: MetaWorld, client: InProcess, clock: Clock, adset: str, on: str
    ) -> None:
        """What Meta paused and a person switches on breaks again in the same time."""
        linked.accounts["act_111"].default_breakage = lambda _: Breakage.lost_link(DELAY, Effect.PAUSED)
        client.set_states(adset, "OH")
        clock.advance(DELAY)
        assert shown(client, on) == "PAUSED"
        linked.person_activates(on)
        assert shown(client, on) == "ACTIVE"
        assert not linked.truly_healthy(on)
        clock.advance(DELAY)
        assert shown(client, on) == "PAUSED"


class TestBreaking:
    """How a broken link looks."""

    @pytest.mark.parametrize("moves", [True, False])
    @pytest.mark.parametrize(
        ("effect", "status", "effective_status", "issues"),
        [
            (Effect.WITH_ISSUES, "ACTIVE", "WITH_ISSUES", 1),
            (Effect.PAUSED, "PAUSED", "PAUSED", 0),
            (Effect.PAUSED_WITH_ISSUES, "PAUSED", "PAUSED", 1),
        ],
    )
    def test_every_form(  # noqa: PLR0913, PLR0917 - fixtures
        self,
        linked: MetaWorld,
        client: InProcess,
        clock: Clock,
        adset: str,
        on: str,
        effect: Effect,
        status: str,
        effective_status: str,
        issues: int,
        *,
        moves: bool,
    ) -> None:
        """With the issue, switched off, or both; its time may move to when it broke, seen or not."""
        linked.accounts["act_111"].default_breakage = lambda _: Breakage.lost_link(
            DELAY, effect, moves_updated_time=moves
        )
        before = clock()
        client.set_states(adset, "OH")
        clock.advance(DELAY + 30)
        row = client.get(on, fields="status,effective_status,issues_info,updated_time")
        assert (row["status"], row["effective_status"]) == (status, effective_status)
        assert len(row.get("issues_info", [])) == issues
        assert datetime.fromisoformat(row["updated_time"]).timestamp() == before + (DELAY if moves else 0)
        client.republish(on)
        assert linked.truly_healthy(on)
        assert shown(client, on) == "ACTIVE"

    def test_the_truth_comes_out_at_the_end(
        self, linked: MetaWorld, client: InProcess, adset: str, on: str, off: str
    ) -> None:
        """`settle` lets break what would break later."""
        client.set_states(adset, "OH")
        linked.settle()
        assert shown(client, on) == "WITH_ISSUES"
        assert shown(client, off) == "PAUSED"

    def test_a_seed_decides(self) -> None:
        """The same seed draws the same breakages; over many there is every form, soon and late."""
        drawn, again = (
            [seeded_breakage(Random(seed))(None) for seed in range(200)]  # noqa: S311 - a seed is no secret
            for _ in range(2)
        )
        assert drawn == again
        assert {each.effect for each in drawn} == {Effect.WITH_ISSUES, Effect.PAUSED, Effect.PAUSED_WITH_ISSUES}
        assert {each.moves_updated_time for each in drawn} == {True, False}
        assert min(each.seconds for each in drawn) < 3
        assert all(1 <= each.seconds <= LONGEST_DELAY for each in drawn)
        assert max(each.seconds for each in drawn) > LONGEST_DELAY / 2
