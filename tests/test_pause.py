"""Stop means stop: what is paused or switched off begins nothing new, and what was begun is brought to its end."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from closrads import config
from closrads.domain.changes import ChangeState
from closrads.domain.metrics import run_metrics
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import RunResult
from closrads.errors import ConfigError, EventError, PausedError
from sandbox.meta import faults
from tests.business import Business
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, UNDO, left_behind, result_of
from tests.world import LIVE, World

Parameters: TypeAlias = dict[str, str | Iterable[str]]
PAUSE: Parameters = {"paused": "true"}
OFF: Parameters = {"campaigns/veterans/enabled": "false"}
SWITCHES = pytest.mark.parametrize("switch", [PAUSE, OFF], ids=["paused", "off"])


def after_writes(world: World, number: int, do: Callable[[], None]) -> None:
    """Do something as soon as so many ad sets were written."""

    def look(_: str) -> None:
        if len(world.written_adsets()) >= number:
            world.meta.on_exchange = None
            do()

    world.meta.on_exchange = look


def amid_a_wait(world: World, monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Do something once, amid the first wait that is not the one before a verification."""
    sleep, is_done = world.time.sleep, False

    def look(seconds: float) -> None:
        nonlocal is_done
        if seconds != 3 and not is_done:
            is_done = True
            do()
        sleep(seconds)

    monkeypatch.setattr(world.time, "sleep", look)


def switch_reads(world: World) -> int:
    """Return how often the switches were read past the cache."""
    return sum(call.operation == "GetParameters" for call in world.sandbox.aws.requests)


def metrics(result: dict[str, Any]) -> dict[str, int]:
    """Return what CloudWatch is told of a run."""
    return run_metrics(RunResult.from_json(result), RunRequest(Action(result["action"]), dry_run=False))


def last_mail(world: World) -> Any:
    """Return the last mail."""
    return world.sandbox.aws.mails[-1]


class TestAmidARun:
    """Somebody stops it while it writes."""

    @SWITCHES
    def test_no_further_wave_begins(self, business: Business, switch: Parameters) -> None:
        """The canary is under way: it is brought to its end, and each other ad set is left, with the reason."""
        business.adsets("ABCDEFGHI")
        after_writes(business.world, 1, lambda: business.world.put(switch))

        came_to = business.run()

        assert came_to == {"updated": "A", "deferred": "B C D E F G H I"}
        assert business.written == "A"
        why = "CLOSRADS is paused" if switch is PAUSE else "the campaign is switched off"
        assert business.issues("B") == f"Not begun: {why}, since 2026-05-04 10:30 UTC"
        business.assert_nothing_half_done()

    def test_a_wave_under_way_is_brought_to_its_end_and_what_breaks_in_it_goes_back(self, business: Business) -> None:
        """Rollbacks are no new changes."""
        business.adsets("ABCDEFGHI", bad="C")
        after_writes(business.world, 2, lambda: business.world.put(PAUSE))

        assert business.run() == {"updated": "A B D E", "reverted": "C", "deferred": "F G H I"}
        business.assert_nothing_half_done()

    def test_not_even_the_first_ad_set_is_written(self, business: Business) -> None:
        """The settings of a warm container are up to five minutes old; the switch is not."""
        business.adsets("AB")
        business.run({})
        business.world.put(PAUSE)

        assert business.run() == {"deferred": "A B"}
        assert business.world.meta.writes == []

    @SWITCHES
    def test_it_is_neither_a_success_nor_a_failure(self, business: Business, switch: Parameters) -> None:
        """Nothing is raised, no alarm is calmed, and no tick is shown."""
        business.adsets("ABC")
        after_writes(business.world, 1, lambda: business.world.put(switch))
        business.run()

        counts = metrics(dict(business.result))
        assert "RunSucceeded" not in counts
        assert (counts["RunFailed"], counts["AdSetsUpdated"], business.result["success"]) == (0, 1, True)
        (mail,) = business.world.sandbox.aws.mails
        assert "✓" not in mail.subject
        paused, off = "CLOSRADS has been paused since 4 May: ", "Veterans has been off in CLOSRADS since 4 May"
        said = paused if switch is PAUSE else off
        assert said in mail.text
        assert "without issues" not in mail.text
        why = "was not finished, because CLOSRADS was paused by then" if switch is PAUSE else "was switched off during"
        assert f"* Veterans {why}" in mail.text
        assert "1 updated, 2 not started" in mail.subject
        assert "next run" not in mail.subject
        assert "The next run takes these first." not in mail.text

    def test_one_campaign_that_is_switched_off_does_not_spoil_the_day_of_the_others(self, business: Business) -> None:
        """They followed the demand."""
        world = business.world
        business.adsets("ABC")
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",), account="act_222")
        world.adset("Truck", "CA", campaign="120200000000000905")
        after_writes(world, 1, lambda: world.put(OFF))

        business.run()

        assert metrics(dict(business.result))["RunSucceeded"] == 1
        assert business.result["switched_off"] == [
            {"campaign": "veterans", "campaign_name": "Veterans", "since": "2026-05-04T10:30:00+00:00"}
        ]

    def test_the_next_run_after_it_goes_on(self, business: Business) -> None:
        """What was left comes first."""
        business.adsets("ABC")
        after_writes(business.world, 1, lambda: business.world.put(PAUSE))
        business.run()
        business.world.put({"paused": "false"})
        business.world.time.next_day()

        assert business.run() == {"unchanged": "A", "updated": "B C"}

    def test_an_undo_begins_nothing_more(self, business: Business) -> None:
        """It is stopped as any other run is."""
        business.adsets("ABC")
        business.run()
        after_writes(business.world, 1, lambda: business.world.put(PAUSE))
        business.world.meta.requests.clear()

        assert business.run(UNDO) == {"updated": "A", "deferred": "B C"}

    def test_each_wave_costs_one_read(self, business: Business) -> None:
        """And a quiet day none."""
        business.adsets("ABCDEFGHI")
        business.run()
        assert switch_reads(business.world) == len(["A", "B-E", "F-I"])

        business.run()
        assert switch_reads(business.world) == len(["A", "B-E", "F-I"])


