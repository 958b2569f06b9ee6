"""`docs/events-out.md`: its patterns match what really happens, and its example has the shape of a real result."""

import json
import re
from pathlib import Path
from typing import Any

from moto.events.models import EventPattern

from sandbox.meta import Breakage
from tests.world import LIVE, World

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "events-out.md").read_text()
REVERTED, TO_DO = (json.loads(block) for block in re.findall(r"```json pattern\n(.*?)```", PAGE, re.DOTALL))
(EXAMPLE,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def event_of(result: Any) -> dict[str, Any]:
    """Return what Lambda puts on the bus for a result (Lambda Developer Guide, "Capturing records of invocations")."""
    return {**EXAMPLE, "detail": {**EXAMPLE["detail"], "requestPayload": LIVE, "responsePayload": result}}


def matches(pattern: Any, event: Any) -> bool:
    """Tell whether a rule would fire; EventBridge looks into each element of an array."""
    fitting = EventPattern.load(json.dumps(pattern))
    result = event["detail"].get("responsePayload", {})
    singly = [{**result, "campaigns": campaign} for campaign in result.get("campaigns", [])]
    return any(
        fitting.matches_event({**event, "detail": {**event["detail"], "responsePayload": each}})
        for each in singly or [result]
    )


def test_the_pattern_for_a_rollback_matches_such_a_run_only(world: World) -> None:
    """Not the one of a good day, and not a dry run."""
    world.campaign("FL GA")
    world.put({"limits/verify_wait_seconds": "0"})
    world.adset("Fragile", breakage=Breakage.stubborn())

    dry, reverted, quiet = world.run({}), world.run(LIVE), world.run({"action": "recheck", "dry_run": False})

    assert reverted["campaigns"][0]["adsets_reverted"] == 1
    assert [matches(REVERTED, event_of(result)) for result in (dry, reverted, quiet)] == [False, True, False]


def test_the_example_has_the_keys_of_a_result(world: World) -> None:
    """Who writes a rule after it names what there is."""
    world.campaign("FL GA")
    world.adset("Fine")
    shown = EXAMPLE["detail"]["responsePayload"]

    result = world.run(LIVE)

    assert shown.keys() <= result.keys()
    assert shown["campaigns"][0].keys() <= result["campaigns"][0].keys()


def test_the_pattern_for_alarms_matches_those_that_begin() -> None:
    """CloudFormation names an alarm after its stack (Amazon CloudWatch User Guide, "Alarm events and EventBridge")."""
    event = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}

    def about(name: str, value: str) -> dict[str, Any]:
        return {**event, "detail": {"alarmName": name, "state": {"value": value}}}

    assert matches(TO_DO, about("closrads-prod-RunFailed-1A2B3C", "ALARM"))
    assert not matches(TO_DO, about("closrads-prod-RunFailed-1A2B3C", "OK"))
    assert not matches(TO_DO, about("closrads-dev-RunFailed-1A2B3C", "ALARM"))
