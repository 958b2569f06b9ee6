"""What the settings tell of the campaigns."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from closrads.domain.settings import CampaignConfig, ClosrtechLogin, Settings
from closrads.domain.switches import SwitchedOff
from closrads.redaction import Secret

SINCE = datetime(2026, 5, 1, tzinfo=UTC)
VETERANS = CampaignConfig("Veterans", "veterans", "VND", Secret("token"), "act_111", ("900",))
TRUCKERS = replace(VETERANS, name="Truckers", slug="truckers")
OFF = replace(VETERANS, name="Nurses", slug="nurses", enabled=False, off_since=SINCE)
SETTINGS = Settings(
    stage="prod",
    graph_url="https://graph.example.test",
    timezone=ZoneInfo("UTC"),
    dry_run=False,
    closrtech=ClosrtechLogin("https://closrtech.example.test", Secret("mail"), Secret("password")),
    app_secret=None,
    campaigns=(VETERANS, OFF, TRUCKERS),
    email=None,
)


def test_all_that_are_switched_on_are_chosen_unless_some_are_named() -> None:
    """Whoever is named, what is switched off stays off."""
    assert SETTINGS.chosen(None) == [VETERANS, TRUCKERS]
    assert SETTINGS.chosen(["truckers", "nurses", "unknown"]) == [TRUCKERS]
    assert SETTINGS.chosen([]) == []


def test_everything_and_each_campaign_has_a_switch() -> None:
    """That of everything comes first, and has no name."""
    nurses = SwitchedOff(SINCE, "nurses", "Nurses")

    assert SETTINGS.switched_off == (nurses,)
    assert replace(SETTINGS, paused_since=SINCE).switched_off == (SwitchedOff(SINCE), nurses)
