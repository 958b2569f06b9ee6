"""A story: a world, the invocations of the product in it, and all that happens beside them, as one explicit value.

Everything has a readable `repr` that is valid Python, so that a story can be printed, made smaller and kept. Times are
seconds since the story's first midnight (UTC). Events and faults are addressed by the name of an invocation and the
number of a call in it, so that dropping one of them leaves the others where they were.
"""

from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
START = 1_777_852_800.0
"""2026-05-04T00:00:00Z, the first midnight of every story, in seconds since the epoch."""


class _Word(StrEnum):
    """A word of a story, which stands in it under its name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


# --- the world


class Effect(_Word):
    """What an ad looks like once its lead form link is broken."""

    WITH_ISSUES = "with issues"
    PAUSED_WITH_ISSUE = "paused with an issue"
    PAUSED_SILENTLY = "paused silently"


@dataclass(frozen=True)
class Fate:
    """What Meta does to the link between an ad and its lead form after a targeting write."""

    seconds: float = 600.0
    """How long after the write the link breaks, unless a re-publish confirms it before."""
    effect: Effect = Effect.WITH_ISSUES
    stubborn: bool = False
    """It breaks although it was re-published, unless the regions are ones that it was sound with before."""
    relapses: int = 0
    """How many times in its life it breaks so long after a re-publish that was confirmed, whatever the regions."""
    moves_updated_time: bool = True
    """Whether the ad's `updated_time` shows when Meta broke it."""


@dataclass(frozen=True)
class AdSpec:
    """An ad; its name is unique in the story."""

    name: str
    status: str = "ACTIVE"
    fate: Fate = Fate()
    broken: bool = False
    """It is disapproved before the story begins, and nothing mends that."""
    rejected: bool = False
    """Each review of it ends with Meta rejecting it."""


class Echo(_Word):
    """How the answer to a targeting write differs from what a read shows afterwards."""

    SAME = "same"
    COMPUTED_KEY = "computed key"
    SPELLING = "spelling"
    BARE = "bare"
    """It only says that it succeeded."""


@dataclass(frozen=True)
class AdSetSpec:
    """An ad set; its name is unique in the story."""

    name: str
    states: str
    ads: tuple[AdSpec, ...]
    meta_campaign: int = 0
    """Which of its campaign's Meta campaigns it is in."""
    echo: Echo = Echo.SAME
    excludes: str = ""
    """States that it excludes."""
    reaches_beyond: bool = False
    """Whether a setting lets Meta show it outside its states, too."""
    learning: str = "SUCCESS"
    """How far it is in its learning phase, in Meta's words; empty if Meta does not say."""


@dataclass(frozen=True)
class CampaignSpec:
    """A campaign of CLOSRADS."""

    slug: str
    account: str
    demand: str
    adsets: tuple[AdSetSpec, ...]
    meta_campaigns: int = 1
    category: str = ""
    """The special ad category of its Meta campaigns."""
    skips: tuple[str, ...] = ()
    """Patterns of the names of ad sets that are to be left alone."""


class Log(_Word):
    """How Meta keeps its activity log."""

    COMPLETE = "complete"
    DELAYED = "delayed"
    """Entries appear minutes later."""
    GAPPY = "gappy"
    """Some are missing."""
    FORBIDDEN = "forbidden"
    """The token has no right to read it."""


