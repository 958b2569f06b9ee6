"""One write of regions, whatever becomes of its answers: lost, late, contradictory, or refused."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from closrads.domain.adsets import AdSetSnapshot
from closrads.domain.targeting import region_keys
from closrads.errors import (
    AdSetChangedError,
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaObjectError,
    MetaOutcomeUnknownError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTransientError,
)
from closrads.meta.adsets import reader
from closrads.meta.graph import RESERVED_SECONDS
from closrads.meta.targeting_write import FRESH_SECONDS, RegionWrite, TargetingWriter
from closrads.state_mapper import Region, build_fb_regions
from sandbox import faults
from sandbox.server import Reply
from tests.world import World, ids

WANTED = build_fb_regions(["FL", "GA", "OH"])
KEYS = {region["key"] for region in WANTED}
BY_HAND = {"age_min": 21}
IN_CALIFORNIA = {"geo_locations": {"regions": build_fb_regions(["CA"]), "location_types": ["home", "recent"]}}
LOOK, WRITE = ["GET adset", "GET ads"], ["POST adset"]
RETRIED: tuple[type[MetaError], ...] = (MetaTransientError, MetaRateLimitError)


@pytest.fixture
def before(world: World) -> AdSetSnapshot:
    """Return the only ad set, which targets Texas and has two healthy ads, as it was just read."""
    world.campaign("FL GA OH")
    world.adset("Broad", "TX")
    (found,) = world.snapshots()
    world.meta.requests.clear()
    return found


def write(world: World, adset: AdSetSnapshot, **more: Any) -> AdSetSnapshot:
    """Write the wanted regions over those that the ad set had when it was read."""
    api = world.api()
    what = {name: more.pop(name) for name in ("regions", "replaces", "repeats", "accepts") if name in more}
    usual: dict[str, Any] = {"regions": WANTED, "replaces": {region_keys(adset.targeting)}}
    options: dict[str, Any] = {"reserve": RESERVED_SECONDS, "retried": RETRIED, **more}
    may_be_sent = bool(options.pop("may_be_sent", False))
    writer = TargetingWriter(api, adset, RegionWrite(**(usual | what)), reader(api), may_be_sent=may_be_sent)
    return writer.run(**options)


def calls(world: World) -> list[str]:
    """Return what was asked of Meta, in order."""
    return [f"{operation.method} {operation.kind}" for operation in world.meta.operations]


def sent(world: World) -> list[dict[str, Any]]:
    """Return the targeting of each write that was sent, done or not."""
    return [
        json.loads(operation.params["targeting"])
        for operation in world.meta.operations
        if "targeting" in operation.params
    ]


def with_regions(targeting: Mapping[str, Any], regions: Sequence[Region] = WANTED) -> dict[str, Any]:
    """Return a targeting as Meta shows it after a change of the regions and nothing else."""
    by_name = sorted(map(dict, regions), key=lambda region: str(region["name"]))
    return {**targeting, "geo_locations": {**targeting["geo_locations"], "regions": by_name}}


def after_the_write(world: World) -> Callable[[Any], bool]:
    """Return a matcher of the reads of an ad set that come after a write of it."""
    return lambda call: f"{call.method} {call.kind}" == "GET adset" and "POST adset" in calls(world)


def person_comes_after_the_write(world: World, adset: str, changes: Mapping[str, Any]) -> None:
    """Have somebody change the ad set between our first write and the next call."""
    seen: list[str] = []

    def watch(call: Any) -> None:
        seen.append(f"{call.method} {call.kind}")
        if seen[-1] != "POST adset" and seen.count("POST adset") == 1:
            world.meta.on_request = None
            world.meta.change_by_hand(adset, changes)

    world.meta.on_request = watch


LOST = ids(
    [
        ("dropped", faults.DROPPED),
        ("truncated", faults.TRUNCATED),
        ("502 page", faults.BAD_GATEWAY_HTML),
        ("502 page that says success", faults.BAD_GATEWAY_SUCCESS),
        ("400 page", faults.ERROR_PAGE_400),
        ("403 page", faults.html(403, "Forbidden")),
        ("404 page", faults.html(404, "Not Found")),
        ("408 page", faults.html(408, "Request Timeout")),
        ("429 page", faults.html(429, "Too Many Requests")),
        ("200 empty", faults.OK_EMPTY),
        ("200 page", faults.OK_HTML),
        ("success false", faults.SUCCESS_FALSE),
        ("503", faults.SERVICE_UNAVAILABLE),
        ("unknown error", faults.UNKNOWN_ERROR),
        ("error without a code", faults.ERROR_AS_TEXT),
    ]
)


class TestWrite:
    """A write that goes well."""

    def test_it_returns_the_ad_set_as_read_with_the_regions_that_meta_stores(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """What the next steps need: the ads of a read just before the write, and what is there now."""
        written = write(world, before)

        assert written == replace(before, targeting=written.targeting)
        assert written.targeting == world.meta.targeting(before.id) == with_regions(before.targeting)
        assert calls(world) == WRITE

    def test_what_is_sent_keeps_null_values_and_has_no_computed_keys(self, world: World, before: AdSetSnapshot) -> None:
        """The whole object is replaced by what is sent, so what is left out would be lost."""
        world.meta.adsets[before.id].targeting["unheard_of"] = {"deep": [None, {"deeper": None}]}
        (fresh,) = world.snapshots()

        write(world, fresh)

        (targeting,) = sent(world)
        assert (targeting["user_age_unknown"], targeting["unheard_of"]) == (None, {"deep": [None, {"deeper": None}]})
        assert [key for key in targeting if key.startswith("effective_")] == []

    def test_the_same_regions_are_not_written(self, world: World, before: AdSetSnapshot) -> None:
        """Each write restarts learning, so one that changes nothing is none."""
        regions = before.targeting["geo_locations"]["regions"]

        assert write(world, before, regions=regions) == before
        assert world.meta.requests == []

    def test_the_same_regions_are_written_if_the_read_may_be_older_than_a_write(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """A rollback does not trust a read that shows it done already; once is enough."""
        regions = before.targeting["geo_locations"]["regions"]

        written = write(world, before, regions=regions, repeats=True)

        assert written.targeting == before.targeting
        assert calls(world) == WRITE

    def test_targeting_that_regions_contradict_is_not_sent(self, world: World, before: AdSetSnapshot) -> None:
        """The guard stands at the write too, whoever calls it."""
        geo = {**before.targeting["geo_locations"], "countries": ["US"]}

        with pytest.raises(MetaInvalidError, match="the whole country"):
            write(world, replace(before, targeting={**before.targeting, "geo_locations": geo}))

        assert world.meta.requests == []

    def test_regions_of_somebody_else_are_not_overwritten(self, world: World, before: AdSetSnapshot) -> None:
        """Neither those that may be replaced nor those that are wanted."""
        ohio = region_keys({"geo_locations": {"regions": build_fb_regions(["OH"])}})

        with pytest.raises(AdSetChangedError):
            write(world, before, replaces={ohio})

        assert world.meta.requests == []

    @pytest.mark.parametrize("states", ["TX", "OH"])
    def test_any_of_several_sets_of_regions_may_be_replaced(
        self, world: World, before: AdSetSnapshot, states: str
    ) -> None:
        """A rollback replaces what was sent, and what Meta made of that."""
        world.meta.change_by_hand(before.id, {"geo_locations": {"regions": build_fb_regions([states])}})
        (fresh,) = world.snapshots()
        ours = {region_keys({"geo_locations": {"regions": build_fb_regions([code])}}) for code in ("TX", "OH")}

        assert region_keys(write(world, fresh, replaces=ours).targeting) == KEYS


class TestFreshness:
    """Nothing is written on the strength of a read that is older than five seconds."""

    @pytest.mark.parametrize(("age", "looks"), [(0, []), (FRESH_SECONDS, []), (FRESH_SECONDS + 0.1, LOOK), (600, LOOK)])
    def test_an_older_read_is_repeated(self, world: World, before: AdSetSnapshot, age: float, looks: list[str]) -> None:
        """The ad set and all its ads, in one batch."""
        world.time.sleep(age)

        written = write(world, before)

        assert calls(world) == looks + WRITE
        assert world.meta.round_trips == (2 if looks else 1)
        assert (world.time.clock.now() - written.read_at).total_seconds() <= FRESH_SECONDS

    def test_a_persons_edit_in_between_survives(self, world: World, before: AdSetSnapshot) -> None:
        """The regions go onto the targeting that is there."""
        world.time.sleep(60)
        world.meta.change_by_hand(before.id, BY_HAND)

        write(world, before)

        assert world.meta.targeting(before.id) == with_regions({**before.targeting, **BY_HAND})

    def test_a_persons_regions_in_between_survive(self, world: World, before: AdSetSnapshot) -> None:
        """They are neither old nor new."""
        world.time.sleep(60)
        world.meta.change_by_hand(before.id, IN_CALIFORNIA)

        with pytest.raises(AdSetChangedError):
            write(world, before)

        assert (world.meta.states(before.id), sent(world)) == ({"CA"}, [])

    def test_the_ads_are_those_of_the_new_read(self, world: World, before: AdSetSnapshot) -> None:
        """Whoever re-publishes goes by them: one was paused meanwhile, one was added."""
        world.time.sleep(60)
        world.meta.pause_by_hand(before.ads[0].id)
        added = world.meta.person_adds_ad(before.id, "Added")

        written = write(world, before)

        assert [ad.id for ad in written.active_ads] == [before.ads[1].id, added]

    def test_what_is_no_longer_fit_for_a_change_is_not_written(self, world: World, before: AdSetSnapshot) -> None:
        """The caller's own check is made of what is read anew, and of nothing else."""
        world.time.sleep(60)
        seen: list[AdSetSnapshot] = []

        def refuse(adset: AdSetSnapshot) -> str:
            seen.append(adset)
            return "An ad has broken meanwhile"

        with pytest.raises(MetaInvalidError, match="broken meanwhile"):
            write(world, before, accepts=refuse)

        assert [each.read_at for each in seen] == [world.time.clock.now()]
        assert sent(world) == []

    def test_each_further_attempt_reads_anew(self, world: World, before: AdSetSnapshot) -> None:
        """After a wait the last read is too old, however the attempt before it ended."""
        world.meta.fail(faults.DROPPED, on="POST adset", times=2)

        write(world, before)

        assert calls(world) == [*WRITE, *LOOK, *WRITE, *LOOK, *WRITE]
        assert world.time.waits == [5, 10]

    def test_an_ad_set_that_cannot_be_read_anew_is_not_written(self, world: World, before: AdSetSnapshot) -> None:
        """Nothing was sent, so nothing is unknown either."""
        world.time.sleep(60)
        world.time.waits.clear()
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=None)

        with pytest.raises(MetaTransientError):
            write(world, before)

        assert (sent(world), world.time.waits) == ([], [5, 10])

    def test_a_read_that_takes_too_long_itself_is_none(self, world: World, before: AdSetSnapshot) -> None:
        """What was read six seconds ago may not be so any more."""
        world.time.sleep(60)
        world.slow_down(6)

        with pytest.raises(MetaTransientError, match="could not be read within 5 s"):
            write(world, before)

        assert sent(world) == []


