"""A recheck that fails every half hour: it is mailed when it begins, when its reason changes, and once a day."""

from datetime import timedelta
from unittest.mock import patch

import pytest

from closrads import config
from closrads.domain.changes import ChangeState, LastRecheck, ReportedFailures
from closrads.domain.results import MailOutcome
from sandbox.meta import faults
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, entries, later, ledger, left_behind, result_of
from tests.world import LIVE, START, World

HALF_AN_HOUR = 1800.0


def half_hourly(world: World, times: int) -> list[int]:
    """Run the scheduled recheck so many times, and return which of them sent a mail, the first one being 0."""
    sent = []
    for number in range(times):
        later(world, HALF_AN_HOUR)
        result = result_of(world, {**RECHECK, "scheduled": f"{world.time.clock.now():%Y-%m-%dT%H:%M:%SZ}"})
        if result["mail"] == "sent":
            sent.append(number)
    return sent


def updated(world: World) -> str:
    """Update an ad set, so that rechecks look at it for a day, and return its id."""
    world.campaign("FL")
    adset = world.adset()
    world.run(LIVE)
    world.sandbox.aws.mails.clear()
    return adset


def memory(world: World) -> ReportedFailures | None:
    """Return which failures the ledger says that a report has named."""
    last = ledger(world).last_recheck("veterans")
    return last.reported if last else None


