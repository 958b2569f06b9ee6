"""`make mutants`: change the code in small ways, one at a time, and fail if the tests do not notice.

mutmut makes the mutants, `scripts.mutant_tests` runs the tests that reach them; `[tool.mutmut]` in `pyproject.toml`
names the packages, and `TESTS` their tests. Left out are mutants that mypy refuses, and those that differ only in the
wording of a text for people, which a reviewer judges. Every survivor is listed in `tests/survivors.toml`, with the
reason why it may live.

    python -m scripts.mutants                           runs all of them
    python -m scripts.mutants --keep                    runs those of functions that have changed since, and judges all
    python -m scripts.mutants 'closrads.domain.plan.*'  runs these again, and shows what new tests have achieved
"""

import argparse
import json
import os
import re
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from difflib import unified_diff
from enum import IntEnum
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.mutant_tests import Mutant, MutantTests, Verdict, changed_lines

if TYPE_CHECKING:
    from mutmut.mutation.data import SourceFileMutationData

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "mutants"
ACCEPTED = ROOT / "tests" / "survivors.toml"
TESTS = {
    "domain": ("tests/domain",),
    "rollout": (
        "tests/rollout",
        "tests/orchestration/test_recheck.py",
        "tests/test_pause.py",
        "tests/test_sync.py::TestRestrictions",
    ),
}
"""The tests that are to kill the mutants of a package.

What the domain decides is tested without the rest: that takes a hundredth of the time, and shows which rule is broken.
"""
KILLED_PCT = 95.0
"""Minimum share of killed mutants."""

_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'")


class Status(IntEnum):
    """What became of a mutant, as mutmut keeps it, so that `mutmut browse` shows it."""

    SURVIVED = 0
    KILLED = 1
    UNREACHED = 33
    """No test executes what it changes."""
    WORDING = 34
    TIMEOUT = 36
    REFUSED = 37
    """By mypy."""

    @classmethod
    def of(cls, verdict: Verdict) -> "Status":
        """Return the status that the tests give a mutant."""
        if verdict.is_timeout:
            return cls.TIMEOUT
        if verdict.killer:
            return cls.KILLED
        return cls.SURVIVED if verdict.is_reached else cls.UNREACHED


