"""Meta without a server, for simulations: one thread, virtual time, no waiting."""

import json
import threading
import time
from typing import Any

import pytest

from sandbox.meta import MetaWorld, Operation, faults
from sandbox.server import Reply, decode_form
from tests.sandbox.conftest import CAMPAIGN, Clock, InProcess


def test_no_call_looks_at_the_real_clock(
    quiet_meta: MetaWorld, client: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read, a write and a batch are answered with virtual time alone."""

    def forbidden(*_: object) -> float:
        raise AssertionError("the real clock was used")

    for name in ("sleep", "time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, forbidden)
    adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL")
    client.set_states(adset, "OH")
    assert client.get(adset, fields="name") == {"id": adset, "name": "Broad"}
    (item,) = client.post("", batch=[{"method": "GET", "relative_url": adset}])
    assert item["code"] == 200
    assert quiet_meta.states(adset) == {"OH"}


def test_hooks_and_matchers_are_called_without_the_lock(quiet_meta: MetaWorld, client: InProcess) -> None:
    """Another thread may enter while a hook waits for it, or two simulated invocations would block each other."""
    entered = []

    def enter() -> None:
        with quiet_meta.lock:
            entered.append(True)

    def let_another_in(_: Operation) -> None:
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(5)

    def matches(operation: Operation) -> bool:
        let_another_in(operation)
        return False

    quiet_meta.on_request = let_another_in
    quiet_meta.fail(faults.DROPPED, on=matches)
    client.get(CAMPAIGN)
    assert entered == [True, True]


def test_the_same_calls_give_the_same_answers(clock: Clock) -> None:
    """Nothing depends on chance: ids, cursors, headers and bodies are equal in two worlds."""

    def story() -> list[Reply]:
        meta = MetaWorld(now=clock)
        meta.add_campaign(CAMPAIGN)
        first, second = (meta.add_adset(CAMPAIGN, name, "FL GA") for name in "AB")
        client = InProcess(meta)
        client.set_states(first, "OH")
        return [
            client.raw("GET", f"{CAMPAIGN}/adsets", limit="1", fields="name,targeting,ads{id,status}"),
            client.raw("POST", second, status="PAUSED"),
            client.raw("POST", "", batch=[{"method": "GET", "relative_url": f"{second}?fields=status"}]),
        ]

    assert story() == story()


def test_what_a_test_gives_is_copied(quiet_meta: MetaWorld) -> None:
    """One targeting for several ad sets or edits stays one that the test may change."""
    raw: dict[str, Any] = {"geo_locations": {"regions": [{"key": "3852"}]}, "publisher_platforms": ["facebook"]}
    made = quiet_meta.add_adset(CAMPAIGN, "Made", targeting=raw)
    edited = quiet_meta.add_adset(CAMPAIGN, "Edited", "GA")
    quiet_meta.change_by_hand(edited, raw)
    raw["publisher_platforms"].clear()
    raw["geo_locations"].clear()
    for adset in (made, edited):
        assert quiet_meta.states(adset) == {"FL"}
        assert quiet_meta.targeting(adset)["publisher_platforms"] == ["facebook"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1&b=&a=2", {"a": "2", "b": ""}),
        ("a=x+y%2Bz%3D%26%0A%25", {"a": "x y+z=&\n%"}),
        ("na%20me=%C3%A9%E2%82%AC", {"na me": "é€"}),
        ("a=b=c", {"a": "b=c"}),
        ("alone", {"alone": ""}),
        ("", {}),
    ],
)
def test_forms_are_decoded(text: str, expected: dict[str, str]) -> None:
    """Percent signs, plus signs, equals signs in values, and names that come twice."""
    assert decode_form(text) == expected


def test_every_sign_survives_a_form(client: InProcess, quiet_meta: MetaWorld) -> None:
    """A name may hold whatever a person types."""
    name = "".join(map(chr, range(32, 700))) + "\n\t🙂"
    adset = quiet_meta.add_adset(CAMPAIGN, "Broad", "FL")
    client.post(adset, name=name)
    assert quiet_meta.adsets[adset].name == name
    assert json.loads(client.raw("GET", adset, fields="name").body or b"")["name"] == name
