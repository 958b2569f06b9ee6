"""Who may do what: each role can do what is called for, and nothing more."""

import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, TypeAlias

import pytest

from closrads.domain.changes import ChangeState
from closrads.domain.request import Action
from sandbox.aws import LEDGER_TABLE, PARAMETER_PATH, AwsRequest
from sandbox.meta import Breakage
from tests.ledger_world import EARLIER, RECHECK, UNDO, leases, left_behind
from tests.template.stack import ARN, ROOT, Deploy, Json, Stack, as_text, calls_of, definition, listed, of_type
from tests.world import LIVE, START, World

Right: TypeAlias = tuple[str, str]
"""An action and what it is done to, as the template spells that."""

SETTINGS = ARN % ("ssm", "parameter/closrads/{stage}/*")
ENABLED = ARN % ("ssm", "parameter/closrads/{stage}/campaigns/*/enabled")
ANY_SENDER = ARN % ("ses", "identity/*")
CONFIGURATION_SETS = ARN % ("ses", "configuration-set/*")
EXECUTIONS = [ARN % ("states", f"execution:${{AWS::StackName}}-fleet{mark}*") for mark in ":/"]
WILDCARDS = {  # the only resources with a `*`, each with its reason
    SETTINGS: "all settings of the stage are read with one call, those of a campaign with four",
    ANY_SENDER: "the default of SenderIdentity: in the SES sandbox, where an account begins, recipients count as well",
    ENABLED: "campaigns are added without a deploy, and of each this one parameter is read before a wave",
    CONFIGURATION_SETS: "which set is an identity's default is not known here, and it grants no sending",
}
WILDCARDS_WITH_FLEET = dict.fromkeys(EXECUTIONS, "executions have names that nobody knows before")
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
"""What each part of a transaction takes; a transaction itself takes no right."""
DAILY = {"dry_run": False, "scheduled": f"{START:%Y-%m-%dT%H:%M:%SZ}"}


def statements(stack: Stack) -> list[Json]:
    """Give every permission that any role of the stack has by a policy of its own."""
    roles = of_type(stack, "AWS::IAM::Role").values()
    return [each for role in roles for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]


