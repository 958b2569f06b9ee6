"""The entry point: log, metrics, mail and errors as they leave the process."""

import ast
import json
import logging
import runpy
import zlib
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import handler
from closrads import config, notifier, observability
from closrads.domain.changes import ChangeState
from closrads.errors import ClosradsError, ConfigError, EventError, SyncFailed
from closrads.ledger import dynamodb
from closrads.meta.graph import API_VERSION
from closrads.meta.versions import days_left
from closrads.redaction import Secret, redact, redact_all
from sandbox.meta import Breakage, faults
from tests.ledger_world import RECHECK, UNDO, entries, left_behind, result_of
from tests.world import LIVE, START, World

EVENTS = Path(__file__).parent.parent / "events"


def lines(log: StringIO) -> list[dict[str, Any]]:
    """Return the log's lines; each must be one JSON object."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def metrics(printed: str) -> dict[str, Any]:
    """Return the one EMF object among what was printed."""
    (found,) = (json.loads(line) for line in printed.splitlines() if '"_aws"' in line)
    emf: dict[str, Any] = found
    return emf


class TestEntrance:
    """What the runtime calls."""

    @pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
    def test_every_event_file_runs(self, world: World, path: Path) -> None:
        """Each example works as it is, with the context that Lambda gives, and writes only where it says so."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "0"})
        adset = world.adset()
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
        about_a_run = "undo" in path.stem or "recheck" in path.stem
        if about_a_run:
            handler.lambda_handler(LIVE, context)

        event = json.loads(path.read_text())
        if path.stem == "approve":
            event["plan_id"] = handler.lambda_handler({}, context)["plan_id"]
        answer = handler.lambda_handler(event, context)

        live_syncs = {"scheduled-live", "resync-one-campaign", "live", "approve"}
        dry = path.stem not in live_syncs | {"undo", "recheck", "scheduled-recheck"}
        has_florida = path.stem in live_syncs or (about_a_run and path.stem != "undo")
        assert (answer["success"], answer["dry_run"]) == (True, dry)
        assert world.meta.states(adset) == ({"FL"} if has_florida else {"TX"})

    @pytest.mark.usefixtures("world")
    @pytest.mark.parametrize("in_lambda", [False, True])
    def test_clients_are_made_while_the_function_starts(
        self, monkeypatch: pytest.MonkeyPatch, *, in_lambda: bool
    ) -> None:
        """Later, each would cost a tenth of a second of the run; elsewhere nothing needs them yet."""
        clients = (config._parameter_store, dynamodb._dynamodb, notifier._ses)
        for client in clients:
            client.cache_clear()
        if in_lambda:
            monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "closrads")

        runpy.run_path(str(Path(handler.__file__)))

        assert [client.cache_info().currsize for client in clients] == [int(in_lambda)] * 3

    @pytest.mark.parametrize(("seconds", "count"), [(10.5, "adsets_deferred"), (60, "adsets_updated")])
    def test_the_deadline_is_the_invocations(self, world: World, seconds: float, count: str) -> None:
        """With seconds left nothing is begun."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "0"})
        world.adset()

        answer = handler.lambda_handler(LIVE, SimpleNamespace(get_remaining_time_in_millis=lambda: 1000 * seconds))

        assert answer["campaigns"][0][count] == 1

    def test_a_call_by_hand_has_the_longest_time_there_is(self, world: World) -> None:
        """Without a context nothing is deferred for want of time."""
        world.campaign("FL")
        world.put({"limits/verify_wait_seconds": "0"})
        world.adset()

        assert handler.lambda_handler(LIVE, None)["campaigns"][0]["adsets_updated"] == 1

    def test_each_run_has_an_id_of_its_own(self, world: World) -> None:
        """Two runs of the same second can be told apart."""
        world.campaign("FL")

        first, second = world.run()["run_id"], world.run()["run_id"]

        assert first.startswith("20260504T103000Z-")
        assert first != second

    def test_it_imports_only_the_parts_that_it_connects(self) -> None:
        """The entry point knows no service itself."""
        tree = ast.parse(Path(handler.__file__).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

        assert imported == {
            "time", "uuid", "collections.abc", "dataclasses", "datetime", "typing",
            "closrads", "closrads.ledger", "closrads.clock", "closrads.config",
            "closrads.errors",
            "closrads.domain.metrics", "closrads.domain.pushes", "closrads.domain.request",
            "closrads.domain.results", "closrads.domain.runs",
            "closrads.domain.settings", "closrads.fleet", "closrads.notifier", "closrads.observability",
            "closrads.orchestration.approval", "closrads.push_recheck", "closrads.redaction", "closrads.run_end",
            "closrads.sync",
        }  # fmt: skip


class TestRefusals:
    """Events and settings that cannot be run."""

    @pytest.mark.parametrize("event", [{"dry_run": "false"}, {"campaigns": ["vets"]}, {"action": "erase"}, [], None])
    def test_a_bad_event_touches_nothing(self, world: World, event: Any) -> None:
        """It is refused before anybody is asked anything, and no mail goes out."""
        world.campaign("FL")
        world.adset()

        with pytest.raises(EventError):
            handler.handle(event, world.time.clock)

        assert (world.meta.requests, world.sandbox.closrtech.requests, world.sandbox.aws.mails) == ([], [], [])

    def test_bad_settings_touch_nothing(self, world: World, log: StringIO) -> None:
        """The problems are in the error and in the log."""
        with pytest.raises(ConfigError, match="no campaign is set up"):
            world.run(LIVE)

        (failed,) = (line for line in lines(log) if line["message"] == "run.failed")
        assert "no campaign is set up" in failed["error"]
        assert world.meta.requests == []

    def test_a_daily_run_that_cannot_be_done_is_mailed(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sender and recipients are read first; who must act is told, and the reason stands in the appendix."""
        monkeypatch.setenv("CLOSRADS_TIMEZONE", "America/New_York")
        world.put({"email/reply_to": "media@example.test", "limits/wave_size": "many"})
        with pytest.raises(ConfigError):
            world.run({**LIVE, "scheduled": "2026-05-04T10:30:00Z"})

        (mail,) = world.sandbox.aws.mails
        assert mail.subject == "✗ CLOSRADS failed · Mon 4 May"
        said, _, raw = mail.text.partition("Details for whoever runs CLOSRADS")
        assert "Please tell whoever runs CLOSRADS: CLOSRADS could not do the daily run." in said
        assert "6:30 am" in said
        assert "Next run: tomorrow, Tue 5 May, about 6:30 am." in said
        assert "wave_size" not in said
        assert "limits/wave_size: must be a whole number" in raw
        assert (mail.recipients, mail.reply_to) == (("owner@example.test",), ("media@example.test",))

    @pytest.mark.parametrize(
        ("event", "subject", "text"),
        [
            (LIVE, "✗ CLOSRADS failed · Mon 4 May", "a sync that was started by hand"),
            ({**LIVE, "campaigns": ["x"]}, "✗ CLOSRADS failed · Mon 4 May", "a sync that was started by hand"),
            ({**LIVE, "step": "open"}, "✗ CLOSRADS failed · Mon 4 May", "a sync that was started by hand"),
            ({**LIVE, "action": "undo"}, "✗ undo: CLOSRADS failed · Mon 4 May", "an undo"),
        ],
        ids=["sync", "sync of a campaign", "workflow", "undo"],
    )
    def test_what_a_person_has_started_is_called_so(
        self, world: World, event: dict[str, Any], subject: str, text: str
    ) -> None:
        """Nobody takes it for the daily run, which may still come or has gone well."""
        with pytest.raises(ConfigError):
            world.run(event)

        (mail,) = world.sandbox.aws.mails
        assert mail.subject == subject
        assert f"Please tell whoever runs CLOSRADS: CLOSRADS could not do {text}." in mail.text
        assert "daily run" not in mail.text

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {**LIVE, "notify": False},
            {**LIVE, "action": "recheck"},
            {"step": "part", "run_id": "20260504T103000Z-0123abcd", "campaigns": ["x"]},
        ],
        ids=["dry run", "no mail", "recheck", "a part of a run"],
    )  # fmt: skip
    def test_others_are_not(self, world: World, event: dict[str, Any]) -> None:
        """Who starts them sees the error, or would get it every half hour."""
        with pytest.raises(ClosradsError):
            handler.handle(event, world.time.clock)

        assert world.sandbox.aws.mails == []

    @pytest.mark.parametrize("breaks", ["no path", "no parameters", "no recipients"])
    def test_nobody_to_tell(self, world: World, monkeypatch: pytest.MonkeyPatch, breaks: str) -> None:
        """The error is as it would be."""
        if breaks == "no path":
            monkeypatch.delenv("CLOSRADS_PARAMETER_PATH")
        elif breaks == "no parameters":
            world.sandbox.aws.fail("ssm", "GetParametersByPath", "ThrottlingException", 400, None)
        else:
            world.sandbox.aws.delete_parameters("email/sender", "email/recipients")

        with pytest.raises(ConfigError):
            world.run(LIVE)

        assert world.sandbox.aws.mails == []

    def test_a_defect_is_mailed_too(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody reads the log."""
        world.campaign("FL")
        monkeypatch.setattr(handler, "run_sync", Mock(side_effect=KeyError("x")))
        with pytest.raises(ClosradsError, match="Unexpected KeyError"):
            world.run(LIVE)

        assert "Unexpected KeyError" in world.sandbox.aws.mails[-1].text

    def test_a_defect_leaves_without_its_text(
        self, world: World, monkeypatch: pytest.MonkeyPatch, log: StringIO
    ) -> None:
        """An unexpected exception is translated, for the runtime would print it with its whole chain."""
        world.campaign("FL")
        secret = Secret("FAKE-planted-secret")

        def defective(*_: Any) -> Any:
            raise LookupError(f"no {secret.reveal()}")

        monkeypatch.setattr(handler, "run_sync", defective)

        with pytest.raises(ClosradsError) as caught:
            world.run(LIVE)

        assert str(caught.value) == "Unexpected LookupError: no ***"
        assert caught.value.__context__ is None
        assert "planted" not in log.getvalue()
        assert [line["message"] for line in lines(log) if line["level"] == "ERROR"] == ["defect"]


class TestLedger:
    """What is kept of a run, and what needs the table."""

    def test_a_live_runs_result_is_kept(self, world: World) -> None:
        """As it was returned, whether it went well or not."""
        world.campaign("FL")
        world.adset("One")

        answer = world.run(LIVE)
        world.adset("Doomed", breakage=Breakage.incurable())
        failed = result_of(world, LIVE)

        (good,) = entries(world, answer["run_id"], pk="RUN")
        assert json.loads(zlib.decompress(good["result"])) == json.loads(json.dumps(answer))
        (bad,) = entries(world, failed["run_id"], pk="RUN")
        assert (good["success"], bad["success"]) == (True, False)
        assert good["action"] == "sync"
        assert good["started_at"] < good["ended_at"]

    def test_a_dry_run_of_a_sync_can_do_without_a_table(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """It asks for no ledger then."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
        world.campaign("FL")
        world.adset()

        assert world.run({"validate": True})["campaigns"][0]["adsets_updated"] == 1
        assert "dynamodb" not in {request.service for request in world.sandbox.aws.requests}

    @pytest.mark.parametrize("event", [LIVE, {"action": "undo"}, {"action": "recheck"}])
    def test_all_else_needs_it(self, world: World, monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
        """Without it nothing is touched, and the message names the variable."""
        monkeypatch.delenv("CLOSRADS_LEDGER_TABLE")
        world.campaign("FL")
        world.adset()

        with pytest.raises(ConfigError, match="CLOSRADS_LEDGER_TABLE: must be set"):
            world.run(event)

        assert (world.meta.requests, world.sandbox.closrtech.requests) == ([], [])
        assert len(world.sandbox.aws.mails) == (event is LIVE)

    def test_a_result_that_cannot_be_kept_is_no_failure(self, world: World, log: StringIO) -> None:
        """The ad sets are updated and the report is out; the log says what is missing."""
        world.campaign("FL")
        world.adset()
        world.sandbox.aws.fail("dynamodb", "UpdateItem", "InternalServerError", 500)

        assert world.run(LIVE)["success"]
        assert [line["level"] for line in lines(log) if line["message"] == "ledger.run_not_ended"] == ["ERROR"]


class TestOtherActions:
    """What comes after a sync, as seen from the doorway."""

    def test_a_recheck_without_findings_is_quiet(self, world: World) -> None:
        """No mail after every sync; a dry run, which somebody asks for, is mailed all the same."""
        world.campaign("FL")
        world.adset()
        world.run(LIVE)

        assert world.run(RECHECK)["mail"] == "not_asked"
        assert len(world.sandbox.aws.mails) == 1
        assert world.run({"action": "recheck"})["mail"] == "sent"

    def test_a_recheck_before_any_run_is_quiet_too(self, world: World) -> None:
        """There is nothing to look at, and nothing wrong with that."""
        world.campaign("FL")

        answer = world.run(RECHECK)

        assert (answer["success"], answer["mail"]) == (True, "not_asked")
        assert [call.path for call in world.meta.operations] == ["act_111", "debug_token"]

    def test_an_undo_before_any_run_is_refused(self, world: World) -> None:
        """Whoever asks for it expects something to happen."""
        world.campaign("FL")

        with pytest.raises(
            SyncFailed, match="Veterans: There is nothing to undo: no live sync has changed this campaign"
        ):
            world.run(UNDO)

        assert len(world.sandbox.aws.mails) == 1

    def test_an_undo_puts_back_what_the_last_sync_did(self, world: World) -> None:
        """And is reported."""
        world.campaign("FL")
        adset = world.adset()
        world.run(LIVE)

        answer = world.run(UNDO)

        assert (answer["action"], answer["success"], answer["mail"]) == ("undo", True, "sent")
        assert world.meta.states(adset) == {"TX"}


class TestMail:
    """The report on its way out."""

    def test_both_parts_are_sent_before_the_run_fails(self, world: World) -> None:
        """SyncFailed comes after the mail, with one line per failed campaign."""
        world.campaign("FL")
        world.campaign("FL", slug="truckers", meta_campaigns=("120200000000000905",))
        world.meta.dead_tokens[world.meta.token] = faults.TOKEN_EXPIRED

        with pytest.raises(SyncFailed) as caught:
            world.run(LIVE)

        assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["Truckers", "Veterans"]
        (mail,) = world.sandbox.aws.mails
        assert (mail.sender, mail.recipients) == ("CLOSRADS <reports@example.test>", ("owner@example.test",))
        assert (mail.reply_to, mail.headers) == ((), (("Auto-Submitted", "auto-generated"),))
        assert mail.html.startswith("<!doctype html>")
        assert mail.text.startswith("CLOSRADS")
        assert mail.subject == "✗ Truckers, Veterans failed · Mon 4 May"

    @pytest.mark.parametrize(
        ("schedule", "said"),
        [("cron(30 6 * * ? *)", "\nNext run: tomorrow, Tue 5 May, about "), ("OFF", "\nNo next run: ")],
    )
    def test_the_report_says_when_the_next_run_is(
        self, world: World, monkeypatch: pytest.MonkeyPatch, schedule: str, said: str
    ) -> None:
        """By what the stack says of its schedule."""
        monkeypatch.setenv("CLOSRADS_SCHEDULE", schedule)
        world.campaign("FL")
        world.run()

        assert said in world.sandbox.aws.mails[-1].text

    def test_a_sender_keeps_its_own_name(self, world: World) -> None:
        """If the parameter has one."""
        world.campaign("FL")
        world.put({"email/sender": "Our Ads <reports@example.test>"})
        world.run()

        assert world.sandbox.aws.mails[-1].sender == "Our Ads <reports@example.test>"

    def test_a_switch_below_a_misspelled_slug_is_told_of(self, world: World, log: StringIO) -> None:
        """Somebody believes that the campaign is off; it runs, and the others do."""
        world.campaign("FL")
        adset = world.adset("Broad", "TX")
        world.put({"campaigns/vetrans/enabled": "false"})

        result = world.run(LIVE)

        assert (result["success"], world.meta.states(adset)) == (True, {"FL"})
        (mail,) = world.sandbox.aws.mails
        assert mail.subject.startswith("⚠ 1 updated")
        assert "A SETTING UNDER A MISSPELLED NAME" in mail.text
        assert "/closrads/sandbox/campaigns/vetrans: has nothing but `enabled`" in mail.text
        assert "did you mean veterans?" in mail.text
        assert [line["notice"] for line in lines(log) if line["message"] == "settings.notice"] == result["notices"]

    def test_not_configured_means_logged(self, world: World, log: StringIO) -> None:
        """Without sender and recipients the text part is in the log."""
        world.campaign("FL")
        world.sandbox.aws.delete_parameters("email/sender", "email/recipients")

        assert world.run()["mail"] == "not_configured"
        (report,) = (line for line in lines(log) if line["message"] == "report.text")
        assert "=== Veterans ===" in report["text"]

    def test_not_asked_means_not_sent(self, world: World) -> None:
        """An event can do without the mail."""
        world.campaign("FL")

        assert world.run({"notify": False})["mail"] == "not_asked"
        assert world.sandbox.aws.mails == []

    @pytest.mark.parametrize(
        ("code", "status"), [("MessageRejected", 400), ("TooManyRequestsException", 429), ("ServiceUnavailable", 503)]
    )
    def test_a_failed_mail_is_a_warning(
        self, world: World, log: StringIO, capsys: pytest.CaptureFixture[str], code: str, status: int
    ) -> None:
        """The run's own outcome stands; the report is in the log, and a metric counts it."""
        world.campaign("FL")
        world.sandbox.aws.fail("sesv2", "SendEmail", code, status, None)

        answer = world.run(LIVE)

        assert (answer["success"], answer["mail"]) == (True, "failed")
        (warning,) = (line for line in lines(log) if line["message"] == "mail.failed")
        assert warning["level"] == "WARNING"
        assert "=== Veterans ===" in warning["text"]
        assert metrics(capsys.readouterr().out)["MailFailed"] == [1.0]

    def test_a_sender_that_is_not_verified_is_a_warning(self, world: World) -> None:
        """SES itself refuses, as in a new account."""
        world.campaign("FL")
        world.put({"email/sender": "nobody@example.test"})

        assert world.run()["mail"] == "failed"

    @pytest.mark.parametrize(
        ("refused", "in_sandbox"),
        [("buyer@example.test", True), ("buyer@nowhere", False)],
        ids=["not verified", "invalid"],
    )
    def test_one_refused_recipient_costs_the_others_nothing(
        self, world: World, log: StringIO, refused: str, *, in_sandbox: bool
    ) -> None:
        """SES refuses the whole mail then; the others get it, and the refused one is named."""
        world.campaign("FL")
        ses = world.sandbox.aws.ses
        ses.production_access = not in_sandbox
        ses.identities |= {"owner@example.test": True, "media.test": True}
        world.put({"email/recipients": ["owner@example.test", refused, "Media <team@media.test>"]})

        answer = world.run(LIVE)

        assert (answer["mail"], answer["mail_refused"]) == ("sent", [refused])
        mails = world.sandbox.aws.mails
        assert [mail.recipients for mail in mails] == [("owner@example.test",), ("Media <team@media.test>",)]
        (warning,) = (line for line in lines(log) if line["message"] == "mail.refused")
        assert (warning["level"], warning["recipient"]) == ("WARNING", refused)

    def test_if_all_recipients_are_refused_the_mail_has_failed(self, world: World, log: StringIO) -> None:
        """The report is in the log then."""
        world.campaign("FL")
        world.sandbox.aws.ses.production_access = False
        world.put({"email/recipients": ["owner@example.test", "buyer@example.test"]})

        answer = world.run(LIVE)

        assert (answer["mail"], answer["mail_refused"]) == ("failed", [])
        assert "mail.failed" in {line["message"] for line in lines(log)}

    def test_trouble_of_ses_is_no_refusal(self, world: World) -> None:
        """Nothing is sent to each alone, which could not help."""
        world.campaign("FL")
        world.put({"email/recipients": ["owner@example.test", "buyer@example.test"]})
        world.sandbox.aws.fail("sesv2", "SendEmail", "SendingPausedException", 400)

        assert world.run(LIVE)["mail"] == "failed"
        assert [call.operation for call in world.sandbox.aws.requests if call.service == "sesv2"] == ["SendEmail"]

    def test_a_defect_of_the_report_is_no_failure_of_the_run(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ads have changed by then; a broken template must not hide that."""
        world.campaign("FL")
        monkeypatch.setattr("closrads.notifier.build_report", lambda *_, **__: 1 / 0)

        answer = world.run(LIVE)

        assert (answer["success"], answer["mail"]) == (True, "failed")


class TestLog:
    """Each line one JSON object with the run's id."""

    def test_every_line_has_the_run_id(self, world: World, log: StringIO) -> None:
        """A run can be followed through the log, and the next one has none of its keys."""
        world.campaign("FL")
        world.adset(breakage=Breakage.stubborn())

        first = world.run(LIVE)["run_id"]
        assert {line["run_id"] for line in lines(log)} == {first}

        log.truncate(0)
        log.seek(0)
        second = world.run()["run_id"]
        assert {line["run_id"] for line in lines(log)} == {second}

    def test_a_dry_run_warns_at_the_start(self, world: World, log: StringIO) -> None:
        """Whoever reads the log knows before anything else that nothing is written."""
        world.campaign("FL")
        world.run()

        assert [line["message"] for line in lines(log)[:2]] == ["run.start", "run.dry_run"]
        assert lines(log)[1]["level"] == "WARNING"

    def test_a_failed_rollback_is_critical(self, world: World, log: StringIO) -> None:
        """The alarm's first step is to look for this line."""
        world.campaign("FL")
        world.adset(breakage=Breakage.incurable())

        with pytest.raises(SyncFailed):
            world.run(LIVE)

        (line,) = (line for line in lines(log) if line["level"] == "CRITICAL")
        assert line["message"] == "adset.rollback_failed"


class TestMetrics:
    """One EMF line a run."""

    def test_a_live_run(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Counts of what happened, with exactly the dimensions that the alarms name."""
        world.campaign("FL GA")
        world.adset("One")
        world.adset("Two", breakage=Breakage.stubborn())
        world.run(LIVE)

        emf = metrics(capsys.readouterr().out)
        assert emf["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "CLOSRADS"
        assert sorted(emf["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) == ["service", "stage"]
        assert (emf["service"], emf["stage"]) == ("closrads", "sandbox")
        counts = {name: value[0] for name, value in emf.items() if isinstance(value, list)}
        assert counts == {
            "RunSucceeded": 1, "RunFailed": 0, "AdSetsUpdated": 1, "AdSetsSkippedPreflight": 0, "AdSetsReverted": 1,
            "RollbackFailed": 0, "StatesWithDemand": 2, "MailFailed": 0, "PushReceived": 0,
            "DaysUntilApiVersionEnds": days_left(API_VERSION, START.date()),
        }  # fmt: skip

    def test_metas_warning_of_the_end_of_its_api(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """Each run that saw it says so, and its report."""
        world.campaign("FL")
        world.meta.version_warning = "The call has been auto-upgraded to v27.0"

        world.run(LIVE)

        assert metrics(capsys.readouterr().out)["DaysUntilApiVersionEnds"] == [0.0]
        assert "The version of Meta's API that CLOSRADS uses has been retired" in world.sandbox.aws.mails[0].text

    def test_a_failed_run_counts_too(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """The metrics are out before SyncFailed is raised."""
        world.campaign("FL")
        world.adset(breakage=Breakage.incurable())
        with pytest.raises(SyncFailed):
            world.run(LIVE)

        emf = metrics(capsys.readouterr().out)
        assert (emf["RunSucceeded"], emf["RunFailed"], emf["RollbackFailed"]) == ([0.0], [1.0], [1.0])

    def test_a_dry_run_does_not_silence_the_silence_alarm(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Only a live run counts as a run that succeeded."""
        world.campaign("FL")
        world.run()

        emf = metrics(capsys.readouterr().out)
        assert "RunSucceeded" not in emf
        assert emf["DryRunCompleted"] == [1.0]

    @pytest.mark.parametrize("event", [RECHECK, UNDO])
    def test_other_actions_do_not_silence_the_silence_alarm(
        self, world: World, capsys: pytest.CaptureFixture[str], event: Any
    ) -> None:
        """Only a sync counts as the run of the day; what went wrong counts in any case."""
        world.campaign("FL")
        world.adset()
        world.run(LIVE)
        capsys.readouterr()

        world.run(event)

        emf = metrics(capsys.readouterr().out)
        assert "RunSucceeded" not in emf
        assert emf["RunFailed"] == [0.0]

    def test_a_rollback_that_recovery_could_not_make_counts(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What an earlier run left broken and this one could not mend is alarmed for again."""
        world.campaign("FL")
        adset = world.adset(breakage=Breakage.incurable())
        left_behind(world, adset, ChangeState.ROLLING_BACK)

        with pytest.raises(SyncFailed):
            world.run(LIVE)

        assert metrics(capsys.readouterr().out)["RollbackFailed"] == [1.0]


class TestSecrets:
    """What the process lets out never shows a secret."""

    SECRETS = ("EAAFAKE+planted/token==", "FAKE pass&word+planted", "fakesecret-planted", "who+planted@example.test")

    @pytest.fixture
    def planted(self, world: World) -> World:
        """Return a business whose every secret needs encoding somewhere."""
        token, password, app_secret, email = self.SECRETS
        world.meta.token, world.meta.app_secret = token, app_secret
        world.sandbox.closrtech.password, world.sandbox.closrtech.email = password, email
        world.put(
            {
                "meta/access_token": token,
                "meta/app_secret": app_secret,
                "closrtech/password": password,
                "closrtech/email": email,
            }
        )
        world.campaign("FL")
        world.adset("One", breakage=Breakage.stubborn())
        world.adset("Two")
        return world

    @pytest.mark.parametrize(
        "trouble",
        ["none", "meta refuses connections", "closrtech refuses connections", "meta drops", "meta echoes the token",
         "closrtech echoes the password", "mail fails", "defect"],
    )  # fmt: skip
    def test_nothing_of_them_leaves(
        self, planted: World, trouble: str, log: StringIO, capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """No log line, metric, mail, result or exception shows any form of any secret."""
        token, password, *_ = self.SECRETS
        match trouble:
            case "meta refuses connections":
                planted.meta.refuse_connections()
            case "closrtech refuses connections":
                planted.sandbox.closrtech.refuse_connections()
            case "meta drops":
                planted.meta.fail(faults.DROPPED, times=None)
            case "meta echoes the token":
                planted.meta.fail(faults.error(100, None, f"bad ?access_token={token} {token}"), on="POST adset")
            case "closrtech echoes the password":
                planted.sandbox.closrtech.answer({password: "x"})
            case "mail fails":
                planted.sandbox.aws.fail("sesv2", "SendEmail", "MessageRejected", 400, None)
            case "defect":
                monkeypatch.setattr("closrads.sync.decide", lambda *_: int(token))

        monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
        logging.getLogger().setLevel(logging.DEBUG)
        try:
            left = [str(planted.run(LIVE))]
        except ClosradsError as error:
            left = [_chain(error)]
        finally:
            logging.getLogger().setLevel(logging.WARNING)
            planted.meta.accept_connections()
            planted.sandbox.closrtech.accept_connections()
        left += [log.getvalue(), *capfd.readouterr(), *map(_unpacked, planted.sandbox.aws.ledger())]
        left += [part for mail in planted.sandbox.aws.mails for part in (mail.subject, mail.html, mail.text)]

        assert not [text for text in left if "planted" in text]

    def test_other_libraries_log_lines_are_redacted_too(self) -> None:
        """A line that a library writes through the root logger passes the same filter, traceback included."""
        stream = StringIO()
        root_handler = logging.StreamHandler(stream)
        secret = Secret("FAKE-planted-secret")
        logging.getLogger().addHandler(root_handler)
        try:
            observability.begin_invocation(run_id="x")
            observability.begin_invocation(run_id="y")
            try:
                int(secret.reveal())
            except ValueError:
                logging.getLogger("somebody.else").exception("GET /x?access_token=%s", secret.reveal())
        finally:
            logging.getLogger().removeHandler(root_handler)

        assert "planted" not in stream.getvalue()
        assert "ValueError: invalid literal for int() with base 10: '***'" in stream.getvalue()
        assert len(root_handler.filters) == 1


def _unpacked(item: dict[str, Any]) -> str:
    """Return all of a ledger's item as text."""
    return str([zlib.decompress(value) if isinstance(value, bytes) else value for value in item.values()])


def _chain(error: BaseException | None) -> str:
    """Return all that a traceback of this exception would print of its texts."""
    texts = []
    while error is not None:
        texts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)


class TestRedact:
    """The filter itself."""

    def test_a_secret_shows_itself_only_when_asked(self) -> None:
        """No way of printing it gives it away."""
        secret = Secret("FAKE-planted-secret")

        assert f"{secret} {secret!r} {secret!s}" == "*** *** ***"
        assert secret.reveal() == "FAKE-planted-secret"
        assert secret == Secret("FAKE-planted-secret")
        assert secret != Secret("other-secret")
        assert len({secret, Secret("FAKE-planted-secret")}) == 1
        with pytest.raises(TypeError):
            json.dumps(secret)

    def test_unknown_secrets_in_a_url_are_hidden_by_name(self) -> None:
        """Even a token that nobody announced is not shown where a URL names it."""
        text = "GET /v26.0/1?access_token=EAAX&appsecret_proof=ab12&limit=5 /demand.php?email=a&pass=hunter2 failed"

        assert redact(text) == (
            "GET /v26.0/1?access_token=***&appsecret_proof=***&limit=5 /demand.php?email=a&pass=*** failed"
        )

    def test_every_text_of_a_value_is_redacted(self) -> None:
        """Keys and nested values included; everything else stays."""
        secret = Secret("FAKE-planted-secret").reveal()

        redacted = redact_all({f"a {secret}": [secret, 5, None, {"x": (secret,)}]})

        assert redacted == {"a ***": ["***", 5, None, {"x": ["***"]}]}

    def test_a_very_short_secret_does_not_blank_out_everything(self) -> None:
        """Three letters would be found in every other word."""
        Secret("the")

        assert redact("the weather") == "the weather"
