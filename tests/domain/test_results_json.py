"""A run's result as JSON and back: for the ledger, for the commands, and across versions."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.adset_results import ERROR_RESULTS, MAX_ISSUES, AdSetResult, Recovery, Result
from closrads.domain.changes import ChangeState, UnexplainedPause
from closrads.domain.damping import WaitingState
from closrads.domain.drift import Drift
from closrads.domain.request import Action
from closrads.domain.results import GraphUsage, MailOutcome, RunResult, without_details
from closrads.domain.switches import SwitchedOff
from closrads.domain.sync_report import SyncReport
from closrads.errors import ClosradsError
from closrads.redaction import MAX_NAME_CHARS, one_line

texts = st.text(max_size=20)
several = st.lists(texts, max_size=MAX_ISSUES + 2).map(tuple)
moments = st.datetimes(timezones=st.just(UTC))
drifts = st.none() | st.builds(Drift, several, several, texts, st.none() | moments)
recoveries = st.builds(
    Recovery, texts, texts, texts, st.sampled_from(ChangeState), st.sampled_from(ChangeState), several, drift=drifts
)
adsets = st.builds(
    AdSetResult, texts, texts, st.sampled_from(Result), several, several, st.integers(0, 9), several, texts,
    several, several, st.booleans(), st.none() | st.just("") | moments.map(datetime.isoformat), st.booleans(), drifts,
)  # fmt: skip
pauses = st.builds(
    UnexplainedPause,
    texts,
    texts,
    st.dictionaries(texts, texts, max_size=2),
    moments,
    switched_on=st.frozensets(texts, max_size=2),
)
switches = st.builds(SwitchedOff, moments, texts, texts)
details: Mapping[str, st.SearchStrategy[Any]] = {
    "slug": texts,
    "campaign_name": texts,
    "dry_run": st.booleans(),
    "active_states": several,
    "unmapped_states": several,
    "below_min_demand": several,
    "waiting": st.lists(st.builds(WaitingState, texts, st.booleans(), st.dates(), st.dates()), max_size=2).map(tuple),
    "counts_anew": st.booleans(),
    "states_before": several,
    "campaign_errors": several,
    "refused": texts,
    "recovered": st.lists(recoveries, max_size=3).map(tuple),
    "unexplained": st.lists(pauses, max_size=2).map(tuple),
    "about_run": texts,
    "left_to": texts,
    "fb_ad_account_id": texts,
    "again_in_seconds": st.none() | st.integers(0),
    "unmatched_patterns": several,
    "token_ends": st.just("") | st.dates().map(str),
    "switched_off": st.none() | switches,
}
listed = st.builds(SyncReport, **details, adsets=st.lists(adsets, max_size=4).map(tuple))
omitting = st.builds(
    SyncReport,
    **details,
    omitted=st.dictionaries(
        st.sampled_from([result for result in Result if result not in ERROR_RESULTS - {Result.FAILED}]),
        st.integers(1, 5_000),
    ),
)
runs = st.builds(
    RunResult,
    run_id=texts,
    action=st.sampled_from(Action),
    dry_run=st.booleans(),
    started_at=moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
    duration_ms=st.integers(0),
    campaigns=st.lists(listed | omitting, max_size=3, unique_by=lambda campaign: campaign.slug).map(tuple),
    graph=st.builds(GraphUsage, st.integers(0), st.integers(0), st.integers(0)),
    mail=st.sampled_from(MailOutcome),
    mail_refused=st.lists(texts, max_size=2).map(tuple),
    force=st.frozensets(texts, max_size=2),
    left_to=texts,
    notices=several,
    switched_off=st.lists(switches, max_size=2).map(tuple),
    reason=st.sampled_from(["", "push"]),
    plan_id=texts,
    plan_refused=st.booleans(),
)

RUN: dict[str, Any] = {
    "run_id": "20260504T103000Z-0000aaaa",
    "action": "sync",
    "dry_run": False,
    "started_at": "2026-05-04T10:30:00.000Z",
    "duration_ms": 1500,
    "campaigns": [],
}
CAMPAIGN: dict[str, Any] = {"slug": "veterans", "campaign_name": "Veterans", "dry_run": False}


def as_read(value: Mapping[str, Any]) -> Any:
    """Return a JSON object as somebody else gets it."""
    return json.loads(json.dumps(value))


def test_every_field_is_drawn() -> None:
    """A new field that JSON does not carry is to fail the round trip, and not to hide behind its default."""
    assert {*details, "adsets", "omitted"} == {each.name for each in fields(SyncReport)}


@given(run=runs, another=st.booleans())
def test_a_result_comes_back_as_it_was(run: RunResult, *, another: bool) -> None:
    """Whatever it says, and also if a campaign failed that is no longer in it."""
    if another and run.success:
        run = replace(run, omitted_failed=True)

    assert RunResult.from_json(as_read(run.to_json())) == run


def test_a_result_with_everything_comes_back_as_it_was() -> None:
    """No value is what its field is without one, so that none can hide behind a default."""
    noon = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    drift = Drift(("FL",), ("GA",), "Ann Example", noon)
    adset = AdSetResult(
        "1", "Broad", Result.UNVERIFIED, ("FL",), ("GA",), 2, ("Not read",), "9", ("TX",), ("OH",),
        is_reported=True, learning_since=noon.isoformat(), reaches_beyond=True, drift=drift,
    )  # fmt: skip
    open_change = Recovery(
        "earlier", "1", "Broad", ChangeState.WRITTEN, ChangeState.ROLLBACK_FAILED, ("Refused",), is_reported=True,
        drift=drift,
    )  # fmt: skip
    pause = UnexplainedPause("2", "Narrow", {"21": "Video", "22": "Image"}, noon, switched_on=frozenset({"22"}))
    switch = SwitchedOff(noon, "veterans", "Veterans")
    listed = SyncReport(
        "veterans", "Veterans", True, (adset,), ("FL",), ("Guam",), ("WY",),
        (WaitingState("FL", True, noon.date(), noon.date() + timedelta(days=1)),), True, ("GA",), ("Stopped",),
        "It has become another one", (open_change,), (pause,), "earlier", "other", "act_111", 60, "2026-06-01",
        ("Test*",), switch,
    )  # fmt: skip
    plain = SyncReport("truckers", "Truckers", dry_run=False, omitted={Result.UPDATED: 2, Result.FAILED: 1})
    run = RunResult(
        "run", Action.UNDO, True, noon, 5, (listed, plain), GraphUsage(1, 2, 3), MailOutcome.SENT, ("a@example.test",),
        frozenset({"max_removed_pct"}), "other", ("Notice",), switched_off=(switch,), reason="push", plan_id="1f",
        plan_refused=True,
    )  # fmt: skip

    for value, rest in (
        (adset, ()),
        (open_change, ()),
        (listed, ("omitted",)),
        (run, ("api_days_left", "omitted_failed")),
    ):
        defaults = {each.name: each.default for each in fields(value) if each.name not in rest}
        assert not [name for name, default in defaults.items() if getattr(value, name) in (default, ())]
    assert RunResult.from_json(as_read(run.to_json())) == run


@given(run=runs)
def test_without_details_all_is_counted_as_before(run: RunResult) -> None:
    """Ad sets are gone, their numbers are not; of the errors the first are there; and nothing is lost a second time."""
    kept = as_read(without_details(run.to_json()))
    found = RunResult.from_json(kept)

    assert found.totals() == run.totals()
    assert sum(found.outcomes().values()) == sum(run.outcomes().values())
    for campaign, before in zip(found.campaigns, run.campaigns, strict=True):
        assert campaign.errors == tuple(map(one_line, before.errors[:MAX_ISSUES]))
        assert campaign.refused == one_line(before.refused)
    assert as_read(found.to_json()) == kept


def test_outcomes_are_counted_over_all_campaigns() -> None:
    """In the order of the results, which is how they are told."""
    some = (AdSetResult("1", "Broad", Result.REVERTED), AdSetResult("2", "Narrow", Result.UPDATED))
    one = SyncReport("veterans", "Veterans", dry_run=False, adsets=some)
    two = replace(one, slug="truckers", adsets=(), omitted={Result.UPDATED: 3})
    run = RunResult("run", Action.SYNC, False, datetime(2026, 5, 4, tzinfo=UTC), 5, (one, two))

    assert list(run.outcomes().items()) == [(Result.UPDATED, 4), (Result.REVERTED, 1)]


def test_a_failure_stays_one_without_its_campaigns() -> None:
    """The ledger keeps a run of too many campaigns without them."""
    assert not RunResult.from_json(RUN | {"success": False}).success
    assert RunResult.from_json(RUN | {"success": True}).success
    assert RunResult.from_json(RUN).success


def test_a_refused_plan_is_neither_a_success_nor_a_failure() -> None:
    """Also in what was kept of it, with its campaigns or without."""
    campaign = replace(SyncReport("veterans", "Veterans", dry_run=False), refused="It has become another one")
    start = datetime(2026, 5, 4, tzinfo=UTC)
    run = RunResult("run", Action.SYNC, False, start, 5, (campaign,), plan_id="1f", plan_refused=True)
    older = without_details(RUN | {"campaigns": [CAMPAIGN | {"errors": ["Refused: the plan is no longer the one"]}]})

    for kept in (run.to_json(), without_details(run.to_json()), run.to_json() | {"campaigns": []}):
        found = RunResult.from_json(as_read(kept))
        assert (found.success, found.has_failed, found.omitted_failed) == (False, False, False)
    assert RunResult.from_json(older).has_failed


def test_what_an_older_version_kept_has_defaults() -> None:
    """A history goes back for a year, and fields have been added since."""
    adset = {"id": "1", "name": "Broad", "result": "failed", "unheard_of": 1}
    errors = ["No demand", "Broad (1): failed"]
    run = RunResult.from_json(RUN | {"campaigns": [CAMPAIGN | {"adsets": [adset], "errors": errors}, CAMPAIGN]})

    report = SyncReport("veterans", "Veterans", dry_run=False)
    old = replace(report, adsets=(AdSetResult("1", "Broad", Result.FAILED),), campaign_errors=("No demand",))
    assert run.campaigns == (old, report)
    assert (run.mail, run.graph, run.left_to) == (MailOutcome.NOT_ASKED, GraphUsage(), "")


def test_a_pause_of_an_older_version_has_no_ads_that_are_on_again() -> None:
    """They were not kept then."""
    pause = {"adset_id": "2", "adset_name": "Narrow", "ads": [], "since": "2026-05-04T12:00:00+00:00"}
    run = RunResult.from_json(RUN | {"campaigns": [CAMPAIGN], "unexplained": [pause | {"campaign": "veterans"}]})

    assert run.campaigns[0].unexplained == (UnexplainedPause("2", "Narrow", {}, datetime(2026, 5, 4, 12, tzinfo=UTC)),)


def test_the_errors_of_a_campaign_itself_are_taken_as_they_are() -> None:
    """If they are given; they need not be told from those of its ad sets."""
    campaign = SyncReport.from_json(CAMPAIGN | {"campaign_errors": ["No demand"]})

    assert campaign.campaign_errors == ("No demand",)


def test_an_error_that_an_older_version_did_not_count_is_one_now() -> None:
    """It explains more errors than were kept, and takes none of another campaign for that."""
    adset = {"id": "1", "name": "Broad", "result": "superseded"}
    (campaign,) = RunResult.from_json(RUN | {"campaigns": [CAMPAIGN | {"adsets": [adset, adset, adset]}]}).campaigns

    assert campaign.errors == ("Broad (1): superseded",) * 3


@pytest.mark.parametrize(
    "value",
    [
        None,
        "sync",
        [],
        {},
        {"run_id": "20260504T103000Z-0000aaaa", "campaign": "veterans"},
        RUN | {"action": "dance"},
        RUN | {"started_at": "yesterday"},
        RUN | {"started_at": None},
        RUN | {"mail": "lost"},
        RUN | {"graph": {"points": "many"}},
        RUN | {"campaigns": None},
        RUN | {"campaigns": ["veterans"]},
        RUN | {"campaigns": [{"slug": "veterans"}]},
        RUN | {"campaigns": [CAMPAIGN | {"adsets": [{"id": "1", "name": "Broad", "result": "lost"}]}]},
        RUN | {"campaigns": [CAMPAIGN], "recovered": [{"campaign": "veterans"}]},
        RUN
        | {"campaigns": [CAMPAIGN | {"adsets": [{"id": "1", "name": "B", "result": "updated", "drift": {"by": 1}}]}]},
    ],
)
def test_what_is_no_result_is_refused(value: Any) -> None:
    """With the beginning of what is there in its place, and without a traceback for the operator."""
    with pytest.raises(ClosradsError, match="Not the result of a run") as caught:
        RunResult.from_json(value)
    assert str(value)[:25] in str(caught.value)


def test_of_what_is_no_result_only_the_beginning_is_quoted() -> None:
    """It may have megabytes."""
    with pytest.raises(ClosradsError) as caught:
        RunResult.from_json({"run_id": "7" * 5_000})
    assert "7" * 50 in str(caught.value)
    assert "7" * MAX_NAME_CHARS not in str(caught.value)


def test_its_start_is_read_in_utc() -> None:
    """And not in the zone of the machine."""
    run = RunResult.from_json(RUN | {"started_at": "2026-05-04T12:30:00+02:00"})

    assert run.started_at == datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    assert run.started_at.tzinfo is UTC
