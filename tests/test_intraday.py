"""Scheduled every hour: one report a day, and in between a mail only if there is news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closrads import config
from closrads.domain.changes import ChangeState
from sandbox.meta import faults
from tests.business import Business
from tests.fleet_world import Workflow
from tests.ledger_world import RECHECK, later, left_behind, result_of
from tests.world import LIVE, START, World

SUMMARY = "CHANGED SINCE THE LAST DAILY REPORT"


def hourly(world: World, hour: float) -> dict[str, Any]:
    """Run the sync that is scheduled so many hours after half past six of the first day, New York time."""
    at = START + timedelta(hours=hour)
    later(world, max(at.timestamp() - world.time.seconds(), 0))
    return result_of(world, {**LIVE, "scheduled": at.isoformat()})


def mails(world: World) -> list[Any]:
    """Return the mails since the last look."""
    sent = list(world.sandbox.aws.mails)
    world.sandbox.aws.mails.clear()
    return sent


def looks_at_runs(world: World) -> int:
    """Return how often the ledger was asked for earlier runs."""
    values = (call.params.get("ExpressionAttributeValues", {}) for call in world.sandbox.aws.requests)
    return sum(value.get(":pk") == {"S": "RUN"} for value in values)


def as_wanted(business: Business, names: str) -> None:
    """Add ad sets that have their states already: nothing is written, so no second look concerns them."""
    for name in names:
        business.ids[name] = business.world.adset(name, "FL")


def break_an_ad(business: Business, name: str) -> None:
    """Have Meta break an ad of an ad set, visibly."""
    world = business.world
    world.meta.meta_breaks(world.meta.ads_of(business.ids[name])[0].id)


class TestADay:
    """From one daily report to the next."""

    def test_without_news_there_is_one_mail(self, business: Business) -> None:
        """The first run of the day in the schedule's time zone has it; every run counts as a success."""
        business.adsets("AB")
        results = [hourly(business.world, hour) for hour in range(18)]  # until half past eleven at night

        assert [result["mail"] for result in results] == ["sent", *["not_asked"] * 17]
        (mail,) = mails(business.world)
        assert mail.subject.startswith("✓ 2 updated")
        assert all(result["success"] for result in results)

    def test_the_next_day_begins_with_a_mail(self, business: Business) -> None:
        """At half past midnight in New York."""
        business.adsets("AB")
        hourly(business.world, 0)
        hourly(business.world, 17)
        mails(business.world)

        assert hourly(business.world, 18)["mail"] == "sent"
        (mail,) = mails(business.world)
        assert "Tue 5 May" in mail.subject
        assert SUMMARY not in mail.text

    def test_a_change_is_news(self, business: Business) -> None:
        """Demand has moved; the mail is as ever, and the daily report after it sums up."""
        business.adsets("AB")
        hourly(business.world, 0)
        business.want("FL GA")
        hourly(business.world, 2)
        hourly(business.world, 3)
        business.want("GA")
        hourly(business.world, 8)

        daily, first, second = mails(business.world)
        assert SUMMARY not in daily.text
        assert SUMMARY not in first.text + second.text
        assert first.subject.startswith("✓ 2 updated")
        hourly(business.world, 18)
        (mail,) = mails(business.world)
        assert mail.subject.startswith("✓ nothing to change")
        assert (
            f"{SUMMARY}\n* Veterans was changed twice: Mon 8:30 am, 2 ad sets updated (+GA); "
            "Mon 2:30 pm, 2 ad sets updated (−FL)"
        ) in mail.text
        assert "was changed twice: Mon 8:30 am" in mail.html
        hourly(business.world, 42)
        assert SUMMARY not in mails(business.world)[-1].text

    def test_the_same_trouble_every_hour_is_news_once(self, business: Business) -> None:
        """And again in the next daily report, or after it was gone for an hour."""
        as_wanted(business, "ABC")
        hourly(business.world, 0)
        break_an_ad(business, "A")
        said = [hourly(business.world, hour)["mail"] for hour in (1, 2, 3)]

        assert said == ["sent", "not_asked", "not_asked"]
        business.world.meta.person_repairs_ad(business.world.meta.ads_of(business.ids["A"])[0].id)
        assert hourly(business.world, 4)["mail"] == "not_asked"
        break_an_ad(business, "A")
        assert hourly(business.world, 5)["mail"] == "sent"
        assert hourly(business.world, 6)["mail"] == "not_asked"
        assert hourly(business.world, 18)["mail"] == "sent"

    def test_another_trouble_is_news(self, business: Business) -> None:
        """The mail names both."""
        as_wanted(business, "ABC")
        hourly(business.world, 0)
        break_an_ad(business, "A")
        hourly(business.world, 1)
        break_an_ad(business, "B")

        assert hourly(business.world, 2)["mail"] == "sent"
        mail = mails(business.world)[-1]
        assert "2 ads need you" in mail.subject

    def test_a_failure_is_news_once(self, business: Business) -> None:
        """Each of them rings the alarms; the numbers in a message do not make it another one."""
        business.adsets("AB")
        hourly(business.world, 0)
        business.world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 0, "GA": 0}
        said = [hourly(business.world, hour) for hour in (1, 2, 3)]

        assert [result["mail"] for result in said] == ["sent", "not_asked", "not_asked"]
        assert not any(result["success"] for result in said)

    def test_a_rollback_that_fails_every_hour_is_news_once_a_day(self, world: World) -> None:
        """Each run tries it again, for nothing is worse than that state; the mail tells of it with the daily report."""
        world.campaign("FL")
        adset = world.adset()
        left_behind(world, adset, ChangeState.ROLLBACK_FAILED)
        world.meta.meta_breaks(world.meta.ads_of(adset)[0].id)
        world.meta.fail(faults.MISSING_LEAD_FORM, on="POST ad", times=None)

        results = [hourly(world, hour) for hour in range(20)]

        assert [hour for hour, result in enumerate(results) if result["mail"] == "sent"] == [0, 18]
        assert {recovery["state"] for result in results for recovery in result["recovered"]} == {"rollback_failed"}
        assert all(mail.subject.startswith("✗ NOT RESTORED in Veterans") for mail in mails(world))

    def test_a_pause_is_news_once(self, business: Business) -> None:
        """Somebody may have forgotten it; the next daily report says it again."""
        business.adsets("A")
        hourly(business.world, 0)
        business.world.put({"paused": "true"})
        config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types

        assert [hourly(business.world, hour)["mail"] for hour in (1, 2)] == ["sent", "not_asked"]
        assert hourly(business.world, 18)["mail"] == "sent"

    def test_what_is_put_off_is_news_once(self, business: Business) -> None:
        """Its turn comes with the next run, or the one after."""
        business.world.put({"limits/max_adsets": "1"})
        business.adsets("A")
        hourly(business.world, 0)
        business.adsets("BCD")
        said = [hourly(business.world, hour)["mail"] for hour in (1, 2, 3, 4)]

        assert said == ["sent", "sent", "sent", "not_asked"]

    def test_a_second_look_mails_as_ever(self, business: Business) -> None:
        """Its news are no longer news for the next sync, which finds all well."""
        business.adsets("AB")
        hourly(business.world, 0)
        mails(business.world)
        break_an_ad(business, "A")
        result_of(business.world, RECHECK)
        (mail,) = mails(business.world)

        assert "put back" in mail.subject

    def test_a_campaign_without_an_active_ad_set_is_news_once(self, business: Business) -> None:
        """Somebody has switched off the last one."""
        business.adsets("A")
        hourly(business.world, 0)
        business.world.meta.adsets[business.ids["A"]].status = "PAUSED"

        assert [hourly(business.world, hour)["mail"] for hour in (1, 2)] == ["sent", "not_asked"]


