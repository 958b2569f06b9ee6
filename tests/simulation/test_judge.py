"""Each clause is violated by a product that does what it forbids, and by nothing that it allows.

The products here are a few lines that talk to the same outside as the real one.
"""

import json
import zlib
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import count
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import BotoCoreError

from closrads.clock import Clock
from closrads.errors import ClosradsError
from sandbox.aws import LEDGER_TABLE
from sandbox.meta.regions import KEY_BY_STATE
from tests.simulation.border import CLOSRTECH, META
from tests.simulation.clauses import Clause
from tests.simulation.meta import regions_in, states_of
from tests.simulation.play import player
from tests.simulation.simulation import Handle
from tests.simulation.story import (
    DAY,
    HOUR,
    AdSetSpec,
    AdSpec,
    Again,
    Answer,
    At,
    CampaignSpec,
    Change,
    Deed,
    During,
    Event,
    Fate,
    Log,
    Operator,
    Person,
    Run,
    Story,
    World,
)

ADSET, AD = "120210000000010007", "120210000000010017"
TOKEN = "EAAFAKESYSTEMUSER"
QUICK, NEVER = Fate(seconds=1.0), Fate(seconds=30 * DAY)
BEGIN = 36_000.0


class Product:
    """Verbs that a product is made of."""

    def __init__(self, clock: Clock) -> None:
        self.wait = clock.sleep
        self._targeting: dict[str, Any] = {}
        self._states: dict[str, str] = {}

    def read(self) -> None:
        """Read the demand, the ad set and its ads."""
        login = {"campaign": "VND_VETERANS_LEADS", "email": "feed@example.test", "pass": "FAKE-feed-password"}
        requests.get(f"{CLOSRTECH}/demand.php", params=login, timeout=30)
        answer = requests.get(
            f"{META}/v26.0/{ADSET}", params={"access_token": TOKEN, "fields": "targeting"}, timeout=30
        )
        self._targeting = answer.json()["targeting"]
        self._states.setdefault("before", states_of(regions_in(self._targeting)))
        requests.get(f"{META}/v26.0/{ADSET}/ads", params={"access_token": TOKEN, "fields": "id,status"}, timeout=30)

    def write(self, states: str = "FL", **changes: Any) -> None:
        """Write other regions over what was read, and perhaps something else."""
        rest = {name: value for name, value in self._targeting.items() if not name.startswith("effective_")}
        regions = [{"key": KEY_BY_STATE[state]} for state in states.split()]
        geo = {**rest["geo_locations"], "regions": regions}
        self._states.setdefault("after", states)
        self._post(ADSET, targeting=json.dumps({**rest, "geo_locations": geo, **changes}))

    def ask_who(self) -> None:
        """Ask who has edited targetings, and which app is ours."""
        account = {"access_token": TOKEN, "category": "TARGETING", "fields": "event_time,object_id"}
        requests.get(f"{META}/v26.0/act_111/activities", params=account, timeout=30)
        requests.get(f"{META}/v26.0/debug_token", params={"access_token": TOKEN, "input_token": TOKEN}, timeout=30)

    def republish(self) -> None:
        """Switch the ad on."""
        self._post(AD, status="ACTIVE")

    def _post(self, path: str, **form: str) -> None:
        requests.post(f"{META}/v26.0/{path}", params={"access_token": TOKEN}, data=form, timeout=30)

    def note(self, state: str, change: str = "CHANGE#1", **states: str) -> None:
        """Write the state of a change into the ledger, with the states `before` and `after` it as soon as known."""
        item = {"pk": "CAMPAIGN#veterans", "sk": change, "adset": ADSET, "state": state}
        targetings = {
            name: {"geo_locations": {"regions": [{"key": KEY_BY_STATE[state]} for state in listed.split()]}}
            for name, listed in (self._states | states).items()
        }
        boto3.client("dynamodb").put_item(
            TableName=LEDGER_TABLE,
            Item={name: {"S": text} for name, text in item.items()}
            | {name: {"B": zlib.compress(json.dumps(targeting).encode())} for name, targeting in targetings.items()},
        )

    def report(self, says: str) -> None:
        """Mail what is said of the ad set."""
        text = f"Alder: {says}{says_of_learning}"
        content = {"Simple": {"Subject": {"Data": "A report"}, "Body": {"Text": {"Data": text}}}}
        boto3.client("sesv2").send_email(
            FromEmailAddress="reports@example.test",
            Destination={"ToAddresses": ["owner@example.test"]},
            Content=content,
        )

    def change(self, states: str = "FL") -> None:
        """Hold to everything."""
        self.note("prepared")
        self.read()
        self.write(states)
        self.note("written")
        self.republish()
        self.note("republished")
        self.note("verified")


