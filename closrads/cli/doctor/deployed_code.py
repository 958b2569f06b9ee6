"""The check of the deployed code: the checksums in the directory of its package against the local files."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zlib import crc32

import requests

from closrads.cli.completion import ROOT
from closrads.cli.doctor.findings import Clients, Finding, ok, summarize_names, warning
from closrads.redaction import one_line

NAME = "deployed code"
DIRECTORY_BYTES = 1_000_000
"""Size of the end of the package that is read: the directory has about 300 kB, the package 6 MB."""
_NOT_PACKED = ("closrads/cli/", "closrads/__main__.py")
"""Files that the Makefile removes from the package."""


def check_code(function: str, clients: Clients) -> Iterator[Finding]:
    """Compare the files in the function's package with the local ones, except for libraries."""
    found = clients["lambda"].get_function(FunctionName=function)
    try:
        there = _ours(packed_checksums(_end_of(found["Code"]["Location"])))
    except (requests.RequestException, BadZipFile) as error:  # its message may contain the presigned URL
        yield warning(NAME, f"not checked: the package cannot be read ({type(error).__name__})", "try again later")
        return
    here = _ours(checksums_of(ROOT))
    when = one_line(found["Configuration"]["LastModified"])[: len("2026-11-28")]
    if differing := sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name)):
        said = f"of {when} differs from this folder in {summarize_names(differing)}"
        yield warning(NAME, said, "deploy this folder: README, “Go live”; or check out what is deployed")
    else:
        yield ok(NAME, f"of {when} is the code in this folder")


def packed_checksums(end: bytes) -> dict[str, int]:
    """Return the CRC-32 of each file of a package by name, given its end with the whole directory.

    Raises
    ------
    BadZipFile
        It is not a ZIP file, or the directory is longer.
    """
    with ZipFile(BytesIO(end)) as package:
        return {each.filename: each.CRC for each in package.infolist()}


def checksums_of(folder: Path) -> dict[str, int]:
    """Return the CRC-32 of each file that the Makefile packs from a folder, by name."""
    files = [folder / "handler.py", *(path for name in ("closrads", "data") for path in (folder / name).rglob("*"))]
    return {path.relative_to(folder).as_posix(): crc32(path.read_bytes()) for path in files if path.is_file()}


def _ours(checksums: Mapping[str, int]) -> dict[str, int]:
    """Return the checksums of packed source files: no libraries, folders or byte-code."""
    return {
        name: checksum
        for name, checksum in checksums.items()
        if (name == "handler.py" or name.startswith(("closrads/", "data/")))
        and not name.startswith(_NOT_PACKED)
        and not name.endswith(("/", ".pyc"))
    }


def _end_of(address: str) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(address, headers={"Range": f"bytes=-{DIRECTORY_BYTES}"}, timeout=10)
        answer.raise_for_status()
        return answer.content
