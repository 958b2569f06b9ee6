"""What is done with Meta: reading ad sets, checking ads, and the four layers around a change of the regions."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads import facebook_client
from closrads.domain.adsets import Ad, AdFinding, AdHealth, AdIssue, AdSetSnapshot
from closrads.domain.changes import Change, ChangeState
from closrads.domain.health import Protected, check_ad_health, still_to_protect
from closrads.domain.request import Action
from closrads.domain.results import Result
from closrads.domain.targeting import _build_new_targeting, region_keys
from closrads.errors import (
    AdSetChangedError,
    ClosradsError,
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaOutcomeUnknownError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.facebook_client import (
    RepublishFailure,
    Rollback,
    Undoing,
    get_active_adsets,
    read_ads,
    refresh,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    validate_adset_geo,
    verify_ads_after_republish,
)
from closrads.meta.targeting_write import Written
from closrads.state_mapper import Region, build_fb_regions
from sandbox import Breakage, faults
from sandbox.meta.breakage import MISSING_LEAD_FORM, SOFT_WARNING
from sandbox.server import Reply
from tests.world import MORTGAGE_1, START, VETERANS, World, ids

WANTED = build_fb_regions(["FL", "GA", "OH"])
KEYS = {region["key"] for region in WANTED}
BY_HAND = {"age_min": 21}
IN_CALIFORNIA = {"geo_locations": {"regions": build_fb_regions(["CA"]), "location_types": ["home", "recent"]}}


@pytest.fixture
def adset(world: World) -> str:
    """Give the id of the only ad set, which targets Texas and has two healthy ads."""
    world.campaign("FL GA OH")
    return world.adset("Broad", "TX")


def snapshot(world: World) -> AdSetSnapshot:
    """Read the only ad set, and forget that it was read."""
    (found,) = world.snapshots()
    world.meta.requests.clear()
    return found


def update(world: World, before: AdSetSnapshot) -> Written:
    """Write the wanted regions, and forget that they were written."""
    written = update_adset_geo(world.api(), before, WANTED)
    world.meta.requests.clear()
    return written


def republish(world: World, before: AdSetSnapshot) -> tuple[RepublishFailure, ...]:
    """Re-publish the ads of the only ad set."""
    return republish_ads(world.api(), [before])[before.id]


def verify(world: World, before: AdSetSnapshot, wait_seconds: float = 3) -> tuple[AdFinding, ...]:
    """Look at the ads of the only ad set."""
    return verify_ads_after_republish(world.api(), [before], wait_seconds)[before.id]


def roll_back(world: World, before: AdSetSnapshot, written: Written | None, wait_seconds: float = 3) -> Rollback:
    """Put the only ad set back."""
    return rollback_geo(world.api(), [Undoing(before, WANTED, written)], wait_seconds)[before.id]


def targeting_on_the_wire(world: World) -> list[Any]:
    """Give the targeting of each write that was sent, as it was sent."""
    return [
        json.loads(operation.params["targeting"])
        for operation in world.meta.operations
        if operation.method == "POST" and "targeting" in operation.params
    ]


def calls(world: World) -> list[str]:
    """Give what was asked of Meta, in order."""
    return [f"{operation.method} {operation.kind}" for operation in world.meta.operations]


def calls_from_the_first_write(world: World) -> list[str]:
    """Give what was asked of Meta from the first write on."""
    made = calls(world)
    return made[made.index("POST adset") :]


def with_regions(targeting: Mapping[str, Any], regions: Sequence[Region] = WANTED) -> dict[str, Any]:
    """Give targeting as Meta shows it after a change of the regions and nothing else."""
    by_name = sorted(map(dict, regions), key=lambda region: str(region["name"]))
    return {**targeting, "geo_locations": {**targeting["geo_locations"], "regions": by_name}}


def healths(findings: Sequence[AdFinding]) -> list[AdHealth]:
    """Give how each ad does."""
    return [finding.health for finding in findings]


def look_after_the_write(world: World) -> Callable[[Any], bool]:
    """Give a matcher of the reads of an ad set that come after a write of it."""
    return lambda call: f"{call.method} {call.kind}" == "GET adset" and "POST adset" in calls(world)


def person_comes_after_the_write(world: World, adset: str, changes: Mapping[str, Any]) -> None:
    """Have somebody change the ad set between our write and the next call."""
    seen: list[str] = []

    def watch(call: Any) -> None:
        seen.append(f"{call.method} {call.kind}")
        if seen[-2:-1] == ["POST adset"] and seen.count("POST adset") == 1:
            world.meta.change_by_hand(adset, changes)

    world.meta.on_request = watch


# --- reading


def test_active_adsets_are_read_and_those_that_would_vanish(world: World) -> None:
    """Ad sets in process and with issues come with their status; paused and archived ones do not come."""
    world.campaign("FL")
    for status in ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED"):
        world.adset(status, status=status)
    for status in ("IN_PROCESS", "WITH_ISSUES", "CAMPAIGN_PAUSED", "PENDING_REVIEW"):
        world.adset(status, effective_status=status)

    found = world.snapshots()

    assert {(each.name, each.effective_status) for each in found} == {
        ("ACTIVE", "ACTIVE"),
        ("IN_PROCESS", "IN_PROCESS"),
        ("WITH_ISSUES", "WITH_ISSUES"),
    }


def test_a_meta_campaign_costs_two_reads(world: World) -> None:
    """One list of ad sets and one of ads, however many ad sets there are."""
    world.campaign("FL")
    for number in range(30):
        world.adset(f"Ad set {number}", ads=4)

    found = world.snapshots()

    assert [len(each.ads) for each in found] == [4] * 30
    assert sorted(calls(world)) == ["GET ads", "GET adsets"]


@pytest.mark.parametrize(("page_size", "empty_pages"), [(1, 0), (2, 1), (3, 2)])
def test_every_page_of_both_lists_is_read(world: World, page_size: int, empty_pages: int) -> None:
    """An ad on a page that was skipped would be neither checked nor re-published."""
    world.campaign("FL")
    expected = {world.adset(f"Ad set {number}", ads=number) for number in range(7)}
    world.meta.page_size, world.meta.empty_pages = page_size, empty_pages

    found = world.snapshots()

    assert {each.id for each in found} == expected
    for each in found:
        assert [ad.id for ad in each.ads] == [ad.id for ad in world.meta.ads_of(each.id)]


def test_a_full_campaign_is_read_to_the_end(world: World) -> None:
    """More ads than fit on one page of the size that is asked for, fifty of them in each ad set."""
    world.campaign("FL")
    for number in range(5):
        world.adset(f"Ad set {number}", ads=50)

    assert [len(each.ads) for each in world.snapshots()] == [50] * 5


def test_ads_are_given_to_their_own_ad_set(world: World) -> None:
    """An ad set without ads has none, and another Meta campaign's are not read."""
    world.campaign("FL", meta_campaigns=[VETERANS, MORTGAGE_1])
    world.adset("Elsewhere", campaign=MORTGAGE_1)
    named = {"One": 1, "None": 0, "Three": 3}
    for name, ads in named.items():
        world.adset(name, ads=ads)

    found = {each.name: each for each in world.snapshots()}

    assert {name: len(each.ads) for name, each in found.items()} == named
    assert [ad.name for ad in found["Three"].ads] == ["Three: ad 1", "Three: ad 2", "Three: ad 3"]
    assert {each.meta_campaign_id for each in found.values()} == {VETERANS}


def test_archived_ads_are_left_out(world: World, adset: str) -> None:
    """They cannot be re-published and must not look lost."""
    for status in ("ARCHIVED", "DELETED", "PAUSED"):
        world.meta.add_ad(adset, status, status)

    assert [ad.status for ad in snapshot(world).ads] == ["ACTIVE", "ACTIVE", "PAUSED"]


def test_the_targeting_is_kept_as_it_came(world: World, adset: str) -> None:
    """Keys with null values and computed ones included: typed objects would lose them."""
    found = snapshot(world)

    assert found.targeting == world.meta.targeting(adset)
    assert found.targeting["user_age_unknown"] is None


def test_the_order_is_always_the_same(world: World) -> None:
    """By id, whatever the order of Meta's list."""
    world.campaign("FL")
    for adset_id in ("120900000000000001", "120200000000000003", "120500000000000002"):
        world.adset(adset_id, adset_id=adset_id)

    assert [each.id for each in world.snapshots()] == sorted(world.meta.adsets)


def test_a_campaign_without_ad_sets_is_no_error(world: World) -> None:
    """There is nothing to do."""
    world.campaign("FL")

    assert world.snapshots() == []


ADSET_ROW = {"id": "1", "name": "A", "effective_status": "ACTIVE", "targeting": {}}
AD_ROW = {"id": "11", "adset_id": "1", "name": "Ad", "status": "ACTIVE", "effective_status": "ACTIVE"}


