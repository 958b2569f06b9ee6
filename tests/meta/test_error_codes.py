"""Meta's answers judged: what is an answer at all, and what each error asks for."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.errors import (
    MetaAccessError,
    MetaAccountError,
    MetaError,
    MetaInvalidError,
    MetaLostAnswerError,
    MetaObjectError,
    MetaPolicyError,
    MetaRateLimitError,
    MetaTooMuchDataError,
    MetaTransientError,
    MetaVersionError,
)
from closrads.meta.error_codes import JsonObject, parse_answer, parse_json
from closrads.meta.graph import GraphApi, has_data, has_id, is_confirmed
from sandbox import faults
from sandbox.server import Reply
from tests.world import VETERANS, World, ids


def judged(reply: Reply, expects: Callable[[JsonObject], bool] = has_id, path: str = "501") -> JsonObject | MetaError:
    """Return what is made of an answer."""
    try:
        return parse_answer(path, reply.status, dict(reply.headers), reply.body, expects, "act_111")
    except MetaError as error:
        return error


def error_of(reply: Reply) -> MetaError:
    """Return what is wrong with an answer."""
    error = judged(reply)
    assert isinstance(error, MetaError), f"taken for success: {error}"
    return error


# --- answers that are no answers

PAGES = ids([(str(status), status) for status in (200, 304, 400, 401, 403, 404, 408, 429, 500, 502, 503)])


@pytest.mark.parametrize("status", PAGES)
@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>Facebook | Error</title></head></html>",
        b"Service Unavailable",
        b"The request was a success",
        b"",
        b"null",
        b"[]",
        b'"error"',
        b'{"id":"501"',
        b'{"success":false}',
        b"\xff\xfe",
        b'{"id":' + b"[" * 200_000,
        None,
    ],
    ids=["page", "text", "success", "empty", "null", "list", "word", "truncated", "false", "bytes", "deep", "nothing"],
)
def test_what_is_no_answer_of_the_api_says_nothing(status: int, body: bytes | None) -> None:
    """Whatever its status, 4xx included, nobody knows what was done: it came from a server in between."""
    assert type(error_of(Reply(status, body))) is MetaLostAnswerError


@pytest.mark.parametrize("status", [199, 300, 304, 400, 404, 500])
def test_an_object_of_the_right_shape_counts_only_with_status_2xx(status: int) -> None:
    """Both have to be so."""
    assert type(error_of(faults.answer({"id": "501"}, status))) is MetaLostAnswerError


@pytest.mark.parametrize("status", [200, 201, 299])
def test_an_object_of_the_right_shape_is_the_answer(status: int) -> None:
    """With all that is in it."""
    assert judged(faults.answer({"id": "501", "more": [1]}, status)) == {"id": "501", "more": [1]}


@pytest.mark.parametrize(
    ("expects", "fits", "does_not"),
    [
        pytest.param(has_id, [{"id": "1"}], [{}, {"id": ""}, {"id": None}, {"data": []}], id="an object"),
        pytest.param(
            has_data, [{"data": []}, {"data": [{}]}], [{}, {"data": None}, {"data": {}}, {"data": [1]}], id="a page"
        ),
        pytest.param(
            is_confirmed,
            [{"success": True}, {"id": "1"}, {"id": "1", "success": True}],
            [{}, {"success": "true"}, {"success": 1}, {"id": ""}, {"id": "1", "success": False}],
            id="a confirmation",
        ),
    ],
)
def test_each_shape_is_told_from_others(
    expects: Callable[[JsonObject], bool], fits: list[JsonObject], does_not: list[JsonObject]
) -> None:
    """A write that says it failed is not done, whatever else it says."""
    assert [judged(faults.answer(each), expects) for each in fits] == fits
    assert {type(judged(faults.answer(each), expects)) for each in does_not} == {MetaLostAnswerError}


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), st.integers(100, 599))
def test_whatever_comes_is_judged(body: bytes, status: int) -> None:
    """An answer is an answer or an error of Meta's, never a defect of this package."""
    answer = judged(Reply(status, body))

    assert isinstance(answer, MetaError) or answer.get("id")


@pytest.mark.parametrize(("text", "value"), [("[1]", [1]), (b"1", 1), ("", None), (None, None), ("{", None), (7, None)])
def test_a_text_that_is_no_json_is_nothing(text: Any, value: Any) -> None:
    """Batch items and the log's details are JSON within JSON."""
    assert parse_json(text) == value


