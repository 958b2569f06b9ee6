"""What the next run makes of changes that an earlier one had begun: each is finished, undone, or left to a person."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from closrads import config
from closrads.domain.adsets import Ad, AdIssue, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import Protected, still_to_protect
from closrads.domain.request import Action
from closrads.domain.targeting import without_computed
from closrads.errors import SyncFailed
from closrads.facebook_client import republish_ads
from closrads.ledger.changes import Ledger
from sandbox import closrtech
from sandbox.meta import MISSING_LEAD_FORM, Breakage, Operation, faults
from tests.ledger_world import (
    EARLIER,
    FINAL,
    OPEN,
    RECHECK,
    becomes_of,
    entries,
    later,
    ledger,
    left_behind,
    metric,
    one_adset,
    only_reads,
    recorded_state,
    result_of,
    runs,
    statuses,
)
from tests.world import LIVE, START, World

HOUR = 3600.0
SINCE_A_WRITE = (ChangeState.PREPARED, ChangeState.WRITTEN, ChangeState.REPUBLISHED)
SINCE_A_ROLLBACK = (ChangeState.ROLLING_BACK, ChangeState.ROLLBACK_FAILED)
CONFIRMED = (ChangeState.WRITTEN, ChangeState.REPUBLISHED, *SINCE_A_ROLLBACK)
OLD, WANTED, OTHER = {"TX"}, {"FL"}, {"GA"}

Hand = Callable[[World, str], None]


def nobody(_: World, __: str) -> None:
    """Leave everything as it is."""


def paused_at_once(world: World, adset: str) -> None:
    """Pause the first ad within a minute of the write: as Meta does."""
    world.time.pass_by(20)
    world.meta.pause_by_hand(world.meta.ads_of(adset)[0].id)


def paused_later(world: World, adset: str) -> None:
    """Pause the first ad after an hour: as a person does."""
    world.time.pass_by(HOUR)
    world.meta.pause_by_hand(world.meta.ads_of(adset)[0].id)


def deleted_ad(world: World, adset: str) -> None:
    """Delete the first ad."""
    world.meta.ads_of(adset)[0].status = "DELETED"


def lost_form(world: World, adset: str) -> None:
    """Break the first ad for a reason that has nothing to do with any targeting."""
    world.meta.ads_of(adset)[0].issues.append(dict(MISSING_LEAD_FORM))


def broken_ad_added(world: World, adset: str) -> None:
    """Add an ad that Meta finds something wrong with."""
    world.meta.add_ad(adset, "New", issues=[MISSING_LEAD_FORM])


def age_changed(world: World, adset: str) -> None:
    """Change something else in the targeting."""
    world.meta.change_by_hand(adset, {"age_min": 21})


def states_changed(world: World, adset: str) -> None:
    """Choose other states."""
    world.meta.change_by_hand(adset, {"geo_locations": {"regions": [{"key": "3853"}]}})


def archived(world: World, adset: str) -> None:
    """Archive the ad set."""
    world.meta.adsets[adset].status = "ARCHIVED"


def deleted(world: World, adset: str) -> None:
    """Delete the ad set."""
    world.meta.adsets[adset].status = "DELETED"


def ad_set_paused(world: World, adset: str) -> None:
    """Pause the whole ad set."""
    world.meta.adsets[adset].status = "PAUSED"


def both(*hands: Hand) -> Hand:
    """Let several come, in this order."""

    def all_of_them(world: World, adset: str) -> None:
        for hand in hands:
            hand(world, adset)

    return all_of_them


@dataclass(frozen=True)
class Case:
    """What a run that died has left at Meta, what happened to it since, and what the next run has to make of it."""

    states: tuple[ChangeState, ...]
    shows: str
    end: ChangeState
    leaves: set[str]
    since: Hand = nobody
    breakage: Breakage | None = None
    ads: tuple[str, ...] = ("ACTIVE", "ACTIVE")
    told: str = ""
    """What the report has to say about it, among other things."""
    writes: tuple[str, ...] | None = None
    """What is written at Meta; None for anything."""


BEFORE, AGAIN, AFTER = "as before", "as before again", "as wanted"
REPUBLISH = ("ad", "ad")
BACK = ("adset", "ad", "ad")
STUBBORN, SILENT = Breakage.stubborn(), Breakage.silently_paused(seconds=20)
V, B, F, S, N = (
    ChangeState.VERIFIED, ChangeState.ROLLED_BACK, ChangeState.ROLLBACK_FAILED, ChangeState.SUPERSEDED,
    ChangeState.NOT_WRITTEN,
)  # fmt: skip
PREPARED = (ChangeState.PREPARED,)
LEFT_PAUSED, NOT_LISTED = "is PAUSED now, and is left so", "is no longer listed"
SOMEBODY = "Somebody changed its states"

CASES = {
    # The write had not arrived.
    "nothing had happened": Case(PREPARED, BEFORE, N, OLD, writes=(), told="Nothing had been changed"),
    "nothing, and a person changed the age": Case(PREPARED, BEFORE, N, OLD, age_changed, writes=()),
    "nothing, and a person paused an ad": Case(
        PREPARED, BEFORE, N, OLD, paused_later, ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED, writes=()
    ),
    "nothing, and a person deleted an ad": Case(
        PREPARED, BEFORE, N, OLD, deleted_ad, ads=("DELETED", "ACTIVE"), told=NOT_LISTED, writes=()
    ),
    "nothing that shows, an ad was paused at once": Case(PREPARED, BEFORE, B, OLD, paused_at_once, writes=REPUBLISH),
    "nothing that shows, but an ad is broken": Case(
        PREPARED, BEFORE, F, OLD, lost_form, ads=("WITH_ISSUES", "ACTIVE"), told="3390001", writes=REPUBLISH
    ),
    "nothing, and a person added a broken ad": Case(
        PREPARED, BEFORE, N, OLD, broken_ad_added, ads=("ACTIVE", "ACTIVE", "WITH_ISSUES"), writes=()
    ),
    # The write had arrived.
    "written, a person added a broken ad": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, broken_ad_added, ads=("ACTIVE", "ACTIVE", "WITH_ISSUES"), writes=REPUBLISH
    ),
    "written": Case(SINCE_A_WRITE, AFTER, V, WANTED, writes=REPUBLISH),
    "written, a re-publish helps": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, breakage=Breakage.ordinary(seconds=2 * 86_400), writes=REPUBLISH
    ),
    "written, in review": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, breakage=Breakage.long_review(9 * 86_400), ads=("PENDING_REVIEW",) * 2
    ),
    "written and broken": Case(SINCE_A_WRITE, AFTER, B, OLD, breakage=STUBBORN, told="3390001"),
    "written and broken for good": Case(
        SINCE_A_WRITE, AFTER, F, OLD, breakage=Breakage.incurable(), ads=("WITH_ISSUES",) * 2, told="3390001"
    ),
    "written, paused again and again": Case(SINCE_A_WRITE, AFTER, B, OLD, breakage=SILENT, told="PAUSED now"),
    "written, an ad paused at once": Case(SINCE_A_WRITE, AFTER, V, WANTED, paused_at_once, writes=REPUBLISH),
    "written, a person paused an ad": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, paused_later, ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED, writes=("ad",)
    ),
    "written, a person deleted an ad": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, deleted_ad, ads=("DELETED", "ACTIVE"), told=NOT_LISTED, writes=("ad",)
    ),
    "written, a person paused the ad set": Case(
        SINCE_A_WRITE, AFTER, V, WANTED, ad_set_paused, ads=("ADSET_PAUSED",) * 2, writes=REPUBLISH
    ),
    "written, a person changed the age": Case(SINCE_A_WRITE, AFTER, V, WANTED, age_changed, writes=REPUBLISH),
    "written and broken, a person changed the age": Case(SINCE_A_WRITE, AFTER, B, OLD, age_changed, STUBBORN),
    "written and broken, a person paused an ad": Case(
        SINCE_A_WRITE, AFTER, B, OLD, paused_later, STUBBORN, ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED
    ),
    # Its rollback had begun.
    "to be rolled back": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, writes=BACK),
    "to be rolled back, broken": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, breakage=STUBBORN, writes=BACK),
    "to be rolled back, broken for good": Case(
        SINCE_A_ROLLBACK, AFTER, F, OLD, breakage=Breakage.incurable(), ads=("WITH_ISSUES",) * 2
    ),
    "to be rolled back, silently paused": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, breakage=SILENT, writes=BACK),
    "to be rolled back, an ad paused at once": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, paused_at_once, writes=BACK),
    "to be rolled back, a person paused an ad": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, paused_later, ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED,
        writes=("adset", "ad")
    ),
    "to be rolled back, a person deleted an ad": Case(
        SINCE_A_ROLLBACK, AFTER, B, OLD, deleted_ad, ads=("DELETED", "ACTIVE"), told=NOT_LISTED
    ),
    "to be rolled back, a person changed the age": Case(SINCE_A_ROLLBACK, AFTER, B, OLD, age_changed, writes=BACK),
    # The old targeting was back, and its ads not yet looked after.
    "back again": Case(CONFIRMED, AGAIN, B, OLD, writes=REPUBLISH),
    "back again, broken": Case(CONFIRMED, AGAIN, B, OLD, breakage=STUBBORN, writes=REPUBLISH),
    "back again, broken for good": Case(
        CONFIRMED, AGAIN, F, OLD, breakage=Breakage.incurable(), ads=("WITH_ISSUES",) * 2
    ),
    "back again, an ad paused at once": Case(CONFIRMED, AGAIN, B, OLD, paused_at_once, writes=REPUBLISH),
    "back again, a person paused an ad": Case(
        CONFIRMED, AGAIN, B, OLD, paused_later, ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED, writes=("ad",)
    ),
    "back again, a person deleted an ad": Case(CONFIRMED, AGAIN, B, OLD, deleted_ad, ads=("DELETED", "ACTIVE")),
    "back again, a person changed the age": Case(CONFIRMED, AGAIN, B, OLD, age_changed, writes=REPUBLISH),
    "back again, broken for good, a person changed the age": Case(
        CONFIRMED, AGAIN, F, OLD, age_changed, Breakage.incurable(), ads=("WITH_ISSUES",) * 2
    ),
    "back again, broken for good, a person paused an ad": Case(
        CONFIRMED, AGAIN, F, OLD, paused_later, Breakage.incurable(), ads=("PAUSED", "WITH_ISSUES"), told=LEFT_PAUSED
    ),
    # Somebody chose other states.
    "other states": Case(OPEN, AFTER, S, OTHER, states_changed, told=SOMEBODY, writes=REPUBLISH),
    "other states, a person paused an ad": Case(
        OPEN, AFTER, S, OTHER, both(states_changed, paused_later), ads=("PAUSED", "ACTIVE"), told=LEFT_PAUSED,
        writes=("ad",)
    ),
    "other states, an ad paused at once": Case(
        OPEN, AFTER, S, OTHER, both(paused_at_once, states_changed), ads=("PAUSED", "ACTIVE"), told="PAUSED now",
        writes=("ad",)
    ),
    "other states, broken": Case(
        OPEN, AFTER, S, OTHER, both(states_changed, lost_form), ads=("WITH_ISSUES", "ACTIVE"), told="3390001",
        writes=REPUBLISH
    ),
    # It is gone.
    "archived": Case(OPEN, AFTER, S, WANTED, archived, ads=("ARCHIVED",) * 2, told="is ARCHIVED now", writes=()),
    "deleted": Case(OPEN, AFTER, S, WANTED, deleted, ads=("DELETED",) * 2, told="is DELETED now", writes=()),
}  # fmt: skip


@pytest.fixture
def adset(world: World) -> str:
    """Return the id of the only ad set."""
    world.campaign("FL")
    return world.adset("Interrupted")


def recovered(result: dict[str, Any]) -> dict[str, Any]:
    """Return the only change that was recovered."""
    (recovery,) = result["recovered"]
    return dict(recovery)


@pytest.mark.parametrize(
    ("state", "case"),
    [pytest.param(state, case, id=f"{state}-{name}") for name, case in CASES.items() for state in case.states],
)
def test_what_becomes_of_an_open_change(world: World, state: ChangeState, case: Case) -> None:
    """The next day's run brings it to its end, whichever action it was asked for, and says so."""
    world.campaign("FL")
    adset = world.adset("Interrupted", breakage=case.breakage)
    left_behind(world, adset, state, case.shows)
    case.since(world, adset)
    by_hand = world.meta.targeting(adset)["age_min"]
    world.time.next_day()

    result = result_of(world, RECHECK)

    world.meta.settle()
    assert recorded_state(world, EARLIER, adset) == case.end
    assert world.meta.states(adset) == case.leaves
    assert tuple(statuses(world, adset)) == case.ads
    assert world.meta.targeting(adset)["age_min"] == by_hand
    if case.writes is not None:
        assert tuple(operation.kind for operation in world.meta.writes) == case.writes
    assert len(ledger(world).open_changes("veterans")) == (0 if case.end in FINAL else 1)
    assert (1 if case.end is B else 0) == len(ledger(world).previous_outcomes("veterans").reverted)

    recovery = recovered(result)
    assert {name: recovery[name] for name in ("campaign", "run_id", "id", "name", "found", "state")} == {
        "campaign": "veterans", "run_id": EARLIER, "id": adset, "name": "Interrupted", "found": state,
        "state": case.end,
    }  # fmt: skip
    assert case.told in " | ".join(recovery["issues"])
    assert result["success"] == (case.end in FINAL)
    mail = world.sandbox.aws.mails[-1]
    assert f"Interrupted ({adset})" in mail.text
    assert EARLIER in mail.text
    assert case.told in mail.text
    assert ("ROLLBACK FAILED" in mail.subject) == (case.end is F)


