"""`make demo`, as a new user sees it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_demo_tells_what_really_happened(tmp_path: Path) -> None:
    """Five days, checked against the state of Meta, each with its mail, whatever the shell's variables say."""
    misleading = {
        "DRY_RUN": "false",
        "AWS_PROFILE": "nobody",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_ENDPOINT_URL_SSM": "https://ssm.example.test",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **misleading}

    command = [sys.executable, "-m", "sandbox.demo"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - as written above

    days = done.stdout.split("\n\n")[1:7]
    facts = [line.strip() for line in done.stdout.splitlines() if "at Meta now" in line]
    assert [fact.split(" ad sets")[0] for fact in facts] == [
        "at Meta now: 0 of 8",
        "at Meta now: 7 of 8",
        "at Meta now: 0 of 8",
        "at Meta now: 5 of 8",
        "at Meta now: 7 of 8",
        "at Meta now: 0 of 8",
        "at Meta now: 1 of 8",
    ]
    assert [fact.rpartition(", ")[2] for fact in facts[:3]] == ["all ads active"] * 3
    assert facts[3].endswith("not active: Static - Sunrise Rig")
    assert facts[5].endswith("not active: Static - Keys")
    assert [facts[number].rpartition(", ")[2] for number in (4, 6)] == ["all ads active"] * 2
    seconds = re.search(r"First Home - Renters has its states of the day before, (\d+) s after", days[5])
    assert seconds
    assert int(seconds[1]) <= 30
    assert "skipped preflight" in days[3]
    assert "Its targeting was restored and its ads are healthy" in days[3]
    subjects = [line.split("mail:")[1].split("·")[0].strip() for line in done.stdout.splitlines() if "mail:" in line]
    assert subjects == [
        "[DRY RUN] ✓ 7 would be updated",
        "✓ 7 updated",
        "✓ nothing to change",
        "⚠ 1 ad needs you, 5 updated, 1 put back as before",
        "✓ 7 updated",
        "⚠ second look: 1 put back",
    ]
    pages = sorted((tmp_path / "build" / "demo").glob("*.html"))
    assert [page.name[0] for page in pages] == ["1", "2", "3", "4", "5", "6"]
    assert all(str(page.relative_to(tmp_path)) in done.stdout for page in pages)
    assert 'href="https://adsmanager.facebook.com/adsmanager/manage/ads?act=111&amp;' in pages[3].read_text()
    assert (
        "https://adsmanager.facebook.com/adsmanager/manage/adsets?act=111&" in pages[3].with_suffix(".txt").read_text()
    )
    assert done.stderr == ""
