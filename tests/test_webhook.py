"""The receiver of Meta's pushes: who gets an answer, what it asks for, and what nobody can make it do."""

import json
from base64 import b64encode
from io import StringIO
from typing import Any

import pytest

from closrads import config, push_queue, webhook
from closrads.domain.pushes import MAX_BODY_BYTES
from sandbox.function_url import event_of
from sandbox.meta import webhooks
from sandbox.server import HttpRequest
from tests.webhook_world import SECRET, VERIFY_TOKEN, Receiver
from tests.world import START, World

CHANGE = {"field": "field_changed", "value": {"object_id": "1", "changed_fields": ["effective_status"]}}


@pytest.fixture
def receiver(world: World) -> Receiver:
    """Return a receiver whose two parameters are set."""
    return Receiver(world)


def push(*accounts: str, secret: str = SECRET, at: float = START.timestamp()) -> HttpRequest:
    """Return a push about ad accounts."""
    return webhooks.signed(webhooks.notification({account: [CHANGE] for account in accounts}, at), secret)


def asked(receiver: Receiver) -> list[str]:
    """Return the bodies of the messages in the queue."""
    return [message.body for message in receiver.queue.messages]


def assert_silent(receiver: Receiver, answer: dict[str, Any], *statuses: int) -> None:
    """Check that an answer says nothing, and that nothing was started."""
    assert answer["statusCode"] in (statuses or (403,))
    assert answer["body"] == ""
    assert asked(receiver) == []
    assert not [call for call in receiver.world.sandbox.aws.requests if call.service != "ssm"]


