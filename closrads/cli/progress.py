"""The progress of a live run by ad set and wave, from its log: bars on a terminal, lines elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from closrads.cli.labels import WORDINGS
from closrads.cli.log_capture import Entry
from closrads.cli.terminal import say, stderr_console
from closrads.domain.adset_results import Result
from closrads.domain.request import Action
from closrads.redaction import one_line
from closrads.report.wording.phrases import several

Handlers = Mapping[str, Callable[[Entry], None]]
"""Handlers of log entries, by message."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a campaign in a live run."""

    campaign: str
    done: int
    total: int
    """Number of ad sets to be changed, as far as known."""
    said: str


@dataclass(slots=True)
class Steps:
    """Counts the ad sets of each campaign."""

    action: Action
    show: Callable[[Step], None]
    _done: dict[str, int] = field(default_factory=dict)
    _total: dict[str, int] = field(default_factory=dict)
    _waves: dict[str, int] = field(default_factory=dict)

    def handlers(self) -> Handlers:
        """Return the handlers of the log entries that show progress."""
        return {"wave.start": self._wave, "adset.result": self._adset}

    def _wave(self, entry: Entry) -> None:
        slug, size, left = entry["campaign"], entry["adsets"], entry["left"]
        self._total[slug] = self._done.setdefault(slug, 0) + size + left
        number = self._waves[slug] = self._waves.get(slug, 0) + 1
        rest = f", {left} after that" if left else ""
        self._report(slug, f"wave {number}: {several(size, 'ad set')}{rest}")

    def _adset(self, entry: Entry) -> None:
        slug = entry["campaign"]
        self._done[slug] += 1  # its wave has set it to a number
        word = WORDINGS[self.action].labels[Result(entry["result"])]
        self._report(slug, f"{self._done[slug]} of {self._total[slug]}: {one_line(entry['adset_name'])}: {word}")

    def _report(self, slug: str, said: str) -> None:
        self.show(Step(slug, self._done[slug], self._total[slug], said))


@contextmanager
def showing_progress(action: Action, what: str, *, quiet: bool = False) -> Iterator[Handlers]:
    """Show the progress of a live run within the `with` body; yield the handlers of its log entries."""
    console = stderr_console()
    if quiet:
        yield {}
    elif console.is_terminal:
        bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), console=console, transient=True,
            redirect_stdout=False,  # printed metrics must go to the log
        )  # fmt: skip
        with bars:
            yield Steps(action, _Bars(bars, what).show).handlers()
    else:
        yield Steps(action, lambda step: say(f"{step.campaign}: {step.said}")).handlers()


class _Bars:
    """One bar for each campaign, below a description of the run."""

    def __init__(self, bars: Progress, what: str) -> None:
        self._bars = bars
        bars.add_task(what, total=None)
        self._tasks: dict[str, TaskID] = {}

    def show(self, step: Step) -> None:
        """Update the bar of a campaign."""
        if step.campaign not in self._tasks:
            self._tasks[step.campaign] = self._bars.add_task(step.campaign, total=step.total)
        description = f"{step.campaign}: {step.said}"
        self._bars.update(self._tasks[step.campaign], completed=step.done, total=step.total, description=description)