@SWITCHES
class TestAmidAWait:
    """Somebody stops it while it waits for Meta: what would begin after the wait does not, and nothing is written."""

    def test_the_canary_waits_for_quota(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, switch: Parameters
    ) -> None:
        """Another program has used the account's points."""
        world = business.world
        world.meta.add_account("act_111", "limited")
        world.meta.spend("act_111", 50)
        business.adsets("AB")
        amid_a_wait(world, monkeypatch, lambda: world.put(switch))

        assert business.run() == {"deferred": "A B"}
        assert world.time.waits == [pytest.approx(300, abs=10)]
        assert world.meta.writes == []

    def test_a_wave_waits_for_quota(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, switch: Parameters
    ) -> None:
        """The ad sets before it stay updated."""
        world = business.world
        world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGHIJ")
        amid_a_wait(world, monkeypatch, lambda: world.put(switch))

        came_to = business.run()

        assert set(came_to) == {"updated", "deferred"}
        assert max(world.time.waits) > 200
        assert business.written == came_to["updated"]
        business.assert_nothing_half_done()

    @pytest.mark.parametrize(
        ("reply", "on"),
        [(faults.throttled_account(120), "POST adset"), (faults.TRANSIENT, "GET adset")],
        ids=["its write is throttled", "its read fails"],
    )
    def test_the_canary_is_tried_again(
        self, business: Business, monkeypatch: pytest.MonkeyPatch, switch: Parameters, reply: Any, on: str
    ) -> None:
        """Meta has refused it for now."""
        world = business.world
        business.adsets("AB")
        if on == "GET adset":
            world.meta.fail(None, on="GET ads", after=6.0)  # what is read is too old before the write
        world.meta.fail(reply, on=on)
        amid_a_wait(world, monkeypatch, lambda: world.put(switch))

        assert business.run() == {"deferred": "A B"}
        assert [write.status for write in world.meta.writes if write.status == 200] == []
        business.assert_nothing_half_done()

    def test_some_writes_of_a_wave_wait_for_others(self, business: Business, switch: Parameters) -> None:
        """Ten go at once. Meta takes long for these, and the others would go half a minute after the last look."""
        world = business.world
        world.put({"limits/wave_size": "25"})
        business.adsets("ABCDEFGHIJKLM")
        world.meta.fail(None, on="POST adset", skip=1, times=10, after=25.0)
        after_writes(world, 2, lambda: world.put(switch))

        assert business.run() == {"updated": "A B C D E F G H I J K", "deferred": "L M"}
        assert business.written == "A B C D E F G H I J K"
        assert "Not begun" in business.issues("L")
        business.assert_nothing_half_done()

    def test_a_part_waits_outside_of_the_function(self, business: Business, switch: Parameters) -> None:
        """The workflow waits for quota, and comes again to a function whose settings are of before."""
        world = business.world
        world.meta.add_account("act_111", "limited")
        business.adsets("ABCDEFGH")
        workflow = Workflow(world)
        written: list[int] = []

        def stop(event: dict[str, Any]) -> None:
            if event["step"] == "part" and workflow.waits and not written:
                written.append(len(world.written_adsets()))
                world.put(switch)

        workflow.before_call = stop
        answer = workflow.run(OPEN)

        assert len(workflow.waits) == 1
        assert written == [len(world.written_adsets())]
        assert answer["adsets_deferred"] == 8 - answer["adsets_updated"] > 0
        business.assert_nothing_open()


