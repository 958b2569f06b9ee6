"""What somebody else did to the states of ad sets between two runs: what of it a run tells, and what that costs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any, cast

import pytest

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.drift import Drift, UnattributedDrift
from closrads.domain.request import Action
from closrads.domain.sync_report import SyncReport
from closrads.errors import LedgerError
from closrads.ledger.changes import Ledger
from closrads.rollout import drift
from closrads.rollout.drift import with_drift
from sandbox.meta import Breakage, Operation, faults
from sandbox.meta.activity_log import OWN, Actor
from sandbox.meta.regions import KEY_BY_STATE
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, UNDO, later, ledger, left_behind, one_adset, recorded_state, result_of
from tests.log_lines import logged
from tests.world import LIVE, MORTGAGE_1, START, VETERANS, World

HOUR = 3600.0
JANE = Actor("122100000000000009", "Jane Example", "900000000000001", "Ads Manager")
TOOL = Actor("122100000000000008", "Example Bid Tool", "900000000000002", "Example Bid Tool")


def edited(world: World, adset: str, states: str = "GA", by: Actor = JANE) -> None:
    """Let a person set other states three hours later."""
    world.time.pass_by(3 * HOUR)
    world.meta.person_edits_targeting(adset, states=states, published=True, by=by)


def wanted(world: World, states: str) -> None:
    """Change the demand."""
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = dict.fromkeys(states.split(), 5)


def tomorrow(world: World, event: Any = LIVE) -> dict[str, Any]:
    """Run on the next day, and return the result; what was asked of Meta and AWS before is forgotten."""
    world.time.next_day()
    world.meta.requests.clear()
    world.meta.operations.clear()
    world.sandbox.aws.requests.clear()
    return result_of(world, event)


def reads(world: World) -> Counter[str]:
    """Return how often the log and the token were read."""
    kinds = (operation.path.rpartition("/")[2] for operation in world.meta.operations)
    return Counter(kind for kind in kinds if kind in {"activities", "debug_token"})


def mail(world: World) -> str:
    """Return the text of the last mail, without its appendix."""
    text: str = world.sandbox.aws.mails[-1].text
    return text.partition("--- Details")[0]


@pytest.fixture
def adset(world: World) -> str:
    """Return an ad set to which a run has given the states of the demand, FL and OH, in place of TX."""
    world.campaign("FL OH")
    broad = world.adset("Broad", "TX")
    world.run(LIVE)
    assert world.meta.states(broad) == {"FL", "OH"}
    return broad


class TestDrift:
    """States that differ from what the last run left."""

    def test_who_did_it_and_when(self, world: World, adset: str) -> None:
        """It is told although the run puts it right."""
        edited(world, adset, "FL GA")

        result = one_adset(tomorrow(world))

        assert (result["result"], world.meta.states(adset)) == ("updated", {"FL", "OH"})
        at = "2026-05-04T13:30:03+00:00"
        assert result["drift"] == {"added": ["GA"], "removed": ["OH"], "by": "Jane Example", "at": at}
        assert (
            "Changed by somebody else: Jane Example took out OH and added GA in Broad on 4 May, 9:30 am; "
            "it has today's states again" in mail(world)
        )

    def test_nobody_is_blamed_alone_for_what_two_have_done(self, world: World, adset: str) -> None:
        """The log does not tell who added which state."""
        edited(world, adset, "FL OH GA", by=TOOL)
        edited(world, adset, "FL OH GA UT")

        tomorrow(world)

        assert "Example Bid Tool and Jane Example added GA, UT in Broad" in mail(world)

    def test_who_did_it_is_unknown(self, world: World, adset: str) -> None:
        """The token may not read the log: the run goes as ever, and the change itself is told."""
        edited(world, adset, "FL GA")
        world.meta.fail(faults.PERMISSION_MISSING, on="GET activities", times=None)

        result = one_adset(tomorrow(world))

        assert result["drift"] == {"added": ["GA"], "removed": ["OH"], "by": "", "at": None}
        assert "Somebody took out OH and added GA in Broad since the last update, and Meta does not say who" in mail(
            world
        )
        assert reads(world) == {"activities": 1}

    def test_one_read_for_all_of_an_ad_account(self, world: World) -> None:
        """However many ad sets and campaigns of it there are."""
        meta_campaigns = {"veterans": VETERANS, "truckers": "120200000000000930"}
        for slug, meta_campaign in meta_campaigns.items():
            world.campaign("FL OH", slug=slug, meta_campaigns=[meta_campaign])
        adsets = [world.adset("Broad", "TX")]
        adsets += [world.adset(f"Other {number}", "TX", campaign=meta_campaigns["truckers"]) for number in range(3)]
        world.run(LIVE)
        for each in adsets:
            edited(world, each, "FL")

        result = tomorrow(world)

        found = [each["drift"]["by"] for campaign in result["campaigns"] for each in campaign["adsets"]]
        assert found == ["Jane Example"] * 4
        assert reads(world) == {"activities": 1, "debug_token": 1}
        together = (
            "Jane Example took out OH in 3 ad sets (Other 0, Other 1, Other 2) on 4 May; they have today's states"
        )
        assert together in mail(world)

    def test_it_is_told_although_another_ad_account_has_none(self, world: World) -> None:
        """Of which no log is read."""
        world.campaign("FL OH")
        world.campaign("GA", "mortgage", [MORTGAGE_1], account="act_222")
        broad = world.adset("Broad")
        world.adset("Other", "GA", campaign=MORTGAGE_1)
        world.run(LIVE)
        edited(world, broad, "FL")

        campaigns = tomorrow(world)["campaigns"]

        found = {each["name"]: "drift" in each for campaign in campaigns for each in campaign["adsets"]}
        assert found == {"Broad": True, "Other": False}

    def test_a_demand_that_has_changed_is_none(self, world: World, adset: str) -> None:
        """The ad set is as the last run left it: the ledger says so, and Meta is asked nothing."""
        wanted(world, "FL GA")

        assert "drift" not in one_adset(tomorrow(world))
        assert (world.meta.states(adset), reads(world)) == ({"FL", "GA"}, {})

    def test_what_is_as_wanted_is_quiet(self, world: World, adset: str) -> None:
        """A person was faster than the run."""
        wanted(world, "FL GA")
        edited(world, adset, "FL GA")

        result = one_adset(tomorrow(world))

        assert (result["result"], "drift" in result, reads(world)) == ("unchanged", False, {})

    def test_a_new_ad_set_has_none(self, world: World, adset: str) -> None:
        """Nothing was left there before."""
        new = world.adset("New", "TX")
        edited(world, new, "CA")

        (new_one,) = (each for each in tomorrow(world)["campaigns"][0]["adsets"] if each["id"] == new)

        assert (new_one["result"], "drift" in new_one, reads(world)) == ("updated", False, {})
        assert adset

    def test_an_undo_of_ours_is_none(self, world: World, adset: str) -> None:
        """Its own change left the states."""
        assert one_adset(tomorrow(world, UNDO))["result"] == "updated"
        assert world.meta.states(adset) == {"TX"}

        assert "drift" not in one_adset(tomorrow(world))

    def test_a_rollback_of_ours_is_none(self, world: World) -> None:
        """The states from before are there because we have put them back."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX", breakage=Breakage.stubborn())
        assert one_adset(world.run(LIVE))["result"] == "reverted"
        assert world.meta.states(adset) == {"TX"}

        assert "drift" not in one_adset(tomorrow(world))

    def test_what_was_put_back_stays_as_the_person_wanted_it(self, world: World, adset: str) -> None:
        """The update broke the ads, so the run leaves the states that it has found."""
        for ad in world.meta.ads_of(adset):
            ad.breakage = Breakage.stubborn()
        edited(world, adset, "FL")

        result = one_adset(tomorrow(world))

        assert (result["result"], result["drift"]["by"], world.meta.states(adset)) == (
            "reverted",
            "Jane Example",
            {"FL"},
        )
        assert "Jane Example took out OH in Broad on 4 May, 9:30 am; it was left like that" in mail(world)

    def test_an_edit_of_another_setting_names_nobody(self, world: World, adset: str) -> None:
        """The last edit of the states counts, not the last one of the targeting."""
        edited(world, adset, "FL")
        world.time.pass_by(HOUR)
        world.meta.person_edits_targeting(adset, {"age_min": 30}, published=True, by=TOOL)

        assert one_adset(tomorrow(world))["drift"]["by"] == "Jane Example"

    def test_an_earlier_write_of_ours_that_meta_does_late_is_none(self, world: World, adset: str) -> None:
        """The log names our own app; a person is not to be blamed for it."""
        edited(world, adset, "GA", by=OWN)

        assert "drift" not in one_adset(tomorrow(world))

    def test_a_log_without_the_row_names_nobody(self, world: World, adset: str) -> None:
        """Our own row of the day before is not taken for the person's."""
        world.meta.accounts["act_111"].activities.missing = lambda row: row.actor is JANE
        edited(world, adset, "FL")

        assert one_adset(tomorrow(world))["drift"]["by"] == ""
        assert reads(world)["activities"] == 1

    def test_a_token_that_does_not_tell_its_app(self, world: World, adset: str) -> None:
        """Then our own rows are known by their times."""
        edited(world, adset, "FL")
        world.meta.fail(faults.PERMISSION_MISSING, on="GET debug_token", times=None)

        assert one_adset(tomorrow(world))["drift"]["by"] == "Jane Example"

    def test_a_name_is_text_from_outside(self, world: World, adset: str) -> None:
        """It stays one line, and no markup."""
        world.meta.token = "EAAFAKESYSTEMUSER"
        name = f"<b>Jane</b>\n{world.meta.token} {'x' * 500}"
        edited(world, adset, "FL", by=Actor("1", name, "2", "Ads Manager"))

        by = one_adset(tomorrow(world))["drift"]["by"]

        assert by.startswith("<b>Jane</b> *** x")
        assert len(by) == 200
        html = world.sandbox.aws.mails[-1].html
        assert "&lt;b&gt;Jane&lt;/b&gt;" in html
        assert "<b>Jane" not in html


