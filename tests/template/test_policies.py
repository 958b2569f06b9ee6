"""`docs/policies/deploy.json`: the rights of whoever deploys the template."""

import json
from fnmatch import fnmatchcase

import pytest

from tests.template.stack import ROOT, Deploy, listed

STATEMENTS = json.loads((ROOT / "docs/policies/deploy.json").read_text())["Statement"]
HANDLERS = {
    "AWS::CloudWatch::Alarm": "cloudwatch: PutMetricAlarm DescribeAlarms DeleteAlarms ListTagsForResource",
    "AWS::CloudWatch::Dashboard": "cloudwatch: PutDashboard GetDashboard DeleteDashboards",
    "AWS::DynamoDB::Table": """dynamodb: CreateTable DescribeTable UpdateTable UpdateTimeToLive DescribeTimeToLive
        UpdateContinuousBackups DescribeContinuousBackups DescribeContributorInsights GetResourcePolicy
        DescribeKinesisStreamingDestination ListTagsOfResource""",  # not DeleteTable: the table stays
    "AWS::IAM::Role": """iam: CreateRole GetRole UpdateRole DeleteRole UpdateAssumeRolePolicy PutRolePolicy
        GetRolePolicy DeleteRolePolicy ListRolePolicies AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies
        TagRole UntagRole""",
    "AWS::Lambda::EventInvokeConfig": """lambda: PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig
        UpdateFunctionEventInvokeConfig DeleteFunctionEventInvokeConfig""",
    "AWS::Lambda::Function": """lambda: CreateFunction GetFunction GetFunctionConfiguration UpdateFunctionCode
        UpdateFunctionConfiguration DeleteFunction PutFunctionConcurrency DeleteFunctionConcurrency TagResource
        UntagResource ListTags GetFunctionCodeSigningConfig GetFunctionRecursionConfig GetRuntimeManagementConfig
        iam: PassRole s3: GetObject GetObjectVersion""",
    "AWS::Logs::LogGroup": """logs: CreateLogGroup DescribeLogGroups DeleteLogGroup PutRetentionPolicy
        DeleteRetentionPolicy ListTagsForResource""",
    "AWS::SNS::Subscription": "sns: Subscribe GetSubscriptionAttributes Unsubscribe ListSubscriptionsByTopic",
    "AWS::SNS::Topic": """sns: CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic ListTagsForResource
        ListSubscriptionsByTopic GetDataProtectionPolicy""",
    "AWS::SQS::Queue": """sqs: CreateQueue GetQueueUrl GetQueueAttributes SetQueueAttributes DeleteQueue
        ListQueueTags""",
    "AWS::Scheduler::Schedule": """scheduler: CreateSchedule GetSchedule UpdateSchedule DeleteSchedule
        iam: PassRole""",
    "AWS::StepFunctions::StateMachine": """states: CreateStateMachine DescribeStateMachine UpdateStateMachine
        DeleteStateMachine ListTagsForResource TagResource UntagResource iam: PassRole s3: GetObject""",
}
"""What CloudFormation calls with the rights of whoever deploys, by type (the "handlers" of the types' schemas)."""
SAM = """
    cloudformation: CreateChangeSet DescribeChangeSet ExecuteChangeSet DescribeStacks DescribeStackEvents UpdateStack
    GetTemplateSummary DescribeStackResource DescribeStackResources ListStackResources
    s3: CreateBucket ListBucket GetBucketLocation GetBucketPolicy PutBucketPolicy PutBucketPublicAccessBlock
    PutBucketTagging PutBucketVersioning PutEncryptionConfiguration GetObject PutObject
    lambda: InvokeFunction GetFunctionConfiguration
"""
"""What `sam deploy`, with a bucket of its own making, and `sam remote invoke` call (SAM CLI, `lib/bootstrap`)."""


def actions(text: str) -> set[str]:
    """Read a list of services, each with its actions."""
    service, found = "", set()
    for word in text.split():
        if word.endswith(":"):
            service = word
        else:
            found.add(service + word)
    return found


def test_it_allows_what_a_deployment_calls_and_nothing_more(deploy: Deploy) -> None:
    """With everything that can be switched on; a new type of resource has to be thought of here."""
    stack = deploy(Stage="prod", Fleet="true", AlertEmail="oncall@example.test")
    types = {each["Type"] for each in stack.values()}

    assert types == HANDLERS.keys()
    needed = actions(SAM).union(*(actions(HANDLERS[each]) for each in types))
    assert {action for each in STATEMENTS for action in listed(each["Action"])} == needed


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement["Sid"])
def test_it_is_about_closrads_only(statement: dict[str, object]) -> None:
    """And about SAM's own bucket, its transform, and two lists that take no resource."""
    ours = ("closrads-", "aws-sam-cli-managed-default", "transform/Serverless-2016-10-31")

    assert statement["Effect"] == "Allow"
    if statement["Resource"] == "*":
        assert statement["Action"] == ["cloudwatch:DescribeAlarms", "logs:DescribeLogGroups"]
    else:
        assert all(any(name in each for name in ours) for each in listed(statement["Resource"]))


def test_the_names_of_a_stacks_resources_are_covered(deploy: Deploy) -> None:
    """What has a name of its own begins with the stack's; CloudFormation names the rest so."""
    stack = deploy(Stage="prod", Fleet="true")
    names = [
        value if isinstance(value, str) else value.get("Fn::Sub", "")
        for each in stack.values()
        for key, value in each["Properties"].items()
        if key.endswith("Name") and key not in {"DisplayName", "MetricName"} and value != {"Ref": "SyncFunction"}
    ]

    assert names
    assert all(name.startswith("${AWS::StackName}-") for name in names)


def test_a_role_is_given_to_the_services_that_take_one(deploy: Deploy) -> None:
    """A role with rights on the ledger is not handed to a service that anybody else commands."""
    (giving,) = (each for each in STATEMENTS if each["Action"] == ["iam:PassRole"])
    roles = [each for each in deploy(Fleet="true").values() if each["Type"] == "AWS::IAM::Role"]
    trusted = {
        service
        for role in roles
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for service in listed(statement["Principal"]["Service"])
    }

    assert set(giving["Condition"]["StringEquals"]["iam:PassedToService"]) == trusted
    assert fnmatchcase("arn:aws:iam::123456789012:role/closrads-prod-SyncFunctionRole-1A2B", giving["Resource"][0])
