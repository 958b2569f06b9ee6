"""A business with many campaigns, served by the deployed template with `Fleet` enabled.

All clocks except the function's own run `SPEED` times faster than real time: Meta's windows and blocks, and the waits
of the workflow. A call that takes a few milliseconds here therefore takes as long, on Meta's clock, as a real one.
Waits within an invocation take real time, so the sandbox gives the function little reason to wait.
"""

import copy
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from samtranslator.yaml_helper import yaml_parse

from sandbox.aws import Mail
from sandbox.closrtech import ClosrtechWorld
from sandbox.meta import MetaWorld
from sandbox.ministack import HARDLY_EVER, SCHEDULED_TIME, Ministack, localized

SPEED = 100.0
SCHEDULED = {"action": "sync", "dry_run": False, "scheduled": SCHEDULED_TIME}
"""The event that the schedule sends."""
OLD, WANTED = ("TX",), ("FL", "GA")
STACK = "closrads-fleet"

_ROOT = Path(__file__).resolve().parent.parent
_STAGE = "prod"
_SENDER = "reports@example.test"
_LOOKS = 600

T = TypeVar("T")


class FastClock:
    """A clock that runs `SPEED` times faster than real time."""

    def __init__(self) -> None:
        self._started = time.time()
        self._passed_by = 0.0

    def seconds(self) -> float:
        """Return the current time in seconds."""
        return self._started + (time.time() - self._started) * SPEED + self._passed_by

    def pass_by(self, seconds: float) -> None:
        """Advance the clock immediately."""
        self._passed_by += seconds


@dataclass(frozen=True)
class Before:
    """The state of an ad set before the run, which it must keep unless it gets the wanted states."""

    targeting: Mapping[str, Any]
    statuses: Mapping[str, str]
    """The status of each relevant ad, by id."""


@dataclass
class ExecutionStats:
    """Figures from the histories of an execution, including its recheck."""

    seconds: float
    calls: int
    """Calls of the function, including failed ones."""
    failed_calls: int
    waits: int
    """Waits for Meta's quota, or for another invocation that holds the campaign."""
    waited_seconds: float
    """Sum of the stated waits, including concurrent ones."""
    transitions: int
    """State transitions, including retries, which AWS charges for."""
    item_transitions: int
    """Transitions of the items."""
    largest_payload: int
    """Largest payload between two states, in bytes."""
    items: int
    """Executions that were started for ad accounts."""
    campaign_seconds: dict[str, list[float]] = field(repr=False)
    """Duration of each successful call, by campaign; calls that open or close the run have an empty name."""


