"""The workflow's definition: sound, bounded, patient where that helps, and never the bearer of anything large."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from closrads import errors, fleet
from tests.template.stack import DEFINITION, REGION, Deploy, Json, Stack, calls_of, definition, states_of

HOPELESS = {"ConfigError", "EventError"}
"""Errors of the function that the next call would end with, too."""
HOPELESS_OF = {"Open the run": {"PausedError"}, "Close the run": {"SyncFailed"}}
"""Such errors of one call alone: an undo is refused while everything is paused, and a run that has failed is over."""
LARGEST_WAIT = 99_999_999
"""Seconds (Amazon States Language, "Wait")."""


@pytest.fixture(scope="module")
def stack(deploy: Deploy) -> Stack:
    """Give the resources with the workflow."""
    return deploy(Fleet="true")


@pytest.fixture(scope="module")
def machine(stack: Stack) -> Json:
    """Read the definition, with what the stack fills in."""
    return definition(stack)


def machines(machine: Json) -> Iterator[Json]:
    """Give a workflow, and those that its Maps run for each item."""
    yield machine
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from machines(state["ItemProcessor"])


def targets(state: Json) -> set[str]:
    """Name the states that may come after one."""
    choices = [*state.get("Choices", ()), *state.get("Catch", ()), state]
    return {each[key] for each in choices for key in ("Next", "Default") if key in each}


def complaints(machine: Json) -> list[str]:
    """Say what cfn-lint, which knows the states language, has against a definition."""
    properties = {"Definition": machine, "RoleArn": "arn:aws:iam::123456789012:role/a-role"}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    return [str(match) for match in linter().validate_template({"Resources": {"Machine": resource}})]


@cache
def linter() -> Any:
    """Return cfn-lint with its rules, which it would read again for each definition."""
    from cfnlint.config import ConfigMixIn  # noqa: PLC0415 - cfn-lint takes seconds to import
    from cfnlint.runner import Runner  # noqa: PLC0415 - the same

    return Runner(ConfigMixIn(regions=[REGION]))


class TestLanguage:
    """What Step Functions would refuse at the deployment, or stumble over in the night."""

    def test_it_is_what_step_functions_takes(self, machine: Json) -> None:
        """Every state has the fields of its type, of the right types."""
        assert complaints(machine) == []

    @pytest.mark.parametrize(
        ("state", "field", "value"),
        [
            ("Every ad account", "ToleratedFailurePercentage", "all"),
            ("Every ad account", "ItemProcesor", {}),
            ("Open the run", "Retry", {"ErrorEquals": ["States.ALL"]}),
            ("Done", "Type", "Success"),
        ],
    )
    def test_what_is_wrong_would_be_noticed(self, machine: Json, state: str, field: str, value: Any) -> None:
        """A value of the wrong type, a slip in a name, a type that there is not."""
        wrong = copy.deepcopy(machine)
        wrong["States"][state][field] = value

        assert complaints(wrong)

    def test_each_way_leads_to_a_state(self, machine: Json) -> None:
        """No state is named that is not there, and none is there that nothing leads to."""
        for each in machines(machine):
            named = {each["StartAt"], *(name for state in each["States"].values() for name in targets(state))}
            assert named == each["States"].keys()

    def test_it_is_json_before_anything_is_filled_in(self) -> None:
        """CloudFormation reads the file before it fills in the parameters."""
        assert json.loads(DEFINITION.read_text())["StartAt"] == "Take the input"

    def test_its_numbers_are_the_stacks_parameters(self, deploy: Deploy) -> None:
        """They are filled in as texts, and made numbers where a path leads to them."""
        states = states_of(definition(deploy(Fleet="true", FleetAccountsAtOnce="7", FleetRecheckSeconds="60")))

        taken = states["Take the input"]["Parameters"]
        assert taken["accounts_at_once.$"] == "States.StringToJson('7')"
        assert taken["seconds_before_recheck.$"] == "States.StringToJson('60')"
        assert states["Every ad account"]["MaxConcurrencyPath"] == "$.accounts_at_once"


class TestCalls:
    """The calls of the function."""

    def test_each_calls_the_function_and_outlives_it(self, machine: Json, stack: Stack) -> None:
        """A task that is given up while its invocation is still at work would be done twice at once."""
        timeout = stack["SyncFunction"]["Properties"]["Timeout"]

        for name, _ in calls_of(machine):
            task = states_of(machine)[name]
            assert task["Parameters"]["FunctionName"] == "${SyncFunction.Arn}"
            assert timeout < task["TimeoutSeconds"] < 2 * timeout

    def test_what_the_next_call_would_end_with_too_is_not_tried_again(self, machine: Json) -> None:
        """It stands first, for the first that matches decides; the errors have the names of the function's classes."""
        for name, _ in calls_of(machine):
            first, *others = states_of(machine)[name]["Retry"]
            assert first["MaxAttempts"] == 0
            assert set(first["ErrorEquals"]) == HOPELESS | HOPELESS_OF.get(name, set())
            own = [each for retrier in (first, *others) for each in retrier["ErrorEquals"] if "." not in each]
            assert all(issubclass(getattr(errors, each), errors.ClosradsError) for each in own)
            assert "ConfigUnavailableError" not in first["ErrorEquals"], "the Parameter Store may answer a minute later"
            assert [each["ErrorEquals"] for each in others if "States.TaskFailed" in each["ErrorEquals"]] == [
                ["States.TaskFailed", "States.Timeout"]
            ]

    def test_each_is_tried_again_with_growing_pauses(self, machine: Json) -> None:
        """A throttle of Lambda or a dead invocation passes."""
        for name, _ in calls_of(machine):
            for retrier in states_of(machine)[name]["Retry"][1:]:
                assert retrier["MaxAttempts"] >= 2
                assert retrier["BackoffRate"] > 1
                assert retrier["IntervalSeconds"] >= 10 or retrier["JitterStrategy"] == "FULL"


