"""The ledger outlives its stack: the next one goes on with what a deleted one recorded, by the runbook's command."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox import ClosrtechWorld, MetaWorld
from sandbox.ministack import Ministack, why_not_here
from tests.slow.deploy.sam import ROOT, SamStacks, why_no_sam
from tests.world import LIVE, VETERANS, FakeTime

PROD = "closrads-prod"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
(ATTACH,) = re.findall(r"^sam deploy .* LedgerTable=closrads-prod-Ledger-1A2B3C$", RUNBOOK, re.MULTILINE)
PARAMETERS = """
    [closrtech]
    base_url = "{closrtech.url}"
    email = "{closrtech.email}"
    password = "{closrtech.password}"
    [meta]
    access_token = "{meta.token}"
    [campaigns.veterans]
    closrtech_campaign = "VND_VETERAN_LEADS"
    fb_ad_account_id = "act_111"
    fb_campaign_ids = ["{campaign}"]
    [limits]
    verify_wait_seconds = 0.2
"""


@pytest.fixture
def stacks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SamStacks]:
    """Start an AWS that holds nothing yet, and a business whose ad set targets Texas while demand is in Florida."""
    if reason := why_not_here() or why_no_sam():
        pytest.skip(reason)
    package = request.getfixturevalue("package")  # built only where it can run
    meta, closrtech = MetaWorld(FakeTime().seconds), ClosrtechWorld()
    with ExitStack() as running:
        for world in (meta, closrtech):
            running.callback(world.stop)
            world.start()
        aws = running.enter_context(Ministack())
        closrtech.demand["VND_VETERAN_LEADS"] = {"FL": 5}
        meta.add_campaign(VETERANS)
        meta.add_adset(VETERANS, "Broad", "TX")
        (tmp_path / "closrads.toml").write_text(PARAMETERS.format(closrtech=closrtech, meta=meta, campaign=VETERANS))
        yield SamStacks(aws, tmp_path, package, meta.url)


def command(stacks: SamStacks, *arguments: str) -> str:
    """Run an operator's command for stage prod, and return its output."""
    line = [sys.executable, "-m", "closrads", *arguments, "--stage", "prod"]
    environment = stacks.aws.environment | {"CLOSRADS_GRAPH_URL": stacks.graph_url}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def invoke(stacks: SamStacks, event: Any) -> dict[str, Any]:
    """Run an event in the deployed function, with the rights of its role."""
    name = stacks.outputs(PROD)["FunctionName"]
    answer = stacks.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return dict(json.load(answer["Payload"]))


def test_a_new_stack_goes_on_with_the_table_of_the_old_one(stacks: SamStacks) -> None:
    """The run of the stack that is gone is in the history, and can be undone."""
    command(stacks, "push-config", str(stacks.folder / "closrads.toml"), "--yes")
    stacks.run("sam deploy --config-env prod")
    run = invoke(stacks, LIVE)
    table = stacks.outputs(PROD)["LedgerTable"]
    stacks.delete(PROD)

    stacks.run(ATTACH.replace("closrads-prod-Ledger-1A2B3C", table))

    assert run["campaigns"][0]["adsets_updated"] == 1
    assert stacks.outputs(PROD)["LedgerTable"] == table
    assert "Ledger" not in stacks.resources(PROD)
    assert [each["run_id"] for each in json.loads(command(stacks, "history", "--json"))] == [run["run_id"]]
    undone = invoke(stacks, {"action": "undo", "dry_run": False, "run_id": run["run_id"], "campaigns": ["veterans"]})
    assert [each["result"] for each in undone["campaigns"][0]["adsets"]] == ["updated"], undone
    command(stacks, "history", "--run", run["run_id"])


def test_a_stack_keeps_the_table_over_later_deploys(stacks: SamStacks) -> None:
    """A deploy that does not name it leaves it attached; the stack that made a table may also let go of it by name."""
    stacks.run("sam deploy --config-env prod")
    table = stacks.outputs(PROD)["LedgerTable"]
    stacks.run(ATTACH.replace("closrads-prod-Ledger-1A2B3C", table))
    assert "Ledger" not in stacks.resources(PROD)

    stacks.run("sam deploy --config-env prod")

    assert stacks.outputs(PROD)["LedgerTable"] == table
    assert stacks.aws.client("dynamodb").list_tables()["TableNames"] == [table]
