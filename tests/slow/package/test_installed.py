"""The commands as `pip install .` makes them, far from the checkout; needs a package index for the build backend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.cli.conftest import business
from tests.repository.test_locks import ROOT

__all__ = ["business"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the project to a folder; what it needs is in this environment already."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, str(ROOT)]
    subprocess.run(command, check=True)  # noqa: S603 - our own project
    return folder


def call(installed: Path, away: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command from a folder that has nothing to do with the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(away), "XDG_CONFIG_HOME": str(away)}
    command = [sys.executable, str(installed / "bin/closrads"), *arguments]
    return subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command


def test_it_says_its_name(installed: Path, tmp_path: Path) -> None:
    """As whoever reads the help has called it."""
    assert call(installed, tmp_path, "--version").stdout == "closrads 0.2.0\n"
    shown = call(installed, tmp_path, "run", "--help").stdout
    assert "closrads run dry-run" in shown
    assert "python -m" not in shown


def test_it_finds_what_it_needs(installed: Path, tmp_path: Path, business: Sandbox) -> None:
    """The handler, the events, the regions, the templates of the report; and its log goes to a folder of the user."""
    assert business.aws.requests == []
    done = call(installed, tmp_path, "run", "dry-run")

    assert done.returncode == 0, done.stderr
    assert "7 would be updated" in done.stdout
    assert [file.suffix for file in tmp_path.glob("closrads/log/*")] == [".jsonl"]


def test_it_knows_the_stages(
    installed: Path, tmp_path: Path, business: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those that can be deployed."""
    assert business.aws.requests == []
    for name in ("CLOSRADS_STAGE", "CLOSRADS_PARAMETER_PATH"):
        monkeypatch.delenv(name)
    done = call(installed, tmp_path, "pull-config", "--stage", "pord")

    assert (done.returncode, "did you mean prod?" in done.stderr) == (2, True)
