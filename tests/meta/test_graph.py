"""The door to Meta's Graph API: which answers count, which errors are retried, how lists and batches are read."""

import json
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from io import StringIO
from typing import Any

import pytest
from facebook_business.api import FacebookAdsApi

from closrads.domain.results import GraphUsage
from closrads.errors import (
    MetaAccessError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaObjectError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
)
from closrads.facebook_client import init_api
from closrads.meta import graph as graph_api
from closrads.meta.error_codes import JsonObject
from closrads.meta.graph import GraphApi, Operation, UsageMeter, has_data, has_id, is_confirmed
from closrads.redaction import Secret
from sandbox import faults
from sandbox.server import Reply
from tests.world import VETERANS, World, ids

FIELDS = {"fields": "id,name"}
PAUSE = {"status": "PAUSED"}
STATED = "X-Business-Use-Case-Usage"
SCORE = "X-Ad-Account-Usage"


@pytest.fixture
def adset(world: World) -> str:
    """Give the id of the only ad set, which has two ads."""
    world.campaign("FL")
    return world.adset("Broad", "TX")


@pytest.fixture
def unreachable(world: World) -> Iterator[World]:
    """Have Meta refuse every connection."""
    world.meta.refuse_connections()
    yield world
    world.meta.accept_connections()


@pytest.fixture
def log_lines(log: StringIO) -> Callable[[], list[JsonObject]]:
    """Give a way to read the log lines as they leave the process."""
    return lambda: [json.loads(line) for line in log.getvalue().splitlines()]


def ads_of(world: World, adset: str) -> list[str]:
    """Give the ids of the ads of an ad set, in order."""
    return [ad.id for ad in world.meta.ads_of(adset)]


def look_at(object_ids: Sequence[str]) -> list[Operation]:
    """Give one read for each id."""
    return [Operation("GET", object_id, FIELDS, has_id) for object_id in object_ids]


def turn_on(object_ids: Sequence[str]) -> list[Operation]:
    """Give one write for each id."""
    return [Operation("POST", object_id, {"status": "ACTIVE"}, is_confirmed) for object_id in object_ids]


def sent_ids(world: World) -> list[list[str]]:
    """Give the ids that each HTTP request was about."""
    return [[operation.object_id for operation in request.operations] for request in world.meta.requests]


def outcome_of(call: Callable[[], Any]) -> MetaError:
    """Return what went wrong, alone or as the only item of a batch."""
    try:
        outcome = call()
    except MetaError as error:
        return error
    (item,) = outcome
    assert isinstance(item, MetaError), f"taken for success: {item}"
    return item


WAYS: list[Any] = ids(
    [
        ("list", ("GET adsets", lambda api, _: [api.get_all(f"{VETERANS}/adsets", FIELDS, 10)])),
        ("write", ("POST adset", lambda api, adset: [api.post(adset, PAUSE)])),
        ("batched write", ("POST adset", lambda api, adset: api.batch(turn_on([adset])))),
    ]
)
"""What a fault is to hit, and the call that it hits."""

# --- answers that are no answers

NO_ANSWERS = ids(
    [
        ("500 page", faults.SERVER_ERROR_HTML),
        ("502 page", faults.BAD_GATEWAY_HTML),
        ("502 page that says success", faults.BAD_GATEWAY_SUCCESS),
        ("503 text", faults.UNAVAILABLE_TEXT),
        ("500 empty", faults.SERVER_ERROR_EMPTY),
        ("500 with a body that says success", faults.answer({"success": True, "id": "1", "data": []}, 500)),
        ("200 empty", faults.OK_EMPTY),
        ("200 empty object", faults.OK_EMPTY_OBJECT),
        ("200 page", faults.OK_HTML),
        ("200 list", faults.answer([{"id": "1"}])),
        ("200 text", faults.answer("success")),
        ("200 null", faults.answer(None)),
        ("200 without the wanted key", faults.answer({"more": {"success": True, "id": "1", "data": []}})),
        ("success false", faults.SUCCESS_FALSE),
        ("success as text", faults.answer({"success": "true"})),
        ("data that is no list", faults.answer({"data": {"id": "1"}})),
        ("too deep to parse", Reply(body=b'{"id":' + b"[" * 200_000)),
        ("304", Reply(HTTPStatus.NOT_MODIFIED)),
        ("truncated", faults.TRUNCATED),
        ("dropped", faults.DROPPED),
    ]
)


