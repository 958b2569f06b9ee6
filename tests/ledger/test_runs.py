"""What is kept of runs, and of those that several invocations share."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.adsets import LONG_AGO
from closrads.domain.request import Action, RunRequest
from closrads.domain.results import RunResult
from closrads.domain.runs import SharedRun
from closrads.ledger.dynamodb import Table
from closrads.ledger.records import KEPT_FOR, MAX_KEPT
from closrads.ledger.runs import Runs
from closrads.redaction import Secret
from sandbox import Sandbox
from sandbox.aws import DROPPED, LEDGER_TABLE
from tests.ledger.conftest import ME, OTHER, SERVER_ERROR, SOON, a_progress, a_shared_run
from tests.ledger.strategies import names, outcomes, recoveries, requests, texts
from tests.ledger_world import entries, runs
from tests.world import START, FakeTime, World


class TestLiveRuns:
    """A live run, from its beginning to its result."""

    def test_a_run_is_known_from_its_beginning(self, world: World) -> None:
        """With what it was asked to do; its result follows, and neither is kept for ever."""
        assert not runs(world).exists(ME)
        runs(world).begin(ME, Action.UNDO, ["veterans", "truckers"])
        assert runs(world).exists(ME)
        world.time.pass_by(60)
        runs(world).end(ME, {"success": True, "campaigns": ["…"]})

        (run,) = entries(world, "", pk="RUN")
        assert (run["action"], run["campaigns"], run["success"]) == ("undo", ["veterans", "truckers"], True)
        assert (run["started_at"], run["ended_at"]) == ("2026-05-04T10:30:00+00:00", "2026-05-04T10:31:00+00:00")
        assert run["expires_at"] == int((START + KEPT_FOR).timestamp())

    def test_a_sync_of_all_campaigns_keeps_its_scheduled_time(self, world: World) -> None:
        """However it was started: a daily report asks for it. A run without one, as all of before, has none."""
        result = RunResult(ME, Action.SYNC, dry_run=False, started_at=START, duration_ms=1, campaigns=()).to_json()
        for run_id, scheduled in ((ME, START), (OTHER, None)):
            runs(world).begin(run_id, Action.SYNC, ["veterans"], scheduled)
            runs(world).end(run_id, result)
        whole = RunRequest(Action.SYNC, dry_run=False, scheduled=START, opens=True)
        for number, request in enumerate((whole, replace(whole, campaigns=("veterans",)))):
            runs(world).open(replace(a_shared_run(), run_id=f"{OTHER}{number}", request=request))

        assert {run.run_id: run.scheduled for run in runs(world).newest()} == {
            ME: START, OTHER: None, f"{OTHER}0": START, f"{OTHER}1": None,
        }  # fmt: skip

    def test_a_run_that_never_began_leaves_no_result(self, world: World) -> None:
        """Nobody can undo it by its id later."""
        runs(world).end(ME, {"success": False})

        assert not runs(world).exists(ME)


class TestSharedRuns:
    """Runs that several invocations share."""

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(request=requests, campaigns=st.dictionaries(names, texts, max_size=3))
    def test_a_run_comes_back_as_it_was_opened(
        self, sandbox: Sandbox, fake_time: FakeTime, request: RunRequest, campaigns: dict[str, str]
    ) -> None:
        """The later invocations know nothing of the event but what the ledger tells them."""
        sandbox.aws.reset()
        runs = Runs(Table(LEDGER_TABLE, fake_time.clock))
        run = SharedRun(ME, request, START, campaigns)

        assert runs.open(run) == run
        assert runs.opened(ME) == run

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        adsets=st.lists(outcomes, max_size=3), recovered=st.lists(recoveries, max_size=2), again=st.none() | st.just(7)
    )
    def test_what_a_campaign_has_come_to_comes_back_as_it_was(
        self,
        sandbox: Sandbox,
        fake_time: FakeTime,
        adsets: list[AdSetResult],
        recovered: list[Recovery],
        again: int | None,
    ) -> None:
        """The report is made of it, and what is done with is not done again."""
        sandbox.aws.reset()
        runs = Runs(Table(LEDGER_TABLE, fake_time.clock))
        part = a_progress(*adsets, recovered=tuple(recovered), again_in_seconds=again, unmapped_states=("XX",))

        runs.save_progress(ME, part)

        assert runs.progress(ME) == {"veterans": part}
        assert runs.begin_campaign(ME, "veterans") == (0, part)
        assert runs.progress(OTHER) == {}

    def test_begun_is_not_done(self, world: World) -> None:
        """The call after one that was cut off has to know that there was one."""
        assert [runs(world).begin_campaign(ME, "veterans") for _ in range(3)] == [(0, None), (1, None), (2, None)]
        assert runs(world).progress(ME) == {}

    def test_more_than_a_record_holds_is_cut(self, world: World) -> None:
        """What is done with is then found by its changes; what counts is that the run goes on."""
        noise = random.Random(7)  # noqa: S311 - noise that cannot be packed
        adsets = [
            AdSetResult(str(noise.getrandbits(200)), str(noise.getrandbits(600)), Result.UPDATED) for _ in range(6000)
        ]

        runs(world).save_progress(ME, a_progress(*adsets))

        assert runs(world).progress(ME)["veterans"].report.adsets == tuple(adsets[:MAX_KEPT])

    def test_a_result_of_too_many_campaigns_is_kept_without_them(self, world: World) -> None:
        """That it ended, and how, is what the next invocation asks."""
        noise = random.Random(7)  # noqa: S311 - noise that cannot be packed
        campaigns = [{"slug": str(noise.getrandbits(900)), "adsets": [], "errors": []} for _ in range(4_000)]
        runs(world).open(a_shared_run())

        result = RunResult(ME, Action.SYNC, False, START, 5, ()).to_json()
        runs(world).end(ME, result | {"success": False, "campaigns": campaigns})

        (run,) = runs(world).newest()
        assert run.result == RunResult(ME, Action.SYNC, False, START, 5, (), omitted_failed=True)

    def test_no_secret_is_kept(self, world: World) -> None:
        """Not even if Meta quotes it."""
        secret = Secret("EAAFAKE-quoted-by-meta")

        runs(world).save_progress(ME, a_progress(campaign_errors=(f"Meta said {secret.reveal()}",)))

        assert runs(world).progress(ME)["veterans"].report.campaign_errors == ("Meta said ***",)

    def test_one_ends_it_and_another_only_if_that_one_is_cut_off(self, world: World) -> None:
        """Else there would be two reports, or none."""
        runs(world).open(a_shared_run())

        assert runs(world).claim_end(ME, SOON, "one") is None
        assert runs(world).claim_end(ME, SOON, "one") is None, "an answer of DynamoDB was lost"
        assert runs(world).claim_end(ME, SOON, "two") == SOON
        world.time.reach(SOON.timestamp() + 1)
        assert runs(world).claim_end(ME, SOON + timedelta(minutes=15), "two") is None

    @pytest.mark.parametrize("fault", [SERVER_ERROR, (DROPPED,)])
    def test_a_lost_answer_is_no_other_invocation(self, retrying: World, fault: Any) -> None:
        """The write was done and boto3 repeats it: nobody else has it, and no death is counted."""
        runs(retrying).open(a_shared_run())
        retrying.sandbox.aws.fail("dynamodb", "UpdateItem", *fault, applied=True)
        assert runs(retrying).claim_end(ME, SOON, "one") is None
        retrying.sandbox.aws.fail("dynamodb", "UpdateItem", *fault, applied=True)
        assert runs(retrying).begin_campaign(ME, "veterans") == (0, None)

        run = runs(retrying).opened(ME)
        assert run is not None
        assert run.ends_begun == 1

    def test_what_has_ended_is_not_ended_again(self, world: World) -> None:
        """Whoever asks is told that it was long ago."""
        runs(world).open(a_shared_run())
        runs(world).end(ME, {"success": True})
        world.time.next_day()

        assert runs(world).claim_end(ME, SOON + timedelta(days=2), "one") == LONG_AGO
        run = runs(world).opened(ME)
        assert run is not None
        assert run.has_ended
