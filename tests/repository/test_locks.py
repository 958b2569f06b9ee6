"""The lock files: in step with each other and with `pyproject.toml`, and free of any package index's address."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
RUNTIME_LOCK = ROOT / "requirements.txt"
LAYERS = ("demo", "cli", "test", "lint", "mutants")
ENVIRONMENTS = ("sam", "ministack", "audit")
LOCKS = {name: ROOT / f"requirements-{name}.txt" for name in (*LAYERS, *ENVIRONMENTS)}
"""By the dependency group."""
BROUGHT_BY_LAMBDA = {"boto3"}
MOST_FOR_THE_DEMO = 40
"""Packages; today there are 34, and they are installed in half a minute."""


def entries(lock: Path) -> list[str]:
    """Give each entry of a lock file, its hashes included."""
    return re.split(r"\n(?=\S)", lock.read_text().strip())


def locked(lock: Path) -> set[tuple[str, str]]:
    """Give name and version of each locked package; one may stand there twice, for older and newer Pythons."""
    requirements = [Requirement(entry.split("\\\n")[0].strip()) for entry in entries(lock)]
    return {(canonicalize_name(each.name), str(each.specifier).removeprefix("==")) for each in requirements}


def declared(group: str) -> list[Requirement]:
    """Give the direct dependencies of a group, those of the groups it includes among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[Requirement] = []
    for entry in project["dependency-groups"][group]:
        found += [Requirement(entry)] if isinstance(entry, str) else declared(entry["include-group"])
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_packed_is_what_is_tried(layer: str) -> None:
    """Every packed package stands in each layer's lock with the same version."""
    assert locked(RUNTIME_LOCK) <= locked(LOCKS[layer])


@pytest.mark.parametrize(
    ("layer", "larger"), [("demo", "test"), ("cli", "test"), ("test", "lint"), ("lint", "mutants")]
)
def test_a_layer_is_contained_in_the_larger_one(layer: str, larger: str) -> None:
    """The layers share one environment, so none may want another version than the next."""
    assert locked(LOCKS[layer]) <= locked(LOCKS[larger])


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_meets_what_is_declared(name: str) -> None:
    """A dependency added or raised in `pyproject.toml` without `make lock` is noticed."""
    for requirement in declared(name):
        versions = [version for each, version in locked(LOCKS[name]) if each == canonicalize_name(requirement.name)]
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_what_is_installed_needs_what_the_commands_need() -> None:
    """`pip install .` takes no group, so they stand in `pyproject.toml` twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert {Requirement(text) for text in project["dependencies"]} == {*declared("cli")}


def test_the_demo_needs_few_packages() -> None:
    """Whoever tries it does not wait for tools of development."""
    assert len(locked(LOCKS["demo"])) <= MOST_FOR_THE_DEMO


def test_the_runtime_lock_holds_each_runtime_dependency() -> None:
    """All that the function declares is packed, except what the Lambda runtime brings itself."""
    names = {canonicalize_name(requirement.name) for requirement in declared("function")}

    assert names - {name for name, _ in locked(RUNTIME_LOCK)} == BROUGHT_BY_LAMBDA


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, *LOCKS.values()], ids=lambda lock: lock.name)
def test_every_entry_has_a_hash(lock: Path) -> None:
    """No package gets in unverified."""
    assert [entry.split()[0] for entry in entries(lock) if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, *LOCKS.values()], ids=lambda lock: lock.name)
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
