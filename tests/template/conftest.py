"""The template as it is written, expanded, and deployed to each stage."""

import json
from collections.abc import Iterator

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.ledger_world import RECHECK
from tests.template.stack import REGION, TEMPLATE, Deploy, Json, Series, evaluate, series
from tests.world import LIVE, World


class NoManagedPolicies:
    """Keeps the translator from asking AWS for the list of managed policies."""

    def load(self) -> dict[str, str]:
        """Give no policy."""
        return {}


@pytest.fixture(scope="session")
def template() -> Json:
    """Read the template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


@pytest.fixture(scope="session")
def expanded() -> Iterator[Json]:
    """Expand the template; SAM itself replaces folder and file by addresses in S3 when it deploys."""
    from samtranslator.translator.transform import transform  # noqa: PLC0415 - SAM takes more than a second to import

    template = yaml_parse(TEMPLATE.read_text())
    for function in ("SyncFunction", "WebhookFunction"):
        template["Resources"][function]["Properties"]["CodeUri"] = "s3://a-bucket/a-key"
    template["Resources"]["FleetRun"]["Properties"]["DefinitionUri"] = "s3://a-bucket/another-key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield transform(template, {}, NoManagedPolicies())


@pytest.fixture(scope="session")
def deploy(expanded: Json) -> Deploy:
    """Give a function that tells which resources a deployment with some parameters has, by logical id."""

    def resources(**parameters: str) -> dict[str, Json]:
        defaults = {name: parameter["Default"] for name, parameter in expanded["Parameters"].items()}
        assert parameters.keys() <= defaults.keys()
        conditions = expanded["Conditions"]
        values = defaults | parameters
        return {
            name: evaluate(resource, values, conditions)
            for name, resource in expanded["Resources"].items()
            if "Condition" not in resource or evaluate(conditions[resource["Condition"]], values, conditions)
        }

    return resources


@pytest.fixture(params=["dev", "prod"])
def stage(request: pytest.FixtureRequest) -> str:
    """Name each stage in turn."""
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["function", "fleet"])
def fleet(request: pytest.FixtureRequest) -> bool:
    """Say of each way in turn whether it is the one for hundreds of campaigns."""
    return bool(request.param)


@pytest.fixture
def stack(deploy: Deploy, stage: str, fleet: bool) -> dict[str, Json]:  # noqa: FBT001 - pytest gives it by its name
    """Give the resources of that stage, as each usually is: prod with its schedules on; all else left alone."""
    return deploy(Stage=stage, Schedules={"dev": "OFF", "prod": "ON"}[stage], Fleet=str(fleet).lower())


@pytest.fixture
def emitted(
    stack: dict[str, Json], world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> set[Series]:
    """Run the real handler in the environment of the deployed function, and give the metrics it printed."""
    for name, value in stack["SyncFunction"]["Properties"]["Environment"]["Variables"].items():
        if name == "CLOSRADS_STAGE" or name.startswith("POWERTOOLS_"):
            monkeypatch.setenv(name, value)
    if "CLOSRADS_PUSH_QUEUE" not in stack["SyncFunction"]["Properties"]["Environment"]["Variables"]:
        monkeypatch.delenv("CLOSRADS_PUSH_QUEUE", raising=False)
    world.campaign("FL")
    world.adset(states="FL")
    world.meta.token_expires_at = int(world.meta.now() + 86_400)
    for event in ({}, LIVE, RECHECK):
        world.run(event)
    return {
        series(part["Namespace"], metric["Name"], {name: line[name] for name in dimensions})
        for line in map(json.loads, capsys.readouterr().out.splitlines())
        if "_aws" in line
        for part in line["_aws"]["CloudWatchMetrics"]
        for dimensions in part["Dimensions"]
        for metric in part["Metrics"]
    }
