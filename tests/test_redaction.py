"""How texts are made fit to leave: without secrets, on one line, of bounded length."""

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from closrads import redaction
from closrads.redaction import MIN_ENCODED_CHARS, MIN_PREFIX_CHARS, Secret, one_line, redact, redact_all, shorten


@pytest.fixture(autouse=True)
def no_other_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets of a test before and after it: other tests have their own."""
    monkeypatch.setattr(redaction, "_known", {})
    monkeypatch.setattr(redaction, "_needles", redaction._needles)


def lower_hex(text: str) -> str:
    """Return a URL's encoding with its digits in lower case."""
    return re.sub("%..", lambda found: found[0].lower(), text)


def embedded() -> st.SearchStrategy[Callable[[str], str]]:
    """Return ways in which somebody may write a secret."""

    def twice(text: str) -> str:
        return json.dumps(json.dumps(text)[1:-1])[1:-1]

    def raw_json(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)[1:-1]

    ways: list[Callable[[str], str]] = [
        str,
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: lower_hex(quote(text)),
        lambda text: quote(quote_plus(text)),
        lambda text: html.escape(quote(text)),
        html.escape,
        lambda text: str(escape(text)),
        lambda text: html.escape(html.escape(text)),
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(html.escape(text))[1:-1],
        raw_json,
        twice,
    ]
    return st.sampled_from(ways)


any_text = st.text(st.characters(codec="utf-8"), max_size=30)
secret_characters = st.characters(codec="utf-8", exclude_characters="*")
any_secret = st.text(secret_characters, min_size=4, max_size=60)
any_long_secret = st.text(secret_characters, min_size=2 * MIN_PREFIX_CHARS, max_size=60)


@given(any_secret, embedded(), any_text, any_text)
def test_a_secret_is_found_however_it_is_written(
    secret: str, written: Callable[[str], str], before: str, after: str
) -> None:
    """The text around it does not matter."""
    redaction._known.clear()
    Secret(secret)

    left = redact(before + written(secret) + after)

    assert written(secret) not in left


@given(any_long_secret, embedded(), st.data())
def test_the_beginning_of_a_long_secret_is_enough(
    secret: str, written: Callable[[str], str], data: st.DataObject
) -> None:
    """Somebody else's text may come in cut."""
    redaction._known.clear()
    Secret(secret)
    part = secret[: data.draw(st.integers(MIN_PREFIX_CHARS, len(secret)))]

    assert written(part) not in redact(f"it begins with {written(part)}")


def escaped(escape: Callable[[str], str]) -> Callable[[str], str]:
    """Return what escapes every character of a text, whether it has to be or not."""
    return lambda text: "".join(map(escape, text))


def in_utf16(char: str) -> str:
    """Return a character as JSON may always write it."""
    units = char.encode("utf-16-be").hex()
    return "".join(rf"\u{units[place : place + 4]}" for place in range(0, len(units), 4))


ESCAPED: list[Callable[[str], str]] = [
    escaped(lambda char: "".join(f"%{byte:02X}" for byte in char.encode())),
    escaped(lambda char: "".join(f"%25{byte:02x}" for byte in char.encode())),
    escaped(in_utf16),
    escaped(lambda char: in_utf16(char).upper().replace("U", "u")),
    escaped(lambda char: json.dumps(in_utf16(char))[1:-1]),
    escaped(lambda char: f"&#{ord(char)};"),
    escaped(lambda char: f"&#x{ord(char):X};"),
    escaped(lambda char: f"&amp;#{ord(char)};"),
]


@pytest.mark.parametrize("written", ESCAPED)
@pytest.mark.parametrize("secret", ["EAAFAKESYSTEMUSER", "pass word+with/signs&more", "pässwörd-🔑"])
def test_a_token_and_a_password_are_found_if_every_character_is_escaped(
    secret: str, written: Callable[[str], str]
) -> None:
    """In whatever way, as they may come back in the text of an error."""
    Secret(secret)

    assert written(secret) not in redact(f"the answer to {written(secret)} was 400")


@given(any_secret, st.sampled_from(ESCAPED), any_text, any_text)
def test_a_secret_is_found_if_every_character_is_escaped(
    secret: str, written: Callable[[str], str], before: str, after: str
) -> None:
    """No encoder has to do that, and some do."""
    redaction._known.clear()
    Secret(secret)

    assert written(secret) not in redact(before + written(secret) + after)