@pytest.mark.parametrize("reply", NO_ANSWERS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_answer_is_never_taken_for_one(
    world: World, adset: str, way: tuple[str, Callable[[GraphApi, str], Any]], reply: Reply
) -> None:
    """Nobody knows what became of a call whose answer is not an object of the expected shape."""
    on, call = way
    world.meta.fail(reply, on=on, times=None)

    assert type(outcome_of(lambda: call(world.api(), adset))) is MetaLostAnswerError


def test_a_write_that_says_it_failed_is_not_done_whatever_else_it_says(world: World, adset: str) -> None:
    """An answer with both `success` and `id` counts by its `success`."""
    world.meta.fail(faults.answer({"id": adset, "success": False}), on="POST adset")

    with pytest.raises(MetaError):
        world.api().post(adset, PAUSE)


def test_a_refused_connection_is_a_lost_answer(unreachable: World) -> None:
    """Nothing listens: the call is tried three times and then given up."""
    with pytest.raises(MetaLostAnswerError, match="ConnectionError"):
        unreachable.api().get("1", FIELDS)

    assert unreachable.time.waits == [5, 10]


def test_the_session_has_an_explicit_time_out(world: World) -> None:
    """Without one the SDK would wait for ever; it has to end long before an invocation does."""
    connect, read = world.api()._api._session.timeout

    assert 0 < connect <= 10
    assert 0 < read <= 60


def test_a_stalled_answer_is_a_lost_answer(world: World, adset: str) -> None:
    """Meta takes the request and never says a word."""
    world.meta.fail(faults.STALLED, on="POST adset")

    with pytest.raises(MetaLostAnswerError, match="ReadTimeout"):
        world.api().post(adset, PAUSE)


def test_a_defect_of_ours_is_not_called_trouble_of_metas(world: World, adset: str) -> None:
    """A parameter that cannot be sent is a bug to be seen, not an answer to wait for."""
    api = world.api()
    api.get(adset, FIELDS)

    with pytest.raises(TypeError):
        api.get(adset, {"fields": [object()]})

    assert (world.meta.round_trips, world.time.waits) == (1, [])


def test_without_an_address_it_talks_to_meta() -> None:
    """Only the sandbox and tests give another address."""
    assert init_api("EAAFAKE", "act_111")._api._session.GRAPH == "https://graph.facebook.com"


# --- what is tried again, and when

MOMENTARY = ids(
    [
        ("1", faults.UNKNOWN_ERROR),
        ("1/99", faults.UNKNOWN_ERROR_99),
        ("2", faults.SERVICE_UNAVAILABLE),
        ("3910001", faults.TRANSIENT),
        ("960", faults.BATCH_TIMED_OUT),
        ("edge page", faults.BAD_GATEWAY_HTML),
        ("dropped", faults.DROPPED),
        ("4", faults.APP_LIMIT),
        ("613/5044001", faults.TOO_MANY_MUTATIONS),
    ]
)
FINAL = ids(
    [
        ("190", faults.TOKEN_INVALID),
        ("190/460", faults.PASSWORD_CHANGED),
        ("190/463", faults.TOKEN_EXPIRED),
        ("200", faults.PERMISSION_MISSING),
        ("10", faults.CAPABILITY_MISSING),
        ("368", faults.POLICY_BLOCK),
        ("613", faults.ABUSE_PREVENTION),
        ("100/33", faults.OBJECT_MISSING),
        ("100/1487694", faults.INTEREST_RETIRED),
        ("2641", faults.LOCATION_RESTRICTED),
        ("17/1885172", faults.error(17, 1885172)),
    ]
)


@pytest.mark.parametrize("reply", MOMENTARY)
def test_momentary_trouble_is_sat_out(world: World, adset: str, reply: Reply) -> None:
    """The third attempt succeeds, 5 and 10 seconds later."""
    world.meta.fail(reply, on="GET adset", times=2)

    assert world.api().get(adset, FIELDS) == {"id": adset, "name": "Broad"}
    assert (world.meta.round_trips, world.time.waits) == (3, [5, 10])


@pytest.mark.parametrize("reply", MOMENTARY)
def test_after_three_attempts_it_is_given_up(world: World, adset: str, reply: Reply) -> None:
    """Trouble that lasts is reported, not waited for without end."""
    world.meta.fail(reply, on="GET adset", times=None)

    with pytest.raises(MetaError):
        world.api().get(adset, FIELDS)

    assert (world.meta.round_trips, world.time.waits) == (3, [5, 10])


@pytest.mark.parametrize("reply", FINAL)
def test_what_no_waiting_can_heal_is_not_tried_again(world: World, adset: str, reply: Reply) -> None:
    """A dead token, a missing permission, a policy block and refused data are final."""
    world.meta.fail(reply, on="GET adset", times=None)

    with pytest.raises(MetaError):
        world.api().get(adset, FIELDS)

    assert (world.meta.round_trips, world.time.waits) == (1, [])


@pytest.mark.parametrize("reply", [*MOMENTARY, *FINAL])
def test_a_bare_write_is_sent_once(world: World, adset: str, reply: Reply) -> None:
    """Whether a write may be repeated is the caller's to know."""
    world.meta.fail(reply, on="POST adset", times=None)

    with pytest.raises(MetaError):
        world.api().post(adset, PAUSE)

    assert (world.meta.round_trips, world.time.waits) == (1, [])


def usage(*minutes: int) -> tuple[str, str]:
    """Give the header of the use case's limits, with one business object for each number of minutes."""
    entries = {
        str(number): [
            {"type": "pages", "estimated_time_to_regain_access": 0},
            {"estimated_time_to_regain_access": each},
        ]
        for number, each in enumerate(minutes)
    }
    return STATED, json.dumps(entries)


def score(percent: float, seconds: int) -> tuple[str, str]:
    """Give the header of the ad account's score."""
    return SCORE, json.dumps({"acc_id_util_pct": percent, "reset_time_duration": seconds})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param((usage(4),), 240, id="minutes of the use case"),
        pytest.param((usage(1, 7, 3),), 420, id="the longest of several objects and types"),
        pytest.param((score(100, 90),), 90, id="seconds of the account"),
        pytest.param((usage(1), score(100, 90)), 90, id="the longer of both, the account's"),
        pytest.param((usage(2), score(100, 90)), 120, id="the longer of both, the use case's"),
        pytest.param((usage(2), score(99.5, 300)), 120, id="an account that is not full says nothing"),
        pytest.param((("x-business-use-case-usage", usage(4)[1]),), 240, id="in lower case"),
        pytest.param((), 5, id="nothing stated"),
        pytest.param((usage(0), score(12, 300)), 5, id="zero stated"),
        pytest.param(((STATED, "so[me text"), (SCORE, "[1]")), 5, id="unreadable headers"),
        pytest.param(
            ((STATED, '{"1": 5, "2": [6, {"estimated_time_to_regain_access": "soon"}]}'),), 5, id="no numbers"
        ),
    ],
)
@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "in a batch"])
def test_the_time_that_meta_states_is_waited(
    world: World, adset: str, headers: tuple[tuple[str, str], ...], seconds: float, *, in_batch: bool
) -> None:
    """A shorter wait would lengthen the block."""
    world.meta.fail(faults.error(80004, 2446079, headers=headers), on="GET adset")

    answer = world.api().batch(look_at([adset]))[0] if in_batch else world.api().get(adset, FIELDS)

    assert answer == {"id": adset, "name": "Broad"}
    assert world.time.waits == [seconds]


@pytest.mark.parametrize(
    ("reply", "seconds"), [(faults.throttled_use_case(5), 300), (faults.throttled_account(120), 120)]
)
@pytest.mark.parametrize("spare", [-1, 1])
def test_no_wait_eats_into_the_last_seconds(
    world: World, adset: str, reply: Reply, seconds: float, spare: float
) -> None:
    """A wait that would not leave the reserve is not begun; the error says how long it would have been."""
    world.time.deadline = world.time.seconds() + seconds + graph_api.RESERVED_SECONDS + spare
    world.meta.fail(reply, on="GET adset")

    if spare > 0:
        assert world.api().get(adset, FIELDS)["id"] == adset
    else:
        with pytest.raises(MetaRateLimitError) as caught:
            world.api().get(adset, FIELDS)
        assert caught.value.retry_after == seconds

    assert world.time.waits == ([seconds] if spare > 0 else [])


