"""What a person has switched off, and since when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """A switch that keeps new changes from being started, in all campaigns or in one."""

    since: datetime
    slug: str = ""
    """The campaign's; empty if everything is paused."""
    name: str = ""

    @classmethod
    def from_json(cls, switch: Mapping[str, Any]) -> Self:
        """Return the switch whose `to_json` is `switch`."""
        since = datetime.fromisoformat(switch["since"]).astimezone(UTC)
        return cls(since, switch["campaign"], switch["campaign_name"])

    def to_json(self) -> dict[str, str]:
        """Return the switch as a JSON object; the names are empty if everything is paused."""
        return {"campaign": self.slug, "campaign_name": self.name, "since": self.since.isoformat()}


def latest(switches: Iterable[SwitchedOff | None]) -> tuple[SwitchedOff, ...]:
    """Return at most one switch for each campaign, and one for everything: the last of each in `switches`."""
    return tuple({switch.slug: switch for switch in switches if switch is not None}.values())
