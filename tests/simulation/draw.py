"""Draws a story from a seed: a small world, some days on which anything may go wrong, and two quiet days."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from tests.simulation import answers
from tests.simulation.story import (
    DAY,
    HOUR,
    MINUTE,
    AdSetSpec,
    AdSpec,
    Again,
    Answer,
    At,
    CampaignSpec,
    Change,
    Crash,
    Deed,
    During,
    Echo,
    Effect,
    Event,
    Fate,
    Hint,
    Log,
    Notice,
    Operator,
    Person,
    Push,
    Run,
    Slow,
    Story,
    Transit,
    When,
    World,
)

T = TypeVar("T")

SYNC_AT = 10.5 * HOUR
STATES = ("AL", "CA", "FL", "GA", "NY", "OH", "SC", "TX")
SLUGS = ("veterans", "truckers", "mortgage")
ADSETS = (
    "Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gorse", "Hazel", "Iris", "Juniper", "Kerria", "Laurel",
    "Maple", "Nettle", "Olive", "Poplar", "Quince", "Rowan", "Sorrel", "Thistle", "Umbel", "Viburnum", "Willow",
    "Yarrow",
)  # fmt: skip
RECHECKS_OF_A_BAD_DAY = (0.5 * HOUR, 1 * HOUR, 3 * HOUR, 9 * HOUR)
LAST_RECHECK = 23.4 * HOUR
"""After the sync, and before the next: it finds what broke in the course of the day."""
MOST_HAZARDS = 7
TIERS: Mapping[tuple[str | None, bool], float] = {
    (None, True): 3,
    ("full", True): 5,
    ("limited", True): 1,
    ("full", False): 0.3,
    ("limited", False): 0.7,
}
"""How often an app has a tier, and whether Meta's answers tell it; without a tier, they never do."""
SHARED = 0.08
"""Of the stories, in this share the scheduled runs are shared by several invocations."""
DAMPED = 0.1
"""Of the stories, in this share states wait for days before they are added or removed."""
HOURLY, HOURS = 0.06, (2, 6)
"""Of the stories, in this share a sync comes every hour; so many of a day's are played beside its first one."""
TOO_FEW = 0.05
"""Of the stories, in this share the partner has leads, but too few of them, in the states that it does not want."""
OPTED_OUT, APPROVED = 0.05, 0.08
"""Of the stories, in these shares an ad set is to be left alone, and a live run by hand has an approved plan.

Both are drawn apart from everything else, so that the other stories stay as they are.
"""
ASKED, MOST_ASKED = 0.08, 3
"""Of the stories, in this share somebody undoes or rechecks certain runs by hand, makes dry runs or lifts a limit."""
DEEDS: Mapping[Deed, float] = {
    Deed.PAUSE_AD: 6,
    Deed.PAUSE_AD_BY_RULE: 1,
    Deed.SWITCH_ON_AD: 3,
    Deed.ADD_AD: 3,
    Deed.DELETE_AD: 1,
    Deed.ARCHIVE_AD: 1,
    Deed.PAUSE_ADSET: 0.5,
    Deed.SWITCH_ON_ADSET: 0.5,
    Deed.EDIT_AGE: 4,
    Deed.EDIT_REGIONS: 2,
    Deed.MOVE_END: 0.7,
}
"""How often people do what."""
REBUILT, MOST_REBUILT = 0.08, 3
"""Of the stories, in this share people remove and copy ad sets, or switch Meta campaigns off, at most so often."""
LIMITED, NARROWED = 0.05, 0.05
"""Of the stories, in these shares other limits hold, and a campaign is told amid the days to leave ad sets alone."""
OFTEN, OFTEN_TIMES = 0.03, (4, 8)
"""Of the stories, in this share so many rechecks follow one another, and something keeps them from looking."""
RETARGETED = 0.05
"""Of the stories, in this share a person has an ad set target the whole country for a while."""
CONTESTED, MOST_SPENT = 0.05, 6
"""Of the stories, in this share another program spends much of an ad account's limit, at most so often."""
PUZZLED = 0.04
"""Of the stories, in this share the partner names for a while a state that nobody knows."""
PUSHED, PUSHES = 0.08, 4
"""Of the stories, in this share Meta pushes; so many of the rechecks that this causes can go wrong."""
CROWDED, CROWD = 0.02, 24
"""Of the stories, this share has a campaign with so many ad sets, more than are written at once."""
REVIEWED = 0.1
"""Of the stories, in this share Meta reviews the ads after each change."""
REJECTED = 0.1
"""Of the ads that it reviews, it rejects this share."""
REACHING = 0.1
"""Of the ad sets, this share may be shown outside their states."""