def without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Give a row that lacks a key."""
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize(
    ("adset_row", "ad_row"),
    [
        *[
            pytest.param(without(ADSET_ROW, key), AD_ROW, id=f"ad set without {key}")
            for key in ADSET_ROW
            if key != "name"
        ],
        *[pytest.param(ADSET_ROW, without(AD_ROW, key), id=f"ad without {key}") for key in AD_ROW if key != "name"],
        pytest.param({**ADSET_ROW, "targeting": None}, AD_ROW, id="targeting null"),
        pytest.param({**ADSET_ROW, "id": 1}, AD_ROW, id="id a number"),
        pytest.param({**ADSET_ROW, "id": ""}, AD_ROW, id="id empty"),
        pytest.param(None, AD_ROW, id="no ad set"),
        pytest.param(ADSET_ROW, None, id="no ad"),
        pytest.param(ADSET_ROW, {**AD_ROW, "issues_info": {"data": []}}, id="issues no list"),
        pytest.param(ADSET_ROW, {**AD_ROW, "issues_info": ["3390001"]}, id="issues no objects"),
    ],
)
def test_a_row_that_lacks_what_is_needed_is_refused(world: World, adset_row: Any, ad_row: Any) -> None:
    """A guess at what is not there could wake a paused ad or wipe a targeting."""
    world.campaign("FL")
    world.meta.fail(faults.answer({"data": [adset_row]}), on="GET adsets", times=None)
    world.meta.fail(faults.answer({"data": [ad_row]}), on="GET ads", times=None)

    with pytest.raises(MetaError):
        world.snapshots()


def test_what_has_no_name_goes_by_its_id(world: World) -> None:
    """A name is for people only; its lack is no reason to leave an ad set out."""
    world.campaign("FL")
    world.meta.fail(faults.answer({"data": [without(ADSET_ROW, "name")]}), on="GET adsets")
    world.meta.fail(faults.answer({"data": [without(AD_ROW, "name")]}), on="GET ads")

    (found,) = world.snapshots()

    assert (found.name, found.ads[0].name) == ("1", "11")


@pytest.mark.parametrize("on", ["GET adsets", "GET ads"])
@pytest.mark.parametrize("reply", ids([("down", faults.SERVICE_UNAVAILABLE), ("refused", faults.OBJECT_MISSING)]))
def test_half_a_picture_is_no_picture(world: World, adset: str, on: str, reply: Reply) -> None:
    """Where one of both lists cannot be read, nothing is handed out."""
    assert adset
    world.meta.fail(reply, on=on, times=None)

    with pytest.raises(MetaError):
        world.snapshots()


def test_a_campaign_that_is_not_there_is_refused(world: World) -> None:
    """A wrong id in the settings is said, not taken for an empty campaign."""
    with pytest.raises(MetaInvalidError, match="100/33"):
        get_active_adsets(world.api(), "999")


def test_a_snapshot_knows_when_its_reading_began(world: World, adset: str) -> None:
    """However long it took."""
    assert adset
    world.slow_down(4)

    assert snapshot(world).read_at == START


# --- layer 1: health


def issue(code: Any = 2446289, kind: str | None = "HARD_ERROR", text: str = "Post not available") -> dict[str, Any]:
    """Give an entry of `issues_info`."""
    entry = {"level": "AD", "error_code": code, "error_summary": text, "error_message": text, "error_type": kind}
    return {key: value for key, value in entry.items() if value is not None}


FIT: list[Any] = ids(
    [
        ("active", {}),
        ("paused by a person", {"status": "PAUSED"}),
        *[
            (status, {"effective_status": status})
            for status in (
                *("ADSET_PAUSED", "CAMPAIGN_PAUSED"),
                *("PENDING_REVIEW", "IN_PROCESS", "PREAPPROVED", "PENDING_BILLING_INFO"),
            )
        ],
        ("soft error", {"issues": [SOFT_WARNING]}),
        ("error without a type", {"issues": [issue(kind=None)]}),
        ("error without code and type", {"issues": [issue(None, None)]}),
        ("pending with a soft error", {"effective_status": "PENDING_REVIEW", "issues": [SOFT_WARNING]}),
        ("feedback on a running ad", {"review_feedback": {"global": {"SOME_POLICY": "Fine now"}}}),
    ]
)
UNFIT: list[Any] = [
    pytest.param({"issues": [MISSING_LEAD_FORM]}, "Choose a form for this ad", id="missing lead form"),
    pytest.param({"issues": [issue(3390001, None)]}, "3390001", id="missing lead form without a type"),
    pytest.param({"issues": [issue("3390001", None)]}, "3390001", id="missing lead form as text"),
    pytest.param({"issues": [issue(3390001, "SOFT_ERROR")]}, "3390001", id="missing lead form called soft"),
    pytest.param({"effective_status": "WITH_ISSUES"}, "WITH_ISSUES", id="issues without a reason"),
    pytest.param(
        {"effective_status": "WITH_ISSUES", "issues": [SOFT_WARNING]}, "Audience may be too narrow", id="soft issues"
    ),
    pytest.param(
        {"effective_status": "ACTIVE", "issues": [issue()]},
        "Post not available (#2446289)",
        id="hard error while active",
    ),
    pytest.param(
        {"effective_status": "PENDING_REVIEW", "issues": [issue()]}, "Post not available", id="hard error in review"
    ),
    pytest.param({"issues": [SOFT_WARNING, issue()]}, "Post not available", id="hard error after a soft one"),
    pytest.param({"effective_status": "DISAPPROVED"}, "DISAPPROVED", id="disapproved without a reason"),
    pytest.param(
        {
            "effective_status": "DISAPPROVED",
            "review_feedback": {
                "global": {"SOME_POLICY": "No shouting"},
                "placement_specific": {"facebook": {"OTHER_POLICY": "No running"}},
            },
        },
        "SOME_POLICY: No shouting; OTHER_POLICY: No running",
        id="disapproved",
    ),
]


@pytest.mark.parametrize("ad", FIT)
def test_an_ad_that_is_not_broken_keeps_nothing_from_changing(world: World, adset: str, ad: dict[str, Any]) -> None:
    """Pauses, reviews and warnings are not damage."""
    world.meta.add_ad(adset, "Spring", **ad)

    assert check_ad_health(snapshot(world)) == ()


@pytest.mark.parametrize(("ad", "text"), UNFIT)
def test_a_broken_ad_is_named_with_metas_reason(world: World, adset: str, ad: dict[str, Any], text: str) -> None:
    """The report has the ad's name, its id and what Meta says."""
    ad_id = world.meta.add_ad(adset, "Spring", **ad)

    (finding,) = check_ad_health(snapshot(world))

    assert (finding.health, finding.ad.id) == (AdHealth.BROKEN, ad_id)
    assert str(finding).startswith(f"Ad “Spring” ({ad_id}): ")
    assert text in str(finding)


def test_a_status_that_is_new_is_not_taken_for_health(world: World) -> None:
    """Meta adds statuses; what one means is not ours to guess."""
    world.campaign("FL")
    world.meta.fail(faults.answer({"data": [ADSET_ROW]}), on="GET adsets")
    world.meta.fail(faults.answer({"data": [{**AD_ROW, "effective_status": "SLEEPING"}]}), on="GET ads")

    (finding,) = check_ad_health(snapshot(world))

    assert finding.health is AdHealth.UNREADABLE
    assert "SLEEPING" in str(finding)


def test_each_broken_ad_is_named(world: World, adset: str) -> None:
    """One broken ad hides no other."""
    for name in ("Spring", "Autumn"):
        world.meta.add_ad(adset, name, issues=[MISSING_LEAD_FORM])

    assert [finding.ad.name for finding in check_ad_health(snapshot(world))] == ["Spring", "Autumn"]


# --- the new targeting

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["age_min", "user_age_unknown", "targeting_automation", "excluded_geo_locations", "effective", "geo", "regions"]
) | st.text(max_size=6).filter(lambda name: not name.startswith("effective_") and name != "geo_locations")
GEO = st.dictionaries(
    st.sampled_from(["regions", "location_types", "countries", "cities"]) | st.text(max_size=5), JSON, max_size=4
)
TARGETINGS = st.builds(
    lambda rest, computed, geo: {**rest, **computed, **geo},
    st.dictionaries(NAMES, JSON, max_size=6),
    st.dictionaries(st.text(max_size=5).map("effective_{}".format), JSON, max_size=3),
    st.just({}) | st.fixed_dictionaries({"geo_locations": st.none() | GEO}),
)
REGIONS = st.lists(st.sampled_from(["AL", "DC", "FL", "OH", "WY"]), min_size=1, unique=True).map(build_fb_regions)


@given(TARGETINGS, REGIONS)
def test_only_the_regions_change(targeting: dict[str, Any], regions: list[Region]) -> None:
    """All other keys stay, null values and unknown ones included; what Meta computes is not sent back."""
    new = _build_new_targeting(targeting, regions)

    kept = {key: value for key, value in targeting.items() if not key.startswith("effective_")}
    assert new.pop("geo_locations") == {**(kept.pop("geo_locations", None) or {}), "regions": regions}
    assert new == kept


@given(TARGETINGS, REGIONS)
def test_the_old_targeting_is_not_touched(targeting: dict[str, Any], regions: list[Region]) -> None:
    """What a rollback needs shares nothing with what is written, at any depth."""
    before, wanted = copy.deepcopy(targeting), copy.deepcopy(regions)

    new = _build_new_targeting(targeting, regions)
    scribble(new)

    assert (targeting, regions) == (before, wanted)


def scribble(value: Any) -> None:
    """Change every list and object in a JSON value."""
    if isinstance(value, list | dict):
        for each in [*value.values()] if isinstance(value, dict) else [*value]:
            scribble(each)
        value.clear()


