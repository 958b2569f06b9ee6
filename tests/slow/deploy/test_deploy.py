"""What happens in the deployed stack: by hand, by its schedules, and when something fails.

Whatever the function does, it does with the rights of its role and no others.
"""

import json
from typing import Any

from sandbox.meta import Breakage, faults
from sandbox.ministack import AT_ONCE, SCHEDULED_TIME
from tests.ledger_world import RECHECK
from tests.slow.deploy.conftest import NAME, RECIPIENTS, SENDER, Deployed, eventually
from tests.world import LIVE, VETERANS


def targeting_texas(stack: Deployed, name: str = "Broad", **more: Any) -> str:
    """Add an ad set that is to be changed from Texas to Florida and Georgia."""
    return stack.meta.add_adset(VETERANS, name, "TX", **more)


def ad_statuses(stack: Deployed, adset: str) -> set[str]:
    """Return the statuses of an ad set's ads, after whatever still was to happen to them."""
    stack.meta.settle()
    return {ad.effective_status for ad in stack.meta.ads_of(adset)}


class TestStack:
    """What is there after a deployment."""

    def test_the_template_becomes_one_stack(self, stack: Deployed) -> None:
        """Every resource of the template is there, with the capabilities and parameters that samconfig.toml gives."""
        assert stack.description["StackStatus"].endswith("_COMPLETE")
        assert {each["ResourceStatus"] for each in stack.resources.values()} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        options = {"IsFleet", "HasWebhook", "HasKmsKey"}
        optional = {name for name, each in stack.template["Resources"].items() if each.get("Condition") in options}
        assert stack.resources.keys() >= stack.template["Resources"].keys() - optional
        assert not stack.resources.keys() & optional
        assert stack.outputs["ParameterPath"] == "/closrads/prod"

    def test_alarms_watch_what_the_function_emits(self, stack: Deployed) -> None:
        """An alarm on another name or dimension would see nothing, for ever: each of ours has its metric in the log."""
        stack.meta.token_expires_at = int(stack.meta.now() + 86_400)  # else there is nothing to tell of it
        stack.invoke(LIVE)
        stack.invoke(RECHECK)

        eventually(lambda: [line for line in stack.log if "_aws" in line][1:])
        told = [line for line in stack.log if "_aws" in line]
        emitted = {metric["Name"] for line in told for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        (names,) = told[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
        dimensions = {name: told[0][name] for name in names}
        alarms = stack.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{NAME}-")["MetricAlarms"]
        ours = [alarm for alarm in alarms if alarm["Namespace"] == "CLOSRADS"]
        assert {alarm["MetricName"] for alarm in ours} >= {"RunSucceeded", "RollbackFailed", "MailFailed"}
        for alarm in ours:
            assert alarm["MetricName"] in emitted
            assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == dimensions


class TestByHand:
    """Runs that a person starts."""

    def test_a_dry_run_looks_and_tells(self, stack: Deployed) -> None:
        """The first thing the README has one do: what it needs is found and readable, and only the plan is written."""
        adset = targeting_texas(stack)

        answer = stack.invoke({"dry_run": True})

        assert (answer["success"], answer["dry_run"], answer["mail"]) == (True, True, "sent")
        (campaign,) = answer["campaigns"]
        assert [each["added"] for each in campaign["adsets"]] == [["FL", "GA"]]
        assert stack.meta.states(adset) == {"TX"}
        assert stack.meta.writes == []
        assert [(item["pk"], item["sk"]) for item in stack.ledger] == [("PLAN", answer["plan_id"])]

    def test_what_the_role_lacks_the_function_cannot_do(self, stack: Deployed) -> None:
        """Else this stack would prove nothing about the template's permissions."""
        iam, role = stack.aws.client("iam"), stack.name("SyncFunctionRole")
        statement = {"Effect": "Deny", "Action": "ses:SendEmail", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName="no-mail", PolicyDocument=document)

        answer = stack.invoke({"dry_run": True})

        iam.delete_role_policy(RoleName=role, PolicyName="no-mail")
        assert (answer["success"], answer["mail"]) == (True, "failed")
        (line,) = eventually(lambda: stack.lines("mail.failed"))
        assert "not authorized to perform: ses:SendEmail" in line["error"]


class TestSchedules:
    """Runs that nobody starts."""

    def test_the_daily_run(self, stack: Deployed) -> None:
        """It comes by itself, is live, gives every ad set the wanted states, and mails one report in two forms."""
        adsets = [targeting_texas(stack, name) for name in ("Broad", "Lookalike", "Renters")]
        stack.set(ScheduleExpression=AT_ONCE)

        eventually(lambda: stack.lines("run.end"))

        assert [stack.meta.states(adset) for adset in adsets] == [{"FL", "GA"}] * 3
        assert {status for adset in adsets for status in ad_statuses(stack, adset)} == {"ACTIVE"}
        (mail,) = stack.mails
        assert (mail.sender, mail.recipients) == (f"CLOSRADS <{SENDER}>", RECIPIENTS)
        assert mail.subject.startswith("✓ 3 updated · ")
        assert mail.html.startswith("<!doctype html>")
        assert "all 3 ad sets: +FL +GA −TX" in mail.text
        (taken,) = (item for item in stack.ledger if item["pk"] == "SCHEDULED")
        assert taken["sk"] == f"sync#{SCHEDULED_TIME}#*"

    def test_the_recheck(self, stack: Deployed) -> None:
        """It comes by itself, puts back the one ad set whose ad broke since, and mails that."""
        sick = targeting_texas(stack, "Broad", breakage=Breakage.late(600))
        well = targeting_texas(stack, "Lookalike")
        run = stack.invoke(LIVE)
        assert run["campaigns"][0]["adsets_updated"] == 2
        stack.time.pass_by(1800)
        assert ad_statuses(stack, sick) == {"WITH_ISSUES"}
        stack.set(RecheckScheduleExpression=AT_ONCE)

        eventually(lambda: len(stack.lines("run.end")) > 1)

        assert (stack.meta.states(sick), ad_statuses(stack, sick)) == ({"TX"}, {"ACTIVE"})
        assert (stack.meta.states(well), ad_statuses(stack, well)) == ({"FL", "GA"}, {"ACTIVE"})
        _, mail = stack.mails
        assert mail.subject.startswith("⚠ second look: 1 put back · ")
        (changed,) = (item for item in stack.ledger if item["sk"] == f"CHANGE#{run['run_id']}#{sick}")
        assert changed["state"] == "rolled_back"


class TestFailure:
    """What is left of a run that failed, and who hears of it."""

    def test_it_ends_in_the_queue_once(self, stack: Deployed) -> None:
        """The event and the error are kept for whoever starts it again; no blind repeat goes before."""
        targeting_texas(stack)
        stack.meta.dead_tokens[stack.meta.token] = faults.PASSWORD_CHANGED
        event = {**LIVE, "campaigns": ["veterans"]}

        stack.send(event)

        (failed,) = stack.receive(stack.outputs["FailedRunsUrl"], wait_seconds=15)
        assert failed["requestPayload"] == event
        assert "Meta 190/460" in failed["responsePayload"]["errorMessage"]
        assert len(eventually(lambda: stack.lines("run.start"))) == 1
        assert len(stack.mails) == 1
        assert stack.receive(stack.outputs["FailedRunsUrl"]) == []

    def test_what_it_leaves_open_the_next_run_ends(self, stack: Deployed) -> None:
        """The ledger's index shows the change that is neither done nor undone, and shows nothing once it is."""
        adset = targeting_texas(stack)
        stack.meta.fail(faults.PASSWORD_CHANGED, on=lambda _: stack.meta.states(adset) != {"TX"}, times=None)
        failed = stack.invoke(LIVE)
        assert "Meta 190/460" in failed["errorMessage"]
        (open_change,) = stack.open_changes
        assert open_change.endswith(f"#{adset}")
        stack.meta.clear_faults()

        answer = stack.invoke(LIVE)

        assert (answer["success"], len(answer["recovered"])) == (True, 1)
        assert stack.open_changes == []
        assert (stack.meta.states(adset), ad_statuses(stack, adset)) == ({"FL", "GA"}, {"ACTIVE"})

    def test_an_alarm_reaches_the_topic(self, stack: Deployed) -> None:
        """Whoever subscribes to the topic is told which alarm it is, and what to do first."""
        sqs, sns, cloudwatch = (stack.aws.client(name) for name in ("sqs", "sns", "cloudwatch"))
        topic, alarm = stack.outputs["AlertTopic"], stack.name("RunFailed")
        queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        of_sns = {"Service": "sns.amazonaws.com"}
        may_send = {"Effect": "Allow", "Principal": of_sns, "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="before the test")

        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")

        (notice,) = stack.receive(queue, wait_seconds=10)
        assert notice["TopicArn"] == topic
        told = json.loads(notice["Message"])
        assert (told["AlarmName"], told["NewStateValue"]) == (alarm, "ALARM")
        assert stack.outputs["LogGroup"] in told["AlarmDescription"]
