"""Approval: a live run carries out exactly the plan that a dry run has shown, or nothing."""

from collections.abc import Callable
from hashlib import sha512
from typing import Any
from unittest.mock import patch

import pytest

from closrads import config
from closrads.domain.changes import ChangeState
from closrads.domain.plan_id import Plan, PlannedChange
from closrads.domain.request import Action
from closrads.errors import EventError, LedgerError, SyncFailed
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.plans import Plans
from sandbox.aws import LEDGER_TABLE
from tests.ledger_world import entries, later, left_behind
from tests.test_handler import metrics
from tests.test_pause import after_writes
from tests.world import LIVE, MORTGAGE_1, VETERANS, World

Deed = Callable[[World, str], object]


def approved(world: World, **options: Any) -> dict[str, Any]:
    """Make a dry run, and return the event that approves its plan, half an hour later."""
    plan_id = world.run(options)["plan_id"]
    assert plan_id
    later(world, 1800)
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    world.meta.requests.clear()
    world.sandbox.aws.mails.clear()
    return {**LIVE, "plan_id": plan_id}


def refused(world: World, event: dict[str, Any]) -> dict[str, Any]:
    """Hand over an event whose plan is refused, and return the result: an answer, for nothing has failed."""
    result = world.run(event)
    assert (result["plan_refused"], result["success"], world.meta.writes) == (True, False, [])
    return result


def two_campaigns(world: World) -> tuple[str, str]:
    """Build two campaigns in different ad accounts, with an ad set to change in each."""
    world.campaign("FL")
    world.campaign("OH", "mortgage", (MORTGAGE_1,), account="act_222")
    return world.adset("Broad"), world.adset("Renters", campaign=MORTGAGE_1)