@dataclass(frozen=True, slots=True)
class Mutation:
    """The change that a mutant makes; two mutants of a function may make the same change."""

    function: str
    """Qualified name of the function."""
    was: str
    now: str

    @property
    def is_wording(self) -> bool:
        """Whether the mutant changes only the letters of a message, that is, of a string with a space."""
        if self.was.casefold() != self.now.replace("XX", "").casefold():
            return False
        where = next((i for i, (old, new) in enumerate(zip(self.was, self.now, strict=False)) if old != new), 0)
        literals = (match[0] for match in _LITERAL.finditer(self.was) if match.start() <= where < match.end())
        return " " in next(literals, "")

    def as_toml(self) -> str:
        """Return the entry for the file of accepted survivors, without the reason."""
        fields = {"function": self.function, "was": self.was, "now": self.now, "reason": ""}
        return "\n".join(["[[survivor]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())])


def judge(killed: int, survivors: Collection[Mutation], accepted: Collection[Mutation]) -> list[str]:
    """Return the problems, one line each; empty if the tests are good enough."""
    complaints = [
        f"This survived, but is not in {ACCEPTED.name}:\n{each.as_toml()}"
        for each in dict.fromkeys(survivors)
        if each not in accepted
    ]
    complaints += [
        f"This is in {ACCEPTED.name}, but has not survived:\n{each.as_toml()}"
        for each in accepted
        if each not in survivors
    ]
    if (share := killed_pct(killed, len(survivors))) < KILLED_PCT:
        complaints.append(f"{share:.1f} % of the mutants were killed, less than {KILLED_PCT:g} %")
    return complaints


def killed_pct(killed: int, survived: int) -> float:
    """Return the share of killed mutants in percent; 0 if there are no mutants."""
    return 100 * killed / max(killed + survived, 1)


def read_accepted() -> list[Mutation]:
    """Return the accepted survivors, each of which must have a reason."""
    entries = tomllib.loads(ACCEPTED.read_text()).get("survivor", [])
    if nameless := [entry["function"] for entry in entries if not entry["reason"]]:
        sys.exit(f"{ACCEPTED.name} gives no reason for a survivor in {', '.join(nameless)}")
    return [Mutation(entry["function"], entry["was"], entry["now"]) for entry in entries]


@dataclass(frozen=True, slots=True)
class Module:
    """A module that mutmut has made mutants of."""

    path: Path
    """The original file."""
    functions: Mapping[str, str]
    """The text of each function: of mutants, and of those that they were made of."""
    starts: Mapping[str, int]
    """The first line of each function."""
    results: "SourceFileMutationData"

    def name_at(self, line: int) -> str:
        """Return the name of the mutant that a line belongs to."""
        function = max((name for name, start in self.starts.items() if start <= line), key=self.starts.__getitem__)
        return ".".join([*self.path.with_suffix("").parts, function])

    def versions_of(self, name: str) -> tuple[str, str]:
        """Return the function that a mutant was made of, and the mutant under the same name."""
        mutant, original = _last_names(name)
        return self.functions[original], self.functions[mutant].replace(mutant, original)

    def mutation_of(self, name: str) -> Mutation:
        """Return the change that a mutant makes."""
        was, now = (function.splitlines() for function in self.versions_of(name))
        lines = list(unified_diff(was, now, n=0))[2:]  # the first two name the files
        before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
        return Mutation(_function(name), before, after)

    def mutant_of(self, name: str) -> Mutant:
        """Return what the tests have to know of a mutant."""
        lines = changed_lines(*self.versions_of(name))
        start = self.starts[_last_names(name)[1]]
        place = range(start + lines.start, start + lines.stop)
        return Mutant(name, _function(name), MUTANTS / self.path, place, TESTS[self.path.parent.name])


def _last_names(name: str) -> tuple[str, str]:
    """Return the names of a mutant and of its original in their module."""
    mutant = name.rpartition(".")[2]
    return mutant, mutant.partition("__mutmut_")[0] + "__mutmut_orig"


def _function(name: str) -> str:
    """Return the qualified name of the function that a mutant belongs to."""
    return re.sub(r"\.x_|\.xǁ|ǁ", ".", name.partition("__mutmut_")[0])


def remove_stale(copy: Path, root: Path) -> None:
    """Remove the modules and tests from the last run's copy of the project that it no longer has."""
    for path in [*copy.rglob("*.py")]:
        if not (root / path.relative_to(copy)).exists():
            path.unlink()


def make_mutants() -> dict[str, Module]:
    """Make the mutants of all functions that have changed, and return the module of each mutant.

    Those that differ only in the wording of a text are marked: each would run all its tests in vain, for no test looks
    at wording.
    """
    from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants  # noqa: PLC0415 - only the layer
    from mutmut.utils.file_utils import walk_mutatable_files  # noqa: PLC0415 - `mutants` has it

    remove_stale(MUTANTS, ROOT)
    with redirect_stdout(StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 1)
    module_of = {}
    for module in map(read_module, walk_mutatable_files()):
        status_by_name = module.results.exit_code_by_key
        for name, status in status_by_name.items():
            if status is None and module.mutation_of(name).is_wording:
                status_by_name[name] = Status.WORDING
            module_of[name] = module
        module.results.save()
    return module_of


def read_module(path: Path) -> Module:
    """Read the mutants that were made of the module at a path."""
    from mutmut.mutation.data import MutantLineSpans, SourceFileMutationData  # noqa: PLC0415 - as above

    spans = MutantLineSpans.load(path).span_by_function_name
    lines = (MUTANTS / path).read_text().splitlines(keepends=True)
    results = SourceFileMutationData(path=path)
    results.load()
    functions = {name: "".join(lines[span.start - 1 : span.end]) for name, span in spans.items()}
    return Module(path, functions, {name: span.start for name, span in spans.items()}, results)


def refuse(modules: Iterable[Module]) -> None:
    """Mark the mutants that mypy refuses. Raises ValueError if it refuses something else."""
    from mutmut.configuration import config  # noqa: PLC0415 - as above
    from mutmut.type_checking import run_type_checker  # noqa: PLC0415

    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # mutmut calls mypy
    with chdir(MUTANTS):
        refusals = run_type_checker(config().type_check_command)
    by_file = {MUTANTS / module.path: module for module in modules}
    for refusal in refusals:
        module = by_file[refusal.file_path]
        name = module.name_at(refusal.line_number)
        if name not in module.results.exit_code_by_key:
            raise ValueError(f"mypy refuses more than mutants: {refusal}")
        if module.results.exit_code_by_key[name] is None:
            module.results.exit_code_by_key[name] = Status.REFUSED
    for module in by_file.values():
        module.results.save()


def run_mutants(names: Collection[str], module_of: Mapping[str, Module], jobs: int) -> None:
    """Run the tests against these mutants, so many at a time, and keep what becomes of each."""
    from mutmut.configuration import config  # noqa: PLC0415 - as above
    from mutmut.utils.file_utils import setup_source_paths  # noqa: PLC0415

    done = 0

    def keep(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        name, status = verdict.mutant.name, Status.of(verdict)
        results = module_of[name].results
        results.exit_code_by_key[name] = status
        results.durations_by_key[name] = verdict.seconds
        with chdir(ROOT):
            results.save()
        print(f"{done}/{len(names)} {status.name.lower()} in {verdict.seconds:.1f} s: {name}", flush=True)

    mutants = [module_of[name].mutant_of(name) for name in names]
    options = ["--rootdir=.", "--quiet", "--capture=no", "--assert=plain", "--tb=native", *config().pytest_add_cli_args]
    selected = sorted({test for mutant in mutants for test in mutant.tests})
    setup_source_paths()
    with chdir(MUTANTS):
        if status := pytest.main([*options, *selected], plugins=[MutantTests(mutants, jobs, keep)]):
            sys.exit(status)


def main() -> None:
    """Run the mutants, print the survivors, and exit with status 1 if there are too many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help="which mutants to run again; * stands for any letters")
    parser.add_argument("--keep", action="store_true", help="keep the results of the last run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many to run at a time")
    arguments = parser.parse_args()
    accepted = read_accepted()
    os.chdir(ROOT)
    if not (arguments.keep or arguments.names):
        shutil.rmtree(MUTANTS, ignore_errors=True)
    module_of = make_mutants()

    def status_of(name: str) -> Status | None:
        status = module_of[name].results.exit_code_by_key[name]
        return None if status is None else Status(status)

    if any(status_of(name) is None for name in module_of):
        refuse(module_of.values())
    chosen = [name for name in module_of if any(fnmatch(name, pattern) for pattern in arguments.names or "*")]
    if not chosen:
        sys.exit("No mutant has such a name")
    done = {Status.REFUSED, Status.WORDING} if arguments.names else {*Status}
    if to_run := [name for name in chosen if status_of(name) not in done]:
        run_mutants(to_run, module_of, arguments.jobs)
    count = Counter(map(status_of, chosen))
    killed = count[Status.KILLED] + count[Status.TIMEOUT]
    survivors = [
        module_of[name].mutation_of(name) for name in chosen if status_of(name) in {Status.SURVIVED, Status.UNREACHED}
    ]
    seconds = sum(module_of[name].results.durations_by_key.get(name, 0) for name in chosen)
    refused, wording = count[Status.REFUSED], count[Status.WORDING]
    print(f"{len(chosen)} mutants; {refused} refused by mypy, {wording} in the wording of a text")
    print(f"{killed} killed, {len(survivors)} survived: {killed_pct(killed, len(survivors)):.1f} %")
    print(f"Their tests took {seconds / 60:.0f} minutes of CPU time")
    functions = set(map(_function, chosen))
    listed = [each for each in accepted if not arguments.names or each.function in functions]
    if complaints := judge(killed, survivors, listed):
        print("", *complaints, sep="\n\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