# --- errors, however they are wrapped


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(faults.OK_WITH_ERROR, (MetaTransientError, 2, None), id="with status 200"),
        pytest.param(faults.ERROR_AS_TEXT, (MetaTransientError, None, None), id="as a string"),
        pytest.param(faults.answer({"error": None}), (MetaTransientError, None, None), id="as null"),
        pytest.param(faults.answer({"error": {}}), (MetaTransientError, None, None), id="without a code"),
        pytest.param(faults.answer({"error": {"code": True}}), (MetaTransientError, None, None), id="code a flag"),
        pytest.param(faults.answer({"error": {"code": "190"}}), (MetaTransientError, None, None), id="code a text"),
        pytest.param(faults.answer({"id": "1", "error": {"code": 190}}), (MetaAccessError, 190, None), id="with an id"),
        pytest.param(faults.ERROR_DATA_OBJECT, (MetaObjectError, 100, 1487694), id="error_data an object"),
        pytest.param(faults.ERROR_DATA_TEXT, (MetaObjectError, 100, 1487694), id="error_data JSON text"),
        pytest.param(faults.ERROR_DATA_NOT_JSON, (MetaObjectError, 100, 1487694), id="error_data plain text"),
    ],
)
def test_an_error_is_known_by_its_numbers_whatever_its_status(
    reply: Reply, expected: tuple[type[MetaError], int | None, int | None], status: int
) -> None:
    """Meta's status and code do not always agree; without a code nobody knows what was refused."""
    error = error_of(Reply(status, reply.body))

    assert (type(error), error.code, error.subcode) == expected


WAYS: list[Any] = ids(
    [
        ("list", ("GET adsets", lambda api, _: api.get_all(f"{VETERANS}/adsets", {}, 10))),
        ("write", ("POST adset", lambda api, adset: api.post(adset, {"status": "PAUSED"}))),
    ]
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reply", ids([("text", faults.ERROR_AS_TEXT), ("object", faults.ERROR_DATA_OBJECT), ("no JSON", faults.answer(5))])
)
def test_envelopes_on_which_the_sdk_stumbles_are_read(
    world: World, way: tuple[str, Callable[[GraphApi, str], Any]], reply: Reply
) -> None:
    """The SDK sends; what came back is judged here."""
    world.campaign("FL")
    adset = world.adset()
    on, call = way
    world.meta.fail(reply, on=on, times=None)

    with pytest.raises(MetaError):
        call(world.api(), adset)


def test_the_message_for_people_is_preferred() -> None:
    """The text names the object, what Meta says to users, and the numbers to look up."""
    error = error_of(faults.error(100, 1487756, "Invalid parameter", user_message="Locations overlap."))

    assert str(error) == "Meta refuses 501: Locations overlap. [Meta 100/1487756]"


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (190, "Check meta/access_token"),
        (368, "Do not retry"),
        (31, "until a person has settled"),
        (100, ""),
        (2, ""),
        (2635, "A newer CLOSRADS is needed"),
    ],
)
def test_where_a_person_has_to_act_the_text_says_how(kind: int, remedy: str) -> None:
    """For a token, a policy block, an ad account that is held, and a version of Meta's API that has ended."""
    assert remedy in str(error_of(faults.error(kind)))


# --- which error is which

CLASSES: list[tuple[type[MetaError], list[tuple[int, int | None]]]] = [
    (
        MetaTransientError,
        [
            (1, None),
            (1, 99),
            (2, None),
            (2, 1504018),
            (100, 1504018),
            (960, None),
            (3910001, None),
            (-1, None),
            (-3, 1487756),
        ],
    ),
    (
        MetaRateLimitError,
        [
            *[(4, None), (4, 1504022), (17, None), (17, 2446079), (32, None), (341, None)],
            *[(613, 1487742), (613, 5044001), (613, 1)],
            *[(code, 2446079) for code in (80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014)],
        ],
    ),
    (
        MetaAccessError,
        [
            *[(3, None), (10, None), (102, None), (104, None), (1, 2853001)],
            *[(190, None), (190, 458), (190, 460), (190, 463), (190, 492)],
            *[(200, None), (200, 1870035), (270, None), (294, None), (299, None)],
        ],
    ),
    (MetaVersionError, [(2635, None), (100, 2635)]),
    (
        MetaAccountError,
        [(31, 3858385), (31, None), (100, 1359188), (1359188, None), (2708008, None), (100, 2708008)],
    ),
    (
        MetaPolicyError,
        [
            *[(368, None), (368, 1404078), (1404078, None), (2859015, None), (613, None)],
            *[(100, 368), (100, 1404078), (100, 2859015), (200, 368), (17, 2859015), (2, 368)],
            *[(1404163, None), (100, 1404163), (200, 1404163)],
        ],
    ),
    (
        MetaInvalidError,
        [
            *[(0, None), (5, None), (80007, None), (80010, None), (194, None), (199, None), (300, None), (2500, None)],
            *[(100, None), (105, None), (1487901, None), (17, 1885172), (613, 1487632), (613, 1487225)],
            (100, 1870035),
        ],
    ),
    (
        MetaObjectError,
        [
            *[(100, 33), (100, 1487007), (100, 1487033), (100, 1487056), (100, 1487566), (100, 1885088)],
            *[(100, 2490427), (2490468, None), (100, 1487756), (100, 1487851), (100, 1487694), (100, 2446394)],
            *[(100, 1870199), (100, 1870189), (100, 1870227), (100, 1815946), (2641, None), (100, 2641)],
            *[(100, 1885502), (100, 2446289), (100, 2490155), (100, 1885557), (100, 1815869), (100, 2446880)],
            *[(100, 3858152), (100, 3390001), (3390001, None), (100, 246003), (100, 246004)],
            *[(200, 1870034), (100, 1870034), (1870034, None), (200, 1870090), (200, 1870092), (294, 1870065)],
            *[(100, 1870065), (100, 1870088), (100, 1870165)],
        ],
    ),
]


