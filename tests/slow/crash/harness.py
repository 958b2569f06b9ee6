"""Kills the handler's process at a chosen HTTP exchange, and judges what is left at Meta and in the ledger.

Each worker process has two sandboxes of its own: one for processes that may be killed, and one for what goes on in the
worker itself. What exists in one can be taken out as bytes and put into any other.
"""

import copy
import gc
import hashlib
import multiprocessing
import os
import pickle
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from closrads import config, notifier
from closrads.ledger import dynamodb
from sandbox import Breakage, MetaWorld, Sandbox
from sandbox.in_process import InProcessSandbox
from sandbox.memory_aws import MemoryAws
from sandbox.memory_http import MemoryAwsOverHttp
from sandbox.meta import AdSet, Effect, Operation
from sandbox.meta.regions import KEY_BY_STATE
from sandbox.meta.targeting import region_keys
from tests.slow.crash.invocation import SHIFT, Ending, ending_of, invoke, log_nowhere
from tests.world import START, FakeTime, World

ROOT = Path(__file__).resolve().parents[3]
DAY, HOUR, MINUTE = 86_400.0, 3_600.0, 60.0
PATIENCE_SECONDS = 60.0
"""For what takes a second at most."""

OLD, WANTED = "TX FL GA", "FL GA OH NY"
CANARY, STUBBORN, PARTLY_PAUSED, PLAIN, RIGHT = "Canary", "Stubborn", "Partly paused", "Plain", "Right already"
BREAKS, IS_PAUSED = Breakage.ordinary(), Breakage.ordinary(Effect.PAUSED)
"""What becomes of an ad unless it is re-published in time."""
ADS: Mapping[str, Sequence[Breakage | None]] = {
    CANARY: (BREAKS, IS_PAUSED),
    STUBBORN: (Breakage.stubborn(), Breakage.stubborn(Effect.PAUSED)),
    PARTLY_PAUSED: (IS_PAUSED,),
    RIGHT: (BREAKS,),
}
"""The ads of each ad set, by what a targeting write does to them."""
ONE_MORE = {**ADS, PLAIN: (BREAKS,)}
"""With this, less than half of a wave is put back, so the campaign is not stopped and the run does not fail."""

SYNC = {"action": "sync", "dry_run": False}
RECHECK = {"action": "recheck", "dry_run": False}


@dataclass(frozen=True)
class Point:
    """One of the two moments of an HTTP exchange of a run."""

    exchange: int
    """Its number, from 1."""
    moment: str
    """Either "before", when it is not done yet, or "after", when its answer is not sent yet."""

    def __str__(self) -> str:
        return f"{self.moment} exchange {self.exchange}"


@dataclass(frozen=True)
class Expected:
    """What a person expects to find, unless it is as wanted: targeting and status, by the ids of ad sets and ads."""

    targeting: dict[str, dict[str, Any]]
    status: dict[str, str]
    """Only of ads that the handler has to answer for."""


@dataclass(frozen=True)
class State:
    """What exists at Meta and in the ledger, and who expects what of it."""

    content: bytes = field(repr=False)
    expected: Expected = field(repr=False)
    story: tuple[str, ...] = ()
    """What happened before, for a person who wonders."""


@dataclass(frozen=True)
class Seen:
    """A moment of a run that came to its end: what a kill leaves if it comes then."""

    point: Point
    call: str
    """The exchange in words."""
    rough: str
    """See `Lab.rough`."""
    state: State | None
    """None if whoever asked knows such a state."""


class Run:
    """One invocation in a process of its own."""

    def __init__(self, process: ForkServerProcess, answer: Connection) -> None:
        self._process = process
        self._answer = answer

    @property
    def sentinel(self) -> int:
        """Something to wait for until it has ended."""
        return self._process.sentinel

    def kill(self) -> None:
        """Kill it, and return when it is dead."""
        self._process.kill()
        wait([self.sentinel])

    def ending(self, patience: float = PATIENCE_SECONDS) -> Ending:
        """Wait for its end."""
        try:
            if not self._answer.poll(patience):
                self.kill()
                return Ending(error="TimeoutError", text=f"It did not end within {patience:g} s")
            ending: Ending = self._answer.recv()
        except EOFError:
            ending = Ending(killed=True)
        self._process.join()
        return ending


