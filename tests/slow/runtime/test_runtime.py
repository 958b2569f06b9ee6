"""What the built package does on the real Lambda runtime: no part of it is replaced."""

import json
import os
import signal
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from sandbox import Breakage
from sandbox.lambda_runtime import SITE_PACKAGES, LambdaRuntime, why_not_here
from sandbox.meta import Operation
from sandbox.server import Delivery, Reply
from tests.slow.runtime.business import Business, becomes_of
from tests.slow.runtime.conftest import Start

EVENTS = Path(__file__).resolve().parents[3] / "events"
LIVE = {"dry_run": False}
SHORT = 14
"""Seconds: enough to begin an ad set at once, too few to begin another after a call that stalled to the last."""

pytestmark = pytest.mark.skipif(bool(why_not_here()), reason=why_not_here())


class TestIsolation:
    """What the function can import."""

    def test_nothing_of_this_environment(self, start: Start, tmp_path: Path) -> None:
        """A function without a package sees the runtime's own modules only, so nothing fills in for what is missing."""
        (tmp_path / "handler.py").write_text(
            "from importlib.util import find_spec\n"
            "def lambda_handler(names, _):\n"
            "    return [name for name in names if find_spec(name)]\n"
        )
        names = {name for name in packages_distributions() if name.isidentifier() and not name.startswith("_")}
        names |= {"closrads", "sandbox", "tests", "samcli"}

        with start(tmp_path) as runtime:
            found = runtime.invoke(sorted(names))

        assert {"jinja2", "moto", "pytest", "tenacity"} < names
        assert set(found) == {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}

    def test_a_package_that_lacks_one_does_not_start(self, package: Path, start: Start, tmp_path: Path) -> None:
        """Both environments have Jinja, and the package without it fails all the same, by name."""
        assert find_spec("jinja2") is not None
        assert SITE_PACKAGES is not None
        assert (SITE_PACKAGES / "jinja2").is_dir()
        for path in package.iterdir():
            if path.name != "jinja2":
                (tmp_path / path.name).symlink_to(path)

        with start(tmp_path) as runtime:
            answer = runtime.invoke({})

        assert answer["errorType"] == "Runtime.ImportModuleError"
        assert "No module named 'jinja2'" in answer["errorMessage"]


MEANINGS: dict[str, tuple[int, int, str]] = {
    "dry-run": (0, 0, "[DRY RUN] ✓ 7 would be updated"),
    "eventbridge": (0, 0, "[DRY RUN] ✓ 7 would be updated"),
    "validate": (7, 0, "[DRY RUN] ✓ 7 would be updated"),
    "resync-one-campaign": (3, 3, "✓ 3 updated"),
    "scheduled-live": (7, 7, "✓ 7 updated"),
    "live": (7, 7, "✓ 7 updated"),
    "approve": (7, 7, "✓ 7 updated"),
    "recheck": (1, 6, "⚠ second look: 1 put back"),
    "scheduled-recheck": (1, 6, "⚠ second look: 1 put back"),
    "undo-dry-run": (0, 7, "[DRY RUN] ✓ undo: 3 would be put back"),
    "undo": (3, 4, "✓ undo: 3 put back"),
}
"""How often each event has Meta write or validate, how many ad sets are other than before the day, and the mail.

Recheck and undo come after a live run of all seven, one of which has lost its lead form since.
"""


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_an_event_does_what_it_means(business: Business, runtime: LambdaRuntime, path: Path) -> None:
    """Each example is posted as it is; a new one needs its meaning here."""
    business.load("breaks late")
    if "recheck" in path.stem or "undo" in path.stem:
        runtime.invoke({**LIVE, "notify": False})
        business.sandbox.meta.settle()
        business.sandbox.meta.requests.clear()

    event = json.loads(path.read_text())
    if "plan_id" in event:  # the file has an example of one
        event["plan_id"] = runtime.invoke({"dry_run": True, "notify": False})["plan_id"]
    answer = runtime.invoke(event)

    assert answer["success"], answer
    assert (len(business.asked_to_write), len(business.changed), *business.subjects) == MEANINGS[path.stem]


