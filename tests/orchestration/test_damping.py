"""Damping from the demand to the report: a state waits until it has been wanted, or unwanted, for long enough."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer

from closrads import config
from sandbox.aws import LEDGER_TABLE
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import UNDO, entries, later, one_adset, only_reads, result_of
from tests.test_sync import failed, last_report, results
from tests.world import LIVE, World

DAY = 86_400.0
TWO: dict[str, Any] = {"limits/add_after_days": "2", "limits/remove_after_days": "2"}


def want(world: World, states: str | dict[str, Any]) -> None:
    """Let CLOSRTECH want other states."""
    wanted = dict.fromkeys(states.split(), 5) if isinstance(states, str) else states
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = wanted


def day(world: World, states: str = "", **event: Any) -> dict[str, Any]:
    """Run a day's sync, of a day on which these states are wanted, and go on to the next day."""
    if states:
        want(world, states)
    result = result_of(world, LIVE | event)
    later(world, DAY)
    return result


def after(world: World, *days: str, start: str = "TX", limits: dict[str, Any] | None = None) -> list[str]:
    """Return what an ad set that begins with some states targets at the end of each day."""
    world.put(TWO if limits is None else limits)
    world.campaign(days[0])
    adset = world.adset("Broad", start)
    targeted = []
    for states in days:
        day(world, states)
        targeted.append(" ".join(sorted(world.meta.states(adset))))
    return targeted


