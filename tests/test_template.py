"""The stack that gets deployed: the SAM template expanded offline, as CloudFormation will see it in each stage."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from cfnlint.api import lint
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from closrads.observability import MAIL_FAILED, NAMESPACE, ROLLBACK_FAILED, RUN_SUCCEEDED, SERVICE
from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
REGION = "us-east-1"

RESOURCES = {
    "SyncFunction": "AWS::Lambda::Function",
    "SyncFunctionRole": "AWS::IAM::Role",
    "SyncFunctionEventInvokeConfig": "AWS::Lambda::EventInvokeConfig",
    "SyncFunctionDaily": "AWS::Scheduler::Schedule",
    "SyncFunctionDailyRole": "AWS::IAM::Role",
    "SyncFunctionRecheck": "AWS::Scheduler::Schedule",
    "SyncFunctionRecheckRole": "AWS::IAM::Role",
    "Ledger": "AWS::DynamoDB::Table",
    "SyncLogs": "AWS::Logs::LogGroup",
    "MissedRuns": "AWS::SQS::Queue",
    "FailedRuns": "AWS::SQS::Queue",
    "Alerts": "AWS::SNS::Topic",
    "RunFailed": "AWS::CloudWatch::Alarm",
    "MissedRun": "AWS::CloudWatch::Alarm",
    "RollbackFailed": "AWS::CloudWatch::Alarm",
    "MailFailed": "AWS::CloudWatch::Alarm",
    "NearTimeout": "AWS::CloudWatch::Alarm",
}
ONLY_IN_PROD = {"Silence": "AWS::CloudWatch::Alarm"}
ENVIRONMENT = {
    "CLOSRADS_STAGE",
    "CLOSRADS_PARAMETER_PATH",
    "CLOSRADS_GRAPH_URL",
    "CLOSRADS_TIMEZONE",
    "CLOSRADS_LEDGER_TABLE",
    "DRY_RUN",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_ENDPOINT_URL",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
}
SCHEDULES = ["SyncFunctionDaily", "SyncFunctionRecheck"]
ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"
WILDCARDS = {  # the only resources with a `*`, each with its reason
    ARN % ("ssm", "parameter/closrads/dev/*"): "all settings of the stage are read with one call",
    ARN % ("ssm", "parameter/closrads/prod/*"): "the same",
    ARN % ("ses", "identity/*"): "the default of SenderIdentity: no address has a default",
    ARN
    % ("ses", "configuration-set/*"): "which set is an identity's default is not known here, and it grants no sending",
}

Json: TypeAlias = Any
Deploy: TypeAlias = Callable[..., dict[str, Json]]


class NoManagedPolicies:
    """Keeps the translator from asking AWS for the list of managed policies."""

    def load(self) -> dict[str, str]:
        """Give no policy."""
        return {}


def evaluate(node: Json, parameters: dict[str, Json], conditions: dict[str, Json]) -> Json:
    """Decide conditions and fill in parameters; what only a deployed stack knows stays as it is."""

    def again(inner: Json) -> Json:
        return evaluate(inner, parameters, conditions)

    result = node
    match node:
        case list():
            result = [again(item) for item in node]
        case {"Ref": str(name)}:
            result = parameters.get(name, node)
        case {"Fn::Sub": str(text)}:
            result = re.sub(r"\$\{(\w+)\}", lambda found: str(parameters.get(found[1], found[0])), text)
        case {"Fn::Equals": [left, right]}:
            result = again(left) == again(right)
        case {"Fn::Not": [condition]}:
            result = not again(condition)
        case {"Fn::If": [name, if_true, if_false]}:
            result = again(if_true if again(conditions[name]) else if_false)
        case dict():
            values = {key: again(value) for key, value in node.items()}
            result = {key: value for key, value in values.items() if value != {"Ref": "AWS::NoValue"}}
    return result


@pytest.fixture(scope="module")
def template() -> Json:
    """Read the template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


@pytest.fixture(scope="module")
def expanded() -> Iterator[Json]:
    """Expand the template; SAM itself replaces the code's folder by an address in S3 when it deploys."""
    template = yaml_parse(TEMPLATE.read_text())
    template["Resources"]["SyncFunction"]["Properties"]["CodeUri"] = "s3://a-bucket/a-key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield transform(template, {}, NoManagedPolicies())


@pytest.fixture(scope="module")
def deploy(expanded: Json) -> Deploy:
    """Give a function that tells which resources a deployment with some parameters has, by logical id."""

    def resources(**parameters: str) -> dict[str, Json]:
        defaults = {name: parameter["Default"] for name, parameter in expanded["Parameters"].items()}
        assert parameters.keys() <= defaults.keys()
        conditions = expanded["Conditions"]
        values = defaults | parameters
        return {
            name: evaluate(resource, values, conditions)
            for name, resource in expanded["Resources"].items()
            if "Condition" not in resource or evaluate(conditions[resource["Condition"]], values, conditions)
        }

    return resources