def test_a_live_run(business: Business, runtime: LambdaRuntime) -> None:
    """Ad sets, answer, mail, metrics and log: everything that leaves the function is there and whole."""
    answer = runtime.invoke(LIVE)

    assert list(becomes_of(answer).values()).count("updated") == 7
    assert becomes_of(answer)["Refi - Lookalike"] == "unchanged"
    assert (answer["success"], answer["mail"]) == (True, "sent")
    assert business.states == business.wanted
    assert business.broken_ads == set()
    (mail,) = business.sandbox.aws.mails
    assert mail.html.startswith("<!doctype html>")
    assert not mail.text.startswith("<")
    assert all(name in part for name in ("Mortgage", "Truckers", "Veterans") for part in (mail.html, mail.text))
    lines = [json.loads(line) for line in runtime.lines]
    (metrics,) = (line for line in lines if "_aws" in line)
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "CLOSRADS"
    assert (metrics["RunSucceeded"], metrics["AdSetsUpdated"], metrics["stage"]) == ([1], [7], "sandbox")
    assert {line["run_id"] for line in lines if line is not metrics} == {answer["run_id"]}
    assert (lines[0]["message"], lines[-1]["message"]) == ("run.start", "run.end")


def test_a_run_in_steps(business: Business, runtime: LambdaRuntime) -> None:
    """As the workflow calls it: opened, campaign by campaign, and closed with the one report."""
    opened = runtime.invoke({"step": "open", **LIVE})
    slugs = [slug for account in opened["accounts"] for slug in account]
    run_id = opened["run_id"]
    parts = [runtime.invoke({"step": "part", "run_id": run_id, "campaigns": [slug]}) for slug in slugs]
    assert business.subjects == []

    closed = runtime.invoke({"step": "close", "run_id": run_id})

    assert [each["again_in_seconds"] for each in (*parts, closed)] == [None] * 4
    assert sum(each["adsets_updated"] for each in parts) == closed["adsets_updated"] == len(business.changed) == 7
    assert business.subjects == ["✓ 7 updated"]


def test_a_failed_run(business: Business, runtime: LambdaRuntime) -> None:
    """It counts as an error that names each campaign on a line of its own; the report is out by then."""
    business.load("dead token")

    answer = runtime.invoke(LIVE)

    assert answer["errorType"] == "SyncFailed"
    lines = answer["errorMessage"].split("\n")
    assert [line.partition(":")[0] for line in lines] == ["Mortgage", "Truckers", "Veterans"]
    assert all("[Meta 190/460]" in line and "meta/access_token" in line for line in lines)
    assert business.subjects == ["✗ Mortgage, Truckers, Veterans failed"]
    messages = [json.loads(line).get("message") for line in runtime.lines]
    assert messages.index("mail.sent") < messages.index("run.failed")
    assert business.sandbox.meta.token not in json.dumps(answer) + "".join(runtime.lines)
    assert business.changed == set()


def test_a_refused_event(business: Business, runtime: LambdaRuntime) -> None:
    """The error says what to do about each key, and nobody has been asked for anything."""
    answer = runtime.invoke({"dry_run": "false", "campaigns": ["veteran"]})

    assert answer["errorType"] == "EventError"
    assert answer["errorMessage"] == (
        "dry_run: must be true or false without quotes\n"
        "campaigns: 'veteran' is unknown; known are mortgage, truckers, veterans"
    )
    sandbox = business.sandbox
    assert (sandbox.meta.requests, sandbox.closrtech.requests) == ([], [])
    assert (sandbox.aws.ledger(), sandbox.aws.mails) == ([], [])


