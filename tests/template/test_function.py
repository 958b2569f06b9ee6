"""The function: its environment, its log, and what becomes of a run that fails."""

import os
from functools import cache

import boto3
import pytest

from closrads.observability import NAMESPACE, SERVICE
from tests.template.stack import REGION, Deploy, Json, as_text, of_type

ENVIRONMENT = {
    "CLOSRADS_STAGE",
    "CLOSRADS_PARAMETER_PATH",
    "CLOSRADS_GRAPH_URL",
    "CLOSRADS_TIMEZONE",
    "CLOSRADS_SCHEDULE",
    "CLOSRADS_LEDGER_TABLE",
    "DRY_RUN",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_ENDPOINT_URL",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
}


@cache
def session() -> boto3.Session:
    """Return a session, which reads the description of each service once and the environment for each client."""
    return boto3.Session()


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
    assert (variables["POWERTOOLS_SERVICE_NAME"], variables["POWERTOOLS_METRICS_NAMESPACE"]) == (SERVICE, NAMESPACE)


def test_boto3_takes_the_empty_endpoint_as_none(stack: dict[str, Json], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is declared only for `sam local invoke`, and must not lead a deployed function astray."""
    empty = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", empty)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # boto3 looks there for credentials
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_SSM"):
        monkeypatch.delenv(name, raising=False)

    assert empty == ""
    assert session().client("ssm", region_name=REGION).meta.endpoint_url == f"https://ssm.{REGION}.amazonaws.com"


@pytest.mark.parametrize("service", ["dynamodb", "ssm", "sesv2"])
def test_boto3_gives_up_in_time(stack: dict[str, Json], service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts at each service, whatever the runtime's boto3 would do; it reads both variables."""
    variables = stack["SyncFunction"]["Properties"]["Environment"]["Variables"]
    for name in ("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"):
        monkeypatch.setenv(name, variables[name])
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # boto3 looks there for credentials
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    retries = session().client(service, region_name=REGION).meta.config.retries

    assert retries == {"total_max_attempts": 3, "mode": "standard"}


@pytest.mark.parametrize(
    ("one_at_a_time", "fleet", "expected"),
    [("true", "false", 1), ("false", "false", None), ("true", "true", None), ("false", "true", None)],
)
def test_runs_do_not_overlap_unless_they_have_to(
    deploy: Deploy, one_at_a_time: str, fleet: str, expected: int | None
) -> None:
    """Where it is asked for there is one at a time, but not where a workflow calls many."""
    function = deploy(OneAtATime=one_at_a_time, Fleet=fleet)["SyncFunction"]["Properties"]

    assert function.get("ReservedConcurrentExecutions") == expected


def test_it_deploys_in_an_account_that_can_reserve_nothing(stack: dict[str, Json]) -> None:
    """Lambda leaves 10 of an account's concurrent executions unreserved, and a new account may have no more than those.

    Source: Lambda Developer Guide, "Configuring reserved concurrency".
    """
    assert "ReservedConcurrentExecutions" not in stack["SyncFunction"]["Properties"]


def test_a_failed_run_is_kept_and_not_repeated(stack: dict[str, Json]) -> None:
    """Lambda never repeats a half-done run on its own, and what failed can be read later."""
    config = stack["SyncFunctionEventInvokeConfig"]["Properties"]

    assert config["FunctionName"] == {"Ref": "SyncFunction"}
    assert config["MaximumRetryAttempts"] == 0
    assert config["MaximumEventAgeInSeconds"] == 3600
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedRuns", "Arn"]}


def test_a_result_goes_to_the_default_bus(stack: dict[str, Json]) -> None:
    """So that a chat or a ticket is a rule away; Lambda sends it after the run, which never waits for it."""
    destination = stack["SyncFunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]["OnSuccess"]

    assert as_text(destination["Destination"]).endswith(":${AWS::AccountId}:event-bus/default")


def test_queues_keep_what_they_hold_safely_for_two_weeks(stack: dict[str, Json]) -> None:
    """A failure over a holiday can still be read afterwards, and rests encrypted."""
    for queue in of_type(stack, "AWS::SQS::Queue").values():
        assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}
