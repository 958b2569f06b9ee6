"""What a run knows of the unexplained pauses in one campaign."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from closrads.domain.changes import UnexplainedPause

Pauses = dict[str, UnexplainedPause]
"""Unexplained pauses by ad set id."""


@dataclass(slots=True)
class KnownPauses:
    """The unexplained pauses that earlier runs have recorded and that this run has found."""

    found: Pauses = field(default_factory=dict)
    """Those that this run has found."""
    all: Pauses | None = None
    """All of them, as their ads are by now; None until the recorded ones have been read."""

    def recall(self, recorded: Iterable[UnexplainedPause]) -> None:
        """Take in the recorded pauses."""
        by_adset = {pause.adset_id: pause for pause in recorded}
        self.all = by_adset | joined(self.found, by_adset)

    def update(self, now: Mapping[str, UnexplainedPause | None]) -> None:
        """Take in what has become of pauses, given by ad set id."""
        left = {adset_id: pause for adset_id, pause in (self.all or {}).items() if adset_id not in now}
        self.all = left | {adset_id: pause for adset_id, pause in now.items() if pause is not None}

    def name_only(self, read: Collection[str]) -> None:
        """Name no others than those found by this run, and those of the ad sets that it has read, given by id."""
        self.all = {each: pause for each, pause in (self.all or {}).items() if each in read or each in self.found}

    def named(self, before: Iterable[UnexplainedPause]) -> tuple[UnexplainedPause, ...]:
        """Return the pauses that a report names: those with ads that are off.

        Parameters
        ----------
        before
            The pauses that the report has named so far, in earlier invocations of the run.
        """
        if self.all is None:
            by_adset = {pause.adset_id: pause for pause in before}
            return tuple((by_adset | joined(self.found, by_adset)).values())
        off = {adset_id: pause for adset_id, pause in self.all.items() if pause.ads}
        switched_on = (pause for pause in before if pause.switched_on and pause.adset_id not in off)
        return (*off.values(), *switched_on)


def joined(found: Mapping[str, UnexplainedPause], earlier: Mapping[str, UnexplainedPause]) -> Pauses:
    """Return newly found pauses, each joined with the earlier one of its ad set."""
    return {adset_id: pause.joining(earlier.get(adset_id)) for adset_id, pause in found.items()}
