"""Events → requests."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from closrads.domain.request import Action, RunRequest, StepRequest, parse_event, parse_step
from closrads.errors import EventError

EVENTS = Path(__file__).parents[2] / "events"
LIVE_FILES = {"approve", "live", "scheduled-live", "resync-one-campaign", "recheck", "scheduled-recheck", "undo"}
ENABLED = {"veterans": True, "truckers": True, "paused": False}


def parse(event: Any, *, default_dry_run: bool = True) -> RunRequest:
    """Validate an event of a business with two campaigns that run and one that does not."""
    return parse_event(event, default_dry_run=default_dry_run, enabled=ENABLED)


def problems(event: Any) -> str:
    """Return what is wrong with an event."""
    with pytest.raises(EventError) as caught:
        parse(event)
    return str(caught.value)


def test_an_empty_event_looks_at_every_campaign() -> None:
    """The defaults: sync, all campaigns, a report, no write."""
    assert parse({}) == RunRequest(Action.SYNC, dry_run=True)


def test_the_event_wins_over_the_variable() -> None:
    """`dry_run` in the event counts; only without it the default does."""
    assert parse({"dry_run": False}).dry_run is False
    assert parse({"dry_run": True}, default_dry_run=False).dry_run is True
    assert parse({}, default_dry_run=False).dry_run is False


def test_everything_an_event_may_say() -> None:
    """Each key lands where it belongs; a campaign named twice runs once."""
    event = {
        "action": "sync",
        "dry_run": True,
        "campaigns": ["truckers", "veterans", "truckers"],
        "validate": True,
        "force": ["max_removed_pct"],
        "notify": False,
        "scheduled": "2026-05-04T06:30:00-04:00",
    }

    assert parse(event) == RunRequest(
        Action.SYNC,
        dry_run=True,
        campaigns=("truckers", "veterans"),
        validate=True,
        force=frozenset({"max_removed_pct"}),
        notify=False,
        scheduled=datetime(2026, 5, 4, 10, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("action", [Action.UNDO, Action.RECHECK])
def test_an_earlier_run_may_be_named(action: Action) -> None:
    """Both actions are about a run: the named one, or each campaign's last."""
    assert parse({"action": action.value}) == RunRequest(action, dry_run=True)
    assert parse({"action": action.value, "run_id": "20260504T103000Z-0a1b2c3d", "dry_run": False}) == RunRequest(
        action, dry_run=False, run_id="20260504T103000Z-0a1b2c3d"
    )


@pytest.mark.parametrize("limit", ["max_removed_pct", "reverted_before", "add_after_days", "remove_after_days"])
def test_each_limit_can_be_lifted(limit: str) -> None:
    """Alone or with the other."""
    assert parse({"force": [limit]}).force == {limit}
    assert parse({"force": ["reverted_before", "max_removed_pct"]}).force == {"max_removed_pct", "reverted_before"}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("sync", "must be a JSON object"),
        ({"dry_run": "false"}, "dry_run: must be true or false without quotes"),
        ({"dry_run": 0}, "dry_run: must be true or false without quotes"),
        ({"dry_run": None}, "dry_run: must be true or false without quotes"),
        ({"dryrun": False}, "dryrun: unknown key"),
        ({"action": "write"}, "action: must be one of sync, recheck, undo"),
        ({"action": ["sync"]}, "action: must be one of"),
        ({"action": None}, "action: must be one of"),
        ({"campaigns": "veterans"}, "campaigns: must be a list of texts"),
        ({"campaigns": [1]}, "campaigns: must be a list of texts"),
        ({"campaigns": []}, "campaigns: is empty"),
        ({"campaigns": ["vets"]}, "'vets' is unknown; known are paused, truckers, veterans"),
        ({"campaigns": ["paused"]}, "'paused' is switched off"),
        ({"validate": 1}, "validate: must be true or false"),
        ({"validate": True, "dry_run": False}, "validate: belongs to a dry run"),
        ({"validate": True, "action": "undo"}, "validate: belongs to the action sync"),
        ({"validate": True, "action": "recheck"}, "validate: belongs to the action sync"),
        ({"force": "max_removed_pct"}, "force: must be a list of texts"),
        ({"force": ["everything"]}, "force: 'everything' is no limit that can be lifted: add_after_days, max_removed"),
        ({"force": ["max_removed_pct"], "action": "undo"}, "force: belongs to the action sync"),
        ({"force": ["reverted_before"], "action": "recheck"}, "force: belongs to the action sync"),
        ({"notify": "no"}, "notify: must be true or false"),
        ({"run_id": "x"}, "run_id: belongs to the actions undo and recheck"),
        ({"action": "undo", "run_id": 5}, "run_id: must be a run's id"),
        ({"action": "recheck", "run_id": ""}, "run_id: must be a run's id"),
        ({"action": "undo", "run_id": None}, "run_id: must be a run's id"),
        ({"scheduled": 5}, "scheduled: must be a time"),
        ({"scheduled": "tomorrow"}, "scheduled: must be a time"),
        ({"scheduled": "2026-05-04T10:30:00"}, "scheduled: must be a time"),
        ({"scheduled": "<aws.scheduler.scheduled-time>"}, "scheduled: must be a time"),
    ],
)
def test_refuses_what_is_not_understood(event: Any, said: str) -> None:
    """A typo never writes, and never silently does something else."""
    assert said in problems(event)


