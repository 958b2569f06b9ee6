"""What a push says, and who may say it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closrads.domain.pushes import (
    WINDOW_SECONDS,
    Message,
    PushError,
    accounts_of,
    body_of,
    deduplication_id,
    is_signed,
    parse_messages,
    signature_of,
)
from closrads.errors import EventError
from closrads.redaction import Secret

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
STATUS = {
    "field": "field_changed",
    "value": {"object_id": "1", "object_type": "ad", "changed_fields": ["effective_status"]},
}
ISSUE = {"field": "with_issues_ad_objects", "value": {"id": "1", "level": "AD", "error_code": "3390001"}}
PROCESSED = {"field": "in_process_ad_objects", "value": {"id": "1", "level": "AD_SET", "status_name": "Active"}}


def entry(account: Any = "111", *changes: Any, age: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return the changes of an ad account."""
    return {"id": account, "time": int(NOW.timestamp() - age), "changes": list(changes or [STATUS]), **more}


def read(*entries: Any, **more: Any) -> frozenset[str]:
    """Return the ad accounts of a push with these entries."""
    return accounts_of(json.dumps({"object": "ad_account", "entry": list(entries), **more}).encode(), NOW)


def test_the_signature_is_metas() -> None:
    """The check vector: HMAC-SHA256 over the raw bytes, with the app secret as the key."""
    body = b'{"object":"ad_account","entry":[]}'
    signature = "sha256=f14c80760c5dba274c0974b3a1d35a431e26ac3d70b54fc4419f08576bcc921f"

    assert is_signed(body, signature, Secret("test_app_secret"))
    assert not is_signed(body + b"\n", signature, Secret("test_app_secret"))
    assert not is_signed(body, signature, Secret("test_app_secreu"))
    assert not is_signed(body, "", Secret("test_app_secret"))
    assert not is_signed(body, signature.upper(), Secret("test_app_secret"))
    assert signature_of(signature) == signature.removeprefix("sha256=")
    assert signature_of(signature + "\n") == signature_of(signature[7:]) == ""


@pytest.mark.parametrize("change", [STATUS, ISSUE, PROCESSED])
def test_each_field_is_a_hint(change: Any) -> None:
    """Of the account; what it says of the object is not looked at."""
    assert read(entry("111", change)) == {"act_111"}


def test_an_account_has_its_prefix_or_not() -> None:
    """Both are seen in Meta's documentation; each account counts once."""
    assert read(entry("111"), entry("act_222"), entry(333), entry("act_111")) == {"act_111", "act_222", "act_333"}


def test_a_subscription_without_values_names_fields_alone() -> None:
    """They stand in place of the changes."""
    fresh = {"id": "111", "time": NOW.timestamp()}

    assert read({**fresh, "changed_fields": ["effective_status"]}) == {"act_111"}
    assert read({**fresh, "changed_fields": ["creative_fatigue", {}]}) == frozenset()


@pytest.mark.parametrize(
    "nothing",
    [
        entry("111", {"field": "creative_fatigue", "value": {}}),
        entry("111", {"field": "field_changed", "value": {"changed_fields": ["name"]}}),
        entry("111", {"field": "field_changed", "value": {"changed_fields": "effective_status"}}),
        entry("111", {"field": ["effective_status"]}, 7, None),
        entry("../../etc", STATUS),
        entry("act_", STATUS),
        entry(None, STATUS),
        {**entry(), "changes": "effective_status"},
    ],
)
def test_what_is_no_hint_is_ignored(nothing: Any) -> None:
    """Other fields, and what makes no sense within a push that does."""
    assert read(nothing, entry("222")) == {"act_222"}


def test_a_change_without_a_value_is_a_hint_all_the_same() -> None:
    """The recheck reads Meta anyway."""
    assert read(entry("111", {"field": "field_changed"})) == {"act_111"}


