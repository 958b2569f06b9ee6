"""The lock files: in step with each other and with `pyproject.toml`, and free of any package index's address."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
RUNTIME_LOCK = ROOT / "requirements.txt"
FULL_LOCK = ROOT / "requirements-dev.txt"
TOOL_LOCKS = {name: ROOT / f"requirements-{name}.txt" for name in ("sam", "ministack", "audit")}
"""Of environments of their own, by the dependency group."""
LOCKS = (RUNTIME_LOCK, FULL_LOCK, *TOOL_LOCKS.values())
BROUGHT_BY_LAMBDA = {"boto3"}


def entries(lock: Path) -> list[str]:
    """Give each entry of a lock file, its hashes included."""
    return re.split(r"\n(?=\S)", lock.read_text().strip())


def locked(lock: Path) -> set[tuple[str, str]]:
    """Give name and version of each locked package; one may stand there twice, for older and newer Pythons."""
    requirements = [Requirement(entry.split("\\\n")[0].strip()) for entry in entries(lock)]
    return {(canonicalize_name(each.name), str(each.specifier).removeprefix("==")) for each in requirements}


def declared(*, with_dev: bool) -> list[Requirement]:
    """Give the direct dependencies that `pyproject.toml` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if with_dev else [])
    return [Requirement(name) for name in names]


def test_what_is_packed_is_what_is_tested() -> None:
    """Every packed package stands in the full lock with the same version, so the tests ran with it."""
    assert locked(RUNTIME_LOCK) <= locked(FULL_LOCK)


@pytest.mark.parametrize("requirement", declared(with_dev=True), ids=lambda requirement: requirement.name)
def test_the_full_lock_meets_each_declared_dependency(requirement: Requirement) -> None:
    """A dependency added or raised in `pyproject.toml` without `make lock` is noticed."""
    versions = [version for name, version in locked(FULL_LOCK) if name == canonicalize_name(requirement.name)]

    assert versions
    assert all(requirement.specifier.contains(version) for version in versions)


@pytest.mark.parametrize("group", TOOL_LOCKS)
def test_the_lock_of_a_tool_meets_what_is_declared_for_it(group: str) -> None:
    """The same for the environments that the tests start as processes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    versions = dict(locked(TOOL_LOCKS[group]))

    for requirement in map(Requirement, project["dependency-groups"][group]):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_the_runtime_lock_holds_each_runtime_dependency() -> None:
    """All that the function declares is packed, except what the Lambda runtime brings itself."""
    names = {canonicalize_name(requirement.name) for requirement in declared(with_dev=False)}

    assert names - {name for name, _ in locked(RUNTIME_LOCK)} == BROUGHT_BY_LAMBDA


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_entry_has_a_hash(lock: Path) -> None:
    """No package gets in unverified."""
    assert [entry.split()[0] for entry in entries(lock) if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_package_index(lock: Path) -> None:
    """Where packages come from is the business of each machine's own pip settings."""
    text = lock.read_text()

    assert "://" not in text
    assert [line for line in text.splitlines() if line.lstrip().startswith("-") and "--hash=" not in line] == []


def test_every_packed_package_is_listed_with_its_licence() -> None:
    """Whoever must know what is handed on finds all of it, and nothing that is not."""
    table = re.findall(r"^\| ([\w-]+) \| (.+?) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    listed = {name: licence for name, licence in table if name != "package" and set(name) != {"-"}}

    assert listed.keys() == {name for name, _ in locked(RUNTIME_LOCK)}
    for name, licence in listed.items():
        said = metadata(name)
        texts = [text for name in ("License-Expression", "License", "Classifier") for text in said.get_all(name, [])]
        assert licence.partition("-")[0].partition(" ")[0] in " ".join(texts), name