def test_all_problems_at_once() -> None:
    """One message lists everything that is wrong with an event."""
    said = problems({"dry_run": "false", "campaigns": ["vets", "cars"], "speed": 3})

    assert [line.split(":")[0] for line in said.splitlines()] == ["speed", "dry_run", "campaigns", "campaigns"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_nothing_but_a_boolean_decides_whether_to_write(value: Any) -> None:
    """Whatever stands under dry_run, only a JSON false leads to a live run."""
    try:
        dry_run = parse({"dry_run": value}).dry_run
    except EventError:
        return
    assert dry_run is value


@pytest.mark.parametrize("source", ["aws.events", "aws.scheduler"])
def test_eventbridges_own_event_is_a_sync_with_the_defaults(source: str) -> None:
    """A plain scheduled event brings its time and nothing else."""
    event = json.loads((EVENTS / "eventbridge.json").read_text()) | {"source": source}

    assert parse(event) == RunRequest(Action.SYNC, dry_run=True, scheduled=datetime(2026, 5, 4, 10, 30, tzinfo=UTC))
    assert parse(event, default_dry_run=False).dry_run is False


def test_another_event_of_eventbridge_is_refused() -> None:
    """An event that only looks like the schedule's is not taken for it."""
    event = json.loads((EVENTS / "eventbridge.json").read_text()) | {"detail-type": "EC2 Instance Launch"}

    assert "detail-type: unknown key" in problems(event)


@pytest.mark.parametrize("source", [[], {}, ["aws.events"], None, 5])
def test_a_scheduled_event_of_no_source_is_refused(source: Any) -> None:
    """A value of another type is a problem of the event, and no defect."""
    event = json.loads((EVENTS / "eventbridge.json").read_text()) | {"source": source}

    assert "source: unknown key" in problems(event)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=5), values, max_size=2),
    max_leaves=4,
)
said_values = st.sampled_from(
    ["sync", "undo", "open", "part", "close", "aws.events", "Scheduled Event", ["veterans"], ""]
)
event_keys = st.sampled_from(
    [*("action", "dry_run", "campaigns", "validate", "force", "run_id", "plan_id", "notify", "scheduled", "step"),
     *("source", "detail-type", "time", "detail", "odd")]
)  # fmt: skip


@given(json_values | st.dictionaries(event_keys, said_values | json_values))
@example({"source": [], "detail-type": "Scheduled Event"})
@example({"source": "aws.events", "detail-type": "Scheduled Event", "time": {}})
@example({"step": "part", "run_id": [], "campaigns": [[]]})
@example({"scheduled": "0001-01-01T00:00:00+14:00"})
def test_no_json_is_a_defect(event: Any) -> None:
    """Whatever type stands anywhere in an event, it is a request or an error that names the problem."""
    with suppress(EventError):
        assert parse_step(event) is not None or parse(event) is not None


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_event_file_is_accepted(path: Path) -> None:
    """Nobody copies a broken example, or one that does something else than its name says."""
    request = parse(json.loads(path.read_text()))

    assert request.dry_run is (path.stem not in LIVE_FILES)
    assert request.action is next((action for action in Action if action.value in path.stem), Action.SYNC)


def test_a_push_may_be_the_reason_of_a_recheck() -> None:
    """It is kept with a run that several invocations share; without it, older versions understand what is kept."""
    request = parse({"action": "recheck", "dry_run": False, "campaigns": ["veterans"], "reason": "push"})

    assert (request.reason, request.campaigns) == ("push", ("veterans",))
    assert request.to_json()["reason"] == "push"
    assert "reason" not in parse({"action": "recheck"}).to_json()


@pytest.mark.parametrize("event", [{"reason": "push"}, {"action": "undo", "reason": "push"}])
def test_no_other_action_has_a_reason(event: Any) -> None:
    """A push never starts a sync."""
    assert problems(event) == "reason: belongs to the action recheck"


@pytest.mark.parametrize("reason", ["", "weather", None, 7, ["push"]])
def test_there_is_one_reason(reason: Any) -> None:
    """Free text would be somebody else's text in the log and the report."""
    assert problems({"action": "recheck", "reason": reason}) == "reason: must be push, or left out"