@pytest.fixture(params=["dev", "prod"])
def stage(request: pytest.FixtureRequest) -> str:
    """Name each stage in turn."""
    return str(request.param)


@pytest.fixture
def stack(deploy: Deploy, stage: str) -> dict[str, Json]:
    """Give the resources of that stage, all other parameters left alone."""
    return deploy(Stage=stage)


def of_type(stack: dict[str, Json], kind: str) -> dict[str, Json]:
    """Give the properties of all resources of one type, by logical id."""
    return {name: each["Properties"] for name, each in stack.items() if each["Type"] == kind}


def statements(stack: dict[str, Json]) -> list[Json]:
    """Give every permission that any role of the stack has by a policy of its own."""
    roles = of_type(stack, "AWS::IAM::Role").values()
    policies = [policy["PolicyDocument"] for role in roles for policy in role["Policies"]]
    return [statement for policy in policies for statement in policy["Statement"]]


def listed(value: Json) -> list[Json]:
    """Give what IAM lets one write alone as a list."""
    return value if isinstance(value, list) else [value]


def test_the_stack_holds_exactly_these_resources(stack: dict[str, Json], stage: str) -> None:
    """A resource that is lost, or one that nobody asked for, is noticed before it is deployed."""
    expected = RESOURCES | (ONLY_IN_PROD if stage == "prod" else {})

    assert {name: resource["Type"] for name, resource in stack.items()} == expected


@pytest.mark.parametrize("source", ["written", "expanded"])
def test_cfn_lint_finds_nothing(source: str, expanded: Json) -> None:
    """Both what is written and what SAM makes of it are sound."""
    text = TEMPLATE.read_text() if source == "written" else json.dumps(expanded)

    assert [str(match) for match in lint(text, regions=[REGION])] == []


def test_the_ledger_has_the_shape_that_everything_is_tested_with(stack: dict[str, Json], sandbox: Sandbox) -> None:
    """What the sandbox lets through, the deployed table takes as well: same keys, same index."""

    def shape(table: Json) -> Json:
        return {
            "keys": table["KeySchema"],
            "types": {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]},
            "indexes": {
                each["IndexName"]: (each["KeySchema"], each["Projection"]) for each in table["LocalSecondaryIndexes"]
            },
            "global": table.get("GlobalSecondaryIndexes", []),
        }

    sandboxed = sandbox.aws.client("dynamodb").describe_table(TableName=LEDGER_TABLE)["Table"]

    assert shape(stack["Ledger"]["Properties"]) == shape(sandboxed)


