"""What the judge knows, of a run and of an ad set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closrads.errors import ClosradsError
from sandbox.aws import Mail
from tests.simulation.clauses import OPEN
from tests.simulation.meta import Hand, Regions
from tests.simulation.unobservable import Unobservable

if TYPE_CHECKING:
    from tests.simulation.border import Invocation


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended that was not killed."""

    result: dict[str, Any] | None
    error: ClosradsError | None
    mails: tuple[Mail, ...]

    def __str__(self) -> str:
        if self.result is None:
            return f"{type(self.error).__name__}: {self.error}"
        if "left_to" not in self.result:  # of one step of a run that several invocations share
            return ", ".join(f"{name} {value}" for name, value in self.result.items() if value)
        if self.result["left_to"]:
            return f"left to {self.result['left_to']}"
        found = [f"{change['name']} {change['state']}" for change in self.result["recovered"]]
        done = [f"{adset['name']} {adset['result']}" for each in self.result["campaigns"] for adset in each["adsets"]]
        failed = [str(self.error)] if self.error is not None else []
        return ", ".join([*(f"recovered {each}" for each in found), *done, *failed]) or "nothing"


@dataclass(frozen=True)
class Ailment:
    """Something wrong with an ad that is to run."""

    ad: str
    what: str
    since: float
    is_unexplained: bool = field(default=False, compare=False)
    """Meta has paused it, and shows no reason."""
    is_silent: bool = field(default=False, compare=False)
    """Meta has paused it, and shows the reason in the activity log at most."""


@dataclass
class Refusal:
    """A change that Meta refused for a reason of the whole ad account."""

    why: str
    """Words of the reason."""
    is_understood: bool
    """Whether the run can know that by now."""
    heard_by: "Invocation"

    @property
    def is_known(self) -> bool:
        """Whether the run knows of it, and not only an invocation that died before it could tell the next one."""
        return self.is_understood and not self.heard_by.was_crashed


@dataclass
class Told:
    """What the mails have said of an ad set's state."""

    ill_at: float | None = None
    """When a mail last said that it is not as it should be, unless a later one said that it is."""


@dataclass
class AdSetFile:
    """What the judge knows of an ad set."""

    name: str
    campaign: str
    known: set[Regions] = field(default_factory=set)
    """All regions that it ever had rightly."""
    changes: dict[str, str] = field(default_factory=dict)
    """By ledger key, the state of each change."""
    to_set: set[Regions] = field(default_factory=set)
    """The regions that one of its changes has set, or was to."""
    begun: dict[str, float] = field(default_factory=dict)
    """By ledger key, when it was first noted."""
    writes: list[float] = field(default_factory=list)
    """When the product wrote its targeting."""
    written_by: str = ""
    """The run that did."""
    pardons: set[tuple[Unobservable, str, float]] = field(default_factory=set)
    """What is not held against the product: what became of which ad or setting, as a person wanted it since when."""
    replaced: tuple[str, Regions] = "", frozenset()
    """The run that last wrote its targeting, and the regions that were there before."""
    went_back: bool = False
    """Whether the last write put regions back."""
    has_late_write: bool = False
    """Unobservable.APPLIED_LATE: the last write took effect when nobody waited for it any more."""
    told: Told = field(default_factory=Told)
    left: frozenset[Regions] = frozenset()
    """What may be there after its last change has ended, without anybody else; empty if there was none."""
    overwritten: dict[str, Hand] = field(default_factory=dict)
    """By run, the regions of a person that it has replaced by the wanted ones, and could have seen before."""
    to_be_told: dict[str, Hand] = field(default_factory=dict)
    """By change that was open when its run had ended, such regions: the run that finishes it has to tell of them."""
    closed_by: dict[str, str] = field(default_factory=dict)
    """By change, the run that last finished or undid it."""
    had_late_write: bool = False
    """Whether a write ever took effect when nobody waited for it any more."""
    is_opted_out: bool = False
    """Whether somebody wants it left alone, from the beginning on."""
    left_out: dict[str, float] = field(default_factory=dict)
    """By what they have changed, since when operators want it left alone that had been changed before."""
    is_held: bool = False
    """Whether a sync stopped before it, because ads of others of its campaign broke, and it has had no turn since."""

    @property
    def written_at(self) -> float | None:
        """When the product last wrote its targeting."""
        return self.writes[-1] if self.writes else None

    @property
    def is_open(self) -> bool:
        """Whether one of its changes is neither finished nor undone."""
        return not OPEN.isdisjoint(self.changes.values())


@dataclass(frozen=True)
class Failures:
    """What mails have named of what rechecks of a campaign have failed at, since the last one that did not."""

    mailed_at: float
    """When the last of them was sent."""
    known: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """What a dry run has shown, and a run is to carry out."""

    at: float
    """When it was shown."""
    changes: Mapping[str, tuple[Regions, Regions]]
    """By ad set, the regions before and after."""
    wanted: Mapping[str, Regions]
    """By ad set, the demand."""
