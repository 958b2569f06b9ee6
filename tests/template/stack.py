"""What CloudFormation makes of the expanded template, and short-cuts to look at it."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
DEFINITION = ROOT / "statemachine" / "fleet.asl.json"
REGION = "us-east-1"
ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"

Json: TypeAlias = Any
Stack: TypeAlias = Mapping[str, Json]
"""The resources by logical id."""
Deploy: TypeAlias = Callable[..., dict[str, Json]]
Series: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]
"""A metric as CloudWatch tells it from others: namespace, name, dimensions."""


def evaluate(  # noqa: C901 - one case for each of CloudFormation's functions
    node: Json, parameters: Mapping[str, Json], conditions: Mapping[str, Json]
) -> Json:
    """Decide conditions and fill in parameters; what only a deployed stack knows stays as it is."""

    def again(inner: Json) -> Json:
        return evaluate(inner, parameters, conditions)

    result = node
    match node:
        case list():
            result = [item for item in map(again, node) if item != {"Ref": "AWS::NoValue"}]
        case {"Ref": str(name)}:
            result = parameters.get(name, node)
        case {"Fn::Sub": template}:
            text, own = template if isinstance(template, list) else (template, {})
            values = {**parameters, **again(own)}
            result = re.sub(r"\$\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)
        case {"Fn::Equals": [left, right]}:
            result = again(left) == again(right)
        case {"Fn::Not": [condition]}:
            result = not again(condition)
        case {"Fn::And": both}:
            result = all(map(again, both))
        case {"Condition": str(name), **rest} if not rest:
            result = again(conditions[name])
        case {"Fn::If": [name, if_true, if_false]}:
            result = again(if_true if again(conditions[name]) else if_false)
        case dict():
            values = {key: again(value) for key, value in node.items()}
            result = {key: value for key, value in values.items() if value != {"Ref": "AWS::NoValue"}}
    return result


def of_type(stack: Stack, kind: str) -> dict[str, Json]:
    """Give the properties of all resources of one type, by logical id."""
    return {name: each["Properties"] for name, each in stack.items() if each["Type"] == kind}


def definition(stack: Stack) -> Json:
    """Read the workflow's definition as Step Functions gets it: with what the stack fills in."""
    text = DEFINITION.read_text()
    for name, value in stack["FleetRun"]["Properties"]["DefinitionSubstitutions"].items():
        text = text.replace(f"${{{name}}}", as_text(value))
    return json.loads(text)


def states_of(machine: Json) -> dict[str, Json]:
    """Give all states of a workflow by name, those within Maps included."""
    found: dict[str, Json] = {}
    for name, state in machine["States"].items():
        inner = {name: state, **(states_of(state["ItemProcessor"]) if state["Type"] == "Map" else {})}
        assert not found.keys() & inner.keys(), "a name stands for one state"
        found |= inner
    return found


def calls_of(machine: Json) -> list[tuple[str, str]]:
    """Give the name of each state that calls something, and what it calls."""
    return [(name, state["Resource"]) for name, state in states_of(machine).items() if state["Type"] == "Task"]


def alarms_of(stack: Stack) -> dict[str, Json]:
    """Give the properties of all alarms."""
    return of_type(stack, "AWS::CloudWatch::Alarm")


def listed(value: Json) -> list[Json]:
    """Give what CloudFormation lets one write alone as a list."""
    return value if isinstance(value, list) else [value]


def as_text(value: Json) -> str:
    """Give what only a deployed stack knows as `Fn::Sub` spells it."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
    return str(value)


def heard_by(alarm: Json) -> list[Series]:
    """Name the metrics that an alarm listens to."""
    return [series_of(each["MetricStat"]) for each in alarm["Metrics"] if "MetricStat" in each]


def series_of(stated: Json) -> Series:
    """Name the metric of a `MetricStat`."""
    metric = stated["Metric"]
    dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
    return series(metric["Namespace"], metric["MetricName"], dimensions)


def series(namespace: str, name: str, dimensions: Mapping[str, Json]) -> Series:
    """Name a metric."""
    return namespace, name, frozenset((key, as_text(value)) for key, value in dimensions.items())


AWS_EMITS = frozenset(
    {
        series("AWS/Lambda", "Errors", {"FunctionName": "${SyncFunction}"}),
        series("AWS/Lambda", "Duration", {"FunctionName": "${SyncFunction}"}),
        series("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "${MissedRuns.QueueName}"}),
        series("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "${FailedRuns.QueueName}"}),
        *(
            series("AWS/States", f"Executions{ending}", {"StateMachineArn": "${FleetRun}"})
            for ending in ("Succeeded", "Failed", "TimedOut", "Aborted")
        ),
    }
)
"""What AWS's services themselves tell of the stack, as far as anything here listens (their guides, "metrics")."""
