"""CLOSRTECH's answers and silences, over HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from closrads.closrtech_client import get_demand
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosrtechAccessError, ClosrtechDataError, ClosrtechError
from sandbox import closrtech
from sandbox.server import Reply
from tests.world import World

CODE = "VND_VETERAN_LEADS"


def ask(world: World, login: ClosrtechLogin | None = None) -> dict[str, int]:
    """Ask for the demand of the one campaign in these tests."""
    return get_demand(CODE, login=login or world.login, clock=world.time.clock)


def answered(world: World, body: Any, **more: Any) -> dict[str, int]:
    """Ask, and have CLOSRTECH answer with this body."""
    world.sandbox.closrtech.answer(body, **more)
    return ask(world)


def test_returns_only_states_with_demand(world: World) -> None:
    """A state whose demand is zero is left out; the query carries campaign and login."""
    world.sandbox.closrtech.demand[CODE] = {"FL": 12, "GA": 0, "TX": 3}

    assert ask(world) == {"FL": 12, "TX": 3}
    assert world.sandbox.closrtech.requests == [{"campaign": CODE, "email": "feed@example.test"}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"fl": "5", " Ga ": 7}, {"FL": 5, "GA": 7}),
        ({"FL": 5.0}, {"FL": 5}),
        ({"FL": "5.00", "GA": " 3.0 ", "OH": "0.0"}, {"FL": 5, "GA": 3}),
        ({"FL": "1,200", "GA": "1,234,567.0"}, {"FL": 1200, "GA": 1_234_567}),
        ({"Florida": 5, " new york ": 7}, {"FL": 5, "NY": 7}),
        ({"FL": 1, "PR": 4, "xx": 0}, {"FL": 1, "PR": 4}),
        ({"FL": 10**12}, {"FL": 10**12}),
    ],
)
def test_accepts_what_is_meant_as_a_number_of_a_state(world: World, body: Any, expected: dict[str, int]) -> None:
    """Digits as text, whole numbers with a point, any case and unknown codes beside known ones are all clear."""
    assert answered(world, body) == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>Maintenance</html>", "is an HTML page"),
        ("  <!doctype html>", "is an HTML page"),
        ("", "is not JSON"),
        ("FL=5", "is not JSON"),
        ('{"FL": 5', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([], "not an object"),
        (["FL", "GA"], "not an object"),
        ("5", "not an object"),
        ("null", "not an object"),
        ({"error": "no access"}, "not an object"),
        ({}, "is empty"),
        ({"FL": 0, "GA": "0"}, "no demand in any state"),
        ({"XX": 5, "COUNT": 2}, "no US state"),
        ({"FL": -1}, "'FL'"),
        ({"FL": "-1"}, "'FL'"),
        ({"FL": 1.5}, "'FL'"),
        ({"FL": "1.5"}, "'FL'"),
        ({"FL": "1,2"}, "'FL'"),
        ({"FL": ",200"}, "'FL'"),
        ({"FL": "1200,000"}, "'FL'"),
        ({"FL": "1.200"}, "'FL'"),
        ({"FL": "-3.0"}, "'FL'"),
        ({"FL": "1e3"}, "'FL'"),
        ({"FL": "0x5"}, "'FL'"),
        ({"FL": 5, "Florida": 6}, "twice"),
        ({"FL": "many"}, "'FL'"),
        ({"FL": ""}, "'FL'"),
        ({"FL": "٣"}, "'FL'"),
        ({"FL": True}, "'FL'"),
        ({"FL": None}, "'FL'"),
        ({"FL": [1]}, "'FL'"),
        ('{"FL": NaN}', "'FL'"),
        ('{"FL": 1e999}', "'FL'"),
        ({"demand": {"FL": 5}}, '“{"demand": {"FL": 5}}”'),
        ({"FL": 5, "fl": 6}, "twice"),
        ('{"FL": 0, "FL": 5}', "twice"),
        ({"FL": "9" * 5000}, "'FL'"),
        ('{"FL": %s}' % ("9" * 5000), "is not JSON"),
    ],
)
def test_refuses_what_cannot_be_an_instruction(world: World, body: Any, said: str) -> None:
    """A malformed, empty or all-zero answer is refused at once, by name of the campaign and of what is wrong."""
    with pytest.raises(ClosrtechDataError) as caught:
        answered(world, body)

    assert CODE in str(caught.value)
    assert said in str(caught.value)
    assert len(world.sandbox.closrtech.requests) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (closrtech.SUSPENDED, "Account suspended"),
        (Reply(200, b"Your account\r\nis suspended", "text/plain"), "“Your account is suspended”"),
        (closrtech.HTML, "“Scheduled maintenance”"),
        (Reply(200, b'["Over your limit"]'), "Over your limit"),
        (Reply(200, b'{"FL": 5, "error": "Over your limit"}'), "Over your limit"),
        (Reply(403, b"Account suspended", "text/plain"), "“Account suspended”"),
        (Reply(200, b"pass=FAKE-feed-password is wrong " + b"x" * 9999), "“pass=*** is wrong xxxxx"),
    ],
)
def test_the_partners_own_words_are_quoted(world: World, reply: Reply, words: str) -> None:
    """They say what is wrong; on one line, in short, and without the password."""
    world.sandbox.closrtech.misbehave(reply)

    with pytest.raises((ClosrtechDataError, ClosrtechAccessError)) as caught:
        ask(world)

    said = str(caught.value)
    assert words in said
    assert len(said) < 400
    assert said.isprintable()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"5"])
def test_what_says_nothing_is_not_quoted(world: World, body: bytes) -> None:
    """Signs without a word explain nothing."""
    world.sandbox.closrtech.misbehave(Reply(200, body))

    with pytest.raises(ClosrtechDataError) as caught:
        ask(world)

    assert "says" not in str(caught.value)


@pytest.mark.parametrize("reply", [closrtech.REQUEST_TIMEOUT, closrtech.TOO_EARLY, Reply(429), Reply(503)])
@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("30", [30, 30]),
        ("Mon, 04 May 2026 10:30:20 GMT", [20, 8]),
        ("Mon, 04 May 2026 10:30:20 -0000", [20, 8]),
        ("2", [4, 8]),
        ("Mon, 04 May 2026 10:29:00 GMT", [4, 8]),
        ("soon", [4, 8]),
        ("-5", [4, 8]),
        ("9" * 5000, [4, 8]),
        ("3600", []),
    ],
)
def test_the_partner_says_when_to_ask_again(world: World, reply: Reply, retry_after: str, waits: list[float]) -> None:
    """In seconds or as a date: no attempt is made before, and none that would be too late."""
    world.sandbox.closrtech.misbehave(replace(reply, headers=(("Retry-After", retry_after),)))

    with pytest.raises(ClosrtechError) as caught:
        ask(world)

    assert type(caught.value) is ClosrtechError
    assert world.time.waits == waits


def test_no_wait_that_the_partner_asks_for_outlasts_the_invocation(world: World) -> None:
    """With too little time left the first error stands."""
    world.sandbox.closrtech.misbehave(Reply(429, headers=(("Retry-After", "60"),)))
    world.time.deadline = world.time.seconds() + 80

    with pytest.raises(ClosrtechError):
        ask(world)

    assert world.time.waits == []


@pytest.mark.parametrize(
    "reply",
    [closrtech.DOWN, closrtech.DROPPED, closrtech.REQUEST_TIMEOUT, closrtech.TOO_EARLY, Reply(429), Reply(500)],
)
def test_three_attempts_four_and_eight_seconds_apart(world: World, reply: Reply) -> None:
    """Trouble of the network or the server is worth two more attempts, and then it is an error."""
    world.sandbox.closrtech.misbehave(reply)

    with pytest.raises(ClosrtechError) as caught:
        ask(world)

    assert type(caught.value) is ClosrtechError
    assert len(world.sandbox.closrtech.requests) == 3
    assert world.time.waits == [4, 8]


def test_no_wait_outlasts_the_invocation(world: World) -> None:
    """With too little time for another attempt the first one's error stands, and the report can still go out."""
    world.sandbox.closrtech.misbehave(closrtech.DOWN)
    world.time.deadline = world.time.seconds() + 33

    with pytest.raises(ClosrtechError):
        ask(world)

    assert world.time.waits == []