def test_the_open_changes_of_a_campaign_are_found_by_a_local_index(stack: dict[str, Json]) -> None:
    """Only a local index can be read consistently, and only open changes, which alone have its key, are in it."""
    table = stack["Ledger"]["Properties"]

    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert table["LocalSecondaryIndexes"] == [
        {
            "IndexName": "open",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "open_since", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]
    assert "GlobalSecondaryIndexes" not in table


def test_the_ledger_outlives_accidents(stack: dict[str, Json], stage: str) -> None:
    """Neither a deleted or changed stack nor, in prod, a slip in the console loses the way back."""
    ledger = stack["Ledger"]

    assert (ledger["DeletionPolicy"], ledger["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert ledger["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["Properties"]["DeletionProtectionEnabled"] is (stage == "prod")
    assert "TableName" not in ledger["Properties"], "a second stack, or a table left behind, would collide with it"


def test_the_ledger_costs_by_use_and_forgets(stack: dict[str, Json]) -> None:
    """An idle table costs next to nothing, and what has expired goes by itself."""
    table = stack["Ledger"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_every_parameter_is_described_and_bounded(template: Json) -> None:
    """A typing error is refused before anything is deployed."""
    careless = [
        name
        for name, parameter in template["Parameters"].items()
        if not (parameter["Description"] and parameter.keys() & {"AllowedValues", "AllowedPattern"})
    ]

    assert careless == []


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "ScheduleExpression",
            ["cron(0 7 * * ? *)", "rate(1 day)"],
            ["", "30 6 * * *", "at(2026-05-04T06:30:00)"],
        ),
        ("RecheckScheduleExpression", ["cron(30 7 * * ? *)", "rate(1 day)"], ["", "0 7 * * *"]),
        ("ScheduleTimezone", ["UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"], ["", "America/New York"]),
        ("AlertEmail", ["", "on-call@example.com"], ["on-call", "a@b", "a@example.com, b@example.com"]),
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


def test_every_statement_says_what_it_is_for(template: Json) -> None:
    """Permissions are written out here under a name, never taken from a ready-made policy that grants more."""
    policies = template["Resources"]["SyncFunction"]["Properties"]["Policies"]

    assert [statement["Sid"] for policy in policies for statement in policy["Statement"]] == [
        "ReadParameters",
        "SendReport",
        "KeepLedger",
    ]


def test_no_permission_is_wider_than_its_reason(stack: dict[str, Json]) -> None:
    """No action has a wildcard, and no resource either, unless the list above says why."""
    actions = [action for statement in statements(stack) for action in listed(statement["Action"])]
    resources = [resource for statement in statements(stack) for resource in listed(statement["Resource"])]

    assert {"ssm:GetParametersByPath", "ses:SendEmail"} < set(actions)
    assert [action for action in actions if "*" in action] == []
    assert [text for text in resources if isinstance(text, str) and "*" in text and text not in WILDCARDS] == []


def test_the_function_sees_the_settings_of_its_own_stage_only(stack: dict[str, Json], stage: str) -> None:
    """A dev function cannot read the credentials of prod."""
    readable = [statement["Resource"] for statement in statements(stack) if statement.get("Sid") == "ReadParameters"]

    assert readable == [[ARN % ("ssm", f"parameter/closrads/{stage}"), ARN % ("ssm", f"parameter/closrads/{stage}/*")]]


def test_the_ledger_can_be_written_but_not_scanned_or_changed(stack: dict[str, Json]) -> None:
    """Single items and queries, of this stack's table and its one index; no scan, no batch, nothing about the table."""
    actions = ["DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"]
    (index,) = stack["Ledger"]["Properties"]["LocalSecondaryIndexes"]
    (granted,) = [each for each in statements(stack) if "dynamodb:" in str(each["Action"])]

    assert (granted["Sid"], granted["Effect"]) == ("KeepLedger", "Allow")
    assert sorted(granted["Action"]) == [f"dynamodb:{action}" for action in actions]
    assert granted["Resource"] == [{"Fn::GetAtt": ["Ledger", "Arn"]}, f"${{Ledger.Arn}}/index/{index['IndexName']}"]


def test_a_sender_can_be_pinned(deploy: Deploy) -> None:
    """With SenderIdentity given, mail can be sent from that identity and no other."""
    stack = deploy(SenderIdentity="example.com")
    sending = [statement["Resource"] for statement in statements(stack) if statement.get("Sid") == "SendReport"]

    assert sending == [[ARN % ("ses", "identity/example.com"), ARN % ("ses", "configuration-set/*")]]


def test_the_only_managed_policy_is_the_one_for_logs(stack: dict[str, Json]) -> None:
    """No broad permission comes in by a policy that somebody else maintains."""
    managed = [arn for role in of_type(stack, "AWS::IAM::Role").values() for arn in role.get("ManagedPolicyArns", [])]

    assert managed == ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]


def test_every_function_logs_to_a_group_that_forgets(stack: dict[str, Json]) -> None:
    """No log grows for ever, and each line is JSON at a level that keeps the metrics, which count as INFO."""
    for function in of_type(stack, "AWS::Lambda::Function").values():
        logging = function["LoggingConfig"]
        group = stack[logging["LogGroup"]["Ref"]]

        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "INFO")
        assert group["Properties"]["RetentionInDays"] == 90


def test_the_environment_is_what_the_code_reads(stack: dict[str, Json], stage: str) -> None:
    """No variable is set that nothing reads, and without an event's word every run is dry."""
    variables = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]

    assert variables.keys() == ENVIRONMENT
    assert variables["DRY_RUN"] == "true"
    assert variables["CLOSRADS_STAGE"] == stage
    assert variables["CLOSRADS_PARAMETER_PATH"] == f"/closrads/{stage}"
    assert variables["CLOSRADS_LEDGER_TABLE"] == {"Ref": "Ledger"}


def test_boto3_takes_the_empty_endpoint_as_none(stack: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is declared only for `sam local invoke`, and must not lead a deployed function astray."""
    empty = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", empty)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_SSM"):
        monkeypatch.delenv(name, raising=False)

    assert empty == ""
    assert boto3.Session().client("ssm", region_name=REGION).meta.endpoint_url == f"https://ssm.{REGION}.amazonaws.com"


@pytest.mark.parametrize("service", ["dynamodb", "ssm", "sesv2"])
def test_boto3_gives_up_in_time(stack: dict[str, Json], service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts at each service, whatever the runtime's boto3 would do; it reads both variables."""
    variables = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]
    for name in ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"):
        monkeypatch.setenv(name, variables[name])
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    retries = boto3.Session().client(service, region_name=REGION).meta.config.retries

    assert retries == {"total_max_attempts": 3, "mode": "standard"}


