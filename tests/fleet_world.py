"""The workflow in a few lines, for tests without Step Functions: its calls in their order, and its waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from closrads.errors import ClosradsError, SyncFailed
from tests.ledger_world import later
from tests.world import World

OPEN = {"step": "open", "dry_run": False, "scheduled": "2026-05-04T10:30:00Z"}


@dataclass
class Workflow:
    """One execution; `before_call` is asked before each call of the function, and may stop it by raising."""

    world: World
    before_call: Callable[[dict[str, Any]], None] = lambda _: None
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Of each call that did not fail, in order."""
    waits: list[float] = field(default_factory=list)

    def run(self, event: dict[str, Any]) -> dict[str, Any]:
        """Go through a run, without its recheck; return the answer of its close, or what it raised."""
        opened = self.call(event)
        for campaigns in opened["accounts"]:
            for slug in campaigns:
                try:
                    self.call_until_done({"step": "part", "run_id": opened["run_id"], "campaigns": [slug]})
                except ClosradsError:
                    continue
        try:
            return self.call_until_done({"step": "close", "run_id": opened["run_id"]})
        except SyncFailed as failure:
            return {"failed": str(failure), "run_id": opened["run_id"]}

    def call_until_done(self, event: dict[str, Any]) -> dict[str, Any]:
        """Call, and call again as often as the answer says."""
        while (wait := (answer := self.call(event))["again_in_seconds"]) is not None:
            self.waits.append(wait)
            later(self.world, wait)
        return answer

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke the function, which has its whole time."""
        later(self.world, 0)
        self.before_call(event)
        self.answers.append(self.world.run(event))
        return self.answers[-1]
