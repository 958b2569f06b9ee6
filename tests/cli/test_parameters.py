"""`push-config` and `pull-config`, against a real Parameter Store's API."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from closrads.cli.app import app
from closrads.config import load_settings
from sandbox import Sandbox

TOKEN, PASSWORD = "fake-token-0123456789", "fake-password-0123456789"
LEGACY = f"""
CLOSRTECH_BASE_URL=https://partner.example.test/api
CLOSRTECH_EMAIL=ops@example.test
CLOSRTECH_PASSWORD={PASSWORD}
VETERANS_CLOSRTECH_CAMPAIGN=VND_VETERAN_LEADS
VETERANS_FB_ACCESS_TOKEN={TOKEN}
VETERANS_FB_AD_ACCOUNT_ID=111
VETERANS_FB_CAMPAIGN_ID=120200000000000900
NOTIFY_EMAIL=owner@example.test
SENDER_EMAIL=reports@example.test
DRY_RUN=true
"""
RECIPIENT = "email/recipients"


@pytest.fixture
def legacy(tmp_path: Path, sandbox: Sandbox) -> Path:
    """Return the old system's file, and an empty Parameter Store."""
    assert sandbox.aws.requests == []
    file = tmp_path / ".env"
    file.write_text(LEGACY)
    return file


