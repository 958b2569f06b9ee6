"""Install the packages of a lock file; needs nothing but Python itself.

    python scripts/set_up.py demo      adds a layer to .venv: demo, cli, test, lint or mutants
    python scripts/set_up.py sam       makes .venv/sam, an environment of its own: sam, ministack or audit

The layers can share `.venv` because their locks agree on every version; the other environments need versions of their
own. `.venv/demo.ready` and `.venv/sam/ready` mark a finished set-up: make looks at nothing else.

A lock is complete, so packages go in without dependency resolution: a few that facebook-business
declares and this project never imports stay out (see `pyproject.toml`).
"""

import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LAYERS = ("demo", "cli", "test", "lint", "mutants")
ENVIRONMENTS = ("sam", "ministack", "audit")
UNFINISHED = VENV / "unfinished"
"""Exists while `.venv` is being changed, and remains if that fails or is interrupted."""
OLDEST_PYTHON = (3, 11)


def add_layer(name: str) -> None:
    """Add a layer to `.venv`. If a lock has changed or a set-up did not finish, build `.venv` from scratch first."""
    ready = [layer for layer in LAYERS if stamp_of(layer).exists()]
    changed = any(lock_of(layer).stat().st_mtime > stamp_of(layer).stat().st_mtime for layer in ready)
    wanted = [name]
    if changed or UNFINISHED.exists() or not ready:
        wanted = [layer for layer in LAYERS if layer in {*ready, name}]
        VENV.mkdir(exist_ok=True)
        UNFINISHED.touch()
        remove_layers()
        venv.create(VENV, with_pip=True)
    UNFINISHED.touch()
    for layer in wanted:
        install(VENV, lock_of(layer), "--no-compile")  # of the thousands of modules few are ever imported
        stamp_of(layer).touch()
    UNFINISHED.unlink()


def remove_layers() -> None:
    """Empty `.venv`, except for the environments in it."""
    for path in VENV.iterdir():
        if path.is_dir() and path.name not in ENVIRONMENTS:
            shutil.rmtree(path)
        elif not path.is_dir() and path != UNFINISHED:
            path.unlink()


def make_environment(name: str) -> None:
    """Make an environment of its own from scratch."""
    folder = VENV / name
    venv.create(folder, clear=True, with_pip=True)
    install(folder, lock_of(name))
    (folder / "ready").touch()


def install(environment: Path, lock: Path, *options: str) -> None:
    """Install a lock file with the pip of an environment; one line of progress, redrawn on a terminal."""
    total = sum(line[0].isalnum() for line in lock.read_text().splitlines() if line)
    pip_install = [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    command = [*pip_install, "--no-deps", "--require-hashes", *options, "-r", str(lock)]
    log: list[str] = []
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603 - own interpreter, own arguments
        fetched = 0
        for line in pip.stdout or ():
            log.append(line)
            fetched += line.startswith("Collecting ")
            if line.startswith("Collecting ") and (sys.stdout.isatty() or fetched % 20 == 0):
                end = "\r" if sys.stdout.isatty() else "\n"
                print(f"  {fetched} of at most {total} packages fetched", end=end, flush=True)
            elif line.startswith("Installing "):
                print("  installing them                         ", flush=True)
    if pip.returncode:
        sys.exit("".join(log[-20:]) + "\nThe packages could not be installed; pip's reason stands above.")
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def lock_of(name: str) -> Path:
    """Return the lock file of a layer or an environment."""
    return ROOT / f"requirements-{name}.txt"


def stamp_of(layer: str) -> Path:
    """Return the file that marks a layer as ready."""
    return VENV / f"{layer}.ready"


def main(name: str) -> None:
    """Set up a layer or an environment."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        sys.exit(f"Python {wanted} or newer is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3")
    print(f"Setting up the packages of `{name}` with Python {sys.version.split()[0]} (once)", flush=True)
    if name in LAYERS:
        add_layer(name)
    else:
        make_environment(name)


if __name__ == "__main__":
    main(sys.argv[1])