@given(TARGETINGS, REGIONS, REGIONS)
def test_the_last_regions_count(targeting: dict[str, Any], first: list[Region], last: list[Region]) -> None:
    """Building on what was built gives the same as building at once, so equal demand gives equal bytes."""
    assert _build_new_targeting(_build_new_targeting(targeting, first), last) == _build_new_targeting(targeting, last)


# --- the update


def test_an_update_changes_the_regions_and_nothing_else(world: World, adset: str) -> None:
    """Meta has the new regions, and all else as it was."""
    before = snapshot(world)

    written = update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == with_regions(before.targeting)
    assert written.targeting == world.meta.targeting(adset)
    assert world.written_adsets() == [adset]


def test_what_is_sent_keeps_null_values_and_has_no_computed_keys(world: World, adset: str) -> None:
    """The whole object is replaced by what is sent, so what is left out would be lost."""
    world.meta.adsets[adset].targeting["unheard_of"] = {"deep": [None, {"deeper": None}]}
    before = snapshot(world)

    update_adset_geo(world.api(), before, WANTED)

    (sent,) = targeting_on_the_wire(world)
    assert (sent["user_age_unknown"], sent["unheard_of"]) == (None, {"deep": [None, {"deeper": None}]})
    assert [key for key in sent if key.startswith("effective_")] == []
    assert [region["key"] for region in sent["geo_locations"]["regions"]] == sorted(KEYS)


LOST = ids(
    [
        ("dropped", faults.DROPPED),
        ("truncated", faults.TRUNCATED),
        ("502 page", faults.BAD_GATEWAY_HTML),
        ("502 page that says success", faults.BAD_GATEWAY_SUCCESS),
        ("200 empty", faults.OK_EMPTY),
        ("200 page", faults.OK_HTML),
        ("success false", faults.SUCCESS_FALSE),
        ("503", faults.SERVICE_UNAVAILABLE),
        ("unknown error", faults.UNKNOWN_ERROR),
        ("408 page", faults.html(408, "Request Timeout")),
    ]
)


@pytest.mark.parametrize("reply", LOST)
def test_a_write_whose_answer_was_lost_is_not_repeated(world: World, adset: str, reply: Reply) -> None:
    """It arrived: Meta is asked, and what it has is gone on from."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset", applied=True)

    written = update_adset_geo(world.api(), before, WANTED)

    assert written.targeting == world.meta.targeting(adset) == with_regions(before.targeting)
    assert calls_from_the_first_write(world) == ["POST adset", "GET adset"]


@pytest.mark.parametrize("reply", LOST)
def test_a_write_that_was_lost_itself_is_repeated(world: World, adset: str, reply: Reply) -> None:
    """It did not arrive: Meta is asked, and it is written again."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset")

    written = update_adset_geo(world.api(), before, WANTED)

    assert written.targeting == world.meta.targeting(adset) == with_regions(before.targeting)
    assert (world.written_adsets(), world.time.waits) == ([adset], [5])


def test_a_write_that_never_arrives_is_given_up(world: World, adset: str) -> None:
    """After three lost answers nothing shows, and that proves nothing: a read may be older than a write."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", times=None)

    with pytest.raises(MetaOutcomeUnknownError):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == before.targeting
    assert (calls(world).count("POST adset"), world.time.waits) == (3, [5, 10])


def test_the_last_attempt_may_have_arrived_too(world: World, adset: str) -> None:
    """Also after the third lost answer Meta is asked before anything is said."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", times=2)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=True)

    assert region_keys(update_adset_geo(world.api(), before, WANTED).targeting) == KEYS
    assert world.meta.targeting(adset) == with_regions(before.targeting)


@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
def test_without_time_for_another_attempt_it_is_still_looked_up(world: World, adset: str, *, applied: bool) -> None:
    """No wait touches what the later layers need, but what became of the write is found out."""
    before = snapshot(world)
    world.time.deadline = world.time.seconds() + 64
    world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)

    if applied:
        assert region_keys(update_adset_geo(world.api(), before, WANTED, reserve=60).targeting) == KEYS
    else:
        with pytest.raises(MetaOutcomeUnknownError):
            update_adset_geo(world.api(), before, WANTED, reserve=60)

    assert (calls(world).count("POST adset"), world.time.waits) == (1, [])
    assert world.meta.targeting(adset) == (with_regions(before.targeting) if applied else before.targeting)


CHANGES = ids([("the regions", IN_CALIFORNIA), ("something else", BY_HAND)])
"""What a person in Ads Manager changes meanwhile."""


@pytest.mark.parametrize("changes", CHANGES)
def test_a_change_by_hand_after_a_lost_write_is_not_overwritten(
    world: World, adset: str, changes: dict[str, Any]
) -> None:
    """The write did not arrive, and meanwhile a person came."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset")
    person_comes_after_the_write(world, adset, changes)

    with pytest.raises(AdSetChangedError):
        update_adset_geo(world.api(), before, WANTED)

    assert (world.meta.targeting(adset), world.written_adsets()) == ({**before.targeting, **changes}, [])


@pytest.mark.parametrize("states", [{"CA"}, {"CA", "FL", "GA", "OH"}, {"FL"}], ids=["others", "more", "fewer"])
def test_a_change_by_hand_after_a_write_that_arrived_is_not_overwritten(
    world: World, adset: str, states: set[str]
) -> None:
    """The answer was lost, and what is there now is neither what it was nor what was written."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
    person_comes_after_the_write(world, adset, {"geo_locations": {"regions": build_fb_regions(states)}})

    with pytest.raises(AdSetChangedError):
        update_adset_geo(world.api(), before, WANTED)

    assert (world.meta.states(adset), world.written_adsets()) == (states, [adset])


@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("down", faults.SERVICE_UNAVAILABLE),
            ("dropped", faults.DROPPED),
            ("dead token", faults.TOKEN_INVALID),
            ("throttled", faults.throttled_account(900)),
            ("empty", faults.OK_EMPTY_OBJECT),
        ]
    ),
)
def test_a_write_that_cannot_be_looked_up_is_of_unknown_outcome(
    world: World, adset: str, reply: Reply, *, applied: bool
) -> None:
    """It is neither called done nor called not done, nor is it sent again blindly."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)
    world.meta.fail(reply, on=look_after_the_write(world), times=None)

    with pytest.raises(MetaOutcomeUnknownError):
        update_adset_geo(world.api(), before, WANTED)

    assert len(targeting_on_the_wire(world)) == 1
    assert world.meta.states(adset) == ({"FL", "GA", "OH"} if applied else {"TX"})


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(faults.INTEREST_RETIRED, MetaInvalidError, id="data"),
        pytest.param(faults.LOCATION_RESTRICTED, MetaInvalidError, id="location"),
        pytest.param(faults.TOKEN_EXPIRED, MetaAccessError, id="token"),
        pytest.param(faults.PERMISSION_MISSING, MetaAccessError, id="permission"),
        pytest.param(faults.POLICY_BLOCK, MetaPolicyError, id="policy"),
        pytest.param(faults.ABUSE_PREVENTION, MetaPolicyError, id="abuse prevention"),
    ],
)
def test_a_refused_write_is_not_repeated(world: World, adset: str, reply: Reply, kind: type[MetaError]) -> None:
    """It was not done, and would be refused again."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset", times=None)

    with pytest.raises(MetaError) as caught:
        update_adset_geo(world.api(), before, WANTED)

    assert type(caught.value) is kind
    assert (calls_from_the_first_write(world), world.time.waits) == (["POST adset"], [])
    assert world.meta.targeting(adset) == before.targeting


def test_metas_own_refusal_leaves_the_ad_set_as_it_was(world: World) -> None:
    """A location type that can be read and not be written any more."""
    world.campaign("FL")
    adset = world.adset()
    world.meta.adsets[adset].targeting["geo_locations"]["location_types"] = ["home"]
    before = snapshot(world)

    with pytest.raises(MetaInvalidError, match="100/1870199"):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == before.targeting


def test_targeting_that_states_contradict_is_not_sent(world: World) -> None:
    """The guard stands at the write too, whoever calls it."""
    world.campaign("FL")
    geo = {"countries": ["US"], "location_types": ["home", "recent"]}
    world.meta.add_adset(VETERANS, "Broad", targeting={"geo_locations": geo})
    before = snapshot(world)

    with pytest.raises(MetaInvalidError, match="the whole country"):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.requests == []


def test_the_same_states_are_not_written(world: World) -> None:
    """Each write restarts learning, so one that changes nothing is none."""
    world.campaign("FL")
    world.adset(states="OH GA FL")
    before = snapshot(world)

    assert update_adset_geo(world.api(), before, WANTED).targeting == before.targeting
    assert world.meta.requests == []


