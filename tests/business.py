"""A campaign of many ad sets with names of one letter, and ways to see what becomes of them together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta import Breakage, Operation
from sandbox.meta.targeting import codes
from tests.ledger_world import result_of
from tests.world import LIVE, World


@dataclass
class Business:
    """One campaign that wants Florida, of ad sets in Texas with names of one letter, and ways to see what happens."""

    world: World
    ids: dict[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    """The last run's."""

    def adsets(self, names: str, bad: str = "", ads: int = 2, breakage: Breakage | None = None) -> None:
        """Add an ad set for each name; those that are named in `bad` have to be put back."""
        for name in names:
            effect = Breakage.stubborn() if name in bad else breakage
            self.ids[name] = self.world.adset(name, "TX", ads=ads, breakage=effect)

    def heal(self, names: str) -> None:
        """Let ad sets no longer break."""
        for name in names:
            for ad in self.world.meta.ads_of(self.ids[name]):
                ad.breakage = None

    def want(self, demand: str) -> None:
        """Let CLOSRTECH ask for other states."""
        self.world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = dict.fromkeys(codes(demand), 5)

    def run(self, event: Any = LIVE) -> dict[str, str]:
        """Run an event and return the names with each result, whether the run failed or not."""
        self.world.meta.requests.clear()
        self.world.time.waits.clear()
        self.result = result_of(self.world, event)
        return self.came_to

    @property
    def came_to(self) -> dict[str, str]:
        """The names with each result: "A B C"."""
        found: dict[str, list[str]] = {}
        for campaign in self.result["campaigns"]:
            for adset in campaign["adsets"]:
                found.setdefault(adset["result"], []).append(adset["name"])
        return {result: " ".join(sorted(names)) for result, names in found.items()}

    @property
    def errors(self) -> str:
        """What was wrong with the last run, in lines."""
        return "\n".join(error for campaign in self.result["campaigns"] for error in campaign["errors"])

    def issues(self, name: str) -> str:
        """Return what the last result says of an ad set."""
        adsets = [adset for campaign in self.result["campaigns"] for adset in campaign["adsets"]]
        (issues,) = (adset["issues"] for adset in adsets if adset["name"] == name)
        return "\n".join(issues)

    # --- what Meta saw

    def names(self, operations: Iterable[Operation]) -> str:
        """Return the ad sets that operations are about, once each, by name: those of a wave come in any order."""
        owners = {ad.id: ad.adset.id for ad in self.world.meta.ads.values()}
        by_id = {adset_id: name for name, adset_id in self.ids.items()}
        found = (by_id.get(owners.get(operation.object_id, operation.object_id)) for operation in operations)
        return " ".join(sorted({name for name in found if name}))

    def batches(self, first: str) -> list[str]:
        """Return the ad sets of each batch whose first call is such a one."""
        batches = [request.operations for request in self.world.meta.requests if request.path == ""]
        return [self.names(batch) for batch in batches if f"{batch[0].method} {batch[0].kind}" == first]

    @property
    def waves(self) -> list[str]:
        """The ad sets that were re-published together, wave after wave."""
        return self.batches("POST ad")

    @property
    def written(self) -> str:
        """The ad sets that were written."""
        return self.names(operation for operation in self.world.meta.writes if operation.kind == "adset")

    @property
    def refused(self) -> list[Operation]:
        """The calls that Meta refused."""
        return [operation for operation in self.world.meta.operations if operation.status != 200]

    def assert_nothing_half_done(self) -> None:
        """Check that each ad set is as it was or as wanted, its ads re-published after each write and healthy."""
        self.assert_all_republished()
        self.world.meta.settle()
        updated = self.came_to.get("updated", "").split()
        for name, adset_id in self.ids.items():
            assert self.world.meta.states(adset_id) == ({"FL"} if name in updated else {"TX"}), name
            assert {ad.effective_status for ad in self.world.meta.ads_of(adset_id)} <= {"ACTIVE"}, name
        self.assert_nothing_open()

    def assert_all_republished(self) -> None:
        """Check that each ad was re-published after the last write of its ad set."""
        stale: dict[str, str] = {}
        for write in self.world.meta.writes:
            if write.kind == "adset":
                stale |= {ad.id: write.object_id for ad in self.world.meta.ads_of(write.object_id)}
            else:
                stale.pop(write.object_id, None)
        assert stale == {}

    def assert_nothing_open(self) -> None:
        """Check that the next run has nothing to finish or to undo."""
        assert [item["sk"] for item in self.world.sandbox.aws.ledger() if "open_since" in item] == []
