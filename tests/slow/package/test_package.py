"""The Lambda package, built once with the very target that `sam build` runs; needs a package index."""

import platform
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.repository.test_locks import ROOT, RUNTIME_LOCK, locked

OURS = {"handler.py", "closrads", "data"}
NEVER_PACKED = {
    *("boto3", "botocore", "s3transfer", "dateutil"),  # the Lambda runtime brings them
    *("aiohttp", "curlify", "pycountry"),  # only facebook_business's server-side events would need them
    *("test", "tests", "sandbox", "scripts", "bin", ".venv", ".git"),
}
TARGET = ("Linux", "x86_64", (3, 13))


def files_below(folder: Path) -> set[Path]:
    """Give all files below a folder, without what Python leaves behind there."""
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_the_locked_packages_and_nothing_else(package: Path) -> None:
    """Each package of the lock is there in its version, and no other."""
    packed = {(canonicalize_name(each.name), each.version) for each in distributions(path=[str(package)])}

    assert packed == locked(RUNTIME_LOCK)


def test_beside_them_stands_our_own_code_only(package: Path) -> None:
    """No file of the checkout slips in, neither tests nor the lock nor a virtual environment."""
    found = {path.name for path in package.iterdir()}
    of_packages = {path.parts[0] for each in distributions(path=[str(package)]) for path in each.files or ()}

    assert found - of_packages - {"__pycache__"} == OURS


@pytest.mark.parametrize("folder", ["closrads", "data"])
def test_our_code_is_complete(package: Path, folder: str) -> None:
    """Templates and data files travel with the modules that read them; the operator's commands stay here."""
    of_operators = {path for path in files_below(ROOT / folder) if path.parts[0] in {"cli", "__main__.py"}}

    assert files_below(package / folder) == files_below(ROOT / folder) - of_operators


def test_nothing_in_it_is_needless(package: Path) -> None:
    """What the runtime brings, what never runs and what was compiled here stay out, at any depth."""
    found = {part for path in package.rglob("*") for part in path.relative_to(package).parts}

    assert found & NEVER_PACKED == set()


def test_compiled_modules_are_for_the_runtime(package: Path) -> None:
    """A build on another system or Python still fetches what Lambda can load."""
    compiled = {path.name.partition(".")[2] for path in package.rglob("*.so")}

    assert compiled == {"cpython-313-x86_64-linux-gnu.so"}


def test_it_stays_small(package: Path, tmp_path: Path) -> None:
    """A dependency that adds megabytes is noticed: measured 18.4 MB, zipped 6.4 MB, in November 2026."""
    files = [path.relative_to(package) for path in package.rglob("*") if path.is_file()]
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(files):
            zipped.write(package / path, path)

    assert sum((package / path).stat().st_size for path in files) < 20_000_000
    assert archive.stat().st_size < 7_000_000


ON_THE_RUNTIME = pytest.mark.skipif(
    (platform.system(), platform.machine(), sys.version_info[:2]) != TARGET,
    reason="its compiled modules load only in Python 3.13 on x86_64 Linux",
)


@ON_THE_RUNTIME
def test_what_a_start_imports_is_there_as_byte_code(package: Path) -> None:
    """Nothing is compiled in a cold start, nor the source looked at to see whether the byte-code is still right."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import handler; "
        "paths = (getattr(module, '__cached__', None) for module in sys.modules.values()); "
        "print(*filter(None, paths), sep='\\n')"
    )
    run = subprocess.run(  # noqa: S603 - own interpreter, own arguments
        [sys.executable, "-B", "-c", program, str(package)],
        env={},
        cwd=package,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [Path(line) for line in run.stdout.splitlines() if line.startswith(str(package))]

    assert len(ours) > 100
    assert [path for path in ours if not path.is_file()] == []
    assert {path.read_bytes()[4:8] for path in ours} == {(0b01).to_bytes(4, "little")}


@ON_THE_RUNTIME
def test_the_handler_imports_with_nothing_but_boto3_beside_it(package: Path, tmp_path: Path) -> None:
    """No module relies on a package that only the development environment has."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "dateutil"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (runtime / name).symlink_to(Path(spec.origin).parent)
    program = "import sys; sys.path[:0] = sys.argv[1:]; import handler; print(handler.lambda_handler.__name__)"
    command = [sys.executable, "-I", "-S", "-B", "-c", program, str(package), str(runtime)]

    run = subprocess.run(command, env={}, capture_output=True, text=True, check=False)  # noqa: S603 - own interpreter, own arguments

    assert (run.stdout, run.stderr) == ("lambda_handler\n", "")