def test_an_attempt_that_succeeds_is_enough(world: World) -> None:
    """The second attempt's answer counts."""
    world.sandbox.closrtech.demand[CODE] = {"FL": 12}
    world.sandbox.closrtech.misbehave(closrtech.DOWN, times=1)

    assert ask(world) == {"FL": 12}
    assert world.time.waits == [4]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "closrtech/email and closrtech/password"),
        (403, "closrtech/email and closrtech/password"),
        (404, "closrtech_campaign"),
        (400, "closrtech/base_url"),
        (302, "closrtech/base_url"),
        (204, "closrtech/base_url"),
    ],
)
def test_a_refusal_is_not_retried_and_says_what_to_fix(world: World, status: int, remedy: str) -> None:
    """No number of attempts mends a wrong password."""
    world.sandbox.closrtech.answer({}, status=status)

    with pytest.raises(ClosrtechAccessError, match=remedy):
        ask(world)

    assert len(world.sandbox.closrtech.requests) == 1


def test_a_redirect_does_not_take_the_password_along(world: World) -> None:
    """The login goes to the address that was configured and to no other."""
    world.sandbox.closrtech.misbehave(closrtech.redirected(f"{world.meta.url}/elsewhere"))

    with pytest.raises(ClosrtechAccessError):
        ask(world)

    assert world.meta.requests == []


def test_a_huge_body_is_cut_off(world: World) -> None:
    """An answer of many megabytes is not held in memory."""
    world.sandbox.closrtech.misbehave(closrtech.huge(4))

    with pytest.raises(ClosrtechDataError, match="larger than"):
        ask(world)


def test_a_silent_server_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without an answer ends with the time-out."""
    monkeypatch.setattr("closrads.closrtech_client.TIMEOUT_SECONDS", 0.05)
    world.sandbox.closrtech.misbehave(closrtech.STALLED)

    with pytest.raises(ClosrtechError, match="gave no answer"):
        ask(world)
