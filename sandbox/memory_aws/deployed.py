"""What a stack consists of, in memory: schedules, queues, alarms and topics, as far as somebody looks at them.

`make` creates a resource as CloudFormation does, and returns its physical id; all other methods are operations with
boto3's names, parameters and responses.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sandbox.memory_aws.errors import AwsError
from sandbox.memory_aws.fifo import FifoQueue

ACCOUNT = "123456789012"
REGION = "us-east-1"
CREATED = datetime(2026, 5, 1, tzinfo=UTC)

# ruff: noqa: N803 - the parameters are named as boto3 names them


class Lambda:
    """Lambda: functions and where their packages are (API reference, "GetFunction").

    The address is one of S3's, signed for ten minutes; who has it can read the package.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def make(self, name: str, properties: Mapping[str, Any]) -> str:
        """Create an `AWS::Lambda::Function`, whose package is at the address that stands for its code."""
        self._addresses[name] = properties["Code"]
        return name

    def get_function(self, *, FunctionName: str) -> dict[str, Any]:
        """Return a function's configuration and the address of its package."""
        return {
            "Configuration": {"FunctionName": FunctionName, "LastModified": f"{CREATED:%Y-%m-%dT%H:%M:%S.000+0000}"},
            "Code": {"RepositoryType": "S3", "Location": self._addresses[FunctionName]},
        }


class Scheduler:
    """EventBridge Scheduler (API reference, "GetSchedule")."""

    def __init__(self) -> None:
        self._schedules: dict[str, dict[str, Any]] = {}

    def make(self, name: str, properties: Mapping[str, Any]) -> str:
        """Create an `AWS::Scheduler::Schedule`."""
        self._schedules[name] = {
            "Arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}",
            "GroupName": "default",
            "Name": name,
            "State": "ENABLED",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "CreationDate": CREATED,
            "LastModificationDate": CREATED,
            **properties,
        }
        return name

    def get_schedule(self, *, Name: str) -> dict[str, Any]:
        """Return a schedule of the default group."""
        if Name not in self._schedules:
            raise AwsError("ResourceNotFoundException", f"Schedule {Name} does not exist.", 404)
        return dict(self._schedules[Name])

    def update_schedule(self, *, Name: str, **changes: Any) -> dict[str, Any]:
        """Change a schedule; unlike at AWS, what is not given stays."""
        schedule = self.get_schedule(Name=Name) | changes
        self._schedules[Name] = schedule
        return {"ScheduleArn": schedule["Arn"]}

    def delete_schedule(self, *, Name: str) -> dict[str, Any]:
        """Delete a schedule."""
        self.get_schedule(Name=Name)
        del self._schedules[Name]
        return {}


class Sqs:
    """SQS: queues and how many messages are in them; counts are texts (API reference, "GetQueueAttributes")."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._messages: dict[str, list[str]] = {}
        self.fifo: dict[str, FifoQueue] = {}
        """The queues that are first in, first out, by URL."""

    def make(self, name: str, properties: Mapping[str, Any]) -> str:
        """Create an `AWS::SQS::Queue`, whose physical id is its URL."""
        url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        self._messages[url] = []
        if properties.get("FifoQueue"):
            self.fifo[url] = FifoQueue(
                self._now,
                delay=properties.get("DelaySeconds", 0),
                visibility=properties.get("VisibilityTimeout", 30),
                most_receives=properties.get("RedrivePolicy", {}).get("maxReceiveCount"),
            )
        return url

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Put messages into a queue that is first in, first out."""
        sent = [self.fifo[QueueUrl].send(entry) for entry in Entries]
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": message_id} for entry, message_id in zip(Entries, sent, strict=True)
            ]
        }

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> dict[str, Any]:
        """Have a message that was received become visible again after so many seconds from now."""
        self.fifo[QueueUrl].put_off(ReceiptHandle, VisibilityTimeout)
        return {}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:
        """Put a message into a queue."""
        self._messages[QueueUrl].append(MessageBody)
        return {"MessageId": f"memory-{len(self._messages[QueueUrl])}"}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Sequence[str]) -> dict[str, Any]:
        """Return how many messages a queue has; none is ever being read by somebody else."""
        counts = {"ApproximateNumberOfMessages": len(self._messages[QueueUrl])}
        return {"Attributes": {name: str(counts.get(name, 0)) for name in AttributeNames}}