@pytest.mark.parametrize(("one_at_a_time", "expected"), [("true", 1), ("false", None)])
def test_runs_do_not_overlap_unless_the_account_is_too_small(
    deploy: Deploy, one_at_a_time: str, expected: int | None
) -> None:
    """One run at a time is the default, and can be given up where the account's limit leaves no choice."""
    function = deploy(OneAtATime=one_at_a_time)["SyncFunction"]["Properties"]

    assert function.get("ReservedConcurrentExecutions") == expected


def test_a_failed_run_is_kept_and_not_repeated(stack: dict[str, Json]) -> None:
    """Lambda never repeats a half-done run on its own, and what failed can be read later."""
    config = stack["SyncFunctionEventInvokeConfig"]["Properties"]

    assert config["FunctionName"] == {"Ref": "SyncFunction"}
    assert config["MaximumRetryAttempts"] == 0
    assert config["MaximumEventAgeInSeconds"] == 3600
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedRuns", "Arn"]}


def test_the_schedules_run_in_prod_only(stack: dict[str, Json], stage: str) -> None:
    """A deployment to dev can never write to Meta by itself."""
    states = {name: schedule["State"] for name, schedule in of_type(stack, "AWS::Scheduler::Schedule").items()}

    assert states == dict.fromkeys(SCHEDULES, {"dev": "DISABLED", "prod": "ENABLED"}[stage])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_keeps_local_time_and_its_name_to_itself(deploy: Deploy, schedule: str) -> None:
    """The report's dates and both schedules share one time zone, and two stacks do not collide."""
    stack = deploy(ScheduleTimezone="America/Chicago")
    properties = stack[schedule]["Properties"]

    assert properties["ScheduleExpressionTimezone"] == "America/Chicago"
    assert stack["SyncFunction"]["Properties"]["Environment"]["Variables"]["CLOSRADS_TIMEZONE"] == "America/Chicago"
    assert "Name" not in properties


def test_each_schedule_can_be_moved_by_itself(deploy: Deploy) -> None:
    """Each parameter moves the schedule that it is named for."""
    moved = deploy(ScheduleExpression="cron(0 9 * * ? *)", RecheckScheduleExpression="cron(45 9 * * ? *)")

    assert [moved[name]["Properties"]["ScheduleExpression"] for name in SCHEDULES] == [
        "cron(0 9 * * ? *)",
        "cron(45 9 * * ? *)",
    ]


def test_the_recheck_comes_half_an_hour_after_the_run(stack: dict[str, Json]) -> None:
    """By then the longest run is over, and Meta has had time to break something."""
    times = []
    for name in SCHEDULES:
        daily = re.fullmatch(r"cron\((\d+) (\d+) \* \* \? \*\)", stack[name]["Properties"]["ScheduleExpression"])
        assert daily
        times.append(int(daily[2]) * 60 + int(daily[1]))

    assert times == [6 * 60 + 30, 6 * 60 + 30 + 30]
    assert (times[1] - times[0]) * 60 > stack["SyncFunction"]["Properties"]["Timeout"]


@pytest.mark.parametrize(
    ("schedule", "action", "file"),
    [("SyncFunctionDaily", "sync", "scheduled-live"), ("SyncFunctionRecheck", "recheck", "scheduled-recheck")],
)
def test_a_schedule_sends_the_event_that_is_tested(
    stack: dict[str, Json], schedule: str, action: str, file: str
) -> None:
    """The file in `events/` is the schedule's own input, but for the time that Scheduler fills in."""
    target = stack[schedule]["Properties"]["Target"]
    sent = json.loads(target["Input"])
    example = json.loads((ROOT / "events" / f"{file}.json").read_text())

    assert target["Arn"] == {"Fn::GetAtt": ["SyncFunction", "Arn"]}
    assert sent.pop("scheduled") == "<aws.scheduler.scheduled-time>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", example.pop("scheduled"))
    assert sent == example == {"action": action, "dry_run": False}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_that_cannot_start_is_kept(stack: dict[str, Json], schedule: str) -> None:
    """Scheduler tries again within the hour, then leaves the event where an alarm watches."""
    target = stack[schedule]["Properties"]["Target"]

    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["MissedRuns", "Arn"]}
    assert stack["MissedRun"]["Properties"]["Dimensions"] == [
        {"Name": "QueueName", "Value": {"Fn::GetAtt": ["MissedRuns", "QueueName"]}}
    ]


