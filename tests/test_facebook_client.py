"""What is done with Meta: reading ad sets, checking ads, and the four layers around a change of the regions."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from closrads.domain.adsets import LONG_AGO, AdFinding, AdHealth, AdSetSnapshot
from closrads.domain.health import check_ad_health
from closrads.domain.targeting import _build_new_targeting, region_keys
from closrads.errors import (
    AdSetChangedError,
    MetaError,
    MetaInvalidError,
    MetaOutcomeUnknownError,
    MetaRateLimitError,
)
from closrads.facebook_client import (
    Republished,
    get_active_adsets,
    republish_ads,
    rollback_geo,
    update_adset_geo,
    validate_adset_geo,
    verify_ads_after_republish,
)
from closrads.meta.adsets import read_adsets
from closrads.state_mapper import Region, build_fb_regions
from sandbox import Breakage, faults
from sandbox.meta import Operation
from sandbox.meta.activity_log import META, OTHER_APP
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


def update(world: World, before: AdSetSnapshot) -> AdSetSnapshot:
    """Write the wanted regions, and forget that they were written."""
    written = update_adset_geo(world.api(), before, WANTED)
    world.meta.requests.clear()
    return written


def republish(world: World, before: AdSetSnapshot) -> Republished:
    """Re-publish the ads of the only ad set that are on."""
    return republish_ads(world.api(), {before.id: before.active_ads})[before.id]


def verify(world: World, before: AdSetSnapshot, wait_seconds: float = 3) -> tuple[AdFinding, ...]:
    """Verify the ads of the only ad set."""
    return verify_ads_after_republish(world.api(), [before], wait_seconds)[before.id].findings


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


def with_regions(targeting: Mapping[str, Any], regions: Sequence[Region] = WANTED) -> dict[str, Any]:
    """Give targeting as Meta shows it after a change of the regions and nothing else."""
    by_name = sorted(map(dict, regions), key=lambda region: str(region["name"]))
    return {**targeting, "geo_locations": {**targeting["geo_locations"], "regions": by_name}}


def healths(findings: Sequence[AdFinding]) -> list[AdHealth]:
    """Give how each ad does."""
    return [finding.health for finding in findings]


def once(act: Callable[[], Any], *, on: str, world: World) -> Callable[[Any], None]:
    """Return a watcher that acts just before the first call of a kind."""

    def watch(call: Any) -> None:
        if f"{call.method} {call.kind}" == on:
            world.meta.on_request = None
            act()

    return watch


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


def test_an_ad_that_two_pages_list_is_one_ad(world: World, adset: str) -> None:
    """A list that changes while it is read shows a row again (Graph API "Paginated Results")."""
    one, two = ({**AD_ROW, "id": ad.id, "adset_id": adset} for ad in world.meta.ads_of(adset))
    more = {"cursors": {"after": "X"}, "next": "https://x/?after=X"}
    world.meta.fail(faults.answer({"data": [one, two], "paging": more}), on="GET ads")
    world.meta.fail(faults.answer({"data": [two]}), on="GET ads")

    (found,) = world.snapshots()

    assert [ad.id for ad in found.ads] == [one["id"], two["id"]]


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
            if key not in {"name", "targeting"}
        ],
        *[pytest.param(ADSET_ROW, without(AD_ROW, key), id=f"ad without {key}") for key in ("id", "adset_id")],
        pytest.param({**ADSET_ROW, "id": 1}, AD_ROW, id="id a number"),
        pytest.param({**ADSET_ROW, "id": ""}, AD_ROW, id="id empty"),
        pytest.param(None, AD_ROW, id="no ad set"),
        pytest.param(ADSET_ROW, None, id="no ad"),
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

    assert republish(world, before) == Republished(frozenset(ad.id for ad in before.active_ads))

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

    assert republish(world, before) == Republished(frozenset(ad.id for ad in before.active_ads))
    assert world.meta.requests == []


@pytest.mark.parametrize("reply", ids([("refused", faults.OBJECT_MISSING), ("silent", faults.NULL_ITEM)]))
def test_an_ad_that_cannot_be_republished_is_named(world: World, adset: str, reply: Reply) -> None:
    """It alone is reported; the others are re-published."""
    third = world.meta.add_ad(adset, "Third", issues=[])
    before = snapshot(world)
    world.meta.fail(reply, on=lambda operation: operation.object_id == third, times=None)

    outcome = republish(world, before)

    (failure,) = outcome.failures
    assert failure.ad.id == third
    assert outcome.confirmed == {ad.id for ad in before.ads} - {third}
    assert f"Ad “Third” ({third}): could not be re-published" in str(failure)
    assert {operation.object_id for operation in world.meta.writes} == {ad.id for ad in before.ads} - {third}


def test_a_republish_without_an_answer_is_repeated_for_that_ad(world: World, adset: str) -> None:
    """A re-publish is safe to repeat; in the wait a person may have come, so the ads are read before."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == before.ads[1].id)

    assert republish(world, before) == Republished(frozenset(ad.id for ad in before.ads))
    assert calls(world) == ["POST ad", "POST ad", "GET ads", "POST ad"]
    assert [operation.object_id for operation in world.meta.operations[-1:]] == [before.ads[1].id]


