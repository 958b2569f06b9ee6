"""Plays one story against the real handler, and notes what happens."""

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import handler
from closrads.clock import Clock
from closrads.errors import ClosradsError, SyncFailed
from sandbox.aws import LEDGER_TABLE, AwsRequest, Mail
from sandbox.closrtech import ClosrtechWorld
from sandbox.memory_aws.errors import AwsError
from sandbox.meta import Ad, Operation
from sandbox.meta.front_door import FrontDoor
from sandbox.meta.regions import KEY_BY_STATE
from sandbox.meta.service import Fault
from sandbox.server import Delivery, HttpRequest, Reply
from tests.simulation import answers, border
from tests.simulation.border import AWS_TIMEOUT, CLOSRTECH, Call, Invocation, SimulatedAws
from tests.simulation.draw import STATES
from tests.simulation.fleet import Workflow
from tests.simulation.judge import Judge
from tests.simulation.judge_state import Outcome
from tests.simulation.kernel import Kernel, Killed, sleep
from tests.simulation.meta import Observer, Regions, SimulatedMeta, regions_in, regions_of, states_of
from tests.simulation.pushes import SECRET, VERIFY_TOKEN, Pushes
from tests.simulation.story import (
    DAY,
    START,
    Again,
    Answer,
    At,
    Change,
    Crash,
    Deed,
    During,
    Notice,
    Operator,
    Person,
    Run,
    Slow,
    Story,
)


def is_named(name: str, pattern: str) -> bool:
    """Tell whether a pattern with `*` and `?` names an ad set, whatever the case."""
    rule = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(rule, name, re.IGNORECASE) is not None


