"""Each alarm over the metrics of good and bad days: it rings in time, never on a good month, and again the next time.

What a run tells is what the real handler prints. CloudWatch hears it late, as AWS's guides say.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest

from closrads.domain.metrics import API_DAYS_LEFT, PUSH_RECEIVED, PUSH_REFUSED, TOKEN_DAYS_LEFT
from closrads.report.wording.appendix import API_NOTICE_DAYS, TOKEN_NOTICE_DAYS
from sandbox.meta import Breakage, faults
from tests.fleet_world import OPEN, Workflow
from tests.ledger_world import RECHECK, later, result_of
from tests.template.cloudwatch import HOUR, MINUTE, READINGS, Alarm, Metrics, Point, Reading
from tests.template.stack import Deploy, alarms_of, series
from tests.world import LIVE, World

NEW_YORK = ZoneInfo("America/New_York")
EMF_LATE, LAMBDA_LATE, IDLE_QUEUE_LATE = 2 * MINUTE, 2 * MINUTE, 15 * MINUTE
"""How late CloudWatch hears of what is in the log, of an invocation that has ended, and of a queue that was idle: the
last as the SQS Developer Guide says, the others with a margin."""
Emitted: TypeAlias = Mapping[str, float]
"""What an invocation has printed: values by metric name."""


def printed(capsys: pytest.CaptureFixture[str]) -> Emitted:
    """Return the sums of all that has been printed since the last time."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    found: dict[str, float] = {}
    for line in lines:
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found[metric["Name"]] = found.get(metric["Name"], 0) + line[metric["Name"]][0]
    return found


@pytest.fixture(scope="module")
def once() -> dict[str, Emitted]:
    """Keep what the real handler has printed for the next test: nobody changes it."""
    return {}


@pytest.fixture
def emitted(once: dict[str, Emitted], request: pytest.FixtureRequest) -> Mapping[str, Emitted]:
    """Give what the real handler prints in every situation of these days."""
    if not once:
        once |= all_printed(request.getfixturevalue("world"), request.getfixturevalue("capsys"))
    return once


def all_printed(world: World, capsys: pytest.CaptureFixture[str]) -> dict[str, Emitted]:
    """Run the real handler in every situation of these days, and return what each printed."""
    world.campaign("FL GA")
    adset = world.adset()
    found: dict[str, Emitted] = {}
    world.meta.token_expires_at = int(world.meta.now() + 60 * 86_400)

    def run(name: str, event: Any) -> None:
        result_of(world, event)
        found[name] = printed(capsys)
        later(world, HOUR)

    run("recheck", RECHECK)
    run("change", {**LIVE, "scheduled": "2026-05-04T10:30:00Z"})
    run("quiet", {**LIVE, "scheduled": "2026-05-05T10:30:00Z"})
    run("by hand", LIVE)
    run("dry", {})
    run("one campaign", {**LIVE, "campaigns": ["veterans"]})
    world.sandbox.aws.ses.production_access = False
    run("no mail", LIVE)
    world.sandbox.aws.ses.production_access = True
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"OH": 5}
    world.meta.fail(faults.throttled_use_case(minutes=60), on="POST adset")
    run("everything put off", {**LIVE, "scheduled": "2026-05-06T10:30:00Z"})
    Workflow(world).run(OPEN | {"scheduled": "2026-05-07T10:30:00Z"})
    found["workflow"] = printed(capsys)
    Workflow(world).run(OPEN | {"action": "recheck"})
    found["workflow's recheck"] = printed(capsys)
    for ad in world.meta.ads_of(adset):
        ad.breakage = Breakage.incurable()
    world.sandbox.closrtech.demand["VND_VETERANS_LEADS"] = {"NV": 5}
    run("rollback failed", LIVE)
    assert {name for name, values in found.items() if values.get("RunSucceeded")} == {
        "change", "quiet", "by hand", "no mail", "workflow",
    }  # fmt: skip
    return found