@given(
    st.text(secret_characters, min_size=MIN_ENCODED_CHARS, max_size=60),
    st.sampled_from([b64encode, urlsafe_b64encode]),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_is_found_in_base64(
    secret: str, encode: Callable[[bytes], bytes], before: bytes, after: bytes
) -> None:
    """In both alphabets and wherever it begins; of its first and its last character a few bits may remain."""
    redaction._known.clear()
    Secret(secret)
    raw = secret.encode()

    left = redact(encode(before + raw + after).decode())

    first, last = -(-8 * len(before) // 6), 8 * (len(before) + len(raw)) // 6
    assert encode(before + raw + after).decode()[first:last] not in left
    assert len(left) <= len(encode(before + after)) + len(redaction.HIDDEN) + 8


@given(st.text(secret_characters, min_size=MIN_ENCODED_CHARS, max_size=60), any_text, any_text)
def test_a_secret_is_found_in_hexadecimal(secret: str, before: str, after: str) -> None:
    """In either case."""
    redaction._known.clear()
    Secret(secret)
    written = secret.encode().hex()

    assert written not in redact(before + written + after)
    assert written.upper() not in redact(before + written.upper() + after)


@given(any_long_secret, st.data())
def test_the_end_of_a_long_secret_is_enough(secret: str, data: st.DataObject) -> None:
    """As it is written, wherever its beginning was cut."""
    redaction._known.clear()
    Secret(secret)
    part = secret[data.draw(st.integers(0, len(secret) - MIN_PREFIX_CHARS)) :]

    assert part not in redact(f"it ends with {part} {part}")


def test_the_end_of_a_secret_takes_nothing_else_along() -> None:
    """What stands before and behind is shown."""
    Secret("EAAFAKE0123456789abcdefghijkl")

    assert redact("a 456789abcdefghijkl, Xabcdefghijkl") == "a ***, X***"
    assert redact("Xbcdefghijkl") == "Xbcdefghijkl"


def test_one_secret_in_another_leaves_no_rest() -> None:
    """The longer one is looked for first."""
    Secret("inner-secret")
    Secret("an-inner-secret-and-more")

    assert redact("x an-inner-secret-and-more y inner-secret") == "x *** y ***"


@pytest.mark.parametrize(
    "name",
    [
        "access_token",
        "appsecret_proof",
        "input_token",
        "pass",
        "password",
        "PASSWORD",
        "pa\u017fs",
        "input_to\u212aen",
    ],
)
def test_what_stands_in_an_address_as_a_secret_is_hidden_unknown_as_it_is(name: str) -> None:
    """A token that nobody has told this process is a token all the same."""
    assert redact(f"https://x.test/1?a=b&{name}=EAAFAKE1&c=d") == f"https://x.test/1?a=b&{name}=***&c=d"


def test_a_very_short_secret_does_not_blank_out_every_text() -> None:
    """It is none, and would be found everywhere."""
    Secret("a")

    assert redact("a banana") == "a banana"


def test_a_secret_shows_itself_to_nobody() -> None:
    """Neither in a log line nor in a traceback; equal ones are equal all the same."""
    secret = Secret("EAAFAKE-token")

    assert (str(secret), repr(secret), f"{secret}", repr([secret])) == ("***", "***", "***", "[***]")
    assert secret == Secret("EAAFAKE-token") != Secret("EAAFAKE-other")
    assert hash(secret) == hash(Secret("EAAFAKE-token"))
    assert secret.reveal() == "EAAFAKE-token"


def test_every_text_of_a_value_is_redacted() -> None:
    """Keys too, at any depth; what is no text stays as it is."""
    Secret("EAAFAKE-token")
    value: Any = {"EAAFAKE-token": [1, None, ("x EAAFAKE-token", True)]}

    assert redact_all(value) == {"***": [1, None, ["x ***", True]]}


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_that_can_be_shown(text: str, most: int) -> None:
    """Whatever somebody has put into a name."""
    line = one_line(text, most)

    assert line.isprintable()
    assert len(line) <= most
    assert line == line.strip()


def test_a_secret_that_invisible_characters_cut_is_found() -> None:
    """They are taken out, and then it is searched for once more."""
    Secret("EAAFAKE-token")

    assert one_line("say EAAFAKE\u200b-token now") == "say *** now"


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_text_that_is_cut_says_so(text: str, most: int) -> None:
    """One that fits is left as it is."""
    short = shorten(text, most)

    assert len(short) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