class TestStaysOpen:
    """What can be neither finished nor undone today."""

    @pytest.mark.parametrize("state", OPEN)
    @pytest.mark.parametrize(
        "fault",
        [faults.SERVICE_UNAVAILABLE, faults.OBJECT_MISSING, faults.TOKEN_INVALID, faults.OK_HTML, faults.DROPPED],
    )
    def test_an_ad_set_that_cannot_be_looked_up(self, world: World, adset: str, state: ChangeState, fault: Any) -> None:
        """It stays as it is, at Meta and in the ledger, the run fails, and the next run takes it up."""
        left_behind(world, adset, state)
        before = entries(world, "CHANGE#")
        world.meta.fail(fault, on="GET adset", times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["found"], recovered(result)["state"]) == (state, state)
        assert "could not be looked up at Meta" in recovered(result)["issues"][0]
        assert not result["success"]
        assert "Interrupted" in result["campaigns"][0]["errors"][0]
        assert world.meta.writes == []
        assert entries(world, "CHANGE#") == before
        world.meta.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, RECHECK))["state"] in {"verified", "rolled_back"}

    def test_ads_that_cannot_be_read_afterwards(self, world: World, adset: str) -> None:
        """It is re-published and not proven: it stays open, and is looked at once more tomorrow."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on=lambda call: call.path == f"{adset}/ads", skip=1, times=None)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("republished", False)
        world.meta.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, RECHECK))["state"] == "verified"

    def test_it_is_held_and_the_others_go_on(self, world: World, adset: str) -> None:
        """No run makes a second change of an ad set whose first has no end."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.adset("Other")
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.meta.fail(faults.OBJECT_MISSING, on=lambda call: (call.method, call.path) == ("GET", adset))
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": "held", "Other": "updated"}
        assert world.meta.states(adset) == WANTED
        assert len(entries(world, "CHANGE#")) == 2
        assert "An earlier change of it is still open" in world.sandbox.aws.mails[-1].text

    def test_with_too_little_time_nothing_is_begun(self, world: World, adset: str) -> None:
        """Recovery needs time for a rollback too: else it waits for the next run, and says so."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.time.next_day()
        world.time.deadline = world.time.seconds() + 12

        result = result_of(world, LIVE)

        assert (recovered(result)["state"], result["success"]) == ("written", False)
        assert "Too little time" in recovered(result)["issues"][0]
        assert world.meta.writes == []

    def test_a_failed_rollback_is_tried_again_and_told_aloud_until_it_succeeds(
        self, world: World, adset: str, capsys: pytest.CaptureFixture[str], log: StringIO
    ) -> None:
        """Every day: first in the mail, a metric, a critical line, a failed run; then all is quiet again."""
        world.meta.adsets[adset].ads[0].breakage = Breakage.incurable()
        subject = "CLOSRADS ✗ ROLLBACK FAILED in Veterans · "
        for day in ("Mon 4 May", "Tue 5 May", "Wed 6 May"):
            result = result_of(world, LIVE)

            assert (result["success"], world.meta.states(adset)) == (False, OLD)
            assert metric(capsys.readouterr().out, "RollbackFailed") == 1
            mail = world.sandbox.aws.mails[-1]
            assert mail.subject == subject + day
            assert mail.text.index("ROLLBACK FAILED") < mail.text.index(f"Interrupted ({adset})")
            assert '"CRITICAL"' in log.getvalue()
            assert [each["found"] for each in result["recovered"]] == ["rollback_failed"] * (day != "Mon 4 May")
            log.truncate(0)
            world.time.next_day()

        world.meta.adsets[adset].ads[0].issues.clear()
        world.meta.adsets[adset].ads[0].damage = world.meta.adsets[adset].ads[0].breakage = None
        result = result_of(world, LIVE)

        assert (result["success"], recovered(result)["state"]) == (True, "rolled_back")
        assert metric(capsys.readouterr().out, "RollbackFailed") == 0
        assert '"CRITICAL"' not in log.getvalue()
        assert world.meta.states(adset) == WANTED
        world.time.next_day()
        assert result_of(world, LIVE)["recovered"] == []


class TestAround:
    """Recovery within a run."""

    @pytest.mark.parametrize("state", OPEN)
    @pytest.mark.parametrize(
        "event", [{}, {"validate": True}, {"action": "recheck"}, {"action": "undo", "run_id": EARLIER}]
    )
    def test_a_dry_run_names_what_is_open_and_writes_nothing(
        self, world: World, adset: str, state: ChangeState, event: dict[str, Any]
    ) -> None:
        """Neither at Meta nor in the ledger; that something is open is no failure of the dry run."""
        left_behind(world, adset, state)
        runs(world).begin(EARLIER, Action.SYNC, ["veterans"])
        world.time.next_day()

        with only_reads(world):
            result = world.run(event)

        assert (recovered(result)["found"], recovered(result)["state"]) == (state, state)
        assert (result["success"], result["mail"]) == (True, "sent")
        assert f"Interrupted ({adset})" in world.sandbox.aws.mails[-1].text
        assert world.sandbox.aws.mails[-1].subject.startswith("[DRY RUN] CLOSRADS ")

    def test_it_comes_before_anybody_is_asked_for_the_demand(self, world: World, adset: str) -> None:
        """CLOSRTECH is down for days: the open change does not wait for it."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.sandbox.closrtech.misbehave(closrtech.DOWN)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert recovered(result)["state"] == "rolled_back"
        assert not result["success"]
        assert world.meta.states(adset) == OLD
        assert "put back, its ads are healthy" in world.sandbox.aws.mails[-1].text

    @pytest.mark.parametrize(
        ("state", "breakage", "shows", "result", "leaves"),
        [
            (ChangeState.WRITTEN, None, AFTER, "unchanged", WANTED),
            (ChangeState.PREPARED, None, BEFORE, "updated", WANTED),
            (ChangeState.ROLLING_BACK, None, AFTER, "updated", WANTED),
            (ChangeState.REPUBLISHED, STUBBORN, AFTER, "reverted", OLD),
        ],
    )
    def test_the_sync_goes_on_from_what_it_has_left(  # noqa: PLR0913, PLR0917 - a row of the table
        self, world: World, state: ChangeState, breakage: Breakage | None, shows: str, result: str, leaves: set[str]
    ) -> None:
        """What was finished need not be done again; what was undone is tried anew."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=breakage)
        left_behind(world, adset, state, shows)
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": result}
        assert world.meta.states(adset) == leaves
        assert ledger(world).open_changes("veterans") == ()

    def test_what_was_put_back_in_recovery_counts_for_the_next_try(self, world: World) -> None:
        """Put back by recovery, put back again the same day: the third day leaves it alone."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=Breakage.stubborn())
        left_behind(world, adset, ChangeState.WRITTEN)
        world.time.next_day()
        assert becomes_of(world, LIVE) == {"Interrupted": "reverted"}
        world.time.next_day()

        assert becomes_of(world, LIVE) == {"Interrupted": "needs_attention"}
        assert world.meta.states(adset) == OLD

    def test_each_of_many_open_changes_is_brought_to_its_own_end(self, world: World) -> None:
        """More than go together at once, each left at another state."""
        world.campaign("FL")
        world.put({"limits/wave_size": "2"})
        adsets = [world.adset(f"Ad set {number}") for number in range(len(OPEN))]
        for adset, state in zip(adsets, OPEN, strict=True):
            left_behind(world, adset, state)
        world.time.next_day()

        result = result_of(world, RECHECK)

        ends = {each["found"]: each["state"] for each in result["recovered"]}
        assert ends == dict.fromkeys(SINCE_A_WRITE, "verified") | dict.fromkeys(SINCE_A_ROLLBACK, "rolled_back")
        assert [each["id"] for each in result["recovered"]] == adsets
        assert result["success"]

    def test_two_runs_with_an_open_change_of_one_ad_set(self, world: World, adset: str) -> None:
        """It should not come to that; if it does, both come to an end and the ad set is as one of them had it."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.time.pass_by(HOUR)
        left_behind(world, adset, ChangeState.WRITTEN, states="GA", run_id="20260504T113000Z-0000bbbb")
        world.time.next_day()

        first = result_of(world, RECHECK)
        world.time.next_day()
        second = result_of(world, RECHECK)

        assert len(first["recovered"]) == 2
        assert world.meta.states(adset) == OTHER
        assert ledger(world).open_changes("veterans") == ()
        assert len(second["recovered"]) < 2

    def test_only_the_campaigns_that_run_are_recovered(self, world: World, adset: str) -> None:
        """One that is switched off, and one that the event does not name, are left alone until they run."""
        left_behind(world, adset, ChangeState.WRITTEN)
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))
        world.put({"campaigns/veterans/enabled": "false"})
        world.time.next_day()
        assert result_of(world, LIVE)["recovered"] == []
        world.put({"campaigns/veterans/enabled": "true"})
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
        world.time.next_day()
        assert result_of(world, {**LIVE, "campaigns": ["truckers"]})["recovered"] == []
        assert world.meta.writes == []
        assert recorded_state(world, EARLIER, adset) == "written"

        world.time.next_day()
        assert recovered(result_of(world, LIVE))["state"] == "verified"

    def test_an_undo_that_died_is_recovered_like_any_other(self, world: World, adset: str) -> None:
        """Its change goes the same way; it teaches nothing of a sync."""
        world.meta.adsets[adset].ads[0].breakage = Breakage.stubborn()
        left_behind(world, adset, ChangeState.WRITTEN, action=Action.UNDO)
        world.time.next_day()

        assert recovered(result_of(world, RECHECK))["state"] == "rolled_back"
        assert world.meta.states(adset) == OLD
        assert ledger(world).previous_outcomes("veterans").reverted == {}


class TestCutShort:
    """A rollback that died between its write, which may break ads like any other, and the re-publish against that."""

    @pytest.fixture
    def adset(self, world: World) -> str:
        """Return an ad set whose ads, once the rollback has broken them, no re-publish alone will mend."""
        world.campaign("FL")
        adset = world.adset("Interrupted", breakage=Breakage.ordinary(seconds=60))
        change = left_behind(world, adset, ChangeState.ROLLING_BACK)
        republish_ads(world.api(), [change.before])
        world.api().post(adset, {"targeting": without_computed(change.before.targeting)})
        world.meta.requests.clear()
        return adset

    def test_it_goes_the_whole_way_again(self, world: World, adset: str) -> None:
        """To the wanted states and back, each time with a re-publish: the ad set is as before, its ads are healthy."""
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], result["success"]) == ("rolled_back", True)
        world.time.pass_by(HOUR)
        assert (world.meta.states(adset), statuses(world, adset)) == (OLD, ["ACTIVE"] * 2)

    @pytest.mark.parametrize("changes", [{"age_min": 21}, {"custom_audiences": [{"id": "6001"}]}])
    def test_what_people_changed_besides_stays(self, world: World, adset: str, changes: dict[str, Any]) -> None:
        """The ledger's targeting is a day old: not all of it is to be written over what is there now."""
        world.time.pass_by(HOUR)
        world.meta.change_by_hand(adset, changes)
        by_hand = world.meta.targeting(adset)
        world.time.next_day()

        result_of(world, RECHECK)

        assert world.meta.targeting(adset) == by_hand

    def test_a_person_who_comes_while_it_is_mended_has_the_last_word(self, world: World, adset: str) -> None:
        """The ad set is read again before it is sent forth once more, and has other states by then."""
        world.time.next_day()
        looks = iter(range(1, 1000))
        texas_and_ohio = {"geo_locations": {"regions": [{"key": "3886"}, {"key": "3878"}]}}

        def come_at_the_second_look(operation: Operation) -> None:
            if (operation.method, operation.kind) == ("GET", "adset") and next(looks) == 2:
                world.meta.change_by_hand(adset, texas_and_ohio)

        world.meta.on_request = come_at_the_second_look

        result = result_of(world, RECHECK)

        assert recovered(result)["state"] == "superseded"
        assert (world.written_adsets(), world.meta.states(adset)) == ([], {"TX", "OH"})

    def test_an_ad_that_a_person_paused_stays_paused_and_is_named(self, world: World, adset: str) -> None:
        """However often the other one is re-published."""
        world.time.pass_by(HOUR)
        paused = world.meta.ads_of(adset)[0]
        world.meta.pause_by_hand(paused.id)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert paused.status == "PAUSED"
        assert paused.id not in {operation.object_id for operation in world.meta.writes}
        assert LEFT_PAUSED in " ".join(recovered(result)["issues"])

    @pytest.mark.parametrize("calls", range(1, 6))
    def test_it_does_not_begin_what_it_has_no_time_for(self, world: World, adset: str, calls: int) -> None:
        """Time runs out while the first try is under way: the ad set is not sent forth once more."""
        world.time.next_day()
        count = iter(range(1, 1000))

        def time_runs_out(_: Operation) -> None:
            if next(count) == calls:
                world.time.deadline = world.time.seconds() + 12

        world.meta.on_request = time_runs_out

        result_of(world, RECHECK)

        assert (world.written_adsets(), world.meta.states(adset)) == ([], OLD)

    def test_what_it_had_no_time_for_comes_the_next_day(self, world: World, adset: str) -> None:
        """Too late today is not never."""
        world.time.next_day()
        world.meta.on_request = lambda _: setattr(world.time, "deadline", world.time.seconds() + 12)
        result_of(world, RECHECK)
        world.meta.on_request = None
        world.time.next_day()

        result_of(world, RECHECK)

        world.time.pass_by(HOUR)
        assert (world.meta.states(adset), statuses(world, adset)) == (OLD, ["ACTIVE"] * 2)

    def test_a_refusal_of_the_account_is_enough(self, world: World, adset: str) -> None:
        """Meta blocks the re-publish by policy: what comes on top of that makes it worse."""
        world.meta.fail(faults.POLICY_BLOCK, on="POST ad", times=None)
        world.time.next_day()

        result_of(world, RECHECK)

        assert world.written_adsets() == []
        assert world.meta.states(adset) == OLD