@pytest.mark.parametrize("reply", ids([("plain", faults.TOO_MANY_MUTATIONS), ("stated", faults.throttled_use_case(3))]))
def test_a_throttled_write_is_not_repeated_with_an_old_snapshot(world: World, adset: str, reply: Reply) -> None:
    """A rate limit says that nothing was done; in the minutes of a wait a person may come, so the caller looks anew."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset")

    with pytest.raises(MetaRateLimitError):
        update_adset_geo(world.api(), before, WANTED)

    assert calls(world) == ["POST adset"]
    assert (world.time.waits, world.meta.targeting(adset)) == ([], before.targeting)


def test_a_block_that_outlasts_the_invocation_is_not_waited_for(world: World, adset: str) -> None:
    """The ad set is as it was, and the caller knows how long the block lasts."""
    before = snapshot(world)
    world.meta.fail(faults.throttled_use_case(60), on="POST adset", times=None)

    with pytest.raises(MetaRateLimitError) as caught:
        update_adset_geo(world.api(), before, WANTED)

    assert (caught.value.retry_after, world.time.waits) == (3600, [])
    assert world.meta.targeting(adset) == before.targeting


def test_a_server_that_ignores_the_fields_is_asked_again(world: World, adset: str) -> None:
    """A bare flag in answer to a write does not say what Meta has made of it."""
    world.meta.adsets[adset].targeting["messenger_positions"] = ["story", "sponsored_messages"]  # drops the first
    before = snapshot(world)
    world.meta.fail(faults.answer({"success": True}), on="POST adset", applied=True)

    written = update_adset_geo(world.api(), before, WANTED)

    assert written.targeting == world.meta.targeting(adset)
    assert written.targeting["messenger_positions"] == ["sponsored_messages"]


def test_a_write_that_is_confirmed_and_not_made_is_not_called_made(world: World, adset: str) -> None:
    """Meta says success and has the old regions: whoever reports an update then is wrong."""
    before = snapshot(world)
    world.meta.fail(faults.answer({"success": True}), on="POST adset", times=None)

    with pytest.raises(ClosradsError):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == before.targeting


@pytest.mark.parametrize("reply", LOST)
@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
def test_without_patience_a_lost_answer_is_looked_up_at_once_and_once(
    world: World, adset: str, reply: Reply, *, applied: bool
) -> None:
    """Others wait for their re-publish: what does not show at the first look is of unknown outcome for now."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset", applied=applied)

    if applied:
        written = update_adset_geo(world.api(), before, WANTED, patient=False)
        assert written.targeting == world.meta.targeting(adset)
    else:
        with pytest.raises(MetaOutcomeUnknownError):
            update_adset_geo(world.api(), before, WANTED, patient=False)

    assert calls(world) == ["POST adset", "GET adset"]
    assert world.time.waits == []


@pytest.mark.parametrize(
    "reply", ids([("down", faults.SERVICE_UNAVAILABLE), ("throttled", faults.throttled_account(60))])
)
def test_without_patience_not_even_the_look_is_waited_for(world: World, adset: str, reply: Reply) -> None:
    """Whatever keeps Meta from answering."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
    world.meta.fail(reply, on="GET adset")

    with pytest.raises(MetaOutcomeUnknownError):
        update_adset_geo(world.api(), before, WANTED, patient=False)

    assert (calls(world), world.time.waits) == (["POST adset", "GET adset"], [])


@pytest.mark.parametrize("reply", ids([("data", faults.INTEREST_RETIRED), ("throttled", faults.TOO_MANY_MUTATIONS)]))
def test_without_patience_a_refusal_is_a_refusal(world: World, adset: str, reply: Reply) -> None:
    """Nothing was written, and nothing has to be looked up."""
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset")

    with pytest.raises((MetaInvalidError, MetaRateLimitError)):
        update_adset_geo(world.api(), before, WANTED, patient=False)

    assert (calls(world), world.meta.targeting(adset)) == (["POST adset"], before.targeting)


@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
def test_again_means_to_look_first(world: World, adset: str, *, applied: bool) -> None:
    """An earlier call may have written it: if that shows nothing is written, if not it is written now."""
    before = snapshot(world)
    if applied:
        update(world, before)

    written = update_adset_geo(world.api(), before, WANTED, again=True)

    assert written.targeting == world.meta.targeting(adset) == with_regions(before.targeting)
    assert calls(world) == ["GET adset", *([] if applied else ["POST adset"])]


@pytest.mark.parametrize("changes", CHANGES)
def test_again_spares_a_change_by_hand(world: World, adset: str, changes: dict[str, Any]) -> None:
    """The earlier call did not arrive, and meanwhile a person came."""
    before = snapshot(world)
    world.meta.change_by_hand(adset, changes)

    with pytest.raises(AdSetChangedError):
        update_adset_geo(world.api(), before, WANTED, again=True)

    assert world.written_adsets() == []


@pytest.mark.parametrize("reply", ids([("data", faults.INTEREST_RETIRED), ("down", faults.SERVICE_UNAVAILABLE)]))
def test_again_a_refusal_proves_nothing(world: World, adset: str, reply: Reply) -> None:
    """The read before may be older than the earlier write, so whether that was made stays unknown."""
    assert adset
    before = snapshot(world)
    world.meta.fail(reply, on="POST adset", times=None)

    with pytest.raises(MetaOutcomeUnknownError):
        update_adset_geo(world.api(), before, WANTED, again=True)


# --- looking again


@pytest.fixture
def many(world: World) -> list[AdSetSnapshot]:
    """Give thirty ad sets with one ad each."""
    world.campaign("FL GA OH")
    for number in range(30):
        world.adset(f"Ad set {number:02}", "TX", ads=1)
    found = world.snapshots()
    world.meta.requests.clear()
    return found


def test_many_ad_sets_are_read_again_in_few_round_trips(world: World, many: list[AdSetSnapshot]) -> None:
    """Each with its ads, as it is now, with the time of the reading."""
    world.time.sleep(60)
    world.meta.change_by_hand(many[3].id, BY_HAND)
    world.meta.pause_by_hand(many[28].ads[0].id)

    now = refresh(world.api(), many)

    assert list(now) == [each.id for each in many]
    found = [each for each in now.values() if isinstance(each, AdSetSnapshot)]
    assert {each.name: each.meta_campaign_id for each in found} == {each.name: VETERANS for each in many}
    assert [each.name for each in found if each.targeting.get("age_min") == 21] == ["Ad set 03"]
    assert [each.name for each in found if not each.active_ads] == ["Ad set 28"]
    assert {each.read_at for each in found} == {world.time.clock.now()}
    assert [len(request.operations) for request in world.meta.requests] == [50, 10]


@pytest.mark.parametrize("what", ["", "/ads"], ids=["itself", "its ads"])
def test_one_that_cannot_be_read_again_says_nothing_of_the_others(
    world: World, many: list[AdSetSnapshot], what: str
) -> None:
    """Each ad set stands alone; half of one is none."""
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.path == many[7].id + what, times=None)

    now = refresh(world.api(), many)

    assert [many[index].name for index in range(30) if isinstance(now[many[index].id], MetaError)] == ["Ad set 07"]


@pytest.mark.parametrize("reply", ids([("null", faults.NULL_ITEM), ("down", faults.SERVICE_UNAVAILABLE)]))
def test_one_without_an_answer_says_nothing_of_the_others(
    world: World, many: list[AdSetSnapshot], reply: Reply
) -> None:
    """Also where it is asked for again and again."""
    world.meta.fail(reply, on=lambda call: call.path == many[7].id, times=None)

    now = refresh(world.api(), many)

    assert [many[index].name for index in range(30) if isinstance(now[many[index].id], MetaError)] == ["Ad set 07"]


def test_one_without_an_answer_at_first_is_asked_for_again(world: World, many: list[AdSetSnapshot]) -> None:
    """And what is returned was all true within a few seconds."""
    world.meta.fail(faults.NULL_ITEM, on=lambda call: call.path == many[7].id)

    now = refresh(world.api(), many)

    assert all(isinstance(each, AdSetSnapshot) for each in now.values())
    found = now[many[7].id]
    assert isinstance(found, AdSetSnapshot)
    assert (world.time.clock.now() - found.read_at).total_seconds() <= 5


def test_a_picture_that_takes_too_long_is_none(world: World, many: list[AdSetSnapshot]) -> None:
    """What was read seconds apart may never have been true together."""
    world.slow_down(6)

    now = refresh(world.api(), many[:2])

    assert {type(each) for each in now.values()} == {MetaTransientError}
    assert all("could not be read within 5 s" in str(each) for each in now.values())
    assert world.meta.round_trips == 3


def test_long_lists_of_ads_are_read_again_to_their_end(world: World, many: list[AdSetSnapshot]) -> None:
    """An ad on the second page is one to protect too."""
    for number in range(4):
        world.meta.add_ad(many[0].id, f"More {number}")
    world.meta.page_size = 2

    (now,) = refresh(world.api(), many[:1]).values()

    assert isinstance(now, AdSetSnapshot)
    assert [ad.id for ad in now.ads] == [ad.id for ad in world.meta.ads_of(many[0].id)]


# --- validation


def test_validation_changes_nothing(world: World, adset: str) -> None:
    """Meta looks at the very targeting that would be written."""
    before = snapshot(world)

    validate_adset_geo(world.api(), before, WANTED)

    assert (world.meta.targeting(adset), world.meta.writes) == (before.targeting, [])
    (sent,) = targeting_on_the_wire(world)
    assert sent == _build_new_targeting(before.targeting, WANTED)


def test_validation_gives_metas_verdict(world: World, adset: str) -> None:
    """What a live run would run into is found without one."""
    world.meta.adsets[adset].targeting["instagram_positions"] = ["explore"]
    before = snapshot(world)

    with pytest.raises(MetaInvalidError, match="explore is no longer available"):
        validate_adset_geo(world.api(), before, WANTED)

    assert (calls(world), world.meta.writes) == (["POST adset"], [])


def test_validation_sits_out_momentary_trouble(world: World, adset: str) -> None:
    """It may be repeated at will."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", times=2)

    validate_adset_geo(world.api(), before, WANTED)

    assert (world.time.waits, world.meta.writes) == ([5, 10], [])