def rights_of(stack: Stack, role: str) -> set[Right]:
    """Give what a role may do, and to what."""
    policies = stack[role]["Properties"]["Policies"]
    allowed = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    assert {statement["Effect"] for statement in allowed} == {"Allow"}
    return {
        (action, as_text(resource))
        for statement in allowed
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def rights_for(call: AwsRequest) -> Iterator[Right]:
    """Say which rights a call takes."""
    service = "ses" if call.service == "sesv2" else call.service
    match call.operation:
        case "TransactWriteItems":
            parts = [(kind, part) for item in call.params["TransactItems"] for kind, part in item.items()]
            assert {part["TableName"] for _, part in parts} == {LEDGER_TABLE}
            yield from ((f"{service}:{PARTS[kind]}", "${Ledger.Arn}") for kind, _ in parts)
        case "SendEmail":
            _, sender = parseaddr(call.params["FromEmailAddress"])
            yield f"{service}:SendEmail", ARN % (service, f"identity/{sender}")
        case "GetParametersByPath":
            path = PARAMETER_PATH if call.params["Path"] == PARAMETER_PATH else f"{PARAMETER_PATH}/*"
            assert call.params["Path"].startswith(path.rstrip("*"))
            yield f"{service}:{call.operation}", ARN % (service, f"parameter{path}")
        case "GetParameters":
            for name in call.params["Names"]:
                of_any = re.sub(r"(?<=/campaigns/)[a-z]+(?=/)", "*", name)
                yield f"{service}:{call.operation}", ARN % (service, f"parameter{of_any}")
        case _:
            assert call.params["TableName"] == LEDGER_TABLE
            index = f"/index/{call.params['IndexName']}" if "IndexName" in call.params else ""
            yield f"{service}:{call.operation}", f"${{Ledger.Arn}}{index}"


def rights_taken(world: World, event: Any) -> set[Right]:
    """Hand an event to the real handler, and give the rights that its calls to AWS took."""
    arrived = len(world.sandbox.aws.requests)
    world.run(event)
    return {right for call in world.sandbox.aws.requests[arrived:] for right in rights_for(call)}


def life(world: World) -> Iterator[set[Right]]:
    """Live through what happens in the life of the job; give the rights that each run took."""
    world.campaign("FL GA")
    world.put({"limits/verify_wait_seconds": "0"})
    world.adset("Fine")
    fragile = world.adset("Fragile", breakage=Breakage.stubborn())
    yield rights_taken(world, {})  # a dry run
    yield rights_taken(world, DAILY)  # one ad set is updated, the other rolled back
    yield rights_taken(world, DAILY)  # delivered twice
    yield rights_taken(world, RECHECK)
    yield rights_taken(world, UNDO)
    world.time.next_day()
    for ad in world.meta.ads_of(fragile):
        ad.breakage = None
    yield rights_taken(world, LIVE)  # what had to be put back yesterday is well today
    yield rights_taken(world, LIVE)  # a quiet day
    left_behind(world, world.adset("Left"), ChangeState.WRITTEN)
    yield rights_taken(world, LIVE)  # recovery
    leases(world).acquire(["veterans"], EARLIER, world.time.clock.now() + timedelta(minutes=5), Action.SYNC)
    yield rights_taken(world, {**DAILY, "scheduled": world.time.clock.now().isoformat()})  # left to it
    world.time.next_day()
    world.sandbox.closrtech.demand["VND_VETERAN_LEADS"] = {"FL": 5}
    opening = {**DAILY, "step": "open", "scheduled": world.time.clock.now().isoformat()}
    opened = world.run(opening)
    yield rights_taken(world, opening)  # a workflow that is started again
    yield rights_taken(world, {"step": "part", "run_id": opened["run_id"], "campaigns": ["veterans"]})
    yield rights_taken(world, {"step": "close", "run_id": opened["run_id"]})


def test_the_function_can_do_what_its_code_calls_and_nothing_more(deploy: Deploy, world: World) -> None:
    """A call without its right would fail in AWS only, and a right without a call helps nobody but an intruder."""
    stack = deploy(Stage="sandbox", SenderIdentity="reports@example.test")
    spare = {
        ("ses:SendEmail", CONFIGURATION_SETS),
        ("sqs:SendMessage", "${FailedRuns.Arn}"),
        ("events:PutEvents", ARN % ("events", "event-bus/default")),
        ("logs:CreateLogStream", "${SyncLogs.Arn}"),
        ("logs:PutLogEvents", "${SyncLogs.Arn}"),
    }

    called = set().union(*life(world))

    assert called | spare == rights_of(stack, "SyncFunctionRole")
    assert not called & spare


@pytest.mark.parametrize("schedule", ["SyncFunctionDaily", "SyncFunctionRecheck"])
def test_a_schedule_can_start_the_function_and_keep_what_it_could_not(stack: dict[str, Json], schedule: str) -> None:
    """It needs no more: not another function, not another queue."""
    role = stack[schedule]["Properties"]["Target"]["RoleArn"]

    assert role == {"Fn::GetAtt": ["ScheduleRole", "Arn"]}
    assert rights_of(stack, "ScheduleRole") == {
        ("lambda:InvokeFunction", "${SyncFunction.Arn}"),
        ("sqs:SendMessage", "${MissedRuns.Arn}"),
    }


def test_the_workflow_can_do_what_its_definition_calls_and_nothing_more(deploy: Deploy) -> None:
    """It calls one function, and as a Distributed Map starts itself for each item and follows what it started."""
    stack = deploy(Fleet="true")
    itself = ARN % ("states", "stateMachine:${AWS::StackName}-fleet")

    assert stack["FleetRun"]["Properties"]["RoleArn"] == {"Fn::GetAtt": ["FleetRunRole", "Arn"]}
    assert stack["FleetRun"]["Properties"]["StateMachineName"] == "${AWS::StackName}-fleet"
    assert rights_of(stack, "FleetRunRole") == {
        ("lambda:InvokeFunction", "${SyncFunction.Arn}"),
        ("states:StartExecution", itself),
        *((f"states:{action}Execution", each) for action in ("Describe", "Stop") for each in EXECUTIONS),
    }
    assert {resource for _, resource in calls_of(definition(stack))} == {"arn:aws:states:::lambda:invoke"}


def test_the_workflows_schedule_can_start_it_and_keep_what_it_could_not(deploy: Deploy) -> None:
    """It needs no more, and not the function."""
    stack = deploy(Fleet="true")

    assert stack["FleetRunDaily"]["Properties"]["Target"]["RoleArn"] == {"Fn::GetAtt": ["FleetScheduleRole", "Arn"]}
    assert rights_of(stack, "FleetScheduleRole") == {
        ("states:StartExecution", "${FleetRun}"),
        ("sqs:SendMessage", "${MissedRuns.Arn}"),
    }


def test_a_role_can_be_taken_by_its_own_service_only(stack: dict[str, Json], fleet: bool) -> None:  # noqa: FBT001
    """Neither another account nor a person can act as the function or as a schedule."""
    trusted = {
        name: [(each["Action"], each["Principal"]) for each in role["AssumeRolePolicyDocument"]["Statement"]]
        for name, role in of_type(stack, "AWS::IAM::Role").items()
    }

    services = {"SyncFunctionRole": "lambda", "ScheduleRole": "scheduler"}
    if fleet:
        services |= {"FleetRunRole": "states", "FleetScheduleRole": "scheduler"}
    assert trusted == {
        name: [("sts:AssumeRole", {"Service": f"{service}.amazonaws.com"})] for name, service in services.items()
    }


def test_a_service_takes_a_role_for_this_account_only(deploy: Deploy) -> None:
    """A schedule or workflow of another account that names the role's ARN cannot have the service act as it.

    Sources: EventBridge Scheduler User Guide, "Confused deputy prevention", which has the group of the schedule for
    `aws:SourceArn`; Step Functions Developer Guide, "Prevent cross-service confused deputy issue". Lambda has neither.
    """
    stack = deploy(Fleet="true")
    roles = of_type(stack, "AWS::IAM::Role")
    conditions = {
        name: role["AssumeRolePolicyDocument"]["Statement"][0].get("Condition") for name, role in roles.items()
    }
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    group = {"StringEquals": account | {"aws:SourceArn": ARN % ("scheduler", "schedule-group/default")}}
    itself = ARN % ("states", "stateMachine:${AWS::StackName}-fleet")

    assert conditions == {
        "SyncFunctionRole": None,
        "ScheduleRole": group,
        "FleetScheduleRole": group,
        "FleetRunRole": {"StringEquals": account, "ArnLike": {"aws:SourceArn": [itself, f"{itself}/*"]}},
    }
    assert {each.get("GroupName") for each in of_type(stack, "AWS::Scheduler::Schedule").values()} == {None}


def test_every_statement_says_what_it_is_for(stack: dict[str, Json], fleet: bool) -> None:  # noqa: FBT001
    """Permissions are written out under a name, never taken from a ready-made policy that grants more."""
    named = {each.get("Sid") for each in statements(stack)}

    of_function = {
        "ReadParameters",
        "SeeWhatIsPaused",
        "SendReport",
        "KeepLedger",
        "FindOpenChanges",
        "WriteLog",
        "TellResult",
        "KeepFailedRuns",
    }
    of_fleet = {"CallTheFunction", "StartItems", "FollowItems", "StartTheWorkflow"} if fleet else set()
    assert named == of_function | {"StartTheFunction", "KeepMissedRuns"} | of_fleet


def test_no_permission_is_wider_than_its_reason(stack: dict[str, Json], stage: str, fleet: bool) -> None:  # noqa: FBT001
    """No action has a wildcard, and no resource either, unless the list above says why."""
    actions = [action for statement in statements(stack) for action in listed(statement["Action"])]
    resources = [as_text(resource) for statement in statements(stack) for resource in listed(statement["Resource"])]

    assert [action for action in actions if "*" in action] == []
    reasoned = WILDCARDS | (WILDCARDS_WITH_FLEET if fleet else {})
    assert {text for text in resources if "*" in text} == {each.replace("{stage}", stage) for each in reasoned}


def test_once_out_of_the_sandbox_the_sender_is_one(deploy: Deploy) -> None:
    """The README's last step leaves no identity but one, and the deploys after it keep that."""
    (identity,) = re.findall(r"^ +sam deploy .* SenderIdentity=(\S+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    stack = deploy(SenderIdentity=identity)

    senders = {resource for action, resource in rights_of(stack, "SyncFunctionRole") if action == "ses:SendEmail"}
    assert senders == {ARN % ("ses", f"identity/{identity}"), CONFIGURATION_SETS}


def test_there_is_no_managed_policy(stack: dict[str, Json]) -> None:
    """No broad permission comes in by a policy that somebody else maintains, such as one to write every log."""
    managed = [arn for role in of_type(stack, "AWS::IAM::Role").values() for arn in role.get("ManagedPolicyArns", [])]

    assert managed == []


def test_without_a_key_of_ones_own_no_key_may_be_used(stack: dict[str, Json]) -> None:
    """Parameter Store's own key lets every role of the account decrypt through it; queues and table have AWS's."""
    assert of_type(stack, "AWS::IAM::Policy") == {}


def test_a_key_of_ones_own_is_used_through_the_services_that_need_it(deploy: Deploy) -> None:
    """Nobody can use it directly, and the schedules' roles only to put a message into a queue."""
    key = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c"
    policies = of_type(deploy(KmsKeyArn=key, Fleet="true"), "AWS::IAM::Policy")

    def through(*services: str) -> Json:
        hosts = [f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}" for service in services]
        return {"StringEquals": {"kms:ViaService": hosts}}

    found = {name: each["PolicyDocument"]["Statement"] for name, each in policies.items()}
    assert {each["Resource"] for statements in found.values() for each in statements} == {key}
    put, read = ["kms:Decrypt", "kms:GenerateDataKey"], ["kms:Decrypt"]
    ledger = [f"kms:{each}" for each in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")]
    ledger += ["kms:ReEncryptFrom", "kms:ReEncryptTo"]
    assert {name: [(each["Action"], each["Condition"]) for each in found[name]] for name in found} == {
        "KeyOfFunction": [(read, through("ssm")), (ledger, through("dynamodb")), (put, through("sqs"))],
        "KeyOfSchedules": [(put, through("sqs"))],
    }
    assert policies["KeyOfFunction"]["Roles"] == [{"Ref": "SyncFunctionRole"}]
    assert policies["KeyOfSchedules"]["Roles"] == [{"Ref": "ScheduleRole"}, {"Ref": "FleetScheduleRole"}]


def test_a_key_of_ones_own_protects_what_rests(deploy: Deploy) -> None:
    """The ledger and the queues; not the topic and the log, whose services such a key must let in by its policy."""
    stack = deploy(KmsKeyArn="arn:aws:kms:us-east-1:111122223333:key/1a2b3c")
    key = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c"

    specification = stack["Ledger"]["Properties"]["SSESpecification"]
    assert specification == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    for queue in of_type(stack, "AWS::SQS::Queue").values():
        assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "KmsMasterKeyId": key}
    assert "KmsMasterKeyId" not in stack["Alerts"]["Properties"]
    assert "KmsKeyId" not in stack["SyncLogs"]["Properties"]