@dataclass
class Days:
    """Time as CloudWatch sees it: what is told of the deployed stack, from a local day on."""

    emitted: Mapping[str, Emitted]
    first: datetime
    """Local midnight of the first day."""
    metrics: Metrics = field(default_factory=Metrics)
    api_days_left: Callable[[date], int] = lambda _: 300
    """Until Meta ends the version of its API, by the day."""
    token_days_left: Callable[[date], int] = lambda _: 60
    """Until a token ends, by the day."""
    pushes: Callable[[date], bool] = lambda _: True
    """Whether Meta pushes what becomes of a change, by the day."""

    @property
    def _ends(self) -> Mapping[str, Callable[[date], int]]:
        return {API_DAYS_LEFT: self.api_days_left, TOKEN_DAYS_LEFT: self.token_days_left}

    def at(self, day: int, hour: int = 6, minute: int = 30) -> float:
        """Return a local time of a day in seconds."""
        return (self.first + timedelta(days=day)).replace(hour=hour, minute=minute).timestamp()

    def tell(self, namespace: str, name: str, dimensions: Mapping[str, str], point: Point) -> None:
        """Let a service tell a value."""
        self.metrics.add(series(namespace, name, dimensions), point)

    def run(self, kind: str, start: float, seconds: float = 40) -> float:
        """Let a run that prints `kind` start, and return when it ends; one that failed ends in the queue."""
        end = start + seconds
        for name, value in self.emitted[kind].items():
            dimensions = {"service": "closrads", "stage": "prod"}
            today = datetime.fromtimestamp(start, UTC).date()
            told = days_left(today) if (days_left := self._ends.get(name)) else value
            self.tell("CLOSRADS", name, dimensions, Point(end, told, end + EMF_LATE))
        if self.emitted[kind].get("AdSetsUpdated") and self.pushes(datetime.fromtimestamp(start, UTC).date()):
            self.push(PUSH_RECEIVED, end)
        self.invocation(start, seconds, failed=bool(self.emitted[kind].get("RunFailed")))
        return end

    def push(self, name: str, at: float) -> float:
        """Let the receiver of Meta's pushes tell of one."""
        self.tell("CLOSRADS", name, {"service": "closrads", "stage": "prod"}, Point(at, 1, at + EMF_LATE))
        return at

    def invocation(self, start: float, seconds: float, *, failed: bool) -> float:
        """Let Lambda tell of an invocation, which it dates to its start; return its end."""
        end = start + seconds
        for name, value in {"Errors": float(failed), "Duration": seconds * 1000}.items():
            point = Point(start, value, end + LAMBDA_LATE)
            self.tell("AWS/Lambda", name, {"FunctionName": "${SyncFunction}"}, point)
        if failed:
            self.message("FailedRuns", end)
        return end

    def message(self, queue: str, at: float) -> float:
        """Let a message come into a queue that was idle."""
        point = Point(at, 1, at + IDLE_QUEUE_LATE)
        self.tell("AWS/SQS", "NumberOfMessagesSent", {"QueueName": f"${{{queue}.QueueName}}"}, point)
        return at

    def workflow(self, name: str, at: float) -> float:
        """Let a workflow end in some way."""
        self.tell("AWS/States", name, {"StateMachineArn": "${FleetRun}"}, Point(at, 1, at + LAMBDA_LATE))
        return at

    def rechecks(self, start: float, end: float) -> None:
        """Let a recheck come every half hour, at a quarter to and past."""
        for moment in range(int(start - start % HOUR) + 15 * MINUTE, int(end), 30 * MINUTE):
            if moment >= start:
                self.run("recheck", moment, 3)

    def ordinary(self, days: int, *, but: frozenset[int] = frozenset(), fleet: bool = False) -> None:
        """Let so many days go well, but let the daily run not come on some of them."""
        for day in range(days):
            if fleet and day not in but:
                self.run("workflow", self.at(day) + 2 * HOUR)
                self.run("workflow's recheck", self.at(day) + 3 * HOUR)
                self.workflow("ExecutionsSucceeded", self.at(day) + 3 * HOUR)
            elif not fleet and day not in but:
                self.run("change" if day % 3 else "quiet", self.at(day))
        if not fleet:
            self.rechecks(self.at(0, 0, 0), self.at(days, 0, 0))