# --- layer 2: re-publish


def test_only_ads_that_were_active_are_republished(world: World, adset: str) -> None:
    """An ad in review was active too; an ad that a person paused is never woken."""
    paused = world.meta.add_ad(adset, "Paused", "PAUSED")
    reviewed = world.meta.add_ad(adset, "In review", effective_status="PENDING_REVIEW")
    active = [ad.id for ad in world.meta.ads_of(adset) if ad.id != paused]
    before = snapshot(world)

    assert republish(world, before) == ()

    assert [(operation.object_id, operation.params) for operation in world.meta.operations] == [
        (ad, {"status": "ACTIVE"}) for ad in active
    ]
    assert reviewed in active
    assert world.meta.ads[paused].status == "PAUSED"


@pytest.mark.parametrize("ads", [0, 2])
def test_without_active_ads_meta_is_not_asked(world: World, ads: int) -> None:
    """No ads, or none that was active: nothing to do."""
    world.campaign("FL")
    adset = world.adset(ads=0)
    for number in range(ads):
        world.meta.add_ad(adset, f"Paused {number}", "PAUSED")
    before = snapshot(world)

    assert republish(world, before) == ()
    assert world.meta.requests == []


@pytest.mark.parametrize("reply", ids([("refused", faults.OBJECT_MISSING), ("silent", faults.NULL_ITEM)]))
def test_an_ad_that_cannot_be_republished_is_named(world: World, adset: str, reply: Reply) -> None:
    """It alone is reported; the others are re-published."""
    third = world.meta.add_ad(adset, "Third", issues=[])
    before = snapshot(world)
    world.meta.fail(reply, on=lambda operation: operation.object_id == third, times=None)

    (failure,) = republish(world, before)

    assert failure.ad.id == third
    assert f"Ad “Third” ({third}): could not be re-published" in str(failure)
    assert {operation.object_id for operation in world.meta.writes} == {ad.id for ad in before.ads} - {third}


def test_a_republish_without_an_answer_is_repeated_for_that_ad(world: World, adset: str) -> None:
    """A re-publish is safe to repeat, and nothing else is repeated with it."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == before.ads[1].id)

    assert republish(world, before) == ()
    assert [operation.object_id for operation in world.meta.operations] == [
        *(ad.id for ad in before.ads),
        before.ads[1].id,
    ]


def test_many_ads_are_republished_in_several_batches(world: World) -> None:
    """More than fit into one batch, and not one left out."""
    world.campaign("FL")
    world.adset(ads=120)
    before = snapshot(world)

    assert republish(world, before) == ()
    assert world.meta.round_trips == 3
    assert {operation.object_id for operation in world.meta.writes} == {ad.id for ad in before.ads}


def test_with_a_dead_token_no_ad_is_called_republished(world: World, adset: str) -> None:
    """Each ad is reported."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.TOKEN_EXPIRED, on="batch", times=None)

    assert [finding.ad for finding in republish(world, before)] == list(before.ads)


# --- layer 3: verify

OUTCOMES = [
    pytest.param(None, AdHealth.HEALTHY, "", id="nothing happens"),
    pytest.param(Breakage.ordinary(), AdHealth.HEALTHY, "", id="mended by the re-publish"),
    pytest.param(Breakage.stubborn(), AdHealth.BROKEN, "WITH_ISSUES: Missing lead form", id="breaks at once"),
    pytest.param(Breakage.stubborn(seconds=3), AdHealth.BROKEN, "3390001", id="breaks within the wait"),
    pytest.param(Breakage.silently_paused(), AdHealth.BROKEN, "is PAUSED now", id="silently paused"),
    pytest.param(Breakage.silently_paused(seconds=2.9), AdHealth.BROKEN, "is PAUSED now", id="paused within the wait"),
    pytest.param(Breakage.long_review(), AdHealth.PENDING, "PENDING_REVIEW", id="in review"),
    pytest.param(Breakage.warning(), AdHealth.HEALTHY, "", id="soft error"),
]


@pytest.mark.parametrize(("breakage", "health", "text"), OUTCOMES)
def test_each_ad_is_looked_at_after_the_wait(
    world: World, breakage: Breakage | None, health: AdHealth, text: str
) -> None:
    """Healthy, pending and broken are told apart, three seconds after the re-publish."""
    world.campaign("FL")
    world.adset(breakage=breakage)
    before = snapshot(world)
    update(world, before)
    republish(world, before)

    findings = verify(world, before)

    assert healths(findings) == [health, health]
    assert [finding.ad.id for finding in findings] == [ad.id for ad in before.ads]
    assert all(text in finding.reason for finding in findings)
    assert world.time.waits == [3]


def test_without_ads_there_is_nothing_to_wait_for(world: World) -> None:
    """An ad set without ads costs neither time nor a read."""
    world.campaign("FL")
    world.adset(ads=0)
    empty = snapshot(world)

    assert verify(world, empty) == ()
    assert (world.meta.requests, world.time.waits) == ([], [])


@pytest.mark.parametrize("seconds", [0, 0.5, 60])
def test_it_waits_as_long_as_it_is_told(world: World, adset: str, seconds: float) -> None:
    """The wait comes before the look."""
    assert adset
    before = snapshot(world)
    started = world.time.seconds()
    looks: list[float] = []
    world.meta.on_request = lambda _: looks.append(world.time.seconds() - started)

    verify(world, before, seconds)

    assert (looks, world.time.waits) == ([seconds], [seconds])


def test_a_new_rejection_is_broken(world: World, adset: str) -> None:
    """Meta's review may end while we look."""
    assert adset
    before = snapshot(world)
    world.meta.ads[before.ads[0].id].effective_status = "DISAPPROVED"
    world.meta.ads[before.ads[0].id].review_feedback = {"global": {"SOME_POLICY": "No shouting"}}

    first, second = verify(world, before)

    assert healths([first, second]) == [AdHealth.BROKEN, AdHealth.HEALTHY]
    assert "No shouting" in first.reason


def test_a_paused_ad_is_looked_at_too(world: World, adset: str) -> None:
    """Still paused it is well; with a broken form it is not, though it does not run."""
    world.meta.add_ad(adset, "Well", "PAUSED")
    hurt = world.meta.add_ad(adset, "Hurt", "PAUSED")
    before = snapshot(world)
    world.meta.ads[hurt].issues.append(dict(MISSING_LEAD_FORM))

    findings = verify(world, before)

    assert healths(findings) == [AdHealth.HEALTHY, AdHealth.HEALTHY, AdHealth.HEALTHY, AdHealth.BROKEN]


@pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
def test_an_ad_that_is_gone_is_not_called_healthy(world: World, adset: str, status: str) -> None:
    """Whoever took it away, nobody can say that it is well."""
    assert adset
    before = snapshot(world)
    world.meta.ads[before.ads[1].id].status = status

    assert healths(verify(world, before)) == [AdHealth.HEALTHY, AdHealth.UNREADABLE]


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("down", faults.SERVICE_UNAVAILABLE),
            ("dead token", faults.TOKEN_INVALID),
            ("page", faults.OK_HTML),
            ("ad without a status", faults.answer({"data": [without(AD_ROW, "status")]})),
            ("no ad", faults.answer({"data": [None]})),
            ("no ads", faults.answer({"data": []})),
        ]
    ),
)
def test_ads_that_cannot_be_read_are_neither_good_nor_bad(world: World, adset: str, reply: Reply) -> None:
    """Not being able to look is no proof of damage, and no proof of health."""
    assert adset
    before = snapshot(world)
    world.meta.fail(reply, on="GET ads", times=None)

    assert healths(verify(world, before)) == [AdHealth.UNREADABLE, AdHealth.UNREADABLE]


@pytest.mark.parametrize(("page_size", "empty_pages"), [(1, 0), (2, 1)])
def test_every_page_of_the_ads_is_looked_at(world: World, page_size: int, empty_pages: int) -> None:
    """A broken ad on the last page is found."""
    world.campaign("FL")
    adset = world.adset(ads=5)
    before = snapshot(world)
    world.meta.ads_of(adset)[-1].issues.append(dict(MISSING_LEAD_FORM))
    world.meta.page_size, world.meta.empty_pages = page_size, empty_pages

    assert healths(verify(world, before)) == [AdHealth.HEALTHY] * 4 + [AdHealth.BROKEN]


# --- layer 4: rollback


def assert_restored(world: World, before: AdSetSnapshot) -> None:
    """Check that the targeting is what it was, and once Meta has done all it does, each active ad runs."""
    assert world.meta.targeting(before.id) == before.targeting
    world.meta.settle()
    assert [world.meta.ads[ad.id].effective_status for ad in before.active_ads] == ["ACTIVE"] * len(before.active_ads)


@pytest.mark.parametrize(
    "breakage",
    ids(
        [
            ("nothing broke", None),
            ("stubborn", Breakage.stubborn()),
            ("stubborn, later", Breakage.stubborn(seconds=2)),
            ("mended by the old targeting", Breakage.cured_by_rollback()),
            ("silently paused", Breakage.silently_paused()),
            ("missed the re-publish", Breakage.ordinary()),
        ]
    ),
)
def test_a_rollback_restores_targeting_and_ads(world: World, breakage: Breakage | None) -> None:
    """The exact targeting is back, and every ad that ran runs."""
    world.campaign("FL")
    adset = world.adset("Broad", "TX", breakage=breakage)
    paused = world.meta.add_ad(adset, "Paused", "PAUSED")
    before = snapshot(world)
    written = update(world, before)
    verify(world, before)

    rollback = roll_back(world, before, written)

    assert rollback.result is Result.REVERTED
    assert_restored(world, before)
    assert world.meta.ads[paused].status == "PAUSED"


