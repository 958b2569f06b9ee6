"""`history`: what did it do last Tuesday, and what became of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest

from closrads.cli.history_view import ids_of_day
from closrads.domain.request import Action
from closrads.ledger.dynamodb import Table
from closrads.ledger.runs import Runs
from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import Breakage
from tests.cli.conftest import Call
from tests.cli.test_runs import TRUCKERS, live_run
from tests.fleet_world import Workflow
from tests.world import FakeTime, World


def listed(call: Call, *options: object) -> list[dict[str, object]]:
    """Return what the command says for machines."""
    rows: list[dict[str, object]] = json.loads(call("history", *options, "--json").stdout)
    return rows


def ids(rows: list[dict[str, object]]) -> list[object]:
    """Return the ids of runs."""
    return [row["run_id"] for row in rows]


def reopen(business: Sandbox) -> None:
    """Have a change look as if its run had not come to its end."""
    item = next(item for item in business.aws.ledger() if item["sk"].startswith("CHANGE#"))
    business.aws.client("dynamodb").update_item(
        TableName=LEDGER_TABLE,
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": "written"}},
    )


def forget_end(business: Sandbox, run_id: str) -> None:
    """Have a run look as if it had died."""
    business.aws.client("dynamodb").update_item(
        TableName=LEDGER_TABLE,
        Key={"pk": {"S": "RUN"}, "sk": {"S": run_id}},
        UpdateExpression="REMOVE ended_at, success, #result",
        ExpressionAttributeNames={"#result": "result"},
    )


class TestRuns:
    """The list."""

    def test_the_newest_first(self, call: Call, fake_time: FakeTime) -> None:
        """With what each did; dry runs are not in it."""
        first = live_run(call)
        fake_time.next_day()
        second = live_run(call, TRUCKERS)
        call("run", "dry-run")

        rows = listed(call)

        assert ids(rows) == [second, first]
        assert rows[0] | {"started_at": "", "ended_at": ""} == {
            "run_id": second,
            "action": "sync",
            "campaigns": ["truckers"],
            "started_at": "",
            "ended_at": "",
            "success": True,
            "counts": {"unchanged": 2},
            "restarts_learning": 0,
            "still_learning": {},
            "drift": [],
        }
        assert rows[1]["counts"] == {"updated": 7, "unchanged": 1}

    def test_a_person_sees_times_of_the_stage(self, call: Call) -> None:
        """And how each run ended."""
        run_id = live_run(call)
        output = call("history").output

        assert "Mon 2026-05-04 06:30" in output
        assert "America/New_York" in output
        assert run_id in output
        assert "7 updated, 1 unchanged" in output

    def test_no_more_than_asked_for(self, call: Call, fake_time: FakeTime) -> None:
        """And it is said that there may be more."""
        runs = []
        for _ in range(3):
            runs.append(live_run(call, TRUCKERS))
            fake_time.next_day()

        assert ids(listed(call, "--limit", 2)) == [runs[2], runs[1]]
        assert "The newest 2" in call("history", "--limit", 2).stderr

    def test_one_day(self, call: Call, fake_time: FakeTime) -> None:
        """Of the stage's time zone: 03:30 in London is the day before in New York."""
        monday = live_run(call, TRUCKERS)
        fake_time.pass_by(17 * 3600)
        fake_time.deadline = fake_time.seconds() + 900
        late = live_run(call, TRUCKERS)
        fake_time.next_day()
        live_run(call, TRUCKERS)

        assert late.startswith("20260505T0330")
        assert ids(listed(call, "--day", "2026-05-04")) == [late, monday]
        assert "No live run on 2026-05-03" in call("history", "--day", "2026-05-03").stderr

    def test_one_campaign(self, call: Call, fake_time: FakeTime) -> None:
        """Runs that had it, with its changes and counts only."""
        run_id = live_run(call)
        fake_time.next_day()
        live_run(call, TRUCKERS)

        (row,) = listed(call, "--campaign", "mortgage")

        assert (row["run_id"], row["counts"], row["campaigns"]) == (
            run_id,
            {"updated": 2, "unchanged": 1},
            ["mortgage"],
        )
        changes = row["changes"]
        assert isinstance(changes, list)
        assert [(change["name"], change["added"], change["removed"]) for change in changes] == [
            ("Refi - Homeowners 35+", ["IL", "UT"], ["CT", "MN"]),
            ("First Home - Renters", ["IL", "UT"], ["CT", "MN"]),
        ]

    def test_whose_learning_phase_started_anew(self, call: Call, business: Sandbox) -> None:
        """And who had not left it."""
        adset = next(each for each in business.meta.adsets.values() if each.name == "Owner Operators")
        adset.learning, adset.last_significant_edit = "FAIL", 1_777_800_000
        run_id = live_run(call, TRUCKERS)

        (row,) = listed(call)

        assert (row["restarts_learning"], row["still_learning"]) == (2, {adset.id: "2026-05-03T09:20:00+00:00"})
        said = "2 ad sets restart Meta's learning phase; 1 had not left it yet: Owner Operators (since 2026-05-03)"
        assert said in call("history", "--run", run_id).output

    def test_one_campaign_for_a_person(self, call: Call, fake_time: FakeTime) -> None:
        """One run below the other, each with its changes, if it made any."""
        live_run(call)
        fake_time.next_day()
        live_run(call)

        newer, older = call("history", "--campaign", "truckers").output.split("\n\n")
        assert "2 unchanged" in newer
        assert "Owner Operators" not in newer
        assert "truckers: 2 updated" in older
        assert "+MS +SC −PA" in older

    def test_what_somebody_else_has_changed(self, call: Call, business: Sandbox, fake_time: FakeTime) -> None:
        """Below the run that has met it, and for machines too."""
        live_run(call, TRUCKERS)
        (adset,) = (each for each in business.meta.adsets.values() if each.name == "Owner Operators")
        fake_time.pass_by(3600)
        business.meta.person_edits_targeting(adset.id, states="OH", published=True)
        fake_time.next_day()
        run_id = live_run(call, TRUCKERS)

        told = "truckers: Owner Operators: its states were changed by Pat Example at 2026-05-04 11:30 UTC"
        assert f"⚠ {told}" in call("history", "--run", run_id).output
        assert told in str(listed(call)[0]["drift"])

    def test_none_yet(self, call: Call) -> None:
        """A sentence, no empty table."""
        assert "No live run yet, in stage sandbox" in call("history").stderr
        assert "No live run of truckers yet" in call("history", "--campaign", "truckers").stderr
        assert listed(call) == []

    def test_a_run_that_several_invocations_shared(self, call: Call, business: Sandbox, fake_time: FakeTime) -> None:
        """It is one line like any other; a dry run of that kind is in the ledger, and none here."""
        opened = {"step": "open", "scheduled": "2026-05-04T10:30:00Z", "campaigns": ["truckers", "veterans"]}
        world = World(business, fake_time)
        live = [Workflow(world).run({**opened, "dry_run": dry_run}) for dry_run in (True, False)][1]

        (row,) = listed(call)

        assert (row["run_id"], row["campaigns"]) == (live["run_id"], ["truckers", "veterans"])
        assert row["success"] is True

    def test_a_run_that_died(self, call: Call) -> None:
        """It is there, and has no end."""
        Runs(Table(LEDGER_TABLE, FakeTime().clock)).begin("20260504T103000Z-dead", Action.SYNC, ["veterans"])

        (row,) = listed(call, "--campaign", "veterans")
        assert (row["ended_at"], row["success"], row["counts"]) == (None, None, {})
        assert "not ended" in call("history").output
        assert "it died or is still running; it has no open changes" in call("history").output

    def test_a_run_that_died_long_ago(self, call: Call) -> None:
        """Once a later run has ended, nothing more is promised."""
        Runs(Table(LEDGER_TABLE, FakeTime().clock)).begin("20260504T102900Z-dead", Action.SYNC, ["truckers"])
        live_run(call, TRUCKERS)

        for options in ((), ("--run", "20260504T102900Z-dead")):
            assert "it died; it has no open changes" in " ".join(call("history", *options).output.split())

    def test_a_run_that_died_half_way(self, call: Call, business: Sandbox) -> None:
        """What is open of it will be seen to."""
        run_id = live_run(call, TRUCKERS)
        reopen(business)
        forget_end(business, run_id)

        said = " ".join(call("history", "--run", run_id).output.split())
        assert "it died or is still running; the next live run finishes or rolls back its open changes" in said

    def test_a_failed_run(self, call: Call, business: Sandbox) -> None:
        """Its errors are counted in the list, and stand in its details."""
        business.closrtech.answer({"TX": 0}, campaign="VND_TRUCKER_LEADS")
        run_id = live_run(call)

        assert "FAILED" in call("history").output
        assert "; 1 error" in call("history").output
        assert "✗ truckers: " in call("history", "--run", run_id).output

    def test_a_plan_that_was_refused(self, call: Call, business: Sandbox) -> None:
        """It is no failure; what differed stands in its details."""
        plan_id = json.loads(call("run", "dry-run", "--json").stdout)["plan_id"]
        business.closrtech.demand["VND_TRUCKER_LEADS"]["WY"] = 3
        run_id = json.loads(call("run", "live", "--plan", plan_id, "--yes", "--json").stdout)["run_id"]

        listed = " ".join(call("history").output.split())
        assert ("plan refused" in listed, "FAILED" in listed) == (True, False)
        assert "⚠ truckers: Refused: the plan is no longer" in call("history", "--run", run_id).output


