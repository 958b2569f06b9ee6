"""`doctor` on the regions and on the version of the Graph API."""

import json
from datetime import date, timedelta

import pytest

from closrads.cli.doctor.findings import Verdict
from closrads.meta.graph import API_VERSION
from closrads.meta.versions import LIVES, SHORTEST_LIFE, VersionLife
from closrads.state_mapper import REGION_FILE
from sandbox import Sandbox, faults
from tests.cli.conftest import Call
from tests.cli.doctor.cases import Case, assert_named, found, meta
from tests.world import FakeTime

pytestmark = pytest.mark.usefixtures("empty_stack")


def moved_florida(sandbox: Sandbox) -> None:
    """Have Meta's search give Florida another key."""
    table = json.loads(REGION_FILE.read_text(encoding="utf-8"))
    table["FL"]["key"] = "1"
    rows = [{"key": each["key"], "name": each["name"], "country_code": "US"} for each in table.values()]
    sandbox.meta.fail(faults.answer({"data": rows}), on="GET search")


BROKEN: dict[str, Case] = {
    "the regions are others": (moved_florida, "regions", Verdict.FAILED, "FL: the file has", "check_regions --write"),
    "the regions cannot be read": (
        lambda sandbox: sandbox.meta.fail(faults.UNKNOWN_ERROR, on="GET search", times=None),
        "regions",
        Verdict.FAILED,
        "[Meta 1]",
        "try again",
    ),
    "the version ends": (
        meta(version_warning="v26.0 calls are upgraded to v27.0"),
        f"Graph API {API_VERSION}",
        Verdict.FAILED,
        "upgraded to v27.0",
        "changelog",
    ),
    "the version is gone": (
        lambda sandbox: sandbox.meta.fail(
            faults.error(2635, None, "The version is gone"), on=lambda operation: operation.params.get("fields") == "id"
        ),
        f"Graph API {API_VERSION}",
        Verdict.FAILED,
        "The version is gone",
        "changelog",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_the_graph_api(call: Call, business: Sandbox, name: str) -> None:
    """One line says what is wrong and how to repair it."""
    assert_named(BROKEN[name], call, business)


@pytest.mark.parametrize(("days", "verdict"), [(119, "warning"), (120, "ok")])
def test_a_version_that_is_expected_to_end_soon_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, call: Call, fake_time: FakeTime, days: int, verdict: str
) -> None:
    """Meta says nothing before the end, so the shortest life of a version has to do, from the alarm's day on."""
    released = fake_time.clock.now().date() + timedelta(days) - SHORTEST_LIFE
    monkeypatch.setitem(LIVES, API_VERSION, VersionLife(released))

    status, findings = found(call)

    assert (status, findings[f"Graph API {API_VERSION}"]["verdict"]) == (0, verdict)
    assert f"in about {days} days" in findings[f"Graph API {API_VERSION}"]["said"]


@pytest.mark.parametrize(
    ("days", "verdict"), [(-1, "failed"), (30, "failed"), (31, "warning"), (119, "warning"), (120, "ok")]
)
def test_an_announced_end_counts_more_than_the_age(
    monkeypatch: pytest.MonkeyPatch, call: Call, fake_time: FakeTime, days: int, verdict: str
) -> None:
    """The day is said while it is far away, and becomes a failure when it is near."""
    today = fake_time.clock.now().date()
    life = VersionLife(today - timedelta(days=301), today + timedelta(days=days))
    monkeypatch.setitem(LIVES, API_VERSION, life)

    finding = found(call)[1][f"Graph API {API_VERSION}"]

    assert finding["verdict"] == verdict
    assert f"{today + timedelta(days=days)}, {days} days from today" in finding["said"]


def test_the_release_of_the_version_in_use_is_known() -> None:
    """Who raises API_VERSION writes down when it came out."""
    assert LIVES[API_VERSION].released > date(2026, 1, 1)
