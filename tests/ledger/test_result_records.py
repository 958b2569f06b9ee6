"""What the ledger keeps of results: items of this version, of the one before, and for the one before."""

import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from closrads.domain.adset_results import AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.results import GraphUsage, RunResult
from closrads.domain.runs import CampaignProgress
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError
from closrads.ledger.records import progress_item, progress_of, result_item, run_record_of

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
KEPT_REPORT: dict[str, Any] = {
    "slug": "veterans",
    "campaign_name": "Veterans",
    "dry_run": False,
    "adsets": [
        {
            "id": "501",
            "name": "Broad",
            "result": "reverted",
            "added": ["FL"],
            "removed": ["TX"],
            "ads": 2,
            "issues": ["look"],
            "meta_campaign_id": "301",
        }
    ],
    "active_states": ["FL"],
    "unmapped_states": ["XX"],
    "campaign_errors": ["Boom"],
    "recovered": [
        {"run_id": "earlier", "id": "502", "name": "Narrow", "found": "written", "state": "rolled_back", "issues": []}
    ],
    "unexplained": [
        {
            "adset": "503",
            "name": "Old",
            "ads": [{"id": "601", "name": "Clip"}],
            "since": "2026-05-03T10:30:00+00:00",
        }
    ],
    "about_run": "",
    "left_to": "",
    "fb_ad_account_id": "act_111",
    "again_in_seconds": 60,
}
PROGRESS = CampaignProgress(
    SyncReport(
        "veterans",
        "Veterans",
        dry_run=False,
        adsets=(AdSetResult("501", "Broad", Result.REVERTED, ("FL",), ("TX",), 2, ("look",), "301"),),
        active_states=("FL",),
        unmapped_states=("XX",),
        campaign_errors=("Boom",),
        recovered=(Recovery("earlier", "502", "Narrow", ChangeState.WRITTEN, ChangeState.ROLLED_BACK),),
        unexplained=(UnexplainedPause("503", "Old", {"601": "Clip"}, datetime(2026, 5, 3, 10, 30, tzinfo=UTC)),),
        fb_ad_account_id="act_111",
        again_in_seconds=60,
    ),
    GraphUsage(3, 5, 7),
    is_over=False,
)


def packed(value: Any) -> bytes:
    """Return a value as items hold it."""
    return zlib.compress(json.dumps(value).encode())


def test_progress_is_kept_as_the_version_before_reads_it() -> None:
    """While a version is deployed, invocations of both work on one run; the older one passes over keys that are new."""
    item = progress_item("run", PROGRESS, NOW)

    kept = json.loads(zlib.decompress(item["report"]))
    (adset,), (pause,), (recovery,) = kept["adsets"], kept["unexplained"], kept["recovered"]
    assert (kept.pop("states_before"), adset.pop("missing"), adset.pop("extra")) == ([], [], [])
    assert (adset.pop("learning_since"), adset.pop("reaches_beyond")) == (None, False)
    assert (kept.pop("token_ends"), pause.pop("is_reported"), pause.pop("switched_on")) == ("", False, [])
    assert (pause.pop("seen_on"), pause.pop("on_again")) == ({}, {})
    assert (recovery.pop("is_reported"), adset.pop("is_reported")) == (False, False)
    assert (kept.pop("unmatched_patterns"), kept.pop("below_min_demand"), kept.pop("waiting")) == ([], [], [])
    assert (kept.pop("counts_anew"), kept.pop("refused")) == (False, "")
    assert kept == KEPT_REPORT
    assert item["graph"] == {"round_trips": 3, "operations": 5, "points": 7}


def test_drift_is_kept() -> None:
    """Of what the run has changed, and of what it found open; who has none takes no room for it."""
    drift = Drift(("GA",), ("OH",), "Jane Example", NOW)
    (adset,), (recovery,) = PROGRESS.report.adsets, PROGRESS.report.recovered
    report = replace(
        PROGRESS.report, adsets=(replace(adset, drift=drift), adset), recovered=(replace(recovery, drift=drift),)
    )
    item = progress_item("run", replace(PROGRESS, report=report), NOW)

    assert progress_of(item) == replace(PROGRESS, report=report)
    result = RunResult("run", Action.SYNC, False, NOW, 5, (report,))
    assert run_record_of(a_record(ended_at=NOW.isoformat(), result=result_item(result.to_json()))).result == result
    assert ["drift" in each for each in json.loads(zlib.decompress(item["report"]))["adsets"]] == [True, False]


def test_progress_that_the_version_before_kept_is_read() -> None:
    """DynamoDB gives its numbers back as decimals."""
    graph = {"round_trips": Decimal(3), "operations": Decimal(5), "points": Decimal(7)}
    item = {"report": packed(KEPT_REPORT), "graph": graph, "is_over": False}

    assert progress_of(item) == PROGRESS


@pytest.mark.parametrize("key", ["unexplained", "again_in_seconds", "fb_ad_account_id"])
def test_progress_may_lack_what_was_added_later(key: str) -> None:
    """Its default is what the older version meant."""
    report = {name: value for name, value in KEPT_REPORT.items() if name != key}
    found = progress_of({"report": packed(report), "graph": {}, "is_over": True})

    assert found is not None
    assert not getattr(found.report, key)


def a_record(**more: Any) -> dict[str, Any]:
    """Return the item of a run."""
    return {"sk": "run", "action": "sync", "campaigns": ["veterans"], "started_at": NOW.isoformat(), **more}


def test_a_record_has_the_result_as_a_value() -> None:
    """Whoever looks back reads what the run said, not its JSON."""
    result = RunResult("run", Action.SYNC, False, NOW, 5, (PROGRESS.report,))
    record = run_record_of(a_record(ended_at=NOW.isoformat(), result=result_item(result.to_json())))

    assert record.result == result


def test_a_run_without_an_end_has_no_result() -> None:
    """It died, or is at work."""
    assert run_record_of(a_record()).result is None


def test_a_record_that_this_version_cannot_read_is_named() -> None:
    """A newer version may have kept it, and been taken back since."""
    with pytest.raises(ClosradsError, match=r"Not the result of a run.*20260504T103000Z-0000aaaa"):
        run_record_of(a_record(result=packed({"run_id": "20260504T103000Z-0000aaaa", "action": "dance"})))