class TestUnknown:
    """Looking is the default; writing is asked for."""

    @pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
    def test_a_switch_that_cannot_be_read_stops(self, business: Business, code: str) -> None:
        """What was begun is brought to its end, and the run says why it went no further, and fails."""
        business.adsets("ABC")
        business.world.sandbox.aws.fail("ssm", "GetParameters", code, skip=1, times=None)

        assert business.run() == {"updated": "A", "held": "B C"}
        assert "It could not be read whether CLOSRADS is paused" in business.errors
        assert "/closrads/sandbox/paused" in business.errors
        assert code in business.errors
        assert business.result["success"] is False
        business.assert_nothing_half_done()

    @pytest.mark.parametrize("name", ["paused", "campaigns/veterans/enabled"])
    def test_a_switch_that_is_neither_stops(self, business: Business, name: str) -> None:
        """The message names it."""
        business.adsets("ABC")
        after_writes(business.world, 1, lambda: business.world.put({name: "maybe"}))

        assert business.run() == {"updated": "A", "held": "B C"}
        assert f"/closrads/sandbox/{name}: must be true, 1, yes, false, 0 or no" in business.errors

    def test_at_the_start_it_is_a_mistake_like_any_other(self, business: Business) -> None:
        """With the full name, before anything is touched."""
        business.world.put({"paused": "perhaps"})

        with pytest.raises(ConfigError, match="/closrads/sandbox/paused: must be true, 1, yes, false, 0 or no"):
            business.run()


class TestPaused:
    """It was paused before the run."""

    def test_a_sync_only_ends_what_is_open(self, business: Business) -> None:
        """Neither the demand nor the ad sets are read; the mail says since when."""
        world = business.world
        business.adsets("A")
        world.put(PAUSE)
        left_behind(world, business.ids["A"], ChangeState.WRITTEN)
        world.time.next_day()

        result = result_of(world, LIVE)

        assert [change["state"] for change in result["recovered"]] == ["verified"]
        assert result["campaigns"][0]["adsets"] == []
        assert result["campaigns"][0]["switched_off"]["campaign"] == ""
        assert world.sandbox.closrtech.requests == []
        mail = last_mail(world)
        assert mail.subject.startswith("⚠ paused since 4 May; 1 finished for an earlier run")
        assert "CLOSRADS has been paused since 4 May: nothing new was begun." in mail.text
        assert "FINISHED FOR AN EARLIER RUN" in mail.text
        assert "RunSucceeded" not in metrics(result)

    def test_a_recheck_still_puts_back_what_breaks(self, business: Business) -> None:
        """And its mail says that all is paused."""
        world = business.world
        business.adsets("AB")
        business.run()
        world.put(PAUSE)
        for ad in world.meta.ads_of(business.ids["A"]):
            world.meta.meta_breaks(ad.id)
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

        assert business.run(RECHECK) == {"reverted": "A", "unchanged": "B"}
        assert "CLOSRADS has been paused since 4 May: no new changes are made" in last_mail(world).text
        assert "; paused since 4 May" in last_mail(world).subject

    def test_a_dry_run_looks_as_ever(self, business: Business) -> None:
        """It changes nothing anyhow."""
        business.adsets("A")
        business.world.put(PAUSE)

        assert business.run({}) == {"updated": "A"}
        mail = last_mail(business.world)
        assert mail.subject.startswith("[DRY RUN] ⚠ 1 would be updated; paused since 4 May")

    def test_an_undo_is_refused(self, business: Business) -> None:
        """A person asks for it, so it mends nothing that cannot wait; looking at it goes on."""
        business.adsets("A")
        business.run()
        business.world.put(PAUSE)

        assert business.run({**UNDO, "dry_run": True}) == {"updated": "A"}
        for event in (UNDO, {**UNDO, "step": "open", "run_id": business.result["run_id"]}):
            with pytest.raises(PausedError, match=r"paused since .*`paused`.*`python -m closrads resume`"):
                business.run(event)

    def test_it_is_over_at_once(self, business: Business) -> None:
        """A warm container does not remember that it was paused."""
        business.adsets("A")
        business.world.put(PAUSE)
        assert business.run() == {}
        business.world.put({"paused": "no"})

        assert business.run() == {"updated": "A"}

    def test_a_run_of_a_campaign_that_is_off_is_refused(self, business: Business) -> None:
        """As ever."""
        business.world.put(OFF)

        with pytest.raises(EventError, match="switched off by its parameter"):
            business.run({**LIVE, "campaigns": ["veterans"]})