@pytest.mark.parametrize(
    ("remaining", "reserve", "waits"),
    [(36, 30, [5]), (34, 30, []), (46, 30, [5, 10]), (136, 120, [5, 10]), (126, 120, [5]), (124, 120, []), (6, 30, [])],
)
def test_ordinary_waits_keep_the_reserve_too(
    world: World, adset: str, remaining: float, reserve: float, waits: list[float]
) -> None:
    """Attempts end when the next wait would touch what is kept for later steps."""
    world.time.deadline = world.time.seconds() + remaining
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on="POST adset", times=None)
    api = world.api()

    with pytest.raises(MetaTransientError):
        api.retrying(lambda: api.post(adset, PAUSE), reserve=reserve)

    assert world.time.waits == waits
    assert world.meta.round_trips == 1 + len(waits)


# --- lists


@pytest.fixture
def names(world: World) -> set[str]:
    """Give the names of the seven ad sets of the only campaign."""
    world.campaign("FL")
    found = {f"Ad set {number}" for number in range(7)}
    for name in sorted(found):
        world.adset(name, ads=0)
    return found


def read_names(world: World, page_size: int = 100) -> list[str]:
    """Read the names of all ad sets."""
    return [row["name"] for row in world.api().get_all(f"{VETERANS}/adsets", FIELDS, page_size)]


def limits(world: World) -> list[int]:
    """Give the page size of each request."""
    return [int(operation.params["limit"]) for operation in world.meta.operations]


def page(after: str | None, *, next_url: str | None = None) -> Reply:
    """Give a page that goes on."""
    cursors = {"cursors": {"after": after}} if after else {}
    return faults.answer({"data": [{"id": "1", "name": "?"}], "paging": {**cursors, "next": next_url or "https://x/"}})


@pytest.mark.parametrize("empty_pages", [0, 1, 3])
@pytest.mark.parametrize("page_size", [1, 2, 6, 7])
def test_a_list_ends_where_meta_says_so(world: World, names: set[str], empty_pages: int, page_size: int) -> None:
    """Neither a page shorter than asked for nor an empty one is the last, as long as there is a next."""
    world.meta.page_size, world.meta.empty_pages = page_size, empty_pages

    found = read_names(world)

    assert (len(found), set(found)) == (7, names)


@pytest.mark.parametrize(("max_pages", "rows"), [(1, 2), (3, 6), (4, 7), (5, 7)])
def test_a_list_may_be_read_in_part(world: World, names: set[str], max_pages: int, rows: int) -> None:
    """The newest rows of a log, for instance."""
    found = world.api().get_all(f"{VETERANS}/adsets", FIELDS, 2, max_pages=max_pages)

    assert (len(found), len(names)) == (rows, 7)
    assert world.meta.round_trips == min(max_pages, 4)


def test_a_cursor_on_the_last_page_is_not_followed(world: World, names: set[str]) -> None:
    """Only `next` says that there is more; a full last page with a cursor costs no further call."""
    assert len(read_names(world, len(names))) == 7
    assert world.meta.round_trips == 1


def test_a_next_address_without_a_cursor_will_do(world: World, names: set[str]) -> None:
    """Where a page has no cursors, the one in the address of the next page is used."""
    first = world.api().get(f"{VETERANS}/adsets", {**FIELDS, "limit": 3}, has_data)
    first["paging"].pop("cursors")
    world.meta.fail(faults.answer(first), on="GET adsets")

    found = read_names(world, 3)

    assert (len(found), set(found)) == (7, names)


@pytest.mark.parametrize("circle", [1, 2, 3])
def test_a_list_that_goes_in_circles_is_refused(world: World, names: set[str], circle: int) -> None:
    """A cursor that comes again would make the list endless."""
    assert names
    for number in range(circle):
        before = {None, str(circle - 1)} if number == 0 else {str(number - 1)}
        world.meta.fail(page(str(number)), on=lambda operation, at=before: operation.params.get("after") in at, times=5)

    with pytest.raises(MetaError, match="not to a new page"):
        read_names(world)

    assert world.meta.round_trips == circle + 1


def test_a_list_of_empty_pages_without_end_is_refused(world: World, names: set[str]) -> None:
    """It would cost the whole quota of the ad account, with which others put their ad sets back."""
    assert names
    world.meta.empty_pages = 10_000

    with pytest.raises(MetaTransientError, match="nothing but empty pages"):
        read_names(world)

    assert world.meta.round_trips == graph_api.MAX_EMPTY_PAGES


def test_a_next_address_that_leads_nowhere_is_refused(world: World, names: set[str]) -> None:
    """Half a list is not handed out as the whole."""
    assert names
    world.meta.fail(page(None), on="GET adsets")

    with pytest.raises(MetaError, match="not to a new page"):
        read_names(world)


TOLD_AT_ONCE = ids(
    [
        ("plain", faults.REDUCE_DATA),
        ("hidden", faults.REDUCE_DATA_HIDDEN),
        ("timed out", faults.REQUEST_TIMED_OUT),
        ("timed out, code 100", faults.REQUEST_TIMED_OUT_100),
    ]
)
NOT_TOLD = ids(
    [
        ("unknown error", faults.UNKNOWN_ERROR),
        ("subcode 99", faults.UNKNOWN_ERROR_99),
        ("page 400", faults.ERROR_PAGE_400),
        ("page 500", faults.SERVER_ERROR_HTML),
        ("empty 500", faults.SERVER_ERROR_EMPTY),
    ]
)


@pytest.mark.parametrize("reply", TOLD_AT_ONCE)
def test_pages_that_are_too_large_are_asked_for_smaller(world: World, names: set[str], reply: Reply) -> None:
    """Meta does not like more than two rows at once: no waiting, smaller pages, nothing lost and nothing twice."""
    world.meta.max_rows, world.meta.too_much_data = 2, reply

    found = read_names(world, 8)

    assert (len(found), set(found)) == (7, names)
    assert (limits(world), world.time.waits) == ([8, 4, 2, 2, 2, 2], [])