class TestLostAnswers:
    """Whatever is no error object of Meta's says nothing about the write."""

    @pytest.mark.parametrize("reply", LOST)
    def test_a_write_that_arrived_is_not_repeated(self, world: World, before: AdSetSnapshot, reply: Reply) -> None:
        """Meta is asked, and what it has is gone on from."""
        world.meta.fail(reply, on="POST adset", applied=True)

        written = write(world, before)

        assert written.targeting == world.meta.targeting(before.id) == with_regions(before.targeting)
        assert calls(world) == WRITE + LOOK

    @pytest.mark.parametrize("reply", LOST)
    def test_a_write_that_did_not_arrive_is_repeated(self, world: World, before: AdSetSnapshot, reply: Reply) -> None:
        """Meta is asked, and it is written again."""
        world.meta.fail(reply, on="POST adset")

        written = write(world, before)

        assert written.targeting == world.meta.targeting(before.id) == with_regions(before.targeting)
        assert (world.written_adsets(), world.time.waits) == ([before.id], [5])

    def test_one_that_never_arrives_is_of_unknown_outcome(self, world: World, before: AdSetSnapshot) -> None:
        """After three lost answers nothing shows, and that proves nothing: a read may be older than a write."""
        world.meta.fail(faults.DROPPED, on="POST adset", times=None)

        with pytest.raises(MetaOutcomeUnknownError) as caught:
            write(world, before)

        assert isinstance(caught.value.cause, MetaLostAnswerError)
        assert world.meta.targeting(before.id) == before.targeting
        assert (calls(world).count("POST adset"), world.time.waits) == (3, [5, 10])

    def test_the_last_attempt_may_have_arrived_too(self, world: World, before: AdSetSnapshot) -> None:
        """Also after the third lost answer Meta is asked before anything is said."""
        world.meta.fail(faults.DROPPED, on="POST adset", times=2)
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)

        assert region_keys(write(world, before).targeting) == KEYS

    @pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
    def test_without_time_for_another_attempt_it_is_still_looked_up(
        self, world: World, before: AdSetSnapshot, *, applied: bool
    ) -> None:
        """No wait touches what the later steps need, but what became of the write is found out."""
        world.time.deadline = world.time.seconds() + 64
        world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)

        if applied:
            assert region_keys(write(world, before, reserve=60).targeting) == KEYS
        else:
            with pytest.raises(MetaOutcomeUnknownError):
                write(world, before, reserve=60)

        assert (calls(world).count("POST adset"), world.time.waits) == (1, [])

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
                ("400 page", faults.ERROR_PAGE_400),
            ]
        ),
    )
    def test_one_that_cannot_be_looked_up_is_of_unknown_outcome(
        self, world: World, before: AdSetSnapshot, reply: Reply, *, applied: bool
    ) -> None:
        """It is neither called done nor called not done, nor is it sent again blindly."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)
        world.meta.fail(reply, on=after_the_write(world), times=None)

        with pytest.raises(MetaOutcomeUnknownError):
            write(world, before)

        assert len(sent(world)) == 1

    @pytest.mark.parametrize("reply", LOST)
    def test_a_write_that_takes_effect_late_is_found_or_unknown(
        self, world: World, before: AdSetSnapshot, reply: Reply
    ) -> None:
        """Meta carries it out seconds after its answer was lost: it is never called refused, nor made by halves."""
        world.meta.fail(reply, on="POST adset", times=None, later=7)

        written = write(world, before)

        assert region_keys(written.targeting) == KEYS
        assert world.meta.states(before.id) == {"FL", "GA", "OH"}


class TestRefusals:
    """Meta's own error says that a write was not done."""

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            pytest.param(faults.INTEREST_RETIRED, MetaObjectError, id="data"),
            pytest.param(faults.LOCATION_RESTRICTED, MetaObjectError, id="location"),
            pytest.param(faults.TOKEN_EXPIRED, MetaAccessError, id="token"),
            pytest.param(faults.PERMISSION_MISSING, MetaAccessError, id="permission"),
            pytest.param(faults.POLICY_BLOCK, MetaPolicyError, id="policy"),
            pytest.param(faults.ABUSE_PREVENTION, MetaPolicyError, id="abuse prevention"),
        ],
    )
    def test_a_refused_write_is_not_repeated(
        self, world: World, before: AdSetSnapshot, reply: Reply, kind: type[MetaError]
    ) -> None:
        """It would be refused again, and nothing has to be looked up."""
        world.meta.fail(reply, on="POST adset", times=None)

        with pytest.raises(MetaError) as caught:
            write(world, before)

        assert type(caught.value) is kind
        assert (calls(world), world.time.waits) == (WRITE, [])
        assert world.meta.targeting(before.id) == before.targeting

    @pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
    @pytest.mark.parametrize(
        "refusal",
        ids([("data", faults.INTEREST_RETIRED), ("token", faults.TOKEN_EXPIRED), ("gone", faults.OBJECT_MISSING)]),
    )
    def test_a_refusal_after_a_lost_answer_says_nothing_about_the_lost_one(
        self, world: World, before: AdSetSnapshot, refusal: Reply, *, applied: bool
    ) -> None:
        """The first write may yet show: only what Meta has decides, and an old read proves nothing."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)
        stale = faults.answer(
            {"id": before.id, "name": "?", "effective_status": "ACTIVE", "targeting": dict(before.targeting)}
        )
        world.meta.fail(stale, on=after_the_write(world))
        world.meta.fail(refusal, on="POST adset", times=None)

        if applied:
            assert region_keys(write(world, before).targeting) == KEYS
        else:
            with pytest.raises(MetaOutcomeUnknownError) as caught:
                write(world, before)
            assert not isinstance(caught.value.cause, MetaTransientError)

        assert len(sent(world)) == 2

    def test_an_error_that_is_not_worth_waiting_for_ends_the_attempts(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """The caller says which are; of a rate limit it is known that nothing was done."""
        world.meta.fail(faults.throttled_use_case(3), on="POST adset")

        with pytest.raises(MetaRateLimitError) as caught:
            write(world, before, retried=(MetaTransientError,))

        assert caught.value.retry_after == 180
        assert (calls(world), world.time.waits) == (WRITE, [])

    def test_a_rate_limit_that_is_waited_for_is_followed_by_a_new_read(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """Three minutes are enough for a person to come."""
        world.meta.fail(faults.throttled_use_case(3), on="POST adset")

        write(world, before)

        assert (calls(world), world.time.waits) == (WRITE + LOOK + WRITE, [180])


class TestContradictions:
    """Meta's answers do not agree with each other."""

    def test_a_confirmation_that_shows_nothing_is_looked_up(self, world: World, before: AdSetSnapshot) -> None:
        """A bare flag does not say what Meta has made of a write."""
        world.meta.fail(faults.SUCCESS, on="POST adset", applied=True)

        written = write(world, before)

        assert written.targeting == world.meta.targeting(before.id)
        assert calls(world) == WRITE + LOOK

    @pytest.mark.parametrize("repeats", [False, True])
    def test_it_is_looked_up_at_once_and_not_written_again(
        self, world: World, before: AdSetSnapshot, *, repeats: bool
    ) -> None:
        """While somebody waits, the ads wait too: for the re-publish that keeps their forms."""
        world.meta.fail(faults.SUCCESS, on="POST adset", applied=True, times=None)
        began = world.time.seconds()

        write(world, before, repeats=repeats)

        assert (calls(world), world.time.seconds()) == (WRITE + LOOK, began)

    def test_once_confirmed_it_is_not_written_again_for_a_failed_look(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """The next look shows it."""
        world.meta.fail(faults.SUCCESS, on="POST adset", applied=True, times=None)
        world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adset", times=1)

        write(world, before, repeats=True)

        assert len(sent(world)) == 1

    @pytest.mark.parametrize("shown", [False, True], ids=["a flag", "the old regions"])
    def test_a_write_that_is_confirmed_and_not_made_is_not_called_made(
        self, world: World, before: AdSetSnapshot, *, shown: bool
    ) -> None:
        """Whoever reports an update then is wrong; nor is it called refused, for it may yet come."""
        old = faults.answer({"id": before.id, "targeting": dict(before.targeting)})
        world.meta.fail(old if shown else faults.SUCCESS, on="POST adset", times=None)

        with pytest.raises(MetaOutcomeUnknownError):
            write(world, before)

        assert len(sent(world)) == 3

    def test_a_confirmation_that_shows_the_old_regions_may_be_of_a_stale_copy(
        self, world: World, before: AdSetSnapshot
    ) -> None:
        """The write was made, and the next read shows it."""
        old = faults.answer({"id": before.id, "targeting": dict(before.targeting)})
        world.meta.fail(old, on="POST adset", applied=True)

        assert region_keys(write(world, before).targeting) == KEYS
        assert len(sent(world)) == 1

    def test_other_regions_than_were_sent_are_returned_as_they_are(self, world: World, before: AdSetSnapshot) -> None:
        """That is what Meta made of the write; the caller has to put it back."""
        fewer = with_regions(before.targeting, build_fb_regions(["FL", "GA"]))
        world.meta.fail(faults.answer({"id": before.id, "targeting": fewer}), on="POST adset", applied=True)

        written = write(world, before)

        assert written.targeting == fewer
        assert len(sent(world)) == 1

    def test_of_an_answer_only_the_regions_are_taken(self, world: World, before: AdSetSnapshot) -> None:
        """It may spell the rest otherwise than a read does, which is no edit of anybody's."""
        spelled = {**with_regions(before.targeting), "age_min": 99, "effective_device_platforms": ["mobile"]}
        world.meta.fail(faults.answer({"id": before.id, "targeting": spelled}), on="POST adset", applied=True)

        assert write(world, before).targeting == with_regions(before.targeting)


class TestPeople:
    """Somebody comes between a write and the look at it."""

    @pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
    @pytest.mark.parametrize("states", [{"CA"}, {"CA", "FL", "GA", "OH"}, {"FL"}], ids=["others", "more", "fewer"])
    def test_their_regions_are_not_overwritten(
        self, world: World, before: AdSetSnapshot, states: set[str], *, applied: bool
    ) -> None:
        """What is there is neither what it was nor what was written."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)
        person_comes_after_the_write(world, before.id, {"geo_locations": {"regions": build_fb_regions(states)}})

        with pytest.raises(AdSetChangedError):
            write(world, before)

        assert world.meta.states(before.id) == states
        assert len(sent(world)) == 1

    @pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
    def test_another_edit_of_theirs_survives_and_the_write_goes_on(
        self, world: World, before: AdSetSnapshot, *, applied: bool
    ) -> None:
        """Regions alone decide whose the targeting is."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=applied)
        person_comes_after_the_write(world, before.id, BY_HAND)

        written = write(world, before)

        assert written.targeting == world.meta.targeting(before.id)
        assert world.meta.targeting(before.id) == with_regions({**before.targeting, **BY_HAND})

    def test_after_the_last_attempt_too(self, world: World, before: AdSetSnapshot) -> None:
        """A person's regions show at the last look: hands off, and no unknown outcome."""
        world.meta.fail(faults.DROPPED, on="POST adset", applied=True)
        person_comes_after_the_write(world, before.id, IN_CALIFORNIA)

        with pytest.raises(AdSetChangedError):
            write(world, before, retried=())

        assert world.meta.states(before.id) == {"CA"}


class TestAnEarlierCall:
    """An earlier call may have written these regions."""

    @pytest.mark.parametrize("applied", [False, True], ids=["not arrived", "arrived"])
    def test_it_is_looked_first(self, world: World, before: AdSetSnapshot, *, applied: bool) -> None:
        """If it shows nothing is written, if not it is written now."""
        if applied:
            write(world, before)
        world.meta.requests.clear()

        written = write(world, before, may_be_sent=True)

        assert written.targeting == world.meta.targeting(before.id) == with_regions(before.targeting)
        assert calls(world) == LOOK + ([] if applied else WRITE)

    def test_a_persons_regions_are_spared(self, world: World, before: AdSetSnapshot) -> None:
        """The earlier call did not arrive, and meanwhile a person came."""
        world.meta.change_by_hand(before.id, IN_CALIFORNIA)

        with pytest.raises(AdSetChangedError):
            write(world, before, may_be_sent=True)

        assert sent(world) == []

    @pytest.mark.parametrize("reply", ids([("data", faults.INTEREST_RETIRED), ("down", faults.SERVICE_UNAVAILABLE)]))
    def test_a_refusal_proves_nothing(self, world: World, before: AdSetSnapshot, reply: Reply) -> None:
        """The read before may be older than the earlier write, so whether that was made stays unknown."""
        world.meta.fail(reply, on="POST adset", times=None)

        with pytest.raises(MetaOutcomeUnknownError):
            write(world, before, may_be_sent=True)

    def test_it_is_not_asked_whether_it_is_fit_for_a_change(self, world: World, before: AdSetSnapshot) -> None:
        """The change has begun: what counts now is to know what is there."""
        written = write(world, before, may_be_sent=True, accepts=lambda _: "unfit")

        assert region_keys(written.targeting) == KEYS