def test_a_rollback_sends_all_that_was_there(world: World, adset: str) -> None:
    """Keys with null values go back too; what Meta computes does not."""
    world.meta.adsets[adset].targeting["unheard_of"] = {"deep": [None]}
    before = snapshot(world)
    written = update(world, before)

    roll_back(world, before, written)

    (sent,) = targeting_on_the_wire(world)
    assert sent == {key: value for key, value in before.targeting.items() if not key.startswith("effective_")}
    assert sent["user_age_unknown"] is None


def test_after_a_rollback_the_ads_are_republished_and_looked_at(world: World, adset: str) -> None:
    """It is a targeting write like any other: all layers again, in their order."""
    paused = world.meta.add_ad(adset, "Paused", "PAUSED")
    before = snapshot(world)
    written = update(world, before)

    roll_back(world, before, written, 7)

    assert calls_from_the_first_write(world) == ["POST adset", "POST ad", "POST ad", "GET ads"]
    assert paused not in {operation.object_id for operation in world.meta.writes}
    assert world.time.waits == [7]


@pytest.mark.parametrize("effect", [Breakage.incurable(), Breakage.incurable(seconds=2)], ids=["at once", "later"])
def test_ads_that_stay_broken_are_named(world: World, adset: str, effect: Breakage) -> None:
    """The targeting is back, and a person has to see to these ads."""
    ad_id = world.meta.add_ad(adset, "Spring", breakage=effect)
    before = snapshot(world)
    written = update(world, before)

    rollback = roll_back(world, before, written)

    assert rollback.result is Result.ROLLBACK_FAILED
    assert world.meta.targeting(adset) == before.targeting
    text = "\n".join(rollback.issues)
    assert "NOT restored" not in text
    assert f"Ad “Spring” ({ad_id}): WITH_ISSUES: Missing lead form" in text
    assert "Broad: ad 1" not in text


@pytest.mark.parametrize("breakage", [None, Breakage.stubborn()], ids=["well", "broken"])
def test_an_ad_that_is_not_republished_after_a_rollback_counts_unless_it_is_well(
    world: World, breakage: Breakage | None
) -> None:
    """What layer 2 failed to do matters for an ad that needed it; what Meta refused is passed on."""
    world.campaign("FL")
    adset = world.adset(breakage=breakage)
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.PERMISSION_MISSING, on=lambda operation: operation.object_id == before.ads[0].id, times=None)

    rollback = roll_back(world, before, written)

    assert rollback.result is (Result.ROLLBACK_FAILED if breakage else Result.REVERTED)
    assert any("Broad: ad 1" in line for line in rollback.issues) is bool(breakage)
    assert isinstance(rollback.trouble, MetaAccessError)
    assert world.meta.targeting(adset) == before.targeting


def test_ads_that_cannot_be_read_after_a_rollback_are_not_called_healthy(world: World, adset: str) -> None:
    """A rollback that is not proven is not over."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET ads", times=None)

    assert roll_back(world, before, written).result is Result.ROLLBACK_FAILED
    assert world.meta.targeting(adset) == before.targeting


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("dead token", faults.TOKEN_EXPIRED),
            ("policy", faults.POLICY_BLOCK),
            ("data", faults.AUDIENCE_FLAGGED),
            ("lost for good", faults.DROPPED),
            ("throttled for long", faults.throttled_use_case(60)),
        ]
    ),
)
def test_a_rollback_that_fails_says_so(world: World, adset: str, reply: Reply) -> None:
    """Nobody must think the old targeting is back."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(reply, on="POST adset", times=None)

    rollback = roll_back(world, before, written)

    assert rollback.result is Result.ROLLBACK_FAILED
    assert "NOT restored" in "\n".join(rollback.issues)
    assert world.meta.targeting(adset) == written.targeting


def test_a_rollback_that_is_confirmed_and_not_made_is_not_called_made(world: World, adset: str) -> None:
    """Meta says success and still has our regions: the mail must not confirm a restoration."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.answer({"success": True}), on="POST adset", times=None)

    rollback = roll_back(world, before, written)

    assert world.meta.targeting(adset) == written.targeting
    assert rollback.result is Result.ROLLBACK_FAILED


@pytest.mark.parametrize("reply", LOST)
@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
def test_a_rollback_survives_a_lost_answer(world: World, adset: str, reply: Reply, *, applied: bool) -> None:
    """Written once or once more, but in the end it is written."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(reply, on="POST adset", applied=applied)

    assert roll_back(world, before, written).result is Result.REVERTED
    assert_restored(world, before)
    assert world.written_adsets() == [adset]


def test_a_rollback_may_use_the_time_that_was_kept_for_it(world: World, adset: str) -> None:
    """The reserve that no update touches is there for the retries of a rollback."""
    assert adset
    before = snapshot(world)
    written = update(world, before)
    world.time.deadline = world.time.seconds() + 30
    world.meta.fail(faults.DROPPED, on="POST adset", times=2)

    assert roll_back(world, before, written).result is Result.REVERTED
    assert_restored(world, before)


def test_a_rollback_that_cannot_be_looked_up_is_not_called_done(world: World, adset: str) -> None:
    """The answer is lost and Meta cannot be asked: a person has to look."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on=look_after_the_write(world), times=None)

    rollback = roll_back(world, before, written)

    assert rollback.result is Result.ROLLBACK_FAILED
    assert "Nobody knows" in "\n".join(rollback.issues)
    assert world.written_adsets() == [adset]


def test_what_cannot_be_read_is_not_overwritten(world: World, adset: str) -> None:
    """Without a look at what is there, a rollback might undo somebody's work."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=None)

    rollback = roll_back(world, before, written)

    assert rollback.result is Result.ROLLBACK_FAILED
    assert "NOT restored" in "\n".join(rollback.issues)
    assert (world.meta.targeting(adset), world.meta.writes) == (written.targeting, [])


@pytest.mark.parametrize("changes", CHANGES)
def test_a_rollback_leaves_a_change_by_hand_alone(world: World, adset: str, changes: dict[str, Any]) -> None:
    """Whatever a person changed after our write, regions or not, is theirs."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.change_by_hand(adset, changes)
    by_hand = world.meta.targeting(adset)

    assert roll_back(world, before, written).result is Result.SUPERSEDED
    assert (world.meta.targeting(adset), world.meta.writes) == (by_hand, [])


@pytest.mark.parametrize("changes", CHANGES)
def test_a_rollback_whose_write_was_lost_leaves_a_change_by_hand_alone(
    world: World, adset: str, changes: dict[str, Any]
) -> None:
    """Between the lost write and the next look a person came."""
    before = snapshot(world)
    written = update(world, before)
    world.meta.fail(faults.DROPPED, on="POST adset")
    person_comes_after_the_write(world, adset, changes)

    assert roll_back(world, before, written).result is Result.SUPERSEDED
    assert world.meta.targeting(adset) == {**written.targeting, **changes}


def test_a_write_that_seems_not_to_have_arrived_is_taken_back_all_the_same(world: World, adset: str) -> None:
    """Of unknown outcome and not to be seen: a read may be older than the write, so what was is written again."""
    before = snapshot(world)
    update(world, before)
    stale = faults.answer({"id": adset, "targeting": before.targeting})
    world.meta.fail(stale, on="GET adset")

    assert roll_back(world, before, None).result is Result.REVERTED
    assert_restored(world, before)


def test_a_write_of_unknown_outcome_that_arrived_is_taken_back(world: World) -> None:
    """It shows by its regions that it is ours."""
    world.campaign("FL")
    world.adset("Broad", "TX", breakage=Breakage.stubborn())
    before = snapshot(world)
    update(world, before)

    assert roll_back(world, before, None).result is Result.REVERTED
    assert_restored(world, before)


def test_a_confirmed_write_behind_which_a_person_came_is_left_to_that_person(world: World, adset: str) -> None:
    """Meta confirms without showing anything, and the next read shows neither what it was nor what was written."""
    before = snapshot(world)
    world.meta.fail(faults.answer({"success": True}), on="POST adset", applied=True)
    person_comes_after_the_write(world, adset, {**BY_HAND, **IN_CALIFORNIA})

    with pytest.raises(AdSetChangedError):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset)["age_min"] == BY_HAND["age_min"]


def test_after_a_write_of_unknown_outcome_other_states_are_left_alone(world: World, adset: str) -> None:
    """Not knowing what became of our write is no licence to undo a person's."""
    before = snapshot(world)
    update(world, before)
    world.meta.change_by_hand(adset, IN_CALIFORNIA)
    by_hand = world.meta.targeting(adset)

    assert roll_back(world, before, None).result is Result.SUPERSEDED
    assert (world.meta.targeting(adset), world.meta.writes) == (by_hand, [])


def test_after_a_write_of_unknown_outcome_only_the_states_are_put_back(world: World, adset: str) -> None:
    """They are ours; whatever else differs may be a person's, and stays."""
    before = snapshot(world)
    update(world, before)
    world.meta.change_by_hand(adset, BY_HAND)

    assert roll_back(world, before, None).result is Result.REVERTED
    assert world.meta.targeting(adset) == {**before.targeting, **BY_HAND}