@pytest.mark.parametrize("taken", ["person_pauses", "person_archives", "person_deletes"])
def test_an_ad_that_a_person_takes_off_meanwhile_is_left_alone(world: World, adset: str, taken: str) -> None:
    """It is not switched on again, and that it was not re-published is no failure."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on=lambda operation: operation.object_id == before.ads[1].id)
    world.meta.on_request = once(lambda: getattr(world.meta, taken)(before.ads[1].id), on="GET ads", world=world)

    assert republish(world, before) == Republished(frozenset({before.ads[0].id}))
    assert world.meta.ads[before.ads[1].id].status != "ACTIVE"


@pytest.mark.parametrize("reply", ids([("refused", faults.OBJECT_MISSING), ("silent", faults.NULL_ITEM)]))
def test_what_stays_refused_because_a_person_took_it_off_is_no_failure(world: World, adset: str, reply: Reply) -> None:
    """Meta refuses to switch on what has been deleted."""
    assert adset
    before = snapshot(world)
    gone = ("POST", before.ads[1].id)
    world.meta.fail(reply, on=lambda operation: (operation.method, operation.object_id) == gone, times=None)
    world.meta.person_deletes(before.ads[1].id)

    assert republish(world, before) == Republished(frozenset({before.ads[0].id}))


@pytest.mark.parametrize("with_issue", [True, False])
@pytest.mark.parametrize("attempts", [1, 2])
def test_an_ad_that_meta_has_switched_off_is_switched_on(
    world: World, adset: str, *, with_issue: bool, attempts: int
) -> None:
    """It was read as PAUSED, and is asked for by the caller, who knows whose pause it is.

    A second attempt could meet a person's pause by then; an issue that is still there shows that it would not.
    """
    assert adset
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=with_issue)
    before = snapshot(world)
    theirs, others = before.ads[0].id, frozenset(ad.id for ad in before.ads[1:])
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == theirs, times=attempts - 1)

    outcome = republish_ads(world.api(), {before.id: before.ads})[before.id]

    is_on = with_issue or attempts == 1
    assert outcome == Republished(others | {theirs} if is_on else others)
    assert world.meta.ads[theirs].status == ("ACTIVE" if is_on else "PAUSED")


def test_such_an_ad_is_switched_on_however_long_ago_it_was_read(world: World, adset: str) -> None:
    """It is read again before the first attempt: it is off as before, and nothing has been sent that a person undid."""
    assert adset
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=False)
    before = snapshot(world)
    read_at = world.time.clock.now()
    world.time.pass_by(60)

    outcome = republish_ads(world.api(), {before.id: before.ads}, read_at=read_at)[before.id]

    assert outcome == Republished(frozenset(ad.id for ad in before.ads))
    assert calls(world)[0] == "GET ads"


@pytest.mark.parametrize("others", [(), (SOFT_WARNING,)], ids=["without another issue", "with a warning that stays"])
def test_an_ad_that_a_person_has_paused_after_a_lost_answer_stays_off(
    world: World, adset: str, others: Sequence[dict[str, Any]]
) -> None:
    """Meta had paused it with an issue. The issue is gone, so the re-publish was done, and the pause is a person's."""
    assert adset
    world.meta.meta_pauses(world.meta.ads_of(adset)[0].id, with_issue=True)
    world.meta.ads_of(adset)[0].issues += others
    before = snapshot(world)
    (ad, *_) = before.ads
    world.meta.fail(faults.SERVER_ERROR_HTML, on=lambda operation: operation.object_id == ad.id, applied=True)
    world.meta.on_request = once(lambda: world.meta.person_pauses(ad.id), on="GET ads", world=world)

    outcome = republish_ads(world.api(), {before.id: before.ads})[before.id]

    assert outcome == Republished(frozenset(other.id for other in before.ads if other != ad))
    assert world.meta.ads[ad.id].status == "PAUSED"