def test_queues_keep_what_they_hold_safely_for_two_weeks(stack: dict[str, Json]) -> None:
    """A failure over a holiday can still be read afterwards, and rests encrypted."""
    for queue in of_type(stack, "AWS::SQS::Queue").values():
        assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


def test_every_alarm_reaches_a_person_and_says_what_to_do_first(stack: dict[str, Json]) -> None:
    """An alarm goes to the topic, which CloudWatch may publish to only without the AWS-managed key."""
    for alarm in of_type(stack, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "Alerts"}]
        assert " First " in alarm["AlarmDescription"]
        assert len(alarm["AlarmDescription"]) < 1024
    assert "KmsMasterKeyId" not in stack["Alerts"]["Properties"]


def test_an_address_is_subscribed_when_it_is_given(deploy: Deploy) -> None:
    """The alarms of a stack with AlertEmail go to that address."""
    subscription = deploy(AlertEmail="on-call@example.com")["AlertSubscription"]["Properties"]

    assert subscription == {"TopicArn": {"Ref": "Alerts"}, "Protocol": "email", "Endpoint": "on-call@example.com"}


def test_alarms_watch_metrics_by_the_dimensions_they_are_emitted_with(deploy: Deploy) -> None:
    """An alarm with one dimension more or less than the metric sees nothing, for ever."""
    stack = deploy(Stage="prod")
    alarms = of_type(stack, "AWS::CloudWatch::Alarm")
    variables = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]
    own = {name: each for name, each in alarms.items() if not each["Namespace"].startswith("AWS/")}

    assert {name: each["MetricName"] for name, each in own.items()} == {
        "Silence": RUN_SUCCEEDED,
        "RollbackFailed": ROLLBACK_FAILED,
        "MailFailed": MAIL_FAILED,
    }
    for alarm in own.values():
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
        assert dimensions == {"service": SERVICE, "stage": "prod"}
    assert variables["POWERTOOLS_SERVICE_NAME"] == SERVICE
    for name in ("RunFailed", "NearTimeout"):
        assert alarms[name]["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "SyncFunction"}}]


def test_silence_rings_after_a_day_and_not_at_the_first_deploy(deploy: Deploy) -> None:
    """Missing data is bad news, over the 25 hours of an autumn day and one more, once the first of them have passed."""
    silence = deploy(Stage="prod")["Silence"]["Properties"]
    hours = silence["EvaluationPeriods"] * silence["Period"] / 3600

    assert silence["Period"] >= 3600, "CloudWatch lets shorter periods look back one day at most"
    assert hours == 26
    assert silence["TreatMissingData"] == "breaching"
    assert (silence["ComparisonOperator"], silence["Threshold"]) == ("LessThanThreshold", 1)
    assert silence["WarmUpConfiguration"] == {"WarmUpPeriodDurationInMinutes": hours * 60}


def test_one_sign_of_trouble_is_enough_and_none_is_fine(stack: dict[str, Json]) -> None:
    """An alarm rings at the first error, lost run or failed rollback, and not for want of data between daily runs."""
    alarms = of_type(stack, "AWS::CloudWatch::Alarm")
    alarms.pop("Silence", None)

    for name, metric in {
        "RunFailed": ("AWS/Lambda", "Errors", "Sum"),
        "MissedRun": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
        "RollbackFailed": (NAMESPACE, ROLLBACK_FAILED, "Sum"),
        "MailFailed": (NAMESPACE, MAIL_FAILED, "Sum"),
    }.items():
        alarm = alarms[name]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == metric
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert {(each["EvaluationPeriods"], each["TreatMissingData"]) for each in alarms.values()} == {(1, "notBreaching")}


def test_a_long_run_is_noticed_before_it_is_cut_off(stack: dict[str, Json]) -> None:
    """The alarm stands at four fifths of the time-out, whatever that is."""
    alarm = stack["NearTimeout"]["Properties"]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Lambda", "Duration", "Maximum")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Threshold"] == 0.8 * stack["SyncFunction"]["Properties"]["Timeout"] * 1000


@pytest.mark.parametrize(("environment", "expected"), [("default", "dev"), ("prod", "prod")])
def test_each_environment_deploys_its_own_stage(environment: str, expected: str) -> None:
    """`sam deploy --config-env prod` updates the prod stack and no other; the plain command only dev."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]

    assert config["global"]["parameters"]["stack_name"] == f"closrads-{expected}"
    assert config["deploy"]["parameters"]["parameter_overrides"] == [f"Stage={expected}"]