class TestAsApproved:
    """The plan is the same, so it is done."""

    def test_a_plan_is_carried_out(self, world: World) -> None:
        """All of it, and the result names it."""
        one, two = two_campaigns(world)
        event = approved(world)

        result = world.run(event)

        assert (world.meta.states(one), world.meta.states(two)) == ({"FL"}, {"OH"})
        assert (result["plan_id"], result["plan_refused"], result["success"]) == (event["plan_id"], False, True)

    @pytest.mark.parametrize("order", ["ad sets", "Meta campaigns"])
    def test_whose_turn_it_is_does_not_depend_on_an_order(self, world: World, order: str) -> None:
        """Meta promises none for its lists, and that of a parameter means nothing: the ids decide."""
        other = "120200000000000905"
        world.campaign("FL", meta_campaigns=(VETERANS, other))
        world.put({"limits/max_adsets": "2"})
        adsets = [f"12020000000000000{number}" for number in (1, 2, 3)]
        for adset, campaign in zip(adsets, (VETERANS, other, VETERANS), strict=True):
            world.adset(adset, adset_id=adset, campaign=campaign)
        event = approved(world)
        if order == "ad sets":
            world.meta.campaigns[VETERANS].adsets.reverse()
        else:
            world.put({"campaigns/veterans/fb_campaign_ids": [other, VETERANS]})

        result = world.run(event)

        assert not result["plan_refused"]
        assert [world.meta.states(adset) for adset in adsets] == [{"FL"}, {"FL"}, {"TX"}]

    def test_the_mail_has_the_command_for_it(self, world: World) -> None:
        """As it stands, whatever stage the shell of whoever copies it works on."""
        two_campaigns(world)

        plan_id = world.run()["plan_id"]

        (mail,) = world.sandbox.aws.mails
        assert f"`python -m closrads run live --plan {plan_id} --stage sandbox`" in mail.text

    def test_the_same_plan_has_the_same_id(self, world: World) -> None:
        """As long as nothing changes; a recheck or an undo has none, and a live run has that which it carries out."""
        two_campaigns(world)

        first = world.run()["plan_id"]

        assert first == world.run({"validate": True})["plan_id"]
        assert world.run(LIVE)["plan_id"] == ""
        assert world.run({"action": "undo", "dry_run": True})["plan_id"] == ""
        assert world.run()["plan_id"] != first

    def test_the_options_are_the_plans(self, world: World) -> None:
        """Who approves a plan need not repeat for which campaigns and with which limits lifted it was made."""
        world.campaign("FL")
        world.campaign("OH", "mortgage", (MORTGAGE_1,), account="act_222")
        many, other = world.adset("Broad", "AL AK AZ AR CA CO CT DE GA HI"), world.adset("Renters", campaign=MORTGAGE_1)
        event = approved(world, campaigns=["veterans"], force=["max_removed_pct"])

        result = world.run(event)

        assert (world.meta.states(many), world.meta.states(other)) == ({"FL"}, {"TX"})
        assert [campaign["slug"] for campaign in result["campaigns"]] == ["veterans"]
        assert result["force"] == ["max_removed_pct"]

    def test_the_options_may_be_repeated(self, world: World) -> None:
        """They are compared like everything else."""
        one, _ = two_campaigns(world)
        event = approved(world, campaigns=["veterans"])

        world.run({**event, "campaigns": ["veterans"]})

        assert world.meta.states(one) == {"FL"}

    def test_a_plan_without_changes(self, world: World) -> None:
        """It is carried out by doing nothing."""
        world.campaign("TX")
        world.adset()
        event = approved(world)

        assert world.run(event)["success"]
        assert world.meta.writes == []

    def test_what_a_plan_lifts_no_longer_waits(self, world: World) -> None:
        """Nor in later runs, for an ad set that this one could not change."""
        world.campaign("FL OH")
        world.put({"limits/add_after_days": "2"})
        adset = world.adset("Broad", "FL")
        event = approved(world, force=["add_after_days"])
        world.run(event)
        late = world.adset("Late", "FL")

        world.run(LIVE)

        assert world.meta.states(adset) == world.meta.states(late) == {"FL", "OH"}

    def test_while_paused_nothing_is_compared(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """A pause is no failure, but nobody is to take the plan for carried out."""
        two_campaigns(world)
        event = approved(world)
        world.put({"paused": "true"})
        capsys.readouterr()

        result = world.run(event)

        counts = metrics(capsys.readouterr().out)
        assert (counts["RunFailed"], "RunSucceeded" in counts) == ([0.0], False)
        assert (result["success"], result["plan_refused"], world.meta.writes) == (False, False, [])
        assert result["switched_off"]
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ plan was not completed, paused since 4 May · ")
        first = "CLOSRADS has been paused since 4 May, so the plan was not completed: nothing new was begun."
        assert first in mail.text

    def test_paused_midway(self, world: World) -> None:
        """What was carried out of it is told, and that it is not all of it."""
        world.campaign("FL")
        first, second = world.adset("A"), world.adset("B")
        event = approved(world)
        after_writes(world, 1, lambda: world.put({"paused": "true"}))

        result = world.run(event)

        assert (world.meta.states(first), world.meta.states(second), result["success"]) == ({"FL"}, {"TX"}, False)
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ plan was not completed, paused since 4 May, 1 updated, 1 not started")

    def test_an_ad_set_that_changes_in_the_last_moment(self, world: World) -> None:
        """Between plan and write: it is left alone, for that change was not approved."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "10"})  # what was read for the plan has grown old by then
        first, second = world.adset("A"), world.adset("B")
        event = approved(world)

        def edit(_: str) -> None:
            if world.written_adsets():
                world.meta.on_exchange = None
                world.meta.person_edits_targeting(second, states="OH", published=True)

        world.meta.on_exchange = edit

        result = world.run(event)

        assert (world.meta.states(first), world.meta.states(second)) == ({"FL"}, {"OH"})
        assert [each["result"] for each in result["campaigns"][0]["adsets"]] == ["updated", "needs_attention"]


def more_demand(world: World, _: str) -> None:
    """Have the partner want one more state."""
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"]["GA"] = 5


def another_state(world: World, adset: str) -> None:
    """Have a person choose another state."""
    world.meta.person_edits_targeting(adset, states="TX OH", published=True)


class TestAnotherPlan:
    """The plan has become another one, so nothing is begun, in no campaign."""

    @pytest.mark.parametrize(
        ("deed", "said"),
        [
            (more_demand, "+FL +GA −TX instead of +FL −TX"),
            (another_state, "+FL −OH −TX instead of +FL −TX"),
            (lambda world, adset: world.meta.person_pauses(adset), "+FL −TX is no longer to be done"),
            (lambda world, _: world.adset("New", "CA"), "+FL −CA is new"),
            (lambda world, _: world.put({"campaigns/veterans/enabled": "false"}), "+FL −TX is no longer to be done"),
        ],
        ids=["demand", "by hand", "paused", "new", "off"],
    )
    def test_nothing_is_written(self, world: World, deed: Deed, said: str) -> None:
        """Nor in the campaign that is as approved; the result and the mail say what differs, and how to go on."""
        adset, other = two_campaigns(world)
        event = approved(world)
        deed(world, adset)

        result = refused(world, event)

        why = {each["slug"]: each["refused"] for each in result["campaigns"]}
        assert said in why["veterans"]
        assert f"no longer the approved {event['plan_id']}" in why["mortgage"]
        assert "what differs is in veterans" in why["mortgage"]
        assert world.meta.states(other) == {"TX"}
        (mail,) = world.sandbox.aws.mails
        assert said in mail.text
        assert "Make a new dry run, and approve its plan" in mail.text
        assert "The daily run needs no approval: the next one sets the states of its day." in mail.text

    def test_it_is_no_failure(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Nobody is called for it: the mail says that nothing was changed, why, and what to do."""
        two_campaigns(world)
        event = approved(world)
        more_demand(world, "")
        capsys.readouterr()

        result = refused(world, event)

        counts = metrics(capsys.readouterr().out)
        assert (counts["RunFailed"], "RunSucceeded" in counts) == ([0.0], False)
        assert [(each["success"], each["errors"]) for each in result["campaigns"]] == [(True, []), (True, [])]
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ Plan not carried out: things have changed since it was shown · ")
        first = "No planned change was made, because things have changed since the plan was shown: make a new plan."
        assert first in mail.text
        assert "fail" not in mail.text.lower()
        assert "⚠ Veterans: all" not in mail.text
        assert "⚠ Veterans: its ad set not started" in mail.text

    def test_a_campaign_that_fails_beside_it(self, world: World) -> None:
        """That is a failure, and told first; what the others were refused for is told, too."""
        _, other = two_campaigns(world)
        event = approved(world)
        world.sandbox.closrtech.answer({"TX": 0}, campaign="VND_VETERANS_LEADS")

        with pytest.raises(SyncFailed) as failed:
            world.run(event)

        result = failed.value.result
        assert (result["plan_refused"], result["success"], world.meta.states(other)) == (True, False, {"TX"})
        errors, why = ({each["slug"]: each[key] for each in result["campaigns"]} for key in ("errors", "refused"))
        assert "no demand" in errors["veterans"][0]
        assert "+FL −TX is no longer to be done" in why["veterans"]
        assert "what differs is in veterans" in why["mortgage"]
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("✗ Veterans failed")
        assert why["veterans"] in mail.text

    def test_an_event_with_other_campaigns(self, world: World) -> None:
        """They are not the plan's."""
        two_campaigns(world)
        event = approved(world)

        result = refused(world, {**event, "campaigns": ["veterans"]})

        assert "leave them out" in result["campaigns"][0]["refused"]

    def test_the_only_campaign_is_off(self, world: World) -> None:
        """The refusal has a campaign to stand at all the same."""
        two_campaigns(world)
        event = approved(world, campaigns=["veterans"])
        world.put({"campaigns/veterans/enabled": "false"})

        (campaign,) = refused(world, event)["campaigns"]

        assert (campaign["campaign_name"], campaign["refused"] != "") == ("Veterans", True)

    def test_another_run_is_at_work(self, world: World) -> None:
        """What it leaves may be anything, so no part of the plan is done."""
        two_campaigns(world)
        event = approved(world, campaigns=["veterans"])
        clock = world.time.clock
        table = Table(LEDGER_TABLE, clock)
        Leases(table).acquire(["veterans"], "other", clock.now().replace(year=2027), Action.SYNC)

        (campaign,) = refused(world, event)["campaigns"]

        assert (campaign["left_to"], campaign["refused"] != "") == ("other", True)

    def test_whose_turn_it_is_is_not_forgotten(self, world: World) -> None:
        """The next run that may change something takes first what the last one deferred."""
        world.campaign("FL")
        world.put({"limits/max_adsets": "1"})
        world.adset("A"), world.adset("B")
        world.run(LIVE)
        event = approved(world)
        before = entries(world, "MEMORY#deferred")
        more_demand(world, "")

        refused(world, event)

        assert before == entries(world, "MEMORY#deferred") != []

    def test_what_waits_still_waits_in_the_next_run(self, world: World) -> None:
        """A limit that the plan lifts is lifted for nothing but the plan."""
        world.campaign("FL OH")
        world.put({"limits/add_after_days": "2"})
        adset = world.adset("Broad", "FL")
        event = approved(world, force=["add_after_days"])
        another_state(world, adset)

        refused(world, event)
        world.run(LIVE)

        assert world.meta.states(adset) == {"OH"}

    def test_what_was_recovered_is_told_although_the_plan_cannot_be_read(self, world: World) -> None:
        """Nothing new is begun, for what was approved is not known."""
        world.campaign("FL")
        adset, _ = world.adset("Open"), world.adset("Other")
        event = approved(world)
        left_behind(world, adset, ChangeState.WRITTEN)
        find, asked = Plans.find, []

        def unreadable_later(plans: Plans, plan_id: str) -> Plan | None:
            asked.append(plan_id)
            if len(asked) > 1:
                raise LedgerError("The ledger cannot be read")
            return find(plans, plan_id)

        with patch.object(Plans, "find", unreadable_later):
            result = world.run(event)

        assert result["plan_refused"]
        assert [each["state"] for each in result["recovered"]] == ["verified"]
        assert "The ledger cannot be read" in result["campaigns"][0]["refused"]
        assert world.written_adsets() == []

    def test_what_is_open_is_recovered_all_the_same(self, world: World) -> None:
        """A dry run holds such an ad set, so its change comes on top of the plan; the next dry run shows it."""
        world.campaign("FL")
        adset, _ = world.adset("Open"), world.adset("Other")
        event = approved(world)
        left_behind(world, adset, ChangeState.WRITTEN)

        result = world.run(event)

        assert result["plan_refused"]
        assert [each["state"] for each in result["recovered"]] == ["verified"]
        assert world.written_adsets() == []

    def test_a_plan_that_was_carried_out_before(self, world: World) -> None:
        """Two people approve it: the second is refused, and its mail does not say that the ads run as before."""
        world.campaign("FL")
        world.adset()
        event = approved(world)
        world.run(event)
        world.meta.requests.clear()
        later(world, 60)

        (campaign,) = world.run(event)["campaigns"]

        assert "+FL −TX is no longer to be done. None of its changes was begun" in campaign["refused"]

        assert world.meta.writes == []
        text = world.sandbox.aws.mails[-1].text
        assert "Wanted today and running now (1): FL" in text
        assert "This run has made none of these changes; an earlier one may have." in text
        assert "in the states from before" not in text


class TestUnknownPlan:
    """No such plan."""

    def test_nothing_is_even_read(self, world: World) -> None:
        """The event is refused; it says where an id comes from."""
        two_campaigns(world)

        with pytest.raises(EventError, match=r"no plan 0a1b2c3d4e5f6789 is known.*make a new dry run"):
            world.run({**LIVE, "plan_id": "0a1b2c3d4e5f6789"})

        assert world.meta.operations == []

    def test_a_plan_that_could_not_be_kept_has_no_id(self, world: World) -> None:
        """The dry run itself is as good as ever."""
        two_campaigns(world)
        world.sandbox.aws.fail("dynamodb", "PutItem", "AccessDeniedException", times=None)

        result = world.run()

        assert (result["plan_id"], result["success"]) == ("", True)

    def test_a_plan_that_is_too_large(self, world: World) -> None:
        """Of tens of thousands of ad sets, one by one unlike any other."""
        regions = frozenset(map(str, range(3843, 3894)))
        names = (sha512(bytes([number % 256, number // 256])).hexdigest() for number in range(9000))
        changes = tuple(PlannedChange("c", name[:18], name, regions, regions) for name in names)

        with pytest.raises(LedgerError, match="The plan of 9000 changes is too large to be kept"):
            Plans(Table(LEDGER_TABLE, world.time.clock)).keep(Plan(changes))

    def test_without_a_ledger_there_is_none(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dry run does without; a live run says what it lacks."""
        two_campaigns(world)
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")

        assert world.run()["plan_id"] == ""