class TestChanges:
    """What became of each."""

    def test_undone(self, call: Call) -> None:
        """By which run; what the undo did is a run of its own."""
        run_id = live_run(call)
        call("undo", run_id, "--campaign", "truckers", "--yes")
        undo, *_ = ids(listed(call))

        (row,) = listed(call, "--run", run_id)
        later = {change["name"]: change["later"] for change in row["changes"]}  # type: ignore[attr-defined] # a list

        assert later["Owner Operators"] == f"undone by {undo}"
        assert later["Broad 30+"] == ""
        assert f"done, undone by {undo}" in call("history", "--run", run_id).output
        assert "put back" in call("history").output

    def test_put_back_by_a_recheck(self, call: Call, business: Sandbox, fake_time: FakeTime) -> None:
        """The state says that it was rolled back, and by which later run."""
        adset = next(adset for adset in business.meta.adsets.values() if adset.name == "Broad 30+")
        adset.ads[0].breakage = Breakage.late(600)
        run_id = live_run(call)
        fake_time.pass_by(1800)
        fake_time.deadline = fake_time.seconds() + 900
        call("run", "recheck", "--yes")
        recheck, *_ = ids(listed(call))

        output = call("history", "--run", run_id).output

        assert f"rolled back, by recheck {recheck}" in output

    def test_put_back_at_once(self, call: Call, business: Sandbox) -> None:
        """By the run itself, so no other is named."""
        adset = next(adset for adset in business.meta.adsets.values() if adset.name == "Broad 30+")
        adset.ads[0].breakage = Breakage.stubborn()
        run_id = live_run(call)

        (row,) = listed(call, "--run", run_id)
        (change,) = (change for change in row["changes"] if change["name"] == "Broad 30+")  # type: ignore[attr-defined] # a list
        assert (change["state"], change["later"]) == ("rolled_back", "")

    def test_left_open(self, call: Call, business: Sandbox) -> None:
        """It says what will happen to it."""
        run_id = live_run(call, TRUCKERS)
        reopen(business)

        assert "written, the next live run finishes it or rolls it back" in call("history", "--run", run_id).output

    def test_a_change_of_a_run_that_nobody_remembers(self, call: Call, business: Sandbox) -> None:
        """A run whose own item is gone does not stop the looking."""
        run_id = live_run(call, TRUCKERS)
        later = live_run(call, TRUCKERS)
        key = {"pk": {"S": "RUN"}, "sk": {"S": run_id}}
        business.aws.client("dynamodb").delete_item(TableName=LEDGER_TABLE, Key=key)

        assert ids(listed(call, "--campaign", "truckers")) == [later]

    @pytest.mark.parametrize("more", [(), ("--campaign", "truckers")])
    def test_an_unknown_run(self, call: Call, more: tuple[str, ...]) -> None:
        """It says where ids are found."""
        result = call("history", "--run", "nope", *more)

        assert result.exit_code == 1
        assert "at the end of each report" in result.stderr

    def test_an_unknown_campaign(self, call: Call) -> None:
        """More likely a slip than a campaign without runs: those that there are are named."""
        result = call("history", "--campaign", "nope")

        assert result.exit_code == 2
        assert "no campaign nope: there are mortgage, truckers, veterans" in result.stderr

    def test_a_campaign_that_the_run_did_not_have(self, call: Call) -> None:
        """The run is known, and so is what it had."""
        result = call("history", "--run", live_run(call, TRUCKERS), "--campaign", "veterans")

        assert result.exit_code == 2
        assert "did not include veterans, only truckers" in result.stderr

    def test_a_run_and_a_day(self, call: Call) -> None:
        """One of the two says all."""
        assert call("history", "--run", "nope", "--day", "2026-05-04").exit_code == 2

    def test_a_day_that_is_none(self, call: Call) -> None:
        """The form is shown."""
        result = call("history", "--day", "Tuesday")

        assert result.exit_code == 2
        assert "not a day such as 2026-11-17" in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize("command", [("history",), ("undo", "some-run"), ("run", "{}"), ("doctor",)])