def test_a_push_without_entries_is_about_nothing() -> None:
    """Meta's check vector is one."""
    assert read() == frozenset()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        *((body, "not JSON") for body in (b"", b"nonsense", b"\xff\xfe", b"[" * 100_000)),
        *((body, "not about ad accounts") for body in (b"null", b"[]", b'"ad_account"', b"{}")),
        (b'{"object":"page","entry":[]}', "not about ad accounts"),
        (b'{"object":["ad_account"],"entry":[]}', "not about ad accounts"),
        (b'{"object":"ad_account"}', "without entries"),
        (b'{"object":"ad_account","entry":{}}', "without entries"),
        (b'{"object":"ad_account","entry":[1]}', "without entries"),
    ],
)
def test_what_is_no_push_is_refused(body: bytes, why: str) -> None:
    """It is signed, but not about ad accounts; the log says why."""
    with pytest.raises(PushError, match=f"^{why}$"):
        accounts_of(body, NOW)


@pytest.mark.parametrize("time", [None, "1777890600", True, 0, -1, 10**400, float("nan"), float("inf"), [], {}])
def test_a_replay_is_refused(time: Any) -> None:
    """Meta repeats a push for 36 hours; another time than that is no time of a push."""
    with pytest.raises(PushError, match="too old"):
        read({**entry(), "time": time})


def test_what_meta_repeats_is_taken() -> None:
    """For 36 hours, with some room; an entry of the future is refused, but for clocks that differ."""
    hour = 3600.0
    for age in (38 * hour, 36 * hour, -60, -hour):
        assert read(entry(age=age)) == {"act_111"}
    assert read(entry("222", age=39 * hour), entry()) == {"act_111"}
    for age in (39 * hour, -2 * hour):
        with pytest.raises(PushError):
            read(entry(age=age))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(
                st.sampled_from(["object", "entry", "id", "time", "changes", "field", "value", "changed_fields"]), each
            )
        ),
    )
)
def test_nothing_that_is_json_breaks_it(push: Any) -> None:
    """Either a set of accounts or a refusal."""
    entries = push if isinstance(push, list) else [push]
    for body in (
        push,
        {"object": "ad_account", "entry": entries},
        {"object": "ad_account", "entry": [{**entry(), "changes": push}]},
    ):
        try:
            found = accounts_of(json.dumps(body).encode(), NOW)
        except PushError:
            continue
        assert all(account.startswith("act_") for account in found)


def test_a_window_has_one_id_for_each_account() -> None:
    """Of two pushes within it the queue takes one; of the next window another."""
    first = deduplication_id("act_111", NOW)
    start = int(NOW.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS

    def at(second: float) -> str:
        return deduplication_id("act_111", datetime.fromtimestamp(start + second, UTC))

    assert at(0) == at(WINDOW_SECONDS - 0.1) == first
    assert at(-0.1) != first != at(WINDOW_SECONDS)
    assert deduplication_id("act_222", NOW) != first


def record(body: str = body_of("act_111"), **more: Any) -> dict[str, Any]:
    """Return a message as Lambda hands it to a function."""
    return {"messageId": "m", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", **more}


def test_a_message_is_read_as_it_was_written() -> None:
    """In the event of Lambda's event source mapping; other events are none of it."""
    assert parse_messages({"Records": [record(), record(body_of("act_222"))]}) == (
        Message("m", "r", "act_111"),
        Message("m", "r", "act_222"),
    )
    assert parse_messages({"Records": []}) == ()
    assert parse_messages({"action": "recheck"}) is None
    assert parse_messages([]) is None


@pytest.mark.parametrize("body", ["", "{}", "null", "[]", "7", '{"ad_account": 111}', "[" * 100_000])
def test_a_message_that_is_not_understood_is_about_no_account(body: str) -> None:
    """So it is done with, instead of coming again and again."""
    assert parse_messages({"Records": [record(body)]}) == (Message("m", "r", ""),)


@pytest.mark.parametrize("records", [None, 7, "text", [7], [{}], [record(eventSource="aws:s3")], {"a": 1}])
def test_records_of_something_else_are_refused(records: Any) -> None:
    """Nothing else calls the function in this way."""
    with pytest.raises(EventError, match="queue of pushes"):
        parse_messages({"Records": records})