def good_month(days: Days, fleet: bool) -> int:  # noqa: FBT001
    """Four weeks around a change of the clocks, with all that is usual; return how many days."""
    late, long = frozenset({10}), frozenset({17})
    days.ordinary(28, but=late | long, fleet=fleet)
    if fleet:
        days.run("workflow", days.at(10) + 6 * HOUR)  # four hours longer than on other days
        days.run("workflow's recheck", days.at(10) + 11 * HOUR)
        days.run("workflow", days.at(17) + 1 * HOUR)
        days.run("workflow's recheck", days.at(17) + 2 * HOUR)
    else:
        days.run("change", days.at(10) + 58 * MINUTE)  # Scheduler could not start it for almost an hour
        days.run("change", days.at(17), 700)
    days.run("dry", days.at(3, 11))
    days.run("one campaign", days.at(5, 15, 2))
    days.run("by hand", days.at(20, 16, 40))
    return 28


FIRST_DAYS = {
    "autumn": datetime(2026, 10, 20, tzinfo=NEW_YORK),
    "spring": datetime(2027, 3, 1, tzinfo=NEW_YORK),
}
"""The clocks change on 1 November 2026 and on 14 March 2027."""


@pytest.fixture(scope="module")
def alarms(deploy: Deploy) -> Callable[[bool], dict[str, Alarm]]:
    """Give the alarms of a production stack, without or with Fleet."""

    @cache
    def of_stack(fleet: bool) -> dict[str, Alarm]:  # noqa: FBT001
        stack = deploy(Stage="prod", Schedules="ON", Webhook="true", Fleet=str(fleet).lower())
        return {name: Alarm(properties) for name, properties in alarms_of(stack).items()}

    return of_stack


def rings(alarms: Mapping[str, Alarm], days: Days, until: float, reading: Reading) -> dict[str, list[float]]:
    """Return when each alarm rings, the silent ones left out."""
    start = days.at(0, 0, 0)
    found = {name: alarm.rings(days.metrics, start, until, reading) for name, alarm in alarms.items()}
    return {name: moments for name, moments in found.items() if moments}


@pytest.mark.parametrize(("season", "reading"), list(zip(("autumn", "spring"), READINGS, strict=True)), ids=str)
@pytest.mark.parametrize("fleet", [False, True], ids=["function", "fleet"])
def test_a_good_month_is_quiet(
    alarms: Callable[[bool], dict[str, Alarm]],
    emitted: Mapping[str, Emitted],
    season: str,
    fleet: bool,  # noqa: FBT001
    reading: Reading,
) -> None:
    """With a change of the clocks, a late start, a long run, days without changes, and runs by hand."""
    days = Days(emitted, FIRST_DAYS[season])
    count = good_month(days, fleet)

    assert rings(alarms(fleet), days, days.at(count, 0, 0), reading) == {}


@pytest.mark.parametrize(("season", "reading"), list(zip(("autumn", "spring"), READINGS, strict=True)), ids=str)
@pytest.mark.parametrize("fleet", [False, True], ids=["function", "fleet"])
def test_a_good_hourly_month_is_quiet(
    alarms: Callable[[bool], dict[str, Alarm]],
    emitted: Mapping[str, Emitted],
    season: str,
    fleet: bool,  # noqa: FBT001
    reading: Reading,
) -> None:
    """A sync comes every hour, most of them quiet; a few are late, long, or by hand."""
    days, count = Days(emitted, FIRST_DAYS[season]), 28
    for number, moment in enumerate(range(int(days.at(0, 0)), int(days.at(count, 0)), HOUR)):
        kind = "workflow" if fleet else "quiet" if number % 5 else "change"
        days.run(kind, moment + 25 * MINUTE * (number % 50 == 7), 700 if number % 60 == 9 else 40)
        if fleet:
            days.run("workflow's recheck", moment + 31 * MINUTE)
            days.workflow("ExecutionsSucceeded", moment + 32 * MINUTE)
    if not fleet:
        days.rechecks(days.at(0, 0, 0), days.at(count, 0, 0))
    days.run("by hand", days.at(20, 16, 40))

    assert rings(alarms(fleet), days, days.at(count, 0, 0), reading) == {}


