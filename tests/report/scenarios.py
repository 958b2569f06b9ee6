"""The mails of the sandbox's scenarios, as the real handler sends them."""

import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO

import pytest

import handler
from closrads import concurrency, config, notifier
from closrads.errors import ConfigError, SyncFailed
from closrads.ledger import dynamodb
from closrads.observability import logger
from closrads.report.render import Report
from sandbox import SCENARIOS
from sandbox.in_process import InProcessSandbox
from tests.fake_time import FakeTime

LIVE = {"dry_run": False}
HALF_AN_HOUR = 1800.0
CACHES = (config._parameter_store, dynamodb._dynamodb, notifier._ses)
Story = Callable[["Day"], None]


class Day:
    """A day in one scenario, with the events that reach the handler."""

    def __init__(self, sandbox: InProcessSandbox, time: FakeTime) -> None:
        self.sandbox = sandbox
        self._time = time

    def begin(self, scenario: str) -> None:
        """Start over, at half past six in the morning."""
        self._time.reset()
        self.sandbox.load(scenario)
        for client in CACHES:
            client.cache_clear()

    def run(self, event: Mapping[str, object], after: float = 0) -> None:
        """Hand an event to the handler, so many seconds later."""
        self._time.pass_by(after)
        self._time.deadline = self._time.seconds() + 900
        with suppress(SyncFailed, ConfigError):  # that has been mailed
            handler.handle(event, self._time.clock)

    def put(self, name: str, value: str) -> None:
        """Put a parameter."""
        self.sandbox.aws.put_parameters({name: value})


def _live(scenario: str) -> Story:
    def play(day: Day) -> None:
        day.begin(scenario)
        day.run(LIVE)

    return play


def _dry_run(day: Day) -> None:
    day.begin("change day")
    day.run({})


def _undo(day: Day) -> None:
    day.begin("change day")
    day.run(LIVE)
    day.run({"action": "undo", "dry_run": False}, HALF_AN_HOUR)


def _second_look(day: Day) -> None:
    day.begin("breaks late")
    day.run(LIVE)
    day.run({"action": "recheck", "dry_run": False}, HALF_AN_HOUR)


def _paused(day: Day) -> None:
    day.begin("change day")
    day.put("paused", "true")
    day.run(LIVE)


def _off(day: Day) -> None:
    day.begin("change day")
    day.put("campaigns/truckers/enabled", "false")
    day.run(LIVE)


def _unknown_states(day: Day) -> None:
    day.begin("change day")
    day.sandbox.closrtech.demand["VND_TRUCKER_LEADS"] |= {"GU": 4, "Nordwest": 2}
    day.run(LIVE)


def _bad_settings(day: Day) -> None:
    day.begin("change day")
    day.put("limits/wave_size", "many")
    day.run(LIVE)


STORIES: dict[str, Story] = {
    **{name: _live(name) for name in SCENARIOS},
    "dry run": _dry_run,
    "undone": _undo,
    "second look": _second_look,
    "paused": _paused,
    "campaign off": _off,
    "unknown states": _unknown_states,
    "bad settings": _bad_settings,
}


@cache
def scenario_mails() -> dict[str, Report]:
    """Return the last mail of each story, by its name."""
    time, found = FakeTime(), {}
    with pytest.MonkeyPatch.context() as patch, InProcessSandbox(time.seconds, time.wait) as sandbox:
        for name in sandbox.foreign_variables(os.environ):
            patch.delenv(name)
        for name, value in sandbox.environment().items():
            patch.setenv(name, value)
        patch.setattr(concurrency, "ThreadPoolExecutor", time.pool)
        patch.setattr(logger.registered_handler, "stream", StringIO())
        for name, play in STORIES.items():
            with redirect_stdout(StringIO()):  # the metrics
                play(Day(sandbox, time))
            mail = sandbox.aws.mails[-1]
            found[name] = Report(mail.subject, mail.html, mail.text)
    for client in CACHES:
        client.cache_clear()
    return found