def test_failures_stand_where_it_cannot_be_seen_whether_a_person_came(world: World, adset: str) -> None:
    """Without a read nothing is sent again, and nothing is called done."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == before.ads[1].id)
    world.meta.fail(faults.TOKEN_EXPIRED, on="GET ads", times=None)

    outcome = republish(world, before)

    assert [failure.ad.id for failure in outcome.failures] == [before.ads[1].id]
    assert outcome.confirmed == {before.ads[0].id}
    assert calls(world).count("POST ad") == 2


def test_many_ads_are_republished_in_several_batches(world: World) -> None:
    """More than fit into one batch, and not one left out."""
    world.campaign("FL")
    world.adset(ads=120)
    before = snapshot(world)

    assert republish(world, before) == Republished(frozenset(ad.id for ad in before.active_ads))
    assert world.meta.round_trips == 3
    assert {operation.object_id for operation in world.meta.writes} == {ad.id for ad in before.ads}


def test_with_a_dead_token_no_ad_is_called_republished(world: World, adset: str) -> None:
    """Each ad is reported."""
    assert adset
    before = snapshot(world)
    world.meta.fail(faults.TOKEN_EXPIRED, on="batch", times=None)

    outcome = republish(world, before)

    assert [failure.ad for failure in outcome.failures] == list(before.ads)
    assert outcome.confirmed == frozenset()


# --- layer 3: verify

OUTCOMES = [
    pytest.param(None, AdHealth.HEALTHY, "", id="nothing happens"),
    pytest.param(Breakage.ordinary(), AdHealth.HEALTHY, "", id="mended by the re-publish"),
    pytest.param(Breakage.stubborn(), AdHealth.BROKEN, "WITH_ISSUES: Missing lead form", id="breaks at once"),
    pytest.param(Breakage.stubborn(seconds=3), AdHealth.BROKEN, "3390001", id="breaks within the wait"),
    pytest.param(Breakage.silently_paused(), AdHealth.BROKEN, "Meta has paused it", id="silently paused"),
    pytest.param(Breakage.silently_paused(seconds=2.9), AdHealth.BROKEN, "Meta has paused it", id="within the wait"),
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


def test_an_ad_that_was_off_lost_its_form_after_somebody_switched_it_on(world: World, adset: str) -> None:
    """It looks as if it had been off all the time, but for its issue: the log shows that it ran, and who paused it."""
    first, second = world.meta.ads_of(adset)
    world.meta.person_pauses(first.id)
    before = snapshot(world)
    world.meta.person_activates(first.id)
    world.meta.meta_pauses(first.id, with_issue=True)

    found = {finding.ad.id: finding.health for finding in verify(world, before)}

    assert found == {first.id: AdHealth.BROKEN, second.id: AdHealth.HEALTHY}


def test_an_ad_that_was_off_without_its_form_before_needs_no_log(world: World, adset: str) -> None:
    """It was broken before the change, and nobody has switched it on since."""
    first, second = world.meta.ads_of(adset)
    world.meta.meta_pauses(first.id, with_issue=True)
    before = snapshot(world)
    world.meta.requests.clear()

    assert [finding.ad.id for finding in verify(world, before)] == [second.id]
    assert calls(world) == ["GET ads"]


def test_an_ad_set_without_ads_is_read_too(world: World) -> None:
    """A person may have added an ad to it meanwhile, whose link is pending like any other's."""
    world.campaign("FL")
    adset = world.adset(ads=0)
    empty = snapshot(world)
    added = world.meta.person_adds_ad(adset, "Added")

    found = verify_ads_after_republish(world.api(), [empty])[adset]

    assert (found.findings, [ad.id for ad in found.ads]) == ((), [added])


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


def test_a_change_answers_for_the_ads_that_ran(world: World, adset: str) -> None:
    """One that was off before says nothing about it, well or broken; all that were read are handed out."""
    hurt = world.meta.add_ad(adset, "Hurt", "PAUSED")
    before = snapshot(world)
    world.meta.ads[hurt].issues.append(dict(MISSING_LEAD_FORM))

    found = verify_ads_after_republish(world.api(), [before])[adset]

    assert healths(found.findings) == [AdHealth.HEALTHY, AdHealth.HEALTHY]
    assert [ad.id for ad in found.ads] == [ad.id for ad in before.ads]


@pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
def test_an_ad_that_is_gone_is_no_failure(world: World, adset: str, status: str) -> None:
    """A person took it away."""
    assert adset
    before = snapshot(world)
    world.meta.ads[before.ads[1].id].status = status

    assert healths(verify(world, before)) == [AdHealth.HEALTHY, AdHealth.HEALTHY]


PAUSES: list[Any] = [
    pytest.param(lambda meta, ad: meta.person_pauses(ad), AdHealth.HEALTHY, id="a person"),
    pytest.param(lambda meta, ad: meta.person_pauses(ad, OTHER_APP), AdHealth.HEALTHY, id="another app"),
    pytest.param(lambda meta, ad: meta.rule_pauses(ad), AdHealth.HEALTHY, id="a rule of the advertiser's"),
    pytest.param(lambda meta, ad: meta.meta_pauses(ad, with_issue=False), AdHealth.BROKEN, id="Meta"),
    pytest.param(lambda meta, ad: meta.meta_pauses(ad, with_issue=True), AdHealth.BROKEN, id="Meta, with an issue"),
]


@pytest.mark.parametrize(("pause", "health"), PAUSES)
def test_the_activity_log_tells_whose_a_pause_is(
    world: World, adset: str, pause: Callable[[Any, str], None], health: AdHealth
) -> None:
    """It is read once for the account, and only because an ad is off that ran before."""
    before = snapshot(world)
    pause(world.meta, before.ads[0].id)

    found = verify_ads_after_republish(world.api(), [before], since={before.id: START})[adset]

    assert healths(found.findings) == [health, AdHealth.HEALTHY]
    assert calls(world) == ["GET ads", "GET activities"]
    assert {row.ad_id for row in found.log} == {before.ads[0].id}


def test_without_a_pause_the_activity_log_is_not_read(world: World, adset: str) -> None:
    """It costs a call of the account's quota."""
    assert adset
    before = snapshot(world)

    verify(world, before)

    assert calls(world) == ["GET ads"]


@pytest.mark.parametrize("reply", ids([("no right", faults.PERMISSION_MISSING), ("down", faults.SERVICE_UNAVAILABLE)]))
def test_without_the_activity_log_a_pause_is_unexplained(world: World, adset: str, reply: Reply) -> None:
    """Neither a person's nor Meta's, and nobody waits for the log while ads may be broken."""
    assert adset
    before = snapshot(world)
    world.meta.fail(reply, on="GET activities", times=None)
    world.meta.person_pauses(before.ads[0].id)

    assert healths(verify(world, before)) == [AdHealth.UNEXPLAINED, AdHealth.HEALTHY]
    assert world.time.waits == [3]


def test_each_change_is_judged_by_its_own_beginning(world: World, adset: str) -> None:
    """What Meta paused before one of two was prepared is none of its doing, though the log is read for both."""
    assert adset
    world.adset("Other")
    one, other = world.snapshots()
    for before in (one, other):
        world.meta.meta_pauses(before.ads[0].id, with_issue=False)
    world.time.pass_by(600)
    since = {one.id: START, other.id: world.time.clock.now()}

    found = verify_ads_after_republish(world.api(), [one, other], since=since)

    assert healths(found[one.id].findings) == [AdHealth.BROKEN, AdHealth.HEALTHY]
    assert healths(found[other.id].findings) == [AdHealth.UNEXPLAINED, AdHealth.HEALTHY]


def test_a_pause_that_metas_clock_dates_before_the_change_is_read_too(world: World, adset: str) -> None:
    """The clocks may differ by a minute, and the row is what tells that it was a person."""
    before = snapshot(world)
    world.meta.person_pauses(before.ads[0].id)
    since = world.time.clock.now() + timedelta(seconds=50)

    found = verify_ads_after_republish(world.api(), [before], since={before.id: since})[adset]

    assert healths(found.findings) == [AdHealth.HEALTHY, AdHealth.HEALTHY]


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("down", faults.SERVICE_UNAVAILABLE),
            ("dead token", faults.TOKEN_INVALID),
            ("page", faults.OK_HTML),
            ("ad without a status", faults.answer({"data": [without(AD_ROW, "status")]})),
            ("no ad", faults.answer({"data": [None]})),
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