Troubles: TypeAlias = dict[str, list[float]]
"""By alarm, the moments of each trouble, or of the last sign of life before it."""
Story: TypeAlias = Callable[[Days], Troubles]


def dies(days: Days) -> Troubles:
    """Cut runs off after their 15 minutes: on two days, and a recheck half an hour after the second."""
    days.ordinary(5, but=frozenset({2, 3}))
    starts = [days.at(2), days.at(3), days.at(3, 7, 1)]
    ends = [days.invocation(start, 900, failed=True) for start in starts]
    days.run("by hand", days.at(2, 8, 0))
    days.run("by hand", days.at(3, 8, 0))
    return {"RunFailed": starts[:2], "NearTimeout": starts[:2], "LostRun": ends[:2]}


def fails_at_once(days: Days) -> Troubles:
    """Refuse runs, such as for a parameter; nobody empties the queue between them."""
    days.ordinary(4)
    starts = [days.at(2, 9, 0), days.at(2, 11, 31), days.at(3, 9, 0)]
    ends = [days.invocation(start, 2, failed=True) for start in starts]
    return {"RunFailed": starts, "LostRun": ends}


def fails_every_half_hour(days: Days) -> Troubles:
    """Let Meta not answer for six hours: each recheck fails, some of them after minutes; and again on the next day."""
    for day in range(4):
        days.run("change", days.at(day))
    days.rechecks(days.at(0, 0, 0), days.at(1, 9, 0))
    days.rechecks(days.at(1, 15, 0), days.at(2, 9, 0))
    days.rechecks(days.at(2, 15, 0), days.at(4, 0, 0))
    starts = [[days.at(day, 9, 15) + 30 * MINUTE * number for number in range(12)] for day in (1, 2)]
    ends = [
        [days.invocation(start, 600 if number % 3 == 2 else 3, failed=True) for number, start in enumerate(of_day)]
        for of_day in starts
    ]
    silent = [days.at(day, 8, 45) + 3 for day in (1, 2)]
    return {"RunFailed": [each[0] for each in starts], "LostRun": [each[0] for each in ends], "RecheckSilence": silent}


def fails_every_hour(days: Days) -> Troubles:
    """Let each sync of an hourly schedule try a rollback that fails, for a day; their reports cannot be sent either."""
    days.ordinary(4, but=frozenset({1, 2}))
    hours = [days.at(1) + HOUR * number for number in range(24)]
    starts = [hour + number % 2 * 5 * MINUTE for number, hour in enumerate(hours)]
    ends = [days.run("rollback failed", start, 700 if number % 3 else 40) for number, start in enumerate(starts)]
    for hour in hours:
        days.run("no mail", hour + 45 * MINUTE)
    unsent = hours[0] + 45 * MINUTE + 40
    return {"RollbackFailed": ends[:1], "RunFailed": starts[:1], "LostRun": ends[:1], "MailFailed": [unsent]}


def never_began(days: Days) -> Troubles:
    """Let Lambda fail to start a run within an hour, twice: no invocation failed."""
    days.ordinary(4)
    return {"LostRun": [days.message("FailedRuns", at) for at in (days.at(1, 11), days.at(1, 13))]}