def test_what_meta_made_of_a_write_is_not_taken_for_a_change_by_hand(world: World) -> None:
    """Meta dropped a placement and could not be read right after: broken ads must still be rolled back."""
    world.campaign("FL")
    adset = world.adset("Broad", "TX", breakage=Breakage.stubborn())
    world.meta.adsets[adset].targeting["messenger_positions"] = ["story", "sponsored_messages"]
    before = snapshot(world)
    world.meta.fail(faults.answer({"success": True}), on="POST adset", applied=True)
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on=look_after_the_write(world), times=3)

    try:
        written: Written | None = update_adset_geo(world.api(), before, WANTED)
    except MetaOutcomeUnknownError:
        written = None
    rollback = roll_back(world, before, written)

    assert rollback.result is Result.REVERTED
    assert world.meta.states(adset) == {"TX"}


def test_what_meta_made_of_the_states_is_not_taken_for_a_change_by_hand(world: World) -> None:
    """Meta's own answer to our write shows a state less: that is our doing, and must not be left half done."""
    world.campaign("FL")
    adset = world.adset("Broad", "TX", breakage=Breakage.stubborn())
    before = snapshot(world)
    stored = with_regions(before.targeting, build_fb_regions(["FL", "GA"]))
    world.meta.fail(faults.answer({"id": adset, "targeting": stored}), on="POST adset", applied=True)

    def keep_what_was_shown(_: Any) -> None:
        if world.meta.states(adset) == {"FL", "GA", "OH"}:
            world.meta.adsets[adset].targeting = dict(stored)

    world.meta.on_request = keep_what_was_shown

    try:
        written: Written | None = update_adset_geo(world.api(), before, WANTED)
    except MetaError:
        written = None
    rollback = roll_back(world, before, written)

    assert rollback.result is Result.REVERTED
    assert_restored(world, before)


# --- several ad sets at once


@pytest.fixture
def three(world: World) -> list[AdSetSnapshot]:
    """Give three ad sets in Texas, with two ads, none and three."""
    world.campaign("FL GA OH")
    for name, ads in (("One", 2), ("None", 0), ("Three", 3)):
        world.adset(name, "TX", ads=ads)
    found = world.snapshots()
    world.meta.requests.clear()
    return found


def updates(world: World, adsets: Sequence[AdSetSnapshot]) -> list[Undoing]:
    """Write the wanted regions to each, and forget that; give what it takes to put them back."""
    api = world.api()
    undoings = [Undoing(adset, WANTED, update_adset_geo(api, adset, WANTED)) for adset in adsets]
    world.meta.requests.clear()
    return undoings


def test_ads_of_several_ad_sets_are_republished_together(world: World, three: list[AdSetSnapshot]) -> None:
    """One round trip for all; what failed is said of its own ad set."""
    first, _, third = three
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.object_id == third.ads[1].id)

    failures = republish_ads(world.api(), three)

    assert world.meta.round_trips == 1
    assert {adset_id: [failure.ad.id for failure in found] for adset_id, found in failures.items()} == {
        three[0].id: [],
        three[1].id: [],
        third.id: [third.ads[1].id],
    }
    assert {operation.object_id for operation in world.meta.writes} == {
        ad.id for ad in (*first.ads, third.ads[0], third.ads[2])
    }


def test_ads_of_several_ad_sets_are_looked_at_together(world: World, three: list[AdSetSnapshot]) -> None:
    """One wait and one round trip for all; an ad set without ads is not asked about."""
    world.meta.ads[three[2].ads[0].id].issues.append(dict(MISSING_LEAD_FORM))

    findings = verify_ads_after_republish(world.api(), three)

    assert {adset_id: healths(found) for adset_id, found in findings.items()} == {
        three[0].id: [AdHealth.HEALTHY, AdHealth.HEALTHY],
        three[1].id: [],
        three[2].id: [AdHealth.BROKEN, AdHealth.HEALTHY, AdHealth.HEALTHY],
    }
    assert (world.meta.round_trips, calls(world), world.time.waits) == (1, ["GET ads", "GET ads"], [3])


def in_process(world: World, before: AdSetSnapshot, until: float, then: str | None = None) -> None:
    """Have Meta process an ad until a moment, counted from now, and give it a status then."""
    ad, end = world.meta.ads[before.ads[0].id], world.time.seconds() + until
    ad.effective_status = "IN_PROCESS"

    def finish(_: object) -> None:
        if world.time.seconds() >= end:
            ad.effective_status = then

    world.meta.on_request = finish


@pytest.mark.parametrize(
    ("until", "then", "seen"),
    [
        pytest.param(3, None, (AdHealth.HEALTHY, 1), id="done at once"),
        pytest.param(4, None, (AdHealth.HEALTHY, 2), id="done at the second look"),
        pytest.param(9, "WITH_ISSUES", (AdHealth.BROKEN, 3), id="broken at the third"),
        pytest.param(99, None, (AdHealth.PENDING, 3), id="never done"),
        pytest.param(4, "PENDING_REVIEW", (AdHealth.PENDING, 2), id="in review then"),
    ],
)
def test_ads_in_process_are_looked_at_again(
    world: World, three: list[AdSetSnapshot], until: float, then: str | None, seen: tuple[AdHealth, int]
) -> None:
    """What Meta makes of them shows only when it is done; others are not read again, nor is a review waited for."""
    health, looks = seen
    in_process(world, three[0], until, then)
    world.meta.ads[three[2].ads[0].id].effective_status = "PENDING_REVIEW"

    findings = verify_ads_after_republish(world.api(), three)

    assert healths(findings[three[0].id]) == [health, AdHealth.HEALTHY]
    assert findings[three[2].id][0].health is AdHealth.PENDING
    assert world.time.waits == [3] * looks
    read = [operation.object_id for operation in world.meta.operations]
    assert read == [three[0].id, three[2].id] + [three[0].id] * (looks - 1)


def test_ads_in_process_do_not_keep_a_broken_one_from_being_put_back(world: World, three: list[AdSetSnapshot]) -> None:
    """Each second of it is a second without leads."""
    in_process(world, three[0], 99)
    world.meta.ads[three[2].ads[0].id].issues.append(dict(MISSING_LEAD_FORM))

    findings = verify_ads_after_republish(world.api(), three)

    assert findings[three[2].id][0].health is AdHealth.BROKEN
    assert world.time.waits == [3]


def test_ads_in_process_wait_for_nobody_who_needs_the_time(world: World, three: list[AdSetSnapshot]) -> None:
    """The seconds for the rollback stay untouched."""
    in_process(world, three[0], 99)

    world.time.deadline = world.time.seconds() + 3 + 3 + 100
    verify_ads_after_republish(world.api(), three, reserve=100)

    assert world.time.waits == [3, 3]


def test_ads_in_process_cost_no_quota_that_is_set_aside(world: World, three: list[AdSetSnapshot]) -> None:
    """What a rollback may need is not spent on looking again."""
    in_process(world, three[0], 99)
    world.meta.add_account("act_111", "limited")
    api = world.api()
    api.get(VETERANS, {})  # its answer tells of the limit
    assert api.quota.reserve(57)

    verify_ads_after_republish(api, three)

    assert world.time.waits == [3]


def test_a_further_look_that_fails_takes_nothing_back(world: World, three: list[AdSetSnapshot]) -> None:
    """The ads were seen, and were in process."""
    in_process(world, three[0], 99)
    world.meta.fail(faults.OBJECT_MISSING, on="GET ads", skip=2, times=None)

    findings = verify_ads_after_republish(world.api(), three)

    assert healths(findings[three[0].id]) == [AdHealth.PENDING, AdHealth.HEALTHY]


@pytest.mark.parametrize(
    "reply", ids([("refused", faults.OBJECT_MISSING), ("down", faults.SERVICE_UNAVAILABLE), ("null", faults.NULL_ITEM)])
)
def test_ads_that_cannot_be_read_say_nothing_of_other_ad_sets(
    world: World, three: list[AdSetSnapshot], reply: Reply
) -> None:
    """Each ad set stands alone."""
    world.meta.fail(reply, on=lambda call: call.path == f"{three[0].id}/ads", times=None)

    findings = verify_ads_after_republish(world.api(), three)

    assert healths(findings[three[0].id]) == [AdHealth.UNREADABLE] * 2
    assert healths(findings[three[2].id]) == [AdHealth.HEALTHY] * 3


@pytest.mark.parametrize("way", ["pages", "too much data", "both"])
def test_long_lists_of_ads_are_read_to_their_end(world: World, way: str) -> None:
    """Also where the first look brought only a part, or nothing because it was too much."""
    world.campaign("FL")
    adset = world.adset(ads=7)
    before = snapshot(world)
    if way != "too much data":
        world.meta.page_size = 3
    if way != "pages":
        world.meta.max_rows = 2
    world.meta.ads_of(adset)[-1].issues.append(dict(MISSING_LEAD_FORM))

    ads = read_ads(world.api(), [adset])[adset]

    assert isinstance(ads, dict)
    assert list(ads) == [ad.id for ad in before.ads]
    assert ads[before.ads[-1].id].issues


def test_a_list_of_ads_that_breaks_off_is_not_handed_out(world: World) -> None:
    """Part of the ads is not all of them."""
    world.campaign("FL")
    adset = world.adset(ads=7)
    world.meta.page_size = 3
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: "after" in call.params)

    assert isinstance(read_ads(world.api(), [adset])[adset], MetaInvalidError)


