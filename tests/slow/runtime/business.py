"""What is true of the sandbox's business, whatever a run says of itself."""

from dataclasses import dataclass
from typing import Any

from sandbox import Sandbox
from sandbox.aws import LEDGER_TABLE
from sandbox.meta import Operation

FEEDS = {"Veterans": "VND_VETERAN_LEADS", "Truckers": "VND_TRUCKER_LEADS", "Mortgage": "VND_MORTGAGE_LEADS"}
"""CLOSRTECH's names of the campaigns, by the first word of their Meta campaigns' names."""

States = dict[str, set[str]]
"""By the names of the ad sets."""


@dataclass
class Business:
    """The sandbox, and questions to it."""

    sandbox: Sandbox

    def __post_init__(self) -> None:
        self.load("change day")

    def load(self, scenario: str) -> None:
        """Begin a day; nobody waits before ads are looked at again."""
        self.sandbox.load(scenario)
        self.sandbox.aws.put_parameters({"limits/verify_wait_seconds": "0"})
        self.before = self.states

    @property
    def states(self) -> States:
        """What each ad set targets now."""
        return {adset.name: self.sandbox.meta.states(adset.id) for adset in self.sandbox.meta.adsets.values()}

    @property
    def wanted(self) -> States:
        """What CLOSRTECH wants each ad set to target."""
        demand = self.sandbox.closrtech.demand
        feeds = {
            adset.name: demand[FEEDS[adset.campaign.name.split()[0]]] for adset in self.sandbox.meta.adsets.values()
        }
        return {name: {state for state, leads in feed.items() if leads} for name, feed in feeds.items()}

    @property
    def changed(self) -> set[str]:
        """The names of the ad sets that target something else than when the day began."""
        return {name for name, states in self.states.items() if states != self.before[name]}

    @property
    def asked_to_write(self) -> list[Operation]:
        """What Meta was asked to write or to validate of an ad set's targeting."""
        operations = self.sandbox.meta.operations
        return [operation for operation in operations if (operation.method, operation.kind) == ("POST", "adset")]

    @property
    def broken_ads(self) -> set[str]:
        """The names of the ads that do not run, or will not any more when Meta has looked at them."""
        self.sandbox.meta.settle()
        return {ad.name for ad in self.sandbox.meta.ads.values() if ad.effective_status != "ACTIVE"}

    @property
    def open_changes(self) -> list[str]:
        """The states of the changes that the ledger shows as neither finished nor undone."""
        return [item["state"] for item in self.sandbox.aws.ledger() if "open_since" in item]

    @property
    def subjects(self) -> list[str]:
        """What the mails are called, without the date."""
        return [mail.subject.rpartition(" · ")[0] for mail in self.sandbox.aws.mails]

    def reads_of_parameters(self) -> int:
        """Count the calls for parameters."""
        return sum(call.operation == "GetParametersByPath" for call in self.sandbox.aws.requests)

    def let_leases_run_out(self) -> None:
        """Do to the leases what half a minute does."""
        for item in self.sandbox.aws.ledger():
            if item["sk"] == "LEASE" and "until" in item:
                self.sandbox.aws.client("dynamodb").update_item(
                    TableName=LEDGER_TABLE,
                    Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
                    UpdateExpression="SET #until = :past",
                    ExpressionAttributeNames={"#until": "until"},
                    ExpressionAttributeValues={":past": {"N": "0"}},
                )


def becomes_of(answer: dict[str, Any]) -> dict[str, str]:
    """Return what a run says became of each ad set, by name."""
    return {adset["name"]: adset["result"] for campaign in answer["campaigns"] for adset in campaign["adsets"]}