def not_started(days: Days) -> Troubles:
    """Let Scheduler give up on rechecks, for a morning and in the evening."""
    days.ordinary(4)
    lost = [days.message("MissedRuns", days.at(1, hour)) for hour in (8, 9, 10, 11, 18)]
    return {"MissedRun": [lost[0], lost[-1]]}


def schedule_is_off(days: Days) -> Troubles:
    """Let the daily run not come for days, start it by hand for all campaigns, and let it not come again."""
    days.ordinary(9, but=frozenset(range(2, 9)))
    first = days.at(1) + 40
    by_hand = days.run("by hand", days.at(5, 15, 10))
    days.run("dry", days.at(2, 9, 0))
    days.run("one campaign", days.at(2, 10, 0))
    return {"Silence": [first, by_hand]}


def everything_is_put_off(days: Days) -> Troubles:
    """Let the daily run come without quota for anything: nothing fails, and nothing follows the demand."""
    days.ordinary(5, but=frozenset({2, 3, 4}))
    for day in (2, 3, 4):
        days.run("everything put off", days.at(day))
    return {"Silence": [days.at(1) + 40]}


def rechecks_stop(days: Days) -> Troubles:
    """Stop them twice, while the daily run still comes."""
    for day in range(4):
        days.run("change", days.at(day))
    stops = [days.at(1, 9, 20), days.at(2, 14, 20)]
    days.rechecks(days.at(0, 0, 0), stops[0])
    days.rechecks(days.at(1, 18, 0), stops[1])
    days.rechecks(days.at(2, 20, 0), days.at(4, 0, 0))
    return {"RecheckSilence": [stop - 5 * MINUTE + 3 for stop in stops]}


def rollbacks_fail(days: Days) -> Troubles:
    """Let two fail on one day, and one on the next; each is a failed run as well."""
    days.ordinary(4)
    starts = [days.at(1, 9, 0), days.at(1, 11, 31), days.at(2, 9, 0)]
    ends = [days.run("rollback failed", start, 60) for start in starts]
    return {"RollbackFailed": ends, "RunFailed": starts, "LostRun": ends}


def mail_is_refused(days: Days) -> Troubles:
    """Refuse two reports on one day, and one on the next."""
    days.ordinary(4)
    return {"MailFailed": [days.run("no mail", days.at(*at)) for at in ((1, 9, 0), (1, 11, 40), (2, 9, 0))]}


def is_almost_cut_off(days: Days) -> Troubles:
    """Let two runs take 13 minutes."""
    days.ordinary(4)
    starts = [days.at(1, 9, 0), days.at(1, 12, 0)]
    for start in starts:
        days.run("by hand", start, 780)
    return {"NearTimeout": starts}


def workflow_fails(days: Days) -> Troubles:
    """End badly in each of the three ways, on one day."""
    days.ordinary(4, fleet=True)
    endings = {"ExecutionsFailed": 10, "ExecutionsTimedOut": 13, "ExecutionsAborted": 16}
    return {"FleetFailed": [days.workflow(name, days.at(1, hour)) for name, hour in endings.items()]}


def workflow_does_not_come(days: Days) -> Troubles:
    """Let neither the sync nor its recheck come, twice."""
    days.ordinary(12, but=frozenset({3, 4, 8, 9}), fleet=True)
    last = [days.at(2), days.at(7)]
    return {
        "Silence": [at + 2 * HOUR + 40 for at in last],
        "RecheckSilence": [at + 3 * HOUR + 40 for at in last],
    }


def ending_twice(days: Days, notice_days: int, renewed_for: int) -> Callable[[date], int]:
    """Return the days left of what comes near its end, is renewed for so many days, and is over at once."""
    near = days.first.date() + timedelta(2)
    end = near + timedelta(notice_days - 1)
    renewed, over = near + timedelta(4), near + timedelta(6)
    return lambda day: (end - day).days if day < renewed else renewed_for if day < over else 0