class TestMaps:
    """Ad accounts side by side, their campaigns one after the other."""

    def test_campaigns_of_an_account_never_run_together(self, machine: Json) -> None:
        """Else they would spend its quota twice; accounts do run together."""
        states = states_of(machine)

        assert states["Every ad account"]["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
        assert states["Each campaign"]["ItemProcessor"]["ProcessorConfig"]["Mode"] == "INLINE"
        assert states["Each campaign"]["MaxConcurrency"] == 1
        assert "MaxConcurrency" not in states["Every ad account"]

    def test_one_failure_stops_no_other(self, machine: Json) -> None:
        """Whatever a campaign's call ends with, the next campaign follows, and the report comes."""
        states = states_of(machine)

        assert [each["ErrorEquals"] for each in states["Work on it"]["Catch"]] == [["States.ALL"]]
        assert states["Every ad account"]["ToleratedFailurePercentage"] == 100
        (whole,) = states["Every ad account"]["Catch"]
        assert (whole["ErrorEquals"], whole["ResultPath"]) == (["States.ALL"], "$.failure"), "so it ends as failed"
        assert {states["Every ad account"]["Next"], whole["Next"]} == {"Close the run"}
        assert [each["ErrorEquals"] for each in states["Close the run"]["Catch"]] == [["States.ALL"]]

    def test_a_failed_report_does_not_keep_the_recheck_away(self, machine: Json) -> None:
        """First it is looked again, then the execution fails, so that the alarm rings."""
        states = states_of(machine)
        again, failed = states["Look again?"]["Choices"]

        assert {each["Next"] for each in states["Close the run"]["Catch"]} == {"Look again?"}
        assert again == {"Variable": "$.run.recheck", "IsNull": False, "Next": "Let Meta look first"}
        assert failed == {"Variable": "$.failure", "IsPresent": True, "Next": "Failed"}

    def test_nothing_large_goes_from_state_to_state(self, machine: Json) -> None:
        """Of an answer only ids and waits are kept, of an item nothing; the rest is in the ledger."""
        states = states_of(machine)
        kept = {key for name, _ in calls_of(machine) for key in states[name]["ResultSelector"]}

        assert kept == {"run_id.$", "accounts.$", "recheck.$", "again_in_seconds.$"}
        for each in list(machines(machine))[1:]:
            (last,) = (state for state in each["States"].values() if state.get("End"))
            assert (last["Type"], last["Result"]) == ("Pass", {})
        assert {state["ResultPath"] for state in states.values() if state["Type"] == "Map"} == {None}


class TestWaits:
    """Waits cost nothing, and each has its reason."""

    def test_each_is_as_long_as_somebody_says(self, machine: Json, template: Json) -> None:
        """The function's answer, or the parameter for the recheck."""
        stated = {
            name: state.get("SecondsPath") or state["Seconds"]
            for name, state in states_of(machine).items()
            if state["Type"] == "Wait"
        }

        assert stated == {
            "Wait for it": "$.part.again_in_seconds",
            "Wait for who closes it": "$.closed.again_in_seconds",
            "Let Meta look first": "$.seconds_before_recheck",
        }
        assert template["Parameters"]["FleetRecheckSeconds"]["MaxValue"] < LARGEST_WAIT

    def test_it_ends_by_itself(self, machine: Json, template: Json) -> None:
        """There is time for a run, the longest pause, and the recheck, each with all that may be waited for quota."""
        longest = 2 * fleet.RESUMED_FOR.total_seconds() + template["Parameters"]["FleetRecheckSeconds"]["MaxValue"]

        assert longest < machine["TimeoutSeconds"] < 24 * 3600