class TestTheFirstOfADay:
    """It is the one whose report has left, whatever came before it."""

    def test_with_a_daily_schedule_every_run_mails(self, business: Business) -> None:
        """Quiet or not, and without a summary."""
        business.adsets("A")
        for day in range(3):
            assert hourly(business.world, 24 * day)["mail"] == "sent"

        assert not any(SUMMARY in mail.text for mail in mails(business.world))

    def test_a_run_by_hand_does_not_count(self, business: Business) -> None:
        """The daily report comes after it all the same."""
        business.adsets("A")
        assert result_of(business.world, LIVE)["mail"] == "sent"
        assert result_of(business.world, {**LIVE, "campaigns": ["veterans"]})["mail"] == "sent"

        assert hourly(business.world, 1)["mail"] == "sent"
        assert result_of(business.world, LIVE)["mail"] == "sent"

    def test_a_report_that_could_not_be_sent_does_not_count(self, business: Business) -> None:
        """The next run tells it all, and what was changed meanwhile."""
        business.adsets("A")
        business.world.sandbox.aws.fail("sesv2", "SendEmail", "AccountSuspendedException", 400, times=2)
        assert [hourly(business.world, hour)["mail"] for hour in (0, 1, 2)] == ["failed", "failed", "sent"]

        (mail,) = mails(business.world)
        assert "was changed once: Mon 6:30 am, 1 ad set updated (+FL −TX)" in mail.text
        assert hourly(business.world, 3)["mail"] == "not_asked"

    def test_a_change_whose_mail_could_not_be_sent_is_told_by_the_next_run(self, business: Business) -> None:
        """Although that one has no news of its own."""
        business.adsets("A")
        hourly(business.world, 0)
        business.want("FL GA")
        business.world.sandbox.aws.fail("sesv2", "SendEmail", "AccountSuspendedException", 400, times=1)
        mails(business.world)

        assert [hourly(business.world, hour)["mail"] for hour in (1, 2, 3)] == ["failed", "sent", "not_asked"]
        (mail,) = mails(business.world)
        assert "was changed once: Mon 7:30 am, 1 ad set updated (+GA)" in mail.text

    def test_a_failure_can_be_the_daily_report(self, business: Business) -> None:
        """What it says is not said again."""
        business.adsets("A")
        business.world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"FL": 0}

        assert [hourly(business.world, hour)["mail"] for hour in (0, 1)] == ["sent", "not_asked"]
        business.want("FL")
        assert hourly(business.world, 2)["mail"] == "sent"

    def test_without_an_address_the_log_gets_it(self, business: Business) -> None:
        """As often as a mail would be sent."""
        names = [f"/closrads/sandbox/email/{name}" for name in ("sender", "recipients")]
        business.world.sandbox.aws.client("ssm").delete_parameters(Names=names)
        business.adsets("A")

        assert [hourly(business.world, hour)["mail"] for hour in (0, 1)] == ["not_configured", "not_asked"]

    def test_nobody_wants_a_mail(self, business: Business) -> None:
        """Then the ledger is not asked either."""
        business.adsets("A")
        business.world.run({**LIVE, "scheduled": START.isoformat(), "notify": False})

        assert looks_at_runs(business.world) == 0


