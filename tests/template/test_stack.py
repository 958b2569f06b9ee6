"""The stack as a whole: what it holds, what can be set, and what deploys it."""

import re
import tomllib

import pytest

from tests.template.stack import ROOT, Json

RESOURCES = {
    "SyncFunction": "AWS::Lambda::Function",
    "SyncFunctionRole": "AWS::IAM::Role",
    "SyncFunctionEventInvokeConfig": "AWS::Lambda::EventInvokeConfig",
    "SyncFunctionDaily": "AWS::Scheduler::Schedule",
    "ScheduleRole": "AWS::IAM::Role",
    "SyncFunctionRecheck": "AWS::Scheduler::Schedule",
    "Ledger": "AWS::DynamoDB::Table",
    "SyncLogs": "AWS::Logs::LogGroup",
    "MissedRuns": "AWS::SQS::Queue",
    "FailedRuns": "AWS::SQS::Queue",
    "Alerts": "AWS::SNS::Topic",
    "RunFailed": "AWS::CloudWatch::Alarm",
    "MissedRun": "AWS::CloudWatch::Alarm",
    "LostRun": "AWS::CloudWatch::Alarm",
    "RollbackFailed": "AWS::CloudWatch::Alarm",
    "MailFailed": "AWS::CloudWatch::Alarm",
    "NearTimeout": "AWS::CloudWatch::Alarm",
    "ApiVersionEnds": "AWS::CloudWatch::Alarm",
    "TokenEnds": "AWS::CloudWatch::Alarm",
    "Dashboard": "AWS::CloudWatch::Dashboard",
}
ONLY_WITH_SCHEDULES = dict.fromkeys(["Silence", "RecheckSilence"], "AWS::CloudWatch::Alarm")
ONLY_WITH_FLEET = {
    "FleetRun": "AWS::StepFunctions::StateMachine",
    "FleetRunRole": "AWS::IAM::Role",
    "FleetRunDaily": "AWS::Scheduler::Schedule",
    "FleetScheduleRole": "AWS::IAM::Role",
    "FleetFailed": "AWS::CloudWatch::Alarm",
}
REPLACEABLE = {  # what may go with the stack, each with its reason; all else must outlive it
    **dict.fromkeys(["AWS::Lambda::Function", "AWS::Lambda::EventInvokeConfig", "AWS::IAM::Role"], "made anew"),
    **dict.fromkeys(["AWS::Scheduler::Schedule", "AWS::SNS::Topic"], "made anew"),
    **dict.fromkeys(["AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"], "made anew"),
    "AWS::StepFunctions::StateMachine": "its history goes with it; what matters is in the ledger",
    "AWS::Logs::LogGroup": "forgets after 90 days anyway; what matters is in the ledger",
    "AWS::SQS::Queue": "tells what to do today, which nobody does for a stack that is gone",
}


def test_the_stack_holds_exactly_these_resources(stack: dict[str, Json], stage: str, fleet: bool) -> None:  # noqa: FBT001
    """A resource that is lost, or one that nobody asked for, is noticed before it is deployed."""
    expected = RESOURCES | (ONLY_WITH_SCHEDULES if stage == "prod" else {}) | (ONLY_WITH_FLEET if fleet else {})

    assert {name: resource["Type"] for name, resource in stack.items()} == expected


def test_what_cannot_be_made_anew_outlives_the_stack(stack: dict[str, Json]) -> None:
    """Neither deleting the stack nor a change that replaces a resource loses what nobody could bring back."""
    kept = {name: each for name, each in stack.items() if each["Type"] not in REPLACEABLE}

    assert set(kept) == {"Ledger"}
    assert {(each["DeletionPolicy"], each["UpdateReplacePolicy"]) for each in kept.values()} == {("Retain", "Retain")}


def test_every_parameter_is_described_and_bounded(template: Json) -> None:
    """A typing error is refused before anything is deployed."""
    careless = [
        name
        for name, parameter in template["Parameters"].items()
        if not (parameter["Description"] and parameter.keys() & {"AllowedValues", "AllowedPattern", "MaxValue"})
    ]

    assert careless == []


NO_SCHEDULES = [
    "",
    "30 6 * * *",
    "at(2026-05-04T06:30:00)",
    "cron(30 6 * * *)",
    "cron(30 6 * * * *)",
    "cron(30 6 * * ? *",
    "cron(30 6 ? * ? * *)",
    "rate(day)",
    "rate(0 days)",
    "rate(1 year)",
]


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "ScheduleExpression",
            ["cron(0 7 * * ? *)", "cron(30 * * * ? *)", "cron(0 7 ? * MON-FRI *)", "rate(1 day)"],
            NO_SCHEDULES,
        ),
        ("RecheckScheduleExpression", ["cron(30 7 * * ? *)", "cron(30 7 ? * 2-6 *)", "rate(12 hours)"], NO_SCHEDULES),
        ("ScheduleTimezone", ["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"], ["", "America/New York"]),
        ("AlertEmail", ["", "on-call@example.com"], ["on-call", "a@b", "a@example.com, b@example.com"]),
        ("KmsKeyArn", ["", "arn:aws:kms:us-east-1:111122223333:key/1a2b3c-4d"], ["alias/mine", "1a2b3c-4d", "*"]),
        (
            "LedgerTable",
            ["", "closrads-prod-Ledger-1A2B3C"],
            ["a", "*", "table/closrads", "arn:aws:dynamodb:::table/a"],
        ),
        ("SenderIdentity", ["*", "example.com", "reports@mail.example.com"], ["", "*.com", "example", "a@*"]),
    ],
)
def test_a_parameter_takes_what_it_should(template: Json, parameter: str, good: list[str], bad: list[str]) -> None:
    """Each pattern lets in the values that its description promises, and no wildcard in disguise."""
    pattern = re.compile(template["Parameters"][parameter]["AllowedPattern"])

    assert [
        value for value in [template["Parameters"][parameter]["Default"], *good] if not pattern.fullmatch(value)
    ] == []
    assert [value for value in bad if pattern.fullmatch(value)] == []


@pytest.mark.parametrize(("environment", "expected"), [("default", "dev"), ("prod", "prod")])
def test_each_environment_deploys_its_own_stage(environment: str, expected: str) -> None:
    """`sam deploy --config-env prod` updates the prod stack and no other; the plain command only dev."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]

    assert config["global"]["parameters"]["stack_name"] == f"closrads-{expected}"
    assert config["deploy"]["parameters"]["parameter_overrides"] == [f"Stage={expected}"]
