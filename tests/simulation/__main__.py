"""Plays stories from the command line: `python -m tests.simulation --help`."""

import argparse
import itertools
import math
import multiprocessing
import os
import sys
import time

from tests.simulation.clauses import Clause
from tests.simulation.draw import draw
from tests.simulation.play import player
from tests.simulation.shrink import shrink
from tests.simulation.simulation import Simulation
from tests.simulation.story import Story, source

NAMED = 10
"""Of each clause, so many seeds that violate it are named at the end."""
_QUIET = ("→ dynamodb", "→ ssm", "→ ses", "← 200")


def main() -> int:
    """Do what the command line asks for; return 1 if a clause was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="play one story and print it")
    what.add_argument("--seeds", metavar="A..B", help="play the stories of these seeds, B not included")
    what.add_argument("--minutes", type=float, help="play new stories for so long, then print one that fails")
    parser.add_argument("--first", type=int, default=0, help="with --minutes: the seed to begin with")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; default: one for each core")
    parser.add_argument("--shrink", action="store_true", help="with --seed: make the story as small as possible first")
    parser.add_argument("--whole", action="store_true", help="with --seed: print the calls to AWS too")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return _show(draw(chosen.seed), is_shrunk=chosen.shrink, is_whole=chosen.whole)
    if chosen.seeds is not None:
        first, last = map(int, chosen.seeds.split(".."))
        return int(_search(range(first, last), math.inf, chosen.jobs) is not None)
    failing = _search(range(chosen.first, sys.maxsize), 60 * chosen.minutes, chosen.jobs)
    return 0 if failing is None else _show(draw(failing), is_shrunk=True, is_whole=False)


def _show(story: Story, *, is_shrunk: bool, is_whole: bool) -> int:
    with player() as play:
        simulation = play(story)
        violations = simulation.judge.violations
        if violations and is_shrunk:
            clause = violations[0].clause
            story = shrink(story, lambda smaller: clause in play(smaller).judge.clauses)
            simulation = play(story)
    _print(simulation, is_whole=is_whole)
    return int(bool(simulation.judge.violations))


def _print(simulation: Simulation, *, is_whole: bool) -> None:
    story, write = simulation.story, sys.stdout.write
    for adset in story.world.adsets:
        write(f"{source(adset)}\n")
    for part in (*story.runs, *story.events):
        write(f"{source(part)}\n")
    write("\n")
    for note in simulation.notes:
        if is_whole or not note.what.startswith(_QUIET):
            write(f"{note}\n")
    write(f"\n{source(story)}\n\n")
    for violation in simulation.judge.violations:
        write(f"{violation}\n")


def _search(seeds: range, seconds: float, jobs: int) -> int | None:
    """Play stories in several processes; tell of each clause when it is first violated, and of all at the end.

    Return the first seed that violates one; None if none does. Raise a `RuntimeError` if a story cannot be played.
    """
    started, count = time.monotonic(), 0
    found: dict[Clause, list[int]] = {}
    results: multiprocessing.Queue[tuple[int, set[Clause]] | None] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=_work, args=(seeds[number::jobs], started + seconds, results))
        for number in range(jobs)
    ]
    for worker in workers:
        worker.start()
    running = jobs
    while running:
        result = results.get()
        if result is None:
            running -= 1
            continue
        seed, clauses = result
        count += 1
        for clause in sorted(clauses):
            found.setdefault(clause, []).append(seed)
            if len(found[clause]) == 1:
                sys.stdout.write(f"seed {seed}: {clause}\n")
                sys.stdout.flush()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a story could not be played: the traceback above says why")
    took = time.monotonic() - started
    sys.stdout.write(f"{count} stories in {took:.0f} s, {count / took:.1f} a second\n")
    for clause, failing in sorted(found.items(), key=lambda each: -len(each[1])):
        named = ", ".join(map(str, sorted(failing)[:NAMED]))
        sys.stdout.write(f"{len(failing):6} violate: {clause} (seeds {named}{', …' * (len(failing) > NAMED)})\n")
    return min(itertools.chain(*found.values()), default=None)


def _work(seeds: range, end: float, results: "multiprocessing.Queue[tuple[int, set[Clause]] | None]") -> None:
    try:
        with player() as play:
            for seed in seeds:
                if time.monotonic() > end:
                    break
                results.put((seed, play(draw(seed)).judge.clauses))
    finally:
        results.put(None)


if __name__ == "__main__":
    sys.exit(main())
