"""What a run knows of the unexplained pauses in one campaign."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from closrads.domain.changes import UnexplainedPause


@dataclass(slots=True)
class KnownPauses:
    """The unexplained pauses that earlier runs have recorded and that this run has found."""

    by_adset: dict[str, UnexplainedPause] = field(default_factory=dict)
    """The pauses by ad set id, as their ads are by now."""
    found: set[str] = field(default_factory=set)
    """Ids of the ad sets in which this run has found pauses."""
    is_read: bool = False
    """Whether the recorded ones have been read."""

    def recall(self, recorded: Iterable[UnexplainedPause]) -> None:
        """Take in the recorded pauses, unless that has been done: this run may know more of them by now."""
        if not self.is_read:
            self.by_adset = {pause.adset_id: pause for pause in recorded}
            self.is_read = True

    def add(self, found: Iterable[UnexplainedPause]) -> list[UnexplainedPause]:
        """Take in newly found pauses, and return each joined with the earlier one of its ad set."""
        now = {pause.adset_id: pause.joining(self.by_adset.get(pause.adset_id)) for pause in found}
        self.by_adset |= now
        self.found |= now.keys()
        return [*now.values()]

    def update(self, now: Mapping[str, UnexplainedPause | None]) -> None:
        """Take in what has become of pauses, given by ad set id; None if nothing is left of one."""
        left = {adset_id: pause for adset_id, pause in self.by_adset.items() if adset_id not in now}
        self.by_adset = left | {adset_id: pause for adset_id, pause in now.items() if pause is not None}

    def keep_only(self, read: Collection[str]) -> None:
        """Leave out the pauses of ad sets that have not been read, given by id; those found by this run stay."""
        self.by_adset = {each: pause for each, pause in self.by_adset.items() if each in self.found | {*read}}

    def named(self, earlier: Iterable[UnexplainedPause]) -> tuple[UnexplainedPause, ...]:
        """Return the pauses that a report names: those with ads that are off, or that this run has switched on.

        Parameters
        ----------
        earlier
            The pauses that earlier invocations of the run have named.
        """
        if not self.is_read:
            return tuple(earlier)
        off = {adset_id: pause for adset_id, pause in self.by_adset.items() if pause.ads}
        switched_on = (pause for pause in earlier if pause.switched_on and pause.adset_id not in off)
        return (*off.values(), *switched_on)