@pytest.mark.parametrize("function", [refresh, republish_ads, verify_ads_after_republish, read_ads, rollback_geo])
def test_nothing_asked_is_nothing_done(world: World, function: Callable[..., Any]) -> None:
    """An empty wave costs neither a call nor a wait."""
    assert function(world.api(), []) == {}
    assert (world.meta.requests, world.time.waits) == ([], [])


def test_several_ad_sets_are_put_back_together(world: World, three: list[AdSetSnapshot]) -> None:
    """First the targeting of each, then all ads in one round trip, one wait and one look."""
    rollbacks = rollback_geo(world.api(), updates(world, three), 7)

    assert {rollback.result for rollback in rollbacks.values()} == {Result.REVERTED}
    assert list(rollbacks) == [adset.id for adset in three]
    for adset in three:
        assert_restored(world, adset)
    assert calls(world) == [*["GET adset", "POST adset"] * 3, *["POST ad"] * 5, *["GET ads"] * 2]
    assert (world.meta.round_trips, world.time.waits) == (8, [7])


def test_one_failed_rollback_keeps_no_other_from_being_made(world: World, three: list[AdSetSnapshot]) -> None:
    """One is refused, one was changed by hand, one is put back; only its ads are touched."""
    refused, by_hand, fine = three
    undoings = updates(world, three)
    world.meta.fail(faults.AUDIENCE_FLAGGED, on=lambda call: (call.method, call.path) == ("POST", refused.id))
    world.meta.change_by_hand(by_hand.id, BY_HAND)

    rollbacks = rollback_geo(world.api(), undoings)

    assert {adset_id: rollback.result for adset_id, rollback in rollbacks.items()} == {
        refused.id: Result.ROLLBACK_FAILED,
        by_hand.id: Result.SUPERSEDED,
        fine.id: Result.REVERTED,
    }
    assert_restored(world, fine)
    assert {write.object_id for write in world.meta.writes} == {fine.id, *(ad.id for ad in fine.ads)}


def test_a_defect_in_one_rollback_keeps_no_other_from_being_made(
    world: World, three: list[AdSetSnapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a mistake of this package does to one ad set, the others are put back."""
    undoings = updates(world, three)
    put_back = facebook_client._put_back

    def stumble(api: Any, undoing: Undoing) -> Any:
        return 1 // 0 if undoing.adset.name == "One" else put_back(api, undoing)

    monkeypatch.setattr(facebook_client, "_put_back", stumble)

    rollbacks = rollback_geo(world.api(), undoings)

    assert [rollback.result for rollback in rollbacks.values()].count(Result.REVERTED) == 2
    assert rollbacks[three[0].id].result is Result.ROLLBACK_FAILED
    assert "NOT restored: Unexpected ZeroDivisionError" in rollbacks[three[0].id].issues[0]


def test_what_is_back_already_is_not_written_again(world: World, three: list[AdSetSnapshot]) -> None:
    """Only its ads need care: re-published and looked at."""
    undoings = [Undoing(adset, WANTED, is_back=True) for adset in three]

    rollbacks = rollback_geo(world.api(), undoings)

    assert {rollback.result for rollback in rollbacks.values()} == {Result.REVERTED}
    assert world.written_adsets() == []
    assert {write.object_id for write in world.meta.writes} == {ad.id for adset in three for ad in adset.ads}


# --- what an earlier run's change still answers for

CHANGED = START
"""When the change was prepared; ten seconds later it had reached its state."""
BROKEN_FORM = AdIssue(3390001, "Missing lead form", "", "HARD_ERROR")


def an_ad(status: str = "ACTIVE", seconds: float | None = None, *, issues: tuple[AdIssue, ...] = ()) -> Ad:
    """Give an ad as it is now, which somebody changed so many seconds after the change was prepared."""
    updated_at = None if seconds is None else CHANGED + timedelta(seconds=seconds)
    effective = "WITH_ISSUES" if issues and status == "ACTIVE" else status
    return Ad("11", "Spring", status, effective, issues, updated_at=updated_at)


def protected(*now: Ad) -> Protected:
    """Give what is still to protect of a change whose only running ad was number 11."""
    before = AdSetSnapshot(
        "1", "A", "900", "ACTIVE", {}, (Ad("11", "Spring", "ACTIVE", "ACTIVE"), Ad("12", "Off", "PAUSED", "PAUSED"))
    )
    after = CHANGED + timedelta(seconds=10)
    return still_to_protect(
        Change("veterans", "run", Action.SYNC, before, {}, ChangeState.WRITTEN, CHANGED, after), now
    )


@pytest.mark.parametrize(
    "now",
    ids(
        [
            ("still on", an_ad()),
            ("on and changed since", an_ad(seconds=4000)),
            ("on and broken", an_ad(issues=(BROKEN_FORM,))),
            ("paused a little before, as clocks differ", an_ad("PAUSED", -5)),
            ("paused at the write", an_ad("PAUSED", 0)),
            ("paused a minute after", an_ad("PAUSED", 70)),
            ("paused unnoticed, with an issue", an_ad("PAUSED", -4000, issues=(BROKEN_FORM,))),
            ("paused at an unknown time, with an issue", an_ad("PAUSED", issues=(BROKEN_FORM,))),
        ]
    ),
)
def test_what_meta_did_to_an_ad_is_answered_for(now: Ad) -> None:
    """The ad ran before the change, and nobody else has switched it off."""
    found = protected(now, Ad("12", "Off", "PAUSED", "PAUSED"), Ad("13", "New", "ACTIVE", "ACTIVE"))

    assert [ad.id for ad in found.adset.ads] == ["11"]
    assert found.adset.ads[0].status == "ACTIVE"
    assert found.notes == ()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param([an_ad("PAUSED", -6)], "is PAUSED now", id="paused before"),
        pytest.param([an_ad("PAUSED", 71)], "is PAUSED now", id="paused later"),
        pytest.param([an_ad("PAUSED", 71, issues=(BROKEN_FORM,))], "is PAUSED now", id="paused later with an issue"),
        pytest.param([an_ad("PAUSED")], "is PAUSED now", id="paused at an unknown time"),
        pytest.param([an_ad("ARCHIVED", 0)], "is ARCHIVED now", id="archived"),
        pytest.param([an_ad("DELETED", 0, issues=(BROKEN_FORM,))], "is DELETED now", id="deleted"),
        pytest.param([], "no longer listed", id="gone"),
    ],
)
def test_what_a_person_may_have_done_to_an_ad_stays(now: list[Ad], said: str) -> None:
    """It is not switched on again, and the report names it."""
    found = protected(*now)

    assert found.adset.ads == ()
    (note,) = found.notes
    assert note.startswith("Ad “Spring” (11): ran before, ")
    assert said in note


@pytest.mark.parametrize(
    ("stated", "read"),
    [
        ("2026-05-04T03:30:00-0700", CHANGED),
        ("2026-05-04T10:30:00+0000", CHANGED),
        ("2026-05-04T10:30:00", None),
        ("yesterday", None),
        (1777890600, None),
        (None, None),
    ],
)
def test_when_an_ad_was_changed_is_read_if_it_can_be(world: World, stated: Any, read: datetime | None) -> None:
    """A time that cannot be told is unknown, and no reason to fail."""
    world.campaign("FL")
    world.meta.fail(faults.answer({"data": [ADSET_ROW]}), on="GET adsets")
    world.meta.fail(faults.answer({"data": [{**AD_ROW, "updated_time": stated}]}), on="GET ads")

    (found,) = world.snapshots()

    assert found.ads[0].updated_at == read


def test_the_stand_in_tells_when_an_ad_was_changed(world: World, adset: str) -> None:
    """A pause by hand shows at its time."""
    world.time.sleep(60)
    world.meta.pause_by_hand(world.meta.ads_of(adset)[0].id)

    paused, running = snapshot(world).ads

    assert paused.updated_at == START + timedelta(seconds=60)
    assert running.updated_at == START


# --- all of it


@pytest.mark.parametrize("breakage", [None, Breakage.ordinary(), Breakage.stubborn()], ids=["well", "mended", "broken"])
def test_one_whole_life_asks_for_nothing_that_meta_has_taken_away(world: World, breakage: Breakage | None) -> None:
    """No call reads several objects by `ids`, nests ads in ad sets, or carries a token where it is recorded."""
    world.campaign("FL")
    world.adset("Broad", "TX", breakage=breakage)
    api = world.api()
    (before,) = get_active_adsets(api, VETERANS)
    assert check_ad_health(before) == ()
    validate_adset_geo(api, before, WANTED)
    written = update_adset_geo(api, before, WANTED)
    assert republish_ads(api, [before]) == {before.id: ()}
    broken = AdHealth.BROKEN in healths(verify_ads_after_republish(api, [before])[before.id])
    if broken:
        assert rollback_geo(api, [Undoing(before, WANTED, written)])[before.id].result is Result.REVERTED

    assert broken is (breakage == Breakage.stubborn())
    asked = [*(request.params for request in world.meta.requests), *(call.params for call in world.meta.operations)]
    assert not any("ids" in params or "{" in params.get("fields", "") for params in asked)
    assert world.meta.token not in repr(world.meta.requests)
    assert {request.status for request in world.meta.requests} == {200}