class TestTold:
    """Every mail names what is off."""

    @pytest.mark.parametrize(
        ("days", "fact", "tone"),
        [(1, "off: Truckers, since 4 May", "grey"), (12, "off: Truckers, for 12 days", "orange")],
    )
    def test_a_campaign_that_is_off(self, business: Business, days: int, fact: str, tone: str) -> None:
        """The longer, the louder; never with a tick."""
        world = business.world
        business.adsets("A")
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",))
        world.put({"campaigns/truckers/enabled": "no"})
        world.time.pass_by(timedelta(days=days).total_seconds())
        world.time.next_day()
        world.time.pass_by(-86_400)

        business.run()

        mail = last_mail(world)
        assert mail.subject.startswith(f"⚠ 1 updated; {fact}")
        assert f"* Truckers has been off in CLOSRADS {fact.rpartition(', ')[2]}\n" in mail.text
        assert f'<td class="{tone}"' in mail.html

    def test_many_that_are_off(self, business: Business) -> None:
        """The first by name, and how many more."""
        world = business.world
        for number in range(5):
            slug = f"more-{number}"
            world.campaign("GA", slug=slug, meta_campaigns=(f"12020000000000070{number}",))
            world.put({f"campaigns/{slug}/enabled": "no"})
        business.adsets("A")

        business.run()

        assert "off: More 0, More 1 and 3 more" in last_mail(world).subject
        off = "* More 0, More 1, More 2, More 3, More 4 have been off in CLOSRADS since 4 May"
        assert off in last_mail(world).text

    def test_of_last_year(self, business: Business) -> None:
        """The day has its year."""
        business.adsets("A")
        business.world.put(PAUSE)
        business.world.time.pass_by(timedelta(days=300).total_seconds())
        business.world.time.next_day()

        business.run()

        assert "CLOSRADS has been paused since 4 May 2026: nothing new was begun" in last_mail(business.world).text

    def test_nothing_is_switched_on(self, business: Business) -> None:
        """It is neither a success nor a failure."""
        business.world.put(OFF)

        business.run()

        assert "RunSucceeded" not in metrics(dict(business.result))
        assert "off: Veterans, since 4 May" in last_mail(business.world).subject

    def test_a_campaign_without_an_active_ad_set(self, business: Business) -> None:
        """It follows nothing, so there is no tick."""
        business.world.adset(status="PAUSED")

        business.run()

        mail = last_mail(business.world)
        assert mail.subject.startswith("⚠")
        assert "NO ACTIVE AD SET" in mail.text
        assert "without issues" not in mail.text


class TestFleet:
    """A run of several invocations."""

    def test_each_part_ends_quickly_and_none_comes_again(self, business: Business) -> None:
        """One report says it for all."""
        world = business.world
        business.adsets("AB")
        world.put(PAUSE)
        workflow = Workflow(world)

        answer = workflow.run(OPEN)

        assert (answer["success"], answer["adsets_updated"], workflow.waits) == (True, 0, [])
        assert world.meta.requests == []
        assert "paused since 4 May" in last_mail(world).subject

    def test_a_part_is_stopped_amid_its_waves(self, business: Business) -> None:
        """What was deferred for that is not come again for; the report says it."""
        world = business.world
        business.adsets("ABC")
        workflow = Workflow(world)
        after_writes(world, 1, lambda: world.put(PAUSE))

        answer = workflow.run(OPEN)

        assert (answer["adsets_updated"], answer["adsets_deferred"], workflow.waits) == (1, 2, [])
        assert "paused since 4 May" in last_mail(world).subject

    def test_a_campaign_that_was_off_from_the_start_is_named(self, business: Business) -> None:
        """The close reads no campaign's parameters."""
        world = business.world
        business.adsets("A")
        world.campaign("GA", slug="truckers", meta_campaigns=("120200000000000905",))
        world.put({"campaigns/truckers/enabled": "no"})

        Workflow(world).run(OPEN)

        assert "off: Truckers, since 4 May" in last_mail(world).subject

    def test_resumed_before_anything_was_left(self, business: Business) -> None:
        """Then it is a run like any other."""
        world = business.world
        business.adsets("A")
        world.put(PAUSE)
        opened = world.run(OPEN)
        world.put({"paused": "false"})
        world.run({"step": "part", "run_id": opened["run_id"], "campaigns": ["veterans"]})

        assert world.run({"step": "close", "run_id": opened["run_id"]})["adsets_updated"] == 1
        assert last_mail(world).subject.startswith("✓ 1 updated")


def test_what_says_that_everything_is_paused_names_no_campaign() -> None:
    """A result of before has no switches."""
    old = {
        "run_id": "r", "action": "sync", "dry_run": False, "started_at": "2026-05-04T10:30:00Z", "duration_ms": 1,
        "campaigns": [],
    }  # fmt: skip
    assert RunResult.from_json(old).paused_since is None
    assert RunResult.from_json(old).action is Action.SYNC