class TestTheLedger:
    """What is asked of it."""

    @pytest.mark.parametrize("code", ["InternalServerError", "AccessDeniedException"])
    def test_a_ledger_that_cannot_be_read_makes_a_mail(self, business: Business, code: str) -> None:
        """Rather one too many."""
        business.adsets("A")
        hourly(business.world, 0)
        reads = 3  # of the campaign, before it ends
        business.world.sandbox.aws.fail("dynamodb", "Query", code, 500, skip=reads, times=None)

        assert hourly(business.world, 1)["mail"] == "sent"

    def test_a_defect_makes_a_mail(self, business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ads may have been changed."""
        business.adsets("A")
        monkeypatch.setattr("closrads.run_end.plan_report", lambda *_: 1 / 0)

        assert hourly(business.world, 0)["mail"] == "sent"

    def test_without_time_it_is_not_read(self, business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
        """The mail has to leave, and to read a day of large runs may take longer than what is left."""
        business.adsets("A")
        hourly(business.world, 0)
        monkeypatch.setattr("closrads.run_end.REPORT_SECONDS", 10_000.0)

        assert hourly(business.world, 1)["mail"] == "sent"

    def test_it_costs_one_query(self, business: Business) -> None:
        """However many runs the day has had; the first one after days without any looks further back for one more."""
        business.adsets("A")
        costs = []
        for hour in range(8):
            business.world.sandbox.aws.requests.clear()
            hourly(business.world, hour)
            costs.append(looks_at_runs(business.world))

        assert costs == [1 + 1] + [1] * 7


class TestFleet:
    """A run of several invocations is planned by the one that ends it."""

    def test_a_day(self, business: Business) -> None:
        """As with one invocation."""
        business.adsets("A")
        said = []
        for hour in range(3):
            later(business.world, 3600 * bool(hour))
            at = datetime.fromtimestamp(business.world.time.seconds(), UTC).isoformat()
            said.append(Workflow(business.world).run({"step": "open", "dry_run": False, "scheduled": at})["mail"])

        assert said == ["sent", "not_asked", "not_asked"]
        business.want("GA")
        assert hourly(business.world, 3)["mail"] == "sent"