@pytest.mark.parametrize("reply", NOT_TOLD)
def test_pages_that_keep_failing_are_asked_for_smaller(world: World, names: set[str], reply: Reply) -> None:
    """Meta does not say that a page is too large: first it may be an outage, then pages that are ever smaller."""
    world.meta.max_rows, world.meta.too_much_data = 2, reply

    found = read_names(world, 8)

    assert (len(found), set(found)) == (7, names)
    assert (limits(world), world.time.waits) == ([8, 8, 8, 4, 2, 2, 2, 2], [5, 10])


@pytest.mark.parametrize("reply", NOT_TOLD)
def test_a_list_that_fails_at_any_size_takes_ten_round_trips(world: World, names: set[str], reply: Reply) -> None:
    """Three for a page of 200, and one for each of the seven smaller sizes."""
    assert names
    world.meta.max_rows, world.meta.too_much_data = 0, reply

    with pytest.raises(MetaTransientError):
        read_names(world, 200)

    assert (limits(world), world.time.waits) == ([200, 200, 200, 100, 50, 25, 12, 6, 3, 1], [5, 10])


def test_a_throttle_between_smaller_pages_is_waited_for(world: World, names: set[str]) -> None:
    """It says nothing about their size."""
    world.meta.fail(faults.UNKNOWN_ERROR_99, on="GET adsets", times=3)
    world.meta.fail(faults.throttled_account(60), on="GET adsets")

    assert set(read_names(world, 8)) == names
    assert (limits(world)[:5], world.time.waits) == ([8, 8, 8, 4, 4], [5, 10, 60])


def test_without_time_to_wait_a_list_is_asked_for_once(world: World, names: set[str]) -> None:
    """Only an error that names the size is worth another call then."""
    assert names
    world.meta.fail(faults.UNKNOWN_ERROR_99, on="GET adsets", times=None)

    with pytest.raises(MetaTransientError):
        world.api().get_all(f"{VETERANS}/adsets", FIELDS, 8, reserve=math.inf)

    assert limits(world) == [8]


def test_the_size_that_was_found_is_kept(world: World, names: set[str]) -> None:
    """For the rest of the run, and for each list of the kind, in batches too."""
    world.meta.max_rows = 2
    api = world.api()
    for _ in range(2):
        assert len(api.get_all(f"{VETERANS}/adsets", FIELDS, 8)) == len(names)
    (answer,) = api.batch([Operation("GET", f"{VETERANS}/adsets", {**FIELDS, "limit": 8}, has_data)])

    assert limits(world) == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert not isinstance(answer, MetaError)


@pytest.mark.parametrize("reply", NOT_TOLD)
def test_a_list_in_a_batch_is_repeated_in_smaller_pages(world: World, names: set[str], reply: Reply) -> None:
    """The repetitions that there are anyway ask for less."""
    assert names
    world.meta.max_rows, world.meta.too_much_data = 2, reply
    (answer,) = world.api().batch([Operation("GET", f"{VETERANS}/adsets", {**FIELDS, "limit": 8}, has_data)])

    assert not isinstance(answer, MetaError)
    assert (limits(world), len(answer["data"])) == ([8, 4, 2], 2)


@pytest.mark.parametrize("reply", TOLD_AT_ONCE)
def test_an_object_cannot_be_asked_for_in_smaller_pages(world: World, names: set[str], reply: Reply) -> None:
    """So the same words are trouble that passes."""
    assert names
    world.meta.fail(reply, on="GET campaign")

    assert world.api().get(VETERANS, {"fields": "id"})["id"] == VETERANS
    assert world.time.waits == [5]


def test_smaller_pages_go_on_from_where_the_list_was(world: World, names: set[str]) -> None:
    """A page in the middle that is too large is asked for again from the same place."""
    world.meta.fail(faults.REDUCE_DATA, on=lambda operation: "after" in operation.params)

    found = read_names(world, 4)

    assert (len(found), set(found), limits(world)) == (7, names, [4, 4, 2, 2])


@pytest.mark.parametrize("reply", TOLD_AT_ONCE)
def test_a_single_row_that_is_too_large_is_given_up(world: World, names: set[str], reply: Reply) -> None:
    """Less than one row cannot be asked for."""
    assert names
    world.meta.max_rows, world.meta.too_much_data = 0, reply

    with pytest.raises(MetaTooMuchDataError):
        read_names(world, 5)

    assert (limits(world), world.time.waits) == ([5, 2, 1], [])


def test_trouble_in_the_middle_of_a_list_costs_no_row(world: World, names: set[str]) -> None:
    """The page that failed is read again, and no other."""
    world.meta.fail(faults.BAD_GATEWAY_HTML, on="GET adsets", skip=1)

    found = read_names(world, 3)

    assert (len(found), set(found), world.meta.round_trips) == (7, names, 4)


def test_a_list_whose_cursor_has_died_is_read_from_the_start_once(world: World, names: set[str]) -> None:
    """A cursor dies when the list changes; what was read with it is thrown away, so that no row is there twice."""
    world.meta.fail(faults.CURSOR_INVALID, on=lambda operation: "after" in operation.params)

    found = read_names(world, 4)

    assert (len(found), set(found), limits(world)) == (7, names, [4, 4, 4, 4])


def test_a_list_whose_cursors_keep_dying_is_refused(world: World, names: set[str]) -> None:
    """A list that changes that often is left to the next run."""
    assert names
    world.meta.fail(faults.CURSOR_INVALID, on=lambda operation: "after" in operation.params, times=None)

    with pytest.raises(MetaInvalidError, match="2642"):
        read_names(world, 4)

    assert limits(world) == [4, 4, 4, 4]


def test_a_list_that_cannot_be_read_to_its_end_is_not_handed_out(world: World, names: set[str]) -> None:
    """Half a picture is no picture."""
    assert names
    world.meta.fail(faults.SERVICE_UNAVAILABLE, on="GET adsets", skip=1, times=None)

    with pytest.raises(MetaTransientError):
        read_names(world, 3)


# --- batches


@pytest.fixture
def ads(world: World) -> list[str]:
    """Give the ids of the five ads of the only ad set."""
    world.campaign("FL")
    return ads_of(world, world.adset(ads=5))


def named(outcomes: Sequence[JsonObject | MetaError]) -> list[Any]:
    """Give the id of each item that succeeded, and the class of each that did not."""
    return [outcome["id"] if isinstance(outcome, dict) else type(outcome) for outcome in outcomes]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_a_batch_holds_fifty_at_most(world: World, count: int, sizes: list[int]) -> None:
    """More are sent in several requests, each item's outcome in its place."""
    world.campaign("FL")
    wanted = ads_of(world, world.adset(ads=count))

    assert named(world.api().batch(look_at(wanted))) == wanted
    assert [len(request.operations) for request in world.meta.requests] == sizes