class TestNeverAReason:
    """Nothing of it fails or delays a run."""

    def test_without_time_the_log_is_not_read(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The report has to be sent."""
        edited(world, adset, "FL")
        monkeypatch.setattr(drift, "SPARED_SECONDS", 10_000.0)

        assert one_adset(tomorrow(world))["drift"]["by"] == ""
        assert reads(world) == {}

    def test_without_time_for_more_than_the_report_nothing_is_read(
        self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor of the ledger, which may be slow."""
        edited(world, adset, "FL")
        monkeypatch.setattr("closrads.sync.REPORT_SECONDS", 10_000.0)

        result = one_adset(tomorrow(world))

        assert (result["result"], "drift" in result, reads(world)) == ("updated", False, {})

    def test_without_quota_the_log_is_not_read(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is left of it is for rollbacks."""
        edited(world, adset, "FL")
        monkeypatch.setattr(drift, "READ_POINTS", 10_000)

        result = one_adset(tomorrow(world))

        assert (result["result"], result["drift"]["by"], reads(world)) == ("updated", "", {})

    def test_a_ledger_that_cannot_be_read(
        self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch, log: StringIO
    ) -> None:
        """The changes are done, and their states are known to it."""

        def unreadable(*_: object) -> None:
            raise LedgerError("The ledger cannot be read")

        edited(world, adset, "FL")
        monkeypatch.setattr(Ledger, "newest_changes", unreadable)
        result = tomorrow(world)

        assert (result["success"], "drift" in one_adset(result)) == (True, False)
        assert logged(log, "ledger.drift_unread", "campaign", "error") == [("veterans", "The ledger cannot be read")]

    def test_a_defect(self, world: World, adset: str, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
        """It is in the log."""

        def broken(*_: object) -> None:
            raise KeyError("regions")

        edited(world, adset, "FL")
        monkeypatch.setattr(drift, "find_drift", broken)
        result = tomorrow(world)

        assert (result["success"], "drift" in one_adset(result)) == (True, False)
        assert "defect" in log.getvalue()

    def test_a_quiet_day_asks_nobody(self, world: World, adset: str) -> None:
        """Neither the ledger nor Meta."""
        result = tomorrow(world)

        assert (result["graph"]["round_trips"], reads(world)) == (2, {})
        queries = [call for call in world.sandbox.aws.requests if call.operation == "Query"]
        assert (len(queries), world.meta.states(adset)) == (3 + 1, {"FL", "OH"})  # once more after the recheck


class TestSuperseded:
    """A change that met a person's."""

    def test_it_says_who_came_between(self, world: World) -> None:
        """In the box that names the ad set."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX")
        world.meta.fail(faults.DROPPED, on="POST adset")

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "POST":
                world.meta.on_request = None
                world.meta.person_edits_targeting(adset, states="GA", published=True, by=JANE)

        world.meta.on_request = person_comes
        result = one_adset(result_of(world, LIVE))

        assert (result["result"], result["drift"]["by"]) == ("superseded", "Jane Example")
        assert "was changed by Jane Example on 4 May, 6:30 am, and was left like that" in mail(world)
        assert "Changed by somebody else" not in mail(world)

    def test_without_a_name_nothing_is_added(self, world: World) -> None:
        """The result says already that it was somebody else."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX")
        world.meta.fail(faults.DROPPED, on="POST adset")
        world.meta.fail(faults.PERMISSION_MISSING, on="GET activities", times=None)

        def person_comes(operation: Operation) -> None:
            if operation.kind == "adset" and operation.method == "POST":
                world.meta.on_request = None
                world.meta.person_edits_targeting(adset, states="GA", published=True, by=JANE)

        world.meta.on_request = person_comes
        result = one_adset(result_of(world, LIVE))

        assert (result["result"], "drift" in result) == ("superseded", False)
        assert "was changed by somebody else" in mail(world)

    def test_a_change_that_an_earlier_run_left(self, world: World) -> None:
        """The run that finds it open leaves the states, and then gives the ad set today's."""
        world.campaign("FL OH")
        adset = world.adset("Broad", "TX")
        change = left_behind(world, adset, ChangeState.WRITTEN)
        edited(world, adset, "GA")

        result = tomorrow(world)

        (recovery,) = result["recovered"]
        assert (recovery["state"], recovery["drift"]["by"]) == ("superseded", "Jane Example")
        assert recorded_state(world, change.run_id, adset) == "superseded"
        assert "was changed by Jane Example on 4 May, 9:30 am, and was left like that" in mail(world)
        assert one_adset(result)["drift"] == {**recovery["drift"], "by": "Jane Example"}

    def test_what_somebody_replaced_before_a_recheck_is_not_known(self, world: World, adset: str) -> None:
        """The states of the superseded change, or those from before it: neither is said to have been taken out."""
        edited(world, adset, "GA")
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        later(world, HOUR)
        assert one_adset(result_of(world, RECHECK))["result"] == "superseded"

        drift = one_adset(tomorrow(world))["drift"]

        assert (drift["added"], drift["removed"], drift["by"]) == ([], [], "Jane Example")
        assert (
            "Changed by somebody else: Jane Example changed the states of Broad on 4 May, 9:30 am; "
            "it has today's states again" in mail(world)
        )

    def test_what_a_run_that_died_had_met(self, world: World, adset: str) -> None:
        """It had no report, so the run that finishes its change tells it."""
        edited(world, adset, "FL")
        world.time.next_day()
        left_behind(world, adset, ChangeState.WRITTEN, run_id="20260505T133003Z-0000aaaa", states="FL OH")

        result = tomorrow(world)

        (recovery,) = result["recovered"]
        assert (recovery["state"], recovery["drift"]["removed"]) == ("verified", ["OH"])
        assert "drift" not in one_adset(result)
        assert "Changed by somebody else: Jane Example took out OH in Broad on 4 May, 9:30 am\n" in mail(world)

    def test_a_recheck(self, world: World) -> None:
        """It re-publishes the ads, and says whose states they have now."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX", breakage=Breakage.late(600))
        world.run(LIVE)
        world.time.pass_by(HOUR)
        world.meta.settle()
        edited(world, adset, "GA")
        later(world, HOUR)

        result = one_adset(result_of(world, RECHECK))

        assert (result["result"], result["drift"]["by"]) == ("superseded", "Jane Example")


class TestFleet:
    """A run that several invocations share."""

    def test_it_is_told_by_the_invocation_that_changes_the_ad_set(self, world: World, adset: str) -> None:
        """And it is in the report of the whole run."""
        edited(world, adset, "FL")
        world.time.next_day()
        Workflow(world).run({**OPEN, "scheduled": "2026-05-05T10:30:00Z"})

        assert "Jane Example took out OH in Broad on 4 May, 9:30 am; it has today's states again" in mail(world)

    def test_what_an_earlier_invocation_has_told_stays(self, world: World, adset: str) -> None:
        """It is not looked for again."""
        told = AdSetResult(adset, "Broad", Result.UPDATED, ("OH",), drift=Drift((), ("OH",), "Jane Example", START))
        report = SyncReport("veterans", "Veterans", dry_run=False, adsets=(told,), fb_ad_account_id="act_111")
        world.sandbox.aws.requests.clear()

        found = with_drift(ledger(world), "run", Action.SYNC, [report], lambda _: pytest.fail("Meta is asked"))

        assert (found, world.sandbox.aws.requests) == ((report,), [])

    def test_a_dry_one_tells_nothing(self, world: World, adset: str) -> None:
        """It has changed nothing."""
        edited(world, adset, "FL")
        world.time.next_day()
        Workflow(world).run({**OPEN, "dry_run": True, "scheduled": "2026-05-05T10:30:00Z"})

        assert "Changed by somebody else" not in mail(world)
        assert VETERANS


@pytest.mark.parametrize(("spare", "points", "is_read"), [(0, 0, True), (-0.5, 0, False), (60, 1, False)])
def test_it_is_only_looked_for_with_time_and_quota_to_spare(
    world: World, monkeypatch: pytest.MonkeyPatch, spare: float, points: float, *, is_read: bool
) -> None:
    """To the last second: what was changed has to be reported, whoever else has changed it."""
    api = world.api()
    monkeypatch.setattr(type(api.quota), "seconds_until", lambda *_: points)
    world.time.deadline = world.time.seconds() + drift.SPARED_SECONDS + spare
    found = UnattributedDrift("501", Drift(), START, None, ())

    assert drift._read_log(api, [found]) == ([] if is_read else (), "")
    assert [call.kind for call in world.meta.operations] == ["activities"] * is_read


def test_a_recheck_does_not_know_the_run_whose_change_was_superseded() -> None:
    """Any other run means its own change."""
    superseded = AdSetResult("501", "Broad", Result.SUPERSEDED)

    assert drift._key(superseded, "today", Action.SYNC) == ("501", "today")
    assert drift._key(superseded, "today", Action.RECHECK) == ("501", None)


@pytest.mark.parametrize(
    ("result", "action", "added", "is_looked_for"),
    [
        pytest.param(Result.UPDATED, Action.SYNC, ("FL",), True, id="updated"),
        pytest.param(Result.HELD, Action.SYNC, ("FL",), False, id="not begun"),
        pytest.param(Result.FAILED, Action.SYNC, (), False, id="no change was planned"),
        pytest.param(Result.UPDATED, Action.UNDO, ("FL",), False, id="undone"),
        pytest.param(Result.REVERTED, Action.RECHECK, ("FL",), False, id="put back by a recheck"),
    ],
)
def test_drift_is_looked_for_where_a_sync_has_begun_a_change(
    result: Result, action: Action, added: tuple[str, ...], *, is_looked_for: bool
) -> None:
    """Only there it has met states that it was to replace."""
    outcome = AdSetResult("501", "Broad", result, added=added)

    assert drift._key(outcome, "today", action) == (("501", "today") if is_looked_for else None)


def test_of_an_earlier_change_drift_is_looked_for_once_it_is_at_its_end() -> None:
    """The run that died has reported nothing."""
    ended = Recovery("earlier", "501", "Broad", ChangeState.WRITTEN, ChangeState.VERIFIED)

    assert drift._key(ended, "today", Action.SYNC) == ("501", "earlier")
    assert drift._key(replace(ended, state=ChangeState.ROLLING_BACK), "today", Action.SYNC) is None


BEFORE = AdSetSnapshot("501", "Broad", "900", "ACTIVE", {})
SUPERSEDED = Change("veterans", "today", Action.SYNC, BEFORE, {}, ChangeState.SUPERSEDED, START, START)


def traces(
    changes: Iterable[Change], *adsets: AdSetResult, run_id: str = "today", **more: Any
) -> set[tuple[str, str | None]]:
    """Return of what drift is found, if the ledger has these changes, from the newest to the oldest."""

    class Changes:
        def newest_changes(self, *_: Any) -> Iterable[Change]:
            return changes

    report = SyncReport("veterans", "Veterans", dry_run=False, adsets=adsets, **more)
    return set(drift._traces(cast("Ledger", Changes()), run_id, Action.SYNC, report))


def test_more_of_an_ad_sets_changes_may_come_than_are_needed() -> None:
    """While those of another one are still missing."""
    other = replace(SUPERSEDED, before=replace(BEFORE, id="502"))
    results = (AdSetResult(adset_id, "Broad", Result.SUPERSEDED) for adset_id in ("501", "502"))

    found = traces([SUPERSEDED, replace(SUPERSEDED, run_id="earlier"), other], *results)

    assert found == {("501", "today"), ("502", "today")}


def test_of_one_ad_set_the_changes_of_two_runs_may_be_looked_for() -> None:
    """Of this one, and of one that died and whose change this one has brought to its end."""
    earlier = Recovery("earlier", "501", "Broad", ChangeState.WRITTEN, ChangeState.SUPERSEDED)

    found = traces(
        [SUPERSEDED, replace(SUPERSEDED, run_id="earlier")],
        AdSetResult("501", "Broad", Result.SUPERSEDED),
        recovered=(earlier,),
    )

    assert found == {("501", "today"), ("501", "earlier")}


def test_a_run_that_was_opened_before_may_have_changed_it_after() -> None:
    """A shared run waited for another one: its change is the last, and nobody else has set what it left."""

    def change(run_id: str, before: str, after: str, hours: float) -> Change:
        of, to = ({"geo_locations": {"regions": [{"key": KEY_BY_STATE[state]}]}} for state in (before, after))
        adset, at = replace(BEFORE, targeting=of), START - timedelta(hours=hours)
        return Change("veterans", run_id, Action.SYNC, adset, to, ChangeState.VERIFIED, at, at)

    own = change("20260504T103000Z-b", "OH", "FL", 0)
    undo, last = change("20260503T103040Z-u", "OH", "TX", 24), change("20260503T103000Z-a", "TX", "OH", 23.9)
    older = change("20260501T103000Z-o", "GA", "TX", 72)
    updated = AdSetResult("501", "Broad", Result.UPDATED, added=("FL",))

    assert traces([own, undo, last, older], updated, run_id=own.run_id) == set()
    assert traces([own, undo, older], updated, run_id=own.run_id) == {("501", own.run_id)}


def test_no_more_changes_are_asked_for_than_are_needed() -> None:
    """The ledger hands them out page by page."""

    def changes() -> Iterator[Change]:
        yield replace(SUPERSEDED, state=ChangeState.VERIFIED)
        yield replace(SUPERSEDED, state=ChangeState.VERIFIED, run_id="earlier", prepared_at=START - timedelta(days=1))
        pytest.fail("asked for more")

    assert traces(changes(), AdSetResult("501", "Broad", Result.UPDATED, added=("FL",))) == set()