Steps = Callable[[Product], None]


says_of_a_refused_mail = "failed"
says_of_learning = "\n1 ad set restarts Meta's learning phase"
says_of_the_ad_set: dict[str, Any] = {}
says_of_the_campaign: dict[str, Any] = {}


def product(steps: Steps, says: str, times: int, silent: Collection[int] = ()) -> Handle:
    """Return a handler that takes these steps in its first runs, and says this of its ad set in all of them.

    The runs whose numbers are in `silent` send no mail.
    """
    left, numbers = [steps] * times, count()

    def handle(event: dict[str, Any], clock: Clock) -> dict[str, Any]:
        if left:
            left.pop()(Product(clock))
        mail = "not_asked" if next(numbers) in silent else "sent"
        try:
            if says and mail == "sent":
                Product(clock).report(says)
        except BotoCoreError:
            mail = says_of_a_refused_mail
        adset = {"id": ADSET, "name": "Alder", "result": says, "issues": [], **says_of_the_ad_set}
        adsets = [adset] if says else []
        campaign = {"slug": "veterans", "campaign_name": "Veterans", "left_to": "", "errors": [], "adsets": adsets}
        campaign |= says_of_the_campaign
        run = {"left_to": "", "action": event["action"], "mail": mail}
        return {**run, "campaigns": [campaign], "recovered": []}

    return handle


def violated(  # noqa: PLR0913 - the parts of a story
    steps: Steps,
    *events: Event,
    fate: Fate = Fate(),  # noqa: B008 - a frozen value
    states: str = "TX",
    says: str = "updated",
    writers: int = 1,
    processing: float = 0.0,
    excludes: str = "",
    reaches_beyond: bool = False,
    hours: Iterable[int] = (),
    silent: Collection[int] = (),
    skips: tuple[str, ...] = (),
    log: Log = Log.COMPLETE,
) -> set[Clause]:
    """Let such a product run once a day, and so many hours after its first run; return what the judge has against it.

    By their numbers in time, the runs in `silent` send no mail.
    """
    ads = (AdSpec("Alder 1", fate=fate),)
    adset = AdSetSpec("Alder", states, ads, excludes=excludes, reaches_beyond=reaches_beyond)
    category = "HOUSING" if excludes else ""
    campaign = CampaignSpec("veterans", "act_111", "FL", (adset,), category=category, skips=skips)
    world = World((campaign,), processing=processing, log=log)
    runs = [Run(f"day {day + 1}", day * DAY + BEGIN) for day in range(3)]
    runs += [Run(f"writer {number}", BEGIN + 0.5 * number) for number in range(1, writers)]
    runs += [Run(f"hour {hour}", BEGIN + hour * HOUR) for hour in hours]
    with player(product(steps, says, writers, silent)) as play:
        return play(Story(0, world, tuple(runs), events, DAY)).judge.clauses


def person(deed: Deed, after: float, target: str = "Alder", value: str = "") -> Person:
    """Return what a person does so long after the first run has begun."""
    return Person(At(BEGIN + after), deed, target, value)


EDIT = person(Deed.EDIT_AGE, 10, value="40")
PAUSE = person(Deed.PAUSE_AD, 10, "Alder 1")


def test_a_change_that_holds_to_everything_violates_nothing() -> None:
    """Else no clause would mean anything."""
    assert violated(Product.change) == set()


def waited(*steps: Steps, demands: tuple[str, ...] = (), add: int = 1, remove: int = 1) -> set[Clause]:
    """Let a product take other steps each day, while states have to wait, and return what the judge has against it."""
    adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),))
    campaign = CampaignSpec("veterans", "act_111", "FL", (adset,))
    world = World((campaign,), add_after_days=add, remove_after_days=remove)
    runs = tuple(Run(f"day {day + 1}", day * DAY + BEGIN) for day in range(len(steps)))
    events = tuple(Operator(At(day * DAY), Change.DEMAND, states, "veterans") for day, states in enumerate(demands))
    left = list(steps)

    def handle(event: dict[str, Any], clock: Clock) -> dict[str, Any]:
        return product(left.pop(0), "updated", 1)(event, clock)

    with player(handle) as play:
        return play(Story(0, world, runs, events, DAY)).judge.clauses