def test_items_fail_one_by_one(world: World, ads: list[str]) -> None:
    """One refused item takes no other with it, and is not sent again."""
    world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: operation.object_id == ads[1], times=None)
    world.meta.fail(faults.PERMISSION_MISSING, on=lambda operation: operation.object_id == ads[3], times=None)

    outcomes = world.api().batch(look_at(ads))

    assert named(outcomes) == [ads[0], MetaObjectError, ads[2], MetaAccessError, ads[4]]
    assert world.meta.round_trips == 1


ITEM_TROUBLE = ids(
    [
        ("null item", faults.NULL_ITEM),
        ("null body", faults.NULL_BODY),
        ("empty body", faults.OK_EMPTY),
        ("empty object", faults.OK_EMPTY_OBJECT),
        ("page", faults.SERVER_ERROR_HTML),
        ("page that says success", faults.BAD_GATEWAY_SUCCESS),
        ("transient error", faults.SERVICE_UNAVAILABLE),
        ("success false", faults.SUCCESS_FALSE),
        ("throttled", faults.TOO_MANY_MUTATIONS),
    ]
)


@pytest.mark.parametrize("reply", ITEM_TROUBLE)
def test_only_items_without_an_answer_are_sent_again(world: World, ads: list[str], reply: Reply) -> None:
    """The second request holds what the first left open, and nothing that was done."""
    for index in (1, 3):
        world.meta.fail(reply, on=lambda operation, ad=ads[index]: operation.object_id == ad)

    outcomes = world.api().batch(turn_on(ads))

    assert outcomes == [{"success": True}] * 5
    assert (sent_ids(world), world.time.waits) == ([ads, [ads[1], ads[3]]], [5])


@pytest.mark.parametrize("reply", ITEM_TROUBLE)
def test_an_item_that_stays_without_an_answer_is_not_done(world: World, ads: list[str], reply: Reply) -> None:
    """Silence is never success; after three requests it is reported for this item alone."""
    world.meta.fail(reply, on=lambda operation: operation.object_id == ads[2], times=None)

    outcomes = world.api().batch(turn_on(ads))

    assert [isinstance(outcome, MetaError) for outcome in outcomes] == [False, False, True, False, False]
    assert (sent_ids(world), world.time.waits) == ([ads, [ads[2]], [ads[2]]], [5, 10])


def test_items_recover_at_different_times(world: World, ads: list[str]) -> None:
    """Each item is sent until it has an answer; one that is refused in between is let go."""
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == ads[0])
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == ads[1], times=2)
    world.meta.fail(faults.NULL_ITEM, on=lambda operation: operation.object_id == ads[2])
    world.meta.fail(faults.OBJECT_MISSING, on=lambda operation: operation.object_id == ads[2])

    outcomes = world.api().batch(look_at(ads))

    assert named(outcomes) == [ads[0], ads[1], MetaObjectError, ads[3], ads[4]]
    assert sent_ids(world) == [ads, ads[:3], [ads[1]]]


@pytest.mark.parametrize(
    ("reply", "missing"),
    [(faults.ShortList(missing=1), 1), (faults.ShortList(missing=4), 4), (faults.NO_ITEMS, 5)],
    ids=["one", "most", "all"],
)
@pytest.mark.parametrize("applied", [False, True], ids=["not done", "done"])
def test_items_missing_from_the_answer_are_sent_again(
    world: World, ads: list[str], reply: Reply, missing: int, *, applied: bool
) -> None:
    """An answer shorter than the question says nothing about the rest."""
    world.meta.fail(reply, on="batch", applied=applied)

    outcomes = world.api().batch(turn_on(ads))

    assert outcomes == [{"success": True}] * 5
    assert sent_ids(world) == [ads, ads[5 - missing :]]


def test_items_that_stay_missing_are_not_done(world: World, ads: list[str]) -> None:
    """An empty list in answer to five writes is five lost answers."""
    world.meta.fail(faults.NO_ITEMS, on="batch", times=None)

    assert named(world.api().batch(turn_on(ads))) == [MetaLostAnswerError] * 5
    assert world.meta.round_trips == 3


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(["some text"], id="text"),
        pytest.param([{"code": None, "headers": None, "body": '{"success":true}'}], id="no status"),
        pytest.param([{"code": 500, "headers": [], "body": '{"success":true}'}], id="bad status"),
        pytest.param([{"code": 200, "headers": [{}], "body": '{"success":'}], id="half a body"),
        pytest.param([{"code": 200, "headers": [{"name": "a"}], "body": '{"success":1}'}], id="half a header"),
        pytest.param([{}], id="nothing"),
    ],
)
def test_an_item_that_is_none_is_not_done(world: World, ads: list[str], items: list[Any]) -> None:
    """Whatever stands in an item's place, only a confirmation counts as one."""
    world.meta.fail(faults.answer(items), on="batch", times=None)

    assert named(world.api().batch(turn_on(ads[:1]))) == [MetaLostAnswerError]


def test_more_items_than_were_sent_are_no_defect_of_ours(world: World, ads: list[str]) -> None:
    """The first item answers the only question; what to make of the others is Meta's to know."""
    item = {"code": 200, "headers": [], "body": '{"success":true}'}
    world.meta.fail(faults.answer([item, item]), on="batch", times=None)

    (outcome,) = world.api().batch(turn_on(ads[:1]))

    assert outcome == {"success": True} or isinstance(outcome, MetaError)


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("object", faults.ENVELOPE_DICT),
            ("text", faults.ENVELOPE_TEXT),
            ("empty", faults.OK_EMPTY),
            ("page", faults.OK_HTML),
            ("502 page", faults.BAD_GATEWAY_HTML),
            ("502 page that says success", faults.BAD_GATEWAY_SUCCESS),
            ("success", faults.answer({"success": True})),
            ("number", faults.answer(5)),
            ("truncated", faults.TRUNCATED),
            ("dropped", faults.DROPPED),
        ]
    ),
)
def test_a_batch_without_a_list_in_answer_is_not_done(world: World, ads: list[str], reply: Reply) -> None:
    """All items are sent again; if the answer never becomes one, each item's is lost."""
    world.meta.fail(reply, on="batch", times=4, applied=True)
    api = world.api()

    assert named(api.batch(turn_on(ads))) == [MetaLostAnswerError] * 5
    assert sent_ids(world) == [ads] * 3
    assert api.batch(turn_on(ads)) == [{"success": True}] * 5


