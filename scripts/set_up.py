"""Create a virtual environment with exactly the packages of a lock; needs nothing but Python itself.

    python scripts/set_up.py              .venv, from requirements-dev.txt
    python scripts/set_up.py sam          .venv/sam, from requirements-sam.txt
    python scripts/set_up.py ministack    .venv/ministack, from requirements-ministack.txt
    python scripts/set_up.py audit        .venv/audit, from requirements-audit.txt

A lock is complete, so packages go in without dependency resolution: a few that facebook-business
declares and this project never imports stay out (see `pyproject.toml`).
"""

import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"dev": ".venv", "sam": ".venv/sam", "ministack": ".venv/ministack", "audit": ".venv/audit"}
"""Of each lock's environment; all but the first want other versions than the project."""
OLDEST_PYTHON = (3, 11)


def install(python: Path, lock: Path) -> None:
    """Install a lock file with `python`'s pip, with one line of progress that is redrawn on a terminal."""
    total = sum(line[0].isalnum() for line in lock.read_text().splitlines() if line)
    pip_install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    command = [*pip_install, "--no-deps", "--require-hashes", "-r", str(lock)]
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


def main(name: str = "dev") -> None:
    """Build an environment from scratch."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        sys.exit(f"Python {wanted} or newer is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3")
    folder = ROOT / FOLDERS[name]
    print(f"Setting up {FOLDERS[name]} with Python {sys.version.split()[0]} (once, about a minute)", flush=True)
    venv.EnvBuilder(clear=True, with_pip=True).create(folder)
    install(folder / "bin" / "python", ROOT / f"requirements-{name}.txt")
    (folder / "ready").touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