_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
_TOKEN = "EAAFAKESYSTEMUSER"
Handle = Callable[[dict[str, Any], Clock], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the timeline."""

    at: float
    """Seconds since the story's first midnight."""
    who: str
    what: str

    def __str__(self) -> str:
        day, rest = divmod(self.at, DAY)
        minutes, seconds = divmod(rest, 60)
        hours, minutes = divmod(int(minutes), 60)
        return f"day {int(day) + 1} {hours:02}:{minutes:02}:{seconds:06.3f}  {self.who:<18} {self.what}"


class Simulation:
    """One story on its way; `handle` is the product."""

    def __init__(self, story: Story, aws: SimulatedAws, handle: Handle = handler.handle) -> None:
        self.story = story
        self._product = handle
        self.kernel = Kernel(story.seed, START)
        self.meta = SimulatedMeta(lambda: self.kernel.now, self.kernel.after)
        self._front_door = FrontDoor(self.meta)
        self.closrtech = ClosrtechWorld()
        self.cloud = aws
        self.notes: list[Note] = []
        self.live: list[Invocation] = []
        self._log_read_at = START
        self._demands: dict[str, dict[str, frozenset[str]]] = {}
        self._puzzling: set[tuple[int, str]] = set()
        """Each demand that was served with an entry that nobody knows, by the identity of a run's demands."""
        self._puzzles: dict[str, str] = {}
        """By campaign, such an entry that the partner names now."""
        self._ends: dict[Invocation, Callable[[Outcome | None], None]] = {}
        """Who is told when an invocation ends."""
        self.acting: Call | None = None
        """The call that is taking effect."""
        self.judge = Judge(self)
        self._parameters_read_at = -1.0
        self._plan_ids: dict[str, str] = {}
        """By the name of the run that is to carry it out."""
        self._run_ids: dict[str, str] = {}
        """By the name of a run that has begun a change."""
        self._switched_off: dict[str, float] = {}
        """Since when each campaign is off; under the empty name since when everything is paused."""
        self._switched_at: dict[str, float] = {}
        """When each campaign was last switched off or on."""
        self._ledger: dict[str, object] = {}
        """The items of changes as they were seen last; whoever writes one makes a new object of it."""
        self._pushes: Pushes | None = None
        """None if the webhook is off."""
        self._deeds: dict[str, list[tuple[During, Person | Operator | Notice]]] = {}
        """What is due at calls, by the name of the invocation."""
        self._answers: dict[str, list[tuple[int, Answer]]] = {}
        """What an invocation gets to hear, by its name, each with its number in the story."""
        self._troubles: dict[str, list[Crash | Slow | Again]] = {}
        for number, event in enumerate(story.events):
            match event:
                case Answer():
                    self._answers.setdefault(event.run, []).append((number, event))
                case Crash() | Slow() | Again():
                    self._troubles.setdefault(event.run, []).append(event)
                case Person(when=During() as when) | Operator(when=During() as when) | Notice(when=During() as when):
                    self._deeds.setdefault(when.run, []).append((when, event))

    def note(self, who: str, what: str) -> None:
        """Add a line to the timeline."""
        self.notes.append(Note(self.kernel.now - START, who, what))

    # --- from beginning to end

    def play(self) -> None:
        """Play the story to its end, and judge."""
        self._build()
        for run in self.story.runs:
            self.kernel.at(START + run.at, partial(self._begin, run))
            if run.plan_age is not None:
                self.kernel.at(START + run.at - run.plan_age, partial(self._plan, run))
        for event in self.story.events:
            if isinstance(event, Person | Operator | Notice) and isinstance(event.when, At):
                self.kernel.at(START + event.when.seconds, partial(self._do, event))
        self.kernel.run(START + self.story.end)
        self.judge.end()

    def _build(self) -> None:
        world = self.story.world
        self.cloud.now = lambda: self.kernel.now
        self.cloud.reset()
        self.cloud.verify_sender("reports@example.test")
        parameters: dict[str, Any] = {
            "closrtech/base_url": CLOSRTECH,
            "closrtech/email": self.closrtech.email,
            "closrtech/password": self.closrtech.password,
            "meta/access_token": _TOKEN,
            "email/sender": "reports@example.test",
            "email/recipients": ["owner@example.test"],
            "limits/wave_size": str(world.wave_size),
            "limits/min_demand": str(world.min_demand),
            "limits/add_after_days": str(world.add_after_days),
            "limits/remove_after_days": str(world.remove_after_days),
            "limits/verify_wait_seconds": f"{world.verify_wait:g}",
        }
        if world.max_adsets is not None:
            parameters["limits/max_adsets"] = str(world.max_adsets)
        for campaign in world.campaigns:
            code = f"VND_{campaign.slug.upper()}_LEADS"
            ids = self._meta_campaigns(campaign.slug)
            parameters |= {
                f"campaigns/{campaign.slug}/closrtech_campaign": code,
                f"campaigns/{campaign.slug}/fb_ad_account_id": campaign.account,
                f"campaigns/{campaign.slug}/fb_campaign_ids": ids,
            }
            if campaign.skips:
                parameters[f"campaigns/{campaign.slug}/skip_adsets"] = campaign.skips
            self.closrtech.demand[code] = self._leads(campaign.demand)
            self.meta.add_account(campaign.account, world.tier).shows_usage = world.shows_usage
            for meta_campaign in ids:
                categories = (campaign.category,) if campaign.category else ()
                self.meta.add_campaign(
                    meta_campaign, campaign.account, f"{campaign.slug} leads", special_ad_categories=categories
                )
            for adset in campaign.adsets:
                self.meta.build_adset(ids[adset.meta_campaign], adset)
                self._introduce(adset.name, campaign.slug)
                for ad in adset.ads:
                    self.meta.build_ad(adset.name, ad)
        self.meta.keep_log(world.log, self.story.seed)
        self.meta.processing = world.processing
        self.meta.review = world.review
        for account in self.meta.accounts.values():
            account.read_lag = world.read_lag
        if world.push_after is not None:
            parameters |= {"meta/app_secret": SECRET, "meta/webhook_verify_token": VERIFY_TOKEN}
            self._pushes = Pushes(self, self.cloud.push_queue)
        self.cloud.put_parameters(parameters)
        self.meta.observer = Observer(
            targeting_written=self.judge.targeting_written,
            targeting_repeated=self.judge.targeting_repeated,
            ad_switched_on=self.judge.ad_switched_on,
            link_broke=self._link_broke,
            adset_read=self.judge.adset_read,
            adset_unread=self.judge.adset_unread,
            ads_read=self.judge.ads_read,
            ad_read=self.judge.ad_read,
            refused=self.judge.refused,
            controls_read=self.judge.controls_read,
            scripted=self._scripted,
        )

    def _meta_campaigns(self, slug: str) -> list[str]:
        """Return the ids of the Meta campaigns of a campaign."""
        for number, campaign in enumerate(self.story.world.campaigns):
            if campaign.slug == slug:
                return [f"1202000000000{number}{index}900" for index in range(campaign.meta_campaigns)]
        return []

    def _introduce(self, adset: str, slug: str) -> None:
        """Make an ad set known to the judge."""
        (skips,) = (campaign.skips for campaign in self.story.world.campaigns if campaign.slug == slug)
        is_opted_out = any(is_named(adset, pattern) for pattern in skips)
        self.judge.belongs(self.meta.named[adset].id, adset, slug, is_opted_out=is_opted_out)

    def _link_broke(self, ad: Ad) -> None:
        self.note("Meta", f"breaks {ad.name}: {self.meta.links[ad.id].fate.effect}")
        self._changed()

    def _changed(self) -> None:
        if self._pushes is not None:
            self._pushes.changed()

    # --- invocations

    def _plan(self, run: Run) -> None:
        """Make the dry run whose plan a run is to carry out."""
        self.perhaps_forget_parameters(run)
        event: dict[str, Any] = {"action": run.action, "dry_run": True, "notify": False}
        if run.campaigns:
            event["campaigns"] = list(run.campaigns)
        invocation = Invocation(Run(f"{run.name} plan", run.at, dry=True), self)

        def end(outcome: Outcome | None) -> None:
            self.judge.call_ends(invocation, outcome)
            if outcome is not None and outcome.result is not None and outcome.result["plan_id"]:
                self._plan_ids[run.name] = outcome.result["plan_id"]
                self.judge.plan_shown(run, outcome.result)

        self.invoke(invocation, event, end)

    def perhaps_forget_parameters(self, run: Run) -> None:
        """Have a run read the parameters anew, if its container would."""
        if run.cold or self.kernel.now - self._parameters_read_at > border.PARAMETERS_KEPT:
            border.forget_parameters()
            self._parameters_read_at = self.kernel.now

    def _begin(self, run: Run) -> None:
        self.perhaps_forget_parameters(run)
        event: dict[str, Any] = {"action": run.action, "dry_run": run.dry}
        if run.about:
            if run.about not in self._run_ids:
                return  # it has changed nothing
            event["run_id"] = self._run_ids[run.about]
        event |= {"validate": True} if run.validates else {}
        event |= {"force": list(run.force)} if run.force else {}
        if run.plan_age is not None:
            if run.name not in self._plan_ids:
                return  # there is nothing to approve
            event["plan_id"] = self._plan_ids[run.name]
        elif run.campaigns:
            event["campaigns"] = list(run.campaigns)
        if run.scheduled is not None:
            event["scheduled"] = f"{datetime.fromtimestamp(START + run.scheduled, UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.judge.run_begins(run)
        if run.shared:
            Workflow(run, event, self).start()
        else:
            invocation = Invocation(run, self)
            self.invoke(invocation, event, lambda outcome: self._run_ends(invocation, outcome))

    def _run_ends(self, invocation: Invocation, outcome: Outcome | None) -> None:
        self.judge.call_ends(invocation, outcome)
        if outcome is not None and not invocation.run.dry:
            self.judge.run_ends(invocation, outcome)

    def invoke(
        self,
        invocation: Invocation,
        event: dict[str, Any],
        end: Callable[[Outcome | None], None],
        product: Handle | None = None,
    ) -> None:
        """Hand the product an event; `end` is called with the outcome, None if the invocation dies.

        `product` is the function that is invoked, unless it is the one that runs.
        """
        self.note(invocation.name, f"begins: {json.dumps(event)}")
        self.perhaps_forget_parameters(replace(invocation.run, cold=False))
        self.live.append(invocation)
        self._ends[invocation] = end
        self.kernel.spawn(invocation, lambda: self._handle(invocation, event, product or self._product))
        self.kernel.at(invocation.deadline, lambda: self._cut_off(invocation))

    def _handle(self, invocation: Invocation, event: dict[str, Any], product: Handle) -> None:
        kernel = self.kernel
        clock = Clock(
            now=lambda: datetime.fromtimestamp(kernel.now, UTC),
            sleep=sleep,
            remaining=lambda: invocation.deadline - kernel.now,
        )
        result: dict[str, Any] | None = None
        error: ClosradsError | None = None
        with suppress(Killed):
            try:
                result = product(event, clock)
            except SyncFailed as failed:
                result, error = failed.result, failed
            except ClosradsError as failed:
                error = failed
        if invocation.alive:
            invocation.alive = False
            self._end(invocation, Outcome(result, error, tuple(invocation.mails)))

    def _cut_off(self, invocation: Invocation) -> None:
        if invocation.alive:
            self.note(invocation.name, "✗ is cut off at its deadline")
            invocation.kill()
            self.end_dead(invocation)

    def end_dead(self, invocation: Invocation) -> None:
        """Note that an invocation has died."""
        self._end(invocation, None)

    def _end(self, invocation: Invocation, outcome: "Outcome | None") -> None:
        self.live.remove(invocation)
        if outcome is not None:
            self.note(invocation.name, f"ends: {outcome}")
        self._ends.pop(invocation)(outcome)

    def demand(self, slug: str) -> str:
        """Return the states that the partner wants for a campaign now."""
        return self._wanted(self.closrtech.demand[f"VND_{slug.upper()}_LEADS"])

    def _wanted(self, leads: Mapping[str, int]) -> str:
        least = self.story.world.min_demand
        return " ".join(state for state, number in leads.items() if number >= least and state in KEY_BY_STATE)

    def _leads(self, states: str) -> dict[str, int]:
        """Return what the partner says if it wants these states, and perhaps others with a lead too few."""
        wanted, few = dict.fromkeys(states.split(), 5), self.story.world.min_demand - 1
        return {**dict.fromkeys(STATES if few else (), few), **wanted}

    def _puzzle(self, slug: str) -> dict[str, int]:
        return dict.fromkeys(filter(None, [self._puzzles.get(slug)]), 5)

    def is_enabled(self, slug: str) -> bool:
        """Tell whether a campaign is switched on, and nothing is paused."""
        return self.stopped_at(slug) is None

    def switched_off_at(self, slug: str) -> float | None:
        """Return since when a campaign is off, or everything is paused if it is the empty name; None if it is not."""
        return self._switched_off.get(slug)

    def is_surely_enabled(self, slug: str, since: float) -> bool:
        """Tell whether a campaign has been switched on since a time, for every container to know."""
        return slug not in self._switched_off and self._switched_at.get(slug, 0.0) <= since - border.PARAMETERS_KEPT

    def stopped_at(self, slug: str) -> float | None:
        """Return since when nothing new may be begun in a campaign; None if it may."""
        return min((self._switched_off[each] for each in ("", slug) if each in self._switched_off), default=None)

    # --- the outside

    def http(self, invocation: Invocation, request: HttpRequest, timeout: float, *, is_meta: bool) -> Reply:
        """Answer an HTTP request of the product."""
        if is_meta:
            labels, what = self._described(request)
            reads_log = request.query.get("category") == "STATUS"
            if reads_log:
                invocation.log_asked_at = self.kernel.now
            reply = invocation.exchange("meta", labels, what, timeout, lambda call: self._meta(call, request))
            if reads_log and reply.status == HTTPStatus.OK:
                invocation.log_told_at = self._log_read_at
            self._note_log_read(invocation, request, reply)
            return reply
        return invocation.exchange(
            "closrtech", (), "asks for the demand", timeout, lambda call: self._demand(call, request)
        )

    def _note_log_read(self, invocation: Invocation, request: HttpRequest, reply: Reply) -> None:
        path = request.path.partition("/v")[2].partition("/")[2].strip("/")
        is_heard = reply.status == HTTPStatus.OK and reply.delivery is Delivery.WHOLE
        if path == "debug_token" and is_heard:
            invocation.logs_read[""] = self.kernel.now
        elif path.endswith("/activities") and request.query.get("category") == "TARGETING":
            account = path.partition("/")[0]
            invocation.logs_asked[account] = self.kernel.now
            if is_heard:
                invocation.logs_read[account] = self.kernel.now

    def _described(self, request: HttpRequest) -> tuple[list[str], str]:
        form = request.form
        if "batch" in form:
            items = json.loads(form["batch"])
            calls = [
                (item["method"], item["relative_url"].partition("?")[0].strip("/"), item.get("body", ""))
                for item in items
            ]
        else:
            path = request.path.partition("/v")[2].partition("/")[2].strip("/")
            calls = [(request.method, path, form)]
        labels = [f"{method} {self.meta.kind_of(path)}" for method, path, _ in calls]
        what = ", ".join(self._call_text(method, path, body) for method, path, body in calls)
        return (["batch", *labels], f"batch: {what}") if "batch" in form else (labels, what)

    def _call_text(self, method: str, path: str, body: Any) -> str:
        node_id, _, edge = path.partition("/")
        node = self.meta.find(node_id)
        name = getattr(node, "name", node_id)
        if method == "GET":
            return f"GET {name}" + (f"/{edge}" if edge else "")
        fields = dict(parse_qsl(body)) if isinstance(body, str) else body
        if "targeting" in fields:
            return f"POST {name} regions {states_of(regions_in(json.loads(fields['targeting'])))}"
        return f"POST {name} " + " ".join(f"{key}={value}" for key, value in fields.items() if key == "status")

    def _meta(self, call: Call, request: HttpRequest) -> Reply:
        with self._taking_effect(call):
            reply = self._front_door(request)
        if request.method == "POST":
            self._changed()
        if "GET activities" in call.labels and not call.is_late:
            self._log_read_at = self.kernel.now
        self.note(call.invocation.name, f"← {_reply_text(reply)}")
        return reply

    def demand_of(self, run: Run) -> dict[str, frozenset[str]]:
        """Return what was served to a run, by campaign; two executions of the workflow may share one run."""
        is_joint = run.shared and run.scheduled is not None
        return self._demands.setdefault(f"{run.action} {run.scheduled}" if is_joint else run.name, {})

    def keeps(self, invocation: Invocation, slug: str) -> bool:
        """Tell whether a run was served a demand with an entry that nobody knows, so that it may take no state away."""
        return (id(invocation.wanted), slug) in self._puzzling

    def _demand(self, call: Call, request: HttpRequest) -> Reply:
        invocation = call.invocation
        reply = self.closrtech._answer(request)
        if answer := self._answer_to(invocation, {"closrtech"}):
            reply = answers.CLOSRTECH[answer.answer]
        slug = request.query["campaign"].removeprefix("VND_").removesuffix("_LEADS").lower()
        body = (reply.body or b"").decode()
        with suppress(ValueError, AttributeError, TypeError):
            invocation.wanted[slug] = regions_of(self._wanted(json.loads(body)))
            if json.loads(body).keys() - KEY_BY_STATE.keys():
                self._puzzling.add((id(invocation.wanted), slug))
            if not invocation.run.dry:
                self.judge.demand_read(invocation, slug)
        self.note(invocation.name, f"← {slug} wants {body}")
        return reply

    def aws(self, invocation: Invocation, request: AwsRequest, perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Answer one attempt at an AWS call."""
        service = request.service.removesuffix("v2")
        what = f"{service} {request.operation}"
        try:
            return invocation.exchange(
                service, (what,), what, AWS_TIMEOUT, lambda call: self._aws(call, request, perform)
            )
        except TimeoutError:
            invocation.has_ledger_trouble = invocation.has_ledger_trouble or service == "dynamodb"
            raise ConnectionError("time-out") from None

    def _aws(self, call: Call, request: AwsRequest, perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        invocation = call.invocation
        fault = self._answer_to(invocation, call.labels)
        answer = perform() if fault is None or fault.applied else {}
        if request.operation in _WRITES and any(map(_is_of_change, _keys_of(request.params))):
            self._watch_ledger(invocation)
        if request.service == "sqs" and self._pushes is not None:
            self._pushes.attend()
        if request.operation == "SendEmail":
            if fault is None or fault.applied:
                mail: Mail = self.cloud.mails[-1]
                invocation.mails.append(mail)
                self.judge.mail_sent(invocation, mail)
                self.note(invocation.name, f"✉ {mail.subject}")
            else:
                invocation.refused_mails.append(fault.answer)
        if fault is None:
            return answer
        invocation.has_ledger_trouble = invocation.has_ledger_trouble or request.service == "dynamodb"
        self.note(invocation.name, f"← {fault.answer}")
        code, status = answers.AWS[fault.answer]
        if code == answers.DROPPED:
            raise ConnectionError(code)
        raise AwsError(code, "simulated", status)

    def _watch_ledger(self, invocation: Invocation) -> None:
        for item in self.cloud.service("dynamodb").items_of(LEDGER_TABLE):
            key = item["sk"]["S"]
            if _is_of_change(key) and self._ledger.get(key) is not item:
                self._ledger[key] = item
                if item["state"]["S"] == "prepared":
                    self._run_ids[invocation.name] = key.split("#")[1]
                self.judge.change_noted(invocation, key, item["adset"]["S"], item["state"]["S"], _regions_of(item))

    def _taking_effect(self, call: Call) -> "_Acting":
        return _Acting(self, call)

    # --- what the story says

    def deeds_during(self, invocation: Invocation, numbers: dict[str, int], *, after: bool) -> None:
        """Do what is due at a call."""
        for when, deed in self._deeds.get(invocation.name, ()):
            if when.after == after and numbers.get(when.call) == when.nth:
                self._do(deed)

    def is_disturbed(self, name: str) -> bool:
        """Tell whether anything happens at a call of an invocation."""
        return name in self._troubles or name in self._deeds

    def crashes(self, invocation: Invocation, numbers: dict[str, int], *, after: bool) -> bool:
        """Tell whether the invocation dies at a call."""
        return any(
            isinstance(event, Crash) and event.after == after and numbers.get(event.call) == event.nth
            for event in self._troubles.get(invocation.name, ())
        )

    def has_trouble(self, name: str) -> bool:
        """Tell whether something goes wrong in an invocation by the story."""
        return bool(self._troubles.get(name) or self._answers.get(name))

    def slowness(self, invocation: Invocation, numbers: dict[str, int]) -> float:
        """Return how long a call takes, 0 if the story does not say."""
        return sum(
            event.seconds
            for event in self._troubles.get(invocation.name, ())
            if isinstance(event, Slow) and numbers.get(event.call) == event.nth
        )

    def again(self, invocation: Invocation, numbers: dict[str, int]) -> list[float]:
        """Return after how many seconds each a call takes effect once more."""
        return [
            event.seconds
            for event in self._troubles.get(invocation.name, ())
            if isinstance(event, Again) and numbers.get(event.call) == event.nth
        ]

    def _scripted(self, operation: Operation) -> Fault | None:
        assert self.acting is not None
        invocation = self.acting.invocation
        answer = self._answer_to(invocation, {operation.kind, f"{operation.method} {operation.kind}"})
        if answer is None:
            return None
        what = "is done, and answered" if answer.applied else "is answered"
        if answer.applied and not operation.path:  # a whole batch
            self.acting = replace(self.acting, is_unheard=True)
        called = self._call_text(operation.method, operation.path, {}) if operation.path else "the batch"
        self.note(invocation.name, f"  {called} {what} with {answer.answer}")
        return Fault(answers.META[answer.answer], answer.on, 1, 0, answer.applied)

    def _answer_to(self, invocation: Invocation, names: AbstractSet[str]) -> Answer | None:
        """Return what the story answers to an operation, by the names it may have for it."""
        due = None
        for number, answer in self._answers.get(invocation.name, ()):
            if answer.on in names:
                count = invocation.operations[number]
                invocation.operations[number] += 1
                due = answer if answer.skip <= count < answer.skip + answer.times else due
        return due

    def _do(self, deed: Person | Operator | Notice) -> None:
        if not isinstance(deed, Notice):
            self._do_by_hand(deed)
        elif self._pushes is not None:
            self._pushes.notice(deed)

    def _by_person(self, person: Person) -> None:
        if self.meta.by_hand(person.deed, person.target, person.value):
            if person.deed is Deed.COPY_ADSET:
                self._introduce(person.value, self.judge.campaign_of(self.meta.named[person.target].id))
            self.note("a person", f"{person.deed}: {person.target} {person.value}")
            self._changed()

    def _do_by_hand(self, deed: Person | Operator) -> None:
        match deed:
            case Person():
                self._by_person(deed)
            case Operator(change=Change.DEMAND):
                code = f"VND_{deed.campaign.upper()}_LEADS"
                self.closrtech.demand[code] = self._leads(deed.value) | self._puzzle(deed.campaign)
                self.note("the partner", f"{deed.campaign} wants {deed.value}")
            case Operator(change=Change.PUZZLE):
                states = self.demand(deed.campaign)
                self._puzzles[deed.campaign] = deed.value
                leads = self._leads(states) | self._puzzle(deed.campaign)
                self.closrtech.demand[f"VND_{deed.campaign.upper()}_LEADS"] = leads
                self.note("the partner", f"{deed.campaign} has an entry {deed.value}")
            case Operator(change=Change.TOKEN):
                self.meta.tokens = {_TOKEN} if deed.value == "alive" else set()
                self.note("an operator", f"the token is {deed.value}")
            case Operator(change=Change.HOLD | Change.SPENT | Change.CONTROLS):
                self._happens_to(self._account(deed.campaign), deed.change, deed.value)
            case Operator(change=Change.SKIPS | Change.FOLLOWED):
                self._narrow(deed.change, deed.campaign, deed.value)
            case Operator(change=Change.ENABLED):
                self.cloud.put_parameters({f"campaigns/{deed.campaign}/enabled": deed.value})
                self._switch(deed.campaign, is_off=deed.value == "false")
                self.note("an operator", f"{deed.campaign} enabled={deed.value}")
            case Operator(change=Change.PAUSED):
                self.cloud.put_parameters({"paused": deed.value})
                self._switch("", is_off=deed.value == "true")
                self.note("an operator", f"paused={deed.value}")

    def _happens_to(self, account: str, change: Change, value: str) -> None:
        """Do what concerns a whole ad account."""
        match change:
            case Change.HOLD:
                self.meta.hold(account, value)
                self.note("Meta", f"holds {account} for {value or 'nothing'}")
            case Change.SPENT:
                self.meta.spend(account, int(value))
                self.note("another program", f"spends {value} points of {account}")
            case _:
                self.meta.control(account, value)
                self.note("a person", f"allows in {account}: {value or 'all states'}")

    def _narrow(self, change: Change, slug: str, value: str) -> None:
        """Have a campaign leave some of its ad sets alone from now on, or none any more."""
        (skips,) = (campaign.skips for campaign in self.story.world.campaigns if campaign.slug == slug)
        ids, patterns = self._meta_campaigns(slug), list(dict.fromkeys([*skips, *filter(None, [value])]))
        if change is Change.FOLLOWED:
            ids = [ids[int(value)]] if value else ids
            self.cloud.put_parameters({f"campaigns/{slug}/fb_campaign_ids": ids})
            self.judge.left_out(slug, lambda adset: adset.campaign.id not in ids, change)
        elif patterns:
            self.cloud.put_parameters({f"campaigns/{slug}/skip_adsets": patterns})
            self.judge.left_out(slug, lambda adset: value != "" and is_named(adset.name, value), change)
        else:
            self.cloud.delete_parameters(f"campaigns/{slug}/skip_adsets")
            self.judge.left_out(slug, lambda _: False, change)
        self.note("an operator", f"{slug} {change}: {value or 'all'}")

    def _account(self, slug: str) -> str:
        return next(campaign.account for campaign in self.story.world.campaigns if campaign.slug == slug)

    def _switch(self, slug: str, *, is_off: bool) -> None:
        self._switched_at[slug] = self.kernel.now
        if is_off:
            self._switched_off.setdefault(slug, self.kernel.now)
        else:
            self._switched_off.pop(slug, None)


def _is_of_change(key: str) -> bool:
    return key.startswith("CHANGE#")


def _keys_of(call: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sort keys of the items that a write to the ledger is about."""
    writes = [write for each in call.get("TransactItems", ()) for write in each.values()] or [call]
    for write in writes:
        yield (write.get("Item") or write["Key"])["sk"]["S"]


def _regions_of(item: dict[str, Any]) -> tuple[Regions, Regions]:
    """Return the regions of the targeting before and after a change; none of one that a test has noted without any."""
    parts = (item.get(name) for name in ("before", "after"))
    before, after = (regions_in(json.loads(zlib.decompress(part["B"]))) if part else frozenset() for part in parts)
    return before, after


class _Acting:
    """Says whose call is taking effect."""

    def __init__(self, simulation: Simulation, call: Call) -> None:
        self._simulation, self._call = simulation, call

    def __enter__(self) -> None:
        self._simulation.acting = self._call

    def __exit__(self, *_: object) -> None:
        self._simulation.acting = None


def _reply_text(reply: Reply) -> str:
    if reply.delivery is not Delivery.WHOLE:
        return reply.delivery.name.lower()
    body = (reply.body or b"").decode(errors="replace")
    if body.startswith('[{"code"'):
        return f"{int(reply.status)} {[item and item['code'] for item in json.loads(body)]}"
    is_plain = int(reply.status) == HTTPStatus.OK and body.startswith(('{"data"', '{"id"', '{"success":true'))
    return str(int(reply.status)) if is_plain else f"{int(reply.status)} {body[:120]}"