class TestWhosePause:
    """An ad that a person paused is never switched on again, however often its ad set is put back."""

    def test_a_pause_between_two_tries(self, world: World, adset: str) -> None:
        """The rollback fails for days because of one ad; the other, which a person pauses meanwhile, stays paused."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.incurable()
        result_of(world, LIVE)
        world.time.pass_by(3 * HOUR)
        world.meta.pause_by_hand(two.id)
        world.meta.requests.clear()

        for _ in range(4):
            world.time.next_day()
            assert recovered(result_of(world, LIVE))["state"] == "rollback_failed"
        assert two.status == "PAUSED"
        assert two.id not in {operation.object_id for operation in world.meta.writes}

    def test_a_pause_before_a_recheck_whose_rollback_fails(self, world: World, adset: str) -> None:
        """Paused between the sync and the recheck, whose rollback fails; the next day's succeeds."""
        one, two = world.meta.ads_of(adset)
        one.breakage = Breakage.late(1200)
        assert becomes_of(world, LIVE) == {"Interrupted": "updated"}
        world.time.pass_by(900)
        world.meta.pause_by_hand(two.id)
        later(world, 900)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        assert becomes_of(world, RECHECK) == {"Interrupted": "rollback_failed"}

        for _ in range(2):
            world.time.next_day()
            result_of(world, {**LIVE, "notify": False})
            assert two.status == "PAUSED"
        assert ledger(world).open_changes("veterans") == ()

    @pytest.mark.parametrize(
        ("status", "seconds", "is_broken", "protected"),
        [
            ("ACTIVE", None, False, True),
            ("ACTIVE", 3 * HOUR, True, True),
            ("PAUSED", -6, False, False),
            ("PAUSED", -5, False, True),
            ("PAUSED", 0, False, True),
            ("PAUSED", 100, False, True),
            ("PAUSED", 160, False, True),
            ("PAUSED", 161, False, False),
            ("PAUSED", 161, True, False),
            ("PAUSED", -6, True, True),
            ("PAUSED", None, True, True),
            ("PAUSED", None, False, False),
            ("ARCHIVED", 10, False, False),
            ("DELETED", 10, True, False),
        ],
    )
    def test_what_counts_as_metas_doing(
        self, status: str, seconds: float | None, *, is_broken: bool, protected: bool
    ) -> None:
        """A pause from five seconds before the change to a minute after its last step, or one with an older issue."""
        before = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {}, (Ad("601", "One", "ACTIVE", "ACTIVE"),))
        change = Change(
            "veterans", EARLIER, Action.SYNC, before, {}, ChangeState.WRITTEN, START, START + timedelta(seconds=100)
        )
        issues = (AdIssue(3390001, "Missing lead form", "", "HARD_ERROR"),) if is_broken else ()
        updated_at = None if seconds is None else START + timedelta(seconds=seconds)
        now = Ad("601", "One", status, status, issues, updated_at=updated_at)

        found = still_to_protect(change, [now])

        assert [ad.id for ad in found.adset.ads] == (["601"] if protected else [])
        assert len(found.notes) == (not protected)

    def test_an_ad_that_a_person_had_paused_before(self, world: World, adset: str) -> None:
        """It was not ACTIVE when the change was written down, so it is nobody's to re-publish."""
        paused = world.meta.add_ad(adset, "Retired", status="PAUSED")
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.time.next_day()
        result_of(world, RECHECK)

        assert world.meta.ads[paused].status == "PAUSED"
        assert paused not in {operation.object_id for operation in world.meta.writes}

    def test_an_ad_that_came_later(self, world: World, adset: str) -> None:
        """A new ad that is still a draft of somebody's is not switched on either."""
        left_behind(world, adset, ChangeState.WRITTEN)
        new = world.meta.add_ad(adset, "New", status="PAUSED")
        world.time.next_day()
        result_of(world, RECHECK)

        assert new not in {operation.object_id for operation in world.meta.writes}


