"""`pause` and `resume`."""

from closrads.domain.request import Action
from sandbox import Sandbox
from sandbox.aws import PARAMETER_PATH
from tests.cli.conftest import Call
from tests.fake_time import START, FakeTime
from tests.ledger_world import leases
from tests.world import World


def value(business: Sandbox, name: str) -> str | None:
    """Return a parameter's value, None if there is none."""
    found = business.aws.client("ssm").get_parameters(Names=[f"{PARAMETER_PATH}/{name}"])["Parameters"]
    return found[0]["Value"] if found else None


class TestPause:
    """It counts at once, whoever is at work."""

    def test_everything(self, call: Call, business: Sandbox) -> None:
        """Nobody is at work."""
        said = call("pause")

        assert (said.exit_code, value(business, "paused")) == (0, "true")
        assert "Paused: stage sandbox starts nothing new" in said.stdout
        assert "No run is active" in said.stdout

    def test_one_campaign(self, call: Call, business: Sandbox) -> None:
        """The others go on."""
        said = call("pause", "veterans")

        assert value(business, "campaigns/veterans/enabled") == "false"
        assert value(business, "paused") is None
        assert "Paused: campaign veterans of stage sandbox starts nothing new" in said.stdout

    def test_it_says_what_is_at_work_and_when_that_ends(self, call: Call, business: Sandbox) -> None:
        """The lease ends when the run has certainly ended; commands have the real clock."""
        until = START.replace(year=2999)
        table = World(business, FakeTime())
        leases(table).acquire(["veterans"], "20260504T102900Z-0a1b2c3d", until, Action.SYNC)
        business.aws.put_parameters({"limits/wave_size": "3"})

        said = call("pause").stdout

        assert "Active on veterans: run 20260504T102900Z-0a1b2c3d. It finishes or rolls back what it has begun" in said
        assert "at most 3 ad sets, by 10:30:00 UTC at the latest" in said
        assert "No run is active" in call("pause", "truckers").stdout
        business.aws.put_parameters({"limits/wave_size": "1"})
        assert "at most 1 ad set, by" in call("pause").stdout

    def test_once_more(self, call: Call, business: Sandbox) -> None:
        """It says since when, and moves nothing."""
        call("pause")
        puts = [each.operation for each in business.aws.requests].count("PutParameter")

        said = call("pause")

        assert said.exit_code == 0
        assert "Already paused since 2026-05-04 10:30 UTC: stage sandbox" in said.stdout
        assert [each.operation for each in business.aws.requests].count("PutParameter") == puts

    def test_an_unknown_campaign(self, call: Call, business: Sandbox) -> None:
        """The known ones are listed, and nothing is put."""
        for command in ("pause", "resume"):
            said = call(command, "veteran")
            assert said.exit_code == 2
            assert "no campaign veteran: did you mean veterans? There are mortgage, truckers, veterans" in said.stderr
        assert value(business, "campaigns/veteran/enabled") is None

    def test_without_the_ledger_it_is_paused_all_the_same(self, call: Call, business: Sandbox) -> None:
        """Only what is at work cannot be told."""
        business.aws.fail("dynamodb", "GetItem", "AccessDeniedException", times=None)

        said = call("pause")

        assert (said.exit_code, value(business, "paused")) == (0, "true")
        assert "It is unknown whether a run is active" in said.stderr


class TestResume:
    """The next run goes on."""

    def test_everything(self, call: Call, business: Sandbox) -> None:
        """What is off by itself stays off, and is named."""
        call("pause")
        call("pause", "truckers")

        said = call("resume")

        assert (said.exit_code, value(business, "paused")) == (0, "false")
        assert "Resumed: stage sandbox, paused since 2026-05-04 10:30 UTC. The next run continues" in said.stdout
        assert "Still off: campaign truckers, since 2026-05-04 10:30 UTC" in said.stdout

    def test_one_campaign(self, call: Call, business: Sandbox) -> None:
        """As long as all is paused, that changes nothing yet."""
        call("pause")
        call("pause", "truckers")

        said = call("resume", "truckers")

        assert value(business, "campaigns/truckers/enabled") == "true"
        assert "Resumed: campaign truckers of stage sandbox" in said.stdout
        assert "But all of stage sandbox is paused, since 2026-05-04 10:30 UTC: resume that too" in said.stdout

    def test_what_is_not_paused(self, call: Call, business: Sandbox) -> None:
        """Nothing is put."""
        assert "Not paused: stage sandbox" in call("resume").stdout
        assert "Not paused: campaign truckers of stage sandbox" in call("resume", "truckers").stdout
        assert value(business, "paused") is None

    def test_a_campaign_that_a_run_would_refuse(self, call: Call, business: Sandbox) -> None:
        """What is off may be incomplete; on, it would stop the others too."""
        call("pause", "truckers")
        business.aws.delete_parameters("campaigns/truckers/fb_ad_account_id")

        said = call("resume", "truckers")

        assert said.exit_code == 1
        assert "campaigns/truckers/fb_ad_account_id: is missing" in said.stderr
        assert value(business, "campaigns/truckers/enabled") == "false"


class TestRuns:
    """Commands that start a run while everything is paused."""

    def test_a_live_run_says_so_at_once_and_changes_nothing(self, call: Call, business: Sandbox) -> None:
        """It only ends what is open."""
        call("pause")

        said = call("run", '{"dry_run": false}', "--yes")

        assert said.exit_code == 0
        assert "Paused since 2026-05-04 10:30 UTC: nothing new starts" in said.stderr
        assert "Paused since 2026-05-04 10:30 UTC: nothing new starts" in said.stdout
        assert (said.stdout.count("nothing new"), said.stdout.count("\npaused\n")) == (1, 3)
        assert business.meta.writes == []
        assert "paused" in call("history").stdout

    def test_a_campaign_that_is_off_is_named(self, call: Call) -> None:
        """Beside what the others did."""
        call("pause", "truckers")

        assert "Off since 2026-05-04 10:30 UTC: truckers" in call("run", "dry-run").stdout

    def test_an_undo_is_refused(self, call: Call) -> None:
        """With what to do first; its dry run is not."""
        call("run", '{"dry_run": false}', "--yes")
        run_id = call("history", "--json").stdout.split('"run_id": "')[1].split('"')[0]
        call("pause")

        said = call("undo", run_id, "--yes")

        assert said.exit_code == 1
        assert "Nothing was undone: CLOSRADS is paused since 2026-05-04" in said.stderr
        assert "First `python -m closrads resume`" in said.stderr
        assert call("undo", run_id, "--dry-run").exit_code == 0