def test_a_dead_token_is_said_of_each_item_at_once(world: World, ads: list[str]) -> None:
    """The envelope's error is every item's, and is not retried."""
    world.meta.dead_tokens[world.meta.token] = faults.TOKEN_EXPIRED

    outcomes = world.api().batch(turn_on(ads))

    assert [(type(error), error.subcode) for error in outcomes if isinstance(error, MetaError)] == [
        (MetaAccessError, 463)
    ] * 5
    assert (world.meta.round_trips, world.meta.writes) == (1, [])


def test_a_throttled_batch_waits_as_long_as_meta_states(world: World, ads: list[str]) -> None:
    """The time stands in the envelope's headers when the whole batch is refused."""
    world.meta.fail(faults.throttled_use_case(2), on="batch")

    assert world.api().batch(turn_on(ads)) == [{"success": True}] * 5
    assert world.time.waits == [120]


def test_of_several_throttled_items_the_longest_wait_counts(world: World, ads: list[str]) -> None:
    """A shorter wait would send the others into the block again."""
    for ad, reply in zip(
        ads, [faults.SERVICE_UNAVAILABLE, faults.throttled_use_case(1), faults.throttled_use_case(3)], strict=False
    ):
        world.meta.fail(reply, on=lambda operation, ad=ad: operation.object_id == ad)

    assert world.api().batch(turn_on(ads)) == [{"success": True}] * 5
    assert (world.time.waits, sent_ids(world)) == ([180], [ads, ads[:3]])


def test_a_batch_keeps_the_reserve(world: World, ads: list[str]) -> None:
    """Without time for a wait the outcome is reported as it is."""
    world.time.deadline = world.time.seconds() + 300
    world.meta.fail(faults.throttled_use_case(5), on="batch", times=None)

    assert named(world.api().batch(turn_on(ads))) == [MetaRateLimitError] * 5
    assert (world.meta.round_trips, world.time.waits) == (1, [])


# --- what it costs


def test_the_meter_counts_what_meta_counts(world: World, adset: str) -> None:
    """Reads are 1 point, writes 3, refused or not; the items of a batch count one by one."""
    meter = UsageMeter()
    api = init_api(world.meta.token, "act_111", graph_url=world.meta.url, clock=world.time.clock, meter=meter)
    assert meter.reading() == GraphUsage(0, 0, 0)

    api.get(adset, FIELDS)
    assert meter.reading() == GraphUsage(1, 1, 1)
    api.post(adset, PAUSE)
    assert meter.reading() == GraphUsage(2, 2, 4)
    world.meta.fail(faults.NULL_ITEM, on="POST ad")
    api.batch([*turn_on(ads_of(world, adset)), *look_at([adset])])
    assert meter.reading() == GraphUsage(4, 6, 4 + 7 + 3)
    world.meta.fail(faults.TOKEN_INVALID, on="POST adset")
    with pytest.raises(MetaAccessError):
        api.post(adset, PAUSE)
    assert meter.reading() == GraphUsage(world.meta.round_trips, len(world.meta.operations), world.meta.points)


def test_one_meter_serves_several_api_objects(world: World, adset: str) -> None:
    """A run has one bill, however many campaigns and tokens it has."""
    meter = UsageMeter()
    for account in ("act_111", "act_222"):
        api = init_api(world.meta.token, account, graph_url=world.meta.url, clock=world.time.clock, meter=meter)
        api.get(adset, FIELDS)

    assert meter.reading() == GraphUsage(2, 2, 2)


def test_the_pace_is_the_average_of_all_exchanges(world: World, adset: str) -> None:
    """Those that brought no answer count too; a batch is one."""
    api = world.api()
    assert api.seconds_per_call == 0
    world.slow_down(0.5)
    api.get(adset, FIELDS)
    assert api.seconds_per_call == pytest.approx(0.5)
    world.slow_down(2)
    api.batch(turn_on(ads_of(world, adset)))
    world.meta.fail(faults.DROPPED, on="POST adset")
    with pytest.raises(MetaLostAnswerError):
        api.post(adset, PAUSE)

    assert api.seconds_per_call == pytest.approx(1.5)
    world.time.sleep(60)
    assert api.seconds_per_call == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("remaining", "connect", "whole"), [(900, 3.05, 30), (34, 3.05, 29), (7, 2, 2), (6, 1, 1), (5.5, 1, 1)]
)
def test_time_outs_shrink_with_the_invocation(
    world: World, adset: str, remaining: float, connect: float, whole: float
) -> None:
    """No call lasts into the last five seconds, but each that is begun gets a second."""
    api = world.api()
    world.time.deadline = world.time.seconds() + remaining

    api.get(adset, FIELDS)

    assert api._api._session.timeout == pytest.approx((connect, whole))


@pytest.mark.parametrize(
    ("remaining", "reserve", "seconds_per_call", "whole"),
    [
        (900, 20, 0, 30),
        (30, 20, 0, 10),
        (30, 20, 4, 10),
        (30, 20, 6, 12),  # a call may take twice the average
        (12, 20, 4, 7),  # but not what the report needs
        (12, 20, 0, 1),
        (30, 0, 0, 25),
    ],
)
@pytest.mark.parametrize("is_batch", [False, True], ids=["alone", "in a batch"])
def test_a_write_spares_the_time_of_what_follows_it(  # noqa: PLR0913 - a row of the table
    world: World, adset: str, *, remaining: float, reserve: float, seconds_per_call: float, whole: float, is_batch: bool
) -> None:
    """If Meta does not answer it, there is time to look and to put it back."""
    api = world.api()
    api._meter.count(["GET"], seconds_per_call)
    world.time.deadline = world.time.seconds() + remaining

    if is_batch:
        api.batch([Operation("POST", adset, PAUSE, is_confirmed)], call_reserve=reserve)
    else:
        api.post(adset, PAUSE, call_reserve=reserve)

    assert api._api._session.timeout[1] == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("remaining", [5, 4.9, 0, -3])
