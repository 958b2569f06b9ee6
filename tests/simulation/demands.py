"""What the partner wanted on which days, as far as live syncs were told, to judge how long a state has waited."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.meta import Regions
from tests.simulation.story import DAY, Again, Answer, Crash, Run, Slow, Story


@dataclass
class _Read:
    """One sync's read of a campaign's demand."""

    run: str
    day: int
    wanted: Regions
    is_whole: bool
    """Whether no other state was meant: if not, nothing is known of the others."""
    is_certain: bool = False
    """Whether the sync has certainly counted it: it ended well, and nothing went wrong in it."""


@dataclass
class Demands:
    """The demand of each campaign, in the order in which syncs have read it."""

    story: Story
    _reads: dict[str, list[_Read]] = field(default_factory=dict)

    def read(self, run: Run, campaign: str, wanted: Regions, *, is_whole: bool) -> None:
        """Note what a sync was told."""
        self._reads.setdefault(campaign, []).append(_Read(run.name, _day_of(run), wanted, is_whole))

    def ends(self, run: Run, result: Mapping[str, Any]) -> None:
        """Note how a run has ended."""
        troubles = (event for event in self.story.events if isinstance(event, Answer | Crash | Slow | Again))
        if any(event.run == run.name for event in troubles):
            return
        well = {report["slug"] for report in result["campaigns"] if not report["errors"]}
        for campaign in well & self._reads.keys():
            for each in self._reads[campaign]:
                each.is_certain = each.is_certain or (each.is_whole and each.run == run.name)

    def days_before(self, run: Run, campaign: str, key: str, *, is_wanted: bool) -> int:
        """Return on how many days before that of the run a region may have been counted as wanted, or as unwanted.

        A read that was certainly counted and found it otherwise ends the streak.
        """
        days = set[int]()
        for each in reversed(self._reads.get(campaign, ())):
            if (key in each.wanted) is is_wanted:
                days.add(each.day)
            elif each.is_certain:
                break
        return len(days - {_day_of(run)})


def _day_of(run: Run) -> int:
    return int(run.at // DAY)