def daily_runs_that_tell(days: Days, alarm: str) -> Troubles:
    """Let the daily run tell of it, and no recheck after the second day: what lasts needs no data to stay."""
    for day in range(12):
        days.run("change", days.at(day))
    days.rechecks(days.at(0, 0, 0), days.at(1, 20, 0))
    return {alarm: [days.at(2) + 40, days.at(8) + 40], "RecheckSilence": [days.at(1, 19, 45) + 3]}


def api_comes_to_its_end(days: Days) -> Troubles:
    """Come within 120 days of the end, update, and then have Meta warn of the next end."""
    days.api_days_left = ending_twice(days, API_NOTICE_DAYS, renewed_for=300)
    return daily_runs_that_tell(days, "ApiVersionEnds")


def token_comes_to_its_end(days: Days) -> Troubles:
    """Come within 14 days of the end, be renewed for 60 days, and be called invalid by Meta."""
    days.token_days_left = ending_twice(days, TOKEN_NOTICE_DAYS, renewed_for=60)
    return daily_runs_that_tell(days, "TokenEnds")


def pushes_are_refused(days: Days) -> Troubles:
    """Let pushes with a wrong signature come, on two days."""
    days.ordinary(4)
    return {"PushRefused": [days.push(PUSH_REFUSED, at) for at in (days.at(1, 11), days.at(2, 13))]}


def pushes_stop(days: Days) -> Troubles:
    """Change something every day, of which Meta tells nothing for five days, and once more from the tenth day on."""
    with_a_push = {(days.first + timedelta(day)).date() for day in (0, 1, 2, 3, 9)}
    days.pushes = with_a_push.__contains__
    for day in range(16):
        days.run("change", days.at(day))
    days.rechecks(days.at(0, 0, 0), days.at(16, 0, 0))
    return {"PushSilence": [days.at(3) + 40, days.at(9) + 40]}


STORIES: Mapping[Story, tuple[int, bool]] = {
    dies: (5, False),
    fails_at_once: (4, False),
    fails_every_half_hour: (4, False),
    fails_every_hour: (4, False),
    never_began: (4, False),
    not_started: (4, False),
    schedule_is_off: (9, False),
    everything_is_put_off: (5, False),
    rechecks_stop: (4, False),
    rollbacks_fail: (4, False),
    mail_is_refused: (4, False),
    is_almost_cut_off: (4, False),
    api_comes_to_its_end: (12, False),
    token_comes_to_its_end: (12, False),
    pushes_are_refused: (4, False),
    pushes_stop: (16, False),
    workflow_fails: (4, True),
    workflow_does_not_come: (12, True),
}
"""How many days each takes, and whether it is one of a stack with Fleet."""


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_each_trouble_rings_in_time_and_the_next_one_again(
    alarms: Callable[[bool], dict[str, Alarm]], emitted: Mapping[str, Emitted], story: Story, reading: Reading
) -> None:
    """The alarms that should ring, once for each trouble, within the time that their text says; and no others."""
    days = Days(emitted, datetime(2026, 6, 1, tzinfo=NEW_YORK))
    troubles = story(days)
    length, fleet = STORIES[story]
    ours = alarms(fleet)

    rung = rings(ours, days, days.at(length, 0, 0), reading)

    assert {name: len(moments) for name, moments in rung.items()} == {
        name: len(moments) for name, moments in troubles.items()
    }
    for name, moments in troubles.items():
        least, most = ours[name].promise()
        waits = [ring - moment for ring, moment in zip(rung[name], sorted(moments), strict=True)]
        assert [wait for wait in waits if not least <= wait <= most] == [], name


def test_every_alarm_has_its_bad_day(
    alarms: Callable[[bool], dict[str, Alarm]], emitted: Mapping[str, Emitted]
) -> None:
    """An alarm that nobody has heard ring is a hope."""
    told = {name for story in STORIES for name in story(Days(emitted, FIRST_DAYS["autumn"]))}

    assert told == alarms(True).keys() | alarms(False).keys()