def draw(seed: int) -> Story:
    """Return the story of a seed."""
    return _Author(seed).story()


class _Author:
    """Draws one story."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(seed)
        self._demand: dict[str, frozenset[str]] = {}
        self._bad_runs: list[Run] = []

    def story(self) -> Story:
        """Draw the world, then the runs, then what goes wrong."""
        self._world = self._with_settings(self._draw_world())
        days = self._pick([1, 2, 3], [6, 3, 1])
        calm = days * DAY
        runs: list[Run] = []
        events: list[Event] = []
        for day in range(days + 2):
            events += self._demand_of(day, days)
            runs += self._runs_of(day, is_calm=day >= days)
        self._bad_runs = [run for run in runs if run.at < calm]
        for _ in range(self._count()):
            events += self._hazard(calm)
        if self._is_crowded:
            events += [self._edit_in_a_crowd() for _ in range(3)]
        events.append(Operator(At(calm), Change.TOKEN, "alive"))
        if hourly := self._hourly_runs(days + 2):
            runs = sorted([*runs, *hourly], key=lambda run: run.at)
        if self._chance(SHARED):
            runs = [replace(run, shared=run.scheduled is not None) for run in runs]
        self._world = self._with_reviews(self._with_opt_outs(self._world))
        approved, changes = self._approved_runs(days)
        runs, events = runs + approved, events + changes
        story = Story(self._seed, self._world, tuple(runs), tuple(events), calm)
        for more in (
            self._puzzled, self._often, self._narrowed, self._rebuilt, self._asked, self._limited, self._damped,
            self._pushed, self._retargeted, self._contested,
        ):  # fmt: skip
            story = more(story)
        return story

    def _retargeted(self, story: Story) -> Story:
        """Draw that a person gives an ad set no states at all, and perhaps some again, apart from all else."""
        random = self._random = Random(f"{self._seed}-retargeted")
        if random.random() >= RETARGETED:
            return story
        adset = random.choice(story.world.adsets).name
        events: list[Event] = [Person(self._when(story.calm), Deed.TARGET_COUNTRY, adset)]
        if random.random() < 0.5:
            back = min(story.calm - MINUTE, self._run().at + random.uniform(0, DAY))
            states = " ".join(sorted(random.sample(STATES, random.randint(2, 5))))
            events.append(Person(At(round(back, 1)), Deed.EDIT_REGIONS, adset, states))
        return replace(story, events=(*story.events, *events))

    def _contested(self, story: Story) -> Story:
        """Draw what another program spends of a small limit, apart from all else."""
        random = self._random = Random(f"{self._seed}-contested")
        if random.random() >= CONTESTED or self._is_crowded:
            return story
        events = []
        for _ in range(random.randint(1, MOST_SPENT)):
            points, slug = random.choice([20, 40, 60]), random.choice(story.world.campaigns).slug
            events.append(Operator(self._when(story.calm), Change.SPENT, str(points), slug))
        world = replace(story.world, tier="limited", shows_usage=random.random() < 0.6)
        return replace(story, world=world, events=(*story.events, *events))

    def _puzzled(self, story: Story) -> Story:
        """Draw an entry of the partner's that nobody knows, apart from all else."""
        random = Random(f"{self._seed}-puzzled")
        if random.random() >= PUZZLED:
            return story
        slug, begin = random.choice(story.world.campaigns).slug, random.uniform(0, story.calm - MINUTE)
        end = random.choice([story.calm, min(story.calm, begin + random.uniform(0, DAY))])
        operators = (
            Operator(At(round(begin, 1)), Change.PUZZLE, random.choice(["ZZ", "Flrida"]), slug),
            Operator(At(round(end, 1)), Change.PUZZLE, "", slug),
        )
        return replace(story, events=(*story.events, *operators))

    def _often(self, story: Story) -> Story:
        """Draw a row of rechecks that fail for a while, apart from all else: what one has told, others need not."""
        random = Random(f"{self._seed}-often")
        if random.random() >= OFTEN:
            return story
        begin = random.randrange(int(story.calm // DAY)) * DAY + SYNC_AT + 0.25 * HOUR
        gap, many = random.choice([0.5, 0.5, 4.0]) * HOUR, random.randint(*OFTEN_TIMES)
        times = [at for number in range(many) if (at := begin + number * gap) < story.calm]
        day = int(begin // DAY) + 1
        runs = [Run(f"day {day} often {number}", at, "recheck", scheduled=at) for number, at in enumerate(times, 1)]
        events: list[Event] = []
        if random.random() < 0.5:
            for _ in range(random.choice([1, 2])):
                dead, alive = sorted(random.uniform(begin, begin + many * gap) for _ in range(2))
                if dead < story.calm - MINUTE:
                    events.append(Operator(At(round(dead, 1)), Change.TOKEN, "dead"))
                events.append(Operator(At(round(min(alive, story.calm), 1)), Change.TOKEN, "alive"))
        else:
            on, names = random.choice(["GET adset", "GET ads"]), random.sample(["503", "permission missing"], 2)
            failing = [run for run in runs if random.random() < 0.7]
            events += [Answer(run.name, on, 0, 99, random.choices(names, [4, 1])[0]) for run in failing]
        return replace(story, runs=(*story.runs, *runs), events=(*story.events, *events))

    def _limited(self, story: Story) -> Story:
        """Draw other limits, apart from all else: how many ad sets a run changes, and when it looks at them again."""
        random = Random(f"{self._seed}-limits")
        if random.random() >= LIMITED or self._is_crowded:
            return story
        most, wait = random.choice([None, 1, 1, 2]), random.choice([0.0, 3.0, 20.0])
        wait = max(wait, story.world.read_lag)  # who looks earlier sees nothing but how it was before
        return _with_days_to_wait(replace(story, world=replace(story.world, max_adsets=most, verify_wait=wait)))

    def _narrowed(self, story: Story) -> Story:
        """Draw that a campaign has to leave some of its ad sets alone for a while, apart from all else."""
        random = self._random = Random(f"{self._seed}-narrowed")
        if random.random() >= NARROWED:
            return story
        campaign = random.choice(story.world.campaigns)
        change, value = Change.SKIPS, random.choice(campaign.adsets).name
        if campaign.meta_campaigns > 1 and random.random() < 0.6:
            change, value = Change.FOLLOWED, str(random.randrange(campaign.meta_campaigns))
        events: list[Event] = [Operator(self._when(story.calm), change, value, campaign.slug)]
        if random.random() < 0.5:
            end = At(round(min(story.calm, self._run().at + random.uniform(0, 2 * DAY)), 1))
            events.append(Operator(end, change, "", campaign.slug))
        return replace(story, events=(*story.events, *events))

    def _rebuilt(self, story: Story) -> Story:
        """Draw what people do to whole ad sets and Meta campaigns, apart from all else."""
        random = self._random = Random(f"{self._seed}-rebuilt")
        events: list[Event] = []
        for number in range(random.randint(1, MOST_REBUILT)) if random.random() < REBUILT else ():
            adset, when = random.choice(story.world.adsets).name, self._when(story.calm)
            kinds = (Deed.DELETE_ADSET, Deed.ARCHIVE_ADSET, Deed.COPY_ADSET, Deed.PAUSE_CAMPAIGN, Deed.DELETE_CAMPAIGN)
            (deed,) = random.choices(kinds, [3, 2, 2, 4, 0.5])
            events.append(Person(when, deed, adset, f"{adset} copy {number}" if deed is Deed.COPY_ADSET else ""))
            if deed is Deed.PAUSE_CAMPAIGN and random.random() < 0.7:
                back = min(story.calm - MINUTE, self._run().at + random.uniform(0, DAY))
                events.append(Person(At(round(back, 1)), Deed.SWITCH_ON_CAMPAIGN, adset))
        return replace(story, events=(*story.events, *events))

    def _asked(self, story: Story) -> Story:
        """Draw what somebody asks for by hand on bad days, apart from all else; an ad breaks late then."""
        random = Random(f"{self._seed}-asked")
        if random.random() >= ASKED:
            return story
        changing = [run for run in story.runs if run.at < story.calm and run.action != "recheck"]
        asked: list[Run] = []
        for number in range(1, 1 + random.randint(1, MOST_ASKED)):
            about = random.choice(changing)
            near = random.choice([run for run in changing if run.at >= about.at])
            delay = random.choice([random.uniform(5, 90), random.uniform(90, 3 * HOUR), random.uniform(0, DAY)])
            at = round(min(near.at + delay, story.calm - MINUTE), 1)
            (action,) = random.choices(["recheck", "undo", "sync"], [4, 4, 3])
            campaigns = (random.choice(list(self._demand)),) if random.random() < 0.3 else ()
            run = Run(f"day {int(at // DAY) + 1} asked {number}", at, action, campaigns, cold=True)
            if action == "sync":
                (kind,) = random.choices([1, 2, 3])
                run = replace(run, dry=kind < 3, validates=kind == 2, force=("reverted_before",) * (kind == 3))
            elif random.random() < 0.9:
                run = replace(run, about=about.name, dry=random.random() < 0.2)
            asked.append(run)
        return replace(story, world=_with_a_late_ad(story.world, random), runs=(*story.runs, *asked))

    def _damped(self, story: Story) -> Story:
        """Draw the days that states wait, apart from all else: without them, a seed has the story that it always had.

        The quiet days are so many more, each like the last one.
        """
        if Random(f"{self._seed}-min_demand").random() < TOO_FEW:
            story = replace(story, world=replace(story.world, min_demand=3))
        random = Random(f"{self._seed}-damping")
        if random.random() >= DAMPED:
            return story
        add, remove = random.choice([(1, 0), (0, 1), (1, 1), (2, 0), (1, 2), (2, 2)])
        world = replace(story.world, add_after_days=add, remove_after_days=remove)
        return _with_days_to_wait(replace(story, world=world))

    def _pushed(self, story: Story) -> Story:
        """Draw whether Meta pushes, and what goes wrong with that, apart from all else; an ad breaks late then."""
        random = self._random = Random(f"{self._seed}-push")
        if random.random() >= PUSHED:
            return story
        world = replace(
            _with_a_late_ad(story.world, random), push_after=self._pick([1.0, 60.0, 20 * MINUTE], [6, 1, 1])
        )
        runs = self._bad_runs
        self._bad_runs = [Run(f"push {number}", self._pick(runs).at, "recheck") for number in range(1, PUSHES + 1)]
        events: list[Event] = []
        for _ in range(self._count()):
            draws = (self._hazard, self._push, self._notice, self._receiver)
            events += self._pick(draws, [6, 2, 3, 1])(story.calm)
        self._bad_runs = runs
        for _ in range(self._pick([0, 1, 2])):
            events += self._notice(story.calm)  # while another run is at work
        return replace(story, world=world, events=(*story.events, *events))

    def _push(self, _: float) -> list[Event]:
        seconds = self._pick([1.0, 30.0, 10 * MINUTE, 3 * HOUR])
        return [Push(self._random.randint(1, 2 * PUSHES), self._pick(list(Transit)), seconds)]

    def _notice(self, calm: float) -> list[Event]:
        account = self._pick(self._world.campaigns).account
        return [Notice(self._when(calm), self._pick(list(Hint), [6, 1, 1, 1, 1, 1, 1]), account)]

    def _receiver(self, _: float) -> list[Event]:
        name, call = f"receiver {self._random.randint(1, PUSHES)}", self._pick(["ssm", "sqs"])
        if self._chance(0.5):
            return [Crash(name, call, 1, after=self._chance(0.6))]
        times = self._pick([1, 2, 99])
        return [Answer(name, call, 0, times, self._pick(list(answers.AWS)), applied=self._chance(0.4))]

    # --- drawing

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        return self._random.choices(options, weights)[0]

    def _count(self) -> int:
        count = 1
        while count < MOST_HAZARDS and self._chance(0.65):
            count += 1
        return count

    def _some_states(self) -> frozenset[str]:
        return frozenset(self._random.sample(STATES, self._random.randint(2, 5)))

    # --- the world

    def _draw_world(self) -> World:
        names = list(ADSETS)
        self._is_crowded = self._chance(CROWDED)
        campaigns = []
        for slug in SLUGS[: 1 if self._is_crowded else self._pick([1, 2, 3], [8, 2, 0.5])]:
            self._demand[slug] = self._some_states()
            meta_campaigns = self._pick([1, 2], [4, 1])
            count = CROWD if self._is_crowded else self._pick([1, 2, 3, 4], [4, 4, 1, 0.5])
            adsets = tuple(self._adset(name, self._demand[slug], meta_campaigns) for name in names[:count])
            del names[:count]
            account = "act_222" if slug == "mortgage" else "act_111"
            category = "HOUSING" if self._chance(0.05) else ""
            if category:
                adsets = tuple(replace(each, excludes="WA" if self._chance(0.5) else "") for each in adsets)
            campaigns.append(CampaignSpec(slug, account, _text(self._demand[slug]), adsets, meta_campaigns, category))
        wave_size = 25 if self._is_crowded else self._pick([25, 2])
        tier, shows_usage = self._pick(list(TIERS), list(TIERS.values()))
        return World(
            tuple(campaigns),
            wave_size=wave_size,
            tier=tier,
            shows_usage=shows_usage,
            log=self._pick(list(Log), [5, 1, 2, 1]),
            read_lag=self._pick([0.0, 2.0], [6, 1]),
            processing=0.0
            if self._is_crowded
            else self._pick([0.0, 2.0, 20.0, 2 * MINUTE, 40 * MINUTE], [8, 1, 1, 1, 1]),
            pace=4.0 if self._is_crowded else self._pick([0.1, 0.3, 1.0, 3.0], [3, 5, 2, 1]),
        )

    def _with_settings(self, world: World) -> World:
        """Draw the settings that change nothing of how a story goes, apart from all the rest of it."""
        random = Random(f"{self._seed}-settings")

        def with_settings(adset: AdSetSpec) -> AdSetSpec:
            (learning,) = random.choices(["SUCCESS", "LEARNING", "FAIL", ""], [5, 2, 1, 1])
            return replace(adset, reaches_beyond=random.random() < REACHING, learning=learning)

        campaigns = (replace(each, adsets=tuple(map(with_settings, each.adsets))) for each in world.campaigns)
        return replace(world, campaigns=tuple(campaigns))

    def _with_reviews(self, world: World) -> World:
        """Draw whether Meta reviews the ads after each change, and how long, apart from all else."""
        random = Random(f"{self._seed}-review")
        if random.random() >= REVIEWED:
            return world

        def with_rejections(adset: AdSetSpec) -> AdSetSpec:
            return replace(adset, ads=tuple(replace(ad, rejected=random.random() < REJECTED) for ad in adset.ads))

        review = random.choice([20.0, 10 * MINUTE, 3 * HOUR, 20 * HOUR])
        campaigns = (replace(each, adsets=tuple(map(with_rejections, each.adsets))) for each in world.campaigns)
        return replace(world, review=review, campaigns=tuple(campaigns))

    def _with_opt_outs(self, world: World) -> World:
        """Draw whether an ad set is to be left alone; the same word may begin the names of several."""
        random = Random(f"{self._seed}-opt-out")
        if random.random() >= OPTED_OUT:
            return world
        number = random.randrange(len(world.campaigns))
        campaign = world.campaigns[number]
        name = random.choice(campaign.adsets).name
        pattern = random.choice([name, name.lower(), f"{name[0]}*", f"?{name[1:]}"])
        skips = replace(campaign, skips=(pattern, "Nobody")[: random.choice([1, 1, 2])])
        return replace(world, campaigns=(*world.campaigns[:number], skips, *world.campaigns[number + 1 :]))

    def _approved_runs(self, days: int) -> tuple[list[Run], list[Event]]:
        """Draw live runs by hand, each with the plan of a dry run, and how the demand has changed in between."""
        random = Random(f"{self._seed}-approval")
        runs: list[Run] = []
        events: list[Event] = []
        for day in range(days) if random.random() < APPROVED else ():
            at = day * DAY + SYNC_AT - random.choice([1, -1]) * random.uniform(60, 1.5 * HOUR)
            age = min(random.choice([30.0, 10 * MINUTE, 9.5 * HOUR, 12 * HOUR]), at - MINUTE)
            slug = random.choice(list(self._demand))
            campaigns = (slug,) if random.random() < 0.3 else ()
            runs.append(Run(f"day {day + 1} approved", at, campaigns=campaigns, cold=True, plan_age=age))
            if random.random() < 0.4:
                wanted = _text(frozenset(random.sample(STATES, random.randint(2, 5))))
                events.append(Operator(At(round(at - age / 2, 1)), Change.DEMAND, wanted, slug))
        return runs, events

    def _adset(self, name: str, demand: frozenset[str], meta_campaigns: int) -> AdSetSpec:
        count = 1 if self._is_crowded else self._pick([1, 2, 3, 4], [4, 4, 1, 1])
        ads = tuple(self._ad(f"{name} {number}") for number in range(1, count + 1))
        states = demand if self._chance(0.2) and not self._is_crowded else self._some_states()
        echo = self._pick(list(Echo), [6, 1, 1, 1])
        return AdSetSpec(name, _text(states), ads, self._random.randrange(meta_campaigns), echo)

    def _ad(self, name: str) -> AdSpec:
        effect = self._pick(list(Effect), [5, 3, 2])
        moves = self._chance(0.6)
        fate = Fate(self._pick([1.0, 20.0, 600.0, 1 * HOUR, 4 * HOUR]), effect, moves_updated_time=moves)
        if self._chance(0.2):
            seconds = self._pick([1.0, 2.5, 30.0, 20 * MINUTE, 45 * MINUTE, 3 * HOUR, 8 * HOUR])
            fate = Fate(seconds, effect, stubborn=True, moves_updated_time=moves)
        elif self._chance(0.06):
            seconds = self._pick([10 * MINUTE, 20 * MINUTE, 3 * HOUR])
            fate = Fate(seconds, effect, relapses=self._pick([1, 2]), moves_updated_time=moves)
        return AdSpec(name, self._pick(["ACTIVE", "PAUSED"], [5, 1]), fate, broken=self._chance(0.02))

    # --- ordinary life

    def _demand_of(self, day: int, days: int) -> list[Event]:
        """Draw the demand of a day; at the beginning of the quiet ones it is new, and asks nobody to remove much."""
        events: list[Event] = []
        for slug, before in self._demand.items():
            if not day or (day != days and not self._chance(0.7)):
                continue
            wanted = self._some_states()
            while day == days and wanted == before:
                wanted = self._some_states()
            self._demand[slug] = wanted
            if day == days:
                wanted = frozenset(STATES) - {min(set(STATES) - wanted)}
            if day <= days:
                events.append(Operator(At(day * DAY), Change.DEMAND, _text(wanted), slug))
        return events

    def _runs_of(self, day: int, *, is_calm: bool) -> list[Run]:
        at = day * DAY + SYNC_AT
        name = f"day {day + 1} sync"
        seconds = 900.0 if is_calm or self._chance(0.85) else self._pick([45.0, 60.0, 120.0])
        runs = [Run(name, at, scheduled=at, seconds=seconds, cold=self._chance(0.5))]
        if not is_calm:
            runs += self._extra_runs(day, runs[0])
        rechecks = [LAST_RECHECK] if is_calm else self._rechecks()
        for number, after in enumerate(rechecks, start=1):
            runs.append(Run(f"day {day + 1} recheck {number}", at + after, "recheck", scheduled=at + after))
        return runs

    def _hourly_runs(self, days: int) -> list[Run]:
        """Draw further syncs of each day, apart from all else: other stories stay as they are."""
        chance = Random(f"{self._seed}-hourly")
        if chance.random() >= HOURLY:
            return []
        runs = []
        for day in range(days):
            for hour in sorted(chance.sample(range(1, 23), chance.randint(*HOURS))):
                at = day * DAY + SYNC_AT + hour * HOUR
                runs.append(Run(f"day {day + 1} hour {hour}", at, scheduled=at, cold=chance.random() < 0.5))
        return runs

    def _rechecks(self) -> list[float]:
        return [*sorted(self._random.sample(RECHECKS_OF_A_BAD_DAY, self._pick([0, 1, 2], [3, 4, 1]))), LAST_RECHECK]

    def _extra_runs(self, day: int, sync: Run) -> list[Run]:
        runs = []
        if self._chance(0.15):
            delay = self._pick([0.0, self._random.uniform(0, 20), self._random.uniform(60, 1200)])
            runs.append(Run(f"day {day + 1} again", sync.at + delay, scheduled=sync.scheduled, cold=True))
        if self._chance(0.15):
            delay = self._pick([self._random.uniform(-5, 20), self._random.uniform(60, 3 * HOUR)])
            campaigns = (self._pick(list(self._demand)),) if self._chance(0.5) else ()
            runs.append(Run(f"day {day + 1} by hand", sync.at + delay, campaigns=campaigns, cold=True))
        if self._chance(0.1):
            delay = self._random.uniform(60, 3 * HOUR)
            runs.append(Run(f"day {day + 1} undo", sync.at + delay, "undo", cold=True))
        return runs

    # --- what goes wrong

    def _hazard(self, calm: float) -> list[Event]:
        draws = (
            self._answer, self._crash, self._person, self._operator, self._slow, self._again, self._feed, self._aws,
            self._hold, self._controls,
        )  # fmt: skip
        return self._pick(draws, [5, 3, 6, 1.5, 1, 0.5, 0.5, 1, 0.4, 0.4])(calm)

    def _run(self) -> Run:
        weights = [4 if run.action == "sync" else 2 for run in self._bad_runs]
        return self._pick(self._bad_runs, weights)

    def _answer(self, _: float) -> list[Event]:
        on = self._pick(
            ["POST adset", "POST ad", "GET ads", "GET adset", "GET adsets", "batch"], [4, 4, 2, 1, 0.5, 1.5]
        )
        kinds = [
            answers.REFUSALS,
            answers.PUZZLES,
            answers.OF_BATCHES if on in {"batch", "POST ad"} else answers.OF_LISTS,
        ]
        kind = self._pick(kinds, [3, 6, 1])
        name = self._pick(list(kind))
        if kind is answers.OF_BATCHES and on == "POST ad":
            name = self._pick(["null item", "null body"])
        applied = kind is answers.PUZZLES and self._chance(0.5)
        skip, times = self._pick([0, 0, 0, 1, 2, 4]), self._pick([1, 1, 2, 3, 6, 99])
        return [Answer(self._run().name, on, skip, times, name, applied)]

    def _feed(self, _: float) -> list[Event]:
        return [Answer(self._run().name, "closrtech", 0, self._pick([1, 2, 99]), self._pick(list(answers.CLOSRTECH)))]

    def _aws(self, _: float) -> list[Event]:
        service = self._pick(["dynamodb", "ssm", "ses"], [6, 1, 1])
        skip = self._random.randint(0, 20) if service == "dynamodb" else 0
        name, times = self._pick(list(answers.AWS)), self._pick([1, 3, 3, 9, 99])
        return [Answer(self._run().name, service, skip, times, name, applied=self._chance(0.4))]

    def _call(self) -> tuple[str, int]:
        call = self._pick(
            ["any", "meta", "POST adset", "POST ad", "GET ads", "GET adset", "dynamodb"], [2, 3, 4, 4, 3, 1, 1]
        )
        most = {"any": 40, "meta": 12, "dynamodb": 20}.get(call, 3)
        return call, self._random.randint(1, most)

    def _crash(self, _: float) -> list[Event]:
        call, nth = self._call()
        return [Crash(self._run().name, call, nth, after=self._chance(0.6))]

    def _slow(self, _: float) -> list[Event]:
        call, nth = self._call()
        return [Slow(self._run().name, call, nth, self._pick([4.0, 8.0, 20.0, 40.0, 200.0]))]

    def _again(self, _: float) -> list[Event]:
        call, nth = self._pick(["POST adset", "POST ad", "meta"]), self._random.randint(1, 3)
        return [Again(self._run().name, call, nth, self._pick([1.0, 5.0, 60.0, 1000.0]))]

    def _when(self, calm: float) -> When:
        if self._chance(0.7):
            call, nth = self._call()
            return During(self._run().name, call, nth, after=self._chance(0.7))
        after = self._pick(
            [self._random.uniform(0, 90), self._random.uniform(0, 2 * HOUR), self._random.uniform(0, DAY)]
        )
        return At(round(min(self._run().at + after, calm - MINUTE), 1))

    def _person(self, calm: float) -> list[Event]:
        adset = self._pick(self._world.adsets)
        ad = self._pick(adset.ads).name
        deed = self._pick(list(DEEDS), list(DEEDS.values()))
        when = self._when(calm)
        match deed:
            case Deed.EDIT_AGE:
                return [Person(when, deed, adset.name, str(self._random.randint(20, 60)))]
            case Deed.EDIT_REGIONS:
                return [Person(when, deed, adset.name, _text(self._some_states()))]
            case Deed.ADD_AD:
                return [Person(when, deed, adset.name, f"{adset.name} {self._random.randint(10, 99)}")]
            case Deed.MOVE_END:
                return [Person(when, deed, adset.name, self._pick(["-1", "5", "864000"]))]
            case Deed.PAUSE_ADSET | Deed.SWITCH_ON_ADSET:
                return [Person(when, deed, adset.name)]
        return [Person(when, deed, ad)]

    def _edit_in_a_crowd(self) -> Event:
        """Draw an edit of an ad set that waits for its write while others are written."""
        when = During("day 1 sync", "POST adset", self._random.randint(2, CROWD // 2), after=True)
        adset = self._pick(self._world.adsets[-6:])
        return Person(when, Deed.EDIT_AGE, adset.name, str(self._random.randint(20, 60)))

    def _hold(self, calm: float) -> list[Event]:
        return self._for_a_while(calm, Change.HOLD, self._pick(list(answers.HOLDS)))

    def _controls(self, calm: float) -> list[Event]:
        states = _text(frozenset(self._random.sample(STATES, self._random.randint(4, 7))))
        return self._for_a_while(calm, Change.CONTROLS, states)

    def _for_a_while(self, calm: float, change: Change, value: str) -> list[Event]:
        """Draw a change that ends when it is calm, or earlier; the call at which it begins may come after that end."""
        slug = self._pick(list(self._demand))
        end = At(round(min(calm, self._run().at + self._random.uniform(0, 1.5 * DAY)), 1))
        return [
            Operator(self._when(calm), change, value, slug),
            Operator(end, change, "", slug),
            Operator(At(calm), change, "", slug),
        ]

    def _operator(self, calm: float) -> list[Event]:
        slug = self._pick(list(self._demand))
        if self._chance(0.6):
            off = self._when(calm)
            on = At(round(min(calm, self._run().at + self._random.uniform(0, 2 * DAY)), 1))
            is_back = self._chance(0.6)
            if self._chance(0.5):
                return [Operator(off, Change.PAUSED, "true"), *[Operator(on, Change.PAUSED, "false")] * is_back]
            events: list[Event] = [Operator(off, Change.ENABLED, "false", slug)]
            return [*events, *[Operator(on, Change.ENABLED, "true", slug)] * is_back]
        dead = self._when(calm)
        alive = At(round(min(calm, self._run().at + self._random.uniform(0, DAY)), 1))
        return [Operator(dead, Change.TOKEN, "dead"), Operator(alive, Change.TOKEN, "alive")]


def _with_a_late_ad(world: World, random: Random) -> World:
    """Return the world with an ad that breaks however soon it is re-published, so that there is something to push."""
    number = random.randrange(len(world.campaigns))
    campaign = world.campaigns[number]
    place = random.randrange(len(campaign.adsets))
    adset = campaign.adsets[place]
    seconds = random.choice([30.0, 5 * MINUTE, 20 * MINUTE, 45 * MINUTE, 3 * HOUR])
    fate = Fate(seconds, random.choice(list(Effect)), stubborn=True, moves_updated_time=random.random() < 0.6)
    adset = replace(adset, ads=(replace(adset.ads[0], status="ACTIVE", fate=fate), *adset.ads[1:]))
    campaign = replace(campaign, adsets=(*campaign.adsets[:place], adset, *campaign.adsets[place + 1 :]))
    return replace(world, campaigns=(*world.campaigns[:number], campaign, *world.campaigns[number + 1 :]))


def _with_days_to_wait(story: Story) -> Story:
    """Return the story with as many more quiet days, each like the last one, as it now takes to wait."""
    there = {run.name for run in story.runs}
    last = [run for run in story.runs if run.name.startswith(f"day {int(story.calm // DAY) + 2} ")]
    more = (_a_day_later(run, days) for days in range(1, story.world.days_to_wait + 1) for run in last)
    return replace(story, runs=(*story.runs, *(run for run in more if run.name not in there)))


def _a_day_later(run: Run, days: int) -> Run:
    _, day, rest = run.name.split(maxsplit=2)
    after = days * DAY
    scheduled = None if run.scheduled is None else run.scheduled + after
    return replace(run, name=f"day {int(day) + days} {rest}", at=run.at + after, scheduled=scheduled)


def _text(states: frozenset[str]) -> str:
    return " ".join(sorted(states))
