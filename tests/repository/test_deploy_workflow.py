"""`.github/workflows/deploy.yml`: dev first, prod after an approval, and nothing stored that opens AWS."""

import re
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
TEXT = (FOLDER / "deploy.yml").read_text()
WORKFLOW: dict[str, Any] = yaml_parse(TEXT)
SCRIPT = ROOT / ".ci" / "deploy"


def test_prod_comes_after_dev_and_an_approval() -> None:
    """An environment is what GitHub can have approved; each job deploys the stage that it is named for."""
    jobs = WORKFLOW["jobs"]

    assert {name: (job["environment"], job.get("needs")) for name, job in jobs.items()} == {
        "dev": ("dev", None),
        "prod": ("prod", "dev"),
    }
    assert {name: job["steps"][-1]["run"] for name, job in jobs.items()} == {
        name: f".ci/deploy {name}" for name in jobs
    }


def test_nothing_stored_opens_aws() -> None:
    """The role comes from the environment's variables, its credentials from GitHub's token: no key, no account."""
    assert "secrets." not in TEXT
    assert not re.search(r"\d{12}", re.sub(r"@[0-9a-f]{40}", "", TEXT))
    for job in WORKFLOW["jobs"].values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["steps"][-1]["env"]["AWS_ROLE_ARN"] == "${{ vars.AWS_ROLE_ARN }}"


def test_actions_are_those_of_the_gate() -> None:
    """Pinned to the same commits, so that Dependabot raises both."""
    gate, deploy = (
        set(re.findall(r"uses: (\S+@[0-9a-f]{40}) #", path.read_text())) for path in sorted(FOLDER.iterdir())
    )

    assert gate == deploy
    assert TEXT.count("uses: ") == 2 * len(deploy)


def test_the_script_builds_deploys_checks_and_looks() -> None:
    """In this order; a failing step ends it."""
    text = SCRIPT.read_text()
    steps = ["set -euo pipefail", '"$sam" build', '"$sam" deploy', "closrads doctor", "events/dry-run.json"]
    places = [text.index(step) for step in steps]

    assert places == sorted(places)
    assert "Schedules" not in text, "what runs by itself is decided by a person"