@pytest.mark.parametrize(
    "call",
    ids(
        [
            ("read", lambda api, adset: api.get(adset, FIELDS)),
            ("list", lambda api, _: api.get_all(f"{VETERANS}/adsets", FIELDS, 10)),
            ("write", lambda api, adset: api.post(adset, PAUSE)),
            ("batch", lambda api, adset: api.batch(turn_on([adset]))),
        ]
    ),
)
def test_no_call_begins_in_the_last_seconds(
    world: World, adset: str, call: Callable[[GraphApi, str], Any], remaining: float
) -> None:
    """They are for the report; nothing is sent, nothing is counted, and nothing is waited for."""
    api = world.api()
    world.time.deadline = world.time.seconds() + remaining

    error = outcome_of(lambda: call(api, adset))

    assert type(error) is MetaTransientError
    assert "No time is left" in str(error)
    assert (world.meta.requests, world.time.waits) == ([], [])
    assert api._meter.reading() == GraphUsage(0, 0, 0)


class BusyAccount:
    """The slots of an ad account, for one of which each call has to wait."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world, self._seconds = world, seconds

    def __enter__(self) -> None:
        self._world.time.sleep(self._seconds)

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("waited", "whole"), [(10, 25), (34, 1)])
def test_the_wait_for_other_calls_of_the_account_counts(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch, *, waited: float, whole: float
) -> None:
    """What is left after it bounds the call."""
    api = world.api()
    monkeypatch.setattr(api.quota, "calls", BusyAccount(world, waited))
    world.time.deadline = world.time.seconds() + 40

    api.get(adset, FIELDS)

    assert api._api._session.timeout[1] == pytest.approx(whole)
    assert api.seconds_per_call == pytest.approx(waited)


def test_no_call_begins_if_the_time_ran_out_while_it_waited(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write would reach Meta although nobody is left to look after it."""
    api = world.api()
    monkeypatch.setattr(api.quota, "calls", BusyAccount(world, 36))
    world.time.deadline = world.time.seconds() + 40

    with pytest.raises(MetaTransientError, match="No time is left"):
        api.post(adset, PAUSE)

    assert world.meta.requests == []


def test_a_time_out_that_has_shrunk_counts(world: World, adset: str) -> None:
    """It holds for the next call, not what it was when the api object was made."""
    api = world.api()
    api.get(adset, FIELDS)
    world.meta.fail(faults.STALLED, on="GET adset", times=None)
    world.time.deadline = world.time.seconds() + 8
    started = world.time.seconds()

    with pytest.raises(MetaLostAnswerError, match="ReadTimeout"):
        api.get(adset, FIELDS)

    assert world.time.seconds() - started == pytest.approx(3)


# --- the quota


@pytest.fixture
def limited(world: World, adset: str) -> str:
    """Give the id of the only ad set, of an account that has 60 points in five minutes."""
    world.meta.add_account("act_111", "limited")
    return adset


@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "batch"])
def test_the_tier_is_learned_from_any_answer(world: World, limited: str, *, in_batch: bool) -> None:
    """Its headers come with an answer, or with each item of a batch."""
    api = world.api()
    assert api.quota.limit is None

    if in_batch:
        api.batch(look_at([limited]))
    else:
        api.get(limited, FIELDS)

    assert api.quota.limit == 60


def test_what_is_sent_is_counted_as_meta_counts_it(world: World, limited: str) -> None:
    """So it is known to the point what is left."""
    api = world.api()
    api.get(limited, FIELDS)
    api.post(limited, PAUSE)
    api.batch([*turn_on(ads_of(world, limited)), *look_at([limited])])
    spent = world.meta.points

    assert api.quota.seconds_until(60 - spent) == 0
    assert api.quota.seconds_until(60 - spent + 1) == pytest.approx(300)


def test_a_refusal_for_want_of_quota_is_learned_from(world: World, limited: str) -> None:
    """Whoever asks the meter next knows how long the block lasts."""
    api = world.api()
    world.meta.spend("act_111", 60)
    world.time.deadline = world.time.seconds() + 60

    with pytest.raises(MetaRateLimitError):
        api.get(limited, FIELDS)

    assert api.quota.seconds_until(1) == pytest.approx(300)


@pytest.mark.parametrize("reply", [faults.THROTTLED_ACCOUNT_BARE, faults.TOO_MANY_CALLS], ids=["17", "613/1487742"])
@pytest.mark.parametrize("in_batch", [False, True], ids=["alone", "batch"])
def test_a_refusal_for_want_of_quota_that_tells_nothing(
    world: World, limited: str, reply: Reply, *, in_batch: bool
) -> None:
    """It is that of the smallest tier, whose block is sat out: a call in between would lengthen it."""
    world.meta.accounts["act_111"].shows_usage = False
    world.meta.fail(reply, on="GET adset")
    api = world.api()

    if in_batch:
        api.batch(look_at([limited]))
    else:
        api.get(limited, FIELDS)

    assert (api.quota.limit, world.time.waits) == (60, [300])


def test_another_quota_that_is_used_up_tells_nothing_of_the_tier(world: World, limited: str) -> None:
    """Such as the hour of the app."""
    world.meta.accounts["act_111"].shows_usage = False
    world.meta.fail(faults.APP_LIMIT, on="GET adset")
    api = world.api()

    api.get(limited, FIELDS)

    assert (api.quota.limit, world.time.waits) == (None, [5])


def test_one_account_has_one_quota(world: World, limited: str) -> None:
    """Campaigns of the same account share it; without one given, an api object has its own."""
    quota = world.api().quota
    one, other = (world.api(quota=quota) for _ in range(2))
    one.get(limited, FIELDS)

    assert other.quota.limit == 60
    assert world.api().quota.limit is None


# --- what it leaves alone