def test_a_slow_line(call: Call, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """The function's two seconds for an answer are made for a place next to the table, not for an office's line."""
    patience = set()
    new_client = boto3.client

    def noting(name: str, *, config: Any, **more: Any) -> Any:
        if name == "dynamodb":
            patience.add(config.read_timeout)
        return new_client(name, config=config, **more)

    monkeypatch.setattr(boto3, "client", noting)
    call(*command)

    assert patience
    assert min(patience) >= 10


def test_a_table_that_does_not_exist(call: Call, business: Sandbox) -> None:
    """AWS's own word for it names neither the ledger nor what to do."""
    business.aws.client("dynamodb").delete_table(TableName=LEDGER_TABLE)

    result = call("history")

    assert result.exit_code == 1
    assert "The ledger cannot be read: its table does not exist in this Region" in result.stderr
    assert "ResourceNotFoundException" not in result.stderr


def test_a_year_is_read_page_by_page(call: Call, business: Sandbox) -> None:
    """A year of runs is a few pages, and twenty runs are one."""
    run_id = live_run(call)
    client = business.aws.client("dynamodb")
    key = {"pk": {"S": "RUN"}, "sk": {"S": run_id}}
    template = client.get_item(TableName=LEDGER_TABLE, Key=key)["Item"]
    start = datetime(2025, 5, 4, 10, 30, tzinfo=UTC)
    days = [f"{start + timedelta(days=day):%Y%m%dT%H%M%SZ}-00000000" for day in range(365)]
    for sk in days:
        client.put_item(TableName=LEDGER_TABLE, Item=template | {"sk": {"S": sk}})
    business.aws.requests.clear()

    assert len(listed(call, "--limit", 1000)) == 366
    assert [request.operation for request in business.aws.requests].count("Query") <= 3
    assert {request.operation for request in business.aws.requests} == {"Query"}


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-05-04", 24)])
def test_a_day_is_as_long_as_it_is(day: str, hours: int) -> None:
    """Also when the clocks change."""
    first, last = (
        datetime.strptime(each, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        for each in ids_of_day(datetime.fromisoformat(day).date(), ZoneInfo("America/New_York"))
    )
    assert last - first == timedelta(hours=hours)