def test_ads_of_several_ad_sets_are_republished_together(world: World, three: list[AdSetSnapshot]) -> None:
    """One round trip for all; what failed is said of its own ad set, once it is seen that it is still on."""
    first, _, third = three
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: call.object_id == third.ads[1].id)

    outcomes = republish_ads(world.api(), {each.id: each.active_ads for each in three})

    assert calls(world) == ["POST ad"] * 5 + ["GET ads"]
    assert {adset_id: [failure.ad.id for failure in found.failures] for adset_id, found in outcomes.items()} == {
        three[0].id: [],
        three[1].id: [],
        third.id: [third.ads[1].id],
    }
    assert {operation.object_id for operation in world.meta.writes} == {
        ad.id for ad in (*first.ads, third.ads[0], third.ads[2])
    }


def test_ads_of_several_ad_sets_are_looked_at_together(world: World, three: list[AdSetSnapshot]) -> None:
    """One wait and one round trip for all."""
    world.meta.ads[three[2].ads[0].id].issues.append(dict(MISSING_LEAD_FORM))

    findings = verify_ads_after_republish(world.api(), three)

    assert {adset_id: healths(found.findings) for adset_id, found in findings.items()} == {
        three[0].id: [AdHealth.HEALTHY, AdHealth.HEALTHY],
        three[1].id: [],
        three[2].id: [AdHealth.BROKEN, AdHealth.HEALTHY, AdHealth.HEALTHY],
    }
    assert (world.meta.round_trips, calls(world), world.time.waits) == (1, ["GET ads"] * 3, [3])


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

    assert healths(findings[three[0].id].findings) == [health, AdHealth.HEALTHY]
    assert findings[three[2].id].findings[0].health is AdHealth.PENDING
    assert world.time.waits == [3] * looks
    read = [operation.object_id for operation in world.meta.operations]
    assert read == [each.id for each in three] + [three[0].id] * (looks - 1)


def test_what_an_earlier_look_has_seen_on_was_not_paused_before(world: World, three: list[AdSetSnapshot]) -> None:
    """The log is late, and its last row is a pause by Meta that a re-publish has ended since."""
    began = world.time.clock.now()
    ad = world.meta.ads[three[0].ads[0].id]
    world.meta.meta_pauses(ad.id, with_issue=False)
    world.meta.person_repairs_ad(ad.id)
    log = world.meta.accounts["act_111"].activities
    log.rows = [row for row in log.rows if row.actor is META]
    log.missing = lambda _: True
    world.time.clock.sleep(10)
    in_process(world, three[0], 99)
    looks = list[Operation]()

    def person_comes(operation: Operation) -> None:
        looks.append(operation)
        if len(looks) == len(three) + 1:  # after the first look
            ad.effective_status = None
            world.meta.person_pauses(ad.id)

    world.meta.on_request = person_comes
    since = dict.fromkeys((each.id for each in three), began)

    seen = verify_ads_after_republish(world.api(), three, since=since)[three[0].id]

    assert healths(seen.findings) == [AdHealth.UNEXPLAINED, AdHealth.HEALTHY]
    assert seen.ads[0].seen_on > began


def test_ads_in_process_do_not_keep_a_broken_one_from_being_put_back(world: World, three: list[AdSetSnapshot]) -> None:
    """Each second of it is a second without leads."""
    in_process(world, three[0], 99)
    world.meta.ads[three[2].ads[0].id].issues.append(dict(MISSING_LEAD_FORM))

    findings = verify_ads_after_republish(world.api(), three)

    assert findings[three[2].id].findings[0].health is AdHealth.BROKEN
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

    assert healths(findings[three[0].id].findings) == [AdHealth.PENDING, AdHealth.HEALTHY]


@pytest.mark.parametrize(
    "reply", ids([("refused", faults.OBJECT_MISSING), ("down", faults.SERVICE_UNAVAILABLE), ("null", faults.NULL_ITEM)])
)
def test_ads_that_cannot_be_read_say_nothing_of_other_ad_sets(
    world: World, three: list[AdSetSnapshot], reply: Reply
) -> None:
    """Each ad set stands alone."""
    world.meta.fail(reply, on=lambda call: call.path == f"{three[0].id}/ads", times=None)

    findings = verify_ads_after_republish(world.api(), three)

    assert healths(findings[three[0].id].findings) == [AdHealth.UNREADABLE] * 2
    assert healths(findings[three[2].id].findings) == [AdHealth.HEALTHY] * 3