def run(*arguments: object, typed: str | None = None) -> Result:
    """Run a command for the sandbox's stage and check that it shows no secret."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--stage", "sandbox"], input=typed, terminal_width=200)
    for secret in (TOKEN, PASSWORD):
        assert secret not in result.output + result.stderr + repr(result.exception)
    return result


def puts(sandbox: Sandbox) -> int:
    """Return how many parameters were put."""
    return [call.operation for call in sandbox.aws.requests].count("PutParameter")


class TestPush:
    """Out of a file."""

    def test_the_old_systems_file_makes_a_stage_that_runs(self, legacy: Path, sandbox: Sandbox) -> None:
        """All of it is put, secrets encrypted, and the function can read it."""
        result = run("push-config", legacy, "--yes")

        assert result.exit_code == 0, result.output
        assert puts(sandbox) == 9
        settings = load_settings()
        (campaign,) = settings.campaigns
        assert (campaign.name, campaign.fb_ad_account_id) == ("Veterans", "act_111")
        assert campaign.fb_access_token.reveal() == TOKEN
        found = sandbox.aws.client("ssm").get_parameters_by_path(Path="/closrads/sandbox", Recursive=True)
        kinds = {each["Name"].removeprefix("/closrads/sandbox/"): each["Type"] for each in found["Parameters"]}
        secure = {name for name, kind in kinds.items() if kind == "SecureString"}
        assert secure == {"closrtech/email", "closrtech/password", "campaigns/veterans/fb_access_token"}

    def test_a_byte_order_mark_is_no_part_of_a_file(self, legacy: Path, tmp_path: Path, sandbox: Sandbox) -> None:
        """Editors put one before the first line."""
        assert run("push-config", legacy, "--yes").exit_code == 0
        file = tmp_path / "closrads.toml"
        file.write_text('[limits]\nwave_size = "5"\n', encoding="utf-8-sig")

        result = run("push-config", file, "--yes")

        assert (result.exit_code, puts(sandbox)) == (0, 10)

    def test_what_happens_is_shown_before(self, legacy: Path) -> None:
        """Each name, with what is no secret; what was left out is named beside the result."""
        result = run("push-config", legacy, "--dry-run")

        assert "VND_VETERAN_LEADS" in result.stdout
        assert "***" in result.stdout
        assert "left out" not in result.stdout
        assert result.stderr.splitlines()[0] == "left out, not parameters: DRY_RUN"

    def test_a_dry_run_puts_nothing(self, legacy: Path, sandbox: Sandbox) -> None:
        """Whatever else is said."""
        assert run("push-config", legacy, "--dry-run", "--yes").exit_code == 0
        assert puts(sandbox) == 0

    def test_once_more_changes_nothing(self, legacy: Path, sandbox: Sandbox) -> None:
        """And asks nothing."""
        run("push-config", legacy, "--yes")
        result = run("push-config", legacy)

        assert (result.exit_code, puts(sandbox)) == (0, 9)
        assert "nothing to change" in result.output

    def test_what_the_file_does_not_name_stays(self, legacy: Path, tmp_path: Path, sandbox: Sandbox) -> None:
        """And is mentioned on demand only: a file may be about one campaign of hundreds."""
        run("push-config", legacy, "--yes")
        more = tmp_path / "more.toml"
        more.write_text('[email]\nrecipients = ["owner@example.test", "buyer@example.test"]\n')

        told = run("push-config", more, "--dry-run", "-v")
        result = run("push-config", more, "--yes")

        assert puts(sandbox) == 10
        assert "so unchanged: campaigns/veterans/closrtech_campaign" in told.stderr
        assert "so unchanged" not in told.stdout + result.output
        lines = result.stdout.splitlines()
        assert [line.split()[0] for line in lines if line.strip("─ ")] == [
            "/closrads/sandbox:",
            "parameter",
            "email/recipients",
        ]
        settings = load_settings()
        assert settings.email is not None
        assert settings.email.recipients == ("owner@example.test", "buyer@example.test")

    def test_a_stage_that_could_not_run_is_not_made(self, tmp_path: Path, sandbox: Sandbox) -> None:
        """Every problem is named, and what to do; nothing is put."""
        file = tmp_path / "bad.toml"
        file.write_text('[campaigns.veterans]\nfb_ad_account_id = "one"\nfb_campain_ids = "1"\n')

        result = run("push-config", file, "--yes")

        assert (result.exit_code, puts(sandbox)) == (1, 0)
        for said in (
            "fb_ad_account_id: must be act_",
            "fb_campain_ids: is not a parameter of this system: did you mean campaigns/veterans/fb_campaign_ids?",
            "Nothing was stored: the file must contain what is",
        ):
            assert said in result.stderr

    @pytest.mark.parametrize("stray", ["VETERANS_CLOSRTECH_CAMPAGIN", "VETERANS_CLOSRTEC_CAMPAIGN"])
    def test_a_misspelled_line_is_named_beside_what_is_missing(
        self, legacy: Path, sandbox: Sandbox, stray: str
    ) -> None:
        """Whoever has written it believes that it is there."""
        legacy.write_text(LEGACY.replace("VETERANS_CLOSRTECH_CAMPAIGN", stray))

        result = run("push-config", legacy, "--yes")

        assert (result.exit_code, puts(sandbox)) == (1, 0)
        assert "campaigns/veterans/closrtech_campaign: is missing" in result.stderr
        assert f"perhaps misspelled: {stray}\n" in result.stderr

    def test_a_campaign_that_does_not_exist_is_not_stopped(
        self, legacy: Path, tmp_path: Path, sandbox: Sandbox
    ) -> None:
        """Whoever misspells a slug in a hurry would believe that its campaign is off."""
        run("push-config", legacy, "--yes")
        file = tmp_path / "stop.toml"
        file.write_text("[campaigns.vetrans]\nenabled = false\n")

        result = run("push-config", file, "--yes")

        assert (result.exit_code, puts(sandbox)) == (1, 9)
        assert "campaigns/vetrans: has nothing but `enabled`" in result.stderr
        assert "did you mean veterans?\nNothing was stored" in result.stderr

    def test_a_switch_that_is_misspelled_already_is_mentioned(
        self, legacy: Path, tmp_path: Path, sandbox: Sandbox
    ) -> None:
        """It does not keep a file about something else from being put."""
        run("push-config", legacy, "--yes")
        sandbox.aws.put_parameters({"campaigns/vetrans/enabled": "false"})
        file = tmp_path / "limits.toml"
        file.write_text('[limits]\nwave_size = "5"\n')

        result = run("push-config", file, "--yes")

        assert (result.exit_code, puts(sandbox)) == (0, 10)
        assert "did you mean veterans?" in result.stderr

    def test_what_is_only_wrong_is_not_called_missing(self, legacy: Path, sandbox: Sandbox) -> None:
        """The hint about what is missing would lead astray."""
        legacy.write_text(LEGACY.replace("=111", "=one"))
        result = run("push-config", legacy, "--yes")

        assert puts(sandbox) == 0
        assert "Nothing was stored\n" in result.stderr

    def test_nobody_to_ask(self, legacy: Path, sandbox: Sandbox) -> None:
        """A script has to say that it means it."""
        result = run("push-config", legacy)

        assert (result.exit_code, puts(sandbox)) == (1, 0)
        assert "--yes" in result.stderr

    @pytest.mark.parametrize(("typed", "put"), [("y\n", 9), ("n\n", 0), ("\n", 0)])
    def test_a_person_is_asked(
        self, legacy: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, typed: str, put: int
    ) -> None:
        """No is the default."""
        monkeypatch.setattr("closrads.cli.terminal.is_interactive", lambda: True)

        result = run("push-config", legacy, typed=typed)

        assert (result.exit_code, puts(sandbox)) == (0 if put else 1, put)

    def test_machines_get_json(self, legacy: Path) -> None:
        """The names, and nothing else."""
        run("push-config", legacy, "--yes")
        legacy.write_text(LEGACY.replace("owner@", "boss@"))

        answer = json.loads(run("push-config", legacy, "--dry-run", "--json").stdout)

        assert answer == {"path": "/closrads/sandbox", "dry_run": True, "changes": [RECIPIENT], "left_out": ["DRY_RUN"]}

    def test_a_failure_half_way_says_how_far_it_came(self, legacy: Path, sandbox: Sandbox) -> None:
        """Run again, it puts the rest."""
        sandbox.aws.fail("ssm", "PutParameter", "ThrottlingException", 400, times=None, skip=4)
        result = run("push-config", legacy, "--yes")

        assert result.exit_code == 1
        assert "4 of 9 stored. Run it again to store the rest" in result.stderr
        assert "AWS refused" in result.stderr
        sandbox.aws.clear_faults()
        assert "5 of 5 stored" in run("push-config", legacy, "--yes").stderr

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "some.env cannot be read: no such file or directory"),
            ("", "contains no parameters"),
            ("just a note\n", "contains no parameters"),
            ("FB_ACCESS_TOKEN=a\nA_FB_CAMPAIGN_ID=1\nA_FB_CAMPAIGN_IDS=2\n", "some.env: A_FB_CAMPAIGN_IDS: line 3"),
            ("FB_ACCESS_TOKEN=a\nA_FB_CAMPAIGN_ID=1\nA_FB_CAMPAIGN_ID=2\n", "some.env: A_FB_CAMPAIGN_ID: line 3"),
        ],
    )
    def test_a_file_that_says_nothing(self, tmp_path: Path, sandbox: Sandbox, text: str | None, said: str) -> None:
        """No traceback, and no call to AWS."""
        file = tmp_path / "some.env"
        if text is not None:
            file.write_text(text)

        result = run("push-config", file)

        assert (result.exit_code, sandbox.aws.requests) == (2, [])
        assert said in result.stderr


class TestMoving:
    """What the old system's file holds that means something else here."""

    @pytest.mark.parametrize("domain", ["gmail.com", "Outlook.com", "yahoo.com"])
    def test_a_free_mailbox_as_sender_is_warned_of(self, legacy: Path, sandbox: Sandbox, domain: str) -> None:
        """SES can verify the address, but not sign for its provider; it is put all the same, for it is no mistake."""
        legacy.write_text(LEGACY.replace("reports@example.test", f"owner@{domain}"))

        result = run("push-config", legacy, "--yes")

        assert (result.exit_code, puts(sandbox)) == (0, 9)
        assert f"email/sender: {domain.lower()} does not let Amazon SES send in its name" in result.stderr
        assert "docs/moving.md" in result.stderr

    @pytest.mark.parametrize("sender", ["reports@example.test", "reports@mail.gmail.com.example.test"])
    def test_an_address_of_a_domain_of_ones_own_is_not(self, legacy: Path, sender: str) -> None:
        """Nor one whose name only looks like it."""
        legacy.write_text(LEGACY.replace("reports@example.test", sender))

        assert "Amazon SES" not in run("push-config", legacy, "--dry-run").stderr

    def test_the_old_switch_is_explained(self, legacy: Path) -> None:
        """Who relied on it learns what decides now; without it nothing is said."""
        assert "DRY_RUN has no effect here" in run("push-config", legacy, "--dry-run").stderr
        legacy.write_text(LEGACY.replace("DRY_RUN=true", ""))

        assert "DRY_RUN" not in run("push-config", legacy, "--dry-run").stderr


