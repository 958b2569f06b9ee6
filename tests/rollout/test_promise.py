"""No ad set is ever left worse than it was found: the ways in which that was once broken, each as a story.

Each goes through the real handler and looks at Meta's truth: what the ads are, and whether their links will last.
"""

from collections.abc import Callable
from typing import Any

import pytest

from closrads.domain.changes import ChangeState
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Effect, Operation, faults, oddities
from sandbox.meta.model import Ad
from sandbox.meta.post_processing import is_truly_healthy
from tests.ledger_world import (
    EARLIER,
    RECHECK,
    becomes_of,
    later,
    left_behind,
    one_adset,
    recorded_state,
    result_of,
    statuses,
)
from tests.world import LIVE, World, ids

MINUTE, HOUR = 60.0, 3600.0
LINKS = Breakage.lost_link(HOUR)
"""A link that nobody confirms breaks an hour after the write."""


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set of a campaign whose every link has to be confirmed after a write."""
    world.campaign("FL")
    world.meta.accounts["act_111"].default_breakage = lambda _: LINKS
    return world.adset("Broad")


def unwell(world: World, adset: str) -> list[str]:
    """Return the ads of an ad set that do not run, or whose links will break."""
    world.meta.settle()
    return [f"{ad.name}: {ad.effective_status}, {ad.damage}" for ad in world.meta.ads_of(adset) if not is_well(ad)]


def is_well(ad: Ad) -> bool:
    """Tell whether an ad runs and will go on."""
    return ad.status == "ACTIVE" and is_truly_healthy(ad)


def at_first(world: World, call: str, act: Callable[[], None]) -> None:
    """Have something happen right before Meta gets the first such call ("POST ad")."""

    def watch(operation: Operation) -> None:
        if f"{operation.method} {operation.kind}" == call:
            world.meta.on_request = None
            act()

    world.meta.on_request = watch


def after_a_wait(world: World, seconds: float, act: Callable[[], None]) -> None:
    """Have something happen while the run waits for so long."""

    def watch(_: Operation) -> None:
        if any(wait >= seconds for wait in world.time.waits):
            world.meta.on_request = None
            act()

    world.meta.on_request = watch


def last_mail(world: World) -> Any:
    """Return the newest mail."""
    return world.sandbox.aws.mails[-1]


class TestRefusedRepublish:
    """A re-publish that is refused after a rollback is no rollback, however healthy the ads look just then."""

    @pytest.mark.parametrize(
        "refusal",
        ids(
            [
                ("503", faults.SERVICE_UNAVAILABLE),
                ("refused", faults.INTEREST_RETIRED),
                ("policy", faults.POLICY_BLOCK),
                ("HTML", faults.ERROR_PAGE_400),
                ("nothing", faults.OK_EMPTY),
            ]
        ),
    )
    def test_of_every_ad(self, world: World, adset: str, refusal: Any) -> None:
        """It stays open and loud until the links are confirmed; nobody says before that all is well."""
        world.meta.fail(refusal, on="POST ad", times=None)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], result["success"]) == ("rollback_failed", False)
        assert world.meta.states(adset) == {"TX"}
        assert recorded_state(world, result["run_id"], adset) == "rollback_failed"
        assert "NOT RESTORED" in last_mail(world).subject
        assert "could not be re-published" in last_mail(world).text
        assert "its ads are healthy" not in last_mail(world).text
        world.meta.clear_faults()
        later(world, 30 * MINUTE)
        (recovery,) = result_of(world, RECHECK)["recovered"]
        assert (recovery["found"], recovery["state"]) == ("rollback_failed", "rolled_back")
        later(world, 2 * HOUR)
        assert (unwell(world, adset), world.meta.states(adset)) == ([], {"TX"})

    def test_of_one_ad_for_want_of_quota(self, world: World, adset: str) -> None:
        """One pending link is enough."""
        one, _ = world.meta.ads_of(adset)
        world.meta.fail(
            faults.throttled_use_case(60), on=lambda call: (call.method, call.path) == ("POST", one.id), times=None
        )

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("rollback_failed", {"TX"})
        assert one.name in " ".join(one_adset(result)["issues"])
        assert one.name in last_mail(world).text
        world.meta.clear_faults()
        later(world, 2 * HOUR)  # it has broken meanwhile
        assert result_of(world, RECHECK)["recovered"][0]["state"] == "rolled_back"
        assert unwell(world, adset) == []


class TestMetasPause:
    """A pause that is Meta's counts as that whenever it comes, with and without a reason."""

    @pytest.fixture(params=[True, False], ids=["3390001", "no reason"])
    def pause(self, world: World, adset: str, request: pytest.FixtureRequest) -> Callable[[], None]:
        """Return what has Meta pause all ads, five minutes from now."""

        def meta_pauses() -> None:
            world.time.pass_by(5 * MINUTE)
            for ad in world.meta.ads_of(adset):
                world.meta.meta_pauses(ad.id, with_issue=request.param, moves_updated_time=request.param)

        return meta_pauses

    @pytest.mark.parametrize("event", [LIVE, RECHECK], ids=["sync", "recheck"])
    def test_after_a_run_that_was_killed(
        self, world: World, adset: str, pause: Callable[[], None], event: dict[str, Any]
    ) -> None:
        """The next run does not call that verified: the ads run again, and the mail says what was."""
        left_behind(world, adset, ChangeState.WRITTEN)
        pause()
        later(world, 30 * MINUTE)

        result = result_of(world, event)

        (recovery,) = result["recovered"]
        assert (recovery["state"], recorded_state(world, EARLIER, adset)) == ("rolled_back", "rolled_back")
        assert "Meta has paused it" in " ".join(recovery["issues"]) or "3390001" in " ".join(recovery["issues"])
        assert recovery["issues"][0] in last_mail(world).text
        later(world, 2 * HOUR)
        assert unwell(world, adset) == []
        assert world.meta.states(adset) == ({"FL"} if event is LIVE else {"TX"})

    def test_after_a_verification_that_could_not_be_read(
        self, world: World, adset: str, pause: Callable[[], None]
    ) -> None:
        """Unverified first, then rolled back."""
        trouble = world.meta.fail(faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{adset}/ads", times=None)
        assert becomes_of(world, LIVE) == {"Broad": "unverified"}
        trouble.end()
        pause()
        later(world, 30 * MINUTE)

        assert result_of(world, RECHECK)["recovered"][0]["state"] == "rolled_back"
        assert (unwell(world, adset), world.meta.states(adset)) == ([], {"TX"})

    def test_after_a_token_died_and_was_renewed(self, world: World, adset: str, pause: Callable[[], None]) -> None:
        """Between the write and the re-publish; loud at once, mended once the token lives."""
        dead = world.meta.fail(faults.TOKEN_INVALID, times=None, skip=3)
        result = result_of(world, LIVE)
        assert (world.meta.states(adset), result["success"]) == ({"FL"}, False)
        assert "NOT RESTORED" in last_mail(world).subject
        dead.end()
        pause()
        later(world, 30 * MINUTE)

        assert result_of(world, RECHECK)["recovered"][0]["state"] == "rolled_back"
        assert (unwell(world, adset), world.meta.states(adset)) == ([], {"TX"})

    def test_after_a_run_that_went_well(self, world: World, adset: str, pause: Callable[[], None]) -> None:
        """The recheck does not take it for somebody's wish."""
        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        pause()
        later(world, 30 * MINUTE)

        result = result_of(world, RECHECK)

        assert (one_adset(result)["result"], result["mail"]) == ("reverted", "sent")
        assert (unwell(world, adset), world.meta.states(adset)) == ([], {"TX"})


class TestAdsThatCameSince:
    """A rollback re-validates every ad of its ad set, also one that came after the change."""

    def come(self, world: World, adset: str, paused: str) -> None:
        """Add an ad that runs, and switch one on that was off."""
        world.meta.person_adds_ad(adset, "New")
        world.meta.person_activates(paused)

    def assert_all_are_well(self, world: World, adset: str) -> None:
        """Check that four ads run in Texas and will go on, once every link has had its time."""
        later(world, 3 * HOUR)
        assert world.meta.states(adset) == {"TX"}
        assert (unwell(world, adset), statuses(world, adset)) == ([], ["ACTIVE"] * 4)

    def test_in_a_recheck(self, world: World, adset: str) -> None:
        """They came in the half hour between."""
        world.meta.ads_of(adset)[0].breakage = Breakage.late(10 * MINUTE)
        paused = world.meta.add_ad(adset, "Seasonal", status="PAUSED")
        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        self.come(world, adset, paused)
        later(world, 30 * MINUTE)

        assert becomes_of(world, RECHECK) == {"Broad": "reverted"}
        self.assert_all_are_well(world, adset)

    def test_in_a_recovery(self, world: World, adset: str) -> None:
        """They came after a run that died amid its rollback."""
        paused = world.meta.add_ad(adset, "Seasonal", status="PAUSED")
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        self.come(world, adset, paused)
        later(world, 10 * MINUTE)

        assert result_of(world, RECHECK)["recovered"][0]["state"] == "rolled_back"
        self.assert_all_are_well(world, adset)

    @pytest.mark.parametrize("breakage", [None, Breakage.stubborn()], ids=["well", "rolled back"])
    def test_in_the_run_itself(self, world: World, adset: str, breakage: Breakage | None) -> None:
        """They came while a throttled write waited for its second attempt."""
        world.meta.ads_of(adset)[0].breakage = breakage
        paused = world.meta.add_ad(adset, "Seasonal", status="PAUSED")
        world.meta.fail(faults.throttled_account(300), on="POST adset")
        after_a_wait(world, 300, lambda: self.come(world, adset, paused))

        assert becomes_of(world, LIVE) == {"Broad": "reverted" if breakage else "updated"}

        later(world, 3 * HOUR)
        assert (unwell(world, adset), statuses(world, adset)) == ([], ["ACTIVE"] * 4)


class TestWhatPeopleDo:
    """A person's pause stays, and so does a person's edit."""

    def test_a_pause_right_after_the_verification(self, world: World, adset: str) -> None:
        """The recheck puts the ad set back for another ad, and leaves that one off."""
        theirs, other = world.meta.ads_of(adset)
        other.breakage = Breakage.late(10 * MINUTE)
        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        world.time.pass_by(20)
        world.meta.person_pauses(theirs.id)
        later(world, 30 * MINUTE)

        assert becomes_of(world, RECHECK) == {"Broad": "reverted"}
        later(world, 3 * HOUR)
        world.meta.settle()
        assert (theirs.status, is_well(other)) == ("PAUSED", True)

    @pytest.mark.parametrize(
        ("trouble", "seconds"),
        [(faults.throttled_account(300), 300), (faults.SERVICE_UNAVAILABLE, 5), (faults.ERROR_PAGE_400, 5)],
        ids=["throttled", "503", "HTML"],
    )
    def test_a_pause_while_the_republish_waits(self, world: World, adset: str, trouble: Any, seconds: float) -> None:
        """The second attempt goes by what is there, not by what was."""
        theirs, other = world.meta.ads_of(adset)
        world.meta.fail(trouble, on="POST ad", times=2)
        after_a_wait(world, seconds, lambda: world.meta.person_pauses(theirs.id))

        assert becomes_of(world, LIVE) == {"Broad": "updated"}

        assert (theirs.status, is_well(other)) == ("PAUSED", True)
        assert world.meta.states(adset) == {"FL"}

    def test_an_edit_while_a_wave_is_being_written(self, world: World, adset: str) -> None:
        """Of twenty-four at four seconds a write the last are written onto what a person has made of them by then."""
        wave = [adset, *(world.adset(f"Ad set {number}", ads=1) for number in range(24))]
        world.slow_down(4)
        writes = iter(range(1, 1000))

        def person_comes(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("POST", "adset") and next(writes) == 6:
                for each in wave[1:]:
                    world.meta.person_edits_targeting(each, {"age_min": 22}, published=True)

        world.meta.on_request = person_comes

        assert set(becomes_of(world, LIVE).values()) == {"updated"}

        # Those that were on the wire at that moment are nobody's fault: the wave sends ten at once.
        kept = [each for each in wave[1:] if world.meta.targeting(each)["age_min"] == 22]
        assert len(kept) >= 24 - 10
        assert {frozenset(world.meta.states(each)) for each in wave} == {frozenset({"FL"})}


class TestSomethingElseDiffers:
    """Whose the targeting is, its regions decide."""

    def test_a_person_edits_the_age_before_the_rollback(self, world: World, adset: str) -> None:
        """The old states come back, and the age stays."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()

        def edit(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("POST", "ad"):
                world.meta.on_request = None
                world.meta.person_edits_targeting(adset, {"age_min": 23})

        world.meta.on_request = edit

        result = result_of(world, LIVE)

        assert one_adset(result)["result"] == "reverted"
        assert (world.meta.states(adset), world.meta.targeting(adset)["age_min"]) == ({"TX"}, 23)
        assert recorded_state(world, result["run_id"], adset) == "rolled_back"
        later(world, 3 * HOUR)
        assert unwell(world, adset) == []

    @pytest.mark.parametrize("oddity", [oddities.computed_key, oddities.other_spelling], ids=["key", "spelling"])
    @pytest.mark.parametrize("shown", ["read_oddity", "echo_oddity"])
    def test_meta_shows_it_differently(self, world: World, adset: str, shown: str, oddity: Any) -> None:
        """In reads or in its answer to the write: a broken ad is a reason to put it back all the same."""
        world.meta.ads_of(adset)[0].breakage = Breakage.stubborn()
        setattr(world.meta, shown, oddity)

        assert becomes_of(world, LIVE) == {"Broad": "reverted"}
        later(world, 3 * HOUR)
        assert (world.meta.states(adset), unwell(world, adset)) == ({"TX"}, [])


class TestAfterARollback:
    """The write of a rollback may break ads like any other."""

    @pytest.mark.parametrize("effect", [Effect.WITH_ISSUES, Effect.PAUSED, Effect.PAUSED_WITH_ISSUES])
    def test_an_ad_that_breaks_minutes_later_is_seen(self, world: World, adset: str, effect: Effect) -> None:
        """The next recheck mends it, and a mail tells of it."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.stubborn()
        assert becomes_of(world, LIVE) == {"Broad": "reverted"}
        one.breakage = None
        world.time.pass_by(7 * MINUTE)
        if effect is Effect.WITH_ISSUES:
            world.meta.meta_breaks(two.id)
        else:
            world.meta.meta_pauses(two.id, with_issue=effect is Effect.PAUSED_WITH_ISSUES)
        later(world, 30 * MINUTE)
        mails = len(world.sandbox.aws.mails)

        result = result_of(world, RECHECK)

        assert one_adset(result)["result"] == "reverted"
        assert len(world.sandbox.aws.mails) == mails + 1
        assert two.name in last_mail(world).text
        assert (world.meta.states(adset), unwell(world, adset)) == ({"TX"}, [])

    def test_one_that_nothing_mends_is_told(self, world: World, adset: str) -> None:
        """Loud, and open until it is well."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.stubborn()
        assert becomes_of(world, LIVE) == {"Broad": "reverted"}
        one.breakage = None
        two.issues = [dict(MISSING_LEAD_FORM)]
        later(world, 30 * MINUTE)

        result = result_of(world, RECHECK)

        assert (one_adset(result)["result"], result["success"]) == ("rollback_failed", False)
        assert "NOT RESTORED" in last_mail(world).subject

    def test_a_write_that_comes_late_is_taken_back(self, world: World, adset: str) -> None:
        """Its answer was lost, the old states were put back, and minutes later Meta does it all the same."""
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="POST adset", later=10 * MINUTE)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        becomes_of(world, LIVE)
        later(world, 30 * MINUTE)
        world.meta.settle()
        assert world.meta.states(adset) == {"FL"}

        result_of(world, RECHECK)

        later(world, 3 * HOUR)
        assert (world.meta.states(adset), unwell(world, adset)) == ({"TX"}, [])


class TestSwitchedOff:
    """A campaign that is switched off while a change of it is half done."""

    @pytest.mark.parametrize("state", [ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.ROLLING_BACK])
    def test_it_is_brought_to_its_end_and_named(self, world: World, adset: str, state: ChangeState) -> None:
        """The next run of any kind does it; its mail is no tick over nothing."""
        left_behind(world, adset, state)
        world.put({"campaigns/veterans/enabled": "false"})
        later(world, 30 * MINUTE)

        result = result_of(world, LIVE)

        assert recorded_state(world, EARLIER, adset) in {"verified", "rolled_back"}
        assert last_mail(world).subject.startswith("⚠ ")
        assert "1 finished for an earlier run" in last_mail(world).subject
        assert "Broad" in last_mail(world).text
        assert result["recovered"][0]["found"] == state
        later(world, 3 * HOUR)
        assert unwell(world, adset) == []


class TestPageInsteadOfAnAnswer:
    """HTML says nothing about what was done, whatever its status."""

    @pytest.mark.parametrize("page", [faults.ERROR_PAGE_400, faults.html(403, "No"), faults.html(404, "Not found")])
    @pytest.mark.parametrize("applied", [True, False])
    def test_to_a_write(self, world: World, adset: str, page: Any, *, applied: bool) -> None:
        """It is looked up, and every ad re-published."""
        world.meta.fail(page, on="POST adset", applied=applied)

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], world.meta.states(adset)) == ("updated", {"FL"})
        assert recorded_state(world, result["run_id"], adset) == "verified"
        later(world, 3 * HOUR)
        assert unwell(world, adset) == []

    @pytest.mark.parametrize("on", ["GET adsets", "GET ads"])
    def test_to_a_read(self, world: World, adset: str, on: str) -> None:
        """It is asked again, and costs no day."""
        world.meta.fail(faults.ERROR_PAGE_400, on=on)

        assert becomes_of(world, LIVE) == {"Broad": "updated"}
        assert world.meta.states(adset) == {"FL"}


class TestGoneAmidTheRun:
    """A person archives or deletes something right after the first write."""

    @pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
    @pytest.mark.parametrize("what", ["ad set", "campaign"])
    def test_it_is_let_go(self, world: World, adset: str, what: str, status: str) -> None:
        """No ad of it is touched again, nothing is rolled back or left open, and the others go on if they run."""
        world.adset("Other")
        there: Any = world.meta.adsets[adset] if what == "ad set" else world.meta.adsets[adset].campaign
        at_first(world, "POST ad", lambda: setattr(there, "status", status))

        found = becomes_of(world, LIVE)

        assert found == {"Broad": "updated", "Other": "updated" if what == "ad set" else "not_active"}
        assert adset not in world.written_adsets()[1:]
        assert not any(ad.id in {call.object_id for call in world.meta.writes} for ad in world.meta.ads_of(adset))
        assert world.sandbox.aws.ledger()
        assert [item for item in world.sandbox.aws.ledger() if "open_since" in item] == []


class TestAdsThatAreNotListed:
    """The list of a campaign's ads omits some of an ad set, or all."""

    @pytest.mark.parametrize("count", [1, 2])
    def test_they_are_republished(self, world: World, adset: str, count: int) -> None:
        """The ad set's own list has them, so none keeps a pending link."""
        world.meta.unlisted |= {ad.id for ad in world.meta.ads_of(adset)[:count]}

        assert becomes_of(world, LIVE) == {"Broad": "updated"}

        later(world, 2 * HOUR)
        assert (world.meta.states(adset), unwell(world, adset)) == ({"FL"}, [])

    def test_one_that_is_broken_protects_its_ad_set(self, world: World, adset: str) -> None:
        """Layer 1 looks at it before the write."""
        world.meta.unlisted |= {ad.id for ad in world.meta.ads_of(adset)}
        world.meta.ads_of(adset)[0].issues.append(MISSING_LEAD_FORM)

        assert becomes_of(world, LIVE) == {"Broad": "skipped_preflight"}

        assert world.meta.writes == []


class TestSmallerOnes:
    """Of the same family."""

    @pytest.mark.parametrize("act", ["person_deletes", "person_archives"])
    def test_an_ad_that_goes_between_write_and_republish(self, world: World, adset: str, act: str) -> None:
        """It is no failure: all that is left is well."""
        gone, _ = world.meta.ads_of(adset)
        at_first(world, "POST ad", lambda: getattr(world.meta, act)(gone.id))

        result = result_of(world, LIVE)

        assert (one_adset(result)["result"], result["success"]) == ("updated", True)
        assert world.meta.states(adset) == {"FL"}
        assert gone.status in {"DELETED", "ARCHIVED"}

    @pytest.mark.parametrize("locations", ["Texas", [3], 3, True])
    @pytest.mark.parametrize("group", ["geo_locations", "excluded_geo_locations"])
    def test_locations_of_a_wrong_type(self, world: World, adset: str, group: str, locations: Any) -> None:
        """It is that ad set's trouble; the others are updated."""
        odd = world.adset("Odd")
        world.meta.read_oddity = oddities.replaced(odd, "targeting", world.meta.targeting(odd) | {group: locations})

        result = result_of(world, LIVE)

        assert "Unexpected" not in last_mail(world).text
        by_name = {each["name"]: each["result"] for each in result["campaigns"][0]["adsets"]}
        assert by_name == {"Broad": "updated", "Odd": "needs_attention"}
        assert world.meta.states(adset) == {"FL"}
        assert odd not in world.written_adsets()

    @pytest.mark.parametrize("pace", [3.0, 5.0])
    @pytest.mark.parametrize("breakage", [None, Breakage.stubborn()], ids=["well", "broken"])
    def test_forty_five_seconds_and_a_slow_meta(
        self, world: World, adset: str, pace: float, breakage: Breakage | None
    ) -> None:
        """The mail leaves before the invocation is cut off, whatever comes of the ad sets."""
        for name in "ABC":
            world.adset(name, breakage=breakage)
        world.slow_down(pace)
        world.time.deadline = world.time.seconds() + 45

        result_of(world, LIVE)

        assert world.time.seconds() < world.time.deadline
        assert len(world.sandbox.aws.mails) == 1
        world.meta.on_exchange = None
        for _ in range(2):
            world.time.next_day()
            result_of(world, LIVE)
        later(world, 3 * HOUR)
        assert unwell(world, adset) == []

    def test_the_same_refusal_for_each(self, world: World, adset: str) -> None:
        """A reason that Meta's reference does not list: after three it is told once, and the rest is not tried."""
        rest = [world.adset(name) for name in "ABCDEFG"]
        world.meta.fail(faults.error(100, 7654321, "Invalid parameter"), on="POST adset", times=None)

        result = result_of(world, LIVE)

        words = [each["result"] for each in result["campaigns"][0]["adsets"]]
        assert (words.count("failed"), words.count("held")) == (3, 5)
        assert len([call for call in world.meta.operations if (call.method, call.kind) == ("POST", "adset")]) == 3
        assert sum("the same reason" in error for error in result["campaigns"][0]["errors"]) == 1
        assert {frozenset(world.meta.states(each)) for each in (adset, *rest)} == {frozenset({"TX"})}