@pytest.mark.parametrize("way", ["pages", "too much data", "both"])
def test_long_lists_of_ads_are_read_to_their_end(world: World, way: str) -> None:
    """Also where the first read brought only a part, or nothing because it was too much."""
    world.campaign("FL")
    adset = world.adset(ads=7)
    before = snapshot(world)
    if way != "too much data":
        world.meta.page_size = 3
    if way != "pages":
        world.meta.max_rows = 2
    world.meta.ads_of(adset)[-1].issues.append(dict(MISSING_LEAD_FORM))

    found = verify_ads_after_republish(world.api(), [before])[adset]

    assert [ad.id for ad in found.ads] == [ad.id for ad in before.ads]
    assert healths(found.findings) == [AdHealth.HEALTHY] * 6 + [AdHealth.BROKEN]


def test_a_list_of_ads_that_breaks_off_is_not_handed_out(world: World) -> None:
    """Part of the ads is not all of them."""
    world.campaign("FL")
    adset = world.adset(ads=7)
    before = snapshot(world)
    world.meta.page_size = 3
    world.meta.fail(faults.OBJECT_MISSING, on=lambda call: "after" in call.params)

    found = verify_ads_after_republish(world.api(), [before])[adset]

    assert (healths(found.findings), found.ads) == ([AdHealth.UNREADABLE] * 7, ())


def test_nothing_asked_is_nothing_done(world: World) -> None:
    """An empty wave costs neither a call nor a wait."""
    assert read_adsets(world.api(), []) == {}
    assert republish_ads(world.api(), {}) == {}
    assert verify_ads_after_republish(world.api(), []) == {}
    assert (world.meta.requests, world.time.waits) == ([], [])


@pytest.mark.parametrize("slow", [1, 2], ids=["once", "each time"])
def test_a_read_that_takes_long_is_repeated_before_the_re_publish(world: World, adset: str, *, slow: int) -> None:
    """Since Meta read the ads, a person may have paused one; but the others must not wait for ever."""
    ads = snapshot(world).ads
    paused = world.meta.ads_of(adset)[0]
    reads = 0

    def take_long(operation: Operation) -> None:
        nonlocal reads
        if operation.path == f"{adset}/ads":
            reads += 1
            paused.status = "ACTIVE" if reads == 1 else "PAUSED"
            world.time.sleep(20 if reads <= slow else 0)

    world.meta.on_request = take_long

    (outcome,) = republish_ads(world.api(), {adset: ads}, read_at=LONG_AGO).values()

    assert (reads, paused.status, len(outcome.confirmed)) == (2, "PAUSED", len(ads) - 1)


# --- the update, and its rollback: the rest is in `tests/meta/test_targeting_write.py`


def test_an_update_changes_the_regions_and_nothing_else(world: World, adset: str) -> None:
    """Meta has the new regions, and all else as it was."""
    before = snapshot(world)

    written = update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == with_regions(before.targeting)
    assert written.targeting == world.meta.targeting(adset)
    assert world.written_adsets() == [adset]


def test_an_update_is_not_made_of_an_ad_set_that_has_broken_meanwhile(world: World, adset: str) -> None:
    """What is read anew before the write must still be healthy, as layer 1 has it."""
    before = snapshot(world)
    world.time.sleep(60)
    world.meta.ads_of(adset)[0].issues.append(dict(MISSING_LEAD_FORM))

    with pytest.raises(MetaInvalidError, match="3390001"):
        update_adset_geo(world.api(), before, WANTED)

    assert world.meta.targeting(adset) == before.targeting


@pytest.mark.parametrize("retries", [True, False])
@pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
def test_without_patience_a_lost_answer_is_looked_up_at_once_and_once(
    world: World, adset: str, *, retries: bool, applied: bool
) -> None:
    """Others wait for their re-publish: what does not show at the first read is of unknown outcome for now."""
    before = snapshot(world)
    world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)

    if applied or retries:
        written = update_adset_geo(world.api(), before, WANTED, retries=retries)
        assert written.targeting == world.meta.targeting(adset) == with_regions(before.targeting)
    else:
        with pytest.raises(MetaOutcomeUnknownError):
            update_adset_geo(world.api(), before, WANTED, retries=retries)

    assert world.time.waits == ([5] if retries else [])