class TestWaiting:
    """When a state may be added or removed."""

    def test_after_as_many_days(self) -> None:
        assert waited(Product.read, Product.change) == set()

    def test_not_on_the_first_day(self) -> None:
        assert waited(Product.change, Product.read) == {Clause.WAITED}

    def test_not_after_days_of_another_kind(self) -> None:
        """Florida was wanted, then it was not, and today it is again."""
        change, demands = partial(Product.change, states="FL TX"), ("FL TX", "TX", "FL TX")

        assert waited(Product.read, Product.read, change, demands=demands) == {Clause.WAITED}

    def test_what_waits_may_be_left_out(self) -> None:
        """What is written is then neither what is wanted nor what was there."""
        change = partial(Product.change, states="FL TX")

        assert waited(change, add=0) == {Clause.FOLLOWS}
        assert waited(change, add=0, remove=0) == {Clause.KNOWN_REGIONS, Clause.REGIONS, Clause.FOLLOWS}


class TestWrites:
    """What may be written, and over what."""

    def test_only_what_is_in_the_ledger(self) -> None:
        def steps(product: Product) -> None:
            product.read()
            product.write()
            product.republish()

        assert violated(steps) == {Clause.WRITTEN_DOWN}

    def test_only_regions_that_are_wanted_or_were_there(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write("OH")
            product.republish()
            product.note("not_written")

        assert violated(steps) == {Clause.KNOWN_REGIONS, Clause.REGIONS, Clause.FOLLOWS}

    def test_nothing_but_regions(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write(age_range=[40, 65])
            product.republish()
            product.note("not_written")

        assert violated(steps) == {Clause.ONLY_REGIONS}

    @pytest.mark.parametrize(
        ("waits", "expected"), [(20, {Clause.EDITS_STAND, Clause.EDITS_KEPT}), (13, set())], ids=["long", "seconds"]
    )
    def test_never_over_an_edit_that_a_fresh_read_would_have_shown(self, waits: float, expected: set[Clause]) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.wait(waits)
            product.write()
            product.republish()
            product.note("not_written")

        assert violated(steps, EDIT) == expected

    def test_old_regions_not_over_a_persons(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.wait(20)
            product.write("TX")
            product.republish()
            product.note("not_written")

        regions = person(Deed.EDIT_REGIONS, 10, value="NY")
        assert violated(steps, regions, says="failed") == {Clause.EDITS_STAND}

    @pytest.mark.parametrize(
        ("asks", "log", "expected"),
        [
            (False, "forbidden", {Clause.EDITS_STAND}),
            (True, "forbidden", set()),
            (True, "complete", {Clause.EDITS_STAND}),
        ],
    )
    def test_old_regions_not_over_the_new_ones_that_a_person_has_set(
        self,
        asks: bool,  # noqa: FBT001 - a parameter
        log: str,
        expected: set[Clause],
    ) -> None:
        def steps(product: Product) -> None:
            product.change()
            product.note("rolling_back")
            product.write("TX")
            product.wait(20)
            if asks:
                product.ask_who()
            product.read()
            product.write("TX")
            product.republish()
            product.note("rolled_back")

        regions = person(Deed.EDIT_REGIONS, 10, value="FL")
        assert violated(steps, regions, says="reverted", log=Log(log)) == expected

    def test_by_one_invocation_at_a_time(self) -> None:
        def steps(product: Product) -> None:
            product.republish()
            product.wait(2)
            product.republish()

        assert violated(steps, states="FL", writers=2) == {Clause.ONE_WRITER}

    @pytest.mark.parametrize(("answers", "is_done"), [((), True), (("permission missing",), False)])
    def test_what_meta_has_refused_is_not_done_later(self, answers: tuple[str, ...], is_done: bool) -> None:  # noqa: FBT001 - a parameter
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write()
            product.note("not_written")

        refusals = [Answer("day 1", "POST adset", 0, 1, answer) for answer in answers]
        found = violated(steps, *refusals, Again("day 1", "POST adset", 1, 60.0), says="failed")
        assert (Clause.FOLLOWS not in found) == is_done


class TestAds:
    """Which ads are to run, and which are not."""

    def test_one_that_a_person_paused_is_not_switched_on(self) -> None:
        def steps(product: Product) -> None:
            product.wait(20)
            product.read()
            product.republish()

        assert violated(steps, PAUSE, states="FL") == {Clause.PAUSES_STAND, Clause.STAYS_OFF}

    def test_one_that_was_paused_seconds_ago_may_be(self) -> None:
        """Nobody can see that in time."""

        def steps(product: Product) -> None:
            product.read()
            product.wait(12)
            product.republish()

        assert violated(steps, PAUSE, states="FL") == set()

    def test_one_that_broke_is_to_run_again(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write()
            product.wait(2)

        assert violated(steps, fate=QUICK, says="failed") == {Clause.RUNS, Clause.CLOSED}

    def test_one_whose_link_is_pending_is_not_well_yet(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write()

        assert violated(steps, fate=NEVER, says="failed") == {Clause.RUNS, Clause.CLOSED}


class TestReviews:
    """An ad that Meta reviews after each write, and rejects."""

    @staticmethod
    def violated(says: str, *later: Steps) -> set[Clause]:
        """Let a product change the ad set on one day, and take other steps on each day after that."""
        adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1", rejected=True),))
        world = World((CampaignSpec("veterans", "act_111", "FL", (adset,)),), review=HOUR)
        days = [(Product.change, "updated"), *((steps, says) for steps in later)]
        runs = tuple(Run(f"day {day}", day * DAY + BEGIN) for day in range(len(days)))

        def handle(event: dict[str, Any], clock: Clock) -> dict[str, Any]:
            steps, said = days.pop(0)
            return product(steps, said, 1)(event, clock)

        with player(handle) as play:
            return play(Story(0, world, runs, (), DAY)).judge.clauses

    def test_what_it_rejects_is_told(self) -> None:
        """Nobody can mend it, so it may stay as it is."""
        assert self.violated("failed", Product.read) == set()
        assert self.violated("updated", Product.read) == {Clause.TRUTHFUL}

    def test_no_final_state_calls_it_well(self) -> None:
        def steps(product: Product) -> None:
            product.read()
            product.note("rolling_back")
            product.note("rolled_back", after="TX")

        assert Clause.LEDGER_TRUE in self.violated("failed", steps)

    def test_regions_are_put_back_once_on_its_account(self) -> None:
        def steps(product: Product) -> None:
            product.read()
            product.note("rolling_back")
            product.write("TX")
            product.republish()
            product.note("rollback_failed")

        assert self.violated("failed", steps, Product.read) == set()
        assert self.violated("failed", steps, steps) == {Clause.NOT_IN_VAIN}


class TestLedger:
    """What may stand in it."""

    def test_a_change_takes_only_steps_that_there_are(self) -> None:
        assert violated(lambda product: product.note("verified", after="FL"), states="FL") == {Clause.TRANSITIONS}

    @pytest.mark.parametrize("first", ["written", "rolling_back"])
    def test_a_change_waits_for_the_one_before_it(self, first: str) -> None:
        def steps(product: Product) -> None:
            product.read()
            product.note("prepared")
            product.note(first)
            product.note("prepared", change="CHANGE#2")

        assert Clause.ONE_AT_A_TIME in violated(steps, says="failed")

    def test_a_change_may_follow_one_that_has_ended(self) -> None:
        def steps(product: Product) -> None:
            product.change("GA")
            product.note("prepared", change="CHANGE#2")

        assert Clause.ONE_AT_A_TIME not in violated(steps, says="failed")

    def test_a_final_state_is_true(self) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write()
            for state in ("written", "republished", "verified"):
                product.note(state)

        assert violated(steps, fate=NEVER, says="failed") == {Clause.LEDGER_TRUE, Clause.RUNS}

    @pytest.mark.parametrize("ended", [("verified",), ("rolling_back", "rolled_back")])
    def test_the_regions_are_those_that_a_final_state_tells_of(self, ended: tuple[str, ...]) -> None:
        def steps(product: Product) -> None:
            product.note("prepared")
            product.read()
            product.write()
            product.republish()
            if ended == ("verified",):
                product.write("TX")
                product.republish()
            for state in ("written", "republished", *ended):
                product.note(state)

        assert Clause.LEDGER_TRUE in violated(steps, says="failed")

    def test_regions_that_a_person_has_set_meanwhile_are_not_held_against_it(self) -> None:
        edit = Person(During("day 1", "POST ad", 1, after=True), Deed.EDIT_REGIONS, "Alder", "GA")

        assert Clause.LEDGER_TRUE not in violated(Product.change, edit, says="failed")

    def test_nothing_stays_open(self) -> None:
        assert violated(lambda product: product.note("prepared"), states="FL", says="failed") == {Clause.CLOSED}


class TestStop:
    """What must not begin any more, and what must be said."""

    @pytest.mark.parametrize(
        "switch", [(Change.PAUSED, "true", ""), (Change.ENABLED, "false", "veterans")], ids=["paused", "off"]
    )
    @pytest.mark.parametrize(("after", "is_forbidden"), [(5, False), (30, True)])
    def test_nothing_begins_once_it_is_stopped(
        self,
        switch: tuple[Change, str, str],
        after: float,
        is_forbidden: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        def steps(product: Product) -> None:
            product.wait(after)
            product.change()

        stop = Operator(At(BEGIN), *switch)
        assert (Clause.STOP in violated(steps, stop, states="TX")) == is_forbidden

    def test_the_mail_says_so(self) -> None:
        paused = Operator(At(0), Change.PAUSED, "true")
        assert violated(Product.read, paused, says="unchanged") == {Clause.STOP_TOLD}
        assert violated(Product.read, paused, says="unchanged, paused since then") == set()


class TestRefusals:
    """What Meta refuses an ad account, and what it is not to be asked for."""

    HOLD = Operator(At(0), Change.HOLD, "payment", "veterans"), Operator(At(DAY), Change.HOLD, "", "veterans")
    CONTROLS = Operator(At(0), Change.CONTROLS, "TX", "veterans"), Operator(At(DAY), Change.CONTROLS, "", "veterans")

    def refused(self, product: Product) -> None:
        """Have Meta refuse a change."""
        product.note("prepared")
        product.read()
        product.write()
        product.note("not_written")

    @pytest.mark.parametrize("events", [HOLD, CONTROLS], ids=["held", "controlled"])
    def test_they_are_told(self, events: tuple[Event, ...]) -> None:
        why = "Add a payment method to the ad account" if events is self.HOLD else "audience controls"
        assert Clause.ACCOUNT_TOLD in violated(self.refused, *events, says="failed")
        assert Clause.ACCOUNT_TOLD not in violated(self.refused, *events, says=f"failed: {why}")
        twice = f"failed\nStopped: {why}\nStopped: {why}"
        assert Clause.ACCOUNT_TOLD in violated(self.refused, *events, says=twice)

    @pytest.mark.parametrize(("events", "reads"), [(HOLD, False), (CONTROLS, True), (CONTROLS, False)])
    def test_nothing_else_is_begun_once_the_reason_is_known(
        self,
        events: tuple[Event, ...],
        reads: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        def steps(product: Product) -> None:
            self.refused(product)
            if reads:
                requests.get(f"{META}/v26.0/act_111/account_controls", params={"access_token": TOKEN}, timeout=30)
            product.note("prepared")
            product.note("not_written")

        assert (Clause.HELD_BACK in violated(steps, *events)) == (reads or events is self.HOLD)

    @pytest.mark.parametrize(("seconds", "is_forbidden"), [(60.0, True), (10.0, False)])
    def test_an_ad_set_in_process_is_left_alone(self, seconds: float, is_forbidden: bool) -> None:  # noqa: FBT001 - a parameter
        def steps(product: Product) -> None:
            product.change()
            product.wait(30)
            product.change()

        assert (Clause.LEFT_ALONE in violated(steps, processing=seconds)) == is_forbidden

    def test_one_that_its_category_does_not_allow_is_left_alone_and_told(self) -> None:
        assert Clause.LEFT_ALONE in violated(self.refused, excludes="WA", says="failed")
        assert Clause.TRUTHFUL in violated(Product.read, excludes="WA", says="unchanged")
        assert violated(Product.read, excludes="WA", says="needs_attention") == set()


class TestWishes:
    """What a person wants left alone, and what a person has approved."""

    @pytest.mark.parametrize(("skips", "is_forbidden"), [(("al*",), True), (("Birch", "alde"), False)])
    def test_what_is_to_be_left_alone_is_not_written(self, skips: tuple[str, ...], is_forbidden: bool) -> None:  # noqa: FBT001 - a parameter
        assert violated(Product.change, skips=skips) == ({Clause.OPTED_OUT} if is_forbidden else set())

    @pytest.mark.parametrize(("since", "is_forbidden"), [(BEGIN - 600, True), (BEGIN - 60, False)])
    @pytest.mark.parametrize("parameter", [Change.SKIPS, Change.FOLLOWED])
    def test_what_is_to_be_left_alone_from_now_on_is_not_begun(
        self,
        parameter: Change,
        since: float,
        is_forbidden: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """A warm container may know it minutes later."""
        value = "Al*" if parameter is Change.SKIPS else "1"
        adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),))
        world = World((CampaignSpec("veterans", "act_111", "FL", (adset,), meta_campaigns=2),))
        event = Operator(At(since), parameter, value, "veterans")
        with player(product(partial(Product.note, state="prepared"), "", 1)) as play:
            judge = play(Story(0, world, (Run("day 1", BEGIN),), (event,), DAY)).judge

        assert (Clause.LEFT_OUT in judge.clauses) == is_forbidden

    @pytest.mark.parametrize(("most", "is_forbidden"), [(None, False), (1, True), (2, False)])
    def test_no_more_are_changed_than_the_limit_allows(self, most: int | None, is_forbidden: bool) -> None:  # noqa: FBT001 - a parameter
        def steps(product: Product) -> None:
            product.note("prepared", "CHANGE#run#1")
            product.note("prepared", "CHANGE#run#2")

        adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),))
        world = World((CampaignSpec("veterans", "act_111", "FL", (adset,)),), max_adsets=most)
        with player(product(steps, "", 1)) as play:
            judge = play(Story(0, world, (Run("day 1", BEGIN),), (), DAY)).judge

        assert (Clause.FEW in judge.clauses) == is_forbidden

    @pytest.mark.parametrize(
        ("steps", "is_forbidden"),
        [(Product.read, False), (Product.republish, True), (partial(Product.note, state="prepared"), True)],
    )
    def test_a_dry_run_changes_nothing(self, steps: Steps, is_forbidden: bool) -> None:  # noqa: FBT001 - a parameter
        world = World((CampaignSpec("veterans", "act_111", "TX", (AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),)),)),))
        with player(product(steps, "unchanged", 1)) as play:
            judge = play(Story(0, world, (Run("dry", BEGIN, dry=True),), (), DAY)).judge

        assert (Clause.DRY in judge.clauses) == is_forbidden

    @pytest.mark.parametrize(("states", "is_forbidden"), [("FL", True), ("FL TX", False)])
    def test_no_state_is_taken_away_if_the_demand_is_a_puzzle(self, states: str, is_forbidden: bool) -> None:  # noqa: FBT001 - a parameter
        puzzle = Operator(At(0), Change.PUZZLE, "Flrida", "veterans")

        found = violated(partial(Product.change, states=states), puzzle)

        assert (Clause.KEPT in found) == is_forbidden
        assert Clause.KNOWN_REGIONS not in found

    def test_what_is_left_alone_need_not_follow(self) -> None:
        assert violated(Product.read, skips=("Alder",), says="opted_out") == set()

    @pytest.mark.parametrize(
        ("shown", "events", "is_stale"),
        [
            (["FL"], (), False),
            (["FL"], (Operator(At(BEGIN - 60), Change.DEMAND, "GA", "veterans"),), True),
            (["FL"], (Person(At(BEGIN - 60), Deed.EDIT_REGIONS, "Alder", "TX OH"),), True),
            ([], (), True),
        ],
        ids=["same", "demand", "by hand", "nothing"],
    )
    def test_only_what_was_approved_is_begun(self, shown: list[str], events: tuple[Event, ...], is_stale: bool) -> None:  # noqa: FBT001 - a parameter
        def handle(event: dict[str, Any], clock: Clock) -> dict[str, Any]:
            if not event["dry_run"]:
                return carry_out(event, clock)
            change = {"id": ADSET, "name": "Alder", "result": "updated", "added": shown, "removed": ["TX"]}
            campaign = {"active_states": ["FL"], "adsets": [change] if shown else []}
            return {"plan_id": "1", "left_to": "", "recovered": [], "campaigns": [campaign]}

        def steps(product: Product) -> None:
            wanted = "GA" if "GA" in str(events) else "FL"
            product.read()
            product.note("prepared", before="TX", after=wanted)
            product.write(wanted)
            product.note("written")
            product.republish()
            product.note("republished")
            product.note("verified")

        carry_out = product(steps, "updated", 1)
        adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),))
        runs = [Run(f"day {day + 1}", day * DAY + BEGIN, plan_age=None if day else 600.0) for day in range(3)]
        story = Story(0, World((CampaignSpec("veterans", "act_111", "FL", (adset,)),)), tuple(runs), events, DAY)
        with player(handle) as play:
            assert (Clause.APPROVED in play(story).judge.clauses) == is_stale


