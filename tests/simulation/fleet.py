"""The workflow of a run that several invocations share (`statemachine/`), in virtual time: calls, waits, retries."""

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closrads.errors import ConfigError, EventError, PausedError, SyncFailed
from sandbox.aws import LEDGER_TABLE
from tests.simulation.border import Invocation
from tests.simulation.judge_state import Outcome
from tests.simulation.kernel import Pool, Process, current_task, sleep
from tests.simulation.story import Run

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

RETRIES, SECONDS_BETWEEN = 2, 60.0
"""Of a call that failed or died; each wait is twice the one before."""
ACCOUNTS_AT_ONCE = 10
_NOT_TRIED_AGAIN = (ConfigError, EventError, PausedError, SyncFailed)


@dataclass
class Workflow:
    """One execution: it opens a run, works on its campaigns, and closes it."""

    run: Run
    event: dict[str, Any]
    """What opens the run."""
    simulation: "Simulation"
    _last: Invocation | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin; the story goes on."""
        self.simulation.kernel.spawn(Process(f"{self.run.name} workflow"), self._go)

    def _go(self) -> None:
        opened = self._call({"step": "open", **self.event})
        if opened is None or opened.result is None:
            return
        run_id = opened.result["run_id"]
        with Pool(ACCOUNTS_AT_ONCE) as pool:
            for campaigns in opened.result["accounts"]:
                pool.submit(self._work_on, run_id, campaigns)
        closed = self._until_done({"step": "close", "run_id": run_id})
        if closed is None or closed.result is None or "mail" not in closed.result:
            return  # it failed, or another execution has closed the run
        if self._last is not None and (result := self._result(run_id, closed)):
            self.simulation.judge.run_ends(self._last, Outcome(result, closed.error, closed.mails))

    def _work_on(self, run_id: str, campaigns: list[str]) -> None:
        for slug in campaigns:
            self._until_done({"step": "part", "run_id": run_id, "campaigns": [slug]})

    def _until_done(self, event: dict[str, Any]) -> Outcome | None:
        """Call, and call again for as long as the answer says; return the last outcome, None if it failed."""
        while (outcome := self._call(event)) is not None and outcome.error is None and outcome.result is not None:
            wait = outcome.result["again_in_seconds"]
            if wait is None:
                break
            sleep(wait)
        return outcome

    def _call(self, event: dict[str, Any]) -> Outcome | None:
        """Invoke the function, again if it fails or dies; return the outcome, None if it never comes to one."""
        seconds = SECONDS_BETWEEN
        for _ in range(RETRIES + 1):
            outcome = self._invoke(event)
            if outcome is not None and (outcome.error is None or isinstance(outcome.error, _NOT_TRIED_AGAIN)):
                return outcome
            sleep(seconds)
            seconds *= 2
        return None

    def _invoke(self, event: dict[str, Any]) -> Outcome | None:
        task, ends = current_task(), list[Outcome | None]()

        def end(outcome: Outcome | None) -> None:
            ends.append(outcome)
            task.wake()

        invocation = self._last = Invocation(self.run, self.simulation, self._last)
        self.simulation.invoke(invocation, event, end)
        while not ends:
            task.park()
        self.simulation.judge.call_ends(invocation, ends[0])
        return ends[0]

    def _result(self, run_id: str, closed: Outcome) -> dict[str, Any] | None:
        """Return the result of the whole run; None of a recheck without news, of which nothing is kept."""
        if isinstance(closed.error, SyncFailed):
            return closed.error.result
        for item in self.simulation.cloud.service("dynamodb").items_of(LEDGER_TABLE):
            if item["sk"].get("S") == run_id and "result" in item:
                result: dict[str, Any] = json.loads(zlib.decompress(item["result"]["B"]))
                return result
        return None