class TestVerification:
    """Meta's GET, by which the owner of an endpoint proves to know the verify token."""

    def test_the_challenge_is_answered(self, receiver: Receiver) -> None:
        """It is the whole body, as text that no browser takes for a page."""
        answer = receiver.answer(webhooks.verification(VERIFY_TOKEN, "<b>1158201444"))

        assert (answer["statusCode"], answer["body"]) == (200, "<b>1158201444")
        assert answer["headers"]["content-type"] == "text/plain"
        assert answer["headers"]["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"hub.mode": "subscribe", "hub.challenge": "1"},
            {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": ""},
            {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "another"},
            {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": f"{VERIFY_TOKEN} "},
            {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "\ud800é"},
            {"hub.mode": "unsubscribe", "hub.challenge": "1", "hub.verify_token": VERIFY_TOKEN},
            {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN},
            {"hub.mode": "subscribe", "hub.challenge": "1" * 201, "hub.verify_token": VERIFY_TOKEN},
        ],
    )
    def test_whoever_does_not_know_the_token_learns_nothing(self, receiver: Receiver, query: dict[str, str]) -> None:
        """Nor does a visitor of the address."""
        assert_silent(receiver, receiver.answer(HttpRequest("GET", "/", query, {}, b"")))


class TestPushes:
    """Meta's POST."""

    def test_each_account_is_asked_for_once(self, receiver: Receiver) -> None:
        """However many changes there are, in one message each."""
        changes = {"111": [CHANGE] * 500, "act_222": [CHANGE] * 500}

        answer = receiver.answer(webhooks.signed(webhooks.notification(changes, START.timestamp()), SECRET))

        assert (answer["statusCode"], answer["body"]) == (200, "")
        assert asked(receiver) == ['{"ad_account": "act_111"}', '{"ad_account": "act_222"}']

    def test_a_body_in_base64_is_signed_as_it_was(self, receiver: Receiver) -> None:
        """The signature is over the raw bytes, whatever the function URL makes of them."""
        request = push("111")
        headers = {**request.headers, "Content-Type": "application/octet-stream"}
        event = event_of(HttpRequest("POST", "/", {}, headers, request.body))
        assert event["isBase64Encoded"]

        assert receiver.handle(event)["statusCode"] == 200
        assert asked(receiver) == ['{"ad_account": "act_111"}']

    def test_letters_of_other_scripts_are_signed_as_they_are(self, receiver: Receiver) -> None:
        """Meta escapes some characters: a body that was parsed and written again has other bytes."""
        body = push("111").body.replace(b'"field_changed"', b'"field_changed","x":"\\u00e9\xc3\xa9"')

        assert receiver.answer(webhooks.signed(body, SECRET))["statusCode"] == 200

    def test_many_accounts_take_several_calls(self, receiver: Receiver) -> None:
        """Ten messages each."""
        receiver.answer(push(*(str(number) for number in range(100, 125))))

        assert len(asked(receiver)) == 25
        calls = [call.operation for call in receiver.world.sandbox.aws.requests if call.service == "sqs"]
        assert calls == ["SendMessageBatch"] * 3

    def test_what_is_about_nothing_asks_for_nothing(self, receiver: Receiver) -> None:
        """It is taken all the same, or Meta would repeat it for 36 hours."""
        answer = receiver.answer(webhooks.signed(b'{"object":"ad_account","entry":[]}', SECRET))

        assert answer["statusCode"] == 200
        assert asked(receiver) == []

    def test_the_parameters_are_remembered_for_a_while(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One call of a warm container in five minutes; then a new secret is seen."""
        now = 1000.0
        monkeypatch.setattr("closrads.webhook.time.monotonic", lambda: now)
        for _ in range(3):
            assert receiver.answer(push("111"))["statusCode"] == 200
        assert [call.operation for call in receiver.world.sandbox.aws.requests].count("GetParameters") == 1
        receiver.world.put({"meta/app_secret": "another-fake-app-secret"})
        assert receiver.answer(push("111", secret="another-fake-app-secret"))["statusCode"] == 403

        now += config.CACHE_SECONDS + 1

        assert receiver.answer(push("111", secret="another-fake-app-secret"))["statusCode"] == 200

    def test_a_queue_that_refuses_leaves_it_to_meta(self, receiver: Receiver) -> None:
        """Whatever is not answered with 200 comes again."""
        receiver.world.sandbox.aws.fail("sqs", "SendMessageBatch", "InternalFailure", 500, times=None)
        assert receiver.answer(push("111"))["statusCode"] == 503

    def test_a_message_that_is_refused_leaves_it_to_meta(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A batch may be answered with 200 although some of it failed."""
        failed = {"Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}
        sqs = receiver.world.sandbox.aws.service("sqs")  # type: ignore[attr-defined]
        monkeypatch.setattr(sqs, "send_message_batch", lambda **_: failed)

        assert receiver.answer(push("111"))["statusCode"] == 503

    @pytest.mark.parametrize("name", ["meta/app_secret", "meta/webhook_verify_token"])
    def test_a_parameter_that_is_missing_is_named_in_the_log(
        self, receiver: Receiver, log: StringIO, name: str
    ) -> None:
        """It is put afterwards, and found at the next request."""
        receiver.world.sandbox.aws.delete_parameters(name)
        requests = {
            "meta/app_secret": push("111"),
            "meta/webhook_verify_token": webhooks.verification(VERIFY_TOKEN, "1"),
        }

        answer = receiver.answer(requests[name])

        assert_silent(receiver, answer, 503)
        assert f"/closrads/sandbox/{name}: is missing" in log.getvalue()
        receiver.world.put({name: SECRET if "secret" in name else VERIFY_TOKEN})
        assert receiver.answer(requests[name])["statusCode"] == 200

    @pytest.mark.parametrize("blank", [" ", "\n", "\u200b"])
    def test_a_secret_of_blanks_is_none(self, receiver: Receiver, blank: str) -> None:
        """With an empty key anybody could sign; what an editor leaves around a secret is no part of it."""
        receiver.world.put({"meta/app_secret": blank, "meta/webhook_verify_token": blank})
        assert_silent(receiver, receiver.answer(push("111", secret="")), 503)
        assert_silent(receiver, receiver.answer(webhooks.verification(blank, "1")), 503)

        receiver.world.put({"meta/app_secret": f"{blank}{SECRET}{blank}"})
        assert receiver.answer(push("111"))["statusCode"] == 200

    def test_a_parameter_store_that_does_not_answer_leaves_it_to_meta(self, receiver: Receiver) -> None:
        """No judgement without the secret."""
        receiver.world.sandbox.aws.fail("ssm", "GetParameters", "ThrottlingException", times=None)

        assert_silent(receiver, receiver.answer(push("111")), 503)


def hostile() -> dict[str, HttpRequest]:
    """Return requests of those who are not Meta, and of Meta about something else."""
    good = push("111")
    signature = good.headers["X-Hub-Signature-256"]

    def post(body: bytes, **headers: str) -> HttpRequest:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return HttpRequest("POST", "/", {}, {"Content-Type": "application/json", **named}, body)

    return {
        "no signature": post(good.body),
        "empty signature": post(good.body, X_Hub_Signature_256=""),
        "signature of the old kind": post(good.body, X_Hub_Signature="sha1=" + "0" * 40),
        "no digest": post(good.body, X_Hub_Signature_256="sha256=" + "z" * 64),
        "short digest": post(good.body, X_Hub_Signature_256=signature[:-1]),
        "wrong digest": post(good.body, X_Hub_Signature_256="sha256=" + "0" * 64),
        "other letters": post(good.body, X_Hub_Signature_256="sha256=" + "é" * 64),
        "another body": post(good.body + b" ", X_Hub_Signature_256=signature),
        "another secret": push("111", secret="another-fake-app-secret"),
        "the verify token as secret": push("111", secret=VERIFY_TOKEN),
        "5 MB": webhooks.signed(b"x" * 5_000_000, SECRET),
        "just too large": webhooks.signed(b"x" * (MAX_BODY_BYTES + 1), SECRET),
        "nothing": webhooks.signed(b"", SECRET),
        "not JSON": webhooks.signed(b"ad_account", SECRET),
        "deep JSON": webhooks.signed(b"[" * 100_000, SECRET),
        "wrong object": webhooks.signed(b'{"object":"page","entry":[]}', SECRET),
        "a replay": push("111", at=START.timestamp() - 40 * 3600),
        "GET with a body": HttpRequest("GET", "/", {}, dict(good.headers), good.body),
        "PUT": HttpRequest("PUT", "/", {}, dict(good.headers), good.body),
        "DELETE": HttpRequest("DELETE", "/", {}, {}, b""),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_requests_start_nothing_and_learn_nothing(receiver: Receiver, name: str, log: StringIO) -> None:
    """They are refused without a detail, and the log has no secret and nothing of what they sent."""
    answer = receiver.answer(hostile()[name])

    only_looked_at_if_small = "5 MB", "just too large"
    assert_silent(receiver, answer, 403, *(() if name in only_looked_at_if_small else (400,)))
    assert SECRET not in log.getvalue()
    assert VERIFY_TOKEN not in log.getvalue()
    assert "act_111" not in log.getvalue()
    assert len(log.getvalue().splitlines()) == 1


def test_ten_megabytes_do_not_even_arrive(receiver: Receiver) -> None:
    """A function URL takes 6 MB."""
    reply = receiver.url(webhooks.signed(b"x" * 10_000_000, SECRET))

    assert reply.status == 413
    assert receiver.invocations == 0


@pytest.mark.parametrize("encoded", [b64encode(b"x" * 3_000_000).decode(), "not base64", "AAA"])
def test_bad_base64_is_refused(receiver: Receiver, encoded: str) -> None:
    """Whatever the envelope is, it is bounded before it is opened."""
    event = event_of(push("111")) | {"isBase64Encoded": True, "body": encoded}

    assert_silent(receiver, receiver.handle(event))


@pytest.mark.parametrize(
    "event", [None, [], "text", {}, {"requestContext": None}, {"requestContext": {"http": {}}}, {"Records": []}]
)
def test_what_is_no_request_is_refused(receiver: Receiver, event: Any) -> None:
    """Somebody with the right to call the function learns no more than others."""
    assert_silent(receiver, receiver.handle(event))


def test_a_replay_within_the_day_costs_one_message_at_most(receiver: Receiver) -> None:
    """Nobody can tell it from Meta's own repetition; it is one recheck, which reads and finds nothing."""
    for _ in range(100):
        assert receiver.answer(push("111"))["statusCode"] == 200
    assert len(asked(receiver)) == 1


def test_a_secret_is_not_read_for_a_request_without_a_signature(receiver: Receiver) -> None:
    """Strangers cost as little as possible."""
    receiver.answer(hostile()["no signature"])
    receiver.answer(HttpRequest("GET", "/", {}, {}, b""))

    assert receiver.world.sandbox.aws.requests == []


def test_only_wrong_signatures_ring(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """Visitors without one come by every day; Meta's with a wrong one mean another app secret."""

    def metrics(request: HttpRequest) -> set[str]:
        receiver.answer(request)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
        return {name for line in lines for name in line if name.startswith("Push") and line["stage"] == "sandbox"}

    assert metrics(hostile()["another secret"]) == {"PushRefused"}
    assert metrics(hostile()["no signature"]) == set()
    assert metrics(HttpRequest("GET", "/", {}, {}, b"")) == set()
    assert metrics(push("111")) == {"PushReceived"}


def test_a_defect_has_no_detail_either(receiver: Receiver, log: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda would put an exception's message into the log as it is."""

    def broken(*_: object) -> None:
        raise RuntimeError(f"with {SECRET}")

    monkeypatch.setattr(webhook, "accounts_of", broken)

    assert_silent(receiver, receiver.answer(push("111")), 503)
    assert "RuntimeError" in log.getvalue()
    assert SECRET not in log.getvalue()


def test_it_is_entered_as_lambda_enters_it(receiver: Receiver) -> None:
    """With a context that it has no use for, and the time of the machine."""
    answer = webhook.lambda_handler(event_of(webhooks.verification(VERIFY_TOKEN, "1")), None)

    assert answer["body"] == "1"
    assert receiver.invocations == 0


def test_its_clients_are_there_before_the_first_request(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meta is answered within a second, also by a new container."""
    import importlib.util  # noqa: PLC0415

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "closrads-webhook")
    spec = importlib.util.spec_from_file_location("a_new_container", webhook.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module._ssm.cache_info().currsize == push_queue._sqs.cache_info().currsize == 1
    assert receiver.invocations == 0
