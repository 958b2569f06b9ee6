"""`docs/event.schema.json` and `parse_event` say the same of every event."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from closrads.domain.request import _KEYS, LIFTABLE_LIMITS, Action, parse_event, parse_step
from closrads.errors import EventError

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/event.schema.json").read_text())
RUN = SCHEMA["definitions"]["run"]["properties"]
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SLUGS = ["veterans", "truckers"]
OTHER: st.SearchStrategy[Any] = st.sampled_from([None, 0, "", "yes", "nonsense", [], {}, [1], True])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "action": st.sampled_from(Action),
    "dry_run": st.booleans(),
    "campaigns": st.lists(st.sampled_from(SLUGS)),
    "run_id": st.just("20260504T103000Z-0a1b2c3d"),
    "plan_id": st.just("0a1b2c3d4e5f6789"),
    "validate": st.booleans(),
    "force": st.lists(st.sampled_from(sorted(LIFTABLE_LIMITS))),
    "notify": st.booleans(),
    "scheduled": st.sampled_from(["2026-05-04T10:30:00Z", "2026-05-04T10:30+02:00", "2026-05-04T10:30:00", "today"]),
    "step": st.sampled_from(["open", "part", "close"]),
    "unknown": st.just(1),
    "source": st.sampled_from(["aws.events", "aws.scheduler", "mine"]),
    "detail-type": st.sampled_from(["Scheduled Event", "Other"]),
    "time": st.sampled_from(["2026-05-04T10:30:00Z", "now"]),
}
OWN = VALUES.keys() - {"unknown", "source", "detail-type", "time"}


def events(names: set[str], others: bool) -> st.SearchStrategy[dict[str, Any]]:  # noqa: FBT001 - a strategy's parameter
    """Return events with some of the keys, and with values of other kinds among them."""
    values = {name: VALUES[name] | OTHER if others else VALUES[name] for name in sorted(names)}
    return st.fixed_dictionaries({}, optional=values)


def is_understood(event: Any) -> bool:
    """Tell whether the function takes an event."""
    try:
        parse_step(event) or parse_event(event, default_dry_run=True, enabled=dict.fromkeys(SLUGS, True))
    except EventError:
        return False
    return True


@given(events(set(OWN), others=False) | events(set(VALUES), others=True) | OTHER)
@example({"source": "aws.events", "detail-type": "Scheduled Event", "time": "2026-05-04T10:30:00Z", "unknown": 1})
@example({"step": "part", "run_id": "20260504T103000Z-0a1b2c3d", "campaigns": ["veterans"]})
@example({"step": "close", "run_id": "20260504T103000Z-0a1b2c3d"})
def test_an_editor_takes_what_the_function_takes(event: Any) -> None:
    """And nothing else: what an editor accepts is refused by no run."""
    assert VALIDATOR.is_valid(event) == is_understood(event)


@pytest.mark.parametrize("file", sorted((ROOT / "events").glob("*.json")), ids=lambda file: file.stem)
def test_the_events_that_are_there_are_valid(file: Path) -> None:
    """Each of them is completed and checked by an editor that is told of the schema."""
    VALIDATOR.validate(json.loads(file.read_text()))


def test_every_key_is_explained() -> None:
    """An editor shows it beside the key."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert RUN.keys() == _KEYS
    assert all(each["description"] for each in RUN.values())


def test_an_editor_knows_where_the_schema_is() -> None:
    """Visual Studio Code takes it for the folder of events."""
    (mapping,) = json.loads((ROOT / ".vscode/settings.json").read_text())["json.schemas"]

    assert mapping["fileMatch"] == ["/events/*.json"]
    assert json.loads((ROOT / mapping["url"]).read_text()) == SCHEMA
