"""No secret leaves: not in what the process says, whoever echoes it, and not over the wire to anybody else."""

import base64
import html
import json
import logging
import re
import traceback
import zlib
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from markupsafe import escape

import closrads
from closrads import closrtech_client, config
from closrads.closrtech_client import get_demand
from closrads.domain.settings import ClosrtechLogin
from closrads.errors import ClosradsError, ClosrtechError
from closrads.facebook_client import init_api
from closrads.meta import graph
from closrads.redaction import Secret, redact
from sandbox import SCENARIOS, closrtech
from sandbox.meta import Breakage, faults
from sandbox.server import Delivery, Reply
from tests.sweeps import sampled
from tests.world import LIVE, World

TRUCKERS = "120200000000000901"
ODD = "+/=&%ü \"<'>\\"
"""Characters that a URL, HTML, JSON or Python writes in another way."""
TOKEN, OWN_TOKEN, APP_SECRET, EMAIL, PASSWORD = (
    f"{name}q7Zk{ODD}x9Wv{name}{ODD}tail{name}"
    for name in ("EAAshared", "EAAowntoken", "appsecret", "loginname", "password")
)
PLANTED = (TOKEN, OWN_TOKEN, APP_SECRET, EMAIL, PASSWORD)
ECHO = " | ".join(
    [
        *PLANTED,
        *map(quote_plus, PLANTED),
        *map(html.escape, PLANTED),
        *(secret[: len(secret) // 2] for secret in PLANTED),
    ]
)
"""What somebody may say who was told the secrets: also encoded, and cut."""


def lower_hex(text: str) -> str:
    """Return a URL's encoding with its digits in lower case."""
    return re.sub("%..", lambda found: found[0].lower(), text)


def forms(text: str) -> set[str]:
    """Return the ways in which a text may be written."""
    in_urls = {quote(text, safe=""), quote(text), quote_plus(text)}
    in_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    in_html = {html.escape(text), html.escape(text, quote=False), str(escape(text))}
    in_base64 = {base64.b64encode(text.encode()).decode().rstrip("=")}
    return {text} | in_urls | set(map(lower_hex, in_urls)) | in_json | in_html | in_base64


NEEDLES = {
    form
    for secret in PLANTED
    for part in (secret, secret[: len(secret) // 2], secret[len(secret) // 2 :])
    for form in forms(part)
} | {run for secret in PLANTED for run in re.findall("[A-Za-z0-9]{12,}", secret)}
"""What is looked for: each secret and each half of it in all forms, and the parts that look alike in every form."""


def found_in(texts: list[str]) -> list[str]:
    """Return each planted secret, or half of one, that shows somewhere."""
    return [needle for needle in NEEDLES for text in texts if needle in text]


def all_of(error: BaseException | None) -> str:
    """Return everything that an exception carries, and those behind it, suppressed ones included."""
    texts = []
    while error is not None:
        notes = getattr(error, "__notes__", [])
        texts.append(
            f"{error} {error!r} {error.args} {vars(error)} {notes} {''.join(traceback.format_exception(error))}"
        )
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def unpacked(item: dict[str, Any]) -> str:
    """Return all of an item of the ledger as text."""
    values = [zlib.decompress(value).decode() if isinstance(value, bytes) else value for value in item.values()]
    return " ".join(map(str, values))


class Leaks:
    """Runs events against a sandbox with planted secrets, and collects all that comes out."""

    def __init__(self, world: World, log: StringIO, libraries_log: StringIO) -> None:
        self.world = world
        self._logs = (log, libraries_log)
        self.texts: list[str] = []

    def plant(self) -> None:
        """Make the planted secrets the right ones."""
        meta, feed = self.world.meta, self.world.sandbox.closrtech
        refusals = list(meta.dead_tokens.values())
        meta.token, meta.app_secret = TOKEN, APP_SECRET
        meta.tokens.add(OWN_TOKEN)
        meta.dead_tokens = {token: reply for token in (TOKEN, OWN_TOKEN) for reply in refusals}
        feed.email, feed.password = EMAIL, PASSWORD
        self.world.put(
            {
                "meta/access_token": TOKEN,
                "meta/app_secret": APP_SECRET,
                "campaigns/veterans/fb_access_token": OWN_TOKEN,
                "closrtech/email": EMAIL,
                "closrtech/password": PASSWORD,
            }
        )

    def run(self, event: Any) -> None:
        """Run an event and keep what it returns or raises."""
        self.world.time.next_day()
        try:
            answer = self.world.run(event)
            self.texts += [str(answer), json.dumps(answer), json.dumps(answer, ensure_ascii=False)]
        except ClosradsError as error:
            self.texts.append(all_of(error))

    def found(self, capfd: pytest.CaptureFixture[str]) -> list[str]:
        """Return which secrets show in anything that came out so far."""
        aws = self.world.sandbox.aws
        self.texts += [*(log.getvalue() for log in self._logs), *capfd.readouterr(), *map(unpacked, aws.ledger())]
        for mail in aws.mails:
            self.texts += [mail.subject, mail.html, html.unescape(mail.html), mail.text]
        return found_in(self.texts)


@pytest.fixture
def leaks(world: World, log: StringIO, libraries_log: StringIO, monkeypatch: pytest.MonkeyPatch) -> Leaks:
    """Return a collector, with our own log at DEBUG too."""
    monkeypatch.setattr(closrads.observability.logger._logger, "level", logging.DEBUG)
    return Leaks(world, log, libraries_log)


@pytest.fixture
def business(leaks: Leaks) -> Leaks:
    """Return a collector for a small business, with one ad set that is put back."""
    leaks.world.campaign("FL")
    leaks.world.campaign("GA", slug="truckers", meta_campaigns=(TRUCKERS,))
    leaks.world.adset("One", breakage=Breakage.stubborn())
    leaks.world.adset("Two", campaign=TRUCKERS)
    leaks.plant()
    return leaks


@pytest.mark.parametrize("event", [LIVE, {}], ids=["live", "dry"])
@pytest.mark.parametrize("scenario", sampled(SCENARIOS, one_in=2))
def test_no_scenario_shows_one(
    leaks: Leaks, scenario: str, event: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a day is like, nothing that comes out holds any form of a secret or of half of one."""
    leaks.world.sandbox.load(scenario)
    leaks.plant()

    leaks.run(event)

    assert leaks.found(capfd) == []
    assert len(leaks.texts) > 4


def test_settings_do_not_show_one(business: Leaks) -> None:
    """They may be printed."""
    settings = config.load_settings()

    assert found_in([repr(settings), str(settings), repr(vars(type(settings)))]) == []
    assert settings.closrtech.password.reveal() == PASSWORD
    assert business.world.meta.tokens == {TOKEN, OWN_TOKEN}


# --- whoever echoes them


def echoing(reply: Reply) -> Reply:
    """Return an answer of Meta's that repeats the secrets wherever it has room for text."""
    if reply.delivery is not Delivery.WHOLE or not reply.body or reply.body == b"null":
        return reply
    try:
        content = json.loads(reply.body)
    except ValueError:
        return replace(reply, body=reply.body + ECHO.encode())
    if isinstance(content, dict) and isinstance(content.get("error"), dict):
        error = content["error"]
        content["error"] = {
            **error,
            "message": f"{error['message']} {ECHO}",
            "error_user_title": ECHO,
            "fbtrace_id": ECHO,
        }
    elif isinstance(content, dict) and isinstance(content.get("error"), str):
        content["error"] += ECHO
    return replace(reply, body=json.dumps(content).encode())


META_FAULTS = {name: reply for name, reply in vars(faults).items() if isinstance(reply, Reply)} | {
    "refused": None,
    "header": Reply(200, headers=(("x-ad-api-version-warning", quote(TOKEN)), ("X-App-Usage", quote_plus(OWN_TOKEN)))),
    "redirect": Reply(302, headers=(("Location", f"/elsewhere?{quote(ECHO, safe='')}"),)),
    "user message": faults.error(100, None, user_message=ECHO),
    "name": faults.answer({"data": [{"id": "1", "name": ECHO, "effective_status": ECHO, "targeting": {}}]}),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on silence at once."""
    monkeypatch.setattr(graph, "TIMEOUT_SECONDS", (1, 0.1))
    monkeypatch.setattr(closrtech_client, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("closrads.clock.MIN_TIMEOUT_SECONDS", 0.1)


@pytest.mark.parametrize("name", sampled(META_FAULTS, one_in=4))
def test_no_fault_of_metas_shows_one(
    business: Leaks, name: str, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """Neither where a list is read, nor in the middle of a change, nor of its rollback."""
    reply = META_FAULTS[name]
    is_slow = reply is not None and reply.delivery in {Delivery.STALLED, Delivery.DRIPPED}
    if is_slow:
        request.getfixturevalue("impatient")
    meta, times = business.world.meta, 2 if is_slow else None
    for event in (LIVE, {}):
        if reply is None:
            meta.refuse_connections()
        elif event:
            meta.fail(echoing(reply), on=lambda operation: operation.path == f"{TRUCKERS}/adsets", times=times)
            meta.fail(echoing(reply), on="POST ad", times=1)
            meta.fail(echoing(reply), on="POST adset", times=times, skip=1)
        else:
            meta.clear_faults()
            meta.fail(echoing(reply), times=times)
        business.run(event)
        meta.accept_connections()

    assert business.found(capfd) == []


CLOSRTECH_FAULTS = {
    "down": closrtech.DOWN,
    "html": closrtech.HTML,
    "dropped": closrtech.DROPPED,
    "trickled": closrtech.TRICKLED,
    "refused": None,
    "redirected": closrtech.redirected(f"/demand.php?{quote(ECHO)}"),
    "echo in a page": Reply(200, f"<html>{html.escape(ECHO)}</html>".encode(), "text/html"),
    "echo in a refusal": Reply(401, json.dumps({"error": ECHO}).encode()),
    "echo in trouble": Reply(500, ECHO.encode(), "text/plain"),
    **{
        f"echo as a state, {start} before, {number}": Reply(
            200, json.dumps({"FL": 1, "x" * start + PASSWORD: number}).encode()
        )
        for start in (0, 15, 28)
        for number in ("many", 1)
    },
    "echo twice": Reply(200, json.dumps({EMAIL[:30]: 1, EMAIL[:30].upper(): 1}).encode()),
    "short echo": Reply(200, json.dumps({"FL": 1, PASSWORD[:38]: 1}).encode()),
    "quoted echo": Reply(200, json.dumps({"FL": 1, quote(PASSWORD): "x"}).encode()),
    "header that is none": Reply(200, b'{"FL": 1}', headers=((" x", ECHO.encode().decode("latin-1")),)),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", CLOSRTECH_FAULTS)
def test_no_fault_of_closrtechs_shows_one(business: Leaks, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Its address holds login and password, and its answer may repeat them, also where a message cuts it."""
    reply = CLOSRTECH_FAULTS[name]
    if reply is None:
        business.world.sandbox.closrtech.refuse_connections()
    else:
        business.world.sandbox.closrtech.misbehave(reply)

    for event in (LIVE, {}):
        business.run(event)
    business.world.sandbox.closrtech.accept_connections()

    assert business.found(capfd) == []


def test_a_password_that_a_message_would_cut_is_not_shown_in_part(world: World) -> None:
    """It is taken out before: of a short one that was cut nobody could tell any more what it is."""
    world.sandbox.closrtech.answer({"FL": 1, f"{'x' * 25} short+password=99": "many"})
    login = ClosrtechLogin(world.sandbox.closrtech.url, Secret(EMAIL), Secret("short+password=99"))

    with pytest.raises(ClosrtechError, match=re.escape("x ***")) as caught:
        get_demand("CODE", login=login, clock=world.time.clock)

    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ssm", "GetParametersByPath"),
        ("sesv2", "SendEmail"),
        ("dynamodb", "PutItem"),
        ("dynamodb", "UpdateItem"),
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "Query"),
    ],
)
def test_no_error_of_aws_shows_one(
    business: Leaks, service: str, operation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """AWS likes to repeat in an error what it was given."""
    business.run({})  # the secrets are known by then
    config._parameter_store().clear_cache()  # type: ignore[no-untyped-call] # Powertools left this one without types
    for secret in (OWN_TOKEN, PASSWORD):
        business.world.sandbox.aws.fail(service, operation, f"Bad {secret}", times=2)

    for event in (LIVE, LIVE, {}):
        business.run(event)

    assert business.found(capfd) == []
    assert any("Bad ***" in text for text in business.texts)


def test_no_defect_shows_one(
    business: Leaks, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody thought of may hold anything, in its text, in its notes and in what it was raised from."""

    def defective(*_: Any, **__: Any) -> None:
        error = ValueError(OWN_TOKEN, {"pass": PASSWORD})
        error.add_note(f"asked with {quote(TOKEN)}")
        raise error from KeyError(EMAIL)

    for place in ("closrads.sync.decide", "closrads.notifier.build_report", "handler.run_sync"):
        monkeypatch.setattr(place, defective)
        business.run(LIVE)

    assert business.found(capfd) == []
    assert sum("Unexpected ValueError" in text for text in business.texts) > 1


def test_the_planted_secrets_are_those_that_are_sent(business: Leaks) -> None:
    """Meta and CLOSRTECH accept them, so the tests above are about the ways that secrets really go."""
    business.run(LIVE)

    assert "'success': True" in business.texts[0]
    assert business.world.meta.app_secret == APP_SECRET


def test_the_proof_of_the_app_secret_is_a_secret(world: World) -> None:
    """Whoever has it and the token calls as this app does; it is hidden also where no name stands before it."""
    api = world.api(app_secret=Secret(APP_SECRET))
    proof = api._session.appsecret_proof

    assert redact(f"wrong proof: {proof}") == "wrong proof: ***"


def test_nothing_switches_the_check_of_certificates_off() -> None:
    """There is no word of it in the code, and the session that Meta's SDK makes has its own list of authorities."""
    api = init_api(Secret(TOKEN), "act_111")
    folder = Path(closrads.__file__).parent
    code = "\n".join(path.read_text() for path in [*folder.rglob("*.py"), folder.parent / "handler.py"])

    assert not re.search(
        r"\bverify\s*=|\bverify\b.*False|CERT_NONE|_create_unverified|check_hostname|disable_warn", code
    )
    assert Path(api._session.requests.verify).is_file()
