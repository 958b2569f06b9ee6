"""What a run knows of the unexplained pauses in one campaign."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from closrads.domain.changes import UnexplainedPause


@dataclass(slots=True)
class KnownPauses:
    """The unexplained pauses that earlier runs have recorded and that this run has found."""

    by_adset: dict[str, UnexplainedPause] = field(default_factory=dict)
    """The pauses by ad set id, as their ads are by now."""
    is_read: bool = False
    """Whether the recorded ones have been read."""
    to_name: set[str] | None = None
    """Ids of the ad sets whose pauses are to be named; None for all."""

    def recall(self, recorded: Iterable[UnexplainedPause]) -> None:
        """Take in the recorded pauses, unless that has been done: this run may know more of them by now."""
        if not self.is_read:
            self.by_adset = _joined(self.by_adset, recorded)
            self.is_read = True

    def add(self, found: Iterable[UnexplainedPause]) -> list[UnexplainedPause]:
        """Take in newly found pauses, which are named; return each joined with the earlier one of its ad set."""
        now = {pause.adset_id: pause.joining(self.by_adset.get(pause.adset_id)) for pause in found}
        self.by_adset |= now
        self.also_name(now.keys())
        return [*now.values()]

    def update(self, now: Mapping[str, UnexplainedPause | None]) -> None:
        """Take in what has become of pauses, given by ad set id; None if nothing is left of one."""
        left = {adset_id: pause for adset_id, pause in self.by_adset.items() if adset_id not in now}
        self.by_adset = left | {adset_id: pause for adset_id, pause in now.items() if pause is not None}

    def also_name(self, read: Collection[str]) -> None:
        """Name the pauses of further ad sets, given by id, as they have been read."""
        if self.to_name is not None:
            self.to_name |= {*read}

    def named(self, earlier: Sequence[UnexplainedPause]) -> tuple[UnexplainedPause, ...]:
        """Return the pauses that a report names: those with ads that are off, or that this run has switched on.

        Parameters
        ----------
        earlier
            The pauses that earlier invocations of the run have named.
        """
        if not self.is_read:
            return tuple(_joined(self.by_adset, earlier).values())
        is_named = self.by_adset.keys() if self.to_name is None else self.to_name
        off = {adset_id: pause for adset_id, pause in self.by_adset.items() if pause.ads and adset_id in is_named}
        switched_on = (pause for pause in earlier if pause.switched_on and pause.adset_id not in off)
        return (*off.values(), *switched_on)


def _joined(pauses: Mapping[str, UnexplainedPause], earlier: Iterable[UnexplainedPause]) -> dict[str, UnexplainedPause]:
    """Return earlier pauses and newer ones by ad set id, each of these joined with the earlier one of its ad set."""
    known = {pause.adset_id: pause for pause in earlier}
    return known | {adset_id: pause.joining(known.get(adset_id)) for adset_id, pause in pauses.items()}