@pytest.mark.parametrize(
    ("kind", "code", "subcode"),
    [
        pytest.param(kind, code, subcode, id=f"{kind.__name__} {code} {subcode or ''}".strip())
        for kind, numbers in CLASSES
        for code, subcode in numbers
    ],
)
def test_code_and_subcode_decide_the_class(kind: type[MetaError], code: int, subcode: int | None) -> None:
    """Each documented number leads to the class that says what to do about it."""
    error = error_of(faults.error(code, subcode))

    assert (type(error), error.code, error.subcode) == (kind, code, subcode)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(faults.error(100, 33, transient=True), MetaTransientError, id="unknown trouble"),
        pytest.param(faults.error(999999, transient=True), MetaTransientError, id="an unknown code"),
        pytest.param(faults.error(100, 33, transient=False), MetaObjectError, id="expressly not"),
        pytest.param(faults.error(100, 1359188, transient=True), MetaAccountError, id="a payment method missing"),
        pytest.param(faults.error(190, transient=True), MetaAccessError, id="a dead token"),
        pytest.param(faults.error(368, transient=True), MetaPolicyError, id="a policy block"),
        pytest.param(faults.error(613, transient=True), MetaPolicyError, id="abuse prevention"),
        pytest.param(faults.error(17, 2446079, transient=True), MetaRateLimitError, id="a rate limit"),
    ],
)
def test_is_transient_is_believed_where_the_code_says_nothing_graver(reply: Reply, kind: type[MetaError]) -> None:
    """A dead token stays dead, though Meta may call the error transient."""
    assert type(error_of(reply)) is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(100, MetaInvalidError), (190, MetaAccessError), (17, MetaRateLimitError), (368, MetaPolicyError)],
        (2, MetaTooMuchDataError),
    ],
)
def test_the_text_does_not_decide(code: int, kind: type[MetaError]) -> None:
    """Texts are translated and change, so even the one telling phrase counts only with the code it belongs to."""
    error = judged(faults.error(code, 1, "Reduce the amount of data. Unknown error, rate limit"), path="501/ads")

    assert type(error) is kind


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("plain", faults.REDUCE_DATA),
            ("for people", faults.REDUCE_DATA_HIDDEN),
            ("timed out", faults.REQUEST_TIMED_OUT),
            ("timed out, code 100", faults.REQUEST_TIMED_OUT_100),
        ]
    ),
)
def test_only_a_list_can_be_too_large(reply: Reply) -> None:
    """Told by a phrase, wherever it stands, or by a subcode; of an object it is trouble that passes."""
    assert type(judged(reply, path="501/ads")) is MetaTooMuchDataError
    assert type(judged(reply)) is MetaTransientError


@pytest.mark.parametrize(
    "reply",
    ids(
        [
            ("terms of an audience", faults.TERMS_NOT_ACCEPTED),
            ("hold", faults.ACCOUNT_HOLD),
            ("payment", faults.PAYMENT_MISSING),
            ("advertising forbidden", faults.ADVERTISING_FORBIDDEN),
            ("politics", faults.NOT_AUTHORIZED_FOR_POLITICS),
            ("version", faults.VERSION_RETIRED),
        ]
    ),
)
def test_a_sound_token_is_not_blamed(reply: Reply) -> None:
    """Meta's own text says what to do; a search for a fault of the token would be in vain."""
    assert "access_token" not in str(error_of(reply))


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (faults.throttled_use_case(4), 240),
        (faults.throttled_account(90), 90),
        (faults.THROTTLED_ACCOUNT_BARE, None),
        (Reply(400, faults.TOKEN_INVALID.body, headers=faults.throttled_use_case(4).headers), None),
    ],
    ids=["use case", "account", "without headers", "another error"],
)
def test_only_a_rate_limit_says_when_to_come_again(reply: Reply, seconds: float | None) -> None:
    """The usage headers come with every answer."""
    assert error_of(reply).retry_after == seconds


def test_a_long_text_of_metas_is_cut() -> None:
    """It goes into the mail and the log."""
    assert len(str(error_of(faults.answer({"error": {"code": 100, "message": json.dumps("x" * 9_000)}})))) < 1_000