class _Time:
    """The time of the sandbox and of the invocations."""

    shift = 0.0

    @classmethod
    def set(cls, seconds: float) -> None:
        """Go to so many seconds after `START`; from there on time passes."""
        cls.shift = START.timestamp() + seconds - time.time()


def _now() -> float:
    return time.time() + _Time.shift


class Lab:
    """A sandbox with one small business, and the means to run, kill, copy and judge."""

    def __init__(self, sandbox: Sandbox, aws: MemoryAws) -> None:
        self._aws = aws
        self.sandbox = sandbox
        self.sandbox.__enter__()
        self._environment = self.sandbox.environment() | {"AWS_MAX_ATTEMPTS": "1"}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pytest", "tests.slow.crash.warm"])
        self._lock = threading.Lock()
        self._count = 0
        self._numbers: dict[int, int] = {}
        self._under_way: set[int] = set()
        self._calls: dict[int, str] = {}
        self._at: Callable[[Point, str], None] = _nothing

    def warm_up(self) -> None:
        """Start the process that all invocations are forked from, and let one come to its end.

        That process has the variables that this one has now.
        """
        self.open_business(ONE_MORE)
        _Time.set(0)
        os.environ.clear()
        os.environ.update(self._environment | {"PYTHONPATH": str(ROOT), SHIFT: str(_Time.shift)})
        ending = self.start(SYNC, 0).ending(10 * PATIENCE_SECONDS)  # nearly all of it for imports
        assert ending.result, ending

    # --- the world

    def open_business(self, ads: Mapping[str, Sequence[Breakage | None]]) -> State:
        """Build one campaign with these ad sets, and with one more paused ad in the one that is named after it."""
        _Time.set(-30 * DAY)  # what is there has been there for some time
        self.sandbox.reset()
        world = World(self.sandbox, FakeTime())
        world.put({"limits/verify_wait_seconds": "0", "limits/wave_size": "3"})
        world.campaign(dict.fromkeys(WANTED.split(), 5) | {"TX": 0})
        meta = self.sandbox.meta
        for name, breakages in ads.items():
            adset = world.adset(name, WANTED if name == RIGHT else OLD, ads=0)
            for number, breakage in enumerate(breakages, start=1):
                meta.add_ad(adset, f"Ad {number}", breakage=breakage)
            if name == PARTLY_PAUSED:
                meta.add_ad(adset, "Paused by a person", status="PAUSED")
        targeting = {adset.id: copy.deepcopy(adset.targeting) for adset in meta.adsets.values()}
        return self.take(Expected(targeting, {ad.id: ad.status for ad in meta.ads.values()}))

    def take(self, expected: Expected, story: tuple[str, ...] = ()) -> State:
        """Copy what exists."""
        meta, aws = self.sandbox.meta, self.sandbox.aws
        with meta.lock, aws.lock:
            # What only read is of no interest later, and would be copied thousands of times.
            meta.requests = [
                request for request in meta.requests if not request.status or any(map(_is_write, request.operations))
            ]
            at_meta = {name: vars(meta)[name] for name in ("accounts", "campaigns", "adsets", "_ads", "requests")}
            return State(pickle.dumps((at_meta, self._aws.copied(), aws.mails)), expected, story)

    def put(self, state: State) -> None:
        """Let exist what was copied, and nothing else."""
        meta, aws = self.sandbox.meta, self.sandbox.aws
        with meta.lock, aws.lock:
            at_meta, dynamodb, mails = pickle.loads(state.content)  # noqa: S301 - our own
            self._aws.restore(dynamodb)
            aws.mails[:] = mails  # SES has this list
            vars(meta).update(at_meta)

    # --- invocations

    def start(
        self, event: Any, seconds: float, at: Callable[[Point, str], None] | None = None, *, also: bool = False
    ) -> Run:
        """Start the handler `seconds` after `START`; `at` is called with each moment, and with the name of the world.

        What `at` sees of several invocations, the second and others being started with `also`, is numbered through.
        """
        if not also:
            self._begin(seconds, at or _nothing)
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=invoke, args=(sender, self._environment, event, _Time.shift))
        process.start()
        sender.close()
        return Run(process, receiver)

    def _begin(self, seconds: float, at: Callable[[Point, str], None]) -> None:
        _Time.set(seconds)
        self._count = 0
        self._under_way.clear()
        self._calls.clear()
        self._at = at
        for name in ("meta", "closrtech", "aws"):
            getattr(self.sandbox, name).on_exchange = partial(self._exchange, name)

    def run(self, event: Any, seconds: float, at: Callable[[Point, str], None] | None = None) -> Ending:
        """Let the handler come to its end."""
        return self.start(event, seconds, at).ending()

    def kill(self, event: Any, seconds: float, point: Point) -> Ending:
        """Run the handler and kill it at a point, if it comes there."""
        run: Future[Run] = Future()

        def at(now: Point, _: str) -> None:
            if now == point:
                run.result().kill()
                raise ConnectionAbortedError

        run.set_result(self.start(event, seconds, at))
        ending = run.result().ending()
        self._let_arrive()
        return ending

    def _let_arrive(self) -> None:
        """Wait until everything is served that a process has sent before it died."""
        for world in (self.sandbox.meta, self.sandbox.closrtech, self.sandbox.aws):
            world.on_exchange = None
            address = ("127.0.0.1", urlsplit(world.url).port or 0)
            with socket.create_connection(address) as last:  # once this is answered, all before it have been accepted
                last.sendall(b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                while last.recv(4096):
                    pass
        for thread in threading.enumerate():
            if "process_request_thread" in thread.name:  # one for each connection, in both kinds of server
                thread.join(PATIENCE_SECONDS)

    def watch(
        self, event: Any, seconds: float, state: State, known: Collection[str] | None
    ) -> tuple[Ending, list[Seen]]:
        """Let the handler come to its end, and return each moment, with a copy of what no `known` rough print tells.

        Without `known` nothing is copied.
        """
        seen: list[Seen] = []
        met = set(known or ())

        def at(now: Point, _: str) -> None:
            with self.sandbox.meta.lock, self.sandbox.aws.lock:  # other exchanges may be under way
                # Nothing changes between two exchanges.
                as_it_was = seen and self._under_way == {now.exchange} and now.moment == "before"
                rough = seen[-1].rough if as_it_was else self.rough()
                new = known is not None and rough not in met
                seen.append(Seen(now, "", rough, self.take(state.expected, state.story) if new else None))
                met.add(rough)

        ending = self.run(event, seconds, at)
        return ending, [self._told(each, event["action"]) for each in seen]

    def _told(self, seen: Seen, action: str) -> Seen:
        call = self._calls[seen.point.exchange]
        if seen.state is None:
            return replace(seen, call=call)
        chapter = f"{action} killed {seen.point} ({call})"
        return replace(seen, call=call, state=replace(seen.state, story=(*seen.state.story, chapter)))

    def _exchange(self, world: str, moment: str) -> None:
        thread = threading.get_ident()
        with self._lock:
            if moment == "before":
                self._count += 1
                self._numbers[thread] = self._count
                self._under_way.add(self._count)
            point = Point(self._numbers[thread], moment)
            if moment == "after":
                self._calls[point.exchange] = self._last_call(world)
        self._at(point, world)
        if moment == "after":
            with self._lock:
                self._under_way.discard(point.exchange)

    def _last_call(self, world: str) -> str:
        """Name what was asked last, which need not be this exchange if several are under way."""
        match world:
            case "meta":
                operations = [
                    operation for request in self.sandbox.meta.requests[-1:] for operation in request.operations
                ]
                kinds = Counter(f"{operation.method} {operation.kind}" for operation in operations)
                return ", ".join(["Meta", *(f"{kind} x{times}" for kind, times in kinds.items())])
            case "aws":
                request = self.sandbox.aws.requests[-1]
                return f"{request.service} {request.operation}"
        return "CLOSRTECH"

    def done(self) -> tuple[int, Counter[str]]:
        """Count the mails, and the targeting writes by ad set."""
        meta = self.sandbox.meta
        writes = [write.object_id for write in meta.writes if "targeting" in write.params]
        return len(self.sandbox.aws.mails), Counter(meta.adsets[adset_id].name for adset_id in writes)

    def compared(self, before: tuple[int, Counter[str]], state: State, *endings: Ending) -> "Ran":
        """Tell what was done since `before`."""
        mails, written = self.done()
        new = self.take(state.expected, state.story)
        return Ran(new, endings, mails - before[0], dict(written - before[1]), tuple(self.problems(state.expected)))

    # --- prints

    def exact(self) -> str:
        """Tell states apart, but for times and the ids of runs."""
        aws = self.sandbox.aws
        return _print(self._at_meta(), list(map(_timeless, aws.ledger())), len(aws.mails))

    def rough(self) -> str:
        """Tell states apart as far as another day's run can.

        By the next day leases are over, and the run that a finished change belongs to is history. What counts is what
        is at Meta, what is open, and what is remembered of ad sets.
        """
        items = self.sandbox.aws.ledger()
        begun = [(_timeless(item), self._pauses_since(item)) for item in items if "open_since" in item]
        remembered = [_timeless(item) for item in items if item["sk"].startswith("MEMORY#")]
        return _print(self._at_meta(), sorted(begun), remembered)

    def _pauses_since(self, change: dict[str, Any]) -> list[tuple[bool, ...]]:
        """Tell of each paused ad whether that was long before or long after what the ledger knows of a change."""
        begun, known = (datetime.fromisoformat(change[name]).timestamp() for name in ("prepared_at", "changed_at"))
        ads = self.sandbox.meta.ads_of(change["adset"])
        return [
            (ad.updated_time < begun - MINUTE, ad.updated_time > known + MINUTE) if ad.status == "PAUSED" else ()
            for ad in ads
        ]

    def _at_meta(self) -> list[Any]:
        meta = self.sandbox.meta
        with meta.lock:
            return [
                (
                    adset.id,
                    adset.targeting,
                    [(ad.status, ad.issues, _damage(ad)) for ad in adset.ads],
                    _stale(meta, adset),
                )
                for adset in meta.adsets.values()
            ]

    # --- the judge

    def problems(self, expected: Expected) -> list[str]:
        """Judge what a run has left: every ad set as before or as wanted, with its ads healthy, and nothing open."""
        meta = self.sandbox.meta
        meta.settle()
        found = [
            f"left open: {item['sk']}: {item['state']}" for item in self.sandbox.aws.ledger() if "open_since" in item
        ]
        for adset in meta.adsets.values():
            found += (f"{adset.name}: {problem}" for problem in self._problems_of(adset, expected))
        return found

    def _problems_of(self, adset: AdSet, expected: Expected) -> Iterable[str]:
        before, now, wanted = expected.targeting[adset.id], self.sandbox.meta.states(adset.id), set(WANTED.split())
        if region_keys(adset.targeting) != region_keys(before) and (now != wanted or adset.name == STUBBORN):
            yield f"is in {' '.join(sorted(now))}, which is not as before and not where it can stay"
        if _but_for_regions(adset.targeting) != _but_for_regions(before):
            yield f"other targeting was changed: {adset.targeting}"
        stale = _stale(self.sandbox.meta, adset) if now == wanted else ()
        for ad in adset.ads:
            status = expected.status.get(ad.id)
            if status == "PAUSED" != ad.status:
                yield f"{ad.name} is {ad.status}, though a person paused it"
            if status == "ACTIVE":
                if ad.effective_status != "ACTIVE" or ad.issues:
                    yield f"{ad.name} is {ad.effective_status} with {ad.issues}"
                if ad.id in stale:
                    yield f"{ad.name} was not re-published after the last write"


class InnerLab(Lab):
    """One for runs that are not to be killed: in this process and without sockets, in less than half of the time.

    A state that was copied in one laboratory can be put into the other.
    """

    def __init__(self) -> None:
        sandbox = InProcessSandbox(_now, time.sleep)
        super().__init__(sandbox, sandbox.memory_aws)
        os.environ.clear()
        os.environ.update(self._environment)
        log_nowhere()

    def run(self, event: Any, seconds: float, at: Callable[[Point, str], None] | None = None) -> Ending:
        """Let the handler come to its end."""
        self._begin(seconds, at or _nothing)
        for made_for_another in (config._parameter_store, dynamodb._dynamodb, notifier._ses):
            made_for_another.cache_clear()
        return ending_of(event, _Time.shift)


def _nothing(*_: Any) -> None:
    """Do nothing."""


def _is_write(operation: Operation) -> bool:
    return operation.applied


def _damage(ad: Any) -> tuple[bool, ...]:
    return () if ad.damage is None else (ad.damage.broken, ad.damage.rolled_back)


def _stale(meta: MetaWorld, adset: AdSet) -> tuple[str, ...]:
    """Return the ads that have not been re-published since the API last wrote the ad set's targeting."""
    stale: set[str] = set()
    for write in meta.writes:
        if write.object_id == adset.id and "targeting" in write.params:
            stale = {ad.id for ad in adset.ads}
        elif write.params.get("status") == "ACTIVE":
            stale.discard(write.object_id)
    return tuple(sorted(stale))


def _but_for_regions(targeting: dict[str, Any]) -> dict[str, Any]:
    places = {kind: entries for kind, entries in targeting["geo_locations"].items() if kind != "regions"}
    return targeting | {"geo_locations": places}


_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")
_EPOCH = 1_000_000_000


def _timeless(item: dict[str, Any]) -> str:
    """Return an item without times, ids of runs, and what is packed."""
    kept = {
        name: "time" if isinstance(value, int) and value > _EPOCH else value
        for name, value in sorted(item.items())
        if not isinstance(value, bytes)
    }
    return _INSTANT.sub("time", _RUN_ID.sub("run", repr(kept)))


def _print(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def hold_to_it(problems: Collection[str]) -> None:
    """Fail with all problems, which pytest would cut short."""
    assert not problems, "\n".join((f"{len(problems)} problems", *problems))


# --- what worker processes are asked


@cache
def lab() -> Lab:
    """Return this process's laboratory."""
    aws = MemoryAwsOverHttp()
    return Lab(Sandbox(_now, aws=aws), aws)


@cache
def inner_lab() -> InnerLab:
    """Return this process's laboratory for runs that are not to be killed."""
    return InnerLab()


def begin() -> None:
    """Get a worker process ready, and see that it does not outlive its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    lab().warm_up()
    for each in (lab(), inner_lab()):
        each.open_business(ADS)  # the parameters: they are no part of a `State`
    gc.collect()
    gc.freeze()  # what is there now stays to the end


def _follow(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def opened(ads: Mapping[str, Sequence[Breakage | None]] = ADS) -> State:
    """Return the world before any run."""
    return lab().open_business(ads)


@dataclass(frozen=True)
class Ran:
    """What one or more runs have made of a world."""

    state: State
    endings: tuple[Ending, ...]
    mails: int
    written: dict[str, int]
    """How often the targeting of ad sets was written, by their names."""
    problems: tuple[str, ...]


def ran(state: State, event: Any, seconds: float) -> Ran:
    """Let a run come to its end."""
    lab().put(state)
    before = lab().done()
    return lab().compared(before, state, lab().run(event, seconds))


def crowd(state: State, event: Any, count: int) -> Ran:
    """Let so many runs begin at the same moment, and the one that goes to work last until the others have ended."""
    lab().put(state)
    before = lab().done()
    together = threading.Barrier(count)
    started: Future[list[Run]] = Future()

    def at(now: Point, world: str) -> None:
        if now.moment == "before" and now.exchange <= count:
            together.wait(PATIENCE_SECONDS)
        elif now.moment == "before" and world == "closrtech":
            alive = {run.sentinel for run in started.result()}
            while len(alive) > 1 and (ended := wait(alive, PATIENCE_SECONDS / 2)):
                alive.difference_update(ended)

    started.set_result([lab().start(event, 0, at, also=number > 0) for number in range(count)])
    return lab().compared(before, state, *(run.ending() for run in started.result()))


@dataclass(frozen=True)
class Watched:
    """A run that nobody disturbed, and each of its moments."""

    seen: tuple[Seen, ...]
    problems: tuple[str, ...]
    states: dict[str, set[str]]
    """Where the ad sets are in the end, by their names."""
    found: frozenset[str] = frozenset()
    """How far the changes had come that it found open."""


def watched(state: State, event: Any, seconds: float, known: Collection[str] | None = None) -> Watched:
    """Let a run come to its end, judge it, and copy each of its moments whose rough print is not `known`."""
    return _watched(lab(), state, event, seconds, known)


def followed(state: State, event: Any, seconds: float, known: Collection[str] | None = None) -> Watched:
    """Do the same without a process and sockets: what comes after a kill, wherever that left the world."""
    return _watched(inner_lab(), state, event, seconds, known)


def _watched(lab: Lab, state: State, event: Any, seconds: float, known: Collection[str] | None) -> Watched:
    lab.put(state)
    meta, aws = lab.sandbox.meta, lab.sandbox.aws
    found = frozenset(item["state"] for item in aws.ledger() if "open_since" in item)
    mails = len(aws.mails)
    ending, seen = lab.watch(event, seconds, state, known)
    problems = lab.problems(state.expected)
    if not ending.result and ending.error != "SyncFailed":
        problems.append(f"the run did not end well: {ending}")
    if event["action"] == "sync" and len(aws.mails) != mails + 1:
        problems.append(f"the run sent {len(aws.mails) - mails} mails")
    return Watched(
        tuple(seen),
        tuple(" · ".join((*state.story, problem)) for problem in problems),
        {adset.name: meta.states(adset.id) for adset in meta.adsets.values()},
        found,
    )


@dataclass(frozen=True)
class Killed:
    """What a kill has left."""

    reached: bool
    """Whether the process was killed; else it had come to its end before."""
    exact: str
    rough: str
    """See `Lab.exact` and `Lab.rough`."""
    state: State


def killed(state: State, event: Any, seconds: float, seen: Seen) -> Killed:
    """Kill a run at a moment that another one has passed through."""
    lab().put(state)
    ending = lab().kill(event, seconds, seen.point)
    chapter = f"{event['action']} killed {seen.point} ({seen.call})"
    return Killed(ending.killed, lab().exact(), lab().rough(), lab().take(state.expected, (*state.story, chapter)))


def moments(state: State, event: Any, seconds: float) -> tuple[Ran, list[State]]:
    """Let an invocation come to its end; return that, and each different state that it passed through."""
    lab().put(state)
    before, found = lab().done(), dict[str, State]()

    def at(now: Point, world: str) -> None:
        with lab().sandbox.meta.lock, lab().sandbox.aws.lock:  # other exchanges may be under way
            exact = lab().exact()
            if exact not in found:
                chapter = f"{event['step']} killed {now} (with {world})"
                found[exact] = lab().take(state.expected, (*state.story, chapter))

    ending = lab().run(event, seconds, at)
    return lab().compared(before, state, ending), list(found.values())


def gone_on(state: State, events: Sequence[Any], seconds: float) -> Ran:
    """Let invocations follow each other, each as often as its answer asks for."""
    lab().put(state)
    before, endings = lab().done(), list[Ending]()
    for event in events:
        again: float | None = 0
        while again is not None:
            seconds += again
            endings.append(lab().run(event, seconds))
            again = endings[-1].result.get("again_in_seconds")
    return lab().compared(before, state, *endings)


def met(state: State, hand: str) -> Watched | None:
    """Let a person change something of an ad set that a killed run has begun with; judge the next run.

    Where nothing was begun there is nothing to ask.
    """
    lab = inner_lab()
    lab.put(state)
    meta = lab.sandbox.meta
    _Time.set(3 * HOUR)
    begun = [item["adset"] for item in lab.sandbox.aws.ledger() if "open_since" in item]
    begun += [adset for adset, before in state.expected.targeting.items() if meta.targeting(adset) != before]
    if not begun:
        return None
    adset = meta.adsets[begun[0]]
    expected = copy.deepcopy(state.expected)
    match hand:
        case "pauses an ad":
            ad = next(ad for ad in adset.ads if expected.status[ad.id] == "ACTIVE")
            meta.pause_by_hand(ad.id)
            ad.breakage = None  # whether Meta breaks ads that are paused is another question
            expected.status[ad.id] = "PAUSED"
        case "changes other targeting":
            meta.change_by_hand(adset.id, {"genders": [2]})
            expected.targeting[adset.id]["genders"] = [2]
        case "changes the states":
            places = adset.targeting["geo_locations"] | {"regions": [{"key": KEY_BY_STATE["CA"]}]}
            meta.change_by_hand(adset.id, {"geo_locations": places})
            expected.targeting[adset.id] = meta.targeting(adset.id)
            for ad in adset.ads:
                del expected.status[ad.id]  # the person has seen them
    story = (*state.story, f"a person {hand} of {adset.name}")
    # A sync makes the states of all ad sets what they shall be, a person's too; a recheck only ends what is open.
    action, seconds = (RECHECK, 4 * HOUR) if hand == "changes the states" else (SYNC, DAY)
    return followed(lab.take(expected, story), action, seconds)
