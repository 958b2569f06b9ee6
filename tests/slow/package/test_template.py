"""The template, as the programs that deploy it see it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cfnlint.api import lint

from tests.template.stack import REGION, ROOT, TEMPLATE, Json

SAM = ROOT / ".venv" / "sam" / "bin" / "sam"


@pytest.mark.parametrize("source", ["written", "expanded"])
def test_cfn_lint_finds_nothing(source: str, expanded: Json) -> None:
    """Both what is written and what SAM makes of it are sound."""
    text = TEMPLATE.read_text() if source == "written" else json.dumps(expanded)

    assert [str(match) for match in lint(text, regions=[REGION])] == []


@pytest.mark.skipif(not SAM.exists(), reason="SAM CLI has an environment of its own, which `make test` sets up")
def test_sam_takes_the_template(tmp_path: Path) -> None:
    """The program that deploys it agrees: it knows properties of its own that cfn-lint does not."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAFAKETEMPLATE0000",
        "AWS_SECRET_ACCESS_KEY": "fake-secret-key",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody listens there: a call would fail
    }
    command = [str(SAM), "validate", "--template", str(TEMPLATE)]

    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - written above

    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout
