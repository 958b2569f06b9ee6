"""How long Meta serves the versions of the Marketing API."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class VersionLife:
    """The life of a version."""

    released: date
    ends: date | None = None
    """The last day on which Meta serves it; None until Meta has announced it."""


LIVES: dict[str, VersionLife] = {
    "v21.0": VersionLife(date(2024, 10, 2), date(2025, 9, 9)),
    "v22.0": VersionLife(date(2025, 1, 21), date(2026, 2, 19)),
    "v23.0": VersionLife(date(2025, 5, 29), date(2026, 6, 9)),
    "v24.0": VersionLife(date(2025, 10, 8), date(2026, 11, 10)),
    "v25.0": VersionLife(date(2026, 2, 18), date(2027, 2, 23)),
    "v26.0": VersionLife(date(2026, 7, 29)),
    "v27.0": VersionLife(date(2026, 11, 4)),
}
"""By version (Marketing API changelog, "Versions", as of 2026-11-27)."""
SHORTEST_LIFE = min(life.ends - life.released for life in LIVES.values() if life.ends)
"""The shortest life of a version whose end is known; Meta promises only 90 days after the next release ("Versioning").
"""


def days_left(version: str, today: date, warning: str = "") -> int | None:
    """Return the days until a version ends; None if the version is not in `LIVES`.

    Until Meta announces the end, it is expected after `SHORTEST_LIFE`. Meta warns only once it answers calls with a
    newer version ("Versioning"), so with a `warning` there are 0 days left.
    """
    if warning:
        return 0
    life = LIVES.get(version)
    return ((life.ends or life.released + SHORTEST_LIFE) - today).days if life else None