def test_nothing_process_wide_is_set(world: World, adset: str) -> None:
    """Neither the SDK's default api nor its crash reporter, which would send call stacks to Meta."""
    hook = sys.excepthook

    world.api().get(adset, FIELDS)

    assert FacebookAdsApi.get_default_api() is None
    assert FacebookAdsApi.get_default_account_id() is None
    assert sys.excepthook is hook


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_not_used(
    world: World, adset: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Nothing that a variable names gets between us and Meta, and gets to see the token."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert world.api().get(adset, FIELDS)["id"] == adset
    assert world.time.waits == []


def test_several_api_objects_do_not_mix(world: World, adset: str) -> None:
    """Each call carries the token of the object it was made with, whichever was made or used last."""
    other = "EAAFAKEOTHERTOKEN"
    ours = world.api()
    theirs = init_api(other, "act_222", graph_url=world.meta.url, clock=world.time.clock)
    for api, refused in [(ours, theirs), (theirs, ours), (ours, theirs)]:
        world.meta.tokens = {world.meta.token if api is ours else other}

        assert api.get(adset, FIELDS)["id"] == adset
        assert api.batch(look_at([adset])) == [{"id": adset, "name": "Broad"}]
        with pytest.raises(MetaAccessError):
            refused.get(adset, FIELDS)
        assert named(refused.batch(look_at([adset]))) == [MetaAccessError]


# --- secrets


def test_the_proof_goes_with_every_call_when_there_is_an_app_secret(world: World, adset: str) -> None:
    """Meta, which asks for it, accepts reads, writes and batches."""
    world.meta.app_secret = "fake-app-secret"
    api = world.api(app_secret=Secret("fake-app-secret"))

    assert api.get(adset, FIELDS)["id"] == adset
    assert api.post(adset, PAUSE) == {"success": True}
    assert api.batch(look_at([adset])) == [{"id": adset, "name": "Broad"}]


@pytest.mark.parametrize("secret", [None, Secret("another-fake-secret")], ids=["none", "wrong"])
def test_without_the_right_app_secret_meta_refuses(world: World, adset: str, secret: Secret | None) -> None:
    """No proof and a wrong proof are both noticed, so the test above means something."""
    world.meta.app_secret = "fake-app-secret"

    with pytest.raises(MetaInvalidError, match="appsecret_proof"):
        world.api(app_secret=secret).get(adset, FIELDS)


TOKEN = "EAA+FAKE/TOKEN &1"
"""With characters that a URL shows in another form."""
LEAKS = ids(
    [
        ("dropped", faults.DROPPED),
        ("truncated", faults.TRUNCATED),
        ("stalled", faults.STALLED),
        ("page", faults.BAD_GATEWAY_HTML),
        ("dead token", faults.TOKEN_INVALID),
        ("echoed", faults.error(190, None, f"Malformed access token {TOKEN}")),
        ("echoed to users", faults.error(2, None, user_message=f"https://x/?access_token={TOKEN}&appsecret_proof=abc")),
        ("echoed as text", faults.answer({"error": f"token {TOKEN} is bad"}, 500)),
    ]
)


def shown(error: BaseException) -> str:
    """Give all that Python prints of an exception and of those behind it that are not suppressed."""
    return "".join(traceback.format_exception(error)) + repr(error)


def assert_hidden(text: str) -> None:
    """Check that neither form of the token is in a text, nor the proof."""
    for form in (TOKEN, "EAA%2BFAKE", "FAKE/TOKEN", "FAKE%2FTOKEN", "appsecret_proof=a"):
        assert form not in text


@pytest.fixture
def logged(log: StringIO, libraries_log: StringIO) -> Callable[[], str]:
    """Give a way to read what the libraries and we have logged, as one text."""
    return lambda: log.getvalue() + libraries_log.getvalue()


@pytest.mark.parametrize("reply", LEAKS)
@pytest.mark.parametrize("way", WAYS)
def test_the_token_shows_nowhere(
    world: World, adset: str, way: tuple[str, Callable[[GraphApi, str], Any]], reply: Reply, logged: Callable[[], str]
) -> None:
    """It is in the URL of every call, and yet in no error, no chained error and no log line."""
    on, call = way
    world.meta.token = TOKEN
    world.meta.fail(reply, on=on, times=None)

    error = outcome_of(lambda: call(world.api(app_secret=Secret("fake-app-secret")), adset))

    assert_hidden(shown(error))
    assert_hidden(logged())


def test_a_refused_connection_does_not_show_the_token(unreachable: World, logged: Callable[[], str]) -> None:
    """The library's own text for it prints the whole URL."""
    unreachable.meta.token = TOKEN
    api = unreachable.api(app_secret=Secret("fake-app-secret"))

    with pytest.raises(MetaLostAnswerError) as caught:
        api.get("1", FIELDS)
    (item,) = api.batch(look_at(["1"]))

    assert isinstance(item, MetaLostAnswerError)
    assert_hidden(shown(caught.value) + shown(item))
    assert_hidden(logged())


def test_a_list_that_goes_in_circles_does_not_show_the_address(world: World, names: set[str]) -> None:
    """The address of a next page holds the token."""
    assert names
    world.meta.fail(page(None, next_url=f"https://graph.facebook.com/1?access_token={TOKEN}"), on="GET adsets")

    with pytest.raises(MetaError) as caught:
        read_names(world)

    assert_hidden(shown(caught.value))


# --- the log


def test_meta_s_warning_about_the_version_is_logged(
    world: World, adset: str, log_lines: Callable[[], list[JsonObject]]
) -> None:
    """Months before a version ends, the log says so; on answers without the header it is silent."""
    api = world.api()
    api.get(adset, FIELDS)
    assert [line for line in log_lines() if line["level"] == "WARNING"] == []
    world.meta.version_warning = "The call has been auto-upgraded to v27.0"

    api.get(adset, FIELDS)

    (line,) = (line for line in log_lines() if line["message"] == "meta.version_warning")
    assert (line["level"], line["warning"]) == ("WARNING", "The call has been auto-upgraded to v27.0")


def test_errors_and_waits_are_logged(world: World, adset: str, log_lines: Callable[[], list[JsonObject]]) -> None:
    """A line has the numbers to look up, Meta's trace id, and how long is waited."""
    world.meta.fail(faults.throttled_use_case(2), on="GET adset")

    world.api().get(adset, FIELDS)

    lines = {line["message"]: line for line in log_lines()}
    assert (lines["meta.error"]["code"], lines["meta.error"]["subcode"]) == (80004, 2446079)
    assert lines["meta.error"]["trace"] == faults.TRACE
    assert (lines["meta.retry"]["attempt"], lines["meta.retry"]["wait_seconds"]) == (1, 120)
    assert lines["meta.retry"]["ad_account_id"] == "act_111"


def test_no_real_time_passes_while_it_waits(world: World, adset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits go through the clock that was handed in."""
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it sleeps by itself"))
    world.meta.fail(faults.throttled_use_case(5), on="GET adset")

    world.api().get(adset, FIELDS)

    assert world.time.waits == [300]