class TestReports:
    """What must be said, and what must not."""

    def pending(self, product: Product) -> None:
        """Leave the link pending, which breaks it at once."""
        product.note("prepared")
        product.read()
        product.write()

    @pytest.mark.parametrize(
        ("says", "clause"), [("updated", Clause.TRUTHFUL), ("reverted", Clause.TRUTHFUL), ("", Clause.TOLD)]
    )
    def test_what_is_not_well_is_told(self, says: str, clause: Clause) -> None:
        assert clause in violated(self.pending, says=says)

    def test_an_ad_set_that_is_shown_outside_its_states_is_told(self) -> None:
        says = "may be shown to people outside its states"
        assert violated(Product.read, states="FL", says="unchanged", reaches_beyond=True) == {Clause.REACH_TOLD}
        assert violated(Product.read, states="FL", says=says, reaches_beyond=True) == set()
        assert violated(Product.read, states="FL", says="ended", reaches_beyond=True) == set()

    @pytest.mark.parametrize("says", ["", says_of_learning * 2, says_of_learning.replace("1", "0")])
    def test_that_an_ad_set_starts_to_learn_again_is_told_once(
        self, says: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(globals(), "says_of_learning", says)
        assert violated(Product.change) == {Clause.LEARNING_TOLD}
        assert violated(Product.read, states="FL", says="unchanged") == set()

    @pytest.mark.parametrize(
        ("missing", "extra", "is_known", "is_told"),
        [
            (["FL"], ["TX"], True, True),
            ([], ["TX"], True, False),
            (["FL"], [], True, False),
            ([], [], False, True),
        ],
    )
    def test_where_an_ad_set_runs_that_was_put_back(
        self, missing: list[str], extra: list[str], *, is_known: bool, is_told: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adset = {"added": ["FL"], "removed": ["TX"], "missing": missing, "extra": extra}
        monkeypatch.setitem(globals(), "says_of_the_ad_set", adset)
        states = {"active_states": ["FL"], "states_before": ["TX"] * is_known}
        monkeypatch.setitem(globals(), "says_of_the_campaign", states)

        found = violated(Product.read, says="reverted")

        assert (Clause.WHERE_TOLD not in found) is is_told

    def test_nothing_else_is_asked_for_once_it_is(self) -> None:
        told = violated(self.pending, says="failed")
        assert not told & {Clause.TRUTHFUL, Clause.TOLD}

    @pytest.mark.parametrize(("silent", "is_told"), [((), True), ((1, 2), True), ((0,), False), ((3,), False)])
    def test_each_day_a_mail_says_it_once(self, silent: tuple[int, ...], is_told: bool) -> None:  # noqa: FBT001 - a parameter
        found = violated(self.pending, says="failed", hours=(1, 2), silent=silent)
        assert (Clause.TOLD not in found) is is_told
        assert Clause.TRUTHFUL not in found

    def test_the_mails_of_a_day_say_what_is_paused_and_what_meta_refuses(self) -> None:
        paused = Operator(At(0), Change.PAUSED, "true")
        assert violated(Product.read, paused, says="unchanged, paused since then", hours=(1,), silent=(1,)) == set()
        assert violated(Product.read, paused, says="unchanged", hours=(1,), silent=(1,)) == {Clause.STOP_TOLD}
        hold = TestRefusals.HOLD
        told = "failed: Add a payment method to the ad account"
        assert Clause.ACCOUNT_TOLD in violated(TestRefusals().refused, *hold, says=told, silent=(0,))

    def test_a_mail_that_ses_does_not_take_has_failed_in_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = Answer("day 1", "ses", 0, 99, "dropped")
        assert Clause.TOLD not in violated(self.pending, refused, says="failed")
        assert Clause.TRUTHFUL in violated(self.pending, refused, says="unchanged")
        monkeypatch.setitem(globals(), "says_of_a_refused_mail", "sent")
        assert Clause.TOLD in violated(self.pending, refused, says="failed")

    def test_what_a_read_shows_that_nobody_waits_for_need_not_be_told(self) -> None:
        def steps(product: Product) -> None:
            product.change()
            product.wait(60)

        late, mended = Again("day 1", "GET ads", 1, 30.0), person(Deed.SWITCH_ON_AD, 100, "Alder 1")
        assert violated(steps, late, mended, fate=Fate(seconds=20.0, relapses=1)) == set()

    @pytest.mark.parametrize("reads", [True, False])
    @pytest.mark.parametrize(
        ("says", "is_told", "is_named"),
        [
            ("updated", False, False),
            ("updated, was changed by somebody else", True, False),
            ("updated, was changed by Pat Example", True, True),
        ],
    )
    def test_who_had_set_other_regions_is_told(
        self,
        says: str,
        reads: bool,  # noqa: FBT001 - a parameter
        is_told: bool,  # noqa: FBT001 - a parameter
        is_named: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        """And by name, once the log has been read."""

        def steps(product: Product) -> None:
            product.change()
            product.wait(60)
            product.change()
            for path in ("act_111/activities", "debug_token") if reads else ():
                params = {"access_token": TOKEN, "input_token": TOKEN, "category": "TARGETING"}
                requests.get(f"{META}/v26.0/{path}", params=params, timeout=30)

        regions = person(Deed.EDIT_REGIONS, 30, value="NY")
        found = violated(steps, regions, says=says)
        assert (Clause.EDIT_TOLD in found) == (not (is_named if reads else is_told))
        assert Clause.NOBODY_BLAMED not in found

    def test_one_that_no_read_has_shown_need_not_be_told(self) -> None:
        """Nobody knows of it."""

        def steps(product: Product) -> None:
            product.change()
            product.note("prepared")
            product.read()
            product.wait(60)
            product.write()

        assert Clause.EDIT_TOLD not in violated(steps, person(Deed.EDIT_REGIONS, 30, value="NY"))

    @pytest.mark.parametrize(
        ("hours", "rechecks", "is_forbidden"),
        [
            (1, [("7 failed", "sent"), ("8 failed", "not_asked")], False),
            (1, [("failed", "not_asked")], True),
            (1, [("failed", "sent"), ("failed otherwise", "not_asked")], True),
            (1, [("failed", "sent"), ("", "not_asked"), ("failed", "not_asked")], True),
            (25, [("failed", "sent"), ("failed", "not_asked")], True),
        ],
        ids=["again", "never", "another one", "after a good one", "a day later"],
    )
    def test_what_a_recheck_fails_at_is_told(
        self,
        hours: int,
        rechecks: list[tuple[str, str]],
        is_forbidden: bool,  # noqa: FBT001 - a parameter
    ) -> None:
        left = list(rechecks)

        def handle(event: dict[str, Any], _: Clock) -> dict[str, Any]:
            error, mail = left.pop(0)
            campaign = {"slug": "veterans", "campaign_name": "Veterans", "left_to": "", "adsets": []}
            campaigns = [campaign | {"errors": [error] if error else []}]
            return {"action": event["action"], "left_to": "", "mail": mail, "campaigns": campaigns, "recovered": []}

        adset = AdSetSpec("Alder", "TX", (AdSpec("Alder 1"),))
        runs = [Run(f"recheck {number}", BEGIN + number * hours * HOUR, "recheck") for number in range(len(rechecks))]
        story = Story(0, World((CampaignSpec("veterans", "act_111", "TX", (adset,)),)), tuple(runs), (), DAY)
        with player(handle) as play:
            assert (Clause.FAILURE_TOLD in play(story).judge.clauses) == is_forbidden

    def test_nobody_is_blamed_for_what_nobody_did(self) -> None:
        blamed = violated(Product.change, says="updated, was changed by Pat Example")
        assert blamed == {Clause.NOBODY_BLAMED}

    def test_a_run_does_not_end_in_a_defect(self) -> None:
        def steps(_: Product) -> None:
            raise ClosradsError("Unexpected KeyError: 'id'")

        assert violated(steps, states="FL") == {Clause.NO_DEFECT}

    def test_a_run_is_not_cut_off(self) -> None:
        assert violated(lambda product: product.wait(1000), states="FL") == {Clause.IN_TIME}

    def test_a_run_follows_the_demand(self) -> None:
        assert violated(lambda _: None, says="unchanged") == {Clause.FOLLOWS}