@dataclass(frozen=True)
class World:
    """What there is when the story begins."""

    campaigns: tuple[CampaignSpec, ...]
    wave_size: int = 25
    tier: str | None = None
    """The access tier of the app, which limits the points per five minutes; None for no limit."""
    shows_usage: bool = True
    """Whether Meta's answers tell the tier, and how much of it is used."""
    pace: float = 0.3
    """Seconds that an ordinary exchange with Meta takes; the exact time is drawn."""
    log: Log = Log.COMPLETE
    read_lag: float = 0.0
    """For so many seconds after a write, reads show what was before."""
    processing: float = 0.0
    """For so many seconds after a write, Meta shows an ad set or ad as IN_PROCESS; 0 for not at all."""
    review: float = 0.0
    """For so many seconds after its ad set's targeting was written, or it was added, an ad is PENDING_REVIEW; or 0."""
    min_demand: int = 1
    """The limit of the same name; with more than one, each state that is not wanted has a lead too few."""
    add_after_days: int = 0
    remove_after_days: int = 0
    """The limits of the same names: for so many days, a state waits before it is added or removed."""
    max_adsets: int | None = None
    """The limit of the same name."""
    verify_wait: float = 3.0
    """The limit `verify_wait_seconds`."""
    push_after: float | None = None
    """How many seconds after a change Meta pushes a notice of it; None if the webhook is off."""

    @property
    def damping_days(self) -> int:
        """For how many days a state may wait."""
        return max(self.add_after_days, self.remove_after_days)

    @property
    def days_to_wait(self) -> int:
        """For how many days anything may wait: a state before it is changed, and an ad set before its turn comes."""
        most = max((len(campaign.adsets) for campaign in self.campaigns), default=0)
        return self.damping_days + (-(-most // self.max_adsets) if self.max_adsets else 0)

    @property
    def adsets(self) -> tuple[AdSetSpec, ...]:
        """All ad sets of all campaigns."""
        return tuple(adset for campaign in self.campaigns for adset in campaign.adsets)


# --- the product's invocations


@dataclass(frozen=True)
class Run:
    """An invocation of the product."""

    name: str
    at: float
    action: str = "sync"
    campaigns: tuple[str, ...] = ()
    """Slugs; empty for all."""
    scheduled: float | None = None
    """The schedule's time; two invocations with the same one are a double delivery."""
    seconds: float = 900.0
    """The function's time-out."""
    cold: bool = False
    """Whether it starts in a new container, which remembers nothing."""
    plan_age: float | None = None
    """So many seconds before, a dry run makes the plan that this run is to carry out; None if there is none."""
    shared: bool = False
    """Whether several invocations share it (Fleet); events name the run, and count the calls of all of them."""
    about: str = ""
    """The name of the run that it is to undo or to recheck; empty for those that the product chooses."""
    dry: bool = False
    validates: bool = False
    """Whether a dry run has Meta validate each change."""
    force: tuple[str, ...] = ()
    """The limits that are lifted."""


# --- what happens beside them


@dataclass(frozen=True)
class At:
    """At a time."""

    seconds: float


@dataclass(frozen=True)
class During:
    """At the n-th call of a kind in an invocation, before it takes effect or after."""

    run: str
    call: str
    """A service ("meta", "dynamodb", "ssm", "ses", "closrtech"), an operation such as "POST adset", or "any"."""
    nth: int
    after: bool = False


When = At | During


class Deed(_Word):
    """What a person, or an automated rule of the advertiser, does to an ad or ad set."""

    PAUSE_AD = "pause ad"
    PAUSE_AD_BY_RULE = "pause ad by an automated rule"
    SWITCH_ON_AD = "switch on ad"
    ADD_AD = "add ad"
    DELETE_AD = "delete ad"
    ARCHIVE_AD = "archive ad"
    PAUSE_ADSET = "pause ad set"
    SWITCH_ON_ADSET = "switch on ad set"
    EDIT_AGE = "edit age"
    EDIT_REGIONS = "edit regions"
    TARGET_COUNTRY = "target the whole country"
    MOVE_END = "move end date"
    DELETE_ADSET = "delete ad set"
    ARCHIVE_ADSET = "archive ad set"
    COPY_ADSET = "copy ad set"
    PAUSE_CAMPAIGN = "pause Meta campaign"
    SWITCH_ON_CAMPAIGN = "switch on Meta campaign"
    DELETE_CAMPAIGN = "delete Meta campaign"


@dataclass(frozen=True)
class Person:
    """A person does something; a deed that is impossible by then (the ad is deleted) does not happen."""

    when: When
    deed: Deed
    target: str
    """The name of the ad or ad set; for a new ad, its ad set, and for a Meta campaign, one of its ad sets."""
    value: str = ""
    """The lower age limit, the states, the name of the new ad or ad set, or the end in seconds from then."""


class Change(_Word):
    """What an operator does, or the partner."""

    ENABLED = "enabled"
    """The campaign's switch; "true" or "false"."""
    PAUSED = "paused"
    """The switch for everything; "true" or "false"."""
    TOKEN = "token"
    """ "dead" or "alive"."""
    DEMAND = "demand"
    """The states that the partner wants from now on."""
    PUZZLE = "puzzle"
    """An entry beside the states in what the partner says from now on that nobody knows, or "" for none."""
    HOLD = "hold"
    """What Meta holds the campaign's ad account for (see `answers.HOLDS`), or "" once a person has settled it."""
    SPENT = "spent"
    """How many points of the ad account's limit another program spends at once."""
    CONTROLS = "controls"
    """The only states that the campaign's ad account allows, or "" for all."""
    SKIPS = "skips"
    """A pattern of the names of ad sets that are to be left alone from now on, or "" for none."""
    FOLLOWED = "followed"
    """The number of the campaign's only Meta campaign that is to be followed from now on, or "" for all."""


@dataclass(frozen=True)
class Operator:
    """An operator changes a setting, or the partner its demand."""

    when: When
    change: Change
    value: str
    campaign: str = ""


@dataclass(frozen=True)
class Crash:
    """The invocation dies: at its n-th call of a kind, before that takes effect or after."""

    run: str
    call: str
    nth: int
    after: bool


@dataclass(frozen=True)
class Slow:
    """The n-th call of a kind in an invocation takes so many seconds."""

    run: str
    call: str
    nth: int
    seconds: float


@dataclass(frozen=True)
class Again:
    """The n-th call of a kind in an invocation takes effect once more, so many seconds later, unless it was refused."""

    run: str
    call: str
    nth: int
    seconds: float


@dataclass(frozen=True)
class Answer:
    """Some operations of a kind are answered by something odd; see `answers.py` for the names."""

    run: str
    on: str
    """ "POST adset", "POST ad", "GET adset", "GET ads", "GET adsets", "batch", "closrtech", or an AWS service."""
    skip: int
    """How many go well before."""
    times: int
    answer: str
    applied: bool = False
    """Whether what was asked for is done nevertheless."""


class Transit(_Word):
    """What becomes of a push on its way."""

    LOST = "lost"
    LATE = "late"
    TWICE = "twice"


@dataclass(frozen=True)
class Push:
    """The n-th push with news does not simply arrive."""

    nth: int
    transit: Transit
    seconds: float = 0.0
    """How late it is, or how long after the first its copy comes."""


class Hint(_Word):
    """What a push without news is about."""

    NOTHING = "an object that nobody knows"
    ALL_ACCOUNTS = "all ad accounts at once"
    UNKNOWN_ACCOUNT = "an ad account that is not ours"
    UNRELATED = "a field that does not matter"
    FLOOD = "the same, over and over"
    FORGED = "a wrong signature"
    REPLAY = "what was signed long ago"


@dataclass(frozen=True)
class Notice:
    """A push comes that has no news."""

    when: When
    hint: Hint
    account: str


Event = Person | Operator | Crash | Slow | Again | Answer | Push | Notice


@dataclass(frozen=True)
class Story:
    """A story; what it leaves open (latencies, the order at equal times) is drawn from `seed`."""

    seed: int
    world: World
    runs: tuple[Run, ...]
    events: tuple[Event, ...]
    calm: float
    """When the faults have stopped, and people are quiet; two whole days follow, after those that anything may wait."""

    @property
    def end(self) -> float:
        """When it is over."""
        return self.calm + (2 + self.world.days_to_wait) * DAY


def source(value: Any) -> str:
    """Return a story, or a part of one, as Python: what has its ordinary value is left out."""
    if isinstance(value, tuple):
        return f"({', '.join(map(source, value))}{',' * (len(value) == 1)})"
    if not hasattr(value, "__dataclass_fields__"):
        return repr(value)
    told = []
    for field in fields(value):
        part = getattr(value, field.name)
        if field.default is MISSING or part != field.default:
            told.append(f"{field.name}={source(part)}")
    return f"{type(value).__name__}({', '.join(told)})"