class TestLedgerTrouble:
    """DynamoDB fails while a run is at work."""

    @pytest.mark.parametrize("operation", ["any", "Query", "PutItem", "TransactWriteItems"])
    def test_without_the_ledger_nothing_is_written_at_meta(self, world: World, adset: str, operation: str) -> None:
        """The run fails, its report says why, and the mail goes out."""
        left_behind(world, adset, ChangeState.WRITTEN, states="GA")
        other = world.adset("Other")
        world.sandbox.aws.fail("dynamodb", operation, "InternalServerError", 500, None)
        world.time.next_day()

        with pytest.raises(SyncFailed, match="The ledger cannot be"):
            world.run(LIVE)

        assert world.written_adsets() == []
        assert world.meta.states(other) == OLD
        assert "The ledger cannot be" in world.sandbox.aws.mails[-1].text
        assert world.sandbox.aws.mails[-1].subject.startswith("CLOSRADS ✗ Veterans failed")

    @pytest.mark.parametrize("state", OPEN)
    def test_what_cannot_be_taken_up_in_the_ledger_is_not_touched(
        self, world: World, adset: str, state: ChangeState
    ) -> None:
        """The lease could still be had, and then no more: nothing is written at Meta, the ad set is held."""
        left_behind(world, adset, state)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=1)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert (recovered(result)["state"], result["success"]) == (state, False)
        assert one_adset(result)["result"] == "held"
        assert world.meta.writes == []

    @pytest.mark.parametrize("state", OPEN)
    def test_what_was_recovered_and_cannot_be_noted_is_looked_at_once_more(
        self, world: World, adset: str, state: ChangeState
    ) -> None:
        """What is at Meta comes first; the ad set is not changed on top of it today, and the report says why."""
        left_behind(world, adset, state)
        world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"GA": 5}
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=2)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert "the ledger could not be told" in " ".join(recovered(result)["issues"])
        assert one_adset(result)["result"] == "held"
        assert not result["success"]
        assert world.meta.states(adset) != OTHER
        world.sandbox.aws.clear_faults()
        world.time.next_day()
        assert recovered(result_of(world, LIVE))["state"] in {"verified", "rolled_back"}
        assert world.meta.states(adset) == OTHER

    def test_one_step_that_cannot_be_noted_does_not_undo_a_later_change(self, world: World, adset: str) -> None:
        """The rollback was done and could not be noted: the next day's run ends with what is wanted all the same."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, 1, skip=2)
        world.time.next_day()
        result_of(world, LIVE)
        world.time.next_day()
        result_of(world, RECHECK)

        verified = [item for item in entries(world, "CHANGE#") if item["state"] == "verified"]
        assert world.meta.states(adset) == (WANTED if verified else OLD)
        assert len(world.written_adsets()) == 1 + len(verified)

    def test_a_failed_rollback_is_loud_whatever_the_ledger_does(
        self, world: World, adset: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """That the ledger could not be told of it as well makes it no smaller."""
        left_behind(world, adset, ChangeState.ROLLING_BACK)
        world.meta.fail(faults.INTEREST_RETIRED, on="POST adset")
        world.sandbox.aws.fail("dynamodb", "TransactWriteItems", "InternalServerError", 500, None, skip=2)
        world.time.next_day()

        result = result_of(world, RECHECK)

        assert (recovered(result)["state"], world.meta.states(adset)) == ("rollback_failed", WANTED)
        assert world.sandbox.aws.mails[-1].subject.startswith("CLOSRADS ✗ ROLLBACK FAILED in Veterans")
        assert metric(capsys.readouterr().out, "RollbackFailed") == 1

    def test_a_defect_leaves_one_change_open_and_takes_up_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What stumbles over one change stops neither the others nor the report."""
        world.campaign("FL")
        adsets = [world.adset(name) for name in ("One", "Two")]
        for adset in adsets:
            left_behind(world, adset, ChangeState.WRITTEN)

        def stumble(change: Change, now: Iterable[Ad]) -> Protected:
            if change.before.id == adsets[0]:
                raise ZeroDivisionError("a defect")
            return still_to_protect(change, now)

        monkeypatch.setattr("closrads.rollout.recovery.still_to_protect", stumble)

        result = result_of(world, LIVE)

        assert [each["state"] for each in result["recovered"]] == ["written", "verified"]
        assert "ZeroDivisionError" in result["recovered"][0]["issues"][0]
        assert not result["success"]

    @pytest.mark.parametrize("step", [ChangeState.WRITTEN, ChangeState.REPUBLISHED, ChangeState.VERIFIED])
    def test_a_defect_in_the_ledger_leaves_no_ad_set_unprotected(
        self, world: World, step: ChangeState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three ad sets are written, and noting one of them down stumbles: all are re-published and verified."""
        world.campaign("FL")
        adsets = [world.adset(name, breakage=Breakage.ordinary(seconds=60)) for name in ("One", "Two", "Three")]
        move = Ledger.move

        def stumble(book: Ledger, moves: Sequence[tuple[Change, ChangeState]]) -> Any:
            if any(change.before.id == adsets[1] and state is step for change, state in moves):
                raise ZeroDivisionError("a defect")
            return move(book, moves)

        monkeypatch.setattr(Ledger, "move", stumble)

        result = result_of(world, LIVE)

        world.time.pass_by(120)
        assert [world.meta.states(adset) for adset in adsets] == [WANTED] * 3
        assert [statuses(world, adset) for adset in adsets] == [["ACTIVE"] * 2] * 3
        assert len(result["campaigns"][0]["adsets"]) == 3
        untold = {item["name"] for item in entries(world, "CHANGE#") if item["state"] != "verified"}
        assert untold == ({"Two"} if step is ChangeState.VERIFIED else set())