class CloudWatch:
    """CloudWatch: alarms and their states (API reference, "DescribeAlarms")."""

    def __init__(self) -> None:
        self._alarms: dict[str, dict[str, Any]] = {}

    def make(self, name: str, _: Mapping[str, Any]) -> str:
        """Create an `AWS::CloudWatch::Alarm`, which is in order."""
        self._alarms[name] = {
            "AlarmName": name,
            "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}",
            "ActionsEnabled": True,
            "StateValue": "OK",
            "StateReason": "Threshold Crossed: no datapoints were received",
            "StateUpdatedTimestamp": CREATED,
        }
        return name

    def describe_alarms(self, *, AlarmNames: Sequence[str], MaxRecords: int = 50) -> dict[str, Any]:
        """Return the alarms that exist, at most `MaxRecords`."""
        found = [self._alarms[name] for name in AlarmNames if name in self._alarms]
        return {"MetricAlarms": found[:MaxRecords], "CompositeAlarms": []}

    def set_alarm_state(self, *, AlarmName: str, StateValue: str, StateReason: str) -> dict[str, Any]:
        """Have an alarm ring, or stop."""
        self._alarms[AlarmName] |= {"StateValue": StateValue, "StateReason": StateReason}
        return {}

    def disable_alarm_actions(self, *, AlarmNames: Sequence[str]) -> dict[str, Any]:
        """Have alarms tell nobody."""
        for name in AlarmNames:
            self._alarms[name]["ActionsEnabled"] = False
        return {}

    def delete_alarms(self, *, AlarmNames: Sequence[str]) -> dict[str, Any]:
        """Delete alarms."""
        for name in AlarmNames:
            del self._alarms[name]
        return {}


class Sns:
    """SNS: topics and who is subscribed to them.

    A subscription by mail is pending until its owner follows the link in a mail from AWS; until then the text
    `PendingConfirmation` stands in place of its ARN, and AWS forgets it after two days (Developer Guide, "Subscribe an
    email address").
    """

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[dict[str, str]]] = {}
        self._ids = count(1)

    def make(self, name: str, _: Mapping[str, Any]) -> str:
        """Create an `AWS::SNS::Topic`, whose physical id is its ARN."""
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
        self._subscriptions[topic] = []
        return topic

    def subscribe(self, *, TopicArn: str, Protocol: str, Endpoint: str) -> dict[str, Any]:
        """Subscribe somebody; what is no mail address is confirmed at once."""
        arn = "PendingConfirmation" if Protocol == "email" else f"{TopicArn}:{next(self._ids)}"
        subscription = {
            "SubscriptionArn": arn, "Owner": ACCOUNT, "Protocol": Protocol, "Endpoint": Endpoint, "TopicArn": TopicArn,
        }  # fmt: skip
        self._subscriptions[TopicArn].append(subscription)
        return {"SubscriptionArn": "pending confirmation" if Protocol == "email" else arn}

    def confirm_subscription(self, *, TopicArn: str, Token: str) -> dict[str, Any]:
        """Confirm a subscription; its token, which is in the link of the mail, is its address here."""
        for each in self._subscriptions[TopicArn]:
            if each["Endpoint"] == Token:
                each["SubscriptionArn"] = f"{TopicArn}:{next(self._ids)}"
        return {"SubscriptionArn": f"{TopicArn}:0"}

    def list_subscriptions_by_topic(self, *, TopicArn: str) -> dict[str, Any]:
        """Return the first page of a topic's subscriptions."""
        return {"Subscriptions": [dict(each) for each in self._subscriptions[TopicArn]]}