def waiting(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return which states wait, with their sign, since when and until when."""
    (campaign,) = result["campaigns"]
    return {
        f"{'+' if each['is_wanted'] else '-'}{each['state']}": (each["since"][5:], each["due"][5:])
        for each in campaign["waiting"]
    }


class TestWaiting:
    """When a state is added, and when it is removed."""

    def test_a_state_comes_after_so_many_days_and_goes_after_so_many(self, world: World) -> None:
        """Wanted on 4 and 5 May, Ohio is added on the 6th, and Texas is removed with it."""
        assert after(world, "FL OH", "FL OH", "FL OH", start="FL TX") == ["FL TX", "FL TX", "FL OH"]

    def test_a_feed_that_flaps_changes_nothing(self, world: World) -> None:
        """Neither the state that comes and goes, nor the one that goes and comes back."""
        assert after(world, "FL OH", "FL TX", "FL OH", "FL TX", start="FL TX") == ["FL TX"] * 4
        assert world.written_adsets() == []

    def test_it_may_be_removed_at_once_and_added_later(self, world: World) -> None:
        """Money is not spent in a state without demand, and learning does not begin anew for one day's."""
        limits = {"limits/add_after_days": "1"}

        assert after(world, "FL OH", "FL OH", start="FL TX", limits=limits) == ["FL", "FL OH"]

    def test_no_ad_set_is_left_without_any_state(self, world: World) -> None:
        """All that it targets would go today, and what takes its place waits: it stays as it is until then."""
        limits = {"limits/add_after_days": "1"}

        assert after(world, "FL", "FL", start="TX", limits=limits) == ["TX", "FL"]

    def test_another_ad_set_has_the_same_days(self, world: World) -> None:
        """One that comes later, or could not be changed for some days, does not begin to count."""
        after(world, "FL", "FL", "FL", start="FL")
        late = world.adset("Late", "GA OH")

        day(world)

        assert world.meta.states(late) == {"FL"}

    def test_a_campaign_may_do_without(self, world: World) -> None:
        """Although all others wait."""
        world.put({"campaigns/veterans/limits/add_after_days": "0", "campaigns/veterans/limits/remove_after_days": "0"})

        assert after(world, "FL") == ["FL"]

    def test_what_is_there_at_the_write_decides(self, world: World) -> None:
        """A state that a person has added after the plan was made, and that waits, stays."""
        world.put({"limits/remove_after_days": "2"})
        world.campaign("OH")
        adset = world.adset("Broad", "TX")

        def add(_: str) -> None:
            if any(request.path.endswith("/adsets") for request in world.meta.requests):
                world.meta.on_exchange = None
                world.meta.person_edits_targeting(adset, states="TX UT", published=True)
                world.time.pass_by(6)

        world.meta.on_exchange = add
        world.run(LIVE)

        assert world.meta.states(adset) == {"OH", "TX", "UT"}

    def test_only_what_is_really_removed_can_be_implausible(self, world: World) -> None:
        """A feed that has lost nearly everything is refused on the day when that would be removed."""
        world.put({"limits/remove_after_days": "1"})
        world.campaign("FL")
        adset = world.adset("Broad", "AL AK AZ AR CA CO CT DE FL GA HI")

        assert day(world)["success"]
        assert "10 of the 11 states" in failed(world)
        assert len(world.meta.states(adset)) == 11


class TestDays:
    """What counts as a day."""

    def test_a_dry_run_says_what_a_live_run_of_its_day_does(self, world: World) -> None:
        """Before and after it; as a dry run counts no day itself, it says on which condition."""
        world.put(TWO)
        world.campaign("FL OH")
        world.adset("Broad", "FL TX")
        said = []
        for event in ({}, LIVE, {}):
            said.append(waiting(result_of(world, event)))
            condition = "since 4 May, with a live run every day from today on"
            assert (condition in last_report(world)) == (not event)
            verb = "will" if event else "would"
            assert f"{verb} add Ohio on 6 May if it stays wanted, as it has been since 4 May" in last_report(world)

        assert said == [{"+OH": ("05-04", "05-06"), "-TX": ("05-04", "05-06")}] * 3
        later(world, 2 * DAY)
        assert waiting(result_of(world, {})) == {"+OH": ("05-04", "05-07"), "-TX": ("05-04", "05-07")}

    def test_a_second_sync_of_the_day_does_not_count(self, world: World) -> None:
        """By hand or by the schedule, all that matters is the day."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL")
        adset = world.adset("Broad", "FL TX")
        want(world, "FL OH TX")

        for _ in range(3):
            world.run(LIVE)
        assert world.meta.states(adset) == {"FL", "TX"}
        later(world, DAY)
        world.run(LIVE)

        assert world.meta.states(adset) == {"FL", "OH", "TX"}

    def test_a_day_is_one_of_the_time_zone(self, world: World) -> None:
        """It is 10:30 in London and 06:30 in New York: twelve hours later a day has begun in only one of them."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL")

        world.run(LIVE)
        later(world, DAY / 2)
        world.run(LIVE)
        assert world.meta.states(adset) == {"FL"}
        later(world, DAY / 4)
        world.run(LIVE)

        assert world.meta.states(adset) == {"FL", "OH"}

    def test_a_missed_day_does_not_count_and_ends_nothing(self, world: World) -> None:
        """The feed fails on the second day, and nothing runs on the third."""
        world.put(TWO)
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL")
        day(world)
        want(world, {})
        assert not day(world)["success"]
        later(world, DAY)

        assert waiting(day(world, "FL OH")) == {"+OH": ("05-04", "05-08")}
        day(world)

        assert world.meta.states(adset) == {"FL", "OH"}

    def test_looking_does_not_count(self, world: World) -> None:
        """A dry run tells what waits, as the next live run would, and writes nothing down."""
        world.put(TWO)
        world.campaign("FL OH")
        world.adset("Broad", "FL")
        day(world)

        with only_reads(world):
            looks = [world.run({"dry_run": True}) for _ in range(3)]

        assert [waiting(look) for look in looks] == [{"+OH": ("05-04", "05-06")}] * 3
        assert waiting(day(world)) == {"+OH": ("05-04", "05-06")}
        assert "will add Ohio on 6 May if it stays wanted, as it has been since 4 May" in last_report(world)

    def test_a_run_that_dies_has_counted_its_day(self, world: World) -> None:
        """What was found wanted stands in the ledger before anything is changed."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL TX")

        def die(_: str) -> None:
            if world.meta.writes:
                raise KeyboardInterrupt

        world.meta.on_exchange = die
        with pytest.raises(KeyboardInterrupt):
            world.run(LIVE)
        world.meta.on_exchange = None
        later(world, DAY)
        world.run(LIVE)

        assert world.meta.states(adset) == {"FL", "OH"}

    def test_a_day_that_could_not_be_written_down_does_not_count(self, world: World) -> None:
        """The campaign runs all the same, and the state waits for a day more."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL TX")
        world.sandbox.aws.fail("dynamodb", "PutItem", "AccessDeniedException", skip=1)

        assert day(world)["success"]
        assert world.meta.states(adset) == {"FL"}
        day(world)
        assert world.meta.states(adset) == {"FL"}
        day(world)

        assert world.meta.states(adset) == {"FL", "OH"}

    def test_a_name_that_cannot_be_read_ends_no_streak(self, world: World) -> None:
        """It may mean the state that is missing; what is named counts."""
        days = ("FL OH", "FL Ohoi", "FL OH", "FL OH")

        assert after(world, *days, start="FL") == ["FL", "FL", "FL", "FL OH"]

    def test_a_run_past_midnight_is_of_the_day_on_which_it_started(self, world: World) -> None:
        """The second run of a day is none of the next day because Meta was slow."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL")
        later(world, 17.45 * 3600)  # 23:57 in New York
        result_of(world, LIVE)
        world.meta.on_request = lambda _: world.time.pass_by(100)

        assert waiting(result_of(world, LIVE)) == {"+OH": ("05-04", "05-05")}
        assert world.time.clock.now() > datetime(2026, 5, 5, 4, tzinfo=UTC)
        assert world.meta.states(adset) == {"FL"}

    def test_the_steps_of_a_shared_run_are_one_day(self, world: World) -> None:
        """A campaign that is gone on with after midnight has asked for its demand once."""
        world.put({"limits/add_after_days": "1"})
        world.campaign("FL OH TX")
        world.meta.add_account("act_111", "limited")
        adsets = [world.adset(f"Broad {number}", "FL UT", ads=1) for number in range(12)]
        later(world, 17.45 * 3600)  # 23:57 in New York
        event = OPEN | {"scheduled": "2026-05-05T03:57:00Z"}
        want(world, "FL OH")

        workflow = Workflow(world)
        workflow.run(event)

        assert sum(workflow.waits) > 180
        assert {frozenset(world.meta.states(adset)) for adset in adsets} == {frozenset({"FL"})}
        (item,) = entries(world, "MEMORY#demand")
        assert item["day"] == "2026-05-04"


class TestForce:
    """A run may lift what lets a state wait."""

    def test_a_lifted_limit_lets_no_state_wait(self, world: World) -> None:
        """Added now and kept; what is to be removed waits on."""
        world.put(TWO)
        world.campaign("FL OH")
        adset = world.adset("Broad", "FL TX")

        forced = day(world, force=["add_after_days"])
        assert world.meta.states(adset) == {"FL", "OH", "TX"}
        assert "Limits lifted for this run: states are added that would have to wait" in last_report(world)
        assert waiting(forced) == {"-TX": ("05-04", "05-06")}
        day(world)
        day(world)

        assert world.meta.states(adset) == {"FL", "OH"}

    def test_a_run_that_is_refused_lifts_nothing(self, world: World) -> None:
        """Whoever lifts one limit, and is stopped by another, has lifted it for no later run."""
        ten = "AL AK AZ AR CA CO CT DE GA HI"
        world.put({"limits/add_after_days": "2"})
        world.campaign(ten)
        adset = world.adset("Broad", ten)
        day(world)
        want(world, "FL GA")
        assert "9 of the 10 states" in failed(world, LIVE | {"force": ["add_after_days"]})
        later(world, DAY)

        assert waiting(day(world, f"{ten} FL")) == {"+FL": ("05-05", "05-07")}
        assert world.meta.states(adset) == set(ten.split())

    def test_what_may_not_be_removed_waits_on(self, world: World) -> None:
        """With an entry that may mean any state nothing is removed, so what was lifted for it is lifted for nothing."""
        world.put({"limits/remove_after_days": "3"})
        world.campaign("FL Ohoi")
        adset = world.adset("Broad", "FL TX")

        assert waiting(day(world, force=["remove_after_days"])) == {"-TX": ("05-04", "05-08")}
        assert waiting(day(world, "FL")) == {"-TX": ("05-04", "05-08")}

        assert world.meta.states(adset) == {"FL", "TX"}

    def test_an_undo_is_followed_by_the_demand_at_once(self, world: World) -> None:
        """What has waited long enough need not wait again."""
        after(world, "FL", "FL", "FL", start="TX")
        (adset,) = world.meta.adsets
        result_of(world, UNDO)
        assert world.meta.states(adset) == {"TX"}

        day(world)

        assert world.meta.states(adset) == {"FL"}


class TestLedger:
    """What is written down, and what of it is of no use."""

    def test_without_damping_there_is_nothing(self, world: World) -> None:
        """Not even after a change."""
        after(world, "FL", "OH", limits={})

        assert entries(world, "MEMORY#demand") == []

    def test_a_day_with_nothing_waiting_costs_nothing(self, world: World) -> None:
        """One write on a day on which a count goes on, and none on the others; it is read with what is read anyway."""
        after(world, "FL", "FL", "FL", start="FL")
        reads, writes = [], []
        for states in ("FL", "FL OH"):
            world.sandbox.aws.requests.clear()
            day(world, states)
            calls = [call.operation for call in world.sandbox.aws.requests if call.service == "dynamodb"]
            reads.append(sum(call in {"GetItem", "Query"} for call in calls))
            writes.append(calls.count("PutItem"))

        assert reads == [4, 4]
        assert writes == [1, 2]

    def test_once_it_is_off_what_was_counted_is_forgotten(self, world: World) -> None:
        """Nobody keeps it up, so it would be wrong when damping is on again; a dry run leaves it."""
        after(world, "FL", start="OH")
        world.put({"limits/add_after_days": "0", "limits/remove_after_days": "0"})
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
        with only_reads(world):
            world.run({"dry_run": True})
        assert len(entries(world, "MEMORY#demand")) == 1

        assert not day(world)["campaigns"][0]["counts_anew"]

        assert entries(world, "MEMORY#demand") == []

    @pytest.mark.parametrize(
        "broken",
        [
            {"format": 2},
            {"format": None},
            {"demand": b"no zlib"},
            {"demand": "text"},
            {"day": "2026-99-01"},
            {"day": "2036-05-04"},
            {"day": 7},
        ],
        ids=str,
    )
    def test_what_cannot_be_read_is_counted_anew(self, world: World, broken: dict[str, Any]) -> None:
        """It stops nothing: the states wait from today on, which is told once, and the ad sets stay as they are."""
        after(world, "FL OH", "FL OH", start="FL")
        (item,) = entries(world, "MEMORY#demand")
        serialize = TypeSerializer().serialize
        changed = {name: serialize(value) for name, value in (item | broken).items()}
        boto3.client("dynamodb").put_item(TableName=LEDGER_TABLE, Item=changed)
        (adset,) = world.meta.adsets

        result = day(world)

        assert result["success"]
        assert result["campaigns"][0]["counts_anew"]
        assert waiting(result) == {"+OH": ("05-06", "05-08")}
        assert "has started counting again for how long each state has been wanted" in last_report(world)
        assert not day(world)["campaigns"][0]["counts_anew"]
        day(world)
        assert world.meta.states(adset) == {"FL", "OH"}


class TestTold:
    """What the report says."""

    def test_a_day_on_which_all_waits_is_quiet(self, world: World) -> None:
        """Nobody has to do anything, and what runs now is told as it is."""
        world.put(TWO)
        world.campaign("FL OH")
        world.adset("Broad", "FL TX")

        result = day(world)
        mail = world.sandbox.aws.mails[-1]

        assert result["success"]
        assert results(result) == {"Broad": "unchanged"}
        assert (one_adset(result)["missing"], one_adset(result)["extra"]) == (["OH"], ["TX"])
        assert mail.subject.startswith("✓ nothing to change")
        assert "Nothing to do: no states had to be changed." in mail.text
        assert "✓ Veterans: its ad set: no change; waiting: +OH −TX" in mail.text
        assert "Wanted today (2): FL, OH" in mail.text
        assert "Running now (2): FL, TX" in mail.text
        assert "will remove Texas on 6 May if it stays unwanted, as it has been since 4 May" in mail.text

    def test_a_change_beside_what_waits(self, world: World) -> None:
        """In a dry run nothing of it is running yet."""
        world.put({"limits/add_after_days": "2"})
        world.campaign("FL OH")
        world.adset("Broad", "FL TX")

        world.run({"dry_run": True})
        assert "Running now (2): FL, TX" in last_report(world)
        assert "Wanted, not running yet: OH" in last_report(world)
        assert "Running, not wanted: TX" in last_report(world)
        world.run(LIVE)

        assert "Running now (1): FL" in last_report(world)
        assert "its ad set: −TX; waiting: +OH" in last_report(world)


class TestMinDemand:
    """From how many leads on a state counts."""

    def test_a_state_with_too_few_leads_is_not_wanted(self, world: World) -> None:
        """It is removed where it is targeted, and told in a line."""
        world.put({"limits/min_demand": "5"})
        world.campaign({"FL": 5, "OH": 4, "TX": 1})
        adset = world.adset("Broad", "OH")

        result = world.run(LIVE)

        assert world.meta.states(adset) == {"FL"}
        assert result["campaigns"][0]["active_states"] == ["FL"]
        assert result["campaigns"][0]["below_min_demand"] == ["OH", "TX"]
        assert "Too few leads to count as wanted (2): OH, TX" in last_report(world)

    def test_with_too_few_everywhere_nothing_is_changed(self, world: World) -> None:
        """As with no demand at all."""
        world.put({"campaigns/veterans/limits/min_demand": "9"})
        world.campaign({"FL": 5, "OH": 4})
        adset = world.adset("Broad", "OH")

        assert "No state has the 9 leads that limits/min_demand asks for, only fewer (FL, OH)" in failed(world)
        assert world.meta.states(adset) == {"OH"}
        assert "TOO FEW LEADS IN EVERY STATE" in last_report(world)
