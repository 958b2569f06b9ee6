"""The set-up of the environments: layer upon layer, and never ready before it is."""

import os
import time
import venv
from pathlib import Path

import pytest

from scripts import set_up


class SetUp:
    """A folder with locks, where "installing" one means noting it in `.venv/installed`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.fails = False
        for name in (*set_up.LAYERS, *set_up.ENVIRONMENTS):
            self.write_lock(name, modified=0)

    def write_lock(self, name: str, modified: float) -> None:
        """Write a lock."""
        lock = self.root / f"requirements-{name}.txt"
        lock.touch()
        os.utime(lock, (modified, modified))

    def create(self, folder: Path, *, clear: bool = False, with_pip: bool) -> None:
        """Stand in for `venv.create`."""
        assert with_pip
        if clear and folder.exists():
            (folder / "ready").unlink(missing_ok=True)
        (folder / "lib").mkdir(parents=True)

    def install(self, environment: Path, lock: Path, *_options: str) -> None:
        """Stand in for pip."""
        with (environment / "lib" / "installed").open("a") as installed:
            installed.write(f"{lock.stem.removeprefix('requirements-')} ")
        if self.fails:
            raise SystemExit

    @property
    def installed(self) -> list[str]:
        """What has been installed into `.venv` since it was created."""
        return (self.venv / "lib" / "installed").read_text().split()

    @property
    def ready(self) -> set[str]:
        """What make takes for ready."""
        environments = {path.parent.name for path in self.venv.glob("*/ready")}
        return {path.stem for path in self.venv.glob("*.ready")} | environments


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetUp:
    """Return a folder in which nothing has been set up."""
    built = SetUp(tmp_path)
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(set_up, "UNFINISHED", tmp_path / ".venv" / "unfinished")
    monkeypatch.setattr(venv, "create", built.create)
    monkeypatch.setattr(set_up, "install", built.install)
    return built


def test_a_layer_comes_upon_the_others(environments: SetUp) -> None:
    """What is there already is not installed again."""
    set_up.main("demo")
    set_up.main("test")

    assert environments.installed == ["demo", "test"]
    assert environments.ready == {"demo", "test"}


def test_a_changed_lock_rebuilds_all_layers(environments: SetUp) -> None:
    """A package that has left its lock does not linger on, and no layer that was ready is lost."""
    set_up.main("demo")
    set_up.main("lint")
    environments.write_lock("demo", modified=time.time() + 60)

    set_up.main("test")

    assert environments.installed == ["demo", "test", "lint"]
    assert environments.ready == {"demo", "test", "lint"}


def test_a_set_up_that_failed_is_not_ready(environments: SetUp) -> None:
    """Neither after the failure nor after an interruption, and the next one trusts nothing that it left."""
    set_up.main("demo")
    environments.fails = True
    with pytest.raises(SystemExit):
        set_up.main("test")

    assert environments.ready == {"demo"}

    environments.fails = False
    set_up.main("test")

    assert environments.installed == ["demo", "test"]
    assert environments.ready == {"demo", "test"}


def test_a_rebuild_that_failed_leaves_nothing_ready(environments: SetUp) -> None:
    """The old layer is gone, so make must not take it for ready."""
    set_up.main("demo")
    environments.write_lock("demo", modified=time.time() + 60)
    environments.fails = True
    with pytest.raises(SystemExit):
        set_up.main("demo")

    assert environments.ready == set()


def test_environments_of_their_own_survive_a_rebuild(environments: SetUp) -> None:
    """They have other locks, and take long to make."""
    set_up.main("sam")
    set_up.main("demo")
    environments.write_lock("demo", modified=time.time() + 60)
    set_up.main("demo")

    assert environments.ready == {"sam", "demo"}
    assert (environments.venv / "sam" / "lib" / "installed").read_text() == "sam "
    assert environments.installed == ["demo"]