class TestAFailureThatLasts:
    """One mail a day instead of 48; the invocation fails each time, as the alarms expect."""

    def test_a_dead_token(self, world: World) -> None:
        """The mail says so when it begins, and on the next day; then nothing is left to look at."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)

        assert half_hourly(world, 60) == [0, 48]
        first, second = world.sandbox.aws.mails
        assert "The session has expired" in first.text
        assert first.subject == "✗ second look: Veterans failed · Mon 4 May"
        assert second.subject == "✗ second look: Veterans failed · Tue 5 May"
        assert not any(item.get("success") for item in entries(world, "", pk="RUN")[1:])

    def test_a_change_that_cannot_be_looked_up(self, world: World) -> None:
        """An earlier run has left it open, and nothing else is looked at, so each recheck is complete."""
        world.campaign("FL")
        left_behind(world, world.adset(), ChangeState.WRITTEN)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)

        assert half_hourly(world, 50) == [0, 48]

    def test_no_quota(self, world: World) -> None:
        """What could not be looked at for that is named once, and again the next day."""
        updated(world)
        world.meta.fail(faults.throttled_use_case(minutes=6_000), on="any", times=None)

        assert half_hourly(world, 49) == [0, 48]

    @pytest.mark.parametrize("action", ["recheck", "push"])
    def test_whoever_has_asked_for_it(self, world: World, action: str) -> None:
        """A person, or a notice of Meta: whatever was mailed is known."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        half_hourly(world, 1)
        event = {**RECHECK, "reason": "push", "campaigns": ["veterans"]} if action == "push" else RECHECK

        assert result_of(world, event)["mail"] == "not_asked"

    def test_in_the_workflow(self, world: World) -> None:
        """The same, for the report of all campaigns."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        sent = []
        for _ in range(3):
            later(world, HALF_AN_HOUR)
            workflow = Workflow(world)
            workflow.run(OPEN | {"action": "recheck"})
            sent.append(len(world.sandbox.aws.mails))

        assert sent == [1, 1, 1]


class TestNews:
    """What is mailed all the same."""

    def test_another_reason(self, world: World) -> None:
        """Once; a reason that was mailed in the last day is known, also if the two take turns."""
        updated(world)
        sent = []
        for reason in (faults.TOKEN_EXPIRED, faults.SERVICE_UNAVAILABLE) * 2:
            fault = world.meta.fail(reason, on="any", times=None)
            sent.append(half_hourly(world, 2))
            fault.end()

        assert sent == [[0], [0], [], []]

    def test_the_next_failure_after_one_that_went_well(self, world: World) -> None:
        """What was mailed before is forgotten."""
        updated(world)
        fault = world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        assert half_hourly(world, 2) == [0]
        assert memory(world)
        fault.end()
        assert half_hourly(world, 2) == []
        assert memory(world) is None
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)

        assert half_hourly(world, 2) == [0]

    def test_one_more_ad_set(self, world: World) -> None:
        """Two that cannot be read are not one."""
        adset = updated(world)
        other = world.adset("Other")
        later(world, HALF_AN_HOUR)
        world.run(LIVE)
        world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: adset in operation.path, times=None)
        assert half_hourly(world, 2) == [0]
        world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: other in operation.path, times=None)

        assert half_hourly(world, 2) == [0]

    def test_ads_that_broke(self, world: World) -> None:
        """It comes in the same mail as what has been failing for hours."""
        adset = updated(world)
        other = world.adset("Other")
        later(world, HALF_AN_HOUR)
        world.run(LIVE)
        world.sandbox.aws.mails.clear()
        world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: adset in operation.path, times=None)
        assert half_hourly(world, 2) == [0]
        world.meta.meta_breaks(world.meta.ads_of(other)[0].id)

        assert half_hourly(world, 2) == [0]
        text = world.sandbox.aws.mails[-1].text
        assert adset in text
        assert other in text

    def test_a_mail_that_was_refused_has_told_nobody(self, world: World) -> None:
        """So the next one tries again."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        with patch("handler.notify", return_value=(MailOutcome.FAILED, [])):
            half_hourly(world, 1)
        assert memory(world) is None

        assert half_hourly(world, 2) == [0]

    def test_without_a_memory(self, world: World) -> None:
        """If the ledger cannot be read, nobody knows what was mailed."""
        updated(world)
        world.sandbox.aws.fail("dynamodb", "GetItem", "InternalServerError", 500, times=None)

        assert half_hourly(world, 3) == [0, 1, 2]

    def test_an_item_that_makes_no_sense(self, world: World) -> None:
        """Nobody knows what was mailed."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        with patch("closrads.run_end.is_recheck_due", side_effect=ValueError):
            assert half_hourly(world, 2) == [0, 1]

    def test_without_an_address_the_log_has_it_once(self, world: World) -> None:
        """A report that goes to the log has been given."""
        updated(world)
        world.sandbox.aws.delete_parameters("email/sender", "email/recipients")
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        said = []
        for _ in range(2):
            later(world, HALF_AN_HOUR)
            said.append(result_of(world, RECHECK)["mail"])

        assert said == ["not_configured", "not_asked"]


class TestTheMemory:
    """What the ledger holds of it."""

    def test_the_last_complete_recheck_stays(self, world: World) -> None:
        """The next rechecks look back to it."""
        updated(world)
        half_hourly(world, 1)
        before = ledger(world).last_recheck("veterans")
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        half_hourly(world, 1)
        after = ledger(world).last_recheck("veterans")

        assert before
        assert after
        assert (after.at, after.token_ends, before.reported) == (before.at, before.token_ends, None)
        assert after.reported
        assert after.reported.at == world.time.clock.now()
        assert len(after.reported.failures) == 1

    def test_without_one_it_is_as_if_there_was_none(self, world: World) -> None:
        """An older version, which expects a time there, reads the item as well."""
        updated(world)
        world.meta.fail(faults.TOKEN_EXPIRED, on="any", times=None)
        half_hourly(world, 1)
        last = ledger(world).last_recheck("veterans")

        assert last
        assert last.at == world.time.clock.now() - timedelta(days=3)

    def test_an_older_item_has_none(self, world: World) -> None:
        """It was written by a version that mailed each failure."""
        ledger(world).record_recheck("veterans", LastRecheck(START))
        (item,) = entries(world, "RECHECKED")

        assert item.keys() == {"pk", "sk", "at", "expires_at"}
        assert memory(world) is None


class TestARunThatIsNotToMail:
    """`notify: false`: what it has found is news to everybody, so the next scheduled recheck tells of it."""

    QUIET = RECHECK | {"notify": False}

    def test_an_unexplained_pause(self, world: World) -> None:
        """Without a row in the activity log, nobody knows who paused the ad."""
        adset = updated(world)
        world.meta.accounts["act_111"].activities.missing = lambda _: True
        later(world, HALF_AN_HOUR)
        world.meta.person_pauses(world.meta.ads_of(adset)[0].id)

        assert result_of(world, self.QUIET)["mail"] == "not_asked"

        assert half_hourly(world, 3) == [0]
        assert "Broad" in world.sandbox.aws.mails[0].text

    def test_a_failed_rollback(self, world: World) -> None:
        """The ads stay broken, and Meta refuses every write."""
        adset = updated(world)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        world.meta.fail(faults.PERMISSION_MISSING, on="POST", times=None)

        result_of(world, self.QUIET)

        assert half_hourly(world, 1) == [0]
        assert "NOT RESTORED" in world.sandbox.aws.mails[0].subject

    def test_ads_that_break_again(self, world: World) -> None:
        """After a rollback that had ended well, Meta has rejected the ads."""
        adset = updated(world)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        result_of(world, RECHECK)
        world.sandbox.aws.mails.clear()
        for ad in world.meta.ads_of(adset):
            ad.effective_status = "DISAPPROVED"

        result_of(world, self.QUIET)

        assert half_hourly(world, 2) == [0]
