"""`run` and `undo`, with the real handler."""

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from closrads import config
from closrads.cli import environment, runs
from closrads.domain.plan_id import Plan
from closrads.domain.request import Action
from closrads.errors import LedgerError
from closrads.ledger.dynamodb import Table
from closrads.ledger.leases import Leases
from closrads.ledger.plans import Plans
from closrads.observability import logger
from sandbox import Sandbox, faults
from sandbox.aws import LEDGER_TABLE
from tests.cli.conftest import Call

LIVE = '{"dry_run": false}'
TRUCKERS = '{"dry_run": false, "campaigns": ["truckers"]}'


def live_run(call: Call, event: str = LIVE) -> str:
    """Do a live run and return its id."""
    run_id: str = json.loads(call("run", event, "--yes", "--json").stdout)["run_id"]
    return run_id


def all_states(business: Sandbox) -> dict[str, set[str]]:
    """Return what is true at Meta."""
    return {adset: business.meta.states(adset) for adset in business.meta.adsets}


class TestRun:
    """The handler, here."""

    @pytest.mark.parametrize("event", ["dry-run", '{"dry_run": true}', "{}"])
    def test_a_dry_run_needs_no_question(self, call: Call, business: Sandbox, event: str) -> None:
        """It changes nothing, and says what would be changed."""
        result = call("run", event)

        assert result.exit_code == 0, result.output
        assert "Dry run, sync: 7 would be updated, 1 unchanged" in result.stdout
        assert "+NE +NY +WV −AR −CA −KS" in result.stdout
        assert business.meta.writes == []

    @pytest.mark.parametrize("more", [(), ("--json",)])
    @pytest.mark.parametrize(
        ("rights", "said"),
        [
            (
                {"token_scopes": ["ads_read"]},
                "token of mortgage, truckers, veterans: lacks the permission ads_management, so it can only read\n",
            ),
            ({"tasks": ("ANALYZE",)}, "ad account act_111: "),
        ],
    )
    def test_a_token_that_may_only_read_passes_no_dry_run(
        self, call: Call, business: Sandbox, rights: dict[str, Any], said: str, more: tuple[str, ...]
    ) -> None:
        """A dry run writes nothing, so Meta refuses nothing; the live run after it would."""
        for name, value in rights.items():
            setattr(business.meta if name == "token_scopes" else business.meta.accounts["act_111"], name, value)

        result = call("run", "dry-run", *more)

        assert result.exit_code == 1
        assert f"A live run would fail: {said}" in result.stderr
        assert result.stderr.count("→") == 1
        assert json.loads(result.stdout)["success"] if more else "7 would be updated" in result.stdout

    def test_rights_that_meta_does_not_tell(self, call: Call, business: Sandbox) -> None:
        """Some apps do not let a token inspect itself: then nothing is said."""
        business.meta.fail(faults.PERMISSION_MISSING, on="GET debug_token", times=None)

        assert call("run", "dry-run").exit_code == 0

    def test_a_file_is_taken_by_its_path(self, call: Call, tmp_path: Path) -> None:
        """Also one that is not in events/."""
        file = tmp_path / "mine.json"
        file.write_text('{"campaigns": ["mortgage"]}')

        assert "2 would be updated, 1 unchanged" in call("run", file).stdout

    def test_a_switch_below_a_misspelled_slug_is_told_of(self, call: Call, business: Sandbox) -> None:
        """Whoever looks before the leap sees that a campaign goes on."""
        business.aws.put_parameters({"campaigns/vetrans/enabled": "false"})

        assert "did you mean veterans?" in call("run", "dry-run").stdout

    def test_machines_get_the_result(self, call: Call) -> None:
        """Whole, and nothing beside it; the log is elsewhere."""
        result = call("run", "dry-run", "--json")

        answer = json.loads(result.stdout)
        assert (answer["dry_run"], len(answer["campaigns"])) == (True, 3)
        assert "run.start" not in result.output

    def test_the_log_is_kept(self, call: Call, tmp_path: Path) -> None:
        """In a file, line by line, with the metrics; its path is told."""
        result = call("run", "dry-run")

        (file,) = (tmp_path / "build/log").iterdir()
        assert f"build/log/{file.name}" in result.stderr
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {"run.start", "run.end"} <= {line.get("message") for line in lines}
        assert any("_aws" in line for line in lines)

    @pytest.mark.parametrize(
        ("arguments", "mails"),
        [
            (("dry-run",), 0),
            (("eventbridge",), 0),
            (("dry-run", "--mail"), 1),
            (("eventbridge", "--mail"), 1),
            (('{"notify": true}',), 1),
            (('{"notify": false}', "--mail"), 0),
            ((LIVE, "--yes"), 1),
        ],
    )
    def test_a_dry_run_is_mailed_on_demand(
        self, call: Call, business: Sandbox, arguments: tuple[str, ...], mails: int
    ) -> None:
        """Whoever only looks has no reason to write to everybody who gets the daily report."""
        result = call("run", *arguments)

        assert len(business.aws.mails) == mails
        assert ("no mail" in result.stdout) is (mails == 0)

    def test_a_failed_mail_has_its_reason(self, call: Call, business: Sandbox) -> None:
        """In SES's words; the run itself is as good as ever."""
        business.aws.ses.production_access = False

        result = call("run", "dry-run", "--mail")

        assert (result.exit_code, "mail failed" in result.stdout) == (0, True)
        assert "The report was not mailed: " in result.stderr
        assert "Email address is not verified" in result.stderr

    def test_a_defect_of_the_report_has_its_name(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """It does not hide the result either."""

        def broken(*_: object, **__: object) -> NoReturn:
            raise ZeroDivisionError

        monkeypatch.setattr("closrads.notifier.build_report", broken)

        assert "The report was not mailed: ZeroDivisionError" in call("run", "dry-run", "--mail").stderr

    def test_verbose_shows_it_too(self, call: Call) -> None:
        """On standard error, so that the result stays clean."""
        result = call("run", "dry-run", "--json", "--verbose")

        assert '"message":"run.start"' in result.stderr
        assert json.loads(result.stdout)["success"]

    @pytest.mark.usefixtures("somebody")
    def test_a_live_run_is_asked_for(self, call: Call, business: Sandbox) -> None:
        """What it will do and to whom stands before the question, and no is the default."""
        result = call("run", "resync-one-campaign", typed="\n")

        assert result.exit_code == 1
        said = " ".join(result.stderr.split())
        assert "LIVE sync in stage sandbox: it changes the targeting of ad sets at Meta, in veterans." in said
        assert "owner@example.test" in said
        assert business.meta.writes == []

    @pytest.mark.usefixtures("somebody")
    def test_a_lifted_limit_is_named(self, call: Call) -> None:
        """And that there is no mail, by saying nothing of one."""
        event = '{"dry_run": false, "force": ["max_removed_pct"], "notify": false}'
        said = " ".join(call("run", event, typed="n\n").stderr.split())

        assert "in stage sandbox, without the limits max_removed_pct: it changes" in said
        assert "The report goes" not in said

    @pytest.mark.usefixtures("somebody")
    def test_a_named_run_is_named(self, call: Call) -> None:
        """Before a recheck of it is agreed to."""
        said = call("run", '{"action": "recheck", "dry_run": false, "run_id": "some"}', typed="n\n").stderr

        assert "LIVE recheck of run some in stage sandbox" in said

    @pytest.mark.usefixtures("somebody")
    def test_a_yes_runs_it(self, call: Call, business: Sandbox) -> None:
        """And the result says what was done."""
        result = call("run", LIVE, typed="y\n")

        assert result.exit_code == 0
        assert "Live run, sync: 7 updated, 1 unchanged" in result.stdout
        assert len(business.meta.writes) > 7

    @pytest.mark.parametrize("seconds", [31, -31])
    def test_a_clock_that_is_wrong(
        self, call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch, seconds: int
    ) -> None:
        """By it a lease of a run that is still at work would seem to be over, so nothing live is begun."""
        run_id = live_run(call)
        business.meta.requests.clear()
        here = business.meta.now()
        monkeypatch.setattr(business.meta._server, "now", lambda: here - seconds)

        for event in (("run", LIVE), ("undo", run_id)):
            result = call(*event, "--yes")
            assert result.exit_code == 1
            assert "Nothing was begun: this machine is 31 s" in result.stderr
        assert business.meta.writes == []
        assert call("run", "dry-run").exit_code == call("undo", run_id, "--dry-run").exit_code == 0

    def test_nobody_to_ask(self, call: Call, business: Sandbox) -> None:
        """A script says --yes."""
        result = call("run", LIVE)

        assert (result.exit_code, business.meta.writes) == (1, [])
        assert "--yes" in result.stderr
        assert call("run", LIVE, "--yes").exit_code == 0

    def test_a_failed_run(self, call: Call, business: Sandbox) -> None:
        """What went well is shown beside what did not."""
        business.closrtech.answer({"TX": 0}, campaign="VND_TRUCKER_LEADS")
        result = call("run", LIVE, "--yes")

        assert result.exit_code == 1
        assert "Live run, sync: FAILED: 5 updated, 1 unchanged" in result.stdout
        assert "✗" in result.stdout

    def test_a_failed_run_for_machines(self, call: Call, business: Sandbox) -> None:
        """The result is there, and the status says it too."""
        business.closrtech.answer({"TX": 0})
        result = call("run", "dry-run", "--json")

        assert (result.exit_code, json.loads(result.stdout)["success"]) == (1, False)

    @pytest.mark.parametrize(
        ("event", "said"),
        [
            ("no-such-file", "nor one of those in events/: there are approve, dry-run, eventbridge"),
            ("lvie", "nor one of those in events/: did you mean live? There are approve, dry-run, eventbridge"),
            ("events/dry_run.json", "did you mean dry-run?"),
            ("{not json", "the event is not valid JSON"),
            (str(Path(sys.executable).resolve()), "is not a text in UTF-8"),
            ('{"dry_run": "false"}', "dry_run: must be true or false without quotes"),
            ('{"campaigns": ["nobody"]}', "'nobody' is unknown"),
            ("[]", "must be a JSON object"),
            ('{"step": "open"}', "belongs to the workflow"),
        ],
    )
    def test_bad_usage(self, call: Call, business: Sandbox, event: str, said: str) -> None:
        """Status 2, and nothing was done."""
        result = call("run", event, "--yes")

        assert (result.exit_code, business.meta.operations) == (2, [])
        assert said in result.stderr

    def test_a_stage_without_parameters(self, call: Call, business: Sandbox) -> None:
        """It says what to do."""
        business.aws.delete_parameters("closrtech/password")
        result = call("run", "dry-run")

        assert result.exit_code == 1
        assert "closrtech/password: is missing" in result.stderr
        assert "push-config" in result.stderr

    def test_without_a_stack_only_a_dry_sync_runs(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its ledger is not known: that is said, and a live run refused."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")

        looked, refused = call("run", "dry-run"), call("run", LIVE, "--yes")

        assert (looked.exit_code, refused.exit_code) == (0, 1)
        assert "without the ledger" in looked.stderr
        assert "There is no stack closrads-sandbox in us-east-1" in refused.stderr

    def test_the_ledger_of_the_stack_is_used(
        self, call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the shell does not say is looked up where the stage was deployed."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
        monkeypatch.setattr(
            environment,
            "locate_stage",
            lambda stage: environment.StageLocation(stage, "/closrads/sandbox", LEDGER_TABLE, "", ""),
        )

        assert call("run", LIVE, "--yes").exit_code == 0
        assert any(item["pk"] == "RUN" for item in business.aws.ledger())

    def test_stopped_by_hand(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        """No traceback; who stops a live run hears what becomes of the rest; what its threads still log is filed."""

        def stopped(*_: object) -> None:
            raise KeyboardInterrupt

        def ended(status: int) -> NoReturn:
            logger.info("wave.start")
            raise SystemExit(status)

        monkeypatch.setattr("handler.handle", stopped)
        monkeypatch.setattr("os._exit", ended)

        live = call("run", LIVE, "--yes")
        (at,) = re.findall(r"The next live run after (\d\d:\d\d) UTC finishes or rolls back", live.stderr)
        now = environment.clock().now()
        assert at in {f"{now + timedelta(seconds=900 + 90 - passed):%H:%M}" for passed in range(60)}
        assert "finishes or rolls back" not in (dry := call("run", "dry-run")).stderr
        assert (live.exit_code, dry.exit_code) == (130, 130)
        assert ["wave.start" in path.read_text() for path in runs.LOGS.iterdir()] == [True, True]
        assert "Stopped" in live.stderr
        assert "Stopped" in dry.stderr

    def test_what_another_run_is_at_work_on_is_left(self, call: Call) -> None:
        """It is said, of a campaign and of all."""
        table = Table(LEDGER_TABLE, environment.clock())
        until = environment.clock().now().replace(year=2027)
        Leases(table).acquire(["truckers"], "other-run", until, Action.SYNC)

        assert "left alone: run other-run is working on it" in call("run", LIVE, "--yes").stdout
        left = call("run", TRUCKERS, "--yes").stdout
        assert "Live run, sync: nothing was done" in left
        assert "Everything was left to run other-run" in left
        assert "in the history" not in left

    def test_only_what_the_ledger_has_is_in_the_history(self, call: Call, business: Sandbox) -> None:
        """Not a dry run, nor one for which it could not be written or be asked."""
        assert "in the history" in call("run", TRUCKERS, "--yes").stdout
        assert "in the history" not in call("run", "dry-run").stdout
        business.aws.fail("dynamodb", "TransactWriteItems", "AccessDeniedException", times=None)
        assert "in the history" not in call("run", TRUCKERS, "--yes").stdout
        business.aws.fail("dynamodb", "GetItem", "AccessDeniedException", times=None)
        assert "in the history" not in call("run", TRUCKERS, "--yes").stdout

    def test_states_that_meta_does_not_know(self, call: Call, business: Sandbox) -> None:
        """They are named."""
        business.closrtech.demand["VND_TRUCKER_LEADS"]["PR"] = 3

        assert "Meta has no region for: PR" in call("run", "dry-run").stdout


class TestPlan:
    """What was shown, and agreed to, is what is done."""

    def test_it_is_carried_out_by_its_id(self, call: Call) -> None:
        """The dry run says how; a script takes it from the result."""
        shown = call("run", "dry-run").stdout
        plan_id = shown.partition("run live --plan ")[2].split()[0]

        result = call("run", "live", "--plan", plan_id, "--yes")

        assert (result.exit_code, "Live run, sync: 7 updated, 1 unchanged" in result.stdout) == (0, True)
        assert call("run", "live", "--plan", plan_id, "--yes", "--json").exit_code == 1

    def test_another_plan_is_refused(self, call: Call, business: Sandbox) -> None:
        """It says what differs, and writes nothing."""
        plan_id = json.loads(call("run", "dry-run", "--json").stdout)["plan_id"]
        business.closrtech.demand["VND_TRUCKER_LEADS"]["WY"] = 3

        result = call("run", "live", "--plan", plan_id, "--yes")

        assert (result.exit_code, business.meta.writes) == (1, [])
        assert "Live run, sync: plan refused: 1 unchanged, 7 held" in result.stdout
        assert "+WY" in result.stdout.partition("✗")[2]

    def test_a_plan_that_a_pause_kept_back_is_no_success(self, call: Call, business: Sandbox) -> None:
        """A script must not take it for carried out; without a plan, a paused run is as it should be."""
        plan_id = json.loads(call("run", "dry-run", "--json").stdout)["plan_id"]
        assert call("pause").exit_code == 0
        forget_parameters()

        assert call("run", "live", "--plan", plan_id, "--yes").exit_code == 1
        assert call("run", "live", "--yes").exit_code == 0
        assert business.meta.writes == []

    @pytest.mark.usefixtures("somebody")
    def test_the_plan_and_its_campaigns_are_named(self, call: Call) -> None:
        """Before it is agreed to: they are those of the dry run."""
        dry = call("run", '{"campaigns": ["truckers"], "force": ["max_removed_pct"]}', "--json")
        plan_id = json.loads(dry.stdout)["plan_id"]

        said = " ".join(call("run", "live", "--plan", plan_id, typed="n\n").stderr.split())

        assert f"LIVE sync as of plan {plan_id} in stage sandbox, without the limits max_removed_pct" in said
        assert "of ad sets at Meta, in truckers. " in said
        assert "Continue?" in said

    @pytest.mark.parametrize(
        ("event", "said"),
        [
            ("live", "no plan 0a1b2c3d4e5f6789 is known"),
            ("dry-run", "belongs to a live run"),
            ("[]", "must be a JSON object"),
        ],
    )
    def test_bad_usage(self, call: Call, business: Sandbox, event: str, said: str) -> None:
        """Status 2, before anything is asked."""
        result = call("run", event, "--plan", "0a1b2c3d4e5f6789", "--yes")

        assert (result.exit_code, business.meta.operations) == (2, [])
        assert said in result.stderr

    @pytest.mark.parametrize("event", ["live", "dry-run"])
    def test_an_empty_id_is_no_approval_of_anything(self, call: Call, business: Sandbox, event: str) -> None:
        """A script whose variable was never set must not carry out what nobody has seen."""
        result = call("run", event, "--plan", "", "--yes")

        assert (result.exit_code, business.meta.operations) == (2, [])
        assert "plan_id: must be a plan's id" in result.stderr

    @pytest.mark.usefixtures("somebody")
    @pytest.mark.parametrize("more", [(), ("--json",)])
    def test_a_live_run_shows_its_plan_first(self, call: Call, business: Sandbox, more: tuple[str, ...]) -> None:
        """And does nothing if it is not agreed to; machines get one result only."""
        result = call("run", LIVE, *more, typed="n\n")

        assert (result.exit_code, business.meta.writes) == (1, [])
        assert ("7 would be updated" in result.stdout) == (not more)
        assert "Carry out this plan, 7 changes, in stage sandbox?" in result.stderr

    @pytest.mark.usefixtures("somebody")
    def test_what_has_changed_since_it_was_shown_is_asked_again(
        self, call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Demand moves while the person reads: nothing is written until the new plan is agreed to."""
        writes = []

        def agree(_: str) -> bool:
            writes.append(len(business.meta.writes))
            if len(writes) == 1:
                business.closrtech.demand["VND_TRUCKER_LEADS"]["WY"] = 3
            return True

        monkeypatch.setattr(runs, "confirm", agree)
        result = call("run", LIVE)

        assert (result.exit_code, writes) == (0, [0, 0])
        assert "The plan has changed since it was shown" in result.stderr
        assert "Live run, sync: 7 updated, 1 unchanged" in result.stdout

    @pytest.mark.usefixtures("somebody")
    def test_a_plan_that_could_not_be_kept(self, call: Call, business: Sandbox) -> None:
        """It cannot be held to it, and says so before it asks."""
        business.aws.fail("dynamodb", "PutItem", "AccessDeniedException", times=1)
        result = call("run", LIVE, typed="y\n")

        assert (result.exit_code, "The plan could not be stored" in result.stderr) == (0, True)
        assert "7 updated" in result.stdout

    @pytest.mark.usefixtures("somebody")
    def test_a_later_plan_that_could_not_be_kept(
        self, call: Call, business: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run is not held to the one before it either, which would be refused each time."""
        asked, keep = [], Plans.keep

        def agree(_: str) -> bool:
            asked.append("WY")
            business.closrtech.demand["VND_TRUCKER_LEADS"]["WY"] = 3
            return len(asked) < 3

        def keep_once(plans: Plans, plan: Plan) -> None:
            if asked:
                raise LedgerError("The ledger cannot be written")
            keep(plans, plan)

        monkeypatch.setattr(runs, "confirm", agree)
        monkeypatch.setattr(Plans, "keep", keep_once)
        result = call("run", LIVE)

        assert (result.exit_code, len(asked)) == (0, 2)
        assert "Live run, sync: 7 updated, 1 unchanged" in result.stdout


class TestUndo:
    """First the look, then the question, then the deed."""

    @pytest.mark.usefixtures("somebody")
    def test_all_of_it(self, call: Call, business: Sandbox) -> None:
        """What would be put back is shown, and a yes puts it back."""
        before = all_states(business)
        run_id = live_run(call)
        assert all_states(business) != before

        result = call("undo", run_id, typed="y\n")

        assert result.exit_code == 0
        assert "7 would be put back" in result.stdout
        assert "Put 7 ad sets back in stage sandbox?" in result.stderr
        assert "Live run, undo: 7 put back" in result.stdout
        assert "The next sync follows demand again" in result.stderr
        assert all_states(business) == before

    @pytest.mark.usefixtures("somebody")
    def test_a_no(self, call: Call, business: Sandbox) -> None:
        """Leaves all as it is."""
        run_id = live_run(call)
        after = all_states(business)

        assert call("undo", run_id, typed="n\n").exit_code == 1
        assert all_states(business) == after

    def test_a_dry_run_stops_after_the_look(self, call: Call, business: Sandbox) -> None:
        """And needs nobody to ask."""
        run_id = live_run(call)
        after = all_states(business)

        result = call("undo", run_id, "--dry-run")

        assert (result.exit_code, "7 would be put back" in result.stdout) == (0, True)
        assert all_states(business) == after

    def test_one_campaign(self, call: Call, business: Sandbox) -> None:
        """The others stay."""
        before = all_states(business)
        run_id = live_run(call)
        call("undo", run_id, "--campaign", "truckers", "--yes")
        now = all_states(business)

        back = {business.meta.adsets[adset].name for adset in now if now[adset] == before[adset]}
        assert back == {"Owner Operators", "Company Drivers", "Refi - Lookalike"}

    def test_nothing_left_to_undo(self, call: Call) -> None:
        """Doing it twice does no harm, and asks nothing."""
        run_id = live_run(call)
        call("undo", run_id, "--yes")
        result = call("undo", run_id)

        assert result.exit_code == 0
        assert "There is nothing to undo" in result.stderr

    def test_only_the_look_mails_nothing(self, call: Call, business: Sandbox) -> None:
        """Nobody else has to know that somebody looked."""
        run_id = live_run(call)
        mails = len(business.aws.mails)
        call("undo", run_id, "--dry-run")
        assert len(business.aws.mails) == mails
        call("undo", run_id, "--yes")
        assert len(business.aws.mails) == mails + 1

    def test_machines_get_one_result(self, call: Call) -> None:
        """That of the deed; with --dry-run that of the look."""
        run_id = live_run(call)

        assert json.loads(call("undo", run_id, "--dry-run", "--json").stdout)["dry_run"] is True
        assert json.loads(call("undo", run_id, "--yes", "--json").stdout)["dry_run"] is False

    def test_an_unknown_run(self, call: Call, business: Sandbox) -> None:
        """It says where ids are found."""
        result = call("undo", "20260101T000000Z-00000000", "--yes")

        assert result.exit_code == 1
        assert "at the end of each report" in result.stderr
        assert "history" in result.stderr
        assert business.meta.operations == []

    def test_a_campaign_that_the_run_did_not_have(self, call: Call) -> None:
        """More likely a slip than a wish."""
        run_id = live_run(call, TRUCKERS)
        result = call("undo", run_id, "--campaign", "veterans")

        assert result.exit_code == 2
        assert "did not include veterans, only truckers" in result.stderr

    def test_a_campaign_that_is_off(self, call: Call, business: Sandbox) -> None:
        """The others are undone, and it is said."""
        run_id = live_run(call)
        business.aws.put_parameters({"campaigns/truckers/enabled": "false"})
        forget_parameters()

        assert "left as they are: truckers" in (result := call("undo", run_id, "--yes")).stderr
        assert "5 put back" in result.stdout
        refused = call("undo", run_id, "--campaign", "truckers")
        assert refused.exit_code == 1
        assert "set `enabled` to true, undo, then to false again" in refused.stderr

    def test_the_words_are_those_of_the_report(self, call: Call) -> None:
        """Also what the signs mean."""
        run_id = live_run(call, TRUCKERS)
        call("undo", run_id, "--yes")

        rechecked = call("run", '{"action": "recheck", "dry_run": false}', "--yes").stdout
        again = call("undo", run_id, "--yes").stdout

        assert "nothing to check again" in rechecked
        assert "2 already as before" in again

    def test_the_meaning_of_the_signs(self, call: Call) -> None:
        """Stands once, for it is not the change of today."""
        run_id = live_run(call, TRUCKERS)

        assert "+ and − show what the undo adds and removes\n" in call("undo", run_id, "--dry-run").stdout
        rechecked = call("run", '{"action": "recheck", "dry_run": false}', "--yes").stdout
        assert "+ and − show what that run had added and removed\n" in rechecked
        assert "2 still healthy" in rechecked

    def test_what_cannot_be_looked_at_is_not_undone(self, call: Call, business: Sandbox) -> None:
        """A campaign that fails in the look stops the deed, and how to leave it out is said."""
        run_id = live_run(call)
        after = all_states(business)
        business.meta.fail(faults.UNKNOWN_ERROR, on="GET adset", times=None)
        result = call("undo", run_id, "--yes")

        assert result.exit_code == 1
        assert "Choose with --campaign" in result.stderr
        assert all_states(business) == after

    def test_what_meta_does_not_do_is_not_called_undone(self, call: Call, business: Sandbox) -> None:
        """Nothing is said of what the next sync would do to it."""
        run_id = live_run(call)
        business.meta.fail(faults.PERMISSION_MISSING, on="POST adset", times=None)
        result = call("undo", run_id, "--yes")

        assert result.exit_code == 1
        assert "The next sync follows demand again" not in result.stderr


def forget_parameters() -> None:
    """Let the parameters be read anew."""
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