class Fleet:
    """The stack and its surroundings, with methods to start, stop and check executions. A context manager."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._running = ExitStack()
        self.clock = FastClock()
        """Meta's clock."""
        self.meta = MetaWorld(self.clock.seconds)
        self.closrtech = ClosrtechWorld()
        self.aws = Ministack(1 / SPEED)
        self.before: dict[str, Before] = {}
        """By ad set id."""
        self._mails_before = 0

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for world in (self.meta, self.closrtech):
                running.callback(world.stop)
                world.start()
            running.enter_context(self.aws)
            template = yaml_parse((_ROOT / "template.yaml").read_text())
            uploaded = self.aws.upload(self._package, _ROOT / "statemachine" / "fleet.asl.json")
            self._template = localized(template, uploaded, self.meta.url, self.aws.url)
            self._put_shared_parameters()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    # --- building

    def deploy(self, **parameters: str) -> None:
        """Deploy with `Fleet` enabled; by default, no schedule fires, and the recheck follows immediately."""
        values = {
            "Stage": _STAGE,
            "Schedules": "ON",
            "Fleet": "true",
            "FleetAccountsAtOnce": "2",
            "FleetRecheckSeconds": "0",
            "ScheduleExpression": HARDLY_EVER,
            "RecheckScheduleExpression": HARDLY_EVER,
            **parameters,
        }
        stack = self.aws.deploy(STACK, self._template, values, ["CAPABILITY_IAM"])
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def _put_shared_parameters(self) -> None:
        self.aws.client("sesv2").create_email_identity(EmailIdentity=_SENDER)
        self._put(
            {
                "closrtech/base_url": self.closrtech.url,
                "closrtech/email": self.closrtech.email,
                "closrtech/password": self.closrtech.password,
                "meta/access_token": self.meta.token,
                "email/sender": _SENDER,
                "email/recipients": ["owner@example.test"],
                "limits/verify_wait_seconds": "0.05",
            }
        )

    def _put(self, parameters: Mapping[str, str | Sequence[str]]) -> None:
        ssm = self.aws.client("ssm")
        for name, value in parameters.items():
            kind = "StringList" if not isinstance(value, str) else "String"
            text = value if isinstance(value, str) else ",".join(value)
            ssm.put_parameter(Name=f"/closrads/{_STAGE}/{name}", Value=text, Type=kind)

    def add_campaign(self, slug: str, account: str, **limits: str) -> None:
        """Put a campaign's parameters; a warm function still uses the cached ones, see `open_business`."""
        self._put({f"campaigns/{slug}/limits/{name}": value for name, value in limits.items()})
        self._put(
            {
                f"campaigns/{slug}/closrtech_campaign": _feed(slug),
                f"campaigns/{slug}/fb_ad_account_id": account,
                f"campaigns/{slug}/fb_campaign_ids": [_meta_campaign(slug)],
            }
        )

    def open_business(self, campaigns: Mapping[str, str], adsets: int, ads: int = 2) -> None:
        """Set up campaigns, given with their ad accounts, with ad sets to change; clear all earlier state."""
        self.meta.reset()
        self.closrtech.reset()
        self._empty_ledger()
        self._mails_before = len(self.aws.mails)
        for slug, account in campaigns.items():
            self.closrtech.demand[_feed(slug)] = dict.fromkeys(WANTED, 5)
            self.meta.add_campaign(_meta_campaign(slug), account, f"{slug} leads")
            for number in range(1, adsets + 1):
                self.meta.add_adset(_meta_campaign(slug), f"{slug} {number}", OLD, ads=ads)

    def adsets_of(self, slug: str) -> list[str]:
        """Return the ids of a campaign's ad sets."""
        return [adset.id for adset in self.meta.campaigns[_meta_campaign(slug)].adsets]

    def break_feed(self, slug: str) -> None:
        """Make CLOSRTECH return malformed JSON for a campaign."""
        self.closrtech.answer("<html>", campaign=_feed(slug))

    # --- running

    def start(self, event: Mapping[str, Any]) -> str:
        """Start the workflow as the schedule does, and return the execution."""
        answer = self._workflow.start_execution(stateMachineArn=self.outputs["FleetArn"], input=json.dumps(event))
        return str(answer["executionArn"])

    def stop(self, execution: str) -> None:
        """Stop an execution and its child executions; invocations in progress continue.

        ministack does not stop the items of a Map, so the function cannot be called until they have ended.
        """
        function = self.outputs["FunctionName"]
        self._workflow.stop_execution(executionArn=execution)
        self.aws.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        self.eventually(lambda: not self._running_items(execution))
        self.aws.client("lambda").delete_function_concurrency(FunctionName=function)

    @contextmanager
    def impatient(self, seconds: int) -> Iterator[None]:
        """Limit the duration of a campaign's call in the workflow, although the function may still be running."""
        arn = self.outputs["FleetArn"]
        definition = self._workflow.describe_state_machine(stateMachineArn=arn)["definition"]
        machine = json.loads(definition)
        for_account = machine["States"]["Every ad account"]["ItemProcessor"]
        for_campaign = for_account["States"]["Each campaign"]["ItemProcessor"]
        for_campaign["States"]["Work on it"]["TimeoutSeconds"] = seconds
        self._workflow.update_state_machine(stateMachineArn=arn, definition=json.dumps(machine))
        yield
        self._workflow.update_state_machine(stateMachineArn=arn, definition=definition)

    def end_of(self, execution: str, patience: float = 60) -> str:
        """Wait for the end of an execution and return its final status."""
        return self.eventually(lambda: self._status_once_over(execution), patience)

    def failures(self, execution: str) -> list[str]:
        """Return the error and cause of each failed call of an execution, and of the execution itself."""
        details = (
            value
            for event in self._history(execution)
            for key, value in event.items()
            if key in {"taskFailedEventDetails", "executionFailedEventDetails"}
        )
        return [f"{each.get('error')}: {each.get('cause')}" for each in details]

    def executions(self) -> list[str]:
        """Return the executions so far, in the order of their start."""
        answer = self._workflow.list_executions(stateMachineArn=self.outputs["FleetArn"])
        found = sorted(answer["executions"], key=lambda each: each["startDate"])
        return [str(each["executionArn"]) for each in found]

    @staticmethod
    def eventually(look: Callable[[], T], patience: float = 60) -> T:
        """Poll until `look` returns a true value, and return it."""
        end = time.monotonic() + patience
        while not (found := look()):
            if time.monotonic() > end:
                raise TimeoutError(f"nothing came of it in {patience:g} s")
            time.sleep(patience / _LOOKS)
        return found

    @cached_property
    def _workflow(self) -> Any:
        return self.aws.client("stepfunctions")

    def _status_once_over(self, execution: str) -> str:
        status = str(self._workflow.describe_execution(executionArn=execution)["status"])
        return "" if status == "RUNNING" else status

    def _items(self, execution: str) -> Iterator[dict[str, Any]]:
        for run in self._workflow.list_map_runs(executionArn=execution)["mapRuns"]:
            pages = self._workflow.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
            yield from (each for page in pages for each in page["executions"])

    def _running_items(self, execution: str) -> list[dict[str, Any]]:
        return [each for each in self._items(execution) if each["status"] == "RUNNING"]

    # --- the ledger

    def ledger(self, attribute: str) -> list[dict[str, Any]]:
        """Return the items that have this attribute, in DynamoDB's JSON."""
        pages = (
            self.aws.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.outputs["LedgerTable"], FilterExpression=f"attribute_exists({attribute})")
        )
        return [item for page in pages for item in page["Items"]]

    def _empty_ledger(self) -> None:
        for item in self.ledger("pk"):
            self.aws.client("dynamodb").delete_item(
                TableName=self.outputs["LedgerTable"], Key={name: item[name] for name in ("pk", "sk")}
            )

    def end_leases(self) -> int:
        """Expire all leases, as after a quarter of an hour; return their number."""
        leases = self.ledger("holder")
        for lease in leases:
            self.aws.client("dynamodb").update_item(
                TableName=self.outputs["LedgerTable"],
                Key={name: lease[name] for name in ("pk", "sk")},
                UpdateExpression="SET #until = :long_ago",
                ExpressionAttributeNames={"#until": "until"},
                ExpressionAttributeValues={":long_ago": {"N": "0"}},
            )
        return len(leases)

    # --- judging

    @property
    def mails(self) -> list[Mail]:
        """The mails since the business was set up."""
        return self.aws.mails[self._mails_before :]

    def count_written(self) -> int:
        """Return the number of ad sets with the wanted states."""
        return sum(self.meta.states(adset) == set(WANTED) for adset in self.before)

    def remember(self) -> None:
        """Save the state before the run."""
        self.before = {
            adset.id: Before(
                copy.deepcopy(adset.targeting),
                {ad.id: ad.effective_status for ad in self.meta.ads_of(adset.id)},
            )
            for adset in self.meta.adsets.values()
        }

    def violations(self, beyond_help: Iterable[str] = ()) -> list[str]:
        """Return the violations of the promise, after everything scheduled at Meta has happened.

        Each ad set is either unchanged, or has the wanted states with its ads re-published; every ad that delivered
        still does, and no other ad is active. Those `beyond_help` may have incurable ads, and stay open.
        """
        self.meta.settle()
        last_write: dict[str, int] = {}
        for place, operation in enumerate(self.meta.writes):
            last_write[operation.object_id] = place
        statuses: dict[str, dict[str, str]] = defaultdict(dict)
        for ad in self.meta.ads.values():
            statuses[ad.adset.id][ad.id] = ad.effective_status
        found = []
        for adset, before in self.before.items():
            active = [ad for ad, status in before.statuses.items() if status == "ACTIVE"]
            if self.meta.adsets[adset].targeting != before.targeting:
                if self.meta.states(adset) != set(WANTED):
                    found.append(f"{adset} is neither as before nor as wanted")
                late = [ad for ad in active if last_write.get(ad, -1) < last_write[adset]]
                found += [f"{ad} was not re-published after the last change of {adset}" for ad in late]
            if statuses[adset] != before.statuses and adset not in beyond_help:
                found.append(f"the ads of {adset} are {statuses[adset]} and were {dict(before.statuses)}")
        still_open = {item["sk"]["S"].rpartition("#")[2] for item in self.ledger("open_since")}
        found += [f"the change of {adset} is still open in the ledger" for adset in still_open.difference(beyond_help)]
        return found

    def adset_writes(self) -> "Counter[str]":
        """Return the number of writes by ad set id."""
        return Counter(operation.object_id for operation in self.meta.writes if operation.kind == "adset")

    def stats(self, execution: str) -> ExecutionStats:
        """Return the figures from the histories of an execution and its items."""
        described = self._workflow.describe_execution(executionArn=execution)
        stats = ExecutionStats(
            (described["stopDate"] - described["startDate"]).total_seconds(),
            0,
            0,
            0,
            0.0,
            0,
            0,
            0,
            0,
            defaultdict(list),
        )
        own = self._history(execution)
        entered = [event for event in own if event["type"].endswith("StateEntered")]
        stats.transitions += len(entered) - sum(event["type"] == "TaskStateEntered" for event in own)
        texts = [event["stateEnteredEventDetails"]["input"] for event in entered]
        self._count_tasks(own, stats)
        around = stats.transitions
        for item in self._items(execution):
            stats.items += 1
            text = self._workflow.describe_execution(executionArn=item["executionArn"])["input"]
            history = self._history(item["executionArn"])
            campaigns = json.loads(text)["campaigns"]
            texts.append(text)
            waits = self._count_tasks(history, stats)
            # What ministack does not write down of an item: the Map, its last state, and for each campaign its last
            # state, and after each answer a choice, which may lead to a wait.
            stats.transitions += 2 + len(campaigns) + sum(event["type"] == "TaskSucceeded" for event in history)
            stats.transitions += sum(wait > 0 for wait in waits)
            stats.waits += sum(wait > 0 for wait in waits)
            stats.waited_seconds += sum(waits)
        stats.item_transitions = stats.transitions - around
        stats.largest_payload = max(stats.largest_payload, *(len(text.encode()) for text in texts))
        return stats

    def _history(self, execution: str) -> list[dict[str, Any]]:
        pages = self._workflow.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def _count_tasks(self, history: Sequence[Mapping[str, Any]], stats: ExecutionStats) -> list[float]:
        """Count the calls, each of which is a transition; return the waits that were requested."""
        kinds = Counter(event["type"] for event in history)
        stats.calls += kinds["TaskScheduled"]
        stats.transitions += kinds["TaskScheduled"]
        stats.failed_calls += kinds["TaskFailed"]
        waits = []
        for event in history:
            if event["type"] == "TaskScheduled":
                begun = event["timestamp"]
            elif event["type"] == "TaskSucceeded":
                answer = event["taskSucceededEventDetails"]["output"]
                payload = json.loads(answer)["Payload"]
                stats.largest_payload = max(stats.largest_payload, len(answer.encode()))
                stats.campaign_seconds[payload.get("campaign", "")].append((event["timestamp"] - begun).total_seconds())
                waits.append(float(payload.get("again_in_seconds") or 0))
        return waits


def _feed(slug: str) -> str:
    return f"VND_{slug.upper().replace('-', '_')}_LEADS"


def _meta_campaign(slug: str) -> str:
    """Return a Meta campaign id that matches the number at the end of the slug."""
    return f"1202000000{slug.rpartition('-')[2]:0>8}"
