"""`make mutants`: change the code in small ways, one at a time, and fail if the tests do not notice.

mutmut makes the mutants and runs the tests that reach them; `[tool.mutmut]` in `pyproject.toml` names the packages and
the tests. Left out are mutants that mypy refuses, and those that differ only in the wording of a text for people, which
a reviewer judges. Every survivor is listed in `tests/survivors.toml`, with the reason why it may live.

    python -m scripts.mutants                           runs all of them
    python -m scripts.mutants --keep                    runs those of functions that have changed since, and judges all
    python -m scripts.mutants 'closrads.domain.plan.*'  runs these again, and shows what new tests have achieved
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTMUT = Path(sys.executable).with_name("mutmut")
ACCEPTED = ROOT / "tests" / "survivors.toml"
KILLED_PCT = 95.0
"""Minimum share of killed mutants."""

_KILLED = {"killed", "timeout"}
_REFUSED_BY_MYPY = "caught by type check"
_SKIPPED = "skipped"
_EXIT_CODE_OF_SKIPPED = 34
"""What mutmut keeps of a skipped mutant; it runs only those of which it keeps nothing yet."""
_UNFINISHED = {"not checked", "check was interrupted by user"}
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'")


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


def read_results() -> Iterator[tuple[str, str]]:
    """Yield the name and the status of each mutant."""
    for line in _mutmut("results", "--all", "true").splitlines():
        name, _, status = line.strip().rpartition(": ")
        yield name, status


def read_mutation(name: str, path: Path | None = None) -> Mutation:
    """Return the change that a mutant makes; without the path of its module, that is looked for."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415 - only the layer `mutants` has it

    lines = get_diff_for_mutant(name, path=path).splitlines()
    was, now = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(3 * sign))
        for sign in "-+"
    )
    return Mutation(_function(name), was, now)


def _function(name: str) -> str:
    """Return the qualified name of the function that a mutant belongs to."""
    return re.sub(r"\.x_|\.xǁ|ǁ", ".", name.partition("__mutmut_")[0])


def make_mutants() -> None:
    """Make the mutants of all functions that have changed, and skip those that differ only in the wording of a text.

    Each of these would run all its tests in vain, for no test looks at wording.
    """
    from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants  # noqa: PLC0415 - as above
    from mutmut.mutation.data import SourceFileMutationData  # noqa: PLC0415
    from mutmut.utils.file_utils import walk_mutatable_files  # noqa: PLC0415

    with redirect_stdout(StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 1)
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            if exit_code is None and read_mutation(name, path).is_wording:
                data.exit_code_by_key[name] = _EXIT_CODE_OF_SKIPPED
        data.save()


def _mutmut(*arguments: str, is_shown: bool = False) -> str:
    """Run mutmut, which needs mypy on its path, and return what it prints unless that is shown."""
    path = os.pathsep.join([str(MUTMUT.parent), os.environ["PATH"]])
    stdout = None if is_shown else subprocess.PIPE
    done = subprocess.run(  # noqa: S603 - runs mutmut
        [MUTMUT, *arguments], cwd=ROOT, env={**os.environ, "PATH": path}, stdout=stdout, text=True, check=True
    )
    return done.stdout or ""


def main() -> None:
    """Run the mutants, print the survivors, and exit with status 1 if there are too many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help="which mutants to run again; * stands for any letters")
    parser.add_argument("--keep", action="store_true", help="keep the results of the last run")
    arguments = parser.parse_args()
    accepted = read_accepted()
    if not (arguments.keep or arguments.names):
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    make_mutants()
    chosen = [
        name
        for name, status in read_results()
        if status != _SKIPPED and any(fnmatch(name, pattern) for pattern in arguments.names)
    ]
    if arguments.names and not chosen:
        sys.exit("No mutant has such a name")
    _mutmut("run", *chosen, is_shown=True)
    results = {name: status for name, status in read_results() if not chosen or name in chosen}
    if unfinished := [name for name, status in results.items() if status in _UNFINISHED]:
        sys.exit(f"{len(unfinished)} mutants have not been run: python -m scripts.mutants --keep goes on")
    killed = sum(status in _KILLED for status in results.values())
    refused = sum(status == _REFUSED_BY_MYPY for status in results.values())
    skipped = sum(status == _SKIPPED for status in results.values())
    dead = {*_KILLED, _REFUSED_BY_MYPY, _SKIPPED}
    survivors = [read_mutation(name) for name, status in results.items() if status not in dead]
    print(f"{len(results)} mutants; {refused} refused by mypy, {skipped} in the wording of a text")
    print(f"{killed} killed, {len(survivors)} survived: {killed_pct(killed, len(survivors)):.1f} %")
    functions = set(map(_function, results))
    if complaints := judge(killed, survivors, [each for each in accepted if not chosen or each.function in functions]):
        print("", *complaints, sep="\n\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
