"""Where a stage has what: this shell's word first, then the stack's."""

import json
from pathlib import Path
from typing import Any

import pytest

from closrads.cli import completion, environment
from closrads.cli.environment import StageLocation, function_environment, locate_stage
from closrads.config import load_settings
from sandbox import Sandbox
from sandbox.aws import DROPPED
from tests.cli.conftest import Call

TEMPLATE: dict[str, Any] = {
    "Parameters": {"ScheduleTimezone": {"Type": "String", "Default": "America/New_York"}},
    "Resources": {"Missed": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {"LedgerTable": {"Value": "closrads-prod-Ledger-1ABC"}},
}


@pytest.fixture
def bare(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, to a shell that says nothing of a stage."""
    for name in ("STAGE", "PARAMETER_PATH", "LEDGER_TABLE", "TIMEZONE"):
        monkeypatch.delenv(f"CLOSRADS_{name}")
    return business


def deployed(sandbox: Sandbox, stage: str, **changes: Any) -> None:
    """Deploy a stack that has what is looked for."""
    body = json.dumps(TEMPLATE | changes)
    sandbox.aws.client("cloudformation").create_stack(StackName=f"closrads-{stage}", TemplateBody=body)


class TestPlace:
    """What is looked up."""

    def test_the_stack_names_the_ledger(self, bare: Sandbox) -> None:
        """And the time zone, by its parameter."""
        deployed(bare, "prod")

        place = locate_stage("prod")

        assert place == StageLocation("prod", "/closrads/prod", "closrads-prod-Ledger-1ABC", "", "America/New_York")
        assert str(place.zone) == "America/New_York"

    def test_the_shell_has_the_first_word(self, bare: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then nobody asks AWS."""
        monkeypatch.setenv("CLOSRADS_LEDGER_TABLE", "mine")
        monkeypatch.setenv("CLOSRADS_PARAMETER_PATH", "/elsewhere/")
        bare.aws.requests.clear()

        assert locate_stage("prod") == StageLocation("prod", "/elsewhere", "mine", "", "")
        assert str(locate_stage("prod").zone) == "UTC"
        assert bare.aws.requests == []

    def test_a_stack_of_an_older_template(self, bare: Sandbox) -> None:
        """It names no table, and what to do is said."""
        deployed(bare, "dev", Outputs={"Other": {"Value": "x"}})
        place = locate_stage("dev")

        assert place.table == ""
        assert "has no output LedgerTable: deploy it again" in place.why_no_table

    @pytest.mark.parametrize(
        ("code", "forbidden"), [("AccessDenied", True), ("ValidationError", False), (DROPPED, False)]
    )
    def test_a_stack_that_cannot_be_read(self, bare: Sandbox, code: str, *, forbidden: bool) -> None:
        """For want of a right, or otherwise."""
        bare.aws.fail("cloudformation", "any", code, times=None)
        place = locate_stage("prod")

        assert (place.table, place.forbidden) == ("", forbidden)
        assert "closrads-prod" in place.why_no_table

    @pytest.mark.parametrize(("code", "verdict"), [("AccessDenied", "warning"), ("ValidationError", "failed")])
    def test_doctor_tells_the_two_apart(
        self, bare: Sandbox, call: Call, code: str, verdict: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What could not be looked at is no failure."""
        monkeypatch.setenv("CLOSRADS_PARAMETER_PATH", "/closrads/sandbox")
        bare.aws.fail("cloudformation", "any", code, times=None)

        findings = json.loads(call("doctor", "--json").stdout)["checks"]

        assert {each["check"]: each["verdict"] for each in findings}["ledger"] == verdict

    @pytest.mark.parametrize("command", [("history",), ("undo", "some-run")])
    def test_without_a_ledger_there_is_no_past(self, bare: Sandbox, call: Call, command: tuple[str, ...]) -> None:
        """One sentence says why, and what to do."""
        assert bare.aws.requests == []
        result = call(*command)

        assert result.exit_code == 1
        assert "deploy the stack, or set CLOSRADS_LEDGER_TABLE" in result.stderr


def test_a_time_zone_that_is_none(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named by its variable."""
    monkeypatch.setenv("CLOSRADS_TIMEZONE", "New York")

    assert "CLOSRADS_TIMEZONE is not a time zone" in call("history", "--day", "2026-05-04").stderr


class TestStage:
    """Which stage is meant is never guessed between two."""

    def test_a_shell_for_another_stage(self, call: Call, business: Sandbox) -> None:
        """Its variables lead elsewhere, so nothing is done."""
        result = call("doctor", "--stage", "prod")

        assert result.exit_code == 2
        assert "This shell is set up for stage sandbox" in result.stderr
        assert business.meta.operations == []

    @pytest.mark.parametrize("stage", ["/closrads/prod", "prod/../dev", "", "a b"])
    def test_no_stage(self, call: Call, stage: str) -> None:
        """A path is refused before it is put together with another."""
        assert call("pull-config", "--stage", stage).exit_code == 2

    @pytest.mark.parametrize(
        ("stage", "said"),
        [
            ("pord", "There is no stage pord: did you mean prod? samconfig.toml has dev and prod"),
            ("Prod", "did you mean prod?"),
            ("elsewhere", "There is no stage elsewhere: samconfig.toml has dev and prod"),
        ],
    )
    def test_a_stage_that_nobody_deploys(
        self, bare: Sandbox, call: Call, tmp_path: Path, stage: str, said: str
    ) -> None:
        """Its parameters would be read by no function, and whoever put them would wait for a change in vain."""
        file = tmp_path / "closrads.toml"
        file.write_text('[limits]\nwave_size = "5"\n')
        bare.aws.requests.clear()
        for command in (("push-config", file, "--yes"), ("pull-config",), ("doctor",), ("history",)):
            result = call(*command, "--stage", stage)

            assert (result.exit_code, bare.aws.requests) == (2, [])
            assert said in result.stderr

    def test_a_folder_without_stages(
        self, bare: Sandbox, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing says which stages there are, any may be one."""
        assert bare.aws.requests == []
        monkeypatch.setattr(completion, "ROOT", tmp_path)

        assert "There are no parameters under /closrads/pord" in call("pull-config", "--stage", "pord").stderr

    def test_prod_is_the_default(self, bare: Sandbox, call: Call) -> None:
        """It is what runs every day."""
        assert bare.aws.requests == []
        assert "There are no parameters under /closrads/prod" in call("pull-config").stderr


def test_what_is_entered_is_left_again(business: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's environment holds only while it is needed."""
    assert business.aws.requests == []
    monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
    with function_environment(StageLocation("sandbox", "/closrads/sandbox", "some-table", "", "Europe/Paris")):
        settings = load_settings()

    assert (settings.ledger_table, str(settings.timezone)) == ("some-table", "Europe/Paris")
    assert load_settings().ledger_table == ""


def test_a_run_by_hand_has_as_long_as_in_lambda() -> None:
    """And not a second more than what DynamoDB's leases are made for."""
    assert 899 < environment.clock().remaining() <= 900