class TestKey:
    """Secrets under a key of one's own."""

    def test_each_secret_of_the_file_is_put_under_it(self, legacy: Path, sandbox: Sandbox) -> None:
        """Also one whose value is there already, for the Parameter Store tells nobody under which key."""
        run("push-config", legacy, "--yes")
        key = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c"

        result = run("push-config", legacy, "--kms-key", key, "--yes")

        assert (result.exit_code, puts(sandbox)) == (0, 12)
        keys = {call.params["Name"]: call.params.get("KeyId") for call in sandbox.aws.requests[-3:]}
        assert keys == {
            f"/closrads/sandbox/{name}": key
            for name in ("campaigns/veterans/fb_access_token", "closrtech/email", "closrtech/password")
        }


class TestPull:
    """Into a file."""

    def test_a_pulled_file_can_be_pushed(self, legacy: Path, tmp_path: Path, sandbox: Sandbox) -> None:
        """It says what is there, with secrets as ***, which change nothing."""
        run("push-config", legacy, "--yes")
        file = tmp_path / "out.toml"

        assert run("pull-config", file).exit_code == 0
        assert 'fb_access_token = "***"' in file.read_text()
        assert "nothing to change" in run("push-config", file).output
        assert puts(sandbox) == 9

    def test_without_a_file_it_is_printed(self, legacy: Path) -> None:
        """For a pipe."""
        run("push-config", legacy, "--yes")

        assert 'recipients = ["owner@example.test"]' in run("pull-config").stdout

    def test_config_show_prints_the_same(self, legacy: Path) -> None:
        """Under the name that people look for."""
        run("push-config", legacy, "--yes")

        assert run("config", "show").stdout == run("pull-config").stdout
        assert json.loads(run("config", "show", "--json").stdout) == json.loads(run("pull-config", "--json").stdout)

    def test_a_stage_without_parameters(self, legacy: Path, tmp_path: Path) -> None:
        """More likely a wrong Region than a wish for an empty file."""
        result = run("pull-config", tmp_path / "out.toml")

        assert result.exit_code == 1
        assert "There are no parameters under /closrads/sandbox" in result.stderr
        assert list(tmp_path.iterdir()) == [legacy]

    def test_nothing_is_overwritten(self, legacy: Path) -> None:
        """A file that is there may hold what is nowhere else."""
        result = run("pull-config", legacy)

        assert result.exit_code == 1
        assert "exists" in result.stderr
        assert legacy.read_text() == LEGACY

    def test_machines_get_json(self, legacy: Path) -> None:
        """The same values, secrets hidden."""
        run("push-config", legacy, "--yes")
        answer = json.loads(run("pull-config", "--json").stdout)

        assert answer["campaigns/veterans/fb_access_token"] == "***"
        assert answer["email/recipients"] == "owner@example.test"
