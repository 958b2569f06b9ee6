"""Stacks that the SAM CLI itself deploys to ministack, by the commands that the documents name."""

import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from sandbox.ministack import Ministack, localized

ROOT = Path(__file__).resolve().parents[3]
SAM = ROOT / ".venv" / "sam" / "bin" / "sam"
SCHEDULES = ("SyncFunctionDaily", "SyncFunctionRecheck", "FleetRunDaily")
NOBODY = "http://127.0.0.1:9"
"""Stands for Meta where no run is started."""
_SURROUNDINGS = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5"}
"""The delay is in seconds, between two looks at a deployment; the default of five takes longer than all the rest."""


def why_no_sam() -> str:
    """Return why the SAM CLI cannot be called here; empty if it can."""
    return "" if SAM.exists() else "`make .venv/sam/ready` has not been run"


@dataclass
class SamStacks:
    """Deploys and looks at stacks of the template, in one ministack."""

    aws: Ministack
    folder: Path
    package: Path
    graph_url: str = NOBODY

    def __post_init__(self) -> None:
        uploaded = self.aws.upload(self.package, ROOT / "statemachine" / "fleet.asl.json")
        template = yaml_parse((ROOT / "template.yaml").read_text())
        self.template = self.folder / "template.json"
        self.template.write_text(json.dumps(localized(template, uploaded, self.graph_url, self.aws.url)))

    def run(self, command: str) -> None:
        """Run `sam deploy …` as a document spells it, from the built template and without its question."""
        program, verb, *arguments = shlex.split(command)
        assert (program, verb) == ("sam", "deploy")
        here = ["--template-file", str(self.template), "--config-file", str(ROOT / "samconfig.toml")]
        done = subprocess.run(  # noqa: S603 - the environment's own program
            [str(SAM), verb, *here, "--no-confirm-changeset", "--no-fail-on-empty-changeset", *arguments],
            env=self.aws.environment | _SURROUNDINGS | {"HOME": str(self.folder)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def states(self, stack: str = "closrads-prod") -> dict[str, str]:
        """Return the state of each schedule of a stack, by logical id."""
        scheduler = self.aws.client("scheduler")
        return {
            name: scheduler.get_schedule(Name=physical)["State"]
            for name, physical in self.resources(stack).items()
            if name in SCHEDULES
        }

    def resources(self, stack: str = "closrads-prod") -> dict[str, str]:
        """Return the names of a stack's resources by logical id."""
        found = self.aws.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def outputs(self, stack: str) -> Mapping[str, str]:
        """Return what a stack tells of itself."""
        (described,) = self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}

    def delete(self, stack: str) -> None:
        """Delete a stack, and wait until it is gone."""
        cloudformation: Any = self.aws.client("cloudformation")
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 0.1})


def empty_package(folder: Path) -> Path:
    """Return a package whose function is never called."""
    package = folder / "package"
    package.mkdir()
    (package / "handler.py").write_text("def lambda_handler(event, context):\n    return {}\n")
    return package