def test_an_update_does_not_wait_for_a_rate_limit(world: World, adset: str) -> None:
    """In the minutes of a wait a person may come, so the caller starts again."""
    before = snapshot(world)
    world.meta.fail(faults.throttled_use_case(3), on="POST adset")

    with pytest.raises(MetaRateLimitError):
        update_adset_geo(world.api(), before, WANTED)

    assert (world.time.waits, world.meta.targeting(adset)) == ([], before.targeting)


def roll_back(world: World, before: AdSetSnapshot, now: AdSetSnapshot, *, repeats: bool = True) -> AdSetSnapshot:
    """Put the regions from before back."""
    return rollback_geo(world.api(), before, now, {frozenset(KEYS)}, repeats=repeats)


def test_a_rollback_restores_the_exact_targeting(world: World, adset: str) -> None:
    """Keys with null values go back too; what Meta computes does not."""
    world.meta.adsets[adset].targeting["unheard_of"] = {"deep": [None]}
    before = snapshot(world)
    written = update(world, before)

    restored = roll_back(world, before, written)

    assert restored.targeting == world.meta.targeting(adset) == before.targeting
    (sent,) = targeting_on_the_wire(world)
    assert sent == {key: value for key, value in before.targeting.items() if not key.startswith("effective_")}


def test_a_rollback_keeps_what_a_person_has_edited_meanwhile(world: World, adset: str) -> None:
    """The old regions go onto the targeting that is there."""
    before = snapshot(world)
    written = update(world, before)
    world.time.sleep(60)
    world.meta.change_by_hand(adset, BY_HAND)

    roll_back(world, before, written)

    assert world.meta.targeting(adset) == {**before.targeting, **BY_HAND}


def test_a_rollback_leaves_a_persons_regions_alone(world: World, adset: str) -> None:
    """They are neither old nor new."""
    before = snapshot(world)
    written = update(world, before)
    world.time.sleep(60)
    world.meta.change_by_hand(adset, IN_CALIFORNIA)

    with pytest.raises(AdSetChangedError):
        roll_back(world, before, written)

    assert (world.meta.states(adset), world.meta.writes) == ({"CA"}, [])


def test_a_rollback_does_not_ask_whether_the_ads_are_well(world: World, adset: str) -> None:
    """They are not, and that is why."""
    before = snapshot(world)
    written = update(world, before)
    world.time.sleep(60)
    world.meta.ads_of(adset)[0].issues.append(dict(MISSING_LEAD_FORM))

    assert region_keys(roll_back(world, before, written).targeting) == region_keys(before.targeting)


@pytest.mark.parametrize("repeats", [False, True])
def test_what_seems_to_be_back_is_written_again_on_request_only(world: World, adset: str, *, repeats: bool) -> None:
    """A read may be older than the write: whoever is not sure has the regions written."""
    before = snapshot(world)

    roll_back(world, before, before, repeats=repeats)

    assert len(targeting_on_the_wire(world)) == repeats
    assert world.meta.targeting(adset) == before.targeting


def test_a_rollback_waits_for_a_rate_limit_with_all_the_time_there_is(world: World, adset: str) -> None:
    """The reserve that no update touches is there for it."""
    before = snapshot(world)
    written = update(world, before)
    world.time.deadline = world.time.seconds() + 80
    world.meta.fail(faults.throttled_account(60), on="POST adset")

    roll_back(world, before, written)

    assert world.time.waits == [60]
    assert world.meta.targeting(adset) == before.targeting


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
    assert not republish_ads(api, {before.id: written.active_ads})[before.id].failures
    broken = AdHealth.BROKEN in healths(verify_ads_after_republish(api, [before])[before.id].findings)
    if broken:
        restored = rollback_geo(api, before, written, {frozenset(KEYS)}, repeats=True)
        assert restored.targeting == before.targeting

    assert broken is (breakage == Breakage.stubborn())
    asked = [*(request.params for request in world.meta.requests), *(call.params for call in world.meta.operations)]
    single = re.compile(
        r"\b(campaign{effective_status,stop_time,special_ad_categories}|adset{effective_status,issues_info})"
    )
    nested = [single.sub("", params.get("fields", "")) for params in asked]
    assert not any("ids" in params or "{" in fields for params, fields in zip(asked, nested, strict=True))
    assert world.meta.token not in repr(world.meta.requests)
    assert {request.status for request in world.meta.requests} == {200}