class TestTheEndOfItsTime:
    """A time-out of seconds instead of 15 minutes."""

    @pytest.fixture
    def runtime(self, start: Start, business: Business) -> Iterator[LambdaRuntime]:
        """Return a function whose time is short, warm: a run has all of it."""
        with start(seconds=SHORT) as runtime:
            runtime.invoke({"campaigns": ["mortgage"], "notify": False})
            business.sandbox.meta.requests.clear()
            yield runtime

    def test_a_run_ends_before_it_is_cut_off(self, business: Business, runtime: LambdaRuntime) -> None:
        """Meta stalls a write until the time is nearly up: it is settled, the rest is left, and the report goes out."""
        meta = business.sandbox.meta
        adset = next(adset.id for adset in meta.adsets.values() if adset.name == "Owner Operators")
        meta.fail(Reply(delivery=Delivery.STALLED), on=lambda asked: (asked.method, asked.path) == ("POST", adset))

        answer = runtime.invoke(LIVE)

        assert "campaigns" in answer, answer
        became = becomes_of(answer)
        assert (became["Owner Operators"], became["Company Drivers"]) == ("updated", "deferred")
        assert business.subjects == ["✓ 6 updated, 1 left for the next run"]
        deferred = {"Company Drivers": business.before["Company Drivers"]}
        assert business.states == business.wanted | deferred
        assert (business.broken_ads, business.open_changes) == (set(), [])

    def test_one_that_is_cut_off_is_taken_up_by_the_next(self, business: Business, runtime: LambdaRuntime) -> None:
        """The function freezes over a write and is killed; once its lease is over, the next run sees it through."""
        meta = business.sandbox.meta
        for ad in meta.ads.values():
            ad.breakage = Breakage.ordinary()

        def freeze(asked: Operation) -> None:
            if (asked.method, asked.kind) == ("POST", "adset"):
                os.kill(runtime.pid, signal.SIGSTOP)

        meta.on_request = freeze
        event = {**LIVE, "campaigns": ["veterans"]}

        assert runtime.invoke(event) == f"Task timed out after {SHORT}.00 seconds"

        meta.on_request = None
        (half_done,) = business.changed
        assert (business.open_changes, business.subjects) == (["prepared"], [])
        assert business.broken_ads != set()

        at_once = runtime.invoke(event)
        business.let_leases_run_out()
        later = runtime.invoke(event)

        assert at_once["left_to"] == later["recovered"][0]["run_id"]
        assert [(change["name"], change["state"]) for change in later["recovered"]] == [(half_done, "rolled_back")]
        assert set(becomes_of(later).values()) == {"updated"}
        assert business.changed == {"Broad 30+", "Lookalike - Closed Leads", "Spouses and Family"}
        assert all(business.states[name] == business.wanted[name] for name in business.changed)
        assert (business.broken_ads, business.open_changes) == (set(), [])
        assert len(business.subjects) == 1
        assert runtime.inits == 2


def test_a_warm_invocation_brings_nothing_along(business: Business, start: Start) -> None:
    """It needs no init and no parameters, and otherwise it is as if there had been none before it."""
    with start() as runtime:
        first = runtime.invoke({"campaigns": ["veterans"]})
        reads, exchanges = business.reads_of_parameters(), business.sandbox.meta.round_trips
        business.sandbox.closrtech.demand["VND_TRUCKER_LEADS"] = {"WY": 5, "TX": 9}
        second = runtime.invoke({"campaigns": ["truckers"], "force": ["max_removed_pct"]})

        assert (runtime.inits, reads, business.reads_of_parameters()) == (1, reads, reads)
        assert reads > 0
        assert [campaign["slug"] for campaign in second["campaigns"]] == ["truckers"]
        assert second["campaigns"][0]["active_states"] == ["TX", "WY"]
        assert (first["force"], second["force"]) == ([], ["max_removed_pct"])
        assert second["graph"]["round_trips"] == business.sandbox.meta.round_trips - exchanges
        lines = [json.loads(line) for line in runtime.lines]
        assert {line["run_id"] for line in lines if "_aws" not in line} == {second["run_id"]}
        assert first["run_id"] != second["run_id"]
        assert not any("veterans" in line for line in runtime.lines)


@pytest.mark.usefixtures("business")
def test_memory_stays_flat(runtime: LambdaRuntime) -> None:
    """What a run holds is let go with it: a container that lives for days does not grow with each invocation."""

    def run(times: int) -> float:
        for _ in range(times):
            assert runtime.invoke({})["success"]
        return runtime.resident_megabytes

    after_five, after_all = run(5), run(15)

    assert after_all - after_five < 2