def test_a_request_as_json_has_all_that_it_says() -> None:
    """Invocations that share a run go on with it."""
    request = parse({"campaigns": ["veterans"], "force": ["reverted_before", "max_removed_pct"], "step": "open"})

    assert request.to_json() == {
        "action": "sync",
        "dry_run": True,
        "campaigns": ("veterans",),
        "validate": False,
        "force": ["max_removed_pct", "reverted_before"],
        "notify": True,
        "scheduled": None,
        "run_id": None,
        "opens": True,
    }
    scheduled = parse({"scheduled": "2026-05-04T06:30:00-04:00"})
    assert scheduled.to_json()["scheduled"] == "2026-05-04T10:30:00+00:00"
    assert scheduled.scheduled is not None
    assert scheduled.scheduled.tzinfo is UTC, "wherever the machine is"


class TestSteps:
    """The events of one run that several invocations share."""

    @pytest.mark.parametrize(
        ("event", "step"),
        [
            ({"step": "part", "run_id": "run-1", "campaigns": ["veterans"]}, StepRequest("run-1", "veterans")),
            ({"step": "close", "run_id": "run-1"}, StepRequest("run-1", None)),
            ({"step": "open"}, None),
            ({"step": "other", "run_id": "run-1"}, None),
            ({"step": ["part"]}, None),
            ({}, None),
            ("part", None),
            (None, None),
        ],
    )
    def test_a_part_and_the_end_are_known(self, event: Any, step: StepRequest | None) -> None:
        """All others are events of a whole run, or none."""
        assert parse_step(event) == step

    @pytest.mark.parametrize("step", ["part", "close"])
    @pytest.mark.parametrize("run_id", [None, "", 7, ["run-1"]])
    def test_the_run_must_be_named(self, step: str, run_id: Any) -> None:
        """By the id that the first step has answered."""
        event = {"step": step, "run_id": run_id, **({"campaigns": ["veterans"]} if step == "part" else {})}

        with pytest.raises(EventError) as caught:
            parse_step(event)

        assert str(caught.value) == "run_id: must be the id that the step open has answered"

    @pytest.mark.parametrize("campaigns", [None, [], "v", ["veterans", "truckers"], [7]])
    def test_a_part_is_one_campaign(self, campaigns: Any) -> None:
        """So that no invocation holds what another one should do."""
        with pytest.raises(EventError) as caught:
            parse_step({"step": "part", "run_id": "run-1", "campaigns": campaigns})

        assert str(caught.value) == "campaigns: must be a list of one campaign"

    def test_what_belongs_to_the_first_step_is_named(self) -> None:
        """Each key by itself, with the keys that there are."""
        with pytest.raises(EventError) as caught:
            parse_step({"step": "close", "run_id": "run-1", "dry_run": False, "campaigns": ["veterans"]})

        assert str(caught.value).splitlines() == [
            f"{key}: belongs to the step open, or to no event; the step close knows run_id, step"
            for key in ("campaigns", "dry_run")
        ]

    def test_the_first_step_is_a_request_like_any_other(self) -> None:
        """That only opens the run."""
        assert parse({"step": "open"}) == RunRequest(Action.SYNC, dry_run=True, opens=True)
        assert problems({"step": "other"}) == "step: must be one of open, part, close"


def test_an_event_of_the_schedule_without_a_time_is_an_empty_one() -> None:
    """Then nothing says whether it has come before."""
    assert parse({"detail-type": "Scheduled Event", "source": "aws.scheduler"}) == RunRequest(Action.SYNC, dry_run=True)


def test_a_plan_is_approved() -> None:
    """By a live sync; a run that invocations share is kept without the key, which older versions do not know."""
    request = parse({"dry_run": False, "plan_id": "0a1b2c3d4e5f6789"})

    assert (request.plan_id, request.action) == ("0a1b2c3d4e5f6789", Action.SYNC)
    assert request.to_json()["plan_id"] == "0a1b2c3d4e5f6789"
    assert "plan_id" not in parse({}).to_json()


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({}, "plan_id: belongs to a live run, which carries the plan out; give dry_run false"),
        ({"dry_run": True}, "plan_id: belongs to a live run"),
        ({"dry_run": True, "validate": True}, "plan_id: belongs to a live run"),
        ({"dry_run": False, "validate": True}, "validate: belongs to a dry run"),
        ({"dry_run": False, "plan_id": 7}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "plan_id": ""}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "plan_id": None}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "plan_id": "0a1b2c3d4e5f6789\n"}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "plan_id": "0" * 3000}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "plan_id": "\ud800"}, "plan_id: must be a plan's id"),
        ({"dry_run": False, "action": "recheck"}, "plan_id: belongs to the action sync"),
        ({"dry_run": False, "action": "undo"}, "plan_id: belongs to the action sync"),
        ({"dry_run": False, "step": "open"}, "function itself, or use `python -m closrads run live --plan ID`"),
    ],
)
def test_a_plan_that_cannot_be_approved_so(event: dict[str, Any], problem: str) -> None:
    """Only a live sync of its own carries a plan out."""
    with pytest.raises(EventError, match=problem):
        parse({"plan_id": "0a1b2c3d4e5f6789"} | event)
